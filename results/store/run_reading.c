#include "results/store/run_reading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file_lock.h"
#include "core/base/json_line.h"
#include "core/base/text.h"

/* All that is done here reads files and touches no database, so that it can be done on another
 * thread than the database's, for a folder whose turn comes later. Errors are dropped: a file
 * without what it says is read once more, by who has words for what is wrong with it. */

/* In the order of reading. What each is for is said where it is put (collect_run.c). */
static const char *const NAMES[RUN_FILES] = {"plan.json",
                                             "run.json",
                                             "status.json",
                                             "speed.json",
                                             "final.json",
                                             "checkpoint/manifest.json",
                                             "metrics.jsonl",
                                             "evals.jsonl",
                                             "inspect/keys.jsonl",
                                             "inspect/values.jsonl",
                                             "inspect/composition.jsonl",
                                             "inspect/refinement.jsonl",
                                             "inspect/changes.jsonl",
                                             "inspect/states.jsonl",
                                             "notes.jsonl"};
enum { STATUS = 2, HEADS = 5, MANIFEST = 5, EVALS = 7, NOTES = 14 };

/* is: of the file, NULL where that is not known. Size, time to the nanosecond and inode: a file
 * that is replaced by one of equal size within a tick of the clock, as status.json is by renaming,
 * has another inode. */
static void set_stamp(file_stamp *s, bool there, const struct stat *is, const json_t *known,
                      const char *path, const char *more)
{
    s->there = there;
    s->bytes = is ? is->st_size : 0;
    if (is) {
        snprintf(s->text, sizeof s->text, "%lld %lld.%09ld %llu %s", (long long)is->st_size,
                 (long long)is->st_mtim.tv_sec, is->st_mtim.tv_nsec, (unsigned long long)is->st_ino,
                 more);
    } else {
        /* No snprintf: most of a new run's files are absent. */
        CHECK(strlen(more) < sizeof s->text - sizeof "absent ", "%s", more);
        stpcpy(stpcpy(s->text, "absent "), more);
    }
    const char *was = json_get_text(known, path);
    s->first = !was;
    /* A file that never was there is no change, or each run would be read again for every file that
     * it lacks. */
    s->changed = was ? strcmp(was, s->text) != 0 : s->there;
}

bool file_stamp_look(file_stamp *s, const json_t *known, const char *out, const char *path,
                     const char *more, err *e)
{
    struct stat is;
    char full[FILE_PATH_BYTES];
    if (!file_join(full, out, path, e)) return false;
    /* Before the file is read: what is written in between gives another stamp the next time. The
     * other way round it would never be seen. */
    bool found = lstat(full, &is) == 0, there = found || (errno != ENOENT && errno != ENOTDIR);
    set_stamp(s, there, found ? &is : NULL, known, path, more);
    return true;
}

