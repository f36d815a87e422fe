/* As many steps that read differently much: before anything is trained, and beside what came of it.
 */
#include <string.h>

#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* Blocks of half the length: half the tokens in as many steps. */
static const char *half_blocks(void)
{
    (void)tiny_sweep();
    corpora_write("half.yaml",
                  "extends: tiny.yaml\n"
                  "name: half\n"
                  "sweep: {grid: null, list: [{label: block}, {label: half, model.context: 8}]}\n"
                  "claims: [{name: one, better: half, than: block}, "
                  "{name: two, variant: half, within: 1 %, of: block, on: params}]\n",
                  -1);
    return test_inside("half.yaml");
}

static void steps_and_tokens(void)
{
    static const char *const tokens = "train.budget={tokens: 200}";
    static const char *const flops = "train.budget={flops: 1e8}";
    const char *spec = half_blocks();
    program_result r = LOCI("check", spec);
    if (r.status < 0) return;
    program_expect(r, 0, NULL,
                   "as many steps train on different numbers of tokens: 'block' 192, "
                   "'half' 96");
    program_expect(LOCI("run", spec, "--quiet"), 0, NULL, NULL);
    program_expect(LOCI("compare", "half"), 0, "as steps read: 'block' 192, 'half' 96.", NULL);
    program_expect(LOCI("claims", "half"), 0, "trained on 96 tokens, the other on 192", NULL);
    program_expect(LOCI("claims", "half", "--format", "csv"), 0,
                   "\"trained on 96 tokens, the other on 192\"", NULL);
    /* Of tokens as many as were asked for. */
    r = LOCI("check", spec, "--set", tokens);
    EXPECT(r.status == 0 && !strstr(r.err, "different numbers"), "%s", r.err);
    /* Of a model that costs less, more, as was asked for. */
    r = LOCI("check", spec, "--set", flops);
    EXPECT(r.status == 0 && !strstr(r.err, "different numbers"), "%s", r.err);
    program_expect(LOCI("run", spec, "--quiet", "--set", tokens), 0, NULL, NULL);
    r = LOCI("compare", "half");
    EXPECT(r.status == 0 && !strstr(r.out, "as steps read"), "%s", r.out);
}

const test_suite test_unlike_training = {"tools/unlike_training",
                                         {{"steps_and_tokens", steps_and_tokens}, {0}}};
