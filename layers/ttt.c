/* Test-time training (Sun et al. 2024, arXiv:2407.04620): a model per head whose weights take a
 * gradient step on every chunk of positions that they have read.
 *
 *   q, k = conv(x W_query), each with a convolution of its own, or x W_query and x W_key without
 *   v = x W_value;  q, k <- rotated by their position in the chunk
 *   z = f(k);  inner loss |n(z) + k - v|^2 / 2, n a layer norm with gain and bias
 *   f(x) = x W + b, or with learner: mlp gelu(x W + b) W2 + b2, 4 times as wide inside
 *   lr_j = rate sigmoid(x_j w_lr + b_lr) / head_dim;  pos_i = max(1 / (i + 1) + learned_i, 0)
 *   W_i = W - pos_i sum_j lr_j (gradient in W at j);  b_i, ... likewise;  j <= i of i's chunk
 *   o = q + n(f_i(q));  y = (gelu(x W_gate) * norm(o)) W_out        a layer norm over all
 * heads
 *
 * The weights start, where a document does, at values that training learned, and go on from chunk
 * to chunk; the outer gradient flows through the inner one (second order). Chunks are counted from
 * where a block (the context) begins, whose last chunk may be short. Carried are what the weights
 * have learned and, inside a chunk, the sums of its gradients: text may be cut into calls anywhere,
 * and generation is the same function.
 *
 * DIFFERS: convolutions have no bias. */
#include "core/ops/ops_recurrent.h"
#include "layers/layer.h"
#include "layers/layer_inspect.h"

#include <math.h>

enum { LEARNER_LINEAR, LEARNER_MLP };
enum { WIDER = 4 }; /* the hidden layer of mlp, as published */

typedef struct ttt_options {
    int64_t heads, learner, chunk, conv;
    double rate;
    bool rotary, gate;
} ttt_options;

#define OPTION_AT(field) offsetof(ttt_options, field)
static const option OPTIONS[] = {
    {"heads", OPTION_INT, OPTION_AT(heads), .initial = "2", .min = 1, .max = 1024,
     .help = "models, of width / heads inputs and outputs; published ones of 64"},
    {"learner", OPTION_CHOICE, OPTION_AT(learner), .initial = "linear", .choices = "linear|mlp",
     .help = "what learns: a matrix (TTT-Linear), or two with a gelu between them (TTT-MLP)"},
    {"chunk", OPTION_INT, OPTION_AT(chunk), .initial = "16", .min = 1, .max = 1 << 16,
     .help = "positions whose inner gradients are taken at the same weights"},
    {"conv", OPTION_INT, OPTION_AT(conv), .initial = "4", .min = 0, .max = 64,
     .help = "positions that q and k see of a projection they share; 0: one each, unconvolved"},
    {"rate", OPTION_REAL, OPTION_AT(rate), .initial = "none", .min = 1e-6, .max = 1000,
     .nullable = true,
     .help = "largest inner learning rate, times the size of a head; none, as published: linear 1, "
             "mlp 0.1"},
    {"rotary", OPTION_BOOL, OPTION_AT(rotary), .initial = "true", .needs = "chunk>1",
     .help = "rotate q and k by their position in the chunk"},
    {"gate", OPTION_BOOL, OPTION_AT(gate), .initial = "true",
     .help = "the input gates what is read"},
    {0}};

/* Indexes for layer_tensor and layer_state; -1: none. */
typedef struct ttt_plan {
    int64_t dim, hidden; /* hidden 0: linear */
    int query, key, value, query_conv, key_conv, slot_conv;
    int lr, lr_bias, pos, inner_gain, inner_bias, w, b, w2, b2;
    int gate, norm_gain, norm_bias, out, slot_weights, slot_sums;
    const real *harmonic; /* [chunk]: 1 / (i + 1) */
} ttt_plan;

/* Two numbers without mean and of unit variance are +1 and -1: the inner layer norm would leave
 * nothing to learn from but a sign. */
