#include "harness/spec/sweep_combine.h"

#include <stdlib.h>
#include <string.h>

/* A block's dimensions are counted through like the digits of an odometer. Of each combination it
 * is asked whether it takes part (when), whether it is excluded, and whether an equal one was there
 * before, by a hash table. All of it works on small integers: alternatives point at their
 * assignments, equal assignments have equal ids (intern), so that equality of two variants is
 * equality of two lists of ids, whatever values they hold. No tree is copied or printed per
 * combination, and 100,000 variants cost some memory for pointers.
 *
 * Two variants are equal if they make the same assignments. Where no path can lie inside of another
 * the order of assignments has no effect, and ids are sorted before they are compared; else they
 * are compared in order (order_matters). That may take two equal variants for different ones, never
 * the other way round. */

/* What is shared while blocks are multiplied out. The table holds indexes of combinations, not
 * pointers: `items` is reserved for all of them, but an index is half as large. */
typedef struct expander {
    arena *a;
    sweep_source *source;
    err *e;
    sweep_combos *out;
    int32_t *table; /* open addressing: index of a combo + 1; 0: free */
    int64_t table_size;
    bool order_matters; /* some path may lie inside another */
    int max_ids;        /* assignments of one variant, at most */
} expander;

/* ---- equal assignments get equal numbers ---- */

/* An assignment, its value in one spelling, and where its number goes. */
typedef struct interned {
    const assignment *set;
    const char *json;
    int *id;
} interned;

/* Path, then the way it is applied, then the value's JSON: sorted by this, equal assignments are
 * neighbours. */
static int by_meaning(const void *x, const void *y)
{
    const interned *a = x, *b = y;
    int order = strcmp(a->set->path, b->set->path);
    if (order == 0) order = a->set->in_place - b->set->in_place;
    return order ? order : strcmp(a->json, b->json);
}

typedef void (*visit)(void *user, alternative *x, const sweep_block *b, int d);

/* In the order of the file, the same at every walk: counting and filling rely on it. */
static void each_alternative(sweep_source *s, visit f, void *user)
{
    for (int b = 0; b < s->block_count; b++) {
        for (int d = 0; d < s->blocks[b].dimension_count; d++) {
            dimension *dim = &s->blocks[b].dimensions[d];
            for (int k = 0; k < dim->count; k++) {
                for (int i = 0; i < dim->picks[k].count; i++) {
                    f(user, &dim->picks[k].alternatives[i], &s->blocks[b], d);
                }
            }
        }
    }
}

typedef struct intern_list {
    arena *a;
    interned *items; /* NULL: only counting */
    int64_t count;
} intern_list;

static void collect_combo(void *user, alternative *x, const sweep_block *b, int d)
{
    intern_list *list = user;
    (void)b;
    (void)d;
    if (list->items) x->ids = ARENA_NEW(list->a, int, x->count);
    for (int i = 0; i < x->count; i++, list->count++) {
        if (!list->items) continue;
        /* Unsorted: the order of a block's keys is the order of its layers. */
        const char *json = node_json(list->a, x->sets[i].value, false);
        list->items[list->count] = (interned){&x->sets[i], json, &x->ids[i]};
    }
}

/* Twice over all alternatives: to count, then to fill. Sorted by path, a path that another lies
 * inside of comes before it, and the paths inside follow: `outer` is the last one that was no
 * continuation. ("a.bc" is taken for a path inside of "a.b" as well; that only makes the comparison
 * stricter.) */
