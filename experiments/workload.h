/* What a spec names, opened: the corpus, the model, the options of its training. */
#ifndef LOCI_EXPERIMENTS_WORKLOAD_H
#define LOCI_EXPERIMENTS_WORKLOAD_H

#include "core/optim.h"
#include "core/schedule.h"
#include "data/corpus.h"
#include "experiments/evaluate.h"
#include "experiments/train_options.h"
#include "models/model.h"

typedef struct workload {
    arena *memory;
    const node *spec; /* borrowed */
    int64_t seed;
    corpus *corpus;
    bool owns_corpus;
    model *model;
    model *eval_model; /* the same model on another context, or `model` itself */
    train_options train;
    train_shape shape;
    eval_options eval;
    optim_options optim;
    schedule_options schedule;
} workload;

/* spec: one run's, with or without defaults spelt out (sections data, model, optimizer, schedule,
 * train, eval). Parameter groups are applied. On failure nothing is left open. */
bool workload_open(workload *w, const node *spec, int64_t seed, const corpus_places *places,
                   err *e);
/* The same with a corpus that is open already and stays so: borrowed. */
bool workload_open_on(workload *w, const node *spec, int64_t seed, corpus *c, err *e);
void workload_close(workload *w);

/* The model of a spec for a corpus that is open, at the spec's context or another (context > 0).
 * Borrows the spec; what it needs besides lives in the arena. */
model *workload_model(arena *a, const node *spec, int64_t context, corpus *c, int64_t seed, err *e);

#endif
