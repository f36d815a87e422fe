/* Attention of tokens to tokens with what is carried of earlier ones: the common part of all layers
 * that attend.
 *
 *   q, k, v = heads(x W_qkv^T + b);   y = merge(softmax(q k^T / sqrt(head_dim) + bias) v)
 *
 * On the grid of positions since the row's reset, a query at position p sees the keys
 *
 *   [max(block_begin(p) - memory, p - window + 1, 0), p]
 *
 * and, with compression, the entries that keys older than these were made into (compression.h).
 *
 * Slots: "kv" [rows, length, 2 kv_heads head_dim] carries raw keys and values (before rotation and
 * normalisation) of what later positions may still see; "compressed" likewise [rows, length, ...].
 * Compression that looks at queries carries those of an unfinished block in "queries" [rows,
 * length, q_width]. Where a row may have lost its memory other than by a reset, "first" [rows, 1,
 * 1] carries the position since which it counts. Everything is aligned to the right: of a row only
 * so many of the newest entries are its own. Rotary positions are counted from the oldest key of
 * the call: only differences matter, and small angles stay exact in float. */
#ifndef LOCI_LAYERS_TOKEN_ATTENTION_H
#define LOCI_LAYERS_TOKEN_ATTENTION_H

#include "layers/layer.h"

typedef struct token_options {
    int64_t heads, kv_heads, head_dim;
    int64_t window, memory;
    int64_t positions, qk_norm;
    double theta, qk_scale;
    int64_t t5_buckets, t5_max_distance;
    bool bias;
    double dropout, memory_dropout;
    int64_t compressed, factor, compression; /* compressed 0: none */
    double reconstruction;
} token_options;

enum { POSITIONS_ROTARY, POSITIONS_XPOS, POSITIONS_T5, POSITIONS_ALIBI, POSITIONS_NONE };
enum { QK_NORM_NONE, QK_NORM_RMS, QK_NORM_L2 };
enum { COMPRESS_CONVOLUTION, COMPRESS_MEAN, COMPRESS_MAX, COMPRESS_MOST_USED };

/* The rows of an option table for field `F` (a token_options) of struct S; what differs from layer
 * to layer is given. */
#define TOKEN_AT(S, F, field) (offsetof(S, F) + offsetof(token_options, field))
/* clang-format off */
#define TOKEN_OPTIONS(S, F, WINDOW_MIN, MEMORY_HELP, QK_NORM)                                      \
    {"heads", OPTION_INT, TOKEN_AT(S, F, heads), .initial = "4", .min = 1, .max = 1024,            \
     .help = "query heads"},                                                                       \
    {"kv_heads", OPTION_INT, TOKEN_AT(S, F, kv_heads), .initial = "none", .min = 1, .max = 1024,   \
     .nullable = true,                                                                             \
     .help = "key and value heads, shared by groups of query heads; none: heads"},                 \
    {"head_dim", OPTION_INT, TOKEN_AT(S, F, head_dim), .initial = "none", .min = 1, .max = 4096,   \
     .nullable = true, .help = "size of a head; none: width / heads"},                             \
    {"window", OPTION_INT, TOKEN_AT(S, F, window), .initial = "none", .min = WINDOW_MIN,           \
     .max = 1e8, .nullable = true,                                                                 \
     .help = "positions that a query sees at most, its own included"},                             \
    {"memory", OPTION_INT, TOKEN_AT(S, F, memory), .initial = "none", .min = 0, .max = 1e8,        \
     .nullable = true, .help = MEMORY_HELP},                                                       \
    {"positions", OPTION_CHOICE, TOKEN_AT(S, F, positions), .initial = "rotary",                   \
     .choices = "rotary|xpos|t5|alibi|none", .help = "how distance enters the scores"},            \
    {"theta", OPTION_REAL, TOKEN_AT(S, F, theta), .initial = "10000", .min = 1, .max = 1e9,        \
     .help = "rotary, xpos: longest wavelength / 2 pi, positions"},                                \
    {"t5_buckets", OPTION_INT, TOKEN_AT(S, F, t5_buckets), .initial = "32", .min = 2,              \
     .max = 4096, .help = "t5: learned biases per head"},                                          \
    {"t5_max_distance", OPTION_INT, TOKEN_AT(S, F, t5_max_distance), .initial = "128", .min = 2,   \
     .max = 1e8, .help = "t5: distance from which on all share the last bias"},                    \
    {"qk_norm", OPTION_CHOICE, TOKEN_AT(S, F, qk_norm), .initial = QK_NORM,                        \
     .choices = "none|rms|l2",                                                                     \
     .help = "normalise queries and keys per head, with learned scales"},                          \
    {"qk_scale", OPTION_REAL, TOKEN_AT(S, F, qk_scale), .initial = "none", .min = 1e-2,            \
     .max = 16, .nullable = true,                                                                 \
     .help = "qk_norm: what scores of unit vectors start multiplied with; none: l2 "               \
             "1/sqrt(head_dim), rms sqrt(head_dim)"},                                              \
    {"bias", OPTION_BOOL, TOKEN_AT(S, F, bias), .initial = "false",                                \
     .help = "learned biases of the projections"},                                                 \
    {"dropout", OPTION_REAL, TOKEN_AT(S, F, dropout), .initial = "0", .min = 0, .max = 0.95,       \
     .help = "probability of dropping an attention weight while training"},                        \
    {"memory_dropout", OPTION_REAL, TOKEN_AT(S, F, memory_dropout), .initial = "0", .min = 0,      \
     .max = 0.95,                                                                                  \
     .help = "probability that a training segment begins without its row's memory"}

