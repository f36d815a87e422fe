/* What rank 0 asks of the others. It alone goes through a run, as one process does; where a step
 * takes all of them, it says which, and the others do their part of it (train/rank_help.h,
 * run/worker_help.h). */
#pragma once

#include "core/base/file.h"
#include "core/train/ranks.h"

typedef enum rank_call {
    RANK_OPEN,    /* the run in a folder */
    RANK_TRAINER, /* make one: budget in tokens, steps; threads */
    RANK_LOAD,    /* a checkpoint into it */
    RANK_STEP,
    RANK_EVALUATE,        /* a part: tokens; what is forgotten; threads (eval_ranks.h) */
    RANK_EVALUATE_TRACED, /* the same; routing is looked at */
    RANK_STATES,          /* send what the lanes carry */
    RANK_TEXT,            /* say whether it is the one that was opened */
    RANK_DROP,            /* the trainer */
    RANK_CLOSE,           /* the run */
    RANK_LEAVE
} rank_call;

typedef struct rank_request {
    int64_t call;
    int64_t numbers[3];
} rank_request;

/* On rank 0; on others, and alone, nothing is asked. */
bool rank_calls_ask(rank_group *r, rank_call call, err *e);
bool rank_calls_ask_with(rank_group *r, rank_call call, int64_t a, int64_t b, int64_t c, err *e);
/* On the others: waits for the next one. */
bool rank_calls_hear(rank_group *r, rank_request *q, err *e);

/* A path that belongs to it: rank 0's, to all [FILE_PATH_BYTES]. */
bool rank_calls_path(rank_group *r, char *path, err *e);
