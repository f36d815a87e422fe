#include "core/ops/ops.h"

#include <math.h>

typedef struct rotary_keep {
    tensor *x, *y;
    rotary_shape s;
} rotary_keep;

/* For every position of a call: the cosines and sines of its angles, each already times xpos's
 * scale. */
typedef struct rotary_table {
    real *cosines, *sines; /* [time, head_dim / 2] */
} rotary_table;

/* Positions between two that are computed exactly; in between the angle is advanced by a complex
 * product, whose error grows by about 1e-16 a step. */
enum { ANCHOR = 64 };

static double frequency(const rotary_shape *s, int64_t c)
{
    return pow(s->theta, -2.0 * (double)c / (double)s->head_dim);
}

/* ((2c + 0.4 e) / (1.4 e))^(sign / 512): what one position multiplies the scale by. */
static double xpos_step(const rotary_shape *s, int64_t c)
{
    double e = (double)s->head_dim;
    return pow((2.0 * (double)c + 0.4 * e) / (1.4 * e), (double)s->xpos / 512.0);
}

/* The angles of position `first + i` and what a step further multiplies them by. */
typedef struct rotary_step {
    double *re, *im;           /* [head_dim / 2] */
    double *step_re, *step_im; /* [head_dim / 2] */
} rotary_step;

static int64_t position_of(const rotary_shape *s, int64_t i)
{
    return s->period > 0 ? (s->first + i) % s->block % s->period : s->first + i;
}

static void anchor(rotary_step *at, const rotary_shape *s, int64_t i)
{
    double position = (double)position_of(s, i);
    for (int64_t c = 0; c < s->head_dim / 2; c++) {
        double f = frequency(s, c), scale = s->xpos ? xpos_step(s, c) : 1;
        double size = s->xpos ? pow(scale, position) : 1;
        at->re[c] = size * cos(f * position);
        at->im[c] = size * sin(f * position);
        at->step_re[c] = scale * cos(f);
        at->step_im[c] = scale * sin(f);
    }
}

/* Writes one row of the table and steps to the next position. */
static void advance(const rotary_step *at, real *restrict cosines, real *restrict sines,
                    int64_t half)
{
    double *restrict re = at->re, *restrict im = at->im;
    const double *restrict step_re = at->step_re, *restrict step_im = at->step_im;
#pragma omp simd
    for (int64_t c = 0; c < half; c++) {
        double x = re[c], y = im[c];
        cosines[c] = (real)x;
        sines[c] = (real)y;
        re[c] = x * step_re[c] - y * step_im[c];
        im[c] = x * step_im[c] + y * step_re[c];
    }
}

static rotary_table rotary_table_new(arena *m, const rotary_shape *s, int64_t time)
{
    int64_t half = s->head_dim / 2;
    rotary_table table = {ARENA_NEW(m, real, time * half), ARENA_NEW(m, real, time * half)};
    rotary_step at = {ARENA_NEW(m, double, half), ARENA_NEW(m, double, half),
                      ARENA_NEW(m, double, half), ARENA_NEW(m, double, half)};
    for (int64_t i = 0; i < time; i++) {
        bool jumps = i > 0 && position_of(s, i) != position_of(s, i - 1) + 1;
        if (i % ANCHOR == 0 || jumps) anchor(&at, s, i);
        advance(&at, table.cosines + i * half, table.sines + i * half, half);
    }
    return table;
}

/* Rotates one head by +angle (sign 1) or -angle (sign -1); pair c is (a[c], b[c]) with b half a
 * head behind a. */
static void rotate_halves(real *restrict a, real *restrict b, const real *restrict cosines,
                          const real *restrict sines, real sign, int64_t half)
{
#pragma omp simd
    for (int64_t c = 0; c < half; c++) {
        real p = a[c], q = b[c], s = sign * sines[c];
        a[c] = p * cosines[c] - q * s;
        b[c] = q * cosines[c] + p * s;
    }
}

static void rotate_pairs(real *x, const real *cosines, const real *sines, real sign, int64_t half)
{
    for (int64_t c = 0; c < half; c++) {
        real p = x[2 * c], q = x[2 * c + 1], s = sign * sines[c];
        x[2 * c] = p * cosines[c] - q * s;
        x[2 * c + 1] = q * cosines[c] + p * s;
    }
}

/* All heads of all positions of data [rows, time, width]. The transpose of the rotation is the
 * rotation by -angle with the same scale. */
static void rotate(tape *t, real *data, const tensor *shape, const rotary_shape *s, real sign)
{
    int64_t rows = shape->shape[0], time = shape->shape[1], width = shape->shape[2];
    int64_t half = s->head_dim / 2;
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    rotary_table table = rotary_table_new(m, s, time);
    for (int64_t n = 0; n < rows * time; n++) {
        const real *cosines = table.cosines + n % time * half;
        const real *sines = table.sines + n % time * half;
        for (int64_t h = 0; h < s->heads; h++) {
            real *x = data + n * width + s->column + h * s->head_dim;
            if (s->interleaved) {
                rotate_pairs(x, cosines, sines, sign, half);
            } else {
                rotate_halves(x, x + half, cosines, sines, sign, half);
            }
        }
    }
    arena_rewind(m, mark);
}

static void rotary_backward(tape *t, void *keep)
{
    rotary_keep *k = keep;
    rotate(t, k->y->grad, k->y, &k->s, -1);
    tape_grad_pass(t, k->x, k->y);
}

static const op_class ROTARY = {"rotary", rotary_backward};

tensor *op_rotary_inplace(tape *t, tensor *x, const rotary_shape *shape)
{
    CHECK(x->rank == 3 && shape->head_dim % 2 == 0 && shape->column >= 0 &&
              shape->column + shape->heads * shape->head_dim <= x->shape[2],
          "%lld heads of %lld from column %lld of %lld", (long long)shape->heads,
          (long long)shape->head_dim, (long long)shape->column, (long long)x->shape[2]);
    double since = tape_clock(t);
    rotate(t, x->data, x, shape, 1);
    tensor *y = tape_detach(t, x);
    return tape_done(t, &ROTARY, since, 1, &x, &(rotary_keep){x, y, *shape}, sizeof(rotary_keep),
                     y);
}
