/* Rows that learn while they are evaluated, and the gradient statistics of the training split.
 *
 * A row reads a call segment by segment:
 *
 *   1. forward on the row's own parameters: these are the losses that count
 *   2. backward: g, the gradient of the segment's mean loss
 *   3. one update of the row's parameters (dynamic.c)
 *
 * Scored before it is learned from: nothing is predicted with parameters that have seen it. The
 * state that layers carry goes from segment to segment as it does in a plain evaluation, computed
 * with the parameters of its time; it is not computed again with the changed ones. Gradients end at
 * the segment's beginning.
 *
 * Memory is what this costs: a row has parameters and gradients of its own, 2 x params.total
 * elements, beside the shared p0, s and (while they are gathered) squares. That is the price of
 * many rows at a time; time per token is that of training.
 *
 * Threads: a row belongs to one lane and a lane to one thread at a time. The learner changes
 * between passes only (dynamic_learner_set); while rows read it is shared and read-only. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/train/lanes.h"
#include "data/stream.h"
#include "harness/evaluate/dynamic.h"

/* Shared by all rows. values are p0, the model's own; the rule points at them, at learns and at
 * statistics. */
struct dynamic_learner {
    const dynamic_options *options;
    const model *model;
    const real *values;
    int64_t segment, learning; /* elements that learn */
    bool *learns;
    dynamic_statistics statistics;
    dynamic_rule rule;
};

/* values [params.total]: p, this row's copy. grads: of the segment that was read last. */
struct dynamic_row {
    const dynamic_learner *learner;
    real *values;
    grads grads;
};

int64_t dynamic_learner_segment(const dynamic_options *o, const model *m)
{
    return o->segment ? o->segment : model_context(m);
}

/* Positions [at, at + n) of a call of one row: the same arrays, begun later, without a copy.
 * length: how many of them are text. weight: how many count in the loss. */
typedef struct part {
    model_call call;
    int64_t length;
    double weight;
} part;

static part part_of(const model_call *whole, int64_t at, int64_t n)
{
    part p = {.call = *whole, .length = n};
    p.call.time = n;
    p.call.tokens += at;
    p.call.targets += at;
    p.call.weights += at;
    if (whole->losses) p.call.losses += at;
    if (whole->lengths) p.length = MAX(0, MIN(n, whole->lengths[0] - at));
    for (int64_t i = 0; i < n; i++) {
        p.weight += (double)p.call.weights[i];
    }
    return p;
}

/* Reads one part and leaves in g the gradient of its summed loss divided by `weight`: none where
 * nothing of it counts, as where a probe tells. The forward pass is that of a plain evaluation
 * (MODE_EVAL: no dropout), so that with rate 0, which leaves p at p0, the losses are those of one,
 * to the bit where its calls have the same lengths.
 *
 * lengths is set here and not in part_of: it points into the part, which part_of returns by value.
 * Scaling by 1 / weight stands in the backward pass, on the seed of the tape, because the summed
 * loss itself is what a plain evaluation computes. */
static void read_part(part *p, model_state *s, tape *t, const real *values, grads *g, double weight)
{
    bool counts = p->weight > 0;
    p->call.lengths = &p->length;
    model_begin(s, t, values, counts ? g : NULL);
    model_result r = model_forward(s, &p->call);
    if (counts) tape_backward(t, r.loss, (real)(1 / weight));
    model_end(s);
}

/* ---- statistics ---- */

typedef struct gathering {
    dynamic_learner *learner;
    lanes *pool;
    model_state **states; /* [rows] */
    tape **tapes;         /* [threads] */
    int64_t rows;
    batch batch;
    int64_t at, n; /* the part that is read */
    double weight; /* of it, over all rows */
} gathering;

/* Row r of the minibatch as a lane's call [1, time]. */
static part row_part(const gathering *w, int64_t row)
{
    const batch *b = &w->batch;
    model_call call = {.time = b->time,
                       .tokens = b->tokens + row * b->time,
                       .targets = b->targets + row * b->time,
                       .weights = b->weights + row * b->time,
                       .lengths = w->batch.length + row,
                       .mode = MODE_EVAL,
                       .row0 = row};
    return part_of(&call, w->at, w->n);
}

