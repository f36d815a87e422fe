#include "layers/stored_keys.h"

#include "layers/head_norm.h"

#include <math.h>
#include <string.h>

/* The ring of a row holds entry p at place p mod size, and p counts from the row's reset. What may
 * be seen is a range of positions, computed from p alone; so leftovers of an earlier document are
 * in the ring and are never looked at, and a reset costs nothing. */

bool stored_keys_check(const token_options *o, const layer_dims *dims, const node *at, err *e)
{
    if (dims->flush) {
        return node_err(e, at, "positions are stored as they stand; give the model partial: keep");
    }
    return token_options_check(o, dims, at, e);
}

/* Where the queries' gain starts: stored_keys_scale multiplies by sqrt(head_dim) on top of it. */
static double start_of(double scale, int64_t head_dim)
{
    return scale < 0 ? 1 : scale / sqrt((double)head_dim);
}

void stored_keys_settle(token_options *o, double *scale, const layer *self)
{
    real start = (real)start_of(*scale, token_options_head_dim(o, self->dims.width));
    /* A scale that is what the default comes to is the default: one model, one identity. */
    if (start >= 1 && start <= 1) *scale = -1;
    token_attention_settle(o, self, self->dims.block);
}

stored_keys stored_keys_build(layer_build *b, layer *self, const token_options *o, int64_t length,
                              double gate, double scale)
{
    stored_keys plan = {.tokens = token_attention_build(b, self, o, self->dims.block, true),
                        .length = length};
    plan.tokens.keep_queries = true;
    int64_t width = self->dims.width, heads = plan.tokens.heads;
    /* Stored keys have no gain of their own: that of the queries is all of the scale. */
    double start = start_of(scale, plan.tokens.head_dim);
    plan.gain = layer_vector(b, self, "lookup.gain", ROLE_GAIN, plan.tokens.head_dim, start);
    plan.gate = layer_vector(b, self, "lookup.gate", ROLE_BIAS, heads, gate);
    plan.out = layer_matrix(b, self, "out.weight", width, plan.tokens.q_width, true);
    plan.out_bias = o->bias ? layer_vector(b, self, "out.bias", ROLE_BIAS, width, 0) : -1;
    /* What the block at hand writes must not overwrite what it sees. */
    plan.size = length + plan.tokens.memory + self->dims.block;
    plan.width = 2 * plan.tokens.kv_width;
    plan.store = layer_slot_store(b, self, "store", plan.size, plan.width);
    self->detached = true;
    return plan;
}

/* Keys are normalised once, when they are stored, not whenever they are looked at; a key of zeros
 * stays one. */
void stored_keys_write(layer_ctx *c, const layer *self, const stored_keys *plan,
                       const token_result *r, int64_t begin, int64_t end)
{
    int64_t half = plan->tokens.kv_width, d = plan->tokens.head_dim;
    real *store = layer_store(c, self, plan->store);
    for (int64_t n = begin; n < end; n++) {
        for (int64_t row = 0; row < c->rows; row++) {
            const real *kv = r->kv->data + (row * r->kv->shape[1] + r->extra + n) * r->kv->shape[2];
            /* Every row may stand elsewhere in its ring. */
            int64_t p = (c->position[row] + n) % plan->size;
            real *entry = store + (row * plan->size + p) * plan->width;
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

lookup_store stored_keys_seen(layer_ctx *c, const layer *self, const stored_keys *plan,
                              int64_t begin)
{
    int64_t *from = tape_keep(c->tape, c->rows, sizeof *from);
    int64_t *to = tape_keep(c->tape, c->rows, sizeof *to);
    for (int64_t row = 0; row < c->rows; row++) {
        int64_t p = c->position[row] + begin;
        /* Up to where attention's own memory begins: no position is seen twice. */
        to[row] = MAX(0, p - p % self->dims.block - plan->tokens.memory);
        from[row] = MAX(0, to[row] - plan->length);
    }
    return (lookup_store){layer_store(c, self, plan->store), plan->size, plan->width, from, to};
}

tensor *stored_keys_queries(layer_ctx *c, const layer *self, const stored_keys *plan,
                            const token_result *r)
{
    return head_norm(c->tape, (attention_operand){r->q, 0}, plan->tokens.heads,
                     plan->tokens.head_dim, QK_NORM_L2, layer_tensor(c, self, plan->gain))
        .x;
}

real stored_keys_scale(const stored_keys *plan)
{
    /* Of unit vectors: sqrt(head_dim) lets scores differ as those of plain attention do. */
    return (real)sqrt((double)plan->tokens.head_dim);
}

/* o + g (m - o), g by head.
 * op_mul_row multiplies the last axis, so heads are put there and back. */
static tensor *mix(layer_ctx *c, const layer *self, const stored_keys *plan, tensor *o, tensor *m)
{
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

tensor *stored_keys_output(layer_ctx *c, const layer *self, const stored_keys *plan, tensor *o,
                           tensor *m)
{
    return layer_linear(c, self, mix(c, self, plan, o, m), plan->out, plan->out_bias);
}

double stored_keys_flops(const layer *self, const token_options *o, const stored_keys *plan)
{
    return token_attention_flops(self, o, &plan->tokens) +
           2 * (double)self->dims.width * (double)plan->tokens.q_width;
}
