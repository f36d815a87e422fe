/* Causal depthwise convolution: see ops_recurrent.h.
 *
 * Channels lie side by side, so a tap is a row of weights and a position's sum a few multiply-adds
 * of whole rows: the loop over channels is the inner one and vectorises, the loop over the few taps
 * stays outside. The sum before the activation is not kept: it is as cheap to make again as to
 * read. */
#include "core/ops/activation.h"
#include "core/ops/ops_recurrent.h"
#include "core/ops/vec.h"

typedef struct conv_keep {
    tensor *x, *w, *before, *y, *last;
    int64_t dilation;
    activation kind;
} conv_keep;

/* w [channels, size] turned over: [size, channels], so that a tap is a row.
 * PyTorch stores a channel's taps side by side; the loop here wants the channels of a tap. */
static real *turned(arena *a, const tensor *w)
{
    int64_t channels = w->shape[0], size = w->shape[1];
    real *to = ARENA_NEW(a, real, channels * size);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t j = 0; j < size; j++) {
            to[j * channels + c] = w->data[c * size + j];
        }
    }
    return to;
}

/* Where position `at` of a row stands, in x or before it; NULL: a zero.
 * before [past, channels] ends where x begins: position -1 is its last row. */
static real *place(real *x, real *before, int64_t at, int64_t past, int64_t channels)
{
    if (at >= 0) return x + at * channels;
    return before ? before + (past + at) * channels : NULL;
}

/* z [channels]: the sum of position `at` before its activation.
 * Oldest tap first, always in this order: a position's sum has the same bits wherever calls
 * begin. */
static void sum_of(real *restrict z, const conv_keep *k, const real *taps, int64_t row, int64_t at)
{
    int64_t time = k->x->shape[1], channels = k->x->shape[2], size = k->w->shape[1];
    int64_t past = (size - 1) * k->dilation;
    real *x = k->x->data + row * time * channels;
    real *before = k->before ? k->before->data + row * past * channels : NULL;
    vec_zero(z, channels);
    for (int64_t j = 0; j < size; j++) {
        const real *from = place(x, before, at - (size - 1 - j) * k->dilation, past, channels);
        if (from) vec_mul_add(z, from, taps + j * channels, channels);
    }
}

/* Copies what stands before the next call (forward), or adds its gradient (backward).
 * The last `past` positions, which reach back into `before` where the call is shorter than that: so
 * a text may be read one position at a time. */
static void hand_on(const conv_keep *k, real *x, real *before, real *last, bool back)
{
    int64_t time = k->x->shape[1], channels = k->x->shape[2], rows = k->x->shape[0];
    int64_t past = (k->w->shape[1] - 1) * k->dilation;
    for (int64_t i = 0; i < rows * past; i++) {
        int64_t row = i / past, at = time - past + i % past;
        real *here = last + i * channels, *from = NULL;
        if (at >= 0) {
            if (x) from = x + (row * time + at) * channels;
        } else if (before) {
            from = before + (row * past + past + at) * channels;
        }
        if (back) {
            if (from) vec_add(from, here, channels);
        } else if (from) {
            vec_copy(here, from, channels);
        } else {
            vec_zero(here, channels);
        }
    }
}

/* Memory of the backward pass. */
typedef struct conv_grads {
    const real *taps;
    real *dtaps, *dx, *dbefore; /* NULL: not wanted */
    real *z, *value, *slope;    /* [channels] */
} conv_grads;

/* Taps that fall before the document are zeros, and take no gradient. */
static void position_backward(const conv_keep *k, const conv_grads *g, int64_t row, int64_t at)
{
    int64_t time = k->x->shape[1], channels = k->x->shape[2], size = k->w->shape[1];
    int64_t past = (size - 1) * k->dilation;
    real *x = k->x->data + row * time * channels;
    real *before = k->before ? k->before->data + row * past * channels : NULL;
    real *dx = g->dx ? g->dx + row * time * channels : NULL;
    real *dbefore = g->dbefore ? g->dbefore + row * past * channels : NULL;
    /* z = sum_j w_j x_(at - j), computed again rather than kept; dz = dy act'(z);  dx_(at - j)
     * += w_j dz,  dw_j += x_(at - j) dz */
    sum_of(g->z, k, g->taps, row, at);
    activation_value_slope(g->value, g->slope, g->z, channels, k->kind);
    /* slope becomes dz. */
    vec_mul(g->slope, k->y->grad + (row * time + at) * channels, channels);
    for (int64_t j = 0; j < size; j++) {
        int64_t source = at - (size - 1 - j) * k->dilation;
        const real *from = place(x, before, source, past, channels);
        real *to = source >= 0 && !dx ? NULL : place(dx, dbefore, source, past, channels);
        if (to) vec_mul_add(to, g->slope, g->taps + j * channels, channels);
        if (from && g->dtaps) vec_mul_add(g->dtaps + j * channels, g->slope, from, channels);
    }
}

