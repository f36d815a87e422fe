#include "harness/train/checkpoint.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/evaluate/state_entries.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/spec_paths.h"

/* What goes into a checkpoint, as named arrays; how its files become one checkpoint is
 * checkpoint_files.c.
 *
 *   model file   parameters by name: read by anyone, and all that evaluation and generation need
 *   train file   moments of the optimiser, carried state by lane, the stream's cursor, counters
 *
 * Two files, since a kept model has the first only (checkpoint_keep). Both are written from memory
 * between two steps, when no lane runs, so that all of it is of one step: training that goes on
 * from here has every bit that the uninterrupted run has. That is why the window of the next log
 * line and the running means are saved, too; without them the metrics file would differ.
 *
 * Saving needs the states of all lanes on rank 0 (trainer_gather_states); loading is done by every
 * rank from the same files, each taking its own lanes. */

enum { MAX_MOMENTS = 16 };

/* ---- saving ---- */

static void list_params(state_entries *l, trainer *t)
{
    const params *p = model_params_const(t->w->model);
    for (int i = 0; i < p->count; i++) {
        const param *x = &p->list[i];
        state_entries_add(l, x->name, ST_REAL, x->rank, x->shape, t->values + x->offset);
    }
}

static void list_state(state_entries *l, trainer *t)
{
    /* By lane, which the spec decides, not by thread: a run goes on with any number of these. */
    for (int64_t lane = 0; lane < t->w->shape.lanes; lane++) {
        state_entries_add_lane(l, t->states[lane], lane);
    }
}

/* Where the run stands, as the two arrays `counts` and `sums`. */
enum { COUNTS = 3, SUMS = 6 };

/* The order of the two arrays is the format of "progress.counts" and "progress.sums". */
static void progress_pack(const train_progress *p, int64_t counts[COUNTS], double sums[SUMS])
{
    counts[0] = p->step;
    counts[1] = p->tokens;
    counts[2] = p->eval_at;
    sums[0] = p->seconds;
    sums[1] = p->window_nats;
    sums[2] = p->window_weight;
    sums[3] = p->window_seconds;
    sums[4] = p->first_loss;
    sums[5] = p->last_loss;
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
                          .window_seconds = sums[3],
                          .first_loss = sums[4],
                          .last_loss = sums[5]};
}

/* What is saved. */
typedef struct saving {
    trainer *trainer;
    const char *run;
    arena *memory;
} saving;

/* The metadata make the file a model by itself: spec (without absolute paths), seed, tokenizer, the
 * data's hash, and how far it was trained. */
static bool save_model(const char *path, void *user, char *hex, err *e)
{
    const saving *x = user;
    arena *a = x->memory;
    trainer *t = x->trainer;
    state_entries l = {.memory = a};
    list_params(&l, t);
    const train_progress *p = &t->progress;
    const workload *w = t->w;
    const st_text metadata[] = {
        {"run", x->run},
        {"seed", state_entries_text(a, "%lld", (long long)w->seed)},
        {"step", state_entries_text(a, "%lld", (long long)p->step)},
        {"tokens", state_entries_text(a, "%lld", (long long)p->tokens)},
        {"data", corpus_hash(w->corpus)},
        {"tokenizer", corpus_tokenizer(w->corpus)},
        {"spec", node_json(a, spec_paths_cut(a, w->spec), false)},
    };
    return safetensors_save(path, l.list, l.count, metadata, sizeof metadata / sizeof metadata[0],
                            hex, e);
}

/* Where the last evaluation sent its sample: the next one, after a restart, tells how many tokens
 * changed their expert since. One array per layer that routes; nothing where nothing does. */
static void list_routing(state_entries *l, trainer *t)
{
    static const int64_t one = 1;
    routing_view *views = ARENA_NEW(l->memory, routing_view, ROUTING_LAYERS);
    int64_t *tokens = ARENA_NEW(l->memory, int64_t, 1);
    int n = routing_trace_views(t->routing, tokens, views);
    for (int i = 0; i < n; i++) {
        state_entries_add(l, state_entries_text(l->memory, "routing.%s", views[i].layer), ST_I32, 1,
                          &views[i].count, views[i].experts);
    }
    if (n > 0) state_entries_add(l, "progress.routing", ST_I64, 1, &one, tokens);
}

/* Moments are the optimiser's own flat arrays (optim_views), of whatever number type it keeps them
 * in. */
static bool save_train(const char *path, void *user, char *hex, err *e)
{
    const saving *x = user;
    trainer *t = x->trainer;
    state_entries l = {.memory = x->memory};
    optim_view moments[MAX_MOMENTS];
    /* The arrays are the optimiser's memory itself, read while the file is written. */
    int n = optim_views(t->optim, moments, MAX_MOMENTS);
    CHECK(n <= MAX_MOMENTS, "%d arrays of moments", n);
    for (int i = 0; i < n; i++) {
        state_entries_add(&l, moments[i].name, moments[i].dtype, 1, &moments[i].count,
                          moments[i].data);
    }
    list_state(&l, t);
    list_routing(&l, t);
    int64_t counts[COUNTS], n_counts = COUNTS, n_sums = SUMS;
    double sums[SUMS];
    progress_pack(&t->progress, counts, sums);
    state_entries_add(&l, "progress.counts", ST_I64, 1, &n_counts, counts);
    state_entries_add(&l, "progress.sums", ST_F64, 1, &n_sums, sums);
    const st_text metadata[] = {{"run", x->run}, {"cursor", stream_cursor(t->stream, x->memory)}};
    return safetensors_save(path, l.list, l.count, metadata, 2, hex, e);
}

