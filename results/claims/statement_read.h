/* One statement of a claim, from its map of keys. */
#pragma once

#include "core/options/option.h"
#include "results/claims/statement_parts.h"

extern const option STATEMENT_READ_KEYS[];

/* ignore: keys beside the statement's, NULL-terminated, or NULL. */
bool statement_read(claim_reader *r, claim_statement *s, const node *n, const char *const *ignore);
