#include "results/compare/stats.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/rng.h"

/* What tables and claims rest on, written out rather than taken from a library: it is two functions
 * of the t distribution and a dozen lines of sums, and they have to be exact far out in the tail,
 * where corrected p and the first looks of a sequence lie. tests/results/test_stats.c compares with
 * published quantiles and with GSL.
 *
 * A figure that is not finite is no figure: it is left out and n says so, so that a run without a
 * result never counts as 0 nor makes a mean NaN. */

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated from the front
 * by the modified Lentz method. Converges quickly for x < (a + 1) / (a + b + 2). Front and back are
 * multiplied on as one goes, so that the number of terms need not be known: value is the product of
 * numerator_m * denominator_m. A partial numerator or denominator that is 0 would end the fraction
 * for good, hence `tiny`. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300, precision = 1e-16;
    double numerator = 1, denominator = 1 - (a + b) * x / (a + 1);
    denominator = 1 / (fabs(denominator) < tiny ? tiny : denominator);
    double value = denominator;
    /* The terms needed grow with the square root of the larger parameter. */
    for (int m = 1; m < 100000; m++) {
        double at = a + 2 * m;
        /* The even and the odd coefficient of DLMF 8.17.23, d_2m and d_2m+1. */
        const double terms[2] = {m * (b - m) * x / ((at - 1) * at),
                                 -(a + m) * (a + b + m) * x / (at * (at + 1))};
        double step = 1;
        for (int i = 0; i < 2; i++) {
            denominator = 1 + terms[i] * denominator;
            denominator = 1 / (fabs(denominator) < tiny ? tiny : denominator);
            numerator = 1 + terms[i] / numerator;
            if (fabs(numerator) < tiny) numerator = tiny;
            step = numerator * denominator;
            value *= step;
        }
        if (fabs(step - 1) < precision) break;
    }
    return value;
}

double stats_beta(double a, double b, double x)
{
    CHECK(a > 0 && b > 0 && x >= 0 && x <= 1, "beta of %g, %g at %g", a, b, x);
    if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
    /* I_x(a, b) = 1 - I_(1-x)(b, a): take the side where the fraction converges. x^a (1 - x)^b /
     * B(a, b), by logarithms: the powers alone are below 1e-308 for some thousand degrees of
     * freedom, where the whole is not. lgamma is called for positive arguments only. */
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(T > t) for t >= 0, exact far out in the tail, too. P(T > t) = I(df / (df + t^2); df / 2, 1 / 2)
 * / 2. Below t = 1 by the other side, since there 1 / 2 less something small keeps more digits than
 * a function whose argument is nearly 1. */
static double t_tail(double t, double df)
{
    double square = t * t;
    if (square < 1) return 0.5 - stats_beta(0.5, df / 2, square / (df + square)) / 2;
    return stats_beta(df / 2, 0.5, 1 / (1 + square / df)) / 2;
}

double stats_t_cdf(double t, double df)
{
    CHECK(df > 0, "%g degrees of freedom", df);
    return t < 0 ? t_tail(-t, df) : 1 - t_tail(t, df);
}

/* By halving: slower than a rational approximation, and for every df as exact as the tail
 * itself. */
double stats_t_quantile(double p, double df)
{
    CHECK(df > 0 && p > 0 && p < 1, "t quantile of %g with %g degrees of freedom", p, df);
    double tail = MIN(p, 1 - p), low = 0, high = 1;
    /* With one degree of freedom (two seeds) the quantile grows as 1 / tail: there is no fixed
     * upper end. */
    while (t_tail(high, df) > tail && high < 1e300) {
        low = high;
        high *= 2;
    }
    /* The tail falls strictly: halve until no double lies between. */
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;
        if (middle <= low || middle >= high) break;
        if (t_tail(middle, df) > tail) {
            low = middle;
        } else {
            high = middle;
        }
    }
    double t = (low + high) / 2;
    return p < 0.5 ? -t : t;
}

/* Of x[i] - y[i]; y NULL: of x[i]. One function for means and paired differences: the difference is
 * taken first, then mean and spread of it. Intervals of two means side by side would contain what
 * the seeds have in common, and overlap where every single seed says the same. */
static estimate estimate_of(const double *x, const double *y, int n, double confidence)
{
    estimate e = {.mean = (double)NAN, .sd = (double)NAN, .half = (double)NAN};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        double value = y ? x[i] - y[i] : x[i];
        if (!isfinite(value)) continue;
        sum += value;
        e.n++;
    }
    if (e.n == 0) return e;
    e.mean = sum / e.n;
    /* n - 1 would divide by 0: from one seed nothing is claimed. */
    if (e.n == 1) return e;
    /* In a second pass: squares of values that differ little from each other would cancel. */
    for (int i = 0; i < n; i++) {
        double off = (y ? x[i] - y[i] : x[i]) - e.mean;
        if (isfinite(off)) squares += off * off;
    }
    e.sd = sqrt(squares / (e.n - 1));
    e.half = stats_t_quantile(0.5 + confidence / 2, e.n - 1) * e.sd / sqrt((double)e.n);
    return e;
}

