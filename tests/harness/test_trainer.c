/* Steps: bits that do not depend on threads, no memory taken, what is not a number named. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/run/run_memory.h"
#include "harness/train/log_line.h"
#include "harness/train/trainer.h"
#include "tests/support/sanitized.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* ---- counting calls of the allocator: the sanitizers bring their own ---- */

static atomic_long allocations;

#if !SANITIZED
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, bytes);
}
#endif

static trainer *trainer_for(workload *w, int threads, int64_t steps)
{
    err e = {0};
    trainer *t = trainer_new(w, threads, (train_length){.steps = steps}, &e);
    EXPECT(t, "%s", e.text);
    return t;
}

static train_report run_steps(trainer *t, int n)
{
    train_report r = {0};
    err e = {0};
    for (int i = 0; i < n; i++) {
        EXPECT(trainer_step(t, &r, &e), "%s", e.text);
        EXPECT(!r.bad[0], "step %d: %s", i, r.bad);
    }
    return r;
}

/* ---- options ---- */

static void refused(const char *more, const char *part)
{
    err e;
    EXPECT(trial_refused(TRIAL_SPEC, more, &e) && strstr(e.text, part), "%s: \"%s\" lacks \"%s\"",
           more, e.text, part);
}

/* What a file that is extended says may be taken away by null. */
static void one_budget(void)
{
    static const char text[] = "{batch: 2, budget: {tokens: null, steps: 5, flops: ~}}";
    arena *a = arena_new(0);
    err e = {0};
    train_options o;
    node *n = node_parse(a, text, strlen(text), "s.yaml", &e);
    EXPECT(n && train_options_read(&o, n, a, &e), "%s", e.text);
    EXPECT(!*e.text && o.budget.kind == BUDGET_STEPS && o.budget.amount == 5, "%g",
           o.budget.amount);
    const char *said = *e.text ? "" : node_json(a, o.budget_node, true);
    EXPECT(strcmp(said, "{\"steps\":5}") == 0, "%s", said);
    arena_free(a);
}

static void options_are_checked(void)
{
    refused("train: {batch: 4}\n", "train: budget is missing");
    refused("train: {budget: {tokens: 0}}\n", "train.budget.tokens: must be a number above 0");
    refused("train: {budget: {flops: -1}}\n", "train.budget.flops: must be a number above 0");
    refused("train: {budget: {flops: 1e300}}\n", "train.budget.flops: must be at most 1e+30");
    refused("train: {budget: {tokens: 1e300}}\n", "at most 2^52");
    /* Nothing but eps keeps the norm of a row of equal numbers from a division by 0. */
    refused("model: {width: 1, context: 8, norm: {eps: 0}, blocks: [{ffn: {}}]}\n", "norm.eps");
    refused("train: {budget: {token: 5}}\n", "tokens");
    refused("train: {budget: {tokens: 1.5}}\n", "whole number");
    refused("train: {budget: {tokens: 5, steps: 5}}\n", "take it away with `tokens: null`");
    refused("train: {budget: {tokens: null}}\n", "as one of");
    refused("train: {budget: {tokens: 5, step: 5}}\n", "did you mean 'steps'");
    refused("train: {budget: {steps: 5}, segment: 12}\n", "train.segment: a segment of 12");
    refused("train: {budget: {steps: 5}, batch: 6, lanes: 4}\n", "train.lanes: 4 lanes");
    refused("train: {budget: {steps: 5}, bacth: 6}\n", "batch");
    refused("eval: {split: tets}\n", "eval.split");
    refused("data: {corpus: kjw}\n", "data.corpus");
    refused("model: {width: 16, context: 8, blocks: [{engram: {fold: true}}]}\n",
            "looks at the texts of tokens");
}

static void lengths(void)
{
    train_shape s = {.targets_per_step = 100};
    budget b = {BUDGET_TOKENS, 1001};
    train_length l = train_options_length(&b, &s, 10);
    EXPECT(l.tokens == 1001 && l.steps == 11, "%lld", (long long)l.steps);
    b = (budget){BUDGET_STEPS, 7};
    l = train_options_length(&b, &s, 10);
    EXPECT(l.tokens == 0 && l.steps == 7, "%lld", (long long)l.steps);
    b = (budget){BUDGET_FLOPS, 5000};
    l = train_options_length(&b, &s, 10);
    EXPECT(l.tokens == 500 && l.steps == 5, "%lld tokens", (long long)l.tokens);
}

