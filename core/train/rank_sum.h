/* The lanes' tree (lanes.h) above what one rank adds up: gradients of all ranks, added on all.
 *
 * Rank r's sum is node (level, r) of the tree. Elements are cut into as many ranges as there are
 * ranks; the owner of a range gets the others' parts of it and adds them as the tree says, left
 * plus right, then sends the sum back. A rank so sends and receives 2 (R - 1) / R vectors, which is
 * the least that any way of adding needs, and for any R. (MPI_Allreduce adds in an order of its
 * own: other bits.) Pieces that no rank has are left out. */
#pragma once

#include "core/train/params.h"
#include "core/train/ranks.h"

typedef struct rank_sum rank_sum;

/* Borrows both. */
rank_sum *rank_sum_new(rank_group *r, const params *p);
void rank_sum_free(rank_sum *s); /* NULL is fine */

/* g becomes the sum over the first `summands` ranks; the others bring nothing. Gradients by rows
 * are put one behind the other in rank order. */
bool rank_sum_add(rank_sum *s, grads *g, int summands, err *e);

/* Bytes of what is received and not yet added. */
size_t rank_sum_bytes(const rank_sum *s);
