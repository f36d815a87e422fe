#include "harness/train/init_from.h"

#include <fnmatch.h>
#include <string.h>

#include "core/base/file.h"

/* Two lists of tensors by name, the source's and this model's, and the rules that lead from one to
 * the other: which are taken (only, skip), what they are called here (map), whether they fit
 * (shape, or the shape of one piece).
 *
 * Everything that could be a slip of the pen is an error at its place in the spec: a pattern that
 * fits nothing, a tensor without a place here, two that would become the same parameter. What is
 * not taken starts fresh, and which parameters do is said in one line (init_from_summary): of
 * weights that start fresh without a word nobody would know. */

const option INIT_OPTIONS[] = {
    {"variant", OPTION_TEXT, offsetof(init_options, variant), .initial = "null", .nullable = true,
     .help = "label of a variant of this sweep, or {axis: value} for the one that else has this "
             "variant's values: its run of the same seed is trained first"},
    {"run", OPTION_TEXT, offsetof(init_options, run), .initial = "null", .nullable = true,
     .help = "id of a run in the same results folder"},
    {"checkpoint", OPTION_TEXT, offsetof(init_options, checkpoint), .initial = "null",
     .nullable = true, .help = "a run's folder, or its checkpoint folder"},
    {"only", OPTION_NODE, offsetof(init_options, only),
     .help = "list of patterns: source parameters that are taken; default: all"},
    {"skip", OPTION_NODE, offsetof(init_options, skip),
     .help = "list of patterns: source parameters that are not taken"},
    {"map", OPTION_NODE, offsetof(init_options, map),
     .help = "{pattern: name}: source parameters that have another name here; each * of the name "
             "is what that of the pattern stood for"},
    {0}};

/* ---- reading ---- */

static bool check_patterns(const node *list, const char *key, err *e)
{
    if (!list) return true;
    if (list->kind != NODE_LIST) {
        return node_err(e, list, "expected a list of patterns, such as %s: [\"embedding.*\"]", key);
    }
    for (int i = 0; i < list->count; i++) {
        const node *x = list->items[i];
        if (x->kind != NODE_SCALAR || !*x->text) return node_err(e, x, "expected a pattern");
    }
    return true;
}

static int stars(const char *text)
{
    int n = 0;
    for (; *text; text++) {
        n += *text == '*';
    }
    return n;
}

/* A star of the pattern fills the star of the same number in the name, so there must be as many. */
static bool check_map(const node *map, err *e)
{
    if (!map) return true;
    if (map->kind != NODE_MAP) {
        return node_err(e, map, "expected a map, such as map: {\"blocks.0.*\": \"blocks.1.*\"}");
    }
    for (int i = 0; i < map->count; i++) {
        const node *to = map->items[i];
        if (to->kind != NODE_SCALAR || !*to->text) {
            return node_err(e, to, "expected the name of a parameter");
        }
        if (stars(map->keys[i]) == stars(to->text)) continue;
        return node_err(e, to, "'%s' has %d of *, '%s' %d; give both as many", map->keys[i],
                        stars(map->keys[i]), to->text, stars(to->text));
    }
    return true;
}

/* Exactly one source: two could not both be the beginning, and none is no section. */
bool init_from_read(init_options *o, const node *n, arena *a, err *e)
{
    *o = (init_options){0};
    if (node_is_null(n)) return true;
    if (!options_read(o, INIT_OPTIONS, n, NULL, a, e)) return false;
    o->at = n;
    if ((o->variant != NULL) + (o->run != NULL) + (o->checkpoint != NULL) != 1) {
        return node_err(e, n, "name one source: variant, run or checkpoint");
    }
    /* It names a folder beside others, and leads to no other place. */
    if (o->run && !file_name_is_plain(o->run)) {
        return node_err(e, node_get(n, "run"),
                        "'%.100s' is no run's id, as loci ls lists them; a path is a checkpoint: "
                        "init_from: {checkpoint: ...}",
                        o->run);
    }
    return check_patterns(o->only, "only", e) && check_patterns(o->skip, "skip", e) &&
           check_map(o->map, e);
}

/* `source` stands for the content that is taken: the path of a checkpoint may change, its hash is
 * what it is. */
node *init_from_changed(arena *a, const init_options *o, const char *source)
{
    if (!o->at) return NULL;
    node *n = node_map(a);
    node_set(a, n, "source", node_scalar(a, source, false));
    if (o->only) node_set(a, n, "only", node_copy(a, o->only));
    /* Empty, these say what none says; `only: []` takes nothing. */
    if (o->skip && o->skip->count) node_set(a, n, "skip", node_copy(a, o->skip));
    if (o->map && o->map->count) node_set(a, n, "map", node_copy(a, o->map));
    return n;
}

/* ---- names ---- */

/* Matches `text` against a pattern of characters and *; parts[k] is what star k stood for, as long
 * as possible from the left. */
typedef struct part {
    const char *at;
    size_t bytes;
} part;
enum { MAX_STARS = 16 };

/* Calls itself for what stands behind a star, MAX_STARS deep at most. */
static bool match_parts(const char *pattern, const char *text, part *parts, int used)
{
    while (*pattern && *pattern != '*') {
        if (*pattern++ != *text++) return false;
    }
    if (!*pattern) return !*text;
    if (used == MAX_STARS) return false;
    /* The longest first, and shorter ones where what stands behind the star does not fit. */
    for (size_t n = strlen(text) + 1; n-- > 0;) {
        parts[used] = (part){text, n};
        if (match_parts(pattern + 1, text + n, parts, used + 1)) return true;
    }
    return false;
}

/* `name` with parts in place of its stars. A name too long for `out` is cut, and then is no
 * parameter's. */
