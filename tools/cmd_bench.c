/* loci bench: how fast a spec trains on this machine. */
#include "experiments/bench.h"
#include "experiments/plan.h"
#include "tools/verbs.h"

typedef struct bench_call {
    int64_t threads;
    double seconds;
    bool json;
    const char *data;
    const node *set;
} bench_call;

static const option OPTIONS[] = {
    CLI_INT(bench_call, threads, "threads", "0", 0, 1024, "threads; 0: one per core"),
    CLI_REAL(bench_call, seconds, "seconds", "5", 0.1, 3600, "of timed steps (at least 5 steps)"),
    CLI_SWITCH(bench_call, json, "json", "machine-readable figures"),
    CLI_DATA(bench_call),
    CLI_SET(bench_call),
    {0}};

static int bench(const cli_call *c)
{
    const bench_call *o = c->options;
    err e = {0};
    experiment *x = experiment_load(c->words[0], cli_texts(c->memory, o->set), &e);
    if (!x) return cli_fail(EXIT_USAGE, "%s", e.text);
    corpus_places places = cli_places(c->memory, o->data);
    bench_options how = {.threads = (int)o->threads, .seconds = o->seconds};
    bench_result *r = ARENA_NEW(c->memory, bench_result, 1);
    const node *first = experiment_spec(x, 0, &e);
    bool done = first && bench_run(r, first, x->runs[0].seed, &places, &how, &e);
    experiment_free(x);
    if (!done) return cli_fail(EXIT_USAGE, "%s", e.text);
    if (!o->json) {
        bench_print(stdout, r);
        return EXIT_DONE;
    }
    json_t *figures = bench_json(r);
    json_dumpf(figures, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(figures);
    return EXIT_DONE;
}

const verb VERB_BENCH = {
    .name = "bench",
    .words = "SPEC",
    .min_words = 1,
    .max_words = 1,
    .help = "Measures how fast a spec's first variant trains here, against the machine's sgemm.\n\n"
            "Trains a few steps on the spec's corpus without keeping anything, and prints tokens\n"
            "per second (median over steps), GFLOP/s as 6 x matmul parameters per token plus\n"
            "6 x layers x context x width, the rate of sgemm on 2048 x 2048 matrices in the same\n"
            "process, their ratio, memory, and the time that each op takes.",
    .examples = {"bench experiments/bench/small.yaml",
                 "bench experiments/bench/medium.yaml --threads 1 --json"},
    .options = OPTIONS,
    .options_bytes = sizeof(bench_call),
    .run = bench,
};
