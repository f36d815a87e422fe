/* The benchmark's figures: as text, as JSON, as a table of variants, and beside runs. */
#pragma once

#include "core/base/json.h"
#include "harness/speed/bench_compare.h"
#include "results/table/table.h"

void bench_report_print(FILE *out, const bench_result *r);
json_t *bench_report_json(const bench_result *r);

/* A row per model; all: per variant. */
table *bench_report_table(arena *a, const bench_comparison *c, bool all);
/* Which variants a row stands for, where it is several. */
void bench_report_models(FILE *out, const bench_comparison *c);
/* What the layers have logged, a line per model. */
void bench_report_figures(FILE *out, const bench_comparison *c);
/* What the time that was given did not suffice for; nothing if it did. */
void bench_report_cuts(FILE *out, const bench_comparison *c);
/* Speeds that were measured alone, beside the runs that they are of: what `compare` shows instead
 * of speeds that runs had while they shared the machine. Writes OUT/runs/ID/speed.json for every
 * run of x (resolved) that has a folder:
 *
 *   {"alone_tokens_per_second", "alone_threads", "alone_at", "eval_tokens_per_second", "rounds",
 *    "host", "cpu"}
 *
 * speeds [variants of the sweep]: in training, in evaluation. A run that is being worked on is left
 * as it is. */
typedef struct bench_noted {
    int runs, busy; /* written; left */
} bench_noted;
bool bench_report_record(const bench_variant *speeds, int threads, int rounds, const experiment *x,
                         const char *out, bench_noted *noted, err *e);
