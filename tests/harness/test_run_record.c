/* An experiment's record loses no runs that somebody trains. */
#include "harness/run/run_record.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/exit_status.h"
#include "harness/run/experiment_lock.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* Of two variants. */
static void expect_recorded(const char *when, int runs)
{
    err e = {{0}};
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
    err e = {{0}};
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

const test_suite test_run_record = {
    "harness/run_record", {{"a_late_task", a_late_task}, {"beside_another", beside_another}}};
