/* A model's parameters: names, roles, shapes and how they start, in one flat vector.
 *
 * Values, moments and each lane's gradients are separate flat vectors of `params.total` elements in
 * the same order, so optimisers, checkpoints and the reduction tree see one array. Each parameter
 * begins at a multiple of 16 elements; the gap is zero and stays zero. */
#pragma once

#include "core/base/arena.h"
#include "core/ops/row_grads.h"
#include "core/ops/tape.h"

/* What a parameter is for; weight decay (unless a group says otherwise), optimiser and
 * initialisation go by role. */
typedef enum param_role {
    ROLE_MATRIX,    /* decayed */
    ROLE_EMBEDDING, /* not decayed */
    ROLE_BIAS,
    ROLE_GAIN,
    ROLE_STATE, /* a learned initial state or position table */
    ROLE_STEP_SIZE,
    ROLE_TABLE, /* computed while building (routing tables): always frozen, kept in checkpoints */
    ROLE_KINDS
} param_role;

typedef enum init_kind {
    INIT_ZERO,
    INIT_CONSTANT,   /* a */
    INIT_NORMAL,     /* N(0, a^2) */
    INIT_UNIFORM,    /* [-a, a] */
    INIT_ORTHOGONAL, /* rows orthonormal (rows <= columns) or columns, times a */
    INIT_GIVEN       /* param.given */
} init_kind;

typedef struct param_init {
    init_kind kind;
    double a;
} param_init;

typedef struct param {
    const char *name; /* "blocks.0.attention.qkv.weight"; unique */
    param_role role;
    int rank;
    int64_t shape[TENSOR_RANK];
    int64_t count;
    int64_t offset; /* in the flat vectors */
    /* Leading-axis pieces that may go without gradient in a step (experts); 1 for most. Piece i is
     * elements [i, i+1) * count / pieces. */
    int64_t pieces;
    int64_t first_piece; /* index of its piece 0 in arrays over all pieces of all parameters */
    param_init init;
    const real *given; /* [count], borrowed: INIT_GIVEN only */
    bool matmul;       /* counted by the 6 x parameters rule (not embeddings, gains, biases) */
    double active;     /* share that takes part in one token's computation (experts: k / experts) */
    /* ROLE_TABLE: what stands there are choices (experts, ids), whole numbers from 0 to below this;
     * 0: any numbers. */
    int64_t choices;
    bool fixed;  /* frozen whatever groups say: nothing that could be learned */
    bool frozen; /* no gradient, no update */
    /* A table [rows, width] of which a step touches few rows: its gradients may come row by row,
     * and where the optimiser wants them so (optim_apply_groups), row_grads is its index in
     * grads.rows; else -1. */
    bool by_rows;
    int row_grads;
    double lr_scale;    /* from the spec's parameter groups; 1 */
    double decay_scale; /* matrices 1, all others 0, unless a group says otherwise */
} param;

typedef struct params {
    arena *memory; /* names; borrowed from the model */
    param *list;
    int count, capacity;
    int64_t total;  /* elements of a flat vector, padding included */
    int64_t pieces; /* over all parameters */
    int row_tables; /* parameters with row_grads >= 0 */
} params;

void params_init(params *p, arena *memory);
/* Appends and returns its index; CHECKs that the name is unique. */
int params_add(params *p, const char *name, param_role role, int rank, const int64_t *shape,
               param_init init);
/* Numbers the pieces (first_piece, params.pieces). Call it once the last parameter is declared and
 * its `pieces` set; without parameters of several pieces it changes nothing. */
void params_seal(params *p);
/* Index of the parameter of that name, or -1. */
int params_find(const params *p, const char *name);
/* Fills values [total] by each parameter's init; numbers depend on seed and name only. */
void params_start(const params *p, real *values, uint64_t seed);
/* What came from outside: choices that there are not are refused, by the table's name and the place
 * in it. Of other parameters any value is one. */
bool params_check(const param *q, const real *values, err *e);
/* Whether any is made of pieces: the model has experts. */
bool params_have_pieces(const params *p);
/* Sums over parameters (tables and padding excluded): all, and active per token. */
int64_t params_elements(const params *p);
int64_t params_active(const params *p);

/* One lane's gradients: a flat vector and which pieces have received anything. */
typedef struct grads {
    real *values; /* [total]; defined only where `has` is set */
    bool *has;    /* [pieces] */
    /* [row_tables]: all there is of those parameters' gradients. NULL: theirs are in `values` like
     * any other. */
    row_grads *rows;
} grads;
