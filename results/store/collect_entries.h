/* The entries of a folder into the database, each as a whole or not at all: run folders, records of
 * experiments. */
#pragma once

#include "results/store/collect_rows.h"

/* Puts an entry. False with *fresh false if nothing of it changed; false and e if it cannot be
 * read. */
typedef bool (*collect_one)(collector *c, const char *name, bool *fresh, err *e);

typedef struct collect_entries {
    const char *folder, *suffix; /* below OUT; of the names that are meant, "": all */
    collect_one one;
    bool runs; /* are read ahead: c->reading is of the folder that `one` is called for */
    int seen, fresh;
    int unreadable;           /* those left out or damaged, */
    char why[ERR_TEXT_BYTES]; /* and what was wrong with the first */
} collect_entries;

/* Fills what follows x->runs. An unreadable entry is counted; false only if the database cannot be
 * written. A missing folder has no entries. */
bool collect_entries_all(collector *c, collect_entries *x, err *e);
