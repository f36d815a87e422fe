/* What multiplies, as a spec says it: each choice acts, is another run, and is found again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/identity.h"
#include "harness/train/checkpoint.h"
#include "harness/train/train_kernels.h"
#include "harness/train/trained_model.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

#define TRAIN "train: {budget: {steps: 6}, batch: 4, lanes: 4, accumulate: 2, "

/* The first is the default. */
static const struct {
    const char *train;
    gemm_chain products;
} CHOICES[] = {{TRAIN "segment: 0}", GEMM_FLOAT32},
               {TRAIN "gemm: openblas}", GEMM_CHAINS},
               {TRAIN "precision: bfloat16}", GEMM_BFLOAT16},
               {TRAIN "precision: bfloat16, gemm: tiles}", GEMM_TILES}};
enum { COUNT = REAL_IS_DOUBLE ? 2 : sizeof CHOICES / sizeof CHOICES[0] };

static bool kernels_of(tape_kernels *k, const char *yaml, err *e)
{
    arena *a = arena_new(1 << 14);
    *e = (err){0};
    const node *n = node_parse(a, yaml, strlen(yaml), "spec.yaml", e);
    bool ok = n && train_kernels_read(k, node_get(n, "train"), a, e);
    arena_free(a);
    return ok;
}

static void choices(void)
{
    for (int i = 0; i < COUNT; i++) {
        tape_kernels k;
        err e;
        EXPECT(kernels_of(&k, CHOICES[i].train, &e), "%s", e.text);
        if (CHOICES[i].products == GEMM_CHAINS) {
            EXPECT(!k.products && !k.exact, "%s", CHOICES[i].train);
            continue;
        }
        EXPECT(k.products->chain == CHOICES[i].products && k.exact->chain == GEMM_FLOAT32, "%s",
               CHOICES[i].train);
    }
}

static void what_does_not_fit(void)
{
    static const struct {
        const char *train, *said;
    } cases[] = {{"train: {precision: bfloat16, gemm: openblas}", "spec.yaml:1:36: train.gemm: "},
                 {"train: {gemm: tiles}", "spec.yaml:1:15: train.gemm: "},
                 {"train: {gemm: mkl}", "own|openblas|tiles"},
                 {"train: {precision: half}", "float32|bfloat16"}};
    for (size_t i = REAL_IS_DOUBLE; i < sizeof cases / sizeof *cases; i++) {
        tape_kernels k;
        err e;
        EXPECT(!kernels_of(&k, cases[i].train, &e) && strstr(e.text, cases[i].said), "%s: '%s'",
               cases[i].train, e.text);
    }
}

/* Parameters after six steps; malloc'd. */
static real *trained(const char *train, int threads, char variant[IDENTITY_CHARS], int64_t *bytes)
{
    workload w;
    err e = {0};
    if (!trial_open(&w, TRIAL_SPEC, train, 7)) return NULL;
    identity_variant(variant, &w, NULL);
    trainer *t = trainer_new(&w, threads, (train_length){.steps = 6}, &e);
    EXPECT(t, "%s", e.text);
    for (int i = 0; t && i < 6; i++) {
        train_report r;
        EXPECT(trainer_step(t, &r, &e), "%s", e.text);
    }
    *bytes = model_params(w.model)->total * (int64_t)sizeof(real);
    real *values = malloc((size_t)*bytes);
    memcpy(values, t->values, (size_t)*bytes);
    trainer_free(t);
    workload_close(&w);
    return values;
}

static void each_acts_and_is_another_run(void)
{
    real *values[COUNT];
    char variants[COUNT][IDENTITY_CHARS], again[IDENTITY_CHARS];
    int64_t bytes = 0;
    for (int i = 0; i < COUNT; i++) {
        values[i] = trained(CHOICES[i].train, 1, variants[i], &bytes);
        real *other = trained(CHOICES[i].train, 3, again, &bytes);
        EXPECT(memcmp(values[i], other, (size_t)bytes) == 0, "%s: threads", CHOICES[i].train);
        free(other);
        for (int j = 0; j < i; j++) {
            /* Double has one library, whatever is chosen. */
            bool same = memcmp(values[i], values[j], (size_t)bytes) == 0;
            EXPECT(same == REAL_IS_DOUBLE, "%s: as %s", CHOICES[i].train, CHOICES[j].train);
            EXPECT(strcmp(variants[i], variants[j]) != 0, "%s is %s", CHOICES[i].train,
                   CHOICES[j].train);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        free(values[i]);
    }
}

static void expect_used(const char *train, const char *gemm)
{
    workload w;
    err e = {0};
    trained_model m;
    const corpus_places places = {.cache = test_folder()};
    if (!trial_open(&w, TRIAL_SPEC, train, 7)) return;
    trainer *t = trainer_new(&w, 1, (train_length){.steps = 6}, &e);
    EXPECT(t && checkpoint_save(test_folder(), t, "0123456789abcdef", &e), "%s", e.text);
    bool ok = trained_model_load(&m, test_folder(), NULL, NULL, &places, &e);
    EXPECT(ok, "%s", e.text);
    if (ok) {
        const node *said = node_at(m.spec, "train.gemm");
        EXPECT(said && strcmp(said->text, gemm) == 0, "%s", train);
        trained_model_close(&m);
    }
    trainer_free(t);
    workload_close(&w);
}

/* Specs of runs that were made before there was a choice do not say what they were made with. */
static void older_runs_have_openblas(void)
{
    expect_used(TRAIN "segment: 8}", "openblas");
    expect_used(TRAIN "gemm: own}", "own");
}

const test_suite test_train_kernels = {
    "harness/train_kernels",
    {{"choices", choices},
     {"what_does_not_fit", what_does_not_fit},
     {"each_acts_and_is_another_run", each_acts_and_is_another_run},
     {"older_runs_have_openblas", older_runs_have_openblas},
     {0}}};
