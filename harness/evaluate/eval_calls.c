#include "harness/evaluate/eval_calls.h"

/* Finds which documents hold the tokens that count. */
static void measure(eval_calls *c, int64_t tokens, arena *a)
{
    int64_t all = split_documents(c->split), total = split_tokens(c->split);
    c->limit = tokens ? MIN(tokens, total) : total;
    c->first = ARENA_NEW(a, int64_t, all);
    int64_t before = 0;
    for (int64_t i = 0; i < all && before < c->limit; i++) {
        c->first[c->documents++] = before;
        before += split_document(c->split, i).tokens;
    }
}

bool eval_calls_open(eval_calls *c, const corpus_split *split, int64_t tokens, int capacity,
                     const stream_options *options, arena *a, err *e)
{
    *c = (eval_calls){.split = split, .capacity = capacity};
    measure(c, tokens, a);
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

bool eval_calls_next(eval_calls *c, err *e)
{
    err own = {0};
    c->count = 0;
    while (!c->ended && c->count < c->capacity) {
        if (!stream_next(c->stream, &c->calls[c->count].batch, &own)) {
            c->ended = true;
            return !own.text[0] || err_set(e, "%s", own.text);
        }
        c->ended = !cut_weights(c, &c->calls[c->count]);
        if (!c->ended) c->count++;
    }
    return true;
}
