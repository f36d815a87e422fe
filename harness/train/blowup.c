#include "harness/train/blowup.h"

#include <math.h>
#include <stdio.h>

/* A loss that is no number fails every comparison: hence the negation. */
static bool is_above(double loss, double limit)
{
    return !(loss <= limit);
}

bool blowup_find(char text[BLOWUP_TEXT_BYTES], const blowup_facts *f)
{
    double guess = log((double)f->vocab), margin = fmax(0.1, 8 / sqrt(fmax(f->step_targets, 1)));
    const char *what = NULL;
    double loss = f->evaluated;
    if (is_above(f->evaluated, 1.05 * guess)) {
        what = "the final evaluation";
    } else if (is_above(f->last, 1.05 * guess)) {
        what = "training";
        loss = f->last;
    }
    if (what) {
        snprintf(text, BLOWUP_TEXT_BYTES,
                 "%s ended at %.4g nats per token; a uniform guess costs %.4g", what, loss, guess);
        return true;
    }
    if (!is_above(f->last, f->first * (1 + margin))) return false;
    snprintf(text, BLOWUP_TEXT_BYTES,
             "training ended at %.4g nats per token, above the %.4g that it began with", f->last,
             f->first);
    return true;
}
