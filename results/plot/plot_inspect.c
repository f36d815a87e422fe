#include "results/plot/plot_inspect.h"

#include <math.h>
#include <string.h>

#include "results/plot/plot_series.h"
#include "results/store/query.h"

/* Pictures of an inspection are rows of two tables: figures by layer (PICTURES), and figures by
 * bins with a line for each layer (CURVES). A picture more is an entry more. What an inspection did
 * not measure has no rows in the database, and its picture is left out without a word: a model
 * without fast weights has no gains to draw. */

/* A model may have some hundred layers; the arrays are on the stack, 16 KiB. */
enum { MAX_SERIES = 4, MAX_LAYERS = 512 };

/* The question is the picture's title, the caption says how the figures were measured: a picture
 * that is passed on without its page has to explain itself. */
typedef struct picture {
    const char *name, *question, *part, *caption, *y;
    const char *figures[MAX_SERIES];
    const char *titles[MAX_SERIES];
    bool stacked; /* shares that add up to 1 */
    bool band;    /* the first figure between the two others */
    bool below;   /* may be below 0 */
} picture;

/* `figures` are names as the inspection writes them (harness/inspect). Of a band the first is the
 * line, the two others its ends. */
static const picture PICTURES[] = {
    /* Geva et al. 2021 (arXiv:2012.14913), their section 4; by chance beside it, as agreement alone
     * does not tell a value that fits its key from one that holds a frequent token. */
    {.name = "agreement",
     .question = "do values predict what follows their keys?",
     .part = "values",
     .caption =
         "Share of keys whose first trigger is followed by the value's top token; by chance: "
         "values dealt to keys at random.",
     .y = "agreement rate",
     .figures = {"agreement", "agreement_by_chance"},
     .titles = {"agreement", "by chance"}},
    {.name = "rank",
     .question = "how far from the next token are values?",
     .part = "values",
     .caption = "Tokens that a value holds more probable than the first trigger's next: median, "
                "quartiles.",
     .y = "rank of the next token",
     .figures = {"rank_median", "rank_low", "rank_high"},
     .titles = {"median and quartiles"},
     .band = true},
    {.name = "active",
     .question = "how many memories fire?",
     .part = "composition",
     .caption = "Memories with a positive coefficient, mean over sampled prefixes.",
     .y = "share of active memories",
     .figures = {"active"},
     .titles = {"active"}},
    /* The published code counts otherwise than the paper's text; both are shown. */
    {.name = "zero-agreement",
     .question = "is a layer more than its memories one by one?",
     .part = "composition",
     .caption =
         "Prefixes where no memory's top token is the layer's: of all memories, of the active "
         "ones, and as the published code counts.",
     .y = "share of prefixes",
     .figures = {"zero_agreement", "zero_agreement_active", "zero_agreement_published_code"},
     .titles = {"all memories", "active ones", "published code"}},
    {.name = "refinement",
     .question = "how early is the prediction there?",
     .part = "refinement",
     .caption =
         "Prefixes whose final prediction the residual holds before the layer; its probability.",
     .y = "share, probability",
     .figures = {"residual_is_final", "final_probability"},
     .titles = {"residual holds the prediction", "its probability"}},
    {.name = "cases",
     .question = "who decides the prediction: residual or layer?",
     .part = "refinement",
     .caption = "Whose prediction the stream holds behind the layer: the residual's, both, the "
                "layer's, neither's.",
     .y = "share of prefixes",
     .figures = {"residual", "agreement", "output", "composition"},
     .titles = {"residual", "agreement", "layer", "composition"},
     .stacked = true},
    {.name = "patterns",
     .question = "what do a key's triggers share?",
     .part = "keys",
     .caption = "Share of triggers with the same last token, last or topic word: automatic, no "
                "human labels.",
     .y = "share of triggers",
     .figures = {"shared_last_token", "shared_last_word", "shared_topic_word"},
     .titles = {"last token", "last word", "topic word"}},
    /* Relative changes, mostly below 0: the axis is free. */
    {.name = "removal",
     .question = "does a key look at the end of its trigger?",
     .part = "keys",
     .caption = "Change of the coefficient when the sentence's prefix loses a token.",
     .y = "relative change",
     .figures = {"without_first", "without_last", "without_random"},
     .titles = {"without first", "without last", "without random"},
     .below = true},
};
enum { PICTURE_COUNT = sizeof PICTURES / sizeof *PICTURES };

/* ---- reading ---- */

/* One figure by layer, in the order of the stack; *layers: how many there are. depth -1 is the
 * model's own; the table's key ends with depth and bin, so that layers come sorted. */
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

/* substr rather than LIKE, in which '_' and '%' of an id would match anything. */
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

