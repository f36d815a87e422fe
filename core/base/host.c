#include "core/base/host.h"

#include <cblas.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <yaml.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "core/base/cgroup.h"

/* Most of this is read from /proc and the environment once, when a run starts, and goes into its
 * record as it is; what cannot be read is "unknown" there, never an error: no experiment fails
 * because a container hides a file. Two things are asked in the training loop, memory and the
 * clock, and may be asked by several threads at once: their state is atomic. */

#ifndef LOCI_COMPILER
#define LOCI_COMPILER "unknown"
#endif
#ifndef LOCI_FLAGS
#define LOCI_FLAGS "unknown"
#endif
#ifndef LOCI_REVISION
#define LOCI_REVISION       ""
#define LOCI_REVISION_DIRTY false
#endif

/* The value of "key : value" in a file of such lines; false if there is none.
 * The first line that begins with the key is taken: of all processors' model names the first
 * one's. */
static bool read_field(char *out, size_t bytes, const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    char line[1024];
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0) continue;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, bytes, "%s", value);
        found = true;
    }
    fclose(f);
    return found;
}

/* Cores that a batch job was given; a node whose jobs are not bound to them shows all its own. 0:
 * no such job.
 * The task's share is set only where the job asked for one; several tasks on a node would each take
 * all of it by the second name. */
static int batch_cores(void)
{
    const char *text = getenv("SLURM_CPUS_PER_TASK");
    if (!text) text = getenv("SLURM_CPUS_ON_NODE");
    return text ? (int)strtol(text, NULL, 10) : 0;
}

/* Three sources, each of which alone is wrong somewhere: the mask of a container with a quota shows
 * all cores of the machine, a quota says nothing of a mask (taskset, cpusets), and a batch system
 * without cgroups leaves both open. The least is what this process may use. The mask of the C
 * library has 1024 places; where there are more processors the call fails and all online ones are
 * counted. */
int host_cores(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                            : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = cgroup_cores(""), batch = batch_cores();
    if (quota > 0) cores = MIN(cores, quota);
    if (batch > 0) cores = MIN(cores, batch);
    return MAX(cores, 1);
}

/* An array's tasks have job numbers of their own, which nobody typed; its own number and the task's
 * are what squeue and the file names of logs show. */
static void batch_job(char text[32])
{
    const char *array = getenv("SLURM_ARRAY_JOB_ID"), *task = getenv("SLURM_ARRAY_TASK_ID");
    const char *job = getenv("SLURM_JOB_ID");
    if (!job) job = getenv("PBS_JOBID");
    if (array && task) {
        snprintf(text, 32, "%.20s_%.10s", array, task);
    } else {
        snprintf(text, 32, "%.31s", job ? job : "");
    }
}

void host_describe(host_info *h)
{
    *h = (host_info){.cores = host_cores()};
    batch_job(h->job);
    struct utsname u;
    if (uname(&u) == 0) {
        snprintf(h->name, sizeof h->name, "%.100s", u.nodename);
        snprintf(h->system, sizeof h->system, "%.80s %.80s %.80s", u.sysname, u.release, u.machine);
    } else {
        strcpy(h->name, "unknown");
        strcpy(h->system, "unknown");
    }
    if (!read_field(h->cpu, sizeof h->cpu, "/proc/cpuinfo", "model name"))
        strcpy(h->cpu, "unknown");
    h->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    snprintf(h->blas, sizeof h->blas, "%s", openblas_get_config());
    snprintf(h->blas_core, sizeof h->blas_core, "%s", openblas_get_corename());
}

int host_versions(host_version *versions, int capacity)
{
    static char openblas[32];
    if (sscanf(openblas_get_config(), "OpenBLAS %31s", openblas) != 1) strcpy(openblas, "unknown");
#ifdef __GLIBC__
    const host_version c_library = {"glibc", gnu_get_libc_version()};
#else
    const host_version c_library = {"libc", "unknown"}; /* musl does not say */
#endif
    const host_version all[] = {
        {"loci", LOCI_VERSION},           c_library,
        {"openblas", openblas},           {"libyaml", yaml_get_version_string()},
        {"sqlite", sqlite3_libversion()}, {"jansson", jansson_version_str()}};
    int n = sizeof all / sizeof all[0];
    for (int i = 0; i < MIN(n, capacity); i++) {
        versions[i] = all[i];
    }
    return n;
}

