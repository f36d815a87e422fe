/* The figure that a statement is about, of one run or of one of its documents. */
#pragma once

#include "results/claims/claim.h"
#include "results/compare/compare_documents.h"

enum { EVIDENCE_BUCKETS = 64 }; /* 0, 1, 2-3, 4-7 ...: as slices are recorded */

/* One number, or of a trend along slices or layers one for each. */
typedef struct run_figures {
    int count;
    double value[EVIDENCE_BUCKETS], tokens[EVIDENCE_BUCKETS];
} run_figures;

/* what: s->on, or what stands in its place. False and e if the database cannot be read. */
bool evidence_figures(run_figures *f, store *db, const claim_statement *s, const claim_figure *what,
                      const compared_run *r, err *e);

/* What a document's figure is taken per, and the figure of document i by itself; NaN or infinite
 * where it has none. */
document_unit evidence_unit(compare_metric m);
double evidence_of_document(const scored_documents *d, int i, compare_metric m);
