#include "harness/evaluate/eval_keep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/host.h"
#include "harness/evaluate/part_sum.h"
#include "harness/evaluate/state_entries.h"

/* A pass that is put on disk between two rounds. Exactly what the next token's loss depends on is
 * saved, and what was summed up:
 *
 *   documents.nats, documents.tokens [documents]   the sums so far
 *   state.*, position.*, document.* per lane       what the model carries (state_entries.h)
 *   learned.LANE [params.total]                    parameters of a row that learns
 *   watch.NAME                                     what an onlooker has counted, as bytes
 *   cursor (metadata)                              where the stream stands; "" once complete
 *   sum (metadata)                                 of all that (part_sum.h)
 *
 * Sums are saved as doubles and added to from there, in the order in which an uninterrupted pass
 * would have: that gives its bits. Averages, or sums per sitting, would not.
 *
 * Nothing here may make an evaluation fail that could succeed. What cannot be saved is let go, and
 * what does not fit on loading (another shape, a torn file) means a fresh start. Only a folder that
 * has become another process's is an error, since two writers would destroy each other's work. */

#define PREFIX "part-"

/* By the evaluation's identity: another protocol is another file, so that a changed `eval` section
 * never goes on from the sums of the one before. */
bool eval_keep_path(char *path, const char *folder, const char *id, err *e)
{
    char name[64];
    snprintf(name, sizeof name, PREFIX "%s", id);
    return file_join(path, folder, name, e);
}

