/* Attention by tiles of queries (attention_tile.h):
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
 * a group of them, in the backward pass, 256 KiB: neither grows with the square of the keys. Time:
 * a causal tile spans from the first key that any of its queries sees to the last one; within it
 * columns that a query does not see are computed and zeroed: a few dozen per row.
 *
 * The gradient of the softmax: with y = sum_j p_j v_j and dp_j = dy . v_j, ds_i = sum_j dp_j p_j
 * (delta_ij - p_i) = p_i (dp_i - D). With dropout's mask m, y = sum_j p_j m_j v_j, so dp_j = m_j
 * (dy . v_j) and dv_j takes p_j m_j, while p itself stays without it.
 *
 * Order of sums: tiles of a head in the order of their queries, heads that share a key head in the
 * order of heads, all of it on one thread. So dk and dv add up in one order, whatever the number of
 * helpers. */
#include "core/base/crew.h"
#include "core/ops/attention_tile.h"
#include "core/ops/softmax.h"
#include "core/ops/vec.h"

#include <math.h>

/* ---- forward ---- */

/* Turns scores into exponentials; leaves 1/sum of every query in `inverse` and its logsumexp. */
static void tile_softmax(const attention_work *w, const attention_tile *n, real *inverse)
{
    const attention_keep *a = w->a;
    for (int64_t i = n->begin; i < n->end; i++) {
        int64_t from, to;
        real *row = attention_tile_visible(w, n, w->scores, i, &from, &to);
        real whole = 0;
        inverse[i - n->begin] = 0;
        if (from < to) {
            attention_tile_bias(w, n, row, i, from, to);
            /* The largest exponent is 0: the sum is at least 1 and at most the number of keys. */
            real most = softmax_most(row + from, to - from);
            real sum = softmax_exp_sum(row + from, to - from, most);
            inverse[i - n->begin] = 1 / sum;
            whole = most + (real)log((double)sum);
            const real *mask = attention_tile_mask(w, n, i, from, to);
            /* After the sum: dropout is of the probabilities, which are normalised without it. */
            if (mask) vec_mul(row + from, mask + from, to - from);
        }
        if (a->whole) a->whole[(n->row * a->s.heads + n->head) * w->queries + i] = whole;
    }
}

/* y = exponentials v / sum: dividing the head_dim outputs, not the many probabilities.
 * A query that sees nothing has a row of zeros and an inverse of 0: y is 0. */
static void tile_forward(const attention_work *w, const attention_tile *n)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim, width = a->s.heads * d, queries = n->end - n->begin;
    real *y = a->y->data + (n->row * w->queries + n->begin) * width + n->head * d;
    real inverse[ATTENTION_QUERIES] = {0};
    attention_tile_scores(w, n);
    tile_softmax(w, n, inverse);
    attention_tile_product(w, n, ATTENTION_VALUES, 1, w->scores, n->stride, 0, y, width);
    for (int64_t i = 0; i < queries; i++) {
        vec_scale(y + i * width, inverse[i], d);
    }
}

/* The same for one query (a generated token) and heads that have keys of their own. Together they
 * read keys and values in the order in which these lie, which processors foresee; heads one by one
 * leave out most of each line. Measured in one thread (Zen 4), keys and values of width 256 in
 * memory: 12 and 9 GB/s one by one, 19 and 24 together. */
static void heads_forward(const attention_work *w, int64_t row, int64_t head, int64_t heads)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim;
    attention_tile n = attention_tile_at(w, row, head, 0, 1);
    real *y = a->y->data + (row * a->s.heads + head) * d, inverse[ATTENTION_QUERIES] = {0};
    blas_gemm_heads(a->g, true, heads, n.stride, d, a->s.scale,
                    attention_tile_row(&a->q, row, 0, head, d), d,
                    attention_tile_row(&a->k, row, n.lo, head, d), attention_tile_stride(&a->k),
                    w->scores, n.stride);
    for (int64_t h = 0; h < heads; h++) {
        attention_tile one = n;
        one.head = one.kv_head = head + h;
        one.first = -h; /* its row of the buffer */
        tile_softmax(w, &one, inverse + h);
    }
    blas_gemm_heads(a->g, false, heads, d, n.stride, 1, w->scores, n.stride,
                    attention_tile_row(&a->v, row, n.lo, head, d), attention_tile_stride(&a->v), y,
                    d);
    for (int64_t h = 0; h < heads; h++) {
        vec_scale(y + h * d, inverse[h], d);
    }
}

