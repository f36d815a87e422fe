#include "harness/train/trained_model.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/train/optim.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/spec_model.h"
#include "harness/train/spec_paths.h"
#include "harness/train/train_kernels.h"

/* A checkpoint as a model in memory. The model file says what it is (metadata `spec`), so loading
 * builds the model from that spec for its corpus and then fills in the values, which must fit name
 * by name.
 *
 * The corpus is the difficult part, because the file may have travelled: the spec's path was cut
 * (spec_paths.h), the text may lie elsewhere or nowhere. In this order:
 *
 *   1. where the record of the run's folder says, or its kind of corpus has it by itself
 *   2. below the places where data are looked for, by longer and shorter ends of the path
 *   3. for those who need no text (generation): the tokenizer and the vocabulary alone
 *
 * What is found under a guessed path must have the hash that the model was trained on, or a text of
 * the same name would be evaluated in its place. A user who names the data says so and is believed.
 *
 * A source (init_from) is the same file opened for its tensors, without a model; a guide is a
 * source that is also loaded whole. A guide may have a guide, hence one file for both. */

/* ---- the source ---- */

/* What is open of init_from: the folder, its model file, and guides that were loaded from it. Lives
 * as long as the workload or the model that has it. */
struct trained_source {
    arena *memory;
    char folder[FILE_PATH_BYTES];
    corpus_places places;
    safetensors *file;
    tensor_source tensors;
    const node *at;
    trained_model *guides[2]; /* of a model and of its evaluation's */
    int guide_count;
};

/* As numbers of this program, in the source's arena: the file may hold others. */
static const real *get_tensor(void *user, const char *name, int *rank, int64_t shape[TENSOR_RANK])
{
    trained_source *s = user;
    const st_tensor *t = safetensors_find(s->file, name);
    if (!t || t->rank > TENSOR_RANK) return NULL;
    real *values = ARENA_NEW(s->memory, real, t->count);
    if (!safetensors_copy(values, t, NULL)) return NULL;
    *rank = t->rank;
    memcpy(shape, t->shape, (size_t)t->rank * sizeof *shape);
    return values;
}

/* A variant has become a run's id before it comes here, where it is known (a sweep). A run is
 * looked for beside the other runs' folders, a checkpoint where its path says. */
static bool find_folder(trained_source *s, const init_options *o, const char *runs, err *e)
{
    char folder[FILE_PATH_BYTES];
    if (o->variant) {
        return node_err(e, o->at,
                        "variant '%s' is known to its sweep only; name a run or a "
                        "checkpoint",
                        o->variant);
    }
    if (o->checkpoint) {
        snprintf(folder, sizeof folder, "%s", o->checkpoint);
    } else if (!runs) {
        return node_err(e, o->at,
                        "run %s: there is no folder of results here to find it in; name "
                        "a checkpoint",
                        o->run);
    } else if (!file_within(folder, runs, o->run, e)) {
        return false; /* the spec may be a stranger's */
    }
    if (checkpoint_files_folder(s->folder, folder, e)) return true;
    if (!o->run) return err_prefix(e, "init_from");
    return node_err(e, o->at, "no run %s has a checkpoint; loci ls lists runs", o->run);
}

/* Only opened and checked: tensors are read as they are asked for. */
trained_source *trained_model_source_open(const init_options *o, const char *runs,
                                          const corpus_places *places, err *e)
{
    arena *a = arena_new(1 << 16);
    trained_source *s = arena_push_zero(a, 1, sizeof *s);
    *s = (trained_source){.memory = a, .places = *places, .at = o->at};
    s->tensors = (tensor_source){s, get_tensor};
    if (find_folder(s, o, runs, e) && (s->file = checkpoint_files_open(s->folder, "model", e)) &&
        checkpoint_files_own(s->folder, s->file, e)) {
        return s;
    }
    trained_model_source_close(s);
    return NULL;
}

void trained_model_source_close(trained_source *s)
{
    if (!s) return;
    for (int i = 0; i < s->guide_count; i++) {
        trained_model_close(s->guides[i]);
    }
    if (s->file) safetensors_close(s->file);
    arena_free(s->memory);
}

const tensor_source *trained_model_source_tensors(trained_source *s)
{
    return &s->tensors;
}

