/* Results that are copied back from another machine, more than once: of each run the state that is
 * further stays, in whatever order they come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_names.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* Trains in test_folder()/OUT; a worker is killed behind so many steps (0: none is). */
static void train(const char *out, const char *budget, int steps)
{
    char point[32], folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", test_inside(out));
    snprintf(point, sizeof point, "step:%d", steps);
    if (steps > 0) setenv("LOCI_FAILPOINT", point, 1);
    program_result r = LOCI("run", tiny_sweep(), "--quiet", "--out", folder, "--set", budget,
                            "--set", "train.checkpoint_seconds=0", "--set", "train.eval_every=2");
    unsetenv("LOCI_FAILPOINT");
    EXPECT(r.status == (steps > 0 ? EXIT_INTERRUPTED : EXIT_DONE), "%d: %s", r.status, r.err);
}

static program_result merge(const char *from, const char *to)
{
    char source[FILE_PATH_BYTES], target[FILE_PATH_BYTES];
    snprintf(source, sizeof source, "%s", test_inside(from));
    snprintf(target, sizeof target, "%s", test_inside(to));
    return LOCI("merge", source, "--out", target);
}

static void copy(const char *from, const char *to)
{
    char command[3 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "cd '%s' && rm -rf %s && cp -a %s %s", test_folder(), to,
             from, to);
    EXPECT(system(command) == 0, "%s", command);
}

/* A shell's command, in the folder of the runs there. */
static void in_runs(const char *out, const char *what)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "cd '%s/%s/runs' && %s", test_folder(), out, what);
    EXPECT(system(command) == 0, "%s", command);
}

/* The ids of the runs there (arena's), and how many of them are done. */
static int64_t runs_of(const char *out, arena *a, const char *const **names, int *done)
{
    int64_t count;
    err e = {0};
    EXPECT(manage_names_runs(test_inside(out), a, names, &count, &e), "%s", e.text);
    *done = 0;
    for (int64_t i = 0; i < count; i++) {
        char folder[FILE_PATH_BYTES];
        run_status s;
        EXPECT(run_folder_path(folder, test_inside(out), (*names)[i], &e) &&
                   run_status_read(&s, folder, &e),
               "%s", e.text);
        *done += s.state == RUN_DONE;
    }
    return count;
}

static void expect_runs(const char *what, const char *out, int wanted, int finished)
{
    arena_auto *a = arena_new(0);
    const char *const *names;
    int done;
    int64_t count = runs_of(out, a, &names, &done);
    EXPECT(count == wanted && done == finished, "%s: %d of %d done", what, done, (int)count);
}

static const char CHAIN[] =
    "extends: tiny.yaml\n"
    "name: chain\n"
    "sweep:\n"
    "  grid: null\n"
    "  list: [{label: block}, {label: fine, init_from: {variant: block}}]\n";

static const char SIX[] = "train.budget={steps: 6}", TWELVE[] = "train.budget={steps: 12}";

static void further_stays(void)
{
    if (!test_program()) return;
    train("there", SIX, 3);
    copy("there", "early");
    program_expect(merge("there", "here"), 0, NULL, "brought in: 1 experiment, 4 runs");
    train("there", SIX, 2);
    copy("there", "later");
    program_result r = merge("there", "here");
    program_expect(r, 0, NULL,
                   "theirs (saved at step 3) takes the place of ours (saved at step 2)");
    program_expect(r, 0, NULL, "4 runs");
    program_expect(merge("early", "here"), 0, NULL, " 0 runs");
    /* What will be trained again is no further, nor is what no run comes to. */
    copy("there", "torn");
    in_runs("torn", "truncate -s 9 */checkpoint/model-*");
    program_expect(merge("torn", "early"), 0, NULL, " 0 runs");
    copy("there", "torn");
    in_runs("torn", "sed -i -z -e 's/\"step\": *[0-9]*/\"step\": 9223372036854775805/' "
                    "-e 's/,[^,]*\"crc\": *\"[0-9a-f]*\"//' */checkpoint/manifest.json");
    program_expect(merge("torn", "early"), 0, NULL, " 0 runs");
    train("there", SIX, 0);
    r = merge("there", "here");
    program_expect(r, 0, NULL, "theirs (done) takes the place of ours (saved at step 3)");
    for (int i = 0; i < 2; i++) {
        r = merge(i ? "later" : "there", "here");
        program_expect(r, 0, NULL, "brought in: 0 experiments, 0 runs\n");
    }
    expect_runs("all", "here", 4, 4);
    /* Lines of one step that are of other steps before are not comparable. */
    train("fine", SIX, 5);
    train("coarse", "train={budget: {steps: 6}, batch: 2, log_every: 4}", 0);
    r = merge("coarse", "fine");
    program_expect(r, 0, NULL, "theirs (done) takes the place of ours (saved at step 4)");
}

