/* Gated delta rule (Yang, Kautz & Hatamizadeh 2024, arXiv:2412.06464): a matrix per head that a
 * position corrects where it stands, and that forgets.
 *
 *   q, k, v = silu(conv(x W));  q, k <- each head's / sqrt(|.|^2 + 1e-6)
 *   beta = sigmoid(x W_beta), twice that if `negative`
 *   g = -exp(a_log) softplus(x W_decay + dt_bias), 0 without `decay`
 *   S <- exp(g) S;  S <- S + k (beta (v - S^T k))^T;  o = S^T q / sqrt(head_dim)
 *   y = (rmsnorm(o) * silu(x W_gate)) W_out          norm over a head's values, with gain
 *
 * Without `correct`, beta v stands for the correction: what is written does not look at what is
 * there. That is gated linear attention with a decay per head, the recurrence of Mamba-2 (Dao & Gu
 * 2024, arXiv:2405.21060); without `decay`, it is DeltaNet (Yang et al. 2024, arXiv:2406.06484). S
 * and the convolution's last inputs are carried to the end of the document. */
#include "core/ops/ops_recurrent.h"
#include "layers/layer.h"

#include <math.h>
#include <stdio.h>

typedef struct gated_delta_options {
    int64_t heads, value_heads, head_dim, value_dim, conv, chunk;
    bool gate, negative, decay, correct;
} gated_delta_options;

#define OPTION_AT(field) offsetof(gated_delta_options, field)
static const option OPTIONS[] = {
    {"heads", OPTION_INT, OPTION_AT(heads), .initial = "2", .min = 1, .max = 1024,
     .help = "heads of queries and keys; published ones are of 64 to 256 numbers"},
    {"value_heads", OPTION_INT, OPTION_AT(value_heads), .initial = "none", .min = 1, .max = 1024,
     .nullable = true,
     .help = "heads of values, each with a state; a multiple of heads; none: heads"},
    {"head_dim", OPTION_INT, OPTION_AT(head_dim), .initial = "none", .min = 2, .max = 65536,
     .nullable = true, .help = "size of a query or key; none: width / heads"},
    {"value_dim", OPTION_INT, OPTION_AT(value_dim), .initial = "none", .min = 2, .max = 65536,
     .nullable = true, .help = "size of a head's value; none: width / value_heads"},
    {"conv", OPTION_INT, OPTION_AT(conv), .initial = "4", .min = 0, .max = 64,
     .help = "positions that the short convolution of q, k and v sees; 0: none"},
    {"gate", OPTION_BOOL, OPTION_AT(gate), .initial = "true",
     .help = "the input gates what is read"},
    {"negative", OPTION_BOOL, OPTION_AT(negative), .initial = "false",
     .help = "beta in 0..2: a correction may overshoot (negative eigenvalues)"},
    {"decay", OPTION_BOOL, OPTION_AT(decay), .initial = "true",
     .help = "states forget by a factor that the input sets; false: DeltaNet"},
    {"correct", OPTION_BOOL, OPTION_AT(correct), .initial = "true",
     .help = "write the difference from what is there; false: gated linear attention"},
    {"chunk", OPTION_INT, OPTION_AT(chunk), .initial = "64", .min = 1, .max = 1 << 20,
     .help = "positions per product of matrices: speed and memory, not the result"},
    {0}};

/* Streams with a projection and a convolution of their own. */
enum { QUERY, KEY, VALUE, STREAMS };
static const char *const STREAM_NAMES[] = {"query", "key", "value"};

/* Sizes, and indexes for layer_tensor and layer_state; -1: none. */
typedef struct gated_delta_plan {
    int64_t heads, value_heads, head_dim, value_dim;
    int weight[STREAMS], conv[STREAMS], slot_conv[STREAMS];
    int beta, decay, a_log, dt_bias, gate, gain, out, slot_state;
} gated_delta_plan;

static gated_delta_plan sizes_of(const gated_delta_options *o, int64_t width)
{
    gated_delta_plan p = {.heads = o->heads};
    p.value_heads = o->value_heads > 0 ? o->value_heads : o->heads;
    p.head_dim = o->head_dim > 0 ? o->head_dim : width / p.heads;
    p.value_dim = o->value_dim > 0 ? o->value_dim : width / p.value_heads;
    return p;
}

static bool gated_delta_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const gated_delta_options *o = options;
    gated_delta_plan p = sizes_of(o, dims->width);
    if (p.value_heads % p.heads != 0) {
        return node_err(e, at, "value_heads %lld is no multiple of heads %lld",
                        (long long)p.value_heads, (long long)p.heads);
    }
    if (p.head_dim < 1 || (o->head_dim < 0 && dims->width % p.heads != 0)) {
        return node_err(e, at,
                        "heads %lld does not divide the model's width %lld; give a divisor or "
                        "head_dim",
                        (long long)p.heads, (long long)dims->width);
    }
    if (o->value_dim < 0 && dims->width % p.value_heads != 0) {
        return node_err(e, at,
                        "value_heads %lld does not divide the model's width %lld; give a divisor "
                        "or value_dim",
                        (long long)p.value_heads, (long long)dims->width);
    }
    if (p.head_dim < 2 || p.value_dim < 2) {
        return node_err(e, at,
                        "a head of one number keeps its sign alone once it is normalised; give "
                        "fewer heads, or a head_dim and a value_dim");
    }
    return true;
}

