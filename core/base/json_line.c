#include "core/base/json_line.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char KEY[] = ",\"crc\":\"", END[] = "\"}";
enum { DIGITS = 8, SEAL = JSON_LINE_SEAL_BYTES };
_Static_assert(SEAL == sizeof KEY - 1 + DIGITS + sizeof END - 1, "the seal's parts");

/* The seal of so many bytes, with a NUL behind it. */
static void seal_of(char seal[SEAL + 1], const char *line, size_t bytes)
{
    unsigned long sum = crc32_z(0, (const unsigned char *)line, bytes);
    snprintf(seal, SEAL + 1, "%s%08lx%s", KEY, sum, END);
}

size_t json_line_seal(char *line, size_t bytes)
{
    char seal[SEAL + 1];
    CHECK(bytes > 2 && line[bytes - 1] == '}', "an object");
    seal_of(seal, line, bytes - 1);
    memcpy(line + bytes - 1, seal, SEAL);
    return bytes - 1 + SEAL;
}

char *json_line_text(const json_t *record, size_t *bytes)
{
    json_auto_t *own = json_copy((json_t *)(uintptr_t)record);
    json_object_del(own, "crc");
    text_auto *text = json_dumps(own, JSON_COMPACT | JSON_REAL_PRECISION(17));
    CHECK(text, "a record that is no JSON");
    size_t plain = strlen(text);
    char *line = malloc(plain + JSON_LINE_SEAL_BYTES + 2);
    CHECK(line, "out of memory");
    memcpy(line, text, plain);
    *bytes = json_line_seal(line, plain);
    line[(*bytes)++] = '\n';
    line[*bytes] = 0;
    return line;
}

/* Whether it has a seal, and that is of another content. */
static bool is_changed(const char *line, size_t bytes)
{
    char seal[SEAL + 1];
    if (bytes < SEAL) return false;
    const char *own = line + bytes - SEAL;
    if (memcmp(own, KEY, sizeof KEY - 1) != 0) return false;
    seal_of(seal, line, bytes - SEAL);
    return memcmp(own, seal, SEAL) != 0;
}

json_t *json_line_load(const char *line, size_t bytes, size_t flags, json_error_t *wrong)
{
    while (bytes > 0 && line[bytes - 1] == '\n')
        bytes--;
    json_t *record = json_loadb(line, bytes, flags, wrong);
    if (!record || !is_changed(line, bytes)) return record;
    if (wrong) snprintf(wrong->text, sizeof wrong->text, "changed since it was written");
    json_decref(record);
    return NULL;
}
