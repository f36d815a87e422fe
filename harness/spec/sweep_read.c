#include "harness/spec/sweep_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "harness/spec/sweep_conditions.h"
#include "results/claims/spending.h"

/* From the nodes of a sweep to axes, dimensions and picks. What a key is, is told by its look:
 *
 *   PATH: [v, v]               a path of the spec and values for it
 *   PATH: {name: v}            the same, with names; of a layer, what stands in its place
 *   NAME: {alt: {PATH: v}}     a named axis, whose alternatives set any paths
 *
 * A path begins with a section that training depends on. What only says how runs are evaluated
 * cannot be swept: it would make no other run.
 *
 * Nothing is multiplied here, and no value is looked into: whether 3e-3 is a good rate is said when
 * the variant's spec is read. */

/* Longest text of a value in a label: more than that makes tables unreadable. */
enum { TEXT_BYTES = 40 };

typedef struct reader {
    arena *a;
    sweep_source *source;
    err *e;
} reader;

/* What a run's identity depends on. `eval` is not among them, but for the one part of it that
 * changes what a model is (check_path). */
static const char *const SECTIONS[] = {"data",      "model",    "init_from",
                                       "optimizer", "schedule", "train"};
static const char WHOLE_SECTION[] = "init_from"; /* may be a path by itself */
enum { SECTION_COUNT = sizeof SECTIONS / sizeof *SECTIONS };

/* ---- axes ---- */

/* By name: a second block that speaks of the same axis means the same one. `at` is where it was
 * first written. */
static int axis_index(reader *r, const char *name, bool is_path, const node *at)
{
    sweep_source *s = r->source;
    for (int i = 0; i < s->axis_count; i++) {
        if (strcmp(s->axes[i].name, name) == 0) return i;
    }
    /* Pointers into `axes` do not outlive this: alternatives keep indexes. */
    if (s->axis_count == s->axis_capacity) {
        int capacity = MAX(16, 2 * s->axis_capacity);
        sweep_axis *bigger = ARENA_NEW(r->a, sweep_axis, capacity);
        if (s->axis_count) memcpy(bigger, s->axes, (size_t)s->axis_count * sizeof *bigger);
        s->axes = bigger;
        s->axis_capacity = capacity;
    }
    if (s->axis_count == SWEEP_MAX_AXES) {
        return node_err(r->e, at, "more than %d axes", SWEEP_MAX_AXES), -1;
    }
    s->axes[s->axis_count] = (sweep_axis){.name = name, .is_path = is_path, .at = at};
    return s->axis_count++;
}

/* Whether the text begins like a path, rather than being the name of an axis: with a section and a
 * dot. An axis may be called `model`; `model.width` is always the option. */
static bool is_path(const char *text)
{
    size_t n = strcspn(text, ".[");
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (strlen(SECTIONS[i]) == n && strncmp(text, SECTIONS[i], n) == 0 && text[n] == '.') {
            return true;
        }
    }
    return false;
}

/* model.blocks[N].LAYER and nothing behind it. `repeat` is the one key of a block that is no layer.
 */
static bool is_layer(const char *path)
{
    static const char stack[] = "model.blocks[";
    if (strncmp(path, stack, sizeof stack - 1) != 0) return false;
    const char *p = path + sizeof stack - 1;
    p += strspn(p, "0123456789");
    return p[0] == ']' && p[1] == '.' && p[2] && !strpbrk(p + 2, ".[") &&
           strcmp(p + 2, "repeat") != 0;
}

