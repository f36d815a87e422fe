/* How long a sweep will take: what a run reads, and runs side by side. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/json.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/run_amount.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/speed/sweep_time.h"
#include "tests/support/damaged_run.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/support/trials.h"
#include "tests/test.h"

static run_amount amount_of(const char *more)
{
    workload w;
    if (!trial_open(&w, TRIAL_SPEC, more, 1)) return (run_amount){0};
    run_amount a = run_amount_of(&w, model_costs(w.model).train_flops);
    double step = w.shape.targets_per_step;
    workload_close(&w);
    a.tokens /= step; /* in steps */
    return a;
}

static void amounts(void)
{
    run_amount a = amount_of("train: {budget: {steps: 10}, batch: 4, eval_every: 3}\n"
                             "eval: {tokens: 100}\n");
    /* After 3, 6 and 9 steps, and at the end. */
    EXPECT(fabs(a.tokens - 10) < 1e-9 && a.eval_tokens == 400 && isnan(a.seconds), "%g, %g, %g",
           a.tokens, a.eval_tokens, a.seconds);
    a = amount_of("train: {budget: {seconds: 7}, batch: 4}\neval: {tokens: 100}\n");
    EXPECT(a.seconds == 7 && isnan(a.tokens) && a.eval_tokens == 100, "%g, %g, %g", a.seconds,
           a.tokens, a.eval_tokens);
}

static void side_by_side(void)
{
    const run_time times[] = {{TIME_RECORDED, 10, 2},
                              {TIME_NONE, 0, 0},
                              {TIME_SCALED, 6, 0},
                              {TIME_RECORDED, 6, 0},
                              {TIME_UNKNOWN, 9, 9}};
    int known;
    EXPECT(sweep_time_total(times, 5, 1, &known) == 24 && known == 3, "%d", known);
    EXPECT(sweep_time_total(times, 5, 2, &known) == 12, "%g",
           sweep_time_total(times, 5, 2, &known));
    EXPECT(sweep_time_total(times, 5, 9, &known) == 12, "no less than the longest");
}

/* Runs of 3 variants on this machine and of one on another; the second and third seed took 2 and 10
 * times as long as the first. */
static fake_experiment recorded(void)
{
    static const fake_variant variants[] = {{"slow", 0, 0, 1000, 100, NULL, false},
                                            {"usual", 0, 0, 1000, 300, NULL, false},
                                            {"fast", 0, 0, 1000, 900, NULL, false},
                                            {"elsewhere", 0, 0, 1000, 900, NULL, false}};
    static const double longer[] = {1, 2, 10};
    const fake_experiment x = {test_folder(), "timed", 4, 3, 4, variants};
    host_info h;
    host_describe(&h);
    fake_write(&x);
    for (int i = 0; i < 4 * 3; i++) {
        char id[17], folder[FILE_PATH_BYTES], head[FILE_PATH_BYTES], state[FILE_PATH_BYTES];
        err e = {0};
        fake_run_id(id, x.name, variants[i / 3].label, i % 3 + 1);
        bool ok = run_folder_path(folder, x.out, id, &e) &&
                  file_join(head, folder, "run.json", &e) &&
                  file_join(state, folder, "status.json", &e);
        json_auto_t *run = ok ? json_read(head, &e) : NULL, *status = json_read(state, &e);
        if (i / 3 < 3) json_object_set_new(run, "host", json_string(h.name));
        json_object_set_new(run, "cpu", json_string(h.cpu));
        json_object_set_new(run, "train_flops_per_token", json_real(6000));
        double seconds = json_get_double(status, "train_seconds") * longer[i % 3];
        json_object_set_new(status, "train_seconds", json_real(seconds));
        EXPECT(ok && json_write(head, run, &e) && json_write(state, status, &e), "%s", e.text);
    }
    return x;
}

/* A variant's own speed is the median of its runs; others are scaled by that of all. What is not
 * done needs no speed. */
