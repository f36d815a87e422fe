#include "core/train/rank_sum.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/train/rank_rows.h"

/* Two exchanges of each part and an addition between them. The plan follows from the parameters
 * alone, so all ranks have the same, and nothing but numbers has to be sent:
 *
 *   gather   each rank sends every other one its numbers of that one's range, n / R of n elements
 *   add      the owner adds R vectors of n / R elements, in the tree's order
 *   share    each owner sends its sums to all
 *
 * A rank sends n (R - 1) / R elements twice, and every rank adds as much as any other. The bits are
 * those of one process: rank r holds node (level, r) of the lanes' tree (ranks_lanes), and
 * add_ranks goes on from there, left plus right. */

/* Elements [begin, end) of the flat vectors. */
typedef struct span {
    int64_t begin, end;
} span;

/* How a part of the gradients goes on. Another rank may be a stage ahead: each has its own tag. */
typedef enum stage {
    AT_HOME,   /* its lanes are not done with it */
    READY,     /* they are */
    GATHERING, /* ranges go to their owners, others' come here */
    SHARING,   /* the own range's sum goes to all, theirs come here */
    SUMMED
} stage;

typedef struct sum_part {
    stage stage;
    span *runs; /* what of it travels: trained parameters, gaps between them along */
    int run_count;
    int64_t elements;
    span *own; /* this rank's range of that, [run_count] at most */
    int own_count;
    int64_t own_elements;
    real *theirs; /* other ranks' of the own range: [count, own_elements] */
    rank_work *work;
} sum_part;

/* Who touches what. A part's stage is set to READY by a thread of the lanes and looked at by
 * others, so up to there it is the mutex's. From READY on the part is moved by whoever has the
 * turn, the helper or the main thread, one at a time: stage, work, `theirs`, out, in and spans need
 * no other lock. g's values of a part are the lanes' until it is READY, then the sum's until
 * rank_sum_end returns. */
struct rank_sum {
    rank_group *ranks;
    const params *params;
    int count, me, summands; /* the first of them have lanes */
    bool by_rows;
    sum_part parts[GRADS_PARTS];
    int part_count;
    span *runs, *own; /* of all parts */
    real *theirs;
    int64_t room;

    pthread_mutex_t mutex; /* guards stages that are READY or less, and what follows */
    pthread_cond_t begun;
    grads *g;     /* whose parts are under way */
    bool helping; /* until main waits itself */
    bool leave, helped;
    pthread_t helper;
    pthread_mutex_t turn; /* who moves exchanges on */

    rank_part *out, *in; /* scratch: room for [capacity] */
    int capacity;
    span *spans;     /* scratch: another rank's range, [most runs of a part] */
    bool *has, *any; /* [count, pieces]; [pieces]: of any rank */
    rank_rows *rows; /* NULL: there are none */
};

/* Never 0 bytes: realloc may answer that with NULL. */
static void *grown(void *p, size_t count, size_t size)
{
    p = realloc(p, MAX(count, (size_t)1) * size);
    CHECK(p, "out of memory for sums over ranks (%zu x %zu bytes)", count, size);
    return p;
}

/* ---- what goes where: the same on all ranks, and in all steps ---- */

/* Neighbours as one stretch: a message has a fixed cost, so gaps of padding (less than 16 elements,
 * params.c) go along; they are zero, and read by nobody. */
static void find_runs(sum_part *x, const params *p, int first, int end, bool by_rows)
{
    enum { GAP = 64 };
    x->run_count = 0;
    x->elements = 0;
    for (int i = first; i < end; i++) {
        const param *q = &p->list[i];
        int64_t n = grads_dense(q, by_rows);
        if (n == 0) continue;
        span *last = x->run_count > 0 ? &x->runs[x->run_count - 1] : NULL;
        if (last && q->offset - last->end < GAP) {
            x->elements += q->offset + n - last->end;
            last->end = q->offset + n;
        } else {
            x->runs[x->run_count++] = (span){q->offset, q->offset + n};
            x->elements += n;
        }
    }
}

/* A rank's range of a part; returns how many spans it is. Boundaries fall inside of parameters:
 * ranges are equal to one element. Element numbers times ranks stay far below 2^63. */
