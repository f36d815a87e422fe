/* Reference cases of single ops: activations, norms, cross-entropy, attention, positions, LSTM. */
#include "tests/reference/reference.h"

#include "core/ops/ops.h"

#include <math.h>
#include <stdio.h>

enum { NAME_BYTES = 64 };

/* A recording tape for one use. */
static tape *fresh_tape(void)
{
    tape *t = tape_new();
    tape_reset(t, true);
    return t;
}

/* Runs y backwards from the case's cotangent. */
static void backward(reference_case *c, tape *t, tensor *y, const char *cotangent)
{
    tape_seed(t, y, reference_real(c, cotangent));
    tape_run_backward(t);
}

static char *joined(reference_case *c, const char *prefix, const char *name)
{
    char text[NAME_BYTES];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    return arena_strdup(c->memory, text);
}

static void check_activation(reference_case *c, const char *name, activation kind)
{
    tape *t = fresh_tape();
    tensor *x = reference_leaf(c, t, "x", true);
    tensor *y = op_activation(t, x, kind);
    reference_expect_tensor(c, joined(c, name, ".y"), y, "outputs");
    backward(c, t, y, "cotangent");
    reference_expect_grad(c, joined(c, name, ".grad_x"), x);
    tape_free(t);
}

static void check_activations(reference_case *c)
{
    check_activation(c, "gelu", ACT_GELU);
    check_activation(c, "gelu_tanh", ACT_GELU_TANH);
    check_activation(c, "silu", ACT_SILU);
    check_activation(c, "relu", ACT_RELU);
    check_activation(c, "relu_squared", ACT_RELU2);
    check_activation(c, "sigmoid", ACT_SIGMOID);
    check_activation(c, "tanh", ACT_TANH);
    check_activation(c, "softplus", ACT_SOFTPLUS);
    tape *t = fresh_tape();
    tensor *x = reference_leaf(c, t, "geglu.x", true);
    tensor *y = op_glu(t, x, ACT_GELU);
    reference_expect_tensor(c, "geglu.y", y, "outputs");
    backward(c, t, y, "geglu.cotangent");
    reference_expect_grad(c, "geglu.grad_x", x);
    tape_free(t);
}

static void check_norm(reference_case *c, const char *name)
{
    tape *t = fresh_tape();
    tensor *x = reference_leaf(c, t, "x", true);
    tensor *gain = reference_leaf(c, t, "gain", true);
    tensor *bias = reference_leaf(c, t, "bias", true);
    real eps = (real)reference_number(c, joined(c, name, "_eps"));
    bool layer = name[0] == 'l' && name[1] == 'a', rms = name[0] == 'r';
    tensor *y = layer ? op_layernorm(t, x, gain, bias, eps)
                : rms ? op_rmsnorm(t, x, gain, eps)
                      : op_l2norm(t, x, eps);
    reference_expect_tensor(c, joined(c, name, ".y"), y, "outputs");
    backward(c, t, y, "cotangent");
    reference_expect_grad(c, joined(c, name, ".grad_x"), x);
    if (layer || rms) reference_expect_grad(c, joined(c, name, ".grad_gain"), gain);
    if (layer) reference_expect_grad(c, joined(c, name, ".grad_bias"), bias);
    tape_free(t);
}

static void check_norms(reference_case *c)
{
    check_norm(c, "layernorm");
    check_norm(c, "rmsnorm");
    check_norm(c, "l2norm");
}

static void check_cross_entropy(reference_case *c)
{
    int64_t rows = reference_size(c, "rows"), ignored = reference_size(c, "ignore_index");
    const int64_t *ids = reference_int(c, "targets");
    int32_t *targets = ARENA_NEW(c->memory, int32_t, rows);
    real *weights = ARENA_NEW(c->memory, real, rows), *per_row = ARENA_NEW(c->memory, real, rows);
    double *losses = arena_push_zero(c->memory, rows, sizeof *losses), total = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++) {
        targets[i] = (int32_t)ids[i];
        weights[i] = ids[i] == ignored ? 0 : 1;
        count += ids[i] != ignored;
    }
    reference_expect_int(c, "count", &count);

    tape *t = fresh_tape();
    tensor *logits = reference_leaf(c, t, "logits", true);
    tensor *loss =
        op_cross_entropy(t, logits, targets, weights, (real)(1.0 / (double)count), losses);
    reference_expect_tensor(c, "loss", loss, "outputs");
    for (int64_t i = 0; i < rows; i++) {
        per_row[i] = weights[i] > 0 ? (real)losses[i] : 0;
        total += weights[i] > 0 ? losses[i] : 0;
    }
    reference_expect(c, "per_row", per_row, "outputs");
    real sum = (real)total;
    reference_expect(c, "loss_sum", &sum, "outputs");
    tape_backward(t, loss, 1);
    reference_expect_grad(c, "grad_logits", logits);
    tape_free(t);
}

