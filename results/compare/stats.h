/* Statistics over seeds: means with t-intervals, paired differences. No dependency.
 *
 *   mean +- t(1 - (1 - confidence)/2, n - 1) * s / sqrt(n),   s^2 = sum (x - mean)^2 / (n - 1)
 *
 * (Student 1908; the interval assumes that the seeds' figures are independent and about normal.) */
#pragma once

#include "core/base/base.h"

#define STATS_CONFIDENCE 0.95

/* A mean and its interval [mean - half, mean + half]. */
typedef struct estimate {
    int n;       /* how many figures; 0: mean is NaN */
    double mean; /* of the figures that are finite */
    double sd;   /* of the sample; NaN below two figures */
    double half; /* half width of the interval; NaN below two figures: no interval is claimed */
} estimate;

/* For qsort: the least of doubles first. */
int stats_by_value(const void *a, const void *b);

/* Sorts x. */
double stats_median(double *x, int n);
/* Of sorted x, at a share of its way, between neighbours. */
double stats_quantile(const double *x, int n, double share);

/* NaNs among x are left out. */
estimate stats_mean(const double *x, int n, double confidence);

/* Of x[i] - y[i], pairs with a NaN left out. */
estimate stats_paired(const double *x, const double *y, int n, double confidence);

/* True if there is an interval and 0 lies outside of it. */
bool stats_differs(estimate e);

/* How many figures it takes to tell their mean from 0 at that error (0.05: an interval of 95 %)
 * with a power of 0.8, if mean and spread are what they seem; lead: their quotient, in standard
 * deviations. 0: none would (no lead), or more than STATS_MOST. */
#define STATS_POWER 0.8
enum { STATS_MOST = 10000 };
int stats_enough(double lead, double error);

/* Two-sided p of n figures that all lie on one side of 0 (sign test). */
double stats_sign_p(int n);

/* Two-sided p of the mean being 0 (Student's t; of figures that are all the same the sign test's);
 * NaN where there is no interval. */
double stats_p(estimate e);

/* Holm's correction for n tests (Holm 1979): adjusted[i] < alpha rejects at family-wise error
 * alpha. NaNs are no tests and stay. */
void stats_holm(double *adjusted, const double *p, int n);

typedef struct interval {
    double low, high;
} interval;

/* Percentile bootstrap (Efron 1979) of sum(top) / sum(bottom) over n pairs, in 2,000 resamples that
 * depend on n alone; for n below 2 NaN. It is too narrow for few pairs: 10 cover about 90 %. */
interval stats_bootstrap(const double *top, const double *bottom, int n, double confidence);

/* The regularised incomplete beta function I_x(a, b); a, b > 0, 0 <= x <= 1. */
double stats_beta(double a, double b, double x);

/* Student's t with df > 0 degrees of freedom: P(T <= t), and its inverse for 0 < p < 1. */
double stats_t_cdf(double t, double df);
double stats_t_quantile(double p, double df);
