/* Gradient steps by causal linear attention: see ops_fast.h.
 *
 * A chunk of n positions that begins with the sum S, local positions a, b in [0, n), decay d:
 *
 *   y_a = from_a - s c_a,   c_a = d^a q_a S + sum_{b<a} d^(a-1-b) (q_a . k_b) v_b
 *   S'  = d^n S + sum_b d^(n-1-b) k_b^T v_b
 *
 * and backwards, with dc = -s dy, and D' the gradient of S':
 *
 *   dq_a = d^a dc_a S^T + sum_{b<a} d^(a-1-b) (dc_a . v_b) k_b
 *   dk_b = sum_{a>b} d^(a-1-b) (dc_a . v_b) q_a + d^(n-1-b) v_b D'^T
 *   dv_b = sum_{a>b} d^(a-1-b) (q_a . k_b) dc_a + d^(n-1-b) k_b D'
 *   D    = d^n D' + sum_a d^a q_a^T dc_a
 *   ds   = -sum_a dy_a . c_a
 *
 * c is not kept: it is linear in q, so that dy . c is q . dq / -s, where dq / -s is the first line
 * with dy in place of dc.
 *
 * `chunk` trades two costs: the square of a chunk's scores against the matrix S that is read and
 * written once per chunk. The sums run over the state [key, value] only where chunks begin; inside
 * of a chunk everything is products of matrices, exact ones (no rounded operands), since errors in
 * S stay.
 *
 * The backward pass needs S where each chunk begins for dq and ds alone: it is added up again from
 * the keys and values, forwards, and kept for one row at a time. */
#include "core/ops/ops_fast.h"

#include <string.h>

#include "core/ops/blas.h"
#include "core/ops/vec.h"

typedef struct la_keep {
    tensor *a, *s, *y, *last;
    causal_sums in;
} la_keep;

typedef struct la_sizes {
    int64_t rows, time, key, value, chunk, chunks, state; /* state = key * value */
} la_sizes;

/* Of one row; memory within an op. */
typedef struct la_work {
    real decay;
    const gemm_kernel *g;
    real *powers; /* [chunk + 1]: decay^i */
    real *scores; /* [chunk, chunk] */
    real *scaled; /* [chunk, max(key, value)] */
    real *change; /* [chunk, max(key, value)] */
} la_work;

static la_sizes sizes_of(const causal_sums *in)
{
    const tensor *q = in->q;
    la_sizes n = {q->shape[0], q->shape[1], q->shape[2], in->v->shape[2], 0, 0, 0};
    n.chunk = MIN(in->chunk, MAX(n.time, 1));
    n.chunks = (n.time + n.chunk - 1) / n.chunk;
    n.state = n.key * n.value;
    return n;
}

static la_work work_of(tape *t, const la_sizes *n, real decay)
{
    arena *a = tape_scratch(t);
    la_work w = {.decay = decay, .g = tape_exact(t)};
    w.powers = ARENA_NEW(a, real, n->chunk + 1);
    /* By repeated products: decay^i underflows to 0 where it is nothing any more. */
    w.powers[0] = 1;
    for (int64_t i = 1; i <= n->chunk; i++) {
        w.powers[i] = w.powers[i - 1] * decay;
    }
    w.scores = ARENA_NEW(a, real, n->chunk * n->chunk);
    w.scaled = ARENA_NEW(a, real, n->chunk * MAX(n->key, n->value));
    w.change = ARENA_NEW(a, real, n->chunk * MAX(n->key, n->value));
    return w;
}

/* w->scores [c, c] = p q^T times d^(a-1-b) below the diagonal, 0 on and above it.
 * Strictly below: a position does not read what it writes itself. */
static void masked_scores(const la_work *w, const real *p, const real *q, int64_t c, int64_t width)
{
    blas_gemm(w->g, false, true, c, c, width, 1, p, width, q, width, 0, w->scores, c);
    for (int64_t a = 0; a < c; a++) {
        real *row = w->scores + a * c;
        for (int64_t b = 0; w->decay != 1 && b < a; b++) {
            row[b] *= w->powers[a - 1 - b];
        }
        memset(row + a, 0, (size_t)(c - a) * sizeof *row);
    }
}

/* Rows of x [c, width], row a times d^a (forwards) or d^(c-1-a) (backwards).
 * Without decay it is x itself; otherwise the one buffer w->scaled, good until the next call. */
static const real *decayed(const la_work *w, const real *x, int64_t c, int64_t width,
                           bool backwards)
{
    if (w->decay == 1) return x;
    for (int64_t a = 0; a < c; a++) {
        real s = w->powers[backwards ? c - 1 - a : a];
        vec_scaled(w->scaled + a * width, s, x + a * width, width);
    }
    return w->scaled;
}

