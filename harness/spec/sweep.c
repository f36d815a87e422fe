#include "harness/spec/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "harness/spec/sweep_combine.h"
#include "harness/spec/sweep_read.h"

/* Three steps: read the blocks as written (sweep_read.c), multiply them out (sweep_combine.c), and
 * here give every combination a label, choose the baseline, and hand out assignments.
 *
 * A label is what people read in tables and write in `baseline`, claims and on the command line, so
 * it says what is special of a variant and nothing else: only axes that vary, each by the shortest
 * end of its path that no other varying axis has ("lr=1e-3 memory=long"). It must be unique in the
 * sweep, and it is not the identity: a run's identity is made of its values, and survives a change
 * of labels. */

typedef struct labeller {
    arena *a;
    sweep_source *source;
    err *e;
    sweep_combos combos;
    bool *varies;        /* [axes] */
    const char **shorts; /* [axes]: names for labels */
} labeller;

/* ---- labels ---- */

/* Two alternatives are one choice if they are called the same and set the same: equal ids are equal
 * assignments (sweep_combine.c). */
static bool same_choice(const alternative *x, const alternative *y)
{
    return strcmp(x->text, y->text) == 0 && x->count == y->count &&
           memcmp(x->ids, y->ids, (size_t)x->count * sizeof *x->ids) == 0;
}

/* Axes on which two variants differ, or that only some have (lists without labels, `when`). An axis
 * with the same value everywhere says nothing of a variant. */
static void find_varying(labeller *x)
{
    int axes = x->source->axis_count;
    /* first [axes]: the first choice met on each axis, which all others are compared with; present
     * [axes]: how many combinations have the axis at all. */
    const alternative **first = arena_push_zero(x->a, axes, sizeof *first);
    int *present = arena_push_zero(x->a, axes, sizeof *present);
    x->varies = arena_push_zero(x->a, axes, sizeof *x->varies);
    for (int c = 0; c < x->combos.count; c++) {
        for (int i = 0; i < x->combos.items[c].count; i++) {
            const alternative *v = x->combos.items[c].alternatives[i];
            if (!first[v->axis]) first[v->axis] = v;
            if (!same_choice(first[v->axis], v)) x->varies[v->axis] = true;
            present[v->axis]++;
        }
    }
    for (int k = 0; k < axes; k++) {
        if (present[k] > 0 && present[k] < x->combos.count) x->varies[k] = true;
        if (present[k] > 0 && x->source->axes[k].bare) x->varies[k] = true; /* a given label */
    }
}

/* The last `parts` parts of a path; a name is whole: the axis "memory.size", if somebody calls it
 * so, is no path of which "size" were an end. Points into the name: no copy. */
static const char *tail_of(const sweep_axis *axis, int parts)
{
    const char *p = axis->name + strlen(axis->name);
    if (!axis->is_path) return axis->name;
    while (p > axis->name) {
        if (p[-1] == '.' && --parts == 0) break;
        p--;
    }
    return p;
}

/* "lr" for optimizer.lr, longer where another axis ends alike. Ends when the whole path is taken:
 * whole paths are distinct. */
static void shorten_names(labeller *x)
{
    const sweep_source *s = x->source;
    x->shorts = ARENA_NEW(x->a, const char *, s->axis_count);
    for (int i = 0; i < s->axis_count; i++) {
        bool unique = false;
        for (int parts = 1; !unique; parts++) {
            x->shorts[i] = tail_of(&s->axes[i], parts);
            unique = true;
            for (int k = 0; k < s->axis_count && x->shorts[i] != s->axes[i].name; k++) {
                if (k == i || !x->varies[k]) continue;
                if (strcmp(x->shorts[i], tail_of(&s->axes[k], parts)) == 0) unique = false;
            }
        }
    }
}

/* used is the length so far; `bytes` is reckoned from all axes, so that nothing is cut. An axis
 * that alone varies needs no name, if its values are names. */
