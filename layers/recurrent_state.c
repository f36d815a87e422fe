#include "layers/recurrent_state.h"
#include "core/ops/blas.h"
#include "core/ops/softmax.h"
#include "layers/head_norm.h"
#include "layers/layer_inspect.h"

#include <math.h>
#include <string.h>

/* The state is s [rows, states, width]. Everything here happens once per block, whatever tokens
 * there are in it: preparing (norm, keys and values of the states), and, once the block is
 * complete, writing. Tokens read prepared keys and values in between, in block_recurrent.c.
 *
 * There is no residual around the state: a gate decides per component what stays, and how far
 * gradients reach back is what the gates let through. */

/* ---- building ---- */

/* For starts that are not the model's scheme. */
static int matrix(layer_build *b, layer *self, const char *name, int64_t out, int64_t in,
                  param_init init)
{
    int64_t shape[] = {out, in};
    int index = layer_param(b, self, name, ROLE_MATRIX, 2, shape, init);
    layer_last_param(b)->matmul = true;
    return index;
}

static int vector(layer_build *b, layer *self, const char *name, int64_t n, param_init init)
{
    return layer_param(b, self, name, ROLE_BIAS, 1, &n, init);
}

/* The kernels of z, and for the lstm gate those of i and f behind it, are rows of one matrix:
 * one product for all of them. */
static gate_params build_gate(layer_build *b, layer *self, const state_options *o,
                              const char *prefix, int64_t inputs)
{
    bool port = o->form == FORM_PORT, lstm = o->gate == GATE_LSTM;
    int64_t width = self->dims.width, out = lstm ? 3 * width : width;
    double bound = 1 / sqrt((double)inputs);
    param_init kernel =
        port ? (param_init){INIT_UNIFORM, bound} : (param_init){INIT_NORMAL, sqrt(0.1) * bound};
    param_init bias = port   ? (param_init){INIT_UNIFORM, bound}
                      : lstm ? (param_init){INIT_NORMAL, 0.1}
                             : (param_init){INIT_ZERO, 0};
    char name[64];
    gate_params g = {.balance = -1};
    snprintf(name, sizeof name, "%s.weight", prefix);
    g.weight = matrix(b, self, name, out, inputs, kernel);
    snprintf(name, sizeof name, "%s.bias", prefix);
    g.bias = vector(b, self, name, out, bias);
    if (lstm) return g;
    snprintf(name, sizeof name, "%s.balance", prefix);
    g.balance = vector(b, self, name, width, (param_init){INIT_NORMAL, 0.1});
    return g;
}

/* `inputs` is the width of what the next link of the cell reads: the two attentions side by
 * side, or what the port's projection and the feed-forward layer make of them. */
static void build_cell(layer_build *b, layer *self, const state_options *o, state_plan *plan)
{
    int64_t width = self->dims.width, inputs = 2 * plan->q_width;
    plan->out = plan->ffn = plan->ffn_gain = -1;
    if (o->form == FORM_PORT) {
        param_init init = {INIT_UNIFORM, 1 / sqrt((double)inputs)};
        plan->out = matrix(b, self, "state.out.weight", width, inputs, init);
        inputs = width;
    }
    if (o->configuration == CONFIGURATION_SINGLE) {
        plan->ffn = layer_matrix(b, self, "state.ffn.weight", plan->hidden, inputs, false);
        inputs = plan->hidden;
    }
    plan->gate = build_gate(b, self, o, "state.gate", inputs);
    if (o->configuration != CONFIGURATION_DUAL) return;
    plan->ffn_gain = layer_vector(b, self, "state.ffn_norm.gain", ROLE_GAIN, width, 1);
    plan->ffn = layer_matrix(b, self, "state.ffn.weight", plan->hidden, width, false);
    plan->ffn_gate = build_gate(b, self, o, "state.ffn_gate", plan->hidden);
}

