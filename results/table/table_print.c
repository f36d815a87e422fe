/* The forms of a table. Text is measured before it is printed: widths are in cells of a terminal,
 * not in bytes or characters, as labels may be in any script. Markdown, CSV and JSON need no
 * widths and go out cell by cell.
 *
 * What strangers wrote into labels and notes must stay text in each form: control sequences for a
 * terminal, markup for Markdown, formulas for a spreadsheet. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/terminal_guard.h"
#include "core/base/text.h"
#include "results/table/table_break.h"
#include "results/table/table_fit.h"

/* Titles bold, units dim: told apart where colours are not. */
static const char BOLD[] = "\033[1m", DIM[] = "\033[2m", PLAIN[] = "\033[0m";
static const char SIGN[] = " \u00b1 ";

static void spaces(FILE *out, int n)
{
    fprintf(out, "%*s", MAX(n, 0), "");
}

/* Cut to the width, where fit has made it smaller than the text. */
static void print_aligned(FILE *out, const char *whole, int width, int flags)
{
    char text[1100];
    terminal_cut(text, sizeof text, whole, width);
    int pad = width - terminal_cells(text);
    if (!(flags & TABLE_LEFT)) spaces(out, pad);
    fputs(text, out);
    if (flags & TABLE_LEFT) spaces(out, pad);
}

/* The signs of a column below each other: right-aligned as if every cell had an interval.
 * Left-aligned columns have texts, which have no sign to align by. */
static void print_cell(FILE *out, const table_cell *x, table_width w, int flags)
{
    if (w.behind == 0 || (flags & TABLE_LEFT)) {
        print_aligned(out, table_shown(x), w.whole, flags);
        return;
    }
    spaces(out, w.whole - TABLE_SIGN_CELLS - w.behind - terminal_cells(table_shown(x)));
    fputs(table_shown(x), out);
    if (!x->half) {
        spaces(out, TABLE_SIGN_CELLS + w.behind);
        return;
    }
    fputs(SIGN, out);
    spaces(out, w.behind - terminal_cells(x->half));
    fputs(x->half, out);
}

/* As much of the text as its column has room for; `rest` is what the next line has. */
static void print_part(FILE *out, const char **rest, int width)
{
    size_t n = table_break(*rest, width);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)(*rest)[i];
        fputc(c < 0x20 ? ' ' : c, out);
    }
    spaces(out, width - terminal_cells_in(*rest, n));
    *rest += n;
    *rest += table_blanks(*rest);
}

/* The line's text goes through a buffer so that no line ends in spaces. Lines that end in spaces
 * break in a terminal that is exactly as wide, and are noise in a diff. */
static void end_line(FILE *out, char *line, const char *colour)
{
    size_t n = strlen(line);
    while (n > 0 && line[n - 1] == ' ') {
        n--;
    }
    if (*colour) terminal_control(out, colour);
    fwrite(line, 1, n, out);
    if (*colour) terminal_control(out, PLAIN);
    fputc('\n', out);
}

/* Titles or units. Through terminal_control, by which alone sequences of our own get to a terminal.
 */
static void print_heads(FILE *out, const table *t, const table_width *w, bool units,
                        const char *colour)
{
    text_memory m;
    FILE *f = text_begin(&m);
    bool first = true;
    for (int c = 0; c < t->columns; c++) {
        const table_head *h = &t->column[c];
        if (w[c].out) continue;
        if (!first) spaces(f, TABLE_GAP_CELLS);
        first = false;
        print_aligned(f, units ? h->unit : h->title, w[c].whole, h->flags);
    }
    text_auto *line = text_end(&m);
    end_line(out, line, colour);
}

/* A line of a row: rest [columns] is what broken texts have on it and behind it; other cells stand
 * on the first one. */
static void print_row_line(FILE *out, const table *t, const table_width *w, int row,
                           const char **rest, bool head)
{
    text_memory m;
    FILE *f = text_begin(&m);
    bool first = true;
    for (int c = 0; c < t->columns; c++) {
        if (w[c].out) continue;
        if (!first) spaces(f, TABLE_GAP_CELLS);
        first = false;
        if (rest[c]) {
            print_part(f, &rest[c], w[c].whole);
        } else if (head) {
            print_cell(f, &t->line[row].cell[c], w[c], t->column[c].flags);
        } else {
            spaces(f, w[c].whole);
        }
    }
    text_auto *line = text_end(&m);
    end_line(out, line, "");
}

