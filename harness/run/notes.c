#include "harness/run/notes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file_lock.h"
#include "core/base/host.h"
#include "core/base/text.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"

/* The one file of a run's folder that people write, at any time: beside a worker that trains, from
 * several machines at once. So it does not take the folder's lock (which is the worker's for days)
 * but one on the notes' own file, for the moment of adding a line. Nothing is ever changed in it, a
 * tag is taken away by another line; that makes bringing two folders together a union of lines, in
 * whatever order and however often.
 *
 * Experiments have theirs beside the record, not in it: `loci run` replaces the record. */

bool notes_of_experiment(char path[FILE_PATH_BYTES], const char *out, const char *name, err *e)
{
    char record[FILE_PATH_BYTES];
    if (!run_folder_record(record, out, name, e)) return false;
    int stem = (int)(strlen(record) - strlen(".json"));
    int n = snprintf(path, FILE_PATH_BYTES, "%.*s." NOTES_FILE, stem, record);
    return n < FILE_PATH_BYTES || err_set(e, "%s: the path is too long", record);
}

bool notes_check(const char *key, const char *text, err *e)
{
    bool note = strcmp(key, "note") == 0;
    size_t most = note ? NOTES_TEXT_BYTES : NOTES_TAG_BYTES, bytes = strlen(text);
    if (!*text || bytes > most) {
        return err_set(e, "a %s has 1 to %zu bytes, not %zu", note ? "note" : "tag", most, bytes);
    }
    for (const char *at = text; *at;) {
        int letter = json_utf8_bytes(at);
        unsigned char c = (unsigned char)*at;
        if (letter == 0) return err_set(e, "that is no UTF-8 text");
        /* Tags are listed with commas, and chosen on the command line as words. */
        if (!note && (c <= ' ' || c == 127 || c == ',')) {
            return err_set(e, "tag '%s': is to be one word, without commas", text);
        }
        at += letter;
    }
    /* A sign is how the commands tell adding from taking away. */
    if (!note && (*text == '+' || *text == '-')) {
        return err_set(e, "tag '%s': begins with a sign; --untag takes a tag away", text);
    }
    return true;
}

/* The file, which nobody else adds to until it is closed, with a line break behind a last line that
 * was cut short: it would spoil the next one. */
static int begin(const char *path, err *e)
{
    int fd = file_lock(path, LOCK_EX, e);
    if (fd < 0) return -1;
    char last = '\n';
    off_t end = lseek(fd, 0, SEEK_END);
    bool ok = end == 0 || (end > 0 && pread(fd, &last, 1, end - 1) == 1);
    if (!ok) file_failed(e, path, "cannot be read");
    /* Without it the cut line and the next one would be one line, which no reader understands. */
    ok = ok && (last == '\n' || run_lines_append(path, "\n", 1, false, e));
    if (ok) return fd;
    close(fd);
    return -1;
}

/* Not sealed as results are: whoever wants to puts a word in order in an editor. */
bool notes_add(const char *path, const char *key, const char *text, err *e)
{
    char at[32];
    host_utc(at, host_wall_s());
    if (!notes_check(key, text, e)) return false;
    int fd = begin(path, e);
    if (fd < 0) return false;
    json_auto_t *line = json_pack("{s:s, s:s}", "at", at, key, text);
    text_auto *json = json_dumps(line, JSON_COMPACT);
    CHECK(json, "a note that is no JSON");
    size_t bytes = strlen(json);
    json[bytes] = '\n'; /* in place of the NUL: one write */
    bool ok = run_lines_append(path, json, bytes + 1, true, e);
    /* The lock goes with the descriptor, after the line is on the disk. */
    close(fd);
    return ok;
}

/* ---- bringing together ---- */

/* The file's whole lines, each as a key; what is no text is left out. The line itself is the key:
 * notes have no number, and two that say the same at the same second are the same. */
static json_t *lines_of(const char *path, err *e)
{
    size_t bytes;
    text_auto *text = file_read(path, &bytes, e);
    if (!text) return NULL;
    json_t *lines = json_object();
    char *at = text;
    for (char *end; (end = memchr(at, '\n', bytes - (size_t)(at - text))) != NULL; at = end + 1) {
        *end = 0;
        if (*at) json_object_set_new(lines, at, json_true());
    }
    return lines;
}

bool notes_unite(const char *path, const char *other, err *e)
{
    if (!file_exists(other)) return true;
    /* Theirs is a stranger's folder; a link there could bring in any file of this machine. */
    if (!file_refuse_link(other, e)) return false;
    int fd = begin(path, e);
    if (fd < 0) return false;
    json_auto_t *theirs = lines_of(other, e), *ours = theirs ? lines_of(path, e) : NULL;
    bool ok = ours != NULL;
    json_t *value;
    const char *line;
    text_memory m;
    FILE *added = text_begin(&m);
    json_object_foreach(theirs, line, value)
    {
        if (ours && !json_object_get(ours, line)) fprintf(added, "%s\n", line);
    }
    text_auto *text = text_end(&m);
    ok = ok && (!*text || run_lines_append(path, text, strlen(text), true, e));
    close(fd);
    return ok;
}
