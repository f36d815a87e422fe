/* Feed-forward layer whose values learn while it reads, by an inner loss of its own: fast weights
 * inside the stack (after Clark et al. 2022, arXiv:2212.02475, whose are on top of it, and Sun et
 * al. 2024, arXiv:2407.04620, whose inner loss reconstructs).
 *
 *   m = act(K x + b_k),  y = V m + b_v,  y'_i = y_i - step * sum_{j<i} (m_i . m_j) g_j
 *
 * g_j is the gradient of position j's inner loss with respect to y_j, at the slow values:
 *   reconstruction  |y_j - T x_j|^2 / (2 normaliser), T learned
 *   next_token      cross-entropy / normaliser of token j + 1 under the logits T y_j, T learned;
 *                   known once that token is read: in generation one token late
 *
 * DIFFERS from Sun et al.: gradients are those at the slow values (linear attention), not at the
 * values of the moment; the outer gradient flows through all of it. */
#include "core/ops/ops_fast.h"
#include "layers/fast_state.h"
#include "layers/layer_inspect.h"

enum { LOSS_RECONSTRUCTION, LOSS_NEXT_TOKEN };

typedef struct fast_ffn_options {
    int64_t hidden, activation, loss, chunk;
    double step_init, normaliser, decay;
    bool carry, bias;
} fast_ffn_options;

static const option OPTIONS[] = {
    {"hidden", OPTION_INT, offsetof(fast_ffn_options, hidden), .initial = "none", .min = 1,
     .max = 1e7, .nullable = true, .help = "memories (keys with their values); none: 4 x width"},
    {"activation", OPTION_CHOICE, offsetof(fast_ffn_options, activation), .initial = "gelu",
     .choices = "relu|relu2|gelu|silu", .help = "act; relu2 is relu squared"},
    {"loss", OPTION_CHOICE, offsetof(fast_ffn_options, loss), .initial = "reconstruction",
     .choices = "reconstruction|next_token", .help = "what values learn from"},
    {"chunk", OPTION_INT, offsetof(fast_ffn_options, chunk), .initial = "128", .min = 1,
     .max = 1 << 20, .help = "positions per chunk of the sums: speed and memory, not the result"},
    {"step_init", OPTION_REAL, offsetof(fast_ffn_options, step_init), .initial = "0.01", .min = 0,
     .max = 10, .help = "initial step size; freeze it with optimizer.groups"},
    {"normaliser", OPTION_REAL, offsetof(fast_ffn_options, normaliser), .initial = "256", .min = 1,
     .max = 1e6, .help = "tokens that the inner loss is divided by"},
    {"decay", OPTION_REAL, offsetof(fast_ffn_options, decay), .initial = "1", .min = 1e-3, .max = 1,
     .help = "factor per token on what the values have learned"},
    {"carry", OPTION_BOOL, offsetof(fast_ffn_options, carry), .initial = "false",
     .help = "keep what was learned to the end of the document, not of the context"},
    {"bias", OPTION_BOOL, offsetof(fast_ffn_options, bias), .initial = "true",
     .help = "learned biases of keys and values"},
    {0}};

/* Indexes for layer_tensor and layer_state; -1: none. */
typedef struct fast_ffn_plan {
    int keys, values, keys_bias, values_bias, step, target;
    int slot_sum, slot_pending;
} fast_ffn_plan;

static const activation ACTIVATIONS[] = {ACT_RELU, ACT_RELU2, ACT_GELU, ACT_SILU};

static int64_t hidden_of(const layer *self)
{
    const fast_ffn_options *o = self->options;
    return o->hidden > 0 ? o->hidden : 4 * self->dims.width;
}

static void fast_ffn_settle(void *options, const layer *self)
{
    fast_ffn_options *o = options;
    if (o->hidden < 0) o->hidden = 4 * self->dims.width;
}

static void fast_ffn_build(layer_build *b, layer *self)
{
    const fast_ffn_options *o = self->options;
    int64_t width = self->dims.width, hidden = hidden_of(self);
    bool next = o->loss == LOSS_NEXT_TOKEN;
    fast_ffn_plan *p = ARENA_NEW(b->memory, fast_ffn_plan, 1);
    p->keys = layer_matrix(b, self, "keys", hidden, width, false);
    p->values = layer_matrix(b, self, "values", width, hidden, true);
    p->keys_bias = o->bias ? layer_vector(b, self, "keys_bias", ROLE_BIAS, hidden, 0) : -1;
    p->values_bias = o->bias ? layer_vector(b, self, "values_bias", ROLE_BIAS, width, 0) : -1;
    p->step = layer_vector(b, self, "step_size", ROLE_STEP_SIZE, 1, o->step_init);
    int64_t aims = next ? self->dims.vocab : width;
    p->target = layer_matrix(b, self, "target", aims, width, false);
    p->slot_sum = layer_slot(b, self, "values", hidden, width);
    p->slot_pending = next ? layer_slot(b, self, "pending", 1, width) : -1;
    self->plan = p;
}

