#include "core/options/option.h"
#include "core/base/terminal.h"
#include "core/options/invisible.h"
#include "core/options/option_needs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A table is the only place where an option is described. Reading goes over the table, not over the
 * file: every field is written in every case, by the value that is given or by the default, which
 * goes through the same function as text. So a default that is out of its own range is a bug that
 * shows with the first use, and no option can be read in one way and printed in another.
 *
 * Three checks follow each other, from the cheap to the subtle: keys that the table does not know,
 * values that do not fit their option, and options that are set though nothing looks at them. The
 * last is an error and no warning, as the run would differ in its identity from one that it equals
 * in every bit: a sweep over such an option compares a thing with itself. */

enum { MAX_KNOWN = 128 };

/* ---- fields ---- */

static void *field(void *options, const option *o)
{
    return (char *)options + o->offset;
}

/* In the order of option_type. */
static const char *const TYPE_NAMES[] = {"a whole number", "a number", "true or false",
                                         "a choice",       "a text",   "a value"};

/* A table that says nothing of bounds has zeros there; a range of exactly 0 to 0 would be of no
 * use. */
static bool bounded(const option *o)
{
    return o->min != 0 || o->max != 0;
}

/* 1e6 rather than 1e+06.
 * Multiples of 1e5 get an exponent, too: 5e5 is read at a glance, 500000 is counted. */
static const char *bound_text(char out[32], double bound)
{
    char text[32], *e;
    snprintf(text, sizeof text, "%.12g", bound);
    if ((e = strchr(text, 'e'))) {
        *e = 0;
        snprintf(out, 32, "%.24se%d", text, atoi(e + 1));
    } else if (bound >= 1e5 && bound == floor(bound) && fmod(bound, 1e5) == 0) {
        int power = 0;
        for (; fmod(bound, 10) == 0; bound /= 10)
            power++;
        snprintf(out, 32, "%ge%d", bound, power);
    } else {
        snprintf(out, 32, "%s", text);
    }
    return out;
}

/* "1 to 16", "at least 1", "at most 3"; bounds beyond 1e18 are none. */
static const char *range_text(const option *o, char *out, size_t bytes)
{
    bool low = o->min > -1e18, high = o->max < 1e18;
    char min[32], max[32];
    bound_text(min, o->min);
    bound_text(max, o->max);
    if (!bounded(o) || (!low && !high)) {
        snprintf(out, bytes, "any");
    } else if (low && high) {
        snprintf(out, bytes, "%s to %s", min, max);
    } else {
        snprintf(out, bytes, low ? "at least %s" : "at most %s", low ? min : max);
    }
    return out;
}

/* Written so that a NaN, for which both comparisons are false, is out of range. */
static bool check_range(const option *o, double value, const node *n, err *e)
{
    char range[96];
    if (!bounded(o) || (value >= o->min && value <= o->max)) return true;
    return node_err(e, n, "%s is out of range; it must be %s", n->text,
                    range_text(o, range, sizeof range));
}

/* Says what was found, and the likely reason if it is one of three that are hard to see: a
 * character without ink, a word that other YAML versions take for a boolean, quotes. */
static bool wrong_type(const option *o, const node *n, err *e)
{
    const char *got = n->kind == NODE_MAP    ? "a map"
                      : n->kind == NODE_LIST ? "a list"
                      : node_is_null(n)      ? "null"
                                             : n->text;
    const char *quotes = n->kind == NODE_SCALAR && !node_is_null(n) ? "'" : "";
    char meant[OPTION_MEANT_BYTES];
    const char *hint = "";
    size_t at;
    const char *unseen =
        n->kind == NODE_SCALAR ? invisible_find(n->text, strlen(n->text), &at) : NULL;
    if (unseen)
        return node_err(e, n, "expected %s, got '%.80s' with %s", TYPE_NAMES[o->type], got, unseen);
    if (n->kind == NODE_SCALAR && o->type == OPTION_BOOL && n->plain &&
        option_choice("yes|no|on|off|y|n|Yes|No|On|Off", n->text) >= 0) {
        hint = " (in YAML 1.2, yes, no, on and off are texts)";
    } else if (o->type == OPTION_INT || o->type == OPTION_REAL ||
               (!n->plain && o->type != OPTION_TEXT)) {
        hint = option_node_meant(meant, n);
    }
    return node_err(e, n, "expected %s, got %s%.80s%s%s", TYPE_NAMES[o->type], quotes, got, quotes,
                    hint);
}

