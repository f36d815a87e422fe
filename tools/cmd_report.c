/* loci report: one HTML page about an experiment. */
#include <errno.h>
#include <string.h>

#include "core/file.h"
#include "results/report.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct report_call {
    const char *out, *to, *baseline;
    bool no_plots;
} report_call;

static const option OPTIONS[] = {
    CLI_TEXT(report_call, to, "to", "file to write; default: OUT/reports/EXPERIMENT.html"),
    CLI_TEXT(report_call, baseline, "baseline", "a variant's label; default: the experiment's"),
    CLI_SWITCH(report_call, no_plots, "no-plots", "without pictures: gnuplot is not needed"),
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
    return file_join(folder, cli_out(o->out), "reports", e) && file_make_folders(folder, e) &&
           file_join(path, folder, file, e);
}

static bool write_report(const cli_call *c, store *s, const char *name, err *e)
{
    const report_call *o = c->options;
    char path[FILE_PATH_BYTES];
    plot_report *plots = ARENA_NEW(c->memory, plot_report, 1);
    const compare_options how = {.baseline = o->baseline};
    comparison *x = compare_load(c->memory, s, name, &how, e);
    if (!x || !path_of(path, o, name, e)) return false;
    if (!o->no_plots && !plot_experiment(plots, s, cli_out(o->out), name, o->baseline, false, e)) {
        return err_prefix(e, "--no-plots makes the report without pictures");
    }
    FILE *f = fopen(path, "w");
    if (!f) return err_set(e, "%s: cannot be written: %s", path, strerror(errno));
    bool ok = report_write(f, s, x, o->no_plots ? NULL : plots, e);
    if (fclose(f) != 0) ok = err_set(e, "%s: cannot be written; make room", path);
    if (ok) printf("%s\n", path);
    return ok;
}

static int report(const cli_call *c)
{
    const report_call *o = c->options;
    err e = {0};
    store *s = reading_open(cli_out(o->out), &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    const char *name = reading_experiment(c->memory, s, c->words[0], &e);
    bool done = name && write_report(c, s, name, &e);
    store_close(s);
    return done ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", e.text);
}

const verb VERB_REPORT = {
    .name = "report",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Writes one self-contained HTML page about an experiment.\n\n"
            "Question, verdict, health, sortable results, plots, what the variants change,\n"
            "provenance, and the command to make it again. It needs no server and no network.",
    .examples = {"report quickstart", "report quickstart --to quickstart.html --no-plots"},
    .options = OPTIONS,
    .options_bytes = sizeof(report_call),
    .run = report,
};
