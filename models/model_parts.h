/* Inside of a model: shared by the files of models/ only. */
#pragma once

#include "models/model.h"

enum { POSITIONS_NONE, POSITIONS_LEARNED };
enum { NORM_LAYERNORM, NORM_RMSNORM, NORM_NONE };
enum { PLACE_PRE, PLACE_POST };
enum { PARTIAL_KEEP, PARTIAL_FLUSH };

typedef struct model_options {
    int64_t width, context, partial;
    struct {
        int64_t positions;
        double scale, dropout;
        bool tied;
    } embedding;
    struct {
        int64_t kind, place;
        double eps;
        bool bias, final;
    } norm;
    struct {
        double scale, dropout;
    } residual;
    struct {
        int64_t scheme;
        double std;
    } init;
} model_options;

/* The option tables: the model's own and one per nested map; name NULL ends. */
typedef struct model_table {
    const char *name; /* "" for the model's own */
    const option *options;
    const char *help;
} model_table;
extern const model_table MODEL_TABLES[];

/* A normalisation's parameters by index in params; -1: not there. */
typedef struct norm_params {
    int gain, bias;
} norm_params;

/* One layer with what the stack puts around it. */
typedef struct model_unit {
    layer layer;
    norm_params norm;
} model_unit;

/* An entry of `blocks:` as written: its layers are the next repeat * layers units. */
typedef struct model_block {
    int64_t repeat;
    int layers;
} model_block;

struct model {
    arena *memory;
    params params;
    model_options options;
    int64_t vocab;
    model_block *blocks;
    int block_count;
    model_unit *units;
    const layer **layers; /* into units */
    int unit_count;
    layer head;
    norm_params final_norm;
    int embedding, start, positions; /* parameters */
    state_slot *slots;
    int slot_count;
    bool blockwise, oracle;
    tape_kernels kernels;
    const model *guide; /* borrowed; NULL: none */
    const real *guide_values;
};

struct model_state {
    const model *model;
    arena *memory;
    int64_t rows;
    int64_t *position, *document; /* [rows] */
    real **slots;                 /* by slot: [rows, max_length, width], filled densely */
    int64_t *lengths;             /* by slot: what is carried; stores: max_length */
    bool in_segment, is_hand; /* a hand's slots, lengths and stores are those of another state */
    grads *grads;
    int complete;           /* parameters from that index on have their gradients, and marks */
    int64_t calls;          /* since model_begin */
    const model_turn *turn; /* of the call; NULL: none */
    layer_ctx ctx;
    layer_books books; /* its arrays by slot and piece live in `memory` */
    /* Of the model's guide, for the same rows; NULL: there is none. */
    model_state *guide;
    tape *guide_tape;
    const char **guide_names; /* [slots of the guide]: "guide.<slot>" */
};

/* Lays what slots [first, first + count) carry on the tape; takes off it what they carry on. */
void model_state_lay(model_state *s, int first, int count);
void model_state_collect(model_state *s, int first, int count);

/* What the state's guide expects behind each position of the call: [rows, time], tape memory. Moves
 * the guide's state on. */
const int32_t *model_guide_predictions(model_state *s, const model_call *call);
