#include "core/train/ranks.h"

#include <stdlib.h>
#include <string.h>

/* What follows from one exchange of bytes, for MPI and a process alone: none of MPI's collective
 * operations moves data here, as the order in which those add is the library's. These are small or
 * rare; the sum of gradients is rank_sum.c. */

/* CHECK: a rank that gives up here would leave the others waiting; an abort is seen by what started
 * them. */
static void *list(size_t count, size_t size)
{
    void *p = calloc(count, size);
    CHECK(p, "out of memory for %zu messages", count);
    return p;
}

bool ranks_tell(rank_group *r, void *data, size_t bytes, err *e)
{
    int count = ranks_count(r), me = ranks_me(r);
    /* r may be a group of one: `mpirun -n 1`. */
    if (count == 1) return ranks_whole(r, e);
    if (me > 0) return ranks_exchange(r, NULL, 0, &(rank_part){0, data, bytes}, 1, e);
    rank_part *out = list((size_t)count, sizeof *out);
    for (int i = 1; i < count; i++) {
        out[i - 1] = (rank_part){i, data, bytes};
    }
    bool ok = ranks_exchange(r, out, count - 1, NULL, 0, e);
    free(out);
    return ok;
}

bool ranks_gather(rank_group *r, const void *mine, size_t bytes, void *all, err *e)
{
    int count = ranks_count(r), me = ranks_me(r);
    char *at = all;
    if (bytes > 0) memcpy(at + (size_t)me * bytes, mine, bytes);
    rank_part *out = list(2 * (size_t)count, sizeof *out), *in = out + count;
    for (int i = 1; i < count; i++) { /* in turn: nobody is asked by all at once */
        int to = (me + i) % count, from = (me + count - i) % count;
        out[i - 1] = (rank_part){to, (void *)(uintptr_t)mine, bytes};
        in[i - 1] = (rank_part){from, at + (size_t)from * bytes, bytes};
    }
    bool ok = ranks_exchange(r, out, count - 1, in, count - 1, e);
    free(out);
    return ok;
}

/* A whole err of every rank to all: 1 KiB each, wherever something can fail on one rank alone.
 * Without it one rank would fail and return while the others wait in their next exchange for ever.
 * The first failing rank's words are taken, so all ranks say the same. */
bool ranks_agree(rank_group *r, bool ok, err *e)
{
    size_t count = (size_t)ranks_count(r);
    err none = {0}, *all;
    if (count == 1) return ok;
    all = list(count, sizeof *all);
    bool heard = ranks_gather(r, ok ? &none : e, sizeof *all, all, e);
    /* An empty text means ok; the first that is not ends the loop. */
    for (size_t i = 0; heard && i < count; i++) {
        if (!all[i].text[0]) continue;
        *e = all[i];
        heard = false;
    }
    free(all);
    return heard;
}

/* The least 2^k with 2^k ranks >= lanes. A share of any other size would cut a node of the tree in
 * two, and its sum would be no part of the tree. The price is balance: 12 lanes on 5 ranks are 4,
 * 4, 4, 0, 0. */
int64_t ranks_node(int ranks, int64_t lanes)
{
    int64_t node = 1;
    while (node * ranks < lanes) {
        node *= 2;
    }
    return node;
}

rank_lanes ranks_lanes(const rank_group *r, int rank, int64_t lanes)
{
    int64_t node = ranks_node(ranks_count(r), lanes);
    int64_t first = MIN(node * rank, lanes);
    return (rank_lanes){first, MIN(node, lanes - first)};
}
