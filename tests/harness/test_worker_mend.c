/* A finished run of which records are damaged is mended by what the rest of its folder tells:
 * nothing that took hours is made again, or removed. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "results/store/run_damage.h"
#include "tests/support/damaged_run.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* A finished run's worker ends so, and neither model nor curve are made again. */
static void mended_untrained(const char *what, const char *folder, const char *failpoint,
                             int wanted)
{
    char before[2][64], after[2][64];
    damaged_run_stamp(before[0], folder, "checkpoint/model-10.safetensors");
    damaged_run_stamp(before[1], folder, "metrics.jsonl");
    int code = trial_worker(folder, failpoint, -1, 0);
    EXPECT(code == wanted, "%s: %d: %s", what, code, trial_status(folder).reason);
    damaged_run_stamp(after[0], folder, "checkpoint/model-10.safetensors");
    damaged_run_stamp(after[1], folder, "metrics.jsonl");
    EXPECT(strcmp(before[0], after[0]) == 0 && strcmp(before[1], after[1]) == 0, "%s: trained",
           what);
}

static void is_damaged_end(const char *what, const char *folder)
{
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_DAMAGED && s.ended, "%s: %s: %s", what,
           run_status_state_name(s.state), s.reason);
}

/* No training state is left, so that a record that is lost could not be made by training on: it is
 * made from the lines and the model. */
static void records_need_no_training(void)
{
    static const struct {
        const char *file;
        long bytes;
        bool gap; /* evaluations on the way went with it */
    } cases[] = {{"run.json", CHANGED, false},    {"status.json", CHANGED, false},
                 {"run.json", 50, false},         {"run.json", REMOVED, false},
                 {"final.json", 3, false},        {"status.json", 12, false},
                 {"status.json", REMOVED, false}, {"evals.jsonl", 40, true},
                 {"evals.jsonl", REMOVED, true}};
    char folder[FILE_PATH_BYTES], evals[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "stateless", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_without_state(folder);
    run_status was = trial_status(folder);
    EXPECT(was.state == RUN_DONE && file_join(evals, folder, "evals.jsonl", &e), "%s", was.reason);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes;
        text_auto *whole = file_read(evals, &bytes, &e);
        damaged_run_file(folder, cases[i].file, cases[i].bytes);
        is_damaged_end(cases[i].file, folder);
        mended_untrained(cases[i].file, folder, NULL, EXIT_DONE);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && !s.gap[0] == !cases[i].gap && s.step == was.step &&
                   s.tokens == was.tokens && s.loss == was.loss,
               "%s: %s, step %lld: %s", cases[i].file, run_status_state_name(s.state),
               (long long)s.step, s.gap);
        EXPECT(whole && file_write(evals, whole, bytes, &e), "%s", e.text);
    }
    /* A status without a state, as an editor may leave it. */
    char speed[FILE_PATH_BYTES], status[FILE_PATH_BYTES];
    EXPECT(file_join(status, folder, "status.json", &e) &&
               file_write(status, "{\"step\": 10}", 12, &e),
           "%s", e.text);
    is_damaged_end("status.json", folder);
    mended_untrained("status.json", folder, NULL, EXIT_DONE);
    EXPECT(trial_status(folder).state == RUN_DONE, "%s", trial_status(folder).reason);
    /* What `loci bench` has noted is not measured anew. */
    EXPECT(file_join(speed, folder, "speed.json", &e) && file_write(speed, "{\"al", 4, &e), "%s",
           e.text);
    is_damaged_end("speed.json", folder);
    mended_untrained("speed.json", folder, NULL, EXIT_DONE);
    EXPECT(trial_status(folder).state == RUN_DONE && !file_exists(speed), "%s",
           trial_status(folder).reason);
}

/* A finished run needs of its checkpoint what the evaluation that is lost takes, and nothing where
 * none is: what else was changed there, its length being right, is in nobody's way. */
