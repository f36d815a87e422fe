#include "results/claims/spending.h"

#include <math.h>
#include <string.h>

#include "results/compare/stats.h"

/* How the levels of the looks are found. A sweep whose seeds show no difference is a random walk of
 * its t statistic. What a look may decide on is the chance that this walk goes beyond the look's
 * bound and beyond none before it; the spending function says how large that chance is, and the
 * bound follows. So the distribution of t among the walks that have not stopped is carried from
 * look to look as masses of cells of |t|, and each look cuts off of its outer end what it may
 * spend.
 *
 * Only |t| is kept, since all tests here are two-sided and the distribution is symmetric. A plan
 * holds what does not depend on the level, the moves between cells; they are costly (two incomplete
 * beta inverses a cell, then cells by cells of angles), and spending_p asks for the levels at some
 * twenty alphas, each of which is then a few products of a matrix and a vector.
 *
 * Published normal bounds are met at the first look only, where nothing was carried yet
 * (tests/results/test_spending.c has them); later ones differ, as Student's t does. */

/* By erfc of the other side, not 1 - erf: the tails that O'Brien and Fleming's form spends at its
 * first looks are far below 1e-16, where the difference would be 0 and no seed could ever
 * decide. */
double spending_normal(double z)
{
    return erfc(-z / sqrt(2.0)) / 2;
}

double spending_normal_quantile(double p)
{
    CHECK(p > 0 && p < 1, "normal quantile of %g", p);
    /* P(Z > 40) is 0 in doubles, so every tail that a double can hold is reached below. */
    double tail = MIN(p, 1 - p), low = 0, high = 40;
    for (int i = 0; i < 200; i++) { /* the tail falls strictly: halve until nothing lies between */
        double middle = (low + high) / 2;
        if (middle <= low || middle >= high) break;
        if (spending_normal(-middle) > tail) {
            low = middle;
        } else {
            high = middle;
        }
    }
    double z = (low + high) / 2;
    return p < 0.5 ? -z : z;
}

const char *spending_title(spending s)
{
    return s == SPEND_POCOCK ? "Pocock" : "O'Brien-Fleming";
}

/* All of alpha at the last look, to the bit: what the looks before left is not lost to rounding,
 * and a plan of one look is the plain test. */
double spending_spent(spending s, double alpha, double t)
{
    if (t >= 1) return alpha;
    if (!(t > 0) || !(alpha > 0)) return 0;
    if (s == SPEND_POCOCK) return alpha * log1p((exp(1) - 1) * t);
    return 4 * spending_normal(-spending_normal_quantile(1 - alpha / 4) / sqrt(t));
}

/* ---- the joint distribution ----
 *
 * Without a difference n seeds x are a random direction: u = sum x / sqrt(n sum x^2) = sin phi, and
 * t = sqrt(n - 1) tan phi is Student's. The length is independent of the direction, so that the
 * next one depends on u alone: x_{n+1} / sqrt(sum x^2) = tan psi has sqrt(n) tan psi ~ t_n, and
 *
 *   sin phi' = (sqrt(n) sin phi cos psi + sin psi) / sqrt(n + 1)
 *            = A sin(psi + delta) / sqrt(n + 1)
 *
 * with A^2 = n sin^2 phi + 1 and tan delta = sqrt(n) sin phi.
 *
 * |t| is cut into cells that are equally wide on the scale of normal quantiles of its p; what is in
 * a cell moves on from its middle. */

enum { CELLS = 120, ANGLES = 4096 };
/* Equal steps of normal quantiles resolve the tails, where bounds lie: 120 cells of 0.05 reach z =
 * 6, a p of 2e-9. Equal steps of p would put nearly all cells where nothing is ever decided. */
static const double WIDTH = 0.05; /* of a cell; the last one has no end */

struct spending_plan {
    spending how;
    int least, most;
    double tail[CELLS + 1];        /* P(|Z| > edge), two-sided */
    double (*move)[CELLS * CELLS]; /* [looks - 1]: from cell, to cell */
};

/* P(Psi <= psi) on a grid of angles from -pi/2 to pi/2: density cos^(n - 1). By sums over the
 * middles of the intervals, divided by their total, so that the constant of the density need not be
 * known; the last entry is then 1 exactly. */
static void angles_of(double *cdf, int n)
{
    const double pi = acos(-1.0);
    cdf[0] = 0;
    for (int i = 1; i <= ANGLES; i++) {
        double middle = pi * ((i - 0.5) / ANGLES - 0.5);
        cdf[i] = cdf[i - 1] + pow(cos(middle), n - 1);
    }
    for (int i = 1; i <= ANGLES; i++) {
        cdf[i] /= cdf[ANGLES];
    }
}

/* Linear between the grid's angles. */
static double angle_below(const double *cdf, double psi)
{
    double at = (psi / acos(-1.0) + 0.5) * ANGLES;
    int i = (int)at;
    if (at <= 0) return 0;
    return i >= ANGLES ? 1 : cdf[i] + (at - i) * (cdf[i + 1] - cdf[i]);
}

/* P(sin phi' > c | sin phi = u). sin(psi + delta) lies above c sqrt((n + 1) / (n u^2 + 1)) on one
 * interval of psi, symmetric about pi / 2 - delta; where that quotient is 1 or more it lies above
 * nowhere. */
