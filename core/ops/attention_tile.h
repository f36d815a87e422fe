/* Attention's tiles: a few queries of a head against the range of keys that any of them sees, on
 * operands that are packed once per head, in buffers that a thread has for a call. What is computed
 * with them is op_attention.c's. */
#pragma once

#include "core/ops/attention_bias.h"
#include "core/ops/blas.h"
#include "core/ops/ops.h"

/* Small tiles compute fewer scores that the causal mask throws away, large ones make better
 * products. Measured, 256 to 512 keys and heads of 32 to 64 (OpenBLAS's Cooperlake and Haswell
 * kernels): 32 is up to 3 % faster than 64, 10 % faster than 128. */
enum { ATTENTION_QUERIES = 32 };

/* Keys [keys, head_dim] and values of one head as the right-hand side of products.
 * Turned: [head_dim, keys], for what comes out one number per key; else [keys, head_dim], for what
 * comes out one per feature. Forward needs ATTENTION_KEYS_TURNED (scores) and ATTENTION_VALUES (y);
 * backward ATTENTION_KEYS_TURNED again, ATTENTION_VALUES_TURNED (dp) and ATTENTION_KEYS (dq). */
typedef enum attention_pack {
    ATTENTION_KEYS_TURNED,
    ATTENTION_VALUES,
    ATTENTION_VALUES_TURNED,
    ATTENTION_KEYS,
    ATTENTION_PACKS
} attention_pack;

/* attention_operand with the distance of its rows. */
typedef struct attention_rows {
    tensor *x;
    int64_t column, apart;
} attention_rows;

/* `whole` is all that is kept of the scores: p = exp(score - whole) is exact again without the
 * row's maximum and sum. */
typedef struct attention_keep {
    attention_rows q, k, v;
    tensor *y;
    attention_shape s;
    real *whole; /* logsumexp of the scores [rows, heads, queries] */
    const gemm_kernel *g;
} attention_keep;

/* Buffers of one call, in scratch memory: a copy per thread, which differ in their buffers alone.
 * packs [ATTENTION_PACKS]: of the key head that the thread is at. */
typedef struct attention_work {
    const attention_keep *a;
    int64_t rows, queries, keys, extra;
    int64_t tile, group;                /* queries of one */
    gemm_packed packs[ATTENTION_PACKS]; /* of the head at hand; without panels: not packed */
    gemm_packed per_query;              /* room for a group's queries, or their dy */
    attention_bias bias;
    real *scores, *slopes; /* [group, seen keys]: scores then probabilities; gradients */
    real *mask;            /* [seen keys] of one query, if there is dropout */
    real *dk, *dv;         /* [keys, head_dim] of the key head at hand */
    attention_bias dbias;  /* gradient of bias, in the backward pass with a T5 table */
} attention_work;

/* Queries [begin, end) of a head; they see keys within [lo, hi). The buffers' rows are those of
 * queries `first` to `last`, `stride` apart, from key `from` on: a tile's own, or its group's. */
typedef struct attention_tile {
    int64_t row, head, kv_head, begin, end, lo, hi;
    int64_t first, last, from, stride;
} attention_tile;

/* The work of a call without its buffers; those of one thread. */
attention_work attention_tile_work(arena *m, const attention_keep *a);
void attention_tile_buffers(arena *m, attention_work *w, bool back);

/* Packs keys and values of a head, once per call: every tile of every query head on it reads the
 * same panels. */
void attention_tile_pack(const attention_work *w, int64_t row, int64_t kv_head);

/* Queries from `begin` on, `count` of them at most, with the buffers to themselves. */
attention_tile attention_tile_at(const attention_work *w, int64_t row, int64_t head, int64_t begin,
                                 int64_t count);

/* One past the last key that a product over a group's queries from i's GEMM_PART on reads. */
int64_t attention_tile_reach(const attention_work *w, const attention_tile *n, int64_t i);

/* c = alpha x op(b) + beta c for a row of x and c per query of the tile, where op(b) is
 * [head_dim, keys of the tile] if turned, else [keys of the tile, head_dim]. */
void attention_tile_product(const attention_work *w, const attention_tile *n, attention_pack p,
                            real alpha, const real *x, int64_t x_stride, real beta, real *c,
                            int64_t c_stride);

/* scores [queries of the tile, hi - lo] = scale q k^T */
void attention_tile_scores(const attention_work *w, const attention_tile *n);

/* What query i of the tile sees, as columns [*from, *to) of its row of a buffer, which begins with
 * the tile's first key; what else products read of the row is zeroed, so that they may run over the
 * whole tile, or group. */
real *attention_tile_visible(const attention_work *w, const attention_tile *n, real *buffer,
                             int64_t i, int64_t *from, int64_t *to);
/* Adds the bias of query i to those columns. */
void attention_tile_bias(const attention_work *w, const attention_tile *n, real *row, int64_t i,
                         int64_t from, int64_t to);
/* Dropout's mask for them, or NULL without. */
const real *attention_tile_mask(const attention_work *w, const attention_tile *n, int64_t i,
                                int64_t from, int64_t to);

/* Where head `head` of position `position` of a row begins in x (or its gradient).
 * q, k and v may be columns of one packed projection, and of rows with room for more positions. */
static inline int64_t attention_tile_offset(const attention_rows *o, int64_t row, int64_t position,
                                            int64_t head, int64_t head_dim)
{
    return row * o->apart + position * o->x->shape[2] + o->column + head * head_dim;
}

static inline const real *attention_tile_row(const attention_rows *o, int64_t row, int64_t position,
                                             int64_t head, int64_t head_dim)
{
    return o->x->data + attention_tile_offset(o, row, position, head, head_dim);
}

static inline int64_t attention_tile_stride(const attention_rows *o)
{
    return o->x->shape[2];
}

/* Where the tile begins in a buffer. */
static inline real *attention_tile_in(const attention_tile *n, real *buffer)
{
    return buffer + (n->begin - n->first) * n->stride + n->lo - n->from;
}
