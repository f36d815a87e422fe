/* Files of ids that nothing describes but their names, headers and indices.
 *
 * Folders as other programs leave them: train*.bin and val*.bin, folders of such, .npy, Megatron's
 * pairs. Names tell the split (data/split_names.h), headers the width, and an option the
 * vocabulary, which nothing else does. */
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "data/shards.h"
#include "data/split_names.h"

typedef struct bare_shard {
    const char *name, *path;
    split_kind kind;
    shard_header header;
} bare_shard;

typedef struct bare_shards {
    corpus *c;
    const shards_told *told;
    bare_shard *list;
    int64_t count, capacity;
    const char *unread; /* a file that is named after no split */
    int64_t unread_count;
} bare_shards;

/* .idx files are found by their .bin (shard_documents.c). */
static bool has_ids(const char *name)
{
    return name[0] != '.' && (text_ends(name, ".bin") || text_ends(name, ".npy"));
}

static void keep_shard(bare_shards *all, const bare_shard *s)
{
    if (all->count == all->capacity) {
        all->capacity = MAX(64, 2 * all->capacity);
        bare_shard *grown = ARENA_NEW(all->c->memory, bare_shard, all->capacity);
        if (all->count) memcpy(grown, all->list, (size_t)all->count * sizeof *grown);
        all->list = grown;
    }
    all->list[all->count++] = *s;
}

static bool find_shard(bare_shards *all, split_kind kind, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    arena *a = all->c->memory;
    /* The name below the corpus's folder becomes the document's, so it does not matter where that
     * lies. */
    bare_shard s = {.name = arena_strdup(a, name), .kind = kind};
    if (!file_join(path, all->c->where, name, e)) return false;
    s.path = arena_strdup(a, path);
    /* Headers of all before a token of any: a wrong width is told at once. */
    if (!shard_documents_header(&s.header, all->told->type, path, e)) return false;
    keep_shard(all, &s);
    return true;
}

/* The shards of a folder that is called train, val ... One level, not deeper: what lies below that
 * is somebody's own order. */
static bool find_in_folder(bare_shards *all, split_kind kind, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(path, all->c->where, folder, e) ||
        !file_list_named(path, all->c->memory, &names, &count, e)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!has_ids(names[i])) continue;
        if (!file_join(name, folder, names[i], e) || !find_shard(all, kind, name, e)) return false;
    }
    return true;
}

/* What a name right in the corpus's folder stands for. */
static bool find_named(bare_shards *all, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    split_kind kind;
    if (!file_join(path, all->c->where, name, e)) return false;
    /* Other folders are passed over: a project's root has many. */
    if (file_is_folder(path)) {
        return !split_names_plain(name, &kind) || find_in_folder(all, kind, name, e);
    }
    int told = split_names_told(name, &kind);
    if (has_ids(name) && told == 1) return find_shard(all, kind, name, e);
    if (has_ids(name) && told > 1) {
        return node_err(e, all->c->spec,
                        "%s: named after more than one split; rename it, so that its name tells "
                        "one of " SPLIT_NAMES_EXPECTED,
                        path);
    }
    /* A train.bin.gz or train.parquet is worth a word, too. */
    if (has_ids(name) || (told && !text_ends(name, ".idx"))) {
        all->unread = all->unread ? all->unread : name;
        all->unread_count++;
    }
    return true;
}

/* Said, not refused: a folder of shards may hold notes beside them. */
static void say_unread(const bare_shards *all)
{
    if (!all->unread) return;
    corpus_say(all->c,
               "%s: %lld files such as %s are not read: shards end in .bin or .npy and are named "
               "after a split",
               all->c->where, (long long)all->unread_count, all->unread);
}

/* One width for all, wide enough for the vocabulary. */
static bool check_types(const bare_shards *all, err *e)
{
    const corpus *c = all->c;
    for (int64_t i = 0; i < all->count; i++) {
        const bare_shard *s = &all->list[i], *first = &all->list[0];
        if (token_type_width(s->header.type) != token_type_width(first->header.type)) {
            return node_err(e, c->spec,
                            "%s has ids of type %s, %s of type %s; keep one kind per folder",
                            s->path, token_type_name(s->header.type), first->path,
                            token_type_name(first->header.type));
        }
        /* A vocabulary that is smaller than the type is usual: 50,257 of 65,536. */
        if (c->vocab > token_type_ids(s->header.type)) {
            return node_err(e, c->spec,
                            "%s: ids of type %s cannot tell a vocabulary of %lld apart; give the "
                            "right vocab or, if the file is raw, dtype: uint32",
                            s->path, token_type_name(s->header.type), (long long)c->vocab);
        }
    }
    return true;
}

/* Whether documents begin with the separator (llm.c) or end with it (nanoGPT): a file of the former
 * kind does begin so, unless it was cut inside a document; so one that does tells. */
static bool separator_begins(const bare_shards *all, bool *begins, err *e)
{
    *begins = false;
    for (int64_t i = 0; i < all->count && all->told->separator >= 0; i++) {
        int32_t first;
        const bare_shard *s = &all->list[i];
        reader *r = all->c->reader;
        /* A shard without ids has no first one. It is added as no document. */
        if (s->header.tokens == 0) continue;
        if (!reader_ids(r, reader_add(r, s->path), s->header.offset, 1, &first, e)) return false;
        /* One file that begins so decides: under nanoGPT's form a separator in front would be an
         * empty document. */
        *begins |= first == all->told->separator;
    }
    return true;
}

bool shards_open_bare(corpus *c, const shards_told *told, err *e)
{
    bare_shards all = {.c = c, .told = told};
    const char *const *names;
    int64_t count;
    shard_separator separator = {.id = told->separator};
    if (!file_list_named(c->where, c->memory, &names, &count, e)) return false;
    for (int64_t i = 0; i < count; i++) {
        if (!find_named(&all, names[i], e)) return false;
    }
    say_unread(&all);
    if (all.count == 0) {
        return node_err(e, c->spec,
                        "%s: there are no shards; their names end in .bin or .npy and hold a word "
                        "that tells the split: " SPLIT_NAMES_EXPECTED,
                        c->where);
    }
    /* Before a reader is made, which has one width. */
    if (!check_types(&all, e)) return false;
    c->reader = reader_new(c->memory, token_type_width(all.list[0].header.type), c->vocab);
    if (!separator_begins(&all, &separator.begins, e)) return false;
    /* In the order of names, split by split as they come: numbers of documents follow from it. */
    for (int64_t i = 0; i < all.count; i++) {
        const bare_shard *s = &all.list[i];
        if (!shard_documents_add(c, s->kind, s->name, s->path, &s->header, separator, e)) {
            return false;
        }
    }
    return true;
}
