/* This runs out of .preinit_array, before every constructor, in a process that is half started: the
 * dynamic loader is done, the C library's streams and malloc may not be. So there is no printf, no
 * setenv (which allocates) and no environ, but the three arguments that the loader hands over,
 * memory from the stack, and execve. */
#include "tools/start.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* One thread's buffers with the program and its libraries took 185 MiB of address space (OpenBLAS
 * 0.3.21, its kernels for AVX-512). */
#define LEAST_ADDRESS_SPACE ((rlim_t)256 << 20)

/* What OpenMP reads, and OpenBLAS built with threads of its own. */
static char ONE_OMP_THREAD[] = "OMP_NUM_THREADS=1", ONE_BLAS_THREAD[] = "OPENBLAS_NUM_THREADS=1";

/* Of small blocks that are given back a thread keeps so many of each size for itself. glibc's 7 are
 * too few for trees of JSON, of which thousands of blocks live at a time: where results are brought
 * in, a fifth of the processors' time went into joining blocks and splitting them again. glibc
 * reads it as the program starts. */
static char MORE_KEPT_BLOCKS[] = "GLIBC_TUNABLES=glibc.malloc.tcache_count=2000";

/* Sanitizers have not begun yet when this runs. */
#define BEFORE_SANITIZERS __attribute__((no_sanitize("address", "undefined", "thread")))

/* _exit: handlers of exit are not set up yet. */
BEFORE_SANITIZERS static void leave(const char *line)
{
    ssize_t ignored = write(STDERR_FILENO, line, strlen(line));
    (void)ignored;
    _exit(1);
}

BEFORE_SANITIZERS static void check_address_space(void)
{
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return;
    /* Below it OpenBLAS would ask again and again for a buffer that it cannot have: a program that
     * hangs without a word. */
    if (space.rlim_cur >= LEAST_ADDRESS_SPACE) return;
    leave("loci: the limit on address space (ulimit -v) is below 256 MiB, less than OpenBLAS needs "
          "to start; raise it: ulimit -v 262144, or more for large models\n");
}

/* Does the entry set one of the two variables?
 * The name with its "=" is compared, without the "1" and the terminating zero: hence sizeof - 2. */
BEFORE_SANITIZERS static int is_thread_count(const char *entry)
{
    return strncmp(entry, ONE_OMP_THREAD, sizeof ONE_OMP_THREAD - 2) == 0 ||
           strncmp(entry, ONE_BLAS_THREAD, sizeof ONE_BLAS_THREAD - 2) == 0;
}

BEFORE_SANITIZERS void start_with_one_blas_thread(int argc, char **argv, char **env)
{
    (void)argc;
    size_t count = 0;
    int tuned = 0;
    check_address_space();
    for (; env[count]; count++) {
        /* The second time, and for a user who had set it so. */
        if (strcmp(env[count], ONE_OMP_THREAD) == 0) return;
        tuned = tuned || strncmp(env[count], MORE_KEPT_BLOCKS, strlen("GLIBC_TUNABLES=")) == 0;
    }
    /* Room for all entries, three of our own and the NULL. Other values of the two variables are
     * left out: of two entries with one name readers would take the first. */
    char **one = __builtin_alloca((count + 4) * sizeof *one);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_thread_count(env[i])) one[kept++] = env[i];
    }
    one[kept++] = ONE_OMP_THREAD;
    one[kept++] = ONE_BLAS_THREAD;
    if (!tuned) one[kept++] = MORE_KEPT_BLOCKS;
    one[kept] = NULL;
    /* The file itself, not argv[0]: that may be relative, found by PATH, or replaced by an upgrade
     * meanwhile. */
    execve("/proc/self/exe", argv, one);
    leave("loci: cannot start itself with OMP_NUM_THREADS=1; set it and try again\n");
}
