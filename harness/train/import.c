#include "harness/train/import.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"

/* model-0.safetensors and the manifest that makes it a checkpoint. */
static bool save_checkpoint(const char *folder, arena *a, const model *m, const real *values,
                            const node *spec, err *e)
{
    static const char name[] = "model-0.safetensors";
    const params *p = model_params_const(m);
    st_entry *entries = ARENA_NEW(a, st_entry, p->count);
    for (int i = 0; i < p->count; i++) {
        const param *x = &p->list[i];
        entries[i] = (st_entry){
            .name = x->name, .dtype = ST_REAL, .rank = x->rank, .data = values + x->offset};
        memcpy(entries[i].shape, x->shape, (size_t)x->rank * sizeof *x->shape);
    }
    const st_text metadata[] = {{"run", "imported"},   {"seed", "0"},
                                {"step", "0"},         {"tokens", "0"},
                                {"tokenizer", "none"}, {"spec", node_json(a, spec, false)}};
    char path[FILE_PATH_BYTES], hex[SHA256_HEX];
    int64_t bytes;
    if (!file_join(path, folder, name, e) ||
        !safetensors_save(path, entries, p->count, metadata, sizeof metadata / sizeof metadata[0],
                          hex, e) ||
        !file_stat(path, &bytes, NULL, e) || !file_join(path, folder, "manifest.json", e)) {
        return false;
    }
    json_t *manifest = json_pack("{s:i, s:{s:{s:s, s:I}}}", "step", 0, "files", name, "sha256", hex,
                                 "bytes", (json_int_t)bytes);
    bool done = manifest && json_write(path, manifest, e);
    json_decref(manifest);
    return done;
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
    bool done = import_brt_values(source, m, values, e) &&
                file_join(checkpoint, folder, "checkpoint", e) &&
                file_make_folders(checkpoint, e) &&
                save_checkpoint(checkpoint, a, m, values, spec, e) && save_spec(folder, a, spec, e);
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
