#include "harness/spec/spec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/options/option.h"
#include "harness/spec/block_path.h"
#include "results/store/experiment.h"

/* A spec is a tree from first to last: what a file extends is laid below it, what the command line
 * sets is put into it, and only then is anything looked at. There is no second representation that
 * an option would have to be entered in; sections are read by whoever has their options (option.h),
 * at the node, with its place.
 *
 * Order of precedence, the later wins:
 *
 *   files that are extended, in the order of their list, each with its own bases below it
 *   the file itself
 *   --set, in the order of the command line
 *   values of the sweep's axes (variant.h), per variant
 *
 * Maps merge key by key, everything else is replaced as a whole: a list has no keys by which half
 * of it could be meant.
 *
 * Every node keeps the file and line that it came from, so that a mistake in a base is told at its
 * line in that base. */

/* Files between a file and the root; those that are read in all, since ten of which each extends
 * the next ten times are ten thousand million; values of all of them, as many as one may have. */
enum { MAX_EXTENDS = 16, MAX_FILES = 100, MAX_VALUES = 1000000 };

/* The first three are texts and `extends`; from FIRST_SECTION on they are sections. */
static const char *const TOP_KEYS[] = {"name",  "description", "extends",   "data",
                                       "model", "init_from",   "optimizer", "schedule",
                                       "train", "eval",        "sweep",     "claims"};
enum { TOP_COUNT = sizeof TOP_KEYS / sizeof *TOP_KEYS, FIRST_SECTION = 3 };

/* The files being read, innermost last, to find circles; and what was read. */
typedef struct chain {
    const char *files[MAX_EXTENDS];
    int count, read;
    int64_t values;
} chain;

/* By looking through: maps of a spec have some dozens of keys, and their order has a meaning. */
static int key_index(const node *map, const char *key)
{
    for (int i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i], key) == 0) return i;
    }
    return -1;
}

/* Lays `over` on `base`: maps key by key, anything else as a whole. Nodes are shared, not copied:
 * each file is a tree of its own, in which aliases are copies, and nobody else holds it. The order
 * of keys is the base's, new ones behind; of layers in a block the order counts. */
static void merge_maps(arena *a, node *base, const node *over)
{
    for (int i = 0; i < over->count; i++) {
        int at = key_index(base, over->keys[i]);
        if (at < 0) {
            node_add(a, base, over->key_nodes[i], over->items[i]);
        } else if (base->items[at]->kind == NODE_MAP && over->items[i]->kind == NODE_MAP) {
            merge_maps(a, base->items[at], over->items[i]);
        } else {
            base->items[at] = over->items[i];
            base->key_nodes[at] = over->key_nodes[i];
        }
    }
}

/* ---- extends ---- */

static node *resolve_extends(arena *a, node *root, const char *file, chain *c, err *e);

/* By the file that a name leads to (realpath), or a link would be a way around the question. The
 * number is bounded, too, for a chain that is no circle may still be a mistake. */
static bool enter_file(arena *a, chain *c, const char *file, const node *at, err *e)
{
    char real_path[PATH_MAX];
    const char *whole = realpath(file, real_path) ? real_path : file;
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->files[i], whole) == 0) {
            return node_err(e, at, "'%s' extends itself in a circle", file);
        }
    }
    if (c->count == MAX_EXTENDS) {
        return node_err(e, at, "more than %d files extend each other", MAX_EXTENDS);
    }
    if (c->read == MAX_FILES) {
        return node_err(e, at, "more than %d files are extended in all", MAX_FILES);
    }
    c->files[c->count++] = arena_strdup(a, whole);
    c->read++;
    return true;
}

static int64_t count_values(const node *n)
{
    int64_t values = 1;
    for (int i = 0; i < n->count; i++) {
        values += count_values(n->items[i]);
    }
    return values;
}

/* A file of the limit's size each would be a hundred times the memory that one may take. */
static bool count_file(chain *c, const node *tree, const node *at, err *e)
{
    c->values += count_values(tree);
    return c->values <= MAX_VALUES ||
           node_err(e, at, "more than 1,000,000 values in all files that are extended");
}

/* The folder of `file` with its slash, or "". */
static const char *folder_of(arena *a, const char *file)
{
    char *folder = arena_strdup(a, file);
    char *slash = strrchr(folder, '/');
    if (slash) {
        slash[1] = 0;
    } else {
        folder[0] = 0;
    }
    return folder;
}

