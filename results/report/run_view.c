#include "results/report/run_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/text.h"
#include "results/compare/protocol.h"
#include "results/report/notes_view.h"
#include "results/report/run_name.h"
#include "results/report/run_unknown.h"
#include "results/report/sample_view.h"
#include "results/store/experiment.h"
#include "results/table/table_query.h"

/* Everything about a run is first made one object, the same that `loci show --json` prints; the
 * words for people are printed from it. What people see can therefore be had by programs, and under
 * the names of the schema, since the object's keys are the columns. */

/* ---- finding ---- */

/* The first row's run, and how many rows there are; -1 if they cannot be read. */
static int first_run(char id[RUN_ID_CHARS], query *q)
{
    int n = 0;
    while (query_next(q)) {
        if (n++ == 0) snprintf(id, RUN_ID_CHARS, "%s", query_peek(q, "run"));
    }
    return query_close(q) ? n : -1;
}

/* A planned run has no folder and no row in `run`; the plan knows it. -1 as text, as all parameters
 * are. */
static int find_planned(char id[RUN_ID_CHARS], store *s, const char *name, err *e)
{
    run_name w;
    run_name_read(&w, name);
    char seed[24];
    snprintf(seed, sizeof seed, "%lld", (long long)w.seed);
    query q = QUERY(s, e,
                    "SELECT run FROM plan WHERE experiment = ?1 AND (?2 = '' OR label = ?2) AND "
                    "(?3 = '-1' OR seed = CAST(?3 AS INTEGER)) ORDER BY position",
                    w.experiment, w.label, seed);
    int n = first_run(id, &q);
    if (n == 0) run_unknown(s, name, e);
    return n;
}

/* Ids first: a name is looked for only where no id begins so. */
bool run_view_find(char id[RUN_ID_CHARS], int *fits, store *s, const char *name, err *e)
{
    query q = QUERY(
        s, e, "SELECT run FROM run WHERE length(?1) > 0 AND substr(run, 1, length(?1)) = ?1", name);
    *fits = first_run(id, &q);
    if (*fits == 0) return (*fits = find_planned(id, s, name, e)) > 0;
    return *fits == 1 ||
           (*fits > 1 && err_set(e, "%s: several runs begin with it; give more of the id", name));
}

/* ---- one run as an object ---- */

/* By what SQLite has in the row rather than by the column: a view's columns have no type. */
static json_t *column_value(sqlite3_stmt *q, int i)
{
    switch (sqlite3_column_type(q, i)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(q, i));
    case SQLITE_FLOAT:
        return json_finite(sqlite3_column_double(q, i));
    case SQLITE_TEXT:
        return json_words((const char *)sqlite3_column_text(q, i));
    default:
        return json_null();
    }
}

/* The rows of a query with one parameter, the id, as objects. Straight from the statement, as the
 * columns are not known here. */
static json_t *rows_of(store *s, const char *sql, const char *id, err *e)
{
    query q = QUERY(s, e, sql, id);
    json_t *rows = json_array();
    while (query_next(&q)) {
        json_t *row = json_object();
        for (int i = 0; i < sqlite3_column_count(q.statement); i++) {
            json_object_set_new(row, sqlite3_column_name(q.statement, i),
                                column_value(q.statement, i));
        }
        json_array_append_new(rows, row);
    }
    if (query_close(&q)) return rows;
    json_decref(rows);
    return NULL;
}

/* A text column that holds JSON becomes what it says. Kept as text in the database; here it would
 * be a text with quotes in it. */
static void parse_column(json_t *row, const char *key)
{
    const char *text = json_get_text(row, key);
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (value) json_object_set_new(row, key, value);
}

/* One question for each list: joined, their rows would multiply. What is not there is an empty
 * list, so that a reader need not ask whether a key is. */
