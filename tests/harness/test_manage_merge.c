/* Bringing results together. */
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
#include "tests/support/managed.h"
#include "tests/test.h"

static void merged(void)
{
    manage_report r;
    err e = {0};
    EXPECT(file_make_folders(test_inside("here"), &e) &&
               file_make_folders(test_inside("there"), &e),
           "%s", e.text);
    managed_write(test_inside("here"), "one");
    managed_write(test_inside("there"), "one");
    managed_write(test_inside("there"), "two");
    for (int i = 0; i < 2; i++) { /* the second time there is nothing left to do */
        EXPECT(manage_merge(&r, test_inside("here"), test_inside("there"), NULL, &e), "%s", e.text);
        EXPECT(r.runs == (i ? 0 : 4) && r.experiments == (i ? 0 : 1), "%d runs, %d experiments",
               r.runs, r.experiments);
        managed_expect("merged", test_inside("here"), 2, 8);
    }
    EXPECT(!manage_merge(&r, test_inside("here"), test_inside("nowhere"), NULL, &e),
           "from nowhere");
}

/* What a merge says, besides its report; "": nothing. */
static char *said_by_merge(manage_report *r, const char *out, const char *from)
{
    text_memory m;
    err e = {0};
    EXPECT(manage_merge(r, out, from, text_begin(&m), &e), "%s", e.text);
    return text_end(&m);
}

/* Two experiments of one name: their runs would be seeds of the same variants. Of such a one, and
 * of one whose record is damaged here or there, nothing is brought; the rest is. A record in which
 * they are mixed already is left out. */
static void of_one_name(void)
{
    manage_report r;
    err e = {0};
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    managed_write(test_inside("here"), "one");
    managed_write(test_inside("there"), "one");
    managed_write(test_inside("there"), "two");
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
    managed_write(test_inside("there"), "torn");
    EXPECT(truncate(test_inside("there/experiments/torn.json"), 50) == 0, "torn.json");
    text_auto *said = said_by_merge(&r, test_inside("here"), test_inside("there"));
    EXPECT(r.refused == 2 && r.experiments == 1 &&
               strstr(said, "there/experiments/one.json: 'short', seed 1 (run 0000") &&
               strstr(said, "loci mv") && strstr(said, "there/experiments/torn.json"),
           "%d refused: %s", r.refused, said);
    EXPECT(!file_exists(test_inside("here/experiments/torn.json")), "a damaged record was brought");
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

/* The folder of a run of so many steps. */
static void budget_run(char path[FILE_PATH_BYTES], const char *out, int steps, const char *label,
                       int seed)
{
    char name[16], id[17];
    snprintf(name, sizeof name, "steps%d", steps);
    fake_run_id(id, name, label, seed);
    snprintf(path, FILE_PATH_BYTES, "%s/runs/%s", out, id);
}

/* An experiment `one` of runs of so many steps: with another budget they are other runs, and of
 * other variants. */
static void write_budget(const char *out, int steps)
{
    char name[16], path[FILE_PATH_BYTES];
    err e = {0};
    snprintf(name, sizeof name, "steps%d", steps);
    EXPECT(file_make_folders(out, &e), "%s", e.text);
    managed_write(out, name);
    EXPECT(manage_rename(out, name, "one", &e), "%s", e.text);
    for (int i = 0; i < 4; i++) {
        budget_run(path, out, steps, MANAGED[i / 2].label, i % 2 + 1);
        strcat(path, "/plan.json");
        json_auto_t *plan = json_read(path, &e);
        json_object_set_new(plan, "spec",
                            json_pack("{s:{s:{s:i}}}", "train", "budget", "steps", steps));
        EXPECT(plan && json_write(path, plan, &e), "%s", e.text);
    }
}

/* What there is to know of a claim of a record: its words by their hash. */
static json_t *claimed(const char *name, const char *hash, const char *at, bool late)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", name, "hash", hash, "recorded_at", at,
                     "after_the_fact", (int)late, "withdrawn", 0);
}

/* The claims become those of the record at that path, which had results. */
static void put_claims(const char *path, json_t *claims)
{
    err e = {0};
    json_auto_t *o = json_read(path, &e);
    json_object_set_new(o, "had_results", json_true());
    json_object_set_new(o, "claims", claims);
    EXPECT(o && json_write(path, o, &e), "%s", e.text);
}

