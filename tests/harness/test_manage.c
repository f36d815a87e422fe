/* Keeping, renaming and removing results. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/experiment_lock.h"
#include "harness/run/run_folder.h"
#include "harness/supervise/manage_merge.h"
#include "tests/support/managed.h"
#include "tests/test.h"

static void removed(void)
{
    manage_report r;
    err e = {0};
    managed_write(test_folder(), "one");
    managed_write(test_folder(), "two");
    EXPECT(manage_remove(&r, test_folder(), "one", true, &e) && r.runs == 4 && r.bytes > 1000,
           "%d runs: %s", r.runs, e.text);
    managed_expect("only said", test_folder(), 2, 8);
    EXPECT(manage_remove(&r, test_folder(), "one", false, &e) && r.runs == 4, "%s", e.text);
    managed_expect("removed", test_folder(), 1, 4);
    EXPECT(!manage_remove(&r, test_folder(), "one", false, &e) && strstr(e.text, "no experiment"),
           "%s", e.text);
    EXPECT(!manage_remove(&r, test_folder(), "../x", false, &e), "a path");
}

/* What a run starts from stays, though its plan is damaged: its record says it, too. */
static void source_stays(void)
{
    static const char *const records[] = {"run.json", "plan.json"};
    manage_report r;
    err e = {0};
    char id[17], source[17], path[FILE_PATH_BYTES];
    managed_write(test_folder(), "one");
    managed_write(test_folder(), "two");
    fake_run_id(id, "one", "long", 1);
    fake_run_id(source, "two", "short", 1);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/runs/%s/%s", test_folder(), id, records[i]);
        json_auto_t *o = json_read(path, &e);
        json_object_set_new(o, "spec", json_pack("{s:{s:s}}", "init_from", "run", source));
        EXPECT(json_write(path, o, &e), "%s", e.text);
    }
    EXPECT(truncate(path, 20) == 0, "%s", path);
    EXPECT(file_remove(test_inside("experiments/two.json"), &e), "%s", e.text);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, true, &e) && r.runs == 3, "%d: %s",
           r.runs, e.text);
}

/* A run that two experiments name stays with the second. */
static void shared(void)
{
    manage_report r;
    err e = {0};
    managed_write(test_folder(), "one");
    EXPECT(file_copy(test_inside("experiments/one.json"), test_inside("experiments/copy.json"), &e),
           "%s", e.text);
    EXPECT(manage_remove(&r, test_folder(), "one", false, &e) && r.runs == 0 && r.kept == 4,
           "%d removed, %d kept", r.runs, r.kept);
}

static void renamed(void)
{
    err e = {0};
    managed_write(test_folder(), "one");
    managed_write(test_folder(), "two");
    EXPECT(!manage_rename(test_folder(), "one", "two", &e) && strstr(e.text, "already"), "%s",
           e.text);
    EXPECT(manage_rename(test_folder(), "one", "three", &e), "%s", e.text);
    EXPECT(file_exists(test_inside("experiments/three.json")) &&
               !file_exists(test_inside("experiments/one.json")),
           "the records");
    managed_expect("renamed", test_folder(), 2, 8);
}

/* What other systems leave in folders is no run and no experiment, and nobody's folder is removed.
 */
static void strangers(void)
{
    static const char *const FILES[] = {"runs/.DS_Store", "runs/Thumbs.db",
                                        "experiments/._one.json", "experiments/.DS_Store",
                                        "runs/mine/notes.txt"};
    manage_report r;
    err e = {0};
    managed_write(test_folder(), "one");
    EXPECT(file_make_folders(test_inside("runs/mine"), &e), "%s", e.text);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        EXPECT(file_write(test_inside(FILES[i]), "x", 1, &e), "%s", e.text);
    }
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, false, &e) && r.runs == 0, "%d: %s",
           r.runs, e.text);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        EXPECT(file_exists(test_inside(FILES[i])), "%s is gone", FILES[i]);
    }
    EXPECT(manage_merge(&r, test_inside("other"), test_folder(), NULL, &e) && r.runs == 4 &&
               r.experiments == 1,
           "%d runs: %s", r.runs, e.text);
    EXPECT(!file_exists(test_inside("other/runs/mine")), "a folder of somebody's was taken along");
}

