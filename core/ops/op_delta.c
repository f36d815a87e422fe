/* The gated delta rule in chunks: see ops_recurrent.h.
 *
 * A chunk of n positions that begins with S, rows of Q, K, V its queries, keys, values;
 * G_i = g_0 + ... + g_i, c_i = exp(G_i), d_j = exp(G_(n-1) - G_j), F_ij = exp(G_i - G_j) for j <=
 * i.
 *
 *   N = (F K K^T) below the diagonal;  P = scale (F Q K^T) on and below it    (F elementwise)
 *   E + N U = V - c (K S),  U = beta E                      solved row by row; E = V without N
 *   Y = P U + scale c (Q S);   S' = exp(G_(n-1)) S + (d K)^T U
 *
 * and backwards, with D' the gradient of S':
 *
 *   dU = P^T dY + (d K) D';   T = dU - N^T (beta T), solved from the last row;   R = beta T
 *   dV = R;  dbeta_i = T_i . E_i;  dP = dY U^T;  dN = - R U^T
 *   dQ = scale F dP K + scale c (dY S^T)
 *   dK = scale F dP^T Q + (F dN) K + (F dN)^T K + d (U D'^T) - c (R S^T)
 *   D  = exp(G_(n-1)) D' + scale (c Q)^T dY - (c K)^T R
 *
 * The gradient of g_t adds up whatever decays over t: pairs j < t <= i of P and N, what position
 * i >= t reads of S, what position j < t writes to S', and S in S'. Sums of such terms, and not
 * differences of longer sums: where g_t forgets all, its gradient is exactly zero.
 *
 * How the backward lines come about: a gradient of Y reaches U by P and a gradient of S' by d K; a
 * change of U_i also changes every later E_j by - N_ji, and E_j changes U_j by beta_j. T_i is the
 * whole gradient of U_i, R_i = beta_i T_i that of E_i, and so T_i = dU_i - sum_(j>i) N_ji R_j: the
 * same triangular system, transposed, solved from its end. Everything else is one product each.
 *
 * Kept for it: S where each chunk begins. N, P, E and U of a chunk are made again, which costs
 * about half of the forward pass; kept, they would be four matrices per chunk instead of one.
 *
 * No exponent is ever positive (j <= i, g <= 0), so no factor overflows, and one that underflows is
 * what was forgotten. The products of decays up to the chunk's begin, divided by each other, would
 * be cheaper, and break down where the divisor underflows.
 *
 * N and P and their gradients are lower triangles: above the diagonal nothing is computed but the
 * rest of a strip's own square (triangle.h). */
#include "core/ops/blas.h"
#include "core/ops/ops_recurrent.h"
#include "core/ops/triangle.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

#include <math.h>

/* exp of it is 0 in either precision, and sums of a chunk of it keep their digits. */
static const double LEAST_DECAY = -1000;

typedef struct delta_keep {
    delta_rule in;
    tensor *y, *last;
    real *starts; /* [rows, value_heads, chunks, key, value]: S where each chunk begins */
} delta_keep;

typedef struct delta_sizes {
    /* state: numbers of S, key * value. */
    int64_t rows, time, key, value, heads, value_heads, chunk, chunks, state;
    int64_t key_stride, value_stride; /* between positions */
} delta_sizes;

/* One chunk of one row and value head; gradients NULL where they are not wanted. */
typedef struct delta_part {
    int64_t n;
    const real *q, *k, *v, *beta, *g; /* beta, g: value_heads apart */
    real *y;
    const real *dy;
    real *dq, *dk, *dv, *dbeta, *dg;
} delta_part;

typedef struct delta_work {
    const gemm_kernel *g;
    real *from_start, *to_end, whole; /* c, d [chunk]; exp of all of G */
    double *sums;                     /* G [chunk] */
    real *fade, *near, *pick;         /* F, N, P [chunk, chunk] */
    real *e, *u;                      /* [chunk, value] */
    real *rows;                       /* [chunk, key] */
    /* backwards */
    real *t, *r;                       /* [chunk, value] */
    real *dpick, *dnear;               /* [chunk, chunk] */
    real *reads, *writes, *run, *part; /* [chunk], [chunk], [chunk], [chunk, key] */
} delta_work;

