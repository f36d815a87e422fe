/* Sweeps: every run is trained, one failure stops nothing, nothing is trained twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/continue_longer.h"
#include "harness/supervise/manage.h"
#include "harness/supervise/supervisor.h"
#include "harness/train/checkpoint_files.h"
#include "tests/support/trials.h"
#include "tests/test.h"

static experiment *experiment_of(const char *more)
{
    static char path[FILE_PATH_BYTES];
    err e = {0};
    file_join(path, test_folder(), "sweep.yaml", NULL);
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%s%s", TRIAL_SPEC, more) > 0, "%s", path);
    if (f) fclose(f);
    experiment *x = experiment_load(path, NULL, &e);
    EXPECT(x, "%s", e.text);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    if (x && !experiment_resolve(x, &places, &e)) {
        EXPECT(false, "%s", e.text);
        experiment_free(x);
        return NULL;
    }
    return x;
}

static supervisor_result supervise_as(const experiment *x, supervisor_options o)
{
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    if (!o.out) o.out = test_folder();
    o.places = &places;
    o.command = "loci run sweep.yaml";
    o.program = test_program();
    o.threads = 1;
    o.quiet = true;
    supervisor_result r = {0};
    err e = {0};
    bool ok = trial_supervise(&r, x, &o, &e);
    EXPECT(ok, "%s", e.text);
    return r;
}

static supervisor_result supervise(const experiment *x, int jobs, bool retry)
{
    return supervise_as(
        x, (supervisor_options){.jobs = jobs, .retry = retry ? RETRY_ALL : RETRY_NONE});
}

static const char WITH_A_BAD_ONE[] =
    "sweep:\n"
    "  seeds: 2\n"
    "  grid:\n"
    "    rate:\n"
    "      usual: {}\n"
    "      wild: {optimizer.kind: sgd, optimizer.lr: 1e6, optimizer.clip: 0,\n"
    "        optimizer.groups: [{match: \"*\", lr: 1e6}]}\n"
    "      small: {optimizer.lr: 1e-4}\n";

static run_status status_of(const run_plan *p)
{
    char folder[FILE_PATH_BYTES];
    run_folder_path(folder, test_folder(), p->id, NULL);
    return trial_status(folder);
}

static void one_failure_stops_nothing(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of(WITH_A_BAD_ONE);
    if (!x) return;
    EXPECT(x->run_count == 6, "%d runs", x->run_count);
    supervisor_result r = supervise(x, 2, false);
    EXPECT(r.done == 4 && r.failed == 2 && r.skipped == 0, "%d done, %d failed, %d skipped", r.done,
           r.failed, r.skipped);
    EXPECT(supervision_exit(&r) == EXIT_RUNS_FAILED, "%d", supervision_exit(&r));
    for (int i = 0; i < x->run_count; i++) {
        run_status s = status_of(&x->runs[i]);
        bool wild = strcmp(x->runs[i].label, "wild") == 0;
        EXPECT(s.state == (wild ? RUN_DIVERGED : RUN_DONE), "%s: %s: %s", x->runs[i].label,
               run_status_state_name(s.state), s.reason);
        EXPECT(!wild || strstr(s.reason, "step "), "%s", s.reason);
    }
    r = supervise(x, 1, false);
    EXPECT(r.done == 0 && r.failed == 2 && r.skipped == 4, "%d done, %d failed, %d skipped", r.done,
           r.failed, r.skipped);
    r = supervise(x, 1, true);
    EXPECT(r.done == 0 && r.failed == 2 && r.skipped == 4, "%d, %d", r.done, r.failed);
    experiment_free(x);
}

/* Numbers of runs in each state. */
static void expect_states(const experiment *x, const char *what, int done, int diverged, int failed)
{
    int counts[RUN_STATES] = {0};
    for (int i = 0; i < x->run_count; i++) {
        counts[status_of(&x->runs[i]).state]++;
    }
    EXPECT(counts[RUN_DONE] == done && counts[RUN_DIVERGED] == diverged &&
               counts[RUN_FAILED] == failed,
           "%s: %d done, %d diverged, %d failed", what, counts[RUN_DONE], counts[RUN_DIVERGED],
           counts[RUN_FAILED]);
}

