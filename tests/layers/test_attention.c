/* Which keys a query sees, against the definition; the layer against the formula written out. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 4, BLOCK = 5, LENGTH = 23 };

static layer_apply *new_attention(const char *options, int64_t width)
{
    err e = {0};
    layer_dims dims = {width, 7, BLOCK, 0, 1, false};
    layer_apply *a = layer_apply_new("attention", options, &dims, 1, NULL, &e);
    CHECK(a, "%s", e.text);
    return a;
}

/* y [LENGTH, width] of x, so many positions at a time. */
static void run(layer_apply *a, const real *x, int64_t cut, real *y)
{
    int64_t width = a->layer.dims.width;
    layer_apply_reset(a);
    for (int64_t at = 0; at < LENGTH; at += cut) {
        layer_apply_call call = {.time = MIN(cut, LENGTH - at), .x = x + at * width};
        layer_apply_run(a, &call);
        memcpy(y + at * width, call.y->data, (size_t)(call.time * width) * sizeof(real));
    }
}

/* [max(block_begin(p) - memory, p - window + 1, 0), p]; window 0: none. */
static bool sees(int64_t p, int64_t key, int64_t memory, int64_t window)
{
    int64_t first = MAX(p - p % BLOCK - memory, 0);
    if (window > 0) first = MAX(first, p - window + 1);
    return key >= first && key <= p;
}

static void check_visible(const char *options, int64_t memory, int64_t window, int64_t cut)
{
    layer_apply *a = new_attention(options, WIDTH);
    real x[LENGTH * WIDTH], y[LENGTH * WIDTH], moved[LENGTH * WIDTH];
    fill_uniform(x, LENGTH * WIDTH, 1);
    run(a, x, cut, y);
    for (int64_t key = 0; key < LENGTH; key++) {
        real kept = x[key * WIDTH];
        x[key * WIDTH] += 1;
        run(a, x, cut, moved);
        x[key * WIDTH] = kept;
        for (int64_t p = 0; p < LENGTH; p++) {
            bool changed = memcmp(y + p * WIDTH, moved + p * WIDTH, WIDTH * sizeof(real)) != 0;
            EXPECT(changed == sees(p, key, memory, window), "%s, cut %lld: %lld %s %lld", options,
                   (long long)cut, (long long)p, changed ? "sees" : "does not see", (long long)key);
        }
    }
    layer_apply_free(a);
}

static void visible_keys(void)
{
    const struct {
        const char *options;
        int64_t memory, window;
    } cases[] = {{"{heads: 2}", 0, 0},
                 {"{heads: 2, memory: 5}", 5, 0},
                 {"{heads: 2, memory: 8}", 8, 0},
                 {"{heads: 1, memory: 1, positions: none}", 1, 0},
                 {"{heads: 2, window: 3}", 2, 3},
                 {"{heads: 2, window: 12}", 11, 12},
                 {"{heads: 2, window: 1}", 0, 1},
                 {"{heads: 2, window: 7, memory: 2}", 2, 7},
                 {"{heads: 2, window: 4, memory: 9, positions: alibi}", 9, 4}};
    const int64_t cuts[] = {LENGTH, 1, 4, BLOCK};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int k = 0; k < 4; k++) {
            check_visible(cases[i].options, cases[i].memory, cases[i].window, cuts[k]);
        }
    }
}

/* ---- the formula ---- */

enum { HEADS = 2, KV_HEADS = 1, DIM = 4, WIDE = 8 };

/* Rotates e at position p: pairs (i, i + DIM/2). */
static void rotated(double *out, const double *e, int64_t p)
{
    for (int i = 0; i < DIM / 2; i++) {
        double angle = (double)p * pow(10000, -2.0 * i / DIM);
        out[i] = e[i] * cos(angle) - e[i + DIM / 2] * sin(angle);
        out[i + DIM / 2] = e[i + DIM / 2] * cos(angle) + e[i] * sin(angle);
    }
}

static void normalised(double *e, const real *gain)
{
    double squares = 0;
    for (int i = 0; i < DIM; i++) {
        squares += e[i] * e[i];
    }
    for (int i = 0; i < DIM; i++) {
        e[i] *= (double)gain[i] / sqrt(squares / DIM + 1e-6);
    }
}

/* One head's part of row `first` of the packed projection, at position p. */
static void project(double *out, const real *w, const real *x, int64_t first, int64_t p)
{
    for (int i = 0; i < DIM; i++) {
        out[i] = 0;
        for (int j = 0; j < WIDE; j++) {
            out[i] += (double)w[(first + i) * WIDE + j] * (double)x[p * WIDE + j];
        }
    }
}