/* [rows, heads, time, head_dim] -> [rows, time, heads * head_dim], and back. */
static tensor *join_heads(tape *t, tensor *x)
{
    tensor *y = op_transpose(t, x, 1, 2);
    return tape_reshape(t, y, 3, (int64_t[]){y->shape[0], y->shape[1], y->shape[2] * y->shape[3]});
}

static tensor *split_heads(tape *t, tensor *x, int64_t heads)
{
    tensor *y =
        tape_reshape(t, x, 4, (int64_t[]){x->shape[0], x->shape[1], heads, x->shape[2] / heads});
    return op_transpose(t, y, 1, 2);
}

static rotary_shape rotary_of(reference_case *c, int64_t heads, bool interleaved)
{
    return (rotary_shape){.heads = heads,
                          .head_dim = reference_size(c, "dim_head"),
                          .first = reference_size(c, "position_offset"),
                          .theta = reference_number(c, "theta"),
                          .interleaved = interleaved};
}

static void check_rotary_pairs(reference_case *c, const char *name, bool interleaved)
{
    tape *t = fresh_tape();
    tensor *x = reference_leaf(c, t, "x", true);
    int64_t heads = reference_size(c, "heads");
    rotary_shape shape = rotary_of(c, heads, interleaved);
    tensor *y = split_heads(t, op_rotary_inplace(t, join_heads(t, x), &shape), heads);
    reference_expect_tensor(c, joined(c, name, ".y"), y, "outputs");
    backward(c, t, y, "cotangent");
    reference_expect_grad(c, joined(c, name, ".grad_x"), x);
    tape_free(t);
}

/* The pair (1, 0) turns into (cos angle, sin angle). Rounded angles below 15 are off by 4e-7. */
static void check_rotary_angles(reference_case *c)
{
    int64_t time = reference_size(c, "length"), half = reference_size(c, "dim_head") / 2;
    const real *angles = reference_real(c, "angles");
    real *expected = ARENA_NEW(c->memory, real, time * 2 * half);
    real *units = ARENA_NEW(c->memory, real, time * 2 * half);
    for (int64_t i = 0; i < time * half; i++) {
        int64_t at = i / half * 2 * half + i % half;
        units[at] = 1;
        units[at + half] = 0;
        expected[at] = (real)cos((double)angles[i]);
        expected[at + half] = (real)sin((double)angles[i]);
    }
    tape *t = fresh_tape();
    tensor *x = tape_leaf(t, units, 3, (int64_t[]){1, time, 2 * half}, false);
    rotary_shape shape = rotary_of(c, 1, false);
    tensor *y = op_rotary_inplace(t, x, &shape);
    reference_close(c, "cos and sin of angles", y->data, expected, time * 2 * half, 0, 2e-6);
    tape_free(t);
}

static void check_rotary(reference_case *c)
{
    check_rotary_pairs(c, "half", false);
    check_rotary_pairs(c, "interleaved", true);
    check_rotary_angles(c);
}

