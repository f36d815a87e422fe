/* loci rm, mv, gc, merge: what is kept of results. The database is made again from what is left.
 *
 * These verbs change folders, and folders are the truth; the database is thrown away and collected
 * again, which is slower than deleting rows and cannot forget one. --dry-run goes the
 * same way and stops where something would be removed. */
#include "core/base/file.h"
#include "core/base/one_line.h"
#include "harness/launch/slurm.h"
#include "harness/supervise/manage_merge.h"
#include "results/store/collect.h"
#include "results/store/experiment.h"
#include "results/store/stale_mark.h"
#include "results/table/table.h"
#include "tools/launching.h"
#include "tools/reading.h"
#include "tools/verbs.h"

#include <unistd.h>

typedef struct manage_call {
    const char *out;
    int64_t keep;
    bool dry_run, force;
} manage_call;

static const option OPTIONS[] = {
    CLI_SWITCH(manage_call, dry_run, "dry-run", "say what would be removed, remove nothing"),
    CLI_SWITCH(manage_call, force, "force", "although jobs of it on Slurm have not ended"),
    CLI_OUT(manage_call),
    {0}};
static const option GC_OPTIONS[] = {
    CLI_CHOICE(manage_call, keep, "keep", "all", KEEP_MODELS,
               "of the models that finished runs kept beside their last"),
    CLI_SWITCH(manage_call, dry_run, "dry-run", "say what would be removed, remove nothing"),
    CLI_OUT(manage_call),
    {0}};
static const option MV_OPTIONS[] = {
    CLI_SWITCH(manage_call, force, "force", "although jobs of it on Slurm have not ended"),
    CLI_OUT(manage_call),
    {0}};
static const option MERGE_OPTIONS[] = {CLI_OUT(manage_call), {0}};

/* Rows of what is gone stay in a database until it is made again. Before the first change it is
 * marked, so that whatever happens from here on the next command mends it. On a disk too full for
 * the mark what is removed makes room. */
static int begin_change(const manage_call *o)
{
    return o->dry_run ? -1 : stale_mark_set(cli_out(o->out), NULL);
}

/* After the last change; done: false if it failed, and e says why. */
static int end_change(const manage_call *o, int mark, bool done, err *e)
{
    const char *out = cli_out(o->out);
    if (o->dry_run) return done ? EXIT_DONE : cli_tell(EXIT_FAILED, e);
    if (mark < 0) mark = stale_mark_set(out, NULL);
    bool marked = mark >= 0;
    if (marked) close(mark);
    if (!done) return cli_tell(EXIT_FAILED, e);
    collect_report r;
    if (!collect(&r, out, true, e)) {
        return cli_fail(EXIT_FAILED, "what was asked for is done, but not in the database: %s; %s",
                        e->text,
                        marked ? "the next command that reads results brings it in"
                               : "then loci collect --rebuild");
    }
    if (r.unreadable == 0) return EXIT_DONE;
    /* What was asked for is done; but a run that was just brought in may be among them, and would
     * be missing from every table without a word. */
    collect_say_unreadable(e, &r);
    return cli_tell(EXIT_DONE, e);
}

/* Is the call's first word an experiment? */
static int check_known(const cli_call *c, store *s, err *e)
{
    return experiment_check(s, c->words[0], e) ? EXIT_DONE : EXIT_USAGE;
}

/* A task that begins later would make the experiment of this name again. What runs on this machine
 * has a lock, which is looked at behind this. */
static int check_launched(const cli_call *c)
{
    const manage_call *o = c->options;
    const char *name = c->words[0];
    launch_list l;
    slurm_queue q;
    err e = {0};
    if (o->force) return EXIT_DONE;
    if (!launching_jobs(&l, cli_out(o->out), name, c->memory, &e) ||
        (l.count > 0 && !slurm_queue_read(&q, l.jobs, &e))) {
        return cli_fail(EXIT_FAILED,
                        "%s: whether its jobs have ended is not known; --force does not ask: %s",
                        name, e.text);
    }
    if (l.count == 0 || q.running + q.pending == 0) return EXIT_DONE;
    return cli_fail(EXIT_FAILED,
                    "%s: of job %s %d tasks run and %d are pending, which would make it again; "
                    "cancel them first: loci stop %s",
                    name, l.jobs, q.running, q.pending, name);
}

/* Bytes are of what was removed. */
static void say_report(const manage_report *r, const char *done, bool removed)
{
    char bytes[16];
    table_si(bytes, (double)r->bytes);
    fprintf(stderr, "%s: %d experiment%s, %d run%s", done, r->experiments,
            r->experiments == 1 ? "" : "s", r->runs, r->runs == 1 ? "" : "s");
    if (removed) fprintf(stderr, ", %s bytes", bytes);
    if (r->evaluations)
        fprintf(stderr, ", %d evaluation%s", r->evaluations, r->evaluations == 1 ? "" : "s");
    if (r->kept) fprintf(stderr, "; %d runs are needed elsewhere or in use and stay", r->kept);
    fputc('\n', stderr);
    if (r->left_out) {
        one_line_print(stderr, "loci: %d folder%s left out: %s", r->left_out,
                       r->left_out == 1 ? " was" : "s were", r->why.text);
    }
}

