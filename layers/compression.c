#include "layers/compression.h"

#include "core/ops/blas.h"

#include <math.h>

/* What leaves the memory goes through here in groups of `factor` positions, each of which becomes
 * one entry of keys and values, attended to like any position. All ways but most_used are maps of a
 * group; that one keeps some positions as they are and drops the others. */

void compression_build(layer_build *b, layer *self, const token_options *o, token_plan *plan)
{
    if (o->compression != COMPRESS_CONVOLUTION) return;
    int64_t width = plan->kv_width, inputs = o->factor * width;
    plan->compress_k = layer_matrix(b, self, "compress_k.weight", width, inputs, false);
    plan->compress_v = layer_matrix(b, self, "compress_v.weight", width, inputs, false);
    plan->compress_k_bias = layer_vector(b, self, "compress_k.bias", ROLE_BIAS, width, 0);
    plan->compress_v_bias = layer_vector(b, self, "compress_v.bias", ROLE_BIAS, width, 0);
}

/* Which keys the block looked at, and what it would have seen in them. */
bool compression_asks(const token_options *o)
{
    return o->compression == COMPRESS_MOST_USED || o->reconstruction > 0;
}

/* Block n (from 1) pushes min(memory, (n - 1) block) + block - memory positions out: nothing at
 * first, once less than a block, then a block each time. */
int64_t compression_count(const token_options *o, const token_plan *plan, int64_t block,
                          int64_t tokens)
{
    int64_t blocks = tokens / block, fills = (plan->memory + block - 1) / block;
    int64_t entries = MAX(0, blocks - fills) * (block / o->factor);
    if (blocks >= fills) entries += (fills * block - plan->memory) / o->factor;
    return MIN(entries, o->compressed);
}

/* ---- the ways to compress: x [rows, n, width] -> [rows, n / factor, width] ---- */

/* Tap t of every group: [rows, groups, width].
 * A group's positions lie one behind the other, so tap t is a stretch of columns. */
static tensor *tap(layer_ctx *c, tensor *x, int64_t factor, int64_t t)
{
    int64_t groups = x->shape[1] / factor, width = x->shape[2];
    x = tape_reshape(c->tape, x, 3, (int64_t[]){c->rows, groups, factor * width});
    return op_columns(c->tape, x, t * width, (t + 1) * width);
}

static tensor *mean_of(layer_ctx *c, tensor *x, int64_t factor)
{
    tensor *sum = tap(c, x, factor, 0);
    for (int64_t t = 1; t < factor; t++) {
        sum = op_add(c->tape, sum, tap(c, x, factor, t));
    }
    return op_scale(c->tape, sum, (real)(1 / (double)factor));
}

/* max(a, b) = a + relu(b - a) */
static tensor *max_of(layer_ctx *c, tensor *x, int64_t factor)
{
    tensor *most = tap(c, x, factor, 0);
    for (int64_t t = 1; t < factor; t++) {
        tensor *rise = op_sub(c->tape, tap(c, x, factor, t), most);
        most = op_add(c->tape, most, op_activation(c->tape, rise, ACT_RELU));
    }
    return most;
}

/* One convolution of kernel and stride `factor`: weight [width, factor * width], tap by tap. */
static tensor *convolve(layer_ctx *c, const layer *self, tensor *x, int64_t factor, int weight,
                        int bias)
{
    int64_t groups = x->shape[1] / factor;
    x = tape_reshape(c->tape, x, 3, (int64_t[]){c->rows, groups, factor * x->shape[2]});
    return layer_linear(c, self, x, weight, bias);
}

static tensor *convolution_of(layer_ctx *c, const layer *self, const token_options *o,
                              const token_plan *plan, tensor *over)
{
    int64_t width = plan->kv_width;
    tensor *k = op_columns(c->tape, over, 0, width);
    tensor *v = op_columns(c->tape, over, width, 2 * width);
    k = convolve(c, self, k, o->factor, plan->compress_k, plan->compress_k_bias);
    v = convolve(c, self, v, o->factor, plan->compress_v, plan->compress_v_bias);
    return op_concat(c->tape, 2, (tensor *[]){k, v}, 2);
}

/* ---- attention of the block's queries to what falls out ---- */

static tensor *look(layer_ctx *c, const token_plan *plan, attention_operand q, tensor *kv)
{
    attention_shape shape = {.heads = plan->heads,
                             .kv_heads = plan->kv_heads,
                             .head_dim = plan->head_dim,
                             .scale = (real)(1 / sqrt((double)plan->head_dim))};
    return op_attention(c->tape, q, (attention_operand){kv, 0},
                        (attention_operand){kv, plan->kv_width}, &shape);
}

/* usage [n]: how much the row's queries look at each key, added over heads.
 * Outside of the tape: the choice has no gradient, what is chosen has. */
