/* Token shards: files of ids that other programs read and write, and the sidecar corpus.json beside
 * them that says what they lack: documents, sizes of the original text, tokenizer.
 *
 *   llm.c .bin   int32 header[256]: 20240520, 1, tokens, 0...; then uint16 ids
 *                                   20240801, 7, tokens, 0...; then uint32 ids
 *   nanoGPT      uint16 ids from the first byte on
 * All little-endian. The layout of corpus.json is in data/README.md. */
#ifndef LOCI_DATA_SHARDS_H
#define LOCI_DATA_SHARDS_H

#include "data/corpus_class.h"

enum { SHARD_HEADER_BYTES = 1024 };

typedef struct shard_header {
    int width;      /* bytes per id: 2 or 4 */
    int64_t offset; /* of the first id */
    int64_t tokens;
} shard_header;

/* From the first bytes of a file (`known` of them, at most SHARD_HEADER_BYTES are looked at) and
 * its size. */
bool shard_header_parse(shard_header *h, const unsigned char *start, size_t known,
                        int64_t file_bytes, const char *name, err *e);
bool shard_header_read(shard_header *h, const char *path, err *e);

/* ---- reading: shards.c ---- */

/* Fills the corpus (reader, documents, vocab, lossless, has_words) from a folder with a
 * corpus.json. *tokenizer becomes the tokenizer's hash, "bytes" or "none"; *model the model file's
 * name or NULL. */
typedef struct shard_origin {
    const char *tokenizer, *model;
} shard_origin;
bool shards_load(corpus *c, const char *folder, shard_origin *origin, err *e);

/* The part that fuzzing reaches: corpus.json as text; the shards need not be there (headers then
 * come from `header`). */
bool shards_parse(corpus *c, const char *json, size_t bytes, const char *folder,
                  bool (*header)(shard_header *h, const char *path, err *e), shard_origin *origin,
                  err *e);

/* Compares every shard of a folder with the checksum that its corpus.json holds; reads them all. */
bool shards_verify(const char *folder, err *e);

/* ---- writing: shard_writer.c ---- */

typedef struct shard_writer shard_writer;

typedef struct shard_meta {
    const char *corpus, *source; /* name and hash of what was encoded */
    const char *tokenizer, *model;
    int64_t vocab;
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

#endif
