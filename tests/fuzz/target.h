/* What libFuzzer calls in a target, and what a target may call in it. A target defines
 * LLVMFuzzerTestOneInput and, if it wants, the first and the third. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Once, before any input. Both return 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* Changes data [size] in its room of max bytes; returns the size that it has then. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
/* The same by libFuzzer's own ways. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
