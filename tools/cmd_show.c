/* loci show: everything about one run. */
#include "core/base/json.h"
#include "results/report/run_view.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct show_call {
    const char *out;
    bool json;
} show_call;

static const option OPTIONS[] = {
    CLI_SWITCH(show_call, json, "json", "machine-readable"), CLI_OUT(show_call), {0}};

static bool print_json(store *s, const char *id, err *e)
{
    json_auto_t *run = run_view_json(s, id, e);
    if (!run) return false;
    json_print(stdout, run, JSON_INDENT(1));
    putchar('\n');
    return true;
}

static int show_one(const cli_call *c, store *s, err *e)
{
    char id[RUN_ID_CHARS];
    if (!reading_one(id, s, c->words[0], e)) return EXIT_USAGE;
    /* Both forms are made of the database's record. */
    bool json = ((const show_call *)c->options)->json;
    return (json ? print_json(s, id, e) : run_view_show(stdout, s, id, e)) ? EXIT_DONE
                                                                           : EXIT_FAILED;
}

static int show_run(const cli_call *c)
{
    return reading_with(c, cli_out(((const show_call *)c->options)->out), show_one);
}

const verb VERB_SHOW = {
    .name = "show",
    .words = "RUN",
    .min_words = 1,
    .max_words = 1,
    .help = "Shows everything about a run: how it ended, figures, cost, spec, provenance.\n\n"
            "RUN is its id, the beginning of one, or EXPERIMENT/LABEL/SEED. Of a run that failed\n"
            "the end of its log is shown, too.",
    .examples = {"show quickstart/keys/1", "show 3f9a --json"},
    OPTIONS_OF(show_call, OPTIONS),
    .run = show_run,
};
