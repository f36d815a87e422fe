/* loci compare: which variant is better, by how much, how surely, at what cost. */
#include "results/compare/compare_print.h"
#include "results/compare/compare_recall.h"
#include "results/compare/compare_slices.h"
#include "results/compare/compare_slices_print.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct compare_call {
    const char *out;
    int64_t format, by;
    reading_choice choice;
} compare_call;

static const option OPTIONS[] = {
    CLI_CHOICE(compare_call, format, "format", "text", TABLE_FORMATS "|latex", "of the table"),
    CLI_CHOICE(compare_call, by, "by", "none", SLICE_BY_NAMES,
               "where differences come from: slices of the text"),
    CLI_CHOICES(compare_call),
    CLI_OUT(compare_call),
    {0}};

/* Below the table for people: of a probe, accuracy by distance. */
static bool print_recall(const cli_call *c, const comparison *x, store *s, err *e)
{
    table_format format = (table_format)((const compare_call *)c->options)->format;
    if (format == TABLE_CSV || format == TABLE_JSON || format == TABLE_LATEX) return true;
    const recall_comparison *r = compare_recall(c->memory, x, s, e);
    if (!r || r->count == 0) return r != NULL;
    putchar('\n');
    table_print(stdout, compare_recall_table(c->memory, x, r), format, cli_colour(stdout));
    return true;
}

/* The table, or the one by slices. */
static bool print_table(const comparison *x, store *s, const cli_call *c, err *e)
{
    const compare_call *o = c->options;
    table_format format = (table_format)o->format;
    if (o->by == BY_NOTHING) {
        return compare_print(stdout, x, format, cli_colour(stdout), e) && print_recall(c, x, s, e);
    }
    slice_comparison *slices = compare_slices(c->memory, x, s, (slice_by)o->by, e);
    return slices && compare_slices_print(stdout, x, slices, format, cli_colour(stdout), e);
}

static int compare_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    const compare_call *o = c->options;
    const comparison *x = reading_compare(c->memory, s, name, &o->choice, e);
    if (!x) return EXIT_USAGE;
    return print_table(x, s, c, e) ? EXIT_DONE : EXIT_FAILED;
}

static int compare_results(const cli_call *c)
{
    return reading_run(c, cli_out(((const compare_call *)c->options)->out), compare_experiment);
}

const verb VERB_COMPARE = {
    .name = "compare",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Compares the variants of an experiment over their seeds.\n\n"
            "One row per variant: mean and 95 % t-interval over seeds, the difference to the\n"
            "baseline paired by seed with its interval, and what the variant costs. EXPERIMENT is\n"
            "a name or a spec file; default: the one run last. Works while runs go on.\n"
            "--by shows differences by position in the document, by how often the token occurs in\n"
            "the training split, or by how often it occurred in the document before.\n"
            "--tune chooses the value of a swept axis (the learning rate) for each variant; --at\n"
            "compares at equal tokens, FLOPs or seconds, by evaluations on the way (eval_every).\n"
            "The table shows what routed layers did (load, dropped and rerouted tokens) and what\n"
            "learning in evaluation cost where there is any; CSV and JSON always have all columns.",
    .examples = {"compare quickstart --format markdown --baseline keys",
                 "compare quickstart --by position"},
    .options = OPTIONS,
    .options_bytes = sizeof(compare_call),
    .run = compare_results,
};
