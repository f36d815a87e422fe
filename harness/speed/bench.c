#include "harness/speed/bench.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/base/crew.h"
#include "core/base/host.h"
#include "harness/speed/bench_gemm.h"
#include "results/compare/stats.h"

/* What is measured when, and why in this order:
 *
 *   1. the first step (memory is mapped), another to warm up
 *   2. three steps with a clock around every op: where the time goes
 *   3. the peak of memory, before anything that is not training's
 *   4. rounds: sgemm, the processor's peaks, half a second of steps; again and again
 *   5. evaluation, generation
 *
 * Rounds take turns because machines wander: clocks, neighbours, heat. A utilisation whose two
 * parts were measured a minute apart says as much about the weather as about the program. Medians,
 * for one step that something interrupted should not count; means would carry it.
 *
 *   utilisation = tokens/s x FLOPs per token / (GFLOP/s of sgemm in the same rounds)
 *
 * The FLOPs per token are the convention's (6 x parameters of products, and attention), not what is
 * executed: recomputation in the backward pass is work that is not paid for. */

/* ---- training ---- */

/* MOST_STEPS bounds the arrays, not the time: a tiny model takes more steps than anybody needs. */
enum { WARM_STEPS = 2, LEAST_STEPS = 5, MOST_STEPS = 1000 };

#define TURN_SECONDS 0.5

int64_t bench_tape_maps(trainer *t)
{
    int64_t maps = 0;
    for (int i = 0; i < t->threads; i++) {
        maps += tape_maps(t->tapes[i]);
    }
    return maps;
}

int64_t bench_tape_bytes(trainer *t)
{
    int64_t bytes = 0;
    for (int i = 0; i < t->threads; i++) {
        bytes += (int64_t)tape_bytes(t->tapes[i]);
    }
    return bytes;
}

bool bench_step(trainer *t, train_report *r, err *e)
{
    if (!trainer_step(t, r, e)) return false;
    host_memory_now(); /* the peak is over its calls */
    return !r->bad[0] || err_set(e, "training diverged: %s is not finite; lower the rate", r->bad);
}

/* The first step is a figure of its own (start-up), and must not be in the median of the others. */
static bool warm_up(bench_result *r, trainer *t, err *e)
{
    train_report report;
    double begin = host_monotonic_s();
    if (!bench_step(t, &report, e)) return false;
    r->first_step_seconds = host_monotonic_s() - begin;
    for (int i = 1; i < WARM_STEPS; i++) {
        if (!bench_step(t, &report, e)) return false;
    }
    return true;
}

/* What is measured of training and of the machine, in turns, so that a machine whose speed wanders
 * is the same for both. */
typedef struct timing {
    double step_seconds[MOST_STEPS], rates[MOST_STEPS];
    double gemms[MOST_STEPS], peaks[PEAK_KINDS][MOST_STEPS]; /* GFLOP/s, by round */
    int steps, rounds;
    double data, updates, total; /* seconds */
    train_report last;
} timing;

static void time_machine(timing *m, bench_gemm *meter, lanes *pool)
{
    m->gemms[m->rounds] = bench_gemm_round(meter);
    for (int k = 0; k < PEAK_KINDS; k++) {
        m->peaks[k][m->rounds] = bench_peak_round(pool, (peak_kind)k);
    }
    m->rounds++;
}

/* Turns are of a length, not of a number of steps: models of any size then have sgemm measured as
 * often per second. */
static bool time_turn(timing *m, trainer *t, err *e)
{
    double turn = 0;
    while (turn < TURN_SECONDS && m->steps < MOST_STEPS) {
        if (!bench_step(t, &m->last, e)) return false;
        m->step_seconds[m->steps] = m->last.seconds;
        m->rates[m->steps++] = m->last.weight / m->last.seconds;
        m->data += m->last.data_seconds;
        m->updates += m->last.optim_seconds;
        turn += m->last.seconds;
    }
    m->total += turn;
    return true;
}

static void sum_up(bench_result *r, timing *m)
{
    r->steps = m->steps;
    r->sgemm_gflops = stats_median(m->gemms, m->rounds);
    for (int k = 0; k < PEAK_KINDS; k++) { /* all rounds of a kind are NaN, or none */
        r->peak_gflops[k] = stats_median(m->peaks[k], m->rounds);
    }
    r->tokens_per_second = stats_median(m->rates, m->steps);
    r->step_ms = 1e3 * stats_median(m->step_seconds, m->steps);
    r->data_share = m->data / m->total;
    r->optimiser_share = m->updates / m->total;
    r->loss = m->last.nats / m->last.weight;
}

