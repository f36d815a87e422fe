#include "results/report/html.h"

void html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

void html_element(FILE *out, const char *name, const char *class, const char *text)
{
    fprintf(out, "<%s%s%s%s>", name, *class ? " class=\"" : "", class, *class ? "\"" : "");
    html_text(out, text);
    fprintf(out, "</%s>\n", name);
}

static void put_head(FILE *out, const table *t)
{
    fputs("<thead><tr>", out);
    for (int c = 0; c < t->columns; c++) {
        const table_head *h = &t->column[c];
        if (h->flags & TABLE_PROGRAMS) continue;
        fprintf(out, "<th scope=\"col\"%s>", h->flags & TABLE_LEFT ? " class=\"left\"" : "");
        html_text(out, h->title);
        if (h->unit[0]) html_element(out, "small", "", h->unit);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n", out);
}

static void put_cell(FILE *out, const table_head *h, const table_cell *x)
{
    fprintf(out, "<td%s data-v=\"", h->flags & TABLE_LEFT ? " class=\"left\"" : "");
    if (x->kind == CELL_REAL) fprintf(out, "%.9g", x->real);
    if (x->kind == CELL_INT) fprintf(out, "%lld", (long long)x->integer);
    if (x->kind == CELL_TEXT) html_text(out, x->text);
    fputs("\">", out);
    html_text(out, x->kind == CELL_EMPTY ? "\u2013" : x->text);
    if (x->half) fprintf(out, " \u00b1 %s", x->half);
    fputs("</td>", out);
}

void html_table(FILE *out, const table *t, const char *const *mark)
{
    fputs("<div class=\"scroll\"><table class=\"sortable\">\n", out);
    put_head(out, t);
    fputs("<tbody>\n", out);
    for (int r = 0; r < t->rows; r++) {
        fprintf(out, "<tr%s%s%s>", mark && mark[r] ? " class=\"" : "",
                mark && mark[r] ? mark[r] : "", mark && mark[r] ? "\"" : "");
        for (int c = 0; c < t->columns; c++) {
            if (t->column[c].flags & TABLE_PROGRAMS) continue;
            put_cell(out, &t->column[c], &t->line[r].cell[c]);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}
