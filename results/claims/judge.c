#include "results/claims/judge.h"

#include <math.h>

#include "results/compare/stats.h"

/* Every kind of statement becomes one or two edges, numbers per seed whose mean has to be above 0,
 * and from there on there is one test. What is shown (estimate, interval) is computed apart, in the
 * unit that a reader thinks in, from the same t and the same figures, so that interval and verdict
 * agree.
 *
 * Units are pairs. Both runs of one seed read the same text in the same order, both models of one
 * document read the same document (verdict.h), so that what they share cancels in a - b, and the
 * test is on the differences. A margin that is relative to b is kept inside the difference, a - (1
 * + m) b, rather than dividing: quotients of few units are skewed, and where b may be 0 they have
 * no mean. */

/* Figures that agree to rounding agree: sizes and counts are the same for every seed. Without this,
 * figures that are equal but for the last digit would have a spread of 1e-17 and a t of any size:
 * two models of one size would differ "significantly". */
static const double ROUNDING = 1e-9;

/* What has to be above 0: sign * (a - factor * b) + margin. */
typedef struct edge_of {
    double sign, factor, margin;
} edge_of;

/* The edges of a statement; returns how many. Better by a share m of b's figure is
 *
 *   less is better   b - a > m b,  so  -(a - (1 - m) b) > 0
 *   more is better   a - b > m b,  so    a - (1 + m) b  > 0
 *
 * which are both sign * (a - (1 + sign m) b) > 0. Within has two edges, above and below. */
static int edges_of(edge_of edges[2], const claim_statement *s, bool higher)
{
    double m = s->margin, sign = higher ? 1 : -1;
    switch (s->kind) {
    case STATEMENT_BETTER:
        edges[0] = s->relative ? (edge_of){sign, 1 + sign * m, 0} : (edge_of){sign, 1, -m};
        return 1;
    case STATEMENT_WITHIN:
        edges[0] = s->relative ? (edge_of){-1, 1 + m, 0} : (edge_of){-1, 1, m};
        edges[1] = s->relative ? (edge_of){1, 1 - m, 0} : (edge_of){1, 1, m};
        return 2;
    case STATEMENT_AT_MOST:
        edges[0] = (edge_of){-1, m, 0};
        return 1;
    case STATEMENT_RISES:
    case STATEMENT_FALLS:
    default:
        edges[0] = (edge_of){s->kind == STATEMENT_RISES ? 1 : -1, 0, -m};
        return 1;
    }
}

typedef struct moments {
    double mean, sd, scale; /* scale: how large the figures are of which it is a difference */
} moments;

/* b of a trend is not set: without a factor it is not looked at. */
static double at(const judge_data *d, const edge_of *g, int i)
{
    return g->sign * (d->a[i] - (g->factor > 0 ? g->factor * d->b[i] : 0)) + g->margin;
}

/* In two passes, as sums of squares of figures that agree in five digits would cancel. Spread and
 * mean that are rounding of the figures themselves are 0. n is 2 or more. */
static moments moments_of(const judge_data *d, const edge_of *g)
{
    moments m = {0};
    for (int i = 0; i < d->n; i++) {
        m.mean += at(d, g, i) / d->n;
        m.scale = fmax(m.scale, fmax(fabs(d->a[i]), g->factor > 0 ? fabs(d->b[i]) : 0));
    }
    for (int i = 0; i < d->n; i++) {
        double off = at(d, g, i) - m.mean;
        m.sd += off * off / (d->n - 1);
    }
    m.sd = sqrt(m.sd);
    if (fabs(m.mean) <= ROUNDING * m.scale) m.mean = 0;
    if (m.sd <= ROUNDING * m.scale) m.sd = 0;
    return m;
}

/* P of a mean at least that large if the true one is 0. inclusive: 0 itself is on the side. t =
 * mean / (sd / sqrt(n)) with n - 1 degrees of freedom. Without any spread there is no doubt about
 * the mean of sizes and FLOPs, the same for every seed: they are judged by where they lie. Of what
 * is measured a further seed may differ; all on one side is what the sign test asks for. */
static double one_sided(moments m, const judge_data *d, double sign, bool inclusive)
{
    double sure = d->measured ? stats_sign_p(d->n) / 2 : 0;
    if (m.sd > 0) return 1 - stats_t_cdf(sign * m.mean / (m.sd / sqrt((double)d->n)), d->n - 1);
    if (m.mean == 0) return inclusive ? sure : 1;
    return sign * m.mean > 0 ? sure : 1;
}

