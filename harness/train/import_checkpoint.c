#include "harness/train/import_checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/imported.h"
#include "harness/train/spec_model.h"
#include "harness/train/spec_paths.h"

/* The file is read as what it says of itself (metadata), as far as another program has left that;
 * what is missing is taken from the run that it came from. Then it has to fit completely: every
 * parameter, in its shape, nothing more, under one common prefix. Anything else would be a model
 * half of which is as another program left it, and nobody could say which half.
 *
 * Values are taken as they are, infinities included: these are told, not refused, since it is the
 * user's experiment. */

/* All that is open at a time; import_checkpoint closes it in one place, whatever was opened by
 * then. */
typedef struct importing {
    arena *memory;
    const checkpoint_import *how;
    const corpus_places *places;
    char path[FILE_PATH_BYTES];
    bool named; /* by the user, rather than by a folder's manifest */
    safetensors *file;
    const node *spec;
    int64_t seed;
    corpus *corpus;
    model *model;
    real *values;
} importing;

/* ---- what the file is a model of ---- */

static bool find_path(importing *x, err *e)
{
    char folder[FILE_PATH_BYTES];
    x->named = !file_is_folder(x->how->from);
    if (x->named) {
        snprintf(x->path, sizeof x->path, "%s", x->how->from);
        return true;
    }
    return checkpoint_files_folder(folder, x->how->from, e) &&
           checkpoint_files_path(x->path, folder, "model", e);
}

static bool open_file(importing *x, err *e)
{
    x->file = x->named ? safetensors_open_named(x->path, e) : safetensors_open(x->path, e);
    return x->file != NULL;
}

/* What a run's folder says of itself: run.json in it or above. False without a text in e: there is
 * no record here, and the caller looks further. The seed goes along, for tables that are drawn
 * while the model is built. */
static bool read_record(importing *x, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, "run.json", NULL) && file_exists(path);
    there = there || (file_join(path, folder, "../run.json", NULL) && file_exists(path));
    if (!there) return false;
    json_auto_t *record = json_read(path, e);
    json_t *spec = json_object_get(record, "spec");
    text_auto *text = spec ? json_dumps(spec, JSON_ENCODE_ANY) : NULL;
    if (text) x->spec = node_parse_map(x->memory, text, strlen(text), path, e);
    x->seed = json_get_int(record, "seed", 0);
    return x->spec != NULL;
}

/* Where the spec's paths lead: as --like says, or the run that it was, or that it lies in. Each of
 * the three may know where a section's path led; sections that were completed are not changed by
 * the later ones, as they are no longer what was cut. */
static void find_paths(importing *x)
{
    const char *run = safetensors_metadata(x->file, "run"), *like = x->how->like;
    char folders[3][FILE_PATH_BYTES] = {"", "", ""};
    if (like) snprintf(folders[0], FILE_PATH_BYTES, "%s", like);
    /* The run's id is what a file says of itself, and a stranger's may be a path. */
    if (run && x->how->runs && !file_within(folders[1], x->how->runs, run, NULL)) folders[1][0] = 0;
    snprintf(folders[2], FILE_PATH_BYTES, "%s", x->path);
    char *slash = strrchr(folders[2], '/');
    *(slash ? slash : strcpy(folders[2], ".") + 1) = 0;
    for (int i = 0; i < 3; i++) {
        if (folders[i][0]) x->spec = spec_paths_whole(x->memory, x->spec, folders[i]);
    }
}

/* From the file's metadata; else from --like; else from the run that the file lies in. An error
 * that reading a record met (a damaged run.json) is told rather than hidden behind "no spec". */
static bool find_spec(importing *x, err *e)
{
    char folder[FILE_PATH_BYTES];
    const char *spec = safetensors_metadata(x->file, "spec");
    x->seed = checkpoint_files_number(x->file, "seed");
    if (spec) {
        char *text = arena_strdup(x->memory, spec);
        x->spec = node_parse_map(x->memory, text, strlen(text), x->path, e);
        if (x->spec) find_paths(x);
        return x->spec != NULL;
    }
    snprintf(folder, sizeof folder, "%s", x->how->like ? x->how->like : x->path);
    char *slash = strrchr(folder, '/');
    if (!x->how->like) *(slash ? slash : strcpy(folder, ".") + 1) = 0;
    /* So that a text in e afterwards is read_record's. */
    if (e) e->text[0] = 0;
    if (read_record(x, folder, e)) return true;
    if (e && e->text[0]) return false;
    if (x->how->like) return err_set(e, "%s: no run's folder: it has no run.json", x->how->like);
    return err_set(e,
                   "%s: tells no spec, since it was saved without its metadata; name the run that "
                   "it comes from: --like RUN",
                   x->path);
}

