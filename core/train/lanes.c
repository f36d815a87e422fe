#include "core/train/lanes.h"

#include "core/base/pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/train/grads.h"
#include "core/train/rank_sum.h"

/* Equal bits for any number of threads rest on three things: a lane's work sees only the lane;
 * which two sums are added, and which of them stands left, follows from lane numbers; and what is
 * read in order afterwards (the root) is read by one thread. Who adds, and when, is free. */

enum { MAX_LEVELS = 62 };

/* A gradient vector; lies in the stack of free ones, with a lane at work, or in a node of the tree.
 */
typedef struct vector {
    grads g;
    int parts; /* that have not been added to another */
    bool touched;
} vector;

typedef struct lanes_thread {
    lanes *pool;
    pthread_t id;
    int index;
    int64_t lane; /* in hand */
    vector *leaf;
    int parts; /* of it that are not finished: 0 to that, without it */
} lanes_thread;

struct lanes {
    /* Lanes are numbered over the whole run; a lane's number within this process is its number less
     * `first`, and the tree below is over those. */
    int64_t first, count; /* this process's lanes */
    int threads, started;
    const params *params;
    rank_sum *over; /* NULL: this process has them all */

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t work, idle;
    int64_t round; /* counts jobs: a thread does each once */
    int busy;      /* threads that have not finished the job */
    bool leave;
    void (*job)(lanes *l, int thread);
    lanes_thread *thread;

    /* The job in hand: items are taken in order. */
    int64_t next, items;
    lane_fn lane;
    lanes_item_fn item;
    void *arg;

    /* Gradient vectors and the tree: part i of node (level k, j) is held at
     * nodes[i * (first_node[levels] + 1) + first_node[k] + j] while it is finished and that of its
     * parent is not. A sum's parts lie in the vector of its leftmost lane, all of them. */
    grads_parts parts;
    void *memory;
    size_t memory_bytes;
    bool *has;
    /* One row_grads per vector and table: [vector_count, row_tables]. */
    row_grads *rows;
    vector *vectors, **spare, **nodes;
    int vector_count, spares, levels;
    int64_t first_node[MAX_LEVELS + 1], level_nodes[MAX_LEVELS + 1];
    vector *root, *sum; /* of the run in hand, of the last one */
};

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    const lanes_thread *self = arg;
    lanes *l = self->pool;
    int64_t seen = 0; /* rounds, not a flag: a thread that wakes late must not do a job twice */
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (l->round == seen && !l->leave) {
            pthread_cond_wait(&l->work, &l->mutex);
        }
        if (l->leave) break;
        /* The job is read under the lock that published it, and run without. */
        seen = l->round;
        pthread_mutex_unlock(&l->mutex);
        l->job(l, self->index);
        pthread_mutex_lock(&l->mutex);
        if (--l->busy == 0) pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* All threads run `job` once; returns when the last has finished.
 * `busy` is counted down under the same mutex, so all that a thread wrote is seen by who returns
 * from here: sums and per-thread buffers need no atomics. */
static void run_job(lanes *l, void (*job)(lanes *, int), int64_t items)
{
    pthread_mutex_lock(&l->mutex);
    l->job = job;
    l->next = 0;
    l->items = items;
    l->busy = l->started;
    l->round++;
    if (l->started > 0) pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    job(l, 0); /* the caller's thread works, too: n threads are n cores busy, none waiting */
    pthread_mutex_lock(&l->mutex);
    while (l->busy > 0) {
        pthread_cond_wait(&l->idle, &l->mutex);
    }
    pthread_mutex_unlock(&l->mutex);
}

/* In order: how many nodes can wait for a sibling (vectors_needed) rests on that. A lane takes
 * milliseconds, so a lock per lane is nothing. */
static int64_t take(lanes *l)
{
    pthread_mutex_lock(&l->mutex);
    int64_t i = l->next < l->items ? l->next++ : -1;
    pthread_mutex_unlock(&l->mutex);
    return i;
}

static void item_job(lanes *l, int thread)
{
    for (int64_t i; (i = take(l)) >= 0;) {
        l->item(l->arg, i, thread);
    }
}

void lanes_parallel(lanes *l, lanes_item_fn fn, void *arg, int64_t n)
{
    /* No thread is woken for one item: an optimiser's tables often have few rows. */
    if (!l || l->threads == 1 || n == 1) {
        for (int64_t i = 0; i < n; i++) {
            fn(arg, i, 0);
        }
        return;
    }
    l->item = fn;
    l->arg = arg;
    run_job(l, item_job, n);
}

