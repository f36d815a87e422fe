/* Speeds that were measured alone, beside the runs that they are of: what `compare` shows instead
 * of speeds that runs had while they shared the machine. */
#ifndef LOCI_HARNESS_BENCH_RECORD_H
#define LOCI_HARNESS_BENCH_RECORD_H

#include "harness/speed/bench_compare.h"

/* Writes OUT/runs/ID/speed.json for every run of x (resolved) that has a folder:
 *
 *   {"alone_tokens_per_second", "alone_threads", "alone_at", "eval_tokens_per_second", "rounds",
 *    "host", "cpu"}
 *
 * speeds [variants of the sweep]: in training, in evaluation. *runs: how many. */
bool bench_report_record(const bench_variant *speeds, int threads, int rounds, const experiment *x,
                         const char *out, int *runs, err *e);

#endif