static const struct {
    const char *key, *sql;
} PARTS[] = {
    {"plans", "SELECT experiment, label, baseline FROM plan WHERE run = ? ORDER BY experiment"},
    /* Of the view, whose figures are computed in one place; `changed` is a mean over layers. */
    {"evaluations", "SELECT evaluation, step, split, final, nats, tokens, bytes, words, "
                    "bits_per_byte, perplexity, word_perplexity, tokens_per_second, protocol, "
                    "(SELECT avg(value) FROM evaluation_metric m WHERE m.evaluation = "
                    "s.evaluation AND m.name = 'changed') AS routing_changed "
                    "FROM score s WHERE run = ? ORDER BY step, split, evaluation"},
    /* Of final evaluations: on the way probes are asked as well, and would make a list of a
     * hundred rows. */
    {"recall", "SELECT v.step, v.split, r.distance, r.answers, r.correct, r.nats FROM recall r "
               "JOIN evaluation v USING (evaluation) WHERE v.run = ? AND v.final "
               "ORDER BY v.step, v.split, r.distance"},
    {"diagnostics",
     "SELECT v.step, v.split, m.layer, m.name, m.value "
     "FROM evaluation_metric m JOIN evaluation v USING (evaluation) "
     "WHERE v.run = ? AND v.final AND m.name LIKE 'without%' ORDER BY v.step, m.layer"},
    /* Its own and its experiments', as notes_view.c shows them. */
    {"notes", "SELECT experiment, at, text FROM note WHERE run = ?1 OR (run = '' AND "
              "experiment IN (SELECT experiment FROM plan WHERE run = ?1)) "
              "ORDER BY at, position"},
    {"tags", "SELECT experiment, tag FROM tag WHERE run = ?1 OR (run = '' AND experiment IN "
             "(SELECT experiment FROM plan WHERE run = ?1)) ORDER BY tag, experiment"},
    {"samples", "SELECT step, split, sample FROM evaluation WHERE run = ? AND final AND sample "
                "IS NOT NULL ORDER BY step"},
    {"libraries", "SELECT name, version FROM library WHERE run = ? ORDER BY name"},
    {"artefacts",
     "SELECT path, kind, step, bytes, sha256 FROM artefact WHERE run = ? ORDER BY path"},
};

/* The run's own columns first; lists that belong to it follow, each from its own table. */
json_t *run_view_json(store *s, const char *id, err *e)
{
    /* Of two columns of a name the object keeps the last: the speed over all of the training takes
     * the place of that of the last steps. */
    json_auto_t *found = rows_of(
        s, "SELECT *, " STORE_RUN_SPEED " AS tokens_per_second FROM run r WHERE run = ?", id, e);
    if (!found) return NULL;
    /* `found` ends with this block; its first row stays. */
    json_t *run = json_incref(json_array_get(found, 0));
    /* A run that was planned and never begun is an answer, not an error. */
    if (!run) {
        run = json_object();
        json_object_set_new(run, "run", json_string(id));
        json_object_set_new(run, "status", json_string("planned"));
    }
    parse_column(run, "spec");
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        json_t *rows = rows_of(s, PARTS[i].sql, id, e), *row;
        size_t k;
        if (!rows) return json_decref(run), NULL;
        json_array_foreach(rows, k, row)
        {
            parse_column(row, "protocol");
            parse_column(row, "sample");
        }
        json_object_set_new(run, PARTS[i].key, rows);
    }
    return run;
}

/* ---- for people ---- */

static const char *text_or(const json_t *o, const char *key, const char *otherwise)
{
    const char *text = json_get_text(o, key);
    return text ? text : otherwise;
}

