/* Reference cases of the gated delta rule, through the layer `gated_delta`. */
#include "tests/reference/reference.h"

#include "tests/support/layer_apply.h"

#include <stdio.h>
#include <string.h>

static const char *const PARAMS[] = {"query.weight", "key.weight",  "value.weight", "beta.weight",
                                     "decay.weight", "a_log",       "dt_bias",      "norm.gain",
                                     "out.weight",   "gate.weight", "query.conv",   "key.conv",
                                     "value.conv"};
/* Ours; "norm" is the name of the norm that the model puts before a layer. */
static const char *ours(const char *name)
{
    return strcmp(name, "norm.gain") == 0 ? "value_norm.gain" : name;
}

enum { PARAM_COUNT = sizeof PARAMS / sizeof *PARAMS };
static const char *const STATES[] = {"state.s", "state.conv_query", "state.conv_key",
                                     "state.conv_value"};

/* "call1.x" */
static const char *named(reference_case *c, int call, const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "call%d.%s", call, name);
    return arena_strdup(c->memory, text);
}

static const char *file_name(reference_case *c, const char *file, const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "%s:%s", file, name);
    return arena_strdup(c->memory, text);
}

static bool flag(reference_case *c, const char *key)
{
    return json_is_true(json_object_get(c->config, key));
}

static layer_apply *open_layer(reference_case *c, int64_t chunk)
{
    char options[256];
    snprintf(options, sizeof options,
             "{heads: %lld, value_heads: %lld, head_dim: %lld, value_dim: %lld, conv: %lld, gate: "
             "%s, negative: %s, chunk: %lld}",
             (long long)reference_size(c, "heads"), (long long)reference_size(c, "value_heads"),
             (long long)reference_size(c, "head_dim"), (long long)reference_size(c, "value_dim"),
             (long long)reference_size(c, "conv_size"), flag(c, "gate") ? "true" : "false",
             flag(c, "negative") ? "true" : "false", (long long)chunk);
    err e;
    layer_dims dims = {.width = reference_size(c, "width"), .vocab = 2, .block = 4, .depths = 1};
    layer_apply *a =
        layer_apply_new("gated_delta", options, &dims, reference_size(c, "rows"), NULL, &e);
    if (!a) reference_fail(c, "%s", e.text);
    return a;
}

static void expect_states(reference_case *c, const layer_apply *a, int call)
{
    for (int i = 0; i < 4; i++) {
        char slot[80];
        const char *name = named(c, call, STATES[i]);
        snprintf(slot, sizeof slot, "gated_delta.%s", STATES[i] + strlen("state."));
        int at = layer_find_slot(&a->build, slot);
        if (reference_has(c, name)) reference_expect(c, name, a->slots[at], "state");
    }
}

static void load(reference_case *c, layer_apply *a)
{
    for (int i = 0; i < PARAM_COUNT; i++) {
        const char *name = file_name(c, "params", PARAMS[i]);
        if (!reference_has(c, name)) continue;
        int64_t count;
        real *to = layer_apply_param(a, ours(PARAMS[i]), &count);
        memcpy(to, reference_real(c, name), (size_t)count * sizeof *to);
    }
}

/* Outputs and states call by call, then gradients through all calls. */
static void check_chunked(reference_case *c, int64_t chunk)
{
    layer_apply *a = open_layer(c, chunk);
    if (!a) return;
    load(c, a);
    layer_apply_call calls[LAYER_APPLY_CALLS] = {{0}};
    int n = (int)reference_size(c, "calls");
    double loss = 0;
    for (int i = 0; i < n; i++) {
        layer_apply_call *call = &calls[i];
        call->time = reference_size(c, "time");
        call->x = reference_real(c, file_name(c, "io", named(c, i, "x")));
        layer_apply_run(a, call);
        reference_expect(c, named(c, i, "y"), call->y->data, "outputs");
        expect_states(c, a, i);
        call->cotangent = reference_real(c, named(c, i, "cotangent"));
        for (int64_t k = 0; k < tensor_count(call->y); k++) {
            loss += (double)call->y->data[k] * (double)call->cotangent[k];
        }
    }
    reference_expect(c, "loss", &(real){(real)loss}, "loss");
    layer_apply_reset(a);
    layer_apply_segment(a, calls, n);
    for (int i = 0; i < n; i++) {
        reference_expect(c, file_name(c, "grads", named(c, i, "x")), calls[i].dx, "gradients");
    }
    for (int i = 0; i < PARAM_COUNT; i++) {
        const char *name = file_name(c, "grads", PARAMS[i]);
        if (reference_has(c, name)) {
            reference_expect(c, name, layer_apply_grad(a, ours(PARAMS[i]), NULL), "gradients");
        }
    }
    layer_apply_free(a);
}

/* Chunks change speed and not the result: one, some, a call's length, more. */
static void check_delta(reference_case *c)
{
    const int64_t chunks[] = {1, 4, reference_size(c, "time"), 64};
    for (int i = 0; i < 4; i++) {
        check_chunked(c, chunks[i]);
    }
}

const reference_entry REFERENCE_DELTA[] = {{"delta", NULL, check_delta}, {NULL, NULL, NULL}};
