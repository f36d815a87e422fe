/* Trained models in use: to evaluate, to generate from, to start another model from, or to tell it
 * their predictions (its guide). The two are one file, for a guide may have a guide. */
#pragma once

#include "harness/train/init_from.h"

/* ---- the source that init_from names, opened ---- */

typedef struct trained_source trained_source;

/* runs: where the folders of other runs lie, NULL: nowhere. Not for {variant: ...}. */
trained_source *trained_model_source_open(const init_options *o, const char *runs,
                                          const corpus_places *places, err *e);
void trained_model_source_close(trained_source *s); /* NULL is fine */
const tensor_source *trained_model_source_tensors(trained_source *s);
/* Starts the parameters that the options take from it. */
bool trained_model_source_start(trained_source *s, const init_options *o, const params *p,
                                real *values, err *e);
/* What that takes and what it leaves fresh, in one line that lives as long as the source. */
const char *trained_model_source_summary(trained_source *s, const init_options *o, const params *p,
                                         err *e);
/* Makes the source the model's guide (model_set_guide), loaded for its context. */
bool trained_model_source_guide(trained_source *s, model *m, err *e);

/* ---- the model ---- */

/* A model to use: evaluate it, generate from it. */
typedef struct trained_model {
    arena *memory;
    const node *spec; /* resolved, from the checkpoint */
    model *model;
    real *values;
    corpus *corpus;         /* of the spec: splits, tokenizer */
    trained_source *source; /* what tells it its predictions, else NULL */
    int64_t step, tokens, seed;
    char run[32];
    bool other_context; /* why it could not be loaded: sizes ask for one that it cannot have */
} trained_model;

/* folder: a run's folder or its checkpoint folder. data: replaces the spec's `data:` section, NULL:
 * * as trained (the vocabulary must be the same), looked for below the places, too, if it is not
 * where it was: then it must be the same to the bit. sizes replaces the model's, NULL: as trained.
 * A * model that is told another's predictions brings that one along: it must lie where init_from
 * says, a run of the same sweep beside its folder. */
bool trained_model_load(trained_model *m, const char *folder, const node *data,
                        const model_sizes *sizes, const corpus_places *places, err *e);
/* The same for who reads none of the corpus's text, which need not be there: then it has no splits
 * (corpus_open_bare). */
bool trained_model_load_bare(trained_model *m, const char *folder, const model_sizes *sizes,
                             const corpus_places *places, err *e);
void trained_model_close(trained_model *m);
