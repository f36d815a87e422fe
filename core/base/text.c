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

FILE *text_begin(text_memory *m)
{
    m->text = NULL;
    m->out = open_memstream(&m->text, &m->bytes);
    CHECK(m->out, "no memory for a text");
    return m->out;
}

char *text_end(text_memory *m)
{
    /* The stream puts text and length into m only when it is flushed or closed, and may fail
     * there. */
    CHECK(fclose(m->out) == 0, "no memory for a text");
    return m->text;
}

const char *text_end_in(text_memory *m, arena *a)
{
    text_auto *text = text_end(m);
    return arena_strdup(a, text);
}
