#include <stdint.h>
#include <string.h>

#include "core/options/node.h"

/* A copy is one piece of memory per tree, for sweeps keep thousands of them. */

/* One walk counts, a second one with `at` set does the same and writes. Both take every piece in
 * the same order, which is what makes the sum of the first the room of the second: whatever changes
 * the walk has to change for both, and so it is one function. A push of the arena for every node
 * and text would round each up to 64 bytes, many times the length of most texts. */
typedef struct copier {
    char *at;         /* the next free byte; NULL: only counting */
    size_t bytes;     /* taken so far */
    const char *file; /* the last one copied: it is the same for most nodes */
    const char *file_copy;
} copier;

/* Offsets are aligned, not addresses; the piece begins at a multiple of 64, so both are. */
static void *take(copier *c, size_t bytes, size_t align)
{
    c->bytes = (c->bytes + align - 1) / align * align;
    void *p = c->at ? c->at + c->bytes : NULL;
    c->bytes += bytes;
    return p;
}

/* Empty texts are one constant: most nodes without a path or a text have it. */
static const char *take_text(copier *c, const char *text)
{
    if (!text || !*text) return text ? "" : NULL;
    size_t n = strlen(text) + 1;
    char *copy = take(c, n, 1);
    if (copy) memcpy(copy, text, n);
    return copy;
}

static node *take_tree(copier *c, const node *n);

static void take_children(copier *c, node *m, const node *n)
{
    size_t count = (size_t)n->count;
    node copy = {.kind = n->kind};
    bool map = n->kind == NODE_MAP;
    copy.items = take(c, count * sizeof *copy.items, sizeof(void *));
    copy.keys = map ? take(c, count * sizeof *copy.keys, sizeof(void *)) : NULL;
    copy.key_nodes = map ? take(c, count * sizeof *copy.key_nodes, sizeof(void *)) : NULL;
    for (size_t i = 0; i < count; i++) {
        node *item = take_tree(c, n->items[i]);
        const char *key = map ? take_text(c, n->keys[i]) : NULL;
        node *key_node = item;
        /* A key is a scalar: the walk ends there. */
        if (map && n->key_nodes[i] != n->items[i]) key_node = take_tree(c, n->key_nodes[i]);
        /* While counting there is nothing to write to. */
        if (!c->at) continue;
        copy.items[i] = item;
        if (map) {
            copy.keys[i] = key;
            copy.key_nodes[i] = key_node;
        }
    }
    if (!m) return;
    m->items = copy.items;
    m->keys = copy.keys;
    m->key_nodes = copy.key_nodes;
    /* Full at once: who appends to a copy gets arrays of its own by grow. */
    m->count = m->capacity = n->count;
}

static node *take_tree(copier *c, const node *n)
{
    /* By pointer: nodes of one file have the same text. The first node may have none (NULL), which
     * is what a fresh copier holds for it. */
    if (n->file != c->file) {
        c->file = n->file;
        c->file_copy = take_text(c, n->file);
    }
    node *m = take(c, sizeof *m, _Alignof(node));
    const char *path = take_text(c, n->path), *text = take_text(c, n->text);
    if (m) {
        *m = (node){.kind = n->kind,
                    .file = c->file_copy,
                    .line = n->line,
                    .column = n->column,
                    .path = path,
                    .text = text,
                    .plain = n->plain};
    }
    take_children(c, m, n);
    return m;
}

/* Align 1 in the push is the size of a byte; what it returns begins at a line. */
node *node_copy(arena *a, const node *n)
{
    copier count = {0}, copy = {0};
    take_tree(&count, n);
    copy.at = arena_push(a, (int64_t)count.bytes, 1);
    return take_tree(&copy, n);
}
