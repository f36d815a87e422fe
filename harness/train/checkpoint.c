#include "harness/train/checkpoint.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"

enum { NAME_BYTES = 64, MAX_MOMENTS = 16 };

static const char *const MANIFEST = "manifest.json";
static const char *const REMEDY = "restore the file, or remove the folder to train from the start";

/* ---- saving ---- */

typedef struct entry_list {
    arena *memory;
    st_entry *list;
    int count, capacity;
} entry_list;

static void add_entry(entry_list *l, const char *name, st_dtype dtype, int rank,
                      const int64_t *shape, const void *data)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        st_entry *grown = ARENA_NEW(l->memory, st_entry, l->capacity);
        if (l->count) memcpy(grown, l->list, (size_t)l->count * sizeof *grown);
        l->list = grown;
    }
    st_entry *x = &l->list[l->count++];
    *x = (st_entry){.name = name, .dtype = dtype, .rank = rank, .data = data};
    memcpy(x->shape, shape, (size_t)rank * sizeof *shape);
}

static char *format_text(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *format_text(arena *a, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return arena_strdup(a, text);
}

static void list_params(entry_list *l, trainer *t)
{
    const params *p = model_params_const(trainer_workload(t)->model);
    for (int i = 0; i < p->count; i++) {
        const param *x = &p->list[i];
        add_entry(l, x->name, ST_REAL, x->rank, x->shape, trainer_values(t) + x->offset);
    }
}

static int list_views(arena *a, model_state *s, state_view **views)
{
    int count = model_state_slots(s);
    *views = ARENA_NEW(a, state_view, count);
    return model_state_views(s, *views, count);
}

static void list_state(entry_list *l, trainer *t)
{
    const train_shape *shape = &trainer_workload(t)->shape;
    for (int64_t lane = 0; lane < shape->lanes; lane++) {
        model_state *s = trainer_state(t, lane);
        state_view *views;
        int n = list_views(l->memory, s, &views);
        long long i = lane;
        for (int v = 0; v < n; v++) {
            add_entry(l, format_text(l->memory, "state.%lld.%s", i, views[v].name), ST_REAL, 3,
                      views[v].shape, views[v].data);
        }
        const int64_t rows[] = {shape->lane_rows};
        add_entry(l, format_text(l->memory, "position.%lld", i), ST_I64, 1, rows,
                  model_state_positions(s));
        add_entry(l, format_text(l->memory, "document.%lld", i), ST_I64, 1, rows,
                  model_state_documents(s));
    }
}

/* Where the run stands, as the two arrays `counts` and `sums`. */
enum { COUNTS = 3, SUMS = 4 };

static void progress_pack(const train_progress *p, int64_t counts[COUNTS], double sums[SUMS])
{
    counts[0] = p->step;
    counts[1] = p->tokens;
    counts[2] = p->eval_at;
    sums[0] = p->seconds;
    sums[1] = p->window_nats;
    sums[2] = p->window_weight;
    sums[3] = p->window_seconds;
}

static void progress_unpack(train_progress *p, const int64_t counts[COUNTS],
                            const double sums[SUMS])
{
    *p = (train_progress){.step = counts[0],
                          .tokens = counts[1],
                          .eval_at = counts[2],
                          .seconds = sums[0],
                          .window_nats = sums[1],
                          .window_weight = sums[2],
                          .window_seconds = sums[3]};
}

static bool save_model(const char *path, arena *a, trainer *t, const char *run, char *hex, err *e)
{
    entry_list l = {.memory = a};
    list_params(&l, t);
    const train_progress *p = trainer_progress(t);
    const workload *w = trainer_workload(t);
    const st_text metadata[] = {
        {"run", run},
        {"seed", format_text(a, "%lld", (long long)w->seed)},
        {"step", format_text(a, "%lld", (long long)p->step)},
        {"tokens", format_text(a, "%lld", (long long)p->tokens)},
        {"data", corpus_hash(w->corpus)},
        {"tokenizer", corpus_tokenizer(w->corpus)},
        {"spec", node_json(a, w->spec, false)},
    };
    return safetensors_save(path, l.list, l.count, metadata, sizeof metadata / sizeof metadata[0],
                            hex, e);
}

/* Where the last evaluation sent its sample. */
static void list_routing(entry_list *l, trainer *t)
{
    static const int64_t one = 1;
    routing_view *views = ARENA_NEW(l->memory, routing_view, ROUTING_LAYERS);
    int64_t *tokens = ARENA_NEW(l->memory, int64_t, 1);
    int n = routing_trace_views(trainer_routing(t), tokens, views);
    for (int i = 0; i < n; i++) {
        add_entry(l, format_text(l->memory, "routing.%s", views[i].layer), ST_I32, 1,
                  &views[i].count, views[i].experts);
    }
    if (n > 0) add_entry(l, "progress.routing", ST_I64, 1, &one, tokens);
}

static bool save_train(const char *path, arena *a, trainer *t, const char *run, char *hex, err *e)
{
    entry_list l = {.memory = a};
    optim_view moments[MAX_MOMENTS];
    int n = optim_views(trainer_optim(t), moments, MAX_MOMENTS);
    CHECK(n <= MAX_MOMENTS, "%d arrays of moments", n);
    for (int i = 0; i < n; i++) {
        add_entry(&l, moments[i].name, moments[i].dtype, 1, &moments[i].count, moments[i].data);
    }
    list_state(&l, t);
    list_routing(&l, t);
    int64_t counts[COUNTS], n_counts = COUNTS, n_sums = SUMS;
    double sums[SUMS];
    progress_pack(trainer_progress(t), counts, sums);
    add_entry(&l, "progress.counts", ST_I64, 1, &n_counts, counts);
    add_entry(&l, "progress.sums", ST_F64, 1, &n_sums, sums);
    const st_text metadata[] = {{"run", run}, {"cursor", stream_cursor(trainer_stream(t), a)}};
    return safetensors_save(path, l.list, l.count, metadata, 2, hex, e);
}

static bool in_manifest(const json_t *manifest, const char *name)
{
    return json_object_get(json_object_get(manifest, "files"), name) != NULL;
}

/* Never the name of a file that the present checkpoint consists of: that must stay as it is. */
static void file_name(char name[NAME_BYTES], const char *kind, int64_t step, const json_t *manifest)
{
    snprintf(name, NAME_BYTES, "%s-%lld.safetensors", kind, (long long)step);
    if (manifest && in_manifest(manifest, name)) {
        snprintf(name, NAME_BYTES, "%s-%lld-again.safetensors", kind, (long long)step);
    }
}

static bool add_file(json_t *files, const char *path, const char *name, const char *hex, err *e)
{
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e)) return false;
    json_t *o = json_object();
    json_object_set_new(o, "sha256", json_string(hex));
    json_object_set_new(o, "bytes", json_integer(bytes));
    json_object_set_new(files, name, o);
    return true;
}

