/* A linear model per head that learns from what it reads: see ops_recurrent.h.
 *
 * A part is n positions of one chunk, from its i0-th on. It begins with W, b (as the chunk began)
 * and, of the chunk's earlier positions, the sums M = sum lr k^T dz, m = sum lr dz. Rows of Q, K, V
 * are its queries, keys, values; n() is the layer norm of a row without gain and bias.
 *
 *   Z = K W + b;  e = gain n(Z) + bias + K - V;  dZ = the gradient of e.e / 2 in Z
 *   A_ij = (q_i . k_j + 1) lr_j for j <= i
 *   C = A dZ + Q M + m;  U = Q W + b - pos C;  Y = Q + gain n(U) + bias       (pos: of each row)
 *   M' = M + (lr K)^T dZ, m' likewise; where the chunk ends W' = W - pos_last M', M' = 0
 *
 * and backwards, with W^, M^ the gradients of W' and M' (b^ and m^ go with them), where the chunk
 * ends first M^ = - pos_last W^:
 *
 *   dU = layer norm's;  R = pos dU;  dA = - R dZ^T on and below the diagonal;  T = dA lr (columns)
 *   D = - A^T R + lr (K M^ + m^)                                              the gradient of dZ
 *   dQ = dY + dU W^T - R M^T + T K
 *   dK = T^T Q + lr (dZ M^^T) + what D makes of e and Z
 *   dW = W^ + Q^T dU + K^T (D's gradient of Z);  dM = M^ - Q^T R
 *
 * dZ = (g - mean(g) - z mean(g z)) / s with z = n(Z), g = gain e and s the deviation: its backward
 * (the second order) is in second_order. */
#include "core/ops/blas.h"
#include "core/ops/ops_recurrent.h"
#include "core/ops/vec.h"

#include <math.h>

typedef struct ttt_keep {
    ttt_rule in;
    tensor *y, *last, *last_sum;
    real *starts;    /* [rows, heads, parts, dim + 1, dim]: W and b where each part begins */
    int64_t *begins; /* [parts + 1]: the parts' first positions in the call, and its length */
} ttt_keep;

typedef struct ttt_sizes {
    int64_t rows, time, heads, dim, width, parts, longest;
    int64_t state; /* numbers of W and b */
} ttt_sizes;

/* One part of one row and head; gradients are NULL where they are not wanted. */
typedef struct ttt_part {
    int64_t n, first;                 /* positions; the first one's place in its chunk */
    bool ends;                        /* the chunk ends behind them */
    const real *q, *k, *v, *lr, *pos; /* lr: heads apart */
    const real *gain, *bias;          /* [dim] */
    real *y;
    const real *dy;
    real *dq, *dk, *dv, *dlr, *dpos, *dgain, *dbias;
} ttt_part;

typedef struct ttt_work {
    const gemm_kernel *g;
    real *w, *sum;           /* W and b (backwards: M and m before), M and m: [dim + 1, dim] */
    real *hat, *s, *e, *dz;  /* n(Z), deviations [n], e, dZ: [n, dim] */
    real *dots, *a;          /* q . k + 1 and A: [n, n] */
    real *c, *u, *uhat, *us; /* C; U, and scratch before and after; n(U), its deviations */
    /* backwards */
    real *dw, *dsum;       /* W^, M^ */
    real *du, *r, *d, *dk; /* [n, dim] */
    real *da, *row;        /* [n, n], [dim] */
} ttt_work;

/* ---- parts ---- */

/* Positions from `at` of the call on that belong to one chunk. */
static int64_t part_length(const ttt_rule *in, int64_t at, int64_t time)
{
    int64_t phase = (in->phase + at) % in->block;
    int64_t chunk = MIN(in->chunk - phase % in->chunk, in->block - phase);
    return MIN(chunk, time - at);
}

