/* A language model: embedding, a stack of layers, a head; and the streams that run through it.
 *
 *   model: {width: 128, context: 256,
 *           embedding: {positions: none|learned, scale, dropout, tied},
 *           norm: {kind: layernorm|rmsnorm|none, place: pre|post, eps, final},
 *           residual: {scale: 1, dropout: 0},
 *           blocks: [{repeat: 4, attention: {heads: 4}, ffn: {hidden: 512}}],
 *           head: {kind: linear, bias: false}}
 *
 * Keys of a block other than `repeat` are layers, in the order in which they stand. The model itself
 * is read-only once built: lanes share it; parameter values, gradients and states are the caller's. */
#ifndef LOCI_MODELS_MODEL_H
#define LOCI_MODELS_MODEL_H

#include "layers/layer.h"

typedef struct model model;

typedef struct model_inputs {
    int64_t vocab;
    uint64_t seed;               /* for tables drawn at build time */
    const int64_t *token_counts; /* [vocab] or NULL; see model_needs */
} model_inputs;

/* Statistics that the layers named in the spec need before model_build (NEEDS_* bits). */
unsigned model_needs(const node *spec);

/* Builds from the `model:` node. Returns NULL and the place of what is wrong. */
model *model_build(const node *spec, const model_inputs *inputs, err *e);
void model_free(model *m);

params *model_params(model *m); /* the trainer sets frozen, lr_scale and decay_scale by name */
const params *model_params_const(const model *m);
int64_t model_context(const model *m);
int64_t model_vocab(const model *m);
int model_layers(const model *m, const layer *const **layers);
/* The resolved spec: every option spelt out. And only what differs from the defaults. */
node *model_resolved(const model *m, arena *a);
node *model_changed(const model *m, arena *a);

/* Per token: FLOPs of a forward pass at full context (x 3 for training); matmul parameters; carried
 * state in bytes per row. */
typedef struct model_cost {
    int64_t params, active_params, matmul_params;
    double forward_flops;
    double state_bytes;
    double attention_flops_bench; /* 6 x layers x context x width: the benchmark's convention, / token */
} model_cost;
model_cost model_costs(const model *m);

/* ---- carried state of some rows ---- */

typedef struct model_state model_state;
model_state *model_state_new(const model *m, int64_t rows);
void model_state_free(model_state *s);
/* Row r forgets everything; its positions start from 0 (document: where its document stands). */
void model_state_reset_row(model_state *s, int64_t row, int64_t document_position);
int64_t model_state_bytes(const model_state *s);
/* For checkpoints: the slots as named flat arrays. */
typedef struct state_view {
    const char *name;
    int64_t shape[3]; /* rows, length, width */
    real *data;
} state_view;
int model_state_views(model_state *s, state_view *views, int capacity);
bool model_state_restore(model_state *s, const char *name, const int64_t shape[3], const real *data,
                         err *e);
int64_t *model_state_positions(model_state *s); /* [rows], since reset */
int64_t *model_state_documents(model_state *s); /* [rows], in the document */

/* ---- a segment: model_begin, one or more model_forward, backward, model_end ---- */

/* Resets the tape and lays the parameters on it as leaves. grads NULL: nothing is recorded, there is
 * no backward pass. values [params.total] and grads outlive the segment. */
void model_begin(model_state *s, tape *t, const real *values, grads *grads);

typedef struct model_call {
    int64_t time;
    const int32_t *tokens;  /* [rows, time]; `vocab` is the start token */
    const int32_t *targets; /* [rows, time] or NULL */
    const real *weights;    /* [rows, time] or NULL: all 1 */
    double total_weight;    /* the loss is sum(weights * ce) / total_weight; 0: plain sum */
    run_mode mode;
    uint64_t seed;
    int64_t step, row0;
    double *losses; /* [rows, time] in nats, or NULL */
    tap_fn tap;     /* NULL unless inspecting */
    void *tap_user;
    bool keep_logits; /* result.logits is wanted even though targets are given */
} model_call;

typedef struct model_result {
    tensor *loss;  /* scalar incl. auxiliary losses, NULL without targets */
    double nats;   /* sum of weights * ce */
    double weight; /* sum of weights */
    tensor *logits; /* [rows, time, vocab] or NULL if not kept */
    int metric_count;
    const metric *metrics; /* valid until the next call */
} model_result;

/* Runs the model over one call and advances `s`. Several calls may follow each other between begin
 * and end; gradients then flow through the state between them. */
model_result model_forward(model_state *s, const model_call *call);

/* After the backward pass (if any): sets grads->has from what arrived, copies the carried state off
 * the tape. */
void model_end(model_state *s);

/* ---- generation: one token at a time through the same forward path (models/generate.c) ---- */

typedef struct sampling {
    double temperature; /* 0: the most probable token */
    int64_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    uint64_t seed;
} sampling;

/* Draws from logits [vocab]; index counts the tokens drawn so far. */
int32_t sample_token(const real *logits, int64_t vocab, const sampling *how, int64_t index);

#endif