static const char *label_of(labeller *x, const combo *c, int varying, const char *name)
{
    size_t bytes = 1;
    for (int i = 0; i < c->count; i++) {
        const alternative *v = c->alternatives[i];
        bytes += strlen(x->shorts[v->axis]) + strlen(v->text) + 2;
    }
    char *label = arena_push(x->a, (int64_t)bytes, 1);
    size_t used = 0;
    for (int i = 0; i < c->count; i++) {
        const alternative *v = c->alternatives[i];
        if (!x->varies[v->axis]) continue;
        const sweep_axis *axis = &x->source->axes[v->axis];
        bool alone = axis->bare || (varying == 1 && !axis->is_path);
        used += (size_t)snprintf(label + used, bytes - used, "%s%s%s%s", used ? " " : "",
                                 alone ? "" : x->shorts[v->axis], alone ? "" : "=", v->text);
    }
    /* Nothing varies: a single variant is called like the experiment, and one of a list that sets
     * nothing is the base of the others. */
    if (used) return label;
    return x->combos.count == 1 ? name : "base";
}

static int by_label(const void *x, const void *y)
{
    return strcmp((*(const variant_plan *const *)x)->label,
                  (*(const variant_plan *const *)y)->label);
}

/* By sorting, not in pairs: there may be 100,000 labels. */
static bool check_labels(labeller *x, const sweep *s, const node *at)
{
    const variant_plan **order = ARENA_NEW(x->a, const variant_plan *, s->variant_count);
    for (int i = 0; i < s->variant_count; i++)
        order[i] = &s->variants[i];
    qsort(order, (size_t)s->variant_count, sizeof *order, by_label);
    for (int i = 1; i < s->variant_count; i++) {
        if (strcmp(order[i - 1]->label, order[i]->label) != 0) continue;
        return node_err(x->e, at,
                        "two different variants are both called '%s'; name them: a named "
                        "axis, or `label:` in a list",
                        order[i]->label);
    }
    return true;
}

/* ---- baseline ---- */

/* The alternative that a combination takes on an axis; NULL: it has no such axis. */
static const alternative *label_is_taken(const combo *c, int axis)
{
    for (int i = 0; i < c->count; i++) {
        if (c->alternatives[i]->axis == axis) return c->alternatives[i];
    }
    return NULL;
}

static bool combo_meets(const labeller *x, const combo *c, const node *baseline)
{
    for (int i = 0; i < baseline->count; i++) {
        const alternative *v = label_is_taken(c, sweep_axis_find(x->source, baseline->keys[i]));
        if (!v || !sweep_axis_matches(v, baseline->items[i])) return false;
    }
    return true;
}

/* Its label, or the value that it alone has on some axis: "long" for "memory=long". That it is
 * alone is found out by counting (choose_baseline). */
static bool is_called(const combo *c, const char *label, const char *name)
{
    if (sweep_axis_same_text(label, name)) return true;
    for (int i = 0; i < c->count; i++) {
        if (sweep_axis_same_text(c->alternatives[i]->text, name)) return true;
    }
    return false;
}

static bool unknown_baseline(labeller *x, const sweep *s, const node *at)
{
    if (at->kind == NODE_MAP) return node_err(x->e, at, "no variant has these values");
    const char **labels = ARENA_NEW(x->a, const char *, s->variant_count);
    for (int i = 0; i < s->variant_count; i++)
        labels[i] = s->variants[i].label;
    const char *near = option_nearest(at->text, s->variant_count, labels);
    if (!near) near = labels[0];
    return node_err(x->e, at, "no variant '%.100s' (did you mean '%s'?)", at->text, near);
}

/* A whole label decides at once, even if the same word is a value on some axis of others; else all
 * that the words could mean are counted, and several are refused, for which of them is compared
 * against is no matter of taste. Without a word of the spec the first variant is the baseline. */
