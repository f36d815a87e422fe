/* loci run: trains what an experiment file asks for and is not done yet.
 *
 * `run` is the only verb that trains. It holds no state of its own: the plan of runs follows from
 * the spec, how far each is from its folder, so that saying it again goes on, and two of them, here
 * or on other machines, share the work by the folders' locks. */
#include <string.h>

#include "harness/run/changed_weights.h"
#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/experiment_sources.h"
#include "harness/run/rank_alike.h"
#include "harness/run/worker_help.h"
#include "harness/supervise/spec_changes.h"
#include "harness/supervise/until_decided.h"
#include "results/table/table.h"
#include "tools/dry_run.h"
#include "tools/launching.h"
#include "tools/verbs.h"

typedef struct run_call {
    const char *out, *data;
    const node *set;
    int64_t jobs, threads, format;
    int64_t retry, max_failures, memory;
    double timeout, rank_timeout;
    bool dry_run, calibrate, fail_fast, no_wait, quiet, ranks;
    launching_options launching;
} run_call;

static const option OPTIONS[] = {
    CLI_SWITCH(run_call, dry_run, "dry-run",
               "print the planned runs, their cost and how long they take, train nothing"),
    CLI_SWITCH(run_call, calibrate, "calibrate",
               "of a dry run: train each variant for 2 seconds where its speed is not known"),
    CLI_INT(run_call, jobs, "jobs", "0", 0, 4096,
            "runs at a time; 0: cores / threads, as far as memory allows"),
    CLI_INT(run_call, memory, "memory", "0", 0, 1e15,
            "bytes (8G) that all runs may take together; 0: what is free"),
    CLI_INT(run_call, threads, "threads", "1", 1, 1024, "of each run; the results do not change"),
    CLI_CHOICE(run_call, retry, "retry", "none", RETRY_KINDS, "runs that are started again"),
    CLI_SWITCH(run_call, fail_fast, "fail-fast", "stop at the first failure; the rest is saved"),
    CLI_INT(run_call, max_failures, "max-failures", "0", 0, 1e9,
            "stop after so many failures; 0: never"),
    CLI_REAL(run_call, timeout, "timeout", "0", 0, 1e9,
             "seconds that a run may take, then it has failed; 0: any"),
    CLI_SWITCH(run_call, no_wait, "no-wait",
               "leave what another process works on to it; then the exit status is 75"),
    CLI_SWITCH(run_call, quiet, "quiet", "no progress, only what went wrong"),
    CLI_CHOICE(run_call, format, "format", "text", TABLE_FORMATS, "of the table of --dry-run"),
    CLI_SWITCH(run_call, ranks, "ranks",
               "train each run with all processes of mpirun or srun; the results do not change"),
    CLI_REAL(run_call, rank_timeout, "rank-timeout", "60", 0, 1e6,
             "seconds of silence after which a rank is lost and the others end; 0: never"),
    LAUNCHING_OPTIONS(run_call),
    CLI_SET(run_call),
    CLI_OUT(run_call),
    CLI_DATA(run_call),
    {0}};

/* The whole command is recorded with each run, as one would have to type it again. */
static supervisor_options options_of(const cli_call *c, const corpus_places *places,
                                     rank_group *ranks)
{
    const run_call *o = c->options;
    return (supervisor_options){.out = cli_out(o->out),
                                .places = places,
                                .command = cli_command(c->memory),
                                .jobs = (int)o->jobs,
                                .threads = (int)o->threads,
                                .memory = o->memory,
                                .leave_busy = o->no_wait,
                                .shares = o->launching.task != NULL,
                                .retry = (retry_kind)o->retry,
                                .max_failures = o->fail_fast ? 1 : (int)o->max_failures,
                                .timeout = o->timeout,
                                .quiet = o->quiet,
                                .ranks = ranks};
}

/* What begins those again that ended badly. */
static const char *retry_of(const supervisor_result *r)
{
    int failed = r->failed - r->stayed;
    return r->diverged == 0 ? "failed" : r->diverged == failed ? "diverged" : "all";
}