static void print_field(FILE *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Names in one column of 20, so that values stand below each other. */
static void print_field(FILE *out, const char *name, const char *format, ...)
{
    va_list args;
    fprintf(out, "  %-20s ", name);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
}

/* A figure by its key, if it is known. What is unknown is left out: a line with "-" for each figure
 * that does not apply would hide those that do. */
static void figure(FILE *out, const char *name, const json_t *o, const char *key, const char *unit)
{
    double x = json_get_double(o, key);
    char text[16];
    table_si(text, x);
    if (isfinite(x)) print_field(out, name, "%s%s", text, unit);
}

/* `kind` is shown only where it says more than the status. */
static void show_end(FILE *out, const json_t *run)
{
    const char *kind = text_or(run, "kind", ""), *reason = text_or(run, "reason", "");
    const char *status = text_or(run, "status", "planned");
    bool more = *kind && strcmp(kind, status) != 0;
    print_field(out, "status", "%s%s%s%s%s%s", status, more ? " (" : "", more ? kind : "",
                more ? ")" : "", *reason ? ": " : "", reason);
    if (json_get_text(run, "started_at")) {
        print_field(out, "time", "%s to %s", text_or(run, "started_at", "?"),
                    text_or(run, "ended_at", "now"));
    }
    print_field(out, "step", "%lld of %lld", (long long)json_get_int(run, "step", 0),
                (long long)json_get_int(run, "steps", 0));
    figure(out, "trained tokens", run, "tokens", "");
    figure(out, "training", run, "train_seconds", " s");
    figure(out, "speed", run, "tokens_per_second", " tokens/s");
    const char *log = json_get_text(run, "log");
    if (!log || !*log) return;
    /* Each line is marked: a log may hold anything, also what looks like a field. */
    fputs("\nend of its log\n", out);
    while (*log) {
        size_t n = strcspn(log, "\n");
        fprintf(out, "  | %.*s\n", (int)n, log);
        log += n + (log[n] == '\n');
    }
}

/* Where figures begin, behind their names. */
enum { SHOWN_NAME = 23 };

/* The protocol of the final evaluation, else of the first. */
static const json_t *first_protocol(const json_t *list)
{
    size_t i;
    const json_t *x, *first = json_array_get(list, 0);
    json_array_foreach(list, i, x)
    {
        if (json_get_int(x, "final", 0)) first = x;
    }
    return json_object_get(first, "protocol");
}

/* In all units that it has; a lossy tokenizer's has no bits per byte. */
static void show_figures(FILE *out, const json_t *x)
{
    char text[16], number[32];
    double bits = json_get_double(x, "bits_per_byte"), ppl = json_get_double(x, "perplexity");
    double words = json_get_double(x, "word_perplexity");
    double nats = json_get_double(x, "nats") / json_get_double(x, "tokens");
    table_number(number, bits, 4, false);
    if (isfinite(bits)) fprintf(out, "%s bits per byte, ", number);
    table_perplexity(text, words);
    if (isfinite(words)) fprintf(out, "word perplexity %s, ", text);
    table_number(number, nats, 4, false);
    if (isfinite(ppl)) {
        fprintf(out, "perplexity %.3f", ppl);
    } else if (isfinite(nats)) { /* a run that went wrong: too much for a perplexity */
        fprintf(out, "%s nats per token", number);
    } else {
        fputs("the loss is not a finite number", out);
    }
    double changed = json_get_double(x, "routing_changed");
    if (isfinite(changed)) fprintf(out, ", routing changed for %.1f %% of tokens", 100 * changed);
    fputs(json_get_int(x, "final", 0) ? " (final)" : "", out);
}

/* Evaluations on the way stand with the final one, which is marked; of others it is said in what
 * they were done otherwise, or two figures would look like two results of one thing. */
static void show_evaluations(FILE *out, const json_t *run)
{
    size_t i;
    const json_t *x;
    const json_t *list = json_object_get(run, "evaluations"), *first = first_protocol(list);
    const int columns = terminal_columns(out, TERMINAL_UNBROKEN);
    if (json_array_size(list) > 0) fputs("\nevaluations\n", out);
    json_array_foreach(list, i, x)
    {
        text_memory figures, how;
        show_figures(text_begin(&figures), x);
        protocol_print_difference(text_begin(&how), json_object_get(x, "protocol"), first);
        text_auto *done = text_end(&how);
        if (*done) fprintf(figures.out, "; %s", done);
        text_auto *text = text_end(&figures);
        char name[64];
        snprintf(name, sizeof name, "%s, step %lld", text_or(x, "split", "?"),
                 (long long)json_get_int(x, "step", 0));
        int n = fprintf(out, "  %-20s ", name);
        terminal_wrap(out, text, n, SHOWN_NAME, columns);
        fputc('\n', out);
    }
}

/* Sums over answers become means here; the database keeps counts. */
static void show_recall(FILE *out, const json_t *run)
{
    size_t i;
    const json_t *x, *list = json_object_get(run, "recall");
    if (json_array_size(list) > 0) fputs("\naccuracy by distance\n", out);
    json_array_foreach(list, i, x)
    {
        double answers = (double)json_get_int(x, "answers", 0);
        fprintf(out, "  %-20lld %.3f of %.0f answers, %.3f nats each\n",
                (long long)json_get_int(x, "distance", 0),
                (double)json_get_int(x, "correct", 0) / answers, answers,
                json_get_double(x, "nats") / answers);
    }
}

/* What memories are worth: the rise of the loss where each block begins without its layer's state.
 * Layer "" is the whole model, without keys and values. */
static void show_diagnostics(FILE *out, const json_t *run)
{
    size_t i;
    const json_t *x, *list = json_object_get(run, "diagnostics");
    if (json_array_size(list) > 0) {
        fputs("\nloss if every block begins without, nats per token\n", out);
    }
    json_array_foreach(list, i, x)
    {
        bool state = strcmp(text_or(x, "name", ""), "without_state") == 0;
        fprintf(out, "  %-40s %+.4f\n", state ? text_or(x, "layer", "?") : "all keys and values",
                json_get_double(x, "value"));
    }
}

/* Sizes and FLOPs are of the model, memory is of the process. */
static void show_cost(FILE *out, const json_t *run)
{
    fputs("\ncost\n", out);
    figure(out, "parameters", run, "params", "");
    figure(out, "active parameters", run, "active_params", "");
    figure(out, "forward", run, "forward_flops_per_token", " FLOPs/token");
    figure(out, "training", run, "train_flops_per_token", " FLOPs/token");
    figure(out, "state", run, "state_bytes", " bytes");
    figure(out, "peak memory", run, "peak_anon_bytes", " bytes");
}

/* What one needs to trust or repeat the figures; "with changes" if the revision is not what was
 * compiled. */
static void show_provenance(FILE *out, const json_t *run)
{
    static const char *const keys[] = {"command",  "git_revision", "host",  "cpu",
                                       "compiler", "blas",         "flags", "corpus_hash"};
    fputs("\nprovenance\n", out);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = json_get_text(run, keys[i]);
        bool dirty = strcmp(keys[i], "git_revision") == 0 && json_get_int(run, "git_dirty", 0);
        if (text && *text) print_field(out, keys[i], "%s%s", text, dirty ? " with changes" : "");
    }
}

