#include "tests/support/op_cases.h"

#include "core/ops/ops_recurrent.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

#define BUILD(name) static tensor *name(tape *t, tensor *const *in, const op_case *c)
/* One line for ops that take nothing but tensors. */
#define PLAIN(name, call)                                                                          \
    BUILD(name)                                                                                    \
    {                                                                                              \
        (void)c;                                                                                   \
        return call;                                                                               \
    }

/* ---- products and elementwise ops ---- */

PLAIN(linear, op_linear(t, in[0], in[1], in[2]))
PLAIN(linear_no_bias, op_linear(t, in[0], in[1], NULL))
PLAIN(add, op_add(t, in[0], in[1]))
PLAIN(add_itself, op_add(t, in[0], in[0]))
PLAIN(add_inplace, op_add_inplace(t, op_scale(t, in[0], (real)1.5), in[1]))
PLAIN(sub, op_sub(t, in[0], in[1]))
PLAIN(mul, op_mul(t, in[0], in[1]))
PLAIN(mul_itself, op_mul(t, in[0], in[0]))
PLAIN(scale, op_scale(t, in[0], (real)-1.75))
PLAIN(shift, op_shift(t, in[0], (real)0.25))
PLAIN(axpy, op_axpy(t, in[0], (real)0.375, in[1]))
PLAIN(add_row, op_add_row(t, in[0], in[1]))
PLAIN(mul_row, op_mul_row(t, in[0], in[1]))
PLAIN(mul_col, op_mul_col(t, in[0], in[1]))
PLAIN(quotient, op_div(t, in[0], in[1]))
PLAIN(sum, op_sum(t, in[0]))
PLAIN(sum_rows, op_sum_rows(t, in[0]))
PLAIN(sum_last, op_sum_last(t, in[0]))
PLAIN(reshape, tape_reshape(t, op_scale(t, in[0], 2), 3, (int64_t[]){2, 2, 3}))
PLAIN(activated, op_activation(t, in[0], (activation)c->arg))
PLAIN(activated_linear, op_activation_linear(t, in[0], (activation)c->arg, in[1], in[2]))
PLAIN(gated, op_glu(t, in[0], (activation)c->arg))

/* arg: bit 0 transposes a, bit 1 transposes b */
PLAIN(matmul, op_matmul(t, in[0], (c->arg & 1) != 0, in[1], (c->arg & 2) != 0, (real)0.7))

/* x serves twice, so that a gradient arrives in a buffer that holds another. */
BUILD(activated_linear_twice)
{
    tensor *y = op_activation_linear(t, in[0], (activation)c->arg, in[1], in[2]);
    return op_concat(t, 2, (tensor *[]){y, in[0]}, 1);
}

BUILD(select_rows)
{
    (void)c;
    const bool choose[] = {true, false, true};
    return op_select_rows(t, choose, in[0], in[1]);
}

/* ---- shapes and indices ---- */

PLAIN(columns, op_columns(t, in[0], 1, 4))
PLAIN(slice, op_slice(t, in[0], c->arg, 1, 3))
PLAIN(transpose, op_transpose(t, in[0], c->arg / 10, c->arg % 10))
PLAIN(repeat, op_repeat(t, in[0], 3))
PLAIN(concat, op_concat(t, 3, (tensor *[]){in[0], in[1], in[0]}, c->arg))

static const int32_t IDS[] = {2, 0, 2, 3, 0, 1};
PLAIN(gather, op_gather(t, in[0], IDS, 6))

PLAIN(bag, op_bag(t, in[0], IDS, in[1]))

static const int32_t PLACES[] = {2, 0, -1, 2, 3};
PLAIN(scatter, op_scatter(t, in[0], PLACES, 5))
PLAIN(pick, op_pick(t, in[0], IDS))

/* ---- norms, softmax, dropout ---- */

