/* With p = softmax(scale q k^T) over the chosen keys and D = sum_j p_j dp_j per query:
 *     dp_j = dy v_j,   dq = scale sum_j p_j (dp_j - D) k_j
 *
 * Scores are made a tile at a time, [32 queries, 2048 keys], and only the best of each query
 * survive, in a heap: memory does not grow with what is stored. Then a softmax over the few, whose
 * keys and values are copied, since the ring may be overwritten before the backward pass. A query's
 * scores are exact products (tape_exact): which keys are best should not depend on how operands are
 * rounded. */
#include "core/ops/ops_lookup.h"

#include "core/ops/best.h"
#include "core/ops/blas.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 32, KEYS = 2048 }; /* a tile of scores: 256 KiB */

typedef struct lookup_keep {
    tensor *q, *y;
    int64_t rows, queries, heads, head_dim, count;
    real scale;
    bool record;   /* else only the query at hand is kept */
    int64_t *used; /* [rows]: how many were chosen */
    real *p;       /* [rows, heads, queries, count] */
    real *chosen;  /* [rows, heads, queries, count, 2 head_dim]: key, value */
} lookup_keep;

static int64_t cell_of(const lookup_keep *a, int64_t row, int64_t head, int64_t i)
{
    return a->record ? (row * a->heads + head) * a->queries + i : 0;
}

typedef struct lookup_work {
    lookup_keep *a;
    const lookup_store *s;
    const gemm_kernel *g;
    int64_t kv_heads;
    real *scores;     /* [QUERIES, KEYS] */
    candidate *heaps; /* [QUERIES, count] */
} lookup_work;

/* Scores of queries [first, first + n) against positions [from, to), which lie together.
 * Positions go in ascending order, and a tie goes to the later one (best.h), so that tiles of any
 * size choose the same keys. */
static void scan(const lookup_work *w, int64_t row, int64_t head, int64_t first, int64_t n,
                 int64_t from, int64_t to, int64_t *filled)
{
    const lookup_keep *a = w->a;
    int64_t d = a->head_dim, width = a->heads * d, keys = to - from;
    const real *q = a->q->data + (row * a->queries + first) * width + head * d;
    const real *k = w->s->entries + (row * w->s->size + from % w->s->size) * w->s->entry_width +
                    head * w->kv_heads / a->heads * d;
    blas_gemm(w->g, false, true, n, keys, d, a->scale, q, width, k, w->s->entry_width, 0, w->scores,
              keys);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < keys; j++) {
            best_offer(w->heaps + i * a->count, &filled[i], a->count,
                       (candidate){w->scores[i * keys + j], from + j});
        }
    }
}

/* Softmax over the chosen, their copies, and the output of one query. */
static void finish(const lookup_work *w, int64_t row, int64_t head, int64_t i,
                   const candidate *heap, int64_t n)
{
    const lookup_keep *a = w->a;
    int64_t d = a->head_dim, cell = cell_of(a, row, head, i), half = w->kv_heads * d;
    real *y = a->y->data + (row * a->queries + i) * a->heads * d + head * d;
    real *p = a->p + cell * a->count, *chosen = a->chosen + cell * a->count * 2 * d;
    /* The heap's root is the worst that was kept: the greatest score may be anywhere in it. */
    real most = n ? heap[0].score : 0, sum = 0;
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t j = 1; j < n; j++) {
        most = MAX(most, heap[j].score);
    }
    for (int64_t j = 0; j < n; j++) {
        p[j] = (real)exp((double)(heap[j].score - most));
        sum += p[j];
    }
    for (int64_t j = 0; j < n; j++) {
        const real *entry = w->s->entries +
                            (row * w->s->size + heap[j].position % w->s->size) * w->s->entry_width +
                            head * w->kv_heads / a->heads * d;
        /* A copy: by the time of the backward pass the ring may hold something else there. */
        real *copy = chosen + j * 2 * d;
        memcpy(copy, entry, (size_t)d * sizeof *copy);
        memcpy(copy + d, entry + half, (size_t)d * sizeof *copy);
        p[j] /= sum;
        for (int64_t c = 0; c < d; c++) {
            y[c] += p[j] * copy[d + c];
        }
    }
}

