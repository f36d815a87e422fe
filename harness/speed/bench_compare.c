#include "harness/speed/bench_compare.h"

#include <math.h>
#include <string.h>

#include "core/base/host.h"
#include "results/compare/stats.h"

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 1000, MOST_STEPS = 1000 };

#define TURN_SECONDS 0.5

/* A variant at work. */
typedef struct contender {
    workload work;
    trainer *trainer;
    bool open;
    double *train, *eval; /* [MOST_ROUNDS]: tokens per second */
    bench_variant *result;
} contender;

typedef struct contest {
    arena *memory;
    int count, baseline, rounds;
    double turn; /* seconds of training in a round */
    contender *contenders;
} contest;

/* ---- opening ---- */

static double state_bytes(trainer *t)
{
    int64_t n = trainer_workload(t)->shape.lanes, bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        bytes += model_state_bytes(trainer_state(t, i));
    }
    return (double)bytes;
}

static bool open_contender(contender *k, const node *tree, int64_t seed,
                           const corpus_places *places, const bench_options *o, err *e)
{
    bench_variant *v = k->result;
    int64_t before = host_memory_now().anon_bytes;
    if (!workload_open(&k->work, tree, seed, places, e)) return false;
    k->open = true;
    model_cost cost = model_costs(k->work.model);
    v->params = cost.params;
    v->active_params = cost.active_params;
    k->trainer = trainer_new(&k->work, o->threads, (train_length){.steps = INT64_MAX / 2}, e);
    if (!k->trainer) return false;
    train_report report;
    for (int i = 0; i < o->warm_up; i++) {
        if (!bench_step(k->trainer, &report, e)) return false;
    }
    v->memory_bytes = (double)(host_memory_now().anon_bytes - before);
    v->work_bytes = (double)bench_tape_bytes(k->trainer) + state_bytes(k->trainer);
    return true;
}

static bool open_all(contest *c, experiment *x, const corpus_places *places, const bench_options *o,
                     err *e)
{
    for (int i = 0; i < c->count; i++) {
        contender *k = &c->contenders[i];
        const node *tree = experiment_spec(x, i, e);
        *k->result = (bench_variant){.label = arena_strdup(c->memory, x->runs[i].label),
                                     .is_baseline = x->runs[i].is_baseline};
        if (k->result->is_baseline) c->baseline = i;
        if (!tree || !open_contender(k, tree, x->runs[i].seed, places, o, e)) {
            return err_prefix(e, "variant '%s'", k->result->label);
        }
    }
    return true;
}

static void close_all(contest *c)
{
    for (int i = 0; i < c->count; i++) {
        contender *k = &c->contenders[i];
        trainer_free(k->trainer);
        if (k->open) workload_close(&k->work);
    }
}

/* ---- what layers tell ---- */

typedef struct mean {
    const char *name;
    double sum;
    int layers;
} mean;

/* Means over layers, but for figures of single experts ("load.3"). */
static const char *figures_of(arena *a, const train_report *r)
{
    enum { MOST = 24 };
    mean means[MOST];
    int count = 0;
    for (int i = 0; i < r->metric_count; i++) {
        const metric *m = &r->metrics[i];
        int k = 0;
        if (strchr(m->name, '.') || !(m->weight > 0)) continue;
        while (k < count && strcmp(means[k].name, m->name) != 0) {
            k++;
        }
        if (k == MOST) continue;
        if (k == count) means[count++] = (mean){.name = m->name};
        means[k].sum += m->sum / m->weight;
        means[k].layers++;
    }
    char text[1024] = "";
    size_t n = 0;
    for (int k = 0; k < count && n < sizeof text; k++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.3g", k ? ", " : "", means[k].name,
                              means[k].sum / means[k].layers);
    }
    return arena_strdup(a, text);
}

/* ---- rounds ---- */

/* A round's figure is the median of its steps: one step that another process interrupts does not
 * count, a machine that is slower for the whole round does, for all variants alike. */
