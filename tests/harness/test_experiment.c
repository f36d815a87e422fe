#include "harness/run/doubt.h"
#include "harness/run/experiment_resolve.h"
#include "tests/support/corpora.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

/* A spec on a synthetic corpus, which needs no file. */
static const char BASE[] =
    "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500, length: 100}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 16}}]}\n"
    "optimizer: {lr: 1e-3, groups: [{match: \"*.bias\", lr: 0.5}]}\n"
    "train: {budget: {steps: 4}, batch: 2}\n";

static const char *write_spec(const char *extra)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/plan.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%s%s", BASE, extra) > 0, "%s", path);
    if (f) fclose(f);
    return path;
}

static corpus_places places_here(void)
{
    return (corpus_places){.roots = NULL, .cache = test_folder()};
}

static experiment *resolved(const char *extra, const char *const *sets, err *e)
{
    e->text[0] = 0;
    experiment *x = experiment_load(write_spec(extra), sets, e);
    corpus_places places = places_here();
    if (x && !experiment_resolve(x, &places, e)) {
        experiment_free(x);
        x = NULL;
    }
    return x;
}

static void order_and_seeds(void)
{
    err e;
    experiment *x = resolved("sweep: {baseline: {width: 16}, seeds: [5, 3],\n"
                             "  grid: {model.width: [8, 16, 32]}}\n",
                             NULL, &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    static const char *const labels[] = {"width=8", "width=16", "width=32"};
    EXPECT(x->run_count == 6 && strcmp(x->baseline, "width=16") == 0, "%d", x->run_count);
    for (int i = 0; i < x->run_count; i++) {
        const run_plan *r = &x->runs[i];
        EXPECT(strcmp(r->label, labels[i % 3]) == 0 && r->seed == (i < 3 ? 5 : 3), "%d: %s, %lld",
               i, r->label, (long long)r->seed);
        EXPECT(r->is_baseline == (i % 3 == 1), "%d", i);
        EXPECT(strlen(r->id) == 16 && strlen(r->variant) == 16, "%s", r->id);
        EXPECT(strcmp(r->variant, x->runs[i % 3].variant) == 0, "%s", r->variant);
        for (int k = 0; k < i; k++)
            EXPECT(strcmp(x->runs[k].id, r->id) != 0, "%d and %d", k, i);
        EXPECT(r->axis_count == 1 && strcmp(r->axes[0].axis, "model.width") == 0, "%d",
               r->axis_count);
        EXPECT(!node_get(r->spec, "sweep") && node_get(r->resolved, "schedule"), "%d", i);
        EXPECT(r->cost.params > 0 && r->memory_bytes > 4.0 * (double)r->cost.params, "%g",
               r->memory_bytes);
    }
    EXPECT(x->runs[2].cost.params > x->runs[0].cost.params, "%lld",
           (long long)x->runs[2].cost.params);
    experiment_free(x);
}

/* The variant that one spec with the given --set values resolves to. */
static const char *variant_of(const char *set1, const char *set2)
{
    static char ids[32][IDENTITY_CHARS];
    static int next;
    const char *const sets[] = {set1, set2, NULL};
    err e;
    experiment *x = resolved("", set1 ? sets : NULL, &e);
    EXPECT(x, "%s: %s", set1 ? set1 : "plain", e.text);
    char *id = ids[next++ % 32];
    snprintf(id, IDENTITY_CHARS, "%s", x ? x->runs[0].variant : "none");
    experiment_free(x);
    return id;
}

static void identity(void)
{
    const char *plain = variant_of(NULL, NULL);
    static const char *const same[] = {"optimizer.lr=0.001",
                                       "optimizer.beta1=0.9",
                                       "train.log_every=3",
                                       "train.eval_every=2",
                                       "train.budget={steps: 0.004k}",
                                       "eval.rows=3",
                                       "train.accumulate=1",
                                       "name=other",
                                       "train.checkpoint_seconds=5",
                                       "schedule.warmup=0",
                                       "optimizer.groups=[{lr: 0.50, match: '*.bias'}]"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const char *id = variant_of(same[i], NULL);
        EXPECT(strcmp(id, plain) == 0, "%s changes the variant", same[i]);
    }
    static const char *const different[] = {
        "optimizer.lr=0.002",   "train.batch=4",       "train.budget={steps: 5}",
        "data.seed=9",          "model.width=16",      "model.blocks[0].attention.heads=1",
        "schedule.kind=linear", "optimizer.groups=[]", "train.budget={tokens: 4}"};
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        const char *id = variant_of(different[i], NULL);
        EXPECT(strcmp(id, plain) != 0, "%s leaves the variant", different[i]);
    }
}

