/* What verbs that read results begin with: collect, open the database, name the experiment. */
#ifndef LOCI_TOOLS_READING_H
#define LOCI_TOOLS_READING_H

#include "results/store.h"
#include "tools/cli.h"

/* Collects what is new below OUT and opens the database; a note about what could not be collected
 * goes to stderr. NULL and e on failure; store_close it. */
store *reading_open(const char *out, err *e);

/* The experiment that a word names: its name, or its file; NULL: the one recorded last. Lives as
 * long as the arena. NULL and e if there is none. */
const char *reading_experiment(arena *a, store *s, const char *word, err *e);

#endif
