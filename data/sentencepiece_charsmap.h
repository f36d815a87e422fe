/* The normalisation table of a SentencePiece model (NormalizerSpec.precompiled_charsmap), looked at
 * before the library walks through it: it believes every offset in there. */
#pragma once

#include "core/base/base.h"

/* Layout: uint32 bytes of the trie, little-endian; the trie, a double array of uint32 units; the
 * texts that the trie's values point into, each ended by a NUL.
 *
 * NULL if no text can lead the library out of the table, nor make it grow beyond bounds; else what
 * is wrong, as the end of a sentence. An empty table is none, and sound. Takes time in proportion
 * to the bytes. */
const char *sentencepiece_charsmap_fault(const unsigned char *table, int64_t bytes);