/* sum = d^c sum + s p^T q, p [c, key] and q [c, value]; nothing: sum holds nothing yet. */
static void advance(const la_sizes *n, const la_work *w, real *sum, bool nothing, real s,
                    const real *p, const real *q, int64_t c)
{
    if (!nothing && w->decay != 1) vec_scale(sum, w->powers[c], n->state);
    blas_gemm(w->g, true, false, n->key, n->value, c, s, p, n->key, q, n->value, nothing ? 0 : 1,
              sum, n->value);
}

/* One row; sum holds S, in the end that behind the row if `ends`. nothing: S is zero yet. */
static void la_forward_row(const la_sizes *n, const la_work *w, real *y, const real *a, real step,
                           const real *q, const real *k, const real *v, real *sum, bool nothing,
                           bool ends)
{
    for (int64_t i = 0; i < n->chunks; i++) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        const real *qc = q + at * n->key, *kc = k + at * n->key, *vc = v + at * n->value;
        masked_scores(w, qc, kc, c, n->key);
        blas_gemm(w->g, false, false, c, n->value, c, 1, w->scores, c, vc, n->value, 0, w->change,
                  n->value);
        if (!nothing) {
            blas_gemm(w->g, false, false, c, n->value, n->key, 1, decayed(w, qc, c, n->key, false),
                      n->key, sum, n->value, 1, w->change, n->value);
        }
        vec_copy(y + at * n->value, a + at * n->value, c * n->value);
        vec_axpy(y + at * n->value, -step, w->change, c * n->value);
        /* Nobody asks for S behind the row. */
        if (i + 1 == n->chunks && !ends) continue;
        advance(n, w, sum, nothing, 1, decayed(w, kc, c, n->key, true), vc, c);
        nothing = false;
    }
}

/* Where a row's values and gradients stand; a gradient may be NULL. */
typedef struct la_row {
    const real *q, *k, *v, *dy;
    real *dq, *dk, *dv;
    double *ds;
    const real *start; /* S before the row; NULL: zero */
    real *sums;        /* [chunks, key, value]: S at the begin of each chunk but the first */
} la_row;

static void compute_sums(const la_sizes *n, const la_work *w, const la_row *r)
{
    for (int64_t i = 0; i + 1 < n->chunks; i++) {
        int64_t at = i * n->chunk;
        real *sum = r->sums + (i + 1) * n->state;
        const real *before = i > 0 ? r->sums + i * n->state : r->start;
        if (before) vec_copy(sum, before, n->state);
        advance(n, w, sum, !before, 1, decayed(w, r->k + at * n->key, n->chunk, n->key, true),
                r->v + at * n->value, n->chunk);
    }
}

/* dq and ds of a chunk, whose masked dy v^T stands in w->scores.
 * w->change is dq / -s: the same numbers serve dq and ds. */
static void query_backward(const la_sizes *n, const la_work *w, const la_row *r, int64_t i,
                           int64_t c, real step)
{
    int64_t at = i * n->chunk, key = n->key, value = n->value;
    const real *sum = i > 0 ? r->sums + i * n->state : r->start;
    blas_gemm(w->g, false, false, c, key, c, 1, w->scores, c, r->k + at * key, key, 0, w->change,
              key);
    if (sum) {
        blas_gemm(w->g, false, true, c, key, value, 1,
                  decayed(w, r->dy + at * value, c, value, false), value, sum, value, 1, w->change,
                  key);
    }
    if (r->ds) *r->ds -= (double)vec_dot_long(r->q + at * key, w->change, c * key);
    if (r->dq) vec_axpy(r->dq + at * key, -step, w->change, c * key);
}

/* One row; dsum holds D' behind the row, or nothing yet, and in the end D if `starts`.
 * dsum is D' of the chunk at hand and becomes D, that of the one before. `nothing`: no gradient has
 * come from behind yet. */
static void la_backward_row(const la_sizes *n, const la_work *w, const la_row *r, real step,
                            real *dsum, bool nothing, bool starts)
{
    int64_t key = n->key, value = n->value;
    if (r->dq || r->ds) compute_sums(n, w, r);
    for (int64_t i = n->chunks - 1; i >= 0; i--) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        const real *qc = r->q + at * key, *kc = r->k + at * key, *vc = r->v + at * value;
        const real *dyc = r->dy + at * value;
        /* dy v^T serves dq and dk; then the same buffer takes q k^T for dv. */
        masked_scores(w, dyc, vc, c, value);
        if (r->dq || r->ds) query_backward(n, w, r, i, c, step);
        if (r->dk) {
            real *out = r->dk + at * key;
            blas_gemm(w->g, true, false, c, key, c, -step, w->scores, c, qc, key, 1, out, key);
            if (!nothing) {
                blas_gemm(w->g, false, true, c, key, value, 1, decayed(w, vc, c, value, true),
                          value, dsum, value, 1, out, key);
            }
        }
        if (r->dv) {
            real *out = r->dv + at * value;
            masked_scores(w, qc, kc, c, key);
            blas_gemm(w->g, true, false, c, value, c, -step, w->scores, c, dyc, value, 1, out,
                      value);
            if (!nothing) {
                blas_gemm(w->g, false, false, c, value, key, 1, decayed(w, kc, c, key, true), key,
                          dsum, value, 1, out, value);
            }
        }
        if (i == 0 && !starts) continue;
        advance(n, w, dsum, nothing, -step, qc, decayed(w, dyc, c, value, false), c);
        nothing = false;
    }
}

