/* The pass that reads the stream at sampled prefixes: composition and refinement (Geva et al. 2021,
 * sec. 5.1 and 5.2).
 *
 * With r the residual before a layer, y its output, o the stream behind it and top(h) the token
 * that h names, per layer and sampled prefix:
 *
 *   composition   does any value, of those that fired or of all, name top(y)?
 *   refinement    is top(o) that of r, of y, of both or of neither?
 *                 is top(r) already that of the last stream?
 *
 * Tokens are named only at sampled positions, because naming costs a product with the whole
 * vocabulary, for every layer several times. So taps copy the sampled rows aside, and the reading
 * is done when the call is over, since what the last layer says is needed for all.
 *
 * Threads write to places of their own: a sample belongs to one position, and a position to one
 * call. */
#include "harness/inspect/inspect_samples.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/host.h"
#include "core/base/rng.h"
#include "models/readout.h"

/* A memory that fired, at the sampled prefix `prefix` of the call. */
typedef struct fired_memory {
    int32_t prefix, memory;
} fired_memory;

/* What one layer did at the call's prefixes. */
typedef struct layer_sight {
    real *residual, *output, *stream; /* [prefixes, width] */
    fired_memory *fired;
    int64_t fired_count;
} layer_sight;

/* One thread's call. Its arrays lie in the call's own arena, emptied when the next begins: a thread
 * has one call at a time. */
typedef struct thread_samples {
    inspection *x;
    arena *memory; /* of one call */
    int64_t cells;
    int32_t *prefix_of; /* [cells]: which of the call's prefixes ends there, or -1 */
    int64_t *cell;      /* [count] */
    int64_t *sample;    /* [count]: index in x->samples */
    int64_t count;
    layer_sight *sights; /* [layers] */
    real *last;          /* [count, width]: the stream behind the last layer */
} thread_samples;

/* ---- choosing ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ends of prefixes, each equally likely, none twice. A prefix is followed by a token of its
 * document, so documents' last tokens are marked as taken from the start. Draws that hit a taken
 * token are thrown away: cheap as long as few are taken, and it ends, for no more are wanted than
 * are free. Sorted, so that a call finds its own by halving. */
static void choose_samples(inspection *x)
{
    const prefixes *p = &x->sample_text;
    int64_t wanted = MIN(x->task->options->prefixes, p->tokens - p->documents);
    rng_key key = {.seed = (uint64_t)x->task->loaded->seed, .place = rng_place("inspect:samples")};
    uint64_t *taken = arena_push_zero(x->memory, p->tokens / 64 + 1, sizeof *taken);
    /* Documents are cut at the limit, too, and so is their last token. */
    for (int64_t d = 0; d < p->documents; d++) {
        int64_t last = p->first[d + 1] - 1;
        taken[last / 64] |= (uint64_t)1 << (last % 64);
    }
    x->samples = ARENA_NEW(x->memory, int64_t, MAX(wanted, 1));
    for (uint64_t i = 0; x->sample_count < wanted; i++) {
        int64_t token = (int64_t)rng_below(key, i, (uint64_t)p->tokens);
        uint64_t bit = (uint64_t)1 << (token % 64);
        if (taken[token / 64] & bit) continue;
        taken[token / 64] |= bit;
        x->samples[x->sample_count++] = token;
    }
    qsort(x->samples, (size_t)x->sample_count, sizeof *x->samples, by_value);
}

