/* loci run --on slurm, --task and --take-over, with a Slurm made of little scripts: what is
 * submitted, what a task does. What becomes of its jobs: test_launched_jobs.c; a real Slurm:
 * test_slurm.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/launch/slurm.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "tests/support/program.h"
#include "tests/support/slurm_scripts.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* ---- places ---- */

static void places(void)
{
    arena *a = arena_new(1 << 12);
    slurm_place p;
    err e = {0};
    EXPECT(slurm_place_read(&p, "slurm", a, &e) && p.nodes == 0 && !p.time && !p.partition, "%s",
           e.text);
    EXPECT(slurm_place_read(&p, "slurm:nodes=8,time=4h,partition=x,constraint=avx512", a, &e) &&
               p.nodes == 8 && strcmp(p.time, "240") == 0 && strcmp(p.partition, "x") == 0 &&
               strcmp(p.constraint, "avx512") == 0,
           "%s", e.text);
    EXPECT(slurm_place_read(&p, "slurm:time=1-12:00:00", a, &e) &&
               strcmp(p.time, "1-12:00:00") == 0,
           "%s", e.text);
    static const char *const bad[][2] = {
        {"pbs", "expected slurm"},         {"slurmx", "expected slurm"},
        {"slurm:8", "expected KEY=VALUE"}, {"slurm:node=8", "did you mean 'nodes'"},
        {"slurm:nodes=x", "nodes"},        {"slurm:time=soon", "90m"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(!slurm_place_read(&p, bad[i][0], a, &e) && strstr(e.text, bad[i][1]), "%s: %s",
               bad[i][0], e.text);
    }
    arena_free(a);
}

/* ---- tasks ---- */

/* Runs the submitted script as task 1 of job 40; its exit status. */
static int run_task(void)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "SLURM_ARRAY_JOB_ID=40 SLURM_ARRAY_TASK_ID=1 bash %s >%s/task.txt 2>&1",
             test_inside("job.sh"), test_folder());
    int status = system(command);
    return status < 0 ? -1 : WEXITSTATUS(status);
}

/* The same; where its run has logged something more, it gets Slurm's signal. */
static int signal_task_at_work(void)
{
    char command[4 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "lines() { cat %s/out/runs/*/metrics.jsonl 2>/dev/null | wc -l; }; before=$(lines); "
             "SLURM_ARRAY_JOB_ID=40 SLURM_ARRAY_TASK_ID=1 bash %s >%s/task.txt 2>&1 & task=$!; "
             "while kill -0 $task 2>/dev/null && [ $(lines) -le $before ]; do "
             "command -p sleep 0.05; done; kill -USR1 $task; wait $task",
             test_folder(), test_inside("job.sh"), test_folder());
    int status = system(command);
    return status < 0 ? -1 : WEXITSTATUS(status);
}

static void submits_once_and_tasks_do_the_rest(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm:time=8m,partition=big",
                            "--set", "sweep.seeds=5", "--sbatch", "--account=x", "--setup",
                            "export TRIED=1", "--retry=failed", "--jobs", "1");
    EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%d %s%s", r.status, r.out, r.err);
    EXPECT(strstr(r.err, "5 runs in 3 tasks"), "no more than the largest array: %s", r.err);
    static const char *const lines[] = {"#SBATCH --array=1-3\n",         "#SBATCH --time=8\n",
                                        "#SBATCH --partition=big\n",     "#SBATCH --account=x\n",
                                        "--signal=B:USR1@120\n",         "\nexport TRIED=1\n",
                                        "--jobs=1 --retry=failed --task"};
    const char *script = slurm_scripts_read("job.sh");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        EXPECT(strstr(script, lines[i]), "no '%s' in\n%s", lines[i], script);
    EXPECT(unlink(test_inside("sweep.yaml")) == 0, "the launch has its own copy");
    EXPECT(run_task() == EXIT_DONE, "%s", slurm_scripts_read("task.txt"));
    slurm_scripts_write("sweep.yaml", TRIAL_SPEC, 0644);
    r = LOCI("status", "sweep");
    EXPECT(strstr(r.out, "5 of 5 runs done") && strstr(r.out, "40_1"), "%s%s", r.out, r.err);
    r = LOCI("run", slurm_scripts_spec(), "--set", "sweep.seeds=5", "--on", "slurm");
    EXPECT(r.status == EXIT_DONE && !*r.out && strstr(r.err, "nothing is submitted"), "%s", r.err);
    r = LOCI("show", "sweep");
    EXPECT(strstr(slurm_scripts_read("out/experiments/sweep.json"), "sweep.yaml") &&
               !strstr(slurm_scripts_read("out/experiments/sweep.json"), "launch/"),
           "the record is that of who submitted it");
}