static void changed_checkpoint_is_no_obstacle(void)
{
    static const struct {
        const char *lost, *changed;
    } cases[] = {{"evals.jsonl", "checkpoint/train-10.safetensors"},
                 {"final.json", "checkpoint/model-10.safetensors"},
                 {"status.json", "checkpoint/model-10.safetensors"}};
    char folder[FILE_PATH_BYTES], name[32];
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(name, sizeof name, "obstacle%zu", i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        damaged_run_file(folder, cases[i].lost, 0);
        damaged_run_file(folder, cases[i].changed, FLIPPED);
        is_damaged_end(cases[i].lost, folder);
        mended_untrained(cases[i].lost, folder, NULL, EXIT_DONE);
        EXPECT(trial_status(folder).state == RUN_DONE, "%s: %s", cases[i].lost,
               trial_status(folder).reason);
    }
}

static void expect_bytes(const char *folder, const char *name, int64_t wanted)
{
    char path[FILE_PATH_BYTES];
    int64_t bytes = -1;
    err e = {0};
    EXPECT(file_join(path, folder, name, &e) && file_stat(path, &bytes, NULL, &e) &&
               bytes == wanted,
           "%s: %lld bytes: %s", name, (long long)bytes, e.text);
}

/* What only the lost record knew is unknown in the one that takes its place; what follows from the
 * spec is there. */
static void lost_provenance_is_unknown(void)
{
    static const char *const lost[] = {"host", "created_at", "git_revision", "compiler", "threads"};
    static const char *const known[] = {
        "run",         "variant",   "params",   "forward_flops_per_token",
        "corpus_hash", "tokenizer", "numerics", "steps_budget"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "unknown", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(file_join(path, folder, "run.json", &e), "%s", e.text);
    json_auto_t *before = json_read(path, &e);
    damaged_run_file(folder, "run.json", 60);
    mended_untrained("run.json", folder, NULL, EXIT_DONE);
    json_auto_t *after = json_read(path, &e);
    expect_bytes(folder, "run.json.damaged", 60);
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        EXPECT(json_is_null(json_object_get(after, lost[i])), "%s", lost[i]);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const json_t *x = json_object_get(before, known[i]);
        EXPECT(x && json_equal(x, json_object_get(after, known[i])), "%s", known[i]);
    }
}

/* Where the last line of metrics is lost as well, what an earlier one says is not said of the end.
 */
static void lost_end_is_unknown(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "no-end", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_without_state(folder);
    damaged_run_file(folder, "metrics.jsonl", 500);
    damaged_run_file(folder, "status.json", REMOVED);
    mended_untrained("no end", folder, NULL, EXIT_DONE);
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_DONE && s.step == 10 && s.gap[0] && s.train_seconds == 0 && isnan(s.loss),
           "%s, step %lld, %g s, loss %g: %s", run_status_state_name(s.state), (long long)s.step,
           s.train_seconds, s.loss, s.gap);
}

/* An evaluation that somebody asked for, cut off on a full disk behind the final one, takes no
 * result from the run; one that may have been final does, where a model is left to make it anew. */
static void cut_evaluation_is_a_gap(void)
{
    static const char *const cut[] = {"{\"eval\":\"0123456789abcdef\",\"step\":10,\"tokens_seen\":"
                                      "80,\"final\":false,\"split\":\"te",
                                      "{\"eval\":\"0123456789abcdef\",\"step\":10,\"tokens_seen\":"
                                      "80,\"final\":true,\"split\":\"te\n"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "cut", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(file_join(path, folder, "evals.jsonl", &e), "%s", e.text);
    for (int i = 0; i < 3; i++) {
        size_t bytes;
        const char *line = cut[MIN(i, 1)];
        text_auto *whole = file_read(path, &bytes, &e);
        EXPECT(whole && run_lines_append(path, line, strlen(line), false, &e), "%s", e.text);
        if (i == 2) damaged_run_file(folder, "checkpoint/model-10.safetensors", REMOVED);
        run_status s = trial_status(folder);
        EXPECT(i != 1 ? s.state == RUN_DONE && strstr(s.gap, "evals.jsonl") : s.ended,
               "%d: %s: %s%s", i, run_status_state_name(s.state), s.gap, s.reason);
        if (i == 1) mended_untrained("cut", folder, NULL, EXIT_DONE);
        s = trial_status(folder);
        EXPECT(i != 1 || (s.state == RUN_DONE && !s.gap[0]), "%s%s", s.gap, s.reason);
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
    }
}

/* Killed behind any of its writes, a mending is gone on with. */
static void killed_mending_goes_on(void)
{
    static const char *const at[] = {"mended:1", "mended:2", "mended:3"};
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "killed-mending", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_without_state(folder);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        damaged_run_file(folder, "run.json", 20);
        damaged_run_file(folder, "evals.jsonl", 40);
        damaged_run_file(folder, "final.json", 2);
        damaged_run_file(folder, "status.json", 0);
        is_damaged_end(at[i], folder);
        mended_untrained(at[i], folder, at[i], 128 + SIGKILL);
        is_damaged_end(at[i], folder);
        mended_untrained(at[i], folder, NULL, EXIT_DONE);
        EXPECT(trial_status(folder).state == RUN_DONE, "%s: %s", at[i],
               trial_status(folder).reason);
    }
}

