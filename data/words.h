/* Counting words as published perplexities count them: maximal runs of bytes that are not ASCII
 * white space (space, \t, \n, \v, \f, \r). */
#pragma once

#include "core/base/base.h"

/* Words that begin in text[0..bytes); *inside says whether the byte before was part of a word, and
 * is left so for the next piece. */
int64_t words_count(const unsigned char *text, int64_t bytes, bool *inside);
