/* Evaluation: sums that do not depend on rows, threads or cuts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/evaluated.h"
#include "tests/support/layer_variants.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

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
            EXPECT(fabs(d->nats - d1->nats) <= evaluated_tolerance() * (double)d1->tokens,
                   "document %d: %.9g, %.9g", i, d->nats, d1->nats);
            EXPECT(memcmp(&d->nats, &b.documents[i].nats, sizeof d->nats) == 0,
                   "document %d: two threads give other bits", i);
        }
        evaluate_deinit(&a);
        evaluate_deinit(&b);
    }
    evaluate_deinit(&one);
    evaluated_end(t);
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
        EXPECT(fabs(one.nats - four.nats) <= evaluated_tolerance() * (double)one.tokens,
               "%s %s: %.9g nats in one lane, %.9g in four", v->cls->name, v->options, one.nats,
               four.nats);
        evaluate_deinit(&one);
        evaluate_deinit(&four);
        evaluated_end(t);
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
    evaluated_end(t);
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
    evaluated_end(t);
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
        bool same = difference <= evaluated_tolerance() * (double)whole.tokens;
        EXPECT(same == !carried, "carried %d: %.9g, %.9g", carried, whole.nats, cut.nats);
        evaluate_deinit(&whole);
        evaluate_deinit(&cut);
        evaluated_end(t);
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
        eval_task task = evaluated_task(t, &o);
        task.watch = &watch;
        evaluation r = evaluated(&task);
        EXPECT(r.count == 1 && seen.count == (carried ? 1 : 4), "carried %d: %d documents, %d rows",
               carried, r.count, seen.count);
        evaluate_deinit(&r);
        evaluated_end(t);
    }
}

const test_suite test_evaluate = {"harness/evaluate",
                                  {{"rows_and_threads", rows_and_threads},
                                   {"lanes_do_not_matter/", lanes_do_not_matter},
                                   {"rows_of_experts", rows_of_experts},
                                   {"threads_on_one_document", threads_on_one_document},
                                   {"state_and_spans", state_and_spans},
                                   {"one_document", one_document},
                                   {0}}};
