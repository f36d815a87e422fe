/* Reading a folder of shards through its corpus.json. Nothing in it is believed before it was
 * compared with the files: every document lies inside its file, every sum fits. */
#include "data/shards.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "data/file_stamp.h"

/* What is checked at which moment:
 *
 *   when opened             sizes of all shards by header and file, every document within its
 *                           shard, names within the folder
 *   when ids are read       each id below the vocabulary (reader.c), whatever the sidecar said
 *   loci data prepare       checksums of all bytes (shards_verify), which may take minutes
 *
 * A run does not read everything before its first step; a shard that was exchanged for one of the
 * same size is found by the corpus's own hash (corpus_index) where its time has changed. */

enum { MAX_COUNT = 1 << 30 };
/* Sums and products of counts below it do not overflow. */
static const int64_t MAX_TOKENS = (int64_t)1 << 50;

typedef struct loading {
    corpus *c;
    const char *folder, *path; /* of corpus.json, for messages */
    /* A function, so that the parser can be tried on sidecars whose shards are not there. */
    bool (*header)(shard_header *h, const char *path, err *e);
    err *e;
} loading;

static bool damaged(const loading *l, const char *what)
{
    return err_set(l->e, "%s: %s; the sidecar is damaged, prepare the corpus again", l->path, what);
}

/* A whole number in [0, MAX_TOKENS]. Numbers of the file are used as sizes and as factors of sizes:
 * bounded here, once. */
static bool get_count(const json_t *object, const char *key, int64_t *value)
{
    json_t *found = json_object_get(object, key);
    if (!json_is_integer(found)) return false;
    *value = json_integer_value(found);
    return *value >= 0 && *value <= MAX_TOKENS;
}

/* A name within the folder. */
static const char *get_file(const json_t *object, const char *key)
{
    const char *name = json_string_value(json_object_get(object, key));
    /* Neither hidden nor elsewhere. */
    return name && *name && *name != '.' && !strchr(name, '/') ? name : NULL;
}

typedef struct shard_file {
    int number; /* in the reader */
    int64_t offset, tokens, stamp;
} shard_file;

static bool load_file(const loading *l, const json_t *item, shard_file *f)
{
    char path[FILE_PATH_BYTES];
    shard_header h;
    int64_t tokens;
    const char *name = get_file(item, "file");
    if (!name || !get_count(item, "tokens", &tokens))
        return damaged(l, "a shard has no name or size");
    if (!file_join(path, l->folder, name, l->e) || !l->header(&h, path, l->e)) return false;
    /* One of the two is of another time. */
    if (h.tokens != tokens) {
        return err_set(l->e,
                       "%s: holds %" PRId64 " tokens, but %s tells %" PRId64
                       "; restore the file or prepare the corpus again",
                       path, h.tokens, l->path, tokens);
    }
    /* The first shard decides: one corpus is one width. */
    if (!l->c->reader)
        l->c->reader = reader_new(l->c->memory, token_type_width(h.type), l->c->vocab);
    if (reader_width(l->c->reader) != token_type_width(h.type))
        return damaged(l, "shards of different widths");
    *f = (shard_file){reader_add(l->c->reader, path), h.offset, h.tokens, 0};
    int64_t bytes;
    file_stamp(path, &bytes, &f->stamp, NULL); /* a stand-in for it in tests has none */
    return true;
}

static bool load_document(const loading *l, const json_t *item, split_kind kind,
                          const shard_file *files, int64_t count)
{
    int64_t file, begin, tokens, bytes, words;
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *title = json_string_value(json_object_get(item, "title"));
    /* Whatever is missing, the whole sidecar is refused: a document less would be another corpus
     * under the same name. */
    if (!name || !get_count(item, "file", &file) || !get_count(item, "begin", &begin) ||
        !get_count(item, "tokens", &tokens) || !get_count(item, "bytes", &bytes) ||
        !get_count(item, "words", &words)) {
        return damaged(l, "a document lacks name, file, begin, tokens, bytes or words");
    }
    /* Both at most 2^50. */
    if (file >= count || begin + tokens > files[file].tokens) {
        return damaged(l, "a document reaches over the end of its shard");
    }
    entry *d = corpus_add(l->c, kind, name);
    /* The sidecar's text is gone once it has been read. */
    d->title = title ? arena_strdup(l->c->memory, title) : NULL;
    d->file = files[file].number;
    d->offset = files[file].offset + begin * reader_width(l->c->reader);
    d->tokens = tokens;
    d->stamp = files[file].stamp;
    d->bytes = bytes;
    d->words = words;
    /* Absent where nothing is unknown. */
    if (!get_count(item, "unknown", &d->unknown)) d->unknown = 0;
    if (!get_count(item, "unknown_bytes", &d->unknown_bytes)) d->unknown_bytes = 0;
    return true;
}

