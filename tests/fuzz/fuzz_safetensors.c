/* Any bytes: the reader refuses them with a message, or gives tensors that lie inside them. */
#include "core/train/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    err e = {""};
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
