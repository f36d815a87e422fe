/* Claims in an experiment's record: what was claimed when, of what, and whether results were there.
 *
 *   "had_results": BOOL,
 *   "claims": [{"name", "claim": {...}, "hash", "recorded_at", "after_the_fact", "seeds",
 *               "withdrawn", "subject": {...}, "changed"}, ...]
 *
 * hash: SHA-256 of the claim's canonical JSON, names resolved, without its page. A claim whose hash
 * was recorded keeps the time of that; one that was added or changed when the experiment's runs,
 * or those of an earlier record, had an evaluation is marked. One that is gone stays, withdrawn, if
 * there were results.
 *
 * subject: what it spoke of when it was stated (claim_subject.h), with the seeds that were added
 * since. changed: what of that is another today; "" if nothing is, also where it was so meanwhile:
 * a claim about what it was stated about is the one that was stated. */
#pragma once

#include "core/base/json.h"
#include "harness/run/experiment.h"

/* Puts both into the new record o. old: the record that is replaced, or NULL. */
void claims_record(json_t *o, const char *out, const experiment *x, const json_t *old);

/* o, from elsewhere, takes the place of the old record (loci merge): what either knows against a
 * claim stays, and what was claimed here is not forgotten. */
void claims_record_replace(json_t *o, const json_t *old);
