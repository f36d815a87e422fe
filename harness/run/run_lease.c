#include "harness/run/run_lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"

enum { LINE_BYTES = 160 };

/* How a lease works. The lock (flock) says who may work in the folder; the line in the lock file
 * says who does, and the growing beat that it lives. Three parties look at the line:
 *
 *   the worker   a thread of its own rewrites it every RUN_LEASE_BEAT_S seconds. Training cannot do
 *                it: one step, one evaluation or one checkpoint may take minutes
 *   a writer     asks hold() before each write into the folder; only then is the age of the beat
 *                looked at
 *   others       read it without the lock (holder_watch.h) and compare two beats over their own
 *                clock
 *
 * What a mount without locks makes possible is that two workers write "their" line into one file.
 * The one that wrote last stands there; the other finds a stranger's line at its next beat, and
 * ends. So the line is read back before each beat but the first: a blind write would hide from both
 * that there are two.
 *
 * Once lost, a lease is never had again: between losing and regaining it another worker may have
 * taken checkpoint and records further, and what this process holds in memory is the past. */

struct run_lease {
    int lock;
    char folder[FILE_PATH_BYTES];
    run_holder own;
    pthread_t thread;
    pthread_mutex_t mutex; /* of everything below, and of the file's content */
    pthread_cond_t changed;
    double renewed; /* monotonic: when the disk had the last beat */
    bool ending;
    err lost; /* text is empty as long as the lease can be renewed */
};

/* Goes on while the process is stopped or the machine sleeps: others count that time, too. */
static double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the line ---- */

/* What tells this machine from another one of its name, of the number that its system was given
 * when it was installed, which itself is nobody's business; without one of the kernel's, which
 * changes when it starts again. "": there is neither. */
static void read_machine(char machine[RUN_MARK_MACHINE + 1])
{
    static const char *const FILES[] = {"/etc/machine-id", "/proc/sys/kernel/random/boot_id"};
    char id[64], hex[SHA256_HEX];
    machine[0] = 0;
    for (int i = 0; i < 2 && !machine[0]; i++) {
        int fd = open(FILES[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id);
        if (fd >= 0) close(fd);
        if (n < 32) continue;
        sha256_hex(hex, id, (size_t)n);
        snprintf(machine, RUN_MARK_MACHINE + 1, "%.*s", RUN_MARK_MACHINE, hex);
    }
}

/* Host, job and process in one: a number of a process means nothing on another machine, and is
 * given to another process after a while on its own. */
static void own_holder(run_holder *h)
{
    host_info here;
    char machine[RUN_MARK_MACHINE + 1];
    uint32_t lease;
    host_describe(&here);
    read_machine(machine);
    /* Without the kernel's numbers the time of day: two leases of one moment are rare enough. */
    if (getrandom(&lease, sizeof lease, GRND_NONBLOCK) != (ssize_t)sizeof lease)
        lease = (uint32_t)(host_wall_s() * 1e6);
    *h = (run_holder){.pid = getpid()};
    snprintf(h->host, sizeof h->host, "%.63s", here.name);
    snprintf(h->job, sizeof h->job, "%s", here.job);
    snprintf(h->mark, sizeof h->mark, "%s-%08x", machine, lease);
}

/* A line that is half written, or a stranger's file, names nobody; it is no error, for the lock
 * decides on one machine, and a lock file is empty for a moment whenever somebody has just taken
 * it. */
static bool parse_line(run_holder *h, const char *line)
{
    long long pid, beat;
    *h = (run_holder){0};
    if (sscanf(line, "%63s %lld %31s %lld %19s", h->host, &pid, h->job, &beat, h->mark) < 4) {
        *h = (run_holder){0};
        return false;
    }
    h->pid = pid;
    h->beat = beat;
    if (strcmp(h->job, "-") == 0) h->job[0] = 0;
    return true;
}

/* By pread from the beginning: the descriptor's own place in the file is not touched. */
static bool read_line(run_holder *h, int fd)
{
    char line[LINE_BYTES];
    ssize_t n = pread(fd, line, sizeof line - 1, 0);
    line[MAX(n, (ssize_t)0)] = 0;
    return parse_line(h, line);
}

/* Opens and closes a descriptor of its own. That is safe with flock, whose locks belong to the open
 * file; fcntl's would be given up by any close of the file in the process. */
bool run_lease_holder(run_holder *h, const char *folder)
{
    char path[FILE_PATH_BYTES];
    *h = (run_holder){0};
    if (!file_join(path, folder, "lock", NULL)) return false;
    int fd = file_open(path, NULL, NULL);
    if (fd < 0) return false;
    bool named = read_line(h, fd);
    close(fd);
    return named;
}

bool run_lease_same(const run_holder *a, const run_holder *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->job, b->job) == 0 && a->pid == b->pid &&
           strcmp(a->mark, b->mark) == 0;
}

bool run_lease_here(const run_holder *h)
{
    char own[64] = "", machine[RUN_MARK_MACHINE + 1];
    if (gethostname(own, sizeof own - 1) != 0 || strcmp(h->host, own) != 0) return false;
    read_machine(machine);
    bool known = machine[0] && h->mark[0] && h->mark[0] != '-';
    return !known || strncmp(h->mark, machine, RUN_MARK_MACHINE) == 0;
}

void run_lease_text(char text[RUN_HOLDER_BYTES], const run_holder *h)
{
    int n = snprintf(text, RUN_HOLDER_BYTES, "process %lld", (long long)h->pid);
    if (h->host[0] && !run_lease_here(h))
        n += snprintf(text + n, (size_t)(RUN_HOLDER_BYTES - n), " on %s", h->host);
    if (h->job[0]) snprintf(text + n, (size_t)(RUN_HOLDER_BYTES - n), ", job %s", h->job);
}

