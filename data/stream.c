/* Spans are numbered: document by document, ceil(tokens / span) of each. An epoch visits the
 * numbers 0..n-1 through a permutation that is computed, not stored, so that a stream over millions
 * of spans holds only one cumulative count per document.
 *
 * Batches of a split for parallel rows: each row reads a span of one document, from its beginning,
 * over as many batches as it takes, then gets the next span in order. A row's state is carried
 * while its span goes on, and reset when another begins. */
#include "data/stream.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What a row reads. document -1: dry, or nothing yet. */
typedef struct row_place {
    int64_t document;
    int64_t next, end; /* targets not yet given: [next, end) of the document */
    bool fresh;        /* nothing of the span was given yet */
    bool padded;       /* the last call ended in padding: the state cannot be continued */
} row_place;

struct stream {
    arena *memory;
    const corpus_split *split;
    stream_options options;
    int32_t start;   /* id of the start token */
    int64_t *first;  /* [documents + 1]: number of the first span of each document */
    int64_t spans;   /* per epoch */
    int64_t taken;   /* spans handed to rows so far, over all epochs */
    row_place *rows; /* [rows] */
};

int64_t stream_document_tokens(const corpus_split *split, int64_t doc, int64_t most)
{
    int64_t tokens = split_document(split, doc).tokens;
    return most > 0 ? MIN(tokens, most) : tokens;
}

/* Of a document of so many tokens. */
static int64_t spans_of(int64_t tokens, int64_t span)
{
    return tokens == 0 ? 0 : span == 0 ? 1 : (tokens + span - 1) / span;
}

int64_t stream_spans(const corpus_split *split, const stream_options *options)
{
    int64_t spans = 0;
    for (int64_t i = 0, n = split_documents(split); i < n && spans < options->rows; i++) {
        spans += spans_of(stream_document_tokens(split, i, options->most), options->span);
    }
    return MIN(spans, options->rows);
}

static int64_t tokens_of(const stream *s, int64_t doc)
{
    return stream_document_tokens(s->split, doc, s->options.most);
}

stream *stream_new(const corpus_split *split, const stream_options *options, err *e)
{
    CHECK(options->rows > 0 && options->block > 0 && options->time > 0 &&
              options->time % options->block == 0 && options->span >= 0,
          "rows %lld, time %lld, block %lld, span %lld", (long long)options->rows,
          (long long)options->time, (long long)options->block, (long long)options->span);
    if (!split || split_tokens(split) == 0) {
        err_set(e, "the split of the corpus holds no tokens; choose another split or corpus");
        return NULL;
    }
    arena *memory = arena_new(1 << 16);
    stream *s = arena_push_zero(memory, 1, sizeof *s);
    s->memory = memory;
    s->split = split;
    s->options = *options;
    /* One beyond the ids. */
    s->start = (int32_t)split_vocab(split);
    int64_t documents = split_documents(split);
    s->first = ARENA_NEW(memory, int64_t, documents + 1);
    s->first[0] = 0;
    for (int64_t i = 0; i < documents; i++) {
        s->first[i + 1] = s->first[i] + spans_of(tokens_of(s, i), options->span);
    }
    s->spans = s->first[documents];
    s->rows = ARENA_NEW(memory, row_place, options->rows);
    for (int64_t r = 0; r < options->rows; r++) {
        s->rows[r] = (row_place){.document = -1};
    }
    return s;
}

void stream_free(stream *s)
{
    if (s) arena_free(s->memory);
}

/* Positions of a span of n tokens with its padding. */
static double padded(int64_t n, int64_t time)
{
    int64_t segments = (n + time - 1) / time;
    return (double)(segments * time);
}

/* Of the positions that a stream with these options would fill, how many count: what budgets in
 * tokens are turned into steps by. Without span a document is one. */
double stream_share(const corpus_split *split, const stream_options *options)
{
    double targets = 0, positions = 0;
    for (int64_t i = 0, n = split_documents(split); i < n; i++) {
        document d = split_document(split, i);
        int64_t span = options->span ? options->span : MAX(d.tokens, 1);
        targets += (double)(d.answers_only ? d.answers : d.tokens);
        int64_t whole = d.tokens / span;
        positions +=
            (double)whole * padded(span, options->time) + padded(d.tokens % span, options->time);
    }
    return positions > 0 ? targets / positions : 1;
}

