/* The model of the run's best evaluation, checkpoint-best/, that training was asked to keep. */
#pragma once

#include "harness/run/worker_parts.h"

/* Keeps the trainer's model if `line`, the evaluation that is about to be recorded, is better than
 * all of its kind in evals.jsonl, and than the model that is there. What is damaged there is mended
 * first, or set aside, with a word to the log. */
bool worker_best_keep(worker *w, const json_t *line, err *e);
