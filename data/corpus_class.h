/* Inside data/: what a corpus is made of, and what a kind of corpus (one file, one line in
 * data/corpus_class.c) has to do.
 *
 * A kind lists its documents: text kinds as ranges of bytes in files (corpus_add), from which the
 * corpus goes on by itself (checksums and word counts, tokenizer, shards); kinds of ready ids as
 * ranges of ids in files or in memory. */
#pragma once

#include "core/base/sha256.h"
#include "data/corpus.h"
#include "data/reader.h"
#include "data/sentencepiece.h"

/* The options that every kind has, first in its options struct. */
typedef struct data_options {
    const char *path;
    const node *tokenizer; /* NULL: bytes */
    int64_t span;
} data_options;

/* The rows of the table for them; span_default as text. */
#define DATA_OPTIONS(span_default)                                                                 \
    {"path",                                                                                       \
     OPTION_TEXT,                                                                                  \
     offsetof(data_options, path),                                                                 \
     .initial = "null",                                                                            \
     .nullable = true,                                                                             \
     .incidental = true,                                                                           \
     .help = "file or folder; null: looked for in the data folders"},                              \
        {"tokenizer", OPTION_NODE, offsetof(data_options, tokenizer), .incidental = true,          \
         .help = "bytes, a SentencePiece FILE.model, or {train: unigram|bpe, vocab: n}"},          \
    {                                                                                              \
        "span", OPTION_INT, offsetof(data_options, span),                                          \
            .initial = (span_default), .min = 0, .max = 1e15,                                      \
            .help = "tokens that a training row reads in one go; 0: whole documents"               \
    }

typedef struct corpus_class {
    const char *name, *help, *get;
    const option *options;
    size_t options_bytes;
    /* Where to look below a data folder when `path` is null, NULL-terminated; NULL: needs none. */
    const char *const *candidates;
    bool path_required;
    const char *alphabet; /* the only bytes that its text has; NULL: any */
    bool pages;           /* a page of HTML may be meant: it is said, not refused */
    bool text; /* documents are byte ranges of text; the corpus indexes and tokenizes them */
    /* Fills the documents. Text kinds find c->where filled. */
    bool (*open)(corpus *c, err *e);
    /* Brings a copy of its options into the one spelling that identities are hashed from. NULL: all
     * spellings differ. */
    void (*settle)(void *options);
} corpus_class;

const corpus_class *const *corpus_classes(int *count);
const corpus_class *corpus_class_find(const char *name);

/* A document: `tokens` ids from the byte `offset` of a file on. */
typedef struct entry {
    const char *name, *title;
    int32_t file;
    int64_t offset, tokens, bytes, words, unknown, unknown_bytes;
    int64_t stamp;                     /* of the file (file_stamp.h), for the cache of checksums */
    int64_t distance, answers, stride; /* probes: see struct document */
    const int32_t *places;             /* likewise */
    bool answers_only;
    int64_t count; /* corpus_index: words, or the largest id */
} entry;

struct corpus_split {
    split_kind kind;
    const corpus *of;
    entry *entries;
    int64_t count, capacity;
    int64_t tokens, bytes, words, unknown, unknown_bytes; /* sums */
};

struct corpus {
    arena *memory;
    const corpus_class *cls;
    void *options; /* the class's; begins with data_options */
    const node *spec;
    const char *where; /* absolute path */
    const char *root;  /* what is read: where, or what that holds packed (corpus_locate) */
    const char *const *roots;
    const char *cache;                         /* NULL: none */
    void (*say)(void *user, const char *line); /* NULL: nobody listens */
    void *user;
    corpus_split splits[SPLITS];
    reader *reader;     /* NULL: ids are in memory */
    const uint8_t *ids; /* entry.offset counts into it */
    int64_t vocab;
    bool lossless, has_words;
    double entropy;
    sentencepiece *pieces;      /* NULL: ids are bytes, or have no text */
    bool bytes;                 /* ids are the bytes of a text */
    const char *model_path;     /* of the SentencePiece model */
    char source[SHA256_HEX];    /* of the documents' text (or ids) and splits */
    char hash[SHA256_HEX];      /* source and tokenizer */
    char tokenizer[SHA256_HEX]; /* corpus_tokenizer */
};