static const real EPS = (real)1e-5;
PLAIN(layernorm, op_layernorm(t, in[0], in[1], in[2], EPS))
PLAIN(layernorm_plain, op_layernorm(t, in[0], NULL, NULL, EPS))
PLAIN(layernorm_gain, op_layernorm(t, in[0], in[1], NULL, EPS))
PLAIN(rmsnorm, op_rmsnorm(t, in[0], in[1], EPS))
PLAIN(rmsnorm_plain, op_rmsnorm(t, in[0], NULL, EPS))
PLAIN(l2norm, op_l2norm(t, in[0], EPS))
PLAIN(l2norm_held, op_l2norm(t, in[0], 100))
PLAIN(softmax, op_softmax(t, in[0]))
PLAIN(log_softmax, op_log_softmax(t, in[0]))

BUILD(cross_entropy)
{
    (void)c;
    static const int32_t targets[] = {3, 0, -5, 6};
    static const real weights[] = {1, (real)0.5, 0, 2};
    return op_cross_entropy(t, in[0], targets, weights, (real)0.3, NULL);
}
BUILD(smooth_cross_entropy)
{
    (void)c;
    static const int32_t targets[] = {3, 0, -5, 6};
    static const real weights[] = {1, (real)0.5, 0, 2};
    return op_smooth_cross_entropy(t, in[0], targets, weights, (real)0.3, 0.2, NULL);
}

PLAIN(jitter, op_jitter(t, in[0], 0.3, (rng_key){.seed = 5, .place = 9}))
PLAIN(dropout, op_dropout(t, in[0], 0.4, (rng_key){.seed = 5, .place = 9}))

/* ---- attention ---- */

static const rng_key DROP = {.seed = 3, .step = 1, .place = 4};

/* Rows of the table: by c->arg. extra comes from the inputs' shapes. */
static const struct {
    int64_t heads, kv_heads, head_dim;
    int64_t window, block, phase, memory;
    double dropout;
    bool noncausal, valid, t5, alibi;
} ATTENTION[] = {
    {.heads = 2, .kv_heads = 2, .head_dim = 4},
    {.heads = 4, .kv_heads = 2, .head_dim = 3, .valid = true},
    {.heads = 3, .kv_heads = 1, .head_dim = 2, .noncausal = true, .alibi = true},
    {.heads = 2, .kv_heads = 2, .head_dim = 3, .window = 9, .alibi = true},
    {.heads = 2, .kv_heads = 1, .head_dim = 4, .block = 16, .phase = 5, .memory = 11},
    {.heads = 2, .kv_heads = 2, .head_dim = 2, .t5 = true, .valid = true},
    {.heads = 2, .kv_heads = 2, .head_dim = 2, .dropout = 0.3},
    {.heads = 2, .kv_heads = 2, .head_dim = 2, .t5 = true, .noncausal = true},
};

/* in: q [rows, queries, heads e], k and v [rows, keys, kv_heads e], T5 table [buckets, heads] */
BUILD(attention)
{
    static const int64_t valid[] = {7, 0, 3};
    const int i = c->arg;
    attention_shape s = {.heads = ATTENTION[i].heads,
                         .kv_heads = ATTENTION[i].kv_heads,
                         .head_dim = ATTENTION[i].head_dim,
                         .scale = (real)0.6,
                         .causal = !ATTENTION[i].noncausal,
                         .window = ATTENTION[i].window,
                         .block = ATTENTION[i].block,
                         .phase = ATTENTION[i].phase,
                         .memory = ATTENTION[i].memory,
                         .valid = ATTENTION[i].valid ? valid : NULL,
                         .t5_table = ATTENTION[i].t5 ? in[3] : NULL,
                         .t5_max_distance = 40,
                         .alibi = ATTENTION[i].alibi,
                         .dropout = ATTENTION[i].dropout,
                         .key = DROP};
    return op_attention(t, (attention_operand){in[0], 0}, (attention_operand){in[1], 0},
                        (attention_operand){in[2], 0}, &s);
}

