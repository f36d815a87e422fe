#include "harness/run/run_memory.h"

#include "harness/evaluate/eval_pass.h"
#include "harness/train/trainer.h"

/* What decides how many runs go at a time until one of the variant was measured (job_memory.h).
 * Only what grows with the model is in it:
 *
 *   parameters + gradients, a vector for each level of the lanes' tree + moments
 *   + matrices packed for a step, for each direction
 *   + the tape of one lane (one thread works on one lane at a time) + what all rows carry
 *   + of evaluation, beside it: one call of a lane, what its rows carry, and the parameters and
 *     gradients of rows that learn
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

/* Inputs and outputs per token of the matrices among parameters [begin, end). */
static double numbers_of(const params *p, int begin, int end)
{
    double numbers = 0;
    for (int i = begin; i < end; i++) {
        const param *q = &p->list[i];
        /* Only matrices that multiply activations: a table that is looked up puts a row per token
         * on the tape, a bias nothing. */
        if (!q->matmul || q->rank < 2) continue;
        int64_t inputs = q->shape[q->rank - 1], outputs = q->count / inputs;
        numbers += q->active * (double)(inputs + outputs);
    }
    return numbers;
}

/* What one token keeps on the tape: inputs and outputs of the matrices with their gradients. Some
 * of them share memory, norms and gates come on top; 1.25 is measured on the benchmark's models,
 * which hold 60 % of what 2 would give. */
static double tape_bytes_per_token(const params *p)
{
    return 1.25 * numbers_of(p, 0, p->count) * (double)sizeof(real);
}

/* Nothing is recorded: a layer has the memory that the one before it had. Twice the head's: logits
 * stand beside what the loss makes of them, the stream beside its norm. Of models of width 64 and
 * 256 with contexts of 4,096 and 8,192 bytes 0.82 to 1.01 of what was measured. */
static double passing_bytes_per_token(const model *m)
{
    const params *p = model_params_const(m);
    const layer *const *layers;
    double most = 0, head = (double)(model_width(m) + model_vocab(m));
    int n = model_layers(m, &layers);
    for (int i = 0; i < n; i++) {
        int begin = layers[i]->first_param;
        most = MAX(most, numbers_of(p, begin, begin + layers[i]->params));
    }
    return 1.25 * (most + 2 * head) * (double)sizeof(real);
}

/* Beside training's memory, which is kept: contexts and stores may be longer, and rows more. */
static double eval_bytes(const workload *w)
{
    const eval_options *o = &w->eval;
    const eval_task task = workload_evaluation(w, NULL, 1, NULL);
    const params *p = model_params_const(w->eval_model);
    double state = model_costs(w->eval_model).state_bytes * (double)o->rows;
    double tokens = (double)eval_pass_call_tokens(&task);
    if (o->dynamic.kind == DYNAMIC_NONE) {
        return state + tokens * passing_bytes_per_token(w->eval_model);
    }
    double row = 2 * (double)p->total * (double)sizeof(real);
    return state + (double)o->rows * row + tokens * tape_bytes_per_token(p);
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
    double lane_tokens = (double)(w->shape.lane_rows * w->shape.segment);
    return vector + gradients * levels(w->shape.lanes) + (double)optim_bytes(&w->optim, p) +
           packed_bytes(w, p) + lane_tokens * tape_bytes_per_token(p) +
           cost->state_bytes * (double)w->train.batch + eval_bytes(w);
}
