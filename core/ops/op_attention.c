/* Attention by tiles: QUERIES queries of one head against the range of keys that any of them sees.
 *
 *     scores = scale q k^T + bias;  p = softmax(scores);  y = p v
 *
 * A tile's scores live in scratch memory only; the backward pass computes them again from the kept
 * logsumexp of each query. With D = sum_j p_j dp_j per query:
 *     dp = dy v^T,  ds = p (dp - D),  dq = scale ds k,  dk = scale ds^T q,  dv = p^T dy
 *
 * Kernels of our own read keys and values that are packed once for all tiles of a head.
 *
 * Memory: y and one number per query and head are kept; a tile of scores is [32, keys] per thread,
 * so it grows with the keys and not with their square. Time: a causal tile spans from the first key
 * that any of its queries sees to the last one; within it columns that a query does not see are
 * computed and zeroed: a few dozen per row.
 *
 * The gradient of the softmax: with y = sum_j p_j v_j and dp_j = dy . v_j, ds_i = sum_j dp_j p_j
 * (delta_ij - p_i) = p_i (dp_i - D). With dropout's mask m, y = sum_j p_j m_j v_j, so dp_j = m_j
 * (dy . v_j) and dv_j takes p_j m_j, while p itself stays without it.
 *
 * Order of sums: tiles of a head in the order of their queries, heads that share a key head in the
 * order of heads, all of it on one thread. So dk and dv add up in one order, whatever the number of
 * helpers. */
#include "core/base/crew.h"
#include "core/ops/attention_bias.h"
#include "core/ops/blas.h"
#include "core/ops/dropout.h"
#include "core/ops/ops.h"
#include "core/ops/softmax.h"
#include "core/ops/vec.h"

#include <math.h>

/* Small tiles compute fewer scores that the causal mask throws away, large ones make better
 * products. Measured, 256 to 512 keys and heads of 32 to 64 (OpenBLAS's Cooperlake and Haswell
 * kernels): 32 is up to 3 % faster than 64, 10 % faster than 128. */
enum { QUERIES = 32 };

/* From so many queries on it is worth packing keys and values. */
enum { MANY = 16 };

/* Keys [keys, head_dim] and values of one head as the right-hand side of products.
 * Turned: [head_dim, keys], for what comes out one number per key; else [keys, head_dim], for what
 * comes out one per feature. Forward needs KEYS_TURNED (scores) and VALUES (y); backward
 * KEYS_TURNED again, VALUES_TURNED (dp) and KEYS (dq). */
typedef enum pack { KEYS_TURNED, VALUES, VALUES_TURNED, KEYS, PACKS } pack;

/* attention_operand with the distance of its rows. */
typedef struct operand {
    tensor *x;
    int64_t column, apart;
} operand;

/* `whole` is all that is kept of the scores: p = exp(score - whole) is exact again without the
 * row's maximum and sum. */
typedef struct attention_keep {
    operand q, k, v;
    tensor *y;
    attention_shape s;
    real *whole; /* logsumexp of the scores [rows, heads, queries] */
    const gemm_kernel *g;
} attention_keep;

/* Buffers of one call, in scratch memory. */
/* A copy per thread, which differ in their buffers alone. packs [PACKS]: of the key head that the
 * thread is at. */
typedef struct attention_work {
    const attention_keep *a;
    int64_t rows, queries, keys, extra, tile; /* tile: queries of one */
    gemm_packed packs[PACKS];                 /* of the head at hand; without panels: not packed */
    attention_bias bias;
    real *scores, *slopes; /* [QUERIES, seen keys]: scores then probabilities; gradients */
    real *mask;            /* [seen keys] of one query, if there is dropout */
    attention_bias dbias;  /* gradient of bias, in the backward pass with a T5 table */
} attention_work;

/* One tile: queries [begin, end) of a head; they see keys within [lo, hi). */
typedef struct tile {
    int64_t row, head, kv_head, begin, end, lo, hi;
} tile;

/* ---- what a query sees ---- */

/* The contract's max(...), term by term. `extra` may be negative without causality, hence the last
 * line. */