static ttt_sizes sizes_of(const ttt_rule *in)
{
    const tensor *q = in->q;
    ttt_sizes n = {q->shape[0], q->shape[1], in->heads, q->shape[2] / in->heads,
                   q->shape[2], 0,           0,         0};
    n.state = (n.dim + 1) * n.dim;
    for (int64_t at = 0, length; at < n.time; at += length, n.parts++) {
        length = part_length(in, at, n.time);
        n.longest = MAX(n.longest, length);
    }
    return n;
}

static ttt_part part_of(const ttt_keep *k, const ttt_sizes *n, int64_t row, int64_t head,
                        int64_t part)
{
    const ttt_rule *in = &k->in;
    int64_t at = k->begins[part];
    int64_t phase = (in->phase + at) % in->block, first = phase % in->chunk;
    ttt_part p = {.n = k->begins[part + 1] - at, .first = first};
    int64_t wide = (row * n->time + at) * n->width + head * n->dim, features = head * n->dim;
    p.ends = first + p.n == in->chunk || phase + p.n == in->block;
    p.q = in->q->data + wide;
    p.k = in->k->data + wide;
    p.v = in->v->data + wide;
    p.lr = in->lr->data + (row * n->time + at) * n->heads + head;
    p.pos = in->pos->data + first;
    p.gain = in->gain->data + features;
    p.bias = in->bias->data + features;
    p.y = k->y->data + wide;
    return p;
}

static ttt_work work_of(tape *t, const ttt_sizes *n, bool back)
{
    int64_t c = n->longest, wide = c * n->dim;
    arena *a = tape_scratch(t);
    ttt_work w = {.g = tape_exact(t),
                  .w = ARENA_NEW(a, real, n->state),
                  .sum = ARENA_NEW(a, real, n->state),
                  .hat = ARENA_NEW(a, real, wide),
                  .s = ARENA_NEW(a, real, c),
                  .e = ARENA_NEW(a, real, wide),
                  .dz = ARENA_NEW(a, real, wide),
                  .dots = ARENA_NEW(a, real, c * c),
                  .a = ARENA_NEW(a, real, c * c),
                  .c = ARENA_NEW(a, real, wide),
                  .u = ARENA_NEW(a, real, wide),
                  .uhat = ARENA_NEW(a, real, wide),
                  .us = ARENA_NEW(a, real, c)};
    if (!back) return w;
    w.dw = ARENA_NEW(a, real, n->state);
    w.dsum = ARENA_NEW(a, real, n->state);
    w.du = ARENA_NEW(a, real, wide);
    w.r = ARENA_NEW(a, real, wide);
    w.d = ARENA_NEW(a, real, wide);
    w.dk = ARENA_NEW(a, real, wide);
    w.da = ARENA_NEW(a, real, c * c);
    w.row = ARENA_NEW(a, real, n->dim);
    return w;
}

/* ---- a part forwards ---- */

/* to [n, dim] = x m + b, m [dim, dim] with b as its row `dim`. */
static void affine(const gemm_kernel *g, real *to, const real *x, int64_t stride, const real *m,
                   int64_t n, int64_t dim)
{
    for (int64_t i = 0; i < n; i++) {
        vec_copy(to + i * dim, m + dim * dim, dim);
    }
    blas_gemm(g, false, false, n, dim, dim, 1, x, stride, m, dim, 1, to, dim);
}

/* hat = (x - mean) / s, row by row. */
static void normalise(real *hat, real *s, const real *x, int64_t n, int64_t dim, real eps)
{
    real per = 1 / (real)dim;
    for (int64_t i = 0; i < n; i++) {
        const real *from = x + i * dim;
        real *to = hat + i * dim, mean = per * vec_sum(from, dim);
        for (int64_t j = 0; j < dim; j++) {
            to[j] = from[j] - mean;
        }
        s[i] = (real)sqrt((double)(per * vec_dot(to, to, dim) + eps));
        vec_scale(to, 1 / s[i], dim);
    }
}

/* to = (g - mean(g) - hat mean(g hat)) / s: what a layer norm makes of a gradient g. */
static void norm_gradient(real *restrict to, const real *restrict g, const real *restrict hat,
                          real s, int64_t dim)
{
    real per = 1 / (real)dim, mean = per * vec_sum(g, dim), along = per * vec_dot(g, hat, dim);
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) {
        to[j] = (g[j] - mean - hat[j] * along) / s;
    }
}