static void key_usage(layer_ctx *c, const token_plan *plan, attention_operand q, const tensor *kv,
                      int64_t row, double *usage)
{
    int64_t n = kv->shape[1], queries = q.x->shape[1], d = plan->head_dim;
    real *scores = tape_keep(c->tape, queries * n, sizeof(real));
    for (int64_t j = 0; j < n; j++) {
        usage[j] = 0;
    }
    for (int64_t h = 0; h < plan->heads; h++) {
        const real *qh = q.x->data + row * queries * q.x->shape[2] + q.column + h * d;
        const real *kh = kv->data + row * n * kv->shape[2] + h * plan->kv_heads / plan->heads * d;
        blas_gemm(tape_exact(c->tape), false, true, queries, n, d, (real)(1 / sqrt((double)d)), qh,
                  q.x->shape[2], kh, kv->shape[2], 0, scores, n);
        for (int64_t i = 0; i < queries; i++) {
            double sum = 0, most = (double)scores[i * n];
            for (int64_t j = 1; j < n; j++) {
                most = MAX(most, (double)scores[i * n + j]);
            }
            for (int64_t j = 0; j < n; j++) {
                sum += exp((double)scores[i * n + j] - most);
            }
            for (int64_t j = 0; j < n; j++) {
                usage[j] += exp((double)scores[i * n + j] - most) / sum;
            }
        }
    }
    /* What is no number is below all that are: compared with a NaN nothing is more used, and more
     * than `kept` keys would be among the most used. */
    for (int64_t j = 0; j < n; j++) {
        if (isnan(usage[j])) usage[j] = -1;
    }
}

/* The `kept` keys of a row with the most usage, in the order in which they stand: ids into all
 * rows' keys. Ties go to the newer.
 * By counting how many are above: n^2 comparisons of a block, and no sort whose ties would
 * matter. */
static void choose(const double *usage, int64_t n, int64_t kept, int64_t row, int32_t *ids)
{
    int64_t at = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t above = 0;
        for (int64_t i = 0; i < n; i++) {
            above += usage[i] > usage[j] || (usage[i] == usage[j] && i > j);
        }
        if (above < kept) ids[at++] = (int32_t)(row * n + j);
    }
    CHECK(at == kept, "%lld of %lld keys kept", (long long)at, (long long)kept);
}

/* DIFFERS: the paper averages the attention over all queries that could see a key; here it is that
 * of the block during which the key falls out. */
static tensor *most_used_of(layer_ctx *c, const token_options *o, const token_plan *plan,
                            tensor *over, attention_operand q)
{
    int64_t n = over->shape[1], kept = n / o->factor, width = over->shape[2];
    int32_t *ids = tape_keep(c->tape, c->rows * kept, sizeof *ids);
    double *usage = tape_keep(c->tape, n, sizeof *usage);
    for (int64_t r = 0; r < c->rows; r++) {
        key_usage(c, plan, q, over, r, usage);
        choose(usage, n, kept, r, ids + r * kept);
    }
    tensor *all = tape_reshape(c->tape, over, 2, (int64_t[]){c->rows * n, width});
    tensor *chosen = op_gather(c->tape, all, ids, c->rows * kept);
    return tape_reshape(c->tape, chosen, 3, (int64_t[]){c->rows, kept, width});
}

static tensor *by_kind(layer_ctx *c, const layer *self, const token_options *o,
                       const token_plan *plan, tensor *over, attention_operand q)
{
    switch (o->compression) {
    case COMPRESS_MEAN:
        return mean_of(c, over, o->factor);
    case COMPRESS_MAX:
        return max_of(c, over, o->factor);
    case COMPRESS_MOST_USED:
        return most_used_of(c, o, plan, over, q);
    default:
        return convolution_of(c, self, o, plan, over);
    }
}

/* |attn(h, old) - attn(h, new)|^2, mean over numbers: how well the new entries stand in for the
 * old. Only the compression learns from it (sec. 3.1). Queries and keys as they are: neither
 * rotated nor normalised. */
static void add_reconstruction(layer_ctx *c, const layer *self, const token_options *o,
                               const token_plan *plan, tensor *over, attention_operand q)
{
    q.x = tape_detach(c->tape, q.x);
    over = tape_detach(c->tape, over);
    tensor *entries = by_kind(c, self, o, plan, over, q);
    tensor *off = op_sub(c->tape, look(c, plan, q, over), look(c, plan, q, entries));
    tensor *loss = op_sum(c->tape, op_mul(c->tape, off, off));
    double mean = (double)*loss->data / (double)tensor_count(off);
    layer_metric(c, self, "reconstruction", mean, 1);
    /* A block's share, however many of them the call holds. */
    double share = c->share * (double)self->dims.block / (double)c->time;
    layer_aux(
        c, op_scale(c->tape, loss, (real)(o->reconstruction * share / (double)tensor_count(off))));
}

tensor *compress(layer_ctx *c, const layer *self, const token_options *o, const token_plan *plan,
                 tensor *over, attention_operand q)
{
    if (o->reconstruction > 0 && c->mode == MODE_TRAIN) {
        add_reconstruction(c, self, o, plan, over, q);
    }
    return by_kind(c, self, o, plan, over, q);
}