/* What else lies in a checkpoint's folder is somebody's: `loci inspect` of a kept model. */
static bool is_checkpoint_file(const char *name)
{
    return strncmp(name, "model-", 6) == 0 || strncmp(name, "train-", 6) == 0 ||
           strncmp(name, MANIFEST, strlen(MANIFEST)) == 0;
}

/* Removes what no manifest names any more: the previous checkpoint, temporary files of a killed
 * writer. */
static bool remove_older(const char *folder, arena *a, const json_t *manifest, err *e)
{
    const char *const *names;
    int64_t count;
    if (!file_list(folder, a, &names, &count, e)) return false;
    for (int64_t i = 0; i < count; i++) {
        char path[FILE_PATH_BYTES];
        if (!is_checkpoint_file(names[i]) || strcmp(names[i], MANIFEST) == 0 ||
            in_manifest(manifest, names[i])) {
            continue;
        }
        if (!file_join(path, folder, names[i], e) || !file_remove(path, e)) return false;
    }
    return true;
}

/* The first `kinds` of model, train. */
static bool save_files(const char *folder, arena *a, trainer *t, const char *run, int kinds_saved,
                       const json_t *old, json_t *files, err *e)
{
    static bool (*const save[])(const char *, arena *, trainer *, const char *, char *,
                                err *) = {save_model, save_train};
    static const char *const kinds[] = {"model", "train"};
    for (int i = 0; i < kinds_saved; i++) {
        char name[NAME_BYTES], path[FILE_PATH_BYTES], hex[SHA256_HEX];
        file_name(name, kinds[i], trainer_progress(t)->step, old);
        if (!file_join(path, folder, name, e) || !save[i](path, a, t, run, hex, e) ||
            !add_file(files, path, name, hex, e)) {
            return false;
        }
        file_failpoint("checkpoint_file");
    }
    return true;
}