/* A line of ours says another loss of the same step: it stays, and the other runs come. */
static void other_training_is_refused(void)
{
    char path[FILE_PATH_BYTES], command[3 * FILE_PATH_BYTES];
    const char *const *names;
    int done;
    if (!test_program()) return;
    train("there", SIX, 3);
    copy("there", "here");
    train("there", SIX, 0);
    arena_auto *a = arena_new(0);
    int64_t count = runs_of("here", a, &names, &done);
    EXPECT(count == 4, "%d runs", (int)count);
    snprintf(path, sizeof path, "%s/here/runs/%s/metrics.jsonl", test_folder(), names[0]);
    snprintf(command, sizeof command,
             "sed -i -e '1s/\"loss\":[0-9]/\"loss\":9/' -e '1s/,\"crc\":\"[0-9a-f]*\"//' '%s'",
             path);
    EXPECT(system(command) == 0, "%s", command);
    program_result r = merge("there", "here");
    program_expect(r, EXIT_FAILED, NULL, "metrics.jsonl: of step 1 is another than here");
    program_expect(r, EXIT_FAILED, NULL, names[0]);
    expect_runs("but one", "here", 4, 3);
}

/* The same experiment with a larger budget is another state of it, too: its record stays, in
 * whatever order the two come. One that differs in more is left where it is. */
static void larger_budget_stays(void)
{
    if (!test_program()) return;
    train("short", SIX, 0);
    train("long", TWELVE, 0);
    program_expect(merge("short", "here"), 0, NULL, "4 runs");
    program_expect(merge("long", "here"), 0, NULL, "has the larger budget");
    expect_runs("both", "here", 8, 8);
    program_expect(merge("short", "here"), 0, NULL, "has the smaller budget, and is left out");
    program_expect(merge("long", "other"), 0, NULL, "4 runs");
    program_expect(merge("short", "other"), 0, NULL, "brought in: 0 experiments, 0 runs");
    expect_runs("the longer", "other", 4, 4);
    for (int i = 0; i < 2; i++) {
        char out[FILE_PATH_BYTES];
        snprintf(out, sizeof out, "%s", test_inside(i ? "other" : "here"));
        program_expect(LOCI("run", tiny_sweep(), "--out", out, "--set", TWELVE, "--set",
                            "train.checkpoint_seconds=0", "--set", "train.eval_every=2"),
                       0, NULL, "0 trained, 4 finished before");
    }
    train("wide", "model.width=24", 0);
    program_result r = merge("wide", "here");
    program_expect(r, EXIT_FAILED, NULL, "is of another spec than what is called so already");
    program_expect(r, EXIT_FAILED, NULL, "0 runs");
}

static int asked_in(const char *out)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd '%s' && test $(cat %s/runs/*/evals.jsonl | grep -c '\"split\":\"test\"') = 4 && "
             "ls %s/runs/*/speed.json >/dev/null",
             test_folder(), out, out);
    return system(command);
}

/* Also where a variant starts from another: its source is another of each seed and each budget. */
static void larger_budget_of_a_chain(void)
{
    const char *const budgets[] = {SIX, TWELVE}, *const outs[] = {"short", "long"};
    if (!test_program()) return;
    tiny_sweep();
    corpora_write("chain.yaml", CHAIN, -1);
    for (int i = 0; i < 2; i++) {
        char spec[FILE_PATH_BYTES], out[FILE_PATH_BYTES];
        snprintf(spec, sizeof spec, "%s", test_inside("chain.yaml"));
        snprintf(out, sizeof out, "%s", test_inside(outs[i]));
        program_expect(LOCI("run", spec, "--out", out, "--set", budgets[i]), 0, NULL, "4 trained");
    }
    program_expect(merge("short", "here"), 0, NULL, "4 runs");
    program_expect(merge("long", "here"), 0, NULL, "has the larger budget");
    program_expect(merge("short", "here"), 0, NULL, "has the smaller budget, and is left out");
}

/* What lines of evaluations say of themselves, and how many say it there. */
static const char FINAL[] = "\"final\":true", ON_TEST[] = "\"split\":\"test\"";
static int lines_in(const char *out, const char *what)
{
    char command[2 * FILE_PATH_BYTES];
    int count = -1;
    snprintf(command, sizeof command, "cd '%s' && cat %s/runs/*/evals.jsonl | grep -c '%s'",
             test_folder(), out, what);
    FILE *f = popen(command, "r");
    EXPECT(f && fscanf(f, "%d", &count) == 1, "%s", command);
    if (f) pclose(f);
    return count;
}

