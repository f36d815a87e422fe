#include "core/ops/attention_tile.h"

#include "core/ops/dropout.h"
#include "core/ops/vec.h"

/* The backward pass adds to the gradients of keys and values once per group of tiles: with sums
 * over few queries most of such a product is reading and writing what it adds to. A group's scores
 * and slopes, SCORES numbers at most unless one tile has more, stay in a second-level cache. */
enum { GROUP = 112, SCORES = 1 << 16 };

/* From so many queries on it is worth packing keys and values. */
enum { MANY = 16 };

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

/* The last query sees furthest ahead, the first furthest back: the range is that of both. */
attention_tile attention_tile_at(const attention_work *w, int64_t row, int64_t head, int64_t begin,
                                 int64_t count)
{
    const attention_shape *s = &w->a->s;
    attention_tile n = {
        .row = row, .head = head, .kv_head = head * s->kv_heads / s->heads, .begin = begin};
    n.end = MIN(begin + count, w->queries);
    n.lo = first_key(w, row, begin); /* both limits grow with i */
    n.hi = MAX(end_key(w, n.end - 1), n.lo);
    /* A kernel's sums begin at whole parts, packed or not; packed keys end with one, too. */
    if (w->a->g) n.lo -= n.lo % GEMM_PART;
    if (w->packs[ATTENTION_KEYS_TURNED].panels)
        n.hi = (n.hi + GEMM_PART - 1) / GEMM_PART * GEMM_PART;
    n.first = begin;
    n.last = n.end - 1;
    n.from = n.lo;
    n.stride = n.hi - n.lo;
    return n;
}

/* ---- operands ---- */

static bool is_turned(attention_pack p)
{
    return p == ATTENTION_KEYS_TURNED || p == ATTENTION_VALUES_TURNED;
}

/* Keys and values are packed both ways in the backward pass, as each stands in two products. */
static const attention_rows *packed_operand(const attention_work *w, attention_pack p)
{
    return p == ATTENTION_KEYS_TURNED || p == ATTENTION_KEYS ? &w->a->k : &w->a->v;
}

/* Where there is no room nothing was asked for (make_packs), or there is no kernel. */
void attention_tile_pack(const attention_work *w, int64_t row, int64_t kv_head)
{
    for (int i = 0; i < ATTENTION_PACKS; i++) {
        const attention_rows *o = packed_operand(w, (attention_pack)i);
        if (!w->packs[i].panels) continue;
        blas_pack(&w->packs[i], is_turned((attention_pack)i),
                  attention_tile_row(o, row, 0, kv_head, w->a->s.head_dim),
                  attention_tile_stride(o));
    }
}

/* Packed, hi may lie beyond the last key, where the panels are zeros; unpacked it does not. */
void attention_tile_product(const attention_work *w, const attention_tile *n, attention_pack p,
                            real alpha, const real *x, int64_t x_stride, real beta, real *c,
                            int64_t c_stride)
{
    const attention_rows *o = packed_operand(w, p);
    bool turned = is_turned(p);
    int64_t d = w->a->s.head_dim, keys = n->hi - n->lo, queries = n->end - n->begin;
    int64_t columns = turned ? keys : d, inner = turned ? d : keys;
    if (w->packs[p].panels) {
        blas_gemm_packed(&w->packs[p], turned ? 0 : n->lo, turned ? n->lo : 0, false, queries,
                         columns, inner, alpha, x, x_stride, beta, c, c_stride);
    } else {
        blas_gemm(w->a->g, false, turned, queries, columns, inner, alpha, x, x_stride,
                  attention_tile_row(o, n->row, n->lo, n->kv_head, d), attention_tile_stride(o),
                  beta, c, c_stride);
    }
}

void attention_tile_scores(const attention_work *w, const attention_tile *n)
{
    const attention_keep *a = w->a;
    attention_tile_product(w, n, ATTENTION_KEYS_TURNED, a->s.scale,
                           attention_tile_row(&a->q, n->row, n->begin, n->head, a->s.head_dim),
                           attention_tile_stride(&a->q), 0, attention_tile_in(n, w->scores),
                           n->stride);
}

/* GEMM_PART queries: parts of a packed operand begin there. Keys that none of these sees, later
 * queries' sums are added to alone. */
int64_t attention_tile_reach(const attention_work *w, const attention_tile *n, int64_t i)
{
    int64_t last = n->first + ((i - n->first) / GEMM_PART + 1) * GEMM_PART - 1;
    return end_key(w, MIN(last, n->last));
}

