/* A run that cannot be gone on with says why; one whose files are damaged is mended. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "harness/train/checkpoint_files.h"
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

/* Cut to `bytes`; or removed; or a digit of its first line is another, as a disk or a copy may
 * leave it: still JSON, still a number. */
enum { REMOVED = -1, CHANGED = -2 };
static void damage(const char *folder, const char *name, long bytes)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, name, &e), "%s", e.text);
    if (bytes != CHANGED) {
        EXPECT((bytes < 0 ? remove(path) : truncate(path, bytes)) == 0, "%s", path);
        return;
    }
    size_t size;
    text_auto *text = file_read(path, &size, &e);
    char *digit = text ? strchr(text, '.') : NULL;
    EXPECT(digit, "%s: %s", path, e.text);
    if (!digit) return;
    digit[1] = digit[1] == '7' ? '8' : '7';
    EXPECT(file_write(path, text, size, &e), "%s", e.text);
}

/* The bytes of a run's model: two runs that are the same have the same. */
static void model_hash(char hex[SHA256_HEX], const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, "checkpoint", &e), "%s", e.text);
    arena *a = arena_new(0);
    const char *hash = checkpoint_files_hash(a, path, &e);
    snprintf(hex, SHA256_HEX, "%.64s", hash ? hash : "none");
    arena_free(a);
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
    model_hash(before, folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        damage(folder, cases[i].file, cases[i].bytes);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_DAMAGED &&
                   strstr(s.reason, cases[i].file),
               "%s: %s: %s", cases[i].file, run_status_state_name(s.state), s.reason);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s: %s", cases[i].file,
               trial_status(folder).reason);
        s = trial_status(folder);
        model_hash(after, folder);
        EXPECT(s.state == RUN_DONE && strcmp(before, after) == 0, "%s: %s: %s", cases[i].file,
               run_status_state_name(s.state), s.reason);
    }
}

/* The file's time and size, which tell whether it was made again. */
static void stamp_of(char text[64], const char *folder, const char *name)
{
    struct stat is;
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, name, NULL) && stat(path, &is) == 0;
    EXPECT(there, "%s", path);
    snprintf(text, 64, "%lld %lld.%09ld", there ? (long long)is.st_ino : 0,
             there ? (long long)is.st_mtim.tv_sec : 0, there ? is.st_mtim.tv_nsec : 0);
}

/* What training alone could make again is no reason to lose a model and hours: the run is done, its
 * worker trains nothing and removes nothing, and what is missing is told. A copy put back is all it
 * takes. */
static void past_is_kept(void)
{
    static const struct {
        const char *file;
        long bytes;
        int code; /* the worker's: without a manifest it has no model to evaluate */
    } cases[] = {{"metrics.jsonl", 90, EXIT_DONE},
                 {"metrics.jsonl", REMOVED, EXIT_DONE},
                 {"metrics.jsonl", CHANGED, EXIT_DONE},
                 {"evals.jsonl", CHANGED, EXIT_DONE},
                 {"checkpoint/manifest.json", 9, EXIT_FAILED},
                 {"checkpoint/manifest.json", CHANGED, EXIT_FAILED}};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], before[64], after[64];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "past", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    stamp_of(before, folder, "checkpoint/model-10.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes, left = 0;
        EXPECT(file_join(path, folder, cases[i].file, &e), "%s", e.text);
        text_auto *whole = file_read(path, &bytes, &e);
        damage(folder, cases[i].file, cases[i].bytes);
        text_auto *damaged = file_exists(path) ? file_read(path, &left, &e) : NULL;
        EXPECT(trial_worker(folder, NULL, -1, 0) == cases[i].code, "%s: %s", cases[i].file,
               trial_status(folder).reason);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && strstr(s.gap, cases[i].file) && strstr(s.gap, "copy"),
               "%s: %s: %s", cases[i].file, run_status_state_name(s.state), s.gap);
        stamp_of(after, folder, "checkpoint/model-10.safetensors");
        EXPECT(strcmp(before, after) == 0, "%s: trained again", cases[i].file);
        size_t is = 0;
        text_auto *now = file_exists(path) ? file_read(path, &is, &e) : NULL;
        EXPECT(is == left && (left == 0 || memcmp(now, damaged, is) == 0), "%s: written",
               cases[i].file);
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
        EXPECT(!trial_status(folder).gap[0], "%s: put back", cases[i].file);
    }
}

/* As `loci gc` leaves a finished run: its model, and nothing that training goes on from. */
static void drop_training_state(const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, "checkpoint/manifest.json", &e), "%s", e.text);
    json_auto_t *manifest = json_read(path, &e);
    EXPECT(json_object_del(json_object_get(manifest, "files"), "train-10.safetensors") == 0 &&
               json_write(path, manifest, &e),
           "%s", e.text);
    damage(folder, "checkpoint/train-10.safetensors", REMOVED);
}

