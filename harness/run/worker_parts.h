/* What a worker holds while it works on its run: for worker.c and the parts of its work
 * (worker_*.h).
 */
#pragma once

#include <signal.h>

#include "core/base/file.h"
#include "harness/run/run_lease.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/worker_company.h"
#include "harness/train/log_line.h"
#include "harness/train/trainer.h"

typedef struct worker {
    const char *folder;
    char metrics[FILE_PATH_BYTES], evals[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES];
    planned_run plan;
    arena *memory;
    workload work;
    trainer *trainer;
    bool begun; /* the trainer stands where the run does: what goes wrong comes later */
    run_lease *lease;
    run_status status;
    double saved_at, told_at;       /* monotonic: last checkpoint, last status */
    int64_t saved_step, saved_eval; /* what the checkpoint holds; -1: none */
    double evaluated;               /* nats per token of the final evaluation */
    char line[LOG_LINE_BYTES];
    volatile sig_atomic_t *stop;   /* raised: the step under way ends, and the run is saved */
    const worker_company *company; /* NULL: none */
    rank_group *ranks;             /* of the company; NULL: this process alone */
} worker;

/* Why a run's work ended. What may be written of it is decided in one place, end_run. */
typedef enum outcome { WENT_WELL, WENT_WRONG, DIVERGED, STOPPED } outcome;