/* The resolved spec, through the JSON that a run folder keeps, is the same run again. */
static void resolved_reads_back(void)
{
    static const char *const kinds[] = {"adamw", "adam", "adafactor", "sgd"};
    for (int k = 0; k < 4; k++) {
        char set[64];
        snprintf(set, sizeof set, "optimizer.kind=%s", kinds[k]);
        const char *const sets[] = {set, k == 3 ? "schedule={kind: constant}" : "train.lanes=2",
                                    NULL};
        err e;
        experiment *x = resolved("", sets, &e);
        EXPECT(x, "%s: %s", set, e.text);
        if (!x) continue;
        const char *json = node_json(x->memory, x->runs[0].resolved, false);
        const node *again = node_parse(x->memory, json, strlen(json), "plan.json", &e);
        EXPECT(again, "%s", e.text);
        workload w;
        corpus_places places = places_here();
        bool opens = again && workload_open(&w, again, 1, &places, &e);
        EXPECT(opens, "%s: %s\n%s", set, e.text, json);
        if (opens) {
            char id[IDENTITY_CHARS];
            identity_variant(id, &w, NULL);
            EXPECT(strcmp(id, x->runs[0].variant) == 0, "%s: %s, not %s", set, id,
                   x->runs[0].variant);
            const char *twice = node_json(x->memory, identity_resolved(x->memory, &w), false);
            EXPECT(strcmp(json, twice) == 0, "%s\n%s", json, twice);
            workload_close(&w);
        }
        experiment_free(x);
    }
}

typedef struct doubted {
    const char *more, *part; /* NULL: there is no doubt */
} doubted;

static void expect_doubts(const doubted *cases, size_t count, const char *at)
{
    for (size_t i = 0; i < count; i++) {
        workload w;
        arena *a = arena_new(0);
        if (!trial_open(&w, TRIAL_SPEC, cases[i].more, 1)) return;
        const char *doubt = doubt_of(a, &w, 1), *part = cases[i].part;
        bool right = part ? doubt && strstr(doubt, at) && strstr(doubt, part) : !doubt;
        EXPECT(right, "%s: %s", cases[i].more, doubt ? doubt : "no doubt");
        workload_close(&w);
        arena_free(a);
    }
}

/* A warm-up that takes most of the run can be run, and is warned of; so many targets of a step
 * count as the corpus has, however few. */
static void long_warmups_are_doubted(void)
{
    static const doubted cases[] = {
        {"schedule: {warmup: 500}\ntrain: {budget: {steps: 60}}\n", "ends before the warm-up"},
        {"schedule: {warmup: 31}\ntrain: {budget: {steps: 60}}\n", "most of which are warm-up"},
        {"schedule: {warmup: 500}\ntrain: {budget: {tokens: 2k}}\n", "ends before the warm-up"},
        {"schedule: {kind: constant, warmup: 500}\ntrain: {budget: {steps: 60}}\n", "ends before"},
        {"schedule: {warmup: 30}\ntrain: {budget: {steps: 60}}\n", NULL},
        {"schedule: {warmup: 500}\ntrain: {budget: {steps: 0}}\n", NULL},
        {"schedule: {warmup: 500}\ntrain: {budget: {seconds: 60}}\n", NULL},
        {"data: {corpus: probe, learn: answers, distances: [64], tokens: 10k}\n"
         "schedule: {warmup: 20}\ntrain: {budget: {tokens: 1k}}\n",
         NULL},
    };
    expect_doubts(cases, sizeof cases / sizeof *cases, "schedule.warmup: ");
}

/* With more rows than there are spans each step is that of fewer rows, counted as many tokens: two
 * batches of a sweep would be compared that are one. */
static void few_spans_are_doubted(void)
{
#define TEXT "corpus: markov, symbols: 6, order: 1, held_out: 500, tokens: 700, length: 100"
    static const doubted cases[] = {
        {"data: {" TEXT "}\ntrain: {batch: 8, budget: {steps: 9}}\n", "8 rows, but"},
        {"data: {" TEXT "}\ntrain: {batch: 7, budget: {steps: 9}}\n", NULL},
        {"data: {" TEXT ", span: 50}\ntrain: {batch: 8, budget: {steps: 9}}\n", NULL},
        {"data: {" TEXT "}\ntrain: {batch: 8, budget: {steps: 0}}\n", NULL},
        {"data: {" TEXT "}\ntrain: {batch: 8, budget: {seconds: 9}}\n", "7 documents"},
    };
    expect_doubts(cases, sizeof cases / sizeof *cases, "train.batch: ");
#undef TEXT
}