/* n(Z), e and dZ. */
static void inner_gradient(const ttt_work *w, const ttt_sizes *n, const ttt_part *p,
                           const real *start, real eps)
{
    int64_t dim = n->dim;
    affine(w->g, w->u, p->k, n->width, start, p->n, dim);
    normalise(w->hat, w->s, w->u, p->n, dim, eps);
    for (int64_t i = 0; i < p->n; i++) {
        const real *k = p->k + i * n->width, *v = p->v + i * n->width, *hat = w->hat + i * dim;
        real *e = w->e + i * dim, *g = w->u + i * dim;
        for (int64_t j = 0; j < dim; j++) {
            e[j] = p->gain[j] * hat[j] + p->bias[j] + k[j] - v[j];
            g[j] = p->gain[j] * e[j];
        }
        norm_gradient(w->dz + i * dim, g, hat, w->s[i], dim);
    }
}

/* The dots of queries and keys, with 1 for b, and A; both 0 above the diagonal. */
static void scores(const ttt_work *w, const ttt_sizes *n, const ttt_part *p)
{
    int64_t count = p->n;
    blas_gemm(w->g, false, true, count, count, n->dim, 1, p->q, n->width, p->k, n->width, 0,
              w->dots, count);
    for (int64_t i = 0; i < count; i++) {
        real *dots = w->dots + i * count, *a = w->a + i * count;
        for (int64_t j = 0; j <= i; j++) {
            dots[j] += 1;
            a[j] = dots[j] * p->lr[j * n->heads];
        }
        vec_zero(dots + i + 1, count - i - 1);
        vec_zero(a + i + 1, count - i - 1);
    }
}

/* C and U, and n(U); sum NULL: nothing. */
static void answers(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                    const real *sum, real eps)
{
    int64_t dim = n->dim;
    if (sum) {
        affine(w->g, w->c, p->q, n->width, sum, p->n, dim);
    }
    blas_gemm(w->g, false, false, p->n, dim, p->n, 1, w->a, p->n, w->dz, dim, sum ? 1 : 0, w->c,
              dim);
    affine(w->g, w->u, p->q, n->width, start, p->n, dim);
    for (int64_t i = 0; i < p->n; i++) {
        vec_axpy(w->u + i * dim, -p->pos[i], w->c + i * dim, dim);
    }
    normalise(w->uhat, w->us, w->u, p->n, dim, eps);
}

/* sum += (lr K)^T dZ and lr dZ. */
static void learn(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *sum)
{
    int64_t dim = n->dim;
    for (int64_t i = 0; i < p->n; i++) {
        vec_scaled(w->c + i * dim, p->lr[i * n->heads], w->dz + i * dim, dim);
        vec_add(sum + dim * dim, w->c + i * dim, dim);
    }
    blas_gemm(w->g, true, false, dim, dim, p->n, 1, p->k, n->width, w->c, dim, 1, sum, dim);
}

/* start and sum become those behind the part. */
static void part_forward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *start,
                         real *sum, real eps)
{
    int64_t dim = n->dim;
    inner_gradient(w, n, p, start, eps);
    scores(w, n, p);
    answers(w, n, p, start, p->first > 0 ? sum : NULL, eps);
    for (int64_t i = 0; i < p->n; i++) {
        real *y = p->y + i * n->width;
        const real *q = p->q + i * n->width, *hat = w->uhat + i * dim;
        for (int64_t j = 0; j < dim; j++) {
            y[j] = q[j] + p->gain[j] * hat[j] + p->bias[j];
        }
    }
    learn(w, n, p, sum);
    if (!p->ends) return;
    vec_axpy(start, -p->pos[p->n - 1], sum, n->state);
    vec_zero(sum, n->state);
}

/* ---- and backwards ---- */

