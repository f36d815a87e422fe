#include "results/plot/plot_routing.h"

#include <string.h>

#include "results/store/query.h"
#include "results/table/table_query.h"

/* What routed layers did is asked of the database figure by figure: one query per variant gives a
 * line, with the means over layers and seeds already taken. A row for each step, layer, expert and
 * run would be read into C otherwise. Any figure that layers log can be drawn this way, hence `loci
 * plot --figure`; four have pictures of their own. */

/* Each query gives x, mean, low, high of one variant: ?1 experiment, ?2 label, ?3 a figure's name.
 * A figure is averaged over seeds, then taken over layers. Place 1 is the expert with most tokens.
 * `experts` in the grouping: layers or runs with other numbers of experts are lines of their own,
 * which begin again at the left and are broken there (plot_series.h). */
static const char LOAD[] =
    /* Over the last tenth of each run: a single batch's loads are mostly that batch. Shares are
     * sorted run by run: no two runs mean the same by expert 3. */
    "WITH late AS (SELECT m.run, m.layer, m.name, avg(m.value) AS share FROM plan p "
    "  JOIN metric m ON m.run = p.run AND substr(m.name, 1, length(?3)) = ?3 AND m.layer <> '' "
    "  WHERE p.experiment = ?1 AND p.label = ?2 AND m.value IS NOT NULL AND m.step > "
    "  0.9 * (SELECT max(s.step) FROM step s WHERE s.run = p.run) "
    "  GROUP BY m.run, m.layer, m.name), "
    "sorted AS (SELECT share, count(*) OVER (PARTITION BY run, layer) AS experts, "
    "  row_number() OVER (PARTITION BY run, layer ORDER BY share DESC) AS place FROM late) "
    "SELECT (place - 0.5) / experts AS x, avg(share) * experts AS mean, min(share) * experts AS "
    "  low, max(share) * experts AS high FROM sorted GROUP BY experts, place ORDER BY experts, "
    "place";

/* Two steps of averaging: seeds within a layer, then layers, so that the band is of layers. In 200
 * bins at most up to the variant's last step, as plot_curves.c has it. */
static const char STEPS[] =
    "WITH layered AS (SELECT (m.step - 1) * 200 / (SELECT max(o.step) FROM plan q JOIN step o "
    "    USING (run) WHERE q.experiment = ?1 AND q.label = ?2) AS bin, avg(s.tokens) AS x, "
    "  avg(m.value) AS value FROM plan p "
    "  JOIN metric m ON m.run = p.run AND m.name = ?3 "
    "  JOIN step s ON s.run = m.run AND s.step = m.step "
    "  WHERE p.experiment = ?1 AND p.label = ?2 AND m.value IS NOT NULL GROUP BY m.layer, bin) "
    "SELECT avg(x) AS x, avg(value) AS mean, min(value) AS low, max(value) AS high FROM layered "
    "GROUP BY bin ORDER BY bin";

/* The same of evaluations, which are few enough to need no bins. */
static const char EVALUATIONS[] =
    "WITH layered AS (SELECT e.step, avg(e.tokens_seen) AS x, avg(m.value) AS value FROM plan p "
    "  JOIN evaluation e ON e.run = p.run JOIN evaluation_metric m USING (evaluation) "
    "  WHERE p.experiment = ?1 AND p.label = ?2 AND m.name = ?3 "
    "  AND m.value IS NOT NULL GROUP BY m.layer, e.step) "
    "SELECT avg(x) AS x, avg(value) AS mean, min(value) AS low, max(value) AS high FROM layered "
    "GROUP BY step ORDER BY step";

/* A figure, how it is asked for and how it is shown; `settings` are gnuplot's, behind those of all
 * plots. */
typedef struct routing_plot {
    const char *name, *figure, *query, *question, *y_title, *settings, *caption;
    double unit;    /* of y */
    bool points;    /* drawn, too: there are few */
    bool spare;     /* not drawn if it is all equal */
    plot_unit of_x; /* unset: that of training tokens */
} routing_plot;

#define OVER_SEEDS                                                                                 \
    "Line: mean over layers and seeds. Band: lowest to highest layer, each the mean over its "     \
    "seeds (none for one layer)."
