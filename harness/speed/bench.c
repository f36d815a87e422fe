#include "harness/speed/bench.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/base/host.h"
#include "harness/speed/bench_gemm.h"
#include "harness/speed/bench_parts.h"

/* ---- training ---- */

enum { WARM_STEPS = 2, LEAST_STEPS = 5, MOST_STEPS = 1000 };

#define TURN_SECONDS 0.5

int64_t bench_tape_maps(trainer *t)
{
    int64_t maps = 0;
    for (int i = 0; i < trainer_threads(t); i++) {
        maps += tape_maps(trainer_tape(t, i));
    }
    return maps;
}

int64_t bench_tape_bytes(trainer *t)
{
    int64_t bytes = 0;
    for (int i = 0; i < trainer_threads(t); i++) {
        bytes += (int64_t)tape_bytes(trainer_tape(t, i));
    }
    return bytes;
}

bool bench_step(trainer *t, train_report *r, err *e)
{
    if (!trainer_step(t, r, e)) return false;
    host_memory_now(); /* the peak is over its calls */
    return !r->bad[0] || err_set(e, "training diverged: %s is not finite; lower the rate", r->bad);
}

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

/* Steps and rounds of sgemm take turns, so that a machine whose speed wanders is the same for both.
 */
static bool time_steps(bench_result *r, trainer *t, double seconds, err *e)
{
    static double times[MOST_STEPS], rates[MOST_STEPS], gemms[MOST_STEPS];
    train_report report = {0};
    double data = 0, updates = 0, total = 0, begin = host_monotonic_s();
    int rounds = 0;
    gemm_meter *meter = gemm_meter_new(trainer_pool(t));
    gemm_meter_round(meter);
    int64_t maps = bench_tape_maps(t);
    bool ok = true;
    while (ok && r->steps < MOST_STEPS &&
           (r->steps < LEAST_STEPS || host_monotonic_s() - begin < seconds)) {
        gemms[rounds++] = gemm_meter_round(meter);
        double turn = 0;
        while (turn < TURN_SECONDS && r->steps < MOST_STEPS && (ok = bench_step(t, &report, e))) {
            times[r->steps] = report.seconds;
            rates[r->steps++] = report.weight / report.seconds;
            data += report.data_seconds;
            updates += report.optim_seconds;
            turn += report.seconds;
        }
        total += turn;
    }
    gemm_meter_free(meter);
    if (!ok) return false;
    r->sgemm_gflops = stats_median(gemms, rounds);
    r->tokens_per_second = stats_median(rates, r->steps);
    r->step_ms = 1e3 * stats_median(times, r->steps);
    r->data_share = data / total;
    r->optimiser_share = updates / total;
    r->loss = report.nats / report.weight;
    r->arena_maps_after_warmup = bench_tape_maps(t) - maps;
    return true;
}

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
    for (int i = 0; i < trainer_threads(t); i++) {
        tape_profile(trainer_tape(t, i), true);
    }
    for (int i = 0; i < STEPS; i++) {
        if (!bench_step(t, &report, e)) return false;
    }
    for (int i = 0; i < trainer_threads(t); i++) {
        int n = tape_times(trainer_tape(t, i), times, BENCH_OPS);
        CHECK(add_times(r, times, n, STEPS), "more than %d kinds of op", BENCH_OPS);
        tape_profile(trainer_tape(t, i), false);
    }
    return true;
}

static bool bench_training(bench_result *r, trainer *t, double seconds, err *e)
{
    if (!warm_up(r, t, e) || !profile_steps(r, t, e)) return false;
    r->tape_bytes = bench_tape_bytes(t);
    r->threads = trainer_threads(t);
    /* The figure that is asked for is training's: what is measured from here on has memory of its
     * own. */
    r->peak_rss_mib = (double)host_memory_now().peak_anon_bytes / (1 << 20);
    return time_steps(r, t, seconds, e);
}

/* ---- evaluation and generation ---- */

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
                      .values = trainer_values(t),
                      .corpus = w->corpus,
                      .options = &o,
                      .threads = trainer_threads(t),
                      .lanes = w->shape.lanes,
                      .seed = (uint64_t)w->seed};
    evaluation result;
    if (!evaluate(&result, &task, e)) return false;
    *tokens_per_second = result.tokens_per_second;
    evaluate_deinit(&result);
    return true;
}

typedef struct token_clock {
    double *times;
    int count;
} token_clock;

static bool note_time(void *user, int32_t token)
{
    (void)token;
    token_clock *c = user;
    c->times[c->count++] = host_monotonic_s();
    return true;
}

/* Median milliseconds between the tokens [begin, end) of the clock. */
static double token_ms(const token_clock *c, int begin, int end)
{
    double gaps[MOST_STEPS];
    int n = 0;
    for (int i = MAX(begin, 1); i < end && n < MOST_STEPS; i++) {
        gaps[n++] = 1e3 * (c->times[i] - c->times[i - 1]);
    }
    return n ? stats_median(gaps, n) : (double)NAN;
}

/* Generates from a bare start: the first quarter of a context against the tokens after four of
 * them. */
static void bench_generation(bench_result *r, workload *w, trainer *t)
{
    int context = (int)MIN(model_context(w->model), (int64_t)1024), count = 4 * context + 128;
    arena *a = arena_new(0);
    token_clock clock = {.times = ARENA_NEW(a, double, count)};
    model_state *state = model_state_new(w->model, 1);
    tape *tp = tape_new();
    const int32_t start = (int32_t)model_vocab(w->model);
    const sampling greedy = {.temperature = 0, .top_p = 1};
    double begin = host_monotonic_s();
    model_generate(state, tp, trainer_values(t), &start, 1, count, &greedy, note_time, &clock);
    r->generate_tokens_per_second = clock.count / (host_monotonic_s() - begin);
    r->generate_early_ms = token_ms(&clock, 0, MIN(context, 128));
    r->generate_late_ms = token_ms(&clock, 4 * context, clock.count);
    tape_free(tp);
    model_state_free(state);
    arena_free(a);
}

/* ---- all of it ---- */

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
    return true;
}