/* The source's tensors and the parameters that they start. */
typedef struct matched {
    int count;
    init_tensor *list;
    int *target;
} matched;

/* Shapes and names alone: nothing of the values is read yet. */
static bool match_tensors(matched *m, trained_source *s, const init_options *o, const params *p,
                          err *e)
{
    m->count = safetensors_count(s->file);
    m->list = arena_push_zero(s->memory, m->count, sizeof *m->list);
    m->target = ARENA_NEW(s->memory, int, m->count);
    for (int i = 0; i < m->count; i++) {
        const st_tensor *t = safetensors_at(s->file, i);
        if (t->rank > TENSOR_RANK) {
            return node_err(e, o->at, "the source's %s has %d axes", t->name, t->rank);
        }
        m->list[i] = (init_tensor){.name = t->name, .rank = t->rank};
        memcpy(m->list[i].shape, t->shape, (size_t)t->rank * sizeof *t->shape);
    }
    return init_from_match(m->target, o, m->list, m->count, p, e);
}

const char *trained_model_source_summary(trained_source *s, const init_options *o, const params *p,
                                         err *e)
{
    matched m;
    if (!match_tensors(&m, s, o, p, e)) return NULL;
    return init_from_summary(s->memory, m.target, m.count, p);
}

/* Values that the options do not take are left as they were: started fresh by the caller. */
bool trained_model_source_start(trained_source *s, const init_options *o, const params *p,
                                real *values, err *e)
{
    matched m;
    if (!match_tensors(&m, s, o, p, e)) return false;
    for (int i = 0; i < m.count; i++) {
        if (m.target[i] < 0) continue;
        const param *x = &p->list[m.target[i]];
        const st_tensor *t = safetensors_at(s->file, i);
        real *out = values + x->offset;
        if (!safetensors_copy(out, t, e)) return false;
        /* Copied once from the file, then from itself for each further piece. */
        for (int64_t k = 1; k < init_from_copies(x, &m.list[i]); k++) {
            memcpy(out + k * t->count, out, (size_t)t->count * sizeof *out);
        }
        if (!params_check(x, out, e)) return err_prefix(e, "%s", s->folder);
    }
    return true;
}

/* Bare: the guide reads what the model reads and needs no text of its own. Its context is the
 * model's, since both stand at the same position of the grid. */
bool trained_model_source_guide(trained_source *s, model *m, err *e)
{
    CHECK(s->guide_count < 2, "%d guides", s->guide_count);
    trained_model *g = arena_push_zero(s->memory, 1, sizeof *g);
    const model_sizes sizes = {.context = model_context(m)};
    if (!trained_model_load_bare(g, s->folder, &sizes, &s->places, e)) {
        return err_prefix(e, "init_from: the model whose predictions are wanted");
    }
    s->guides[s->guide_count++] = g;
    if (model_vocab(g->model) != model_vocab(m)) {
        return node_err(e, s->at, "the source has a vocabulary of %lld, this model of %lld",
                        (long long)model_vocab(g->model), (long long)model_vocab(m));
    }
    model_set_guide(m, g->model, g->values);
    return true;
}

/* ---- the model ---- */

/* The folder that holds the runs' folders, given a run's checkpoint folder: RUNS of
 * RUNS/ID/checkpoint. NULL where the path is shorter than that. */
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
/* The `data:` section with that path; NULL: without one. */
static const node *data_at(arena *a, const node *data, const char *path)
{
    node *at = node_map(a);
    for (int i = 0; i < data->count; i++) {
        bool is_path = strcmp(data->keys[i], "path") == 0;
        if (!is_path) node_set(a, at, data->keys[i], node_copy(a, data->items[i]));
    }
    if (path) node_set(a, at, "path", node_scalar(a, path, false));
    return at;
}

/* Opens it if it is the text that the model was trained on; else *other says where one lies, for
 * the message. Errors are kept back: it is one guess of several. A file that does not say which
 * text that was (hash is NULL) has none that could be guessed. */
