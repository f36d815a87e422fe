#include "harness/evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/host.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/eval_pass.h"
#include "harness/evaluate/eval_ranks.h"

/* One evaluation, from options to figures. The work is elsewhere: the pass over the text in
 * eval_pass.c, its text in eval_calls.c, learning in dynamic_learner.c, what is kept on the way in
 * eval_keep.c. Here is the order in which these are opened, run and closed, what is made of the
 * sums afterwards (bytes, words, slices), and the search over a grid before a model that learns is
 * scored.
 *
 * The units of the figures:
 *
 *   bits per byte   = nats / ln 2 / bytes      of the original text: comparable across tokenizers
 *   word perplexity = exp(nats / words)        words as the original text's white space parts them
 *
 * so bytes and words have to be those of exactly what was scored. Wherever that is not known the
 * count is -1, and the figure missing, never a guess. -1 is catching: one document of unknown bytes
 * makes the sum unknown. */

/* `losses` and `cleared` are incidental, no part of identities: they decide what is told beside the
 * loss, not the loss. */
const option EVAL_OPTIONS[] = {
    {"split", OPTION_CHOICE, offsetof(eval_options, split), .initial = "validation",
     .choices = "train|validation|test", .help = "documents to evaluate on"},
    {"rows", OPTION_INT, offsetof(eval_options, rows), .initial = "8", .min = 1, .max = 65536,
     .help = "documents read in parallel"},
    {"tokens", OPTION_INT, offsetof(eval_options, tokens), .initial = "0", .min = 0, .max = 1e15,
     .help = "only the first so many tokens of the split; 0: all"},
    {"document_tokens", OPTION_INT, offsetof(eval_options, most), .initial = "0", .min = 0,
     .max = 1e15, .help = "only the first so many tokens of each document; 0: all"},
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
    {"sample", OPTION_NODE, offsetof(eval_options, sample_node),
     .help = "{prompt: TEXT, tokens: N}: a text that the model writes after the final evaluation"},
    {0}};

bool eval_options_read(eval_options *o, const node *n, arena *a, err *e)
{
    *o = (eval_options){0};
    return options_read(o, EVAL_OPTIONS, n, NULL, a, e) &&
           dynamic_options_read(&o->dynamic, o->dynamic_node, a, e) &&
           sample_options_read(&o->sample, o->sample_node, a, e);
}

/* Through the option table: two spellings of the same, a default written out or not, are equal
 * behind it. */
node *eval_options_changed(arena *a, const node *eval)
{
    eval_options o;
    err ignored;
    if (!eval || !eval_options_read(&o, eval, a, &ignored)) return NULL;
    return options_changed(a, &o, EVAL_OPTIONS);
}

split_kind eval_options_split(const eval_options *o)
{
    return (split_kind)o->split;
}

/* The section may be missing, and its defaults be what does not fit. */
static bool refused(const node *spec, const char *key, const char *text, err *e)
{
    const node *at = node_at(spec, key);
    return at ? node_err(e, at, "%s", text) : err_set(e, "%s: %s", key, text);
}

bool eval_options_check(const eval_options *o, const node *spec, const model *m, corpus *c, err *e)
{
    const dynamic_options *d = &o->dynamic;
    err lacking;
    const corpus_split *split = corpus_need(c, eval_options_split(o), &lacking);
    if (!split) return refused(spec, "eval.split", lacking.text, e);
    if (d->kind != DYNAMIC_NONE && d->rate_count * d->decay_count > 1 &&
        !corpus_get(c, SPLIT_VALIDATION)) {
        return refused(spec, "eval.dynamic", "a grid needs a validation split; give one rate", e);
    }
    if (eval_calls_scored(split, o->tokens, o->most) == 0) {
        return refused(spec, "eval.tokens",
                       "nothing of what is evaluated gets a loss; evaluate more", e);
    }
    return dynamic_learner_check(d, m, c, e);
}

/* ---- what the sums are sums over ---- */

/* Bytes of the first n tokens of a document, by decoding them, a piece at a time: a document may be
 * a book. -1: it could not be read or decoded. */
