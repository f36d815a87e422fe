/* loci status: how far experiments and their runs are.
 *
 * Folders are read, not processes: the same answer comes from any machine that sees them, also
 * while nothing runs. Slurm is asked only where runs are open and jobs were submitted from here,
 * with one call of squeue for all of them. */
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/terminal_guard.h"
#include "harness/launch/slurm.h"
#include "results/report/status.h"
#include "results/table/table_fit.h"
#include "tools/launching.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct status_call {
    const char *out;
    int64_t format;
    double every;
    bool json, watch, all;
} status_call;

static const option OPTIONS[] = {
    CLI_SWITCH(status_call, watch, "watch", "again and again, until every run has ended"),
    CLI_REAL(status_call, every, "every", "2", 0.1, 3600, "seconds between two looks"),
    CLI_SWITCH(status_call, all, "all", "runs, also those that a terminal has no rows for"),
    CLI_SWITCH(status_call, json, "json", "machine-readable, with what is left (EXPERIMENT)"),
    CLI_CHOICE(status_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(status_call),
    {0}};

/* What one look saw. */
typedef struct look {
    int failed;
    bool active; /* a run is going on */
} look;

/* A line about the jobs that were handed to Slurm and have not ended. A cluster that does not
 * answer is no reason to fail: the runs' own state is known all the same, so this is a line of the
 * output, not an error. */
static void print_jobs(const cli_call *c, const char *name, arena *a)
{
    launch_list l;
    slurm_queue q;
    err e = {0};
    const char *out = cli_out(((const status_call *)c->options)->out);
    if (!launching_jobs(&l, out, name, a, &e)) printf("jobs: %s\n", e.text);
    if (l.count == 0) return;
    if (!slurm_queue_read(&q, l.jobs, &e)) {
        printf("job %s: %s\n", l.jobs, e.text);
        return;
    }
    if (q.running + q.pending == 0) return;
    printf("job %s: %d tasks running, %d pending", l.jobs, q.running, q.pending);
    if (q.reason[0]) printf(" (%s)", q.reason);
    putchar('\n');
}

static int lines_of(const char *text)
{
    int lines = 0;
    while ((text = strchr(text, '\n'))) {
        lines++;
        text++;
    }
    return lines;
}

/* Rows until they take no more than so many lines, some of them several; what status_fold does not
 * fold stays. Returns how many went. */
static int fold(table *t, int columns, int lines)
{
    int before = t->rows, more = status_fold(t, lines);
    while (more >= 0 && t->rows > 1 && table_lines(t, columns) > lines) {
        more = status_fold(t, t->rows - 1) - 1;
    }
    return before - t->rows;
}

/* What fits into the terminal: a table longer than it would push its beginning away at every look
 * of --watch. */
static void print_people(table *t, const status_totals *all, bool whole)
{
    /* Beside them: two lines of titles, one of columns left out, four below, the prompt. */
    enum { OTHERS = 8, REASONS = 3 };
    int columns = TERMINAL_UNBROKEN, rows = 0, folded = 0;
    bool fits = terminal_size(stdout, &columns, &rows) && !whole;
    text_memory m;
    status_reasons(text_begin(&m), t, fits ? REASONS : INT_MAX, columns);
    text_auto *reasons = text_end(&m);
    if (fits) folded = fold(t, columns, MAX(rows - OTHERS - lines_of(reasons), 1));
    table_print(stdout, t, TABLE_TEXT, cli_colour(stdout));
    if (folded) printf("and %d runs more; --all lists them\n", folded);
    char text[256];
    terminal_prose prose;
    status_sentence(text, all);
    fprintf(terminal_prose_begin(&prose, stdout), "\n%s\n", text);
    terminal_prose_end(&prose);
    fputs(reasons, stdout);
}

/* Each of these returns EXIT_DONE, or another status and e. */
static int print_experiment(look *seen, const cli_call *c, store *s, arena *a, err *e)
{
    const status_call *o = c->options;
    const char *name = reading_experiment(a, s, c->words[0], e);
    table *t = table_new(a);
    status_totals all;
    if (!name) return EXIT_USAGE;
    if (!status_runs(t, s, name, e) || !status_total(&all, s, name, e)) return EXIT_FAILED;
    /* From the totals, not the rows: some of these may be folded away. */
    *seen = (look){all.failed, all.running > 0};
    if (o->json) {
        json_auto_t *x = status_json(&all, name);
        json_t *runs = table_json(t);
        json_object_set_new(x, "runs", runs);
        json_print(stdout, x, JSON_INDENT(1));
        putchar('\n');
        return EXIT_DONE;
    }
    if (o->format == TABLE_TEXT) {
        print_people(t, &all, o->all);
        if (all.running + all.waiting > 0) print_jobs(c, name, a);
    } else {
        table_print(stdout, t, (table_format)o->format, false);
    }
    return EXIT_DONE;
}

static int print_all(look *seen, const cli_call *c, store *s, arena *a, err *e)
{
    const status_call *o = c->options;
    table *t = table_new(a);
    *seen = (look){0};
    if (!status_experiments(t, s, e)) return EXIT_FAILED;
    table_print(stdout, t, o->json ? TABLE_JSON : (table_format)o->format, cli_colour(stdout));
    return EXIT_DONE;
}

static int look_once(look *seen, const cli_call *c, err *e)
{
    const status_call *o = c->options;
    /* Opened for each look, so that what was collected meanwhile is seen, and the database is free
     * between. */
    store_auto *s = reading_open(cli_out(o->out), e);
    if (!s) return EXIT_FAILED;
    /* An arena per look: watching for days takes no more memory than looking once. */
    arena_auto *a = arena_new(1 << 18);
    int status = c->count ? print_experiment(seen, c, s, a, e) : print_all(seen, c, s, a, e);
    return reading_status(status, s);
}

static int status_of_runs(const cli_call *c)
{
    const status_call *o = c->options;
    err e = {0};
    look seen = {0};
    bool before = false; /* between two runs of a sweep none is going on for a moment */
    static const char *const read[] = {"json", "watch", "every", "out", NULL};
    const char *other = o->json ? cli_given_beside(c, read) : NULL;
    if (other)
        return cli_fail(EXIT_USAGE, "status: --json is a form of its own; leave out --%s", other);
    if (o->watch && !c->count) return cli_fail(EXIT_USAGE, "--watch needs an EXPERIMENT");
    for (;;) {
        /* Home and clear. Into a file one look follows the other. */
        if (o->watch && isatty(STDOUT_FILENO)) terminal_control(stdout, "\033[H\033[2J");
        int failed = look_once(&seen, c, &e);
        if (failed) return cli_tell(failed, &e);
        /* Nobody sees it any more: cli_run says why. */
        if (fflush(stdout) != 0) break;
        /* Two looks in a row without a run going on: that is the end, not a gap. */
        if (!o->watch || (!seen.active && !before)) break;
        before = seen.active;
        cli_pause(o->every);
    }
    /* For scripts that wait with --watch and want to know how it ended. */
    return seen.failed ? EXIT_RUNS_FAILED : EXIT_DONE;
}

const verb VERB_STATUS = {
    .name = "status",
    .words = "[EXPERIMENT]",
    .max_words = 1,
    .help = "Shows how far all experiments, or one experiment's runs, have come.\n\n"
            "With an EXPERIMENT (a name or a spec file) failed runs are shown with their reason,\n"
            "and the exit status is 3 if there are any. --watch shows it again until no run is\n"
            "going on any more.",
    .examples = {"status quickstart --watch", "status quickstart --json"},
    OPTIONS_OF(status_call, OPTIONS),
    .run = status_of_runs,
};
