/* Gradient steps by running sums: see ops_fast.h. With c_i the sum before position i:
 *
 *   y_i = a_i - s f_i c_i,   c_{i+1} = d c_i + x_i
 *   dc_i = d dc_{i+1} - s f_i dy_i,   dx_i = dc_{i+1}
 *   df_i = -s c_i dy_i,   ds = -sum_i dy_i f_i c_i
 *
 * c is not kept but added up again.
 *
 * A bias's gradient steps: what op_attention_step is for a matrix, with keys that are always 1.
 * So there is no product to gain from chunks, and a plain loop over positions reads each number
 * once. */
#include "core/ops/ops_fast.h"

#include "core/ops/vec.h"

typedef struct running_keep {
    tensor *a, *s, *f, *x, *start, *y, *last;
    real decay;
} running_keep;

/* sum = decay sum + x */
static void advance(real *restrict sum, real decay, const real *restrict x, int64_t width)
{
#pragma omp simd
    for (int64_t j = 0; j < width; j++) {
        sum[j] = decay * sum[j] + x[j];
    }
}

/* y -= step f sum */
static void take_step(real *restrict y, real step, const real *restrict f, const real *restrict sum,
                      int64_t width)
{
    if (!f) {
        vec_axpy(y, -step, sum, width);
        return;
    }
#pragma omp simd
    for (int64_t j = 0; j < width; j++) {
        real change = f[j] * sum[j];
        /* As vec_axpy computes it without f: f = 1 gives the same bits. */
        y[j] += -step * change;
    }
}

/* Gradients of a row; c [time, width] are its sums. dc holds that behind the row, and in the end
 * that before it.
 * dx_i takes dc before this position's own part is added: x_i is first read at i + 1. */
static double row_backward(const running_keep *k, real *df, real *dx, const real *c,
                           real *restrict dc, int64_t row)
{
    int64_t time = k->y->shape[1], width = k->y->shape[2];
    real step = *k->s->data;
    double ds = 0;
    for (int64_t i = time - 1; i >= 0; i--) {
        int64_t at = (row * time + i) * width;
        const real *restrict dy = k->y->grad + at, *restrict sum = c + i * width;
        const real *restrict f = k->f ? k->f->data + at : NULL;
        if (dx) vec_add(dx + at, dc, width);
        if (f) {
#pragma omp simd reduction(- : ds)
            for (int64_t j = 0; j < width; j++) {
                ds -= (double)(dy[j] * f[j]) * (double)sum[j];
                dc[j] = k->decay * dc[j] - step * (dy[j] * f[j]);
            }
        } else {
#pragma omp simd reduction(- : ds)
            for (int64_t j = 0; j < width; j++) {
                ds -= (double)dy[j] * (double)sum[j];
                dc[j] = k->decay * dc[j] - step * dy[j];
            }
        }
        if (!df) continue;
        real *restrict out = df + at;
#pragma omp simd
        for (int64_t j = 0; j < width; j++) {
            out[j] -= step * (dy[j] * sum[j]);
        }
    }
    return ds;
}

static void running_backward(tape *t, void *keep)
{
    running_keep *k = keep;
    int64_t rows = k->x->shape[0], time = k->x->shape[1], width = k->x->shape[2];
    real *dx = tape_grad(t, k->x), *df = tape_grad(t, k->f), *ds = tape_grad(t, k->s);
    real *dstart = tape_grad(t, k->start);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    /* c [time + 1, width]: sums before each position of one row, and behind the last. */
    real *c = ARENA_NEW(scratch, real, (time + 1) * width), *dc = ARENA_NEW(scratch, real, width);
    double step_gradient = 0;
    for (int64_t r = 0; r < rows; r++) {
        vec_zero(c, width);
        if (k->start) vec_copy(c, k->start->data + r * width, width);
        for (int64_t i = 0; i < time; i++) {
            vec_copy(c + (i + 1) * width, c + i * width, width);
            advance(c + (i + 1) * width, k->decay, k->x->data + (r * time + i) * width, width);
        }
        vec_zero(dc, width);
        if (k->last) vec_copy(dc, k->last->grad + r * width, width);
        step_gradient += row_backward(k, df, dx, c, dc, r);
        if (dstart) vec_add(dstart + r * width, dc, width);
    }
    if (ds) *ds += (real)step_gradient;
    arena_rewind(scratch, mark);
    tape_grad_pass(t, k->a, k->y);
}

static const op_class RUNNING_STEP = {"running_step", running_backward};

static void check_shapes(const tensor *a, const tensor *s, const tensor *f, const tensor *x,
                         const tensor *start)
{
    CHECK(x->rank == 3 && tensor_same_shape(a, x) && (!f || tensor_same_shape(f, x)),
          "a and x [rows, time, width] wanted");
    CHECK(tensor_count(s) == 1 && a->data != x->data, "a step size of %lld elements",
          (long long)tensor_count(s));
    int64_t sums = x->shape[0] * x->shape[2];
    CHECK(!start || tensor_count(start) == sums, "start has %lld values, not %lld",
          (long long)tensor_count(start), (long long)sums);
}

tensor *op_running_step(tape *t, tensor *a, tensor *s, tensor *f, tensor *x, tensor *start,
                        real decay, tensor **last)
{
    check_shapes(a, s, f, x, start);
    double since = tape_clock(t);
    int64_t rows = x->shape[0], time = x->shape[1], width = x->shape[2];
    /* In place: nothing, not even the way back, reads a once a step has been taken from it. */
    tensor *y = tape_detach(t, a);
    /* The running sums themselves, a row's at a time: in the end c_time. */
    tensor *end = tape_constant(t, start ? start->data : NULL, 2, (int64_t[]){rows, width});
    for (int64_t i = 0; i < rows * time; i++) {
        real *sum = end->data + i / time * width;
        take_step(y->data + i * width, *s->data, f ? f->data + i * width : NULL, sum, width);
        advance(sum, decay, x->data + i * width, width);
    }
    if (tape_wants(t, 5, (tensor *[]){a, s, f, x, start})) {
        running_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (running_keep){a, s, f, x, start, y, last ? end : NULL, decay};
        tape_record(t, &RUNNING_STEP, k, last ? 2 : 1, (tensor *[]){y, end});
    }
    if (last) *last = end;
    tape_charge(t, &RUNNING_STEP, since);
    return y;
}
