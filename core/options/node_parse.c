/* YAML into nodes, over libyaml's events. libyaml alone accepts duplicate keys, cyclic aliases and
 * any depth, and takes `<<` for an ordinary key: those are ours.
 *
 * libyaml reads characters and hands out events: a scalar, the beginning and the end of a list or a
 * map, an alias. One function per kind takes events until its value is whole, so the tree's depth
 * is the depth of calls, and NODE_DEPTH bounds both. The event that is current belongs to the
 * loader and dies with the next one; what outlives it is copied into the arena.
 *
 * A spec may come from anywhere, and so its size in memory is bounded by more than its bytes: ten
 * lines of aliases, each naming the one before ten times, would be ten thousand million values.
 * Every value counts, those that an alias copies as well, before they are copied. */
#include "core/base/file.h"
#include "core/base/json_seal.h"
#include "core/options/invisible.h"
#include "core/options/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    MAX_NODES = 1000000, /* after aliases are expanded: no small file becomes a huge tree */
    MAX_ANCHORS = 1000,
    MAX_KEY_BYTES = 200, /* YAML itself ends at 1024 */
    MAX_FILE_BYTES = 64 << 20
};

/* Filled when the value is whole; it is borrowed from the tree, and each alias gets a copy of its
 * own. */
typedef struct anchor {
    const char *name;
    node *value; /* NULL while it is still being read: an alias to it would be a cycle */
} anchor;

typedef struct loader {
    arena *a;
    const char *file;
    const char *text;
    size_t bytes;
    err *e;
    yaml_parser_t parser;
    yaml_event_t event;
    int nodes, anchors;
    anchor *anchor;
} loader;

/* libyaml counts lines and columns from 0. */
static bool fail_at(loader *l, yaml_mark_t mark, const char *what)
{
    return err_set(l->e, "%s:%zu:%zu: %s", l->file, mark.line + 1, mark.column + 1, what);
}

/* Where the character of that index stands in the text: libyaml's places count characters, and not
 * the mark of byte order in front of all. */
