#include "harness/evaluate/eval_ranks.h"

#include <stdlib.h>

/* What travels between ranks in an evaluation: one request at its beginning (three numbers), one
 * byte per round (what comes next), and the losses of each rank's lanes, 8 bytes per position.
 * Weights do not: every rank has all parameters, since training ended with the same values
 * everywhere. Every rank reads the text itself from the files.
 *
 * Rank 0 receives into the same array `losses` [rows, time] that its own lanes write, in places
 * apart, so that adding up afterwards does not know who computed a row. */

/* ---- what is forgotten, as a number ---- */

enum { NOTHING = -1 };

/* 2 (1 + the layer's place; 0: all layers) + whether it is its state. The head comes last. A layer
 * is a pointer in rank 0's memory; the same spec built the same stack everywhere, so its place
 * means the same layer on all. */
static int64_t forget_code(const eval_task *task)
{
    const layer *const *layers;
    int n = model_layers(task->model, &layers), i = 0;
    if (!task->forget) return NOTHING;
    while (i < n && layers[i] != task->forget->self) {
        i++;
    }
    return 2 * (task->forget->self ? i + 1 : 0) + (task->forget->kind == SLOT_STATE);
}

static eval_forget forget_of(const model *m, int64_t code)
{
    const layer *const *layers;
    int64_t n = model_layers(m, &layers), i = code / 2 - 1;
    const layer *self = i < 0 ? NULL : i < n ? layers[i] : model_head(m);
    return (eval_forget){self, code % 2 ? SLOT_STATE : SLOT_CACHE};
}

/* ---- the lanes of a rank ---- */

/* Even parts: unlike gradients, losses are added up row by row, in whatever lanes, so that no part
 * has to be a node of the lanes' tree. rank * lanes / ranks leaves no lane out and gives none
 * twice: one rank's end is the next one's beginning. */
static rank_lanes part_of(const eval_pass *p, int rank)
{
    int64_t count = ranks_count(p->ranks), first = p->lane_count * rank / count;
    return (rank_lanes){first, p->lane_count * (rank + 1) / count - first};
}

void eval_ranks_join(eval_pass *p)
{
    p->ranks = p->task->ranks;
    p->own = part_of(p, ranks_me(p->ranks));
}

/* Not shared is what would need its answer in one place: an onlooker's counts and learned
 * parameters live in the process that reads. */
bool eval_ranks_begin(eval_pass *p, err *e)
{
    const eval_task *task = p->task;
    if (ranks_count(task->ranks) == 1 || task->watch || task->learner) return true;
    eval_ranks_join(p);
    return rank_calls_ask_with(p->ranks, RANK_EVALUATE, task->options->tokens, forget_code(task),
                               task->threads, e);
}

/* Every rank calls it once per round, or the group would wait for ever: even on a failure of its
 * own a rank comes here first and leaves afterwards. */
bool eval_ranks_next(eval_pass *p, eval_next *next, err *e)
{
    char word = (char)*next;
    if (!p->ranks) return true;
    bool ok = ranks_tell(p->ranks, &word, sizeof word, e);
    *next = (eval_next)word;
    return ok;
}

/* Rows of a rank lie behind each other in a call's losses. */
static rank_part losses_of(const eval_pass *p, const eval_call *text, int to, int whose)
{
    rank_lanes part = part_of(p, whose);
    int64_t row = p->lane_rows * text->batch.time;
    return (rank_part){to, text->losses + part.first * row,
                       (size_t)(part.count * row) * sizeof *text->losses};
}

/* One exchange per round: all calls of all ranks are listed first, then sent together. Between two
 * ranks messages keep their order, so both sides list the calls in the same order. */
bool eval_ranks_gather(eval_pass *p, err *e)
{
    int count = ranks_count(p->ranks), me = ranks_me(p->ranks), n = 0;
    if (!p->ranks) return true;
    rank_part *list = calloc((size_t)(p->text.count * count), sizeof *list);
    CHECK(list, "out of memory for the losses of %d ranks", count);
    for (int i = 0; i < p->text.count; i++) {
        const eval_call *text = &p->text.calls[i];
        if (me > 0) list[n++] = losses_of(p, text, 0, me);
        for (int r = 1; me == 0 && r < count; r++) {
            list[n++] = losses_of(p, text, r, r);
        }
    }
    bool ok = ranks_exchange(p->ranks, list, me > 0 ? n : 0, list, me > 0 ? 0 : n, e);
    free(list);
    return ok;
}

/* The reverse of what eval_ranks_begin asked for. All else of the task is the run's and known to
 * every rank. */
void eval_ranks_task(eval_task *task, eval_options *options, eval_forget *forget,
                     const rank_request *q)
{
    *options = *task->options;
    options->tokens = q->numbers[0];
    task->options = options;
    task->forget = NULL;
    if (q->numbers[1] != NOTHING) {
        *forget = forget_of(task->model, q->numbers[1]);
        task->forget = forget;
    }
    task->threads = (int)q->numbers[2];
}
