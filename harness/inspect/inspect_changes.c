/* The pass that compares predictions with and without what weights have learned while they read.
 *
 * A layer whose weights learn offers, at every position, its output as it is and as it would have
 * been with slow weights only (LAYER_TAP_UNLEARNED). A head's are logits; a layer's in the stack
 * are made into logits by reading the stream behind it, residual + output, as tokens. Then, with q
 * the probabilities without and p with what was learned, and t the next token:
 *
 *   gain  = ln p[t] - ln q[t]            nats; the sum over a text is what learning is worth
 *   moved = 1/2 sum_v |p[v] - q[v]|      probability that went to other tokens
 *   rise  = p[v] - q[v]                  by token v, summed over the text
 *
 * "Without" is of one layer at one position: the stream before it still has what other layers
 * learned.
 *
 * Sums are whole numbers that threads add to atomically (inspection_sum), so that figures have the
 * same bits for any number of threads. The best positions (moments) are kept per thread and merged,
 * ordered by gain and then by position. */
#include "harness/inspect/inspect_changes.h"

#include <math.h>
#include <string.h>

#include "core/base/host.h"
#include "core/ops/softmax.h"
#include "harness/train/trained_model.h"
#include "models/readout.h"

enum { POSITION_BINS = 16, DISTANCE_BINS = 32, READ_POSITIONS = 32 };

/* See inspection_sum. */
typedef struct change_sums {
    int64_t count, seen, helped, top_changed; /* positions */
    int64_t nats, unlearned, gain_seen, moved;
    int64_t position[POSITION_BINS], position_count[POSITION_BINS]; /* in the block */
    int64_t distance[DISTANCE_BINS], distance_count[DISTANCE_BINS]; /* in the document: 2^bin */
} change_sums;

/* What a layer offered so far in a call, and the best positions of a thread. */
typedef struct change_sight {
    const tensor *residual, *unlearned;
    change_moment most[MOMENTS], least[MOMENTS];
    int most_count, least_count;
} change_sight;

/* A thread's own: the call that it is in, and for each layer the tensors offered so far. `memory`
 * is emptied row by row. */
typedef struct thread_changes {
    inspection *x;
    arena *memory; /* of one call */
    eval_view view;
    change_sight *sights; /* [changes] */
} thread_changes;

/* One position. */
typedef struct change_cell {
    int64_t row, at;            /* in the call */
    const real *before, *after; /* probabilities [vocab] */
} change_cell;

/* ---- moments ---- */

/* The order of moments: sign 1, the largest gain first; sign -1, the largest loss. Ties go by
 * position, which makes it total: merged lists do not depend on the threads. */
static bool earlier(const change_moment *a, const change_moment *b, double sign)
{
    if (a->gain * sign > b->gain * sign) return true;
    if (a->gain * sign < b->gain * sign) return false;
    return a->token < b->token;
}

/* Insertion into a sorted list of at most MOMENTS: the last one falls out. */
static void put_moment(change_moment *list, int *count, const change_moment *m, double sign)
{
    if (*count == MOMENTS && !earlier(m, &list[MOMENTS - 1], sign)) return;
    int at = *count < MOMENTS ? (*count)++ : MOMENTS - 1;
    for (; at > 0 && earlier(m, &list[at - 1], sign); at--) {
        list[at] = list[at - 1];
    }
    list[at] = *m;
}

/* The tokens whose probability rose most, by insertion. Falls are no rises, but a list of a small
 * vocabulary may hold some at its end. */
static void keep_rises(change_moment *m, const change_cell *c, int64_t vocab)
{
    int kept = 0;
    for (int64_t v = 0; v < vocab; v++) {
        real rise = c->after[v] - c->before[v];
        if (kept == MOMENT_TOKENS && rise <= m->rises[kept - 1]) continue;
        int at = kept < MOMENT_TOKENS ? kept++ : kept - 1;
        for (; at > 0 && rise > m->rises[at - 1]; at--) {
            m->rises[at] = m->rises[at - 1];
            m->tops[at] = m->tops[at - 1];
        }
        m->rises[at] = rise;
        m->tops[at] = (int32_t)v;
    }
    for (; kept < MOMENT_TOKENS; kept++) {
        m->tops[kept] = -1;
    }
}

