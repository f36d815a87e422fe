/* Encoding a corpus's text into shards: documents, or pieces of about a megabyte of long ones, are
 * encoded on all cores, and their ids are written in order. Memory: text and ids of one round of
 * pieces, a megabyte for each core.
 *
 * The ids do not depend on how many threads there are: pieces are cut by a rule that looks at the
 * text alone (data/text_cut.h), are encoded independently, and are joined in order. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "data/shards.h"
#include "data/text_cut.h"

enum {
    PIECE_BYTES = 1 << 20,
    MAX_WORKERS = 64,
    MAX_PIECES = 256, /* of one round */
    SAY_SECONDS = 2
};

/* A piece in work. */
typedef struct piece_job {
    const entry *d;
    text_piece text;
    /* The library's memory, freed when it is written. */
    sentencepiece_ids out;
    bool ok;
    err problem;
} piece_job;

typedef struct encoder {
    const corpus *c;
    sentencepiece_encoder *model;
    shard_writer *writer;
    int workers;
    piece_job pieces[MAX_PIECES];
    int count;
    int64_t bytes; /* of the pieces */
    atomic_int next;
    /* Summed over its pieces until its last one is written. */
    int64_t unknown, unknown_bytes; /* of the document in work */
    int32_t last;                   /* id written */
    int64_t done_bytes, done_documents;
    time_t said;
} encoder;

static bool encode_piece(const encoder *x, piece_job *p)
{
    const text_piece *t = &p->text;
    int64_t bytes = t->end - t->begin;
    text_auto *text = malloc((size_t)bytes + 1);
    if (!text) return err_set(&p->problem, "out of memory");
    bool ok =
        /* Each worker reads its own piece: reading is under the reader's lock, and short beside
         * encoding. */
        reader_bytes(x->c->reader, p->d->file, p->d->offset + t->begin, bytes, text, &p->problem) &&
        sentencepiece_encoder_ids(x->model, text, bytes, t->before, t->behind, &p->out,
                                  &p->problem);
    return ok;
}

/* Results lie with the piece, not with the thread: who encoded it leaves no trace. Pieces are taken
 * from a counter, since a piece of another script may take many times as long. */
static void *work(void *user)
{
    encoder *x = user;
    for (int i; (i = atomic_fetch_add(&x->next, 1)) < x->count;) {
        x->pieces[i].ok = encode_piece(x, &x->pieces[i]);
    }
    return NULL;
}

