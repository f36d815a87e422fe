/* From text to ids. Bytes are ids where they lie. A SentencePiece model encodes the text once:
 *
 *   <cache>/pieces-<hash of source and options>.model    a tokenizer trained for this text
 *   <cache>/tokens-<hash of source and tokenizer>/       shards, corpus.json, tokenizer.model
 *
 * One process prepares at a time; what is complete is never written again. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "data/shards.h"

/* Raised when the same text and tokenizer would give other shards. */
#define SHARDS_VERSION "3"

/* The corpus's hash: the text and how it is read. Two runs with the same hash saw the same ids. */
bool corpus_hash_with(corpus *c, const char *tokenizer)
{
    sha256 all;
    sha256_init(&all);
    sha256_add(&all, c->source, strlen(c->source));
    sha256_add(&all, "\n", 1);
    sha256_add(&all, tokenizer, strlen(tokenizer));
    sha256_final_hex(&all, c->hash);
    snprintf(c->tokenizer, sizeof c->tokenizer, "%s", tokenizer);
    return true;
}

/* <cache>/<prefix>-<16 digits of the hash of key><suffix>
 * 16 digits of 64: names of files, not security. What is in them says by itself what it belongs to.
 */
static bool cache_path(char path[FILE_PATH_BYTES], const corpus *c, const char *prefix,
                       const char *key, const char *suffix, err *e)
{
    char hex[SHA256_HEX], name[64];
    sha256_hex(hex, key, strlen(key));
    snprintf(name, sizeof name, "%s-%.16s%s", prefix, hex, suffix);
    return file_join(path, c->cache, name, e);
}

/* ---- training a tokenizer on the training split ---- */

typedef struct train_options {
    int64_t type, vocab, bytes;
} train_options;

static const char *const TYPES[] = {"unigram", "bpe"};

static const option TRAIN_OPTIONS[] = {
    {"train", OPTION_CHOICE, offsetof(train_options, type), .choices = "unigram|bpe",
     .help = "kind of SentencePiece model"},
    /* 256 bytes, the unknown piece and the two controls, and some room for pieces. */
    {"vocab", OPTION_INT, offsetof(train_options, vocab), .min = 300, .max = 1 << 20,
     .help = "number of pieces, 256 bytes and 3 special ones included"},
    {"bytes", OPTION_INT, offsetof(train_options, bytes), .initial = "20M", .min = 1, .max = 1e12,
     .help = "of training text to learn from: the beginning of every document"},
    {0},
};

/* Hands out the beginnings of the training documents. */
typedef struct sample_feed {
    const corpus *c;
    double share; /* of every document */
    int64_t doc, at;
} sample_feed;

/* The same share of each document, so that a long book does not make the vocabulary of all. -1 with
 * e set: reading failed. */
static int64_t feed_sample(void *user, void *out, int64_t capacity, err *e)
{
    sample_feed *f = user;
    const corpus_split *s = &f->c->splits[SPLIT_TRAIN];
    for (; f->doc < s->count; f->doc++, f->at = 0) {
        const entry *d = &s->entries[f->doc];
        int64_t end = f->share >= 1 ? d->bytes : (int64_t)(f->share * (double)d->bytes);
        if (f->at == end) continue;
        int64_t n = MIN(capacity, end - f->at);
        if (!reader_bytes(f->c->reader, d->file, d->offset + f->at, n, out, e)) return -1;
        f->at += n;
        return n;
    }
    return 0;
}

static bool train_model(const corpus *c, const train_options *o, char model[FILE_PATH_BYTES],
                        const node *at, err *e)
{
    char prefix[FILE_PATH_BYTES], wrote[FILE_PATH_BYTES + 16], list[FILE_PATH_BYTES + 16];
    double share = (double)o->bytes / (double)c->splits[SPLIT_TRAIN].bytes;
    sample_feed feed = {c, share, 0, 0};
    /* One name for all: the lock of the cache is held. */
    if (!file_join(prefix, c->cache, "training", e)) return false;
    train_job job = {prefix, TYPES[o->type], o->vocab, feed_sample, &feed};
    err why;
    if (!sentencepiece_train(&job, &why)) {
        err_prefix(&why, "no tokenizer of %lld pieces could be trained", (long long)o->vocab);
        return node_err_of(e, at, &why);
    }
    snprintf(wrote, sizeof wrote, "%s.model", prefix);
    snprintf(list, sizeof list, "%s.vocab", prefix);
    return file_copy_named(wrote, model, e) && file_remove(wrote, e) && file_remove(list, e);
}

