/* A run that cannot be gone on with says why; one whose files are damaged is mended. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "harness/train/checkpoint_files.h"
#include "tests/support/damaged_run.h"
#include "tests/support/trials.h"
#include "tests/test.h"

static void reason_is(const char *more, run_state state, const char *part)
{
    char folder[FILE_PATH_BYTES];
    static int number;
    char name[32];
    snprintf(name, sizeof name, "bad-%d", number++);
    trial_folder(folder, name, TRIAL_SPEC, more, 3);
    int code = trial_worker(folder, NULL, -1, 0);
    run_status s = trial_status(folder);
    EXPECT(code == EXIT_FAILED && s.state == state && strstr(s.reason, part), "%s: %d, %s: %s",
           more, code, run_status_state_name(s.state), s.reason);
}

static void failures_have_reasons(void)
{
    if (!test_program()) return;
    reason_is(
        "optimizer: {kind: sgd, lr: 1e6, clip: 0, groups: [{match: \"*\", lr: 1e6}]}\n",
        RUN_DIVERGED,
        "step 2: the gradient is not finite; first tensor: gradient in final_norm (op layernorm)");
    /* Finite to the end, and worse than guessing one of 8 symbols: ln 8 = 2.079. */
    reason_is("optimizer: {lr: 30}\nschedule: {kind: constant}\n", RUN_DIVERGED,
              "nats per token; a uniform guess costs 2.079");
    reason_is("data: {corpus: text, path: /nowhere/at/all}\n", RUN_FAILED, "/nowhere/at/all");
    reason_is("model: {width: 15, context: 8, blocks: [{attention: {heads: 2}}]}\n", RUN_FAILED,
              "heads");
}

/* A byte of the checkpoint's model is another one. */
static void spoil(const char *folder, int64_t step)
{
    char path[FILE_PATH_BYTES], name[64];
    snprintf(name, sizeof name, "checkpoint/model-%lld.safetensors", (long long)step);
    file_join(path, folder, name, NULL);
    FILE *f = fopen(path, "r+");
    EXPECT(f && fseek(f, -5, SEEK_END) == 0 && fputc('x', f) == 'x', "%s", path);
    if (f) fclose(f);
}

static void corrupt_checkpoint_is_said(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "corrupt", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:5", -1, 0);
    spoil(folder, 4);
    file_join(path, folder, "checkpoint/model-4.safetensors", NULL);
    int code = trial_worker(folder, NULL, -1, 0);
    run_status s = trial_status(folder);
    EXPECT(code == EXIT_FAILED && s.state == RUN_FAILED && strstr(s.reason, "corrupt"), "%d: %s",
           code, s.reason);
    EXPECT(file_exists(path), "the file was removed: %s", path);
    /* Nor is it the end of a run of which nothing says how it stands. */
    trial_folder(folder, "corrupt-too", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:5", -1, 0);
    damaged_run_file(folder, "status.json", REMOVED);
    damaged_run_file(folder, "checkpoint/train-4.safetensors", FLIPPED);
    s = trial_status(folder);
    EXPECT(!s.ended, "%s: %s", run_status_state_name(s.state), s.reason);
    code = trial_worker(folder, NULL, -1, 0);
    s = trial_status(folder);
    EXPECT(code == EXIT_FAILED && strstr(s.reason, "corrupt"), "%d: %s", code, s.reason);
}

/* A run that cannot be opened any more has not lost the steps that its status says. */
static void steps_are_kept(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "kept", TRIAL_SPEC,
                 "train: {budget: {steps: 40000}, batch: 4, log_every: 100}\n", 3);
    trial_worker_at_work(folder, SIGTERM);
    int64_t before = trial_status(folder).step;
    spoil(folder, before);
    trial_worker(folder, NULL, -1, 0);
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_FAILED && before > 0 && s.step == before && s.tokens > 0,
           "%s: step %lld, not %lld", run_status_state_name(s.state), (long long)s.step,
           (long long)before);
}

/* What is damaged of a finished run is no end: it is interrupted, the worker goes on from what is
 * whole, and its end is the same. */
