/* How far training is, and how it goes. */
#pragma once

#include "core/base/base.h"

/* Where a run stands; all of it is saved in a checkpoint. */
typedef struct train_progress {
    int64_t step;    /* done so far */
    int64_t tokens;  /* targets of weight 1 trained so far */
    double seconds;  /* spent in steps so far */
    int64_t eval_at; /* step of the last evaluation, -1: none */
    /* Since the last logged step: what its record will average. */
    double window_nats, window_weight, window_seconds;
    /* Nats per token: of the first step with targets, and a running mean that begins with it
     * (train_progress_last_loss). */
    double first_loss, last_loss;
} train_progress;

/* Counts a step that changed the values, by sums over its targets. The window is emptied by whoever
 * writes its line of metrics. */
void train_progress_step(train_progress *p, double nats, double weight, double seconds);
/* Of a run of which only the curve is left, up to `step`: all steps since p's cost what was logged
 * of them, in nats per token. */
void train_progress_logged(train_progress *p, int64_t step, double loss);

/* Nats per token of the last some ten steps, or of all of fewer; 0: none was made. */
double train_progress_last_loss(const train_progress *p);
