/* loci report: one HTML page about an experiment.
 *
 * Pictures are drawn into a folder of their own and put into the page as text, so that the page is
 * one file that can be sent to somebody. With --watch everything is opened anew each time: runs,
 * claims and the experiment itself may have changed since. */
#include <stdlib.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "results/report/report.h"
#include "results/report/status.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct report_call {
    const char *out, *to;
    bool no_plots, watch;
    double every;
    reading_choice choice;
} report_call;

static const option OPTIONS[] = {
    CLI_TEXT(report_call, to, "to", "file to write; default: OUT/reports/EXPERIMENT.html"),
    CLI_SWITCH(report_call, no_plots, "no-plots", "without pictures: gnuplot is not needed"),
    CLI_SWITCH(report_call, watch, "watch", "writes it again and again until no run goes on"),
    CLI_REAL(report_call, every, "every", "30", 1, 86400, "seconds between two pages"),
    CLI_CHOICES(report_call),
    CLI_OUT(report_call),
    {0}};

static bool path_of(char path[FILE_PATH_BYTES], const report_call *o, const char *name, err *e)
{
    char folder[FILE_PATH_BYTES], file[300];
    if (o->to) {
        snprintf(path, FILE_PATH_BYTES, "%s", o->to);
        return true;
    }
    snprintf(file, sizeof file, "%s.html", name);
    if (!file_own_folder(folder, cli_out(o->out), "reports", e)) {
        return err_prefix(e, "--to names another place");
    }
    return file_join(path, folder, file, e);
}

/* again: as report_write takes it. Whoever looks at the page sees a whole one. */
static bool write_page(const cli_call *c, store *s, const comparison *x, const claims *stated,
                       const plot_report *plots, int again, err *e)
{
    const report_call *o = c->options;
    char path[FILE_PATH_BYTES];
    if (!path_of(path, o, x->experiment, e)) return false;
    /* Into memory first; the whole page is then put in the place of the last. */
    text_memory m;
    bool ok = report_write(text_begin(&m), s, x, stated, plots, again, e);
    text_auto *text = text_end(&m);
    /* In a folder of results a link may be a stranger's: there it is replaced. */
    ok = ok && (o->to ? file_write_named : file_write)(path, text, m.bytes, e);
    if (ok) one_line_print(stdout, "%s", path);
    return ok;
}

/* The page holds its pictures: they are drawn where nobody looks, whoever may write in OUT. */
static bool draw_and_write(const cli_call *c, store *s, const comparison *x, const claims *stated,
                           int again, err *e)
{
    const char *base = getenv("TMPDIR");
    char folder[FILE_PATH_BYTES];
    /* mkdtemp makes it readable by its owner alone, under a name that nobody can have prepared. */
    int n = snprintf(folder, sizeof folder, "%s/loci-report-XXXXXX", base && *base ? base : "/tmp");
    if (n >= (int)sizeof folder || !mkdtemp(folder)) {
        return err_set(e, "%s: cannot be made; TMPDIR names a folder for temporary files", folder);
    }
    plot_report *plots = ARENA_NEW(c->memory, plot_report, 1);
    bool ok = plot_experiment(plots, s, x, stated, &(plot_how){folder, true, false}, e) ||
              err_prefix(e, "--no-plots makes the report without pictures");
    ok = ok && write_page(c, s, x, stated, plots, again, e);
    file_remove_tree(folder, NULL);
    return ok;
}

/* *running: do runs go on? */
static int report_once(const cli_call *c, store *s, const char *name, bool *running, err *e)
{
    const report_call *o = c->options;
    /* Loaded once: text, tables and pictures of a page show the same runs, though others end
     * meanwhile. */
    const comparison *x = reading_compare(c->memory, s, name, &o->choice, e);
    status_totals all;
    if (!x) return EXIT_USAGE;
    const claims *stated = claims_load(c->memory, s, name, e);
    if (!stated || !status_total(&all, s, name, e)) return EXIT_FAILED;
    *running = all.running > 0;
    /* A page of runs that have ended does not ask for itself again. */
    int again = o->watch && *running ? (int)(o->every + 0.5) : 0;
    bool done = o->no_plots ? write_page(c, s, x, stated, NULL, again, e)
                            : draw_and_write(c, s, x, stated, again, e);
    return done ? EXIT_DONE : EXIT_FAILED;
}

static int report_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    bool running;
    return report_once(c, s, name, &running, e);
}

/* Once more when nothing goes on any more: between two runs of a sweep that is so for a moment, and
 * the last page has to be that of the end. */
static int report_on(const cli_call *c)
{
    const report_call *o = c->options;
    bool running = true, before;
    do {
        err e = {0};
        before = running;
        store *s = reading_open(cli_out(o->out), &e);
        if (!s) return cli_tell(EXIT_FAILED, &e);
        const char *name = reading_experiment(c->memory, s, c->words[0], &e);
        int status = name ? report_once(c, s, name, &running, &e) : EXIT_USAGE;
        status = reading_status(status, s);
        /* Between two pages nothing is held open: others may collect, or remove the experiment. */
        store_close(s);
        if (status != EXIT_DONE) return cli_tell(status, &e);
        fflush(stdout);
        if (running || before) cli_pause(o->every);
    } while (running || before);
    return EXIT_DONE;
}

static int report_results(const cli_call *c)
{
    const report_call *o = c->options;
    return o->watch ? report_on(c) : reading_run(c, cli_out(o->out), report_experiment);
}

const verb VERB_REPORT = {
    .name = "report",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help =
        "Writes one self-contained HTML page about an experiment.\n\n"
        "Question, verdict, health, sortable results, plots, what the variants change,\n"
        "provenance, and the command to make it again. It needs no server and no network.\n"
        "Variants are chosen as by loci compare: --tune, --at. With --watch the page is written\n"
        "while the runs go on, says how far they are, and asks for itself again.",
    .examples = {"report quickstart", "report quickstart --to quickstart.html --no-plots"},
    OPTIONS_OF(report_call, OPTIONS),
    .run = report_results,
};
