/* Finds a run by name: see find_run.h.
 *
 * Names are tried from the most exact to the most convenient: a folder that is there, the record of
 * an experiment (which lists its runs in planned order), then the beginning of an id. A folder wins
 * over an experiment of the same name, because a path is what completion in a shell gives.
 *
 * Run folders and records are read directly, not the database: a model can be used before anything
 * was collected, and while another process writes. */
#include "tools/find_run.h"

#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/options/option_text.h"
#include "harness/run/run_folder.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "results/report/run_name.h"
#include "results/store/run_damage.h"
#include "tools/cli.h"

#include <stdio.h>
#include <string.h>

/* A run that was begun and has saved nothing is no model yet. */
static bool has_checkpoint(const char *folder)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, folder, "checkpoint", NULL) && checkpoint_files_exist(path);
}

static bool matches(const json_t *run, const run_name *r)
{
    const char *label = json_get_text(run, "label");
    if (r->label[0] && (!label || strcmp(label, r->label) != 0)) return false;
    return r->seed < 0 || json_get_int(run, "seed", -1) == r->seed;
}

/* What the name says, and where the record of its experiment would lie. */
static bool read_name(run_name *r, char record[FILE_PATH_BYTES], const char *name, const char *out,
                      err *e)
{
    run_name_read(r, name);
    return run_folder_record(record, out, r->experiment, e);
}

/* None fits: a label is misspelt, or a seed was not planned. */
static bool unknown_run(const json_t *runs, const char *record, const run_name *r, err *e)
{
    arena_auto *a = arena_new(0);
    const char **labels = ARENA_NEW(a, const char *, MAX((int)json_array_size(runs), 1));
    int n = 0;
    size_t i;
    const json_t *run;
    json_array_foreach(runs, i, run)
    {
        const char *label = json_get_text(run, "label");
        if (label) labels[n++] = label;
    }
    const char *near = option_nearest(r->label, n, labels);
    char seed[40] = "", meant[300] = "";
    if (r->seed >= 0) snprintf(seed, sizeof seed, " with seed %lld", (long long)r->seed);
    if (near && strcmp(near, r->label) != 0) {
        snprintf(meant, sizeof meant, " (did you mean '%.200s'?)", near);
    }
    if (!*r->label) return err_set(e, "%s: no run%s", record, seed);
    return err_set(e, "%s: no run of variant '%s'%s%s; loci status %s lists them", record, r->label,
                   seed, meant, r->experiment);
}

/* The first run of the experiment's record that fits and can be used. */
static bool find_in_experiment(char *path, const char *record, const run_name *r, const char *out,
                               err *e)
{
    json_auto_t *x = json_read(record, e);
    if (!x) return false;
    int fitting = 0;
    size_t i;
    json_t *run;
    bool found = false;
    char folder[FILE_PATH_BYTES];
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        /* A record may be damaged or of another program; run_folder_path refuses ids that are no
         * ids. */
        if (!id || !matches(run, r)) continue;
        /* Counted to tell "no such run" from "not yet". */
        fitting++;
        if (found || !run_folder_path(folder, out, id, e) || !has_checkpoint(folder)) continue;
        if (!run_damage_of_its_name(folder, e)) return false;
        memcpy(path, folder, sizeof folder);
        found = true;
    }
    if (found && fitting > 1) {
        cli_fail(EXIT_DONE, "%s%s%s: the first of %d runs that are called so", r->experiment,
                 *r->label ? "/" : "", r->label, fitting);
    }
    if (found) return true;
    if (fitting) return err_set(e, "%s: none of its %d runs has a checkpoint yet", record, fitting);
    return unknown_run(json_object_get(x, "runs"), record, r, e);
}

