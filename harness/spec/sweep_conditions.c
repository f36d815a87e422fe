#include "harness/spec/sweep_conditions.h"

#include "core/options/option.h"

/* `exclude` and `when` are the same thing to read: a map of axes to values, turned into a table of
 * booleans per dimension, hits[d][pick]. A combination satisfies the map if all dimensions that are
 * spoken of have a hit; asking costs a look into an array per dimension, for each of up to a
 * million combinations.
 *
 * A condition that no value can satisfy, and an exclusion that takes out nothing, are slips of the
 * pen and refused, the first here, the second once everything is multiplied out. */

/* A list is "one of these", unless the axis's own values are lists: then it may be such a value. */
static bool any_matches(const alternative *x, const node *wanted)
{
    if (wanted->kind != NODE_LIST) return sweep_axis_matches(x, wanted);
    for (int i = 0; i < wanted->count; i++) {
        if (sweep_axis_matches(x, wanted->items[i])) return true;
    }
    return x->value && node_equal(x->value, wanted);
}

/* Marks which picks of dimension d satisfy axis = wanted; false if the axis is not in d. *any:
 * whether some pick, of whatever dimension, does; asked before a second condition on the same
 * dimension narrows the hits. */
static bool mark_hits(arena *a, bool **hits, const dimension *d, int axis, const node *wanted,
                      bool *any)
{
    bool present = false;
    bool *hit = ARENA_NEW(a, bool, d->count);
    for (int k = 0; k < d->count; k++) {
        hit[k] = false;
        for (int i = 0; i < d->picks[k].count; i++) {
            const alternative *x = &d->picks[k].alternatives[i];
            if (x->axis != axis) continue;
            present = true;
            hit[k] = hit[k] || any_matches(x, wanted);
        }
        *any = *any || hit[k];
        if (*hits) hit[k] = hit[k] && (*hits)[k]; /* a second condition on the same dimension */
    }
    if (present) *hits = hit;
    return present;
}

/* `axis: value or [values]` at key i of the map, into hits [dimensions]. An axis may have values in
 * several dimensions (two lists without labels): each gets its marks. */
static bool read_condition(arena *a, const sweep_source *s, bool **hits, const sweep_block *b,
                           const node *map, int i, err *e)
{
    int axis = sweep_axis_find(s, map->keys[i]);
    bool present = false, any = false;
    for (int d = 0; axis >= 0 && d < b->dimension_count; d++) {
        present = mark_hits(a, &hits[d], &b->dimensions[d], axis, map->items[i], &any) || present;
    }
    if (!present) {
        const char *names[SWEEP_MAX_AXES];
        for (int k = 0; k < s->axis_count; k++)
            names[k] = s->axes[k].name;
        return option_unknown(e, map, i, s->axis_count, names);
    }
    if (any) return true;
    return node_err(e, map->items[i], "no value of axis '%s' is meant by this", s->axes[axis].name);
}

/* hits [SWEEP_MAX_DIMENSIONS], NULL for dimensions that the map does not speak of. */
static bool **read_conditions(arena *a, const sweep_source *s, const sweep_block *b,
                              const node *map, err *e)
{
    if (map->kind != NODE_MAP || map->count == 0) {
        return node_err(e, map, "expected a map of axes to values, such as {memory: long}"), NULL;
    }
    bool **hits = arena_push_zero(a, SWEEP_MAX_DIMENSIONS, sizeof *hits);
    for (int k = 0; k < map->count; k++) {
        if (!read_condition(a, s, hits, b, map, k, e)) return NULL;
    }
    return hits;
}

/* One map, or a list of them: any that is satisfied takes the combination out. */
bool sweep_conditions_exclude(arena *a, const sweep_source *s, sweep_block *b, const node *n,
                              err *e)
{
    if (node_is_null(n)) return true;
    int count = n->kind == NODE_LIST ? n->count : 1;
    b->exclusions = arena_push_zero(a, count, sizeof *b->exclusions);
    for (int i = 0; i < count; i++) {
        exclusion *x = &b->exclusions[b->exclusion_count++];
        x->at = n->kind == NODE_LIST ? n->items[i] : n;
        x->hits = read_conditions(a, s, b, x->at, e);
        if (!x->hits) return false;
    }
    return true;
}

/* The dimension in which the axis takes its values; -1: none. */
static int dimension_of(const sweep_block *b, int axis)
{
    for (int d = 0; d < b->dimension_count; d++) {
        for (int k = 0; k < b->dimensions[d].count; k++) {
            const pick *p = &b->dimensions[d].picks[k];
            for (int i = 0; i < p->count; i++) {
                if (p->alternatives[i].axis == axis) return d;
            }
        }
    }
    return -1;
}

/* A condition must speak of axes written before: whether an axis takes part is decided from the
 * front (find_active), and in a circle of conditions nobody could begin. */
bool sweep_conditions_when(arena *a, const sweep_source *s, sweep_block *b, const node *n, err *e)
{
    if (node_is_null(n)) return true;
    if (n->kind != NODE_MAP) {
        return node_err(e, n,
                        "expected a map of axes to conditions, such as {experts: {ffn: hash}}");
    }
    for (int i = 0; i < n->count; i++) {
        /* own: the dimension that takes part or not. An axis of a zip takes its whole dimension
         * along. */
        int axis = sweep_axis_find(s, n->keys[i]), own = axis < 0 ? -1 : dimension_of(b, axis);
        if (own < 0) {
            const char *names[SWEEP_MAX_AXES];
            for (int k = 0; k < s->axis_count; k++)
                names[k] = s->axes[k].name;
            return option_unknown(e, n, i, s->axis_count, names);
        }
        bool **hits = read_conditions(a, s, b, n->items[i], e);
        if (!hits) return false;
        for (int d = own; d < b->dimension_count; d++) {
            if (!hits[d]) continue;
            return node_err(e, n->items[i], "must speak of axes that are written before '%s'",
                            n->keys[i]);
        }
        b->dimensions[own].when = hits;
    }
    return true;
}