static void by_what_was_recorded(void)
{
    const double unknown = (double)NAN;
    const struct {
        const char *label;
        double tokens, seconds, eval_tokens;
        run_time wanted;
    } CASES[] = {{"slow", 1000, unknown, 6000, {TIME_RECORDED, 20, 0.1}},
                 {"usual", 1000, unknown, 6000, {TIME_RECORDED, 1000.0 / 150, 0.1}},
                 {"fast", 1000, unknown, 6000, {TIME_RECORDED, 1000.0 / 450, 0.1}},
                 {"elsewhere", 1000, unknown, 6000, {TIME_SCALED, 20, 0.2}},
                 {"elsewhere", unknown, 7, 0, {TIME_RECORDED, 7, 0}},
                 {"elsewhere", 0, unknown, 6000, {TIME_SCALED, 0, 0.2}},
                 {"slow", 0, unknown, 6000, {TIME_RECORDED, 0, 0.1}}};
    enum { COUNT = sizeof CASES / sizeof *CASES };
    const fake_experiment was = recorded();
    run_plan runs[COUNT];
    run_time times[COUNT];
    bool left[COUNT];
    err e = {0};
    memset(runs, 0, sizeof runs);
    for (int i = 0; i < COUNT; i++) {
        fake_run_id(runs[i].id, "planned", "run", i);
        fake_run_id(runs[i].variant, was.name, CASES[i].label, 0);
        runs[i].amount = (run_amount){CASES[i].seconds, CASES[i].tokens, CASES[i].eval_tokens, 0};
        runs[i].cost.train_flops = 12000;
        runs[i].cost.forward_flops = 4000;
        left[i] = true;
    }
    experiment x = {.run_count = COUNT, .runs = runs};
    const sweep_time_options o = {.out = was.out, .threads = 1};
    EXPECT(sweep_time_estimate(times, left, &x, &o, &e), "%s", e.text);
    for (int i = 0; i < COUNT; i++) {
        const run_time *t = &times[i], *w = &CASES[i].wanted;
        EXPECT(t->source == w->source && fabs(t->train - w->train) < 1e-9 &&
                   fabs(t->eval - w->eval) < 1e-9,
               "%s, %d: by %d, %.9g and %.9g s", CASES[i].label, i, (int)t->source, t->train,
               t->eval);
    }
}

/* Measured alone counts for more, if it was on this machine by as many threads. */
static void by_what_was_measured_alone(void)
{
    host_info h;
    host_describe(&h);
    const struct {
        const char *host, *cpu;
        int threads;
        double seconds;
    } cases[] = {{h.name, h.cpu, 1, 1},
                 {"elsewhere", h.cpu, 1, 20},
                 {h.name, "another", 1, 20},
                 {h.name, h.cpu, 2, 20}};
    const fake_experiment was = recorded();
    err e = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int seed = 1; seed <= 3; seed++) {
            char id[17], folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
            fake_run_id(id, was.name, "slow", seed);
            json_auto_t *speed = json_pack("{s:f, s:i, s:s, s:s}", "alone_tokens_per_second",
                                           1000.0, "alone_threads", cases[i].threads, "host",
                                           cases[i].host, "cpu", cases[i].cpu);
            EXPECT(run_folder_path(folder, was.out, id, &e) &&
                       file_join(path, folder, "speed.json", &e) && json_write(path, speed, &e),
                   "%s", e.text);
        }
        run_plan run = {.amount = {(double)NAN, 1000, 0, 0}};
        run_time t;
        fake_run_id(run.id, "planned", "run", 1);
        fake_run_id(run.variant, was.name, "slow", 0);
        experiment x = {.run_count = 1, .runs = &run};
        const sweep_time_options o = {.out = was.out, .threads = 1};
        EXPECT(sweep_time_estimate(&t, &(bool){true}, &x, &o, &e), "%s", e.text);
        EXPECT(fabs(t.train - cases[i].seconds) < 1e-9, "case %zu: %g s", i, t.train);
    }
}

/* Two runs of ten steps, trained, so that how fast one is the other still says; NULL: they could
 * not be. The folder of the first into `folder`. */
