/* Golden vectors: cases <system>/<case>/manifest.json with safetensors files beside it, computed in
 * double precision by other implementations or straight from published formulas.
 *
 * A checker computes what a case describes through the public code and compares. Adding a system is
 * a function and a line in the table of reference.c. Every tensor of a case's files
 * must have been read, compared or dropped with a reason, so that no expectation goes unnoticed. */
#pragma once

#include <jansson.h>

#include "core/base/arena.h"
#include "core/ops/tape.h"
#include "core/train/safetensors.h"

enum { REFERENCE_FILES = 8 };

typedef struct reference_file {
    const char *name; /* "data.safetensors" */
    safetensors *data;
    bool *touched; /* by index of tensor */
} reference_file;

/* One case while it is checked; all memory it gives lives until its end. */
typedef struct reference_case {
    const char *folder, *system, *name;
    const json_t *manifest, *config;
    arena *memory;
    reference_file files[REFERENCE_FILES];
    int file_count;
    err failure; /* the first thing that was wrong; empty: none */
} reference_case;

/* Functions below find a tensor by name in whichever file of the case holds it; "file:name" chooses
 * the file ("grads:x" is x of grads.safetensors) where a name occurs in several. What is missing or
 * of the wrong type fails the case and gives zeros. */
const st_tensor *reference_get(reference_case *c, const char *name); /* NULL: failed */
bool reference_has(reference_case *c, const char *name);
real *reference_real(reference_case *c, const char *name);
int64_t *reference_int(reference_case *c, const char *name);
/* As a leaf of a tape (rank at most 4) that wants a gradient if so said. */
tensor *reference_leaf(reference_case *c, tape *t, const char *name, bool needs_grad);
/* This tensor is not compared, because ... */
void reference_drop(reference_case *c, const char *name);

/* A number of manifest.json's config. */
double reference_number(reference_case *c, const char *key);
int64_t reference_size(reference_case *c, const char *key);

/* max|got - expected| <= atol + rtol * rms(expected), with the tolerance that the manifest gives
 * for `kind` ("outputs", "grads"). */
void reference_expect(reference_case *c, const char *name, const real *got, const char *kind);
void reference_expect_tensor(reference_case *c, const char *name, const tensor *got,
                             const char *kind);
/* The gradient that arrived at a leaf. */
void reference_expect_grad(reference_case *c, const char *name, const tensor *leaf);
/* With a tolerance of its own; atol 0 where numbers are tiny. */
void reference_expect_close(reference_case *c, const char *name, const real *got, double rtol,
                            double atol);
/* An expectation that stands in no file. */
void reference_close(reference_case *c, const char *what, const real *got, const real *expected,
                     int64_t n, double rtol, double atol);
void reference_expect_int(reference_case *c, const char *name, const int64_t *got);
void reference_fail(reference_case *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

typedef void (*reference_checker)(reference_case *c);

typedef struct reference_entry {
    const char *system;
    const char *name; /* NULL: every case of the system that no line above names */
    reference_checker check;
} reference_entry;

typedef enum reference_outcome { REFERENCE_PASS, REFERENCE_FAIL, REFERENCE_SKIP } reference_outcome;

/* Called before each case: false leaves it out. And after it, with why it failed or was skipped. */
typedef struct reference_listener {
    bool (*begin)(void *user, const char *system, const char *name);
    void (*end)(void *user, const char *system, const char *name, reference_outcome outcome,
                const char *why);
    void *user;
} reference_listener;

/* Runs all cases below a folder (all systems, one system or one case), sorted by path. False if
 * there are none or the folder cannot be read. */
bool reference_run(const char *folder, const reference_listener *listener, err *e);

/* The checkers. */
extern const reference_entry REFERENCE_BASICS[]; /* reference_basics.c; a NULL system ends it */
extern const reference_entry REFERENCE_BRT[];    /* reference_brt.c */
extern const reference_entry REFERENCE_OPTIM[];  /* reference_optim.c */
extern const reference_entry REFERENCE_FWL[];    /* reference_fwl.c */
extern const reference_entry REFERENCE_DYN[];    /* reference_dyneval.c */
extern const reference_entry REFERENCE_HASH[];   /* reference_hash.c */
extern const reference_entry REFERENCE_KVMEM[];  /* reference_kvmem.c */
extern const reference_entry REFERENCE_DELTA[];  /* reference_delta.c */
extern const reference_entry REFERENCE_TTT[];    /* reference_ttt.c */
extern const reference_entry REFERENCE_ENGRAM[]; /* reference_engram.c */
