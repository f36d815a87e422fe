/* Routing stability: where a fixed sample of tokens was sent at an evaluation, and how many of them
 * went elsewhere at the one before.
 *
 *   changed = tokens of the sample whose choice of experts is another / tokens of the sample
 *
 * The sample is the same whenever the same tokens of a split are evaluated: every n-th stretch of
 * 64 of them, about 8,192 in all. Layers tell through the tap LAYER_TAP_EXPERT (layers/layer.h); a
 * token with several choices has changed if any of them has, or their order. What the last
 * evaluation saw is part of a run's checkpoint, so that a continued run logs the same. */
#pragma once

#include "harness/evaluate/evaluate.h"

typedef struct routing_trace routing_trace;

routing_trace *routing_trace_new(void);
void routing_trace_free(routing_trace *r);

/* Before an evaluation: the watch for its task. Borrows r. */
eval_watch routing_trace_begin(routing_trace *r, const eval_task *task);

/* After it: {LAYER: {"changed", "sampled"}} of the layers that route, as evals.jsonl has it (decref
 * it); NULL: nothing routes, or there was no earlier evaluation of the same tokens. The evaluation
 * then is the earlier one of the next. Without this call it never was. */
json_t *routing_trace_end(routing_trace *r);

/* The same where an earlier evaluation was made, and what it saw is known no more: null for both of
 * each layer that routes. NULL: nothing does. */
json_t *routing_trace_unknown(const routing_trace *r);

/* The last evaluation as named arrays, for checkpoints: returns how many (0: none). */
typedef struct routing_view {
    const char *layer;
    int64_t count;
    int32_t *experts; /* [count]: by token of the sample */
} routing_view;
enum { ROUTING_LAYERS = 256 }; /* the first so many that route are traced */
int routing_trace_views(routing_trace *r, int64_t *tokens, routing_view views[ROUTING_LAYERS]);
/* Puts one layer's array back. */
void routing_trace_restore(routing_trace *r, int64_t tokens, const routing_view *view);
