/* The command line as its users meet it: what is printed where, and the exit statuses. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/train/trained_model.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Expects the status and, if not NULL, a piece of text in stdout and one in stderr. */
static void expect_call(program_result r, int status, const char *out, const char *errors)
{
    if (r.status < 0) return; /* skipped: no program */
    EXPECT(r.status == status, "status %d, stderr: %s", r.status, r.err);
    EXPECT(!out || strstr(r.out, out), "stdout lacks '%s': %s", out, r.out);
    EXPECT(!errors || strstr(r.err, errors), "stderr lacks '%s': %s", errors, r.err);
}

static const char *in_folder(char path[FILE_PATH_BYTES], const char *name)
{
    EXPECT(file_join(path, test_folder(), name, NULL), "a short path");
    return path;
}

static const char *write_text(char path[FILE_PATH_BYTES], const char *name, const char *text)
{
    err e = {0};
    EXPECT(file_write(in_folder(path, name), text, strlen(text), &e), "%s", e.text);
    return path;
}

static void help(void)
{
    expect_call(LOCI("help"), 0, "experiment", NULL);
    expect_call(LOCI("--help"), 0, "compare", NULL);
    EXPECT(!strstr(LOCI("help").out, "worker"), "the worker is not for people");
    expect_call(LOCI("help", "spec"), 0, "optimizer", NULL);
    expect_call(LOCI("run", "--help"), 0, "--threads N", NULL);
    expect_call(LOCI("generate", "--help"), 0, "(default 0.8)", NULL);
}

static void usage_errors(void)
{
    expect_call(program_run((const char *const[]){NULL}), 2, "Usage", NULL);
    expect_call(LOCI("rum"), 2, NULL, "did you mean 'run'?");
    expect_call(LOCI("run"), 2, NULL, "SPEC is missing");
    expect_call(LOCI("run", "a", "b"), 2, NULL, "'b' is one word too many");
    expect_call(LOCI("run", "x.yaml", "--theads", "2"), 2, NULL, "did you mean '--threads'?");
    expect_call(LOCI("run", "x.yaml", "--threads", "many"), 2, NULL, "--threads");
    expect_call(LOCI("run", "x.yaml", "--threads", "0"), 2, NULL, "--threads");
    expect_call(LOCI("run", "x.yaml", "--threads"), 2, NULL, "needs a value");
    expect_call(LOCI("layers", "atention"), 2, NULL, "did you mean 'attention'?");
    expect_call(LOCI("run", "no/such.yaml"), 2, NULL, "no/such.yaml");
    expect_call(LOCI("data", "prepair"), 2, NULL, "data --help");
}

static void versions(void)
{
    expect_call(LOCI("version"), 0, "loci " LOCI_VERSION, NULL);
    expect_call(LOCI("--version"), 0, "compiler", NULL);
}

static void parts(void)
{
    expect_call(LOCI("layers"), 0, "attention", NULL);
    expect_call(LOCI("layers", "attention"), 0, "memory", NULL);
    expect_call(LOCI("layers", "linear"), 0, "bias", NULL);
    expect_call(LOCI("data", "list"), 0, "enwik8", NULL);
    expect_call(LOCI("data", "list", "--format", "llmc"), 2, NULL, "does not look at --format");
}

/* A spec over a text file of the test's folder: two variants, two seeds, a second or so. */
#define SPEC                                                                                       \
    "description: a test\n"                                                                        \
    "data: {corpus: text, path: %s}\n"                                                             \
    "model:\n"                                                                                     \
    "  width: 16\n"                                                                                \
    "  context: 16\n"                                                                              \
    "  blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]\n"                                     \
    "optimizer: {lr: 1e-2}\n"                                                                      \
    "train: {budget: {steps: 6}, batch: 2, log_every: 2}\n"                                        \
    "eval: {rows: 2}\n"                                                                            \
    "sweep:\n"                                                                                     \
    "  baseline: block\n"                                                                          \
    "  seeds: 2\n"                                                                                 \
    "  grid:\n"                                                                                    \
    "    memory:\n"                                                                                \
    "      block: {}\n"                                                                            \
    "      keys: {\"model.blocks[0].attention.memory\": 16}\n"

