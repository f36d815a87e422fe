/* What a pass over the text holds: for eval_pass.c, and for what is kept of it (eval_keep.h). */
#pragma once

#include "core/base/crew.h"
#include "harness/evaluate/eval_calls.h"
#include "harness/evaluate/eval_task.h"
#include "harness/evaluate/losses_file.h"
#include "harness/evaluate/turns.h"

/* Where a lane's call is among those that are read together, and stands at its beginning. */
typedef struct lane_call {
    int64_t index; /* among the lane's own; -1: the lane reads nothing in this call */
    int64_t *positions, *documents; /* [lane_rows] */
} lane_call;

typedef struct eval_pass {
    const eval_task *task;
    corpus_split *split;
    eval_calls text;
    int64_t lane_count, lane_rows, context;
    rank_group *ranks; /* that share it (eval_ranks.h); NULL: this process alone */
    rank_lanes own;    /* lanes that are read here */
    int64_t time;      /* positions per call: a context, or a longer segment to learn from */
    lanes *pool;
    model_state **states;   /* [lane_count] */
    dynamic_row **learning; /* [lane_count], if the model learns; else NULL */
    tape **tapes;           /* [threads] */
    int tape_count;
    /* Where several calls of a lane are at work at once, layer behind layer; else NULL. */
    turns *turns;
    model_state **hands;   /* [threads] */
    lane_call *lane_calls; /* [calls, lane_count] */
    /* Where one call of a lane is at work at a time: helps the lane that alone has text left. */
    crew *helpers;
    int64_t reading; /* lanes that have text in this call */
    float *line;     /* [time]: one row's losses on their way to the file */
    evaluation *result;
    losses_file losses_out;
    double began, before, kept_at; /* monotonic; seconds of sittings before this one; last saved */
    bool complete;                 /* it was read to its end in a sitting before */
} eval_pass;
