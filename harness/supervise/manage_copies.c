#include "harness/supervise/manage_copies.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "harness/run/run_folder.h"
#include "harness/run/set_aside.h"
#include "harness/supervise/manage_names.h"

/* What is done with a copy at `path`; rest: its name behind NAME.json. */
typedef bool (*copy_use)(const char *path, const char *rest, const char *record, err *e);

/* record: passed on. */
static bool each_copy(const char *out, const char *file, copy_use use, const char *record, err *e)
{
    char folder[FILE_PATH_BYTES];
    bool ok = true;
    if (!file_join(folder, out, "experiments", e)) return false;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        const char *rest = set_aside_copy_of(w.name, file);
        if (rest) ok = use(w.path, rest, record, e);
    }
    return file_walk_end(&w) && ok;
}

static bool remove_copy(const char *path, const char *rest, const char *record, err *e)
{
    (void)rest;
    (void)record;
    return file_remove(path, e);
}

/* Under the next free number: an experiment that was called so may have left some. */
static bool rename_copy(const char *path, const char *rest, const char *record, err *e)
{
    char to[FILE_PATH_BYTES];
    (void)rest;
    return set_aside_name(to, record, e) && file_rename(path, to, e);
}

/* Under its own number, so that bringing it twice brings it once. */
static bool bring_copy(const char *path, const char *rest, const char *record, err *e)
{
    char to[FILE_PATH_BYTES];
    int n = snprintf(to, sizeof to, "%s%s", record, rest);
    if (n >= (int)sizeof to) return err_set(e, "%.200s: path is too long", path);
    return file_exists(to) || (file_refuse_link(path, e) && file_copy(path, to, e));
}

bool manage_copies_move(const char *out, const char *from, const char *to, err *e)
{
    char record[FILE_PATH_BYTES], file[512];
    snprintf(file, sizeof file, "%.400s.json", from);
    if (!to) return each_copy(out, file, remove_copy, NULL, e);
    return run_folder_record(record, out, to, e) && each_copy(out, file, rename_copy, record, e);
}

bool manage_copies_bring(const char *out, const char *from, const char *file, err *e)
{
    char record[FILE_PATH_BYTES];
    return manage_names_record(record, out, file, e) &&
           each_copy(from, file, bring_copy, record, e);
}

bool manage_copies_drop(int64_t *bytes, const char *out, bool dry, err *e)
{
    char folder[FILE_PATH_BYTES], file[512], record[FILE_PATH_BYTES];
    bool ok = true;
    if (!file_join(folder, out, "experiments", e)) return false;
    if (!file_is_folder(folder)) return true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        const char *mark = strstr(w.name, SET_ASIDE_COPY);
        int64_t size = 0;
        snprintf(file, sizeof file, "%.*s", (int)(mark ? mark - w.name : 0), w.name);
        if (!text_ends(file, ".json") || !set_aside_copy_of(w.name, file)) continue;
        ok = manage_names_record(record, out, file, e);
        if (!ok || file_exists(record)) continue;
        if (file_stat(w.path, &size, NULL, NULL)) *bytes += size;
        ok = dry || file_remove(w.path, e);
    }
    return file_walk_end(&w) && ok;
}
