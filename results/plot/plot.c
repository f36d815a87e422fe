#include "results/plot/plot.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "results/compare/compare_best.h"
#include "results/plot/plot_axis.h"
#include "results/plot/plot_claims.h"
#include "results/plot/plot_cost.h"
#include "results/plot/plot_curves.h"
#include "results/plot/plot_differences.h"
#include "results/plot/plot_look.h"
#include "results/plot/plot_recall.h"
#include "results/plot/plot_routing.h"
#include "results/plot/plot_slices.h"
#include "results/plot/plot_validation.h"

/* Each draws what there is for it to draw; where that is too much the last ones are spared. The
 * order is that of how much a picture says about most experiments, and which are spared follows
 * from it. */
static bool (*const PARTS[])(plot_report *r, arena *a, store *s, const comparison *c, err *e) = {
    plot_curves,  plot_validation, plot_differences, plot_recall,      plot_axis,
    plot_routing, plot_slices,     plot_cost,        plot_slices_block};

/* Pictures of figures that were asked for by name stay: they were asked for one by one. */
bool plot_clear(const char *folder, err *e)
{
    if (!file_is_folder(folder)) return true;
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        bool by_name = strncmp(w.name, PLOT_FIGURE, strlen(PLOT_FIGURE)) == 0;
        if (text_ends(w.name, ".gp") && !by_name) ok = gnuplot_remove(folder, w.name, e);
    }
    return file_walk_end(&w) && ok;
}

/* The parts write into one report: pictures, and words about what is missing. */
static bool draw_parts(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    /* Lines of hundreds of variants cannot be told apart. How they depend on a number can. Looks
     * are given once, to those that are drawn, so that a variant has the same colour in every
     * picture. */
    const comparison *best = plot_look(a, s, compare_best(a, c), e);
    bool ok = best != NULL;
    for (size_t i = 0; ok && i < sizeof PARTS / sizeof *PARTS; i++) {
        ok = PARTS[i](r, a, s, PARTS[i] == plot_axis ? c : best, e);
    }
    if (ok && r->spared[0]) {
        char note[1200];
        snprintf(note, sizeof note, "--all draws further pictures: %s", r->spared);
        gnuplot_note(r, note);
    }
    return ok;
}

bool plot_experiment(plot_report *r, store *s, const comparison *c, const claims *stated,
                     const plot_how *how, err *e)
{
    arena_auto *a = arena_new(1 << 20);
    return gnuplot_begin_report(r, how, e) && plot_claims(r, stated, e) &&
           draw_parts(r, a, s, c, e);
}

bool plot_figures(table *t, store *s, const char *experiment, err *e)
{
    return plot_routing_figures(t, s, experiment, e);
}

bool plot_figure(plot_report *r, store *s, const comparison *c, const char *figure,
                 const plot_how *how, err *e)
{
    arena_auto *a = arena_new(1 << 20);
    bool ok = gnuplot_begin_report(r, how, e);
    const comparison *best = ok ? plot_look(a, s, compare_best(a, c), e) : NULL;
    /* Who asked for one figure gets all of its pictures. */
    r->all = true;
    return best && plot_routing_figure(r, a, s, best, figure, e);
}
