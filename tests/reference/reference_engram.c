/* Reference cases of Engram, through the layer `engram` with the case's multipliers and sizes. */
#include "tests/reference/reference.h"

#include "layers/engram_ids.h"
#include "tests/support/layer_apply.h"

#include <stdio.h>
#include <string.h>

static const char *const PARAMS[] = {"table",           "key.weight",     "key.bias",
                                     "value.weight",    "value.bias",     "key_norm.gain",
                                     "query_norm.gain", "conv_norm.gain", "conv.weight"};
enum { PARAM_COUNT = sizeof PARAMS / sizeof *PARAMS };

static const char *file_name(reference_case *c, const char *file, const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "%s:%s", file, name);
    return arena_strdup(c->memory, text);
}

/* Replaces what the layer drew; `rows` of open_layer leaves room for the case's tables. */
static void give_hashes(reference_case *c, engram_ids *h)
{
    const int64_t *multipliers = reference_int(c, "multipliers");
    const int64_t *sizes = reference_int(c, "table_sizes");
    h->pad = reference_size(c, "pad");
    h->rows = 0;
    for (int64_t n = 0; n < h->order; n++) {
        h->multiplier[n] = multipliers[n];
    }
    for (int64_t i = 0; i < (h->order - 1) * h->heads; i++) {
        h->size[i / h->heads][i % h->heads] = sizes[i];
        h->offset[i / h->heads][i % h->heads] = h->rows;
        h->rows += sizes[i];
    }
}

static layer_apply *open_layer(reference_case *c)
{
    char options[200];
    int64_t order = reference_size(c, "max_ngram"), heads = reference_size(c, "heads_per_ngram");
    int64_t rows = reference_get(c, "params:table")->shape[0];
    snprintf(options, sizeof options,
             "{order: %lld, heads: %lld, head_dim: %lld, rows: %lld, conv: %lld, gate: root}",
             (long long)order, (long long)heads, (long long)reference_size(c, "head_dim"),
             (long long)(rows / ((order - 1) * heads) + 1),
             (long long)reference_size(c, "conv_size"));
    layer_dims dims = {.width = reference_size(c, "width"),
                       .vocab = reference_size(c, "vocab"),
                       .block = 4,
                       .depths = 1};
    err e;
    layer_apply *a = layer_apply_new("engram", options, &dims, reference_size(c, "rows"), NULL, &e);
    if (!a) {
        reference_fail(c, "%s", e.text);
        return NULL;
    }
    give_hashes(c, a->layer.plan);
    for (int i = 0; i < PARAM_COUNT; i++) {
        const char *name = file_name(c, "params", PARAMS[i]);
        memcpy(layer_apply_param(a, PARAMS[i], NULL), reference_real(c, name),
               (size_t)reference_get(c, name)->count * sizeof(real));
    }
    return a;
}

/* The rows within their tables, as the case counts them. */
static void check_hashes(reference_case *c, const engram_ids *h, const int32_t *tokens)
{
    int64_t rows = reference_size(c, "rows"), time = reference_size(c, "time"), past = h->order - 1;
    int64_t vocab = reference_size(c, "vocab"), per = past * h->heads;
    int64_t *got = ARENA_NEW(c->memory, int64_t, rows * time * per);
    int32_t *row = ARENA_NEW(c->memory, int32_t, past + time);
    int32_t *found = ARENA_NEW(c->memory, int32_t, per);
    for (int64_t i = 0; i < rows * time; i++) {
        for (int64_t k = 0; k < past + time; k++) {
            row[k] = (int32_t)(k < past ? vocab : tokens[i / time * time + k - past]);
        }
        engram_ids_rows(h, row + past + i % time, vocab, found);
        for (int64_t k = 0; k < per; k++) {
            got[i * per + k] = found[k] - h->offset[k / h->heads][k % h->heads];
        }
    }
    reference_expect_int(c, "hashes", got);
}

static void keep_gate(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    reference_case *c = user;
    if (strcmp(name, "gate") == 0) reference_expect(c, "gate", x->data, "outputs");
}

static void check_engram(reference_case *c)
{
    layer_apply *a = open_layer(c);
    if (!a) return;
    int64_t n = reference_size(c, "rows") * reference_size(c, "time");
    const int64_t *ids = reference_int(c, "ids");
    int32_t *tokens = ARENA_NEW(c->memory, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)ids[i];
    }
    check_hashes(c, a->layer.plan, tokens);
    layer_apply_call call = {.time = reference_size(c, "time"),
                             .x = reference_real(c, "io:x"),
                             .tokens = tokens,
                             .cotangent = reference_real(c, "cotangent"),
                             .watch = {.tap = keep_gate, .user = c}};
    layer_apply_run(a, &call);
    reference_expect(c, "y", call.y->data, "outputs");
    double loss = 0;
    for (int64_t i = 0; i < tensor_count(call.y); i++) {
        loss += (double)call.y->data[i] * (double)call.cotangent[i];
    }
    reference_expect(c, "loss", &(real){(real)loss}, "loss");
    reference_expect(c, "grads:x", call.dx, "gradients");
    for (int i = 0; i < PARAM_COUNT; i++) {
        reference_expect(c, file_name(c, "grads", PARAMS[i]), layer_apply_grad(a, PARAMS[i], NULL),
                         "gradients");
    }
    layer_apply_free(a);
}

const reference_entry REFERENCE_ENGRAM[] = {{"engram", NULL, check_engram}, {NULL, NULL, NULL}};
