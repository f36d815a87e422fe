/* Claims judged on figures that a test writes down. */
#pragma once

#include "results/claims/claim_read.h"
#include "results/claims/verdict.h"

enum { JUDGED_SEEDS = 16 };

/* A statement's figures, as a test writes them down. */
typedef struct judged_figures {
    int seeds;
    double a[JUDGED_SEEDS], b[JUDGED_SEEDS];
    seed_state state[JUDGED_SEEDS];
    const char *trouble;
} judged_figures;

/* In arena memory; NULL fails the case. */
claim_list *judged_claims(arena *a, const char *yaml);

/* The verdict on the first claim; statement k on m[k]. */
claim_verdict judged(arena *a, const char *yaml, const judged_figures *m);
/* The same of losses; same [seeds]: which seeds are models of earlier ones, NULL: none. */
claim_verdict judged_losses(arena *a, const char *yaml, const judged_figures *m, const bool *same);
