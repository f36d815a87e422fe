/* Trained models in use, their texts, and models that come from elsewhere. */
#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prompts together give the texts that each gives alone; `first` is that of "green". */
static void several_texts(const char *first)
{
    char both[4200], second[2000];
    program_result r = LOCI("generate", "tiny/keys", "--prompt", "a", "--tokens", "40");
    snprintf(second, sizeof second, "%s", r.out);
    snprintf(both, sizeof both, "%s\n%s", first, second);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--prompt", "a", "--tokens", "40");
    EXPECT(strcmp(r.out, both) == 0, "'%s' instead of '%s'", r.out, both);
    corpora_write("prompts.txt", "green\na", -1);
    const char *path = test_inside("prompts.txt");
    r = LOCI("generate", "tiny/keys", "--prompts", path, "--tokens", "40");
    EXPECT(strcmp(r.out, both) == 0, "'%s' instead of '%s'", r.out, both);
    program_expect(LOCI("generate", "tiny/keys", "--prompts", path, "--prompt", "a"), 2, NULL,
                   "not both");
    corpora_write("prompts.txt", "\xef\xbb\xbfgreen\r\na\r\n", -1); /* from Windows */
    r = LOCI("generate", "tiny/keys", "--prompts", path, "--tokens", "40");
    EXPECT(strcmp(r.out, both) == 0, "'%s' instead of '%s'", r.out, both);
    corpora_write("prompts.txt", "", -1);
    program_expect(LOCI("generate", "tiny/keys", "--prompts", path), 2, NULL, "holds no line");
}

/* Ids of another tokenizer are no input for a model of bytes. */
static void other_vocabulary(void)
{
    char data[FILE_PATH_BYTES + 128];
    snprintf(data, sizeof data, "{corpus: text, path: %s, tokenizer: {train: bpe, vocab: 300}}",
             test_inside("text.txt"));
    program_expect(LOCI("eval", "tiny", "--corpus", data), 1, NULL, "another vocabulary");
}

static void trained_models(void)
{
    program_expect(LOCI("run", tiny_sweep(), "--set", "sweep.seeds=1"), 0, NULL, NULL);
    program_expect(LOCI("eval", "tiny", "--split", "test"), 0, "bits per byte", NULL);
    program_expect(LOCI("eval", "tiny/keys/1", "--json"), 0, "\"protocol\"", NULL);
    program_expect(LOCI("compare", "--split", "test"), 0, "rows 2;", NULL); /* the spec's */
    program_expect(LOCI("eval", "tiny"), 0, NULL, "0 evaluated, 2 were before, 0 failed");
    program_expect(LOCI("eval", "tiny", "--split", "test", "--dynamic", "sgd"), 0, NULL, NULL);
    program_expect(LOCI("compare", "--split", "test"), 0, "which --protocol shows: 'learning",
                   NULL);
    program_expect(LOCI("compare", "--split", "test", "--protocol", "dynamic"), 0,
                   "but otherwise: learning", NULL);
    program_expect(LOCI("compare", "tiny", "tiny", "--split", "test", "--protocol", "dynamic"), 0,
                   "but otherwise: learning", NULL);
    program_expect(LOCI("compare", "--by", "position", "--split", "test", "--protocol", "dynamic"),
                   0, "but otherwise: learning", NULL);
    program_expect(LOCI("compare", "--protocol", "rows"), 2, NULL,
                   "there are: 'own' (2 of 2 runs)");
    program_result all = LOCI("eval", "tiny", "--split", "test");
    program_expect(all, 0, NULL, "0 evaluated, 2 were before, 0 failed");
    program_expect(LOCI("eval", "tiny", "--split", "train", "--tokens", "200"), 0,
                   "keys, seed 1: ", "2 evaluated, 0 were before");
    program_expect(LOCI("eval", "tiny/keys", "--split", "train", "--tokens", "100"), 0,
                   "bits per byte  ", NULL); /* one run: all figures */
    program_expect(LOCI("eval", "tiny", "--tune", "rate"), 2, NULL, "rate");
    program_expect(LOCI("eval", "tiny", "--tune", "memory", "--tokens", "50"), 0, "bits per byte",
                   NULL);
    program_expect(LOCI("eval", "tiny/kays"), 2, NULL,
                   "no run of variant 'kays' (did you mean 'keys'?)");
    program_expect(LOCI("show", "tiny/kays"), 2, NULL,
                   "has no variant 'kays' (did you mean 'keys'?)");
    program_expect(LOCI("show", "tiny/keys/9"), 2, NULL, "no run with seed 9; there are seeds 1");
    program_expect(LOCI("show", "keys"), 2, NULL, "no such run (did you mean tiny/keys?)");
    program_expect(LOCI("show", "tinny/keys/1"), 2, NULL, "(did you mean tiny/keys/1?)");
    program_expect(LOCI("eval", "tiny/keys/9"), 2, NULL, "no run of variant 'keys' with seed 9");
    program_expect(LOCI("eval", "0000"), 2, NULL, "no such run");
    program_expect(LOCI("eval", "tiny", "--corpus", "{corpus: text}"), 2, NULL, "path");
    if (corpora_program("spm_train")) other_vocabulary();
    char first[2000];
    program_result r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40");
    program_expect(r, 0, "green", "tokens/s");
    snprintf(first, sizeof first, "%s", r.out);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40");
    EXPECT(strcmp(first, r.out) == 0, "equal seeds gave '%s' and '%s'", first, r.out);
    r = LOCI("generate", "tiny/keys", "--prompt", "green", "--tokens", "40", "--seed", "2");
    EXPECT(r.status < 0 || strcmp(first, r.out) != 0, "another seed gave the same: %s", first);
    several_texts(first);
}

