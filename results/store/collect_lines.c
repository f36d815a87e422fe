/* metrics.jsonl and evals.jsonl: a line becomes rows. */
#include "results/store/collect_lines.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/json_line.h"

/* A file whose stamp changed is read from its beginning and replaces all of its rows. To read on
 * from where the last collection ended would save little (a run logs some thousand lines) and be
 * wrong when a run is resumed: lines behind its checkpoint are cut off then, and others written in
 * their place. */

static bool put_line(collector *c, const char *id, const json_t *line, const char *path, int number,
                     collect_line put, err *e)
{
    if (!put(c, id, line, e)) return err_prefix(e, "%s:%d", path, number);
    if (c->lines) run_damage_count(c->lines, line, &c->own);
    return true;
}

/* Set aside where one may be left out: whether the run counts without it is for who looks at all of
 * its files. */
static bool leave_out(collector *c, const char *path, int number, const char *why, err *e)
{
    if (c->skipped && c->skipped->text[0]) return true;
    err_set(c->skipped ? c->skipped : e, "%s:%d: is damaged: %s", path, number, why);
    return c->skipped != NULL;
}

/* Of a file that was not read ahead. A last line without its end is one that is being written: it
 * is left, without a word, for the next time. Two keys of one name are refused, since one of the
 * values would be dropped. */
static bool read_each(collector *c, const char *id, const char *path, collect_line put, err *e)
{
    size_t bytes;
    char *text = file_read_arena(c->scratch, path, &bytes, e);
    if (!text) return false;
    bool ok = true, objects = true;
    int number = 0;
    for (char *end; ok && (end = memchr(text, '\n', bytes)) != NULL; text = end + 1) {
        number++;
        size_t length = (size_t)(end - text);
        json_error_t where;
        json_auto_t *line = json_line_load(text, length, JSON_REJECT_DUPLICATES, &where);
        ok = line ? put_line(c, id, line, path, number, put, e)
                  : leave_out(c, path, number, where.text, e);
        objects = objects && json_is_object(line);
        bytes -= length + 1;
    }
    if (c->lines) c->lines->whole = ok && objects && bytes == 0;
    return ok;
}

bool collect_lines_each(collector *c, const char *id, const char *folder, const char *name,
                        collect_line put, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, name, e)) return false;
    const run_file *f = run_reading_file(c->reading, name);
    if (!f || !f->said) return read_each(c, id, path, put, e);
    bool ok = true, objects = true;
    size_t i;
    json_t *line;
    json_array_foreach(f->said, i, line)
    {
        ok = ok && put_line(c, id, line, path, (int)i + 1, put, e);
        objects = objects && json_is_object(line);
    }
    if (c->lines) c->lines->whole = ok && objects && !f->cut;
    return ok;
}

/* null is a figure that was not finite; it keeps its row, so that a reader sees the step. */
static bool is_value(const json_t *value)
{
    return json_is_number(value) || json_is_null(value);
}

/* Steps are counted on from and drawn against: beyond what a double holds exactly there are none.
 */
static bool is_step(const json_t *step)
{
    json_int_t at = json_integer_value(step);
    return json_is_integer(step) && at >= 0 && at <= (json_int_t)1 << 53;
}

/* A row for each value of the object: the table's columns `name` and `value`. but: names that are
 * none, NULL-terminated. What is neither number nor null (a list, a text) is no metric; objects of
 * layers are read apart. */
