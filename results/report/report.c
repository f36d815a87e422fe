#include "results/report/report.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/options/node.h"
#include "results/compare/compare_best.h"
#include "results/compare/compare_notes.h"
#include "results/compare/compare_read.h"
#include "results/compare/compare_table.h"
#include "results/compare/compare_verdict.h"
#include "results/report/html.h"
#include "results/report/notes_view.h"
#include "results/report/report_claims.h"
#include "results/report/report_page.h"
#include "results/report/report_plots.h"
#include "results/report/run_diff.h"
#include "results/report/run_view.h"
#include "results/report/sample_view.h"
#include "results/report/status.h"
#include "results/table/table_query.h"

/* The order of the page is that of the questions of somebody who opens it: what was asked, what was
 * claimed, what came out, whether anything failed, only then figures, pictures, and at the end what
 * is needed to do it again. Failures stand before the table, as a mean over the seeds that survived
 * should not be read without them.
 *
 * The page is one file that asks for nothing: pictures are data in it, style and script are text in
 * it, and its Content-Security-Policy has the browser refuse everything else. It can be mailed,
 * kept for years, and opened without telling anybody. No time and no host of the writing are in it:
 * equal results give equal pages. */

/* ---- the table ---- */

/* The table for other programs: the script makes a button of each. As templates, which no browser
 * shows or prints. */
static void put_copies(FILE *out, const table *t)
{
    static const char *const names[] = {"CSV", "Markdown", "LaTeX"};
    fputs("<div data-copies>", out);
    for (int i = 0; i < 3; i++) {
        text_memory m;
        FILE *f = text_begin(&m);
        if (i == 2) {
            table_latex(f, t);
        } else {
            table_print(f, t, i == 0 ? TABLE_CSV : TABLE_MARKDOWN, false);
        }
        text_auto *text = text_end(&m);
        fprintf(out, "<template data-name=\"%s\">", names[i]);
        html_text(out, text);
        fputs("</template>", out);
    }
    fputs("</div>\n", out);
}

/* What has to be said beside the figures: a paragraph for each line. The words of the text form,
 * line by line, so that page and terminal cannot say different things. */
static void put_notes(FILE *out, const comparison *c)
{
    text_memory m;
    compare_notes_print(text_begin(&m), c, "");
    text_auto *text = text_end(&m);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (*line) html_element(out, "p", "note", line);
    }
}

/* The table that `loci compare` prints, with columns for people. */
static void put_results(FILE *out, arena *a, const comparison *c)
{
    const char **mark = ARENA_NEW(a, const char *, c->count);
    for (int i = 0; i < c->count; i++) {
        mark[i] = i == c->baseline ? "baseline" : NULL;
    }
    html_element(out, "h2", "", "Results");
    table *t = compare_table(a, c);
    html_table(out, t, mark);
    put_copies(out, t);
    html_element(
        out, "p", "note",
        "Mean \u00b1 half of the 95 % t-interval over seeds; differences are paired by seed; p is "
        "corrected by Holm's method for all comparisons. Click a title to sort.");
    put_notes(out, c);
}

/* ---- verdict, health ---- */

/* The sentences of `loci compare`, in its order; the baseline has none. */
static void put_verdicts(FILE *out, const comparison *c)
{
    html_element(out, "h2", "", "Verdict");
    fputs("<ul>\n", out);
    for (int i = 0; i < c->count; i++) {
        char text[COMPARE_VERDICT_BYTES];
        const compared_variant *v = &c->variants[i];
        compare_verdict(text, c, i);
        if (text[0])
            html_element(out, "li",
                         /* Coloured only where the words say better or worse. */
                         !compare_sure(v)         ? ""
                         : v->difference.mean < 0 ? "better"
                                                  : "worse",
                         text);
    }
    fputs("</ul>\n", out);
    if (c->baseline < 0) html_element(out, "p", "", "No baseline is named among the variants.");
}

