#include "results/table/table_fit.h"

#include <limits.h>
#include <string.h>

#include "core/base/terminal.h"
#include "results/table/table_break.h"

/* A column counts with its least width while it is asked what there is room for, and gets of what
 * is left as much as its texts need: so nothing is cut for a column that does not come. */

const char *table_shown(const table_cell *x)
{
    return x->kind == CELL_EMPTY ? "-" : x->text;
}

/* A cell without an interval counts with its whole text as what stands before the sign. */
static table_width measure(const table *t, int c)
{
    const table_head *h = &t->column[c];
    table_width w = {0};
    bool signs = false;
    for (int r = 0; r < t->rows; r++) {
        const table_cell *x = &t->line[r].cell[c];
        w.before = MAX(w.before, terminal_cells(table_shown(x)));
        if (!x->half) continue;
        signs = true;
        w.behind = MAX(w.behind, terminal_cells(x->half));
    }
    w.whole = MAX(w.before + (signs ? TABLE_SIGN_CELLS + w.behind : 0), terminal_cells(h->title));
    w.whole = MAX(w.whole, terminal_cells(h->unit));
    return w;
}

static bool is_empty(const table *t, int c)
{
    for (int r = 0; r < t->rows; r++) {
        if (t->line[r].cell[c].kind != CELL_EMPTY) return false;
    }
    return true;
}

/* What goes first has the highest number. */
enum { NEEDED, KEPT, NEXT, USUAL, SPARE, EMPTY, RANKS };

static int rank_of(const table *t, int c)
{
    int flags = t->column[c].flags;
    if (flags & TABLE_PROGRAMS) return RANKS;
    if (c == 0) return NEEDED;
    if (is_empty(t, c)) return EMPTY;
    if (flags & (TABLE_KEPT | TABLE_NEXT)) return flags & TABLE_KEPT ? KEPT : NEXT;
    return flags & TABLE_SPARE ? SPARE : USUAL;
}

enum { LEAST = 12, MOST_PART = 16, MOST_LINES = 4, CUT_BYTES = 1024 };

/* Do two rows that differ look alike, cut to so many cells? */
static bool is_ambiguous(const table *t, int c, int cells)
{
    char text[CUT_BYTES];
    arena_auto *a = arena_new(0);
    const char **list = ARENA_NEW(a, const char *, MAX(t->rows, 1));
    for (int r = 0; r < t->rows; r++) {
        const char *whole = table_shown(&t->line[r].cell[c]);
        terminal_cut(text, sizeof text, whole, cells);
        list[r] = arena_strdup(a, text);
        for (int k = 0; k < r; k++) {
            bool alike = strcmp(list[k], text) == 0;
            if (alike && strcmp(table_shown(&t->line[k].cell[c]), whole) != 0) return true;
        }
    }
    return false;
}

/* What is broken rather than cut has room for its widest part, and for its title. */
static int widest_part(const table *t, int c)
{
    int widest = 0;
    for (int r = 0; r < t->rows; r++) {
        widest = MAX(widest, table_widest_part(table_shown(&t->line[r].cell[c])));
    }
    return widest;
}

static int widest_title(const table *t, int c)
{
    return MAX(terminal_cells(t->column[c].title), terminal_cells(t->column[c].unit));
}

bool table_is_broken(const table *t, int c)
{
    enum { BOTH = TABLE_LEFT | TABLE_WHOLE };
    return (t->column[c].flags & BOTH) == BOTH;
}

/* LEAST letters of a text stay; and what a row is about, the first column, has as many as it takes
 * to tell any two of them apart. Parts up to MOST_PART (an identity) are not broken, wider ones
 * where there is no room for them. */
static int least_width(const table *t, int c, int whole, bool distinct)
{
    int least = MIN(whole, LEAST);
    if (table_is_broken(t, c)) {
        int part = widest_part(t, c);
        return MAX(part > MOST_PART ? LEAST : part, widest_title(t, c));
    }
    if (!(t->column[c].flags & TABLE_LEFT)) return whole;
    while (distinct && c == 0 && least < whole && is_ambiguous(t, c, least)) {
        least++;
    }
    return least;
}

/* What the columns that are there take, each as wide as it is or, at `least`, as it has to be. */
static int width_in_all(const table *t, const table_width *w, bool least)
{
    int width = -TABLE_GAP_CELLS;
    for (int c = 0; c < t->columns; c++) {
        if (!w[c].out) width += (least ? w[c].least : w[c].whole) + TABLE_GAP_CELLS;
    }
    return width;
}

