#include "layers/layer.h"

#include <math.h>

/* Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000):
 *
 *   i, f, g, o = W x + R h + b;   c = sigma(f) c + sigma(i) tanh(g);   h = sigma(o) tanh(c)
 *
 * y = h, or P h where hidden is not the model's width. h and c are carried; zero after a reset. */

typedef struct lstm_options {
    int64_t hidden;
    double forget_bias;
} lstm_options;

static const option OPTIONS[] = {
    {"hidden", OPTION_INT, offsetof(lstm_options, hidden), .initial = "none", .min = 1, .max = 1e6,
     .nullable = true, .help = "size of h and c; none: the model's width, without projection"},
    {"forget_bias", OPTION_REAL, offsetof(lstm_options, forget_bias), .initial = "1", .min = -20,
     .max = 20, .help = "where the forget gate's bias starts (Jozefowicz et al. 2015)"},
    {0}};

enum { INPUT, RECURRENT, BIAS, PROJECTION };
enum { SLOT_H, SLOT_C };

static int64_t hidden_of(const layer *self)
{
    const lstm_options *o = self->options;
    return o->hidden > 0 ? o->hidden : self->dims.width;
}

static void add_bias(layer_build *b, layer *self, int64_t hidden)
{
    const lstm_options *o = self->options;
    int64_t n = 4 * hidden;
    real *given = ARENA_NEW(b->memory, real, n);
    for (int64_t i = 0; i < n; i++) {
        /* Gates in the order i, f, g, o: the second quarter is the forget gate's. Open at the
         * start, it lets gradients through many steps. */
        given[i] = i >= hidden && i < 2 * hidden ? (real)o->forget_bias : 0;
    }
    layer_given(b, self, "bias", ROLE_BIAS, 1, &n, given);
}

static void lstm_settle(void *options, const layer *self)
{
    lstm_options *o = options;
    option_settle(&o->hidden, self->dims.width, -1);
}

static void lstm_build(layer_build *b, layer *self)
{
    int64_t hidden = hidden_of(self), width = self->dims.width;
    /* The model's scheme is made for residual branches; an LSTM wants weights of this size. */
    param_init start = {INIT_UNIFORM, 1 / sqrt((double)hidden)};
    layer_param(b, self, "input.weight", ROLE_MATRIX, 2, (int64_t[]){4 * hidden, width}, start);
    layer_param(b, self, "recurrent.weight", ROLE_MATRIX, 2, (int64_t[]){4 * hidden, hidden},
                start);
    add_bias(b, self, hidden);
    if (hidden != width) layer_matrix(b, self, "projection.weight", width, hidden, true);
    layer_slot(b, self, "h", 1, hidden);
    layer_slot(b, self, "c", 1, hidden);
}

/* What slot i carries as [rows, hidden]. */
static tensor *carried(layer_ctx *c, const layer *self, int i)
{
    tensor *state = layer_carried(c, self, i);
    return state ? tape_reshape(c->tape, state, 2, (int64_t[]){c->rows, hidden_of(self)}) : NULL;
}

/* A slot is [rows, length, width], here of length 1: a state is a position that sums up all. */
static void carry(layer_ctx *c, const layer *self, int i, tensor *last)
{
    int64_t shape[] = {c->rows, 1, hidden_of(self)};
    layer_state_set(c, self, i, tape_reshape(c->tape, last, 3, shape));
}

static tensor *lstm_forward(layer_ctx *c, const layer *self, tensor *x)
{
    /* All steps' share of x at once; only R h is left inside of the loop over time. */
    tensor *gates = layer_linear(c, self, x, INPUT, BIAS);
    tensor *h_last, *c_last;
    tensor *y = op_lstm(c->tape, gates, layer_tensor(c, self, RECURRENT), carried(c, self, SLOT_H),
                        carried(c, self, SLOT_C), &h_last, &c_last);
    carry(c, self, SLOT_H, h_last);
    carry(c, self, SLOT_C, c_last);
    if (hidden_of(self) == self->dims.width) return y;
    return layer_linear(c, self, y, PROJECTION, -1);
}

static layer_cost lstm_cost(const layer *self)
{
    double hidden = (double)hidden_of(self), width = (double)self->dims.width;
    double projection = hidden_of(self) == self->dims.width ? 0 : 2 * hidden * width;
    return (layer_cost){.forward_flops = 8 * hidden * (width + hidden) + projection};
}

const layer_class lstm_layer = {.name = "lstm",
                                .cite = "Hochreiter & Schmidhuber 1997, doi "
                                        "10.1162/neco.1997.9.8.1735",
                                .help = "the classical recurrent layer; its state never ends",
                                OPTIONS_OF(lstm_options, OPTIONS),
                                .settle = lstm_settle,
                                .build = lstm_build,
                                .forward = lstm_forward,
                                .cost = lstm_cost};