static void query_or_key(layer_apply *a, double *out, const real *x, int64_t first, int64_t p,
                         const char *gain)
{
    double raw[DIM];
    project(raw, layer_apply_param(a, "qkv.weight", NULL), x, first, p);
    normalised(raw, layer_apply_param(a, gain, NULL));
    rotated(out, raw, p);
}

static void one_head(layer_apply *a, const real *x, int64_t p, int64_t head, double *out)
{
    double q[DIM], k[DIM], v[DIM], total = 0;
    query_or_key(a, q, x, head * DIM, p, "q_norm.gain");
    memset(out, 0, DIM * sizeof *out);
    for (int64_t j = 0; j <= p; j++) {
        if (!sees(p, j, 3, 0)) continue;
        double score = 0;
        query_or_key(a, k, x, HEADS * DIM, j, "k_norm.gain");
        project(v, layer_apply_param(a, "qkv.weight", NULL), x, (HEADS + KV_HEADS) * DIM, j);
        for (int i = 0; i < DIM; i++) {
            score += q[i] * k[i] / sqrt(DIM);
        }
        total += exp(score);
        for (int i = 0; i < DIM; i++) {
            out[i] += exp(score) * v[i];
        }
    }
    for (int i = 0; i < DIM; i++) {
        out[i] /= total;
    }
}

static void formula(void)
{
    layer_apply *a = new_attention("{heads: 2, kv_heads: 1, memory: 3, qk_norm: rms}", WIDE);
    real x[LENGTH * WIDE], y[LENGTH * WIDE], expected[LENGTH * WIDE];
    fill_uniform(x, LENGTH * WIDE, 5);
    fill_uniform(layer_apply_param(a, "q_norm.gain", NULL), DIM, 6);
    fill_uniform(layer_apply_param(a, "k_norm.gain", NULL), DIM, 7);
    const real *out = layer_apply_param(a, "out.weight", NULL);
    for (int64_t p = 0; p < LENGTH; p++) {
        double merged[HEADS * DIM];
        for (int h = 0; h < HEADS; h++) {
            one_head(a, x, p, h, merged + h * DIM);
        }
        for (int i = 0; i < WIDE; i++) {
            double sum = 0;
            for (int j = 0; j < HEADS * DIM; j++) {
                sum += (double)out[i * HEADS * DIM + j] * merged[j];
            }
            expected[p * WIDE + i] = (real)sum;
        }
    }
    run(a, x, 6, y);
    /* Float: a hundred roundings of 6e-8 at worst, in the middle of sums of eight. */
    double tolerance = REAL_IS_DOUBLE ? 1e-10 : 1e-5;
    expect_close("y", y, expected, LENGTH * WIDE, tolerance, tolerance);
    layer_apply_free(a);
}

/* Whole blocks without memory carry nothing. */
static void nothing_carried(void)
{
    layer_apply *a = new_attention("{heads: 2}", WIDTH);
    real x[2 * BLOCK * WIDTH];
    fill_uniform(x, 2 * BLOCK * WIDTH, 1);
    layer_apply_call call = {.time = 2 * BLOCK, .x = x};
    layer_apply_run(a, &call);
    EXPECT(a->lengths[0] == 0, "%lld keys carried", (long long)a->lengths[0]);
    call.time = 3;
    layer_apply_run(a, &call);
    EXPECT(a->lengths[0] == 3, "%lld keys carried", (long long)a->lengths[0]);
    layer_apply_free(a);
    a = new_attention("{heads: 2, window: 1}", WIDTH);
    EXPECT(a->build.slot_count == 0, "%d slots for a window of 1", a->build.slot_count);
    layer_apply_free(a);
}

static void refusals(void)
{
    const char *const cases[][2] = {
        {"{heads: 3}", "options:1:1: heads 3 does not divide the model's width 4"},
        {"{heads: 4, kv_heads: 3}", "kv_heads 3 does not divide heads 4"},
        {"{heads: 4}", "head_dim 1 is odd"},
        {"{positions: t5, t5_max_distance: 16}", "must exceed half of t5_buckets, 16"},
        {"{windw: 3}", "did you mean 'window'"},
        {"{heads: 0}", "heads: 0 is out of range"},
        {"{positions: rotry}", "did you mean 'rotary'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        layer_dims dims = {WIDTH, 7, BLOCK, 0, 1, false};
        layer_apply *a = layer_apply_new("attention", cases[i][0], &dims, 1, NULL, &e);
        EXPECT(!a && strstr(e.text, cases[i][1]), "%s: %s", cases[i][0], e.text);
        layer_apply_free(a);
    }
}

extern const test_suite test_attention;
const test_suite test_attention = {"layers/attention",
                                   {{"visible_keys", visible_keys},
                                    {"formula", formula},
                                    {"nothing_carried", nothing_carried},
                                    {"refusals", refusals},
                                    {0}}};
