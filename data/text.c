/* Text in a file or a folder, split by position or by document: enwik8, text8 and anybody's own. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "data/corpus_class.h"

typedef struct text_options {
    data_options data;
    double validation, test;
} text_options;

/* Cuts one file: train first, validation and test behind it. */
static bool split_by_position(corpus *c, const char *path, double validation, double test, err *e)
{
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e)) return false;
    int64_t held = llround((double)bytes * validation), tested = llround((double)bytes * test);
    int64_t trained = bytes - held - tested;
    if (trained < 1 || held < 1) {
        return err_set(e, "%s: %lld bytes are too few to be split; give a longer text", path,
                       (long long)bytes);
    }
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    return corpus_add_text(c, SPLIT_TRAIN, name, path, 0, trained, e) &&
           corpus_add_text(c, SPLIT_VALIDATION, name, path, trained, held, e) &&
           corpus_add_text(c, SPLIT_TEST, name, path, trained + held, tested, e);
}

/* ---- enwik8 and text8: one file of 100,000,000 bytes or a prefix of it ---- */

/* The path may name the file or its folder. */
static bool open_wikipedia(corpus *c, err *e)
{
    const char *found =
        corpus_find(c->cls, corpus_data_options(c)->path, c->spec, c->roots, c->memory, e);
    if (!found) return false;
    if (file_is_folder(found)) {
        char path[FILE_PATH_BYTES];
        if (!file_join(path, found, c->cls->name, e)) return false;
        if (!file_exists(path)) {
            return node_err(e, c->spec, "%s holds no file '%s'; get it with %s", found,
                            c->cls->name, c->cls->get);
        }
        found = arena_strdup(c->memory, path);
    }
    c->where = found;
    return split_by_position(c, found, 0.05, 0.05, e);
}

static const option WIKIPEDIA_OPTIONS[] = {DATA_OPTIONS("16384"), {0}};
static const char *const ENWIK8_CANDIDATES[] = {"enwik8/enwik8", "enwik8", "enwik8-4m/enwik8",
                                                NULL};
static const char *const TEXT8_CANDIDATES[] = {"text8/text8", "text8", NULL};

const corpus_class CORPUS_ENWIK8 = {
    .name = "enwik8",
    .help = "the first 100,000,000 bytes of English Wikipedia (or a prefix), split 90/5/5 by "
            "position",
    .get = "data/fetch.sh enwik8",
    .options = WIKIPEDIA_OPTIONS,
    .options_bytes = sizeof(data_options),
    .candidates = ENWIK8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};

const corpus_class CORPUS_TEXT8 = {
    .name = "text8",
    .help = "Wikipedia reduced to a-z and spaces, 100,000,000 bytes, split 90/5/5 by position",
    .get = "data/fetch.sh text8",
    .options = WIKIPEDIA_OPTIONS,
    .options_bytes = sizeof(data_options),
    .candidates = TEXT8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};

/* ---- text: a file, a folder of files, or a folder with train/, validation/ and test/ ---- */

enum { MAX_FOLDERS_DEEP = 16 };

typedef struct found_file {
    const char *name; /* below the corpus's folder */
    int64_t bytes;
    uint64_t order; /* hash of the name: what decides which files are held out */
} found_file;

typedef struct found_files {
    found_file *files;
    int64_t count, capacity;
    int64_t bytes;
} found_files;

/* FNV-1a, 64 bits. */
static uint64_t name_order(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    }
    return hash;
}

static void keep_file(found_files *all, const char *name, int64_t bytes, arena *a)
{
    if (all->count == all->capacity) {
        all->capacity = MAX(64, 2 * all->capacity);
        found_file *grown = ARENA_NEW(a, found_file, all->capacity);
        if (all->count) memcpy(grown, all->files, (size_t)all->count * sizeof *grown);
        all->files = grown;
    }
    all->files[all->count++] = (found_file){arena_strdup(a, name), bytes, name_order(name)};
    all->bytes += bytes;
}

/* Every file below root/sub with something in it, in the order of names; names that begin with a
 * dot are left out. */
