#include "results/claims/flatness.h"

#include <math.h>
#include <stdio.h>

#include "results/compare/compare_at.h"
#include "results/compare/compare_read.h"
#include "results/table/table.h"

/* The fall over the last doubling is the loss after half of the tokens less that at the end, seed
 * by seed: log2(2) = 1 doubling lies between them, whatever the budget. The learning rate falls in
 * that half, which makes the loss fall as well, so that what is called flat is flat; what is not
 * may be flatter than it looks.
 *
 * Loss after half of the tokens comes from evaluations on the way (compare_at), of the same text in
 * the same way as the final one. */

/* Bits per byte; without bytes bits per token, log2 of the perplexity. */
static double bits_of(const compared_run *r, bool bytes)
{
    return bytes ? r->value[COMPARE_BITS_PER_BYTE] : log2(r->value[COMPARE_PERPLEXITY]);
}

/* By the mark of the plan: what is judged plain is what the experiment calls so. */
static const compared_variant *baseline_of(const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        if (c->variants[i].is_baseline) return &c->variants[i];
    }
    return NULL;
}

/* Budgets of seeds are the same, so one scored run tells them; NULL: there is none. */
static const compared_run *trained_run(const compared_variant *v)
{
    for (int i = 0; v && i < v->run_count; i++) {
        if (v->runs[i].scored && v->runs[i].trained_tokens > 0) return &v->runs[i];
    }
    return NULL;
}

bool flatness_read(flatness *f, arena *a, store *s, const comparison *runs, err *e)
{
    const compared_variant *end = baseline_of(runs);
    const compared_run *any = trained_run(end);
    *f = (flatness){.unit = "bits/byte"};
    if (!any) return true;
    compare_options half = {.at = AT_TOKENS, .at_amount = (double)any->trained_tokens / 2};
    comparison *way = compare_read(a, s, runs->experiment, NULL, e);
    if (!way || !compare_at(way, a, s, &half, e)) return false;
    const compared_variant *v = baseline_of(way);
    bool bytes = isfinite(any->value[COMPARE_BITS_PER_BYTE]);
    f->variant = end->label;
    f->tokens = (double)any->trained_tokens;
    if (!bytes) f->unit = "bits/token";
    for (int i = 0; i < end->run_count; i++) {
        const compared_run *r = compare_run(v, end->runs[i].seed);
        if (!r || !r->scored || !end->runs[i].scored) continue;
        double fall = bits_of(r, bytes) - bits_of(&end->runs[i], bytes);
        if (!isfinite(fall)) continue;
        f->n++;
        /* The mean, kept up as seeds come. */
        f->fall += (fall - f->fall) / f->n;
    }
    return true;
}

void flatness_words(FILE *out, const flatness *f)
{
    char from[16], to[16];
    if (f->n == 0) return;
    table_si(from, f->tokens / 2);
    table_si(to, f->tokens);
    fprintf(out, "'%s' still gained %.3g %s over its last doubling of tokens (%s to %s; %d seed%s)",
            f->variant, f->fall, f->unit, from, to, f->n, f->n == 1 ? "" : "s");
    if (f->fall < FLATNESS_BITS) {
        fprintf(out, ": its curve is flat (below %g)", FLATNESS_BITS);
    } else {
        fprintf(out, ": its curve is not flat (below %g); verdicts are on models that still learn",
                FLATNESS_BITS);
    }
}
