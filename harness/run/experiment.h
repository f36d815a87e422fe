/* From an experiment file to runs that can be started: each with its spec, its cost and its
 * identity.
 *
 *   experiment *x = experiment_load("experiments/quickstart.yaml", sets, &e);
 *   experiment_resolve(x, &places, &e);      opens corpora, builds models, checks every option
 *
 * Identity: variant = the first 16 hex digits of the SHA-256 of the canonical JSON of the options
 * that differ from their defaults, the hash of the data included; what changes no result (paths,
 * threads, logging, evaluation) is no part of it. run id = the same over {variant, seed,
 * LOCI_NUMERICS}, with f64 in programs of doubles. */
#pragma once

#include "harness/run/identity.h"
#include "harness/run/run_amount.h"
#include "harness/spec/spec.h"
#include "harness/spec/sweep.h"
#include "results/claims/claim_read.h"

enum { EXPERIMENT_MAX_VARIANTS = 20000, EXPERIMENT_MAX_RUNS = 200000 };

typedef struct run_plan {
    const char *label; /* of its variant */
    int64_t seed;
    bool is_baseline;
    int axis_count;
    const axis_value *axes;
    int variant_index; /* in experiment.sweep->variants */
    /* Filled by experiment_resolve: */
    char id[IDENTITY_CHARS];
    char variant[IDENTITY_CHARS];
    const node *spec;     /* as written, of this run alone; NULL before experiment_spec */
    const node *resolved; /* every option spelt out; reads back as a spec */
    bool oracle; /* looks at what it predicts: its label says so, here and in every table */
    model_cost cost;
    int64_t lanes, lane_rows; /* of a step */
    double memory_bytes;      /* estimate of anonymous memory with one thread, */
    double thread_bytes;      /* and what each thread more takes, up to one for each lane */
    run_amount amount;
    const char *doubt; /* what is hardly meant, though it can be run (doubt.h); NULL: nothing */
    const char *taken; /* of init_from: how much of the model it starts; NULL: not known yet */
    const char *corpus_hash;     /* of the text that the id was made from, */
    const char *source_hash;     /* and of the checkpoint that init_from names; NULL: none */
    bool has_bytes, has_words;   /* whether its evaluations count them, */
    bool has_slices, has_recall; /* slice its text, and ask it something */
    int64_t documents;           /* that they score, in whole or in part */
    int64_t longest;             /* of these, as far as it is scored, in tokens */
    int64_t context;             /* positions of a block */
    int distances;               /* that a probe's questions have: distance [distances] */
    int64_t *distance;
    bool memories, values, learns, states; /* what loci inspect finds in its layers; values: of
                                            * memories, which may have none of their own */
    /* What init_from names in this sweep: the run's id, "" if nothing; its index in `runs`, -1. */
    char source[IDENTITY_CHARS];
    int source_run;
    int source_variant; /* index in experiment.sweep->variants, -1: none */
} run_plan;

typedef struct experiment {
    spec *spec;
    sweep *sweep;
    arena *memory;        /* the spec's */
    const char *baseline; /* the baseline variant's label */
    int duplicates;       /* variants dropped because an earlier one says the same */
    int run_count;
    run_plan *runs;      /* seed by seed, so that an interrupted sweep can already be compared */
    const char **labels; /* [sweep->variant_count]: what each is called among the runs; resolved */
    const claim_list *claims; /* NULL before experiment_claims (experiment_claims.h) */
} experiment;

/* Reads and expands; nothing is opened. NULL and e on failure. The caller frees. */
experiment *experiment_load(const char *path, const char *const *sets, err *e);
void experiment_free(experiment *x);

/* The spec of run `index`: the file's without its sweep, its variant's values in place. Made when
 * first asked for and shared by the seeds of a variant. NULL and the place of a value that fits
 * nowhere. */
const node *experiment_spec(experiment *x, int index, err *e);

/* Warns of fewer seeds than differences can be told with. */
void experiment_few_seeds(FILE *out, const experiment *x);

/* Prints what is in doubt, and what is taken from where init_from says, a line per variant each. */
void experiment_doubts(FILE *out, const experiment *x);
