#include "harness/evaluate/eval_calls.h"

#include <string.h>

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

static void make_room(eval_call *call, int64_t rows, int64_t time, arena *a)
{
    call->batch = (batch){.rows = rows,
                          .time = time,
                          .tokens = ARENA_NEW(a, int32_t, rows * time),
                          .targets = ARENA_NEW(a, int32_t, rows * time),
                          .weights = ARENA_NEW(a, real, rows * time),
                          .reset = ARENA_NEW(a, bool, rows),
                          .position = ARENA_NEW(a, int64_t, rows),
                          .document = ARENA_NEW(a, int64_t, rows),
                          .begin = ARENA_NEW(a, int64_t, rows),
                          .length = ARENA_NEW(a, int64_t, rows)};
    call->reads = ARENA_NEW(a, bool, rows);
    call->losses = ARENA_NEW(a, double, rows *time);
}

bool eval_calls_open(eval_calls *c, const corpus_split *split, int64_t tokens, int capacity,
                     const stream_options *options, arena *a, err *e)
{
    *c = (eval_calls){.split = split, .capacity = capacity};
    measure(c, tokens, a);
    c->calls = ARENA_NEW(a, eval_call, capacity);
    for (int i = 0; i < capacity; i++) {
        make_room(&c->calls[i], options->rows, options->time, a);
    }
    c->stream = stream_new(split, options, e);
    return c->stream;
}

void eval_calls_close(eval_calls *c)
{
    if (c->stream) stream_free(c->stream);
    c->stream = NULL;
}

static void copy_batch(batch *to, const batch *b)
{
    size_t rows = (size_t)b->rows, cells = rows * (size_t)b->time;
    CHECK(to->rows == b->rows && to->time == b->time, "%lld x %lld cells", (long long)b->rows,
          (long long)b->time);
    memcpy(to->tokens, b->tokens, cells * sizeof *b->tokens);
    memcpy(to->targets, b->targets, cells * sizeof *b->targets);
    memcpy(to->weights, b->weights, cells * sizeof *b->weights);
    memcpy(to->reset, b->reset, rows * sizeof *b->reset);
    memcpy(to->position, b->position, rows * sizeof *b->position);
    memcpy(to->document, b->document, rows * sizeof *b->document);
    memcpy(to->begin, b->begin, rows * sizeof *b->begin);
    memcpy(to->length, b->length, rows * sizeof *b->length);
    to->weight = b->weight;
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
    batch next;
    c->count = 0;
    while (!c->ended && c->count < c->capacity) {
        if (!stream_next(c->stream, &next, &own)) {
            c->ended = true;
            return !own.text[0] || err_set(e, "%s", own.text);
        }
        copy_batch(&c->calls[c->count].batch, &next);
        c->ended = !cut_weights(c, &c->calls[c->count]);
        if (!c->ended) c->count++;
    }
    return true;
}
