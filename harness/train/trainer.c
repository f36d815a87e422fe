#include "harness/train/trainer.h"

#include <math.h>
#include <string.h>

#include "core/base/host.h"
#include "core/ops/ops.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/train/bad_number.h"
#include "harness/train/lane_states.h"
#include "results/compare/stats.h"

/* A step is one gradient of one number, the mean loss over all targets of the step:
 *
 *   L = (1 / W) sum over batches, lanes, calls, positions of w ce,   W = sum of all w
 *
 * W is known before the first lane runs (read_inputs), so every lane divides by it itself and the
 * lanes' gradients are simply added. How a batch is cut into lanes, ranks and accumulated batches
 * then changes the order of additions and nothing else; and that order is fixed: lanes in their
 * tree (lanes.h), batches one after the other on top.
 *
 * Who owns what while lanes run:
 *
 *   values              read by all, written by the optimiser when no lane runs
 *   inputs              read by all, filled before the first lane runs
 *   states[i], sums[i]  whoever runs lane i; one thread at a time
 *   tapes[k]            thread k
 *   grads               handed to run_lane by the pool: one lane's own
 *
 * Random numbers are keyed by (seed, step, row), never drawn from a shared sequence, so that a
 * lane's dropout does not depend on which thread ran it, or on how many lanes ran before.
 *
 * All memory comes from the run's arena, the tapes and the pool. Tapes grow in the first steps to
 * what a segment needs, and are only reset from then on. */
static bool open_stream(trainer *t, err *e)
{
    workload *w = t->w;
    corpus_split *split = corpus_get(w->corpus, SPLIT_TRAIN);
    if (!split) return err_set(e, "data: the corpus has no training split; choose another");
    stream_options o = workload_stream(w);
    t->stream = stream_new(split, &o, e);
    return t->stream != NULL;
}

/* What they take packed for both directions, by the kernel's units. */
static double packed_bytes(const workload *w, const gemm_kernel *g)
{
    const params *p = model_params_const(w->model);
    double values = 0;
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].matmul) values += (double)p->list[i].count;
    }
    return 2 * values * (double)sizeof(float) / g->depth;
}

/* Lanes have the same weights on their right: rounded and packed once per step, not once per lane.
 * Floats are as many bytes packed as not, twice as many for both directions, which all lanes read:
 * worth it while a large cache has room for them. Measured in training: small (6.3 MiB) is 3 %
 * faster on Zen 4, tiny as well; products of large (145 MiB) were up to 14 % slower on Sapphire
 * Rapids. */
const gemm_kernel *trainer_packs_for(const workload *w, int64_t own)
{
    const double floats_kept = 8 << 20;
    const gemm_kernel *g = model_kernels(w->model).products;
    if (!g || own < 2) return NULL;
    return g->chain != GEMM_FLOAT32 || packed_bytes(w, g) <= floats_kept ? g : NULL;
}

double trainer_packed_bytes(const workload *w, int64_t own)
{
    const gemm_kernel *g = trainer_packs_for(w, own);
    return g ? packed_bytes(w, g) : 0;
}

static void keep_packed(trainer *t)
{
    const gemm_kernel *g = trainer_packs_for(t->w, t->own.count);
    const params *p = model_params(t->w->model);
    if (!g) return;
    t->kept = arena_push_zero(t->memory, p->pieces, sizeof *t->kept);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (!q->matmul || q->rank < 2) continue;
        int64_t width = q->shape[q->rank - 1], lines = q->count / q->pieces / width;
        for (int64_t piece = 0; piece < q->pieces; piece++) {
            blas_kept_room(&t->kept[q->first_piece + piece], t->memory, g, lines, width);
        }
    }
}

/* values and states are the run's, tapes and inputs the step's. Of other ranks' lanes there are no
 * states here until a checkpoint gathers them. The batches are one per call and accumulated batch,
 * since all of a step's text is read before it begins. */
