/* Writing shards: ids stream into files of limited size; the sidecar is written last and makes the
 * folder complete.
 *
 * Ids are streamed: a corpus larger than memory is written with a few kilobytes. What a reader
 * needs besides (documents, words, checksums, splits) is collected as JSON on the way and written
 * last. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "data/shards.h"

/* llm.c counts tokens in an int32; a new file is begun behind the first document that ends here. */
enum { ROLL_OVER = 1 << 30, IDS_AT_ONCE = 4096 };

struct shard_writer {
    char folder[FILE_PATH_BYTES];
    shard_format format;
    shard_meta meta;
    int width;
    file_out out; /* fd -1: no file is open */
    split_kind kind;
    int number;                         /* of the open file in its split */
    int64_t tokens;                     /* in the open file */
    int64_t begin;                      /* of the unfinished document in it */
    json_t *splits, *files, *documents; /* of the split in work: borrowed from splits */
};

/* The width goes by the vocabulary, as llm.c's readers expect, not by the ids that occur. */
shard_writer *shard_writer_begin(const char *folder, shard_format format, const shard_meta *meta,
                                 err *e)
{
    int64_t ids = MAX(meta->vocab, meta->separator + 1);
    if (format == SHARDS_NANOGPT && ids > 1 << 16) {
        err_set(e, "%lld ids do not fit nanoGPT's uint16; choose the format llmc", (long long)ids);
        return NULL;
    }
    if (!file_make_folders(folder, e)) return NULL;
    shard_writer *w = calloc(1, sizeof *w);
    CHECK(w, "out of memory");
    snprintf(w->folder, sizeof w->folder, "%s", folder);
    w->format = format;
    w->meta = *meta;
    w->width = ids > 1 << 16 ? 4 : 2;
    w->out.fd = -1;
    w->splits = json_object();
    return w;
}

void shard_writer_free(shard_writer *w)
{
    if (!w) return;
    /* A file that is not whole never gets its name. */
    file_out_cancel(&w->out);
    json_decref(w->splits);
    free(w);
}

/* ---- files ---- */

static void header_bytes(const shard_writer *w, int32_t header[SHARD_HEADER_BYTES / 4])
{
    memset(header, 0, SHARD_HEADER_BYTES);
    /* As llm.c's data loaders and shard_header.c know them. */
    header[0] = w->width == 4 ? 20240801 : 20240520;
    header[1] = w->width == 4 ? 7 : 1;
    /* An int32 in the format: shard_writer_ids sees to it. */
    header[2] = (int32_t)w->tokens;
}

/* "val", as nanoGPT and llm.c's scripts call it. */
static const char *const PREFIX[SPLITS] = {"train", "val", "test"};

static void file_name(char name[64], const shard_writer *w)
{
    if (w->format == SHARDS_NANOGPT) {
        snprintf(name, 64, "%s.bin", PREFIX[w->kind]);
    } else {
        snprintf(name, 64, "%s_%06d.bin", PREFIX[w->kind], w->number);
    }
}

bool shard_writer_names(const char *name)
{
    for (int i = 0; i < SPLITS; i++) {
        size_t n = strlen(PREFIX[i]);
        if (strncmp(name, PREFIX[i], n) != 0) continue;
        const char *rest = name + n;
        if (*rest == '_') rest += 1 + strspn(rest + 1, "0123456789");
        if (strcmp(rest, ".bin") == 0) return true;
    }
    return false;
}

static bool open_file(shard_writer *w, err *e)
{
    char name[64], path[FILE_PATH_BYTES];
    int32_t header[SHARD_HEADER_BYTES / 4];
    /* A document never goes over the end of a file, so both begin anew. */
    w->tokens = w->begin = 0;
    file_name(name, w);
    header_bytes(w, header);
    return file_join(path, w->folder, name, e) && file_out_open(&w->out, path, e) &&
           (w->format == SHARDS_NANOGPT || file_out_write(&w->out, header, SHARD_HEADER_BYTES, e));
}

/* Puts the number of tokens into the header, which was unknown when it was written. */
static bool close_file(shard_writer *w, err *e)
{
    if (w->out.fd < 0) return true;
    char name[64], path[FILE_PATH_BYTES], hex[SHA256_HEX];
    int32_t header[SHARD_HEADER_BYTES / 4];
    file_name(name, w);
    header_bytes(w, header);
    if (w->format == SHARDS_LLMC &&
        pwrite(w->out.fd, header, SHARD_HEADER_BYTES, 0) != SHARD_HEADER_BYTES) {
        return file_failed(e, w->out.path, "the header cannot be written");
    }
    if (!file_out_commit(&w->out, e) || !file_join(path, w->folder, name, e) ||
        /* Of the file as it lies there under its name, read back. */
        !file_sha256_named(hex, path, e)) {
        return false;
    }
    json_array_append_new(w->files, json_pack("{s:s,s:I,s:s}", "file", name, "tokens",
                                              (json_int_t)w->tokens, "sha256", hex));
    w->number++;
    return true;
}

