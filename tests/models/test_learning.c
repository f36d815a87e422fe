/* Small models learn what can be learnt: all of a Markov source but its entropy, all of one batch.
 */
#include "core/train/optim.h"
#include "tests/support/draw.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { VOCAB = MODEL_RUN_VOCAB, ROWS = 16, TIME = 32 };

/* ---- a source of known entropy ---- */

typedef struct source {
    double next[VOCAB][VOCAB]; /* probability of the second after the first */
    rng_key key;
    int64_t drawn;
    int32_t last;
} source;

static void source_init(source *s, uint64_t seed)
{
    s->key = (rng_key){.seed = seed, .place = rng_place("test source")};
    s->drawn = 0;
    s->last = 0;
    rng_key table = {.seed = 1, .place = rng_place("test table")};
    for (int i = 0; i < VOCAB; i++) {
        double sum = 0;
        for (int k = 0; k < VOCAB; k++) {
            s->next[i][k] = exp(2 * rng_normal(table, (uint64_t)(i * VOCAB + k)));
            sum += s->next[i][k];
        }
        for (int k = 0; k < VOCAB; k++) {
            s->next[i][k] /= sum;
        }
    }
}

static int32_t source_next(source *s)
{
    double u = rng_uniform(s->key, (uint64_t)s->drawn++), sum = 0;
    int32_t id = 0;
    for (; id + 1 < VOCAB; id++) {
        sum += s->next[s->last][id];
        if (u < sum) break;
    }
    return s->last = id;
}

/* Nats per token: sum over the stationary distribution of the rows' entropies. */
static double source_entropy(const source *s)
{
    double share[VOCAB], entropy = 0;
    for (int i = 0; i < VOCAB; i++) {
        share[i] = 1.0 / VOCAB;
    }
    for (int round = 0; round < 1000; round++) {
        double after[VOCAB] = {0};
        for (int i = 0; i < VOCAB * VOCAB; i++) {
            after[i % VOCAB] += share[i / VOCAB] * s->next[i / VOCAB][i % VOCAB];
        }
        memcpy(share, after, sizeof share);
    }
    for (int i = 0; i < VOCAB * VOCAB; i++) {
        double p = s->next[i / VOCAB][i % VOCAB];
        entropy -= share[i / VOCAB] * p * log(p);
    }
    return entropy;
}

/* Inputs and targets of ROWS fresh streams. */
static void fill_batch(source *s, int32_t *tokens, int32_t *targets)
{
    for (int r = 0; r < ROWS; r++) {
        int32_t before = source_next(s);
        for (int i = 0; i < TIME; i++) {
            tokens[r * TIME + i] = before;
            targets[r * TIME + i] = before = source_next(s);
        }
    }
}

/* ---- training ---- */

typedef struct training {
    model_run *r;
    optim *optim;
    int32_t tokens[ROWS * TIME], targets[ROWS * TIME];
} training;

static void training_init(training *t, const char *blocks)
{
    err e = {0};
    t->r = model_run_format(ROWS, &e, "{width: 16, context: %d, %s}", TIME, blocks);
    CHECK(t->r, "%s", e.text);
    optim_options options = {0};
    CHECK(optim_read(&options, NULL, t->r->memory, &e), "%s", e.text);
    options.weight_decay = 0;
    t->optim = optim_new(&options, model_params_const(t->r->model), &e);
    CHECK(t->optim, "%s", e.text);
}

static void training_deinit(training *t)
{
    optim_free(t->optim);
    model_run_free(t->r);
}

/* Mean nats per token of the batch; with lr > 0 also a step on it. */
static double run_batch(training *t, double lr)
{
    model_run *r = t->r;
    model_state_clear(r->state);
    model_begin(r->state, r->tape, r->values, lr > 0 ? &r->grads : NULL);
    model_call call = {.time = TIME,
                       .tokens = t->tokens,
                       .targets = t->targets,
                       .total_weight = ROWS * TIME,
                       .mode = lr > 0 ? MODE_TRAIN : MODE_EVAL};
    model_result result = model_forward(r->state, &call);
    if (lr > 0) tape_backward(r->tape, result.loss, 1);
    model_end(r->state);
    if (lr > 0) optim_step(t->optim, r->values, &r->grads, lr, NULL);
    return result.nats / result.weight;
}

/* Loss on fresh text after `steps` steps, less the entropy. */
static double excess(const char *blocks, int steps)
{
    training t;
    source s;
    source_init(&s, 2);
    training_init(&t, blocks);
    for (int i = 0; i < steps; i++) {
        fill_batch(&s, t.tokens, t.targets);
        run_batch(&t, 1e-2 * (1 - (double)i / steps) + 1e-4);
    }
    double nats = 0;
    enum { BATCHES = 100 };
    for (int i = 0; i < BATCHES; i++) {
        fill_batch(&s, t.tokens, t.targets);
        nats += run_batch(&t, 0) / BATCHES;
    }
    training_deinit(&t);
    return nats - source_entropy(&s);
}

/* 51,200 tokens whose losses deviate by about 1 nat: the mean is known to 0.005. */
static void markov(void)
{
    const char *const cases[] = {"blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]",
                                 "blocks: [{lstm: {}}]"};
    for (int i = 0; i < 2; i++) {
        if (!drawn_if_slow("markov", cases[i])) continue;
        double over = excess(cases[i], 300);
        EXPECT(fabs(over) < 0.02, "%s: %g nats above the entropy", cases[i], over);
    }
}

/* Random targets: nothing but memory helps. */
static void one_batch(void)
{
    const char *const cases[] = {
        "blocks: [{repeat: 2, attention: {heads: 2}, ffn: {}}], embedding: {positions: learned}",
        "norm: {kind: rmsnorm}, blocks: [{repeat: 2, attention: {heads: 2, positions: t5}, ffn: "
        "{activation: swiglu}}]"};
    for (int i = 0; i < 2; i++) {
        if (!drawn_if_slow("one_batch", cases[i])) continue;
        training t;
        training_init(&t, cases[i]);
        fill_tokens(t.tokens, ROWS * TIME, 1);
        fill_tokens(t.targets, ROWS * TIME, 2);
        double nats = 0;
        for (int step = 0; step < 400; step++) {
            nats = run_batch(&t, step < 300 ? 1e-2 : 2e-3);
        }
        EXPECT(nats < 0.05, "%s: %g nats after 400 steps", cases[i], nats);
        training_deinit(&t);
    }
}

extern const test_suite test_learning;
const test_suite test_learning = {"models/learning",
                                  {{"markov", markov}, {"one_batch", one_batch}, {0}}};
