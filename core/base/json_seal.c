#include "core/base/json_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { DIGITS = 8 };

/* What an object's text ends with, and what its seal is written between. */
typedef struct form {
    const char *end;       /* of the object without one */
    const char *key, *out; /* around the digits */
} form;

static const form FORMS[] = {[JSON_SEAL_LINE] = {"}", ",\"crc\":\"", "\"}"},
                             [JSON_SEAL_FILE] = {"\n}", ",\n \"crc\": \"", "\"\n}"}};

/* The seal of so many bytes; its length. */
static size_t seal_of(char seal[JSON_SEAL_BYTES + 1], const form *f, const char *text, size_t bytes)
{
    unsigned long sum = crc32_z(0, (const unsigned char *)text, bytes);
    int length = snprintf(seal, JSON_SEAL_BYTES + 1, "%s%08lx%s", f->key, sum, f->out);
    CHECK(length > 0 && length <= JSON_SEAL_BYTES, "a seal of %d bytes", length);
    return (size_t)length;
}

/* An object of one key or more. */
static bool is_object(const form *f, const char *text, size_t bytes)
{
    size_t end = strlen(f->end);
    return bytes > end + 1 && memcmp(text + bytes - end, f->end, end) == 0;
}

size_t json_seal(json_seal_kind kind, char *text, size_t bytes)
{
    const form *f = &FORMS[kind];
    char seal[JSON_SEAL_BYTES + 1];
    size_t end = strlen(f->end);
    CHECK(is_object(f, text, bytes), "an object");
    size_t length = seal_of(seal, f, text, bytes - end);
    memcpy(text + bytes - end, seal, length);
    return bytes - end + length;
}

char *json_sealed(json_seal_kind kind, const char *text, size_t *bytes)
{
    size_t plain = strlen(text);
    char *sealed = malloc(plain + JSON_SEAL_BYTES + sizeof "\n");
    CHECK(sealed, "out of memory for %zu bytes of JSON", plain);
    memcpy(sealed, text, plain + 1);
    *bytes = is_object(&FORMS[kind], text, plain) ? json_seal(kind, sealed, plain) : plain;
    sealed[(*bytes)++] = '\n';
    sealed[*bytes] = 0;
    return sealed;
}

json_seal_state json_seal_look(const char *text, size_t bytes)
{
    while (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        const form *f = &FORMS[i];
        char seal[JSON_SEAL_BYTES + 1];
        size_t key = strlen(f->key), length = key + DIGITS + strlen(f->out);
        if (bytes < length || memcmp(text + bytes - length, f->key, key) != 0) continue;
        seal_of(seal, f, text, bytes - length);
        return memcmp(text + bytes - length, seal, length) == 0 ? JSON_SEALED : JSON_CHANGED;
    }
    return JSON_UNSEALED;
}