/* `data` may be replaced, with the same tokenizer: other ids would be other tokens. */
static bool build(importing *x, err *e)
{
    const tensor_source none = {0};
    const node *data = x->how->data ? x->how->data : node_get(x->spec, "data");
    if (!data) return err_set(e, "%s: its spec has no section `data`", x->path);
    if (x->how->data) {
        node *spec = node_copy(x->memory, x->spec);
        node_set(x->memory, spec, "data", node_copy(x->memory, x->how->data));
        x->spec = spec;
    }
    if (!(x->corpus = corpus_open(data, x->places, e))) return false;
    if (!checkpoint_files_tokenizer_is(x->file, corpus_tokenizer(x->corpus), e)) {
        return err_prefix(e, "%s", x->path);
    }
    x->model = spec_model(x->memory, x->spec, NULL, x->corpus, x->seed, &none, e);
    return x->model != NULL;
}

/* ---- its parameters ---- */

static int count_there(const importing *x, const char *prefix)
{
    const params *p = model_params_const(x->model);
    int there = 0;
    for (int i = 0; i < p->count; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s%s", prefix, p->list[i].name);
        there += safetensors_find(x->file, name) != NULL;
    }
    return there;
}

/* What stands before every name: what stands before the first parameter's, where the file has most
 * of them behind it. Other programs wrap models, and every name then begins with the wrapper's
 * ("module.", "_orig_mod."). Ends of names are not unique, hence the question how many are there;
 * what is missing, or too much, is then told of these. */
static const char *find_prefix(const importing *x)
{
    const char *first = model_params_const(x->model)->list[0].name, *best = "";
    size_t n = strlen(first);
    int most = 0;
    for (int i = 0; i < safetensors_count(x->file); i++) {
        const char *name = safetensors_at(x->file, i)->name;
        size_t before = strlen(name) - MIN(strlen(name), n);
        if (strcmp(name + before, first) != 0) continue;
        char *prefix = arena_strdup(x->memory, name);
        prefix[before] = 0;
        int there = count_there(x, prefix);
        if (there > most) best = prefix;
        most = MAX(most, there);
    }
    return best;
}

/* Of the tensor as a whole: how many, not where. */
static void say_infinite(const importing *x, const param *q)
{
    const real *values = x->values + q->offset;
    int64_t bad = 0;
    char line[512];
    for (int64_t i = 0; i < q->count; i++) {
        bad += !isfinite((double)values[i]);
    }
    if (bad == 0 || !x->places->say) return;
    snprintf(line, sizeof line, "%s: %lld of %lld numbers are not finite", q->name, (long long)bad,
             (long long)q->count);
    x->places->say(x->places->user, line);
}

/* A tensor without a place is refused: leaving it out in silence might leave out what the user
 * changed. */
static bool take(importing *x, const st_tensor *t, const char *prefix, err *e)
{
    const params *p = model_params_const(x->model);
    size_t n = strlen(prefix);
    int index = strncmp(t->name, prefix, n) == 0 ? params_find(p, t->name + n) : -1;
    if (index < 0) {
        return err_set(e, "%s: '%s' is no parameter of the spec's model; leave it out", x->path,
                       t->name);
    }
    const param *q = &p->list[index];
    if (!safetensors_shape_is(t, q->rank, q->shape, e) ||
        !safetensors_copy(x->values + q->offset, t, e) ||
        !params_check(q, x->values + q->offset, e)) {
        return err_prefix(e, "%s", x->path);
    }
    say_infinite(x, q);
    return true;
}

/* Two walks: over the file, for what has no place, and over the model, for what is missing. */
static bool take_all(importing *x, err *e)
{
    const params *p = model_params_const(x->model);
    const char *prefix = find_prefix(x);
    x->values = arena_push_zero(x->memory, p->total, sizeof(real));
    for (int i = 0; i < safetensors_count(x->file); i++) {
        if (!take(x, safetensors_at(x->file, i), prefix, e)) return false;
    }
    for (int i = 0; i < p->count; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s%s", prefix, p->list[i].name);
        if (safetensors_find(x->file, name)) continue;
        return err_set(e, "%s: lacks the parameter '%s'", x->path, p->list[i].name);
    }
    return true;
}

static bool save(const importing *x, const char *folder, err *e)
{
    const imported made = {.model = x->model,
                           .values = x->values,
                           .spec = x->spec,
                           .seed = x->seed,
                           .step = checkpoint_files_number(x->file, "step"),
                           .tokens = checkpoint_files_number(x->file, "tokens"),
                           .data = corpus_hash(x->corpus),
                           .tokenizer = corpus_tokenizer(x->corpus)};
    return imported_save(folder, &made, e);
}

/* places->say hears of numbers that are not finite, tensor by tensor, while they are taken. */
bool import_checkpoint(const char *folder, const checkpoint_import *how,
                       const corpus_places *places, err *e)
{
    importing x = {.memory = arena_new(1 << 16), .how = how, .places = places};
    bool ok = find_path(&x, e) && open_file(&x, e) && find_spec(&x, e) && build(&x, e) &&
              take_all(&x, e) && save(&x, folder, e);
    if (x.model) model_free(x.model);
    corpus_close(x.corpus);
    safetensors_close(x.file);
    arena_free(x.memory);
    return ok;
}
