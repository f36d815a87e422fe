#include "harness/run/run_memory.h"

#include "harness/train/trainer.h"

/* What decides how many runs go at a time until one of the variant was measured (job_memory.h).
 * Only what grows with the model is in it:
 *
 *   parameters + gradients, a vector for each level of the lanes' tree + moments
 *   + matrices packed for a step, for each direction
 *   + the tape of one lane (one thread works on one lane at a time) + what all rows carry
 *   + in evaluation, the larger stores of `eval.stored`
 *
 * Too low, and the kernel kills a run; too high, and cores idle until the first run has ended. It
 * is meant to be near, and the supervisor corrects it by measured peaks. */

/* Gradients are added in a tree over the lanes: a vector per level. */
static int levels(int64_t count)
{
    int n = 1;
    while (count > 1) {
        count /= 2;
        n++;
    }
    return n;
}

/* What one token keeps on the tape: inputs and outputs of the matrices with their gradients. Some
 * of them share memory, norms and gates come on top; 1.25 is measured on the benchmark's models,
 * which hold 60 % of what 2 would give. */
static double tape_bytes_per_token(const params *p)
{
    double numbers = 0;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        /* Only matrices that multiply activations: a table that is looked up puts a row per token
         * on the tape, a bias nothing. */
        if (!q->matmul || q->rank < 2) continue;
        int64_t inputs = q->shape[q->rank - 1], outputs = q->count / inputs;
        numbers += q->active * (double)(inputs + outputs);
    }
    return 1.25 * numbers * (double)sizeof(real);
}

static double packed_bytes(const workload *w, const params *p)
{
    const gemm_kernel *g = trainer_packs_for(w, w->shape.lanes);
    double values = 0;
    for (int i = 0; g && i < p->count; i++) {
        if (p->list[i].matmul) values += (double)p->list[i].count;
    }
    return g ? 2 * values * (double)sizeof(float) / g->depth : 0;
}

double run_memory_estimate(const workload *w, const model_cost *cost)
{
    const params *p = model_params_const(w->model);
    double vector = (double)p->total * (double)sizeof(real), gradients = vector;
    for (int i = 0; i < p->count; i++) { /* by rows, a table's take little */
        if (p->list[i].row_grads >= 0) gradients -= (double)p->list[i].count * (double)sizeof(real);
    }
    double lane_tokens = (double)(w->shape.lane_rows * w->shape.segment), stores = 0;
    if (w->eval.stored > 0) { /* more is carried than in training, beside it */
        stores = model_costs(w->eval_model).state_bytes * (double)w->eval.rows;
    }
    return vector + gradients * levels(w->shape.lanes) + (double)optim_bytes(&w->optim, p) +
           packed_bytes(w, p) + lane_tokens * tape_bytes_per_token(p) +
           cost->state_bytes * (double)w->train.batch + stores;
}
