/* Verdicts of an experiment's claims from figures by seed: pure functions.
 *
 * All claims of an experiment are one family: their p are corrected by Holm's method, and one below
 * 0.05 decides. A claim of several statements holds if all of them do (its p is the largest one:
 * Berger 1982) and fails if one fails (the least, times their number: Bonferroni). With looks (see
 * spending.h) the p is that of the sequence. A claim is undecided, whatever its figures say, while
 * runs that it needs are not done, if one of them failed, and on one seed.
 *
 * A statement whose unit is the document (`unit: documents`) takes each document's figure, the mean
 * over seeds, and tests over documents instead: whether these models would do the same on other
 * text. It counts each document once, whatever its size: of documents whose sizes differ by a
 * factor of e (one standard deviation) Student's t of differences over the whole text would decide
 * wrongly for 12 % of samples of 10, and not for 5 %. Training again is another question, to which
 * few seeds have no answer; they have to agree, or it stays undecided. */
#pragma once

#include "results/claims/judge.h"
#include "results/claims/spending.h"

typedef enum seed_state {
    SEED_HERE,
    SEED_AWAITED, /* a run that is needed is not done */
    SEED_LOST,    /* one failed or diverged */
    SEED_WITHOUT  /* all are done, and one has not the figure */
} seed_state;

/* Of one statement, seed by seed. */
typedef struct statement_evidence {
    bool higher; /* is better */
    int seeds;   /* planned for all variants that it needs, in the order in which they are added */
    const seed_state *state;
    bool measured;    /* losses: see judge_data */
    const bool *same; /* [seeds] its models are those of an earlier seed: no unit of its own; NULL:
                         none is */
    int documents;    /* of a statement by document; else 0 */
    const double *a, *b; /* [seeds] see judge_data, or [seeds][documents]; of seeds that are HERE */
    const char *trouble; /* what is wrong with the first that is LOST or WITHOUT; NULL: nothing */
} statement_evidence;

typedef struct claim_evidence {
    const claim *claim;
    statement_evidence *statements; /* [claim->count] */
} claim_evidence;

typedef enum verdict { VERDICT_UNDECIDED, VERDICT_HOLDS, VERDICT_FAILS } verdict;
const char *verdict_name(verdict v); /* "holds" */

typedef struct claim_look {
    int seeds;
    double p;     /* of the seeds up to there */
    double level; /* at or below which it decides, of a claim alone */
} claim_look;

typedef struct claim_verdict {
    const claim *claim;
    verdict verdict;
    direction towards;
    double p, p_holm;
    int n;             /* seeds that it is judged on */
    double confidence; /* level of the intervals that are shown; of looks that of the one shown */
    int documents;     /* that are its unit, of `worst`; 0: seeds are */
    int worst;         /* the statement that decides, or is furthest from it */
    judgement *statements; /* [claim->count] */
    int looks;
    claim_look *look; /* [looks] */
    bool done;        /* no further seed would be added */
    int needed;       /* of an undecided one: units in all that would decide; 0: none would */
    const char *why;  /* of an undecided one; "" */
} claim_verdict;

/* out [count]. Lives in the arena. */
void verdict_judge(arena *a, claim_verdict *out, const claim_evidence *x, int count);