/* nats: noted in the manifest unless it is NaN. */
static bool save_kinds(const char *folder, trainer *t, const char *run, int kinds, double nats,
                       err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(folder, e) || !file_join(path, folder, MANIFEST, e)) return false;
    arena *a = arena_new(1 << 16);
    json_t *old = file_exists(path) ? json_read(path, NULL) : NULL;
    json_t *manifest = json_object(), *files = json_object();
    json_object_set_new(manifest, "step", json_integer(trainer_progress(t)->step));
    if (!isnan(nats)) json_object_set_new(manifest, "nats_per_token", json_finite(nats));
    json_object_set_new(manifest, "files", files);
    bool ok = save_files(folder, a, t, run, kinds, old, files, e) && json_write(path, manifest, e);
    if (ok) {
        file_failpoint("checkpoint_manifest");
        ok = remove_older(folder, a, manifest, e);
    }
    json_decref(old);
    json_decref(manifest);
    arena_free(a);
    return ok;
}

bool checkpoint_save(const char *folder, trainer *t, const char *run, err *e)
{
    file_failpoint("checkpoint_begin");
    return save_kinds(folder, t, run, 2, (double)NAN, e);
}

bool checkpoint_keep(const char *folder, trainer *t, const char *run, double nats, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, MANIFEST, e)) return false;
    json_t *old = file_exists(path) ? json_read(path, NULL) : NULL;
    double before = json_get_double(old, "nats_per_token");
    bool better = !old || (!isnan(nats) && !(before <= nats));
    json_decref(old);
    return !better || save_kinds(folder, t, run, 1, nats, e);
}

bool checkpoint_files_exist(const char *folder)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, folder, MANIFEST, NULL) && file_exists(path);
}

/* ---- loading ---- */

static bool check_file(const char *path, const json_t *file, err *e)
{
    int64_t bytes, expected = json_get_int(file, "bytes", -1);
    const char *hash = json_get_text(file, "sha256");
    char hex[SHA256_HEX];
    if (!file_stat(path, &bytes, NULL, e)) return false;
    if (bytes != expected) {
        return err_set(e, "%s: corrupt: it has %lld bytes instead of %lld; %s", path,
                       (long long)bytes, (long long)expected, REMEDY);
    }
    if (!file_sha256(hex, path, e)) return false;
    if (hash && strcmp(hash, hex) == 0) return true;
    return err_set(e, "%s: corrupt: its checksum is not that of the manifest; %s", path, REMEDY);
}

/* Opens the checkpoint's file whose name begins with `kind`, checked. */
static safetensors *open_file(const char *folder, const char *kind, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, MANIFEST, e)) return NULL;
    json_t *manifest = json_read(path, e);
    if (!manifest) return NULL;
    safetensors *s = NULL;
    const char *name = NULL, *key;
    json_t *file;
    json_object_foreach(json_object_get(manifest, "files"), key, file)
    {
        if (strncmp(key, kind, strlen(kind)) == 0 && !strchr(key, '/')) name = key;
    }
    if (!name) {
        err_set(e, "%s: corrupt: it names no %s file; %s", path, kind, REMEDY);
    } else if (file_join(path, folder, name, e) &&
               check_file(path, json_object_get(json_object_get(manifest, "files"), name), e)) {
        s = safetensors_open(path, e);
    }
    json_decref(manifest);
    return s;
}

safetensors *checkpoint_files_open(const char *folder, err *e)
{
    return open_file(folder, "model", e);
}

bool checkpoint_files_values(real *values, const params *p, const safetensors *s, err *e)
{
    for (int i = 0; i < p->count; i++) {
        const param *x = &p->list[i];
        const st_tensor *st = safetensors_find(s, x->name);
        if (!st) {
            return err_set(e, "%s: the checkpoint lacks this parameter: it is of another model",
                           x->name);
        }
        if (!safetensors_shape_is(st, x->rank, x->shape, e) ||
            !safetensors_copy(values + x->offset, st, e)) {
            return false;
        }
    }
    return true;
}

