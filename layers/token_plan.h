/* What token_attention makes of its options when a layer is built, and what it gives for a call:
 * shared by its parts (token_memory, token_scores, token_blocks, compression) and by the layers on
 * top of it. */
#pragma once

#include "layers/token_options.h"

/* What follows from options and dims. Parameters are indexes for layer_tensor, -1: not there. */
typedef struct token_plan {
    int64_t heads, kv_heads, head_dim;
    int64_t q_width, kv_width; /* all query heads; all key heads */
    int64_t memory;
    bool rotary;
    bool keep_queries;  /* token_result.q is wanted: set after building */
    bool whole_block;   /* the block's own keys are carried whatever the window */
    bool grows;         /* its keys and values are joined in the slot's own memory, if they can */
    bool keeps_rotated; /* where text is generated, rotated keys are kept beside them */
    int qkv, qkv_bias, t5_table, q_gain, k_gain;
    int compress_k, compress_v, compress_k_bias, compress_v_bias;
    int slot, first_slot, compressed_slot, query_slot; /* -1: there is none */
} token_plan;

typedef struct token_result {
    tensor *y; /* [rows, time, q_width], before the output projection */
    /* Raw keys and values [rows, extra + time, 2 kv_width], position i of the call at extra + i;
     * of the `extra`, only the newest valid[row] are the row's own. NULL unless whole_block. */
    tensor *kv;
    tensor *q; /* raw queries [rows, time, q_width]; NULL unless keep_queries */
    int64_t extra;
    const int64_t *valid;
} token_result;
