#include "harness/run/run_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

/* Records that grow: metrics.jsonl, evals.jsonl, notes.jsonl. A line is added by a single write to
 * a file that is open for appending (where several may write, notes.c takes a lock besides), so a
 * reader sees whole lines or, after a kill or on a full disk, a last one without its end. That last
 * one is what every reader has to leave out and run_lines_filter removes; nothing else in such a
 * file is ever changed in place.
 *
 * Metrics are not synced line by line, which would cost more than a small step; they are before a
 * checkpoint that counts on them (worker.c), by an append of nothing. An evaluation's line is
 * synced at once: hours may stand behind it. */

bool run_lines_append(const char *path, const char *line, size_t bytes, bool sync, err *e)
{
    int fd = file_open_own(path, O_WRONLY | O_APPEND, e);
    if (fd < 0) return false;
    bool ok = true;
    size_t done = 0;
    /* A full disk takes a part of the line. The rest is tried again and fails with the reason; the
     * cut line is dropped by the next run_lines_filter. */
    while (ok && done < bytes) {
        ssize_t wrote = write(fd, line + done, bytes - done);
        if (wrote < 0 && errno == EINTR) continue;
        ok = wrote > 0;
        if (ok) done += (size_t)wrote;
    }
    if (ok && sync) ok = fsync(fd) == 0;
    /* What failed first is what is told, not what close says after it. */
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    errno = why;
    /* The file may have been made just now: its name has to be on the disk, too. */
    if (ok && sync) return file_sync_name(path, e);
    return ok || file_failed(e, path, "cannot be written");
}

bool run_lines_append_record(const char *path, const json_t *record, err *e)
{
    size_t bytes;
    /* With its line break: one write, so that no reader sees half a line end. */
    text_auto *line = json_line_text(record, &bytes);
    return run_lines_append(path, line, bytes, true, e);
}

/* Said in the place of lines that are gone without a trace: a JSON text, but no object, so that
 * every reader sees a line that is none, where one is missing. */
static const char LOST[] = "\"lines are lost here\"\n";

bool run_lines_mark_lost(const char *path, err *e)
{
    return run_lines_append(path, LOST, sizeof LOST - 1, true, e);
}

/* Which lines stay, and what is found on the way. */
typedef struct passage {
    line_keep keep;
    void *user;
    bool all;         /* whatever keep() says, and what is damaged as well */
    bool reads;       /* the file stays as it is */
    int64_t *damaged; /* NULL: nobody asks */
} passage;

typedef enum line_kind { LINE_GOES, LINE_STAYS, LINE_DAMAGED } line_kind;

static line_kind look_at_line(const passage *p, const char *line, size_t bytes, int64_t number)
{
    /* One in the middle that is no JSON: a cut one with a whole one written behind it; or its
     * checksum is another's. */
    json_auto_t *record = json_line_load(line, bytes, 0, NULL);
    if (!record && p->damaged && *p->damaged == 0) *p->damaged = number;
    bool keeps = record && p->keep(p->user, record);
    if (keeps || p->all) return LINE_STAYS;
    return record ? LINE_GOES : LINE_DAMAGED;
}

/* A file of which everything is kept is not written again. */
static bool pass(const char *path, const passage *p, err *e)
{
    if (!file_exists(path)) return true;
    size_t bytes;
    text_auto *text = file_read(path, &bytes, e);
    if (!text) return false;
    size_t kept = 0, at = 0, held = 0; /* bytes of damaged lines behind those that are kept */
    for (int64_t number = 1; at < bytes; number++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        if (!end) break; /* the writer was killed in the middle of a line */
        size_t length = (size_t)(end - (text + at)) + 1;
        line_kind kind = look_at_line(p, text + at, length, number);
        if (kind != LINE_GOES) memmove(text + kept + held, text + at, length);
        if (kind == LINE_DAMAGED) held += length;
        if (kind == LINE_STAYS) {
            kept += held + length;
            held = 0;
        }
        at += length;
    }
    return p->reads || kept == bytes || file_write(path, text, kept, e);
}

bool run_lines_filter(const char *path, line_keep keep, void *user, int64_t *damaged, err *e)
{
    if (damaged) *damaged = 0;
    return pass(path, &(passage){.keep = keep, .user = user, .damaged = damaged}, e);
}

bool run_lines_each(const char *path, line_keep look, void *user, err *e)
{
    return pass(path, &(passage){.keep = look, .user = user, .all = true}, e);
}

bool run_lines_look(const char *path, line_keep look, void *user, err *e)
{
    return pass(path, &(passage){.keep = look, .user = user, .all = true, .reads = true}, e);
}
