/* Claims that are judged look by look, as seeds come in. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/compare/stats.h"
#include "tests/support/judged.h"
#include "tests/test.h"

static const char BETTER[] = "[{name: c, better: A, than: B, by: 0 bits/byte}]";

static const char LOOKS[] = "[{name: c, better: A, than: B, by: 0 bits/byte, "
                            "looks: {at least: 3, at most: 8, spending: obrien-fleming}}]";

/* Of a record that somebody edited: no text where a number should be. */
static void looks_that_are_none(void)
{
    static const char *const bad[] = {"{at least: [3], at most: 8, spending: pocock}",
                                      "{at least: 3, at most: {a: 8}, spending: pocock}",
                                      "{at least: 3, at most: 8, spending: []}",
                                      "{at least: 3, at most: 8}"};
    arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        err e = {0};
        snprintf(text, sizeof text, "[{name: c, better: A, than: B, looks: %s}]", bad[i]);
        node *n = node_parse(a, text, strlen(text), "claims.yaml", &e);
        EXPECT(n && !claim_read(a, n, NULL, &e) && strstr(e.text, "says not when"), "%s: %s",
               bad[i], e.text);
    }
    arena_free(a);
}

/* Looks that were made before stay as they were: more seeds do not change what they saw. */
static void look_by_look(void)
{
    arena *a = arena_new(0);
    judged_figures m = {.seeds = 8};
    for (int i = 0; i < 8; i++) {
        m.b[i] = 2.3 + 0.01 * i;
        m.a[i] = m.b[i] - 0.05 - 0.01 * ((i * 5) % 3);
        m.state[i] = SEED_AWAITED;
    }
    int decided = 0;
    double before[8];
    for (int n = 1; n <= 8; n++) {
        m.state[n - 1] = SEED_HERE;
        claim_verdict v = judged(a, LOOKS, &m);
        EXPECT(v.looks == MAX(0, n - 2), "%d looks at %d seeds", v.looks, n);
        for (int k = 0; k < v.looks - 1; k++) {
            EXPECT(v.look[k].p == before[k], "look %d", k);
        }
        for (int k = 0; k < v.looks; k++) {
            before[k] = v.look[k].p;
        }
        /* The interval that is shown is that of the look, and named by its level. */
        double level = v.looks ? v.look[MAX(0, (decided ? decided : n) - 3)].level : 0.05;
        EXPECT(fabs(v.confidence - (1 - level)) < 1e-9, "%g at %d seeds", v.confidence, n);
        EXPECT(decided == 0 || v.verdict == VERDICT_HOLDS, "undone at %d", n);
        EXPECT(v.done == (v.verdict != VERDICT_UNDECIDED || n == 8), "done at %d", n);
        if (v.verdict == VERDICT_HOLDS && !decided) decided = v.n;
        if (decided) EXPECT(v.n == decided, "decided with %d, then %d", decided, v.n);
    }
    EXPECT(decided > 3 && decided < 8, "decided at %d", decided);
    m.state[3] = SEED_LOST;
    m.trouble = "'B', seed 4: diverged";
    claim_verdict v = judged(a, LOOKS, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.done && v.looks == 1, "%s", v.why);
    arena_free(a);
}

/* What a look has decided stays, also where the seeds behind it bring the mean back to the edge to
 * the digit, or beyond it. */
static void decided_before_a_tie(void)
{
    static const double ends[] = {0.2525, 0.4}; /* the sum of the five gains before, and more */
    arena *a = arena_new(0);
    for (int k = 0; k < 2; k++) {
        judged_figures m = {.seeds = 8};
        for (int i = 0; i < 6; i++) {
            m.b[i] = 2;
            m.a[i] = i < 5 ? 2 - 0.05 - 0.00025 * i : 2 + ends[k];
            if (i >= 5) m.state[i] = SEED_AWAITED;
        }
        m.state[6] = m.state[7] = SEED_AWAITED;
        claim_verdict before = judged(a, LOOKS, &m);
        m.state[5] = SEED_HERE;
        claim_verdict v = judged(a, LOOKS, &m);
        EXPECT(before.verdict == VERDICT_HOLDS && v.looks == 4, "%s", verdict_name(before.verdict));
        EXPECT(v.verdict == VERDICT_HOLDS && v.n == before.n && v.towards == TOWARDS_HOLDS &&
                   v.done,
               "%d: %s with %d seeds, p %g", k, verdict_name(v.verdict), v.n, v.p_holm);
    }
    arena_free(a);
}

/* At the last look all that is left is spent: with one look it is the plain test, to the digit. */
static void last_look(void)
{
    static const char ONE[] = "[{name: c, better: A, than: B, by: 0 bits/byte, "
                              "looks: {at least: 3, at most: 3, spending: obrien-fleming}}]";
    arena *a = arena_new(0);
    judged_figures m = {.seeds = 3, .a = {2, 2, 2}};
    for (int k = -1; k <= 1; k += 2) {
        /* t(2) of 0.05 is 4.30265: of gains 1 - x, 1, 1 + x the t is sqrt(3) / x. */
        double x = sqrt(3) / stats_t_quantile(0.975, 2) * (1 + 1e-6 * k);
        for (int i = 0; i < 3; i++) {
            m.b[i] = m.a[i] + 1 + (i - 1) * x;
        }
        claim_verdict v = judged(a, ONE, &m), plain = judged(a, BETTER, &m);
        verdict wanted = k < 0 ? VERDICT_HOLDS : VERDICT_UNDECIDED;
        EXPECT(plain.verdict == wanted && v.verdict == wanted && v.done, "%d: %s, %s: p %.9g", k,
               verdict_name(plain.verdict), verdict_name(v.verdict), v.p_holm);
    }
    arena_free(a);
}

const test_suite test_claims_looks = {"results/claims_looks",
                                      {{"looks_that_are_none", looks_that_are_none},
                                       {"look_by_look", look_by_look},
                                       {"decided_before_a_tie", decided_before_a_tie},
                                       {"last_look", last_look},
                                       {0}}};
