/* Attention block by block, with compressed entries (compression.h).
 *
 * A block's keys depend on what the blocks before it, of this very call, pushed out of the memory:
 * so block after block, each with a tensor of exactly the keys that it may see, [compressed,
 * memory, own]. Queries are cut from the call; q, k and v are projected once. */
#pragma once

#include "layers/token_plan.h"

/* qkv [rows, time, q_width + 2 kv_width], raw; stores what the next call may see. */
token_result token_blocks(layer_ctx *c, const layer *self, const token_options *o,
                          const token_plan *plan, tensor *qkv);