/* The gradient of the inner loss with respect to y, as a value.
 * y - T x|^2 / (2 n) has (y - T x) / n; the cross-entropy of T y has dlogits T. */
static tensor *inner_gradient(layer_ctx *c, const layer *self, tensor *x, tensor *y,
                              const int32_t *targets, const real *weights)
{
    const fast_ffn_options *o = self->options;
    const fast_ffn_plan *p = self->plan;
    real scale = (real)(1 / o->normaliser);
    tensor *target = layer_tensor(c, self, p->target);
    if (o->loss == LOSS_RECONSTRUCTION) {
        tensor *wanted = op_linear(c->tape, x, target, NULL);
        return op_scale(c->tape, op_sub(c->tape, y, wanted), scale);
    }
    tensor *logits = op_linear(c->tape, y, target, NULL);
    tensor *dlogits = op_cross_entropy_gradient(c->tape, logits, targets, weights, scale);
    return op_matmul(c->tape, dlogits, false, target, false, 1);
}

/* y of x, and *slow without what was learned; sum is read and, if `last`, replaced. */
static tensor *fast_values(layer_ctx *c, const layer *self, tensor *x, const int32_t *targets,
                           const real *weights, tensor **sum, bool last, tensor **slow)
{
    const fast_ffn_options *o = self->options;
    const fast_ffn_plan *p = self->plan;
    tape *t = c->tape;
    tensor *h = layer_linear(c, self, x, p->keys, p->keys_bias);
    tensor *m = op_activation(t, h, ACTIVATIONS[o->activation]);
    layer_tap(c, self, "memories", m);
    tensor *y = layer_linear(c, self, m, p->values, p->values_bias);
    tensor *g = inner_gradient(c, self, x, y, targets, weights);
    /* V - step sum_j g_j m_j^T, applied to m_i: queries and keys are the same memories. */
    causal_sums in = {m, m, g, *sum, (real)o->decay, o->chunk};
    *slow = y;
    return op_attention_step(t, y, layer_tensor(c, self, p->step), &in, last ? sum : NULL);
}

static tensor *fast_ffn_part(layer_ctx *c, const layer *self, const fast_span *s, tensor **slow)
{
    const fast_ffn_options *o = self->options;
    const fast_ffn_plan *p = self->plan;
    tensor *sum = s->begins ? NULL : layer_carried(c, self, p->slot_sum);
    tensor *y = fast_values(c, self, s->x, s->targets, s->weights, &sum, !s->ends, slow);
    if (s->ends) {
        layer_state_set(c, self, p->slot_sum, NULL);
    } else if (s->last) {
        fast_state_set(c, self, p->slot_sum, sum, p->slot_pending >= 0 ? o->decay : 1);
    }
    return y;
}

static tensor *fast_ffn_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const fast_ffn_options *o = self->options;
    const fast_ffn_plan *p = self->plan;
    return fast_state_read(c, self, x, o->carry, p->slot_pending, fast_ffn_part);
}

static layer_cost fast_ffn_cost(const layer *self)
{
    const fast_ffn_options *o = self->options;
    double width = (double)self->dims.width, hidden = (double)hidden_of(self),
           vocab = (double)self->dims.vocab;
    double inner = o->loss == LOSS_NEXT_TOKEN ? 2 * width * vocab : width * width;
    double sums = fast_state_products(self, o->chunk, o->carry, hidden, width);
    return (layer_cost){.forward_flops = 2 * (2 * width * hidden + inner + sums)};
}

const layer_class fast_ffn_layer = {.name = "fast_ffn",
                                    .cite = "after Clark et al. 2022, arXiv:2212.02475",
                                    .help = "feed-forward memory whose values learn as they read",
                                    OPTIONS_OF(fast_ffn_options, OPTIONS),
                                    .settle = fast_ffn_settle,
                                    .build = fast_ffn_build,
                                    .forward = fast_ffn_forward,
                                    .cost = fast_ffn_cost,
                                    .learns = true};
