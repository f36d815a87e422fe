#include "data/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program beside us, with pipes to and from it. Writing and reading at the same time by one
 * thread would stand still as soon as both pipes are full, so a thread of its own feeds. What the
 * program says to its standard error goes into memory, not to the user: it is only shown, its last
 * lines, where it fails.
 *
 * posix_spawn rather than fork: this process may have threads and gigabytes of memory, and fork
 * copies its page tables and leaves locks of other threads held in the child.
 *
 * Order at the end: output until its end, then the exit status, then the feeder. A program that
 * stops reading makes the feeder's write fail, so it cannot be waited for in vain. */

extern char **environ;

enum { PIPE_BYTES = 1 << 16, ERROR_BYTES = 2048 };

typedef struct feeder {
    const process *p;
    int fd;
    bool ok;
    err e;
} feeder;

/* Writes until the end, an error, or until the program closes its input (EPIPE: its own exit status
 * then tells why). */
static void *feed_input(void *user)
{
    feeder *f = user;
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE); /* is sent to the writing thread, so blocking it here is enough */
    pthread_sigmask(SIG_BLOCK, &broken, NULL);
    char chunk[PIPE_BYTES];
    for (;;) {
        int64_t n = f->p->feed(f->p->user, chunk, PIPE_BYTES, &f->e);
        /* Only our own source of data can fail here; a program that went away is explained by its
         * exit status. */
        f->ok = n >= 0;
        if (n <= 0) break;
        int64_t done = 0;
        while (done < n) {
            ssize_t wrote = write(f->fd, chunk + done, (size_t)(n - done));
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) break;
            done += wrote;
        }
        if (done < n) break;
    }
    close(f->fd);
    return NULL;
}

static bool take_output(const process *p, int fd, err *e)
{
    char chunk[PIPE_BYTES];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return err_set(e, "%s: its output cannot be read: %s", p->argv[0], strerror(errno));
        if (n == 0) return true;
        /* Without a taker it is read all the same: a full pipe would stop the program. */
        if (p->take && !p->take(p->user, chunk, n, e)) return false;
    }
}

/* The last two lines of what a program wrote to its standard error, as one: the last alone is often
 * only a farewell. */
static void last_lines(char out[ERROR_BYTES], int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    /* A program may have written megabytes of warnings. */
    off_t from = size > ERROR_BYTES - 1 ? size - (ERROR_BYTES - 1) : 0;
    ssize_t n = size > 0 ? pread(fd, out, ERROR_BYTES - 1, from) : 0;
    out[MAX(n, 0)] = 0;
    size_t length = strlen(out);
    while (length && strchr(" \t\r\n", out[length - 1])) {
        out[--length] = 0;
    }
    char *last = strrchr(out, '\n');
    if (!last) return;
    *last = ' ';
    const char *before = strrchr(out, '\n');
    if (before) memmove(out, before + 1, strlen(before + 1) + 1);
}

/* Starts the program on the given descriptors; returns 0 or the error number. */
static int start(pid_t *pid, const process *p, int in, int out, int errors)
{
    /* dup2 in the child clears close-on-exec on the three; the pipes' own ends have it and are
     * closed. */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    char *argv[64];
    int n = 0;
    for (; p->argv[n]; n++) {
        CHECK(n < 63, "too many arguments for %s", p->argv[0]);
        memcpy(&argv[n], &p->argv[n], sizeof argv[n]); /* spawn only reads them; drops the const */
    }
    argv[n] = NULL;
    CHECK(n > 0, "no program is named");
    /* Looked for along PATH, as a shell would. */
    int failed = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static bool missing(const process *p, err *e)
{
    return err_set(e, "the program %s is not installed; run apt-get install %s", p->argv[0],
                   p->package);
}

static bool explain(const process *p, int status, int errors, err *e)
{
    char line[ERROR_BYTES];
    last_lines(line, errors);
    if (WIFSIGNALED(status)) {
        return err_set(e, "%s was killed by signal %d: %s", p->argv[0], WTERMSIG(status), line);
    }
    /* POSIX allows posix_spawn to call a program started that is not there; the child then ends
     * with this status, as under an emulator. One that ran would have said why it failed. */
    if (WEXITSTATUS(status) == 127 && !line[0]) return missing(p, e);
    return err_set(e, "%s failed with exit status %d: %s", p->argv[0], WEXITSTATUS(status), line);
}

/* With the program running: feeds, takes, waits. in: where to write; out: where to read. */
static bool converse(const process *p, pid_t pid, int in, int out, int errors, err *e)
{
    feeder f = {.p = p, .fd = in, .ok = true};
    pthread_t thread;
    bool feeding = p->feed && pthread_create(&thread, NULL, feed_input, &f) == 0;
    if (!feeding) close(in);
    bool taken = take_output(p, out, e);
    close(out); /* a program that still writes ends by SIGPIPE */
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (feeding) pthread_join(thread, NULL);
    if (p->feed && !feeding) return err_set(e, "%s: no thread to feed it", p->argv[0]);
    /* Our own reason comes before that of the program, which was only cut off by it. */
    if (!taken) return false;
    if (!f.ok) return err_copy(e, &f.e);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || explain(p, status, errors, e);
}

bool process_run(const process *p, err *e)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    /* A pipe here would need a third thread, or stop a program that complains a lot. */
    int errors = memfd_create("stderr", MFD_CLOEXEC);
    bool piped = errors >= 0 && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0;
    pid_t pid = 0;
    int failed = piped ? start(&pid, p, in[0], out[1], errors) : errno;
    /* The child has its own copies. With ours open the output would never end. */
    if (in[0] >= 0) close(in[0]);
    if (out[1] >= 0) close(out[1]);
    bool ok;
    if (failed) {
        if (in[1] >= 0) close(in[1]);
        if (out[0] >= 0) close(out[0]);
        ok = failed == ENOENT
                 ? missing(p, e)
                 : err_set(e, "%s cannot be started: %s", p->argv[0], strerror(failed));
    } else {
        ok = converse(p, pid, in[1], out[0], errors, e);
    }
    if (errors >= 0) close(errors);
    return ok;
}
