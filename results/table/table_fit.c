#include "results/table/table_fit.h"

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
    table_width w = {.out = true};
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

/* LEAST letters of a text stay: less would not tell two labels apart. Figures in words say
 * something else when they are cut. */
static int least_width(const table *t, const table_width *w, int c)
{
    enum { LEAST = 12 };
    int flags = t->column[c].flags;
    bool cut = flags & TABLE_LEFT && !(flags & TABLE_WHOLE);
    return cut ? MIN(w[c].whole, LEAST) : w[c].whole;
}

/* What the columns that are there take, each as wide as it is or, at `least`, as it has to be. */
static int width_in_all(const table *t, const table_width *w, bool least)
{
    int width = -TABLE_GAP_CELLS;
    for (int c = 0; c < t->columns; c++) {
        if (!w[c].out) width += (least ? least_width(t, w, c) : w[c].whole) + TABLE_GAP_CELLS;
    }
    return width;
}

/* The widest text loses what is too much. */
static void cut_widest(const table *t, table_width *w, int too_much)
{
    int widest = -1;
    for (int c = 0; c < t->columns; c++) {
        bool cut = !w[c].out && least_width(t, w, c) < w[c].whole;
        if (cut && (widest < 0 || w[c].whole > w[widest].whole)) widest = c;
    }
    if (widest < 0) return;
    w[widest].whole = MAX(w[widest].whole - too_much, least_width(t, w, widest));
}

void table_fit(table_width *w, const table *t, int columns)
{
    for (int c = 0; c < t->columns; c++) {
        w[c] = measure(t, c);
    }
    for (int rank = NEEDED; rank < RANKS; rank++) {
        for (int c = 0; c < t->columns; c++) {
            if (rank_of(t, c) != rank) continue;
            w[c].out = false;
            bool room = width_in_all(t, w, rank < SPARE) <= columns;
            w[c].out = !room && rank != NEEDED;
        }
    }
    /* At most once for each column, as each cut takes one to its least or makes all fit. */
    for (int i = 0; i < t->columns && width_in_all(t, w, false) > columns; i++) {
        cut_widest(t, w, width_in_all(t, w, false) - columns);
    }
}
