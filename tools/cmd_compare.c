/* loci compare: which variant is better, by how much, how surely, at what cost. */
#include "results/compare_recall.h"
#include "results/compare_slices.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct compare_call {
    const char *out, *baseline, *split, *tune, *at;
    int64_t format, metric, by;
} compare_call;

static const option OPTIONS[] = {
    CLI_CHOICE(compare_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_CHOICE(compare_call, metric, "metric", "auto", COMPARE_METRICS, "that differences are of"),
    CLI_CHOICE(compare_call, by, "by", "none", SLICE_BY_NAMES,
               "where differences come from: slices of the text"),
    CLI_TEXT(compare_call, baseline, "baseline", "a variant's label; default: the experiment's"),
    CLI_TEXT(compare_call, split, "split", "validation, test or train; default: as evaluated last"),
    CLI_TEXT(compare_call, tune, "tune",
             "AXIS[,AXIS]: each variant with its best value on validation, reported on test"),
    CLI_TEXT(
        compare_call, at, "at",
        "tokens, flops or seconds, each with =AMOUNT or the least any run got: equal training"),
    CLI_OUT(compare_call),
    {0}};

/* Below the table for people: of a probe, accuracy by distance. */
static bool print_recall(const cli_call *c, const comparison *x, store *s, err *e)
{
    table_format format = (table_format)((const compare_call *)c->options)->format;
    if (format == TABLE_CSV || format == TABLE_JSON) return true;
    const recall_comparison *r = compare_recall(c->memory, x, s, e);
    if (!r || r->count == 0) return r != NULL;
    putchar('\n');
    table_print(stdout, recall_table(c->memory, x, r), format, cli_colour(stdout));
    return true;
}

/* The table, or the one by slices. */
static bool print(const comparison *x, store *s, const cli_call *c, err *e)
{
    const compare_call *o = c->options;
    table_format format = (table_format)o->format;
    if (o->by == BY_NOTHING) {
        return compare_print(stdout, x, format, cli_colour(stdout), e) && print_recall(c, x, s, e);
    }
    slice_comparison *slices = compare_slices(c->memory, x, s, (slice_by)o->by, e);
    return slices && compare_slices_print(stdout, x, slices, format, cli_colour(stdout), e);
}

static int compare(const cli_call *c)
{
    const compare_call *o = c->options;
    err e = {0};
    store *s = reading_open(cli_out(o->out), &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    const char *name = reading_experiment(c->memory, s, c->words[0], &e);
    compare_options how = {.baseline = o->baseline,
                           .split = o->split,
                           .metric = (compare_metric)o->metric,
                           .tune = o->tune};
    if (o->at && !compare_at_read(&how, o->at, &e)) {
        store_close(s);
        return cli_fail(EXIT_USAGE, "%s", e.text);
    }
    comparison *x = name ? compare_load(c->memory, s, name, &how, &e) : NULL;
    bool done = x && print(x, s, c, &e);
    store_close(s);
    return done ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", e.text);
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
            "compares at equal tokens, FLOPs or seconds, by evaluations on the way (eval_every).",
    .examples = {"compare quickstart --format markdown --baseline keys",
                 "compare quickstart --by position"},
    .options = OPTIONS,
    .options_bytes = sizeof(compare_call),
    .run = compare,
};
