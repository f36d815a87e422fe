/* Routed memory: the soft choice is the one published, its gradient exact; picks are found as far
 * back as said, and a router learns where to find them. */
#include "core/ops.h"
#include "core/ops_lookup.h"
#include "tests/gradcheck.h"
#include "tests/layer_apply.h"
#include "tests/model_check.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, SIZE = 29, ENTRY = 6, PICKS = 4, VOCAB = MODEL_RUN_VOCAB };

/* ---- the op ---- */

/* Around the ring, fewer than there are picks, none at all. */
static const int64_t BEGIN[ROWS] = {20, 0, 5}, END[ROWS] = {48, 3, 5};

typedef struct route_case {
    real router[ROWS * ENTRY], entries[ROWS * SIZE * ENTRY];
    real cotangent[ROWS * PICKS];
} route_case;

static route_case new_case(void)
{
    route_case c;
    fill_uniform(c.router, ROWS * ENTRY, 1);
    fill_uniform(c.entries, ROWS * SIZE * ENTRY, 2);
    fill_uniform(c.cotangent, ROWS * PICKS, 3);
    return c;
}

#define SHAPE(k, times, end, start, decay)                                                         \
    {                                                                                              \
        .picks = PICKS, .slack = k, .iterations = times, .epsilon = end, .epsilon_start = start,   \
        .epsilon_decay = decay, .soft = true                                                       \
    }
static const route_shape SHAPES[] = {SHAPE(1, 20, 0.1, 4, 0.7), SHAPE(1.125, 3, 0.5, 1, 0.5),
                                     SHAPE(2, 1, 0.2, 4, 0.7), SHAPE(1, 60, 0.03, 4, 0.9),
                                     SHAPE(100, 20, 0.3, 0.01, 0.5)};
enum { SHAPES_COUNT = sizeof SHAPES / sizeof *SHAPES };

static route_picks run(tape *t, route_case *c, const route_shape *shape, tensor **router)
{
    lookup_store s = {c->entries, SIZE, ENTRY, BEGIN, END};
    *router = tape_leaf(t, c->router, 2, (int64_t[]){ROWS, ENTRY}, true);
    return op_route(t, *router, &s, shape);
}

static double score(const route_case *c, int64_t row, int64_t position)
{
    double sum = 0;
    for (int64_t i = 0; i < ENTRY; i++) {
        sum += (double)c->router[row * ENTRY + i] *
               (double)c->entries[(row * SIZE + position % SIZE) * ENTRY + i];
    }
    return sum;
}

/* The published iteration as it stands (papers: a, b, epsilon), for row 0. */
static void plain(const route_case *c, const route_shape *shape, double *weights)
{
    int64_t n = END[0] - BEGIN[0];
    double s[SIZE], b[SIZE], a = 0, epsilon = MAX(shape->epsilon_start, shape->epsilon), e = 0;
    for (int64_t j = 0; j < n; j++) {
        s[j] = score(c, 0, BEGIN[0] + j);
        b[j] = -s[j];
    }
    double k = MIN(shape->slack * PICKS, (double)n);
    for (int64_t i = 0; i < shape->iterations; i++) {
        double sum = 0;
        e = epsilon;
        for (int64_t j = 0; j < n; j++) {
            sum += exp((s[j] + b[j]) / e);
        }
        a = e * (log(k) - log(sum));
        for (int64_t j = 0; j < n; j++) {
            b[j] = -MAX(s[j] + a, 0);
        }
        epsilon = MAX(e * shape->epsilon_decay, shape->epsilon);
    }
    for (int64_t j = 0; j < n; j++) {
        weights[j] = exp((s[j] + a + b[j]) / e);
    }
}

