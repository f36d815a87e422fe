#include "core/ops/ttt_part.h"

#include "core/ops/activation.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

#include <math.h>

/* The order of the backward pass. W^ and M^ come from behind the part. (1) Where the chunk ends, M^
 * follows from W^. (2) The answers are made again, and dY goes through the last norm to dU. (3)
 * Each layer's step gives R, T and D, the last layer first, as its queries are the first one's
 * answers. (4) D, the gradient in the inner gradient dZ, becomes one in Z: the second derivative of
 * the inner loss. (5) From Z on it is an ordinary layer: to K and to the weights, the last layer
 * first again.
 *
 * The weights' gradients from queries (ttt_step_weights) and from keys (first_order) go into the
 * same sums, in this order: another order has other bits. */

static ttt_hidden hidden_work(tape *t, const ttt_sizes *n, bool back)
{
    arena *a = tape_scratch(t);
    int64_t wide = n->longest * n->hidden;
    ttt_hidden h = {.step = ttt_step_work(t, n->longest, n->dim, n->hidden, back),
                    .x = ARENA_NEW(a, real, wide),
                    .slope = ARENA_NEW(a, real, wide),
                    .h = ARENA_NEW(a, real, wide),
                    .answer_slope = ARENA_NEW(a, real, wide),
                    .back = ARENA_NEW(a, real, wide),
                    .z = ARENA_NEW(a, real, wide)};
    if (!back) return h;
    h.curve = ARENA_NEW(a, real, wide);
    h.dh = ARENA_NEW(a, real, wide);
    h.du = ARENA_NEW(a, real, wide);
    h.dx = ARENA_NEW(a, real, wide);
    return h;
}

ttt_work ttt_part_work(tape *t, const ttt_sizes *n, bool back)
{
    int64_t c = n->longest, wide = c * n->dim;
    arena *a = tape_scratch(t);
    /* The last layer's input: the hidden layer, or the keys. */
    int64_t in = n->hidden > 0 ? n->hidden : n->dim;
    ttt_work w = {.step = ttt_step_work(t, c, in, n->dim, back),
                  .w = ARENA_NEW(a, real, n->state),
                  .sum = ARENA_NEW(a, real, n->state),
                  .hat = ARENA_NEW(a, real, wide),
                  .s = ARENA_NEW(a, real, c),
                  .e = ARENA_NEW(a, real, wide),
                  .uhat = ARENA_NEW(a, real, wide),
                  .us = ARENA_NEW(a, real, c)};
    if (n->hidden > 0) w.hidden = hidden_work(t, n, back);
    if (!back) return w;
    w.dw = ARENA_NEW(a, real, n->state);
    w.dsum = ARENA_NEW(a, real, n->state);
    w.du = ARENA_NEW(a, real, wide);
    w.de = ARENA_NEW(a, real, wide);
    w.row = ARENA_NEW(a, real, n->dim);
    return w;
}

/* What the steps know of the part.
 * The first layer's keys and queries are rows of the projections, `width` apart; the second one's
 * are the hidden layer's, dense. */
static void begin_part(ttt_work *w, const ttt_sizes *n, const ttt_part *p)
{
    ttt_step *last = &w->step, *first = n->hidden > 0 ? &w->hidden.step : last;
    last->n = first->n = p->n;
    last->lr = first->lr = p->lr;
    last->pos = first->pos = p->pos;
    last->heads = first->heads = n->heads;
    first->q = p->q;
    first->k = p->k;
    first->stride = n->width;
    if (first == last) return;
    last->q = w->hidden.h;
    last->k = w->hidden.x;
    last->stride = n->hidden;
}

/* ---- forwards ---- */

/* hat = (x - mean) / s, row by row.
 * Deviations first, then their squares: nothing cancels. */
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

/* to = (g - mean(g) - hat mean(g hat)) / s: what a layer norm makes of a gradient g.
 * The Jacobian of a norm is symmetric, so this serves the inner gradient, the answers' norm and,
 * twice, the second order. */
static void norm_gradient(real *restrict to, const real *restrict g, const real *restrict hat,
                          real s, int64_t dim)
{
    real per = 1 / (real)dim, mean = per * vec_sum(g, dim), along = per * vec_dot(g, hat, dim);
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) {
        to[j] = (g[j] - mean - hat[j] * along) / s;
    }
}

