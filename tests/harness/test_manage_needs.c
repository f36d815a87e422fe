/* What another run starts from is not removed, whichever way it is named. */
#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/supervise/manage.h"
#include "tests/support/managed.h"
#include "tests/test.h"

/* Two experiments of four runs; `one` is to start from a run of `two`, whose id comes back. */
static void fake_pair(char source[17])
{
    static const char *const names[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        managed_write(test_folder(), names[i]);
    }
    fake_run_id(source, "two", "short", 1);
}

static void change(const char *inner, const char *key, json_t *value, int run)
{
    err e = {0};
    json_auto_t *o = json_read(test_inside(inner), &e);
    json_t *where = run < 0 ? o : json_array_get(json_object_get(o, "runs"), (size_t)run);
    json_object_set_new(where, key, value);
    EXPECT(json_write(test_inside(inner), o, &e), "%s", e.text);
}

static void expect_removed(const char *what, int runs, int kept)
{
    manage_report r;
    err e = {0};
    EXPECT(manage_remove(&r, test_folder(), "two", true, &e) && r.runs == runs && r.kept == kept,
           "%s: %d removed, %d kept: %s", what, r.runs, r.kept, e.text);
}

/* As a run that was begun names it: by a path that leads there. */
static void by_path(void)
{
    static const char *const ways[][2] = {
        {"", ""}, {"", "/"}, {"same/", "/checkpoint"}, {"runs/../", ""}};
    char source[17], id[17], plan[160];
    fake_pair(source);
    fake_run_id(id, "one", "long", 1);
    snprintf(plan, sizeof plan, "runs/%s/plan.json", id);
    EXPECT(symlink(".", test_inside("same")) == 0, "a link");
    expect_removed("not named", 4, 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char path[FILE_PATH_BYTES];
        err e = {0};
        snprintf(path, sizeof path, "%s/runs/%s/checkpoint", test_folder(), source);
        EXPECT(file_make_folders(path, &e), "%s", e.text);
        snprintf(path, sizeof path, "%s/%sruns/%s%s", test_folder(), ways[i][0], source,
                 ways[i][1]);
        change(plan, "spec", json_pack("{s:{s:n, s:s}}", "init_from", "run", "checkpoint", path),
               -1);
        expect_removed(path, 3, 1);
    }
    char beside[FILE_PATH_BYTES];
    snprintf(beside, sizeof beside, "%s/runs-%s", test_folder(), source);
    EXPECT(file_make_folders(beside, NULL), "%s", beside);
    const char *const others[] = {"/tmp", beside};
    for (int i = 0; i < 2; i++) {
        change(plan, "spec", json_pack("{s:{s:s}}", "init_from", "checkpoint", others[i]), -1);
        expect_removed(others[i], 4, 0);
    }
}

/* Of a run that has not begun the experiment's record says it, by id and by path. */
static void not_begun(void)
{
    char source[17], path[FILE_PATH_BYTES];
    fake_pair(source);
    snprintf(path, sizeof path, "%s/runs/%s", test_folder(), source);
    change("experiments/one.json", "source", json_string(source), 0);
    change("experiments/one.json", "run", json_string("0123456789abcdef"), 0);
    expect_removed("by id", 3, 1);
    change("experiments/one.json", "source", json_string(path), 0);
    expect_removed("by path", 3, 1);
    change("experiments/one.json", "source", json_null(), 0);
    expect_removed("nothing", 4, 0);
}

/* By way of runs that no experiment names any more. */
static void by_way_of_another(void)
{
    char source[17], ids[2][17], plan[160];
    err e = {0};
    fake_pair(source);
    managed_write(test_folder(), "lost");
    EXPECT(file_remove(test_inside("experiments/lost.json"), &e), "%s", e.text);
    const char *from = source;
    for (int i = 0; i < 2; i++) {
        fake_run_id(ids[i], "lost", "long", i + 1);
        snprintf(plan, sizeof plan, "runs/%s/plan.json", ids[i]);
        change(plan, "spec", json_pack("{s:{s:s}}", "init_from", "run", from), -1);
        from = ids[i];
    }
    expect_removed("not needed", 4, 0);
    change("experiments/one.json", "source", json_string(from), 0);
    expect_removed("needed", 3, 1);
}

static bool keeps(const char *source, const char *model, keep_models kept)
{
    manage_report r;
    err e = {0};
    char inner[160];
    snprintf(inner, sizeof inner, "runs/%s/%s", source, model);
    EXPECT(file_make_folders(test_inside(inner), &e), "%s", e.text);
    EXPECT(manage_collect_garbage(&r, test_folder(), kept, false, &e), "%s", e.text);
    return file_is_folder(test_inside(inner));
}

/* A model that was kept on the way stays where a run starts from it. */
static void kept_model(void)
{
    char source[17], path[FILE_PATH_BYTES];
    err e = {0};
    fake_pair(source);
    snprintf(path, sizeof path, "%s/runs/%s/checkpoint-2", test_folder(), source);
    EXPECT(file_make_folders(path, &e), "%s", e.text);
    change("experiments/one.json", "source", json_string(path), 0);
    EXPECT(keeps(source, "checkpoint-2", KEEP_LAST), "one that is named");
    EXPECT(!keeps(source, "checkpoint-3", KEEP_LAST), "another");
    EXPECT(!keeps(source, "checkpoint-best", KEEP_LAST), "the best");
}

const test_suite test_manage_needs = {"harness/manage_needs",
                                      {{"by_path", by_path},
                                       {"not_begun", not_begun},
                                       {"by_way_of_another", by_way_of_another},
                                       {"kept_model", kept_model}}};
