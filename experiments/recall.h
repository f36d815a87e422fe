/* What a model remembers: accuracy on a probe corpus by distance. */
#ifndef LOCI_EXPERIMENTS_RECALL_H
#define LOCI_EXPERIMENTS_RECALL_H

#include "experiments/evaluate.h"

typedef struct recall_score {
    int64_t distance, answers, right; /* right: the answer had the largest logit */
    double nats;                      /* sum over answers */
} recall_score;

enum { MAX_RECALL = 256 };

/* Evaluates the task's split (its watch is replaced) and fills scores by increasing distance;
 * returns how many, -1 and e if the corpus asks for nothing or cannot be read. */
int recall_measure(recall_score scores[MAX_RECALL], const eval_task *task, err *e);

#endif
