#include "results/plot/plot.h"

#include <string.h>

#include "core/base/file.h"
#include "results/compare/compare_best.h"
#include "results/plot/plot_axis.h"
#include "results/plot/plot_claims.h"
#include "results/plot/plot_cost.h"
#include "results/plot/plot_curves.h"
#include "results/plot/plot_differences.h"
#include "results/plot/plot_recall.h"
#include "results/plot/plot_routing.h"
#include "results/plot/plot_slices.h"

/* Each draws what there is for it to draw. */
static bool (*const PARTS[])(plot_report *r, arena *a, store *s, const comparison *c, err *e) = {
    plot_claims, plot_curves, plot_differences, plot_recall, plot_cost, plot_slices, plot_routing};

bool plot_clear(const char *folder, err *e)
{
    if (!file_is_folder(folder)) return true;
    arena *a = arena_new(1 << 16);
    const char *const *names;
    int64_t count;
    bool ok = file_list(folder, a, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        size_t n = strlen(names[i]);
        if (n < 4 || strcmp(names[i] + n - 3, ".gp") != 0) continue;
        if (strncmp(names[i], PLOT_FIGURE, strlen(PLOT_FIGURE)) == 0) continue;
        ok = gnuplot_remove(folder, names[i], e);
    }
    arena_free(a);
    return ok;
}

bool plot_experiment(plot_report *r, store *s, const char *folder, const comparison *c,
                     bool svg_only, err *e)
{
    arena *a = arena_new(1 << 20);
    bool ok = gnuplot_begin_report(r, folder, svg_only, e);
    /* Lines of hundreds of variants cannot be told apart. How they depend on a number can. */
    const comparison *best = compare_best(a, c);
    for (size_t i = 0; ok && i < sizeof PARTS / sizeof *PARTS; i++) {
        ok = PARTS[i](r, a, s, best, e);
    }
    ok = ok && plot_axis(r, a, s, c, e);
    if (ok) gnuplot_note_fonts(r);
    arena_free(a);
    return ok;
}

bool plot_figure(plot_report *r, store *s, const char *folder, const comparison *c,
                 const char *figure, bool svg_only, err *e)
{
    arena *a = arena_new(1 << 20);
    bool ok = gnuplot_begin_report(r, folder, svg_only, e) &&
              plot_routing_figure(r, a, s, compare_best(a, c), figure, e);
    if (ok) gnuplot_note_fonts(r);
    arena_free(a);
    return ok;
}