/* The model's path, trained if it is not in the cache. The lock is held. */
static bool trained_model(corpus *c, const node *spec, char model[FILE_PATH_BYTES], err *e)
{
    train_options o;
    char key[256];
    if (!options_read(&o, TRAIN_OPTIONS, spec, NULL, c->memory, e)) return false;
    /* All that the result depends on, and nothing else. */
    snprintf(key, sizeof key, "%s %s %lld %lld", c->source, TYPES[o.type], (long long)o.vocab,
             (long long)o.bytes);
    if (!cache_path(model, c, "pieces", key, ".model", e)) return false;
    return file_exists(model) || train_model(c, &o, model, spec, e);
}

/* ---- encoding ---- */

/* Replaces the text by its ids.
 * From here on text is not read any more: words, bytes and unknown counts of each document stand in
 * the sidecar. */
static bool use_shards(corpus *c, const char *folder, err *e)
{
    shard_origin origin;
    int64_t vocab = c->vocab;
    bool words = c->has_words;
    reader_free(c->reader);
    c->reader = NULL;
    corpus_clear(c);
    if (!shards_load(c, folder, &origin, e)) return false;
    c->has_words = words;
    if (c->vocab == vocab && strcmp(origin.tokenizer, c->pieces->hash) == 0) return true;
    return err_set(e, "%s: belongs to another tokenizer; remove the folder", folder);
}

static bool prepare_shards(corpus *c, const node *tokenizer, err *e)
{
    char model[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], sidecar[FILE_PATH_BYTES];
    if (tokenizer->kind == NODE_MAP) {
        if (!trained_model(c, tokenizer, model, e)) return false;
        c->model_path = arena_strdup(c->memory, model);
    } else {
        /* A tokenizer beside the spec, or among the corpora, as a text would be. */
        c->model_path = corpus_find_file(tokenizer->text, tokenizer, c->roots, c->memory);
        if (!c->model_path) {
            return node_err(e, tokenizer,
                            "'%s' is neither `bytes` nor a SentencePiece model that is "
                            "there; give one, or {train: bpe, vocab: 4000}",
                            tokenizer->text);
        }
    }
    c->pieces = sentencepiece_load(c->memory, c->model_path, e);
    if (!c->pieces) return false;
    c->vocab = c->pieces->vocab;
    corpus_hash_with(c, c->pieces->hash);
    char key[2 * SHA256_HEX + 8];
    snprintf(key, sizeof key, "%s " SHARDS_VERSION, c->hash);
    if (!cache_path(folder, c, "tokens", key, "", e) ||
        !file_join(sidecar, folder, "corpus.json", e)) {
        return false;
    }
    /* The sidecar is written last: where it is, the shards are whole. */
    return (file_exists(sidecar) || corpus_encode_shards(c, folder, e)) && use_shards(c, folder, e);
}

bool corpus_tokenize(corpus *c, err *e)
{
    const node *tokenizer = corpus_data_options(c)->tokenizer;
    if (!tokenizer || (tokenizer->kind == NODE_SCALAR && strcmp(tokenizer->text, "bytes") == 0)) {
        c->vocab = 256;
        c->lossless = c->bytes = true;
        return corpus_hash_with(c, "bytes");
    }
    if (tokenizer->kind == NODE_LIST) {
        return node_err(e, tokenizer,
                        "a list is no tokenizer; give bytes, FILE.model or {train: bpe, "
                        "vocab: 4000}");
    }
    if (!c->cache)
        return node_err(e, tokenizer, "this tokenizer needs a cache folder for its shards");
    int lock = corpus_cache_lock(c->cache, e);
    if (lock < 0) return false;
    bool ok = prepare_shards(c, tokenizer, e);
    corpus_cache_unlock(lock);
    return ok;
}
