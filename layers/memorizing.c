#include "core/ops_lookup.h"
#include "layers/token_attention.h"

#include <math.h>
#include <string.h>

/* Attention with a large memory of keys and values that is only looked up (Wu et al. 2022,
 * arXiv:2203.08913, sec. 3):
 *
 *   o = Att(q, k, v) over block and memory;   m = Att(q', the `top` best of the stored k', v)
 *   y = merge(g m + (1 - g) o) W_out^T,   g = sigma(b), one per head
 *
 * with q', k' normalised to unit length and scaled by a learned gain per component, without
 * position. A query at position p sees the stored positions
 *
 *   [block_begin(p) - memory - length, block_begin(p) - memory),
 *
 * those that attention no longer does. Keys are stored as the weights of their time made them and
 * never receive gradient (the gradient of the loss leaves that path out); the gain is applied to
 * queries only, so that it works on all alike. */

typedef struct memorizing_options {
    token_options tokens;
    int64_t length, top;
    double gate;
} memorizing_options;

static const option OPTIONS[] = {
    TOKEN_OPTIONS(memorizing_options, tokens, 2,
                  "positions seen before the query's own block; none: one block", "none"),
    {"length", OPTION_INT, offsetof(memorizing_options, length), .initial = "4096", .min = 2,
     .max = 1e7, .help = "stored positions behind the memory"},
    {"top", OPTION_INT, offsetof(memorizing_options, top), .initial = "32", .min = 2, .max = 4096,
     .help = "stored keys that a query looks up"},
    {"gate", OPTION_REAL, offsetof(memorizing_options, gate), .initial = "0", .min = -4, .max = 4,
     .help = "initial b: which share, sigma(b), stored values have"},
    {0}};

typedef struct memorizing_plan {
    token_plan tokens;
    int gain, gate, out, out_bias;
    int store;
    int64_t size; /* of the ring */
} memorizing_plan;

static bool memorizing_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const memorizing_options *o = options;
    if (dims->flush) {
        return node_err(e, at,
                        "memorizing stores positions as they stand; give the model "
                        "partial: keep");
    }
    return token_attention_check(&o->tokens, dims, at, e);
}

static void memorizing_build(layer_build *b, layer *self)
{
    const memorizing_options *o = self->options;
    memorizing_plan *plan = ARENA_NEW(b->memory, memorizing_plan, 1);
    self->plan = plan;
    plan->tokens = token_attention_build(b, self, &o->tokens, self->dims.block, true);
    plan->tokens.keep_queries = true;
    int64_t width = self->dims.width, heads = plan->tokens.heads;
    plan->gain = layer_vector(b, self, "lookup.gain", ROLE_GAIN, plan->tokens.head_dim, 1);
    plan->gate = layer_vector(b, self, "lookup.gate", ROLE_BIAS, heads, o->gate);
    plan->out = layer_matrix(b, self, "out.weight", width, plan->tokens.q_width, true);
    plan->out_bias = o->tokens.bias ? layer_vector(b, self, "out.bias", ROLE_BIAS, width, 0) : -1;
    /* What the block at hand writes must not overwrite what it sees. */
    plan->size = o->length + plan->tokens.memory + self->dims.block;
    plan->store = layer_slot_store(b, self, "store", plan->size, 2 * plan->tokens.kv_width);
    self->detached = true;
}

/* Positions [begin, end) of the call go into the ring: keys of unit length, raw values. */
static void remember(layer_ctx *c, const layer *self, const token_result *r, int64_t begin,
                     int64_t end)
{
    const memorizing_plan *plan = self->plan;
    int64_t half = plan->tokens.kv_width, d = plan->tokens.head_dim;
    real *store = layer_store(c, self, plan->store);
    for (int64_t n = begin; n < end; n++) {
        for (int64_t row = 0; row < c->rows; row++) {
            const real *kv = r->kv->data + (row * r->kv->shape[1] + r->extra + n) * r->kv->shape[2];
            int64_t p = (c->position[row] + n) % plan->size;
            real *entry = store + (row * plan->size + p) * 2 * half;
            memcpy(entry + half, kv + half, (size_t)half * sizeof *entry);
            for (int64_t h = 0; h < half; h += d) {
                double square = 0;
                for (int64_t i = h; i < h + d; i++) {
                    square += (double)kv[i] * (double)kv[i];
                }
                double scale = 1 / MAX(sqrt(square), 1e-12);
                for (int64_t i = h; i < h + d; i++) {
                    entry[i] = (real)(scale * (double)kv[i]);
                }
            }
        }
    }
}

