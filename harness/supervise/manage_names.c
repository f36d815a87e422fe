#include "harness/supervise/manage_names.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "harness/run/run_folder.h"

/* What counts as an experiment or a run is decided by names and by a file or two, without reading:
 * a folder of a thousand runs is listed at once. What is none of ours is left alone by every
 * command that removes. */

bool manage_names_planned(json_t *ids, const char *record, err *e)
{
    json_auto_t *x = json_read(record, e);
    json_t *run;
    size_t i;
    if (!x) return false;
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        /* An object as a set: a thousand runs are asked for by name. */
        if (id) json_object_set_new(ids, id, json_true());
    }
    return true;
}

bool manage_names_record(char *path, const char *out, const char *file, err *e)
{
    char folder[FILE_PATH_BYTES];
    return file_join(folder, out, "experiments", e) && file_join(path, folder, file, e);
}

static bool list_names(const char *out, const char *folder, const char *suffix, arena *a,
                       const char *const **names, int64_t *count, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *const *all;
    int64_t found = 0;
    *count = 0;
    if (!file_join(path, out, folder, e)) return false;
    /* Results without an experiment yet, or without a run: nothing, and no error. */
    if (!file_is_folder(path)) return true;
    if (!file_list(path, a, &all, &found, e)) return false;
    const char **kept = ARENA_NEW(a, const char *, found);
    for (int64_t i = 0; i < found; i++) {
        /* Notes end in .jsonl, locks in .lock: neither ends as a record does. Copies by other
         * systems begin with a dot. */
        if (all[i][0] != '.' && text_ends(all[i], suffix)) kept[(*count)++] = all[i];
    }
    *names = kept;
    return true;
}

bool manage_names_experiments(const char *out, arena *a, const char *const **names, int64_t *count,
                              err *e)
{
    return list_names(out, "experiments", ".json", a, names, count, e);
}

static bool is_run(const char *out, const char *name)
{
    /* Any of them: a run that was cut short at its very beginning is one, too, and gc has to see
     * it. */
    static const char *const FILES[] = {"plan.json", "run.json", "status.json", "lock"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    /* Links and names that are no ids are none of ours. */
    if (!run_folder_path(folder, out, name, NULL)) return false;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        if (file_join(path, folder, FILES[i], NULL) && file_exists(path)) return true;
    }
    return false;
}

bool manage_names_runs(const char *out, arena *a, const char *const **names, int64_t *count, err *e)
{
    const char *const *all;
    int64_t found;
    *count = 0;
    if (!list_names(out, "runs", "", a, &all, &found, e)) return false;
    const char **kept = ARENA_NEW(a, const char *, found);
    for (int64_t i = 0; i < found; i++) {
        if (is_run(out, all[i])) kept[(*count)++] = all[i];
    }
    *names = kept;
    return true;
}
