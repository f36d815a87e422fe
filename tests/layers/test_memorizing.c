/* Stored keys: as far back as said, with the right gradient through the layer. */
#include "tests/support/gradcheck.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

#define MODEL "{width: 8, context: 4, blocks: [{memorizing: {heads: 2, memory: 4, top: 40, length: "

static void reach(void)
{
    EXPECT(model_run_far_effect(MODEL "31}}]}") > 0, "position 1 is within reach");
    EXPECT(model_run_far_effect(MODEL "30}}]}") == 0, "position 1 is out of reach");
}

/* ---- through the layer: what is stored is a constant, so the last block's gradient is exact ----
 */

enum { BLOCK = 4, READ = 12, VIEWS = 8 };

typedef struct stored_state {
    model_run *r;
    state_view views[VIEWS]; /* copies */
    int count;
} stored_state;

static stored_state read_blocks(model_run *r)
{
    stored_state s = {.r = r};
    int32_t tokens[READ];
    fill_tokens(tokens, READ, 1);
    for (int i = 0; i < READ; i += BLOCK) {
        model_run_read(r, tokens, READ, i, BLOCK, NULL);
    }
    s.count = model_state_views(r->state, s.views, VIEWS);
    for (int i = 0; i < s.count; i++) {
        state_view *v = &s.views[i];
        int64_t n = v->shape[0] * v->shape[1] * v->shape[2];
        real *copy = ARENA_NEW(r->memory, real, n);
        memcpy(copy, v->data, (size_t)n * sizeof *copy);
        v->data = copy;
    }
    return s;
}

static double last_block(const stored_state *s, grads *g)
{
    model_run *r = s->r;
    int32_t tokens[BLOCK], targets[BLOCK];
    fill_tokens(tokens, BLOCK, 3);
    fill_tokens(targets, BLOCK, 4);
    model_state_clear(r->state);
    for (int i = 0; i < s->count; i++) {
        err e = {0};
        const state_view *v = &s->views[i];
        CHECK(model_state_restore(r->state, v->name, v->shape, v->data, &e), "%s", e.text);
    }
    *model_state_positions(r->state) = *model_state_documents(r->state) = READ;
    model_begin(r->state, r->tape, r->values, g);
    model_call call = {.time = BLOCK, .tokens = tokens, .targets = targets, .mode = MODE_TRAIN};
    model_result result = model_forward(r->state, &call);
    double loss = (double)*result.loss->data;
    if (g) tape_backward(r->tape, result.loss, 1);
    model_end(r->state);
    return loss;
}

static double last_loss(void *user)
{
    return last_block(user, NULL);
}

static void layer_gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    model_run *r = model_run_good("{width: 8, context: 4, init: {std: 0.5}, blocks: [{memorizing: "
                                  "{heads: 4, kv_heads: 2, memory: 2, length: 8, top: 3}}]}",
                                  1);
    stored_state s = read_blocks(r);
    last_block(&s, &r->grads);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        for (int64_t k = 0; k < q->count; k += MAX(1, q->count / 5)) {
            double got = r->grads.has[q->first_piece] ? (double)r->grads.values[q->offset + k] : 0;
            double numeric = five_point(last_loss, &s, r->values + q->offset + k, 1e-4);
            /* Truncation h^4 = 1e-16, rounding of a loss of 8 nats 1e-15 / h = 1e-11. */
            EXPECT(fabs(got - numeric) < 1e-9, "%s[%lld]: %g, not %g", q->name, (long long)k, got,
                   numeric);
        }
    }
    model_run_free(r);
}

extern const test_suite test_memorizing;
const test_suite test_memorizing = {"layers/memorizing",
                                    {{"reach", reach}, {"layer_gradient", layer_gradient}, {0}}};