static void damage_is_mended(void)
{
    static const struct {
        const char *file;
        long bytes;
    } cases[] = {{"run.json", 50},         {"run.json", REMOVED},    {"evals.jsonl", 40},
                 {"evals.jsonl", REMOVED}, {"evals.jsonl", CHANGED}, {"final.json", 3},
                 {"status.json", 12}};
    char folder[FILE_PATH_BYTES], before[SHA256_HEX], after[SHA256_HEX];
    if (!test_program()) return;
    trial_folder(folder, "mended", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_model(before, folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        damaged_run_file(folder, cases[i].file, cases[i].bytes);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_DAMAGED &&
                   strstr(s.reason, cases[i].file),
               "%s: %s: %s", cases[i].file, run_status_state_name(s.state), s.reason);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s: %s", cases[i].file,
               trial_status(folder).reason);
        s = trial_status(folder);
        damaged_run_model(after, folder);
        EXPECT(s.state == RUN_DONE && strcmp(before, after) == 0, "%s: %s: %s", cases[i].file,
               run_status_state_name(s.state), s.reason);
    }
}

/* What training alone could make again is no reason to lose a model and hours: the run is done, its
 * worker trains nothing and removes nothing, and what is missing is told. A copy put back is all it
 * takes. */
static void past_is_kept(void)
{
    static const struct {
        const char *file;
        long bytes;
    } cases[] = {{"metrics.jsonl", 90},           {"metrics.jsonl", REMOVED},
                 {"metrics.jsonl", CHANGED},      {"evals.jsonl", CHANGED},
                 {"checkpoint/manifest.json", 9}, {"checkpoint/manifest.json", CHANGED}};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], before[64], after[64];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "past", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_stamp(before, folder, "checkpoint/model-10.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes, left = 0;
        EXPECT(file_join(path, folder, cases[i].file, &e), "%s", e.text);
        text_auto *whole = file_read(path, &bytes, &e);
        damaged_run_file(folder, cases[i].file, cases[i].bytes);
        text_auto *damaged = file_exists(path) ? file_read(path, &left, &e) : NULL;
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s: %s", cases[i].file,
               trial_status(folder).reason);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && strstr(s.gap, cases[i].file) && strstr(s.gap, "copy"),
               "%s: %s: %s", cases[i].file, run_status_state_name(s.state), s.gap);
        damaged_run_stamp(after, folder, "checkpoint/model-10.safetensors");
        EXPECT(strcmp(before, after) == 0, "%s: trained again", cases[i].file);
        size_t is = 0;
        text_auto *now = file_exists(path) ? file_read(path, &is, &e) : NULL;
        EXPECT(is == left && (left == 0 || memcmp(now, damaged, is) == 0), "%s: written",
               cases[i].file);
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
        EXPECT(!trial_status(folder).gap[0], "%s: put back", cases[i].file);
    }
}

/* A copy of the file `from` of another run takes its place. */
static void put_copy(const char *folder, const char *of, const char *name)
{
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(from, of, name, &e) && file_join(to, folder, name, &e) &&
               file_copy(from, to, &e),
           "%s", e.text);
}

/* A line that is lost before the checkpoint is no reason to train again what the checkpoint holds:
 * the run goes on from there, to the same end, and the gap is told before and after, until a copy
 * of the lines is put there. */
static void gap_before_checkpoint_is_told(void)
{
    static const struct {
        const char *file;
        long bytes;
    } cases[] = {{"metrics.jsonl", CHANGED}, {"metrics.jsonl", 300},  {"metrics.jsonl", REMOVED},
                 {"evals.jsonl", CHANGED},   {"evals.jsonl", 40},     {"evals.jsonl", REMOVED},
                 {"metrics.jsonl", REMOVED}, {"evals.jsonl", REMOVED}};
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], name[32];
    char wanted[SHA256_HEX], hash[SHA256_HEX];
    if (!test_program()) return;
    trial_folder(whole, "whole", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(whole, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(whole).reason);
    damaged_run_model(wanted, whole);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "gap%d", i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        trial_worker(folder, "step:8", -1, 0);
        damaged_run_file(folder, cases[i].file, cases[i].bytes);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_SIGNAL &&
                   strstr(s.gap, cases[i].file) && strstr(s.gap, "a good copy"),
               "%s: %s: %s", name, s.reason, s.gap);
        /* The last two are killed once more behind the cut, and in the first step. */
        if (i >= 6) trial_worker(folder, i == 6 ? "lines_cut" : "step:1", -1, 0);
        EXPECT(strstr(trial_status(folder).gap, cases[i].file), "%s", name);
        /* It has three steps left, not ten. */
        EXPECT(trial_worker(folder, "step:4", -1, 0) == EXIT_DONE, "%s: %s", name,
               trial_status(folder).reason);
        s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && strstr(s.gap, cases[i].file), "%s: %s: %s", name,
               run_status_state_name(s.state), s.gap);
        damaged_run_model(hash, folder);
        EXPECT(strcmp(hash, wanted) == 0, "%s: another model", name);
        put_copy(folder, whole, cases[i].file);
        EXPECT(!trial_status(folder).gap[0], "%s: %s", name, trial_status(folder).gap);
    }
}

