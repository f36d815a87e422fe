/* The lanes' tree (lanes.h) above what one rank adds up: gradients of all ranks, added on all.
 *
 * Rank r's sum is node (level, r) of the tree. Every part of the parameters (grads.h) is cut into
 * as many ranges as there are ranks; the owner of a range gets the others' of it and adds them as
 * the tree says, left plus right, then sends the sum back. A rank so sends and receives 2 (R - 1) /
 * R vectors, which is the least that any way of adding needs, and for any R. (MPI_Allreduce adds in
 * an order of its own: other bits.)
 *
 * A part sets out as soon as the rank's own sum of it is whole, while lanes go on with the rest: a
 * thread looks after it meanwhile, asleep but for a moment now and then. What is left at the end is
 * waited for. What a rank has no gradient of travels like the rest, as -0: x + -0 is x in every
 * bit, 0 and -0 as well, so that adding it is what leaving it out is. Parameters that are frozen do
 * not travel, and gradients by rows go at the end, put one behind the other in rank order. */
#pragma once

#include "core/train/grads.h"
#include "core/train/ranks.h"

typedef struct rank_sum rank_sum;

/* Borrows both, of lanes that are shared as ranks_lanes says. parts: into which the sum falls. */
rank_sum *rank_sum_new(rank_group *r, const params *p, int64_t lanes, grads_parts *parts);
/* From now on gradients of parameters with row_grads come as rows. */
void rank_sum_take_rows(rank_sum *s, grads_parts *parts);
void rank_sum_free(rank_sum *s); /* NULL is fine */

/* From any thread: g's part is this rank's sum, and belongs to the sum over ranks until its end. */
void rank_sum_ready(rank_sum *s, grads *g, int part);
/* Waits until g, all of whose parts are ready, is the sum over all ranks. */
bool rank_sum_end(rank_sum *s, grads *g, err *e);

/* Bytes of what is received and not yet added. */
size_t rank_sum_bytes(const rank_sum *s);
