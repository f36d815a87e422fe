/* Whether a run came to something is said once: whoever writes it anew says the same. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "tests/support/damaged_run.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* 2.08 nats are a guess, 2.08, 2.55, 4.74, 2.92, 2.01 and 1.93 what is logged on the way, 2.61 the
 * mean over the last ten steps; the evaluation has 2.01, and 1.94 where it learns. */
#define PEAK "optimizer: {lr: 0.3, clip: 1.0}\nschedule: {kind: cosine, warmup: 1}\n"
#define LEARNS                                                                                     \
    PEAK "eval: {rows: 3, dynamic: {kind: sgd, rates: [0.1, 0.3, 1], grid_tokens: 200}}\n"
#define LEARNS_OTHERWISE                                                                           \
    PEAK "eval: {rows: 2, dynamic: {kind: sgd, rates: [0.1, 0.3, 1], grid_tokens: 200}}\n"
/* Nothing but steps in the wrong direction. */
#define HOT "optimizer: {lr: 30}\nschedule: {kind: constant}\n"

static const struct {
    const char *name, *more;
    run_state state;
    const char *part; /* of the reason */
} ENDS[] = {
    {"peak", PEAK, RUN_DONE, ""},
    {"learns", LEARNS, RUN_DIVERGED, "step 10: training ended at "},
    {"hot", HOT, RUN_DIVERGED, "step 10: the final evaluation ended at "},
};

/* One of those, trained to its end in a folder of that name; how it stands. */
static run_status ended(char folder[FILE_PATH_BYTES], const char *name, const char *more)
{
    trial_folder(folder, name, TRIAL_SPEC, more, 3);
    trial_worker(folder, NULL, -1, 0);
    return trial_status(folder);
}

static void expect_same(const char *what, const run_status *was, const char *folder)
{
    run_status s = trial_status(folder);
    EXPECT(s.state == was->state && s.kind == was->kind && strcmp(s.reason, was->reason) == 0 &&
               s.step == was->step && s.tokens == was->tokens,
           "%s: %s: %s instead of %s: %s", what, run_status_state_name(s.state), s.reason,
           run_status_state_name(was->state), was->reason);
}

/* As lines of earlier versions. */
static bool forget_training(const char *folder)
{
    char path[FILE_PATH_BYTES];
    size_t bytes;
    err e;
    text_auto *text =
        file_join(path, folder, "evals.jsonl", &e) ? file_read(path, &bytes, &e) : NULL;
    char *final = text ? strstr(text, "\"final\":true") : NULL, *start = final;
    while (start && start > text && start[-1] != '\n') {
        start--;
    }
    json_auto_t *line = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    return line && json_object_del(line, "training") == 0 && json_object_del(line, "crc") == 0 &&
           file_write(path, text, (size_t)(start - text), &e) &&
           run_lines_append_record(path, line, &e);
}

/* As a process leaves it that is killed behind its last line: what it asked for stands nowhere yet,
 * and parts of the evaluation do. */
static void kill_behind_the_line(const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    damaged_run_file(folder, "status.json", REMOVED);
    damaged_run_file(folder, "final.json", REMOVED);
    EXPECT(file_join(path, folder, "part-0123456789abcdef.safetensors", &e) &&
               file_write(path, "", 0, &e),
           "%s", e.text);
}

static void expect_whole(const char *what, const char *folder)
{
    char part[FILE_PATH_BYTES], final[FILE_PATH_BYTES];
    int64_t bytes = 0;
    err e = {0};
    EXPECT(file_join(part, folder, "part-0123456789abcdef.safetensors", &e) && !file_exists(part),
           "%s: a part is left", what);
    EXPECT(file_join(final, folder, "final.json", &e) && file_stat(final, &bytes, NULL, &e) &&
               bytes > 0,
           "%s: final.json of %lld bytes", what, (long long)bytes);
}

/* With the final evaluation and the training state; as an earlier version left both; without the
 * training state; without the evaluation. */
