#include "harness/run/run_memory.h"

#include "core/base/pages.h"
#include "harness/evaluate/eval_pass.h"
#include "harness/train/lane_sums.h"
#include "harness/train/trainer.h"

/* What decides how many runs go at a time until one of the variant was measured (job_memory.h):
 *
 *   the program before it opens a run
 *   + parameters + gradients, a vector for each level of the lanes' tree + moments
 *   + matrices packed for a step, for each direction
 *   + the tape of one lane (one thread works on one lane at a time) + what all rows carry
 *   + for each thread more: a lane's tape, a workspace of products, a vector of gradients, and what
 *     it evaluates with
 *   + of evaluation, beside it: one call of a lane, what its rows carry, and the parameters and
 *     gradients of rows that learn
 *
 * each as the kernel backs it, in large pages, which is what small models mostly consist of. Too
 * low, and the kernel kills a run; too high, and cores idle until the first run has ended. It is
 * meant to be near, and the supervisor corrects it by measured peaks. */

/* Heap and libraries' data: 2.4 MiB of what a run of experiments/benchmarks/tiny.yaml has. */
static const double PROGRAM_BYTES = 2.4 * (1 << 20);

/* In an arena of its own: its last page is one of the large ones, and may be there for a byte. */
static double in_arena(double bytes)
{
    return bytes + PAGES_LARGE;
}

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

/* Of one call, which a thread evaluates. */
static double call_bytes(const workload *w)
{
    const eval_task task = workload_evaluation(w, NULL, 1, NULL);
    return in_arena((double)eval_pass_call_tokens(&task) * passing_bytes_per_token(w->eval_model));
}

/* Beside training's memory, which is kept: contexts and stores may be longer, and rows more. Its
 * own, its tape's, what ops share (tables of positions), and what passes on or is learned are an
 * arena each. */
static double eval_bytes(const workload *w)
{
    const eval_options *o = &w->eval;
    const eval_task task = workload_evaluation(w, NULL, 1, NULL);
    const params *p = model_params_const(w->eval_model);
    double state = model_costs(w->eval_model).state_bytes * (double)o->rows;
    double tokens = (double)eval_pass_call_tokens(&task);
    double begun = state + in_arena(0) + in_arena(0) + in_arena(0);
    if (o->dynamic.kind == DYNAMIC_NONE) {
        return begun + call_bytes(w);
    }
    double row = 2 * (double)p->total * (double)sizeof(real);
    return begun + in_arena((double)o->rows * row) + tokens * tape_bytes_per_token(p);
}

/* What a lane's calls carry to each other stands on its tape twice: as one makes it, and joined to
 * what the next reads. */
static double lane_tape_bytes(const workload *w, const model_cost *cost)
{
    const train_shape *s = &w->shape;
    double rows = (double)s->lane_rows;
    return rows * (double)s->segment * tape_bytes_per_token(model_params_const(w->model)) +
           2 * rows * (double)s->calls * cost->state_bytes;
}

/* By rows, a table's take little. */
static double gradient_bytes(const params *p)
{
    double gradients = (double)p->total;
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].row_grads >= 0) gradients -= (double)p->list[i].count;
    }
    return gradients * (double)sizeof(real);
}

double run_memory_thread(const workload *w, const model_cost *cost)
{
    double training = in_arena(lane_tape_bytes(w, cost)) + PAGES_LARGE +
                      gradient_bytes(model_params_const(w->model));
    double evaluating = w->eval.dynamic.kind == DYNAMIC_NONE ? in_arena(0) + call_bytes(w) : 0;
    return training + evaluating;
}

double run_memory_estimate(const workload *w, const model_cost *cost)
{
    const params *p = model_params_const(w->model);
    int64_t count = w->shape.lanes;
    double vector = (double)p->total * (double)sizeof(real), gradients = gradient_bytes(p);
    double kept =
        vector + trainer_packed_bytes(w, count) + (double)count * (double)sizeof(lane_sums);
    double shared = in_arena(0), workspace = PAGES_LARGE;
    return PROGRAM_BYTES + in_arena(kept) + gradients * levels(count) +
           (double)optim_bytes(&w->optim, p) + in_arena(lane_tape_bytes(w, cost)) + shared +
           workspace + cost->state_bytes * (double)w->train.batch + eval_bytes(w);
}
