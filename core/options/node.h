/* A tree of values that remembers where each was written: what a YAML file becomes.
 *
 * Typing follows the YAML 1.2 core schema and is done where a value is used (option.h): a plain
 * scalar has no type of its own here. Aliases and `<<` merges are resolved while loading; duplicate
 * keys, cycles and trees beyond the limits (NODE_DEPTH, 1,000,000 nodes) are errors with a place.
 * Nodes live in an arena and as long as it. */
#pragma once

#include "core/base/arena.h"

/* Trees are walked by recursion: neither a file nor what is put into one makes a deeper
 * one. The root counts. */
enum { NODE_DEPTH = 64 };

typedef enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP } node_kind;

typedef struct node {
    node_kind kind;
    const char *file; /* where it was written: a file, "--set a.b=1", or NULL (made by code) */
    int line, column; /* from 1; line 0: not in a file */
    const char *path; /* "model.blocks[1].hash_ffn"; "" for the root */
    const char *text; /* scalars: the characters */
    bool plain;       /* scalars: not quoted, so `null`, numbers and booleans are recognised */
    /* Lists and maps: `count` children in order; for maps keys[i] names items[i]. */
    int count, capacity;
    const char **keys;
    struct node **key_nodes; /* where the key itself stands */
    struct node **items;
} node;

/* Parses YAML text / what must be a map / what a file holds / a file. On failure NULL and e says
 * "file:line:col: what". What comes from a file may be a list or a number: node_set and node_add
 * want a map. */
node *node_parse(arena *a, const char *text, size_t bytes, const char *file, err *e);
node *node_parse_map(arena *a, const char *text, size_t bytes, const char *file, err *e);
node *node_parse_file(arena *a, const char *text, size_t bytes, const char *path, err *e);
node *node_load(arena *a, const char *path, err *e);

node *node_get(const node *map, const char *key); /* NULL if absent or not a map */
node *node_copy(arena *a, const node *n);         /* deep */
/* The node at "a.b[2].c" below root, or NULL. */
node *node_at(const node *root, const char *path);
/* Puts value at the path, making maps on the way; indexes must exist (or be one past the end). Keys
 * that hold dots or brackets are quoted in paths: sweep.grid."optimizer.lr". root is one; the tree
 * that it becomes is no deeper than NODE_DEPTH. */
bool node_put(arena *a, node *root, const char *path, node *value, err *e);
/* Recomputes every node's path below root. */
void node_repath(arena *a, node *root, const char *path);
int node_depth(const node *n); /* 1: no children */

node *node_scalar(arena *a, const char *text, bool plain);
node *node_int(arena *a, int64_t value);
node *node_map(arena *a);
node *node_list(arena *a);
void node_set(arena *a, node *map, const char *key, node *value); /* replaces or appends */
/* Appends without looking for an earlier one; `key` is a scalar and keeps its place. */
void node_add(arena *a, node *map, node *key, node *value);
void node_append(arena *a, node *list, node *value);
void node_remove(node *map, const char *key);  /* if it is there */
bool node_equal(const node *x, const node *y); /* same values, whatever the order of keys */

/* What a scalar is in the YAML 1.2 core schema (null, ~ or nothing; true, True...). */
bool node_is_null(const node *n);                  /* NULL counts as null */
bool node_to_bool(const node *n, bool *value);     /* false: not a boolean */
bool node_to_number(const node *n, double *value); /* false: not a number (2M is none here) */

/* Writes canonical YAML (block style, keys in order, strings quoted only where needed) so that
 * node_parse of it gives an equal tree. Returns arena memory. */
char *node_yaml(arena *a, const node *n);
/* Compact JSON; plain scalars become null, true/false, numbers or strings. sorted: keys by name,
 * the form that identities are hashes of. */
char *node_json(arena *a, const node *n, bool sorted);

/* err_set with "file:line:col: path: " in front; false. */
bool node_err(err *e, const node *n, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same of what was said already. */
bool node_err_of(err *e, const node *n, const err *why);
