/* A run in its folder: killed at any moment and started again, it ends as if it never had been. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_status.h"
#include "harness/train/checkpoint_files.h"
#include "tests/support/draw.h"
#include "tests/support/sanitized.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* The run that nothing disturbs. False if there is no program to run. */
static bool undisturbed(char *folder)
{
    if (!test_program()) return false;
    trial_folder(folder, "whole", TRIAL_SPEC, NULL, 3);
    int code = trial_worker(folder, NULL, -1, 0);
    run_status s = trial_status(folder);
    EXPECT(code == EXIT_DONE && s.state == RUN_DONE && s.step == 10, "%d: %s, step %lld: %s", code,
           run_status_state_name(s.state), (long long)s.step, s.reason);
    return code == EXIT_DONE;
}

/* One kill each, in a fresh folder: between steps, before, inside and after the writing of a
 * checkpoint, around an evaluation. (10 steps, and a checkpoint after each; evaluations after steps
 * 3, 6, 9 and at the end.) */
static const char *const MOMENTS[] = {
    "step:1",
    "step:2",
    "step:7",
    "step:10",
    "checkpoint_begin:1",
    "checkpoint_begin:5",
    "checkpoint_begin:10",
    "checkpoint_file:1",
    "checkpoint_file:2",
    "checkpoint_file:9",
    "checkpoint_file:20",
    "checkpoint_manifest:1",
    "checkpoint_manifest:6",
    "checkpoint_manifest:10",
    "safetensors:1",
    "safetensors:12",
    "safetensors:19",
    "evaluated:1",
    "evaluated:4",
    "eval_line:1",
    "eval_line:2",
    "eval_line:4",
};

static void killed_at_a_point(void)
{
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    if (!undisturbed(whole)) return;
    for (size_t i = 0; i < sizeof MOMENTS / sizeof MOMENTS[0]; i++) {
        char name[64];
        if (!drawn_if_slow("killed_at_a_point", MOMENTS[i])) continue;
        snprintf(name, sizeof name, "killed-%zu", i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        int code = trial_worker(folder, MOMENTS[i], -1, 0);
        EXPECT(code == 128 + SIGKILL, "%s: %d instead of a kill", MOMENTS[i], code);
        EXPECT(trial_status(folder).state == RUN_INTERRUPTED, "%s: %s", MOMENTS[i],
               run_status_state_name(trial_status(folder).state));
        code = trial_worker(folder, NULL, -1, 0);
        EXPECT(code == EXIT_DONE, "after %s: %d: %s", MOMENTS[i], code,
               trial_status(folder).reason);
        trial_same(MOMENTS[i], whole, folder);
    }
}

/* The same run killed again and again, by the clock and by points, before it gets to its end. */
static void killed_many_times(void)
{
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    if (!undisturbed(whole)) return;
    trial_folder(folder, "often", TRIAL_SPEC, NULL, 3);
    for (int i = 0; i < 6; i++) {
        trial_worker(folder, i % 2 ? "step:3" : "checkpoint_file:6", -1, 0);
        trial_worker(folder, NULL, 10 + 7 * i, SIGKILL);
    }
    int code = trial_worker(folder, NULL, -1, 0);
    EXPECT(code == EXIT_DONE, "%d: %s", code, trial_status(folder).reason);
    trial_same("killed often", whole, folder);
}

/* Files of the folder whose names begin so. */
static int files_named(const char *folder, const char *prefix)
{
    arena *a = arena_new(1 << 12);
    const char *const *names;
    int64_t count;
    int found = 0;
    err e = {0};
    EXPECT(file_list(folder, a, &names, &count, &e), "%s", e.text);
    for (int64_t i = 0; i < count; i++) {
        found += strncmp(names[i], prefix, strlen(prefix)) == 0;
    }
    arena_free(a);
    return found;
}

/* Evaluations long enough for several parts, which are saved by the clock. */
#define LONG_EVALUATION(held_out)                                                                  \
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: " held_out               \
    ", length: 5k}\n"                                                                              \
    "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, accumulate: 2, log_every: 2, "  \
    "eval_every: 9, checkpoint_seconds: 0}\n"
