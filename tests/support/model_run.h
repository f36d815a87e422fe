/* A small model with everything that a step needs, for tests of layers and models. */
#pragma once

#include "models/model.h"

enum { MODEL_RUN_VOCAB = 7 };

typedef struct model_run {
    arena *memory;
    model *model;
    model_state *state;
    tape *tape;
    int64_t rows;
    real *values;
    grads grads;
} model_run;

/* Builds from the YAML text of a `model:` node, vocabulary MODEL_RUN_VOCAB; every parameter starts
 * off its init by up to 0.1, so that zeros hide nothing. NULL and e if the spec is refused. */
model_run *model_run_new(const char *yaml, int64_t rows, err *e);
/* The same for text made like printf. */
model_run *model_run_format(int64_t rows, err *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a spec that is good: a refusal ends the program with its message. */
model_run *model_run_good(const char *yaml, int64_t rows);
void model_run_free(model_run *r);

/* Fixed pseudo-random ids below MODEL_RUN_VOCAB, another sequence per seed. */
void fill_tokens(int32_t *ids, int64_t n, uint32_t seed);

/* Feeds tokens [rows, time] of a longer array (row r begins at tokens + r * stride) in one call
 * without backward pass; appends to logits [rows, whole, vocab] at position `at` (stride whole). */
void model_run_read(model_run *r, const int32_t *tokens, int64_t stride, int64_t at, int64_t time,
                    real *logits);

/* Logits [vocab] of the last of MODEL_RUN_FAR positions of a fresh row, and how much the largest
 * change among them is where the token at position 1 is another one: 0 if it is out of reach. */
enum { MODEL_RUN_FAR = 40 };
void model_run_far(model_run *r, real *logits);
double model_run_far_effect(const char *yaml);
