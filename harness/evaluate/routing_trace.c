#include "harness/evaluate/routing_trace.h"

#include "harness/evaluate/eval_calls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Two traces, this evaluation's and the last one's, each an array of the expert (or a hash of the
 * experts) that a layer chose for every token of the sample. The sample is a function of the number
 * of tokens alone: of stretches of 64 tokens every `every`-th,
 *
 *   every = ceil(tokens / 8192),  place = stretch / every * 64 + token % 64
 *
 * so that two evaluations of the same tokens compare place by place, however rows and lanes were
 * cut. Stretches rather than single tokens, because most calls then hold none and are not looked at
 * at all.
 *
 * Threads: tokens of the split belong to one lane each, so that what is written to `experts` is
 * written apart, without a lock. Only the list of layers grows while threads run, behind the mutex.
 */

/* NOT_SEEN: a place whose token was never told (the last stretch is longer than the text; a layer
 * that did not run). It is outside of what `joined` gives and of all experts' numbers. */
enum { STRETCH = 64, SAMPLE = 8192, NOT_SEEN = INT32_MIN };

/* One evaluation's sample. */
typedef struct trace {
    arena *memory;
    int64_t tokens, every, count; /* scored; a stretch in so many; size of the sample */
    int layers;
    const char *layer[ROUTING_LAYERS];
    int32_t *experts[ROUTING_LAYERS]; /* [count] */
} trace;

/* A lane's call that is looked at. */
typedef struct traced_call {
    routing_trace *owner;
    const eval_view *view;
    int64_t done[ROUTING_LAYERS]; /* positions told: a stack may run block by block */
} traced_call;

struct routing_trace {
    pthread_mutex_t mutex; /* guards the list of layers of `now` */
    trace now, before;
    traced_call *calls; /* [threads] */
};

routing_trace *routing_trace_new(void)
{
    routing_trace *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory for a routing trace");
    pthread_mutex_init(&r->mutex, NULL);
    r->now.memory = arena_new(1 << 16);
    r->before.memory = arena_new(1 << 16);
    return r;
}

void routing_trace_free(routing_trace *r)
{
    if (!r) return;
    pthread_mutex_destroy(&r->mutex);
    arena_free(r->now.memory);
    arena_free(r->before.memory);
    free(r);
}

/* ---- the sample ---- */

/* Memory of the trace before is given back at once: names and arrays live in the trace's arena. */
static void trace_clear(trace *t, int64_t tokens)
{
    arena *memory = t->memory;
    arena_reset(memory);
    *t = (trace){.memory = memory, .tokens = tokens};
    t->every = MAX((tokens + SAMPLE - 1) / SAMPLE, 1);
    int64_t stretches = (tokens + STRETCH - 1) / STRETCH;
    t->count = (stretches + t->every - 1) / t->every * STRETCH;
}

/* Place in the sample of a token of the split, or -1. */
static int64_t place_of(const trace *t, int64_t token)
{
    int64_t stretch = token / STRETCH;
    if (token >= t->tokens || stretch % t->every != 0) return -1;
    return stretch / t->every * STRETCH + token % STRETCH;
}

/* Index of the layer, which is added if it is not there; -1: no room. Layers are not asked
 * beforehand which of them route: whoever tells something through the tap is one, in the order of
 * the first telling, so that layers are matched by name. */
static int layer_index(trace *t, const char *name)
{
    int i = 0;
    while (i < t->layers && strcmp(t->layer[i], name) != 0) {
        i++;
    }
    if (i < t->layers || i == ROUTING_LAYERS) return i < t->layers ? i : -1;
    t->layer[i] = arena_strdup(t->memory, name);
    t->experts[i] = ARENA_NEW(t->memory, int32_t, t->count);
    for (int64_t k = 0; k < t->count; k++) {
        t->experts[i][k] = NOT_SEEN;
    }
    t->layers++;
    return i;
}

/* ---- while it is evaluated ---- */