/* Rises cost a walk over the vocabulary: they are looked at only once the moment is sure to be
 * kept. */
static void offer_moment(const thread_changes *t, change_sight *s, const change_cell *c,
                         double gain)
{
    const eval_view *v = &t->view;
    int32_t next = v->targets[c->row * v->time + c->at];
    change_moment m = {.gain = gain,
                       .token = v->first[c->row] + c->at - 1,
                       .next = next,
                       .before = c->before[next],
                       .after = c->after[next]};
    bool most = gain > 0 && (s->most_count < MOMENTS || earlier(&m, &s->most[MOMENTS - 1], 1));
    bool least = gain < 0 && (s->least_count < MOMENTS || earlier(&m, &s->least[MOMENTS - 1], -1));
    if (!most && !least) return;
    keep_rises(&m, c, t->x->sample_text.vocab);
    if (most) put_moment(s->most, &s->most_count, &m, 1);
    if (least) put_moment(s->least, &s->least_count, &m, -1);
}

/* ---- a position ---- */

/* Within this call, that is its block: at < time tokens are searched, the position's own input
 * included. What an earlier block said counts as not seen. */
static bool seen_before(const eval_view *v, int64_t row, int64_t at)
{
    const int32_t *tokens = v->tokens + row * v->time;
    for (int64_t i = 0; i <= at; i++) {
        if (tokens[i] == v->targets[row * v->time + at]) return true;
    }
    return false;
}

/* Position in the block in POSITION_BINS equal parts; position in the document by its binary
 * logarithm. The distance is at least 1 (moment_counts), or the logarithm would have no value. */
static void count_gain(const thread_changes *t, change_sums *s, const change_cell *c, double gain)
{
    const eval_view *v = &t->view;
    bool seen = seen_before(v, c->row, c->at);
    int64_t distance = v->begin[c->row] + c->at, bin = 63 - __builtin_clzll((uint64_t)distance);
    int64_t part = c->at * POSITION_BINS / v->time;
    bin = MIN(bin, DISTANCE_BINS - 1);
    __atomic_fetch_add(&s->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->seen, seen, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->helped, gain > 0, __ATOMIC_RELAXED);
    if (seen) inspection_sum(&s->gain_seen, gain);
    inspection_sum(&s->position[part], gain);
    inspection_sum(&s->distance[bin], gain);
    __atomic_fetch_add(&s->position_count[part], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->distance_count[bin], 1, __ATOMIC_RELAXED);
}

/* One position, before and after [vocab]. Adds to rises [vocab], which are the row's own doubles in
 * the order of its positions: what all threads share is added to once per token and row
 * (add_rises), not once per position. Probabilities below 1e-30 count as that, lest one position be
 * infinite. */