static bool load_moments(const safetensors *s, optim *m, err *e)
{
    optim_view views[MAX_MOMENTS];
    int n = optim_views(m, views, MAX_MOMENTS);
    for (int i = 0; i < n; i++) {
        const st_tensor *st = safetensors_find(s, views[i].name);
        if (!st || st->dtype != views[i].dtype || st->count != views[i].count) {
            return err_set(e, "%s: missing or of another size: the checkpoint is of another model",
                           views[i].name);
        }
        memcpy(views[i].data, st->data, st->bytes);
    }
    return optim_loaded(m, e);
}

static bool load_rows(const safetensors *s, const char *kind, int64_t lane, int64_t rows,
                      int64_t *out, err *e)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%lld", kind, (long long)lane);
    const st_tensor *st = safetensors_find(s, name);
    if (!st) return err_set(e, "%s: missing: the checkpoint has fewer lanes", name);
    return safetensors_shape_is(st, 1, &rows, e) && safetensors_copy_int(out, st, e);
}

static bool load_state(const safetensors *s, trainer *t, int64_t lane, arena *a, err *e)
{
    char prefix[NAME_BYTES];
    int64_t rows = trainer_workload(t)->shape.lane_rows;
    model_state *state = trainer_state(t, lane);
    size_t length = (size_t)snprintf(prefix, sizeof prefix, "state.%lld.", (long long)lane);
    for (int i = 0; i < safetensors_count(s); i++) {
        const st_tensor *st = safetensors_at(s, i);
        if (strncmp(st->name, prefix, length) != 0) continue;
        if (st->rank != 3) return err_set(e, "%s: a state of rank %d", st->name, st->rank);
        real *data = ARENA_NEW(a, real, st->count);
        if (!safetensors_copy(data, st, e) ||
            !model_state_restore(state, st->name + length, st->shape, data, e)) {
            return false;
        }
    }
    return load_rows(s, "position", lane, rows, model_state_positions(state), e) &&
           load_rows(s, "document", lane, rows, model_state_documents(state), e);
}

static bool load_progress(const safetensors *s, trainer *t, err *e)
{
    const st_tensor *counts = safetensors_find(s, "progress.counts");
    const st_tensor *sums = safetensors_find(s, "progress.sums");
    if (!counts || counts->dtype != ST_I64 || counts->count != COUNTS || !sums ||
        sums->dtype != ST_F64 || sums->count != SUMS) {
        return err_set(e, "progress: missing: this is no checkpoint of a training run");
    }
    int64_t c[COUNTS];
    double d[SUMS];
    memcpy(c, counts->data, sizeof c);
    memcpy(d, sums->data, sizeof d);
    progress_unpack(trainer_progress(t), c, d);
    const char *cursor = safetensors_metadata(s, "cursor");
    if (!cursor) return err_set(e, "cursor: missing: this is no checkpoint of a training run");
    return stream_seek(trainer_stream(t), cursor, e);
}

static void load_routing(const safetensors *s, trainer *t, arena *a)
{
    const st_tensor *tokens = safetensors_find(s, "progress.routing");
    int64_t n;
    if (!tokens || tokens->dtype != ST_I64 || tokens->count != 1) return; /* nothing was traced */
    memcpy(&n, tokens->data, sizeof n);
    for (int i = 0; i < safetensors_count(s); i++) {
        const st_tensor *st = safetensors_at(s, i);
        if (strncmp(st->name, "routing.", 8) != 0 || st->dtype != ST_I32) continue;
        int32_t *experts = ARENA_NEW(a, int32_t, st->count);
        memcpy(experts, st->data, (size_t)st->count * sizeof *experts);
        routing_trace_restore(trainer_routing(t), n,
                              &(routing_view){st->name + 8, st->count, experts});
    }
}

bool checkpoint_load(const char *folder, trainer *t, err *e)
{
    safetensors *s = open_file(folder, "model", e);
    if (!s) return false;
    bool ok = checkpoint_files_values(trainer_values(t),
                                      model_params_const(trainer_workload(t)->model), s, e);
    safetensors_close(s);
    if (!ok) return err_prefix(e, "%s", folder);
    if (!(s = open_file(folder, "train", e))) return false;
    arena *a = arena_new(0);
    ok = load_moments(s, trainer_optim(t), e) && load_progress(s, t, e);
    for (int64_t lane = 0; ok && lane < trainer_workload(t)->shape.lanes; lane++) {
        ok = load_state(s, t, lane, a, e);
    }
    if (ok) load_routing(s, t, a);
    arena_free(a);
    safetensors_close(s);
    return ok || err_prefix(e, "%s", folder);
}
