/* What claims are judged on: figures by seed (and document), from the database. */
#pragma once

#include "results/claims/verdict.h"
#include "results/store/store.h"

/* Fewer documents are no sample of what might have been read instead. */
enum { EVIDENCE_LEAST_DOCUMENTS = 5 };

typedef struct evidence_source {
    arena *memory;
    store *db;
    const char *experiment;
    comparison *of_split[4]; /* read when first asked for */
} evidence_source;

/* The experiment's runs with their evaluations on a split; NULL: the final ones. NULL and e. */
comparison *evidence_runs(evidence_source *x, const char *split, err *e);

/* The figure that a statement is about, the comparison's own where it names none. */
const claim_figure *evidence_figure(const comparison *c, const claim_statement *s);

/* Fills out->statements. False and e if the database cannot be read. */
bool evidence_read(claim_evidence *out, evidence_source *x, const claim *c, err *e);
