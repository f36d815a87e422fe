/* A corpus: train, validation and test splits of documents, as token ids.
 *
 *   data: {corpus: kjv|enwik8|pg19|text8|text|shards|markov|probe, path: ..., span: n,
 *          tokenizer: bytes|FILE.model|{train: unigram|bpe, vocab: n}, ...}
 *
 * All options: prepare_list (prepare.h).
 *
 * Bytes are read from the text files where they lie; other tokenizers through shards prepared once
 * in the cache (`loci data prepare`, or on first use). Nothing but the table of documents is held
 * in memory, so that a run's memory does not depend on the corpus size. A split may be read by
 * several threads at once. */
#pragma once

#include "core/options/option.h"

typedef enum split_kind { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLITS } split_kind;
const char *split_name(split_kind kind); /* "train", "validation", "test" */

typedef struct document {
    const char *name;  /* "Genesis", "train/84.txt" */
    const char *title; /* of the book, where metadata tell it; else NULL */
    int64_t tokens;
    int64_t bytes; /* of the original text; 0 if unknown */
    int64_t
        words; /* whitespace-separated, of the original text; meaningless unless corpus_has_words */
    /* Tokens that stand for what the tokenizer lacks, and bytes of text that they stand for. */
    int64_t unknown, unknown_bytes;
    /* Probes: the last token and every stride-th before it, `answers` in all, is told `distance`
     * tokens earlier. Else 0. `places` [answers], where it is not NULL, says instead which tokens
     * are answers, in ascending order. */
    int64_t distance, answers, stride;
    const int32_t *places;
    bool answers_only; /* nothing else counts in the loss */
} document;

/* Is `index` one of its places? */
bool document_has_place(const document *d, int64_t index);

/* Is the token at `index` of the document an answer? */
static inline bool document_answer(const document *d, int64_t index)
{
    if (d->places) return document_has_place(d, index);
    int64_t behind = d->tokens - 1 - index;
    return behind >= 0 && behind < d->answers * d->stride && behind % d->stride == 0;
}

typedef struct corpus_split corpus_split;
int64_t split_documents(const corpus_split *s);
document split_document(const corpus_split *s, int64_t index);
int64_t split_tokens(const corpus_split *s);
int64_t split_bytes(const corpus_split *s);
int64_t split_words(const corpus_split *s);
int64_t split_unknown(const corpus_split *s); /* tokens: see struct document */
int64_t split_unknown_bytes(const corpus_split *s);
int64_t split_vocab(const corpus_split *s); /* of its corpus */
/* Copies tokens [begin, begin + n) of a document into ids. */
bool split_read(const corpus_split *s, int64_t doc, int64_t begin, int64_t n, int32_t *ids, err *e);
/* Of the first n tokens of a document, those that stand for what the tokenizer lacks; -1: they
 * cannot be read. */
int64_t split_unknown_of(const corpus_split *s, int64_t doc, int64_t n);

typedef struct corpus corpus;

/* Where corpora are looked for: --data, LOCI_DATA, or data/corpora; first hit wins. NULL entries
 * end. */
typedef struct corpus_places {
    const char *const *roots;
    const char *cache; /* where prepared shards go */
    /* Told what is worth knowing while a corpus is opened: progress, doubtful input. May be NULL.
     */
    void (*say)(void *user, const char *line);
    void *user;
} corpus_places;

/* Whether a `data:` node is right by itself: a corpus that there is, and its options. */
bool corpus_check(const node *spec, err *e);
/* Opens (and prepares, if needed) from the spec's `data:` node. */
corpus *corpus_open(const node *spec, const corpus_places *places, err *e);
/* Without its text, which need not be there: no split, but text for ids and ids for text. Of the
 * kinds that are text. tokenizer, hash: what corpus_tokenizer and corpus_hash said of it. */
corpus *corpus_open_bare(const node *spec, const char *tokenizer, const char *hash,
                         const corpus_places *places, err *e);
void corpus_close(corpus *c);
corpus_split *corpus_get(corpus *c, split_kind kind); /* NULL if the corpus lacks it */
/* The same, and e says that it lacks it. */
corpus_split *corpus_need(corpus *c, split_kind kind, err *e);
int64_t corpus_vocab(const corpus *c);
bool corpus_lossless(const corpus *c);  /* false: no bits per byte */
bool corpus_has_words(const corpus *c); /* false for synthetic ones */
double corpus_entropy(const corpus *c); /* nats per token where known (synthetic), else NaN */
int64_t corpus_span(const corpus *c); /* tokens per training span (data.span), 0: whole documents */
const char *corpus_where(const corpus *c); /* path that was opened; "" for synthetic ones */
const char *corpus_hash(const corpus *c);  /* of content, splits and tokenizer; hex */
/* Whether a file that it reads from was written, replaced or removed since it was opened: what is
 * read now may be another text. */
bool corpus_touched(const corpus *c);
/* What its ids mean: "bytes", the hash of a SentencePiece model, or "none" where nothing
 * tells. */
const char *corpus_tokenizer(const corpus *c);
node *corpus_resolved(const corpus *c, arena *a);
node *corpus_changed(const corpus *c, arena *a); /* identity: options plus content hash, no paths */
/* [vocab] occurrences in the training split (one pass, cached); caller frees. */
int64_t *corpus_token_counts(corpus *c, err *e);
/* Text for tokens, appended; for display and generation. Caller frees. */
char *corpus_decode(const corpus *c, const int32_t *ids, int64_t n);
/* What drawn [count] adds behind a prompt, whose text became ids [n] (0: a document begins): with
 * the space between its last word, or number, and the first one drawn. Caller frees. */
char *corpus_continue(const corpus *c, const char *prompt, const int32_t *ids, int64_t n,
                      const int32_t *drawn, int64_t count);
/* How many of ids stand for what the tokenizer does not know. */
int64_t corpus_unknown(const corpus *c, const int32_t *ids, int64_t n);
/* Ids for text (a prompt). Caller frees *ids. */
bool corpus_encode(const corpus *c, const char *text, int32_t **ids, int64_t *n, err *e);