/* A lane of one row, run by a thread of the pool. All lanes divide by the weight of the whole
 * minibatch, so that their sum (lanes_run) is the gradient of its mean loss; each dividing by its
 * own weight would count short rows too much. A lane whose row is dry gives no gradient at all. */
static void gather_lane(void *arg, int64_t lane, int thread, grads *g)
{
    gathering *w = arg;
    part p = row_part(w, lane);
    if (w->at == 0 && w->batch.reset[lane]) {
        model_state_reset_row(w->states[lane], 0, w->batch.position[lane]);
    }
    if (p.length > 0) {
        read_part(&p, w->states[lane], w->tapes[thread], w->learner->values, g, w->weight);
    }
}

/* The statistics are of minibatches as the evaluation will see them: segment by segment, state
 * carried from one to the next, the gradient that of the mean loss over all rows. One minibatch is
 * `batch` rows of one segment: s hangs on that number (a mean over more rows has smaller
 * gradients), which is why `batch` is an option and part of the protocol. */
static void gather_batch(gathering *w)
{
    for (w->at = 0; w->at < w->batch.time; w->at += w->n) {
        w->n = MIN(w->learner->segment, w->batch.time - w->at);
        w->weight = 0;
        for (int64_t r = 0; r < w->rows; r++) {
            w->weight += row_part(w, r).weight;
        }
        const grads *g = lanes_run(w->pool, gather_lane, w, false);
        if (w->weight > 0) dynamic_statistics_add(&w->learner->statistics, g);
    }
}

static bool gathering_open(gathering *w, arena *a, stream **text, corpus *c, int threads, err *e)
{
    const dynamic_learner *l = w->learner;
    int64_t context = model_context(l->model);
    corpus_split *split = corpus_get(c, SPLIT_TRAIN); /* check_text has seen to it */
    w->rows = l->options->batch;
    /* Shuffled, so that few tokens are a sample of the whole split, by a fixed seed (0): the
     * statistics belong to the model and the corpus, not to a run's seed. A call holds several
     * contexts where a segment does, since a segment lies within one call. */
    stream_options so = {.rows = w->rows,
                         .time = MAX(context, l->segment),
                         .block = context,
                         .shuffle = true,
                         .once = true};
    /* More threads than rows would have nothing to take. */
    threads = (int)MIN((int64_t)MAX(threads, 1), w->rows);
    if (!(*text = stream_new(split, &so, e))) return false;
    w->batch = stream_batch(*text);
    w->pool = lanes_new(w->rows, threads, model_params_const(l->model), e);
    if (!w->pool) return false;
    w->states = ARENA_NEW(a, model_state *, w->rows);
    w->tapes = ARENA_NEW(a, tape *, threads);
    for (int64_t i = 0; i < w->rows; i++) {
        w->states[i] = model_state_new(l->model, 1);
    }
    for (int i = 0; i < threads; i++) {
        w->tapes[i] = tape_new();
    }
    return true;
}

static void gathering_close(gathering *w)
{
    if (!w->pool) return;
    for (int64_t i = 0; i < w->rows; i++) {
        model_state_free(w->states[i]);
    }
    for (int i = 0; i < lanes_threads(w->pool); i++) {
        tape_free(w->tapes[i]);
    }
    lanes_free(w->pool);
}

/* A warning, no refusal: the rule is still defined, and learning without a pull may be what the
 * user is after. Without decay there is nothing to warn of. */
static bool check_statistics(const dynamic_learner *l, err *e)
{
    const dynamic_options *o = l->options;
    /* `decays` NULL and decay 0: nothing is pulled, whatever m is. */
    int wild;
    bool decays = o->decays || o->decay > 0;
    if (!dynamic_statistics_check(&l->statistics, l->learns, &wild, e)) return false;
    if (!decays || wild < 0) return true;
    fprintf(
        stderr,
        "loci: warning: eval.dynamic: the gradients of %s are so large that decay pulls half of "
        "the parameters by less than a thousandth of what it says; leave it out with `match`\n",
        l->statistics.params->list[wild].name);
    return true;
}

