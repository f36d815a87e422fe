/* Keeping, renaming, removing and bringing results together. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "harness/run/experiment_lock.h"
#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_merge.h"
#include "results/store/collect.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short", 0, 0.001, 1000, 100, NULL, false},
                                        {"long", 0.04, 0.002, 1000, 100, NULL, false}};

static fake_experiment fake(const char *out, const char *name)
{
    fake_experiment x = {out, name, 2, 2, 5, VARIANTS};
    fake_write(&x);
    return x;
}

/* Runs and experiments that the database holds after it was made again. */
static void expect_counts(const char *what, const char *out, int experiments, int runs)
{
    collect_report r;
    err e = {{0}};
    EXPECT(collect(&r, out, true, &e), "%s", e.text);
    EXPECT(r.experiments_seen == experiments && r.runs_seen == runs, "%s: %d experiments, %d runs",
           what, r.experiments_seen, r.runs_seen);
}

static void removed(void)
{
    manage_report r;
    err e = {{0}};
    fake(test_folder(), "one");
    fake(test_folder(), "two");
    EXPECT(manage_remove(&r, test_folder(), "one", true, &e) && r.runs == 4 && r.bytes > 1000,
           "%d runs: %s", r.runs, e.text);
    expect_counts("only said", test_folder(), 2, 8);
    EXPECT(manage_remove(&r, test_folder(), "one", false, &e) && r.runs == 4, "%s", e.text);
    expect_counts("removed", test_folder(), 1, 4);
    EXPECT(!manage_remove(&r, test_folder(), "one", false, &e) && strstr(e.text, "no experiment"),
           "%s", e.text);
    EXPECT(!manage_remove(&r, test_folder(), "../x", false, &e), "a path");
}

/* What a run starts from stays, though its plan is damaged: its record says it, too. */
static void source_stays(void)
{
    static const char *const records[] = {"run.json", "plan.json"};
    manage_report r;
    err e = {{0}};
    char id[17], source[17], path[FILE_PATH_BYTES];
    fake(test_folder(), "one");
    fake(test_folder(), "two");
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
    err e = {{0}};
    fake(test_folder(), "one");
    EXPECT(file_copy(test_inside("experiments/one.json"), test_inside("experiments/copy.json"), &e),
           "%s", e.text);
    EXPECT(manage_remove(&r, test_folder(), "one", false, &e) && r.runs == 0 && r.kept == 4,
           "%d removed, %d kept", r.runs, r.kept);
}

static void renamed(void)
{
    err e = {{0}};
    fake(test_folder(), "one");
    fake(test_folder(), "two");
    EXPECT(!manage_rename(test_folder(), "one", "two", &e) && strstr(e.text, "already"), "%s",
           e.text);
    EXPECT(manage_rename(test_folder(), "one", "three", &e), "%s", e.text);
    EXPECT(file_exists(test_inside("experiments/three.json")) &&
               !file_exists(test_inside("experiments/one.json")),
           "the records");
    expect_counts("renamed", test_folder(), 2, 8);
}

/* What other systems leave in folders is no run and no experiment, and nobody's folder is removed.
 */
static void strangers(void)
{
    static const char *const FILES[] = {"runs/.DS_Store", "runs/Thumbs.db",
                                        "experiments/._one.json", "experiments/.DS_Store",
                                        "runs/mine/notes.txt"};
    manage_report r;
    err e = {{0}};
    fake(test_folder(), "one");
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
    err e = {{0}};
    fake(test_folder(), "one");
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
    expect_counts("renamed", test_folder(), 1, 4);
    EXPECT(manage_remove(&r, test_folder(), "two", false, &e) &&
               !file_exists(test_inside("experiments/two.lock")),
           "%s", e.text);
}

static void garbage(void)
{
    manage_report r;
    err e = {{0}};
    fake(test_folder(), "one");
    fake(test_folder(), "two");
    EXPECT(file_remove(test_inside("experiments/two.json"), &e), "%s", e.text);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, true, &e) && r.runs == 4, "%d",
           r.runs);
    expect_counts("only said", test_folder(), 1, 8);
    EXPECT(manage_collect_garbage(&r, test_folder(), KEEP_ALL, false, &e) && r.runs == 4, "%d",
           r.runs);
    expect_counts("collected", test_folder(), 1, 4);
}

/* Models that training kept stay until gc is asked to let them go. What was set aside when a
 * finished run was trained again goes at once. */
