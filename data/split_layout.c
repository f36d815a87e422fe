/* What a folder's own entries say of splits. Two mistakes are worse than any error: to train on a
 * text that somebody has set aside, and to leave half of a text out because a name happened to hold
 * "test". So names count only where they agree among each other, everything that is left out is
 * said, and what is ambiguous is refused. */
#include "data/split_layout.h"

#include "core/base/file.h"
#include "data/split_names.h"

/* Three outcomes: nothing is named after a split (count 0, and the caller holds files out itself);
 * everything that counts is, with at least train and validation, for many data sets have no test;
 * or an error that names the two that contradict each other. Which files belong is decided by the
 * strictest form that is there: with folders called train and so on, single files have to be called
 * exactly so, too. */

typedef struct entry_names {
    const char *const *names;
    bool *folder;
    int64_t count;
} entry_names;

static bool list_entries(entry_names *all, const corpus *c, err *e)
{
    if (!file_list_named(c->root, c->memory, &all->names, &all->count, e)) return false;
    all->folder = arena_push_zero(c->memory, all->count, sizeof *all->folder);
    for (int64_t i = 0; i < all->count; i++) {
        char path[FILE_PATH_BYTES];
        if (!file_join(path, c->root, all->names[i], e)) return false;
        /* Asked once per entry: siblings are looked for in pairs. */
        all->folder[i] = file_is_folder(path);
    }
    return true;
}

/* .git, .DS_Store and the like are no text. */
static bool hidden(const char *name)
{
    return name[0] == '.';
}

/* Whether another file has this one's name but for the split: "a.train.txt" beside "a.test.txt".
 * Quadratic in files that are named after a split, of which a folder has a few. */
static bool has_sibling(const entry_names *all, int64_t index)
{
    split_kind kind, other;
    if (split_names_told(all->names[index], &kind) != 1) return false;
    for (int64_t i = 0; i < all->count; i++) {
        if (all->folder[i] || split_names_told(all->names[i], &other) != 1 || other == kind)
            continue;
        if (split_names_siblings(all->names[index], all->names[i])) return true;
    }
    return false;
}

/* Whether anything says that the folder is split by names: a folder called train; files called
 * train or validation, or files that differ in their splits. One "test.txt" says nothing, and so
 * does "train.test.txt", which tells two. Where it is split, there is a member. */
static bool is_split(const entry_names *all)
{
    for (int64_t i = 0; i < all->count; i++) {
        split_kind kind;
        if (hidden(all->names[i])) continue;
        bool plain = (all->folder[i] || split_names_told(all->names[i], &kind) == 1) &&
                     split_names_plain(all->names[i], &kind);
        /* A folder called test is a split; a file called test.txt may be about anything. */
        if (plain && (all->folder[i] || kind != SPLIT_TEST)) return true;
        if (!all->folder[i] && has_sibling(all, i)) return true;
    }
    return false;
}

/* Folders must be called exactly so: beside them, a file must, too. */
static bool is_member(const entry_names *all, int64_t index, bool folders, split_kind *kind)
{
    const char *name = all->names[index];
    if (hidden(name)) return false;
    if (folders || all->folder[index]) return split_names_plain(name, kind);
    return split_names_told(name, kind) == 1;
}

static void say_unread(const corpus *c, const char *first, int64_t count)
{
    split_kind kind;
    if (count == 1) {
        corpus_say(c, "%s: %s is not read: it is named after %s", c->where, first,
                   split_names_told(first, &kind) > 1 ? "more than one split" : "no split");
    } else if (count > 1) {
        corpus_say(c, "%s: %s and %lld others are not read: they are not named after one split",
                   c->where, first, (long long)count - 1);
    }
}

/* Parts of a split differ in their numbers alone; two files that are both "train" are none. */
static bool check_parts(const split_layout *l, const corpus *c, err *e)
{
    const split_member *first[SPLITS] = {NULL};
    for (int64_t i = 0; i < l->count; i++) {
        const split_member *m = &l->members[i];
        if (!first[m->kind]) first[m->kind] = m;
        if (split_names_parts(first[m->kind]->name, m->name)) continue;
        return node_err(
            e, c->spec,
            "%s: both %s and %s are named after the %s split; keep one of them, or give a "
            "folder that holds one text for each split",
            c->where, first[m->kind]->name, m->name, split_name(m->kind));
    }
    return true;
}

static bool check_complete(const split_layout *l, const corpus *c, err *e)
{
    CHECK(l->count > 0, "%s: split into nothing", c->where);
    const char *named[SPLITS] = {NULL}, *any = l->members[0].name;
    for (int64_t i = 0; i < l->count; i++) {
        named[l->members[i].kind] = l->members[i].name;
    }
    for (int kind = SPLIT_TRAIN; kind <= SPLIT_VALIDATION; kind++) {
        if (named[kind]) continue;
        return node_err(e, c->spec,
                        "%s: %s is named after a split, but nothing is named after %s; the names "
                        "to give are " SPLIT_NAMES_EXPECTED,
                        c->where, any, split_name((split_kind)kind));
    }
    return true;
}

bool split_layout_find(split_layout *l, const corpus *c, err *e)
{
    entry_names all;
    *l = (split_layout){0};
    if (!list_entries(&all, c, e)) return false;
    /* count stays 0: no word is said of names where none is a split's. */
    if (!is_split(&all)) return true;
    bool folders = false;
    for (int64_t i = 0; i < all.count; i++) {
        split_kind kind;
        /* Known before anything is taken: one folder makes the rule stricter for all files. */
        folders |= all.folder[i] && is_member(&all, i, true, &kind);
    }
    l->members = ARENA_NEW(c->memory, split_member, all.count);
    const char *unread = NULL;
    int64_t left = 0;
    for (int64_t i = 0; i < all.count; i++) {
        split_kind kind;
        if (is_member(&all, i, folders, &kind)) {
            l->members[l->count++] = (split_member){all.names[i], all.folder[i], kind};
        } else if (!hidden(all.names[i])) {
            unread = unread ? unread : all.names[i];
            left++;
        }
    }
    /* A README beside the splits is usual, a forgotten part of them is not: both are said. */
    say_unread(c, unread, left);
    return check_parts(l, c, e) && check_complete(l, c, e);
}