/* Index of the first sample >= token. */
static int64_t first_sample(const inspection *x, int64_t token)
{
    int64_t low = 0, high = x->sample_count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (x->samples[middle] < token) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- a call ---- */

static void note_prefix(thread_samples *t, int64_t cell, int64_t sample)
{
    t->prefix_of[cell] = (int32_t)t->count;
    t->cell[t->count] = cell;
    t->sample[t->count++] = sample;
}

/* prefix_of [cells] is -1 (all bits set) but at sampled cells; cell and sample [count] are the way
 * back. A call without samples is not looked at (NULL). */
static void *begin_call(void *user, int thread, const eval_view *v)
{
    thread_samples *t = (thread_samples *)user + thread;
    if (thread == 0) host_memory_now(); /* keeps the peak */
    const inspection *x = t->x;
    arena_reset(t->memory);
    t->cells = v->rows * v->time;
    t->count = 0;
    t->prefix_of = ARENA_NEW(t->memory, int32_t, t->cells);
    memset(t->prefix_of, 0xff, (size_t)t->cells * sizeof *t->prefix_of);
    t->cell = ARENA_NEW(t->memory, int64_t, t->cells);
    t->sample = ARENA_NEW(t->memory, int64_t, t->cells);
    for (int64_t r = 0; r < v->rows; r++) {
        if (v->first[r] < 0) continue;
        int64_t begin = v->first[r] - 1; /* the token that position 0 ends with */
        for (int64_t s = first_sample(x, begin); s < x->sample_count; s++) {
            int64_t i = x->samples[s] - begin;
            if (i >= v->time) break;
            bool scored = v->weights[r * v->time + i] > 0 && v->begin[r] + i > 0;
            if (scored) note_prefix(t, r * v->time + i, s);
        }
    }
    t->sights = arena_push_zero(t->memory, x->layer_count, sizeof *t->sights);
    return t->count > 0 ? t : NULL;
}

/* Rows of the sampled cells, [count, width]: the tap's tensor is gone when the layer is done. */
static real *copy_rows(thread_samples *t, const tensor *x)
{
    int64_t width = tensor_width(x);
    CHECK(tensor_rows(x) == t->cells, "%lld rows of %lld", (long long)tensor_rows(x),
          (long long)t->cells);
    real *rows = ARENA_NEW(t->memory, real, t->count * width);
    for (int64_t i = 0; i < t->count; i++) {
        memcpy(rows + i * width, x->data + t->cell[i] * width, (size_t)width * sizeof *rows);
    }
    return rows;
}

/* The stream behind the last layer of the stack is kept whether that layer is a memory or not: it
 * is what the model says in the end. */
static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    thread_samples *t = user;
    int l = inspection_layer(t->x, self);
    bool behind = strcmp(name, "stream") == 0;
    if (behind && self->dims.depth + 1 == self->dims.depths) t->last = copy_rows(t, x);
    if (l < 0) return;
    layer_sight *s = &t->sights[l];
    if (behind) s->stream = copy_rows(t, x);
    if (strcmp(name, "residual") == 0) s->residual = copy_rows(t, x);
    if (strcmp(name, "output") == 0) s->output = copy_rows(t, x);
}

static int64_t memory_at(const memory_use *use, int64_t entry, int64_t i)
{
    if (use->ids) return use->ids[entry * use->width + i];
    return (use->first ? use->first[entry] : 0) + i;
}

/* Lists the positive ones at the call's prefixes; `out` NULL: only counts. Twice the same walk, so
 * that the list is as long as it must be: of a call of thousands of cells and memories few are
 * sampled. */
static int64_t list_fired(const thread_samples *t, const memory_use *use, fired_memory *out)
{
    int64_t n = 0;
    for (int64_t e = 0; e < use->entries; e++) {
        int32_t prefix = t->prefix_of[use->position ? use->position[e] : e];
        if (prefix < 0) continue;
        for (int64_t i = 0; i < use->width; i++) {
            if (!(use->coefficients[e * use->width + i] > 0)) continue;
            if (out) out[n] = (fired_memory){prefix, (int32_t)memory_at(use, e, i)};
            n++;
        }
    }
    return n;
}

static void on_fired(void *user, const layer *self, const memory_use *use)
{
    thread_samples *t = user;
    int l = inspection_layer(t->x, self);
    if (l < 0) return;
    layer_sight *s = &t->sights[l];
    s->fired_count = list_fired(t, use, NULL);
    s->fired = ARENA_NEW(t->memory, fired_memory, s->fired_count);
    list_fired(t, use, s->fired);
}

/* ---- what was seen ---- */

/* Memories by prefix: prefix i's are ids[begin[i]] to ids[begin[i + 1] - 1]. A counting sort:
 * layers that route tell of positions in their own order. */
static void sort_fired(const thread_samples *t, const layer_sight *s, int64_t *begin, int32_t *ids)
{
    memset(begin, 0, (size_t)(t->count + 1) * sizeof *begin);
    for (int64_t i = 0; i < s->fired_count; i++) {
        begin[s->fired[i].prefix + 1]++;
    }
    for (int64_t i = 0; i < t->count; i++) {
        begin[i + 1] += begin[i];
    }
    int64_t *next = ARENA_NEW(t->memory, int64_t, t->count);
    memcpy(next, begin, (size_t)t->count * sizeof *next);
    for (int64_t i = 0; i < s->fired_count; i++) {
        ids[next[s->fired[i].prefix]++] = s->fired[i].memory;
    }
}

