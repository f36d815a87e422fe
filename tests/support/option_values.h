/* Values to try of any option, as a spec would write them. */
#pragma once

#include "core/options/option.h"

enum { OPTION_VALUES = 20, OPTION_VALUE_CHARS = 48 };

/* Texts and nodes: none. Numbers: small ones within the range, what they stand for in tests' small
 * models (sizes of 8, 4 x 8, ...) among them; last the range's ends. Returns how many. */
int option_values(const option *o, char values[OPTION_VALUES][OPTION_VALUE_CHARS]);

/* Whether that says the default. */
bool option_values_initial(const option *o, const char *value);
