/* What a claim speaks of, beside its words, and whether that is still the same.
 *
 *   "subject": {"variants": {LABEL: ID}, "seeds": [N, ...], "evaluation": {...}}
 *
 * Variants by their identity (identity.h: model, training and text, not the seed), as a label stays
 * when what it stands for is changed; the seeds that were planned; and the options of the final
 * evaluation that its figures depend on, as far as they differ from the defaults. */
#pragma once

#include "core/base/json.h"
#include "harness/run/experiment.h"

/* Of a claim in a resolved experiment. A new reference. */
json_t *claim_subject(const claim *c, const experiment *x);

/* The same of a record whose claims say nothing of it: what its runs tell, and `now` of the rest.
 * A new reference. */
json_t *claim_subject_earlier(const json_t *record, const json_t *now);

/* Seeds that `now` has beside those of `stated` join them: one that is left out later was seen. */
void claim_subject_add_seeds(json_t *stated, const json_t *now);

/* "'big' and 'block' were changed, seed 3 was left out": what of `stated` is another, or missing,
 * in `now`; empty if nothing is. The caller frees. */
char *claim_subject_change(const json_t *stated, const json_t *now);
