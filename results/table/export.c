#include "results/table/export.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "results/store/experiment.h"
#include "results/table/table_query.h"

/* Each kind of export is one query, streamed row by row into CSV or JSON lines, so that millions of
 * metrics take no memory. Columns come from the query itself: a column that is added there is
 * exported. Markdown and LaTeX need widths and so the whole table first; nobody asks for a million
 * rows in a paper.
 *
 * Numbers are written in the shortest form that reads back as the same double: who computes with an
 * export gets what the database has. */

/* ?1: the experiment. The order is that of the plan, so that equal results give equal files. The
 * runs begin with the plan, so that those without a result are rows, too. Every query has "p.seed,
 * ", where with_axes puts the axes. */
static const char *const QUERIES[EXPORT_WHATS] = {
    "SELECT p.experiment, p.label AS variant, p.seed, p.baseline, p.run, p.variant AS variant_id, "
    "coalesce(r.status, 'planned') AS status, r.kind, r.reason, v.split, v.bits_per_byte, "
    "v.word_perplexity, v.perplexity, v.unknown_tokens, r.step, r.steps, r.tokens, "
    "r.train_seconds, " STORE_RUN_SPEED " AS tokens_per_second, r.alone_tokens_per_second, "
    "r.params, r.active_params, r.forward_flops_per_token, "
    "r.train_flops_per_token, r.state_bytes, r.peak_anon_bytes, r.peak_rss_bytes, r.started_at, "
    "r.ended_at, r.threads, r.host, r.cpu, r.git_revision, r.git_dirty, r.compiler, r.blas, "
    "r.numerics, r.corpus_hash FROM plan p LEFT JOIN run r USING (run) "
    "LEFT JOIN result v ON v.experiment = p.experiment AND v.position = p.position "
    "WHERE p.experiment = ?1 ORDER BY p.position",

    "SELECT p.label AS variant, p.seed, p.run, s.step, s.tokens, s.seconds, m.layer, m.name, "
    "m.value FROM plan p JOIN step s USING (run) JOIN metric m ON m.run = s.run AND "
    "m.step = s.step WHERE p.experiment = ?1 ORDER BY p.position, s.step, m.layer, m.name",

    "SELECT p.label AS variant, p.seed, v.* FROM plan p JOIN score v USING (run) "
    "WHERE p.experiment = ?1 ORDER BY p.position, v.step, v.split, v.evaluation",

    "SELECT p.label AS variant, p.seed, p.run, v.evaluation, v.step, v.split, v.final, d.document, "
    "d.name, d.nats, d.tokens, d.bytes, d.words, v.protocol FROM plan p "
    "JOIN evaluation v USING (run) JOIN document d USING (evaluation) WHERE p.experiment = ?1 "
    "ORDER BY p.position, v.step, v.split, v.evaluation, d.document",

    "SELECT p.label AS variant, p.seed, p.run, v.evaluation, v.step, v.split, v.final, x.kind, "
    "x.low, x.high, x.tokens, x.bits_per_token, v.protocol FROM plan p "
    "JOIN evaluation v USING (run) JOIN slice_score x USING (evaluation) WHERE p.experiment = ?1 "
    "ORDER BY p.position, v.step, v.split, v.evaluation, x.kind, x.low"};

/* ---- CSV and JSON lines, row by row: there may be millions ---- */

/* By the type of each value, not of the column: NULL is an empty field, a text is quoted where it
 * has to be. */
static void csv_row(FILE *out, sqlite3_stmt *q, bool head)
{
    for (int i = 0; i < sqlite3_column_count(q); i++) {
        if (i) fputc(',', out);
        if (head) {
            table_print_csv(out, sqlite3_column_name(q, i));
        } else if (sqlite3_column_type(q, i) == SQLITE_FLOAT) {
            table_print_number(out, sqlite3_column_double(q, i));
        } else if (sqlite3_column_type(q, i) == SQLITE_INTEGER) {
            fprintf(out, "%lld", (long long)sqlite3_column_int64(q, i));
        } else if (sqlite3_column_type(q, i) != SQLITE_NULL) {
            table_print_csv(out, (const char *)sqlite3_column_text(q, i));
        }
    }
    fputc('\n', out);
}

