/* Brings what is in the run folders and experiment records below OUT into the database.
 *
 * Only what changed since the last time is read again; collecting twice changes nothing. A line of
 * a running run that is not complete yet is left for the next time. A run that says `running`
 * though nobody holds its lock is recorded as interrupted. Rows of folders that are gone stay, but
 * for what loci removes or renames: that has all of it made again (stale_mark.h). */
#pragma once

#include "results/store/store.h"

typedef struct collect_report {
    int experiments, runs; /* read again; of those that are there: */
    int experiments_seen, runs_seen;
    int unreadable;           /* folders left out or damaged, */
    char why[ERR_TEXT_BYTES]; /* and what was wrong with the first */
} collect_report;
/* "2 folders are left out or damaged; the first: WHY". */
void collect_say_unreadable(err *words, const collect_report *r);

/* False and e: there is no such folder, and nothing to be done in it. */
bool collect_check_out(const char *out, err *e);

/* rebuild: into an empty database, from every folder. An unreadable folder does not stop the rest
 * (see the report). Fails if the database cannot be written or another process keeps its lock. */
bool collect(collect_report *r, const char *out, bool rebuild, err *e);

/* What every command that reads does first: collects (not waiting long for another collector), then
 * opens read-only. Where OUT cannot be written it collects for itself and keeps nothing. *note (may
 * be NULL) is "" or one line about what could not be collected. */
store *collect_and_open(const char *out, err *note, err *e);
