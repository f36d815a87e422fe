/* What `loci run` does for other machines: hands a sweep to Slurm, is a task of one, takes runs
 * from holders that are dead. */
#pragma once

#include "harness/launch/launch_list.h"
#include "harness/supervise/supervision.h"
#include "tools/cli.h"

/* The part of run's options that is read here. */
typedef struct launching_options {
    const char *on, *template;
    const node *setup, *sbatch;
    bool wait;
    const char *task; /* file that counts stops without progress; NULL: this is no task */
    const node *take_over;
} launching_options;

#define LAUNCHING_OPTIONS(S)                                                                       \
    CLI_TEXT(S, launching.on, "on",                                                                \
             "hand the runs to Slurm: slurm or slurm:nodes=8,time=4h,partition=X,constraint=Y"),   \
        CLI_SWITCH(S, launching.wait, "wait", "with --on: until every run has ended"),             \
        CLI_LIST(S, launching.setup, "setup",                                                      \
                 "with --on: a line of shell before the program ('module load openblas'); may be " \
                 "repeated"),                                                                      \
        CLI_LIST(S, launching.sbatch, "sbatch",                                                    \
                 "with --on: an option of sbatch ('--account=x'); may be repeated"),               \
        CLI_TEXT(S, launching.template, "template",                                                \
                 "with --on: the script, with places @command@ and others; --dry-run prints it"),  \
        CLI_TEXT(S, launching.task, "task",                                                        \
                 "be one of several tasks: end once others have what is left; FILE counts stops "  \
                 "without progress"),                                                              \
        CLI_LIST(S, launching.take_over, "take-over",                                              \
                 "a run whose holder is dead on a machine that still has its lock; may be "        \
                 "repeated")

typedef struct launching_call {
    const cli_call *call;
    const launching_options *options;
    const experiment *x;
    const char *out, *data;
    int threads;
    bool dry_run, quiet;
    const option *table; /* of all of run's options */
} launching_call;

/* EXIT_USAGE and a message where options do not go together. */
int launching_check(const cli_call *c, const launching_options *o);

/* Submits, or with dry_run prints the script; the exit status. */
int launching_submit(const launching_call *c, err *e);

/* launch_list_read, with a word to stderr on a damaged record. */
bool launching_jobs(launch_list *l, const char *out, const char *name, arena *a, err *e);

/* Before a sweep: takes the locks of what is to be taken over. */
bool launching_take_over(const launching_call *c, err *e);

/* After a task's sweep that ended with `status`: counts stops without progress, and turns the one
 * that is too many into a failure. */
int launching_task_end(const launching_options *o, const supervisor_result *r, int status);