/* Queries [begin, end) of the call, which lie in one block: [rows, end - begin, q_width]. */
static tensor *look_up(layer_ctx *c, const layer *self, tensor *q, int64_t begin, int64_t end)
{
    const memorizing_options *o = self->options;
    const memorizing_plan *plan = self->plan;
    int64_t *from = tape_keep(c->tape, c->rows, sizeof *from);
    int64_t *to = tape_keep(c->tape, c->rows, sizeof *to);
    for (int64_t row = 0; row < c->rows; row++) {
        int64_t p = c->position[row] + begin;
        to[row] = MAX(0, p - p % self->dims.block - plan->tokens.memory);
        from[row] = MAX(0, to[row] - o->length);
    }
    lookup_store s = {layer_store(c, self, plan->store), plan->size, 2 * plan->tokens.kv_width,
                      from, to};
    if (begin > 0 || end < c->time) q = op_slice(c->tape, q, 1, begin, end);
    /* Unit vectors: the scale sqrt(head_dim) lets scores differ as those of plain attention do. */
    return op_lookup(c->tape, q, &s, plan->tokens.heads, plan->tokens.kv_heads, o->top,
                     (real)sqrt((double)plan->tokens.head_dim));
}

/* o + g (m - o), g by head. */
static tensor *mix(layer_ctx *c, const layer *self, tensor *o, tensor *m)
{
    const memorizing_plan *plan = self->plan;
    int64_t heads = plan->tokens.heads, d = plan->tokens.head_dim, time = o->shape[1];
    tensor *g = op_activation(c->tape, layer_tensor(c, self, plan->gate), ACT_SIGMOID);
    tensor *off = op_sub(c->tape, m, o);
    off = tape_reshape(c->tape, off, 4, (int64_t[]){c->rows, time, heads, d});
    off = op_mul_row(c->tape, op_transpose(c->tape, off, 2, 3), g);
    off = op_transpose(c->tape, off, 2, 3);
    double sum = 0;
    for (int64_t h = 0; h < heads; h++) {
        sum += (double)g->data[h];
    }
    layer_metric(c, self, "lookup_share", sum, (double)heads);
    return op_add(c->tape, o, tape_reshape(c->tape, off, 3, (int64_t[]){c->rows, time, heads * d}));
}

static tensor *memorizing_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const memorizing_options *o = self->options;
    const memorizing_plan *plan = self->plan;
    int64_t block = self->dims.block, phase = c->position[0] % block, count = 0;
    token_result r = token_attention_forward(c, self, &o->tokens, &plan->tokens, x);
    attention_operand q =
        heads_normalised(c->tape, (attention_operand){r.q, 0}, plan->tokens.heads,
                         plan->tokens.head_dim, QK_NORM_L2, layer_tensor(c, self, plan->gain));
    tensor **parts = tape_keep(c->tape, (phase + c->time) / block + 1, sizeof *parts);
    for (int64_t begin = 0, end; begin < c->time; begin = end) {
        end = MIN(c->time, begin + block - (phase + begin) % block);
        remember(c, self, &r, begin, end);
        parts[count++] = look_up(c, self, q.x, begin, end);
    }
    tensor *m = count == 1 ? parts[0] : op_concat(c->tape, (int)count, parts, 1);
    tensor *bias = plan->out_bias >= 0 ? layer_tensor(c, self, plan->out_bias) : NULL;
    return op_linear(c->tape, mix(c, self, r.y, m), layer_tensor(c, self, plan->out), bias);
}

static layer_cost memorizing_cost(const layer *self)
{
    const memorizing_options *o = self->options;
    const memorizing_plan *plan = self->plan;
    double q_width = (double)plan->tokens.q_width;
    double flops = token_attention_flops(self, &o->tokens, &plan->tokens) +
                   2 * (double)self->dims.width * q_width + 2 * q_width * (double)o->length;
    return (layer_cost){.forward_flops = flops,
                        .bench_flops = 6 * (double)self->dims.block * q_width};
}

extern const layer_class memorizing_layer;
const layer_class memorizing_layer = {
    .name = "memorizing",
    .cite = "Wu et al. 2022, arXiv:2203.08913, sec. 3",
    .help = "attention that looks up the best of many stored keys, without gradient to them",
    .options = OPTIONS,
    .options_bytes = sizeof(memorizing_options),
    .check = memorizing_check,
    .build = memorizing_build,
    .forward = memorizing_forward,
    .output_is_free = true,
    .cost = memorizing_cost};
