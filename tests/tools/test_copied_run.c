/* Folders of runs that were copied, renamed or put in another run's place: neither do their figures
 * count for the run that they are called after, nor is it trained over, nor is its model the run's.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char OTHER[] = "0123456789abcdef";

/* A trained run of the experiment x; its id, which lives until the next call. */
static const char *put_run(void)
{
    static const char spec[] =
        "name: x\n"
        "data: {corpus: markov, symbols: 5, tokens: 200, held_out: 80, length: 40}\n"
        "schedule: {kind: constant}\n"
        "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 8}}]}\n"
        "train: {budget: {steps: 3}, batch: 2, log_every: 1}\n";
    static char id[32];
    err e = {0};
    EXPECT(file_write(test_inside("x.yaml"), spec, sizeof spec - 1, &e), "%s", e.text);
    program_expect(LOCI("run", test_inside("x.yaml")), 0, NULL, NULL);
    json_auto_t *x = json_read(test_inside("out/experiments/x.json"), &e);
    const char *run = json_get_text(json_array_get(json_object_get(x, "runs"), 0), "run");
    EXPECT(run, "%s", e.text);
    snprintf(id, sizeof id, "%s", run ? run : "");
    return id;
}

static const char *in_runs(const char *id, const char *name)
{
    char inner[200];
    snprintf(inner, sizeof inner, "out/runs/%s%s%s", id, *name ? "/" : "", name);
    return test_inside(inner);
}

/* The only file of JSON of the name, with another run in it. */
static void say_run(const char *path, const char *id, bool first_of_runs)
{
    json_auto_t *x = json_read(path, NULL);
    json_t *run = first_of_runs ? json_array_get(json_object_get(x, "runs"), 0) : x;
    json_object_set_new(run, "run", json_string(id));
    EXPECT(json_write(path, x, NULL), "%s", path);
}

static void renamed(void)
{
    static const char *const calls[][4] = {
        {"eval", "x"}, {"eval", "x/x/1"}, {"inspect", "x"}, {"generate", OTHER}};
    if (!test_program()) return;
    char id[32];
    snprintf(id, sizeof id, "%s", put_run());
    err e = {0};
    EXPECT(file_rename(in_runs(id, ""), in_runs(OTHER, ""), &e), "%s", e.text);
    say_run(test_inside("out/experiments/x.json"), OTHER, true);
    text_auto *before = file_read(in_runs(OTHER, "plan.json"), NULL, NULL);
    for (int i = 0; i < 4; i++) {
        program_expect(program_run(calls[i]), 2, NULL, "plan.json: is of run ");
    }
    program_expect(LOCI("merge", test_inside("out"), "--out", test_inside("other")), 0, NULL, id);
    EXPECT(!file_exists(test_inside("other/runs")), "brought in");
    program_expect(LOCI("show", "x/x/1"), 0, "planned", "plan.json: is of run ");
    /* The run that it was is trained anew, in a folder of its own; this one stays. */
    program_expect(LOCI("run", test_inside("x.yaml")), 0, NULL, NULL);
    text_auto *after = file_read(in_runs(OTHER, "plan.json"), NULL, NULL);
    EXPECT(before && after && strcmp(before, after) == 0, "the renamed folder was changed");
}

static void in_the_place_of_a_run(void)
{
    if (!test_program()) return;
    char id[32];
    snprintf(id, sizeof id, "%s", put_run());
    say_run(in_runs(id, "plan.json"), OTHER, false);
    text_auto *before = file_read(in_runs(id, "plan.json"), NULL, NULL);
    for (int i = 0; i < 2; i++) { /* also one that is not finished */
        program_expect(LOCI("run", test_inside("x.yaml")), 3, NULL, "plan.json: is of run 01234");
        file_remove(in_runs(id, "status.json"), NULL);
    }
    text_auto *after = file_read(in_runs(id, "plan.json"), NULL, NULL);
    EXPECT(before && after && strcmp(before, after) == 0, "it was planned over");
}

/* A model that was copied into another run's folder is neither that run's to be evaluated, nor its
 * to go on from. */
static void model_of_another(void)
{
    if (!test_program()) return;
    char id[32], other[32], command[3 * FILE_PATH_BYTES];
    snprintf(id, sizeof id, "%s", put_run());
    program_expect(
        LOCI("run", test_inside("x.yaml"), "--set", "sweep.seeds=[2]", "--set", "name=y"), 0, NULL,
        NULL);
    json_auto_t *y = json_read(test_inside("out/experiments/y.json"), NULL);
    const char *run = json_get_text(json_array_get(json_object_get(y, "runs"), 0), "run");
    snprintf(other, sizeof other, "%s", run ? run : "");
    snprintf(command, sizeof command, "cd '%s' && rm -r %s/checkpoint && cp -r %s/checkpoint %s",
             in_runs("", ""), id, other, id);
    EXPECT(system(command) == 0, "%s", command);
    char words[100];
    snprintf(words, sizeof words, "%s/checkpoint: is the model of run %s", id, other);
    program_expect(LOCI("eval", "x", "--split", "test"), 1, NULL, words);
    program_expect(LOCI("generate", "x", "--tokens", "3"), 1, NULL, words);
    program_expect(LOCI("eval", "y", "--split", "test"), 0, NULL, NULL);
    file_remove(in_runs(id, "status.json"), NULL); /* it is to go on */
    file_remove(in_runs(id, "evals.jsonl"), NULL);
    program_expect(LOCI("run", test_inside("x.yaml")), 3, NULL, words);
}