/* The end of the log is folded away, but in the page: the folder may be gone when somebody asks
 * why. */
static bool run_sentence(FILE *out, store *s, const compared_variant *v, const compared_run *r,
                         err *e)
{
    char text[1400];
    snprintf(text, sizeof text, "%s, seed %lld: %s: %s (run %s)", v->label, (long long)r->seed,
             r->status, compare_reason(r), r->run);
    fputs("<li>", out);
    html_text(out, text);
    query q = QUERY(s, e, "SELECT log FROM run WHERE run = ?1", r->run);
    const char *log = query_next(&q) ? query_peek(&q, "log") : NULL;
    if (log && *log) {
        fputs("<details><summary>end of its log</summary>", out);
        html_element(out, "pre", "", log);
        fputs("</details>", out);
    }
    fputs("</li>\n", out);
    return query_close(&q);
}

/* The runs without a result, of settings that were not chosen, too: those that the table's split
 * lacks, and those that have none at all. `here` is the run as it is shown, which may lack its
 * result on this split though it is done. Both come from the plan, so a variant's runs stand in the
 * same places. */
static bool put_lost(FILE *out, store *s, const comparison *shown, const comparison *all, err *e)
{
    bool ok = true;
    for (int i = 0; ok && i < all->count; i++) {
        const compared_variant *v = &all->variants[i], *here = NULL;
        for (int k = 0; k < shown->count; k++) {
            if (strcmp(shown->variants[k].plan_label, v->plan_label) == 0) {
                here = &shown->variants[k];
            }
        }
        for (int k = 0; ok && k < v->run_count; k++) {
            const compared_run *r = here ? &here->runs[k] : &v->runs[k];
            if (compare_is_lost(r)) ok = run_sentence(out, s, v, r, e);
        }
    }
    return ok;
}

/* Of the table as it is shown: a run may be done and have no result on its split. */
static int count_lost(const comparison *c)
{
    int n = 0;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            n += compare_is_lost(&c->variants[i].runs[k]);
        }
    }
    return n;
}

/* Of all runs, those of settings that were not chosen, too. Read again without a split and without
 * tuning: the counts are of all planned runs. */
static bool put_health(FILE *out, arena *a, store *s, const comparison *shown, err *e)
{
    const comparison *c = compare_read(a, s, shown->experiment, NULL, e);
    if (!c) return false;
    /* Summed over variants; a run that is planned under two labels counts twice, as it does in the
     * table. */
    int planned = 0, done = 0, failed = 0, diverged = 0, running = 0, interrupted = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        planned += v->planned;
        done += v->done;
        failed += v->failed;
        diverged += v->diverged;
        running += v->running;
        interrupted += v->interrupted;
    }
    char text[256];
    snprintf(text, sizeof text,
             "%d runs planned: %d done, %d failed, %d diverged, %d interrupted, %d running, %d not "
             "begun. ",
             planned, done, failed, diverged, interrupted, running,
             /* What is in no other state was not begun. */
             planned - done - failed - diverged - interrupted - running);
    size_t used = strlen(text);
    int lost = count_lost(shown);
    if (lost > 0) {
        snprintf(text + used, sizeof text - used, "In the table below %d run%s without a result.",
                 lost, lost == 1 ? " is" : "s are");
    } else {
        /* Said, so that silence is not taken for it. */
        snprintf(text + used, sizeof text - used, "Nothing is left out.");
    }
    html_element(out, "h2", "", "Health");
    html_element(out, "p", "", text);
    fputs("<ul>\n", out);
    bool ok = put_lost(out, s, shown, c, e);
    fputs("</ul>\n", out);
    return ok;
}

/* ---- specs and provenance ---- */

/* Of hundreds of variants the best ones are told option by option. Only where variants were left
 * out: `others` says how to see them. */
