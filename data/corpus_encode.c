/* Encoding a corpus's text into shards: documents are cut into pieces of about a megabyte, a core
 * each, and their ids are written in order. Memory: the ids of as many pieces as there are cores.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "data/shards.h"

enum { PIECE_BYTES = 1 << 20, LOOK_BYTES = 1 << 14, MAX_WORKERS = 64 };

/* Text that one process encodes: bytes [at, end) of a document. */
typedef struct text_piece {
    const corpus *c;
    const entry *d;
    int64_t at, end;
    int32_t *ids;
    int64_t count, capacity;
    bool ok;
    err problem;
} text_piece;

static int64_t feed_piece(void *user, void *out, int64_t capacity, err *e)
{
    text_piece *p = user;
    int64_t n = MIN(capacity, p->end - p->at);
    if (n == 0) return 0;
    if (!reader_bytes(p->c->reader, p->d->file, p->d->offset + p->at, n, out, e)) return -1;
    p->at += n;
    return n;
}

static bool take_ids(void *user, const int32_t *ids, int64_t n, err *e)
{
    text_piece *p = user;
    if (n == 0) return true;
    if (p->count + n > p->capacity) {
        p->capacity = 2 * (p->count + n);
        int32_t *grown = realloc(p->ids, (size_t)p->capacity * sizeof *grown);
        if (!grown) return err_set(e, "out of memory");
        p->ids = grown;
    }
    memcpy(p->ids + p->count, ids, (size_t)n * sizeof *ids);
    p->count += n;
    return true;
}

static void *encode_piece(void *user)
{
    text_piece *p = user;
    encode_job job = {p->c->model_path, feed_piece, take_ids, p};
    p->count = 0;
    p->ok = sentencepiece_encode(&job, &p->problem);
    return NULL;
}

/* ---- cutting ---- */

/* Where the piece of d from `begin` on ends: before a newline, or else a space, since lines are
 * encoded apart and begin with an implied space; *skip is that character's length. */
static bool find_end(int64_t *end, int64_t *skip, const corpus *c, const entry *d, int64_t begin,
                     err *e)
{
    char text[LOOK_BYTES];
    *end = d->bytes;
    *skip = 0;
    int64_t from = begin + PIECE_BYTES;
    if (from >= d->bytes) return true;
    int64_t n = MIN((int64_t)LOOK_BYTES, d->bytes - from);
    if (!reader_bytes(c->reader, d->file, d->offset + from, n, text, e)) return false;
    const char *cut = memchr(text, '\n', (size_t)n);
    if (!cut) cut = memchr(text, ' ', (size_t)n);
    *end = cut ? from + (cut - text) : from;
    *skip = cut ? 1 : 0;
    return true;
}

/* ---- a split ---- */

typedef struct encoder {
    const corpus *c;
    shard_writer *writer;
    int workers;
    text_piece pieces[MAX_WORKERS];
} encoder;

/* Encodes `count` pieces at once. */
static bool run_pieces(encoder *x, int count, err *e)
{
    pthread_t threads[MAX_WORKERS];
    int started = 1;
    for (; started < count; started++) {
        if (pthread_create(&threads[started], NULL, encode_piece, &x->pieces[started]) != 0) break;
    }
    encode_piece(&x->pieces[0]);
    for (int i = 1; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = started; i < count; i++) {
        encode_piece(&x->pieces[i]); /* no more threads were to be had */
    }
    for (int i = 0; i < count; i++) {
        if (!x->pieces[i].ok) return err_set(e, "%s", x->pieces[i].problem.text);
    }
    return true;
}

/* Runs the pieces and writes their ids; a piece that ends its document ends it in the shard. */
static bool write_pieces(encoder *x, const corpus_split *s, int count, err *e)
{
    if (count == 0) return true;
    if (!run_pieces(x, count, e)) return false;
    for (int i = 0; i < count; i++) {
        const text_piece *p = &x->pieces[i];
        if (!shard_writer_ids(x->writer, p->ids, p->count, e)) return false;
        if (p->end < p->d->bytes) continue;
        document done = split_document(s, p->d - s->entries);
        if (!shard_writer_document(x->writer, &done, e)) return false;
    }
    return true;
}

static bool encode_split(encoder *x, const corpus_split *s, err *e)
{
    int count = 0;
    if (!shard_writer_split(x->writer, s->kind, e)) return false;
    for (int64_t i = 0; i < s->count; i++) {
        const entry *d = &s->entries[i];
        for (int64_t begin = 0, skip; begin < d->bytes;) {
            text_piece *p = &x->pieces[count++];
            p->c = x->c;
            p->d = d;
            p->at = begin;
            if (!find_end(&p->end, &skip, x->c, d, begin, e)) return false;
            begin = p->end + skip;
            if (begin == d->bytes) p->end = d->bytes; /* nothing follows the cut */
            if (count < x->workers) continue;
            if (!write_pieces(x, s, count, e)) return false;
            count = 0;
        }
    }
    return write_pieces(x, s, count, e);
}

bool corpus_encode_shards(const corpus *c, const char *folder, err *e)
{
    char model[FILE_PATH_BYTES];
    shard_meta meta = {.corpus = c->cls->name,
                       .source = c->source,
                       .tokenizer = c->pieces->hash,
                       .model = "tokenizer.model",
                       .vocab = c->vocab,
                       .words = c->has_words};
    encoder *x = calloc(1, sizeof *x);
    if (!x) return err_set(e, "out of memory");
    x->c = c;
    x->workers = MIN(host_cores(), MAX_WORKERS);
    x->writer = shard_writer_begin(folder, SHARDS_LLMC, &meta, e);
    bool ok = x->writer != NULL;
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        if (c->splits[kind].count) ok = encode_split(x, &c->splits[kind], e);
    }
    ok = ok && file_join(model, folder, "tokenizer.model", e) &&
         file_copy(c->model_path, model, e) && shard_writer_finish(x->writer, e);
    shard_writer_free(x->writer);
    for (int i = 0; i < MAX_WORKERS; i++) {
        free(x->pieces[i].ids);
    }
    free(x);
    return ok;
}
