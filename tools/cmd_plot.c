/* loci plot: an experiment's pictures, through gnuplot.
 *
 * Pictures of an experiment go to a folder that belongs to it, which is emptied first, so that no
 * picture of an earlier look is taken for one of this. --to names a folder of the user's, of which
 * nothing is removed. */
#include "results/plot/plot.h"
#include "results/plot/plot_inspect.h"
#include "tools/reading.h"
#include "tools/verbs.h"

#include "core/base/file.h"

#include <string.h>

typedef struct plot_call {
    const char *out, *run, *figure, *to;
    bool svg, all, figures;
    reading_choice choice;
} plot_call;

static const option OPTIONS[] = {
    CLI_SWITCH(plot_call, svg, "svg", "neither PNG nor PDF: quicker"),
    CLI_SWITCH(plot_call, all, "all", "further pictures, too, than the first ten"),
    CLI_CHOICES(plot_call),
    CLI_TEXT(plot_call, figure, "figure",
             "only this one over training, of those that layers or the trainer log"),
    CLI_SWITCH(plot_call, figures, "figures", "lists what --figure can draw, and draws nothing"),
    CLI_TEXT(plot_call, run, "run", "with 'inspect': a run's id; default: the last inspected"),
    CLI_TEXT(plot_call, to, "to", "folder for the pictures; default: OUT/plots/EXPERIMENT"),
    CLI_OUT(plot_call),
    {0}};

/* Where the pictures go; in the usual place they replace all those of before. */
static const char *folder_for(const cli_call *c, const char *name, err *e)
{
    const plot_call *o = c->options;
    char plots[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    /* As it is: nothing in it is ours to remove. */
    if (o->to) return o->to;
    /* A results folder may come from a stranger: a link in it must not make plot_clear empty
     * something else. */
    bool ok = file_own_folder(plots, cli_out(o->out), "plots", e) &&
              file_own_folder(path, plots, name, e) && file_refuse_links(path, e) &&
              (o->figure || plot_clear(path, e));
    return ok ? arena_strdup(c->memory, path) : NULL;
}

/* For scripts: a path a line. What could not be drawn is said beside. */
static void print_files(const plot_report *r)
{
    for (int i = 0; i < r->count; i++)
        one_line_print(stdout, "%s/%s", r->folder, r->files[i]);
    if (r->note[0]) cli_fail(EXIT_DONE, "%s", r->note);
}

static int draw_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    const plot_call *o = c->options;
    if (o->figures) {
        table *t = table_new(c->memory);
        if (!plot_figures(t, s, name, e)) return EXIT_FAILED;
        table_print(stdout, t, TABLE_TEXT, cli_colour(stdout));
        return EXIT_DONE;
    }
    plot_report *r = ARENA_NEW(c->memory, plot_report, 1);
    const comparison *x = reading_compare(c->memory, s, name, &o->choice, e);
    if (!x) return EXIT_USAGE;
    /* A single figure has no claims to show. */
    const claims *stated = o->figure ? NULL : claims_load(c->memory, s, name, e);
    if (!stated && !o->figure) return EXIT_FAILED;
    /* Only after the comparison was loaded: where that fails, the pictures of before stay. */
    const plot_how how = {folder_for(c, name, e), o->svg, o->all};
    bool done = how.folder && (o->figure ? plot_figure(r, s, x, o->figure, &how, e)
                                         : plot_experiment(r, s, x, stated, &how, e));
    if (!done) return EXIT_FAILED;
    print_files(r);
    return EXIT_DONE;
}

static int draw_inspection(const cli_call *c, store *s, err *e)
{
    const plot_call *o = c->options;
    plot_report *r = ARENA_NEW(c->memory, plot_report, 1);
    const char *run = plot_inspect_find(s, o->run, c->memory, e);
    if (!run) return o->run ? EXIT_USAGE : EXIT_FAILED;
    const plot_how how = {folder_for(c, "inspect", e), o->svg, true};
    if (!how.folder || !plot_inspect(r, s, run, &how, e)) return EXIT_FAILED;
    print_files(r);
    return EXIT_DONE;
}

/* `inspect` is no experiment's name here. Options of one are refused of the other, as
 * everywhere. */
static int plot_results(const cli_call *c)
{
    const plot_call *o = c->options;
    if (c->words[0] && strcmp(c->words[0], "inspect") == 0) {
        static const char *const read[] = {"run", "svg", "to", "out", NULL};
        const char *other = cli_given_beside(c, read);
        if (other) return cli_fail(EXIT_USAGE, "plot: inspect does not look at --%s", other);
        return reading_with(c, cli_out(o->out), draw_inspection);
    }
    if (o->run) return cli_fail(EXIT_USAGE, "plot: --run says which run of 'inspect' is drawn");
    return reading_run(c, cli_out(o->out), draw_experiment);
}

const verb VERB_PLOT = {
    .name = "plot",
    .words = "[EXPERIMENT | inspect]",
    .max_words = 1,
    .help = "Draws loss against tokens and time, differences, costs, and where gains lie.\n\n"
            "Writes PNG, SVG and PDF to OUT/plots/EXPERIMENT, instead of those of before, and\n"
            "prints their paths; the gnuplot scripts with their data stay beside them. Variants\n"
            "are chosen as by loci compare: --tune, --at. `inspect` draws what loci inspect found.",
    .examples = {"plot quickstart --figure grad_norm", "plot inspect --run 543e"},
    OPTIONS_OF(plot_call, OPTIONS),
    .run = plot_results,
};