/* A path begins with a section that training depends on. */
static bool check_path(reader *r, const char *path, const node *at)
{
    /* The part up to the first dot or bracket, for a message: a section that is nearly one. */
    char first[64];
    size_t n = strcspn(path, ".[");
    snprintf(first, sizeof first, "%.*s", (int)MIN(n, sizeof first - 1), path);
    if (is_path(path)) return true;
    if (strcmp(path, WHOLE_SECTION) == 0) return true;
    if (strcmp(first, "eval") == 0) {
        /* A model that learns while it is evaluated is a variant; see identity_variant. The
         * character behind the prefix decides: eval.dynamic itself, or something inside of it.
         */
        static const char learns[] = "eval.dynamic";
        char next = path[strncmp(path, learns, sizeof learns - 1) == 0 ? sizeof learns - 1 : 0];
        if (next == 0 || next == '.') return true;
        return node_err(r->e, at,
                        "evaluation changes no run: of it only eval.dynamic can be swept");
    }
    const char *near = option_nearest(first, SECTION_COUNT, SECTIONS);
    if (near && path[n] == '.') {
        return node_err(r->e, at, "'%.100s': no section '%s' (did you mean '%s'?)", path, first,
                        near);
    }
    return node_err(r->e, at,
                    "'%.100s' is no path; a path and its values look like optimizer.lr: [1e-3, "
                    "3e-3], a named axis like memory: {short: {}, long: {PATH: VALUE}}",
                    path);
}

/* ---- alternatives ---- */

/* How a value is called in labels: as written, or as JSON if that is short, else by its number. As
 * written, since 1e-3 in the file should be 1e-3 in the table. */
static const char *value_text(reader *r, const node *value, int index)
{
    if (value->kind == NODE_SCALAR && *value->text && strlen(value->text) <= TEXT_BYTES) {
        return value->text;
    }
    const char *json = node_json(r->a, value, false);
    if (strlen(json) <= TEXT_BYTES) return json;
    char text[32];
    snprintf(text, sizeof text, "#%d", index + 1);
    return arena_strdup(r->a, text);
}

/* The axis is the path itself: its name in `exclude`, labels and tables. */
static bool path_alternative(reader *r, alternative *out, const char *path, const node *at,
                             node *value, int index)
{
    *out = (alternative){.axis = axis_index(r, path, true, at), .value = value, .count = 1};
    if (out->axis < 0) return false;
    out->text = value_text(r, value, index);
    out->sets = ARENA_NEW(r->a, assignment, 1);
    out->sets[0] = (assignment){.path = path, .value = value};
    return true;
}

/* NAME: VALUE below a path: the value under a name of its own; of a layer, what stands in its
 * place. A layer cannot be assigned like an option: its key in the block is its kind, and another
 * kind is another key (variant.c). */
static bool named_value(reader *r, alternative *out, int axis, const char *path, const char *name,
                        node *value)
{
    bool layer = is_layer(path);
    if (layer && value->kind != NODE_MAP) {
        return node_err(r->e, value,
                        "expected the layers that stand in its place, such as "
                        "{hash_ffn: {experts: 16, hidden: 512}}");
    }
    *out = (alternative){.axis = axis, .text = name, .count = 1};
    out->sets = ARENA_NEW(r->a, assignment, 1);
    out->sets[0] = (assignment){.path = path, .value = value, .in_place = layer};
    return true;
}

/* Fills sets from a map of paths to values; `skip` is a key that is none, or NULL. An empty map is
 * a good alternative: the spec as it is. */
static bool read_sets(reader *r, alternative *out, const node *map, const char *skip)
{
    out->count = 0;
    if (node_is_null(map)) return true;
    if (map->kind != NODE_MAP) {
        return node_err(r->e, map,
                        "expected a map of paths to values, such as "
                        "{\"model.width\": 256}, or {} for the spec as it is");
    }
    out->sets = ARENA_NEW(r->a, assignment, map->count);
    /* In the order of the file, which is the order in which they are applied. */
    for (int i = 0; i < map->count; i++) {
        if (skip && strcmp(map->keys[i], skip) == 0) continue;
        if (!check_path(r, map->keys[i], map->key_nodes[i])) return false;
        out->sets[out->count++] = (assignment){.path = map->keys[i], .value = map->items[i]};
    }
    return true;
}

static pick single_pick(reader *r)
{
    return (pick){1, arena_push_zero(r->a, 1, sizeof(alternative))};
}

/* PATH: [values], PATH: {name: value} or NAME: {alternative: {PATH: value}}. The axis is entered
 * before its values, in the order of the file: that order is the one of labels and columns. */