static bool train_turn(contest *c, contender *k, err *e)
{
    double rates[MOST_STEPS], total = 0;
    train_report report;
    int n = 0;
    while (n < MOST_STEPS && (n == 0 || total < c->turn)) {
        if (!bench_step(k->trainer, &report, e)) return false;
        rates[n++] = report.weight / report.seconds;
        total += report.seconds;
    }
    k->train[c->rounds] = stats_median(rates, n);
    k->result->steps += n;
    k->result->loss = report.nats / report.weight;
    k->result->figures = figures_of(c->memory, &report);
    return true;
}

static bool eval_turn(contest *c, contender *k, err *e)
{
    k->eval[c->rounds] = (double)NAN;
    return bench_evaluate(&k->eval[c->rounds], &k->work, k->trainer, e);
}

/* Who begins changes from round to round. */
static bool run_round(contest *c, err *e)
{
    for (int i = 0; i < c->count; i++) {
        contender *k = &c->contenders[(c->rounds + i) % c->count];
        if (!train_turn(c, k, e) || !eval_turn(c, k, e)) {
            return err_prefix(e, "variant '%s'", k->result->label);
        }
    }
    c->rounds++;
    return true;
}

static bool run_rounds(contest *c, double seconds, err *e)
{
    double begin = host_monotonic_s();
    c->turn = fmin(TURN_SECONDS, seconds / (LEAST_ROUNDS * c->count));
    while (c->rounds < MOST_ROUNDS &&
           (c->rounds < LEAST_ROUNDS || host_monotonic_s() - begin < seconds)) {
        if (!run_round(c, e)) return false;
    }
    return true;
}

/* ---- figures ---- */

static bench_speed speed_of(const double *own, const double *baseline, int rounds)
{
    double rates[MOST_ROUNDS], ratios[MOST_ROUNDS];
    for (int i = 0; i < rounds; i++) {
        if (!isfinite(own[i]) || !isfinite(baseline[i])) {
            return (bench_speed){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
        }
        rates[i] = own[i];
        ratios[i] = own[i] / baseline[i];
    }
    bench_speed s = {.rate = stats_median(rates, rounds), .ratio = stats_median(ratios, rounds)};
    s.low = stats_quantile(ratios, rounds, 0.25); /* median has sorted them */
    s.high = stats_quantile(ratios, rounds, 0.75);
    return s;
}

static void summarise(contest *c)
{
    const contender *base = &c->contenders[c->baseline];
    for (int i = 0; i < c->count; i++) {
        contender *k = &c->contenders[i];
        bench_variant *v = k->result;
        v->train = speed_of(k->train, base->train, c->rounds);
        v->eval = speed_of(k->eval, base->eval, c->rounds);
        v->memory_ratio = v->memory_bytes / base->result->memory_bytes;
        v->work_ratio = v->work_bytes / base->result->work_bytes;
    }
}

bench_comparison *bench_compare(arena *a, experiment *x, const corpus_places *places,
                                const bench_options *o, err *e)
{
    int count = x->sweep->variant_count;
    const bench_options how = {.threads = o->threads > 0 ? o->threads : host_cores(),
                               .seconds = o->seconds > 0 ? o->seconds : 5,
                               .warm_up = o->warm_up > 0 ? o->warm_up : 3};
    bench_comparison *r = ARENA_NEW(a, bench_comparison, 1);
    *r = (bench_comparison){.threads = how.threads,
                            .count = count,
                            .variants = arena_push_zero(a, count, sizeof *r->variants)};
    contest c = {
        .memory = a, .count = count, .contenders = arena_push_zero(a, count, sizeof(contender))};
    for (int i = 0; i < count; i++) {
        c.contenders[i].result = &r->variants[i];
        c.contenders[i].train = ARENA_NEW(a, double, MOST_ROUNDS);
        c.contenders[i].eval = ARENA_NEW(a, double, MOST_ROUNDS);
    }
    bool ok = open_all(&c, x, places, &how, e) && run_rounds(&c, how.seconds, e);
    if (ok) summarise(&c);
    r->rounds = c.rounds;
    close_all(&c);
    return ok ? r : NULL;
}
