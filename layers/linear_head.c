#include "layers/layer.h"

/* logits = x W^T + b;  W [vocab, width] is its own, or the embedding's if they are tied. */

typedef struct linear_head_options {
    bool bias;
} linear_head_options;

static const option OPTIONS[] = {{"bias", OPTION_BOOL, offsetof(linear_head_options, bias),
                                  .initial = "false", .help = "add a learned bias per token"},
                                 {0}};

typedef struct linear_head_plan {
    int weight; /* index in the model's params */
    int bias;   /* the head's own, or -1 */
} linear_head_plan;

static void linear_head_build(layer_build *b, layer *self)
{
    const linear_head_options *o = self->options;
    linear_head_plan *plan = ARENA_NEW(b->memory, linear_head_plan, 1);
    /* Tied, the parameter is the embedding's, found by name: one leaf of the tape for both uses,
     * whose gradients add up in one place. */
    if (b->tied) {
        plan->weight = params_find(b->params, "embedding.weight");
    } else {
        layer_matrix(b, self, "weight", self->dims.vocab, self->dims.width, false);
        plan->weight = b->params->count - 1;
    }
    plan->bias = o->bias ? layer_vector(b, self, "bias", ROLE_BIAS, self->dims.vocab, 0) : -1;
    self->plan = plan;
}

static tensor *linear_head_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const linear_head_plan *plan = self->plan;
    tensor *bias = layer_tensor(c, self, plan->bias);
    return op_linear(c->tape, x, layer_leaf(c, plan->weight, 0), bias);
}

/* Indexes in the model's params, for who reads what a direction of the stream means in tokens. */
static int linear_head_matrix(const layer *self, int *bias)
{
    const linear_head_plan *plan = self->plan;
    *bias = plan->bias >= 0 ? self->first_param + plan->bias : -1;
    return plan->weight;
}

static layer_cost linear_head_cost(const layer *self)
{
    return (layer_cost){.forward_flops = 2 * (double)self->dims.vocab * (double)self->dims.width};
}

const layer_class linear_head = {.name = "linear",
                                 .cite = "",
                                 .help = "logits from one matrix, the embedding's if tied",
                                 OPTIONS_OF(linear_head_options, OPTIONS),
                                 .build = linear_head_build,
                                 .forward = linear_head_forward,
                                 .output_is_free = true,
                                 .cost = linear_head_cost,
                                 .output_matrix = linear_head_matrix};
