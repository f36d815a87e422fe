/* What a plan says of cores that lanes cannot use. */
#include "harness/supervise/idle_cores.h"

#include <math.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/test.h"

static void counts_rounds(void)
{
    static const struct {
        int64_t lanes;
        int ranks, threads;
        double busy;
        int64_t better;
    } cases[] = {
        {8, 1, 1, 1, 8},       {8, 1, 3, 8.0 / 9, 9}, {8, 1, 16, 0.5, 16},
        {8, 4, 1, 1, 8},       {6, 4, 1, 0.75, 8},    {6, 3, 1, 1, 6}, /* nodes of two lanes */
        {12, 3, 1, 1, 12},     {9, 3, 1, 0.75, 12},                    /* 4, 4, 1 */
        {6, 16, 1, 0.375, 16}, {8, 2, 8, 0.5, 16},    {8, 2, 3, 8.0 / 12, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double busy = idle_cores_busy(cases[i].lanes, cases[i].ranks, cases[i].threads);
        int64_t better = idle_cores_lanes(cases[i].lanes, cases[i].ranks, cases[i].threads);
        EXPECT(fabs(busy - cases[i].busy) < 1e-9, "case %zu: busy %g", i, busy);
        EXPECT(better == cases[i].better, "case %zu: %lld lanes", i, (long long)better);
    }
}

static void plan_names_the_batch(void)
{
    if (!test_program()) return;
    char path[4096];
    snprintf(path, sizeof path, "%s/idle.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f &&
               fputs("name: idle\n"
                     "data: {corpus: markov, symbols: 8, tokens: 400, held_out: 60}\n"
                     "model: {width: 16, context: 32, blocks: [{ffn: {}}]}\n"
                     "train: {budget: {steps: 2}, batch: 12, lanes: 6}\n",
                     f) >= 0 &&
               fclose(f) == 0,
           "%s", path);
    program_result r = LOCI("run", path, "--dry-run", "--threads", "8");
    EXPECT(strstr(r.out, "6 lanes leave 25 % of 8 threads idle; train.batch 16 in 8 lanes"), "%s",
           r.out);
    r = LOCI("run", path, "--dry-run", "--threads", "3");
    EXPECT(!strstr(r.out, "lanes leave"), "%s", r.out);
}

const test_suite test_idle_cores = {
    "harness/idle_cores",
    {{"counts_rounds", counts_rounds}, {"plan_names_the_batch", plan_names_the_batch}, {0}}};