static int train_runs(const cli_call *c, const experiment *x, const corpus_places *places,
                      rank_group *ranks, err *e)
{
    const run_call *o = c->options;
    const supervisor_options how = options_of(c, places, ranks);
    supervisor_result r;
    /* Of fixed seeds, too, for which it is the supervisor itself. False is a sweep that could not
     * go on at all. Runs that fail are in the result, and not an error here. */
    if (!until_decided_run(&r, x, &how, e)) return cli_tell(EXIT_FAILED, e);
    supervision_gaps_say(stderr, &r);
    if (!o->quiet) {
        fprintf(stderr, "%s: %d trained, %d finished before, %d failed", x->spec->name, r.done,
                r.skipped, r.failed);
        if (r.evaluated) fprintf(stderr, ", %d evaluated as the spec asks now", r.evaluated);
        if (r.mended) fprintf(stderr, ", %d mended without training", r.mended);
        if (r.interrupted) fprintf(stderr, ", %d interrupted", r.interrupted);
        if (r.busy) fprintf(stderr, ", %d left to another process", r.busy);
        if (r.failed > r.stayed) {
            fprintf(stderr, " (why: loci status %s; again: --retry %s)", x->spec->name,
                    retry_of(&r));
        }
        if (r.stayed) {
            fprintf(stderr, ", %d of them as before (why: above; again: the same command)",
                    r.stayed);
        }
        /* The next step, as it would be typed: the same command goes on, whatever stopped it. */
        if (r.interrupted) {
            one_line_print(stderr, "; loci run %s goes on", c->words[0]);
        } else {
            one_line_print(stderr, "; see loci compare %s", x->spec->name);
        }
    }
    /* What people read is printed before the status is decided, also of a task, whose log it goes
     * to. */
    return launching_task_end(&o->launching, &r, supervision_exit(&r));
}

static int run_or_launch(const cli_call *c, const experiment *x, const corpus_places *places,
                         rank_group *ranks, err *e)
{
    const run_call *o = c->options;
    const launching_call l = {.call = c,
                              .options = &o->launching,
                              .x = x,
                              .out = cli_out(o->out),
                              .data = o->data,
                              .threads = (int)o->threads,
                              .dry_run = o->dry_run,
                              .quiet = o->quiet,
                              .table = OPTIONS};
    /* Nothing is trained by this process then: it would hold runs that the tasks are to have. */
    if (o->launching.on) return launching_submit(&l, e);
    /* Before the supervisor looks for runs, so that it finds these free. */
    if (!launching_take_over(&l, e)) return cli_tell(EXIT_USAGE, e);
    return train_runs(c, x, places, ranks, e);
}

static bool dry_run(const cli_call *c, experiment *x, const corpus_places *places,
                    rank_group *ranks, err *e)
{
    const run_call *o = c->options;
    const supervisor_options how = options_of(c, places, ranks);
    return dry_run_print(x, &how, o->calibrate, (int)o->format, e);
}

/* ranks NULL: this process alone. */
static int run_experiment(const cli_call *c, rank_group *ranks)
{
    const run_call *o = c->options;
    err e = {0};
    experiment *x = experiment_load(c->words[0], cli_texts(c->memory, o->set), &e);
    if (!x) return cli_tell(EXIT_USAGE, &e);
    /* Heard: what is odd about a corpus is said once, though every variant opens it. */
    corpus_places places = cli_places_heard(c->memory, o->data);
    int status = EXIT_DONE;
    /* All of the spec is wrong or right before anything is written: a claim that no run could
     * decide ends the call here, not after a night. */
    if (!experiment_resolve(x, &places, &e) || !experiment_claims(x, &e) ||
        !experiment_sources_there(x, cli_out(o->out), &e)) {
        status = cli_tell(EXIT_USAGE, &e);
        /* A dry run with --on prints the script, which is the launch's own dry run. */
    } else if (!o->dry_run || o->launching.on) {
        experiment_doubts(stderr, x);
        changed_weights_say(stderr, x, cli_out(o->out));
        /* Before the record is written anew: afterwards nothing would differ. */
        if (!o->quiet) spec_changes(stderr, x, cli_out(o->out));
        status = run_or_launch(c, x, &places, ranks, &e);
    } else if (!dry_run(c, x, &places, ranks, &e)) {
        status = cli_tell(EXIT_FAILED, &e);
    } else {
        /* The table first: warnings go to stderr and would overtake it in a terminal. */
        fflush(stdout);
        experiment_doubts(stderr, x);
        experiment_few_seeds(stderr, x);
        changed_weights_say(stderr, x, cli_out(o->out));
        spec_changes(stderr, x, cli_out(o->out));
    }
    experiment_free(x);
    return status;
}