static delta_sizes sizes_of(const delta_rule *in)
{
    delta_sizes n = {.rows = in->q->shape[0],
                     .time = in->q->shape[1],
                     .key = in->q->shape[2] / in->heads,
                     .value = in->v->shape[2] / in->value_heads,
                     .heads = in->heads,
                     .value_heads = in->value_heads,
                     .key_stride = in->q->shape[2],
                     .value_stride = in->v->shape[2]};
    n.chunk = MIN(in->chunk, n.time);
    n.chunks = (n.time + n.chunk - 1) / n.chunk;
    n.state = n.key * n.value;
    return n;
}

/* All of a chunk's matrices fit a second-level cache (chunk, key and value of some dozens), and are
 * used again for the next chunk. Products are exact ones: states add up over a whole text, and
 * rounding of operands would add up with them. */
static delta_work work_of(tape *t, const delta_sizes *n, bool back)
{
    int64_t c = n->chunk, square = c * c;
    arena *a = tape_scratch(t);
    delta_work w = {.g = tape_exact(t),
                    .from_start = ARENA_NEW(a, real, c),
                    .to_end = ARENA_NEW(a, real, c),
                    .sums = ARENA_NEW(a, double, c),
                    .fade = ARENA_NEW(a, real, square),
                    .near = ARENA_NEW(a, real, square),
                    .pick = ARENA_NEW(a, real, square),
                    .e = ARENA_NEW(a, real, c * n->value),
                    .u = ARENA_NEW(a, real, c * n->value),
                    .rows = ARENA_NEW(a, real, c * n->key)};
    if (!back) return w;
    w.t = ARENA_NEW(a, real, c * n->value);
    w.r = ARENA_NEW(a, real, c * n->value);
    w.dpick = ARENA_NEW(a, real, square);
    w.dnear = ARENA_NEW(a, real, square);
    w.reads = ARENA_NEW(a, real, c);
    w.writes = ARENA_NEW(a, real, c);
    w.run = ARENA_NEW(a, real, c);
    w.part = ARENA_NEW(a, real, c * n->key);
    return w;
}

/* Several value heads may read one query and key head: their gradients add up in the order of
 * heads. */
static delta_part part_of(const delta_keep *k, const delta_sizes *n, int64_t row, int64_t head,
                          int64_t chunk)
{
    const delta_rule *in = &k->in;
    /* The last chunk may be shorter. */
    int64_t at = row * n->time + chunk * n->chunk;
    int64_t keys = at * n->key_stride + head * n->heads / n->value_heads * n->key;
    int64_t values = at * n->value_stride + head * n->value, one = at * n->value_heads + head;
    return (delta_part){.n = MIN(n->chunk, n->time - chunk * n->chunk),
                        .q = in->q->data + keys,
                        .k = in->k->data + keys,
                        .v = in->v->data + values,
                        .beta = in->beta->data + one,
                        .g = in->g ? in->g->data + one : NULL,
                        .y = k->y->data + values};
}

/* ---- a chunk forwards ---- */

/* to [n, width] = rows of x times s. */
static void scaled_rows(real *to, const real *s, const real *x, int64_t stride, int64_t n,
                        int64_t width)
{
    for (int64_t i = 0; i < n; i++) {
        vec_scaled(to + i * width, s[i], x + i * stride, width);
    }
}

/* c, d and F. A difference of sums, which would lose the small g behind a large one, is of doubles
 * here, and g below LEAST_DECAY counts as that.
 * F is lower triangular: above the diagonal nothing is written and nothing read. */
static void decays(const delta_work *w, real *whole, const delta_sizes *n, const delta_part *p)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        double g = p->g ? (double)p->g[i * n->value_heads] : 0;
        sum += g < LEAST_DECAY ? LEAST_DECAY : g;
        w->sums[i] = sum;
    }
    *whole = (real)exp(sum);
    for (int64_t i = 0; i < p->n; i++) {
        real *fade = w->fade + i * p->n;
        for (int64_t j = 0; j <= i; j++) {
            fade[j] = (real)(w->sums[i] - w->sums[j]);
        }
#pragma omp simd
        for (int64_t j = 0; j <= i; j++) {
            fade[j] = vm_exp(fade[j]);
        }
        w->from_start[i] = vm_exp((real)w->sums[i]);
        w->to_end[i] = vm_exp((real)(sum - w->sums[i]));
    }
}