#define LONG_EVALUATIONS(held_out, part)                                                           \
    {                                                                                              \
        LONG_EVALUATION(held_out)                                                                  \
        "eval: {rows: 3}",                                                                         \
            LONG_EVALUATION(held_out) "eval: {rows: 2, tokens: " part                              \
                                      ", dynamic: {kind: rms, rates: [1e-4, 1e-3], decay: 1e-3, "  \
                                      "carry: true, grid_tokens: " part ", statistics: 500}}",     \
            LONG_EVALUATION(held_out) "model: {width: 16, context: 8, blocks: [{attention: "       \
                                      "{heads: 2}, switch_ffn: {experts: 4, hidden: 16}}]}"        \
    }

/* Killed where it has saved a part, sitting after sitting, the run ends as if left in peace. (That
 * each goes on from the one before: harness/evaluate/several_sittings.) */
static void killed_while_evaluating(void)
{
    static const char *const usual[] = LONG_EVALUATIONS("100k", "20k");
    static const char *const slow[] = LONG_EVALUATIONS("30k", "6k");
    const char *const *kinds = SANITIZED || test_emulated() ? slow : usual; /* as many parts */
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], name[64];
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        snprintf(name, sizeof name, "calm-%zu", i);
        trial_folder(whole, name, TRIAL_SPEC, kinds[i], 3);
        EXPECT(trial_worker(whole, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(whole).reason);
        snprintf(name, sizeof name, "wild-%zu", i);
        trial_folder(folder, name, TRIAL_SPEC, kinds[i], 3);
        int kills = 0, code = 0;
        while (kills < 3 && (code = trial_worker(folder, "eval_kept:1", -1, 0)) == 128 + SIGKILL) {
            kills++;
        }
        if (code != EXIT_DONE) code = trial_worker(folder, NULL, -1, 0);
        EXPECT(code == EXIT_DONE, "%d after %d kills: %s", code, kills,
               trial_status(folder).reason);
        trial_same(kinds[i], whole, folder);
        EXPECT(files_named(folder, "part-") == 0, "%d parts", files_named(folder, "part-"));
    }
}

/* Stopped in its final evaluation, a run says how far that is, and goes on from there. */
static void stopped_while_evaluating(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "evaluating", TRIAL_SPEC,
                 "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 1M, length: "
                 "150}\ntrain: {budget: {steps: 1}, batch: 4, lanes: 4, segment: 16}\n",
                 3);
    double share = 0;
    for (int i = 0; i < 2; i++) {
        int code = trial_worker_evaluating(folder, share, SIGTERM);
        run_status s = trial_status(folder);
        EXPECT(code == EXIT_INTERRUPTED && s.state == RUN_INTERRUPTED, "%d, %s", code,
               run_status_state_name(s.state));
        EXPECT(s.eval_share > share && s.eval_share < 1, "%g after %g", s.eval_share, share);
        EXPECT(isfinite(s.loss) && s.tokens_per_second > 0, "sitting %d: %g, %g", i, s.loss,
               s.tokens_per_second);
        EXPECT(files_named(folder, "part-") == 2, "%d parts", files_named(folder, "part-"));
        share = s.eval_share;
    }
}

/* What a kept model's manifest says; its files must be there, with these checksums. The caller
 * frees it. */
static char *kept_model(const char *folder, const char *name)
{
    char path[FILE_PATH_BYTES], inner[64];
    err e = {0};
    snprintf(inner, sizeof inner, "checkpoint-%s", name);
    EXPECT(file_join(path, folder, inner, &e), "%s", e.text);
    safetensors *s = checkpoint_files_open(path, "model", &e);
    EXPECT(s, "%s: %s", name, e.text);
    if (s) safetensors_close(s);
    snprintf(inner, sizeof inner, "checkpoint-%s/manifest.json", name);
    file_join(path, folder, inner, &e);
    char *text = file_read(path, NULL, &e);
    EXPECT(text, "%s: %s", name, e.text);
    return text;
}

