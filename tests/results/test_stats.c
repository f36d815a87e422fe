/* Statistics: known values, GSL where it is installed, coverage by simulation. */
#include <dlfcn.h>
#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/compare/stats.h"
#include "tests/test.h"

static double relative(double got, double expected)
{
    return fabs(got - expected) / fmax(fabs(expected), 1e-300);
}

/* Table values of Student's t, upper 2.5 %, printed to 9 digits: 1e-9 is their rounding. */
static void quantile_known(void)
{
    static const struct {
        double df, t;
    } known[] = {{1, 12.7062047362}, {2, 4.30265272975}, {3, 3.18244630528},  {4, 2.7764451052},
                 {5, 2.57058183661}, {9, 2.26215716274}, {29, 2.04522964213}, {100, 1.98397151845}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double t = stats_t_quantile(0.975, known[i].df);
        EXPECT(relative(t, known[i].t) < 1e-9, "df %g: %.12g, not %.12g", known[i].df, t,
               known[i].t);
        EXPECT(relative(stats_t_quantile(0.025, known[i].df), -known[i].t) < 1e-9, "df %g",
               known[i].df);
    }
    /* One degree of freedom is Cauchy's: t(p) = tan(pi (p - 1/2)); two: closed form. */
    for (double p = 0.001; p < 1; p += 0.0499) {
        double pi = acos(-1), two = (2 * p - 1) * sqrt(2 / (4 * p * (1 - p)));
        EXPECT(fabs(stats_t_quantile(p, 1) - tan(pi * (p - 0.5))) < 1e-9 * (1 + 1 / p), "p %g", p);
        EXPECT(fabs(stats_t_quantile(p, 2) - two) < 1e-10 * (1 + fabs(two)), "p %g", p);
    }
}

static void quantile_inverts_cdf(void)
{
    const double dfs[] = {0.5, 1, 3, 10, 300, 1e6}, ps[] = {1e-12, 1e-4, 0.3, 0.5, 0.9, 0.999};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            double t = stats_t_quantile(ps[j], dfs[i]), p = stats_t_cdf(t, dfs[i]);
            /* lgamma of 5e5 costs 1e-10 of the front factor. */
            EXPECT(relative(p, ps[j]) < 1e-8, "df %g: p %g gives t %g gives %g", dfs[i], ps[j], t,
                   p);
        }
    }
    /* Many degrees of freedom: the normal distribution. */
    EXPECT(fabs(stats_t_quantile(0.975, 1e7) - 1.959963984540) < 1e-6, "far from normal");
}

static void beta_properties(void)
{
    for (double x = 0; x <= 1.0; x += 0.125) {
        EXPECT(fabs(stats_beta(1, 1, x) - x) < 1e-14, "uniform at %g", x);
        EXPECT(fabs(stats_beta(2.5, 7, x) + stats_beta(7, 2.5, 1 - x) - 1) < 1e-13,
               "symmetry at %g", x);
        EXPECT(fabs(stats_beta(3, 1, x) - x * x * x) < 1e-14, "power at %g", x);
    }
}

/* GSL is an oracle for tests only, so it is looked up where it happens to be. */
static void against_gsl(void)
{
    void *blas = dlopen("libgslcblas.so.0", RTLD_NOW | RTLD_GLOBAL);
    void *gsl = blas ? dlopen("libgsl.so.27", RTLD_NOW) : NULL;
    double (*beta)(double, double, double) = NULL, (*quantile)(double, double) = NULL;
    void *symbols[2] = {gsl ? dlsym(gsl, "gsl_cdf_beta_P") : NULL,
                        gsl ? dlsym(gsl, "gsl_cdf_tdist_Pinv") : NULL};
    if (!symbols[0] || !symbols[1]) {
        test_skip("no libgsl.so.27");
        return;
    }
    memcpy(&beta, &symbols[0], sizeof beta);
    memcpy(&quantile, &symbols[1], sizeof quantile);
    for (int i = 0; i < 400; i++) {
        /* GSL's own errors reach 1e-11 for large parameters. */
        double a = exp((i % 20) / 2.0 - 3), b = exp((i / 20) / 2.0 - 3), x = (i % 37 + 0.5) / 37;
        double got = stats_beta(a, b, x), expected = beta(x, a, b);
        EXPECT(fabs(got - expected) < 1e-10 * (expected + 1e-3), "I_%g(%g, %g) is %.15g, not %.15g",
               x, a, b, got, expected);
        double p = (i + 0.5) / 400, df = 1 + i % 40;
        EXPECT(fabs(stats_t_quantile(p, df) - quantile(p, df)) < 1e-8 * (1 + 1 / p + 1 / (1 - p)),
               "t(%g, %g)", p, df);
    }
    double (*sd)(const double *, size_t, size_t) = NULL;
    void *symbol = dlsym(gsl, "gsl_stats_sd");
    EXPECT(symbol, "no gsl_stats_sd");
    if (!symbol) return;
    memcpy(&sd, &symbol, sizeof sd);
    rng_key key = {.seed = 9};
    for (int n = 2; n < 40; n++) {
        double x[40];
        for (int i = 0; i < n; i++) {
            x[i] = 2 + rng_normal(key, (uint64_t)(n * 40 + i));
        }
        double half = quantile(0.975, n - 1) * sd(x, 1, (size_t)n) / sqrt((double)n);
        estimate e = stats_mean(x, n, 0.95);
        EXPECT(relative(e.half, half) < 1e-9, "the interval of %d: %g, not %g", n, e.half, half);
    }
}

