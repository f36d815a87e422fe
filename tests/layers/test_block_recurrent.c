/* What is particular to layers with recurrent and compressed memory: states read elsewhere in the
 * stack, gradients through several blocks, long documents, segments that end inside a block. */
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { VOCAB = MODEL_RUN_VOCAB };

#define FEEDBACK                                                                                   \
    "{width: 8, context: 4, init: {std: 0.3}, blocks: ["                                           \
    "{block_recurrent: {heads: 2, write: false, reads: [1, 2]}},"                                  \
    "{block_recurrent: {heads: 2, states: 3}},"                                                    \
    "{block_recurrent: {heads: 2, states: 2, gate: lstm, reads: [1]}},"                            \
    "{block_recurrent: {heads: 2, write: false, reads: [2]}}]}"

static void feedback(void)
{
    model_run *r = model_run_good(FEEDBACK, CHECK_ROWS);
    check_cuts("feedback", r);
    check_reached("feedback", r);
    if (REAL_IS_DOUBLE) check_gradients("feedback", r);
    model_run_free(r);
}

static void refused(void)
{
    static const char *const cases[][2] = {
        {"{write: false, reads: [5]}", "has no block_recurrent layer that writes"},
        {"{write: false, reads: [0]}", "has no block_recurrent layer that writes"},
        {"{reads: here}", "expected a list of blocks"},
        {"{reads: [-1]}", "expected the index of a block"},
        {"{compressed: 4, window: 3}", "a window would hide the compressed entries"},
        {"{compressed: 4, factor: 8}", "factor 8 exceeds the block's 4 positions"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        model_run *r = model_run_format(
            1, &e, "{width: 8, context: 4, blocks: [{block_recurrent: %s}]}", cases[i][0]);
        EXPECT(!r && strstr(e.text, cases[i][1]), "%s: %s", cases[i][0], e.text);
        model_run_free(r);
    }
}

/* The gradient of the last block's loss alone, in a segment of `blocks` blocks from a fresh start,
 * with respect to a parameter of the given name: its largest element. */
static double last_block_gradient(const char *yaml, int blocks, const char *name)
{
    model_run *r = model_run_good(yaml, 1);
    enum { BLOCK = 4, MOST = 64 };
    int32_t tokens[MOST], targets[MOST];
    real weights[MOST];
    int n = blocks * BLOCK;
    fill_tokens(tokens, n, 1);
    fill_tokens(targets, n, 2);
    for (int i = 0; i < n; i++) {
        weights[i] = i >= n - BLOCK;
    }
    model_begin(r->state, r->tape, r->values, &r->grads);
    model_call call = {.time = n, .tokens = tokens, .targets = targets, .weights = weights};
    model_result result = model_forward(r->state, &call);
    tape_backward(r->tape, result.loss, 1);
    model_end(r->state);
    const params *p = model_params_const(r->model);
    int index = params_find(p, name);
    CHECK(index >= 0, "no %s", name);
    double most = 0;
    const param *q = &p->list[index];
    for (int64_t i = 0; i < q->count && r->grads.has[q->first_piece]; i++) {
        most = MAX(most, fabs((double)r->grads.values[q->offset + i]));
    }
    model_run_free(r);
    return most;
}

#define PLAIN                                                                                      \
    "{width: 8, context: 4, blocks: [{block_recurrent: {heads: 2, states: 3, memory: 0%s}}]}"

/* With no memory but the state, the start reaches the last block's loss only through every block.
 */
static void gradient_through_blocks(void)
{
    char yaml[256], cleared[256];
    snprintf(yaml, sizeof yaml, PLAIN, "");
    snprintf(cleared, sizeof cleared, PLAIN, ", clear_state: segment, segment_blocks: 1");
    const char *name = "blocks.0.block_recurrent.state.kv.weight";
    const char *gate = "blocks.0.block_recurrent.state.gate.weight";
    EXPECT(last_block_gradient(yaml, 5, name) > 0, "no gradient for %s", name);
    EXPECT(last_block_gradient(yaml, 5, gate) > 0, "no gradient for %s", gate);
    EXPECT(last_block_gradient(yaml, 1, gate) == 0, "one block writes nothing that it reads");
    EXPECT(last_block_gradient(cleared, 5, gate) == 0, "a cleared state carries gradient");
}

#define COMPRESSED                                                                                 \
    "{width: 8, context: 4, blocks: [{compressed_memory: {heads: 2, memory: 4, factor: 2, "        \
    "compressed: "

/* Text far outside every window changes the logits through the state, unless it is cleared. */
static void remembers(void)
{
    char yaml[256];
    snprintf(yaml, sizeof yaml, PLAIN, "");
    EXPECT(model_run_far_effect(yaml) > 0, "nothing is remembered");
    snprintf(yaml, sizeof yaml, PLAIN, ", gate: lstm, configuration: dual");
    EXPECT(model_run_far_effect(yaml) > 0, "nothing is remembered");
    snprintf(yaml, sizeof yaml, PLAIN, ", clear_state: segment, segment_blocks: 1");
    EXPECT(model_run_far_effect(yaml) == 0, "a cleared state remembers");
    /* Compressed entries of 2 positions each reach back 3 blocks and no further. */
    EXPECT(model_run_far_effect(COMPRESSED "20}}]}") > 0, "nothing is remembered");
    EXPECT(model_run_far_effect(COMPRESSED "4}}]}") == 0, "more is remembered than fits");
}

#define ONE(MORE)                                                                                  \
    "{width: 8, context: 4, blocks: [{block_recurrent: {heads: 2, states: 3" MORE "}}]}"

/* A state that every block begins without is the state that is cleared block by block: the same
 * logits, though keys are carried on in both. */
static void forgotten(void)
{
    enum { LENGTH = 16, BLOCK = 4 };
    static real got[LENGTH * VOCAB], expected[LENGTH * VOCAB];
    int32_t tokens[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    model_run *kept = model_run_good(ONE(""), 1);
    model_run *cleared = model_run_good(ONE(", clear_state: segment, segment_blocks: 1"), 1);
    model_run_read(cleared, tokens, LENGTH, 0, LENGTH, expected);
    const layer *const *layers;
    model_layers(kept->model, &layers);
    for (int i = 0; i < LENGTH; i += BLOCK) {
        model_state_forget(kept->state, layers[0], SLOT_STATE);
        EXPECT(!model_state_carries(kept->state, layers[0], SLOT_STATE), "it is carried");
        EXPECT(model_state_carries(kept->state, NULL, SLOT_CACHE) == (i > 0), "keys at %d", i);
        model_run_read(kept, tokens, LENGTH, i, BLOCK, got);
    }
    double tolerance = REAL_IS_DOUBLE ? 1e-9 : 5e-5; /* as for cuts */
    for (int i = 0; i < LENGTH * VOCAB; i++) {
        EXPECT(fabs((double)got[i] - (double)expected[i]) <= tolerance, "logit %d: %g, not %g", i,
               (double)got[i], (double)expected[i]);
    }
    model_run_free(kept);
    model_run_free(cleared);
}

/* ---- long documents ---- */

/* Of this process: neighbours do not count. */
static double processor_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* 65,536 positions in one row, a block at a time: memory stays, and so does the time per block. */
static void long_document(void)
{
    enum { BLOCK = 64, BLOCKS = 1024 };
    model_run *r =
        model_run_good("{width: 8, context: 64, blocks: [{block_recurrent: {heads: 1, states: 2, "
                       "compressed: 16}}]}",
                       1);
    int32_t tokens[BLOCK];
    fill_tokens(tokens, BLOCK, 1);
    int64_t maps = 0;
    double first = 0, last = 0, since = 0;
    for (int i = 0; i < BLOCKS; i++) {
        if (i == 8) maps = tape_maps(r->tape);
        if (i == BLOCKS / 4) since = processor_s();
        if (i == BLOCKS / 2) first = processor_s() - since;
        if (i == 3 * BLOCKS / 4) since = processor_s();
        model_run_read(r, tokens, BLOCK, 0, BLOCK, NULL);
    }
    last = processor_s() - since;
    EXPECT(tape_maps(r->tape) == maps, "memory grows with the document");
    /* A shared processor is slower now and then: a factor; quadratic cost would give 2.3. */
    EXPECT(last < 2 * first + 0.05, "%g s, then %g s", first, last);
    EXPECT(model_state_positions(r->state)[0] == BLOCK * BLOCKS, "position");
    model_run_free(r);
}

/* ---- segments that end inside a block ---- */

/* partial: flush makes every call end its block: state taken in, keys forgotten. */
static void flush(void)
{
    model_run *r =
        model_run_good("{width: 8, context: 4, partial: flush, blocks: [{block_recurrent: "
                       "{heads: 2, states: 3}}]}",
                       1);
    int32_t tokens[] = {1, 2, 3, 4, 5, 6, 0};
    model_run_read(r, tokens, 7, 0, 6, NULL);
    EXPECT(model_state_positions(r->state)[0] == 8, "position %lld",
           (long long)model_state_positions(r->state)[0]);
    state_view views[8];
    int n = model_state_views(r->state, views, 8);
    for (int i = 0; i < n; i++) {
        if (!strstr(views[i].name, ".kv")) continue;
        EXPECT(views[i].shape[1] == 4, "%lld keys carried", (long long)views[i].shape[1]);
    }
    /* A fresh row that flushes at once has no keys, and the state of two tokens. */
    model_state_clear(r->state);
    model_run_read(r, tokens, 7, 0, 2, NULL);
    n = model_state_views(r->state, views, 8);
    bool state = false;
    for (int i = 0; i < n; i++) {
        EXPECT(!strstr(views[i].name, ".kv"), "%s is carried", views[i].name);
        state |= strstr(views[i].name, ".state") != NULL;
    }
    EXPECT(state && model_state_positions(r->state)[0] == 4, "no state is carried");
    model_run_free(r);
}

extern const test_suite test_block_recurrent;
const test_suite test_block_recurrent = {"layers/block_recurrent",
                                         {{"feedback", feedback},
                                          {"refused", refused},
                                          {"gradient_through_blocks", gradient_through_blocks},
                                          {"remembers", remembers},
                                          {"forgotten", forgotten},
                                          {"long_document", long_document},
                                          {"flush", flush},
                                          {0}}};
