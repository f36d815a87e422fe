#include "tests/support/layer_variants.h"
#include "layers/registry.h"

#include "tests/support/draw.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VARIANTS = 1024 };

/* ---- what is run: every class with its defaults, each option at its ends, and combinations ----
 */

/* Options that act together only. */
static const char *const COMBINATIONS[][2] = {
    {"attention", "{memory: 4}"},
    {"attention", "{memory: 6, positions: xpos, kv_heads: 2, bias: true}"},
    {"attention", "{memory: 5, positions: t5, t5_buckets: 4, t5_max_distance: 6}"},
    {"attention", "{memory: 7, positions: alibi, kv_heads: 1}"},
    {"attention", "{memory: 3, positions: none, qk_norm: l2}"},
    {"attention", "{window: 3, qk_norm: rms, kv_heads: 2}"},
    {"attention", "{window: 6, positions: t5, t5_buckets: 8, t5_max_distance: 12}"},
    {"attention", "{window: 7, memory: 2, head_dim: 6}"},
    {"attention", "{window: 2, memory: 9, dropout: 0.3}"},
    {"attention", "{heads: 2, head_dim: 6, theta: 100, positions: xpos}"},
    {"attention", "{memory: 4, memory_dropout: 0.5}"},
    {"block_recurrent", "{gate: lstm, configuration: single, kv_heads: 1, state_hidden: 5}"},
    {"block_recurrent", "{gate: lstm, configuration: dual, write_keys: memory, window: 5}"},
    {"block_recurrent", "{configuration: dual, gate_form: port, memory: 0}"},
    {"block_recurrent", "{configuration: single, clear_state: segment, segment_blocks: 2}"},
    {"block_recurrent", "{gate: lstm, gate_form: port, state_norm: rmsnorm, positions: t5}"},
    {"block_recurrent", "{compressed: 3, factor: 2, state_dropout: 0.5, memory_dropout: 0.5}"},
    {"block_recurrent", "{write_keys: memory, memory: 6, qk_norm: none, heads: 2}"},
    {"compressed_memory", "{compressed: 3, factor: 3, memory: 6, positions: xpos}"},
    {"compressed_memory", "{compressed: 2, factor: 2, compression: max, memory: 2, qk_norm: l2}"},
    {"compressed_memory", "{compressed: 5, factor: 1, compression: mean, memory: 0}"},
    {"compressed_memory", "{compressed: 4, factor: 2, memory: 3, memory_dropout: 0.5, heads: 2}"},
    {"memorizing", "{length: 5, top: 2, memory: 2, kv_heads: 2}"},
    {"memorizing", "{length: 64, top: 3, memory: 0, gate: 1, qk_norm: l2}"},
    {"routed_memory", "{length: 5, picks: 2, memory: 2, kv_heads: 1, epsilon: 2}"},
    {"routed_memory", "{length: 64, picks: 3, memory: 0, scores: soft, ask: false}"},
    {"routed_memory", "{picks: 2, memory: 0, scores: soft, iterations: 3, qk_norm: l2}"},
    {"routed_memory", "{picks: 2, memory: 3, routing: random, bias: true, heads: 2}"},
    {"ffn", "{activation: swiglu, bias: false, hidden: 5}"},
    {"ffn", "{activation: relu2, bias: false}"},
    {"pkm", "{half_keys: 5, top: 2, heads: 3, memory_values: shared, key_dim: 6}"},
    {"pkm", "{half_keys: 9, top: 9, heads: 1, query_norm: false}"},
    {"pkm", "{half_keys: 5, top: 2, gate: true, memory_values: shared}"},
    {"lstm", "{hidden: 5, forget_bias: 0}"},
    {"gated_delta", "{heads: 2, chunk: 3, negative: true, conv: 3}"},
    {"gated_delta", "{heads: 1, value_heads: 2, head_dim: 3, value_dim: 5, chunk: 2}"},
    {"gated_delta", "{heads: 2, conv: 0, gate: false, decay: false, chunk: 5}"},
    {"gated_delta", "{heads: 2, value_heads: 4, correct: false, chunk: 2, conv: 2}"},
    {"ttt", "{heads: 2, chunk: 3, rate: 3}"},
    {"ttt", "{heads: 1, chunk: 2, conv: 0, rotary: false, gate: false, rate: 8}"},
    {"ttt", "{heads: 2, chunk: 4, conv: 2, rate: 5}"},
    {"ttt", "{heads: 2, learner: mlp, chunk: 3, rate: 1}"},
    {"ttt", "{heads: 1, learner: mlp, chunk: 2, conv: 0, rotary: false, gate: false, rate: 2}"},
    {"engram", "{order: 4, heads: 2, rows: 5, conv: 2, head_dim: 3}"},
    {"engram", "{order: 2, heads: 1, rows: 11, conv: 1, gate: root, head_dim: 5}"},
    {"engram", "{order: 8, heads: 1, rows: 2, conv: 3, head_dim: 2}"},
    {"hash_ffn", "{experts: 3, activation: swiglu, hidden: 6, bias: false}"},
    {"hash_ffn", "{experts: 64, hash: ngram, n: 4, hidden: 6}"},
    {"hash_ffn", "{experts: 64, hash: bigram, seed: 3}"},
    {"hash_ffn", "{experts: 64, hash: sequence, hidden: 6}"},
    {"hash_ffn", "{experts: 64, hash: future, oracle: true, seed: 4}"},
    {"hash_ffn", "{experts: 3, hashes: 2}"},
    {"hash_ffn", "{experts: 3, hashes: 4, hash: modulo, activation: geglu, hidden: 8}"},
    {"hash_ffn", "{experts: 3, hashes: 4, hash: balanced, seed: 2, hidden: 12}"},
    {"hash_ffn", "{experts: 3, hashes: 4, hash: position, bias: false}"},
    {"hash_ffn", "{experts: 3, hashes: 3, form: slices, hidden: 9, activation: reglu}"},
    {"hash_ffn", "{experts: 5, hashes: 2, form: slices, hash: ngram, n: 2}"},
    {"switch_ffn", "{experts: 3, top_k: 2, activation: swiglu, jitter: 0}"},
    {"switch_ffn", "{experts: 4, capacity: 0.5, balance: 1, jitter: 0.2}"},
    {"switch_ffn", "{experts: 3, capacity: none, top_k: 2}"},
    {"base_ffn", "{experts: 3, assignment: auction, precision: 0.01}"},
    {"base_ffn", "{experts: 5, zero: false, activation: geglu, bias: false}"},
    {"fast_ffn", "{step_init: 0.5, normaliser: 4, hidden: 6}"},
    {"fast_ffn", "{step_init: 0.5, normaliser: 4, carry: true, decay: 0.9, chunk: 3}"},
    {"fast_ffn", "{step_init: 0.5, normaliser: 4, loss: next_token, bias: false, chunk: 3}"},
    {"fast_ffn", "{step_init: 0.5, normaliser: 4, loss: next_token, carry: true, decay: 0.9}"},
    {"fwl", "{step_init: 0.5, normaliser: 4}"},
    {"fwl", "{step_init: 0.5, normaliser: 4, carry: true, decay: 0.9, chunk: 3, size: 5}"},
    {"fwl", "{step_init: 0.5, normaliser: 4, residual: true, step_sizes: layer, bias: false}"},
    {"fwl", "{step_init: 0.5, normalise: batch, carry: true, update_dense0: false}"},
};