/* One position after the other, on one thread: dtaps adds up in that order. */
static void conv_backward(tape *t, void *keep)
{
    const conv_keep *k = keep;
    int64_t rows = k->x->shape[0], time = k->x->shape[1], channels = k->x->shape[2];
    int64_t size = k->w->shape[1];
    real *dw = tape_grad(t, k->w);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    conv_grads g = {.taps = turned(scratch, k->w),
                    .dtaps = dw ? arena_push_zero(scratch, size * channels, sizeof(real)) : NULL,
                    .dx = tape_grad(t, k->x),
                    .dbefore = tape_grad(t, k->before),
                    .z = ARENA_NEW(scratch, real, channels),
                    .value = ARENA_NEW(scratch, real, channels),
                    .slope = ARENA_NEW(scratch, real, channels)};
    for (int64_t i = 0; i < rows * time; i++) {
        position_backward(k, &g, i / time, i % time);
    }
    /* Turned back: dtaps is [size, channels]. */
    for (int64_t i = 0; dw && i < channels * size; i++) {
        dw[i] += g.dtaps[i % size * channels + i / size];
    }
    if (k->last && k->last->has_grad) hand_on(k, g.dx, g.dbefore, k->last->grad, true);
    arena_rewind(scratch, mark);
}

static const op_class CONV = {"conv", conv_backward};

static void check_shapes(const tensor *x, const tensor *w, const tensor *before, int64_t dilation)
{
    CHECK(x->rank == 3 && w->rank == 2 && w->shape[0] == x->shape[2] && w->shape[1] >= 1,
          "x [rows, time, channels] and w [channels, size] wanted");
    CHECK(dilation >= 1 && x->shape[1] >= 1, "dilation %lld, %lld positions", (long long)dilation,
          (long long)x->shape[1]);
    int64_t past = (w->shape[1] - 1) * dilation;
    CHECK(!before || tensor_count(before) == x->shape[0] * past * x->shape[2],
          "before has %lld values", (long long)tensor_count(before));
}

tensor *op_conv(tape *t, tensor *x, tensor *w, tensor *before, int64_t dilation, activation kind,
                tensor **last)
{
    check_shapes(x, w, before, dilation);
    double since = tape_clock(t);
    int64_t rows = x->shape[0], time = x->shape[1], channels = x->shape[2];
    int64_t past = (w->shape[1] - 1) * dilation;
    conv_keep *k = tape_keep(t, 1, sizeof *k);
    *k = (conv_keep){x, w, before, tape_like(t, x), NULL, dilation, kind};
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    const real *taps = turned(scratch, w);
    real *z = ARENA_NEW(scratch, real, channels);
    for (int64_t i = 0; i < rows * time; i++) {
        sum_of(z, k, taps, i / time, i % time);
        /* z is one row of scratch: the sums of all positions are never there at once. */
        activation_value(k->y->data + i * channels, z, channels, kind);
    }
    arena_rewind(scratch, mark);
    if (last) *last = NULL;
    if (last && past > 0) {
        *last = k->last = tape_tensor(t, 3, (int64_t[]){rows, past, channels});
        hand_on(k, x->data, before ? before->data : NULL, k->last->data, false);
    }
    if (tape_wants(t, 3, (tensor *[]){x, w, before})) {
        tape_record(t, &CONV, k, k->last ? 2 : 1, (tensor *[]){k->y, k->last});
    }
    tape_charge(t, &CONV, since);
    return k->y;
}
