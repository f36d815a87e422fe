/* loci ls: all runs. */
#include "results/report/run_view.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct ls_call {
    const char *out;
    int64_t format, status;
} ls_call;

#define STATES "any|planned|running|done|failed|diverged|interrupted"
static const char *const STATE[] = {NULL,     "planned",  "running",    "done",
                                    "failed", "diverged", "interrupted"};

static const option OPTIONS[] = {
    CLI_CHOICE(ls_call, status, "status", "any", STATES, "only runs in that state"),
    CLI_CHOICE(ls_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(ls_call),
    {0}};

static int list_experiments(const cli_call *c)
{
    const ls_call *o = c->options;
    err e = {0};
    store *s = reading_open(cli_out(o->out), &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    table *t = table_new(c->memory);
    const char *name = c->count ? reading_experiment(c->memory, s, c->words[0], &e) : NULL;
    bool known = name || !c->count, done = known && run_view_list(t, s, name, STATE[o->status], &e);
    store_close(s);
    if (!done) return cli_fail(known ? EXIT_FAILED : EXIT_USAGE, "%s", e.text);
    table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    return EXIT_DONE;
}

const verb VERB_LS = {
    .name = "ls",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Lists runs, those begun last first, with their result or why they have none.",
    .examples = {"ls", "ls quickstart --status failed"},
    .options = OPTIONS,
    .options_bytes = sizeof(ls_call),
    .run = list_experiments,
};
