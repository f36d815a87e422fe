/* What tiny trainings for tests are of: a synthetic corpus that needs no file. Apart from trials.h,
 * so that what only trains is linked without runs, supervisors and comparisons. */
#pragma once

#include "harness/train/workload.h"

/* A spec of two blocks with carried keys and values, dropout, several lanes and batches per step.
 */
extern const char TRIAL_SPEC[];

/* The YAML text `spec` plus `more` (or NULL), whose sections replace those of the spec, in `a`. */
node *trial_tree(arena *a, const char *spec, const char *more);

/* Corpora without files; caches in test_folder(). */
corpus_places trial_places(void);

/* Opens such a spec. Fails the running test if it does not open. */
bool trial_open(workload *w, const char *spec, const char *more, int64_t seed);

/* The same, expected to fail: true, and e says why. */
bool trial_refused(const char *spec, const char *more, err *e);
