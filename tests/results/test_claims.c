/* Verdicts on simulated results whose truth is known. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/compare/stats.h"
#include "tests/support/judged.h"
#include "tests/test.h"

static const char BETTER[] = "[{name: c, better: A, than: B, by: 0 bits/byte}]";

/* A gain of 0.04, 0.05, 0.06 over a seed's luck that both share. */
static const judged_figures EFFECT = {3, {2.26, 2.15, 2.34}, {2.30, 2.20, 2.40}, {0}, NULL};

static void known_effect(void)
{
    arena *a = arena_new(0);
    claim_verdict v = judged(a, BETTER, &EFFECT);
    const judgement *j = &v.statements[0];
    EXPECT(v.verdict == VERDICT_HOLDS && v.n == 3, "%s, n %d", verdict_name(v.verdict), v.n);
    /* t = 0.05 / (0.01 / sqrt 3) with 2 degrees of freedom: 8.66; p = 1 - t / sqrt(t^2 + 2). */
    double t = 0.05 / (0.01 / sqrt(3)), p = 1 - t / sqrt(t * t + 2);
    EXPECT(fabs(j->p / p - 1) < 1e-6 && v.p_holm == v.p, "p %g, not %g", j->p, p);
    EXPECT(fabs(j->estimate - 0.05) < 1e-12, "%g", j->estimate);
    double half = 4.30265272975 * 0.01 / sqrt(3);
    EXPECT(fabs(j->low - (0.05 - half)) < 1e-9 && fabs(j->high - (0.05 + half)) < 1e-9, "%g to %g",
           j->low, j->high);
    EXPECT(v.needed == 0 && !*v.why && v.done, "%s", v.why);
    arena_free(a);
}

static void no_effect(void)
{
    const judged_figures m = {4, {2.31, 2.19, 2.41, 2.29}, {2.30, 2.20, 2.40, 2.30}, {0}, NULL};
    arena *a = arena_new(0);
    claim_verdict v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.p > 0.9 && v.needed == 0, "%s, p %g, %d",
           verdict_name(v.verdict), v.p, v.needed);
    v = judged(a, "[{name: c, variant: A, within: 0.05 bits/byte, of: B}]", &m);
    EXPECT(v.verdict == VERDICT_HOLDS, "within 0.05: %s, p %g", verdict_name(v.verdict), v.p);
    v = judged(a, "[{name: c, variant: A, within: 0.01 bits/byte, of: B}]", &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.needed > 4, "within 0.01: %s, needs %d",
           verdict_name(v.verdict), v.needed);
    arena_free(a);
}

/* Seeds of one model are one, however often it says the same; and that losses agree, of models
 * that do not, is no proof that those of a further seed would. */
static void one_model(void)
{
    const judged_figures m = {4, {2.1, 2.1, 2.1, 2.1}, {2.2, 2.2, 2.2, 2.2}, {0}, NULL};
    arena *a = arena_new(0);
    claim_verdict v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_HOLDS && v.p == 0, "what no seed changes: %s, p %g",
           verdict_name(v.verdict), v.p);
    v = judged_losses(a, BETTER, &m, NULL);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.p == 0.125 && v.needed == 6,
           "measured: %s, p %g, needs %d", verdict_name(v.verdict), v.p, v.needed);
    v = judged_losses(a, BETTER, &m, (const bool[]){false, true, true, true});
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.n == 1 && v.p == 1 && strstr(v.why, "one model"),
           "one: %s, n %d, p %g: %s", verdict_name(v.verdict), v.n, v.p, v.why);
    /* Two models of four seeds. */
    const judged_figures two = {4, {2.11, 2.11, 2.1, 2.1}, {2.2, 2.2, 2.2, 2.2}, {0}, NULL};
    v = judged_losses(a, BETTER, &two, (const bool[]){false, true, false, true});
    EXPECT(v.n == 2 && v.p > 0.03, "two: n %d, p %g", v.n, v.p);
    arena_free(a);
}

static void wrong_sign(void)
{
    arena *a = arena_new(0);
    claim_verdict v = judged(a, "[{name: c, better: B, than: A, by: 0 bits/byte}]", &EFFECT);
    EXPECT(v.verdict == VERDICT_HOLDS, "the figures are those of the first named");
    judged_figures m = EFFECT;
    memcpy(m.a, EFFECT.b, sizeof m.a);
    memcpy(m.b, EFFECT.a, sizeof m.b);
    v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_FAILS && fabs(v.p - judged(a, BETTER, &EFFECT).p) < 1e-12, "%s",
           verdict_name(v.verdict));
    v = judged(a, "[{name: c, variant: A, within: 0.01 bits/byte, of: B}]", &m);
    EXPECT(v.verdict == VERDICT_FAILS, "outside of the margin: %s", verdict_name(v.verdict));
    v = judged(a, "[{name: c, better: A, than: B, on: tokens_per_second}]", &m);
    EXPECT(v.verdict == VERDICT_HOLDS, "of speed more is better: %s", verdict_name(v.verdict));
    arena_free(a);
}

