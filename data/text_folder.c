/* A folder of text. What belongs to which split is said by names where there are such names: never
 * is a text that somebody set aside for testing mixed with the text to train on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "data/split_layout.h"
#include "data/split_names.h"
#include "data/text.h"

/* A folder that links to one above itself would never end. */
enum { MAX_FOLDERS_DEEP = 16 };

typedef struct found_file {
    const char *name; /* below the corpus's folder, of what it holds if it is packed */
    const char *path; /* of the text */
    int64_t bytes;
    uint64_t order; /* hash of the name: what decides which files are held out */
} found_file;

typedef struct found_files {
    found_file *files;
    int64_t count, capacity;
    int64_t bytes;
} found_files;

/* FNV-1a, 64 bits. In the name of the plain text, so that packing a file moves it to no other
 * split. */
static uint64_t name_order(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    }
    return hash;
}

/* The arena keeps the former arrays, too: doubled, they are no more than the last one. */
static void keep_file(found_files *all, const found_file *f, arena *a)
{
    if (all->count == all->capacity) {
        all->capacity = MAX(64, 2 * all->capacity);
        found_file *grown = ARENA_NEW(a, found_file, all->capacity);
        if (all->count) memcpy(grown, all->files, (size_t)all->count * sizeof *grown);
        all->files = grown;
    }
    all->files[all->count++] = *f;
    /* Shares are of bytes, not of files. */
    all->bytes += f->bytes;
}

static bool find_file(found_files *all, const corpus *c, const char *name, const char *path, err *e)
{
    found_file f = {.path = corpus_unpacked(c, path, e)};
    if (!f.path) return false;
    if (file_is_folder(f.path)) {
        return err_set(e, "%s: holds several files; unpack it into the folder", path);
    }
    char *kept = arena_strdup(c->memory, name);
    corpus_unpacked_name(kept);
    f.name = kept;
    f.order = name_order(kept);
    /* The caller's buffer is used again for the next name. */
    if (f.path == path) f.path = arena_strdup(c->memory, path);
    if (!file_stat(f.path, &f.bytes, NULL, e)) return false;
    /* Empty files count neither as documents nor for the shares. */
    if (f.bytes > 0) keep_file(all, &f, c->memory);
    return true;
}

/* Every file below c->root/sub with something in it, in the order of names; names that begin with a
 * dot are left out. */
static bool find_files(found_files *all, const corpus *c, const char *sub, int depth, err *e)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(folder, c->root, sub, e) ||
        !file_list_named(folder, c->memory, &names, &count, e)) {
        return false;
    }
    /* Whoever has a link in a circle is told so rather than read for ever. */
    if (depth > MAX_FOLDERS_DEEP) return err_set(e, "%s: folders are nested too deeply", folder);
    for (int64_t i = 0; i < count; i++) {
        if (names[i][0] == '.') continue;
        if (!file_join(path, folder, names[i], e)) return false;
        /* Names are relative to the corpus's folder: wherever that lies, documents are called
         * alike, and the split by their hash is the same. */
        if (*sub && !file_join(name, sub, names[i], e)) return false;
        if (!*sub) snprintf(name, sizeof name, "%s", names[i]);
        bool ok = file_is_folder(path) ? find_files(all, c, name, depth + 1, e)
                                       : find_file(all, c, name, path, e);
        if (!ok) return false;
    }
    return true;
}

static bool add_file(corpus *c, split_kind kind, const found_file *f, err *e)
{
    return corpus_add_plain(c, kind, f->name, f->path, 0, -1, e);
}

static int by_order(const void *x, const void *y)
{
    const found_file *const *a = x, *const *b = y;
    return (*a)->order < (*b)->order ? -1 : (*a)->order > (*b)->order;
}

/* Whole files are held out, chosen by the hash of their names: a file stays where it is when others
 * are added, as far as the shares allow. At least one file goes to each split that has a share. */
static bool split_by_hash(corpus *c, const found_files *all, double validation, double test, err *e)
{
    /* One for each split. */
    if (all->count < 3) {
        return err_set(e,
                       "%s: %lld files with text cannot be split by file; give one file, at least "
                       "3 files, or folders train/, validation/ and test/",
                       c->where, (long long)all->count);
    }
    const found_file **sorted = ARENA_NEW(c->memory, const found_file *, all->count);
    char *kind = arena_push_zero(c->memory, all->count, 1); /* by index in all->files */
    for (int64_t i = 0; i < all->count; i++) {
        sorted[i] = &all->files[i];
    }
    qsort(sorted, (size_t)all->count, sizeof *sorted, by_order);
    int64_t next = 0;
    double share[SPLITS] = {0, validation, test};
    /* Whole files: half of a book in training would give the other half away. */
    for (int s = SPLIT_TEST; s >= SPLIT_VALIDATION; s--) {
        /* Files are taken from the beginning of the hash order: first for test, then for
         * validation. A file that is added takes its place somewhere in the order and moves at most
         * those at the borders. */
        int64_t wanted = llround(share[s] * (double)all->bytes), got = 0;
        /* Rounded up to whole files, but for the last ones: training must have one. */
        for (; got < wanted && next + s < all->count;
             next++) { /* leaves one file per split ahead */
            got += sorted[next]->bytes;
            kind[sorted[next] - all->files] = (char)s;
        }
    }
    for (int64_t i = 0; i < all->count; i++) {
        /* In the order of names: documents are numbered as people see them. */
        if (!add_file(c, (split_kind)kind[i], &all->files[i], e)) return false;
    }
    return true;
}

