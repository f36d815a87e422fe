/* inspect/<part>.jsonl: a line becomes a row of the table of its kind. */
#include "results/store/collect_inspect.h"

#include <string.h>

#include "core/base/file.h"
#include "results/store/collect_lines.h"

/* A part of an inspection is read like any file of lines, but its lines are of several kinds, for
 * tables with the same keys as columns. The kind is told by a key, so that the writer needs no
 * field for it, and this file no code for each kind: a kind is a row of KINDS, a column more is a
 * column of the schema and a key of the line. */

const char *const COLLECT_INSPECT_PARTS[] = {"keys",    "values", "composition", "refinement",
                                             "changes", "states", NULL};

/* A kind of line, known by a key that no kind before it has. Its keys are called like the table's
 * columns, but for the one that gives the kind away: that is `is`. */
static const struct line_kind {
    const char *key, *table, *is;
    /* The order counts: lines of moments and spots have a position, too, and only what no kind
     * before claimed is a prefix. */
} KINDS[] = {{"inspect", "inspection", NULL},
             {"figure", "inspect_figure", "figure"},
             {"examples", "inspect_key", NULL},
             {"top", "inspect_value", "top"},
             {"perturbed", "inspect_removal", "memory"},
             {"expert", "inspect_expert", "expert"},
             {"changed", "inspect_change", "document"},
             {"moment", "inspect_moment", "place"},
             {"exchange", "inspect_place", "exchange"},
             {"uses", "inspect_use", "exchange"},
             {"spots", "inspect_spot", "exchange"},
             {"position", "inspect_prefix", "position"}};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

/* Tables that several parts have lines for: they say which. */
static const char *const OF_ALL[] = {"inspection", "inspect_figure", "inspect_prefix"};

static bool has_part(const char *name)
{
    return strcmp(name, OF_ALL[0]) == 0 || strcmp(name, OF_ALL[1]) == 0 ||
           strcmp(name, OF_ALL[2]) == 0;
}

static bool put_kind(collector *c, const char *id, const struct line_kind *k, const json_t *line,
                     err *e)
{
    collect_table *t = collect_rows_table(c, k->table, e);
    collect_rows_object(t, line);
    collect_rows_text(t, "run", id);
    if (has_part(k->table)) collect_rows_text(t, "part", c->part);
    /* The first line says how the part was measured: all of it is its protocol. */
    if (strcmp(k->key, "inspect") == 0) collect_rows_value(t, "protocol", line);
    if (k->is) collect_rows_value(t, k->is, json_object_get(line, k->key));
    return collect_rows_put(c, t, e);
}

/* Those of a key stand in its line, and get rows of their own, in their order. */
static bool put_triggers(collector *c, const char *id, const json_t *line, err *e)
{
    size_t i;
    json_t *example;
    json_array_foreach(json_object_get(line, "examples"), i, example)
    {
        collect_table *t = collect_rows_table(c, "inspect_trigger", e);
        collect_rows_object(t, example);
        collect_rows_text(t, "run", id);
        collect_rows_value(t, "layer", json_object_get(line, "layer"));
        collect_rows_value(t, "memory", json_object_get(line, "memory"));
        collect_rows_int(t, "place", (int64_t)i);
        if (!collect_rows_put(c, t, e)) return false;
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
    /* Refused, with the folder: lines that are left out in silence would make an inspection look
     * smaller than it was. */
    return err_set(e, "is no line of this program's");
}

/* Tables that only one part has lines for, beside those that say which. */
static const struct {
    const char *part, *table;
    /* A part that is measured again replaces its rows and no other part's; these tables have no
     * column that would tell them apart, as only one part fills them. */
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

/* Deleted first, whether the file is there or not: an inspection that was removed leaves no
 * rows. */
static bool collect_part(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES], name[64];
    bool changed;
    snprintf(path, sizeof path, "runs/%s/inspect/%s.jsonl", id, c->part);
    if (!collect_rows_changed(c, path, &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    snprintf(name, sizeof name, "inspect/%s.jsonl", c->part);
    bool there = c->there;
    if (!delete_part(c, id, c->part, e)) return false;
    return !there || collect_lines_each(c, id, folder, name, put_line, e);
}

bool collect_inspect(collector *c, const char *id, const char *folder, bool *fresh, err *e)
{
    bool ok = true;
    for (int i = 0; ok && COLLECT_INSPECT_PARTS[i]; i++) {
        c->part = COLLECT_INSPECT_PARTS[i];
        ok = collect_part(c, id, folder, fresh, e);
    }
    return ok;
}

bool collect_inspect_forget(collector *c, const char *id, err *e)
{
    bool ok = true;
    for (int i = 0; ok && COLLECT_INSPECT_PARTS[i]; i++) {
        ok = delete_part(c, id, COLLECT_INSPECT_PARTS[i], e);
    }
    return ok;
}