/* A margin that the interval excludes fails, though the sign is right. */
static void margins(void)
{
    arena *a = arena_new(0);
    claim_verdict v = judged(a, "[{name: c, better: A, than: B, by: 0.1 bits/byte}]", &EFFECT);
    EXPECT(v.verdict == VERDICT_FAILS, "%s", verdict_name(v.verdict));
    v = judged(a, "[{name: c, better: A, than: B, by: 0.045 bits/byte}]", &EFFECT);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.needed > 3, "%s, %d", verdict_name(v.verdict),
           v.needed);
    v = judged(a, "[{name: c, better: A, than: B, by: 1 %}]", &EFFECT);
    const judgement *j = &v.statements[0];
    EXPECT(v.verdict == VERDICT_HOLDS && fabs(j->estimate - (1 - 6.75 / 6.9)) < 1e-12, "%s, %g",
           verdict_name(v.verdict), j->estimate);
    EXPECT(j->low > 0.01 && j->edge == 0.01 && j->low < j->estimate && j->estimate < j->high,
           "%g to %g", j->low, j->high);
    v = judged(a, "[{name: c, better: A, than: B, by: 5 %}]", &EFFECT);
    EXPECT(v.verdict == VERDICT_FAILS, "%s", verdict_name(v.verdict));
    arena_free(a);
}

/* The interval of a ratio ends at the factors that are just decided. */
static void ratios(void)
{
    const judged_figures m = {4, {10.2, 11.1, 9.7, 10.4}, {9.1, 9.9, 9.4, 9.2}, {0}, NULL};
    arena *a = arena_new(0);
    claim_verdict v =
        judged(a, "[{name: c, variant: A, at most: 1, of: B, on: train_seconds}]", &m);
    double low = v.statements[0].low, high = v.statements[0].high;
    EXPECT(low > 1 && high < 1.3 && v.verdict == VERDICT_FAILS, "%g to %g", low, high);
    for (int i = 0; i < 2; i++) {
        char yaml[128];
        snprintf(yaml, sizeof yaml,
                 "[{name: c, variant: A, at most: %.17g, of: B, on: train_seconds}]",
                 i ? high : low);
        v = judged(a, yaml, &m);
        EXPECT(fabs(v.p - 0.05) < 1e-6, "p %g at the end", v.p);
        EXPECT(v.towards == (i ? TOWARDS_HOLDS : TOWARDS_FAILS), "%d", (int)v.towards);
    }
    /* Sizes are the same for every seed: what is exactly at the factor holds. */
    const judged_figures sizes = {3, {3e5, 3e5, 3e5}, {1e5, 1e5, 1e5}, {0}, NULL};
    v = judged(a, "[{name: c, variant: A, at most: 3, of: B, on: params}]", &sizes);
    EXPECT(v.verdict == VERDICT_HOLDS, "%s", verdict_name(v.verdict));
    v = judged(a, "[{name: c, variant: A, at most: 2.9, of: B, on: params}]", &sizes);
    EXPECT(v.verdict == VERDICT_FAILS, "%s", verdict_name(v.verdict));
    arena_free(a);
}

static void ties(void)
{
    const judged_figures m = {3, {2.3, 2.2, 2.4}, {2.3, 2.2, 2.4}, {0}, NULL};
    arena *a = arena_new(0);
    claim_verdict v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.p == 1 && v.needed == 0, "%s, p %g, %d",
           verdict_name(v.verdict), v.p, v.needed);
    v = judged(a, "[{name: c, variant: A, within: 0.001 bits/byte, of: B}]", &m);
    EXPECT(v.verdict == VERDICT_HOLDS, "%s", verdict_name(v.verdict));
    v = judged(a, "[{name: c, variant: A, rises with: position}]",
               &(judged_figures){2, {0, 0}, {0}, {0}, 0});
    EXPECT(v.verdict == VERDICT_UNDECIDED, "flat: %s", verdict_name(v.verdict));
    arena_free(a);
}

