#include "core/ops/tensor.h"

#include <string.h>

/* Counted from the shape each time: ranks are at most 4, and a stored count would have to be kept
 * in step with the shape by whoever makes one. */

int64_t tensor_count(const tensor *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++) {
        count *= x->shape[i];
    }
    return count;
}

/* A scalar is one row of one element, so ops over rows serve it, too. */
int64_t tensor_width(const tensor *x)
{
    return x->rank ? x->shape[x->rank - 1] : 1;
}

int64_t tensor_rows(const tensor *x)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < x->rank; i++) {
        rows *= x->shape[i];
    }
    return rows;
}

/* Unused axes are 1 in every tensor, so whole arrays can be compared. */
bool tensor_same_shape(const tensor *a, const tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}
