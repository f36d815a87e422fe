/* The contract of a layer: one file in layers/, one line in registry.c.
 *
 * A layer is a function of what it is given and of the state that it carries:
 *     y, state' = forward(x, state)
 * for a call with `time` consecutive positions of `rows` parallel streams. Training, evaluation and
 * generation are the same function; a causal layer gives the same outputs however its input is cut
 * into calls. Structure in time (blocks, windows, chunks) is a grid over positions since the row's
 * last reset, never over calls. A layer returns its output only: residual and norm are the stack's.
 *
 * Within one call all rows stand at the same phase of the block grid (position mod block); rows are
 * reset only where a block begins. */
#ifndef LOCI_LAYERS_LAYER_H
#define LOCI_LAYERS_LAYER_H

#include "core/ops.h"
#include "core/option.h"
#include "core/params.h"

typedef struct layer_class layer_class;
typedef struct layer layer;
typedef struct layer_ctx layer_ctx;
typedef struct layer_build layer_build;

/* What a layer knows of the model it stands in. */
typedef struct layer_dims {
    int64_t width;
    int64_t vocab; /* token ids are 0..vocab-1; vocab itself is the start token */
    int64_t block; /* the position grid: the model's context */
    int depth;     /* index of the layer in the stack, from 0 */
    int depths;    /* number of layers in the stack */
} layer_dims;

/* Cost per token, for tables and benchmarks. */
typedef struct layer_cost {
    double forward_flops; /* multiply-adds count 2; at full context */
    double state_bytes;   /* carried per row, at most */
} layer_cost;

struct layer_class {
    const char *name; /* as specs write it */
    const char *cite; /* "Authors year, arXiv:..., sec. n" or "" */
    const char *help; /* one line */
    const option *options;
    size_t options_bytes; /* sizeof its options struct */
    bool causal;          /* false only for oracles and leak detectors */
    /* Everything wrong with the options in these dims, with the node's place. May be NULL. */
    bool (*check)(const void *options, const layer_dims *dims, const node *at, err *e);
    /* Declares parameters and state slots (layer_param, layer_slot) and may fill self->plan. */
    void (*build)(layer_build *b, layer *self);
    /* x [rows, time, width] -> y of the same shape. */
    tensor *(*forward)(layer_ctx *c, const layer *self, tensor *x);
    layer_cost (*cost)(const layer *self);
    /* Statistics of the training split that build needs (bit set), else 0. */
    unsigned needs;
};

enum { NEEDS_TOKEN_COUNTS = 1 };

/* One instance in a model; lives as long as the model. */
struct layer {
    const layer_class *cls;
    const char *name;    /* "blocks.3.attention": prefix of its parameters and taps */
    const void *options; /* the class's options struct, filled and checked */
    const node *at;      /* where the spec wrote it */
    layer_dims dims;
    int first_param, params; /* its range in the model's params */
    int first_slot, slots;   /* its range in the model's state slots */
    void *plan;              /* what build computed once; NULL if nothing */
};

/* ---- building ---- */

/* One tensor carried between calls: per row up to max_length entries of `width` numbers. What is
 * carried may be shorter than max_length while a document is young. */
typedef struct state_slot {
    const char *name; /* "blocks.3.attention.kv" */
    int64_t max_length, width;
} state_slot;

struct layer_build {
    params *params;
    arena *memory;           /* lives as long as the model */
    const layer_dims *dims;
    const int64_t *token_counts; /* [vocab] of the training split if needed, else NULL */
    state_slot *slots;
    int slot_count, slot_capacity;
    uint64_t seed; /* of the run, for tables drawn at build time */
};

/* Declares a parameter "<layer name>.<name>"; the first call gives index 0 for layer_tensor. */
int layer_param(layer_build *b, layer *self, const char *name, param_role role, int rank,
                const int64_t *shape, param_init init);
/* The most recent parameter, to set pieces, matmul, active. */
param *layer_last_param(layer_build *b);
/* Declares a state slot "<layer name>.<name>"; the first call gives index 0 for layer_state. */
int layer_slot(layer_build *b, layer *self, const char *name, int64_t max_length, int64_t width);

/* ---- one call ---- */

typedef enum run_mode { MODE_TRAIN, MODE_EVAL } run_mode;

/* A figure for the metrics log: added up over calls and lanes as sum and weight; the logged value is
 * sum / weight. */
typedef struct metric {
    const char *layer, *name;
    double sum, weight;
} metric;

/* A named tensor offered to inspection, recorded only if asked for. */
typedef void (*tap_fn)(void *user, const layer *self, const char *name, const tensor *x);

enum { MAX_METRICS = 256, MAX_AUX = 256 };

struct layer_ctx {
    tape *tape;
    int64_t rows, time;
    const int32_t *tokens;   /* [rows, time]: inputs; `vocab` is the start token */
    const int32_t *targets;  /* [rows, time], or NULL while unknown (generation) */
    const real *weights;     /* [rows, time]: loss weights, 0 for padding; NULL: all 1 */
    double total_weight;     /* of the whole step: all lanes, ranks, accumulation; 0 if unknown */
    const int64_t *position; /* [rows]: positions since the row's reset at the call's first token */
    const int64_t *document; /* [rows]: positions since the document began, likewise */
    run_mode mode;
    uint64_t seed;  /* of the run */
    int64_t step;   /* optimiser step; keys random numbers */
    int64_t row0;   /* index of row 0 in the whole batch; keys random numbers */
    const tensor *const *param; /* by index in params: this call's leaves */
    tensor **state;             /* by slot: [rows, length, width] or NULL while nothing is carried */
    tensor **next_state;        /* by slot: what layer_state_set stored */
    tensor *const *shared;      /* outputs of earlier layers by depth (a layer may read another's) */
    int shared_count;
    tensor *aux[MAX_AUX]; /* scalars added to the loss, already scaled */
    int aux_count;
    metric metrics[MAX_METRICS];
    int metric_count;
    tap_fn tap; /* NULL unless inspecting */
    void *tap_user;
    const struct model *model; /* opaque here */
};

/* Parameter i of this layer, as a tensor of its declared shape. */
tensor *layer_tensor(const layer_ctx *c, const layer *self, int i);
/* What slot i carries into this call, or NULL. Within a recorded segment of several calls gradients
 * flow through it. Rows just reset (position 0) must not look at it. */
tensor *layer_state(const layer_ctx *c, const layer *self, int i);
void layer_state_set(layer_ctx *c, const layer *self, int i, tensor *value);
void layer_aux(layer_ctx *c, tensor *loss);
void layer_metric(layer_ctx *c, const layer *self, const char *name, double sum, double weight);
void layer_tap(layer_ctx *c, const layer *self, const char *name, const tensor *x);
/* Key for random numbers of this layer at this step. */
rng_key layer_key(const layer_ctx *c, const layer *self, const char *use);

/* ---- layers/registry.c ---- */

const layer_class *const *layer_classes(int *count);
const layer_class *layer_class_find(const char *name);

#endif
