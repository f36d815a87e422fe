#include "results/plot/plot.h"

#include "core/base/file.h"
#include "results/compare/compare_load.h"
#include "results/plot/plot_axis.h"
#include "results/plot/plot_cost.h"
#include "results/plot/plot_curves.h"
#include "results/plot/plot_differences.h"
#include "results/plot/plot_gain.h"
#include "results/plot/plot_recall.h"
#include "results/plot/plot_routing.h"
#include "results/plot/plot_slices.h"

/* Settings that were tried and not chosen show how sensitive a variant is, on what they were chosen
 * by. */
static const comparison *all_tried(arena *a, store *s, const comparison *c, err *e)
{
    if (!c->tune) return c;
    const compare_options how = {
        .split = "validation", .metric = c->metric, .at = c->at, .at_amount = c->at_amount};
    return compare_load(a, s, c->experiment, &how, e);
}

static bool draw_all(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    for (int i = 0; i < 6; i++) {
        gnuplot_script p = {0};
        err why = {0};
        bool any = i < 4    ? plot_curves(&p, a, s, c, i % 2 == 1, i >= 2, &why)
                   : i == 4 ? plot_differences(&p, c)
                            : plot_recall(&p, a, s, c, &why);
        if (why.text[0]) return err_set(e, "%s", why.text);
        if (!any) {
            if (i == 0) gnuplot_note(r, "no run has logged a step yet: no loss curves");
            if (i == 4) gnuplot_note(r, "no seed has finished in two variants yet: no differences");
            continue;
        }
        if (!gnuplot_run(r, &p, e)) return false;
    }
    const comparison *tried = all_tried(a, s, c, e);
    if (!plot_cost(r, c, e) || !plot_gain(r, c, e) || !tried || !plot_axis(r, a, s, tried, e) ||
        !plot_slices(r, a, s, c, e) || !plot_routing(r, a, s, c, e)) {
        return false;
    }
    gnuplot_note_fonts(r);
    return true;
}

bool plot_experiment(plot_report *r, store *s, const char *out, const comparison *c, bool svg_only,
                     err *e)
{
    *r = (plot_report){.svg_only = svg_only};
    char plots[FILE_PATH_BYTES];
    arena *a = arena_new(1 << 20);
    bool ok = file_join(plots, out, "plots", e) && file_join(r->folder, plots, c->experiment, e) &&
              file_make_folders(r->folder, e) && draw_all(r, a, s, c, e);
    arena_free(a);
    return ok;
}
