/* A table for a paper: what people see of it, as a tabular of booktabs with its titles and units as
 * two lines. Labels come from specs and may hold anything that TeX would take for a command, so
 * every character with a meaning is written as the character. */
#include <string.h>

#include "results/table/table.h"

/* "<", ">" and "|" print as other signs in text of the OT1 encoding, so they are set as
 * mathematics. */
static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("&%$#_{}", *text)) {
            fprintf(out, "\\%c", *text);
        } else if (*text == '\\') {
            fputs("\\textbackslash{}", out);
        } else if (strchr("<>|", *text)) { /* others in LaTeX's oldest encoding, its default */
            fprintf(out, "$%c$", *text);
        } else if (*text == '~' || *text == '^') {
            fprintf(out, "\\%c{}", *text);
        } else if (strncmp(text, "\u00b1", 2) == 0) { /* two bytes */
            fputs("$\\pm$", out);
            text++;
        } else {
            fputc(*text, out);
        }
    }
}

/* A number's sign is set as mathematics; a text's hyphen is a hyphen. */
static void put_cell(FILE *out, const table_cell *x)
{
    if (x->kind == CELL_EMPTY) {
        /* An en dash for what is empty, as papers have it. */
        fputs("--", out);
        return;
    }
    /* A minus sign rather than a hyphen. */
    bool minus = x->kind != CELL_TEXT && x->text[0] == '-';
    if (minus) fputs("$-$", out);
    put_text(out, x->text + minus);
    if (x->half) fprintf(out, " $\\pm$ %s", x->half);
}

/* row: -2 titles, -1 units. One function for heads and rows, so that the columns that are left out
 * are the same. */
static void put_row(FILE *out, const table *t, int row)
{
    bool first = true;
    for (int c = 0; c < t->columns; c++) {
        const table_head *h = &t->column[c];
        if (h->flags & TABLE_PROGRAMS) continue;
        if (!first) fputs(" & ", out);
        first = false;
        if (row < 0) {
            put_text(out, row == -2 ? h->title : h->unit);
        } else {
            put_cell(out, &t->line[row].cell[c]);
        }
    }
    fputs(" \\\\\n", out);
}

void table_latex(FILE *out, const table *t)
{
    bool units = false;
    fputs("% \\usepackage{booktabs}\n\\begin{tabular}{", out);
    /* The columns' letters are made of those that put_row prints. */
    for (int c = 0; c < t->columns; c++) {
        if (t->column[c].flags & TABLE_PROGRAMS) continue;
        fputc(t->column[c].flags & TABLE_LEFT ? 'l' : 'r', out);
        units = units || t->column[c].unit[0];
    }
    fputs("}\n\\toprule\n", out);
    put_row(out, t, -2);
    /* A line of nothing where no column has a unit. */
    if (units) put_row(out, t, -1);
    fputs("\\midrule\n", out);
    for (int r = 0; r < t->rows; r++) {
        put_row(out, t, r);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", out);
}
