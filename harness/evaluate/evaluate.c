#include "harness/evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/host.h"
#include "data/stream.h"
#include "harness/evaluate/losses_file.h"

const option EVAL_OPTIONS[] = {
    {"split", OPTION_CHOICE, offsetof(eval_options, split), .initial = "validation",
     .choices = "train|validation|test", .help = "documents to evaluate on"},
    {"rows", OPTION_INT, offsetof(eval_options, rows), .initial = "8", .min = 1, .max = 65536,
     .help = "documents read in parallel"},
    {"tokens", OPTION_INT, offsetof(eval_options, tokens), .initial = "0", .min = 0, .max = 1e15,
     .help = "only the first so many tokens of the split; 0: all"},
    {"context", OPTION_INT, offsetof(eval_options, context), .initial = "0", .min = 0, .max = 1e7,
     .help = "tokens of a block; 0: the model's context"},
    {"stored", OPTION_INT, offsetof(eval_options, stored), .initial = "0", .min = 0, .max = 1e7,
     .help = "past positions held by layers that store them; 0: as trained"},
    {"span", OPTION_INT, offsetof(eval_options, span), .initial = "0", .min = 0, .max = 1e15,
     .help = "carried state is forgotten every so many tokens; 0: only between documents"},
    {"losses", OPTION_BOOL, offsetof(eval_options, losses), .initial = "true",
     .help = "keep the loss of every token of the final evaluation", .incidental = true},
    {"cleared", OPTION_INT, offsetof(eval_options, cleared), .initial = "16k", .min = 0,
     .max = 1e15,
     .help = "tokens on which the final evaluation measures what carried states are worth; 0: not",
     .incidental = true},
    {"dynamic", OPTION_NODE, offsetof(eval_options, dynamic_node),
     .help = "{kind: sgd|rms, ...}: the model learns from what it has been scored on"},
    {0}};

bool eval_options_read(eval_options *o, const node *n, arena *a, err *e)
{
    *o = (eval_options){0};
    return options_read(o, EVAL_OPTIONS, n, NULL, a, e) &&
           dynamic_options_read(&o->dynamic, o->dynamic_node, a, e);
}

split_kind eval_options_split(const eval_options *o)
{
    return (split_kind)o->split;
}

/* ---- the pass over the text ---- */

typedef struct eval_pass {
    const eval_task *task;
    corpus_split *split;
    int64_t limit;     /* tokens of the split that count */
    int64_t documents; /* that hold them */
    int64_t *first;    /* [documents]: tokens of the split before each */
    int64_t lane_count, lane_rows, context;
    int64_t time; /* positions per call: a context, or a longer segment to learn from */
    lanes *pool;
    model_state **states;   /* [lane_count] */
    dynamic_row **learning; /* [lane_count], if the model learns; else NULL */
    tape **tapes;           /* [threads] */
    int tape_count;
    double *losses; /* [rows, time] */
    float *line;    /* [time]: one row's losses on their way to the file */
    stream *stream;
    batch batch;
    bool *reads; /* [rows]: text before the limit, in this call */
    evaluation *result;
    losses_file losses_out;
} eval_pass;

static int64_t lanes_for(int64_t rows, int64_t at_most)
{
    int64_t n = at_most > 0 ? MIN(rows, at_most) : rows;
    while (rows % n != 0) {
        n--;
    }
    return n;
}

/* Finds which documents hold the tokens that count. */
static void read_split(eval_pass *p, arena *a)
{
    int64_t all = split_documents(p->split), total = split_tokens(p->split);
    p->limit = p->task->options->tokens ? MIN(p->task->options->tokens, total) : total;
    p->first = ARENA_NEW(a, int64_t, all);
    int64_t before = 0;
    for (int64_t i = 0; i < all && before < p->limit; i++) {
        p->first[p->documents++] = before;
        before += split_document(p->split, i).tokens;
    }
    p->result->documents = arena_push_zero(a, p->documents, sizeof(eval_document));
    p->result->count = (int)p->documents;
    for (int64_t i = 0; i < p->documents; i++) {
        p->result->documents[i].index = i;
    }
}

/* True if the model carries nothing from one whole block to the next. Then its documents may be cut
 * between blocks without changing a loss. */
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

