#include <math.h>

#include "core/train/optim_parts.h"

/* A step is three passes over the flat vectors: the norm, which needs all of the gradient before
 * any of it is used; the clipping factor, one number; the rule. Threads take ranges of RANGE
 * elements from a list that is made once. An element's new value depends on nothing but the element
 * and scalars of the step, so who computes which range changes no bit; only the norm is a sum over
 * ranges, and it is added in their order by one thread.
 *
 * Gradients are not multiplied by the clipping factor in memory: the factor goes into the rule,
 * which saves a pass. The rules are single loops without calls or branches, with p, m, v and g
 * streaming through: their cost is memory traffic.
 *
 * Pieces that never had a gradient are passed over. Their moments are 0; by the rule they would
 * stay 0 and move nothing. With thousands of experts or rows of which few are touched this is most
 * of the traffic. */

/* ---- norm ---- */

/* One step's arguments, shared by the threads. */
typedef struct job {
    optim *m;
    real *values;
    const grads *g;
    double lr, scale;
} job;

/* In double: the square of any float fits, and 8192 of them, so that in the float build a sum is
 * finite exactly if all of its range is. Its lanes of partial sums are fixed by the compiler and
 * the instruction set, so one binary has one result. */
static void sum_squares(void *arg, int64_t item, int thread)
{
    (void)thread;
    const job *j = arg;
    const range *r = &j->m->ranges[item];
    double sum = 0;
    if (j->g->has[r->piece]) {
        const real *g = j->g->values + r->begin;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < r->count; i++) {
            sum += (double)g[i] * (double)g[i];
        }
    }
    j->m->sums[item] = sum;
}

/* Adds up each row's gradients, and the squares of the sums.
 * The norm is that of the whole gradient, in which a row that came twice counts once, with its sum.
 * By one thread: the rows of a step are few. What is added up here is used by step_tables below. */
static double sum_rows(optim *m, const grads *g, const char **bad)
{
    double all = 0;
    for (int i = 0; i < m->p->count; i++) {
        const param *q = &m->p->list[i];
        if (q->row_grads < 0) continue;
        CHECK(g->rows, "gradients of %s are not there by rows", q->name);
        row_sums *s = &m->rows[q->row_grads];
        row_sums_of(s, &g->rows[q->row_grads]);
        double sum = 0;
        for (int64_t k = 0; k < s->sums.count * s->sums.width; k++) {
            sum += (double)s->sums.values[k] * (double)s->sums.values[k];
        }
        if (!isfinite(sum)) *bad = q->name;
        all += sum;
    }
    return all;
}

static double norm_of(optim *m, const grads *g, lanes *pool, const char **bad)
{
    job j = {.m = m, .g = g};
    lanes_parallel(pool, sum_squares, &j, m->range_count);
    *bad = NULL;
    double sum = m->p->row_tables > 0 ? sum_rows(m, g, bad) : 0;
    /* In order and by one thread, whoever made the parts: equal bits for any number of threads. */
    for (int64_t i = 0; i < m->range_count; i++) {
        sum += m->sums[i];
        /* Of several the last, which a backward pass comes to first: what lies before it is broken
         * by what flows on. */
        if (!isfinite(m->sums[i])) *bad = m->ranges[i].p->name;
    }
    return sqrt(sum);
}

/* What a gradient is multiplied by, as PyTorch's clip_grad_norm_: the small number keeps a norm of
 * 0 from dividing. */
static double clip_scale(double norm, double clip)
{
    return MIN(1, clip / (norm + 1e-6));
}

/* ---- rules: p, m, v, g [n]; scalars are narrowed once, outside the loops ---- */

static inline real root(real x)
{
#ifdef LOCI_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

typedef struct adam_scalars {
    real scale, l2, keep; /* of g; added to g as l2 p; factor of p (1 - lr wd) */
    real beta1, beta2, rate, root_scale, eps;
    /* 1 - beta, subtracted in double: in float 1 - 0.999 is off by 1e-5 of itself. */
    real rest1, rest2;
} adam_scalars;

/* For each element, with g the clipped gradient and t the step:
 *
 *   g' = scale g + l2 p
 *   m  = b1 m + (1 - b1) g'
 *   v  = b2 v + (1 - b2) g'^2
 *   p  = keep p - rate m / (sqrt(v) root_scale + eps)
 *
 * rate = lr / (1 - b1^t), root_scale = 1 / sqrt(1 - b2^t): the corrections of both moments for
 * their start at zero. eps stands outside of the root, behind the correction, as in the paper and
 * in PyTorch. */
static void adam(real *restrict p, real *restrict m, real *restrict v, const real *restrict g,
                 int64_t n, adam_scalars s)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real gi = s.scale * g[i] + s.l2 * p[i];
        real mi = s.beta1 * m[i] + s.rest1 * gi;
        real vi = s.beta2 * v[i] + s.rest2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
        p[i] = s.keep * p[i] - s.rate * mi / (root(vi) * s.root_scale + s.eps);
    }
}