#define OVER_TOKENS "set xrange [0:*] noextend\n"
static const routing_plot PLOTS[] = {
    {.name = "expert-load",
     .figure = "load.",
     .query = LOAD,
     .question = "do experts share the tokens equally, in the last tenth of training?",
     .of_x = {1, "experts, by load (share of them)"},
     .y_title = "share of the tokens, relative to equal shares",
     .settings =
         "set yrange [0:*]\nset xrange [0:1]\nset arrow 1 from graph 0, first 1 to graph 1, "
         "first 1 nohead linecolor rgb '#808080' dashtype 2 back\n",
     .caption = "Line: mean over layers and seeds. Band: lowest to highest of all layers and "
                "seeds (none if there is one).",
     .unit = 1},
    {.name = "expert-entropy",
     .figure = "load_entropy",
     .query = STEPS,
     .question = "how evenly do experts share the tokens over training?",
     .y_title = "entropy of the load (1: equal shares)",
     .settings = "set yrange [*:1]\n" OVER_TOKENS,
     .caption = OVER_SEEDS,
     .unit = 1},
    {.name = "expert-dropped",
     .figure = "dropped",
     .query = STEPS,
     .question = "how many tokens do full experts drop?",
     .y_title = "dropped (% of tokens)",
     .settings = "set yrange [0:1<*]\n" OVER_TOKENS,
     .caption = OVER_SEEDS,
     .unit = 100},
    {.name = "routing-changed",
     .figure = "changed",
     .query = EVALUATIONS,
     .question = "how many tokens still change their expert?",
     .y_title = "sent elsewhere than an evaluation before (% of tokens)",
     .settings = "set yrange [0:1<*]\n" OVER_TOKENS,
     .caption = OVER_SEEDS,
     .unit = 100,
     .points = true},
};

/* A variant's line; without points if nothing is known of it. The variant's rows of the kind's
 * query, in the units of the picture. */
static bool series_of(plot_series *out, arena *a, store *s, const comparison *c,
                      const routing_plot *kind, int variant, err *e)
{
    const compared_variant *v = &c->variants[variant];
    int capacity = 256;
    *out = (plot_series){
        .label = v->label, .look = v->look, .point = ARENA_NEW(a, plot_point, capacity)};
    query q = QUERY(s, e, kind->query, c->experiment, v->plan_label, kind->figure);
    while (query_next(&q)) {
        if (out->count == capacity) {
            /* Steps have 200 bins at most; evaluations may be more. */
            plot_point *longer = ARENA_NEW(a, plot_point, 2 * (int64_t)capacity);
            memcpy(longer, out->point, (size_t)capacity * sizeof *longer);
            out->point = longer;
            capacity *= 2;
        }
        out->point[out->count++] = (plot_point){.x = query_real(&q, "x") / kind->of_x.size,
                                                .mean = kind->unit * query_real(&q, "mean"),
                                                .low = kind->unit * query_real(&q, "low"),
                                                .high = kind->unit * query_real(&q, "high")};
    }
    return query_close(&q);
}

/* One picture of variants that have data. `lines` is of this page alone, and makes room in its
 * key. */
static bool draw_variants(plot_report *r, const comparison *c, const routing_plot *kind,
                          const char *name, const plot_series *list, int count, err *e)
{
    gnuplot_script p;
    plot_series_begin(&p, c,
                      &(plot_frame){.name = name,
                                    .caption = kind->caption,
                                    .question = kind->question,
                                    .training = true,
                                    .x = kind->of_x.name,
                                    .y = kind->y_title,
                                    .lines = count});
    fputs(kind->settings, p.out);
    plot_series_draw(&p, list, count, kind->points ? PLOT_MARKED : PLOT_LINES, true, NULL);
    return gnuplot_run(r, &p, e);
}

/* One variant is a line, of the same colour everywhere; where there are more variants than colours,
 * the next ones go to further pictures (expert-load-2, ...): no picture has dashes to tell apart.
 */
static bool draw_kind(plot_report *r, arena *a, store *s, const comparison *c,
                      const routing_plot *kind, err *e)
{
    plot_series *list = ARENA_NEW(a, plot_series, c->count);
    int *own = ARENA_NEW(a, int, c->count), count = 0; /* own: which variant it is */
    for (int i = 0; i < c->count; i++) {
        if (!series_of(&list[count], a, s, c, kind, i, e)) return false;
        own[count] = i;
        count += list[count].count > 0;
    }
    /* All equal is worth a picture only to who asked for it. */
    if (plot_series_flat(list, count) && kind->spare) return true;
    for (int first = 0, next, page = 1; first < count; first = next, page++) {
        /* By the variant's number rather than by how many lines there are: colours then do not
         * repeat in a picture. */
        for (next = first; next < count && own[next] - own[first] < PLOT_TELLABLE;) {
            next++;
        }
        char name[80];
        snprintf(name, sizeof name, page > 1 ? "%.60s-%d" : "%.60s", kind->name, page);
        if (!draw_variants(r, c, kind, name, list + first, next - first, e)) return false;
    }
    return true;
}