/* m [n, n] = s F a b^T for columns below `diagonal` more than the row, 0 elsewhere as far as
 * triangles are read.
 * diagonal 1: the position itself belongs to it (P); 0: only earlier ones (N). */
static void faded_scores(real *m, const delta_work *w, const delta_sizes *n, const real *a,
                         const real *b, int64_t count, real s, int64_t diagonal)
{
    triangle_scores(w->g, count, n->key, s, a, n->key_stride, b, n->key_stride, m, NULL);
    for (int64_t i = 0; i < count; i++) {
        vec_mul(m + i * count, w->fade + i * count, i + diagonal);
        /* The product filled it with what lies in the future. */
        triangle_clear(m, count, i, i + diagonal);
    }
}

/* F, N, E and U; s [key, value] or NULL: zero. */
static void chunk_values(delta_work *w, const delta_sizes *n, const delta_part *p, const real *s,
                         bool correct)
{
    int64_t value = n->value;
    decays(w, &w->whole, n, p);
    for (int64_t i = 0; i < p->n; i++) {
        vec_copy(w->e + i * value, p->v + i * n->value_stride, value);
    }
    if (correct) {
        faded_scores(w->near, w, n, p->k, p->k, p->n, 1, 0);
        if (s) {
            scaled_rows(w->rows, w->from_start, p->k, n->key_stride, p->n, n->key);
            blas_gemm(w->g, false, false, p->n, value, n->key, -1, w->rows, n->key, s, value, 1,
                      w->e, value);
        }
    }
    /* E_i = V_i - c_i (k_i S) - sum_{j<i} N_ij U_j */
    triangle_solve(w->g, false, p->n, value, correct ? w->near : NULL, p->beta, n->value_heads,
                   w->e, w->u);
}

/* s becomes that behind the chunk.
 * In place: the chunk's output has been read off by then. */
static void advance(const delta_work *w, const delta_sizes *n, const delta_part *p, real *s)
{
    /* S' = exp(G_(n-1)) S + (d K)^T U: the product begins with the faded S, so that S is passed
     * over once */
    scaled_rows(w->rows, w->to_end, p->k, n->key_stride, p->n, n->key);
    blas_gemm(w->g, true, false, n->key, n->value, p->n, 1, w->rows, n->key, w->u, n->value,
              w->whole, s, n->value);
}

static void chunk_forward(delta_work *w, const delta_sizes *n, const delta_part *p, real *s,
                          bool nothing, const delta_rule *in)
{
    int64_t value = n->value;
    chunk_values(w, n, p, nothing ? NULL : s, in->correct);
    faded_scores(w->pick, w, n, p->q, p->k, p->n, in->scale, 1);
    /* Y = P U + scale c (Q S) */
    triangle_times(w->g, false, p->n, value, 1, w->pick, w->u, value, 0, p->y, n->value_stride,
                   NULL);
    if (!nothing) {
        scaled_rows(w->rows, w->from_start, p->q, n->key_stride, p->n, n->key);
        blas_gemm(w->g, false, false, p->n, value, n->key, in->scale, w->rows, n->key, s, value, 1,
                  p->y, n->value_stride);
    }
    advance(w, n, p, s);
}

/* ---- and backwards ---- */

/* T, R, dP and dN; ds [key, value] is D'.
 * dP and dN are whole strips here; score_gradients takes what lies on the right side of the
 * diagonal. */
static void inner_gradients(const delta_work *w, const delta_sizes *n, const delta_part *p,
                            const real *ds, bool correct)
{
    int64_t value = n->value, count = p->n;
    /* dU = P^T dY + (d K) D' */
    triangle_times(w->g, true, count, value, 1, w->pick, p->dy, n->value_stride, 0, w->t, value,
                   NULL);
    scaled_rows(w->rows, w->to_end, p->k, n->key_stride, count, n->key);
    blas_gemm(w->g, false, false, count, value, n->key, 1, w->rows, n->key, ds, value, 1, w->t,
              value);
    /* T_i = dU_i - sum_{j>i} N_ji R_j */
    triangle_solve(w->g, true, count, value, correct ? w->near : NULL, p->beta, n->value_heads,
                   w->t, w->r);
    /* dP = dY U^T;  dN = - R U^T */
    triangle_scores(w->g, count, value, 1, p->dy, n->value_stride, w->u, value, w->dpick, NULL);
    if (correct) triangle_scores(w->g, count, value, -1, w->r, value, w->u, value, w->dnear, NULL);
}