static void mended_says_the_same(void)
{
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        char folder[FILE_PATH_BYTES];
        trial_folder(folder, ENDS[i].name, TRIAL_SPEC, ENDS[i].more, 3);
        int code = trial_worker(folder, NULL, -1, 0), wanted = EXIT_FAILED;
        run_status was = trial_status(folder);
        if (ENDS[i].state == RUN_DONE) wanted = EXIT_DONE;
        EXPECT(code == wanted && was.state == ENDS[i].state && strstr(was.reason, ENDS[i].part),
               "%s: %d, %s: %s", ENDS[i].name, code, run_status_state_name(was.state), was.reason);
        kill_behind_the_line(folder);
        EXPECT(trial_worker(folder, NULL, -1, 0) == wanted, "%s", ENDS[i].name);
        expect_same(ENDS[i].name, &was, folder);
        expect_whole(ENDS[i].name, folder);
        EXPECT(forget_training(folder), "%s: no training in the line", ENDS[i].name);
        damaged_run_file(folder, "status.json", REMOVED);
        EXPECT(trial_worker(folder, NULL, -1, 0) == wanted, "%s, earlier", ENDS[i].name);
        expect_same("an earlier version's", &was, folder);
    }
}

static void noted_outlives_the_state(void)
{
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        char folder[FILE_PATH_BYTES], name[32];
        snprintf(name, sizeof name, "stateless-%s", ENDS[i].name);
        run_status was = ended(folder, name, ENDS[i].more);
        damaged_run_without_state(folder);
        damaged_run_file(folder, "status.json", REMOVED);
        trial_worker(folder, NULL, -1, 0);
        expect_same(name, &was, folder);
    }
}

/* The evaluation that is made anew is judged as the lost one was, beside what is known of training:
 * exactly from the training state, nearly from the curve. */
static void lost_evaluation_is_judged(void)
{
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        char folder[FILE_PATH_BYTES], name[32];
        snprintf(name, sizeof name, "unknown-%s", ENDS[i].name);
        run_status was = ended(folder, name, ENDS[i].more);
        damaged_run_file(folder, "evals.jsonl", 0);
        damaged_run_file(folder, "status.json", REMOVED);
        trial_worker(folder, NULL, -1, 0);
        expect_same(name, &was, folder);
        damaged_run_without_state(folder);
        damaged_run_file(folder, "evals.jsonl", 0);
        damaged_run_file(folder, "status.json", REMOVED);
        trial_worker(folder, NULL, -1, 0);
        run_status s = trial_status(folder);
        EXPECT(s.state == was.state && strstr(s.reason, ENDS[i].part), "%s, by the curve: %s: %s",
               name, run_status_state_name(s.state), s.reason);
    }
}

/* Another evaluation of a run that is done was judged without its training, and so it is where that
 * is written anew. */
static void another_is_judged_alone(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    run_status was = ended(folder, "another", PEAK);
    trial_folder(folder, "another", TRIAL_SPEC, LEARNS, 3);
    EXPECT(was.state == RUN_DONE && trial_worker(folder, NULL, -1, 0) == EXIT_DONE, "%s",
           trial_status(folder).reason);
    damaged_run_file(folder, "status.json", REMOVED);
    trial_worker(folder, NULL, -1, 0);
    expect_same("another", &was, folder);
}

/* What was judged as bad beside its training is judged so by another evaluation, too. */
static void bad_training_stays_bad(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    run_status was = ended(folder, "bad", LEARNS);
    trial_folder(folder, "bad", TRIAL_SPEC, LEARNS_OTHERWISE, 3);
    EXPECT(was.state == RUN_DIVERGED && trial_worker(folder, NULL, -1, 0) == EXIT_FAILED, "%s",
           trial_status(folder).reason);
    run_status s = trial_status(folder);
    EXPECT(s.state == RUN_DIVERGED && strstr(s.reason, "training ended at"), "%s: %s",
           run_status_state_name(s.state), s.reason);
}

/* What the plan asks for by now is not what was asked for: that is known as long as final.json is
 * there, and then nobody says. */
static void plan_of_today_was_not_asked(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    run_status was = ended(folder, "planned", LEARNS);
    trial_folder(folder, "planned", TRIAL_SPEC, LEARNS_OTHERWISE, 3);
    EXPECT(file_join(path, folder, "final.json", &e), "%s", e.text);
    for (int lost = 0; lost < 2; lost++) {
        damaged_run_file(folder, "status.json", REMOVED);
        if (lost) damaged_run_file(folder, "final.json", REMOVED);
        EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_FAILED, "it had diverged");
        expect_same("planned", &was, folder);
        EXPECT(file_exists(path) == !lost, "%d: %s", lost, path);
    }
}

