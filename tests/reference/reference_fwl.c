/* Reference cases of the fast weight layer, through the head `fwl`. */
#include "tests/reference/reference.h"

#include "tests/support/layer_apply.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A parameter of ours, theirs, and how it is stored there. */
typedef struct fwl_param {
    const char *ours, *theirs;
    bool transposed; /* theirs is [in, out] */
} fwl_param;

static const fwl_param WEIGHTS[] = {
    {"dense0.weight", "dense0.kernel", true}, {"dense0.bias", "dense0.bias", false},
    {"dense1.weight", "dense1.kernel", true}, {"dense1.bias", "dense1.bias", false},
    {"norm.gain", "norm.scale", false},       {"norm.bias", "norm.bias", false},
    {"weight", "unembed.kernel", true},       {"bias", "unembed.bias", false}};

static const fwl_param STEPS_JAX[] = {{"dense0.weight_step_size", "step_size_0", false},
                                      {"dense1.weight_step_size", "step_size_2", false},
                                      {"norm.gain_step_size", "step_size_3", false},
                                      {0}};

static const fwl_param STEPS_TF[] = {{"dense0.weight_step_size", "dense0.kernel_step_size", false},
                                     {"dense0.bias_step_size", "dense0.bias_step_size", false},
                                     {"dense1.weight_step_size", "dense1.kernel_step_size", false},
                                     {"dense1.bias_step_size", "dense1.bias_step_size", false},
                                     {"norm.gain_step_size", "norm.scale_step_size", false},
                                     {"norm.bias_step_size", "norm.bias_step_size", false},
                                     {0}};

/* Intermediate values: our taps and their names. */
static const char *const TAPS[][2] = {
    {"slow.logits", "slow_logits"}, {"slow.h0", "slow.h0"},        {"slow.h1", "slow.h1"},
    {"slow.y", "slow.y"},           {"fast.h0", "fast.h0"},        {"fast.h1", "fast.h1"},
    {"fast.y", "fast.y"},           {"fast.logits", "fast_logits"}};
/* Ours leaves the last position's gradient to the call that reads its target. */
static const char *const INNER[][2] = {{"dense0.gradient", "inner_grad.h0"},
                                       {"dense1.gradient", "inner_grad.h1"},
                                       {"norm.gain_gradient", "inner_grad.norm_scale"},
                                       {"norm.bias_gradient", "inner_grad.norm_bias"}};

typedef struct fwl_run {
    reference_case *c;
    int64_t rows, time, vocab;
    const real *weights;
    const int64_t *labels;
    double total;
} fwl_run;

/* to [columns, rows] = from [rows, columns] */
static void transpose(real *to, const real *from, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            to[j * rows + i] = from[i * columns + j];
        }
    }
}

static void load(reference_case *c, layer_apply *a, fwl_param p)
{
    char name[64];
    snprintf(name, sizeof name, "params:%s", p.theirs);
    const st_tensor *s = reference_get(c, name);
    int64_t count;
    real *to = layer_apply_param(a, p.ours, &count);
    const real *from = reference_real(c, name);
    if (!s) return;
    if (p.transposed) {
        transpose(to, from, s->shape[0], s->shape[1]);
    } else {
        memcpy(to, from, (size_t)count * sizeof *to);
    }
}

static void compare_grad(reference_case *c, layer_apply *a, fwl_param p)
{
    char name[64];
    snprintf(name, sizeof name, "grads:%s", p.theirs);
    const st_tensor *s = reference_get(c, name);
    int64_t count;
    const real *got = layer_apply_grad(a, p.ours, &count);
    if (!s) return;
    real *turned = ARENA_NEW(c->memory, real, count);
    if (p.transposed) {
        transpose(turned, got, s->shape[1], s->shape[0]);
        got = turned;
    }
    reference_expect(c, arena_strdup(c->memory, name), got, "grads");
}

static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    fwl_run *r = user;
    for (size_t i = 0; i < sizeof TAPS / sizeof *TAPS; i++) {
        if (strcmp(TAPS[i][0], name) == 0) {
            reference_expect(r->c, TAPS[i][1], x->data, "outputs");
        }
    }
    for (size_t i = 0; i < sizeof INNER / sizeof *INNER; i++) {
        if (strcmp(INNER[i][0], name) != 0) continue;
        int64_t width = tensor_width(x);
        real *got = ARENA_NEW(r->c->memory, real, tensor_count(x));
        memcpy(got, x->data, (size_t)tensor_count(x) * sizeof *got);
        const real *expected = reference_real(r->c, INNER[i][1]);
        for (int64_t row = 0; row < r->rows; row++) {
            int64_t last = (row * r->time + r->time - 1) * width;
            memcpy(got + last, expected + last, (size_t)width * sizeof *got);
        }
        reference_expect(r->c, INNER[i][1], got, "inner");
    }
}

