/* The benchmark on a tiny model: every figure is there. (How large they are is not a test.) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/speed/bench.h"
#include "harness/speed/bench_against.h"
#include "harness/speed/bench_compare.h"
#include "harness/speed/bench_gemm.h"
#include "harness/speed/bench_report.h"
#include "harness/speed/bench_stream.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* With one thread, for of two the machine may give one its first lane after the warm-up. */
static void expect_no_mappings(const node *tree, const corpus_places *places)
{
    static bench_result r;
    err e = {0};
    bench_options o = {.threads = 1, .seconds = 0.05};
    EXPECT(bench_run(&r, tree, 1, places, &o, &e), "%s", e.text);
    EXPECT(r.arena_maps_after_warmup == 0, "%lld mappings in the timed steps",
           (long long)r.arena_maps_after_warmup);
}

static void figures_are_there(void)
{
    static bench_result r;
    workload w;
    err e = {0};
    /* Opened only for its tree, which stays. */
    if (!trial_open(&w, TRIAL_SPEC, NULL, 1)) return;
    const node *tree = w.spec;
    workload_close(&w);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    bench_options o = {.threads = 2, .seconds = 0.05};
    bool ok = bench_run(&r, tree, 1, &places, &o, &e);
    EXPECT(ok, "%s", e.text);
    if (!ok) return;
    EXPECT(r.threads == 2 && r.steps >= 5 && r.op_count > 3, "%d threads, %d steps, %d ops",
           r.threads, r.steps, r.op_count);
    static const char *const keys[] = {"tokens_per_second",
                                       "gflops",
                                       "sgemm_gflops",
                                       "sgemm_size",
                                       "utilisation",
                                       "peak_float32_gflops",
                                       "peak_float32_utilisation",
                                       "peak_rss_mib",
                                       "eval_tokens_per_second",
                                       "generate_tokens_per_second",
                                       "generate_rows_tokens_per_second",
                                       "start_seconds",
                                       "generate_early_ms",
                                       "generate_late_ms"};
    expect_no_mappings(tree, &places);
    json_t *json = bench_report_json(&r);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        double x = json_get_double(json, keys[i]);
        EXPECT(isfinite(x) && x > 0, "%s: %g", keys[i], x);
    }
    EXPECT(fabs(r.gflops - 1e-9 * r.tokens_per_second * r.flops_per_token) < 1e-9 * r.gflops, "%g",
           r.gflops);
    json_decref(json);
    char path[512];
    snprintf(path, sizeof path, "%s/report.txt", test_folder());
    FILE *f = fopen(path, "w+");
    EXPECT(f, "%s", path);
    if (!f) return;
    bench_report_print(f, &r);
    EXPECT(ftell(f) > 500, "%ld characters", ftell(f));
    fclose(f);
}

/* The largest product wherever a core does 9 GFLOP/s; elsewhere one of seconds, not of minutes. */
static void products_go_by_time(void)
{
    static const struct {
        double gflops; /* of a core */
        int64_t size;
    } cases[] = {{170, 2048}, {9, 2048}, {8, 1024}, {2, 1024}, {0.2, 512}, {0.001, 256}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t size = 0;
        for (int64_t next = 256; next != size;) {
            size = next;
            double n = (double)size;
            next = bench_gemm_next_size(size, 2e-9 * n * n * n / cases[i].gflops);
        }
        EXPECT(size == cases[i].size, "%g GFLOP/s: %lld", cases[i].gflops, (long long)size);
    }
}

/* Time that is up at once: each variant warms up with a step and trains in one round, and what was
 * left out is said. */
static void time_is_divided(void)
{
    char path[FILE_PATH_BYTES], said[1024] = "";
    err e = {0};
    static const char variants[] = "sweep: {list: [{label: a}, {label: b, model.width: 8}]}\n";
    snprintf(path, sizeof path, "%s/sweep.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%s%s", TRIAL_SPEC, variants) > 0 && fclose(f) == 0, "%s", path);
    experiment *x = experiment_load(path, NULL, &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    arena *a = arena_new(0);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    const bench_options o = {.threads = 1, .seconds = 1e-9, .warm_up = 7};
    const bench_comparison *c = bench_compare(a, x, &places, &o, &e);
    EXPECT(c && c->rounds == 1, "%s", e.text);
    for (int i = 0; c && i < 2; i++) {
        const bench_variant *v = &c->variants[i];
        EXPECT(v->warmed == 1 && v->steps == 1 && v->train.rate > 0 && v->not_evaluated &&
                   isnan(v->eval.rate),
               "%s: %d warm, %d steps, %g", v->label, v->warmed, v->steps, v->train.rate);
    }
    f = c ? fmemopen(said, sizeof said, "w") : NULL;
    if (f) bench_report_cuts(f, c);
    if (f) fclose(f);
    EXPECT(strstr(said, "1 round instead of 5") &&
               strstr(said, "all 7 steps of warming up: 2 of") &&
               strstr(said, "evaluate 2 of 2 models"),
           "%s", said);
    arena_free(a);
    experiment_free(x);
}

