/* Linear maps of groups of rows, each with a weight of its own: what experts are made of.
 *
 * Rows of one group lie together, so a group is a linear map on a stretch of memory; the caller
 * sorts (op_gather) and puts back (op_scatter). Groups are done one by one, each product as wide as
 * its rows. A group without rows is not touched: its weight is no input, its gradient is not even
 * zeroed, and `has` of its piece stays false, which saves the sum over lanes and the optimiser's
 * step (params.h). */
#include "core/ops/activation.h"
#include "core/ops/blas.h"
#include "core/ops/ops.h"
#include "core/ops/vec.h"

typedef struct grouped_keep {
    tensor *x, *y;
    activation kind;
    int64_t groups;
    const gemm_kernel *g;
    const int64_t *begin; /* [groups + 1] */
    tensor **w, **b;      /* [groups]; w NULL where a group is empty, b NULL for no biases */
} grouped_keep;

/* Rows of the largest group: what scratch is made for. */
static int64_t largest_group(const int64_t *begin, int64_t groups)
{
    int64_t most = 0;
    for (int64_t g = 0; g < groups; g++) {
        most = MAX(most, begin[g + 1] - begin[g]);
    }
    return most;
}

/* y = f(x) W^T + b on rows x of group g; `value` is used again for the next group. */
static void group_forward(const grouped_keep *k, int64_t g, const real *x, real *y, int64_t in,
                          int64_t out, real *value)
{
    int64_t rows = k->begin[g + 1] - k->begin[g];
    const tensor *b = k->b ? k->b[g] : NULL;
    if (k->kind != ACT_IDENTITY) {
        activation_value(value, x, rows * in, k->kind);
        x = value;
    }
    blas_gemm_kept(k->w[g]->kept, k->g, true, rows, out, in, x, in, k->w[g]->data,
                   b ? b->data : NULL, 0, y, out);
}

/* Adds to the group's weights and, if wanted, to its rows of dx (overwriting them where fresh).
 * f(x) is needed for dW only, and dx's rows of this group are free until the very end: they hold
 * it. */
static void group_backward(tape *t, const grouped_keep *k, int64_t g, real *dx, real beta_x,
                           real *value, real *slope, real *da)
{
    int64_t in = tensor_width(k->x), out = tensor_width(k->y);
    int64_t rows = k->begin[g + 1] - k->begin[g];
    const real *x = k->x->data + k->begin[g] * in, *dy = k->y->grad + k->begin[g] * out;
    if (k->kind != ACT_IDENTITY) {
        if (dx && beta_x == 0) value = dx + k->begin[g] * in; /* until the gradient is written */
        activation_value_slope(value, slope, x, rows * in, k->kind);
        x = value;
    }
    real beta;
    /* dW += dy^T f(x);  db += sum of dy;  dx = f'(x) (dy W) */
    real *dw = tape_grad_beta(t, k->w[g], &beta);
    if (dw) blas_gemm(k->g, true, false, out, in, rows, 1, dy, out, x, in, beta, dw, in);
    real *db = k->b ? tape_grad(t, k->b[g]) : NULL;
    if (db) vec_add_columns(db, dy, rows, out);
    if (!dx) return;
    real *to = dx + k->begin[g] * in;
    if (k->kind == ACT_IDENTITY) {
        blas_gemm_kept(k->w[g]->kept, k->g, false, rows, in, out, dy, out, k->w[g]->data, NULL,
                       beta_x, to, in);
        return;
    }
    /* dA = dy W, in place where dx is fresh. */
    real *through = beta_x == 0 ? to : da;
    blas_gemm_kept(k->w[g]->kept, k->g, false, rows, in, out, dy, out, k->w[g]->data, NULL, 0,
                   through, in);
    if (beta_x == 0) {
        vec_mul(to, slope, rows * in);
    } else {
        vec_mul_add(to, da, slope, rows * in);
    }
}

static void grouped_backward(tape *t, void *keep)
{
    grouped_keep *k = keep;
    real beta;
    real *dx = tape_grad_beta(t, k->x, &beta);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    int64_t most =
        k->kind == ACT_IDENTITY ? 0 : largest_group(k->begin, k->groups) * tensor_width(k->x);
    real *value = ARENA_NEW(scratch, real, dx && beta == 0 ? 0 : most);
    real *slope = ARENA_NEW(scratch, real, most);
    /* Each buffer is as large as the largest group, and only where it is used. */
    real *da = ARENA_NEW(scratch, real, dx && beta != 0 ? most : 0);
    for (int64_t g = 0; g < k->groups; g++) {
        if (k->begin[g + 1] > k->begin[g]) group_backward(t, k, g, dx, beta, value, slope, da);
    }
    arena_rewind(scratch, mark);
}

