#include "harness/supervise/merge_run.h"

#include <stdio.h>

#include "core/base/file.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_status.h"
#include "results/store/run_damage.h"

/* ---- how far ---- */

enum { NOTHING = -1, PLANNED = 0 }; /* 1 and more: a checkpoint, one behind its step */
#define ENDED (INT64_MAX - 1)       /* with a gap, or records to be mended */
#define WHOLE INT64_MAX

static int64_t checkpoint_of(const char *folder)
{
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, "checkpoint/manifest.json", NULL) && file_exists(path);
    json_auto_t *manifest = there ? json_read(path, NULL) : NULL;
    int64_t step = json_get_int(manifest, "step", -1);
    return step < 0 || step >= ENDED - 1 ? PLANNED : step + 1;
}

/* One that will be trained again from its beginning is no further than one that was planned. */
static bool how_far(int64_t *far, run_status *s, const char *folder, err *e)
{
    char why[ERR_TEXT_BYTES], plan[FILE_PATH_BYTES];
    if (!file_join(plan, folder, "plan.json", e) || !run_status_read(s, folder, e)) return false;
    bool again =
        s->kind == KIND_DAMAGED && !s->ended && run_damage_find(why, folder) != DAMAGE_RECORD;
    if (s->state == RUN_PLANNED && !file_exists(plan)) {
        *far = NOTHING;
    } else if (s->state == RUN_DONE || s->ended) {
        *far = s->ended || s->gap[0] ? ENDED : WHOLE;
    } else {
        *far = again ? PLANNED : checkpoint_of(folder);
    }
    return true;
}

/* "done", "at step 40", ... */
static void describe(char text[64], const run_status *s, int64_t far)
{
    bool under_way = far > PLANNED && far < ENDED;
    snprintf(text, 64, "%s", s->ended ? "trained to its end" : run_status_state_name(s->state));
    if (under_way) snprintf(text, 64, "saved at step %lld", (long long)far - 1);
}

/* ---- what both have logged ---- */

/* Times, and the checksum of a line with them, are no part of what was computed. A line says the
 * mean over the steps since the one before, so that two are comparable where both are the same. */
typedef struct logged {
    json_t *lines; /* by "STEP BEFORE/STEP" */
    int64_t before;
    int64_t differs; /* the first step of which they say another; 0: none */
} logged;

static json_t *without_times(const json_t *line)
{
    json_t *o = json_copy((json_t *)(uintptr_t)line);
    json_object_del(o, "seconds");
    json_object_del(o, "tokens_per_second");
    json_object_del(o, "crc");
    return o;
}

static void key_of(char key[64], logged *l, int64_t step)
{
    snprintf(key, 64, "%lld/%lld", (long long)l->before, (long long)step);
    l->before = step;
}

static bool note_line(void *user, const json_t *line)
{
    char key[64];
    key_of(key, user, json_get_int(line, "step", -1));
    json_object_set_new(((logged *)user)->lines, key, without_times(line));
    return true;
}

static bool compare_line(void *user, const json_t *line)
{
    logged *l = user;
    char key[64];
    int64_t step = json_get_int(line, "step", -1);
    key_of(key, l, step);
    const json_t *ours = json_object_get(l->lines, key);
    json_auto_t *theirs = without_times(line);
    if (ours && !json_equal(ours, theirs) && l->differs == 0) l->differs = step;
    return true;
}

/* *differs: the first step of which another is logged there; 0: none. */
static bool compare_logs(int64_t *differs, const char *theirs, const char *ours, err *e)
{
    char a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    json_auto_t *lines = json_object();
    logged l = {.lines = lines};
    if (!file_join(a, ours, "metrics.jsonl", e) || !file_join(b, theirs, "metrics.jsonl", e) ||
        !run_lines_look(a, note_line, &l, e)) {
        return false;
    }
    l.before = 0;
    bool ok = run_lines_look(b, compare_line, &l, e);
    *differs = l.differs;
    return ok;
}

/* ---- the choice ---- */

static int64_t common_end(const run_status *stays, const run_status *other)
{
    bool both = stays->state == RUN_DONE && (other->state == RUN_DONE || other->ended);
    return both && stays->step == other->step ? stays->step : -1;
}

bool merge_run_choose(merge_run_choice *choice, int64_t *end, err *why, const char *theirs,
                      const char *ours, err *e)
{
    run_status s, t;
    int64_t our, their, differs = 0;
    char now[64], then[64];
    *choice = MERGE_OURS;
    if (!how_far(&their, &t, theirs, e) || !how_far(&our, &s, ours, e)) return false;
    *end = common_end(&s, &t);
    if (their <= our && our != NOTHING) return true;
    if (our > PLANNED && !compare_logs(&differs, theirs, ours, e)) return false;
    *choice = differs == 0 ? MERGE_THEIRS : MERGE_NEITHER;
    if (*choice == MERGE_THEIRS) *end = common_end(&t, &s);
    describe(now, &t, their);
    describe(then, &s, our);
    if (differs == 0) err_set(why, "theirs (%s) takes the place of ours (%s)", now, then);
    if (differs != 0) {
        err_set(why,
                "%s/metrics.jsonl: of step %lld is another than here, so that it is no "
                "continuation of the run that is here, which stays; remove that one to take theirs",
                theirs, (long long)differs);
    }
    return true;
}
