/* loci compare: which variant is better, by how much, how surely, at what cost.
 *
 * One loaded comparison, several ways to look at it: the table with its notes, slices of the text,
 * two axes as rows and columns, or another experiment beside it. All of them have the same
 * baseline, metric and choice of runs, and none computes a statistic itself. */
#include "results/compare/compare_notes.h"
#include "results/compare/compare_print.h"
#include "results/compare/compare_recall.h"
#include "results/compare/compare_side.h"
#include "results/compare/compare_slices.h"
#include "results/compare/compare_slices_print.h"
#include "results/compare/compare_view.h"
#include "tools/reading.h"
#include "tools/verbs.h"

#include <string.h>

typedef struct compare_call {
    const char *out, *pivot;
    int64_t format, by, sort;
    reading_choice choice;
} compare_call;

static const option OPTIONS[] = {
    CLI_CHOICE(compare_call, format, "format", "text", TABLE_FORMATS "|latex", "of the table"),
    CLI_CHOICE(compare_call, by, "by", "none", SLICE_BY_NAMES,
               "where differences come from: slices of the text"),
    CLI_CHOICES(compare_call),
    CLI_CHOICE(compare_call, sort, "sort", "plan", COMPARE_SORTS, "the least first"),
    CLI_TEXT(compare_call, pivot, "pivot",
             "ROWS,COLUMNS: two axes as a table of means, the best marked"),
    CLI_OUT(compare_call),
    {0}};

/* Below the table for people: of a probe, accuracy by distance. Not in forms for programs: these
 * hold one table. */
static bool print_recall(const cli_call *c, const comparison *x, store *s, err *e)
{
    table_format format = (table_format)((const compare_call *)c->options)->format;
    if (table_for_programs(format) || format == TABLE_LATEX) return true;
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
        compare_print(stdout, x, format, cli_colour(stdout));
        return print_recall(c, x, s, e);
    }
    /* Of the same runs as the table's: the comparison has chosen them. */
    slice_comparison *slices = compare_slices(c->memory, x, s, (slice_by)o->by, e);
    return slices && compare_slices_print(stdout, x, slices, format, cli_colour(stdout), e);
}

/* ---- what a table of another shape has to have said below it ---- */

/* What the mark says, where there is one, and what is to be said in any case. */
static void print_mark(FILE *out, const char *mark, const char *text, bool markdown)
{
    /* Behind a table of Markdown a line would be one more row. */
    if (markdown) fputc('\n', out);
    if (mark) fprintf(out, "*: %s. ", mark);
    fprintf(out, "%s.\n", text);
}

static bool any_lost(const comparison *c)
{
    bool any = false;
    for (int i = 0; i < c->count; i++) {
        any = any || c->variants[i].lost > 0;
    }
    return any;
}

/* y: NULL: x alone. */
static void lost_words(FILE *out, const comparison *x, const comparison *y)
{
    if (!any_lost(x) && !(y && any_lost(y))) return;
    fputs(
        "\n(N of M): the mean is of N of M seeds; that the others have no result may be why it is "
        "what it is, so it is not marked.\n",
        out);
}

/* Which evaluations the figures are of. */
static void chosen_words(FILE *out, const comparison *c, bool markdown)
{
    if (markdown) fputc('\n', out);
    compare_notes_chosen(out, c);
}

/* What the words below such a table are about. */
typedef struct shown {
    const comparison *x, *y; /* y NULL: there is one */
    bool marked;
} shown;

static void pivot_words(FILE *out, const void *about, bool markdown)
{
    const shown *b = about;
    print_mark(out, b->marked ? "the best" : NULL,
               "Where other axes leave several variants to a cell, it is the best of them",
               markdown);
    lost_words(out, b->x, NULL);
    chosen_words(out, b->x, markdown);
}

/* ---- views ---- */

