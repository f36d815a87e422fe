#include "results/claims/claim_read.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "results/claims/spending.h"

typedef struct claim_source {
    const char *name, *says, *source, *page;
    const node *all, *looks;
} claim_source;

#define KEY(S, field, spelling, what)                                                              \
    {                                                                                              \
        .name = spelling, .type = OPTION_NODE, .offset = offsetof(S, field), .help = what          \
    }
#define TEXT(field, what)                                                                          \
    {                                                                                              \
        .name = #field, .type = OPTION_TEXT, .offset = offsetof(claim_source, field),              \
        .initial = "null", .nullable = true, .help = what                                          \
    }
static const option CLAIM_KEYS[] = {
    {.name = "name",
     .type = OPTION_TEXT,
     .offset = offsetof(claim_source, name),
     .help = "what it is called"},
    TEXT(says, "one sentence"),
    TEXT(source, "paper, table"),
    TEXT(page, "where it is written up"),
    KEY(claim_source, all, "all", "statements that are all needed"),
    KEY(claim_source, looks, "looks", "of a record: when it is judged"),
    {0}};

/* A statement as it is written. */
typedef struct statement_source {
    const node *better, *than, *by, *variant, *variants, *within, *at_most, *of;
    const node *rises, *falls, *over, *where, *on, *slice, *above;
    int64_t split, distance;
} statement_source;

#define WORD(field, spelling, what) KEY(statement_source, field, spelling, what)
static const option STATEMENT_KEYS[] = {
    WORD(better, "better", "the variant that is better"),
    WORD(than, "than", "the one that it is better than"),
    WORD(by, "by", "a margin with its unit"),
    WORD(variant, "variant", "the variant that within, at most or a trend is about"),
    WORD(variants, "variants", "those of a trend, in order"),
    WORD(within, "within", "a margin with its unit, either way"),
    WORD(at_most, "at most", "a factor"),
    WORD(of, "of", "the variant that within or at most compares to"),
    WORD(rises, "rises with", "an axis, or position, frequency, repetition"),
    WORD(falls, "falls with", "an axis, or position, frequency, repetition"),
    WORD(over, "over", "a trend's: the variant over which the gain is taken"),
    WORD(where, "where", "a trend's: values of the other axes"),
    WORD(above, "above", "another figure of the same variant, that `on` is larger than"),
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
    {0}};

typedef struct reader {
    arena *a;
    const claim_scope *scope;
    err *e;
} reader;

/* ---- names ---- */

static bool read_label(reader *r, const char **label, const node *n)
{
    if (r->scope) {
        *label = r->scope->label(r->scope->user, n, r->e);
        return *label != NULL;
    }
    *label = n->text;
    return n->kind == NODE_SCALAR || node_err(r->e, n, "expected a variant's label");
}

static bool read_variants(reader *r, claim_statement *s, const node *n)
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

/* ---- margins ---- */

static bool unknown_unit(reader *r, const claim_statement *s, const node *n, const char *unit)
{
    if (s->on && *s->on->unit) {
        return node_err(r->e, n, "'%.40s' is no unit of %s; write '%s' or '%%'", unit, s->on->name,
                        s->on->unit);
    }
    if (s->on) return node_err(r->e, n, "a margin of %s is given in %%", s->on->name);
    return node_err(r->e, n, "no figure has the unit '%.40s'; write 0.02 bits/byte, or 2 %%", unit);
}