/* ---- the tree ---- */

/* a = a + b, where a is the left one. Both belong to the calling thread. */
static void add_grads(const lanes *l, vector *a, const vector *b)
{
    for (int i = 0; i < l->parts.count; i++) {
        grads_add_part(l->params, &l->parts, i, &a->g, &b->g);
    }
}

/* Under the mutex. The most recently freed comes first: its memory is touched already, maybe
 * cached. */
static vector *take_vector(lanes *l)
{
    CHECK(l->spares > 0, "all %d gradient vectors are in use", l->vector_count);
    vector *v = l->spare[--l->spares];
    v->touched = true;
    v->parts = l->parts.count;
    return v;
}

static vector *fresh_vector(lanes *l)
{
    pthread_mutex_lock(&l->mutex);
    vector *v = take_vector(l);
    pthread_mutex_unlock(&l->mutex);
    /* Only the marks are cleared: the first to write a piece overwrites it. */
    memset(v->g.has, 0, (size_t)l->params->pieces * sizeof *v->g.has);
    for (int i = 0; v->g.rows && i < l->params->row_tables; i++) {
        v->g.rows[i].count = 0;
    }
    return v;
}

/* Puts a part of a leaf that is finished into the tree. While the same part of the finished node's
 * sibling is finished too, the two are added (outside the lock: both belong to this thread then)
 * and their parent's is finished. A node is in the tree or in somebody's hands, never both: the
 * pointer is taken out under the lock before its vector is read. For three lanes, with one thread,
 * in order and in one part:
 *
 *   lane 0 done   level 0: sibling 1 absent        nodes[0] = v0, wait
 *   lane 1 done   level 0: v0 += v1, v1 is spare   level 1: sibling absent, nodes[1,0] = v01
 *   lane 2 done   level 0: no right half, go up    level 1: v01 += v2, the root
 *
 * An order in which lane 2 comes first ends in the same two additions. A vector whose last part has
 * been added is free: its lane is done, for a lane's last part is finished last. */
static void finish_part(lanes *l, int64_t lane, vector *v, int part)
{
    int64_t j = lane;
    vector **nodes = l->nodes + part * (l->first_node[l->levels] + 1);
    pthread_mutex_lock(&l->mutex);
    for (int level = 0; level < l->levels; level++, j /= 2) {
        int64_t sibling = j ^ 1;
        if (sibling >= l->level_nodes[level]) continue; /* no right half: the parent is this node */
        vector **other = &nodes[l->first_node[level] + sibling];
        if (!*other) {
            nodes[l->first_node[level] + j] = v;
            pthread_mutex_unlock(&l->mutex);
            return;
        }
        /* Addition commutes in every bit, but the tree says left plus right. */
        vector *left = j & 1 ? *other : v, *right = j & 1 ? v : *other;
        *other = NULL;
        pthread_mutex_unlock(&l->mutex);
        grads_add_part(l->params, &l->parts, part, &left->g, &right->g);
        pthread_mutex_lock(&l->mutex);
        /* The sum stays in the left one's memory; the right one's may be taken for the next lane at
         * once. */
        if (--right->parts == 0) l->spare[l->spares++] = right;
        v = left;
    }
    l->root = v;
    pthread_mutex_unlock(&l->mutex);
    if (l->over) rank_sum_ready(l->over, &v->g, part);
}

void lanes_finish(lanes *l, int thread, int first)
{
    lanes_thread *t = &l->thread[thread];
    while (t->parts > 0 && l->parts.first[t->parts - 1] >= first) {
        t->parts--;
        finish_part(l, t->lane, t->leaf, t->parts);
    }
}

static void lane_job(lanes *l, int thread)
{
    lanes_thread *t = &l->thread[thread];
    for (int64_t lane; (lane = take(l)) >= 0;) {
        /* Taken after the lane's number: who waits for a number holds no memory. */
        t->lane = lane;
        t->leaf = l->params ? fresh_vector(l) : NULL;
        t->parts = l->params ? l->parts.count : 0;
        l->lane(l->arg, l->first + lane, thread, t->leaf ? &t->leaf->g : NULL);
        lanes_finish(l, thread, 0);
    }
}

