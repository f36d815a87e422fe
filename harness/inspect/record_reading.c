/* JSON lines about what changes while a model reads: fast weights and states. Sums become numbers
 * here and not before (inspection_sum_of): until then they are exact. */
#include "harness/inspect/record_reading.h"

#include "core/base/json.h"
#include "harness/inspect/inspect_changes.h"
#include "harness/inspect/inspect_states.h"

/* ---- changes ---- */

/* Tokens that rose most at this position, with the probability that they gained. */
static json_t *rises(record_lines *r, const change_moment *m)
{
    json_t *list = json_array();
    for (int i = 0; i < MOMENT_TOKENS && m->tops[i] >= 0; i++) {
        json_array_append_new(
            list, json_pack("[o, f]", record_lines_token(r, m->tops[i]), (double)m->rises[i]));
    }
    return list;
}

/* A moment is written by its place in the list, with the text of its prefix: the position alone
 * would say nothing without the corpus. */
static bool put_moments(record_lines *r, const layer *l, const char *direction,
                        const change_moment *list, int n, err *e)
{
    const prefixes *p = &r->x->sample_text;
    for (int i = 0; i < n; i++) {
        const change_moment *m = &list[i];
        int64_t d = prefixes_document(p, m->token);
        json_t *line = json_pack("{s:s, s:i, s:s, s:I, s:I, s:f, s:f, s:f, s:o, s:o, s:o}", "layer",
                                 l->name, "moment", i, "direction", direction, "document",
                                 (json_int_t)d, "position", (json_int_t)(m->token - p->first[d]),
                                 "gain", m->gain, "before", (double)m->before, "after",
                                 (double)m->after, "next", record_lines_token(r, m->next), "rises",
                                 rises(r, m), "text", record_lines_prefix(r, p, m->token));
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* The tokens of document `index` (-1: all) that rose most, or fell most. */
static bool put_tokens(record_lines *r, const inspected_changes *l, int64_t index, double sign,
                       err *e)
{
    int64_t vocab = r->x->sample_text.vocab;
    const token_change *list = l->tokens + (1 + index) * vocab;
    int32_t order[CHANGED_TOKENS];
    int n = inspect_changes_tokens(order, list, vocab, sign);
    for (int i = 0; i < n; i++) {
        const token_change *t = &list[order[i]];
        /* rise is a sum over positions of probability; gain is a mean over the positions that the
         * token followed, and unknown where it followed none. */
        json_t *gain =
            t->next ? json_finite(inspection_sum_of(t->gain) / (double)t->next) : json_null();
        json_t *line =
            json_pack("{s:s, s:I, s:s, s:i, s:o, s:f, s:I, s:o}", "layer", l->layer->name,
                      "changed", (json_int_t)index, "direction", sign > 0 ? "risen" : "fallen",
                      "place", i, "token", record_lines_token(r, order[i]), "rise",
                      inspection_sum_of(t->rise), "next", (json_int_t)t->next, "gain", gain);
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* Lists of all documents together (-1) and of the first ones apart: what was learned from one book
 * is forgotten in the sum over many. */
bool record_reading_changes(record_lines *r, err *e)
{
    for (int i = 0; i < r->x->change_count; i++) {
        const inspected_changes *l = &r->x->changes[i];
        int64_t documents = MIN(r->x->sample_text.documents, (int64_t)CHANGED_DOCUMENTS);
        for (int64_t d = -1; d < documents; d++) {
            if (!put_tokens(r, l, d, 1, e) || !put_tokens(r, l, d, -1, e)) return false;
        }
        if (!put_moments(r, l->layer, "gained", l->most, l->most_count, e) ||
            !put_moments(r, l->layer, "lost", l->least, l->least_count, e)) {
            return false;
        }
    }
    return true;
}

/* ---- states ---- */

/* `mean` is per occurrence of the token; tokens that occur seldom are left out (inspect_states.c).
 */
static bool put_uses(record_lines *r, const inspected_exchange *l, err *e)
{
    int32_t order[USE_TOKENS];
    int n = inspect_states_tokens(order, USE_TOKENS, l, l->token_sum, r->x->sample_text.vocab);
    for (int i = 0; i < n; i++) {
        int64_t count = l->token_count[order[i]];
        json_t *line = json_pack("{s:s, s:s, s:i, s:o, s:I, s:f}", "layer", l->layer->name, "uses",
                                 l->exchange.name, "place", i, "token",
                                 record_lines_token(r, order[i]), "count", (json_int_t)count,
                                 "mean", inspection_sum_of(l->token_sum[order[i]]) / (double)count);
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* A place: its share of all, and the tokens that it has most to do with: mean weight of their
 * positions, relative to that of all positions (1: no more than any other token). */
static bool put_places(record_lines *r, const inspected_exchange *l, err *e)
{
    int64_t vocab = r->x->sample_text.vocab;
    double all = 0;
    for (int64_t p = 0; p < l->exchange.places; p++) {
        all += inspection_sum_of(l->place_sum[p]);
    }
    for (int64_t p = 0; p < l->exchange.places && all > 0; p++) {
        int32_t order[PLACE_TOKENS];
        /* No sums by token where places times tokens were too many: shares are told all the same.
         */
        const int64_t *sums = l->place_token ? l->place_token + p * vocab : NULL;
        int n = sums ? inspect_states_tokens(order, PLACE_TOKENS, l, sums, vocab) : 0;
        double mean = inspection_sum_of(l->place_sum[p]) / (double)MAX(l->positions, 1);
        json_t *tokens = json_array();
        for (int i = 0; i < n && mean > 0; i++) {
            double own = inspection_sum_of(sums[order[i]]) / (double)l->token_count[order[i]];
            json_array_append_new(tokens,
                                  json_pack("[o, f]", record_lines_token(r, order[i]), own / mean));
        }
        json_t *line = json_pack("{s:s, s:s, s:I, s:f, s:o}", "layer", l->layer->name, "exchange",
                                 l->exchange.name, "place", (json_int_t)p, "share",
                                 inspection_sum_of(l->place_sum[p]) / all, "tokens", tokens);
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* spots has one list, that of "memory" 0. */
static bool put_spots(record_lines *r, const inspected_exchange *l, err *e)
{
    const prefixes *p = &r->x->sample_text;
    for (int i = 0; i < l->spots.sizes[0]; i++) {
        const trigger *t = triggers_of(&l->spots, 0) + i;
        int64_t d = prefixes_document(p, t->token);
        json_t *line =
            json_pack("{s:s, s:s, s:i, s:I, s:I, s:f, s:o, s:o}", "layer", l->layer->name, "spots",
                      l->exchange.name, "place", i, "document", (json_int_t)d, "position",
                      (json_int_t)(t->token - p->first[d]), "value", (double)t->coefficient, "next",
                      record_lines_token(r, t->next), "text", record_lines_prefix(r, p, t->token));
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

bool record_reading_states(record_lines *r, err *e)
{
    for (int i = 0; i < r->x->exchange_count; i++) {
        const inspected_exchange *l = &r->x->exchanges[i];
        if (!put_places(r, l, e) || !put_uses(r, l, e) || !put_spots(r, l, e)) return false;
    }
    return true;
}
