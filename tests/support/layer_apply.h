/* One layer (or head) by itself, on given inputs: how vectors are run through public layer code,
 * and what a model cannot show (a layer's own output and input gradient).
 *
 *     layer_apply *a = layer_apply_new("ffn", "{hidden: 8}", (layer_dims){.width = 4, ...}, 2, &e);
 *     set a->values[...], or look parameters up by name: layer_apply_param(a, "keys.weight")
 *     layer_apply_call call = {.time = 5, .x = x, .cotangent = dy};
 *     layer_apply_run(a, &call);          y, dx, a->grads are there until the next run
 *
 * State is carried from run to run as in a model, without gradient; layer_apply_reset forgets it.
 */
#pragma once

#include "layers/layer_books.h"
#include "layers/layer_inspect.h"

typedef struct layer_apply {
    arena *memory;
    tape *tape;
    layer layer;
    params params;
    layer_build build;
    real *values; /* [params.total], as initialised with seed 1 */
    grads grads;  /* values of pieces without gradient are zero */
    int64_t rows;
    int64_t *position; /* [rows] */
    real **slots;      /* by slot: [rows, max_length, width] */
    int64_t *lengths;  /* by slot */
    layer_ctx ctx;
    layer_books books;
} layer_apply;

/* `options`: YAML text of the layer's options, or NULL. Looks among layers, then heads. NULL and e
 * if the class is unknown or refuses. inputs may be NULL: token_counts and source for layers that
 * need them (only these two fields are read). */
layer_apply *layer_apply_new(const char *name, const char *options, const layer_dims *dims,
                             int64_t rows, const layer_build *inputs, err *e);
/* The same for a class that need not be in the registry. */
layer_apply *layer_apply_new_class(const layer_class *cls, const char *options,
                                   const layer_dims *dims, int64_t rows, const layer_build *inputs,
                                   err *e);
void layer_apply_free(layer_apply *a);

/* Values and gradients of "<name>" (without the layer's own name); *count may be NULL. */
real *layer_apply_param(layer_apply *a, const char *name, int64_t *count);
real *layer_apply_grad(layer_apply *a, const char *name, int64_t *count);

void layer_apply_reset(layer_apply *a);

typedef struct layer_apply_call {
    int64_t time;
    const real *x;          /* [rows, time, width] */
    const int32_t *tokens;  /* [rows, time]; NULL: all 0 */
    const int32_t *targets; /* or NULL */
    const real *weights;    /* or NULL */
    const int64_t *lengths; /* or NULL */
    double total_weight;
    run_mode mode;
    const real *cotangent; /* like y: gradients of sum(y * cotangent) + aux; NULL: no backward */
    layer_watch watch;
    /* Results, valid until the next run. */
    const tensor *y;
    const real *dx; /* [rows, time, width]; NULL without backward */
    double aux;     /* sum of auxiliary losses */
} layer_apply_call;

void layer_apply_run(layer_apply *a, layer_apply_call *call);

enum { LAYER_APPLY_CALLS = 8 };

/* Consecutive calls as one segment: gradients flow through what is carried between them. Either all
 * have a cotangent or none. */
void layer_apply_segment(layer_apply *a, layer_apply_call *calls, int n);
