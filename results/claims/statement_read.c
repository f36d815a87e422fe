#include "results/claims/statement_read.h"

#include <stddef.h>
#include <string.h>

/* One table of keys serves all kinds of statements, and which kind it is follows from the key that
 * only it has (better, within, at most, rises with, falls with, above). The table refuses what no
 * kind has; check_beside refuses a key that belongs to another kind, since one that is silently
 * ignored would be a claim that its author thinks was judged. Then each kind's reader takes what it
 * needs and says what is missing in the words of the claim, and the figure is settled last, once
 * margin, slice and distance, which all may name it, are read. */

/* A statement as it is written. */
typedef struct statement_source {
    const node *better, *than, *by, *variant, *variants, *within, *at_most, *of;
    const node *rises, *falls, *over, *where, *on, *slice, *above;
    int64_t split, distance, unit;
} statement_source;

#define WORD(field, spelling, what)                                                                \
    {                                                                                              \
        .name = spelling, .type = OPTION_NODE, .offset = offsetof(statement_source, field),        \
        .help = what                                                                               \
    }
const option STATEMENT_READ_KEYS[] = {
    WORD(better, "better", "the variant that is better"),
    WORD(than, "than", "the one that it is better than"),
    WORD(by, "by", "a margin with its unit"),
    WORD(variant, "variant", "the variant that within, at most or a trend is about"),
    WORD(variants, "variants", "those of a trend, in order"),
    WORD(within, "within", "a margin with its unit, either way"),
    WORD(at_most, "at most", "a factor"),
    WORD(of, "of", "the variant that within or at most compares to"),
    WORD(rises, "rises with", "an axis, or position, block, frequency, repetition"),
    WORD(falls, "falls with", "an axis, or position, block, frequency, repetition"),
    WORD(over, "over", "a trend's: the variant over which the gain is taken"),
    WORD(where, "where", "a trend's: values of the other axes"),
    WORD(above, "above",
         "another figure of the same variant, or a number, that `on` is larger than"),
    WORD(on, "on", "the figure; default: the comparison's"),
    WORD(slice, "slice", "{position: 512-}: a part of the text"),
    {.name = "split",
     .type = OPTION_CHOICE,
     .offset = offsetof(statement_source, split),
     .initial = "final",
     .choices = "final|train|validation|test",
     .help = "that is scored"},
    {.name = "distance",
     .type = OPTION_INT,
     .offset = offsetof(statement_source, distance),
     .initial = "null",
     .min = 0,
     .max = 1e15,
     .nullable = true,
     .help = "of a probe's questions, in tokens"},
    {.name = "unit",
     .type = OPTION_CHOICE,
     .offset = offsetof(statement_source, unit),
     .initial = "seeds",
     .choices = "seeds|documents",
     .help = "what is judged: training again, or these models on other documents"},
    {0}};

/* ---- names ---- */

/* In a spec a name may be a label or {axis: value}, which the sweep's scope resolves and checks; in
 * a record it is the label. */
static bool read_label(claim_reader *r, const char **label, const node *n)
{
    if (r->scope) {
        *label = r->scope->label(r->scope->user, n, r->e);
        return *label != NULL;
    }
    *label = n->text;
    return n->kind == NODE_SCALAR || node_err(r->e, n, "expected a variant's label");
}

/* In the order that they are written in: it is the trend's. */
static bool read_variants(claim_reader *r, claim_statement *s, const node *n)
{
    if (n->kind != NODE_LIST || n->count < 2) {
        return node_err(r->e, n, "expected a list of two variants or more, in the trend's order");
    }
    s->variants = ARENA_NEW(r->a, const char *, n->count);
    for (int i = 0; i < n->count; i++) {
        if (!read_label(r, &s->variants[s->count++], n->items[i])) return false;
    }
    return true;
}

/* ---- the kinds ---- */

/* What the figure is, once everything that may say so is read. Which figure has which parts: slices
 * of the text are recorded in bits per token alone, distances for probes alone. Else a claim would
 * wait for a figure that no evaluation has. */
static bool settle_figure(claim_reader *r, claim_statement *s, const statement_source *x)
{
    const claim_figure *slices = claim_figure_find("bits_per_token");
    const claim_figure *recall = claim_figure_find("recall");
    if (s->by != BY_NOTHING) {
        if (!s->on) s->on = slices;
        if (s->on != slices) {
            return node_err(r->e, x->on ? x->on : s->at,
                            "a slice of the text has bits_per_token and no %s", s->on->name);
        }
    } else if (s->on == slices) {
        return node_err(r->e, x->on ? x->on : s->at,
                        "bits_per_token are those of a slice; say which: slice: {position: 512-}");
    }
    if (s->distance >= 0) {
        if (!s->on) s->on = recall;
        if (s->on != recall) {
            return node_err(r->e, s->at, "only recall has a distance, not %s", s->on->name);
        }
    }
    return true;
}

