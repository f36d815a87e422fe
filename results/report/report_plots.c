#include "results/report/report_plots.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "results/report/html.h"

/* Of each picture the SVG is put into the page as data, sharp at every size and the same to the
 * byte each time; and its script, which holds the figures, as a link that can be saved. The page's
 * script reads the figures from that link when the pointer comes, so they are in the page once.
 *
 * Captions are not kept a second time: they are taken from the gnuplot script, where title, labels
 * and the words below the plot stand as text. */

/* Three bytes are four letters; the last group is filled up with '='. */
static void put_base64(FILE *out, const unsigned char *x, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned left = (unsigned)MIN(n - i, (size_t)3);
        unsigned bits = (unsigned)x[i] << 16 | (left > 1 ? (unsigned)x[i + 1] << 8 : 0) |
                        (left > 2 ? x[i + 2] : 0);
        for (unsigned k = 0; k < 4; k++) {
            fputc(k <= left ? digits[bits >> (18 - 6 * k) & 63] : '=', out);
        }
    }
}

/* The text that a script's line gives behind `what`: "set xlabel '...'"; "" if it has none. The
 * quoting of gnuplot.c undone: a quote and a line break are strings of their own between dots.
 * `what` is found where it stands first: settings come before data in a script. */
static void script_text(char text[400], const char *script, const char *what)
{
    static const char line[] = "'.\"\\n\".'";
    static const char quote[] = "'.\"\\047\".'"; /* as gnuplot_quote puts one */
    const char *at = strstr(script, what);
    text[0] = 0;
    if (!at) return;
    size_t used = 0;
    for (at += strlen(what); *at && used + 1 < 400; at++) {
        if (*at == '\'') {
            if (strncmp(at, line, sizeof line - 1) == 0) {
                text[used++] = ' ';
                at += sizeof line - 2;
                continue;
            }
            if (strncmp(at, quote, sizeof quote - 1) != 0) break;
            at += sizeof quote - 2;
        }
        text[used++] = *at; /* of the quote its last */
    }
    text[used] = 0;
}

/* What the picture shows, and the script to draw it again, which holds the figures. The question of
 * the title, else what the axes say, else the file's name. */
static void put_caption(FILE *out, const char *name, const char *script, size_t bytes)
{
    char x[400], y[400], title[400];
    script_text(x, script, "set xlabel '");
    script_text(y, script, "set ylabel '");
    /* A title asks what the picture answers; of panels that of the whole page, as their own are
     * their variants'. */
    const char *panels = strstr(script, "set multiplot");
    script_text(title, panels ? panels : script, panels ? " title '" : "set title '");
    bool asks = title[0] && title[strlen(title) - 1] == '?';
    fputs("<figcaption>", out);
    html_text(out, asks ? title : y[0] ? y : x[0] ? x : name);
    if (!asks && x[0] && y[0]) {
        fputs(" by ", out);
        html_text(out, x);
    }
    fprintf(out, "<a download=\"%s\" href=\"data:text/plain;base64,", name);
    put_base64(out, (const unsigned char *)script, bytes);
    fputs("\">data and gnuplot script</a></figcaption>", out);
}

/* The words below the plot are its alternative text: who cannot see the picture reads what it
 * shows. */
static bool put_plot(FILE *out, const char *folder, const char *svg_name, const char *map, err *e)
{
    char name[64], path[FILE_PATH_BYTES], note[400];
    size_t bytes, script_bytes = 0;
    if (!file_join(path, folder, svg_name, e)) return false;
    text_auto *svg = file_read(path, &bytes, e);
    if (!svg) return false;
    snprintf(name, sizeof name, "%.*s.gp", (int)(strlen(svg_name) - 4), svg_name);
    /* A picture without its script is shown all the same. */
    text_auto *script =
        file_join(path, folder, name, NULL) ? file_read(path, &script_bytes, NULL) : NULL;
    script_text(note, script ? script : "", "set label 1 '");
    fputs("<figure>", out);
    if (script) put_caption(out, name, script, script_bytes);
    fputs("<img alt=\"", out);
    html_text(out, note[0] ? note : svg_name);
    if (map[0]) fprintf(out, "\" data-map=\"%s", map);
    fputs("\" src=\"data:image/svg+xml;base64,", out);
    put_base64(out, (const unsigned char *)svg, bytes);
    fputs("\"></figure>\n", out);
    return true;
}

bool report_plots(FILE *out, const plot_report *plots, err *e)
{
    bool any = false;
    for (int i = 0; i < plots->count; i++) {
        /* PNG and PDF are the same pictures for other uses. */
        if (!text_ends(plots->files[i], ".svg")) continue;
        if (!any) html_element(out, "h2", "", "Plots");
        any = true;
        if (!put_plot(out, plots->folder, plots->files[i], plots->map[i], e)) return false;
    }
    /* What was not drawn, and why. */
    if (plots->note[0]) html_element(out, "p", "note", plots->note);
    return true;
}
