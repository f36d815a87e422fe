/* Runs that went through to the end and are worth nothing: every number is finite, and the model
 * predicts worse than a guess, or than what it started from. */
#pragma once

#include "core/base/base.h"
#include "data/corpus.h"

/* What is known of a run at its end; losses in nats per token. */
typedef struct blowup_facts {
    int64_t vocab;       /* a uniform guess costs ln(vocab) */
    double first;        /* training loss of the first step; 0: not known, or not asked */
    double last;         /* and of the last ones; 0 as well */
    double evaluated;    /* loss of the final evaluation */
    double step_targets; /* what the loss of one step is a mean over */
    bool further;        /* the evaluation asks what training never did: blowup_further */
    bool learns;         /* it changes the model, at a rate that may be the culprit: eval.dynamic */
} blowup_facts;

enum { BLOWUP_TEXT_BYTES = 200 };

/* Does the split ask a probe's questions at greater distances than training does? A model that has
 * learned to be sure is sure there as well, and wrong: its loss may exceed a guess's by far, and
 * says how far it remembers, not that it blew up. */
bool blowup_further(corpus *c, split_kind evaluated);

/* True, and one sentence, if
 *
 *   - the final evaluation is 5 % or more above a uniform guess (what an initialisation may cost),
 *     or is no number, which is all that is asked of one that asks `further`; or
 *   - training's last steps are, where the evaluation asks `further` or learns: elsewhere it says
 *     what the model is worth, and steps that went wrong before may have been made good; or
 *   - training ended above where it began, by more than a tenth, and by more than 8 standard errors
 *     of the first step's loss, whose tokens are taken to vary as much as they cost, unless the
 *     evaluation, where it says what the model is worth, is not above that. */
bool blowup_find(char text[BLOWUP_TEXT_BYTES], const blowup_facts *f);
