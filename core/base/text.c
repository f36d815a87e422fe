#include "core/base/text.h"

#include <stdlib.h>
#include <string.h>

bool text_ends(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

int text_turns(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] != 0xe2) return 0;
    bool turns = (c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
                 (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
    return turns ? 3 : 0;
}

/* 17 digits always read back as the same double; a NaN is equal to nothing, and the bound ends its
 * loop. */
const char *text_number(char text[TEXT_NUMBER_BYTES], double x, int digits)
{
    do {
        snprintf(text, TEXT_NUMBER_BYTES, "%.*g", digits, x);
    } while (++digits <= 17 && strtod(text, NULL) != x);
    return text;
}

static void make_room(text_memory *m, size_t bytes)
{
    if (bytes <= m->room) return;
    m->room = MAX(bytes, 2 * m->room);
    m->text = realloc(m->text, m->room + 1);
    CHECK(m->text, "no memory for a text of %zu bytes", bytes);
}

static ssize_t keep(void *memory, const char *from, size_t bytes)
{
    text_memory *m = memory;
    make_room(m, m->bytes + bytes);
    memcpy(m->text + m->bytes, from, bytes);
    m->bytes += bytes;
    m->text[m->bytes] = 0;
    return (ssize_t)bytes;
}

/* For ftell; a text is only written at its end. */
static int tell(void *memory, off64_t *offset, int whence)
{
    const text_memory *m = memory;
    if (*offset != 0 || whence != SEEK_CUR) return -1;
    *offset = (off64_t)m->bytes;
    return 0;
}

FILE *text_begin(text_memory *m)
{
    enum { FIRST = 255 };
    *m = (text_memory){0};
    make_room(m, FIRST);
    m->text[0] = 0;
    m->out = fopencookie(m, "w", (cookie_io_functions_t){.write = keep, .seek = tell});
    CHECK(m->out, "no memory for a text");
    return m->out;
}

char *text_end(text_memory *m)
{
    CHECK(fclose(m->out) == 0, "a text could not be kept");
    return m->text;
}

const char *text_end_in(text_memory *m, arena *a)
{
    text_auto *text = text_end(m);
    return arena_strdup(a, text);
}