/* ---- corpus_open.c ---- */

/* A corpus without documents, options or tokenizer; corpus_close frees it. */
corpus *corpus_new(const corpus_class *cls, const node *spec, const corpus_places *places);

/* ---- corpus_documents.c ---- */

/* Appends an empty document and returns it; the name is copied, what is not UTF-8 in it as \\xNN.
 */
entry *corpus_add(corpus *c, split_kind kind, const char *name);
/* Appends a document of text: a range of bytes in a file that is no packed one (bytes -1: to its
 * end). Empty documents are left out. */
bool corpus_add_plain(corpus *c, split_kind kind, const char *name, const char *path,
                      int64_t offset, int64_t bytes, err *e);
/* The same of a whole file that may be packed (corpus_unpacked). */
bool corpus_add_text(corpus *c, split_kind kind, const char *name, const char *path, err *e);
/* Recomputes the sums of every split. */
void corpus_sum(corpus *c);
/* Forgets all documents (they are listed again elsewhere). */
void corpus_clear(corpus *c);

/* Tells who listens. */
void corpus_say(const corpus *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- corpus_facts.c ---- */

const data_options *corpus_data_options(const corpus *c);

/* ---- corpus_places.c ---- */

/* Finds the path that the options name or, without one, the class's first candidate in the data
 * folders. Absolute, in the arena. */
const char *corpus_find(const corpus_class *cls, const char *path, const node *spec,
                        const char *const *roots, arena *a, err *e);
/* An input file of the spec: as given, beside the spec's file, or in the data folders. NULL: none.
 */
const char *corpus_find_file(const char *path, const node *at, const char *const *roots, arena *a);
/* An open, locked file in the cache folder: one process prepares at a time. -1 and e on failure. */
int corpus_cache_lock(const char *cache, err *e);
void corpus_cache_unlock(int lock);

/* ---- corpus_unpack.c ---- */

/* Fills c->where and c->root from the options' path or the class's candidates. */
bool corpus_locate(corpus *c, err *e);
/* Where the text of a file lies: the file itself, or what it holds unpacked, which is a folder
 * where a zip file holds several. What is no text is refused by name: NULL and e. In the corpus's
 * arena. */
const char *corpus_unpacked(const corpus *c, const char *path, err *e);
/* Takes .gz or .zip off a name. */
void corpus_unpacked_name(char *name);

/* ---- corpus_index.c ---- */

/* Takes checksums of every document, and counts the words of text, from the cache where files have
 * not changed; fills the entries' words (text kinds) and c->source. */
bool corpus_index(corpus *c, err *e);

/* ---- corpus_duplicates.c ---- */

/* Says which held-out documents have the text of others; hashes [documents][SHA256_HEX] by split.
 */
void corpus_duplicates_say(const corpus *c, char *const *hashes);

/* ---- corpus_tokenize.c ---- */

/* Reads options.tokenizer and makes the documents of text ids: in place for bytes, else through
 * shards in the cache, encoded if missing. Fills vocab, lossless, hash. */
bool corpus_tokenize(corpus *c, err *e);
/* Fills c->hash from c->source and the tokenizer's hash, which it keeps; true. */
bool corpus_hash_with(corpus *c, const char *tokenizer);

/* ---- corpus_encode.c ---- */

/* Encodes a text corpus with its model (c->pieces, c->model_path) into shards in a folder. */
bool corpus_encode_shards(const corpus *c, const char *folder, err *e);

/* ---- the kinds ---- */

extern const corpus_class CORPUS_KJV, CORPUS_ENWIK8, CORPUS_TEXT8, CORPUS_TEXT, CORPUS_PG19,
    CORPUS_SHARDS, CORPUS_MARKOV, CORPUS_PROBE;