/* A folder of OUT/runs whose name begins with `name`. */
static bool find_id(char *path, const char *name, const char *out, err *e)
{
    char runs[FILE_PATH_BYTES];
    if (!file_join(runs, out, "runs", e)) return false;
    arena_auto *a = arena_new(1 << 16);
    const char *const *names = NULL;
    int64_t n = 0, hits = 0, hit = 0;
    /* Without a folder of runs there are none: the message about the name is the better one. */
    if (file_is_folder(runs) && !file_list(runs, a, &names, &n, e)) n = 0;
    bool whole = false; /* an id to its end is that run's, whatever else begins so */
    for (int64_t i = 0; i < n && !whole; i++) {
        if (strncmp(names[i], name, strlen(name)) != 0) continue;
        whole = strcmp(names[i], name) == 0;
        hits = whole ? 1 : hits + 1;
        hit = i;
    }
    if (hits == 1) {
        return run_folder_path(path, out, names[hit], e) && run_damage_of_its_name(path, e);
    }
    if (hits > 1)
        return err_set(e, "%s: %lld runs begin with it; give more of its id", name,
                       (long long)hits);
    return err_set(e,
                   "%s: no such run in %s; give a folder, a run's id or EXPERIMENT/LABEL/SEED "
                   "(loci ls lists them)",
                   name, out);
}

static bool find_folder(char path[FILE_PATH_BYTES], const char *name, const char *out, err *e)
{
    if (!*name) return err_set(e, "the name of a run is empty");
    file_named_folder(path, name);
    if (checkpoint_files_exist(path) || has_checkpoint(path)) return true;
    run_name r;
    char record[FILE_PATH_BYTES];
    if (!read_name(&r, record, name, out, e)) return false;
    if (file_exists(record)) return find_in_experiment(path, record, &r, out, e);
    return find_id(path, name, out, e);
}

/* False if the name is no experiment's. */
static bool list_runs(found_run **list, int *count, arena *a, const char *name, const char *out)
{
    run_name r;
    char record[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!read_name(&r, record, name, out, NULL) || !file_exists(record)) return false;
    json_t *x = json_read(record, NULL), *run, *runs = json_object_get(x, "runs");
    *list = ARENA_NEW(a, found_run, (int64_t)json_array_size(runs) + 1);
    size_t i;
    json_array_foreach(runs, i, run)
    {
        const char *id = json_get_text(run, "run"), *label = json_get_text(run, "label");
        if (!id || !label || !matches(run, &r)) continue;
        if (!run_folder_path(path, out, id, NULL) || !has_checkpoint(path)) continue;
        (*list)[(*count)++] = (found_run){arena_strdup(a, path), arena_strdup(a, id),
                                          arena_strdup(a, label), json_get_int(run, "seed", 0)};
    }
    json_decref(x);
    return true;
}

bool find_runs(found_run **list, int *count, arena *a, const char *name, const char *out, err *e)
{
    char path[FILE_PATH_BYTES];
    *count = 0;
    bool here = checkpoint_files_exist(name) || has_checkpoint(name); /* a folder is meant */
    if (!here && list_runs(list, count, a, name, out) && *count > 0) {
        bool ok = true;
        for (int i = 0; ok && i < *count; i++) {
            ok = run_damage_of_its_name((*list)[i].folder, e);
        }
        return ok;
    }
    if (!find_run(path, name, out, e)) return false; /* or says why there is none */
    *list = arena_push_zero(a, 1, sizeof **list);
    (*list)[(*count)++].folder = arena_strdup(a, path);
    return true;
}

bool find_run(char path[FILE_PATH_BYTES], const char *name, const char *out, err *e)
{
    const char *at = strrchr(name, '@');
    /* Labels may hold "@" themselves: only "@best" and "@" with digits to the end ask for a kept
     * model. */
    bool kept = at && at[1] && (strcmp(at, "@best") == 0 || !at[1 + strspn(at + 1, "0123456789")]);
    if (!kept) return find_folder(path, name, out, e);
    char run[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], inner[64];
    snprintf(run, sizeof run, "%.*s", (int)MIN(at - name, (ptrdiff_t)FILE_PATH_BYTES - 1), name);
    snprintf(inner, sizeof inner, CHECKPOINT_KEPT "%.32s", at + 1);
    if (!find_folder(folder, run, out, e) || !file_join(path, folder, inner, e)) return false;
    return checkpoint_files_exist(path) ||
           err_set(e, "%s: no such model was kept; train.keep_every and train.keep_best keep some",
                   name);
}