static int64_t first_key(const attention_work *w, int64_t row, int64_t i)
{
    const attention_shape *s = &w->a->s;
    int64_t first = s->valid ? w->extra - s->valid[row] : 0;
    if (s->block > 0) {
        int64_t block_begin = w->extra + i - (s->phase + i) % s->block;
        first = MAX(first, block_begin - s->memory);
    }
    if (s->window > 0) first = MAX(first, w->extra + i - s->window + 1);
    return MAX(first, 0);
}

/* One past the last key. */
static int64_t end_key(const attention_work *w, int64_t i)
{
    return w->a->s.causal ? w->extra + i + 1 : w->keys;
}

/* The last query sees furthest ahead, the first furthest back: the tile's range is that of both. */
static tile tile_at(const attention_work *w, int64_t row, int64_t head, int64_t begin)
{
    const attention_shape *s = &w->a->s;
    tile n = {.row = row, .head = head, .kv_head = head * s->kv_heads / s->heads, .begin = begin};
    n.end = MIN(begin + w->tile, w->queries);
    n.lo = first_key(w, row, begin); /* both limits grow with i */
    n.hi = MAX(end_key(w, n.end - 1), n.lo);
    /* A kernel's sums begin at whole parts, packed or not; packed keys end with one, too. */
    if (w->a->g) n.lo -= n.lo % GEMM_PART;
    if (w->packs[KEYS_TURNED].panels) n.hi = (n.hi + GEMM_PART - 1) / GEMM_PART * GEMM_PART;
    return n;
}

/* ---- operands ---- */

/* Where head `head` of position `position` of a row begins in x (or its gradient).
 * q, k and v may be columns of one packed projection, and of rows with room for more positions. */
static int64_t offset_of(const operand *o, int64_t row, int64_t position, int64_t head,
                         int64_t head_dim)
{
    return row * o->apart + position * o->x->shape[2] + o->column + head * head_dim;
}

static const real *at(const operand *o, int64_t row, int64_t position, int64_t head,
                      int64_t head_dim)
{
    return o->x->data + offset_of(o, row, position, head, head_dim);
}

static int64_t stride(const operand *o)
{
    return o->x->shape[2];
}

static bool is_turned(pack p)
{
    return p == KEYS_TURNED || p == VALUES_TURNED;
}

static const operand *packed_operand(const attention_work *w, pack p)
{
    return p == KEYS_TURNED || p == KEYS ? &w->a->k : &w->a->v;
}

/* Once per key head and call: every tile of every query head on it reads the same panels. */
static void pack_head(const attention_work *w, int64_t row, int64_t kv_head)
{
    for (int i = 0; i < PACKS; i++) {
        const operand *o = packed_operand(w, (pack)i);
        if (!w->packs[i].panels) continue;
        blas_pack(&w->packs[i], is_turned((pack)i), at(o, row, 0, kv_head, w->a->s.head_dim),
                  stride(o));
    }
}

/* c = alpha x op(b) + beta c for a row of x and c per query of the tile, where op(b) is
 * [head_dim, keys of the tile] if turned, else [keys of the tile, head_dim].
 * Packed, hi may lie beyond the last key, where the panels are zeros; unpacked it does not. */
static void tile_product(const attention_work *w, const tile *n, pack p, real alpha, const real *x,
                         int64_t x_stride, real beta, real *c, int64_t c_stride)
{
    const operand *o = packed_operand(w, p);
    bool turned = is_turned(p);
    int64_t d = w->a->s.head_dim, keys = n->hi - n->lo, queries = n->end - n->begin;
    int64_t columns = turned ? keys : d, inner = turned ? d : keys;
    if (w->packs[p].panels) {
        blas_gemm_packed(&w->packs[p], turned ? 0 : n->lo, turned ? n->lo : 0, false, queries,
                         columns, inner, alpha, x, x_stride, beta, c, c_stride);
    } else {
        blas_gemm(w->a->g, false, turned, queries, columns, inner, alpha, x, x_stride,
                  at(o, n->row, n->lo, n->kv_head, d), stride(o), beta, c, c_stride);
    }
}

/* ---- forward ---- */

