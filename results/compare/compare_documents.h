/* Differences document by document: would other text say the same? */
#pragma once

#include "results/compare/compare.h"

/* What one evaluation says of its documents, in their order. */
typedef struct scored_documents {
    const compared_run *of; /* borrowed */
    int count;
    int64_t *index; /* in the split */
    double *nats;
    double *size[DOCUMENT_NONE]; /* by unit; NaN: unknown */
} scored_documents;

/* Those of a run's evaluation that counts. */
bool compare_documents_read(scored_documents *d, arena *a, store *s, const compared_run *r, err *e);

/* Are they the same documents, of the same sizes in that unit, which not all are 0? */
bool compare_documents_same(const scored_documents *x, const scored_documents *y,
                            document_unit unit);

/* Fills the variants' `documents`. */
bool compare_documents(comparison *c, store *s, err *e);
