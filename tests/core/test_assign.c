/* Balanced assignment against brute force, and the auction against the exact solver. */
#include "core/ops/assign.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

static unsigned next_word;

static real draw(void)
{
    next_word = next_word * 1664525u + 1013904223u;
    return (real)(next_word >> 8) / (real)(1 << 24);
}

static void fill(real *scores, int64_t n, unsigned seed)
{
    next_word = seed;
    for (int64_t i = 0; i < n; i++) {
        scores[i] = draw() - (real)0.5;
    }
}

/* The best total over all assignments whose loads differ by at most one. */
static double brute_force(const real *scores, int tokens, int experts, int token, int *load)
{
    int base = tokens / experts, spare = tokens % experts;
    if (token == tokens) {
        int over = 0;
        for (int e = 0; e < experts; e++) {
            if (load[e] < base || load[e] > base + 1) return -1e9;
            over += load[e] > base;
        }
        return over == spare ? 0 : -1e9;
    }
    double best = -1e9;
    for (int e = 0; e < experts; e++) {
        if (load[e] > base) continue;
        load[e]++;
        double total = (double)scores[token * experts + e] +
                       brute_force(scores, tokens, experts, token + 1, load);
        load[e]--;
        best = MAX(best, total);
    }
    return best;
}

static void loads_differ_by_one(const int32_t *expert, int64_t tokens, int64_t experts)
{
    int64_t *load = calloc((size_t)experts, sizeof *load);
    for (int64_t i = 0; i < tokens; i++) {
        EXPECT(expert[i] >= 0 && expert[i] < experts, "token %lld: %d", (long long)i, expert[i]);
        load[expert[i]]++;
    }
    for (int64_t e = 0; e < experts; e++) {
        EXPECT(load[e] >= tokens / experts && load[e] <= (tokens + experts - 1) / experts,
               "expert %lld has %lld of %lld tokens", (long long)e, (long long)load[e],
               (long long)tokens);
    }
    free(load);
}

static void exact_is_optimal(void)
{
    arena *a = arena_new(0);
    for (unsigned seed = 1; seed <= 60; seed++) {
        int experts = 2 + (int)(seed % 3), tokens = 3 + (int)(seed % 6);
        real scores[64];
        int32_t expert[16];
        int load[8] = {0};
        fill(scores, tokens * experts, seed);
        assign_exact(expert, scores, tokens, experts, a);
        loads_differ_by_one(expert, tokens, experts);
        double best = brute_force(scores, tokens, experts, 0, load);
        double got = assign_total(expert, scores, tokens, experts);
        EXPECT(fabs(got - best) < 1e-9, "seed %u: %d tokens, %d experts: %.12g, best %.12g", seed,
               tokens, experts, got, best);
    }
    arena_free(a);
}

static void auction_is_within_its_bound(void)
{
    arena *a = arena_new(0);
    const int64_t sizes[][2] = {{64, 8}, {100, 7}, {512, 16}, {5, 8}, {40, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t tokens = sizes[i][0], experts = sizes[i][1];
        real *scores = malloc((size_t)(tokens * experts) * sizeof *scores);
        int32_t *expert = malloc((size_t)tokens * sizeof *expert);
        fill(scores, tokens * experts, 7 + (unsigned)i);
        assign_exact(expert, scores, tokens, experts, a);
        loads_differ_by_one(expert, tokens, experts);
        double best = assign_total(expert, scores, tokens, experts);
        double gap = assign_auction(expert, scores, tokens, experts, 1e-3, a);
        loads_differ_by_one(expert, tokens, experts);
        double got = assign_total(expert, scores, tokens, experts);
        /* The bound is a proof: the true gap is never larger (1e-6: sums of float scores). */
        EXPECT(best - got <= gap + 1e-6, "%lld x %lld: gap %g, said %g", (long long)tokens,
               (long long)experts, best - got, gap);
        EXPECT(tokens % experts != 0 || gap <= 1e-3 * (double)tokens * 1.01 + 1e-6, "gap %g", gap);
        free(scores);
        free(expert);
    }
    arena_free(a);
}

/* Tokens that all score alike, and far from 1: every cycle costs nothing but rounding. */
static void equal_tokens(void)
{
    enum { TOKENS = 13, EXPERTS = 16, SETS = 20 };
    static real scores[TOKENS * EXPERTS];
    int32_t expert[TOKENS];
    arena *scratch = arena_new(0);
    for (unsigned set = 0; set < SETS; set++) {
        fill(scores, TOKENS * EXPERTS, set + 1);
        for (int i = 0; i < TOKENS * EXPERTS; i++) {
            scores[i] = 10000 * (set % 2 ? scores[i % EXPERTS] : scores[i]);
        }
        for (int i = 0; i < EXPERTS && set % 2; i++) {
            scores[i] *= 1 + (real)0.1 * scores[i]; /* the first token is another */
        }
        assign_exact(expert, scores, TOKENS, EXPERTS, scratch);
        loads_differ_by_one(expert, TOKENS, EXPERTS);
        assign_auction(expert, scores, TOKENS, EXPERTS, 1e-4, scratch);
        loads_differ_by_one(expert, TOKENS, EXPERTS);
    }
    arena_free(scratch);
}

/* Every token wants the same experts most, and by much; of two that all want alike, prices rise
 * step by step over all of the range. And scores beside which a step is lost to rounding. Either
 * once bid without an end in sight. */
static void fine_steps_end(void)
{
    enum { TOKENS = 40, EXPERTS = 16, LADDER = 0, FLAT = 1, TWO = 2 };
    static const double SCALES[] = {1, 1e20};
    static real scores[TOKENS * EXPERTS];
    int32_t expert[TOKENS];
    arena *scratch = arena_new(0);
    for (size_t k = 0; k < sizeof SCALES / sizeof *SCALES; k++) {
        for (int kind = LADDER; kind <= TWO; kind++) {
            fill(scores, TOKENS * EXPERTS, 3);
            for (int i = 0; i < TOKENS * EXPERTS; i++) {
                double own = kind == LADDER ? 1e-3 * (double)scores[i] : 0;
                double same = kind == FLAT ? 1 : (double)(i % EXPERTS);
                if (kind == TWO) same = i % EXPERTS < 2 ? EXPERTS : 0;
                scores[i] = (real)(SCALES[k] * (same + own));
            }
            assign_exact(expert, scores, TOKENS, EXPERTS, scratch);
            double best = assign_total(expert, scores, TOKENS, EXPERTS);
            double gap = assign_auction(expert, scores, TOKENS, EXPERTS, 1e-9, scratch);
            loads_differ_by_one(expert, TOKENS, EXPERTS);
            double off = best - assign_total(expert, scores, TOKENS, EXPERTS);
            /* 1e-12: sums of 40 scores of up to 16. */
            EXPECT(off <= gap + 1e-12 * 16 * TOKENS * SCALES[k], "gap %g, said %g", off, gap);
        }
    }
    arena_free(scratch);
}

const test_suite test_assign = {"core/assign",
                                {{"exact_is_optimal", exact_is_optimal},
                                 {"auction_is_within_its_bound", auction_is_within_its_bound},
                                 {"equal_tokens", equal_tokens},
                                 {"fine_steps_end", fine_steps_end},
                                 {0}}};