/* "0.02 bits/byte", "2 %", "0". Its unit says which figure is meant, if nothing else does. */
static bool read_margin(reader *r, claim_statement *s, const node *n)
{
    if (n->kind != NODE_SCALAR) return node_err(r->e, n, "expected a margin, like 0.02 bits/byte");
    char *number = arena_strdup(r->a, n->text);
    char *unit = number + strspn(number, "+-.0123456789eE_kMG");
    const char *given = arena_strdup(r->a, unit + strspn(unit, " "));
    *unit = 0;
    if (!option_text_to_real(number, &s->margin) || !(s->margin >= 0) || isinf(s->margin)) {
        return node_err(r->e, n, "'%.40s' is no margin; one looks like 0.02 bits/byte, or 2 %%",
                        n->text);
    }
    if (strcmp(given, "%") == 0) {
        s->relative = true;
        s->margin /= 100;
        return true;
    }
    if (!*given) {
        if (!(s->margin > 0)) return true;
        return node_err(r->e, n, "a margin has a unit: %.40s %s, or a share of the other's in %%",
                        n->text, s->on && *s->on->unit ? s->on->unit : "bits/byte");
    }
    if (!s->on) s->on = claim_figure_of_unit(given);
    return (s->on && claim_figure_has_unit(s->on, given)) || unknown_unit(r, s, n, given);
}

static bool read_factor(reader *r, claim_statement *s, const node *n)
{
    if (n->kind == NODE_SCALAR && option_text_to_real(n->text, &s->margin) && s->margin > 0 &&
        isfinite(s->margin)) {
        return true;
    }
    return node_err(r->e, n, "expected a factor above 0, such as 1.1 or 0.33: times what `of` has");
}

/* ---- figures and slices ---- */

static bool read_figure(reader *r, const claim_figure **f, const node *n)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int count = 0;
    if (n->kind != NODE_SCALAR) return node_err(r->e, n, "expected a figure's name");
    *f = claim_figure_find(n->text);
    if (!*f) *f = claim_figure_inspect(r->a, n->text);
    if (*f) return true;
    for (const claim_figure *k = CLAIM_FIGURES; k->name && count < MOST; k++) {
        names[count++] = k->name;
    }
    const char *near = option_nearest(n->text, count, names);
    return node_err(r->e, n, "no figure '%.60s'%s%s%s; loci help spec lists them", n->text,
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Slices are recorded as 0, 1, 2-3, 4-7 ...: no others can be told apart. */
static bool is_bound(int64_t x)
{
    return x == 0 || (x & (x - 1)) == 0;
}

static bool read_slice(reader *r, claim_statement *s, const node *n)
{
    long long low, high;
    int used = 0;
    if (n->kind != NODE_MAP || n->count != 1 || claim_slices(n->keys[0]) == BY_NOTHING ||
        n->items[0]->kind != NODE_SCALAR) {
        return node_err(r->e, n,
                        "expected one of position, frequency and repetition with a range, "
                        "such as {position: 512-}");
    }
    s->by = claim_slices(n->keys[0]);
    const char *text = n->items[0]->text;
    int read = sscanf(text, "%lld%n", &low, &used);
    bool good = read == 1 && low >= 0;
    high = low;
    if (good && text[used] == '-') {
        text += used + 1;
        used = 0;
        high = INT64_MAX;
        if (*text) good = sscanf(text, "%lld%n", &high, &used) == 1 && high >= low;
    }
    if (!good || text[used]) {
        return node_err(r->e, n->items[0], "expected a range: 0, 512-1023, or 512- for all above");
    }
    if (!is_bound(low) || (high != INT64_MAX && !is_bound(high + 1))) {
        return node_err(r->e, n->items[0],
                        "slices are 0, 1, 2-3, 4-7 and so on: a range begins at 0 or a power of "
                        "two, and ends before one");
    }
    s->low = low;
    s->high = high;
    return true;
}

/* What the figure is, once everything that may say so is read. */
static bool settle_figure(reader *r, claim_statement *s, const statement_source *x)
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

/* ---- statements ---- */

static bool needs(reader *r, const node *there, const node *at, const char *what)
{
    return there || node_err(r->e, at, "%s", what);
}

static bool read_better(reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_BETTER;
    return needs(r, x->than, x->better, "better than which variant? add `than:`") &&
           read_label(r, &s->variant, x->better) && read_label(r, &s->other, x->than) &&
           (!x->by || read_margin(r, s, x->by));
}

/* Two figures of one model; what they are measured in is theirs. */
static bool read_above(reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_BETTER;
    if (!needs(r, x->variant, x->above, "whose figures are they? add `variant:`") ||
        !needs(r, x->on, x->above, "what is above it? add `on:`") ||
        !read_label(r, &s->variant, x->variant) || !read_figure(r, &s->above, x->above) ||
        (x->by && !read_margin(r, s, x->by))) {
        return false;
    }
    s->other = s->variant;
    if (s->on->kind == FIGURE_INSPECT && s->above->kind == FIGURE_INSPECT) return true;
    return node_err(r->e, x->above, "above compares what loci inspect found: inspect.PART.FIGURE");
}

static bool read_within(reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_WITHIN;
    if (!needs(r, x->variant, x->within, "which variant is it? add `variant:`") ||
        !needs(r, x->of, x->within, "within the margin of which variant? add `of:`") ||
        !read_label(r, &s->variant, x->variant) || !read_label(r, &s->other, x->of) ||
        !read_margin(r, s, x->within)) {
        return false;
    }
    return s->margin > 0 ||
           node_err(r->e, x->within, "nothing is shown to be within 0; give a margin above it");
}

static bool read_at_most(reader *r, claim_statement *s, const statement_source *x)
{
    s->kind = STATEMENT_AT_MOST;
    return needs(r, x->variant, x->at_most, "which variant is it? add `variant:`") &&
           needs(r, x->of, x->at_most, "times what which variant has? add `of:`") &&
           needs(r, x->on, x->at_most, "at most of what? add `on:`, such as evaluation_flops") &&
           read_label(r, &s->variant, x->variant) && read_label(r, &s->other, x->of) &&
           read_factor(r, s, x->at_most);
}

/* The margin of a trend: by how much a step rises. */
static bool read_step(reader *r, claim_statement *s, const node *by)
{
    if (!by) return true;
    if (!read_margin(r, s, by)) return false;
    return !s->relative || node_err(r->e, by, "a trend's margin is in the figure's unit");
}

static bool read_trend(reader *r, claim_statement *s, const statement_source *x)
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
    bool good = x->variants ? read_variants(r, s, x->variants)
                : r->scope  ? r->scope->along(r->scope->user, r->a, s, x->where, r->e)
                            : node_err(r->e, along, "names no variants");
    return good && read_step(r, s, x->by);
}