/* The first failure ends it; going on leaves what failed alone unless a retry of its kind is asked
 * for. */
static void failures_can_stop_it(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of(WITH_A_BAD_ONE);
    if (!x) return;
    supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 1, .max_failures = 1});
    EXPECT(r.gave_up && supervision_exit(&r) == EXIT_RUNS_FAILED, "%d", supervision_exit(&r));
    expect_states(x, "fail fast", 1, 1, 0);
    r = supervise_as(x, (supervisor_options){.jobs = 1, .max_failures = 2});
    EXPECT(!r.gave_up && r.done == 3 && r.failed == 2, "%d done, %d failed", r.done, r.failed);
    expect_states(x, "the rest", 4, 2, 0);
    run_status s = status_of(&x->runs[1]);
    EXPECT(s.kind == KIND_DIVERGED, "%s", run_status_kind_name(s.kind));
    r = supervise_as(x, (supervisor_options){.jobs = 1, .retry = RETRY_FAILED});
    EXPECT(r.skipped == 4 && r.failed == 2, "%d skipped, %d failed", r.skipped, r.failed);
    experiment_free(x);
}

/* A run whose time is up has failed, and says so; with more time it goes on from where it was. A
 * slow machine gets as much as it needs for a step. */
static void time_is_up(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {list: [{train.budget: {steps: 200000}}]}\n");
    if (!x) return;
    supervisor_result r;
    run_status s = {0};
    for (double timeout = 3; s.step == 0 && timeout < 1000; timeout *= 2) {
        r = supervise_as(
            x, (supervisor_options){.jobs = 1, .timeout = timeout, .retry = RETRY_FAILED});
        s = status_of(&x->runs[0]);
    }
    EXPECT(r.failed == 1 && s.kind == KIND_TIMEOUT && s.step > 0, "%d failed, %s at step %lld",
           r.failed, run_status_kind_name(s.kind), (long long)s.step);
    r = supervise_as(x, (supervisor_options){.jobs = 1, .retry = RETRY_DIVERGED});
    EXPECT(r.failed == 1 && r.done == 0, "%d failed, %d done", r.failed, r.done);
    experiment_free(x);
}

static char *text_of(const char *out, const run_plan *p, const char *name)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    run_folder_path(folder, out, p->id, &e);
    file_join(path, folder, name, &e);
    char *text = file_read(path, NULL, &e);
    EXPECT(text, "%s", e.text);
    return text;
}