static void compare_moments(const thread_changes *t, int l, const change_cell *c, double *rises)
{
    inspected_changes *x = &t->x->changes[l];
    int64_t vocab = t->x->sample_text.vocab, top_before = 0, top_after = 0;
    int32_t next = t->view.targets[c->row * t->view.time + c->at];
    double moved = 0, before = -log(MAX((double)c->before[next], 1e-30));
    double after = -log(MAX((double)c->after[next], 1e-30));
    for (int64_t v = 0; v < vocab; v++) {
        double rise = (double)c->after[v] - (double)c->before[v];
        rises[v] += rise;
        moved += fabs(rise);
        if (c->before[v] > c->before[top_before]) top_before = v;
        if (c->after[v] > c->after[top_after]) top_after = v;
    }
    __atomic_fetch_add(&x->sums->top_changed, top_before != top_after, __ATOMIC_RELAXED);
    inspection_sum(&x->sums->moved, moved / 2);
    inspection_sum(&x->sums->nats, after);
    inspection_sum(&x->sums->unlearned, before);
    count_gain(t, x->sums, c, before - after);
    int64_t own = t->view.document[c->row];
    /* d = 0: all documents together, at the front of the tokens; d = 1: the document's own list,
     * which only the first CHANGED_DOCUMENTS have. */
    for (int64_t d = 0; d < 2; d++) {
        if (d == 1 && own >= CHANGED_DOCUMENTS) continue;
        token_change *token = &x->tokens[d * (1 + own) * vocab + next];
        inspection_sum(&token->gain, before - after);
        __atomic_fetch_add(&token->next, 1, __ATOMIC_RELAXED);
    }
    offer_moment(t, &t->sights[l], c, before - after);
}

static void add_rises(const thread_changes *t, int l, int64_t row, const double *rises)
{
    int64_t vocab = t->x->sample_text.vocab, index = t->view.document[row];
    token_change *all = t->x->changes[l].tokens;
    bool own = index < CHANGED_DOCUMENTS;
    for (int64_t v = 0; v < vocab; v++) {
        inspection_sum(&all[v].rise, rises[v]);
        if (own) inspection_sum(&all[(1 + index) * vocab + v].rise, rises[v]);
    }
}

static bool moment_counts(const eval_view *v, int64_t row, int64_t at)
{
    /* A document's first token has no prefix before it. */
    return v->first[row] >= 0 && v->weights[row * v->time + at] > 0 && v->begin[row] + at > 0;
}

/* cell: row, at, n. Positions [at, at + n) of a row: logits [n, vocab] with slow weights only, and
 * as they are. */
static void compare_logits(thread_changes *t, int l, const int64_t cell[3], const real *slow,
                           const real *fast, double *rises)
{
    int64_t vocab = t->x->sample_text.vocab;
    real *before = ARENA_NEW(t->memory, real, vocab), *after = ARENA_NEW(t->memory, real, vocab);
    for (int64_t i = 0; i < cell[2]; i++) {
        if (!moment_counts(&t->view, cell[0], cell[1] + i)) continue;
        softmax_row(before, slow + i * vocab, vocab);
        softmax_row(after, fast + i * vocab, vocab);
        compare_moments(t, l, &(change_cell){cell[0], cell[1] + i, before, after}, rises);
    }
}

/* ---- what layers offer ---- */

/* Logits [n, vocab] of residual + y [n, width]: what the stream behind the layer names, by the same
 * readout for the output as it is and as it would have been. */
static void read_stream(real *logits, const readout *r, const real *residual, const real *y,
                        int64_t n, arena *a)
{
    int64_t width = model_width(r->model);
    real *sum = ARENA_NEW(a, real, n * width), *scratch = ARENA_NEW(a, real, n * width);
    for (int64_t i = 0; i < n * width; i++) {
        sum[i] = residual[i] + y[i];
    }
    readout_logits(r, logits, sum, n, scratch);
}

/* READ_POSITIONS at a time, and the arena rewound after each: logits of a whole call would be time
 * x vocab, twice. */
static void compare_outputs(thread_changes *t, int l, int64_t row, const tensor *output,
                            double *rises)
{
    const change_sight *s = &t->sights[l];
    const trained_model *m = t->x->task->loaded;
    readout r = readout_new(m->model, m->values, t->x->task->options->as_head);
    int64_t vocab = t->x->sample_text.vocab, time = t->view.time, width = model_width(m->model);
    real *slow = ARENA_NEW(t->memory, real, READ_POSITIONS * vocab);
    real *fast = ARENA_NEW(t->memory, real, READ_POSITIONS * vocab);
    for (int64_t at = 0; at < time; at += READ_POSITIONS) {
        int64_t n = MIN((int64_t)READ_POSITIONS, time - at), from = (row * time + at) * width;
        arena_mark mark = arena_now(t->memory);
        read_stream(slow, &r, s->residual->data + from, s->unlearned->data + from, n, t->memory);
        read_stream(fast, &r, s->residual->data + from, output->data + from, n, t->memory);
        compare_logits(t, l, (int64_t[]){row, at, n}, slow, fast, rises);
        arena_rewind(t->memory, mark);
    }
}

