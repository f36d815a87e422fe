/* What another program reached with the same model: figures that it wrote, a JSON object a line, as
 * experiments/benchmarks/peers does.
 *
 *   {"peer": "torch 2.4", "precision": "bfloat16", "width": 128, "layers": 4, "context": 256,
 *    "batch": 8, "threads": 2, "tokens_per_second": 15928}
 *
 * `peer` and `tokens_per_second` are required. A line is of the benchmark measured if its width,
 * layers (blocks of the stack), context, batch and threads are, as far as it says them; other lines
 * are passed over, so that one file may hold all sizes. */
#pragma once

#include <stdio.h>

#include "harness/speed/bench.h"

typedef struct bench_against bench_against;

/* NULL and "path:line: what" for a file that does not hold such lines. */
bench_against *bench_against_read(const char *path, err *e);
void bench_against_free(bench_against *a);

/* Our tokens per second by the peer's, line by line, in the file's order; and the same with what
 * the line says besides: [{"peer", ..., "tokens_per_second", "ratio"}]. */
void bench_against_print(FILE *out, const bench_against *a, const bench_result *r);
json_t *bench_against_json(const bench_against *a, const bench_result *r);
