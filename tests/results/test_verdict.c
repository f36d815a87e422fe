/* What is called a difference, and how often chance alone is. */
#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/compare/compare.h"
#include "results/compare/compare_print.h"
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
        char text[512];
        compare_print_verdict(text, &c, 1);
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

extern const test_suite test_verdict;
const test_suite test_verdict = {"results/verdict",
                                 {{"identical_variants", identical_variants}, {"sure", sure}, {0}}};
