/* How a coefficient changes when a prefix loses its first, its last or a random token (Geva et al.
 * 2021, sec. 3.2.3). Sentences are read by themselves, behind the start token.
 *
 *   change_k = mean over triggers of (m(prefix without token k) / m(prefix) - 1)
 *
 * where m is the key's coefficient at the last position, negative ones taken as 0: -1 says that
 * nothing is left. m(prefix) is that of the sentence alone and not the one of the pass, which had
 * the document before it; a key that the sentence alone does not fire is counted as silent and has
 * no change.
 *
 * Four readings per trigger (three removals and the whole), each one text with one number wanted of
 * it: a list of jobs, sorted by length so that rows of a batch need little padding, read by a pool
 * of threads in any order. A job's answer goes to its own place. */
#include "harness/inspect/inspect_perturb.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/host.h"
#include "core/base/rng.h"
#include "core/train/lanes.h"
#include "harness/train/trained_model.h"

/* Few rows: a tape without a backward pass still holds a call's activations of all layers. DIFFERS:
 * the paper takes the 50 first triggers of a key; here it is PERTURB_TRIGGERS. */
enum { PERTURB_TRIGGERS = 10, PERTURB_ROWS = 4, WHOLE = REMOVALS, READINGS = REMOVALS + 1 };

/* One text to read and one memory to look at. */
typedef struct perturb_job {
    int layer;
    int64_t memory;
    int key, trigger; /* where the reading belongs */
    int what;         /* a removal, or WHOLE */
    int32_t *ids;     /* the start token first */
    int64_t length;
    real coefficient; /* what came of it */
} perturb_job;

/* States and tapes are a thread's; jobs are shared, each written by the one thread whose batch it
 * is in. */
typedef struct perturb_work {
    inspection *x;
    perturb_job *jobs;
    int64_t count;
    tape **tapes;         /* [threads] */
    model_state **states; /* [threads] */
} perturb_work;

typedef struct perturb_batch {
    perturb_work *work;
    perturb_job *jobs;
    int64_t count, time;
} perturb_batch;

/* ---- the texts ---- */

/* ids without entry `at` (WHOLE: all), behind the start token. */
static void add_job(perturb_work *w, const int32_t *ids, int64_t n, int64_t at, perturb_job job)
{
    job.ids = ARENA_NEW(w->x->memory, int32_t, n + 1);
    job.ids[0] = (int32_t)w->x->text.vocab;
    job.length = 1;
    for (int64_t i = 0; i < n; i++) {
        if (i != at) job.ids[job.length++] = ids[i];
    }
    w->jobs[w->count++] = job;
}

/* The prefix's last tokens, as many as fit into one block with the start token: removal inside of a
 * block is a change of the text, over blocks it would also be one of what is carried. Which token
 * goes at random depends on seed, layer, key and trigger only. */
static bool add_trigger(perturb_work *w, const trigger *t, perturb_job job, err *e)
{
    int64_t most = MIN((int64_t)SENTENCE_TOKENS, model_context(w->x->task->loaded->model)) - 1;
    int64_t n = MIN(t->token + 1 - t->sentence, most);
    if (n < 2) return true; /* nothing would be left */
    int32_t ids[SENTENCE_TOKENS];
    if (!prefixes_read(&w->x->text, t->token + 1 - n, n, ids, e)) return false;
    rng_key key = {.seed = (uint64_t)w->x->task->loaded->seed,
                   .row = (uint32_t)job.layer,
                   .place = rng_place("inspect:perturb")};
    uint64_t index = (uint64_t)job.key * PERTURB_TRIGGERS + (uint64_t)job.trigger;
    const int64_t at[READINGS] = {0, n - 1, (int64_t)rng_below(key, index, (uint64_t)n), n};
    for (job.what = 0; job.what < READINGS; job.what++) {
        add_job(w, ids, n, at[job.what], job);
    }
    return true;
}

/* Chooses keys that have triggers and lists the texts of their first ones. The order of keys is a
 * permutation by seed and layer, gone through until enough have triggers: keys that nothing fires
 * are passed over and do not make the sample smaller. */
