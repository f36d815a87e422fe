/* Keeping, renaming, removing and bringing results together. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/experiment_lock.h"
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
    EXPECT(manage_merge(&r, test_inside("other"), test_folder(), &e) && r.runs == 4 &&
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

/* Models that training kept stay until gc is asked to let them go. */
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
    for (int k = 0; k < 3; k++) {
        EXPECT(manage_collect_garbage(&r, test_folder(), asked[k], true, &e), "%s", e.text);
        EXPECT(manage_collect_garbage(&r, test_folder(), asked[k], false, &e), "%s", e.text);
        for (int i = 0; i < 2; i++) {
            snprintf(inner, sizeof inner, "runs/%s/%s", id, names[i]);
            EXPECT(file_is_folder(test_inside(inner)) == (k <= i), "%s after %d", names[i], k);
        }
    }
    expect_counts("runs stay", test_folder(), 1, 4);
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
        EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), &e), "%s", e.text);
        EXPECT(r.runs == (i ? 0 : 4) && r.experiments == (i ? 0 : 1), "%d runs, %d experiments",
               r.runs, r.experiments);
        expect_counts("merged", test_inside("here"), 2, 8);
    }
    EXPECT(!manage_merge(&r, test_inside("here"), test_inside("nowhere"), &e), "from nowhere");
}

const test_suite test_manage = {"harness/manage",
                                {{"removed", removed},
                                 {"shared", shared},
                                 {"renamed", renamed},
                                 {"garbage", garbage},
                                 {"strangers", strangers},
                                 {"running stays", running_stays},
                                 {"kept_models", kept_models},
                                 {"merged", merged},
                                 {0}}};