static const char *write_spec(char path[FILE_PATH_BYTES])
{
    char text[FILE_PATH_BYTES], body[20000] = "", spec[FILE_PATH_BYTES + 2048];
    for (int i = 0; strlen(body) < 16000; i++) {
        size_t n = strlen(body);
        snprintf(body + n, sizeof body - n, "%d green bottles hanging on the wall,\n", i % 97);
    }
    snprintf(spec, sizeof spec, SPEC, write_text(text, "text.txt", body));
    return write_text(path, "tiny.yaml", spec);
}

/* What is not there is a matter of usage, whichever verb is asked for it. */
static void unknown_names(void)
{
    static const char *const verbs[] = {"compare", "plot", "report", "export",
                                        "status",  "ls",   "rm"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        expect_call(LOCI(verbs[i], "tine"), 2, NULL, "(did you mean 'tiny'?); there are: tiny");
    }
    expect_call(LOCI("mv", "tine", "other"), 2, NULL, "there are: tiny");
    expect_call(LOCI("mv", "tiny", "tiny"), 2, NULL, "already");
    expect_call(LOCI("mv", "tiny", "a/b"), 2, NULL, "letters, digits");
    expect_call(LOCI("compare", "tiny", "--baseline", "kees"), 2, NULL, "did you mean 'keys'?");
    expect_call(LOCI("compare", "tiny", "--split", "tset"), 2, NULL, "--split");
    expect_call(LOCI("plot", "tiny", "--baseline", "kees"), 2, NULL, "did you mean 'keys'?");
    expect_call(LOCI("report", "tiny", "--at", "steps"), 2, NULL, "say tokens=2M");
    expect_call(LOCI("plot", "tiny", "--run", "abc"), 2, NULL, "inspect");
    expect_call(LOCI("plot", "inspect", "--run", "abc"), 2, NULL, "no such run");
    expect_call(LOCI("plot", "inspect", "--tune", "memory"), 2, NULL, "does not look at --tune");
}

/* Everything that a user does with a small experiment, in order. */
/* Prompts together give the texts that each gives alone; `first` is that of "green". */
static void several_texts(const char *first)
{
    char path[FILE_PATH_BYTES], both[4200], second[2000];
    err e = {0};
    program_result r = LOCI("generate", "tiny/keys", "--prompt", "a", "--tokens", "40");
    snprintf(second, sizeof second, "%s", r.out);
    snprintf(both, sizeof both, "%s\n%s", first, second);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--prompt", "a", "--tokens", "40");
    EXPECT(strcmp(r.out, both) == 0, "'%s' instead of '%s'", r.out, both);
    snprintf(path, sizeof path, "%s/prompts.txt", test_folder());
    EXPECT(file_write(path, "green\na", 7, &e), "%s", e.text);
    r = LOCI("generate", "tiny/keys", "--prompts", path, "--tokens", "40");
    EXPECT(strcmp(r.out, both) == 0, "'%s' instead of '%s'", r.out, both);
    expect_call(LOCI("generate", "tiny/keys", "--prompts", path, "--prompt", "a"), 2, NULL,
                "not both");
    EXPECT(file_write(path, "", 0, &e), "%s", e.text);
    expect_call(LOCI("generate", "tiny/keys", "--prompts", path), 2, NULL, "holds no line");
}