/* q, k and v as parts of one tensor [rows, time, 3 * 8]. */
BUILD(attention_packed)
{
    (void)c;
    attention_shape s = {
        .heads = 2, .kv_heads = 2, .head_dim = 4, .scale = (real)0.5, .causal = true};
    return op_attention(t, (attention_operand){in[0], 0}, (attention_operand){in[0], 8},
                        (attention_operand){in[0], 16}, &s);
}

/* arg: bit 0 interleaved; bits 1, 2: xpos 0, 1, -1 */
BUILD(rotary)
{
    static const int xpos[] = {0, 1, -1};
    rotary_shape s = {.column = 2,
                      .heads = 2,
                      .head_dim = 4,
                      .first = -3,
                      .theta = 100,
                      .interleaved = c->arg & 1,
                      .xpos = xpos[c->arg / 2]};
    return op_rotary_inplace(t, op_scale(t, in[0], 1), &s);
}

BUILD(rotary_periodic)
{
    rotary_shape s = {
        .heads = 2, .head_dim = 4, .first = c->arg, .block = 5, .period = 3, .theta = 100};
    return op_rotary_inplace(t, op_scale(t, in[0], 1), &s);
}

/* ---- LSTM: output and both last states in one tensor ---- */

BUILD(lstm)
{
    tensor *h, *cell;
    tensor *y = op_lstm(t, in[0], in[1], c->arg ? in[2] : NULL, c->arg ? in[3] : NULL, &h, &cell);
    tensor *flat[] = {tape_reshape(t, y, 1, (int64_t[]){tensor_count(y)}),
                      tape_reshape(t, h, 1, (int64_t[]){tensor_count(h)}),
                      tape_reshape(t, cell, 1, (int64_t[]){tensor_count(cell)})};
    return op_concat(t, 3, flat, 0);
}

/* ---- recurrences ---- */

static tensor *flat(tape *t, tensor *x)
{
    return tape_reshape(t, x, 1, (int64_t[]){tensor_count(x)});
}

/* y and what is carried on, so that gradients of both are checked. */
static tensor *with_carried(tape *t, tensor *y, tensor *last)
{
    if (!last) return y;
    return op_concat(t, 2, (tensor *[]){flat(t, y), flat(t, last)}, 0);
}

/* in: x, w, before; arg: dilation */
BUILD(conv)
{
    tensor *last;
    tensor *y = op_conv(t, in[0], in[1], in[2], c->arg, ACT_SILU, &last);
    return with_carried(t, y, last);
}

BUILD(conv_from_zero)
{
    return op_conv(t, in[0], in[1], NULL, c->arg, ACT_SILU, NULL);
}

/* Rows of the table: by c->arg. shut: a position that forgets all. */
static const struct {
    int64_t heads, value_heads, chunk;
    bool correct, starts, decays, shut;
} DELTA[] = {
    {1, 1, 3, true, true, true, false},  {1, 2, 64, true, true, true, false},
    {2, 2, 1, true, true, true, false},  {1, 1, 3, true, false, false, false},
    {1, 2, 2, false, true, true, false}, {1, 1, 20, true, true, true, true},
};

/* in: [q, k] [2, rows, time, heads key], v, [beta, decay logits] [2, rows, time, value_heads],
 * start
 */
BUILD(delta)
{
    const int i = c->arg;
    tensor *part[4];
    for (int k = 0; k < 4; k++) {
        tensor *of = in[k < 2 ? 0 : 2];
        part[k] = tape_reshape(t, op_slice(t, of, 0, k % 2, k % 2 + 1), 3, of->shape + 1);
    }
    tensor *g = op_scale(t, op_activation(t, part[3], ACT_SOFTPLUS), -1);
    if (DELTA[i].shut) {
        tensor *one = op_slice(t, g, 1, 0, 1), *rest = op_slice(t, g, 1, 2, g->shape[1]);
        tensor *all = op_shift(t, op_slice(t, g, 1, 1, 2), (real)-1e5);
        g = op_concat(t, 3, (tensor *[]){one, all, rest}, 1);
    }
    delta_rule rule = {.q = part[0],
                       .k = part[1],
                       .v = in[1],
                       .beta = part[2],
                       .g = DELTA[i].decays ? g : NULL,
                       .start = DELTA[i].starts ? in[3] : NULL,
                       .heads = DELTA[i].heads,
                       .value_heads = DELTA[i].value_heads,
                       .chunk = DELTA[i].chunk,
                       .scale = (real)0.7,
                       .correct = DELTA[i].correct};
    tensor *last;
    tensor *y = op_delta(t, &rule, &last);
    return with_carried(t, y, last);
}

