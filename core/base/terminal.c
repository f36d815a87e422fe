#include "core/base/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/terminal_guard.h"

bool terminal_size(FILE *out, int *columns, int *rows)
{
    struct winsize size;
    int file = terminal_file(out);
    if (file < 0 || !isatty(file)) return false;
    bool known = ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    /* Some terminals (a serial line, one made by a script) have no size: the usual one. */
    *columns = known ? size.ws_col : 80;
    *rows = known ? size.ws_row : 24;
    return true;
}

int terminal_columns(FILE *out, int otherwise)
{
    int columns, rows;
    return terminal_size(out, &columns, &rows) ? columns : otherwise;
}

int terminal_letter(const char *text, unsigned *letter)
{
    const unsigned char *x = (const unsigned char *)text;
    int bytes = x[0] < 0xC0 ? 1 : x[0] < 0xE0 ? 2 : x[0] < 0xF0 ? 3 : 4;
    *letter = x[0];
    if (!x[0]) return 0;
    if (bytes > 1) *letter = x[0] & (0xFFU >> (bytes + 1));
    for (int i = 1; i < bytes; i++) {
        /* A 0 at the end of the text is no byte of a letter, so this stops there, too. */
        if ((x[i] & 0xC0) != 0x80) return i; /* no UTF-8: nothing is read beyond the text */
        *letter = *letter << 6 | (x[i] & 0x3F);
    }
    return bytes;
}

typedef struct range {
    unsigned low, high;
} range;

static bool is_among(unsigned letter, const range *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (letter >= list[i].low && letter <= list[i].high) return true;
    }
    return false;
}

/* The blocks that terminals agree on (Unicode's East Asian Width: W and F; general category Mn). */
static int cells_of(unsigned letter)
{
    static const range wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
                                 {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
                                 {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
                                 {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    static const range none[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},
                                 {0x610, 0x61A},   {0x64B, 0x65F},   {0x200B, 0x200F},
                                 {0x20D0, 0x20F0}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
    if (is_among(letter, wide, sizeof wide / sizeof *wide)) return 2;
    return is_among(letter, none, sizeof none / sizeof *none) ? 0 : 1;
}

int terminal_cells_in(const char *text, size_t bytes)
{
    int cells = 0;
    unsigned letter;
    const char *end = text + bytes;
    for (int n; text < end && (n = terminal_letter(text, &letter)) > 0; text += n) {
        cells += cells_of(letter);
    }
    return cells;
}

int terminal_cells(const char *text)
{
    return terminal_cells_in(text, strlen(text));
}

size_t terminal_bytes(const char *text, int cells)
{
    size_t used = 0;
    unsigned letter;
    for (int n; (n = terminal_letter(text + used, &letter)) > 0; used += (size_t)n) {
        cells -= cells_of(letter);
        if (cells < 0) break;
    }
    return used;
}

/* The first half of the room, the ellipsis, and the longest end that fits in the rest. The search
 * for the end measures the remaining text anew for every letter: labels are short. */
void terminal_cut(char *out, size_t bytes, const char *text, int cells)
{
    static const char dots[] = "\u2026";
    int whole = terminal_cells(text), room = MAX(cells, 1);
    size_t length = strlen(text), begin = length, end = length;
    if (whole > room || length >= bytes) {
        room = MIN(room, (int)(bytes - 8) / 4); /* four bytes a letter at most */
        begin = terminal_bytes(text, room / 2);
        end = begin;
        while (text[end] && terminal_cells(text + end) > room - 1 - room / 2) {
            unsigned letter;
            end += (size_t)terminal_letter(text + end, &letter);
        }
    }
    snprintf(out, bytes, "%.*s%s%s", (int)begin, text, end > begin ? dots : "", text + end);
    for (char *x = out; *x; x++) {
        if ((unsigned char)*x < 0x20) *x = ' ';
    }
}

/* Greedy: a word goes to the next line if it and the blank before it do not fit, unless it is the
 * first of its line, where breaking would not help: paths and URLs run over whole. Each blank ends
 * a word, maybe an empty one, so that several blanks stay several inside a line. */
void terminal_wrap(FILE *out, const char *text, int at, int indent, int columns)
{
    bool first = true; /* word of its line */
    while (*text) {
        size_t n = strcspn(text, " \n");
        int cells = terminal_cells_in(text, n);
        if (!first && n > 0 && at + 1 + cells > columns) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        if (!first) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, n, out);
        at += cells;
        first = false;
        text += n;
        if (*text == '\n') {
            fprintf(out, "\n%*s", text[1] && text[1] != '\n' ? indent : 0, "");
            at = indent;
            first = true;
        }
        if (*text) text++;
    }
}

void terminal_entry(FILE *out, const char *name, int width, const char *text, int columns)
{
    enum { LEAST = 20, BELOW = 4 };
    int taken = terminal_cells(name), begin = MAX(width, taken + 1);
    if (columns - begin < LEAST) {
        terminal_wrap(out, name, 0, BELOW, columns);
        if (*name) fputc('\n', out);
        fprintf(out, "%*s", BELOW, "");
        begin = BELOW;
    } else {
        fprintf(out, "%s%*s", name, begin - taken, "");
    }
    terminal_wrap(out, text, begin, begin, columns);
    fputc('\n', out);
}

FILE *terminal_prose_begin(terminal_prose *p, FILE *out)
{
    int rows;
    *p = (terminal_prose){.out = out};
    if (!terminal_size(out, &p->columns, &rows)) return out;
    return text_begin(&p->memory);
}

/* A line that is broken goes on where its text begins: behind blanks, and a dash. */
static int text_column(const char *line)
{
    int at = (int)strspn(line, " ");
    return strncmp(line + at, "- ", 2) == 0 ? at + 2 : at;
}

/* Line by line, since each has its own indentation. Where `out` is no terminal nothing was kept,
 * and the text has gone out already. */
void terminal_prose_end(terminal_prose *p)
{
    char *text = p->memory.out ? text_end(&p->memory) : NULL;
    for (char *line = text, *next; line && *line; line = next) {
        char *end = strchrnul(line, '\n');
        next = *end ? end + 1 : end;
        *end = 0;
        terminal_wrap(p->out, line, 0, text_column(line), p->columns);
        if (next > end) fputc('\n', p->out);
    }
    free(text);
}
