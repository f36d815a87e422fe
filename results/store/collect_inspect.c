/* inspect/<part>.jsonl: a line becomes a row of the table of its kind. */
#include "results/store/collect_inspect.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/store/collect_lines.h"

typedef enum value_type { INT, REAL, TEXT, TREE } value_type;

enum { MAX_COLUMNS = 14 };

/* A kind of line: known by a key that no other has. Columns are named like the line's keys; `run`
 * (and `part`) come first. */
typedef struct line_kind {
    const char *key, *table;
    bool part;
    const struct {
        const char *column, *key;
        value_type type;
    } columns[MAX_COLUMNS];
} line_kind;

static const line_kind KINDS[] = {
    {"inspect",
     "inspection",
     true,
     {{"step", "step", INT},
      {"at", "at", TEXT},
      {"split", "split", TEXT},
      {"tokens", "tokens", INT},
      {"protocol", NULL, TREE}}},
    {"figure",
     "inspect_figure",
     true,
     {{"layer", "layer", TEXT},
      {"depth", "depth", INT},
      {"figure", "figure", TEXT},
      {"bin", "bin", INT},
      {"value", "value", REAL}}},
    {"examples",
     "inspect_key",
     false,
     {{"layer", "layer", TEXT},
      {"memory", "memory", INT},
      {"triggers", "triggers", INT},
      {"shared_last_token", "shared_last_token", REAL},
      {"shared_last_2_tokens", "shared_last_2_tokens", REAL},
      {"shared_last_3_tokens", "shared_last_3_tokens", REAL},
      {"shared_last_word", "shared_last_word", REAL},
      {"topics", "topics", TREE}}},
    {"top",
     "inspect_value",
     false,
     {{"layer", "layer", TEXT},
      {"memory", "memory", INT},
      {"top", "top", TREE},
      {"top_token", "top_token", TEXT},
      {"top_probability", "top_probability", REAL},
      {"triggers", "triggers", INT},
      {"match", "match", INT},
      {"matches", "matches", INT},
      {"rank", "rank", INT}}},
    {"perturbed",
     "inspect_removal",
     false,
     {{"layer", "layer", TEXT},
      {"memory", "perturbed", INT},
      {"triggers", "triggers", INT},
      {"silent", "silent", INT},
      {"without_first", "without_first", REAL},
      {"without_last", "without_last", REAL},
      {"without_random", "without_random", REAL}}},
    {"expert",
     "inspect_expert",
     false,
     {{"layer", "layer", TEXT},
      {"expert", "expert", INT},
      {"served", "served", INT},
      {"tokens", "tokens", TREE}}},
    {"changed",
     "inspect_change",
     false,
     {{"layer", "layer", TEXT},
      {"document", "changed", INT},
      {"direction", "direction", TEXT},
      {"place", "place", INT},
      {"token", "token", TEXT},
      {"rise", "rise", REAL},
      {"next", "next", INT},
      {"gain", "gain", REAL}}},
    {"moment",
     "inspect_moment",
     false,
     {{"layer", "layer", TEXT},
      {"direction", "direction", TEXT},
      {"place", "moment", INT},
      {"document", "document", INT},
      {"position", "position", INT},
      {"gain", "gain", REAL},
      {"before", "before", REAL},
      {"after", "after", REAL},
      {"next", "next", TEXT},
      {"rises", "rises", TREE},
      {"text", "text", TEXT}}},
    {"exchange",
     "inspect_place",
     false,
     {{"layer", "layer", TEXT},
      {"exchange", "exchange", TEXT},
      {"place", "place", INT},
      {"share", "share", REAL},
      {"tokens", "tokens", TREE}}},
    {"uses",
     "inspect_use",
     false,
     {{"layer", "layer", TEXT},
      {"exchange", "uses", TEXT},
      {"place", "place", INT},
      {"token", "token", TEXT},
      {"count", "count", INT},
      {"mean", "mean", REAL}}},
    {"spots",
     "inspect_spot",
     false,
     {{"layer", "layer", TEXT},
      {"exchange", "spots", TEXT},
      {"place", "place", INT},
      {"document", "document", INT},
      {"position", "position", INT},
      {"value", "value", REAL},
      {"next", "next", TEXT},
      {"text", "text", TEXT}}},
    {"position",
     "inspect_prefix",
     true,
     {{"layer", "layer", TEXT},
      {"document", "document", INT},
      {"position", "position", INT},
      {"active", "active", INT},
      {"match_all", "match_all", INT},
      {"match_active", "match_active", INT},
      {"match_stream", "match_stream", INT},
      {"residual", "residual", TEXT},
      {"output", "output", TEXT},
      {"stream", "stream", TEXT},
      {"final", "final", TEXT},
      {"final_probability", "final_probability", REAL},
      {"\"case\"", "case", TEXT}}},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static void bind_value(sqlite3_stmt *q, int at, value_type type, const json_t *value)
{
    if (type == INT) collect_rows_bind_int(q, at, value);
    if (type == REAL) collect_rows_bind_real(q, at, value);
    if (type == TEXT) collect_rows_bind_text(q, at, json_string_value(value));
    if (type == TREE) {
        char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
        collect_rows_bind_text(q, at, text);
        free(text);
    }
}

/* Statements are few and prepared by SQLite in microseconds, but lines are many: they are kept in
 * the connection's own list between lines, by their text. */
static sqlite3_stmt *statement(collector *c, const char *sql, err *e)
{
    for (sqlite3_stmt *q = sqlite3_next_stmt(store_db(c->db), NULL); q;
         q = sqlite3_next_stmt(store_db(c->db), q)) {
        if (strcmp(sqlite3_sql(q), sql) == 0) return q;
    }
    return store_prepare(c->db, sql, e);
}

static sqlite3_stmt *statement_of(collector *c, const line_kind *k, err *e)
{
    char columns[512] = "run", places[128] = "?", sql[1024];
    size_t n = 3, m = 1;
    if (k->part) {
        n += (size_t)snprintf(columns + n, sizeof columns - n, ", part");
        m += (size_t)snprintf(places + m, sizeof places - m, ", ?");
    }
    for (int i = 0; i < MAX_COLUMNS && k->columns[i].column; i++) {
        n += (size_t)snprintf(columns + n, sizeof columns - n, ", %s", k->columns[i].column);
        m += (size_t)snprintf(places + m, sizeof places - m, ", ?");
    }
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s (%s) VALUES (%s)", k->table, columns,
             places);
    return statement(c, sql, e);
}

