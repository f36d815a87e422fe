/* A language model: embedding, a stack of layers, a head; and the streams that run through it.
 *
 *   model: {width: 128, context: 256, partial: keep,
 *           embedding: {positions: none|learned, scale: 1, dropout: 0, tied: false},
 *           norm: {kind: layernorm|rmsnorm|none, place: pre|post, eps: 1e-5, final: true},
 *           residual: {scale: 1, dropout: 0},
 *           init: {scheme: gpt2|flat|fan_in, std: 0.02},
 *           blocks: [{repeat: 4, attention: {heads: 4}, ffn: {hidden: 512}}],
 *           head: {kind: linear, bias: false}}
 *
 * Keys of a block other than `repeat` are layers, in the order in which they stand; the long form
 * `layers: [{attention: {...}}, {ffn: {...}}]` says the same without relying on the order of keys
 * and may name a layer twice. The model itself is read-only once built: lanes share it; parameter
 * values, gradients and states are the caller's.
 *
 * A call that ends inside a block leaves it unfinished, and the next call goes on there (`partial:
 * keep`: text may be cut into calls anywhere). With `partial: flush`, as in the PyTorch port of the
 * block-recurrent transformer, it ends the block: recurrent states take it in, its keys and values
 * are forgotten, positions move on to the next block. Results then depend on the cuts.
 *
 * Parameters: embedding.weight [vocab, width], embedding.start [width], embedding.positions
 * [context, width], blocks.<i>.<layer>.norm.{gain,bias}, blocks.<i>.<layer>.*,
 * final_norm.{gain,bias}, head.*. Residual stream, pre: x += scale * dropout(layer(norm(x))); post:
 * x = norm(x + ...). */
#pragma once

#include "layers/layer_books.h"
#include "layers/layer_inspect.h"

typedef struct model model;

typedef struct model_inputs {
    int64_t vocab;
    uint64_t seed;                 /* for tables drawn at build time */
    const int64_t *token_counts;   /* [vocab] or NULL; see model_needs */
    const tensor_source *source;   /* another run's tensors or NULL; see model_needs */
    const char *const *token_text; /* [vocab] or NULL; see model_needs */
} model_inputs;

/* What the layers of the spec need beside it (NEEDS_* bits); whatever is wrong with the spec is
 * left for model_build to report. */
unsigned model_needs(const node *spec);

/* What may be changed of a trained model without changing its parameters; 0: as trained. */
typedef struct model_sizes {
    int64_t context;
    int64_t stored; /* past positions held by every layer's store of such */
} model_sizes;

/* The `model:` node with these sizes (NULL: as it is), in the arena or `spec` itself. NULL and e if
 * there is no store to resize. */
const node *model_resized(arena *a, const node *spec, const model_sizes *sizes, err *e);

/* Builds from the `model:` node. Returns NULL and the place of what is wrong. */
model *model_build(const node *spec, const model_inputs *inputs, err *e);
void model_free(model *m);

params *model_params(model *m); /* the trainer sets frozen, lr_scale and decay_scale by name */
const params *model_params_const(const model *m);
int64_t model_width(const model *m);
int64_t model_context(const model *m);
int64_t model_vocab(const model *m);
/* What its products are computed with; as built: the fastest kernel of float32. Before use. */
void model_set_kernels(model *m, tape_kernels kernels);
tape_kernels model_kernels(const model *m);
/* Gives a model that NEEDS_PREDICTIONS the trained model whose greedy guess of every target its
 * layers are told; same vocabulary and context. States made afterwards carry the guide's beside
 * their own: it reads what the model reads. Both are borrowed as long as the model lives. */
void model_set_guide(model *m, const model *guide, const real *values);
/* The stack's layers in order; returns how many. */
int model_layers(const model *m, const layer *const **layers);
const layer *model_head(const model *m);
bool model_oracle(const model *m); /* some layer looks at the future */
/* Outputs depend on how text is cut into calls, if nothing tells what is behind them: some layer's
 * do, it looks at the future, or calls end blocks. */