/* A copy beside its run changes nothing of it, and a whole id is that run's alone. */
static void backup(void)
{
    char copy[64], command[3 * FILE_PATH_BYTES];
    if (!test_program()) return;
    char id[32];
    snprintf(id, sizeof id, "%s", put_run());
    snprintf(copy, sizeof copy, "%s.bak", id);
    snprintf(command, sizeof command, "cd '%s' && cp -r %s %s", in_runs("", ""), id, copy);
    EXPECT(system(command) == 0, "%s", command);
    program_expect(LOCI("ls", "x", "--format", "csv"), 0, ",done,", copy);
    program_result r = LOCI("show", "x/x/1");
    EXPECT(r.status == 0 && strstr(r.out, "validation, step 3"), "%s%s", r.out, r.err);
    program_expect(LOCI("generate", id, "--tokens", "3"), 0, NULL, NULL);
    program_expect(LOCI("run", test_inside("x.yaml")), 0, NULL, NULL);
    program_expect(LOCI("eval", in_runs(copy, ""), "--split", "test"), 0, NULL, NULL);
    program_expect(LOCI("gc"), 0, NULL, "1 folder was left out: ");
    EXPECT(file_exists(in_runs(copy, "plan.json")), "a backup was removed");
    program_result m = LOCI("merge", test_inside("out"), "--out", test_inside("other"));
    program_expect(m, 0, NULL, "brought in: 1 experiment, 1 run");
    program_expect(m, 0, NULL, "1 folder was left out: ");
    program_expect(LOCI("ls", "x", "--format", "csv", "--out", test_inside("other")), 0, ",done,",
                   NULL);
}

/* What was imported is called as people like, wherever it lies. */
static void imported_beside_runs(void)
{
    if (!test_program()) return;
    const char *id = put_run();
    const char *words[] = {"import", "checkpoint",        in_runs(id, ""),
                           "--to",   in_runs("mine", ""), NULL};
    program_expect(program_run(words), 0, NULL, NULL);
    program_expect(LOCI("eval", in_runs("mine", ""), "--split", "test"), 0, NULL, NULL);
}

/* Killed while it takes over a shorter run, the longer one has not ended, though the shorter has.
 */
static void killed_beginning(void)
{
    if (!test_program()) return;
    put_run();
    const char *set[] = {"run", test_inside("x.yaml"), "--set", "train.budget.steps=5", NULL};
    setenv("LOCI_FAILPOINT", "beginning:1", 1);
    program_expect(program_run(set), 128 + SIGKILL, NULL, NULL);
    unsetenv("LOCI_FAILPOINT");
    program_expect(LOCI("status", "x"), 0, "planned", NULL);
    program_expect(program_run(set), 0, NULL, "x: 1 trained, 0 finished before, 0 failed");
    program_expect(LOCI("show", "x/x/1"), 0, "5 of 5", NULL);
}

/* A version before did not say that a beginning is one: killed before it had a checkpoint of its
 * own, the longer run goes on all the same. */
static void unmarked_beginning(void)
{
    if (!test_program()) return;
    put_run();
    const char *set[] = {"run", test_inside("x.yaml"), "--set", "train.budget.steps=5", NULL};
    setenv("LOCI_FAILPOINT", "step:1", 1);
    program_expect(program_run(set), EXIT_INTERRUPTED, NULL, "which is its beginning");
    unsetenv("LOCI_FAILPOINT");
    json_auto_t *x = json_read(test_inside("out/experiments/x.json"), NULL);
    const char *id = json_get_text(json_array_get(json_object_get(x, "runs"), 0), "run");
    const char *path = in_runs(id ? id : "", "checkpoint/manifest.json");
    json_auto_t *manifest = json_read(path, NULL);
    EXPECT(json_object_del(manifest, "begins") == 0 && json_write(path, manifest, NULL), "%s",
           path);
    program_expect(program_run(set), 0, NULL, "x: 1 trained, 0 finished before, 0 failed");
    program_expect(LOCI("show", "x/x/1"), 0, "5 of 5", NULL);
}

const test_suite test_copied_run = {"tools/copied_run",
                                    {{"renamed", renamed},
                                     {"in_the_place_of_a_run", in_the_place_of_a_run},
                                     {"model_of_another", model_of_another},
                                     {"backup", backup},
                                     {"imported_beside_runs", imported_beside_runs},
                                     {"killed_beginning", killed_beginning},
                                     {"unmarked_beginning", unmarked_beginning},
                                     {0}}};