static corpus *open_if_same(trained_model *m, const node *data, const char *hash,
                            const corpus_places *places, const char **other)
{
    err ignored;
    corpus *c = hash ? corpus_open(data, places, &ignored) : NULL;
    if (c && strcmp(corpus_hash(c), hash) == 0) return c;
    if (c) *other = arena_strdup(m->memory, corpus_where(c));
    if (c) corpus_close(c);
    return NULL;
}

/* A text that is no longer where the spec says: /was/txt/big.txt is looked for as was/txt/big.txt,
 * txt/big.txt and big.txt below the places, and where its kind of corpus lies by itself. */
static corpus *open_moved(trained_model *m, const node *data, const char *hash,
                          const corpus_places *places, const char **other)
{
    const node *path = node_get(data, "path");
    if (!path || path->kind != NODE_SCALAR || !hash || !places) return NULL;
    for (const char *end = path->text; end; end = strchr(end, '/')) {
        end += *end == '/';
        for (int i = 0; places->roots && places->roots[i]; i++) {
            char there[FILE_PATH_BYTES];
            if (!file_join(there, places->roots[i], end, NULL) || !file_exists(there)) continue;
            corpus *c = open_if_same(m, data_at(m->memory, data, there), hash, places, other);
            if (c) return c;
        }
    }
    return open_if_same(m, data_at(m->memory, data, NULL), hash, places, other);
}

/* The corpus of the spec. bare: it will do without its text. A path that was cut (known is false)
 * is a guess from the start, so that it is held against the hash as others are. The message is made
 * of all that was tried, since the user sees one line: where the text should be, which other text
 * lies there, or what to name. */
static bool open_own_corpus(trained_model *m, const safetensors *s, bool bare,
                            const corpus_places *places, err *e)
{
    const node *data = node_get(m->spec, "data");
    const char *hash = safetensors_metadata(s, "data");
    const char *tokenizer = safetensors_metadata(s, "tokenizer");
    const char *other = NULL;
    bool known = spec_paths_known(m->spec);
    m->corpus = known ? corpus_open(data, places, e) : open_if_same(m, data, hash, places, &other);
    if (!m->corpus && !known) err_set(e, "%s: where its text lies is not known here", m->run);
    if (!m->corpus) m->corpus = open_moved(m, data, hash, places, &other);
    if (!m->corpus && other) {
        err_set(e, "%.500s; %.300s is another text than it was trained on", e->text, other);
    } else if (!m->corpus && !hash) {
        err_set(e, "%.800s; its file does not say which text it was: eval --corpus names one",
                e->text);
    } else if (!m->corpus && node_get(data, "path")) {
        err_set(e, "%.800s; if it was moved, name the folder that it is in with --data", e->text);
    }
    if (!m->corpus && bare && hash && tokenizer) {
        err also;
        m->corpus = corpus_open_bare(data, tokenizer, hash, places, &also);
        if (!m->corpus) err_set(e, "%.500s; without it: %.500s", e->text, also.text);
    }
    return m->corpus != NULL;
}

/* All values come from the checkpoint; what the model is told while it runs does not: a guide is
 * loaded anew, from where init_from says, relative to the folder of runs in which this model lies.
 */
static bool open_guide(trained_model *m, const char *folder, const corpus_places *places, err *e)
{
    if (!(model_needs(node_get(m->spec, "model")) & NEEDS_PREDICTIONS)) return true;
    init_options o;
    if (!init_from_read(&o, node_get(m->spec, "init_from"), m->memory, e)) return false;
    if (!o.at) return true;
    m->source = trained_model_source_open(&o, runs_of(m->memory, folder), places, e);
    return m->source && trained_model_source_guide(m->source, m->model, e);
}

/* What training left alone is left alone by a model that learns while it is evaluated. Without
 * groups the optimiser's section is not read: it may be an earlier version's. */
static bool freeze(trained_model *m, err *e)
{
    const node *optimizer = node_get(m->spec, "optimizer");
    optim_options o;
    if (node_is_null(node_get(optimizer, "groups"))) return true;
    return optim_read(&o, optimizer, m->memory, e) &&
           optim_apply_groups(model_params(m->model), &o, m->memory, e);
}

/* Whether the same values serve the model as it was trained and at the context that is asked for.
 */