/* Whole numbers stay whole numbers, also where they are larger than a double holds. */
static void json_row(FILE *out, sqlite3_stmt *q)
{
    for (int i = 0; i < sqlite3_column_count(q); i++) {
        fputs(i ? "," : "{", out);
        json_auto_t *key = json_string(sqlite3_column_name(q, i));
        json_dumpf(key, out, JSON_ENCODE_ANY);
        fputc(':', out);
        switch (sqlite3_column_type(q, i)) {
        case SQLITE_INTEGER:
            fprintf(out, "%lld", (long long)sqlite3_column_int64(q, i));
            break;
        case SQLITE_FLOAT: /* JSON has no word for infinity */
            if (isfinite(sqlite3_column_double(q, i))) {
                table_print_number(out, sqlite3_column_double(q, i));
            } else {
                fputs("null", out);
            }
            break;
        case SQLITE_TEXT: {
            json_auto_t *x = json_words((const char *)sqlite3_column_text(q, i));
            json_dumpf(x, out, JSON_ENCODE_ANY);
            break;
        }
        default:
            fputs("null", out);
        }
    }
    fputs("}\n", out);
}

/* The query with a column "axis.NAME" behind the seed for each axis of the experiment; NULL and e
 * if they cannot be read. As columns, one for each axis, since that is what data frames are grouped
 * by. Each is a look into the key of `axis` (experiment, label, axis). Names of axes come from
 * specs: %q and %w quote them as text and as a name. An axis is text in every row; whether it is a
 * number its reader knows. */
static const char *with_axes(arena *a, store *s, const char *experiment, const char *sql, err *e)
{
    static const char seed[] = "p.seed, ";
    const char *behind = strstr(sql, seed);
    text_memory text;
    FILE *out = text_begin(&text);
    CHECK(behind, "a query without a seed");
    behind += strlen(seed);
    fwrite(sql, 1, (size_t)(behind - sql), out);
    query q = QUERY(s, e,
                    "SELECT axis FROM axis WHERE experiment = ?1 GROUP BY axis "
                    "ORDER BY min(position), axis",
                    experiment);
    while (query_next(&q)) {
        const char *axis = query_peek(&q, "axis");
        char *column = sqlite3_mprintf("(SELECT x.value FROM axis x WHERE x.experiment = "
                                       "p.experiment AND x.label = p.label AND x.axis = '%q') AS "
                                       "\"axis.%w\", ",
                                       axis, axis);
        fputs(column ? column : "", out);
        sqlite3_free(column);
    }
    fputs(behind, out);
    const char *whole = text_end_in(&text, a);
    return query_close(&q) ? whole : NULL;
}

bool export_rows(FILE *out, store *s, const char *experiment, export_what what,
                 export_format format, err *e)
{
    CHECK(what >= 0 && what < EXPORT_WHATS && format != EXPORT_TENSORBOARD, "export %d", (int)what);
    /* A misspelt name would be an empty file, and nobody would know. */
    if (!experiment_check(s, experiment, e)) return false;
    arena_auto *a = arena_new(0);
    const char *sql = with_axes(a, s, experiment, QUERIES[what], e);
    if (!sql) return false;
    query q = QUERY(s, e, sql, experiment);
    bool ok;
    if (format == EXPORT_CSV || format == EXPORT_JSONL) {
        /* The head is there without any row, so that a program finds its columns. */
        if (format == EXPORT_CSV) csv_row(out, q.statement, true);
        while (!ferror(out) && query_next(&q)) {
            if (format == EXPORT_CSV) csv_row(out, q.statement, false);
            if (format == EXPORT_JSONL) json_row(out, q.statement);
        }
        ok = query_close(&q);
    } else {
        table *t = table_new(a);
        ok = table_query_all(t, &q);
        if (ok && format == EXPORT_MARKDOWN) table_print(out, t, TABLE_MARKDOWN, false);
        if (ok && format == EXPORT_LATEX) table_latex(out, t);
    }
    return ok;
}
