/* Experiments and run folders as things to keep, rename, remove and bring together.
 *
 * A run belongs to every experiment that plans it; what no experiment names any more can go. A
 * folder that a process is working on is left alone, and said so. */
#pragma once

#include "core/base/base.h"

typedef struct manage_report {
    int experiments, runs; /* removed, renamed or brought in */
    int kept;              /* runs: another experiment needs them, or a process works on them */
    int64_t bytes;         /* of what was removed */
    int left_out;          /* folders that are not the run that they are called after, or damaged */
    int evaluations;       /* that were brought in for runs that were here */
    int refused;           /* runs and experiments that contradict those that are here */
    err why;               /* of the first that was left out */
} manage_report;

/* Whether a folder is the run that it is called after. A backup beside its run, or a folder that
 * was renamed, is none: it stays where it is, and is told (left_out). */
bool manage_is_run(manage_report *r, const char *folder);

/* Removes the experiment's record and the runs that no other experiment names and no other run
 * starts from. dry: only counts. */
bool manage_remove(manage_report *r, const char *out, const char *name, bool dry, err *e);

/* good: an experiment can be called so, and there is none yet; else e says why not. False and e:
 * that cannot be found out. */
bool manage_check_name(bool *good, const char *out, const char *name, err *e);

/* Gives an experiment another name; its runs stay as they are. */
bool manage_rename(const char *out, const char *from, const char *to, err *e);

/* Which models of finished runs stay: beside the last one, what training kept (train.keep_every,
 * train.keep_best). */
typedef enum keep_models { KEEP_ALL, KEEP_BEST, KEEP_LAST } keep_models;
#define KEEP_MODELS "all|best|last"

/* Removes what no finished run needs: runs that no experiment names (manage_is_run); of finished
 * runs the training state beside the model, which only going on would need, and the models that are
 * not to be kept.
 */
bool manage_collect_garbage(manage_report *r, const char *out, keep_models kept, bool dry, err *e);