static bool pass_open(eval_pass *p, arena *a, err *e)
{
    const eval_task *task = p->task;
    const eval_options *o = task->options;
    p->context = model_context(task->model);
    bool learns = task->learner;
    p->time =
        learns ? MAX(p->context, dynamic_learner_segment(&o->dynamic, task->model)) : p->context;
    p->lane_count = learns ? o->rows : lanes_for(o->rows, task->lanes);
    p->lane_rows = o->rows / p->lane_count;
    read_split(p, a);
    /* What a model has learned it carries through the document. */
    int64_t span = o->span ? o->span : !learns && stateless(p) ? p->context : 0;
    stream_options so = {
        .rows = o->rows, .time = p->time, .block = p->context, .span = span, .once = true};
    if (!(p->stream = stream_new(p->split, &so, e))) return false;
    p->tape_count = (int)MIN((int64_t)MAX(task->threads, 1), p->lane_count);
    if (!(p->pool = lanes_new(p->lane_count, p->tape_count, NULL, e))) return false;
    p->states = arena_push_zero(a, p->lane_count, sizeof *p->states);
    for (int64_t i = 0; i < p->lane_count; i++) {
        p->states[i] = model_state_new(task->model, p->lane_rows);
    }
    if (learns) {
        p->learning = ARENA_NEW(a, dynamic_row *, p->lane_count);
        for (int64_t i = 0; i < p->lane_count; i++) {
            p->learning[i] = dynamic_learner_row_new(task->learner);
        }
    }
    p->tapes = arena_push_zero(a, p->tape_count, sizeof *p->tapes);
    for (int i = 0; i < p->tape_count; i++) {
        p->tapes[i] = tape_new();
    }
    p->losses = ARENA_NEW(a, double, o->rows * p->time);
    p->reads = ARENA_NEW(a, bool, o->rows);
    p->line = ARENA_NEW(a, float, p->time);
    return true;
}

static void pass_close(eval_pass *p)
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
    if (p->stream) stream_free(p->stream);
    if (p->pool) lanes_free(p->pool);
}

/* Takes the weight of tokens behind the limit; notes which rows still read text before it, and
 * returns whether any does. A row that has passed the limit never comes back before it, for
 * documents and spans are read in order. */
static bool cut_weights(eval_pass *p)
{
    batch *b = &p->batch;
    bool any = false;
    for (int64_t r = 0; r < b->rows; r++) {
        real *weights = b->weights + r * b->time;
        int64_t d = b->document[r];
        int64_t room = d < 0 || d >= p->documents ? 0 : p->limit - p->first[d] - b->begin[r];
        for (int64_t i = 0; i < b->time; i++) {
            if (i >= room) weights[i] = 0;
        }
        p->reads[r] = room > 0 && b->length[r] > 0;
        any |= p->reads[r];
    }
    return any;
}

static bool any_reads(const bool *reads, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (reads[i]) return true;
    }
    return false;
}

static bool any_weight(const real *weights, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (weights[i] > 0) return true;
    }
    return false;
}

/* The call of a lane under inspection. */
static void watched_forward(eval_pass *p, model_state *s, model_call *call, int64_t row, int thread)
{
    const batch *b = &p->batch;
    const eval_watch *w = p->task->watch;
    int64_t *first = tape_keep(p->tapes[thread], p->lane_rows, sizeof *first);
    for (int64_t r = 0; r < p->lane_rows; r++) {
        int64_t d = b->document[row + r];
        first[r] = d < 0 || d >= p->documents ? -1 : p->first[d] + b->begin[row + r];
    }
    eval_view view = {.rows = p->lane_rows,
                      .time = call->time,
                      .tokens = call->tokens,
                      .targets = call->targets,
                      .weights = call->weights,
                      .document = b->document + row,
                      .begin = b->begin + row,
                      .first = first};
    call->tap_user = w->begin(w->user, thread, &view);
    if (call->tap_user) {
        call->tap = w->tap;
        call->fired = w->fired;
        call->exchanged = w->exchanged;
    }
    model_forward(s, call);
    if (call->tap_user) w->end(call->tap_user);
}

static void eval_lane(void *arg, int64_t lane, int thread, grads *g)
{
    (void)g;
    eval_pass *p = arg;
    const batch *b = &p->batch;
    model_state *s = p->states[lane];
    int64_t row = lane * p->lane_rows, cell = row * b->time;
    if (!any_reads(p->reads + row, p->lane_rows)) return;
    for (int64_t r = 0; r < p->lane_rows; r++) {
        if (b->reset[row + r]) model_state_reset_row(s, r, b->position[row + r]);
    }
    model_call call = {.time = b->time,
                       .tokens = b->tokens + cell,
                       .targets = b->targets + cell,
                       .weights = b->weights + cell,
                       .lengths = b->length + row,
                       .mode = MODE_EVAL,
                       .seed = p->task->seed,
                       .row0 = row,
                       .losses = p->losses + cell};
    if (p->learning) {
        dynamic_learner_row_read(p->learning[lane], s, p->tapes[thread], &call, b->begin[row] == 0);
        return;
    }
    const eval_forget *forget = p->task->forget;
    if (forget) model_state_forget(s, forget->self, forget->kind);
    model_begin(s, p->tapes[thread], p->task->values, NULL);
    if (p->task->watch) {
        watched_forward(p, s, &call, row, thread);
    } else {
        model_forward(s, &call);
    }
    model_end(s);
}

