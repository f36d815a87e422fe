/* Evaluation: sums that do not depend on rows, threads or cuts; what was scored, exactly. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/train/spec_model.h"
#include "harness/train/trainer.h"
#include "tests/support/evaluated.h"
#include "tests/support/layer_variants.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* Losses in float carry 2^-24 relative rounding per operation, sgemm sums 32 terms in another order
 * for other shapes: 1e-5 of a nat per token; f64: 1e-12. */
static double tolerance(void)
{
    return REAL_IS_DOUBLE ? 1e-12 : 1e-5;
}

static void rows_and_threads(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 1};
    evaluation one = evaluated_with(t, &o, 1, 0, NULL);
    int64_t tokens = split_tokens(corpus_get(w.corpus, SPLIT_VALIDATION));
    EXPECT(one.tokens == tokens && one.count > 1, "%lld of %lld", (long long)one.tokens,
           (long long)tokens);
    for (int64_t rows = 2; rows <= 6; rows += 2) {
        o.rows = rows;
        evaluation a = evaluated_with(t, &o, 1, 2, NULL), b = evaluated_with(t, &o, 2, 2, NULL);
        EXPECT(a.count == one.count && a.tokens == one.tokens, "%lld rows", (long long)rows);
        for (int i = 0; i < MIN(a.count, one.count); i++) {
            const eval_document *d = &a.documents[i], *d1 = &one.documents[i];
            EXPECT(fabs(d->nats - d1->nats) <= tolerance() * (double)d1->tokens,
                   "document %d: %.9g, %.9g", i, d->nats, d1->nats);
            EXPECT(memcmp(&d->nats, &b.documents[i].nats, sizeof d->nats) == 0,
                   "document %d: two threads give other bits", i);
        }
        evaluate_deinit(&a);
        evaluate_deinit(&b);
    }
    evaluate_deinit(&one);
    trainer_free(t);
    workload_close(&w);
}
/* What a listener has heard: never less than before. */
typedef struct heard {
    int64_t tokens, of;
    int calls;
    bool falls;
} heard;

static void hear(void *user, int64_t tokens, int64_t of, double seconds)
{
    heard *h = user;
    h->falls |= seconds < 0;
    h->falls |= tokens < h->tokens;
    h->tokens = tokens;
    h->of = of;
    h->calls++;
}

static void how_far_is_told(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    for (int threads = 1; threads <= 2; threads++) {
        heard h = {0};
        eval_options o = {.split = SPLIT_VALIDATION, .rows = 2, .tokens = 500};
        eval_task task = {.model = w.eval_model,
                          .values = t->values,
                          .corpus = w.corpus,
                          .options = &o,
                          .threads = threads,
                          .reader = {hear, &h}};
        evaluation r = {0};
        err e = {0};
        EXPECT(evaluate(&r, &task, &e), "%s", e.text);
        EXPECT(h.calls > 1 && !h.falls && h.tokens == 500 && h.of == 500, "%d calls, %lld of %lld",
               h.calls, (long long)h.tokens, (long long)h.of);
        evaluate_deinit(&r);
    }
    trainer_free(t);
    workload_close(&w);
}

/* Of a probe that learns its answers only these get a loss, and all of them are the whole: the time
 * that is left follows from the share. */
