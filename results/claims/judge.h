/* One statement judged on figures paired by seed, or by document: pure functions.
 *
 * Every statement says that the mean of something over these units is beyond an edge:
 *
 *   better    b - a > m      (a - b for figures of which more is better)
 *             (1 - m) b - a > 0                       of a margin relative to b
 *   within    m - (a - b) > 0 and m + (a - b) > 0     two one-sided tests (Schuirmann 1987)
 *   at most   f b - a > 0    a ratio, tested without dividing (Fieller 1954)
 *   rises     slope > m      of each seed's least-squares line
 *
 * Student's t over units, each side at half of the level: so the statement holds where the interval
 * lies beyond the edge, and fails where it lies on the other side of it. */
#pragma once

#include "results/claims/claim.h"

/* Figures of one statement: a[i] of the variant (of a trend its slope), b[i] of the other one (of a
 * trend unused), of the same seed or document. */
typedef struct judge_data {
    int n;
    bool measured; /* losses: that they agree is chance; else what a seed cannot change, as sizes */
    const double *a, *b;
} judge_data;

typedef enum direction { TOWARDS_FAILS = -1, TOWARDS_NOTHING, TOWARDS_HOLDS } direction;

typedef struct judgement {
    int n;
    direction towards; /* what the estimate speaks for; NOTHING: for neither, or there is none */
    double p;          /* that a mean at the edge would speak so clearly, two-sided; NaN: n < 2 */
    /* The gain, the difference a - b, the ratio a / b or the slope, as the kind has it; the same
     * share of b if the margin is relative. NaN: no figures; of the interval: n < 2. */
    double estimate, low, high;
    double edge; /* of the estimate: it holds above it; WITHIN: between -edge and edge; AT_MOST:
                    up to it */
    bool alike;  /* measured, and all the same: p is the sign test's */
    double lead; /* distance of the mean from the edge, in standard deviations of a seed; NaN */
} judgement;

/* confidence: of the interval. */
judgement judge_statement(const claim_statement *s, bool higher_is_better, const judge_data *d,
                          double confidence);

/* How many units decide at the level where all are alike: as many as all have to be on one side.
 * Of others stats_enough says it, by their lead. */
int judge_signs_needed(double level);