static int64_t decoded_bytes(const eval_pass *p, int64_t index, int64_t n)
{
    enum { PIECE = 4096 };
    int32_t ids[PIECE];
    int64_t bytes = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t count = MIN((int64_t)PIECE, n - at);
        char *text = NULL;
        if (split_read(p->split, index, at, count, ids, NULL)) {
            text = corpus_decode(p->task->corpus, ids, count);
        }
        if (!text) return -1;
        bytes += (int64_t)strlen(text);
        free(text);
    }
    return bytes;
}

/* In the order of what it costs: a document scored whole has its bytes in the table of documents;
 * of a part of it, tokens that are bytes say it themselves; only the rest is decoded. Tokens
 * without bytes mean that bytes are unknown (data/corpus.h). */
static int64_t scored_bytes(const eval_pass *p, const eval_document *d, const document *whole)
{
    if (whole->bytes == 0 && whole->tokens > 0) return -1;
    if (d->tokens == whole->tokens) return whole->bytes;
    if (whole->bytes == whole->tokens) return d->tokens; /* tokens are bytes */
    return decoded_bytes(p, d->index, d->tokens);
}

/* What stands for the unknown can be counted in a part of a document, token by token; which bytes
 * of the original it stood for cannot, as the token does not say. */
static void count_unknown(eval_pass *p, const eval_document *d, const document *whole)
{
    evaluation *r = p->result;
    int64_t unknown = split_unknown_of(p->split, d->index, d->tokens);
    int64_t bytes = unknown == 0 ? 0 : d->tokens == whole->tokens ? whole->unknown_bytes : -1;
    r->unknown = r->unknown < 0 || unknown < 0 ? -1 : r->unknown + unknown;
    r->unknown_bytes = r->unknown_bytes < 0 || bytes < 0 ? -1 : r->unknown_bytes + bytes;
}

/* Fills in what the pass did not need: names, bytes, words, and the sums over documents. The
 * documents' order is the text's, so the sum over them is the same however they were read. */
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
        /* No words is no words: of a blank document every part has none. */
        d->words = r->words >= 0 && (complete || whole.words == 0) ? whole.words : -1;
        d->bytes = corpus_lossless(c) ? scored_bytes(p, d, &whole) : -1;
        r->nats += d->nats;
        r->tokens += d->tokens;
        r->bytes = r->bytes < 0 || d->bytes < 0 ? -1 : r->bytes + d->bytes;
        r->words = r->words < 0 || d->words < 0 ? -1 : r->words + d->words;
        count_unknown(p, d, &whole);
    }
}

/* Only now does every token have its loss, in the order of the text: rows read places of the
 * text side by side, and a slice by repetition needs a document from its beginning. */
static bool measure_slices(eval_pass *p, err *e)
{
    evaluation *r = p->result;
    if (!p->task->slices || r->stopped || r->answers_only) return true;
    slice_document *list = ARENA_NEW(r->memory, slice_document, r->count);
    for (int i = 0; i < r->count; i++) {
        list[i] = (slice_document){r->documents[i].index, r->documents[i].tokens};
    }
    r->slices = ARENA_NEW(r->memory, slices, 1);
    const slice_text text = {.split = eval_options_split(p->task->options),
                             .context = p->context,
                             .span = p->task->options->span,
                             .documents = list,
                             .count = r->count};
    return slices_measure(r->slices, p->task->corpus, &text, &p->losses_out, e);
}

/* Sum and size of a document's losses in the file. */
static bool sum_of(double *sum, double *size, const eval_pass *p, int64_t i, err *e)
{
    enum { PIECE = 1 << 12 };
    float losses[PIECE];
    const int64_t first = p->text.first[i], end = p->result->documents[i].tokens;
    *sum = *size = 0;
    for (int64_t at = 0; at < end; at += PIECE) {
        int64_t n = MIN((int64_t)PIECE, end - at);
        if (!losses_file_get(&p->losses_out, losses, n, first + at, e)) return false;
        for (int64_t k = 0; k < n; k++) {
            *sum += (double)losses[k];
            *size += fabs((double)losses[k]);
        }
    }
    return true;
}

