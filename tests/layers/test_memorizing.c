/* Stored keys: looked up exactly, as far back as said, with the right gradient. */
#include "core/ops_lookup.h"
#include "tests/gradcheck.h"
#include "tests/model_check.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 2,
    TIME = 3,
    HEADS = 4,
    KV = 2,
    DIM = 3,
    SIZE = 11,
    TOP = 4,
    VOCAB = MODEL_RUN_VOCAB
};
enum { WIDTH = HEADS * DIM, ENTRY = 2 * KV * DIM };

typedef struct lookup_case {
    real q[ROWS * TIME * WIDTH], entries[ROWS * SIZE * ENTRY], cotangent[ROWS * TIME * WIDTH];
    int64_t begin[ROWS], end[ROWS];
} lookup_case;

static lookup_case new_case(void)
{
    lookup_case c = {.begin = {7, 0}, .end = {17, 2}}; /* around the ring; fewer than TOP */
    fill_uniform(c.q, ROWS * TIME * WIDTH, 1);
    fill_uniform(c.entries, ROWS * SIZE * ENTRY, 2);
    fill_uniform(c.cotangent, ROWS * TIME * WIDTH, 3);
    return c;
}

static tensor *run(tape *t, lookup_case *c, tensor **q)
{
    lookup_store s = {c->entries, SIZE, ENTRY, c->begin, c->end};
    *q = tape_leaf(t, c->q, 3, (int64_t[]){ROWS, TIME, WIDTH}, true);
    return op_lookup(t, *q, &s, HEADS, KV, TOP, (real)0.7);
}

/* By sorting all scores of one query. */
static void plain(const lookup_case *c, int64_t row, int64_t i, int64_t head, double *y)
{
    int64_t kv = head * KV / HEADS, n = c->end[row] - c->begin[row];
    double score[SIZE], sum = 0;
    bool in[SIZE] = {false};
    for (int64_t j = 0; j < n; j++) {
        int64_t at = (row * SIZE + (c->begin[row] + j) % SIZE) * ENTRY + kv * DIM;
        score[j] = 0;
        for (int64_t d = 0; d < DIM; d++) {
            score[j] += 0.7 * (double)c->q[(row * TIME + i) * WIDTH + head * DIM + d] *
                        (double)c->entries[at + d];
        }
    }
    memset(y, 0, DIM * sizeof *y);
    for (int64_t k = 0; k < MIN(n, TOP); k++) {
        int64_t best = -1;
        for (int64_t j = 0; j < n; j++) {
            if (!in[j] && (best < 0 || score[j] > score[best])) best = j;
        }
        in[best] = true;
        sum += exp(score[best]);
        int64_t at = (row * SIZE + (c->begin[row] + best) % SIZE) * ENTRY + (KV + kv) * DIM;
        for (int64_t d = 0; d < DIM; d++) {
            y[d] += exp(score[best]) * (double)c->entries[at + d];
        }
    }
    for (int64_t d = 0; d < DIM; d++) {
        y[d] /= sum;
    }
}

static void formula(void)
{
    lookup_case c = new_case();
    tape *t = tape_new();
    tensor *q, *y = run(t, &c, &q);
    for (int64_t n = 0; n < ROWS * TIME * HEADS; n++) {
        double expected[DIM];
        int64_t row = n / (TIME * HEADS), i = n / HEADS % TIME, head = n % HEADS;
        plain(&c, row, i, head, expected);
        for (int64_t d = 0; d < DIM; d++) {
            double got = (double)y->data[(row * TIME + i) * WIDTH + head * DIM + d];
            /* A few roundings of numbers below 1. */
            EXPECT(fabs(got - expected[d]) < (REAL_IS_DOUBLE ? 1e-12 : 1e-5), "%g, not %g", got,
                   expected[d]);
        }
    }
    tape_free(t);
}

static double objective(lookup_case *c, tape *t)
{
    tensor *q;
    tape_reset(t, false);
    const tensor *y = run(t, c, &q);
    double sum = 0;
    for (int64_t i = 0; i < ROWS * TIME * WIDTH; i++) {
        sum += (double)c->cotangent[i] * (double)y->data[i];
    }
    return sum;
}