/* A longer budget goes on from the shorter run, and ends with the bits of one trained at once. */
static void budget_is_added(void)
{
    if (!test_program()) return;
    static const char *const budgets[] = {"{steps: 4}", "{steps: 10}"};
    char once[FILE_PATH_BYTES], more[256], *first[2] = {NULL}, *manifest[2] = {NULL};
    char *kept[2] = {NULL};
    char *evals[2] = {NULL};
    file_join(once, test_folder(), "once", NULL);
    for (int i = 0; i < 3; i++) { /* 4, 10 after 4, 10 alone */
        snprintf(
            more, sizeof more,
            "sweep: {list: [{schedule.kind: constant, train.eval_every: 2, train.keep_every: 2,"
            " train.budget: %s}]}\n",
            budgets[i > 0]);
        experiment *x = experiment_of(more);
        if (!x) return;
        const char *out = i == 2 ? once : test_folder();
        supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 1, .out = out});
        EXPECT(r.done == 1, "%d done", r.done);
        if (i < 2) first[i] = text_of(out, &x->runs[0], "metrics.jsonl");
        if (i > 0) manifest[i - 1] = text_of(out, &x->runs[0], "checkpoint/manifest.json");
        if (i > 0) evals[i - 1] = text_of(out, &x->runs[0], "evals.jsonl");
        if (i > 0) kept[i - 1] = text_of(out, &x->runs[0], "checkpoint-2/manifest.json");
        experiment_free(x);
    }
    size_t line = first[0] ? strcspn(first[0], "\n") : 0;
    EXPECT(first[1] && strncmp(first[0], first[1], line) == 0, "trained again: %s", first[1]);
    /* The model's checksum; the other file's holds seconds. */
    const char *hash[2];
    for (int i = 0; i < 2; i++)
        hash[i] = manifest[i] ? strstr(manifest[i], "model-10") : NULL;
    EXPECT(hash[0] && hash[1] && strncmp(hash[0], hash[1], 110) == 0, "%s%s", hash[0], hash[1]);
    EXPECT(kept[0] && kept[1] && strstr(kept[0], "model-2") && strstr(kept[1], "model-2"),
           "models kept on the way: %s%s", kept[0], kept[1]);
    /* The evaluations on the way are its own, by the ids that it would have given them. */
    int n = 0;
    for (const char *x = evals[0], *y = evals[1]; x && y; n++) {
        const char *a = strstr(x, "\"eval\":"), *b = strstr(y, "\"eval\":");
        if (!a && !b) break;
        EXPECT(a && b && strncmp(a, b, 24) == 0, "evaluation %d: %.24s, at once %.24s", n,
               a ? a : "none", b ? b : "none");
        x = a ? a + 1 : NULL;
        y = b ? b + 1 : NULL;
    }
    EXPECT(n == 5, "%d evaluations, at 2, 4, 6, 8 and the end", n);
    for (int i = 0; i < 2; i++) {
        free(first[i]);
        free(manifest[i]);
        free(evals[i]);
        free(kept[i]);
    }
}

/* Whatever the run is logged by, be it where the shorter one ended or not; its first step alone is
 * logged as every run's. */
static void curve_of_the_whole(void)
{
    static const int cases[][2] = {{4, 3}, {4, 2}, {5, 3}, {1, 3}, {8, 100}}; /* steps, log_every */
    if (!test_program()) return;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char out[2][FILE_PATH_BYTES], folder[2][FILE_PATH_BYTES], name[32], more[256];
        for (int i = 0; i < 3; i++) { /* short, 10 after short, 10 alone */
            snprintf(name, sizeof name, "curve%zu-%s", k, i == 2 ? "once" : "after");
            file_join(out[i > 1], test_folder(), name, NULL);
            snprintf(more, sizeof more,
                     "sweep: {list: [{schedule.kind: constant, train.eval_every: 2,"
                     " train.log_every: %d, train.budget: {steps: %d}}]}\n",
                     cases[k][1], i == 0 ? cases[k][0] : 10);
            experiment *x = experiment_of(more);
            if (!x) return;
            supervisor_result r =
                supervise_as(x, (supervisor_options){.jobs = 1, .out = out[i > 1]});
            EXPECT(r.done == 1, "%d done", r.done);
            run_folder_path(folder[i > 1], out[i > 1], x->runs[0].id, NULL);
            experiment_free(x);
        }
        snprintf(name, sizeof name, "%d steps, by %d", cases[k][0], cases[k][1]);
        trial_same(name, folder[0], folder[1]);
    }
}

static void expect_beginning(const char *list, bool possible)
{
    char more[2 * FILE_PATH_BYTES];
    snprintf(more, sizeof more, "sweep: {list: [%s]}\n", list);
    experiment *x = experiment_of(more);
    if (!x) return;
    EXPECT(continue_longer_possible(&x->runs[0]) == possible, "%s: %d", list, !possible);
    experiment_free(x);
}

