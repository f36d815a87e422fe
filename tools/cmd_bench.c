/* loci bench: how fast a spec trains on this machine, its variants against each other.
 *
 * Three measurements under one verb, chosen by what the spec holds: one model against the machine's
 * own rates, the variants of a sweep against their baseline, in turns, and one long text through
 * evaluation. Each looks at its own options only, and refuses the others by name. */
#include <string.h>

#include "core/base/json.h"
#include "harness/run/experiment_resolve.h"
#include "harness/speed/bench_against.h"
#include "harness/speed/bench_compare.h"
#include "harness/speed/bench_report.h"
#include "harness/speed/bench_stream.h"
#include "tools/verbs.h"

typedef struct bench_call {
    int64_t threads, warm_up, format, stream;
    double seconds;
    bool json, record;
    const char *variant, *against, *data, *out;
    const node *set;
} bench_call;

static const option OPTIONS[] = {
    CLI_TEXT(bench_call, variant, "variant", "a variant's label: that one alone, in detail"),
    CLI_INT(bench_call, threads, "threads", "0", 0, 1024, "threads; 0: one per core"),
    CLI_REAL(bench_call, seconds, "seconds", "5", 0.1, 3600,
             "of a comparison: for everything, but a first round; else of timed steps, 5 at least"),
    CLI_INT(bench_call, warm_up, "warm-up", "3", 1, 1e6,
            "of a comparison: steps of each variant before it begins"),
    CLI_INT(bench_call, stream, "stream", "0", 0, 1e12,
            "instead: one row of so many tokens through evaluation, memory and time at ten points"),
    CLI_CHOICE(bench_call, format, "format", "text", TABLE_FORMATS, "of a comparison"),
    CLI_SWITCH(
        bench_call, record, "record",
        "note the variants' speeds with their runs, for loci compare; one thread by default"),
    CLI_TEXT(bench_call, against, "against",
             "of one variant: ratios to a peer's figures in this file, a JSON object a line"),
    CLI_SWITCH(bench_call, json, "json", "machine-readable figures"),
    CLI_OUT(bench_call),
    CLI_DATA(bench_call),
    CLI_SET(bench_call),
    {0}};

static int print_json(json_t *figures)
{
    json_print(stdout, figures, JSON_INDENT(2));
    putchar('\n');
    json_decref(figures);
    return EXIT_DONE;
}

/* Index of the run to look at alone: of --variant, or the only one. -1: compare all. A single
 * variant has nobody to be compared to: it is shown in detail without being asked for. */
static int only_run(const experiment *x, const char *label, err *e)
{
    if (!label) return x->sweep->variant_count > 1 ? -1 : 0;
    for (int i = 0; i < x->sweep->variant_count; i++) {
        if (strcmp(x->runs[i].label, label) == 0) return i;
    }
    err_set(e, "--variant %s: the spec has no such variant (loci check lists them)", label);
    return -1;
}

static int bench_one(const cli_call *c, experiment *x, int run, const corpus_places *places,
                     const bench_options *how, err *e)
{
    const bench_call *o = c->options;
    bench_result *r = ARENA_NEW(c->memory, bench_result, 1);
    bench_against *peer = NULL;
    /* Before anything is measured: a file with a mistake should not cost the minute. Before any
     * step is timed. */
    if (o->against && !(peer = bench_against_read(o->against, e))) return EXIT_USAGE;
    const node *tree = experiment_spec(x, run, e);
    bool ok = tree && bench_run(r, tree, x->runs[run].seed, places, how, e);
    if (ok && o->json) {
        json_t *figures = bench_report_json(r);
        if (peer) json_object_set_new(figures, "against", bench_against_json(peer, r));
        print_json(figures);
    } else if (ok) {
        bench_report_print(stdout, r);
        if (peer) putchar('\n');
        if (peer) bench_against_print(stdout, peer, r);
    }
    bench_against_free(peer);
    return ok ? EXIT_DONE : EXIT_USAGE;
}

static int stream_one(const cli_call *c, experiment *x, const corpus_places *places, err *e)
{
    const bench_call *o = c->options;
    stream_point points[STREAM_POINTS];
    int run = only_run(x, o->variant, e);
    if (run < 0) {
        if (!e->text[0]) err_set(e, "--stream reads with one model; say which with --variant");
        return EXIT_USAGE;
    }
    const node *tree = experiment_spec(x, run, e);
    if (!tree || !bench_stream(points, tree, x->runs[run].seed, o->stream, places, e)) {
        return EXIT_USAGE;
    }
    if (o->json) return print_json(bench_stream_json(points));
    bench_stream_print(stdout, points);
    return EXIT_DONE;
}

/* The speeds go to the runs that the spec means.
 * Runs are only found by their identity, which needs every option resolved and the corpora open; a
 * comparison alone does without. */
static int record_speeds(const cli_call *c, experiment *x, const corpus_places *places,
                         const bench_comparison *r, err *e)
{
    const bench_call *o = c->options;
    bench_noted n;
    if (!experiment_resolve(x, places, e) ||
        !bench_report_record(r->variants, r->threads, r->rounds, x, cli_out(o->out), &n, e)) {
        return EXIT_FAILED;
    }
    fprintf(stderr, "speeds noted with %d runs of %s; see loci compare %s\n", n.runs, x->spec->name,
            x->spec->name);
    if (n.busy) {
        fprintf(stderr, "not with %d that other processes are working on; measure again later\n",
                n.busy);
    }
    return EXIT_DONE;
}

