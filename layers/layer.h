/* The contract of a layer: one file in layers/, one line in registry.c.
 *
 * A layer is a function of what it is given and of the state that it carries:
 *     y, state' = forward(x, state)
 * for a call with `time` consecutive positions of `rows` parallel streams. Training, evaluation and
 * generation are the same function; a causal layer gives the same outputs however its input is cut
 * into calls. Structure in time (blocks, windows, chunks) is a grid over positions since the row's
 * last reset, never over calls. A layer returns its output only: residual and norm are the stack's.
 *
 * A head is a layer whose output is logits [rows, time, vocab]; it stands in a list of its own.
 *
 * Within one call all rows stand at the same phase of the block grid (position mod block); rows are
 * reset only where a block begins. A call may hold several blocks, or a part of one. */
#pragma once

#include "core/ops/ops.h"
#include "core/options/option.h"
#include "core/train/params.h"

typedef struct layer_class layer_class;
typedef struct layer layer;
typedef struct layer_ctx layer_ctx;
typedef struct layer_build layer_build;
struct layer_memories; /* these three: layer_inspect.h */
struct layer_exchange;
struct layer_watch;

/* What a layer knows of the model it stands in. */
typedef struct layer_dims {
    int64_t width;
    int64_t vocab; /* token ids are 0..vocab-1; vocab itself is the start token */
    int64_t block; /* the position grid: the model's context */
    int depth;     /* index of the layer in the stack, from 0; heads: depths */
    int depths;    /* number of layers in the stack */
    bool flush;    /* a call that ends inside a block ends the block: see models/model.h */
} layer_dims;

/* Cost per token, for tables and benchmarks. */
typedef struct layer_cost {
    double forward_flops; /* multiply-adds count 2; a full context behind every token's window */
    double train_flops;   /* forward and backward; 0: 3 x forward_flops */
    double bench_flops;   /* attention's part of training by the benchmark's convention: 6 x context
                             x width, no matter what is visible; 0 where there is no attention */
} layer_cost;

/* What building or running a layer needs beside the spec (bits). */
enum {
    NEEDS_TOKEN_COUNTS = 1, /* layer_build.token_counts */
    NEEDS_SOURCE = 2,       /* layer_build.source */
    NEEDS_PREDICTIONS = 4,  /* layer_ctx.predictions */
    NEEDS_TOKEN_TEXT = 8    /* layer_build.token_text */
};

struct layer_class {
    const char *name; /* as specs write it */
    const char *cite; /* "Authors year, arXiv:..., sec. n" or "" */
    const char *help; /* one line */
    const option *options;
    size_t options_bytes; /* sizeof its options struct */
    /* NEEDS_* bits of a layer with these options. NULL: nothing. */
    unsigned (*needs)(const void *options);
    /* The option that says how many past positions its store holds: evaluation may change it
     * without changing parameters. NULL: it has no such store. */
    const char *store_length;
    /* Everything wrong with the options in these dims, with the node's place. May be NULL. */
    bool (*check)(const void *options, const layer_dims *dims, const node *at, err *e);
    /* Declares parameters and state slots (layer_param, layer_slot); may fill self->plan and set
     * self->oracle, self->blockwise and self->whole_call. */
    void (*build)(layer_build *b, layer *self);
    /* Runs once all layers and the head are built: finds other layers' parameters and slots by name
     * (params_find, layer_find_slot) and keeps their indexes in the plan. May be NULL. */
    bool (*link)(const layer_build *b, layer *self, err *e);
    /* x [rows, time, width] -> y of the same shape; heads: -> logits [rows, time, vocab]. */
    tensor *(*forward)(layer_ctx *c, const layer *self, tensor *x);
    /* Nothing keeps the memory of forward's output (it ends in op_linear or a sum, and is no
     * state): the residual is added in place. */
    bool output_is_free;
    layer_cost (*cost)(const layer *self);
    /* Brings a copy of its options into the one spelling that identities are hashed from: what is
     * said in two ways (kv_heads: those of `heads`, or none) makes one model. NULL: nothing is. */
    void (*settle)(void *options, const layer *self);
    /* What makes it another model and stands in no option, as a short text in the arena, for
     * identities: what is in the files that options name, or that its bits are others than they
     * once were (what changes bits of all layers is LOCI_NUMERICS). NULL, or a NULL result:
     * nothing. */
    const char *(*content)(const layer *self, arena *a);
    /* Offers itself as memories: what layer_fired will speak of. False: with these options it is
     * none. NULL: never is. */
    bool (*memories)(const layer *self, struct layer_memories *m);
    /* What layer_exchanged will speak of: list [MAX_EXCHANGES], returns how many there are. NULL:
     * nothing. */
    int (*exchanges)(const layer *self, struct layer_exchange *list);
    /* Its weights learn while it reads, in evaluation, too: it offers LAYER_TAP_UNLEARNED. */
    bool learns;
    /* Heads: the parameter [vocab, width] that the stream is multiplied with, and that of a bias
     * (-1: none), by index in params; -1 or NULL: the stream is read otherwise. */
    int (*output_matrix)(const layer *self, int *bias);
};

