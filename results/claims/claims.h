/* An experiment's claims with their verdicts, from the database. */
#pragma once

#include "results/claims/flatness.h"
#include "results/claims/verdict.h"

/* What a side of a claim costs, of any of its runs; NaN: not known. */
typedef struct claim_cost {
    double params, flops, train_seconds; /* flops: per token, of evaluation */
} claim_cost;

typedef struct stated_claim {
    const claim *claim;
    const claim_verdict *verdict;
    const char *recorded_at;
    bool after_the_fact; /* it was added or changed when there were results */
    const char *changed; /* what of what it is about has been since: "'big' was changed"; "" */
    int seeds_then;      /* that were planned when it was recorded; 0: it is judged by looks */
    int seeds_now;
    claim_cost cost, other_cost; /* of the statement that decides */
    const char *protocol;        /* in words */
    const char *training;        /* how unlike the sides were trained, which is one model; "" */
    const char *figure;          /* what the deciding statement is about: "bits per byte" */
    const char *unit;            /* of estimate and margin: "bits/byte", "%", "times" */
    double scale;                /* of the estimate to that unit: 100 for % */
} stated_claim;

typedef struct claims {
    const char *experiment;
    int count;
    stated_claim *list;
    int withdrawn; /* claims that were recorded and are no longer made */
    const char *withdrawn_names;
    flatness flat;    /* of the model that others are compared to */
    const char *made; /* by which builds its runs were computed, where they differ; "" */
} claims;

/* count 0: it claims nothing. Lives in the arena; NULL and e on failure. */
claims *claims_load(arena *a, store *s, const char *experiment, err *e);