/* [begin, end) of the heads of all rows, as many at once as the buffer has rows for. */
static void run_together(const attention_work *w, int64_t begin, int64_t end)
{
    int64_t heads = w->a->s.heads;
    for (int64_t n = begin, count; n < end; n += count) {
        count = MIN(MIN(heads - n % heads, end - n), w->group);
        heads_forward(w, n / heads, n % heads, count);
    }
}

/* A tile, or a group of them. */
typedef void (*tile_fn)(const attention_work *, const attention_tile *);

static void run_head(const attention_work *w, int64_t row, int64_t head, tile_fn run)
{
    for (int64_t begin = 0; begin < w->queries; begin += w->group) {
        attention_tile n = attention_tile_at(w, row, head, begin, w->group);
        run(w, &n);
    }
}

/* Where the gradients of a key head are added up: side by side, where rows of a wide tensor are far
 * apart, and share their places in the caches. What they held comes first, as it would in place. */
static void move_gradient(const attention_work *w, const attention_rows *o, real *sums, int64_t row,
                          int64_t kv_head, bool here)
{
    int64_t d = w->a->s.head_dim;
    for (int64_t j = 0; sums && j < w->keys; j++) {
        real *there = o->x->grad + attention_tile_offset(o, row, j, kv_head, d);
        vec_copy(here ? sums + j * d : there, here ? there : sums + j * d, d);
    }
}

static void move_gradients(const attention_work *w, int64_t row, int64_t kv_head, bool here)
{
    move_gradient(w, &w->a->k, w->dk, row, kv_head, here);
    move_gradient(w, &w->a->v, w->dv, row, kv_head, here);
}

/* Heads that read the same keys, whose gradient they share, are one thread's. */
typedef struct attention_parts {
    const attention_work *works; /* [parts] */
    int64_t parts;
    tile_fn run;
    bool together; /* heads_forward, not run */
} attention_parts;

static void run_part(void *arg, int part)
{
    const attention_parts *p = arg;
    const attention_work *w = &p->works[part];
    const attention_shape *s = &w->a->s;
    /* Parts are ranges of (row, key head): nobody else writes the same dk and dv. */
    int64_t all = w->rows * s->kv_heads;
    int64_t begin = all * part / p->parts, end = all * (part + 1) / p->parts;
    if (p->together) {
        run_together(w, begin, end);
        return;
    }
    for (int64_t n = begin; n < end; n++) {
        int64_t row = n / s->kv_heads, kv_head = n % s->kv_heads;
        attention_tile_pack(w, row, kv_head);
        move_gradients(w, row, kv_head, true);
        for (int64_t head = 0; head < s->heads; head++) {
            if (head * s->kv_heads / s->heads == kv_head) run_head(w, row, head, p->run);
        }
        move_gradients(w, row, kv_head, false);
    }
}

/* ---- backward ---- */

/* p = exp(scores - whole), ds = factor p (dp - D), over what one query sees; ds comes in as dp. */
static void slopes_row(real *restrict p, real *restrict ds, const real *restrict mask, real whole,
                       real factor, int64_t n)
{
    real dot = softmax_exp_dot(p, ds, n, whole); /* D */
    softmax_slopes(ds, p, n, factor, dot);
    if (mask) vec_mul(p, mask, n);
}

/* scores become probabilities (with dropout's mask, as v saw them), slopes become ds, for kernels
 * times the scale already: operands that need no factor need not be packed for one. A bias'
 * gradient is without it. */
