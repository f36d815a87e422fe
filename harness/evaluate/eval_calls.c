#include "harness/evaluate/eval_calls.h"

/* A stream (data/stream.h) read once, with a limit. The stream itself knows nothing of "the first
 * so many tokens of the split": rows read documents side by side, so that the limit is no place in
 * the order of reading. It is a place in the order of the text, held as `first`, tokens before each
 * document, and every call is cut to it afterwards by taking weight away. Tokens behind the limit
 * that a call still holds are read by the model and not scored; whole calls of them are not made.
 */

/* Looks at the table of documents, never at a text: plans ask for it, too. */
int64_t eval_calls_tokens(const corpus_split *split, int64_t tokens, int64_t most, bool *cut)
{
    int64_t n = 0, documents = split_documents(split);
    bool any = false;
    for (int64_t i = 0; i < documents && (tokens == 0 || n < tokens); i++) {
        int64_t whole = split_document(split, i).tokens;
        int64_t read = stream_document_tokens(split, i, most);
        any |= read < whole || (tokens > 0 && n + read > tokens);
        n += read;
    }
    if (cut) *cut = any;
    return tokens > 0 ? MIN(tokens, n) : n;
}

/* Of a document's first n tokens those that get a loss. */
static int64_t scored_of(const document *d, int64_t n)
{
    if (!d->answers_only) return n;
    int64_t scored = 0;
    for (int64_t k = 0; k < d->answers; k++) {
        int64_t place = d->places ? d->places[k] : d->tokens - 1 - k * d->stride;
        scored += place >= 0 && place < n;
    }
    return scored;
}

static int64_t scored_within(const corpus_split *split, int64_t limit, int64_t most)
{
    int64_t before = 0, scored = 0;
    for (int64_t i = 0; before < limit; i++) {
        int64_t read = stream_document_tokens(split, i, most);
        const document d = split_document(split, i);
        scored += scored_of(&d, MIN(read, limit - before));
        before += read;
    }
    return scored;
}

int64_t eval_calls_scored(const corpus_split *split, int64_t tokens, int64_t most)
{
    return scored_within(split, eval_calls_tokens(split, tokens, most, NULL), most);
}

/* Finds which documents hold the tokens that count. first [documents] is in units of scored tokens:
 * with `document_tokens` it skips what of each document is not read. */
static void measure(eval_calls *c, int64_t tokens, int64_t most, arena *a)
{
    int64_t all = split_documents(c->split), before = 0;
    c->limit = eval_calls_tokens(c->split, tokens, most, NULL);
    c->scored = scored_within(c->split, c->limit, most);
    c->first = ARENA_NEW(a, int64_t, all);
    for (int64_t i = 0; i < all && before < c->limit; i++) {
        c->first[c->documents++] = before;
        before += stream_document_tokens(c->split, i, most);
    }
}

/* One batch per call of a round: threads read all of them at once. losses [rows, time] is written
 * by the lanes' threads, each in the rows of its own lane. */
bool eval_calls_open(eval_calls *c, const corpus_split *split, int64_t tokens, int capacity,
                     const stream_options *options, arena *a, err *e)
{
    *c = (eval_calls){.split = split, .capacity = capacity};
    measure(c, tokens, options->most, a);
    if (!(c->stream = stream_new(split, options, e))) return false;
    c->calls = ARENA_NEW(a, eval_call, capacity);
    for (int i = 0; i < capacity; i++) {
        c->calls[i] = (eval_call){.batch = stream_batch(c->stream),
                                  .reads = ARENA_NEW(a, bool, options->rows),
                                  .losses = ARENA_NEW(a, double, options->rows * options->time)};
    }
    return true;
}

void eval_calls_close(eval_calls *c)
{
    if (c->stream) stream_free(c->stream);
    c->stream = NULL;
}

/* Takes the weight of tokens behind the limit; notes which rows still read text before it, and
 * returns whether any does. A row that has passed the limit never comes back before it, for
 * documents and spans are read in order. */
static bool cut_weights(const eval_calls *c, eval_call *call)
{
    const batch *b = &call->batch;
    bool any = false;
    for (int64_t r = 0; r < b->rows; r++) {
        real *weights = b->weights + r * b->time;
        int64_t d = b->document[r];
        int64_t room = d < 0 || d >= c->documents ? 0 : c->limit - c->first[d] - b->begin[r];
        for (int64_t i = 0; i < b->time; i++) {
            if (i >= room) weights[i] = 0;
        }
        call->reads[r] = room > 0 && b->length[r] > 0;
        any |= call->reads[r];
    }
    return any;
}

/* A stream tells its end and a failure by the same false, told apart by the text; `own` is looked
 * at, not `e`, because e may hold a text already.
 *
 * The call in which no row reads anything before the limit is the end and is not counted, though
 * some of its rows may go on behind the limit. */
bool eval_calls_next(eval_calls *c, err *e)
{
    err own = {0};
    c->count = 0;
    while (!c->ended && c->count < c->capacity) {
        if (!stream_next(c->stream, &c->calls[c->count].batch, &own)) {
            c->ended = true;
            return !own.text[0] || err_copy(e, &own);
        }
        c->ended = !cut_weights(c, &c->calls[c->count]);
        if (!c->ended) c->count++;
    }
    return true;
}
