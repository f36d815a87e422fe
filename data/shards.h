/* Token shards: files of ids that other programs read and write, and the sidecar corpus.json beside
 * them that says what they lack: documents, sizes of the original text, tokenizer.
 *
 * How files begin: shard_header.h. The layout of corpus.json is in data/README.md. */
#pragma once

#include "data/corpus_class.h"
#include "data/shard_header.h"

/* ---- reading: shards.c ---- */

/* Fills the corpus (reader, documents, vocab, lossless, has_words) from a folder with a
 * corpus.json. *tokenizer becomes the tokenizer's hash, "bytes" or "none"; *model the model file's
 * name or NULL. */
typedef struct shard_origin {
    const char *tokenizer, *model;
} shard_origin;
bool shards_load(corpus *c, const char *folder, shard_origin *origin, err *e);

/* Fills the documents from a folder without one: every file of ids that is named after a split
 * (split_names.h), also in folders that are. c->vocab is given. */
typedef struct shards_told {
    token_type type;   /* of raw files */
    int64_t separator; /* id between documents; -1: none is known */
} shards_told;
bool shards_open_bare(corpus *c, const shards_told *told, err *e); /* shards_bare.c */

/* ---- documents of a file that nothing describes: shard_documents.c ---- */

/* Where its ids lie, from the index (NAME.idx) beside the file or from its first bytes. */
bool shard_documents_header(shard_header *h, token_type type, const char *path, err *e);

/* Where documents are separated by an id. */
typedef struct shard_separator {
    int64_t id;  /* -1: nothing separates documents */
    bool begins; /* the id is the first of its document; else the last */
} shard_separator;

/* Adds the documents of a shard: those of its index, else those between separators, else one. */
bool shard_documents_add(corpus *c, split_kind kind, const char *name, const char *path,
                         const shard_header *h, shard_separator separator, err *e);

/* The part that fuzzing reaches: corpus.json as text; the shards need not be there (headers then
 * come from `header`). */
bool shards_parse(corpus *c, const char *json, size_t bytes, const char *folder,
                  bool (*header)(shard_header *h, const char *path, err *e), shard_origin *origin,
                  err *e);

/* A file of a folder that an export is being written into, or that did not end (prepare_export.c);
 * without a corpus.json beside it the shards are of two texts, or half of one. */
#define SHARDS_UNFINISHED "corpus.unfinished.json"

/* Compares every shard of a folder with the checksum that its corpus.json holds; reads them all. */
bool shards_verify(const char *folder, err *e);

/* ---- writing: shard_writer.c ---- */

typedef struct shard_writer shard_writer;

typedef struct shard_meta {
    const char *corpus, *source; /* name and hash of what was encoded */
    const char *tokenizer, *model;
    int64_t vocab;
    int64_t separator; /* id between documents, which no document holds; -1: none */
    bool lossless, words;
} shard_meta;

/* Writes shards into a folder; nothing there is complete before shard_writer_finish wrote
 * corpus.json. Texts in meta are borrowed until then. */
shard_writer *shard_writer_begin(const char *folder, shard_format format, const shard_meta *meta,
                                 err *e);
bool shard_writer_split(shard_writer *w, split_kind kind, err *e); /* what follows belongs to it */
bool shard_writer_ids(shard_writer *w, const int32_t *ids, int64_t n, err *e);
/* Ends a document: the ids since the last end are its. */
bool shard_writer_document(shard_writer *w, const document *d, err *e);
bool shard_writer_finish(shard_writer *w, err *e);
void shard_writer_free(shard_writer *w);

/* Might a shard of either format be called so? */
bool shard_writer_names(const char *name);