static void tile_slopes(const attention_work *w, const attention_tile *n)
{
    const attention_keep *a = w->a;
    bool later = w->dbias.by_offset != NULL;
    real factor = a->g && !later ? a->s.scale : 1;
    for (int64_t i = n->begin; i < n->end; i++) {
        int64_t from, to;
        real *p = attention_tile_visible(w, n, w->scores, i, &from, &to);
        real *ds = attention_tile_visible(w, n, w->slopes, i, &from, &to);
        if (from == to) continue;
        attention_tile_bias(w, n, p, i, from, to);
        const real *mask = attention_tile_mask(w, n, i, from, to);
        if (mask) vec_mul(ds + from, mask + from, to - from);
        slopes_row(p + from, ds + from, mask ? mask + from : NULL,
                   a->whole[(n->row * a->s.heads + n->head) * w->queries + i], factor, to - from);
        if (!later) continue;
        vec_add(attention_bias_row(&w->dbias, n->head, i) + n->lo + from, ds + from, to - from);
        if (a->g) vec_scale(ds + from, a->s.scale, to - from);
    }
}

/* sums [keys, head_dim] += x^T y over the group's queries, x a buffer and y a row per query. Keys
 * that only queries from a later part on see, have these alone in their sums. */
static void add_to_keys(const attention_work *w, const attention_tile *n, const real *x, real alpha,
                        const real *y, int64_t y_stride, real *sums)
{
    const gemm_packed *packed = &w->per_query;
    int64_t d = w->a->s.head_dim, queries = n->end - n->begin;
    int64_t part = w->a->g ? GEMM_PART : queries;
    gemm_packed room = {packed->g, queries, d, packed->panels};
    if (room.panels) blas_pack(&room, false, y, y_stride);
    for (int64_t i = 0, key = n->lo; i < queries; i += part) {
        int64_t end = w->a->g ? attention_tile_reach(w, n, n->begin + i) : MIN(n->hi, w->keys);
        const real *from = x + i * n->stride + key - n->lo;
        if (end <= key) continue;
        if (room.panels) {
            blas_gemm_packed(&room, i, 0, true, end - key, d, queries - i, alpha, from, n->stride,
                             1, sums + key * d, d);
        } else {
            blas_gemm(w->a->g, true, false, end - key, d, queries - i, alpha, from, n->stride,
                      y + i * y_stride, y_stride, 1, sums + key * d, d);
        }
        key = end;
    }
}

/* The group's probabilities and slopes, tile by tile, and dq of each. */
static void group_slopes(const attention_work *w, const attention_tile *group)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim, width = a->s.heads * d;
    for (int64_t begin = group->begin; begin < group->end; begin += w->tile) {
        attention_tile n = attention_tile_at(w, group->row, group->head, begin, w->tile);
        n.first = group->first, n.last = group->last;
        n.from = group->from, n.stride = group->stride;
        const real *dy = a->y->grad + (n.row * w->queries + begin) * width + n.head * d;
        attention_tile_scores(w, &n);
        /* dp = dy v^T, into the slopes' place */
        attention_tile_product(w, &n, ATTENTION_VALUES_TURNED, 1, dy, width, 0,
                               attention_tile_in(&n, w->slopes), n.stride);
        tile_slopes(w, &n);
        if (!a->q.x->needs_grad) continue;
        real *dq = a->q.x->grad + attention_tile_offset(&a->q, n.row, begin, n.head, d);
        attention_tile_product(w, &n, ATTENTION_KEYS, a->g ? 1 : a->s.scale,
                               attention_tile_in(&n, w->slopes), n.stride, 1, dq,
                               attention_tile_stride(&a->q));
    }
}