static void lanes_of_their_own(void)
{
    train_options o = {.batch = 8};
    train_shape s;
    static const int64_t contexts[] = {256, 128, 64, 32, 16}, expected[] = {8, 4, 2, 1, 1};
    for (int i = 0; i < 5; i++) {
        EXPECT(train_options_shape(&s, &o, NULL, contexts[i], NULL) && s.lanes == expected[i],
               "context %lld: %lld lanes", (long long)contexts[i], (long long)s.lanes);
    }
}

/* ---- steps ---- */

static void threads_give_equal_bits(void)
{
    workload w[3];
    trainer *t[3];
    static const int threads[] = {1, 2, 4};
    for (int i = 0; i < 3; i++) {
        if (!trial_open(&w[i], TRIAL_SPEC, NULL, 5)) return;
        t[i] = trainer_for(&w[i], threads[i], 8);
        train_report r = run_steps(t[i], 8);
        EXPECT(trainer_finished(t[i]) && r.weight > 0, "%g", r.weight);
        EXPECT(memcmp(&t[i]->progress, &t[0]->progress, 2 * sizeof(int64_t)) == 0, "%d threads",
               threads[i]);
        size_t bytes = (size_t)model_params(w[i].model)->total * sizeof(real);
        EXPECT(memcmp(t[0]->values, t[i]->values, bytes) == 0, "%d threads: other parameters",
               threads[i]);
    }
    for (int i = 0; i < 3; i++) {
        trainer_free(t[i]);
        workload_close(&w[i]);
    }
}

#define ROUNDED(how)                                                                               \
    "model: {width: 32, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 64}},"          \
    " {hash_ffn: {experts: 2, hidden: 32}}]}\n"                                                    \
    "train: {budget: {steps: 6}, batch: 4, lanes: 4, accumulate: 2, " how "}\n"

/* Of weights that are packed once per step: steps with them and without have the same bits, and
 * their room is counted. */
static void packed_weights_are_the_steps(void)
{
    static const struct {
        const char *more;
        double bytes; /* of a weight */
    } cases[] = {{ROUNDED("precision: bfloat16"), 4},
                 {ROUNDED("precision: bfloat16, gemm: tiles"), 4},
                 {ROUNDED("precision: float32"), 8}};
    for (int i = 0; !REAL_IS_DOUBLE && i < 3; i++) {
        workload w[3];
        trainer *t[2];
        const char *more = cases[i].more;
        const char *const specs[] = {more, more, ROUNDED("gemm: openblas")};
        for (int k = 0; k < 3; k++) {
            if (!trial_open(&w[k], TRIAL_SPEC, specs[k], 5)) return;
        }
        for (int k = 0; k < 2; k++) {
            t[k] = trainer_for(&w[k], 2, 6);
            EXPECT(t[k]->kept, "%s", specs[k]);
            for (int64_t l = 0; k == 1 && l < w[k].shape.lanes; l++) {
                model_state_keep(t[k]->states[l], NULL);
            }
            run_steps(t[k], 6);
        }
        const params *p = model_params(w[0].model);
        EXPECT(memcmp(t[0]->values, t[1]->values, (size_t)p->total * sizeof(real)) == 0,
               "%s: packed weights are others", more);
        double least = 0, cost[2];
        for (int q = 0; q < p->count; q++) {
            if (p->list[q].matmul) least += cases[i].bytes * (double)p->list[q].count;
        }
        for (int k = 0; k < 2; k++) {
            const model_cost m = model_costs(w[2 * k].model);
            cost[k] = run_memory_estimate(&w[2 * k], &m);
        }
        EXPECT(cost[0] >= cost[1] + least, "%g and %g bytes", cost[0], cost[1]);
        EXPECT(trainer_packs_for(&w[0], 2) && !trainer_packs_for(&w[0], 1) &&
                   !trainer_packs_for(&w[2], 2),
               "for whom");
        for (int k = 0; k < 3; k++) {
            if (k < 2) trainer_free(t[k]);
            workload_close(&w[k]);
        }
    }
}

/* Twice the bytes of a wide model's floats are more than a cache has room for. */
static void wide_weights_are_packed_where_used(void)
{
    static const char *const more[] = {
        "model: {width: 512, context: 8, blocks: [{ffn: {hidden: 4096}}]}\n",
        "model: {width: 512, context: 8, blocks: [{ffn: {hidden: 4096}}]}\n"
        "train: {precision: bfloat16, budget: {steps: 1}}\n"};
    for (int i = 0; !REAL_IS_DOUBLE && i < 2; i++) {
        workload w;
        if (!trial_open(&w, TRIAL_SPEC, more[i], 5)) return;
        bool packs = trainer_packs_for(&w, 2) != NULL, takes = trainer_packed_bytes(&w, 2) > 0;
        EXPECT(packs == (i == 1) && takes == packs, "%s: %d, %d", more[i], packs, takes);
        workload_close(&w);
    }
}

