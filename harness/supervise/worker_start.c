#include "harness/supervise/worker_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/supervise/continue_longer.h"
#include "results/store/run_damage.h"

/* A worker is a process of its own, not a thread and not a bare fork: a run that crashes or is
 * killed for want of memory takes nothing with it, its peak of memory is its own, and OpenBLAS,
 * which hangs in a child that was forked after it was used, is fresh. It learns everything from its
 * folder's plan.json.
 *
 * The folder's lock is taken twice: here while the plan is written, and by the worker. In between
 * it is free, and another supervisor's worker may come first; ours then ends with EXIT_BUSY, and
 * its job goes back into the queue. */

/* Between fork and exec. */
static _Noreturn void become_worker(const char *folder, const worker_call *c, int log, pid_t parent)
{
    const char *program = c->program ? c->program : "/proc/self/exe";
    char *const argv[] = {(char *)(uintptr_t) "loci", (char *)(uintptr_t) "worker",
                          (char *)(uintptr_t)folder, NULL};
    /* The supervisor may have died before this call took effect; then the parent is another one
     * already. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(EXIT_INTERRUPTED);
    /* A worker that read the terminal would stop in the background. */
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    /* Threads are ours (lanes); the library's own would be threads times threads. */
    setenv("OMP_NUM_THREADS", "1", 1);
    if (c->blas_core) setenv("OPENBLAS_CORETYPE", c->blas_core, 1);
    sigset_t none;
    /* The supervisor blocks what it waits for, and a mask outlives exec. */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(program, argv);
    /* Last words in log.txt, where run_end finds them. */
    dprintf(STDERR_FILENO, "%s: cannot be started: %s\n", program, strerror(errno));
    _exit(EXIT_FAILED);
}

int worker_start_plan(const char *folder, const run_plan *plan, const worker_call *c, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(folder, e) || !file_join(path, folder, "log.txt", e))
        return WORKER_UNPLANNED;
    /* Held while the plan is written, so that no two supervisors write it at once. */
    int lock = run_folder_lock(folder, e);
    if (lock < 0) return lock == RUN_FOLDER_BUSY ? WORKER_BUSY : WORKER_UNPLANNED;
    bool planned = run_damage_of_its_name(folder, e) &&
                   run_record_plan_write(folder, plan, c->places, c->command, c->threads, e);
    /* With the plan, under the same lock: a checkpoint of a shorter run must not come into a folder
     * that somebody has begun to train in. */
    if (planned && c->beginning)
        planned = continue_longer_begin(folder, plan, c->out, c->beginning, e);
    close(lock);
    if (!planned) return WORKER_UNPLANNED;
    int log = file_open_own(path, O_WRONLY | O_APPEND, e);
    return log >= 0 ? log : WORKER_UNPLANNED;
}

pid_t worker_start(const char *folder, const run_plan *plan, const worker_call *c, err *e)
{
    int log = worker_start_plan(folder, plan, c, e);
    if (log < 0) return log == WORKER_BUSY ? WORKER_BUSY : 0;
    pid_t parent = getpid();
    /* What is still in buffers would be written twice. */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) become_worker(folder, c, log, parent);
    close(log);
    if (child > 0) return child;
    return err_set(e, "a process for %s cannot be made: %s", plan->label, strerror(errno)), 0;
}