static layer_variant *add(layer_variant *list, int *count, const layer_class *cls, bool head)
{
    CHECK(*count < MAX_VARIANTS, "%d variants", *count);
    layer_variant *v = &list[(*count)++];
    *v = (layer_variant){.cls = cls, .head = head};
    return v;
}

static void add_number(layer_variant *list, int *count, const layer_class *cls, bool head,
                       const option *o, double value)
{
    layer_variant *v = add(list, count, cls, head);
    snprintf(v->options, sizeof v->options, "{%s: %.12g}", o->name, value);
}

/* The option at its ends; whole numbers that size memory stop at 64 (beyond, only parsing is
 * tested). */
static void add_option(layer_variant *list, int *count, const layer_class *cls, bool head,
                       const option *o)
{
    switch (o->type) {
    case OPTION_INT:
        add_number(list, count, cls, head, o, o->min);
        add_number(list, count, cls, head, o, MIN(o->max, 64));
        return;
    case OPTION_REAL:
        add_number(list, count, cls, head, o, o->min);
        add_number(list, count, cls, head, o, o->max);
        return;
    case OPTION_BOOL: {
        const char *other = strcmp(o->initial, "true") == 0 ? "false" : "true";
        layer_variant *v = add(list, count, cls, head);
        snprintf(v->options, sizeof v->options, "{%s: %s}", o->name, other);
        return;
    }
    case OPTION_CHOICE:
        for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|') {
            layer_variant *v = add(list, count, cls, head);
            snprintf(v->options, sizeof v->options, "{%s: %.*s}", o->name, (int)strcspn(p, "|"), p);
        }
        return;
    case OPTION_TEXT:
    case OPTION_NODE:
        return;
    }
}

