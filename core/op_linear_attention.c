/* Causal linear attention and running sums: see ops_fast.h.
 *
 * A chunk of c positions that begins with the sum S, local positions a, b in [0, c):
 *
 *   y_a = d^a q_a S + sum_{b<a} d^(a-1-b) (q_a . k_b) v_b
 *   S'  = d^c S     + sum_b     d^(c-1-b) k_b^T v_b
 *
 * and backwards, with D' the gradient of S':
 *
 *   dq_a = d^a dy_a S^T + sum_{b<a} d^(a-1-b) (dy_a . v_b) k_b
 *   dk_b = sum_{a>b} d^(a-1-b) (dy_a . v_b) q_a + d^(c-1-b) v_b D'^T
 *   dv_b = sum_{a>b} d^(a-1-b) (q_a . k_b) dy_a + d^(c-1-b) k_b D'
 *   D    = d^c D' + sum_a d^a q_a^T dy_a */
#include "core/ops_fast.h"

#include <string.h>

#include "core/blas.h"
#include "core/vec.h"

typedef struct la_keep {
    tensor *q, *k, *v, *start, *y, *last;
    real decay;
    int64_t chunk;
    real *sums; /* [rows, chunks, key_width, value_width]: S at the begin of each chunk */
} la_keep;

typedef struct la_sizes {
    int64_t rows, time, key, value, chunk, chunks, state; /* state = key * value */
} la_sizes;

static la_sizes sizes_of(const tensor *q, const tensor *v, int64_t chunk)
{
    la_sizes n = {q->shape[0], q->shape[1], q->shape[2], v->shape[2], chunk, 0, 0};
    n.chunks = (n.time + chunk - 1) / chunk;
    n.state = n.key * n.value;
    return n;
}

/* powers[i] = decay^i for 0 <= i <= n. */
static real *decay_powers(arena *a, real decay, int64_t n)
{
    real *powers = ARENA_NEW(a, real, n + 1);
    powers[0] = 1;
    for (int64_t i = 1; i <= n; i++) {
        powers[i] = powers[i - 1] * decay;
    }
    return powers;
}

/* Multiplies scores [c, c] by the decay mask: d^(a-1-b) below the diagonal, 0 on and above it. */
static void mask_scores(real *scores, const real *powers, int64_t c)
{
    for (int64_t a = 0; a < c; a++) {
        real *row = scores + a * c;
        for (int64_t b = 0; b < a; b++) {
            row[b] *= powers[a - 1 - b];
        }
        memset(row + a, 0, (size_t)(c - a) * sizeof *row);
    }
}

/* out [c, width] = rows of in scaled: row a by powers[a] (forwards) or powers[c-1-a] (backwards).
 */
static void scale_rows(real *restrict out, const real *restrict in, const real *powers, int64_t c,
                       int64_t width, bool backwards)
{
    for (int64_t a = 0; a < c; a++) {
        real s = powers[backwards ? c - 1 - a : a];
        for (int64_t j = 0; j < width; j++) {
            out[a * width + j] = s * in[a * width + j];
        }
    }
}

static void la_forward_row(const la_sizes *n, const real *q, const real *k, const real *v, real *y,
                           real *sums, real *sum, const real *powers, real *scores, real *scaled)
{
    for (int64_t i = 0; i < n->chunks; i++) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        const real *qc = q + at * n->key, *kc = k + at * n->key, *vc = v + at * n->value;
        real *yc = y + at * n->value;
        if (sums) memcpy(sums + i * n->state, sum, (size_t)n->state * sizeof *sum);
        blas_gemm(false, true, c, c, n->key, 1, qc, n->key, kc, n->key, 0, scores, c);
        mask_scores(scores, powers, c);
        blas_gemm(false, false, c, n->value, c, 1, scores, c, vc, n->value, 0, yc, n->value);
        scale_rows(scaled, qc, powers, c, n->key, false);
        blas_gemm(false, false, c, n->value, n->key, 1, scaled, n->key, sum, n->value, 1, yc,
                  n->value);
        scale_rows(scaled, kc, powers, c, n->key, true);
        if (powers[c] != 1) vec_scale(sum, powers[c], n->state);
        blas_gemm(true, false, n->key, n->value, c, 1, scaled, n->key, vc, n->value, 1, sum,
                  n->value);
    }
}

