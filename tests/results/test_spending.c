/* Group-sequential levels: published bounds, GSL's normal quantiles, error rates by simulation. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/claims/spending.h"
#include "results/compare/stats.h"
#include "tests/test.h"

static void normal_against_gsl(void)
{
    void *blas = dlopen("libgslcblas.so.0", RTLD_NOW | RTLD_GLOBAL);
    void *gsl = blas ? dlopen("libgsl.so.27", RTLD_NOW) : NULL;
    void *symbol = gsl ? dlsym(gsl, "gsl_cdf_ugaussian_Pinv") : NULL;
    double (*inverse)(double);
    if (!symbol) {
        test_skip("no libgsl.so.27");
        return;
    }
    memcpy(&inverse, &symbol, sizeof inverse);
    const double ps[] = {1e-14, 1e-6, 0.0125, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999};
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
        double got = spending_normal_quantile(ps[i]), expected = inverse(ps[i]);
        EXPECT(fabs(got - expected) < 1e-9 * (1 + fabs(expected)), "p %g: %.15g, not %.15g", ps[i],
               got, expected);
        EXPECT(fabs(spending_normal(got) - ps[i]) < 1e-12, "p %g comes back as %g", ps[i],
               spending_normal(got));
    }
}

/* What is left to the first look has been tabulated: of five equally spaced ones at 5 %, two-sided,
 * bounds of 4.877 (O'Brien and Fleming's form) and 2.438 (Pocock's). */
static void first_look(void)
{
    static const double z[] = {4.877, 2.438};
    arena *a = arena_new(0);
    for (int s = 0; s < 2; s++) {
        double level[9];
        const spending_plan *plan = spending_plan_new(a, (spending)s, 2, 10);
        spending_levels(level, plan, 0.05, 9);
        EXPECT(fabs(-spending_normal_quantile(level[0] / 2) - z[s]) < 2e-3, "%s: %g",
               spending_title((spending)s), level[0]);
        for (int k = 0; k < 9; k++) {
            EXPECT(level[k] > 0 && level[k] < 0.05, "look %d: %g", k, level[k]);
        }
        spending_levels(level, spending_plan_new(a, (spending)s, 7, 7), 0.05, 1);
        EXPECT(fabs(level[0] - 0.05) < 1e-12, "one look is a test: %.15g", level[0]);
    }
    arena_free(a);
}

static void spends_all(void)
{
    for (int s = 0; s < 2; s++) {
        EXPECT(spending_spent((spending)s, 0.05, 0) == 0, "%d", s);
        EXPECT(fabs(spending_spent((spending)s, 0.05, 1) - 0.05) < 1e-15, "%d", s);
        EXPECT(spending_spent((spending)s, 0.05, 0.4) < spending_spent((spending)s, 0.05, 0.6),
               "%d", s);
    }
}

/* The p of a sequence is the level at which its first decision falls. */
static void sequence_p(void)
{
    const double p[] = {0.2, 0.2, 0.004, 0.3}, one[] = {0.03};
    double level[4];
    arena *a = arena_new(0);
    const spending_plan *plan = spending_plan_new(a, SPEND_POCOCK, 3, 8);
    double whole = spending_p(plan, p, 4);
    spending_levels(level, plan, whole, 3);
    EXPECT(fabs(level[2] / p[2] - 1) < 1e-3, "level %g at the p of %g", level[2], p[2]);
    EXPECT(whole > p[2] && whole < 10 * p[2], "%g", whole);
    EXPECT(spending_decides(plan, 1.01 * whole, p, 4) == 2 &&
               spending_decides(plan, 0.99 * whole, p, 4) == -1,
           "%g", whole);
    whole = spending_p(spending_plan_new(a, SPEND_OBRIEN_FLEMING, 5, 5), one, 1);
    EXPECT(fabs(whole / 0.03 - 1) < 1e-3, "one look: %g", whole);
    arena_free(a);
}

static double normal_draw(rng_key key, uint64_t *draw)
{
    double u = rng_uniform(key, (*draw)++), v = rng_uniform(key, (*draw)++);
    return sqrt(-2 * log(fmax(u, 1e-300))) * cos(2 * acos(-1.0) * v);
}

/* The first look at which a sweep without any difference decides; -1: none, as it should. */
static int false_decision(const double *level, int least, int most, rng_key key, uint64_t *draw)
{
    double d[SPENDING_SEEDS];
    for (int n = 1; n <= most; n++) {
        d[n - 1] = normal_draw(key, draw);
        if (n < least) continue;
        if (stats_p(stats_mean(d, n, 0.95)) <= level[n - least]) return n;
    }
    return -1;
}

/* Sweeps of 3 to 12 seeds without any difference, looked at after each, decide wrongly at the
 * nominal 5 %: within four standard errors of the binomial. LOCI_SWEEPS: how many. */
static void keeps_the_level(void)
{
    const char *asked = getenv("LOCI_SWEEPS");
    const int sweeps = asked ? atoi(asked) : 400, least = 3, most = 12;
    arena *a = arena_new(0);
    for (int s = 0; s < 2; s++) {
        double level[SPENDING_SEEDS];
        spending_levels(level, spending_plan_new(a, (spending)s, least, most), 0.05,
                        most - least + 1);
        rng_key key = {.place = rng_place(s ? "pocock sweeps" : "obrien sweeps")};
        uint64_t draw = 0;
        int wrong = 0;
        for (int i = 0; i < sweeps; i++) {
            wrong += false_decision(level, least, most, key, &draw) >= 0;
        }
        double share = (double)wrong / sweeps, error = sqrt(0.05 * 0.95 / sweeps);
        EXPECT(fabs(share - 0.05) < 4 * error, "%s: %d of %d sweeps decide wrongly",
               spending_title((spending)s), wrong, sweeps);
        if (asked) printf("%s: %d of %d\n", spending_title((spending)s), wrong, sweeps);
    }
    arena_free(a);
}

const test_suite test_spending = {"results/spending",
                                  {{"normal_against_gsl", normal_against_gsl},
                                   {"first_look", first_look},
                                   {"spends_all", spends_all},
                                   {"sequence_p", sequence_p},
                                   {"keeps_the_level", keeps_the_level},
                                   {0}}};