/* Row by row, in the order of the text: sums do not depend on lanes or threads. */
static bool collect_losses(eval_pass *p, err *e)
{
    const batch *b = &p->batch;
    for (int64_t r = 0; r < b->rows; r++) {
        const real *weights = b->weights + r * b->time;
        if (!any_weight(weights, b->time)) continue;
        eval_document *d = &p->result->documents[b->document[r]];
        int64_t n = 0;
        for (int64_t i = 0; i < b->time; i++) {
            if (!(weights[i] > 0)) continue;
            double loss = p->losses[r * b->time + i];
            d->nats += loss;
            p->line[n++] = (float)loss;
        }
        d->tokens += n;
        int64_t token = p->first[b->document[r]] + b->begin[r];
        if (p->losses_out.fd >= 0 && !losses_file_put(&p->losses_out, p->line, n, token, e)) {
            return false;
        }
    }
    return true;
}

static bool run_pass(eval_pass *p, err *e)
{
    if (e) e->text[0] = 0;
    err own = {0};
    while (stream_next(p->stream, &p->batch, &own)) {
        if (p->task->stop && *p->task->stop) {
            p->result->stopped = true;
            return true;
        }
        if (!cut_weights(p)) return true;
        lanes_run(p->pool, eval_lane, p, false);
        if (!collect_losses(p, e)) return false;
    }
    if (own.text[0]) return err_set(e, "%s", own.text);
    return true;
}

/* ---- what the sums are sums over ---- */

/* Bytes of the first n tokens of a document, by decoding them. */
static int64_t decoded_bytes(const eval_pass *p, int64_t index, int64_t n)
{
    enum { PIECE = 4096 };
    int32_t ids[PIECE];
    int64_t bytes = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t count = MIN((int64_t)PIECE, n - at);
        char *text = NULL;
        if (split_read(p->split, index, at, count, ids, NULL)) {
            text = corpus_decode(p->task->corpus, ids, count, NULL);
        }
        if (!text) return -1;
        bytes += (int64_t)strlen(text);
        free(text);
    }
    return bytes;
}

static int64_t scored_bytes(const eval_pass *p, const eval_document *d, const document *whole)
{
    if (whole->bytes == 0 && whole->tokens > 0) return -1;
    if (d->tokens == whole->tokens) return whole->bytes;
    if (whole->bytes == whole->tokens) return d->tokens; /* tokens are bytes */
    return decoded_bytes(p, d->index, d->tokens);
}

static void count_units(eval_pass *p)
{
    corpus *c = p->task->corpus;
    evaluation *r = p->result;
    r->bytes = corpus_lossless(c) ? 0 : -1;
    r->words = corpus_has_words(c) ? 0 : -1;
    for (int i = 0; i < r->count; i++) {
        eval_document *d = &r->documents[i];
        document whole = split_document(p->split, d->index);
        bool complete = d->tokens == whole.tokens;
        d->name = arena_strdup(r->memory, whole.name);
        /* 0 bytes or words of a document with tokens: nobody counted them. */
        d->words = r->words >= 0 && complete && (whole.words || !whole.tokens) ? whole.words : -1;
        d->bytes = corpus_lossless(c) ? scored_bytes(p, d, &whole) : -1;
        r->nats += d->nats;
        r->tokens += d->tokens;
        r->bytes = r->bytes < 0 || d->bytes < 0 ? -1 : r->bytes + d->bytes;
        r->words = r->words < 0 || d->words < 0 ? -1 : r->words + d->words;
    }
}

/* Only now does every token have its loss, in the order of the text. */
static bool measure_slices(eval_pass *p, err *e)
{
    evaluation *r = p->result;
    if (!p->task->slices || r->stopped || r->answers_only) return true;
    slice_document *list = ARENA_NEW(r->memory, slice_document, r->count);
    for (int i = 0; i < r->count; i++) {
        list[i] = (slice_document){r->documents[i].index, r->documents[i].tokens};
    }
    r->slices = ARENA_NEW(r->memory, slices, 1);
    return slices_measure(r->slices, p->task->corpus, eval_options_split(p->task->options), list,
                          r->count, p->losses_out.fd, e);
}

static bool answers_only(const corpus_split *s)
{
    return split_documents(s) > 0 && split_document(s, 0).answers_only;
}

