/* Corpora of ready token ids: shards of nanoGPT, of llm.c, and those that loci writes. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "data/shards.h"
#include "data/split_names.h"

typedef struct shards_options {
    data_options data;
    int64_t vocab;
} shards_options;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool add_shard(corpus *c, split_kind kind, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    shard_header h;
    if (!file_join(path, c->where, name, e) || !shard_header_read(&h, path, e)) return false;
    if (!c->reader) c->reader = reader_new(c->memory, h.width, c->vocab);
    if (reader_width(c->reader) != h.width) {
        return err_set(e, "%s: has ids of %d bytes, other shards of %d; keep one kind per folder",
                       path, h.width, reader_width(c->reader));
    }
    if (h.tokens == 0) return true;
    entry *d = corpus_add(c, kind, name);
    d->file = reader_add(c->reader, path);
    d->offset = h.offset;
    d->tokens = h.tokens;
    return true;
}

/* The shards of a folder that is called train, val ... */
static bool add_folder(corpus *c, split_kind kind, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(path, c->where, folder, e) || !file_list(path, c->memory, &names, &count, e)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        char name[FILE_PATH_BYTES];
        if (!ends_with(names[i], ".bin")) continue;
        if (!file_join(name, folder, names[i], e) || !add_shard(c, kind, name, e)) return false;
    }
    return true;
}

static void say_unread(const corpus *c, int64_t unread)
{
    char line[FILE_PATH_BYTES + 100];
    if (!c->say || unread == 0) return;
    snprintf(line, sizeof line, "%s: %lld .bin files are not read: they are named after no split",
             c->where, (long long)unread);
    c->say(line);
}

/* Adds what a name within the folder stands for: a shard, or a folder of them that is called like a
 * split. *unread: files that look like shards but belong to no split. */
static bool add_named(corpus *c, const char *name, int64_t *unread, err *e)
{
    char path[FILE_PATH_BYTES];
    split_kind kind;
    if (!file_join(path, c->where, name, e)) return false;
    if (file_is_folder(path))
        return !split_names_plain(name, &kind) || add_folder(c, kind, name, e);
    if (!ends_with(name, ".bin")) return true;
    int told = split_names_told(name, &kind);
    if (told > 1) {
        return node_err(e, c->spec,
                        "%s/%s: named after more than one split; rename it, so that its name tells "
                        "one of " SPLIT_NAMES_EXPECTED,
                        c->where, name);
    }
    *unread += told == 0;
    return told == 0 || add_shard(c, kind, name, e);
}

/* Without a sidecar a shard is one document, and nothing is known of its text. */
static bool open_bare(corpus *c, err *e)
{
    const shards_options *o = c->options;
    const char *const *names;
    int64_t count, unread = 0;
    if (o->vocab < 0) {
        return node_err(e, c->spec,
                        "%s has no corpus.json, so `vocab` is needed: the number of "
                        "different ids (GPT-2: 50257)",
                        c->where);
    }
    c->vocab = o->vocab;
    if (!file_list(c->where, c->memory, &names, &count, e)) return false;
    for (int64_t i = 0; i < count; i++) {
        if (!add_named(c, names[i], &unread, e)) return false;
    }
    say_unread(c, unread);
    return c->reader ||
           node_err(e, c->spec,
                    "%s: there are no shards; their names end in .bin and hold a word that tells "
                    "the split: " SPLIT_NAMES_EXPECTED,
                    c->where);
}

static bool open_described(corpus *c, shard_origin *origin, err *e)
{
    const shards_options *o = c->options;
    if (!shards_load(c, c->where, origin, e)) return false;
    if (o->vocab < 0 || o->vocab == c->vocab) return true;
    return node_err(e, c->spec, "vocab %lld is wrong: %s/corpus.json says %lld; leave it out",
                    (long long)o->vocab, c->where, (long long)c->vocab);
}