/* What earlier sittings wrote may have been changed since. Every loss stands twice, in the file and
 * in its document's sum; where the two say another, nobody knows which is right, and who looked on
 * has counted already: what was kept goes, so that the next command begins at the beginning.
 * A float is off by 2^-24 of itself at most; as much again is more than sums in double are off. */
static bool losses_hold(const eval_pass *p, err *e)
{
    static const double ROUNDING = 0x1p-23;
    const evaluation *r = p->result;
    if (p->losses_out.fd < 0 || !p->losses_out.continued || r->stopped) return true;
    for (int i = 0; i < r->count; i++) {
        double sum, size, nats = r->documents[i].nats;
        /* One that is there and cannot be read is no other one: what was kept stays. */
        bool whole = losses_file_reaches(&p->losses_out, p->text.first[i] + r->documents[i].tokens);
        if (whole && !sum_of(&sum, &size, p, i, e)) return false;
        if (whole && (!isfinite(nats) || fabs(sum - nats) <= ROUNDING * size)) continue;
        return eval_keep_forget(p, e) &&
               err_set(e,
                       "%s: is not what an earlier sitting of the evaluation wrote; what was kept "
                       "is removed, and to run it again (--retry failed) makes all of it anew",
                       p->losses_out.temporary);
    }
    return true;
}

/* All documents of a probe are made by one option (data/probe.c), so the first speaks for all. */
static bool answers_only(const corpus_split *s)
{
    return split_documents(s) > 0 && split_document(s, 0).answers_only;
}

/* An evaluation of fixed weights, or the last pass of weights that learn (task->learner set).
 *
 * The order matters: losses_file_open before eval_pass_resume, which looks whether the file of an
 * earlier sitting is there; losses_hold and measure_slices before losses_file_close, for they read
 * the losses back; and losses_file_close even after a failure, to take the temporary file away. A
 * stopped pass keeps nothing under the final name: a losses file at its path is always complete.
 *
 * r->seconds is the pass, all sittings together; count_units and the slices are not in it. */
static bool run_task(evaluation *r, const eval_task *task, err *e)
{
    *r = (evaluation){.memory = arena_new(1 << 16)};
    eval_pass p = {.task = task, .result = r, .losses_out.fd = -1};
    p.split = corpus_need(task->corpus, eval_options_split(task->options), e);
    bool ok = p.split || err_prefix(e, "eval.split");
    p.began = host_monotonic_s();
    arena_auto *scratch = arena_new(0);
    ok = ok && eval_pass_open(&p, scratch, e);
    r->answers_only = ok && answers_only(p.split);
    if (ok && !r->answers_only && (task->losses_path || task->slices)) {
        const char *part = task->keep ? task->keep->path : NULL;
        ok = losses_file_open(&p.losses_out, task->losses_path, part, e);
    }
    ok = ok && eval_pass_resume(&p, e) && eval_pass_run(&p, e);
    r->seconds = p.complete ? p.before : p.before + host_monotonic_s() - p.began;
    ok = ok && losses_hold(&p, e) && measure_slices(&p, e);
    ok = losses_file_close(&p.losses_out, ok && !r->stopped, ok ? e : NULL) && ok;
    r->anon_bytes = host_memory_now().anon_bytes;
    /* Of a learner: forward, backward and update, so that what learning costs stands beside what it
     * gains. */
    r->flops_per_token = task->learner ? dynamic_learner_flops(task->learner)
                                       : model_costs(task->model).forward_flops;
    if (ok) {
        /* They lie in the scratch memory, which ends here. */
        eval_document *kept = ARENA_NEW(r->memory, eval_document, r->count);
        memcpy(kept, r->documents, (size_t)r->count * sizeof *kept);
        r->documents = kept;
        count_units(&p);
        /* Of tokens that are read: of a probe few of them get a loss. */
        double read = (double)(r->stopped ? r->tokens : p.text.limit);
        r->tokens_per_second = r->seconds > 0 ? read / r->seconds : (double)NAN;
    }
    eval_pass_close(&p);
    if (!ok) evaluate_deinit(r);
    return ok;
}

