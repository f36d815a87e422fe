/* Fast weight layer, a head that learns from each token it has read (Clark et al. 2022,
 * arXiv:2212.02475; its two published implementations are step_sizes `layer` and `parameter`).
 *
 * The block  y = norm(W1 relu(W0 x + b0)^2 + b1) * gain + bias,  logits = U y + c  is run twice.
 * The slow pass uses the weights as they are; its loss on every token gives a gradient for every
 * position. The fast pass at position i uses weights from which the gradients of positions before i
 * were subtracted, times learned step sizes. A gradient of a product is an outer product, so that
 * fast weights are linear attention and are never formed per position:
 *
 *   W0' x_i = W0 x_i - step * sum_{m<i} (x_i . x_m) G0_m
 *
 * The target of position m is the token at m + 1, so a position takes part in the sums of later
 * positions only: in generation, one token late. Everything is made of differentiable ops: training
 * goes through the inner gradients (second order).
 *
 * DIFFERS: the published inner loss is divided by the total weight of the batch, which makes logits
 * depend on its size and on padding (normalise: batch); the default divides by a constant. */
#include "core/ops/ops_fast.h"
#include "layers/fast_state.h"
#include "layers/layer_inspect.h"

enum { STEPS_LAYER, STEPS_PARAMETER };
enum { NORMALISE_CONSTANT, NORMALISE_BATCH };

typedef struct fwl_options {
    int64_t size, expansion, chunk;
    int64_t step_sizes, normalise;
    double step_init, normaliser, decay, eps;
    bool update_dense0, update_dense1, update_norm;
    bool carry, residual, bias;
} fwl_options;

static const option FWL_OPTIONS[] = {
    {"size", OPTION_INT, offsetof(fwl_options, size), .initial = "none", .min = 2, .max = 1 << 20,
     .nullable = true, .help = "width of the block's output; none: model.width"},
    {"expansion", OPTION_INT, offsetof(fwl_options, expansion), .initial = "4", .min = 1, .max = 16,
     .help = "hidden width as a multiple of size"},
    {"chunk", OPTION_INT, offsetof(fwl_options, chunk), .initial = "128", .min = 1, .max = 1 << 20,
     .help = "positions per chunk of the sums: speed and memory, not the result"},
    {"step_sizes", OPTION_CHOICE, offsetof(fwl_options, step_sizes), .initial = "parameter",
     .choices = "layer|parameter",
     .help = "one step size per layer and no bias updates, or one per weight and bias"},
    {"step_init", OPTION_REAL, offsetof(fwl_options, step_init), .initial = "0.01", .min = 0,
     .max = 10, .help = "initial step sizes; freeze them with optimizer.groups"},
    {"update_dense0", OPTION_BOOL, offsetof(fwl_options, update_dense0), .initial = "true",
     .help = "whether the first dense layer has fast weights"},
    {"update_dense1", OPTION_BOOL, offsetof(fwl_options, update_dense1), .initial = "true",
     .help = "whether the second dense layer has fast weights"},
    {"update_norm", OPTION_BOOL, offsetof(fwl_options, update_norm), .initial = "true",
     .help = "whether the norm's gain and bias have fast values"},
    {"normalise", OPTION_CHOICE, offsetof(fwl_options, normalise), .initial = "constant",
     .choices = "constant|batch",
     .help =
         "what the inner loss is divided by: `normaliser`, or the total weight (published) of the "
         "step, in evaluation of the rows read together"},
    {"normaliser", OPTION_REAL, offsetof(fwl_options, normaliser), .initial = "256", .min = 1,
     .max = 1e9, .needs = "normalise=constant", .help = "tokens that the inner loss is divided by"},
    {"decay", OPTION_REAL, offsetof(fwl_options, decay), .initial = "1", .min = 1e-3, .max = 1,
     .help = "factor per token on what the fast weights have learned"},
    {"carry", OPTION_BOOL, offsetof(fwl_options, carry), .initial = "false",
     .help = "keep fast weights to the end of the document (published: to the end of the context)"},
    {"residual", OPTION_BOOL, offsetof(fwl_options, residual), .initial = "false",
     .help = "add the block's input to its output (needs size = width)"},
    {"bias", OPTION_BOOL, offsetof(fwl_options, bias), .initial = "true",
     .help = "bias of the output layer"},
    {"eps", OPTION_REAL, offsetof(fwl_options, eps), .initial = "1e-6", .min = 1e-12, .max = 1,
     .help =
         "added to the variance in the norm (published: 1e-6 with `layer`, 0 with `parameter`)"},
    {0}};