static void few_and_lost(void)
{
    arena *a = arena_new(0);
    judged_figures m = EFFECT;
    m.seeds = 1;
    claim_verdict v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "one seed"), "%s", v.why);
    EXPECT(fabs(v.statements[0].estimate - 0.04) < 1e-12 && isnan(v.statements[0].low), "shown");
    v = judged(a, "[{name: c, variant: A, at most: 3, of: B, on: params}]", &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED, "one seed of a cost: %s", verdict_name(v.verdict));
    m = EFFECT;
    m.state[1] = SEED_AWAITED;
    v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "2 of 3 seeds"), "%s", v.why);
    EXPECT(v.n == 2, "%d", v.n);
    m.state[1] = SEED_LOST;
    m.trouble = "'A', seed 2: diverged";
    v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "diverged"), "%s", v.why);
    m.state[1] = SEED_WITHOUT;
    m.trouble = "'A', seed 2: has no recall";
    v = judged(a, BETTER, &m);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "no recall"), "%s", v.why);
    arena_free(a);
}

static void several_statements(void)
{
    static const char yaml[] =
        "[{name: c, all: [{better: A, than: B, by: 0 bits/byte}, {variant: A, at most: 2, of: B, "
        "on: params}]}]";
    judged_figures m[2] = {EFFECT, {3, {150, 150, 150}, {100, 100, 100}, {0}, NULL}};
    arena *a = arena_new(0);
    claim_verdict v = judged(a, yaml, m);
    EXPECT(v.verdict == VERDICT_HOLDS && v.worst == 0 && v.p == v.statements[0].p, "%s by %d",
           verdict_name(v.verdict), v.worst);
    for (int i = 0; i < 3; i++) {
        m[1].a[i] = 250;
    }
    v = judged(a, yaml, m);
    EXPECT(v.verdict == VERDICT_FAILS && v.worst == 1, "%s by %d", verdict_name(v.verdict),
           v.worst);
    const judged_figures noise = {4, {2.31, 2.19, 2.41, 2.29}, {2.30, 2.20, 2.40, 2.30}, {0}, NULL};
    m[0] = noise;
    m[1] = (judged_figures){4, {150, 150, 150, 150}, {100, 100, 100, 100}, {0}, NULL};
    v = judged(a, yaml, m);
    EXPECT(v.verdict == VERDICT_UNDECIDED, "%s", verdict_name(v.verdict));
    arena_free(a);
}

/* ---- by document ---- */

static const char BY_DOCUMENT[] =
    "[{name: c, better: A, than: B, by: 0 bits/byte, unit: documents}]";

enum { DOCUMENTS = 6, SEEDS = 2 };

/* Figures of six documents by two seeds. */
static claim_verdict judge_documents(arena *a, const char *yaml, const double *of_a,
                                     const double *of_b, int seeds)
{
    static const seed_state HERE[SEEDS] = {SEED_HERE};
    claim_verdict v = {0};
    claim_list *l = judged_claims(a, yaml);
    if (!l) return v;
    statement_evidence s = {
        .seeds = seeds, .documents = DOCUMENTS, .state = HERE, .a = of_a, .b = of_b};
    const claim_evidence x = {&l->claims[0], &s};
    verdict_judge(a, &v, &x, 1);
    return v;
}

/* Gains of 0.01 to 0.06 in the mean over the two seeds: mean 0.035, standard deviation 0.0187,
 * t = 0.035 / (0.0187083 / sqrt 6) = 4.5826 with 5 degrees of freedom. */
static void by_document(void)
{
    static const double of_b[] = {2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5};
    double of_a[2 * DOCUMENTS];
    for (int i = 0; i < DOCUMENTS; i++) {
        of_a[i] = of_b[i] - 0.01 * (i + 1) - 0.002;
        of_a[DOCUMENTS + i] = of_b[DOCUMENTS + i] - 0.01 * (i + 1) + 0.002;
    }
    arena *a = arena_new(0);
    claim_verdict v = judge_documents(a, BY_DOCUMENT, of_a, of_b, 2);
    const judgement *j = &v.statements[0];
    double error = sqrt(3.5e-4 / 6), t = 0.035 / error, p = 2 * (1 - stats_t_cdf(t, 5));
    EXPECT(v.verdict == VERDICT_HOLDS && v.documents == 6 && v.n == 2, "%s, %d of %d seeds",
           verdict_name(v.verdict), v.documents, v.n);
    EXPECT(fabs(t - 4.58258) < 1e-5 && fabs(j->p / p - 1) < 1e-6, "t %g, p %g, not %g", t, j->p, p);
    EXPECT(fabs(j->estimate - 0.035) < 1e-12 && fabs(j->low - (0.035 - 2.5705818 * error)) < 1e-7,
           "%g from %g", j->estimate, j->low);
    /* Six documents of one model say nothing of another training. */
    v = judge_documents(a, BY_DOCUMENT, of_a, of_b, 1);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "one seed"), "%s, %s",
           verdict_name(v.verdict), v.why);
    /* 0.035 is beyond 0.03 for these six and not surely for others. */
    v = judge_documents(a, "[{name: c, better: A, than: B, by: 0.03 bits/byte, unit: documents}]",
                        of_a, of_b, 2);
    EXPECT(v.verdict == VERDICT_UNDECIDED && v.needed > 6, "%s, %d documents",
           verdict_name(v.verdict), v.needed);
    v = judge_documents(a, "[{name: c, better: A, than: B, by: 0.1 bits/byte, unit: documents}]",
                        of_a, of_b, 2);
    EXPECT(v.verdict == VERDICT_FAILS, "%s", verdict_name(v.verdict));
    arena_free(a);
}

