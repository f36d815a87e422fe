#include "results/table/table_break.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/terminal.h"

static bool is_blank(char c)
{
    return c && (unsigned char)c <= ' ';
}

static bool is_letter(char c)
{
    return isalpha((unsigned char)c);
}

/* May a line end with the first n bytes? Not within a number (4e-3, 0.5, 1,000), nor in bits/byte.
 */
static bool may_end(const char *text, size_t n)
{
    if (!text[n] || is_blank(text[n])) return true;
    if (text[n - 1] == ',') return !isdigit((unsigned char)text[n]);
    if (text[n - 1] == '.') return is_letter(text[n]);
    bool hyphen = text[n - 1] == '-' || text[n - 1] == '_';
    return hyphen && n > 1 && is_letter(text[n - 2]) && is_letter(text[n]);
}

size_t table_blanks(const char *text)
{
    size_t n = 0;
    while (is_blank(text[n])) {
        n++;
    }
    return n;
}

size_t table_break(const char *text, int cells)
{
    unsigned letter;
    size_t room = MAX(terminal_bytes(text, cells), (size_t)terminal_letter(text, &letter));
    size_t n = room;
    while (n > 0 && !may_end(text, n)) {
        n--;
    }
    return n > 0 ? n : room;
}

int table_widest_part(const char *text)
{
    int widest = 0;
    for (text += table_blanks(text); *text; text += table_blanks(text)) {
        size_t n = 1;
        while (!may_end(text, n)) {
            n++;
        }
        widest = MAX(widest, terminal_cells_in(text, n));
        text += n;
    }
    return widest;
}

int table_break_lines(const char *text, int cells)
{
    int lines = 0;
    for (text += table_blanks(text); *text; text += table_blanks(text)) {
        text += table_break(text, cells);
        lines++;
    }
    return MAX(lines, 1);
}