/* scores [queries of the tile, hi - lo] = scale q k^T */
static void tile_scores(const attention_work *w, const tile *n)
{
    const attention_keep *a = w->a;
    tile_product(w, n, KEYS_TURNED, a->s.scale, at(&a->q, n->row, n->begin, n->head, a->s.head_dim),
                 stride(&a->q), 0, w->scores, n->hi - n->lo);
}

/* What query i of the tile sees, as columns [*from, *to) of its row of scores; both the row's other
 * columns are zeroed, so that products may run over the whole tile.
 * Zeros in p add nothing to y and dv, zeros in ds nothing to dq and dk. What stood there were
 * scores of keys that the query may not see: without this line the future would leak. */
static real *visible(const attention_work *w, const tile *n, real *buffer, int64_t i, int64_t *from,
                     int64_t *to)
{
    int64_t keys = n->hi - n->lo;
    real *row = buffer + (i - n->begin) * keys;
    *to = MAX(end_key(w, i) - n->lo, 0);
    *from = MIN(first_key(w, n->row, i) - n->lo, *to);
    vec_zero(row, *from);
    vec_zero(row + *to, keys - *to);
    return row;
}

static void add_bias(const attention_work *w, const tile *n, real *row, int64_t i, int64_t from,
                     int64_t to)
{
    /* The bias of key lo + from, for this query's distance. */
    if (!w->bias.by_offset) return;
    vec_add(row + from, attention_bias_row(&w->bias, n->head, i) + n->lo + from, to - from);
}

/* The mask of query i for the columns of its tile, or NULL without dropout.
 * Numbers are those of (row, head, query, key), so tiles of another size draw the same mask, and
 * the backward pass draws it again. */
static const real *draw_mask(const attention_work *w, const tile *n, int64_t i, int64_t from,
                             int64_t to)
{
    const attention_shape *s = &w->a->s;
    if (s->dropout == 0) return NULL;
    rng_key key = s->key;
    key.row += (uint32_t)n->row;
    int64_t index = (n->head * w->queries + i) * w->keys + n->lo + from;
    dropout_mask(w->mask + from, to - from, s->dropout, key, (uint64_t)index);
    return w->mask;
}

/* row = exp(row - its maximum); returns the sum, and the maximum in *most.
 * The largest exponent is 0: the sum is at least 1 and at most n, and cannot overflow. */
static real exponentials(real *restrict row, int64_t n, real *most)
{
    real sum = 0;
    *most = vec_max(row, n);
    softmax_exp(row, n, *most);
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        sum += row[j];
    }
    return sum;
}

/* Turns scores into exponentials; leaves 1/sum of every query in `inverse` and its logsumexp. */
static void tile_softmax(const attention_work *w, const tile *n, real *inverse)
{
    const attention_keep *a = w->a;
    for (int64_t i = n->begin; i < n->end; i++) {
        int64_t from, to;
        real *row = visible(w, n, w->scores, i, &from, &to);
        real whole = 0;
        inverse[i - n->begin] = 0;
        if (from < to) {
            add_bias(w, n, row, i, from, to);
            real most, sum = exponentials(row + from, to - from, &most);
            inverse[i - n->begin] = 1 / sum;
            whole = most + (real)log((double)sum);
            const real *mask = draw_mask(w, n, i, from, to);
            /* After the sum: dropout is of the probabilities, which are normalised without it. */
            if (mask) vec_mul(row + from, mask + from, to - from);
        }
        if (a->whole) a->whole[(n->row * a->s.heads + n->head) * w->queries + i] = whole;
    }
}

/* y = exponentials v / sum: dividing the head_dim outputs, not the many probabilities.
 * A query that sees nothing has a row of zeros and an inverse of 0: y is 0. */
static void tile_forward(const attention_work *w, const tile *n)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim, width = a->s.heads * d, queries = n->end - n->begin;
    real *y = a->y->data + (n->row * w->queries + n->begin) * width + n->head * d;
    real inverse[QUERIES] = {0};
    tile_scores(w, n);
    tile_softmax(w, n, inverse);
    tile_product(w, n, VALUES, 1, w->scores, n->hi - n->lo, 0, y, width);
    for (int64_t i = 0; i < queries; i++) {
        vec_scale(y + i * width, inverse[i], d);
    }
}

