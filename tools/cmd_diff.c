/* loci diff: in what two runs differ. */
#include "results/report/run_view.h"
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

static int diff_variants(const cli_call *c)
{
    const diff_call *o = c->options;
    err e = {0};
    char a[RUN_ID_CHARS], b[RUN_ID_CHARS];
    store *s = reading_open(cli_out(o->out), &e);
    if (!s) return cli_fail(EXIT_FAILED, "%s", e.text);
    table *t = table_new(c->memory);
    bool found = run_view_find(a, s, c->words[0], &e) && run_view_find(b, s, c->words[1], &e);
    bool done =
        found && run_view_diff(t, s, a, b, (const char *const[]){c->words[0], c->words[1]}, &e);
    store_close(s);
    if (!done) return cli_fail(found ? EXIT_FAILED : EXIT_USAGE, "%s", e.text);
    if (table_rows(t) == 0 && o->format == TABLE_TEXT) {
        fprintf(stderr, "%s and %s do not differ\n", a, b);
    } else {
        table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    }
    return EXIT_DONE;
}

const verb VERB_DIFF = {
    .name = "diff",
    .words = "RUN RUN",
    .min_words = 2,
    .max_words = 2,
    .help = "Shows the options in which two runs differ, and how else they were made.\n\n"
            "RUN is an id, the beginning of one, or EXPERIMENT[/LABEL[/SEED]].",
    .examples = {"diff quickstart/keys quickstart/plain", "diff 3f9a b512 --format markdown"},
    .options = OPTIONS,
    .options_bytes = sizeof(diff_call),
    .run = diff_variants,
};