static void print_row(FILE *out, const table *t, const table_width *w, int row)
{
    const char *rest[TABLE_COLUMNS] = {NULL};
    int lines = table_row_lines(w, t, row);
    for (int c = 0; c < t->columns; c++) {
        if (table_is_broken(t, c)) rest[c] = table_shown(&t->line[row].cell[c]);
    }
    for (int i = 0; i < lines; i++) {
        print_row_line(out, t, w, row, rest, i == 0);
    }
}

/* Two columns may have one title, and differ in what stands below it. */
static bool is_title_shared(const table *t, int c)
{
    for (int k = 0; k < t->columns; k++) {
        bool people = !(t->column[k].flags & TABLE_PROGRAMS);
        if (k != c && people && strcmp(t->column[k].title, t->column[c].title) == 0) return true;
    }
    return false;
}

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end > text && *end == 0;
}

/* The columns for which there was no room. Named, so that nobody takes the table for the whole;
 * wider terminals and CSV have them. */
static void print_left_out(FILE *out, const table *t, const table_width *w, int columns)
{
    char list[2048] = "";
    size_t n = 0;
    for (int c = 0; c < t->columns; c++) {
        bool missed = w[c].out && !(t->column[c].flags & TABLE_PROGRAMS);
        if (!missed || n + 200 > sizeof list) continue;
        const table_head *h = &t->column[c];
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%.100s",
                              n ? ", " : "not shown here: ", h->title);
        /* A value of an axis says little without what it is of. */
        if (h->unit[0] && (is_title_shared(t, c) || is_number(h->title))) {
            n += (size_t)snprintf(list + n, sizeof list - n, " (%.90s)", h->unit);
        }
    }
    if (n == 0) return;
    terminal_wrap(out, list, 0, 2, columns);
    fputc('\n', out);
}

/* Units have a line of their own, if any column that is shown has one. */
static void print_text(FILE *out, const table *t, bool colour)
{
    int columns = 0, rows;
    table_width w[TABLE_COLUMNS] = {{0}};
    bool units = false;
    /* False for files and pipes: these get every column, whatever their width. */
    bool narrow = terminal_size(out, &columns, &rows);
    table_fit(w, t, narrow ? columns : INT_MAX);
    for (int c = 0; c < t->columns; c++) {
        units = units || (!w[c].out && t->column[c].unit[0]);
    }
    print_heads(out, t, w, false, colour ? BOLD : "");
    if (units) print_heads(out, t, w, true, colour ? DIM : "");
    for (int r = 0; r < t->rows; r++) {
        print_row(out, t, w, r);
    }
    if (narrow) print_left_out(out, t, w, columns);
}

/* ---- Markdown ---- */

/* What Markdown reads in the middle of a line: a cell's bar, an escape, HTML, emphasis. */
static void put_escaped(FILE *out, char c)
{
    if (strchr("|\\<*_", c)) fputc('\\', out);
    fputc(c, out);
}

static void put_markdown(FILE *out, const char *text)
{
    for (; *text; text++) {
        put_escaped(out, *text);
    }
}

/* A cell is one line. A line break would end the row, and the table with it. */
static void put_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputc(' ', out);
        else
            put_escaped(out, *text);
    }
}

/* No spaces to align: a rendered table has none, and a diff stays within the row that changed. */
static void print_markdown(FILE *out, const table *t)
{
    for (int c = 0; c < t->columns; c++) {
        const table_head *h = &t->column[c];
        if (h->flags & TABLE_PROGRAMS) continue;
        fputs("| ", out);
        put_cell(out, h->title);
        if (h->unit[0]) fputs(", ", out);
        put_cell(out, h->unit);
        fputc(' ', out);
    }
    fputs("|\n", out);
    for (int c = 0; c < t->columns; c++) {
        if (t->column[c].flags & TABLE_PROGRAMS) continue;
        fputs(t->column[c].flags & TABLE_LEFT ? "|---" : "|--:", out);
    }
    fputs("|\n", out);
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            const table_cell *x = &t->line[r].cell[c];
            if (t->column[c].flags & TABLE_PROGRAMS) continue;
            fputs("| ", out);
            put_cell(out, table_shown(x));
            if (x->half) fprintf(out, "%s%s", SIGN, x->half);
            fputc(' ', out);
        }
        fputs("|\n", out);
    }
}

