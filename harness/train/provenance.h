/* Where, with what and from which source a run was trained: run.json. */
#pragma once

#include "core/base/json.h"
#include "harness/train/trainer.h"

/* plan: the object in plan.json; the record holds all of it. Decref it. */
json_t *provenance_record(const json_t *plan, trainer *t);