static json_t *read_lines(run_file *f, const char *text, size_t bytes)
{
    json_t *lines = json_array();
    const char *at = text, *end;
    for (; lines && (end = memchr(at, '\n', bytes)) != NULL; at = end + 1) {
        json_t *line = json_line_load(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
        bytes -= (size_t)(end - at) + 1;
        if (line) {
            json_array_append_new(lines, line);
            continue;
        }
        json_decref(lines);
        lines = NULL;
    }
    f->cut = bytes > 0;
    return lines;
}

/* within: the folder, open. */
static void read_file(run_file *f, const char *folder, int within, int64_t *room)
{
    char path[FILE_PATH_BYTES];
    size_t bytes;
    if (!f->stamp.there || f->stamp.bytes > *room || !file_join(path, folder, f->name, NULL)) {
        return;
    }
    *room -= f->stamp.bytes;
    text_auto *text = file_read_in(strchr(f->name, '/') ? -1 : within, path, &bytes, NULL);
    if (!text) return;
    f->said = text_ends(f->name, ".jsonl") ? read_lines(f, text, bytes)
                                           : json_parse(text, bytes, path, NULL);
}

/* Their sums, which take longer than all else of a run whose losses are kept. */
static json_t *sum_losses(const json_t *lines, const char *folder, int within)
{
    json_t *sums = json_object(), *line;
    char path[FILE_PATH_BYTES], hex[SHA256_HEX];
    size_t i;
    json_array_foreach(lines, i, line)
    {
        const char *name = json_get_text(line, "losses");
        int64_t bytes;
        /* The name comes from a line: it may not lead out of the folder. */
        if (!name || strchr(name, '/') || !file_join(path, folder, name, NULL)) continue;
        if (!file_stat(path, &bytes, NULL, NULL) || !file_sha256_in(hex, within, path, NULL)) {
            continue;
        }
        json_object_set_new(sums, name,
                            json_pack("{s:I, s:s}", "bytes", (json_int_t)bytes, "sha256", hex));
    }
    return sums;
}

/* One that changed has all that make the run's row read, and the manifest of its checkpoint. */
static void read_changed(run_reading *r, const char *folder, int64_t *room, arena *scratch)
{
    bool head = false, any = false;
    for (int i = 0; i < NOTES; i++) {
        any = any || r->file[i].stamp.changed;
        head = head || (i < HEADS && r->file[i].stamp.changed);
    }
    if (!any) return;
    int within = file_open_folder(folder);
    for (int i = 0; i < NOTES; i++) {
        if (r->file[i].stamp.changed || (head && i <= MANIFEST)) {
            read_file(&r->file[i], folder, within, room);
        }
    }
    if (!r->names) r->names = run_reading_list(folder, scratch, NULL);
    if (r->file[EVALS].said) r->losses = sum_losses(r->file[EVALS].said, folder, within);
    if (within >= 0) close(within);
}

/* No file_walk: it maps memory and gives it back for each folder, which stops all other threads. */
json_t *run_reading_list(const char *folder, arena *scratch, err *e)
{
    arena_mark mark = arena_now(scratch);
    const char *const *list;
    int64_t count;
    json_t *names = file_list(folder, scratch, &list, &count, e) ? json_object() : NULL;
    for (int64_t i = 0; names && i < count; i++) {
        json_object_set_new_nocheck(names, list[i], json_true());
    }
    arena_rewind(scratch, mark);
    return names;
}

/* Is the file, or the folder that it lies in, known not to be there? */
static bool is_missing(const run_reading *r, const char *name)
{
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(name, "/"), name);
    return r->names && !json_object_get(r->names, first);
}

static void look(run_reading *r, int i, const json_t *known, const char *out, const char *folder)
{
    char inner[FILE_PATH_BYTES];
    run_file *f = &r->file[i];
    /* Whether the folder is locked is part of the status's stamp: a worker that is killed changes
     * no file, and only that its lock is gone says that the run has become an interrupted one. */
    const char *more = i == STATUS && r->locked ? "locked" : "";
    if (!file_join(inner, folder, NAMES[i], NULL)) return;
    /* The first are asked for in any case: what is replaced while a folder is listed, as a status
     * is, may be missing in the list. */
    if (i >= HEADS && is_missing(r, NAMES[i])) {
        set_stamp(&f->stamp, false, NULL, known, inner, more);
        f->name = NAMES[i];
    } else if (file_stamp_look(&f->stamp, known, out, inner, more, NULL)) {
        f->name = NAMES[i];
    }
}

void run_reading_read(run_reading *r, const json_t *known, const char *out, const char *id,
                      int64_t *room, arena *scratch)
{
    char inner[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], lock[FILE_PATH_BYTES];
    run_reading_end(r);
    snprintf(inner, sizeof inner, "runs/%s", id);
    if (!file_join(folder, out, inner, NULL) || !file_join(lock, folder, "lock", NULL)) return;
    /* A lock that is held means a process that lives; a pid in a file would not. Looked at before
     * the status: a worker that ends in between has written its end by then. */
    r->locked = file_lock_is_held(lock);
    for (int i = 0; i < RUN_FILES; i++) {
        look(r, i, known, out, inner);
        if (!r->file[0].stamp.there) return; /* a folder that was only just made */
        /* Of a run that is new most files never come: to list it takes less than to ask for each,
         * and is done in any case, for its checkpoints. */
        if (i == 0 && r->file[0].stamp.first) r->names = run_reading_list(folder, scratch, NULL);
    }
    read_changed(r, folder, room, scratch);
}

void run_reading_end(run_reading *r)
{
    for (int i = 0; i < RUN_FILES; i++) {
        json_decref(r->file[i].said);
    }
    json_decref(r->names);
    json_decref(r->losses);
    memset(r, 0, sizeof *r);
}

const run_file *run_reading_file(const run_reading *r, const char *name)
{
    for (int i = 0; i < RUN_FILES && r->file[i].name; i++) {
        if (strcmp(r->file[i].name, name) == 0) return &r->file[i];
    }
    return NULL;
}
