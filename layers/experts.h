/* Experts: feed-forward layers side by side, each for some of the tokens (Shazeer et al. 2017,
 * arXiv:1701.06538). What hash, Switch and BASE layers share; how a token finds its expert is
 * theirs.
 *
 *   FFN_e(x) = f(x K_e^T + b_e) V_e^T + c_e, gated forms as in layers/ffn.c
 *
 * keys.weight is K [experts, hidden (2 hidden if gated), width], values.weight V transposed
 * [experts, width, hidden]; keys.bias, values.bias. Each is in as many pieces as there are experts:
 * an expert without tokens is not computed and has no gradient. */
#pragma once

#include "layers/ffn_form.h"
#include "layers/layer_inspect.h"

typedef struct experts_options {
    int64_t experts, hidden, activation;
    bool bias;
} experts_options;

/* The table's entries for an options struct with a member `experts` of that type. */
#define EXPERTS_OPTIONS(type)                                                                      \
    {"experts",                                                                                    \
     OPTION_INT,                                                                                   \
     offsetof(type, experts.experts),                                                              \
     .initial = "16",                                                                              \
     .min = 1,                                                                                     \
     .max = 65536,                                                                                 \
     .help = "feed-forward layers to choose from"},                                                \
        {"hidden",                                                                                 \
         OPTION_INT,                                                                               \
         offsetof(type, experts.hidden),                                                           \
         .initial = "none",                                                                        \
         .min = 1,                                                                                 \
         .max = 1e7,                                                                               \
         .nullable = true,                                                                         \
         .help = "memories per expert; none: 4 x width, or 8/3 x width if gated"},                 \
        {"activation",                                                                             \
         OPTION_CHOICE,                                                                            \
         offsetof(type, experts.activation),                                                       \
         .initial = "gelu",                                                                        \
         .choices = FFN_ACTIVATIONS,                                                               \
         .help = FFN_ACTIVATION_HELP},                                                             \
    {                                                                                              \
        "bias", OPTION_BOOL, offsetof(type, experts.bias),                                         \
            .initial = "true", .help = "learned biases of keys and values"                         \
    }

/* What follows from the options; parameters are indexes for layer_piece, -1: not there. */
typedef struct experts_plan {
    int64_t experts, hidden;
    ffn_form form;
    int keys, values, keys_bias, values_bias;
    const char **load_names; /* [experts] of the metrics of single experts; NULL: too many */
} experts_plan;

/* For layer_class.settle. */
void experts_settle(experts_options *o, const layer *self);
/* Hidden size and names of metrics: no parameters yet. */
void experts_plan_init(layer_build *b, const layer *self, const experts_options *o,
                       experts_plan *p);
/* Declares the parameters; a token uses `per_token` of the experts. */
void experts_build(layer_build *b, layer *self, const experts_options *o, int64_t per_token,
                   experts_plan *p);
/* One of them: weights [pieces, out, in] or biases [pieces, out]; active: share in one token. */
int experts_matrix(layer_build *b, layer *self, const char *name, int64_t pieces, int64_t out,
                   int64_t in, bool to_residual, double active);
int experts_vector(layer_build *b, layer *self, const char *name, int64_t pieces, int64_t out,
                   double active);

/* Choices sorted by expert, in order within one. Choice i belongs to row i mod rows of x. */
typedef struct routing {
    int64_t experts, rows, count; /* count: choices that are routed */
    int64_t *begin;               /* [experts + 1] */
    int32_t *choice;              /* [count] */
    int32_t *row;                 /* [count] */
} routing;

/* expert [choices], -1: routed nowhere; choices is a multiple of rows. Valid until the step's
 * reset. */
routing experts_route(layer_ctx *c, const int32_t *expert, int64_t choices, int64_t rows,
                      int64_t experts);

/* y [count, out]: row i, of expert e's, is f(x_i) W_e^T + b_e with W_e piece `first` + e of
 * parameter `weight`. bias -1: none. */
tensor *experts_linear(layer_ctx *c, const layer *self, tensor *x, const routing *r, activation f,
                       int weight, int bias, int64_t first, int64_t out);

/* y [rows, width]: the sum over a row's choices of gate times FFN_e(x); rows that are routed
 * nowhere are zero. gate [choices] or NULL: 1. */
tensor *experts_forward(layer_ctx *c, const layer *self, const experts_plan *p, tensor *x,
                        const routing *r, tensor *gate);

/* The experts as memories, a group each, for layer_class.memories. */
bool experts_memories(const layer *self, const experts_plan *p, layer_memories *m);

/* Multiply-adds count 2, per token, for `per_token` experts. */
double experts_flops(const layer *self, const experts_plan *p, int64_t per_token);

/* x [rows, time, width] as [rows * time, width]. */
tensor *experts_flat(layer_ctx *c, tensor *x);
/* scores [rows, experts] = x W^T, in float32 at any precision: rounded ones would send tokens that
 * are nearly as good at two experts elsewhere than the gradient of the choice says. */
tensor *experts_scores(layer_ctx *c, const layer *self, tensor *x, int weight);
/* Whether position i (row-major in the call) is text; padding is routed nowhere. */
bool experts_is_text(const layer_ctx *c, int64_t i);
/* Rows of the call that are text, in order; how many. ids has room for rows * time. */
int64_t experts_text_rows(const layer_ctx *c, int32_t *ids);

/* While training, logs the load of `groups` groups of choices, expert [groups, choices], -1 left
 * out, as means over the groups: load.<e> (share), load_entropy (1: all equal), load_max (largest
 * share times experts), empty (share of experts without tokens). */
void experts_load(layer_ctx *c, const layer *self, const experts_plan *p, const int32_t *expert,
                  int64_t groups, int64_t choices);

/* Offers choices [n / (rows time), rows, time] as a tensor of reals. */
void experts_tap(layer_ctx *c, const layer *self, const char *name, const int32_t *values,
                 int64_t n);
