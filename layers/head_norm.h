/* Queries and keys normalised per head, with a learned gain for the components of all heads. */
#pragma once

#include "layers/token_options.h"

/* Columns of `heads` heads, normalised per head and scaled by gain [head_dim], as a tensor of
 * their own. kind: QK_NORM_RMS or QK_NORM_L2. */
attention_operand head_norm(tape *t, attention_operand a, int64_t heads, int64_t head_dim,
                            int64_t kind, tensor *gain);

/* Where the gains of queries and of keys start, so that the score of two heads of unit length,
 * which attention divides by sqrt(head_dim), starts as `scale` times their product. A scale below 0
 * leaves both gains at 1: 1 / sqrt(head_dim) for QK_NORM_L2, sqrt(head_dim) for QK_NORM_RMS. */
double head_norm_gain(double scale, int64_t head_dim, int64_t kind);
/* Whether that is 1, as it is without a scale. */
bool head_norm_starts_at_one(double scale, int64_t head_dim, int64_t kind);