/* Only what would be the same for certain is a beginning, and only while it is there. */
static void beginnings(void)
{
    if (!test_program()) return;
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES + 100];
    err e = {0};
    expect_beginning("{schedule.kind: inverse_sqrt}", true);
    expect_beginning("{schedule.kind: cosine}", false);
    expect_beginning("{schedule.kind: constant, train.keep_best: true}", false);
    experiment *x = experiment_of("sweep: {list: [{schedule.kind: constant}]}\n");
    if (!x) return;
    run_plan longer = x->runs[0];
    longer.resolved = node_copy(x->memory, longer.resolved);
    node_set(x->memory, node_at(longer.resolved, "train.budget"), "steps",
             node_scalar(x->memory, "20", true));
    supervise(x, 1, false);
    run_folder_path(folder, test_folder(), x->runs[0].id, &e);
    json_t *all = continue_longer_beginnings(test_folder());
    const char *found = continue_longer_find(all, &longer, test_folder(), "/nowhere");
    EXPECT(found && strcmp(found, x->runs[0].id) == 0, "%s", found);
    snprintf(path, sizeof path, "{schedule.kind: constant, init_from: {checkpoint: %s}}", folder);
    expect_beginning(path, false);
    EXPECT(file_join(path, folder, "run.json", &e), "%s", e.text);
    json_t *record = json_read(path, &e);
    json_object_set_new(record, "real", json_string("of another program"));
    EXPECT(json_write(path, record, &e), "%s", e.text);
    json_decref(record);
    EXPECT(!continue_longer_find(all, &longer, test_folder(), "/nowhere"), "of other numbers");
    EXPECT(file_remove_tree(folder, &e), "%s", e.text);
    EXPECT(!continue_longer_find(all, &longer, test_folder(), "/nowhere"), "it is gone");
    json_decref(all);
    experiment_free(x);
}

static void record_of_the_experiment(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {seeds: [4], baseline: b, grid: {c: {b: {}, a: "
                                  "{optimizer.lr: 1e-4}}}}\n");
    if (!x) return;
    supervise(x, 0, false);
    char path[FILE_PATH_BYTES];
    err e = {0};
    file_join(path, test_folder(), "experiments/sweep.json", NULL);
    json_t *o = json_read(path, &e);
    EXPECT(o, "%s", e.text);
    const json_t *runs = json_object_get(o, "runs");
    EXPECT(json_array_size(runs) == 2, "%zu", json_array_size(runs));
    const json_t *first = json_array_get(runs, 0);
    EXPECT(strcmp(json_get_text(o, "baseline"), json_get_text(first, "label")) == 0 &&
               json_is_true(json_object_get(first, "baseline")),
           "%s", json_get_text(o, "baseline"));
    EXPECT(strcmp(json_get_text(first, "run"), x->runs[0].id) == 0, "%s", x->runs[0].id);
    EXPECT(strstr(json_get_text(o, "spec_text"), "sweep:"), "the text is missing");
    EXPECT(!json_object_get(first, "source"), "it starts from nothing");
    json_decref(o);
    experiment_free(x);
}

/* One run always goes; more only as far as memory reaches. */
static void memory_limits_jobs(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {seeds: 4}\n");
    if (!x) return;
    supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 3, .memory = 1});
    EXPECT(r.done == 4 && r.most == 1, "%d done, %d at a time", r.done, r.most);
    experiment_free(x);
    x = experiment_of("sweep: {seeds: [5, 6, 7]}\n");
    r = supervise_as(x, (supervisor_options){.jobs = 2, .memory = (int64_t)1 << 40});
    EXPECT(r.done == 3 && r.most == 2, "%d done, %d at a time", r.done, r.most);
    experiment_free(x);
}

/* Another process has the run in hand until the lock is closed. */
static int hold(const run_plan *p)
{
    char folder[FILE_PATH_BYTES];
    err e = {0};
    const run_status busy = {.state = RUN_RUNNING, .pid = getpid()};
    run_folder_path(folder, test_folder(), p->id, &e);
    EXPECT(file_make_folders(folder, &e), "%s", e.text);
    int lock = run_folder_lock(folder, &e);
    EXPECT(lock >= 0 && run_status_write(&busy, folder, true, &e), "%s", e.text);
    return lock;
}