/* What an evaluation takes beside training is part of the estimate by which runs are begun. */
static void memory_of_evaluation(void)
{
    static const char *const more[] = {
        "eval: {rows: 4}\n", "eval: {rows: 4, context: 8192}\n",
        "eval: {rows: 4, dynamic: {kind: sgd, rate: 0.1}}\n",
        "eval: {rows: 4, dynamic: {kind: sgd, rate: 0.1, segment: 8192}}\n"};
    double cost[4], vector = 0, logits = 0;
    for (int i = 0; i < 4; i++) {
        workload w;
        if (!trial_open(&w, TRIAL_SPEC, more[i], 5)) return;
        const model_cost m = model_costs(w.model);
        cost[i] = run_memory_estimate(&w, &m);
        vector = (double)model_params_const(w.model)->total * (double)sizeof(real);
        logits = 8192 * (double)model_vocab(w.model) * (double)sizeof(real);
        workload_close(&w);
    }
    EXPECT(cost[1] > cost[0] + logits, "%g and %g bytes: a longer context", cost[0], cost[1]);
    EXPECT(cost[2] > cost[0] + 7 * vector, "%g and %g bytes: rows that learn", cost[0], cost[2]);
    EXPECT(cost[3] > cost[2] + logits, "%g and %g bytes: a longer segment", cost[2], cost[3]);
}

/* Targets are smoothed in what is trained, not in what is told. */
static void smoothed_labels(void)
{
    static const char *const more[] = {
        "train: {budget: {steps: 2}, batch: 4}\n",
        "train: {budget: {steps: 2}, batch: 4, label_smoothing: 0.2}\n"};
    double told[2][2], norm[2];
    for (int i = 0; i < 2; i++) {
        workload w;
        if (!trial_open(&w, TRIAL_SPEC, more[i], 5)) return;
        trainer *t = trainer_for(&w, 1, 2);
        for (int step = 0; step < 2; step++) {
            train_report r = run_steps(t, 1);
            told[i][step] = r.nats / r.weight;
            if (step == 0) norm[i] = r.grad_norm;
        }
        trainer_free(t);
        workload_close(&w);
    }
    EXPECT(told[0][0] == told[1][0], "%g and %g before anything was learned", told[0][0],
           told[1][0]);
    EXPECT(norm[0] != norm[1] && told[0][1] != told[1][1], "the same gradient, %g", norm[0]);
}

/* ---- tables whose gradients come by rows ---- */

static const char TABLES[] =
    "model:\n"
    "  width: 16\n"
    "  context: 8\n"
    "  blocks: [{engram: {order: 3, heads: 2, rows: 40, head_dim: 4}, ffn: {hidden: 32}}]\n";

static trainer *tables_for(workload *w, const char *optimizer, int threads, int64_t steps)
{
    char more[512];
    snprintf(more, sizeof more, "%soptimizer: %s\n", TABLES, optimizer);
    if (!trial_open(w, TRIAL_SPEC, more, 5)) return NULL;
    trainer *t = trainer_for(w, threads, steps);
    if (t) run_steps(t, (int)steps);
    return t;
}

/* Momentum so small that nothing is left of it keeps a table in one piece. */
static void rows_equal_zeros_with_sgd(void)
{
    workload w[2];
    trainer *rows = tables_for(&w[0], "{kind: sgd, lr: 0.3, momentum: 0}", 1, 8);
    trainer *whole = tables_for(&w[1], "{kind: sgd, lr: 0.3, momentum: 1e-30}", 1, 8);
    if (!rows || !whole) return;
    EXPECT(model_params(w[0].model)->row_tables == 1, "no rows with sgd");
    EXPECT(model_params(w[1].model)->row_tables == 0, "rows with momentum");
    /* The norm that clips is summed in another order; a few roundings a step. */
    expect_close("parameters", rows->values, whole->values, model_params(w[0].model)->total,
                 REAL_IS_DOUBLE ? 1e-12 : 1e-5, 0);
    trainer_free(rows);
    trainer_free(whole);
    workload_close(&w[0]);
    workload_close(&w[1]);
}