/* The last stretch of the sample at or before the row's end must not lie before its beginning. */
static bool any_sampled(const trace *t, const eval_view *v)
{
    for (int64_t r = 0; r < v->rows; r++) {
        if (v->first[r] < 0) continue;
        int64_t from = v->first[r] / STRETCH, to = (v->first[r] + v->time - 1) / STRETCH;
        if (to / t->every * t->every >= from) return true;
    }
    return false;
}

/* A thread has one call at a time, so its own record serves for all of them. The view outlives the
 * call. */
static void *call_begin(void *user, int thread, const eval_view *view)
{
    routing_trace *r = user;
    if (!any_sampled(&r->now, view)) return NULL;
    traced_call *c = &r->calls[thread];
    c->view = view;
    memset(c->done, 0, sizeof c->done);
    return c;
}

/* Several choices as one number: equal if they are, and else hardly ever (FNV-1a, a word at a
 * time). The order of choices enters: the first choice may have another weight than the second. The
 * sign bit is cleared, so that it is never NOT_SEEN. */
static int32_t joined(const real *x, int64_t choices, int64_t stride)
{
    uint32_t word = 2166136261u;
    if (choices == 1) return (int32_t)x[0];
    for (int64_t k = 0; k < choices; k++) {
        word = (word ^ (uint32_t)(int32_t)x[k * stride]) * 16777619u;
    }
    return (int32_t)(word & INT32_MAX);
}

/* x [choices, rows, time]. Tokens of the split are a lane's own, so that threads write apart. Where
 * the stack runs block by block, x is a part of the call's positions, and done[l] says after how
 * many of them it begins. */
static void note_choices(void *user, const layer *self, const char *name, const tensor *x)
{
    traced_call *c = user;
    trace *t = &c->owner->now;
    if (!self || strcmp(name, LAYER_TAP_EXPERT) != 0) return;
    pthread_mutex_lock(&c->owner->mutex);
    int l = layer_index(t, self->name);
    pthread_mutex_unlock(&c->owner->mutex);
    if (l < 0) return;
    const eval_view *v = c->view;
    int64_t time = x->shape[2], cells = x->shape[1] * time;
    CHECK(x->rank == 3 && x->shape[1] == v->rows && c->done[l] + time <= v->time,
          "%s: %lld rows, %lld positions after %lld", self->name, (long long)x->shape[1],
          (long long)time, (long long)c->done[l]);
    /* Cell (r, i) of choice k is x[k cells + r time + i]: choices lie a whole [rows, time] apart.
     */
    for (int64_t r = 0; r < v->rows; r++) {
        for (int64_t i = 0; v->first[r] >= 0 && i < time; i++) {
            int64_t at = c->done[l] + i, place = place_of(t, v->first[r] + at);
            if (place < 0 || !(v->weights[r * v->time + at] > 0)) continue;
            t->experts[l][place] = joined(x->data + r * time + i, x->shape[0], cells);
        }
    }
    c->done[l] += time;
}

static void call_end(void *call)
{
    (void)call;
}

/* So that an evaluation that is stopped and goes on has the whole sample in the end. */
static int keep_sample(void *user, eval_array *list, int capacity)
{
    const trace *t = &((routing_trace *)user)->now;
    int n = MIN(t->layers, capacity);
    for (int l = 0; l < n; l++) {
        list[l] = (eval_array){t->layer[l], t->experts[l], (size_t)t->count * sizeof(int32_t)};
    }
    return n;
}

static bool restore_sample(void *user, const char *name, const void *data, size_t bytes, bool take)
{
    trace *t = &((routing_trace *)user)->now;
    /* The length first: a name alone would add a layer. */
    int l = bytes == (size_t)t->count * sizeof(int32_t) ? layer_index(t, name) : -1;
    for (int64_t i = 0; l >= 0 && take && i < t->count; i++) {
        int32_t seen;
        memcpy(&seen, (const char *)data + (size_t)i * sizeof seen, sizeof seen);
        /* Of a sample that ranks share each sees a part. */
        if (seen != NOT_SEEN) t->experts[l][i] = seen;
    }
    return l >= 0;
}

