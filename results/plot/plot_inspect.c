/* Pictures of an inspection: a figure per layer each, as in Geva et al. 2021. */
#include "results/plot/plot_inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/plot/plot_series.h"
#include "results/store/query.h"

enum { MAX_SERIES = 4, MAX_LAYERS = 512 };

typedef struct picture {
    const char *name, *part, *caption, *y;
    const char *figures[MAX_SERIES];
    const char *titles[MAX_SERIES];
    bool stacked; /* shares that add up to 1 */
    bool band;    /* the first figure between the two others */
} picture;

static const picture PICTURES[] = {
    {.name = "agreement",
     .part = "values",
     .caption =
         "Share of keys whose first trigger is followed by the value's top token; by chance: "
         "values dealt to keys at random.",
     .y = "agreement rate",
     .figures = {"agreement", "agreement_by_chance"},
     .titles = {"agreement", "by chance"}},
    {.name = "rank",
     .part = "values",
     .caption = "Tokens that a value holds more probable than the first trigger's next: median, "
                "quartiles.",
     .y = "rank of the next token",
     .figures = {"rank_median", "rank_low", "rank_high"},
     .titles = {"median", "quartiles"},
     .band = true},
    {.name = "active",
     .part = "composition",
     .caption = "Memories with a positive coefficient, mean over sampled prefixes.",
     .y = "share of active memories",
     .figures = {"active"},
     .titles = {"active"}},
    {.name = "zero-agreement",
     .part = "composition",
     .caption =
         "Prefixes where no memory's top token is the layer's: of all memories, of the active "
         "ones, and as the published code counts.",
     .y = "share of prefixes",
     .figures = {"zero_agreement", "zero_agreement_active", "zero_agreement_published_code"},
     .titles = {"all memories", "active ones", "published code"}},
    {.name = "refinement",
     .part = "refinement",
     .caption =
         "Prefixes whose final prediction the residual holds before the layer; its probability.",
     .y = "share, probability",
     .figures = {"residual_is_final", "final_probability"},
     .titles = {"residual holds the prediction", "its probability"}},
    {.name = "cases",
     .part = "refinement",
     .caption = "Whose prediction the stream holds behind the layer: the residual's, both, the "
                "layer's, neither's.",
     .y = "share of prefixes",
     .figures = {"residual", "agreement", "output", "composition"},
     .titles = {"residual", "agreement", "layer", "composition"},
     .stacked = true},
    {.name = "patterns",
     .part = "keys",
     .caption = "Share of triggers with the same last token, last or topic word: automatic, no "
                "human labels.",
     .y = "share of triggers",
     .figures = {"shared_last_token", "shared_last_word", "shared_topic_word"},
     .titles = {"last token", "last word", "topic word"}},
    {.name = "removal",
     .part = "keys",
     .caption = "Change of the coefficient when the sentence's prefix loses a token.",
     .y = "relative change",
     .figures = {"without_first", "without_last", "without_random"},
     .titles = {"without first", "without last", "without random"}},
};
enum { PICTURE_COUNT = sizeof PICTURES / sizeof *PICTURES };

/* ---- reading ---- */

/* One figure by layer, in the order of the stack; *layers: how many there are. */
static bool read_figure(double values[MAX_LAYERS], int *layers, store *s, const char *run,
                        const char *part, const char *figure, err *e)
{
    query q = QUERY(s, e,
                    "SELECT value FROM inspect_figure WHERE run = ?1 AND part = ?2 AND figure = ?3 "
                    "AND depth >= 0 ORDER BY depth",
                    run, part, figure);
    for (*layers = 0; *layers < MAX_LAYERS && query_next(&q);) {
        values[(*layers)++] = query_real(&q, "value");
    }
    return query_close(&q);
}

const char *plot_inspect_find(store *s, const char *run, arena *a, err *e)
{
    query q = QUERY(s, e,
                    "SELECT run FROM inspection WHERE substr(run, 1, length(?1)) = ?1 "
                    "ORDER BY at DESC LIMIT 1",
                    run ? run : "");
    const char *found = query_next(&q) ? query_text(&q, "run", a) : NULL;
    if (!query_close(&q)) return NULL;
    if (!found && run) err_set(e, "%s: no such run was inspected; loci inspect RUN does it", run);
    if (!found && !run) err_set(e, "nothing was inspected yet; loci inspect RUN does it");
    return found;
}

/* ---- drawing ---- */

static void put_value(FILE *out, double value)
{
    if (isfinite(value)) {
        fprintf(out, " %.9g", value);
    } else {
        fputs(" NaN", out);
    }
}

