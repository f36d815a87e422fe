#include "layers/layer.h"

#include <math.h>

/* Causal self-attention (Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2) with a memory of earlier
 * blocks (Dai et al. 2019, arXiv:1901.02860, sec. 3.2):
 *
 *   q, k, v = heads(x W_qkv^T + b);   y = merge(softmax(q k^T / sqrt(head_dim) + bias) v) W_out^T
 *
 * On the grid of positions since the row's reset, a query at position p sees the keys
 *
 *   [max(block_begin(p) - memory, p - window + 1, 0), p].
 *
 * The slot "kv" [rows, length, 2 kv_heads head_dim] carries raw keys and values (before rotation
 * and normalisation) of what later positions may still see. Nothing is carried, and nothing copied,
 * by calls of whole blocks without memory. Rotary positions are counted from the oldest key of the
 * call: only differences matter, and small angles stay exact in float. */

typedef struct attention_options {
    int64_t heads, kv_heads, head_dim;
    int64_t window, memory;
    int64_t positions, qk_norm;
    double theta;
    int64_t t5_buckets, t5_max_distance;
    bool bias;
    double dropout;
} attention_options;

enum { POSITIONS_ROTARY, POSITIONS_XPOS, POSITIONS_T5, POSITIONS_ALIBI, POSITIONS_NONE };
enum { QK_NORM_NONE, QK_NORM_RMS, QK_NORM_L2 };

#define OPTION_AT(field) offsetof(attention_options, field)
static const option OPTIONS[] = {
    {"heads", OPTION_INT, OPTION_AT(heads), .initial = "4", .min = 1, .max = 1024,
     .help = "query heads"},
    {"kv_heads", OPTION_INT, OPTION_AT(kv_heads), .initial = "none", .min = 1, .max = 1024,
     .nullable = true, .help = "key and value heads, shared by groups of query heads; none: heads"},
    {"head_dim", OPTION_INT, OPTION_AT(head_dim), .initial = "none", .min = 1, .max = 4096,
     .nullable = true, .help = "size of a head; none: width / heads"},
    {"window", OPTION_INT, OPTION_AT(window), .initial = "none", .min = 1, .max = 1e8,
     .nullable = true, .help = "positions that a query sees at most, its own included"},
    {"memory", OPTION_INT, OPTION_AT(memory), .initial = "none", .min = 0, .max = 1e8,
     .nullable = true,
     .help = "positions seen before the query's own block; none: window - 1, or 0 without window"},
    {"positions", OPTION_CHOICE, OPTION_AT(positions), .initial = "rotary",
     .choices = "rotary|xpos|t5|alibi|none", .help = "how distance enters the scores"},
    {"theta", OPTION_REAL, OPTION_AT(theta), .initial = "10000", .min = 1, .max = 1e9,
     .help = "rotary, xpos: longest wavelength / 2 pi, positions"},
    {"t5_buckets", OPTION_INT, OPTION_AT(t5_buckets), .initial = "32", .min = 2, .max = 4096,
     .help = "t5: learned biases per head"},
    {"t5_max_distance", OPTION_INT, OPTION_AT(t5_max_distance), .initial = "128", .min = 2,
     .max = 1e8, .help = "t5: distance from which on all share the last bias"},
    {"qk_norm", OPTION_CHOICE, OPTION_AT(qk_norm), .initial = "none", .choices = "none|rms|l2",
     .help = "normalise queries and keys per head, with learned scales"},
    {"bias", OPTION_BOOL, OPTION_AT(bias), .initial = "false",
     .help = "learned biases of the projections"},
    {"dropout", OPTION_REAL, OPTION_AT(dropout), .initial = "0", .min = 0, .max = 0.95,
     .help = "probability of dropping an attention weight while training"},
    {0}};

