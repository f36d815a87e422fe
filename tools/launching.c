/* A sweep on Slurm is not run by this process: it submits one array of identical tasks and is done.
 * Each task is `loci run SPEC --task FILE`, the ordinary supervisor, which takes runs by the locks
 * of their folders; so tasks need no numbers, none has to reach this machine, and a task more or
 * less changes nothing. What is decided here is only which words of the command line they get. */
#include "tools/launching.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/launch/launch.h"
#include "harness/launch/launch_wait.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lease.h"

/* So often in a row a task may be stopped without having moved anything. */
enum { MOST_STALLS = 3 };

int launching_check(const cli_call *c, const launching_options *o)
{
    /* Everything else is about this machine, or about waiting for runs here. */
    static const char *const read[] = {"on",           "wait",    "setup",   "sbatch", "template",
                                       "jobs",         "threads", "memory",  "retry",  "fail-fast",
                                       "max-failures", "timeout", "dry-run", "quiet",  "set",
                                       "out",          "data",    NULL};
    /* A list of what counts, not of what does not: an option that is added later is refused until
     * somebody has thought of it here. */
    const char *other = o->on ? cli_given_beside(c, read) : NULL;
    if (other) return cli_fail(EXIT_USAGE, "run: --%s does not go with --on", other);

    const char *beside = o->wait       ? "wait"
                         : o->setup    ? "setup"
                         : o->sbatch   ? "sbatch"
                         : o->template ? "template"
                                       : NULL;
    if (beside && !o->on) return cli_fail(EXIT_USAGE, "run: --%s goes with --on", beside);
    return EXIT_DONE;
}

/* ---- submitting ---- */

/* What is said on the command line of how runs go on: tasks are told the same.
 * Only what differs from the defaults, so that scripts that are looked at show what was asked for.
 * The script adds OUT and --data itself; --set is in its own copy of the spec. */
static const char *const *task_words(arena *a, const void *options, const option *table)
{
    static const char *const keys[] = {"jobs",      "threads",      "memory", "retry",
                                       "fail-fast", "max-failures", "timeout"};
    enum { KEYS = sizeof keys / sizeof *keys };
    const node *said = options_changed(a, options, table);
    const char **words = ARENA_NEW(a, const char *, KEYS + 1);
    int n = 0;
    for (int i = 0; i < KEYS; i++) {
        /* The option table prints its own values, so a word means for the task what it meant
         * here. */
        const node *value = node_get(said, keys[i]);
        if (!value) continue;
        bool is_switch = strcmp(value->text, "true") == 0;
        size_t bytes = strlen(keys[i]) + strlen(value->text) + 4;
        char *word = arena_push(a, (int64_t)bytes, 1);
        snprintf(word, bytes, "--%s%s%s", keys[i], is_switch ? "" : "=",
                 is_switch ? "" : value->text);
        words[n++] = word;
    }
    words[n] = NULL;
    return words;
}

static int print_script(const launch_options *o, const launching_call *c, arena *a, err *e)
{
    /* Nothing is made on disk for a dry run; ID stands for the folder that would be. */
    launch l = {.tasks = 1};
    file_join(l.folder, o->out, "launch/ID", NULL);
    const char *script = launch_script(&l, c->x, o, a, e);
    if (!script) return cli_tell(EXIT_USAGE, e);
    fputs(script, stdout);
    return EXIT_DONE;
}

static int wait_for(const launch *l, const launching_call *c, err *e)
{
    supervisor_result r;
    /* The status is that of `loci run` here: a script need not know where the runs were trained. */
    if (!launch_wait(&r, l, c->x, c->out, c->quiet, e)) return cli_tell(EXIT_FAILED, e);
    return supervision_exit(&r);
}