static void kept_models(void)
{
    static const keep_models asked[] = {KEEP_ALL, KEEP_BEST, KEEP_LAST};
    manage_report r;
    err e = {{0}};
    char id[17], inner[64];
    fake(test_folder(), "one");
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
    expect_counts("runs stay", test_folder(), 1, 4);
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
    err e = {{0}};
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    fake(test_inside("here"), "one");
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
    err e = {{0}};
    char id[2][17], path[160];
    fake(test_folder(), "one");
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

static void merged(void)
{
    manage_report r;
    err e = {{0}};
    EXPECT(file_make_folders(test_inside("here"), &e) &&
               file_make_folders(test_inside("there"), &e),
           "%s", e.text);
    fake(test_inside("here"), "one");
    fake(test_inside("there"), "one");
    fake(test_inside("there"), "two");
    for (int i = 0; i < 2; i++) { /* the second time there is nothing left to do */
        EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e), "%s", e.text);
        EXPECT(r.runs == (i ? 0 : 4) && r.experiments == (i ? 0 : 1), "%d runs, %d experiments",
               r.runs, r.experiments);
        expect_counts("merged", test_inside("here"), 2, 8);
    }
    EXPECT(!manage_merge(&r, test_inside("here"), test_inside("nowhere"), NULL, &e),
           "from nowhere");
}

/* What a merge says, besides its report; "": nothing. */
static char *said_by_merge(manage_report *r, const char *out, const char *from)
{
    text_memory m;
    err e = {{0}};
    EXPECT(manage_merge(r, out, from, text_begin(&m), &e), "%s", e.text);
    return text_end(&m);
}

/* Two experiments of one name: their runs would be seeds of the same variants. Of such a one, and
 * of one whose record is damaged here or there, nothing is brought; the rest is. A record in which
 * they are mixed already is left out. */
static void of_one_name(void)
{
    manage_report r;
    err e = {{0}};
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    fake(test_inside("here"), "one");
    fake(test_inside("there"), "one");
    fake(test_inside("there"), "two");
    const char *path = test_inside("there/experiments/one.json");
    json_t *theirs = json_read(path, &e), *run;
    size_t i;
    json_array_foreach(json_object_get(theirs, "runs"), i, run)
    {
        char id[17];
        snprintf(id, sizeof id, "%016d", (int)i);
        json_object_set_new(run, "run", json_string(id));
        json_object_set_new(run, "variant", json_string("of another spec"));
    }
    EXPECT(json_write(path, theirs, &e), "%s", e.text);
    fake(test_inside("there"), "torn");
    EXPECT(truncate(test_inside("there/experiments/torn.json"), 50) == 0, "torn.json");
    text_auto *said = said_by_merge(&r, test_inside("here"), test_inside("there"));
    EXPECT(r.refused == 2 && r.experiments == 1 &&
               strstr(said, "there/experiments/one.json: 'short', seed 1 (run 0000") &&
               strstr(said, "loci mv") && strstr(said, "there/experiments/torn.json"),
           "%d refused: %s", r.refused, said);
    EXPECT(!is_there("here/experiments/torn.json"), "a damaged record was brought");
    EXPECT(file_remove(test_inside("there/experiments/torn.json"), &e), "%s", e.text);
    EXPECT(manage_rename(test_inside("there"), "one", "three", &e), "%s", e.text);
    EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e) &&
               r.experiments == 1,
           "%d: %s", r.experiments, e.text);
    path = test_inside("here/experiments/one.json");
    json_t *ours = json_read(path, &e);
    json_array_extend(json_object_get(ours, "runs"), json_object_get(theirs, "runs"));
    collect_report c;
    EXPECT(json_write(path, ours, &e) && collect(&c, test_inside("here"), false, &e), "%s", e.text);
    EXPECT(c.unreadable == 1 && strstr(c.why, "one.json: 'short', seed 1") &&
               strstr(c.why, "loci run with the spec"),
           "%s", c.why);
    json_decref(ours);
    json_decref(theirs);
}

/* What cannot be copied is named, wherever in a folder it lies, and nothing is left of what was;
 * folders may be as deep as paths are long. */