static void intern(expander *x)
{
    intern_list list = {.a = x->a};
    each_alternative(x->source, collect_combo, &list);
    list.items = ARENA_NEW(x->a, interned, list.count);
    list.count = 0;
    each_alternative(x->source, collect_combo, &list);
    if (list.count > 1) qsort(list.items, (size_t)list.count, sizeof *list.items, by_meaning);
    /* Where a path may lie inside another (a, a.b), the later assignment counts. */
    const char *outer = NULL;
    for (int64_t i = 0, id = 0; i < list.count; i++) {
        if (i > 0 && by_meaning(&list.items[i - 1], &list.items[i]) != 0) id++;
        *list.items[i].id = (int)id;
        const char *path = list.items[i].set->path;
        if (!outer || strncmp(path, outer, strlen(outer)) != 0) outer = path;
        if (strcmp(path, outer) != 0) x->order_matters = true;
        /* Others may speak of the layer that it brings. */
        if (list.items[i].set->in_place) x->order_matters = true;
    }
}

/* ---- one path, two values ---- */

typedef struct owner {
    const assignment *set;
    const sweep_block *block;
    int d, axis;
} owner;

typedef struct owner_list {
    owner *items;
    int64_t count;
} owner_list;

static void collect_owner(void *user, alternative *x, const sweep_block *b, int d)
{
    owner_list *list = user;
    for (int i = 0; i < x->count; i++, list->count++) {
        if (list->items) list->items[list->count] = (owner){&x->sets[i], b, d, x->axis};
    }
}

static int by_owner(const void *x, const void *y)
{
    const owner *a = x, *b = y;
    if (a->block != b->block) return a->block < b->block ? -1 : 1;
    int order = strcmp(a->set->path, b->set->path);
    if (order) return order;
    return a->d != b->d ? a->d - b->d : a->axis - b->axis;
}

/* Two axes of a block that set the same path would hide one another: the variant's label would name
 * a value that it does not have. Alternatives of one axis may, of course; and blocks add up and do
 * not meet. */
static bool check_owners(expander *x)
{
    owner_list list = {0};
    each_alternative(x->source, collect_owner, &list);
    list.items = ARENA_NEW(x->a, owner, list.count);
    list.count = 0;
    each_alternative(x->source, collect_owner, &list);
    if (list.count < 2) return true;
    qsort(list.items, (size_t)list.count, sizeof *list.items, by_owner);
    for (int64_t i = 1; i < list.count; i++) {
        const owner *p = &list.items[i - 1], *q = &list.items[i];
        /* Neighbours in this order are of one path if any two are: equal paths of a block stand
         * together. */
        if (p->block != q->block || (p->d == q->d && p->axis == q->axis)) continue;
        if (strcmp(p->set->path, q->set->path) != 0) continue;
        return node_err(x->e, q->set->value, "'%s' is also set in line %d; one axis sets a path",
                        q->set->path, p->set->value->line);
    }
    return true;
}

/* ---- combinations ---- */

/* The ids of a combo's assignments into ids [max_ids]; sorted where order has no meaning. */
static int combo_ids(const expander *x, const combo *c, int *ids)
{
    int n = 0;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->alternatives[i]->count; k++) {
            int id = c->alternatives[i]->ids[k], at = n++;
            /* By insertion: a variant has some few assignments. */
            if (!x->order_matters) {
                for (; at > 0 && ids[at - 1] > id; at--)
                    ids[at] = ids[at - 1];
            }
            ids[at] = id;
        }
    }
    return n;
}

/* Whether the table already holds an equal combination; enters the new one if not. FNV-1a over the
 * ids, open addressing; the table is at least twice as large as what is entered, so that a free
 * slot is near. The lists of ids are scratch, and rewound. */
static bool seen_combo(expander *x, const combo *c, int32_t index)
{
    arena_mark mark = arena_now(x->a);
    int *ids = ARENA_NEW(x->a, int, x->max_ids), *others = ARENA_NEW(x->a, int, x->max_ids);
    int n = combo_ids(x, c, ids);
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uint64_t)ids[i]) * 1099511628211u;
    /* The low bits choose the slot: the high ones are folded into them. */
    hash ^= hash >> 29;
    uint64_t slot = hash & (uint64_t)(x->table_size - 1);
    bool found = false;
    while (x->table[slot] && !found) {
        int m = combo_ids(x, &x->out->items[x->table[slot] - 1], others);
        found = m == n && memcmp(ids, others, (size_t)n * sizeof *ids) == 0;
        if (!found) slot = (slot + 1) & (uint64_t)(x->table_size - 1);
    }
    if (!found) x->table[slot] = index + 1;
    arena_rewind(x->a, mark);
    return found;
}