int launching_submit(const launching_call *c, err *e)
{
    const launching_options *o = c->options;
    arena *a = c->call->memory;
    launch_options how = {.out = c->out,
                          .data = c->data,
                          .command = cli_command(a),
                          .template = o->template,
                          .setup = cli_texts(a, o->setup),
                          .sbatch = cli_texts(a, o->sbatch),
                          .task_words = task_words(a, c->call->options, c->table),
                          .threads = c->threads};
    launch l;
    if (!slurm_place_read(&how.place, o->on, a, e)) return cli_tell(EXIT_USAGE, e);
    if (c->dry_run) return print_script(&how, c, a, e);
    if (!launch_submit(&l, c->x, &how, a, e)) return cli_tell(EXIT_FAILED, e);
    if (l.tasks == 0) {
        fprintf(stderr, "%s: every run is done; nothing is submitted\n", c->x->spec->name);
        return EXIT_DONE;
    }
    /* The job's number alone goes to stdout, for scripts that hand it on as a dependency. */
    printf("%s\n", l.job);
    fflush(stdout);
    if (!c->quiet) {
        one_line_print(stderr,
                       "%s: %d runs in %d tasks of whole nodes, job %s; see loci status %s, loci "
                       "stop %s; logs in %s/log",
                       c->x->spec->name, l.open, l.tasks, l.job, c->x->spec->name, c->x->spec->name,
                       l.folder);
    }
    return o->wait ? wait_for(&l, c, e) : EXIT_DONE;
}

bool launching_jobs(launch_list *l, const char *out, const char *name, arena *a, err *e)
{
    bool ok = launch_list_read(l, out, name, a, e);
    if (l->damaged.text[0]) {
        one_line_print(stderr, "loci: warning: %s; its job is asked of Slurm", l->damaged.text);
    }
    return ok;
}

/* ---- taking over ---- */

/* The run of the experiment whose id begins so; NULL and e if there is none, or several. */
static const run_plan *find_plan(const experiment *x, const char *id, err *e)
{
    const run_plan *found = NULL;
    /* Of this experiment only: an id that is mistyped should not take some other run. */
    for (int i = 0; i < x->run_count; i++) {
        if (strncmp(x->runs[i].id, id, strlen(id)) != 0) continue;
        if (found) {
            err_set(e, "--take-over: several runs begin with '%s'; write more of it", id);
            return NULL;
        }
        found = &x->runs[i];
    }
    if (!found)
        err_set(e, "--take-over: '%s' is no run of %s; see loci status %s", id, x->spec->name,
                x->spec->name);
    return found;
}

/* A new lock file: whoever has the old one finds it gone, and writes nothing more.
 * That it is gone is seen at the next beat, at the latest (harness/run/run_lease). */
static bool take_over_run(const char *out, const run_plan *p, err *e)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], who[RUN_HOLDER_BYTES];
    run_holder h;
    if (!run_folder_path(folder, out, p->id, e) || !file_join(path, folder, "lock", e))
        return false;
    bool named = run_lease_holder(&h, folder);
    /* On this machine the lock can be asked, and the answer is sure; elsewhere the user says that
     * the holder is dead, which is why this takes a run by its name and never all of them. */
    if (named && run_lease_here(&h) && run_folder_locked(folder)) {
        run_lease_text(who, &h);
        return err_set(e, "--take-over: %s works on %s, on this machine; stop it instead", who,
                       p->id);
    }
    return file_remove(path, e);
}

bool launching_take_over(const launching_call *c, err *e)
{
    const char *const *ids = cli_texts(c->call->memory, c->options->take_over);
    for (int i = 0; ids[i]; i++) {
        const run_plan *p = find_plan(c->x, ids[i], e);
        if (!p || !take_over_run(c->out, p, e)) return false;
    }
    return true;
}

/* ---- a task ---- */

/* A task that is preempted comes back with status 75, and the script puts it into the queue again.
 * A time limit too short to save anything would do that for ever; so stops in a row without
 * progress are counted, in a file, since each time it is another process on another node. */
int launching_task_end(const launching_options *o, const supervisor_result *r, int status)
{
    char text[32];
    err e = {0};
    /* A task that ends otherwise does not come back, and its count does not matter. */
    if (!o->task || status != EXIT_INTERRUPTED) return status;
    text_auto *before = file_exists(o->task) ? file_read_named(o->task, NULL, &e) : NULL;
    /* A file that cannot be read counts as none: better one round more than a sweep that ends. */
    long stalls = r->moved ? 0 : (before ? strtol(before, NULL, 10) : 0) + 1;
    int n = snprintf(text, sizeof text, "%ld\n", stalls);
    if (!file_write_named(o->task, text, (size_t)n, &e)) return cli_tell(EXIT_FAILED, &e);
    /* Another status than 75: the script does not requeue. */
    if (stalls <= MOST_STALLS) return status;
    return cli_fail(
        EXIT_FAILED,
        "stopped %ld times in a row before anything was saved; give the tasks more time, "
        "or a smaller train.checkpoint_seconds",
        stalls);
}