static size_t byte_of(const loader *l, size_t index)
{
    size_t at = l->bytes >= 3 && memcmp(l->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (; index > 0 && at < l->bytes; index--) {
        at++;
        while (at < l->bytes && (l->text[at] & 0xc0) == 0x80) {
            at++;
        }
    }
    return at;
}

/* Names a character nobody sees between the beginning of the line before `at` and `at`: libyaml
 * takes it for a part of a word, and complains about what follows. */
static void mention_invisible(const loader *l, size_t at, char *what, size_t room)
{
    size_t begin = MIN(at, l->bytes), found;
    /* Two ends of lines back: the character may stand at the end of the line before. */
    for (int lines = 0; begin > 0; begin--) {
        if (l->text[begin - 1] == '\n' && ++lines == 2) break;
    }
    const char *name = invisible_find(l->text + begin, MIN(at, l->bytes) - begin, &found);
    size_t used = strlen(what);
    if (name)
        snprintf(what + used, room - used, "; before it stands %s: write a plain space", name);
}

/* libyaml's own words, with the place where it noticed; `context` is what it was reading and where
 * that began, which for a missing quote or bracket is the line to look at. */
static bool fail_parser(loader *l)
{
    const yaml_parser_t *p = &l->parser;
    if (p->error == YAML_MEMORY_ERROR) return err_set(l->e, "%s: out of memory", l->file);
    if (p->error == YAML_READER_ERROR) {
        return err_set(l->e, "%s: byte %zu: %s; the file must be UTF-8 text", l->file,
                       p->problem_offset, p->problem ? p->problem : "unreadable");
    }
    size_t at = byte_of(l, p->problem_mark.index);
    char there = 0;
    if (at < l->bytes) there = l->text[at];
    char what[512];
    snprintf(what, sizeof what, "%s%s%s", p->problem ? p->problem : "not YAML",
             p->context ? ", " : "", p->context ? p->context : "");
    if (p->context && p->context_mark.line != p->problem_mark.line) {
        size_t used = strlen(what);
        snprintf(what + used, sizeof what - used, " that begins in line %zu",
                 p->context_mark.line + 1);
    }
    mention_invisible(l, at, what, sizeof what);
    /* Within braces a bracket ends a word: {model.blocks[0].ffn.hidden: 8}. */
    const char *hint = there == '\t'  ? "; indent with spaces, not tabs"
                       : there == '[' ? "; within {} a key that has brackets stands in quotes"
                                      : "";
    strncat(what, hint, sizeof what - strlen(what) - 1);
    return fail_at(l, p->problem_mark, what);
}

/* Deleting a zeroed event is fine: the first call has none. */
static bool next_event(loader *l)
{
    yaml_event_delete(&l->event);
    return yaml_parser_parse(&l->parser, &l->event) ? true : fail_parser(l);
}

/* Before the next event is taken: the place of a list or a map is where it begins. */
static node *place_node(loader *l, node *n)
{
    n->file = l->file;
    n->line = (int)l->event.start_mark.line + 1;
    n->column = (int)l->event.start_mark.column + 1;
    return n;
}

/* Keys count, too: a map of a million keys is as large as a list of as many values. */
static bool count_node(loader *l)
{
    if (++l->nodes <= MAX_NODES) return true;
    return fail_at(l, l->event.start_mark,
                   "more than 1,000,000 values; aliases may be multiplying them");
}

static bool count_tree(loader *l, const node *n)
{
    if (!count_node(l)) return false;
    for (int i = 0; i < n->count; i++) {
        if (!count_tree(l, n->items[i])) return false;
    }
    return true;
}

/* ---- anchors ---- */

/* From the end: YAML lets a name be given again, and an alias means the last before it. */
static anchor *find_anchor(loader *l, const char *name)
{
    for (int i = l->anchors; i-- > 0;) {
        if (strcmp(l->anchor[i].name, name) == 0) return &l->anchor[i];
    }
    return NULL;
}

/* Index of the anchor that this event opens, -1 if none, -2 on failure.
 * Before the value is read, so that an alias inside of it is known for a cycle. */
static int open_anchor(loader *l, const yaml_char_t *name)
{
    if (!name) return -1;
    if (l->anchors == MAX_ANCHORS) {
        fail_at(l, l->event.start_mark, "more than 1,000 anchors");
        return -2;
    }
    l->anchor[l->anchors] = (anchor){arena_strdup(l->a, (const char *)name), NULL};
    return l->anchors++;
}

/* An alias may stand deep and name something deep: the sum is what functions that walk the tree
 * meet. Itself, at `depth`, is the first of what it names. */
static node *read_alias(loader *l, int depth)
{
    const char *name = (const char *)l->event.data.alias.anchor;
    anchor *found = find_anchor(l, name);
    char what[256];
    if (!found) {
        snprintf(what, sizeof what, "unknown alias *%.100s; anchors (&name) stand before their use",
                 name);
    } else if (!found->value) {
        snprintf(what, sizeof what, "alias *%.100s stands inside what it names: a cycle", name);
    } else if (depth - 1 + node_depth(found->value) > NODE_DEPTH) {
        snprintf(what, sizeof what, "nested more than %d deep", NODE_DEPTH);
    } else {
        return count_tree(l, found->value) ? node_copy(l->a, found->value) : NULL;
    }
    fail_at(l, l->event.start_mark, what);
    return NULL;
}

/* ---- values ---- */

static node *read_node(loader *l, int depth);

/* A tag would ask for a type (`!!str 8`), and types are the tables'. */
static bool has_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

/* A scalar "a\0b" has its length in the event, and would end at the NUL everywhere else. */
static node *read_scalar(loader *l)
{
    const char *value = (const char *)l->event.data.scalar.value;
    if (strlen(value) != l->event.data.scalar.length) {
        fail_at(l, l->event.start_mark, "a text must not hold the character NUL");
        return NULL;
    }
    bool plain = l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place_node(l, node_scalar(l->a, value, plain));
}

/* NULL where next_event failed: it has written the message. */
static node *read_list(loader *l, int depth)
{
    node *list = place_node(l, node_list(l->a));
    while (next_event(l)) {
        if (l->event.type == YAML_SEQUENCE_END_EVENT) return list;
        node *item = read_node(l, depth + 1);
        if (!item) return NULL;
        node_append(l->a, list, item);
    }
    return NULL;
}

static int by_key(const void *x, const void *y)
{
    const node *a = *(node *const *)x, *b = *(node *const *)y;
    int order = strcmp(a->text, b->text);
    if (order) return order;
    return a->line != b->line ? a->line - b->line : a->column - b->column;
}

/* Sorting keeps huge maps quick.
 * A key that is given twice is a mistake whose second half would silently win. Of equal keys the
 * sorted order has the earlier line first, so the message names the later one and where the first
 * stands. The list is scratch: the arena goes back to where it was. */
static bool check_duplicates(loader *l, const node *map)
{
    if (map->count < 2) return true;
    arena_mark mark = arena_now(l->a);
    node **keys = ARENA_NEW(l->a, node *, map->count);
    memcpy(keys, map->key_nodes, (size_t)map->count * sizeof *keys);
    qsort(keys, (size_t)map->count, sizeof *keys, by_key);
    bool good = true;
    for (int i = 1; i < map->count && good; i++) {
        if (strcmp(keys[i - 1]->text, keys[i]->text) != 0) continue;
        good = err_set(l->e, "%s:%d:%d: duplicate key '%s' (first in line %d); keep one", l->file,
                       keys[i]->line, keys[i]->column, keys[i]->text, keys[i - 1]->line);
    }
    arena_rewind(l->a, mark);
    return good;
}

/* `<<: *base` or `<<: [*a, *b]`: keys that the map lacks; earlier sources win.
 * The source is a copy that an alias made, or a map written in place, and nobody else's: its nodes
 * move over as they are, keys with their places, so an error in a merged value points at where it
 * was written. */
static bool merge_into(loader *l, node *map, const node *source)
{
    if (source->kind == NODE_LIST) {
        for (int i = 0; i < source->count; i++) {
            if (source->items[i]->kind == NODE_LIST) {
                return node_err(l->e, source->items[i], "'<<' takes maps, not lists of lists");
            }
            if (!merge_into(l, map, source->items[i])) return false;
        }
        return true;
    }
    if (source->kind != NODE_MAP) {
        return node_err(l->e, source, "'<<' takes a map or a list of maps, such as <<: *base");
    }
    for (int i = 0; i < source->count; i++) {
        if (node_get(map, source->keys[i])) continue;
        node_add(l->a, map, source->key_nodes[i], source->items[i]);
    }
    return true;
}

/* YAML allows any value as a key; a spec's keys are names of options, and a path must be able to
 * spell them. */
static node *read_key(loader *l)
{
    if (l->event.type != YAML_SCALAR_EVENT || l->event.data.scalar.anchor || has_tag(&l->event)) {
        fail_at(l, l->event.start_mark, "a key must be a text: no list, map, tag, anchor or alias");
        return NULL;
    }
    if (l->event.data.scalar.length > MAX_KEY_BYTES) {
        fail_at(l, l->event.start_mark, "a key must not be longer than 200 bytes");
        return NULL;
    }
    return count_node(l) ? read_scalar(l) : NULL;
}

static node *read_map(loader *l, int depth)
{
    node *map = place_node(l, node_map(l->a)), *merge = NULL;
    while (next_event(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        node *key = read_key(l);
        if (!key || !next_event(l)) return NULL;
        node *value = read_node(l, depth + 1);
        if (!value) return NULL;
        /* In quotes it is an ordinary key. A merge is kept until the map is whole: its own keys
         * win. */
        if (!key->plain || strcmp(key->text, "<<") != 0) {
            node_add(l->a, map, key, value);
            continue;
        }
        if (merge) return node_err(l->e, key, "a second '<<'; write <<: [*a, *b]"), NULL;
        merge = value;
    }
    if (l->event.type != YAML_MAPPING_END_EVENT) return NULL;
    /* In this order: a map's own keys win over merged ones, wherever its `<<` stands, and are no
     * duplicates of them. */
    if (!check_duplicates(l, map)) return NULL;
    if (merge && !merge_into(l, map, merge)) return NULL;
    return map;
}

/* The value that the current event begins; its last event is the current one afterwards. */
static node *read_node(loader *l, int depth)
{
    const yaml_event_t *event = &l->event;
    if (depth > NODE_DEPTH) {
        char what[64];
        snprintf(what, sizeof what, "nested more than %d deep", NODE_DEPTH);
        fail_at(l, event->start_mark, what);
        return NULL;
    }
    if (has_tag(event)) {
        fail_at(l, event->start_mark, "tags (!...) are not supported; leave it out");
        return NULL;
    }
    if (event->type == YAML_ALIAS_EVENT) return read_alias(l, depth);
    if (!count_node(l)) return NULL;
    node *n = NULL;
    int opened = -1;
    if (event->type == YAML_SCALAR_EVENT) {
        opened = open_anchor(l, event->data.scalar.anchor);
        n = opened == -2 ? NULL : read_scalar(l);
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        opened = open_anchor(l, event->data.sequence_start.anchor);
        n = opened == -2 ? NULL : read_list(l, depth);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        opened = open_anchor(l, event->data.mapping_start.anchor);
        n = opened == -2 ? NULL : read_map(l, depth);
    }
    if (n && opened >= 0) l->anchor[opened].value = n;
    return n;
}

/* Events of a file: stream start, document start, the value's, document end, stream end. Of an
 * empty one: stream start, stream end. */
static node *read_document(loader *l)
{
    if (!next_event(l) || !next_event(l)) return NULL; /* stream start, document start */
    if (l->event.type == YAML_STREAM_END_EVENT) {      /* nothing but comments: null */
        /* A plain nothing: null, which options_read takes for all defaults. */
        return place_node(l, node_scalar(l->a, "", true));
    }
    if (!next_event(l)) return NULL;
    node *root = read_node(l, 1);
    if (!root || !next_event(l) || !next_event(l)) return NULL; /* document end */
    if (l->event.type != YAML_STREAM_END_EVENT) {
        fail_at(l, l->event.start_mark, "a second document ('---'); a file holds one");
        return NULL;
    }
    return root;
}

/* The text may go when this returns: whatever is kept of it was copied. Paths are written at the
 * end, once per node, when merges have moved what they move. */
node *node_parse(arena *a, const char *text, size_t bytes, const char *file, err *e)
{
    loader l = {.a = a, .text = text, .bytes = bytes, .e = e};
    l.file = arena_strdup(a, file);
    l.anchor = ARENA_NEW(a, anchor, MAX_ANCHORS);
    if (!yaml_parser_initialize(&l.parser)) return err_set(e, "%s: out of memory", file), NULL;
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, bytes);
    node *root = read_document(&l);
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    if (root) node_repath(a, root, "");
    return root;
}

node *node_parse_map(arena *a, const char *text, size_t bytes, const char *file, err *e)
{
    node *root = node_parse(a, text, bytes, file, e);
    if (!root || root->kind == NODE_MAP) return root;
    node_err(e, root, "expected a map of options");
    return NULL;
}

node *node_parse_file(arena *a, const char *text, size_t bytes, const char *path, err *e)
{
    node *root = NULL;
    if (bytes > MAX_FILE_BYTES) {
        err_set(e, "%s: larger than 64 MiB: not a spec", path);
    } else if (json_seal_look(text, bytes) == JSON_CHANGED) { /* a record of this program's */
        err_set(e, "%s: " JSON_CHANGED_TEXT JSON_CHANGED_REMEDY, path);
    } else {
        root = node_parse(a, text, bytes, path, e);
    }
    return root;
}

node *node_load(arena *a, const char *path, err *e)
{
    size_t bytes;
    text_auto *text = file_read(path, &bytes, e);
    return text ? node_parse_file(a, text, bytes, path, e) : NULL;
}
