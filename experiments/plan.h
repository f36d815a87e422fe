/* From an experiment file to runs that can be started: each with its spec, its cost and its
 * identity.
 *
 *   experiment *x = experiment_load("experiments/quickstart.yaml", sets, &e);
 *   experiment_resolve(x, &places, &e);      opens corpora, builds models, checks every option
 *
 * Identity: variant = the first 16 hex digits of the SHA-256 of the canonical JSON of the options
 * that differ from their defaults, the hash of the data included; what changes no result (paths,
 * threads, logging, evaluation) is no part of it. run id = the same over {variant, seed,
 * LOCI_NUMERICS}. */
#ifndef LOCI_EXPERIMENTS_PLAN_H
#define LOCI_EXPERIMENTS_PLAN_H

#include "data/corpus.h"
#include "experiments/spec.h"
#include "experiments/sweep.h"
#include "models/model.h"

enum { IDENTITY_CHARS = 17 }; /* 16 hex digits and the end of the string */

typedef struct run_plan {
    const char *label; /* of its variant */
    int64_t seed;
    bool is_baseline;
    int axis_count;
    const axis_value *axes;
    /* Filled by experiment_resolve: */
    char id[IDENTITY_CHARS];
    char variant[IDENTITY_CHARS];
    const node *spec;     /* as written, of this run alone: no sweep, no seeds */
    const node *resolved; /* every option spelt out; reads back as a spec */
    model_cost cost;
    double memory_bytes; /* estimate of anonymous memory with one thread */
    const char *corpus_hash;
    /* Its index in experiment.sweep->variants. */
    int variant_index;
} run_plan;

typedef struct experiment {
    spec *spec;
    sweep *sweep;
    arena *memory;        /* the spec's */
    const char *baseline; /* the baseline variant's label */
    int run_count;
    run_plan *runs; /* seed by seed, so that an interrupted sweep can already be compared */
} experiment;

/* Reads and expands; nothing is opened. NULL and e on failure. The caller frees. */
experiment *experiment_load(const char *path, const char *const *sets, err *e);
void experiment_free(experiment *x);

/* Completes every run, or fails with the place of what is wrong. Runs whose spec turns out to be
 * that of an earlier one are dropped. Corpora that runs share are opened once, and closed again. */
bool experiment_resolve(experiment *x, const corpus_places *places, err *e);

#endif
