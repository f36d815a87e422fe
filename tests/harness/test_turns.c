/* Calls of one text in several threads, layer behind layer: the bits of one after the other, for
 * every layer of the registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/train/lanes.h"
#include "harness/evaluate/turns.h"
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

enum {
    ROWS = CHECK_ROWS,
    BLOCK = CHECK_BLOCK,
    CALLS = 9,
    CELLS = ROWS * BLOCK,
    RESET_CALL = 4,
    THREADS = 3
};

typedef struct reading {
    model_run *r;
    int32_t tokens[CALLS][CELLS], targets[CALLS][CELLS];
    double losses[CALLS][CELLS];
    int64_t positions[CALLS][ROWS], documents[CALLS][ROWS];
    turns *turns;
    model_state *hands[THREADS];
    tape *tapes[THREADS];
} reading;

static model_call call_of(reading *x, int64_t i)
{
    return (model_call){.time = BLOCK,
                        .tokens = x->tokens[i],
                        .targets = x->targets[i],
                        .mode = MODE_EVAL,
                        .losses = x->losses[i]};
}

static void fill(reading *x, model_run *r)
{
    memset(x, 0, sizeof *x);
    x->r = r;
    fill_tokens(x->tokens[0], CALLS * CELLS, 11);
    fill_tokens(x->targets[0], CALLS * CELLS, 12);
    x->tokens[0][0] = MODEL_RUN_VOCAB;
}

static void begin_call(reading *x, int64_t i)
{
    if (i == RESET_CALL) model_state_reset_row(x->r->state, 1, 0);
    size_t bytes = sizeof x->positions[i];
    memcpy(x->positions[i], model_state_positions(x->r->state), bytes);
    memcpy(x->documents[i], model_state_documents(x->r->state), bytes);
}

static void read_in_order(reading *x)
{
    model_run *r = x->r;
    for (int64_t i = 0; i < CALLS; i++) {
        model_call call = call_of(x, i);
        begin_call(x, i);
        model_begin(r->state, r->tape, r->values, NULL);
        model_forward(r->state, &call);
        model_end(r->state);
    }
}

static void run_call(void *arg, int64_t i, int thread)
{
    reading *x = arg;
    turn mine = {x->turns, 0, i};
    model_turn in_turn = turns_of(&mine);
    model_call call = call_of(x, i);
    call.turn = &in_turn;
    model_state *hand = x->hands[thread];
    model_state_hand_take(hand, x->r->state, x->positions[i], x->documents[i]);
    model_begin(hand, x->tapes[thread], x->r->values, NULL);
    model_forward(hand, &call);
    model_end(hand);
}

static void read_in_turns(reading *x)
{
    model_run *r = x->r;
    const layer *const *layers;
    err e = {0};
    lanes *pool = lanes_new(1, THREADS, NULL, &e);
    EXPECT(pool, "%s", e.text);
    if (!pool) return;
    for (int i = 0; i < THREADS; i++) {
        x->hands[i] = model_state_hand_new(r->model, ROWS);
        x->tapes[i] = tape_new();
    }
    x->turns = turns_new(1, model_layers(r->model, &layers));
    for (int64_t i = 0; i < CALLS; i++) {
        begin_call(x, i);
        model_state_skip(r->state, BLOCK);
    }
    lanes_parallel(pool, run_call, x, CALLS);
    turns_free(x->turns);
    for (int i = 0; i < THREADS; i++) {
        model_state_free(x->hands[i]);
        tape_free(x->tapes[i]);
    }
    lanes_free(pool);
}

/* What is carried behind the last call, as one number: FNV over its bytes. */
static uint64_t carried(model_state *s)
{
    static state_view views[CHECK_VIEWS];
    uint64_t hash = 14695981039346656037ULL;
    int n = model_state_views(s, views, CHECK_VIEWS);
    for (int i = 0; i < n; i++) {
        const unsigned char *bytes = (const unsigned char *)views[i].data;
        int64_t count = views[i].shape[0] * views[i].shape[1] * views[i].shape[2];
        for (size_t k = 0; k < (size_t)count * sizeof(real); k++) {
            hash = (hash ^ bytes[k]) * 1099511628211ULL;
        }
    }
    for (int64_t r = 0; r < model_state_rows(s); r++) {
        hash = (hash ^ (uint64_t)model_state_positions(s)[r]) * 1099511628211ULL;
    }
    return hash;
}

/* A row's leftovers from before are part of both: the run is a fresh one each time. */
static void same_bits(const layer_variant *v)
{
    static reading one, several;
    model_run *a = layer_variant_run(v, ROWS), *b = layer_variant_run(v, ROWS);
    if (a && b && model_takes_turns(a->model)) {
        fill(&one, a);
        read_in_order(&one);
        fill(&several, b);
        read_in_turns(&several);
        EXPECT(!memcmp(one.losses, several.losses, sizeof one.losses), "%s %s: other losses",
               v->cls->name, v->options);
        EXPECT(carried(a->state) == carried(b->state), "%s %s: something else is carried",
               v->cls->name, v->options);
    }
    if (a) model_run_free(a);
    if (b) model_run_free(b);
}

static void bits_of_one_thread(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (layer_variant_drawn(&list[i], "turns")) same_bits(&list[i]);
    }
}

/* A layer that looks at another's state in the middle of a call cannot be overtaken. */
static void not_where_layers_look_at_each_other(void)
{
    model_run *r = model_run_good(
        "{width: 8, context: 4, blocks: [{block_recurrent: {heads: 2, reads: [1], write: false}}, "
        "{block_recurrent: {heads: 2}}]}",
        1);
    EXPECT(!model_takes_turns(r->model), "it does");
    model_run_free(r);
}

const test_suite test_turns = {
    "harness/turns",
    {{"bits_of_one_thread", bits_of_one_thread},
     {"not_where_layers_look_at_each_other", not_where_layers_look_at_each_other},
     {0}}};