static void fill_parts(char *out, size_t size, const char *name, const part *parts)
{
    size_t n = 0;
    for (; *name && n + 1 < size; name++) {
        if (*name != '*') {
            out[n++] = *name;
            continue;
        }
        size_t bytes = MIN(parts->bytes, size - 1 - n);
        memcpy(out + n, parts->at, bytes);
        n += bytes;
        parts++;
    }
    out[n] = 0;
}

typedef struct matcher {
    const init_options *o;
    const init_tensor *source;
    int count;
    const params *p;
} matcher;

static bool any_match(const node *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (fnmatch(list->items[i]->text, name, 0) == 0) return true;
    }
    return false;
}

/* `skip` after `only`: of what is named there some may be left out again. */
static bool is_taken(const init_options *o, const char *name)
{
    if (o->only && !any_match(o->only, name)) return false;
    return !o->skip || !any_match(o->skip, name);
}

/* Name of the source's tensor here. The first pattern of the map that fits counts, in the order of
 * the spec. */
static void new_name(char *out, size_t size, const init_options *o, const char *name)
{
    part parts[MAX_STARS];
    snprintf(out, size, "%s", name);
    for (int i = 0; o->map && i < o->map->count; i++) {
        if (!match_parts(o->map->keys[i], name, parts, 0)) continue;
        fill_parts(out, size, o->map->items[i]->text, parts);
        return;
    }
}

/* A pattern that fits no tensor is a mistake. Patterns of `only` and `skip` are the shell's
 * (fnmatch), those of `map` have to say what each star stood for and are matched here. */
static bool check_used(const matcher *m, const node *list, err *e)
{
    for (int i = 0; list && i < list->count; i++) {
        bool map = list->kind == NODE_MAP, used = false;
        const char *pattern = map ? list->keys[i] : list->items[i]->text;
        part parts[MAX_STARS];
        for (int k = 0; k < m->count && !used; k++) {
            const char *name = m->source[k].name;
            used = map ? match_parts(pattern, name, parts, 0) : fnmatch(pattern, name, 0) == 0;
        }
        if (used) continue;
        return node_err(e, list->items[i], "'%s' fits no parameter of the source; the first is %s",
                        pattern, m->count > 0 ? m->source[0].name : "none");
    }
    return true;
}

static void shape_text(char *out, size_t size, int rank, const int64_t *shape)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < rank && n < size; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    }
}

int64_t init_from_copies(const param *x, const init_tensor *t)
{
    size_t axes = (size_t)t->rank * sizeof *t->shape;
    if (x->rank == t->rank && memcmp(x->shape, t->shape, axes) == 0) return 1;
    /* One matrix for every piece: experts that all start as the dense layer that was trained
     * (sparse upcycling). */
    bool piece = x->pieces > 1 && x->pieces == x->shape[0] && x->rank == t->rank + 1;
    return piece && memcmp(x->shape + 1, t->shape, axes) == 0 ? x->pieces : 0;
}

/* The message says which name was looked for, if `map` changed it: the user knows the source's name
 * and sees what became of it. */
static bool find_place(const matcher *m, const init_tensor *t, int *target, err *e)
{
    char name[512], has[128], wants[128];
    new_name(name, sizeof name, m->o, t->name);
    *target = params_find(m->p, name);
    if (*target < 0) {
        return node_err(e, m->o->at,
                        "the source's %s has no place here%s%s; leave it out with skip, or say "
                        "with map what it is called",
                        t->name, strcmp(name, t->name) == 0 ? "" : " as ",
                        strcmp(name, t->name) == 0 ? "" : name);
    }
    const param *x = &m->p->list[*target];
    if (init_from_copies(x, t) > 0) return true;
    shape_text(has, sizeof has, t->rank, t->shape);
    shape_text(wants, sizeof wants, x->rank, x->shape);
    return node_err(e, m->o->at, "the source's %s is [%s], here [%s]; leave it out with skip",
                    t->name, has, wants);
}

/* All source tensors before any is copied: a refusal changes nothing. */
bool init_from_match(int *target, const init_options *o, const init_tensor *source, int count,
                     const params *p, err *e)
{
    const matcher m = {o, source, count, p};
    if (!check_used(&m, o->only, e) || !check_used(&m, o->skip, e) || !check_used(&m, o->map, e)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        target[i] = -1;
        if (!is_taken(o, source[i].name)) continue;
        if (!find_place(&m, &source[i], &target[i], e)) return false;
        /* Two maps, or a map and a name that is there already, may lead to one place: the later
         * would overwrite the earlier. */
        for (int k = 0; k < i; k++) {
            if (target[k] != target[i]) continue;
            return node_err(e, o->at, "both %s and %s of the source become %s", source[k].name,
                            source[i].name, p->list[target[i]].name);
        }
    }
    return true;
}

/* Counts parameters of the model, not tensors of the source: what matters is what starts fresh. */
const char *init_from_summary(arena *a, const int *target, int count, const params *p)
{
    enum { NAMED = 6, BYTES = 1024 };
    char *text = arena_push_zero(a, BYTES, 1);
    int taken = 0, fresh = 0;
    for (int i = 0; i < count; i++) {
        taken += target[i] >= 0;
    }
    int n = snprintf(text, BYTES, "init_from: %d of %d parameters are taken", taken, p->count);
    for (int k = 0; k < p->count; k++) {
        int i = 0;
        while (i < count && target[i] != k) {
            i++;
        }
        if (i < count || fresh++ >= NAMED) continue;
        n += snprintf(text + n, (size_t)(BYTES - n), "%s%.100s",
                      fresh == 1 ? "; these start fresh: " : ", ", p->list[k].name);
    }
    if (fresh > NAMED) snprintf(text + n, (size_t)(BYTES - n), " and %d more", fresh - NAMED);
    return text;
}
