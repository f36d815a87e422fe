#include "harness/supervise/manage_names.h"

#include "core/base/file.h"

bool manage_names_planned(json_t *ids, const char *record, err *e)
{
    json_t *x = json_read(record, e), *run;
    size_t i;
    if (!x) return false;
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        if (id) json_object_set_new(ids, id, json_true());
    }
    json_decref(x);
    return true;
}

bool manage_names_list(const char *out, const char *folder, arena *a, const char *const **names,
                       int64_t *count, err *e)
{
    char path[FILE_PATH_BYTES];
    *count = 0;
    if (!file_join(path, out, folder, e)) return false;
    return !file_is_folder(path) || file_list(path, a, names, count, e);
}