/* The tree of one base file, its own bases below it, without what is not inherited. */
static node *load_base(arena *a, const node *at, const char *file, chain *c, err *e)
{
    if (at->kind != NODE_SCALAR || !*at->text) {
        return node_err(e, at, "expected a file name, relative to this file"), NULL;
    }
    char path[FILE_PATH_BYTES];
    const char *folder = at->text[0] == '/' ? "" : folder_of(a, file);
    if (snprintf(path, sizeof path, "%s%s", folder, at->text) >= (int)sizeof path) {
        return node_err(e, at, "the file's name is too long"), NULL;
    }
    if (!file_exists(path)) {
        node_err(e, at, "no file '%s'; the name is relative to the file that extends it", path);
        return NULL;
    }
    /* The chain holds the files between here and the root only: two bases that extend the same
     * third file are no circle. */
    int depth = c->count;
    if (!enter_file(a, c, path, at, e)) return NULL;
    err why;
    size_t bytes;
    text_auto *text = file_read_named(path, &bytes, &why);
    if (!text) return node_err_of(e, at, &why), NULL;
    node *base = node_parse_file(a, text, bytes, path, e);
    if (base && !count_file(c, base, at, e)) return NULL;
    if (base) base = resolve_extends(a, base, path, c, e);
    c->count = depth;
    if (!base) return NULL;
    node_remove(base, "name");
    node_remove(base, "description");
    return base;
}

/* root with everything that it extends below it. `merged` takes the root's place in the file, so
 * that messages about the whole point there. */
static node *resolve_extends(arena *a, node *root, const char *file, chain *c, err *e)
{
    if (root->kind != NODE_MAP) {
        err_set(e, "%s:%d:%d: a spec is a map of sections (data, model, optimizer, ...)", file,
                root->line, root->column);
        return NULL;
    }
    /* Taken out before the bases are merged: a base's own `extends` is resolved by then, and none
     * is inherited. */
    const node *extends = node_get(root, "extends");
    node_remove(root, "extends");
    if (node_is_null(extends)) return root;
    node *merged = node_map(a);
    merged->file = root->file;
    merged->line = root->line;
    merged->column = root->column;
    int count = extends->kind == NODE_LIST ? extends->count : 1;
    for (int i = 0; i < count; i++) {
        const node *at = extends->kind == NODE_LIST ? extends->items[i] : extends;
        node *base = load_base(a, at, file, c, e);
        if (!base) return NULL;
        merge_maps(a, merged, base);
    }
    merge_maps(a, merged, root);
    return merged;
}

/* ---- --set ---- */

/* A value of the command line is named by its label ("--set lr=..."), in which lines and columns
 * mean nothing. */
static void forget_lines(node *n)
{
    n->line = n->column = 0;
    for (int i = 0; i < n->count; i++) {
        forget_lines(n->items[i]);
        if (n->kind == NODE_MAP) n->key_nodes[i]->line = n->key_nodes[i]->column = 0;
    }
}

/* The value is parsed as YAML: lists, maps and null can be set as well as numbers. */
static bool apply_set(arena *a, node *root, const char *set, err *e)
{
    const char *equals = strchr(set, '=');
    if (!equals || equals == set) {
        return err_set(e, "--set %s: expected PATH=VALUE, such as optimizer.lr=1e-3", set);
    }
    char *path = arena_strdup(a, set);
    path[equals - set] = 0;
    char label[256];
    snprintf(label, sizeof label, "--set %s", set);
    node *value = node_parse(a, equals + 1, strlen(equals + 1), label, e);
    if (!value) return false;
    forget_lines(value);
    const char *at = block_path(a, root, path, value, e);
    return at && node_put(a, root, at, value, e);
}

/* ---- checks ---- */

/* Only which sections there are and of which kind: a misspelt section would else be a section that
 * nobody reads. Empty ones are removed, so that `eval:` with nothing behind it is the same as no
 * `eval`. */