/* The first eight letters of an id are what every list of runs shows. */
static void begin(gnuplot_script *p, const char *name, const char *question, const char *run,
                  const char *caption, const char *x, const char *y)
{
    char title[128];
    snprintf(title, sizeof title, "run %.8s: %s", run, question);
    gnuplot_begin(p, name, 620, 360, caption);
    /* The key takes what it needs at the right. */
    gnuplot_title(p, 0.4 * p->width, title);
    gnuplot_set(p->out, "xlabel", x);
    gnuplot_set(p->out, "ylabel", y);
    fputs("set key outside right top Left reverse samplen 2 spacing 1.2\n", p->out);
}

/* At most about twelve tics; layers stand at 1, 2, 3 ... */
static void put_axes(FILE *out, const picture *x, int layers)
{
    fprintf(out, "set xtics %d\nset xrange [0.5:%d.5]\n", layers > 24 ? (layers + 11) / 12 : 1,
            layers);
    if (!x->below) fputs("set yrange [0:*]\n", out);
    /* Shares of a whole: histograms count their boxes from 0, and the top is 1 whatever rounding
     * adds. */
    if (!x->stacked) return;
    fputs("set yrange [0:1]\nset style data histogram\nset style histogram rowstacked\n"
          "set style fill solid 0.85 border rgb 'white'\nset boxwidth 0.8 relative\n"
          "set xrange [-0.6:*]\n",
          out);
}

/* A figure by layer as a line, or between two others as a band. Without a band low and high are the
 * point itself, which draws none. */
static plot_series layers_of(arena *a, const picture *x, int figure,
                             double values[MAX_SERIES][MAX_LAYERS], int layers)
{
    plot_series line = {
        .label = x->titles[figure], .look = figure, .point = ARENA_NEW(a, plot_point, layers)};
    for (int l = 0; l < layers; l++) {
        double y = values[figure][l];
        line.point[line.count++] =
            (plot_point){l + 1, y, x->band ? values[1][l] : y, x->band ? values[2][l] : y, 0, NULL};
    }
    return line;
}

/* All figures have the layers in the same order, so one count serves. */
static bool draw_picture(plot_report *r, arena *a, store *s, const char *run, const picture *x,
                         err *e)
{
    double values[MAX_SERIES][MAX_LAYERS];
    plot_series lines[MAX_SERIES];
    int count = 0, layers = 0;
    /* A figure's list ends with NULL, which an array that is not filled has. */
    for (; count < MAX_SERIES && x->figures[count]; count++) {
        if (!read_figure(values[count], &layers, s, run, x->part, x->figures[count], e)) {
            return false;
        }
        /* One of its figures was not measured. */
        if (layers == 0) return true;
    }
    /* The other two are the ends of its band, already in the line's points. */
    if (x->band) count = 1;
    for (int i = 0; i < count; i++) {
        lines[i] = layers_of(a, x, i, values, layers);
    }
    gnuplot_script p;
    begin(&p, x->name, x->question, run, x->caption, "memory layer", x->y);
    put_axes(p.out, x, layers);
    if (!x->stacked) {
        plot_series_draw(&p, lines, count, PLOT_MARKED, true, NULL);
        return gnuplot_run(r, &p, e);
    }
    for (int i = 0; i < count; i++) {
        plot_series_data(p.out, &lines[i], i);
        fprintf(gnuplot_item(&p), "$series%d using 2:xtic(1) linecolor %d title '%s'", i,
                plot_series_colour(i), x->titles[i]);
    }
    return gnuplot_run(r, &p, e);
}

/* Agreement against the value's confidence: bins of equally many values. Of the whole model: its
 * figure has no layers. */
static bool draw_confidence(plot_report *r, arena *a, store *s, const char *run, err *e)
{
    query q = QUERY(s, e,
                    /* Two figures that share their bins, joined bin by bin. */
                    "SELECT a.value AS x, b.value AS y FROM inspect_figure a JOIN inspect_figure b "
                    "USING (run, part, depth, bin) WHERE run = ?1 AND a.figure = 'confidence' AND "
                    "b.figure = 'confidence_agreement' ORDER BY bin LIMIT 512",
                    run);
    plot_series line = {.label = "", .look = 1, .point = ARENA_NEW(a, plot_point, MAX_LAYERS)};
    while (query_next(&q)) {
        double x = query_real(&q, "x"), y = query_real(&q, "y");
        line.point[line.count++] = (plot_point){x, y, y, y, 0, NULL};
    }
    bool ok = query_close(&q);
    if (!ok || line.count == 0) return ok;
    gnuplot_script p;
    begin(&p, "confidence", "are sure values right?", run,
          "Tenths of all values by the probability of their top token.",
          "probability of the value's top token", "agreement rate");
    fputs("set yrange [0:*]\nunset key\n", p.out);
    plot_series_draw(&p, &line, 1, PLOT_MARKED, false, NULL);
    return gnuplot_run(r, &p, e);
}

/* A figure of several bins: a line per layer that has it. `like` is a pattern of SQL's LIKE, as
 * exchanges put their own name into the figure's ("read.0_by_position"). */
typedef struct curve {
    const char *name, *question, *part, *like; /* of the figures' names */
    const char *caption, *x, *y;
    bool doubling; /* bin b stands for 2^b, else for its share of all bins */
} curve;

