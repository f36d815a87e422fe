#include "harness/launch/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/json.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"

/* The order of what is written, and what a reader may count on:
 *
 *   experiments/NAME.json    first: a task that finds its own plan there does not write it again
 *   loci, spec.yaml, job.sh  all of the folder that a task needs, before sbatch: the first may
 *                            begin before sbatch returns
 *   launch.json              before sbatch without a number, behind it with the job's. Who submits
 *                            may be killed in between: the job of a record without a number is
 *                            asked of Slurm, by its script (launch_list.c)
 *
 * The program is copied because a task may begin days later: building anew, or deleting the build,
 * must not change or end what was submitted. */

/* ---- how many ---- */

static bool count_open(launch *l, const experiment *x, const char *out, err *e)
{
    l->open = 0;
    for (int i = 0; i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES];
        run_status now;
        err damaged;
        if (!run_folder_path(folder, out, x->runs[i].id, e)) return false;
        /* Failed ones, too: whether they are tried again is the tasks' to decide (--retry). */
        bool known = run_status_read(&now, folder, &damaged);
        l->open += !known || now.state != RUN_DONE;
    }
    return true;
}

/* As many whole nodes as the open runs fill, of those that are asked for and allowed. */
static void count_tasks(launch *l, const launch_options *o)
{
    l->cores = slurm_cores(&o->place);
    /* Nodes that Slurm does not describe are taken for machines like this one. */
    if (l->cores == 0) l->cores = host_cores();
    int at_a_time = MAX(l->cores / MAX(o->threads, 1), 1);
    int64_t most = o->place.nodes > 0 ? o->place.nodes : INT32_MAX;
    /* More would find nothing free and end at once; fewer only take longer. So this is an estimate
     * that nothing depends on. */
    l->tasks = (int)MIN((l->open + at_a_time - 1) / at_a_time, most);
    l->tasks = MIN(l->tasks, slurm_most_tasks());
}

/* ---- the folder ---- */

/* OUT/launch/UTC-NAME, with a number behind it if there is one of this second. */
static bool make_folder(launch *l, const experiment *x, const char *out, err *e)
{
    char root[FILE_PATH_BYTES], whole[FILE_PATH_BYTES], id[160], moment[32];
    time_t now = time(NULL);
    struct tm utc;
    if (!file_own_folder(root, out, "launch", e)) return false;
    /* The script runs elsewhere, in another folder: every path in it is absolute. */
    if (!realpath(root, whole)) return file_failed(e, root, "cannot be found");
    strftime(moment, sizeof moment, "%Y%m%dT%H%M%S", gmtime_r(&now, &utc));
    for (int i = 1; i < 1000; i++) {
        snprintf(id, sizeof id, "%s-%s", moment, x->spec->name);
        if (i > 1) snprintf(id, sizeof id, "%s-%s-%d", moment, x->spec->name, i);
        if (!file_join(l->folder, whole, id, e)) return false;
        /* mkdir decides who has the name; two submissions of one second get two folders. */
        if (mkdir(l->folder, 0777) == 0) {
            return file_join(whole, l->folder, "log", e) && file_make_folders(whole, e);
        }
        if (errno != EEXIST) break;
    }
    return file_failed(e, l->folder, "cannot be made");
}

static bool write_text(const launch *l, const char *name, const char *text, err *e)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, l->folder, name, e) && file_write(path, text, strlen(text), e);
}

static bool copy_program(const launch *l, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, l->folder, "loci", e) || !file_copy_named("/proc/self/exe", path, e))
        return false;
    return chmod(path, 0755) == 0 || file_failed(e, path, "cannot be made executable");
}

/* The tree as it is now: a file that it extends may change before a task begins. */
static bool write_spec(const launch *l, const experiment *x, arena *a, err *e)
{
    node *tree = node_copy(a, x->spec->root);
    /* Both may have come from the file's own name or from the command line. */
    node_set(a, tree, "name", node_scalar(a, x->spec->name, false));
    node_set(a, tree, "description", node_scalar(a, x->spec->description, false));
    return write_text(l, "spec.yaml", node_yaml(a, tree), e);
}

static bool write_record(const launch *l, const experiment *x, const launch_options *o, err *e)
{
    char path[FILE_PATH_BYTES], utc[32];
    host_utc(utc, host_wall_s());
    json_auto_t *r =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s*, s:s}", "experiment", x->spec->name,
                  "spec_file", x->spec->file, "command", o->command, "system", "slurm", "tasks",
                  l->tasks, "open_runs", l->open, "job", l->job, "submitted_at", utc);
    return file_join(path, l->folder, "launch.json", e) && json_write(path, r, e);
}

/* ---- submitting ---- */

/* A job that nobody could find or stop again is worse than none: without its record it is
 * cancelled, and where that fails, too, its number is said. */
static bool keep_record(const launch *l, const experiment *x, const launch_options *o, err *e)
{
    err why, also;
    if (write_record(l, x, o, &why)) return true;
    if (slurm_cancel(l->job, &also)) {
        return err_set(e, "%.600s; job %s, which was submitted, is cancelled again", why.text,
                       l->job);
    }
    return err_set(e, "%.400s; job %s was submitted and goes on (scancel %s): %.400s", why.text,
                   l->job, l->job, also.text);
}

/* NULL and e: nothing runs from the folder. sbatch may have failed behind the submission, or been
 * killed. */
static const char *submit(arena *a, const launch *l, err *e)
{
    err ignored;
    const char *job = slurm_submit(a, l->script, e);
    if (!job) slurm_find(&job, a, l->script, &ignored);
    return job;
}

bool launch_submit(launch *l, const experiment *x, const launch_options *o, arena *a, err *e)
{
    *l = (launch){0};
    if (!count_open(l, x, o->out, e)) return false;
    /* No folder, no job: a finished sweep that is launched again does nothing. */
    if (l->open == 0) return true;
    count_tasks(l, o);
    if (!run_record_experiment(o->out, x, e) || !make_folder(l, x, o->out, e)) return false;
    const char *script = launch_script(l, x, o, a, e);
    bool ready = script && file_join(l->script, l->folder, "job.sh", e) && copy_program(l, e) &&
                 write_spec(l, x, a, e) && write_text(l, "job.sh", script, e) &&
                 write_record(l, x, o, e);
    l->job = ready ? submit(a, l, e) : NULL;
    if (l->job) return keep_record(l, x, o, e);
    err ignored;
    /* Only reached without a job's number: nothing runs from it. */
    file_remove_tree(l->folder, &ignored);
    return false;
}
