/* Attention to the few best of many stored keys (Wu et al. 2022, arXiv:2203.08913, sec. 3.2).
 * core/op_lookup.c */
#ifndef LOCI_CORE_OPS_LOOKUP_H
#define LOCI_CORE_OPS_LOOKUP_H

#include "core/tape.h"

/* A ring of stored entries per row: position p stands at entry p mod size. */
typedef struct lookup_store {
    const real *entries;        /* [rows, size, entry_width]; borrowed during the call */
    int64_t size, entry_width;  /* keys first: kv_heads head_dim numbers, then as many values */
    const int64_t *begin, *end; /* [rows]: positions that may be seen, end - begin <= size */
} lookup_store;

/* y [rows, queries, heads head_dim] = softmax over the `count` stored keys of the largest score
 * scale q k^T, times their values; zero where nothing may be seen. Query head h uses key head
 * floor(h kv_heads / heads). Ties go to the later position. What is stored has no gradient; what
 * was chosen is copied, so that the store may change before the backward pass. */
tensor *op_lookup(tape *t, tensor *q, const lookup_store *store, int64_t heads, int64_t kv_heads,
                  int64_t count, real scale);

#endif
