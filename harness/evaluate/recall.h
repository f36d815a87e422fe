/* What a model remembers: accuracy on a probe corpus by distance.
 *
 * A watch over an evaluation that counts right answers: open, evaluate with recall_watch, look at
 * the scores, close. The task's own watch, if any, goes on watching; losses stay as they are. */
#pragma once

#include "harness/evaluate/evaluate.h"

typedef struct recall_score {
    int64_t distance, answers, correct; /* correct: the answer had the largest logit */
    double nats;                        /* sum over answers */
} recall_score;

enum { MAX_RECALL = 256 };

typedef struct recall recall;

/* *r is NULL where the task's split asks for nothing, or the model learns while it reads (which
 * cannot be watched). Borrows the task's model and corpus. False and e: more distances than
 * MAX_RECALL. */
bool recall_open(recall **r, const eval_task *task, err *e);
const eval_watch *recall_watch(const recall *r);
/* By increasing distance, after the evaluation; returns how many. */
int recall_scores(const recall *r, const recall_score **scores);
/* [{"distance", "answers", "correct", "nats"}, ...]; decref it. */
json_t *recall_record(const recall *r);
void recall_close(recall *r); /* NULL is fine */

/* Evaluates the task's split and fills scores by increasing distance;
 * returns how many, -1 and e if the corpus asks for nothing or cannot be read, or the loss is no
 * number. */
int recall_measure(recall_score scores[MAX_RECALL], const eval_task *task, err *e);
