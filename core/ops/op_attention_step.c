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
 * Steps of a linear map without decay, from_a = q_a W^T + b, take W into the sum: F = W - s S^T is
 * what the map has become, and one product serves where q W^T and q S were two. With E' the sum of
 * dy_a^T q_a over the chunks behind, which is dW once it has come to the row's first position:
 *
 *   y_a  = b + q_a F^T - s sum_{b<a} (q_a . k_b) v_b,   F' = F - s sum_b v_b^T k_b
 *   dq_a = dy_a F - s sum_{b<a} (dy_a . v_b) k_b
 *   dk_b = -s (sum_{a>b} (dy_a . v_b) q_a + v_b E')
 *   dv_b = -s e_b,   e_b = sum_{a>b} (q_a . k_b) dy_a + k_b E'^T,   ds = -sum_b v_b . e_b
 *
 * `chunk` trades two costs: the square of a chunk's scores, of which the lower half is computed,
 * against the matrix S that is read and written once per chunk. The sums run over the state [key,
 * value] only where chunks begin; inside of a chunk everything is products of matrices, exact ones
 * (no rounded operands), since errors in S stay.
 *
 * The backward pass needs S where each chunk begins for dq and ds alone: it is added up again from
 * the keys and values, forwards, before the gradients of keys and values are, backwards. */
#include "core/ops/ops_fast.h"

#include <string.h>

#include "core/ops/blas.h"
#include "core/ops/triangle.h"
#include "core/ops/vec.h"

/* w, b: the map that the steps are taken from, or a: the values. */
typedef struct la_keep {
    tensor *a, *w, *b, *s, *y, *last;
    causal_sums in;
} la_keep;

typedef struct la_sizes {
    int64_t rows, time, key, value, chunk, chunks, state; /* state = key * value */
} la_sizes;

/* Of one row; memory within an op. */
typedef struct la_work {
    real decay, step;
    bool maps; /* the sum is F [value, key], not S [key, value] */
    const gemm_kernel *g;
    gemm_packed room;
    real *powers;     /* [chunk + 1]: decay^i */
    real *scores;     /* [chunk, chunk] */
    real *scaled;     /* [chunk, max(key, value)] */
    real *change;     /* [chunk, max(key, value)] */
    real *state;      /* [key, value]: a row's sum */
    gemm_packed held; /* room for it packed, where there are several chunks */
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

static la_work work_of(tape *t, const la_sizes *n, const la_keep *k)
{
    arena *a = tape_scratch(t);
    la_work w = {.decay = k->in.decay, .step = *k->s->data, .maps = k->w, .g = tape_exact(t)};
    w.powers = ARENA_NEW(a, real, n->chunk + 1);
    /* By repeated products: decay^i underflows to 0 where it is nothing any more. */
    w.powers[0] = 1;
    for (int64_t i = 1; i <= n->chunk; i++) {
        w.powers[i] = w.powers[i - 1] * w.decay;
    }
    w.room = triangle_room(a, w.g, n->chunk, MAX(n->key, n->value));
    w.scores = ARENA_NEW(a, real, n->chunk * n->chunk);
    w.scaled = ARENA_NEW(a, real, n->chunk * MAX(n->key, n->value));
    w.change = ARENA_NEW(a, real, n->chunk * MAX(n->key, n->value));
    w.state = ARENA_NEW(a, real, n->state);
    if (n->chunks > 1) w.held = blas_packed(a, w.g, n->key, n->value);
    return w;
}

/* scores [c, c] = p q^T times d^(a-1-b) below the diagonal, 0 on and, as far as it is read, above
 * it.
 * Strictly below: a position does not read what it writes itself. */
static void masked_scores(const la_work *w, const real *p, const real *q, int64_t c, int64_t width,
                          real *scores)
{
    triangle_scores(w->g, c, width, 1, p, width, q, width, scores, &w->room);
    for (int64_t a = 0; a < c; a++) {
        real *row = scores + a * c;
        for (int64_t b = 0; w->decay != 1 && b < a; b++) {
            row[b] *= w->powers[a - 1 - b];
        }
        triangle_clear(scores, c, a, a);
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

/* ---- the sum: S [key, value], F or E [value, key] ---- */

/* What chunks read, and add to. */
typedef struct la_sum {
    bool nothing; /* yet: it holds no numbers */
    real *plain;
    /* Instead of plain, where a kernel reads it chunk after chunk: S, or for readings of keys S^T,
     * in the order in which kernels read. Packed anew for each chunk it took 6 % of a forward pass.
     */
    gemm_packed packed;
    bool of_keys;
} la_sum;

/* A row's, from `start` on, which lies as S does, or F (NULL: nothing yet). of_keys: it is read by
 * read_keys, otherwise by read_values. */
static la_sum begun(const la_sizes *n, const la_work *w, const real *start, bool of_keys,
                    real *plain)
{
    la_sum sum = {.nothing = !start, .plain = plain, .packed = w->held, .of_keys = of_keys};
    if (!sum.packed.panels) {
        if (start) vec_copy(plain, start, n->state);
        return sum;
    }
    sum.packed.k = of_keys ? n->value : n->key;
    sum.packed.n = of_keys ? n->key : n->value;
    if (start) blas_pack(&sum.packed, of_keys != w->maps, start, w->maps ? n->key : n->value);
    return sum;
}

/* advance for packed sums: s has to be a factor of the same operand. */
static void advance_packed(const la_sizes *n, const la_work *w, const la_sum *sum, real s,
                           const real *p, const real *q, int64_t c, real beta)
{
    if (sum->of_keys) {
        blas_gemm_into(&sum->packed, &w->room, c, s, q, n->value, p, n->key, beta);
        return;
    }
    if (w->maps) {
        vec_scaled(w->change, s, q, c * n->value);
        q = w->change;
        s = 1;
    }
    blas_gemm_into(&sum->packed, &w->room, c, s, p, n->key, q, n->value, beta);
}

/* What fills up the last panel is multiplied, too, and read by nobody. */
static void decay_sum(const la_sum *sum, real factor, int64_t state)
{
    const gemm_packed *p = &sum->packed;
    if (!p->panels) {
        vec_scale(sum->plain, factor, state);
        return;
    }
    float *restrict panels = p->panels;
    for (int64_t i = 0, floats = gemm_packed_floats(p->g, p->k, p->n); i < floats; i++) {
        panels[i] *= (float)factor;
    }
}

/* sum = d^c sum + s p^T q, p [c, key] and q [c, value]; s is a factor of q for F, of p for S. */
static void advance(const la_sizes *n, const la_work *w, la_sum *sum, real s, const real *p,
                    const real *q, int64_t c)
{
    real beta = sum->nothing ? 0 : 1;
    if (!sum->nothing && w->decay != 1) decay_sum(sum, w->powers[c], n->state);
    sum->nothing = false;
    if (sum->packed.panels) {
        advance_packed(n, w, sum, s, p, q, c, beta);
    } else if (w->maps) {
        blas_gemm(w->g, true, false, n->value, n->key, c, s, q, n->value, p, n->key, beta,
                  sum->plain, n->key);
    } else {
        blas_gemm(w->g, true, false, n->key, n->value, c, s, p, n->key, q, n->value, beta,
                  sum->plain, n->value);
    }
}

/* out [c, n] = s x sum + beta out, x [c, k]; turned: plain lies the other way round. */
static void read_sum(const la_work *w, const la_sum *sum, bool turned, int64_t c, int64_t n,
                     int64_t k, real s, const real *x, real beta, real *out)
{
    if (sum->packed.panels) {
        blas_gemm_packed(&sum->packed, 0, 0, false, c, n, k, s, x, k, beta, out, n);
    } else {
        blas_gemm(w->g, false, turned, c, n, k, s, x, k, sum->plain, turned ? k : n, beta, out, n);
    }
}

/* out [c, value] = x S + beta out, x [c, key] */
static void read_values(const la_sizes *n, const la_work *w, const la_sum *sum, const real *x,
                        int64_t c, real beta, real *out)
{
    read_sum(w, sum, w->maps, c, n->value, n->key, 1, x, beta, out);
}

/* out [c, key] = s x S^T + out, x [c, value] */
static void read_keys(const la_sizes *n, const la_work *w, const la_sum *sum, real s, const real *x,
                      int64_t c, real *out)
{
    read_sum(w, sum, !w->maps, c, n->key, n->value, s, x, 1, out);
}

/* ---- rows ---- */

/* Where a row's values and gradients stand; a gradient may be NULL. */
typedef struct la_row {
    const real *a, *b, *q, *k, *v; /* a or b */
    real *y;
    const real *dy;
    real *dq, *dk, *dv;
    double *ds; /* [chunks]: less what each adds to it */
} la_row;

/* y = a + s change */
static void take_step(real *restrict y, const real *restrict a, real s, const real *restrict change,
                      int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = a[i] + s * change[i];
    }
}

/* y of a chunk from `at` on. Without a map the change is added up by itself, which is small beside
 * what it is taken from. */
static void step_chunk(const la_sizes *n, const la_work *w, const la_row *r, const la_sum *sum,
                       int64_t at, int64_t c)
{
    const real *q = r->q + at * n->key, *v = r->v + at * n->value;
    real *y = r->y + at * n->value;
    masked_scores(w, q, r->k + at * n->key, c, n->key, w->scores);
    if (w->maps) {
        for (int64_t i = 0; r->b && i < c; i++) {
            vec_copy(y + i * n->value, r->b, n->value);
        }
        read_values(n, w, sum, q, c, r->b ? 1 : 0, y);
        triangle_times(w->g, false, c, n->value, -w->step, w->scores, v, n->value, 1, y, n->value,
                       &w->room);
        return;
    }
    CHECK(r->a, "without a map there are values that the change is taken from");
    triangle_times(w->g, false, c, n->value, 1, w->scores, v, n->value, 0, w->change, n->value,
                   &w->room);
    if (!sum->nothing) read_values(n, w, sum, decayed(w, q, c, n->key, false), c, 1, w->change);
    take_step(y, r->a + at * n->value, -w->step, w->change, c * n->value);
}

/* One row; sum ends as that behind the row if `ends`. */
static void la_forward_row(const la_sizes *n, const la_work *w, const la_row *r, la_sum *sum,
                           bool ends)
{
    for (int64_t i = 0; i < n->chunks; i++) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        step_chunk(n, w, r, sum, at, c);
        /* Nobody asks for S behind the row. */
        if (i + 1 == n->chunks && !ends) continue;
        advance(n, w, sum, w->maps ? -w->step : 1, decayed(w, r->k + at * n->key, c, n->key, true),
                r->v + at * n->value, c);
    }
}

/* dq of a chunk, and ds if there is no map, from its masked dy v^T.
 * w->change is dq / -s: the same numbers serve dq and ds. */
static void query_chunk(const la_sizes *n, const la_work *w, const la_row *r, const la_sum *sum,
                        const real *scores, int64_t at, int64_t c)
{
    int64_t key = n->key;
    const real *k = r->k + at * key, *dy = r->dy + at * n->value;
    if (w->maps) {
        if (!r->dq) return;
        triangle_times(w->g, false, c, key, -w->step, scores, k, key, 1, r->dq + at * key, key,
                       &w->room);
        read_keys(n, w, sum, 1, dy, c, r->dq + at * key);
        return;
    }
    if (!r->dq && !r->ds) return;
    triangle_times(w->g, false, c, key, 1, scores, k, key, 0, w->change, key, &w->room);
    if (!sum->nothing) read_keys(n, w, sum, 1, decayed(w, dy, c, n->value, false), c, w->change);
    if (r->ds) r->ds[at / n->chunk] = (double)vec_dot_long(r->q + at * key, w->change, c * key);
    if (r->dq) vec_axpy(r->dq + at * key, -w->step, w->change, c * key);
}

/* Gradients of a row's queries, forwards; leaves each chunk's masked dy v^T in slopes [chunks,
 * chunk, chunk]. */
static void queries_backward(const la_sizes *n, const la_work *w, const la_row *r, real *slopes,
                             la_sum *sum)
{
    bool read = r->dq || (r->ds && !w->maps);
    for (int64_t i = 0; i < n->chunks; i++) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        real *scores = slopes + i * n->chunk * n->chunk;
        masked_scores(w, r->dy + at * n->value, r->v + at * n->value, c, n->value, scores);
        if (!read) continue;
        query_chunk(n, w, r, sum, scores, at, c);
        if (i + 1 == n->chunks) continue;
        advance(n, w, sum, w->maps ? -w->step : 1, decayed(w, r->k + at * n->key, c, n->key, true),
                r->v + at * n->value, c);
    }
}

/* dv of a chunk, and ds of a map. */
static void value_chunk(const la_sizes *n, const la_work *w, const la_row *r, const la_sum *dsum,
                        int64_t at, int64_t c)
{
    int64_t value = n->value;
    const real *k = r->k + at * n->key, *dy = r->dy + at * value;
    real *dv = r->dv ? r->dv + at * value : NULL;
    masked_scores(w, r->q + at * n->key, k, c, n->key, w->scores);
    if (!w->maps) {
        triangle_times(w->g, true, c, value, -w->step, w->scores, dy, value, 1, dv, value,
                       &w->room);
        if (!dsum->nothing) read_values(n, w, dsum, decayed(w, k, c, n->key, true), c, 1, dv);
        return;
    }
    triangle_times(w->g, true, c, value, 1, w->scores, dy, value, 0, w->change, value, &w->room);
    if (!dsum->nothing) read_values(n, w, dsum, k, c, 1, w->change);
    if (r->ds) {
        r->ds[at / n->chunk] = (double)vec_dot_long(r->v + at * value, w->change, c * value);
    }
    if (dv) vec_axpy(dv, -w->step, w->change, c * value);
}

/* Gradients of a row's keys and values, backwards; dsum holds D' (of a map: E') behind the row, or
 * nothing yet, and in the end D if `starts`.
 * dsum is D' of the chunk at hand and becomes D, that of the one before. */
static void keys_backward(const la_sizes *n, const la_work *w, const la_row *r, const real *slopes,
                          la_sum *dsum, bool starts)
{
    int64_t key = n->key, value = n->value;
    for (int64_t i = n->chunks - 1; i >= 0; i--) {
        int64_t at = i * n->chunk, c = MIN(n->chunk, n->time - at);
        const real *q = r->q + at * key, *dy = r->dy + at * value;
        if (r->dk) {
            real *out = r->dk + at * key;
            triangle_times(w->g, true, c, key, -w->step, slopes + i * n->chunk * n->chunk, q, key,
                           1, out, key, &w->room);
            if (!dsum->nothing) {
                read_keys(n, w, dsum, w->maps ? -w->step : 1,
                          decayed(w, r->v + at * value, c, value, true), c, out);
            }
        }
        if (r->dv || (r->ds && w->maps)) value_chunk(n, w, r, dsum, at, c);
        if (i == 0 && !starts) continue;
        advance(n, w, dsum, w->maps ? 1 : -w->step, q, decayed(w, dy, c, value, false), c);
    }
}

static real *from(real *x, int64_t at)
{
    return x ? x + at : NULL;
}

static la_row row_of(const la_keep *k, const la_sizes *n, int64_t r)
{
    const causal_sums *in = &k->in;
    int64_t keys = r * n->time * n->key, values = r * n->time * n->value;
    return (la_row){.a = k->a ? k->a->data + values : NULL,
                    .b = k->b ? k->b->data : NULL,
                    .q = in->q->data + keys,
                    .k = in->k->data + keys,
                    .v = in->v->data + values,
                    .y = k->y->data + values,
                    .dy = from(k->y->grad, values)};
}

/* What a row begins with; NULL: nothing. */
static const real *start_of(const la_keep *k, const la_sizes *n, int64_t r)
{
    if (k->w) return k->w->data;
    return k->in.start ? k->in.start->data + r * n->state : NULL;
}

static void la_backward(tape *t, void *keep)
{
    la_keep *k = keep;
    const causal_sums *in = &k->in;
    la_sizes n = sizes_of(in);
    real *dq = tape_grad(t, in->q), *dk = tape_grad(t, in->k), *dv = tape_grad(t, in->v);
    real *dstart = tape_grad(t, k->w ? k->w : in->start), *ds = tape_grad(t, k->s);
    real *db = tape_grad(t, k->b);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    la_work w = work_of(t, &n, k);
    /* One row's at a time: memory does not grow with the rows. */
    real *slopes = ARENA_NEW(scratch, real, n.chunks * n.chunk * n.chunk);
    /* One number from all positions of all rows: in double. */
    double step_gradient = 0, *parts = ARENA_NEW(scratch, double, n.chunks);
    for (int64_t r = 0; r < n.rows; r++) {
        la_row row = row_of(k, &n, r);
        row.dq = from(dq, r * n.time * n.key);
        row.dk = from(dk, r * n.time * n.key);
        row.dv = from(dv, r * n.time * n.value);
        row.ds = ds ? parts : NULL;
        la_sum sum = begun(&n, &w, start_of(k, &n, r), true, w.state);
        queries_backward(&n, &w, &row, slopes, &sum);
        /* Read both ways, it is packed for neither. */
        la_sum dsum = {.nothing = !k->last, .plain = w.state};
        if (k->last) vec_copy(dsum.plain, k->last->grad + r * n.state, n.state);
        keys_backward(&n, &w, &row, slopes, &dsum, dstart);
        for (int64_t i = n.chunks - 1; ds && i >= 0; i--) {
            step_gradient -= parts[i];
        }
        if (dstart) vec_add(dstart + (k->w ? 0 : r * n.state), w.state, n.state);
    }
    if (ds) *ds += (real)step_gradient;
    if (db) vec_add_columns(db, k->y->grad, n.rows * n.time, n.value);
    arena_rewind(scratch, mark);
    /* da = dy: y's buffer goes to a, so nothing may read it afterwards. */
    if (k->a) tape_grad_pass(t, k->a, k->y);
}

static const op_class ATTENTION_STEP = {"attention_step", la_backward};

static void check_shapes(const tensor *s, const causal_sums *in)
{
    const tensor *q = in->q, *v = in->v;
    CHECK(q->rank == 3 && tensor_same_shape(q, in->k) && v->rank == 3 &&
              v->shape[0] == q->shape[0] && v->shape[1] == q->shape[1] && q->shape[1] >= 1,
          "q, k [rows, time, key] and v [rows, time, value] wanted");
    CHECK(tensor_count(s) == 1, "s of %lld", (long long)tensor_count(s));
    CHECK(in->decay > 0 && in->decay <= 1 && in->chunk >= 1, "decay %g, chunk %lld",
          (double)in->decay, (long long)in->chunk);
    int64_t state = q->shape[0] * q->shape[2] * v->shape[2];
    CHECK(!in->start || tensor_count(in->start) == state, "start has %lld values, not %lld",
          (long long)tensor_count(in->start), (long long)state);
}

/* k without y and last. */
static tensor *steps(tape *t, la_keep *k, tensor **last)
{
    double since = tape_clock(t);
    const causal_sums *in = &k->in;
    la_sizes n = sizes_of(in);
    k->y = tape_like(t, in->v);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    la_work w = work_of(t, &n, k);
    if (last) k->last = tape_tensor(t, 3, (int64_t[]){n.rows, n.key, n.value});
    for (int64_t r = 0; r < n.rows; r++) {
        la_row row = row_of(k, &n, r);
        real *end = last ? k->last->data + r * n.state : NULL;
        la_sum sum = begun(&n, &w, start_of(k, &n, r), false, end ? end : w.state);
        la_forward_row(&n, &w, &row, &sum, end);
        if (end && sum.packed.panels) blas_unpack(&sum.packed, end, n.value);
    }
    arena_rewind(scratch, mark);
    if (tape_wants(t, 8, (tensor *[]){k->a, k->w, k->b, k->s, in->q, in->k, in->v, in->start})) {
        la_keep *kept = tape_keep(t, 1, sizeof *kept);
        *kept = *k;
        tape_record(t, &ATTENTION_STEP, kept, last ? 2 : 1, (tensor *[]){k->y, k->last});
    }
    if (last) *last = k->last;
    tape_charge(t, &ATTENTION_STEP, since);
    return k->y;
}

tensor *op_attention_step(tape *t, tensor *a, tensor *s, const causal_sums *in, tensor **last)
{
    check_shapes(s, in);
    CHECK(tensor_same_shape(a, in->v), "a of %lld elements", (long long)tensor_count(a));
    return steps(t, &(la_keep){.a = a, .s = s, .in = *in}, last);
}

tensor *op_linear_step(tape *t, tensor *w, tensor *b, tensor *s, const causal_sums *in)
{
    check_shapes(s, in);
    int64_t key = tensor_width(in->q), value = tensor_width(in->v);
    CHECK(w->rank == 2 && w->shape[0] == value && w->shape[1] == key &&
              (!b || tensor_count(b) == value),
          "a map [%lld, %lld] of %lld to %lld", (long long)w->shape[0], (long long)w->shape[1],
          (long long)key, (long long)value);
    CHECK(in->decay >= 1 && !in->start, "a map's sums begin with it and do not decay");
    return steps(t, &(la_keep){.w = w, .b = b, .s = s, .in = *in}, NULL);
}