/* Columns: layer, then a column per series. */
static void put_data(FILE *out, double values[MAX_SERIES][MAX_LAYERS], int series, int layers)
{
    fputs("$data << EOD\n", out);
    for (int l = 0; l < layers; l++) {
        fprintf(out, "%d", l + 1);
        for (int i = 0; i < series; i++) {
            put_value(out, values[i][l]);
        }
        fputc('\n', out);
    }
    fputs("EOD\n", out);
}

static void put_axes(FILE *out, const picture *x, const char *run, int layers)
{
    char title[128];
    snprintf(title, sizeof title, "%s, run %.8s", x->name, run);
    fputs("set title ", out);
    gnuplot_quote(out, title);
    fputs("\nset ylabel ", out);
    gnuplot_quote(out, x->y);
    fprintf(out,
            "\nset xlabel 'memory layer'\nset xtics 1\nset xrange [0.5:%d.5]\n"
            "set key outside right top Left reverse samplen 2 spacing 1.2\n",
            layers);
    if (layers > 24) fprintf(out, "set xtics %d\n", (layers + 11) / 12);
    if (strcmp(x->name, "removal") != 0) fputs("set yrange [0:*]\n", out);
    if (x->stacked) {
        fputs("set yrange [0:1]\nset style data histogram\nset style histogram rowstacked\n"
              "set style fill solid 0.85 border rgb 'white'\nset boxwidth 0.8 relative\n"
              "set xrange [-0.6:*]\n",
              out);
    }
}

static void series_command(char *command, size_t size, const picture *x, int series)
{
    size_t n = (size_t)snprintf(command, size, "plot ");
    if (x->band) {
        snprintf(command + n, size - n,
                 "$data using 1:3:4 with filledcurves linecolor %d fillstyle transparent solid 0.2 "
                 "noborder title '%s', $data using 1:2 with linespoints pointtype 7 linewidth 1.8 "
                 "linecolor %d title '%s'",
                 plot_series_colour(0), x->titles[1], plot_series_colour(0), x->titles[0]);
        return;
    }
    for (int i = 0; i < series; i++) {
        n += (size_t)snprintf(command + n, size - n,
                              x->stacked ? "%s$data using %d:xtic(1) linecolor %d title '%s'"
                                         : "%s$data using 1:%d with linespoints pointtype 7 "
                                           "linewidth 1.8 linecolor %d title '%s'",
                              i ? ", " : "", i + 2, plot_series_colour(i), x->titles[i]);
    }
}

static bool draw_picture(plot_report *r, store *s, const char *run, const picture *x, err *e)
{
    double values[MAX_SERIES][MAX_LAYERS];
    int series = 0, layers = 0;
    for (; series < MAX_SERIES && x->figures[series]; series++) {
        if (!read_figure(values[series], &layers, s, run, x->part, x->figures[series], e)) {
            return false;
        }
        if (layers == 0) return true;
    }
    gnuplot_script p;
    char command[2048];
    gnuplot_begin(&p, x->name, 620, 360, x->caption);
    put_data(p.out, values, series, layers);
    put_axes(p.out, x, run, layers);
    series_command(command, sizeof command, x, series);
    gnuplot_draw(&p, command);
    return gnuplot_run(r, &p, e);
}

/* Agreement against the value's confidence: bins of equally many values. */
static bool draw_confidence(plot_report *r, store *s, const char *run, err *e)
{
    query q = QUERY(s, e,
                    "SELECT a.value AS x, b.value AS y FROM inspect_figure a JOIN inspect_figure b "
                    "USING (run, part, depth, bin) WHERE run = ?1 AND a.figure = 'confidence' AND "
                    "b.figure = 'confidence_agreement' ORDER BY bin",
                    run);
    gnuplot_script p;
    gnuplot_begin(&p, "confidence", 620, 360,
                  "Tenths of all values by the probability of their top token.");
    fputs("$data << EOD\n", p.out);
    int n = 0;
    for (; query_next(&q); n++) {
        double x = query_real(&q, "x");
        fprintf(p.out, "%.9g %.9g\n", x, query_real(&q, "y"));
    }
    bool ok = query_close(&q);
    fprintf(p.out,
            "EOD\nset title 'confidence, run %.8s'\nset xlabel 'probability of the value''s top "
            "token'\nset ylabel 'agreement rate'\nset yrange [0:*]\nunset key\n",
            run);
    gnuplot_draw(&p, "plot $data using 1:2 with linespoints pointtype 7 linewidth 1.8 "
                     "linecolor 2");
    if (ok && n > 0) return gnuplot_run(r, &p, e);
    free(p.text);
    return ok;
}

/* A figure of several bins: a line per layer that has it. */
typedef struct curve {
    const char *name, *part, *like; /* of the figures' names */
    const char *caption, *x, *y;
    bool doubling; /* bin b stands for 2^b, else for its share of all bins */
} curve;

