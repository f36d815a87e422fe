#include "harness/evaluate/eval_pass.h"

#include <stdlib.h>

#include "core/base/host.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/eval_ranks.h"
#include "harness/evaluate/eval_round.h"

/* How the text is cut, in four sizes:
 *
 *   row    documents one behind the other, like a row of a training batch; its state is reset
 *          where a document (or a span) begins
 *   lane   rows that one model_forward reads together; what a thread takes
 *   call   `time` positions of every row: one batch of the stream
 *   round  the calls that are read before the threads meet again
 *
 * Rows and lanes follow from the options and the model alone, never from the number of threads: a
 * product's bits may depend on how many rows stand in it (OpenBLAS), and a sum's on its order. So
 * whatever the threads do, every token's loss comes out of the same arithmetic, and only
 * eval_pass.c's collect_losses adds losses up, in one thread.
 *
 * A lane has its own state for the whole pass; tapes are per thread, for nothing on a tape outlives
 * a call. */

/* The largest number of lanes, `at_most` or fewer, that cuts the rows evenly: every lane has
 * lane_rows of them. */
static int64_t lanes_for(int64_t rows, int64_t at_most)
{
    int64_t n = at_most > 0 ? MIN(rows, at_most) : rows;
    while (rows % n != 0) {
        n--;
    }
    return n;
}

/* Something looks at a lane from call to call, or changes it. */
static bool watched(const eval_task *task)
{
    return task->watch || task->forget || task->learner;
}

/* Rows that a lane of experts reads together: each expert's weights are packed once for all its
 * tokens, and 2,048 tokens are enough to make that cheap. Only where kernels are our own: with them
 * an element's bits do not depend on how many rows there are, so that lanes may be what is fast; a
 * dense model is fastest with a row per lane, whose activations stay in a core's cache. Threads
 * must be able to follow each other through the layers, or there would be fewer lanes for them. */
static int64_t rows_of_experts(const eval_task *task)
{
    enum { TOKENS = 2048 };
    const model *m = task->model;
    if (!params_have_pieces(model_params_const(m)) || !model_kernels(m).products ||
        !model_takes_turns(m) || watched(task))
        return 1;
    int64_t all = task->options->rows, rows = 1;
    while (rows < all && (all % rows != 0 || rows * model_context(m) < TOKENS)) {
        rows++;
    }
    return rows;
}

/* True if the model carries nothing from one whole block to the next. Then its documents may be cut
 * between blocks without changing a loss.
 *
 * Found out by reading one block, not by asking each layer's class: what a layer carries hangs on
 * its options (a window, `carry: false`), and a list of classes kept here would be wrong one day
 * without anybody noticing. The tokens do not matter (all are 0), a slot is filled or not whatever
 * they are. */
static bool stateless(const eval_pass *p)
{
    model_state *s = model_state_new(p->task->model, 1);
    tape *t = tape_new();
    int slots = model_state_slots(s);
    int32_t *tokens = calloc((size_t)p->context, sizeof *tokens);
    state_view *views = calloc((size_t)slots + 1, sizeof *views);
    CHECK(tokens && views, "out of memory for %lld tokens", (long long)p->context);
    model_begin(s, t, p->task->values, NULL);
    model_call call = {.time = p->context, .tokens = tokens, .targets = tokens, .mode = MODE_EVAL};
    model_forward(s, &call);
    model_end(s);
    bool nothing = model_state_views(s, views, slots) == 0;
    free(views);
    free(tokens);
    tape_free(t);
    model_state_free(s);
    return nothing;
}

/* Calls read together: several where threads can follow each other through the layers, so that one
 * document is work for all of them; a few per thread, for at the end of a round all wait for the
 * last. One where something looks at a lane from call to call. */
static int calls_of(const eval_pass *p)
{
    enum { CALLS_PER_THREAD = 4 };
    const eval_task *task = p->task;
    bool one = task->threads <= 1 || watched(task) || !model_takes_turns(task->model);
    return one ? 1 : CALLS_PER_THREAD * task->threads;
}

/* Hands are per thread: a hand borrows the slots of the lane whose call it runs, so one serves all
 * lanes. Every call of a round has positions of its own, for several calls of a lane are at work at
 * once and each stands elsewhere. */
static void open_turns(eval_pass *p, int calls, arena *a)
{
    const layer *const *layers;
    p->turns = turns_new(p->lane_count, model_layers(p->task->model, &layers));
    p->hands = ARENA_NEW(a, model_state *, p->tape_count);
    for (int i = 0; i < p->tape_count; i++) {
        p->hands[i] = model_state_hand_new(p->task->model, p->lane_rows);
    }
    int64_t count = calls * p->lane_count;
    p->lane_calls = ARENA_NEW(a, lane_call, count);
    for (int64_t i = 0; i < count; i++) {
        p->lane_calls[i].positions = ARENA_NEW(a, int64_t, p->lane_rows);
        p->lane_calls[i].documents = ARENA_NEW(a, int64_t, p->lane_rows);
    }
}

/* Learning lanes have one row each (eval_pass_open): weights that differ from row to row cannot
 * stand in one product. */
