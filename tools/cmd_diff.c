/* loci diff: in what two runs differ. */
#include "results/report/run_diff.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct diff_call {
    const char *out;
    int64_t format;
} diff_call;

static const option OPTIONS[] = {
    CLI_CHOICE(diff_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(diff_call),
    {0}};

static int diff_runs(const cli_call *c, store *s, err *e)
{
    const int64_t format = ((const diff_call *)c->options)->format;
    char a[RUN_ID_CHARS], b[RUN_ID_CHARS];
    const char *const heads[] = {c->words[0], c->words[1]};
    table *t = table_new(c->memory);
    /* Heads of columns are the words as they were typed; the ids are looked for once. */
    if (!reading_one(a, s, heads[0], e) || !reading_one(b, s, heads[1], e)) return EXIT_USAGE;
    if (!run_diff(t, s, a, b, heads, true, e)) return EXIT_FAILED;
    /* Forms for programs have a table all the same, with its columns and no rows. */
    if (table_rows(t) == 0 && format == TABLE_TEXT) {
        fprintf(stderr, "%s and %s do not differ\n", a, b);
    } else {
        table_print(stdout, t, (table_format)format, cli_colour(stdout));
    }
    return EXIT_DONE;
}

static int diff_variants(const cli_call *c)
{
    return reading_with(c, cli_out(((const diff_call *)c->options)->out), diff_runs);
}

const verb VERB_DIFF = {
    .name = "diff",
    .words = "RUN RUN",
    .min_words = 2,
    .max_words = 2,
    .help = "Shows the options in which two runs differ, and how else they were made.\n\n"
            "RUN is an id, the beginning of one, or EXPERIMENT[/LABEL[/SEED]].",
    .examples = {"diff quickstart/keys quickstart/plain", "diff 3f9a b512 --format markdown"},
    OPTIONS_OF(diff_call, OPTIONS),
    .run = diff_variants,
};
