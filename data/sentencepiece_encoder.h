/* Encoding with a SentencePiece model, whole texts or parts of them.
 *
 * A text is encoded as one whole. One that is too long for that is cut where the tokenizer cuts: at
 * a place where the ids of the text around it are those of its two sides. What a model adds to the
 * edges of a text (the dummy prefix) is then added to the edges of the whole only. */
#pragma once

#include "data/sentencepiece.h"
#include "data/sentencepiece_library.h"

typedef struct sentencepiece_encoder sentencepiece_encoder;

/* The model's file, which `s` was read from. NULL and e on failure. */
sentencepiece_encoder *sentencepiece_encoder_open(const sentencepiece *s, const char *path, err *e);
void sentencepiece_encoder_close(sentencepiece_encoder *x);

/* What is beyond an edge of the text that is encoded. */
typedef enum text_edge {
    EDGE_WHOLE, /* nothing: the document begins or ends */
    EDGE_SPACE, /* a space, which was left out */
    EDGE_JOIN   /* more text */
} text_edge;

/* Ids of text, out->ids freed by the caller. Safe from several threads. */
bool sentencepiece_encoder_ids(const sentencepiece_encoder *x, const char *text, int64_t bytes,
                               text_edge before, text_edge behind, sentencepiece_ids *out, err *e);

/* Where to cut a text: at *cut >= from in the window around it; *edge says what was cut at, and
 * the right side begins a byte later at EDGE_SPACE. */
bool sentencepiece_encoder_cut(const sentencepiece_encoder *x, const char *window, int64_t bytes,
                               int64_t from, int64_t *cut, text_edge *edge, err *e);
