/* A sweep handed to a batch system: OUT/launch/ID/, and an array of tasks that share its runs.
 *
 *   loci          this program, so that building anew changes nothing under way
 *   spec.yaml     the experiment with `extends` and `--set` in place
 *   job.sh        the script: a template (launch_script) with its places filled
 *   launch.json   experiment, command, place, number of tasks, when, and the job once it is known
 *   log/N.txt     what task N says         log/N.stalls   stops in a row without progress
 *   stopped       it was cancelled: tasks end rather than come back
 *
 * Tasks are anonymous: each is `loci run --task`, which takes whatever run is free (the locks of
 * the runs' folders) until nothing can be begun and the rest is in living hands. So the array's
 * size never depends on the sweep's, and a lost task loses nothing but time. */
#pragma once

#include "core/base/file.h"
#include "harness/launch/slurm.h"
#include "harness/run/experiment.h"

typedef struct launch_options {
    const char *out, *data;        /* as given; data may be NULL */
    const char *command;           /* the command line, for the record */
    const char *template;          /* file of the script's template; NULL: the built-in one */
    const char *const *setup;      /* lines of shell before the program, NULL-terminated */
    const char *const *sbatch;     /* more options of sbatch, NULL-terminated */
    const char *const *task_words; /* more options of `loci run`, NULL-terminated */
    int threads;
    slurm_place place;
} launch_options;

typedef struct launch {
    char folder[FILE_PATH_BYTES]; /* absolute */
    char script[FILE_PATH_BYTES];
    const char *job;
    int tasks, open; /* runs that are not finished */
    int cores;       /* of a node, as far as known */
} launch;

/* x is resolved, so its corpora are in the cache. Makes the folder and submits; tasks is 0, and
 * nothing is made, if no run is open. */
bool launch_submit(launch *l, const experiment *x, const launch_options *o, arena *a, err *e);

/* The script that would be submitted, to read it beforehand. */
const char *launch_script(const launch *l, const experiment *x, const launch_options *o, arena *a,
                          err *e);