static bool ttt_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const ttt_options *o = options;
    if (dims->width % o->heads != 0) {
        return node_err(e, at, "heads %lld does not divide the model's width %lld; give a divisor",
                        (long long)o->heads, (long long)dims->width);
    }
    int64_t dim = dims->width / o->heads;
    if (dim < 3) {
        return node_err(e, at,
                        "%lld heads of %lld numbers: normalised, they are nothing but signs; give "
                        "fewer heads",
                        (long long)o->heads, (long long)dim);
    }
    if (o->rotary && dim % 2 != 0) {
        return node_err(e, at,
                        "heads of %lld numbers cannot be rotated; give other heads or rotary: "
                        "false",
                        (long long)dim);
    }
    return true;
}

static double usual_rate(const ttt_options *o)
{
    return o->learner == LEARNER_MLP ? 0.1 : 1;
}

static void ttt_settle(void *options, const layer *self)
{
    (void)self;
    ttt_options *o = options;
    /* -1 is "none": the usual rate, spelt out, is the same layer. */
    if (o->rate >= usual_rate(o) && o->rate <= usual_rate(o)) o->rate = -1;
}

/* ---- parameters ---- */

/* Depthwise: a filter per column, which starts as PyTorch's do, uniform in +- 1 / sqrt(size). */
static int add_conv(layer_build *b, layer *self, const char *name, int64_t size)
{
    param_init start = {INIT_UNIFORM, 1 / sqrt((double)size)};
    return layer_param(b, self, name, ROLE_GAIN, 2, (int64_t[]){self->dims.width, size}, start);
}

static void add_inputs(layer_build *b, layer *self, ttt_plan *p)
{
    const ttt_options *o = self->options;
    int64_t width = self->dims.width;
    p->key = p->query_conv = p->key_conv = p->slot_conv = -1;
    p->query = layer_matrix(b, self, "query.weight", width, width, false);
    if (o->conv == 0) p->key = layer_matrix(b, self, "key.weight", width, width, false);
    p->value = layer_matrix(b, self, "value.weight", width, width, false);
    if (o->conv > 0) {
        p->query_conv = add_conv(b, self, "query.conv", o->conv);
        p->key_conv = add_conv(b, self, "key.conv", o->conv);
    }
    /* What both convolutions see is the same. */
    if (o->conv > 1) p->slot_conv = layer_slot_cache(b, self, "conv", o->conv - 1, width);
}

static void add_learner(layer_build *b, layer *self, ttt_plan *p)
{
    const ttt_options *o = self->options;
    int64_t width = self->dims.width, chunk = MIN(o->chunk, self->dims.block);
    /* From the input, per head: how much a token is worth learning. A bias of 0 begins at half of
     * the largest rate. */
    p->lr = layer_matrix(b, self, "lr.weight", o->heads, width, false);
    p->lr_bias = layer_vector(b, self, "lr.bias", ROLE_BIAS, o->heads, 0);
    /* What is learned about a position in the chunk is added to 1 / (i + 1), at which every
     * position begins with the mean over those up to it. No chunk is longer than a block. */
    p->pos = layer_vector(b, self, "position", ROLE_STEP_SIZE, chunk, 0);
    p->inner_gain = layer_vector(b, self, "inner_norm.gain", ROLE_GAIN, width, 1);
    p->inner_bias = layer_vector(b, self, "inner_norm.bias", ROLE_BIAS, width, 0);
    int64_t hidden = p->hidden, out = hidden > 0 ? hidden : p->dim;
    /* The weights that each document begins with: learned by the outer gradient, which goes through
     * all the steps taken from them. One matrix per head, below each other. */
    p->w = layer_param(b, self, "w", ROLE_STATE, 2, (int64_t[]){width, out},
                       layer_init(b, self, p->dim, false));
    p->b = layer_vector(b, self, "b", ROLE_STATE, o->heads * out, 0);
    p->w2 = p->b2 = -1;
    if (hidden > 0) {
        p->w2 = layer_param(b, self, "w2", ROLE_STATE, 2, (int64_t[]){o->heads * hidden, p->dim},
                            layer_init(b, self, hidden, false));
        p->b2 = layer_vector(b, self, "b2", ROLE_STATE, width, 0);
    }
    real *harmonic = ARENA_NEW(b->memory, real, chunk);
    for (int64_t i = 0; i < chunk; i++) {
        harmonic[i] = (real)(1 / (double)(i + 1));
    }
    p->harmonic = harmonic;
}