static const curve CURVES[] = {
    {.name = "gain-position",
     .question = "where in a block do fast weights gain?",
     .part = "changes",
     .like = "gain_by_position",
     .caption = "What fast weights gain, by position in the block.",
     .x = "share of the block",
     .y = "nats per token"},
    {.name = "gain-distance",
     .question = "do fast weights gain more the further one reads?",
     .part = "changes",
     .like = "gain_by_distance",
     .caption = "What fast weights gain, by position in the document.",
     .x = "tokens of the document before",
     .y = "nats per token",
     .doubling = true},
    {.name = "reads",
     .question = "where in a block are states read?",
     .part = "states",
     .like = "read%by_position",
     .caption = "What positions get from the states, relative to the layer's output.",
     .x = "share of the block",
     .y = "strength"},
    {.name = "reads-blocks",
     .question = "are states read more the further one reads?",
     .part = "states",
     .like = "read%strength_by_block",
     .caption = "The same, by the number of the block in the document.",
     .x = "block of the document",
     .y = "strength",
     .doubling = true},
    {.name = "writes",
     .question = "what do states take in?",
     .part = "states",
     .like = "write%by_position",
     .caption = "What states take in of a position; 1: of all positions alike.",
     .x = "share of the block",
     .y = "times an equal share"},
    {.name = "writes-blocks",
     .question = "do states settle?",
     .part = "states",
     .like = "write%moved_by_block",
     .caption = "How far a block moves the states, relative to their norm.",
     .x = "block of the document",
     .y = "moved",
     .doubling = true},
};
/* CURVE_BINS: into how many shares of a block positions are put when they are measured. */
enum { CURVE_COUNT = sizeof CURVES / sizeof *CURVES, CURVE_BINS = 16, MAX_CURVES = 12 };

/* A line per layer and figure; rows come in their order. Rows come by depth, figure and bin: a new
 * title begins a new line. The 13th line and those behind it are left out, as nobody could tell
 * them apart. */
static int lines_of(plot_series lines[MAX_CURVES], arena *a, query *q, const curve *x)
{
    /* A layer may have several exchanges; of fast weights there is one line each. */
    bool states = strcmp(x->part, "states") == 0;
    int n = 0;
    while (query_next(q)) {
        char title[96];
        const char *layer = query_text(q, "layer", a), *figure = query_peek(q, "figure");
        snprintf(title, sizeof title, "%s%s%.*s", layer, states ? " " : "",
                 /* Of states the figure says which exchange it is, "read.0_...": that is in the
                  * name. */
                 states ? (int)strcspn(figure, "_") : 0, figure);
        if (n == 0 || strcmp(lines[n - 1].label, title) != 0) {
            if (n == MAX_CURVES) break;
            lines[n] = (plot_series){.label = arena_strdup(a, title),
                                     .look = n,
                                     .point = ARENA_NEW(a, plot_point, MAX_LAYERS)};
            n++;
        }
        plot_series *line = &lines[n - 1];
        int bin = (int)query_int(q, "bin", 0);
        double y = query_real(q, "value");
        if (line->count == MAX_LAYERS) continue;
        line->point[line->count++] =
            (plot_point){x->doubling ? ldexp(1, bin) : (bin + 0.5) / CURVE_BINS, y, y, y, 0, NULL};
    }
    return n;
}

static bool draw_curve(plot_report *r, arena *a, store *s, const char *run, const curve *x, err *e)
{
    plot_series lines[MAX_CURVES];
    query q = QUERY(s, e,
                    "SELECT layer, figure, bin, value FROM inspect_figure WHERE run = ?1 AND "
                    "part = ?2 AND figure LIKE ?3 AND value NOT NULL ORDER BY depth, figure, bin",
                    run, x->part, x->like);
    int n = lines_of(lines, a, &q, x);
    bool ok = query_close(&q);
    if (!ok || n == 0) return ok;
    gnuplot_script p;
    begin(&p, x->name, x->question, run, x->caption, x->x, x->y);
    if (x->doubling) fputs("set logscale x 2\n", p.out);
    plot_series_draw(&p, lines, n, PLOT_MARKED, false, NULL);
    return gnuplot_run(r, &p, e);
}

/* One run, few pictures: all are drawn. */
bool plot_inspect(plot_report *r, store *s, const char *run, const plot_how *how, err *e)
{
    arena_auto *a = arena_new(1 << 18);
    bool ok = gnuplot_begin_report(r, how, e);
    r->all = true;
    for (int i = 0; ok && i < PICTURE_COUNT; i++) {
        ok = draw_picture(r, a, s, run, &PICTURES[i], e);
    }
    ok = ok && draw_confidence(r, a, s, run, e);
    for (int i = 0; ok && i < CURVE_COUNT; i++) {
        ok = draw_curve(r, a, s, run, &CURVES[i], e);
    }
    return ok;
}
