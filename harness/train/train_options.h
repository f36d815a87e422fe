/* The `train:` section of a spec: how much is trained, in what pieces.
 *
 *   train: {budget: {tokens: 2M}, batch: 8, lanes: 0, segment: 0, accumulate: 1, span: 0 ...}
 *
 * A step trains `accumulate` x `batch` rows of `segment` tokens. The rows are cut into `lanes`
 * equal parts, the share of work that one thread does at a time. */
#pragma once

#include "core/options/option.h"
#include "models/model.h"

typedef enum budget_kind { BUDGET_TOKENS, BUDGET_STEPS, BUDGET_FLOPS, BUDGET_SECONDS } budget_kind;

typedef struct budget {
    budget_kind kind;
    double amount; /* > 0; whole for tokens and steps */
} budget;

typedef enum train_gemm { GEMM_OWN, GEMM_OPENBLAS, GEMM_IN_TILES } train_gemm;
typedef enum train_precision { PRECISION_FLOAT32, PRECISION_BFLOAT16 } train_precision;

typedef struct train_options {
    const node *budget_node;
    int64_t batch, lanes, segment, accumulate;
    double label_smoothing;
    int64_t gemm, precision;       /* see train_kernels.h */
    int64_t log_every, eval_every; /* steps; 0: only at the end */
    double checkpoint_seconds;
    int64_t keep_every; /* steps; 0: no model but the last is kept for good */
    bool keep_best;
    budget budget; /* from budget_node */
} train_options;

extern const option TRAIN_OPTIONS[];

/* Reads the node (NULL: defaults, and then an error, for a budget is required) with its budget. */
bool train_options_read(train_options *o, const node *n, arena *a, err *e);

/* What the options mean for a model of that context. */
typedef struct train_shape {
    int64_t lanes, lane_rows;
    int64_t context;         /* positions of one call */
    int64_t calls;           /* calls of a segment, on one tape */
    int64_t segment;         /* calls x context */
    int64_t tokens_per_step; /* positions; padding and what is not to be learnt among them */
    double targets_per_step; /* those that count, on average over an epoch */
} train_shape;

/* For identities: the same training in one spelling. */
void train_options_settle(train_options *o, int64_t context);

/* Fails with the place of an option that does not fit: a segment that is no multiple of the
 * context, a batch that the lanes do not divide. Every position counts until the corpus is known.
 */
bool train_options_shape(train_shape *s, const train_options *o, const node *at, int64_t context,
                         err *e);

/* The budget in tokens (targets of weight 1) and steps; train_flops is what a trained token costs.
 * Given in tokens or FLOPs, training ends with the step that reaches the tokens: steps is then how
 * many it takes on average, and what the rate's schedule goes by. Given in steps: tokens is 0. Not
 * for seconds. */
typedef struct train_length {
    int64_t tokens; /* 0: the steps alone decide */
    int64_t steps;
} train_length;
train_length train_options_length(const budget *b, const train_shape *s, double train_flops);