/* A run that had blown up does not come back as one that is done. */
static void lost_divergence_is_found(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "blown-up", TRIAL_SPEC,
                 "optimizer: {lr: 30}\nschedule: {kind: constant}\n", 3);
    trial_worker(folder, NULL, -1, 0);
    EXPECT(trial_status(folder).state == RUN_DIVERGED, "%s", trial_status(folder).reason);
    damaged_run_file(folder, "status.json", REMOVED);
    is_damaged_end("blown-up", folder);
    mended_untrained("blown-up", folder, NULL, EXIT_FAILED);
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_DIVERGED && strstr(s.reason, "a uniform guess"), "%s: %s",
           run_status_state_name(s.state), s.reason);
}

/* Nor is a record of such a run lost for as long as nobody trains it again. */
static void diverged_records_are_mended(void)
{
    static const char *const cases[] = {"final.json", "run.json", "speed.json"};
    char folder[FILE_PATH_BYTES], speed[FILE_PATH_BYTES], why[ERR_TEXT_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "blown-up", TRIAL_SPEC,
                 "optimizer: {lr: 30}\nschedule: {kind: constant}\n", 3);
    trial_worker(folder, NULL, -1, 0);
    run_status was = trial_status(folder);
    EXPECT(was.state == RUN_DIVERGED && file_join(speed, folder, "speed.json", &e), "%s",
           was.reason);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i / 2];
        if (i == 1) damaged_run_without_state(folder);
        EXPECT(file_write(speed, "{\"alone", 8, &e), "%s", e.text); /* as one of `bench` was cut */
        if (i / 2 < 2) damaged_run_file(folder, name, 5);
        is_damaged_end(name, folder);
        mended_untrained(name, folder, NULL, EXIT_FAILED);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DIVERGED && s.step == was.step && strcmp(s.reason, was.reason) == 0,
               "%s: %s: %s", name, run_status_state_name(s.state), s.reason);
    }
    /* Without its final evaluation nothing says that it was trained to its end. */
    EXPECT(file_write(speed, "{\"alone", 8, &e), "%s", e.text);
    damaged_run_file(folder, "evals.jsonl", 0);
    EXPECT(run_damage_find(why, folder) != DAMAGE_END, "%s", why);
}

/* Where neither a model nor a final evaluation is left it is trained again, and what is whole lies
 * beside until then, also where the process is killed while it puts it there. */
