/* Entries of option tables, for what works on tables. */
#ifndef LOCI_CORE_OPTION_VALUE_H
#define LOCI_CORE_OPTION_VALUE_H

#include "core/options/option.h"

/* NULL: there is none of that name. */
const option *option_find(const option *table, const char *name);

/* A node with the option's value; NULL for an OPTION_NODE that is absent. */
node *option_value(arena *a, const void *options, const option *o);

/* Whether the option holds what its default would put there. Required options never do. */
bool option_is_default(arena *a, const void *options, const option *o);

#endif
