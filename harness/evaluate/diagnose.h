/* An evaluation with all that is told of a model beside its losses. */
#pragma once

#include "harness/evaluate/evaluate.h"

/* evaluate(), and what else is told of a model: *more is merged into the record of the evaluation
 * (json_object_update_recursive) and then decref'd. Of a probe `recall` (recall.h), and `layers`
 * (cleared.h) if states are to be cleared, with `sample` (sample.h) where one is wanted and the
 * corpus has text. r->stopped also where it was stopped meanwhile. */
bool diagnose_evaluation(evaluation *r, json_t **more, const eval_task *task, bool clear, err *e);