/* The word as well as YAML's null: choices say `none`, and `memory: none` should not depend on
 * which kind of option `memory` is. */
static bool is_none(const node *n)
{
    return node_is_null(n) || (n->kind == NODE_SCALAR && strcmp(n->text, "none") == 0);
}

/* -1 stands for none in the field: where none is allowed, no negative number is. */
static bool read_number(void *options, const option *o, const node *n, err *e)
{
    int64_t whole = -1;
    double number = -1;
    bool none = o->nullable && is_none(n);
    if (!none) {
        /* A number that is no integer ("1.5" for a count) is of the wrong type, not rounded. */
        bool good =
            o->type == OPTION_INT ? option_node_to_int(n, &whole) : option_node_to_real(n, &number);
        if (!good) return wrong_type(o, n, e);
        if (!check_range(o, o->type == OPTION_INT ? (double)whole : number, n, e)) return false;
    }
    if (o->type == OPTION_INT) {
        *(int64_t *)field(options, o) = whole;
    } else {
        *(double *)field(options, o) = number;
    }
    return true;
}

static bool read_choice(void *options, const option *o, const node *n, err *e)
{
    if (n->kind != NODE_SCALAR) return node_err(e, n, "expected one of %s", o->choices);
    /* `positions: null` and an empty value say what `none` says, where that is a choice. */
    const char *text = node_is_null(n) ? "none" : n->text;
    int64_t index = option_choice(o->choices, text);
    if (index >= 0) {
        *(int64_t *)field(options, o) = index;
        return true;
    }
    /* The choices one by one, only for the message. */
    char copy[1024], *rest = NULL;
    const char *known[MAX_KNOWN];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", o->choices);
    for (char *p = strtok_r(copy, "|", &rest); p && count < MAX_KNOWN;
         p = strtok_r(NULL, "|", &rest)) {
        known[count++] = p;
    }
    const char *near = option_nearest(text, count, known);
    if (near) {
        return node_err(e, n, "'%.80s' is none of %s (did you mean '%s'?)", text, o->choices, near);
    }
    return node_err(e, n, "'%.80s' is none of %s", text, o->choices);
}

/* The switch has no default, so the compiler names a type that is not handled. */
static bool read_value(void *options, const option *o, const node *n, arena *a, err *e)
{
    switch (o->type) {
    case OPTION_INT:
    case OPTION_REAL:
        return read_number(options, o, n, e);
    case OPTION_BOOL:
        return node_to_bool(n, field(options, o)) || wrong_type(o, n, e);
    case OPTION_CHOICE:
        return read_choice(options, o, n, e);
    case OPTION_TEXT: {
        const char **text = field(options, o);
        bool none = node_is_null(n);
        if (n->kind != NODE_SCALAR || (none && !o->nullable)) return wrong_type(o, n, e);
        *text = none ? NULL : arena_strdup(a, n->text);
        return true;
    }
    case OPTION_NODE:
        /* Borrowed: the tree outlives what is read from it. */
        *(const node **)field(options, o) = node_is_null(n) ? NULL : n;
        return true;
    }
    CHECK(false, "type %d", o->type);
    return false;
}

/* As it would stand in a spec without quotes; a list or a map as YAML, on one line ("[1, 2]"). */
bool option_read_text(void *options, const option *o, const char *text, arena *a, err *e)
{
    if (o->type == OPTION_NODE) {
        node *n = node_parse(a, text, strlen(text), o->name, e);
        return n && read_value(options, o, n, a, e);
    }
    node n = {.kind = NODE_SCALAR, .path = o->name, .text = text, .plain = true};
    return read_value(options, o, &n, a, e);
}

