/* The text of an evaluation, a few calls at a time: what `rows` parallel rows read next, with the
 * weight taken of what lies behind the limit. */
#pragma once

#include "data/stream.h"

/* One call. Its batch is its own, so that several calls can be at work at once. */
typedef struct eval_call {
    batch batch;
    bool *reads;    /* [rows]: text before the limit, in this call */
    double *losses; /* [rows, time]: room for them */
} eval_call;

typedef struct eval_calls {
    const corpus_split *split;
    int64_t limit;     /* tokens that count */
    int64_t scored;    /* of these, that get a loss */
    int64_t documents; /* that hold them */
    int64_t *first;    /* [documents]: tokens that count before each */
    stream *stream;
    int capacity, count; /* calls that there is room for; that were read last */
    eval_call *calls;
    bool ended; /* nothing is left before the limit */
} eval_calls;

/* Tokens that an evaluation scores: of each document the first `most`, of those together the first
 * `tokens` (0: all). *cut (may be NULL): of some document a part only. */
int64_t eval_calls_tokens(const corpus_split *split, int64_t tokens, int64_t most, bool *cut);

/* Of these, those that get a loss: of a probe that learns its answers these alone. */
int64_t eval_calls_scored(const corpus_split *split, int64_t tokens, int64_t most);

/* The first `tokens` (0: all) of what the stream's options read of the split, `capacity` calls of
 * options->time at a time. Arrays live in the arena. */
bool eval_calls_open(eval_calls *c, const corpus_split *split, int64_t tokens, int capacity,
                     const stream_options *options, arena *a, err *e);
void eval_calls_close(eval_calls *c);

/* Reads the next calls; count is 0 behind the last. False and e if a file cannot be read. */
bool eval_calls_next(eval_calls *c, err *e);