/* ---- folders and files that are named after splits ---- */

static bool add_member(corpus *c, const split_member *m, err *e)
{
    found_files files = {0};
    char path[FILE_PATH_BYTES];
    if (!file_join(path, c->root, m->name, e)) return false;
    if (!(m->folder ? find_files(&files, c, m->name, 1, e)
                    : find_file(&files, c, m->name, path, e))) {
        return false;
    }
    for (int64_t i = 0; i < files.count; i++) {
        if (!add_file(c, m->kind, &files.files[i], e)) return false;
    }
    return true;
}

/* "train.test.txt": neither a split's file nor one whose name means nothing. */
static bool names_two(const char *path)
{
    split_kind kind;
    const char *slash = strrchr(path, '/');
    return split_names_told(slash ? slash + 1 : path, &kind) > 1;
}

/* Deeper folders and files that are named after splits would be mixed: the caller has to say which
 * of the folders is meant. */
static bool check_nested(const corpus *c, const found_files *all, err *e)
{
    const char *named[SPLITS] = {NULL};
    for (int64_t i = 0; i < all->count; i++) {
        split_kind kind;
        char part[FILE_PATH_BYTES];
        for (const char *at = all->files[i].name; at; at = strchr(at, '/')) {
            at += *at == '/';
            snprintf(part, sizeof part, "%.*s", (int)strcspn(at, "/"), at);
            /* Every part of the path: en/train/a.txt is as split as train/en/a.txt. */
            if (split_names_plain(part, &kind)) named[kind] = all->files[i].name;
        }
    }
    const char *held_out = named[SPLIT_VALIDATION] ? named[SPLIT_VALIDATION] : named[SPLIT_TEST];
    if (!named[SPLIT_TRAIN] || !held_out) return true;
    const char *two = names_two(named[SPLIT_TRAIN]) ? named[SPLIT_TRAIN]
                      : names_two(held_out)         ? held_out
                                                    : NULL;
    if (two) {
        return node_err(e, c->spec,
                        "%s: %s is named after more than one split; name it after one, or take it "
                        "out of the folder",
                        c->where, two);
    }
    return node_err(e, c->spec,
                    "%s: holds text that is split already (%s, %s), but not by folders or files "
                    "right in it; give the folder that holds " SPLIT_NAMES_EXPECTED,
                    c->where, named[SPLIT_TRAIN], held_out);
}

static void say_split(const corpus *c)
{
    corpus_say(c,
               "%s: no names of splits in it, so whole files are held out: %lld to train on, %lld "
               "for validation, %lld for test",
               c->where, (long long)c->splits[SPLIT_TRAIN].count,
               (long long)c->splits[SPLIT_VALIDATION].count,
               (long long)c->splits[SPLIT_TEST].count);
}

/* Shares that nobody looks at are refused; a run's own spec names every option. */
static bool check_shares(const corpus *c, err *e)
{
    static const char *const SHARES[] = {"validation", "test"};
    for (size_t i = 0; i < sizeof SHARES / sizeof *SHARES; i++) {
        const option *o = option_find(c->cls->options, SHARES[i]);
        const node *own = node_get(c->spec, o->name);
        double share, usual;
        if (!own || (option_text_to_real(own->text, &share) &&
                     option_text_to_real(o->initial, &usual) && !(fabs(share - usual) > 0))) {
            continue;
        }
        return node_err(e, own, "has no effect: %s is split by the names in it; remove it",
                        c->where);
    }
    return true;
}

bool text_folder_open(corpus *c, double validation, double test, err *e)
{
    split_layout layout;
    if (!split_layout_find(&layout, c, e)) return false;
    for (int64_t i = 0; i < layout.count; i++) {
        if (!add_member(c, &layout.members[i], e)) return false;
    }
    /* Names decide; shares would be looked at by nobody. */
    if (layout.count) return check_shares(c, e);
    found_files files = {0};
    /* No names at all: by hash, which is said, for the user may have expected another split. */
    if (!find_files(&files, c, "", 0, e) || !check_nested(c, &files, e) ||
        !split_by_hash(c, &files, validation, test, e)) {
        return false;
    }
    say_split(c);
    return true;
}