/* One instance in a model; lives as long as the model. Read-only once built. */
struct layer {
    const layer_class *cls;
    const char *name;    /* "blocks.3.attention": prefix of its parameters, slots and taps */
    const void *options; /* the class's options struct, filled and checked */
    const node *at;      /* where the spec wrote it, for errors while building; NULL: defaults */
    layer_dims dims;
    int first_param, params; /* its range in the model's params */
    int first_slot, slots;   /* its range in the model's state slots */
    int64_t unfinished; /* elements of its slots, per row, that only an unfinished block fills */
    bool oracle;        /* looks at the future: fails causality on purpose, marked in every table */
    bool unreset;       /* on purpose, a row's reset does not clear all that it carries */
    bool detached;      /* on purpose, its gradient leaves out a path of the loss (stored keys) */
    bool blockwise;     /* its state is read by earlier layers: the stack runs block by block */
    /* Outputs depend on the whole call, as published: no invariance to how text is cut into calls.
     */
    bool whole_call;
    void *plan; /* what build computed once, in build memory; NULL if nothing */
};

/* ---- building ---- */

/* What is carried between calls. An ordinary slot is a tensor [rows, length, width], length <=
 * max_length, handed on by layer_state_set; gradients flow through it inside a segment. A store is
 * memory [rows, max_length, width] that its layer writes in place (long histories: no copy per
 * call, no gradient). A slot of the segment goes on to later calls of its segment only: it is what
 * gradients alone need, and never saved. Integers (token ids, hashes) are carried as reals: exact
 * up to 2^24.
 *
 * SLOT_STATE sums up what was read; SLOT_CACHE holds single positions of the text, or counts them.
 * All of a layer's slots of one kind may come back empty (stores: zero) where a block begins: it
 * then goes on as if there had been nothing to carry. */
typedef enum slot_kind { SLOT_STATE, SLOT_CACHE } slot_kind;
typedef struct state_slot {
    const char *name; /* "blocks.3.attention.kv" */
    int64_t max_length, width;
    bool store, segment;
    bool grows;         /* layer_state_append is for it */
    int64_t made_width; /* then: numbers that the layer makes of an entry; 0: none */
    slot_kind kind;
} state_slot;

/* Tensors of another run's checkpoint: what routing tables or values are made from. get returns
 * values that are valid while the model is built, and their shape; NULL if there is no such name.
 * get itself is NULL where the source is promised but not there: only shapes matter, as while a
 * sweep is planned, or all values come from a checkpoint afterwards. */
typedef struct tensor_source {
    void *user;
    const real *(*get)(void *user, const char *name, int *rank, int64_t shape[TENSOR_RANK]);
} tensor_source;

typedef enum init_scheme {
    INIT_GPT2,  /* N(0, std^2); projections into the residual stream std / sqrt(layers) */
    INIT_FLAT,  /* N(0, std^2) */
    INIT_FAN_IN /* N(0, 1 / inputs); projections into the residual stream / sqrt(layers) */
} init_scheme;

struct layer_build {
    params *params;
    arena *memory;                 /* lives as long as the model */
    const int64_t *token_counts;   /* [vocab] of the training split if needed, else NULL */
    const tensor_source *source;   /* if needed, else NULL */
    const char *const *token_text; /* [vocab] if needed and tokens have text, else NULL */
    state_slot *slots;
    int slot_count, slot_capacity;
    uint64_t seed; /* of the run, for tables drawn at build time */
    init_scheme scheme;
    double std;
    bool tied;                  /* the head's weight is the embedding's */
    const layer *const *layers; /* in link: the stack, in order */
    int layer_count;
};