/* The spec, a line per value: as --set takes it. A path as keys and indices, the value as JSON:
 * each line can be copied behind --set, without `.layers[N]` where the file has a block's layers as
 * keys. Empty lists and maps are values of their own. The path grows by one part at each level. */
static void show_values(FILE *out, const char *path, const json_t *x)
{
    char inner[1024];
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(x) && json_object_size(x) > 0) {
        json_object_foreach((json_t *)(uintptr_t)x, key, value)
        {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
            show_values(out, inner, value);
        }
    } else if (json_is_array(x) && json_array_size(x) > 0) {
        json_array_foreach(x, i, value)
        {
            snprintf(inner, sizeof inner, "%s[%zu]", path, i);
            show_values(out, inner, value);
        }
    } else {
        text_auto *text = json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        fprintf(out, "  %s = %s\n", path, text ? text : "null");
    }
}

/* Beginning with what it is and how it ended, which is mostly why somebody asks; the spec and where
 * it was made are last, being long. */
bool run_view_show(FILE *out, store *s, const char *id, err *e)
{
    json_auto_t *run = run_view_json(s, id, e);
    if (!run) return false;
    size_t i;
    const json_t *plan;
    fprintf(out, "run %s\n", id);
    json_array_foreach(json_object_get(run, "plans"), i, plan)
    {
        print_field(out, i ? "" : "planned as", "%s/%s%s", text_or(plan, "experiment", "?"),
                    text_or(plan, "label", "?"),
                    json_get_int(plan, "baseline", 0) ? " (baseline)" : "");
    }
    print_field(out, "variant", "%s", text_or(run, "variant", "?"));
    print_field(out, "seed", "%lld", (long long)json_get_int(run, "seed", 0));
    show_end(out, run);
    if (!notes_view_print(out, s, "", id, e)) return false;
    show_evaluations(out, run);
    show_recall(out, run);
    show_diagnostics(out, run);
    const json_t *written = json_array_get(json_object_get(run, "samples"), 0);
    sample_view_print(out, json_object_get(written, "sample"));
    show_cost(out, run);
    fputs("\nspec\n", out);
    show_values(out, "", json_object_get(run, "spec"));
    show_provenance(out, run);
    return true;
}

