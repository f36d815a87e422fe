/* A corpus without its text: what turns ids into text and back is enough to generate.
 *
 * A trained model can write without the text that it learnt from; it needs only what turns ids into
 * text. Which tokenizer that was, the checkpoint says by hash, so any file of that hash will do,
 * wherever it is found: where the spec says, or in the cache. Corpora whose ids have no text of
 * their own, and shards, whose meaning lies in their folder, cannot be opened so. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "data/corpus_class.h"

static bool is_bytes(const node *tokenizer)
{
    return !tokenizer || (tokenizer->kind == NODE_SCALAR && strcmp(tokenizer->text, "bytes") == 0);
}

/* A file that is there but is another tokenizer is passed over without a word: the next place may
 * have the right one. */
static bool use_pieces(corpus *c, const char *path, const char *hash)
{
    sentencepiece *pieces = sentencepiece_load(c->memory, path, NULL);
    if (!pieces || strcmp(pieces->hash, hash) != 0) return false;
    c->pieces = pieces;
    c->model_path = arena_strdup(c->memory, path);
    c->vocab = pieces->vocab;
    return true;
}

/* Tokenizers that were trained lie in the cache under a hash of the text, which is not there.
 * Their names do not help, then: each is read and its hash compared. There are few, and this
 * happens once. */
static bool find_in_cache(corpus *c, const char *hash)
{
    const char *const *names;
    int64_t count;
    char path[FILE_PATH_BYTES];
    if (!c->cache || !file_list_named(c->cache, c->memory, &names, &count, NULL)) return false;
    for (int64_t i = 0; i < count; i++) {
        if (strncmp(names[i], "pieces-", 7) == 0 && file_join(path, c->cache, names[i], NULL) &&
            use_pieces(c, path, hash)) {
            return true;
        }
    }
    return false;
}

static bool open_tokenizer(corpus *c, const char *hash, err *e)
{
    const node *tokenizer = node_get(c->spec, "tokenizer");
    if (is_bytes(tokenizer)) {
        c->vocab = 256;
        c->lossless = c->bytes = true;
        return true;
    }
    const char *path = tokenizer->kind == NODE_SCALAR
                           ? corpus_find_file(tokenizer->text, tokenizer, c->roots, c->memory)
                           : NULL;
    return (path && use_pieces(c, path, hash)) || find_in_cache(c, hash) ||
           node_err(e, tokenizer, "its tokenizer (%.12s) is neither there nor in the cache %s",
                    hash, c->cache ? c->cache : "");
}

corpus *corpus_open_bare(const node *spec, const char *tokenizer, const char *hash,
                         const corpus_places *places, err *e)
{
    const node *name = node_get(spec, "corpus");
    const corpus_class *cls =
        name && name->kind == NODE_SCALAR ? corpus_class_find(name->text) : NULL;
    if (!cls || !cls->text) {
        return err_set(e, "nothing but the corpus itself tells what its ids mean"), NULL;
    }
    corpus *c = corpus_new(cls, spec, places);
    c->options = arena_push_zero(c->memory, 1, cls->options_bytes);
    /* As corpus_open has it for text; nothing is counted here. */
    c->has_words = true;
    snprintf(c->hash, sizeof c->hash, "%s", hash);
    snprintf(c->tokenizer, sizeof c->tokenizer, "%s", tokenizer);
    if (open_tokenizer(c, tokenizer, e)) return c;
    corpus_close(c);
    return NULL;
}
