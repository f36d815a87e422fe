#include "results/plot/plot_validation.h"

#include <math.h>

#include "results/plot/plot_decades.h"
#include "results/store/query.h"

/* Only evaluations on one split under one protocol lie on a line, since a point that was scored
 * otherwise would be a step in the curve that no model made. Then seeds are averaged step by step,
 * in the database. */

/* A row per step of the seeds that were evaluated there. What was evaluated without any training
 * has no course. ?3: per byte, else per token. */
static const char LOSSES[] =
    "WITH asked AS (SELECT DISTINCT run FROM plan WHERE experiment = ?1 AND label = "
    "?2), " STORE_USUAL_PROTOCOL
    ", scored AS (SELECT e.step, e.tokens_seen, CASE ?3 WHEN 'bytes' THEN "
    "  e.nats / ln(2) / nullif(e.bytes, 0) ELSE e.nats / nullif(e.tokens, 0) END AS loss "
    "  FROM plan p JOIN evaluation e USING (run) JOIN usual USING (run, split, protocol) "
    "  WHERE p.experiment = ?1 AND p.label = ?2 "
    "  AND e.split = 'validation' AND e.nats IS NOT NULL AND e.tokens_seen > 0) "
    "SELECT avg(tokens_seen) AS x, avg(loss) AS mean, min(loss) AS low, max(loss) AS high, "
    "count(loss) AS n FROM scored WHERE loss IS NOT NULL GROUP BY step ORDER BY step";

enum { POINTS = 400 };

/* Point by point in the order of steps; n says how many seeds were evaluated there. */
static bool read_series(plot_series *x, arena *a, store *s, const comparison *c, int variant,
                        bool bytes, double *most, err *e)
{
    const compared_variant *v = &c->variants[variant];
    *x = (plot_series){
        .label = v->label, .look = v->look, .point = ARENA_NEW(a, plot_point, POINTS)};
    query q = QUERY(s, e, LOSSES, c->experiment, v->plan_label, bytes ? "bytes" : "tokens");
    while (query_next(&q)) {
        plot_point p = {.x = query_real(&q, "x"),
                        .mean = query_real(&q, "mean"),
                        .low = query_real(&q, "low"),
                        .high = query_real(&q, "high"),
                        .n = (int)query_int(&q, "n", 0)};
        /* Of more evaluations than fit the last ones stay. */
        if (x->count == POINTS) {
            for (int i = 1; i < POINTS; i++) {
                x->point[i - 1] = x->point[i];
            }
            x->count--;
        }
        x->point[x->count++] = p;
        *most = fmax(*most, p.x);
    }
    return query_close(&q);
}

bool plot_validation(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    bool bytes = compare_by_bytes(c), way = false;
    double most = 0;
    plot_series *list = ARENA_NEW(a, plot_series, c->count);
    for (int i = 0; i < c->count; i++) {
        if (!read_series(&list[i], a, s, c, i, bytes, &most, e)) return false;
        way = way || list[i].count > 1;
    }
    if (!way) return true; /* the end alone is no course */
    plot_unit unit = plot_series_unit(most, false);
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < list[i].count; k++) {
            /* The unit is that of the longest line, known when all are read. */
            list[i].point[k].x /= unit.size;
        }
    }
    gnuplot_script p;
    plot_series_begin(&p, c,
                      &(plot_frame){.name = "validation-tokens",
                                    .caption = plot_series_spreads(c->count, true),
                                    .question = "validation loss: what learns most that holds "
                                                "for other text?",
                                    .training = true,
                                    .x = unit.name,
                                    .y = bytes ? "validation loss (bits per byte)"
                                               : "validation loss (nats per token)",
                                    .lines = c->count});
    double range[2];
    if (plot_decades(range, list, c->count)) plot_decades_axis(p.out, range);
    fputs("set xrange [0:*] noextend\n", p.out);
    plot_series_draw(&p, list, c->count, PLOT_MARKED, c->count <= PLOT_TELLABLE, NULL);
    return gnuplot_run(r, &p, e);
}