/* Indexes for layer_tensor and layer_state. Under STEPS_LAYER the weight's step size serves the
 * norm's gain and bias alike, and biases have none (-1). */
typedef struct fwl_plan {
    bool tied; /* output is an index over all parameters: the embedding */
    int w0, b0, w1, b1, gain, bias, output, output_bias;
    int step_w0, step_b0, step_w1, step_b1, step_gain, step_bias;
    int slot_w0, slot_b0, slot_w1, slot_b1, slot_gain, slot_bias, slot_pending;
} fwl_plan;

/* What the gradients of earlier positions add up to; NULL is zero. */
typedef struct fwl_sums {
    tensor *w0, *b0, *w1, *b1, *gain, *bias;
    bool last; /* whether somebody reads on with them */
} fwl_sums;

static bool fwl_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const fwl_options *o = options;
    if (o->residual && o->size >= 0 && o->size != dims->width) {
        return node_err(e, at, "residual needs size = model.width = %lld, not %lld",
                        (long long)dims->width, (long long)o->size);
    }
    return true;
}

static int64_t size_of(const layer *self)
{
    const fwl_options *o = self->options;
    return o->size > 0 ? o->size : self->dims.width;
}

/* What is not updated has no step size, and no fast version of it is computed. */
static void build_steps(layer_build *b, layer *self, fwl_plan *p, const fwl_options *o)
{
    double init = o->step_init;
    bool each = o->step_sizes == STEPS_PARAMETER;
    p->step_w0 = p->step_b0 = p->step_w1 = p->step_b1 = p->step_gain = p->step_bias = -1;
    if (o->update_dense0) {
        p->step_w0 = layer_vector(b, self, "dense0.weight_step_size", ROLE_STEP_SIZE, 1, init);
        if (each)
            p->step_b0 = layer_vector(b, self, "dense0.bias_step_size", ROLE_STEP_SIZE, 1, init);
    }
    if (o->update_dense1) {
        p->step_w1 = layer_vector(b, self, "dense1.weight_step_size", ROLE_STEP_SIZE, 1, init);
        if (each)
            p->step_b1 = layer_vector(b, self, "dense1.bias_step_size", ROLE_STEP_SIZE, 1, init);
    }
    if (o->update_norm) {
        p->step_gain = layer_vector(b, self, "norm.gain_step_size", ROLE_STEP_SIZE, 1, init);
        p->step_bias = each ? layer_vector(b, self, "norm.bias_step_size", ROLE_STEP_SIZE, 1, init)
                            : p->step_gain;
    }
}

static void fwl_settle(void *options, const layer *self)
{
    fwl_options *o = options;
    option_settle(&o->size, self->dims.width, -1);
}

static void fwl_build(layer_build *b, layer *self)
{
    const fwl_options *o = self->options;
    int64_t width = self->dims.width, size = size_of(self), hidden = size * o->expansion,
            vocab = self->dims.vocab;
    fwl_plan *p = ARENA_NEW(b->memory, fwl_plan, 1);
    p->w0 = layer_matrix(b, self, "dense0.weight", hidden, width, false);
    p->b0 = layer_vector(b, self, "dense0.bias", ROLE_BIAS, hidden, 0);
    p->w1 = layer_matrix(b, self, "dense1.weight", size, hidden, false);
    p->b1 = layer_vector(b, self, "dense1.bias", ROLE_BIAS, size, 0);
    p->gain = layer_vector(b, self, "norm.gain", ROLE_GAIN, size, 1);
    p->bias = layer_vector(b, self, "norm.bias", ROLE_BIAS, size, 0);
    /* A tied head of another size is refused in fwl_link. */
    p->tied = b->tied && size == width;
    p->output = p->tied ? params_find(b->params, "embedding.weight")
                        : layer_matrix(b, self, "weight", vocab, size, false);
    p->output_bias = o->bias ? layer_vector(b, self, "bias", ROLE_BIAS, vocab, 0) : -1;
    build_steps(b, self, p, o);
    p->slot_w0 = layer_slot(b, self, "dense0.weight", width, hidden);
    p->slot_b0 = layer_slot(b, self, "dense0.bias", 1, hidden);
    p->slot_w1 = layer_slot(b, self, "dense1.weight", hidden, size);
    p->slot_b1 = layer_slot(b, self, "dense1.bias", 1, size);
    p->slot_gain = layer_slot(b, self, "norm.gain", 1, size);
    p->slot_bias = layer_slot(b, self, "norm.bias", 1, size);
    p->slot_pending = layer_slot(b, self, "pending", 1, width);
    self->plan = p;
    self->whole_call = o->normalise == NORMALISE_BATCH;
}

