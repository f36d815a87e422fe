/* metrics.jsonl and evals.jsonl: a line becomes rows. */
#include "results/store/collect_lines.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

bool collect_lines_each(collector *c, const char *id, const char *path, collect_line put, err *e)
{
    size_t bytes;
    char *text = file_read_arena(c->scratch, path, &bytes, e);
    if (!text) return false;
    bool ok = true;
    int number = 0;
    for (char *end; ok && (end = memchr(text, '\n', bytes)) != NULL; text = end + 1) {
        number++;
        size_t length = (size_t)(end - text);
        json_error_t where;
        json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
        ok = line ? put(c, id, line, e) : err_set(e, "is not JSON: %s", where.text);
        if (!ok) err_prefix(e, "%s:%d", path, number);
        json_decref(line);
        bytes -= length + 1;
    }
    return ok;
}

static bool put_metric(collector *c, const char *layer, const char *name, const json_t *value,
                       err *e)
{
    collect_rows_bind_text(c->metric, 3, layer);
    collect_rows_bind_text(c->metric, 4, name);
    collect_rows_bind_real(c->metric, 5, value);
    return collect_rows_put(c, c->metric, e);
}

static bool is_value(const json_t *value)
{
    return json_is_number(value) || json_is_null(value);
}

static bool put_step(collector *c, const char *id, const json_t *line, err *e)
{
    const json_t *step = json_object_get(line, "step");
    if (!json_is_integer(step)) return err_set(e, "has no step; it is no line of this program's");
    collect_rows_bind_text(c->step, 1, id);
    collect_rows_bind_int(c->step, 2, step);
    collect_rows_bind_int(c->step, 3, json_object_get(line, "tokens"));
    collect_rows_bind_real(c->step, 4, json_object_get(line, "seconds"));
    if (!collect_rows_put(c, c->step, e)) return false;
    collect_rows_bind_text(c->metric, 1, id);
    collect_rows_bind_int(c->metric, 2, step);
    const char *name, *layer;
    json_t *value, *metrics;
    json_object_foreach((json_t *)(uintptr_t)line, name, value)
    {
        bool position = strcmp(name, "step") == 0 || strcmp(name, "tokens") == 0 ||
                        strcmp(name, "seconds") == 0;
        if (!position && is_value(value) && !put_metric(c, "", name, value, e)) return false;
    }
    json_object_foreach(json_object_get(line, "layers"), layer, metrics)
    {
        json_object_foreach(metrics, name, value)
        {
            if (is_value(value) && !put_metric(c, layer, name, value, e)) return false;
        }
    }
    return true;
}

static bool put_document(collector *c, const char *evaluation, const json_t *d, err *e)
{
    const char *name = json_get_text(d, "name");
    collect_rows_bind_text(c->document, 1, evaluation);
    sqlite3_bind_int64(c->document, 2, json_get_int(d, "index", 0));
    collect_rows_bind_text(c->document, 3, name ? name : "");
    collect_rows_bind_real(c->document, 4, json_object_get(d, "nats"));
    sqlite3_bind_int64(c->document, 5, json_get_int(d, "tokens", 0));
    collect_rows_bind_int(c->document, 6, json_object_get(d, "bytes"));
    collect_rows_bind_int(c->document, 7, json_object_get(d, "words"));
    return collect_rows_put(c, c->document, e);
}

/* What layers told at an evaluation. */
static bool put_layers(collector *c, const char *evaluation, const json_t *layers, err *e)
{
    const char *layer, *name;
    json_t *figures, *value;
    collect_rows_bind_text(c->evaluation_metric, 1, evaluation);
    json_object_foreach((json_t *)(uintptr_t)layers, layer, figures)
    {
        collect_rows_bind_text(c->evaluation_metric, 2, layer);
        json_object_foreach(figures, name, value)
        {
            if (!is_value(value)) continue;
            collect_rows_bind_text(c->evaluation_metric, 3, name);
            collect_rows_bind_real(c->evaluation_metric, 4, value);
            if (!collect_rows_put(c, c->evaluation_metric, e)) return false;
        }
    }
    return true;
}

/* A bucket begins where it says and ends below twice that; 0 and 1 stand alone. */
static bool put_bucket(collector *c, const json_t *bucket, err *e)
{
    int64_t low = json_get_int(bucket, "from", -1);
    const json_t *tokens = json_object_get(bucket, "tokens"), *n;
    const json_t *nats = json_object_get(bucket, "nats");
    if (low < 0 || low > (int64_t)1 << 60) return err_set(e, "a slice begins nowhere");
    sqlite3_bind_int64(c->slice, 3, low);
    sqlite3_bind_int64(c->slice, 4, MAX(2 * low - 1, low));
    size_t i;
    json_array_foreach(tokens, i, n)
    {
        if (json_integer_value(n) <= 0) continue;
        sqlite3_bind_int64(c->slice, 5, (int64_t)i);
        collect_rows_bind_int(c->slice, 6, n);
        collect_rows_bind_real(c->slice, 7, json_array_get(nats, i));
        if (!collect_rows_put(c, c->slice, e)) return false;
    }
    return true;
}

static bool put_slices(collector *c, const char *evaluation, const json_t *slices, err *e)
{
    static const char *const kinds[] = {"position", "frequency", "repetition"};
    collect_rows_bind_text(c->slice, 1, evaluation);
    for (int k = 0; k < 3; k++) {
        size_t i;
        json_t *bucket;
        collect_rows_bind_text(c->slice, 2, kinds[k]);
        json_array_foreach(json_object_get(slices, kinds[k]), i, bucket)
        {
            if (!put_bucket(c, bucket, e)) return false;
        }
    }
    return true;
}

