/* Runs an experiment whose seeds are added until its claims are decided (sweep.seeds: {until:
 * decided}); any other as supervisor_run does.
 *
 * Every variant gets the least number of seeds. After each look at the results, those that a claim
 * that is still open needs get one more, up to the most. What a look sees depends on the runs
 * alone: a sweep that was interrupted looks at the same seeds at the same looks, and decides the
 * same. A claim that a failed run keeps open gets no further seeds. */
#pragma once

#include "harness/supervise/supervision.h"

bool until_decided_run(supervisor_result *r, const experiment *x, const supervisor_options *o,
                       err *e);
