/* Reads claims: from a spec, whose variants are known, and from a record of what it said. */
#pragma once

#include "results/claims/claim_scope.h"

typedef struct claim_list {
    int count;
    claim *claims;
} claim_list;

/* n: the list; NULL: no claims. scope NULL: names are labels and trends name their variants, as
 * claim_node writes them. Lives in the arena; NULL and the place of what is wrong. */
claim_list *claim_read(arena *a, const node *n, const claim_scope *scope, err *e);

/* The claim with its names resolved and its defaults spelt out: reads back as an equal one. */
node *claim_node(arena *a, const claim *c);
