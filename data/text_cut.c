/* Pieces of about piece_bytes, cut where a window of the text around the place agrees with both
 * sides (sentencepiece_encoder_cut). The rule looks at the text only, so neither threads nor memory
 * change where cuts fall, nor any id. */
#include "data/text_cut.h"

enum { WINDOW_BYTES = 1 << 12 }; /* looked at around a cut */

/* Fills p->end and p->behind. */
static bool find_end(text_piece *p, const text_range *d, const sentencepiece_encoder *x, err *e)
{
    char window[WINDOW_BYTES];
    p->end = d->bytes;
    p->behind = EDGE_WHOLE;
    /* What is left fits one piece, or nearly: no stump is made of the end. */
    if (d->bytes - p->begin <= d->piece_bytes + WINDOW_BYTES) return true;
    int64_t at = p->begin + d->piece_bytes, cut, first = 0;
    if (!reader_bytes(d->reader, d->file, d->offset + at, WINDOW_BYTES, window, e)) return false;
    while (first < 4 && ((unsigned char)window[first] & 0xc0) == 0x80) {
        first++; /* the window begins inside a character */
    }
    /* From the middle of the window on: half of it is context for the left side. */
    if (!sentencepiece_encoder_cut(x, window + first, WINDOW_BYTES - first, WINDOW_BYTES / 2, &cut,
                                   &p->behind, e)) {
        return false;
    }
    p->end = at + first + cut;
    return true;
}

bool text_cut_next(text_piece *p, const text_range *document, const sentencepiece_encoder *x,
                   err *e)
{
    if (e) e->text[0] = 0;
    p->before = p->end ? p->behind : EDGE_WHOLE;
    p->begin = p->end + (p->before == EDGE_SPACE); /* the space that was cut at is left out */
    return p->begin < document->bytes && find_end(p, document, x, e);
}
