/* A Slurm made of little scripts, in test_folder()/bin. */
#pragma once

#include <sys/stat.h>

/* A squeue that knows of nothing. */
#define SLURM_SCRIPTS_QUIET "#!/bin/sh\nexit 0\n"

/* In place of what was there: sbatch keeps a link to the script as job.sh and says 40; scontrol and
 * scancel write what they were asked into `asked`; squeue is what is given. Beside them sweep.yaml,
 * TRIAL_SPEC. */
void slurm_scripts_begin(const char *squeue);

/* A file of test_folder(), and the text of one ("": there is none), valid until the next call. */
void slurm_scripts_write(const char *name, const char *text, mode_t mode);
const char *slurm_scripts_read(const char *name);

/* Path of sweep.yaml. */
const char *slurm_scripts_spec(void);
