#include "harness/launch/launch_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/options/node.h"
#include "harness/launch/slurm.h"

/* Which jobs belong to an experiment is found in the folders of its launches, not asked of Slurm:
 * names of jobs are not unique, and a job that has ended is forgotten there. A launch whose folder
 * has the file `stopped` is out of all counts, whatever became of its job. */

/* A job's number goes on to squeue and scancel, and the record may be a stranger's: a text that
 * begins with a dash would be an option of theirs, such as one that cancels all of a user's jobs.
 */
static bool is_job(const char *text)
{
    return text && *text && strlen(text) <= 60 && !text[strspn(text, "0123456789_")];
}

/* As it was submitted. */
static bool script_of(char script[FILE_PATH_BYTES], const char *folder, err *e)
{
    char whole[FILE_PATH_BYTES];
    if (!realpath(folder, whole)) return file_failed(e, folder, "cannot be found");
    return file_join(script, whole, "job.sh", e);
}

/* Of a launch whose record has no number: false and e if Slurm does not answer. */
static bool ask_job(const char **job, arena *a, const char *folder, err *e)
{
    char script[FILE_PATH_BYTES];
    if (!script_of(script, folder, e)) return false;
    return slurm_find(job, a, script, e) ||
           err_prefix(e, "%s: whether it was submitted is not known", folder);
}

/* What a record that is damaged said is known from elsewhere: the experiment from the spec beside
 * it, the job from Slurm. *damaged: that it is so. False and e: not even whose it was is known. */
static bool job_of_damaged(const char **job, err *damaged, arena *a, const char *folder,
                           const char *experiment, const err *why, err *e)
{
    char path[FILE_PATH_BYTES];
    err ignored;
    const node *spec = file_join(path, folder, "spec.yaml", NULL) && file_exists(path)
                           ? node_load(a, path, &ignored)
                           : NULL;
    const node *name = node_get(spec, "name");
    if (!name || !name->text) {
        return err_set(e,
                       "%.1000s; nor does spec.yaml beside it say whose it was; restore one of the "
                       "two, or remove the folder once its job has ended",
                       why->text);
    }
    if (strcmp(name->text, experiment) != 0) return true;
    *damaged = *why;
    return ask_job(job, a, folder, e) || err_prefix(e, "%.1000s", why->text);
}

/* A record without one of these is none of ours, or was changed. */
static json_t *read_record(const char *path, err *why)
{
    json_t *record = json_read(path, why);
    if (!record || json_get_text(record, "experiment")) return record;
    err_set(why, "%s: does not say its experiment", path);
    json_decref(record);
    return NULL;
}

/* The job of the launch in a folder; NULL if it is another experiment's, was stopped, or was never
 * submitted. */
static bool job_of(const char **job, err *damaged, arena *a, const char *folder,
                   const char *experiment, err *e)
{
    char path[FILE_PATH_BYTES];
    err why = {0};
    bool stopped;
    *job = NULL;
    if (!file_join(path, folder, "stopped", e) || !file_look(&stopped, path, e)) return false;
    if (stopped) return true;
    if (!file_join(path, folder, "launch.json", NULL) || !file_exists(path)) return true;
    json_auto_t *record = read_record(path, &why);
    if (!record) return job_of_damaged(job, damaged, a, folder, experiment, &why, e);
    const char *said = json_get_text(record, "job");
    if (strcmp(json_get_text(record, "experiment"), experiment) != 0) return true;
    if (!json_object_get(record, "job")) return ask_job(job, a, folder, e);
    if (is_job(said)) *job = arena_strdup(a, said);
    return true;
}

bool launch_list_read(launch_list *l, const char *out, const char *experiment, arena *a, err *e)
{
    char root[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    const char *const *names, *job;
    int64_t count;
    *l = (launch_list){.jobs = ""};
    if (!file_join(root, out, "launch", e)) return false;
    if (!file_is_folder(root)) return true;
    if (!file_list(root, a, &names, &count, e)) return false;
    const char **folders = ARENA_NEW(a, const char *, count + 1);
    const char **list = ARENA_NEW(a, const char *, count + 1);
    /* 60 bytes of a number at most, a comma and the end. */
    char *jobs = arena_push_zero(a, 64 * (count + 1), 1);
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!file_join(folder, root, names[i], e) ||
            !job_of(&job, &l->damaged, a, folder, experiment, e)) {
            *l = (launch_list){.jobs = ""};
            return false;
        }
        if (!is_job(job)) continue;
        list[l->count] = job;
        folders[l->count++] = arena_strdup(a, folder);
        used += (size_t)sprintf(jobs + used, "%s%s", used ? "," : "", job);
    }
    l->folders = folders;
    l->job = list;
    l->jobs = jobs;
    return true;
}

/* A record may be a stranger's, and its number that of any of this user's jobs. */
static bool check_own(const char *folder, const char *job, err *e)
{
    char script[FILE_PATH_BYTES];
    const char *other;
    arena_auto *a = arena_new(1 << 12);
    if (!script_of(script, folder, e) || !slurm_is_of_another(&other, a, job, script, e)) {
        return false;
    }
    return !other || err_set(e,
                             "%s: job %s is none of it, its script is %s; it is not cancelled; "
                             "where it is meant: scancel %s",
                             folder, job, other, job);
}

bool launch_list_stop(int *cancelled, const launch_list *l, err *e)
{
    *cancelled = 0;
    for (int i = 0; i < l->count; i++) {
        char path[FILE_PATH_BYTES];
        if (!check_own(l->folders[i], l->job[i], e)) return false;
        /* Empty: that it is there says all, to the script as well (launch_script.c). First the
         * mark: a task that ends from here on does not come back. */
        if (!file_join(path, l->folders[i], "stopped", e) || !file_write(path, "", 0, e))
            return false;
        /* A job that has ended long ago counts as cancelled (slurm.c). */
        if (!slurm_cancel(l->job[i], e)) {
            /* It goes on, and is to be found by the next try. */
            file_remove(path, NULL);
            return false;
        }
        (*cancelled)++;
    }
    return true;
}
