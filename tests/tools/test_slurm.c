/* Sweeps on a real Slurm of three nodes on this machine (support/slurm_cluster.sh): skipped where
 * its programs are not installed (tools/setup.sh cluster), or without root. In the end what was
 * trained is what one machine trains, to the bit, whatever was killed meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/support/same_results.h"
#include "tests/test.h"

static const char SPEC[] =
    "name: cluster\n"
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 600, length: 150}\n"
    "model: {width: 32, context: 32, blocks: [{repeat: 2, attention: {heads: 2}, ffn: {}}]}\n"
    "train: {budget: {steps: 4000}, batch: 4, checkpoint_seconds: 1}\n"
    "eval: {tokens: 200}\n"
    "sweep:\n"
    "  seeds: 2\n"
    "  list:\n"
    "    - {label: first}\n"
    "    - {label: other, model.width: 16}\n"
    "    - {label: later, init_from: {variant: first}, train.budget: {steps: 100}}\n"
    "    - {label: last, init_from: {variant: later}, train.budget: {steps: 50}}\n";

static const char CLUSTER[] = "tests/support/slurm_cluster.sh";

static const char *in_folder(const char *name)
{
    static char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), name, NULL);
    return path;
}

/* One of the cluster's verbs, with what it is about. */
static int cluster(const char *verb, const char *words)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "bash %s %s %s --dir %s/slurm >/dev/null 2>&1", CLUSTER, verb,
             words, test_folder());
    int status = system(command);
    return status < 0 ? -1 : WEXITSTATUS(status);
}

static void pause_s(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

/* Skips the case and returns false where there is no Slurm to start. */
static bool start_cluster(void)
{
    if (!test_program()) return false;
    if (geteuid() != 0) return test_skip("a Slurm of one's own needs root"), false;
    if (system("command -v slurmctld slurmd munged >/dev/null 2>&1") != 0)
        return test_skip("there is no Slurm here (tools/setup.sh cluster)"), false;
    cluster("stop", "");
    char how[160]; /* ports of its own: several builds may be tested at a time */
    snprintf(how, sizeof how, "--nodes 3 --cpus 1 --kill-wait 5 --port %d --while %d",
             20000 + (int)(getpid() % 2500) * 4, (int)getpid());
    if (cluster("start", how) != 0)
        return test_skip("Slurm does not start in this container"), false;
    setenv("SLURM_CONF", in_folder("slurm/slurm.conf"), 1);
    FILE *f = fopen(in_folder("cluster.yaml"), "w");
    EXPECT(f && fputs(SPEC, f) >= 0 && fclose(f) == 0, "%s", in_folder("cluster.yaml"));
    return true;
}

static void stop_cluster(void)
{
    cluster("stop", "");
    unsetenv("SLURM_CONF");
}

/* Waits until so many runs stand so. Their files are asked: Slurm does not answer for a while when
 * a node is gone, and `loci status` asks it. */
static bool runs_become(const char *state, int count, int seconds)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(
        command, sizeof command,
        "[ $(cat %s/out/runs/*/status.json 2>/dev/null | grep -c '\"status\": \"%s\"') -ge %d ]",
        test_folder(), state, count);
    for (int i = 0; i < 5 * seconds; i++) {
        if (system(command) == 0) return true;
        pause_s(0.2);
    }
    return false;
}

/* Models and databases of OUT are those of a sweep on this machine alone. */
static void expect_bits(void)
{
    program_result r = LOCI("run", in_folder("cluster.yaml"), "--quiet");
    EXPECT(r.status == EXIT_DONE, "nothing is left to do: %s", r.err);
    char spec[FILE_PATH_BYTES];
    snprintf(spec, sizeof spec, "%s", in_folder("cluster.yaml"));
    r = LOCI("run", spec, "--out", in_folder("alone"), "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd %s && (cd alone/runs && sha256sum */checkpoint/model-*) >models && "
             "(cd out/runs && sha256sum --quiet --check ../../models)",
             test_folder());
    EXPECT(system(command) == 0, "the models differ");
    char out[FILE_PATH_BYTES];
    snprintf(out, sizeof out, "%s", in_folder("out"));
    same_results(in_folder("alone"), out);
}

/* A job of more weight than partition low's takes a whole node for a second. */
static void preempt(void)
{
    EXPECT(system("sbatch --quiet --partition=high --nodes=1 --exclusive --wrap='sleep 1' "
                  "--output=/dev/null") == 0,
           "sbatch");
    pause_s(2);
}

/* Two arrays share a sweep, tasks are preempted twice, then a node's plug is pulled: everything is
 * trained all the same, once. */
static void survives_preemption_and_a_dead_node(void)
{
    if (!start_cluster()) return;
    for (int i = 0; i < 2; i++) {
        program_result r = LOCI("run", in_folder("cluster.yaml"), "--on",
                                "slurm:nodes=2,partition=low,time=10m", "--quiet");
        EXPECT(r.status == EXIT_DONE && *r.out, "%s", r.err);
    }
    EXPECT(runs_become("running", 1, 30), "%s", LOCI("status", "cluster").out);
    preempt();
    preempt();
    cluster("kill-node", "n1");
    EXPECT(runs_become("done", 8, 120), "%s", LOCI("status", "cluster").out);
    expect_bits();
    stop_cluster();
}

/* A minute is the least that Slurm has for a limit; 45 s before its end it tells, when it comes to
 * look, every 30 s. */
static void time_limits_come_back_and_stop_ends(void)
{
    if (!start_cluster()) return;
    program_result r =
        LOCI("run", in_folder("cluster.yaml"), "--on", "slurm:nodes=1,partition=short,time=1m",
             "--sbatch=--signal=B:USR1@45", "--set", "train.budget.steps=100000000", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    EXPECT(runs_become("running", 1, 30), "%s", LOCI("status", "cluster").out);
    EXPECT(runs_become("interrupted", 1, 80), "%s", LOCI("status", "cluster").out);
    EXPECT(runs_become("running", 1, 40), "it comes back: %s", LOCI("status", "cluster").out);
    r = LOCI("stop", "cluster");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    EXPECT(runs_become("interrupted", 1, 20), "%s", LOCI("status", "cluster").out);
    pause_s(4);
    EXPECT(!runs_become("running", 1, 1), "stopped, it stays away");
    stop_cluster();
}

const test_suite test_slurm = {
    "tools/slurm",
    {{"survives preemption and a dead node", survives_preemption_and_a_dead_node},
     {"time limits come back and stop ends", time_limits_come_back_and_stop_ends},
     {0}}};
