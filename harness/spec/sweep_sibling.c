#include "harness/spec/sweep_sibling.h"

#include <string.h>

#include "harness/spec/sweep_axis.h"

/* "Start from the variant that has these values and otherwise mine": a grid of depth x memory can
 * so start each of its memories from the plain model of its own depth, in one line of the spec. The
 * axes are compared by what values are called. The reference is replaced by the label that it
 * means, so that all that follows knows labels only. */

/* What {axis: value, ...} says of an axis; NULL: nothing. */
static const char *wanted_value(const node *wanted, const char *axis)
{
    for (int i = 0; i < wanted->count; i++) {
        if (sweep_axis_is(axis, wanted->keys[i])) return wanted->items[i]->text;
    }
    return NULL;
}

/* NULL: the variant has no such axis, as after a `when`. */
static const char *value_on(const variant_plan *v, const char *axis)
{
    for (int i = 0; i < v->axis_count; i++) {
        if (strcmp(v->axes[i].axis, axis) == 0) return v->axes[i].value;
    }
    return NULL;
}

/* Whether a variant has the wanted values, and on its other axes those of `own`. met counts the
 * wanted axes that the variant has: one that has not all of them is not meant, even if those it has
 * agree. */
static bool is_sibling(const variant_plan *v, const node *wanted, const variant_plan *own)
{
    int met = 0;
    for (int i = 0; i < v->axis_count; i++) {
        const char *want = wanted_value(wanted, v->axes[i].axis);
        met += want != NULL;
        if (!want) want = value_on(own, v->axes[i].axis);
        if (!want || strcmp(want, v->axes[i].value) != 0) return false;
    }
    return met == wanted->count;
}

/* Exactly one must be meant: none is a mistake in the values, several mean that an axis was left
 * open. */
const node *sweep_sibling_name(arena *a, const sweep *s, int v, const node *own, err *e)
{
    const node *wanted = node_at(own, "init_from.variant");
    if (!wanted || wanted->kind != NODE_MAP) return own;
    const char *label = NULL;
    for (int i = 0; i < wanted->count; i++) {
        if (wanted->items[i]->kind == NODE_SCALAR) continue;
        node_err(e, wanted->items[i], "expected a value of the axis '%s'", wanted->keys[i]);
        return NULL;
    }
    for (int i = 0; i < s->variant_count; i++) {
        if (!is_sibling(&s->variants[i], wanted, &s->variants[v])) continue;
        if (label) {
            node_err(e, wanted, "means '%s' and '%s'; name a value of every axis", label,
                     s->variants[i].label);
            return NULL;
        }
        label = s->variants[i].label;
    }
    if (!label) {
        node_err(e, wanted, "no variant has these values, and this one's on its other axes");
        return NULL;
    }
    node *named = node_copy(a, own);
    node_set(a, node_get(named, "init_from"), "variant", node_scalar(a, label, false));
    return named;
}
