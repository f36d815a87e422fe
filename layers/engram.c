/* Engram (Cheng et al. 2026, arXiv:2601.07372): the last tokens, taken as n-grams, are looked up in
 * hashed tables, and the stream decides how much of what is found it takes.
 *
 *   e = the rows of the n-grams that end here, n = 2..order, `heads` tables each   (engram_ids.h)
 *   s = rmsnorm(x) . rmsnorm(e W_key + b_key) / sqrt(width)
 *   g = sigmoid(s), or, with gate: root (the published code), sigmoid(sign(s) sqrt(max(|s|, 1e-6)))
 *   u = g (e W_value + b_value)
 *   y = u + silu(conv(rmsnorm(u)))                 causal, one channel each, dilated by `order`
 *
 * What is looked up depends on the text alone; carried are the last order - 1 tokens and what the
 * convolution sees of the past.
 *
 * With `fold`, tokens that differ in case, accents and spaces alone are looked up as one.
 *
 * DIFFERS: convolutions start near zero instead of at it; tables of other layers may have the same
 * sizes (multipliers differ). */
#include "layers/engram_ids.h"

#include "core/ops/ops_recurrent.h"
#include "layers/hash_ids.h"
#include "layers/layer_inspect.h"

#include <math.h>
#include <stdio.h>

typedef struct engram_options {
    int64_t order, heads, rows, head_dim, conv, gate;
    bool fold;
} engram_options;

enum { GATE_PLAIN, GATE_ROOT };

#define OPTION_AT(field) offsetof(engram_options, field)
static const option OPTIONS[] = {
    {"order", OPTION_INT, OPTION_AT(order), .initial = "3", .min = 2, .max = ENGRAM_ORDERS,
     .help = "longest n-gram that is looked up; the shortest has 2 tokens"},
    {"heads", OPTION_INT, OPTION_AT(heads), .initial = "4", .min = 1, .max = ENGRAM_HEADS,
     .help = "tables per n, each with a hash of its own"},
    {"rows", OPTION_INT, OPTION_AT(rows), .initial = "1000", .min = 2, .max = 1e8,
     .help = "least size of a table; each has another prime"},
    {"head_dim", OPTION_INT, OPTION_AT(head_dim), .initial = "16", .min = 1, .max = 65536,
     .help = "size of a row"},
    {"conv", OPTION_INT, OPTION_AT(conv), .initial = "4", .min = 0, .max = 64,
     .help = "positions of the short convolution, `order` apart; 0: none"},
    {"fold", OPTION_BOOL, OPTION_AT(fold), .initial = "false",
     .help =
         "look tokens up without case, accents and outer spaces (published); tokens need texts"},
    {"gate", OPTION_CHOICE, OPTION_AT(gate), .initial = "plain", .choices = "plain|root",
     .help = "how the stream decides: sigmoid of the score, or of its signed root"},
    {0}};

/* Begins with where n-grams are looked up, so that others can look them up, too. Indexes for
 * layer_tensor and layer_state; -1: none. */
typedef struct engram_plan {
    engram_ids ids;
    int fold, table, key, key_bias, key_gain, query_gain, value, value_bias, conv, conv_gain;
    int slot_tokens, slot_conv;
} engram_plan;

/* Rows are numbered in 32 bits. */
static bool engram_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    (void)dims;
    const engram_options *o = options;
    /* Primes lie closer than 1000 below 10^9: an upper bound, for none are sought yet. */
    int64_t tables = (o->order - 1) * o->heads;
    if (tables * (o->rows + 1000 * tables) > INT32_MAX) {
        return node_err(e, at,
                        "%lld tables of %lld rows are more than 2^31 rows; make them smaller",
                        (long long)tables, (long long)o->rows);
    }
    return true;
}

static int64_t looked_up(const engram_options *o)
{
    return (o->order - 1) * o->heads;
}

static unsigned engram_needs(const void *options)
{
    const engram_options *o = options;
    return o->fold ? NEEDS_TOKEN_TEXT : 0;
}

/* What every token is looked up as; kept in checkpoints, where the text may be another one's. */
static int add_fold(layer_build *b, layer *self)
{
    const engram_options *o = self->options;
    int64_t vocab = self->dims.vocab;
    if (!o->fold || !b->token_text) return -1;
    real *values = ARENA_NEW(b->memory, real, vocab);
    int32_t *ids = ARENA_NEW(b->memory, int32_t, vocab);
    engram_ids_fold(ids, b->token_text, vocab);
    for (int64_t i = 0; i < vocab; i++) {
        values[i] = (real)ids[i];
    }
    int index = layer_given(b, self, "fold", ROLE_TABLE, 1, &vocab, values);
    layer_last_param(b)->active = 0;
    layer_last_param(b)->choices = vocab;
    return index;
}