state_plan recurrent_state_build(layer_build *b, layer *self, const state_options *o,
                                 const token_plan *tokens)
{
    state_plan plan = {.heads = tokens->heads,
                       .kv_heads = tokens->kv_heads,
                       .head_dim = tokens->head_dim,
                       .q_width = tokens->q_width,
                       .kv_width = tokens->kv_width};
    int64_t width = self->dims.width, shape[] = {o->states, width};
    if (o->configuration != CONFIGURATION_SKIP) plan.hidden = o->hidden > 0 ? o->hidden : 4 * width;
    /* Small, so that gates move them; ids set the vectors apart, else all stay equal. */
    plan.start =
        layer_param(b, self, "state.start", ROLE_STATE, 2, shape, (param_init){INIT_NORMAL, 0.1});
    plan.ids =
        layer_param(b, self, "state.ids", ROLE_STATE, 2, shape, (param_init){INIT_NORMAL, 1});
    plan.gain = layer_vector(b, self, "state.norm.gain", ROLE_GAIN, width, 1);
    /* Keys and values of the states, for who reads and for the states themselves. */
    plan.kv = layer_matrix(b, self, "state.kv.weight", 2 * plan.kv_width, width, false);
    /* Two queries per state: the first half asks the states, the second the tokens. */
    plan.q = layer_matrix(b, self, "state.q.weight", 2 * plan.q_width, width, false);
    double gain = head_norm_gain(o->scale, plan.head_dim, QK_NORM_L2);
    plan.self_q_gain = layer_vector(b, self, "state.self_q.gain", ROLE_GAIN, plan.head_dim, gain);
    plan.self_k_gain = layer_vector(b, self, "state.self_k.gain", ROLE_GAIN, plan.head_dim, gain);
    plan.tokens_q_gain =
        layer_vector(b, self, "state.tokens_q.gain", ROLE_GAIN, plan.head_dim, gain);
    plan.tokens_k_gain =
        layer_vector(b, self, "state.tokens_k.gain", ROLE_GAIN, plan.head_dim, gain);
    build_cell(b, self, o, &plan);
    plan.slot = layer_slot(b, self, "state", o->states, width);
    self->unreset |= o->clear == CLEAR_NEVER;
    return plan;
}

/* ---- a block begins ---- */

/* Only where a training segment begins: its later blocks go on from what it has written itself. */
static bool dropped(const layer_ctx *c, const layer *owner, const state_options *o, int64_t offset,
                    int64_t row)
{
    bool begins = c->call == 0 && c->part == 0 && offset == 0;
    if (c->mode != MODE_TRAIN || o->dropout == 0 || !begins) return false;
    rng_key key = layer_key(c, owner, "state_dropout");
    key.row += (uint32_t)row;
    return rng_uniform(key, 0) < o->dropout;
}

static bool cleared(const layer_ctx *c, const layer *owner, const state_options *o, int64_t offset,
                    int64_t row)
{
    int64_t p = c->position[row] + offset, block = owner->dims.block;
    /* p: the position at which the block begins in the row's text. */
    if (p == 0 && o->clear != CLEAR_NEVER) return true;
    if (o->clear == CLEAR_SEGMENT && p / block % o->segment_blocks == 0) return true;
    return dropped(c, owner, o, offset, row);
}

tensor *recurrent_state_begin(layer_ctx *c, const layer *owner, const state_options *o,
                              const state_plan *plan, int64_t offset, tensor *carried)
{
    /* Only where a block begins: inside one, the state is what the block began with. All rows stand
     * at the same phase, so row 0 tells. */
    if ((c->position[0] + offset) % owner->dims.block != 0 && carried) return carried;
    bool *clear = tape_keep(c->tape, c->rows, sizeof *clear), any = false, all = true;
    for (int64_t r = 0; r < c->rows; r++) {
        clear[r] = !carried || cleared(c, owner, o, offset, r);
        any |= clear[r];
        all &= clear[r];
    }
    if (!any) return carried;
    /* The learned start, to which gradients of all rows that begin here flow. */
    tensor *start = op_repeat(c->tape, layer_tensor(c, owner, plan->start), c->rows);
    return all ? start : op_select_rows(c->tape, clear, start, carried);
}

static tensor *normalise(layer_ctx *c, const layer *owner, const state_options *o, tensor *s,
                         int gain)
{
    tensor *g = layer_tensor(c, owner, gain);
    if (o->norm == STATE_NORM_RMSNORM) return op_rmsnorm(c->tape, s, g, (real)1e-6);
    return op_layernorm(c->tape, s, g, NULL, (real)1e-5);
}

/* Keys and values of the states as both directions want them; computed once per block, however many
 * layers read. The ids come behind the norm, which would otherwise make them part of what is gated.
 */
prepared_state recurrent_state_prepare(layer_ctx *c, const layer *owner, const state_options *o,
                                       const state_plan *plan, tensor *state)
{
    prepared_state p = {.state = state};
    p.normed = normalise(c, owner, o, state, plan->gain);
    tensor *ids = op_repeat(c->tape, layer_tensor(c, owner, plan->ids), c->rows);
    p.normed = op_add(c->tape, p.normed, ids);
    p.kv = layer_linear(c, owner, p.normed, plan->kv, -1);
    return p;
}

