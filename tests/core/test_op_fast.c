/* Ops of ops_fast.h: gradients, the sums written out, and gradients as values against the tape's
 * own. */
#include "core/ops/ops.h"
#include "core/ops/ops_fast.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <string.h>

enum { ROWS = 2, TIME = 7, KEY = 3, VALUE = 4 };

typedef struct fast_case {
    real decay;
    int64_t chunk;
    bool want_last, starts;
} fast_case;

/* y and the carried sum in one tensor, so that both outputs' gradients are checked together. */
static tensor *join(tape *t, tensor *y, tensor *last)
{
    if (!last) return y;
    tensor *flat_y = tape_reshape(t, y, 1, (int64_t[]){tensor_count(y)});
    tensor *flat_last = tape_reshape(t, last, 1, (int64_t[]){tensor_count(last)});
    return op_concat(t, 2, (tensor *[]){flat_y, flat_last}, 0);
}

static tensor *build_attention(tape *t, tensor *const *in, void *user)
{
    const fast_case *c = user;
    tensor *last = NULL;
    causal_sums sums = {in[0], in[1], in[2], c->starts ? in[5] : NULL, c->decay, c->chunk};
    tensor *y = op_attention_step(t, in[3], in[4], &sums, c->want_last ? &last : NULL);
    return join(t, y, last);
}

/* In place of a copy: the check reads its inputs again. */
static tensor *build_running(tape *t, tensor *const *in, void *user)
{
    const fast_case *c = user;
    tensor *last = NULL;
    tensor *y = op_running_step(t, op_scale(t, in[0], 1), in[1], c->starts ? in[2] : NULL, in[3],
                                c->starts ? in[4] : NULL, c->decay, c->want_last ? &last : NULL);
    return join(t, y, last);
}

static tensor *build_linear(tape *t, tensor *const *in, void *user)
{
    const fast_case *c = user;
    causal_sums sums = {in[0], in[1], in[2], NULL, 1, c->chunk};
    return op_linear_step(t, in[3], c->starts ? in[4] : NULL, in[5], &sums);
}

static void steps_have_gradients(void)
{
    real q[ROWS * TIME * KEY], k[ROWS * TIME * KEY], v[ROWS * TIME * VALUE];
    real a[ROWS * TIME * VALUE], f[ROWS * TIME * VALUE];
    real start[ROWS * KEY * VALUE], start_sum[ROWS * VALUE];
    fill_uniform(q, ROWS * TIME * KEY, 1);
    fill_uniform(k, ROWS * TIME * KEY, 2);
    fill_uniform(v, ROWS * TIME * VALUE, 3);
    fill_uniform(start, ROWS * KEY * VALUE, 4);
    fill_uniform(start_sum, ROWS * VALUE, 5);
    fill_uniform(a, ROWS * TIME * VALUE, 6);
    fill_uniform(f, ROWS * TIME * VALUE, 7);
    fast_case cases[] = {{1, 1, false, false},         {1, 3, true, true},
                         {1, 3, false, true},          {(real)0.8, 2, true, false},
                         {(real)0.8, 3, false, false}, {(real)0.9, 64, true, true}};
    real steps[] = {(real)0.3, 0, -1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        real *s = &steps[i % 3];
        bool fixed = !cases[i].starts;
        const gradcheck_input attention[] = {{"q", 3, {ROWS, TIME, KEY}, q, false},
                                             {"k", 3, {ROWS, TIME, KEY}, k, false},
                                             {"v", 3, {ROWS, TIME, VALUE}, v, false},
                                             {"a", 3, {ROWS, TIME, VALUE}, a, false},
                                             {"s", 1, {1}, s, false},
                                             {"start", 3, {ROWS, KEY, VALUE}, start, fixed}};
        const gradcheck_input running[] = {{"a", 3, {ROWS, TIME, VALUE}, a, false},
                                           {"s", 1, {1}, s, false},
                                           {"f", 3, {ROWS, TIME, VALUE}, f, fixed},
                                           {"x", 3, {ROWS, TIME, VALUE}, v, false},
                                           {"start", 2, {ROWS, VALUE}, start_sum, fixed}};
        expect_gradients("attention step", 6, attention, build_attention, &cases[i], 0, 0);
        expect_gradients("running step", 5, running, build_running, &cases[i], 0, 0);
        const gradcheck_input linear[] = {
            {"q", 3, {ROWS, TIME, KEY}, q, false},   {"k", 3, {ROWS, TIME, KEY}, k, false},
            {"v", 3, {ROWS, TIME, VALUE}, v, false}, {"w", 2, {VALUE, KEY}, start, false},
            {"b", 1, {VALUE}, start_sum, fixed},     {"s", 1, {1}, s, false}};
        expect_gradients("linear step", 6, linear, build_linear, &cases[i], 0, 0);
    }
}