static bool put_kind(collector *c, const char *id, const line_kind *k, const json_t *line, err *e)
{
    sqlite3_stmt *q = statement_of(c, k, e);
    if (!q) return false;
    int at = 1;
    collect_rows_bind_text(q, at++, id);
    if (k->part) collect_rows_bind_text(q, at++, c->part);
    for (int i = 0; i < MAX_COLUMNS && k->columns[i].column; i++) {
        const char *key = k->columns[i].key;
        bind_value(q, at++, k->columns[i].type, key ? json_object_get(line, key) : line);
    }
    return collect_rows_put(c, q, e);
}

static bool put_triggers(collector *c, const char *id, const json_t *line, err *e)
{
    sqlite3_stmt *q = statement(c,
                                "INSERT OR REPLACE INTO inspect_trigger (run, layer, memory, "
                                "place, coefficient, document, position, next, text) VALUES (?, "
                                "?, ?, ?, ?, ?, ?, ?, ?)",
                                e);
    if (!q) return false;
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(line, "examples"), i, x)
    {
        collect_rows_bind_text(q, 1, id);
        collect_rows_bind_text(q, 2, json_get_text(line, "layer"));
        collect_rows_bind_int(q, 3, json_object_get(line, "memory"));
        sqlite3_bind_int(q, 4, (int)i);
        collect_rows_bind_real(q, 5, json_object_get(x, "coefficient"));
        collect_rows_bind_int(q, 6, json_object_get(x, "document"));
        collect_rows_bind_int(q, 7, json_object_get(x, "position"));
        collect_rows_bind_text(q, 8, json_get_text(x, "next"));
        collect_rows_bind_text(q, 9, json_get_text(x, "text"));
        if (!collect_rows_put(c, q, e)) return false;
    }
    return true;
}

static bool put_line(collector *c, const char *id, const json_t *line, err *e)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (!json_object_get(line, KINDS[i].key)) continue;
        if (!put_kind(c, id, &KINDS[i], line, e)) return false;
        return strcmp(KINDS[i].key, "examples") != 0 || put_triggers(c, id, line, e);
    }
    return err_set(e, "is no line of this program's");
}

/* Tables that only one part has lines for, beside those that all have. */
static const char *const OF_ALL[] = {"inspection", "inspect_figure", "inspect_prefix"};
static const struct {
    const char *part, *table;
} OF_PART[] = {{"keys", "inspect_key"},       {"keys", "inspect_trigger"},
               {"keys", "inspect_removal"},   {"keys", "inspect_expert"},
               {"values", "inspect_value"},   {"changes", "inspect_change"},
               {"changes", "inspect_moment"}, {"states", "inspect_place"},
               {"states", "inspect_use"},     {"states", "inspect_spot"}};

static bool delete_part(collector *c, const char *id, const char *part, err *e)
{
    char where[64];
    snprintf(where, sizeof where, "part = '%s'", part);
    for (size_t i = 0; i < sizeof OF_ALL / sizeof *OF_ALL; i++) {
        if (!collect_rows_delete(c, OF_ALL[i], id, where, e)) return false;
    }
    for (size_t i = 0; i < sizeof OF_PART / sizeof *OF_PART; i++) {
        if (strcmp(part, OF_PART[i].part) != 0) continue;
        if (!collect_rows_delete(c, OF_PART[i].table, id, "1", e)) return false;
    }
    return true;
}

static bool collect_part(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES], name[64];
    bool changed;
    snprintf(path, sizeof path, "runs/%s/inspect/%s.jsonl", id, c->part);
    if (!collect_rows_changed(c, path, "", &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    snprintf(name, sizeof name, "inspect/%s.jsonl", c->part);
    if (!delete_part(c, id, c->part, e) || !file_join(path, folder, name, e)) return false;
    return !file_exists(path) || collect_lines_each(c, id, path, put_line, e);
}

/* The statements of this file are those that write to tables inspect*. */
static void finalize_inspect(collector *c)
{
    sqlite3_stmt *q = sqlite3_next_stmt(store_db(c->db), NULL);
    while (q) {
        sqlite3_stmt *next = sqlite3_next_stmt(store_db(c->db), q);
        if (strncmp(sqlite3_sql(q), "INSERT OR REPLACE INTO inspect", 30) == 0) {
            sqlite3_finalize(q);
        }
        q = next;
    }
}

bool collect_inspect(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    static const char *const parts[] = {"keys",       "values",  "composition",
                                        "refinement", "changes", "states"};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) {
        c->part = parts[i];
        ok = collect_part(c, id, folder, fresh, e);
    }
    finalize_inspect(c);
    return ok;
}