/* Maps are counted over the timed steps: after warming up a step should take no memory from the
 * system. */
static bool time_steps(bench_result *r, trainer *t, double seconds, err *e)
{
    arena_auto *a = arena_new(0);
    timing *m = arena_push_zero(a, 1, sizeof *m);
    double begin = host_monotonic_s();
    bench_gemm *meter = bench_gemm_new(t->pool);
    r->sgemm_size = bench_gemm_size(meter);
    int64_t maps = bench_tape_maps(t);
    bool ok = true;
    /* At least LEAST_STEPS, however long they take: a median of one is none. */
    while (ok && m->steps < MOST_STEPS &&
           (m->steps < LEAST_STEPS || host_monotonic_s() - begin < seconds)) {
        time_machine(m, meter, t->pool);
        ok = time_turn(m, t, e);
    }
    bench_gemm_free(meter);
    if (ok) sum_up(r, m);
    r->arena_maps_after_warmup = bench_tape_maps(t) - maps;
    return ok;
}

/* Ops of one name are one row, whichever layer they were in; times of threads are added, so that
 * the sum is processor time and not the clock's. */
static bool add_times(bench_result *r, const op_time *times, int n, int steps)
{
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < r->op_count && strcmp(r->ops[k].name, times[i].name) != 0) {
            k++;
        }
        if (k == BENCH_OPS) return false;
        if (k == r->op_count) r->ops[r->op_count++] = (bench_op){.name = times[i].name};
        r->ops[k].forward_ms += 1e3 * times[i].forward_s / steps;
        r->ops[k].backward_ms += 1e3 * times[i].backward_s / steps;
        r->ops[k].calls += times[i].calls / steps;
    }
    return true;
}

/* A few steps of their own: looking at the clock before and after every op costs time, too. */
static bool profile_steps(bench_result *r, trainer *t, err *e)
{
    enum { STEPS = 3 };
    op_time times[BENCH_OPS];
    train_report report;
    for (int i = 0; i < t->threads; i++) {
        tape_profile(t->tapes[i], true);
    }
    for (int i = 0; i < STEPS; i++) {
        if (!bench_step(t, &report, e)) return false;
    }
    for (int i = 0; i < t->threads; i++) {
        int n = tape_times(t->tapes[i], times, BENCH_OPS);
        CHECK(add_times(r, times, n, STEPS), "more than %d kinds of op", BENCH_OPS);
        tape_profile(t->tapes[i], false);
    }
    return true;
}

/* The profile comes before the timed steps, which run without clocks inside. */
static bool bench_training(bench_result *r, trainer *t, double seconds, err *e)
{
    if (!warm_up(r, t, e) || !profile_steps(r, t, e)) return false;
    r->tape_bytes = bench_tape_bytes(t);
    r->threads = t->threads;
    /* The figure that is asked for is training's: what is measured from here on has memory of its
     * own. */
    r->peak_rss_mib = (double)host_memory_now().peak_anon_bytes / (1 << 20);
    return time_steps(r, t, seconds, e);
}

/* ---- evaluation and generation ---- */

/* First contexts only, of as many rows as the spec evaluates with: a few seconds, whatever the
 * corpus. The span makes rows read side by side where state is carried; else one document would be
 * one row's, and a variant without state would look faster for that alone. */
bool bench_evaluate(double *tokens_per_second, workload *w, trainer *t, err *e)
{
    eval_options o = w->eval;
    const int64_t each = 4 * model_context(w->eval_model);
    o.tokens = MIN(o.tokens ? o.tokens : INT64_MAX, each * o.rows);
    if (o.span == 0) o.span = each; /* all rows read, whatever they carry: variants compare */
    o.losses = false;
    corpus_split *split = corpus_get(w->corpus, eval_options_split(&o));
    if (!split || split_tokens(split) == 0) return true;
    eval_task task = {.model = w->eval_model,
                      .values = t->values,
                      .corpus = w->corpus,
                      .options = &o,
                      .threads = t->threads,
                      .lanes = w->shape.lanes,
                      .seed = (uint64_t)w->seed};
    evaluation result;
    if (!evaluate(&result, &task, e)) return false;
    *tokens_per_second = result.tokens_per_second;
    evaluate_deinit(&result);
    return true;
}

/* The time at which each token was told, of all rows one behind the other. */
typedef struct token_clock {
    double *times;
    int count;
} token_clock;

static bool note_time(void *user, int64_t row, int32_t token)
{
    (void)row;
    (void)token;
    token_clock *c = user;
    c->times[c->count++] = host_monotonic_s();
    return true;
}

/* Median milliseconds between the tokens [begin, end) of the clock. The first token has no gap
 * before it: reading the prompt is in it. */