static void picks_and_scores(void)
{
    route_case c = new_case();
    tape *t = tape_new();
    for (int i = 0; i < SHAPES_COUNT; i++) {
        tensor *router;
        tape_reset(t, false);
        route_picks p = run(t, &c, &SHAPES[i], &router);
        EXPECT(p.used[0] == PICKS && p.used[1] == 3 && p.used[2] == 0, "%lld, %lld, %lld picks",
               (long long)p.used[0], (long long)p.used[1], (long long)p.used[2]);
        double weights[SIZE], least = (double)INFINITY;
        bool picked[SIZE] = {false};
        plain(&c, &SHAPES[i], weights);
        for (int64_t j = 0; j < PICKS; j++) {
            int64_t at = p.positions[j] - BEGIN[0];
            picked[at] = true;
            least = MIN(least, score(&c, 0, p.positions[j]));
            /* exp of a score's rounding, 1e-7, over epsilon */
            EXPECT(fabs((double)p.weights->data[j] - weights[at]) < (REAL_IS_DOUBLE ? 1e-12 : 1e-4),
                   "shape %d: weight %g, not %g", i, (double)p.weights->data[j], weights[at]);
            const real *entry = c.entries + p.positions[j] % SIZE * ENTRY;
            EXPECT(!memcmp(p.entries->data + j * ENTRY, entry, sizeof(real) * ENTRY), "no copy");
        }
        for (int64_t j = 0; j < END[0] - BEGIN[0]; j++) {
            EXPECT(picked[j] || score(&c, 0, BEGIN[0] + j) <= least, "a larger score is left out");
        }
        EXPECT(p.positions[PICKS] == -1 && p.positions[PICKS + 1] == 0 &&
                   p.weights->data[PICKS] == 0 && p.weights->data[PICKS + 1] == 1,
               "what there is stands at the end, with weight 1");
    }
    tape_free(t);
}

/* With converged scores the weights add up to k; the published 20 iterations come close. */
static void scores_add_up(void)
{
    route_case c = new_case();
    double weights[SIZE], sum = 0;
    const route_shape shape = SHAPE(1, 2000, 0.1, 4, 0.7);
    plain(&c, &shape, weights);
    for (int64_t j = 0; j < END[0] - BEGIN[0]; j++) {
        sum += weights[j];
    }
    EXPECT(fabs(sum - PICKS) < 1e-6, "scores add up to %g", sum);
}

static double objective(route_case *c, tape *t, const route_shape *shape)
{
    tensor *router;
    tape_reset(t, false);
    route_picks p = run(t, c, shape, &router);
    double sum = 0;
    for (int64_t i = 0; i < ROWS * PICKS; i++) {
        sum += (double)c->cotangent[i] * (double)p.weights->data[i];
    }
    return sum;
}

/* The store is overwritten before the backward pass, as by later blocks of a segment. */
static void analytic(route_case *c, tape *t, const route_shape *shape, real *gradient)
{
    static real kept[ROWS * SIZE * ENTRY];
    tensor *router;
    tape_reset(t, true);
    route_picks p = run(t, c, shape, &router);
    memcpy(kept, c->entries, sizeof kept);
    memset(c->entries, 0, sizeof kept);
    tape_seed(t, p.weights, c->cotangent);
    tape_run_backward(t);
    memcpy(c->entries, kept, sizeof kept);
    memcpy(gradient, router->grad, sizeof(real) * ROWS * ENTRY);
}

static void gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    route_case c = new_case();
    tape *t = tape_new(), *other = tape_new();
    for (int i = 0; i < SHAPES_COUNT; i++) {
        real soft[ROWS * ENTRY], straight[ROWS * ENTRY];
        route_shape shape = SHAPES[i];
        shape.noise = i == 0 ? 1 : 0;
        analytic(&c, t, &shape, soft);
        for (int64_t k = 0; k < ROWS * ENTRY; k++) {
            const real at = c.router[k], h = (real)1e-4;
            double d[4];
            const int steps[4] = {-2, -1, 1, 2};
            for (int s = 0; s < 4; s++) {
                c.router[k] = at + (real)steps[s] * h;
                d[s] = objective(&c, other, &shape);
            }
            c.router[k] = at;
            double numeric = (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * (double)h);
            /* Truncation (h / epsilon)^4 / epsilon = 4e-9 at epsilon 0.03. */
            EXPECT(fabs((double)soft[k] - numeric) < 1e-7, "shape %d, %lld: %g, not %g", i,
                   (long long)k, (double)soft[k], numeric);
        }
        shape.soft = false;
        analytic(&c, t, &shape, straight);
        EXPECT(!memcmp(soft, straight, sizeof soft), "straight-through has another gradient");
    }
    tape_free(other);
    tape_free(t);
}