/* What follows from options and dims. Parameters are indexes for layer_tensor, -1: not there. */
typedef struct attention_plan {
    int64_t heads, kv_heads, head_dim;
    int64_t q_width, kv_width; /* all query heads; all key heads */
    int64_t memory;
    bool rotary;
    int qkv, out, qkv_bias, out_bias, t5_table, q_gain, k_gain;
    int slot; /* -1: no position ever sees an earlier call's key */
} attention_plan;

static int64_t head_dim_of(const attention_options *o, int64_t width)
{
    return o->head_dim > 0 ? o->head_dim : width / o->heads;
}

static bool attention_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const attention_options *o = options;
    if (o->head_dim < 0 && dims->width % o->heads != 0) {
        return node_err(e, at,
                        "heads %lld does not divide the model's width %lld; give a divisor or "
                        "head_dim",
                        (long long)o->heads, (long long)dims->width);
    }
    if (o->kv_heads > 0 && o->heads % o->kv_heads != 0) {
        return node_err(e, at, "kv_heads %lld does not divide heads %lld", (long long)o->kv_heads,
                        (long long)o->heads);
    }
    bool rotary = o->positions == POSITIONS_ROTARY || o->positions == POSITIONS_XPOS;
    if (rotary && head_dim_of(o, dims->width) % 2 != 0) {
        return node_err(e, at, "rotary positions pair the numbers of a head: head_dim %lld is odd",
                        (long long)head_dim_of(o, dims->width));
    }
    if (o->positions == POSITIONS_T5 && o->t5_max_distance <= o->t5_buckets / 2) {
        return node_err(e, at, "t5_max_distance %lld must exceed half of t5_buckets, %lld",
                        (long long)o->t5_max_distance, (long long)(o->t5_buckets / 2));
    }
    return true;
}

static void add_params(layer_build *b, layer *self, attention_plan *plan)
{
    const attention_options *o = self->options;
    int64_t width = self->dims.width, packed = plan->q_width + 2 * plan->kv_width;
    plan->qkv = layer_matrix(b, self, "qkv.weight", packed, width, false);
    plan->out = layer_matrix(b, self, "out.weight", width, plan->q_width, true);
    if (o->bias) {
        plan->qkv_bias = layer_vector(b, self, "qkv.bias", ROLE_BIAS, packed, 0);
        plan->out_bias = layer_vector(b, self, "out.bias", ROLE_BIAS, width, 0);
    }
    if (o->positions == POSITIONS_T5) {
        int64_t shape[] = {o->t5_buckets, plan->heads};
        plan->t5_table =
            layer_param(b, self, "t5.bias", ROLE_BIAS, 2, shape, (param_init){INIT_NORMAL, b->std});
    }
    if (o->qk_norm != QK_NORM_NONE) {
        plan->q_gain = layer_vector(b, self, "q_norm.gain", ROLE_GAIN, plan->head_dim, 1);
        plan->k_gain = layer_vector(b, self, "k_norm.gain", ROLE_GAIN, plan->head_dim, 1);
    }
}

/* Keys that positions after the first `done` of a block may see before themselves. */
static int64_t visible_before(const layer *self, int64_t done)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    int64_t keys = plan->memory + done;
    return o->window > 0 ? MIN(keys, o->window - 1) : keys;
}

static void attention_build(layer_build *b, layer *self)
{
    const attention_options *o = self->options;
    attention_plan *plan = ARENA_NEW(b->memory, attention_plan, 1);
    *plan = (attention_plan){.heads = o->heads,
                             .kv_heads = o->kv_heads > 0 ? o->kv_heads : o->heads,
                             .head_dim = head_dim_of(o, self->dims.width),
                             .qkv_bias = -1,
                             .out_bias = -1,
                             .t5_table = -1,
                             .q_gain = -1,
                             .k_gain = -1,
                             .slot = -1};
    plan->q_width = plan->heads * plan->head_dim;
    plan->kv_width = plan->kv_heads * plan->head_dim;
    plan->memory = o->memory >= 0 ? o->memory : o->window > 0 ? o->window - 1 : 0;
    plan->rotary = o->positions == POSITIONS_ROTARY || o->positions == POSITIONS_XPOS;
    self->plan = plan;
    add_params(b, self, plan);
    int64_t longest = visible_before(self, self->dims.block - 1);
    if (longest > 0) plan->slot = layer_slot(b, self, "kv", longest, 2 * plan->kv_width);
}