static const curve CURVES[] = {
    {.name = "gain-position",
     .part = "changes",
     .like = "gain_by_position",
     .caption = "What fast weights gain, by position in the block.",
     .x = "share of the block",
     .y = "nats per token"},
    {.name = "gain-distance",
     .part = "changes",
     .like = "gain_by_distance",
     .caption = "What fast weights gain, by position in the document.",
     .x = "tokens of the document before",
     .y = "nats per token",
     .doubling = true},
    {.name = "reads",
     .part = "states",
     .like = "read%by_position",
     .caption = "What positions get from the states, relative to the layer's output.",
     .x = "share of the block",
     .y = "strength"},
    {.name = "reads-blocks",
     .part = "states",
     .like = "read%strength_by_block",
     .caption = "The same, by the number of the block in the document.",
     .x = "block of the document",
     .y = "strength",
     .doubling = true},
    {.name = "writes",
     .part = "states",
     .like = "write%by_position",
     .caption = "What states take in of a position; 1: of all positions alike.",
     .x = "share of the block",
     .y = "times an equal share"},
    {.name = "writes-blocks",
     .part = "states",
     .like = "write%moved_by_block",
     .caption = "How far a block moves the states, relative to their norm.",
     .x = "block of the document",
     .y = "moved",
     .doubling = true},
};
enum { CURVE_COUNT = sizeof CURVES / sizeof *CURVES, CURVE_BINS = 16, MAX_CURVES = 12 };

/* The curve's points, a data set per layer and figure; what they are called goes to titles. */
static int put_curve(FILE *out, query *q, const curve *x, char titles[MAX_CURVES][96])
{
    int n = 0;
    while (query_next(q)) {
        char title[96];
        const char *figure = query_peek(q, "figure");
        snprintf(title, sizeof title, "%s%s%.*s", query_peek(q, "layer"),
                 strcmp(x->part, "states") == 0 ? " " : "",
                 strcmp(x->part, "states") == 0 ? (int)strcspn(figure, "_") : 0, figure);
        if (n == 0 || strcmp(titles[n - 1], title) != 0) {
            if (n == MAX_CURVES) break;
            if (n > 0) fputs("\n\n", out);
            strcpy(titles[n++], title);
        }
        int bin = (int)query_int(q, "bin", 0);
        double at = x->doubling ? ldexp(1, bin) : (bin + 0.5) / CURVE_BINS;
        fprintf(out, "%.9g %.9g\n", at, query_real(q, "value"));
    }
    return n;
}

static bool draw_curve(plot_report *r, store *s, const char *run, const curve *x, err *e)
{
    char titles[MAX_CURVES][96], command[4096], head[128];
    query q = QUERY(s, e,
                    "SELECT layer, figure, bin, value FROM inspect_figure WHERE run = ?1 AND "
                    "part = ?2 AND figure LIKE ?3 AND value NOT NULL ORDER BY depth, figure, bin",
                    run, x->part, x->like);
    gnuplot_script p;
    gnuplot_begin(&p, x->name, 620, 360, x->caption);
    fputs("$data << EOD\n", p.out);
    int n = put_curve(p.out, &q, x, titles);
    bool ok = query_close(&q);
    snprintf(head, sizeof head, "%s, run %.8s", x->name, run);
    fputs("EOD\nset title ", p.out);
    gnuplot_quote(p.out, head);
    fprintf(p.out,
            "\nset xlabel '%s'\nset ylabel '%s'\n%sset key outside right top Left "
            "reverse samplen 2 spacing 1.2\n",
            x->x, x->y, x->doubling ? "set logscale x 2\n" : "");
    size_t used = (size_t)snprintf(command, sizeof command, "plot ");
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(command + used, sizeof command - used,
                                 "%s$data index %d using 1:2 with linespoints pointtype 7 "
                                 "linewidth 1.8 linecolor %d title '%s'",
                                 i ? ", " : "", i, plot_series_colour(i), titles[i]);
    }
    gnuplot_draw(&p, command);
    if (ok && n > 0) return gnuplot_run(r, &p, e);
    free(p.text);
    return ok;
}

bool plot_inspect(plot_report *r, store *s, const char *out, const char *run, bool svg_only, err *e)
{
    *r = (plot_report){.svg_only = svg_only};
    bool ok = file_join(r->folder, out, "plots/inspect", e) && file_make_folders(r->folder, e);
    for (int i = 0; ok && i < PICTURE_COUNT; i++) {
        ok = draw_picture(r, s, run, &PICTURES[i], e);
    }
    ok = ok && draw_confidence(r, s, run, e);
    for (int i = 0; ok && i < CURVE_COUNT; i++) {
        ok = draw_curve(r, s, run, &CURVES[i], e);
    }
    if (ok) gnuplot_note_fonts(r);
    return ok;
}
