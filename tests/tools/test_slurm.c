/* A sweep on a real Slurm (support/slurm.h): in the end what was trained is what one machine
 * trains, to the bit, whatever was killed meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/support/same_results.h"
#include "tests/support/slurm.h"
#include "tests/test.h"

/* Models and databases of OUT are those of a sweep on this machine alone. */
static void expect_bits(void)
{
    program_result r = LOCI("run", slurm_file("cluster.yaml"), "--quiet");
    EXPECT(r.status == EXIT_DONE, "nothing is left to do: %s", r.err);
    char spec[FILE_PATH_BYTES];
    snprintf(spec, sizeof spec, "%s", slurm_file("cluster.yaml"));
    r = LOCI("run", spec, "--out", slurm_file("alone"), "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd %s && (cd alone/runs && sha256sum */checkpoint/model-*) >models && "
             "(cd out/runs && sha256sum --quiet --check ../../models)",
             test_folder());
    EXPECT(system(command) == 0, "the models differ");
    char out[FILE_PATH_BYTES];
    snprintf(out, sizeof out, "%s", slurm_file("out"));
    same_results(slurm_file("alone"), out);
}

/* A job of more weight than partition low's takes a whole node for a second. */
static void preempt(void)
{
    EXPECT(system("sbatch --quiet --partition=high --nodes=1 --exclusive --wrap='sleep 1' "
                  "--output=/dev/null") == 0,
           "sbatch");
    slurm_pause(2);
}

/* Two arrays share a sweep, tasks are preempted twice, then a node's plug is pulled: everything is
 * trained all the same, once. */
static void survives_preemption_and_a_dead_node(void)
{
    if (!slurm_start()) return;
    for (int i = 0; i < 2; i++) {
        program_result r = LOCI("run", slurm_file("cluster.yaml"), "--on",
                                "slurm:nodes=2,partition=low,time=10m", "--quiet");
        EXPECT(r.status == EXIT_DONE && *r.out, "%s", r.err);
    }
    EXPECT(slurm_runs_become("running", 1, 30), "%s", LOCI("status", "cluster").out);
    preempt();
    preempt();
    slurm_cluster("kill-node", "n1");
    EXPECT(slurm_runs_become("done", 8, 120), "%s", LOCI("status", "cluster").out);
    expect_bits();
    slurm_stop();
}

const test_suite test_slurm = {
    "tools/slurm",
    {{"survives preemption and a dead node", survives_preemption_and_a_dead_node}, SUITE_WAITS}};