/* And those of compression; LENGTH is the default. */
#define COMPRESSION_OPTIONS(S, F, LENGTH)                                                          \
    {"compressed", OPTION_INT, TOKEN_AT(S, F, compressed), .initial = LENGTH, .min = 0,            \
     .max = 1e8, .help = "compressed entries kept behind the memory; 0: no compression"},          \
    {"factor", OPTION_INT, TOKEN_AT(S, F, factor), .initial = "4", .min = 1, .max = 1024,          \
     .help = "keys that become one compressed entry"},                                             \
    {"compression", OPTION_CHOICE, TOKEN_AT(S, F, compression), .initial = "convolution",          \
     .choices = "convolution|mean|max|most_used",                                                  \
     .help = "how: convolution is learned, most_used keeps keys that the block looked at"},        \
    {"reconstruction", OPTION_REAL, TOKEN_AT(S, F, reconstruction), .initial = "0", .min = 0,      \
     .max = 1e3, .help = "weight of the attention reconstruction loss"}
/* clang-format on */

/* What follows from options and dims. Parameters are indexes for layer_tensor, -1: not there. */
typedef struct token_plan {
    int64_t heads, kv_heads, head_dim;
    int64_t q_width, kv_width; /* all query heads; all key heads */
    int64_t memory;
    bool rotary;
    bool keep_queries; /* token_result.q is wanted: set after building */
    bool whole_block;  /* the block's own keys are carried whatever the window */
    int qkv, qkv_bias, t5_table, q_gain, k_gain;
    int compress_k, compress_v, compress_k_bias, compress_v_bias;
    int slot, first_slot, compressed_slot, query_slot; /* -1: there is none */
} token_plan;

bool token_attention_check(const token_options *o, const layer_dims *dims, const node *at, err *e);

/* Declares parameters and slots. memory: positions seen before the block where the option does not
 * say; whole_block: the layer needs all of the block's keys (token_result.kv). */
token_plan token_attention_build(layer_build *b, layer *self, const token_options *o,
                                 int64_t memory, bool whole_block);

typedef struct token_result {
    tensor *y; /* [rows, time, q_width], before the output projection */
    /* Raw keys and values [rows, extra + time, 2 kv_width], position i of the call at extra + i;
     * of the `extra`, only the newest valid[row] are the row's own. NULL unless whole_block. */
    tensor *kv;
    tensor *q; /* raw queries [rows, time, q_width]; NULL unless keep_queries */
    int64_t extra;
    const int64_t *valid;
} token_result;

token_result token_attention_forward(layer_ctx *c, const layer *self, const token_options *o,
                                     const token_plan *plan, tensor *x);

/* Per token at full context: products of projections (without the output's) and scores. */
double token_attention_flops(const layer *self, const token_options *o, const token_plan *plan);

/* Columns of `heads` heads, normalised per head and scaled by gain [head_dim], as a tensor of
 * their own. kind: QK_NORM_RMS or QK_NORM_L2. */
attention_operand token_attention_normalised(tape *t, attention_operand a, int64_t heads,
                                             int64_t head_dim, int64_t kind, tensor *gain);

/* Where the gains of queries and of keys start, so that the score of two heads of unit length,
 * which attention divides by sqrt(head_dim), starts as `scale` times their product. A scale below 0
 * leaves both gains at 1: 1 / sqrt(head_dim) for QK_NORM_L2, sqrt(head_dim) for QK_NORM_RMS. */
double heads_gain(double scale, int64_t head_dim, int64_t kind);

#endif