static bool choose_baseline(labeller *x, sweep *s)
{
    const node *at = x->source->baseline;
    int found = at ? -1 : 0, matches = 0;
    if (at && (at->kind == NODE_LIST || (at->kind == NODE_MAP && at->count == 0))) {
        return node_err(x->e, at, "expected a variant's label, or {axis: value}");
    }
    /* Names of axes are checked before any variant is: a misspelt axis would only say that no
     * variant fits. */
    for (int i = 0; at && at->kind == NODE_MAP && i < at->count; i++) {
        if (sweep_axis_find(x->source, at->keys[i]) >= 0) continue;
        const char **names = ARENA_NEW(x->a, const char *, x->source->axis_count);
        for (int k = 0; k < x->source->axis_count; k++)
            names[k] = x->source->axes[k].name;
        return option_unknown(x->e, at, i, x->source->axis_count, names);
    }
    for (int i = 0; at && i < s->variant_count; i++) {
        const combo *c = &x->combos.items[i];
        bool scalar = at->kind == NODE_SCALAR;
        if (scalar && sweep_axis_same_text(s->variants[i].label, at->text)) {
            found = i;
            matches = 1;
            break;
        }
        if (scalar ? is_called(c, s->variants[i].label, at->text) : combo_meets(x, c, at)) {
            matches++;
            if (found < 0) found = i;
        }
    }
    if (found < 0) return unknown_baseline(x, s, at);
    if (matches > 1) {
        return node_err(x->e, at, "means %d variants; give the label of one, such as '%s'", matches,
                        s->variants[found].label);
    }
    s->variants[found].is_baseline = true;
    return true;
}

/* ---- the result ---- */

/* Assignments are in the order of the axes, which is that of the file: where one path lies inside
 * of another, the later one counts. assignment.axis is the index in the variant's own list, not in
 * the sweep's. */
static void fill_variant(labeller *x, variant_plan *v, const combo *c)
{
    /* Counted first: assignments of a variant lie in one array. */
    for (int i = 0; i < c->count; i++)
        v->assignment_count += c->alternatives[i]->count;
    axis_value *axes = ARENA_NEW(x->a, axis_value, c->count);
    assignment *sets = ARENA_NEW(x->a, assignment, v->assignment_count);
    int n = 0;
    for (int i = 0; i < c->count; i++) {
        const alternative *p = c->alternatives[i];
        axes[i] = (axis_value){x->source->axes[p->axis].name, p->text};
        for (int k = 0; k < p->count; k++) {
            sets[n] = p->sets[k];
            sets[n++].axis = i;
        }
    }
    v->axis_count = c->count;
    v->axes = axes;
    v->assignments = sets;
}

/* `varying` is counted before the first label is made: whether an axis is named in labels depends
 * on how many there are. */
static bool label_variants(labeller *x, sweep *s, const node *at, const char *name)
{
    int varying = 0;
    find_varying(x);
    shorten_names(x);
    s->axes = ARENA_NEW(x->a, const char *, x->source->axis_count);
    for (int k = 0; k < x->source->axis_count; k++) {
        varying += x->varies[k];
        if (x->varies[k]) s->axes[s->axis_count++] = x->source->axes[k].name;
    }
    s->duplicates = x->combos.duplicates;
    s->seed_count = x->source->seed_count;
    s->seeds = x->source->seeds;
    s->at_least = x->source->at_least;
    s->pocock = x->source->pocock;
    s->variant_count = x->combos.count;
    s->variants = arena_push_zero(x->a, s->variant_count, sizeof *s->variants);
    for (int i = 0; i < s->variant_count; i++) {
        s->variants[i].label = label_of(x, &x->combos.items[i], varying, name);
        fill_variant(x, &s->variants[i], &x->combos.items[i]);
    }
    return check_labels(x, s, at) && choose_baseline(x, s);
}

/* A spec without a sweep is one of no blocks: one variant, called by the experiment's name. */
sweep *sweep_expand(arena *a, const node *n, const char *name, err *e)
{
    if (node_is_null(n)) n = node_map(a);
    labeller x = {.a = a, .e = e, .source = sweep_read(a, n, e)};
    if (!x.source || !sweep_combine(a, x.source, &x.combos, e)) return NULL;
    if (x.combos.count == 0) {
        return node_err(e, n, "nothing is left: every combination is excluded"), NULL;
    }
    sweep *s = arena_push_zero(a, 1, sizeof *s);
    return label_variants(&x, s, n, name) ? s : NULL;
}
