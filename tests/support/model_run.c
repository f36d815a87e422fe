#include "tests/support/model_run.h"

#include "tests/support/gradcheck.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start_values(model_run *r)
{
    const params *p = model_params_const(r->model);
    r->values = arena_push_zero(r->memory, p->total, sizeof(real));
    r->grads.values = arena_push_zero(r->memory, p->total, sizeof(real));
    r->grads.has = arena_push_zero(r->memory, p->pieces, sizeof(bool));
    params_start(p, r->values, 1);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (q->role == ROLE_TABLE) continue;
        real *noise = ARENA_NEW(r->memory, real, q->count);
        fill_uniform(noise, q->count, (uint32_t)i + 1);
        for (int64_t k = 0; k < q->count; k++) {
            r->values[q->offset + k] += (real)0.1 * noise[k];
        }
    }
}

model_run *model_run_new(const char *yaml, int64_t rows, err *e)
{
    model_run *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory for a test (%zu bytes)", sizeof *r);
    r->memory = arena_new(0);
    r->tape = tape_new();
    r->rows = rows;
    static const int64_t counts[MODEL_RUN_VOCAB] = {40, 20, 10, 9, 8, 2, 1};
    model_inputs inputs = {.vocab = MODEL_RUN_VOCAB, .seed = 1, .token_counts = counts};
    const node *spec = node_parse(r->memory, yaml, strlen(yaml), "test.yaml", e);
    if (spec) r->model = model_build(spec, &inputs, e);
    if (!r->model) {
        model_run_free(r);
        return NULL;
    }
    r->state = model_state_new(r->model, rows);
    start_values(r);
    return r;
}

model_run *model_run_format(int64_t rows, err *e, const char *format, ...)
{
    char yaml[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(yaml, sizeof yaml, format, args);
    va_end(args);
    return model_run_new(yaml, rows, e);
}

model_run *model_run_good(const char *yaml, int64_t rows)
{
    err e = {0};
    model_run *r = model_run_new(yaml, rows, &e);
    CHECK(r, "%s", e.text);
    return r;
}

void model_run_free(model_run *r)
{
    if (!r) return;
    model_state_free(r->state);
    model_free(r->model);
    tape_free(r->tape);
    arena_free(r->memory);
    free(r);
}

void fill_tokens(int32_t *ids, int64_t n, uint32_t seed)
{
    rng_key key = {.seed = seed, .place = rng_place("test tokens")};
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (int32_t)rng_below(key, (uint64_t)i, MODEL_RUN_VOCAB);
    }
}

/* The tokens that follow each position, for models that look at them. */
static int32_t *next_tokens(model_run *r, const int32_t *tokens, int64_t stride, int64_t at,
                            int64_t time)
{
    int32_t *next = tape_keep(r->tape, r->rows * time, sizeof *next);
    for (int64_t i = 0; i < r->rows * time; i++) {
        int64_t p = at + i % time + 1;
        int32_t id = p < stride ? tokens[i / time * stride + p] : 0;
        next[i] = id < MODEL_RUN_VOCAB ? id : 0;
    }
    return next;
}

void model_run_read(model_run *r, const int32_t *tokens, int64_t stride, int64_t at, int64_t time,
                    real *logits)
{
    const int64_t vocab = MODEL_RUN_VOCAB;
    model_begin(r->state, r->tape, r->values, NULL);
    int32_t *part = tape_keep(r->tape, r->rows * time, sizeof *part);
    for (int64_t row = 0; row < r->rows; row++) {
        memcpy(part + row * time, tokens + row * stride + at, (size_t)time * sizeof *part);
    }
    model_call call = {.time = time, .tokens = part, .mode = MODE_EVAL, .keep_logits = true};
    if (model_oracle(r->model)) call.targets = next_tokens(r, tokens, stride, at, time);
    model_result result = model_forward(r->state, &call);
    for (int64_t row = 0; logits && row < r->rows; row++) {
        memcpy(logits + (row * stride + at) * vocab, result.logits->data + row * time * vocab,
               (size_t)(time * vocab) * sizeof(real));
    }
    model_end(r->state);
}

/* With `shift` added to the token at position 1. */
static void read_far(model_run *r, int32_t shift, real *logits)
{
    enum { LENGTH = MODEL_RUN_FAR, VOCAB = MODEL_RUN_VOCAB };
    real all[LENGTH * VOCAB];
    int32_t tokens[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    tokens[1] = (tokens[1] + shift) % VOCAB;
    model_state_clear(r->state);
    model_run_read(r, tokens, LENGTH, 0, LENGTH, all);
    memcpy(logits, all + (LENGTH - 1) * VOCAB, VOCAB * sizeof(real));
}

void model_run_far(model_run *r, real *logits)
{
    read_far(r, 0, logits);
}

double model_run_far_effect(const char *yaml)
{
    real before[MODEL_RUN_VOCAB], after[MODEL_RUN_VOCAB];
    double most = 0;
    model_run *r = model_run_good(yaml, 1);
    read_far(r, 0, before);
    read_far(r, 1, after);
    for (int i = 0; i < MODEL_RUN_VOCAB; i++) {
        most = MAX(most, fabs((double)before[i] - (double)after[i]));
    }
    model_run_free(r);
    return most;
}
