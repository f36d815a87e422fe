#include "layers/token_attention.h"

#include "layers/compression.h"
#include "layers/head_norm.h"
#include "layers/token_blocks.h"
#include "layers/token_memory.h"
#include "layers/token_scores.h"

/* Two ways through a call. Without compression all of it is one op_attention, which is told the
 * grid and cuts its scores by it: what a query may see follows from positions alone. With
 * compression, what a block sees depends on the blocks before it, so blocks are run one after the
 * other on tensors of exactly their keys (token_blocks.h).
 *
 * What is carried are raw keys and values: before rotation, as positions are counted anew in every
 * call, and before normalisation, whose gain goes on learning. (Where text is generated, keys as
 * attention wants them are kept beside: token_scores_entries.) */

/* One matrix for queries, keys and values: one product, whose columns [q, k, v] the heads are. */
static void add_params(layer_build *b, layer *self, const token_options *o, token_plan *plan)
{
    int64_t width = self->dims.width, packed = plan->q_width + 2 * plan->kv_width;
    plan->qkv = layer_matrix(b, self, "qkv.weight", packed, width, false);
    if (o->bias) plan->qkv_bias = layer_vector(b, self, "qkv.bias", ROLE_BIAS, packed, 0);
    if (o->positions == POSITIONS_T5) {
        int64_t shape[] = {o->t5_buckets, plan->heads};
        plan->t5_table =
            layer_param(b, self, "t5.bias", ROLE_BIAS, 2, shape, (param_init){INIT_NORMAL, b->std});
    }
    if (o->qk_norm != QK_NORM_NONE) {
        double gain = head_norm_gain(o->qk_scale, plan->head_dim, o->qk_norm);
        plan->q_gain = layer_vector(b, self, "q_norm.gain", ROLE_GAIN, plan->head_dim, gain);
        plan->k_gain = layer_vector(b, self, "k_norm.gain", ROLE_GAIN, plan->head_dim, gain);
    }
}

void token_attention_settle(token_options *o, const layer *self, int64_t memory)
{
    int64_t width = self->dims.width, d = token_options_head_dim(o, width);
    if (o->qk_norm != QK_NORM_NONE && head_norm_starts_at_one(o->qk_scale, d, o->qk_norm)) {
        o->qk_scale = -1;
    }
    option_settle(&o->kv_heads, o->heads, -1);
    if (width % o->heads == 0) option_settle(&o->head_dim, width / o->heads, -1);
    option_settle(&o->memory, memory, -1);
    /* Who sees itself alone looks at no distance: t5 keeps its table of biases. */
    if (o->window == 1 && o->positions != POSITIONS_T5) {
        o->positions = POSITIONS_NONE;
        o->memory = -1;
    }
}

/* Most is carried one position before a block is full. */
static void add_memory(layer_build *b, layer *self, const token_options *o, token_plan *plan)
{
    int64_t longest = token_memory_carried(o, plan, self->dims.block - 1);
    /* Written in place where nothing is recorded; who needs the block's keys as one tensor, or
     * cuts them block by block, has no use for that. */
    plan->grows = longest > 0 && !plan->whole_block && o->compressed == 0;
    if (longest > 0) {
        /* xpos's powers leave float's range unless they are counted from the call's middle. */
        bool keeps = plan->rotary && o->positions != POSITIONS_XPOS;
        int64_t width = 2 * plan->kv_width;
        plan->slot = plan->grows ? layer_slot_growing(b, self, "kv", longest, width,
                                                      keeps ? plan->kv_width : 0)
                                 : layer_slot_cache(b, self, "kv", longest, width);
        plan->keeps_rotated = plan->grows && keeps;
    }
    self->unfinished = (longest - token_memory_carried(o, plan, 0)) * 2 * plan->kv_width;
}

static void add_compression(layer_build *b, layer *self, const token_options *o, token_plan *plan)
{
    int64_t pending = self->dims.block - 1;
    compression_build(b, self, o, plan);
    plan->compressed_slot =
        layer_slot_cache(b, self, "compressed", o->compressed, 2 * plan->kv_width);
    if (compression_asks(o) && pending > 0) {
        plan->query_slot = layer_slot_cache(b, self, "queries", pending, plan->q_width);
        self->unfinished += pending * plan->q_width;
    }
    self->detached |= o->reconstruction > 0;
}

token_plan token_attention_build(layer_build *b, layer *self, const token_options *o,
                                 int64_t memory, bool whole_block)
{
    token_plan plan = {.heads = o->heads,
                       .kv_heads = o->kv_heads > 0 ? o->kv_heads : o->heads,
                       .head_dim = token_options_head_dim(o, self->dims.width),
                       .memory = o->memory >= 0 ? o->memory : memory,
                       .whole_block = whole_block,
                       .qkv_bias = -1,
                       .t5_table = -1,
                       .q_gain = -1,
                       .k_gain = -1,
                       .compress_k = -1,
                       .compress_v = -1,
                       .compress_k_bias = -1,
                       .compress_v_bias = -1,
                       .slot = -1,
                       .first_slot = -1,
                       .compressed_slot = -1,
                       .query_slot = -1};
    plan.q_width = plan.heads * plan.head_dim;
    plan.kv_width = plan.kv_heads * plan.head_dim;
    plan.rotary = o->positions == POSITIONS_ROTARY || o->positions == POSITIONS_XPOS;
    add_params(b, self, o, &plan);
    add_memory(b, self, o, &plan);
    if (o->compressed > 0) add_compression(b, self, o, &plan);
    bool loses = o->memory_dropout > 0 || self->dims.flush;
    if (loses && plan.slot >= 0) plan.first_slot = layer_slot_cache(b, self, "first", 1, 1);
    return plan;
}

