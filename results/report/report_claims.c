#include "results/report/report_claims.h"

#include <stdlib.h>

#include "core/base/text.h"
#include "results/claims/claims_print.h"
#include "results/report/html.h"

/* Sentences come from claims_print.c and are those of `loci claims`; what is added here is colour.
 * Nothing is judged anew: the page and its picture show one judgement. */

/* Colours as for verdicts of variants; undecided ones have none. */
static void put_sentence(FILE *out, const stated_claim *c)
{
    static const char *const classes[] = {"", "better", "worse"};
    text_memory m;
    FILE *f = text_begin(&m);
    if (*c->claim->says) fprintf(f, "%s. ", c->claim->says);
    claims_sentence(f, c);
    if (c->verdict->looks > 0) fputs("; ", f);
    claims_looks(f, c);
    text_auto *text = text_end(&m);
    html_element(out, "li", classes[c->verdict->verdict], text);
}

/* Sentences first, then the same claims as a table with their numbers and costs. */
void report_claims(FILE *out, arena *a, const claims *x)
{
    /* An experiment whose claims were all withdrawn says so. */
    if (x->count + x->withdrawn == 0) return;
    html_element(out, "h2", "", "Claims");
    fputs("<ul>\n", out);
    for (int i = 0; i < x->count; i++) {
        put_sentence(out, &x->list[i]);
    }
    fputs("</ul>\n", out);
    if (x->count > 0) html_table(out, claims_table(a, &x, 1), NULL);
    html_element(
        out, "p", "note",
        "Holds or fails: p below 0.05 after Holm's correction over the claims; intervals "
        "are not corrected. Paired by seed, or by document where n has documents. Cost: of the "
        "two sides.");
    if (x->flat.n > 0) {
        text_memory m;
        flatness_words(text_begin(&m), &x->flat);
        text_auto *text = text_end(&m);
        html_element(out, "p", "note", text);
    }
    if (x->withdrawn > 0) {
        /* Names are cut to 512 bytes where they are joined (claims.c). */
        char text[640];
        snprintf(text, sizeof text, "Withdrawn when there were results: %s.", x->withdrawn_names);
        html_element(out, "p", "note", text);
    }
}
