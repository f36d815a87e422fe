/* Mutations of YAML (and JSON) as a tree: what comes out parses, so that it gets behind the parser.
 *
 * A node is replaced by another one of the tree or by a curious scalar, a child is dropped, doubled
 * or moved under a known key, a number is changed a little. */
#pragma once

#include "core/options/node.h"

/* Words that keys and scalars are taken from; borrowed. */
typedef struct yaml_words {
    const char *const *list;
    int count;
} yaml_words;

/* Changes data [size] in place, up to max bytes; the new size, 0 if it is no YAML or the result
 * does not fit. json: written as JSON. */
size_t yaml_mutate(uint8_t *data, size_t size, size_t max, unsigned seed, bool json,
                   const yaml_words *words);

/* The words of a text that are made of letters, digits and _ and begin with a letter, each once.
 * Lives as long as the process. */
yaml_words yaml_words_of(const char *text);
