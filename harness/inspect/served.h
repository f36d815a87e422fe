/* Which tokens an expert serves. */
#pragma once

#include "core/base/base.h"

/* The most frequent ones: ids into list [most], the most frequent first; how many there are. served
 * [vocab]: how often. *total: of all tokens. */
int served_tokens(int32_t *list, int most, const int64_t *served, int64_t vocab, int64_t *total);
