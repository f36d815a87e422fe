#include "harness/evaluate/part_sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one array, or text, with its name. Digests are added: the writer orders arrays its own way. */
static uint64_t sum_of(const char *name, const void *data, size_t bytes)
{
    sha256 s;
    char hex[SHA256_HEX];
    sha256_init(&s);
    sha256_add(&s, name, strlen(name) + 1);
    sha256_add(&s, data, bytes);
    sha256_final_hex(&s, hex);
    hex[16] = 0;
    return strtoull(hex, NULL, 16);
}

static void finish(char sum[PART_SUM_CHARS], uint64_t arrays, const char *cursor)
{
    uint64_t all = arrays + sum_of("", cursor, strlen(cursor));
    snprintf(sum, PART_SUM_CHARS, "%016llx", (unsigned long long)all);
}

void part_sum_entries(char sum[PART_SUM_CHARS], const st_entry *list, int count, const char *cursor)
{
    uint64_t arrays = 0;
    for (int i = 0; i < count; i++) {
        size_t bytes = (size_t)safetensors_dtype_bits(list[i].dtype) / 8;
        for (int d = 0; d < list[i].rank; d++) {
            bytes *= (size_t)list[i].shape[d];
        }
        arrays += sum_of(list[i].name, list[i].data, bytes);
    }
    finish(sum, arrays, cursor);
}

void part_sum_file(char sum[PART_SUM_CHARS], const safetensors *s, const char *cursor)
{
    uint64_t arrays = 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const st_tensor *t = safetensors_at(s, i);
        arrays += sum_of(t->name, t->data, t->bytes);
    }
    finish(sum, arrays, cursor);
}
