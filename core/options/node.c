#include "core/options/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A spec is read once and then changed: extended by another, overridden from the command line,
 * multiplied into hundreds of variants, compared with what a checkpoint holds. All of that is work
 * on this tree, so the tree knows nothing of options or types; a value stays the characters that
 * were written, and its place stays with it through every copy. That is why a message about variant
 * 117 of a sweep still points at a line and column of a file.
 *
 * Maps are arrays of keys beside items, in the order of the file. A key is found by looking through
 * them: a part has a dozen options, and for a dozen a hash costs more than it saves; the order is
 * what is printed.
 *
 * A node may stand in several trees as long as nobody changes it; putting it into one gives it that
 * one's path. Whoever changes a value, or wants its own path in a message, works on a copy
 * (node_copy). */

/* "" and not NULL: messages print a path without asking. */
static node *node_new(arena *a, node_kind kind)
{
    node *n = arena_push_zero(a, 1, sizeof *n);
    n->kind = kind;
    n->path = "";
    return n;
}

node *node_scalar(arena *a, const char *text, bool plain)
{
    node *n = node_new(a, NODE_SCALAR);
    n->text = arena_strdup(a, text);
    n->plain = plain;
    return n;
}

/* 24: a sign, 19 digits and the end. */
node *node_int(arena *a, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return node_scalar(a, text, true);
}

node *node_map(arena *a)
{
    return node_new(a, NODE_MAP);
}
node *node_list(arena *a)
{
    return node_new(a, NODE_LIST);
}

/* Room for one child more; the old arrays stay behind in the arena. */
static void grow(arena *a, node *n)
{
    if (n->count < n->capacity) return;
    int capacity = n->capacity ? 2 * n->capacity : 4;
    node **items = ARENA_NEW(a, node *, capacity);
    if (n->count) memcpy(items, n->items, (size_t)n->count * sizeof *items);
    n->items = items;
    if (n->kind == NODE_MAP) {
        /* Two arrays that lists do without. */
        const char **keys = ARENA_NEW(a, const char *, capacity);
        node **key_nodes = ARENA_NEW(a, node *, capacity);
        if (n->count) {
            memcpy(keys, n->keys, (size_t)n->count * sizeof *keys);
            memcpy(key_nodes, n->key_nodes, (size_t)n->count * sizeof *key_nodes);
        }
        n->keys = keys;
        n->key_nodes = key_nodes;
    }
    n->capacity = capacity;
}

/* CHECKs here and below: a file that has a list where a map belongs is refused by who reads it,
 * with its place; whoever gets here made the node. */
void node_append(arena *a, node *list, node *value)
{
    CHECK(list->kind == NODE_LIST, "kind %d", list->kind);
    grow(a, list);
    list->items[list->count++] = value;
}

/* -1: none. */
static int find_key(const node *map, const char *key)
{
    for (int i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i], key) == 0) return i;
    }
    return -1;
}

node *node_get(const node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP) return NULL;
    int i = find_key(map, key);
    return i < 0 ? NULL : map->items[i];
}

int node_depth(const node *n)
{
    int depth = 0;
    for (int i = 0; i < n->count; i++) {
        depth = MAX(depth, node_depth(n->items[i]));
    }
    return depth + 1;
}

/* Two of the same key are possible for a moment: the parser looks for them when a map is whole. */
void node_add(arena *a, node *map, node *key, node *value)
{
    CHECK(map->kind == NODE_MAP, "kind %d", map->kind);
    grow(a, map);
    map->keys[map->count] = key->text;
    map->key_nodes[map->count] = key;
    map->items[map->count++] = value;
}

void node_set(arena *a, node *map, const char *key, node *value)
{
    CHECK(map->kind == NODE_MAP, "kind %d", map->kind);
    int i = find_key(map, key);
    if (i < 0) {
        grow(a, map);
        i = map->count++;
        map->keys[i] = arena_strdup(a, key);
    }
    map->items[i] = value;
    /* Made by code, the key was written nowhere: messages about it point at its value. Copies tell
     * by this equality that there is no key node to copy. */
    map->key_nodes[i] = value;
}

void node_remove(node *map, const char *key)
{
    int i = map->kind == NODE_MAP ? find_key(map, key) : -1;
    if (i < 0) return;
    /* The others keep their order. The array keeps its room. */
    for (map->count--; i < map->count; i++) {
        map->keys[i] = map->keys[i + 1];
        map->key_nodes[i] = map->key_nodes[i + 1];
        map->items[i] = map->items[i + 1];
    }
}

/* The message is made before e is written: its arguments may be texts that lie in e. */
bool node_err(err *e, const node *n, const char *format, ...)
{
    char what[ERR_TEXT_BYTES], place[ERR_TEXT_BYTES] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (n && n->file && n->line > 0) {
        snprintf(place, sizeof place, "%s:%d:%d: ", n->file, n->line, n->column);
    } else if (n && n->file) {
        snprintf(place, sizeof place, "%s: ", n->file);
    }
    bool path = n && *n->path;
    return err_set(e, "%s%s%s%s", place, path ? n->path : "", path ? ": " : "", what);
}

bool node_err_of(err *e, const node *n, const err *why)
{
    bool outside = why->outside;
    node_err(e, n, "%s", why->text);
    if (e) e->outside = outside;
    return false;
}
