#include "core/base/host.h"

#include "tests/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void description(void)
{
    host_info h;
    host_describe(&h);
    EXPECT(h.name[0] && h.cpu[0] && h.system[0], "'%s' '%s' '%s'", h.name, h.cpu, h.system);
    EXPECT(h.cores >= 1 && h.cores == host_cores() && h.memory_bytes > 1 << 20, "%d", h.cores);
    EXPECT(strstr(h.blas, "OpenBLAS") && h.blas_core[0], "'%s' '%s'", h.blas, h.blas_core);
    EXPECT(strcmp(host_compiler(), "unknown") != 0 && strstr(host_flags(), "-O"), "'%s' '%s'",
           host_compiler(), host_flags());
    host_version v[16];
    int n = host_versions(v, 16);
    EXPECT(n >= 6 && host_versions(v, 1) == n, "%d", n);
    for (int i = 0; i < n; i++) {
        EXPECT(v[i].version[0] >= '0' && v[i].version[0] <= '9', "%s %s", v[i].library,
               v[i].version);
    }
}

/* A node whose jobs are not bound to what they were given shows all its cores and memory. */
static void batch_jobs(void)
{
    int cores = host_cores();
    setenv("SLURM_CPUS_PER_TASK", "1", 1);
    EXPECT(host_cores() == 1 && host_memory_allotted() == 0, "%d", host_cores());
    setenv("SLURM_CPUS_PER_TASK", "100000", 1);
    EXPECT(host_cores() == cores, "%d", host_cores());
    setenv("SLURM_MEM_PER_NODE", "512", 1);
    EXPECT(host_memory_allotted() == (int64_t)512 << 20, "%lld", (long long)host_memory_allotted());
    unsetenv("SLURM_MEM_PER_NODE");
    setenv("SLURM_MEM_PER_CPU", "256", 1);
    EXPECT(host_memory_allotted() == cores * ((int64_t)256 << 20), "%lld",
           (long long)host_memory_allotted());
    unsetenv("SLURM_MEM_PER_CPU");
    unsetenv("SLURM_CPUS_PER_TASK");
}

static double real_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds that the clock of a process left out of those that passed, while it was stopped for half
 * a second. */
static double left_out_while_stopped(void)
{
    int ends[2];
    double left_out = -1;
    if (pipe(ends) != 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        host_watch_stops();
        double begin = host_monotonic_s(), really = real_s();
        if (write(ends[1], "b", 1) != 1) _exit(1);
        for (double x = 0; x < 0.05;)
            x = host_monotonic_s() - begin;
        left_out = real_s() - really - (host_monotonic_s() - begin);
        _exit(write(ends[1], &left_out, sizeof left_out) == sizeof left_out ? 0 : 1);
    }
    char byte;
    struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};
    bool begun = pid > 0 && read(ends[0], &byte, 1) == 1;
    kill(pid, SIGSTOP);
    nanosleep(&pause, NULL);
    kill(pid, SIGCONT);
    if (!begun || read(ends[0], &left_out, sizeof left_out) != sizeof left_out) left_out = -1;
    waitpid(pid, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    return left_out;
}

static void stops_are_no_time(void)
{
    double left_out = left_out_while_stopped();
    EXPECT(left_out >= 0.45, "%g s", left_out);
}

static void memory_peak_stays(void)
{
    enum { BYTES = 32 << 20 };
    host_memory before = host_memory_now();
    char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(p != MAP_FAILED, "mmap");
    memset(p, 1, BYTES);
    host_memory during = host_memory_now();
    munmap(p, BYTES);
    host_memory after = host_memory_now();
    /* The kernel counts pages per thread in batches of 64: allow one megabyte. */
    EXPECT(during.anon_bytes >= before.anon_bytes + BYTES - (1 << 20), "%lld %lld",
           (long long)before.anon_bytes, (long long)during.anon_bytes);
    EXPECT(after.anon_bytes < during.anon_bytes && after.peak_anon_bytes >= during.anon_bytes,
           "%lld %lld", (long long)after.anon_bytes, (long long)after.peak_anon_bytes);
    EXPECT(after.peak_rss_bytes >= during.anon_bytes - (1 << 20), "%lld",
           (long long)after.peak_rss_bytes);
}

static void clocks(void)
{
    double a = host_monotonic_s(), b = host_monotonic_s();
    EXPECT(b >= a, "%g %g", a, b);
    EXPECT(host_wall_s() > 1.7e9, "%g", host_wall_s());
    char text[32];
    host_utc(text, 1700000000.9);
    EXPECT(strcmp(text, "2023-11-14T22:13:20Z") == 0, "%s", text);
}

const test_suite test_host = {"core/host",
                              {{"description", description},
                               {"batch jobs", batch_jobs},
                               {"stops are no time", stops_are_no_time},
                               {"memory_peak_stays", memory_peak_stays},
                               {"clocks", clocks},
                               {0}}};
