/* Layers that offer themselves as memories of keys and values: what fires, times the values, is
 * what they add to the stream. */
#include "models/readout.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 2, TIME = 7, WIDTH = 12, VOCAB = MODEL_RUN_VOCAB };

/* All without biases. own: memories have values of their own. */
static const struct {
    const char *layer;
    bool own;
} LAYERS[] = {
    {"ffn: {hidden: 10, bias: false}", true},
    {"ffn: {hidden: 10, bias: false, activation: swiglu}", true},
    {"hash_ffn: {experts: 3, hidden: 8, bias: false}", true},
    {"hash_ffn: {experts: 3, hidden: 8, bias: false, hashes: 4, form: slices}", true},
    {"hash_ffn: {experts: 3, hidden: 8, bias: false, hashes: 2, form: slices, activation: geglu}",
     true},
    {"hash_ffn: {experts: 3, hidden: 8, bias: false, hashes: 4}", false},
    {"hash_ffn: {experts: 3, hidden: 8, bias: false, hashes: 2, activation: geglu}", false},
    {"switch_ffn: {experts: 3, hidden: 8, bias: false, top_k: 2}", true},
    {"base_ffn: {experts: 3, hidden: 8, bias: false}", true},
    {"pkm: {half_keys: 5, top: 3, heads: 2}", true},
    {"pkm: {half_keys: 5, top: 3, heads: 2, memory_values: shared}", true},
    {"pkm: {half_keys: 5, top: 3, heads: 2, gate: true}", false},
    {"engram: {rows: 20, conv: 0}", true},
    {"engram: {rows: 5, order: 4, heads: 3, head_dim: 5, conv: 0, gate: root}", true},
};
enum { LAYER_COUNT = sizeof LAYERS / sizeof *LAYERS };

typedef struct sight {
    model_run *run;
    layer_memories memories;
    real sum[ROWS * TIME * WIDTH], output[ROWS * TIME * WIDTH];
    bool fired[ROWS * TIME];
    int calls;
} sight;

static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    sight *s = user;
    if (strcmp(name, "output") == 0) memcpy(s->output, x->data, sizeof s->output);
}

static void on_fired(void *user, const layer *self, const memory_use *use)
{
    sight *s = user;
    const layer_memories *m = &s->memories;
    const params *p = model_params_const(s->run->model);
    s->calls++;
    for (int64_t i = 0; i < use->entries * use->width; i++) {
        int64_t entry = i / use->width, cell = use->position ? use->position[entry] : entry;
        int64_t memory =
            use->ids ? use->ids[i] : (use->first ? use->first[entry] : 0) + i % use->width;
        CHECK(cell >= 0 && cell < ROWS * TIME && memory >= 0 && memory < m->count,
              "memory %lld at position %lld", (long long)memory, (long long)cell);
        s->fired[cell] = true;
        if (m->values < 0 && !m->value) continue;
        real value[WIDTH];
        readout_memory(self, m, p, s->run->values, memory, 1, value);
        for (int64_t k = 0; k < WIDTH; k++) {
            s->sum[cell * WIDTH + k] += use->coefficients[i] * value[k];
        }
    }
}

static void check(const char *spec, bool own)
{
    err e = {0};
    sight *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory");
    s->run = model_run_format(ROWS, &e, "{width: %d, context: 8, blocks: [{%s}]}", WIDTH, spec);
    CHECK(s->run, "%s", e.text);
    const layer *const *layers;
    model_layers(s->run->model, &layers);
    EXPECT(layers[0]->cls->memories && layers[0]->cls->memories(layers[0], &s->memories), "none");
    EXPECT((s->memories.values >= 0 || s->memories.value) == own, "values %d", s->memories.values);
    int32_t tokens[ROWS * TIME];
    fill_tokens(tokens, ROWS * TIME, 3);
    model_call call = {.time = TIME,
                       .tokens = tokens,
                       .mode = MODE_EVAL,
                       .watch = {.tap = on_tap, .fired = on_fired, .user = s}};
    model_begin(s->run->state, s->run->tape, s->run->values, NULL);
    model_forward(s->run->state, &call);
    model_end(s->run->state);
    EXPECT(s->calls == 1, "told %d times", s->calls);
    for (int i = 0; i < ROWS * TIME; i++) {
        EXPECT(s->fired[i], "nothing fired at position %d", i);
    }
    /* Sums of some dozen products. */
    if (own) {
        expect_close("output", s->sum, s->output, ROWS * TIME * WIDTH,
                     REAL_IS_DOUBLE ? 1e-12 : 1e-5, 0);
    }
    model_run_free(s->run);
    free(s);
}

static void add_up(void)
{
    for (int i = 0; i < LAYER_COUNT; i++) {
        if (test_sub("%s", LAYERS[i].layer)) check(LAYERS[i].layer, LAYERS[i].own);
    }
}

const test_suite test_memories = {"layers/memories", {{"add_up/", add_up}, {0}}};