/* ---- tables ---- */

/* CHECK: a default that cannot be read is our bug, not the user's. */
static void set_default(void *options, const option *o, arena *a)
{
    err e;
    if (o->type == OPTION_NODE && !o->initial) {
        *(const node **)field(options, o) = NULL;
        return;
    }
    CHECK(option_read_text(options, o, o->initial, a, &e), "default of %s: %s", o->name, e.text);
}

/* For messages alone: of more than MAX_KNOWN the rest would be missing among the suggestions. */
static int known_names(const char *known[MAX_KNOWN], const option *table, const char *const *more)
{
    int count = 0;
    for (const option *o = table; o->name && count < MAX_KNOWN; o++)
        known[count++] = o->name;
    for (; more && *more && count < MAX_KNOWN; more++)
        known[count++] = *more;
    return count;
}

/* Keys that belong to somebody else in the same map: a layer's own and those of its stack. */
static bool is_ignored(const char *const *ignore, const char *name)
{
    for (; ignore && *ignore; ignore++) {
        if (strcmp(*ignore, name) == 0) return true;
    }
    return false;
}

/* All keys first, before any value: a misspelt key is told as such, not by "missing" for the right
 * one. */
static bool check_keys(const option *table, const node *n, const char *const *ignore, err *e)
{
    for (int i = 0; i < n->count; i++) {
        if (option_find(table, n->keys[i]) || is_ignored(ignore, n->keys[i])) continue;
        const char *known[MAX_KNOWN];
        int count = known_names(known, table, ignore);
        return option_unknown(e, n, i, count, known);
    }
    return true;
}

/* Whether the field holds what the default would put there. Required options never do.
 * The default is read into a field of its own, at offset 0, and both are compared as nodes. */
static bool is_default(arena *a, const void *options, const option *o)
{
    if (o->type == OPTION_NODE && !o->initial) { /* an empty list says what none says */
        const node *own = *(const node *const *)option_field(options, o);
        return !own || (own->kind != NODE_SCALAR && own->count == 0);
    }
    if (!o->initial) return false;
    /* By value: 1e-3 is the default that is written 0.001. */
    union {
        int64_t whole;
        double number;
        bool flag;
        const void *pointer;
    } storage = {0};
    option alone = *o;
    alone.offset = 0;
    set_default(&storage, &alone, a);
    /* A required option has no default and is always told; it is a part of every identity. */
    node *initial = option_value(a, &storage, &alone);
    node *value = option_value(a, options, o);
    return node_equal(initial, value);
}

/* What would change nothing but a run's identity.
 * A value that is the default is let through: it says what is so anyway, and resolved specs hold
 * it. */
static bool check_needs(const void *options, const option *table, const node *n, arena *a, err *e)
{
    for (int i = 0; i < n->count; i++) {
        const option *o = option_find(table, n->keys[i]);
        const char *lacking;
        /* !o: one of the ignored keys, which the caller answers for. */
        if (!o || !o->needs || is_default(a, options, o)) continue;
        if (option_needs_met(options, table, o, a, &lacking)) continue;
        return node_err(e, n->items[i], "has no effect with `%s`; it needs %s", lacking,
                        option_needs_text(a, o));
    }
    return true;
}

