#include "layers/token_scores.h"

#include <math.h>

#include "layers/head_norm.h"

static void rotate(layer_ctx *c, const token_options *o, const token_plan *plan,
                   attention_operand *a, int64_t heads, int64_t first, int xpos)
{
    rotary_shape shape = {.column = a->column,
                          .heads = heads,
                          .head_dim = plan->head_dim,
                          .first = first,
                          .theta = o->theta,
                          .xpos = o->positions == POSITIONS_XPOS ? xpos : 0};
    a->x = op_rotary_inplace(c->tape, a->x, &shape);
}

/* A window is a distance, a memory ends where a block begins: together they hide whichever is
 * farther, which op_attention does in one test per tile of keys. */
attention_shape token_scores_shape(layer_ctx *c, const layer *self, const token_options *o,
                                   const token_plan *plan)
{
    /* The window alone decides where the memory is no shorter. */
    bool grid = o->window <= 0 || plan->memory < o->window - 1, drops = c->mode == MODE_TRAIN;
    /* A key is made of text, which takes longer than a short call's softmax. */
    rng_key key = drops && o->dropout > 0 ? layer_key(c, self, "dropout") : (rng_key){0};
    return (attention_shape){.heads = plan->heads,
                             .kv_heads = plan->kv_heads,
                             .head_dim = plan->head_dim,
                             .scale = (real)(1 / sqrt((double)plan->head_dim)),
                             .causal = true,
                             .window = MAX(o->window, 0),
                             .block = grid ? self->dims.block : 0,
                             .phase = c->position[0] % self->dims.block,
                             .memory = plan->memory,
                             .t5_table = layer_tensor(c, self, plan->t5_table),
                             .t5_max_distance = o->t5_max_distance,
                             .alibi = o->positions == POSITIONS_ALIBI,
                             .dropout = drops ? o->dropout : 0,
                             .key = key};
}

/* By the layer's gain, if queries and keys are normalised. */
static attention_operand normalised(layer_ctx *c, const layer *self, const token_options *o,
                                    const token_plan *plan, attention_operand a, int64_t heads,
                                    int gain)
{
    if (o->qk_norm == QK_NORM_NONE) return a;
    return head_norm(c->tape, a, heads, plan->head_dim, o->qk_norm, layer_tensor(c, self, gain));
}

tensor *token_scores(layer_ctx *c, const layer *self, const token_options *o,
                     const token_plan *plan, attention_operand q, attention_operand k,
                     attention_operand v, const attention_shape *shape)
{
    int64_t extra = k.x->shape[1] - q.x->shape[1];
    /* Operands may be columns of one tensor, and rotation is in place and gives a tensor of its own
     * over the same memory: who reads the packed tensor afterwards has to read its latest version,
     * or gradients would go past the rotation. */
    bool shared = q.x == k.x, packed = v.x == k.x && o->qk_norm == QK_NORM_NONE;
    q = normalised(c, self, o, plan, q, plan->heads, plan->q_gain);
    k = normalised(c, self, o, plan, k, plan->kv_heads, plan->k_gain);
    shared &= o->qk_norm == QK_NORM_NONE;
    if (plan->rotary) {
        /* Centred on the call, so that xpos's powers stay in float's range for long calls. */
        int64_t first = -k.x->shape[1] / 2;
        rotate(c, o, plan, &q, plan->heads, first + extra, +1);
        if (shared) k.x = q.x;
        rotate(c, o, plan, &k, plan->kv_heads, first, -1);
        /* Each rotation is a version of the packed tensor: all operands read the last one. */
        if (shared) q.x = k.x;
    }
    if (packed) v.x = k.x;
    return op_attention(c->tape, q, k, v, shape);
}

/* The same for a generated token: keys are normalised and rotated once, when they come, and kept so
 * beside the slot. Scores depend on differences of angles, so an entry's may be its place's in the
 * slot. Rounded, they are others than those of token_scores, whose angles are counted from the
 * call's middle: no recorded figure comes from here. */
static tensor *attend_rotated(layer_ctx *c, const layer *self, const token_options *o,
                              const token_plan *plan, tensor *qkv, const layer_entries *kv,
                              attention_operand v, attention_shape *shape)
{
    int64_t done, place = layer_entries_made(kv, &done), time = qkv->shape[1];
    layer_entries new = *kv;
    new.data += done * kv->width;
    new.length -= done;
    attention_operand q = {qkv, 0}, k = {layer_entries_columns(c, &new, 0, plan->kv_width), 0};
    q = normalised(c, self, o, plan, q, plan->heads, plan->q_gain);
    k = normalised(c, self, o, plan, k, plan->kv_heads, plan->k_gain);
    rotate(c, o, plan, &q, plan->heads, place + kv->length - time, +1);
    rotate(c, o, plan, &k, plan->kv_heads, place + done, -1);
    k.x = layer_entries_make(c, kv, k.x, &shape->k_apart);
    return op_attention(c->tape, q, k, v, shape);
}

tensor *token_scores_entries(layer_ctx *c, const layer *self, const token_options *o,
                             const token_plan *plan, tensor *qkv, const layer_entries *kv,
                             attention_shape *shape)
{
    int64_t all[] = {c->rows, kv->length, kv->width};
    attention_operand v = {tape_leaf(c->tape, kv->data, 3, all, false), plan->kv_width}, k = v;
    shape->v_apart = shape->k_apart = kv->apart;
    if (c->by_token && plan->keeps_rotated) {
        return attend_rotated(c, self, o, plan, qkv, kv, v, shape);
    }
    if (plan->rotary || o->qk_norm != QK_NORM_NONE) {
        k.x = layer_entries_columns(c, kv, 0, plan->kv_width);
        shape->k_apart = 0;
    }
    k.column = 0;
    return token_scores(c, self, o, plan, (attention_operand){qkv, 0}, k, v, shape);
}