/* A seed gains 0.1 in every document, the other one loses 0.02: their means say nothing but what
 * became of two trainings. */
static void seeds_disagree(void)
{
    double of_a[2 * DOCUMENTS], of_b[2 * DOCUMENTS];
    for (int i = 0; i < 2 * DOCUMENTS; i++) {
        of_b[i] = 2 + 0.1 * i;
        of_a[i] = of_b[i] - (i < DOCUMENTS ? 0.1 : -0.02) + 0.001 * (i % 3);
    }
    arena *a = arena_new(0);
    claim_verdict v = judge_documents(a, BY_DOCUMENT, of_a, of_b, 2);
    EXPECT(v.verdict == VERDICT_UNDECIDED && strstr(v.why, "do not agree") && v.needed == 0,
           "%s, %s, %d", verdict_name(v.verdict), v.why, v.needed);
    EXPECT(v.statements[0].p < 1e-6, "the means alone: p %g", v.statements[0].p);
    arena_free(a);
}

/* Documents without any difference decide wrongly at the level: of 1,000, four standard errors are
 * 28. */
static void documents_keep_the_level(void)
{
    enum { TRIALS = 1000 };
    rng_key key = {.place = rng_place("documents")};
    uint64_t draw = 0;
    int wrong = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        arena *a = arena_new(1 << 16);
        double of_a[2 * DOCUMENTS], of_b[2 * DOCUMENTS];
        for (int i = 0; i < DOCUMENTS; i++) {
            double text = rng_normal(key, draw++); /* which both seeds' models meet */
            for (int k = 0; k < 2; k++) {
                of_b[k * DOCUMENTS + i] = 2 + 0.1 * i;
                of_a[k * DOCUMENTS + i] =
                    2 + 0.1 * i + 0.01 * text + 0.002 * rng_normal(key, draw++);
            }
        }
        wrong += judge_documents(a, BY_DOCUMENT, of_a, of_b, 2).verdict != VERDICT_UNDECIDED;
        arena_free(a);
    }
    EXPECT(abs(wrong - TRIALS / 20) < 28, "%d of %d decide", wrong, TRIALS);
}

/* All claims of an experiment are one family: one of p 0.03 does not stand beside two of noise. */
static void family(void)
{
    static const char yaml[] = "[{name: x, better: A, than: B}, {name: y, better: A, than: B}, "
                               "{name: z, better: A, than: B}]";
    const judged_figures clear = {3, {2.265, 2.15, 2.335}, {2.30, 2.20, 2.40}, {0}, NULL};
    const judged_figures noise = {3, {2.31, 2.19, 2.41}, {2.30, 2.20, 2.40}, {0}, NULL};
    arena *a = arena_new(0);
    claim_list *l = judged_claims(a, yaml);
    const judged_figures *all[] = {&clear, &noise, &noise};
    claim_evidence x[3];
    claim_verdict v[3];
    for (int i = 0; i < 3; i++) {
        statement_evidence *s = ARENA_NEW(a, statement_evidence, 1);
        *s = (statement_evidence){
            .seeds = 3, .state = all[i]->state, .a = all[i]->a, .b = all[i]->b};
        x[i] = (claim_evidence){&l->claims[i], s};
    }
    verdict_judge(a, v, x, 1);
    EXPECT(v[0].verdict == VERDICT_HOLDS && v[0].p > 0.05 / 3, "alone: %s, p %g",
           verdict_name(v[0].verdict), v[0].p);
    verdict_judge(a, v, x, 3);
    EXPECT(v[0].verdict == VERDICT_UNDECIDED && fabs(v[0].p_holm - 3 * v[0].p) < 1e-12, "%g",
           v[0].p_holm);
    EXPECT(v[0].needed > 3 && v[0].needed < 10, "%d", v[0].needed);
    arena_free(a);
}