static bool add_layer(perturb_work *w, int index, err *e)
{
    inspected_layer *l = &w->x->layers[index];
    int64_t wanted = MIN(w->x->task->options->perturb, l->memories.count);
    arena *a = w->x->memory;
    int64_t *order = ARENA_NEW(a, int64_t, l->memories.count);
    rng_key key = {.seed = (uint64_t)w->x->task->loaded->seed,
                   .row = (uint32_t)index,
                   .place = rng_place("inspect:perturbed keys")};
    rng_permutation(order, l->memories.count, key);
    l->perturbed = arena_push_zero(a, wanted, sizeof *l->perturbed);
    for (int64_t i = 0; i < l->memories.count && l->perturbed_count < wanted; i++) {
        int64_t memory = order[i], n = MIN(l->triggers.sizes[memory], (int32_t)PERTURB_TRIGGERS);
        if (n == 0) continue;
        int at = l->perturbed_count++;
        l->perturbed[at].memory = memory;
        /* The strongest triggers: lists are in decreasing order by now. */
        for (int t = 0; t < n; t++) {
            perturb_job job = {.layer = index, .memory = memory, .key = at, .trigger = t};
            if (!add_trigger(w, triggers_of(&l->triggers, memory) + t, job, e)) return false;
        }
    }
    return true;
}

/* ---- reading them ---- */

/* Every layer tells of every position; wanted is one layer's coefficient of one memory at the last
 * position of each row. A memory that is not among what fired (another expert's, or below a top-k)
 * leaves the job's coefficient at 0, which is what it contributed. */
static void on_fired(void *user, const layer *self, const memory_use *use)
{
    perturb_batch *b = user;
    int l = inspection_layer(b->work->x, self);
    for (int64_t entry = 0; l >= 0 && entry < use->entries; entry++) {
        int64_t cell = use->position ? use->position[entry] : entry;
        perturb_job *j = cell / b->time < b->count ? &b->jobs[cell / b->time] : NULL;
        if (!j || j->layer != l || cell % b->time != j->length - 1) continue;
        const real *c = use->coefficients + entry * use->width;
        int64_t at = j->memory - (use->first ? use->first[entry] : 0);
        if (!use->ids && at >= 0 && at < use->width) j->coefficient = c[at];
        for (int64_t i = 0; use->ids && i < use->width; i++) {
            if (use->ids[entry * use->width + i] == j->memory) j->coefficient = c[i];
        }
    }
}

/* One batch: PERTURB_ROWS texts from the state of a fresh document. tokens [rows, time] and lengths
 * [rows] lie on the tape, to the end of the call; rows beyond the last job have length 0. Padding
 * is behind the text, where a causal layer cannot see it from the text's last position. */
static void read_batch(void *arg, int64_t item, int thread)
{
    perturb_work *w = arg;
    if (w->x->task->stop && *w->x->task->stop) return;
    int64_t first = item * PERTURB_ROWS;
    perturb_batch b = {w, w->jobs + first, MIN((int64_t)PERTURB_ROWS, w->count - first), 0};
    for (int64_t i = 0; i < b.count; i++) {
        b.time = MAX(b.time, b.jobs[i].length);
    }
    model_state *s = w->states[thread];
    tape *t = w->tapes[thread];
    model_state_clear(s);
    model_begin(s, t, w->x->task->loaded->values, NULL);
    int32_t *tokens = tape_keep(t, PERTURB_ROWS * b.time, sizeof *tokens);
    int64_t *lengths = tape_keep(t, PERTURB_ROWS, sizeof *lengths);
    memset(tokens, 0, (size_t)(PERTURB_ROWS * b.time) * sizeof *tokens);
    for (int64_t i = 0; i < PERTURB_ROWS; i++) {
        lengths[i] = i < b.count ? b.jobs[i].length : 0;
        if (i < b.count) {
            memcpy(tokens + i * b.time, b.jobs[i].ids, (size_t)lengths[i] * sizeof *tokens);
        }
    }
    model_call call = {.time = b.time,
                       .tokens = tokens,
                       .lengths = lengths,
                       .mode = MODE_EVAL,
                       .watch = {.fired = on_fired, .user = &b}};
    model_forward(s, &call);
    if (thread == 0) host_memory_now(); /* keeps the peak */
    model_end(s);
}