/* Zeros in p add nothing to y and dv, zeros in ds nothing to dq and dk. What stood there were
 * scores of keys that the query may not see: without this line the future would leak. */
real *attention_tile_visible(const attention_work *w, const attention_tile *n, real *buffer,
                             int64_t i, int64_t *from, int64_t *to)
{
    int64_t before = n->lo - n->from, end = MAX(n->hi, attention_tile_reach(w, n, i)) - n->lo;
    real *row = buffer + (i - n->first) * n->stride + before;
    *to = MAX(end_key(w, i) - n->lo, 0);
    *from = MIN(first_key(w, n->row, i) - n->lo, *to);
    vec_zero(row - before, before + *from);
    vec_zero(row + *to, end - *to);
    return row;
}

void attention_tile_bias(const attention_work *w, const attention_tile *n, real *row, int64_t i,
                         int64_t from, int64_t to)
{
    /* The bias of key lo + from, for this query's distance. */
    if (!w->bias.by_offset) return;
    vec_add(row + from, attention_bias_row(&w->bias, n->head, i) + n->lo + from, to - from);
}

/* Numbers are those of (row, head, query, key), so tiles of another size draw the same mask, and
 * the backward pass draws it again. */
const real *attention_tile_mask(const attention_work *w, const attention_tile *n, int64_t i,
                                int64_t from, int64_t to)
{
    const attention_shape *s = &w->a->s;
    if (s->dropout == 0) return NULL;
    rng_key key = s->key;
    key.row += (uint32_t)n->row;
    int64_t index = (n->head * w->queries + i) * w->keys + n->lo + from;
    dropout_mask(w->mask + from, to - from, s->dropout, key, (uint64_t)index);
    return w->mask;
}

/* ---- buffers ---- */

/* As many as fill a kernel's rows; tiles of AMX add 32 queries to a gradient at a time, everywhere.
 * That chain's sums over 32 queries are rounded as one group, so the number of queries in a product
 * over queries is part of its bits: the loops that stand in for AMX must cut alike. */
static int64_t tile_queries(const gemm_kernel *g)
{
    return !g || g->chain == GEMM_TILES ? ATTENTION_QUERIES : ATTENTION_QUERIES / g->rows * g->rows;
}

/* Whole tiles. BLAS's sums would be others for other numbers of queries. */
static int64_t group_queries(const attention_work *w)
{
    int64_t most = w->a->g ? MIN(GROUP, SCORES / MAX(w->keys, 1)) : 0;
    return MAX(most / w->tile, 1) * w->tile;
}

/* A call of a few queries (generation) reads each key about as often as packing would. */
static void make_packs(arena *m, attention_work *w, bool back)
{
    const attention_keep *a = w->a;
    static const bool needed[2][ATTENTION_PACKS] = {{true, true, false, false},
                                                    {true, false, true, true}};
    for (int i = 0; i < ATTENTION_PACKS; i++) {
        int64_t d = a->s.head_dim;
        bool turned = is_turned((attention_pack)i), wanted = needed[back][i] && w->queries >= MANY;
        w->packs[i] =
            blas_packed(m, wanted ? a->g : NULL, turned ? d : w->keys, turned ? w->keys : d);
    }
}

/* The bias table is made once per call and read by all threads. */
attention_work attention_tile_work(arena *m, const attention_keep *a)
{
    attention_work w = {.a = a, .rows = a->q.x->shape[0], .queries = a->q.x->shape[1]};
    w.keys = a->k.x->shape[1];
    w.extra = w.keys - w.queries;
    w.bias = attention_bias_new(m, &a->s, w.queries, w.keys);
    w.tile = w.group = tile_queries(a->g);
    return w;
}

void attention_tile_buffers(arena *m, attention_work *w, bool back)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim;
    make_packs(m, w, back);
    if (back) w->group = group_queries(w);
    /* GEMM_PART: lo and hi may be rounded outwards. */
    w->scores = ARENA_NEW(m, real, w->group * (w->keys + GEMM_PART));
    if (a->s.dropout > 0) w->mask = ARENA_NEW(m, real, w->keys + GEMM_PART);
    if (!back) return;
    w->slopes = ARENA_NEW(m, real, w->group * (w->keys + GEMM_PART));
    w->per_query = blas_packed(m, w->queries >= MANY ? a->g : NULL, w->group, d);
    if (a->k.x->needs_grad) w->dk = ARENA_NEW(m, real, w->keys * d);
    if (a->v.x->needs_grad) w->dv = ARENA_NEW(m, real, w->keys * d);
}