static void ttt_build(layer_build *b, layer *self)
{
    const ttt_options *o = self->options;
    int64_t width = self->dims.width;
    ttt_plan *p = ARENA_NEW(b->memory, ttt_plan, 1);
    p->dim = width / o->heads;
    p->hidden = o->learner == LEARNER_MLP ? WIDER * p->dim : 0;
    add_inputs(b, self, p);
    add_learner(b, self, p);
    p->gate = o->gate ? layer_matrix(b, self, "gate.weight", width, width, false) : -1;
    p->norm_gain = layer_vector(b, self, "norm_out.gain", ROLE_GAIN, width, 1);
    p->norm_bias = layer_vector(b, self, "norm_out.bias", ROLE_BIAS, width, 0);
    p->out = layer_matrix(b, self, "out.weight", width, width, true);
    /* Weights and sums of gradients have the same shape: [heads * state / columns, columns] of each
     * row. The sums are what an unfinished chunk has gathered, and nothing between chunks. */
    int64_t state = op_ttt_state(p->dim, p->hidden);
    int64_t columns = p->hidden > 0 ? state : p->dim, length = o->heads * state / columns;
    p->slot_weights = layer_slot(b, self, "weights", length, columns);
    p->slot_sums = layer_slot(b, self, "sums", length, columns);
    self->unfinished += length * columns;
    self->plan = p;
}

/* ---- forward ---- */

static tensor *rotated(layer_ctx *c, const layer *self, tensor *x)
{
    const ttt_options *o = self->options;
    const ttt_plan *p = self->plan;
    if (!o->rotary) return x;
    /* The position in the chunk, not in the text: within a chunk order would otherwise be lost on
     * the weights, over chunks it is in what they have become. */
    rotary_shape s = {.heads = o->heads,
                      .head_dim = p->dim,
                      .first = c->position[0] % self->dims.block,
                      .block = self->dims.block,
                      .period = o->chunk,
                      .theta = 10000};
    return op_rotary_inplace(c->tape, x, &s);
}

static void queries_and_keys(layer_ctx *c, const layer *self, tensor *x, ttt_rule *in)
{
    const ttt_options *o = self->options;
    const ttt_plan *p = self->plan;
    tape *t = c->tape;
    /* With a convolution q and k come from one product, and differ by their filters. */
    tensor *shared = layer_linear(c, self, x, p->query, -1), *last;
    if (o->conv == 0) {
        in->q = rotated(c, self, shared);
        in->k = rotated(c, self, layer_linear(c, self, x, p->key, -1));
        return;
    }
    tensor *before = layer_carried(c, self, p->slot_conv);
    tensor *q = layer_tensor(c, self, p->query_conv), *k = layer_tensor(c, self, p->key_conv);
    in->q = rotated(c, self, op_conv(t, shared, q, before, 1, ACT_IDENTITY, &last));
    in->k = rotated(c, self, op_conv(t, shared, k, before, 1, ACT_IDENTITY, NULL));
    if (o->conv > 1) layer_state_set(c, self, p->slot_conv, last);
}

/* rate sigmoid(x w + b) / head_dim [rows, time, heads] */
static tensor *rates(layer_ctx *c, const layer *self, tensor *x)
{
    const ttt_options *o = self->options;
    const ttt_plan *p = self->plan;
    tensor *lr = layer_linear(c, self, x, p->lr, p->lr_bias);
    lr = op_activation(c->tape, lr, ACT_SIGMOID);
    double rate = o->rate > 0 ? o->rate : usual_rate(o);
    /* Per column of a head: the inner loss is a sum over them. */
    return op_scale(c->tape, lr, (real)(rate / (double)p->dim));
}

/* max(1 / (i + 1) + learned, 0) [chunk] */
static tensor *position_rates(layer_ctx *c, const layer *self)
{
    const ttt_plan *p = self->plan;
    tensor *learned = layer_tensor(c, self, p->pos);
    tensor *start = tape_constant(c->tape, p->harmonic, 1, learned->shape);
    /* Not below 0: a negative step would climb the inner loss. */
    return op_activation(c->tape, op_add(c->tape, start, learned), ACT_RELU);
}