/* y and `unlearned` are [rows, time, width or vocab]. A row that has run dry (first < 0) is left
 * out. */
static void compare_rows(thread_changes *t, int l, const tensor *y, bool head)
{
    int64_t vocab = t->x->sample_text.vocab, time = t->view.time;
    const tensor *slow = t->sights[l].unlearned;
    CHECK(slow && tensor_count(slow) == tensor_count(y) && tensor_rows(y) == t->view.rows * time,
          "%s: what it offers is of another shape", t->x->changes[l].layer->name);
    for (int64_t r = 0; r < t->view.rows; r++) {
        if (t->view.first[r] < 0) continue;
        arena_reset(t->memory);
        double *rises = arena_push_zero(t->memory, vocab, sizeof *rises);
        if (head) {
            int64_t from = r * time * vocab;
            compare_logits(t, l, (int64_t[]){r, 0, time}, slow->data + from, y->data + from, rises);
        } else {
            compare_outputs(t, l, r, y, rises);
        }
        add_rises(t, l, r, rises);
    }
}

/* A layer offers residual and unlearned before its output, with which the comparison can be made;
 * all three are gone when the call is over. */
static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    thread_changes *t = user;
    for (int l = 0; l < t->x->change_count; l++) {
        if (t->x->changes[l].layer != self) continue;
        bool head = self == model_head(t->x->task->loaded->model);
        change_sight *s = &t->sights[l];
        if (strcmp(name, "residual") == 0) s->residual = x;
        if (strcmp(name, LAYER_TAP_UNLEARNED) == 0) s->unlearned = x;
        if (strcmp(name, head ? "logits" : "output") == 0) compare_rows(t, l, x, head);
    }
}

/* What an earlier call offered is gone with it: a layer that does not offer both tensors again is
 * caught by the CHECK in compare_rows instead of being compared with freed memory. */
static void *begin_call(void *user, int thread, const eval_view *v)
{
    thread_changes *t = (thread_changes *)user + thread;
    if (thread == 0) host_memory_now(); /* keeps the peak */
    t->view = *v;
    for (int l = 0; l < t->x->change_count; l++) {
        t->sights[l].residual = t->sights[l].unlearned = NULL;
    }
    return t;
}

static void end_call(void *call)
{
    (void)call;
}

/* ---- figures ---- */

/* Bins that no position fell into have no figure, so that a short text has a short curve. */
static void bins(inspection *x, const inspected_changes *l, const char *name, const int64_t *sums,
                 const int64_t *count, int n)
{
    for (int i = 0; i < n; i++) {
        if (count[i] == 0) continue;
        double mean = inspection_sum_of(sums[i]) / (double)count[i];
        inspection_add(x, INSPECT_CHANGES, l->layer, name, i, mean);
    }
}

/* gain_seen and gain_new part the gain by whether the text had the token before: fast weights help
 * most with tokens that were repeated (Clark et al. 2022, arXiv:2212.02475, fig. 2). */
