/* The `init_from:` section of a spec: a run that starts from another one's trained parameters.
 *
 *   init_from: {variant: LABEL}        of this sweep, same seed: it is trained first
 *   init_from: {variant: {AXIS: VALUE}}   the one with these values, and this one's on other axes
 *   init_from: {run: ID}               a run in the same results folder
 *   init_from: {checkpoint: FOLDER}    a run's folder, or a checkpoint folder, anywhere
 *     only: [PATTERN, ...]    source parameters that are taken; default: all of them
 *     skip: [PATTERN, ...]    source parameters that are not
 *     map: {PATTERN: NAME}    source parameters that get another name here; what each * of the
 *                             pattern stood for is put in place of those of the name
 *
 * Parameters that the source lacks start fresh; what is taken from it must have its place and
 * shape, or the shape of one of the pieces that its place is cut in (experts): then each starts as
 * a copy of it, from dense to sparse. The source also serves layers that are built from a trained
 * model's tensors or told its predictions; `only: []` takes nothing else. */
#ifndef LOCI_HARNESS_INIT_FROM_H
#define LOCI_HARNESS_INIT_FROM_H

#include "data/corpus.h"
#include "models/model.h"

typedef struct init_options {
    const char *variant, *run, *checkpoint; /* at most one; none: start fresh */
    const node *only, *skip, *map;
    const node *at; /* the section; NULL: there is none */
} init_options;

extern const option INIT_OPTIONS[];

/* n: the section or NULL. */
bool init_from_read(init_options *o, const node *n, arena *a, err *e);

/* What of the section identities are hashed from: `source` (the id of the source's variant or run,
 * or its checkpoint's hash) and the lists. NULL without a section. */
node *init_from_changed(arena *a, const init_options *o, const char *source);

/* A parameter of the source. */
typedef struct init_tensor {
    const char *name;
    int rank;
    int64_t shape[TENSOR_RANK];
} init_tensor;

/* target[i]: the parameter of p that source tensor i starts, -1: not taken. Fails with the place of
 * a pattern that fits nothing, or of a tensor that has no place. */
bool init_from_match(int *target, const init_options *o, const init_tensor *source, int count,
                     const params *p, err *e);

/* The folder that a checkpoint's manifest stands in: `folder` itself or its checkpoint/. */
bool checkpoint_files_folder(char *path, const char *folder, err *e);
/* What stands for its content: the checksum of its model file. In the arena. NULL on failure. */
const char *checkpoint_files_hash(arena *a, const char *folder, err *e);

/* ---- the source, opened ---- */

typedef struct trained_source trained_source;

/* runs: where the folders of other runs lie, NULL: nowhere. Not for {variant: ...}. */
trained_source *trained_model_source_open(const init_options *o, const char *runs,
                                          const corpus_places *places, err *e);
void trained_model_source_close(trained_source *s); /* NULL is fine */
const tensor_source *trained_model_source_tensors(trained_source *s);
/* Starts the parameters that the options take from it. */
bool trained_model_source_start(trained_source *s, const init_options *o, const params *p,
                                real *values, err *e);
/* Makes the source the model's guide (model_set_guide), loaded for its context. */
bool trained_model_source_guide(trained_source *s, model *m, err *e);

#endif