/* dU, R, and what y gives the norm; dQ = dY. */
static void answer_gradients(const ttt_work *w, const ttt_sizes *n, const ttt_part *p)
{
    int64_t dim = n->dim;
    for (int64_t i = 0; i < p->n; i++) {
        const real *dy = p->dy + i * n->width, *hat = w->uhat + i * dim;
        real *du = w->du + i * dim;
        if (p->dgain) vec_mul_add(p->dgain, dy, hat, dim);
        if (p->dbias) vec_add(p->dbias, dy, dim);
        if (p->dq) vec_add(p->dq + i * n->width, dy, dim);
        vec_copy(w->row, dy, dim);
        vec_mul(w->row, p->gain, dim);
        norm_gradient(du, w->row, hat, w->us[i], dim);
        if (p->dpos) p->dpos[i] -= vec_dot(du, w->c + i * dim, dim);
        vec_scaled(w->r + i * dim, p->pos[i], du, dim);
    }
}

/* T, D and dlr; dZ M^^T as dk. */
static void step_gradients(const ttt_work *w, const ttt_sizes *n, const ttt_part *p)
{
    int64_t dim = n->dim, count = p->n;
    blas_gemm(w->g, false, true, count, count, dim, -1, w->r, dim, w->dz, dim, 0, w->da, count);
    affine(w->g, w->d, p->k, n->width, w->dsum, count, dim); /* K M^ + m^ */
    for (int64_t j = 0; j < count; j++) {
        real lr = p->lr[j * n->heads];
        if (p->dlr) p->dlr[j * n->heads] += vec_dot(w->d + j * dim, w->dz + j * dim, dim);
        vec_scale(w->d + j * dim, lr, dim);
        for (int64_t i = j; i < count; i++) {
            real *da = &w->da[i * count + j];
            if (p->dlr) p->dlr[j * n->heads] += *da * w->dots[i * count + j];
            *da *= lr;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        vec_zero(w->da + i * count + i + 1, count - i - 1);
    }
    blas_gemm(w->g, true, false, count, dim, count, -1, w->a, count, w->r, dim, 1, w->d, dim);
    blas_gemm(w->g, false, true, count, dim, dim, 1, w->dz, dim, w->dsum, dim, 0, w->dk, dim);
    for (int64_t j = 0; j < count; j++) {
        vec_scale(w->dk + j * dim, p->lr[j * n->heads], dim);
    }
}

/* D becomes the gradient of Z, by way of dZ = (g - mean(g) - z mean(g z)) / s:
 *
 *   dg = (D - mean(D) - z mean(D z)) / s;  de = gain dg
 *   dz = gain de - (D mean(g z) + g mean(D z)) / s;  ds = - D . dZ / s
 *   dZ's own: norm_gradient(dz) + z ds / dim */
static void second_order(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, int64_t i)
{
    int64_t dim = n->dim;
    const real *hat = w->hat + i * dim, *e = w->e + i * dim, *gain = p->gain;
    real *d = w->d + i * dim, *row = w->row, *de = w->u, s = w->s[i], per = 1 / (real)dim;
    real along = 0, of_d = per * vec_dot(d, hat, dim);
    real ds = -vec_dot(d, w->dz + i * dim, dim) / s;
    for (int64_t j = 0; j < dim; j++) {
        along += per * gain[j] * e[j] * hat[j];
    }
    norm_gradient(row, d, hat, s, dim); /* dg */
    for (int64_t j = 0; j < dim; j++) {
        de[j] = gain[j] * row[j];
        if (p->dgain) p->dgain[j] += row[j] * e[j] + de[j] * hat[j];
        row[j] = gain[j] * de[j] - (d[j] * along + gain[j] * e[j] * of_d) / s;
    }
    if (p->dbias) vec_add(p->dbias, de, dim);
    if (p->dv) vec_axpy(p->dv + i * n->width, -1, de, dim);
    vec_add(w->dk + i * dim, de, dim);
    norm_gradient(d, row, hat, s, dim);
    vec_axpy(d, ds * per, hat, dim);
}

/* m [dim + 1, dim] += x^T a and the sum of a's rows, times scale. */
static void add_outer(const gemm_kernel *g, real *m, real scale, const real *x, int64_t stride,
                      const real *a, int64_t n, int64_t dim)
{
    blas_gemm(g, true, false, dim, dim, n, scale, x, stride, a, dim, 1, m, dim);
    for (int64_t i = 0; i < n; i++) {
        vec_axpy(m + dim * dim, scale, a + i * dim, dim);
    }
}

/* dQ and dK of the part; D is the gradient of Z. */
static void input_gradients(const ttt_work *w, const ttt_sizes *n, const ttt_part *p,
                            const real *start, const real *sum)
{
    int64_t dim = n->dim, wide = n->width, count = p->n;
    if (p->dq) {
        blas_gemm(w->g, false, true, count, dim, dim, 1, w->du, dim, start, dim, 1, p->dq, wide);
        if (sum)
            blas_gemm(w->g, false, true, count, dim, dim, -1, w->r, dim, sum, dim, 1, p->dq, wide);
        blas_gemm(w->g, false, false, count, dim, count, 1, w->da, count, p->k, wide, 1, p->dq,
                  wide);
    }
    if (!p->dk) return;
    blas_gemm(w->g, true, false, count, dim, count, 1, w->da, count, p->q, wide, 1, w->dk, dim);
    blas_gemm(w->g, false, true, count, dim, dim, 1, w->d, dim, start, dim, 1, w->dk, dim);
    for (int64_t i = 0; i < count; i++) {
        vec_add(p->dk + i * wide, w->dk + i * dim, dim);
    }
}

/* Where the chunk ends: W' = W - pos_last M'. `sum` is M and becomes M'. */
static void end_backward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *sum)
{
    learn(w, n, p, sum);
    if (p->dpos) p->dpos[p->n - 1] -= vec_dot(sum, w->dw, n->state);
    vec_scaled(w->dsum, -p->pos[p->n - 1], w->dw, n->state);
}