static void test(judgement *j, const claim_statement *s, const edge_of *edges, int count,
                 const judge_data *d)
{
    /* "At most" and "within" hold of what is exactly at the edge; "better" and trends do not. */
    bool inclusive = s->kind == STATEMENT_WITHIN || s->kind == STATEMENT_AT_MOST;
    /* The statement holds if all edges are passed, so the weakest speaks for it (the largest p;
     * Berger 1982), and fails if one is shown not to be, so the strongest speaks against it. A
     * statement has two chances to decide, hence twice the smaller one. */
    double holds = 0, fails = 1;
    j->lead = (double)INFINITY;
    for (int k = 0; k < count; k++) {
        moments m = moments_of(d, &edges[k]);
        holds = fmax(holds, one_sided(m, d, 1, inclusive));
        fails = fmin(fails, one_sided(m, d, -1, false));
        double lead = m.sd > 0      ? m.mean / m.sd
                      : m.mean == 0 ? 0
                                    : copysign((double)INFINITY, m.mean);
        j->alike = j->alike || (d->measured && !(m.sd > 0));
        /* The edge that is nearest, or furthest behind, is the one for which seeds are needed. */
        j->lead = fmin(j->lead, lead);
    }
    j->p = fmin(1, 2 * fmin(holds, fails));
    j->towards = holds < fails ? TOWARDS_HOLDS : fails < holds ? TOWARDS_FAILS : TOWARDS_NOTHING;
    j->lead = fabs(j->lead);
}

/* ---- what is shown ---- */

static double mean_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i];
    }
    return sum / n;
}

/* All f for which the mean of a - f b may be 0 (Fieller 1954): the roots of
 * (A - f B)^2 = t^2 (saa - 2 f sab + f^2 sbb) / n. */
static void ratio_interval(judgement *j, const judge_data *d, double t)
{
    double a = mean_of(d->a, d->n), b = mean_of(d->b, d->n), aa = 0, ab = 0, bb = 0;
    for (int i = 0; i < d->n; i++) {
        aa += (d->a[i] - a) * (d->a[i] - a) / (d->n - 1);
        ab += (d->a[i] - a) * (d->b[i] - b) / (d->n - 1);
        bb += (d->b[i] - b) * (d->b[i] - b) / (d->n - 1);
    }
    /* Written as square f^2 - 2 linear f + rest = 0. */
    double g = t * t / d->n, square = b * b - g * bb, linear = a * b - g * ab;
    double rest = a * a - g * aa, root = linear * linear - square * rest;
    if (!(square > 0)) return; /* b may be 0: no interval has ends */
    /* Not negative where square is above 0, but for rounding. */
    root = sqrt(fmax(root, 0));
    j->low = (linear - root) / square;
    j->high = (linear + root) / square;
}

/* x becomes sign x + shift; a sign of -1 swaps the ends. */
static void turn(judgement *j, double sign, double shift)
{
    double low = sign * j->low + shift, high = sign * j->high + shift;
    j->estimate = sign * j->estimate + shift;
    j->low = sign > 0 ? low : high;
    j->high = sign > 0 ? high : low;
}

/* The ratio of means, not the mean of ratios: it is what the test without dividing is about. */
static void show_ratio(judgement *j, const judge_data *d, double t)
{
    j->estimate = mean_of(d->a, d->n) / mean_of(d->b, d->n);
    if (d->n > 1) ratio_interval(j, d, t);
}

/* One seed shows its figure; it has no interval, and no test is made. */
static void show_mean(judgement *j, const judge_data *d, double factor, double t)
{
    moments m = {0};
    const edge_of plain = {1, factor, 0};
    if (d->n > 1) m = moments_of(d, &plain);
    j->estimate = mean_of(d->a, d->n) - (factor > 0 ? factor * mean_of(d->b, d->n) : 0);
    if (d->n < 2) return;
    j->low = j->estimate - t * m.sd / sqrt((double)d->n);
    j->high = j->estimate + t * m.sd / sqrt((double)d->n);
}

static void show(judgement *j, const claim_statement *s, bool higher, const judge_data *d, double t)
{
    bool trend = s->kind == STATEMENT_RISES || s->kind == STATEMENT_FALLS;
    j->edge = s->kind == STATEMENT_FALLS ? 0 - s->margin : s->margin; /* no -0 */
    if (s->kind == STATEMENT_AT_MOST) {
        show_ratio(j, d, t);
    } else if (s->relative) {
        show_ratio(j, d, t);
        /* Better is shown as a gain, positive where the claim is right, also where less is
         * better. */
        bool gain = s->kind == STATEMENT_BETTER && !higher;
        turn(j, gain ? -1 : 1, gain ? 1 : -1); /* 1 - a / b, a / b - 1 */
    } else {
        show_mean(j, d, trend ? 0 : 1, t);
        if (s->kind == STATEMENT_BETTER && !higher) turn(j, -1, 0);
    }
}

judgement judge_statement(const claim_statement *s, bool higher_is_better, const judge_data *d,
                          double confidence)
{
    edge_of edges[2];
    const double none = (double)NAN;
    judgement j = {.n = d->n, .p = none, .estimate = none, .low = none, .high = none, .lead = none};
    int count = edges_of(edges, s, higher_is_better);
    /* The interval is at the level asked for; p does not depend on it. */
    double t = d->n > 1 ? stats_t_quantile(0.5 + confidence / 2, d->n - 1) : none;
    if (d->n < 1) return j;
    show(&j, s, higher_is_better, d, t);
    if (d->n > 1) test(&j, s, edges, count, d);
    return j;
}

int judge_signs_needed(double level)
{
    int n = 2;
    while (stats_sign_p(n) > level && n < STATS_MOST) {
        n++;
    }
    return n;
}