/* Rows of the table: by c->arg. */
static const struct {
    int64_t chunk, block, phase;
    bool starts, carries;
} TTT[] = {{3, 100, 0, false, true},
           {3, 100, 2, true, true},
           {3, 5, 1, true, true},
           {1, 4, 0, true, true},
           {8, 100, 3, true, false}};

/* What it says and, of a case that carries, what it carries on: gradients go through all of them.
 */
static tensor *run_ttt(tape *t, const ttt_rule *rule, bool carries)
{
    tensor *last, *sum;
    tensor *y = op_ttt(t, rule, carries ? &last : NULL, carries ? &sum : NULL);
    return carries ? with_carried(t, with_carried(t, y, last), sum) : y;
}

/* in: [q, k, v] [3, rows, time, heads dim], lr, [gain, bias, b, w] [3 + dim, heads dim], pos,
 * [start, sum] [2, rows, heads (dim + 1), dim] */
BUILD(ttt)
{
    enum { GAIN, BIAS, B, W, FEATURES };
    tensor *stream[3], *feature[FEATURES], *carried[2] = {NULL, NULL};
    for (int i = 0; i < 3; i++) {
        stream[i] = tape_reshape(t, op_slice(t, in[0], 0, i, i + 1), 3, in[0]->shape + 1);
    }
    int64_t width = in[2]->shape[1], dim = in[2]->shape[0] - W;
    for (int i = 0; i < FEATURES; i++) {
        feature[i] = op_slice(t, in[2], 0, i, i == W ? W + dim : i + 1);
        feature[i] = tape_reshape(t, feature[i], 2, (int64_t[]){width, i == W ? dim : 1});
    }
    for (int i = 0; i < 2 && TTT[c->arg].starts; i++) {
        carried[i] = tape_reshape(t, op_slice(t, in[4], 0, i, i + 1), 3, in[4]->shape + 1);
    }
    ttt_rule rule = {.q = stream[0],
                     .k = stream[1],
                     .v = stream[2],
                     .lr = in[1],
                     .pos = in[3],
                     .gain = feature[0],
                     .bias = feature[1],
                     .w = feature[W],
                     .b = feature[B],
                     .start = carried[0],
                     .sum = carried[1],
                     .heads = width / dim,
                     .chunk = TTT[c->arg].chunk,
                     .block = TTT[c->arg].block,
                     .phase = TTT[c->arg].phase,
                     .eps = (real)0.05};
    return run_ttt(t, &rule, TTT[c->arg].carries);
}

/* Numbers [at, at + n) of x [..], flat. */
static tensor *numbers(tape *t, tensor *x, int64_t *at, int64_t n)
{
    *at += n;
    return op_slice(t, x, 0, *at - n, *at);
}

