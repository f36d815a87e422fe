#include "results/claims/claim_read.h"

/* The claim as it is recorded: claim_read understands it without a scope.
 *
 * The record is hashed, and another hash than before says that a claim was changed, after the fact
 * if there were results by then. So the form is canonical: each key in one place, defaults left out
 * in one way, every name resolved to a label, and no word of how the spec spelt it. To write a key
 * differently here marks all claims that were ever recorded as changed. */

/* What was not given is left out rather than written as "", so that a key that is added later
 * changes no hash of a claim that does not use it. */
static void put(arena *a, node *map, const char *key, const char *text)
{
    if (text && *text) node_set(a, map, key, node_scalar(a, text, false));
}

static void put_number(arena *a, node *map, const char *key, double x, const char *unit)
{
    char text[64];
    /* 15 digits and not 17: 2 % is kept as 0.02, and 100 times that is to be written as 2, not with
     * the rounding behind it. A number with a unit is text; one alone is a number. */
    snprintf(text, sizeof text, "%.15g%s%s", x, *unit ? " " : "", unit);
    node_set(a, map, key, node_scalar(a, arena_strdup(a, text), !*unit));
}

/* A margin of 0 has no unit: of a claim without `by` none was said. */
static void put_margin(arena *a, node *map, const char *key, const claim_statement *s)
{
    const char *unit = s->relative ? "%" : s->on && s->margin > 0 ? s->on->unit : "";
    put_number(a, map, key, s->relative ? 100 * s->margin : s->margin, unit);
}

static void put_slice(arena *a, node *map, const claim_statement *s)
{
    char text[64];
    /* All of the slices is what no range says. */
    if (s->by == BY_NOTHING || (s->low == 0 && s->high == INT64_MAX)) return;
    int n = snprintf(text, sizeof text, "%lld-", (long long)s->low);
    if (s->high < INT64_MAX)
        snprintf(text + n, sizeof text - (size_t)n, "%lld", (long long)s->high);
    /* Open above: "512-". A slice of one value is written as "0-0", which reads back as the
     * same. */
    node *range = node_map(a);
    put(a, range, compare_slices_by_name(s->by), arena_strdup(a, text));
    node_set(a, map, "slice", range);
}

static void put_trend(arena *a, node *map, const claim_statement *s)
{
    node *list = node_list(a);
    put(a, map, s->kind == STATEMENT_RISES ? "rises with" : "falls with", s->along);
    for (int i = 0; i < s->count; i++) {
        node_append(a, list, node_scalar(a, s->variants[i], false));
    }
    if (s->count) node_set(a, map, "variants", list);
    put(a, map, "variant", s->variant);
    put(a, map, "over", s->other);
    put_margin(a, map, "by", s);
}

static node *statement_node(arena *a, const claim_statement *s)
{
    node *n = node_map(a);
    switch (s->kind) {
    case STATEMENT_BETTER:
        /* With `above` the other side is the variant itself, which the reader sets; it is not
         * written. */
        put(a, n, s->above ? "variant" : "better", s->variant);
        if (s->above) put(a, n, "above", s->above->name);
        if (!s->above) put(a, n, "than", s->other);
        put_margin(a, n, "by", s);
        break;
    case STATEMENT_WITHIN:
        put(a, n, "variant", s->variant);
        put(a, n, "of", s->other);
        put_margin(a, n, "within", s);
        break;
    case STATEMENT_AT_MOST:
        put(a, n, "variant", s->variant);
        put(a, n, "of", s->other);
        put_number(a, n, "at most", s->margin, "");
        break;
    case STATEMENT_RISES:
    case STATEMENT_FALLS:
    default:
        put_trend(a, n, s);
    }
    if (s->on) put(a, n, "on", s->on->name);
    put(a, n, "split", s->split);
    put_slice(a, n, s);
    if (s->distance >= 0) node_set(a, n, "distance", node_int(a, s->distance));
    if (s->by_document) put(a, n, "unit", "documents"); /* the other one leaves hashes alone */
    return n;
}

node *claim_node(arena *a, const claim *c)
{
    node *n = node_map(a), *all = node_list(a);
    put(a, n, "name", c->name);
    put(a, n, "says", c->says);
    put(a, n, "source", c->source);
    put(a, n, "page", c->page);
    for (int i = 0; i < c->count; i++) {
        node_append(a, all, statement_node(a, &c->statements[i]));
    }
    /* Always a list, also of one statement: a claim reads alike whether its spec had `all` or
     * not. */
    node_set(a, n, "all", all);
    /* When it is judged belongs to the claim: who adds looks afterwards has changed it. */
    if (c->at_least > 0) {
        node *looks = node_map(a);
        node_set(a, looks, "at least", node_int(a, c->at_least));
        node_set(a, looks, "at most", node_int(a, c->at_most));
        put(a, looks, "spending", c->pocock ? "pocock" : "obrien-fleming");
        node_set(a, n, "looks", looks);
    }
    return n;
}
