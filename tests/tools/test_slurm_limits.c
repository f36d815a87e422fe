/* Time limits of a real Slurm (support/slurm.h), and `loci stop`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/support/slurm.h"
#include "tests/test.h"

/* As `loci stop` does: saved, and not put back into the queue. */
static void scancel_ends(void)
{
    char command[64];
    program_result r = LOCI("run", slurm_file("cluster.yaml"), "--on", "slurm:nodes=1", "--set",
                            "train.budget.steps=100000000", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    snprintf(command, sizeof command, "scancel %.40s", r.out);
    EXPECT(slurm_runs_become("running", 1, 60), "%s", LOCI("status", "cluster").out);
    EXPECT(system(command) == 0, "%s", command);
    EXPECT(slurm_runs_become("running", 0, 60), "%s", LOCI("status", "cluster").out);
    slurm_pause(8); /* longer than what is requeued waits */
    r = LOCI("status", "cluster");
    EXPECT(!strstr(r.out, "pending") && !strstr(r.out, "tasks running"), "%s", r.out);
}

/* A minute is the least that Slurm has for a limit; 45 s before its end it tells, when it comes to
 * look, every 30 s. What is trained meanwhile is for nothing: Slurm hands on that it may wait for
 * others. */
static void time_limits_come_back_and_stop_ends(void)
{
    if (!slurm_start()) return;
    int before = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, before + 10);
    program_result r =
        LOCI("run", slurm_file("cluster.yaml"), "--on", "slurm:nodes=1,partition=short,time=1m",
             "--sbatch=--signal=B:USR1@45", "--set", "train.budget.steps=100000000", "--quiet");
    setpriority(PRIO_PROCESS, 0, before);
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    EXPECT(slurm_runs_become("running", 1, 30), "%s", LOCI("status", "cluster").out);
    EXPECT(slurm_runs_become("interrupted", 1, 80), "%s", LOCI("status", "cluster").out);
    EXPECT(slurm_runs_become("running", 1, 40), "it comes back: %s", LOCI("status", "cluster").out);
    r = LOCI("stop", "cluster");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    EXPECT(slurm_runs_become("interrupted", 1, 60), "%s", LOCI("status", "cluster").out);
    slurm_pause(4);
    EXPECT(!slurm_runs_become("running", 1, 1), "stopped, it stays away");
    scancel_ends();
    slurm_stop();
}

const test_suite test_slurm_limits = {
    "tools/slurm_limits",
    {{"time limits come back and stop ends", time_limits_come_back_and_stop_ends}, SUITE_WAITS}};
