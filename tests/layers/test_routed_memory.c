/* Routed memory: picks reach as far back as said and no further, a needle is found thousands of
 * positions later, and gradients reach what is stored within a segment. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { VOCAB = MODEL_RUN_VOCAB };

#define MODEL(options)                                                                             \
    "{width: 8, context: 4, blocks: [{routed_memory: {heads: 2, memory: 4, " options "}}]}"

/* The last block begins at 36, its memory at 32. */
static void oldest_is_forgotten(void)
{
    EXPECT(model_run_far_effect(MODEL("picks: 40, length: 31")) > 0, "position 1 is within reach");
    EXPECT(model_run_far_effect(MODEL("picks: 40, length: 30")) == 0, "position 1 is out of reach");
    EXPECT(model_run_far_effect(MODEL("picks: 40, length: 31, routing: random")) > 0,
           "of random picks, too");
    EXPECT(model_run_far_effect(MODEL("picks: 40, length: 30, routing: random")) == 0,
           "of random picks, too");
}

/* Where there are no more keys than picks, nothing is chosen: what `memorizing` sees. */
static void all_are_picked(void)
{
    static const char memorizing[] =
        "{width: 8, context: 4, blocks: [{memorizing: {heads: 2, memory: 4, top: 40}}]}";
    real expected[VOCAB], got[VOCAB];
    model_run *a = model_run_good(memorizing, 1),
              *b = model_run_good(MODEL("picks: 40, routing: random"), 1);
    int64_t total = model_params_const(a->model)->total;
    EXPECT(model_params_const(b->model)->total == total, "other parameters");
    memcpy(b->values, a->values, (size_t)total * sizeof(real));
    model_run_far(a, expected);
    model_run_far(b, got);
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
            .time = BLOCK, .x = x, .mode = MODE_EVAL, .watch = {.tap = see, .user = &s}};
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

/* A layer and what it reads: y is of x [BLOCK or HISTORY, WIDTH], of all or after HISTORY others.
 */
typedef struct reading {
    layer_apply *a;
    real x[HISTORY * WIDTH], cotangent[HISTORY * WIDTH];
    bool after_history;
} reading;

static reading reading_of(layer_apply *a, bool after_history)
{
    reading r = {.a = a, .after_history = after_history};
    fill_uniform(r.x, HISTORY * WIDTH, 3);
    fill_uniform(r.cotangent, HISTORY * WIDTH, 4);
    return r;
}

/* From a fresh start: sum(y cotangent). */
static double read_x(reading *r, bool backward, layer_apply_call *call)
{
    layer_apply *a = r->a;
    memset(a->lengths, 0, (size_t)a->build.slot_count * sizeof *a->lengths);
    layer_apply_reset(a);
    if (r->after_history) {
        static real history[HISTORY * WIDTH];
        fill_uniform(history, HISTORY * WIDTH, 9);
        layer_apply_run(a, &(layer_apply_call){.time = HISTORY, .x = history, .mode = MODE_TRAIN});
    }
    *call = (layer_apply_call){
        .time = r->after_history ? BLOCK : HISTORY, .x = r->x, .mode = MODE_TRAIN};
    if (backward) call->cotangent = r->cotangent;
    layer_apply_run(a, call);
    double sum = 0;
    for (int64_t i = 0; i < call->time * WIDTH; i++) {
        sum += (double)call->y->data[i] * (double)r->cotangent[i];
    }
    return sum;
}

static double sum_of(void *user)
{
    layer_apply_call call;
    return read_x(user, false, &call);
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
    real gradients[5][64], dx[BLOCK * WIDTH];
    reading r = reading_of(a, true);
    layer_apply_call call;
    read_x(&r, true, &call);
    memcpy(dx, call.dx, sizeof dx);
    for (int i = 0; i < 5; i++) {
        int64_t n;
        const real *g = layer_apply_grad(a, names[i], &n);
        memcpy(gradients[i], g, (size_t)MIN(n, 64) * sizeof *g);
    }
    for (int i = 0; i < 5; i++) {
        int64_t n;
        real *p = layer_apply_param(a, names[i], &n);
        for (int64_t k = 0; k < MIN(n, 64); k += 5) {
            double numeric = five_point(sum_of, &r, p + k, 1e-4);
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
        double numeric = five_point(sum_of, &r, r.x + k, 1e-4);
        EXPECT(fabs((double)dx[k] - numeric) < 1e-9, "x[%lld]: %.10g, not %.10g", (long long)k,
               (double)dx[k], numeric);
    }
    layer_apply_free(a);
}

/* Within a segment picked keys and values have their gradient: exactly, where no router chooses. */
static void live_keys(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    for (int dead = 0; dead < 2; dead++) {
        layer_apply *a =
            one_layer(dead ? "{heads: 2, memory: 2, picks: 3, routing: random, live: 0}"
                           : "{heads: 2, memory: 2, picks: 3, routing: random}");
        int64_t n;
        real *p = layer_apply_param(a, "qkv.weight", &n);
        reading r = reading_of(a, false);
        layer_apply_call call;
        read_x(&r, true, &call);
        const real *gradient = layer_apply_grad(a, "qkv.weight", &n);
        double worst = 0;
        for (int64_t k = 0; k < n; k += 7) {
            double numeric = five_point(sum_of, &r, p + k, 1e-4);
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
                                       {{"oldest_is_forgotten", oldest_is_forgotten},
                                        {"all_are_picked", all_are_picked},
                                        {"needle", needle},
                                        {"layer_gradient", layer_gradient},
                                        {"live_keys", live_keys},
                                        {0}}};
