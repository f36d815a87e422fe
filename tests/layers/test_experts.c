/* Switch and BASE layers: capacity, overflow, empty experts, padding, groups; the auction against
 * the exact assignment through the layer; what they tell. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 6, ROWS = 2, TIME = 10, N = ROWS * TIME, CHOICES = 2 * N };

typedef struct seen {
    int32_t expert[CHOICES], served[CHOICES];
} seen;

static void see(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    seen *s = user;
    int32_t *to = strcmp(name, "expert") == 0   ? s->expert
                  : strcmp(name, "served") == 0 ? s->served
                                                : NULL;
    for (int64_t i = 0; to && i < tensor_count(x); i++) {
        to[i] = (int32_t)x->data[i];
    }
}

static layer_apply *open_layer(const char *cls, const char *options)
{
    err e = {0};
    layer_dims dims = {.width = WIDTH, .vocab = 3, .block = TIME, .depths = 1};
    layer_apply *a = layer_apply_new(cls, options, &dims, ROWS, NULL, &e);
    CHECK(a, "%s", e.text);
    return a;
}

static layer_apply_call run(layer_apply *a, const real *x, const real *dy, const int64_t *lengths,
                            run_mode mode, seen *s)
{
    layer_apply_call call = {.time = TIME,
                             .x = x,
                             .lengths = lengths,
                             .mode = mode,
                             .cotangent = dy,
                             .watch = {.tap = see, .user = s}};
    layer_apply_reset(a);
    layer_apply_run(a, &call);
    return call;
}

static double metric_of(const layer_apply *a, const char *name)
{
    for (int i = 0; i < a->books.metric_count; i++) {
        const metric *m = &a->books.metrics[i];
        if (strcmp(m->name, name) == 0) return m->sum / m->weight;
    }
    return -1;
}

static bool is_zero(const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (x[i] != 0) return false;
    }
    return true;
}

/* All tokens alike: one expert gets them, keeps `capacity`, the others stay empty. */
static void overflow(void)
{
    real x[N * WIDTH], dy[N * WIDTH];
    seen s;
    fill_uniform(x, WIDTH, 1);
    for (int i = WIDTH; i < N * WIDTH; i++) {
        x[i] = x[i % WIDTH];
    }
    fill_uniform(dy, N * WIDTH, 2);
    layer_apply *a = open_layer("switch_ffn", "{experts: 4, capacity: 1.2, jitter: 0}");
    layer_apply_call call = run(a, x, dy, NULL, MODE_TRAIN, &s);
    for (int i = 0; i < N; i++) {
        EXPECT(s.expert[i] == s.expert[0], "token %d went to %d", i, s.expert[i]);
        bool served = i < 6; /* floor(20 * 1.2 / 4) */
        EXPECT((s.served[i] >= 0) == served, "token %d is %sserved", i, served ? "not " : "");
        EXPECT(is_zero(call.y->data + i * WIDTH, WIDTH) == !served, "output of token %d", i);
    }
    int with = 0;
    for (int e = 0; e < 4; e++) {
        with += a->grads.has[e];
    }
    EXPECT(with == 1, "%d experts have gradients", with);
    EXPECT(metric_of(a, "dropped") == 0.7 && metric_of(a, "empty") == 0.75 &&
               metric_of(a, "load_max") == 4 && metric_of(a, "load_entropy") == 0,
           "dropped %g, empty %g, load_max %g, entropy %g", metric_of(a, "dropped"),
           metric_of(a, "empty"), metric_of(a, "load_max"), metric_of(a, "load_entropy"));
    call = run(a, x, NULL, NULL, MODE_EVAL, &s);
    EXPECT(s.served[N - 1] >= 0 && !is_zero(call.y->data + (N - 1) * WIDTH, WIDTH),
           "evaluation dropped a token");
    layer_apply_free(a);
}

/* Padding takes no capacity, no part in the loss, and is routed nowhere: what stands there changes
 * nothing. */