static tensor *gated_out(layer_ctx *c, const layer *self, tensor *y, tensor *gate)
{
    const ttt_plan *p = self->plan;
    y = op_layernorm(c->tape, y, layer_tensor(c, self, p->norm_gain),
                     layer_tensor(c, self, p->norm_bias), (real)1e-6);
    if (gate) y = op_mul(c->tape, y, gate);
    return layer_linear(c, self, y, p->out, -1);
}

/* What the weights of the start alone would answer. */
static void tap_unlearned(layer_ctx *c, const layer *self, const ttt_rule *in, tensor *gate)
{
    /* Without rates no step is taken, and nothing is carried. */
    ttt_rule still = *in;
    still.lr = tape_constant(c->tape, NULL, 3, in->lr->shape);
    still.start = still.sum = NULL;
    tensor *y = op_ttt(c->tape, &still, NULL, NULL);
    layer_tap(c, self, LAYER_TAP_UNLEARNED, gated_out(c, self, y, gate));
}

static tensor *ttt_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const ttt_options *o = self->options;
    const ttt_plan *p = self->plan;
    tape *t = c->tape;
    ttt_rule in = {.heads = o->heads,
                   .hidden = p->hidden,
                   .chunk = o->chunk,
                   .block = self->dims.block,
                   .phase = c->position[0] % self->dims.block,
                   .eps = (real)1e-6};
    queries_and_keys(c, self, x, &in);
    in.v = layer_linear(c, self, x, p->value, -1);
    in.lr = rates(c, self, x);
    in.pos = position_rates(c, self);
    in.gain = layer_tensor(c, self, p->inner_gain);
    in.bias = layer_tensor(c, self, p->inner_bias);
    in.w = layer_tensor(c, self, p->w);
    in.b = layer_tensor(c, self, p->b);
    in.w2 = layer_tensor(c, self, p->w2);
    in.b2 = layer_tensor(c, self, p->b2);
    in.start = layer_carried(c, self, p->slot_weights);
    in.sum = layer_carried(c, self, p->slot_sums);
    tensor *gate = NULL, *weights, *sums;
    if (p->gate >= 0) {
        gate = layer_linear(c, self, x, p->gate, -1);
        gate = op_activation(t, gate, ACT_GELU_TANH);
    }
    tensor *y = op_ttt(t, &in, &weights, &sums);
    layer_state_set(c, self, p->slot_weights, weights);
    layer_state_set(c, self, p->slot_sums, sums);
    layer_tap(c, self, "rates", in.lr);
    /* Only where somebody looks on: it is the whole layer once more. */
    if (c->watch->tap) tap_unlearned(c, self, &in, gate);
    return gated_out(c, self, y, gate);
}

static layer_cost ttt_cost(const layer *self)
{
    const ttt_options *o = self->options;
    const ttt_plan *p = self->plan;
    int64_t width = self->dims.width, chunk = MIN(o->chunk, self->dims.block);
    /* q, k (of a convolution: no products), v, gate and out. */
    double outs = (double)((3 + (o->conv == 0) + o->gate) * width + o->heads);
    double projections = 2 * outs * (double)width;
    double inner = 2 * (double)width * op_ttt_products(p->dim, p->hidden, chunk, self->dims.block);
    /* Backwards what is inside a chunk is computed again: 3 times as much. */
    return (layer_cost){.forward_flops = projections + inner,
                        .train_flops = 3 * projections + 4 * inner};
}

const layer_class ttt_layer = {
    .name = "ttt",
    .cite = "Sun et al. 2024, arXiv:2407.04620",
    .help = "a model per head that takes gradient steps on what it reads (TTT-Linear, TTT-MLP)",
    OPTIONS_OF(ttt_options, OPTIONS),
    .check = ttt_check,
    .settle = ttt_settle,
    .build = ttt_build,
    .forward = ttt_forward,
    .output_is_free = true,
    .learns = true,
    .cost = ttt_cost};