/* ---- writing ---- */

tensor *recurrent_state_attend(layer_ctx *c, const state_plan *plan, attention_operand q,
                               attention_operand k, attention_operand v, const int64_t *valid,
                               double dropout, rng_key key)
{
    attention_shape shape = {.heads = plan->heads,
                             .kv_heads = plan->kv_heads,
                             .head_dim = plan->head_dim,
                             .scale = (real)(1 / sqrt((double)plan->head_dim)),
                             .dropout = dropout,
                             .key = key};
    if (valid) {
        /* op_attention counts the keys that precede the queries. */
        int64_t *before = tape_keep(c->tape, c->rows, sizeof *before);
        for (int64_t r = 0; r < c->rows; r++) {
            before[r] = valid[r] - q.x->shape[1];
        }
        shape.valid = before;
    }
    return op_attention(c->tape, q, k, v, &shape);
}

/* Adds share times the weights of one head and row to mean [queries, keys].
 * size: queries, keys. The op itself never has the weights: who inspects computes them once
 * more. */
static void add_weights(real *mean, layer_ctx *c, const state_plan *plan, const real *q,
                        int64_t q_stride, const real *k, int64_t k_stride, const int64_t size[2])
{
    arena *scratch = tape_scratch(c->tape);
    arena_mark mark = arena_now(scratch);
    real *scores = ARENA_NEW(scratch, real, size[0] * size[1]);
    real *shares = ARENA_NEW(scratch, real, size[1]);
    blas_gemm(tape_exact(c->tape), false, true, size[0], size[1], plan->head_dim,
              (real)(1 / sqrt((double)plan->head_dim)), q, q_stride, k, k_stride, 0, scores,
              size[1]);
    for (int64_t i = 0; i < size[0]; i++) {
        softmax_row(shares, scores + i * size[1], size[1]);
        for (int64_t j = 0; j < size[1]; j++) {
            mean[i * size[1] + j] += shares[j] / (real)plan->heads;
        }
    }
    arena_rewind(scratch, mark);
}

real *recurrent_state_weights(layer_ctx *c, const state_plan *plan, attention_operand q,
                              attention_operand k, const int64_t *valid)
{
    int64_t queries = q.x->shape[1], keys = k.x->shape[1], d = plan->head_dim;
    real *mean = tape_keep(c->tape, c->rows * queries * keys, sizeof *mean);
    memset(mean, 0, (size_t)(c->rows * queries * keys) * sizeof *mean);
    for (int64_t r = 0; r < c->rows; r++) {
        int64_t counted = valid ? MIN(valid[r], keys) : keys, skipped = keys - counted;
        real *of_row = tape_keep(c->tape, queries * counted, sizeof *of_row);
        memset(of_row, 0, (size_t)(queries * counted) * sizeof *of_row);
        /* Keys that are not the row's own keep the weight 0; the others are the newest ones. */
        for (int64_t h = 0; h < plan->heads && counted > 0; h++) {
            const real *qh = q.x->data + r * queries * q.x->shape[2] + q.column + h * d;
            const real *kh = k.x->data + (r * keys + skipped) * k.x->shape[2] + k.column +
                             h * plan->kv_heads / plan->heads * d;
            add_weights(of_row, c, plan, qh, q.x->shape[2], kh, k.x->shape[2],
                        (int64_t[]){queries, counted});
        }
        for (int64_t i = 0; i < queries; i++) {
            memcpy(mean + (r * queries + i) * keys + skipped, of_row + i * counted,
                   (size_t)counted * sizeof *mean);
        }
    }
    return mean;
}

static attention_operand unit(layer_ctx *c, const layer *owner, const state_plan *plan, tensor *x,
                              int64_t column, int64_t heads, int gain)
{
    return head_norm(c->tape, (attention_operand){x, column}, heads, plan->head_dim, QK_NORM_L2,
                     layer_tensor(c, owner, gain));
}

/* Beyond 0.05 and 0.95 a sigmoid's slope is below a twentieth: a gate that hardly learns. */
static void watch_gate(layer_ctx *c, const layer *owner, const tensor *gate)
{
    int64_t n = tensor_count(gate), shut = 0;
    for (int64_t i = 0; i < n; i++) {
        shut += gate->data[i] < (real)0.05 || gate->data[i] > (real)0.95;
    }
    layer_metric(c, owner, "gate_saturation", (double)shut, (double)n);
}

/* g = sigma(b), learned and the same for every block:
 *   paper: s' = g s + (1 - g) z      port: s' = g z + (1 - g) s
 * Both are other + g (kept - other): one product fewer, and g alone is broadcast over states. */