/* Nothing is recorded: the call's keys and values are written behind the carried ones. False: they
 * have to be joined as tensors.
 * The slot's memory has k and v of all that is carried with this call's behind them: attention
 * reads them where they lie, rows `apart`. */
static bool attend_grown(layer_ctx *c, const layer *self, const token_options *o,
                         const token_plan *plan, tensor *qkv, token_result *r)
{
    if (!plan->grows || plan->keep_queries) return false;
    layer_entries kv;
    bool any;
    int64_t extra = layer_state_length(c, self, plan->slot), end;
    int64_t keep = token_memory_kept(c, self, o, plan, extra, &end);
    if (extra == 0 && keep == 0) return false;
    const int64_t *valid = token_memory_keys(c, self, plan, extra, &any);
    if (!layer_state_append(c, self, plan->slot, qkv, plan->q_width, end, keep, &kv)) return false;
    attention_shape shape = token_scores_shape(c, self, o, plan);
    *r = (token_result){.extra = any ? extra : 0};
    if (any) {
        shape.valid = valid;
        r->y = token_scores_entries(c, self, o, plan, qkv, &kv, &shape);
    } else {
        attention_operand own = {qkv, plan->q_width}, v = {qkv, plan->q_width + plan->kv_width};
        r->y = token_scores(c, self, o, plan, (attention_operand){qkv, 0}, own, v, &shape);
    }
    return true;
}

/* All blocks of the call by one op_attention, which cuts its scores by the grid itself. What is
 * copied depends on what came in:
 *   nothing carried that a row may see   q, k and v stay columns of the one product
 *   something carried                    k and v stand behind it in a tensor of their own
 * As long as one row may look at what is carried, a row that has lost its memory (`first`) has its
 * keys hidden, no fewer keys: one call has one shape. */
static token_result attend_whole(layer_ctx *c, const layer *self, const token_options *o,
                                 const token_plan *plan, tensor *qkv)
{
    token_result r;
    if (attend_grown(c, self, o, plan, qkv, &r)) return r;
    tensor *past = layer_state(c, self, plan->slot);
    bool any = false;
    const int64_t *valid = past ? token_memory_keys(c, self, plan, past->shape[1], &any) : NULL;
    if (!any) past = NULL, valid = NULL;
    r = (token_result){.extra = past ? past->shape[1] : 0};
    if (plan->keep_queries) r.q = op_columns(c->tape, qkv, 0, plan->q_width);
    if (past || plan->slot >= 0 || plan->whole_block)
        r.kv = token_memory_update(c, self, o, plan, qkv, past);
    attention_operand q = {qkv, 0}, k = {qkv, plan->q_width};
    if (past) {
        /* Rotation is in place: what others read stays as it was. */
        k.x = plan->whole_block && plan->rotary && o->qk_norm == QK_NORM_NONE
                  ? op_slice(c->tape, r.kv, 1, 0, r.kv->shape[1])
                  : r.kv;
        k.column = 0;
    }
    attention_shape shape = token_scores_shape(c, self, o, plan);
    shape.valid = valid;
    attention_operand v = {k.x, k.column + plan->kv_width};
    r.y = token_scores(c, self, o, plan, q, k, v, &shape);
    return r;
}

token_result token_attention_forward(layer_ctx *c, const layer *self, const token_options *o,
                                     const token_plan *plan, tensor *x)
{
    tensor *qkv = layer_linear(c, self, x, plan->qkv, plan->qkv_bias);
    token_memory_begin(c, self, o, plan);
    token_result r = o->compressed > 0 ? token_blocks(c, self, o, plan, qkv)
                                       : attend_whole(c, self, o, plan, qkv);
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    for (int64_t row = 0; row < c->rows; row++) {
        valid[row] = token_memory_valid(c, self, plan, row, r.extra);
    }
    r.valid = valid;
    bool partial = (c->position[0] + c->time) % self->dims.block != 0;
    if (self->dims.flush && partial) token_memory_skip(c, self, plan);
    return r;
}

double token_attention_flops(const layer *self, const token_options *o, const token_plan *plan)
{
    int64_t block = self->dims.block;
    /* Keys are counted as positions of a block see them on average, behind a full memory. */
    double width = (double)self->dims.width, keys = 0;
    for (int64_t i = 0; i < block; i++) {
        int64_t seen = plan->memory + i + 1;
        keys += (double)(o->window > 0 ? MIN(seen, o->window) : seen);
    }
    keys = keys / (double)block + (double)o->compressed;
    /* A score takes 2 q_width, its share of the sum of values as much again. */
    double flops =
        2 * width * (double)(plan->q_width + 2 * plan->kv_width) + 4 * (double)plan->q_width * keys;
    if (o->compressed > 0 && o->compression == COMPRESS_CONVOLUTION) {
        flops += 4 * (double)(plan->kv_width * plan->kv_width);
    }
    return flops;
}
