/* Slices of an evaluation: sums over losses and text against a plain count; for runs without them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/evaluate/slices.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "harness/train/trainer.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

static void buckets(void)
{
    EXPECT(slices_bucket(0) == 0 && slices_bucket(1) == 1 && slices_bucket(2) == 2 &&
               slices_bucket(3) == 2 && slices_bucket(4) == 3 && slices_bucket(7) == 3,
           "small numbers");
    EXPECT(slices_bucket((int64_t)1 << 47) == SLICE_BUCKETS - 1 &&
               slices_bucket(INT64_MAX) == SLICE_BUCKETS - 1,
           "large numbers");
    for (int b = 0; b < SLICE_BUCKETS; b++) {
        int64_t low = slices_bucket_low(b);
        EXPECT(slices_bucket(low) == b && (b == 0 || slices_bucket(low - 1) == b - 1), "bucket %d",
               b);
    }
}

/* An evaluation of an untrained model with its losses at `path` (NULL: not kept). */
static evaluation evaluated(workload *w, real *values, const eval_options *o, const char *path)
{
    eval_task task = {.model = w->eval_model,
                      .values = values,
                      .corpus = w->corpus,
                      .options = o,
                      .threads = 1,
                      .slices = true,
                      .losses_path = path};
    evaluation r = {0};
    err e = {0};
    EXPECT(evaluate(&r, &task, &e) && r.slices, "%s", e.text);
    return r;
}

/* Counts plainly: for every token, all before it. */
static void count_plainly(slices *s, workload *w, const evaluation *r, const float *losses,
                          int64_t span)
{
    corpus_split *split = corpus_get(w->corpus, SPLIT_VALIDATION);
    int64_t *counts = corpus_token_counts(w->corpus, NULL);
    int64_t at = 0;
    *s = (slices){.parts = r->count};
    for (int d = 0; d < r->count; d++) {
        int64_t n = r->documents[d].tokens;
        int32_t *ids = malloc((size_t)n * sizeof *ids);
        EXPECT(split_read(split, r->documents[d].index, 0, n, ids, NULL), "document %d", d);
        for (int64_t i = 0; i < n; i++) {
            int64_t before = 0;
            for (int64_t k = 0; k < i; k++) {
                before += ids[k] == ids[i];
            }
            int64_t in_span = span ? i % span : i;
            const int64_t of[SLICE_KINDS] = {i, in_span % 8, counts[ids[i]], before};
            for (int k = 0; k < SLICE_KINDS; k++) {
                slice_sum *x = &s->sums[k][slices_bucket(of[k])][d];
                x->tokens++;
                x->nats += (double)losses[at];
            }
            at++;
        }
        free(ids);
    }
    free(counts);
}

static void expect_same(const slices *a, const slices *b)
{
    EXPECT(a->parts == b->parts, "%d and %d parts", a->parts, b->parts);
    for (int k = 0; k < SLICE_KINDS; k++) {
        EXPECT(a->known[k], "%s is not known", SLICE_NAMES[k]);
        for (int i = 0; i < SLICE_BUCKETS * SLICE_PARTS; i++) {
            const slice_sum *x = &a->sums[k][0][0] + i, *y = &b->sums[k][0][0] + i;
            /* The same float losses in the same order: the same bits. */
            EXPECT(x->tokens == y->tokens && memcmp(&x->nats, &y->nats, sizeof x->nats) == 0,
                   "%s %d: %lld tokens, %.9g nats; %lld, %.9g", SLICE_NAMES[k], i,
                   (long long)x->tokens, x->nats, (long long)y->tokens, y->nats);
        }
    }
}

static void against_a_plain_count(void)
{
    workload w;
    if (!trial_open(&w, TRIAL_SPEC, NULL, 4)) return;
    int64_t total = model_params_const(w.model)->total;
    real *values = calloc((size_t)total, sizeof *values);
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(workload_start(&w, values, &e) && file_join(path, test_folder(), "losses.f32", &e), "%s",
           e.text);
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 3};
    slices *plain = malloc(sizeof *plain);
    for (int k = 0; k < 3; k++) { /* whole, the last document in part, parts of all in spans */
        o.tokens = k ? 333 : 0;
        o.most = k == 2 ? 70 : 0;
        o.span = k == 2 ? 20 : 0;
        evaluation r = evaluated(&w, values, &o, path);
        char *losses = file_read(path, NULL, &e);
        EXPECT(losses && r.count > 1, "%s", e.text);
        float *list = malloc((size_t)r.tokens * sizeof *list);
        memcpy(list, losses, (size_t)r.tokens * sizeof *list);
        count_plainly(plain, &w, &r, list, o.span);
        expect_same(r.slices, plain);
        double nats = 0;
        for (int i = 0; i < SLICE_BUCKETS * SLICE_PARTS; i++) {
            nats += (&r.slices->sums[SLICE_POSITION][0][0])[i].nats;
        }
        /* Losses of about 2, rounded to 24 bits: by 1.2e-7 each at most. */
        EXPECT(fabs(nats - r.nats) < 1e-6 * (double)r.tokens, "%g of %g nats", nats, r.nats);
        EXPECT(file_remove(path, &e), "%s", e.text);
        evaluation nameless = evaluated(&w, values, &o, NULL);
        expect_same(nameless.slices, r.slices);
        EXPECT(!file_exists(path), "losses were kept");
        evaluate_deinit(&nameless);
        evaluate_deinit(&r);
        free(list);
        free(losses);
    }
    free(plain);
    free(values);
    workload_close(&w);
}

/* Many documents share parts; none is lost. */
static void many_documents(void)
{
    workload w;
    static const char MORE[] =
        "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 900, length: 10}\n";
    if (!trial_open(&w, TRIAL_SPEC, MORE, 4)) return;
    real *values = calloc((size_t)model_params_const(w.model)->total, sizeof *values);
    evaluation r = evaluated(&w, values, &(eval_options){.split = SPLIT_TEST, .rows = 3}, NULL);
    int64_t tokens = 0, empty = 0;
    for (int part = 0; part < SLICE_PARTS; part++) {
        int64_t here = 0;
        for (int b = 0; b < SLICE_BUCKETS; b++) {
            here += r.slices->sums[SLICE_REPETITION][b][part].tokens;
        }
        tokens += here;
        empty += here == 0;
    }
    EXPECT(r.count > SLICE_PARTS && r.slices->parts == SLICE_PARTS, "%d documents", r.count);
    EXPECT(tokens == r.tokens && empty == 0, "%lld of %lld tokens, %lld parts empty",
           (long long)tokens, (long long)r.tokens, (long long)empty);
    evaluate_deinit(&r);
    free(values);
    workload_close(&w);
}

const test_suite test_slices = {"harness/slices",
                                {{"buckets", buckets},
                                 {"against_a_plain_count", against_a_plain_count},
                                 {"many_documents", many_documents},
                                 {0}}};
