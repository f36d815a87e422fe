/* Counting words as published perplexities count them: maximal runs of bytes that are not ASCII
 * white space (space, \t, \n, \v, \f, \r). */
#ifndef LOCI_DATA_WORDS_H
#define LOCI_DATA_WORDS_H

#include "core/base/base.h"

/* Words that begin in text[0..bytes); *inside says whether the byte before was part of a word, and
 * is left so for the next piece. */
int64_t words_count(const unsigned char *text, int64_t bytes, bool *inside);

#endif