/* Until enough tokens that count were read, or the split has ended: a short split is read once, not
 * again. The last minibatch is taken whole, so a few more than asked for may be measured. False
 * without a text in e: stopped. */
static bool gather_statistics(dynamic_learner *l, corpus *c, int threads,
                              const volatile sig_atomic_t *stop, err *e)
{
    gathering w = {.learner = l};
    stream *text = NULL;
    arena_auto *a = arena_new(0);
    double read = 0, wanted = (double)l->options->statistics;
    bool ok = gathering_open(&w, a, &text, c, threads, e);
    while (ok && read < wanted && !(stop && *stop)) {
        ok = stream_next(text, &w.batch, e);
        if (!ok) {
            ok = e->text[0] == 0; /* the split is read to its end */
            break;
        }
        gather_batch(&w);
        read += w.batch.weight;
    }
    gathering_close(&w);
    if (text) stream_free(text);
    if (!ok || (stop && *stop)) return false;
    dynamic_statistics_close(&l->statistics, l->learns);
    return check_statistics(l, e);
}

/* ---- the learner ---- */

/* Frozen parameters never learn, whatever `match` says: they were fixed on purpose, and tables
 * (routing) are no weights. A pattern that matches nothing would be a plain evaluation that calls
 * itself dynamic. */
static bool choose_params(dynamic_learner *l, err *e)
{
    const params *p = model_params_const(l->model);
    l->learns = calloc((size_t)MAX(p->count, 1), sizeof *l->learns);
    CHECK(l->learns, "out of memory for %d parameters", p->count);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        l->learns[i] = !q->frozen && fnmatch(l->options->match, q->name, 0) == 0;
        if (l->learns[i]) l->learning += q->count;
    }
    if (l->learning > 0) return true;
    return err_set(e, "eval.dynamic.match: '%s' matches no parameter that can learn; one is %s",
                   l->options->match, p->count > 0 ? p->list[0].name : "none");
}

/* A segment must not straddle a call: calls are one context or one segment long, whichever is
 * longer (eval_pass.c), and layers' blocks lie on the grid of contexts. */
static bool check_segment(const dynamic_learner *l, err *e)
{
    int64_t context = model_context(l->model);
    if (l->segment <= context || l->segment % context == 0) return true;
    return err_set(e,
                   "eval.dynamic.segment: %lld is neither within the context of %lld nor a "
                   "multiple of it",
                   (long long)l->segment, (long long)context);
}

static bool check_text(const dynamic_options *o, corpus *c, err *e)
{
    if (o->kind != DYNAMIC_RMS || corpus_get(c, SPLIT_TRAIN)) return true;
    return err_set(e, "eval.dynamic: the corpus has no train split to measure gradients on; use "
                      "`kind: sgd`");
}

/* All that can be known before there are values. */
static bool begin(dynamic_learner *l, corpus *c, err *e)
{
    return choose_params(l, e) && check_segment(l, e) && check_text(l->options, c, e);
}

bool dynamic_learner_check(const dynamic_options *o, const model *m, corpus *c, err *e)
{
    if (o->kind == DYNAMIC_NONE) return true;
    dynamic_learner l = {.options = o, .model = m, .segment = dynamic_learner_segment(o, m)};
    bool ok = begin(&l, c, e);
    free(l.learns);
    return ok;
}

/* rule.statistics says which rule it is: NULL for sgd, and then no s and m are gathered or asked
 * for. rule.start borrows the trained values, which every row is copied from as well. */
