/* loci export: results for other tools.
 *
 * Exports are at full resolution and in the units of the records, unlike tables, which round and
 * scale for people. */
#include <string.h>

#include "core/base/file.h"
#include "results/table/export.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct export_call {
    const char *out, *to;
    int64_t format, what;
} export_call;

static const option OPTIONS[] = {
    CLI_CHOICE(export_call, what, "what", "runs", EXPORT_WHAT_NAMES, "a row for each of them"),
    CLI_CHOICE(export_call, format, "format", "csv", EXPORT_FORMAT_NAMES,
               "tensorboard: a folder of event files with all figures"),
    CLI_TEXT(export_call, to, "to",
             "file to write; default: stdout. tensorboard: a folder, which gets one called NAME; "
             "default: OUT/tensorboard"),
    CLI_OUT(export_call),
    {0}};

static bool write_rows(const export_call *o, store *s, const char *name, err *e)
{
    file_named f;
    FILE *out = o->to ? file_named_open(&f, o->to, e) : stdout;
    if (!out) return false;
    bool ok = export_rows(out, s, name, (export_what)o->what, (export_format)o->format, e);
    return o->to ? file_named_close(&f, ok, e) : ok;
}

static bool write_events(const export_call *o, store *s, const char *name, err *e)
{
    char root[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    int files;
    if (o->to) {
        snprintf(root, sizeof root, "%s", o->to);
    } else if (!file_own_folder(root, cli_out(o->out), "tensorboard", e)) {
        return false;
    }
    /* Experiments do not share a folder: two with equal labels would become one curve. */
    if (!file_own_folder(folder, root, name, e)) return false;
    if (!export_tensorboard(folder, s, name, &files, e)) return false;
    one_line_print(stdout, "%s", folder);
    one_line_print(stderr, "%d run%s; tensorboard --logdir %s shows them", files,
                   files == 1 ? "" : "s", folder);
    return true;
}

/* TensorBoard gets everything. */
static bool check_given(const cli_call *c, err *e)
{
    static const char *const read[] = {"format", "to", "out", NULL};
    const export_call *o = c->options;
    const char *other = o->format == EXPORT_TENSORBOARD ? cli_given_beside(c, read) : NULL;
    return !other || err_set(e, "export: tensorboard takes all figures; leave out --%s", other);
}

static int export_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    const export_call *o = c->options;
    /* Event files are one form of everything: what rows to export is no question there. */
    if (!check_given(c, e)) return EXIT_USAGE;
    bool events = o->format == EXPORT_TENSORBOARD;
    return (events ? write_events(o, s, name, e) : write_rows(o, s, name, e)) ? EXIT_DONE
                                                                              : EXIT_FAILED;
}

static int export_results(const cli_call *c)
{
    return reading_run(c, cli_out(((const export_call *)c->options)->out), export_experiment);
}

const verb VERB_EXPORT = {
    .name = "export",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Writes an experiment's results for other tools, at full resolution.\n\n"
            "Runs, logged figures, evaluations, their documents or slices as CSV, JSON lines,\n"
            "Markdown or LaTeX (booktabs); or everything that was logged as event files for "
            "TensorBoard.",
    .examples = {"export quickstart --what metrics --format csv --to metrics.csv",
                 "export quickstart --format tensorboard"},
    OPTIONS_OF(export_call, OPTIONS),
    .run = export_results,
};