static bool needs(claim_reader *r, const node *there, const node *at, const char *what)
{
    return there || node_err(r->e, at, "%s", what);
}

/* Losses and costs are above 0: none is lower by all of another one, however good. A record is of a
 * spec that was taken. */
static bool can_be_better(claim_reader *r, const claim_statement *s, const node *by)
{
    if (!r->scope || !s->relative || s->margin < 1 || (s->on && s->on->higher)) return true;
    return node_err(r->e, by,
                    "no %s is lower than another one by %.4g %% of it; give less than 100 %%",
                    s->on ? s->on->title : "loss", 100 * s->margin);
}

static bool read_better(claim_reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_BETTER;
    return needs(r, x->than, x->better, "better than which variant? add `than:`") &&
           read_label(r, &s->variant, x->better) && read_label(r, &s->other, x->than) &&
           (!x->by || (statement_parts_margin(r, s, x->by) && can_be_better(r, s, x->by)));
}

/* A figure of one model against another one of it, or a number; what they are measured in is
 * theirs. `other` is the variant itself, so that it has two sides of the same runs. */
static bool read_above(claim_reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_BETTER;
    if (!needs(r, x->variant, x->above, "whose figures are they? add `variant:`") ||
        !needs(r, x->on, x->above, "what is above it? add `on:`") ||
        !read_label(r, &s->variant, x->variant)) {
        return false;
    }
    if (x->above->kind == NODE_SCALAR) s->above = claim_figure_given(r->a, x->above->text);
    if ((!s->above && !statement_parts_figure(r, &s->above, x->above)) ||
        (x->by && !statement_parts_margin(r, s, x->by))) {
        return false;
    }
    s->other = s->variant;
    bool known = s->above->kind == FIGURE_INSPECT || s->above->kind == FIGURE_GIVEN;
    if (s->on->kind == FIGURE_INSPECT && known) return true;
    return node_err(r->e, x->above,
                    "above compares what loci inspect found: inspect.PART.FIGURE, or a number");
}

/* One margin for both sides; its two edges are the judge's. */
static bool read_within(claim_reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_WITHIN;
    if (!needs(r, x->variant, x->within, "which variant is it? add `variant:`") ||
        !needs(r, x->of, x->within, "within the margin of which variant? add `of:`") ||
        !read_label(r, &s->variant, x->variant) || !read_label(r, &s->other, x->of) ||
        !statement_parts_margin(r, s, x->within)) {
        return false;
    }
    /* Equality is never shown by a test, only that a difference is smaller than something
     * (Schuirmann 1987). */
    return s->margin > 0 ||
           node_err(r->e, x->within, "nothing is shown to be within 0; give a margin above it");
}

/* The figure has to be named: a factor of the comparison's own, of bits per byte, is rarely what is
 * meant. */
static bool read_at_most(claim_reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_AT_MOST;
    return needs(r, x->variant, x->at_most, "which variant is it? add `variant:`") &&
           needs(r, x->of, x->at_most, "times what which variant has? add `of:`") &&
           needs(r, x->on, x->at_most, "at most of what? add `on:`, such as evaluation_flops") &&
           read_label(r, &s->variant, x->variant) && read_label(r, &s->other, x->of) &&
           statement_parts_factor(r, s, x->at_most);
}

/* The margin of a trend: by how much a step rises. A share would be of the first value, or of the
 * last, or of the gain: no two readers agree. */
static bool read_step(claim_reader *r, claim_statement *s, const node *by)
{
    if (!by) return true;
    if (!statement_parts_margin(r, s, by)) return false;
    return !s->relative || node_err(r->e, by, "a trend's margin is in the figure's unit");
}

/* Along slices of the text or the depth of layers one model has all points; along an axis of the
 * sweep each point is a variant of its own. */
