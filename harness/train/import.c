#include "harness/train/import.h"

#include "harness/train/imported.h"

/* The spec is derived from the shapes of the tensors (models/import_brt.h), a model is built from
 * it as for any run, and the tensors are put in its parameters' places. What comes out has no
 * history of training: no moments, no state, step 0. */

/* Values lie in the scratch arena: they are the model's only until they are in the file. What is
 * wrong with the state dict is said with its name, what cannot be written has its own. */
static bool write_all(const char *folder, const char *state_dict, arena *a,
                      const brt_source *source, node *data, err *e)
{
    node *section = import_brt_spec(a, source, e), *spec = node_map(a);
    if (!section) return err_prefix(e, "%s", state_dict);
    node_set(a, spec, "data", data);
    node_set(a, spec, "model", section);
    model *m = model_build(section, &(model_inputs){.vocab = source->vocab}, e);
    if (!m) return err_prefix(e, "%s", state_dict);
    real *values = ARENA_NEW(a, real, model_params_const(m)->total);
    const imported x = {.model = m, .values = values, .spec = spec};
    bool taken = import_brt_values(source, m, values, e) || err_prefix(e, "%s", state_dict);
    bool done = taken && imported_save(folder, &x, e);
    model_free(m);
    return done;
}

bool import_brt(const char *folder, const char *state_dict, const brt_import *how, node *data,
                err *e)
{
    safetensors *file = safetensors_open_named(state_dict, e);
    if (!file) return false;
    arena_auto *a = arena_new(0);
    brt_source source;
    bool done = (import_brt_open(&source, file, how, e) || err_prefix(e, "%s", state_dict)) &&
                write_all(folder, state_dict, a, &source, data, e);
    safetensors_close(file);
    return done;
}
