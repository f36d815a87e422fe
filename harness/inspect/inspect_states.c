/* The pass that follows what positions write into what layers carry, and read from it.
 *
 * A layer tells its exchanges (layer_inspect.h): reads, w [rows, time, places], how a position
 * spreads over the state vectors; and writes, w [rows, time, places], how a state vector chooses
 * among the positions of a block. Both are weights of attention, and two questions are asked of
 * them: who (which tokens, which positions), and how evenly,
 *
 *   effective = exp(-sum_i s_i ln s_i),  s = w / sum w
 *
 * which is n for n equal shares and 1 for a single one. Of a read it is over the places, of a write
 * over the positions.
 *
 * A write's weights are told relative to an even choice, times `keys`, the number of positions a
 * place chose among: 1 is then what every position would have, in blocks of any length.
 *
 * Sums are whole numbers, added atomically (inspection_sum): the same bits for any number of
 * threads. place_token [places, vocab] is left out where that is above MOST_CELLS, 32 MiB of sums.
 */
#include "harness/inspect/inspect_states.h"

#include <math.h>

#include "core/base/host.h"

enum { POSITION_BINS = 16, BLOCK_BINS = 24, MOST_CELLS = 1 << 22 };

/* See inspection_sum. */
typedef struct exchange_sums {
    int64_t effective, effective_count; /* places of a position; positions of a place */
    int64_t position[POSITION_BINS], position_count[POSITION_BINS]; /* in the block */
    int64_t block[BLOCK_BINS], block_count[BLOCK_BINS];             /* of the document: 2^bin */
} exchange_sums;

/* Only the lists of spots are the thread's; all other sums are shared and atomic. */
typedef struct thread_states {
    inspection *x;
    eval_view view;
    triggers *spots; /* [exchanges] */
} thread_states;

/* ---- a position ---- */

static bool token_counts(const eval_view *v, int64_t row, int64_t at)
{
    /* A document's first position has read nothing. */
    return v->first[row] >= 0 && v->weights[row * v->time + at] > 0 && v->begin[row] + at > 0;
}

/* Which block of its document the call is, by powers of two: blocks 1, 2-3, 4-7, ... An inspection
 * evaluates with calls of one block each (time is the context). */
static int block_bin(const eval_view *v, int64_t row)
{
    int64_t block = v->begin[row] / v->time + 1;
    return (int)MIN((int64_t)(63 - __builtin_clzll((uint64_t)block)), (int64_t)BLOCK_BINS - 1);
}

static void add_bin(int64_t *sum, int64_t *count, int64_t bin, double value)
{
    inspection_sum(&sum[bin], value);
    __atomic_fetch_add(&count[bin], 1, __ATOMIC_RELAXED);
}