static void gated_delta_settle(void *options, const layer *self)
{
    gated_delta_options *o = options;
    int64_t width = self->dims.width, values = o->value_heads > 0 ? o->value_heads : o->heads;
    if (width % o->heads == 0) option_settle(&o->head_dim, width / o->heads, -1);
    if (width % values == 0) option_settle(&o->value_dim, width / values, -1);
    option_settle(&o->value_heads, o->heads, -1);
}

/* ---- parameters ---- */

static int64_t channels_of(const gated_delta_plan *p, int stream)
{
    return stream == VALUE ? p->value_heads * p->value_dim : p->heads * p->head_dim;
}

/* A uniform number in (0, 1] of this layer. */
static double drawn(const layer_build *b, const layer *self, const char *use, int64_t i)
{
    char place[512];
    snprintf(place, sizeof place, "init:%s.%s", self->name, use);
    return 1 - rng_uniform((rng_key){.seed = b->seed, .place = rng_place(place)}, (uint64_t)i);
}

/* As published (and in Mamba-2): exp(a_log) uniform in (0, 16], softplus(dt_bias) uniform on a log
 * scale from 0.001 to 0.1.
 * dt_bias is the inverse of softplus: dt + log(1 - e^-dt), by expm1 since dt is small. */
static void add_decay(layer_build *b, layer *self, gated_delta_plan *p)
{
    int64_t n = p->value_heads;
    real *a_log = ARENA_NEW(b->memory, real, n), *dt_bias = ARENA_NEW(b->memory, real, n);
    for (int64_t i = 0; i < n; i++) {
        double dt = exp(log(1e-3) + drawn(b, self, "dt_bias", i) * log(1e2));
        a_log[i] = (real)log(16 * drawn(b, self, "a_log", i));
        dt_bias[i] = (real)(dt + log(-expm1(-dt)));
    }
    p->decay = layer_matrix(b, self, "decay.weight", n, self->dims.width, false);
    p->a_log = layer_given(b, self, "a_log", ROLE_GAIN, 1, &n, a_log);
    p->dt_bias = layer_given(b, self, "dt_bias", ROLE_BIAS, 1, &n, dt_bias);
}

static void add_stream(layer_build *b, layer *self, gated_delta_plan *p, int stream)
{
    const gated_delta_options *o = self->options;
    int64_t channels = channels_of(p, stream);
    char name[64];
    snprintf(name, sizeof name, "%s.weight", STREAM_NAMES[stream]);
    p->weight[stream] = layer_matrix(b, self, name, channels, self->dims.width, false);
    p->conv[stream] = p->slot_conv[stream] = -1;
    if (o->conv == 0) return;
    snprintf(name, sizeof name, "%s.conv", STREAM_NAMES[stream]);
    /* A convolution's usual start; it is no map from width to width. */
    param_init start = {INIT_UNIFORM, 1 / sqrt((double)o->conv)};
    p->conv[stream] =
        layer_param(b, self, name, ROLE_GAIN, 2, (int64_t[]){channels, o->conv}, start);
    if (o->conv == 1) return;
    snprintf(name, sizeof name, "conv_%s", STREAM_NAMES[stream]);
    p->slot_conv[stream] = layer_slot_cache(b, self, name, o->conv - 1, channels);
}

static void gated_delta_build(layer_build *b, layer *self)
{
    const gated_delta_options *o = self->options;
    gated_delta_plan *p = ARENA_NEW(b->memory, gated_delta_plan, 1);
    *p = sizes_of(o, self->dims.width);
    int64_t width = self->dims.width, values = channels_of(p, VALUE);
    for (int stream = 0; stream < STREAMS; stream++) {
        add_stream(b, self, p, stream);
    }
    p->beta = layer_matrix(b, self, "beta.weight", p->value_heads, width, false);
    p->decay = p->a_log = p->dt_bias = -1;
    if (o->decay) add_decay(b, self, p);
    p->gate = o->gate ? layer_matrix(b, self, "gate.weight", values, width, false) : -1;
    p->gain = layer_vector(b, self, "value_norm.gain", ROLE_GAIN, p->value_dim, 1);
    p->out = layer_matrix(b, self, "out.weight", width, values, true);
    p->slot_state = layer_slot(b, self, "s", p->value_heads * p->head_dim, p->value_dim);
    self->plan = p;
}

/* ---- forward ---- */

/* silu(conv(x W)) [rows, time, channels]. */
static tensor *stream_of(layer_ctx *c, const layer *self, tensor *x, int stream)
{
    const gated_delta_plan *p = self->plan;
    tensor *h = layer_linear(c, self, x, p->weight[stream], -1);
    if (p->conv[stream] < 0) return op_activation(c->tape, h, ACT_SILU);
    int slot = p->slot_conv[stream];
    tensor *before = layer_carried(c, self, slot), *last;
    h = op_conv(c->tape, h, layer_tensor(c, self, p->conv[stream]), before, 1, ACT_SILU, &last);
    if (slot >= 0) layer_state_set(c, self, slot, last);
    return h;
}