/* The last line of evals.jsonl (decref it). */
static json_t *last_evaluation(const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    file_join(path, folder, "evals.jsonl", &e);
    char *text = file_read(path, NULL, &e);
    EXPECT(text && *text, "%s", e.text);
    if (!text) return NULL;
    text[strlen(text) - 1] = 0;
    char *line = strrchr(text, '\n');
    json_t *o = json_loads(line ? line + 1 : text, 0, NULL);
    free(text);
    return o;
}

/* Models that are kept on the way: every fourth step's and the best, whenever the run is killed. */
static void kept_models(void)
{
    static const char *const names[] = {"4", "8", "best"};
    static const char *const moments[] = {"keep:1", "safetensors:9", "keep:3", "eval_line:4"};
    static const char keeping[] =
        "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, accumulate: 2, log_every: "
        "2,\n"
        "  eval_every: 3, checkpoint_seconds: 0, keep_every: 4, keep_best: true}\n";
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], evals[FILE_PATH_BYTES], name[64];
    if (!test_program()) return;
    trial_folder(whole, "whole", TRIAL_SPEC, keeping, 3);
    EXPECT(trial_worker(whole, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(whole).reason);
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        snprintf(name, sizeof name, "kept-%zu", i);
        trial_folder(folder, name, TRIAL_SPEC, keeping, 3);
        int code = trial_worker(folder, moments[i], -1, 0);
        EXPECT(code == 128 + SIGKILL, "%s: %d instead of a kill", moments[i], code);
        code = trial_worker(folder, NULL, -1, 0);
        EXPECT(code == EXIT_DONE, "after %s: %d: %s", moments[i], code,
               trial_status(folder).reason);
        trial_same(moments[i], whole, folder);
        for (int k = 0; k < 3; k++) {
            char *x = kept_model(whole, names[k]), *y = kept_model(folder, names[k]);
            EXPECT(x && y && strcmp(x, y) == 0, "after %s: %s: %s, not %s", moments[i], names[k], y,
                   x);
            free(x);
            free(y);
        }
    }
    /* What somebody asked of a model on the way, which nobody kept, is in no other one's way. */
    err e = {0};
    trial_folder(folder, "kept-asked", TRIAL_SPEC, keeping, 3);
    trial_worker(folder, "step:5", -1, 0);
    json_auto_t *asked = last_evaluation(folder);
    json_object_set_new(asked, "eval", json_string("0123456789abcdef"));
    json_object_set_new(asked, "step", json_integer(4));
    json_object_set_new(asked, "nats", json_real(1));
    EXPECT(file_join(evals, folder, "evals.jsonl", &e) && run_lines_append_record(evals, asked, &e),
           "%s", e.text);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    char *best = kept_model(whole, "best"), *same = kept_model(folder, "best");
    EXPECT(best && strstr(best, "nats_per_token"), "%s", best);
    EXPECT(best && same && strcmp(best, same) == 0, "%s, not %s", same, best);
    free(best);
    free(same);
}

/* Longer, and saved by the clock rather than at every step. */
static const char LONGER[] =
    "train: {budget: {steps: 40000}, batch: 4, lanes: 4, segment: 16, log_every: 100,\n"
    "  checkpoint_seconds: 1000}\n";

static void stopped_politely(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "stopped", TRIAL_SPEC, LONGER, 3);
    int code = trial_worker_at_work(folder, SIGTERM);
    run_status s = trial_status(folder);
    EXPECT(code == EXIT_INTERRUPTED && s.state == RUN_INTERRUPTED, "%d, %s", code,
           run_status_state_name(s.state));
    EXPECT(s.step > 0 && s.step < 40000, "step %lld", (long long)s.step);
    int64_t before = s.step;
    code = trial_worker_at_work(folder, SIGINT);
    s = trial_status(folder);
    EXPECT(code == EXIT_INTERRUPTED && s.step > before, "%d: step %lld after %lld", code,
           (long long)s.step, (long long)before);
}

/* A finished run is evaluated as its plan asks now, even if somebody has asked for the same figures
 * before: only a final evaluation has losses per token. Going back evaluates nothing. */