/* dg of the chunk; across: the gradient of exp of all of G, through S in S'. */
static void decay_gradient(const delta_work *w, const delta_sizes *n, const delta_part *p,
                           real across, bool correct)
{
    int64_t count = p->n;
    /* run[j] holds the pairs (i, j) of P and N with i >= t: those of j < t decay over t. */
    real later = 0; /* reads of positions t and later */
    vec_zero(w->run, count);
    for (int64_t t = count - 1; t >= 0; t--) {
        vec_mul_add(w->run, w->dpick + t * count, w->pick + t * count, t);
        if (correct) vec_mul_add(w->run, w->dnear + t * count, w->near + t * count, t);
        later += w->reads[t];
        p->dg[t * n->value_heads] +=
            vec_sum(w->run, t) + later + vec_sum(w->writes, t) + w->whole * across;
    }
}

/* add to x [n, key]: part; and dots[i] (+)= part_i . of_i. */
static void spread(const delta_work *w, const delta_sizes *n, int64_t count, real *x,
                   const real *of, real *dots)
{
    for (int64_t i = 0; i < count; i++) {
        const real *part = w->part + i * n->key;
        dots[i] += vec_dot(part, of + i * n->key_stride, n->key);
        if (x) vec_add(x + i * n->key_stride, part, n->key);
    }
}

/* part [n, key] = scale a m^T, rows times s; a [n, value], m [key, value]. */
static void through_state(const delta_work *w, const delta_sizes *n, int64_t count, const real *a,
                          int64_t stride, const real *m, real scale, const real *s)
{
    blas_gemm(w->g, false, true, count, n->key, n->value, scale, a, stride, m, n->value, 0, w->part,
              n->key);
    for (int64_t i = 0; i < count; i++) {
        vec_scale(w->part + i * n->key, s[i], n->key);
    }
}

/* What goes through S and S': parts of dQ and dK, and what the decays along them count for.
 * A term c_i (q_i S) . dy_i decays by all g up to i: its gradient in each of them is its own value,
 * q_i . (its part of dQ_i). So reads[i] and writes[j] are those dots. */
static void outer_gradients(const delta_work *w, const delta_sizes *n, const delta_part *p,
                            const real *s, const real *ds, const delta_rule *in)
{
    vec_zero(w->reads, p->n);
    vec_zero(w->writes, p->n);
    if (s) {
        /* dQ += scale c (dY S^T);  dK -= c (R S^T) */
        through_state(w, n, p->n, p->dy, n->value_stride, s, in->scale, w->from_start);
        spread(w, n, p->n, p->dq, p->q, w->reads);
        if (in->correct) {
            through_state(w, n, p->n, w->r, n->value, s, -1, w->from_start);
            spread(w, n, p->n, p->dk, p->k, w->reads);
        }
    }
    /* dK += d (U D'^T) */
    through_state(w, n, p->n, w->u, n->value, ds, 1, w->to_end);
    spread(w, n, p->n, p->dk, p->k, w->writes);
}

/* dQ and dK through P and N; dP and dN are multiplied by F in place. */
static void score_gradients(const delta_work *w, const delta_sizes *n, const delta_part *p,
                            const delta_rule *in)
{
    int64_t count = p->n, key = n->key, stride = n->key_stride;
    for (int64_t i = 0; i < count; i++) {
        real *dpick = w->dpick + i * count;
        vec_mul(dpick, w->fade + i * count, i + 1);
        triangle_clear(w->dpick, count, i, i + 1);
        if (!in->correct) continue;
        vec_mul(w->dnear + i * count, w->fade + i * count, i);
        triangle_clear(w->dnear, count, i, i);
    }
    /* dQ += scale (F dP) K;  dK += scale (F dP)^T Q, and from N, where keys stand on both sides,
     * (F dN) K + (F dN)^T K */
    if (p->dq) {
        triangle_times(w->g, false, count, key, in->scale, w->dpick, p->k, stride, 1, p->dq, stride,
                       NULL);
    }
    if (!p->dk) return;
    triangle_times(w->g, true, count, key, in->scale, w->dpick, p->q, stride, 1, p->dk, stride,
                   NULL);
    if (!in->correct) return;
    triangle_times(w->g, false, count, key, 1, w->dnear, p->k, stride, 1, p->dk, stride, NULL);
    triangle_times(w->g, true, count, key, 1, w->dnear, p->k, stride, 1, p->dk, stride, NULL);
}

