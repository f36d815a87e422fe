/* What a spec names, opened: the corpus, the model, the options of its training. */
#pragma once

#include "core/train/optim.h"
#include "core/train/schedule.h"
#include "data/stream.h"
#include "harness/evaluate/evaluate.h"
#include "harness/train/train_options.h"
#include "harness/train/trained_model.h"
#include "models/model.h"

typedef struct workload {
    arena *memory;
    const node *spec;            /* borrowed */
    const corpus_places *places; /* likewise; NULL: the corpus is */
    int64_t seed;
    rank_group *ranks; /* that train it together; NULL: this process alone */
    corpus *corpus;
    bool owns_corpus;
    model *model;
    model *eval_model; /* the same model in other sizes, or `model` itself */
    train_options train;
    train_shape shape;
    eval_options eval;
    optim_options optim;
    schedule_options schedule;
    init_options init;
    const char *source_id;  /* of init_from: a run's id, a checkpoint's hash; NULL: none, or a
                               variant, whose id only the sweep knows */
    trained_source *source; /* NULL: none, or not opened */
} workload;

/* spec: one run's, with or without defaults spelt out (sections data, model, init_from, optimizer,
 * schedule, train, eval). Parameter groups are applied. On failure nothing is left open. */
bool workload_open(workload *w, const node *spec, int64_t seed, const corpus_places *places,
                   err *e);
/* The same; runs is the folder in which init_from finds other runs. */
bool workload_open_beside(workload *w, const node *spec, int64_t seed, const corpus_places *places,
                          const char *runs, err *e);
/* The same with a corpus that is open already and stays so: borrowed. What init_from names need not
 * be there and is not opened: for shapes and costs, not for training. */
bool workload_open_on(workload *w, const node *spec, int64_t seed, corpus *c, err *e);
void workload_close(workload *w);

/* Whether the text is still the one that was opened, on all ranks: asked before anything is kept of
 * what was read since, and cheap as long as no file was touched. */
bool workload_text_stands(const workload *w, err *e);

/* What the evaluations of a run have in common, on the way or afterwards: equal figures to the bit.
 */
eval_task workload_evaluation(const workload *w, const real *values, int threads,
                              const volatile sig_atomic_t *stop);

/* How training reads the corpus. */
stream_options workload_stream(const workload *w);

/* Starting values [params.total] of the model: from the seed, then what init_from takes. */
bool workload_start(const workload *w, real *values, err *e);
