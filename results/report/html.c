#include "results/report/html.h"

#include <string.h>

#include "core/base/terminal.h"
#include "core/base/text.h"

/* All text that comes from a spec, a label, a log or a note goes through html_text, also inside of
 * attributes, which are always between double quotes. A page may be opened by somebody who did not
 * make the runs, and a label that is a script must be shown and not run; the page's policy
 * (report.c) forbids requests besides. */

/* The four characters that end a text or an attribute, and marks that would turn what stands beside
 * the text. */
void html_text(FILE *out, const char *text)
{
    for (int turn; *text; text += MAX(turn, 1)) {
        turn = text_turns(text);
        if (turn) fputs("\uFFFD", out);
        if (turn) continue;
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

/* Letters of Hebrew, Arabic and others that are written from the right. */
static bool is_from_right(unsigned x)
{
    return (x >= 0x590 && x <= 0x8ff) || (x >= 0xfb1d && x <= 0xfdff) ||
           (x >= 0xfe70 && x <= 0xfefc) || (x >= 0x10800 && x <= 0x10fff) ||
           (x >= 0x1e800 && x <= 0x1efff);
}

/* Is the next letter one of them? Digits, signs and spaces have no direction of their own. */
static bool goes_on_from_right(const char *text)
{
    unsigned x = 0;
    for (int n; (n = terminal_letter(text, &x)) > 0; text += n) {
        bool sign =
            x < 'A' || (x > 'Z' && x < 'a') || (x > 'z' && x < 0xaa) || (x >= 0x2000 && x < 0x2070);
        if (!sign) return is_from_right(x);
    }
    return false;
}

/* A sentence: behind a label in such letters stands a mark (U+200E) that what follows is written
 * from the left again, or its figures would stand in the reverse order. Not in what is copied, a
 * table's cell or a spec. */
static void put_sentence(FILE *out, const char *text)
{
    text_memory m;
    FILE *marked = text_begin(&m);
    unsigned x;
    for (int n; (n = terminal_letter(text, &x)) > 0; text += n) {
        fwrite(text, 1, (size_t)n, marked);
        if (is_from_right(x) && !goes_on_from_right(text + n)) fputs("\u200E", marked);
    }
    text_auto *all = text_end(&m);
    html_text(out, all);
}

/* `name` and `class` are words of this program; only the text comes from elsewhere. */
void html_element(FILE *out, const char *name, const char *class, const char *text)
{
    fprintf(out, "<%s%s%s%s>", name, *class ? " class=\"" : "", class, *class ? "\"" : "");
    if (strcmp(name, "pre") == 0) {
        html_text(out, text);
    } else {
        put_sentence(out, text);
    }
    fprintf(out, "</%s>\n", name);
}

/* The unit stands below the title, in the same cell: it is not sorted by. */
static void put_head(FILE *out, const table *t)
{
    fputs("<thead><tr>", out);
    /* Columns for programs are not on the page; the copies of the table have them. */
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

/* data-v is what the script sorts by: the number in full where the cell shows three digits, so that
 * 1.2M and 900k sort as numbers. An empty cell has an empty one, which sorts last. */
static void put_cell(FILE *out, const table_head *h, const table_cell *x)
{
    fprintf(out, "<td%s data-v=\"", h->flags & TABLE_LEFT ? " class=\"left\"" : "");
    /* %.9g: more digits than are shown, and none of a double's last ones, so that equal figures are
     * equal. */
    if (x->kind == CELL_REAL) fprintf(out, "%.9g", x->real);
    if (x->kind == CELL_INT) fprintf(out, "%lld", (long long)x->integer);
    if (x->kind == CELL_TEXT) html_text(out, x->text);
    fputs("\">", out);
    html_text(out, x->kind == CELL_EMPTY ? "\u2013" : x->text);
    if (x->half) fprintf(out, " \u00b1 %s", x->half);
    fputs("</td>", out);
}

/* In a box of its own that scrolls, so that a wide table does not make the whole page wide. `mark`
 * is by row, as the script moves whole rows. */
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
