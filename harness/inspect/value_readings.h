/* What feed-forward memories and the residual stream say, read as tokens (Geva et al. 2021,
 * arXiv:2012.14913, sec. 4 and 5). Pure functions of vectors: where these come from (a model under
 * evaluation, stored activations) is the caller's.
 *
 *   p_i = softmax(v_i E^T)   a value's distribution; top(h) = argmax of h E^T
 *   r the residual before a layer, y its output, o the stream behind it
 *
 * Ties go to the smaller token id. */
#pragma once

#include "harness/inspect/triggers.h"
#include "models/readout.h"

enum { VALUE_TOP_TOKENS = 10 };

typedef struct value_reading {
    int32_t tokens[VALUE_TOP_TOKENS]; /* most probable first; -1 where the vocabulary is smaller */
    real probabilities[VALUE_TOP_TOKENS];
} value_reading;

/* Reads values [n, width]. probabilities [n, vocab], NULL: not wanted. Scratch is the arena's,
 * rewound. */
void value_readings(value_reading *out, real *probabilities, const readout *r, const real *values,
                    int64_t n, arena *scratch);

/* How many tokens are more probable than `token` in a distribution or in logits [vocab]. */
int64_t value_readings_rank(const real *x, int64_t vocab, int32_t token);

/* What a memory's value has to do with its key's triggers. */
typedef struct memory_agreement {
    bool triggered;  /* the key has a trigger */
    bool match;      /* the value's top token follows the first trigger */
    int32_t matches; /* how many of the triggers it follows */
    int64_t rank;    /* of the first trigger's next token; -1: not triggered */
} memory_agreement;
memory_agreement value_readings_agreement(const trigger *list, int64_t n, int32_t top);

/* One prefix at one layer. */
typedef struct prefix_reading {
    int32_t top_residual, top_output, top_stream;
    int32_t active;              /* memories with a positive coefficient */
    int32_t match_output_active; /* of these, how many values have the output's top token */
    int32_t match_output_all;    /* of all memories */
    int32_t match_stream_active; /* as the published code: the stream's top token */
    real final_probability;      /* of the model's prediction, read from the residual */
} prefix_reading;

/* Residuals, outputs and streams [n, width] of n prefixes: fills the three tops. */
void value_readings_tops(prefix_reading *out, const readout *r, const real *residual,
                         const real *output, const real *stream, int64_t n, arena *scratch);
/* After the tops: counts matches of one prefix. active [n] are the memories that fire; tops
 * [memories] their values' top tokens, with [vocab] how many values have each token on top. */
void value_readings_match(prefix_reading *out, const int32_t *active, int64_t n,
                          const int32_t *tops, const int32_t *with);
/* Probability of token final[i] under softmax(residual_i E^T). */
void value_readings_final(prefix_reading *out, const readout *r, const real *residual,
                          const int32_t *final, int64_t n, arena *scratch);

/* How the layer's prediction comes about (sec. 5.2). */
typedef enum refinement_case {
    REFINE_RESIDUAL,    /* the residual's, not the layer's */
    REFINE_AGREEMENT,   /* both the same */
    REFINE_OUTPUT,      /* the layer's, not the residual's ("ffn") */
    REFINE_COMPOSITION, /* neither's */
    REFINE_CASES
} refinement_case;
extern const char *const REFINEMENT_CASES[REFINE_CASES];
refinement_case value_readings_refinement(const prefix_reading *p);
