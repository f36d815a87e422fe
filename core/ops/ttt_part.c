#include "core/ops/ttt_part.h"

#include "core/ops/blas.h"
#include "core/ops/vec.h"

#include <math.h>

ttt_work ttt_part_work(tape *t, const ttt_sizes *n, bool back)
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

/* ---- forwards ---- */

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
    /* C = A dZ + Q M + m;  U = Q W + b - pos C */
    if (sum) affine(w->g, w->c, p->q, n->width, sum, p->n, dim);
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

void ttt_part_forward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *start,
                      real *sum, real eps)
{
    int64_t dim = n->dim;
    inner_gradient(w, n, p, start, eps);
    scores(w, n, p);
    answers(w, n, p, start, p->first > 0 ? sum : NULL, eps);
    for (int64_t i = 0; i < p->n; i++) {
        /* Y = Q + gain n(U) + bias */
        real *y = p->y + i * n->width;
        const real *q = p->q + i * n->width, *hat = w->uhat + i * dim;
        for (int64_t j = 0; j < dim; j++) {
            y[j] = q[j] + p->gain[j] * hat[j] + p->bias[j];
        }
    }
    learn(w, n, p, sum);
    if (!p->ends) return;
    /* W' = W - pos_last M', and the next chunk's sums begin with nothing */
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
        /* dU = the norm's gradient of gain dY;  dpos_i = - dU_i . C_i;  R = pos dU */
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
    /* dA = - R dZ^T; of A_ij = (q_i . k_j + 1) lr_j and M' = ... + lr_j k_j^T dz_j comes dlr_j */
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
    /* D = lr (K M^ + m^) - A^T R;  dK = lr (dZ M^^T), for now */
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
    /* dQ += dU W^T - R M^T + T K */
    if (p->dq) {
        blas_gemm(w->g, false, true, count, dim, dim, 1, w->du, dim, start, dim, 1, p->dq, wide);
        if (sum)
            blas_gemm(w->g, false, true, count, dim, dim, -1, w->r, dim, sum, dim, 1, p->dq, wide);
        blas_gemm(w->g, false, false, count, dim, count, 1, w->da, count, p->k, wide, 1, p->dq,
                  wide);
    }
    if (!p->dk) return;
    /* dK += T^T Q + (Z's gradient) W^T, as Z = K W + b */
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

void ttt_part_backward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                       real *sum, real eps)
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
