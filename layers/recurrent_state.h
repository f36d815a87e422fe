/* State vectors that are carried from block to block (Hutchins et al. 2022, arXiv:2203.07852,
 * sec. 3): how a layer that owns them begins a block with them, lets tokens look at them, and
 * writes a block into them. Widths as in token_attention.h: all queries, all keys.
 *
 * Once per block, of the state s [rows, states, width] as it stands when the block begins:
 *
 *   n = norm(s) * gain + ids;   sk, sv = n W_kv^T
 *   read:   o = Att(unit(h W_q^T) * g_q, unit(sk) * g_k, sv)            h: the block's tokens
 *   write:  a1 = Att(unit(n W_s^T) * g_1, unit(sk) * g_2, sv)           the states themselves
 *           a2 = Att(unit(n W_t^T) * g_3, unit(k) * g_4, v)             k, v: the tokens' own, raw
 *           s' = cell(s, [a1, a2])
 *
 * without mask and position. cell, with u = [a1, a2] (form paper) or [a1, a2] W_o^T (form port):
 *
 *   skip:    s' = gate(s, u)
 *   single:  s' = gate(s, relu(u W_1^T))
 *   dual:    r = gate(s, u);  s' = gate(r, relu(norm(r) W_1^T))
 *
 *   gate fixed:  z = h W_z^T + b_z;  paper: s g + z (1 - g), port: z g + s (1 - g);  g = sigma(b_g)
 *   gate lstm:   z = tanh(h W_z^T + b_z); s sigma(h W_f^T + b_f + 1) + z sigma(h W_i^T + b_i - 1)
 *
 * Forms: the paper's gate weighs the old value and starts from small kernels (variance 0.1 /
 * inputs); the PyTorch port's weighs the new one, projects the attention's output first, and starts
 * like a torch.nn.Linear. Equally far from both ends at first, they differ in what weight decay
 * does.
 *
 * Queries and keys of all that involves states have unit length, so their products lie within -1 to
 * 1. What these start multiplied with is an option (`state_scale`), put into where the learned
 * gains start. meliad has 1/sqrt(head_dim) for unnormalised ones only, and for normalised ones a
 * learned scale that starts at 1; the PyTorch port declares 8 and multiplies by 1/sqrt(head_dim).
 * DIFFERS: ours start at 8, measured: below 4 the states' attention stays nearly uniform and the
 * model hardly uses them (experiments/studies/scales).
 *
 * DIFFERS from the paper: learned scales are per component of a head, as in the port, not per head
 * (one factor can be had from many, not the reverse), and are used with their sign. */
#pragma once

#include "layers/token_attention.h"

enum { GATE_FIXED, GATE_LSTM };
enum { CONFIGURATION_SKIP, CONFIGURATION_SINGLE, CONFIGURATION_DUAL };
enum { FORM_PAPER, FORM_PORT };
enum { STATE_NORM_LAYERNORM, STATE_NORM_RMSNORM };
enum { CLEAR_DOCUMENT, CLEAR_SEGMENT, CLEAR_NEVER };

typedef struct state_options {
    int64_t states, gate, configuration, form, norm, hidden;
    int64_t clear, segment_blocks;
    double dropout, scale;
} state_options;

/* One gate's parameters, -1: not there. */
typedef struct gate_params {
    int weight, bias, balance; /* z (and i, f) by rows; the fixed gate's b_g */
} gate_params;

/* Sizes and parameters; -1: not there. */
typedef struct state_plan {
    int64_t heads, kv_heads, head_dim, q_width, kv_width;
    int64_t hidden; /* 0: no feed-forward layer */
    int start, ids, gain, kv, q;
    int self_q_gain, self_k_gain, tokens_q_gain, tokens_k_gain;
    int out, ffn, ffn_gain;
    gate_params gate, ffn_gate;
    int slot;
} state_plan;

state_plan recurrent_state_build(layer_build *b, layer *self, const state_options *o,
                                 const token_plan *tokens);

/* The state with which the block at `offset` positions behind the call's first begins (or goes on):
 * what was carried, or the learned start where it is cleared. carried may be NULL. */
tensor *recurrent_state_begin(layer_ctx *c, const layer *owner, const state_options *o,
                              const state_plan *plan, int64_t offset, tensor *carried);

/* What is made of it once per block. */
typedef struct prepared_state {
    tensor *state, *normed, *kv; /* [rows, states, width], the same, [rows, states, 2 kv_width] */
} prepared_state;

prepared_state recurrent_state_prepare(layer_ctx *c, const layer *owner, const state_options *o,
                                       const state_plan *plan, tensor *state);

/* Attention weights [rows, queries, keys], means over heads, of what recurrent_state_attend
 * computes without dropout; NULL valid: all keys. Tape memory. */
real *recurrent_state_weights(layer_ctx *c, const state_plan *plan, attention_operand q,
                              attention_operand k, const int64_t *valid);

/* A block that is complete. */
typedef struct state_block {
    tensor *kv;           /* its raw keys and values [rows, n, 2 kv_width] */
    const int64_t *valid; /* [rows]: how many of the newest count; NULL: all */
    int64_t begin, end;   /* the last keys are those of positions [begin, end) of the call */
    int exchange;         /* as which inspection is told what was written */
} state_block;

/* Returns the next state. */
tensor *recurrent_state_write(layer_ctx *c, const layer *owner, const state_options *o,
                              const state_plan *plan, const prepared_state *s,
                              const state_block *block);

/* softmax(q k^T) v without mask or position; the newest valid[row] keys count (NULL: all). */
tensor *recurrent_state_attend(layer_ctx *c, const state_plan *plan, attention_operand q,
                               attention_operand k, attention_operand v, const int64_t *valid,
                               double dropout, rng_key key);

/* Per token: of preparing, and of writing `keys` tokens a block into the state. */
double recurrent_state_prepare_flops(const layer *owner, const state_options *o,
                                     const state_plan *plan);
double recurrent_state_write_flops(const layer *owner, const state_options *o,
                                   const state_plan *plan, int64_t keys);
