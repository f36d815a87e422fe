/* loci plot: an experiment's pictures, through gnuplot. */
#include "results/plot.h"
#include "tools/reading.h"
#include "tools/verbs.h"

#include <string.h>

typedef struct plot_call {
    const char *out, *baseline, *run;
    bool svg;
} plot_call;

static const option OPTIONS[] = {
    CLI_TEXT(plot_call, baseline, "baseline", "a variant's label; default: the experiment's"),
    CLI_TEXT(plot_call, run, "run", "with 'inspect': a run's id; default: the last inspected"),
    CLI_SWITCH(plot_call, svg, "svg", "neither PNG nor PDF of an experiment: quicker"),
    CLI_OUT(plot_call),
    {0}};

/* `inspect` is no experiment's name here. */
static bool draw(const cli_call *c, plot_report *r, store *s, const char *out, err *e)
{
    const plot_call *o = c->options;
    if (c->words[0] && strcmp(c->words[0], "inspect") == 0) {
        return plot_inspection(r, s, out, o->run, e);
    }
    const char *name = reading_experiment(c->memory, s, c->words[0], e);
    return name && plot_experiment(r, s, out, name, o->baseline, o->svg, e);
}

static int plot(const cli_call *c)
{
    const plot_call *o = c->options;
    err e = {0};
    const char *out = cli_out(o->out);
    store *s = reading_open(out, &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    plot_report *r = ARENA_NEW(c->memory, plot_report, 1);
    bool done = draw(c, r, s, out, &e);
    store_close(s);
    if (!done) return cli_fail(EXIT_FAILED, "%s", e.text);
    for (int i = 0; i < r->count; i++)
        printf("%s/%s\n", r->folder, r->files[i]);
    if (r->note[0]) cli_fail(EXIT_DONE, "%s", r->note);
    return EXIT_DONE;
}

const verb VERB_PLOT = {
    .name = "plot",
    .words = "[EXPERIMENT | inspect]",
    .max_words = 1,
    .help = "Draws loss against tokens and time, differences, costs, and where gains lie.\n\n"
            "Writes PNG, SVG and PDF to OUT/plots/EXPERIMENT and prints their paths; the gnuplot\n"
            "scripts with their data stay beside them. `inspect` draws what loci inspect found.",
    .examples = {"plot quickstart", "plot inspect --run 543e"},
    .options = OPTIONS,
    .options_bytes = sizeof(plot_call),
    .run = plot,
};
