/* What an option needs of its neighbours to have an effect: `.needs` of an entry is a condition on
 * other options of its table,
 *
 *     needs  = all { " or " all }      all   = clause { " and " clause }
 *     clause = name                    on, or given
 *            | name=value{|value}      one of these texts; none where nothing is given
 *            | name>number             a number above it, or above that of another; none is none
 *
 * as in "positions=t5" or "memory>0 or memory=none and window>1". */
#pragma once

#include "core/options/option_entry.h"

/* Whether o has an effect among these options. If not, *lacking (may be NULL) says what is in the
 * way, as "positions: rotary". */
bool option_needs_met(const void *options, const option *table, const option *o, arena *a,
                      const char **lacking);

/* The condition as help and messages say it, "positions: t5"; "" for none. */
const char *option_needs_text(arena *a, const option *o);