static bool make_buffers(trainer *t, err *e)
{
    const train_shape *s = &t->w->shape;
    arena *a = t->memory;
    const params *p = model_params(t->w->model);
    t->values = arena_push_zero(a, p->total, sizeof(real));
    t->states = arena_push_zero(a, s->lanes, sizeof *t->states);
    keep_packed(t);
    /* Of this rank's lanes only; indexes are those of all lanes everywhere. */
    for (int64_t i = t->own.first; i < t->own.first + t->own.count; i++) {
        t->states[i] = model_state_new(t->w->model, s->lane_rows);
        model_state_keep(t->states[i], t->kept);
    }
    t->tapes = ARENA_NEW(a, tape *, t->threads);
    for (int i = 0; i < t->threads; i++) {
        t->tapes[i] = tape_new();
    }
    int64_t inputs = t->w->train.accumulate * s->calls;
    t->inputs = ARENA_NEW(a, batch, inputs);
    for (int64_t i = 0; i < inputs; i++) {
        t->inputs[i] = stream_batch(t->stream);
    }
    t->sums = arena_push_zero(a, s->lanes, sizeof(lane_sums));
    return workload_start(t->w, t->values, e);
}

/* The other ranks are asked first: each makes its trainer while this one does. What the arena does
 * not hold (pool, optimiser, stream, states, tapes, the trace of routing) trainer_free takes back,
 * whichever of it there is. */
trainer *trainer_new(workload *w, int threads, train_length length, err *e)
{
    arena *memory = arena_new(0);
    trainer *t = arena_push_zero(memory, 1, sizeof *t);
    rank_group *r = w->ranks;
    rank_lanes own = ranks_lanes(r, ranks_me(r), w->shape.lanes);
    threads = MAX(threads, 1);
    bool ok = rank_calls_ask_with(r, RANK_TRAINER, length.tokens, length.steps, threads, e);
    /* A lane is done by one thread: more of them than lanes would only wait. The other ranks have
     * been asked by then, with the number that was wanted: each clips it by its own lanes. */
    threads = (int)MIN((int64_t)threads, MAX(own.count, 1));
    *t = (trainer){.memory = memory, .w = w, .threads = threads, .length = length, .ranks = r};
    t->own = own;
    t->names.memory = memory;
    t->progress.eval_at = -1;
    t->routing = routing_trace_new();
    const params *p = model_params(w->model);
    ok = ok && (t->pool = lanes_new_over(r, w->shape.lanes, threads, p, e)) != NULL &&
         (t->optim = optim_new(&w->optim, p, e)) != NULL && open_stream(t, e) && make_buffers(t, e);
    /* Only together: a rank whose memory did not suffice would leave the others waiting in their
     * first exchange. */
    ok = ranks_agree(r, ok, e) && ok;
    if (!ok) {
        trainer_free(t);
        return NULL;
    }
    t->asked = ranks_count(r) > 1;
    lanes_take_rows(t->pool);
    return t;
}

/* Also of a trainer that was half made: what is not there yet is NULL. */
void trainer_free(trainer *t)
{
    if (!t) return;
    err lost;
    if (t->asked) rank_calls_ask(t->ranks, RANK_DROP, &lost);
    if (t->states) {
        for (int64_t i = 0; i < t->w->shape.lanes; i++) {
            if (t->states[i]) model_state_free(t->states[i]);
        }
        for (int i = 0; i < t->threads; i++) {
            tape_free(t->tapes[i]);
        }
    }
    routing_trace_free(t->routing);
    if (t->stream) stream_free(t->stream);
    if (t->optim) optim_free(t->optim);
    if (t->pool) lanes_free(t->pool);
    arena_free(t->memory);
}

/* ---- a step ---- */

/* All of a step's batches before its first lane runs: a target's share of the gradient is 1 / the
 * weight of all of them, which is known only then (padding, and answers that alone count). */
static bool read_inputs(trainer *t, err *e)
{
    int64_t inputs = t->w->train.accumulate * t->w->shape.calls;
    t->step_weight = 0;
    for (int64_t i = 0; i < inputs; i++) {
        if (!stream_next(t->stream, &t->inputs[i], e))
            return err_prefix(e, "reading the training split");
        t->step_weight += t->inputs[i].weight;
    }
    return true;
}