/* A rank without lanes has nothing to add, and the sum all the same. */
static void come_with_nothing(lanes *l)
{
    l->root = fresh_vector(l);
    for (int i = l->parts.count - 1; l->over && i >= 0; i--) {
        rank_sum_ready(l->over, &l->root->g, i);
    }
}

const grads *lanes_run(lanes *l, lane_fn fn, void *arg, bool add)
{
    CHECK(!add || l->sum || !l->params, "there is no earlier sum to add to");
    /* The caller had it until now ("valid until the next call"). */
    if (l->sum && !add) {
        l->spare[l->spares++] = l->sum;
        l->sum = NULL;
    }
    l->lane = fn;
    l->arg = arg;
    run_job(l, lane_job, l->count);
    if (!l->params) return NULL;
    if (l->count == 0) come_with_nothing(l);
    err lost; /* and ranks_whole tells */
    if (l->over) rank_sum_end(l->over, &l->root->g, &lost);
    if (l->sum) { /* the micro-step before stands left, as it would in one longer sum */
        add_grads(l, l->sum, l->root);
        l->spare[l->spares++] = l->root;
    } else {
        l->sum = l->root;
    }
    return &l->sum->g;
}

/* ---- making and ending ---- */

/* Vectors that can be held at once. Each thread holds one (its leaf, or the node that it is adding
 * to). A finished node waits only while its sibling is not finished. Lanes are taken in order, so a
 * sibling without a thread in it holds the first lane not taken: one such per level, and only while
 * a thread is between two lanes. So at most `threads` nodes wait on a level. One more is the sum of
 * the last run.
 * Never more than one per lane and the last sum. */
static int vectors_needed(const lanes *l)
{
    int64_t n = l->threads + 1;
    for (int level = 0; level < l->levels; level++) {
        n += MIN(l->threads, (l->level_nodes[level] + 1) / 2);
    }
    return (int)MIN(n, MAX(l->count, 1) + 1);
}

/* Levels until one node is left, each with half as many, rounded up: a last node without a sibling
 * is itself its parent. first_node and level_nodes have `levels` + 1 entries, the last one the
 * root's. */
static void plan_tree(lanes *l)
{
    int64_t nodes = MAX(l->count, 1), first = 0;
    for (l->levels = 0;; l->levels++) {
        l->first_node[l->levels] = first;
        l->level_nodes[l->levels] = nodes;
        first += nodes;
        if (nodes == 1) break;
        nodes = (nodes + 1) / 2;
    }
}

/* Whole pages: a vector that is never taken shares none of these with its neighbours. */
static size_t vector_bytes(const params *p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((size_t)p->total * sizeof(real) + page - 1) / page * page;
}

static bool reserve_vectors(lanes *l, err *e)
{
    const params *p = l->params;
    l->vector_count = vectors_needed(l);
    size_t each = vector_bytes(p), n = (size_t)l->vector_count;
    int64_t nodes = (l->first_node[l->levels] + 1) * GRADS_PARTS;
    l->vectors = calloc(n, sizeof *l->vectors);
    l->spare = calloc(n, sizeof(vector *));
    l->nodes = calloc((size_t)nodes, sizeof(vector *));
    l->has = calloc(n * (size_t)MAX(p->pieces, 1), sizeof *l->has);
    l->memory_bytes = MAX(each * n, 1);
    /* For the worst order of finishing, touched as far as needed. */
    l->memory = pages_map(&l->memory_bytes, PAGES_AS_TOUCHED);
    if (!l->vectors || !l->spare || !l->nodes || !l->has || !l->memory) {
        return err_set(
            e, "no memory for %zu gradient vectors of %zu bytes; use fewer lanes or threads", n,
            each);
    }
    for (size_t i = 0; i < n; i++) {
        vector *v = &l->vectors[i];
        v->g.values = (real *)(void *)((char *)l->memory + i * each);
        v->g.has = l->has + i * (size_t)p->pieces;
        l->spare[n - 1 - i] = v; /* the first is taken first */
    }
    l->spares = l->vector_count;
    return true;
}