/* Of a row: e = k + gain n(Z) + bias - v, what is off the layer's answer to k, which should be v;
 * and g = gain e, its gradient by n(Z). */
static void row_error(real *restrict e, real *restrict g, const real *restrict hat,
                      const real *restrict gain, const real *restrict bias, const real *restrict k,
                      const real *restrict v, int64_t dim)
{
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) {
        e[j] = gain[j] * hat[j] + bias[j] + k[j] - v[j];
        g[j] = gain[j] * e[j];
    }
}

/* n(Z), e and dZ; Z stands in U's place. */
static void last_gradient(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real eps)
{
    int64_t dim = n->dim;
    real *z = w->step.u;
    normalise(w->hat, w->s, z, p->n, dim, eps);
    for (int64_t i = 0; i < p->n; i++) {
        const real *hat = w->hat + i * dim;
        /* g takes Z's place: Z is needed no more. */
        real *g = z + i * dim;
        row_error(w->e + i * dim, g, hat, p->gain, p->bias, p->k + i * n->width,
                  p->v + i * n->width, dim);
        norm_gradient(w->step.dz + i * dim, g, hat, w->s[i], dim);
    }
}

/* dZ of every layer.
 * All at the weights where the chunk began, `start`: positions of a chunk do not wait for each
 * other, which is what makes a chunk products of matrices. */
static void inner_gradient(const ttt_work *w, const ttt_sizes *n, const ttt_part *p,
                           const real *start, real eps)
{
    const ttt_step *s = &w->step;
    const ttt_hidden *h = &w->hidden;
    const real *last = start + n->first;
    if (n->hidden > 0) {
        ttt_step_affine(&h->step, h->z, p->k, n->width, start);
        activation_value_slope(h->x, h->slope, h->z, p->n * n->hidden, ACT_GELU_TANH);
    }
    ttt_step_affine(s, s->u, s->k, s->stride, last);
    last_gradient(w, n, p, eps);
    if (n->hidden == 0) return;
    /* dZ1 = (dZ W2^T) f'(Z1) */
    blas_gemm(s->g, false, true, p->n, n->hidden, n->dim, 1, s->dz, n->dim, last, n->dim, 0,
              h->back, n->hidden);
    /* back, without the slope, is wanted once more by the second order. */
    vec_copy(h->step.dz, h->back, p->n * n->hidden);
    vec_mul(h->step.dz, h->slope, p->n * n->hidden);
}

/* U and n(U); sum NULL: nothing was learned in the chunk before. */
static void answers(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                    const real *sum, real eps)
{
    const ttt_hidden *h = &w->hidden;
    if (n->hidden > 0) {
        ttt_step_answer(&h->step, start, sum);
        activation_value_slope(h->h, h->answer_slope, h->step.u, p->n * n->hidden, ACT_GELU_TANH);
    }
    ttt_step_answer(&w->step, start + n->first, sum ? sum + n->first : NULL);
    normalise(w->uhat, w->us, w->step.u, p->n, n->dim, eps);
}

static void learn(const ttt_work *w, const ttt_sizes *n, real *sum)
{
    if (n->hidden > 0) ttt_step_learn(&w->hidden.step, sum);
    ttt_step_learn(&w->step, sum + n->first);
}

void ttt_part_forward(ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *start, real *sum,
                      real eps)
{
    int64_t dim = n->dim;
    begin_part(w, n, p);
    inner_gradient(w, n, p, start, eps);
    answers(w, n, p, start, p->first > 0 ? sum : NULL, eps);
    for (int64_t i = 0; i < p->n; i++) {
        /* Y = Q + gain n(U) + bias */
        real *y = p->y + i * n->width;
        const real *q = p->q + i * n->width, *hat = w->uhat + i * dim;
        for (int64_t j = 0; j < dim; j++) {
            y[j] = q[j] + p->gain[j] * hat[j] + p->bias[j];
        }
    }
    learn(w, n, sum);
    if (!p->ends) return;
    /* W' = W - pos_last M', and the next chunk's sums begin with nothing */
    vec_axpy(start, -p->pos[p->n - 1], sum, n->state);
    vec_zero(sum, n->state);
}

/* ---- and backwards ---- */

