#include "harness/spec/sweep_sibling.h"

#include <string.h>

#include "harness/spec/sweep_axis.h"

/* What {axis: value, ...} says of an axis; NULL: nothing. */
static const char *wanted_value(const node *wanted, const char *axis)
{
    for (int i = 0; i < wanted->count; i++) {
        if (sweep_axis_is(axis, wanted->keys[i])) return wanted->items[i]->text;
    }
    return NULL;
}

static const char *value_on(const variant_plan *v, const char *axis)
{
    for (int i = 0; i < v->axis_count; i++) {
        if (strcmp(v->axes[i].axis, axis) == 0) return v->axes[i].value;
    }
    return NULL;
}

/* Whether a variant has the wanted values, and on its other axes those of `own`. */
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
