/* Claims in an experiment's record: what was claimed when, and whether results were there.
 *
 *   "claims": [{"name", "claim": {...}, "hash", "recorded_at", "after_the_fact", "seeds",
 *               "withdrawn"}, ...]
 *
 * hash: SHA-256 of the claim's canonical JSON, names resolved, without its page. A claim whose hash
 * was recorded keeps the time of that; one that was added or changed when the experiment's runs,
 * or those of its last record, had an evaluation is marked. One that is gone stays, withdrawn, if
 * there were results. */
#pragma once

#include "core/base/json.h"
#include "harness/run/experiment.h"

/* old: the record that is replaced, or NULL. A new reference. */
json_t *claims_record(const char *out, const experiment *x, const json_t *old);