/* dU, and what y gives the norm; dQ = dY. */
static void answer_gradients(const ttt_work *w, const ttt_sizes *n, const ttt_part *p)
{
    int64_t dim = n->dim;
    for (int64_t i = 0; i < p->n; i++) {
        const real *dy = p->dy + i * n->width, *hat = w->uhat + i * dim;
        if (p->dgain) vec_mul_add(p->dgain, dy, hat, dim);
        if (p->dbias) vec_add(p->dbias, dy, dim);
        if (p->dq) vec_add(p->dq + i * n->width, dy, dim);
        /* dU = the norm's gradient of gain dY */
        vec_copy(w->row, dy, dim);
        vec_mul(w->row, p->gain, dim);
        norm_gradient(w->du + i * dim, w->row, hat, w->us[i], dim);
    }
}

/* dg [dim] becomes the part of dz that does not go through the norm again, and de = gain dg;
 * dgain NULL: not wanted. */
static void through_gain(real *restrict dg, real *restrict de, real *restrict dgain,
                         const real *restrict gain, const real *restrict e,
                         const real *restrict hat, const real *restrict d, real along, real of_d,
                         real s, int64_t dim)
{
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) {
        de[j] = gain[j] * dg[j];
    }
    if (dgain) {
#pragma omp simd
        for (int64_t j = 0; j < dim; j++) {
            dgain[j] += dg[j] * e[j] + de[j] * hat[j];
        }
    }
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) {
        dg[j] = gain[j] * de[j] - (d[j] * along + gain[j] * e[j] * of_d) / s;
    }
}

/* D becomes the gradient of Z, by way of dZ = (g - mean(g) - z mean(g z)) / s:
 *
 *   dg = (D - mean(D) - z mean(D z)) / s;  de = gain dg
 *   dz = gain de - (D mean(g z) + g mean(D z)) / s;  ds = - D . dZ / s
 *   dZ's own: norm_gradient(dz) + z ds / dim
 *
 * de is of K, too: into dk.
 * With g = gain e: the first line is the norm's Jacobian, symmetric, applied to D. z stands in dZ
 * three times: in e (through gain), as the factor of mean(g z), and inside of that mean. s divides
 * all of it, and Z reaches z and s like any norm's input: ds/dZ = z / dim. */
static void second_order(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, int64_t i,
                         real *dk)
{
    int64_t dim = n->dim;
    const real *hat = w->hat + i * dim, *e = w->e + i * dim, *gain = p->gain;
    real *d = w->step.d + i * dim, *row = w->row, *de = w->de, s = w->s[i], per = 1 / (real)dim;
    /* along = mean(g z), of_d = mean(D z) */
    real along = 0, of_d = per * vec_dot(d, hat, dim);
    real ds = -vec_dot(d, w->step.dz + i * dim, dim) / s;
    for (int64_t j = 0; j < dim; j++) {
        along += per * gain[j] * e[j] * hat[j];
    }
    norm_gradient(row, d, hat, s, dim); /* dg */
    through_gain(row, de, p->dgain, gain, e, hat, d, along, of_d, s, dim);
    if (p->dbias) vec_add(p->dbias, de, dim);
    if (p->dv) vec_axpy(p->dv + i * n->width, -1, de, dim);
    vec_add(dk + i * dim, de, dim);
    norm_gradient(d, row, hat, s, dim);
    vec_axpy(d, ds * per, hat, dim);
}

/* f''(Z1): f = x s, s = sigmoid(v), v = c (x + a x^3);
 * f'' = 2 s' + x s'',  s' = s (1 - s) v',  s'' = s (1 - s) ((1 - 2 s) v'^2 + v''). */
static void curvature(real *restrict curve, const real *restrict z, int64_t n)
{
    const real c = (real)1.59576912160573071176, a = (real)0.044715; /* c = 2 sqrt(2 / pi) */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real x = z[i], s = vm_sigmoid(c * (x + a * x * x * x)), v = c * (1 + 3 * a * x * x);
        curve[i] = s * (1 - s) * (2 * v + x * ((1 - 2 * s) * v * v + 6 * a * c * x));
    }
}

/* The hidden layer's step, and what reaches the last layer's dZ through its own.
 * back = dZ W2^T, so dZ gets h->dx W2, and W2 gets h->dx^T dZ. */
