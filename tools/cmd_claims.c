/* loci claims: what experiments claimed before they ran, and what became of it.
 *
 * Verdicts are computed anew at every call, from the runs as they are and the claims as they were
 * recorded; nothing of them is stored that could be out of date. */
#include "results/claims/claims_print.h"
#include "results/store/experiment.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct claims_call {
    const char *out;
    int64_t format;
} claims_call;

static const option OPTIONS[] = {
    CLI_CHOICE(claims_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(claims_call),
    {0}};

/* The experiments that are asked for; without words all that claim anything. */
static int load_all(const cli_call *c, store *s, const claims ***list, int *count, err *e)
{
    const char *const *names = NULL;
    int all = c->count;
    if (all == 0 && !experiment_names(s, c->memory, &names, &all, e)) return EXIT_FAILED;
    *list = ARENA_NEW(c->memory, const claims *, all);
    for (int i = 0; i < all; i++) {
        const char *name = names ? names[i] : reading_experiment(c->memory, s, c->words[i], e);
        if (!name) return EXIT_USAGE;
        const claims *x = claims_load(c->memory, s, name, e);
        if (!x) return EXIT_FAILED;
        /* One that is named is shown though it claims nothing; of all of them only those that
         * do. */
        if (x->count + x->withdrawn > 0 || !names) (*list)[(*count)++] = x;
    }
    return EXIT_DONE;
}

static int print_claims(const cli_call *c, store *s, err *e)
{
    const table_format format = (table_format)((const claims_call *)c->options)->format;
    const claims **list = NULL;
    int count = 0, claimed = 0; /* those that are withdrawn are told, too */
    int status = load_all(c, s, &list, &count, e);
    if (status != EXIT_DONE) return status;
    for (int i = 0; i < count; i++) {
        claimed += list[i]->count + list[i]->withdrawn;
    }
    /* Not a failure: an experiment need not claim anything. */
    if (claimed == 0) cli_fail(EXIT_DONE, "nothing is claimed; loci help spec says how");
    if (claimed > 0 || table_for_programs(format)) {
        claims_print(stdout, c->memory, list, count, format, cli_colour(stdout));
    }
    return EXIT_DONE;
}

static int show_claims(const cli_call *c)
{
    return reading_with(c, cli_out(((const claims_call *)c->options)->out), print_claims);
}

const verb VERB_CLAIMS = {
    .name = "claims",
    .words = "[EXPERIMENT...]",
    .max_words = 1 << 20,
    .help =
        "What experiments claimed, and whether it holds.\n\n"
        "One row per claim: verdict (holds, fails, undecided), estimate with its interval, what\n"
        "it had to be, seeds, p after Holm's correction, cost of both sides, and whether it was\n"
        "stated before there were results. EXPERIMENT is a name or a spec file; default: all\n"
        "that claim anything. `claims:` in a spec states them (loci help spec).",
    .examples = {"claims", "claims quickstart --format md"},
    OPTIONS_OF(claims_call, OPTIONS),
    .run = show_claims,
};
