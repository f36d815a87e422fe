/* SentencePiece models (Kudo & Richardson 2018, arXiv:1808.06226): the pieces are read from the
 * model file here, for decoding and for the model's identity; encoding is left to the library
 * (sentencepiece_encoder.h), training to the program spm_train (Debian's package `sentencepiece`).
 *
 * Encoding normalises: most models lose newlines and runs of spaces. */
#pragma once

#include "core/base/arena.h"
#include "core/base/sha256.h"

typedef enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6
} piece_type;

typedef struct piece {
    const char *text; /* may hold NULs: `bytes` counts */
    int bytes;
    float score;
    piece_type type;
} piece;

typedef struct sentencepiece {
    piece *pieces; /* [vocab] */
    int64_t vocab;
    bool dummy_prefix, remove_extra_whitespaces, whitespace_suffix;
    /* Of all that changes ids or text: pieces, scores, types, kind of model, normalisation. Not of
     * the file, which also holds the trainer's settings. */
    char hash[SHA256_HEX];
} sentencepiece;

/* Reads a model (a protobuf ModelProto) from memory or file; everything lives in the arena. `name`
 * is for messages. NULL and e if it is none. */
sentencepiece *sentencepiece_parse(arena *a, const unsigned char *data, size_t bytes,
                                   const char *name, err *e);
sentencepiece *sentencepiece_load(arena *a, const char *path, err *e);

/* The text of ids, as spm_decode gives it; caller frees. Ids outside the vocabulary (the start
 * token) have no text. */
char *sentencepiece_decode(const sentencepiece *s, const int32_t *ids, int64_t n);

/* Trains a model on the text that `feed` hands out and writes <model_prefix>.model and .vocab;
 * needs room for the text beside them while it works. */
typedef struct train_job {
    const char *model_prefix;
    const char *type; /* "unigram", "bpe" */
    int64_t vocab;
    int64_t (*feed)(void *user, void *out, int64_t capacity, err *e);
    void *user;
} train_job;
bool sentencepiece_train(const train_job *job, err *e);
