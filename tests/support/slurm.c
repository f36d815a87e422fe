/* The cluster is support/slurm_cluster.sh's, in the running case's folder; what is waited for is
 * read from the runs' files. */
#include "tests/support/slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

/* Some seconds of training: a task must be at work when it is preempted. */
static int steps(void)
{
    if (test_emulated()) return 200;
    return SANITIZED ? 800 : 4000;
}

static const char SPEC[] =
    "name: cluster\n"
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 600, length: 150}\n"
    "model: {width: 32, context: 32, blocks: [{repeat: 2, attention: {heads: 2}, ffn: {}}]}\n"
    "train: {budget: {steps: %d}, batch: 4, checkpoint_seconds: 1}\n"
    "eval: {tokens: 200}\n"
    "sweep:\n"
    "  seeds: 2\n"
    "  list:\n"
    "    - {label: first}\n"
    "    - {label: other, model.width: 16}\n"
    "    - {label: later, init_from: {variant: first}, train.budget: {steps: 100}}\n"
    "    - {label: last, init_from: {variant: later}, train.budget: {steps: 50}}\n";

static const char CLUSTER[] = "tests/support/slurm_cluster.sh";

const char *slurm_file(const char *name)
{
    static char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), name, NULL);
    return path;
}

/* One of the cluster's verbs, with what it is about. */
int slurm_cluster(const char *verb, const char *words)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "bash %s %s %s --dir %s/slurm >/dev/null 2>&1", CLUSTER, verb,
             words, test_folder());
    int status = system(command);
    return status < 0 ? -1 : WEXITSTATUS(status);
}

void slurm_pause(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

/* Skips the case and returns false where there is no Slurm to start. */
bool slurm_start(void)
{
    if (!test_program()) return false;
    if (geteuid() != 0) return test_skip("a Slurm of one's own needs root"), false;
    if (system("command -v slurmctld slurmd munged >/dev/null 2>&1") != 0)
        return test_skip("there is no Slurm here (tools/setup.sh cluster)"), false;
    slurm_cluster("stop", "");
    char how[160]; /* ports of its own: several builds may be tested at a time */
    snprintf(how, sizeof how, "--nodes 3 --cpus 1 --kill-wait 5 --port %d --while %d",
             20000 + (int)(getpid() % 2500) * 4, (int)getpid());
    if (slurm_cluster("start", how) != 0)
        return test_skip("Slurm does not start in this container"), false;
    setenv("SLURM_CONF", slurm_file("slurm/slurm.conf"), 1);
    FILE *f = fopen(slurm_file("cluster.yaml"), "w");
    EXPECT(f && fprintf(f, SPEC, steps()) >= 0 && fclose(f) == 0, "%s", slurm_file("cluster.yaml"));
    return true;
}

void slurm_stop(void)
{
    slurm_cluster("stop", "");
    unsetenv("SLURM_CONF");
}

/* Waits until so many runs stand so. Their files are asked: Slurm does not answer for a while when
 * a node is gone, and `loci status` asks it. */
bool slurm_runs_become(const char *state, int count, int seconds)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(
        command, sizeof command,
        "[ $(cat %s/out/runs/*/status.json 2>/dev/null | grep -c '\"status\": \"%s\"') -ge %d ]",
        test_folder(), state, count);
    int tries = 5 * seconds * (test_emulated() ? 10 : 1);
    for (int i = 0; i < tries; i++) {
        if (system(command) == 0) return true;
        slurm_pause(0.2);
    }
    return false;
}
