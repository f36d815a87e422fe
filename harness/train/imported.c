#include "harness/train/imported.h"

#include <string.h>

#include "core/base/file.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/spec_paths.h"

/* The folder is made like a run's, so that whatever takes a checkpoint (evaluation, init_from,
 * generation) takes it. spec.yaml is written last and beside it, for people and for the paths that
 * the model file does not tell (spec_paths.h). */

typedef struct saving {
    const imported *x;
    arena *memory;
} saving;

/* The parameters in the order of the model, gaps left out: the name is the content's, 64 bits of
 * its hash. Names of parameters go in with their 0, so that two models whose names run together
 * otherwise are two. */
static const char *name_of(arena *a, const imported *x)
{
    char hex[SHA256_HEX];
    const params *p = model_params_const(x->model);
    sha256 all;
    sha256_init(&all);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        sha256_add(&all, q->name, strlen(q->name) + 1);
        sha256_add(&all, x->values + q->offset, (size_t)q->count * sizeof(real));
    }
    sha256_final_hex(&all, hex);
    hex[16] = 0;
    return arena_strdup(a, hex);
}

static const char *number(arena *a, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return arena_strdup(a, text);
}

/* Number type and order are those of a run's own model file. `data` comes last, as it may be left
 * out. */
static bool save_model(const char *path, void *user, char *hex, err *e)
{
    const saving *s = user;
    const imported *x = s->x;
    arena *a = s->memory;
    const params *p = model_params_const(x->model);
    st_entry *entries = ARENA_NEW(a, st_entry, p->count);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        entries[i] = (st_entry){
            .name = q->name, .dtype = ST_REAL, .rank = q->rank, .data = x->values + q->offset};
        memcpy(entries[i].shape, q->shape, (size_t)q->rank * sizeof *q->shape);
    }
    const st_text metadata[] = {{"run", name_of(a, x)},
                                {"seed", number(a, x->seed)},
                                {"step", number(a, x->step)},
                                {"tokens", number(a, x->tokens)},
                                {"tokenizer", x->tokenizer ? x->tokenizer : "none"},
                                {"spec", node_json(a, spec_paths_cut(a, x->spec), false)},
                                {"data", x->data}};
    int count = (int)(sizeof metadata / sizeof metadata[0]) - (x->data == NULL);
    return safetensors_save(path, entries, p->count, metadata, count, hex, e);
}

/* Some other program's may be called model-1.safetensors, too. */
static bool is_model_of_ours(const char *path)
{
    safetensors *s = safetensors_open(path, NULL);
    bool is = s && safetensors_metadata(s, "run") && safetensors_metadata(s, "spec");
    safetensors_close(s);
    return is;
}

/* What a killed import may have written into the checkpoint's folder. */
static bool all_of_import(const char *checkpoint)
{
    bool another, ok = true;
    file_walk w = file_walk_begin(checkpoint, NULL);
    while (ok && file_walk_next(&w))
        ok = file_is_temporary(w.name, &another) || is_model_of_ours(w.path);
    return file_walk_end(&w) && ok;
}

/* Of an import that was killed there may be no more than the checkpoint's folder, without a
 * manifest. */
static bool is_import(const char *folder, const char *const *names, int64_t count)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "checkpoint", NULL) || file_is_link(path)) return false;
    if (checkpoint_files_exist(path)) return true;
    return count == 1 && strcmp(names[0], "checkpoint") == 0 && all_of_import(path);
}

bool imported_may_be_in(const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    bool there, run;
    if (!file_look(&there, folder, e)) return false;
    if (!there) return true;
    arena_auto *a = arena_new(1 << 12);
    if (!file_join(path, folder, "run.json", e) || !file_list_named(folder, a, &names, &count, e) ||
        !file_look(&run, path, e)) {
        return false;
    }
    if (run) {
        return err_set(e,
                       "%s: is a run's folder, whose figures are those of its own weights; give "
                       "another with --to",
                       folder);
    }
    return count == 0 || is_import(folder, names, count) ||
           err_set(e, "%s: is there, and no import made it; give another folder with --to", folder);
}

/* The checkpoint first: a folder with a spec and no model would look like an import that succeeded.
 */
bool imported_save(const char *folder, const imported *x, err *e)
{
    char checkpoint[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    const checkpoint_file file = {"model", save_model};
    arena_auto *a = arena_new(1 << 16);
    saving s = {x, a};
    char *text = node_yaml(a, x->spec);
    return imported_may_be_in(folder, e) && file_join(checkpoint, folder, "checkpoint", e) &&
           checkpoint_files_save(checkpoint, x->step, NULL, &file, 1, &s, e) &&
           file_join(path, folder, "spec.yaml", e) && file_write(path, text, strlen(text), e);
}