static void mean_and_interval(void)
{
    const double x[] = {1, 2, 4, (double)NAN};
    estimate e = stats_mean(x, 4, 0.95);
    /* s^2 = 7/3; half = 4.302652729749 * sqrt(7/9) */
    EXPECT(e.n == 3 && fabs(e.mean - 7.0 / 3) < 1e-15, "n %d mean %g", e.n, e.mean);
    EXPECT(fabs(e.sd - sqrt(7.0 / 3)) < 1e-15, "sd %g", e.sd);
    EXPECT(fabs(e.half - 4.302652729749 * sqrt(7.0 / 9)) < 1e-10, "half %g", e.half);
    EXPECT(!stats_differs(e), "0 is inside");
    estimate one = stats_mean(x, 1, 0.95), none = stats_mean(x, 0, 0.95);
    EXPECT(one.n == 1 && one.mean == 1 && isnan(one.half), "one figure claims an interval");
    EXPECT(!stats_differs(one), "one figure claims a difference");
    EXPECT(none.n == 0 && isnan(none.mean), "a mean of nothing");
}

static void pairing(void)
{
    /* Seeds differ a lot, the pairs do not: that is what pairing is for. */
    const double x[] = {1.1, 5.1, 9.2, (double)NAN}, y[] = {1.0, 5.0, 9.0, 2.0};
    estimate e = stats_paired(x, y, 4, 0.95);
    EXPECT(e.n == 3 && fabs(e.mean - 0.4 / 3) < 1e-12, "n %d mean %g", e.n, e.mean);
    EXPECT(fabs(e.half - 4.302652729749 / 30) < 1e-10, "half %g", e.half);
    estimate self = stats_paired(y, y, 4, 0.95);
    EXPECT(self.mean == 0 && self.half == 0 && !stats_differs(self), "differs from itself");
}

/* 95 % of the intervals of 5 normal figures hold their mean: over 4000 draws the share is within
 * 4 standard deviations, 4 sqrt(0.95 * 0.05 / 4000) = 0.014. */
static void coverage(void)
{
    int hits = 0;
    for (int i = 0; i < 4000; i++) {
        double x[5];
        for (int j = 0; j < 5; j++) {
            /* Irwin and Hall's sum of 12 uniforms is normal enough here. */
            x[j] = 3;
            for (int k = 0; k < 12; k++) {
                uint64_t h = (uint64_t)((i * 5 + j) * 12 + k + 1) * 0x9E3779B97F4A7C15u;
                h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93u;
                x[j] += (double)((h ^ (h >> 29)) >> 11) / 9007199254740992.0 - 0.5;
            }
        }
        estimate e = stats_mean(x, 5, 0.95);
        hits += fabs(e.mean - 3) <= e.half;
    }
    EXPECT(fabs(hits / 4000.0 - 0.95) < 0.014, "covered %d of 4000", hits);
}

/* Holm 1979, by hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, none below the one before. */
static void holm(void)
{
    const double p[] = {0.04, 0.01, (double)NAN, 0.03, 0.02}, want[] = {0.06, 0.04, 0, 0.06, 0.06};
    double got[5];
    stats_holm(got, p, 5);
    for (int i = 0; i < 5; i++) {
        EXPECT(i == 2 ? isnan(got[i]) : fabs(got[i] - want[i]) < 1e-15, "%d: %g", i, got[i]);
    }
    const double large[] = {0.9, 0.8};
    stats_holm(got, large, 2);
    EXPECT(got[0] == 1 && got[1] == 1, "%g, %g", got[0], got[1]);
}