/* ---- what is carried ---- */

/* How many of the `extra` carried keys each row may look at; NULL if all. *any: some row may. */
static const int64_t *valid_keys(layer_ctx *c, int64_t extra, bool *any)
{
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    bool all = true;
    *any = false;
    for (int64_t r = 0; r < c->rows; r++) {
        valid[r] = MIN(extra, c->position[r]);
        all &= valid[r] == extra;
        *any |= valid[r] > 0;
    }
    return all ? NULL : valid;
}

/* The last `keep` entries along time, as memory of their own. */
static tensor *newest(layer_ctx *c, tensor *kv, int64_t keep)
{
    return op_slice(c->tape, kv, 1, kv->shape[1] - keep, kv->shape[1]);
}

/* Raw keys and values of the call, behind the carried ones if there are any; stores what the next
 * call may see. NULL: nothing came and nothing goes on. */
static tensor *update_memory(layer_ctx *c, const layer *self, tensor *qkv, tensor *past)
{
    const attention_plan *plan = self->plan;
    int64_t extra = past ? past->shape[1] : 0;
    int64_t done = (c->position[0] + c->time) % self->dims.block;
    int64_t keep = MIN(visible_before(self, done), extra + c->time);
    if (keep == 0) layer_state_set(c, self, plan->slot, NULL);
    if (keep == 0 && !past) return NULL;
    tensor *kv = op_columns(c->tape, qkv, plan->q_width, plan->q_width + 2 * plan->kv_width);
    if (past) kv = op_concat(c->tape, 2, (tensor *[]){past, kv}, 1);
    if (keep > 0) layer_state_set(c, self, plan->slot, newest(c, kv, keep));
    return kv;
}

/* ---- forward ---- */

/* Columns of `heads` heads, normalised per head and scaled, as a tensor of their own. */
static attention_operand normalised(layer_ctx *c, const layer *self, attention_operand a,
                                    int64_t heads, tensor *gain)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    int64_t width = heads * plan->head_dim, length = a.x->shape[1];
    tensor *x = op_columns(c->tape, a.x, a.column, a.column + width);
    x = tape_reshape(c->tape, x, 4, (int64_t[]){c->rows, length, heads, plan->head_dim});
    if (o->qk_norm == QK_NORM_RMS) {
        x = op_rmsnorm(c->tape, x, gain, (real)1e-6);
    } else {
        x = op_mul_row(c->tape, op_l2norm(c->tape, x, (real)1e-12), gain);
    }
    x = tape_reshape(c->tape, x, 3, (int64_t[]){c->rows, length, width});
    return (attention_operand){x, 0};
}

static void rotate(layer_ctx *c, const layer *self, attention_operand *a, int64_t heads,
                   int64_t first, int xpos)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    rotary_shape shape = {.column = a->column,
                          .heads = heads,
                          .head_dim = plan->head_dim,
                          .first = first,
                          .theta = o->theta,
                          .xpos = o->positions == POSITIONS_XPOS ? xpos : 0};
    a->x = op_rotary_inplace(c->tape, a->x, &shape);
}