/* All of a group's slopes come first, then one product each for keys and values. */
static void group_backward(const attention_work *w, const attention_tile *n)
{
    const attention_keep *a = w->a;
    int64_t d = a->s.head_dim, width = a->s.heads * d;
    const real *dy = a->y->grad + (n->row * w->queries + n->begin) * width + n->head * d;
    group_slopes(w, n);
    if (w->dv) add_to_keys(w, n, w->scores, 1, dy, width, w->dv);
    if (w->dk) {
        add_to_keys(w, n, w->slopes, a->g ? 1 : a->s.scale,
                    attention_tile_row(&a->q, n->row, n->begin, n->head, d),
                    attention_tile_stride(&a->q), w->dk);
    }
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
        attention_tile_buffers(m, &works[i], back);
    }
    bool together = !back && w->a->g && w->queries == 1 && w->keys > 0 && s->heads == s->kv_heads;
    crew_run(run_part, &(attention_parts){works, parts, run, together}, (int)parts);
}

/* Gradients of q, k and v are added to, each head's columns by the thread that has the head. */
static void attention_backward(tape *t, void *keep)
{
    attention_keep *a = keep;
    arena *m = tape_scratch(t);
    arena_mark mark = arena_now(m);
    attention_work w = attention_tile_work(m, a);
    /* Makes the gradient buffers; several operands may share one. */
    tape_grad(t, a->q.x);
    tape_grad(t, a->k.x);
    tape_grad(t, a->v.x);
    real *dtable = tape_grad(t, a->s.t5_table);
    if (dtable) {
        w.dbias = w.bias;
        w.dbias.by_offset = arena_push_zero(m, a->s.heads * w.bias.span, sizeof(real));
    }
    for_each_tile(m, &w, true, group_backward);
    if (dtable) attention_bias_backward(dtable, &w.dbias, &a->s);
    arena_rewind(m, mark);
}

static const op_class ATTENTION = {"attention", attention_backward};

static void operand_check(const char *name, const attention_rows *o, int64_t heads,
                          int64_t head_dim)
{
    const tensor *x = o->x;
    CHECK(x->rank == 3 && o->column >= 0 && o->column + heads * head_dim <= x->shape[2],
          "%s: %lld heads of %lld from column %lld of %lld", name, (long long)heads,
          (long long)head_dim, (long long)o->column, (long long)x->shape[2]);
    int64_t dense = x->shape[1] * x->shape[2];
    CHECK(o->apart == dense || (o->apart > dense && !x->needs_grad), "%s: rows %lld apart", name,
          (long long)o->apart);
}

/* A head's gradients are added up elsewhere and put back: two operands cannot be the same columns.
 */
static void apart_check(const attention_rows *a, int64_t a_heads, const attention_rows *b,
                        int64_t b_heads, int64_t d)
{
    CHECK(a->x != b->x || a->column + a_heads * d <= b->column ||
              b->column + b_heads * d <= a->column,
          "heads from columns %lld and %lld share some", (long long)a->column,
          (long long)b->column);
}

static void attention_check(const attention_keep *a)
{
    const attention_shape *s = &a->s;
    operand_check("q", &a->q, s->heads, s->head_dim);
    operand_check("k", &a->k, s->kv_heads, s->head_dim);
    operand_check("v", &a->v, s->kv_heads, s->head_dim);
    apart_check(&a->q, s->heads, &a->k, s->kv_heads, s->head_dim);
    apart_check(&a->q, s->heads, &a->v, s->kv_heads, s->head_dim);
    apart_check(&a->k, s->kv_heads, &a->v, s->kv_heads, s->head_dim);
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

static attention_rows operand_of(attention_operand o, int64_t apart)
{
    return (attention_rows){o.x, o.column, apart ? apart : o.x->shape[1] * o.x->shape[2]};
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
    attention_work w = attention_tile_work(m, a);
    for_each_tile(m, &w, false, tile_forward);
    arena_rewind(m, mark);
    if (record) tape_record(t, &ATTENTION, a, 1, &a->y);
    tape_charge(t, &ATTENTION, since);
    return a->y;
}
