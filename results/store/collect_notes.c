#include "results/store/collect_notes.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"

/* What a file says: its owner, how many notes so far, and of each tag the line that holds. */
typedef struct reading {
    collector *c;
    const char *experiment, *run;
    int64_t notes;
    json_t *tags; /* {TAG: {"at": TIME, "on": 0 or 1}} */
} reading;

static bool forget(const reading *r, const char *table, err *e)
{
    char *sql = sqlite3_mprintf("DELETE FROM %s WHERE experiment = %Q AND run = %Q", table,
                                r->experiment, r->run);
    CHECK(sql, "no memory for a statement");
    bool ok = store_exec(r->c->db, sql, e);
    sqlite3_free(sql);
    return ok;
}

static bool put_note(reading *r, const char *at, const char *text, err *e)
{
    collect_table *t = collect_rows_table(r->c, "note", e);
    collect_rows_text(t, "experiment", r->experiment);
    collect_rows_text(t, "run", r->run);
    collect_rows_int(t, "position", r->notes++);
    collect_rows_text(t, "at", at);
    collect_rows_text(t, "text", text);
    return collect_rows_put(r->c, t, e);
}

/* Lines of two folders may have been brought together: the later time holds, whatever their order.
 */
static void hold_tag(reading *r, const char *at, const char *tag, bool on)
{
    const char *known = json_get_text(json_object_get(r->tags, tag), "at");
    if (known && strcmp(known, at) > 0) return;
    json_object_set_new(r->tags, tag, json_pack("{s:s, s:i}", "at", at, "on", on));
}

static bool put_tags(const reading *r, err *e)
{
    const char *tag;
    json_t *held;
    json_object_foreach(r->tags, tag, held)
    {
        if (!json_get_int(held, "on", 0)) continue;
        collect_table *t = collect_rows_table(r->c, "tag", e);
        collect_rows_text(t, "experiment", r->experiment);
        collect_rows_text(t, "run", r->run);
        collect_rows_text(t, "tag", tag);
        if (!collect_rows_put(r->c, t, e)) return false;
    }
    return true;
}

/* *known: it is a note or a tag. */
static bool put_line(reading *r, const char *text, size_t bytes, bool *known, err *e)
{
    json_auto_t *line = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *at = json_get_text(line, "at"), *note = json_get_text(line, "note");
    const char *tag = json_get_text(line, "tag"), *untag = json_get_text(line, "untag");
    *known = at && (note || tag || untag);
    if (!*known) return true;
    if (tag || untag) hold_tag(r, at, tag ? tag : untag, tag != NULL);
    return !note || put_note(r, at, note, e);
}

static bool put_lines(reading *r, const char *path, err *e)
{
    size_t bytes;
    err why = {0};
    const char *text = file_read_arena(r->c->scratch, path, &bytes, &why);
    int number = 0;
    bool ok = true, known = true;
    const char *end;
    for (; ok && text && (end = memchr(text, '\n', bytes)) != NULL; text = end + 1) {
        size_t length = (size_t)(end - text);
        bytes -= length + 1;
        number++;
        ok = put_line(r, text, length, &known, e);
        if (!known) err_set(&why, "%s:%d: is no note", path, number);
    }
    if (why.text[0]) snprintf(r->c->damage, sizeof r->c->damage, "%s", why.text);
    return ok && put_tags(r, e);
}

bool collect_notes(collector *c, const char *experiment, const char *run, const char *inner,
                   bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES];
    bool changed;
    if (!collect_rows_changed(c, inner, "", &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    reading r = {c, experiment, run, 0, NULL};
    if (!file_join(path, c->out, inner, e) || !forget(&r, "note", e) || !forget(&r, "tag", e)) {
        return false;
    }
    if (!file_exists(path)) return true;
    r.tags = json_object();
    bool ok = put_lines(&r, path, e);
    json_decref(r.tags);
    return ok;
}
