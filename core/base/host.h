/* The machine and the process: what a run records about where it ran, memory and clocks. */
#pragma once

#include "core/base/base.h"

typedef struct host_info {
    char name[128];   /* of the machine */
    char job[32];     /* the batch job's number, "40_3" for a task of an array; "" : none */
    char system[256]; /* kernel, release, machine */
    char cpu[128];    /* model name */
    int cores;        /* granted: affinity, cgroup quota and batch job, at least 1 */
    int64_t memory_bytes;
    char blas[256];     /* openblas_get_config() */
    char blas_core[64]; /* which kernels it chose */
} host_info;

/* Fills everything; what cannot be found out is "unknown" or 0. */
void host_describe(host_info *h);
int host_cores(void);

/* Versions of the libraries in use: glibc, openblas, libyaml, sqlite, jansson, loci. Returns how
 * many; fills at most `capacity`. Texts are static. */
typedef struct host_version {
    const char *library, *version;
} host_version;
int host_versions(host_version *versions, int capacity);

/* Compiler and flags that this program was built with. */
const char *host_compiler(void);
const char *host_flags(void);
/* The precision that it computes in: "f32" or "f64". */
const char *host_real(void);

/* The git commit that this program was built from, and whether the tree differed from it; NULL
 * where it was not built in a checkout. Fixed by the build: where the program lies tells nothing.
 */
const char *host_revision(bool *dirty);

typedef struct host_memory {
    int64_t rss_bytes, peak_rss_bytes;   /* resident, mapped files included */
    int64_t anon_bytes, peak_anon_bytes; /* anonymous; the peak is over the calls made so far */
} host_memory;
/* Reads /proc/self/status (about 30 microseconds); call it once a step to have the peak. */
host_memory host_memory_now(void);
/* What processes may still take before the machine, or the container's limit, is full; 0: unknown.
 */
int64_t host_memory_available(void);
/* Bytes that a batch job (Slurm) was given on this node, whether or not anything holds it to them;
 * 0: no such job, or it was given all. */
int64_t host_memory_allotted(void);

double host_monotonic_s(void); /* for differences only */
/* From here on that clock stands while the process is stopped (Ctrl-Z, SIGSTOP): no such time
 * counts as training. It loses what passed between its last reading and the stop. */
void host_watch_stops(void);
double host_wall_s(void); /* seconds since 1970 */
/* "2026-11-22T05:26:00Z" */
void host_utc(char text[32], double wall_s);