/* The bias is the table's row of each distance's bucket; op_attention adds the same rows. */
static void check_t5_bias(reference_case *c)
{
    int64_t buckets = reference_size(c, "num_buckets"), far = reference_size(c, "max_distance");
    int64_t queries = reference_size(c, "queries"), keys = reference_size(c, "keys");
    const st_tensor *list = reference_get(c, "bucket_of_distance");
    if (!list) return;
    int64_t *by_distance = ARENA_NEW(c->memory, int64_t, list->count);
    for (int64_t n = 0; n < list->count; n++)
        by_distance[n] = attention_bias_t5_bucket(n, buckets, far);
    reference_expect_int(c, "bucket_of_distance", by_distance);

    int64_t *grid = ARENA_NEW(c->memory, int64_t, queries * keys);
    int32_t *ids = ARENA_NEW(c->memory, int32_t, queries * keys);
    for (int64_t i = 0; i < queries * keys; i++) {
        int64_t distance = keys - queries + i / keys - i % keys; /* last query at last key */
        grid[i] = distance < 0 ? 0 : attention_bias_t5_bucket(distance, buckets, far);
        ids[i] = (int32_t)grid[i];
    }
    reference_expect_int(c, "buckets", grid);

    tape *t = fresh_tape();
    tensor *table = reference_leaf(c, t, "table", true);
    tensor *bias = op_transpose(t, op_gather(t, table, ids, queries * keys), 0, 1);
    reference_expect_tensor(c, "bias", bias, "outputs");
    backward(c, t, bias, "cotangent");
    reference_expect_grad(c, "grad_table", table);
    tape_free(t);
}

static void check_attention(reference_case *c)
{
    int64_t heads = reference_size(c, "heads"), head_dim = reference_size(c, "dim_head");
    attention_shape shape = {.heads = heads,
                             .kv_heads = reference_size(c, "kv_heads"),
                             .head_dim = head_dim,
                             .scale = (real)(1 / sqrt((double)head_dim)),
                             .causal = true};
    tape *t = fresh_tape();
    tensor *q = reference_leaf(c, t, "q", true), *k = reference_leaf(c, t, "k", true);
    tensor *v = reference_leaf(c, t, "v", true);
    tensor *joined_y = op_attention(t, (attention_operand){join_heads(t, q), 0},
                                    (attention_operand){join_heads(t, k), 0},
                                    (attention_operand){join_heads(t, v), 0}, &shape);
    tensor *y = split_heads(t, joined_y, heads);
    reference_expect_tensor(c, "y", y, "outputs");
    backward(c, t, y, "cotangent");
    reference_expect_grad(c, "grad_q", q);
    reference_expect_grad(c, "grad_k", k);
    reference_expect_grad(c, "grad_v", v);
    tape_free(t);
}

static void check_lstm(reference_case *c)
{
    static const char *const NAMES[] = {"x",         "h0",      "c0",     "weight_ih",
                                        "weight_hh", "bias_ih", "bias_hh"};
    enum { X, H0, C0, W_IH, W_HH, B_IH, B_HH, LEAVES };
    tape *t = fresh_tape();
    tensor *leaf[LEAVES];
    for (int i = 0; i < LEAVES; i++)
        leaf[i] = reference_leaf(c, t, NAMES[i], true);
    /* The case is [time, rows, ...]. */
    tensor *gates = op_linear(t, op_transpose(t, leaf[X], 0, 1), leaf[W_IH], leaf[B_IH]);
    gates = op_add_row(t, gates, leaf[B_HH]);
    tensor *h_last, *c_last;
    tensor *out = op_lstm(t, gates, leaf[W_HH], leaf[H0], leaf[C0], &h_last, &c_last);
    tensor *y = op_transpose(t, out, 0, 1);
    reference_expect_tensor(c, "y", y, "outputs");
    reference_expect_tensor(c, "c_last", c_last, "outputs");
    int64_t n = tensor_count(c_last);
    real *ones = ARENA_NEW(c->memory, real, n);
    for (int64_t i = 0; i < n; i++)
        ones[i] = 1;
    tape_seed(t, c_last, ones);
    backward(c, t, y, "cotangent");
    for (int i = 0; i < LEAVES; i++) {
        reference_expect_grad(c, joined(c, "grad_", NAMES[i]), leaf[i]);
    }
    tape_free(t);
}

const reference_entry REFERENCE_BASICS[] = {{"basics", "activations", check_activations},
                                            {"basics", "norms", check_norms},
                                            {"basics", "norms-small", check_norms},
                                            {"basics", "cross-entropy", check_cross_entropy},
                                            {"basics", "rotary", check_rotary},
                                            {"basics", "t5-bias", check_t5_bias},
                                            {"basics", "attention", check_attention},
                                            {"basics", "attention-single-kv", check_attention},
                                            {"basics", "lstm", check_lstm},
                                            {NULL, NULL, NULL}};
