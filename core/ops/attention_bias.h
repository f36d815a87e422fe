/* What attention adds to its scores by distance: a learned T5 table or ALiBi's slopes. */
#pragma once

#include "core/ops/ops.h"

/* The bias of every head as a function of key - query, so that the biases of one query for
 * consecutive keys lie side by side: query i and key j of head h find theirs at
 *     by_offset[h * span + (queries - 1 - i) + j],   span = queries + keys - 1. */
typedef struct attention_bias {
    real *by_offset; /* [heads, span], or NULL if nothing is added */
    int64_t span, queries, keys;
} attention_bias;

/* Fills a table in scratch memory m for a call of so many queries and keys. */
attention_bias attention_bias_new(arena *m, const attention_shape *s, int64_t queries,
                                  int64_t keys);

/* The biases of query i of head h for keys 0, 1, ... */
static inline real *attention_bias_row(const attention_bias *b, int64_t head, int64_t i)
{
    return b->by_offset + head * b->span + (b->queries - 1 - i);
}

/* ALiBi's slope of a head (Press et al. 2022, arXiv:2108.12409): 2^(-8 (head + 1) / heads) where
 * heads are a power of two. Else, as in the authors' code, those of the next lower power first, and
 * then every other one of the next higher power's. */
double attention_bias_slope(int64_t head, int64_t heads);

/* dtable [buckets, heads] += a gradient by offset, laid out as above. */
void attention_bias_backward(real *dtable, const attention_bias *gradient,
                             const attention_shape *s);