static double token_ms(const token_clock *c, int begin, int end)
{
    double gaps[MOST_STEPS];
    int n = 0;
    for (int i = MAX(begin, 1); i < end && n < MOST_STEPS; i++) {
        gaps[n++] = 1e3 * (c->times[i] - c->times[i - 1]);
    }
    return n ? stats_median(gaps, n) : (double)NAN;
}

/* Tokens per second of all rows together, each from a bare start; all threads work at each. Greedy:
 * the model is measured, not the drawing. Threads help inside of products (crew.h), since a single
 * row's tokens come one after the other. */
static double generate(workload *w, trainer *t, int rows, int count, token_clock *clock)
{
    model_state *state = model_state_new(w->model, rows);
    tape *tp = tape_new();
    const int32_t start = (int32_t)model_vocab(w->model);
    model_prompt prompts[BENCH_GENERATE_ROWS];
    for (int i = 0; i < rows; i++) {
        prompts[i] = (model_prompt){&start, 1};
    }
    const sampling greedy = {.temperature = 0, .top_p = 1};
    crew *helpers = crew_new(t->threads, NULL); /* without it, one thread */
    crew_help(helpers);
    double begin = host_monotonic_s();
    model_generate(state, tp, t->values, prompts, count, &greedy, note_time, clock);
    double seconds = host_monotonic_s() - begin;
    crew_help(NULL);
    crew_free(helpers);
    tape_free(tp);
    model_state_free(state);
    return clock->count / seconds;
}

/* One row: the first quarter of a context against the tokens after four of them; then several. Four
 * contexts and a bit: whether a token late in the text costs what an early one did is the question
 * that models with bounded state answer. Contexts above 1,024 are cut, or it would take minutes. */
static void bench_generation(bench_result *r, workload *w, trainer *t)
{
    int context = (int)MIN(model_context(w->model), (int64_t)1024), count = 4 * context + 128;
    arena_auto *a = arena_new(0);
    token_clock one = {.times = ARENA_NEW(a, double, count)};
    r->generate_tokens_per_second = generate(w, t, 1, count, &one);
    r->generate_early_ms = token_ms(&one, 0, MIN(context, 128));
    r->generate_late_ms = token_ms(&one, 4 * context, one.count);
    token_clock all = {.times = ARENA_NEW(a, double, (int64_t)BENCH_GENERATE_ROWS *context)};
    r->generate_rows_tokens_per_second = generate(w, t, BENCH_GENERATE_ROWS, context, &all);
}

/* ---- all of it ---- */

/* Blocks of the stack: its last layer's name says which one that is. */
static int64_t blocks_of(const model *m)
{
    const layer *const *layers;
    int n = model_layers(m, &layers);
    long long last = -1;
    return n > 0 && sscanf(layers[n - 1]->name, "blocks.%lld.", &last) == 1 ? last + 1 : 0;
}

/* The clock runs from the call: start_seconds is what a user waits for before the first step. The
 * figures of one row's context, width and batch are what a peer is compared by (bench_against.h).
 */
bool bench_run(bench_result *r, const node *spec, int64_t seed, const corpus_places *places,
               const bench_options *o, err *e)
{
    *r = (bench_result){.generate_early_ms = (double)NAN};
    double begin = host_monotonic_s();
    int threads = o->threads > 0 ? o->threads : host_cores();
    workload w;
    if (!workload_open(&w, spec, seed, places, e)) return false;
    model_cost cost = model_costs(w.model);
    r->params = cost.params;
    r->matmul_params = cost.matmul_params;
    r->flops_per_token = cost.bench_flops;
    r->width = model_width(w.model);
    r->layers = blocks_of(w.model);
    r->context = model_context(w.model);
    r->batch = w.train.batch;
    /* The budget says when a schedule ends, not how long a benchmark takes. */
    trainer *t = trainer_new(&w, threads, (train_length){.steps = INT64_MAX / 2}, e);
    r->start_seconds = host_monotonic_s() - begin;
    bool ok = t && bench_training(r, t, o->seconds > 0 ? o->seconds : 5, e) &&
              bench_evaluate(&r->eval_tokens_per_second, &w, t, e);
    if (ok) bench_generation(r, &w, t);
    trainer_free(t);
    workload_close(&w);
    if (!ok) return false;
    r->gflops = 1e-9 * r->tokens_per_second * r->flops_per_token;
    r->utilisation = r->gflops / r->sgemm_gflops;
    for (int k = 0; k < PEAK_KINDS; k++) {
        r->peak_utilisation[k] = r->gflops / r->peak_gflops[k];
    }
    return true;
}
