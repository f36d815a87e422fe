#include "data/stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* Seven documents of text, 200 to 3,200 bytes, all of them in training but the held-out ones. */
static corpus *small_corpus(void)
{
    char name[32];
    for (int i = 0; i < 7; i++) {
        char *text = corpora_text((uint64_t)i, 200 + 500 * i);
        snprintf(name, sizeof name, "t/train/%d", i);
        corpora_write(name, text, -1);
        free(text);
    }
    corpora_write("t/validation/1", "held out", -1);
    return corpora_need("{corpus: text, path: t}");
}

static const stream_options USUAL = {
    .rows = 3, .time = 32, .block = 32, .span = 100, .seed = 1, .shuffle = true, .once = true};

/* Counts every target into seen[document][index] and checks that inputs fit. */
static void check_batch(const corpus_split *s, const batch *b, char *const *seen)
{
    int32_t start = (int32_t)split_vocab(s);
    double weight = 0;
    for (int64_t r = 0; r < b->rows; r++) {
        for (int64_t t = 0; t < b->time; t++) {
            int64_t i = r * b->time + t, at = b->begin[r] + t;
            if (b->weights[i] == 0) continue;
            weight += (double)b->weights[i];
            seen[b->document[r]][at]++;
            int32_t two[2] = {start, 0};
            bool ok =
                split_read(s, b->document[r], MAX(at - 1, 0), at ? 2 : 1, at ? two : two + 1, NULL);
            EXPECT(ok && b->tokens[i] == two[0] && b->targets[i] == two[1],
                   "row %lld, position %lld: %d -> %d, not %d -> %d", (long long)r, (long long)at,
                   b->tokens[i], b->targets[i], two[0], two[1]);
        }
        EXPECT(b->position[r] == b->begin[r], "position %lld", (long long)b->position[r]);
    }
    EXPECT(weight == b->weight, "weight %g, not %g", b->weight, weight);
}

/* Reads to the end; every target must have been seen `times` times. */
static void check_epochs(const corpus_split *s, const stream_options *o, int times)
{
    err e = {0};
    int64_t documents = split_documents(s), total = 0;
    char **seen = calloc((size_t)documents, sizeof *seen);
    for (int64_t i = 0; i < documents; i++) {
        seen[i] = calloc((size_t)split_document(s, i).tokens, 1);
    }
    stream *x = stream_new(s, o, &e);
    batch b = x ? stream_batch(x) : (batch){0};
    while (x && total < times * split_tokens(s) && stream_next(x, &b, &e)) {
        check_batch(s, &b, seen);
        total += (int64_t)b.weight;
    }
    EXPECT(x && !e.text[0], "%s", e.text);
    EXPECT(total == times * split_tokens(s), "%lld targets", (long long)total);
    for (int64_t i = 0; i < documents; i++) {
        int64_t wrong = 0;
        for (int64_t t = 0; t < split_document(s, i).tokens; t++) {
            wrong += seen[i][t] != times;
        }
        EXPECT(wrong == 0, "span %lld: %lld targets of document %lld are not seen %d times",
               (long long)o->span, (long long)wrong, (long long)i, times);
        free(seen[i]);
    }
    free(seen);
    stream_free(x);
}

static void every_token_once(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    static const int64_t SPAN[] = {0, 1, 31, 32, 100, 96, 100000};
    for (size_t i = 0; i < sizeof SPAN / sizeof *SPAN; i++) {
        for (int shuffle = 0; shuffle < 2; shuffle++) {
            stream_options o = USUAL;
            o.span = SPAN[i];
            o.shuffle = shuffle;
            check_epochs(corpus_get(c, SPLIT_TRAIN), &o, 1);
        }
    }
    corpus_close(c);
}

/* More rows than spans: dry rows have weight 0 and document -1. */
static void rows_run_dry(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    stream_options o = USUAL;
    o.rows = 5;
    stream *s = stream_new(corpus_get(c, SPLIT_VALIDATION), &o, NULL);
    batch b = stream_batch(s);
    err e = {0};
    EXPECT(stream_next(s, &b, &e) && b.weight == 8, "weight %g", b.weight);
    EXPECT(b.document[0] == 0 && b.document[1] == -1 && b.reset[0], "documents %lld, %lld",
           (long long)b.document[0], (long long)b.document[1]);
    EXPECT(!stream_next(s, &b, &e) && !e.text[0], "goes on: %s", e.text);
    stream_free(s);
    corpus_close(c);
}

