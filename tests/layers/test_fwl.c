/* The property that defines fast weights: take the slow weights, subtract step size times the
 * gradient of the losses of the row's earlier tokens, run the plain block: these are the fast
 * logits.
 */
#include "core/ops/ops.h"
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 2, TIME = 8, WIDTH = 5, SIZE = 6, VOCAB = 7, WEIGHTS = 8 };

/* The block's parameters and the step size of each; NULL: the output layer, which stays. */
static const char *const NAMES[WEIGHTS][2] = {{"dense0.weight", "dense0.weight_step_size"},
                                              {"dense0.bias", "dense0.bias_step_size"},
                                              {"dense1.weight", "dense1.weight_step_size"},
                                              {"dense1.bias", "dense1.bias_step_size"},
                                              {"norm.gain", "norm.gain_step_size"},
                                              {"norm.bias", "norm.bias_step_size"},
                                              {"weight", NULL},
                                              {"bias", NULL}};

typedef struct fwl_fixture {
    layer_apply *head;
    real x[ROWS * TIME * WIDTH], weights[ROWS * TIME];
    int32_t tokens[ROWS * TIME], targets[ROWS * TIME];
    real *values[WEIGHTS];
    int64_t counts[WEIGHTS], shapes[WEIGHTS][2];
} fwl_fixture;

static fwl_fixture fixture_new(int chunk)
{
    fwl_fixture f = {0};
    char options[128];
    snprintf(options, sizeof options,
             "{size: %d, chunk: %d, step_init: 0.5, normaliser: 4, eps: 0.01}", SIZE, chunk);
    err e = {0};
    layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = TIME, .depths = 1};
    f.head = layer_apply_new("fwl", options, &dims, ROWS, NULL, &e);
    CHECK(f.head, "%s", e.text);
    fill_uniform(f.x, ROWS * TIME * WIDTH, 1);
    for (int i = 0; i < ROWS * TIME; i++) {
        f.tokens[i] = i % TIME ? (i * 5 + 2) % VOCAB : VOCAB;
        f.weights[i] = i == 3 ? 0 : i == 5 ? (real)0.5 : 1;
    }
    for (int i = 0; i < ROWS * TIME; i++) {
        f.targets[i] = i % TIME == TIME - 1 ? 0 : f.tokens[i + 1];
    }
    int64_t hidden = 4 * SIZE;
    const int64_t shapes[WEIGHTS][2] = {{hidden, WIDTH}, {hidden, 1}, {SIZE, hidden}, {SIZE, 1},
                                        {SIZE, 1},       {SIZE, 1},   {VOCAB, SIZE},  {VOCAB, 1}};
    memcpy(f.shapes, shapes, sizeof shapes);
    for (int i = 0; i < WEIGHTS; i++) {
        f.values[i] = layer_apply_param(f.head, NAMES[i][0], &f.counts[i]);
        fill_uniform(f.values[i], f.counts[i], 20 + (uint32_t)i);
    }
    return f;
}

/* The block without fast weights, as anybody would write it. */
static tensor *plain_block(tape *t, tensor *const *w, tensor *x)
{
    tensor *r = op_activation(t, op_linear(t, x, w[0], w[1]), ACT_RELU2);
    tensor *y = op_layernorm(t, op_linear(t, r, w[2], w[3]), w[4], w[5], (real)0.01);
    return op_linear(t, y, w[6], w[7]);
}