static void training_again_sets_aside(void)
{
    static const char *const at[] = {NULL, "set_aside:1", "set_aside:2"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[32], before[64], after[64];
    err e = {0};
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        snprintf(name, sizeof name, "aside%d", (int)i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        damaged_run_without_state(folder);
        damaged_run_stamp(before, folder, "metrics.jsonl");
        damaged_run_file(folder, "checkpoint/model-10.safetensors", i == 0 ? 100 : REMOVED);
        damaged_run_file(folder, "evals.jsonl", 40);
        EXPECT(trial_status(folder).kind == KIND_DAMAGED && !trial_status(folder).ended, "%s",
               trial_status(folder).reason);
        if (at[i]) trial_worker(folder, at[i], -1, 0);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        damaged_run_stamp(after, folder, "before-1/metrics.jsonl");
        EXPECT(strcmp(before, after) == 0, "%s: another curve", name);
        EXPECT(file_join(path, folder, "before-1/checkpoint/manifest.json", &e) &&
                   file_exists(path),
               "%s", path);
        EXPECT(file_join(path, folder, "before-2", &e) && !file_exists(path), "%s", path);
    }
    /* Once more: what lies there stays. */
    damaged_run_file(folder, "checkpoint/model-10.safetensors", REMOVED);
    damaged_run_file(folder, "evals.jsonl", 40);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    damaged_run_stamp(after, folder, "before-1/metrics.jsonl");
    EXPECT(strcmp(before, after) == 0 && file_join(path, folder, "before-2/metrics.jsonl", &e) &&
               file_exists(path),
           "%s", path);
}

/* Neither model nor final evaluation: whatever became of its status and of what is left of its
 * checkpoint, and whenever the process is killed, its lines lie beside, and the next worker trains
 * it again. */
static void lines_are_never_lost(void)
{
    static const char *const at[] = {NULL, "set_aside:1", "set_aside:2"};
    static const long status[] = {INT16_MAX, 5, REMOVED};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[32], before[2][64], after[64];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "lines", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    for (int i = 0; i < 3 * 3 * 2; i++) {
        snprintf(name, sizeof name, "lines%d", i);
        snprintf(path, sizeof path, "cp -a %.1000s/lines %.1000s/%s", test_folder(), test_folder(),
                 name);
        EXPECT(system(path) == 0 && file_join(folder, test_folder(), name, &e), "%s", path);
        damaged_run_file(folder, "evals.jsonl", 1500);
        damaged_run_stamp(before[0], folder, "metrics.jsonl");
        damaged_run_stamp(before[1], folder, "evals.jsonl");
        bool state = i % 2; /* is left, which nothing goes on from */
        damaged_run_file(folder, "checkpoint/model-10.safetensors", REMOVED);
        EXPECT(state || (file_join(path, folder, "checkpoint", &e) && file_remove_tree(path, &e)),
               "%s", e.text);
        if (status[i / 6] != INT16_MAX) damaged_run_file(folder, "status.json", status[i / 6]);
        const char *kill = at[i / 2 % 3];
        if (kill) EXPECT(trial_worker(folder, kill, -1, 0) == 128 + SIGKILL, "%d: no kill", i);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%d: %s", i,
               trial_status(folder).reason);
        damaged_run_stamp(after, folder, "before-1/metrics.jsonl");
        EXPECT(strcmp(before[0], after) == 0, "%d: another curve", i);
        damaged_run_stamp(after, folder, "before-1/evals.jsonl");
        EXPECT(strcmp(before[1], after) == 0, "%d: other evaluations", i);
        EXPECT(file_join(path, folder, "before-2", &e) && !file_exists(path), "%s", path);
    }
}

/* Evaluated at steps 2, 4 to 10: 2.13, 1.90, 1.94, 1.89 and 1.97 nats per token. */
static const char KEEPS_BEST[] =
    "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, accumulate: 2, log_every: 2,\n"
    "  eval_every: 2, checkpoint_seconds: 0, keep_best: true}\n"
    "optimizer: {lr: 0.08}\nschedule: {kind: constant}\n";

/* A run that was killed behind step 9, so that only its last evaluation, which is no better than
 * that of step 8, is to come. */
static void best_but_for_the_end(char folder[FILE_PATH_BYTES], const char *name)
{
    trial_folder(folder, name, TRIAL_SPEC, KEEPS_BEST, 3);
    EXPECT(trial_worker(folder, "step:9", -1, 0) == 128 + SIGKILL, "%s: not killed", name);
}

/* The step that the best model's manifest says; -1: there is none. */
static int64_t best_step(const char *folder, const char *manifest)
{
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, manifest, NULL) && file_exists(path);
    json_auto_t *o = there ? json_read(path, NULL) : NULL;
    return json_get_int(o, "step", -1);
}

/* A damaged word on which model was the best does not make a worse one the best: it is said anew by
 * the model and its evaluation. */
