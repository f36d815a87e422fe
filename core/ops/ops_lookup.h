/* Few of many stored entries: those that each query finds best (core/ops/op_lookup.c), or those
 * that a router picks for all queries of a row (core/ops/op_route.c). */
#pragma once

#include "core/base/rng.h"
#include "core/ops/tape.h"

/* A ring of stored entries per row: position p stands at entry p mod size. */
typedef struct lookup_store {
    const real *entries;        /* [rows, size, entry_width]; borrowed during the call */
    int64_t size, entry_width;  /* keys first: kv_heads head_dim numbers, then as many values */
    const int64_t *begin, *end; /* [rows]: positions that may be seen, end - begin <= size */
} lookup_store;

/* Attention to the few best of many stored keys (Wu et al. 2022, arXiv:2203.08913, sec. 3.2).
 * y [rows, queries, heads head_dim] = softmax over the `count` stored keys of the largest score
 * scale q k^T, times their values; zero where nothing may be seen. Query head h uses key head
 * floor(h kv_heads / heads). Ties go to the later position. What is stored has no gradient; what
 * was chosen is copied, so that the store may change before the backward pass. */
tensor *op_lookup(tape *t, tensor *q, const lookup_store *store, int64_t heads, int64_t kv_heads,
                  int64_t count, real scale);

/* Soft choice of k of n scores s by coordinate descent (Wright 2015, arXiv:1502.04759; as a router:
 * Ainslie et al. 2023, arXiv:2303.09752): the largest sum of w s + epsilon entropy(w) with w in
 * [0, 1] that adds up to k. From a = 0, b = -s,
 *
 *     a = epsilon (log k - logsumexp((s + b) / epsilon));   b = -relu(s + a);
 *
 * for a number of iterations in which epsilon falls from `epsilon_start` by `epsilon_decay` each,
 * not below `epsilon` (epsilon scaling: Schmitzer 2016, arXiv:1610.06519); then
 * w = exp((s + a + b) / epsilon) = min(1, exp((s - threshold) / epsilon)), threshold = -a. */
typedef struct route_shape {
    int64_t picks; /* the hard choice: so many entries of the largest s; all if there are fewer */
    double slack;  /* k = slack picks, n at most */
    int64_t iterations;
    double epsilon, epsilon_start, epsilon_decay;
    /* Scores are s + noise epsilon g, g Gumbel's distribution, so that an entry is picked first
     * with a probability that goes with exp(s / (noise epsilon)): a way to find what is worth
     * picking. Row r draws from key with key.row + r. 0: none. */
    double noise;
    rng_key key;
    bool soft; /* picks are weighted with w; else with 1, and w has the gradient (straight-through)
                */
} route_shape;

/* What was chosen. Rows that chose less than others are filled up in front, with zeros. */
typedef struct route_picks {
    tensor *entries;    /* [rows, count, entry_width]: copies, without gradient */
    tensor *weights;    /* [rows, count]; 1 where a row picks all it has */
    int64_t *positions; /* [rows, count] */
    int64_t *used;      /* [rows]: the last used[r] are row r's picks */
} route_picks;

/* s_j = router . entry_j; router [rows, entry_width]. Some row sees something. The gradient of the
 * router is exact for the picks as they are; ties go to the later position. */
route_picks op_route(tape *t, tensor *router, const lookup_store *store, const route_shape *shape);

/* `picks` entries at random, every set of them equally likely, in order: a function of key and of
 * the positions that may be seen, the same for all rows that see the same. key.step is overwritten.
 * Weights are 1. */
route_picks op_route_random(tape *t, const lookup_store *store, int64_t rows, int64_t picks,
                            rng_key key);
