/* Loaded into a program under test: see tests/support/faults.h. Every function here stands in for
 * libc's of the same name, which hardened builds would wrap in inline functions of their own. */
#undef _FORTIFY_SOURCE
#include "tests/support/faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static fault_plan *plan; /* NULL: nobody asks for faults */
static int log_fd = -1;

/* libc's own function of that name. */
#define NEXT(name) ((__typeof__(&(name)))(uintptr_t)next_of(#name))

static void *next_of(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f) abort();
    return f;
}

__attribute__((constructor)) static void load_plan(void)
{
    const char *path = getenv(FAULTS_VARIABLE);
    int fd = path ? NEXT(open)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *shared = NEXT(mmap)(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEXT(close)(fd);
    if (shared == MAP_FAILED) return;
    fault_plan *p = shared;
    if (p->log[0]) log_fd = NEXT(open)(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct rlimit files = {(rlim_t)p->files, (rlim_t)p->files};
    if (p->files > 0 && setrlimit(RLIMIT_NOFILE, &files) != 0) abort();
    p->loaded++;
    plan = p;
}

static bool below(const char *path)
{
    size_t n = strlen(plan->folder);
    return path && n > 0 && strncmp(path, plan->folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static const char *path_of(char path[4096], int fd)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4095);
    path[n > 0 ? n : 0] = 0;
    return path;
}

/* Whether this call is one that fails; then errno is set. */
static bool fails(fault_kind kind, const char *call, const char *path)
{
    if (!plan) return false;
    bool counted = plan->kind == kind || (plan->kind == FAULT_KILL && kind == FAULT_WRITE);
    if (!counted || (kind != FAULT_MEMORY && !below(path))) return false;
    int64_t n = ++plan->seen;
    if (plan->at == 0 || (plan->stays ? n < plan->at : n != plan->at)) return false;
    if (n == plan->at) snprintf(plan->failed, sizeof plan->failed, "%s %s", call, path);
    errno = kind == FAULT_MEMORY ? ENOMEM : plan->error;
    return true;
}

/* What the program says goes to files of the tests, which have room. */
static bool fails_at(fault_kind kind, const char *call, int fd)
{
    char path[4096];
    return plan && fd > STDERR_FILENO && plan->kind != FAULT_MEMORY &&
           fails(kind, call, path_of(path, fd));
}

/* -1, or the end of the process. */
static int failed(void)
{
    if (plan->kind == FAULT_KILL) raise(SIGKILL);
    return -1;
}

/* ---- the log ---- */

/* Held around the change and its note, so that their order is one for all processes. */
static void lock_log(void)
{
    int open_now = 0;
    while (log_fd >= 0 && !atomic_compare_exchange_weak(&plan->lock, &open_now, 1)) {
        open_now = 0;
        usleep(50);
    }
}

static void unlock_log(void)
{
    if (log_fd >= 0) plan->lock = 0;
}

static void note(fault_op op, const char *path, const char *other, int64_t offset, const void *data,
                 size_t bytes)
{
    int why = errno;
    if (log_fd < 0 || !below(path)) return;
    fault_entry x = {.op = (int32_t)op,
                     .path_bytes = (int32_t)strlen(path),
                     .other_bytes = (int32_t)strlen(other),
                     .bytes = (int32_t)bytes,
                     .offset = offset};
    struct iovec parts[] = {{&x, sizeof x},
                            {(void *)(uintptr_t)path, (size_t)x.path_bytes},
                            {(void *)(uintptr_t)other, (size_t)x.other_bytes},
                            {(void *)(uintptr_t)data, bytes}};
    if (writev(log_fd, parts, 4) < 0) abort();
    errno = why;
}

static void note_at(fault_op op, int fd, int64_t offset, const void *data, size_t bytes)
{
    char path[4096];
    if (log_fd >= 0) note(op, path_of(path, fd), "", offset, data, bytes);
}

/* ---- files ---- */

static int open_any(const char *path, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (fails(writes ? FAULT_WRITE : FAULT_READ, "open", path)) return failed();
    lock_log();
    bool there = log_fd >= 0 && NEXT(access)(path, F_OK) == 0;
    int fd = NEXT(open)(path, flags, mode);
    if (fd >= 0 && (flags & O_CREAT) && !there) note(OP_CREATE, path, "", 0, "", 0);
    if (fd >= 0 && (flags & O_TRUNC) && there) note(OP_TRUNCATE, path, "", 0, "", 0);
    unlock_log();
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_any(path, flags, mode);
}

#ifdef __GLIBC__
int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_any(path, flags, mode);
}
#endif

/* What a full or killed write leaves: its first half. */
static size_t part_of(size_t bytes)
{
    return plan->kind == FAULT_KILL || plan->stays ? bytes / 2 : 0;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    bool bad = fails_at(FAULT_WRITE, "pwrite", fd);
    size_t n = bad ? part_of(bytes) : bytes;
    if (bad && n == 0) return failed();
    lock_log();
    ssize_t wrote = NEXT(pwrite)(fd, data, n, offset);
    if (wrote > 0) note_at(OP_WRITE, fd, offset, data, (size_t)wrote);
    unlock_log();
    if (bad && plan->kind == FAULT_KILL) return failed();
    return wrote;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    bool bad = fails_at(FAULT_WRITE, "write", fd);
    size_t n = bad ? part_of(bytes) : bytes;
    if (bad && n == 0) return failed();
    lock_log();
    ssize_t wrote = NEXT(write)(fd, data, n);
    if (wrote > 0 && log_fd >= 0)
        note_at(OP_WRITE, fd, lseek(fd, 0, SEEK_CUR) - wrote, data, (size_t)wrote);
    unlock_log();
    if (bad && plan->kind == FAULT_KILL) return failed();
    return wrote;
}

int ftruncate(int fd, off_t length)
{
    if (fails_at(FAULT_WRITE, "ftruncate", fd)) return failed();
    lock_log();
    int r = NEXT(ftruncate)(fd, length);
    if (r == 0) note_at(OP_TRUNCATE, fd, length, "", 0);
    unlock_log();
    return r;
}

static int sync_any(int fd, int (*sync)(int), const char *call)
{
    if (fails_at(FAULT_WRITE, call, fd)) return failed();
    lock_log();
    /* Not done where tests look: no power is cut, and what would survive is decided by the log. */
    int r = plan ? 0 : sync(fd);
    if (r == 0) note_at(OP_SYNC, fd, 0, "", 0);
    unlock_log();
    return r;
}

int fsync(int fd)
{
    return sync_any(fd, NEXT(fsync), "fsync");
}

int fdatasync(int fd)
{
    return sync_any(fd, NEXT(fdatasync), "fdatasync");
}

/* Network file systems tell of a full disk only here. */
int close(int fd)
{
    int flags = plan && plan->kind != FAULT_NONE ? fcntl(fd, F_GETFL) : O_RDONLY;
    bool writes = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    bool bad = writes && fails_at(FAULT_WRITE, "close", fd);
    int why = errno, r = NEXT(close)(fd);
    if (!bad) return r;
    errno = why;
    return failed();
}

int rename(const char *from, const char *to)
{
    if (fails(FAULT_WRITE, "rename", to)) return failed();
    lock_log();
    int r = NEXT(rename)(from, to);
    if (r == 0) note(OP_RENAME, from, to, 0, "", 0);
    unlock_log();
    return r;
}

/* Removing takes no room. */
static bool cannot_remove(const char *call, const char *path)
{
    return plan && plan->error != ENOSPC && fails(FAULT_WRITE, call, path);
}

int unlink(const char *path)
{
    if (cannot_remove("unlink", path)) return failed();
    lock_log();
    int r = NEXT(unlink)(path);
    if (r == 0) note(OP_REMOVE, path, "", 0, "", 0);
    unlock_log();
    return r;
}

int rmdir(const char *path)
{
    if (cannot_remove("rmdir", path)) return failed();
    lock_log();
    int r = NEXT(rmdir)(path);
    if (r == 0) note(OP_REMOVE, path, "", 0, "", 0);
    unlock_log();
    return r;
}

int mkdir(const char *path, mode_t mode)
{
    /* Of a folder that is there, the disk is not asked. */
    bool there = plan && NEXT(access)(path, F_OK) == 0;
    if (!there && fails(FAULT_WRITE, "mkdir", path)) return failed();
    lock_log();
    int r = NEXT(mkdir)(path, mode);
    if (r == 0) note(OP_MKDIR, path, "", 0, "", 0);
    unlock_log();
    return r;
}

ssize_t read(int fd, void *data, size_t bytes)
{
    return fails_at(FAULT_READ, "read", fd) ? failed() : NEXT(read)(fd, data, bytes);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    return fails_at(FAULT_READ, "pread", fd) ? failed() : NEXT(pread)(fd, data, bytes, offset);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    bool bad =
        flags & MAP_ANONYMOUS ? fails(FAULT_MEMORY, "mmap", "") : fails_at(FAULT_READ, "mmap", fd);
    return bad ? MAP_FAILED : NEXT(mmap)(at, bytes, protection, flags, fd, offset);
}

DIR *opendir(const char *path)
{
    return fails(FAULT_READ, "opendir", path) ? NULL : NEXT(opendir)(path);
}

struct dirent *readdir(DIR *d)
{
    return fails_at(FAULT_READ, "readdir", dirfd(d)) ? NULL : NEXT(readdir)(d);
}

int fstat(int fd, struct stat *s)
{
    return fails_at(FAULT_READ, "fstat", fd) ? failed() : NEXT(fstat)(fd, s);
}

int stat(const char *restrict path, struct stat *restrict s)
{
    return fails(FAULT_READ, "stat", path) ? failed() : NEXT(stat)(path, s);
}

int access(const char *path, int how)
{
    return fails(FAULT_READ, "access", path) ? failed() : NEXT(access)(path, how);
}

#ifdef __GLIBC__ /* others have these names in their headers */
/* Of files of more than 2 GiB on machines of 32 bits; elsewhere the same. */
_Static_assert(sizeof(off_t) == 8, "offsets have 64 bits");
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset)
    __attribute__((alias("pwrite")));
