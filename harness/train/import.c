#include "harness/train/import.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/checkpoint_files.h"

typedef struct imported {
    arena *memory;
    const model *model;
    const real *values;
    const node *spec;
} imported;

static bool save_model(const char *path, void *user, char *hex, err *e)
{
    const imported *x = user;
    const params *p = model_params_const(x->model);
    st_entry *entries = ARENA_NEW(x->memory, st_entry, p->count);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        entries[i] = (st_entry){
            .name = q->name, .dtype = ST_REAL, .rank = q->rank, .data = x->values + q->offset};
        memcpy(entries[i].shape, q->shape, (size_t)q->rank * sizeof *q->shape);
    }
    const st_text metadata[] = {
        {"run", "imported"}, {"seed", "0"},         {"step", "0"},
        {"tokens", "0"},     {"tokenizer", "none"}, {"spec", node_json(x->memory, x->spec, false)}};
    return safetensors_save(path, entries, p->count, metadata, sizeof metadata / sizeof metadata[0],
                            hex, e);
}

static bool save_spec(const char *folder, arena *a, const node *spec, err *e)
{
    char path[FILE_PATH_BYTES];
    char *text = node_yaml(a, spec);
    return file_join(path, folder, "spec.yaml", e) && file_write(path, text, strlen(text), e);
}

static bool write_all(const char *folder, arena *a, const brt_source *source, node *data, err *e)
{
    char checkpoint[FILE_PATH_BYTES];
    node *section = import_brt_spec(a, source, e), *spec = node_map(a);
    if (!section) return false;
    node_set(a, spec, "data", data);
    node_set(a, spec, "model", section);
    model *m = model_build(section, &(model_inputs){.vocab = source->vocab}, e);
    if (!m) return false;
    real *values = ARENA_NEW(a, real, model_params_const(m)->total);
    imported x = {a, m, values, spec};
    const checkpoint_file files = {"model", save_model};
    bool done = import_brt_values(source, m, values, e) &&
                file_join(checkpoint, folder, "checkpoint", e) &&
                checkpoint_files_save(checkpoint, 0, (double)NAN, &files, 1, &x, e) &&
                save_spec(folder, a, spec, e);
    model_free(m);
    return done;
}

bool import_brt(const char *folder, const char *state_dict, const brt_import *how, node *data,
                err *e)
{
    safetensors *file = safetensors_open(state_dict, e);
    if (!file) return false;
    arena *a = arena_new(0);
    brt_source source;
    bool done = import_brt_open(&source, file, how, e) && write_all(folder, a, &source, data, e);
    if (!done) err_prefix(e, "%s", state_dict);
    arena_free(a);
    safetensors_close(file);
    return done;
}
