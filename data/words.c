/* Words as published word-level perplexities count them: runs of bytes that are no ASCII white
 * space (C's isspace in the C locale). Counted without branches, since every byte of a corpus
 * passes here: a word begins where a byte is inside and the one before was not. */
#include "data/words.h"

int64_t words_count(const unsigned char *text, int64_t bytes, bool *inside)
{
    int64_t words = 0;
    unsigned before = *inside;
    for (int64_t i = 0; i < bytes; i++) {
        /* \t \n \v \f \r are 9..13. */
        unsigned in = !(text[i] == ' ' || (unsigned char)(text[i] - 9) < 5);
        words += in & (before ^ 1u);
        before = in;
    }
    *inside = before != 0;
    return words;
}
