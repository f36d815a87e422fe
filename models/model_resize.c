/* A trained model with another context or longer stores. Only the spec is changed, before the model
 * is built from it, so that no layer has code for being resized: which of its options is its
 * store's length, a class says (store_length). Where a size does stand in a parameter (learned
 * positions), callers find that the parameters of the two models differ, and refuse. */
#include "layers/registry.h"
#include "models/model.h"

/* Resizes the stores of the layers that are keys of `map`; returns how many there are. */
static int resize_layers(arena *a, node *map, int64_t stored)
{
    int resized = 0;
    for (int i = 0; map->kind == NODE_MAP && i < map->count; i++) {
        /* Keys that are no layers, such as `repeat`, are passed over. Of what is wrong with the
         * spec model_build tells, with its place. */
        const layer_class *cls = registry_layer(map->keys[i]);
        if (!cls || !cls->store_length) continue;
        if (map->items[i]->kind != NODE_MAP) map->items[i] = node_map(a); /* null: defaults */
        node_set(a, map->items[i], cls->store_length, node_int(a, stored));
        resized++;
    }
    return resized;
}

static int resize_stores(arena *a, const node *spec, int64_t stored)
{
    const node *blocks = node_get(spec, "blocks");
    int resized = 0;
    for (int i = 0; blocks && blocks->kind == NODE_LIST && i < blocks->count; i++) {
        const node *layers = node_get(blocks->items[i], "layers");
        resized += resize_layers(a, blocks->items[i], stored);
        for (int k = 0; layers && layers->kind == NODE_LIST && k < layers->count; k++) {
            resized += resize_layers(a, layers->items[k], stored);
        }
    }
    return resized;
}

const node *model_resized(arena *a, const node *spec, const model_sizes *sizes, err *e)
{
    if (!sizes || (sizes->context == 0 && sizes->stored == 0)) return spec;
    /* The caller's tree stays as written. */
    node *copy = node_copy(a, spec);
    if (sizes->context > 0) node_set(a, copy, "context", node_int(a, sizes->context));
    if (sizes->stored > 0 && resize_stores(a, copy, sizes->stored) == 0) {
        return node_err(e, spec, "no layer stores positions; leave `stored` out"), NULL;
    }
    return copy;
}