/* One row; dsum holds D' of the chunk behind, and in the end the gradient of the start. */
static void la_backward_row(const la_keep *keep, const la_sizes *n, int64_t row, real *dq, real *dk,
                            real *dv, real *dsum, const real *powers, real *scores, real *grads,
                            real *scaled)
{
    int64_t key = n->key, value = n->value;
    const real *q = keep->q->data + row * n->time * key, *k = keep->k->data + row * n->time * key;
    const real *v = keep->v->data + row * n->time * value;
    const real *dy = keep->y->grad + row * n->time * value;
    for (int64_t i = n->chunks - 1; i >= 0; i--) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        const real *qc = q + at * key, *kc = k + at * key, *vc = v + at * value;
        const real *dyc = dy + at * value;
        const real *sum = keep->sums + (row * n->chunks + i) * n->state;
        /* grads [c, c]: gradient of the masked scores. */
        blas_gemm(false, true, c, c, value, 1, dyc, value, vc, value, 0, grads, c);
        mask_scores(grads, powers, c);
        scale_rows(scaled, dyc, powers, c, value, false); /* d^a dy_a */
        if (dq) {
            real *out = dq + at * key;
            blas_gemm(false, false, c, key, c, 1, grads, c, kc, key, 1, out, key);
            blas_gemm(false, true, c, key, value, 1, scaled, value, sum, value, 1, out, key);
        }
        if (dk) blas_gemm(true, false, c, key, c, 1, grads, c, qc, key, 1, dk + at * key, key);
        if (dv) {
            blas_gemm(false, true, c, c, key, 1, qc, key, kc, key, 0, scores, c);
            mask_scores(scores, powers, c);
            blas_gemm(true, false, c, value, c, 1, scores, c, dyc, value, 1, dv + at * value,
                      value);
        }
        if (dk) {
            real *by_value = scores; /* [c, value] fits: see la_backward */
            scale_rows(by_value, vc, powers, c, value, true);
            blas_gemm(false, true, c, key, value, 1, by_value, value, dsum, value, 1, dk + at * key,
                      key);
        }
        if (dv) {
            real *by_key = scores;
            scale_rows(by_key, kc, powers, c, key, true);
            blas_gemm(false, false, c, value, key, 1, by_key, key, dsum, value, 1, dv + at * value,
                      value);
        }
        if (powers[c] != 1) vec_scale(dsum, powers[c], n->state);
        blas_gemm(true, false, key, value, c, 1, qc, key, scaled, value, 1, dsum, value);
    }
}

static void la_backward(tape *t, void *keep)
{
    la_keep *k = keep;
    la_sizes n = sizes_of(k->q, k->v, k->chunk);
    real *dq = tape_grad(t, k->q), *dk = tape_grad(t, k->k), *dv = tape_grad(t, k->v);
    real *dstart = tape_grad(t, k->start);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    int64_t widest = MAX(n.chunk, MAX(n.key, n.value));
    const real *powers = decay_powers(scratch, k->decay, n.chunk);
    real *scores = ARENA_NEW(scratch, real, n.chunk * widest);
    real *grads = ARENA_NEW(scratch, real, n.chunk * n.chunk);
    real *scaled = ARENA_NEW(scratch, real, n.chunk * n.value);
    real *dsum = ARENA_NEW(scratch, real, n.state);
    for (int64_t r = 0; r < n.rows; r++) {
        if (k->last) {
            memcpy(dsum, k->last->grad + r * n.state, (size_t)n.state * sizeof *dsum);
        } else {
            memset(dsum, 0, (size_t)n.state * sizeof *dsum);
        }
        la_backward_row(k, &n, r, dq ? dq + r * n.time * n.key : NULL,
                        dk ? dk + r * n.time * n.key : NULL, dv ? dv + r * n.time * n.value : NULL,
                        dsum, powers, scores, grads, scaled);
        if (!dstart) continue;
        vec_add(dstart + r * n.state, dsum, n.state);
    }
    arena_rewind(scratch, mark);
}

static const op_class LINEAR_ATTENTION = {"linear_attention", la_backward};