static void gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    lookup_case c = new_case();
    tape *t = tape_new(), *other = tape_new();
    tape_reset(t, true);
    tensor *q, *y = run(t, &c, &q);
    tape_seed(t, y, c.cotangent);
    tape_run_backward(t);
    for (int64_t i = 0; i < ROWS * TIME * WIDTH; i++) {
        const real at = c.q[i], h = (real)1e-5;
        c.q[i] = at + h;
        double up = objective(&c, other);
        c.q[i] = at - h;
        double down = objective(&c, other);
        c.q[i] = at;
        double numeric = (up - down) / (2 * (double)h);
        /* Truncation h^2 = 1e-10, rounding 1e-16 / h = 1e-11. */
        EXPECT(fabs((double)q->grad[i] - numeric) < 1e-8, "%lld: %g, not %g", (long long)i,
               (double)q->grad[i], numeric);
    }
    tape_free(other);
    tape_free(t);
}

/* How much the logits of the last of 40 positions change with the token at position 1. */
static double far_effect(const char *yaml)
{
    enum { LENGTH = 40 };
    static real before[LENGTH * VOCAB], after[LENGTH * VOCAB];
    err e = {{0}};
    model_run *r = model_run_new(yaml, 1, &e);
    CHECK(r, "%s", e.text);
    int32_t tokens[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    model_run_read(r, tokens, LENGTH, 0, LENGTH, before);
    model_state_clear(r->state);
    tokens[1] = (tokens[1] + 1) % VOCAB;
    model_run_read(r, tokens, LENGTH, 0, LENGTH, after);
    double most = 0;
    for (int i = (LENGTH - 1) * VOCAB; i < LENGTH * VOCAB; i++) {
        most = MAX(most, fabs((double)before[i] - (double)after[i]));
    }
    model_run_free(r);
    return most;
}

#define MODEL "{width: 8, context: 4, blocks: [{memorizing: {heads: 2, memory: 4, top: 40, length: "

static void reach(void)
{
    EXPECT(far_effect(MODEL "31}}]}") > 0, "position 1 is within reach");
    EXPECT(far_effect(MODEL "30}}]}") == 0, "position 1 is out of reach");
}

/* ---- through the layer: what is stored is a constant, so the last block's gradient is exact ----
 */

enum { BLOCK = 4, READ = 12, VIEWS = 8 };

typedef struct stored_state {
    state_view views[VIEWS]; /* copies */
    int count;
} stored_state;

static stored_state read_blocks(model_run *r)
{
    stored_state s;
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

static double last_block(model_run *r, const stored_state *s, grads *g)
{
    int32_t tokens[BLOCK], targets[BLOCK];
    fill_tokens(tokens, BLOCK, 3);
    fill_tokens(targets, BLOCK, 4);
    model_state_clear(r->state);
    for (int i = 0; i < s->count; i++) {
        err e = {{0}};
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

static void layer_gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    err e = {{0}};
    model_run *r = model_run_new("{width: 8, context: 4, init: {std: 0.5}, blocks: [{memorizing: "
                                 "{heads: 4, kv_heads: 2, memory: 2, length: 8, top: 3}}]}",
                                 1, &e);
    CHECK(r, "%s", e.text);
    stored_state s = read_blocks(r);
    last_block(r, &s, &r->grads);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        for (int64_t k = 0; k < q->count; k += MAX(1, q->count / 5)) {
            real *x = r->values + q->offset + k, at = *x, h = (real)1e-5;
            double got = r->grads.has[q->first_piece] ? (double)r->grads.values[q->offset + k] : 0;
            *x = at + h;
            double up = last_block(r, &s, NULL);
            *x = at - h;
            double down = last_block(r, &s, NULL);
            *x = at;
            double numeric = (up - down) / (2 * (double)h);
            /* Truncation h^2 = 1e-10, rounding of a loss of 8 nats 1e-15 / h = 1e-10. */
            EXPECT(fabs(got - numeric) < 1e-8, "%s[%lld]: %g, not %g", q->name, (long long)k, got,
                   numeric);
        }
    }
    model_run_free(r);
}

extern const test_suite test_memorizing;
const test_suite test_memorizing = {"layers/memorizing",
                                    {{"formula", formula},
                                     {"gradient", gradient},
                                     {"reach", reach},
                                     {"layer_gradient", layer_gradient},
                                     {0}}};
