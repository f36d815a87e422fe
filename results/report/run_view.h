/* Single runs, from the database: found by name, shown whole, listed. */
#pragma once

#include <stdio.h>

#include "results/store/store.h"
#include "results/table/table.h"

enum { RUN_ID_CHARS = 32 };

/* name: a run's id, the unique beginning of one, or EXPERIMENT[/LABEL[/SEED]] (the first that fits,
 * in planned order). *fits: how many are called so; what is written is about one of them, and who
 * reads is told which. */
bool run_view_find(char id[RUN_ID_CHARS], int *fits, store *s, const char *name, err *e);

/* Everything about a run for people: what it is, how it ended (with the end of its log), its
 * figures, what it cost, its resolved spec, where it was trained. */
bool run_view_show(FILE *out, store *s, const char *id, err *e);
/* The same as an object. Decref it. */
json_t *run_view_json(store *s, const char *id, err *e);

/* All runs, those begun last first; experiment, status, search: NULL for any. search: part of the
 * experiment's name or description, of the label, the id, a note or a tag, in either case. */
bool run_view_list(table *t, store *s, const char *experiment, const char *status,
                   const char *search, err *e);