const char *host_compiler(void)
{
    return LOCI_COMPILER;
}

const char *host_flags(void)
{
    return LOCI_FLAGS;
}

const char *host_real(void)
{
    return REAL_IS_DOUBLE ? "f64" : "f32";
}

const char *host_revision(bool *dirty)
{
    static const char revision[] = LOCI_REVISION;
    *dirty = LOCI_REVISION_DIRTY;
    return revision[0] ? revision : NULL;
}

/* "Name:   123 kB" in /proc/self/status as bytes; 0 if absent. */
static int64_t status_bytes(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at ? strtoll(at + strlen(key), NULL, 10) * 1024 : 0;
}

/* The kernel keeps a peak for all resident pages only. Those of mapped corpora are among them,
 * which come and go with the machine's free memory, so two equal runs differ by as much; anonymous
 * pages are what a run needs. Their peak is kept here, as the highest value seen. */
host_memory host_memory_now(void)
{
    static _Atomic int64_t peak;
    host_memory m = {0};
    char status[8192];
    FILE *f = fopen("/proc/self/status", "re");
    if (!f) return m;
    size_t n = fread(status, 1, sizeof status - 1, f);
    fclose(f);
    status[n] = 0;
    m.rss_bytes = status_bytes(status, "\nVmRSS:");
    m.peak_rss_bytes = status_bytes(status, "\nVmHWM:");
    m.anon_bytes = status_bytes(status, "\nRssAnon:");
    int64_t before = atomic_load(&peak);
    while (before < m.anon_bytes && !atomic_compare_exchange_weak(&peak, &before, m.anon_bytes)) {
    }
    m.peak_anon_bytes = MAX(before, m.anon_bytes);
    return m;
}

/* Slurm counts in MiB.
 * What is given per core is multiplied by the cores that this process may use of the job's. */
int64_t host_memory_allotted(void)
{
    const char *node = getenv("SLURM_MEM_PER_NODE"), *core = getenv("SLURM_MEM_PER_CPU");
    int64_t mib = node ? strtoll(node, NULL, 10) : 0;
    if (!node && core) mib = strtoll(core, NULL, 10) * host_cores();
    return mib << 20;
}

int64_t host_memory_available(void)
{
    char text[64];
    bool known = read_field(text, sizeof text, "/proc/meminfo", "MemAvailable");
    int64_t room = known ? strtoll(text, NULL, 10) * 1024 : 0, limit = cgroup_memory_room("");
    if (limit >= 0) room = MIN(room, limit);
    return room;
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The clock of this process; global as the signal that moves it is.
 * Process-wide, for a stop holds all threads; lock-free, as a handler may touch nothing else. */
static _Atomic double last_reading, stopped_s;

/* Only the end of a stop is told (SIGSTOP cannot be caught): what has passed since the clock was
 * last read counts as stopped.
 * stopped_s is all stops together, not this one: the clock shows monotonic time less stopped_s, and
 * with this value it shows last_reading again, whatever was subtracted before. */
static void after_stop(int number)
{
    (void)number;
    if (last_reading > 0) stopped_s = seconds(CLOCK_MONOTONIC) - last_reading;
}

void host_watch_stops(void)
{
    struct sigaction action = {.sa_handler = after_stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGCONT, &action, NULL);
}

double host_monotonic_s(void)
{
    double now = seconds(CLOCK_MONOTONIC) - stopped_s;
    last_reading = now;
    return now;
}

double host_wall_s(void)
{
    return seconds(CLOCK_REALTIME);
}

void host_utc(char text[32], double wall_s)
{
    time_t t = (time_t)wall_s;
    struct tm parts;
    bool ok = gmtime_r(&t, &parts) && strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0;
    if (!ok) snprintf(text, 32, "unknown");
}
