/* Who works on an experiment: OUT/experiments/NAME.lock. Supervisors of one sweep share it, whoever
 * removes or renames the experiment must have it alone. */
#pragma once

#include "core/base/base.h"

/* A descriptor to close in the end (as the process's end does), or -1: somebody is removing the
 * experiment, or its lock cannot be opened. Makes OUT/experiments where it is missing. */
int experiment_lock_share(const char *out, const char *name, err *e);

/* The same alone: -1 too where somebody works on the experiment. */
int experiment_lock_alone(const char *out, const char *name, err *e);

/* Closes what experiment_lock_alone gave; the lock's file goes. */
void experiment_lock_remove(const char *out, const char *name, int lock);

/* Of all runs, OUT/experiments/.runs.lock: shared by whoever brings runs before a record names
 * them, alone for who removes what no record names. A descriptor to close, EXPERIMENT_LOCK_BUSY
 * where somebody has it (not waited for), or -1: it cannot be opened. */
enum { EXPERIMENT_LOCK_BUSY = -2 };
int experiment_lock_runs(const char *out, bool alone, err *e);

/* Of all records and their notes, OUT/experiments/.lock, for as long as one is changed: waited for.
 * A descriptor to close, or -1. */
int experiment_lock_records(const char *out, err *e);