/* What is traced is cleared here: an evaluation that was given up half-way leaves nothing to the
 * next. So are the records of the threads' calls, which lie in the same arena. */
eval_watch routing_trace_begin(routing_trace *r, const eval_task *task)
{
    const corpus_split *split = corpus_get(task->corpus, eval_options_split(task->options));
    const eval_options *o = task->options;
    trace_clear(&r->now, split ? eval_calls_tokens(split, o->tokens, o->most, NULL) : 0);
    int threads = MAX(task->threads, 1);
    r->calls = ARENA_NEW(r->now.memory, traced_call, threads);
    for (int i = 0; i < threads; i++) {
        r->calls[i].owner = r;
    }
    return (eval_watch){.user = r,
                        .begin = call_begin,
                        .tap = note_choices,
                        .end = call_end,
                        .keep = keep_sample,
                        .restore = restore_sample};
}

/* ---- afterwards ---- */

/* {"changed", "sampled"} of layer l now, k before: changed = share of the places seen in both whose
 * choice is another. NULL: none was. */
static json_t *changes_of(const trace *now, int l, const trace *before, int k)
{
    int64_t seen = 0, changed = 0;
    for (int64_t i = 0; i < now->count; i++) {
        int32_t a = now->experts[l][i], b = before->experts[k][i];
        if (a == NOT_SEEN || b == NOT_SEEN) continue;
        seen++;
        changed += a != b;
    }
    if (seen == 0) return NULL;
    json_t *o = json_object();
    json_object_set_new(o, "changed", json_real((double)changed / (double)seen));
    json_object_set_new(o, "sampled", json_integer(seen));
    return o;
}

/* Of another number of tokens the sample would be another, and nothing can be compared. The traces
 * change places instead of being copied; `now` is cleared at the next beginning. */
json_t *routing_trace_end(routing_trace *r)
{
    json_t *layers = NULL;
    for (int l = 0; l < r->now.layers && r->now.tokens == r->before.tokens; l++) {
        for (int k = 0; k < r->before.layers; k++) {
            if (strcmp(r->now.layer[l], r->before.layer[k]) != 0) continue;
            json_t *o = changes_of(&r->now, l, &r->before, k);
            if (o && !layers) layers = json_object();
            if (o) json_object_set_new(layers, r->now.layer[l], o);
        }
    }
    trace last = r->before;
    r->before = r->now;
    r->now = last;
    return layers;
}

json_t *routing_trace_unknown(const routing_trace *r)
{
    json_t *layers = r->now.layers > 0 ? json_object() : NULL;
    for (int l = 0; l < r->now.layers; l++) {
        json_object_set_new(layers, r->now.layer[l], json_pack("{s:n, s:n}", "changed", "sampled"));
    }
    return layers;
}

int routing_trace_views(routing_trace *r, int64_t *tokens, routing_view views[ROUTING_LAYERS])
{
    *tokens = r->before.tokens;
    for (int l = 0; l < r->before.layers; l++) {
        views[l] = (routing_view){r->before.layer[l], r->before.count, r->before.experts[l]};
    }
    return r->before.layers;
}

/* Layers come one by one from a checkpoint; the first one makes room for all. What does not fit, or
 * is no number of tokens that was scored, is left out: a run then logs no changes at its next
 * evaluation, and nothing worse. */
void routing_trace_restore(routing_trace *r, int64_t tokens, const routing_view *view)
{
    const int64_t most = (int64_t)1 << 53;
    trace *t = &r->before;
    if (tokens < 1 || tokens > most) return;
    if (t->tokens != tokens) trace_clear(t, tokens);
    /* The length first: a name alone would add a layer. */
    int l = view->count == t->count ? layer_index(t, view->layer) : -1;
    if (l < 0) return;
    memcpy(t->experts[l], view->experts, (size_t)t->count * sizeof *view->experts);
}