/* Input `index` of the step for the rows of a lane. Random numbers are keyed by row: each call of a
 * step has rows of its own, so that no two draw the same. */
static model_call lane_call(const trainer *t, int64_t index, int64_t lane)
{
    const train_shape *s = &t->w->shape;
    const batch *in = &t->inputs[index];
    int64_t row = lane * s->lane_rows, cell = row * s->context;
    return (model_call){.time = s->context,
                        .tokens = in->tokens + cell,
                        .targets = in->targets + cell,
                        .weights = in->weights + cell,
                        .lengths = in->length + row,
                        .total_weight = t->step_weight,
                        .smoothing = t->w->train.label_smoothing,
                        .mode = MODE_TRAIN,
                        .seed = (uint64_t)t->w->seed,
                        .step = t->progress.step,
                        .row0 = index * t->w->train.batch + row};
}

/* A row is reset where its span begins, before the call that reads the span's first token.
 * Positions are set, slots are left: layers do not look at what they held (layers/layer.h). */
static void reset_rows(model_state *state, const batch *in, int64_t row0, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++) {
        if (in->reset[row0 + r]) model_state_reset_row(state, r, in->position[row0 + r]);
    }
}

/* Where a lane is at work, so that what it has finished can be added up. */
typedef struct lane_place {
    lanes *pool;
    int thread;
} lane_place;

static void say_finished(void *user, int first)
{
    const lane_place *at = user;
    lanes_finish(at->pool, at->thread, first);
}

/* A lane's share of one batch: its segment forwards, then backwards. The loss is a sum over calls
 * on one tape; each call's own part is divided by W already (total_weight), so the backward pass
 * begins with 1. A batch without any target still runs: its state moves on, its loss and gradients
 * are 0. */
static void run_lane(void *arg, int64_t lane, int thread, grads *g)
{
    trainer *t = arg;
    const train_shape *s = &t->w->shape;
    tape *tp = t->tapes[thread];
    model_state *state = t->states[lane];
    lane_sums *sums = &t->sums[lane];
    /* loss is a tensor on this thread's tape: it is valid until the tape is laid for the next lane.
     */
    tensor *loss = NULL;
    model_begin(state, tp, t->values, g);
    for (int64_t c = 0; c < s->calls; c++) {
        int64_t index = t->micro * s->calls + c;
        reset_rows(state, &t->inputs[index], lane * s->lane_rows, s->lane_rows);
        model_call call = lane_call(t, index, lane);
        model_result r = model_forward(state, &call);
        loss = loss ? op_add(tp, loss, r.loss) : r.loss;
        sums->nats += r.nats;
        sums->weight += r.weight;
        for (int i = 0; i < r.metric_count; i++) {
            lane_sums_add(sums, &r.metrics[i], i);
        }
    }
    /* One pass over all calls of the segment: gradients flow through what one hands to the next. */
    lane_place place = {t->pool, thread};
    model_backward(state, loss, say_finished, &place);
    model_end(state);
}

/* All lanes' gradients of all the step's batches, on every rank. NULL and e if one was lost. Sums
 * over lanes (loss, metrics) run over accumulated batches and are cleared once per step; the pool
 * adds the gradients of a batch to those of the batches before. */
static const grads *run_lanes(trainer *t, err *e)
{
    int64_t count = t->w->shape.lanes;
    for (int64_t i = 0; i < count; i++) {
        lane_sums_clear(&t->sums[i]);
    }
    for (int64_t i = 0; t->kept && i < model_params(t->w->model)->pieces; i++) {
        blas_kept_changed(&t->kept[i]);
    }
    const grads *g = NULL;
    for (t->micro = 0; t->micro < t->w->train.accumulate; t->micro++) {
        g = lanes_run(t->pool, run_lane, t, t->micro > 0);
    }
    lane_sums_clear(&t->total);
    if (!lane_sums_gather(t->sums, count, t->ranks, &t->names, e)) return NULL;
    for (int64_t i = 0; i < count; i++) { /* in lane order: equal bits */
        t->total.nats += t->sums[i].nats;
        t->total.weight += t->sums[i].weight;
        for (int m = 0; m < t->sums[i].metric_count; m++) {
            lane_sums_add(&t->total, &t->sums[i].metrics[m], m);
        }
    }
    return g;
}