/* Which keys belong to none of the kinds that stand there. */
static bool check_beside(reader *r, const statement_source *x, const node *n)
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

static bool same_twice(reader *r, const claim_statement *s)
{
    if (!s->variant || !s->other || s->above || strcmp(s->variant, s->other) != 0) return true;
    return node_err(r->e, s->at, "compares '%s' with itself", s->variant);
}

static bool read_statement(reader *r, claim_statement *s, const node *n, const char *const *ignore)
{
    static const char *const splits[] = {NULL, "train", "validation", "test"};
    statement_source x;
    if (!options_read(&x, STATEMENT_KEYS, n, ignore, r->a, r->e) || !check_beside(r, &x, n)) {
        return false;
    }
    *s = (claim_statement){
        .at = n, .split = splits[x.split], .high = INT64_MAX, .distance = x.distance};
    if (x.on && !read_figure(r, &s->on, x.on)) return false;
    if (x.slice && !read_slice(r, s, x.slice)) return false;
    if (s->by != BY_NOTHING && !s->on) s->on = claim_figure_find("bits_per_token");
    bool good = x.better    ? read_better(r, s, &x)
                : x.above   ? read_above(r, s, &x)
                : x.within  ? read_within(r, s, &x)
                : x.at_most ? read_at_most(r, s, &x)
                            : read_trend(r, s, &x);
    return good && settle_figure(r, s, &x) && same_twice(r, s);
}

