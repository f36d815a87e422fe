/* loci ls: all runs. */
#include "results/report/run_view.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct ls_call {
    const char *out, *search;
    int64_t format, status;
} ls_call;

#define STATES "any|planned|running|done|failed|diverged|interrupted"
/* In the order of STATES: the choice is an index into it. NULL: any. */
static const char *const STATE[] = {NULL,     "planned",  "running",    "done",
                                    "failed", "diverged", "interrupted"};

static const option OPTIONS[] = {
    CLI_CHOICE(ls_call, status, "status", "any", STATES, "only runs in that state"),
    CLI_TEXT(ls_call, search, "search",
             "only runs with it in their name, description, notes or tags"),
    CLI_CHOICE(ls_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(ls_call),
    {0}};

static int list_runs(const cli_call *c, store *s, err *e)
{
    const ls_call *o = c->options;
    table *t = table_new(c->memory);
    const char *name = c->count ? reading_experiment(c->memory, s, c->words[0], e) : NULL;
    if (c->count && !name) return EXIT_USAGE;
    if (!run_view_list(t, s, name, STATE[o->status], o->search, e)) return EXIT_FAILED;
    table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    return EXIT_DONE;
}

static int list_experiments(const cli_call *c)
{
    return reading_with(c, cli_out(((const ls_call *)c->options)->out), list_runs);
}

const verb VERB_LS = {
    .name = "ls",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Lists runs, those begun last first, with their result or why they have none.",
    .examples = {"ls", "ls --search paper"},
    OPTIONS_OF(ls_call, OPTIONS),
    .run = list_experiments,
};