/* The model, and with `train` what training goes on from: in the order of writing. */
static bool save_files(const char *folder, trainer *t, const char *run, bool train,
                       const checkpoint_merit *merit, err *e)
{
    static const checkpoint_file files[] = {{"model", save_model}, {"train", save_train}};
    arena_auto *a = arena_new(1 << 16);
    saving x = {t, run, a};
    return checkpoint_files_save(folder, t->progress.step, merit, files, train ? 2 : 1, &x, e);
}

bool checkpoint_save(const char *folder, trainer *t, const char *run, err *e)
{
    file_failpoint("checkpoint_begin");
    return trainer_gather_states(t, e) && save_files(folder, t, run, true, NULL, e);
}

/* A better one replaces a worse one; a model without merit is kept where there is none yet.
 * No gathering: what lanes carry is no part of a model. */
bool checkpoint_keep(const char *folder, trainer *t, const char *run, const checkpoint_merit *merit,
                     err *e)
{
    checkpoint_merit before;
    bool there = checkpoint_files_merit(folder, &before);
    if (there && (!merit || before.nats <= merit->nats)) return true;
    return save_files(folder, t, run, false, merit, e);
}

/* ---- loading ---- */

/* Exactly the arrays of this optimiser, by name, type and size: other moments would be taken for
 * its own without an error. */
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
    /* The optimiser looks at what came in, for what it keeps beside its arrays follows from them.
     */
    return optim_loaded(m, e);
}

/* Sums of a run that diverges may be no numbers; counts and clocks are none that a sum of them
 * could overflow with. */
static bool check_progress(const train_progress *p, err *e)
{
    const int64_t most = (int64_t)1 << 53;
    bool counts = p->step >= 0 && p->step <= most && p->tokens >= 0 && p->tokens <= most &&
                  p->eval_at >= -1 && p->eval_at <= p->step;
    if (!counts) {
        return err_set(e,
                       "progress.counts: step %lld, %lld tokens, evaluated at %lld; the "
                       "checkpoint is damaged",
                       (long long)p->step, (long long)p->tokens, (long long)p->eval_at);
    }
    if (p->seconds >= 0 && p->window_seconds >= 0 && isfinite(p->seconds + p->window_seconds)) {
        return true;
    }
    return err_set(e, "progress.sums: %g and %g seconds; the checkpoint is damaged", p->seconds,
                   p->window_seconds);
}

/* By memcpy: numbers of a file lie at any address. */
static bool read_progress(const safetensors *s, train_progress *p, err *e)
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
    progress_unpack(p, c, d);
    return check_progress(p, e);
}

static bool load_progress(const safetensors *s, trainer *t, err *e)
{
    if (!read_progress(s, &t->progress, e)) return false;
    if (optim_steps(t->optim) > t->progress.step) {
        return err_set(e, "optimizer.steps: %lld of %lld steps; the checkpoint is damaged",
                       (long long)optim_steps(t->optim), (long long)t->progress.step);
    }
    const char *cursor = safetensors_metadata(s, "cursor");
    if (!cursor) return err_set(e, "cursor: missing: this is no checkpoint of a training run");
    return stream_seek(t->stream, cursor, e);
}

/* What is missing or does not fit is left out: it is told in one figure of the next evaluation, and
 * no reason to refuse a checkpoint. */
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
        routing_trace_restore(t->routing, n, &(routing_view){st->name + 8, st->count, experts});
    }
}

/* Values and moments first, into a fresh trainer: a failure leaves a trainer that must not be used,
 * and the caller frees it. */
static bool load_files(const char *folder, trainer *t, err *e)
{
    safetensors *s = checkpoint_files_open(folder, "model", e);
    if (!s) return false;
    bool own = checkpoint_files_own(folder, s, e);
    bool ok = own && checkpoint_files_values(t->values, model_params_const(t->w->model), s, e);
    safetensors_close(s);
    if (!ok) return own && err_prefix(e, "%s", folder);
    if (!(s = checkpoint_files_open(folder, "train", e))) return false;
    arena_auto *a = arena_new(1 << 16);
    ok = load_moments(s, t->optim, e) && load_progress(s, t, e);
    for (int64_t lane = 0; ok && lane < t->w->shape.lanes; lane++) {
        ok = !trainer_has_lane(t, lane) || state_entries_load_lane(s, t->states[lane], lane, e);
    }
    if (ok) load_routing(s, t, a);
    safetensors_close(s);
    return ok || err_prefix(e, "%s", folder);
}

/* The path goes to all, and all must have loaded: a rank that goes on from other values would be
 * noticed by nothing but wrong results. */
bool checkpoint_load(const char *folder, trainer *t, err *e)
{
    rank_group *r = t->w->ranks;
    char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s", folder);
    return rank_calls_ask(r, RANK_LOAD, e) && rank_calls_path(r, path, e) &&
           ranks_agree(r, load_files(path, t, e), e);
}

bool checkpoint_progress(train_progress *p, const char *folder, err *e)
{
    safetensors *s = checkpoint_files_open(folder, "train", e);
    if (!s) return false;
    bool ok = read_progress(s, p, e);
    safetensors_close(s);
    return ok || err_prefix(e, "%s", folder);
}