static bool put_recall(collector *c, const char *evaluation, const json_t *list, err *e)
{
    size_t i;
    json_t *score;
    json_array_foreach(list, i, score)
    {
        collect_rows_bind_text(c->recall, 1, evaluation);
        sqlite3_bind_int64(c->recall, 2, json_get_int(score, "distance", 0));
        sqlite3_bind_int64(c->recall, 3, json_get_int(score, "answers", 0));
        sqlite3_bind_int64(c->recall, 4, json_get_int(score, "correct", 0));
        collect_rows_bind_real(c->recall, 5, json_object_get(score, "nats"));
        if (!collect_rows_put(c, c->recall, e)) return false;
    }
    return true;
}

/* The file of losses per token that an evaluation left; gone is fine. */
static bool put_losses(collector *c, const char *id, const char *name, const json_t *step, err *e)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES], hex[SHA256_HEX];
    int64_t bytes;
    snprintf(inner, sizeof inner, "runs/%s/%s", id, name);
    if (!file_join(path, c->out, inner, e)) return false;
    if (strchr(name, '/') || !file_exists(path)) return true;
    return file_stat(path, &bytes, NULL, e) && file_sha256(hex, path, e) &&
           collect_rows_artefact(c, id, name, "losses", step, bytes, hex, e);
}

static bool demote_finals(collector *c, const char *id, err *e)
{
    char *sql = sqlite3_mprintf("UPDATE evaluation SET final = 0 WHERE run = %Q AND final", id);
    CHECK(sql, "no memory for a statement");
    bool ok = store_exec(c->db, sql, e);
    sqlite3_free(sql);
    return ok;
}

static bool put_evaluation(collector *c, const char *id, const json_t *line, err *e)
{
    const char *evaluation = json_get_text(line, "eval"), *split = json_get_text(line, "split");
    const char *losses = json_get_text(line, "losses");
    const json_t *step = json_object_get(line, "step");
    if (!evaluation || !split || !json_is_integer(step)) {
        return err_set(e, "has no eval, split or step; it is no line of this program's");
    }
    /* The last line that says `final` is the run's final evaluation. */
    bool final = json_is_true(json_object_get(line, "final"));
    if (final && !demote_finals(c, id, e)) return false;
    char *protocol = json_dumps(json_object_get(line, "protocol"), JSON_COMPACT);
    sqlite3_stmt *q = c->evaluation;
    collect_rows_bind_text(q, 1, evaluation);
    collect_rows_bind_text(q, 2, id);
    collect_rows_bind_int(q, 3, step);
    collect_rows_bind_int(q, 4, json_object_get(line, "tokens_seen"));
    collect_rows_bind_text(q, 5, split);
    sqlite3_bind_int(q, 6, final);
    collect_rows_bind_real(q, 7, json_object_get(line, "nats"));
    sqlite3_bind_int64(q, 8, json_get_int(line, "tokens", 0));
    collect_rows_bind_int(q, 9, json_object_get(line, "bytes"));
    collect_rows_bind_int(q, 10, json_object_get(line, "words"));
    collect_rows_bind_real(q, 11, json_object_get(line, "seconds"));
    collect_rows_bind_real(q, 12, json_object_get(line, "tokens_per_second"));
    collect_rows_bind_text(q, 13, protocol ? protocol : "{}");
    collect_rows_bind_text(q, 14, losses);
    collect_rows_bind_real(q, 15, json_object_get(line, "flops_per_token"));
    collect_rows_bind_int(q, 16, json_object_get(line, "anon_bytes"));
    const json_t *dynamic = json_object_get(line, "dynamic");
    collect_rows_bind_real(q, 17, json_object_get(dynamic, "rate"));
    collect_rows_bind_real(q, 18, json_object_get(dynamic, "decay"));
    free(protocol);
    if (!collect_rows_put(c, q, e) || (losses && !put_losses(c, id, losses, step, e))) return false;
    size_t i;
    json_t *document;
    json_array_foreach(json_object_get(line, "documents"), i, document)
    {
        if (!put_document(c, evaluation, document, e)) return false;
    }
    return put_layers(c, evaluation, json_object_get(line, "layers"), e) &&
           put_slices(c, evaluation, json_object_get(line, "slices"), e) &&
           put_recall(c, evaluation, json_object_get(line, "recall"), e);
}

/* Replaces the rows that a file of lines stands for, if it changed. tables: NULL-terminated. */
static bool collect_lines(collector *c, const char *id, const char *folder, const char *name,
                          const char *const *tables, collect_line put, bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES];
    bool changed;
    snprintf(path, sizeof path, "runs/%s/%s", id, name);
    if (!collect_rows_changed(c, path, "", &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    for (int i = 0; tables[i]; i++) {
        if (!collect_rows_delete(c, tables[i], id, "1", e)) return false;
    }
    if (!file_join(path, folder, name, e)) return false;
    return !file_exists(path) || collect_lines_each(c, id, path, put, e);
}

bool collect_lines_metrics(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    static const char *const tables[] = {"step", "metric", NULL};
    return collect_lines(c, id, folder, "metrics.jsonl", tables, put_step, fresh, e);
}

bool collect_lines_evals(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    static const char *const tables[] = {"evaluation", NULL}; /* what refers to it goes with it */
    return collect_lines(c, id, folder, "evals.jsonl", tables, put_evaluation, fresh, e);
}