static void check_padding(const char *cls, const char *options)
{
    real x[N * WIDTH], dy[N * WIDTH], y[N * WIDTH], dx[N * WIDTH];
    const int64_t lengths[ROWS] = {4, TIME};
    seen s, t;
    fill_uniform(x, N * WIDTH, 3);
    fill_uniform(dy, N * WIDTH, 4);
    layer_apply *a = open_layer(cls, options);
    fill_uniform(layer_apply_param(a, "values.weight", NULL), 2 * WIDTH * 4 * WIDTH, 5);
    layer_apply_call call = run(a, x, dy, lengths, MODE_TRAIN, &s);
    double aux = call.aux;
    memcpy(y, call.y->data, sizeof y);
    memcpy(dx, call.dx, sizeof dx);
    fill_uniform(x + 4 * WIDTH, (TIME - 4) * WIDTH, 6);
    call = run(a, x, dy, lengths, MODE_TRAIN, &t);
    EXPECT(!memcmp(s.expert, t.expert, N * sizeof(int32_t)) && call.aux == aux, "%s: aux %g and %g",
           cls, aux, call.aux);
    /* Bits may depend on where rows stand. */
    double tolerance = REAL_IS_DOUBLE ? 1e-12 : 1e-5;
    expect_close("y", call.y->data, y, N * WIDTH, tolerance, tolerance);
    expect_close("dx of text", call.dx + TIME * WIDTH, dx + TIME * WIDTH, TIME * WIDTH, tolerance,
                 tolerance);
    EXPECT(is_zero(call.y->data + 4 * WIDTH, (TIME - 4) * WIDTH), "%s: output at padding", cls);
    EXPECT(is_zero(call.dx + 4 * WIDTH, (TIME - 4) * WIDTH), "%s: gradient at padding", cls);
    for (int i = 4; i < TIME; i++) {
        EXPECT(s.expert[i] == -1, "%s: padding went to %d", cls, s.expert[i]);
    }
    layer_apply_free(a);
}

static void padding(void)
{
    check_padding("switch_ffn", "{experts: 2, jitter: 0, capacity: 0.8, balance: 1}");
    check_padding("switch_ffn", "{experts: 2, jitter: 0.1, top_k: 2}");
    check_padding("base_ffn", "{experts: 2}");
    check_padding("base_ffn", "{experts: 2, assignment: auction}");
}

/* A call of padding alone is harmless. */
static void nothing_but_padding(void)
{
    const char *const classes[] = {"switch_ffn", "base_ffn", "hash_ffn"};
    const int64_t lengths[ROWS] = {0, 0};
    real x[N * WIDTH], dy[N * WIDTH];
    seen s;
    fill_uniform(x, N * WIDTH, 3);
    fill_uniform(dy, N * WIDTH, 4);
    for (int i = 0; i < 3; i++) {
        layer_apply *a = open_layer(classes[i], "{experts: 3}");
        layer_apply_call call = run(a, x, dy, lengths, MODE_TRAIN, &s);
        EXPECT(is_zero(call.y->data, N * WIDTH) && call.aux == 0, "%s: aux %g", classes[i],
               call.aux);
        layer_apply_free(a);
    }
}

/* Loads differ by one token at most, also with more experts than tokens. */
static void base_groups(void)
{
    const int64_t experts[] = {1, 3, 7, N, N + 5};
    real x[N * WIDTH], dy[N * WIDTH];
    fill_uniform(x, N * WIDTH, 3);
    fill_uniform(dy, N * WIDTH, 4);
    for (int k = 0; k < 10; k++) {
        char options[80];
        int64_t n = experts[k / 2];
        seen s;
        int count[N + 5] = {0};
        snprintf(options, sizeof options, "{experts: %lld, assignment: %s}", (long long)n,
                 k % 2 ? "auction" : "exact");
        layer_apply *a = open_layer("base_ffn", options);
        run(a, x, dy, NULL, MODE_TRAIN, &s);
        for (int i = 0; i < N; i++) {
            count[s.expert[i]]++;
        }
        for (int e = 0; e < n; e++) {
            EXPECT(count[e] >= N / n && count[e] <= (N + n - 1) / n, "%s: expert %d has %d",
                   options, e, count[e]);
        }
        EXPECT(metric_of(a, "assignment_gap") >= 0, "no gap told");
        layer_apply_free(a);
    }
}

/* A fine auction finds the exact assignment of scores that differ, and so the same everything. */
static void auction_like_exact(void)
{
    real x[N * WIDTH], dy[N * WIDTH], y[N * WIDTH], dx[N * WIDTH];
    seen exact, auction;
    fill_uniform(x, N * WIDTH, 7);
    fill_uniform(dy, N * WIDTH, 8);
    layer_apply *a =
        open_layer("base_ffn", "{experts: 5, assignment: exact, zero: false, gain: 1}");
    layer_apply *b = open_layer(
        "base_ffn", "{experts: 5, assignment: auction, precision: 1e-6, zero: false, gain: 1}");
    layer_apply_call call = run(a, x, dy, NULL, MODE_TRAIN, &exact);
    memcpy(y, call.y->data, sizeof y);
    memcpy(dx, call.dx, sizeof dx);
    call = run(b, x, dy, NULL, MODE_TRAIN, &auction);
    EXPECT(!memcmp(exact.expert, auction.expert, N * sizeof(int32_t)), "another assignment");
    EXPECT(!memcmp(y, call.y->data, sizeof y) && !memcmp(dx, call.dx, sizeof dx), "other values");
    EXPECT(metric_of(b, "assignment_gap") < 1e-5, "gap %g", metric_of(b, "assignment_gap"));
    layer_apply_free(a);
    layer_apply_free(b);
}