static void not_to_be_copied(void)
{
    manage_report r;
    err e = {{0}};
    char id[17], path[FILE_PATH_BYTES];
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    fake(test_inside("there"), "one");
    fake_run_id(id, "one", VARIANTS[0].label, 1);
    for (int kind = 0; kind < 2; kind++) {
        int n = snprintf(path, sizeof path, "%s/there/runs/%s/z", test_folder(), id);
        if (kind == 0) EXPECT(mkfifo(path, 0600) == 0, "%s", path);
        for (int i = 0; kind == 1 && i < FILE_DEPTH; i++) {
            n += snprintf(path + n, sizeof path - (size_t)n, "/d");
        }
        if (kind == 1) EXPECT(file_make_folders(path, &e), "%s", e.text);
        EXPECT(!manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e) &&
                   strstr(e.text, kind ? "too deeply" : "z: is not a file"),
               "%s", e.text);
        char left[40];
        snprintf(left, sizeof left, "here/merging-%s", id);
        EXPECT(!file_exists(test_inside(left)), "%s is left", left);
        snprintf(path, sizeof path, "%s/there/runs/%s/z", test_folder(), id);
        EXPECT(file_remove_tree(path, &e), "%s", e.text);
    }
    EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e) && r.runs == 4,
           "%d: %s", r.runs, e.text);
}