static void evaluation_keeps_order(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    stream_options o = {.rows = 1, .time = 64, .block = 64, .once = true};
    stream *s = stream_new(corpus_get(c, SPLIT_TRAIN), &o, NULL);
    batch b = stream_batch(s);
    int64_t doc = 0, next = 0;
    while (stream_next(s, &b, NULL)) {
        if (b.document[0] != doc) {
            EXPECT(next == split_document(corpus_get(c, SPLIT_TRAIN), doc).tokens, "cut at %lld",
                   (long long)next);
            doc++;
            next = 0;
        }
        EXPECT(b.document[0] == doc && b.begin[0] == next && b.reset[0] == (next == 0),
               "document %lld at %lld", (long long)b.document[0], (long long)b.begin[0]);
        next += (int64_t)b.weight;
    }
    EXPECT(doc == 6, "ends with document %lld", (long long)doc);
    stream_free(s);
    corpus_close(c);
}

/* One row, spans in order, whole blocks: a span that continues the document does not reset. */
static void continued_spans_keep_state(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    stream_options o = {.rows = 1, .time = 32, .block = 32, .span = 64, .once = true};
    stream *s = stream_new(corpus_get(c, SPLIT_TRAIN), &o, NULL);
    batch b = stream_batch(s);
    while (stream_next(s, &b, NULL)) {
        EXPECT(b.reset[0] == (b.begin[0] == 0), "reset at %lld", (long long)b.begin[0]);
    }
    stream_free(s);
    o.span = 40; /* padded at its end: the state holds padding, so the next span begins afresh */
    s = stream_new(corpus_get(c, SPLIT_TRAIN), &o, NULL);
    b = stream_batch(s);
    while (stream_next(s, &b, NULL)) {
        EXPECT(b.reset[0] == (b.begin[0] % 40 == 0), "reset at %lld", (long long)b.begin[0]);
    }
    stream_free(s);
    corpus_close(c);
}

static uint64_t order_of(const corpus_split *split, uint64_t seed, int calls, int64_t *epoch)
{
    stream_options o = USUAL;
    o.seed = seed;
    o.once = false;
    stream *s = stream_new(split, &o, NULL);
    batch b = stream_batch(s);
    uint64_t hash = 1;
    for (int i = 0; i < calls && stream_next(s, &b, NULL); i++) {
        for (int64_t r = 0; r < b.rows; r++) {
            hash = hash * 1099511628211u + (uint64_t)(b.document[r] * 100000 + b.begin[r]);
        }
    }
    if (epoch) *epoch = stream_epoch(s);
    stream_free(s);
    return hash;
}

static void order_by_seed_alone(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    const corpus_split *s = corpus_get(c, SPLIT_TRAIN);
    int64_t epoch;
    EXPECT(order_of(s, 1, 300, &epoch) == order_of(s, 1, 300, NULL), "not repeated");
    EXPECT(epoch >= 1, "epoch %lld", (long long)epoch);
    EXPECT(order_of(s, 1, 300, NULL) != order_of(s, 2, 300, NULL), "seeds have one order");
    corpus_close(c);
}

static bool same_batch(const batch *x, const batch *y)
{
    size_t n = (size_t)(x->rows * x->time), rows = (size_t)x->rows;
    return memcmp(x->tokens, y->tokens, n * sizeof *x->tokens) == 0 &&
           memcmp(x->targets, y->targets, n * sizeof *x->targets) == 0 &&
           memcmp(x->weights, y->weights, n * sizeof *x->weights) == 0 &&
           memcmp(x->reset, y->reset, rows * sizeof *x->reset) == 0 &&
           memcmp(x->document, y->document, rows * sizeof *x->document) == 0 &&
           memcmp(x->begin, y->begin, rows * sizeof *x->begin) == 0;
}

