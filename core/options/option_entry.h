/* An entry of an option table (option.h says how tables are used), and the value it names. */
#pragma once

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
    bool empty;        /* TEXT, NODE on the command line: '' says something */
    bool incidental;   /* changes no result (paths, logging, threads): no part of identities */
} option;

/* NULL: there is none of that name. */
const option *option_find(const option *table, const char *name);

/* A node with the option's value; NULL for an OPTION_NODE that is absent. */
node *option_value(arena *a, const void *options, const option *o);

/* The option's field in the struct. */
const void *option_field(const void *options, const option *o);

/* Index of `text` in "a|b|c", or -1. */
int64_t option_choice(const char *choices, const char *text);