/* --pivot ROWS,COLUMNS, or ROWS with COLUMNS as the last word. */
static int print_pivot(const cli_call *c, const comparison *x, store *s, err *e)
{
    const compare_call *o = c->options;
    char *rows = arena_strdup(c->memory, o->pivot), *comma = strchr(rows, ',');
    const char *columns = comma ? comma + 1 : c->count == 2 ? c->words[1] : "";
    if (comma) *comma = 0;
    if (!*rows || !*columns) {
        err_set(e, "--pivot %s: expected two axes: --pivot ROWS,COLUMNS", o->pivot);
        return EXIT_USAGE;
    }
    /* An axis that is none is a matter of usage: said with the axes that there are. */
    shown about = {.x = x};
    table *t = compare_view_pivot(&about.marked, c->memory, s, x, rows, columns, e);
    if (!t) return EXIT_USAGE;
    table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    table_words(stdout, (table_format)o->format, pivot_words, &about);
    return EXIT_DONE;
}

static void side_words(FILE *out, const void *about, bool markdown)
{
    const shown *b = about;
    print_mark(out, b->marked ? "the better of the two by its mean" : NULL,
               "A difference whose interval holds 0 is noise", markdown);
    lost_words(out, b->x, b->y);
    chosen_words(out, b->x, markdown);
    chosen_words(out, b->y, markdown);
    if (!compare_side_alike(b->x, b->y)) {
        fputs("\nThe two were not scored alike (text, context, state): a difference is not only "
              "that of models.\n",
              out);
    }
}

static int print_both(const cli_call *c, const comparison *x, store *s, err *e)
{
    const compare_call *o = c->options;
    reading_choice how = o->choice;
    const char *name = reading_experiment(c->memory, s, c->words[1], e);
    how.metric = (int64_t)x->metric;
    /* In the first one's metric, whatever the second would have chosen: two units do not compare.
     */
    const comparison *y = name ? reading_compare(c->memory, s, name, &how, e) : NULL;
    if (!y) return EXIT_USAGE;
    shown about = {.x = x, .y = y};
    table *t = compare_side(&about.marked, c->memory, x, y);
    table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    table_words(stdout, (table_format)o->format, side_words, &about);
    return EXIT_DONE;
}

static int compare_experiment(const cli_call *c, store *s, const char *name, err *e)
{
    const compare_call *o = c->options;
    comparison *x = reading_compare(c->memory, s, name, &o->choice, e);
    if (!x) return EXIT_USAGE;
    /* Only the order of rows: differences are to the baseline, wherever that stands. */
    compare_view_sort(x, c->memory, (int)o->sort);
    if (o->pivot) return print_pivot(c, x, s, e);
    if (c->count == 2) return print_both(c, x, s, e);
    return print_table(x, s, c, e) ? EXIT_DONE : EXIT_FAILED;
}

static int compare_results(const cli_call *c)
{
    return reading_run(c, cli_out(((const compare_call *)c->options)->out), compare_experiment);
}

const verb VERB_COMPARE = {
    .name = "compare",
    .words = "[EXPERIMENT [EXPERIMENT]]",
    .max_words = 2,
    .help =
        "Compares the variants of an experiment over their seeds.\n\n"
        "One row per variant: mean and 95 % t-interval over seeds, the difference to the\n"
        "baseline paired by seed with its interval, and what the variant costs. EXPERIMENT is\n"
        "a name or a spec file; default: the one run last. Works while runs go on. Two of them\n"
        "are put side by side: variants that are called alike, or all.\n"
        "--by shows differences by position in the document or in the block, by how often the\n"
        "token occurs in the training split, or by how often it occurred in the document before.\n"
        "--tune chooses the value of a swept axis (the learning rate) for each variant; --at\n"
        "compares at equal tokens, FLOPs or seconds, by evaluations on the way (eval_every).\n"
        "The table shows what routed layers did (load, dropped and rerouted tokens) and what\n"
        "learning in evaluation cost where there is any; CSV and JSON always have all columns.",
    .examples = {"compare quickstart --format markdown --baseline keys",
                 "compare quickstart --by position"},
    OPTIONS_OF(compare_call, OPTIONS),
    .run = compare_results,
};