/* ds becomes D.
 * Last, since dk, dbeta and dg of this chunk still wanted D'. */
static void retreat(const delta_work *w, const delta_sizes *n, const delta_part *p, real *ds,
                    const delta_rule *in)
{
    int64_t value = n->value;
    /* D = exp(G_(n-1)) D' + scale (c Q)^T dY - (c K)^T R */
    scaled_rows(w->rows, w->from_start, p->q, n->key_stride, p->n, n->key);
    blas_gemm(w->g, true, false, n->key, value, p->n, in->scale, w->rows, n->key, p->dy,
              n->value_stride, w->whole, ds, value);
    if (!in->correct) return;
    scaled_rows(w->rows, w->from_start, p->k, n->key_stride, p->n, n->key);
    blas_gemm(w->g, true, false, n->key, value, p->n, -1, w->rows, n->key, w->r, value, 1, ds,
              value);
}

/* s: S where the chunk begins, NULL: zero; ds holds D' and in the end D. */
static void chunk_backward(delta_work *w, const delta_sizes *n, const delta_part *p, const real *s,
                           real *ds, const delta_rule *in)
{
    /* As forwards, by the same functions: the same bits. */
    chunk_values(w, n, p, s, in->correct);
    faded_scores(w->pick, w, n, p->q, p->k, p->n, in->scale, 1);
    inner_gradients(w, n, p, ds, in->correct);
    for (int64_t i = 0; i < p->n; i++) {
        const real *t = w->t + i * n->value;
        if (p->dv) vec_add(p->dv + i * n->value_stride, w->r + i * n->value, n->value);
        if (p->dbeta) p->dbeta[i * n->value_heads] += vec_dot(t, w->e + i * n->value, n->value);
    }
    outer_gradients(w, n, p, s, ds, in);
    /* Before dP and dN are multiplied by F: the pairs' gradients are those in P and N
     * themselves. */
    if (p->dg) decay_gradient(w, n, p, s ? vec_dot(s, ds, n->state) : 0, in->correct);
    score_gradients(w, n, p, in);
    retreat(w, n, p, ds, in);
}

/* ---- the op ---- */

static real *moved(real *gradient, const real *at, const tensor *x)
{
    return gradient ? gradient + (at - x->data) : NULL;
}

static void delta_backward(tape *t, void *keep)
{
    const delta_keep *k = keep;
    const delta_rule *in = &k->in;
    delta_sizes n = sizes_of(in);
    real *dq = tape_grad(t, in->q), *dk = tape_grad(t, in->k), *dv = tape_grad(t, in->v);
    real *dbeta = tape_grad(t, in->beta), *dg = tape_grad(t, in->g);
    real *dstart = tape_grad(t, in->start);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    delta_work w = work_of(t, &n, true);
    real *ds = ARENA_NEW(scratch, real, n.state);
    for (int64_t i = 0; i < n.rows * n.value_heads; i++) {
        vec_zero(ds, n.state);
        if (k->last && k->last->has_grad) vec_copy(ds, k->last->grad + i * n.state, n.state);
        /* D' of a chunk is the D of the next one. */
        for (int64_t c = n.chunks - 1; c >= 0; c--) {
            delta_part p = part_of(k, &n, i / n.value_heads, i % n.value_heads, c);
            p.dy = k->y->grad + (p.y - k->y->data);
            p.dq = moved(dq, p.q, in->q);
            p.dk = moved(dk, p.k, in->k);
            p.dv = moved(dv, p.v, in->v);
            p.dbeta = moved(dbeta, p.beta, in->beta);
            p.dg = dg ? moved(dg, p.g, in->g) : NULL;
            /* A state of zeros is not multiplied. */
            bool nothing = c == 0 && !in->start;
            const real *s = k->starts + (i * n.chunks + c) * n.state;
            chunk_backward(&w, &n, &p, nothing ? NULL : s, ds, in);
        }
        if (dstart) vec_add(dstart + i * n.state, ds, n.state);
    }
    arena_rewind(scratch, mark);
}

