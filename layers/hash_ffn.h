/* Inside of the hash layer: shared by hash_ffn.c (options, weights) and hash_choice.c (which expert
 * a token gets). */
#pragma once

#include "layers/experts.h"

typedef struct hash_ffn_options {
    experts_options experts;
    int64_t hash, n, hashes, form, seed, clusters;
    const char *table;
    bool oracle;
} hash_ffn_options;

/* In the order of the choices. */
enum {
    HASH_RANDOM,
    HASH_BALANCED,
    HASH_MODULO,
    HASH_BIGRAM,
    HASH_PREVIOUS,
    HASH_POSITION,
    HASH_NGRAM,
    HASH_SEQUENCE,
    HASH_FUTURE,
    HASH_PREDICTED,
    HASH_CLUSTERED,
    HASH_DISPERSED,
    HASH_TABLE
};
enum { FORM_SEGMENTS, FORM_SLICES };

typedef struct hash_ffn_plan {
    experts_plan experts; /* of one hash: its parameters are those below */
    int64_t hashes, past; /* earlier tokens that are hashed */
    bool tabular;         /* by a table of single tokens */
    int table;            /* parameter */
    const int32_t *ids;   /* hash: table: as the file gave it, for identities */
    int slot;             /* -1: nothing is carried */
    uint64_t *keys;       /* [hashes] */
    const char *problem;  /* with the source of embeddings; NULL: none */
} hash_ffn_plan;

/* Experts of the call's tokens, [hashes, rows * time]; -1 at padding. */
int32_t *hash_choice(layer_ctx *c, const layer *self);