static bool not_of_step(void *step, const json_t *line)
{
    return json_get_int(line, "step", -1) != *(int64_t *)step;
}

/* The line of an evaluation is lost, and somebody has asked for one (loci eval). */
static void lose_and_ask(const char *folder, int64_t lost, int asked)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    json_auto_t *line =
        json_pack("{s:s, s:i, s:b, s:s, s:f, s:i}", "eval", "0123456789abcdef", "step", asked,
                  "final", 0, "split", "test", "nats", 2.0, "tokens", 1);
    EXPECT(file_join(path, folder, "evals.jsonl", &e) &&
               run_lines_filter(path, not_of_step, &lost, NULL, &e) &&
               run_lines_append_record(path, line, &e),
           "%s", e.text);
}

/* Evaluations on the way that are lost are missed whatever was asked of the last model, or of one
 * that was saved when its process ended; the last is killed there, and goes on. */
static void asked_by_somebody_is_none_on_the_way(void)
{
    static const struct {
        int every, lost, asked;
        const char *killed, *gap;
    } cases[] = {{3, 9, 10, NULL, "has no evaluation of step 9"},
                 {4, 8, 9, NULL, "has no evaluation of step 8"},
                 {4, 4, 5, "step:8", "has no line of step 4"}};
    char folder[FILE_PATH_BYTES], more[256], name[32];
    if (!test_program()) return;
    for (int i = 0; i < 3; i++) {
        bool killed = cases[i].killed != NULL;
        snprintf(name, sizeof name, "asked%d", i);
        snprintf(more, sizeof more,
                 "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, eval_every: %d,\n"
                 "  checkpoint_seconds: 0}\n",
                 cases[i].every);
        trial_folder(folder, name, TRIAL_SPEC, more, 3);
        int ended = trial_worker(folder, cases[i].killed, -1, 0);
        EXPECT(ended == (killed ? 128 + SIGKILL : EXIT_DONE), "%s", trial_status(folder).reason);
        lose_and_ask(folder, cases[i].lost, cases[i].asked);
        run_status s = trial_status(folder);
        EXPECT(s.state == (killed ? RUN_INTERRUPTED : RUN_DONE) && strstr(s.gap, cases[i].gap),
               "%s: %s: %s", name, run_status_state_name(s.state), s.gap);
        if (!killed) continue;
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && strstr(s.gap, "evals.jsonl"), "%s: %s", name, s.gap);
    }
}

/* Who asks for more lines than a run began with, or than the process before logged, has lost none;
 * and what it logged since is missed. */
static void other_cadence_is_no_gap(void)
{
    static const char MORE[] = "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, "
                               "accumulate: 2, log_every: 1,\n"
                               "  eval_every: 1, checkpoint_seconds: 0}\n";
    char folder[FILE_PATH_BYTES], from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "cadence", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:6", -1, 0);
    trial_folder(folder, "cadence", TRIAL_SPEC, MORE, 3);
    EXPECT(!trial_status(folder).gap[0], "%s", trial_status(folder).gap);
    /* Where it is lost what the run was trained by, the plan does not say it. */
    EXPECT(file_join(from, folder, "run.json", &e) && file_join(to, folder, "run.was", &e) &&
               file_rename(from, to, &e),
           "%s", e.text);
    EXPECT(!trial_status(folder).gap[0], "%s", trial_status(folder).gap);
    EXPECT(file_rename(to, from, &e), "%s", e.text);
    trial_worker(folder, "step:1", -1, 0);
    EXPECT(!trial_status(folder).gap[0], "%s", trial_status(folder).gap);
    trial_worker(folder, "step:3", -1, 0);
    EXPECT(!trial_status(folder).gap[0], "%s", trial_status(folder).gap);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE && !trial_status(folder).gap[0], "%s",
           trial_status(folder).gap);
}