/* Heads of x [rows, time, n dim] times sqrt(dim) / sqrt(|.|^2 + 1e-6): a factor that is left to
 * what multiplies them anyway.
 * rmsnorm divides by sqrt(|.|^2 / dim + eps), and eps is 1e-6 / dim: together sqrt(dim) /
 * sqrt(|.|^2 + 1e-6). */
static tensor *unit_heads(tape *t, tensor *x, int64_t dim)
{
    int64_t heads = x->shape[2] / dim, shape[] = {x->shape[0], x->shape[1], x->shape[2]};
    x = tape_reshape(t, x, 4, (int64_t[]){shape[0], shape[1], heads, dim});
    x = op_rmsnorm(t, x, NULL, (real)(1e-6 / (double)dim));
    return tape_reshape(t, x, 3, shape);
}

/* 1 writes the value in full where the key stands; up to 2 reflects what is there. */
static tensor *write_strength(layer_ctx *c, const layer *self, tensor *x)
{
    const gated_delta_options *o = self->options;
    const gated_delta_plan *p = self->plan;
    tensor *beta = layer_linear(c, self, x, p->beta, -1);
    beta = op_activation(c->tape, beta, ACT_SIGMOID);
    return o->negative ? op_scale(c->tape, beta, 2) : beta;
}

/* g [rows, time, value_heads]; NULL: no decay.
 * Never positive, as softplus and exp are not negative: op_delta relies on it. */
static tensor *decay_of(layer_ctx *c, const layer *self, tensor *x)
{
    const gated_delta_plan *p = self->plan;
    tape *t = c->tape;
    if (p->decay < 0) return NULL;
    tensor *dt = layer_linear(c, self, x, p->decay, p->dt_bias);
    tensor *a = op_activation(t, layer_tensor(c, self, p->a_log), ACT_EXP);
    return op_mul_row(t, op_activation(t, dt, ACT_SOFTPLUS), op_scale(t, a, -1));
}

static tensor *gated_delta_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const gated_delta_options *o = self->options;
    const gated_delta_plan *p = self->plan;
    tape *t = c->tape;
    double dim = (double)p->head_dim;
    delta_rule in = {.heads = p->heads, .value_heads = p->value_heads, .chunk = o->chunk};
    in.correct = o->correct;
    in.q = unit_heads(t, stream_of(c, self, x, QUERY), p->head_dim);
    in.k = unit_heads(t, stream_of(c, self, x, KEY), p->head_dim);
    in.k = op_scale(t, in.k, (real)(1 / sqrt(dim)));
    in.v = stream_of(c, self, x, VALUE);
    in.scale = (real)(1 / dim); /* of unit length, then / sqrt(head_dim) */
    in.beta = write_strength(c, self, x);
    in.g = decay_of(c, self, x);
    in.start = layer_carried(c, self, p->slot_state);
    tensor *last, *y = op_delta(t, &in, &last);
    layer_state_set(c, self, p->slot_state, last);
    int64_t shape[] = {c->rows, c->time, p->value_heads, p->value_dim};
    y = op_rmsnorm(t, tape_reshape(t, y, 4, shape), layer_tensor(c, self, p->gain), (real)1e-5);
    y = tape_reshape(t, y, 3, (int64_t[]){c->rows, c->time, channels_of(p, VALUE)});
    if (p->gate >= 0) {
        tensor *gate = layer_linear(c, self, x, p->gate, -1);
        y = op_mul(t, y, op_activation(t, gate, ACT_SILU));
    }
    return layer_linear(c, self, y, p->out, -1);
}

static layer_cost gated_delta_cost(const layer *self)
{
    const gated_delta_options *o = self->options;
    const gated_delta_plan *p = self->plan;
    int64_t values = channels_of(p, VALUE), keys = channels_of(p, KEY);
    int64_t outs = 2 * keys + (o->gate ? 3 : 2) * values + (o->decay ? 2 : 1) * p->value_heads;
    double within =
        op_delta_products(p->head_dim, p->value_dim, MIN(o->chunk, self->dims.block), o->correct);
    /* The convolutions are no products: 2 conv channels more. */
    return (layer_cost){
        .forward_flops = 2 * ((double)(outs * self->dims.width) + (double)p->value_heads * within)};
}

const layer_class gated_delta_layer = {
    .name = "gated_delta",
    .cite = "Yang, Kautz & Hatamizadeh 2024, arXiv:2412.06464",
    .help = "a matrix per head that each position corrects, and that forgets (gated delta rule)",
    OPTIONS_OF(gated_delta_options, OPTIONS),
    .check = gated_delta_check,
    .settle = gated_delta_settle,
    .build = gated_delta_build,
    .forward = gated_delta_forward,
    .output_is_free = true,
    .cost = gated_delta_cost};
