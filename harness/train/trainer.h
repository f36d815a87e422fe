/* Training: the loop's body, without files. worker.h runs it in a folder, bench.h on a clock.
 *
 * A step reads `accumulate` batches, so that the weight of all its targets is known; every lane
 * runs its rows' segment forwards and backwards on the tape of the thread that took it; the lanes'
 * gradients are added in a fixed tree, their losses in lane order; the optimiser changes the
 * values. Nothing depends on the number of threads. No memory is taken from the system after the
 * first steps.
 *
 * Over ranks (workload.ranks) each runs its own lanes and has all else: values, moments, text.
 * Rank 0's calls below ask the others to do the same (rank_help.h). */
#ifndef LOCI_HARNESS_TRAINER_H
#define LOCI_HARNESS_TRAINER_H

#include "core/train/lanes.h"
#include "core/train/optim.h"
#include "data/stream.h"
#include "harness/evaluate/routing_trace.h"
#include "harness/train/workload.h"

/* Where a run stands; all of it is saved in a checkpoint. */
typedef struct train_progress {
    int64_t step;    /* done so far */
    int64_t tokens;  /* targets of weight 1 trained so far */
    double seconds;  /* spent in steps so far */
    int64_t eval_at; /* step of the last evaluation, -1: none */
    /* Since the last logged step: what its record will average. */
    double window_nats, window_weight, window_seconds;
    /* Nats per token: of the first step with targets, and a running mean over some ten steps. */
    double first_loss, last_loss;
} train_progress;

/* One step's figures. */
typedef struct train_report {
    double nats, weight; /* sums over the step's targets */
    double lr;
    double grad_norm; /* before clipping */
    double seconds;   /* of the whole step; of it reading the corpus, and in the optimiser: */
    double data_seconds, optim_seconds;
    /* "" or the first tensor that is not finite, as "parameter NAME", "output NAME", "loss",
     * "gradient of NAME (op OP)" or "gradient in LAYER (op OP)"; the values are then unchanged. */
    char bad[160];
    int metric_count;
    const metric *metrics; /* added up over lanes; valid until the next step */
} train_report;

typedef struct trainer trainer;

/* Borrows w, which must stay open. Values start from the seed and init_from. */
trainer *trainer_new(workload *w, int threads, train_length length, err *e);
void trainer_free(trainer *t);

/* One step. False only if the corpus can no longer be read, or a rank was lost. */
bool trainer_step(trainer *t, train_report *report, err *e);
bool trainer_finished(const trainer *t);

train_progress *trainer_progress(trainer *t);
train_length trainer_length(const trainer *t);
real *trainer_values(trainer *t); /* [params.total] */
optim *trainer_optim(trainer *t);
stream *trainer_stream(trainer *t);
routing_trace *trainer_routing(trainer *t); /* of the run's evaluations */
/* NULL if it is another rank's, unless rank 0 has gathered them. */
model_state *trainer_state(trainer *t, int64_t lane);
bool trainer_has_lane(const trainer *t, int64_t lane);
/* What all ranks' lanes carry by now comes to rank 0. */
bool trainer_gather_states(trainer *t, err *e);
workload *trainer_workload(trainer *t);
lanes *trainer_pool(trainer *t);
int trainer_threads(const trainer *t); /* no more than lanes */
/* Tape of a thread, for measurements. */
tape *trainer_tape(trainer *t, int thread);

/* Median seconds of a step, over at most `seconds` of throw-away training: what turns a budget in
 * seconds into steps. */
bool trainer_calibrate(workload *w, int threads, double seconds, double *step_seconds, err *e);

#endif