/* b = momentum b + g', without a damping factor: in the long run b is g / (1 - momentum), and lr
 * means what it means in PyTorch. Nesterov looks ahead by one more step of b. */
static void sgd(real *restrict p, real *restrict b, const real *restrict g, int64_t n, real scale,
                real l2, real rate, real momentum, bool nesterov)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real gi = scale * g[i] + l2 * p[i];
        real bi = momentum * b[i] + gi;
        b[i] = bi;
        p[i] -= rate * (nesterov ? gi + momentum * bi : bi);
    }
}

/* Apart from sgd, so that no memory is kept, and none streamed, for momentum that is 0. */
static void sgd_plain(real *restrict p, const real *restrict g, int64_t n, real scale, real l2,
                      real rate)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        p[i] -= rate * (scale * g[i] + l2 * p[i]);
    }
}

static void scale_by(real *p, int64_t n, real keep)
{
    for (int64_t i = 0; i < n; i++) {
        p[i] *= keep;
    }
}

/* ---- one step ---- */

/* decay_scale is 0 or 1: who decays was settled by roles and groups. */
static double decay_of(const optim *m, const param *p)
{
    return m->o.weight_decay * p->decay_scale;
}

/* adam: decay is a part of the gradient and so of the moments; adamw: of the parameter alone
 * (Loshchilov & Hutter 2019, arXiv:1711.05101). */
static adam_scalars adam_scalars_of(const job *j, const param *p)
{
    const optim_options *o = &j->m->o;
    double lr = j->lr * p->lr_scale, wd = decay_of(j->m, p), t = (double)j->m->steps;
    bool decoupled = o->kind == OPTIM_ADAMW;
    /* The moments' corrections by 1 - beta^t are the same for all numbers of a step: they stand
     * in rate and root_scale. */
    return (adam_scalars){.scale = (real)j->scale,
                          .l2 = (real)(decoupled ? 0 : wd),
                          .keep = (real)(decoupled ? 1 - lr * wd : 1),
                          .beta1 = (real)o->beta1,
                          .beta2 = (real)o->beta2,
                          .rate = (real)(lr / (1 - pow(o->beta1, t))),
                          .root_scale = (real)(1 / sqrt(1 - pow(o->beta2, t))),
                          .eps = (real)o->eps,
                          .rest1 = (real)(1 - o->beta1),
                          .rest2 = (real)(1 - o->beta2)};
}

/* g [count] of the range, or zeros; p, m and v in their flat vectors. */
static void step_adam(const job *j, const range *r, const real *g)
{
    const optim *m = j->m;
    real *p = j->values + r->begin;
    bool decoupled = m->o.kind == OPTIM_ADAMW, decays = decay_of(m, r->p) > 0;
    adam_scalars s = adam_scalars_of(j, r->p);
    /* With adam's coupled decay g' = l2 p is a gradient of its own: such a piece is not passed
     * over. */
    if (!m->touched[r->piece] && (decoupled || !decays)) { /* moments are 0 and stay so */
        if (decoupled && decays) scale_by(p, r->count, s.keep);
        return;
    }
    adam(p, m->m + r->begin, m->v + r->begin, g, r->count, s);
}

static void step_sgd(const job *j, const range *r, const real *g)
{
    const optim *m = j->m;
    real *p = j->values + r->begin;
    double wd = decay_of(m, r->p);
    real scale = (real)j->scale, l2 = (real)wd, rate = (real)(j->lr * r->p->lr_scale);
    if (!m->touched[r->piece] && wd <= 0) return;
    if (m->m) {
        sgd(p, m->m + r->begin, g, r->count, scale, l2, rate, (real)m->o.momentum, m->o.nesterov);
    } else {
        sgd_plain(p, g, r->count, scale, l2, rate);
    }
}

/* A range of adam or sgd. Where the piece had no gradient its buffer is undefined: zeros stand in.
 * list_ranges cuts at RANGE, so the zeros are long enough for any. */