/* A task that is told to save comes back to the queue; one that never gets anywhere does not. */
static void comes_back_while_it_moves(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--set",
                            "train.budget.steps=10000000", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    slurm_scripts_write("bin/sleep", "#!/bin/sh\n", 0755); /* the wait for Slurm to end the task */
    int status = signal_task_at_work();
    EXPECT(status == EXIT_INTERRUPTED, "%d: %s", status, slurm_scripts_read("task.txt"));
    EXPECT(strcmp(slurm_scripts_read("asked"), "requeue 40_1\n") == 0, "'%s'",
           slurm_scripts_read("asked"));
    unlink(test_inside("bin/sleep"));
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_DONE && strcmp(r.out, "40\n") == 0, "%s%s", r.out, r.err);
    EXPECT(strstr(slurm_scripts_read("asked"), "scancel 40\n"), "%s", slurm_scripts_read("asked"));
    slurm_scripts_write("asked", "", 0644);
    status = signal_task_at_work();
    EXPECT(status == EXIT_INTERRUPTED, "%d: %s", status, slurm_scripts_read("task.txt"));
    EXPECT(!*slurm_scripts_read("asked"), "stopped, it does not come back: '%s'",
           slurm_scripts_read("asked"));
    r = LOCI("stop", "sweep");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "no job"), "%s", r.err);
}

static void status_says_why_it_waits(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(
        "#!/bin/sh\nprintf '40_[2-4,7%%2]|PENDING|Resources\\n40_1|RUNNING|None\\n'\n");
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    r = LOCI("status", "sweep");
    EXPECT(strstr(r.out, "job 40: 1 tasks running, 4 pending (Resources)"), "%s%s", r.out, r.err);
}

/* Slurm says much on a large machine, and all of it counts. */
static void long_answers(void)
{
    if (!test_program()) return;
    slurm_scripts_begin("#!/bin/sh\nfor i in $(seq 3000); do echo \"40_$i|RUNNING|None\"; done\n");
    slurm_scripts_write("bin/scontrol",
                        "#!/bin/sh\nfor i in $(seq 2000); do echo \"Setting$i = x\"; done\n"
                        "echo 'MaxArraySize = 3'\n",
                        0755);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--set", "sweep.seeds=9");
    EXPECT(r.status == EXIT_DONE && strstr(r.err, "9 runs in 2 tasks"), "%s", r.err);
    r = LOCI("status", "sweep");
    EXPECT(strstr(r.out, "job 40: 3000 tasks running"), "%s%s", r.out, r.err);
}

/* What a task trains is planned, though nobody submitted it; a second task changes nothing. */
static void tasks_of_other_systems_are_recorded(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    char stalls[FILE_PATH_BYTES];
    snprintf(stalls, sizeof stalls, "%s", test_inside("stalls"));
    program_result r = LOCI("run", slurm_scripts_spec(), "--task", stalls, "--quiet");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    r = LOCI("run", slurm_scripts_spec(), "--task", stalls, "--quiet", "--set", "sweep.seeds=2");
    EXPECT(r.status == EXIT_DONE, "%s", r.err);
    r = LOCI("status", "sweep");
    EXPECT(strstr(r.out, "2 of 2 runs done"), "%s%s", r.out, r.err);
}

/* A task trains, is told to save and counts its stops without progress, of which this is none, into
 * `file`, with `prepared` done before; its exit status. */