/* `started` counts those that run: lanes_free joins just them, here and after a failure. */
static bool start_threads(lanes *l, err *e)
{
    l->thread = calloc((size_t)l->threads, sizeof *l->thread);
    if (!l->thread) return err_set(e, "no memory for %d threads", l->threads);
    while (l->started < l->threads - 1) {
        lanes_thread *t = &l->thread[l->started];
        *t = (lanes_thread){.pool = l, .index = l->started + 1};
        int failure = pthread_create(&t->id, NULL, thread_main, t);
        if (failure) {
            return err_set(e, "thread %d of %d cannot be started (%s); use fewer threads",
                           t->index + 1, l->threads, strerror(failure));
        }
        l->started++;
    }
    return true;
}

lanes *lanes_new(int64_t count, int threads, const params *p, err *e)
{
    return lanes_new_over(NULL, count, threads, p, e);
}

void lanes_cut(lanes *l, const grads_parts *parts)
{
    l->parts = *parts;
}

/* Parts of 256 KiB at least. What a lane has just written is added while it is in the cache, and
 * the last lanes' sums are made by all threads that end them, not by the last one alone. */
static void cut_alone(lanes *l, bool by_rows)
{
    enum { LEAST = 1 << 16 };
    l->parts = grads_parts_of(l->params, by_rows, LEAST);
}

lanes *lanes_new_over(rank_group *r, int64_t count, int threads, const params *p, err *e)
{
    CHECK(count >= 1 && count < (int64_t)1 << 31 && threads >= 1, "%lld lanes, %d threads",
          (long long)count, threads);
    lanes *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, "no memory for a thread pool"), NULL;
    rank_lanes own = ranks_lanes(r, ranks_me(r), count);
    l->first = own.first;
    l->count = own.count;
    l->threads = threads;
    l->params = p;
    if (p) cut_alone(l, false);
    if (p && ranks_count(r) > 1) l->over = rank_sum_new(r, p, count, &l->parts);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->idle, NULL);
    plan_tree(l);
    if ((p && !reserve_vectors(l, e)) || !start_threads(l, e)) {
        lanes_free(l);
        return NULL;
    }
    return l;
}

void lanes_take_rows(lanes *l)
{
    const params *p = l->params;
    if (p->row_tables == 0) return;
    if (l->over) {
        rank_sum_take_rows(l->over, &l->parts);
    } else {
        cut_alone(l, true);
    }
    l->rows = calloc((size_t)l->vector_count * (size_t)p->row_tables, sizeof *l->rows);
    CHECK(l->rows, "out of memory for %d tables' gradients", p->row_tables);
    for (int i = 0; i < l->vector_count; i++) {
        l->vectors[i].g.rows = l->rows + (int64_t)i * p->row_tables;
    }
    for (int k = 0; k < p->count; k++) {
        const param *q = &p->list[k];
        for (int i = 0; q->row_grads >= 0 && i < l->vector_count; i++) {
            l->vectors[i].g.rows[q->row_grads].width = q->shape[1];
        }
    }
}

void lanes_free(lanes *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->mutex);
    /* Under the mutex, or a thread between its look and its sleep would miss the call. */
    l->leave = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->started; i++) {
        pthread_join(l->thread[i].id, NULL);
    }
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->mutex);
    pages_unmap(l->memory, l->memory_bytes);
    for (int64_t i = 0; l->rows && i < (int64_t)l->vector_count * l->params->row_tables; i++) {
        row_grads_deinit(&l->rows[i]);
    }
    rank_sum_free(l->over);
    free(l->rows);
    free(l->has);
    free(l->vectors);
    free(l->spare);
    free(l->nodes);
    free(l->thread);
    free(l);
}

int lanes_threads(const lanes *l)
{
    return l ? l->threads : 1;
}

/* Tables whose gradients come as rows leave their part of the vector alone. */
static size_t touched_bytes(const lanes *l, const vector *v)
{
    size_t bytes = vector_bytes(l->params);
    for (int i = 0; v->g.rows && i < l->params->count; i++) {
        const param *q = &l->params->list[i];
        if (q->row_grads < 0) continue;
        const row_grads *g = &v->g.rows[q->row_grads];
        bytes -= (size_t)q->count * sizeof(real);
        bytes += (size_t)g->capacity * ((size_t)g->width * sizeof(real) + sizeof *g->rows);
    }
    return bytes;
}

size_t lanes_bytes(const lanes *l)
{
    size_t touched = 0;
    for (int i = 0; i < l->vector_count; i++) {
        touched += l->vectors[i].touched ? touched_bytes(l, &l->vectors[i]) : 0;
    }
    return touched + rank_sum_bytes(l->over);
}
