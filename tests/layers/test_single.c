/* What a layer or head of the registry must keep by itself, at every option. */
#include "core/ops/blas.h"
#include "layers/registry.h"
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>

/* ---- one layer alone ---- */

static void check_finite(const layer_variant *v)
{
    layer_dims dims = {VARIANT_WIDTH, MODEL_RUN_VOCAB, CHECK_BLOCK, 0, 1, false};
    err e;
    static const int64_t counts[MODEL_RUN_VOCAB] = {1, 1, 1, 1, 1, 1, 1};
    layer_build inputs = {.token_counts = counts};
    layer_apply *a = layer_apply_new(v->cls->name, v->options, &dims, CHECK_ROWS, &inputs, &e);
    if (!a) return; /* refused: see layer_variant_run */
    enum { TIME = 6 };
    real x[CHECK_ROWS * TIME * VARIANT_WIDTH], ones[CHECK_ROWS * TIME * 64];
    fill_uniform(x, CHECK_ROWS * TIME * VARIANT_WIDTH, 1);
    for (int kind = 0; kind < 3; kind++) { /* zeros, 1e4, one vector again and again */
        for (int i = 0; i < CHECK_ROWS * TIME * VARIANT_WIDTH; i++) {
            x[i] = kind == 0 ? 0 : kind == 1 ? (real)1e4 : x[i % VARIANT_WIDTH];
        }
        for (int i = 0; i < CHECK_ROWS * TIME * 64; i++) {
            ones[i] = 1;
        }
        layer_apply_call call = {.time = TIME, .x = x, .cotangent = ones};
        layer_apply_reset(a);
        layer_apply_run(a, &call);
        double sum = 0, slope = 0;
        for (int64_t i = 0; i < tensor_count(call.y); i++) {
            sum += fabs((double)call.y->data[i]);
        }
        for (int i = 0; i < CHECK_ROWS * TIME * VARIANT_WIDTH; i++) {
            slope += fabs((double)call.dx[i]);
        }
        EXPECT(isfinite(sum) && isfinite(slope), "input %d: |y| %g, |dx| %g", kind, sum, slope);
        fill_uniform(x, VARIANT_WIDTH, 1);
    }
    layer_apply_free(a);
}

static void finite_output(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!layer_variant_drawn(&list[i], "finite_output")) continue;
        if (!test_sub("%s %s", list[i].cls->name, list[i].options)) continue;
        check_finite(&list[i]);
    }
}

/* FLOPs declared for a full context against the products that were run: none missing, and no more
 * than what the tiles of 64 queries compute for nothing. */
static void check_flops(const layer_class *cls, const char *options)
{
    enum { LONG = 1024, WIDE = 16 };
    layer_dims dims = {WIDE, MODEL_RUN_VOCAB, LONG, 0, 1, false};
    err e;
    static const int64_t counts[MODEL_RUN_VOCAB] = {1, 1, 1, 1, 1, 1, 1};
    layer_build inputs = {.token_counts = counts};
    layer_apply *a = layer_apply_new(cls->name, options, &dims, 1, &inputs, &e);
    CHECK(a, "%s", e.text);
    real *x = ARENA_NEW(a->memory, real, LONG * WIDE);
    int32_t *tokens = ARENA_NEW(a->memory, int32_t, LONG);
    fill_uniform(x, LONG * WIDE, 2);
    fill_tokens(tokens, LONG, 2);
    /* Evaluation: in training a capacity may drop tokens. */
    layer_apply_call call = {
        .time = LONG, .x = x, .tokens = tokens, .targets = tokens, .mode = MODE_EVAL};
    for (int i = 0; i < 7; i++) { /* memories fill, compressed ones a call later */
        layer_apply_run(a, &call);
    }
    double before = blas_flops();
    layer_apply_run(a, &call);
    double counted = (blas_flops() - before) / LONG, declared = cls->cost(&a->layer).forward_flops;
    EXPECT(counted >= declared * (1 - 1e-12) && counted <= declared * 1.1,
           "%s %s: %.9g FLOPs declared, %.9g counted", cls->name, options, declared, counted);
    layer_apply_free(a);
}

/* Options that change what is computed, beside the defaults. */
static const char *const COUNTED[][2] = {
    {"attention", "{memory: 512}"},
    {"attention", "{window: 1000, kv_heads: 2}"},
    {"block_recurrent", "{configuration: single, gate: lstm}"},
    {"block_recurrent", "{configuration: dual, gate_form: port}"},
    {"block_recurrent", "{write_keys: memory, window: 1000}"},
    {"compressed_memory", "{compression: mean, memory: 100}"},
    {"fast_ffn", "{chunk: 700}"},
    {"fast_ffn", "{chunk: 1, loss: next_token, carry: true}"},
    {"fwl", "{chunk: 700, update_dense0: false}"},
    {"fwl", "{chunk: 700, carry: true}"},
    {"ffn", "{activation: swiglu}"},
    {"lstm", "{hidden: 9}"},
    {"hash_ffn", "{hashes: 4, activation: geglu, hidden: 32}"},
    {"hash_ffn", "{hashes: 4, form: slices}"},
    {"pkm", "{gate: true}"},
    {"switch_ffn", "{top_k: 2, experts: 3}"},
};

static void declared_flops(void)
{
    for (int head = 0; head < 2; head++) {
        int count;
        const layer_class *const *classes = head ? registry_heads(&count) : registry_layers(&count);
        for (int i = 0; i < count; i++) {
            if (test_sub("%s", classes[i]->name)) check_flops(classes[i], "{}");
        }
    }
    for (size_t i = 0; i < sizeof COUNTED / sizeof *COUNTED; i++) {
        if (!test_sub("%s %s", COUNTED[i][0], COUNTED[i][1])) continue;
        const layer_class *cls = registry_layer(COUNTED[i][0]);
        check_flops(cls ? cls : registry_head(COUNTED[i][0]), COUNTED[i][1]);
    }
}

/* Every bound can be written, and nothing beyond it. */
static void check_bounds(const layer_class *cls)
{
    arena *a = arena_new(0);
    void *options = arena_push_zero(a, 1, MAX(cls->options_bytes, 1));
    for (const option *o = cls->options; o->name; o++) {
        EXPECT(o->help && *o->help, "%s has no help", o->name);
        if (o->type != OPTION_INT && o->type != OPTION_REAL) continue;
        const double values[] = {o->min, o->max, o->min - 1, o->max * 2 + 1};
        for (int i = 0; i < 4; i++) {
            char text[64];
            err e;
            snprintf(text, sizeof text, o->type == OPTION_INT ? "%.0f" : "%.17g", values[i]);
            bool fits = option_read_text(options, o, text, a, &e);
            EXPECT(fits == (i < 2), "%s.%s: %s %s", cls->name, o->name, text,
                   fits ? "taken" : e.text);
        }
    }
    arena_free(a);
}

static void option_bounds(void)
{
    for (int head = 0; head < 2; head++) {
        int count;
        const layer_class *const *classes = head ? registry_heads(&count) : registry_layers(&count);
        for (int i = 0; i < count; i++) {
            if (test_sub("%s", classes[i]->name)) check_bounds(classes[i]);
        }
    }
}

extern const test_suite test_single;
const test_suite test_single = {"layers/single",
                                {{"finite_output/", finite_output},
                                 {"declared_flops/", declared_flops},
                                 {"option_bounds/", option_bounds},
                                 {0}}};