static void how_far_a_probe_is(void)
{
    static const char *const tasks[] = {"task: copy, length: 2", "task: mqar, length: 4",
                                        "task: needle"};
    for (size_t i = 0; i < 3; i++) {
        char text[1024];
        err e = {0};
        workload w;
        snprintf(text, sizeof text,
                 "data: {corpus: probe, %s, learn: answers, distances: [20, 40], tokens: 4000,\n"
                 "  held_out: 400}\n"
                 "model: {width: 8, context: 16, blocks: [{attention: {heads: 2}}]}\n"
                 "train: {budget: {steps: 1}, batch: 2}\n",
                 tasks[i]);
        if (!trial_open(&w, text, NULL, 9)) continue;
        trainer *t = trainer_new(&w, 1, (train_length){.steps = 1}, &e);
        EXPECT(t, "%s", e.text);
        for (int cut = 0; t && cut < 2; cut++) {
            heard h = {0};
            eval_options o = {.split = SPLIT_VALIDATION, .rows = 2, .tokens = cut ? 190 : 0};
            eval_task task = {.model = w.eval_model,
                              .values = t->values,
                              .corpus = w.corpus,
                              .options = &o,
                              .threads = 1,
                              .reader = {hear, &h}};
            evaluation r = {0};
            EXPECT(evaluate(&r, &task, &e), "%s", e.text);
            EXPECT(!h.falls && r.tokens > 0 && h.tokens == r.tokens && h.of == r.tokens,
                   "%s: %lld of %lld, in all %lld", tasks[i], (long long)h.tokens, (long long)h.of,
                   (long long)r.tokens);
            double read = cut ? 190 : (double)split_tokens(corpus_get(w.corpus, SPLIT_VALIDATION));
            EXPECT(fabs(r.tokens_per_second * r.seconds - read) < 1e-6 * read, "%g of %g read",
                   r.tokens_per_second * r.seconds, read);
            evaluate_deinit(&r);
        }
        trainer_free(t);
        workload_close(&w);
    }
}

/* With the library's products lanes are cut as asked for; with kernels of our own experts choose.
 */
#define CUT_AS_ASKED                                                                               \
    "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, log_every: 2, gemm: "           \
    "openblas}\n"

/* How rows are cut into lanes is no part of an evaluation's name: no layer's and no head's figure
 * may depend on it. */
static void lanes_do_not_matter(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        const layer_variant *v = &list[i];
        if (!layer_variant_drawn(v, "lanes_do_not_matter")) continue;
        if (!test_sub("%s %s", v->cls->name, v->options)) continue;
        char more[512];
        int inside = (int)strlen(v->options) - 2; /* a head's options stand beside its kind */
        if (v->head) {
            snprintf(more, sizeof more,
                     "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}}],\n"
                     "  head: {kind: %s%s%.*s}}\noptimizer: {lr: 1e-2}\n" CUT_AS_ASKED,
                     v->cls->name, inside > 0 ? ", " : "", inside, v->options + 1);
        } else {
            snprintf(more, sizeof more,
                     "model: {width: 8, context: 8, blocks: [{%s: %s}]}\n"
                     "optimizer: {lr: 1e-2}\n" CUT_AS_ASKED,
                     v->cls->name, v->options);
        }
        err e = {0};
        if (trial_refused(TRIAL_SPEC, more, &e)) continue;
        workload w;
        trainer *t = evaluated_trained(&w, more);
        if (!t) continue;
        eval_options o = {.split = SPLIT_VALIDATION, .rows = 4};
        evaluation one = evaluated_with(t, &o, 1, 1, NULL),
                   four = evaluated_with(t, &o, 1, 4, NULL);
        EXPECT(fabs(one.nats - four.nats) <= tolerance() * (double)one.tokens,
               "%s %s: %.9g nats in one lane, %.9g in four", v->cls->name, v->options, one.nats,
               four.nats);
        evaluate_deinit(&one);
        evaluate_deinit(&four);
        trainer_free(t);
        workload_close(&w);
    }
}

/* Experts read several rows in a lane: as many threads as one likes, the bits of one row at a time.
 */
static void rows_of_experts(void)
{
    static const char *const EXPERTS =
        "model: {width: 16, context: 8, blocks: [{attention: {heads: 2, memory: 8},\n"
        "  hash_ffn: {experts: 4, hidden: 32}}]}\n";
    workload w;
    trainer *t = evaluated_trained(&w, EXPERTS);
    if (!t) return;
    eval_options alone = {.split = SPLIT_VALIDATION, .rows = 1};
    evaluation one = evaluated_with(t, &alone, 1, 0, NULL);
    for (int threads = 1; threads <= 4; threads++) {
        eval_options together = {.split = SPLIT_VALIDATION, .rows = 4};
        evaluation r = evaluated_with(t, &together, threads, 4, NULL);
        EXPECT(r.count == one.count && r.tokens == one.tokens, "%lld tokens of %lld",
               (long long)r.tokens, (long long)one.tokens);
        for (int i = 0; i < MIN(r.count, one.count); i++) {
            double off = fabs(r.documents[i].nats - one.documents[i].nats);
            EXPECT(REAL_IS_DOUBLE ? off < 1e-9 : off == 0, "document %d, %d threads: off by %g", i,
                   threads, off);
        }
        evaluate_deinit(&r);
    }
    evaluate_deinit(&one);
    trainer_free(t);
    workload_close(&w);
}