static bool fwl_link(const layer_build *b, layer *self, err *e)
{
    if (!b->tied || size_of(self) == self->dims.width) return true;
    return err_set(e, "%s: a tied embedding needs size = model.width = %lld, not %lld", self->name,
                   (long long)self->dims.width, (long long)size_of(self));
}

static tensor *output_weight(layer_ctx *c, const layer *self)
{
    const fwl_plan *p = self->plan;
    return p->tied ? layer_leaf(c, p->output, 0) : layer_tensor(c, self, p->output);
}

/* y minus step size times what earlier positions' gradients add up to; step -1: y itself. *sum is
 * one of sums.
 * Where nobody reads on, the last sum is not made. */
static tensor *fast_product(layer_ctx *c, const layer *self, tensor *y, int step, causal_sums in,
                            const fwl_sums *sums, tensor **sum)
{
    const fwl_options *o = self->options;
    if (step < 0) return y;
    in.start = *sum;
    in.decay = (real)o->decay;
    in.chunk = o->chunk;
    return op_attention_step(c->tape, y, layer_tensor(c, self, step), &in, sums->last ? sum : NULL);
}

/* Fast and slow weights of the second layer in one product, where blocks are read whole. */
static bool joins(const fwl_options *o)
{
    return o->update_dense1 && !o->carry && o->decay >= 1;
}

/* The second layer of the fast pass, fast_r W_1^T + b_1 - step sum_{m<i} (fast_r_i . r_m) dh1_m:
 * keys are what the slow pass saw, to which its gradients belong. A life of fast weights that is
 * read whole, without decay, has them and the slow weights in one product. */
static tensor *fast_dense1(layer_ctx *c, const layer *self, tensor *fast_r, tensor *r, tensor *dh1,
                           fwl_sums *sums)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    causal_sums in = {.q = fast_r, .k = r, .v = dh1, .decay = 1, .chunk = o->chunk};
    /* Products of rounded operands are another's: sums over positions are exact. */
    bool alike = tape_products(c->tape) == tape_exact(c->tape);
    if (joins(o) && alike && !sums->w1 && !sums->last) {
        return op_linear_step(c->tape, layer_tensor(c, self, p->w1), layer_tensor(c, self, p->b1),
                              layer_tensor(c, self, p->step_w1), &in);
    }
    tensor *fast1 = layer_linear(c, self, fast_r, p->w1, p->b1);
    return fast_product(c, self, fast1, p->step_w1, in, sums, &sums->w1);
}

/* The same for a vector that is multiplied by `factor` (NULL: 1), in place of y. */
static tensor *fast_vector(layer_ctx *c, const layer *self, tensor *y, int step, tensor *factor,
                           tensor *gradient, const fwl_sums *sums, tensor **sum)
{
    const fwl_options *o = self->options;
    if (step < 0) return y;
    return op_running_step(c->tape, y, layer_tensor(c, self, step), factor, gradient, *sum,
                           (real)o->decay, sums->last ? sum : NULL);
}

/* Of both passes: the output layer has no fast version. */
static tensor *logits_of(layer_ctx *c, const layer *self, tensor *y, tensor *x)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    if (o->residual) y = op_add(c->tape, y, x);
    return op_linear(c->tape, y, output_weight(c, self), layer_tensor(c, self, p->output_bias));
}

static real inner_scale(const layer_ctx *c, const fwl_options *o)
{
    if (o->normalise == NORMALISE_CONSTANT) return (real)(1 / o->normaliser);
    double total = c->total_weight > 0 ? c->total_weight : c->read_weight;
    return (real)(1 / MAX(total, 1)); /* a step may hold no answer of a probe */
}

/* y = gain u + bias */
static tensor *scaled(layer_ctx *c, const layer *self, tensor *u)
{
    const fwl_plan *p = self->plan;
    tensor *y = op_mul_row(c->tape, u, layer_tensor(c, self, p->gain));
    return op_add_row_inplace(c->tape, y, layer_tensor(c, self, p->bias));
}

/* h0 = W_0 x + b_0;  r = relu(h0)^2;  h1 = W_1 r + b_1;  y = gain norm(h1) + bias */
typedef struct fwl_slow {
    tensor *h0, *r, *h1, *u, *logits; /* u: norm(h1) */
} fwl_slow;

