#include "core/train/adafactor.h"

#include <math.h>

/* With q = (scale g)^2 + eps1, a matrix has two running sums for its second moments:
 *
 *   R_i = b2 R_i + (1 - b2) sum_j q_ij          rows     [rows]
 *   C_j = b2 C_j + (1 - b2) sum_i q_ij          columns  [columns]
 *   V_ij = R_i C_j / sum_i R_i                  never stored
 *   u_ij = scale g_ij / sqrt(V_ij)
 *
 * Two passes over the gradient: one updates R and C and adds up u^2 for the clipping of the update,
 * one moves x. u is computed in both, as keeping it would be a third vector of the parameter's
 * size, which is what the method saves. Sums over a piece are made by one thread in a fixed order,
 * in double: a piece is the unit of work.
 *
 * eps1 is in every q, so no R, C or V is 0 and no division by 0 is possible; its table keeps it
 * above 1e-36, or it would vanish in a float's moments. */

enum { STRIP = 64 /* columns whose sums are kept at a time */ };

/* size: elements of one piece. An expert's matrix has the last two axes, and leading ones count
 * slabs; a bias, a gain or a single row has no second axis to factor over. */
adafactor_shape adafactor_shape_of(const param *p)
{
    int64_t size = p->count / p->pieces;
    int64_t columns = p->rank > 0 ? p->shape[p->rank - 1] : 1;
    int64_t rows = p->rank > 1 ? p->shape[p->rank - 2] : 1;
    /* A piece may be a part of the rows (rank 2), or a whole matrix of the leading axis. */
    rows = MIN(rows, size / MIN(columns, size));
    bool matrix = rows > 1 && columns > 1 && size % (rows * columns) == 0;
    if (!matrix) return (adafactor_shape){.slabs = 1, .rows = 1, .columns = size};
    return (adafactor_shape){.slabs = size / (rows * columns), .rows = rows, .columns = columns};
}

int64_t adafactor_state_count(adafactor_shape s)
{
    return s.rows == 1 ? s.columns : s.slabs * (s.rows + s.columns);
}

/* Sum of (scale g)^2 + eps1 over n elements.
 * With eps1 = 0 the sum of squares, which the root mean square of x is made of. */
static double sum_q(const real *g, int64_t n, double scale, double eps1)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        double x = scale * (double)g[i];
        sum += x * x + eps1;
    }
    return sum;
}

/* (1 - beta2) in double: beta2 tends to 1 with the steps, and float would lose the difference. */
static real blend(double beta2, real old, double q)
{
    return (real)(beta2 * (double)old + (1 - beta2) * q);
}

/* R [rows], C [columns] take in one gradient matrix (g NULL: zeros).
 * R by rows as they lie in memory. C by strips of columns: 64 sums in double stay in the first
 * cache, while rows are read a few lines at a time; column by column would read a line for each
 * element. A column's sum runs over rows in order whatever the strip's width. */
static void update_factors(real *r, real *c, const real *g, adafactor_shape s, double scale,
                           const adafactor_step *how)
{
    for (int64_t i = 0; i < s.rows; i++) {
        double q = g ? sum_q(g + i * s.columns, s.columns, scale, how->eps1)
                     : how->eps1 * (double)s.columns;
        r[i] = blend(how->beta2, r[i], q);
    }
    for (int64_t begin = 0; begin < s.columns; begin += STRIP) {
        int64_t n = MIN(STRIP, s.columns - begin);
        double q[STRIP] = {0};
        for (int64_t i = 0; g && i < s.rows; i++) {
            const real *row = g + i * s.columns + begin;
#pragma omp simd
            for (int64_t j = 0; j < n; j++) {
                double x = scale * (double)row[j];
                q[j] += x * x;
            }
        }
        for (int64_t j = 0; j < n; j++) {
            c[begin + j] = blend(how->beta2, c[begin + j], q[j] + how->eps1 * (double)s.rows);
        }
    }
}

/* A row's update is u[j] = g[j] * factor / sqrt(v[j]), where the row's own moment is in the factor:
 * the product R C^T is never formed, as it could underflow. */
static double row_squares(const real *g, const real *v, int64_t n, double factor)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        double u = factor * (double)g[j];
        sum += u * u / (double)v[j];
    }
    return sum;
}

static void row_move(real *x, const real *g, const real *v, int64_t n, double factor, double decay)
{
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        double u = factor * (double)g[j] / sqrt((double)v[j]);
        x[j] = (real)((double)x[j] * (1 - decay) - u);
    }
}

static double sum_of(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    return sum;
}

/* Where row i of slab k finds its column moments, and the factor of its gradient. */
static const real *row_moments(double *factor, const real *state, adafactor_shape s, int64_t slab,
                               int64_t row, double sum_r)
{
    if (s.rows == 1) return state;
    /* V_ij = R_i C_j / sum(R), so 1 / sqrt(V_ij) = sqrt(sum(R) / R_i) / sqrt(C_j) */
    const real *r = state + slab * (s.rows + s.columns);
    *factor *= sqrt(sum_r / (double)r[row]);
    return r + s.rows;
}

/* 1 for vectors: row_moments does not use it. */
static double slab_sum(const real *state, adafactor_shape s, int64_t slab)
{
    return s.rows == 1 ? 1 : sum_of(state + slab * (s.rows + s.columns), s.rows);
}

static double rms(double squares, int64_t count)
{
    return sqrt(squares / (double)count);
}

static void decay_only(real *x, int64_t count, double decay)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = (real)((double)x[i] * (1 - decay));
    }
}

void adafactor_update(real *x, real *state, const real *g, adafactor_shape s, double scale,
                      const adafactor_step *how)
{
    int64_t matrix = s.rows * s.columns, count = s.slabs * matrix;
    /* First the moments, all of them: the update divides by what includes this step's gradient. */
    for (int64_t k = 0; k < s.slabs && s.rows > 1; k++) {
        real *r = state + k * (s.rows + s.columns);
        update_factors(r, r + s.rows, g ? g + k * matrix : NULL, s, scale, how);
    }
    for (int64_t j = 0; j < s.columns && s.rows == 1; j++) {
        double gj = g ? scale * (double)g[j] : 0;
        state[j] = blend(how->beta2, state[j], gj * gj + how->eps1);
    }
    if (!g) { /* the update is 0 */
        if (how->decay > 0) decay_only(x, count, how->decay);
        return;
    }
    double squares = 0;
    for (int64_t k = 0; k < s.slabs; k++) {
        double sum_r = slab_sum(state, s, k);
        for (int64_t i = 0; i < s.rows; i++) {
            double factor = scale;
            const real *v = row_moments(&factor, state, s, k, i, sum_r);
            squares += row_squares(g + k * matrix + i * s.columns, v, s.columns, factor);
        }
    }
    /* x -= alpha u, alpha = rho max(eps2, RMS(x)) / max(1, RMS(u) / update_clip): u, which is
     * near 1 in the mean, is held down where moments lag behind the gradient */
    double alpha = how->rho / MAX(1, rms(squares, count) / how->update_clip);
    if (how->scale_parameter) alpha *= MAX(how->eps2, rms(sum_q(x, count, 1, 0), count));
    for (int64_t k = 0; k < s.slabs; k++) {
        double sum_r = slab_sum(state, s, k);
        for (int64_t i = 0; i < s.rows; i++) {
            double factor = scale * alpha;
            const real *v = row_moments(&factor, state, s, k, i, sum_r);
            int64_t at = k * matrix + i * s.columns;
            row_move(x + at, g + at, v, s.columns, factor, how->decay);
        }
    }
}
