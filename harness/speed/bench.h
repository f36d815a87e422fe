/* The benchmark: how fast a spec trains, evaluates and generates, against what the machine's sgemm
 * reaches in the same process, and what its processor could do at all.
 *
 *   gflops = tokens/s x (6 x matmul parameters + 6 x layers x context x width)
 *   utilisation = gflops / sgemm_gflops, and by each of the processor's peaks (bench_peak.h)
 *
 * sgemm_gflops: products of 2048 x 2048 x 2048 (bench_gemm.h). Steps of training and rounds of
 * sgemm and of the peaks take turns and the median of each counts. The peak of anonymous memory is
 * read before the first round, so that sgemm's matrices are no part of it. */
#pragma once

#include "core/base/json.h"
#include "harness/speed/bench_peak.h"
#include "harness/train/trainer.h"

enum { BENCH_OPS = 64, BENCH_GENERATE_ROWS = 8 };

typedef struct bench_options {
    int threads;    /* 0: all cores */
    double seconds; /* of timed training steps, at least 5 steps; 0: 5 */
    int warm_up;    /* steps of each variant before what counts, of several only; 0: 3 */
} bench_options;

typedef struct bench_op {
    const char *name;
    double forward_ms, backward_ms; /* per step, added over threads */
    int64_t calls;                  /* per step */
} bench_op;

typedef struct bench_result {
    int threads, steps;
    double tokens_per_second; /* median over steps */
    double step_ms;           /* median */
    double gflops, sgemm_gflops, utilisation;
    int64_t sgemm_size;
    /* Of the processor's multiply-adds, by kind; NaN: it has no such instruction. */
    double peak_gflops[PEAK_KINDS], peak_utilisation[PEAK_KINDS];
    int64_t width, layers, context, batch; /* what a peer must agree with: see bench_against.h */
    double peak_rss_mib;                   /* anonymous memory */
    double start_seconds;      /* from the call to the first step's beginning: corpus, model */
    double first_step_seconds; /* of the first step */
    double data_share;         /* of a step */
    double optimiser_share;    /* of a step: everything that is not lanes' work or data */
    double loss;               /* after the timed steps, nats per token: it did train */
    double eval_tokens_per_second;
    double generate_tokens_per_second;          /* one row */
    double generate_rows_tokens_per_second;     /* BENCH_GENERATE_ROWS rows, all together */
    double generate_early_ms, generate_late_ms; /* per token, at the start and after 4 contexts */
    int64_t params, matmul_params;
    double flops_per_token;
    int64_t tape_bytes, arena_maps_after_warmup; /* maps: 0 is what we want */
    int op_count;
    bench_op ops[BENCH_OPS];
} bench_result;

/* spec: one run's. Nothing is written. */
bool bench_run(bench_result *r, const node *spec, int64_t seed, const corpus_places *places,
               const bench_options *o, err *e);

/* ---- for the benchmark of several variants, too ---- */

/* A training step; diverging is an error here. */
bool bench_step(trainer *t, train_report *r, err *e);

/* Tokens per second of evaluating the first four contexts per row with the trainer's values; left
 * as it is where the corpus has no such split. */
bool bench_evaluate(double *tokens_per_second, workload *w, trainer *t, err *e);

/* Of all threads' tapes: bytes and number of mappings. */
int64_t bench_tape_bytes(trainer *t);
int64_t bench_tape_maps(trainer *t);