/* One document that a state is carried through: threads follow each other through the layers. */
static void threads_on_one_document(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 2, .tokens = 130};
    evaluation one = evaluated_with(t, &o, 1, 0, NULL);
    for (int threads = 2; threads <= 5; threads++) {
        evaluation r = evaluated_with(t, &o, threads, 0, NULL);
        EXPECT(r.count == 1 && r.tokens == 130 && !memcmp(&r.nats, &one.nats, sizeof r.nats),
               "%d threads: %.17g instead of %.17g", threads, r.nats, one.nats);
        evaluate_deinit(&r);
    }
    evaluate_deinit(&one);
    trainer_free(t);
    workload_close(&w);
}

static void losses_of_every_token(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), "losses.f32", NULL);
    eval_options o = {.split = SPLIT_TEST, .rows = 3};
    evaluation r = evaluated_with(t, &o, 2, 0, path);
    size_t bytes;
    err e = {0};
    char *data = file_read(path, &bytes, &e);
    EXPECT(data && bytes == 4 * (size_t)r.tokens, "%zu bytes: %s", bytes, e.text);
    int64_t at = 0;
    for (int i = 0; data && i < r.count; i++) {
        double sum = 0;
        for (int64_t k = 0; k < r.documents[i].tokens; k++) {
            float loss;
            memcpy(&loss, data + 4 * at++, sizeof loss);
            sum += (double)loss;
        }
        /* Each loss was rounded to 24 bits: of losses of about 2, by 1.2e-7 at most. */
        EXPECT(fabs(sum - r.documents[i].nats) <= 1e-6 * (double)r.documents[i].tokens,
               "document %d: %.9g, %.9g", i, sum, r.documents[i].nats);
    }
    free(data);
    evaluate_deinit(&r);
    trainer_free(t);
    workload_close(&w);
}

/* The first n tokens are the same ones whatever the rows, and cost what they cost in the whole. */
static void only_some_tokens(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 1, .tokens = 200};
    evaluation whole, one = evaluated_with(t, &o, 1, 0, NULL);
    o.rows = 5;
    evaluation five = evaluated_with(t, &o, 2, 0, NULL);
    o.tokens = 0;
    whole = evaluated_with(t, &o, 2, 0, NULL);
    EXPECT(one.tokens == 200 && five.tokens == 200, "%lld, %lld", (long long)one.tokens,
           (long long)five.tokens);
    EXPECT(fabs(one.nats - five.nats) <= 200 * tolerance(), "%.9g, %.9g", one.nats, five.nats);
    EXPECT(one.count == 2 && one.documents[1].tokens == 50, "%d documents", one.count);
    EXPECT(fabs(one.documents[0].nats - whole.documents[0].nats) <= 150 * tolerance(), "%.9g, %.9g",
           one.documents[0].nats, whole.documents[0].nats);
    evaluate_deinit(&one);
    evaluate_deinit(&five);
    evaluate_deinit(&whole);
    trainer_free(t);
    workload_close(&w);
}

/* The first n tokens of each document: those losses and no others, whatever rows, and another
 * evaluation than the first n of the split. */
