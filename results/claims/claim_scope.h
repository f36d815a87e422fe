/* In which claims are read: how names become labels. */
#pragma once

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

/* A list of claims being read. */
typedef struct claim_reader {
    arena *a;
    const claim_scope *scope; /* NULL: of a record */
    err *e;
} claim_reader;
