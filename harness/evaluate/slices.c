#include "harness/evaluate/slices.h"

#include <stdlib.h>
#include <string.h>

/* One pass over the text with the losses beside it, both read a piece at a time; every token adds
 * its loss to one bucket of each kind. The buckets of a count n are powers of two,
 *
 *   bucket(0) = 0,  bucket(n) = 1 + floor(log2 n),  so that bucket b >= 1 holds [2^(b-1), 2^b)
 *
 * because what helps or hurts (distance, rarity) shows over orders of magnitude, and 49 of them are
 * few enough to be kept per part of the text.
 *
 * All of it is integers and sums in the order of the text, in one thread: the record is the same
 * bits however the evaluation was threaded. That repetition is counted in order is also why it
 * waits for the end of the evaluation, whose rows read documents side by side. */

const char *const SLICE_NAMES[SLICE_KINDS] = {"position", "block", "frequency", "repetition"};

int slices_bucket(int64_t n)
{
    if (n <= 0) return 0;
    return MIN(64 - __builtin_clzll((unsigned long long)n), SLICE_BUCKETS - 1);
}

int64_t slices_bucket_low(int bucket)
{
    return bucket == 0 ? 0 : (int64_t)1 << (bucket - 1);
}

/* ---- a pass over text and losses ---- */

/* How often a token occurred in which document: nothing is cleared between documents. An entry of
 * another document counts as 0 times, and is begun anew when its token comes; clearing vocab
 * entries for every short document would cost more than reading it. */
typedef struct token_seen {
    int64_t document, times;
} token_seen;

enum { PIECE = 1 << 14 };

typedef struct slice_pass {
    slices *out;
    const slice_text *text;
    const corpus_split *split;
    int64_t *counts; /* [vocab] of the training split, or NULL */
    int *frequency;  /* [vocab]: the bucket of each count */
    token_seen *seen;
    int32_t *ids;  /* [PIECE] */
    float *losses; /* [PIECE] */
    int64_t at;    /* losses read */
    const losses_file *from;
} slice_pass;

static void add_loss(slice_sum *s, double nats)
{
    s->tokens++;
    s->nats += nats;
}

/* Tokens of its block before a token that has so many of its document before it: blocks are counted
 * from the document's beginning, and anew from each span's, where state is forgotten. */
static int64_t place_in_block(const slice_text *t, int64_t position)
{
    return (t->span > 0 ? position % t->span : position) % t->context;
}

/* seen->times is looked at before it is raised: the first occurrence is in bucket 0 of repetition.
 * n tokens of a document, from `begin` on; `number` is the document's place in the evaluation. */
static void add_piece(slice_pass *p, int64_t number, int part, int64_t begin, int64_t n)
{
    slices *s = p->out;
    for (int64_t i = 0; i < n; i++) {
        int32_t id = p->ids[i];
        double nats = (double)p->losses[i];
        token_seen *seen = &p->seen[id];
        if (seen->document != number) *seen = (token_seen){.document = number};
        add_loss(&s->sums[SLICE_POSITION][slices_bucket(begin + i)][part], nats);
        int64_t place = place_in_block(p->text, begin + i);
        add_loss(&s->sums[SLICE_BLOCK][slices_bucket(place)][part], nats);
        add_loss(&s->sums[SLICE_REPETITION][slices_bucket(seen->times)][part], nats);
        if (p->counts) add_loss(&s->sums[SLICE_FREQUENCY][p->frequency[id]][part], nats);
        seen->times++;
    }
}

static bool add_document(slice_pass *p, const slice_document *d, int64_t number, int part, err *e)
{
    for (int64_t at = 0; at < d->tokens; at += PIECE) {
        int64_t n = MIN((int64_t)PIECE, d->tokens - at);
        if (!split_read(p->split, d->index, at, n, p->ids, e) ||
            !losses_file_get(p->from, p->losses, n, p->at, e)) {
            return false;
        }
        p->at += n;
        add_piece(p, number, part, at, n);
    }
    return true;
}