/* Two layers: in as of ttt, but in[2] flat: gain, bias, W, b, W2, b2. */
BUILD(ttt_mlp)
{
    enum { DIM = 3, HIDDEN = 5 };
    tensor *stream[3], *carried[2] = {NULL, NULL};
    int64_t width = in[0]->shape[3], heads = width / DIM, at = 0;
    for (int i = 0; i < 3; i++) {
        stream[i] = tape_reshape(t, op_slice(t, in[0], 0, i, i + 1), 3, in[0]->shape + 1);
    }
    for (int i = 0; i < 2 && TTT[c->arg].starts; i++) {
        carried[i] = tape_reshape(t, op_slice(t, in[4], 0, i, i + 1), 3, in[4]->shape + 1);
    }
    ttt_rule rule = {.q = stream[0],
                     .k = stream[1],
                     .v = stream[2],
                     .lr = in[1],
                     .pos = in[3],
                     .gain = numbers(t, in[2], &at, width),
                     .bias = numbers(t, in[2], &at, width),
                     .w = numbers(t, in[2], &at, width * HIDDEN),
                     .b = numbers(t, in[2], &at, heads * HIDDEN),
                     .w2 = numbers(t, in[2], &at, width * HIDDEN),
                     .b2 = numbers(t, in[2], &at, width),
                     .start = carried[0],
                     .sum = carried[1],
                     .heads = heads,
                     .hidden = HIDDEN,
                     .chunk = TTT[c->arg].chunk,
                     .block = TTT[c->arg].block,
                     .phase = TTT[c->arg].phase,
                     .eps = (real)0.05};
    return run_ttt(t, &rule, TTT[c->arg].carries);
}