/* The curve without its first or its last line tells nothing of training. */
static void half_a_curve_tells_nothing(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    size_t bytes;
    err e = {0};
    if (!test_program()) return;
    ended(folder, "half", LEARNS);
    damaged_run_without_state(folder);
    EXPECT(file_join(path, folder, "metrics.jsonl", &e), "%s", e.text);
    text_auto *whole = file_read(path, &bytes, &e);
    for (int last = 0; whole && last < 2; last++) {
        const char *second = strchr(whole, '\n') + 1;
        size_t cut = (size_t)(second - whole);
        if (last) cut = bytes - (size_t)((char *)memrchr(whole, '\n', bytes - 1) + 1 - whole);
        EXPECT(file_write(path, last ? whole : second, bytes - cut, &e), "%s", e.text);
        damaged_run_file(folder, "evals.jsonl", 0);
        damaged_run_file(folder, "status.json", REMOVED);
        trial_worker(folder, NULL, -1, 0);
        run_status s = trial_status(folder);
        EXPECT(s.state == RUN_DONE, "%d: %s: %s", last, run_status_state_name(s.state), s.reason);
    }
}

/* A process that was killed between an evaluation's line and its verdict leaves a run that is
 * done. */
static void verdict_comes_after_a_kill(void)
{
    char folder[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    run_status was = ended(folder, "killed", HOT), done = was;
    done.state = RUN_DONE;
    done.kind = KIND_NONE;
    done.reason[0] = 0;
    EXPECT(run_status_write(&done, folder, false, &e), "%s", e.text);
    damaged_run_file(folder, "final.json", 0);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_FAILED, "it is done");
    expect_same("killed", &was, folder);
}

/* What was asked of the model besides, by `loci eval --split test` and by another `eval:` section;
 * how many lines of it stand there. */
static int asked_besides(const char *folder, bool add)
{
    static const char ID[] = "0123456789abcdef";
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, "evals.jsonl", &e), "%s", e.text);
    for (int final = 0; add && final < 2; final++) {
        json_auto_t *line = json_pack("{s:s, s:i, s:b, s:s, s:f, s:i}", "eval", ID, "step", 10,
                                      "final", final, "split", "test", "nats", 2.0, "tokens", 1);
        EXPECT(run_lines_append_record(path, line, &e), "%s", e.text);
    }
    text_auto *text = file_read(path, NULL, &e);
    int count = 0;
    for (const char *at = text; at && (at = strstr(at, ID)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Tried again, its final evaluation is made anew, and losses of those that went do not stay. What
 * else was asked of the same model does. */
static void losses_go_with_their_lines(void)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    trial_folder(folder, "hot", TRIAL_SPEC, HOT, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_FAILED, "no blow-up");
    EXPECT(file_join(path, folder, "losses-0123456789abcdef.f32", &e) &&
               file_write(path, "0", 1, &e),
           "%s", e.text);
    EXPECT(asked_besides(folder, true) == 2, "two lines");
    EXPECT(trial_worker(folder, NULL, -1, 0) == EXIT_FAILED, "no blow-up");
    EXPECT(!file_exists(path), "of no line");
    EXPECT(asked_besides(folder, false) == 2, "the other evaluations' lines");
    int files = 0;
    file_walk w = file_walk_begin(folder, &e);
    while (file_walk_next(&w)) {
        files += strncmp(w.name, "losses-", 7) == 0;
    }
    EXPECT(file_walk_end(&w) && files == 1, "%d files of losses", files);
}

const test_suite test_run_verdict = {"harness/run_verdict",
                                     {{"mended_says_the_same", mended_says_the_same},
                                      {"noted_outlives_the_state", noted_outlives_the_state},
                                      {"lost_evaluation_is_judged", lost_evaluation_is_judged},
                                      {"another_is_judged_alone", another_is_judged_alone},
                                      {"bad_training_stays_bad", bad_training_stays_bad},
                                      {"plan_of_today_was_not_asked", plan_of_today_was_not_asked},
                                      {"half_a_curve_tells_nothing", half_a_curve_tells_nothing},
                                      {"losses_go_with_their_lines", losses_go_with_their_lines},
                                      {"verdict_comes_after_a_kill", verdict_comes_after_a_kill},
                                      {0}}};
