#include "core/base/one_line.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* The first such character, or the end. */
static char *find_control(char *text)
{
    while (*text && !is_control((unsigned char)*text)) {
        text++;
    }
    return text;
}

/* A picture has three bytes for one: the rest of the text is moved out of its way, and what falls
 * over the end is lost. */
void one_line(char *text, size_t bytes)
{
    char *end = text + bytes;
    for (char *at = find_control(text); *at; at = find_control(at)) {
        unsigned char c = (unsigned char)*at;
        const unsigned char picture[] = {0xe2, 0x90, c == 0x7f ? 0xa1 : (unsigned char)(0x80 + c)};
        if (end - at <= (ptrdiff_t)sizeof picture) {
            *at = 0;
            return;
        }
        size_t rest = strnlen(at + 1, (size_t)(end - at) - sizeof picture - 1);
        memmove(at + sizeof picture, at + 1, rest);
        at[sizeof picture + rest] = 0;
        memcpy(at, picture, sizeof picture);
        at += sizeof picture;
    }
}

void one_line_print(FILE *out, const char *format, ...)
{
    char text[16384]; /* of some paths, each of which may be 4 KiB */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    one_line(text, sizeof text);
    fprintf(out, "%s\n", text);
}