typedef void (*tile_fn)(const attention_work *, const tile *);

static void run_head(const attention_work *w, int64_t row, int64_t head, tile_fn run)
{
    for (int64_t begin = 0; begin < w->queries; begin += w->tile) {
        tile n = tile_at(w, row, head, begin);
        run(w, &n);
    }
}

/* Heads that read the same keys, whose gradient they share, are one thread's. */
typedef struct attention_parts {
    const attention_work *works; /* [parts] */
    int64_t parts;
    tile_fn run;
} attention_parts;

static void run_part(void *arg, int part)
{
    const attention_parts *p = arg;
    const attention_work *w = &p->works[part];
    const attention_shape *s = &w->a->s;
    /* Parts are ranges of (row, key head): nobody else writes the same dk and dv. */
    int64_t all = w->rows * s->kv_heads;
    for (int64_t n = all * part / p->parts; n < all * (part + 1) / p->parts; n++) {
        int64_t row = n / s->kv_heads, kv_head = n % s->kv_heads;
        pack_head(w, row, kv_head);
        for (int64_t head = 0; head < s->heads; head++) {
            if (head * s->kv_heads / s->heads == kv_head) run_head(w, row, head, p->run);
        }
    }
}

/* ---- backward ---- */

/* p = exp(scores - whole), ds = factor p (dp - D), over what one query sees. */
static void slopes_row(real *restrict p, real *restrict ds, const real *restrict mask, real whole,
                       real factor, int64_t n)
{
    real dot = 0;
    softmax_exp(p, n, whole);
    /* ds comes in as dp; dot is D. */
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < n; j++) {
        dot += p[j] * ds[j];
    }
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        ds[j] = factor * (p[j] * (ds[j] - dot));
    }
    if (mask) vec_mul(p, mask, n);
}

/* scores become probabilities (with dropout's mask, as v saw them), slopes become ds, for kernels
 * times the scale already: operands that need no factor need not be packed for one. A bias'
 * gradient is without it. */
static void tile_slopes(const attention_work *w, const tile *n)
{
    const attention_keep *a = w->a;
    bool later = w->dbias.by_offset != NULL;
    real factor = a->g && !later ? a->s.scale : 1;
    for (int64_t i = n->begin; i < n->end; i++) {
        int64_t from, to;
        real *p = visible(w, n, w->scores, i, &from, &to);
        real *ds = visible(w, n, w->slopes, i, &from, &to);
        if (from == to) continue;
        add_bias(w, n, p, i, from, to);
        const real *mask = draw_mask(w, n, i, from, to);
        if (mask) vec_mul(ds + from, mask + from, to - from);
        slopes_row(p + from, ds + from, mask ? mask + from : NULL,
                   a->whole[(n->row * a->s.heads + n->head) * w->queries + i], factor, to - from);
        if (!later) continue;
        vec_add(attention_bias_row(&w->dbias, n->head, i) + n->lo + from, ds + from, to - from);
        if (a->g) vec_scale(ds + from, a->s.scale, to - from);
    }
}

/* The gradient buffer of an operand where this tile's part begins; NULL if it needs none. */
static real *gradient_at(const operand *o, const tile *n, int64_t position, int64_t head,
                         int64_t head_dim)
{
    if (!o->x->needs_grad) return NULL;
    return o->x->grad + offset_of(o, n->row, position, head, head_dim);
}