static double beyond(const double *cdf, int n, double u, double c)
{
    const double pi = acos(-1.0);
    double delta = atan(sqrt((double)n) * u);
    double at = c * sqrt((n + 1.0) / (n * u * u + 1));
    if (at >= 1) return 0;
    double from = asin(at);
    return angle_below(cdf, pi - from - delta) - angle_below(cdf, from - delta);
}

/* sin phi of n seeds whose t has the two-sided p. u = t / sqrt(n - 1 + t^2), from t = sqrt(n - 1) u
 * / sqrt(1 - u^2). */
static double sine_of(double p, int n)
{
    double t = p < 1 ? stats_t_quantile(1 - p / 2, n - 1) : 0;
    return t / sqrt(n - 1 + t * t);
}

/* Row i: how the mass of cell i at n seeds spreads over the cells at n + 1. It is taken as the
 * difference of what lies beyond neighbouring edges, from the outside inwards, so that a row sums
 * to 1 whatever the grid's error is: mass is never made or lost between looks. */
static void fill_move(double *move, const spending_plan *plan, int n)
{
    double cdf[ANGLES + 1], edge[CELLS];
    angles_of(cdf, n);
    for (int j = 0; j < CELLS; j++) {
        edge[j] = sine_of(plan->tail[j], n + 1);
    }
    for (int i = 0; i < CELLS; i++) {
        double u = sine_of((plan->tail[i] + plan->tail[i + 1]) / 2, n), outer = 0;
        for (int j = CELLS - 1; j >= 0; j--) { /* either sign: |sin phi'| > edge */
            /* The chance of less than -edge given u is that of more than edge given -u. */
            double out = j == 0 ? 1 : beyond(cdf, n, u, edge[j]) + beyond(cdf, n, -u, edge[j]);
            move[i * CELLS + j] = out - outer;
            outer = out;
        }
    }
}

/* tail[CELLS] stays 0: the last cell has no outer edge. */
spending_plan *spending_plan_new(arena *a, spending s, int least, int most)
{
    CHECK(least >= 2 && least <= most && most <= SPENDING_SEEDS, "looks from %d to %d", least,
          most);
    spending_plan *plan = arena_push_zero(a, 1, sizeof *plan);
    plan->how = s;
    plan->least = least;
    plan->most = most;
    for (int i = 0; i < CELLS; i++) {
        plan->tail[i] = 2 * spending_normal(-WIDTH * i);
    }
    plan->move = arena_push(a, MAX(most - least, 1), sizeof *plan->move);
    for (int n = least; n < most; n++) {
        fill_move(plan->move[n - least], plan, n);
    }
    return plan;
}

/* Takes what lies beyond the bound off, so much that `spend` goes; the p at the bound. Within a
 * cell mass lies as it does without looks. The outermost cells go first: they hold the least p. Of
 * the cell that is cut only a share goes, and the bound lies at that share of its p, which is
 * uniform without looks. */
static double stop_mass(double *mass, const spending_plan *plan, double spend)
{
    int j = CELLS - 1;
    while (j >= 0 && mass[j] <= spend) {
        spend -= mass[j];
        mass[j--] = 0;
    }
    if (j < 0) return 1;
    /* mass[j] is above spend here, so never 0. */
    double share = spend / mass[j];
    mass[j] -= spend;
    return plan->tail[j + 1] + share * (plan->tail[j] - plan->tail[j + 1]);
}

/* Each look spends what the function adds since the one before. The mass that a look took off does
 * not move on: a sweep that decided has stopped, and its chance must not be spent twice. */
void spending_levels(double *level, const spending_plan *plan, double alpha, int looks)
{
    double mass[CELLS], next[CELLS], spent = 0;
    for (int i = 0; i < CELLS; i++) {
        mass[i] = plan->tail[i] - plan->tail[i + 1];
    }
    for (int k = 0; k < looks; k++) {
        double all = spending_spent(plan->how, alpha, (double)(plan->least + k) / plan->most);
        level[k] = stop_mass(mass, plan, all - spent);
        spent = all;
        if (k + 1 == looks) break;
        memset(next, 0, sizeof next);
        for (int i = 0; i < CELLS; i++) {
            /* Cells that a look has emptied have nothing to move; most looks empty the outer
             * ones. */
            for (int j = 0; j < CELLS && mass[i] > 0; j++) {
                next[j] += mass[i] * plan->move[k][i * CELLS + j];
            }
        }
        memcpy(mass, next, sizeof mass);
    }
}

int spending_decides(const spending_plan *plan, double alpha, const double *p, int looks)
{
    double level[SPENDING_SEEDS];
    spending_levels(level, plan, alpha, looks);
    for (int k = 0; k < looks; k++) {
        if (p[k] <= level[k]) return k;
    }
    return -1;
}

/* Halved on a logarithmic scale, since p of 1e-6 and of 0.04 are to have as many digits: nine, so
 * that a p just below a level is not called one above it. This takes it that a larger alpha raises
 * the level of every look, so that what decides at one alpha decides at all above it. Nobody has to
 * tell 1e-12 from less. */
double spending_p(const spending_plan *plan, const double *p, int looks)
{
    double low = 1e-12, high = 1;
    if (spending_decides(plan, low, p, looks) >= 0) return low;
    while (high / low > 1 + 1e-9) {
        double middle = sqrt(low * high);
        if (spending_decides(plan, middle, p, looks) >= 0) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}