/* A map's steps are the map's values and the steps from these, forwards and backwards. Several
 * chunks of several strips of a triangle. */
static void steps_of_a_map(void)
{
    enum { LONG = 150, IN = 20, OUT = 9 };
    real q[2 * LONG * IN], k[2 * LONG * IN], v[2 * LONG * OUT], dy[2 * LONG * OUT];
    real w[OUT * IN], b[OUT], step = (real)0.02;
    fill_uniform(q, 2 * LONG * IN, 1);
    fill_uniform(k, 2 * LONG * IN, 2);
    fill_uniform(v, 2 * LONG * OUT, 3);
    fill_uniform(dy, 2 * LONG * OUT, 4);
    fill_uniform(w, OUT * IN, 5);
    fill_uniform(b, OUT, 6);
    const int64_t keys[] = {2, LONG, IN}, values[] = {2, LONG, OUT}, map[] = {OUT, IN};
    tape *t[] = {tape_new(), tape_new()};
    tensor *all[2][7];
    for (int whole = 0; whole < 2; whole++) {
        tape_reset(t[whole], true);
        tensor **x = all[whole];
        x[0] = tape_leaf(t[whole], q, 3, keys, true);
        x[1] = tape_leaf(t[whole], k, 3, keys, true);
        x[2] = tape_leaf(t[whole], v, 3, values, true);
        x[3] = tape_leaf(t[whole], w, 2, map, true);
        x[4] = tape_leaf(t[whole], b, 1, (int64_t[]){OUT}, true);
        x[5] = tape_leaf(t[whole], &step, 1, (int64_t[]){1}, true);
        causal_sums sums = {x[0], x[1], x[2], NULL, 1, 64};
        x[6] = whole ? op_linear_step(t[whole], x[3], x[4], x[5], &sums)
                     : op_attention_step(t[whole], op_linear(t[whole], x[0], x[3], x[4]), x[5],
                                         &sums, NULL);
        tape_seed(t[whole], x[6], dy);
        tape_run_backward(t[whole]);
    }
    /* Sums of some 10^4 products of numbers near 1, in an order of their own. */
    const double tolerance = REAL_IS_DOUBLE ? 1e-12 : 2e-5;
    expect_close("y", all[1][6]->data, all[0][6]->data, 2 * LONG * OUT, tolerance, 0);
    for (int i = 0; i < 6; i++) {
        expect_close("gradient", all[1][i]->grad, all[0][i]->grad, tensor_count(all[0][i]),
                     tolerance, 0);
    }
    tape_free(t[0]);
    tape_free(t[1]);
}

typedef struct sums_fixture {
    real q[TIME * KEY], k[TIME * KEY], v[TIME * VALUE], a[TIME * VALUE], f[TIME * VALUE];
    real step, decay;
} sums_fixture;

static sums_fixture fixture(void)
{
    sums_fixture f = {.step = (real)0.6, .decay = (real)0.75};
    fill_uniform(f.q, TIME * KEY, 1);
    fill_uniform(f.k, TIME * KEY, 2);
    fill_uniform(f.v, TIME * VALUE, 3);
    fill_uniform(f.a, TIME * VALUE, 4);
    fill_uniform(f.f, TIME * VALUE, 5);
    return f;
}

/* decay^(i - 1 - m) times q_i . k_m, or times 1 if there is no q. */
static real share(const sums_fixture *f, bool scores, int i, int m)
{
    real x = 0;
    for (int j = 0; scores && j < KEY; j++) {
        x += f->q[i * KEY + j] * f->k[m * KEY + j];
    }
    if (!scores) x = 1;
    for (int later = m + 1; later < i; later++) {
        x *= f->decay;
    }
    return x;
}

static void formula(const sums_fixture *f, bool scores, real *expected)
{
    for (int i = 0; i < TIME; i++) {
        for (int j = 0; j < VALUE; j++) {
            real c = 0;
            for (int m = 0; m < i; m++) {
                c += share(f, scores, i, m) * f->v[m * VALUE + j];
            }
            if (!scores) c *= f->f[i * VALUE + j];
            expected[i * VALUE + j] = f->a[i * VALUE + j] - f->step * c;
        }
    }
}

