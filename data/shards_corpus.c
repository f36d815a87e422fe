/* Corpora of ready token ids: with the corpus.json that loci writes, or as other programs leave
 * them. */
#include <stddef.h>
#include <string.h>

#include "core/base/file.h"
#include "data/shards.h"

/* Where each figure comes from, and which of two wins:
 *
 *   vocabulary   corpus.json; else the option, which is needed then. Never the largest id
 *   width        the file's header or index; else dtype; else uint16, after a look at the bytes
 *   documents    corpus.json; else separator, Megatron's index, or a file each
 *   text         the spec's tokenizer; else the model beside the shards; else ids alone
 *
 * Where the file knows, an option that says the same is refused as well: the next one to edit the
 * spec would take it for what decides. */

typedef struct shards_options {
    data_options data;
    int64_t vocab, dtype, separator;
} shards_options;

/* Nothing in such files says how many ids there are, and the largest one that occurs is no answer:
 * a vocabulary that differs between two sets of the same tokenizer makes their models incomparable.
 */
static bool open_bare(corpus *c, err *e)
{
    const shards_options *o = c->options;
    char mark[FILE_PATH_BYTES];
    if (!file_join(mark, c->where, SHARDS_UNFINISHED, e)) return false;
    if (file_exists(mark)) {
        return node_err(e, c->spec,
                        "%s: an export into it has not ended; do it again (loci data prepare ... "
                        "--export), or remove the folder",
                        c->where);
    }
    if (o->vocab < 0) {
        return node_err(e, c->spec,
                        "%s has no corpus.json, so `vocab` is needed: the number of "
                        "different ids (GPT-2: 50257)",
                        c->where);
    }
    /* A separator is read as a token, and predicted. */
    if (o->separator >= o->vocab) {
        return node_err(e, c->spec, "separator %lld is no id: vocab is %lld",
                        (long long)o->separator, (long long)o->vocab);
    }
    c->vocab = o->vocab;
    const shards_told told = {(token_type)o->dtype, o->separator};
    return shards_open_bare(c, &told, e);
}

static bool open_described(corpus *c, shard_origin *origin, err *e)
{
    const shards_options *o = c->options;
    if (!shards_load(c, c->where, origin, e)) return false;
    /* Options that the sidecar answers are refused, even where they agree: they would have no
     * effect. */
    if (o->dtype != TOKEN_AUTO || o->separator >= 0) {
        return node_err(e, c->spec,
                        "%s/corpus.json says how wide ids are and where documents begin; leave "
                        "dtype and separator out",
                        c->where);
    }
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

/* A model of another vocabulary would print nonsense as text, one of the same size other words.
 * Compared by the hash of the model file where the sidecar has one; by the number of pieces in any
 * case. */
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
    /* "bytes" and "none" are no hashes. */
    bool known = strlen(origin->tokenizer) == SHA256_HEX - 1;
    if (c->pieces && known && strcmp(c->pieces->hash, origin->tokenizer) != 0) {
        return node_err(e, c->spec, "%s is not the tokenizer that the shards were encoded with",
                        c->model_path);
    }
    return true;
}

/* A description beside the shards comes first: what it says need not be guessed. */
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
        /* Bytes per token are known then, and with them bits per byte. */
        c->lossless = true;
        for (int kind = 0; kind < SPLITS; kind++) {
            for (int64_t i = 0; i < c->splits[kind].count; i++) {
                c->splits[kind].entries[i].bytes = c->splits[kind].entries[i].tokens;
            }
        }
    }
    corpus_sum(c);
    /* The hash last, with the tokenizer in it. */
    return corpus_index(c, e) &&
           corpus_hash_with(c, c->pieces ? c->pieces->hash : origin.tokenizer);
}

static const option OPTIONS[] = {
    DATA_OPTIONS("16384"),
    {"vocab", OPTION_INT, offsetof(shards_options, vocab), .initial = "null", .nullable = true,
     .min = 1, .max = 1 << 30, .help = "number of ids; null: from corpus.json beside the shards"},
    {"dtype", OPTION_CHOICE, offsetof(shards_options, dtype), .initial = "auto",
     .choices = TOKEN_TYPES,
     .help = "of raw files of ids; auto: uint16, or what header or index say"},
    {"separator", OPTION_INT, offsetof(shards_options, separator), .initial = "null",
     .nullable = true, .min = 0, .max = 1 << 30,
     .help = "id between documents, which the state is reset at; null: a file is a document"},
    {0},
};

const corpus_class CORPUS_SHARDS = {
    .name = "shards",
    .help = "token ids: llm.c .bin, raw (nanoGPT), .npy, Megatron .bin + .idx: train*, val*, test*",
    .get = "loci data prepare CORPUS --export DIR",
    OPTIONS_OF(shards_options, OPTIONS),
    .path_required = true,
    .open = open_shards,
};
