#include "core/options/node.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Segments of a path that is read are bounded by the same number: a longer key is no path at
 * all. */
enum { PATH_BYTES = 256 }; /* longer paths are cut: they are for messages */

/* ---- making trees ---- */

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

/* ---- copies: one piece of memory per tree, for sweeps keep thousands of them ---- */

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

/* ---- paths ---- */

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

node *node_get(const node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP) return NULL;
    int i = find_key(map, key);
    return i < 0 ? NULL : map->items[i];
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
    /* s names a child on the way, p is what follows it; in the end s names the value itself. */
    while (p && *p) {
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
    return put_child(a, n, &s, value, e);
}

/* ---- scalars of the core schema ---- */

/* The core schema has three spellings of a word: true, True, TRUE, and no tRUE. YAML 1.1's yes, no,
 * on, off are texts in it, so a key `no:` and a language `no` stay what they are. */
static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

bool node_is_null(const node *n)
{
    if (!n) return true;
    if (n->kind != NODE_SCALAR || !n->plain) return false;
    return *n->text == 0 || strcmp(n->text, "~") == 0 || one_of(n->text, "null", "Null", "NULL");
}

bool node_to_bool(const node *n, bool *value)
{
    if (!n || n->kind != NODE_SCALAR || !n->plain) return false;
    *value = one_of(n->text, "true", "True", "TRUE");
    return *value || one_of(n->text, "false", "False", "FALSE");
}

static const char *skip_digits(const char *p)
{
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
 * By hand and not by strtod, which also takes "inf", "nan", hexadecimal fractions and leading
 * blanks. */
static bool is_decimal(const char *p)
{
    if (*p == '-' || *p == '+') p++;
    const char *whole = p;
    p = skip_digits(p);
    bool digits = p > whole;
    if (*p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction);
        digits = digits || p > fraction;
    }
    if (!digits) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+') p++;
        const char *exponent = p;
        p = skip_digits(p);
        if (p == exponent) return false;
    }
    return *p == 0;
}

/* 0o17 and 0x1F.
 * 15 digits are 60 bits at most: no overflow of the integer. A double rounds beyond 53. */
static bool read_prefixed(const char *text, double *value)
{
    if (text[0] != '0' || (text[1] != 'o' && text[1] != 'x')) return false;
    const char *digits = text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
    size_t n = strlen(text + 2);
    if (n == 0 || n > 15 || strspn(text + 2, digits) != n) return false;
    *value = (double)strtoll(text + 2, NULL, text[1] == 'o' ? 8 : 16);
    return true;
}

/* The point in front tells them from names: `inf` and `nan` are texts. For YAML they are numbers;
 * options take only finite ones (option_text.c). */
static bool read_special(const char *text, double *value)
{
    if (one_of(text, ".nan", ".NaN", ".NAN")) {
        *value = (double)NAN;
        return true;
    }
    const char *p = *text == '-' || *text == '+' ? text + 1 : text;
    *value = *text == '-' ? -(double)INFINITY : (double)INFINITY;
    return one_of(p, ".inf", ".Inf", ".INF");
}

bool node_to_number(const node *n, double *value)
{
    if (!n || n->kind != NODE_SCALAR || !n->plain) return false;
    if (is_decimal(n->text)) {
        *value = strtod(n->text, NULL);
        return true;
    }
    return read_prefixed(n->text, value) || read_special(n->text, value);
}

/* By what they mean, not by how they are spelt: 1e-3 and 0.001 are one learning rate, and whoever
 * spells it otherwise has the same run. A quoted "8" and a plain 8 differ, as one is a text. A NaN
 * is equal to itself here, or a tree would differ from its copy. */
static bool equal_scalars(const node *x, const node *y)
{
    bool bx, by;
    double vx, vy;
    if (node_is_null(x) || node_is_null(y)) return node_is_null(x) && node_is_null(y);
    bool x_bool = node_to_bool(x, &bx), y_bool = node_to_bool(y, &by);
    if (x_bool || y_bool) return x_bool && y_bool && bx == by;
    bool x_number = node_to_number(x, &vx), y_number = node_to_number(y, &vy);
    if (x_number != y_number) return false;
    if (!x_number) return strcmp(x->text, y->text) == 0;
    /* Whole numbers beyond 2^53 are told apart by their digits. */
    if (fabs(vx) >= 0x1p53 && fabs(vy) >= 0x1p53) return strcmp(x->text, y->text) == 0;
    return vx == vy || (isnan(vx) && isnan(vy));
}

/* Maps have as many keys, none twice, so it is enough that y has each of x's. */
bool node_equal(const node *x, const node *y)
{
    if (!x || !y) return x == y;
    if (x->kind != y->kind || x->count != y->count) return false;
    if (x->kind == NODE_SCALAR) return equal_scalars(x, y);
    for (int i = 0; i < x->count; i++) {
        const node *other = x->kind == NODE_LIST ? y->items[i] : node_get(y, x->keys[i]);
        if (!other || !node_equal(x->items[i], other)) return false;
    }
    return true;
}

/* ---- errors ---- */

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