/* ---- renewing; the mutex is held ---- */

static bool write_line(run_lease *l)
{
    char line[LINE_BYTES];
    const run_holder *h = &l->own;
    /* One length for ever, so that no end of an older line stays behind a shorter one. */
    int n = snprintf(line, sizeof line, "%s %lld %s %012lld %s\n", h->host, (long long)h->pid,
                     h->job[0] ? h->job : "-", (long long)h->beat, h->mark);
    /* One write in place, never truncate and write: a reader in between would see a folder that is
     * nobody's. */
    ssize_t wrote = pwrite(l->lock, line, (size_t)n, 0);
    if (wrote >= 0 && wrote < n) errno = ENOSPC; /* what a write that came short means */
    return wrote == n && fdatasync(l->lock) == 0;
}

/* The first reason stands, and every later question is answered with it. */
static bool lose(run_lease *l, const char *why)
{
    err_set(&l->lost,
            "%s: %s; nothing more is written here, the same command goes on from the checkpoint",
            l->folder, why);
    return false;
}

/* Whether the file is still the folder's, and the line in it this process's. No link to the file
 * any more: somebody removed it to make a lock that can be had (--take-over). */
static bool check_own(run_lease *l)
{
    run_holder now;
    struct stat file;
    char who[RUN_HOLDER_BYTES], why[RUN_HOLDER_BYTES + 128];
    if (fstat(l->lock, &file) == 0 && file.st_nlink == 0) return lose(l, "it was taken over");
    if (read_line(&now, l->lock) && run_lease_same(&now, &l->own)) return true;
    run_lease_text(who, &now);
    snprintf(why, sizeof why,
             "%s works on it, though it is locked: this mount does not lock across machines",
             now.host[0] ? who : "another process");
    return lose(l, why);
}

static bool renew(run_lease *l)
{
    char why[160];
    if (l->lost.text[0] || (l->own.beat > 0 && !check_own(l))) return false;
    /* The age counts from before the write: one that hung in the network for half a minute leaves a
     * beat that is already half a minute old for everybody else. */
    double begun = clock_s();
    l->own.beat++;
    if (!write_line(l)) {
        snprintf(why, sizeof why, "the lock file cannot be written: %s", strerror(errno));
        return lose(l, why);
    }
    l->renewed = begun;
    return true;
}

/* The mutex is held while it writes, so whoever asks hold() meanwhile waits for the disk, too, and
 * does not write into a folder whose beat hangs. Spurious wake-ups begin a full pause anew, which
 * is harmless: hold() renews what is too old. */
static void *renew_for_ever(void *user)
{
    run_lease *l = user;
    pthread_mutex_lock(&l->mutex);
    while (!l->ending && !l->lost.text[0]) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)RUN_LEASE_BEAT_S;
        int woken = pthread_cond_timedwait(&l->changed, &l->mutex, &until);
        if (woken == ETIMEDOUT && !l->ending) renew(l);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- a lease ---- */

static bool start_thread(run_lease *l)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return pthread_create(&l->thread, NULL, renew_for_ever, l) == 0;
}

run_lease *run_lease_begin(int lock, const char *folder, err *e)
{
    run_lease *l = calloc(1, sizeof *l);
    CHECK(l, "out of memory for a lease");
    l->lock = lock;
    snprintf(l->folder, sizeof l->folder, "%s", folder);
    own_holder(&l->own);
    /* The line of the last holder goes first. It may be longer than this one, and it may be this
     * very host, process and job, of a life before. */
    bool written = ftruncate(lock, 0) == 0 && renew(l);
    if (written && start_thread(l)) return l;
    if (written) {
        err_set(e, "%s: no thread for the lease", folder);
    } else {
        file_failed(e, folder, "the lock file cannot be written");
    }
    free(l);
    return NULL;
}

/* Between two beats, too: where locks are none two may have begun at once, and the one whose line
 * is overwritten must not write for the rest of a beat. A line that cannot be read says nothing;
 * the next beat does. */
static bool check_between(run_lease *l)
{
    run_holder now;
    return !read_line(&now, l->lock) || run_lease_same(&now, &l->own) || check_own(l);
}

/* Renews a lease older than `age`. */
static bool hold(run_lease *l, double age, err *e)
{
    pthread_mutex_lock(&l->mutex);
    /* A process that was stopped, or whose machine slept, comes back with an old beat, and looks at
     * the file before it writes anything: somebody may have taken the folder over. */
    bool old = clock_s() - l->renewed > age;
    bool holds = !l->lost.text[0] && (old ? renew(l) : check_between(l));
    if (!holds) err_copy(e, &l->lost);
    pthread_mutex_unlock(&l->mutex);
    return holds;
}

bool run_lease_holds(run_lease *l, err *e)
{
    return hold(l, RUN_LEASE_S / 2, e);
}

bool run_lease_renew(run_lease *l, err *e)
{
    return hold(l, -1, e);
}

void run_lease_end(run_lease *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->mutex);
    l->ending = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    run_holder now;
    bool own = !l->lost.text[0] && read_line(&now, l->lock) && run_lease_same(&now, &l->own);
    /* The line is gone before the lock is: whoever takes it next sees a folder that is nobody's. */
    bool gone = own && ftruncate(l->lock, 0) == 0;
    (void)gone; /* a line that stays is looked at for a while, and then taken over */
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}
