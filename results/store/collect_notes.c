#include "results/store/collect_notes.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"

/* Notes are no results: whatever is wrong with the file is told as damage, and what can be read is
 * read. A run whose notes were cut short keeps its figures.
 *
 * A tag is not deleted from a file of lines but struck by a later line, so that the files of two
 * folders can be joined by putting one behind the other (loci's merging does), and the tag that was
 * set or struck last holds. That is decided in memory, and only tags that hold become rows. */

/* What a file says: its owner, how many notes so far, and of each tag the line that holds. */
typedef struct reading {
    collector *c;
    const char *experiment, *run;
    int64_t notes;
    json_t *tags; /* {TAG: {"at": TIME, "on": 0 or 1}} */
} reading;

/* All rows of the owner, as its file is read from the beginning. */
static bool forget(const reading *r, const char *table, err *e)
{
    char sql[128];
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE experiment = ?1 AND run = ?2", table);
    return collect_rows_change(r->c, sql, r->experiment, r->run, e);
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
    /* Times are ISO 8601 in UTC, so that their texts sort as they do. Of equal times the later line
     * holds. */
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

/* known: it is a note or a tag. What is no JSON has none of these keys, and is told by the same
 * word as JSON that is no note. */
static bool put_line(reading *r, const char *text, size_t bytes, bool *known, err *e)
{
    json_auto_t *line = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *at = json_get_text(line, "at"), *note = json_get_text(line, "note");
    const char *tag = json_get_text(line, "tag"), *untag = json_get_text(line, "untag");
    *known = at && (note || tag || untag);
    if (!*known) return true;
    /* A line may be a note and a tag at once. */
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
    /* Told once, for the last line that is none. */
    if (why.text[0]) snprintf(r->c->damage, sizeof r->c->damage, "%s", why.text);
    return ok && put_tags(r, e);
}

bool collect_notes(collector *c, const char *experiment, const char *run, const char *inner,
                   bool *fresh, err *e)
{
    char path[FILE_PATH_BYTES];
    bool changed;
    if (!collect_rows_changed(c, inner, &changed, e)) return false;
    if (!changed) return true;
    *fresh = true;
    /* The tags are made last: nothing that fails before has anything to give back. */
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