/* Logits [ROWS, TIME, VOCAB] with weights that have learned from row's positions before `until`. */
static const real *adapted_logits(fwl_fixture *f, tape *t, int row, int until)
{
    real masked[ROWS * TIME] = {0};
    for (int m = 0; m < until; m++) {
        masked[row * TIME + m] = f->weights[row * TIME + m];
    }
    tape_reset(t, true);
    tensor *w[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++) {
        int rank = f->shapes[i][1] == 1 ? 1 : 2;
        w[i] = tape_leaf(t, f->values[i], rank, f->shapes[i], true);
    }
    tensor *x = tape_leaf(t, f->x, 3, (int64_t[]){ROWS, TIME, WIDTH}, false);
    tensor *loss = op_cross_entropy(t, plain_block(t, w, x), f->targets, masked, (real)0.25, NULL);
    tape_backward(t, loss, 1);
    for (int i = 0; i < WEIGHTS; i++) {
        if (!NAMES[i][1] || !w[i]->has_grad) continue;
        real step = layer_apply_param(f->head, NAMES[i][1], NULL)[0];
        tensor *learned = tape_constant(t, w[i]->data, w[i]->rank, w[i]->shape);
        for (int64_t j = 0; j < f->counts[i]; j++) {
            learned->data[j] -= step * w[i]->grad[j];
        }
        w[i] = learned;
    }
    return plain_block(t, w, x)->data;
}

static void fast_logits_are_adapted_logits(void)
{
    tape *t = tape_new();
    for (int chunk = 1; chunk <= TIME; chunk *= 2) {
        fwl_fixture f = fixture_new(chunk);
        layer_apply_call call = {
            .time = TIME, .x = f.x, .tokens = f.tokens, .weights = f.weights, .mode = MODE_EVAL};
        layer_apply_run(f.head, &call);
        for (int row = 0; row < ROWS; row++) {
            for (int at = 0; at < TIME; at++) {
                const real *expected = adapted_logits(&f, t, row, at);
                int64_t offset = (row * TIME + at) * VOCAB;
                /* Two ways to add the same few dozen products of numbers near 1. */
                double tolerance = REAL_IS_DOUBLE ? 1e-11 : 2e-4;
                char what[64];
                snprintf(what, sizeof what, "chunk %d, row %d, position %d", chunk, row, at);
                expect_close(what, call.y->data + offset, expected + offset, VOCAB, tolerance, 0);
            }
        }
        layer_apply_free(f.head);
    }
    tape_free(t);
}

/* What of a text the loss counts is not what teaches: all of it does, and padding does not. */
static void all_text_teaches(void)
{
    static const int64_t lengths[ROWS] = {TIME, TIME - 2};
    real counted[ROWS * TIME] = {0}, logits[ROWS * TIME * VOCAB];
    for (int answers = 0; answers < 2; answers++) {
        fwl_fixture f = fixture_new(4);
        counted[TIME - 3] = 1;
        for (int i = 0; i < ROWS * TIME; i++) {
            f.weights[i] = answers ? counted[i] : i % TIME < lengths[i / TIME];
        }
        layer_apply_call call = {.time = TIME,
                                 .x = f.x,
                                 .tokens = f.tokens,
                                 .weights = f.weights,
                                 .lengths = answers ? lengths : NULL,
                                 .mode = MODE_EVAL};
        layer_apply_run(f.head, &call);
        if (!answers) memcpy(logits, call.y->data, sizeof logits);
        EXPECT(memcmp(logits, call.y->data, sizeof logits) == 0, "weights of 0 teach nothing");
        layer_apply_free(f.head);
    }
}

/* With step sizes of 0 the fast pass is the slow one. */
static void no_step_no_change(void)
{
    fwl_fixture f = fixture_new(4);
    for (int i = 0; i < WEIGHTS; i++) {
        if (NAMES[i][1]) layer_apply_param(f.head, NAMES[i][1], NULL)[0] = 0;
    }
    layer_apply_call call = {.time = TIME, .x = f.x, .tokens = f.tokens, .mode = MODE_EVAL};
    layer_apply_run(f.head, &call);
    tape *t = tape_new();
    const real *expected = adapted_logits(&f, t, 0, 0);
    expect_close("logits", call.y->data, expected, ROWS * TIME * VOCAB,
                 REAL_IS_DOUBLE ? 1e-12 : 1e-5, 0);
    tape_free(t);
    layer_apply_free(f.head);
}

/* ---- leaks ---- */