static fwl_slow slow_pass(layer_ctx *c, const layer *self, tensor *x)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    fwl_slow s;
    s.h0 = layer_linear(c, self, x, p->w0, p->b0);
    s.r = op_activation(c->tape, s.h0, ACT_RELU2);
    s.h1 = layer_linear(c, self, s.r, p->w1, p->b1);
    s.u = op_layernorm(c->tape, s.h1, NULL, NULL, (real)o->eps);
    tensor *y = scaled(c, self, s.u);
    s.logits = logits_of(c, self, y, x);
    layer_tap(c, self, "slow.h0", s.h0);
    layer_tap(c, self, "slow.h1", s.h1);
    layer_tap(c, self, "slow.y", y);
    layer_tap(c, self, "slow.logits", s.logits);
    return s;
}

/* The inner loss's gradients as values, so that the tape can differentiate them again: that is how
 * slow weights learn to be good places to step from.
 *   dlogits = scale weight (softmax(slow) - target);  dy = dlogits U
 *   dh1 = the norm's gradient at h1 of gain dy;  dh0 = 2 relu(h0) (dh1 W_1) */
typedef struct fwl_slopes {
    tensor *dy, *dh1;
} fwl_slopes;

static fwl_slopes slopes_of(layer_ctx *c, const layer *self, const fwl_slow *slow,
                            const int32_t *targets, const real *weights)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    tape *t = c->tape;
    fwl_slopes d;
    tensor *dlogits =
        op_cross_entropy_gradient(t, slow->logits, targets, weights, inner_scale(c, o));
    d.dy = op_matmul(t, dlogits, false, output_weight(c, self), false, 1);
    tensor *du = op_mul_row(t, d.dy, layer_tensor(c, self, p->gain));
    d.dh1 = op_layernorm_gradient(t, slow->h1, du, (real)o->eps);
    layer_tap(c, self, "dense1.gradient", d.dh1);
    layer_tap(c, self, "norm.bias_gradient", d.dy);
    return d;
}

/* fast0_i = h0_i - step sum_{m<i} (x_i . x_m) dh0_m, and for the bias, where it learns,
 * - step sum_{m<i} dh0_m */
static tensor *fast_dense0(layer_ctx *c, const layer *self, tensor *x, const fwl_slow *slow,
                           tensor *dh1, fwl_sums *sums)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    if (!o->update_dense0) return slow->h0;
    tensor *dr = op_matmul(c->tape, dh1, false, layer_tensor(c, self, p->w1), false, 1);
    tensor *dh0 = op_relu2_gradient(c->tape, slow->h0, dr);
    layer_tap(c, self, "dense0.gradient", dh0);
    tensor *fast0 = fast_product(c, self, slow->h0, p->step_w0,
                                 (causal_sums){.q = x, .k = x, .v = dh0}, sums, &sums->w0);
    return fast_vector(c, self, fast0, p->step_b0, NULL, dh0, sums, &sums->b0);
}

/* Of the norm: the gain's gradient is dy u, component by component, the bias's dy itself. */
static tensor *fast_norm(layer_ctx *c, const layer *self, tensor *fast1, const fwl_slow *slow,
                         tensor *dy, fwl_sums *sums)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    tensor *fast_u = op_layernorm(c->tape, fast1, NULL, NULL, (real)o->eps);
    tensor *y = scaled(c, self, fast_u);
    if (!o->update_norm) return y;
    tensor *dgain = op_mul(c->tape, dy, slow->u);
    layer_tap(c, self, "norm.gain_gradient", dgain);
    y = fast_vector(c, self, y, p->step_gain, fast_u, dgain, sums, &sums->gain);
    return fast_vector(c, self, y, p->step_bias, NULL, dy, sums, &sums->bias);
}

/* Slow pass (its logits: *slow_logits), its gradients, fast pass over x [rows, time, width]; sums
 * are read and replaced. The fast pass is the slow one with W - step sum(dh k^T) for W: the product
 * with a sum of outer products is attention without a softmax, and no fast matrix exists but at the
 * ends of chunks. */
