#include "harness/launch/launch_list.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
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

/* The job of the launch in a folder; NULL if it is another experiment's, or was stopped. */
static const char *job_of(arena *a, const char *folder, const char *experiment)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "stopped", NULL) || file_exists(path)) return NULL;
    if (!file_join(path, folder, "launch.json", NULL) || !file_exists(path)) return NULL;
    json_auto_t *record = json_read(path, NULL);
    const char *name = json_get_text(record, "experiment"), *job = json_get_text(record, "job");
    bool ours = name && is_job(job) && strcmp(name, experiment) == 0;
    return ours ? arena_strdup(a, job) : NULL;
}

bool launch_list_read(launch_list *l, const char *out, const char *experiment, arena *a, err *e)
{
    char root[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    *l = (launch_list){.jobs = ""};
    if (!file_join(root, out, "launch", e)) return false;
    if (!file_is_folder(root)) return true;
    if (!file_list(root, a, &names, &count, e)) return false;
    const char **folders = ARENA_NEW(a, const char *, count + 1);
    /* 60 bytes of a number at most, a comma and the end. */
    char *jobs = arena_push_zero(a, 64 * (count + 1), 1);
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!file_join(folder, root, names[i], e)) return false;
        const char *job = job_of(a, folder, experiment);
        if (!job) continue;
        folders[l->count++] = arena_strdup(a, folder);
        used += (size_t)sprintf(jobs + used, "%s%s", used ? "," : "", job);
    }
    l->folders = folders;
    l->jobs = jobs;
    return true;
}

bool launch_list_stop(int *cancelled, const launch_list *l, err *e)
{
    *cancelled = 0;
    for (int i = 0; i < l->count; i++) {
        char path[FILE_PATH_BYTES];
        /* Empty: that it is there says all, to the script as well (launch_script.c). First the
         * mark: a task that ends from here on does not come back. */
        if (!file_join(path, l->folders[i], "stopped", e) || !file_write(path, "", 0, e))
            return false;
        if (!file_join(path, l->folders[i], "launch.json", e)) return false;
        json_auto_t *record = json_read(path, e);
        const char *job = record ? json_get_text(record, "job") : NULL;
        /* A job that has ended long ago counts as cancelled (slurm.c). */
        if (!is_job(job) || !slurm_cancel(job, e)) {
            /* It goes on, and is to be found by the next try. */
            if (file_join(path, l->folders[i], "stopped", NULL)) file_remove(path, NULL);
            return false;
        }
        (*cancelled)++;
    }
    return true;
}