/* Has any run logged a step, and the unit of its tokens. One look for all pictures of figures. */
static bool read_end(bool *any, plot_unit *tokens, store *s, const comparison *c, err *e)
{
    query q = QUERY(s, e,
                    "SELECT max(s.step) AS last, max(s.tokens) AS tokens FROM plan p JOIN step s "
                    "USING (run) WHERE p.experiment = ?1",
                    c->experiment);
    *any = false;
    if (query_next(&q)) {
        *any = query_int(&q, "last", 0) > 0;
        *tokens = plot_series_unit(query_real(&q, "tokens"), false);
    }
    return query_close(&q);
}

bool plot_routing(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    bool any;
    plot_unit tokens;
    if (!read_end(&any, &tokens, s, c, e)) return false;
    for (size_t i = 0; any && i < sizeof PLOTS / sizeof *PLOTS; i++) {
        routing_plot kind = PLOTS[i];
        /* Drawn by themselves only if they say something; who names a figure gets it in any
         * case. */
        kind.spare = true;
        if (kind.of_x.size == 0) kind.of_x = tokens;
        if (!draw_kind(r, a, s, c, &kind, e)) return false;
    }
    return true;
}

bool plot_routing_figures(table *t, store *s, const char *experiment, err *e)
{
    static const table_field fields[] = {{"figure", "figure", "", FORM_TEXT, 0, 0},
                                         {"of", "of", "", FORM_TEXT, 0, 0},
                                         {"layers", "layers", "", FORM_INT, 0, 0},
                                         {"runs", "runs", "", FORM_INT, 0, 0}};
    query q = QUERY(s, e,
                    /* Grouped before it is counted: the tables have a row for each step. */
                    "WITH logged AS (SELECT m.name, m.layer, p.run, 'training' AS of FROM plan p "
                    "  JOIN metric m USING (run) WHERE p.experiment = ?1 "
                    "  GROUP BY m.name, m.layer, p.run "
                    "UNION ALL SELECT m.name, m.layer, p.run, 'evaluations' FROM plan p JOIN "
                    "  evaluation v USING (run) JOIN evaluation_metric m USING (evaluation) "
                    "  WHERE p.experiment = ?1 GROUP BY m.name, m.layer, p.run) "
                    "SELECT name AS figure, of, count(DISTINCT nullif(layer, '')) AS layers, "
                    "count(DISTINCT run) AS runs FROM logged GROUP BY name, of ORDER BY 2 DESC, 1",
                    experiment);
    return table_query(t, &q, fields, sizeof fields / sizeof *fields);
}

bool plot_routing_figure(plot_report *r, arena *a, store *s, const comparison *c,
                         const char *figure, err *e)
{
    char name[56], question[300];
    snprintf(question, sizeof question, "how does %.200s go over training?", figure);
    snprintf(name, sizeof name, PLOT_FIGURE "%s", figure);
    /* A figure's name becomes a file's: no separators, no spaces. */
    for (char *x = name; *x; x++) {
        if (*x == '/' || (unsigned char)*x <= ' ') *x = '_';
    }
    routing_plot kind = {.name = name,
                         .figure = figure,
                         .query = STEPS,
                         .question = question,
                         .y_title = figure,
                         .settings = OVER_TOKENS,
                         .caption = OVER_SEEDS,
                         .unit = 1};
    bool any;
    /* Whether anything was drawn is what says that the figure exists. */
    int before = r->count;
    if (!read_end(&any, &kind.of_x, s, c, e)) return false;
    if (any && !draw_kind(r, a, s, c, &kind, e)) return false;
    /* What no step has logged an evaluation may have found. */
    kind.query = EVALUATIONS;
    kind.points = true;
    if (r->count == before && any && !draw_kind(r, a, s, c, &kind, e)) return false;
    return r->count > before ||
           err_set(e, "no run of %s has logged a figure '%s'; loci plot %s --figures lists them",
                   c->experiment, figure, c->experiment);
}
