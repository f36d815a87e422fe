/* A planned run opened, if what lies there now is what its id was made from: a text, a tokenizer or
 * a checkpoint that was replaced since the run was planned would be trained on under the id of
 * another. */
#pragma once

#include "harness/run/run_record.h"

/* folder: the run's; init_from finds other runs beside it. False and e also where the text, or the
 * checkpoint that init_from names, is another than plan.json says. Plans of earlier versions do not
 * say it. On failure nothing is left open. */
bool run_open(workload *w, const planned_run *p, const char *folder, err *e);

/* Whether this program computes in the precision of the run, as far as that is known: what the
 * other one left would be taken for damage, and what this one finds for the other's. planned:
 * plan.json, for a run that has no run.json; NULL: it does not count. Nothing is opened. */
bool run_open_precision(const json_t *planned, const char *folder, err *e);
/* The same of what a plan.json or run.json says. */
bool run_open_same_precision(const json_t *record);