/* Every position equally often, none twice; the same again for the same key. */
static void random_picks(void)
{
    enum { DRAWS = 4000, N = 10 };
    static real entries[SIZE * 2];
    int64_t begin = 3, end = 3 + N, seen[N] = {0};
    lookup_store s = {entries, SIZE, 2, &begin, &end};
    tape *t = tape_new();
    for (uint64_t i = 0; i < DRAWS; i++) {
        tape_reset(t, false);
        rng_key key = {.seed = i, .place = 1};
        route_picks p = op_route_random(t, &s, 1, PICKS, key);
        route_picks q = op_route_random(t, &s, 1, PICKS, key);
        EXPECT(p.used[0] == PICKS && !memcmp(p.positions, q.positions, PICKS * sizeof(int64_t)),
               "draw %d is not repeated", (int)i);
        for (int j = 0; j < PICKS; j++) {
            bool in =
                p.positions[j] >= (j ? p.positions[j - 1] + 1 : begin) && p.positions[j] < end;
            EXPECT(in, "position %lld", (long long)p.positions[j]);
            if (in) seen[p.positions[j] - begin]++;
        }
    }
    for (int j = 0; j < N; j++) {
        /* Binomial, p = 0.4: mean 1600, deviation 31. */
        EXPECT(llabs(seen[j] - DRAWS * PICKS / N) < 5 * 31, "%d: %lld times", j,
               (long long)seen[j]);
    }
    tape_free(t);
}

/* Entries that pay stand among others: straight-through scores lead the router to them. */
static void router_learns(void)
{
    enum { N = 200, PAYING = 4, STEPS = 300 };
    static real entries[N * ENTRY];
    real router[ENTRY], slopes[PICKS];
    fill_uniform(entries, N * ENTRY, 5);
    fill_uniform(router, ENTRY, 6);
    for (int j = 0; j < PAYING; j++) {
        entries[(17 + 50 * j) * ENTRY + 2] = 3; /* what tells them apart */
    }
    int64_t begin = 0, end = N, found = 0;
    lookup_store s = {entries, N, ENTRY, &begin, &end};
    route_shape shape = SHAPE(1, 20, 0.3, 4, 0.7);
    shape.soft = false;
    tape *t = tape_new();
    for (int i = 0; i < STEPS; i++) {
        tape_reset(t, true);
        tensor *u = tape_leaf(t, router, 2, (int64_t[]){1, ENTRY}, true);
        route_picks p = op_route(t, u, &s, &shape);
        found = 0;
        for (int j = 0; j < PICKS; j++) {
            bool pays = p.positions[j] % 50 == 17;
            slopes[j] = pays ? -1 : 1; /* of the loss by the weight */
            found += pays;
            EXPECT(p.weights->data[j] == 1, "a straight weight of %g", (double)p.weights->data[j]);
        }
        tape_seed(t, p.weights, slopes);
        tape_run_backward(t);
        for (int k = 0; k < ENTRY; k++) {
            router[k] -= (real)0.02 * u->grad[k];
        }
    }
    EXPECT(found == PAYING, "finds %lld of %d", (long long)found, PAYING);
    tape_free(t);
}

/* ---- the layer ---- */

static model_run *run_of(const char *yaml, int64_t rows)
{
    err e = {{0}};
    model_run *r = model_run_new(yaml, rows, &e);
    CHECK(r, "%s", e.text);
    return r;
}

enum { LENGTH = 40 };

