/* Inside data/: the pieces that a long document is encoded in, since the library needs a hundred
 * times the memory of its text.
 *
 * A piece ends behind `piece_bytes`, where the encoder says that cut and whole text have the same
 * ids (sentencepiece_encoder_cut), judged by 4 KiB around the cut. Encoding the pieces gives the
 * ids of the document as one whole. */
#pragma once

#include "data/reader.h"
#include "data/sentencepiece_encoder.h"

/* Bytes of a file: a document, and how long its pieces are to be. */
typedef struct text_range {
    reader *reader;
    int file;
    int64_t offset, bytes;
    int64_t piece_bytes;
} text_range;

/* Bytes [begin, end) of the document, and what is beyond them. */
typedef struct text_piece {
    int64_t begin, end;
    text_edge before, behind;
} text_piece;

/* The piece behind `p`, which is all zero before the first. False: it is the last one (e->text is
 * empty), or the file cannot be read. */
bool text_cut_next(text_piece *p, const text_range *document, const sentencepiece_encoder *x,
                   err *e);