/* start is W and b, sum M and m where the part begins; sum may be changed. */
static void part_backward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p,
                          const real *start, real *sum, real eps)
{
    real *before = p->first > 0 ? w->w : NULL;
    if (before) vec_copy(before, sum, n->state);
    inner_gradient(w, n, p, start, eps);
    if (p->ends) end_backward(w, n, p, sum);
    scores(w, n, p);
    answers(w, n, p, start, before, eps);
    answer_gradients(w, n, p);
    step_gradients(w, n, p);
    for (int64_t i = 0; i < p->n; i++) {
        second_order(w, n, p, i);
    }
    input_gradients(w, n, p, start, before);
    add_outer(w->g, w->dw, 1, p->q, n->width, w->du, p->n, n->dim);
    add_outer(w->g, w->dw, 1, p->k, n->width, w->d, p->n, n->dim);
    if (before) add_outer(w->g, w->dsum, -1, p->q, n->width, w->r, p->n, n->dim);
}

/* ---- the op ---- */

typedef struct ttt_grads {
    real *q, *k, *v, *lr, *pos, *gain, *bias, *w, *b, *start, *sum;
} ttt_grads;

static real *moved(real *gradient, const real *at, const tensor *x)
{
    return gradient ? gradient + (at - x->data) : NULL;
}

static ttt_part part_back(const ttt_keep *k, const ttt_sizes *n, const ttt_grads *g, int64_t row,
                          int64_t head, int64_t part)
{
    const ttt_rule *in = &k->in;
    ttt_part p = part_of(k, n, row, head, part);
    p.dy = k->y->grad + (p.y - k->y->data);
    p.dq = moved(g->q, p.q, in->q);
    p.dk = moved(g->k, p.k, in->k);
    p.dv = moved(g->v, p.v, in->v);
    p.dlr = moved(g->lr, p.lr, in->lr);
    p.dpos = moved(g->pos, p.pos, in->pos);
    p.dgain = moved(g->gain, p.gain, in->gain);
    p.dbias = moved(g->bias, p.bias, in->bias);
    return p;
}