static int bench_all(const cli_call *c, experiment *x, const corpus_places *places,
                     const bench_options *how, err *e)
{
    const bench_call *o = c->options;
    bench_comparison *r = bench_compare(c->memory, x, places, how, e);
    if (!r) return EXIT_USAGE;
    /* Before the table: what is printed should be what is kept. */
    if (o->record && record_speeds(c, x, places, r, e) != EXIT_DONE) return EXIT_FAILED;
    /* What is said beside the table goes to stderr then, and the table has unrounded numbers. */
    bool programs = o->json || table_for_programs((table_format)o->format);
    table *t = bench_report_table(c->memory, r, programs);
    if (programs) bench_report_cuts(stderr, r);
    if (o->json) return print_json(table_json(t));
    table_print(stdout, t, (table_format)o->format, o->format == TABLE_TEXT && cli_colour(stdout));
    if (programs) return EXIT_DONE;
    printf("\n%d thread(s), %d rounds in turns; relative: the median round by round, to the "
           "baseline.\n",
           r->threads, r->rounds);
    bench_report_models(stdout, r);
    bench_report_cuts(stdout, r);
    bench_report_figures(stdout, r);
    return EXIT_DONE;
}

/* An option that only another of the benchmarks looks at. One list for each of the three: what
 * counts for a comparison means nothing for a single model. */
static bool check_given(const cli_call *c, const char *what, const char *const *read, err *e)
{
    const char *other = cli_given_beside(c, read);
    return !other || err_set(e, "bench: %s does not look at --%s; leave it out", what, other);
}

static int bench_spec(const cli_call *c)
{
    static const char *const of_stream[] = {"stream", "variant", "json", "data", "set", NULL};
    static const char *const of_one[] = {"variant", "threads", "seconds", "against",
                                         "json",    "data",    "set",     NULL};
    static const char *const of_all[] = {"threads", "seconds", "warm-up", "format", "record",
                                         "json",    "out",     "data",    "set",    NULL};
    const bench_call *o = c->options;
    err e = {0};
    if (o->record && (o->variant || o->stream)) {
        return cli_fail(EXIT_USAGE,
                        "--record notes all variants; leave out --variant and --stream");
    }
    if (o->out && !o->record) {
        return cli_fail(EXIT_USAGE, "bench: --out is where --record notes speeds; leave it out");
    }
    experiment *x = experiment_load(c->words[0], cli_texts(c->memory, o->set), &e);
    if (!x) return cli_tell(EXIT_USAGE, &e);
    corpus_places places = cli_places(c->memory, o->data);
    /* Runs of a sweep have one thread each unless asked otherwise: speeds that stand beside them
     * should, too. */
    bench_options how = {.threads = o->record && o->threads == 0 ? 1 : (int)o->threads,
                         .seconds = o->seconds,
                         .warm_up = (int)o->warm_up};
    int status = EXIT_USAGE;
    if (o->stream) {
        if (check_given(c, "--stream", of_stream, &e)) status = stream_one(c, x, &places, &e);
    } else {
        /* Speeds that are recorded are compared with each other, so they are measured in turns, be
         * it of one variant. */
        int run = o->record ? -1 : only_run(x, o->variant, &e);
        if (run >= 0 && check_given(c, "one variant alone", of_one, &e)) {
            status = bench_one(c, x, run, &places, &how, &e);
        }
        if (run < 0 && !e.text[0] && check_given(c, "a comparison of variants", of_all, &e)) {
            status = bench_all(c, x, &places, &how, &e);
        }
    }
    experiment_free(x);
    return status == EXIT_DONE ? EXIT_DONE : cli_tell(status, &e);
}

const verb VERB_BENCH = {
    .name = "bench",
    .words = "SPEC",
    .min_words = 1,
    .max_words = 1,
    .help =
        "Measures how fast a spec trains here: its variants, or one against sgemm.\n\n"
        "Trains a few steps on the spec's corpus without keeping anything, and prints tokens\n"
        "per second (median over steps), GFLOP/s as 6 x matmul parameters per token plus\n"
        "6 x layers x context x width, the rate of sgemm on 2048 x 2048 matrices and of bare\n"
        "multiply-adds in registers in the same process, their ratios, memory, and the time\n"
        "that each op takes. --against FILE adds the ratio to what another program reached:\n"
        "a line {\"peer\", \"width\", \"layers\", \"context\", \"batch\", \"threads\",\n"
        "\"precision\", \"tokens_per_second\"} per measurement, of which those of this size\n"
        "count (experiments/benchmarks/peers/torch_lm.py writes such lines).\n\n"
        "Variants of a sweep are compared to its baseline instead: they take turns, and the\n"
        "table has tokens per second in training and evaluation and memory, each relative to\n"
        "the baseline; those that differ in the learning rate and the like only are one model,\n"
        "measured once. All of them are in memory at once. --seconds are divided among them, and\n"
        "what there was no time for is said. --record keeps their speeds for loci compare, which\n"
        "shows them instead of those that runs had while they shared the machine: let nothing\n"
        "else run meanwhile.\n\n"
        "--stream 1M lets one row read a million tokens in evaluation, and tells at ten points\n"
        "how much memory there is and how long a token took (experiments/benchmarks/stream.yaml).",
    .examples = {"bench experiments/benchmarks/small.yaml",
                 "bench experiments/benchmarks/hash.yaml --seconds 60"},
    OPTIONS_OF(bench_call, OPTIONS),
    .run = bench_spec,
};