/* The text of a sweep's runs, once; all of it may be asked for in other ids. */
static void prepared_data(void)
{
    const char *spec = tiny_sweep();
    program_result r =
        LOCI("data", "prepare", spec, "--export", test_inside("shards"), "--set", "data.span=100");
    program_expect(r, 0, "vocabulary 256", NULL);
    char *first = strstr(r.out, "\"span\":100");
    EXPECT(first && !strstr(first + 1, "\"span\""), "prepared once: %s", r.out);
    EXPECT(file_exists(test_inside("shards/corpus.json")), "no shards");
    program_expect(LOCI("data", "prepare", spec, "--set", "data=null"), 2, NULL, "no data section");
    program_expect(LOCI("data", "prepare", "kjw"), 2, NULL, "did you mean 'kjv'");
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

/* Whether the plot says what guessing reaches, and that it is so much. */
static void expect_chance(const char *spec, const char *chance)
{
    corpora_write("chance.yaml", spec, -1);
    program_expect(LOCI("run", test_inside("chance.yaml"), "--quiet"), 0, NULL, NULL);
    program_result r = LOCI("plot", "chance", "--svg", "--to", test_inside("chance"));
    char *script = file_read(test_inside("chance/recall.gp"), NULL, NULL);
    char line[80];
    snprintf(line, sizeof line, "'chance' at graph 0.99, first %s", chance ? chance : "");
    EXPECT(r.status < 0 || (script && !strstr(script, line) == !chance), "no chance of %s",
           chance ? chance : "anything");
    free(script);
}

/* One line is drawn where all variants guess alike. */
#define GUESSED                                                                                    \
    "data: {corpus: probe, length: 2, distances: [8], tokens: 1k, held_out: 100, symbols: 8}\n"    \
    "model: {width: 8, context: 4, blocks: [{lstm: {}}]}\n"                                        \
    "train: {budget: {steps: 1}, batch: 2}\n"                                                      \
    "sweep: {grid: {"

static void chances(void)
{
    expect_chance(GUESSED "optimizer.lr: [0.1, 0.2]}}\n", "0.125 ");
    expect_chance(GUESSED "data.task: [mqar], optimizer.lr: [0.1, 0.2]}}\n", "0.25 ");
    expect_chance(GUESSED "data.task: [copy, mqar]}}\n", NULL);
    expect_chance(GUESSED "data.symbols: [8, 16]}}\n", NULL);
}

static void probes(void)
{
    corpora_write("probe.yaml", PROBE, -1);
    program_expect(LOCI("run", test_inside("probe.yaml")), 0, NULL, "4 trained");
    program_result r = LOCI("show", "probe/two/1");
    program_expect(r, 0, "accuracy by distance\n  3 ", NULL);
    program_expect(r, 0, "blocks.0.block_recurrent", NULL);
    program_expect(r, 0, "all keys and values", NULL);
    program_expect(LOCI("show", "probe", "--json"), 0, "\"name\": \"without_state\"", NULL);
    program_expect(LOCI("compare", "probe"), 0, "accuracy at distance", NULL);
    program_expect(LOCI("plot", "probe"), 0, "recall.svg", NULL);
    program_expect(LOCI("plot", "probe"), 0, "recall-state.svg", NULL);
    program_expect(LOCI("recall", "probe/two/1", "probe/two/2"), 0, "probe/two/2", NULL);
    r = LOCI("recall", "probe/two", "--corpus", "{corpus: probe, task: needle, distances: [300]}",
             "--format", "csv");
    program_expect(r, 0, "probe/two,300,", NULL);
    program_expect(LOCI("recall", "probe", "--corpus", "{corpus: markov, symbols: 19}"), 1, NULL,
                   "asks for nothing");
    program_expect(LOCI("recall", "nobody"), 2, NULL, "nobody");
}

/* Of a model whose parameters are as many as its context is long. */
static void other_context(void)
{
    corpora_write(
        "ttt.yaml",
        "name: ttt\ndata: {corpus: markov, symbols: 5, tokens: 400, held_out: 160, length: "
        "40}\nmodel: {width: 8, context: 8, blocks: [{ttt: {heads: 2, chunk: 16}}]}\n"
        "train: {budget: {steps: 1}, batch: 2}\n",
        -1);
    program_result r = LOCI("run", test_inside("ttt.yaml"), "--quiet");
    if (r.status < 0) return;
    program_expect(r, 0, NULL, NULL);
    program_expect(LOCI("eval", "ttt", "--context", "16"), 2, NULL, "depend on its context");
    program_expect(LOCI("eval", "ttt", "--context", "8"), 0, "context 8", NULL);
}

/* A state dict becomes a folder that is evaluated and generated from like a run's. */
static void imports(void)
{
    static const char dict[] = "tests/vectors/brt/a2b-two-reads-one-layer/weights.safetensors";
    static const char text[] = "{corpus: markov, symbols: 40, tokens: 2k, held_out: 400}";
    const char *to = test_inside("imported"), *path = test_inside("imported/spec.yaml");
    if (!file_exists(dict)) {
        test_skip("no state dict: the tests run in the repository's root");
        return;
    }
    program_result r = LOCI("import", "brt-pytorch", dict, "--block", "8", "--read", "2", "--read",
                            "2", "--corpus", text, "--to", to);
    program_expect(r, 0, "imported/spec.yaml", NULL);
    EXPECT(r.status < 0 || file_exists(path), "no %s", path);
    program_expect(LOCI("check", path, "--set", "train={budget: {steps: 1}}"), 0, NULL, NULL);
    program_expect(LOCI("eval", to, "--json"), 0, "\"nats\"", NULL);
    program_expect(LOCI("import", "brt-pytorch", dict, "--block", "8", "--to", to), 1, NULL,
                   "read_recurrent_layers");
    program_expect(LOCI("import", "brt-pytorch", dict, "--read", "0"), 2, NULL, "from 1");
    program_expect(LOCI("import", "brt-pytorch", "/no/such.safetensors"), 1, NULL, "/no/such");
    program_expect(LOCI("import", "torch", dict), 2, NULL, "are known");
}

const test_suite test_cli_models = {"tools/cli_models",
                                    {{"trained_models", trained_models},
                                     {"prepared_data", prepared_data},
                                     {"probes", probes},
                                     {"chances", chances},
                                     {"imports", imports},
                                     {"other_context", other_context},
                                     {0}}};