static void la_backward(tape *t, void *keep)
{
    la_keep *k = keep;
    const causal_sums *in = &k->in;
    la_sizes n = sizes_of(in);
    real *dq = tape_grad(t, in->q), *dk = tape_grad(t, in->k), *dv = tape_grad(t, in->v);
    real *dstart = tape_grad(t, in->start), *ds = tape_grad(t, k->s);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    la_work w = work_of(t, &n, in->decay);
    /* One row's at a time: memory does not grow with the rows. */
    real *sums = ARENA_NEW(scratch, real, n.chunks * n.state);
    real *dsum = ARENA_NEW(scratch, real, n.state);
    /* One number from all positions of all rows: in double. */
    double step_gradient = 0;
    for (int64_t r = 0; r < n.rows; r++) {
        int64_t keys = r * n.time * n.key, values = r * n.time * n.value;
        la_row row = {in->q->data + keys,
                      in->k->data + keys,
                      in->v->data + values,
                      k->y->grad + values,
                      dq ? dq + keys : NULL,
                      dk ? dk + keys : NULL,
                      dv ? dv + values : NULL,
                      ds ? &step_gradient : NULL,
                      in->start ? in->start->data + r * n.state : NULL,
                      sums};
        if (k->last) vec_copy(dsum, k->last->grad + r * n.state, n.state);
        la_backward_row(&n, &w, &row, *k->s->data, dsum, !k->last, dstart);
        if (dstart) vec_add(dstart + r * n.state, dsum, n.state);
    }
    if (ds) *ds += (real)step_gradient;
    arena_rewind(scratch, mark);
    /* da = dy: y's buffer goes to a, so nothing may read it afterwards. */
    tape_grad_pass(t, k->a, k->y);
}

static const op_class ATTENTION_STEP = {"attention_step", la_backward};

static void check_shapes(const tensor *a, const tensor *s, const causal_sums *in)
{
    const tensor *q = in->q, *v = in->v;
    CHECK(q->rank == 3 && tensor_same_shape(q, in->k) && v->rank == 3 &&
              v->shape[0] == q->shape[0] && v->shape[1] == q->shape[1] && q->shape[1] >= 1,
          "q, k [rows, time, key] and v [rows, time, value] wanted");
    CHECK(tensor_same_shape(a, v) && tensor_count(s) == 1, "a of %lld elements, s of %lld",
          (long long)tensor_count(a), (long long)tensor_count(s));
    CHECK(in->decay > 0 && in->decay <= 1 && in->chunk >= 1, "decay %g, chunk %lld",
          (double)in->decay, (long long)in->chunk);
    int64_t state = q->shape[0] * q->shape[2] * v->shape[2];
    CHECK(!in->start || tensor_count(in->start) == state, "start has %lld values, not %lld",
          (long long)tensor_count(in->start), (long long)state);
}

tensor *op_attention_step(tape *t, tensor *a, tensor *s, const causal_sums *in, tensor **last)
{
    check_shapes(a, s, in);
    double since = tape_clock(t);
    la_sizes n = sizes_of(in);
    tensor *y = tape_like(t, a);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    la_work w = work_of(t, &n, in->decay);
    tensor *out = last ? tape_tensor(t, 3, (int64_t[]){n.rows, n.key, n.value}) : NULL;
    real *shared = last ? NULL : ARENA_NEW(scratch, real, n.state);
    for (int64_t r = 0; r < n.rows; r++) {
        int64_t keys = r * n.time * n.key, values = r * n.time * n.value;
        real *sum = last ? out->data + r * n.state : shared;
        if (in->start) vec_copy(sum, in->start->data + r * n.state, n.state);
        la_forward_row(&n, &w, y->data + values, a->data + values, *s->data, in->q->data + keys,
                       in->k->data + keys, in->v->data + values, sum, !in->start, last);
    }
    arena_rewind(scratch, mark);
    if (tape_wants(t, 6, (tensor *[]){a, s, in->q, in->k, in->v, in->start})) {
        la_keep *keep = tape_keep(t, 1, sizeof *keep);
        *keep = (la_keep){a, s, y, out, *in};
        tape_record(t, &ATTENTION_STEP, keep, last ? 2 : 1, (tensor *[]){y, out});
    }
    if (last) *last = out;
    tape_charge(t, &ATTENTION_STEP, since);
    return y;
}