static tensor *fixed_gate(layer_ctx *c, const layer *owner, const state_options *o,
                          const gate_params *p, tensor *s, tensor *z)
{
    tensor *g = op_activation(c->tape, layer_tensor(c, owner, p->balance), ACT_SIGMOID);
    watch_gate(c, owner, g);
    tensor *kept = o->form == FORM_PORT ? z : s, *other = o->form == FORM_PORT ? s : z;
    tensor *off = op_sub(c->tape, kept, other);
    return op_add(c->tape, op_mul_row(c->tape, off, g), other);
}

/* s' = s sigma(f + 1) + tanh(z) sigma(i - 1): the shifts make a fresh gate keep about 3/4 of the
 * state and let in 1/4, so that gradients reach back over blocks before anything is learned. */
static tensor *lstm_gate(layer_ctx *c, const layer *owner, tensor *s, tensor *zif)
{
    int64_t width = owner->dims.width;
    tensor *z = op_activation(c->tape, op_columns(c->tape, zif, 0, width), ACT_TANH);
    tensor *i = op_shift(c->tape, op_columns(c->tape, zif, width, 2 * width), -1);
    tensor *f = op_shift(c->tape, op_columns(c->tape, zif, 2 * width, 3 * width), 1);
    f = op_activation(c->tape, f, ACT_SIGMOID);
    watch_gate(c, owner, f);
    i = op_activation(c->tape, i, ACT_SIGMOID);
    return op_add(c->tape, op_mul(c->tape, s, f), op_mul(c->tape, z, i));
}

static tensor *gate(layer_ctx *c, const layer *owner, const state_options *o, const gate_params *p,
                    tensor *s, tensor *h)
{
    tensor *z = layer_linear(c, owner, h, p->weight, p->bias);
    return o->gate == GATE_LSTM ? lstm_gate(c, owner, s, z) : fixed_gate(c, owner, o, p, s, z);
}

static tensor *ffn(layer_ctx *c, const layer *owner, const state_plan *plan, tensor *x)
{
    x = layer_linear(c, owner, x, plan->ffn, -1);
    return op_activation(c->tape, x, ACT_RELU);
}

/* u: what the states saw, [rows, states, 2 q_width], of themselves and of the tokens.
 *   skip:   s' = gate(s, u)
 *   single: s' = gate(s, relu(W u))
 *   dual:   h = gate(s, u);   s' = gate(h, relu(W norm(h)))
 * The port first projects u to the stream's width. There is no residual: the gate stands for it. */
static tensor *cell(layer_ctx *c, const layer *owner, const state_options *o,
                    const state_plan *plan, tensor *s, tensor *u)
{
    if (plan->out >= 0) u = layer_linear(c, owner, u, plan->out, -1);
    if (o->configuration == CONFIGURATION_SINGLE) u = ffn(c, owner, plan, u);
    s = gate(c, owner, o, &plan->gate, s, u);
    if (o->configuration != CONFIGURATION_DUAL) return s;
    tensor *h = ffn(c, owner, plan, normalise(c, owner, o, s, plan->ffn_gain));
    return gate(c, owner, o, &plan->ffn_gate, s, h);
}

/* Mean cosine between two of a row's states: near 1, they have collapsed into one. */
static void watch_similarity(layer_ctx *c, const layer *owner, const tensor *s)
{
    int64_t states = s->shape[1], width = s->shape[2];
    if (states < 2) return;
    real *sum = tape_keep(c->tape, width, sizeof *sum);
    double mean = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        double square = 0;
        for (int64_t j = 0; j < width; j++) {
            sum[j] = 0;
        }
        for (int64_t i = 0; i < states; i++) {
            const real *v = s->data + (r * states + i) * width;
            double norm = 0;
            for (int64_t j = 0; j < width; j++) {
                norm += (double)v[j] * (double)v[j];
            }
            real scale = (real)(1 / MAX(sqrt(norm), 1e-12));
            for (int64_t j = 0; j < width; j++) {
                sum[j] += scale * v[j];
            }
        }
        for (int64_t j = 0; j < width; j++) {
            square += (double)sum[j] * (double)sum[j];
        }
        /* Of a sum of unit vectors the squared length is their number and, twice, the cosine of
         * each pair. */
        mean += (square - (double)states) / (double)(states * (states - 1));
    }
    layer_metric(c, owner, "state_similarity", mean, (double)c->rows);
}