static int range_of(const sum_part *x, int count, int rank, span *out)
{
    int64_t at = 0, begin = x->elements * rank / count, end = x->elements * (rank + 1) / count;
    int spans = 0;
    for (int i = 0; i < x->run_count; i++) {
        span run = x->runs[i];
        int64_t length = run.end - run.begin;
        int64_t from = MAX(begin - at, 0), to = MIN(end - at, length);
        if (from < to) out[spans++] = (span){run.begin + from, run.begin + to};
        at += length;
    }
    return spans;
}

static int64_t length_of(const span *list, int spans)
{
    int64_t n = 0;
    for (int i = 0; i < spans; i++) {
        n += list[i].end - list[i].begin;
    }
    return n;
}

/* Messages of 16 KiB at least: below, what a message costs whatever its length would count. */
static void plan(rank_sum *s, grads_parts *parts)
{
    enum { LEAST = 4096 };
    const params *p = s->params;
    *parts = grads_parts_of(p, s->by_rows, (int64_t)LEAST * s->count);
    s->part_count = parts->count;
    int64_t at = 0;
    int most = 0;
    for (int i = 0; i < parts->count; i++) {
        sum_part *x = &s->parts[i];
        *x = (sum_part){.runs = s->runs + parts->first[i], .own = s->own + parts->first[i]};
        find_runs(x, p, parts->first[i], parts->first[i + 1], s->by_rows);
        x->own_count = range_of(x, s->count, s->me, x->own);
        x->own_elements = length_of(x->own, x->own_count);
        at += s->count * x->own_elements;
        most = MAX(most, x->run_count);
    }
    s->room = at;
    s->theirs = grown(s->theirs, (size_t)at, sizeof *s->theirs);
    /* From the end: `at` is the sum of all rooms by then. */
    for (int i = parts->count - 1; i >= 0; i--) {
        at -= s->count * s->parts[i].own_elements;
        s->parts[i].theirs = s->theirs + at;
    }
    s->capacity = s->count * most;
    s->out = grown(s->out, (size_t)s->capacity, sizeof *s->out);
    s->in = grown(s->in, (size_t)s->capacity, sizeof *s->in);
    s->spans = grown(s->spans, (size_t)most, sizeof *s->spans);
}

size_t rank_sum_bytes(const rank_sum *s)
{
    return s ? (size_t)s->room * sizeof *s->theirs : 0;
}

/* ---- a part, stage by stage ---- */

/* Adds to the list what lies at `values` + begin of each span, or one behind the other. */
static int list_parts(rank_part *list, int n, int rank, const span *spans, int count, real *values,
                      bool packed)
{
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        int64_t length = spans[i].end - spans[i].begin;
        real *x = values + (packed ? at : spans[i].begin);
        list[n++] = (rank_part){rank, x, (size_t)length * sizeof *x};
        at += length;
    }
    return n;
}

static void fill(real *x, int64_t count, real value)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = value;
    }
}

/* -0 where there is nothing: what a lane's vector held before must not be added. */
static void fill_absent(const rank_sum *s, const sum_part *x, grads *g)
{
    int64_t begin = x->runs[0].begin, end = x->runs[x->run_count - 1].end;
    for (int i = 0; i < s->params->count; i++) {
        const param *q = &s->params->list[i];
        if (q->offset < begin || q->offset >= end || grads_dense(q, s->by_rows) == 0) continue;
        int64_t size = q->count / q->pieces;
        for (int64_t k = 0; k < q->pieces; k++) {
            if (!g->has[q->first_piece + k])
                fill(g->values + q->offset + k * size, size, (real)-0.0);
        }
    }
}

/* Others' ranges go to them, theirs of the own one come here. */
static bool gather(rank_sum *s, sum_part *x, int tag, err *e)
{
    int outs = 0, ins = 0;
    fill_absent(s, x, s->g);
    for (int i = 1; i < s->count; i++) { /* in turn: nobody is asked by all at once */
        int to = (s->me + i) % s->count, from = (s->me + s->count - i) % s->count;
        if (s->me < s->summands) {
            int n = range_of(x, s->count, to, s->spans);
            outs = list_parts(s->out, outs, to, s->spans, n, s->g->values, false);
        }
        if (from < s->summands)
            ins = list_parts(s->in, ins, from, x->own, x->own_count,
                             x->theirs + from * x->own_elements, true);
    }
    x->work = ranks_begin(s->ranks, tag, s->out, outs, s->in, ins, e);
    return x->work != NULL;
}

static void add_values(real *restrict x, const real *restrict y, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        x[i] += y[i];
    }
}

