/* Options of everything that attends to tokens. */
#pragma once

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
 * to layer is given; HAS_MEMORY: when positions before the block are seen, as `.needs` says it. */
#define TOKEN_AT(S, F, field) (offsetof(S, F) + offsetof(token_options, field))
/* clang-format off */
#define TOKEN_OPTIONS(S, F, WINDOW_MIN, MEMORY_HELP, QK_NORM, HAS_MEMORY)                          \
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
     .needs = "positions=rotary|xpos", .help = "longest wavelength / 2 pi, positions"},            \
    {"t5_buckets", OPTION_INT, TOKEN_AT(S, F, t5_buckets), .initial = "32", .min = 2,              \
     .max = 4096, .needs = "positions=t5", .help = "learned biases per head"},                     \
    {"t5_max_distance", OPTION_INT, TOKEN_AT(S, F, t5_max_distance), .initial = "128", .min = 2,   \
     .max = 1e8, .needs = "positions=t5",                                                          \
     .help = "distance from which on all share the last bias"},                                    \
    {"qk_norm", OPTION_CHOICE, TOKEN_AT(S, F, qk_norm), .initial = QK_NORM,                        \
     .choices = "none|rms|l2",                                                                     \
     .help = "normalise queries and keys per head, with learned scales"},                          \
    {"qk_scale", OPTION_REAL, TOKEN_AT(S, F, qk_scale), .initial = "none", .min = 1e-2,            \
     .max = 16, .nullable = true,                                                                 \
     .needs = "qk_norm=rms|l2",                                                                    \
     .help = "what scores of unit vectors start multiplied with; none: l2 "                        \
             "1/sqrt(head_dim), rms sqrt(head_dim)"},                                              \
    {"bias", OPTION_BOOL, TOKEN_AT(S, F, bias), .initial = "false",                                \
     .help = "learned biases of the projections"},                                                 \
    {"dropout", OPTION_REAL, TOKEN_AT(S, F, dropout), .initial = "0", .min = 0, .max = 0.95,       \
     .help = "probability of dropping an attention weight while training"},                        \
    {"memory_dropout", OPTION_REAL, TOKEN_AT(S, F, memory_dropout), .initial = "0", .min = 0,      \
     .max = 0.95, .needs = HAS_MEMORY,                                                             \
     .help = "probability that a training segment begins without its row's memory"}

/* And those of compression; LENGTH is the default. */
#define COMPRESSION_OPTIONS(S, F, LENGTH)                                                          \
    {"compressed", OPTION_INT, TOKEN_AT(S, F, compressed), .initial = LENGTH, .min = 0,            \
     .max = 1e8, .help = "compressed entries kept behind the memory; 0: no compression"},          \
    {"factor", OPTION_INT, TOKEN_AT(S, F, factor), .initial = "4", .min = 1, .max = 1024,          \
     .needs = "compressed>0", .help = "keys that become one compressed entry"},                    \
    {"compression", OPTION_CHOICE, TOKEN_AT(S, F, compression), .initial = "convolution",          \
     .choices = "convolution|mean|max|most_used", .needs = "compressed>0",                         \
     .help = "how: convolution is learned, most_used keeps keys that the block looked at"},        \
    {"reconstruction", OPTION_REAL, TOKEN_AT(S, F, reconstruction), .initial = "0", .min = 0,      \
     .max = 1e3, .needs = "compressed>0 and compression=convolution",                              \
     .help = "weight of the attention reconstruction loss, which only learned compression has"}
/* clang-format on */

bool token_options_check(const token_options *o, const layer_dims *dims, const node *at, err *e);

/* Numbers of a head in a stream of that width. */
int64_t token_options_head_dim(const token_options *o, int64_t width);
