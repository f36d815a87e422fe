/* Looking at a sweep while it grows without fooling oneself: the level is spent over the looks.
 *
 * After a share t of the seeds that there may be, a level alpha has spent (Lan and DeMets 1983)
 *
 *   O'Brien and Fleming's form   alpha(t) = 4 - 4 Phi(z(1 - alpha / 4) / sqrt(t))     (two-sided)
 *   Pocock's form                alpha(t) = alpha ln(1 + (e - 1) t)
 *
 * and a look may decide with what it adds. The level that this leaves to each look comes from the
 * joint distribution of the statistics at all looks so far, carried from look to look (Armitage,
 * McPherson and Rowe 1969).
 *
 * DIFFERS: the statistics are Student's t of 2, 3, 4 ... seeds, not normal ones. Normal bounds
 * applied to the p of t-tests decide wrongly in 6 % of the sweeps instead of 5; the joint
 * distribution of the t of growing samples is known, too (spending.c), and is used. */
#pragma once

#include "core/base/arena.h"

typedef enum spending { SPEND_OBRIEN_FLEMING, SPEND_POCOCK } spending;
#define SPENDING_NAMES "obrien-fleming|pocock"
const char *spending_title(spending s); /* "O'Brien-Fleming" */

enum { SPENDING_SEEDS = 100 }; /* at most */

/* What is spent of alpha, two-sided, after a share t of all seeds; 0 <= t <= 1. */
double spending_spent(spending s, double alpha, double t);

/* Looks at every number of seeds from `least` (2 or more) to `most`. */
typedef struct spending_plan spending_plan;
spending_plan *spending_plan_new(arena *a, spending s, int least, int most);

/* level[k]: of the p, two-sided, at or below which look k decides, for the first `looks` looks. */
void spending_levels(double *level, const spending_plan *plan, double alpha, int looks);

/* The first look that decides at alpha, given the p of each; -1: none. */
int spending_decides(const spending_plan *plan, double alpha, const double *p, int looks);

/* The least alpha at which one of the looks decides: the p of the whole sequence (Liu and Anderson
 * 2008), to nine digits; 1 if there is none below it. */
double spending_p(const spending_plan *plan, const double *p, int looks);

/* The normal distribution: P(Z <= z), and its inverse for 0 < p < 1. */
double spending_normal(double z);
double spending_normal_quantile(double p);
