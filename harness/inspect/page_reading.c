/* The page's sections about what changes while a model reads: what fast weights made likelier, with
 * the positions that gained and lost most, and what states take in and are read by. Lists are cut
 * to what one looks at; the JSON lines hold more (record_reading.c). */
#include "harness/inspect/page_reading.h"

#include "harness/inspect/inspect_changes.h"
#include "harness/inspect/inspect_states.h"
#include "harness/inspect/page_html.h"

enum { PAGE_MOMENTS = 8, PAGE_PLACES = 8, PAGE_SPOTS = 8 };

/* ---- changes ---- */

/* The sums of all documents, which stand at the front of `tokens`. */
static void put_changed(FILE *out, const inspection *x, const inspected_changes *l, double sign)
{
    int32_t order[CHANGED_TOKENS];
    int n = inspect_changes_tokens(order, l->tokens, x->sample_text.vocab, sign);
    fprintf(out, "<p>%s over the whole text:", sign > 0 ? "risen" : "fallen");
    for (int i = 0; i < n; i++) {
        fputc(' ', out);
        page_html_token(out, &x->sample_text, order[i]);
        fprintf(out, " %.3g", inspection_sum_of(l->tokens[order[i]].rise));
    }
    fputs("</p>\n", out);
}

/* `list` is in order, the strongest first: the page shows its beginning. */
static void put_moments(FILE *out, const inspection *x, const change_moment *list, int n, arena *a)
{
    fputs("<table><tr><th>nats</th><th>prefix</th><th class=t>next</th><th>without</th>"
          "<th>with</th><th class=t>rose most</th></tr>\n",
          out);
    for (int i = 0; i < MIN(n, PAGE_MOMENTS); i++) {
        const change_moment *m = &list[i];
        fprintf(out, "<tr><td>%.2f</td><td class=t>", m->gain);
        page_html_prefix(out, &x->sample_text, m->token, a);
        fputs("</td><td class=t>", out);
        page_html_token(out, &x->sample_text, m->next);
        fprintf(out, "</td><td>%.3g</td><td>%.3g</td><td class=t>", (double)m->before,
                (double)m->after);
        for (int k = 0; k < MOMENT_TOKENS && m->tops[k] >= 0; k++) {
            page_html_token(out, &x->sample_text, m->tops[k]);
        }
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

void page_reading_changes(FILE *out, const inspection *x, arena *a)
{
    for (int i = 0; (x->parts & INSPECT_CHANGES) && i < x->change_count; i++) {
        const inspected_changes *l = &x->changes[i];
        fprintf(out, "<h2>%s: what its fast weights changed</h2>\n", l->layer->name);
        put_changed(out, x, l, 1);
        put_changed(out, x, l, -1);
        fputs("<h3>most gained</h3>\n", out);
        put_moments(out, x, l->most, l->most_count, a);
        fputs("<h3>most lost</h3>\n", out);
        put_moments(out, x, l->least, l->least_count, a);
    }
}

/* ---- states ---- */

static void put_tokens(FILE *out, const inspection *x, const int32_t *order, int n)
{
    for (int i = 0; i < n; i++) {
        fputc(' ', out);
        page_html_token(out, &x->sample_text, order[i]);
    }
}

/* Without place_token (too large a vocabulary times places) there is a heading and no rows. */
static void put_places(FILE *out, const inspection *x, const inspected_exchange *l)
{
    int64_t vocab = x->sample_text.vocab;
    fprintf(out, "<table><tr><th>state</th><th class=t>tokens that it %s most</th></tr>\n",
            l->exchange.write ? "takes in" : "is read by");
    for (int64_t p = 0; p < MIN(l->exchange.places, (int64_t)PAGE_PLACES) && l->place_token; p++) {
        int32_t order[PLACE_TOKENS];
        int n = inspect_states_tokens(order, PLACE_TOKENS, l, l->place_token + p * vocab, vocab);
        fprintf(out, "<tr><td>%lld</td><td class=t>", (long long)p);
        put_tokens(out, x, order, n);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

/* The number's unit differs: what a write takes in is relative to an even choice, what a read gives
 * is relative to the layer's output. */
static void put_spots(FILE *out, const inspection *x, const inspected_exchange *l, arena *a)
{
    fprintf(out, "<table><tr><th>%s</th><th>position</th></tr>\n",
            l->exchange.write ? "times an equal share" : "of the output");
    for (int i = 0; i < MIN(l->spots.sizes[0], (int32_t)PAGE_SPOTS); i++) {
        const trigger *t = triggers_of(&l->spots, 0) + i;
        fprintf(out, "<tr><td>%.3g</td><td class=t>", (double)t->coefficient);
        page_html_prefix(out, &x->sample_text, t->token, a);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

void page_reading_states(FILE *out, const inspection *x, arena *a)
{
    for (int i = 0; (x->parts & INSPECT_STATES) && i < x->exchange_count; i++) {
        const inspected_exchange *l = &x->exchanges[i];
        int32_t order[USE_TOKENS];
        int n = inspect_states_tokens(order, USE_TOKENS, l, l->token_sum, x->sample_text.vocab);
        fprintf(out, "<h2>%s: %s, states of %s</h2>\n<p>tokens that %s most:", l->layer->name,
                l->exchange.name, l->exchange.owner->name,
                l->exchange.write ? "are written" : "read");
        put_tokens(out, x, order, n);
        fputs("</p>\n", out);
        put_spots(out, x, l, a);
        put_places(out, x, l);
    }
}