static bool put_values(collector *c, collect_table *t, const json_t *values, const char *const *but,
                       err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, name, value)
    {
        const char *const *other = but;
        while (*other && strcmp(*other, name) != 0) {
            other++;
        }
        if (*other || !is_value(value)) continue;
        collect_rows_text(t, "name", name);
        collect_rows_value(t, "value", value);
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* What layers told, {LAYER: {NAME: value}}; of `layer` the table has a column. Layers bring figures
 * that nobody here knows by name; whatever is a number becomes a row. */
static bool put_layers(collector *c, collect_table *t, const json_t *layers, err *e)
{
    static const char *const none[] = {NULL};
    const char *layer;
    json_t *values;
    json_object_foreach((json_t *)(uintptr_t)layers, layer, values)
    {
        collect_rows_text(t, "layer", layer);
        if (!put_values(c, t, values, none, e)) return false;
    }
    return true;
}

/* The key of `metric` is run, name, layer, step: what is drawn or averaged is one figure over
 * steps, and lies together in that order. */
static bool put_step(collector *c, const char *id, const json_t *line, err *e)
{
    static const char *const position[] = {"step", "tokens", "seconds", NULL};
    const json_t *step = json_object_get(line, "step");
    if (!is_step(step)) return err_set(e, "has no step; it is no line of this program's");
    collect_table *t = collect_rows_table(c, "step", e);
    collect_rows_object(t, line);
    collect_rows_text(t, "run", id);
    if (!collect_rows_put(c, t, e)) return false;
    collect_table *m = collect_rows_table(c, "metric", e);
    collect_rows_text(m, "run", id);
    collect_rows_value(m, "step", step);
    collect_rows_text(m, "layer", ""); /* the trainer's */
    return put_values(c, m, line, position, e) &&
           put_layers(c, m, json_object_get(line, "layers"), e);
}

/* `index` is the document's place in the corpus, `document` here: pairs of runs are matched by
 * it. */
static bool put_documents(collector *c, const char *evaluation, const json_t *list, err *e)
{
    size_t i;
    json_t *document;
    json_array_foreach(list, i, document)
    {
        const char *name = json_get_text(document, "name");
        /* Asked for again for each document, which clears the row: one that has no `bytes` would
         * keep those of the document before. */
        collect_table *t = collect_rows_table(c, "document", e);
        collect_rows_object(t, document);
        collect_rows_text(t, "evaluation", evaluation);
        collect_rows_int(t, "document", json_get_int(document, "index", 0));
        collect_rows_text(t, "name", name ? name : "");
        collect_rows_int(t, "tokens", json_get_int(document, "tokens", 0));
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* A bucket begins where it says and ends below twice that; 0 and 1 stand alone. A row for each part
 * of the text that has tokens in it. */
static bool put_bucket(collector *c, collect_table *t, const json_t *bucket, err *e)
{
    int64_t low = json_get_int(bucket, "from", -1);
    const json_t *tokens = json_object_get(bucket, "tokens"), *n;
    const json_t *nats = json_object_get(bucket, "nats");
    /* Above, twice as much would overflow. */
    if (low < 0 || low > (int64_t)1 << 60) return err_set(e, "a slice begins nowhere");
    collect_rows_int(t, "low", low);
    collect_rows_int(t, "high", MAX(2 * low - 1, low));
    size_t part;
    json_array_foreach(tokens, part, n)
    {
        if (json_integer_value(n) <= 0) continue;
        collect_rows_int(t, "part", (int64_t)part);
        collect_rows_value(t, "tokens", n);
        collect_rows_value(t, "nats", json_array_get(nats, part));
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* Here every column is set for each row, so the table is asked for once. */
static bool put_slices(collector *c, const char *evaluation, const json_t *slices, err *e)
{
    static const char *const kinds[] = {"position", "block", "frequency", "repetition"};
    collect_table *t = collect_rows_table(c, "slice", e);
    collect_rows_text(t, "evaluation", evaluation);
    for (int k = 0; k < 4; k++) {
        size_t i;
        json_t *bucket;
        collect_rows_text(t, "kind", kinds[k]);
        json_array_foreach(json_object_get(slices, kinds[k]), i, bucket)
        {
            if (!put_bucket(c, t, bucket, e)) return false;
        }
    }
    return true;
}

/* Counts and no shares: shares over several distances are formed of the sums. */
static bool put_recall(collector *c, const char *evaluation, const json_t *list, err *e)
{
    static const char *const counts[] = {"distance", "answers", "correct"};
    size_t i;
    json_t *score;
    json_array_foreach(list, i, score)
    {
        collect_table *t = collect_rows_table(c, "recall", e);
        collect_rows_text(t, "evaluation", evaluation);
        for (int k = 0; k < 3; k++) {
            collect_rows_int(t, counts[k], json_get_int(score, counts[k], 0));
        }
        collect_rows_value(t, "nats", json_object_get(score, "nats"));
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* The file of losses per token that an evaluation left; gone is fine. One that cannot be read is
 * told, and tried again the next time: the evaluation's figures stand in its line. */
static bool put_losses(collector *c, const char *id, const char *name, const json_t *step, err *e)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES], hex[SHA256_HEX];
    int64_t bytes;
    const json_t *ahead = json_object_get(c->reading->losses, name);
    if (ahead) {
        return collect_rows_artefact(c, id, name, "losses", step, json_get_int(ahead, "bytes", 0),
                                     json_get_text(ahead, "sha256"), e);
    }
    snprintf(inner, sizeof inner, "runs/%s/%s", id, name);
    if (!file_join(path, c->out, inner, e)) return false;
    /* The name comes from a line: it may not lead out of the folder. */
    if (strchr(name, '/') || !file_exists(path)) return true;
    err why = {0};
    if (!file_stat(path, &bytes, NULL, &why) || !file_sha256(hex, path, &why)) {
        snprintf(c->damage, sizeof c->damage, "%s", why.text);
        snprintf(inner, sizeof inner, "runs/%s/evals.jsonl", id);
        return collect_rows_again(c, inner, e);
    }
    return collect_rows_artefact(c, id, name, "losses", step, bytes, hex, e);
}

/* A run that was trained on, or evaluated again, has several lines that said `final` when they were
 * written. Tables count one, by this column; index evaluation_run leads to the run's. */
static bool demote_finals(collector *c, const char *id, err *e)
{
    static const char SQL[] = "UPDATE evaluation SET final = 0 WHERE run = ?1 AND final";
    return collect_rows_change(c, SQL, id, NULL, e);
}

/* An evaluation is named after its run, step, split and protocol: of another run there is none of
 * that name, and whose folder says so has somebody else's lines. */
static bool is_of_run(collector *c, const char *id, const char *evaluation, err *e)
{
    static const char SQL[] = "SELECT run FROM evaluation WHERE evaluation = ?1 AND run <> ?2";
    const char *other;
    if (!collect_rows_ask(c, &other, SQL, evaluation, id, e)) return false;
    return !other ||
           err_set(e, "is evaluation %.100s of run %.100s; remove the line", evaluation, other);
}

static bool put_evaluation(collector *c, const char *id, const json_t *line, err *e)
{
    const char *evaluation = json_get_text(line, "eval"), *split = json_get_text(line, "split");
    const char *losses = json_get_text(line, "losses");
    const json_t *step = json_object_get(line, "step");
    if (!evaluation || !split || !is_step(step)) {
        return err_set(e, "has no eval, split or step; it is no line of this program's");
    }
    if (!is_of_run(c, id, evaluation, e)) return false;
    /* The last line that says `final` is the run's final evaluation. */
    bool final = json_is_true(json_object_get(line, "final"));
    if (final && !demote_finals(c, id, e)) return false;
    const json_t *dynamic = json_object_get(line, "dynamic");
    collect_table *t = collect_rows_table(c, "evaluation", e);
    /* Lines of earlier programs may lack it, and the column is NOT NULL. What is set before the
     * object is a default, what is set behind it overrides. */
    collect_rows_text(t, "protocol", "{}");
    collect_rows_object(t, line);
    collect_rows_text(t, "evaluation", evaluation);
    collect_rows_text(t, "run", id);
    collect_rows_int(t, "final", final);
    collect_rows_int(t, "tokens", json_get_int(line, "tokens", 0));
    collect_rows_value(t, "dynamic_rate", json_object_get(dynamic, "rate"));
    collect_rows_value(t, "dynamic_decay", json_object_get(dynamic, "decay"));
    /* The file may have it twice: the last line counts. */
    if (!collect_rows_delete_inner(c, "evaluation", "= ?1", evaluation, e)) return false;
    if (!collect_rows_put(c, t, e)) return false;
    if (losses && !put_losses(c, id, losses, step, e)) return false;
    collect_table *m = collect_rows_table(c, "evaluation_metric", e);
    collect_rows_text(m, "evaluation", evaluation);
    return put_documents(c, evaluation, json_object_get(line, "documents"), e) &&
           put_layers(c, m, json_object_get(line, "layers"), e) &&
           put_slices(c, evaluation, json_object_get(line, "slices"), e) &&
           put_recall(c, evaluation, json_object_get(line, "recall"), e);
}

/* Deletes the rows that a file of lines stands for. */
typedef bool (*forget_lines)(collector *c, const char *id, err *e);

static bool forget_metrics(collector *c, const char *id, err *e)
{
    return collect_rows_delete(c, "step", id, "1", e) &&
           collect_rows_delete(c, "metric", id, "1", e);
}

/* Replaces these rows, if the file changed. Deleting first is what makes collecting twice change
 * nothing. */
static bool collect_lines(collector *c, const char *id, const char *folder, const char *name,
                          forget_lines forget, collect_line put, bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES];
    bool changed;
    snprintf(path, sizeof path, "runs/%s/%s", id, name);
    if (!collect_rows_changed(c, path, &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    /* Of a file that was never read there are no rows: forget_run forgets stamps with rows. */
    bool there = c->there;
    if (!c->first && !forget(c, id, e)) return false;
    return !there || collect_lines_each(c, id, folder, name, put, e);
}

bool collect_lines_metrics(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    return collect_lines(c, id, folder, "metrics.jsonl", forget_metrics, put_step, fresh, e);
}

bool collect_lines_evals(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    return collect_lines(c, id, folder, "evals.jsonl", collect_rows_delete_evaluations,
                         put_evaluation, fresh, e);
}
