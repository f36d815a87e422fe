/* A trained model to use, without its trainer: see checkpoint.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/checkpoint.h"

int64_t checkpoint_files_number(const safetensors *s, const char *key)
{
    const char *text = safetensors_metadata(s, key);
    return text ? strtoll(text, NULL, 10) : 0;
}

/* The folder that holds the runs' folders, given a run's checkpoint folder. */
static const char *runs_of(arena *a, const char *checkpoint)
{
    char path[PATH_MAX];
    if (!realpath(checkpoint, path)) return NULL;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) return NULL;
        *slash = 0;
    }
    return arena_strdup(a, path);
}

/* All values come from the checkpoint; what the model is told while it runs does not. */
static bool open_guide(trained_model *m, const char *folder, const corpus_places *places, err *e)
{
    if (!(model_needs(node_get(m->spec, "model")) & NEEDS_PREDICTIONS)) return true;
    init_options o;
    if (!init_from_read(&o, node_get(m->spec, "init_from"), m->memory, e)) return false;
    if (!o.at) return true;
    m->source = trained_model_source_open(&o, runs_of(m->memory, folder), places, e);
    return m->source && trained_model_source_guide(m->source, m->model, e);
}

/* Ids of another tokenizer would be taken for the trained one's without an error. */
static bool same_tokenizer(const safetensors *s, const char *folder, const corpus *c, err *e)
{
    const char *trained = safetensors_metadata(s, "tokenizer"), *own = corpus_tokenizer(c);
    if (!trained || strcmp(trained, "none") == 0 || strcmp(own, "none") == 0) return true;
    return strcmp(trained, own) == 0 ||
           err_set(e,
                   "%s: was trained on tokens of another vocabulary (tokenizer %.12s) than this "
                   "text's (%.12s, %lld tokens); give the text the run's `tokenizer`",
                   folder, trained, own, (long long)corpus_vocab(c));
}

static bool open_loaded(trained_model *m, const safetensors *s, const char *folder,
                        const node *data, const model_sizes *sizes, const corpus_places *places,
                        err *e)
{
    const char *spec = safetensors_metadata(s, "spec"), *run = safetensors_metadata(s, "run");
    if (!spec) return err_set(e, "%s: the model file holds no spec; it is not from loci", folder);
    char *text = arena_strdup(m->memory, spec);
    m->spec = node_parse(m->memory, text, strlen(text), folder, e);
    if (!m->spec) return false;
    m->step = checkpoint_files_number(s, "step");
    m->tokens = checkpoint_files_number(s, "tokens");
    m->seed = checkpoint_files_number(s, "seed");
    snprintf(m->run, sizeof m->run, "%s", run ? run : "");
    m->corpus = corpus_open(data ? data : node_get(m->spec, "data"), places, e);
    if (!m->corpus || !same_tokenizer(s, folder, m->corpus, e)) return false;
    const tensor_source promised = {0};
    m->model = spec_model(m->memory, m->spec, sizes, m->corpus, m->seed, &promised, e);
    if (!m->model || !open_guide(m, folder, places, e)) return false;
    const params *p = model_params_const(m->model);
    m->values = arena_push_zero(m->memory, p->total, sizeof(real));
    return checkpoint_files_values(m->values, p, s, e) ||
           err_prefix(e, "%s: does not fit the spec, the data's vocabulary of %lld or the context",
                      folder, (long long)corpus_vocab(m->corpus));
}

bool trained_model_load(trained_model *m, const char *folder, const node *data,
                        const model_sizes *sizes, const corpus_places *places, err *e)
{
    char inner[FILE_PATH_BYTES];
    *m = (trained_model){0};
    if (!checkpoint_files_exist(folder)) {
        if (!file_join(inner, folder, "checkpoint", e)) return false;
        if (!checkpoint_files_exist(inner)) {
            return err_set(e, "%s: holds no checkpoint; name a run's folder", folder);
        }
        folder = inner;
    }
    safetensors *s = checkpoint_files_open(folder, e);
    if (!s) return false;
    m->memory = arena_new(0);
    bool ok = open_loaded(m, s, folder, data, sizes, places, e);
    safetensors_close(s);
    if (!ok) trained_model_close(m);
    return ok;
}

void trained_model_close(trained_model *m)
{
    if (m->model) model_free(m->model);
    trained_model_source_close(m->source);
    if (m->corpus) corpus_close(m->corpus);
    if (m->memory) arena_free(m->memory);
    *m = (trained_model){0};
}
