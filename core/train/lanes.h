/* Threads that share a step's lanes, and the fixed tree in which the lanes' gradients are added.
 *
 * The batch is cut into `lanes`; each lane fills a gradient vector of its own. Node (level k, j) of
 * the tree is the sum of lanes [j 2^k, (j+1) 2^k): left half plus right half, an absent right half
 * adding nothing. The tree depends on the number of lanes alone, so the result has the same bits
 * whatever the number of threads and whichever finishes first. Threads take lanes in order as they
 * become free; who finishes a node whose sibling is finished adds the two. At most threads *
 * (log2(lanes / threads) + 1), rounded up, and one for accumulation vectors are needed; they are
 * reserved at the start and memory is only touched when used.
 *
 * The tree is climbed part by part of the parameters (grads.h) where a lane says which are finished
 * while it goes on with others: their sum is then known before its last lane ends. Over ranks
 * (rank_sum.h) it is the same tree, a rank having the lanes of one of its nodes, and such parts
 * travel meanwhile.
 *
 * Gradients by rows (params.h) are put one behind the other, left before right: the same order in
 * any case, too.
 *
 * Piece i of `has` (see params.h) says whether a lane gave that piece any gradient; a sum has it if
 * either part does, and a piece that neither has is never read. */
#pragma once

#include "core/train/grads.h"
#include "core/train/ranks.h"

typedef struct lanes lanes;

/* Work of one lane: fills g (all of g->has is false on entry; NULL if the pool was made without
 * params). `thread` in 0..threads-1 chooses the caller's per-thread buffers (tape, scratch). */
typedef void (*lane_fn)(void *arg, int64_t lane, int thread, grads *g);
/* Work of one item in lanes_parallel. */
typedef void (*lanes_item_fn)(void *arg, int64_t item, int thread);

/* Starts threads - 1 threads; the caller's is thread 0. params (may be NULL: no gradients) must be
 * complete and outlive the pool. Fails if threads or memory cannot be had. */
lanes *lanes_new(int64_t count, int threads, const params *p, err *e);
/* The same over ranks (NULL: this process alone), of which each runs its own lanes (ranks_lanes)
 * and has the whole sum; all make the same calls. ranks_whole tells whether a sum is one. */
lanes *lanes_new_over(rank_group *r, int64_t count, int threads, const params *p, err *e);
void lanes_free(lanes *l);
/* From now on gradients of parameters with row_grads come as rows: every grads has `rows`. */
void lanes_take_rows(lanes *l);

/* From a lane_fn, on its thread: gradients and marks of all parameters from index `first` on are
 * what they will be. Need not be called: what is not said is finished with the lane. */
void lanes_finish(lanes *l, int thread, int first);
/* In which parts the tree is climbed, instead of the pool's own choice. For tests. */
void lanes_cut(lanes *l, const grads_parts *parts);

/* Runs fn for every lane and returns the sum of their gradients, valid until the next call. With
 * `add` the sum of the call before is added first (gradient accumulation: result = before + this,
 * in that order, so call the micro-steps in order). NULL if made without params. */
const grads *lanes_run(lanes *l, lane_fn fn, void *arg, bool add);

/* Runs fn for items 0..n-1 on the same threads; l NULL: on the caller's. Not from inside fn. */
void lanes_parallel(lanes *l, lanes_item_fn fn, void *arg, int64_t n);

int lanes_threads(const lanes *l); /* 1 if l is NULL */
/* Bytes of gradient vectors touched so far. */
size_t lanes_bytes(const lanes *l);
