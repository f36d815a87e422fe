#include "core/ops/blas.h"
#include "core/ops/ops.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

/* What can be done for all steps at once is: gates' part of x comes in as one product, and dW_hh is
 * one product at the end. Left inside of the loop over time are the product with h and the cell.
 * Values are kept by time first, [time, rows, 4h], so that a step's rows lie together for its
 * product; x and y are by row first, as all tensors.
 *
 * Kept: the gates' values and c, not the sums before them nor tanh(c). Of a sigmoid or tanh the
 * value gives the slope. */

typedef struct lstm_keep {
    tensor *gates_x, *w_hh, *h0, *c0;
    tensor *out[3]; /* y [rows, time, h], h_last, c_last [rows, h] */
    real *gates;    /* [time, rows, 4h]: after their sigmoids and tanh */
    real *cells;    /* [time, rows, h]: c */
    const gemm_kernel *g;
} lstm_keep;

/* One row, one step: z [4h] holds sums and becomes gates i, f, g, o.
 * In place of z: the sums are not needed once the gates are known. */
static void lstm_cell(real *restrict z, real *restrict c, real *restrict y,
                      const real *restrict c_before, int64_t h)
{
    /* c = sigma(f) c_before + sigma(i) tanh(g);  y = sigma(o) tanh(c) */
    real *restrict f = z + h, *restrict g = z + 2 * h, *restrict o = z + 3 * h;
#pragma omp simd
    for (int64_t j = 0; j < h; j++) {
        z[j] = vm_sigmoid(z[j]);
        f[j] = vm_sigmoid(f[j]);
        g[j] = vm_tanh(g[j]);
        o[j] = vm_sigmoid(o[j]);
        c[j] = f[j] * c_before[j] + z[j] * g[j];
        y[j] = o[j] * vm_tanh(c[j]);
    }
}

/* The same backwards: dz [4h] from dh and dc [h]; dc becomes the gradient of c_before.
 * c_before gets d f from here alone, through the cell; h before gets its part by W_hh. */
static void lstm_cell_backward(real *restrict dz, real *restrict dc, const real *restrict dh,
                               const real *restrict z, const real *restrict c,
                               const real *restrict c_before, int64_t h)
{
    const real *restrict f = z + h, *restrict g = z + 2 * h, *restrict o = z + 3 * h;
#pragma omp simd
    for (int64_t j = 0; j < h; j++) {
        /* d: all that flows into c, from behind and through y. Of the gates their values are
         * kept, and sigma' = s (1 - s), tanh' = 1 - t^2. */
        real tanh_c = vm_tanh(c[j]);
        real d = dc[j] + dh[j] * o[j] * (1 - tanh_c * tanh_c);
        dz[j] = d * g[j] * z[j] * (1 - z[j]);
        dz[h + j] = d * c_before[j] * f[j] * (1 - f[j]);
        dz[2 * h + j] = d * z[j] * (1 - g[j] * g[j]);
        dz[3 * h + j] = dh[j] * tanh_c * o[j] * (1 - o[j]);
        dc[j] = d * f[j];
    }
}

/* h before step s of all rows, gathered to [rows, h]. */
static void hidden_before(real *to, const lstm_keep *k, int64_t s)
{
    int64_t rows = k->out[0]->shape[0], time = k->out[0]->shape[1], h = k->out[0]->shape[2];
    for (int64_t r = 0; r < rows; r++) {
        if (s > 0) {
            vec_copy(to + r * h, k->out[0]->data + (r * time + s - 1) * h, h);
        } else if (k->h0) {
            vec_copy(to + r * h, k->h0->data + r * h, h);
        } else {
            vec_zero(to + r * h, h);
        }
    }
}

/* hidden [rows, h] is gathered for each step: in y a row's steps lie together, not a step's
 * rows. */
static void lstm_forward(const lstm_keep *k, real *hidden, const real *zeros)
{
    int64_t rows = k->out[0]->shape[0], time = k->out[0]->shape[1], h = k->out[0]->shape[2];
    for (int64_t s = 0; s < time; s++) {
        real *z = k->gates + s * rows * 4 * h, *c = k->cells + s * rows * h;
        const real *before = s ? c - rows * h : k->c0 ? k->c0->data : zeros;
        for (int64_t r = 0; r < rows; r++) {
            vec_copy(z + r * 4 * h, k->gates_x->data + (r * time + s) * 4 * h, 4 * h);
        }
        /* z += W_hh h: the one product that has to wait for the step before; that with x came in
         * for all steps at once. */
        hidden_before(hidden, k, s);
        blas_gemm(k->g, false, true, rows, 4 * h, h, 1, hidden, h, k->w_hh->data, h, 1, z, 4 * h);
        for (int64_t r = 0; r < rows; r++) {
            lstm_cell(z + r * 4 * h, c + r * h, k->out[0]->data + (r * time + s) * h,
                      before + r * h, h);
        }
    }
}

/* Steps backwards through time. dz [time, rows, 4h] is left for the products over all steps; dh and
 * dc [rows, h] come in as the gradients of the last state and go out as those of the first. */