ssize_t pread64(int fd, void *data, size_t bytes, off_t offset) __attribute__((alias("pread")));
int ftruncate64(int fd, off_t length) __attribute__((alias("ftruncate")));
void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));
int fstat64(int fd, struct stat64 *s) __attribute__((alias("fstat")));
int stat64(const char *restrict path, struct stat64 *restrict s) __attribute__((alias("stat")));
#endif

/* ---- the wall clock ---- */

static int64_t jump(void)
{
    if (!plan || plan->clock_jump_s == 0) return 0;
    return ++plan->looks % 2 ? plan->clock_jump_s : -plan->clock_jump_s;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    int r = NEXT(clock_gettime)(which, t);
    if (which == CLOCK_REALTIME) t->tv_sec += jump();
    return r;
}

time_t time(time_t *t)
{
    time_t now = NEXT(time)(NULL) + jump();
    if (t) *t = now;
    return now;
}

/* ---- memory ---- */

#ifndef WITHOUT_MEMORY /* a sanitizer has an allocator of its own */

/* glibc's, by their own names: dlsym may allocate itself. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *at, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

void *malloc(size_t bytes)
{
    return fails(FAULT_MEMORY, "malloc", "") ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails(FAULT_MEMORY, "calloc", "") ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *at, size_t bytes)
{
    return fails(FAULT_MEMORY, "realloc", "") ? NULL : __libc_realloc(at, bytes);
}

int posix_memalign(void **at, size_t align, size_t bytes)
{
    void *m = fails(FAULT_MEMORY, "posix_memalign", "") ? NULL : __libc_memalign(align, bytes);
    if (m) *at = m;
    return m ? 0 : ENOMEM;
}

#endif
