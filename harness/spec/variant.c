#include "harness/spec/variant.h"

#include <stdio.h>
#include <string.h>

#include "harness/spec/block_path.h"

/* A variant's spec is made when it is wanted, from the sweep's assignments: plans of 100,000
 * variants hold indexes, not trees. */

/* The block with the layers of `value` where `path` has one; {}: none. The block is built anew, key
 * by key, because the order of its keys is the order of its layers: what comes in has to stand
 * where the old layer stood, not at the end. A block cannot have two layers of one name. */
static bool replace_layer(arena *a, node *own, const assignment *s, node *value, err *e)
{
    char parent[256];
    const char *name = strrchr(s->path, '.') + 1;
    snprintf(parent, sizeof parent, "%.*s", (int)(name - 1 - s->path), s->path);
    /* The block as it stands by now: earlier assignments of this variant have been made already. */
    const node *block = node_at(own, parent);
    if (!block || !node_get(block, name)) {
        return node_err(e, s->value, "'%.200s': there is no such layer to replace", s->path);
    }
    node *fresh = node_map(a);
    for (int i = 0; i < block->count; i++) {
        bool here = strcmp(block->keys[i], name) == 0;
        if (!here) node_set(a, fresh, block->keys[i], block->items[i]);
        for (int k = 0; here && k < value->count; k++) {
            const char *key = value->keys[k];
            if (strcmp(key, name) != 0 && node_get(block, key)) {
                return node_err(e, value->items[k], "the block has a layer '%s' already", key);
            }
            node_set(a, fresh, key, value->items[k]);
        }
    }
    return node_put(a, own, parent, fresh, e);
}

/* Sweep and claims are left out: they are about variants, and the spec of a run has to be the same
 * whatever else is in the sweep. Before anything is copied, or each of n variants would have a copy
 * of what makes n of them. */
static node *copy_own(arena *a, const node *spec)
{
    node own = *spec;
    own.count = 0;
    own.keys = ARENA_NEW(a, const char *, spec->count);
    own.key_nodes = ARENA_NEW(a, node *, spec->count);
    own.items = ARENA_NEW(a, node *, spec->count);
    for (int i = 0; i < spec->count; i++) {
        const char *key = spec->keys[i];
        if (strcmp(key, "sweep") == 0 || strcmp(key, "claims") == 0) continue;
        own.keys[own.count] = key;
        own.key_nodes[own.count] = spec->key_nodes[i];
        own.items[own.count++] = spec->items[i];
    }
    return node_copy(a, &own);
}

/* An assignment that has been made: the path as it leads in this variant's tree, and what it put.
 */
typedef struct made {
    const char *at;
    const node *put; /* NULL: a layer taken away */
} made;

static bool lies_inside(const char *path, const char *outer)
{
    size_t n = strlen(outer);
    return strncmp(path, outer, n) == 0 && (path[n] == '.' || path[n] == '[');
}

/* Whether what was put is no longer there, nor anything that says the same. */
static bool is_undone(const node *own, const made *m)
{
    const node *now = m->put ? node_at(own, m->at) : NULL;
    return m->put && now != m->put && !(now && node_equal(now, m->put));
}

/* A value that a later one of the same variant puts something else in the place of would stand in
 * its label, and nowhere else. Asked of the tree, for one path is written in many ways. What
 * changes a part of a value leaves the value; so does a layer that takes another's place. */
static bool none_undone(const node *own, const variant_plan *v, const made *all, int last, err *e)
{
    const assignment *s = &v->assignments[last];
    for (int i = 0; i < last && !s->in_place; i++) {
        if (lies_inside(all[last].at, all[i].at) || !is_undone(own, &all[i])) continue;
        return node_err(e, s->value,
                        "'%s' undoes what '%s' of the sweep sets in line %d; what replaces a whole "
                        "is written before what changes a part of it, and one axis sets a path",
                        s->path, v->assignments[i].path, v->assignments[i].value->line);
    }
    return true;
}

/* Of layers that took another's place the first one tells. */
static made made_of(arena *a, const assignment *s, const char *at, const node *value)
{
    if (!s->in_place) return (made){at, value};
    if (value->count == 0) return (made){at, NULL};
    size_t parent = (size_t)(strrchr(at, '.') + 1 - at);
    size_t bytes = parent + strlen(value->keys[0]) + 1;
    char *layer = arena_push(a, (int64_t)bytes, 1);
    snprintf(layer, bytes, "%.*s%s", (int)parent, at, value->keys[0]);
    return (made){layer, value->items[0]};
}

node *variant_apply(arena *a, const node *spec, const variant_plan *v, err *e)
{
    node *own = copy_own(a, spec);
    made *all = ARENA_NEW(a, made, v->assignment_count);
    for (int i = 0; i < v->assignment_count; i++) {
        const assignment *s = &v->assignments[i];
        node *value = node_copy(a, s->value);
        const char *at = s->in_place ? s->path : block_path(a, own, s->path, value, e);
        bool put = at && (s->in_place ? replace_layer(a, own, s, value, e)
                                      : node_put(a, own, at, value, e));
        if (!put) return NULL;
        all[i] = made_of(a, s, at, value);
        if (!none_undone(own, v, all, i, e)) return NULL;
    }
    return own;
}
