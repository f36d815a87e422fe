/* Differences document by document: would other text say the same? */
#pragma once

#include "results/compare/compare.h"

/* Fills the variants' `documents`. */
bool compare_documents(comparison *c, store *s, err *e);
