/* What a worker says of its run while it goes on, and at its ends: status.json. */
#pragma once

#include "harness/run/worker_parts.h"

/* Where the run stands into w->status, which the next of these writes. */
void worker_status_fill(worker *w);

/* Twice a second at most; `now` is monotonic. Failing to tell is no reason to stop; the company may
 * have one. */
void worker_status_tell(worker *w, double now);

/* `running`, durable: killed from here on, the run is one that was interrupted. */
bool worker_status_begin(worker *w, err *e);

/* The last word on the run, durable. */
bool worker_status_end(worker *w, run_state state, run_kind kind, const char *reason, err *e);