static const op_class GROUPED_LINEAR = {"grouped_linear", grouped_backward};

/* The first weight that is used: all others have its shape. */
static const tensor *any_weight(int64_t groups, tensor *const *w)
{
    for (int64_t g = 0; g < groups; g++) {
        if (w[g]) return w[g];
    }
    return NULL;
}

/* begin ascends from 0 to the number of rows: every row has one group. */
static void grouped_check(const tensor *x, const int64_t *begin, int64_t groups, tensor *const *w)
{
    CHECK(x->rank == 2 && begin[0] == 0 && begin[groups] == x->shape[0],
          "groups of %lld..%lld rows of %lld", (long long)begin[0], (long long)begin[groups],
          (long long)x->shape[0]);
    const tensor *first = any_weight(groups, w);
    for (int64_t g = 0; g < groups; g++) {
        CHECK(begin[g] <= begin[g + 1], "group %lld ends before it begins", (long long)g);
        if (begin[g] == begin[g + 1]) continue;
        CHECK(w[g] && w[g]->rank == 2 && w[g]->shape[0] == first->shape[0] &&
                  w[g]->shape[1] == x->shape[1],
              "weight of group %lld", (long long)g);
    }
}

tensor *op_grouped_linear(tape *t, tensor *x, const int64_t *begin, int64_t groups, activation kind,
                          tensor *const *w, tensor *const *b, int64_t out)
{
    grouped_check(x, begin, groups, w);
    double since = tape_clock(t);
    grouped_keep *k = tape_keep(t, 1, sizeof *k);
    int64_t *copy = tape_keep(t, groups + 1, sizeof *copy);
    /* The caller's list may be scratch of its own. */
    memcpy(copy, begin, (size_t)(groups + 1) * sizeof *copy);
    /* Weights, biases, x: one list for the question whether any needs a gradient, and what is
     * kept. */
    tensor **inputs = tape_keep(t, 2 * groups + 1, sizeof *inputs);
    for (int64_t g = 0; g < groups; g++) {
        bool used = begin[g + 1] > begin[g];
        inputs[g] = used ? w[g] : NULL;
        inputs[groups + g] = used && b ? b[g] : NULL;
    }
    inputs[2 * groups] = x;
    tensor *y = tape_tensor(t, 2, (int64_t[]){x->shape[0], out});
    *k = (grouped_keep){
        x, y, kind, groups, tape_products(t), copy, inputs, b ? inputs + groups : NULL};
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    int64_t in = tensor_width(x);
    int64_t most = kind == ACT_IDENTITY ? 0 : largest_group(begin, groups) * in;
    real *value = ARENA_NEW(scratch, real, most);
    for (int64_t g = 0; g < groups; g++) {
        if (begin[g + 1] == begin[g]) continue;
        group_forward(k, g, x->data + begin[g] * in, y->data + begin[g] * out, in, out, value);
    }
    arena_rewind(scratch, mark);
    if (tape_wants(t, (int)(2 * groups + 1), inputs)) tape_record(t, &GROUPED_LINEAR, k, 1, &y);
    tape_charge(t, &GROUPED_LINEAR, since);
    return y;
}

tensor *op_grouped_layer(tape *t, tensor *x, const int64_t *begin, int64_t groups,
                         const grouped_map *first, activation kind, const grouped_map *second)
{
    CHECK(!tape_recording(t), "the rows in between are not kept");
    double since = tape_clock(t);
    int64_t in = tensor_width(x), hidden = first->out, out = second->out;
    grouped_keep a = {NULL,  NULL,     ACT_IDENTITY, groups, tape_products(t),
                      begin, first->w, first->b};
    grouped_keep b = {NULL, NULL, kind, groups, tape_products(t), begin, second->w, second->b};
    grouped_check(x, begin, groups, first->w);
    tensor *y = tape_tensor(t, 2, (int64_t[]){x->shape[0], out});
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    int64_t most = largest_group(begin, groups) * hidden;
    real *h = ARENA_NEW(scratch, real, most), *value = ARENA_NEW(scratch, real, most);
    for (int64_t g = 0; g < groups; g++) {
        if (begin[g + 1] == begin[g]) continue;
        group_forward(&a, g, x->data + begin[g] * in, h, in, hidden, value);
        group_forward(&b, g, h, y->data + begin[g] * out, hidden, out, value);
    }
    arena_rewind(scratch, mark);
    tape_charge(t, &GROUPED_LINEAR, since);
    return y;
}
