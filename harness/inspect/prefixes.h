/* A corpus split as sentences and their prefixes, for the analysis of what a model has stored.
 *
 * Tokens of the split are numbered through from 0, document after document. A sentence begins with
 * a document, behind . ! or ? (with closing quotes) and white space, behind an empty line, and at
 * the latest after SENTENCE_TOKENS tokens; a prefix is a sentence's tokens up to one of them. Held
 * in memory: a bit per token and a table of documents. */
#pragma once

#include "core/base/arena.h"
#include "data/corpus.h"

enum { SENTENCE_TOKENS = 512 };

typedef struct prefixes {
    arena *memory;
    corpus_split *split;
    int64_t tokens, documents;
    int64_t *first;      /* [documents + 1]: tokens before each */
    uint64_t *starts;    /* a bit per token: a sentence begins with it */
    const char **pieces; /* [vocab]: a token's text */
    int64_t vocab;
} prefixes;

/* The first `limit` tokens of a split (0: all). Memory is the arena's. */
bool prefixes_open(prefixes *p, const corpus *c, corpus_split *split, int64_t limit, arena *a,
                   err *e);

int64_t prefixes_document(const prefixes *p, int64_t token);
/* First token of the sentence that the token belongs to. */
int64_t prefixes_sentence(const prefixes *p, int64_t token);
/* Ids of tokens [begin, begin + n), which are one document's. */
bool prefixes_read(const prefixes *p, int64_t begin, int64_t n, int32_t *ids, err *e);
/* Text of an id; "" for none. */
const char *prefixes_piece(const prefixes *p, int32_t id);