static bool check_sections(node *root, err *e)
{
    for (int i = 0; i < root->count; i++) {
        const node *value = root->items[i];
        int k = 0;
        while (k < TOP_COUNT && strcmp(TOP_KEYS[k], root->keys[i]) != 0)
            k++;
        if (k == TOP_COUNT) return option_unknown(e, root, i, TOP_COUNT, TOP_KEYS);
        bool section = k >= FIRST_SECTION;
        bool is_claims = strcmp(root->keys[i], "claims") == 0;
        bool may_be_list = is_claims || strcmp(root->keys[i], "sweep") == 0;
        if (!section || node_is_null(value)) continue;
        if (value->kind == NODE_MAP && !is_claims) continue;
        if (may_be_list && value->kind == NODE_LIST) continue;
        return node_err(e, value,
                        is_claims ? "expected a list of claims: [{name: ..., better: A, than: B}]"
                        : may_be_list ? "expected a map or a list of maps"
                                      : "expected a map of options");
    }
    /* Claims are about variants: whoever takes the sweep away has none to claim anything of. */
    const node *sweep = node_get(root, "sweep");
    if (sweep && node_is_null(sweep)) node_remove(root, "claims");
    for (int k = FIRST_SECTION; k < TOP_COUNT; k++) { /* `sweep:` alone says nothing */
        if (node_is_null(node_get(root, TOP_KEYS[k]))) node_remove(root, TOP_KEYS[k]);
    }
    return true;
}

/* The name becomes those of files, and a key of the database. */
static bool check_name(const char *name, const node *at, const char *file, err *e)
{
    err why = {0};
    if (experiment_name_is_good(name, &why)) return true;
    if (at) return node_err_of(e, at, &why);
    return err_set(e, "%s: %s; rename the file or add `name:`", file, why.text);
}

static const char *name_of_file(arena *a, const char *file)
{
    const char *slash = strrchr(file, '/');
    char *name = arena_strdup(a, slash ? slash + 1 : file);
    char *dot = strrchr(name, '.');
    if (dot && dot > name && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0)) *dot = 0;
    return name;
}

/* Taken out of the tree: they are about the experiment and no part of what a run is. */
static bool take_texts(spec *s, err *e)
{
    const node *name = node_get(s->root, "name");
    const node *description = node_get(s->root, "description");
    if (name && name->kind != NODE_SCALAR) return node_err(e, name, "expected a text");
    if (description && description->kind != NODE_SCALAR) {
        return node_err(e, description, "expected a text");
    }
    if (node_is_null(name)) name = NULL;
    if (node_is_null(description)) description = NULL;
    s->name = name ? name->text : name_of_file(s->memory, s->file);
    s->description = description ? description->text : "";
    node_remove(s->root, "name");
    node_remove(s->root, "description");
    return check_name(s->name, name, s->file, e);
}

static bool build_spec(spec *s, size_t bytes, const char *const *sets, err *e)
{
    chain c = {.count = 0};
    node *root = node_parse(s->memory, s->text, bytes, s->file, e);
    if (!root || !enter_file(s->memory, &c, s->file, root, e)) return false;
    root = resolve_extends(s->memory, root, s->file, &c, e);
    if (!root) return false;
    for (; sets && *sets; sets++) {
        if (!apply_set(s->memory, root, *sets, e)) return false;
    }
    /* Paths of nodes are those of the merged tree: messages name "optimizer.lr" whichever file it
     * came from. */
    node_repath(s->memory, root, "");
    s->root = root;
    /* Left only if --set brought it: files have theirs resolved by then. */
    const node *extends = node_get(root, "extends");
    if (extends) return node_err(e, extends, "only a file can extend another; write it there");
    return check_sections(root, e) && take_texts(s, e);
}

/* One arena has the spec itself, its text and the tree. */
spec *spec_parse(const char *text, size_t bytes, const char *file, const char *const *sets, err *e)
{
    arena *a = arena_new(1 << 20);
    spec *s = arena_push_zero(a, 1, sizeof *s);
    *s = (spec){.memory = a, .file = arena_strdup(a, file), .text = arena_strndup(a, text, bytes)};
    if (build_spec(s, bytes, sets, e)) return s;
    arena_free(a);
    return NULL;
}

/* The text is kept as it was written (spec.text): records show what a person wrote, comments
 * included. */
spec *spec_load(const char *path, const char *const *sets, err *e)
{
    size_t bytes;
    text_auto *text = file_read_named(path, &bytes, e);
    if (!text) return NULL;
    return spec_parse(text, bytes, path, sets, e);
}

void spec_free(spec *s)
{
    if (s) arena_free(s->memory);
}