bool model_whole_call(const model *m);
/* The resolved spec: every option spelt out. And only what differs from the defaults. */
node *model_resolved(const model *m, arena *a);
node *model_changed(const model *m, arena *a);
/* The model's own option tables (layers and heads have theirs), for documentation: names[i] is the
 * nested map, "" the model itself. Returns how many. */
int model_option_tables(const char **names, const option **tables, int capacity);

/* Per token, at full context: FLOPs forward, and forward and backward; elements of the matrices
 * that the 6 x parameters rule counts (a tied embedding once); bytes per row that are carried from
 * block to block (an unfinished block, as while generating, keeps its keys and values besides). */
typedef struct model_cost {
    int64_t params, active_params, matmul_params;
    double forward_flops, train_flops;
    double state_bytes;
    double bench_flops; /* training, by the benchmark's convention: 6 x active matmul_params + 6 x
                           layers x context x width */
} model_cost;
/* Of a model with a guide: the guide's forward pass and state are among them, its parameters not.
 */
model_cost model_costs(const model *m);
void model_cost_add_guide(model_cost *cost, const model_cost *guide);

/* ---- carried state of some rows ---- */

typedef struct model_state model_state;
model_state *model_state_new(const model *m, int64_t rows);
/* Segments from now on find their values packed in kept [params.pieces], which is whoever keeps the
 * values' (blas.h); NULL: nowhere. */
void model_state_keep(model_state *s, blas_kept *kept);
void model_state_free(model_state *s);
/* Row r forgets everything; its positions start from 0 (document: where its document stands). */
void model_state_reset_row(model_state *s, int64_t row, int64_t document_position);
/* Room for all that can ever be carried, unfinished blocks and the guide's included. */
int64_t model_state_bytes(const model_state *s);
/* All rows forget everything, and nothing is carried: as if new. */
void model_state_clear(model_state *s);
/* Does a layer (NULL: any layer or the head) carry something of a kind just now? Stores always do.
 */
bool model_state_carries(const model_state *s, const layer *self, slot_kind kind);
/* That is forgotten, where a block begins, and everything else goes on: shows what it is worth. */
void model_state_forget(model_state *s, const layer *self, slot_kind kind);
/* For checkpoints: what is carried, as named flat arrays; returns how many (<= model_state_slots).
 * Positions are saved beside them by the caller. */
int model_state_slots(const model_state *s);
typedef struct state_view {
    const char *name;
    int64_t shape[3]; /* rows, length, width */
    real *data;
} state_view;
int model_state_views(model_state *s, state_view *views, int capacity);
/* Puts one array back; slots that are not put back carry nothing. */
bool model_state_restore(model_state *s, const char *name, const int64_t shape[3], const real *data,
                         err *e);
/* Positions and documents that were put back from outside: none below 0 or beyond 2^53, and all
 * rows at one phase of the block. */
bool model_state_check_rows(const model_state *s, err *e);
int64_t *model_state_positions(model_state *s); /* [rows], since reset */
int64_t *model_state_documents(model_state *s); /* [rows], in the document */
int64_t model_state_rows(const model_state *s);

/* ---- one text in several threads: call t + 1 is in a layer while call t is in a later one ---- */

/* False where a layer looks at what another carries, or a guide reads along: one call at a time. */
bool model_takes_turns(const model *m);
/* A hand works on what another state carries: a thread's own context and positions, but no slots. A
 * call of it (model_begin, one model_forward with a turn, model_end; no gradients) finds what a
 * layer carries when it comes to that layer, and has put back what it carries on when it leaves.
 * Losses are those, to the bit, of the calls one after the other on the state itself. */
model_state *model_state_hand_new(const model *m, int64_t rows);
/* The hand's next call is on `of`, which stands at these positions by then. Both [rows]. */
void model_state_hand_take(model_state *hand, model_state *of, const int64_t *positions,
                           const int64_t *documents);
/* Positions move on as by a call of `time`: it is a hand that runs it. */
void model_state_skip(model_state *s, int64_t time);

/* ---- a segment: model_begin, one or more model_forward, backward, model_end ---- */

/* Resets the tape and lays the parameters on it as leaves. grads NULL: nothing is recorded, there
 * is no backward pass. values [params.total] and grads outlive the segment. */
void model_begin(model_state *s, tape *t, const real *values, grads *grads);

