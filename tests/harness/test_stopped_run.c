/* A run that is stopped has saved itself, whether it was asked to or its supervisor died. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "tests/support/corpora.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* `loci run` on a run of many steps, once that is going on: its process and its folder. */
static pid_t start_long_run(char folder[FILE_PATH_BYTES])
{
    const char *program = test_program();
    char spec_path[FILE_PATH_BYTES], runs[FILE_PATH_BYTES];
    if (!program) return 0;
    corpora_write("sweep.yaml", TRIAL_SPEC, -1);
    file_join(spec_path, test_folder(), "sweep.yaml", NULL);
    file_join(runs, test_folder(), "runs", NULL);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        setenv("OMP_NUM_THREADS", "1", 1);
        signal(SIGINT, SIG_DFL); /* ignored where the tests run in the background (nohup) */
        signal(SIGHUP, SIG_DFL);
        execl(program, "loci", "run", spec_path, "--out", test_folder(), "--set",
              "train.budget.steps=200000", "--set", "train.checkpoint_seconds=1000", (char *)NULL);
        _exit(99);
    }
    arena *a = arena_new(1 << 14);
    const char *const *names;
    int64_t count = 0;
    run_status s = {0};
    for (int i = 0; i < 200 && (s.state != RUN_RUNNING || s.step == 0); i++) {
        sleep_ms(50);
        if (file_list(runs, a, &names, &count, NULL) && count == 1 &&
            file_join(folder, runs, names[0], NULL)) {
            run_status_read(&s, folder, NULL);
        }
    }
    EXPECT(s.state == RUN_RUNNING && s.step > 0, "%s", run_status_state_name(s.state));
    arena_free(a);
    return pid;
}

/* The run has saved itself and says why it stopped. */
static void expect_saved(const char *folder)
{
    char path[FILE_PATH_BYTES];
    run_status s = {0};
    err e = {0};
    for (int i = 0; i < 200 && run_folder_locked(folder); i++) {
        sleep_ms(50);
    }
    EXPECT(run_status_read(&s, folder, &e) && s.state == RUN_INTERRUPTED && s.step > 0, "%s: %s",
           run_status_state_name(s.state), s.reason);
    EXPECT(strstr(s.reason, "signal"), "%s", s.reason);
    file_join(path, folder, "checkpoint/manifest.json", NULL);
    EXPECT(file_exists(path), "no checkpoint: %s", path);
}

/* The supervisor is killed: its worker notices, saves and stops; the same command goes on. */
static void worker_survives_its_supervisor_only_briefly(void)
{
    char folder[FILE_PATH_BYTES] = "";
    pid_t pid = start_long_run(folder);
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    expect_saved(folder);
}

/* Asked to stop, runs save their state first, and the status says that the same command goes on. */
static void signals_save_first(void)
{
    static const int asked[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) {
        char folder[FILE_PATH_BYTES] = "";
        int status = 0;
        pid_t pid = start_long_run(folder);
        if (pid <= 0) return;
        /* Again and again, as timeout, make and schedulers do, up to the last moment of its life.
         */
        for (int n = 0; n < 200000 && waitpid(pid, &status, WNOHANG) == 0; n++) {
            if (n < 12000) kill(pid, asked[i]); /* later it would be asked to stop at once */
            usleep(100);
        }
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_INTERRUPTED, "signal %d: status %d",
               asked[i], status);
        expect_saved(folder);
    }
}

const test_suite test_stopped_run = {
    "harness/stopped_run",
    {{"worker_survives_its_supervisor_only_briefly", worker_survives_its_supervisor_only_briefly},
     {"signals_save_first", signals_save_first},
     SUITE_WAITS}};