static void hidden_gradients(const ttt_work *w, const ttt_sizes *n, const ttt_part *p,
                             const real *start, const real *before)
{
    const ttt_hidden *h = &w->hidden;
    const ttt_step *s = &h->step;
    int64_t wide = p->n * n->hidden;
    const real *last = start + n->first;
    /* H = f(U1): dU1 = dH f'(U1) */
    vec_copy(h->du, h->dh, wide);
    vec_mul(h->du, h->answer_slope, wide);
    ttt_step_backward(s, h->du, start, before, w->dsum, p->dq, n->width, p->dlr, p->dpos);
    /* dZ1 = back f'(Z1): D is its gradient; h->dx that of `back`, h->curve that of Z1. */
    curvature(h->curve, h->z, wide);
    vec_mul(h->curve, h->back, wide);
    vec_mul(h->curve, s->d, wide);
    vec_copy(h->dx, s->d, wide);
    vec_mul(h->dx, h->slope, wide);
    blas_gemm(s->g, false, false, p->n, n->dim, n->hidden, 1, h->dx, n->hidden, last, n->dim, 1,
              w->step.d, n->dim);
    blas_gemm(s->g, true, false, n->hidden, n->dim, p->n, 1, h->dx, n->hidden, w->step.dz, n->dim,
              1, w->dw + n->first, n->dim);
}

/* From the gradient of Z (the step's D) to that of K, and to the weights. */
static void first_order(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start)
{
    const ttt_hidden *h = &w->hidden;
    const ttt_step *s = &w->step, *first = s;
    ttt_step_keys(s);
    /* dK += (Z's gradient) W^T, dW += K^T (Z's gradient), as Z = K W + b; K is X in two layers */
    blas_gemm(s->g, false, true, p->n, s->in, n->dim, 1, s->d, n->dim, start + n->first, n->dim, 1,
              s->dk, s->in);
    ttt_step_outer(s, w->dw + n->first, 1, s->k, s->stride, s->d);
    if (n->hidden > 0) { /* Z1's: through X, and what is in f'' already */
        first = &h->step;
        ttt_step_keys(first);
        vec_mul_add(h->curve, s->dk, h->slope, p->n * n->hidden);
        const real *of_z = h->curve;
        blas_gemm(s->g, false, true, p->n, n->dim, n->hidden, 1, of_z, n->hidden, start, n->hidden,
                  1, first->dk, n->dim);
        ttt_step_outer(first, w->dw, 1, p->k, n->width, of_z);
    }
    for (int64_t i = 0; p->dk && i < p->n; i++) {
        vec_add(p->dk + i * n->width, first->dk + i * n->dim, n->dim);
    }
}

/* Where the chunk ends: W' = W - pos_last M'. `sum` is M and becomes M'.
 * M' leads nowhere else: the next chunk begins with 0, so M^ is overwritten and not added to. */
static void end_backward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *sum)
{
    learn(w, n, sum);
    if (p->dpos) p->dpos[p->n - 1] -= vec_dot(sum, w->dw, n->state);
    vec_scaled(w->dsum, -p->pos[p->n - 1], w->dw, n->state);
}

void ttt_part_backward(ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                       real *sum, real eps)
{
    real *before = p->first > 0 ? w->w : NULL;
    const ttt_step *s = &w->step;
    ttt_hidden *h = &w->hidden;
    bool deep = n->hidden > 0;
    begin_part(w, n, p);
    /* A copy, as end_backward goes on to M' in `sum`, and the answers need M. */
    if (before) vec_copy(before, sum, n->state);
    inner_gradient(w, n, p, start, eps);
    if (p->ends) end_backward(w, n, p, sum);
    answers(w, n, p, start, before, eps);
    answer_gradients(w, n, p);
    if (deep) vec_zero(h->dh, p->n * n->hidden);
    ttt_step_backward(s, w->du, start + n->first, before ? before + n->first : NULL,
                      w->dsum + n->first, deep ? h->dh : p->dq, deep ? n->hidden : n->width, p->dlr,
                      p->dpos);
    if (deep) hidden_gradients(w, n, p, start, before);
    for (int64_t i = 0; i < p->n; i++) {
        second_order(w, n, p, i, deep ? h->step.dk : s->dk);
    }
    ttt_step_weights(s, w->du, w->dw + n->first, w->dsum + n->first, before != NULL);
    if (deep) ttt_step_weights(&h->step, h->du, w->dw, w->dsum, before != NULL);
    first_order(w, n, p, start);
}
