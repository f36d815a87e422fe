#include "core/base/crew.h"
#include "core/ops/blas.h"
#include "core/ops/ops.h"

#include <math.h>

/* Pair c of a head at position p is turned by the angle p theta^(-2c / head_dim) (Su et al. 2021,
 * arXiv:2104.09864), so that a product of query and key depends on the difference of their
 * positions. As a complex number: z = (a + i b) e^(i angle), times a scale with xpos (Sun et al.
 * 2022, arXiv:2212.10554).
 *
 * Cosines and sines of a call are one table for all heads, layers and both directions. They are
 * made in double by steps: e^(i (p + 1) f) = e^(i p f) e^(i f), four multiplications for a pair,
 * and computed anew every ANCHOR positions, before rounding shows in a float. Powers and cosines of
 * the library cost far more. */

typedef struct rotary_keep {
    tensor *x, *y;
    rotary_shape s;
} rotary_keep;

/* For every position of a call: the cosines and sines of its angles, each already times xpos's
 * scale. All layers rotate by the same, forward and backward, so that a step keeps its tables. */
typedef struct rotary_table {
    rotary_shape s;
    int64_t time;
    real *cosines, *sines; /* [time, head_dim / 2] */
    struct rotary_table *next;
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

static void fill_table(arena *m, const rotary_table *table)
{
    const rotary_shape *s = &table->s;
    int64_t half = s->head_dim / 2;
    rotary_step at = {ARENA_NEW(m, double, half), ARENA_NEW(m, double, half),
                      ARENA_NEW(m, double, half), ARENA_NEW(m, double, half)};
    for (int64_t i = 0; i < table->time; i++) {
        /* Where a period or a block begins, the position falls back. */
        bool jumps = i > 0 && position_of(s, i) != position_of(s, i - 1) + 1;
        if (i % ANCHOR == 0 || jumps) anchor(&at, s, i);
        advance(&at, table->cosines + i * half, table->sines + i * half, half);
    }
}

static bool same_angles(const rotary_shape *a, const rotary_shape *b)
{
    return a->head_dim == b->head_dim && a->first == b->first && a->theta == b->theta &&
           a->xpos == b->xpos && a->period == b->period && a->block == b->block;
}

/* The address stands for all tables.
 * Different layers may differ in theta or base: a list of the few tables that a step needs. */
static const char TABLES = 0;

static const rotary_table *table_of(tape *t, const rotary_shape *s, int64_t time)
{
    void **first = tape_shared(t, &TABLES);
    for (const rotary_table *k = *first; k; k = k->next) {
        if (k->time == time && same_angles(&k->s, s)) return k;
    }
    rotary_table *table = tape_keep_shared(t, 1, sizeof *table);
    int64_t count = time * s->head_dim / 2;
    *table = (rotary_table){*s, time, tape_keep_shared(t, count, sizeof(real)),
                            tape_keep_shared(t, count, sizeof(real)), *first};
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    fill_table(m, table);
    arena_rewind(m, mark);
    *first = table;
    return table;
}

/* Rotates one head by +angle (sign 1) or -angle (sign -1); pair c is (a[c], b[c]) with b half a
 * head behind a. */
/* (p + i q)(cos + i sin) */
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

/* The same for pairs that lie side by side. */
static void rotate_pairs(real *x, const real *cosines, const real *sines, real sign, int64_t half)
{
    for (int64_t c = 0; c < half; c++) {
        real p = x[2 * c], q = x[2 * c + 1], s = sign * sines[c];
        x[2 * c] = p * cosines[c] - q * s;
        x[2 * c + 1] = q * cosines[c] + p * s;
    }
}

/* What is rotated, positions shared among helpers. */
typedef struct rotation {
    const rotary_table *table;
    const rotary_shape *s;
    real *data; /* [positions, width] */
    int64_t positions, width, parts;
    real sign;
} rotation;

static void rotate_part(void *arg, int part)
{
    const rotation *r = arg;
    const rotary_shape *s = r->s;
    int64_t half = s->head_dim / 2, end = r->positions * (part + 1) / r->parts;
    for (int64_t n = r->positions * part / r->parts; n < end; n++) {
        const real *cosines = r->table->cosines + n % r->table->time * half;
        const real *sines = r->table->sines + n % r->table->time * half;
        for (int64_t h = 0; h < s->heads; h++) {
            real *x = r->data + n * r->width + s->column + h * s->head_dim;
            if (s->interleaved) {
                rotate_pairs(x, cosines, sines, r->sign, half);
            } else {
                rotate_halves(x, x + half, cosines, sines, r->sign, half);
            }
        }
    }
}

/* All heads of all positions of data [rows, time, width]. The transpose of the rotation is the
 * rotation by -angle with the same scale.
 * Helpers take ranges of positions; each element is computed by itself. */
static void rotate(tape *t, real *data, const tensor *x, const rotary_shape *s, real sign)
{
    rotation r = {.table = table_of(t, s, x->shape[1]),
                  .s = s,
                  .data = data,
                  .positions = x->shape[0] * x->shape[1],
                  .width = x->shape[2],
                  .sign = sign};
    r.parts = blas_hands(1, r.positions, s->heads * s->head_dim);
    crew_run(rotate_part, &r, (int)r.parts);
}

/* y's gradient is turned back in place: nobody reads it afterwards, and x takes it over. */
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