static void add_gate(layer_build *b, layer *self, engram_plan *p, int64_t found)
{
    int64_t width = self->dims.width;
    p->key = layer_matrix(b, self, "key.weight", width, found, false);
    p->key_bias = layer_vector(b, self, "key.bias", ROLE_BIAS, width, 0);
    p->key_gain = layer_vector(b, self, "key_norm.gain", ROLE_GAIN, width, 1);
    p->query_gain = layer_vector(b, self, "query_norm.gain", ROLE_GAIN, width, 1);
}

static void engram_build(layer_build *b, layer *self)
{
    const engram_options *o = self->options;
    int64_t width = self->dims.width, found = looked_up(o) * o->head_dim;
    engram_plan *p = ARENA_NEW(b->memory, engram_plan, 1);
    char place[512];
    snprintf(place, sizeof place, "init:%s.multipliers", self->name);
    rng_key key = {.seed = b->seed, .place = rng_place(place)};
    p->ids = engram_ids_new(o->order, o->heads, o->rows, self->dims.vocab, key);
    p->fold = add_fold(b, self);
    p->table =
        layer_param(b, self, "table", ROLE_EMBEDDING, 2, (int64_t[]){p->ids.rows, o->head_dim},
                    layer_init(b, self, found, false));
    /* A step looks up a few rows of many: gradients come row by row where the optimiser allows. */
    layer_last_param(b)->by_rows = true;
    layer_last_param(b)->active = (double)looked_up(o) / (double)p->ids.rows;
    add_gate(b, self, p, found);
    p->value = layer_matrix(b, self, "value.weight", width, found, true);
    p->value_bias = layer_vector(b, self, "value.bias", ROLE_BIAS, width, 0);
    p->conv = p->conv_gain = p->slot_conv = -1;
    p->slot_tokens = layer_slot_cache(b, self, "tokens", o->order - 1, 1);
    if (o->conv > 0) {
        p->conv_gain = layer_vector(b, self, "conv_norm.gain", ROLE_GAIN, width, 1);
        /* Near zero: at first y = u + about silu(0) = u. */
        p->conv = layer_param(b, self, "conv.weight", ROLE_GAIN, 2, (int64_t[]){width, o->conv},
                              (param_init){INIT_UNIFORM, 1e-3});
    }
    if (o->conv > 1) {
        p->slot_conv = layer_slot_cache(b, self, "conv", (o->conv - 1) * o->order, width);
    }
    self->plan = p;
}

/* ---- forward ---- */

/* What is no token, the start and what lies before it, stays. */
static void fold_tokens(int32_t *tokens, int64_t n, const tensor *fold)
{
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i] < fold->shape[0]) tokens[i] = (int32_t)fold->data[tokens[i]];
    }
}

/* Rows of every position's n-grams [rows, time, looked up].
 * `last` points at the position's own token; those before it lie in front, in the call or in its
 * past. */
static int32_t *find_rows(layer_ctx *c, const layer *self)
{
    const engram_plan *p = self->plan;
    int64_t past = p->ids.order - 1, per = past * p->ids.heads;
    int32_t *tokens = tape_keep(c->tape, c->rows * (past + c->time), sizeof *tokens);
    int32_t *found = tape_keep(c->tape, c->rows * c->time * per, sizeof *found);
    hash_ids_past(c, self, p->slot_tokens, past, tokens);
    if (p->fold >= 0)
        fold_tokens(tokens, c->rows * (past + c->time), layer_tensor(c, self, p->fold));
    for (int64_t i = 0; i < c->rows * c->time; i++) {
        const int32_t *last = tokens + i / c->time * (past + c->time) + past + i % c->time;
        engram_ids_rows(&p->ids, last, self->dims.vocab, found + i * per);
    }
    return found;
}

/* sign(s) sqrt(max(|s|, 1e-6))
 * max(|s|, m) as relu(|s| - m) + m: ops that the tape can differentiate. The sign is a constant of
 * the step. */
static tensor *signed_root(tape *t, tensor *s)
{
    const real least = (real)1e-6;
    tensor *sign = tape_like(t, s);
    for (int64_t i = 0; i < tensor_count(s); i++) {
        sign->data[i] = (real)((s->data[i] > 0) - (s->data[i] < 0));
    }
    tensor *size =
        op_shift(t, op_activation(t, op_shift(t, op_mul(t, s, sign), -least), ACT_RELU), least);
    return op_mul(t, op_activation(t, size, ACT_SQRT), sign);
}