static bool fits_context(const trained_model *m, err *e)
{
    const tensor_source promised = {0};
    model *own = spec_model(m->memory, m->spec, NULL, m->corpus, m->seed, &promised, e);
    bool same = own && spec_model_same_params(own, m->model);
    if (own && !same) err_set(e, "%s; evaluate it without --context", SPEC_MODEL_CONTEXT_TEXT);
    if (own) model_free(own);
    return same;
}

/* The order: spec, then the corpus that gives the vocabulary, then the model, then its values.
 * Metadata that are missing (an old or foreign file) are filled in where that is safe, the kernels
 * by what all runs had before they were recorded, and refused where it is not (the spec). */
static bool open_loaded(trained_model *m, const safetensors *s, const char *folder,
                        const node *data, bool bare, const model_sizes *sizes,
                        const corpus_places *places, err *e)
{
    const char *spec = safetensors_metadata(s, "spec"), *run = safetensors_metadata(s, "run");
    if (!spec) return err_set(e, "%s: the model file holds no spec; it is not from loci", folder);
    char *text = arena_strdup(m->memory, spec);
    node *said = node_parse_map(m->memory, text, strlen(text), folder, e);
    if (!said) return false;
    said = spec_paths_whole(m->memory, said, folder);
    train_kernels_complete(said, m->memory);
    m->spec = said;
    m->step = checkpoint_files_number(s, "step");
    m->tokens = checkpoint_files_number(s, "tokens");
    m->seed = checkpoint_files_number(s, "seed");
    snprintf(m->run, sizeof m->run, "%s", run ? run : "");
    /* The user's own data: its hash may be another, its tokenizer not. */
    if (data) {
        m->corpus = corpus_open(data, places, e);
    } else if (!open_own_corpus(m, s, bare, places, e)) {
        return false;
    }
    if (!m->corpus || !checkpoint_files_tokenizer_is(s, corpus_tokenizer(m->corpus), e)) {
        return m->corpus ? err_prefix(e, "%s", folder) : false;
    }
    /* Shapes only: tables that were made from a source are in the checkpoint like any parameter. */
    const tensor_source promised = {0};
    m->model = spec_model(m->memory, m->spec, sizes, m->corpus, m->seed, &promised, e);
    if (!m->model || !freeze(m, e) || !open_guide(m, folder, places, e)) return false;
    m->other_context = sizes && sizes->context && !fits_context(m, e);
    if (m->other_context) return err_prefix(e, "%s", folder);
    const params *p = model_params_const(m->model);
    m->values = arena_push_zero(m->memory, p->total, sizeof(real));
    return checkpoint_files_values(m->values, p, s, e) ||
           err_prefix(e, "%s: does not fit the spec, the data's vocabulary of %lld or the context",
                      folder, (long long)corpus_vocab(m->corpus));
}

/* Into a zero struct, so that trained_model_close can be called on whatever was made. */
static bool load(trained_model *m, const char *folder, const node *data, bool bare,
                 const model_sizes *sizes, const corpus_places *places, err *e)
{
    char inner[FILE_PATH_BYTES];
    *m = (trained_model){0};
    if (!checkpoint_files_folder(inner, folder, e)) return false;
    safetensors *s = checkpoint_files_open(inner, "model", e);
    if (!s) return false;
    m->memory = arena_new(0);
    bool ok =
        checkpoint_files_own(inner, s, e) && open_loaded(m, s, inner, data, bare, sizes, places, e);
    safetensors_close(s);
    bool other = m->other_context;
    if (!ok) trained_model_close(m);
    m->other_context = other;
    return ok;
}
bool trained_model_load(trained_model *m, const char *folder, const node *data,
                        const model_sizes *sizes, const corpus_places *places, err *e)
{
    return load(m, folder, data, false, sizes, places, e);
}

bool trained_model_load_bare(trained_model *m, const char *folder, const model_sizes *sizes,
                             const corpus_places *places, err *e)
{
    return load(m, folder, NULL, true, sizes, places, e);
}

/* The model before its source: a guide's weights are used until then. */
void trained_model_close(trained_model *m)
{
    if (m->model) model_free(m->model);
    trained_model_source_close(m->source);
    if (m->corpus) corpus_close(m->corpus);
    if (m->memory) arena_free(m->memory);
    *m = (trained_model){0};
}
