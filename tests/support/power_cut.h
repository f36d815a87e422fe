/* What a disk may hold after the power was cut, from a log of changes (faults.h), as SQLite's own
 * crash tests have it: what was synced is there; of all that came later nothing, all, or a part.
 *
 * A file's content is safe once the file was synced, its name (also the new one of a rename, or
 * that it is gone) once its folder was. */
#pragma once

#include <stdint.h>

/* What became of changes that were not synced. */
typedef enum cut_kind {
    CUT_LOST,   /* none of them was done */
    CUT_KEPT,   /* all were */
    CUT_PREFIX, /* names up to a moment; of each file writes up to one, of which the last is torn */
    CUT_ANY,    /* each as it came */
    CUT_ZEROS,  /* names and lengths are there, the bytes are zeros */
    CUT_KINDS
} cut_kind;

typedef struct power_cut power_cut;

/* Of the log in that file; changes outside of the folders `roots` (NULL-terminated), which are
 * there from the beginning, do not count. */
power_cut *power_cut_open(const char *log, const char *const *roots);
void power_cut_close(power_cut *p);

int power_cut_entries(const power_cut *p);

/* Empties the folders and fills them with what is there if the power is cut behind the first
 * `entries` changes; seed chooses what a part is. */
void power_cut_happen(power_cut *p, int entries, cut_kind kind, uint64_t seed);