static void change_figures(inspection *x, const inspected_changes *l)
{
    const change_sums *s = l->sums;
    double n = (double)s->count, nan = (double)NAN, fresh = n - (double)s->seen;
    double nats = inspection_sum_of(s->nats), unlearned = inspection_sum_of(s->unlearned);
    double of_seen = inspection_sum_of(s->gain_seen), gain = unlearned - nats;
    /* Of count 0 (no token was there before, say) the figure is NaN, not 0. */
    const struct {
        const char *name;
        double sum, count;
    } list[] = {{"nats_unlearned", unlearned, n},
                {"nats", nats, n},
                {"gain", gain, n},
                {"gain_seen", of_seen, (double)s->seen},
                {"gain_new", gain - of_seen, fresh},
                {"seen", (double)s->seen, n},
                {"helped", (double)s->helped, n},
                {"moved", inspection_sum_of(s->moved), n},
                {"top_changed", (double)s->top_changed, n}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        double value = list[i].count > 0 ? list[i].sum / list[i].count : nan;
        inspection_add(x, INSPECT_CHANGES, l->layer, list[i].name, 0, value);
    }
    bins(x, l, "gain_by_position", s->position, s->position_count, POSITION_BINS);
    bins(x, l, "gain_by_distance", s->distance, s->distance_count, DISTANCE_BINS);
}

/* ---- tokens ---- */

/* By insertion; only what rose (or fell) at all. */
int inspect_changes_tokens(int32_t order[CHANGED_TOKENS], const token_change *list, int64_t vocab,
                           double sign)
{
    int n = 0;
    for (int64_t v = 0; v < vocab; v++) {
        double rise = sign * inspection_sum_of(list[v].rise);
        if (!(rise > 0)) continue;
        if (n == CHANGED_TOKENS && rise <= sign * inspection_sum_of(list[order[n - 1]].rise))
            continue;
        int at = n < CHANGED_TOKENS ? n++ : n - 1;
        for (; at > 0 && rise > sign * inspection_sum_of(list[order[at - 1]].rise); at--) {
            order[at] = order[at - 1];
        }
        order[at] = (int32_t)v;
    }
    return n;
}

/* ---- the pass ---- */

/* The threads' lists of moments into one, in the order that makes them independent of threads
 * (earlier). */
static void merge_changes(inspection *x, const thread_changes *threads, int n)
{
    for (int l = 0; l < x->change_count; l++) {
        inspected_changes *c = &x->changes[l];
        for (int t = 0; t < n; t++) {
            const change_sight *s = &threads[t].sights[l];
            for (int i = 0; i < s->most_count; i++) {
                put_moment(c->most, &c->most_count, &s->most[i], 1);
            }
            for (int i = 0; i < s->least_count; i++) {
                put_moment(c->least, &c->least_count, &s->least[i], -1);
            }
        }
        change_figures(x, c);
    }
}

/* tokens [1 + CHANGED_DOCUMENTS, vocab] per layer are shared by all threads; sights and their
 * moments are a thread's own. */
bool inspect_changes(inspection *x, err *e)
{
    int n = MAX(x->task->threads, 1);
    int64_t vocab = x->sample_text.vocab;
    for (int l = 0; l < x->change_count; l++) {
        x->changes[l].sums = arena_push_zero(x->memory, 1, sizeof(change_sums));
        x->changes[l].tokens =
            arena_push_zero(x->memory, (1 + CHANGED_DOCUMENTS) * vocab, sizeof(token_change));
    }
    thread_changes *threads = arena_push_zero(x->memory, n, sizeof *threads);
    for (int i = 0; i < n; i++) {
        threads[i] = (thread_changes){.x = x, .memory = arena_new(0)};
        threads[i].sights = arena_push_zero(x->memory, x->change_count, sizeof(change_sight));
    }
    eval_watch watch = {.user = threads, .begin = begin_call, .tap = on_tap, .end = end_call};
    evaluation r = {0};
    bool ok = inspection_evaluate(&r, x, (split_kind)x->task->options->sample_split,
                                  x->sample_text.tokens, &watch, e);
    if (ok && !x->stopped) merge_changes(x, threads, n);
    if (ok) evaluate_deinit(&r);
    for (int i = 0; i < n; i++) {
        arena_free(threads[i].memory);
    }
    return ok;
}
