#include "results/compare/stats.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/rng.h"

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated from the front
 * by the modified Lentz method. Converges quickly for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300, precision = 1e-16;
    double numerator = 1, denominator = 1 - (a + b) * x / (a + 1);
    denominator = 1 / (fabs(denominator) < tiny ? tiny : denominator);
    double value = denominator;
    /* The terms needed grow with the square root of the larger parameter. */
    for (int m = 1; m < 100000; m++) {
        double at = a + 2 * m;
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
    /* I_x(a, b) = 1 - I_(1-x)(b, a): take the side where the fraction converges. */
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(T > t) for t >= 0, exact far out in the tail, too. */
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

double stats_t_quantile(double p, double df)
{
    CHECK(df > 0 && p > 0 && p < 1, "t quantile of %g with %g degrees of freedom", p, df);
    double tail = MIN(p, 1 - p), low = 0, high = 1;
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

/* Of x[i] - y[i]; y NULL: of x[i]. */
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

bool stats_differs(estimate e)
{
    return isfinite(e.half) && fabs(e.mean) > e.half;
}

int stats_enough(estimate e, double error, int most)
{
    if (e.n < 2 || !isfinite(e.sd)) return 0;
    int low = 1, high = most + 1; /* more figures never widen the interval */
    while (high - low > 1) {
        int n = low + (high - low) / 2;
        double half = stats_t_quantile(1 - error / 2, n - 1) * e.sd / sqrt(n);
        if (fabs(e.mean) > half) {
            high = n;
        } else {
            low = n;
        }
    }
    return high <= most ? high : 0;
}

double stats_p(estimate e)
{
    if (!isfinite(e.half)) return (double)NAN;
    double error = e.sd / sqrt((double)e.n);
    if (!(error > 0)) return e.mean != 0 ? 0 : 1; /* every figure is the same */
    return 2 * t_tail(fabs(e.mean) / error, e.n - 1);
}

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

int stats_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_median(double *x, int n)
{
    CHECK(n > 0, "median of nothing");
    qsort(x, (size_t)n, sizeof *x, stats_by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

double stats_quantile(const double *x, int n, double share)
{
    double at = share * (n - 1);
    int i = (int)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

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
            int j = MIN((int)(rng_uniform(key, draw++) * n), n - 1);
            above += top[j];
            below += bottom[j];
        }
        ratio[k] = above / below;
    }
    qsort(ratio, SAMPLES, sizeof *ratio, stats_by_value);
    double tail = (1 - confidence) / 2;
    int low = (int)floor(tail * (SAMPLES - 1)), high = (int)ceil((1 - tail) * (SAMPLES - 1));
    return (interval){ratio[low], ratio[high]};
}