static void step_range(void *arg, int64_t item, int thread)
{
    static const real zeros[RANGE];
    (void)thread;
    const job *j = arg;
    const range *r = &j->m->ranges[item];
    bool has = j->g->has[r->piece];
    if (!has && j->m->o.lazy) return;
    const real *g = has ? j->g->values + r->begin : zeros;
    if (j->m->o.kind == OPTIM_SGD) {
        step_sgd(j, r, g);
    } else {
        step_adam(j, r, g);
    }
}

/* Rows of one table, so many at a time. */
typedef struct row_job {
    job j;
    const param *p;
    const row_grads *sums;
} row_job;

enum { ROWS = 512 };

/* A row stands once in the sums (row_sums), so no two items write the same one. There is no decay
 * of sgd here: tables that decay do not go by rows (leaves_rows in optim_options.c). */
static void step_rows(void *arg, int64_t item, int thread)
{
    (void)thread;
    const row_job *r = arg;
    const optim *m = r->j.m;
    int64_t width = r->sums->width, end = MIN((item + 1) * ROWS, r->sums->count);
    adam_scalars s = adam_scalars_of(&r->j, r->p); /* sgd: the scale and the rate alone are used */
    for (int64_t i = item * ROWS; i < end; i++) {
        int64_t at = r->p->offset + r->sums->rows[i] * width;
        const real *g = r->sums->values + i * width;
        if (m->o.kind == OPTIM_SGD) {
            sgd_plain(r->j.values + at, g, width, s.scale, 0, (real)(r->j.lr * r->p->lr_scale));
        } else {
            adam(r->j.values + at, m->m + at, m->v + at, g, width, s);
        }
    }
}

/* One table after the other; within one, rows are shared among threads. */
static void step_tables(const job *j, lanes *pool)
{
    for (int i = 0; i < j->m->p->count; i++) {
        const param *q = &j->m->p->list[i];
        if (q->row_grads < 0) continue;
        row_job r = {.j = *j, .p = q, .sums = &j->m->rows[q->row_grads].sums};
        j->m->touched[q->first_piece] |= r.sums->count > 0;
        lanes_parallel(pool, step_rows, &r, (r.sums->count + ROWS - 1) / ROWS);
    }
}

/* A whole piece of adafactor.
 * beta2 is 0 in the first step: the moments begin as the first gradient's squares and need no
 * correction for their start. */
static void step_whole(void *arg, int64_t item, int thread)
{
    (void)thread;
    const job *j = arg;
    const optim *m = j->m;
    const optim_options *o = &m->o;
    const range *r = &m->wholes[item];
    bool has = j->g->has[r->piece];
    if (!has && o->lazy) return;
    double t = (double)m->steps;
    double rho = (o->relative_step ? MIN(j->lr, 1 / sqrt(t)) : j->lr) * r->p->lr_scale;
    adafactor_step how = {.beta2 = 1 - pow(t, -o->decay_power),
                          .eps1 = o->eps1,
                          .eps2 = o->eps2,
                          .update_clip = o->update_clip,
                          .rho = rho,
                          .decay = rho * decay_of(m, r->p),
                          .scale_parameter = o->scale_parameter};
    adafactor_update(j->values + r->begin, m->v + r->state, has ? j->g->values + r->begin : NULL,
                     adafactor_shape_of(r->p), j->scale, &how);
}

optim_report optim_step(optim *m, real *values, const grads *g, double lr, lanes *pool)
{
    optim_report report = {.scale = 1};
    report.norm = norm_of(m, g, pool, &report.bad);
    /* Checked before anything moves: one NaN would reach every parameter through the norm and the
     * clipping factor, and nothing would tell which one it was. */
    if (report.bad)
        return report; /* the parameters are as they were: what broke can be looked at */
    if (m->o.clip > 0) report.scale = clip_scale(report.norm, m->o.clip);
    for (int64_t i = 0; i < m->p->pieces; i++) {
        /* By one thread before the ranges are given out, which only read it. */
        m->touched[i] |= g->has[i];
    }
    m->steps++;
    job j = {.m = m, .values = values, .g = g, .lr = lr, .scale = report.scale};
    /* Whole pieces differ in size, unlike ranges: threads take them in order, one large one may
     * come last. */
    if (m->o.kind == OPTIM_ADAFACTOR) {
        lanes_parallel(pool, step_whole, &j, m->whole_count);
    } else {
        lanes_parallel(pool, step_range, &j, m->range_count);
    }
    if (m->p->row_tables > 0) step_tables(&j, pool);
    return report;
}

int64_t optim_steps(const optim *m)
{
    return m->steps;
}