static void lstm_backward_steps(const lstm_keep *k, real *dz, real *dh, real *dc, const real *zeros)
{
    int64_t rows = k->out[0]->shape[0], time = k->out[0]->shape[1], h = k->out[0]->shape[2];
    for (int64_t s = time - 1; s >= 0; s--) {
        const real *z = k->gates + s * rows * 4 * h, *c = k->cells + s * rows * h;
        const real *before = s ? c - rows * h : k->c0 ? k->c0->data : zeros;
        real *dz_now = dz + s * rows * 4 * h;
        for (int64_t r = 0; r < rows; r++) {
            /* What step s + 1 sent back, and what y's users send to this step. */
            vec_add(dh + r * h, k->out[0]->grad + (r * time + s) * h, h);
            lstm_cell_backward(dz_now + r * 4 * h, dc + r * h, dh + r * h, z + r * 4 * h, c + r * h,
                               before + r * h, h);
        }
        /* dh of the step before: dz W_hh */
        blas_gemm(k->g, false, false, rows, h, 4 * h, 1, dz_now, 4 * h, k->w_hh->data, h, 0, dh, h);
    }
}

static void lstm_backward(tape *t, void *keep)
{
    lstm_keep *k = keep;
    int64_t rows = k->out[0]->shape[0], time = k->out[0]->shape[1], h = k->out[0]->shape[2];
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *zeros = arena_push_zero(scratch, rows * h, sizeof(real));
    /* All steps', for the two products that follow. */
    real *dz = ARENA_NEW(scratch, real, time * rows * 4 * h);
    real *dh = ARENA_NEW(scratch, real, rows * h), *dc = ARENA_NEW(scratch, real, rows * h);
    /* The tape has zeroed those of the outputs that nothing flowed into. */
    vec_copy(dh, k->out[1]->grad, rows * h);
    vec_copy(dc, k->out[2]->grad, rows * h);
    lstm_backward_steps(k, dz, dh, dc, zeros);
    real *dh0 = tape_grad(t, k->h0), *dc0 = tape_grad(t, k->c0), *dx = tape_grad(t, k->gates_x);
    if (dh0) vec_add(dh0, dh, rows * h);
    if (dc0) vec_add(dc0, dc, rows * h);
    /* gates_x enters the sums unchanged: its gradient is dz, put back into the order of rows. */
    for (int64_t i = 0; dx && i < rows * time; i++) {
        int64_t r = i / time, s = i % time;
        vec_add(dx + i * 4 * h, dz + (s * rows + r) * 4 * h, 4 * h);
    }
    real beta;
    real *dw = tape_grad_beta(t, k->w_hh, &beta);
    if (dw) {
        /* dW_hh = sum over steps of dz_s^T h_(s-1), as one product */
        real *before = ARENA_NEW(scratch, real, time * rows * h);
        for (int64_t s = 0; s < time; s++) {
            hidden_before(before + s * rows * h, k, s);
        }
        blas_gemm(k->g, true, false, 4 * h, h, time * rows, 1, dz, 4 * h, before, h, beta, dw, h);
    }
    arena_rewind(scratch, mark);
}

static const op_class LSTM = {"lstm", lstm_backward};

static void lstm_check(const tensor *gates_x, const tensor *w_hh, const tensor *h0,
                       const tensor *c0)
{
    CHECK(gates_x->rank == 3 && w_hh->rank == 2 && w_hh->shape[0] == 4 * w_hh->shape[1] &&
              gates_x->shape[2] == w_hh->shape[0],
          "gates [.., %lld], w_hh [%lld, %lld]", (long long)tensor_width(gates_x),
          (long long)w_hh->shape[0], (long long)w_hh->shape[1]);
    int64_t state = gates_x->shape[0] * w_hh->shape[1];
    CHECK((!h0 || tensor_count(h0) == state) && (!c0 || tensor_count(c0) == state),
          "states of another size than %lld", (long long)state);
    /* There would be no last state. */
    CHECK(gates_x->shape[1] >= 1, "a call of no steps");
}

tensor *op_lstm(tape *t, tensor *gates_x, tensor *w_hh, tensor *h0, tensor *c0, tensor **h_last,
                tensor **c_last)
{
    lstm_check(gates_x, w_hh, h0, c0);
    double since = tape_clock(t);
    int64_t rows = gates_x->shape[0], time = gates_x->shape[1], h = w_hh->shape[1];
    int64_t y_shape[] = {rows, time, h}, state_shape[] = {rows, h};
    lstm_keep *k = tape_keep(t, 1, sizeof *k);
    *k = (lstm_keep){gates_x,
                     w_hh,
                     h0,
                     c0,
                     .g = tape_products(t),
                     .gates = tape_keep(t, time * rows * 4 * h, sizeof(real)),
                     .cells = tape_keep(t, time * rows * h, sizeof(real))};
    k->out[0] = tape_tensor(t, 3, y_shape);
    k->out[1] = *h_last = tape_tensor(t, 2, state_shape);
    k->out[2] = *c_last = tape_tensor(t, 2, state_shape);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    lstm_forward(k, ARENA_NEW(scratch, real, rows * h),
                 arena_push_zero(scratch, rows * h, sizeof(real)));
    arena_rewind(scratch, mark);
    hidden_before((*h_last)->data, k, time);
    vec_copy((*c_last)->data, k->cells + (time - 1) * rows * h, rows * h);
    tensor *inputs[] = {gates_x, w_hh, h0, c0};
    if (tape_wants(t, 4, inputs)) tape_record(t, &LSTM, k, 3, k->out);
    tape_charge(t, &LSTM, since);
    return k->out[0];
}