/* Removed or renamed under its supervisor, an experiment would lose its runs to gc. */
static void running_stays(void)
{
    manage_report r;
    err e = {0};
    managed_write(test_folder(), "one");
    int lock = experiment_lock_share(test_folder(), "one", &e);
    int second = experiment_lock_share(test_folder(), "one", &e);
    EXPECT(lock >= 0 && second >= 0, "%s", e.text);
    EXPECT(!manage_remove(&r, test_folder(), "one", false, &e) && strstr(e.text, "is running"),
           "%s", e.text);
    EXPECT(!manage_rename(test_folder(), "one", "two", &e) && strstr(e.text, "is running"), "%s",
           e.text);
    close(lock);
    close(second);
    EXPECT(manage_rename(test_folder(), "one", "two", &e), "%s", e.text);
    managed_expect("renamed", test_folder(), 1, 4);
    EXPECT(manage_remove(&r, test_folder(), "two", false, &e) &&
               !file_exists(test_inside("experiments/two.lock")),
           "%s", e.text);
}

static void garbage(void)
{
    manage_report r;
    err e = {0};
    managed_write(test_folder(), "one");
    managed_write(test_folder(), "two");
    EXPECT(file_remove(test_inside("experiments/two.json"), &e), "%s", e.text);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, true, &e) && r.runs == 4, "%d",
           r.runs);
    managed_expect("only said", test_folder(), 1, 8);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, false, &e) && r.runs == 4, "%d",
           r.runs);
    managed_expect("collected", test_folder(), 1, 4);
}

/* Models that training kept stay until gc is asked to let them go. What was set aside when a
 * finished run was trained again goes at once. */
static void kept_models(void)
{
    static const keep_models asked[] = {KEEP_ALL, KEEP_BEST, KEEP_LAST};
    manage_report r;
    err e = {0};
    char id[17], inner[64];
    managed_write(test_folder(), "one");
    fake_run_id(id, "one", "long", 1);
    static const char *const names[] = {"checkpoint-4", "checkpoint-best"};
    for (int i = 0; i < 2; i++) {
        snprintf(inner, sizeof inner, "runs/%s/%s", id, names[i]);
        EXPECT(file_make_folders(test_inside(inner), &e), "%s", e.text);
        snprintf(inner, sizeof inner, "runs/%s/%s/manifest.json", id, names[i]);
        EXPECT(file_write(test_inside(inner), "{}", 2, &e), "%s", e.text);
    }
    snprintf(inner, sizeof inner, "runs/%s/before-1/checkpoint", id);
    EXPECT(file_make_folders(test_inside(inner), &e), "%s", e.text);
    for (int k = 0; k < 3; k++) {
        snprintf(inner, sizeof inner, "runs/%s/before-1", id);
        EXPECT(manage_collect_garbage(&r, test_folder(), asked[k], true, &e), "%s", e.text);
        EXPECT(file_is_folder(test_inside(inner)) == (k == 0), "before-1 at %d", k);
        EXPECT(manage_collect_garbage(&r, test_folder(), asked[k], false, &e), "%s", e.text);
        EXPECT(!file_is_folder(test_inside(inner)), "before-1 after %d", k);
        for (int i = 0; i < 2; i++) {
            snprintf(inner, sizeof inner, "runs/%s/%s", id, names[i]);
            EXPECT(file_is_folder(test_inside(inner)) == (k <= i), "%s after %d", names[i], k);
        }
    }
    managed_expect("runs stay", test_folder(), 1, 4);
}

static bool is_there(const char *name)
{
    return file_exists(test_inside(name));
}

/* Copies of a damaged record go where their experiment goes; those that are left of one that is
 * gone are garbage. What else is called alike is nobody's. */
static void copies_go_along(void)
{
    static const char *const left[] = {
        "here/experiments/one.json.damaged", "here/experiments/one.json.damaged-2",
        "here/experiments/one.json.damaged-x", "here/experiments/two.json.damaged"};
    manage_report r;
    err e = {0};
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    managed_write(test_inside("here"), "one");
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        EXPECT(file_write(test_inside(left[i]), "copy", 4, &e), "%s", e.text);
    }
    EXPECT(manage_merge(&r, test_inside("there"), test_inside("here"), NULL, &e) &&
               manage_merge(&r, test_inside("there"), test_inside("here"), NULL, &e),
           "%s", e.text);
    EXPECT(is_there("there/experiments/one.json.damaged") &&
               is_there("there/experiments/one.json.damaged-2") &&
               !is_there("there/experiments/one.json.damaged-3") &&
               !is_there("there/experiments/two.json.damaged"),
           "what was merged");
    EXPECT(manage_rename(test_inside("here"), "one", "three", &e), "%s", e.text);
    EXPECT(is_there("here/experiments/three.json.damaged") &&
               is_there("here/experiments/three.json.damaged-2") && !is_there(left[0]) &&
               !is_there(left[1]),
           "what was renamed");
    EXPECT(manage_collect_garbage(&r, test_inside("here"), KEEP_ALL, true, &e) && is_there(left[3]),
           "a dry run: %s", e.text);
    EXPECT(manage_collect_garbage(&r, test_inside("here"), KEEP_ALL, false, &e), "%s", e.text);
    EXPECT(!is_there(left[3]) && is_there(left[2]) &&
               is_there("here/experiments/three.json.damaged"),
           "what is garbage");
    EXPECT(manage_remove(&r, test_inside("here"), "three", false, &e), "%s", e.text);
    EXPECT(!is_there("here/experiments/three.json.damaged") &&
               !is_there("here/experiments/three.json.damaged-2") && is_there(left[2]),
           "what was removed");
}

