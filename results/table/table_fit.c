#include "results/table/table_fit.h"

#include <limits.h>
#include <string.h>

#include "core/base/terminal.h"

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
enum { NEEDED, KEPT, USUAL, SPARE, EMPTY, RANKS };

static int rank_of(const table *t, int c)
{
    int flags = t->column[c].flags;
    if (flags & TABLE_PROGRAMS) return RANKS;
    if (c == 0) return NEEDED;
    if (is_empty(t, c)) return EMPTY;
    return flags & TABLE_KEPT ? KEPT : flags & TABLE_SPARE ? SPARE : USUAL;
}

enum { LEAST = 12, CUT_BYTES = 1024 };

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

/* LEAST letters of a text stay. Figures in words say something else when they are cut; and what a
 * row is about, the first column, has as many as it takes to tell any two of them apart. */
static int least_width(const table *t, int c, int whole, bool distinct)
{
    int flags = t->column[c].flags, least = MIN(whole, LEAST);
    if (!(flags & TABLE_LEFT) || flags & TABLE_WHOLE) return whole;
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
            bool room = width_in_all(t, w, rank < SPARE) <= columns;
            w[c].out = !room && rank != NEEDED;
            kept |= rank == KEPT && room;
            any |= rank == KEPT;
        }
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