/* Declares a parameter "<layer name>.<name>" and returns its index for layer_tensor: 0, 1, ... */
int layer_param(layer_build *b, layer *self, const char *name, param_role role, int rank,
                const int64_t *shape, param_init init);
/* The usual weight [out, in] of a linear map: a matrix by the model's init scheme, counted by the 6
 * x parameters rule. to_residual: its output is added to the residual stream. */
int layer_matrix(layer_build *b, layer *self, const char *name, int64_t out, int64_t in,
                 bool to_residual);
/* A vector [n] that starts at `value` (gain 1, bias 0, ...). */
int layer_vector(layer_build *b, layer *self, const char *name, param_role role, int64_t n,
                 double value);
/* A parameter that starts with values of its own, which live as long as the model. */
int layer_given(layer_build *b, layer *self, const char *name, param_role role, int rank,
                const int64_t *shape, const real *values);
/* How a matrix with so many inputs starts under the model's scheme. */
param_init layer_init(const layer_build *b, const layer *self, int64_t inputs, bool to_residual);
/* The most recent parameter, to set pieces, matmul, active, by_rows. */
param *layer_last_param(layer_build *b);

/* Declares a state slot "<layer name>.<name>" and returns its index for layer_state: 0, 1, ... */
int layer_slot(layer_build *b, layer *self, const char *name, int64_t max_length, int64_t width);
/* The same for what holds single positions. */
int layer_slot_cache(layer_build *b, layer *self, const char *name, int64_t max_length,
                     int64_t width);
/* The same for what layer_state_append is for; made_width: see layer_entries_made, 0: nothing is.
 */
int layer_slot_growing(layer_build *b, layer *self, const char *name, int64_t max_length,
                       int64_t width, int64_t made_width);
/* The same for a store of them. */
int layer_slot_store(layer_build *b, layer *self, const char *name, int64_t max_length,
                     int64_t width);
/* The same for what only the rest of the segment may look at. */
int layer_slot_segment(layer_build *b, layer *self, const char *name, int64_t max_length,
                       int64_t width);
/* In link: the layer of block `block` (as in its name, "blocks.3.<class>") and class; NULL if there
 * is none. */
const layer *layer_in_block(const layer_build *b, int64_t block, const layer_class *cls);
/* Index over all layers of the slot of that full name, for layer_state_at; or -1. */
int layer_find_slot(const layer_build *b, const char *name);

/* ---- one call ---- */

typedef enum run_mode { MODE_TRAIN, MODE_EVAL } run_mode;

struct layer_ctx {
    tape *tape;
    int64_t rows, time;
    const int32_t *tokens;  /* [rows, time]: inputs; `vocab` is the start token */
    const int32_t *targets; /* [rows, time], or NULL while unknown (generation) */
    const real *weights;    /* [rows, time]: loss weights; NULL: all 1 */
    const int64_t *lengths; /* [rows]: positions that are text, the rest is padding; NULL: all */
    const int32_t *predictions; /* [rows, time]: another model's guess of the targets, or NULL */
    double total_weight; /* of the whole step: all lanes, ranks, accumulation; 0: there is none */
    double read_weight;  /* then: of the rows that are read together, in whatever lanes */
    double share; /* what a mean over this call counts for in the loss: its weight / total_weight
                     (total unknown: its weight). Auxiliary losses are scaled by it. */
    const int64_t *position; /* [rows]: positions since the row's reset at the call's first token */
    const int64_t *document; /* [rows]: positions since the document began, likewise */
    run_mode mode;
    uint64_t seed; /* of the run */
    int64_t step;  /* optimiser step; keys random numbers */
    int64_t row0;  /* index of row 0 in the whole batch; keys random numbers */
    int64_t call;  /* index of this call in the segment; keys random numbers */
    int64_t part;  /* index in the call, where the stack runs it block by block; likewise */
    bool by_token; /* text is being generated: calls are short, and no other call's bits have to be
                      met */
    const struct layer_watch *watch; /* who looks at the call; its functions are mostly NULL */
    struct layer_books *books;       /* of the functions below: layer_books.h */
};