static bool read_axis(reader *r, dimension *d, const node *map, int i)
{
    const char *name = map->keys[i];
    const node *key = map->key_nodes[i], *values = map->items[i];
    if (values->kind == NODE_SCALAR || values->count == 0) {
        return node_err(r->e, values, "expected a list of values, or a map of named alternatives");
    }
    bool listed = values->kind == NODE_LIST, path = listed || is_path(name);
    /* A named axis needs no check, it may be called anything; a list has to stand at a path, or its
     * values would have no place. */
    if (listed && !check_path(r, name, key)) return false;
    int axis = axis_index(r, name, path, key);
    if (axis < 0) return false;
    d->count = values->count;
    d->picks = ARENA_NEW(r->a, pick, d->count);
    for (int k = 0; k < d->count; k++) {
        d->picks[k] = single_pick(r);
        alternative *x = d->picks[k].alternatives;
        node *value = values->items[k];
        bool good;
        if (listed) {
            good = path_alternative(r, x, name, key, value, k);
        } else if (path) {
            good = named_value(r, x, axis, name, values->keys[k], value);
        } else {
            *x = (alternative){.axis = axis, .text = values->keys[k]};
            good = read_sets(r, x, value, NULL);
        }
        if (!good) return false;
    }
    return true;
}

/* ---- grid, zip, list ---- */

static bool add_dimension(reader *r, sweep_block *b, dimension d, const node *at)
{
    if (b->dimension_count == SWEEP_MAX_DIMENSIONS) {
        return node_err(r->e, at, "more than %d axes multiply", SWEEP_MAX_DIMENSIONS);
    }
    b->dimensions[b->dimension_count++] = d;
    return true;
}

/* A dimension per axis: dimensions multiply. */
static bool read_grid(reader *r, sweep_block *b, const node *grid)
{
    if (grid->kind != NODE_MAP) return node_err(r->e, grid, "expected a map of axes");
    for (int i = 0; i < grid->count; i++) {
        dimension d = {0};
        if (!read_axis(r, &d, grid, i) || !add_dimension(r, b, d, grid)) return false;
    }
    return true;
}

/* One dimension whose k-th pick takes the k-th alternative of every axis. Lengths must be equal:
 * what is left over of a longer list could only be guessed at. */
static bool read_zip(reader *r, sweep_block *b, const node *zip)
{
    if (zip->kind != NODE_MAP || zip->count == 0) {
        return node_err(r->e, zip, "expected a map of axes of equal length");
    }
    dimension all = {0};
    for (int i = 0; i < zip->count; i++) {
        dimension d = {0};
        if (!read_axis(r, &d, zip, i)) return false;
        /* The first axis makes the picks, with room for one alternative of each axis. */
        if (i == 0) {
            all.count = d.count;
            all.picks = ARENA_NEW(r->a, pick, d.count);
            for (int k = 0; k < d.count; k++) {
                all.picks[k] = (pick){0, ARENA_NEW(r->a, alternative, zip->count)};
            }
        } else if (d.count != all.count) {
            return node_err(r->e, zip->items[i], "%d values, but '%s' has %d; zip pairs them up",
                            d.count, zip->keys[0], all.count);
        }
        for (int k = 0; k < d.count; k++) {
            pick *p = &all.picks[k];
            p->alternatives[p->count++] = d.picks[k].alternatives[0];
        }
    }
    return add_dimension(r, b, all, zip);
}

/* {label: NAME, PATH: value...}: one alternative of the axis "variant"; without a label each path
 * is an axis. */
static bool read_item(reader *r, pick *p, const node *item, int index)
{
    if (item->kind != NODE_MAP) return node_err(r->e, item, "expected a map of paths to values");
    const node *label = node_get(item, "label");
    if (label) {
        if (label->kind != NODE_SCALAR || !*label->text) {
            return node_err(r->e, label, "expected a text");
        }
        *p = single_pick(r);
        int axis = axis_index(r, "variant", false, label);
        if (axis < 0) return false;
        /* Labels are the values themselves: "wide", not "variant=wide". */
        r->source->axes[axis].bare = true;
        p->alternatives[0] = (alternative){.axis = axis, .text = label->text};
        return read_sets(r, p->alternatives, item, "label");
    }
    *p = (pick){0, ARENA_NEW(r->a, alternative, item->count)};
    for (int i = 0; i < item->count; i++) {
        const node *key = item->key_nodes[i];
        if (!check_path(r, item->keys[i], key)) return false;
        alternative *x = &p->alternatives[p->count++];
        if (!path_alternative(r, x, item->keys[i], key, item->items[i], index)) return false;
    }
    return true;
}