tensor *op_linear_attention(tape *t, tensor *q, tensor *k, tensor *v, tensor *start, real decay,
                            int64_t chunk, tensor **last)
{
    CHECK(q->rank == 3 && tensor_same_shape(q, k) && v->rank == 3 && v->shape[0] == q->shape[0] &&
              v->shape[1] == q->shape[1],
          "q, k [rows, time, key] and v [rows, time, value] wanted");
    CHECK(decay > 0 && decay <= 1 && chunk >= 1, "decay %g, chunk %lld", (double)decay,
          (long long)chunk);
    double since = tape_clock(t);
    la_sizes n = sizes_of(q, v, MIN(chunk, MAX(q->shape[1], 1)));
    CHECK(!start || tensor_count(start) == n.rows * n.state, "start has %lld values",
          (long long)(start ? tensor_count(start) : 0));
    tensor *y = tape_tensor(t, 3, (int64_t[]){n.rows, n.time, n.value});
    tensor *out = tape_tensor(t, 3, (int64_t[]){n.rows, n.key, n.value});
    bool wants = tape_wants(t, 4, (tensor *[]){q, k, v, start});
    real *sums = wants ? tape_keep(t, n.rows * n.chunks * n.state, sizeof *sums) : NULL;
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    const real *powers = decay_powers(scratch, decay, n.chunk);
    real *scores = ARENA_NEW(scratch, real, n.chunk * n.chunk);
    real *scaled = ARENA_NEW(scratch, real, n.chunk * n.key);
    for (int64_t r = 0; r < n.rows; r++) {
        real *sum = out->data + r * n.state;
        if (start) {
            memcpy(sum, start->data + r * n.state, (size_t)n.state * sizeof *sum);
        } else {
            memset(sum, 0, (size_t)n.state * sizeof *sum);
        }
        la_forward_row(&n, q->data + r * n.time * n.key, k->data + r * n.time * n.key,
                       v->data + r * n.time * n.value, y->data + r * n.time * n.value,
                       sums ? sums + r * n.chunks * n.state : NULL, sum, powers, scores, scaled);
    }
    arena_rewind(scratch, mark);
    if (wants) {
        la_keep *keep = tape_keep(t, 1, sizeof *keep);
        *keep = (la_keep){q, k, v, start, y, last ? out : NULL, decay, n.chunk, sums};
        tape_record(t, &LINEAR_ATTENTION, keep, last ? 2 : 1, (tensor *[]){y, out});
    }
    if (last) *last = out;
    tape_charge(t, &LINEAR_ATTENTION, since);
    return y;
}

/* ---- running sums ---- */

typedef struct sum_keep {
    tensor *x, *start, *y, *last;
    real decay;
} sum_keep;

static void sum_backward(tape *t, void *keep)
{
    sum_keep *k = keep;
    int64_t rows = k->x->shape[0], time = k->x->shape[1], width = k->x->shape[2];
    real *dx = tape_grad(t, k->x), *dstart = tape_grad(t, k->start);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *behind = ARENA_NEW(scratch, real, width); /* gradient of y_{i+1}, all later uses in it */
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < width; j++) {
            behind[j] = k->last ? k->last->grad[r * width + j] : 0;
        }
        for (int64_t i = time - 1; i >= 0; i--) {
            const real *restrict dy = k->y->grad + (r * time + i) * width;
            if (dx) {
                real *restrict out = dx + (r * time + i) * width;
                for (int64_t j = 0; j < width; j++) {
                    out[j] += behind[j];
                }
            }
            for (int64_t j = 0; j < width; j++) {
                behind[j] = dy[j] + k->decay * behind[j];
            }
        }
        for (int64_t j = 0; dstart && j < width; j++) {
            dstart[r * width + j] += behind[j];
        }
    }
    arena_rewind(scratch, mark);
}

static const op_class RUNNING_SUM = {"running_sum", sum_backward};

tensor *op_running_sum(tape *t, tensor *x, tensor *start, real decay, tensor **last)
{
    CHECK(x->rank == 3, "rank %d", x->rank);
    double since = tape_clock(t);
    int64_t rows = x->shape[0], time = x->shape[1], width = x->shape[2];
    CHECK(!start || tensor_count(start) == rows * width, "start has %lld values",
          (long long)(start ? tensor_count(start) : 0));
    tensor *y = tape_like(t, x);
    tensor *end = tape_constant(t, start ? start->data : NULL, 2, (int64_t[]){rows, width});
    for (int64_t r = 0; r < rows; r++) {
        real *restrict sum = end->data + r * width;
        for (int64_t i = 0; i < time; i++) {
            const real *restrict in = x->data + (r * time + i) * width;
            real *restrict out = y->data + (r * time + i) * width;
            for (int64_t j = 0; j < width; j++) {
                out[j] = sum[j];
                sum[j] = decay * sum[j] + in[j];
            }
        }
    }
    if (tape_wants(t, 2, (tensor *[]){x, start})) {
        sum_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (sum_keep){x, start, y, last ? end : NULL, decay};
        tape_record(t, &RUNNING_SUM, k, last ? 2 : 1, (tensor *[]){y, end});
    }
    if (last) *last = end;
    tape_charge(t, &RUNNING_SUM, since);
    return y;
}