/* Names and the order of seeds say nothing. */
static void names_and_order(void)
{
    static const char renamed[] = "[{name: other, better: a long name, than: 0, by: 0 bits/byte}]";
    rng_key key = {.place = rng_place("claims")};
    uint64_t draw = 0;
    for (int trial = 0; trial < 100; trial++) {
        arena *a = arena_new(1 << 16);
        judged_figures m = {.seeds = 5}, turned = {.seeds = 5};
        for (int i = 0; i < 5; i++) {
            double luck = rng_uniform(key, draw++);
            m.a[i] = 2 + 0.1 * luck - 0.02 * rng_uniform(key, draw++);
            m.b[i] = 2 + 0.1 * luck - 0.01 * rng_uniform(key, draw++);
        }
        for (int i = 0; i < 5; i++) {
            turned.a[i] = m.a[(2 * i + 1) % 5];
            turned.b[i] = m.b[(2 * i + 1) % 5];
        }
        claim_verdict x = judged(a, BETTER, &m), y = judged(a, renamed, &turned);
        EXPECT(x.verdict == y.verdict && fabs(x.p - y.p) < 1e-9 && x.needed == y.needed,
               "trial %d: p %g and %g", trial, x.p, y.p);
        arena_free(a);
    }
}

/* Seeds that a paired t-test takes for a power of 0.8 at 5 %, as tables of it have them. */
static void units_needed(void)
{
    EXPECT(stats_enough(1, 0.05) == 10, "%d", stats_enough(1, 0.05));
    EXPECT(stats_enough(0.5, 0.05) == 34, "%d", stats_enough(0.5, 0.05));
    EXPECT(stats_enough(0, 0.05) == 0 && stats_enough((double)NAN, 0.05) == 0, "none");
}

/* A recorded claim reads back as the one that was written. */
static void written_again(void)
{
    static const char yaml[] =
        "- {name: a, says: x, source: y, page: z.md, better: A, than: B, by: 0.02 bits/byte, "
        "split: "
        "test}\n"
        "- {name: b, all: [{variant: A, at most: 0.33, of: B, on: evaluation_flops}, {variant: "
        "A, within: 2 %, of: B, on: params}]}\n"
        "- {name: c, rises with: experts, variants: [A, B, C], over: D}\n"
        "- {name: d, variant: A, falls with: position, over: B, slice: {position: 16-1023}}\n"
        "- {name: e, better: A, than: B, slice: {repetition: 0}, by: 0.1 bits per token}\n"
        "- {name: j, better: A, than: B, unit: documents}\n"
        "- {name: g, variant: A, rises with: depth, on: inspect.values.agreement}\n"
        "- {name: h, variant: A, on: inspect.keys.x, above: inspect.keys.y, by: 2 %}\n"
        "- {name: i, variant: A, on: inspect.keys.x, above: 0.5}\n"
        "- {name: f, better: A, than: B, on: recall, distance: 4096, by: 5 points}\n";
    arena *a = arena_new(0);
    claim_list *l = judged_claims(a, yaml);
    for (int i = 0; l && i < l->count; i++) {
        node *list = node_list(a);
        node_append(a, list, claim_node(a, &l->claims[i]));
        const char *once = node_json(a, list, true);
        claim_list *again = judged_claims(a, once);
        if (!again) continue;
        node *other = node_list(a);
        node_append(a, other, claim_node(a, &again->claims[0]));
        EXPECT(strcmp(once, node_json(a, other, true)) == 0, "%s", once);
    }
    arena_free(a);
}

const test_suite test_claims = {"results/claims",
                                {{"known_effect", known_effect},
                                 {"no_effect", no_effect},
                                 {"one_model", one_model},
                                 {"wrong_sign", wrong_sign},
                                 {"margins", margins},
                                 {"ratios", ratios},
                                 {"ties", ties},
                                 {"few_and_lost", few_and_lost},
                                 {"several_statements", several_statements},
                                 {"by_document", by_document},
                                 {"seeds_disagree", seeds_disagree},
                                 {"documents_keep_the_level", documents_keep_the_level},
                                 {"family", family},
                                 {"names_and_order", names_and_order},
                                 {"units_needed", units_needed},
                                 {"written_again", written_again},
                                 {0}}};
