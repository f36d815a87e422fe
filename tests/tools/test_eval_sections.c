/* Finished runs whose spec gets another `eval:` section, and back. */
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
        program_expect(program_run(on_test), 3, NULL, "0 trained, 0 finished before, 4 failed");
    }
    program_expect(LOCI("run", spec, "--dry-run"), 0, "100 % of it evaluation", NULL);
    program_expect(LOCI("run", spec), 0, NULL, "4 evaluated as the spec asks now");
    program_expect(LOCI("run", spec), 0, NULL, "0 trained, 4 finished before, 0 failed");
    program_expect(LOCI("compare", "odd"), 0, "Scored: validation split", NULL);
    program_expect(program_run(on_test), 3, NULL, "0 trained, 0 finished before, 4 failed");
    program_expect(LOCI("run", spec, "--set", "eval.rows=3"), 0, NULL,
                   "4 evaluated as the spec asks now");
}

const test_suite test_eval_sections = {"tools/eval_sections",
                                       {{"there_and_back", there_and_back}, {0}}};
