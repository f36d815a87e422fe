/* What was launched of an experiment, from OUT/launch. */
#pragma once

#include "core/base/arena.h"

typedef struct launch_list {
    int count;
    const char *const *folders; /* [count] */
    const char *const *job;     /* [count] of each */
    const char *jobs;           /* all their jobs, "40,41"; "" for none */
    err damaged;                /* of a record of them; its job is then what Slurm says. "": none */
} launch_list;

/* Those that were not stopped, oldest first. Slurm is asked only where whoever submitted one was
 * killed before the job's number was kept, or the record that has it is damaged. False, e and none:
 * it does not answer, or a damaged record may be of this experiment or of another. */
bool launch_list_read(launch_list *l, const char *out, const char *experiment, arena *a, err *e);

/* Cancels their jobs; *cancelled counts them. Running tasks save their runs. False and e: one could
 * not be, or is that of another script by what Slurm says. */
bool launch_list_stop(int *cancelled, const launch_list *l, err *e);