/* What was claimed here, and how, is not forgotten with the smaller budget's record. */
static void claims_outlive_their_record(void)
{
    manage_report r;
    err e = {0};
    char here[FILE_PATH_BYTES], record[FILE_PATH_BYTES];
    snprintf(here, sizeof here, "%s", test_inside("here"));
    snprintf(record, sizeof record, "%s", test_inside("here/experiments/one.json"));
    write_budget(here, 40);
    write_budget(test_inside("there"), 80);
    json_t *moved = claimed("moved", "6", "2026-01-02", false);
    json_object_set_new(moved, "changed", json_string("its budget"));
    put_claims(record, json_pack("[o, o, o, o]", claimed("late", "1", "2026-01-02", true),
                                 claimed("gone", "2", "2026-01-02", false),
                                 claimed("reworded", "3", "2026-01-02", false), moved));
    put_claims(test_inside("there/experiments/one.json"),
               json_pack("[o, o, o, o]", claimed("late", "1", "2026-01-03", false),
                         claimed("new", "4", "2026-01-03", false),
                         claimed("reworded", "5", "2026-01-03", false),
                         claimed("moved", "6", "2026-01-03", false)));
    text_auto *said = said_by_merge(&r, here, test_inside("there"));
    EXPECT(strstr(said, "has the larger budget"), "%s", said);
    json_auto_t *o = json_read(record, &e), *want = json_array();
    json_array_append_new(want, claimed("late", "1", "2026-01-02", true));
    json_array_append_new(want, claimed("new", "4", "2026-01-03", false));
    json_array_append_new(want, claimed("reworded", "5", "2026-01-03", true));
    json_array_append_new(want, claimed("moved", "6", "2026-01-02", true));
    json_array_append_new(want, claimed("gone", "2", "2026-01-02", false));
    json_object_set_new(json_array_get(want, 4), "withdrawn", json_true());
    text_auto *is = json_dumps(json_object_get(o, "claims"), JSON_SORT_KEYS);
    text_auto *wanted = json_dumps(want, JSON_SORT_KEYS);
    EXPECT(is && strcmp(is, wanted) == 0, "%s, not %s", is, wanted);
}

/* Which budget is the larger is known by what was begun of either, whatever seed that is; where a
 * label is of two variants nobody knows. */
static void of_other_budgets(void)
{
    char here[FILE_PATH_BYTES], there[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    manage_report r;
    err e = {0};
    snprintf(here, sizeof here, "%s", test_inside("here"));
    snprintf(there, sizeof there, "%s", test_inside("there"));
    write_budget(here, 40);
    write_budget(there, 80);
    budget_run(path, here, 40, "short", 1);
    EXPECT(file_remove_tree(path, &e), "%s", e.text);
    for (int seed = 1; seed <= 2; seed++) {
        budget_run(path, there, 80, "long", seed);
        EXPECT(file_remove_tree(path, &e), "%s", e.text);
    }
    const char *record = test_inside("there/experiments/one.json");
    json_auto_t *theirs = json_read(record, &e), *mixed = json_deep_copy(theirs);
    json_object_set_new(json_array_get(json_object_get(mixed, "runs"), 3), "variant",
                        json_string("of another spec"));
    EXPECT(json_write(record, mixed, &e), "%s", e.text);
    text_auto *refused = said_by_merge(&r, here, there);
    EXPECT(r.refused == 1 && r.experiments == 0, "%d experiments: %s", r.experiments, refused);
    EXPECT(json_write(record, theirs, &e), "%s", e.text);
    text_auto *taken = said_by_merge(&r, here, there);
    EXPECT(r.refused == 0 && r.experiments == 1 && strstr(taken, "has the larger budget"),
           "%d experiments: %s", r.experiments, taken);
}

/* What cannot be copied is named, wherever in a folder it lies, and nothing is left of what was;
 * folders may be as deep as paths are long. */
static void not_to_be_copied(void)
{
    manage_report r;
    err e = {0};
    char id[17], path[FILE_PATH_BYTES];
    EXPECT(file_make_folders(test_inside("here"), &e), "%s", e.text);
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    managed_write(test_inside("there"), "one");
    fake_run_id(id, "one", MANAGED[0].label, 1);
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

/* Experiments of two seeds in here and there. */
static void write_both(char out[2][FILE_PATH_BYTES], const fake_variant *ours,
                       const fake_variant *theirs)
{
    static const char *const folders[] = {"here", "there"};
    err e = {0};
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
    err e = {0};
    write_both(out, OURS, MANAGED);
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
    managed_expect("replaced", out[0], 1, 2);
}

/* Where our finished run has lost lines of its past, theirs, which has them, takes its place; not
 * the other way round. */
static void gap_is_filled(void)
{
    char id[17], path[160], out[2][FILE_PATH_BYTES];
    manage_report r;
    err e = {0};
    write_both(out, MANAGED, MANAGED);
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
    err e = {0};
    managed_write(test_inside("there"), "one");
    managed_write(test_inside("here"), "two");
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
    managed_expect("beside gc", here, 2, 8);
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
    err e = {0};
    char id[17], path[160];
    EXPECT(file_make_folders(test_inside("there"), &e), "%s", e.text);
    managed_write(test_inside("there"), "one");
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

const test_suite test_manage_merge = {"harness/manage_merge",
                                      {{"merged", merged},
                                       {"of_one_name", of_one_name},
                                       {"claims_outlive_their_record", claims_outlive_their_record},
                                       {"of_other_budgets", of_other_budgets},
                                       {"not_to_be_copied", not_to_be_copied},
                                       {"replaced", replaced},
                                       {"gap_is_filled", gap_is_filled},
                                       {"merged_beside_gc", merged_beside_gc},
                                       {"half_replaced", half_replaced},
                                       {0}}};
