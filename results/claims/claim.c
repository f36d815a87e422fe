#include "results/claims/claim.h"

#include <string.h>

/* A claim in words. The sentence is made of the claim as it was resolved, never of the text of the
 * spec, so that it says what is judged: defaults, the variants that an axis stands for and the unit
 * of a margin are in it. Tables, plots and the report all show this one sentence. */

slice_by claim_slices(const char *along)
{
    for (int by = BY_NOTHING + 1; by < SLICE_BY_COUNT; by++) {
        if (strcmp(along, compare_slices_by_name((slice_by)by)) == 0) return (slice_by)by;
    }
    return BY_NOTHING;
}

/* A margin with its unit: "0.02 bits/byte", "2 %", "1.1 times". A relative margin is kept as a
 * share, and shown in %. */
static void put_margin(char text[64], const claim_statement *s)
{
    const char *unit = s->on ? s->on->unit : "";
    if (s->kind == STATEMENT_AT_MOST) {
        snprintf(text, 64, "%g times", s->margin);
    } else if (s->relative) {
        snprintf(text, 64, "%g %%", 100 * s->margin);
    } else {
        snprintf(text, 64, "%g%s%s", s->margin, *unit ? " " : "", unit);
    }
}

static void put_slice(FILE *out, const claim_statement *s)
{
    if (s->by == BY_NOTHING) return;
    fprintf(out, ", where %s is ", compare_slices_by_name(s->by));
    if (s->high == INT64_MAX) {
        fprintf(out, "%lld or more", (long long)s->low);
    } else if (s->low == s->high) {
        fprintf(out, "%lld", (long long)s->low);
    } else {
        fprintf(out, "%lld to %lld", (long long)s->low, (long long)s->high);
    }
}

/* A trend along an axis names all its variants, in the order in which it counts its steps; a trend
 * along slices has one variant and no list. */
static void put_trend(FILE *out, const claim_statement *s)
{
    char margin[64];
    put_margin(margin, s);
    fprintf(out, "the %s of ", s->other ? "gain" : "figure");
    for (int i = 0; i < s->count; i++) {
        fprintf(out, "%s'%s'", i ? ", " : "", s->variants[i]);
    }
    if (s->variant) fprintf(out, "'%s'", s->variant);
    if (s->other) fprintf(out, " over '%s'", s->other);
    fprintf(out, " %s with %s", s->kind == STATEMENT_RISES ? "rises" : "falls", s->along);
    if (s->margin > 0) fprintf(out, " by more than %s a step", margin);
}

/* What the statement is about, behind what it says. */
static void put_figure(FILE *out, const claim_statement *s)
{
    if (s->on) fprintf(out, ", in %s", s->on->title);
    if (s->distance >= 0) fprintf(out, " at distance %lld", (long long)s->distance);
    /* The slices of a trend that goes over all of them are not spelt out: its axis has named
     * them. */
    if (!s->along || claim_slices(s->along) == BY_NOTHING || s->low > 0 || s->high < INT64_MAX) {
        put_slice(out, s);
    }
    if (s->split) fprintf(out, ", on the %s split", s->split);
    if (s->by_document) fputs(", document by document", out);
}

void claim_words(FILE *out, const claim_statement *s)
{
    char margin[64];
    put_margin(margin, s);
    switch (s->kind) {
    case STATEMENT_BETTER:
        /* Both sides are figures of one model, named in full: no `on`, no split, no slice
         * follows. */
        if (s->above) {
            fprintf(out, "of '%s' %s is above %s", s->variant, s->on->title, s->above->title);
            if (s->margin > 0) fprintf(out, " by more than %s", margin);
            return;
        }
        fprintf(out, "'%s' is better than '%s'", s->variant, s->other);
        if (s->margin > 0) fprintf(out, " by more than %s", margin);
        break;
    case STATEMENT_WITHIN:
        fprintf(out, "'%s' and '%s' differ by less than %s", s->variant, s->other, margin);
        break;
    case STATEMENT_AT_MOST:
        fprintf(out, "'%s' takes at most %s what '%s' does", s->variant, margin, s->other);
        break;
    case STATEMENT_RISES:
    case STATEMENT_FALLS:
    default:
        put_trend(out, s);
    }
    put_figure(out, s);
}
