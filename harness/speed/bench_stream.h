/* Does evaluation stay as it is over a very long text? One row reads so many tokens of the training
 * split, one document behind the other and from the beginning again, without ever being reset,
 * block by block through the forward path of every evaluation. */
#pragma once

#include <stdio.h>

#include "core/base/json.h"
#include "data/corpus.h"

enum { STREAM_POINTS = 10 };

/* A tenth of the text: what was read at its end, and its own speed. */
typedef struct stream_point {
    int64_t tokens;
    double anon_mib;                       /* anonymous memory of the process */
    double us_per_token, cpu_us_per_token; /* by the clock; of this thread's own time */
    double nats;                           /* per token of the tenth: it did read */
} stream_point;

/* spec: one run's, untrained. tokens: rounded up to ten times a whole number of blocks. */
bool bench_stream(stream_point points[STREAM_POINTS], const node *spec, int64_t seed,
                  int64_t tokens, const corpus_places *places, err *e);

void bench_stream_print(FILE *out, const stream_point points[STREAM_POINTS]);
json_t *bench_stream_json(const stream_point points[STREAM_POINTS]);
