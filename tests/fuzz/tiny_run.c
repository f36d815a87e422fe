#include "tests/fuzz/tiny_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/worker.h"
#include "results/store/collect.h"
#include "tests/fuzz/scratch.h"

static const char SPEC[] =
    "name: tiny\n"
    "data: {corpus: markov, symbols: 5, tokens: 200, held_out: 80, length: 40}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2, memory: 8}, ffn: {hidden: "
    "8}, switch_ffn: {experts: 2, hidden: 4}}]}\n"
    "train: {budget: {steps: 3}, batch: 2, log_every: 1, eval_every: 2}\n"
    "claims:\n"
    "- {name: better, better: lr=0.01, than: lr=1e-3, by: 1 %}\n"
    "- {name: above, variant: lr=1e-3, on: inspect.keys.memories, above: 2}\n"
    "sweep: {grid: {optimizer.lr: [1e-3, 1e-2]}}\n";

/* What other verbs leave beside a run. */
static const char NOTES[] = "{\"at\":\"2026-01-01T00:00:00Z\",\"note\":\"some words\"}\n"
                            "{\"at\":\"2026-01-01T00:00:01Z\",\"tag\":\"seen\"}\n"
                            "{\"at\":\"2026-01-01T00:00:02Z\",\"untag\":\"seen\"}\n";
static const char SPEED[] = "{\"alone_tokens_per_second\": 1000.5, \"threads\": 1, \"cpu\": \"x\", "
                            "\"at\": \"2026-01-01T00:00:00Z\"}\n";
static const char INSPECTED[] = /* one line of each kind */
    "{\"inspect\":\"keys\",\"step\":3,\"at\":\"2026-01-01T00:00:00Z\",\"split\":\"train\"}\n"
    "{\"layer\":\"blocks.0.ffn\",\"depth\":1,\"figure\":\"memories\",\"bin\":0,\"value\":8.0}\n"
    "{\"layer\":\"blocks.0.ffn\",\"memory\":0,\"triggers\":2,\"topics\":{},\"examples\":[{"
    "\"document\":1}]}\n"
    "{\"layer\":\"blocks.0.ffn\",\"memory\":0,\"top\":[[\" 1\",0.5]]}\n"
    "{\"layer\":\"blocks.0.ffn\",\"perturbed\":0,\"without_first\":0.5}\n"
    "{\"layer\":\"blocks.0.switch_ffn\",\"expert\":0,\"served\":3,\"tokens\":[[\" 1\",2]]}\n"
    "{\"layer\":\"head\",\"changed\":0,\"direction\":\"up\",\"place\":1,\"gain\":0.5}\n"
    "{\"layer\":\"head\",\"moment\":0,\"direction\":\"up\",\"rises\":[[\" 1\",0.5]]}\n"
    "{\"layer\":\"a\",\"exchange\":\"read\",\"place\":0,\"share\":0.5}\n"
    "{\"layer\":\"a\",\"uses\":\"read\",\"place\":0,\"count\":2}\n"
    "{\"layer\":\"a\",\"spots\":\"read\",\"place\":0,\"text\":\"x\"}\n"
    "{\"layer\":\"a\",\"document\":0,\"position\":0,\"output\":\" 1\"}\n";

/* Of a run, and of its experiment. */
static const char *const FILES[] = {
    "run.json",      "plan.json",   "status.json",       "final.json",
    "metrics.jsonl", "evals.jsonl", "log.txt",           "checkpoint/manifest.json",
    "notes.jsonl",   "speed.json",  "inspect/keys.jsonl"};
enum { OF_RUN = sizeof FILES / sizeof *FILES };
_Static_assert(OF_RUN + 1 == TINY_RUN_FILES, "the experiment's record is the last");

static char folder[FILE_PATH_BYTES], out[FILE_PATH_BYTES];
static struct {
    char name[256];
    char *data;
    size_t bytes;
} kept[TINY_RUN_FILES];

const char *tiny_run_out(void)
{
    return out;
}

const char *tiny_run_folder(void)
{
    return folder;
}

static void keep(int i, const char *name)
{
    err e = {0};
    char path[FILE_PATH_BYTES];
    snprintf(kept[i].name, sizeof kept[i].name, "%s", name);
    CHECK(file_join(path, out, name, &e), "%s", e.text);
    kept[i].data = file_exists(path) ? file_read(path, &kept[i].bytes, &e) : calloc(1, 1);
    CHECK(kept[i].data, "%s", e.text);
}

/* Leaves `folder` at that run. */
static void train(experiment *x, int i, const corpus_places *places)
{
    err e = {0};
    const run_plan *run = &x->runs[i];
    CHECK(run_folder_path(folder, out, run->id, &e) && file_make_folders(folder, &e) &&
              run_record_plan_write(folder, run, places, "loci", 1, &e),
          "%s", e.text);
    CHECK(worker_run(folder, &e) == EXIT_DONE, "%s", e.text);
}

static void put_beside(const char *id, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "out/runs/%s/%s", id, name);
    scratch_write(path, text, strlen(text));
}

void tiny_run_make(void)
{
    err e = {0};
    static const char *const ROOTS[] = {NULL};
    corpus_places places = {.roots = ROOTS, .cache = scratch_path("cache")};
    snprintf(out, sizeof out, "%s", scratch_path("out"));
    scratch_write("tiny.yaml", SPEC, strlen(SPEC));
    experiment *x = experiment_load(scratch_path("tiny.yaml"), NULL, &e);
    CHECK(x && experiment_resolve(x, &places, &e) && experiment_claims(x, &e) &&
              run_record_experiment(out, x, &e),
          "%s", e.text);
    for (int i = x->run_count; i-- > 0;) {
        train(x, i, &places);
    }
    signal(SIGINT, SIG_DFL); /* the worker's handlers would keep the fuzzer from ending */
    signal(SIGTERM, SIG_DFL);
    const char *id = x->runs[0].id;
    put_beside(id, "notes.jsonl", NOTES);
    put_beside(id, "speed.json", SPEED);
    put_beside(id, "inspect/keys.jsonl", INSPECTED);
    for (int i = 0; i < OF_RUN; i++) {
        char name[256];
        snprintf(name, sizeof name, "runs/%s/%s", id, FILES[i]);
        keep(i, name);
    }
    keep(OF_RUN, "experiments/tiny.json");
    collect_report report;
    CHECK(collect(&report, out, true, &e) && report.unreadable == 0, "%s%s", e.text, report.why);
    experiment_free(x);
}

const char *tiny_run_file(unsigned number, const void **data, size_t *bytes)
{
    *data = kept[number % TINY_RUN_FILES].data;
    *bytes = kept[number % TINY_RUN_FILES].bytes;
    return kept[number % TINY_RUN_FILES].name;
}

void tiny_run_put(unsigned number, const void *data, size_t bytes)
{
    char name[300];
    int i = (int)(number % TINY_RUN_FILES);
    snprintf(name, sizeof name, "out/%s", kept[i].name);
    scratch_write(name, data ? data : kept[i].data, data ? bytes : kept[i].bytes);
}