static bool read_trend(claim_reader *r, claim_statement *s, const statement_source *x)
{
    const node *along = x->rises ? x->rises : x->falls;
    s->kind = x->rises ? STATEMENT_RISES : STATEMENT_FALLS;
    if (along->kind != NODE_SCALAR) return node_err(r->e, along, "expected an axis of the sweep");
    s->along = along->text;
    if (x->over && !read_label(r, &s->other, x->over)) return false;
    slice_by by = claim_slices(s->along);
    bool depth = strcmp(s->along, "depth") == 0 && s->on && s->on->kind == FIGURE_INSPECT;
    if (by != BY_NOTHING || depth) { /* in one text, so of one variant */
        if (x->variants || x->where || (x->slice && (depth || s->by != by))) {
            return node_err(r->e, along,
                            "a trend along %s is one variant's: name it by `variant`, "
                            "and no other slice",
                            s->along);
        }
        s->by = by;
        return needs(r, x->variant, along, "whose figure is it? add `variant:`") &&
               read_label(r, &s->variant, x->variant) && read_step(r, s, x->by);
    }
    if (x->variant) {
        return node_err(r->e, x->variant,
                        "a trend along an axis is over several variants: `where: {AXIS: VALUE}` "
                        "says which, or `variants: [...]`");
    }
    /* A record always names its variants: the sweep that the axis belonged to is not at hand. */
    bool good = x->variants ? read_variants(r, s, x->variants)
                : r->scope  ? r->scope->along(r->scope->user, r->a, s, x->where, r->e)
                            : node_err(r->e, along, "names no variants");
    return good && read_step(r, s, x->by);
}

/* Which keys belong to none of the kinds that stand there. The first kind that is met claims the
 * map; a second one, or a key of neither, is an error at its own place rather than at the
 * statement's. */
static bool check_beside(claim_reader *r, const statement_source *x, const node *n)
{
    const node *kinds[] = {x->better, x->within, x->at_most, x->rises, x->falls, x->above};
    const node *first = NULL;
    for (int i = 0; i < 6; i++) {
        if (!kinds[i]) continue;
        if (first) {
            return node_err(r->e, kinds[i],
                            "one statement at a time; several that are all needed stand in "
                            "all: [{...}, {...}]");
        }
        first = kinds[i];
    }
    if (!first) {
        return node_err(r->e, n,
                        "states nothing; expected one of better, within, at most, above, rises "
                        "with, falls with");
    }
    bool trend = x->rises || x->falls;
    if (x->than && !x->better) return node_err(r->e, x->than, "`than` goes with `better`");
    if (x->by && !x->better && !x->above && !trend) {
        return node_err(r->e, x->by,
                        "`by` goes with `better` and trends; `within: MARGIN`, `at "
                        "most: FACTOR` have it themselves");
    }
    if (x->variant && x->better) return node_err(r->e, x->variant, "`better` names the variant");
    if (x->of && !x->within && !x->at_most) {
        return node_err(r->e, x->of, "`of` goes with `within` and `at most`; a gain is `over`");
    }
    const node *of_trend = x->over ? x->over : x->variants ? x->variants : x->where;
    return trend || !of_trend || node_err(r->e, of_trend, "this goes with a trend");
}

/* What a document has a figure of, as it has one of the whole text. */
static bool check_unit(claim_reader *r, const claim_statement *s)
{
    if (!s->by_document) return true;
    const claim_figure *f = s->on; /* NULL: the comparison's own, one of these three */
    if (s->by == BY_NOTHING && (!f || f->kind == FIGURE_METRIC)) return true;
    return node_err(r->e, node_get(s->at, "unit"),
                    "documents are judged by bits_per_byte, word_perplexity or perplexity, not by "
                    "%s",
                    f->name);
}

/* With `above` both sides are the same model, and have to be. */
static bool same_twice(claim_reader *r, const claim_statement *s)
{
    if (!s->variant || !s->other || s->above || strcmp(s->variant, s->other) != 0) return true;
    return node_err(r->e, s->at, "compares '%s' with itself", s->variant);
}

bool statement_read(claim_reader *r, claim_statement *s, const node *n, const char *const *ignore)
{
    static const char *const splits[] = {NULL, "train", "validation", "test"};
    statement_source x;
    if (!options_read(&x, STATEMENT_READ_KEYS, n, ignore, r->a, r->e) || !check_beside(r, &x, n)) {
        return false;
    }
    *s = (claim_statement){.at = n,
                           .split = splits[x.split],
                           .high = INT64_MAX,
                           .distance = x.distance,
                           .by_document = x.unit == 1};
    if (x.on && !statement_parts_figure(r, &s->on, x.on)) return false;
    if (x.slice && !statement_parts_slice(r, s, x.slice)) return false;
    /* Before the kinds are read: a margin's unit is checked against the figure, if it is known. */
    if (s->by != BY_NOTHING && !s->on) s->on = claim_figure_find("bits_per_token");
    bool good = x.better    ? read_better(r, s, &x)
                : x.above   ? read_above(r, s, &x)
                : x.within  ? read_within(r, s, &x)
                : x.at_most ? read_at_most(r, s, &x)
                            : read_trend(r, s, &x);
    return good && settle_figure(r, s, &x) && check_unit(r, s) && same_twice(r, s);
}
