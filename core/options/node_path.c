#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/node.h"

/* Paths that are made are for messages, and longer ones are cut. In one that is read a longer key
 * is no key at all. */
enum { PATH_BYTES = 256 };

typedef struct segment {
    bool is_index;
    int index;
    char key[PATH_BYTES];
} segment;

/* Reads `"a.b"` up to the closing quote; \" and \\ stand for themselves.
 * Too long a key, or no closing quote: NULL, as for any path that is none. */
static const char *read_quoted(const char *p, segment *s)
{
    size_t used = 0;
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) p++;
        if (used + 1 >= sizeof s->key) return NULL;
        s->key[used++] = *p;
    }
    s->key[used] = 0;
    return *p == '"' ? p + 1 : NULL;
}

/* strtol alone would take blanks and signs: "[ 1]" and "[-1]" are none. */
static const char *read_index(const char *p, segment *s)
{
    char *end;
    if (!isdigit((unsigned char)p[1])) return NULL;
    errno = 0;
    long index = strtol(p + 1, &end, 10);
    if (errno || index > INT32_MAX || *end != ']') return NULL;
    s->is_index = true;
    s->index = (int)index;
    return end + 1;
}

/* Takes one segment off a path; NULL if it is malformed. `first`: no dot is expected.
 * A dot stands before every key but the first, none before an index: "a.b[2].c". What is left over
 * at an odd place (a second dot, a lone bracket) gives an empty key and so no segment. */
static const char *read_segment(const char *p, bool first, segment *s)
{
    s->is_index = false;
    if (*p == '[') return read_index(p, s);
    if (!first && *p++ != '.') return NULL;
    if (*p == '"') return read_quoted(p, s);
    size_t n = strcspn(p, ".[]\"");
    if (n == 0 || n >= sizeof s->key) return NULL;
    memcpy(s->key, p, n);
    s->key[n] = 0;
    return p + n;
}

/* NULL for a key of a list and an index of a map as well: what is not there cannot be found. */
static node *child_at(const node *n, const segment *s)
{
    if (!s->is_index) return node_get(n, s->key);
    return n->kind == NODE_LIST && s->index < n->count ? n->items[s->index] : NULL;
}

node *node_at(const node *root, const char *path)
{
    const node *n = root;
    segment s;
    /* "" is the root itself. A child that is not there ends the walk, whatever follows in the
     * path. */
    for (const char *p = path; *p && n; n = child_at(n, &s)) {
        p = read_segment(p, p == path, &s);
        if (!p) return NULL;
    }
    return (node *)(uintptr_t)n;
}

/* parent.key, parent."odd.key", parent[3]; cut at PATH_BYTES.
 * Quoted where read_segment would otherwise end the key too early, so that a path from a message
 * can be typed as it is behind --set. 3: an escape, the character, the closing quote. */
static const char *join_key(arena *a, const char *parent, const char *key)
{
    char text[PATH_BYTES];
    bool odd = !*key || strpbrk(key, ".[]\"");
    int n = snprintf(text, sizeof text, "%s%s", parent, *parent ? "." : "");
    size_t used = MIN((size_t)n, sizeof text - 1);
    if (odd && used + 1 < sizeof text) text[used++] = '"';
    for (; *key && used + 3 < sizeof text; key++) {
        if (*key == '"' || (odd && *key == '\\')) text[used++] = '\\';
        text[used++] = *key;
    }
    if (odd && used + 1 < sizeof text) text[used++] = '"';
    text[used] = 0;
    return arena_strdup(a, text);
}

static const char *join_index(arena *a, const char *parent, int index)
{
    char text[PATH_BYTES];
    snprintf(text, sizeof text, "%s[%d]", parent, index);
    return arena_strdup(a, text);
}

/* Paths are texts and not computed from parents, since a node has no parent: they are made anew for
 * what is moved, the subtree only. */
void node_repath(arena *a, node *root, const char *path)
{
    root->path = *path ? arena_strdup(a, path) : "";
    for (int i = 0; i < root->count; i++) {
        bool map = root->kind == NODE_MAP;
        const char *p = map ? join_key(a, path, root->keys[i]) : join_index(a, path, i);
        node_repath(a, root->items[i], p);
        if (map && root->key_nodes[i] != root->items[i]) root->key_nodes[i]->path = p;
    }
}

/* An empty container for what the rest of the path goes into, placed where `value` stands.
 * So a message about a map that nobody wrote points at who made it necessary. */
static node *container_for(arena *a, const char *rest, const node *value)
{
    node *n = *rest == '[' ? node_list(a) : node_map(a);
    n->file = value->file;
    n->line = value->line;
    n->column = value->column;
    return n;
}

/* Makes `value` the child of n that the segment names. */
static bool put_child(arena *a, node *n, const segment *s, node *value, err *e)
{
    /* Errors stand at `value`, whose place is the command line or the axis that asked for it. */
    if (!s->is_index) {
        if (n->kind == NODE_LIST) {
            return node_err(e, value, "%s is a list: its entries are %s[0] and so on", n->path,
                            n->path);
        }
        if (n->kind != NODE_MAP) return node_err(e, value, "%s is not a map of keys", n->path);
        node_set(a, n, s->key, value);
        node_repath(a, value, join_key(a, n->path, s->key));
        return true;
    }
    if (n->kind != NODE_LIST) return node_err(e, value, "%s is not a list", n->path);
    if (s->index > n->count) {
        return node_err(e, value, "%s has %d entries; index %d is out of range (they count from 0)",
                        n->path, n->count, s->index);
    }
    /* One past the end appends; then, as otherwise, the entry is the value. */
    if (s->index == n->count) node_append(a, n, value);
    n->items[s->index] = value;
    node_repath(a, value, join_index(a, n->path, s->index));
    return true;
}

bool node_put(arena *a, node *root, const char *path, node *value, err *e)
{
    node *n = root;
    segment s;
    const char *p = read_segment(path, true, &s);
    /* Segments that the value leaves room for, and those that were read. */
    int room = NODE_DEPTH - node_depth(value), depth = 1;
    /* s names a child on the way, p is what follows it; in the end s names the value itself. */
    for (; p && *p && depth <= room; depth++) {
        node *child = child_at(n, &s);
        /* `model:` with nothing behind it is null, and may become a map. */
        if (!child || node_is_null(child)) {
            child = container_for(a, p, value);
            if (!put_child(a, n, &s, child, e)) return false;
        }
        n = child;
        p = read_segment(p, false, &s);
    }
    if (!p) {
        return node_err(e, value, "'%s' is no path; one looks like model.blocks[0].ffn.hidden",
                        path);
    }
    if (depth > room) return node_err(e, value, "this is nested more than %d deep", NODE_DEPTH);
    return put_child(a, n, &s, value, e);
}