static void evaluated_again(void)
{
    char asked[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(asked, "asked", TRIAL_SPEC, "eval: {rows: 2}", 3);
    EXPECT(trial_worker(asked, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(asked).reason);
    trial_folder(folder, "again", TRIAL_SPEC, "eval: {rows: 3}", 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    json_t *first = last_evaluation(folder), *wanted = last_evaluation(asked);
    json_object_set_new(wanted, "final", json_false());
    json_object_set_new(wanted, "losses", json_null());
    file_join(path, folder, "evals.jsonl", &e);
    EXPECT(run_lines_append_record(path, wanted, &e), "%s", e.text);
    /* What was kept of another that was stopped goes with the next one's line. */
    file_join(path, folder, "part-0123456789abcdef.safetensors", &e);
    EXPECT(file_write(path, "part", 4, &e), "%s", e.text);
    for (int i = 0; i < 2; i++) {
        trial_folder(folder, "again", TRIAL_SPEC, i ? "eval: {rows: 3}" : "eval: {rows: 2}", 3);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        json_t *now = last_evaluation(folder);
        const char *id = json_get_text(now, "eval"), *losses = json_get_text(now, "losses");
        EXPECT(id && strcmp(id, json_get_text(i ? first : wanted, "eval")) == 0, "%d: %s", i, id);
        EXPECT(json_is_true(json_object_get(now, "final")) && losses, "%d: no losses", i);
        EXPECT(losses && file_join(path, folder, losses, &e) && file_exists(path), "%d: %s", i,
               losses);
        EXPECT(!i || json_equal(now, first), "evaluated anew");
        EXPECT(files_named(folder, "part-") == 0, "%d: parts stay", i);
        json_decref(now);
    }
    json_decref(first);
    json_decref(wanted);
}

/* A model of another step that was put in its place is none that the run ended with. */
static void evaluated_by_another_model(void)
{
    char folder[FILE_PATH_BYTES], early[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    if (!undisturbed(folder)) return;
    trial_folder(early, "early", TRIAL_SPEC, NULL, 3);
    trial_worker(early, "step:5", -1, 0);
    EXPECT(file_join(to, folder, "checkpoint", &e) && file_remove_tree(to, &e) &&
               file_join(early, test_inside("early"), "checkpoint", &e) &&
               file_rename(early, to, &e),
           "%s", e.text);
    trial_folder(folder, "whole", TRIAL_SPEC, "eval: {rows: 2}", 3);
    int code = trial_worker(folder, NULL, -1, 0);
    EXPECT(file_join(to, folder, "log.txt", &e), "%s", e.text);
    text_auto *log = file_read(to, NULL, &e);
    EXPECT(code == EXIT_FAILED && log && strstr(log, "is of step 4, and the run ended at 10"),
           "%d: %s", code, log);
    EXPECT(trial_status(folder).state == RUN_DONE, "%s", trial_status(folder).reason);
}

/* Lines of evals.jsonl with these words. */
static int lines_with(const char *folder, const char *words)
{
    char path[FILE_PATH_BYTES];
    int count = 0;
    err e = {0};
    EXPECT(file_join(path, folder, "evals.jsonl", &e), "%s", e.text);
    text_auto *text = file_read(path, NULL, &e);
    for (const char *at = text; at && (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Of the checkpoint's own step that line goes which is made again. One that somebody asked for
 * (loci eval) took as long, and that model is gone once training goes on. */
static void asked_on_the_way(void)
{
    static const char OTHER[] = "0123456789abcdef";
    static const char SECOND[] = "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, "
                                 "accumulate: 2, log_every: 2, eval_every: 2, "
                                 "checkpoint_seconds: 0}\n";
    static const struct {
        const char *eval;
        int step; /* -1: none is said */
        bool final, stays;
    } ASKED[] = {{"own", 4, false, true}, /* train.eval_every asks for none of this step */
                 {OTHER, 4, false, true},
                 {"fedcba9876543210", 4, true, false},
                 {"aaaaaaaaaaaaaaaa", -1, false, false}};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "asked", TRIAL_SPEC, SECOND, 3);
    trial_worker(folder, "eval_line:2", -1, 0);
    json_auto_t *own = last_evaluation(folder);
    EXPECT(json_get_int(own, "step", 0) == 4, "no line of step 4");
    file_remove_tree(folder, &e);
    trial_folder(folder, "asked", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:5", -1, 0);
    EXPECT(file_join(path, folder, "evals.jsonl", &e), "%s", e.text);
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
        json_auto_t *line = json_copy(own);
        if (i > 0) json_object_set_new(line, "eval", json_string(ASKED[i].eval));
        if (ASKED[i].step < 0) json_object_del(line, "step");
        json_object_set_new(line, "final", json_boolean(ASKED[i].final));
        EXPECT(run_lines_append_record(path, line, &e), "%s", e.text);
    }
    trial_worker(folder, "step:1", -1, 0);
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
        const char *id = i > 0 ? ASKED[i].eval : json_get_text(own, "eval");
        EXPECT(lines_with(folder, id) == ASKED[i].stays, "%s: %d", ASKED[i].eval,
               lines_with(folder, id));
    }
    trial_folder(folder, "asked", TRIAL_SPEC, SECOND, 3);
    for (int i = 0; i < 2; i++) {
        trial_worker(folder, i ? NULL : "eval_line:1", -1, 0);
        int lines = lines_with(folder, json_get_text(own, "eval"));
        EXPECT(lines == 1, "%d: %d lines", i, lines);
    }
}

/* With two workers in one folder the second does nothing, and says so. */
static void one_worker_per_folder(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "locked", TRIAL_SPEC, NULL, 3);
    err e = {0};
    int lock = run_folder_lock(folder, &e);
    EXPECT(lock >= 0, "%s", e.text);
    EXPECT(run_folder_lock(folder, &e) < 0 && strstr(e.text, "another process"), "%s", e.text);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_BUSY, "a second worker");
    EXPECT(trial_status(folder).state == RUN_PLANNED, "%s",
           run_status_state_name(trial_status(folder).state));
    close(lock);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
}

/* Of what was being written when somebody was killed only that may be at work elsewhere which
 * another machine wrote just now. */
static void what_was_being_written(void)
{
    static const char *const names[] = {"run.json.tmp.17", "run.json.tmp.far.host.17",
                                        "plan.json.tmp.far.host.17"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "left", TRIAL_SPEC, NULL, 3);
    for (int i = 0; i < 3; i++) {
        EXPECT(file_join(path, folder, names[i], &e) && file_write(path, "part", 4, &e), "%s",
               e.text);
    }
    EXPECT(utimensat(AT_FDCWD, path, old, 0) == 0, "%s", path);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    for (int i = 0; i < 3; i++) {
        file_join(path, folder, names[i], &e);
        EXPECT(file_exists(path) == (i == 1), "%s", names[i]);
    }
}

/* A budget in seconds is measured once; what continues the run reads it. */
static void seconds_become_steps(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "seconds", TRIAL_SPEC,
                 "train: {budget: {seconds: 0.05}, batch: 4, checkpoint_seconds: 0}\n", 3);
    int code = trial_worker(folder, "step:1", -1, 0);
    file_join(path, folder, "length.json", NULL);
    EXPECT(code == 128 + SIGKILL && file_exists(path), "%d", code);
    err e = {0};
    const char length[] = "{\"steps\": 11}\n";
    EXPECT(file_write(path, length, strlen(length), &e), "%s", e.text);
    code = trial_worker(folder, NULL, -1, 0);
    run_status s = trial_status(folder);
    EXPECT(code == EXIT_DONE && s.step == 11 && s.steps == 11, "%d: step %lld", code,
           (long long)s.step);
}

const test_suite test_worker = {"harness/worker",
                                {{"killed_at_a_point", killed_at_a_point},
                                 {"killed_many_times", killed_many_times},
                                 {"killed_while_evaluating", killed_while_evaluating},
                                 {"stopped_while_evaluating", stopped_while_evaluating},
                                 {"kept_models", kept_models},
                                 {"stopped_politely", stopped_politely},
                                 {"evaluated_again", evaluated_again},
                                 {"evaluated_by_another_model", evaluated_by_another_model},
                                 {"asked_on_the_way", asked_on_the_way},
                                 {"one_worker_per_folder", one_worker_per_folder},
                                 {"what_was_being_written", what_was_being_written},
                                 {"seconds_become_steps", seconds_become_steps},
                                 {0}}};