static void steps_are_their_formulas(void)
{
    sums_fixture f = fixture();
    real expected[TIME * VALUE];
    tape *t = tape_new();
    const int64_t values[] = {1, TIME, VALUE}, keys[] = {1, TIME, KEY};
    for (int64_t chunk = 0; chunk <= TIME + 1; chunk++) {
        tape_reset(t, false);
        tensor *a = tape_constant(t, f.a, 3, values), *v = tape_leaf(t, f.v, 3, values, false);
        tensor *s = tape_constant(t, &f.step, 1, (int64_t[]){1}), *y;
        if (chunk == 0) {
            tensor *factor = tape_leaf(t, f.f, 3, values, false);
            y = op_running_step(t, a, s, factor, v, NULL, f.decay, NULL);
        } else {
            causal_sums sums = {tape_leaf(t, f.q, 3, keys, false),
                                tape_leaf(t, f.k, 3, keys, false),
                                v,
                                NULL,
                                f.decay,
                                chunk};
            y = op_attention_step(t, a, s, &sums, NULL);
        }
        formula(&f, chunk > 0, expected);
        /* Sums of 6 products of 3: a few dozen roundings of float. */
        expect_close(chunk ? "attention step" : "running step", y->data, expected, TIME * VALUE,
                     REAL_IS_DOUBLE ? 1e-14 : 4e-6, 0);
    }
    tape_free(t);
}

static const int32_t TARGETS[] = {2, 0, 4, 1, 1, 3};
static const real WEIGHTS[] = {1, 1, 0, (real)0.5, 1, 1};

static tensor *build_ce(tape *t, tensor *const *in, void *user)
{
    (void)user;
    return op_cross_entropy_gradient(t, in[0], TARGETS, WEIGHTS, (real)0.25);
}

static tensor *build_norm(tape *t, tensor *const *in, void *user)
{
    (void)user;
    return op_layernorm_gradient(t, in[0], in[1], (real)0.1);
}

static tensor *build_relu2(tape *t, tensor *const *in, void *user)
{
    (void)user;
    return op_relu2_gradient(t, in[0], in[1]);
}

static void gradients_have_gradients(void)
{
    real a[6 * 5], b[6 * 5];
    fill_uniform(a, 6 * 5, 11);
    fill_uniform(b, 6 * 5, 12);
    for (int i = 0; i < 6 * 5; i++) {
        a[i] += a[i] > 0 ? (real)0.1 : (real)-0.1; /* away from the kink of relu */
    }
    const gradcheck_input in[] = {{"a", 2, {6, 5}, a, false}, {"b", 2, {6, 5}, b, false}};
    expect_gradients("cross-entropy gradient", 1, in, build_ce, NULL, 0, 0);
    expect_gradients("layer norm gradient", 2, in, build_norm, NULL, 0, 0);
    expect_gradients("relu2 gradient", 2, in, build_relu2, NULL, 0, 0);
}

/* What the ops call a gradient is what the tape finds. */
static void gradients_are_the_tapes(void)
{
    real x[6 * 5], dy[6 * 5], got[6 * 5];
    fill_uniform(x, 6 * 5, 21);
    fill_uniform(dy, 6 * 5, 22);
    const int64_t shape[] = {6, 5};
    /* Each element is a handful of operations on numbers near 1. */
    const double rtol = REAL_IS_DOUBLE ? 1e-14 : 2e-6;
    tape *t = tape_new();
    for (int which = 0; which < 3; which++) {
        tape_reset(t, true);
        tensor *leaf = tape_leaf(t, x, 2, shape, true);
        tensor *direction = tape_leaf(t, dy, 2, shape, false);
        tensor *value;
        if (which == 0) {
            value = op_cross_entropy_gradient(t, leaf, TARGETS, WEIGHTS, (real)0.25);
        } else if (which == 1) {
            value = op_layernorm_gradient(t, leaf, direction, (real)1e-5);
        } else {
            value = op_relu2_gradient(t, leaf, direction);
        }
        memcpy(got, value->data, sizeof got);
        tape_reset(t, true);
        leaf = tape_leaf(t, x, 2, shape, true);
        if (which == 0) {
            tape_backward(t, op_cross_entropy(t, leaf, TARGETS, WEIGHTS, (real)0.25, NULL), 1);
        } else {
            tensor *y = which == 1 ? op_layernorm(t, leaf, NULL, NULL, (real)1e-5)
                                   : op_activation(t, leaf, ACT_RELU2);
            tape_seed(t, y, dy);
            tape_run_backward(t);
        }
        expect_close("gradient", got, leaf->grad, 6 * 5, rtol, 0);
    }
    tape_free(t);
}

const test_suite test_op_fast = {"core/op_fast",
                                 {{"steps_have_gradients", steps_have_gradients},
                                  {"steps_of_a_map", steps_of_a_map},
                                  {"steps_are_their_formulas", steps_are_their_formulas},
                                  {"gradients_have_gradients", gradients_have_gradients},
                                  {"gradients_are_the_tapes", gradients_are_the_tapes},
                                  {0}}};
