/* Ranks by MPI: all there is of it. Compiled by `make MPI=1` alone.
 *
 * MPI is asked for threads that take turns (MPI_THREAD_SERIALIZED): every call to it is made under
 * one mutex and none of them waits, so that the thread which works, one that moves exchanges on
 * beside it (rank_sum.c) and the one that says that this rank is alive do not hinder each other.
 *
 * Signs of life are messages without content under a tag of their own: to rank 0 from all others,
 * from rank 0 to all others, every BEAT. Silence is counted in beats of one's own, not by a clock:
 * where all ranks are stopped and go on (a suspended job), nobody was silent. */
#include "core/train/ranks.h"

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TAG_EXCHANGE = 0, TAG_ALIVE = 30000 /* MPI has 32,767 at least */, HOST = 64 };

static const int64_t BEAT_MS = 500;

struct rank_group {
    MPI_Comm all;
    int count, me;
    char (*hosts)[HOST];   /* [count] */
    pthread_mutex_t mutex; /* guards what follows, and every call of MPI but the first and last */
    bool lost;
    err why;

    bool watched; /* there is a thread that watches */
    bool leave;
    pthread_t watcher;
    pthread_cond_t left;
    int64_t patience; /* beats */
    int64_t *silent;  /* [count]: own beats since a rank was heard */
};

struct rank_work {
    int count;
    MPI_Request requests[];
};

/* A message is at most so long: MPI counts in int. */
static const size_t PIECE = (size_t)1 << 30;

/* ---- who is alive ---- */

static void note_loss(rank_group *r, int status)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    MPI_Error_string(status, text, &length);
    r->lost = true;
    err_set(&r->why, "rank %d: another rank is lost: %.*s", r->me, MIN(length, 400), text);
}

/* Says what to do: the run is whole up to its last checkpoint, whoever was lost. */
static void note_silence(rank_group *r, int rank)
{
    r->lost = true;
    err_set(&r->why,
            "rank %d (%s) is lost: it has been silent for %lld s; the same command goes on from "
            "the last "
            "checkpoint",
            rank, r->hosts[rank], (long long)(r->patience * BEAT_MS / 1000));
}

/* Under the mutex. What is sent is nothing, so there is nothing to wait for.
 * The request is freed at once: MPI completes it by itself, and no buffer has to live until
 * then. */
static void say_alive(rank_group *r, int to)
{
    MPI_Request request;
    if (MPI_Isend(NULL, 0, MPI_BYTE, to, TAG_ALIVE, r->all, &request) == MPI_SUCCESS)
        MPI_Request_free(&request);
}

/* All that has come since the last beat: one message would be enough, but the others would pile
 * up. */
static void hear(rank_group *r)
{
    int there = 1;
    MPI_Status from;
    while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_ALIVE, r->all, &there, &from) == MPI_SUCCESS && there) {
        MPI_Request request;
        if (MPI_Irecv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_ALIVE, r->all, &request) !=
            MPI_SUCCESS)
            return;
        MPI_Request_free(&request); /* it is there: nothing is waited for */
        r->silent[from.MPI_SOURCE] = 0;
    }
}

/* Rank 0 looks at all others, they at rank 0. */
static void beat(rank_group *r)
{
    int first = r->me == 0 ? 1 : 0, end = r->me == 0 ? r->count : 1;
    hear(r);
    for (int i = first; i < end; i++) {
        say_alive(r, i);
        if (++r->silent[i] > r->patience && !r->lost) note_silence(r, i);
    }
}

/* The mutex is given back while it sleeps (timedwait), and taken for each beat, which does not
 * wait. */
static void *watch(void *arg)
{
    rank_group *r = arg;
    pthread_mutex_lock(&r->mutex);
    while (!r->leave && !r->lost) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += BEAT_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&r->left, &r->mutex, &until);
        if (!r->leave && !r->lost) beat(r);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* ---- joining and leaving ---- */