/* clang-format off */
#define S1(a)          {1, {a}}
#define S2(a, b)       {2, {a, b}}
#define S3(a, b, c)    {3, {a, b, c}}
#define S4(a, b, c, d) {4, {a, b, c, d}}
#define ACTIVATIONS(kind, low, high) \
    {"activation_" #kind, activated, ACT_##kind, {S2(5, 7)}, low, high, 0}, \
    {"activation_linear_" #kind, activated_linear, ACT_##kind, {S2(5, 7), S2(3, 7), S1(3)}, low, high, 0}, \
    {"glu_" #kind, gated, ACT_##kind, {S2(5, 6)}, low, high, 0}

const op_case OP_CASES[] = {
    {"linear", linear, 0, {S3(2, 5, 4), S2(3, 4), S1(3)}, 0, 0, 0},
    {"linear_one_row", linear, 0, {S2(1, 4), S2(3, 4), S1(3)}, 0, 0, 0},
    {"linear_no_bias", linear_no_bias, 0, {S2(40, 9), S2(6, 9)}, 0, 0, 0},
    {"linear_wide", linear, 0, {S2(37, 70), S2(130, 70), S1(130)}, 0, 0, 0},
    {"matmul", matmul, 0, {S2(3, 4), S2(4, 5)}, 0, 0, 0},
    {"matmul_ta", matmul, 1, {S3(2, 4, 3), S3(2, 4, 5)}, 0, 0, 0},
    {"matmul_tb", matmul, 2, {S3(2, 3, 4), S2(5, 4)}, 0, 0, 0},
    {"matmul_ta_tb", matmul, 3, {S2(4, 3), S3(2, 5, 4)}, 0, 0, 0},
    {"add", add, 0, {S3(2, 3, 4), S3(2, 3, 4)}, 0, 0, 0},
    {"add_itself", add_itself, 0, {S2(3, 4)}, 0, 0, 0},
    {"add_inplace", add_inplace, 0, {S2(3, 4), S2(3, 4)}, 0, 0, 0},
    {"sub", sub, 0, {S2(3, 4), S2(3, 4)}, 0, 0, 0},
    {"mul", mul, 0, {S2(3, 4), S2(3, 4)}, 0, 0, 0},
    {"mul_itself", mul_itself, 0, {S2(3, 4)}, 0, 0, 0},
    {"scale", scale, 0, {S2(3, 4)}, 0, 0, 0},
    {"shift", shift, 0, {S2(3, 4)}, 0, 0, 0},
    {"axpy", axpy, 0, {S2(3, 4), S2(3, 4)}, 0, 0, 0},
    {"add_row", add_row, 0, {S3(2, 20, 4), S1(4)}, 0, 0, 0},
    {"mul_row", mul_row, 0, {S3(2, 20, 4), S1(4)}, 0, 0, 0},
    {"mul_col", mul_col, 0, {S3(2, 3, 4), S2(2, 3)}, 0, 0, 0},
    {"div", quotient, 0, {S2(3, 4), S2(3, 4)}, 0.5, 2, 0},
    {"sum", sum, 0, {S3(2, 3, 4)}, 0, 0, 0},
    {"sum_rows", sum_rows, 0, {S3(2, 20, 67)}, 0, 0, 0},
    {"sum_last", sum_last, 0, {S3(2, 3, 4)}, 0, 0, 0},
    {"select_rows", select_rows, 0, {S3(3, 2, 2), S3(3, 2, 2)}, 0, 0, 0},
    {"reshape", reshape, 0, {S2(3, 4)}, 0, 0, 0},
    ACTIVATIONS(IDENTITY, -3, 3),
    ACTIVATIONS(RELU, 0, 0),
    ACTIVATIONS(RELU2, 0, 0),
    ACTIVATIONS(GELU, -3, 3),
    ACTIVATIONS(GELU_TANH, -3, 3),
    ACTIVATIONS(SILU, -3, 3),
    ACTIVATIONS(TANH, -3, 3),
    ACTIVATIONS(SIGMOID, -3, 3),
    ACTIVATIONS(SOFTPLUS, -3, 3),
    ACTIVATIONS(EXP, -3, 3),
    ACTIVATIONS(SQRT, 0.5, 2),
    ACTIVATIONS(LOG, 0.5, 2),
    {"activation_linear_twice", activated_linear_twice, ACT_GELU, {S2(5, 7), S2(3, 7), S1(3)}, 0, 0, 0},
    {"columns", columns, 0, {S3(2, 3, 5)}, 0, 0, 0},
    {"slice_0", slice, 0, {S3(4, 3, 5)}, 0, 0, 0},
    {"slice_1", slice, 1, {S4(2, 4, 3, 2)}, 0, 0, 0},
    {"concat_0", concat, 0, {S2(2, 3), S2(4, 3)}, 0, 0, 0},
    {"concat_1", concat, 1, {S3(2, 3, 2), S3(2, 1, 2)}, 0, 0, 0},
    {"transpose_01", transpose, 1, {S2(3, 5)}, 0, 0, 0},
    {"transpose_12", transpose, 12, {S4(2, 3, 4, 2)}, 0, 0, 0},
    {"transpose_13", transpose, 13, {S4(2, 3, 4, 2)}, 0, 0, 0},
    {"repeat", repeat, 0, {S3(2, 3, 2)}, 0, 0, 0},
    {"gather", gather, 0, {S2(4, 3)}, 0, 0, 0},
    {"bag", bag, 0, {S2(4, 3), S2(3, 2)}, 0, 0, 0},
    {"scatter", scatter, 0, {S2(5, 3)}, 0, 0, 0},
    {"pick", pick, 0, {S2(6, 4)}, 0, 0, 0},
    {"layernorm", layernorm, 0, {S3(2, 20, 33), S1(33), S1(33)}, 0, 0, 0},
    {"layernorm_plain", layernorm_plain, 0, {S2(3, 8)}, 0, 0, 0},
    {"layernorm_gain", layernorm_gain, 0, {S2(3, 8), S1(8)}, 0, 0, 0},
    {"rmsnorm", rmsnorm, 0, {S2(20, 9), S1(9)}, 0, 0, 0},
    {"rmsnorm_plain", rmsnorm_plain, 0, {S2(3, 8)}, 0, 0, 0},
    {"l2norm", l2norm, 0, {S2(3, 8)}, 0, 0, 0},
    {"l2norm_held", l2norm_held, 0, {S2(3, 8)}, 0, 0, 0},
    {"softmax", softmax, 0, {S2(4, 9)}, -4, 4, 0},
    {"log_softmax", log_softmax, 0, {S2(4, 9)}, -4, 4, 0},
    {"cross_entropy", cross_entropy, 0, {S2(4, 7)}, -4, 4, 0},
    {"smooth_cross_entropy", smooth_cross_entropy, 0, {S2(4, 7)}, -4, 4, 0},
    {"dropout", dropout, 0, {S3(2, 5, 9)}, 0, 0, 0},
    {"jitter", jitter, 0, {S3(2, 5, 9)}, 0, 0, 0},
    /* 70 queries and 79 keys: more than one tile, and nothing divides evenly */
    {"attention", attention, 0, {S3(1, 70, 8), S3(1, 70, 8), S3(1, 70, 8)}, -2, 2, 0},
    {"attention_extra", attention, 0, {S3(2, 5, 8), S3(2, 9, 8), S3(2, 9, 8)}, -2, 2, 0},
    {"attention_one_query", attention, 0, {S3(2, 1, 8), S3(2, 9, 8), S3(2, 9, 8)}, -2, 2, 0},
    {"attention_valid", attention, 1, {S3(3, 6, 12), S3(3, 13, 6), S3(3, 13, 6)}, -2, 2, 0},
    {"attention_noncausal", attention, 2, {S3(2, 6, 6), S3(2, 8, 2), S3(2, 8, 2)}, -2, 2, 0},
    {"attention_window", attention, 3, {S3(1, 70, 6), S3(1, 79, 6), S3(1, 79, 6)}, -2, 2, 0},
    {"attention_block", attention, 4, {S3(1, 70, 8), S3(1, 79, 4), S3(1, 79, 4)}, -2, 2, 0},
    {"attention_t5", attention, 5, {S3(2, 70, 4), S3(2, 79, 4), S3(2, 79, 4), S2(8, 2)}, -2, 2, 0},
    {"attention_dropout", attention, 6, {S3(2, 7, 4), S3(2, 9, 4), S3(2, 9, 4)}, -2, 2, 0},
    {"attention_t5_noncausal", attention, 7, {S3(1, 7, 4), S3(1, 9, 4), S3(1, 9, 4), S2(6, 2)}, -2, 2, 0},
    {"attention_packed", attention_packed, 0, {S3(2, 6, 24)}, -2, 2, 0},
    {"rotary", rotary, 0, {S3(2, 70, 12)}, 0, 0, 0},
    {"rotary_pairs", rotary, 1, {S3(2, 4, 12)}, 0, 0, 0},
    {"rotary_xpos", rotary, 2, {S3(2, 70, 12)}, 0, 0, 0},
    {"rotary_xpos_key", rotary, 4, {S3(2, 4, 12)}, 0, 0, 0},
    {"rotary_periodic", rotary_periodic, 1, {S3(2, 8, 8)}, 0, 0, 0},
    {"lstm", lstm, 1, {S3(3, 5, 16), S2(16, 4), S2(3, 4), S2(3, 4)}, 0, 0, 0},
    {"lstm_from_zero", lstm, 0, {S3(2, 4, 12), S2(12, 3)}, 0, 0, 0},
    {"conv", conv, 1, {S3(2, 5, 3), S2(3, 4), S3(2, 3, 3)}, 0, 0, 0},
    {"conv_dilated", conv, 3, {S3(2, 4, 3), S2(3, 3), S3(2, 6, 3)}, 0, 0, 0},
    {"conv_pointwise", conv_from_zero, 1, {S3(2, 4, 3), S2(3, 1)}, 0, 0, 0},
    {"conv_from_zero", conv_from_zero, 2, {S3(2, 5, 3), S2(3, 4)}, 0, 0, 0},
    {"delta", delta, 0, {S4(2, 2, 7, 4), S3(2, 7, 3), S4(2, 2, 7, 1), S3(2, 4, 3)}, 0, 0, 0},
    {"delta_shared_keys", delta, 1, {S4(2, 2, 7, 3), S3(2, 7, 6), S4(2, 2, 7, 2), S3(2, 6, 3)}, 0, 0, 0},
    {"delta_one_by_one", delta, 2, {S4(2, 1, 4, 4), S3(1, 4, 6), S4(2, 1, 4, 2), S3(1, 4, 3)}, 0, 0, 0},
    {"delta_from_zero", delta, 3, {S4(2, 2, 7, 4), S3(2, 7, 3), S4(2, 2, 7, 1)}, 0, 0, 0},
    {"delta_uncorrected", delta, 4, {S4(2, 2, 5, 3), S3(2, 5, 6), S4(2, 2, 5, 2), S3(2, 6, 3)}, 0, 0, 0},
    /* two strips of the triangular system; values small, for corrections beyond 2 grow */
    {"delta_strips", delta, 5, {S4(2, 1, 37, 3), S3(1, 37, 2), S4(2, 1, 37, 1), S3(1, 3, 2)}, -0.6, 0.6, 0},
    {"ttt", ttt, 0, {S4(3, 2, 7, 8), S3(2, 7, 2), S2(7, 8), S1(3)}, 0, 0, 0},
    {"ttt_inside_a_chunk", ttt, 1, {S4(3, 1, 6, 3), S3(1, 6, 1), S2(6, 3), S1(3), S4(2, 1, 4, 3)}, 0, 0, 0},
    {"ttt_short_chunks", ttt, 2, {S4(3, 2, 7, 6), S3(2, 7, 2), S2(6, 6), S1(3), S4(2, 2, 8, 3)}, 0, 0, 0},
    {"ttt_one_by_one", ttt, 3, {S4(3, 1, 5, 3), S3(1, 5, 1), S2(6, 3), S1(1), S4(2, 1, 4, 3)}, 0, 0, 0},
    {"ttt_without_end", ttt, 4, {S4(3, 1, 3, 3), S3(1, 3, 1), S2(6, 3), S1(8), S4(2, 1, 4, 3)}, 0, 0, 0},
    {"ttt_mlp", ttt_mlp, 0, {S4(3, 2, 7, 6), S3(2, 7, 2), S1(88), S1(3)}, 0, 0, 0},
    {"ttt_mlp_inside_a_chunk", ttt_mlp, 1, {S4(3, 1, 6, 3), S3(1, 6, 1), S1(44), S1(3), S4(2, 1, 38, 1)}, 0, 0, 0},
    {"ttt_mlp_short_chunks", ttt_mlp, 2, {S4(3, 2, 7, 6), S3(2, 7, 2), S1(88), S1(3), S4(2, 2, 76, 1)}, 0, 0, 0},
    {"ttt_mlp_one_by_one", ttt_mlp, 3, {S4(3, 1, 5, 3), S3(1, 5, 1), S1(44), S1(1), S4(2, 1, 38, 1)}, 0, 0, 0},
};
/* clang-format on */

const int OP_CASE_COUNT = (int)(sizeof OP_CASES / sizeof *OP_CASES);

/* Uniform in [low, high), or in [-1.1, 1.1) without (-0.1, 0.1), where a kink would be. */
static real place(const op_case *c, real u)
{
    if (c->low == 0 && c->high == 0) return u < 0 ? u - (real)0.1 : u + (real)0.1;
    return (real)(float)(c->low + (c->high - c->low) * ((double)u + 1) / 2);
}

int op_case_inputs(const op_case *c, gradcheck_input *inputs)
{
    static const char *const names[] = {"x0", "x1", "x2", "x3", "x4"};
    int n = 0;
    for (; n < OP_CASE_INPUTS && c->in[n].rank > 0; n++) {
        gradcheck_input *x = &inputs[n];
        *x = (gradcheck_input){.name = names[n], .rank = c->in[n].rank};
        int64_t count = 1;
        for (int i = 0; i < x->rank; i++) {
            count *= x->shape[i] = c->in[n].shape[i];
        }
        x->data = malloc((size_t)count * sizeof *x->data);
        CHECK(x->data, "out of memory for %lld values", (long long)count);
        fill_uniform(x->data, count, (uint32_t)n + 1);
        for (int64_t i = 0; i < count; i++) {
            x->data[i] = (real)(float)place(c, x->data[i]);
        }
    }
    return n;
}

void op_case_free(int n, gradcheck_input *inputs)
{
    for (int i = 0; i < n; i++) {
        free(inputs[i].data);
    }
}

tensor *op_case_build(tape *t, tensor *const *inputs, void *user)
{
    const op_case *c = user;
    return c->build(t, inputs, c);
}
