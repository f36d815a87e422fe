#include "tests/support/gradcheck.h"

#include "core/ops/ops.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Truncation leaves h^4 / 30 = 3e-14 of the fifth derivative, rounding 1e-16 / h = 1e-13 of L. */
static const double GRADCHECK_STEP = 1e-3;

void fill_uniform(real *x, int64_t n, uint32_t seed)
{
    uint64_t state = (uint64_t)(seed * 2654435761u) + 88172645463325252u;
    for (int64_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        /* 24 bits: exact in float, so that both builds see the same numbers. */
        x[i] = (real)((double)(state >> 40) / 8388608.0 - 1.0);
    }
}

double five_point(double (*f)(void *user), void *user, real *x, double h)
{
    const real old = *x;
    const int steps[4] = {-2, -1, 1, 2};
    double at[4];
    for (int i = 0; i < 4; i++) {
        *x = old + (real)(steps[i] * h);
        at[i] = f(user);
    }
    *x = old;
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h);
}

typedef struct job {
    int n;
    const gradcheck_input *inputs;
    gradcheck_build build;
    void *user;
    tape *t;
    real *cotangent; /* [capacity] */
    int64_t capacity;
} job;

static int64_t input_count(const gradcheck_input *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++) {
        count *= x->shape[i];
    }
    return count;
}

/* Resets the tape and makes leaves; `only` < 0: all that are not fixed want gradients. */
static void make_leaves(job *j, bool recording, int only, tensor **leaf)
{
    tape_reset(j->t, recording);
    for (int i = 0; i < j->n; i++) {
        const gradcheck_input *x = &j->inputs[i];
        bool wants = !x->fixed && (only < 0 || only == i);
        leaf[i] = tape_leaf(j->t, x->data, x->rank, x->shape, wants);
    }
}

static const real *cotangent(job *j, int64_t count)
{
    if (count > j->capacity) {
        free(j->cotangent);
        j->cotangent = calloc((size_t)count, sizeof(real));
        CHECK(j->cotangent, "out of memory for %lld values", (long long)count);
        j->capacity = count;
        fill_uniform(j->cotangent, count, 77);
    }
    return j->cotangent;
}

static double value(void *user)
{
    job *j = user;
    tensor *leaf[GRADCHECK_INPUTS];
    make_leaves(j, false, -1, leaf);
    tensor *y = j->build(j->t, leaf, j->user);
    int64_t count = tensor_count(y);
    const real *c = cotangent(j, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)c[i] * (double)y->data[i];
    }
    return sum;
}

/* Gradients of all inputs (or of one), after `times` builds on one tape; copied to grads[i]. */
static void analytic(job *j, int only, int times, real *const *grads)
{
    tensor *leaf[GRADCHECK_INPUTS];
    make_leaves(j, true, only, leaf);
    for (int k = 0; k < times; k++) {
        tensor *y = j->build(j->t, leaf, j->user);
        tape_seed(j->t, y, cotangent(j, tensor_count(y)));
    }
    tape_run_backward(j->t);
    for (int i = 0; i < j->n; i++) {
        size_t bytes = (size_t)input_count(&j->inputs[i]) * sizeof(real);
        if (j->inputs[i].fixed || (only >= 0 && only != i)) continue;
        if (leaf[i]->has_grad) {
            memcpy(grads[i], leaf[i]->grad, bytes);
        } else {
            memset(grads[i], 0, bytes);
        }
    }
}

static double difference(job *j, real *x)
{
    return five_point(value, j, x, GRADCHECK_STEP * fmax(1, fabs((double)*x)));
}

static double rms(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum / (double)MAX(n, 1));
}

static void note(gradcheck_result *r, const char *input, int64_t element, double got,
                 double expected, double scale)
{
    double off = got == expected ? 0 : fabs(got - expected) / fmax(fabs(expected), scale);
    if (off <= r->worst) return;
    *r = (gradcheck_result){isnan(off) ? HUGE_VAL : off, input, element, got, expected};
}

static void check_input(job *j, int i, const real *grad, int samples, gradcheck_result *r)
{
    const gradcheck_input *x = &j->inputs[i];
    int64_t n = input_count(x), step = samples > 0 ? MAX(1, n / samples) : 1;
    /* A gradient that is zero everywhere is compared absolutely. */
    double scale = rms(grad, n);
    if (scale == 0) scale = 1;
    for (int64_t e = 0; e < n; e += step) {
        note(r, x->name, e, (double)grad[e], difference(j, &x->data[e]), scale);
    }
}

/* times * expected against got, up to the order of additions. */
static void check_same(const gradcheck_input *x, const real *got, const real *expected,
                       double times, gradcheck_result *r)
{
    int64_t n = input_count(x);
    double scale = times * rms(expected, n);
    if (scale == 0) scale = 1;
    for (int64_t e = 0; e < n; e++) {
        note(r, x->name, e, (double)got[e], times * (double)expected[e], scale);
    }
}

static real **grads_new(const job *j)
{
    real **grads = calloc((size_t)j->n + 1, sizeof *grads);
    CHECK(grads, "out of memory for %d gradients", j->n);
    for (int i = 0; i < j->n; i++) {
        grads[i] = calloc((size_t)input_count(&j->inputs[i]) + 1, sizeof(real));
        CHECK(grads[i], "out of memory for the gradient of %s", j->inputs[i].name);
    }
    return grads;
}

static void grads_free(const job *j, real **grads)
{
    for (int i = 0; i < j->n; i++) {
        free(grads[i]);
    }
    free(grads);
}

gradcheck_result gradcheck(int n, const gradcheck_input *inputs, gradcheck_build build, void *user,
                           int samples)
{
    gradcheck_result r = {0};
    CHECK(n <= GRADCHECK_INPUTS, "%d inputs", n);
    if (!REAL_IS_DOUBLE) return r;
    job j = {.n = n, .inputs = inputs, .build = build, .user = user, .t = tape_new()};
    real **all = grads_new(&j), **other = grads_new(&j);
    analytic(&j, -1, 1, all);
    analytic(&j, -1, 2, other);
    for (int i = 0; i < n; i++) {
        if (!inputs[i].fixed) check_same(&inputs[i], other[i], all[i], 2, &r);
    }
    for (int i = 0; i < n; i++) {
        if (inputs[i].fixed) continue;
        analytic(&j, i, 1, other);
        check_same(&inputs[i], other[i], all[i], 1, &r);
        check_input(&j, i, all[i], samples, &r);
    }
    grads_free(&j, all);
    grads_free(&j, other);
    free(j.cotangent);
    tape_free(j.t);
    return r;
}

void expect_gradients(const char *what, int n, const gradcheck_input *inputs, gradcheck_build build,
                      void *user, int samples, double tolerance)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("gradients are checked in the double build (make KIND=f64)");
        return;
    }
    gradcheck_result r = gradcheck(n, inputs, build, user, samples);
    EXPECT(r.worst <= (tolerance > 0 ? tolerance : 1e-6),
           "%s: gradient of %s[%lld] is %.12g, differences say %.12g (off by %.3g relative)", what,
           r.input ? r.input : "?", (long long)r.element, r.analytic, r.numeric, r.worst);
}