const layer_variant *layer_variants(int *variants)
{
    static layer_variant list[MAX_VARIANTS];
    int count = 0;
    for (int head = 0; head < 2; head++) {
        int classes;
        const layer_class *const *table =
            head ? registry_heads(&classes) : registry_layers(&classes);
        for (int i = 0; i < classes; i++) {
            strcpy(add(list, &count, table[i], head)->options, "{}");
            for (const option *o = table[i]->options; o->name; o++) {
                add_option(list, &count, table[i], head, o);
            }
        }
    }
    for (size_t i = 0; i < sizeof COMBINATIONS / sizeof *COMBINATIONS; i++) {
        const layer_class *head = registry_head(COMBINATIONS[i][0]);
        const layer_class *cls = head ? head : registry_layer(COMBINATIONS[i][0]);
        layer_variant *v = add(list, &count, cls, head);
        snprintf(v->options, sizeof v->options, "%s", COMBINATIONS[i][1]);
    }
    *variants = count;
    return list;
}

model_run *layer_variant_try(const layer_variant *v, int64_t rows, err *e)
{
    *e = (err){0};
    if (!v->head) {
        return model_run_format(rows, e,
                                "{width: %d, context: %d, init: {std: 0.3}, blocks: [{repeat: 2, "
                                "%s: %s}]}",
                                VARIANT_WIDTH, CHECK_BLOCK, v->cls->name, v->options);
    }
    const char *options = v->options + 1;
    return model_run_format(rows, e,
                            "{width: %d, context: %d, init: {std: 0.3}, blocks: [{attention: "
                            "{heads: 2}, ffn: {hidden: 6}}], head: {kind: %s%s%s}",
                            VARIANT_WIDTH, CHECK_BLOCK, v->cls->name, options[0] == '}' ? "" : ", ",
                            options);
}

bool layer_variant_drawn(const layer_variant *v, const char *check)
{
    const char *one_of = getenv("LOCI_TEST_ONE_OF");
    char of[sizeof v->options + 64];
    if (strcmp(v->options, "{}") == 0) return true;
    snprintf(of, sizeof of, "%s %s", v->cls->name, v->options);
    return drawn_one_of(one_of ? atoi(one_of) : 3, check, of);
}

model_run *layer_variant_run(const layer_variant *v, int64_t rows)
{
    err e;
    model_run *r = layer_variant_try(v, rows, &e);
    if (!r) {
        EXPECT(strncmp(e.text, "test.yaml:1:", 12) == 0 && strstr(e.text, v->cls->name),
               "no place in: %s", e.text);
    }
    return r;
}