/* The schedule goes by steps, also where the budget is in tokens: length.steps is then what those
 * take on average. */
static double learning_rate(const trainer *t)
{
    return t->w->optim.lr * schedule_factor(&t->w->schedule, t->progress.step, t->length.steps);
}

/* ---- where a number stopped being one ---- */

static bad_number nothing_bad(const trainer *t)
{
    return (bad_number){.params = model_params(t->w->model), .values = t->values};
}

/* A lane's segment again, with the states that it left behind: they have moved on by a step, which
 * is seldom what breaks a number. g NULL: forwards only. Everything else is the same: text, values,
 * and random numbers, which step and row key. Only a run that is lost anyway comes here, so that
 * the loop that runs every step has no test for it. */
static void run_again(trainer *t, int64_t lane, grads *g, bad_number *b)
{
    const train_shape *s = &t->w->shape;
    model_state *state = t->states[lane];
    tape *tp = t->tapes[0];
    tensor *loss = NULL;
    model_begin(state, tp, t->values, g);
    for (int64_t i = t->micro * s->calls, n = i + s->calls; i < n; i++) {
        reset_rows(state, &t->inputs[i], lane * s->lane_rows, s->lane_rows);
        model_call call = lane_call(t, i, lane);
        call.watch = (layer_watch){.tap = bad_number_tap, .user = b};
        model_result r = model_forward(state, &call);
        if (g) loss = loss ? op_add(tp, loss, r.loss) : r.loss;
    }
    if (g) {
        tape_watch(tp, bad_number_watch, b);
        tape_backward(tp, loss, 1);
        tape_watch(tp, NULL, NULL);
    }
    model_end(state);
}

static bool is_own(const trainer *t, int64_t lane)
{
    return lane >= t->own.first && lane < t->own.first + t->own.count;
}

/* What the first rank found that found something. A lost one is noticed by what comes next. Every
 * rank comes here, whether it found something or not: it is an exchange of all. */
static void agree_on_bad(trainer *t, bad_number *b)
{
    int count = ranks_count(t->ranks), i = 0;
    err lost;
    if (count == 1) return;
    char *all = arena_push_zero(t->memory, count, BAD_NUMBER_BYTES);
    if (!ranks_gather(t->ranks, b->text, BAD_NUMBER_BYTES, all, &lost)) return;
    while (i < count - 1 && !all[(int64_t)i * BAD_NUMBER_BYTES]) {
        i++;
    }
    memcpy(b->text, all + (int64_t)i * BAD_NUMBER_BYTES, BAD_NUMBER_BYTES);
}

/* The first tensor that is not finite, of a loss that is none: a parameter, or the first output on
 * running again the last batch of the first lane that failed. Parameters are looked at first, for
 * with one of them broken every output behind it is, too. All ranks know all lanes' losses and so
 * the same lane; the one that has it runs it. */
static void find_bad_loss(trainer *t, char *text)
{
    bad_number b = nothing_bad(t);
    int64_t lane = 0;
    while (lane + 1 < t->w->shape.lanes && isfinite(t->sums[lane].nats)) {
        lane++;
    }
    t->micro = t->w->train.accumulate - 1;
    bad_number_in_parameters(&b);
    if (!b.text[0] && is_own(t, lane)) run_again(t, lane, NULL, &b);
    agree_on_bad(t, &b);
    snprintf(text, BAD_NUMBER_BYTES, "%s", b.text[0] ? b.text : "loss");
}

/* The op that broke a gradient first, in the order of the backward pass: all lanes are run again
 * until one breaks. If none does, the sum did: the parameter that the optimiser tells. The buffer
 * for it is as large as the model and stays in the run's arena: it is taken once, for a diverged
 * run ends. */
