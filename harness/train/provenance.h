/* Where, with what and from which source a run was trained: run.json. */
#pragma once

#include "core/base/json.h"
#include "harness/train/trainer.h"

/* plan: the object in plan.json; the record holds all of it. Decref it. */
json_t *provenance_record(const json_t *plan, trainer *t);

/* Adds `sittings`: who has computed the run in turn, an entry where machine, build or threads
 * became others, from which step. before: the record that there was, NULL: none. */
void provenance_sittings(json_t *record, const json_t *before, int64_t step);

/* provenance_record of a run that was trained to its end and whose record was lost: what follows
 * from the plan and the text; where, when and by which build it was trained nobody knows any more,
 * and is null. */
json_t *provenance_remade(const json_t *plan, const workload *w, train_length length);
