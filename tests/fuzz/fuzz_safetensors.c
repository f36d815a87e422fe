/* Any bytes: the reader refuses them with a message, or gives tensors that lie inside them. Most
 * mutations are of the header as a tree. */
#include "core/train/safetensors.h"

#include <stdlib.h>

#include "tests/fuzz/header_mutator.h"
#include "tests/fuzz/target.h"

static yaml_words words;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    words =
        yaml_words_of("BOOL F4 U8 I8 F8_E5M2 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64 dtype shape "
                      "data_offsets __metadata__ format aa bb");
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    size_t got = seed % 4 ? header_mutate(data, size, max, seed, &words) : 0;
    return got ? got : LLVMFuzzerMutate(data, size, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    err e = {0};
    safetensors *s = safetensors_parse(bytes, size, "fuzz", &e);
    CHECK(s || e.text[0], "refused without a message");
    for (int i = 0; s && i < safetensors_count(s); i++) {
        const st_tensor *t = safetensors_at(s, i);
        const uint8_t *data = t->data;
        CHECK(data >= bytes && data + t->bytes <= bytes + size, "%s lies outside", t->name);
        CHECK(safetensors_find(s, t->name) == t, "%s is not found", t->name);
        real *x = calloc((size_t)t->count + 1, sizeof *x);
        int64_t *n = calloc((size_t)t->count + 1, sizeof *n);
        if (x && n && !safetensors_copy(x, t, &e)) safetensors_copy_int(n, t, &e);
        free(x);
        free(n);
    }
    safetensors_close(s);
    return 0;
}