/* Two of two experts with renormalised gates: all weights are used, in any order. */
static void second_choices(void)
{
    real x[N * WIDTH], dy[N * WIDTH];
    seen s;
    fill_uniform(x, N * WIDTH, 7);
    fill_uniform(dy, N * WIDTH, 8);
    layer_apply *a = open_layer("switch_ffn", "{experts: 3, top_k: 2, capacity: 0.75, jitter: 0}");
    run(a, x, dy, NULL, MODE_TRAIN, &s);
    int taken[3] = {0};
    for (int i = 0; i < CHOICES; i++) {
        EXPECT(i < N || s.expert[i] != s.expert[i - N], "the same expert twice");
        /* floor(2 * 20 * 0.75 / 3): first choices come first. */
        bool room = taken[s.expert[i]]++ < 10;
        EXPECT((s.served[i] >= 0) == room, "choice %d", i);
    }
    layer_apply_free(a);
}

static void refusals(void)
{
    const char *const cases[][3] = {
        {"switch_ffn", "{experts: 1, top_k: 2}", "options:1:1: top_k 2 of 1 expert(s)"},
        {"switch_ffn", "{top_k: 3}", "top_k: 3 is out of range"},
        {"switch_ffn", "{capacity: 0}", "capacity: 0 is out of range"},
        {"base_ffn", "{assignment: exakt}", "did you mean 'exact'"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        layer_dims dims = {.width = WIDTH, .vocab = 3, .block = TIME, .depths = 1};
        layer_apply *a = layer_apply_new(cases[i][0], cases[i][1], &dims, 1, NULL, &e);
        EXPECT(!a && strstr(e.text, cases[i][2]), "%s: %s", cases[i][1], e.text);
        layer_apply_free(a);
    }
}

/* Of equal tokens, and text only: the loss is factor * log(sum exp R x)^2, and none in evaluation.
 */
static void z_loss(void)
{
    enum { EXPERTS = 3 };
    real x[N * WIDTH], dy[N * WIDTH];
    const int64_t lengths[ROWS] = {4, TIME};
    seen s;
    fill_uniform(x, WIDTH, 1);
    for (int i = WIDTH; i < N * WIDTH; i++) {
        x[i] = i / WIDTH < 4 || i / WIDTH >= TIME ? x[i % WIDTH] : 9; /* padding differs */
    }
    fill_uniform(dy, N * WIDTH, 2);
    layer_apply *a = open_layer("switch_ffn",
                                "{experts: 3, balance: 0, jitter: 0, z_loss: 0.5, capacity: none}");
    real *router = layer_apply_param(a, "router.weight", NULL);
    fill_uniform(router, EXPERTS * WIDTH, 3);
    double sum = 0;
    for (int e = 0; e < EXPERTS; e++) {
        double score = 0;
        for (int j = 0; j < WIDTH; j++) {
            score += (double)router[e * WIDTH + j] * (double)x[j];
        }
        sum += exp(score);
    }
    /* A call counts for as much as its weight, here 1 a position. */
    double aux = run(a, x, dy, lengths, MODE_TRAIN, &s).aux / N;
    double expected = 0.5 * log(sum) * log(sum);
    EXPECT(fabs(aux - expected) < 1e-6, "%.9g, not %.9g", aux, expected);
    aux = run(a, x, NULL, lengths, MODE_EVAL, &s).aux;
    EXPECT(aux == 0, "evaluation adds %g", aux);
    layer_apply_free(a);
}

extern const test_suite test_experts;
const test_suite test_experts = {"layers/experts",
                                 {{"overflow", overflow},
                                  {"padding", padding},
                                  {"nothing_but_padding", nothing_but_padding},
                                  {"base_groups", base_groups},
                                  {"auction_like_exact", auction_like_exact},
                                  {"second_choices", second_choices},
                                  {"z_loss", z_loss},
                                  {"refusals", refusals},
                                  {0}}};