batch stream_batch(const stream *s)
{
    int64_t rows = s->options.rows, n = rows * s->options.time;
    arena *a = s->memory;
    return (batch){.rows = rows,
                   .time = s->options.time,
                   .tokens = ARENA_NEW(a, int32_t, n),
                   .targets = ARENA_NEW(a, int32_t, n),
                   .weights = ARENA_NEW(a, real, n),
                   .reset = ARENA_NEW(a, bool, rows),
                   .position = ARENA_NEW(a, int64_t, rows),
                   .document = ARENA_NEW(a, int64_t, rows),
                   .begin = ARENA_NEW(a, int64_t, rows),
                   .length = ARENA_NEW(a, int64_t, rows)};
}

/* ---- the order of spans ---- */

/* Four rounds of random functions are enough in theory for large halves; small halves need more. */
enum { ROUNDS = 8 };

/* A Feistel network (Luby & Rackoff 1988): whatever the rounds' functions, it can be run backwards,
 * so it is a permutation. */
static uint64_t feistel(uint64_t x, int half_bits, rng_key key)
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = x >> half_bits, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        /* Halves have at most 31 bits, so round and half share one counter. */
        uint64_t mixed = left ^ (rng_u32(key, round << 32 | right) & mask);
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

int64_t stream_permute(int64_t i, int64_t n, rng_key key)
{
    CHECK(i >= 0 && i < n && n < (int64_t)1 << 60, "%lld of %lld", (long long)i, (long long)n);
    int half_bits = 1;
    /* The least power of four that holds n. */
    while ((int64_t)1 << (2 * half_bits) < n) {
        half_bits++;
    }
    /* A permutation of 4^half_bits numbers. One that it sends beyond n is sent on until it comes
     * back below: so it stays a permutation of the n. */
    uint64_t x = (uint64_t)i;
    do {
        x = feistel(x, half_bits, key); /* 4 steps on average at most: the domain is below 4 n */
    } while (x >= (uint64_t)n);
    return (int64_t)x;
}

/* ---- rows ---- */

