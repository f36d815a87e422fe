/* A program without MPI: one process alone. The other half of ranks.h, as in ranks_mpi.c.
 *
 * No function here ever sees a group: ranks_open makes none. The CHECKs say so, for a caller that
 * keeps one from somewhere else would be told nothing by a wrong answer. */
#include "core/train/ranks.h"

#include <stdlib.h>

void ranks_library(char *text)
{
    text[0] = 0;
}

rank_group *ranks_open(double silence_s, err *e)
{
    (void)silence_s;
    err_set(e, "this program knows no ranks; build it with `make MPI=1` (tools/setup.sh cluster "
               "installs MPI)");
    return NULL;
}

void ranks_close(rank_group *r)
{
    CHECK(!r, "there is one process");
}

void ranks_abort(rank_group *r, int status)
{
    (void)r;
    exit(status);
}

int ranks_count(const rank_group *r)
{
    CHECK(!r, "there is one process");
    return 1;
}

int ranks_me(const rank_group *r)
{
    CHECK(!r, "there is one process");
    return 0;
}

bool ranks_whole(rank_group *r, err *e)
{
    (void)e;
    CHECK(!r, "there is one process");
    return true;
}

bool ranks_exchange(rank_group *r, const rank_part *out, int outs, const rank_part *in, int ins,
                    err *e)
{
    (void)out;
    (void)in;
    (void)e;
    CHECK(!r && outs == 0 && ins == 0, "there is one process");
    return true;
}

rank_work *ranks_begin(rank_group *r, int tag, const rank_part *out, int outs, const rank_part *in,
                       int ins, err *e)
{
    (void)tag;
    /* For its CHECK. */
    ranks_exchange(r, out, outs, in, ins, e);
    return NULL;
}

bool ranks_ended(rank_group *r, rank_work *w, bool *ended, err *e)
{
    (void)e;
    CHECK(!r && !w, "there is one process");
    *ended = true;
    return true;
}

void ranks_pause(int64_t idle)
{
    (void)idle;
}
