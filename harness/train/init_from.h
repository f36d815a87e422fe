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
#pragma once

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

/* One line: how many of p's parameters are taken, and by name which start fresh. */
const char *init_from_summary(arena *a, const int *target, int count, const params *p);

/* How often the tensor fits into its place: 1, once per piece, or 0 for never. */
int64_t init_from_copies(const param *x, const init_tensor *t);
