/* Who computed a comparison's runs: builds that round differently, machines whose times do not
 * compare. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"
#include "results/store/query.h"

/* What is not known (records that were lost, or are of an earlier version) is NULL or 0. */
typedef struct compared_made {
    const char *build;   /* "f32, gcc 12.2.0": the one that computed its end */
    const char *exactly; /* all of it that bits may depend on, flags included */
    const char *before;  /* another one that computed a part of it before; NULL: none */
    const char *machine; /* "host (processor), 2 threads" */
    const char *alone;   /* the same of where its speed was measured alone; NULL: it was not */
} compared_made;

/* The columns of `run` that it is made of, for a query of which compare_made_of reads a row. */
#define COMPARE_MADE                                                                               \
    "r.host, r.cpu, r.threads, r.ranks, r.real, r.numerics, r.compiler, r.flags, r.sittings, "     \
    "r.alone_host, r.alone_cpu, r.alone_threads"
const compared_made *compare_made_of(query *q, arena *a);

/* Are times and memory of the two figures of one kind of machine, and of as many threads? True
 * where it is not known. */
bool compare_made_alike(const compared_run *x, const compared_run *y);

/* Were the speeds that were measured alone, of runs that count, all measured on one machine, by as
 * many threads? */
bool compare_made_alone_alike(const comparison *c);

/* A sentence a line of what differs among the runs that count; nothing where nothing does. */
void compare_made_builds(FILE *out, const comparison *c);
void compare_made_machines(FILE *out, const comparison *c);
