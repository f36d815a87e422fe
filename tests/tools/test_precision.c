/* A trained model evaluated at its own and at the other precision. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/corpora.h"
#include "tests/support/draw.h"
#include "tests/support/program.h"
#include "tests/test.h"

#define SPEC                                                                                       \
    "data: {corpus: markov, symbols: 20, tokens: 4k}\n"                                            \
    "model: {width: 32, context: 16, blocks: [{attention: {heads: 2}, ffn: {hidden: 64}}]}\n"

/* The figures of an evaluation without its cost: malloc'd. */
static char *figures(const char *run, const char *precision)
{
    program_result r = LOCI("eval", run, "--precision", precision);
    const char *end = strstr(r.out, "\ncost");
    EXPECT(r.status == 0 && end, "%s %s: %d: %s%s", run, precision, r.status, r.out, r.err);
    char *text = strndup(r.out, end ? (size_t)(end - r.out) : 0);
    return text;
}

static void train(const char *name, const char *how)
{
    char file[64], spec[512];
    snprintf(file, sizeof file, "%s.yaml", name);
    snprintf(spec, sizeof spec, SPEC "train: {budget: {steps: 6}, batch: 4, %s}\n", how);
    corpora_write(file, spec, -1);
    program_result r = LOCI("run", test_inside(file));
    EXPECT(r.status == 0, "%s: %s", how, r.err);
}

static void evaluated_at_either(void)
{
    static const struct {
        const char *name, *train, *own, *other;
    } cases[] = {{"float", "precision: float32", "float32", "bfloat16"},
                 {"library", "gemm: openblas", "float32", "bfloat16"},
                 {"rounded", "precision: bfloat16", "bfloat16", "float32"},
                 {"tiles", "precision: bfloat16, gemm: tiles", "bfloat16", "float32"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!drawn_if_slow("precision", cases[i].name)) continue;
        train(cases[i].name, cases[i].train);
        char *trained = figures(cases[i].name, "trained"),
             *own = figures(cases[i].name, cases[i].own),
             *other = figures(cases[i].name, cases[i].other);
        EXPECT(strcmp(trained, own) == 0, "%s: %s\n%s", cases[i].name, trained, own);
        EXPECT(strcmp(trained, other) != 0, "%s: %s", cases[i].name, other);
        bool rounds = strcmp(cases[i].own, "bfloat16") == 0;
        EXPECT((strstr(own, "precision bfloat16") != NULL) == rounds &&
                   (strstr(other, "precision bfloat16") != NULL) != rounds,
               "%s\n%s", own, other);
        free(trained);
        free(own);
        free(other);
    }
}

const test_suite test_precision = {"tools/precision",
                                   {{"evaluated_at_either", evaluated_at_either}, {0}}};