/* Shards first: documents are checked against them. */
static bool load_split(const loading *l, const json_t *split, split_kind kind)
{
    const json_t *files = json_object_get(split, "files");
    const json_t *documents = json_object_get(split, "documents");
    if (!json_is_array(files) || !json_is_array(documents)) {
        return damaged(l, "a split has no files or no documents");
    }
    int64_t count = (int64_t)json_array_size(files);
    arena *a = l->c->memory;
    shard_file *table = arena_push_zero(a, count, sizeof *table);
    for (int64_t i = 0; i < count; i++) {
        if (!load_file(l, json_array_get(files, (size_t)i), &table[i])) return false;
    }
    for (size_t i = 0; i < json_array_size(documents); i++) {
        if (!load_document(l, json_array_get(documents, i), kind, table, count)) return false;
    }
    return true;
}

static bool load_all(const loading *l, const json_t *all, shard_origin *origin)
{
    corpus *c = l->c;
    const char *format = json_string_value(json_object_get(all, "format"));
    const json_t *tokenizer = json_object_get(all, "tokenizer");
    const json_t *splits = json_object_get(all, "splits");
    const char *hash = json_string_value(json_object_get(tokenizer, "sha256"));
    int64_t version, vocab;
    if (!format || strcmp(format, "loci shards") != 0 || !get_count(all, "version", &version)) {
        return damaged(l, "not a description of token shards");
    }
    /* A later form may mean something else by the same keys. */
    if (version != 1) return damaged(l, "written by a later version");
    if (!get_count(all, "vocab", &vocab) || vocab < 1 || vocab > MAX_COUNT || !hash ||
        !json_is_object(splits)) {
        return damaged(l, "vocab, tokenizer or splits are missing");
    }
    c->vocab = vocab;
    c->lossless = json_is_true(json_object_get(all, "lossless"));
    c->has_words = json_is_true(json_object_get(all, "words"));
    const char *model = get_file(tokenizer, "model");
    /* The caller finds the model, which the spec may name. */
    *origin = (shard_origin){arena_strdup(c->memory, hash),
                             model ? arena_strdup(c->memory, model) : NULL};
    for (int kind = 0; kind < SPLITS; kind++) {
        const json_t *split = json_object_get(splits, split_name((split_kind)kind));
        if (split && !load_split(l, split, (split_kind)kind)) return false;
    }
    corpus_sum(c);
    return c->reader || damaged(l, "there are no shards");
}

bool shards_parse(corpus *c, const char *json, size_t bytes, const char *folder,
                  bool (*header)(shard_header *h, const char *path, err *e), shard_origin *origin,
                  err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "corpus.json", e)) return false;
    json_auto_t *all = json_parse(json, bytes, path, e);
    if (!all) return false;
    loading l = {c, folder, path, header, e};
    return load_all(&l, all, origin);
}

bool shards_load(corpus *c, const char *folder, shard_origin *origin, err *e)
{
    char path[FILE_PATH_BYTES];
    file_map_auto map = {0};
    if (!file_join(path, folder, "corpus.json", e) || !file_map_open_named(&map, path, e))
        return false;
    return shards_parse(c, (const char *)map.data, map.bytes, folder, shard_header_read_described,
                        origin, e);
}

/* Reads all of every shard: for `loci data prepare`, which may take its time. */
static bool verify_split(const char *folder, const json_t *split, err *e)
{
    const json_t *files = json_object_get(split, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *item = json_array_get(files, i);
        const char *name = get_file(item, "file");
        const char *expected = json_string_value(json_object_get(item, "sha256"));
        char path[FILE_PATH_BYTES], hex[SHA256_HEX];
        /* Without a checksum there is nothing to compare: older sidecars, or written by hand. */
        if (!name || !expected) continue;
        if (!file_join(path, folder, name, e) || !file_sha256_named(hex, path, e)) return false;
        if (strcmp(hex, expected) == 0) continue;
        return err_set(
            e,
            "%s: damaged: its checksum is not that of corpus.json; remove the folder and "
            "prepare it again",
            path);
    }
    return true;
}

bool shards_verify(const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "corpus.json", e)) return false;
    json_auto_t *all = json_read_named(path, e);
    if (!all) return false;
    bool ok = true;
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        const json_t *splits = json_object_get(all, "splits");
        ok = verify_split(folder, json_object_get(splits, split_name((split_kind)kind)), e);
    }
    return ok;
}
