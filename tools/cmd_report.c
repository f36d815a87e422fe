/* loci report: one HTML page about an experiment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/report/report.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct report_call {
    const char *out, *to;
    bool no_plots;
    reading_choice choice;
} report_call;

static const option OPTIONS[] = {
    CLI_TEXT(report_call, to, "to", "file to write; default: OUT/reports/EXPERIMENT.html"),
    CLI_SWITCH(report_call, no_plots, "no-plots", "without pictures: gnuplot is not needed"),
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
    if (!file_join(folder, cli_out(o->out), "reports", e)) return false;
    if (!file_make_folders(folder, e)) return err_prefix(e, "--to names another place");
    return file_join(path, folder, file, e);
}

static bool write_page(const cli_call *c, store *s, const comparison *x, const plot_report *plots,
                       err *e)
{
    const report_call *o = c->options;
    char path[FILE_PATH_BYTES];
    if (!path_of(path, o, x->experiment, e)) return false;
    FILE *f = fopen(path, "w");
    if (!f) return err_set(e, "%s: cannot be written: %s", path, strerror(errno));
    bool ok = report_write(f, s, x, plots, e);
    if (fclose(f) != 0) ok = err_set(e, "%s: cannot be written; make room", path);
    if (ok) printf("%s\n", path);
    return ok;
}

/* The page holds its pictures: they are drawn where nobody looks, whoever may write in OUT. */
static bool draw_and_write(const cli_call *c, store *s, const comparison *x, err *e)
{
    const char *base = getenv("TMPDIR");
    char folder[FILE_PATH_BYTES];
    int n = snprintf(folder, sizeof folder, "%s/loci-report-XXXXXX", base && *base ? base : "/tmp");
    if (n >= (int)sizeof folder || !mkdtemp(folder)) {
        return err_set(e, "%s: cannot be made; TMPDIR names a folder for temporary files", folder);
    }
    plot_report *plots = ARENA_NEW(c->memory, plot_report, 1);
    bool ok = plot_experiment(plots, s, x, &(plot_how){folder, true, false}, e) ||
              err_prefix(e, "--no-plots makes the report without pictures");
    ok = ok && write_page(c, s, x, plots, e);
    file_remove_tree(folder, NULL);
    return ok;
}

static int report_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    const report_call *o = c->options;
    const comparison *x = reading_compare(c->memory, s, name, &o->choice, e);
    if (!x) return EXIT_USAGE;
    bool done = o->no_plots ? write_page(c, s, x, NULL, e) : draw_and_write(c, s, x, e);
    return done ? EXIT_DONE : EXIT_FAILED;
}

static int report_results(const cli_call *c)
{
    return reading_run(c, cli_out(((const report_call *)c->options)->out), report_experiment);
}

const verb VERB_REPORT = {
    .name = "report",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Writes one self-contained HTML page about an experiment.\n\n"
            "Question, verdict, health, sortable results, plots, what the variants change,\n"
            "provenance, and the command to make it again. It needs no server and no network.\n"
            "Variants are chosen as by loci compare: --tune, --at.",
    .examples = {"report quickstart", "report quickstart --to quickstart.html --no-plots"},
    .options = OPTIONS,
    .options_bytes = sizeof(report_call),
    .run = report_results,
};
