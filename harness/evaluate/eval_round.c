#include "harness/evaluate/eval_round.h"

#include <string.h>

/* Where threads find work:
 *
 *   several lanes            a lane each (run_lane)
 *   few rows, many threads   they follow each other through the layers of one lane (turns.h):
 *                            call n + 1 is in layer 2 while call n is in layer 3
 *   one lane has text left   where calls cannot follow each other, the idle threads help inside
 *                            of its products (crew.h) */

static bool any_reads(const bool *reads, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (reads[i]) return true;
    }
    return false;
}

/* The call of a lane under inspection. */
static void watched_forward(eval_pass *p, model_state *s, const batch *b, model_call *call,
                            int64_t row, int thread)
{
    const eval_watch *w = p->task->watch;
    /* first [lane_rows]: where a row's targets lie in the split, which is how a watch recognises a
     * token from one evaluation to the next. It lives on the tape: until the call's end is enough.
     */
    int64_t *first = tape_keep(p->tapes[thread], p->lane_rows, sizeof *first);
    for (int64_t r = 0; r < p->lane_rows; r++) {
        int64_t d = b->document[row + r];
        first[r] = d < 0 || d >= p->text.documents ? -1 : p->text.first[d] + b->begin[row + r];
    }
    eval_view view = {.rows = p->lane_rows,
                      .time = call->time,
                      .tokens = call->tokens,
                      .targets = call->targets,
                      .weights = call->weights,
                      .document = b->document + row,
                      .begin = b->begin + row,
                      .first = first};
    void *user = w->begin(w->user, thread, &view);
    if (user) call->watch = (layer_watch){w->tap, w->fired, w->exchanged, user};
    model_forward(s, call);
    if (user) w->end(user);
}

/* Positions only. A slot still holds what the text before left in it; layers do not look at it for
 * a row at position 0 (layers/layer.h). */
static void reset_rows(model_state *s, const batch *b, int64_t row)
{
    for (int64_t r = 0; r < model_state_rows(s); r++) {
        if (b->reset[row + r]) model_state_reset_row(s, r, b->position[row + r]);
    }
}

/* The rows of a lane in a call of the text: views [lane_rows, time] into the batch [rows, time].
 * row0 is the row's place in the whole batch, so that what is keyed by a row (rng keys) does not
 * change with the lane it is in. read_weight is the batch's as it was read, with what cut_weights
 * took away behind a limit: a layer that divides by it (fwl) gives the tokens before the limit the
 * losses that the whole evaluation gives them. */
static model_call call_of(const eval_pass *p, const eval_call *text, int64_t row)
{
    const batch *b = &text->batch;
    int64_t cell = row * b->time;
    return (model_call){.time = b->time,
                        .tokens = b->tokens + cell,
                        .targets = b->targets + cell,
                        .weights = b->weights + cell,
                        .lengths = b->length + row,
                        .read_weight = b->weight,
                        .mode = MODE_EVAL,
                        .seed = p->task->seed,
                        .row0 = row,
                        .losses = text->losses + cell};
}

/* Of a round of one call. */
static bool lane_reads(const eval_pass *p, int64_t lane)
{
    return any_reads(p->text.calls[0].reads + lane * p->lane_rows, p->lane_rows);
}

/* One call of a lane, by whichever thread took it. Where the model learns, begin, end and the
 * updates are the row's own affair (dynamic.h): a call there is several segments, each on
 * parameters that the one before has changed. */
static void read_lane(eval_pass *p, int64_t lane, int thread)
{
    const eval_call *text = &p->text.calls[0];
    const batch *b = &text->batch;
    model_state *s = p->states[lane];
    int64_t row = lane * p->lane_rows;
    reset_rows(s, b, row);
    model_call call = call_of(p, text, row);
    if (p->learning) {
        dynamic_learner_row_read(p->learning[lane], s, p->tapes[thread], &call, b->begin[row] == 0);
        return;
    }
    const eval_forget *forget = p->task->forget;
    if (forget) model_state_forget(s, forget->self, forget->kind);
    /* No gradients are asked for: ops record nothing. */
    model_begin(s, p->tapes[thread], p->task->values, NULL);
    if (p->task->watch) {
        watched_forward(p, s, b, &call, row, thread);
    } else {
        model_forward(s, &call);
    }
    model_end(s);
}