/* The widest text loses what is too much. */
static void cut_widest(const table *t, table_width *w, int too_much)
{
    int widest = -1;
    for (int c = 0; c < t->columns; c++) {
        bool cut = !w[c].out && w[c].least < w[c].whole;
        if (cut && (widest < 0 || w[c].whole > w[widest].whole)) widest = c;
    }
    if (widest < 0) return;
    w[widest].whole = MAX(w[widest].whole - too_much, w[widest].least);
}

/* The least width from `from` on at which no text of the column takes more lines. */
static int width_of_lines(const table *t, int c, int from, int whole, int lines)
{
    int width = MIN(from, whole);
    for (int r = 0; r < t->rows; r++) {
        const char *text = table_shown(&t->line[r].cell[c]);
        while (width < whole && table_break_lines(text, width) > lines) {
            width++;
        }
    }
    return width;
}

/* Is there room if no text takes more lines, and, with `words`, none is broken in its parts? */
static bool try_lines(table_width *w, const table *t, int columns, int lines, bool words)
{
    int least[TABLE_COLUMNS], width = width_in_all(t, w, true);
    for (int c = 0; c < t->columns; c++) {
        least[c] = w[c].least;
        if (!table_is_broken(t, c)) continue;
        int from = words ? MAX(w[c].least, widest_part(t, c)) : w[c].least;
        least[c] = width_of_lines(t, c, from, w[c].whole, lines);
        if (!w[c].out) width += least[c] - w[c].least;
    }
    if (width > columns) return false;
    for (int c = 0; c < t->columns; c++) {
        w[c].least = least[c];
    }
    /* What need not be broken for that is not. */
    for (int c = 0; c < t->columns; c++) {
        int more = table_is_broken(t, c) && !w[c].out ? w[c].whole - w[c].least : 0;
        if (width + more > columns) continue;
        width += more;
        w[c].least += more;
    }
    return true;
}

/* Texts are broken into as few lines as what the table is read for has room for, and into no more
 * for other columns. */
static void choose_lines(table_width *w, const table *t, int columns)
{
    for (int words = 1; words >= 0; words--) {
        for (int lines = 1; lines <= MOST_LINES; lines++) {
            if (try_lines(w, t, columns, lines, words)) return;
        }
    }
}

/* Is something there of what the table is read for? */
static bool choose_columns(table_width *w, const table *t, int columns, bool distinct)
{
    bool kept = false, any = false;
    for (int c = 0; c < t->columns; c++) {
        w[c].out = true;
        w[c].least = least_width(t, c, w[c].whole, distinct);
    }
    for (int rank = NEEDED; rank < RANKS; rank++) {
        for (int c = 0; c < t->columns; c++) {
            if (rank_of(t, c) != rank) continue;
            w[c].out = false;
            bool alone = (t->column[c].flags & TABLE_BEHIND) && c > 0 && w[c - 1].out;
            bool room = !alone && width_in_all(t, w, rank < SPARE) <= columns;
            w[c].out = !room && rank != NEEDED;
            kept |= rank == KEPT && room;
            any |= rank == KEPT;
        }
        if (rank == NEXT) choose_lines(w, t, columns);
    }
    return kept || !any;
}

void table_fit(table_width *w, const table *t, int columns)
{
    for (int c = 0; c < t->columns; c++) {
        w[c] = measure(t, c);
    }
    /* Nothing is cut for a file or a pipe. */
    if (!choose_columns(w, t, columns, columns < INT_MAX)) choose_columns(w, t, columns, false);
    /* At most once for each column, as each cut takes one to its least or makes all fit. */
    for (int i = 0; i < t->columns && width_in_all(t, w, false) > columns; i++) {
        cut_widest(t, w, width_in_all(t, w, false) - columns);
    }
}

int table_lines(const table *t, int columns)
{
    int lines = 0;
    table_width w[TABLE_COLUMNS];
    table_fit(w, t, columns);
    for (int r = 0; r < t->rows; r++) {
        lines += table_row_lines(w, t, r);
    }
    return lines;
}

int table_row_lines(const table_width *w, const table *t, int row)
{
    int lines = 1;
    for (int c = 0; c < t->columns; c++) {
        if (w[c].out || !table_is_broken(t, c)) continue;
        lines = MAX(lines, table_break_lines(table_shown(&t->line[row].cell[c]), w[c].whole));
    }
    return lines;
}
