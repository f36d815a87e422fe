/* The pass that collects triggers: evaluation, with bounded lists fed from the memories' taps.
 *
 * Every thread has lists of its own for all layers, so that the pass runs without a lock; they are
 * merged at the end, and the result does not depend on which thread saw what, because ties are
 * broken by the position in the text (triggers.h). Memory is threads x memories x top entries.
 * Nothing of the text is kept but indices: words are read again when they are shown.
 *
 * Position i of a row's call predicts the target at `first + i`; what stands before it, the prefix,
 * ends with token first + i - 1. That is the prefix whose coefficients the layer computes at
 * position i. */
#include "harness/inspect/inspect_keys.h"

#include <time.h>

#include "core/base/host.h"

enum { PLAIN_TOKENS = 100000 }; /* what plain evaluation's speed is measured on */

/* One thread's lists, and where the positions of its call stand in the text. */
typedef struct thread_keys {
    inspection *x;
    arena *memory;    /* of one call */
    triggers *lists;  /* [layers] */
    int64_t **served; /* [layers]: [groups, vocab] or NULL */
    int64_t cells;
    bool *counts;  /* [cells]: ends a prefix */
    trigger *at;   /* [cells] */
    int32_t *last; /* [cells]: the prefix's last token */
} thread_keys;

/* ---- a call ---- */

/* Prepares what every fired memory of the call will need, once for all layers: for each cell
 * (row-major position of the call) whether it counts, and the trigger that it would be. Padding,
 * tokens behind the limit and the start of a document do not count. */
static void *begin_call(void *user, int thread, const eval_view *v)
{
    thread_keys *t = (thread_keys *)user + thread;
    if (thread == 0) host_memory_now(); /* keeps the peak */
    arena_reset(t->memory);
    t->cells = v->rows * v->time;
    t->counts = arena_push_zero(t->memory, t->cells, sizeof *t->counts);
    t->at = ARENA_NEW(t->memory, trigger, t->cells);
    t->last = ARENA_NEW(t->memory, int32_t, t->cells);
    for (int64_t r = 0; r < v->rows; r++) {
        for (int64_t i = 0; i < v->time && v->first[r] >= 0; i++) {
            int64_t cell = r * v->time + i, token = v->first[r] + i - 1;
            /* A document's first token has no prefix before it. */
            if (!(v->weights[cell] > 0) || v->begin[r] + i == 0) continue;
            /* The trigger is complete but for its coefficient, which each memory has its own of. */
            t->counts[cell] = true;
            t->last[cell] = v->tokens[cell];
            t->at[cell] = (trigger){.next = v->targets[cell],
                                    .token = token,
                                    .sentence = prefixes_sentence(&t->x->text, token)};
        }
    }
    return t;
}

/* By the first memory of the entry: an entry is one expert's, whose memories lie in one group. */
static void count_served(thread_keys *t, int l, const memory_use *use, int64_t entry, int64_t cell)
{
    const layer_memories *m = &t->x->layers[l].memories;
    int64_t memory = use->ids ? use->ids[entry * use->width] : use->first ? use->first[entry] : 0;
    int64_t group = memory / (m->count / m->groups);
    t->served[l][group * t->x->text.vocab + t->last[cell]]++;
}

/* An entry is what one layer (or one expert of it) computed for one position: coefficients [width],
 * of consecutive memories or of those that ids name. Routed layers give entries for the positions
 * that they sent there, in their own order, hence use->position. */
static void on_fired(void *user, const layer *self, const memory_use *use)
{
    thread_keys *t = user;
    int l = inspection_layer(t->x, self);
    if (l < 0) return;
    for (int64_t e = 0; e < use->entries; e++) {
        int64_t cell = use->position ? use->position[e] : e;
        CHECK(cell >= 0 && cell < t->cells, "%s: position %lld of %lld", self->name,
              (long long)cell, (long long)t->cells);
        if (!t->counts[cell]) continue;
        triggers_offer(&t->lists[l], use->coefficients + e * use->width, use->width,
                       use->first ? use->first[e] : 0, use->ids ? use->ids + e * use->width : NULL,
                       t->at[cell]);
        if (t->served[l]) count_served(t, l, use, e, cell);
    }
}

