/* Slurm's own programs, called as a user would call them; nothing is linked.
 *
 * A place is what `loci run --on` says: "slurm", or "slurm:nodes=8,time=4h,partition=gpu". */
#pragma once

#include "core/base/arena.h"

typedef struct slurm_place {
    int64_t nodes;         /* at most so many; 0: as many as the open runs fill */
    const char *time;      /* as Slurm writes it; NULL: the partition's default */
    const char *partition; /* NULL: the default one */
    const char *constraint;
} slurm_place;

/* False and e where the text is no place: another system, an unknown key, a time that is none. */
bool slurm_place_read(slurm_place *p, const char *text, arena *a, err *e);

/* Minutes that a task has, from the place's time or, where it has none, as its partition has it by
 * default; 0: no limit, or Slurm does not say. */
int64_t slurm_minutes(const slurm_place *p);

/* Cores of the smallest node that fits the place; 0: Slurm does not say. */
int slurm_cores(const slurm_place *p);
/* The most tasks that one array may have; Slurm's default where it does not say. */
int slurm_most_tasks(void);

/* Submits a script; the job's number, NULL and e. The text is in the arena. */
const char *slurm_submit(arena *a, const char *script, err *e);

/* The number of this user's job that was submitted with the script (absolute), by what Slurm says;
 * *job NULL: there is none, or it has ended. */
bool slurm_find(const char **job, arena *a, const char *script, err *e);

/* Whether the job (its number, or an array's task of it) is one of this user's that has not ended
 * and was submitted with another script than this; then which one it was, in the arena. */
bool slurm_is_of_another(const char **other, arena *a, const char *job, const char *script, err *e);

/* Tasks of some jobs ("40,41") that have not ended, by one call. */
typedef struct slurm_queue {
    int running, pending;
    char reason[64]; /* why the first pending one waits; "" */
} slurm_queue;
bool slurm_queue_read(slurm_queue *q, const char *jobs, err *e);

bool slurm_cancel(const char *job, err *e);