static void best_stays_the_best(void)
{
    static const long damage[] = {CHANGED, 20, 0, REMOVED};
    static const char MANIFEST[] = "checkpoint-best/manifest.json";
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[32];
    err e = {0};
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        snprintf(name, sizeof name, "best%zu", i);
        best_but_for_the_end(folder, name);
        EXPECT(file_join(path, folder, MANIFEST, &e), "%s", e.text);
        json_auto_t *before = json_read(path, &e);
        EXPECT(json_get_int(before, "step", 0) == 8, "%s", e.text);
        damaged_run_file(folder, MANIFEST, damage[i]);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        json_auto_t *after = json_read(path, &e);
        EXPECT(before && json_equal(before, after), "%s: of step %lld: %s", name,
               (long long)best_step(folder, MANIFEST), e.text);
        EXPECT(file_join(path, folder, "checkpoint-best/manifest.json.damaged", &e), "%s", e.text);
        EXPECT(file_exists(path) == (damage[i] != REMOVED), "%s", path);
    }
}

/* Where the model is lost, too, nothing is the best that is worse; what is left lies beside. */
static void lost_best_is_set_aside(void)
{
    static const char *const at[] = {NULL, "set_aside:1"};
    char folder[FILE_PATH_BYTES], name[32];
    if (!test_program()) return;
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "lost%d", i);
        best_but_for_the_end(folder, name);
        damaged_run_file(folder, "checkpoint-best/manifest.json", 20);
        damaged_run_file(folder, "checkpoint-best/model-8.safetensors", 100);
        if (at[i]) EXPECT(trial_worker(folder, at[i], -1, 0) == 128 + SIGKILL, "%s", name);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        EXPECT(best_step(folder, "checkpoint-best/manifest.json") == -1, "%s", name);
        expect_bytes(folder, "before-1/checkpoint-best/manifest.json", 20);
        expect_bytes(folder, "before-1/checkpoint-best/model-8.safetensors", 100);
    }
    /* A better one to come is the best again. */
    trial_folder(folder, "again", TRIAL_SPEC, KEEPS_BEST, 3);
    EXPECT(trial_worker(folder, "step:7", -1, 0) == 128 + SIGKILL, "not killed");
    damaged_run_file(folder, "checkpoint-best/manifest.json", 20);
    damaged_run_file(folder, "checkpoint-best/model-4.safetensors", REMOVED);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(best_step(folder, "checkpoint-best/manifest.json") == 8, "again");
}

/* Figures of two kinds of evaluation say nothing of which model is better: where the spec asks for
 * another one on the way, the best by that is kept, and the one before lies beside. */
static void best_is_of_one_evaluation(void)
{
    static const char MANIFEST[] = "checkpoint-best/manifest.json";
    char folder[FILE_PATH_BYTES], more[1024];
    if (!test_program()) return;
    best_but_for_the_end(folder, "kinds");
    EXPECT(best_step(folder, MANIFEST) == 8, "not 8");
    /* What comes first is much harder, of blocks of one token, so that no figure is lower. */
    snprintf(more, sizeof more, "%seval: {split: validation, rows: 3, context: 1}\n", KEEPS_BEST);
    trial_folder(folder, "kinds", TRIAL_SPEC, more, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(best_step(folder, MANIFEST) == 10, "of step %lld",
           (long long)best_step(folder, MANIFEST));
    EXPECT(best_step(folder, "before-1/checkpoint-best/manifest.json") == 8, "it is lost");
}

const test_suite test_worker_mend = {
    "harness/worker_mend",
    {{"records_need_no_training", records_need_no_training},
     {"changed_checkpoint_is_no_obstacle", changed_checkpoint_is_no_obstacle},
     {"lost_provenance_is_unknown", lost_provenance_is_unknown},
     {"lost_end_is_unknown", lost_end_is_unknown},
     {"cut_evaluation_is_a_gap", cut_evaluation_is_a_gap},
     {"killed_mending_goes_on", killed_mending_goes_on},
     {"lost_divergence_is_found", lost_divergence_is_found},
     {"diverged_records_are_mended", diverged_records_are_mended},
     {"training_again_sets_aside", training_again_sets_aside},
     {"lines_are_never_lost", lines_are_never_lost},
     {"best_stays_the_best", best_stays_the_best},
     {"lost_best_is_set_aside", lost_best_is_set_aside},
     {"best_is_of_one_evaluation", best_is_of_one_evaluation},
     {0}}};