/* Rank 0 does what is asked for, the others what it asks of them.
 * All ranks are started with the same command line, but one process must decide: it plans, locks,
 * records and evaluates, and the others only compute what it sends for. A rank that is lost cannot
 * be waited for, and MPI knows no way to go on without it: the group is aborted with the status
 * that says whether the run can be continued. */
static int run_over_ranks(const cli_call *c)
{
    const run_call *o = c->options;
    err e = {0}, lost;
    rank_group *r = ranks_open(o->rank_timeout, &e);
    if (!r) return cli_fail(EXIT_USAGE, "run --ranks: %s", e.text);
    int status = EXIT_DONE;
    if (!rank_alike_programs(r, &e)) { /* all of them know, one says it */
        status = ranks_me(r) == 0 ? cli_fail(EXIT_USAGE, "run --ranks: %s", e.text) : EXIT_USAGE;
        if (!ranks_whole(r, &lost)) ranks_abort(r, status);
        ranks_close(r);
        return status;
    }
    /* Command line and spec count on rank 0 alone; the others open what it names. */
    if (ranks_me(r) == 0) {
        status = run_experiment(c, r);
        worker_help_end(r);
    } else if (!worker_help(r, &e)) {
        ranks_abort(r, cli_tell(EXIT_INTERRUPTED, &e));
    }
    if (!ranks_whole(r, &lost)) ranks_abort(r, cli_fail(status, "%s", lost.text));
    ranks_close(r);
    return status;
}

/* Whether it was said, not what it is: the default, said, is a mistake as well where nothing looks
 * at it. */
static bool is_given(const cli_call *c, const char *name)
{
    int i = 0;
    while (c->given[i] && strcmp(c->given[i], name) != 0) {
        i++;
    }
    return c->given[i] != NULL;
}

static int run_verb(const cli_call *c)
{
    const run_call *o = c->options;
    int wrong = launching_check(c, &o->launching);
    if (wrong) return wrong;
    if (o->calibrate && !o->dry_run) {
        return cli_fail(EXIT_USAGE, "run: --calibrate belongs to --dry-run; leave it out");
    }
    if (o->ranks && o->jobs > 1) {
        return cli_fail(EXIT_USAGE, "run: --jobs does not go with --ranks, which train one run");
    }
    if (!o->ranks && is_given(c, "rank-timeout")) {
        return cli_fail(EXIT_USAGE, "run: --rank-timeout belongs to --ranks; leave it out");
    }
    return o->ranks ? run_over_ranks(c) : run_experiment(c, NULL);
}

const verb VERB_RUN = {
    .name = "run",
    .words = "SPEC",
    .min_words = 1,
    .max_words = 1,
    .help = "Trains every variant and seed of an experiment file that is not finished yet.\n\n"
            "The same command continues what was interrupted and skips what is done; a run is\n"
            "known by its content, so seeds, variants and evaluations can be added later.",
    .examples = {"run experiments/quickstart.yaml",
                 "run experiments/quickstart.yaml --dry-run --set sweep.seeds=5"},
    OPTIONS_OF(run_call, OPTIONS),
    .run = run_verb,
};