static void tile_backward(const attention_work *w, const tile *n)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim, width = a->s.heads * d;
    /* all: keys that exist. Gradients of keys go to memory that ends there. */
    int64_t queries = n->end - n->begin, keys = n->hi - n->lo, all = MIN(n->hi, w->keys) - n->lo;
    const real *dy = a->y->grad + (n->row * w->queries + n->begin) * width + n->head * d;
    tile_scores(w, n);
    /* dp = dy v^T, into the slopes' place */
    tile_product(w, n, VALUES_TURNED, 1, dy, width, 0, w->slopes, keys);
    tile_slopes(w, n);
    real *dv = gradient_at(&a->v, n, n->lo, n->kv_head, d);
    /* dv += p^T dy, of all queries of the tile at once; beta 1: other tiles have added to it. */
    if (dv) {
        blas_gemm(a->g, true, false, all, d, queries, 1, w->scores, keys, dy, width, 1, dv,
                  stride(&a->v));
    }
    real *dk = gradient_at(&a->k, n, n->lo, n->kv_head, d), scale = a->g ? 1 : a->s.scale;
    if (dk) {
        blas_gemm(a->g, true, false, all, d, queries, scale, w->slopes, keys,
                  at(&a->q, n->row, n->begin, n->head, d), stride(&a->q), 1, dk, stride(&a->k));
    }
    real *dq = gradient_at(&a->q, n, n->begin, n->head, d);
    if (dq) tile_product(w, n, KEYS, scale, w->slopes, keys, 1, dq, stride(&a->q));
}

/* As many as fill a kernel's rows; tiles of AMX add 32 queries to a gradient at a time, everywhere.
 * That chain's sums over 32 queries are rounded as one group, so the number of queries in a product
 * over queries is part of its bits: the loops that stand in for AMX must cut alike. */
static int64_t tile_queries(const gemm_kernel *g)
{
    return !g || g->chain == GEMM_TILES ? QUERIES : QUERIES / g->rows * g->rows;
}

/* A call of a few queries (generation) reads each key about as often as packing would. */
static void make_packs(arena *m, attention_work *w, bool back)
{
    const attention_keep *a = w->a;
    static const bool needed[2][PACKS] = {{true, true, false, false}, {true, false, true, true}};
    for (int i = 0; i < PACKS; i++) {
        int64_t d = a->s.head_dim;
        bool turned = is_turned((pack)i), wanted = needed[back][i] && w->queries >= MANY;
        w->packs[i] =
            blas_packed(m, wanted ? a->g : NULL, turned ? d : w->keys, turned ? w->keys : d);
    }
}

/* The bias table is made once per call and read by all threads. */
static attention_work work_new(arena *m, const attention_keep *a)
{
    attention_work w = {.a = a, .rows = a->q.x->shape[0], .queries = a->q.x->shape[1]};
    w.keys = a->k.x->shape[1];
    w.extra = w.keys - w.queries;
    w.bias = attention_bias_new(m, &a->s, w.queries, w.keys);
    w.tile = tile_queries(a->g);
    return w;
}

/* Buffers of one thread. */
static void work_buffers(arena *m, attention_work *w, bool back)
{
    make_packs(m, w, back);
    /* GEMM_PART: lo and hi may be rounded outwards. */
    w->scores = ARENA_NEW(m, real, QUERIES * (w->keys + GEMM_PART));
    if (back) w->slopes = ARENA_NEW(m, real, QUERIES * (w->keys + GEMM_PART));
    if (w->a->s.dropout > 0) w->mask = ARENA_NEW(m, real, w->keys + GEMM_PART);
}

/* All tiles; those of a bias' gradient, which all heads share, in their order by one thread.
 * BLAS alone, too: it computes on the calling thread, and each helper would need its buffer. */
static void for_each_tile(arena *m, const attention_work *w, bool back, tile_fn run)
{
    const attention_shape *s = &w->a->s;
    int64_t heads = w->rows * s->kv_heads;
    int hands = blas_hands(w->queries, w->keys, w->rows * s->heads * s->head_dim);
    bool alone = w->dbias.by_offset || !w->a->g;
    int64_t parts = MAX(alone ? 1 : MIN((int64_t)hands, heads), 1);
    attention_work *works = ARENA_NEW(m, attention_work, parts);
    for (int64_t i = 0; i < parts; i++) {
        works[i] = *w;
        work_buffers(m, &works[i], back);
    }
    crew_run(run_part, &(attention_parts){works, parts, run}, (int)parts);
}

/* Gradients of q, k and v are added to in place, each head's columns by the thread that has the
 * head. */
