/* A Slurm of three nodes on this machine with a sweep to train on it, for one case of tests. */
#pragma once

#include <stdbool.h>

/* Starts it and writes slurm_file("cluster.yaml"), a sweep of eight runs named `cluster`;
 * SLURM_CONF is set until slurm_stop. Skips the case and returns false where there is no Slurm to
 * start (tools/setup.sh cluster), or without root. */
bool slurm_start(void);
void slurm_stop(void);

/* One of the cluster's verbs (support/slurm_cluster.sh) with what it is about; its exit status. */
int slurm_cluster(const char *verb, const char *words);

/* Waits until so many runs in the folder `out` stand so, for so long; false: they never did. */
bool slurm_runs_become(const char *state, int count, int seconds);

/* A path in the running case's folder, valid until the next call. */
const char *slurm_file(const char *name);
void slurm_pause(double seconds);
