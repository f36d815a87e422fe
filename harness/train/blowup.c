#include "harness/train/blowup.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* Two ways to be worth nothing without a NaN, both of the end against something that needs no other
 * run:
 *
 *   loss > 1.05 ln V                  a uniform guess over V tokens costs ln V
 *   last > first (1 + margin)         margin = max(0.1, 8 / sqrt(targets of a step))
 *
 * The margin of 8 standard errors, with the loss of a token taken to vary as much as it costs on
 * average, keeps a short run of small steps from being called so by chance.
 *
 * The mean over the last steps is of models that there were on the way: in a short run, or behind a
 * peak, it is above what the last of them is worth. So the evaluation of that one decides wherever
 * it asks what training did. */

/* A loss that is no number fails every comparison: hence the negation. */
static bool is_above(double loss, double limit)
{
    return !(loss <= limit);
}

/* Of questions; 0: the split asks none. */
static int64_t farthest(const corpus_split *s)
{
    int64_t most = 0;
    for (int64_t i = 0; s && i < split_documents(s); i++) {
        const document d = split_document(s, i);
        if (d.answers == 0) return 0; /* no probe: all documents of a corpus are of one kind */
        most = MAX(most, d.distance);
    }
    return most;
}

bool blowup_further(corpus *c, split_kind evaluated)
{
    return farthest(corpus_get(c, evaluated)) > farthest(corpus_get(c, SPLIT_TRAIN));
}

bool blowup_find(char text[BLOWUP_TEXT_BYTES], const blowup_facts *f)
{
    double guess = log((double)f->vocab), margin = fmax(0.1, 8 / sqrt(fmax(f->step_targets, 1)));
    bool decides = !f->further && !f->learns;
    const char *what = NULL;
    double loss = f->evaluated;
    if (is_above(f->evaluated, f->further ? DBL_MAX : 1.05 * guess)) {
        what = f->learns ? "the final evaluation, which learns at the rate of eval.dynamic,"
                         : "the final evaluation";
    } else if (is_above(f->last, decides ? DBL_MAX : 1.05 * guess)) {
        what = "training";
        loss = f->last;
    }
    /* The first sentence is about a guess, the last about the run's own beginning: one of them is
     * enough. */
    if (what && !isfinite(loss)) {
        snprintf(text, BLOWUP_TEXT_BYTES, "%s ended at a loss that is not a finite number", what);
        return true;
    }
    if (what) {
        snprintf(text, BLOWUP_TEXT_BYTES,
                 "%s ended at %.4g nats per token; a uniform guess costs %.4g", what, loss, guess);
        return true;
    }
    double began = f->first * (1 + margin);
    if (began == 0 || !is_above(f->last, began)) return false;
    if (decides && !is_above(f->evaluated, began)) return false;
    snprintf(text, BLOWUP_TEXT_BYTES,
             "training ended at %.4g nats per token, above the %.4g that it began with", f->last,
             f->first);
    return true;
}