static void end_call(void *call)
{
    (void)call;
}

/* ---- the pass ---- */

/* Lists of all layers for each thread: what is paid for a pass without locks. */
static void thread_open(thread_keys *t, inspection *x)
{
    t->x = x;
    t->memory = arena_new(0);
    t->lists = ARENA_NEW(x->memory, triggers, x->layer_count);
    t->served = ARENA_NEW(x->memory, int64_t *, x->layer_count);
    for (int i = 0; i < x->layer_count; i++) {
        const layer_memories *m = &x->layers[i].memories;
        triggers_init(&t->lists[i], m->count, x->task->options->top,
                      x->task->options->once_per_sentence, x->memory);
        t->served[i] = m->groups > 1
                           ? arena_push_zero(x->memory, m->groups * x->text.vocab, sizeof(int64_t))
                           : NULL;
    }
}

/* All threads' lists into the first's: those of the layers. triggers_finish sorts them; the others'
 * memory stays in the arena to the end of the inspection. */
static void merge_triggers(inspection *x, thread_keys *threads, int n)
{
    for (int i = 0; i < x->layer_count; i++) {
        inspected_layer *l = &x->layers[i];
        for (int t = 1; t < n; t++) {
            triggers_merge(&threads[0].lists[i], &threads[t].lists[i]);
            for (int64_t k = 0; threads[t].served[i] && k < l->memories.groups * x->text.vocab;
                 k++) {
                threads[0].served[i][k] += threads[t].served[i][k];
            }
        }
        triggers_finish(&threads[0].lists[i]);
        l->triggers = threads[0].lists[i];
        l->served = threads[0].served[i];
    }
}

/* Of the whole process, threads added up. */
static double processor_seconds(clock_t since)
{
    return (double)(clock() - since) / CLOCKS_PER_SEC;
}

/* What plain evaluation would take, from the processor time of its beginning, which may be one
 * document and so one thread: as much less than the pass as it needs less of the processors. It is
 * what the cost of looking is told against, in one figure. */
static bool measure_plain(inspection *x, split_kind split, double pass_processor, err *e)
{
    evaluation r;
    clock_t began = clock();
    if (!inspection_evaluate(&r, x, split, MIN((int64_t)PLAIN_TOKENS, x->text.tokens), NULL, e)) {
        return false;
    }
    double plain = processor_seconds(began) / (double)MAX(r.tokens, 1) * (double)x->text.tokens;
    x->plain_seconds = pass_processor > 0 ? x->pass_seconds * plain / pass_processor : 0;
    evaluate_deinit(&r);
    return true;
}

/* Seconds are taken twice: by the clock, which a user waits for, and of the processors, by which
 * the pass is compared with plain evaluation on text of another length. A stopped pass is not
 * measured. */
bool inspect_keys(inspection *x, err *e)
{
    split_kind split = (split_kind)x->task->options->split;
    int n = MAX(x->task->threads, 1);
    thread_keys *threads = arena_push_zero(x->memory, n, sizeof *threads);
    for (int i = 0; i < n; i++) {
        thread_open(&threads[i], x);
    }
    eval_watch watch = {.user = threads, .begin = begin_call, .fired = on_fired, .end = end_call};
    evaluation r = {0};
    double began = host_monotonic_s(), processor = 0;
    clock_t clock_began = clock();
    bool ok = inspection_evaluate(&r, x, split, x->text.tokens, &watch, e);
    if (ok) {
        merge_triggers(x, threads, n);
        /* seconds grows by what follows on triggers (inspect.c); pass_seconds stays the pass alone.
         */
        x->seconds = x->pass_seconds = host_monotonic_s() - began;
        processor = processor_seconds(clock_began);
        evaluate_deinit(&r);
    }
    for (int i = 0; i < n; i++) {
        arena_free(threads[i].memory);
    }
    return ok && (x->stopped || measure_plain(x, split, processor, e));
}