estimate stats_mean(const double *x, int n, double confidence)
{
    return estimate_of(x, NULL, n, confidence);
}

estimate stats_paired(const double *x, const double *y, int n, double confidence)
{
    CHECK(y || n == 0, "no figures to pair with");
    return estimate_of(x, y, n, confidence);
}

/* False for NaN as well: what has no interval is not called different. */
bool stats_differs(estimate e)
{
    return isfinite(e.half) && fabs(e.mean) > e.half;
}

/* Of n figures a lead of n^(1/2) * lead standard errors passes the critical value with probability
 * 0.8: (t(1 - error / 2) + t(0.8))^2 <= n lead^2, with the degrees of freedom of n. The sum of two
 * quantiles of t stands for the quantile of the noncentral t that is exact; what is answered is a
 * number for a sentence, from a lead that is itself an estimate. */
static bool enough(int n, double lead, double error)
{
    double t = stats_t_quantile(1 - error / 2, n - 1) + stats_t_quantile(STATS_POWER, n - 1);
    return t * t <= n * lead * lead;
}

int stats_enough(double lead, double error)
{
    if (!(lead > 0) || !(error > 0) || error >= 1) return 0;
    int low = 1, high = STATS_MOST + 1; /* what is enough stays so with more */
    while (high - low > 1) {
        int n = low + (high - low) / 2;
        if (enough(n, lead, error)) {
            high = n;
        } else {
            low = n;
        }
    }
    return high <= STATS_MOST ? high : 0;
}

double stats_sign_p(int n)
{
    return fmin(1, 2 * pow(0.5, n));
}

/* The p at which the interval just touches 0, from the same t: table and verdict cannot
 * disagree. */
double stats_p(estimate e)
{
    if (!isfinite(e.half)) return (double)NAN;
    double error = e.sd / sqrt((double)e.n);
    /* Without a spread there is no t. That figures agree is no proof that further ones would; what
     * is left is that all are on one side. */
    if (!(error > 0)) return e.mean != 0 ? stats_sign_p(e.n) : 1;
    return 2 * t_tail(fabs(e.mean) / error, e.n - 1);
}

/* adjusted = max over the tests before of min(1, p (n - rank)), which rejects what Holm's steps
 * reject without fixing alpha. Tests are few, so the least is looked for each time; equal p are
 * taken in their order, and get equal values by the maximum. */
void stats_holm(double *adjusted, const double *p, int n)
{
    int tests = 0, done = 0;
    for (int i = 0; i < n; i++) {
        adjusted[i] = (double)NAN;
        tests += isfinite(p[i]);
    }
    /* The smallest first: each is multiplied by the tests that are left, and none falls below the
     * one before. */
    for (double least = 0; done < tests; done++) {
        int next = -1;
        for (int i = 0; i < n; i++) {
            if (!isfinite(p[i]) || isfinite(adjusted[i])) continue;
            if (next < 0 || p[i] < p[next]) next = i;
        }
        least = fmax(least, fmin(1, p[next] * (tests - done)));
        adjusted[next] = least;
    }
}

/* Without a subtraction, which an infinity would make NaN. */
int stats_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the caller's array, as callers have no use for its order. */
double stats_median(double *x, int n)
{
    CHECK(n > 0, "median of nothing");
    qsort(x, (size_t)n, sizeof *x, stats_by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Between order statistics, at share (n - 1): the definition of R's type 7, and of numpy's
 * default. */
double stats_quantile(const double *x, int n, double share)
{
    double at = share * (n - 1);
    int i = (int)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

/* Ratios of sums, not means of ratios: bits per byte of all text are weighted by length, so a short
 * document weighs little here, as it does in the figure itself. */
interval stats_bootstrap(const double *top, const double *bottom, int n, double confidence)
{
    enum { SAMPLES = 2000 };
    double ratio[SAMPLES];
    if (n < 2) return (interval){(double)NAN, (double)NAN};
    /* The same draws every time: asked again, the interval is the same. */
    rng_key key = {.place = rng_place("bootstrap")};
    uint64_t draw = 0;
    for (int k = 0; k < SAMPLES; k++) {
        double above = 0, below = 0;
        for (int i = 0; i < n; i++) {
            /* The number of draws depends on n alone, so neighbouring variants see the same
             * resamples: their intervals differ by what they measured. */
            uint64_t j = rng_below(key, draw++, (uint64_t)n);
            above += top[j];
            below += bottom[j];
        }
        ratio[k] = above / below;
    }
    qsort(ratio, SAMPLES, sizeof *ratio, stats_by_value);
    double tail = (1 - confidence) / 2;
    /* Outwards to the next resample, never inwards. */
    int low = (int)floor(tail * (SAMPLES - 1)), high = (int)ceil((1 - tail) * (SAMPLES - 1));
    return (interval){ratio[low], ratio[high]};
}
