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
#pragma once

#include "core/train/lanes.h"
#include "core/train/optim.h"
#include "data/stream.h"
#include "harness/evaluate/routing_trace.h"
#include "harness/train/lane_sums.h"
#include "harness/train/train_progress.h"
#include "harness/train/workload.h"

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

/* Others read it, and change how far it is, what a checkpoint holds, and the layers' states. */
typedef struct trainer {
    workload *w;
    int threads; /* no more than lanes */
    train_length length;
    train_progress progress;
    lanes *pool;
    optim *optim;
    stream *stream;
    routing_trace *routing; /* of the run's evaluations */
    real *values;           /* [params.total] */
    model_state **states;   /* [lanes]; NULL: another rank's, unless rank 0 has gathered them */
    tape **tapes;           /* [threads] */
    blas_kept *kept;        /* by piece of the parameters: values packed for a step, or NULL */
    rank_group *ranks;      /* the workload's; NULL: this process alone */
    rank_lanes own;         /* lanes that are run here */
    bool asked;             /* the other ranks have a trainer, too */
    /* The step's: */
    arena *memory;
    batch *inputs;   /* [accumulate * calls]: read before its first lane runs */
    lane_sums *sums; /* [lanes] */
    lane_sums total;
    metric_names names; /* of other ranks' metrics */
    double step_weight; /* of all its targets */
    int64_t micro;      /* the batch that the lanes work on */
} trainer;

/* Borrows w, which must stay open. Values start from the seed and init_from. */
trainer *trainer_new(workload *w, int threads, train_length length, err *e);
void trainer_free(trainer *t);

/* The kernel for which weights are packed once per step, where so many lanes are run here, and the
 * bytes that they take. NULL and 0: each product packs for itself. */
const gemm_kernel *trainer_packs_for(const workload *w, int64_t own);
double trainer_packed_bytes(const workload *w, int64_t own);

/* One step. False only if the corpus can no longer be read, or a rank was lost. */
bool trainer_step(trainer *t, train_report *report, err *e);
bool trainer_finished(const trainer *t);

bool trainer_has_lane(const trainer *t, int64_t lane);
/* What all ranks' lanes carry by now comes to rank 0. */
bool trainer_gather_states(trainer *t, err *e);

/* Median seconds of a step, over at most `seconds` of throw-away training: what turns a budget in
 * seconds into steps. */
bool trainer_calibrate(workload *w, int threads, double seconds, double *step_seconds, err *e);