static void attention_backward(tape *t, void *keep)
{
    attention_keep *a = keep;
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    attention_work w = work_new(m, a);
    /* Makes the gradient buffers; several operands may share one. */
    tape_grad(t, a->q.x);
    tape_grad(t, a->k.x);
    tape_grad(t, a->v.x);
    real *dtable = tape_grad(t, a->s.t5_table);
    if (dtable) {
        w.dbias = w.bias;
        w.dbias.by_offset = arena_push_zero(m, a->s.heads * w.bias.span, sizeof(real));
    }
    for_each_tile(m, &w, true, tile_backward);
    if (dtable) attention_bias_backward(dtable, &w.dbias, &a->s);
    arena_rewind(m, mark);
}

static const op_class ATTENTION = {"attention", attention_backward};

static void operand_check(const char *name, const operand *o, int64_t heads, int64_t head_dim)
{
    const tensor *x = o->x;
    CHECK(x->rank == 3 && o->column >= 0 && o->column + heads * head_dim <= x->shape[2],
          "%s: %lld heads of %lld from column %lld of %lld", name, (long long)heads,
          (long long)head_dim, (long long)o->column, (long long)x->shape[2]);
    int64_t dense = x->shape[1] * x->shape[2];
    CHECK(o->apart == dense || (o->apart > dense && !x->needs_grad), "%s: rows %lld apart", name,
          (long long)o->apart);
}

static void attention_check(const attention_keep *a)
{
    const attention_shape *s = &a->s;
    operand_check("q", &a->q, s->heads, s->head_dim);
    operand_check("k", &a->k, s->kv_heads, s->head_dim);
    operand_check("v", &a->v, s->kv_heads, s->head_dim);
    const int64_t *q = a->q.x->shape, *k = a->k.x->shape, *v = a->v.x->shape;
    CHECK(s->kv_heads >= 1 && s->kv_heads <= s->heads, "%lld key heads for %lld heads",
          (long long)s->kv_heads, (long long)s->heads);
    CHECK(q[0] == k[0] && k[0] == v[0] && k[1] == v[1] && (!s->causal || k[1] >= q[1]),
          "q [%lld, %lld], k [%lld, %lld], v [%lld, %lld]", (long long)q[0], (long long)q[1],
          (long long)k[0], (long long)k[1], (long long)v[0], (long long)v[1]);
    CHECK(!s->t5_table || (s->t5_table->rank == 2 && s->t5_table->shape[1] == s->heads),
          "a T5 table for %lld heads", (long long)s->t5_table->shape[1]);
    CHECK(s->window >= 0 && s->block >= 0 && s->phase >= 0 && s->memory >= 0 && s->dropout >= 0 &&
              s->dropout < 1,
          "window %lld, block %lld, phase %lld, memory %lld", (long long)s->window,
          (long long)s->block, (long long)s->phase, (long long)s->memory);
}

static operand operand_of(attention_operand o, int64_t apart)
{
    return (operand){o.x, o.column, apart ? apart : o.x->shape[1] * o.x->shape[2]};
}

tensor *op_attention(tape *t, attention_operand q, attention_operand k, attention_operand v,
                     const attention_shape *shape)
{
    double since = tape_clock(t);
    attention_keep *a = tape_keep(t, 1, sizeof *a);
    *a = (attention_keep){.q = operand_of(q, 0),
                          .k = operand_of(k, shape->k_apart),
                          .v = operand_of(v, shape->v_apart),
                          .s = *shape,
                          .g = tape_products(t)};
    attention_check(a);
    int64_t rows = q.x->shape[0], queries = q.x->shape[1];
    if (shape->valid) {
        int64_t *valid = tape_keep(t, rows, sizeof *valid);
        memcpy(valid, shape->valid, (size_t)rows * sizeof *valid);
        a->s.valid = valid;
    }
    int64_t y_shape[] = {rows, queries, shape->heads * shape->head_dim};
    a->y = tape_tensor(t, 3, y_shape);
    tensor *inputs[] = {q.x, k.x, v.x, shape->t5_table};
    bool record = tape_wants(t, 4, inputs);
    if (record) a->whole = tape_keep(t, rows * shape->heads * queries, sizeof(real));
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    attention_work w = work_new(m, a);
    for_each_tile(m, &w, false, tile_forward);
    arena_rewind(m, mark);
    if (record) tape_record(t, &ATTENTION, a, 1, &a->y);
    tape_charge(t, &ATTENTION, since);
    return a->y;
}