/* A library that cannot serve several threads, even one at a time, is refused here. */
static bool start_mpi(void)
{
    int level = 0;
    return MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level) == MPI_SUCCESS &&
           level >= MPI_THREAD_SERIALIZED;
}

/* CHECK: a rank that gave up quietly would leave the others waiting. */
static void *list(size_t count, size_t size)
{
    void *p = calloc(count, size);
    CHECK(p, "out of memory for the ranks (%zu x %zu bytes)", count, size);
    return p;
}

/* What comes first of all that it says: "Open MPI v4.1.4, package ...", "MPICH
 * Version:\t4.0.2\n...".
 */
void ranks_library(char *text)
{
    char all[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length;
    MPI_Get_library_version(all, &length);
    all[strcspn(all, ",\n")] = 0;
    snprintf(text, RANKS_LIBRARY_BYTES, "%.*s", RANKS_LIBRARY_BYTES - 1, all);
    for (char *tab; (tab = strchr(text, '\t'));) {
        *tab = ' ';
    }
}

rank_group *ranks_open(double silence_s, err *e)
{
    if (!start_mpi()) {
        err_set(e, "MPI does not start here; is this `mpirun -n RANKS loci ...`?");
        return NULL;
    }
    rank_group *r = list(1, sizeof *r);
    MPI_Comm_dup(MPI_COMM_WORLD, &r->all);
    /* By default MPI ends the program where it stands; a status lets it say which run was cut
     * off. */
    MPI_Comm_set_errhandler(r->all, MPI_ERRORS_RETURN);
    MPI_Comm_size(r->all, &r->count);
    MPI_Comm_rank(r->all, &r->me);
    char name[MPI_MAX_PROCESSOR_NAME] = "", host[HOST];
    int length;
    MPI_Get_processor_name(name, &length);
    snprintf(host, sizeof host, "%.*s", HOST - 1, name);
    r->hosts = list((size_t)r->count, sizeof *r->hosts);
    MPI_Allgather(host, HOST, MPI_CHAR, r->hosts, HOST, MPI_CHAR, r->all);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->left, NULL);
    r->silent = list((size_t)r->count, sizeof *r->silent);
    r->patience = (int64_t)(silence_s * 1000 / (double)BEAT_MS);
    r->watched = r->count > 1 && silence_s > 0 && pthread_create(&r->watcher, NULL, watch, r) == 0;
    return r;
}

/* Before the last calls of MPI, which wait: nobody may be inside of it then. */
static void end_watch(rank_group *r)
{
    pthread_mutex_lock(&r->mutex);
    r->leave = true;
    pthread_cond_signal(&r->left);
    pthread_mutex_unlock(&r->mutex);
    if (r->watched) pthread_join(r->watcher, NULL);
    r->watched = false;
}

void ranks_close(rank_group *r)
{
    if (!r) return;
    end_watch(r);
    hear(r); /* what nobody received is left behind otherwise */
    MPI_Comm_free(&r->all);
    MPI_Finalize();
    pthread_cond_destroy(&r->left);
    pthread_mutex_destroy(&r->mutex);
    free(r->silent);
    free(r->hosts);
    free(r);
}

/* Ranks that wait for a message of this one would wait for ever if it only exited. */
void ranks_abort(rank_group *r, int status)
{
    if (r) {
        end_watch(r);
        MPI_Abort(MPI_COMM_WORLD, status);
    }
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

/* Under the mutex. Once lost, always lost: what is received afterwards could be half of something.
 */
static bool whole(const rank_group *r, err *e)
{
    if (r->lost) *e = r->why;
    return !r->lost;
}

bool ranks_whole(rank_group *r, err *e)
{
    if (!r) return true;
    pthread_mutex_lock(&r->mutex);
    bool ok = whole(r, e);
    pthread_mutex_unlock(&r->mutex);
    return ok;
}

/* ---- exchanges ---- */

/* Messages of no bytes are not sent: both ends know that there is none. */
static size_t pieces_of(const rank_part *list, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += (list[i].bytes + PIECE - 1) / PIECE;
    }
    return n;
}

