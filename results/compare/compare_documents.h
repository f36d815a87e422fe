/* Differences document by document: would other text say the same? */
#ifndef LOCI_RESULTS_COMPARE_DOCUMENTS_H
#define LOCI_RESULTS_COMPARE_DOCUMENTS_H

#include "results/compare/compare.h"

/* Fills the variants' `documents`. */
bool compare_documents(comparison *c, store *s, err *e);

#endif