static int by_length(const void *a, const void *b)
{
    const perturb_job *x = a, *y = b;
    return x->length < y->length ? -1 : x->length > y->length;
}

/* A thread has a state and a tape for all of its batches; model_state_clear makes each a beginning.
 */
static bool read_all(perturb_work *w, err *e)
{
    const trained_model *m = w->x->task->loaded;
    int threads = MAX(w->x->task->threads, 1);
    lanes *pool = lanes_new(threads, threads, NULL, e);
    if (!pool) return false;
    w->tapes = arena_push_zero(w->x->memory, threads, sizeof *w->tapes);
    w->states = arena_push_zero(w->x->memory, threads, sizeof *w->states);
    for (int i = 0; i < threads; i++) {
        w->tapes[i] = tape_new();
        w->states[i] = model_state_new(m->model, PERTURB_ROWS);
    }
    qsort(w->jobs, (size_t)w->count, sizeof *w->jobs, by_length);
    lanes_parallel(pool, read_batch, w, (w->count + PERTURB_ROWS - 1) / PERTURB_ROWS);
    for (int i = 0; i < threads; i++) {
        tape_free(w->tapes[i]);
        model_state_free(w->states[i]);
    }
    lanes_free(pool);
    return true;
}

/* ---- what came of it ---- */

/* Coefficients by key, trigger and reading: got [key, trigger, READINGS], gathered first, because a
 * change needs the whole's and the removal's, which were read in whatever batches. */
static void collect_layer(perturb_work *w, int index)
{
    inspected_layer *l = &w->x->layers[index];
    int64_t n = (int64_t)l->perturbed_count * PERTURB_TRIGGERS;
    real *got = arena_push_zero(w->x->memory, n * READINGS, sizeof *got);
    bool *read = arena_push_zero(w->x->memory, n, sizeof *read);
    for (int64_t i = 0; i < w->count; i++) {
        const perturb_job *j = &w->jobs[i];
        if (j->layer != index) continue;
        int64_t at = (int64_t)j->key * PERTURB_TRIGGERS + j->trigger;
        got[at * READINGS + j->what] = j->coefficient;
        read[at] = true;
    }
    for (int64_t i = 0; i < n; i++) {
        perturbation *p = &l->perturbed[i / PERTURB_TRIGGERS];
        const real *c = got + i * READINGS;
        if (!read[i]) continue;
        /* Relative to nothing there is no change; NaN goes here, too. */
        if (!(c[WHOLE] > 0)) {
            p->silent++;
            continue;
        }
        p->triggers++;
        for (int k = 0; k < REMOVALS; k++) {
            p->change[k] += (double)MAX(c[k], 0) / (double)c[WHOLE] - 1;
        }
    }
    for (int i = 0; i < l->perturbed_count; i++) {
        perturbation *p = &l->perturbed[i];
        for (int k = 0; k < REMOVALS; k++) {
            p->change[k] /= p->triggers ? (double)p->triggers : 1;
        }
    }
}

/* The list of jobs is reserved for the most there can be: all keys wanted, all of their triggers.
 * With `perturb: 0` (the default) nothing is read. */
bool inspect_perturb(inspection *x, err *e)
{
    perturb_work w = {.x = x};
    int64_t most = x->task->options->perturb * PERTURB_TRIGGERS * READINGS * x->layer_count;
    if (most == 0) return true;
    w.jobs = calloc((size_t)most, sizeof *w.jobs);
    CHECK(w.jobs, "out of memory for %lld texts", (long long)most);
    bool ok = true;
    for (int i = 0; ok && i < x->layer_count; i++) {
        ok = add_layer(&w, i, e);
    }
    ok = ok && (w.count == 0 || read_all(&w, e));
    for (int i = 0; ok && i < x->layer_count; i++) {
        collect_layer(&w, i);
    }
    free(w.jobs);
    x->stopped = x->stopped || (x->task->stop && *x->task->stop);
    return ok;
}