static experiment *trained(char folder[FILE_PATH_BYTES])
{
    supervisor_result r = {0};
    err e = {0};
    corpus_places places = trial_places();
    const supervisor_options o = {.out = test_folder(),
                                  .places = &places,
                                  .command = "loci run sweep.yaml",
                                  .program = test_program(),
                                  .threads = 1,
                                  .jobs = 1,
                                  .quiet = true};
    const char *path = test_inside("sweep.yaml");
    char text[4096];
    int bytes = snprintf(text, sizeof text, "%ssweep: {seeds: 2}\n", TRIAL_SPEC);
    EXPECT(file_write(path, text, (size_t)bytes, &e), "%s", e.text);
    experiment *x = experiment_load(path, NULL, &e);
    bool ok = x && experiment_resolve(x, &places, &e) && trial_supervise(&r, x, &o, &e) &&
              run_folder_path(folder, test_folder(), x->runs[0].id, &e);
    EXPECT(ok && r.done == 2, "%d done: %s", r.done, e.text);
    if (ok) return x;
    experiment_free(x);
    return NULL;
}

/* Of what is damaged only that takes time which the worker makes anew. */
static void mending_is_no_training(void)
{
    static const struct {
        const char *file[2];
        bool stateless, trains, evaluates;
    } cases[] = {{{"run.json"}, false, false, false},
                 {{"status.json"}, false, false, false},
                 {{"final.json"}, false, false, false},
                 {{"evals.jsonl"}, false, false, true},
                 {{"evals.jsonl"}, true, false, true},
                 {{"evals.jsonl", "checkpoint/model-10.safetensors"}, true, true, true}};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    corpus_places places = trial_places();
    const sweep_time_options o = {.out = test_folder(), .places = &places, .threads = 1};
    err e = {0};
    experiment *x = test_program() ? trained(folder) : NULL;
    if (!x) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text[2] = {0};
        size_t bytes[2];
        if (cases[i].stateless && !cases[i - 1].stateless) damaged_run_without_state(folder);
        for (int k = 0; k < 2 && cases[i].file[k]; k++) {
            EXPECT(file_join(path, folder, cases[i].file[k], &e), "%s", e.text);
            text[k] = file_read(path, &bytes[k], &e);
            damaged_run_file(folder, cases[i].file[k], 10);
        }
        run_time times[2], t;
        const bool left[] = {true, false};
        EXPECT(sweep_time_estimate(times, left, x, &o, &e), "%s", e.text);
        t = times[0];
        EXPECT((t.train > 0) == cases[i].trains && (t.eval > 0) == cases[i].evaluates,
               "%s: %g and %g s", cases[i].file[0], t.train, t.eval);
        for (int k = 0; k < 2 && text[k]; k++) {
            EXPECT(file_join(path, folder, cases[i].file[k], &e) &&
                       file_write(path, text[k], bytes[k], &e),
                   "%s", e.text);
            free(text[k]);
        }
    }
    /* A later evaluation, which may have been a final one, was cut off. */
    static const char CUT[] = "{\"eval\":\"0123456789abcdef\",\"step\":10,\"fi";
    run_time times[2];
    EXPECT(file_join(path, folder, "evals.jsonl", &e) &&
               run_lines_append(path, CUT, sizeof CUT - 1, false, &e) &&
               sweep_time_estimate(times, (const bool[]){true, false}, x, &o, &e) &&
               times[0].train == 0 && times[0].eval > 0,
           "%g and %g s: %s", times[0].train, times[0].eval, e.text);
    damaged_run_file(folder, "run.json", 10);
    program_result r = LOCI("run", test_inside("sweep.yaml"), "--dry-run", "--out", test_folder());
    EXPECT(r.status == 0 && strstr(r.out, "to be mended"), "%s%s", r.out, r.err);
    experiment_free(x);
}

extern const test_suite test_sweep_time;
const test_suite test_sweep_time = {"harness/sweep_time",
                                    {{"amounts", amounts},
                                     {"side_by_side", side_by_side},
                                     {"by_what_was_recorded", by_what_was_recorded},
                                     {"by_what_was_measured_alone", by_what_was_measured_alone},
                                     {"mending_is_no_training", mending_is_no_training},
                                     {0}}};
