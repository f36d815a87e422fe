/* Properties of a model on a small stream, for any spec: used over all layers and options, and over
 * the model's own options. A model under check has two rows and a context of 4. */
#pragma once

#include "tests/support/model_run.h"

enum { CHECK_ROWS = 2, CHECK_BLOCK = 4, CHECK_LENGTH = 18, CHECK_PREFIX = 6, CHECK_VIEWS = 64 };
enum { CHECK_LOGITS = CHECK_ROWS * CHECK_LENGTH * MODEL_RUN_VOCAB };

/* A segment with everything in it: state carried from CHECK_PREFIX positions before it, two calls
 * that end inside a block and at its end, a start token, weights of 0, a row reset between them. */
typedef struct segment {
    int32_t tokens[CHECK_ROWS * CHECK_LENGTH], targets[CHECK_ROWS * CHECK_LENGTH];
    real weights[CHECK_ROWS * CHECK_LENGTH];
    int64_t positions[CHECK_ROWS];
    int views;
    state_view view[CHECK_VIEWS]; /* the state before it; copies in the run's memory */
} segment;

void segment_init(segment *s, model_run *r);
/* Puts the state before the segment into `state`. */
void segment_restore(const segment *s, model_state *state);
/* The loss of both calls, in training mode; with g also its gradients. */
double segment_loss(const segment *s, model_state *state, tape *t, const real *values, grads *g);
/* The same; *routing becomes a hash of the experts that were chosen. */
double segment_routed_loss(const segment *s, model_state *state, tape *t, const real *values,
                           grads *g, uint64_t *routing);

/* Logits [rows, length, vocab] of fresh rows that read `tokens` so many at a time. */
void read_in_cuts(model_run *r, const int32_t *tokens, int64_t cut, real *logits);

/* Gradients of segment_loss against differences (double build only); every trained parameter gets
 * some; logits do not depend on how the input is cut. EXPECT with `what`. */
void check_gradients(const char *what, model_run *r);
void check_reached(const char *what, model_run *r);
/* Some layer carries something over a row's reset on purpose. */
bool model_unreset(const model *m);
void check_cuts(const char *what, model_run *r);