/* Over threads, two batches a step and four lanes; what is never looked up stays as it began. */
static void rows_give_equal_bits(void)
{
    workload w[4];
    trainer *t[4];
    static const int threads[] = {1, 2, 4, 1};
    static const int64_t steps[] = {8, 8, 8, 0};
    for (int i = 0; i < 4; i++) {
        t[i] = tables_for(&w[i], "{kind: adamw, lr: 3e-3, lazy: true}", threads[i], steps[i]);
        if (!t[i]) return;
    }
    const params *p = model_params(w[0].model);
    EXPECT(p->row_tables == 1, "no rows with lazy adamw");
    for (int i = 1; i < 3; i++) {
        EXPECT(memcmp(t[0]->values, t[i]->values, (size_t)p->total * sizeof(real)) == 0,
               "%d threads: other parameters", threads[i]);
    }
    const param *table = &p->list[params_find(p, "blocks.0.engram.table")];
    int64_t moved = 0;
    for (int64_t r = 0; r < table->shape[0]; r++) {
        int64_t at = table->offset + r * table->shape[1];
        moved += memcmp(t[0]->values + at, t[3]->values + at,
                        (size_t)table->shape[1] * sizeof(real)) != 0;
    }
    /* 8 symbols and the start make at most 81 2-grams for the first two tables. */
    EXPECT(moved > 20 && moved < table->shape[0], "%lld of %lld rows moved", (long long)moved,
           (long long)table->shape[0]);
    for (int i = 0; i < 4; i++) {
        trainer_free(t[i]);
        workload_close(&w[i]);
    }
}

static int64_t mapped(trainer *t)
{
    int64_t maps = 0;
    for (int i = 0; i < t->threads; i++) {
        maps += tape_maps(t->tapes[i]);
    }
    return maps;
}

/* A thread's tape takes its memory with the first lane that the thread gets, which on a busy
 * machine may be many steps after the others'. */
static bool every_thread_ran(trainer *t)
{
    for (int i = 0; i < t->threads; i++) {
        if (tape_maps(t->tapes[i]) == 0) return false;
    }
    return true;
}

static void no_memory_in_the_loop(void)
{
    workload w;
    static char line[LOG_LINE_BYTES];
    if (!trial_open(&w, TRIAL_SPEC, NULL, 5)) return;
    enum { PATIENCE = 20000 };
    trainer *t = trainer_for(&w, 2, 2 * PATIENCE);
    run_steps(t, 6);
    for (int i = 0; i < PATIENCE && !every_thread_ran(t); i++) {
        run_steps(t, 1);
    }
    run_steps(t, 2);
    EXPECT(every_thread_ran(t), "a thread got no lane in %d steps", PATIENCE);
    int64_t maps = mapped(t);
    long before = atomic_load(&allocations);
    for (int i = 0; i < 30; i++) {
        train_report r = run_steps(t, 1);
        log_line(line, &t->progress, &r);
    }
    long after = atomic_load(&allocations);
#if !SANITIZED
    EXPECT(before > 0, "nothing is counted");
#endif
    EXPECT(after == before, "%ld allocations in 30 steps", after - before);
    EXPECT(mapped(t) == maps, "%lld mappings", (long long)(mapped(t) - maps));
    trainer_free(t);
    workload_close(&w);
#if SANITIZED
    test_skip("the sanitizer's allocator cannot be counted; mappings were");
#endif
}

/* A budget in tokens counts targets, not padding: 150 tokens a document, in blocks of 8, pad. */
static void tokens_are_targets(void)
{
    workload w;
    err e = {0};
    if (!trial_open(&w, TRIAL_SPEC, "train: {budget: {tokens: 3000}, batch: 4}\n", 5)) return;
    train_length l = train_options_length(&w.train.budget, &w.shape, 1);
    trainer *t = trainer_new(&w, 1, l, &e);
    EXPECT(t, "%s", e.text);
    int64_t targets = 0;
    while (t && !trainer_finished(t)) {
        targets += (int64_t)run_steps(t, 1).weight;
    }
    const train_progress *p = &t->progress;
    EXPECT(p->tokens == targets && targets >= 3000 && targets < 3000 + w.shape.tokens_per_step,
           "%lld of %lld", (long long)p->tokens, (long long)targets);
    int64_t full = targets / w.shape.tokens_per_step;
    EXPECT(p->step > full, "%lld steps are no more than the %lld that full batches need",
           (long long)p->step, (long long)full);
    EXPECT(llabs((long long)(p->step - l.steps)) <= 1, "%lld steps, expected %lld",
           (long long)p->step, (long long)l.steps);
    trainer_free(t);
    workload_close(&w);
}

