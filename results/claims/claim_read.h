/* Reads claims: from a spec, whose variants are known, and from a record of what it said. */
#ifndef LOCI_RESULTS_CLAIM_READ_H
#define LOCI_RESULTS_CLAIM_READ_H

#include "results/claims/claim.h"

/* How names in a spec become labels of variants. */
typedef struct claim_scope {
    void *user;
    /* The label of the variant that a text or {axis: value} means; NULL and its place. */
    const char *(*label)(void *user, const node *n, err *e);
    /* Fills s->variants: those that have a value on the axis s->along, in the values' order;
     * `where` ({axis: value}, may be NULL) says which, where other axes vary, too. */
    bool (*along)(void *user, arena *a, claim_statement *s, const node *where, err *e);
} claim_scope;

typedef struct claim_list {
    int count;
    claim *claims;
} claim_list;

/* n: the list; NULL: no claims. scope NULL: names are labels and trends name their variants, as
 * claim_node writes them. Lives in the arena; NULL and the place of what is wrong. */
claim_list *claim_read(arena *a, const node *n, const claim_scope *scope, err *e);

/* The claim with its names resolved and its defaults spelt out: reads back as an equal one. */
node *claim_node(arena *a, const claim *c);

#endif
