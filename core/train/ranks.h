/* Processes that work together on one run: the ranks of MPI. Nothing else knows MPI.
 *
 * There is one primitive, an exchange of bytes; what all are told, what all tell, and the sums of
 * rank_sum.h are made of it. All ranks make the same calls in the same order; exchanges that are
 * begun may end in any. Threads may take turns in them.
 * A process alone is NULL, everywhere; there is no other where MPI is not built in (make MPI=1).
 *
 * A rank that is lost breaks the group: whatever is under way fails, and so does all that follows
 * (ranks_whole). MPI may notice that a process is gone, or mpirun, which ends all of them. Whoever
 * stands still, or whose machine is away, is noticed here: a thread of every rank says now and then
 * that it is alive, to rank 0, and rank 0's to all others. How long a rank works on something does
 * not matter, only that its process runs. */
#pragma once

#include "core/base/base.h"

typedef struct rank_group rank_group;

/* The name and version of the MPI that is built in, into text [RANKS_LIBRARY_BYTES]; "" without. */
enum { RANKS_LIBRARY_BYTES = 64 };
void ranks_library(char *text);

/* Joins the others. NULL and e where MPI is not built in or does not start. Once per process. One
 * that was silent for so many seconds is lost; 0: never. */
rank_group *ranks_open(double silence_s, err *e);
/* Waits until all have come here. Not of a broken group. */
void ranks_close(rank_group *r);
/* Ends all of them, this one with that exit status: for a group that is broken, or has to be. */
_Noreturn void ranks_abort(rank_group *r, int status);

int ranks_count(const rank_group *r); /* 1 if r is NULL */
int ranks_me(const rank_group *r);    /* 0 if r is NULL */
/* False and e if a rank was lost. */
bool ranks_whole(rank_group *r, err *e);

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

/* An exchange beside other work: what is listed is left alone, and not read, until it has ended.
 * tag: 1 or more; keeps it apart from others between the same two at that time. */
typedef struct rank_work rank_work;
rank_work *ranks_begin(rank_group *r, int tag, const rank_part *out, int outs, const rank_part *in,
                       int ins, err *e);
/* A look at it, which also moves it on. Once it has ended it is freed. False: a rank was lost. */
bool ranks_ended(rank_group *r, rank_work *w, bool *ended, err *e);
/* Between looks of which `idle` in a row found nothing. */
void ranks_pause(int64_t idle);

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