/* A finished run's worker ends so, and neither model nor curve are made again. */
static void mended_untrained(const char *what, const char *folder, const char *failpoint,
                             int wanted)
{
    char before[2][64], after[2][64];
    stamp_of(before[0], folder, "checkpoint/model-10.safetensors");
    stamp_of(before[1], folder, "metrics.jsonl");
    int code = trial_worker(folder, failpoint, -1, 0);
    EXPECT(code == wanted, "%s: %d: %s", what, code, trial_status(folder).reason);
    stamp_of(after[0], folder, "checkpoint/model-10.safetensors");
    stamp_of(after[1], folder, "metrics.jsonl");
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
    drop_training_state(folder);
    run_status was = trial_status(folder);
    EXPECT(was.state == RUN_DONE && file_join(evals, folder, "evals.jsonl", &e), "%s", was.reason);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes;
        text_auto *whole = file_read(evals, &bytes, &e);
        damage(folder, cases[i].file, cases[i].bytes);
        is_damaged_end(cases[i].file, folder);
        mended_untrained(cases[i].file, folder, NULL, EXIT_DONE);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DONE && !s.gap[0] == !cases[i].gap && s.step == was.step &&
                   s.tokens == was.tokens && s.loss == was.loss,
               "%s: %s, step %lld: %s", cases[i].file, run_status_state_name(s.state),
               (long long)s.step, s.gap);
        EXPECT(whole && file_write(evals, whole, bytes, &e), "%s", e.text);
    }
}

/* What only the lost record knew is unknown in the one that takes its place; what follows from the
 * spec is there. */
static void lost_provenance_is_unknown(void)
{
    static const char *const lost[] = {"host", "created_at", "git_revision", "compiler", "threads"};
    static const char *const known[] = {
        "run",         "variant",  "params",      "forward_flops_per_token",
        "corpus_hash", "numerics", "steps_budget"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "unknown", TRIAL_SPEC, NULL, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(file_join(path, folder, "run.json", &e), "%s", e.text);
    json_auto_t *before = json_read(path, &e);
    damage(folder, "run.json", 60);
    mended_untrained("run.json", folder, NULL, EXIT_DONE);
    json_auto_t *after = json_read(path, &e);
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        EXPECT(json_is_null(json_object_get(after, lost[i])), "%s", lost[i]);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const json_t *x = json_object_get(before, known[i]);
        EXPECT(x && json_equal(x, json_object_get(after, known[i])), "%s", known[i]);
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
    drop_training_state(folder);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        damage(folder, "run.json", 20);
        damage(folder, "evals.jsonl", 40);
        damage(folder, "final.json", 2);
        damage(folder, "status.json", 0);
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
    damage(folder, "status.json", REMOVED);
    is_damaged_end("blown-up", folder);
    mended_untrained("blown-up", folder, NULL, EXIT_FAILED);
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_DIVERGED && strstr(s.reason, "a uniform guess"), "%s: %s",
           run_status_state_name(s.state), s.reason);
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
        drop_training_state(folder);
        stamp_of(before, folder, "metrics.jsonl");
        damage(folder, "checkpoint/model-10.safetensors", REMOVED);
        damage(folder, "evals.jsonl", 40);
        EXPECT(trial_status(folder).kind == KIND_DAMAGED && !trial_status(folder).ended, "%s",
               trial_status(folder).reason);
        if (at[i]) trial_worker(folder, at[i], -1, 0);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
        stamp_of(after, folder, "before-1/metrics.jsonl");
        EXPECT(strcmp(before, after) == 0, "%s: another curve", name);
        EXPECT(file_join(path, folder, "before-1/checkpoint/manifest.json", &e) &&
                   file_exists(path),
               "%s", path);
        EXPECT(file_join(path, folder, "before-2", &e) && !file_exists(path), "%s", path);
    }
}

/* Of a run that goes on, the line that is lost is named in its log. */
static void dropped_line_is_said(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "dropped", TRIAL_SPEC, NULL, 3);
    trial_worker(folder, "step:5", -1, 0);
    damage(folder, "metrics.jsonl", CHANGED);
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
    trial_folder(
        folder, "length", TRIAL_SPEC,
        "train: {budget: {seconds: 0.1}, batch: 4, log_every: 50, checkpoint_seconds: 0}\n", 3);
    trial_worker(folder, "step:5", -1, 0);
    EXPECT(file_join(path, folder, "run.json", &e), "%s", e.text);
    json_auto_t *record = json_read(path, &e);
    int64_t steps = json_get_int(record, "steps_budget", 0);
    damage(folder, "length.json", CHANGED);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s", trial_status(folder).reason);
    EXPECT(steps > 5 && trial_status(folder).step == steps, "%lld steps, not %lld",
           (long long)trial_status(folder).step, (long long)steps);
}

/* A checkpoint on the way that was cut short is worth nothing. */
static void cut_checkpoint_begins_again(void)
{
    static const char *const files[] = {"manifest.json", "model-4.safetensors",
                                        "train-4.safetensors"};
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    if (!test_program()) return;
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "cut%d", i);
        trial_folder(folder, name, TRIAL_SPEC, NULL, 3);
        trial_worker(folder, "step:5", -1, 0);
        snprintf(name, sizeof name, "checkpoint/%s", files[i % 3]);
        damage(folder, name, i < 3 ? 10 : i == 3 ? 0 : -1);
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
     {"records_need_no_training", records_need_no_training},
     {"lost_provenance_is_unknown", lost_provenance_is_unknown},
     {"killed_mending_goes_on", killed_mending_goes_on},
     {"lost_divergence_is_found", lost_divergence_is_found},
     {"training_again_sets_aside", training_again_sets_aside},
     {"dropped_line_is_said", dropped_line_is_said},
     {"length_is_kept", length_is_kept},
     {"cut_checkpoint_begins_again", cut_checkpoint_begins_again},
     {0}}};