/* The call begins inside a chunk, which has earlier positions. */
static bool goes_on(const ttt_rule *in)
{
    return in->sum && in->phase % in->block % in->chunk > 0;
}

/* M and m where the call begins. */
static void begin_sum(real *sum, const ttt_rule *in, const ttt_sizes *n, int64_t i)
{
    if (goes_on(in)) {
        vec_copy(sum, in->sum->data + i * n->state, n->state);
    } else {
        vec_zero(sum, n->state);
    }
}

static void begin(real *w, real *sum, const ttt_rule *in, const ttt_sizes *n, int64_t i)
{
    int64_t square = n->dim * n->dim, head = i % n->heads;
    vec_copy(w, in->w->data + head * square, square);
    vec_copy(w + square, in->b->data + head * n->dim, n->dim);
    if (in->start) vec_add(w, in->start->data + i * n->state, n->state);
    begin_sum(sum, in, n, i);
}

/* *last is what was learned: W and b less where they began. */
static void hand_on(const ttt_keep *k, const ttt_sizes *n, const ttt_work *w, int64_t i)
{
    int64_t square = n->dim * n->dim, head = i % n->heads;
    real *last = k->last->data + i * n->state;
    vec_copy(last, w->w, n->state);
    vec_axpy(last, -1, k->in.w->data + head * square, square);
    vec_axpy(last + square, -1, k->in.b->data + head * n->dim, n->dim);
    vec_copy(k->last_sum->data + i * n->state, w->sum, n->state);
}

static void seed(real *to, const tensor *x, int64_t i, int64_t n)
{
    if (x && x->has_grad) {
        vec_copy(to, x->grad + i * n, n);
    } else {
        vec_zero(to, n);
    }
}

/* All parts of head i of rows x heads, from the last one. */
static void head_backward(const ttt_keep *k, const ttt_sizes *n, const ttt_work *w,
                          const ttt_grads *g, int64_t i)
{
    int64_t square = n->dim * n->dim, head = i % n->heads;
    seed(w->dw, k->last, i, n->state);
    seed(w->dsum, k->last_sum, i, n->state);
    for (int64_t part = n->parts; part-- > 0;) {
        ttt_part p = part_back(k, n, g, i / n->heads, head, part);
        if (part == 0) {
            begin_sum(w->sum, &k->in, n, i);
        } else {
            vec_zero(w->sum, n->state);
        }
        part_backward(w, n, &p, k->starts + (i * n->parts + part) * n->state, w->sum, k->in.eps);
    }
    if (g->start) vec_add(g->start + i * n->state, w->dw, n->state);
    if (g->sum && goes_on(&k->in)) vec_add(g->sum + i * n->state, w->dsum, n->state);
    /* last is W less w: what flowed into it is not of w, unless through W. */
    seed(w->dsum, k->last, i, n->state);
    vec_axpy(w->dw, -1, w->dsum, n->state);
    if (g->w) vec_add(g->w + head * square, w->dw, square);
    if (g->b) vec_add(g->b + head * n->dim, w->dw + square, n->dim);
}

static void ttt_backward(tape *t, void *keep)
{
    const ttt_keep *k = keep;
    const ttt_rule *in = &k->in;
    ttt_sizes n = sizes_of(in);
    ttt_grads g = {tape_grad(t, in->q),     tape_grad(t, in->k),   tape_grad(t, in->v),
                   tape_grad(t, in->lr),    tape_grad(t, in->pos), tape_grad(t, in->gain),
                   tape_grad(t, in->bias),  tape_grad(t, in->w),   tape_grad(t, in->b),
                   tape_grad(t, in->start), tape_grad(t, in->sum)};
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    ttt_work w = work_of(t, &n, true);
    for (int64_t i = 0; i < n.rows * n.heads; i++) {
        head_backward(k, &n, &w, &g, i);
    }
    arena_rewind(scratch, mark);
}

static const op_class TTT = {"ttt", ttt_backward};

