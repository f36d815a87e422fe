/* Finished runs whose spec gets another `eval:` section, and back. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

/* A file of whole words over ten letters. */
static void write_text(const char *name, int bytes, char first, int seed)
{
    static char text[8001];
    for (int i = 0; i < bytes; i++) {
        seed = (seed * 1103 + 12345) % 30011;
        text[i] = i % 6 == 5 ? ' ' : (char)(first + seed % 10);
    }
    text[bytes] = 0;
    corpora_write(name, text, -1);
}

/* The test split is of other letters: whoever has learned the others is worse than a guess there.
 */
static const char *odd_sweep(void)
{
    write_text("odd/train-0.txt", 8000, 'a', 1);
    write_text("odd/train-1.txt", 8000, 'a', 2);
    write_text("odd/validation-2.txt", 4000, 'a', 3);
    write_text("odd/test-3.txt", 3000, 'N', 4);
    char spec[1000];
    snprintf(spec, sizeof spec,
             "data: {corpus: text, path: %s}\n"
             "model: {width: 16, context: 16, blocks: [{ffn: {hidden: 32}}]}\n"
             "optimizer: {lr: 1e-2}\n"
             "train: {budget: {steps: 300}, batch: 2}\n"
             "sweep: {seeds: 2, list: [{label: plain}, {label: more, init_from: {variant: plain}, "
             "train.budget: {steps: 9}}]}\n",
             test_inside("odd"));
    corpora_write("odd.yaml", spec, -1);
    return test_inside("odd.yaml");
}

/* What an evaluation says of a run is said of that evaluation: another one takes it back, of runs,
 * too, that start from such a run. */
static void there_and_back(void)
{
    char spec[4096];
    snprintf(spec, sizeof spec, "%s", odd_sweep());
    program_expect(LOCI("run", spec), 0, NULL, "4 trained, 0 finished before, 0 failed");
    const char *on_test[] = {"run", spec, "--set", "eval.split=test", NULL};
    for (int i = 0; i < 2; i++) {
        program_expect(program_run(on_test), 3, NULL,
                       "0 trained, 0 finished before, 4 failed (why: loci status odd; again: "
                       "--retry diverged)");
    }
    program_expect(LOCI("run", spec, "--dry-run"), 0, "100 % of it evaluation", NULL);
    program_expect(LOCI("run", spec), 0, NULL, "4 evaluated as the spec asks now");
    program_expect(LOCI("run", spec), 0, NULL, "0 trained, 4 finished before, 0 failed");
    program_expect(LOCI("compare", "odd"), 0, "Scored: validation split", NULL);
    program_expect(program_run(on_test), 3, NULL, "0 trained, 0 finished before, 4 failed");
    program_expect(LOCI("run", spec, "--set", "eval.rows=3"), 0, NULL,
                   "4 evaluated as the spec asks now");
}

/* The last line of the evaluations of the only run: decref it. */
static json_t *last_line(void)
{
    size_t bytes;
    EXPECT(program_shell("tail -n 1 out/runs/*/evals.jsonl >last"), "no evaluations");
    text_auto *text = file_read(test_inside("last"), &bytes, NULL);
    json_t *line = json_loads(text, 0, NULL);
    EXPECT(line, "%s", text);
    return line;
}

/* Twice: what was made is not made again. */
static void run_and_look(const char *spec, const char *set, bool makes)
{
    const char *all[] = {"run", spec, "--set", set, NULL, NULL};
    for (int i = 0; i < 2; i++) {
        all[4] = "--dry-run";
        program_expect(program_run(all), 0, makes ? "to be evaluated" : "done", NULL);
        all[4] = NULL;
        program_expect(program_run(all), 0, NULL,
                       makes ? "1 evaluated as the spec asks now" : "1 finished before");
        makes = false;
    }
}

/* What changes no figure is made as well where it is asked for, once, and with nothing else. */
static void told_beside(void)
{
    static const struct {
        const char *set;
        bool makes, losses;
        int64_t cleared;
    } cases[] = {{"eval.rows=3", false, false, -1},    {"eval.cleared=64", true, false, 64},
                 {"eval.cleared=0", false, false, 64}, {"eval.losses=true", true, true, 64},
                 {"eval.cleared=32", true, true, 32},  {"eval.losses=false", false, true, 32}};
    corpora_write("beside.yaml",
                  "data: {corpus: markov, symbols: 20, tokens: 4k}\n"
                  "model: {width: 16, context: 16, blocks: [{attention: {heads: 2, memory: 16}}]}\n"
                  "train: {budget: {steps: 6}, batch: 2}\n"
                  "eval: {rows: 3, losses: false, cleared: 0}\n",
                  -1);
    char spec[4096];
    snprintf(spec, sizeof spec, "%s", test_inside("beside.yaml"));
    program_expect(LOCI("run", spec), 0, NULL, "1 trained");
    json_auto_t *first = last_line();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_and_look(spec, cases[i].set, cases[i].makes);
        json_auto_t *line = last_line();
        EXPECT(json_equal(json_object_get(line, "documents"), json_object_get(first, "documents")),
               "%s: other figures", cases[i].set);
        EXPECT(json_is_string(json_object_get(line, "losses")) == cases[i].losses &&
                   json_get_int(line, "cleared", -1) == cases[i].cleared,
               "%s: losses %d, cleared %lld", cases[i].set,
               json_is_string(json_object_get(line, "losses")),
               (long long)json_get_int(line, "cleared", -1));
        EXPECT((json_object_get(line, "layers") != NULL) == (cases[i].cleared > 0), "%s",
               cases[i].set);
    }
}

const test_suite test_eval_sections = {
    "tools/eval_sections", {{"there_and_back", there_and_back}, {"told_beside", told_beside}, {0}}};