/* Names by prefix: identities of evaluations that are not asked for any more are among them. */
bool eval_keep_clear(const char *folder, err *e)
{
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        if (strncmp(w.name, PREFIX, strlen(PREFIX)) == 0) ok = file_remove(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

static bool file_of(char path[FILE_PATH_BYTES], const eval_pass *p, err *e)
{
    int n = snprintf(path, FILE_PATH_BYTES, "%s.safetensors", p->task->keep->path);
    return n < FILE_PATH_BYTES || err_set(e, "%s: the path is too long", p->task->keep->path);
}

bool eval_keep_forget(const eval_pass *p, err *e)
{
    const eval_keep *keep = p->task->keep;
    char path[FILE_PATH_BYTES];
    return keep->may(keep->user, e) && file_of(path, p, e) && file_remove(path, e) &&
           file_remove(p->losses_out.temporary, e);
}

/* ---- saving ---- */

static void add_documents(state_entries *l, const eval_pass *p)
{
    /* documents.* [documents]; copies, for the entries are borrowed until the file is written, and
     * the fields lie strewn in structs. */
    int64_t n = p->result->count;
    double *nats = ARENA_NEW(l->memory, double, n);
    int64_t *tokens = ARENA_NEW(l->memory, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        nats[i] = p->result->documents[i].nats;
        tokens[i] = p->result->documents[i].tokens;
    }
    state_entries_add(l, "documents.nats", ST_F64, 1, &n, nats);
    state_entries_add(l, "documents.tokens", ST_I64, 1, &n, tokens);
}

/* Learned parameters are written whole, also those that did not learn: their row begins as a copy
 * of the trained ones, and one array is simpler to check than a list of parts. */
static void add_lanes(state_entries *l, eval_pass *p)
{
    const int64_t total = model_params_const(p->task->model)->total;
    for (int64_t i = 0; i < p->lane_count; i++) {
        state_entries_add_lane(l, p->states[i], i);
        if (!p->learning) continue;
        state_entries_add(l, state_entries_text(l->memory, "learned.%lld", (long long)i), ST_REAL,
                          1, &total, dynamic_learner_row_values(p->learning[i]));
    }
}

static void add_watch(state_entries *l, const eval_watch *w)
{
    /* Room for the layers that a routing trace follows (ROUTING_LAYERS) and for recall's two. */
    enum { MOST = 512 };
    eval_array *list = ARENA_NEW(l->memory, eval_array, MOST);
    int n = w->keep(w->user, list, MOST);
    for (int i = 0; i < n; i++) {
        int64_t bytes = (int64_t)list[i].bytes;
        state_entries_add(l, state_entries_text(l->memory, "watch.%s", list[i].name), ST_U8, 1,
                          &bytes, list[i].data);
    }
}

bool eval_keep_save(eval_pass *p, bool complete, err *e)
{
    const eval_keep *keep = p->task->keep;
    char path[FILE_PATH_BYTES];
    /* What cannot be kept only costs time if the process ends: no reason to end the evaluation. */
    err ignored;
    if (!keep->may(keep->user, e)) return false;
    p->kept_at = host_monotonic_s();
    const double seconds = p->before + p->kept_at - p->began;
    const int64_t one = 1;
    state_entries l = {.memory = arena_new(1 << 16)};
    state_entries_add(&l, "seconds", ST_F64, 1, &one, &seconds);
    add_documents(&l, p);
    if (!complete) add_lanes(&l, p);
    if (p->task->watch) add_watch(&l, p->task->watch);
    char sum[PART_SUM_CHARS];
    const char *cursor = complete ? "" : stream_cursor(p->text.stream, l.memory);
    part_sum_entries(sum, l.list, l.count, cursor);
    const st_text texts[] = {{"cursor", cursor}, {"sum", sum}};
    /* The losses that the record counts must be on the disk before it. */
    if (file_of(path, p, &ignored) && (p->losses_out.fd < 0 || fsync(p->losses_out.fd) == 0)) {
        safetensors_save(path, l.list, l.count, texts, 2, NULL, &ignored);
    }
    arena_free(l.memory);
    /* Tests end the process here, to see the next one go on from what was just saved. */
    file_failpoint("eval_kept");
    return true;
}

/* ---- going on ---- */

/* NULL unless name, type and length are what this pass would have written: a file of other options
 * is no part of this evaluation. */
static const void *array_of(const safetensors *s, const char *name, st_dtype dtype, int64_t count)
{
    const st_tensor *st = safetensors_find(s, name);
    return st && st->dtype == dtype && st->count == count ? st->data : NULL;
}

/* Sums that this text may have. A loss may be no number, and a little below 0 by rounding; more
 * tokens than the document has cannot be of this evaluation. */
static bool is_document(const eval_pass *p, int64_t i, const eval_document *d)
{
    const eval_calls *c = &p->text;
    int64_t end = i + 1 < p->result->count ? c->first[i + 1] : c->limit;
    return d->tokens >= 0 && d->tokens <= end - c->first[i] &&
           !(d->nats < -1e-3 * (double)d->tokens) && (d->tokens > 0 || d->nats == 0);
}

/* By memcpy: numbers of a file lie at any address. A complete record has every token's loss. */
static bool load_documents(eval_pass *p, const safetensors *s, bool complete)
{
    int64_t n = p->result->count, scored = 0;
    const char *nats = array_of(s, "documents.nats", ST_F64, n);
    const char *tokens = array_of(s, "documents.tokens", ST_I64, n);
    for (int64_t i = 0; nats && tokens && i < n; i++) {
        eval_document *d = &p->result->documents[i];
        memcpy(&d->nats, nats + (size_t)i * sizeof d->nats, sizeof d->nats);
        memcpy(&d->tokens, tokens + (size_t)i * sizeof d->tokens, sizeof d->tokens);
        if (!is_document(p, i, d)) return false;
        scored += d->tokens;
    }
    return nats && tokens && (complete ? scored == p->text.scored : scored <= p->text.scored);
}

/* What a row has learned, tables among it. */
static bool load_learned(const eval_pass *p, const safetensors *s, int64_t lane)
{
    const params *all = model_params_const(p->task->model);
    real *values = dynamic_learner_row_values(p->learning[lane]);
    char name[64];
    err ignored;
    snprintf(name, sizeof name, "learned.%lld", (long long)lane);
    const void *data = array_of(s, name, ST_REAL, all->total);
    if (!data) return false;
    memcpy(values, data, (size_t)all->total * sizeof(real));
    for (int i = 0; i < all->count; i++) {
        if (!params_check(&all->list[i], values + all->list[i].offset, &ignored)) return false;
    }
    return true;
}

/* More lanes than there are now would mean that rows were cut otherwise: each lane's state would
 * fit in shape and be the wrong rows'. */
static bool load_lanes(eval_pass *p, const safetensors *s)
{
    char name[64];
    err ignored;
    for (int64_t i = 0; i < p->lane_count; i++) {
        if (!state_entries_load_lane(s, p->states[i], i, &ignored)) return false;
        if (p->learning && !load_learned(p, s, i)) return false;
    }
    snprintf(name, sizeof name, "position.%lld", (long long)p->lane_count);
    return !safetensors_find(s, name); /* of more lanes than there are now */
}

/* Arrays without a watch to take them, or that it refuses, make the record unusable: counts would
 * begin in the middle of the text. A watch cannot be asked to forget, so it is asked about all of
 * them before it takes the first: what it took of a record that is then given up would be counted
 * twice. */
static bool load_watch(const eval_watch *w, const safetensors *s)
{
    for (int take = 0; take < 2; take++) {
        for (int i = 0; i < safetensors_count(s); i++) {
            const st_tensor *st = safetensors_at(s, i);
            if (strncmp(st->name, "watch.", 6) != 0) continue;
            if (!w || !w->restore(w->user, st->name + 6, st->data, st->bytes, take)) return false;
        }
    }
    return true;
}

/* As it was opened: whatever was loaded before something did not fit is taken back. A watch has
 * taken nothing then. */
static void start_over(eval_pass *p, const char *cursor)
{
    err ignored;
    for (int i = 0; i < p->result->count; i++) {
        p->result->documents[i].nats = 0;
        p->result->documents[i].tokens = 0;
    }
    for (int64_t i = 0; i < p->lane_count; i++) {
        model_state_clear(p->states[i]);
        if (!p->learning) continue;
        memcpy(dynamic_learner_row_values(p->learning[i]), p->task->values,
               (size_t)model_params_const(p->task->model)->total * sizeof(real));
    }
    CHECK(stream_seek(p->text.stream, cursor, &ignored), "the beginning is no place");
}

/* Of all sittings before this one. */
static bool load_seconds(double *seconds, const safetensors *s)
{
    const void *kept = array_of(s, "seconds", ST_F64, 1);
    if (!kept) return false;
    memcpy(seconds, kept, sizeof *seconds);
    return *seconds >= 0 && isfinite(*seconds);
}

/* Where it is told, it is asked why an evaluation took so long. */
static void tell_lost(const eval_pass *p, const char *path)
{
    const eval_keep *keep = p->task->keep;
    char line[FILE_PATH_BYTES + 128];
    snprintf(line, sizeof line,
             "%s: does not fit the evaluation that it is a part of, or is damaged; the evaluation "
             "begins anew",
             path);
    if (keep->lost) keep->lost(keep->user, line);
}

/* Is it what was written? */
static bool is_whole(const safetensors *s, const char *cursor)
{
    char sum[PART_SUM_CHARS];
    const char *written = safetensors_metadata(s, "sum");
    part_sum_file(sum, s, cursor);
    return written && strcmp(written, sum) == 0;
}

/* A complete record has no lanes and no place: there is nothing left to read. The watch comes last,
 * because it alone cannot be asked to forget. */
bool eval_keep_load(eval_pass *p, bool *complete)
{
    char path[FILE_PATH_BYTES];
    err ignored;
    if (!file_of(path, p, &ignored) || !file_exists(path)) return false;
    safetensors *s = safetensors_open(path, &ignored);
    if (!s) return tell_lost(p, path), false;
    arena_auto *a = arena_new(1 << 12);
    /* The way back, should something not fit after the stream was moved. */
    const char *beginning = stream_cursor(p->text.stream, a);
    const char *cursor = safetensors_metadata(s, "cursor");
    double seconds;
    *complete = cursor && !*cursor;
    bool ok = cursor && is_whole(s, cursor) && load_seconds(&seconds, s) &&
              load_documents(p, s, *complete) &&
              (*complete || (load_lanes(p, s) && stream_seek(p->text.stream, cursor, &ignored))) &&
              load_watch(p->task->watch, s);
    if (ok) {
        p->before = seconds;
    } else {
        start_over(p, beginning);
        *complete = false;
        tell_lost(p, path);
    }
    safetensors_close(s);
    return ok;
}