/* Fills readings [samples] of one layer at this call's prefixes. Where values cannot be read only
 * the number of active memories is known. */
static void read_layer(thread_samples *t, int index, const readout *read)
{
    const layer_sight *s = &t->sights[index];
    inspected_layer *l = &t->x->layers[index];
    /* out [count]: first in the call's order, then to the samples' places. */
    prefix_reading *out = arena_push_zero(t->memory, t->count, sizeof *out);
    int64_t *begin = ARENA_NEW(t->memory, int64_t, t->count + 1);
    int32_t *ids = ARENA_NEW(t->memory, int32_t, s->fired_count + 1);
    int32_t *final = ARENA_NEW(t->memory, int32_t, t->count);
    sort_fired(t, s, begin, ids);
    value_readings_tops(out, read, s->residual, s->output, s->stream, t->count, t->memory);
    for (int64_t i = 0; i < t->count; i++) {
        final[i] = t->x->finals[t->sample[i]];
        int64_t n = begin[i + 1] - begin[i];
        if (l->tops) {
            value_readings_match(&out[i], ids + begin[i], n, l->tops, l->with);
        } else {
            out[i].active = (int32_t)n;
        }
    }
    value_readings_final(out, read, s->residual, final, t->count, t->memory);
    for (int64_t i = 0; i < t->count; i++) {
        l->readings[t->sample[i]] = out[i];
    }
}

/* The finals first: every layer's reading asks for the probability of the final token. They are
 * read twice, by the readout that all streams are read with and as the head reads (`finals`,
 * `predictions`); where both name the same token, reading streams without the final norm is no
 * distortion of the end. */
static void end_call(void *call)
{
    thread_samples *t = call;
    inspection *x = t->x;
    readout read =
        readout_new(x->task->loaded->model, x->task->loaded->values, x->task->options->as_head);
    prefix_reading *out = arena_push_zero(t->memory, t->count, sizeof *out);
    value_readings_tops(out, &read, t->last, t->last, t->last, t->count, t->memory);
    for (int64_t i = 0; i < t->count; i++) {
        x->finals[t->sample[i]] = out[i].top_stream;
    }
    /* `out` is used twice: the first reading's tops are in finals by then. */
    readout head = readout_new(x->task->loaded->model, x->task->loaded->values, true);
    value_readings_tops(out, &head, t->last, t->last, t->last, t->count, t->memory);
    for (int64_t i = 0; i < t->count; i++) {
        x->predictions[t->sample[i]] = out[i].top_stream;
    }
    for (int i = 0; i < x->layer_count; i++) {
        read_layer(t, i, &read);
    }
}

/* finals, predictions and every layer's readings are as long as the samples and zero until their
 * prefix comes by; a pass that is stopped leaves the rest of them so, and counts for nothing. */
bool inspect_samples(inspection *x, err *e)
{
    choose_samples(x);
    x->finals = arena_push_zero(x->memory, x->sample_count, sizeof *x->finals);
    x->predictions = arena_push_zero(x->memory, x->sample_count, sizeof *x->predictions);
    for (int i = 0; i < x->layer_count; i++) {
        x->layers[i].readings =
            arena_push_zero(x->memory, x->sample_count, sizeof *x->layers[i].readings);
    }
    int n = MAX(x->task->threads, 1);
    thread_samples *threads = arena_push_zero(x->memory, n, sizeof *threads);
    for (int i = 0; i < n; i++) {
        threads[i] = (thread_samples){.x = x, .memory = arena_new(0)};
    }
    eval_watch watch = {
        .user = threads, .begin = begin_call, .tap = on_tap, .fired = on_fired, .end = end_call};
    evaluation r = {0};
    bool ok = inspection_evaluate(&r, x, (split_kind)x->task->options->sample_split,
                                  x->sample_text.tokens, &watch, e);
    if (ok) evaluate_deinit(&r);
    for (int i = 0; i < n; i++) {
        arena_free(threads[i].memory);
    }
    return ok;
}
