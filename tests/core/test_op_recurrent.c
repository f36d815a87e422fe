/* The delta rule and the learner at the ends of what they are given: decays of 0 and of 1, one
 * position, chunks that do not divide the text, steps of nothing. Against the rule, position by
 * position. */
#include "core/ops/ops_recurrent.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { ROWS = 2, HEADS = 2, KEY = 3, VALUE = 4, LONGEST = 37 };
enum { KEYS = HEADS * KEY, VALUES = HEADS * VALUE, STATE = KEY * VALUE };

/* ---- the gated delta rule ---- */

typedef struct delta_case {
    real q[ROWS * LONGEST * KEYS], k[ROWS * LONGEST * KEYS], v[ROWS * LONGEST * VALUES];
    real beta[ROWS * LONGEST * HEADS], g[ROWS * LONGEST * HEADS], start[ROWS * HEADS * STATE];
    double y[ROWS * LONGEST * VALUES], last[ROWS * HEADS * STATE];
} delta_case;

/* S <- exp(g) S; S <- S + k (beta (v - S^T k))^T; y = S^T q. */
static void follow(delta_case *c, int64_t time)
{
    for (int64_t i = 0; i < ROWS * HEADS; i++) {
        int64_t row = i / HEADS, head = i % HEADS;
        double *s = c->last + i * STATE;
        for (int n = 0; n < STATE; n++) {
            s[n] = (double)c->start[i * STATE + n];
        }
        for (int64_t at = row * time; at < (row + 1) * time; at++) {
            const real *q = c->q + at * KEYS + head * KEY, *k = c->k + at * KEYS + head * KEY;
            double decay = exp((double)c->g[at * HEADS + head]);
            for (int j = 0; j < VALUE; j++) {
                double there = 0, y = 0;
                for (int n = 0; n < KEY; n++) {
                    s[n * VALUE + j] *= decay;
                    there += s[n * VALUE + j] * (double)k[n];
                }
                double u = (double)c->beta[at * HEADS + head] *
                           ((double)c->v[at * VALUES + head * VALUE + j] - there);
                for (int n = 0; n < KEY; n++) {
                    s[n * VALUE + j] += (double)k[n] * u;
                    y += s[n * VALUE + j] * (double)q[n];
                }
                c->y[at * VALUES + head * VALUE + j] = y;
            }
        }
    }
}

static void fill(delta_case *c, real g)
{
    fill_uniform(c->q, ROWS * LONGEST * KEYS, 1);
    fill_uniform(c->k, ROWS * LONGEST * KEYS, 2);
    fill_uniform(c->v, ROWS * LONGEST * VALUES, 3);
    fill_uniform(c->beta, ROWS * LONGEST * HEADS, 4);
    fill_uniform(c->start, ROWS * HEADS * STATE, 5);
    for (int i = 0; i < ROWS * LONGEST * HEADS; i++) {
        c->beta[i] = (real)0.5 + c->beta[i] / 4;
        /* Now and then: what stands between is of both sides. */
        c->g[i] = i % 5 < 3 ? g : 0;
    }
}

static void near(const char *what, const real *got, const double *expected, int64_t n)
{
    real want[ROWS * LONGEST * VALUES];
    for (int64_t i = 0; i < n; i++) {
        want[i] = (real)expected[i];
    }
    /* Sums of some tens of products of numbers of size 1, in other orders. */
    expect_close(what, got, want, n, REAL_IS_DOUBLE ? 1e-12 : 2e-5, REAL_IS_DOUBLE ? 1e-13 : 1e-5);
}

static void all_finite(const char *what, const tensor *x)
{
    for (int64_t i = 0; i < tensor_count(x); i++) {
        EXPECT(isfinite(x->grad[i]), "gradient of %s, element %lld", what, (long long)i);
    }
}