static bool find_files(found_files *all, const char *root, const char *sub, int depth, arena *a,
                       err *e)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(folder, root, sub, e) || !file_list(folder, a, &names, &count, e)) return false;
    if (depth > MAX_FOLDERS_DEEP) return err_set(e, "%s: folders are nested too deeply", folder);
    for (int64_t i = 0; i < count; i++) {
        if (names[i][0] == '.') continue;
        int64_t bytes;
        if (!file_join(path, folder, names[i], e)) return false;
        if (*sub && !file_join(name, sub, names[i], e)) return false;
        if (!*sub) snprintf(name, sizeof name, "%s", names[i]);
        if (file_is_folder(path)) {
            if (!find_files(all, root, name, depth + 1, a, e)) return false;
            continue;
        }
        if (!file_stat(path, &bytes, NULL, e)) return false;
        if (bytes > 0) keep_file(all, name, bytes, a);
    }
    return true;
}

static bool add_file(corpus *c, split_kind kind, const found_file *f, err *e)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, c->where, f->name, e) &&
           corpus_add_text(c, kind, f->name, path, 0, -1, e);
}

static int by_order(const void *x, const void *y)
{
    const found_file *const *a = x, *const *b = y;
    return (*a)->order < (*b)->order ? -1 : (*a)->order > (*b)->order;
}

/* Whole files are held out, chosen by the hash of their names: a file stays where it is when others
 * are added, as far as the shares allow. At least one file goes to each split that has a share. */
static bool split_by_document(corpus *c, const found_files *all, double validation, double test,
                              err *e)
{
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
    for (int s = SPLIT_TEST; s >= SPLIT_VALIDATION; s--) {
        int64_t wanted = llround(share[s] * (double)all->bytes), got = 0;
        for (; got < wanted && next + s < all->count;
             next++) { /* leaves one file per split ahead */
            got += sorted[next]->bytes;
            kind[sorted[next] - all->files] = (char)s;
        }
    }
    for (int64_t i = 0; i < all->count; i++) {
        if (!add_file(c, (split_kind)kind[i], &all->files[i], e)) return false;
    }
    return true;
}

static bool open_folder(corpus *c, const text_options *o, err *e)
{
    bool split = false;
    for (int s = 0; s < SPLITS; s++) {
        char path[FILE_PATH_BYTES];
        if (!file_join(path, c->where, split_name((split_kind)s), e)) return false;
        if (!file_is_folder(path)) continue;
        split = true;
        found_files files = {0};
        if (!find_files(&files, c->where, split_name((split_kind)s), 1, c->memory, e)) return false;
        for (int64_t i = 0; i < files.count; i++) {
            if (!add_file(c, (split_kind)s, &files.files[i], e)) return false;
        }
    }
    if (split) return true;
    found_files files = {0};
    return find_files(&files, c->where, "", 0, c->memory, e) &&
           split_by_document(c, &files, o->validation, o->test, e);
}

static bool open_text(corpus *c, err *e)
{
    const text_options *o = c->options;
    c->where = corpus_find(c->cls, o->data.path, c->spec, c->roots, c->memory, e);
    if (!c->where) {
        c->where = "";
        return false;
    }
    if (o->validation + o->test >= 1) {
        return node_err(e, c->spec,
                        "validation %g and test %g leave nothing to train on; their sum "
                        "must be below 1",
                        o->validation, o->test);
    }
    if (file_is_folder(c->where)) return open_folder(c, o, e);
    return split_by_position(c, c->where, o->validation, o->test, e);
}

static const option TEXT_OPTIONS[] = {
    DATA_OPTIONS("16384"),
    {"validation", OPTION_REAL, offsetof(text_options, validation), .initial = "0.05", .min = 1e-6,
     .max = 1, .help = "share of the bytes; unused where the folder holds train/ and validation/"},
    {"test", OPTION_REAL, offsetof(text_options, test), .initial = "0.05", .min = 0, .max = 1,
     .help = "share of the bytes; unused where the folder holds train/ and validation/"},
    {0},
};

const corpus_class CORPUS_TEXT = {
    .name = "text",
    .help = "a file, split by position; or a folder of files, each a document, split by file",
    .get = "",
    .options = TEXT_OPTIONS,
    .options_bytes = sizeof(text_options),
    .path_required = true,
    .text = true,
    .open = open_text,
};
