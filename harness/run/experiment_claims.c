#include "harness/run/experiment_claims.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/one_line.h"
#include "core/base/terminal.h"
#include "harness/spec/sweep_axis.h"
#include "results/claims/evidence.h"

/* results/claims reads claims and knows nothing of sweeps; here it is told what names mean, by two
 * functions (claim_scope): which label a variant's name stands for, and which variants lie along an
 * axis. Then each statement is asked whether the runs that it speaks of will have the figure at
 * all. All of that happens before training: a claim that no result can answer would stay undecided
 * for ever, and nobody would notice before the sweep was paid for.
 *
 * Labels in claims are those of the runs (x->labels): of repeated variants the first one's, with
 * "(oracle)" where it looks ahead. */

/* ---- names ---- */

/* The axis that is called so: by its whole name, or else by the end of a path that no other has.
 * NULL: there is none. False if several end so: which of them is meant would be a guess. An axis
 * may belong to one block of a sweep, so all variants are asked. */
static bool find_axis(const char **axis, const experiment *x, const char *name, const node *at,
                      err *e)
{
    const char *other = NULL;
    *axis = NULL;
    for (int v = 0; v < x->sweep->variant_count; v++) {
        const variant_plan *plan = &x->sweep->variants[v];
        for (int i = 0; i < plan->axis_count; i++) {
            const char *one = plan->axes[i].axis;
            if (strcmp(one, name) == 0) return *axis = one, true;
            if (!sweep_axis_is(one, name) || (*axis && strcmp(*axis, one) == 0)) continue;
            if (*axis) other = one;
            if (!*axis) *axis = one;
        }
    }
    return !other || node_err(e, at, "'%.60s' means '%.100s' and '%.100s'; give the whole path",
                              name, *axis, other);
}

static const char *value_on(const variant_plan *v, const char *axis)
{
    for (int i = 0; i < v->axis_count; i++) {
        if (strcmp(v->axes[i].axis, axis) == 0) return v->axes[i].value;
    }
    return NULL;
}

/* Which axes the keys of {axis: value, ...} are. A form that is wrong is said at its place; a value
 * that no variant has is found by whoever looks for variants with it. */
static bool find_axes(const char *const **axes, const experiment *x, const node *where, err *e)
{
    *axes = NULL;
    if (!where) return true;
    if (where->kind != NODE_MAP) return node_err(e, where, "expected {AXIS: VALUE, ...}");
    const char **list = ARENA_NEW(x->memory, const char *, where->count);
    for (int i = 0; i < where->count; i++) {
        if (where->items[i]->kind != NODE_SCALAR) {
            return node_err(e, where->items[i], "expected a value of the axis");
        }
        if (!find_axis(&list[i], x, where->keys[i], where->items[i], e)) return false;
        /* With the nearest one that there is. */
        if (!list[i]) return option_unknown(e, where, i, x->sweep->axis_count, x->sweep->axes);
    }
    *axes = list;
    return true;
}

/* Whether it has all values of {axis: value, ...}, on the axes that find_axes found. */
static bool has_values(const variant_plan *v, const node *where, const char *const *axes)
{
    if (!where) return true;
    CHECK(axes, "find_axes found them");
    for (int i = 0; i < where->count; i++) {
        const char *value = value_on(v, axes[i]);
        if (!value || !sweep_axis_same_text(value, where->items[i]->text)) return false;
    }
    return true;
}

/* Its label, or the value that it has on some axis. The looser of two ways, only for names that are
 * no label: see label_of. */
static bool is_called(const experiment *x, int v, const char *name)
{
    const variant_plan *plan = &x->sweep->variants[v];
    if (sweep_axis_same_text(plan->label, name) || strcmp(x->labels[v], name) == 0) return true;
    for (int i = 0; i < plan->axis_count; i++) {
        if (sweep_axis_same_text(plan->axes[i].value, name)) return true;
    }
    return false;
}

static const char *unknown_variant(const experiment *x, const node *n, err *e)
{
    if (n->kind == NODE_MAP) return node_err(e, n, "no variant has these values"), NULL;
    /* Some label in any case: who reads the message sees how labels look here. */
    const char *near = option_nearest(n->text, x->sweep->variant_count, x->labels);
    if (!near) near = x->labels[0];
    return node_err(e, n, "no variant '%.100s' (did you mean '%.100s'?)", n->text, near), NULL;
}

/* The variant that is called so to the letter, which no other meaning comes before; NULL: none. */
static const char *exact_label(const experiment *x, const char *name)
{
    for (int v = 0; v < x->sweep->variant_count; v++) {
        if (strcmp(x->sweep->variants[v].label, name) == 0 || strcmp(x->labels[v], name) == 0)
            return x->labels[v];
    }
    return NULL;
}