/* A run that another process has in hand is left to it if that is asked for. */
static void busy_runs_can_be_left(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {seeds: 2}\n");
    if (!x) return;
    int lock = hold(&x->runs[1]);
    supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 2, .leave_busy = true});
    EXPECT(r.done == 1 && r.busy == 1 && supervision_exit(&r) == EXIT_INTERRUPTED,
           "%d done, %d busy", r.done, r.busy);
    close(lock); /* it died: the next one takes the run over */
    r = supervise_as(x, (supervisor_options){.jobs = 2});
    EXPECT(r.done == 1 && r.skipped == 1 && r.busy == 0, "%d done, %d busy", r.done, r.busy);
    experiment_free(x);
}

/* A task that shares a sweep ends well once what is left is in living hands. */
static void tasks_leave_what_others_have(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {seeds: 2}\n");
    if (!x) return;
    int lock = hold(&x->runs[1]);
    supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 2, .shares = true});
    EXPECT(r.done == 1 && r.busy == 1 && supervision_exit(&r) == EXIT_DONE, "%d done, %d busy",
           r.done, r.busy);
    close(lock); /* it died: the next task takes the run over */
    r = supervise_as(x, (supervisor_options){.jobs = 2, .shares = true});
    EXPECT(r.done == 1 && r.skipped == 1 && r.busy == 0, "%d done, %d busy", r.done, r.busy);
    experiment_free(x);
}