static void check_shapes(const ttt_rule *in)
{
    const tensor *q = in->q;
    CHECK(q->rank == 3 && tensor_same_shape(q, in->k) && tensor_same_shape(q, in->v) &&
              q->shape[1] >= 1,
          "q, k, v [rows, time, width] wanted");
    CHECK(in->heads >= 1 && q->shape[2] % in->heads == 0 && in->chunk >= 1 && in->block >= 1 &&
              in->phase >= 0,
          "%lld heads, chunks of %lld", (long long)in->heads, (long long)in->chunk);
    int64_t width = q->shape[2], dim = width / in->heads;
    CHECK(tensor_count(in->lr) == q->shape[0] * q->shape[1] * in->heads &&
              tensor_count(in->pos) >= MIN(in->chunk, in->block),
          "lr [rows, time, heads] and pos [chunk] wanted");
    CHECK(tensor_count(in->gain) == width && tensor_count(in->bias) == width &&
              tensor_count(in->w) == width * dim && tensor_count(in->b) == width,
          "gain, bias, w, b of %lld heads wanted", (long long)in->heads);
    int64_t state = q->shape[0] * in->heads * (dim + 1) * dim;
    CHECK((!in->start || tensor_count(in->start) == state) &&
              (!in->sum || tensor_count(in->sum) == state),
          "states of %lld values wanted", (long long)state);
}

static void head_forward(const ttt_keep *k, const ttt_sizes *n, const ttt_work *w, int64_t i)
{
    begin(w->w, w->sum, &k->in, n, i);
    for (int64_t part = 0; part < n->parts; part++) {
        ttt_part p = part_of(k, n, i / n->heads, i % n->heads, part);
        if (k->starts) vec_copy(k->starts + (i * n->parts + part) * n->state, w->w, n->state);
        part_forward(w, n, &p, w->w, w->sum, k->in.eps);
    }
    if (k->last) hand_on(k, n, w, i);
}

static int64_t *begins_of(tape *t, const ttt_rule *in, const ttt_sizes *n)
{
    int64_t *begins = tape_keep(t, n->parts + 1, sizeof *begins);
    begins[0] = 0;
    for (int64_t part = 0; part < n->parts; part++) {
        begins[part + 1] = begins[part] + part_length(in, begins[part], n->time);
    }
    return begins;
}

tensor *op_ttt(tape *t, const ttt_rule *in, tensor **last, tensor **last_sum)
{
    check_shapes(in);
    double since = tape_clock(t);
    ttt_sizes n = sizes_of(in);
    ttt_keep *k = tape_keep(t, 1, sizeof *k);
    *k = (ttt_keep){.in = *in, .y = tape_like(t, in->q), .begins = begins_of(t, in, &n)};
    if (last) {
        int64_t shape[] = {n.rows, n.heads * (n.dim + 1), n.dim};
        *last = k->last = tape_tensor(t, 3, shape);
        *last_sum = k->last_sum = tape_tensor(t, 3, shape);
    }
    bool wanted = tape_wants(t, 11,
                             (tensor *[]){in->q, in->k, in->v, in->lr, in->pos, in->gain, in->bias,
                                          in->w, in->b, in->start, in->sum});
    int64_t states = n.rows * n.heads * n.parts * n.state;
    if (wanted) k->starts = tape_keep(t, states, sizeof(real));
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    ttt_work w = work_of(t, &n, false);
    for (int64_t i = 0; i < n.rows * n.heads; i++) {
        head_forward(k, &n, &w, i);
    }
    arena_rewind(scratch, mark);
    if (wanted) tape_record(t, &TTT, k, last ? 3 : 1, (tensor *[]){k->y, k->last, k->last_sum});
    tape_charge(t, &TTT, since);
    return k->y;
}

double op_ttt_products(int64_t dim, int64_t chunk, int64_t block)
{
    int64_t rest = block % chunk;
    double mean = (double)(block / chunk * chunk * chunk + rest * rest) / (double)block;
    return 3 * (double)dim + 2 * mean; /* z, q W and the sums; scores, and A dZ */
}