static void repetitions(void)
{
    err e;
    experiment *x = resolved("sweep: {baseline: long, seeds: 2, grid: {memory: {short: {},\n"
                             "  same: {\"model.blocks[0].attention.positions\": rotary},\n"
                             "  long: {optimizer.lr: 1e-3, schedule.warmup: 0},\n"
                             "  other: {model.width: 16}}}}\n",
                             NULL, &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    EXPECT(x->run_count == 4 && x->duplicates == 2, "%d runs, %d dropped", x->run_count,
           x->duplicates);
    EXPECT(strcmp(x->runs[1].label, "other") == 0, "%s", x->runs[1].label);
    EXPECT(strcmp(x->baseline, "short") == 0 && x->runs[0].is_baseline && x->runs[2].is_baseline &&
               !x->runs[1].is_baseline,
           "the baseline moves to the variant that is kept: %s", x->baseline);
    experiment_free(x);
}

/* What is wrong in a section or a swept value is found before anything is trained, at its place. */
static void refuses(void)
{
    static const struct {
        const char *extra, *set, *words;
    } cases[] = {
        {"", "optimizer.lrr=1",
         "--set optimizer.lrr=1: optimizer: unknown key 'lrr' (did you mean 'lr'"},
        {"", "schedule.kind=cos", "schedule.kind: 'cos' is none of"},
        {"", "train.batch=0", "train.batch: 0 is out of range"},
        {"", "eval.split=training", "eval.split: 'training' is none of"},
        {"", "data.corpus=kjw", "did you mean 'kjv'?"},
        {"", "model.blocks[0].attention.haeds=2", "unknown key 'haeds' (did you mean 'heads'?)"},
        {"", "data=null", "plan.yaml:1:1: the section `data` is missing"},
        {"", "train=null", "plan.yaml:1:1: the section `train` is missing"},
        {"", "optimizer.groups=[{match: nothing, lr: 2}]", "matches no parameter"},
        {"sweep: {grid: {model.width: [8, x]}}\n", NULL, "plan.yaml:5:33: model.width: "},
        {"sweep: {grid: {model.width: [8, x]}}\n", NULL, "(in variant 'width=x')"},
        {"sweep: {grid: {\"model.blocks[0].atention.heads\": [1, 2]}}\n", NULL, "plan.yaml:5:51: "},
        {"sweep: {grid: {\"model.blocks[7].ffn.hidden\": [1, 2]}}\n", NULL, "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const sets[] = {cases[i].set, NULL};
        err e;
        experiment *x = resolved(cases[i].extra, sets, &e);
        EXPECT(!x && strstr(e.text, cases[i].words), "%s%s: %s", cases[i].extra,
               cases[i].set ? cases[i].set : "", e.text);
        experiment_free(x);
    }
}

/* Nor is anything trained that could not be evaluated in the end. */
static void nothing_to_evaluate(void)
{
    static const char probe[] = "data={corpus: probe, length: 1, distances: [3], tokens: 2k, "
                                "held_out: 200, learn: answers}";
    char folder[600];
    corpora_write("text/train/a.txt", "a text of some length, a text of some length", -1);
    corpora_write("text/validation/b.txt", "another text of some length", -1);
    snprintf(folder, sizeof folder, "data={corpus: text, path: %s/text}", test_folder());
    const struct {
        const char *extra, *data, *words;
    } cases[] = {
        {"eval: {tokens: 2}\n", probe, "plan.yaml:5:16: eval.tokens: nothing of what"},
        {"eval: {tokens: 20}\n", probe, NULL},
        {"eval: {dynamic: {kind: sgd, match: nothing}}\n", probe, "matches no parameter that can"},
        {"eval: {dynamic: {kind: sgd, segment: 12}}\n", probe, "multiple"},
        {"eval: {split: test}\n", folder, "plan.yaml:5:15: eval.split: the corpus has no test"},
        {"", folder, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e;
        experiment *x = resolved(cases[i].extra, (const char *const[]){cases[i].data, NULL}, &e);
        EXPECT(cases[i].words ? !x && strstr(e.text, cases[i].words) : x != NULL, "case %zu: %s", i,
               e.text);
        experiment_free(x);
    }
}

const test_suite test_experiment = {"harness/experiment",
                                    {{"order and seeds", order_and_seeds},
                                     {"identity", identity},
                                     {"resolved reads back", resolved_reads_back},
                                     {"long warm-ups are doubted", long_warmups_are_doubted},
                                     {"fewer spans than rows are doubted", few_spans_are_doubted},
                                     {"repetitions", repetitions},
                                     {"refuses", refuses},
                                     {"nothing to evaluate", nothing_to_evaluate},
                                     {0}}};