/* Where options leave a parameter or a slot out, its index is -1, and what is asked of it is NULL.
 */

/* Parameter i of this layer, as a tensor of its declared shape. Parameters cut in pieces are used
 * piece by piece: a leaf whose axis 0 is a pieces-th of the whole, and is left out where that is 1
 * ([experts, hidden, width] in `experts` pieces gives [hidden, width]). Only pieces that were asked
 * for can receive gradient; the others cost nothing. */
tensor *layer_tensor(layer_ctx *c, const layer *self, int i);
/* x W^T + b by parameters `weight` and `bias` of this layer; bias -1: none. */
tensor *layer_linear(layer_ctx *c, const layer *self, tensor *x, int weight, int bias);
/* Rows ids [n] of parameter i, a table declared `by_rows`: [n, width]. ids is copied. */
tensor *layer_rows(layer_ctx *c, const layer *self, int i, const int32_t *ids, int64_t n);
tensor *layer_piece(layer_ctx *c, const layer *self, int i, int64_t piece);
/* The same by index in params: another layer's parameter, found in link. */
tensor *layer_leaf(layer_ctx *c, int param, int64_t piece);

/* What slot i carries into this call, or NULL. Within a recorded segment of several calls gradients
 * flow through it. Rows just reset (position 0) must not look at it: for them it holds leftovers.
 */
tensor *layer_state(const layer_ctx *c, const layer *self, int i);
/* The same by index over all layers: another layer's state at the beginning of the call. */
tensor *layer_state_at(const layer_ctx *c, int slot);
/* The same with zeros for rows just reset; NULL: nothing is carried, or all rows were reset. */
tensor *layer_carried(layer_ctx *c, const layer *self, int i);
/* What is carried on: [rows, length, width], or NULL for nothing. Not set: what came in stays. */
void layer_state_set(layer_ctx *c, const layer *self, int i, tensor *value);
/* Entries that a slot carries: layer_state's, without making a tensor of what has grown in place.
 */
int64_t layer_state_length(const layer_ctx *c, const layer *self, int i);

/* Entries in a growing slot's own memory: entry i of row r at data + r * apart + i * width. */
typedef struct layer_entries {
    real *data;
    int64_t length, width, apart;
    struct slot_ring *ring; /* where they are */
} layer_entries;
/* Joins what slot i carries and columns [column, column + width) of x [rows, time, ...] along time,
 * and carries on `keep` of these entries, the last of them at end - 1: in the slot's memory,
 * without a copy of what is there. *all: the joined entries, valid during the call. False, and
 * nothing is done, where the tape records or the slot has no room: then join tensors and
 * layer_state_set. */
bool layer_state_append(layer_ctx *c, const layer *self, int i, const tensor *x, int64_t column,
                        int64_t end, int64_t keep, layer_entries *all);
/* Columns [column, column + columns) of such entries as a tensor [rows, length, columns]. */
tensor *layer_entries_columns(const layer_ctx *c, const layer_entries *e, int64_t column,
                              int64_t columns);
/* What the layer made of such entries, in calls before this one, of the first *done of them; the
 * place of the first one, by which what is made may differ (an angle), stays while that is > 0. */
int64_t layer_entries_made(const layer_entries *e, int64_t *done);
/* Adds x [rows, length - done, made_width], made of the others. What is made of all of them, as a
 * tensor of its own memory: row r at r * *apart. */
tensor *layer_entries_make(const layer_ctx *c, const layer_entries *e, const tensor *x,
                           int64_t *apart);
/* What goes on to the next call as it stands: what was set in this one, or what came in. */
tensor *layer_state_next(const layer_ctx *c, const layer *self, int i);
/* The memory of a store: [rows, max_length, width]. */
real *layer_store(const layer_ctx *c, const layer *self, int i);

/* Adds a scalar to the loss, already scaled (see `share`). */
void layer_aux(layer_ctx *c, tensor *loss);
void layer_metric(layer_ctx *c, const layer *self, const char *name, double sum, double weight);
/* Key for random numbers of this layer at this call; row r of the call draws with key.row + r. */
rng_key layer_key(const layer_ctx *c, const layer *self, const char *use);
