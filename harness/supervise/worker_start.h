/* Starts the process that trains one run. */
#pragma once

#include <sys/types.h>

#include "harness/run/experiment.h"

typedef struct worker_call {
    const corpus_places *places; /* where it looks for corpora */
    const char *command;         /* the command line, for the record */
    const char *program;         /* NULL: this program (/proc/self/exe) */
    int threads;
    const char *blas_core; /* kernels that OpenBLAS is to have; NULL: the processor's */
    const char *out;       /* root of results */
    const char *beginning; /* the id of the run there that this one goes on from; NULL: none */
} worker_call;

/* Writes the plan into the run's folder (made if missing) and runs `loci worker FOLDER`, its words
 * going to log.txt. It is sent SIGTERM when this process dies. The process's id; WORKER_BUSY if
 * another process holds the folder; 0 and e on failure. */
enum { WORKER_BUSY = -1, WORKER_UNPLANNED = -2 };
pid_t worker_start(const char *folder, const run_plan *plan, const worker_call *c, err *e);
/* Only the plan; the descriptor of log.txt, which the caller closes, WORKER_BUSY, or
 * WORKER_UNPLANNED and e. */
int worker_start_plan(const char *folder, const run_plan *plan, const worker_call *c, err *e);
