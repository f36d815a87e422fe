#include "harness/evaluate/eval_ranks.h"

#include <stdlib.h>
#include <string.h>

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

/* Not shared is what would need its answer in one place: learned parameters, and what an onlooker
 * gathers unless it can be written out and read in (keep, restore). Of those there is one in a
 * run's evaluations, the trace of routing. */
bool eval_ranks_begin(eval_pass *p, err *e)
{
    const eval_task *task = p->task;
    const eval_watch *watch = task->watch;
    if (ranks_count(task->ranks) == 1 || task->learner) return true;
    if (watch && !(watch->keep && watch->restore)) return true;
    eval_ranks_join(p);
    return rank_calls_ask_with(p->ranks, watch ? RANK_EVALUATE_TRACED : RANK_EVALUATE,
                               task->options->tokens, forget_code(task), task->threads, e);
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
    rank_part *list = calloc((size_t)p->text.count, (size_t)count * sizeof *list);
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

/* ---- what onlookers have seen ---- */

enum { ARRAYS = 256 };

/* What stands before the bytes of an array. */
typedef struct seen_head {
    int64_t name_bytes, bytes; /* the name with its 0 */
} seen_head;

static char *pack_seen(const eval_watch *w, size_t *bytes)
{
    eval_array list[ARRAYS];
    int n = w->keep(w->user, list, ARRAYS);
    *bytes = 0;
    for (int i = 0; i < n; i++) {
        *bytes += sizeof(seen_head) + strlen(list[i].name) + 1 + list[i].bytes;
    }
    char *data = malloc(*bytes + 1), *at = data;
    CHECK(data, "out of memory for what was seen (%zu bytes)", *bytes);
    for (int i = 0; i < n; i++) {
        seen_head head = {(int64_t)strlen(list[i].name) + 1, (int64_t)list[i].bytes};
        memcpy(at, &head, sizeof head);
        memcpy(at + sizeof head, list[i].name, (size_t)head.name_bytes);
        at += sizeof head + (size_t)head.name_bytes;
        memcpy(at, list[i].data, list[i].bytes);
        at += list[i].bytes;
    }
    return data;
}

static bool unpack_seen(const eval_watch *w, const char *at, size_t bytes)
{
    const char *end = at + bytes;
    bool ok = true;
    while (ok && at < end) {
        seen_head head;
        memcpy(&head, at, sizeof head);
        const char *name = at + sizeof head, *data = name + head.name_bytes;
        ok = w->restore(w->user, name, data, (size_t)head.bytes, true);
        at = data + head.bytes;
    }
    return ok;
}

bool eval_ranks_seen(eval_pass *p, err *e)
{
    const eval_watch *w = p->task->watch;
    if (!p->ranks || !w) return true;
    int count = ranks_count(p->ranks), me = ranks_me(p->ranks);
    size_t bytes, *all = calloc((size_t)count, sizeof *all);
    char *mine = pack_seen(w, &bytes);
    CHECK(all, "out of memory for %d ranks", count);
    bool ok = ranks_gather(p->ranks, &bytes, sizeof bytes, all, e);
    if (ok && me > 0) ok = ranks_exchange(p->ranks, &(rank_part){0, mine, bytes}, 1, NULL, 0, e);
    for (int i = 1; ok && me == 0 && i < count; i++) {
        char *theirs = malloc(all[i] + 1);
        CHECK(theirs, "out of memory for what was seen (%zu bytes)", all[i]);
        ok = ranks_exchange(p->ranks, NULL, 0, &(rank_part){i, theirs, all[i]}, 1, e);
        if (ok && !unpack_seen(w, theirs, all[i]))
            ok = err_set(e, "rank %d looked at other tokens than rank 0; is its program the same?",
                         i);
        free(theirs);
    }
    free(mine);
    free(all);
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