static int stop_task(const char *file, const char *prepared)
{
    char command[3 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd '%s' && rm -rf out && { %s; '%s' run sweep.yaml --quiet --out out --task %s --set "
             "train.budget.steps=10000000 2>task.txt & p=$!; "
             "until grep -qs '\"step\": [1-9]' out/runs/*/status.json; do sleep 0.02; done; "
             "kill $p; wait $p; s=$?; wait; exit $s; }",
             test_folder(), prepared, test_program(), file);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What is named may be no plain file: it is written into, and stays what it is. The device is
 * behind a link, which is what a fault would replace. */
static void stops_are_counted_into_what_is_named(void)
{
    struct stat s;
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    int status = stop_task("link", "echo 3 >plain; ln -s plain link");
    EXPECT(status == EXIT_INTERRUPTED && strcmp(slurm_scripts_read("plain"), "0\n") == 0,
           "%d: '%s', %s", status, slurm_scripts_read("plain"), slurm_scripts_read("task.txt"));
    EXPECT(lstat(test_inside("link"), &s) == 0 && S_ISLNK(s.st_mode), "the link is gone");
    status = stop_task("pipe", "mkfifo pipe; timeout 60 cat pipe >heard & true");
    EXPECT(status == EXIT_INTERRUPTED && strcmp(slurm_scripts_read("heard"), "0\n") == 0,
           "%d: '%s'", status, slurm_scripts_read("heard"));
    EXPECT(lstat(test_inside("pipe"), &s) == 0 && S_ISFIFO(s.st_mode), "the pipe is gone");
    status = stop_task("full", "ln -s /dev/full full");
    EXPECT(status == EXIT_FAILED && strcmp(slurm_scripts_read("task.txt"),
                                           "loci: full: cannot be written: No space left on "
                                           "device; make room\n") == 0,
           "%d: %s", status, slurm_scripts_read("task.txt"));
    EXPECT(lstat(test_inside("full"), &s) == 0 && S_ISLNK(s.st_mode), "the device is gone");
}

/* A machine that died has the lock still: whoever takes it over trains the run to its end. */
static void taken_over(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    char run[64] = "", folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    program_result r = LOCI("run", slurm_scripts_spec(), "--dry-run", "--format", "csv");
    const char *last = strrchr(r.out, ',');
    EXPECT(last && sscanf(last + 1, "%16[0-9a-f]", run) == 1 && strlen(run) == 16, "%s", r.out);
    file_join(path, test_folder(), "out", &e);
    EXPECT(run_folder_path(folder, path, run, &e) && file_make_folders(folder, &e), "%s", e.text);
    int lock = run_folder_lock(folder, &e);
    static const char line[] = "elsewhere 17 40_3 000000000005\n";
    EXPECT(lock >= 0 && pwrite(lock, line, strlen(line), 0) == (ssize_t)strlen(line), "%s", e.text);
    r = LOCI("run", slurm_scripts_spec(), "--no-wait", "--quiet");
    EXPECT(r.status == EXIT_INTERRUPTED, "left to its holder: %d %s", r.status, r.err);
    r = LOCI("run", slurm_scripts_spec(), "--take-over", run, "--quiet");
    EXPECT(r.status == EXIT_DONE, "%d %s", r.status, r.err);
    close(lock);
}

static void misuse(void)
{
    if (!test_program()) return;
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    program_result r = LOCI("run", slurm_scripts_spec(), "--wait");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "--wait goes with --on"), "%s", r.err);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--no-wait");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "--no-wait does not go with --on"), "%s", r.err);
    r = LOCI("run", slurm_scripts_spec(), "--on", "torque");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "expected slurm"), "%s", r.err);
    r = LOCI("run", slurm_scripts_spec(), "--take-over", "ffff");
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "is no run of sweep"), "%s", r.err);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--dry-run");
    EXPECT(r.status == EXIT_DONE && strstr(r.out, "#SBATCH"), "%s", r.err);
    EXPECT(!file_is_folder(test_inside("out/launch")), "nothing is made");
    slurm_scripts_write("template", "#PBS -J 1-@tasks@\n@setup@@command@ a@b\n", 0644);
    char template[FILE_PATH_BYTES];
    snprintf(template, sizeof template, "%s", test_inside("template"));
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--dry-run", "--template", template);
    EXPECT(strncmp(r.out, "#PBS -J 1-1\n", 12) == 0 && strstr(r.out, "spec.yaml") &&
               strstr(r.out, " a@b\n"),
           "%s%s", r.out, r.err);
    slurm_scripts_write("template", "nothing\n", 0644);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--dry-run", "--template", template);
    EXPECT(r.status == EXIT_USAGE && strstr(r.err, "@command@"), "%s", r.err);
    slurm_scripts_write("bin/sbatch", "#!/bin/sh\necho no such partition >&2; exit 1\n", 0755);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm");
    EXPECT(r.status == EXIT_FAILED && strstr(r.err, "no such partition"), "%s", r.err);
}

/* --wait watches the folders: here another process trains them meanwhile, be it for more than the
 * minute that a queue without the task is believed after. */
static void waits_for_the_end(void)
{
    if (!test_program()) return;
    slurm_scripts_begin("#!/bin/sh\necho '40_1|RUNNING|None'\n");
    char text[2 * FILE_PATH_BYTES];
    snprintf(text, sizeof text,
             "#!/bin/sh\nSLURM_ARRAY_JOB_ID=40 SLURM_ARRAY_TASK_ID=1 bash $2 >/dev/null 2>&1 & "
             "echo 40\n");
    slurm_scripts_write("bin/sbatch", text, 0755);
    program_result r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--wait");
    EXPECT(r.status == EXIT_DONE && strstr(r.err, "1 of 1 runs done"), "%d %s", r.status, r.err);
}

const test_suite test_launch = {
    "tools/launch",
    {{"places", places},
     {"submits once and tasks do the rest", submits_once_and_tasks_do_the_rest},
     {"comes back while it moves", comes_back_while_it_moves},
     {"status says why it waits", status_says_why_it_waits},
     {"long answers", long_answers},
     {"tasks of other systems are recorded", tasks_of_other_systems_are_recorded},
     {"stops are counted into what is named", stops_are_counted_into_what_is_named},
     {"taken over", taken_over},
     {"misuse", misuse},
     {"waits for the end", waits_for_the_end},
     {0}}};
