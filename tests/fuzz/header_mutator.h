/* Mutations of safetensors files that keep the format: the header as a tree, its length made right,
 * the data behind it left alone. */
#pragma once

#include "tests/fuzz/yaml_mutator.h"

/* Changes data [size] in place, up to max bytes; the new size, 0 if it has no whole header. */
size_t header_mutate(uint8_t *data, size_t size, size_t max, unsigned seed,
                     const yaml_words *words);