static void tokens_of_each_document(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    char path[FILE_PATH_BYTES], parts[FILE_PATH_BYTES];
    file_join(path, test_folder(), "whole.f32", NULL);
    file_join(parts, test_folder(), "begins.f32", NULL);
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 1};
    evaluation whole = evaluated_with(t, &o, 1, 0, path);
    char *all = file_read(path, NULL, NULL);
    for (int rows = 1; rows <= 3; rows++) {
        o = (eval_options){.split = SPLIT_VALIDATION, .rows = rows, .most = 70};
        evaluation r = evaluated_with(t, &o, rows, 0, parts);
        char *begins = file_read(parts, NULL, NULL);
        EXPECT(r.count == whole.count && r.tokens == 70 * r.count, "%lld tokens of %d documents",
               (long long)r.tokens, r.count);
        for (int i = 0; all && begins && i < r.count; i++) {
            float x[70], y[70];
            memcpy(x, all + sizeof x / 70 * 150 * (size_t)i, sizeof x);
            memcpy(y, begins + sizeof y * (size_t)i, sizeof y);
            for (int k = 0; k < 70; k++) {
                EXPECT(fabs((double)x[k] - (double)y[k]) <= tolerance(), "document %d, token %d", i,
                       k);
            }
            EXPECT(r.documents[i].tokens == 70, "%lld", (long long)r.documents[i].tokens);
        }
        free(begins);
        evaluate_deinit(&r);
    }
    free(all);
    eval_task task = {.model = w.model, .corpus = w.corpus, .options = &o};
    char a[EVAL_ID_CHARS], b[EVAL_ID_CHARS];
    eval_record_task_id(a, &task, "run", 5);
    o.most = 71;
    eval_record_task_id(b, &task, "run", 5);
    EXPECT(strcmp(a, b) != 0, "%s whatever is read of documents", a);
    o.tokens = 100;
    evaluation both = evaluated_with(t, &o, 1, 0, NULL);
    EXPECT(both.count == 2 && both.tokens == 100 && both.documents[1].tokens == 29, "%d documents",
           both.count);
    evaluate_deinit(&both);
    evaluate_deinit(&whole);
    trainer_free(t);
    workload_close(&w);
}

static const char STATELESS[] =
    "model: {width: 16, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]}\n";

/* Without carried state the blocks of a document are spread over rows: nothing changes but speed. A
 * model that carries state notices where it is reset. */
static void state_and_spans(void)
{
    workload w;
    for (int carried = 0; carried < 2; carried++) {
        trainer *t = evaluated_trained(&w, carried ? NULL : STATELESS);
        if (!t) return;
        eval_options o = {.split = SPLIT_VALIDATION, .rows = 2};
        evaluation whole = evaluated_with(t, &o, 1, 0, NULL);
        o.span = 8;
        evaluation cut = evaluated_with(t, &o, 1, 0, NULL);
        double difference = fabs(whole.nats - cut.nats);
        bool same = difference <= tolerance() * (double)whole.tokens;
        EXPECT(same == !carried, "carried %d: %.9g, %.9g", carried, whole.nats, cut.nats);
        evaluate_deinit(&whole);
        evaluate_deinit(&cut);
        trainer_free(t);
        workload_close(&w);
    }
}

/* Rows that read something. */
typedef struct readers {
    const int64_t *row[4];
    int count;
} readers;

static void *see_row(void *user, int thread, const eval_view *view)
{
    (void)thread;
    readers *seen = user;
    int i = 0;
    while (i < seen->count && seen->row[i] != view->document) {
        i++;
    }
    if (i == seen->count && i < 4) seen->row[seen->count++] = view->document;
    return NULL;
}

/* One document keeps all rows busy, unless something is carried through it. */
static void one_document(void)
{
    workload w;
    for (int carried = 0; carried < 2; carried++) {
        trainer *t = evaluated_trained(&w, carried ? NULL : STATELESS);
        if (!t) return;
        readers seen = {.count = 0};
        eval_watch watch = {.user = &seen, .begin = see_row};
        eval_options o = {.split = SPLIT_VALIDATION, .rows = 4, .tokens = 100};
        eval_task task = {.model = w.eval_model,
                          .values = t->values,
                          .corpus = w.corpus,
                          .options = &o,
                          .threads = 1,
                          .watch = &watch};
        evaluation r = {0};
        err e = {0};
        EXPECT(evaluate(&r, &task, &e), "%s", e.text);
        EXPECT(r.count == 1 && seen.count == (carried ? 1 : 4), "carried %d: %d documents, %d rows",
               carried, r.count, seen.count);
        evaluate_deinit(&r);
        trainer_free(t);
        workload_close(&w);
    }
}

static void other_context(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, "eval: {context: 32}\n");
    if (!t) return;
    EXPECT(model_context(w.eval_model) == 32 && model_context(w.model) == 8, "%lld",
           (long long)model_context(w.eval_model));
    evaluation r = evaluated_with(t, &w.eval, 1, 0, NULL);
    EXPECT(isfinite(r.nats) && r.tokens > 0, "%g", r.nats);
    evaluate_deinit(&r);
    trainer_free(t);
    workload_close(&w);
    err e;
    EXPECT(trial_refused(TRIAL_SPEC,
                         "model: {width: 16, context: 8, embedding: {positions: learned}, blocks: "
                         "[{ffn: {hidden: 32}}]}\neval: {context: 32}\n",
                         &e) &&
               strstr(e.text, "context"),
           "%s", e.text);
}

