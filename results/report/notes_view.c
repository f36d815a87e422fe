#include "results/report/notes_view.h"

#include <string.h>

#include "core/base/one_line.h"
#include "core/base/text.h"
#include "results/report/html.h"
#include "results/store/query.h"

/* A note belongs to a run or to an experiment. A run is shown with its own and with those of all
 * experiments that plan it; an experiment's page has its own and those of all its runs. */

/* Of ?1, an experiment, or ?2, a run, with its experiments' own. Both parameters are always given,
 * one of them empty. */
#define OF_BOTH                                                                                    \
    "(?2 = '' AND run = '' AND experiment = ?1) OR (?2 <> '' AND (run = ?2 OR (run = '' AND "      \
    "experiment IN (SELECT experiment FROM plan WHERE run = ?2)))) "

/* A text of several lines: those behind the first are marked as its own. Without the mark a note of
 * several lines could look like the fields of the run that are printed around it. */
static void print_lines(FILE *out, const char *text)
{
    for (bool first = true; first || *text; first = false) {
        size_t n = strcspn(text, "\n");
        fprintf(out, "%s%.*s\n", first ? "" : "                       | ", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* The time stands first, in the column where fields have their names; owner and text follow. */
bool notes_view_print(FILE *out, store *s, const char *experiment, const char *run, err *e)
{
    bool any = false;
    query tags = QUERY(s, e,
                       /* Sorted in the inner question, as group_concat takes rows as they come. */
                       "SELECT group_concat(tag, ' ') AS tags FROM (SELECT DISTINCT tag FROM tag "
                       "WHERE " OF_BOTH "ORDER BY tag)",
                       experiment, run);
    while (query_next(&tags)) {
        const char *list = query_peek(&tags, "tags");
        if (list) fputs("\nnotes\n", out);
        if (list) one_line_print(out, "  %-20s %s", "tags", list);
        any = list != NULL;
    }
    /* One row in any case, NULL if there are no tags. */
    if (!query_close(&tags)) return false;
    query q = QUERY(s, e,
                    "SELECT CASE WHEN ?2 <> '' AND run = '' THEN 'of ' || experiment || ': ' ELSE "
                    "'' END AS owner, at, text FROM note WHERE " OF_BOTH "ORDER BY at, position",
                    experiment, run);
    while (query_next(&q)) {
        if (!any) fputs("\nnotes\n", out);
        any = true;
        /* A time as the file has it, which may be a stranger's. */
        char head[256];
        snprintf(head, sizeof head, "  %-20s %s", query_peek(&q, "at"), query_peek(&q, "owner"));
        one_line(head, sizeof head);
        fputs(head, out);
        print_lines(out, query_peek(&q, "text"));
    }
    return query_close(&q);
}

/* pre-line keeps a note's line breaks; its text is escaped like any other. */
bool notes_view_html(FILE *out, store *s, const char *experiment, err *e)
{
    /* A run that is planned under two labels has one note. */
    query q = QUERY(
        s, e,
        /* Tags are one line for each owner, before its notes (kind 0). The experiment's own come
         * first (run <> '' is 0 for them), then run by run. */
        "WITH said AS (SELECT experiment, run, 1 AS kind, at, position, text FROM note UNION ALL "
        "SELECT experiment, run, 0, '', 0, group_concat(tag, ' ') FROM tag GROUP BY 1, 2) "
        "SELECT DISTINCT coalesce((SELECT p.label || ', seed ' || p.seed FROM plan p WHERE "
        "p.experiment = ?1 AND p.run = said.run ORDER BY p.position LIMIT 1) || ': ', '') || CASE "
        "kind WHEN 0 THEN 'tags: ' ELSE '' END AS head, at, text FROM said WHERE (said.run = '' "
        "AND said.experiment = ?1) OR (said.run <> '' AND said.run IN (SELECT run FROM plan WHERE "
        "experiment = ?1)) ORDER BY said.run <> '', said.run, kind, at, position",
        experiment);
    bool any = false;
    while (query_next(&q)) {
        if (!any) fputs("<h2>Notes</h2>\n<ul>\n", out);
        any = true;
        fputs("<li style=\"white-space:pre-line\">", out);
        html_text(out, query_peek(&q, "head"));
        html_text(out, query_peek(&q, "text"));
        fputs(" <small>", out);
        html_text(out, query_peek(&q, "at"));
        fputs("</small></li>\n", out);
    }
    if (any) fputs("</ul>\n", out);
    return query_close(&q);
}
