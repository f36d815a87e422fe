/* What an evaluation scores, exactly, of which model, and what it tells. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/spec_model.h"
#include "tests/support/evaluated.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

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
    evaluated_end(t);
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
    EXPECT(fabs(one.nats - five.nats) <= 200 * evaluated_tolerance(), "%.9g, %.9g", one.nats,
           five.nats);
    EXPECT(one.count == 2 && one.documents[1].tokens == 50, "%d documents", one.count);
    EXPECT(fabs(one.documents[0].nats - whole.documents[0].nats) <= 150 * evaluated_tolerance(),
           "%.9g, %.9g", one.documents[0].nats, whole.documents[0].nats);
    evaluate_deinit(&one);
    evaluate_deinit(&five);
    evaluate_deinit(&whole);
    evaluated_end(t);
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
                EXPECT(fabs((double)x[k] - (double)y[k]) <= evaluated_tolerance(),
                       "document %d, token %d", i, k);
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
    evaluated_end(t);
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
    evaluated_end(t);
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
    const model *models_of[] = {w[0].model, longer, w[1].model};
    for (int i = 0; i < 3 && longer; i++) {
        eval_task task = evaluated_task(t[0], &w[0].eval);
        task.model = models_of[i];
        evaluation r = evaluated(&task);
        nats[i] = r.nats;
        evaluate_deinit(&r);
    }
    EXPECT(!longer || (nats[1] == nats[2] && nats[0] != nats[1]), "%.9g as trained, %.9g, %.9g",
           nats[0], nats[1], nats[2]);
    model_free(longer);
    arena_free(a);
    for (int i = 0; i < 2; i++) {
        evaluated_end(t[i]);
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
    evaluated_end(t);
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
        eval_task task = evaluated_task(t, &o);
        task.threads = threads;
        task.reader = (eval_reader){hear, &h, NULL};
        evaluation r = evaluated(&task);
        EXPECT(h.calls > 1 && !h.falls && h.tokens == 500 && h.of == 500, "%d calls, %lld of %lld",
               h.calls, (long long)h.tokens, (long long)h.of);
        evaluate_deinit(&r);
    }
    evaluated_end(t);
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
        if (!t) return;
        for (int cut = 0; cut < 2; cut++) {
            heard h = {0};
            eval_options o = {.split = SPLIT_VALIDATION, .rows = 2, .tokens = cut ? 190 : 0};
            eval_task task = evaluated_task(t, &o);
            task.reader = (eval_reader){hear, &h, NULL};
            evaluation r = evaluated(&task);
            EXPECT(!h.falls && r.tokens > 0 && h.tokens == r.tokens && h.of == r.tokens,
                   "%s: %lld of %lld, in all %lld", tasks[i], (long long)h.tokens, (long long)h.of,
                   (long long)r.tokens);
            double read = cut ? 190 : (double)split_tokens(corpus_get(w.corpus, SPLIT_VALIDATION));
            EXPECT(fabs(r.tokens_per_second * r.seconds - read) < 1e-6 * read, "%g of %g read",
                   r.tokens_per_second * r.seconds, read);
            evaluate_deinit(&r);
        }
        evaluated_end(t);
    }
}

const test_suite test_evaluate_scored = {"harness/evaluate_scored",
                                         {{"losses_of_every_token", losses_of_every_token},
                                          {"only_some_tokens", only_some_tokens},
                                          {"tokens_of_each_document", tokens_of_each_document},
                                          {"other_context", other_context},
                                          {"other_store", other_store},
                                          {"identity_and_record", identity_and_record},
                                          {"how_far_is_told", how_far_is_told},
                                          {"how_far_a_probe_is", how_far_a_probe_is},
                                          {0}}};