/* Then nothing that starts from it is waited for, either. */
static void sources_can_be_left(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {list: [{label: plain}, {label: later, init_from: "
                                  "{variant: plain}, train.budget: {steps: 2}}]}\n");
    if (!x) return;
    int lock = hold(&x->runs[0]);
    supervisor_result r = supervise_as(x, (supervisor_options){.jobs = 2, .leave_busy = true});
    EXPECT(r.busy == 1 && r.interrupted == 1 && supervision_exit(&r) == EXIT_INTERRUPTED,
           "%d busy, %d interrupted", r.busy, r.interrupted);
    /* What has not begun needs its source, too. */
    json_auto_t *o = json_read(test_inside("experiments/sweep.json"), &(err){0});
    const char *source = json_get_text(json_array_get(json_object_get(o, "runs"), 1), "source");
    EXPECT(source && strcmp(source, x->runs[0].id) == 0, "%s", source);
    close(lock);
    experiment_free(x);
}

/* A final evaluation that cannot begin is a failure, but none of the training. */
static void finished_runs_stay_finished(void)
{
    if (!test_program()) return;
    experiment *x = experiment_of("");
    if (!x) return;
    supervisor_result r = supervise(x, 1, false);
    EXPECT(r.done == 1, "%d done", r.done);
    char folder[FILE_PATH_BYTES], log[FILE_PATH_BYTES];
    err e = {0};
    run_folder_path(folder, test_folder(), x->runs[0].id, &e);
    int lock = run_folder_lock(folder, &e);
    experiment_free(x);
    x = experiment_of("sweep: {seeds: 1}\n");
    if (!x) return;
    node_set(x->memory, node_get(x->runs[0].resolved, "eval"), "tokens",
             node_scalar(x->memory, "64", true));
    r = supervise_as(x, (supervisor_options){.jobs = 1, .leave_busy = true});
    EXPECT(r.busy == 1 && supervision_exit(&r) == EXIT_INTERRUPTED, "%d left to who has the folder",
           r.busy);
    close(lock);
    EXPECT(file_join(log, folder, "log.txt", &e) && file_remove(log, &e) &&
               file_make_folders(log, &e),
           "%s", e.text);
    r = supervise(x, 1, false);
    EXPECT(r.failed == 1 && r.stayed == 1 && supervision_exit(&r) == EXIT_RUNS_FAILED,
           "%d failed, of which %d are as they were", r.failed, r.stayed);
    EXPECT(status_of(&x->runs[0]).state == RUN_DONE, "%s",
           run_status_state_name(status_of(&x->runs[0]).state));
    experiment_free(x);
}

/* Emptied; or its first number is another. */
static void spoil(const char *path, bool emptied)
{
    size_t bytes;
    err e = {0};
    text_auto *text = file_read(path, &bytes, &e);
    char *at = text;
    while (at && (at = strstr(at, "\": ")) && (at[3] < '0' || at[3] > '9'))
        at++;
    EXPECT(at, "%s: %s", path, e.text);
    if (at) at[3] = at[3] == '7' ? '8' : '7';
    EXPECT(at && file_write(path, text, emptied ? 0 : bytes, &e), "%s", e.text);
}

/* A record that nobody can read, as after a power cut, stops neither its run nor the others, and
 * has nothing trained again: also where gc has removed what training could go on from. */
static void damaged_records(void)
{
    static const char *const names[] = {"status.json", "plan.json", "run.json", "final.json"};
    if (!test_program()) return;
    experiment *x = experiment_of("sweep: {seeds: 2}\n");
    if (!x) return;
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], kept[FILE_PATH_BYTES];
    err e = {0};
    int64_t trained, now;
    manage_report removed;
    supervisor_result r = supervise(x, 1, false);
    EXPECT(manage_collect_garbage(&removed, test_folder(), KEEP_ALL, false, &e), "%s", e.text);
    run_folder_path(folder, test_folder(), x->runs[0].id, &e);
    EXPECT(file_join(path, folder, "checkpoint", &e) &&
               checkpoint_files_path(kept, path, "model", &e) &&
               file_stat(kept, NULL, &trained, &e),
           "%s", e.text);
    for (int k = 0; k < 8; k++) {
        int i = k % 4;
        EXPECT(file_join(path, folder, names[i], &e), "%s", e.text);
        spoil(path, k < 4);
        r = supervise(x, 1, false);
        EXPECT(r.done == 0 && r.mended == 1 && r.skipped == 1, "%s: %d done, %d mended, %d skipped",
               names[i], r.done, r.mended, r.skipped);
        EXPECT(file_stat(kept, NULL, &now, &e) && now == trained, "%s: trained again", names[i]);
        expect_states(x, names[i], 2, 0, 0);
    }
    /* Where it cannot be mended the run is not lost: it is as it was, and tried again. */
    EXPECT(file_join(path, folder, "run.json", &e) && file_write(path, "", 0, &e) &&
               file_join(path, folder, "log.txt", &e) && file_remove(path, &e) &&
               file_make_folders(path, &e),
           "%s", e.text);
    r = supervise(x, 1, false);
    EXPECT(r.failed == 1 && r.stayed == 1 && status_of(&x->runs[0]).ended, "%d failed, %s",
           r.failed, status_of(&x->runs[0]).reason);
    EXPECT(file_remove_tree(path, &e), "%s", e.text);
    r = supervise(x, 1, false);
    EXPECT(r.mended == 1 && r.skipped == 1, "%d mended", r.mended);
    experiment_free(x);
}

const test_suite test_supervisor = {"harness/supervisor",
                                    {{"one_failure_stops_nothing", one_failure_stops_nothing},
                                     {"failures_can_stop_it", failures_can_stop_it},
                                     {"time_is_up", time_is_up},
                                     {"budget_is_added", budget_is_added},
                                     {"curve_of_the_whole", curve_of_the_whole},
                                     {"beginnings", beginnings},
                                     {"memory_limits_jobs", memory_limits_jobs},
                                     {"tasks_leave_what_others_have", tasks_leave_what_others_have},
                                     {"busy_runs_can_be_left", busy_runs_can_be_left},
                                     {"sources_can_be_left", sources_can_be_left},
                                     {"finished_runs_stay_finished", finished_runs_stay_finished},
                                     {"damaged_records", damaged_records},
                                     {"record_of_the_experiment", record_of_the_experiment},
                                     SUITE_WAITS}};