static void open_lanes(eval_pass *p, arena *a)
{
    p->states = arena_push_zero(a, p->lane_count, sizeof *p->states);
    for (int64_t i = 0; i < p->lane_count; i++) {
        p->states[i] = model_state_new(p->task->model, p->lane_rows);
    }
    if (!p->task->learner) return;
    p->learning = ARENA_NEW(a, dynamic_row *, p->lane_count);
    for (int64_t i = 0; i < p->lane_count; i++) {
        p->learning[i] = dynamic_learner_row_new(p->task->learner);
    }
}

/* A segment that is learned from lies within one call. */
static int64_t time_of(const eval_task *task, bool learns)
{
    int64_t context = model_context(task->model);
    if (!learns) return context;
    return MAX(context, dynamic_learner_segment(&task->options->dynamic, task->model));
}

static int64_t lane_count_of(const eval_task *task, bool learns)
{
    int64_t rows = task->options->rows;
    return learns ? rows : lanes_for(rows / rows_of_experts(task), task->lanes);
}

/* Without a learner yet: the options say whether there will be one. */
int64_t eval_pass_call_tokens(const eval_task *task)
{
    bool learns = task->options->dynamic.kind != DYNAMIC_NONE;
    return task->options->rows / lane_count_of(task, learns) * time_of(task, learns);
}

/* Rows, lanes, spans. A row reads documents one behind the other; rows are cut into lanes, which
 * are what threads take, so that figures do not depend on how many threads there are.
 *
 * A span is where state is forgotten inside a document: the user's, or, for a model that carries
 * nothing anyway, a context. Then one long document is cut among all rows; without it, seven of
 * eight rows would run dry while the eighth reads a book. */
bool eval_pass_open(eval_pass *p, arena *a, err *e)
{
    const eval_task *task = p->task;
    const eval_options *o = task->options;
    p->context = model_context(task->model);
    bool learns = task->learner;
    p->time = time_of(task, learns);
    p->lane_count = lane_count_of(task, learns);
    p->lane_rows = o->rows / p->lane_count;
    p->own = (rank_lanes){0, p->lane_count};
    open_lanes(p, a);
    /* What a model has learned it carries through the document, whatever its layers carry: cut
     * among rows, a document would be learned from in parts that know nothing of each other. */
    int64_t span = o->span ? o->span : !learns && stateless(p) ? p->context : 0;
    stream_options so = {.rows = o->rows,
                         .time = p->time,
                         .block = p->context,
                         .span = span,
                         .most = o->most,
                         .once = true};
    int calls = calls_of(p);
    if (!eval_calls_open(&p->text, p->split, o->tokens, calls, &so, a, e)) return false;
    /* Documents before the limit only: those behind it never get a loss. */
    p->result->count = (int)p->text.documents;
    p->result->documents = arena_push_zero(a, p->text.documents, sizeof(eval_document));
    for (int64_t i = 0; i < p->text.documents; i++) {
        p->result->documents[i].index = i;
    }
    /* No more threads than there are pieces of work in a round. */
    p->tape_count = (int)MIN((int64_t)MAX(task->threads, 1), calls * p->lane_count);
    if (!(p->pool = lanes_new(p->lane_count, p->tape_count, NULL, e))) return false;
    p->tapes = arena_push_zero(a, p->tape_count, sizeof *p->tapes);
    for (int i = 0; i < p->tape_count; i++) {
        p->tapes[i] = tape_new();
    }
    if (calls > 1) {
        open_turns(p, calls, a);
    } else if (task->threads > 1 && !(p->helpers = crew_new(task->threads, e))) {
        return false;
    }
    p->line = ARENA_NEW(a, float, p->time);
    return true;
}

/* Takes back whatever eval_pass_open came to make before it failed: arrays of pointers are zero
 * until they are filled. The arena's own memory goes with the arena. */
void eval_pass_close(eval_pass *p)
{
    for (int64_t i = 0; p->states && i < p->lane_count; i++) {
        model_state_free(p->states[i]);
    }
    for (int64_t i = 0; p->learning && i < p->lane_count; i++) {
        dynamic_learner_row_free(p->learning[i]);
    }
    for (int i = 0; p->tapes && i < p->tape_count; i++) {
        tape_free(p->tapes[i]);
    }
    for (int i = 0; p->hands && i < p->tape_count; i++) {
        model_state_free(p->hands[i]);
    }
    turns_free(p->turns);
    crew_free(p->helpers);
    eval_calls_close(&p->text);
    if (p->pool) lanes_free(p->pool);
}

/* Another question than whether it reads: a row may read text of which nothing is scored (a probe
 * tells before it asks). */
static bool any_weight(const real *weights, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (weights[i] > 0) return true;
    }
    return false;
}

/* Row by row, in the order of the text: sums do not depend on lanes or threads.
 *
 *   nats[document] = sum over its tokens of -ln p(token | what the row read before it), in double
 *
 * A row's losses in a call are one stretch of its document, since a row changes its span between
 * calls only, so that they land behind each other in the file, from `first` of the document plus
 * `begin`. They are floats there; the sums are of the doubles. (Of a probe, whose scored tokens lie
 * apart, no file is kept.) */
