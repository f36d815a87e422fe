/* Batches of consecutive text for parallel rows: what training and evaluation read.
 *
 * A corpus split is a list of documents of token ids. A training row reads spans: whole documents,
 * or long documents cut into spans of `span` tokens, in an order shuffled by the seed; every token
 * is the target of exactly one position per epoch. A row's state is reset where a span begins,
 * unless it continues the row's document. A row changes its span between calls only, so with time
 * == block a span is padded with weight 0 to the end of its block and no further. The first input
 * of a document is the start token (id = vocab), so its first token is predicted too; the first
 * input of a span inside a document is the token before it. */
#pragma once

#include "core/base/rng.h"
#include "data/corpus.h"

typedef struct stream stream;

typedef struct stream_options {
    int64_t rows;  /* parallel rows, over all lanes */
    int64_t time;  /* positions per row and call */
    int64_t block; /* spans are padded to a multiple of it; time is a multiple of it */
    int64_t span;  /* tokens; 0: whole documents */
    int64_t most;  /* only the first so many tokens of each document; 0: all */
    uint64_t seed;
    bool shuffle; /* false (evaluation): documents in order */
    bool once;    /* one epoch, then rows run dry (weight 0); else epochs follow each other */
} stream_options;

/* Tokens of a document that are read: all, or the first `most`. */
int64_t stream_document_tokens(const corpus_split *split, int64_t doc, int64_t most);

/* Spans of an epoch, or as many as there are rows: where there are fewer, rows read the same text
 * at the same time. */
int64_t stream_spans(const corpus_split *split, const stream_options *options);

/* Borrows the split. NULL and e on failure. */
stream *stream_new(const corpus_split *split, const stream_options *options, err *e);
void stream_free(stream *s);

typedef struct batch {
    int64_t rows, time;
    int32_t *tokens;   /* [rows, time] inputs */
    int32_t *targets;  /* [rows, time] */
    real *weights;     /* [rows, time] 1, or 0 for padding and for what is not to be learnt */
    bool *reset;       /* [rows]: the row's state is reset before this call */
    int64_t *position; /* [rows]: position in the document of the call's first input */
    int64_t *document; /* [rows]: index of the document, -1 for a row that ran dry */
    int64_t *begin;    /* [rows]: index in the document of the first target */
    int64_t *length;   /* [rows]: positions that are text; padding follows */
    double weight;     /* sum of weights */
} batch;

/* Room for the stream's batches; lives as long as the stream. */
batch stream_batch(const stream *s);

/* Fills the caller's batch with the next call for all rows. False once all rows are dry, or when a
 * file can no longer be read (e then says so; otherwise e->text is empty). */
bool stream_next(stream *s, batch *b, err *e);

int64_t stream_epoch(const stream *s);

/* Of the positions that rows are given over an epoch, padding included, the share whose target
 * counts: what a batch of so many positions weighs on average. */
double stream_share(const corpus_split *split, const stream_options *options);

/* The order of an epoch: where i in [0, n) goes in a random permutation that is computed point by
 * point and stores nothing, a Feistel network (Luby & Rackoff 1988, doi 10.1137/0217022) over the
 * next power of 4, walked until the result is below n again (Black & Rogaway 2002, doi
 * 10.1007/3-540-45760-7_9). Different keys give different permutations. Below a microsecond. */
int64_t stream_permute(int64_t i, int64_t n, rng_key key);

/* The reading position as text (JSON), for checkpoints; restored exactly. */
char *stream_cursor(const stream *s, arena *a);
bool stream_seek(stream *s, const char *cursor, err *e);
