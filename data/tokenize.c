#include <string.h>

#include "data/corpus_class.h"

/* The identity of the ids: of the text, its split and the tokenizer. */
static void hash_corpus(corpus *c, const char *tokenizer)
{
    sha256 all;
    sha256_init(&all);
    sha256_update(&all, c->source, strlen(c->source));
    sha256_update(&all, "\n", 1);
    sha256_update(&all, tokenizer, strlen(tokenizer));
    sha256_final_hex(&all, c->hash);
}

bool corpus_tokenize(corpus *c, err *e)
{
    const node *tokenizer = corpus_data_options(c)->tokenizer;
    if (tokenizer && !(tokenizer->kind == NODE_SCALAR && strcmp(tokenizer->text, "bytes") == 0)) {
        return node_err(e, tokenizer, "unknown tokenizer; give bytes");
    }
    c->vocab = 256;
    c->lossless = c->bytes = true;
    hash_corpus(c, "bytes");
    return true;
}
