/* Command lines: the first byte says which verb, words follow, a line each. The verbs do nothing
 * here; what reads their words (sections of data, numbers, names of runs) is called too, what asks
 * the disk for one of them, since that takes longer than all else. */
#include <string.h>

#include "results/report/run_name.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tiny_run.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

enum { MAX_WORDS = 16, MAX_BYTES = 2048 };

static const verb *const VERBS[] = {
    &VERB_RUN,     &VERB_CHECK,  &VERB_STATUS, &VERB_COMPARE,  &VERB_LS,     &VERB_SHOW,
    &VERB_DIFF,    &VERB_EXPORT, &VERB_RM,     &VERB_MV,       &VERB_GC,     &VERB_MERGE,
    &VERB_REPORT,  &VERB_PLOT,   &VERB_EVAL,   &VERB_GENERATE, &VERB_IMPORT, &VERB_RECALL,
    &VERB_INSPECT, &VERB_LAYERS, &VERB_DATA,   &VERB_COLLECT,  &VERB_BENCH,  &VERB_VERSION};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    tiny_run_make();
    scratch_quiet();
    return 0;
}

static void read_word(const char *word, arena *a)
{
    err e = {0};
    run_name name;
    int64_t whole;
    double real_number;
    CHECK(cli_data_section(a, word, &e) || e.text[0], "%s", "refused without a word");
    option_text_to_int(word, &whole);
    option_text_to_real(word, &real_number);
    run_name_read(&name, word);
}

static void look_for(const char *word, arena *a)
{
    err e = {0};
    char path[FILE_PATH_BYTES];
    found_run *list;
    int count;
    CHECK(find_run(path, word, tiny_run_out(), &e) || e.text[0], "%s", "refused without a word");
    e.text[0] = 0;
    CHECK(find_runs(&list, &count, a, word, tiny_run_out(), &e) || e.text[0], "%s",
          "refused without a word");
}

static unsigned choice; /* of this input */

static int nothing(const cli_call *c)
{
    if (c->count > 0) look_for(c->words[choice % (unsigned)c->count], c->memory);
    for (int i = 0; i < c->count; i++) {
        read_word(c->words[i], c->memory);
    }
    return EXIT_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1 || bytes > MAX_BYTES) return 0;
    verb v = *VERBS[data[0] % (sizeof VERBS / sizeof *VERBS)];
    v.run = nothing;
    char text[MAX_BYTES + 1], *words[MAX_WORDS + 2] = {(char *)(uintptr_t)v.name};
    choice = reading_choice(data, bytes);
    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = 0;
    int n = 1;
    for (char *at = text; at && n <= MAX_WORDS;) {
        words[n++] = strsep(&at, "\n");
    }
    cli_run(&v, n, words);
    return 0;
}