/* Warm-up and decay are counted in steps whatever the budget is given in and however few of a
 * step's positions count: at the last step of warm-up the rate is whole, at the end it is least. */
static void schedule_is_in_steps(void)
{
    static const char *const budgets[] = {"tokens: 2000", "steps: 60", "flops: 1e9"};
    static const char *const data[] = {
        "data: {corpus: markov, tokens: 4000}",
        "data: {corpus: probe, learn: answers, distances: [40], tokens: 4k, held_out: 200}"};
    for (int i = 0; i < 6; i++) {
        char more[512];
        snprintf(more, sizeof more,
                 "%s\nschedule: {kind: linear, warmup: 5, min: 0}\noptimizer: {lr: 1e-3}\n"
                 "train: {budget: {%s}, batch: 4, segment: 16}\n",
                 data[i / 3], budgets[i % 3]);
        workload w;
        err e = {0};
        if (!trial_open(&w, TRIAL_SPEC, more, 5)) return;
        train_length l = train_options_length(&w.train.budget, &w.shape, 2e5);
        trainer *t = trainer_new(&w, 1, l, &e);
        EXPECT(t, "%s", e.text);
        double rate = 0, last = 1;
        int64_t step = 0;
        for (; t && !trainer_finished(t); step++) {
            last = run_steps(t, 1).lr;
            if (step == 4) rate = last;
        }
        EXPECT(step >= 20, "%s: %lld steps", more, (long long)step);
        EXPECT(rate >= 1e-3 * (1 - 1e-12), "%s: %g after the warm-up", more, rate);
        /* Random padding may end a budget in tokens a few steps before or after the average. */
        EXPECT(last <= 1e-3 * 4 / (double)(step - 5), "%s: %g in step %lld of %lld", more, last,
               (long long)step, (long long)l.steps);
        trainer_free(t);
        workload_close(&w);
    }
}

static void bad_numbers_are_named(void)
{
    workload w;
    err e = {0};
    train_report r;
    if (!trial_open(&w, TRIAL_SPEC, NULL, 5)) return;
    const params *p = model_params(w.model);
    const param *second = &p->list[p->count / 2];
    trainer *t = trainer_for(&w, 2, 100);
    run_steps(t, 2);
    int64_t step = t->progress.step;
    t->values[second->offset] = (real)NAN;
    EXPECT(trainer_step(t, &r, &e), "%s", e.text);
    EXPECT(strstr(r.bad, "parameter ") && strstr(r.bad, second->name), "%s", r.bad);
    EXPECT(t->progress.step == step, "the step was counted");
    trainer_free(t);
    workload_close(&w);
}

static void learns(void)
{
    workload w;
    if (!trial_open(&w, TRIAL_SPEC, "train: {budget: {steps: 200}, batch: 8}\n", 5)) return;
    trainer *t = trainer_for(&w, 2, 200);
    train_report r = run_steps(t, 1);
    double first = r.nats / r.weight;
    r = run_steps(t, 199);
    /* A uniform guess over 8 symbols costs ln 8 = 2.08 nats; the source's entropy is lower. */
    EXPECT(r.nats / r.weight < first - 0.1, "%g after %g", r.nats / r.weight, first);
    double seconds;
    err e = {0};
    EXPECT(trainer_calibrate(&w, 1, 0.01, &seconds, &e) && seconds > 0, "%s", e.text);
    trainer_free(t);
    workload_close(&w);
}

const test_suite test_trainer = {
    "harness/trainer",
    {{"options_are_checked", options_are_checked},
     {"one budget", one_budget},
     {"lengths", lengths},
     {"lanes_of_their_own", lanes_of_their_own},
     {"threads_give_equal_bits", threads_give_equal_bits},
     {"packed_weights_are_the_steps", packed_weights_are_the_steps},
     {"wide_weights_are_packed_where_used", wide_weights_are_packed_where_used},
     {"rows_equal_zeros_with_sgd", rows_equal_zeros_with_sgd},
     {"rows_give_equal_bits", rows_give_equal_bits},
     {"no_memory_in_the_loop", no_memory_in_the_loop},
     {"tokens_are_targets", tokens_are_targets},
     {"schedule_is_in_steps", schedule_is_in_steps},
     {"bad_numbers_are_named", bad_numbers_are_named},
     {"memory_of_evaluation", memory_of_evaluation},
     {"smoothed_labels", smoothed_labels},
     {"learns", learns},
     {0}}};
