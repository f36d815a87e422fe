#include "harness/supervise/manage_needs.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "harness/run/run_record.h"
#include "harness/supervise/manage_names.h"

/* A run that has not begun has no plan of its own yet: what it will start from stands in its
 * experiment's record. One that has may have lost its experiment, so its plan is asked, too.
 *
 * An entry's value holds the folders of the run that are named by themselves. */

static json_t *entry(json_t *needs, const char *id, json_t *added)
{
    json_t *folders = json_object_get(needs, id);
    if (folders) return folders;
    folders = json_object();
    json_object_set_new(needs, id, folders);
    json_object_set_new(added, id, json_true());
    return folders;
}

/* The part of a path below OUT/runs, both by where they lead to; NULL: it lies elsewhere. */
static const char *below_runs(char whole[PATH_MAX], const char *out, const char *path)
{
    char runs[FILE_PATH_BYTES], root[PATH_MAX];
    if (!file_join(runs, out, "runs", NULL) || !realpath(runs, root) || !realpath(path, whole)) {
        return NULL;
    }
    size_t n = strlen(root);
    return strncmp(whole, root, n) == 0 && whole[n] == '/' ? whole + n + 1 : NULL;
}

/* source: the id of a run, or the path of a checkpoint, anywhere. */
static void add_source(json_t *needs, json_t *added, const char *out, const char *source)
{
    char whole[PATH_MAX];
    if (!source) return;
    if (!strchr(source, '/')) {
        entry(needs, source, added);
        return;
    }
    const char *inner = below_runs(whole, out, source);
    if (!inner) return;
    char *id = whole + (inner - whole), *folder = strchr(id, '/'), *end;
    if (folder) *folder++ = 0;
    json_t *folders = entry(needs, id, added);
    if (!folder) return;
    if ((end = strchr(folder, '/'))) *end = 0;
    json_object_set_new(folders, folder, json_true());
}

static bool add_experiment(json_t *needs, json_t *added, const char *out, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!manage_names_record(path, out, name, e)) return false;
    json_auto_t *x = json_read(path, e);
    json_t *run;
    size_t i;
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        if (id) entry(needs, id, added);
        add_source(needs, added, out, json_get_text(run, "source"));
    }
    return x != NULL;
}

/* What the runs of `added` start from, and what these do, until none is new. */
static void add_sources(json_t *needs, json_t *added, const char *out)
{
    json_t *of = json_incref(added);
    while (json_object_size(of) > 0) {
        json_t *more = json_object(), *value;
        const char *id;
        json_object_foreach(of, id, value)
        {
            json_auto_t *own = run_record_spec(out, id);
            add_source(needs, more, out, run_record_source(own));
        }
        json_decref(of);
        of = more;
    }
    json_decref(of);
}

json_t *manage_needs(const char *out, const char *except, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    const char *const *names;
    int64_t count;
    json_t *needs = json_object();
    json_auto_t *added = json_object();
    bool ok = manage_names_experiments(out, a, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        size_t n = strlen(names[i]) - strlen(".json");
        if (except && strlen(except) == n && strncmp(names[i], except, n) == 0) continue;
        /* One that cannot be read ends the search, and with it whatever was to be removed. */
        ok = add_experiment(needs, added, out, names[i], e);
    }
    if (ok) {
        add_sources(needs, added, out);
        return needs;
    }
    json_decref(needs);
    return NULL;
}

bool manage_needs_folder(const json_t *needs, const char *id, const char *folder)
{
    return json_object_get(json_object_get(needs, id), folder) != NULL;
}