/* A model is as fast at every learning rate: it is measured once, the baseline before others. */
static void rates_are_one_model(void)
{
    static const char axes[] =
        "sweep:\n  grid: {optimizer.lr: [1e-4, 1e-3], model.width: [8, 16]}\n"
        "  baseline: lr=1e-3 width=8\n";
    char path[FILE_PATH_BYTES], said[1024] = "";
    err e = {0};
    snprintf(path, sizeof path, "%s/rates.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%s%s", TRIAL_SPEC, axes) > 0 && fclose(f) == 0, "%s", path);
    experiment *x = experiment_load(path, NULL, &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    arena *a = arena_new(0);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    const bench_options o = {.threads = 1, .seconds = 1e-9, .warm_up = 1};
    const bench_comparison *c = bench_compare(a, x, &places, &o, &e);
    EXPECT(c && c->count == 4 && c->models == 2, "%d of %d: %s", c ? c->models : 0,
           c ? c->count : 0, e.text);
    static const int models[] = {2, 1, 2, 1}; /* lr 1e-4: widths 8, 16; lr 1e-3: 8 (baseline), 16 */
    for (int i = 0; c && i < 4; i++) {
        const bench_variant *v = &c->variants[i], *m = &c->variants[models[i]];
        EXPECT(v->model == models[i] && v->train.rate == m->train.rate && v->params == m->params,
               "%s: %d, %g", v->label, v->model, v->train.rate);
        EXPECT(v->is_baseline == (i == 2), "%s", v->label);
    }
    f = c ? fmemopen(said, sizeof said, "w") : NULL;
    if (f) bench_report_models(f, c);
    if (f) fclose(f);
    EXPECT(strstr(said, "2 models of 4 variants") && strstr(said, " stands for "), "%s", said);
    EXPECT(!c || (bench_report_table(a, c, false)->rows == 2 &&
                  bench_report_table(a, c, true)->rows == 4),
           "rows");
    arena_free(a);
    experiment_free(x);
}

/* One row reads on and on; how fast is no test, how much memory is. */
static void stream_is_flat(void)
{
    stream_point points[STREAM_POINTS];
    workload w;
    err e = {0};
    if (!trial_open(&w, TRIAL_SPEC, NULL, 1)) return;
    const node *tree = w.spec;
    workload_close(&w);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    bool ok = bench_stream(points, tree, 1, 20000, &places, &e);
    EXPECT(ok, "%s", e.text);
    for (int i = 0; ok && i < STREAM_POINTS; i++) {
        EXPECT(points[i].tokens == (i + 1) * points[0].tokens, "%lld tokens at point %d",
               (long long)points[i].tokens, i);
        EXPECT(points[i].us_per_token > 0 && points[i].nats > 0, "%g us, %g nats",
               points[i].us_per_token, points[i].nats);
    }
    EXPECT(!ok || points[0].tokens >= 2000, "%lld tokens", (long long)points[0].tokens);
    /* A page or two of the allocator's; a state that grew would be far more. */
    EXPECT(!ok || points[9].anon_mib - points[1].anon_mib < 1, "%g MiB more",
           points[9].anon_mib - points[1].anon_mib);
}

/* Writes the file and reads it as a peer's figures. */
static bench_against *peers(const char *text, err *e)
{
    char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/peer.jsonl", test_folder());
    EXPECT(file_write(path, text, strlen(text), e), "%s", e->text);
    return bench_against_read(path, e);
}

static void peers_of_the_same_size_count(void)
{
    bench_result r = {.width = 64,
                      .layers = 4,
                      .context = 256,
                      .batch = 8,
                      .threads = 2,
                      .tokens_per_second = 3000};
    err e = {0};
    bench_against *a = peers("{\"peer\": \"x\", \"width\": 64, \"layers\": 4, \"context\": 256, "
                             "\"batch\": 8, \"threads\": 2, \"tokens_per_second\": 2000}\n\n"
                             "{\"peer\": \"wider\", \"width\": 65, \"tokens_per_second\": 1}\n"
                             "{\"peer\": \"lonely\", \"threads\": 1, \"tokens_per_second\": 1}\n"
                             "{\"peer\": \"silent\", \"tokens_per_second\": 6e3}",
                             &e);
    EXPECT(a, "%s", e.text);
    if (!a) return;
    json_t *ratios = bench_against_json(a, &r);
    EXPECT(json_array_size(ratios) == 2, "%zu ratios", json_array_size(ratios));
    EXPECT(json_get_double(json_array_get(ratios, 0), "ratio") == 1.5 &&
               json_get_double(json_array_get(ratios, 1), "ratio") == 0.5,
           "%g, %g", json_get_double(json_array_get(ratios, 0), "ratio"),
           json_get_double(json_array_get(ratios, 1), "ratio"));
    json_decref(ratios);
    bench_against_free(a);
}

static void figures_of_peers_are_checked(void)
{
    static const struct {
        const char *text, *wrong;
    } cases[] = {
        {"", "holds no figures"},
        {"{\"peer\": \"x\", \"tokens_per_second\": 1}\n[1]\n", "peer.jsonl:2: not a JSON object"},
        {"{\"tokens_per_second\": 1}", "peer.jsonl:1: \"peer\" is missing"},
        {"{\"peer\": \"x\", \"tokens_per_second\": 0}", "not above 0"},
        {"{\"peer\": \"x\", \"tokens_per_second\": \"fast\"}", "\"tokens_per_second\" is missing"},
        {"\n{\"peer\": ", "peer.jsonl:2:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err e = {0};
        bench_against *a = peers(cases[i].text, &e);
        EXPECT(!a && strstr(e.text, cases[i].wrong), "%s: %s", cases[i].text, e.text);
        bench_against_free(a);
    }
}

const test_suite test_bench = {"harness/bench",
                               {{"figures_are_there", figures_are_there},
                                {"products_go_by_time", products_go_by_time},
                                {"time_is_divided", time_is_divided},
                                {"rates_are_one_model", rates_are_one_model},
                                {"stream_is_flat", stream_is_flat},
                                {"peers_of_the_same_size_count", peers_of_the_same_size_count},
                                {"figures_of_peers_are_checked", figures_of_peers_are_checked},
                                {0}}};