/* |x - y| / |y| of one vector. */
static real moved(const real *x, const real *y, int64_t n)
{
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        all += (double)y[i] * (double)y[i];
    }
    return (real)sqrt(off / MAX(all, 1e-24));
}

/* q, k: what the states asked the block's tokens with.
 * strength: how far each state moved, beside its length before. */
static void tell_written(layer_ctx *c, const layer *owner, const state_plan *plan,
                         const state_block *b, attention_operand q, attention_operand k,
                         const tensor *before, const tensor *after)
{
    if (!c->watch->exchanged) return;
    const real *all = recurrent_state_weights(c, plan, q, k, b->valid);
    int64_t states = before->shape[1], width = before->shape[2], keys = k.x->shape[1];
    int64_t time = b->end - b->begin, first = keys - time;
    real *weights = tape_keep(c->tape, c->rows * time * states, sizeof *weights);
    real *strength = tape_keep(c->tape, c->rows * states, sizeof *strength);
    /* Attention has its weights by the state that asks; who inspects asks by position. */
    for (int64_t i = 0; i < c->rows * states; i++) {
        int64_t row = i / states, state = i % states;
        strength[i] = moved(after->data + i * width, before->data + i * width, width);
        for (int64_t n = 0; n < time; n++) {
            weights[(row * time + n) * states + state] = all[i * keys + first + n];
        }
    }
    layer_exchanged(c, owner, b->exchange,
                    &(exchange_use){b->begin, time, (double)keys, weights, strength});
}

tensor *recurrent_state_write(layer_ctx *c, const layer *owner, const state_options *o,
                              const state_plan *plan, const prepared_state *s,
                              const state_block *block)
{
    /*   a1 = Att(unit(n W_s^T) g_1, unit(sk) g_2, sv): the states look at themselves
     *   a2 = Att(unit(n W_t^T) g_3, unit(k) g_4, v): and at the block's tokens
     *
     * W_s and W_t are halves of one matrix. No weight is dropped here, as in the paper. */
    tensor *q = layer_linear(c, owner, s->normed, plan->q, -1), *kv = block->kv;
    rng_key none = {0};
    tensor *of_states =
        recurrent_state_attend(c, plan, unit(c, owner, plan, q, 0, plan->heads, plan->self_q_gain),
                               unit(c, owner, plan, s->kv, 0, plan->kv_heads, plan->self_k_gain),
                               (attention_operand){s->kv, plan->kv_width}, NULL, 0, none);
    attention_operand asks =
        unit(c, owner, plan, q, plan->q_width, plan->heads, plan->tokens_q_gain);
    attention_operand keys = unit(c, owner, plan, kv, 0, plan->kv_heads, plan->tokens_k_gain);
    tensor *of_tokens = recurrent_state_attend(
        c, plan, asks, keys, (attention_operand){kv, plan->kv_width}, block->valid, 0, none);
    tensor *u = op_concat(c->tape, 2, (tensor *[]){of_states, of_tokens}, 2);
    tensor *next = cell(c, owner, o, plan, s->state, u);
    watch_similarity(c, owner, next);
    layer_tap(c, owner, "state", next);
    tell_written(c, owner, plan, block, asks, keys, s->state, next);
    return next;
}

/* ---- cost ---- */

double recurrent_state_prepare_flops(const layer *owner, const state_options *o,
                                     const state_plan *plan)
{
    double per_block = 2 * (double)(o->states * owner->dims.width * 2 * plan->kv_width);
    return per_block / (double)owner->dims.block;
}

double recurrent_state_write_flops(const layer *owner, const state_options *o,
                                   const state_plan *plan, int64_t keys)
{
    double width = (double)owner->dims.width, states = (double)o->states;
    double q = (double)plan->q_width, hidden = (double)plan->hidden, inputs = 2 * q;
    double gates = o->gate == GATE_LSTM ? 3 : 1;
    /* A state asks both attentions (2 width 2 q) and sums up itself and the tokens (2 q for a
     * score, 2 q for a sum, each key); then the cell, link by link as build_cell makes it. */
    double per_state = 2 * width * 2 * q + 4 * q * (states + (double)keys);
    if (o->form == FORM_PORT) {
        per_state += 2 * inputs * width;
        inputs = width;
    }
    if (o->configuration == CONFIGURATION_SINGLE) {
        per_state += 2 * inputs * hidden;
        inputs = hidden;
    }
    per_state += gates * 2 * inputs * width;
    if (o->configuration == CONFIGURATION_DUAL) {
        per_state += 2 * width * hidden + gates * 2 * hidden * width;
    }
    return states * per_state / (double)owner->dims.block;
}