/* Logits of the last of 40 positions; `changed`: with another token at position 1. */
static void last_logits(model_run *r, bool changed, real *logits)
{
    static real all[LENGTH * VOCAB];
    int32_t tokens[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    if (changed) tokens[1] = (tokens[1] + 1) % VOCAB;
    model_state_clear(r->state);
    model_run_read(r, tokens, LENGTH, 0, LENGTH, all);
    memcpy(logits, all + (LENGTH - 1) * VOCAB, VOCAB * sizeof(real));
}

static double far_effect(const char *yaml)
{
    real before[VOCAB], after[VOCAB];
    double most = 0;
    model_run *r = run_of(yaml, 1);
    last_logits(r, false, before);
    last_logits(r, true, after);
    for (int i = 0; i < VOCAB; i++) {
        most = MAX(most, fabs((double)before[i] - (double)after[i]));
    }
    model_run_free(r);
    return most;
}

#define MODEL(options)                                                                             \
    "{width: 8, context: 4, blocks: [{routed_memory: {heads: 2, memory: 4, " options "}}]}"

/* The last block begins at 36, its memory at 32. */
static void oldest_is_forgotten(void)
{
    EXPECT(far_effect(MODEL("picks: 40, length: 31")) > 0, "position 1 is within reach");
    EXPECT(far_effect(MODEL("picks: 40, length: 30")) == 0, "position 1 is out of reach");
    EXPECT(far_effect(MODEL("picks: 40, length: 31, routing: random")) > 0, "of random picks, too");
    EXPECT(far_effect(MODEL("picks: 40, length: 30, routing: random")) == 0,
           "of random picks, too");
}

/* Where there are no more keys than picks, nothing is chosen: what `memorizing` sees. */
static void all_are_picked(void)
{
    static const char memorizing[] =
        "{width: 8, context: 4, blocks: [{memorizing: {heads: 2, memory: 4, top: 40}}]}";
    real expected[VOCAB], got[VOCAB];
    model_run *a = run_of(memorizing, 1), *b = run_of(MODEL("picks: 40, routing: random"), 1);
    int64_t total = model_params_const(a->model)->total;
    EXPECT(model_params_const(b->model)->total == total, "other parameters");
    memcpy(b->values, a->values, (size_t)total * sizeof(real));
    last_logits(a, false, expected);
    last_logits(b, false, got);
    double tolerance = REAL_IS_DOUBLE ? 1e-12 : 1e-5; /* sums in other orders */
    expect_close("logits", got, expected, VOCAB, tolerance, tolerance);
    model_run_free(a);
    model_run_free(b);
}

/* ---- one layer by itself ---- */

enum { WIDTH = 8, BLOCK = 4 };

typedef struct seen_picks {
    int64_t count, positions[64];
} seen_picks;

static void see(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    seen_picks *s = user;
    if (strcmp(name, "picked") != 0) return;
    s->count = tensor_count(x);
    for (int64_t i = 0; i < s->count && i < 64; i++) {
        s->positions[i] = (int64_t)x->data[i];
    }
}

static layer_apply *one_layer(const char *options)
{
    err e;
    layer_dims dims = {WIDTH, VOCAB, BLOCK, 0, 1, false};
    layer_apply *a = layer_apply_new("routed_memory", options, &dims, 1, NULL, &e);
    CHECK(a, "%s", e.text);
    return a;
}

/* A stored needle is found thousands of positions later, and never once it has fallen out. */
static void needle(void)
{
    enum { FAR = 3000, NEEDLE = 10, CAPACITY = 2000 };
    layer_apply *a = one_layer("{heads: 2, memory: 4, kv_heads: 1, length: 2000, picks: 3, "
                               "ask: false}");
    int64_t qkv, entry;
    real *weight = layer_apply_param(a, "qkv.weight", &qkv);
    real *router = layer_apply_param(a, "router.bias", &entry);
    /* The router looks for values along the first component, which the needle alone has. */
    int64_t half = entry / 2, rows = qkv / WIDTH, value = rows - half;
    memset(weight + value * WIDTH, 0, (size_t)(half * WIDTH) * sizeof(real));
    weight[value * WIDTH] = 1;
    memset(router, 0, (size_t)entry * sizeof(real));
    router[half] = 1;
    static real x[BLOCK * WIDTH];
    int64_t found = 0, missed = 0, ghosts = 0;
    for (int64_t at = 0; at < FAR; at += BLOCK) {
        fill_uniform(x, BLOCK * WIDTH, (uint32_t)at + 1);
        for (int64_t i = 0; i < BLOCK; i++) {
            x[i * WIDTH] = at + i == NEEDLE ? 1 : 0;
        }
        seen_picks s = {0};
        layer_apply_call call = {
            .time = BLOCK, .x = x, .mode = MODE_EVAL, .tap = see, .tap_user = &s};
        layer_apply_run(a, &call);
        bool there = false;
        for (int64_t i = 0; i < s.count; i++) {
            there |= s.positions[i] == NEEDLE;
        }
        bool visible = at - BLOCK > NEEDLE && at - BLOCK - CAPACITY <= NEEDLE;
        found += visible && there;
        missed += visible && !there;
        ghosts += !visible && there;
    }
    EXPECT(found > CAPACITY / BLOCK - 2 && missed == 0 && ghosts == 0,
           "%lld times found, %lld missed, %lld seen where it is not", (long long)found,
           (long long)missed, (long long)ghosts);
    layer_apply_free(a);
}

enum { HISTORY = 24 };

/* The layer after HISTORY positions, on one more block: sum(y cotangent). */
static double after_history(layer_apply *a, const real *x, const real *cotangent, bool backward,
                            const real **dx)
{
    static real history[HISTORY * WIDTH];
    fill_uniform(history, HISTORY * WIDTH, 9);
    memset(a->lengths, 0, (size_t)a->build.slot_count * sizeof *a->lengths);
    layer_apply_reset(a);
    layer_apply_call call = {.time = HISTORY, .x = history, .mode = MODE_TRAIN};
    layer_apply_run(a, &call);
    call = (layer_apply_call){.time = BLOCK, .x = x, .mode = MODE_TRAIN};
    if (backward) call.cotangent = cotangent;
    layer_apply_run(a, &call);
    double sum = 0;
    for (int64_t i = 0; i < BLOCK * WIDTH; i++) {
        sum += (double)call.y->data[i] * (double)cotangent[i];
    }
    if (dx) *dx = call.dx;
    return sum;
}

/* Five-point difference of the above by *p. */
static double slope_of(layer_apply *a, const real *x, const real *cotangent, real *p)
{
    const real at = *p, h = (real)1e-4;
    double d[4];
    const int steps[4] = {-2, -1, 1, 2};
    for (int s = 0; s < 4; s++) {
        *p = at + (real)steps[s] * h;
        d[s] = after_history(a, x, cotangent, false, NULL);
    }
    *p = at;
    return (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * (double)h);
}

/* Of the router, the gain, the gate, the output and the input; picks and store as they are: none of
 * these parameters made what is stored. */
static void layer_gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    static const char *const names[] = {"router.bias", "router.weight", "lookup.gain",
                                        "lookup.gate", "out.weight"};
    layer_apply *a =
        one_layer("{heads: 2, memory: 0, length: 32, picks: 3, scores: soft, epsilon: 1}");
    real x[BLOCK * WIDTH], cotangent[BLOCK * WIDTH], gradients[5][64], dx[BLOCK * WIDTH];
    fill_uniform(x, BLOCK * WIDTH, 3);
    fill_uniform(cotangent, BLOCK * WIDTH, 4);
    const real *slopes;
    after_history(a, x, cotangent, true, &slopes);
    memcpy(dx, slopes, sizeof dx);
    for (int i = 0; i < 5; i++) {
        int64_t n;
        const real *g = layer_apply_grad(a, names[i], &n);
        memcpy(gradients[i], g, (size_t)MIN(n, 64) * sizeof *g);
    }
    for (int i = 0; i < 5; i++) {
        int64_t n;
        real *p = layer_apply_param(a, names[i], &n);
        for (int64_t k = 0; k < MIN(n, 64); k += 5) {
            double numeric = slope_of(a, x, cotangent, p + k);
            /* Truncation h^4 = 1e-16, rounding 1e-16 / h = 1e-12. */
            EXPECT(fabs((double)gradients[i][k] - numeric) < 1e-9, "%s[%lld]: %.10g, not %.10g",
                   names[i], (long long)k, (double)gradients[i][k], numeric);
        }
        double largest = 0;
        for (int64_t k = 0; k < MIN(n, 64); k++) {
            largest = MAX(largest, fabs((double)gradients[i][k]));
        }
        EXPECT(largest > 1e-4, "%s has a gradient of %g", names[i], largest);
    }
    for (int64_t k = 0; k < BLOCK * WIDTH; k += 3) {
        double numeric = slope_of(a, x, cotangent, x + k);
        EXPECT(fabs((double)dx[k] - numeric) < 1e-9, "x[%lld]: %.10g, not %.10g", (long long)k,
               (double)dx[k], numeric);
    }
    layer_apply_free(a);
}