/* Marks which dimensions take part where `at` is taken. One that does not stands for itself once,
 * at its first pick: false for its others. Conditions speak of earlier dimensions only
 * (sweep_conditions.c), and one whose own condition fails takes no part either, so one pass from
 * the front is enough. */
static bool find_active(const sweep_block *b, const int *at, bool *active)
{
    bool good = true;
    for (int d = 0; d < b->dimension_count; d++) {
        bool **when = b->dimensions[d].when;
        active[d] = true;
        for (int k = 0; when && k < d; k++) {
            if (when[k]) active[d] = active[d] && active[k] && when[k][at[k]];
        }
        good = good && (active[d] || at[d] == 0);
    }
    return good;
}

/* Exclusions by a pick that each of them wants. Of tens of thousands, one for each combination that
 * is not wanted, all would be asked of every combination otherwise. */
typedef struct exclusions {
    exclusion *one;
    const struct exclusions *next;
} exclusions;

/* The dimension in which it wants the fewest picks: it speaks of one. */
static int narrowest(const sweep_block *b, const exclusion *x)
{
    int found = -1, fewest = 0;
    for (int d = 0; d < b->dimension_count; d++) {
        int count = 0;
        for (int k = 0; x->hits[d] && k < b->dimensions[d].count; k++)
            count += x->hits[d][k];
        if (!x->hits[d] || (found >= 0 && count >= fewest)) continue;
        found = d;
        fewest = count;
    }
    return found;
}

/* by_pick [dimensions][picks of each]: lists. */
static const exclusions ***index_exclusions(arena *a, const sweep_block *b)
{
    const exclusions ***by_pick = ARENA_NEW(a, const exclusions **, b->dimension_count);
    for (int d = 0; d < b->dimension_count; d++) {
        by_pick[d] = arena_push_zero(a, b->dimensions[d].count, sizeof **by_pick);
    }
    for (int i = 0; i < b->exclusion_count; i++) {
        exclusion *x = &b->exclusions[i];
        int d = narrowest(b, x);
        for (int k = 0; k < b->dimensions[d].count; k++) {
            if (!x->hits[d][k]) continue;
            exclusions *first = ARENA_NEW(a, exclusions, 1);
            *first = (exclusions){x, by_pick[d][k]};
            by_pick[d][k] = first;
        }
    }
    return by_pick;
}

static bool takes_out(const sweep_block *b, const exclusion *x, const int *at, const bool *active)
{
    for (int d = 0; d < b->dimension_count; d++) {
        if (x->hits[d] && !(active[d] && x->hits[d][at[d]])) return false;
    }
    return true;
}

/* All exclusions that may be meant are asked, even after one has hit: each counts what it took out,
 * and one that takes out nothing is a mistake. Each stands with one dimension's picks alone. */
static bool excluded(const sweep_block *b, const exclusions ***by_pick, const int *at,
                     const bool *active)
{
    bool any = false;
    for (int d = 0; d < b->dimension_count; d++) {
        for (const exclusions *x = by_pick[d][at[d]]; x; x = x->next) {
            bool out = takes_out(b, x->one, at, active);
            x->one->excluded += out;
            any = any || out;
        }
    }
    return any;
}