dynamic_learner *dynamic_learner_new(const dynamic_options *o, const model *m, const real *values,
                                     corpus *c, int threads, const volatile sig_atomic_t *stop,
                                     err *e)
{
    CHECK(o->kind != DYNAMIC_NONE, "nothing learns");
    err own = {0};
    const params *p = model_params_const(m);
    dynamic_learner *l = calloc(1, sizeof *l);
    CHECK(l, "out of memory for %zu bytes", sizeof *l);
    *l = (dynamic_learner){
        .options = o, .model = m, .values = values, .segment = dynamic_learner_segment(o, m)};
    bool ok = begin(l, c, &own);
    l->rule = (dynamic_rule){.params = p, .learns = l->learns, .start = values, .eps = o->eps};
    if (ok && o->kind == DYNAMIC_RMS) {
        dynamic_statistics_init(&l->statistics, p);
        l->rule.statistics = &l->statistics;
        ok = gather_statistics(l, c, threads, stop, &own);
    }
    /* The first of the grid, or all there is: a learner is never without a rule, also while it
     * fails. */
    dynamic_learner_set(l, o->rate_values[0], o->decay_values[0]);
    if (ok) return l;
    err_copy(e, &own);
    dynamic_learner_free(l);
    return NULL;
}

void dynamic_learner_free(dynamic_learner *l)
{
    if (!l) return;
    dynamic_statistics_deinit(&l->statistics);
    free(l->learns);
    free(l);
}

void dynamic_learner_set(dynamic_learner *l, double rate, double decay)
{
    l->rule.rate = rate;
    l->rule.decay = decay;
}

double dynamic_learner_rate(const dynamic_learner *l)
{
    return l->rule.rate;
}

double dynamic_learner_decay(const dynamic_learner *l)
{
    return l->rule.decay;
}

/* The update is paid once per segment, whatever the segment's length: short segments learn sooner
 * and cost more. */
double dynamic_learner_flops(const dynamic_learner *l)
{
    /* Per element: 5 for sgd, 10 for rms; a comparison and a division count as one. */
    double update = (l->rule.statistics ? 10 : 5) * (double)l->learning;
    return model_costs(l->model).train_flops + update / (double)l->segment;
}

/* ---- a row ---- */

/* A row begins as the trained model, also before its first document does. */
dynamic_row *dynamic_learner_row_new(const dynamic_learner *l)
{
    const params *p = model_params_const(l->model);
    dynamic_row *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory for a row");
    r->learner = l;
    r->values = malloc((size_t)p->total * sizeof *r->values);
    /* Zero only so that no uninitialised memory is about; what counts is where `has` is set. */
    r->grads.values = calloc((size_t)p->total, sizeof *r->grads.values);
    r->grads.has = calloc((size_t)p->pieces, sizeof *r->grads.has);
    CHECK(r->values && r->grads.values && r->grads.has, "out of memory for a row's %lld parameters",
          (long long)p->total);
    memcpy(r->values, l->values, (size_t)p->total * sizeof *r->values);
    return r;
}

void dynamic_learner_row_free(dynamic_row *r)
{
    if (!r) return;
    free(r->values);
    free(r->grads.values);
    free(r->grads.has);
    free(r);
}

real *dynamic_learner_row_values(dynamic_row *r)
{
    return r->values;
}

/* At a document's beginning the row's parameters go back to p0, unless it is to carry on what it
 * learned (`carry`): documents are then scored by a model that has read those before, and depend on
 * their order and on `rows`.
 *
 * A segment that is all padding is passed over, for there is nothing to read. One that is read
 * without any target that counts moves the state and leaves the parameters, `decay` included: an
 * update is made per scored segment. */
void dynamic_learner_row_read(dynamic_row *r, model_state *s, tape *t, const model_call *call,
                              bool begins)
{
    const dynamic_learner *l = r->learner;
    const params *p = l->rule.params;
    if (begins && !l->options->carry) {
        memcpy(r->values, l->values, (size_t)p->total * sizeof *r->values);
    }
    for (int64_t at = 0, n; at < call->time; at += n) {
        n = MIN(l->segment, call->time - at);
        part now = part_of(call, at, n);
        if (now.length <= 0) continue;
        memset(r->grads.has, 0, (size_t)p->pieces * sizeof *r->grads.has);
        read_part(&now, s, t, r->values, &r->grads, now.weight);
        if (now.weight > 0) dynamic_step(&l->rule, r->values, &r->grads);
    }
}