/* When only one lane still has text (the last book, read by one row), the threads of the pool have
 * nothing to take; the crew's then work inside of its products. Never with several lanes: a crew
 * helps one thread at a time. How a product is shared changes no bit of it (crew.h). */
static void run_lane(void *arg, int64_t item, int thread)
{
    eval_pass *p = arg;
    int64_t lane = p->own.first + item;
    if (!lane_reads(p, lane)) return;
    if (p->reading == 1) crew_help(p->helpers);
    read_lane(p, lane, thread);
    crew_help(NULL);
}

/* A round of one call: a lane each, and no turns to wait for. */
static void run_lanes(eval_pass *p)
{
    p->reading = 0;
    for (int64_t i = 0; i < p->own.count; i++) {
        p->reading += lane_reads(p, p->own.first + i);
    }
    lanes_parallel(p->pool, run_lane, p, p->own.count);
}

/* ---- calls that follow each other through the layers ---- */

/* Moves a lane's state over the calls, noting where each of them begins.
 *
 * All calls of the round are placed before any is run, which is sound because a reset touches
 * positions and no slot, and because positions depend on the text alone. After the round the
 * state's positions are where model_state_skip left them, and its slots hold what the last call put
 * back: as after the same calls one by one. A call in which the lane reads nothing has no turn, so
 * that `index` counts without holes; a hole would be waited for without end. */
static void place_calls(eval_pass *p, int64_t lane)
{
    model_state *s = p->states[lane];
    size_t bytes = (size_t)p->lane_rows * sizeof(int64_t);
    int64_t row = lane * p->lane_rows, index = 0;
    for (int i = 0; i < p->text.count; i++) {
        const eval_call *text = &p->text.calls[i];
        lane_call *call = &p->lane_calls[i * p->lane_count + lane];
        call->index = any_reads(text->reads + row, p->lane_rows) ? index++ : -1;
        if (call->index < 0) continue;
        reset_rows(s, &text->batch, row);
        memcpy(call->positions, model_state_positions(s), bytes);
        memcpy(call->documents, model_state_documents(s), bytes);
        model_state_skip(s, text->batch.time);
    }
}

/* Items are in the order of the calls, and within a call of the lanes: threads begin on different
 * lanes, and only once there are fewer of those than threads does one wait for another. Because the
 * pool gives out items in order, the call that a thread waits for was always taken before its own:
 * no deadlock. */
static void run_lane_call(void *arg, int64_t item, int thread)
{
    eval_pass *p = arg;
    int64_t index = item / p->own.count, lane = p->own.first + item % p->own.count;
    const lane_call *which = &p->lane_calls[index * p->lane_count + lane];
    if (which->index < 0) return;
    turn mine = {.all = p->turns, .lane = lane, .call = which->index};
    model_turn in_turn = turns_of(&mine);
    /* The hand is this thread's, the slots behind it are the lane's; who may touch a slot when is
     * what the turn says. */
    model_state *hand = p->hands[thread];
    model_state_hand_take(hand, p->states[lane], which->positions, which->documents);
    model_call call = call_of(p, &p->text.calls[index], lane * p->lane_rows);
    call.turn = &in_turn;
    model_begin(hand, p->tapes[thread], p->task->values, NULL);
    model_forward(hand, &call);
    model_end(hand);
}

/* A call of another rank's lanes is read from the text like our own, and
 * left alone. */
void eval_round_run(eval_pass *p)
{
    if (!p->turns) {
        run_lanes(p);
        return;
    }
    turns_restart(p->turns);
    for (int64_t i = 0; i < p->own.count; i++) {
        place_calls(p, p->own.first + i);
    }
    lanes_parallel(p->pool, run_lane_call, p, p->text.count * p->own.count);
}