static const op_class DELTA = {"delta", delta_backward};

static void check_shapes(const delta_rule *in)
{
    const tensor *q = in->q, *v = in->v;
    CHECK(q->rank == 3 && tensor_same_shape(q, in->k) && v->rank == 3 &&
              v->shape[0] == q->shape[0] && v->shape[1] == q->shape[1] && q->shape[1] >= 1,
          "q, k [rows, time, keys] and v [rows, time, values] wanted");
    CHECK(in->heads >= 1 && in->value_heads % in->heads == 0 && q->shape[2] % in->heads == 0 &&
              v->shape[2] % in->value_heads == 0 && in->chunk >= 1,
          "%lld heads, %lld value heads", (long long)in->heads, (long long)in->value_heads);
    int64_t ones = q->shape[0] * q->shape[1] * in->value_heads;
    CHECK(tensor_count(in->beta) == ones && (!in->g || tensor_count(in->g) == ones),
          "beta has %lld values", (long long)tensor_count(in->beta));
    int64_t state =
        q->shape[0] * in->value_heads * (q->shape[2] / in->heads) * (v->shape[2] / in->value_heads);
    CHECK(!in->start || tensor_count(in->start) == state, "start has %lld values, not %lld",
          (long long)tensor_count(in->start), (long long)state);
}

/* All chunks of a row's head; s [key, value] is where the state is kept up. */
static void head_forward(const delta_keep *k, const delta_sizes *n, delta_work *w, int64_t i,
                         real *s)
{
    if (k->in.start) {
        vec_copy(s, k->in.start->data + i * n->state, n->state);
    } else {
        vec_zero(s, n->state);
    }
    for (int64_t c = 0; c < n->chunks; c++) {
        delta_part p = part_of(k, n, i / n->value_heads, i % n->value_heads, c);
        if (k->starts) vec_copy(k->starts + (i * n->chunks + c) * n->state, s, n->state);
        chunk_forward(w, n, &p, s, c == 0 && !k->in.start, &k->in);
    }
}

tensor *op_delta(tape *t, const delta_rule *in, tensor **last)
{
    check_shapes(in);
    double since = tape_clock(t);
    delta_sizes n = sizes_of(in);
    bool wanted = tape_wants(t, 6, (tensor *[]){in->q, in->k, in->v, in->beta, in->g, in->start});
    delta_keep *k = tape_keep(t, 1, sizeof *k);
    *k = (delta_keep){.in = *in, .y = tape_like(t, in->v)};
    k->last = last ? tape_tensor(t, 3, (int64_t[]){n.rows, n.value_heads * n.key, n.value}) : NULL;
    int64_t states = n.rows * n.value_heads * n.chunks * n.state;
    if (wanted) k->starts = tape_keep(t, states, sizeof(real));
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    delta_work w = work_of(t, &n, false);
    /* The state is carried in the memory of `last`, or in scratch where nobody wants it. */
    real *shared = last ? NULL : ARENA_NEW(scratch, real, n.state);
    for (int64_t i = 0; i < n.rows * n.value_heads; i++) {
        head_forward(k, &n, &w, i, last ? k->last->data + i * n.state : shared);
    }
    arena_rewind(scratch, mark);
    if (wanted) tape_record(t, &DELTA, k, last ? 2 : 1, (tensor *[]){k->y, k->last});
    if (last) *last = k->last;
    tape_charge(t, &DELTA, since);
    return k->y;
}

/* Counted as they are computed, triangles by their strips, as blas_flops counts them. */
double op_delta_products(int64_t key, int64_t value, int64_t chunk, bool correct)
{
    double k = (double)key, v = (double)value;
    double row = triangle_elements(chunk) / (double)chunk; /* of N or P, its strips' */
    double solved = triangle_solve_elements(chunk) / (double)chunk;
    double scores = row * (k + v); /* q k^T, and P times values */
    return scores + 2 * k * v + (correct ? row * k + k * v + solved * v : 0);
}