/* This thread works, too. Where the system gives fewer threads than wanted, those do all of it. */
static void run_pieces(encoder *x)
{
    pthread_t threads[MAX_WORKERS];
    int started = 0, wanted = MIN(x->workers, x->count) - 1;
    atomic_store(&x->next, 0);
    while (started < wanted && pthread_create(&threads[started], NULL, work, x) == 0) {
        started++;
    }
    work(x);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* ---- a split ---- */

static void say_progress(encoder *x)
{
    time_t now = time(NULL);
    if (!x->c->say || now - x->said < SAY_SECONDS) return;
    x->said = now;
    int64_t bytes = 0, documents = 0;
    for (int kind = 0; kind < SPLITS; kind++) {
        bytes += x->c->splits[kind].bytes;
        documents += x->c->splits[kind].count;
    }
    corpus_say(x->c, "encoding: %.1f of %.1f MB, %lld of %lld documents",
               1e-6 * (double)x->done_bytes, 1e-6 * (double)bytes, (long long)x->done_documents,
               (long long)documents);
}

static bool is_unknown(const encoder *x, int32_t id)
{
    return id >= 0 && id < x->c->pieces->vocab && x->c->pieces->pieces[id].type == PIECE_UNKNOWN;
}

static bool write_piece(encoder *x, const corpus_split *s, piece_job *p, err *e)
{
    /* The first failure in the order of the text is the one that is told, whichever happened
     * first. */
    if (!p->ok) {
        err_copy(e, &p->problem);
        return err_prefix(e, "%s", p->d->name);
    }
    sentencepiece_ids *out = &p->out;
    /* The library makes one id of a run of unknown characters; a cut inside it would make two. */
    int64_t skip = p->text.before == EDGE_JOIN && out->count && is_unknown(x, x->last) &&
                   is_unknown(x, out->ids[0]);
    if (!shard_writer_ids(x->writer, out->ids + skip, out->count - skip, e)) return false;
    if (out->count) x->last = out->ids[out->count - 1];
    x->unknown += p->out.unknown - skip;
    x->unknown_bytes += p->out.unknown_bytes;
    x->done_bytes += p->text.end - p->text.begin;
    /* The document goes on in the next piece. */
    if (p->text.behind != EDGE_WHOLE) return true;
    document done = split_document(s, p->d - s->entries);
    done.unknown = x->unknown;
    done.unknown_bytes = x->unknown_bytes;
    x->unknown = x->unknown_bytes = 0;
    x->done_documents++;
    return shard_writer_document(x->writer, &done, e);
}

/* Encodes the round's pieces and writes their ids. */
static bool end_round(encoder *x, const corpus_split *s, err *e)
{
    run_pieces(x);
    bool ok = true;
    for (int i = 0; i < x->count; i++) {
        ok = ok && write_piece(x, s, &x->pieces[i], e);
        free(x->pieces[i].out.ids);
    }
    x->count = 0;
    x->bytes = 0;
    say_progress(x);
    return ok;
}

/* Short documents share a round, a long one fills several: rounds end by bytes, so that memory is
 * bounded either way. */
static bool encode_document(encoder *x, const corpus_split *s, const entry *d, err *e)
{
    const text_range range = {x->c->reader, d->file, d->offset, d->bytes, PIECE_BYTES};
    text_piece text = {0};
    err problem = {0};
    while (text_cut_next(&text, &range, x->model, &problem)) {
        x->pieces[x->count++] = (piece_job){.d = d, .text = text};
        x->bytes += text.end - text.begin;
        /* Enough bytes for every worker, or as many short documents as there is room for. */
        bool full = x->count == MAX_PIECES || x->bytes >= (int64_t)x->workers * PIECE_BYTES;
        if (full && !end_round(x, s, e)) return false;
    }
    return !problem.text[0] || err_copy(e, &problem);
}

static bool encode_split(encoder *x, const corpus_split *s, err *e)
{
    if (!shard_writer_split(x->writer, s->kind, e)) return false;
    for (int64_t i = 0; i < s->count; i++) {
        if (!encode_document(x, s, &s->entries[i], e)) return false;
    }
    /* Rounds do not go over the end of a split: its shards are closed then. */
    return end_round(x, s, e);
}

static bool encode_splits(encoder *x, const char *folder, err *e)
{
    const corpus *c = x->c;
    char model[FILE_PATH_BYTES];
    shard_meta meta = {.corpus = c->cls->name,
                       .source = c->source,
                       .tokenizer = c->pieces->hash,
                       .model = "tokenizer.model",
                       .vocab = c->vocab,
                       .separator = -1,
                       .words = c->has_words};
    /* A process that was killed leaves shards without a sidecar; they are written over. */
    x->writer = shard_writer_begin(folder, SHARDS_LLMC, &meta, e);
    bool ok = x->writer != NULL;
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        if (c->splits[kind].count) ok = encode_split(x, &c->splits[kind], e);
    }
    /* Before the sidecar, which makes the folder complete: shards without their tokenizer are never
     * seen. */
    ok = ok && file_join(model, folder, "tokenizer.model", e) &&
         file_copy_named(c->model_path, model, e) && shard_writer_finish(x->writer, e);
    shard_writer_free(x->writer);
    return ok;
}

bool corpus_encode_shards(const corpus *c, const char *folder, err *e)
{
    encoder *x = calloc(1, sizeof *x);
    if (!x) return err_set(e, "out of memory");
    x->c = c;
    x->workers = MIN(host_cores(), MAX_WORKERS);
    x->said = time(NULL);
    x->model = sentencepiece_encoder_open(c->pieces, c->model_path, e);
    bool ok = x->model && encode_splits(x, folder, e);
    sentencepiece_encoder_close(x->model);
    free(x);
    return ok;
}