/* Removing takes each run's lock, and goes all the same where nothing can be locked. */
static void removed_under_its_lock(void)
{
    manage_report r;
    err e = {{0}};
    char id[4][17], inner[128];
    fake(test_folder(), "one");
    for (int i = 0; i < 4; i++) {
        fake_run_id(id[i], "one", VARIANTS[i / 2].label, 1 + i % 2);
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

/* Experiments of two seeds in here and there. */
static void write_both(char out[2][FILE_PATH_BYTES], const fake_variant *ours,
                       const fake_variant *theirs)
{
    static const char *const folders[] = {"here", "there"};
    err e = {{0}};
    for (int i = 0; i < 2; i++) {
        fake_experiment x = {out[i], "one", 1, 2, 5, i == 0 ? ours : theirs};
        EXPECT(file_join(out[i], test_folder(), folders[i], &e) && file_make_folders(out[i], &e),
               "%s", e.text);
        fake_write(&x);
    }
}

/* The folder that a finished run of theirs replaces keeps its lock's file and what was noted, so
 * that whoever waits for either goes on with what lies there now. */
static void replaced(void)
{
    static const fake_variant OURS[] = {{"short", 0, 0.001, 1000, 100, "failed", false}};
    char id[17], here[128], path[160], out[2][FILE_PATH_BYTES];
    manage_report r;
    err e = {{0}};
    write_both(out, OURS, VARIANTS);
    fake_run_id(id, "one", "short", 2);
    snprintf(here, sizeof here, "here/runs/%s", id);
    snprintf(path, sizeof path, "%s/notes.jsonl", here);
    EXPECT(notes_add(test_inside(path), "note", "ours", &e), "%s", e.text);
    snprintf(path, sizeof path, "there/runs/%s/notes.jsonl", id);
    EXPECT(notes_add(test_inside(path), "note", "theirs", &e), "%s", e.text);
    int lock = run_folder_lock(test_inside(here), &e);
    EXPECT(manage_merge(&r, out[0], out[1], NULL, &e) && r.runs == 0 && r.kept == 1, "%d: %s",
           r.runs, e.text);
    EXPECT(manage_merge(&r, out[0], out[1], NULL, &e) && r.kept == 1, "%s", e.text);
    struct stat before, after;
    snprintf(path, sizeof path, "%s/lock", here);
    EXPECT(fstat(lock, &before) == 0, "the lock");
    close(lock);
    snprintf(path, sizeof path, "there/runs/%s", id);
    lock = run_folder_lock(test_inside(path), &e);
    EXPECT(manage_merge(&r, out[0], out[1], NULL, &e) && r.kept == 1, "theirs is locked");
    close(lock);
    EXPECT(manage_merge(&r, out[0], out[1], NULL, &e) && r.runs == 1 && r.kept == 0, "%d: %s",
           r.runs, e.text);
    snprintf(path, sizeof path, "%s/lock", here);
    EXPECT(stat(test_inside(path), &after) == 0 && before.st_ino == after.st_ino, "another lock");
    snprintf(path, sizeof path, "%s/notes.jsonl", here);
    text_auto *notes = file_read(test_inside(path), NULL, &e);
    EXPECT(notes && strstr(notes, "ours") && strstr(notes, "theirs"), "%s", notes ? notes : "none");
    snprintf(path, sizeof path, "%s/status.json", here);
    text_auto *status = file_read(test_inside(path), NULL, &e);
    EXPECT(status && strstr(status, "done"), "%s", status ? status : "none");
    expect_counts("replaced", out[0], 1, 2);
}

/* Where our finished run has lost lines of its past, theirs, which has them, takes its place; not
 * the other way round. */
static void gap_is_filled(void)
{
    char id[17], path[160], out[2][FILE_PATH_BYTES];
    manage_report r;
    err e = {{0}};
    write_both(out, VARIANTS, VARIANTS);
    fake_run_id(id, "one", "short", 2);
    snprintf(path, sizeof path, "here/runs/%s/metrics.jsonl", id);
    EXPECT(truncate(test_inside(path), 700) == 0, "%s", path);
    EXPECT(manage_merge(&r, out[1], out[0], NULL, &e) && r.runs == 0, "%d: %s", r.runs, e.text);
    EXPECT(manage_merge(&r, out[0], out[1], NULL, &e) && r.runs == 1, "%d: %s", r.runs, e.text);
    run_status s;
    snprintf(path, sizeof path, "here/runs/%s", id);
    EXPECT(run_status_read(&s, test_inside(path), &e) && s.state == RUN_DONE && !s.gap[0], "%s%s",
           e.text, s.gap);
}

/* Runs come before the record that names them: whoever removes what nobody names leaves them alone
 * until it is there. The records' lock holds the merge up in between. */
static void merged_beside_gc(void)
{
    char id[17], path[FILE_PATH_BYTES];
    manage_report r;
    err e = {{0}};
    fake(test_inside("there"), "one");
    fake(test_inside("here"), "two");
    fake_run_id(id, "one", "long", 2);
    snprintf(path, sizeof path, "%s/runs/%s", test_inside("here"), id);
    int records = experiment_lock_records(test_inside("here"), &e);
    char here[FILE_PATH_BYTES], there[FILE_PATH_BYTES];
    snprintf(here, sizeof here, "%s", test_inside("here"));
    snprintf(there, sizeof there, "%s", test_inside("there"));
    fflush(stdout);
    pid_t merge = fork();
    if (merge == 0) {
        close(records);
        _exit(!manage_merge(&r, here, there, NULL, &e));
    }
    for (int i = 0; i < 2000 && !file_exists(path); i++) {
        usleep(10000);
    }
    usleep(100000); /* the last of four, put in place */
    EXPECT(!manage_collect_garbage(&r, here, KEEP_ALL, false, &e) && strstr(e.text, "merge"), "%s",
           e.text);
    EXPECT(manage_collect_garbage(&r, here, KEEP_ALL, true, &e), "a dry run: %s", e.text);
    close(records);
    int status = -1;
    EXPECT(waitpid(merge, &status, 0) == merge && status == 0, "the merge ended with %d", status);
    EXPECT(manage_collect_garbage(&r, here, KEEP_ALL, false, &e) && r.runs == 0, "%d: %s", r.runs,
           e.text);
    expect_counts("beside gc", here, 2, 8);
    int runs = experiment_lock_runs(here, false, &e);
    EXPECT(!manage_remove(&r, here, "two", false, &e) && strstr(e.text, "merge"), "%s", e.text);
    close(runs);
    runs = experiment_lock_runs(here, true, &e);
    EXPECT(!manage_merge(&r, here, there, NULL, &e) && strstr(e.text, "gc"), "%s", e.text);
    close(runs);
}

/* Killed while files were put in place, it leaves no run, and the next merge brings it. */
static void half_replaced(void)
{
    manage_report r;
    err e = {{0}};
    char id[17], path[160];
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    fake(test_inside("there"), "one");
    fake_run_id(id, "one", "short", 1);
    snprintf(path, sizeof path, "there/runs/%s/status.json", id);
    EXPECT(file_write(test_inside(path), "{\"status\": \"interrupted\"}", 25, &e), "%s", e.text);
    snprintf(path, sizeof path, "here/runs/%s", id);
    EXPECT(file_make_folders(test_inside(path), &e), "%s", e.text);
    snprintf(path, sizeof path, "here/runs/%s/lock", id);
    EXPECT(file_write(test_inside(path), "", 0, &e), "%s", e.text);
    snprintf(path, sizeof path, "here/runs/%s/metrics.jsonl", id);
    EXPECT(file_write(test_inside(path), "x", 1, &e), "%s", e.text);
    EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e) && r.runs == 4,
           "%d: %s", r.runs, e.text);
    text_auto *metrics = file_read(test_inside(path), NULL, &e);
    EXPECT(metrics && strlen(metrics) > 1, "%s", metrics ? metrics : "none");
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
                                 {"merged", merged},
                                 {"of_one_name", of_one_name},
                                 {"not_to_be_copied", not_to_be_copied},
                                 {"removed_under_its_lock", removed_under_its_lock},
                                 {"replaced", replaced},
                                 {"gap_is_filled", gap_is_filled},
                                 {"merged_beside_gc", merged_beside_gc},
                                 {"half_replaced", half_replaced},
                                 {0}}};