/* How calls of one text take turns in the layers, where several threads run them at once: see
 * model_state_hand_new. Only layers that carry something are waited for; each is left once. */
typedef struct model_turn {
    void *user;
    void (*wait)(void *user, const layer *self); /* until the call before has left the layer */
    void (*leave)(void *user, const layer *self);
} model_turn;

typedef struct model_call {
    int64_t time;
    const int32_t *tokens;      /* [rows, time]; `vocab` is the start token */
    const int32_t *targets;     /* [rows, time] or NULL */
    const real *weights;        /* [rows, time] or NULL: all 1 */
    const int64_t *lengths;     /* [rows]: positions that are text, not padding; NULL: all */
    const int32_t *predictions; /* [rows, time]; NULL: the guide's, if the model has one */
    double total_weight;        /* the loss is sum(weights * ce) / total_weight; 0: plain sum */
    double smoothing; /* of the targets, in the loss that is trained; losses and nats are without */
    double read_weight; /* without a step: of the rows that are read together, in whatever lanes;
                           0: of this call */
    run_mode mode;
    uint64_t seed;
    int64_t step; /* seed, step and row key the random numbers */
    int64_t row0; /* index of the state's row 0 in the step's whole batch, accumulation included */
    double *losses;         /* [rows, time] in nats, or NULL */
    layer_watch watch;      /* who looks on: inspection */
    bool keep_logits;       /* result.logits is wanted even though targets are given */
    const model_turn *turn; /* of a hand's calls, and of these only */
    bool by_token;          /* generation: see layer_ctx */
} model_call;

typedef struct model_result {
    tensor *loss;   /* scalar incl. auxiliary losses, NULL without targets */
    double nats;    /* sum of weights * ce */
    double weight;  /* sum of weights */
    tensor *logits; /* [rows, time, vocab]; NULL with targets, unless kept */
    int metric_count;
    const metric *metrics; /* valid until the next call */
} model_result;

/* Runs the model over one call and advances `s`. Several calls may follow each other between begin
 * and end; gradients then flow through the state between them (add up their losses). All rows must
 * stand at the same phase of the context grid. Rows are reset (model_state_reset_row) before
 * model_begin or between two calls. */
model_result model_forward(model_state *s, const model_call *call);

/* tape_backward of a segment's loss. done (may be NULL): whenever parameters have got all of their
 * gradients, it is told the index from which on all have; grads->has is set of these. */
typedef void (*model_done_fn)(void *user, int first);
void model_backward(model_state *s, tensor *loss, model_done_fn done, void *user);

/* After the backward pass (if any): sets grads->has from what arrived, copies the carried state off
 * the tape. The tape's tensors stay valid until it is reset. */
void model_end(model_state *s);

/* ---- generation: one token at a time through the same forward path (models/model_generate.c) ----
 */

typedef struct sampling {
    double temperature; /* 0: the most probable token */
    int64_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    uint64_t seed;
} sampling;

/* Draws from logits [vocab]; index counts the tokens drawn so far: the draw depends on (logits,
 * how, index) only. Ties go to the smaller id. -1: a logit is NaN, or the greatest is infinite.
 * Allocates unless temperature is 0. */
int32_t model_sample_token(const real *logits, int64_t vocab, const sampling *how, int64_t index);

/* Told each sampled token of a row in turn; false: no more of that row. */
typedef bool (*emit_fn)(void *user, int64_t row, int32_t token);

/* What a row reads before it is continued, at least one token; a document begins with the start
 * token, which the caller puts first. */
typedef struct model_prompt {
    const int32_t *tokens;
    int64_t count;
} model_prompt;

/* Continues the rows of `s`, which step together: each reads its prompt, then up to `count` tokens
 * are sampled one at a time, each fed back through model_forward. A row is what it would be alone,
 * but for models that look at a whole call (model_whole_call). Weights are read once for all rows,
 * and after some tokens from a packed copy; the cost of a token does not depend on its position.
 * False: a row ended early, since its logits were no finite numbers. */
bool model_generate(model_state *s, tape *t, const real *values, const model_prompt *prompts,
                    int64_t count, const sampling *how, emit_fn emit, void *user);