/* Lines of steps behind the checkpoint are made again, damaged or not. */
static void what_comes_again_is_no_gap(void)
{
    static const char CUT[] = "{\"step\":8,\"lo\n";
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "again", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:8", -1, 0);
    json_auto_t *younger = json_pack("{s:i, s:f}", "step", 9, "loss", 2.0);
    EXPECT(file_join(path, folder, "metrics.jsonl", &e) &&
               run_lines_append(path, CUT, sizeof CUT - 1, false, &e) &&
               run_lines_append_record(path, younger, &e),
           "%s", e.text);
    EXPECT(!trial_status(folder).gap[0], "%s", trial_status(folder).gap);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE && !trial_status(folder).gap[0], "%s",
           trial_status(folder).gap);
}

/* Of a run that goes on, the line that is lost is named in its log. */
static void dropped_line_is_said(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "dropped", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:5", -1, 0);
    damaged_run_file(folder, "metrics.jsonl", CHANGED);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(file_join(path, folder, "log.txt", &e), "%s", e.text);
    text_auto *log = file_read(path, NULL, &e);
    EXPECT(log && strstr(log, "metrics.jsonl:1: is no JSON, or no longer what was written"), "%s",
           log ? log : e.text);
}

/* A budget in seconds became steps once. Where the file that says how many is damaged the run goes
 * on to the end that its record says. */
static void length_is_kept(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "length", TRIAL_SPEC,
                 "train: {budget: {seconds: 0.1}, batch: 4, checkpoint_seconds: 0}\n", 3);
    json_auto_t *length = json_pack("{s:f, s:i}", "seconds", 0.1, "steps", 11);
    EXPECT(file_join(path, folder, "length.json", &e) && json_write(path, length, &e), "%s",
           e.text);
    int code = trial_worker(folder, "step:5", -1, 0);
    EXPECT(code == 128 + SIGKILL, "%d: %s", code, trial_status(folder).reason);
    damaged_run_file(folder, "length.json", CHANGED);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(trial_status(folder).step == 11, "%lld steps", (long long)trial_status(folder).step);
}

/* A checkpoint on the way that was cut short, or names no files, is worth nothing. */
static void cut_checkpoint_begins_again(void)
{
    static const char *const files[] = {"manifest.json", "model-4.safetensors",
                                        "train-4.safetensors"};
    static const char NAMELESS[] = "{\"step\": 4}";
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "cut%d", i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        trial_worker(folder, "step:5", -1, 0);
        snprintf(name, sizeof name, "checkpoint/%s", files[i % 3]);
        if (i < 6) {
            damaged_run_file(folder, name, i < 3 ? 10 : i == 3 ? 0 : REMOVED);
        } else {
            EXPECT(file_join(path, folder, name, &e) &&
                       file_write(path, NAMELESS, sizeof NAMELESS - 1, &e),
                   "%s", e.text);
        }
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_DAMAGED, "%s: %s", name, s.reason);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s: %s", name,
               trial_status(folder).reason);
    }
}

const test_suite test_worker_damage = {
    "harness/worker_damage",
    {{"failures_have_reasons", failures_have_reasons},
     {"corrupt_checkpoint_is_said", corrupt_checkpoint_is_said},
     {"steps_are_kept", steps_are_kept},
     {"damage_is_mended", damage_is_mended},
     {"past_is_kept", past_is_kept},
     {"gap_before_checkpoint_is_told", gap_before_checkpoint_is_told},
     {"asked_by_somebody_is_none_on_the_way", asked_by_somebody_is_none_on_the_way},
     {"other_cadence_is_no_gap", other_cadence_is_no_gap},
     {"what_comes_again_is_no_gap", what_comes_again_is_no_gap},
     {"dropped_line_is_said", dropped_line_is_said},
     {"length_is_kept", length_is_kept},
     {"cut_checkpoint_begins_again", cut_checkpoint_begins_again},
     {0}}};