typedef struct learner {
    const char *name, *options; /* of a layer that learns from targets */
} learner;

static const learner LEARNERS[] = {
    {"fwl", "size: 6, step_init: 0.5, normaliser: 4"},
    {"fwl", "size: 6, step_init: 0.5, normaliser: 4, step_sizes: layer, eps: 0.01"},
    {"fwl", "step_init: 0.5, normalise: batch, residual: true"},
    {"fwl", "step_init: 0.5, normaliser: 4, carry: true, decay: 0.9"},
    {"fwl", "step_init: 0.5, normaliser: 4, update_dense0: false"},
    {"fwl", "step_init: 0.5, normaliser: 4, update_dense1: false, update_norm: false"},
    {"fast_ffn", "step_init: 0.5, normaliser: 4, loss: next_token"},
    {"fast_ffn", "step_init: 0.5, normaliser: 4, loss: next_token, carry: true, decay: 0.9"}};

/* Output of a fresh layer for these tokens; `out` has room for ROWS x TIME of its width. */
static int64_t learned_output(const learner *l, int chunk, const int32_t *tokens, real *out)
{
    char options[160];
    err e = {0};
    real x[ROWS * TIME * WIDTH];
    fill_uniform(x, ROWS * TIME * WIDTH, 1);
    snprintf(options, sizeof options, "{%s, chunk: %d}", l->options, chunk);
    layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = TIME, .depths = 1};
    layer_apply *a = layer_apply_new(l->name, options, &dims, ROWS, NULL, &e);
    CHECK(a, "%s", e.text);
    layer_apply_call call = {.time = TIME, .x = x, .tokens = tokens, .mode = MODE_EVAL};
    layer_apply_run(a, &call);
    int64_t width = tensor_width(call.y);
    memcpy(out, call.y->data, (size_t)(ROWS * TIME * width) * sizeof *out);
    layer_apply_free(a);
    return width;
}

/* Other targets at t and behind: no token behind t stays what it was. */
static void permute_targets(int32_t *to, const int32_t *from, int t)
{
    for (int i = 0; i < ROWS * TIME; i++) {
        int at = i % TIME;
        to[i] = at <= t ? from[i] : (from[i] + 1 + at % (VOCAB - 1)) % VOCAB;
    }
}

static void targets_reach_later_positions_only(void)
{
    int32_t tokens[ROWS * TIME], permuted[ROWS * TIME];
    real before[ROWS * TIME * VOCAB], after[ROWS * TIME * VOCAB];
    for (int i = 0; i < ROWS * TIME; i++) {
        tokens[i] = i % TIME ? (i * 5 + 2) % VOCAB : VOCAB;
    }
    for (size_t k = 0; k < sizeof LEARNERS / sizeof *LEARNERS; k++) {
        for (int chunk = 1; chunk <= TIME; chunk += chunk < 3 ? 2 : 5) { /* 8, 3 and 1 chunks */
            int64_t width = learned_output(&LEARNERS[k], chunk, tokens, before);
            for (int t = 0; t < TIME; t++) {
                permute_targets(permuted, tokens, t);
                learned_output(&LEARNERS[k], chunk, permuted, after);
                for (int64_t i = 0; i < ROWS * TIME; i++) {
                    bool same = memcmp(before + i * width, after + i * width,
                                       (size_t)width * sizeof *after) == 0;
                    /* Position t + 1 is the first to have learned from the target at t. */
                    EXPECT(same == (i % TIME <= t), "%s %s, chunk %d, targets from %d: position %d",
                           LEARNERS[k].name, LEARNERS[k].options, chunk, t, (int)(i % TIME));
                }
            }
        }
    }
}

const test_suite test_fwl = {
    "layers/fwl",
    {{"fast_logits_are_adapted_logits", fast_logits_are_adapted_logits},
     {"all_text_teaches", all_text_teaches},
     {"no_step_no_change", no_step_no_change},
     {"targets_reach_later_positions_only", targets_reach_later_positions_only},
     {0}}};
