/* loci status: how far experiments and their runs are. */
#include "results/status.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct status_call {
    const char *out;
    int64_t format;
} status_call;

static const option OPTIONS[] = {
    CLI_CHOICE(status_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(status_call),
    {0}};

static bool fill(table *t, const cli_call *c, store *s, int *failed, err *e)
{
    if (c->count == 0) return status_experiments(t, s, e);
    const char *name = reading_experiment(c->memory, s, c->words[0], e);
    int unfinished;
    return name && status_runs(t, s, name, e) && status_count(s, name, &unfinished, failed, e);
}

static int status(const cli_call *c)
{
    const status_call *o = c->options;
    err e = {0};
    store *s = reading_open(cli_out(o->out), &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    table *t = table_new(c->memory);
    int failed = 0;
    bool done = fill(t, c, s, &failed, &e);
    if (done) table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    store_close(s);
    if (!done) return cli_fail(EXIT_FAILED, "%s", e.text);
    return failed ? EXIT_RUNS_FAILED : EXIT_DONE;
}

const verb VERB_STATUS = {
    .name = "status",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Shows how far all experiments, or one experiment's runs, have come.\n\n"
            "With an EXPERIMENT (a name or a spec file) failed runs are shown with their reason,\n"
            "and the exit status is 3 if there are any.",
    .examples = {"status", "status quickstart --format json"},
    .options = OPTIONS,
    .options_bytes = sizeof(status_call),
    .run = status,
};