/* The document that holds a span. */
static int64_t document_of(const stream *s, int64_t span)
{
    int64_t low = 0, high = split_documents(s->split); /* first[low] <= span < first[high] */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (s->first[middle] <= span) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Gives row r its next span. False: the epoch is over and only one was asked for. */
static bool take_span(stream *s, row_place *r)
{
    int64_t epoch = s->taken / s->spans, number = s->taken % s->spans;
    if (s->options.once && epoch > 0) return false;
    if (s->options.shuffle) {
        /* From the epoch's number alone: a cursor that says how many spans were taken says all. */
        rng_key key = {
            .seed = s->options.seed, .step = (uint32_t)epoch, .place = rng_place("stream.order")};
        number = stream_permute(number, s->spans, key);
    }
    /* Rows take spans in the order in which they run dry, which depends on the text alone. */
    s->taken++;
    int64_t doc = document_of(s, number);
    int64_t tokens = tokens_of(s, doc);
    int64_t begin = (number - s->first[doc]) * s->options.span; /* span 0: one, from 0 */
    int64_t end = s->options.span ? MIN(begin + s->options.span, tokens) : tokens;
    /* The span behind the one that this row has just read: its state goes on, unless padding has
     * moved it.
     * Happens where rows are few and spans in order (evaluation of one document with a span): the
     * text then goes on as if there were no span. */
    bool continues = r->document == doc && r->end == begin && begin > 0 && !r->padded;
    *r = (row_place){.document = doc, .next = begin, .end = end, .fresh = !continues};
    return true;
}

/* The ids of targets [begin, begin + n) and the inputs before them. */
static bool read_row(const stream *s, const row_place *r, int64_t n, int32_t *tokens,
                     int32_t *targets, err *e)
{
    if (!split_read(s->split, r->document, r->next, n, targets, e)) return false;
    /* Inputs are the targets one position later, behind the token before them. */
    if (r->next == 0) {
        tokens[0] = s->start;
    } else if (!split_read(s->split, r->document, r->next - 1, 1, tokens, e)) {
        return false;
    }
    /* Token t is read to predict target t, which is the token behind it. */
    memcpy(tokens + 1, targets, (size_t)(n - 1) * sizeof *tokens);
    return true;
}

/* Padding is inert: id 0 with weight 0. */
static void pad(int32_t *tokens, int32_t *targets, real *weights, int64_t n)
{
    memset(tokens, 0, (size_t)n * sizeof *tokens);
    memset(targets, 0, (size_t)n * sizeof *targets);
    memset(weights, 0, (size_t)n * sizeof *weights);
}

static bool fill_row(stream *s, batch *b, int64_t row, err *e)
{
    row_place *r = &s->rows[row];
    int64_t time = b->time, at = row * time;
    /* A dry row stays in the batch, all padding: the shape of a batch never changes. */
    if (r->next == r->end && !take_span(s, r)) *r = (row_place){.document = -1};
    int64_t n = MIN(time, r->end - r->next);
    b->reset[row] = r->fresh;
    b->document[row] = r->document;
    b->position[row] = b->begin[row] = r->next;
    b->length[row] = MAX(n, 0);
    if (n > 0 && !read_row(s, r, n, b->tokens + at, b->targets + at, e)) return false;
    if (n > 0) {
        document d = split_document(s->split, r->document);
        for (int64_t t = 0; t < n; t++) {
            bool counts = !d.answers_only || document_answer(&d, r->next + t);
            b->weights[at + t] = counts;
            b->weight += counts;
        }
    }
    pad(b->tokens + at + n, b->targets + at + n, b->weights + at + n, time - n);
    r->next += n;
    r->fresh = false;
    r->padded = n < time;
    return true;
}

bool stream_next(stream *s, batch *b, err *e)
{
    if (e) e->text[0] = 0;
    CHECK(b->rows == s->options.rows && b->time == s->options.time, "a batch of %lld x %lld",
          (long long)b->rows, (long long)b->time);
    b->weight = 0;
    bool any = false; /* what a probe tells may fill a whole batch, and counts for nothing */
    for (int64_t row = 0; row < s->options.rows; row++) {
        if (!fill_row(s, b, row, e)) return false;
        any |= b->document[row] >= 0;
    }
    return any;
}

int64_t stream_epoch(const stream *s)
{
    return s->taken == 0 ? 0 : (s->taken - 1) / s->spans;
}

/* ---- cursor: {"spans": n, "taken": n, "rows": [[document, next, end, padded], ...]} ---- */

char *stream_cursor(const stream *s, arena *a)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < s->options.rows; i++) {
        const row_place *r = &s->rows[i];
        json_array_append_new(rows, json_pack("[I,I,I,b]", (json_int_t)r->document,
                                              (json_int_t)r->next, (json_int_t)r->end, r->padded));
    }
    json_auto_t *all = json_pack("{s:I,s:I,s:o}", "spans", (json_int_t)s->spans, "taken",
                                 (json_int_t)s->taken, "rows", rows);
    text_auto *text = json_dumps(all, JSON_COMPACT);
    CHECK(text, "out of memory");
    return arena_strdup(a, text);
}

static bool read_place(const stream *s, row_place *r, json_t *text)
{
    json_int_t doc, next, end;
    int padded;
    if (json_unpack(text, "[I,I,I,b!]", &doc, &next, &end, &padded) != 0) return false;
    *r = (row_place){.document = doc, .next = next, .end = end, .padded = padded != 0};
    /* A cursor comes from a checkpoint, which may be damaged: places that are not in the text are
     * refused before anything is changed. */
    if (doc == -1) return next == 0 && end == 0;
    if (doc < 0 || doc >= split_documents(s->split)) return false;
    return next >= 0 && next <= end && end <= tokens_of(s, doc);
}

bool stream_seek(stream *s, const char *cursor, err *e)
{
    json_auto_t *all = json_loads(cursor, 0, NULL);
    json_t *rows = NULL;
    json_int_t spans = -1, taken = -1;
    bool ok = all && json_unpack(all, "{s:I,s:I,s:o!}", "spans", &spans, "taken", &taken, "rows",
                                 &rows) == 0;
    /* Another number of spans means other text, or another span: the permutation would be another
     * one. */
    ok = ok && spans == s->spans && taken >= 0 && json_is_array(rows) &&
         (int64_t)json_array_size(rows) == s->options.rows;
    row_place *places = malloc((size_t)s->options.rows * sizeof *places);
    CHECK(places, "out of memory");
    for (int64_t i = 0; ok && i < s->options.rows; i++) {
        ok = read_place(s, &places[i], json_array_get(rows, (size_t)i));
    }
    if (ok) {
        memcpy(s->rows, places, (size_t)s->options.rows * sizeof *places);
        s->taken = taken;
    }
    free(places);
    return ok || err_set(e,
                         "the reading position does not fit this corpus, batch or span (%.80s); "
                         "resume with the data that the run began with",
                         cursor);
}
