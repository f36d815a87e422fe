#include "core/ops/tensor.h"

#include <string.h>

int64_t tensor_count(const tensor *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++) {
        count *= x->shape[i];
    }
    return count;
}

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

bool tensor_same_shape(const tensor *a, const tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}
