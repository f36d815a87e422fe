/* Faults of the outside world, on purpose: a started program's n-th write or read fails, its n-th
 * allocation has no memory, it is killed in the middle of a write, its clock jumps; or all that it
 * writes, renames and syncs is noted down.
 *
 * tests/preload/faults.c is loaded into the program (LD_PRELOAD) and does it; a plan in a file that
 * is mapped by all says what, so that the calls of a supervisor and its workers are counted as one.
 * Only files below the plan's folder are looked at. What libc does inside (stdio) is not seen. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/program.h"

/* The environment's variable with the plan's file. */
#define FAULTS_VARIABLE "LOCI_FAULTS"

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_WRITE, /* what changes a file or folder: open to write, write, sync, close, rename, ... */
    FAULT_READ,  /* open to read, read, map, list, look at */
    FAULT_MEMORY, /* malloc and its like, anonymous memory */
    FAULT_KILL    /* SIGKILL in the middle of what FAULT_WRITE counts */
} fault_kind;

typedef struct fault_plan {
    fault_kind kind;
    int64_t at;           /* the call that fails, counted from 1; 0: none, they are only counted */
    bool stays;           /* and all behind it, as on a full disk */
    int error;            /* errno of FAULT_WRITE and FAULT_READ */
    int64_t files;        /* descriptors that a process may have; 0: as many as there are */
    int64_t clock_jump_s; /* the wall clock jumps forth and back by this at every look; 0: never */
    char folder[512], log[512]; /* log: "" or the file to note changes down in */
    _Atomic int64_t seen;       /* calls of the kind */
    _Atomic int64_t looks;      /* at the clock */
    _Atomic int loaded;         /* processes that heard of the plan */
    _Atomic int lock;           /* of the log */
    char failed[640];           /* the first call that failed, and of what file */
} fault_plan;

/* What the log consists of: this, then path, other and data. */
typedef enum fault_op {
    OP_CREATE, /* a file, where there is none */
    OP_TRUNCATE,
    OP_WRITE,
    OP_SYNC, /* of a file or folder */
    OP_RENAME,
    OP_REMOVE,
    OP_MKDIR
} fault_op;

typedef struct fault_entry {
    int32_t op, path_bytes, other_bytes;
    int32_t bytes;  /* of data */
    int64_t offset; /* of the data; a truncated file's length */
} fault_entry;

/* One of each: a checkpoint to go on from, kept ones, evaluations on the way and at the end. */
extern const char FAULTS_SPEC[];

/* Every how many-th call is tried: LOCI_TORTURE, else so many that the suite stays quick. */
int faults_stride(void);

/* A plan of nothing in test_folder(), whose files it is about. NULL: there is no library to load,
 * and the test is skipped. Ends with the case. */
fault_plan *faults_new(void);

/* Loads the library, under a plan's file (test_folder()/faults), into what this process starts from
 * here on; for one that was forked for that. */
void faults_load(const char *plan_file);

/* Runs `loci WORDS` under the plan, from which what was counted is cleared first. Results and
 * caches lie below test_folder(), as with program_run. */
program_result faults_run(fault_plan *p, const char *const *words);

#define FAULTY(plan, ...) faults_run(plan, (const char *const[]){__VA_ARGS__, NULL})