static const char *ambiguous(const experiment *x, const node *n, const bool *means, err *e)
{
    enum { LISTED = 6 };
    char list[LISTED * 80] = "";
    int listed = 0, others = 0;
    size_t used = 0;
    for (int v = 0; v < x->sweep->variant_count; v++) {
        if (!means[v]) continue;
        if (listed == LISTED) {
            others++;
            continue;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%.60s'", listed++ ? ", " : "",
                                 x->labels[v]);
    }
    char more[40] = "";
    if (others) snprintf(more, sizeof more, " and %d more", others);
    node_err(e, n, "means %s%s; name a value of every axis", list, more);
    return NULL;
}

static const char *label_of(void *user, const node *n, err *e)
{
    const experiment *x = user;
    if (n->kind == NODE_LIST) {
        return node_err(e, n, "expected a variant's label, or {AXIS: VALUE, ...}"), NULL;
    }
    const char *const *axes = NULL;
    if (n->kind == NODE_MAP && !find_axes(&axes, x, n, e)) return NULL;
    const char *exact = n->kind == NODE_SCALAR ? exact_label(x, n->text) : NULL;
    if (exact) return exact;
    bool *means = ARENA_NEW(x->memory, bool, x->sweep->variant_count), several = false;
    int first = -1;
    for (int v = 0; v < x->sweep->variant_count; v++) {
        const variant_plan *plan = &x->sweep->variants[v];
        means[v] = n->kind == NODE_MAP ? has_values(plan, n, axes) : is_called(x, v, n->text);
        if (!means[v]) continue;
        CHECK(x->labels[v], "every variant has a label");
        /* Two variants that say the same are one label, and no ambiguity. */
        bool another = first >= 0 && strcmp(x->labels[first], x->labels[v]) != 0;
        means[v] = first < 0 || another;
        several = several || another;
        if (first < 0) first = v;
    }
    if (several) return ambiguous(x, n, means, e);
    return first >= 0 ? x->labels[first] : unknown_variant(x, n, e);
}

/* ---- trends ---- */

typedef struct point {
    const char *label, *value;
    double number;
} point;

static int by_number(const void *x, const void *y)
{
    /* As the numbers are, not as they are spelt: 16 is behind 8. */
    double a = ((const point *)x)->number, b = ((const point *)y)->number;
    return (a > b) - (a < b);
}

