/* Bounded lists of triggers against sorting everything. */
#include "harness/inspect/triggers.h"

#include <stdlib.h>

#include "core/base/rng.h"
#include "tests/test.h"

enum { MEMORIES = 37, PREFIXES = 900, SENTENCE = 11 };

/* Few distinct values, a half of them not positive: ties and gaps occur. */
static real coefficient(int64_t token, int64_t memory)
{
    rng_key key = {.seed = 3, .place = rng_place("triggers")};
    return (real)rng_below(key, (uint64_t)(token * MEMORIES + memory), 41) / 20 - 1;
}

static trigger prefix(int64_t token)
{
    return (trigger){
        .next = (int32_t)(token % 7), .token = token, .sentence = token - token % SENTENCE};
}

static void offer(triggers *t, int64_t token)
{
    real c[MEMORIES];
    for (int64_t m = 0; m < MEMORIES; m++) {
        c[m] = coefficient(token, m);
    }
    /* In two runs, or by id backwards: all ways of saying the same. */
    if (token % 2) {
        triggers_offer(t, c, 20, 0, NULL, prefix(token));
        triggers_offer(t, c + 20, MEMORIES - 20, 20, NULL, prefix(token));
        return;
    }
    int32_t ids[MEMORIES];
    real turned[MEMORIES];
    for (int32_t i = 0; i < MEMORIES; i++) {
        ids[i] = MEMORIES - 1 - i;
        turned[i] = c[ids[i]];
    }
    triggers_offer(t, turned, MEMORIES, 0, ids, prefix(token));
}

static int order(const void *a, const void *b)
{
    const trigger *x = a, *y = b;
    if (x->coefficient != y->coefficient) return x->coefficient > y->coefficient ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* The same by sorting. */
static int64_t sorted(trigger *all, int64_t memory, int64_t top, bool per_sentence)
{
    int64_t n = 0, kept = 0;
    for (int64_t token = 0; token < PREFIXES; token++) {
        all[n] = prefix(token);
        all[n].coefficient = coefficient(token, memory);
        n += all[n].coefficient > 0;
    }
    qsort(all, (size_t)n, sizeof *all, order);
    for (int64_t i = 0; i < n && kept < top; i++) {
        bool seen = false;
        for (int64_t k = 0; k < kept; k++) {
            seen = seen || (per_sentence && all[k].sentence == all[i].sentence);
        }
        if (!seen) all[kept++] = all[i];
    }
    return kept;
}

static void compare(const triggers *t, const char *what)
{
    static trigger all[PREFIXES];
    for (int64_t m = 0; m < MEMORIES; m++) {
        int64_t n = sorted(all, m, t->top, t->per_sentence);
        EXPECT(t->sizes[m] == n, "%s: memory %lld has %d triggers, not %lld", what, (long long)m,
               t->sizes[m], (long long)n);
        for (int64_t i = 0; i < MIN(n, t->sizes[m]); i++) {
            const trigger *x = triggers_of(t, m) + i;
            EXPECT(x->token == all[i].token && x->next == all[i].next,
                   "%s: memory %lld, trigger %lld is token %lld, not %lld", what, (long long)m,
                   (long long)i, (long long)x->token, (long long)all[i].token);
        }
    }
}

static void lists(void)
{
    static const int64_t tops[] = {1, 6, 50, 2 * PREFIXES};
    for (int i = 0; i < 8; i++) {
        arena *a = arena_new(0);
        triggers whole, halves[2];
        bool per_sentence = i % 2;
        triggers_init(&whole, MEMORIES, tops[i / 2], per_sentence, a);
        for (int k = 0; k < 2; k++) {
            triggers_init(&halves[k], MEMORIES, tops[i / 2], per_sentence, a);
        }
        for (int64_t token = 0; token < PREFIXES; token++) {
            offer(&whole, token);
            offer(&halves[token % 3 == 0], PREFIXES - 1 - token);
        }
        triggers_merge(&halves[0], &halves[1]);
        triggers_finish(&whole);
        triggers_finish(&halves[0]);
        compare(&whole, "in order");
        compare(&halves[0], "merged, backwards");
        arena_free(a);
    }
}

static void never_positive(void)
{
    arena *a = arena_new(0);
    triggers t;
    triggers_init(&t, 3, 2, false, a);
    triggers_offer(&t, (real[]){0, -1, (real)0 / (real)1}, 3, 0, NULL, prefix(0));
    triggers_finish(&t);
    EXPECT(t.sizes[0] + t.sizes[1] + t.sizes[2] == 0, "%d, %d, %d", t.sizes[0], t.sizes[1],
           t.sizes[2]);
    arena_free(a);
}

const test_suite test_triggers = {"harness/triggers",
                                  {{"lists", lists}, {"never_positive", never_positive}, {0}}};