static void put_best(FILE *out, const comparison *c, const char *others)
{
    char text[256];
    if (!c->best_of) return;
    snprintf(text, sizeof text, "Of the %d variants the best %d, the baseline among them; %s.",
             c->best_of, c->count, others);
    html_element(out, "p", "note", text);
}

/* Between first runs. */
static bool put_differences(FILE *out, arena *a, store *s, const comparison *c, err *e)
{
    const compared_variant *base = c->baseline >= 0 ? &c->variants[c->baseline] : NULL;
    html_element(out, "h2", "", "What the variants change");
    put_best(out, c, "loci diff RUN RUN tells it of others");
    /* Each against the baseline; what two variants change in common is seen in both tables. */
    for (int i = 0; base && base->run_count > 0 && i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        if (v == base || v->run_count == 0) continue;
        table *t = table_new(a);
        if (!run_diff(t, s, base->runs[0].run, v->runs[0].run,
                      (const char *const[]){base->label, v->label}, false, e))
            return false;
        html_element(out, "h3", "", v->label);
        if (table_rows(t) > 0) html_table(out, t, NULL);
    }
    return true;
}

/* Every option of every variant, as its first run has them. By way of the node printer, so that it
 * is YAML as one would write it and can be pasted into a spec. */
static bool put_specs(FILE *out, arena *a, store *s, const comparison *c, err *e)
{
    html_element(out, "h2", "", "Resolved specs");
    put_best(out, c, "loci show RUN has those of others");
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        /* A variant without runs has no spec to show. */
        json_auto_t *run = v->run_count ? run_view_json(s, v->runs[0].run, e) : NULL;
        if (v->run_count && !run) return false;
        text_auto *text = json_text(json_object_get(run, "spec"), JSON_COMPACT);
        node *n = text ? node_parse(a, arena_strdup(a, text), strlen(text), "spec", NULL) : NULL;
        if (!n) continue;
        fputs("<details data-long><summary>", out);
        html_text(out, v->label);
        fputs("</summary>", out);
        html_element(out, "pre", "", node_yaml(a, n));
        fputs("</details>\n", out);
    }
    return true;
}

/* The query's answer as a table of texts. columns: NULL-terminated. All as texts, left: nothing is
 * compared by size here. */
static bool put_query(FILE *out, arena *a, query *q, const char *title, const char *const *columns)
{
    table_field fields[TABLE_COLUMNS];
    int count = 0;
    for (; columns[count]; count++) {
        fields[count] = (table_field){.key = columns[count], .title = columns[count]};
    }
    table *t = table_new(a);
    if (!table_query(t, q, fields, count)) return false;
    html_element(out, "h2", "", title);
    html_table(out, t, NULL);
    return true;
}

/* Runs that were made alike are one row with their number; the largest group is first, so that an
 * odd one (another machine, changes that were not committed) stands out below it. */
static bool put_provenance(FILE *out, arena *a, store *s, const char *experiment, err *e)
{
    /* The columns are named as the query names them, which put_query counts on. */
    static const char *const made[] = {"runs",     "host",     "cpu",  "threads",
                                       "revision", "compiler", "blas", "numerics",
                                       "corpus",   "text",     NULL};
    static const char *const libraries[] = {"name", "version", "runs", NULL};
    query how =
        QUERY(s, e,
              "SELECT count(*) AS runs, host, cpu, threads, substr(git_revision, 1, 12) || "
              "CASE git_dirty WHEN 1 THEN ' with changes' ELSE '' END AS revision, compiler, "
              "blas, numerics, coalesce(json_extract(r.spec, '$.data.corpus'), '?') AS corpus, "
              "substr(corpus_hash, 1, 12) AS "
              "text FROM plan p JOIN run r "
              "USING (run) WHERE p.experiment = ?1 AND r.created_at IS NOT NULL "
              "GROUP BY host, cpu, threads, git_revision, git_dirty, compiler, blas, "
              "numerics, corpus_hash ORDER BY 1 DESC, 2, 5",
              experiment);
    if (!put_query(out, a, &how, "Provenance", made)) return false;
    /* Versions of libraries apart: as columns they would part runs that differ in one of ten. */
    query with = QUERY(s, e,
                       "SELECT l.name, l.version, count(*) AS runs FROM plan p JOIN library l "
                       "USING (run) WHERE p.experiment = ?1 GROUP BY l.name, l.version "
                       "ORDER BY 1, 2",
                       experiment);
    return put_query(out, a, &with, "Libraries", libraries);
}

