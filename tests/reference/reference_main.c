/* The reference runner as a program: build/release/reference FOLDER */
#include "tests/reference/reference.h"

#include <stdio.h>

typedef struct tally {
    int counts[3]; /* by outcome */
} tally;

static bool begin(void *user, const char *system, const char *name)
{
    (void)user;
    (void)system;
    (void)name;
    return true;
}

static void end(void *user, const char *system, const char *name, reference_outcome outcome,
                const char *why)
{
    static const char *const WORDS[] = {"pass", "FAIL", "skip"};
    tally *t = user;
    t->counts[outcome]++;
    printf("%s %s/%s%s%s\n", WORDS[outcome], system, name, *why ? ": " : "", why);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    tally t = {{0}};
    err e = {0};
    if (!reference_run(argv[1], &(reference_listener){begin, end, &t}, &e)) {
        fprintf(stderr, "reference: %s\n", e.text);
        t.counts[REFERENCE_FAIL]++;
    }
    printf("%d passed, %d failed, %d skipped\n", t.counts[REFERENCE_PASS], t.counts[REFERENCE_FAIL],
           t.counts[REFERENCE_SKIP]);
    return t.counts[REFERENCE_FAIL] ? 1 : 0;
}
