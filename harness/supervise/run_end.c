#include "harness/supervise/run_end.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/cgroup.h"
#include "core/base/file.h"
#include "core/base/host.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"

/* A worker says itself how its run ended (worker.c's end_run). This is for those that could not:
 * killed, crashed, out of memory, or on a disk without room for a status. What is decided here is
 * whether the same command will go on with the run by itself (interrupted) or only when a retry is
 * asked for (failed):
 *
 *   killed from outside      interrupted: nothing speaks against going on
 *   crashed, out of memory   failed: it would come again
 *
 * SIGKILL is ambiguous: a person, the batch system or the kernel's killer for want of memory. The
 * control group's count of such kills is what tells them apart, and it cannot say whose process it
 * was: of two workers that are reaped together after one kill, the first by SIGKILL is taken for
 * it. */

/* The last line of log.txt: a worker's last words. */
static void last_words(char *text, size_t size, const char *folder)
{
    char path[FILE_PATH_BYTES], tail[512];
    text[0] = 0;
    if (!file_join(path, folder, "log.txt", NULL)) return;
    int fd = file_open(path, NULL, NULL);
    if (fd < 0) return;
    off_t end = lseek(fd, 0, SEEK_END);
    /* The tail is enough: a log may have grown for weeks. */
    off_t begin = MAX(end - (off_t)sizeof tail + 1, (off_t)0);
    ssize_t n = pread(fd, tail, sizeof tail - 1, begin);
    close(fd);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' ')) {
        n--;
    }
    if (n <= 0) return;
    tail[n] = 0;
    const char *line = strrchr(tail, '\n');
    snprintf(text, size, "%s", line ? line + 1 : tail);
}

/* Where not even the log could be written: the likely reason. What failed to be written was removed
 * again, so some room is left. */
static void words_of_full_disk(char *text, size_t size, const char *folder)
{
    struct statvfs disk;
    if (text[0] || statvfs(folder, &disk) != 0) return;
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    /* A file system without a count of inodes (f_files 0) cannot run out of them. */
    if (room >= 1 << 20 && (disk.f_favail > 0 || disk.f_files == 0)) return;
    snprintf(text, size, "the disk is full (%.400s: %.0f kB left)", folder, room / 1000);
}

/* A worker that could not say itself why it ended; unread: why its status cannot be read. Being
 * killed from outside is an interruption: the same command continues the run. A crash would come
 * again, and so would a lack of memory. */
static void describe_death(run_status *status, const char *folder, int wait_status, bool no_memory,
                           const char *unread)
{
    char words[512], how[128];
    last_words(words, sizeof words, folder);
    words_of_full_disk(words, sizeof words, folder);
    if (!words[0]) snprintf(words, sizeof words, "%s", unread);
    int number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    if (number) {
        snprintf(how, sizeof how, "killed by signal %d (%s)", number, strsignal(number));
    } else {
        snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(wait_status));
    }
    /* A crash is any other signal (SIGSEGV, SIGABRT, SIGBUS). */
    bool outside = number == SIGKILL || number == SIGTERM || number == SIGINT || number == SIGHUP;
    no_memory = (no_memory && number == SIGKILL) ||
                (!outside && (strstr(words, "out of memory") || strstr(words, "no memory")));
    status->state = outside && !no_memory ? RUN_INTERRUPTED : RUN_FAILED;
    status->kind = no_memory ? KIND_MEMORY : number ? KIND_SIGNAL : KIND_OTHER;
    status->ended_at = host_wall_s();
    const char *hint = no_memory && number == SIGKILL ? "; memory ran out, use fewer --jobs" : "";
    snprintf(status->reason, sizeof status->reason, "%s%s%s%s", how, hint, words[0] ? ": " : "",
             words);
}

static void describe_timeout(run_status *status)
{
    status->state = RUN_FAILED;
    status->kind = KIND_TIMEOUT;
    snprintf(status->reason, sizeof status->reason,
             "took longer than --timeout allows, stopped at step %lld of %lld; its state is saved, "
             "--retry failed goes on",
             (long long)status->step, (long long)status->steps);
}

/* Whether the kernel is known to have killed one of our group since *kills was read; reads it
 * again. */
static bool memory_ran_out(int64_t *kills)
{
    int64_t before = *kills;
    *kills = cgroup_oom_kills("");
    return *kills != CGROUP_KILLS_UNKNOWN && *kills > before;
}

/* Who tells the truth: a status that fits the exit status was written by this worker, and stands.
 * Otherwise the process died without a word, and its death is described, unless another process has
 * the folder by now: then the status is that one's, and nothing is written into it; nor is where it
 * cannot be read, for it may say that all is done. */
run_status run_end(const char *folder, int wait_status, bool timed_out, int64_t *kills)
{
    run_status status;
    err unread = {0};
    bool no_memory = memory_ran_out(kills);
    bool read = run_status_read(&status, folder, &unread);
    if (!read) status = (run_status){.loss = (double)NAN};
    int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    /* The file's state alone is not enough: `interrupted` may stand there from the time before. */
    bool told =
        status.state == RUN_DONE || (code == EXIT_INTERRUPTED && status.state == RUN_INTERRUPTED) ||
        (code == EXIT_FAILED && (status.state == RUN_FAILED || status.state == RUN_DIVERGED));
    /* Another worker has the folder, or had it when this one came: its run, its status. */
    if (!told && (code == EXIT_BUSY || run_folder_locked(folder))) {
        status.state = RUN_RUNNING;
        return status;
    }
    if (!told) describe_death(&status, folder, wait_status, no_memory, read ? "" : unread.text);
    bool late = timed_out && status.state == RUN_INTERRUPTED;
    if (late) describe_timeout(&status);
    /* Written for others, and for the next sitting: the database shows it, --retry asks for it. */
    if (read && (!told || late) && !run_status_write_free(&status, folder)) {
        status.state = RUN_RUNNING;
    }
    return status;
}

run_status run_end_evaluation(const char *folder, int wait_status, bool timed_out, int64_t *kills)
{
    run_status status;
    err unread = {0};
    char why[sizeof status.reason];
    bool no_memory = memory_ran_out(kills);
    int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    bool read = run_status_read(&status, folder, &unread);
    if (!read) status = (run_status){.loss = (double)NAN};
    /* The evaluation came to an end, and showed a model that is worth nothing. */
    if (code == EXIT_FAILED && status.state == RUN_DIVERGED) return status;
    /* RUN_RUNNING, of EXIT_BUSY: another process evaluates it. */
    status.state = code == EXIT_DONE ? RUN_DONE : RUN_RUNNING;
    if (code == EXIT_DONE || code == EXIT_BUSY) return status;
    describe_death(&status, folder, wait_status, no_memory, read ? "" : unread.text);
    snprintf(why, sizeof why, "its evaluation: %.1000s", status.reason);
    if (code == EXIT_INTERRUPTED) {
        status.state = RUN_INTERRUPTED;
        status.kind = KIND_SIGNAL;
        snprintf(why, sizeof why, "its evaluation was stopped by a signal");
    }
    if (timed_out && status.state == RUN_INTERRUPTED) {
        status.state = RUN_FAILED;
        status.kind = KIND_TIMEOUT;
        snprintf(why, sizeof why, "its evaluation took longer than --timeout allows");
    }
    memcpy(status.reason, why, sizeof why);
    return status;
}