static tensor *attend(layer_ctx *c, const layer *self, attention_operand q, attention_operand k,
                      attention_operand v, const int64_t *valid)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    /* The window alone decides where the memory is no shorter. */
    bool grid = o->window <= 0 || plan->memory < o->window - 1;
    attention_shape shape = {.heads = plan->heads,
                             .kv_heads = plan->kv_heads,
                             .head_dim = plan->head_dim,
                             .scale = (real)(1 / sqrt((double)plan->head_dim)),
                             .causal = true,
                             .window = MAX(o->window, 0),
                             .block = grid ? self->dims.block : 0,
                             .phase = c->position[0] % self->dims.block,
                             .memory = plan->memory,
                             .valid = valid,
                             .t5_table =
                                 plan->t5_table >= 0 ? layer_tensor(c, self, plan->t5_table) : NULL,
                             .t5_max_distance = o->t5_max_distance,
                             .alibi = o->positions == POSITIONS_ALIBI,
                             .dropout = c->mode == MODE_TRAIN ? o->dropout : 0,
                             .key = layer_key(c, self, "dropout")};
    return op_attention(c->tape, q, k, v, &shape);
}

static tensor *attention_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    tensor *bias = plan->qkv_bias >= 0 ? layer_tensor(c, self, plan->qkv_bias) : NULL;
    tensor *qkv = op_linear(c->tape, x, layer_tensor(c, self, plan->qkv), bias);
    tensor *past = plan->slot >= 0 ? layer_state(c, self, plan->slot) : NULL;
    bool any = false;
    const int64_t *valid = past ? valid_keys(c, past->shape[1], &any) : NULL;
    if (!any) past = NULL, valid = NULL;

    tensor *kv = plan->slot >= 0 ? update_memory(c, self, qkv, past) : NULL;
    int64_t extra = past ? past->shape[1] : 0;
    attention_operand q = {qkv, 0}, k = {qkv, plan->q_width},
                      v = {qkv, plan->q_width + plan->kv_width};
    if (past) k = (attention_operand){kv, 0}, v = (attention_operand){kv, plan->kv_width};
    if (o->qk_norm != QK_NORM_NONE) {
        q = normalised(c, self, q, plan->heads, layer_tensor(c, self, plan->q_gain));
        k = normalised(c, self, k, plan->kv_heads, layer_tensor(c, self, plan->k_gain));
    }
    if (plan->rotary) {
        /* Centred on the call, so that xpos's powers stay in float's range for long calls. */
        int64_t first = -(extra + c->time) / 2;
        bool shared = q.x == k.x;
        rotate(c, self, &q, plan->heads, first + extra, +1);
        if (shared) k.x = q.x;
        rotate(c, self, &k, plan->kv_heads, first, -1);
        /* Each rotation is a version of the packed tensor: all operands read the last one. */
        if (shared) q.x = k.x;
    }
    if (o->qk_norm == QK_NORM_NONE) v.x = k.x;
    tensor *y = attend(c, self, q, k, v, valid);
    tensor *out_bias = plan->out_bias >= 0 ? layer_tensor(c, self, plan->out_bias) : NULL;
    return op_linear(c->tape, y, layer_tensor(c, self, plan->out), out_bias);
}

/* ---- cost ---- */

/* Keys that a query sees on average over a block, once enough text lies behind. */
static double mean_visible(const layer *self)
{
    double sum = 0;
    for (int64_t i = 0; i < self->dims.block; i++) {
        sum += (double)(visible_before(self, i) + 1);
    }
    return sum / (double)self->dims.block;
}

static layer_cost attention_cost(const layer *self)
{
    const attention_plan *plan = self->plan;
    double width = (double)self->dims.width, q_width = (double)plan->q_width;
    double projections = 2 * width * (2 * q_width + 2 * (double)plan->kv_width);
    return (layer_cost){.forward_flops = projections + 4 * q_width * mean_visible(self),
                        .bench_flops = 6 * (double)self->dims.block * q_width};
}

extern const layer_class attention_layer;
const layer_class attention_layer = {
    .name = "attention",
    .cite = "Vaswani et al. 2017, arXiv:1706.03762; memory: Dai et al. 2019, arXiv:1901.02860",
    .help = "causal self-attention over the block, with memory of earlier ones or a window",
    .options = OPTIONS,
    .options_bytes = sizeof(attention_options),
    .check = attention_check,
    .build = attention_build,
    .forward = attention_forward,
    .output_is_free = true,
    .cost = attention_cost};