static void delta_at(delta_case *c, int64_t time, int64_t chunk)
{
    tape *t = tape_new();
    tape_reset(t, true);
    int64_t keys[] = {ROWS, time, KEYS}, values[] = {ROWS, time, VALUES};
    int64_t ones[] = {ROWS, time, HEADS}, state[] = {ROWS, HEADS * KEY, VALUE};
    delta_rule in = {.q = tape_leaf(t, c->q, 3, keys, true),
                     .k = tape_leaf(t, c->k, 3, keys, true),
                     .v = tape_leaf(t, c->v, 3, values, true),
                     .beta = tape_leaf(t, c->beta, 3, ones, true),
                     .g = tape_leaf(t, c->g, 3, ones, true),
                     .start = tape_leaf(t, c->start, 3, state, true),
                     .heads = HEADS,
                     .value_heads = HEADS,
                     .chunk = chunk,
                     .scale = 1,
                     .correct = true};
    tensor *last, *y = op_delta(t, &in, &last);
    follow(c, time);
    near("y", y->data, c->y, ROWS * time * VALUES);
    near("the state", last->data, c->last, ROWS * HEADS * STATE);
    tape_backward(t, op_add(t, op_sum(t, y), op_sum(t, last)), 1);
    all_finite("q", in.q);
    all_finite("k", in.k);
    all_finite("v", in.v);
    all_finite("beta", in.beta);
    all_finite("g", in.g);
    all_finite("start", in.start);
    for (int64_t i = 0; i < ROWS * time * HEADS; i++) {
        if (c->g[i] > -500) continue;
        EXPECT(in.g->grad[i] >= 0 && in.g->grad[i] <= 0, "what is forgotten has a gradient of %g",
               (double)in.g->grad[i]);
    }
    tape_free(t);
}

static void decays_at_their_ends(void)
{
    static delta_case c;
    const real decays[] = {0, (real)-INFINITY, (real)-1e30, -1000, -80, (real)-1e-7};
    static const int64_t times[] = {1, 2, 7, LONGEST}, chunks[] = {1, 3, 16, 17, 64};
    for (size_t d = 0; d < sizeof decays / sizeof *decays; d++) {
        for (int i = 0; i < 4; i++) {
            for (int k = 0; k < 5; k++) {
                if (!test_sub("g %g, %lld positions, chunks of %lld", (double)decays[d],
                              (long long)times[i], (long long)chunks[k])) {
                    continue;
                }
                fill(&c, decays[d]);
                delta_at(&c, times[i], chunks[k]);
            }
        }
    }
}

/* ---- the model that learns ---- */

enum { DIM = 4, WIDTH = HEADS * DIM, LEARNED = HEADS * (DIM + 1) * DIM };

/* Rates of zero: nothing is learned, and what is answered is W's and b's, whatever the chunks. */
static void rates_of_zero(void)
{
    static const int64_t times[] = {1, 5, 16, 18}, chunks[] = {1, 4, 16, 100};
    real x[3][ROWS * 18 * WIDTH], lr[ROWS * 18 * HEADS] = {0}, pos[100], gain[WIDTH], bias[WIDTH];
    real w[WIDTH * DIM], b[WIDTH];
    for (int i = 0; i < 3; i++) {
        fill_uniform(x[i], ROWS * 18 * WIDTH, (uint32_t)i);
    }
    fill_uniform(pos, 100, 4);
    fill_uniform(gain, WIDTH, 5);
    fill_uniform(bias, WIDTH, 6);
    fill_uniform(w, WIDTH * DIM, 7);
    fill_uniform(b, WIDTH, 8);
    real y[ROWS * 18 * WIDTH];
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 4; k++) {
            int64_t wide[] = {ROWS, times[i], WIDTH};
            tape *t = tape_new();
            tape_reset(t, false);
            ttt_rule in = {.q = tape_leaf(t, x[0], 3, wide, false),
                           .k = tape_leaf(t, x[1], 3, wide, false),
                           .v = tape_leaf(t, x[2], 3, wide, false),
                           .lr = tape_leaf(t, lr, 3, (int64_t[]){ROWS, times[i], HEADS}, false),
                           .pos = tape_leaf(t, pos, 1, (int64_t[]){100}, false),
                           .gain = tape_leaf(t, gain, 1, (int64_t[]){WIDTH}, false),
                           .bias = tape_leaf(t, bias, 1, (int64_t[]){WIDTH}, false),
                           .w = tape_leaf(t, w, 2, (int64_t[]){WIDTH, DIM}, false),
                           .b = tape_leaf(t, b, 1, (int64_t[]){WIDTH}, false),
                           .heads = HEADS,
                           .chunk = chunks[k],
                           .block = 18,
                           .eps = (real)1e-6};
            tensor *last, *sum, *got = op_ttt(t, &in, &last, &sum);
            for (int64_t n = 0; n < ROWS * LEARNED; n++) {
                EXPECT(last->data[n] >= 0 && last->data[n] <= 0, "learned %g without a rate",
                       (double)last->data[n]);
            }
            size_t bytes = (size_t)tensor_count(got) * sizeof *y;
            if (k == 0) memcpy(y, got->data, bytes);
            expect_close("other chunks", got->data, y, tensor_count(got), 1e-5, 1e-6);
            tape_free(t);
        }
    }
}

extern const test_suite test_op_recurrent;
const test_suite test_op_recurrent = {
    "core/op_recurrent",
    {{"decays_at_their_ends/", decays_at_their_ends}, {"rates_of_zero", rates_of_zero}, {0}}};
