/* What `loci run --dry-run` prints: the runs with their cost, and how long they will take. */
#pragma once

#include "harness/run/experiment.h"
#include "harness/supervise/supervision.h"

/* x is resolved. calibrate: measures the speeds that are not known. format: a table_format. */
bool dry_run_print(experiment *x, const supervisor_options *how, bool calibrate, int format,
                   err *e);