static bool collect_losses(eval_pass *p, const eval_call *text, err *e)
{
    const batch *b = &text->batch;
    for (int64_t r = 0; r < b->rows; r++) {
        const real *weights = b->weights + r * b->time;
        /* A dry row, or one behind the limit: its document index may be -1, or beyond those that
         * are counted. */
        if (!any_weight(weights, b->time)) continue;
        eval_document *d = &p->result->documents[b->document[r]];
        int64_t n = 0;
        for (int64_t i = 0; i < b->time; i++) {
            if (!(weights[i] > 0)) continue;
            double loss = text->losses[r * b->time + i];
            d->nats += loss;
            p->line[n++] = (float)loss;
        }
        d->tokens += n;
        int64_t token = p->text.first[b->document[r]] + b->begin[r];
        if (p->losses_out.fd >= 0 && !losses_file_put(&p->losses_out, p->line, n, token, e)) {
            return false;
        }
    }
    return true;
}

/* Tokens that have their loss, against all that will get one. Seconds of sittings before count: a
 * rate from a sitting's own seconds and all sittings' tokens would be too good. */
static void tell_reader(const eval_pass *p)
{
    const eval_reader *r = &p->task->reader;
    int64_t tokens = 0;
    for (int i = 0; r->heard && i < p->result->count; i++) {
        tokens += p->result->documents[i].tokens;
    }
    double seconds = p->before + host_monotonic_s() - p->began;
    if (r->heard) r->heard(r->user, tokens, p->text.scored, seconds);
}

/* Whether the pass may go on another day. What most inspections gather lies in memory that nobody
 * writes out (a watch without `keep`), and ranks have states that rank 0 does not hold: both begin
 * again. */
static bool is_kept(const eval_pass *p)
{
    return p->task->keep && !p->ranks && (!p->task->watch || p->task->watch->keep);
}

/* The kept record counts losses that must be in the losses file; where that file is gone ("lost"),
 * the record is worth nothing and all is read again. Otherwise the file is emptied before a fresh
 * start, or an older and longer one would leave its tail behind ours. */
bool eval_pass_resume(eval_pass *p, err *e)
{
    bool lost = p->losses_out.fd >= 0 && !p->losses_out.continued;
    p->kept_at = host_monotonic_s();
    if (!lost && is_kept(p) && eval_keep_load(p, &p->complete)) {
        tell_reader(p);
        return true;
    }
    return losses_file_empty(&p->losses_out, e) && eval_ranks_begin(p, e);
}

/* A saving is synced to the disk, which may take that long. */
#define LEAST_EVERY_S 0.1

/* Where it is stopped, every so many seconds, and at the end of more than a second's work: what
 * comes after it (see cleared.h) takes time, too, and whoever is killed there should not evaluate
 * twice. A saving begins the next interval (kept_at), so that slow disks are not written to all the
 * time. */
static bool keep_part(eval_pass *p, bool stop, bool end, err *e)
{
    if (!is_kept(p)) return true;
    double now = host_monotonic_s(), every = MAX(p->task->keep->every, LEAST_EVERY_S);
    bool due = now - p->kept_at >= (end ? MIN(every, 1) : every);
    return !(stop || due) || eval_keep_save(p, end, e);
}

/* Rank 0 has all losses by then and is alone in adding them up: the sum is one process's, to the
 * bit. */
static bool collect_calls(eval_pass *p, err *e)
{
    bool ok = eval_ranks_gather(p, e);
    for (int i = 0; ok && ranks_me(p->ranks) == 0 && i < p->text.count; i++) {
        ok = collect_losses(p, &p->text.calls[i], e);
    }
    if (ok) tell_reader(p);
    return ok;
}

/* Round by round: save if it is time, read text, agree with the ranks on what comes next, run, add
 * up.
 *
 * What is kept is between two calls, before the text of the next is read: then the stream's cursor,
 * the lanes' states and the documents' sums all speak of the same token. The stop is looked at once
 * per round and told to all ranks as `next`; a rank that looked for itself might leave while the
 * others wait for its losses. */
bool eval_pass_run(eval_pass *p, err *e)
{
    bool ok = true;
    while (!p->complete) {
        bool stop = p->task->stop && *p->task->stop;
        ok = ok && keep_part(p, stop, false, e) && eval_calls_next(&p->text, e);
        eval_next next = !ok                  ? EVAL_FAILED
                         : p->text.count == 0 ? EVAL_ENDED
                         : stop               ? EVAL_STOPPED
                                              : EVAL_READ;
        if (!eval_ranks_next(p, &next, e)) return false;
        if (next == EVAL_ENDED) break;
        if (next == EVAL_STOPPED) {
            p->result->stopped = true;
            return true;
        }
        /* Either rank 0 fails, and says so elsewhere; or it could read on, and this one could not.
         */
        if (next == EVAL_FAILED || !ok) return ranks_me(p->ranks) > 0 && ok;
        eval_round_run(p);
        ok = collect_calls(p, e);
    }
    return p->complete || (eval_ranks_seen(p, e) && keep_part(p, false, true, e));
}