/* A combination that was there before gives its memory back. */
static void add_combo(expander *x, const sweep_block *b, const int *at, const bool *active)
{
    int count = 0;
    for (int d = 0; d < b->dimension_count; d++)
        count += b->dimensions[d].picks[at[d]].count;
    arena_mark mark = arena_now(x->a);
    combo c = {0, ARENA_NEW(x->a, const alternative *, count)};
    for (int d = 0; d < b->dimension_count; d++) {
        const pick *p = &b->dimensions[d].picks[at[d]];
        for (int i = 0; i < p->count && active[d]; i++)
            c.alternatives[c.count++] = &p->alternatives[i];
    }
    if (seen_combo(x, &c, (int32_t)x->out->count)) {
        x->out->duplicates++;
        arena_rewind(x->a, mark);
    } else {
        x->out->items[x->out->count++] = c;
    }
}

/* Counts like an odometer, the last dimension fastest; when the first one runs over (d < 0) all
 * were there. A block without dimensions has one combination, of nothing. */
static bool expand_block(expander *x, const sweep_block *b)
{
    /* at [dimensions]: the pick of each, the odometer's digits. */
    int *at = arena_push_zero(x->a, b->dimension_count, sizeof *at);
    bool active[SWEEP_MAX_DIMENSIONS];
    const exclusions ***by_pick = index_exclusions(x->a, b);
    for (int d = 0; d >= 0;) {
        bool wanted = find_active(b, at, active) && !excluded(b, by_pick, at, active);
        if (wanted) add_combo(x, b, at, active);
        if (x->out->count > SWEEP_MAX_KEPT) {
            return node_err(x->e, b->at,
                            "more than 100,000 variants; an experiment has at most 20,000");
        }
        for (d = b->dimension_count - 1; d >= 0; d--) {
            if (++at[d] < b->dimensions[d].count) break;
            at[d] = 0;
        }
    }
    for (int i = 0; i < b->exclusion_count; i++) {
        if (b->exclusions[i].excluded == 0) {
            return node_err(x->e, b->exclusions[i].at, "excludes nothing: no combination is meant");
        }
    }
    return true;
}

/* Counted before anything is multiplied out: three lists of a thousand values are a slip of the pen
 * that should say so, not use up the memory. */
static bool reserve_combos(expander *x)
{
    int64_t total = 0;
    for (int b = 0; b < x->source->block_count; b++) {
        const sweep_block *block = &x->source->blocks[b];
        int64_t product = 1;
        for (int d = 0; d < block->dimension_count; d++) {
            product *= block->dimensions[d].count;
            if (product * x->source->seed_count > SWEEP_MAX_VARIANTS) {
                return node_err(x->e, block->at, "more than 1,000,000 runs");
            }
        }
        total += product;
        if (total * x->source->seed_count > SWEEP_MAX_VARIANTS) {
            return node_err(x->e, block->at, "more than 1,000,000 runs");
        }
        /* max_ids: the most assignments a combination of the block can have, the largest pick of
         * each dimension. */
        int ids = 0;
        for (int d = 0; d < block->dimension_count; d++) {
            int most = 0;
            for (int k = 0; k < block->dimensions[d].count; k++) {
                int sum = 0;
                const pick *p = &block->dimensions[d].picks[k];
                for (int i = 0; i < p->count; i++)
                    sum += p->alternatives[i].count;
                most = MAX(most, sum);
            }
            ids += most;
        }
        x->max_ids = MAX(x->max_ids, ids);
    }
    x->out->items = ARENA_NEW(x->a, combo, total);
    for (x->table_size = 16; x->table_size < 2 * total;)
        x->table_size *= 2;
    x->table = arena_push_zero(x->a, x->table_size, sizeof *x->table);
    return true;
}

/* Room is counted first, owners are checked before ids are given: a refusal costs nothing that
 * grows with the product. */
bool sweep_combine(arena *a, sweep_source *source, sweep_combos *out, err *e)
{
    expander x = {.a = a, .source = source, .e = e, .out = out};
    *out = (sweep_combos){0};
    if (!reserve_combos(&x) || !check_owners(&x)) return false;
    CHECK(x.table, "no room for %d blocks", source->block_count);
    intern(&x);
    for (int b = 0; b < source->block_count; b++) {
        if (!expand_block(&x, &source->blocks[b])) return false;
    }
    return true;
}