static tensor *fwl_passes(layer_ctx *c, const layer *self, tensor *x, const int32_t *targets,
                          const real *weights, fwl_sums *sums, tensor **slow_logits)
{
    const fwl_plan *p = self->plan;
    fwl_slow slow = slow_pass(c, self, x);
    fwl_slopes d = slopes_of(c, self, &slow, targets, weights);
    tensor *fast0 = fast_dense0(c, self, x, &slow, d.dh1, sums);
    tensor *fast_r = op_activation(c->tape, fast0, ACT_RELU2);
    tensor *fast1 = fast_dense1(c, self, fast_r, slow.r, d.dh1, sums);
    fast1 = fast_vector(c, self, fast1, p->step_b1, NULL, d.dh1, sums, &sums->b1);
    tensor *fast_y = fast_norm(c, self, fast1, &slow, d.dy, sums);
    tensor *logits = logits_of(c, self, fast_y, x);
    layer_tap(c, self, "fast.h0", fast0);
    layer_tap(c, self, "fast.h1", fast1);
    layer_tap(c, self, "fast.y", fast_y);
    layer_tap(c, self, "fast.logits", logits);
    *slow_logits = slow.logits;
    return logits;
}

static fwl_sums sums_carried(layer_ctx *c, const layer *self)
{
    const fwl_plan *p = self->plan;
    return (fwl_sums){.w0 = layer_carried(c, self, p->slot_w0),
                      .b0 = layer_carried(c, self, p->slot_b0),
                      .w1 = layer_carried(c, self, p->slot_w1),
                      .b1 = layer_carried(c, self, p->slot_b1),
                      .gain = layer_carried(c, self, p->slot_gain),
                      .bias = layer_carried(c, self, p->slot_bias)};
}

static void carry_on(layer_ctx *c, const layer *self, const fwl_sums *sums)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    double decay = o->decay;
    fast_state_set(c, self, p->slot_w0, sums->w0, decay);
    fast_state_set(c, self, p->slot_b0, sums->b0, decay);
    fast_state_set(c, self, p->slot_w1, sums->w1, decay);
    fast_state_set(c, self, p->slot_b1, sums->b1, decay);
    fast_state_set(c, self, p->slot_gain, sums->gain, decay);
    fast_state_set(c, self, p->slot_bias, sums->bias, decay);
}

static void carry_nothing(layer_ctx *c, const layer *self)
{
    const fwl_plan *p = self->plan;
    /* Slots stand in the order in which fwl_build declares them. */
    for (int slot = p->slot_w0; slot <= p->slot_bias; slot++) {
        layer_state_set(c, self, slot, NULL);
    }
}

static tensor *fwl_part(layer_ctx *c, const layer *self, const fast_span *s, tensor **slow)
{
    fwl_sums sums = s->begins ? (fwl_sums){0} : sums_carried(c, self);
    sums.last = !s->ends;
    tensor *logits = fwl_passes(c, self, s->x, s->targets, s->weights, &sums, slow);
    if (s->ends) {
        carry_nothing(c, self);
    } else if (s->last) {
        carry_on(c, self, &sums);
    }
    return logits;
}

static tensor *fwl_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const fwl_options *o = self->options;
    const fwl_plan *p = self->plan;
    return fast_state_read(c, self, x, o->carry, p->slot_pending, fwl_part);
}

/* Once these were two products, whose sum is rounded otherwise. */
static const char *fwl_content(const layer *self, arena *a)
{
    (void)a;
    return joins(self->options) ? "joined" : NULL;
}

static layer_cost fwl_cost(const layer *self)
{
    const fwl_options *o = self->options;
    double width = (double)self->dims.width, n = (double)size_of(self),
           vocab = (double)self->dims.vocab;
    double hidden = n * (double)o->expansion;
    double slow = width * hidden + hidden * n + n * vocab;
    /* The products of the inner gradients: dy, and dh0 where the first layer learns. */
    double gradient = n * vocab + (o->update_dense0 ? n * hidden : 0);
    double fast = hidden * n + n * vocab;
    double sums = 0;
    if (o->update_dense0) sums += fast_state_products(self, o->chunk, o->carry, width, hidden);
    if (o->update_dense1) sums += fast_state_products(self, o->chunk, o->carry, hidden, n);
    /* Read whole, the map is a part of what chunks read: but the first, which has to anyway. */
    if (joins(o)) {
        double first = (double)MIN(o->chunk, self->dims.block) / (double)self->dims.block;
        sums -= (1 - first) * hidden * n;
    }
    return (layer_cost){.forward_flops = 2 * (slow + gradient + fast + sums)};
}

const layer_class fwl_head = {.name = "fwl",
                              .cite = "Clark et al. 2022, arXiv:2212.02475",
                              .help = "fast weights: one gradient step on the tokens read so far",
                              OPTIONS_OF(fwl_options, FWL_OPTIONS),
                              .check = fwl_check,
                              .settle = fwl_settle,
                              .build = fwl_build,
                              .link = fwl_link,
                              .forward = fwl_forward,
                              .cost = fwl_cost,
                              .content = fwl_content,
                              .learns = true};