static int remove_experiment(const cli_call *c)
{
    const manage_call *o = c->options;
    manage_report r;
    err e = {0};
    /* A word that is no experiment is a mistake of the user, found before any folder is touched. */
    int status = reading_with(c, cli_out(o->out), check_known);
    if (status == EXIT_DONE) status = check_launched(c);
    if (status != EXIT_DONE) return status;
    int mark = begin_change(o);
    /* Locks, and refuses where somebody works on it. */
    bool done = manage_remove(&r, cli_out(o->out), c->words[0], o->dry_run, &e);
    if (done) say_report(&r, o->dry_run ? "would be removed" : "removed", true);
    return end_change(o, mark, done, &e);
}

static int rename_experiment(const cli_call *c)
{
    const manage_call *o = c->options;
    err e = {0};
    int status = reading_with(c, cli_out(o->out), check_known);
    if (status == EXIT_DONE) status = check_launched(c);
    if (status != EXIT_DONE) return status;
    /* A name that is taken is a matter of usage, and found out before anything is moved. */
    bool good, known = manage_check_name(&good, cli_out(o->out), c->words[1], &e);
    if (!known || !good) return cli_tell(known ? EXIT_USAGE : EXIT_FAILED, &e);
    int mark = begin_change(o);
    bool done = manage_rename(cli_out(o->out), c->words[0], c->words[1], &e);
    return end_change(o, mark, done, &e);
}

static int collect_garbage(const cli_call *c)
{
    const manage_call *o = c->options;
    manage_report r;
    err e = {0};
    /* Locks would make the folder that somebody mistyped. */
    if (!collect_check_out(cli_out(o->out), &e)) return cli_tell(EXIT_FAILED, &e);
    int mark = begin_change(o);
    bool done = manage_collect_garbage(&r, cli_out(o->out), (keep_models)o->keep, o->dry_run, &e);
    if (done) say_report(&r, o->dry_run ? "would be removed" : "removed", true);
    return end_change(o, mark, done, &e);
}

static int merge_results(const cli_call *c)
{
    const manage_call *o = c->options;
    manage_report r;
    err e = {0};
    char runs[FILE_PATH_BYTES];
    /* A folder without runs is far more often a mistyped path than an empty set of results. */
    if (!file_join(runs, c->words[0], "runs", &e) || !file_is_folder(runs)) {
        return cli_fail(EXIT_USAGE, "%s: is no folder of results", c->words[0]);
    }
    int mark = begin_change(o);
    /* Copies only: nothing here is removed but what a finished run replaces. */
    bool done = manage_merge(&r, cli_out(o->out), c->words[0], stderr, &e);
    if (done) say_report(&r, "brought in", false);
    int status = end_change(o, mark, done, &e);
    return status == EXIT_DONE && r.refused > 0 ? EXIT_FAILED : status;
}

const verb VERB_RM = {
    .name = "rm",
    .words = "EXPERIMENT",
    .min_words = 1,
    .max_words = 1,
    .help = "Removes an experiment and the runs that nothing else needs.\n\n"
            "Runs that another experiment names, or that another run starts from, by their id "
            "or by the path of a checkpoint, stay.",
    .examples = {"rm quickstart --dry-run", "rm quickstart"},
    OPTIONS_OF(manage_call, OPTIONS),
    .run = remove_experiment,
};

const verb VERB_MV = {
    .name = "mv",
    .words = "EXPERIMENT NAME",
    .min_words = 2,
    .max_words = 2,
    .help = "Gives an experiment another name; its runs stay what they are.",
    .examples = {"mv quickstart first-try", "mv memory memory-2026 --out results/out"},
    OPTIONS_OF(manage_call, MV_OPTIONS),
    .run = rename_experiment,
};

const verb VERB_GC = {
    .name = "gc",
    .words = "",
    .help = "Removes what no finished run needs.\n\n"
            "Runs that no experiment names, and of finished runs the training state beside the\n"
            "model: they can still be evaluated and started from, but not be trained for longer.\n"
            "--keep best and --keep last remove models that train.keep_every and train.keep_best\n"
            "kept, too, but for those that another run starts from.",
    .examples = {"gc --dry-run", "gc --keep best"},
    OPTIONS_OF(manage_call, GC_OPTIONS),
    .run = collect_garbage,
};

const verb VERB_MERGE = {
    .name = "merge",
    .words = "FOLDER",
    .min_words = 1,
    .max_words = 1,
    .help = "Brings experiments and runs of another results folder in.\n\n"
            "What is missing here is copied, and what is further there replaces what is here: a\n"
            "finished run an unfinished one, of two that were interrupted the one that was saved\n"
            "later, if what both have logged is equal. Doing it twice changes nothing.",
    .examples = {"merge /mnt/node7/results/out", "merge ../laptop/out --out results/out"},
    OPTIONS_OF(manage_call, MERGE_OPTIONS),
    .run = merge_results,
};
