/* How much a run reads: what its time depends on. */
#pragma once

#include "harness/train/workload.h"

typedef struct run_amount {
    double seconds;     /* of training, where the budget says so; else NaN, and */
    double tokens;      /* trained: those that count */
    double eval_tokens; /* of all its evaluations, */
    double last_tokens; /* and of the final one alone */
} run_amount;

/* train_flops: of a token, for a budget in FLOPs. */
run_amount run_amount_of(const workload *w, double train_flops);
