/* Options declared in one table: the parser, the defaults, the error messages, `--help`, `loci
 * layers NAME` and the reference in the docs all come from it.
 *
 * A part with options has a struct and a table whose entries name fields of it:
 *
 *     typedef struct ffn_options { int64_t hidden; int64_t activation; bool bias; } ffn_options;
 *     static const option FFN_OPTIONS[] = {
 *         {"hidden", OPTION_INT, offsetof(ffn_options, hidden), .initial = NULL, .min = 1,
 *          .max = 1e6, .help = "width of the hidden layer"},
 *         {"activation", OPTION_CHOICE, offsetof(ffn_options, activation), .initial = "gelu",
 *          .choices = "relu|gelu|silu", .help = "nonlinearity"},
 *         {0}};
 */
#ifndef LOCI_CORE_OPTION_H
#define LOCI_CORE_OPTION_H

#include <stdio.h>

#include "core/options/node.h"

typedef enum option_type {
    OPTION_INT,    /* int64_t; 1_000, 1e6 and 4k/4M are accepted if whole */
    OPTION_REAL,   /* double */
    OPTION_BOOL,   /* bool: true | false */
    OPTION_CHOICE, /* int64_t: index into choices */
    OPTION_TEXT,   /* const char * */
    OPTION_NODE    /* const node *: checked by its owner (lists, nested parts); may be NULL */
} option_type;

typedef struct option {
    const char *name; /* NULL ends the table */
    option_type type;
    size_t offset;       /* of the field in the options struct */
    const char *initial; /* the default as it would be written; NULL: required (NODE: NULL) */
    double min, max;     /* INT and REAL: inclusive; both 0: unbounded */
    const char *choices; /* CHOICE: "a|b|c" */
    const char *help;    /* one line, with the unit */
    const char *needs; /* what other options it takes to have an effect (option_needs.h), or NULL */
    bool nullable;     /* INT, REAL: `null` or `none` allowed and stored as -1; TEXT: NULL */
    bool incidental;   /* changes no result (paths, logging, threads): no part of identities */
} option;

/* Fills `options` (a struct of the table's fields) from the map `n` (NULL: all defaults). Unknown,
 * missing, mistyped and out-of-range keys fail with their place and the nearest known key, and so
 * does what differs from its default where nothing would look at it (`needs`). `ignore` (may be
 * NULL) lists further allowed keys, NULL-terminated, that the caller handles. Texts are copied into
 * the arena. */
bool options_read(void *options, const option *table, const node *n, const char *const *ignore,
                  arena *a, err *e);

/* One value by type, for the command line and tests. */
bool option_read_text(void *options, const option *o, const char *text, arena *a, err *e);

/* The known name nearest to `name` by edits, or NULL if none is near. */
const char *option_nearest(const char *name, int n, const char *const *known);

/* For owners of maps whose keys are not a table: fails with "unknown key '...' (did you mean
 * '...'?)" at key i of `map`. */
bool option_unknown(err *e, const node *map, int i, int n, const char *const *known);

/* A node with every option of the table spelt out that is looked at: the resolved form. */
node *options_node(arena *a, const void *options, const option *table);
/* The same with only those that differ from the defaults and are not incidental: what identities
 * are hashed from. */
node *options_changed(arena *a, const void *options, const option *table);

/* Prints name, type, default, range and help, one line per option. */
void options_print(FILE *out, const option *table);

/* Numbers as specs write them: 1e6, 1_000, 0x1F, and k, M, G, T for powers of 1000. */
bool option_text_to_int(const char *text, int64_t *value);
bool option_text_to_real(const char *text, double *value);

#endif