/* Both ends cut at the same places, as both know the length, and MPI keeps messages of one tag
 * between two ranks in order. */
static int begin_part(rank_group *r, const rank_part *p, int tag, bool sends, rank_work *w)
{
    char *data = p->data;
    for (size_t at = 0; at < p->bytes; at += PIECE) {
        int n = (int)MIN(PIECE, p->bytes - at);
        MPI_Request *next = &w->requests[w->count++];
        int status = sends ? MPI_Isend(data + at, n, MPI_BYTE, p->rank, tag, r->all, next)
                           : MPI_Irecv(data + at, n, MPI_BYTE, p->rank, tag, r->all, next);
        if (status != MPI_SUCCESS) return status;
    }
    return MPI_SUCCESS;
}

static bool begin_all(rank_group *r, int tag, const rank_part *out, int outs, const rank_part *in,
                      int ins, rank_work *w, err *e)
{
    int status = MPI_SUCCESS;
    if (!whole(r, e)) return false;
    for (int i = 0; i < ins && status == MPI_SUCCESS; i++) { /* so that what comes has its place */
        status = begin_part(r, &in[i], tag, false, w);
    }
    for (int i = 0; i < outs && status == MPI_SUCCESS; i++) {
        status = begin_part(r, &out[i], tag, true, w);
    }
    if (status != MPI_SUCCESS) note_loss(r, status);
    return whole(r, e);
}

rank_work *ranks_begin(rank_group *r, int tag, const rank_part *out, int outs, const rank_part *in,
                       int ins, err *e)
{
    CHECK(tag < TAG_ALIVE, "tag %d", tag);
    size_t count = pieces_of(out, outs) + pieces_of(in, ins);
    /* Requests behind the struct, one for each message: their addresses must not move while MPI has
     * them. */
    rank_work *w = list(1, sizeof *w + count * sizeof *w->requests);
    pthread_mutex_lock(&r->mutex);
    bool ok = begin_all(r, tag, out, outs, in, ins, w, e);
    pthread_mutex_unlock(&r->mutex);
    if (ok) return w;
    free(w);
    return NULL;
}

bool ranks_ended(rank_group *r, rank_work *w, bool *ended, err *e)
{
    int done = 0;
    pthread_mutex_lock(&r->mutex);
    if (!r->lost) {
        /* Tested and not waited for: most libraries' MPI_Waitall keeps its core busy for as long as
         * it takes, and everybody else out of the mutex. */
        int status = MPI_Testall(w->count, w->requests, &done, MPI_STATUSES_IGNORE);
        if (status != MPI_SUCCESS) note_loss(r, status);
    }
    bool ok = whole(r, e);
    pthread_mutex_unlock(&r->mutex);
    *ended = ok && done;
    /* After a loss messages may still be under way into the caller's memory: the group is broken,
     * and what follows is the end of the program. */
    if (*ended || !ok) free(w);
    return ok;
}

/* A millisecond at full attention, then with pauses: others may be reading a corpus, and share the
 * cores where there are more ranks than these. */
void ranks_pause(int64_t idle)
{
    enum { ATTENTIVE = 1000 };
    const struct timespec pause = {.tv_nsec = 50 * 1000};
    if (idle < ATTENTIVE) {
        sched_yield();
    } else {
        nanosleep(&pause, NULL);
    }
}

bool ranks_exchange(rank_group *r, const rank_part *out, int outs, const rank_part *in, int ins,
                    err *e)
{
    bool ended = outs + ins == 0;
    if (ended) return ranks_whole(r, e);
    rank_work *w = ranks_begin(r, TAG_EXCHANGE, out, outs, in, ins, e);
    /* By TAG_EXCHANGE: one such exchange at a time, as all ranks make the same calls in the same
     * order. */
    bool ok = w != NULL;
    for (int64_t i = 0; ok && !ended; i++) {
        ok = ranks_ended(r, w, &ended, e);
        if (ok && !ended) ranks_pause(i);
    }
    return ok;
}
