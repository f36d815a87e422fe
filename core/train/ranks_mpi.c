/* Ranks by MPI: all there is of it. Compiled by `make MPI=1` alone.
 *
 * Threads of lanes.h never call MPI: FUNNELED asks for no more than one thread that does. The group
 * is a copy of MPI's world, so that messages of a library in the same program cannot be taken for
 * these. */
#include "core/train/ranks.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

struct rank_group {
    MPI_Comm all;
    int count, me;
    bool lost;
    err why;
};

/* A message is at most so long: MPI counts in int. */
static const size_t PIECE = (size_t)1 << 30;

rank_group *ranks_open(err *e)
{
    int level = 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        level < MPI_THREAD_FUNNELED) {
        err_set(e, "MPI does not start here; is this `mpirun -n RANKS loci ...`?");
        return NULL;
    }
    rank_group *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory for the ranks");
    MPI_Comm_dup(MPI_COMM_WORLD, &r->all);
    /* By default MPI ends the program where it stands; a status lets it say which run was cut
     * off. */
    MPI_Comm_set_errhandler(r->all, MPI_ERRORS_RETURN);
    MPI_Comm_size(r->all, &r->count);
    MPI_Comm_rank(r->all, &r->me);
    return r;
}

void ranks_close(rank_group *r)
{
    if (!r) return;
    MPI_Comm_free(&r->all);
    MPI_Finalize();
    free(r);
}

/* Ranks that wait for a message of this one would wait for ever if it only exited. */
void ranks_abort(rank_group *r, int status)
{
    if (r) MPI_Abort(MPI_COMM_WORLD, status);
    exit(status);
}

int ranks_count(const rank_group *r)
{
    return r ? r->count : 1;
}

int ranks_me(const rank_group *r)
{
    return r ? r->me : 0;
}

bool ranks_whole(const rank_group *r, err *e)
{
    if (!r || !r->lost) return true;
    *e = r->why;
    return false;
}

/* A millisecond at full attention, then with pauses: others may be reading a corpus, and share the
 * cores where there are more ranks than these. */
static int wait_for(MPI_Request *requests, int count)
{
    enum { ATTENTIVE = 1000 };
    const struct timespec pause = {.tv_nsec = 50 * 1000};
    /* Tested and not waited for: most libraries' MPI_Waitall keeps its core busy for as long as it
     * takes. */
    int done = 0, status;
    for (int i = 0;; i++) {
        status = MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE);
        if (status != MPI_SUCCESS || done) return status;
        if (i < ATTENTIVE) {
            sched_yield();
        } else {
            nanosleep(&pause, NULL);
        }
    }
}

/* Messages of no bytes are not sent: both ends know that there is none. */
static size_t pieces_of(const rank_part *list, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += (list[i].bytes + PIECE - 1) / PIECE;
    }
    return n;
}

/* Both ends cut at the same places, as both know the length; all messages have one tag, and MPI
 * keeps those between two ranks in order. */
static int begin_part(rank_group *r, const rank_part *p, bool sends, MPI_Request **next)
{
    char *data = p->data;
    for (size_t at = 0; at < p->bytes; at += PIECE) {
        int n = (int)MIN(PIECE, p->bytes - at);
        int status = sends ? MPI_Isend(data + at, n, MPI_BYTE, p->rank, 0, r->all, (*next)++)
                           : MPI_Irecv(data + at, n, MPI_BYTE, p->rank, 0, r->all, (*next)++);
        if (status != MPI_SUCCESS) return status;
    }
    return MPI_SUCCESS;
}

/* Once lost, always lost: what is received afterwards could be half of something. */
static void note_loss(rank_group *r, int status)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    MPI_Error_string(status, text, &length);
    r->lost = true;
    err_set(&r->why, "rank %d: another rank is lost: %.*s", r->me, MIN(length, 400), text);
}

bool ranks_exchange(rank_group *r, const rank_part *out, int outs, const rank_part *in, int ins,
                    err *e)
{
    if (!ranks_whole(r, e)) return false;
    if (outs + ins == 0) return true;
    size_t count = pieces_of(out, outs) + pieces_of(in, ins);
    MPI_Request *requests = calloc(count + 1, sizeof *requests), *next = requests;
    CHECK(requests, "out of memory for %zu messages", count);
    int status = MPI_SUCCESS;
    for (int i = 0; i < ins && status == MPI_SUCCESS; i++) { /* so that what comes has its place */
        status = begin_part(r, &in[i], false, &next);
    }
    for (int i = 0; i < outs && status == MPI_SUCCESS; i++) {
        status = begin_part(r, &out[i], true, &next);
    }
    if (status == MPI_SUCCESS) status = wait_for(requests, (int)count);
    /* After a failure messages may still be under way into the caller's memory: the group is
     * broken, and what follows is the end of the program. */
    free(requests);
    if (status != MPI_SUCCESS) note_loss(r, status);
    return ranks_whole(r, e);
}