/* All entries have a label or none has: with some, the axis "variant" would be there for these
 * only, and the others' would be told by other axes. */
static bool read_list(reader *r, sweep_block *b, const node *list)
{
    if (list->kind != NODE_LIST || list->count == 0) {
        return node_err(r->e, list, "expected a list of maps of paths to values");
    }
    dimension d = {.count = list->count, .picks = ARENA_NEW(r->a, pick, list->count)};
    for (int i = 0; i < list->count; i++) {
        if (!read_item(r, &d.picks[i], list->items[i], i)) return false;
        if (!node_get(list->items[i], "label") != !node_get(list->items[0], "label")) {
            return node_err(r->e, list->items[i], "give all entries a label, or none");
        }
    }
    return add_dimension(r, b, d, list);
}

/* ---- seeds, baseline, blocks ---- */

static int by_value(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

/* The same seed twice would be one run, counted as two. */
static bool check_seeds(reader *r, const node *n)
{
    const sweep_source *s = r->source;
    int64_t *sorted = ARENA_NEW(r->a, int64_t, s->seed_count);
    memcpy(sorted, s->seeds, (size_t)s->seed_count * sizeof *sorted);
    qsort(sorted, (size_t)s->seed_count, sizeof *sorted, by_value);
    for (int i = 1; i < s->seed_count; i++) {
        if (sorted[i] != sorted[i - 1]) continue;
        return node_err(r->e, n, "seed %lld is listed twice", (long long)sorted[i]);
    }
    return true;
}

/* A count n is the seeds 1 to n, so that a larger count adds seeds and changes none. */
static bool count_seeds(reader *r, int64_t count)
{
    sweep_source *s = r->source;
    s->seed_count = (int)count;
    s->seeds = ARENA_NEW(r->a, int64_t, count);
    for (int i = 0; i < s->seed_count; i++)
        s->seeds[i] = i + 1;
    return true;
}

/* {until: decided, at least: 3, at most: 12}: a group-sequential rule. All seeds there may be are
 * planned, 1 to `at most`; how many of them are run is decided as they come in. `at least` from 2,
 * for one seed has no variance, and both are bounded by the table of boundaries (spending.h). */
static bool read_until(reader *r, const node *n)
{
    /* A table of options like any other: defaults, ranges and messages are the reader's (option.h).
     */
    typedef struct until {
        int64_t until, least, most, spending;
    } until;
    static const option table[] = {
        {"until", OPTION_CHOICE, offsetof(until, until), .choices = "decided",
         .help = "every claim is decided"},
        {"at least", OPTION_INT, offsetof(until, least), .initial = "3", .min = 2,
         .max = SPENDING_SEEDS, .help = "seeds of every variant"},
        {"at most", OPTION_INT, offsetof(until, most), .min = 2, .max = SPENDING_SEEDS,
         .help = "seeds of any"},
        {"spending", OPTION_CHOICE, offsetof(until, spending), .initial = "obrien-fleming",
         .choices = SPENDING_NAMES, .help = "how the level is spent over the looks"},
        {0}};
    until u;
    if (!options_read(&u, table, n, NULL, r->a, r->e)) return false;
    if (u.most < u.least) {
        return node_err(r->e, n, "at most %lld seeds are less than the least, %lld",
                        (long long)u.most, (long long)u.least);
    }
    r->source->at_least = (int)u.least;
    r->source->pocock = u.spending == SPEND_POCOCK;
    return count_seeds(r, u.most);
}

/* Of all blocks together: a sweep compares variants over the same seeds. */
static bool read_seeds(reader *r, const node *n)
{
    sweep_source *s = r->source;
    int64_t count;
    char meant[OPTION_MEANT_BYTES];
    if (s->seeds) return node_err(r->e, n, "seeds stand in one block and hold for all");
    if (n->kind == NODE_MAP) return read_until(r, n);
    if (n->kind == NODE_SCALAR) {
        if (!option_node_to_int(n, &count) || count < 1 || count > SWEEP_MAX_VARIANTS) {
            return node_err(r->e, n,
                            "expected a list of seeds or how many there are, got '%.40s'%s",
                            n->text, option_node_meant(meant, n));
        }
        return count_seeds(r, count);
    }
    if (n->kind != NODE_LIST || n->count == 0) {
        return node_err(r->e, n,
                        "expected a list of seeds, such as [1, 2, 3], a count, or {until: "
                        "decided, at most: 12}");
    }
    s->seed_count = n->count;
    s->seeds = ARENA_NEW(r->a, int64_t, n->count);
    for (int i = 0; i < n->count; i++) {
        const node *seed = n->items[i];
        if (!option_node_to_int(seed, &s->seeds[i]) || s->seeds[i] < 0) {
            return node_err(r->e, seed, "a seed is a whole number from 0%s",
                            option_node_meant(meant, seed));
        }
    }
    return check_seeds(r, n);
}

static bool read_block(reader *r, sweep_block *b, const node *n)
{
    static const char *const keys[] = {"baseline", "seeds", "grid",   "zip",
                                       "list",     "when",  "exclude"};
    enum { KEYS = sizeof keys / sizeof *keys };
    if (n->kind != NODE_MAP) return node_err(r->e, n, "expected a map: grid, zip, list, ...");
    *b = (sweep_block){.at = n, .dimensions = ARENA_NEW(r->a, dimension, SWEEP_MAX_DIMENSIONS)};
    for (int i = 0; i < n->count; i++) {
        const node *value = n->items[i];
        int k = 0;
        while (k < KEYS && strcmp(keys[k], n->keys[i]) != 0)
            k++;
        if (k == KEYS) return option_unknown(r->e, n, i, KEYS, keys);
        /* A key with nothing behind it is as if it were not there. */
        if (node_is_null(value)) continue;
        bool good = true;
        if (k == 0) {
            if (r->source->baseline) return node_err(r->e, value, "a second baseline; keep one");
            r->source->baseline = value;
        } else if (k == 1) {
            good = read_seeds(r, value);
        } else if (k < 5) {
            good = k == 2   ? read_grid(r, b, value)
                   : k == 3 ? read_zip(r, b, value)
                            : read_list(r, b, value);
        }
        if (!good) return false;
    }
    /* Last: they speak of the axes above or below. */
    return sweep_conditions_when(r->a, r->source, b, node_get(n, "when"), r->e) &&
           sweep_conditions_exclude(r->a, r->source, b, node_get(n, "exclude"), r->e);
}

/* In a list of blocks one that only says `seeds` or `baseline` adds no variant: it would else add
 * the spec as it is, which nobody asked for. */
static bool only_settings(const node *n)
{
    return !node_get(n, "grid") && !node_get(n, "zip") && !node_get(n, "list") &&
           !node_get(n, "exclude") && n->count > 0;
}

/* No blocks at all are one block without dimensions, whose product is one combination: the spec as
 * it is. */
sweep_source *sweep_read(arena *a, const node *n, err *e)
{
    sweep_source *s = arena_push_zero(a, 1, sizeof *s);
    reader r = {a, s, e};
    int count = n->kind == NODE_LIST ? n->count : 1;
    s->blocks = ARENA_NEW(a, sweep_block, count);
    for (int i = 0; i < count; i++) {
        const node *block = n->kind == NODE_LIST ? n->items[i] : n;
        if (!read_block(&r, &s->blocks[s->block_count], block)) return NULL;
        if (n->kind != NODE_LIST || !only_settings(block)) s->block_count++;
    }
    if (s->block_count == 0) { /* settings alone: the spec as it is */
        s->blocks = arena_push_zero(a, 1, sizeof *s->blocks);
        s->blocks[s->block_count++].at = n;
    }
    if (!s->seeds) {
        s->seeds = ARENA_NEW(a, int64_t, 1);
        s->seeds[0] = 1;
        s->seed_count = 1;
    }
    return s;
}
