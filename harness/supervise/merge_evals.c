#include "harness/supervise/merge_evals.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/train/checkpoint_files.h"

/* Final evaluations and those on the way belong to how a run was trained, here or there: of these
 * ours stand. */

typedef struct adding {
    const char *theirs, *ours;
    char to[FILE_PATH_BYTES]; /* our evals.jsonl */
    int64_t step;             /* of the model */
    json_t *known;
    int *added;
    err *e; /* empty: all is well */
} adding;

/* One evaluation is a protocol on a text, at a step. */
static const char *key_of(char key[64], const json_t *line)
{
    const char *eval = json_get_text(line, "eval");
    snprintf(key, 64, "%.40s/%lld", eval ? eval : "", (long long)json_get_int(line, "step", -1));
    return key;
}

static bool note_ours(void *user, const json_t *line)
{
    char key[64];
    json_object_set_new(((adding *)user)->known, key_of(key, line), json_true());
    return true;
}

/* What `loci bench` has noted, where nothing is noted here. */
static bool bring_speed(const adding *a, err *e)
{
    static const char NAME[] = "speed.json";
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    return file_join(from, a->theirs, NAME, e) && file_join(to, a->ours, NAME, e) &&
           (!file_exists(from) || file_exists(to) ||
            (file_refuse_link(from, e) && file_copy(from, to, e)));
}

/* A line is all that there is of an evaluation that was asked for: losses of tokens are kept of
 * final ones alone. */
static bool add_line(void *user, const json_t *line)
{
    adding *a = user;
    char key[64];
    bool asked =
        !json_is_true(json_object_get(line, "final")) && json_get_int(line, "step", -1) == a->step;
    if (a->e->text[0] || !asked || json_object_get(a->known, key_of(key, line))) return true;
    if (run_lines_append_record(a->to, line, a->e)) {
        json_object_set_new(a->known, key, json_true());
        ++*a->added;
    }
    return true;
}

static bool same_model(const char *theirs, const char *ours)
{
    arena_auto *a = arena_new(1 << 12);
    err ignored;
    const char *one = checkpoint_files_hash(a, theirs, &ignored);
    const char *two = checkpoint_files_hash(a, ours, &ignored);
    return one && two && strcmp(one, two) == 0;
}

static bool add_all(int *added, const char *theirs, const char *ours, int64_t end, err *e)
{
    char from[FILE_PATH_BYTES];
    json_auto_t *known = json_object();
    adding a = {
        .theirs = theirs, .ours = ours, .step = end, .known = known, .added = added, .e = e};
    if (!file_join(from, theirs, "evals.jsonl", e) || !file_join(a.to, ours, "evals.jsonl", e)) {
        return false;
    }
    e->text[0] = 0;
    return run_lines_look(a.to, note_ours, &a, e) && run_lines_look(from, add_line, &a, e) &&
           !e->text[0] && bring_speed(&a, e);
}

bool merge_evals_into(int *added, const char *theirs, const char *ours, int64_t end, err *e)
{
    *added = 0;
    return end < 0 || !same_model(theirs, ours) || add_all(added, theirs, ours, end, e);
}

bool merge_evals(int *added, const char *theirs, const char *ours, int64_t end, err *e)
{
    *added = 0;
    if (end < 0 || !same_model(theirs, ours)) return true;
    int lock = run_folder_lock(ours, e);
    if (lock < 0) return lock == RUN_FOLDER_BUSY;
    bool ok = add_all(added, theirs, ours, end, e);
    close(lock);
    return ok;
}
