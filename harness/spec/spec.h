/* An experiment file as one tree: `extends` merged, `--set` applied, top-level keys checked.
 *
 *   name, description, extends, data, model, init_from, optimizer, schedule, train, eval, sweep,
 *   claims
 *
 * A file named by `extends` (relative to the file that names it, or a list of them) is read first;
 * maps merge key by key, lists and scalars replace. `name` and `description` are not inherited. */
#pragma once

#include <stdio.h>

#include "core/options/node.h"

typedef struct spec {
    arena *memory;
    const char *file;        /* as given */
    const char *name;        /* default: the file's name without .yaml */
    const char *description; /* "" if none */
    const char *text;        /* the file as it is written */
    node *root;              /* without name, description, extends */
} spec;

/* sets: "path=value" texts, NULL-terminated, or NULL. On failure NULL and the place of what is
 * wrong. The caller frees. */
spec *spec_load(const char *path, const char *const *sets, err *e);
/* The same for text in memory; `extends` is relative to the folder of `file`. */
spec *spec_parse(const char *text, size_t bytes, const char *file, const char *const *sets, err *e);
void spec_free(spec *s);

/* Prints the sections of a spec with their options: `loci help spec`. */
void spec_help(FILE *out);