/* ---- a list ---- */

/* The owners of what is said of a planned run p: itself and its experiment. */
#define OWNED "(n.experiment, n.run) IN (VALUES ('', p.run), (p.experiment, ''))"

/* Each filter is a parameter that may be NULL, so that one question serves all of them. */
bool run_view_list(table *t, store *s, const char *experiment, const char *status,
                   const char *search, err *e)
{
    /* Kept is how a run ended and what it reached; its identity stands first. */
    static const table_field fields[] = {
        {"run", "run", "", FORM_TEXT, 0, TABLE_WHOLE}, /* to be copied */
        {"experiment", "experiment", "", FORM_TEXT, 0, TABLE_WHOLE},
        {"label", "variant", "", FORM_TEXT, 0, TABLE_KEPT | TABLE_WHOLE},
        {"seed", "seed", "", FORM_INT, 0, 0},
        {"status", "status", "", FORM_TEXT, 0, TABLE_KEPT},
        {"step", "step", "", FORM_INT, 0, TABLE_SPARE},
        {"tokens", "tokens", "", FORM_SCALED, 0, TABLE_SPARE},
        {"bits_per_byte", "bits/byte", "", FORM_REAL, 4, TABLE_KEPT},
        {"word_perplexity", "word ppl", "", FORM_SCALED, 0, TABLE_SPARE},
        {"perplexity", "perplexity", "", FORM_REAL, 2, TABLE_SPARE},
        {"params", "params", "", FORM_SCALED, 0, TABLE_SPARE},
        {"ended_at", "ended", "UTC", FORM_TEXT, 0, TABLE_SPARE},
        {"kind", "why", "", FORM_TEXT, 0, 0},
        {"tags", "tags", "", FORM_TEXT, 0, TABLE_SPARE},
        {"note", "note", "", FORM_TEXT, 0, TABLE_SPARE}};
    /* A misspelt name would be an empty list. */
    if (experiment && !experiment_check(s, experiment, e)) return false;
    query q = QUERY(
        s, e,
        /* One row for each place in a plan: a run that two experiments plan is listed under both.
         * NULLS LAST: planned runs have no time yet. The search is a substring in either case, of
         * ASCII letters. */
        "SELECT p.run, p.experiment, p.label, p.seed, coalesce(r.status, 'planned') "
        "AS status, r.step, r.tokens, v.bits_per_byte, "
        "v.word_perplexity, v.perplexity, r.params, r.ended_at, nullif(r.kind, '') AS kind, "
        "(SELECT group_concat(tag, ' ') FROM (SELECT DISTINCT tag FROM tag n WHERE " OWNED
        " ORDER BY tag)) AS tags, "
        /* The last note, as a list has room for one. */
        "(SELECT text FROM note n WHERE " OWNED " ORDER BY at DESC, position DESC LIMIT 1) AS note "
        "FROM plan p LEFT JOIN run r USING (run) LEFT JOIN result v ON v.experiment = "
        "p.experiment AND v.position = p.position LEFT JOIN experiment x ON x.experiment = "
        "p.experiment "
        "WHERE (?1 IS NULL OR p.experiment = ?1) AND "
        "(?2 IS NULL OR coalesce(r.status, 'planned') = ?2) "
        "AND (?3 IS NULL OR instr(lower(p.experiment || char(10) || p.label || char(10) || "
        "p.run || char(10) || coalesce(x.description, '')), lower(?3)) "
        "OR EXISTS (SELECT 1 FROM note n WHERE " OWNED " AND instr(lower(text), lower(?3))) "
        "OR EXISTS (SELECT 1 FROM tag n WHERE " OWNED " AND instr(lower(tag), lower(?3)))) "
        "ORDER BY r.created_at DESC NULLS LAST, p.experiment, p.position",
        experiment, status, search);
    return table_query(t, &q, fields, sizeof fields / sizeof *fields);
}