/* The tree over ranks, level by level, d = 1, 2, 4 ...: the left half of a node lies where rank r's
 * values were, the right one at r + d; one beyond the last rank is absent. The sum ends at rank
 * 0's.
 */
static void add_ranks(const rank_sum *s, sum_part *x)
{
    int64_t at = 0;
    for (int i = 0; i < x->own_count; i++) {
        int64_t length = x->own[i].end - x->own[i].begin;
        /* The own values stay where they are, in the gradient; others' lie packed, rank by rank. */
        real *mine = s->g->values + x->own[i].begin, *theirs = x->theirs + at;
        for (int d = 1; d < s->summands; d *= 2) {
            for (int r = 0; r + d < s->summands; r += 2 * d) {
                real *a = r == s->me ? mine : theirs + r * x->own_elements;
                add_values(a, r + d == s->me ? mine : theirs + (r + d) * x->own_elements, length);
            }
        }
        /* The tree's root is in rank 0's place, which for rank 0 itself is the gradient. */
        if (s->me > 0) memcpy(mine, theirs, (size_t)length * sizeof *mine);
        at += length;
    }
}

/* The sum of the own range goes to all, theirs come here: what lay there has been sent. */
static bool share(rank_sum *s, sum_part *x, int tag, err *e)
{
    int outs = 0, ins = 0;
    for (int i = 1; i < s->count; i++) {
        int to = (s->me + i) % s->count, from = (s->me + s->count - i) % s->count;
        outs = list_parts(s->out, outs, to, x->own, x->own_count, s->g->values, false);
        int n = range_of(x, s->count, from, s->spans);
        ins = list_parts(s->in, ins, from, s->spans, n, s->g->values, false);
    }
    x->work = ranks_begin(s->ranks, tag, s->out, outs, s->in, ins, e);
    return x->work != NULL;
}

/* As far as a part can go now.
 * Never waits: an exchange that has not ended is looked at again. Tags are the part's and the
 * stage's, so messages of two stages under way at once cannot be taken for each other. */
static bool move_part(rank_sum *s, int i, bool *moved, err *e)
{
    sum_part *x = &s->parts[i];
    bool ended = true, ok = true;
    if (x->stage == GATHERING || x->stage == SHARING) {
        ok = ranks_ended(s->ranks, x->work, &ended, e);
        *moved |= ended;
    }
    if (!ok || !ended) return ok;
    switch (x->stage) {
    case READY:
        *moved = true;
        x->stage = x->elements > 0 ? GATHERING : SUMMED;
        return x->elements == 0 || gather(s, x, 1 + 2 * i, e);
    /* All ranks' ranges are here: what follows is arithmetic, and the next exchange. */
    case GATHERING:
        add_ranks(s, x);
        x->stage = SHARING;
        return share(s, x, 2 + 2 * i, e);
    case SHARING:
        x->stage = SUMMED;
        return true;
    case AT_HOME:
    case SUMMED:
    default:
        return true;
    }
}

/* ---- all of them, by whoever has the turn ---- */

static bool is_at_home(rank_sum *s, int i)
{
    pthread_mutex_lock(&s->mutex);
    bool home = s->parts[i].stage == AT_HOME;
    pthread_mutex_unlock(&s->mutex);
    return home;
}

/* *summed: nothing is left to do.
 * From the last part to the first, the order in which a backward pass finishes them. */
static bool move_all(rank_sum *s, bool *moved, bool *summed, err *e)
{
    *moved = false;
    *summed = true;
    for (int i = s->part_count - 1; i >= 0; i--) {
        if (!is_at_home(s, i) && !move_part(s, i, moved, e)) return false;
        *summed &= s->parts[i].stage == SUMMED;
    }
    return true;
}

/* What the helper finds lost, the end finds lost again.
 * ranks_whole first: after a loss the exchanges are gone, and nothing may be asked about them. */
static void look(rank_sum *s)
{
    bool moved, summed;
    err lost;
    pthread_mutex_lock(&s->turn);
    if (ranks_whole(s->ranks, &lost)) move_all(s, &moved, &summed, &lost);
    pthread_mutex_unlock(&s->turn);
}