/* The command of the plan's first run that has one; before there is any the spec's file alone. The
 * spec as it was written, with its comments, rather than as it was resolved: that is above. */
static bool put_source(FILE *out, arena *a, store *s, const char *experiment, err *e)
{
    query q = QUERY(s, e,
                    "SELECT x.spec_file, x.spec_text, (SELECT r.command FROM plan p JOIN run r "
                    "USING (run) WHERE p.experiment = x.experiment AND r.command <> '' "
                    "ORDER BY p.position LIMIT 1) AS command "
                    "FROM experiment x WHERE x.experiment = ?1",
                    experiment);
    if (query_next(&q)) {
        const char *file = query_text(&q, "spec_file", a);
        const char *command = query_text(&q, "command", a);
        html_element(out, "h2", "", "To make it again");
        html_element(out, "pre", "", command ? command : file);
        fputs("<details data-long><summary>", out);
        html_text(out, file);
        fputs("</summary>", out);
        html_element(out, "pre", "", query_text(&q, "spec_text", a));
        fputs("</details>\n", out);
    }
    return query_close(&q);
}

/* How far the runs are, while they go on. */
static bool put_progress(FILE *out, store *s, const char *experiment, err *e)
{
    status_totals all;
    char text[256];
    if (!status_total(&all, s, experiment, e)) return false;
    status_sentence(text, &all);
    html_element(out, "p", "note", text);
    return true;
}

/* Parts that ask the database can fail; the page is written on to its end where that costs nothing,
 * and the caller throws it away. */
bool report_write(FILE *out, store *s, const comparison *c, const claims *stated,
                  const plot_report *plots, int again, err *e)
{
    arena_auto *a = arena_new(1 << 20);
    /* The policy allows what is in the page, and no request for anything else, whatever got into a
     * label. */
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
          "data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n",
          out);
    /* The browser asks again by itself: a page that is watched needs no server either. */
    if (again > 0) fprintf(out, "<meta http-equiv=\"refresh\" content=\"%d\">\n", again);
    char title[512];
    compare_notes_title(title, c);
    html_element(out, "title", "", title);
    fprintf(out, "<style>\n%s</style></head><body>\n", REPORT_PAGE_STYLE);
    html_element(out, "h1", "", title);
    html_element(out, "p", "question", c->description);
    /* The script lists what the page contains. */
    fputs("<nav></nav>\n", out);
    bool ok = again == 0 || put_progress(out, s, c->experiment, e);
    report_claims(out, a, stated);
    put_verdicts(out, c);
    ok = ok && put_health(out, a, s, c, e) && notes_view_html(out, s, c->experiment, e);
    if (ok) put_results(out, a, c);
    /* What follows is told variant by variant, and of hundreds nobody reads it; the table has
     * all. */
    const comparison *best = compare_best(a, c);
    ok = ok && (!plots || report_plots(out, plots, e)) && sample_view_html(out, s, best, e) &&
         put_differences(out, a, s, best, e) && put_specs(out, a, s, best, e) &&
         put_provenance(out, a, s, c->experiment, e) && put_source(out, a, s, c->experiment, e);
    /* Last, when what it works on is there. */
    fprintf(out, "<script>\n%s</script>\n</body></html>\n", REPORT_PAGE_SCRIPT);
    return ok && (!ferror(out) || err_set(e, "the report cannot be written; make room"));
}