static void find_bad_gradient(trainer *t, const char *parameter, char *text)
{
    bad_number b = nothing_bad(t);
    grads g = {.values = ARENA_NEW(t->memory, real, b.params->total),
               .has = arena_push_zero(t->memory, b.params->pieces, sizeof *g.has)};
    for (int64_t lane = t->own.first; lane < t->own.first + t->own.count; lane++) {
        for (t->micro = 0; t->micro < t->w->train.accumulate && !b.text[0]; t->micro++) {
            memset(g.has, 0, (size_t)b.params->pieces * sizeof *g.has);
            run_again(t, lane, &g, &b);
        }
    }
    agree_on_bad(t, &b);
    if (!b.text[0]) snprintf(b.text, sizeof b.text, "gradient of %.140s", parameter);
    snprintf(text, BAD_NUMBER_BYTES, "%s", b.text);
}

/* ---- the whole ---- */

/* Read, run, add, update: in this order because each needs the whole of the one before. `values`
 * change in optim_step alone, on the pool's threads, when no lane runs. A step whose loss or
 * gradient is no number changes nothing and is not counted: the run is diverged, and its checkpoint
 * is that of the last good step. */
bool trainer_step(trainer *t, train_report *report, err *e)
{
    double begin = host_monotonic_s();
    *report = (train_report){.lr = learning_rate(t)};
    if (!rank_calls_ask(t->ranks, RANK_STEP, e) || !read_inputs(t, e)) return false;
    double read = host_monotonic_s();
    const grads *g = run_lanes(t, e);
    if (!g) return false;
    double ran = host_monotonic_s();
    report->nats = t->total.nats;
    report->weight = t->total.weight;
    report->metrics = t->total.metrics;
    report->metric_count = t->total.metric_count;
    /* A loss that is no number takes no step: what broke it can still be looked at. */
    if (isfinite(report->nats)) {
        optim_report o = optim_step(t->optim, t->values, g, report->lr, t->pool);
        report->grad_norm = o.norm;
        if (o.bad) find_bad_gradient(t, o.bad, report->bad);
    } else {
        find_bad_loss(t, report->bad);
    }
    double end = host_monotonic_s();
    report->data_seconds = read - begin;
    report->optim_seconds = end - ran;
    report->seconds = end - begin;
    if (report->bad[0]) return true;
    train_progress_step(&t->progress, report->nats, report->weight, report->seconds);
    return true;
}

/* By tokens where the budget is in tokens (or FLOPs): the step that reaches them is the last,
 * however many targets steps had. */
bool trainer_finished(const trainer *t)
{
    const train_progress *p = &t->progress;
    return t->length.tokens ? p->tokens >= t->length.tokens : p->step >= t->length.steps;
}

/* Before a checkpoint only: between two of them what other ranks' lanes carry is of no use here. */
bool trainer_gather_states(trainer *t, err *e)
{
    const train_shape *s = &t->w->shape;
    return rank_calls_ask(t->ranks, RANK_STATES, e) &&
           lane_states_gather(t->states, s->lanes, s->lane_rows, t->w->model, t->ranks, e);
}

bool trainer_has_lane(const trainer *t, int64_t lane)
{
    return is_own(t, lane);
}

/* Steps of a trainer of its own, thrown away: nothing of it is in the run. The median, for one step
 * that the machine interrupted should not change the budget. */
bool trainer_calibrate(workload *w, int threads, double seconds, double *step_seconds, err *e)
{
    enum { LEAST = 3, MOST = 200 };
    double times[MOST];
    trainer *t = trainer_new(w, threads, (train_length){.steps = INT64_MAX}, e);
    if (!t) return false;
    double begin = host_monotonic_s();
    int n = 0;
    bool ok = true;
    /* The first step maps memory: it does not count. A step that diverged ends the measurement, as
     * those that follow would. */
    for (int i = 0; ok && n < MOST && (n < LEAST || host_monotonic_s() - begin < seconds); i++) {
        train_report r;
        ok = trainer_step(t, &r, e);
        if (!ok || i == 0) continue;
        times[n++] = r.seconds;
        if (r.bad[0]) break;
    }
    trainer_free(t);
    if (ok) *step_seconds = stats_median(times, n);
    return ok;
}
