/* Processes that work together on one run: the ranks of MPI. Nothing else knows MPI.
 *
 * There is one primitive, an exchange of bytes; what all are told, what all tell, and the sums of
 * rank_sum.h are made of it. All ranks make the same calls in the same order, each from one thread.
 * A process alone is NULL, everywhere; there is no other where MPI is not built in (make MPI=1).
 *
 * A rank whose process is gone breaks the group: whatever is under way fails, and so does all that
 * follows (ranks_whole). Whether that is noticed is up to MPI and to what started the processes;
 * mpirun ends all of them. */
#pragma once

#include "core/base/base.h"

typedef struct rank_group rank_group;

/* Joins the others. NULL and e where MPI is not built in or does not start. Once per process. */
rank_group *ranks_open(err *e);
/* Waits until all have come here. Not of a broken group. */
void ranks_close(rank_group *r);
/* Ends all of them, this one with that exit status: for a group that is broken, or has to be. */
_Noreturn void ranks_abort(rank_group *r, int status);

int ranks_count(const rank_group *r); /* 1 if r is NULL */
int ranks_me(const rank_group *r);    /* 0 if r is NULL */
/* False and e if a rank was lost. */
bool ranks_whole(const rank_group *r, err *e);

/* Bytes on their way to or from another rank. Both ends know how many; those between two ranks
 * arrive in the order in which they were sent. */
typedef struct rank_part {
    int rank;
    void *data; /* only read if they are sent */
    size_t bytes;
} rank_part;

/* Sends and receives all that is listed. */
bool ranks_exchange(rank_group *r, const rank_part *out, int outs, const rank_part *in, int ins,
                    err *e);

/* Rank 0's bytes to all. */
bool ranks_tell(rank_group *r, void *data, size_t bytes, err *e);
/* The same number of bytes of each to all: all [ranks, bytes], in rank order. */
bool ranks_gather(rank_group *r, const void *mine, size_t bytes, void *all, err *e);
/* True on all ranks if every rank says ok; else the first one's text that is not, on all. */
bool ranks_agree(rank_group *r, bool ok, err *e);

/* Lanes [first, first + count) of `lanes` are rank `rank`'s: those of one node of the lanes' tree
 * (lanes.h), so that what a rank adds up is a part of that tree. Late ranks may have none. */
typedef struct rank_lanes {
    int64_t first, count;
} rank_lanes;
rank_lanes ranks_lanes(const rank_group *r, int rank, int64_t lanes);
/* How many that is at most, of so many ranks: a power of two. */
int64_t ranks_node(int ranks, int64_t lanes);