/* A store may be longer than in training: the losses are those of a model built so. */
static void other_store(void)
{
    static const char *const models[] = {"model: {width: 16, context: 8, blocks: [{routed_memory: "
                                         "{heads: 2, length: 8, picks: 40}}]}",
                                         "model: {width: 16, context: 8, blocks: [{routed_memory: "
                                         "{heads: 2, length: 64, picks: 40}}]}"};
    double nats[3];
    workload w[2];
    trainer *t[2] = {evaluated_trained(&w[0], models[0]), evaluated_trained(&w[1], models[1])};
    if (!t[0] || !t[1]) return;
    const model_sizes sizes = {.stored = 64};
    arena *a = arena_new(1 << 16);
    err e;
    model *longer = spec_model(a, w[0].spec, &sizes, w[0].corpus, 9, NULL, &e);
    EXPECT(longer, "%s", e.text);
    const model *evaluated[] = {w[0].model, longer, w[1].model};
    for (int i = 0; i < 3 && longer; i++) {
        eval_task task = {.model = evaluated[i],
                          .values = t[0]->values,
                          .corpus = w[0].corpus,
                          .options = &w[0].eval,
                          .threads = 1};
        evaluation r;
        EXPECT(evaluate(&r, &task, &e), "%s", e.text);
        nats[i] = r.nats;
        evaluate_deinit(&r);
    }
    EXPECT(!longer || (nats[1] == nats[2] && nats[0] != nats[1]), "%.9g as trained, %.9g, %.9g",
           nats[0], nats[1], nats[2]);
    model_free(longer);
    arena_free(a);
    for (int i = 0; i < 2; i++) {
        trainer_free(t[i]);
        workload_close(&w[i]);
    }
    EXPECT(trial_refused(TRIAL_SPEC, "eval: {stored: 64}\n", &e) &&
               strstr(e.text, "no layer stores positions"),
           "%s", e.text);
}

static void identity_and_record(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 2};
    eval_task task = {.model = w.model, .corpus = w.corpus, .options = &o};
    json_t *p = eval_record_protocol(&task);
    char a[EVAL_ID_CHARS], b[EVAL_ID_CHARS], c[EVAL_ID_CHARS];
    eval_record_id(a, "run", 5, "validation", p);
    eval_record_id(b, "run", 5, "validation", p);
    eval_record_id(c, "run", 6, "validation", p);
    EXPECT(strlen(a) == 16 && strcmp(a, b) == 0 && strcmp(a, c) != 0, "%s %s %s", a, b, c);
    json_decref(p);
    evaluation r = evaluated_with(t, &o, 1, 0, NULL);
    json_t *record = eval_record(&r, &task, a, 5, 100, true);
    EXPECT(json_is_null(json_object_get(record, "words")), "a synthetic corpus has no words");
    EXPECT(json_array_size(json_object_get(record, "documents")) == (size_t)r.count, "%d", r.count);
    json_decref(record);
    evaluate_deinit(&r);
    trainer_free(t);
    workload_close(&w);
}

const test_suite test_evaluate = {"harness/evaluate",
                                  {{"rows_and_threads", rows_and_threads},
                                   {"how_far_is_told", how_far_is_told},
                                   {"how_far_a_probe_is", how_far_a_probe_is},
                                   {"lanes_do_not_matter/", lanes_do_not_matter},
                                   {"rows_of_experts", rows_of_experts},
                                   {"threads_on_one_document", threads_on_one_document},
                                   {"losses_of_every_token", losses_of_every_token},
                                   {"only_some_tokens", only_some_tokens},
                                   {"tokens_of_each_document", tokens_of_each_document},
                                   {"state_and_spans", state_and_spans},
                                   {"one_document", one_document},
                                   {"other_context", other_context},
                                   {"other_store", other_store},
                                   {"identity_and_record", identity_and_record},
                                   {0}}};