static bool run_task(evaluation *r, const eval_task *task, err *e)
{
    *r = (evaluation){.memory = arena_new(1 << 16)};
    eval_pass p = {.task = task, .result = r, .losses_out.fd = -1};
    p.split = corpus_get(task->corpus, eval_options_split(task->options));
    bool ok = true;
    if (!p.split) {
        ok = err_set(e, "eval.split: the corpus has no %s split; choose another",
                     split_name(eval_options_split(task->options)));
    }
    double begin = host_monotonic_s();
    arena *scratch = arena_new(0);
    ok = ok && pass_open(&p, scratch, e);
    r->answers_only = ok && answers_only(p.split);
    if (ok && !r->answers_only && (task->losses_path || task->slices)) {
        ok = losses_file_open(&p.losses_out, task->losses_path, e);
    }
    ok = ok && run_pass(&p, e);
    r->seconds = host_monotonic_s() - begin;
    ok = ok && measure_slices(&p, e);
    ok = losses_file_close(&p.losses_out, ok && !r->stopped, ok ? e : NULL) && ok;
    r->anon_bytes = host_memory_now().anon_bytes;
    r->flops_per_token = task->learner ? dynamic_learner_flops(task->learner)
                                       : model_costs(task->model).forward_flops;
    if (ok) {
        eval_document *kept = ARENA_NEW(r->memory, eval_document, r->count);
        memcpy(kept, r->documents, (size_t)r->count * sizeof *kept);
        r->documents = kept;
        count_units(&p);
        r->tokens_per_second = r->seconds > 0 ? (double)r->tokens / r->seconds : (double)NAN;
    }
    pass_close(&p);
    arena_free(scratch);
    if (!ok) evaluate_deinit(r);
    return ok;
}

/* ---- models that learn while they read ---- */

/* Sets the rate and decay of the grid that lose least on the validation split. */
static bool choose_from_grid(dynamic_learner *l, const eval_task *task, bool *stopped, err *e)
{
    const dynamic_options *d = &task->options->dynamic;
    eval_options o = *task->options;
    o.split = SPLIT_VALIDATION;
    o.tokens = d->grid_tokens;
    eval_task trial = *task;
    trial.options = &o;
    trial.losses_path = NULL;
    trial.slices = false;
    trial.watch = NULL;
    trial.learner = l;
    double least = (double)INFINITY, rate = d->rate_values[0], decay = d->decay_values[0];
    for (int i = 0; i < d->rate_count * d->decay_count && !*stopped; i++) {
        evaluation r;
        dynamic_learner_set(l, d->rate_values[i / d->decay_count],
                            d->decay_values[i % d->decay_count]);
        if (!run_task(&r, &trial, e)) return false;
        *stopped = r.stopped;
        if (r.nats < least) { /* never true of a NaN */
            least = r.nats;
            rate = dynamic_learner_rate(l);
            decay = dynamic_learner_decay(l);
        }
        evaluate_deinit(&r);
    }
    dynamic_learner_set(l, rate, decay);
    return true;
}

static bool run_learning(evaluation *r, const eval_task *task, err *e)
{
    const dynamic_options *d = &task->options->dynamic;
    err own = {{0}};
    double begin = host_monotonic_s();
    dynamic_learner *l = dynamic_learner_new(d, task->model, task->values, task->corpus,
                                             task->threads, task->stop, &own);
    double gathered = host_monotonic_s();
    *r = (evaluation){0};
    if (!l && own.text[0]) return err_set(e, "%s", own.text);
    bool stopped = !l, ok = true;
    if (!stopped && d->rate_count * d->decay_count > 1) ok = choose_from_grid(l, task, &stopped, e);
    double chosen = host_monotonic_s();
    if (ok && stopped) {
        *r = (evaluation){.memory = arena_new(1 << 10), .stopped = true};
    } else if (ok) {
        eval_task final = *task;
        final.learner = l;
        ok = run_task(r, &final, e);
    }
    if (ok && !stopped) {
        r->dynamic = true;
        r->rate = dynamic_learner_rate(l);
        r->decay = dynamic_learner_decay(l);
        r->statistics_seconds = gathered - begin;
        r->grid_seconds = chosen - gathered;
    }
    dynamic_learner_free(l);
    return ok;
}

bool evaluate(evaluation *r, const eval_task *task, err *e)
{
    bool learns = task->options->dynamic.kind != DYNAMIC_NONE && !task->learner;
    return learns ? run_learning(r, task, e) : run_task(r, task, e);
}

void evaluate_deinit(evaluation *r)
{
    if (r->memory) arena_free(r->memory);
    *r = (evaluation){0};
}