/* ---- claims ---- */

static bool check_name(reader *r, const claim_list *l, const claim *c, const node *n)
{
    const node *at = node_get(n, "name");
    bool good = *c->name && strlen(c->name) <= 64;
    for (const char *p = c->name; *p; p++) {
        good = good && (isalnum((unsigned char)*p) || strchr("._-", *p));
    }
    if (!good) {
        return node_err(r->e, at,
                        "a claim's name is made of letters, digits, '.', '_' and '-' (at "
                        "most 64)");
    }
    for (int i = 0; i < l->count; i++) {
        if (strcmp(l->claims[i].name, c->name) == 0) {
            return node_err(r->e, at, "a second claim called '%s'", c->name);
        }
    }
    return true;
}

static bool read_looks(reader *r, claim *c, const node *n)
{
    if (!n) return true;
    if (r->scope) return node_err(r->e, n, "looks belong to records; write sweep.seeds");
    const node *least = node_get(n, "at least"), *most = node_get(n, "at most");
    const node *how = node_get(n, "spending");
    if (!least || !most || !how) return node_err(r->e, n, "says not when it is judged");
    c->at_least = atoi(least->text);
    c->at_most = atoi(most->text);
    c->pocock = strcmp(how->text, "pocock") == 0;
    return (c->at_least >= 2 && c->at_most >= c->at_least && c->at_most <= SPENDING_SEEDS) ||
           node_err(r->e, n, "no such looks");
}

static bool read_claim(reader *r, claim_list *l, const node *n)
{
    static const char *const of_claim[] = {"name", "says", "source", "page", "all", "looks", NULL};
    const char *of_statement[sizeof STATEMENT_KEYS / sizeof *STATEMENT_KEYS];
    int keys = 0;
    for (const option *o = STATEMENT_KEYS; o->name; o++) {
        of_statement[keys++] = o->name;
    }
    of_statement[keys] = NULL;
    claim_source x;
    claim *c = &l->claims[l->count];
    if (n->kind != NODE_MAP) return node_err(r->e, n, "expected a claim: {name: ..., better: ...}");
    if (!options_read(&x, CLAIM_KEYS, n, of_statement, r->a, r->e)) return false;
    *c = (claim){.name = x.name,
                 .says = x.says ? x.says : "",
                 .source = x.source ? x.source : "",
                 .page = x.page ? x.page : "",
                 .at = n};
    if (!check_name(r, l, c, n) || !read_looks(r, c, x.looks)) return false;
    if (!x.all) {
        c->statements = ARENA_NEW(r->a, claim_statement, 1);
        c->count = 1;
        if (!read_statement(r, c->statements, n, of_claim)) return false;
    } else if (x.all->kind != NODE_LIST || x.all->count == 0) {
        return node_err(r->e, x.all, "expected a list of statements");
    } else if (!options_read(&x, CLAIM_KEYS, n, NULL, r->a, r->e)) {
        return false; /* a statement beside `all` */
    }
    for (int i = 0; x.all && i < x.all->count; i++) {
        if (i == 0) c->statements = ARENA_NEW(r->a, claim_statement, x.all->count);
        if (!read_statement(r, &c->statements[c->count++], x.all->items[i], NULL)) return false;
    }
    l->count++;
    return true;
}

claim_list *claim_read(arena *a, const node *n, const claim_scope *scope, err *e)
{
    reader r = {a, scope, e};
    claim_list *l = arena_push_zero(a, 1, sizeof *l);
    if (node_is_null(n)) return l;
    if (n->kind != NODE_LIST) {
        node_err(e, n, "expected a list of claims: [{name: ..., better: A, than: B}, ...]");
        return NULL;
    }
    l->claims = ARENA_NEW(a, claim, n->count);
    for (int i = 0; i < n->count; i++) {
        if (!read_claim(&r, l, n->items[i])) return NULL;
    }
    return l;
}
