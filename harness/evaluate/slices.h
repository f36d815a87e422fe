/* Where a model loses what it loses: the losses of an evaluation, summed by
 *
 *   position     tokens of the document before this one
 *   block        tokens of its block (a context) before this one
 *   frequency    how often the token occurs in the training split
 *   repetition   how often the token occurred in this document before
 *
 * (Clark et al. 2022, arXiv:2212.02475, fig. 2: whom fast weights help.) Each is counted in buckets
 * 0, 1, 2-3, 4-7, ..., and within a bucket apart for up to SLICE_PARTS parts of the text, so that
 * differences of two evaluations have an interval over text without the text at hand. A part is a
 * document, or several that follow each other.
 *
 * The sums are over losses per token as a file holds them: rounded to 24 bits each, in the order of
 * the text. They need the corpus and that file, not the model. */
#pragma once

#include "core/base/json.h"
#include "data/corpus.h"
#include "harness/evaluate/losses_file.h"

typedef enum slice_kind {
    SLICE_POSITION,
    SLICE_BLOCK,
    SLICE_FREQUENCY,
    SLICE_REPETITION,
    SLICE_KINDS
} slice_kind;
extern const char *const SLICE_NAMES[SLICE_KINDS];

enum { SLICE_BUCKETS = 49, SLICE_PARTS = 32 }; /* 0, and powers of two up to 2^47 */

typedef struct slice_sum {
    int64_t tokens;
    double nats;
} slice_sum;

typedef struct slices {
    int parts;
    bool known[SLICE_KINDS]; /* false: frequency where there is no training split to count */
    slice_sum sums[SLICE_KINDS][SLICE_BUCKETS][SLICE_PARTS];
} slices;

/* A document, of which the first `tokens` were scored. */
typedef struct slice_document {
    int64_t index, tokens;
} slice_document;

/* What was read, in order. Blocks begin where a document does, and where a span does (0: none). */
typedef struct slice_text {
    split_kind split;
    int64_t context, span;
    const slice_document *documents;
    int64_t count;
} slice_text;

/* Which bucket holds n, and its least member. */
int slices_bucket(int64_t n);
int64_t slices_bucket_low(int bucket);

/* Sums up the losses of the documents, which the file holds one after the other from its beginning.
 */
bool slices_measure(slices *s, corpus *c, const slice_text *text, const losses_file *losses,
                    err *e);

/* {"parts": n, "position": [{"from": 0, "tokens": [by part], "nats": [by part]}, ...], ...};
 * buckets without a token are left out. Decref it. */
json_t *slices_record(const slices *s);