static void experiment(void)
{
    char spec[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    write_spec(spec);
    expect_call(LOCI("check", spec), 0, "4 runs", "of 2 seeds a difference");
    expect_call(LOCI("check", spec, "--resolved"), 0, "weight_decay", NULL);
    expect_call(LOCI("check", spec, spec, "--set", "model.widht=1"), 2, NULL, "tiny.yaml)");
    expect_call(LOCI("run", spec, "--dry-run"), 0, "block (baseline)", "sweep.seeds: 3 or more");
    expect_call(LOCI("compare"), 1, NULL, "loci");
    expect_call(LOCI("run", spec), 0, NULL, "4 trained, 0 finished before");
    expect_call(LOCI("run", spec), 0, NULL, "0 trained, 4 finished before");
    expect_call(LOCI("run", spec, "--dry-run"), 0, "done", NULL);
    expect_call(LOCI("run", spec, "--set", "sweep.seeds=3", "--quiet"), 0, NULL, NULL);
    expect_call(LOCI("status"), 0, "tiny", NULL);
    expect_call(LOCI("status", "tiny"), 0, "done", NULL);
    expect_call(LOCI("status", "tiny", "--watch"), 0, "runs done", NULL);
    expect_call(LOCI("status", "tiny", "--json"), 0, "\"seconds_left\"", NULL);
    expect_call(LOCI("status", "tiny", "--json", "--format", "csv"), 2, NULL, "leave out --format");
    expect_call(LOCI("status", "--watch"), 2, NULL, "needs an EXPERIMENT");
    expect_call(LOCI("ls", "--status", "done"), 0, "keys", NULL);
    expect_call(LOCI("ls", "nothing"), 2, NULL, "no experiment 'nothing'; there are: tiny");
    expect_call(LOCI("show", "tiny/keys/2"), 0, "bits per byte", NULL);
    expect_call(LOCI("show", "tiny/keys/2", "--json"), 0, "\"evaluations\"", NULL);
    expect_call(LOCI("show", "tiny/kees"), 2, NULL, "loci ls");
    expect_call(LOCI("diff", "tiny/block", "tiny/keys"), 0, "tiny/block  tiny/keys", NULL);
    expect_call(LOCI("diff", "tiny/block", "tiny/block"), 0, NULL, "do not differ");
    expect_call(LOCI("export", "tiny", "--what", "metrics"), 0, "variant,seed,axis.memory,run,step",
                NULL);
    expect_call(LOCI("export", "tiny", "--format", "tensorboard"), 0, "tensorboard/tiny", "runs; ");
    expect_call(LOCI("export", "tiny", "--format", "tensorboard", "--what", "runs"), 2, NULL,
                "leave out --what");
    expect_call(LOCI("export", "tiny", "--to", "/no/such/file"), 1, NULL, "cannot be written");
    expect_call(LOCI("report", "tiny", "--no-plots"), 0, "reports/tiny.html", NULL);
    expect_call(LOCI("run", spec, "--retry", "sometimes"), 2, NULL, "--retry");
    expect_call(LOCI("compare", "tine"), 2, NULL, "did you mean 'tiny'?");
    expect_call(LOCI("compare", spec), 0, "bits per byte", NULL);
    expect_call(LOCI("compare", "tiny", "--format", "markdown"), 0, "| keys", NULL);
    expect_call(LOCI("compare", "tiny", "--format", "md"), 0, "| keys", NULL);
    expect_call(LOCI("compare", "tiny", "--format", "mf"), 2, NULL, "compare: --format: 'mf' is");
    expect_call(LOCI("compare", "--format", "csv"), 0, "keys,", NULL);
    expect_call(LOCI("compare", "tiny", "--by", "position"), 0, "By position: tokens before", NULL);
    expect_call(LOCI("compare", "tiny", "--by", "place"), 2, NULL, "'place' is none of");
    expect_call(LOCI("compare", "tiny", "--at", "tokens"), 0, "At equal tokens", NULL);
    expect_call(LOCI("compare", "tiny", "--at", "steps=3"), 2, NULL, "--at steps=3: say tokens=2M");
    expect_call(LOCI("compare", "tiny", "--tune", "warmup"), 2, NULL, "no such axis; tiny sweeps");
    expect_call(LOCI("eval", "tiny/keys/1", "--cleared", "9", "--dynamic", "sgd"), 2, NULL,
                "leave out --dynamic");
    program_result r = LOCI("compare", "tiny", "--format", "json", "--baseline", "keys");
    json_error_t wrong;
    json_t *table = json_loads(r.out, JSON_REJECT_DUPLICATES, &wrong);
    EXPECT(r.status < 0 || table, "no JSON: %s in %s", wrong.text, r.out);
    json_decref(table);
    unknown_names();
    expect_call(LOCI("report", "tiny", "--no-plots", "--tune", "memory"), 0, "tiny.html", NULL);
    expect_call(LOCI("collect"), 0, "experiments", NULL);
    expect_call(LOCI("collect", "--rebuild"), 0, "6 of 6 runs", NULL);
    expect_call(LOCI("plot", "tiny"), 0, "loss-tokens.png", NULL);
    EXPECT(r.status < 0 || file_exists(in_folder(path, "out/plots/tiny/loss-tokens.svg")), "no %s",
           path);
}

static int64_t lines_of(const char *text)
{
    int64_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

/* Another final evaluation, and back: nothing is trained, nothing is evaluated twice. */
static void evaluations_are_added(void)
{
    char file[FILE_PATH_BYTES];
    write_spec(file);
    static const char other[] = "eval={split: test, rows: 3}";
    expect_call(LOCI("run", file), 0, NULL, "4 trained");
    program_result r = LOCI("export", "tiny", "--what", "metrics");
    int64_t metrics = lines_of(r.out);
    expect_call(LOCI("run", file, "--set", other), 0, NULL, "4 evaluated as the spec asks now");
    expect_call(LOCI("compare", "tiny"), 0, "Scored: test split", NULL);
    expect_call(LOCI("run", file, "--set", other), 0, NULL,
                "0 trained, 4 finished before, 0 failed;");
    expect_call(LOCI("run", file), 0, NULL, "4 evaluated as the spec asks now");
    expect_call(LOCI("compare", "tiny"), 0, "Scored: validation split", NULL);
    r = LOCI("export", "tiny", "--what", "evaluations", "--format", "csv");
    EXPECT(r.status < 0 || lines_of(r.out) == 9, "%lld evaluations: %s",
           (long long)lines_of(r.out) - 1, r.out);
    r = LOCI("export", "tiny", "--what", "metrics");
    EXPECT(lines_of(r.out) == metrics, "trained again: %s", r.out);
}

/* A changed spec says in what, and its results stand alone. */
static void changes_are_shown(void)
{
    char file[FILE_PATH_BYTES];
    write_spec(file);
    static const char seed[] = "sweep.seeds=1";
    expect_call(LOCI("run", file, "--set", seed), 0, NULL, "2 trained");
    static const char *const said[] = {"changed since it was run last: block, keys\n",
                                       "  optimizer.lr: 0.01 -> 0.02\n", "another `name:`"};
    program_result r = LOCI("run", file, "--set", seed, "--set", "optimizer.lr=2e-2", "--dry-run");
    for (int i = 0; i < 3; i++)
        expect_call(r, 0, "planned", said[i]);
    r = LOCI("run", file, "--set", seed, "--set", "optimizer.lr=2e-2");
    for (int i = 0; i < 3; i++)
        expect_call(r, 0, NULL, said[i]);
    expect_call(LOCI("compare", "tiny", "--format", "csv"), 0, "block,", NULL);
    expect_call(LOCI("ls", "tiny", "--format", "csv"), 0, NULL, NULL);
    r = LOCI("ls", "tiny", "--format", "csv");
    EXPECT(r.status < 0 || lines_of(r.out) == 3, "%s", r.out);
    r = LOCI("run", file, "--set", "sweep.seeds=2", "--set", "optimizer.lr=2e-2");
    EXPECT(r.status < 0 || !strstr(r.err, "changed"), "further seeds are no change: %s", r.err);
    expect_call(r, 0, NULL, "[3/4] "); /* of the sweep, with those of the first sitting */
    expect_call(r, 0, NULL, "[4/4] ");
    r = LOCI("run", file, "--set", seed, "--set",
             "sweep.grid={memory: {block: {}, other: {schedule.warmup: 3}}}", "--set",
             "optimizer.lr=2e-2", "--dry-run");
    expect_call(r, 0, NULL, "no longer part of tiny: 1 variants");
}

/* A line for each candidate, labels with spaces among them. */
/* Every option and verb of the help is in the manual pages, which say nothing that roff takes for a
 * command of its own. */
static void manual_pages(void)
{
    static const char *const options[] = {"\\-\\-pivot TEXT", "\\-\\-format text|", "\\-\\-out"};
    program_result r = LOCI("help", "--man", "compare");
    for (int i = 0; i < 3; i++) {
        EXPECT(strstr(r.out, options[i]), "no %s: %s", options[i], r.out);
    }
    EXPECT(r.status == 0 && strncmp(r.out, ".TH loci\\-compare 1", 19) == 0 &&
               strstr(r.out, ".SH EXIT STATUS\n0 done"),
           "%s", r.out);
    r = LOCI("help", "--man");
    EXPECT(r.status == 0 && strstr(r.out, ".BR loci\\-compare (1)\nCompares") &&
               !strstr(r.out, "worker"),
           "%s", r.out);
    expect_call(LOCI("help", "--man", "compar"), 2, NULL, "did you mean 'compare'");
}

static void completions(void)
{
    char file[FILE_PATH_BYTES];
    write_spec(file);
    expect_call(LOCI("complete", "comp"), 0, "compare\ncompletion\n", NULL);
    expect_call(LOCI("complete", "run", "--re"), 0, "--retry\n", NULL);
    expect_call(LOCI("complete", "run", "x.yaml", "--retry", "d"), 0, "diverged\n", NULL);
    program_result r = LOCI("complete", "run", "--jobs", "");
    EXPECT(r.status < 0 || !*r.out, "%s", r.out);
    expect_call(LOCI("run", file, "--set", "sweep.seeds=1", "--set",
                     "sweep.grid={memory: {a b: {}, c: {schedule.warmup: 3}}}", "--set",
                     "sweep.baseline=c", "--quiet"),
                0, NULL, NULL);
    expect_call(LOCI("complete", "compare", "ti"), 0, "tiny\n", NULL);
    expect_call(LOCI("complete", "eval", "tiny/"), 0, "tiny/a b\ntiny/c\n", NULL);
    expect_call(LOCI("complete", "\"comp"), 0, "compare\ncompletion\n", NULL);
    expect_call(LOCI("complete", "compare", "--form\\at"), 0, "--format\n", NULL);
    expect_call(LOCI("completion", "bash"), 0, "complete -F _loci loci", NULL);
    expect_call(LOCI("completion", "tcsh"), 2, NULL, "bash, zsh and fish");
}

/* How long a sweep takes is known from runs, or measured for a moment. */
static void time_is_told(void)
{
    char file[FILE_PATH_BYTES];
    write_spec(file);
    expect_call(LOCI("run", file, "--calibrate"), 2, NULL, "--dry-run");
    program_result r = LOCI("run", file, "--dry-run");
    if (r.status < 0) return;
    expect_call(r, 0, "How long 4 of 4 runs take is not known here; --calibrate", NULL);
    EXPECT(!strstr(r.out, "About"), "%s", r.out);
    r = LOCI("run", file, "--dry-run", "--calibrate", "--jobs", "1", "--set", "sweep.seeds=1");
    expect_call(r, 0, "About 0:0", NULL);
    EXPECT(!strstr(r.out, "not known"), "%s", r.out);
    expect_call(LOCI("run", file, "--set", "sweep.seeds=1", "--quiet"), 0, NULL, NULL);
    r = LOCI("run", file, "--dry-run", "--set", "sweep.seeds=1");
    EXPECT(!strstr(r.out, "About"), "nothing is left: %s", r.out);
    expect_call(LOCI("run", file, "--dry-run"), 0, "About 0:0", NULL);
    r = LOCI("run", file, "--dry-run", "--set", "model.width=24", "--format", "csv");
    expect_call(r, 0, "time_left", "by the FLOPs of other runs");
}

/* Speeds measured alone take the place of those of runs that shared the machine. */
static void speeds_are_recorded(void)
{
    char file[FILE_PATH_BYTES];
    write_spec(file);
    expect_call(LOCI("run", file, "--set", "sweep.seeds=1"), 0, NULL, "2 trained");
    program_result r = LOCI("compare", "tiny", "--format", "json");
    expect_call(r, 0, "\"speed_alone\": 0", NULL);
    r = LOCI("bench", file, "--set", "sweep.seeds=1", "--seconds", "0.1", "--record");
    expect_call(r, 0, "keys", "speeds noted with 2 runs of tiny");
    expect_call(LOCI("compare", "tiny"), 0, "alone", NULL);
    expect_call(LOCI("compare", "tiny", "--format", "json"), 0, "\"speed_alone\": 1", NULL);
}

/* Ids of another tokenizer are no input for a model of bytes. */
static void other_vocabulary(void)
{
    char text[FILE_PATH_BYTES], data[FILE_PATH_BYTES + 128];
    snprintf(data, sizeof data, "{corpus: text, path: %s, tokenizer: {train: bpe, vocab: 300}}",
             in_folder(text, "text.txt"));
    expect_call(LOCI("eval", "tiny", "--corpus", data), 1, NULL, "another vocabulary");
}

/* The text of a sweep's runs, once; all of it may be asked for in other ids. */
static void prepared_data(void)
{
    char spec[FILE_PATH_BYTES], shards[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    program_result r = LOCI("data", "prepare", write_spec(spec), "--export",
                            in_folder(shards, "shards"), "--set", "data.span=100");
    expect_call(r, 0, "vocabulary 256", NULL);
    char *first = strstr(r.out, "\"span\":100");
    EXPECT(first && !strstr(first + 1, "\"span\""), "prepared once: %s", r.out);
    EXPECT(file_exists(in_folder(file, "shards/corpus.json")), "%s", file);
    expect_call(LOCI("data", "prepare", spec, "--set", "data=null"), 2, NULL, "no data section");
    expect_call(LOCI("data", "prepare", "kjw"), 2, NULL, "did you mean 'kjv'");
}

static void trained_models(void)
{
    char spec[FILE_PATH_BYTES];
    expect_call(LOCI("run", write_spec(spec), "--set", "sweep.seeds=1"), 0, NULL, NULL);
    expect_call(LOCI("eval", "tiny", "--split", "test"), 0, "bits per byte", NULL);
    expect_call(LOCI("eval", "tiny/keys/1", "--json"), 0, "\"protocol\"", NULL);
    expect_call(LOCI("compare", "--split", "test"), 0, "test", NULL);
    program_result all = LOCI("eval", "tiny", "--split", "test");
    expect_call(all, 0, NULL, "0 evaluated, 2 were before, 0 failed");
    expect_call(LOCI("eval", "tiny", "--split", "train", "--tokens", "200"), 0,
                "keys, seed 1: ", "2 evaluated, 0 were before");
    expect_call(LOCI("eval", "tiny/keys", "--split", "train", "--tokens", "100"), 0,
                "bits per byte  ", NULL); /* one run: all figures */
    expect_call(LOCI("eval", "tiny", "--tune", "rate"), 2, NULL, "rate");
    expect_call(LOCI("eval", "tiny", "--tune", "memory", "--tokens", "50"), 0, "bits per byte",
                NULL);
    expect_call(LOCI("eval", "tiny/kays"), 2, NULL, "no run of variant 'kays'");
    expect_call(LOCI("eval", "tiny/keys/9"), 2, NULL, "no run of variant 'keys' with seed 9");
    expect_call(LOCI("eval", "0000"), 2, NULL, "no such run");
    expect_call(LOCI("eval", "tiny", "--corpus", "{corpus: text}"), 2, NULL, "path");
    if (corpora_program("spm_train")) other_vocabulary();
    char first[2000];
    program_result r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40");
    expect_call(r, 0, "green", "tokens/s");
    snprintf(first, sizeof first, "%s", r.out);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40");
    EXPECT(strcmp(first, r.out) == 0, "equal seeds gave '%s' and '%s'", first, r.out);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40", "--seed", "2");
    EXPECT(r.status < 0 || strcmp(first, r.out) != 0, "another seed gave the same: %s", first);
    several_texts(first);
}

/* Copying after a delay: accuracy by distance in every table, at others than those asked for. */
#define PROBE                                                                                      \
    "data: {corpus: probe, length: 1, distances: [3, 6], held_out_distances: [3, 9], "             \
    "tokens: 2k, held_out: 200, learn: answers}\n"                                                 \
    "model:\n"                                                                                     \
    "  width: 8\n"                                                                                 \
    "  context: 4\n"                                                                               \
    "  blocks: [{block_recurrent: {heads: 1, states: 2, memory: 4}}]\n"                            \
    "train: {budget: {steps: 3}, batch: 2, segment: 8}\n"                                          \
    "eval: {rows: 2, cleared: 100}\n"                                                              \
    "sweep: {seeds: 2, grid: {states: {two: {}, five: "                                            \
    "{\"model.blocks[0].block_recurrent.states\": 5}}}}\n"

static void probes(void)
{
    char spec[FILE_PATH_BYTES];
    expect_call(LOCI("run", write_text(spec, "probe.yaml", PROBE)), 0, NULL, "4 trained");
    program_result r = LOCI("show", "probe/two/1");
    expect_call(r, 0, "accuracy by distance\n  3 ", NULL);
    expect_call(r, 0, "blocks.0.block_recurrent", NULL);
    expect_call(r, 0, "all keys and values", NULL);
    expect_call(LOCI("show", "probe", "--json"), 0, "\"name\": \"without_state\"", NULL);
    expect_call(LOCI("compare", "probe"), 0, "accuracy at distance", NULL);
    expect_call(LOCI("plot", "probe"), 0, "recall.svg", NULL);
    expect_call(LOCI("plot", "probe"), 0, "recall-state.svg", NULL);
    expect_call(LOCI("recall", "probe/two/1", "probe/two/2"), 0, "probe/two/2", NULL);
    r = LOCI("recall", "probe/two", "--corpus", "{corpus: probe, task: needle, distances: [300]}",
             "--format", "csv");
    expect_call(r, 0, "probe/two,300,", NULL);
    expect_call(LOCI("recall", "probe", "--corpus", "{corpus: markov, symbols: 19}"), 1, NULL,
                "asks for nothing");
    expect_call(LOCI("recall", "nobody"), 2, NULL, "nobody");
}

/* A state dict becomes a folder that is evaluated and generated from like a run's. */
static void imports(void)
{
    static const char dict[] = "tests/vectors/brt/a2b-two-reads-one-layer/weights.safetensors";
    static const char text[] = "{corpus: markov, symbols: 40, tokens: 2k, held_out: 400}";
    char to[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!file_exists(dict)) {
        test_skip("no state dict: the tests run in the repository's root");
        return;
    }
    in_folder(to, "imported");
    program_result r = LOCI("import", "brt-pytorch", dict, "--block", "8", "--read", "2", "--read",
                            "2", "--corpus", text, "--to", to);
    expect_call(r, 0, "imported/spec.yaml", NULL);
    EXPECT(r.status < 0 || file_exists(in_folder(path, "imported/spec.yaml")), "no %s", path);
    expect_call(LOCI("check", path, "--set", "train={budget: {steps: 1}}"), 0, NULL, NULL);
    expect_call(LOCI("eval", to, "--json"), 0, "\"nats\"", NULL);
    expect_call(LOCI("import", "brt-pytorch", dict, "--block", "8", "--to", to), 1, NULL,
                "read_recurrent_layers");
    expect_call(LOCI("import", "brt-pytorch", dict, "--read", "0"), 2, NULL, "from 1");
    expect_call(LOCI("import", "brt-pytorch", "/no/such.safetensors"), 1, NULL, "/no/such");
    expect_call(LOCI("import", "torch", dict), 2, NULL, "are known");
}

static void spec_errors(void)
{
    char spec[FILE_PATH_BYTES];
    write_spec(spec);
    expect_call(LOCI("check", spec, "--set", "model.widht=8"), 2, NULL, "did you mean 'width'?");
    expect_call(LOCI("check", spec, "--set", "data.path=/no/such/text"), 2, NULL, "/no/such/text");
    write_text(spec, "typo.yaml",
               "data: {corpus: markov}\ntrain: {budget: {steps: 1}}\nmodel:\n  width: 8\n"
               "  context: 8\n  blocks: [{attention: {haeds: 2}}]\n");
    program_result r = LOCI("check", spec);
    expect_call(r, 2, NULL, "typo.yaml:6:25: model.blocks[0].attention");
    expect_call(r, 2, NULL, "(did you mean 'heads'?)");
}

/* One variant diverges; the others are trained and it is shown with its reason. */
static void divergence(void)
{
    char spec[FILE_PATH_BYTES];
    /* Each step multiplies the matrices by about 1 - 1e9: beyond float after five. */
    const char *grid = "sweep.grid={rate: {fine: {}, wild: {optimizer.lr: 1e6, "
                       "optimizer.weight_decay: 1000}}}";
    program_result r = LOCI("run", write_spec(spec), "--set", "sweep.seeds=1", "--set", grid,
                            "--set", "sweep.baseline=fine", "--set", "optimizer.kind=sgd");
    expect_call(r, 3, NULL, "1 failed");
    expect_call(LOCI("status", "tiny"), 3, "diverged", NULL);
    expect_call(LOCI("compare", "tiny"), 0, "diverged", NULL);
}

/* A claim that is taken back when there are results is told, though none is left. */
static void withdrawn_claims(void)
{
    char spec[FILE_PATH_BYTES];
    program_result r =
        LOCI("run", write_spec(spec), "--quiet", "--set", "train.budget.steps=2", "--set",
             "claims=[{name: gone, says: keys help, better: keys, than: block}]");
    if (r.status < 0) return;
    expect_call(r, 0, NULL, NULL);
    expect_call(LOCI("claims"), 0, "gone", NULL);
    expect_call(LOCI("run", spec, "--quiet", "--set", "train.budget.steps=2"), 0, NULL, NULL);
    expect_call(LOCI("claims"), 0, "Withdrawn from tiny when there were results: 'gone'", NULL);
}

static void benchmark(void)
{
    char spec[FILE_PATH_BYTES];
    program_result r =
        LOCI("bench", write_spec(spec), "--seconds", "0.1", "--json", "--variant", "block");
    if (r.status < 0) return;
    json_t *figures = json_loads(r.out, 0, NULL);
    static const char *const KEYS[] = {"tokens_per_second", "gflops", "sgemm_gflops", "utilisation",
                                       "peak_rss_mib"};
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        EXPECT(json_number_value(json_object_get(figures, KEYS[i])) > 0, "%s in %s", KEYS[i],
               r.out);
    }
    json_decref(figures);
    expect_call(LOCI("bench", spec, "--variant", "kees"), 2, NULL, "no such variant");
    expect_call(LOCI("bench", spec, "--variant", "keys", "--record"), 2, NULL, "leave out");
    expect_call(LOCI("bench", spec, "--out", "elsewhere"), 2, NULL, "leave it out");
    expect_call(LOCI("bench", spec, "--variant", "keys", "--warm-up", "9"), 2, NULL,
                "does not look at --warm-up");
    expect_call(LOCI("bench", spec, "--variant", "keys", "--stream", "1k", "--seconds", "1"), 2,
                NULL, "does not look at --seconds");
    expect_call(LOCI("bench", spec, "--against", spec), 2, NULL, "does not look at --against");
    r = LOCI("bench", spec, "--seconds", "3", "--json");
    figures = json_loads(r.out, 0, NULL);
    const json_t *keys = json_array_get(figures, 1);
    EXPECT(json_array_size(figures) == 2 && json_get_double(keys, "train_ratio") > 0 &&
               json_get_double(keys, "eval_ratio") > 0 && json_get_double(keys, "work_ratio") > 1,
           "%s", r.out);
    json_decref(figures);
    expect_call(LOCI("bench", spec, "--seconds", "0.1"), 0, "block (baseline)", NULL);
}

const test_suite test_cli = {"tools/cli",
                             {{"help", help},
                              {"usage_errors", usage_errors},
                              {"versions", versions},
                              {"parts", parts},
                              {"experiment", experiment},
                              {"evaluations_are_added", evaluations_are_added},
                              {"changes_are_shown", changes_are_shown},
                              {"completions", completions},
                              {"manual_pages", manual_pages},
                              {"time_is_told", time_is_told},
                              {"speeds_are_recorded", speeds_are_recorded},
                              {"probes", probes},
                              {"imports", imports},
                              {"prepared_data", prepared_data},
                              {"trained_models", trained_models},
                              {"spec_errors", spec_errors},
                              {"divergence", divergence},
                              {"withdrawn_claims", withdrawn_claims},
                              {"benchmark", benchmark},
                              {0}}};
