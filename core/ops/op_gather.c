#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* Rows by index: y[i] = x[ids[i]] (gather), y[ids[i]] += x[i] (scatter), x[i][ids[i]] (pick).
 * Gather and scatter are each other's transpose: the backward pass of one is the loop of the
 * other. Ids are checked where they are used first, forwards; the copy that is kept needs no
 * second look. An id that occurs several times adds up in the order of i, on one thread: one
 * order of rounding. */
typedef struct index_keep {
    tensor *x, *y;
    int32_t *ids;
    int64_t n;
} index_keep;

static void finish(tape *t, const op_class *op, tensor *x, tensor *y, const int32_t *ids, int64_t n,
                   double since)
{
    if (tape_wants(t, 1, &x)) {
        index_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (index_keep){x, y, tape_keep(t, n, sizeof *ids), n};
        memcpy(k->ids, ids, (size_t)n * sizeof *ids);
        tape_record(t, op, k, 1, &y);
    }
    tape_charge(t, op, since);
}

/* The first gradient of a step zeroes all of the table's: where tables are large that is the cost,
 * and op_gather_rows avoids it. */
static void gather_backward(tape *t, void *keep)
{
    index_keep *k = keep;
    real *dtable = tape_grad(t, k->x);
    int64_t width = tensor_width(k->y);
    for (int64_t i = 0; dtable && i < k->n; i++) {
        vec_add(dtable + k->ids[i] * width, k->y->grad + i * width, width);
    }
}

static const op_class GATHER = {"gather", gather_backward};

/* Ids come from tokens and routers: one beyond the table is a bug of theirs, and is stopped before
 * it is a read beyond it. */
static tensor *gathered(tape *t, const tensor *table, const int32_t *ids, int64_t n)
{
    CHECK(table->rank == 2, "a table of rank %d", table->rank);
    int64_t entries = table->shape[0], width = table->shape[1];
    tensor *y = tape_tensor(t, 2, (int64_t[]){n, width});
    for (int64_t i = 0; i < n; i++) {
        CHECK(ids[i] >= 0 && ids[i] < entries, "id %d of %lld", ids[i], (long long)entries);
        vec_copy(y->data + i * width, table->data + ids[i] * width, width);
    }
    return y;
}

/* y is a copy of rows: what follows runs over memory in order, however ids jump. */
tensor *op_gather(tape *t, tensor *table, const int32_t *ids, int64_t n)
{
    double since = tape_clock(t);
    tensor *y = gathered(t, table, ids, n);
    finish(t, &GATHER, table, y, ids, n, since);
    return y;
}

/* `into` is the lane's list, which lives through the step and is emptied before the next. */
typedef struct rows_keep {
    tensor *y;
    row_grads *into;
    int32_t *ids;
    int64_t n;
} rows_keep;

/* Nothing is added up yet: rows are put behind those of earlier calls (row_grads.h). */
static void gather_rows_backward(tape *t, void *keep)
{
    (void)t;
    const rows_keep *k = keep;
    row_grads_push(k->into, k->ids, k->y->grad, k->n);
}

static const op_class GATHER_ROWS = {"gather_rows", gather_rows_backward};

tensor *op_gather_rows(tape *t, tensor *table, const int32_t *ids, int64_t n, row_grads *into)
{
    double since = tape_clock(t);
    /* Or a gradient would be counted twice. */
    CHECK(!table->needs_grad, "gradients of the table go to rows");
    tensor *y = gathered(t, table, ids, n);
    /* Not tape_wants: the table needs no gradient of the tape's, and still there is one to be
     * taken. */
    if (tape_recording(t)) {
        rows_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (rows_keep){y, into, tape_keep(t, n, sizeof *ids), n};
        memcpy(k->ids, ids, (size_t)n * sizeof *ids);
        tape_record(t, &GATHER_ROWS, k, 1, &y);
    }
    tape_charge(t, &GATHER_ROWS, since);
    return y;
}

/* dx_i = dy[ids_i] */
static void scatter_backward(tape *t, void *keep)
{
    index_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t width = tensor_width(k->y);
    for (int64_t i = 0; dx && i < k->n; i++) {
        if (k->ids[i] >= 0) vec_add(dx + i * width, k->y->grad + k->ids[i] * width, width);
    }
}

static const op_class SCATTER = {"scatter", scatter_backward};

/* A dropped row (negative id) gets no gradient either: scatter_backward passes over it. */
tensor *op_scatter(tape *t, tensor *x, const int32_t *ids, int64_t out_rows)
{
    double since = tape_clock(t);
    int64_t n = tensor_rows(x), width = tensor_width(x);
    tensor *y = tape_tensor(t, 2, (int64_t[]){out_rows, width});
    /* Rows that no id names stay so. */
    vec_zero(y->data, out_rows * width);
    for (int64_t i = 0; i < n; i++) {
        CHECK(ids[i] < out_rows, "row %d of %lld", ids[i], (long long)out_rows);
        if (ids[i] >= 0) vec_add(y->data + ids[i] * width, x->data + i * width, width);
    }
    finish(t, &SCATTER, x, y, ids, n, since);
    return y;
}

/* One element per row: the others' gradient is what it was. */
static void pick_backward(tape *t, void *keep)
{
    index_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t width = tensor_width(k->x);
    for (int64_t i = 0; dx && i < k->n; i++) {
        dx[i * width + k->ids[i]] += k->y->grad[i];
    }
}

static const op_class PICK = {"pick", pick_backward};

/* The score of one's own expert, the probability of a target. */
tensor *op_pick(tape *t, tensor *x, const int32_t *columns)
{
    double since = tape_clock(t);
    int64_t n = tensor_rows(x), width = tensor_width(x);
    tensor *y = tape_tensor(t, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        CHECK(columns[i] >= 0 && columns[i] < width, "column %d of %lld", columns[i],
              (long long)width);
        y->data[i] = x->data[i * width + columns[i]];
    }
    finish(t, &PICK, x, y, columns, n, since);
    return y;
}