/* The others' side of a shared pass. They read the same text and cut it into the same lanes as rank
 * 0 (that is why q names tokens, what is forgotten, and threads), run their own lanes of every
 * round and send the losses. They keep no sums and no files, and their `r` is only what
 * eval_pass_open fills. */
bool evaluate_help(const eval_task *task, const rank_request *q, err *e)
{
    eval_task own = *task;
    eval_options o;
    eval_forget forget;
    eval_ranks_task(&own, &o, &forget, q);
    evaluation r = {.memory = arena_new(1 << 16)};
    eval_pass p = {.task = &own, .result = &r, .losses_out.fd = -1};
    p.split = corpus_get(task->corpus, eval_options_split(&o));
    bool ok = eval_pass_open(&p, r.memory, e);
    eval_ranks_join(&p);
    ok = ok && eval_pass_run(&p, e);
    eval_pass_close(&p);
    evaluate_deinit(&r);
    return ok;
}

/* ---- models that learn while they read ---- */

/* Sets the rate and decay of the grid that lose least on the validation split: choosing on the
 * split that is scored would be choosing by its answers. Trials are in the order rate-major, and
 * only a smaller loss replaces an earlier choice, so ties go to what stands first in the spec, and
 * a diverged trial (NaN) never wins. If all of them diverge, the first one is applied and its NaN
 * stands in the record.
 *
 * Each trial is kept on the way under a name of its own, PATH-i: the trials share the final pass's
 * identity, and without the number one trial would go on from another's sums. */
static bool choose_from_grid(dynamic_learner *l, const eval_task *task, bool *stopped, err *e)
{
    const dynamic_options *d = &task->options->dynamic;
    eval_options o = *task->options;
    o.split = SPLIT_VALIDATION;
    o.tokens = d->grid_tokens;
    eval_task trial = *task;
    trial.options = &o;
    /* A trial leaves nothing but its loss: no files, and nobody looks on. */
    trial.losses_path = NULL;
    trial.slices = false;
    trial.watch = NULL;
    if (!trial.reader.trial) trial.reader.heard = NULL;
    trial.learner = l;
    eval_keep keep = task->keep ? *task->keep : (eval_keep){0};
    char part[FILE_PATH_BYTES];
    if (keep.path) trial.keep = &keep;
    double least = (double)INFINITY, rate = d->rate_values[0], decay = d->decay_values[0];
    for (int i = 0; i < d->rate_count * d->decay_count && !*stopped; i++) {
        evaluation r;
        if (keep.path) snprintf(part, sizeof part, "%s-%d", task->keep->path, i);
        keep.path = keep.path ? part : NULL;
        if (trial.reader.trial) {
            trial.reader.trial(trial.reader.user, i + 1, d->rate_count * d->decay_count);
        }
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
    if (trial.reader.trial) trial.reader.trial(trial.reader.user, 0, 0);
    dynamic_learner_set(l, rate, decay);
    return true;
}

/* Three passes over text: gradient statistics of the training split (kind rms), trials of a grid,
 * and the evaluation that counts. What each took is recorded beside the figure: a comparison with a
 * model that reads once has to tell these seconds too. A stop during the first two leaves an empty
 * evaluation that is `stopped`, for there are no sums yet. */
static bool run_learning(evaluation *r, const eval_task *task, err *e)
{
    const dynamic_options *d = &task->options->dynamic;
    err own = {0};
    double begin = host_monotonic_s();
    dynamic_learner *l = dynamic_learner_new(d, task->model, task->values, task->corpus,
                                             task->threads, task->stop, &own);
    double gathered = host_monotonic_s();
    *r = (evaluation){0};
    /* No learner and no text: stopped while the statistics were gathered. */
    if (!l && own.text[0]) return err_copy(e, &own);
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

/* A task that already has its learner is one of run_learning's own passes: without that question
 * they would make learners without end. */
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