/* sum(w ce(logits)) / total, and its gradient if wanted. */
static double loss_of(const fwl_run *r, const real *logits, real *gradient)
{
    double loss = 0;
    for (int64_t n = 0; n < r->rows * r->time; n++) {
        const real *z = logits + n * r->vocab;
        double top = (double)z[0], sum = 0, w = (double)r->weights[n] / r->total;
        for (int64_t j = 1; j < r->vocab; j++) {
            top = MAX(top, (double)z[j]);
        }
        for (int64_t j = 0; j < r->vocab; j++) {
            sum += exp((double)z[j] - top);
        }
        loss += w * (top + log(sum) - (double)z[r->labels[n]]);
        for (int64_t j = 0; gradient && j < r->vocab; j++) {
            double p = exp((double)z[j] - top) / sum;
            gradient[n * r->vocab + j] = (real)(w * (p - (j == r->labels[n])));
        }
    }
    return loss;
}

static layer_apply *open_head(reference_case *c, fwl_run *r, bool jax, int64_t width)
{
    /* eps 0, which divides by 0 where text repeats, is refused; variances here are above 7e-8. */
    char options[256];
    int64_t chunks = reference_size(c, "attn_chunks");
    snprintf(options, sizeof options,
             "{size: %lld, chunk: %lld, step_sizes: %s, normalise: batch, eps: %g}",
             (long long)reference_size(c, "size"), (long long)(r->time / chunks),
             jax ? "layer" : "parameter", MAX(reference_number(c, "norm_eps"), 1e-12));
    err e;
    layer_dims dims = {.width = width, .vocab = r->vocab, .block = r->time, .depths = 1};
    layer_apply *a = layer_apply_new("fwl", options, &dims, r->rows, NULL, &e);
    if (!a) reference_fail(c, "%s", e.text);
    return a;
}

static void check_run(reference_case *c, fwl_run *r, layer_apply *a, const fwl_param *steps)
{
    int64_t n = r->rows * r->time;
    int32_t *tokens = arena_push_zero(c->memory, n, sizeof *tokens);
    for (int64_t i = 0; i < n; i++) {
        if (i % r->time) tokens[i] = (int32_t)r->labels[i - 1];
    }
    layer_apply_call call = {.time = r->time,
                             .x = reference_real(c, "io:x"),
                             .tokens = tokens,
                             .weights = r->weights,
                             .total_weight = r->total,
                             .mode = MODE_TRAIN,
                             .watch = {.tap = on_tap, .user = r}};
    layer_apply_run(a, &call);
    real *cotangent = ARENA_NEW(c->memory, real, n * r->vocab);
    real loss = (real)loss_of(r, call.y->data, cotangent);
    reference_expect(c, "loss", &loss, "loss");
    real inner = (real)loss_of(r, reference_real(c, "slow_logits"), NULL);
    reference_expect(c, "inner_loss", &inner, "loss");
    layer_apply_reset(a);
    call.watch.tap = NULL;
    call.cotangent = cotangent;
    layer_apply_run(a, &call);
    reference_expect(c, "grads:x", call.dx, "grads");
    for (size_t i = 0; i < sizeof WEIGHTS / sizeof *WEIGHTS; i++) {
        compare_grad(c, a, WEIGHTS[i]);
    }
    for (const fwl_param *p = steps; p->ours; p++) {
        compare_grad(c, a, *p);
    }
}

static void check_fwl(reference_case *c)
{
    bool jax = strcmp(json_string_value(json_object_get(c->config, "variant")), "jax") == 0;
    fwl_run r = {.c = c,
                 .rows = reference_size(c, "batch"),
                 .time = reference_size(c, "seq_len"),
                 .vocab = reference_size(c, "vocab_size"),
                 .weights = reference_real(c, "io:weights"),
                 .labels = reference_int(c, "io:labels")};
    for (int64_t i = 0; i < r.rows * r.time; i++) {
        r.total += (double)r.weights[i];
    }
    r.total = MAX(r.total, 1e-8);
    layer_apply *a = open_head(c, &r, jax, reference_size(c, "d_in"));
    if (!a) return;
    const fwl_param *steps = jax ? STEPS_JAX : STEPS_TF;
    for (size_t i = 0; i < sizeof WEIGHTS / sizeof *WEIGHTS; i++) {
        load(c, a, WEIGHTS[i]);
    }
    for (const fwl_param *p = steps; p->ours; p++) {
        load(c, a, *p);
    }
    check_run(c, &r, a, steps);
    if (jax) {
        /* It belongs to the squared ReLU, which has nothing to update. */
        reference_drop(c, "params:step_size_1");
        reference_drop(c, "grads:step_size_1");
    }
    layer_apply_free(a);
}

const reference_entry REFERENCE_FWL[] = {{"fwl", NULL, check_fwl}, {NULL, NULL, NULL}};