/* One finished run whose checkpoint's manifest is damaged is told, and no reason to leave the
 * others as they are; copies of its damaged records stay, as what they said stands nowhere else. */
static void damaged_is_left_out(void)
{
    manage_report r;
    err e = {0};
    char id[2][17], path[160];
    managed_write(test_folder(), "one");
    for (int i = 0; i < 2; i++) {
        fake_run_id(id[i], "one", "long", i + 1);
        snprintf(path, sizeof path, "runs/%s/checkpoint", id[i]);
        EXPECT(file_make_folders(test_inside(path), &e), "%s", e.text);
        snprintf(path, sizeof path, "runs/%s/checkpoint/train-5.safetensors", id[i]);
        EXPECT(file_write(test_inside(path), "x", 1, &e), "%s", e.text);
        json_auto_t *o = json_pack("{s:i, s:{s:{s:s, s:i}}}", "step", 5, "files",
                                   "train-5.safetensors", "sha256", "-", "bytes", 1);
        snprintf(path, sizeof path, "runs/%s/checkpoint/manifest.json", id[i]);
        EXPECT(json_write(test_inside(path), o, &e), "%s", e.text);
        if (i == 0) EXPECT(truncate(test_inside(path), 10) == 0, "%s", path);
        snprintf(path, sizeof path, "runs/%s/run.json.damaged", id[i]);
        EXPECT(file_write(test_inside(path), "x", 1, &e), "%s", e.text);
    }
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, false, &e) && r.left_out == 1 &&
               strstr(r.why.text, id[0]),
           "%d: %s%s", r.left_out, r.why.text, e.text);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "runs/%s/checkpoint/train-5.safetensors", id[i]);
        EXPECT(is_there(path) == (i == 0), "%s", path);
        snprintf(path, sizeof path, "runs/%s/run.json.damaged", id[i]);
        EXPECT(is_there(path), "%s", path);
    }
}

/* Removing takes each run's lock, and goes all the same where nothing can be locked. */
static void removed_under_its_lock(void)
{
    manage_report r;
    err e = {0};
    char id[4][17], inner[128];
    managed_write(test_folder(), "one");
    for (int i = 0; i < 4; i++) {
        fake_run_id(id[i], "one", MANAGED[i / 2].label, 1 + i % 2);
        snprintf(inner, sizeof inner, "runs/%s/lock", id[i]);
        if (i == 1) EXPECT(symlink("nowhere", test_inside(inner)) == 0, "%s", inner);
        if (i == 2) EXPECT(mkdir(test_inside(inner), 0777) == 0, "%s", inner);
    }
    snprintf(inner, sizeof inner, "runs/%s", id[0]);
    int lock = run_folder_lock(test_inside(inner), &e);
    EXPECT(lock >= 0, "%s", e.text);
    EXPECT(manage_remove(&r, test_folder(), "one", false, &e) && r.runs == 3 && r.kept == 1,
           "%d and %d: %s", r.runs, r.kept, e.text);
    for (int i = 0; i < 4; i++) {
        snprintf(inner, sizeof inner, "runs/%s/status.json", id[i]);
        EXPECT(file_exists(test_inside(inner)) == (i == 0), "%d", i);
    }
    close(lock);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, false, &e) && r.runs == 1, "%d: %s",
           r.runs, e.text);
    EXPECT(rmdir(test_inside("runs")) == 0, "something is left");
}

const test_suite test_manage = {"harness/manage",
                                {{"removed", removed},
                                 {"source_stays", source_stays},
                                 {"shared", shared},
                                 {"renamed", renamed},
                                 {"garbage", garbage},
                                 {"strangers", strangers},
                                 {"running stays", running_stays},
                                 {"kept_models", kept_models},
                                 {"copies_go_along", copies_go_along},
                                 {"damaged_is_left_out", damaged_is_left_out},
                                 {"removed_under_its_lock", removed_under_its_lock},
                                 {0}}};