/* filled: how many each query's heap holds. */
static void look_up(const lookup_work *w, int64_t row, int64_t head, int64_t first, int64_t n)
{
    const lookup_keep *a = w->a;
    int64_t filled[QUERIES] = {0}, end = w->s->end[row], size = w->s->size;
    for (int64_t from = w->s->begin[row], to; from < end; from = to) {
        to = MIN(end, from + MIN(KEYS, size - from % size)); /* up to the ring's end */
        scan(w, row, head, first, n, from, to, filled);
    }
    for (int64_t i = 0; i < n; i++) {
        finish(w, row, head, first + i, w->heaps + i * a->count, filled[i]);
    }
}

static void lookup_backward(tape *t, void *keep)
{
    lookup_keep *a = keep;
    int64_t d = a->head_dim, width = a->heads * d;
    /* Queries alone: what is stored was made with weights of another time. */
    real *dq = tape_grad(t, a->q);
    if (!dq) return;
    for (int64_t n = 0; n < a->rows * a->heads * a->queries; n++) {
        int64_t row = n / (a->heads * a->queries), head = n / a->queries % a->heads;
        int64_t at = (row * a->queries + n % a->queries) * width + head * d;
        const real *p = a->p + n * a->count, *chosen = a->chosen + n * a->count * 2 * d;
        const real *dy = a->y->grad + at;
        real dot = 0;
        /* First D = sum_j p_j dp_j, then the slopes, which need all of it. */
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t j = 0; j < a->used[row]; j++) {
                const real *k = chosen + j * 2 * d, *v = k + d;
                real dp = 0;
                for (int64_t c = 0; c < d; c++) {
                    dp += dy[c] * v[c];
                }
                if (pass == 0) dot += p[j] * dp;
                real slope = pass == 0 ? 0 : a->scale * p[j] * (dp - dot);
                for (int64_t c = 0; pass == 1 && c < d; c++) {
                    dq[at + c] += slope * k[c];
                }
            }
        }
    }
}

static const op_class LOOKUP = {"lookup", lookup_backward};

tensor *op_lookup(tape *t, tensor *q, const lookup_store *store, int64_t heads, int64_t kv_heads,
                  int64_t count, real scale)
{
    double since = tape_clock(t);
    CHECK(q->rank == 3 && q->shape[2] % heads == 0 && count >= 1 && heads % kv_heads == 0,
          "q [%lld], %lld heads, %lld key heads, %lld keys", (long long)q->shape[2],
          (long long)heads, (long long)kv_heads, (long long)count);
    lookup_keep *a = tape_keep(t, 1, sizeof *a);
    *a = (lookup_keep){.q = q,
                       .y = tape_like(t, q),
                       .rows = q->shape[0],
                       .queries = q->shape[1],
                       .heads = heads,
                       .head_dim = q->shape[2] / heads,
                       .count = count,
                       .scale = scale,
                       .record = tape_wants(t, 1, &q)};
    CHECK(store->entry_width >= 2 * kv_heads * a->head_dim, "entries of %lld",
          (long long)store->entry_width);
    int64_t cells = a->record ? a->rows * heads * a->queries : 1;
    a->used = tape_keep(t, a->rows, sizeof *a->used);
    a->p = tape_keep(t, cells * count, sizeof *a->p);
    a->chosen = tape_keep(t, cells * count * 2 * a->head_dim, sizeof *a->chosen);
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    lookup_work w = {a,
                     store,
                     tape_exact(t),
                     kv_heads,
                     ARENA_NEW(m, real, (int64_t)QUERIES * KEYS),
                     ARENA_NEW(m, candidate, QUERIES * count)};
    for (int64_t row = 0; row < a->rows; row++) {
        int64_t seen = store->end[row] - store->begin[row];
        CHECK(seen >= 0 && seen <= store->size && store->begin[row] >= 0, "positions %lld to %lld",
              (long long)store->begin[row], (long long)store->end[row]);
        a->used[row] = MIN(seen, count);
        for (int64_t head = 0; head < heads; head++) {
            for (int64_t i = 0; i < a->queries; i += QUERIES) {
                look_up(&w, row, head, i, MIN(QUERIES, a->queries - i));
            }
        }
    }
    arena_rewind(m, mark);
    if (a->record) tape_record(t, &LOOKUP, a, 1, &a->y);
    tape_charge(t, &LOOKUP, since);
    return a->y;
}