/* g [rows, time]. */
static tensor *gate_of(layer_ctx *c, const layer *self, tensor *x, tensor *e)
{
    const engram_options *o = self->options;
    const engram_plan *p = self->plan;
    tape *t = c->tape;
    const real eps = (real)1.1920929e-7; /* what PyTorch's RMSNorm adds in float */
    tensor *k = layer_linear(c, self, e, p->key, p->key_bias);
    k = op_rmsnorm(t, k, layer_tensor(c, self, p->key_gain), eps);
    tensor *q = op_rmsnorm(t, x, layer_tensor(c, self, p->query_gain), eps);
    tensor *s = op_sum_last(t, op_mul(t, q, k));
    s = op_scale(t, s, (real)(1 / sqrt((double)self->dims.width)));
    if (o->gate == GATE_ROOT) s = signed_root(t, s);
    return op_activation(t, s, ACT_SIGMOID);
}

/* A row that is looked up fires with what the gate lets through of it. */
static void offer(layer_ctx *c, const layer *self, const int32_t *found, const tensor *gate)
{
    if (!c->watch->fired) return;
    int64_t n = c->rows * c->time, per = looked_up(self->options);
    real *coefficients = tape_keep(c->tape, n * per, sizeof *coefficients);
    for (int64_t i = 0; i < n * per; i++) {
        coefficients[i] = gate->data[i / per];
    }
    layer_fired(
        c, self,
        &(memory_use){.entries = n, .width = per, .ids = found, .coefficients = coefficients});
}

static tensor *engram_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const engram_options *o = self->options;
    const engram_plan *p = self->plan;
    tape *t = c->tape;
    int64_t per = looked_up(o), n = c->rows * c->time;
    int32_t *found = find_rows(c, self);
    tensor *e = layer_rows(c, self, p->table, found, n * per);
    e = tape_reshape(t, e, 3, (int64_t[]){c->rows, c->time, per * o->head_dim});
    tensor *u = layer_linear(c, self, e, p->value, p->value_bias);
    tensor *gate = gate_of(c, self, x, e);
    layer_tap(c, self, "gate", gate);
    u = op_mul_col(t, u, gate);
    offer(c, self, found, gate);
    if (o->conv == 0) return u;
    tensor *before = layer_carried(c, self, p->slot_conv), *last;
    tensor *h = op_rmsnorm(t, u, layer_tensor(c, self, p->conv_gain), (real)1e-5);
    h = op_conv(t, h, layer_tensor(c, self, p->conv), before, o->order, ACT_SILU, &last);
    if (o->conv > 1) layer_state_set(c, self, p->slot_conv, last);
    return op_add(t, u, h);
}

static layer_cost engram_cost(const layer *self)
{
    const engram_options *o = self->options;
    double found = (double)(looked_up(o) * o->head_dim);
    /* Keys and values of what is found. */
    return (layer_cost){.forward_flops = 2 * 2 * found * (double)self->dims.width};
}

/* What row i adds to the output where the gate is open: its table's columns of W_value, times it.
 * The bias is shared out evenly among all rows that are looked up at a time. */
static void row_value(const layer *self, const params *all, const real *values, int64_t i,
                      real *out)
{
    const engram_options *o = self->options;
    const engram_plan *p = self->plan;
    const param *table = &all->list[self->first_param + p->table];
    const param *weight = &all->list[self->first_param + p->value];
    int64_t k = 0, columns = weight->shape[1];
    while (k + 1 < looked_up(o) && p->ids.offset[(k + 1) / o->heads][(k + 1) % o->heads] <= i) {
        k++;
    }
    const real *row = values + table->offset + i * o->head_dim;
    const real *w = values + weight->offset + k * o->head_dim;
    const real *bias = values + all->list[self->first_param + p->value_bias].offset;
    for (int64_t c = 0; c < self->dims.width; c++) {
        double sum = (double)bias[c] / (double)looked_up(o);
        for (int64_t d = 0; d < o->head_dim; d++) {
            sum += (double)w[c * columns + d] * (double)row[d];
        }
        out[c] = (real)sum;
    }
}

static bool engram_memories(const layer *self, layer_memories *m)
{
    const engram_plan *p = self->plan;
    *m = (layer_memories){.count = p->ids.rows, .groups = 1, .values = -1, .value = row_value};
    return true;
}

/* By which rules tokens are one: in identities, for tables folded by others are others. */
static const char *engram_content(const layer *self, arena *a)
{
    (void)a;
    return ((const engram_options *)self->options)->fold ? "letters of Unicode" : NULL;
}

const layer_class engram_layer = {
    .name = "engram",
    .cite = "Cheng et al. 2026, arXiv:2601.07372",
    .help = "hashed tables of n-grams, of which the stream takes what it asks for",
    OPTIONS_OF(engram_options, OPTIONS),
    .content = engram_content,
    .needs = engram_needs,
    .check = engram_check,
    .build = engram_build,
    .forward = engram_forward,
    .cost = engram_cost,
    .memories = engram_memories};