/* Another model's, as the same run may have elsewhere. */
static void change_models(const char *out)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd '%s' && sed -i -e '/model-/,/}/s/\"sha256\": *\"[0-9a-f]/&x/' "
             "-e 's/\"crc\"/\"was\"/' %s/runs/*/checkpoint/manifest.json && "
             "grep -q 'x' %s/runs/*/checkpoint/manifest.json",
             test_folder(), out, out);
    EXPECT(system(command) == 0, "%s", command);
}

/* Of runs that both have: what was asked of them in one folder stands in both afterwards. */
static void evaluations_come_along(void)
{
    if (!test_program()) return;
    char out[FILE_PATH_BYTES];
    train("here", SIX, 0);
    copy("here", "there");
    copy("here", "early");
    snprintf(out, sizeof out, "%s", test_inside("there"));
    program_expect(LOCI("eval", "tiny", "--split", "test", "--out", out), 0, NULL, NULL);
    program_expect(
        LOCI("bench", tiny_sweep(), "--record", "--out", out, "--seconds", "0.1", "--set", SIX), 0,
        NULL, NULL);
    EXPECT(asked_in("here") != 0 && asked_in("there") == 0, "before");
    program_expect(merge("there", "here"), 0, NULL, "0 runs, 4 evaluations");
    EXPECT(asked_in("here") == 0, "after");
    program_expect(merge("there", "here"), 0, NULL, "0 runs\n");
    EXPECT(asked_in("here") == 0, "a second time");
    change_models("early");
    program_expect(merge("there", "early"), 0, NULL, "0 runs\n");
    EXPECT(asked_in("early") != 0, "of another model");
    program_expect(LOCI("run", tiny_sweep(), "--quiet", "--out", out, "--set", SIX, "--set",
                        "train.checkpoint_seconds=0", "--set", "train.eval_every=2", "--set",
                        "eval.rows=1"),
                   0, NULL, NULL);
    EXPECT(lines_in("there", FINAL) == 8, "%d", lines_in("there", FINAL));
    program_expect(merge("there", "here"), 0, NULL, "0 runs\n");
    EXPECT(lines_in("here", FINAL) == 4, "ours stand: %d", lines_in("here", FINAL));
    train("other", TWELVE, 0);
    program_expect(merge("there", "other"), 0, NULL, "0 runs\n");
}

/* Where theirs takes the place of ours, which has lost a line of its past, what was asked of ours
 * stays. */
static void evaluations_stay(void)
{
    if (!test_program()) return;
    char out[FILE_PATH_BYTES], command[2 * FILE_PATH_BYTES];
    train("here", SIX, 0);
    copy("here", "there");
    snprintf(out, sizeof out, "%s", test_inside("here"));
    program_expect(LOCI("eval", "tiny", "--split", "test", "--out", out), 0, NULL, NULL);
    snprintf(command, sizeof command, "sed -i 1s/.....$// '%s'/runs/*/metrics.jsonl", out);
    EXPECT(system(command) == 0, "%s", command);
    program_expect(merge("there", "here"), 0, NULL, "4 runs");
    EXPECT(lines_in("here", ON_TEST) == 4, "%d", lines_in("here", ON_TEST));
}

/* Whatever else is JSON and lies among the records: another program's, and a copy under another
 * name. */
static void only_records(void)
{
    static const char *const OTHERS[] = {"config.json", "list.json", "copy.json"};
    static const char *const TEXTS[] = {"{\"token\": \"secret\"}\n", "[1]\n",
                                        "{\"name\": \"tiny\", \"runs\": []}\n"};
    char inner[64];
    err e = {0};
    if (!test_program()) return;
    train("there", SIX, 0);
    for (int i = 0; i < 3; i++) {
        snprintf(inner, sizeof inner, "there/experiments/%s", OTHERS[i]);
        EXPECT(file_write(test_inside(inner), TEXTS[i], strlen(TEXTS[i]), &e), "%s", e.text);
    }
    program_result r = merge("there", "here");
    program_expect(r, EXIT_FAILED, NULL, "config.json: is no record");
    expect_runs("beside other files", "here", 4, 4);
    for (int i = 0; i < 3; i++) {
        snprintf(inner, sizeof inner, "here/experiments/%s", OTHERS[i]);
        EXPECT(!file_exists(test_inside(inner)), "%s was brought", inner);
    }
}

const test_suite test_merge = {"tools/merge",
                               {{"further_stays", further_stays},
                                {"other_training_is_refused", other_training_is_refused},
                                {"larger_budget_stays", larger_budget_stays},
                                {"larger_budget_of_a_chain", larger_budget_of_a_chain},
                                {"evaluations_come_along", evaluations_come_along},
                                {"evaluations_stay", evaluations_stay},
                                {"only_records", only_records},
                                {0}}};
