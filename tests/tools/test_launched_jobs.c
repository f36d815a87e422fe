/* What becomes of jobs that loci has submitted: they are found again, waited for, cancelled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/support/slurm_scripts.h"
#include "tests/test.h"

/* The job's number cannot be kept: a folder stands where it is to be written. */
static void unrecorded(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    slurm_scripts_write(
        "bin/sbatch",
        "#!/bin/sh\ncd \"$(dirname \"$2\")\"; rm launch.json; mkdir -p launch.json/full; echo 40\n",
        0755);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "launch.json: cannot be replaced") &&
               strstr(r.err, "job 40, which was submitted, is cancelled") &&
               strchr(r.err, '\n') == r.err + strlen(r.err) - 1,
           "%d %s", r.status, r.err);
    EXPECT(strcmp(slurm_scripts_read("asked"), "scancel 40\n") == 0, "%s",
           slurm_scripts_read("asked"));
    slurm_scripts_write("bin/scancel", "#!/bin/sh\necho no controller >&2; exit 1\n", 0755);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "job 40 was submitted and goes on") &&
               strstr(r.err, "no controller"),
           "%d %s", r.status, r.err);
}

/* What could not be cancelled goes on, and the next try finds it. */
static void stopped_at_the_second_try(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    slurm_scripts_write("bin/scancel", "#!/bin/sh\necho no controller >&2; exit 1\n", 0755);
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "no controller"), "%d %s", r.status, r.err);
    slurm_scripts_write("bin/scancel", "#!/bin/sh\nexit 0\n", 0755);
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%d %s%s", r.status, r.out, r.err);
}

/* Pending tasks would make again what is removed or renamed. */
static void waits_for_its_jobs(void)
{
    if (!test_program()) return;
    slurm_scripts_begin("#!/bin/sh\nprintf '40_[2-4]|PENDING|Resources\\n40_1|RUNNING|None\\n'\n");
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    for (int moved = 0; moved < 2; moved++) {
        r = moved ? LOCI("mv", "sweep", "other") : LOCI("rm", "sweep");
        EXPECT(r.status == EXIT_FAILED && strstr(r.err, "job 40 1 tasks run and 3 are pending") &&
                   strstr(r.err, "loci stop sweep"),
               "%d %s", r.status, r.err);
        EXPECT(file_exists(test_inside("out/experiments/sweep.json")), "%d: it is gone", moved);
    }
    slurm_scripts_write("bin/squeue", "#!/bin/sh\necho no controller >&2; exit 1\n", 0755);
    r = LOCI("rm", "sweep");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "--force") && strstr(r.err, "no controller"),
           "%d %s", r.status, r.err);
    r = LOCI("mv", "sweep", "other", "--force");
    EXPECT(r.status == EXIT_DONE && file_exists(test_inside("out/experiments/other.json")), "%d %s",
           r.status, r.err);
    r = LOCI("rm", "other");
    EXPECT(r.status == EXIT_DONE, "no job is of that name: %d %s", r.status, r.err);
}

/* Whoever submitted it was killed between sbatch's work and its answer: the job is found by its
 * script, and stopped as any other. */
static void killed_while_submitting(void)
{
    char squeue[2 * FILE_PATH_BYTES];
    if (!test_program()) return;
    /* Of another script, too: its line is no match. */
    snprintf(squeue, sizeof squeue,
             "#!/bin/sh\ncase \"$*\" in *%%F*) echo '7|/else/job.sh'; "
             "echo \"40|$(readlink %s/job.sh)\";; *) echo '40_1|PENDING|Resources';; esac\n",
             test_folder());
    slurm_scripts_begin(squeue);
    snprintf(squeue, sizeof squeue, "#!/bin/sh\nln -sfn \"$2\" %s/job.sh; kill -9 $PPID\n",
             test_folder());
    slurm_scripts_write("bin/sbatch", squeue, 0755);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == 128 + 9, "%d %s", r.status, r.err);
    r = LOCI("status", "sweep");
    EXPECT(strstr(r.out, "job 40: 0 tasks running, 1 pending"), "%s%s", r.out, r.err);
    r = LOCI("rm", "sweep");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "loci stop sweep"), "%d %s", r.status, r.err);
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%d %s%s", r.status, r.out, r.err);
    EXPECT(strcmp(slurm_scripts_read("asked"), "scancel 40\n") == 0, "%s",
           slurm_scripts_read("asked"));
    r = LOCI("rm", "sweep");
    EXPECT(r.status == EXIT_DONE, "%d %s", r.status, r.err);
}