bool shard_writer_split(shard_writer *w, split_kind kind, err *e)
{
    if (!close_file(w, e)) return false;
    w->kind = kind;
    w->number = 0;
    json_t *split = json_object();
    w->files = json_array();
    w->documents = json_array();
    json_object_set_new(split, "files", w->files);
    json_object_set_new(split, "documents", w->documents);
    json_object_set_new(w->splits, split_name(kind), split);
    return open_file(w, e);
}

/* ---- ids and documents ---- */

static bool write_some(shard_writer *w, const int32_t *ids, int64_t n, err *e)
{
    uint16_t narrow[IDS_AT_ONCE];
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= w->meta.vocab) {
            return err_set(e, "%s: token %d is not below the vocabulary of %lld", w->folder, ids[i],
                           (long long)w->meta.vocab);
        }
        if (ids[i] == w->meta.separator) {
            return err_set(e, "%s: the id %d is one of the text's own and separates nothing",
                           w->folder, ids[i]);
        }
        /* Cut off only where the vocabulary, which was just compared, fits. */
        narrow[i] = (uint16_t)(ids[i] & 0xffff);
    }
    const void *data = w->width == 4 ? (const void *)ids : narrow;
    return file_out_write(&w->out, data, (size_t)(n * w->width), e);
}

/* Not through write_some: a separator may lie above the vocabulary, which the text's ids may not.
 */
static bool write_separator(shard_writer *w, err *e)
{
    int32_t id = (int32_t)w->meta.separator;
    uint16_t narrow = (uint16_t)(id & 0xffff);
    w->tokens++;
    return file_out_write(&w->out, w->width == 4 ? (const void *)&id : &narrow, (size_t)w->width,
                          e);
}

bool shard_writer_ids(shard_writer *w, const int32_t *ids, int64_t n, err *e)
{
    if (w->format == SHARDS_LLMC && w->tokens + n > INT32_MAX) {
        return err_set(e,
                       "%s: a document of more than 2^31 tokens does not fit llm.c's shards; cut "
                       "it into several files",
                       w->folder);
    }
    /* Before the first ids of a document; one that is written in several calls gets one. The
     * separator is no token of the document in our own description: begin stands behind it. */
    if (w->meta.separator >= 0 && w->format == SHARDS_LLMC && w->tokens == w->begin && n > 0) {
        if (!write_separator(w, e)) return false;
        w->begin = w->tokens;
    }
    for (int64_t done = 0; done < n; done += IDS_AT_ONCE) {
        if (!write_some(w, ids + done, MIN(n - done, IDS_AT_ONCE), e)) return false;
    }
    w->tokens += n;
    return true;
}

bool shard_writer_document(shard_writer *w, const document *d, err *e)
{
    json_t *item =
        json_pack("{s:s,s:i,s:I,s:I,s:I,s:I}", "name", d->name, "file", w->number, "begin",
                  (json_int_t)w->begin, "tokens", (json_int_t)(w->tokens - w->begin), "bytes",
                  (json_int_t)d->bytes, "words", (json_int_t)d->words);
    if (!item) return err_set(e, "%s: the name of a document is not UTF-8", w->folder);
    if (d->title) {
        json_t *title = json_string(d->title);
        if (title) json_object_set_new(item, "title", title); /* a title is no identity: may lack */
    }
    if (d->unknown) {
        json_object_set_new(item, "unknown", json_integer(d->unknown));
        json_object_set_new(item, "unknown_bytes", json_integer(d->unknown_bytes));
    }
    json_array_append_new(w->documents, item);
    bool separated = w->meta.separator >= 0 && w->format == SHARDS_NANOGPT;
    if (separated && !write_separator(w, e)) return false;
    w->begin = w->tokens;
    /* Files end at documents, so that each can be read alone. */
    if (w->format != SHARDS_LLMC || w->tokens < ROLL_OVER) return true;
    return close_file(w, e) && open_file(w, e);
}

/* corpus.json comes last and is what makes the folder complete: a killed export leaves none, and is
 * not taken for one. */
bool shard_writer_finish(shard_writer *w, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!close_file(w, e) || !file_join(path, w->folder, "corpus.json", e)) return false;
    const shard_meta *m = &w->meta;
    /* The tokenizer's hash, so that another model of the same size is found out
     * (shards_corpus.c). */
    json_t *tokenizer = json_pack("{s:s,s:s?}", "sha256", m->tokenizer, "model", m->model);
    json_auto_t *all = json_pack("{s:s,s:i,s:s,s:s,s:I,s:b,s:b,s:o,s:O}", "format", "loci shards",
                                 "version", 1, "corpus", m->corpus, "source", m->source, "vocab",
                                 (json_int_t)m->vocab, "lossless", m->lossless, "words", m->words,
                                 "tokenizer", tokenizer, "splits", w->splits);
    CHECK(all, "out of memory");
    if (m->separator >= 0) json_object_set_new(all, "separator", json_integer(m->separator));
    return json_write(path, all, e);
}
