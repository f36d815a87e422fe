#include "layers/token_attention.h"

/* Causal self-attention (Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2) with a memory of earlier
 * blocks (Dai et al. 2019, arXiv:1901.02860, sec. 3.2): token_attention.h and a projection,
 *
 *   y = merge(softmax(q k^T / sqrt(head_dim) + bias) v) W_out^T
 *
 * Nothing is carried, and nothing copied, by calls of whole blocks without memory. */

typedef struct attention_options {
    token_options tokens;
} attention_options;

static const option OPTIONS[] = {
    TOKEN_OPTIONS(attention_options, tokens, 1,
                  "positions seen before the query's own block; none: window - 1, or 0 without "
                  "window",
                  "none", "memory>0 or memory=none and window>1"),
    {0}};

typedef struct attention_plan {
    token_plan tokens;
    int out, out_bias; /* parameters; -1: not there */
} attention_plan;

static bool attention_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const attention_options *o = options;
    return token_options_check(&o->tokens, dims, at, e);
}

/* A window of w sees w - 1 positions before its own: memory that is not said is just that. */
static void attention_settle(void *options, const layer *self)
{
    token_options *o = &((attention_options *)options)->tokens;
    token_attention_settle(o, self, MAX(o->window - 1, 0));
}

static void compressed_settle(void *options, const layer *self)
{
    token_attention_settle(&((attention_options *)options)->tokens, self, self->dims.block);
}

/* memory: what `none` stands for, the one difference between the two layers here. */
static void build_with(layer_build *b, layer *self, int64_t memory)
{
    const token_options *o = &((const attention_options *)self->options)->tokens;
    attention_plan *plan = ARENA_NEW(b->memory, attention_plan, 1);
    self->plan = plan;
    plan->tokens = token_attention_build(b, self, o, memory, false);
    plan->out = layer_matrix(b, self, "out.weight", self->dims.width, plan->tokens.q_width, true);
    plan->out_bias =
        o->bias ? layer_vector(b, self, "out.bias", ROLE_BIAS, self->dims.width, 0) : -1;
}

static void attention_build(layer_build *b, layer *self)
{
    const attention_options *o = self->options;
    build_with(b, self, MAX(o->tokens.window - 1, 0));
}

static tensor *attention_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    token_result r = token_attention_forward(c, self, &o->tokens, &plan->tokens, x);
    return layer_linear(c, self, r.y, plan->out, plan->out_bias);
}

static layer_cost attention_cost(const layer *self)
{
    const attention_options *o = self->options;
    const attention_plan *plan = self->plan;
    double q_width = (double)plan->tokens.q_width;
    double flops = token_attention_flops(self, &o->tokens, &plan->tokens);
    return (layer_cost){.forward_flops = flops + 2 * (double)self->dims.width * q_width,
                        .bench_flops = 6 * (double)self->dims.block * q_width};
}

const layer_class attention_layer = {
    .name = "attention",
    .cite = "Vaswani et al. 2017, arXiv:1706.03762; memory: Dai et al. 2019, arXiv:1901.02860",
    .help = "causal self-attention over the block, with memory of earlier ones or a window",
    OPTIONS_OF(attention_options, OPTIONS),
    .check = attention_check,
    .settle = attention_settle,
    .build = attention_build,
    .forward = attention_forward,
    .output_is_free = true,
    .cost = attention_cost};

/* ---- the same with compressed memory ---- */

static const option COMPRESSED_OPTIONS[] = {
    TOKEN_OPTIONS(attention_options, tokens, 1,
                  "positions seen before the query's own block; none: one block", "none",
                  "memory>0 or memory=none"),
    COMPRESSION_OPTIONS(attention_options, tokens, "64"),
    {0}};

static void compressed_build(layer_build *b, layer *self)
{
    build_with(b, self, self->dims.block);
}

const layer_class compressed_memory_layer = {
    .name = "compressed_memory",
    .cite = "Rae et al. 2019, arXiv:1911.05507",
    .help = "attention whose memory, where it overflows, is compressed rather than forgotten",
    OPTIONS_OF(attention_options, COMPRESSED_OPTIONS),
    .check = attention_check,
    .settle = compressed_settle,
    .build = compressed_build,
    .forward = attention_forward,
    .output_is_free = true,
    .cost = attention_cost};
