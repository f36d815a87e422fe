/* The benchmark of a sweep: its variants against the baseline, on one machine in one process.
 *
 * All variants are opened and take a few steps each, one after the other. Then they take turns:
 * every round, each of them trains for a while and evaluates once. A round's ratio is a variant's
 * tokens per second by the baseline's of the same round, so that a machine whose speed wanders is
 * the same for both; the median over rounds counts, and the range of the middle half is told.
 *
 * Variants that differ only in what costs no time (learning rates and other numbers of the
 * optimiser, the schedule, the budget, where they start from) are one model: the first of them, or
 * the baseline, is measured, and the others have its figures.
 *
 * Memory is counted before the rounds: what the process's anonymous memory has grown by since the
 * variant was opened. `work` is the part of it that is not the parameters' own (values, moments,
 * gradients): the tapes with all that is kept for the backward pass, and carried state. */
#pragma once

#include "harness/run/experiment.h"
#include "harness/speed/bench.h"

/* Tokens per second over rounds, and relative to the baseline. NaN: not measured. */
typedef struct bench_speed {
    double rate;             /* median */
    double ratio, low, high; /* median and quartiles of the rounds' ratios; baseline: 1 */
} bench_speed;

typedef struct bench_variant {
    const char *label;
    bool is_baseline;
    int model; /* index of the variant that was measured: itself, or one of the same model */
    int64_t params, active_params;
    bench_speed train, eval;
    int steps;          /* timed */
    int warmed;         /* steps before */
    bool not_evaluated; /* no time was left */
    double memory_bytes, memory_ratio;
    double work_bytes, work_ratio;
    double loss; /* of the last step, nats per token */
    /* What its layers logged in the last step, by name, as means over layers: "dropped 0, ...". */
    const char *figures;
} bench_variant;

typedef struct bench_comparison {
    int threads, rounds, count;
    int models;              /* variants that were measured */
    int warm_up;             /* steps that were asked for, */
    double seconds;          /* and the time for all of it */
    bench_variant *variants; /* in the sweep's order */
} bench_comparison;

/* Rounds that are wanted for a ratio that can be trusted. */
enum { BENCH_LEAST_ROUNDS = 5 };

/* The sweep's variants with its first seed. o->seconds bound what is done once they are open, all
 * variants together, a quarter for warming up: each variant takes one step to warm up and trains in
 * one round whatever that costs; evaluations, further steps and rounds are left out when no time is
 * left for them. NULL and e on failure. Lives in the arena. */
bench_comparison *bench_compare(arena *a, experiment *x, const corpus_places *places,
                                const bench_options *o, err *e);
