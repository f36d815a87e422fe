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