/* Sleeps between its looks: the cores are the lanes'. */
static void *help(void *arg)
{
    rank_sum *s = arg;
    const struct timespec pause = {.tv_nsec = 300000};
    pthread_mutex_lock(&s->mutex);
    while (!s->leave) {
        if (!s->helping) {
            pthread_cond_wait(&s->begun, &s->mutex);
            continue;
        }
        pthread_mutex_unlock(&s->mutex);
        look(s);
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* ---- from outside ---- */

/* Who has lanes stands before who has none. */
static int ranks_with_lanes(const rank_group *r, int64_t lanes)
{
    int n = ranks_count(r);
    while (ranks_lanes(r, n - 1, lanes).count == 0) {
        n--;
    }
    return n;
}

rank_sum *rank_sum_new(rank_group *r, const params *p, int64_t lanes, grads_parts *parts)
{
    rank_sum *s = grown(NULL, 1, sizeof *s);
    size_t count = (size_t)ranks_count(r), pieces = (size_t)p->pieces;
    *s = (rank_sum){.ranks = r, .params = p, .count = (int)count, .me = ranks_me(r)};
    s->summands = ranks_with_lanes(r, lanes);
    s->runs = grown(NULL, (size_t)p->count, sizeof *s->runs);
    s->own = grown(NULL, (size_t)p->count, sizeof *s->own);
    s->has = grown(NULL, count * pieces, sizeof *s->has);
    s->any = grown(NULL, pieces, sizeof *s->any);
    plan(s, parts);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->turn, NULL);
    pthread_cond_init(&s->begun, NULL);
    /* Without one all is done at the end. */
    s->helped = pthread_create(&s->helper, NULL, help, s) == 0;
    return s;
}

void rank_sum_take_rows(rank_sum *s, grads_parts *parts)
{
    pthread_mutex_lock(&s->turn);
    s->by_rows = true;
    plan(s, parts);
    if (!s->rows) s->rows = rank_rows_new(s->ranks, s->params);
    pthread_mutex_unlock(&s->turn);
}

static void end_helper(rank_sum *s)
{
    pthread_mutex_lock(&s->mutex);
    s->leave = true;
    pthread_cond_signal(&s->begun);
    pthread_mutex_unlock(&s->mutex);
    if (s->helped) pthread_join(s->helper, NULL);
    pthread_cond_destroy(&s->begun);
    pthread_mutex_destroy(&s->turn);
    pthread_mutex_destroy(&s->mutex);
}

void rank_sum_free(rank_sum *s)
{
    if (!s) return;
    end_helper(s);
    rank_rows_free(s->rows);
    free(s->has);
    free(s->any);
    free(s->spans);
    free(s->runs);
    free(s->own);
    free(s->out);
    free(s->in);
    free(s->theirs);
    free(s);
}

void rank_sum_ready(rank_sum *s, grads *g, int part)
{
    pthread_mutex_lock(&s->mutex);
    s->g = g;
    s->parts[part].stage = READY;
    s->helping = true;
    pthread_cond_signal(&s->begun);
    pthread_mutex_unlock(&s->mutex);
}

/* Until all parts are summed; the helper rests.
 * Under the turn throughout: the helper may be in its last look, which is waited for. */
static bool wait_for_parts(rank_sum *s, err *e)
{
    bool ok = ranks_whole(s->ranks, e), moved, summed = false;
    pthread_mutex_lock(&s->mutex);
    s->helping = false;
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_lock(&s->turn);
    for (int64_t idle = 0; ok && !summed; idle = moved ? 0 : idle + 1) {
        if (idle > 0) ranks_pause(idle);
        ok = move_all(s, &moved, &summed, e);
    }
    for (int i = 0; i < s->part_count; i++) {
        s->parts[i].stage = AT_HOME;
    }
    pthread_mutex_unlock(&s->turn);
    return ok;
}

/* Which pieces any rank has: read by nobody but those who look at the sum.
 * Behind the sums, which do not need them: what a rank lacks came as -0. */
static bool add_marks(rank_sum *s, grads *g, err *e)
{
    size_t pieces = (size_t)s->params->pieces;
    if (!ranks_gather(s->ranks, g->has, pieces * sizeof *g->has, s->has, e)) return false;
    memset(s->any, 0, pieces * sizeof *s->any);
    for (int i = 0; i < s->count; i++) {
        grads_mark(s->params, s->any, s->has + (size_t)i * pieces);
    }
    memcpy(g->has, s->any, pieces * sizeof *g->has);
    return true;
}

bool rank_sum_end(rank_sum *s, grads *g, err *e)
{
    return wait_for_parts(s, e) && add_marks(s, g, e) &&
           (!s->rows || rank_rows_gather(s->rows, g, e));
}
