/* A folder with many runs: what the verbs say of all of them. LOCI_MANY_RUNS says how many, and
 * then how long each verb took is printed, first without a database, then with it: `make
 * many-runs`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/host.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/test.h"

enum { VARIANTS = 10 };

/* Of all programs that were started: other work on the machine makes no difference to it. */
static double processor_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_CHILDREN, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void timed(const char *what, program_result (*run)(void), bool tells, const char *wanted)
{
    double begin = host_monotonic_s(), processor = processor_s();
    program_result r = run();
    double took = host_monotonic_s() - begin;
    EXPECT(r.status == 0 && strstr(r.out, wanted), "%s: %d: %.300s%.300s", what, r.status, r.out,
           r.err);
    if (tells) printf("%-28s %6.2f s, %5.2f s of a core\n", what, took, processor_s() - processor);
}

static program_result run_collect(void)
{
    return LOCI("collect");
}

static program_result run_status(void)
{
    return LOCI("status");
}

static program_result run_status_runs(void)
{
    return LOCI("status", "many");
}

static program_result run_compare(void)
{
    return LOCI("compare", "many");
}

static void many_runs(void)
{
    const char *asked = getenv("LOCI_MANY_RUNS");
    int runs = asked && atoi(asked) > 0 ? atoi(asked) : 40;
    char out[4096], labels[VARIANTS][24], done[32];
    if (!test_program()) return;
    /* As people start it: what the suites' runner sets would keep it from starting itself anew. */
    unsetenv("OMP_NUM_THREADS");
    snprintf(out, sizeof out, "%s/out", test_folder());
    fake_variant variant[VARIANTS];
    fake_experiment x = {.out = out,
                         .name = "many",
                         .variants = VARIANTS,
                         .seeds = runs / VARIANTS,
                         .steps = 10,
                         .variant = variant};
    for (int i = 0; i < VARIANTS; i++) {
        snprintf(labels[i], sizeof labels[i], "variant %d", i);
        variant[i] = (fake_variant){
            .label = labels[i], .gain = 0.01 * i, .noise = 0.002, .params = 1000, .speed = 1000};
    }
    fake_write(&x);
    snprintf(done, sizeof done, "%d", runs / VARIANTS * VARIANTS);
    timed("collect, all are new", run_collect, asked, "");
    timed("collect, nothing is new", run_collect, asked, "");
    timed("status", run_status, asked, done);
    timed("status of the experiment", run_status_runs, asked, done);
    timed("compare", run_compare, asked, "variant 9");
}

const test_suite test_many_runs = {"results/many_runs", {{"many_runs", many_runs}, {0}}};