/* The number of the part: the document's own, or with too many of them by where it lies. Documents
 * are not cut between parts: tokens of one document depend on each other, and an interval over
 * parts takes them for independent. */
static int part_of(int64_t number, int64_t n, int64_t before, int64_t total)
{
    if (n <= SLICE_PARTS) return (int)number;
    return (int)MIN(before * SLICE_PARTS / MAX(total, (int64_t)1), (int64_t)SLICE_PARTS - 1);
}

/* Without a training split, or where neither its text nor its counts are at hand, there are no
 * slices by frequency; an evaluation does not fail for it. Counts are of the training split even
 * when that is not what is evaluated: rare is what was seldom learned from. */
static bool count_tokens(slice_pass *p, corpus *c, int64_t vocab, err *e)
{
    const corpus_split *train = corpus_get(c, SPLIT_TRAIN);
    p->counts = train ? corpus_token_counts(c, e) : NULL;
    for (int64_t i = 0; p->counts && i < vocab; i++) {
        p->frequency[i] = slices_bucket(p->counts[i]);
    }
    return p->counts || !train || split_documents(train) == 0;
}

/* Everything is sized by the vocabulary and the piece, nothing by the text. */
bool slices_measure(slices *s, corpus *c, const slice_text *text, const losses_file *losses, err *e)
{
    const slice_document *documents = text->documents;
    int64_t vocab = corpus_vocab(c), total = 0, n = text->count;
    *s = (slices){.parts = (int)MIN(n, (int64_t)SLICE_PARTS)};
    for (int64_t i = 0; i < n; i++) {
        total += documents[i].tokens;
    }
    arena_auto *a = arena_new(1 << 18);
    slice_pass p = {
        .out = s, .text = text, .split = corpus_need(c, text->split, e), .from = losses};
    p.frequency = ARENA_NEW(a, int, vocab);
    p.seen = ARENA_NEW(a, token_seen, vocab);
    p.ids = ARENA_NEW(a, int32_t, PIECE);
    p.losses = ARENA_NEW(a, float, PIECE);
    /* No document yet: 0 would be the first one's number. */
    for (int64_t i = 0; i < vocab; i++) {
        p.seen[i].document = -1;
    }
    bool ok = p.split && count_tokens(&p, c, vocab, e);
    s->known[SLICE_POSITION] = s->known[SLICE_BLOCK] = s->known[SLICE_REPETITION] = true;
    s->known[SLICE_FREQUENCY] = p.counts;
    int64_t before = 0;
    for (int64_t i = 0; ok && i < n; i++) {
        ok = add_document(&p, &documents[i], i, part_of(i, n, before, total), e);
        before += documents[i].tokens;
    }
    free(p.counts);
    return ok;
}

/* ---- as a record ---- */

/* All parts are written, those of 0 tokens too: arrays of all buckets have the same length, and
 * part i of one evaluation is part i of another. */
static json_t *bucket_record(const slices *s, int kind, int bucket)
{
    json_t *tokens = json_array(), *nats = json_array(), *o = json_object();
    int64_t any = 0;
    for (int i = 0; i < s->parts; i++) {
        const slice_sum *x = &s->sums[kind][bucket][i];
        any += x->tokens;
        json_array_append_new(tokens, json_integer(x->tokens));
        json_array_append_new(nats, json_finite(x->nats));
    }
    json_object_set_new(o, "from", json_integer(slices_bucket_low(bucket)));
    json_object_set_new(o, "tokens", tokens);
    json_object_set_new(o, "nats", nats);
    if (any > 0) return o;
    json_decref(o);
    return NULL;
}

json_t *slices_record(const slices *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "parts", json_integer(s->parts));
    for (int kind = 0; kind < SLICE_KINDS; kind++) {
        if (!s->known[kind]) continue;
        json_t *list = json_array();
        for (int b = 0; b < SLICE_BUCKETS; b++) {
            json_t *bucket = bucket_record(s, kind, b);
            if (bucket) json_array_append_new(list, bucket);
        }
        json_object_set_new(o, SLICE_NAMES[kind], list);
    }
    return o;
}
