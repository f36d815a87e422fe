#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* ---- sums over all, over rows, over the last axis ---- */

/* Every summand has the sum's gradient. */
static void sum_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    real *dx = tape_grad(t, k->x), dy = *k->y->grad;
    for (int64_t i = 0, n = tensor_count(k->x); dx && i < n; i++) {
        dx[i] += dy;
    }
}

static const op_class SUM = {"sum", sum_backward};

/* y is a tensor of rank 0: one number, as tape_backward wants a loss. */
tensor *op_sum(tape *t, tensor *x)
{
    double since = tape_clock(t);
    tensor *y = tape_tensor(t, 0, NULL);
    /* In double: a sum over a whole tensor may have millions of terms. */
    *y->data = vec_sum_long(x->data, tensor_count(x));
    return tape_done_pair(t, &SUM, since, x, y);
}

/* Every row has the same gradient, that of the sum. */
static void sum_rows_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t rows = tensor_rows(k->x), width = tensor_width(k->x);
    for (int64_t r = 0; dx && r < rows; r++) {
        vec_add(dx + r * width, k->y->grad, width);
    }
}

static const op_class SUM_ROWS = {"sum_rows", sum_rows_backward};

/* Down the rows, in runs that keep rounding small (vec_add_columns). */
tensor *op_sum_rows(tape *t, tensor *x)
{
    double since = tape_clock(t);
    int64_t width = tensor_width(x);
    tensor *y = tape_tensor(t, 1, &width);
    vec_zero(y->data, width);
    vec_add_columns(y->data, x->data, tensor_rows(x), width);
    return tape_done_pair(t, &SUM_ROWS, since, x, y);
}

/* Every element of row r has dy[r]. */
static void sum_last_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t rows = tensor_rows(k->x), width = tensor_width(k->x);
    for (int64_t r = 0; dx && r < rows; r++) {
        for (int64_t c = 0; c < width; c++) {
            dx[r * width + c] += k->y->grad[r];
        }
    }
}

static const op_class SUM_LAST = {"sum_last", sum_last_backward};

/* In `real`: a row is as wide as a layer, not as long as a text. */
tensor *op_sum_last(tape *t, tensor *x)
{
    CHECK(x->rank >= 1, "a scalar has no last axis");
    double since = tape_clock(t);
    tensor *y = tape_tensor(t, x->rank - 1, x->shape);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        y->data[r] = vec_sum(x->data + r * width, width);
    }
    return tape_done_pair(t, &SUM_LAST, since, x, y);
}

/* ---- a choice between two by row ---- */

/* choose [rows], the tape's copy. */
typedef struct select_keep {
    tensor *a, *b, *y;
    bool *choose;
} select_keep;

/* dx += the rows of dy that came from x.
 * The other's rows get nothing, not even a zero that is added. */
static void select_gradient(tape *t, tensor *x, const select_keep *k, bool chosen)
{
    real *dx = tape_grad(t, x);
    /* No rows, no elements: MAX only avoids a division by 0. */
    int64_t rows = k->y->shape[0], each = tensor_count(k->y) / MAX(rows, 1);
    for (int64_t r = 0; dx && r < rows; r++) {
        if (k->choose[r] == chosen) vec_add(dx + r * each, k->y->grad + r * each, each);
    }
}

/* a and b may be one tensor: then every row comes back, by one way or the other. */
static void select_backward(tape *t, void *keep)
{
    select_keep *k = keep;
    select_gradient(t, k->a, k, true);
    select_gradient(t, k->b, k, false);
}

static const op_class SELECT = {"select_rows", select_backward};

/* Rows are those of the first axis, whatever lies behind it. The choice is copied: the caller's may
 * change before the backward pass. */
tensor *op_select_rows(tape *t, const bool *choose, tensor *a, tensor *b)
{
    CHECK(tensor_same_shape(a, b) && a->rank >= 1, "a choice between %lld and %lld elements",
          (long long)tensor_count(a), (long long)tensor_count(b));
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    int64_t rows = a->shape[0], each = tensor_count(a) / MAX(rows, 1);
    for (int64_t r = 0; r < rows; r++) {
        vec_copy(y->data + r * each, (choose[r] ? a : b)->data + r * each, each);
    }
    tensor *inputs[] = {a, b};
    if (tape_wants(t, 2, inputs)) {
        select_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (select_keep){a, b, y, tape_keep(t, rows, sizeof(bool))};
        memcpy(k->choose, choose, (size_t)rows * sizeof(bool));
        tape_record(t, &SELECT, k, 1, &y);
    }
    tape_charge(t, &SELECT, since);
    return y;
}
