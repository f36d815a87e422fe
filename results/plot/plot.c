#include "results/plot/plot.h"

#include "core/base/file.h"
#include "results/plot/plot_axis.h"
#include "results/plot/plot_cost.h"
#include "results/plot/plot_curves.h"
#include "results/plot/plot_differences.h"
#include "results/plot/plot_recall.h"
#include "results/plot/plot_routing.h"
#include "results/plot/plot_slices.h"

/* Each draws what there is for it to draw. */
static bool (*const PARTS[])(plot_report *r, arena *a, store *s, const comparison *c, err *e) = {
    plot_curves, plot_differences, plot_recall, plot_cost, plot_axis, plot_slices, plot_routing};

static bool begin(plot_report *r, const char *out, const comparison *c, bool svg_only, err *e)
{
    char plots[FILE_PATH_BYTES];
    *r = (plot_report){.svg_only = svg_only};
    return file_join(plots, out, "plots", e) && file_join(r->folder, plots, c->experiment, e) &&
           file_make_folders(r->folder, e);
}

bool plot_experiment(plot_report *r, store *s, const char *out, const comparison *c, bool svg_only,
                     err *e)
{
    arena *a = arena_new(1 << 20);
    bool ok = begin(r, out, c, svg_only, e);
    for (size_t i = 0; ok && i < sizeof PARTS / sizeof *PARTS; i++) {
        ok = PARTS[i](r, a, s, c, e);
    }
    if (ok) gnuplot_note_fonts(r);
    arena_free(a);
    return ok;
}

bool plot_figure(plot_report *r, store *s, const char *out, const comparison *c, const char *figure,
                 bool svg_only, err *e)
{
    arena *a = arena_new(1 << 20);
    bool ok = begin(r, out, c, svg_only, e) && plot_routing_figure(r, a, s, c, figure, e);
    if (ok) gnuplot_note_fonts(r);
    arena_free(a);
    return ok;
}