/* sbatch says nothing, though the job is in the queue: it is the launch's all the same. */
static void sbatch_without_an_answer(void)
{
    char text[2 * FILE_PATH_BYTES];
    if (!test_program()) return;
    snprintf(text, sizeof text, "#!/bin/sh\necho \"40|$(readlink %s/job.sh)\"\n", test_folder());
    slurm_scripts_begin(text);
    snprintf(text, sizeof text, "#!/bin/sh\nln -sfn \"$2\" %s/job.sh; echo timeout >&2; exit 1\n",
             test_folder());
    slurm_scripts_write("bin/sbatch", text, 0755);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%d %s%s", r.status, r.out, r.err);
}

/* A damaged record is no other experiment's: whose it is says the spec beside it, and Slurm which
 * job. Where nothing says whose it is nothing is removed. */
static void damaged_record(void)
{
    static const char *const damage[] = {"truncate -s 40", "sed -i s/40/41/", "truncate -s 0"};
    char text[2 * FILE_PATH_BYTES];
    if (!test_program()) return;
    snprintf(text, sizeof text,
             "#!/bin/sh\ncase \"$*\" in *%%F*) echo \"40|$(readlink %s/job.sh)\";; "
             "*) echo '40_1|PENDING|Resources';; esac\n",
             test_folder());
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        slurm_scripts_begin(text);
        file_remove(test_inside("asked"), NULL);
        program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
        EXPECT(r.status == EXIT_DONE, "%s", r.err);
        char command[2 * FILE_PATH_BYTES];
        snprintf(command, sizeof command, "%s %s/out/launch/*/launch.json", damage[i],
                 test_folder());
        EXPECT(system(command) == 0, "%s", command);
        r = LOCI("status", "sweep");
        EXPECT(strstr(r.out, "job 40: 0 tasks running, 1 pending") &&
                   strstr(r.err, "launch.json") && strstr(r.err, "asked of Slurm"),
               "%s: %s%s", damage[i], r.out, r.err);
        r = LOCI("rm", "sweep");
        EXPECT(r.status == EXIT_FAILED && strstr(r.err, "loci stop sweep"), "%d %s", r.status,
               r.err);
        snprintf(command, sizeof command, "cd %s/out/launch/* && mv spec.yaml away", test_folder());
        EXPECT(system(command) == 0, "%s", command);
        r = LOCI("rm", "sweep");
        EXPECT(r.status == EXIT_FAILED && strstr(r.err, "launch.json") &&
                   strstr(r.err, "whose it was"),
               "%d %s", r.status, r.err);
        snprintf(command, sizeof command, "cd %s/out/launch/* && mv away spec.yaml", test_folder());
        EXPECT(system(command) == 0, "%s", command);
        r = LOCI("stop", "sweep");
        EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%d %s%s", r.status, r.out,
               r.err);
        EXPECT(strcmp(slurm_scripts_read("asked"), "scancel 40\n") == 0, "%s",
               slurm_scripts_read("asked"));
    }
}

/* A stranger's record with the number of another job of the user's. */
static void job_of_somebody_else(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(
        "#!/bin/sh\ncase \"$*\" in *%F*) echo '40|/home/of/mine.sh'; echo '41|/else/job.sh';; "
        "esac\n");
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    for (int i = 0; i < 2; i++) {
        r = LOCI("stop", "sweep");
        EXPECT(r.status == EXIT_FAILED && strstr(r.err, "/home/of/mine.sh") &&
                   strstr(r.err, "it is not cancelled"),
               "%d %s", r.status, r.err);
        EXPECT(!strstr(slurm_scripts_read("asked"), "scancel"), "%s", slurm_scripts_read("asked"));
    }
}

/* A stranger's record with an option in the place of the job's number. */
static void job_of_a_stranger(void)
{
    char command[2 * FILE_PATH_BYTES];
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    snprintf(command, sizeof command,
             "sed -i -e 's/\"40\"/\"--me\"/' -e 's/\"crc\"/\"was\"/' %s/out/launch/*/launch.json",
             test_folder());
    EXPECT(system(command) == 0, "%s", command);
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "no job of it is known"), "%d %s", r.status,
           r.err);
    EXPECT(!*slurm_scripts_read("asked"), "'%s'", slurm_scripts_read("asked"));
}

extern const test_suite test_launched_jobs;
const test_suite test_launched_jobs = {"tools/launched_jobs",
                                       {{"waits for its jobs", waits_for_its_jobs},
                                        {"killed while submitting", killed_while_submitting},
                                        {"sbatch without an answer", sbatch_without_an_answer},
                                        {"unrecorded", unrecorded},
                                        {"stopped at the second try", stopped_at_the_second_try},
                                        {"damaged_record", damaged_record},
                                        {"job of somebody else", job_of_somebody_else},
                                        {"job of a stranger", job_of_a_stranger},
                                        {0}}};
