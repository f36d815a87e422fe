/* What is called a difference, and how often chance alone is. */
#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/compare/compare_json.h"
#include "results/compare/compare_table.h"
#include "results/compare/compare_verdict.h"
#include "tests/test.h"

/* A variant that is the baseline but for its seeds' luck: 'within noise' in 95 % of sweeps. Of
 * 2000, four standard errors are 4 sqrt(0.95 * 0.05 / 2000) = 0.0195. */
static void identical_variants(void)
{
    enum { SWEEPS = 2000, SEEDS = 4 };
    compared_variant list[2] = {{.label = "a", .is_baseline = true}, {.label = "b"}};
    comparison c = {
        .count = 2, .variants = list, .metric = COMPARE_BITS_PER_BYTE, .comparisons = 1};
    rng_key key = {.seed = 11};
    uint64_t draw = 0;
    int noise = 0;
    for (int k = 0; k < SWEEPS; k++) {
        double x[SEEDS], y[SEEDS];
        for (int i = 0; i < SEEDS; i++) {
            x[i] = 2.3 + 0.01 * rng_normal(key, draw++);
            y[i] = 2.3 + 0.01 * rng_normal(key, draw++);
        }
        list[1].difference = stats_paired(x, y, SEEDS, STATS_CONFIDENCE);
        list[1].p = list[1].p_holm = stats_p(list[1].difference);
        char text[COMPARE_VERDICT_BYTES];
        compare_verdict(text, &c, 1);
        noise += strstr(text, "within noise") != NULL;
    }
    EXPECT(fabs(noise / (double)SWEEPS - 0.95) < 0.0195, "%d of %d", noise, SWEEPS);
}

/* What table, plots and report call a difference. */
static void sure(void)
{
    compared_variant v = {.difference = {.n = 3, .mean = -0.1, .sd = 0.02, .half = 0.05},
                          .p_holm = 0.03};
    EXPECT(compare_sure(&v), "beyond chance");
    v.p_holm = 0.09;
    EXPECT(!compare_sure(&v), "its interval alone is beyond 0");
    v.p_holm = 0.03;
    v.difference.half = 0.2;
    EXPECT(!compare_sure(&v), "0 is inside");
}

/* The same rule as for claims, with a power of 0.8: (t(0.975) + t(0.8))^2 <= n 0.8^2 is first met
 * by 15: (2.145 + 0.868)^2 = 9.08 <= 9.6; of 14: (2.160 + 0.870)^2 = 9.18 > 8.96. */
static void too_few_seeds(void)
{
    estimate d = {.n = 2, .mean = -0.8, .sd = 1};
    EXPECT(stats_enough(0.8, 0.05) == 15, "%d", stats_enough(0.8, 0.05));
    EXPECT(stats_enough((double)NAN, 0.05) == 0 && stats_enough(1e-3, 0.05) == 0, "none");
    d.half = 9;
    compared_variant list[2] = {{.label = "a", .is_baseline = true},
                                {.label = "b", .difference = d, .p = 0.5, .p_holm = 0.5}};
    comparison c = {
        .count = 2, .variants = list, .metric = COMPARE_BITS_PER_BYTE, .comparisons = 1};
    char text[COMPARE_VERDICT_BYTES];
    compare_verdict(text, &c, 1);
    EXPECT(strstr(text, "2 seeds cannot decide; at this spread about 15 would (power 0.8)."), "%s",
           text);
    list[1].difference.mean = 1e-4;
    compare_verdict(text, &c, 1);
    EXPECT(strstr(text, "more than 10000 would be needed"), "%s", text);
}

/* Of a variant that breaks more often the seeds are left that suit it. */
static void lost_seeds(void)
{
    compared_variant list[2] = {{.label = "a", .is_baseline = true},
                                {.label = "b",
                                 .difference = {.n = 4, .mean = -0.5, .sd = 0.1, .half = 0.2},
                                 .p = 0.007,
                                 .p_holm = 0.007,
                                 .pairs = 8,
                                 .lost_pairs = 4}};
    comparison c = {
        .count = 2, .variants = list, .metric = COMPARE_BITS_PER_BYTE, .comparisons = 1};
    char text[COMPARE_VERDICT_BYTES];
    compare_verdict(text, &c, 1);
    EXPECT(strstr(text, "'b' seems better than 'a'") &&
               strstr(text, "4 of 8 seeds have no result, which may be why."),
           "%s", text);
    EXPECT(compare_clear(&list[1]) && !compare_sure(&list[1]), "called better");
    list[1].difference.sd = 0.44;
    list[1].difference.half = 0.7;
    compare_verdict(text, &c, 1);
    EXPECT(strstr(text, "within noise") && strstr(text, "4 of 8 seeds") &&
               !strstr(text, "cannot decide"),
           "%s", text);
    list[1].lost_pairs = 0;
    compare_verdict(text, &c, 1);
    EXPECT(!strstr(text, "no result") && strstr(text, "cannot decide"), "%s", text);
}

/* At equal cost a run is cut where its rate had not fallen yet: the sentence itself says so. */
static void before_the_fall(void)
{
    compared_run cut = {
        .scored = true, .falling = true, .from_step = 100, .to_step = 200, .last_step = 200};
    compared_run whole = {
        .scored = true, .falling = true, .from_step = 50, .to_step = 50, .last_step = 50};
    compared_variant list[2] = {
        {.label = "a", .is_baseline = true, .runs = &whole, .run_count = 1},
        {.label = "b", .runs = &cut, .run_count = 1, .difference = {.n = 1, .mean = 0.2}}};
    comparison c = {.count = 2,
                    .variants = list,
                    .metric = COMPARE_BITS_PER_BYTE,
                    .at = AT_FLOPS,
                    .at_amount = 1};
    static const char caveat[] = "Not at the end of its learning rate's fall, where it would do "
                                 "better: 'b' (step 100 of 200).";
    char text[COMPARE_VERDICT_BYTES];
    compare_verdict(text, &c, 1);
    EXPECT(strstr(text, "'b' did worse than 'a'") && strstr(text, caveat), "%s", text);
    cut.falling = false;
    compare_verdict(text, &c, 1);
    EXPECT(!strstr(text, "fall"), "%s", text);
}

/* Labels have no limit: the sentence is cut, perhaps within a letter, and is said all the same. */
static void long_labels(void)
{
    for (int odd = 0; odd < 2; odd++) {
        char label[2000] = "x";
        for (size_t i = (size_t)odd; i + 2 < sizeof label; i += 2) {
            memcpy(label + i, "\xc3\xa9", 3);
        }
        compared_variant list[2] = {{.label = "a", .is_baseline = true, .plan_label = "a"},
                                    {.label = label, .plan_label = "b"}};
        comparison c = {.experiment = "x",
                        .description = "",
                        .split = "",
                        .count = 2,
                        .variants = list,
                        .metric = COMPARE_BITS_PER_BYTE};
        arena *a = arena_new(0);
        json_t *o = compare_json(&c, compare_table(a, &c));
        const json_t *second = json_array_get(json_object_get(o, "variants"), 1);
        const char *text = json_get_text(second, "verdict");
        EXPECT(text && strlen(text) > 1300, "%s", text ? text : "no verdict");
        json_decref(o);
        arena_free(a);
    }
}

extern const test_suite test_verdict;
const test_suite test_verdict = {"results/verdict",
                                 {{"identical_variants", identical_variants},
                                  {"sure", sure},
                                  {"before_the_fall", before_the_fall},
                                  {"too_few_seeds", too_few_seeds},
                                  {"lost_seeds", lost_seeds},
                                  {"long_labels", long_labels},
                                  {0}}};