static void cursor_restores(void)
{
    corpus *c = small_corpus();
    if (!c) return;
    const corpus_split *split = corpus_get(c, SPLIT_TRAIN);
    stream_options o = USUAL;
    o.once = false;
    o.span = 75;
    err e = {0};
    arena *a = arena_new(0);
    for (int stop = 0; stop < 200; stop += 13) {
        stream *x = stream_new(split, &o, NULL), *y = stream_new(split, &o, NULL);
        batch b = stream_batch(x), d = stream_batch(y);
        for (int i = 0; i < stop; i++) {
            stream_next(x, &b, NULL);
        }
        EXPECT(stream_seek(y, stream_cursor(x, a), &e), "%s", e.text);
        for (int i = 0; i < 60; i++) {
            stream_next(x, &b, NULL);
            stream_next(y, &d, NULL);
            EXPECT(same_batch(&b, &d), "call %d after %d differs", i, stop);
        }
        stream_free(x);
        stream_free(y);
    }
    stream *x = stream_new(split, &o, NULL);
    static const char *const BAD[] = {"", "{}", "[1]", "{\"spans\":1,\"taken\":0,\"rows\":[]}",
                                      "{\"spans\":163,\"taken\":-1,\"rows\":[[0,0,0,false]]}"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        EXPECT(!stream_seek(x, BAD[i], &e) && strstr(e.text, "reading position"), "%s", e.text);
    }
    stream_free(x);
    arena_free(a);
    corpus_close(c);
}

static void permutations(void)
{
    static const int64_t SIZE[] = {1, 2, 3, 5, 16, 17, 1000, 4097};
    for (size_t i = 0; i < sizeof SIZE / sizeof *SIZE; i++) {
        int64_t n = SIZE[i], missing = 0, moved = 0;
        char *seen = calloc((size_t)n, 1);
        for (int64_t k = 0; k < n; k++) {
            int64_t to = stream_permute(k, n, (rng_key){.seed = 5, .place = 1});
            EXPECT(to >= 0 && to < n, "%lld of %lld", (long long)to, (long long)n);
            seen[to]++;
            moved += to != k;
        }
        for (int64_t k = 0; k < n; k++) {
            missing += seen[k] != 1;
        }
        EXPECT(missing == 0, "%lld of %lld are not hit once", (long long)missing, (long long)n);
        /* Fixed points of a random permutation: 1 on average, more than 12 once in 10^10. */
        EXPECT(n < 16 || n - moved < 13, "%lld of %lld stay", (long long)(n - moved), (long long)n);
        free(seen);
    }
    /* Where 0 goes is uniform over seeds: 4000 draws over 8 places, 500 each, deviation 21. */
    int count[8] = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        count[stream_permute(0, 8, (rng_key){.seed = seed, .place = 2})]++;
    }
    for (int i = 0; i < 8; i++) {
        EXPECT(abs(count[i] - 500) < 6 * 21, "0 goes to %d %d times of 4000", i, count[i]);
    }
}

/* What a batch weighs on average is known without reading: an epoch by one row tells the same. */
static void share_of_an_epoch(void)
{
    corpus *c[] = {small_corpus(), corpora_need("{corpus: probe, learn: answers, tokens: 3k}")};
    for (int i = 0; i < 8; i++) {
        static const int64_t SPAN[] = {0, 31, 100, 100000};
        const corpus_split *split = c[i / 4] ? corpus_get(c[i / 4], SPLIT_TRAIN) : NULL;
        if (!split) continue;
        stream_options o = {.rows = 1, .time = 32, .block = 32, .span = SPAN[i % 4], .once = true};
        stream *s = stream_new(split, &o, NULL);
        batch b = stream_batch(s);
        double targets = 0, positions = 0;
        while (stream_next(s, &b, NULL)) {
            targets += b.weight;
            positions += 32;
        }
        double share = stream_share(split, &o);
        EXPECT(share == targets / positions, "span %lld: %g is not %g", (long long)o.span, share,
               targets / positions);
        stream_free(s);
    }
    corpus_close(c[0]);
    corpus_close(c[1]);
}

const test_suite test_stream = {"data/stream",
                                {{"every token once", every_token_once},
                                 {"rows run dry", rows_run_dry},
                                 {"evaluation keeps order", evaluation_keeps_order},
                                 {"continued spans keep state", continued_spans_keep_state},
                                 {"order by seed alone", order_by_seed_alone},
                                 {"cursor restores", cursor_restores},
                                 {"share of an epoch", share_of_an_epoch},
                                 {"permutations", permutations},
                                 {0}}};
