/* Documents within files of ids: what an index or a separator tells.
 *
 * A file of ids is one document, unless an index beside it or a separator says where documents end.
 * That matters beyond names: state is reset at documents, and words that reach over their borders
 * would be predicted from another text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "data/file_stamp.h"
#include "data/megatron.h"
#include "data/sealed.h"
#include "data/shards.h"

enum { IDS_AT_ONCE = 1 << 15 };

/* Documents of a shard: where each ends, in tokens. */
typedef struct document_ends {
    int64_t *ends;
    int64_t count, capacity;
} document_ends;

/* ---- an index ---- */

/* NAME.idx beside NAME.bin; false: there is none. */
static bool index_path(char index[FILE_PATH_BYTES], const char *path)
{
    /* .npy files have a header of their own, and no index. */
    if (!text_ends(path, ".bin")) return false;
    snprintf(index, FILE_PATH_BYTES, "%.*s.idx", (int)strlen(path) - 4, path);
    return file_exists(index);
}

static bool read_index(megatron_index *x, const char *index, const char *path, arena *a, err *e)
{
    file_map_auto map = {0};
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e) || !file_map_open_named(&map, index, e)) return false;
    return megatron_parse(x, map.data, map.bytes, bytes, index, a, e);
}

bool shard_documents_header(shard_header *h, token_type type, const char *path, err *e)
{
    char index[FILE_PATH_BYTES];
    if (!index_path(index, path)) return shard_header_read(h, type, path, e);
    megatron_index x;
    arena_auto *a = arena_new((size_t)1 << 16);
    bool ok = read_index(&x, index, path, a, e);
    if (!ok) return false;
    /* No offset: the ids begin at the file's first byte, and the index is a file of its own. */
    *h = (shard_header){.type = x.type, .tokens = x.tokens};
    if (type == TOKEN_AUTO || type == x.type) return true;
    return err_set(e, "%s: says that ids are %s, not %s; leave dtype out", index,
                   token_type_name(x.type), token_type_name(type));
}

/* ---- a separator ---- */

/* Documents are kept as their ends alone: each begins where the one before ended. Two separators in
 * a row, or one at an edge, make no empty document. */
static void keep_end(document_ends *d, int64_t end)
{
    if (end == (d->count ? d->ends[d->count - 1] : 0)) return;
    if (d->count == d->capacity) {
        d->capacity = MAX(1024, 2 * d->capacity);
        d->ends = realloc(d->ends, (size_t)d->capacity * sizeof *d->ends);
        CHECK(d->ends, "out of memory");
    }
    d->ends[d->count++] = end;
}

static bool find_separators(document_ends *d, reader *r, int file, const shard_header *h,
                            shard_separator separator, err *e)
{
    int32_t *ids = malloc(IDS_AT_ONCE * sizeof *ids);
    bool ok = ids != NULL;
    if (!ok) err_set(e, "out of memory");
    for (int64_t at = 0; at < h->tokens && ok; at += IDS_AT_ONCE) {
        int64_t n = MIN(h->tokens - at, IDS_AT_ONCE);
        ok = reader_ids(r, file, h->offset + at * reader_width(r), n, ids, e);
        for (int64_t i = 0; i < n && ok; i++) {
            /* The separator belongs to the document that it begins (llm.c), or that it ends
             * (nanoGPT): it is a token to predict like others. */
            if (ids[i] == separator.id) keep_end(d, at + i + !separator.begins);
        }
    }
    free(ids);
    if (ok) keep_end(d, h->tokens);
    return ok;
}

/* <cache>/documents-<hash of the file as it is and the separator>.bin: int64 ends */
static bool cache_path(char path[FILE_PATH_BYTES], const corpus *c, const char *shard,
                       shard_separator separator, err *e)
{
    char key[FILE_PATH_BYTES + 128], hex[SHA256_HEX], name[64];
    int64_t bytes, stamp;
    if (!file_stamp(shard, &bytes, &stamp, e)) return false;
    /* Everything that the ends follow from; a file that was written anew has another stamp. */
    snprintf(key, sizeof key, "%lld %lld %lld %d %d %s", (long long)bytes, (long long)stamp,
             (long long)separator.id, separator.begins, reader_width(c->reader), shard);
    sha256_hex(hex, key, strlen(key));
    snprintf(name, sizeof name, "documents-%.16s.bin", hex);
    return file_join(path, c->cache, name, e);
}

/* Whatever does not fit the shard is no cache of it: ends must rise and the last be the shard's. */
static bool load_ends(document_ends *d, const char *path, int64_t tokens)
{
    size_t bytes = 0;
    text_auto *data = sealed_read(path, &bytes);
    const int64_t *ends = (const void *)data;
    int64_t count = (int64_t)(bytes / sizeof *ends), last = 0;
    for (int64_t i = 0; data && i < count && ends[i] > last && ends[i] <= tokens; i++) {
        keep_end(d, last = ends[i]);
    }
    if (count == d->count && last == tokens) return true;
    d->count = 0;
    return false;
}

/* Looking for separators reads all ids, so where documents end is kept in the cache. */
static bool separate(document_ends *d, const corpus *c, int file, const shard_header *h,
                     shard_separator separator, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *shard = reader_path(c->reader, file);
    if (!c->cache) return find_separators(d, c->reader, file, h, separator, e);
    if (!cache_path(path, c, shard, separator, e)) return false;
    if (load_ends(d, path, h->tokens)) return true;
    return find_separators(d, c->reader, file, h, separator, e) && file_make_folders(c->cache, e) &&
           sealed_write(path, d->ends, (size_t)d->count * sizeof *d->ends, e);
}

/* ---- adding them ---- */

static void add_documents(corpus *c, split_kind kind, const char *shard, int file,
                          const shard_header *h, const document_ends *d, int64_t stamp)
{
    int64_t begin = 0;
    for (int64_t i = 0; i < d->count; i++) {
        char name[FILE_PATH_BYTES + 32];
        snprintf(name, sizeof name, "%s:%lld", shard, (long long)i);
        entry *added = corpus_add(c, kind, d->count == 1 ? shard : name);
        added->file = file;
        added->offset = h->offset + begin * reader_width(c->reader);
        added->tokens = d->ends[i] - begin;
        added->stamp = stamp;
        begin = d->ends[i];
    }
}

bool shard_documents_add(corpus *c, split_kind kind, const char *name, const char *path,
                         const shard_header *h, shard_separator separator, err *e)
{
    char index[FILE_PATH_BYTES];
    document_ends d = {0};
    int64_t bytes, stamp;
    if (h->tokens == 0) return true;
    if (!file_stamp(path, &bytes, &stamp, e)) return false;
    int file = reader_add(c->reader, path);
    bool ok = true;
    /* A separator that is asked for wins over an index: the user has said where documents end. */
    if (separator.id >= 0) {
        ok = separate(&d, c, file, h, separator, e);
    } else if (index_path(index, path)) {
        megatron_index x = {0};
        ok = read_index(&x, index, path, c->memory, e);
        for (int64_t i = 0; i < x.documents && ok; i++) {
            keep_end(&d, x.ends[i]);
        }
    } else {
        keep_end(&d, h->tokens);
    }
    if (ok) add_documents(c, kind, name, file, h, &d, stamp);
    free(d.ends);
    return ok;
}