bool options_read(void *options, const option *table, const node *n, const char *const *ignore,
                  arena *a, err *e)
{
    /* `optimizer:` with nothing behind it asks for all defaults. */
    if (n && node_is_null(n)) n = NULL;
    if (n && n->kind != NODE_MAP) {
        return node_err(e, n, "expected a map of options, got %s",
                        n->kind == NODE_LIST ? "a list" : n->text);
    }
    if (n && !check_keys(table, n, ignore, e)) return false;
    for (const option *o = table; o->name; o++) {
        const node *value = n ? node_get(n, o->name) : NULL;
        if (value) {
            if (!read_value(options, o, value, a, e)) return false;
            /* An absent list is none; all other options without a default are required. */
        } else if (o->initial || o->type == OPTION_NODE) {
            set_default(options, o, a);
        } else {
            return node_err(e, n, "missing key '%s' (%s: %s)", o->name,
                            o->choices ? o->choices : TYPE_NAMES[o->type], o->help);
        }
    }
    return !n || check_needs(options, table, n, a, e);
}

/* For instance a hidden width that is what the layer would take anyway. */
void option_settle(int64_t *value, int64_t usual, int64_t none)
{
    if (*value == usual) *value = none;
}

/* ---- writing ---- */

/* Without what nothing looks at: read again, it passes check_needs. */
node *options_node(arena *a, const void *options, const option *table)
{
    node *map = node_map(a);
    for (const option *o = table; o->name; o++) {
        node *value = option_value(a, options, o);
        if (value && option_needs_met(options, table, o, a, NULL)) node_set(a, map, o->name, value);
    }
    return map;
}

/* So an option that is added to a table, with a default that does what was done without it, renames
 * no run; and a value that nothing looks at is no part of what a run is. */
node *options_changed(arena *a, const void *options, const option *table)
{
    node *map = node_map(a);
    for (const option *o = table; o->name; o++) {
        if (o->incidental || is_default(a, options, o)) continue;
        if (!option_needs_met(options, table, o, a, NULL)) continue;
        node *value = option_value(a, options, o);
        if (value) node_set(a, map, o->name, value);
    }
    return map;
}

/* For a choice the choices say more than the word: they are its type. */
static const char *type_text(const option *o)
{
    static const char *const names[] = {"int", "real", "bool", "choice", "text", "map/list"};
    return o->type == OPTION_CHOICE ? o->choices : names[o->type];
}

/* Columns as wide as their widest entry, but long lists of choices do not push the rest off the
 * screen: they run over into the next column. */
void options_print(FILE *out, const option *table, int columns)
{
    int name_width = 0, type_width = 0, initial_width = 0;
    for (const option *o = table; o->name; o++) {
        const char *initial = o->initial ? o->initial : "";
        name_width = MAX(name_width, (int)strlen(o->name));
        type_width = MAX(type_width, MIN(28, (int)strlen(type_text(o))));
        initial_width = MAX(initial_width, MIN(16, (int)strlen(initial)));
    }
    initial_width = MAX(initial_width, (int)strlen("required"));
    /* What would go on below its name on every second line has no columns. */
    enum { GAPS = 8, LEAST = 20 };
    const char *gap = "  ";
    if (columns - name_width - type_width - initial_width - GAPS < LEAST) {
        name_width = type_width = initial_width = 0;
        gap = " ";
    }
    arena_auto *a = arena_new(1 << 12);
    for (const option *o = table; o->name; o++) {
        char range[96], head[512], text[1024];
        bool numeric = o->type == OPTION_INT || o->type == OPTION_REAL;
        /* An empty default is shown as "-": a gap in a column would be taken for a mistake. */
        bool required = !o->initial && o->type != OPTION_NODE;
        const char *initial = required ? "required" : o->initial ? o->initial : "";
        snprintf(head, sizeof head, "  %-*s%s%-*s%s%-*s", name_width, o->name, gap, type_width,
                 type_text(o), gap, initial_width, *initial ? initial : "-");
        bool ranged = numeric && bounded(o);
        snprintf(text, sizeof text, "%s%s%s%s%s%s", o->help ? o->help : "", ranged ? " (" : "",
                 ranged ? range_text(o, range, sizeof range) : "", ranged ? ")" : "",
                 o->needs ? "; needs " : "", o->needs ? option_needs_text(a, o) : "");
        terminal_entry(out, head, (int)strlen(head) + 2, text, columns);
    }
}