static bool unknown_axis(const experiment *x, const node *n, err *e)
{
    const char *near = option_nearest(n->text, x->sweep->axis_count, x->sweep->axes);
    return node_err(e, n,
                    "no axis '%.60s' that varies%s%s%s; it is one of the sweep, or position, "
                    "block, frequency, repetition",
                    n->text, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Adds a point unless the value has one already, which has to be the same variant. */
static bool add_point(point *list, int *count, const char *label, const char *value, const node *at,
                      err *e)
{
    for (int i = 0; i < *count; i++) {
        /* A variant that was dropped as a repetition has the label of the one that says the
         * same. */
        if (strcmp(list[i].label, label) == 0) return true;
        if (!sweep_axis_same_text(list[i].value, value)) continue;
        return node_err(e, at,
                        "'%.100s' and '%.100s' both have the value %.40s; `where: {AXIS: VALUE}` "
                        "says which",
                        list[i].label, label, value);
    }
    list[(*count)++] = (point){.label = label, .value = value};
    return true;
}

static bool along_axis(void *user, arena *a, claim_statement *s, const node *where, err *e)
{
    const experiment *x = user;
    const node *at = node_get(s->at, s->kind == STATEMENT_RISES ? "rises with" : "falls with");
    const char *axis, *const *axes;
    point *list = ARENA_NEW(a, point, x->sweep->variant_count);
    int count = 0;
    bool numbers = true;
    if (!find_axes(&axes, x, where, e) || !find_axis(&axis, x, s->along, at, e)) return false;
    if (!axis) return unknown_axis(x, at, e);
    for (int v = 0; v < x->sweep->variant_count; v++) {
        const variant_plan *plan = &x->sweep->variants[v];
        const char *value = value_on(plan, axis);
        /* A variant without the axis (of another block of the sweep) has no place on it. */
        if (!value || !has_values(plan, where, axes)) continue;
        if (!add_point(list, &count, x->labels[v], value, at, e)) return false;
    }
    /* One point has no direction. */
    if (count < 2) return node_err(e, at, "a trend takes two values of '%s' or more", s->along);
    for (int i = 0; i < count; i++) {
        /* 2k and 2048 are sorted as numbers; names stay in the order of the sweep. */
        numbers = option_text_to_real(list[i].value, &list[i].number) && numbers;
    }
    if (numbers) qsort(list, (size_t)count, sizeof *list, by_number);
    s->count = count;
    s->variants = ARENA_NEW(a, const char *, count);
    for (int i = 0; i < count; i++) {
        s->variants[i] = list[i].label;
    }
    return true;
}

/* ---- figures ---- */

/* Where a statement names its figure, or what implies it. For the place of an error: the key that
 * asked for the figure, since the figure may be implied. */
static const node *figure_at(const claim_statement *s)
{
    static const char *const keys[] = {"on", "slice", "by", "rises with", "falls with", "distance"};
    for (int i = 0; i < 6; i++) {
        const node *n = node_get(s->at, keys[i]);
        if (n) return n;
    }
    return s->at;
}

/* Is it one of the words, which are separated by spaces? */
static bool is_word(const char *words, const char *name)
{
    size_t n = strlen(name);
    for (const char *w = words; *w; w += strspn(w, " ")) {
        size_t length = strcspn(w, " ");
        /* A whole word: `ffn` is not in `hash_ffn`. */
        if (length == n && strncmp(w, name, n) == 0) return true;
        w += length;
    }
    return false;
}

/* Has the model a layer whose name is among the words? */
static bool has_layer(const node *n, const char *words)
{
    for (int i = 0; i < n->count; i++) {
        if (n->kind == NODE_MAP && is_word(words, n->keys[i])) return true;
        /* At any depth: a layer may have others inside. */
        if (has_layer(n->items[i], words)) return true;
    }
    return false;
}

/* Bytes and words are not known of every text. */
static bool has_metric(const claim_statement *s, const run_plan *run)
{
    if (!s->on || s->on->kind != FIGURE_METRIC) return true;
    /* The rest, loss and perplexity per token, every evaluation has. */
    return s->on->metric == COMPARE_BITS_PER_BYTE     ? run->has_bytes
           : s->on->metric == COMPARE_WORD_PERPLEXITY ? run->has_words
                                                      : true;
}

/* Is the distance among those that are asked for? */
static bool check_distance(const claim_statement *s, const run_plan *run, err *e)
{
    if (s->distance < 0) return true;
    /* There is one: who asks at a distance asks for recall, which check_run has looked for. */
    int64_t near = run->distance[0];
    for (int i = 0; i < run->distances; i++) {
        if (run->distance[i] == s->distance) return true;
        if (llabs(run->distance[i] - s->distance) < llabs(near - s->distance)) {
            near = run->distance[i];
        }
    }
    return node_err(e, node_get(s->at, "distance"),
                    "'%.100s' is not asked at distance %lld (the nearest: %lld)", run->label,
                    (long long)s->distance, (long long)near);
}

/* Does the text reach into the slice? */
static bool check_slice(const claim_statement *s, const run_plan *run, err *e)
{
    /* Does the text reach into the slice? Positions end with the longest document, places in a
     * block with the block; frequencies and repetitions have no end that is known before. */
    int64_t end = s->by == BY_POSITION ? run->longest
                  : s->by == BY_BLOCK  ? run->context
                                       : INT64_MAX;
    /* Its upper end may lie beyond the text: what there is of the slice is what is looked at. */
    if (s->by == BY_NOTHING || s->low < end) return true;
    return node_err(e, node_get(s->at, "slice"),
                    "nothing that '%.100s' is evaluated on has %s %lld: they end at %lld",
                    run->label, compare_slices_by_name(s->by), (long long)s->low,
                    (long long)end - 1);
}

/* Of memories whose values depend on each other loci inspect tells which are active, no more. */
static bool needs_values(const claim_figure *f)
{
    bool active = strncmp(f->found, "active", 6) == 0;
    return strcmp(f->part, "values") == 0 || (strcmp(f->part, "composition") == 0 && !active);
}

/* Has the model what loci inspect is to look at? */
static bool check_inspected(const claim_statement *s, const run_plan *run, err *e)
{
    if (!s->on || s->on->kind != FIGURE_INSPECT) return true;
    /* Parts as loci inspect names them. */
    bool states = strcmp(s->on->part, "states") == 0, changes = strcmp(s->on->part, "changes") == 0;
    bool values = !states && !changes && run->memories && needs_values(s->on);
    if (values ? run->values : states ? run->states : changes ? run->learns : run->memories) {
        return true;
    }
    return node_err(e, figure_at(s), "'%.100s' has no %s: no layer of it %s", run->label,
                    s->on->name,
                    values    ? "has memories with values of their own (hash_ffn of several hashes "
                                "has with form: slices)"
                    : states  ? "has states (block_recurrent has)"
                    : changes ? "learns while it reads (the head fwl does)"
                              : "is a memory of keys and values (ffn is one)");
}

static bool check_run(const claim_statement *s, const run_plan *run, err *e)
{
    const node *split = node_at(run->resolved, "eval.split");
    if (s->split && split && strcmp(split->text, s->split) != 0) {
        return node_err(e, node_get(s->at, "split"),
                        "the runs of '%.100s' are evaluated on the %s split (eval.split)",
                        run->label, split->text);
    }
    if (s->on && s->on->kind == FIGURE_RECALL && !run->has_recall) {
        return node_err(e, figure_at(s),
                        "'%.100s' is asked nothing: recall is of probes (data: {corpus: "
                        "probe})",
                        run->label);
    }
    if (s->by != BY_NOTHING && !run->has_slices) {
        return node_err(e, figure_at(s), "a probe's text has no slices (in variant '%.100s')",
                        run->label);
    }
    if (!has_metric(s, run)) {
        return node_err(e, figure_at(s),
                        "the evaluation of '%.100s' has no %s: the tokenizer or the source has "
                        "none, or eval.tokens or document_tokens cut one",
                        run->label, s->on->title);
    }
    if (s->on && s->on->layers && !has_layer(node_get(run->resolved, "model"), s->on->layers)) {
        return node_err(e, figure_at(s), "'%.100s' has no %s: no layer of it is one of %s",
                        run->label, s->on->name, s->on->layers);
    }
    if (!check_distance(s, run, e) || !check_slice(s, run, e) || !check_inspected(s, run, e)) {
        return false;
    }
    if (s->by_document && run->documents < EVIDENCE_LEAST_DOCUMENTS) {
        return node_err(e, node_get(s->at, "unit"),
                        "judged by document; the text that '%.100s' is evaluated on has %lld, and "
                        "it takes %d",
                        run->label, (long long)run->documents, EVIDENCE_LEAST_DOCUMENTS);
    }
    return true;
}

static const run_plan *run_called(const experiment *x, const char *label)
{
    for (int i = 0; i < x->run_count; i++) {
        if (strcmp(x->runs[i].label, label) == 0) return &x->runs[i];
    }
    return NULL;
}

static bool check_figures(const experiment *x, const claim_statement *s, err *e)
{
    /* Each variant that it speaks of: a difference needs the figure on both sides. */
    const char *const single[] = {s->variant, s->other};
    for (int i = 0; i < s->count + 2; i++) {
        const char *label = i < 2 ? single[i] : s->variants[i - 2];
        /* Of any seed: all have the same figures. */
        const run_plan *run = label ? run_called(x, label) : NULL;
        /* In the order of the statement, so that its first side is the first to be blamed. */
        if (label && run && !check_run(s, run, e)) return false;
    }
    return true;
}

bool experiment_claims(experiment *x, err *e)
{
    const claim_scope scope = {.user = x, .label = label_of, .along = along_axis};
    claim_list *l = claim_read(x->memory, node_get(x->spec->root, "claims"), &scope, e);
    if (!l) return false;
    /* Otherwise the sweep would end after its first seeds, silently. */
    if (x->sweep->at_least > 0 && l->count == 0) {
        return node_err(e, node_at(x->spec->root, "sweep"),
                        "seeds are added until claims are decided, but nothing is claimed");
    }
    for (int i = 0; i < l->count; i++) {
        /* When it is judged is part of a claim's hash (claims_record.c). */
        l->claims[i].at_least = x->sweep->at_least;
        l->claims[i].at_most = x->sweep->at_least > 0 ? x->sweep->seed_count : 0;
        l->claims[i].pocock = x->sweep->pocock;
        for (int k = 0; k < l->claims[i].count; k++) {
            const claim_statement *s = &l->claims[i].statements[k];
            if (s->by_document && x->sweep->at_least > 0) {
                return node_err(e, node_get(s->at, "unit"),
                                "no further seed decides what is judged by document: say how many "
                                "there are (sweep.seeds: 2), or leave `unit` out");
            }
            if (!check_figures(x, s, e)) return false;
        }
    }
    x->claims = l;
    return true;
}

void experiment_claims_print(FILE *out, const experiment *x)
{
    terminal_prose prose;
    out = terminal_prose_begin(&prose, out);
    for (int i = 0; i < x->claims->count; i++) {
        const claim *c = &x->claims->claims[i];
        one_line_print(out, "claim %s:%s%s", c->name, *c->says ? " " : "", c->says);
        for (int k = 0; k < c->count; k++) {
            bool sourced = k == 0 && *c->source;
            text_memory m;
            claim_words(text_begin(&m), &c->statements[k]);
            text_auto *words = text_end(&m);
            one_line_print(out, "    %s%s%s%s%s", k ? "and " : "", words, sourced ? " (" : "",
                           sourced ? c->source : "", sourced ? ")" : "");
        }
    }
    terminal_prose_end(&prose);
}
