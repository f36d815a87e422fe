/* An experiment's record loses no runs that somebody trains. */
#include "harness/run/run_record.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/experiment_lock.h"
#include "tests/support/claimed.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* Of two variants. */
static void expect_recorded(const char *when, int runs)
{
    err e = {0};
    json_auto_t *o = json_read(test_inside("out/experiments/tiny.json"), &e);
    int found = (int)json_array_size(json_object_get(o, "runs"));
    EXPECT(found == runs, "%s: %d runs are recorded: %s", when, found, e.text);
}

static program_result as_task(const char *seeds)
{
    return LOCI("run", tiny_sweep(), "--task", "stalls", "--quiet", "--set", seeds);
}

/* Its spec is a copy, of when it was submitted. */
static void a_late_task(void)
{
    if (!test_program()) return;
    program_expect(as_task("sweep.seeds=1"), EXIT_DONE, NULL, NULL);
    expect_recorded("the first", 2);
    program_expect(as_task("sweep.seeds=2"), EXIT_DONE, NULL, NULL);
    expect_recorded("with more", 4);
    program_expect(as_task("sweep.seeds=1"), EXIT_DONE, NULL, NULL);
    expect_recorded("with fewer, later", 4);
    program_expect(as_task("sweep.seeds=[2, 7]"), EXIT_FAILED, NULL, "planned with other runs");
    expect_recorded("with others", 4);
}

static program_result as_sweep(const char *seeds)
{
    return LOCI("run", tiny_sweep(), "--quiet", "--set", seeds);
}

static void beside_another(void)
{
    if (!test_program()) return;
    err e = {0};
    program_expect(as_sweep("sweep.seeds=2"), EXIT_DONE, NULL, NULL);
    int lock = experiment_lock_share(test_inside("out"), "tiny", &e);
    EXPECT(lock >= 0, "%s", e.text);
    program_expect(as_sweep("sweep.seeds=3"), EXIT_DONE, NULL, NULL);
    expect_recorded("more, beside another", 6);
    program_expect(as_sweep("sweep.seeds=1"), EXIT_DONE, NULL, NULL);
    expect_recorded("fewer, beside another", 6);
    program_expect(as_sweep("sweep.seeds=[1, 7]"), EXIT_FAILED, NULL, "by another loci run");
    expect_recorded("others, beside another", 6);
    close(lock);
    program_expect(as_sweep("sweep.seeds=1"), EXIT_DONE, NULL, NULL);
    expect_recorded("fewer, alone", 2);
}

/* What a run that has not begun will start from is known by the record alone: see manage_needs. */
static void what_it_starts_from(void)
{
    static const char RUN[] = "0123456789abcdef";
    static const char BASE[] = CLAIMED_RUNS "  seeds: 1\n"
                                            "init_from: {run: 0123456789abcdef}\n"
                                            "claims:\n";
    err e = {0};
    experiment *x = claimed_experiment(BASE, "  []\n", &e);
    EXPECT(x && run_record_experiment(test_folder(), x, &e), "%s", e.text);
    json_auto_t *o = json_read(test_inside("experiments/claimed.json"), &e);
    const char *source = json_get_text(json_array_get(json_object_get(o, "runs"), 0), "source");
    EXPECT(source && strcmp(source, RUN) == 0, "%s%s", source ? source : "none", e.text);
    experiment_free(x);
}

const test_suite test_run_record = {"harness/run_record",
                                    {{"a_late_task", a_late_task},
                                     {"beside_another", beside_another},
                                     {"what_it_starts_from", what_it_starts_from},
                                     {0}}};
