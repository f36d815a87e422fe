/* Old keys and values made into fewer (Rae et al. 2019, arXiv:1911.05507, sec. 3).
 *
 * When a block is complete, its keys and values enter the memory; the oldest that fall out of it,
 * `factor` at a time, become one compressed entry each. The newest `compressed` entries are kept.
 * If what falls out is no multiple of the factor, the oldest of it are dropped.
 *
 * DIFFERS: the paper compresses a layer's inputs; here, as in the PyTorch port, its raw keys and
 * values, which saves computing them again in every block. */
#pragma once

#include "layers/token_plan.h"

/* Declares the convolution's parameters in plan. */
void compression_build(layer_build *b, layer *self, const token_options *o, token_plan *plan);

/* Compressed entries of a row with `tokens` positions (whole blocks) behind it. */
int64_t compression_count(const token_options *o, const token_plan *plan, int64_t block,
                          int64_t tokens);

/* Whether queries are looked at: those of an unfinished block are then kept for when it is
 * complete. */
bool compression_asks(const token_options *o);

/* over [rows, n, 2 kv_width] falls out of the memory: returns [rows, n / factor, 2 kv_width], NULL
 * if that is none. q: the block's raw queries [rows, block, q_width], where compression_asks; its
 * reconstruction loss is added. */
tensor *compress(layer_ctx *c, const layer *self, const token_options *o, const token_plan *plan,
                 tensor *over, attention_operand q);
