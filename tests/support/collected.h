/* Results to collect, and collections of which it is known what they find. */
#pragma once

#include "results/store/collect.h"
#include "tests/support/fake_results.h"

/* Three variants of 20 logged steps in test_folder(): with two seeds four runs are done, the second
 * ones of `long` and `wide` are not. Not written yet. */
fake_experiment collected_sample(int seeds);

/* Collects; fails the running test unless so many runs were read again and all were readable. */
void collected_now(const char *out, bool rebuild, int fresh);