/* The model that turns ids into text: the spec's, else the one beside the shards. */
static bool find_model(corpus *c, const shard_origin *origin, err *e)
{
    const node *given = corpus_data_options(c)->tokenizer;
    char path[FILE_PATH_BYTES];
    if (given && given->kind != NODE_SCALAR) {
        return node_err(e, given,
                        "shards are encoded already; give the FILE.model that was used, or "
                        "bytes");
    }
    if (given && strcmp(given->text, "bytes") != 0) {
        c->model_path = corpus_find_file(given->text, given, c->roots, c->memory);
        if (!c->model_path) return node_err(e, given, "there is no file '%s'", given->text);
    } else if (given || strcmp(origin->tokenizer, "bytes") == 0) {
        c->bytes = true;
    } else if (origin->model) {
        if (!file_join(path, c->where, origin->model, e)) return false;
        c->model_path = arena_strdup(c->memory, path);
    }
    return !c->model_path || (c->pieces = sentencepiece_load(c->memory, c->model_path, e)) != NULL;
}

static bool check_model(const corpus *c, const shard_origin *origin, err *e)
{
    if (c->bytes && c->vocab != 256) {
        return node_err(e, c->spec, "tokenizer bytes has a vocabulary of 256, the shards have %lld",
                        (long long)c->vocab);
    }
    if (c->pieces && c->pieces->vocab != c->vocab) {
        return node_err(e, c->spec,
                        "%s has %lld pieces, the shards have a vocabulary of %lld; give "
                        "the model that they were encoded with",
                        c->model_path, (long long)c->pieces->vocab, (long long)c->vocab);
    }
    bool known = strlen(origin->tokenizer) == SHA256_HEX - 1;
    if (c->pieces && known && strcmp(c->pieces->hash, origin->tokenizer) != 0) {
        return node_err(e, c->spec, "%s is not the tokenizer that the shards were encoded with",
                        c->model_path);
    }
    return true;
}

static bool open_shards(corpus *c, err *e)
{
    char sidecar[FILE_PATH_BYTES];
    shard_origin origin = {"none", NULL};
    const char *found =
        corpus_find(c->cls, corpus_data_options(c)->path, c->spec, c->roots, c->memory, e);
    if (!found) return false;
    c->where = found;
    if (!file_is_folder(found)) {
        return node_err(e, c->spec,
                        "%s is no folder; give the folder that holds train*.bin and "
                        "val*.bin",
                        found);
    }
    if (!file_join(sidecar, found, "corpus.json", e)) return false;
    bool described = file_exists(sidecar);
    if (!(described ? open_described(c, &origin, e) : open_bare(c, e))) return false;
    if (!find_model(c, &origin, e) || !check_model(c, &origin, e)) return false;
    if (c->bytes && !described) { /* every id is a byte of the text */
        c->lossless = true;
        for (int kind = 0; kind < SPLITS; kind++) {
            for (int64_t i = 0; i < c->splits[kind].count; i++) {
                c->splits[kind].entries[i].bytes = c->splits[kind].entries[i].tokens;
            }
        }
    }
    corpus_sum(c);
    return corpus_index(c, e) &&
           corpus_hash_with(c, c->pieces ? c->pieces->hash : origin.tokenizer);
}

static const option OPTIONS[] = {
    DATA_OPTIONS("16384"),
    {"vocab", OPTION_INT, offsetof(shards_options, vocab), .initial = "null", .nullable = true,
     .min = 1, .max = 1 << 30, .help = "number of ids; null: from corpus.json beside the shards"},
    {0},
};

const corpus_class CORPUS_SHARDS = {
    .name = "shards",
    .help = "token ids in llm.c .bin or raw uint16 files (nanoGPT): train*, val*, test*",
    .get = "loci data prepare CORPUS --export DIR",
    .options = OPTIONS,
    .options_bytes = sizeof(shards_options),
    .path_required = true,
    .open = open_shards,
};