/* exp of the entropy of shares w[0], w[stride], ...: how many of equal size would be as even. */
static double effective(const real *w, int64_t n, int64_t stride)
{
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)w[i * stride];
    }
    for (int64_t i = 0; i < n; i++) {
        double p = sum > 0 ? (double)w[i * stride] / sum : 0;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

/* What the position does, `value`; w [places]: its weights, times scale. The position is called by
 * the token that it has just read, its input, not by the one that it predicts: that is what is
 * written or looks something up. */
static void note_position(thread_states *t, int index, int64_t row, int64_t at, double value,
                          const real *w, double scale)
{
    const eval_view *v = &t->view;
    inspected_exchange *x = &t->x->exchanges[index];
    int32_t token = v->tokens[row * v->time + at];
    int64_t places = x->exchange.places, vocab = t->x->sample_text.vocab;
    add_bin(x->sums->position, x->sums->position_count, at * POSITION_BINS / v->time, value);
    __atomic_fetch_add(&x->positions, 1, __ATOMIC_RELAXED);
    for (int64_t p = 0; p < places; p++) {
        inspection_sum(&x->place_sum[p], scale * (double)w[p]);
        if (x->place_token)
            inspection_sum(&x->place_token[p * vocab + token], scale * (double)w[p]);
    }
    inspection_sum(&x->token_sum[token], value);
    __atomic_fetch_add(&x->token_count[token], 1, __ATOMIC_RELAXED);
    /* The spot is the prefix that ends with the input. */
    int64_t last = v->first[row] + at - 1;
    trigger spot = {.next = v->targets[row * v->time + at],
                    .token = last,
                    .sentence = prefixes_sentence(&t->x->sample_text, last)};
    real coefficient = (real)value;
    triggers_offer(&t->spots[index], &coefficient, 1, 0, NULL, spot);
}

/* weights and strength are row-major over the exchange's own stretch [begin, begin + time) of the
 * call. */
static void note_read(thread_states *t, int index, const exchange_use *use)
{
    inspected_exchange *x = &t->x->exchanges[index];
    int64_t places = x->exchange.places;
    for (int64_t i = 0; i < t->view.rows * use->time; i++) {
        int64_t row = i / use->time, at = use->begin + i % use->time;
        if (!token_counts(&t->view, row, at)) continue;
        const real *w = use->weights + i * places;
        double strength = (double)use->strength[i];
        note_position(t, index, row, at, strength, w, 1);
        add_bin(x->sums->block, x->sums->block_count, block_bin(&t->view, row), strength);
        inspection_sum(&x->sums->effective, effective(w, places, 1));
        __atomic_fetch_add(&x->sums->effective_count, 1, __ATOMIC_RELAXED);
    }
}

/* A row's write counts if the stretch's last position does: a block that ends in padding, or behind
 * the limit of tokens, wrote something else than text. `value` of a position is its mean over
 * places, relative to an even choice. */
static void note_write(thread_states *t, int index, const exchange_use *use)
{
    inspected_exchange *x = &t->x->exchanges[index];
    int64_t places = x->exchange.places;
    for (int64_t row = 0; row < t->view.rows; row++) {
        const real *of_row = use->weights + row * use->time * places;
        if (!token_counts(&t->view, row, use->begin + use->time - 1)) continue;
        for (int64_t n = 0; n < use->time; n++) {
            /* Over places: how much of all that was taken in came from this position. */
            double sum = 0;
            for (int64_t p = 0; p < places; p++) {
                sum += (double)of_row[n * places + p];
            }
            if (!token_counts(&t->view, row, use->begin + n)) continue;
            note_position(t, index, row, use->begin + n, sum * use->keys / (double)places,
                          of_row + n * places, use->keys);
        }
        for (int64_t p = 0; p < places; p++) {
            add_bin(x->sums->block, x->sums->block_count, block_bin(&t->view, row),
                    (double)use->strength[row * places + p]);
            inspection_sum(&x->sums->effective, effective(of_row + p, use->time, places));
            __atomic_fetch_add(&x->sums->effective_count, 1, __ATOMIC_RELAXED);
        }
    }
}

/* Several exchanges may be one layer's (it reads the states of several): `exchange` says which. */
static void on_exchanged(void *user, const layer *self, int exchange, const exchange_use *use)
{
    thread_states *t = user;
    for (int i = 0; i < t->x->exchange_count; i++) {
        const inspected_exchange *x = &t->x->exchanges[i];
        if (x->layer != self || x->index != exchange) continue;
        if (x->exchange.write) {
            note_write(t, i, use);
        } else {
            note_read(t, i, use);
        }
    }
}

static void *begin_call(void *user, int thread, const eval_view *v)
{
    thread_states *t = (thread_states *)user + thread;
    if (thread == 0) host_memory_now(); /* keeps the peak */
    t->view = *v;
    return t;
}

static void end_call(void *call)
{
    (void)call;
}

/* ---- figures ---- */

/* Figures of states are called after the exchange: "read_strength", "write_moved". The first bin is
 * always there, NaN if nothing was counted, so that the name is. */
static void add_exchange(inspection *x, const inspected_exchange *l, const char *what, int bin,
                         double sum, int64_t count)
{
    char *name = ARENA_NEW(x->memory, char, 64);
    snprintf(name, 64, "%s_%s", l->exchange.name, what);
    double value = count > 0 ? sum / (double)count : (double)NAN;
    if (bin == 0 || count > 0) inspection_add(x, INSPECT_STATES, l->layer, name, bin, value);
}

/* effective_places is of the sums over the text: how many places do anything at all. `effective` of
 * a read may be small where that is large: each position reads few places, and others read other
 * ones. */
static void exchange_figures(inspection *x, const inspected_exchange *l)
{
    const exchange_sums *s = l->sums;
    const char *over_blocks = l->exchange.write ? "moved" : "strength";
    /* The mean over all blocks comes out of the bins: no sum is kept twice. */
    double sum = 0, evenness = 0;
    int64_t count = 0;
    for (int i = 0; i < BLOCK_BINS; i++) {
        sum += inspection_sum_of(s->block[i]);
        count += s->block_count[i];
    }
    add_exchange(x, l, over_blocks, 0, sum, count);
    add_exchange(x, l, "effective", 0, inspection_sum_of(s->effective), s->effective_count);
    double all = 0;
    for (int64_t p = 0; p < l->exchange.places; p++) {
        all += inspection_sum_of(l->place_sum[p]);
    }
    for (int64_t p = 0; p < l->exchange.places && all > 0; p++) {
        double share = inspection_sum_of(l->place_sum[p]) / all;
        if (share > 0) evenness -= share * log(share);
    }
    add_exchange(x, l, "effective_places", 0, exp(evenness), all > 0);
    for (int i = 0; i < POSITION_BINS; i++) {
        add_exchange(x, l, "by_position", i, inspection_sum_of(s->position[i]),
                     s->position_count[i]);
    }
    char by_block[32];
    snprintf(by_block, sizeof by_block, "%s_by_block", over_blocks);
    for (int i = 0; i < BLOCK_BINS; i++) {
        add_exchange(x, l, by_block, i, inspection_sum_of(s->block[i]), s->block_count[i]);
    }
}

/* ---- tokens ---- */

/* By mean, not by sum, or frequent tokens would always come first; and only of those that occur
 * USE_COUNT times, or rare ones would. */
int inspect_states_tokens(int32_t *order, int most, const inspected_exchange *l,
                          const int64_t *sums, int64_t vocab)
{
    int n = 0;
    for (int64_t v = 0; v < vocab; v++) {
        if (l->token_count[v] < USE_COUNT) continue;
        double mean = (double)sums[v] / (double)l->token_count[v];
        int at = n;
        while (at > 0 &&
               mean > (double)sums[order[at - 1]] / (double)l->token_count[order[at - 1]]) {
            at--;
        }
        if (at == most) continue;
        if (n < most) n++;
        for (int i = n - 1; i > at; i--) {
            order[i] = order[i - 1];
        }
        order[at] = (int32_t)v;
    }
    return n;
}

/* ---- the pass ---- */

static void open_exchange(inspection *x, inspected_exchange *l)
{
    int64_t vocab = x->sample_text.vocab, places = l->exchange.places;
    l->sums = arena_push_zero(x->memory, 1, sizeof *l->sums);
    l->token_sum = arena_push_zero(x->memory, vocab, sizeof(int64_t));
    l->token_count = arena_push_zero(x->memory, vocab, sizeof(int64_t));
    l->place_sum = arena_push_zero(x->memory, places, sizeof(int64_t));
    if (places * vocab <= MOST_CELLS) {
        l->place_token = arena_push_zero(x->memory, places * vocab, sizeof(int64_t));
    }
}

/* Spots are a list of triggers with one memory: the same bounded list of best positions. */
static void merge_exchanges(inspection *x, thread_states *threads, int n)
{
    for (int i = 0; i < x->exchange_count; i++) {
        for (int t = 1; t < n; t++) {
            triggers_merge(&threads[0].spots[i], &threads[t].spots[i]);
        }
        triggers_finish(&threads[0].spots[i]);
        x->exchanges[i].spots = threads[0].spots[i];
        exchange_figures(x, &x->exchanges[i]);
    }
}

/* The lists are not per sentence: of two strong positions in one sentence both are shown. */
bool inspect_states(inspection *x, err *e)
{
    int n = MAX(x->task->threads, 1);
    for (int i = 0; i < x->exchange_count; i++) {
        open_exchange(x, &x->exchanges[i]);
    }
    thread_states *threads = arena_push_zero(x->memory, n, sizeof *threads);
    for (int t = 0; t < n; t++) {
        threads[t].x = x;
        threads[t].spots = ARENA_NEW(x->memory, triggers, x->exchange_count);
        for (int i = 0; i < x->exchange_count; i++) {
            triggers_init(&threads[t].spots[i], 1, SPOTS, false, x->memory);
        }
    }
    eval_watch watch = {
        .user = threads, .begin = begin_call, .exchanged = on_exchanged, .end = end_call};
    evaluation r = {0};
    bool ok = inspection_evaluate(&r, x, (split_kind)x->task->options->sample_split,
                                  x->sample_text.tokens, &watch, e);
    if (ok && !x->stopped) merge_exchanges(x, threads, n);
    if (ok) evaluate_deinit(&r);
    return ok;
}
