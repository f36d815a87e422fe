#include "harness/spec/block_path.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/registry.h"

static const char BLOCKS[] = "model.blocks[", LAYERS[] = "layers[";

static const char *join(arena *a, const char *block, const char *middle, const char *rest)
{
    size_t bytes = strlen(block) + strlen(middle) + strlen(rest) + 2;
    char *text = arena_push(a, (int64_t)bytes, 1);
    snprintf(text, bytes, "%s.%s%s", block, middle, rest);
    return text;
}

/* The layer of that number among the keys of a block; NULL: so many it has not. */
static const char *layer_at(const node *block, long index, int *count)
{
    const char *found = NULL;
    *count = 0;
    for (int i = 0; i < block->count; i++) {
        if (!registry_layer(block->keys[i])) continue;
        if ((*count)++ == index) found = block->keys[i];
    }
    return found;
}

/* rest: "1].ffn.hidden", behind the bracket. */
static const char *in_keys(arena *a, const node *block, const char *rest, const char *path,
                           const node *value, err *e)
{
    char *end;
    int count;
    long index = strtol(rest, &end, 10);
    /* No index, or the layer itself, which keys have no place for. */
    if (!isdigit((unsigned char)*rest) || strncmp(end, "].", 2) != 0) return path;
    const char *name = layer_at(block, index, &count);
    size_t n = strcspn(end + 2, ".[");
    if (!name) {
        node_err(e, value, "%s has %d layers; index %ld is out of range (they count from 0)",
                 block->path, count, index);
        return NULL;
    }
    if (strlen(name) != n || strncmp(name, end + 2, n) != 0) {
        node_err(e, value, "layer %ld of %s is '%s', not '%.*s'", index, block->path, name, (int)n,
                 end + 2);
        return NULL;
    }
    return join(a, block->path, "", end + 2);
}

/* rest: "ffn.hidden". */
static const char *in_list(arena *a, const node *block, const node *list, const char *rest,
                           const char *path, const node *value, err *e)
{
    char name[64], middle[32] = "";
    size_t n = strcspn(rest, ".[");
    snprintf(name, sizeof name, "%.*s", (int)n, rest);
    if (n >= sizeof name || !registry_layer(name)) return path;
    for (int i = 0; i < list->count; i++) {
        if (list->items[i]->kind != NODE_MAP || !node_get(list->items[i], name)) continue;
        if (*middle) {
            node_err(e, value,
                     "%s has several layers '%s'; name one by its number, such as %s.layers[%d].%s",
                     block->path, name, block->path, i, rest);
            return NULL;
        }
        snprintf(middle, sizeof middle, "layers[%d].", i);
    }
    if (!*middle) {
        node_err(e, value, "%s has no layer '%s' in its `layers`", block->path, name);
        return NULL;
    }
    return join(a, block->path, middle, rest);
}

const char *block_path(arena *a, const node *root, const char *path, const node *value, err *e)
{
    char parent[64];
    const char *bracket = strchr(path, ']');
    if (strncmp(path, BLOCKS, strlen(BLOCKS)) != 0 || !bracket || bracket[1] != '.') return path;
    size_t n = (size_t)(bracket + 1 - path);
    if (n >= sizeof parent) return path;
    snprintf(parent, sizeof parent, "%.*s", (int)n, path);
    const node *block = node_at(root, parent);
    if (!block || block->kind != NODE_MAP) return path;
    const node *list = node_get(block, "layers");
    const char *rest = bracket + 2;
    bool numbered = strncmp(rest, LAYERS, strlen(LAYERS)) == 0;
    if (!list && numbered) return in_keys(a, block, rest + strlen(LAYERS), path, value, e);
    if (!list || list->kind != NODE_LIST || numbered) return path;
    return in_list(a, block, list, rest, path, value, e);
}