/* p is below 0.05 exactly where the 95 % interval leaves 0 out. */
static void p_values(void)
{
    const double x[] = {1, 2, 3, 4}, flat[] = {2, 2, 2};
    estimate e = stats_mean(x, 4, 0.95);
    /* t = 2.5 / (1.2909944 / 2) = 3.8729833, 3 degrees of freedom: p = 0.030466 (R 4.2: t.test) */
    EXPECT(fabs(stats_p(e) - 0.030466) < 1e-6 && stats_differs(e), "%g", stats_p(e));
    EXPECT(stats_p(stats_mean(flat, 3, 0.95)) == 0.25, "figures that are all the same");
    EXPECT(isnan(stats_p(stats_mean(x, 1, 0.95))), "one figure");
}

/* A family of variants that are equal to the baseline: at most 5 % of such sweeps call any of them
 * different. 600 sweeps, so that twice the standard error is 1.8 %. */
static void family_of_equals(void)
{
    enum { SWEEPS = 600, VARIANTS = 6, SEEDS = 5 };
    int wrong = 0;
    rng_key key = {.seed = 7};
    uint64_t draw = 0;
    for (int k = 0; k < SWEEPS; k++) {
        double base[SEEDS], p[VARIANTS], adjusted[VARIANTS];
        for (int i = 0; i < SEEDS; i++) {
            base[i] = rng_normal(key, draw++);
        }
        for (int v = 0; v < VARIANTS; v++) {
            double x[SEEDS];
            for (int i = 0; i < SEEDS; i++) {
                x[i] = rng_normal(key, draw++);
            }
            p[v] = stats_p(stats_paired(x, base, SEEDS, 0.95));
        }
        stats_holm(adjusted, p, VARIANTS);
        bool any = false;
        for (int v = 0; v < VARIANTS; v++) {
            any = any || adjusted[v] < 0.05;
        }
        wrong += any;
    }
    EXPECT(wrong <= 0.068 * SWEEPS && wrong > 0, "%d of %d sweeps", wrong, SWEEPS);
}

/* Of 150 samples of 40 documents the interval holds the true ratio in about 95 %; the percentile
 * bootstrap falls a little short (93 % here), and the standard error is 1.8 %. */
static void bootstrap_coverage(void)
{
    enum { TRIALS = 150, DOCUMENTS = 40 };
    rng_key key = {.seed = 8};
    uint64_t draw = 0;
    int held = 0;
    for (int k = 0; k < TRIALS; k++) {
        double top[DOCUMENTS], bottom[DOCUMENTS];
        for (int i = 0; i < DOCUMENTS; i++) {
            bottom[i] = 1 + rng_uniform(key, draw++);
            top[i] = bottom[i] * (0.5 + rng_normal(key, draw++));
        }
        interval c = stats_bootstrap(top, bottom, DOCUMENTS, 0.95);
        held += c.low <= 0.5 && 0.5 <= c.high;
    }
    EXPECT(held >= 0.89 * TRIALS && held <= 0.98 * TRIALS, "%d of %d", held, TRIALS);
    interval none = stats_bootstrap(NULL, NULL, 1, 0.95);
    EXPECT(isnan(none.low) && isnan(none.high), "one document");
}

/* Every document is drawn alike often, the last one too: numbers 0 to 19 resample around their
 * mean, in any order. An interval's end has a standard error of about 0.06 here. */
static void bootstrap_draws(void)
{
    enum { DOCUMENTS = 20 };
    double up[DOCUMENTS], down[DOCUMENTS], one[DOCUMENTS];
    for (int i = 0; i < DOCUMENTS; i++) {
        up[i] = i;
        down[i] = DOCUMENTS - 1 - i;
        one[i] = 1;
    }
    interval a = stats_bootstrap(up, one, DOCUMENTS, 0.95);
    interval b = stats_bootstrap(down, one, DOCUMENTS, 0.95);
    EXPECT(fabs((a.low + a.high) / 2 - 9.5) < 0.2, "%g to %g", a.low, a.high);
    EXPECT(fabs((b.low + b.high) / 2 - 9.5) < 0.2, "%g to %g", b.low, b.high);
}

const test_suite test_stats = {"results/stats",
                               {{"quantile_known", quantile_known},
                                {"quantile_inverts_cdf", quantile_inverts_cdf},
                                {"beta_properties", beta_properties},
                                {"against_gsl", against_gsl},
                                {"mean_and_interval", mean_and_interval},
                                {"pairing", pairing},
                                {"coverage", coverage},
                                {"holm", holm},
                                {"p_values", p_values},
                                {"family_of_equals", family_of_equals},
                                {"bootstrap_coverage", bootstrap_coverage},
                                {"bootstrap_draws", bootstrap_draws},
                                {0}}};