/* ---- CSV (RFC 4180, with line ends as on Unix) ---- */

/* 15 digits where they read back as the same double, else as many as it takes (text_number). */
void table_print_number(FILE *out, double x)
{
    char text[TEXT_NUMBER_BYTES];
    fputs(text_number(text, x, 15), out);
}

/* What readers of CSV take for a missing value, quoted or not: pandas's list, in any case. A
 * variant may be called "none" or "NA", and pandas would make it a missing value, and drop it from
 * every group. */
static bool reads_as_missing(const char *text)
{
    static const char *const WORDS[] = {"na",       "n/a",    "#n/a",    "#na",     "<na>",
                                        "#n/a n/a", "null",   "nan",     "-nan",    "none",
                                        "nil",      "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (strcasecmp(text, WORDS[i]) == 0) return true;
    }
    return false;
}

/* What a spreadsheet computes instead of showing it: a stranger's label would run there. Numbers
 * stay numbers. Also in the signs' full-width forms, which spreadsheets take for them. What reads
 * as a number to the end is one, "-0.5" as well. */
static bool reads_as_formula(const char *text)
{
    static const char *const SIGNS[] = {"=",  "+",  "-",  "@",  "\t", "\r",
                                        "\n", "＝", "＋", "－", "＠"};
    if (text[strspn(text, "+-.0123456789eE")] == 0 && is_number(text)) return false;
    for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++) {
        if (strncmp(text, SIGNS[i], strlen(SIGNS[i])) == 0) return true;
    }
    return false;
}

void table_print_csv(FILE *out, const char *text)
{
    /* Marked texts are in quotes of their own within the field's ("""...""") : a reader gets them
     * with quotes around, and neither takes it for missing nor computes it. */
    bool marked = reads_as_missing(text) || reads_as_formula(text);
    /* Also ';' and tabs, at which spreadsheets of some countries cut fields. */
    if (!marked && !strpbrk(text, ",;\t\"\r\n")) {
        fputs(text, out);
        return;
    }
    /* Within quotes a quote is written twice (RFC 4180), so three are the field's own and one of
     * the text. */
    fputs(marked ? "\"\"\"" : "\"", out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputs(marked ? "\"\"\"" : "\"", out);
}

/* Numbers are never quoted, in full precision; an empty cell is an empty field. */
static void print_csv(FILE *out, const table *t)
{
    for (int r = -1; r < t->rows; r++) {
        bool first = true;
        for (int c = 0; c < t->columns; c++) {
            if (t->column[c].flags & TABLE_PEOPLE) continue;
            if (!first) fputc(',', out);
            first = false;
            if (r < 0) {
                table_print_csv(out, t->column[c].key);
                continue;
            }
            const table_cell *x = &t->line[r].cell[c];
            if (x->kind == CELL_REAL) table_print_number(out, x->real);
            if (x->kind == CELL_INT) fprintf(out, "%lld", (long long)x->integer);
            if (x->kind == CELL_TEXT) table_print_csv(out, x->text);
        }
        fputc('\n', out);
    }
}

bool table_for_programs(table_format format)
{
    return format == TABLE_CSV || format == TABLE_JSON;
}

void table_print(FILE *out, const table *t, table_format format, bool colour)
{
    if (format == TABLE_TEXT) print_text(out, t, colour);
    if (format == TABLE_MARKDOWN || format == TABLE_MD) print_markdown(out, t);
    if (format == TABLE_CSV) print_csv(out, t);
    if (format == TABLE_LATEX) table_latex(out, t);
    if (format != TABLE_JSON) return;
    json_auto_t *rows = table_json(t);
    json_print(out, rows, JSON_INDENT(1));
    fputc('\n', out);
}

/* Through memory: what Markdown would take for markup (a label with '*' or '_') is escaped in the
 * whole. */
void table_words(FILE *out, table_format format, table_say say, const void *about)
{
    if (format == TABLE_TEXT) {
        terminal_prose prose;
        say(terminal_prose_begin(&prose, out), about, false);
        terminal_prose_end(&prose);
    } else if (format == TABLE_MARKDOWN || format == TABLE_MD) {
        text_memory m;
        say(text_begin(&m), about, true);
        text_auto *words = text_end(&m);
        put_markdown(out, words);
    }
}
