#include "results/plot/plot_text.h"

#include <stdio.h>
#include <string.h>

#include "core/base/terminal.h"

/* gnuplot cannot tell how wide a text is, and for an SVG nobody can, as the viewer chooses the
 * font. So widths are estimated by a few classes of letters, of a wide font: what fits by this fits
 * nearly everywhere. */

/* Of a letter, in parts of the size. From Hangul on (0x1100) letters are square. */
static double share(unsigned letter)
{
    if (letter >= 0x1100) return 1;
    if (letter < 0x80 && strchr("ijl.,:;'|! ", (int)letter)) return 0.34;
    if (letter < 0x80 && strchr("frt()[]-/\\\"`I", (int)letter)) return 0.42;
    if (letter < 0x80 && strchr("mwMW@%=+<>~", (int)letter)) return 0.9;
    return letter >= 'A' && letter <= 'Z' ? 0.72 : 0.635;
}

double plot_text_width(const char *text, double size)
{
    double width = 0;
    unsigned letter;
    for (int n; (n = terminal_letter(text, &letter)) > 0; text += n) {
        width += share(letter);
    }
    return width * size;
}

/* How many bytes of the text fit. Whole characters, as terminal_letter steps from one to the
 * next. */
static size_t fitting(const char *text, double width, double size)
{
    size_t used = 0;
    unsigned letter;
    for (int n; (n = terminal_letter(text + used, &letter)) > 0; used += (size_t)n) {
        width -= share(letter) * size;
        if (width < 0) break;
    }
    return used;
}

void plot_text_cut(char *out, size_t bytes, const char *text, double width, double size)
{
    static const char dots[] = "\u2026";
    size_t length = strlen(text);
    if (plot_text_width(text, size) <= width && length < bytes) {
        memcpy(out, text, length + 1);
        return;
    }
    /* Equal halves: labels of a sweep begin alike and end differently, or the other way round. */
    double half = (width - plot_text_width(dots, size)) / 2;
    size_t begin = MIN(fitting(text, half, size), bytes / 2 - 8), end = length;
    while (end > begin) {
        size_t back = end - 1;
        /* Bytes 10xxxxxx continue a character of UTF-8: never cut before one. */
        while (back > begin && ((unsigned char)text[back] & 0xC0) == 0x80) {
            back--;
        }
        if (plot_text_width(text + back, size) > half || length - back > bytes / 2 - 8) break;
        end = back;
    }
    while (begin > 0 && ((unsigned char)text[begin] & 0xC0) == 0x80) {
        begin--; /* where the buffer, not the width, was the limit */
    }
    snprintf(out, bytes, "%.*s%s%s", (int)begin, text, dots, text + end);
}

/* Greedy, line by line. A space becomes a break, so the text keeps its length and fits where it
 * did; a word that is wider than a line stays whole. */
int plot_text_wrap(char *out, size_t bytes, const char *text, double width, double size)
{
    snprintf(out, bytes, "%s", text);
    int lines = 1;
    char *line = out, *space = NULL;
    for (char *x = out; *x; x++) {
        if (*x == '\n') *x = ' ';
        if (*x != ' ') continue;
        *x = 0;
        bool fits = plot_text_width(line, size) <= width;
        *x = ' ';
        if (!fits && space) {
            *space = '\n';
            line = space + 1;
            lines++;
        }
        space = x;
    }
    if (space && plot_text_width(line, size) > width) {
        *space = '\n';
        lines++;
    }
    return lines;
}
