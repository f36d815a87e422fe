#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* Weighted sums of rows: y[i] = sum_k w[i, k] table[ids[i, k]]. The rows are never copied out, so
 * memory is that of y.
 * dtable[ids] += w dy and dw = table[ids] . dy, row by row in the order of (i, k). */
typedef struct bag_keep {
    tensor *table, *weights, *y;
    int32_t *ids;
    int64_t n, per;
} bag_keep;

/* The table's gradient is zeroed as a whole first, where it is fresh. */
static void bag_backward(tape *t, void *keep)
{
    bag_keep *k = keep;
    real *dtable = tape_grad(t, k->table), *dweights = tape_grad(t, k->weights);
    int64_t width = tensor_width(k->y);
    for (int64_t i = 0; i < k->n * k->per; i++) {
        /* i runs over all (position, place) pairs. */
        const real *dy = k->y->grad + i / k->per * width;
        int64_t row = k->ids[i] * width;
        if (dtable) vec_axpy(dtable + row, k->weights->data[i], dy, width);
        if (dweights) dweights[i] += vec_dot(k->table->data + row, dy, width);
    }
}

static const op_class BAG = {"bag", bag_backward};

/* Ids are checked here once; backwards the copy is trusted. */
tensor *op_bag(tape *t, tensor *table, const int32_t *ids, tensor *weights)
{
    CHECK(table->rank == 2 && weights->rank == 2, "a table of rank %d, weights of rank %d",
          table->rank, weights->rank);
    double since = tape_clock(t);
    int64_t n = weights->shape[0], per = weights->shape[1], width = table->shape[1];
    tensor *y = tape_tensor(t, 2, (int64_t[]){n, width});
    for (int64_t i = 0; i < n; i++) {
        real *out = y->data + i * width;
        /* No entries: a sum of nothing. */
        vec_zero(out, width);
        for (int64_t k = i * per; k < (i + 1) * per; k++) {
            CHECK(ids[k] >= 0 && ids[k] < table->shape[0], "id %d of %lld", ids[k],
                  (long long)table->shape[0]);
            vec_axpy(out, weights->data[k], table->data + ids[k] * width, width);
        }
    }
    if (tape_wants(t, 2, (tensor *[]){table, weights})) {
        bag_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (bag_keep){table, weights, y, tape_keep(t, n * per, sizeof *ids), n, per};
        memcpy(k->ids, ids, (size_t)(n * per) * sizeof *ids);
        tape_record(t, &BAG, k, 1, &y);
    }
    tape_charge(t, &BAG, since);
    return y;
}