/* Several blocks at once from a fresh start: sum(y cotangent). */
static double from_start(layer_apply *a, const real *x, const real *cotangent, bool backward)
{
    memset(a->lengths, 0, (size_t)a->build.slot_count * sizeof *a->lengths);
    layer_apply_reset(a);
    layer_apply_call call = {.time = HISTORY, .x = x, .mode = MODE_TRAIN};
    if (backward) call.cotangent = cotangent;
    layer_apply_run(a, &call);
    double sum = 0;
    for (int64_t i = 0; i < HISTORY * WIDTH; i++) {
        sum += (double)call.y->data[i] * (double)cotangent[i];
    }
    return sum;
}

/* Within a segment picked keys and values have their gradient: exactly, where no router chooses. */
static void live_keys(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    static real x[HISTORY * WIDTH], cotangent[HISTORY * WIDTH];
    fill_uniform(x, HISTORY * WIDTH, 3);
    fill_uniform(cotangent, HISTORY * WIDTH, 4);
    for (int dead = 0; dead < 2; dead++) {
        layer_apply *a =
            one_layer(dead ? "{heads: 2, memory: 2, picks: 3, routing: random, live: 0}"
                           : "{heads: 2, memory: 2, picks: 3, routing: random}");
        int64_t n;
        real *p = layer_apply_param(a, "qkv.weight", &n);
        from_start(a, x, cotangent, true);
        const real *gradient = layer_apply_grad(a, "qkv.weight", &n);
        double worst = 0;
        for (int64_t k = 0; k < n; k += 7) {
            const real at = p[k], h = (real)1e-4;
            double d[4];
            const int steps[4] = {-2, -1, 1, 2};
            for (int s = 0; s < 4; s++) {
                p[k] = at + (real)steps[s] * h;
                d[s] = from_start(a, x, cotangent, false);
            }
            p[k] = at;
            double numeric = (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * (double)h);
            worst = MAX(worst, fabs((double)gradient[k] - numeric));
        }
        /* As above; without live keys the path through the store is missing. */
        EXPECT(dead ? worst > 1e-3 : worst < 1e-9, "live %d: gradients are off by %g", !dead,
               worst);
        layer_apply_free(a);
    }
}

extern const test_suite test_routed_memory;
const test_suite test_routed_memory = {"layers/routed_memory",
                                       {{"picks_and_scores", picks_and_scores},
                                        {"scores_add_up", scores_add_up},
                                        {"gradient", gradient},
                                        {"random_picks", random_picks},
                                        {"router_learns", router_learns},
                                        {"oldest_is_forgotten", oldest_is_forgotten},
                                        {"all_are_picked", all_are_picked},
                                        {"needle", needle},
                                        {"layer_gradient", layer_gradient},
                                        {"live_keys", live_keys},
                                        {0}}};
