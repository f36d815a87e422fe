#include "layers/ffn_form.h"
#include "layers/layer_inspect.h"

/* Feed-forward layer as key-value memory (Geva et al. 2021, arXiv:2012.14913, eq. 1):
 *
 *   y = f(x K^T + b_K) V + b_V;   gated: y = (x K_1^T * f(x K_2^T)) V    (Shazeer 2020, sec. 2)
 *
 * keys.weight is K [hidden, width], gated [K_1; K_2] [2 hidden, width]; values.weight is V
 * transposed [width, hidden], so that one memory is a row of keys and a column of values. */

typedef struct ffn_options {
    int64_t hidden;
    int64_t activation;
    bool bias;
} ffn_options;

static const option OPTIONS[] = {
    {"hidden", OPTION_INT, offsetof(ffn_options, hidden), .initial = "none", .min = 1, .max = 1e7,
     .nullable = true,
     .help = "memories (keys with their values); none: 4 x width, or 8/3 x width if gated"},
    {"activation", OPTION_CHOICE, offsetof(ffn_options, activation), .initial = "gelu",
     .choices = FFN_ACTIVATIONS, .help = FFN_ACTIVATION_HELP},
    {"bias", OPTION_BOOL, offsetof(ffn_options, bias), .initial = "true",
     .help = "learned biases of keys and values"},
    {0}};

enum { KEYS, VALUES, KEYS_BIAS, VALUES_BIAS };

static int64_t hidden_of(const layer *self)
{
    const ffn_options *o = self->options;
    return ffn_form_hidden(FFN_FORMS[o->activation], o->hidden, self->dims.width);
}

static int64_t keys_of(const layer *self)
{
    const ffn_options *o = self->options;
    return ffn_form_keys(FFN_FORMS[o->activation], hidden_of(self));
}

/* `hidden: none` and the number that it stands for are one model. */
static void ffn_settle(void *options, const layer *self)
{
    ffn_options *o = options;
    o->hidden = ffn_form_hidden(FFN_FORMS[o->activation], o->hidden, self->dims.width);
}

static void ffn_build(layer_build *b, layer *self)
{
    const ffn_options *o = self->options;
    int64_t width = self->dims.width;
    layer_matrix(b, self, "keys.weight", keys_of(self), width, false);
    layer_matrix(b, self, "values.weight", width, hidden_of(self), true);
    if (!o->bias) return;
    layer_vector(b, self, "keys.bias", ROLE_BIAS, keys_of(self), 0);
    layer_vector(b, self, "values.bias", ROLE_BIAS, width, 0);
}

/* Values are stored transposed, [width, hidden]: memory i's value is a column, its components
 * `hidden` apart. */
static bool ffn_memories(const layer *self, layer_memories *m)
{
    *m = (layer_memories){.count = hidden_of(self),
                          .groups = 1,
                          .values = self->first_param + VALUES,
                          .stride = 1,
                          .component_stride = hidden_of(self)};
    return true;
}

/* m [rows, time, hidden]: the coefficients. */
static void offer(layer_ctx *c, const layer *self, const tensor *m)
{
    layer_fired(c, self,
                &(memory_use){
                    .entries = tensor_rows(m), .width = tensor_width(m), .coefficients = m->data});
}

static tensor *ffn_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const ffn_options *o = self->options;
    activation f = FFN_FORMS[o->activation].f;
    tensor *values_bias = o->bias ? layer_tensor(c, self, VALUES_BIAS) : NULL;
    tensor *values = layer_tensor(c, self, VALUES);
    tensor *h = layer_linear(c, self, x, KEYS, o->bias ? KEYS_BIAS : -1);
    if (FFN_FORMS[o->activation].gated) {
        tensor *memories = op_glu(c->tape, h, f);
        offer(c, self, memories);
        return op_linear(c->tape, memories, values, values_bias);
    }
    /* The fused op below never has the coefficients as a tensor; who looks at them pays for it. */
    if (c->watch->fired) offer(c, self, op_activation(c->tape, h, f));
    return op_activation_linear(c->tape, h, f, values, values_bias);
}

static layer_cost ffn_cost(const layer *self)
{
    double width = (double)self->dims.width;
    return (layer_cost){.forward_flops = 2 * width * (double)(keys_of(self) + hidden_of(self))};
}

const layer_class ffn_layer = {.name = "ffn",
                               .cite = "Geva et al. 2021, arXiv:2012.14913; Shazeer 2020, "
                                       "arXiv:2002.05202",
                               .help = "feed-forward layer f(x K^T) V: a memory of keys and values",
                               OPTIONS_OF(ffn_options, OPTIONS),
                               .settle = ffn_settle,
                               .build = ffn_build,
                               .forward = ffn_forward,
                               .output_is_free = true,
                               .cost = ffn_cost,
                               .memories = ffn_memories};
