/* One statement of a claim, from its map of keys. */
#ifndef LOCI_RESULTS_STATEMENT_READ_H
#define LOCI_RESULTS_STATEMENT_READ_H

#include "core/options/option.h"
#include "results/claims/statement_parts.h"

extern const option STATEMENT_READ_KEYS[];

/* ignore: keys beside the statement's, NULL-terminated, or NULL. */
bool statement_read(claim_reader *r, claim_statement *s, const node *n, const char *const *ignore);

#endif
