#include "harness/speed/bench_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/host.h"
#include "results/compare/stats.h"

/* A contest: all models are in memory at once and take turns, so that a ratio is of two
 * measurements seconds apart,
 *
 *   ratio = median over rounds of (own rate of the round / baseline's rate of the round)
 *
 * and not of two medians from different hours. Within a round the median over steps; who begins
 * changes from round to round, so that nobody always follows the same one.
 *
 * The price is memory, for every model with its tapes is there at the same time; models that only
 * differ in numbers of the optimiser are measured once.
 *
 * Time is bounded from outside (--seconds). What must happen in any case is one step of warming up
 * and one turn of training per model; everything else looks at the deadline. */

enum { MOST_ROUNDS = 1000, MOST_STEPS = 1000 };
#define TURN_SECONDS 0.5
#define WARM_SHARE   0.25 /* of the seconds asked for, at most */
/* A variant at work. */
typedef struct contender {
    workload work;
    trainer *trainer;
    bool open;
    double *train, *eval; /* [MOST_ROUNDS]: tokens per second */
    bench_variant *result;
    int index; /* among the variants */
} contender;

typedef struct contest {
    arena *memory;
    int count, baseline, rounds;
    double turn;     /* seconds of training in a round */
    double deadline; /* monotonic: from then on nothing begins that can be left out */
    contender *contenders;
} contest;

/* ---- models ---- */

/* What of a spec costs time; what is left out is no part of a step. A list of what is free, not of
 * what costs: an option that nobody thought of here makes a model of its own, which is slower to
 * measure and never wrong. Sections that are empty then go, too, or `optimizer: {}` would differ
 * from none. */
static const node *costly_part(arena *a, const node *tree)
{
    static const char *const FREE[] = {"schedule",           "init_from",
                                       "optimizer.lr",       "optimizer.beta1",
                                       "optimizer.beta2",    "optimizer.eps",
                                       "optimizer.momentum", "optimizer.eps1",
                                       "optimizer.eps2",     "optimizer.weight_decay",
                                       "train.budget",       "train.log_every",
                                       "train.eval_every",   "train.checkpoint_seconds",
                                       "train.keep_every",   "train.keep_best"};
    node *part = node_copy(a, tree);
    for (size_t i = 0; i < sizeof FREE / sizeof FREE[0]; i++) {
        const char *dot = strchr(FREE[i], '.');
        char section[32];
        snprintf(section, sizeof section, "%.*s", dot ? (int)(dot - FREE[i]) : 0, FREE[i]);
        node *map = dot ? node_get(part, section) : part;
        if (map) node_remove(map, dot ? dot + 1 : FREE[i]);
        if (dot && map && map->kind == NODE_MAP && map->count == 0) node_remove(part, section);
    }
    return part;
}

/* Sets which variant each is measured as. The baseline goes before all others: whoever is the same
 * model as the baseline has its figures, with ratio 1. k walks the variants from the front until an
 * equal one is found, i itself at the latest. */
static bool find_models(bench_comparison *r, arena *a, experiment *x, err *e)
{
    const node **parts = ARENA_NEW(a, const node *, r->count);
    int baseline = 0;
    for (int i = 0; i < r->count; i++) {
        const node *tree = experiment_spec(x, i, e);
        if (!tree) return err_prefix(e, "variant '%s'", x->runs[i].label);
        parts[i] = costly_part(a, tree);
        r->variants[i] = (bench_variant){.label = arena_strdup(a, x->runs[i].label),
                                         .is_baseline = x->runs[i].is_baseline};
        if (x->runs[i].is_baseline) baseline = i;
    }
    for (int i = 0; i < r->count; i++) {
        int first = baseline;
        for (int k = 0; !node_equal(parts[i], parts[first]); k++) {
            first = k; /* i itself at last */
        }
        r->variants[i].model = first;
        r->models += first == i;
    }
    return true;
}

/* The figures of the model's variant; label and mark stay the variant's own. */
static void share_figures(bench_comparison *r)
{
    for (int i = 0; i < r->count; i++) {
        bench_variant *v = &r->variants[i], own = *v;
        *v = r->variants[own.model];
        v->label = own.label;
        v->is_baseline = own.is_baseline;
    }
}

/* ---- opening ---- */

static double state_bytes(trainer *t)
{
    int64_t n = t->w->shape.lanes, bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        bytes += model_state_bytes(t->states[i]);
    }
    return (double)bytes;
}

/* The first step always. */
static bool warm_up(bench_variant *v, trainer *t, int steps, double seconds, err *e)
{
    train_report report;
    double begin = host_monotonic_s();
    while (v->warmed < steps && (v->warmed == 0 || host_monotonic_s() - begin < seconds)) {
        if (!bench_step(t, &report, e)) return false;
        v->warmed++;
    }
    return true;
}

/* Memory is what the process grew by from here to the end of warming up: values, moments,
 * gradients, tapes, states. work_bytes is the last two, as their owners tell. Models opened before
 * are part of `before`. */
static bool open_contender(contender *k, const node *tree, int64_t seed,
                           const corpus_places *places, const bench_options *o, double warm_seconds,
                           err *e)
{
    bench_variant *v = k->result;
    int64_t before = host_memory_now().anon_bytes;
    if (!workload_open(&k->work, tree, seed, places, e)) return false;
    k->open = true;
    model_cost cost = model_costs(k->work.model);
    v->params = cost.params;
    v->active_params = cost.active_params;
    k->trainer = trainer_new(&k->work, o->threads, (train_length){.steps = INT64_MAX / 2}, e);
    if (!k->trainer || !warm_up(v, k->trainer, o->warm_up, warm_seconds, e)) return false;
    v->memory_bytes = (double)(host_memory_now().anon_bytes - before);
    v->work_bytes = (double)bench_tape_bytes(k->trainer) + state_bytes(k->trainer);
    return true;
}

/* Warming up is bounded per model, so that the first ones do not use up the others' time. */
static bool open_all(contest *c, experiment *x, const corpus_places *places, const bench_options *o,
                     err *e)
{
    const double warm = WARM_SHARE * o->seconds / c->count;
    for (int i = 0; i < c->count; i++) {
        contender *k = &c->contenders[i];
        const node *tree = experiment_spec(x, k->index, e);
        if (k->result->is_baseline) c->baseline = i;
        if (!tree || !open_contender(k, tree, x->runs[k->index].seed, places, o, warm, e)) {
            return err_prefix(e, "variant '%s'", k->result->label);
        }
    }
    return true;
}

/* Also after a failure half-way: what was opened is marked. */
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

/* Means over layers, but for figures of single experts ("load.3"). A router that drops tokens is
 * faster: what layers tell of themselves stands below the table of speeds. More kinds than fit are
 * left out; this is a line for people. */
static const char *figures_of(arena *a, const train_report *r)
{
    enum { MOST = 24 };
    mean means[MOST];
    int count = 0;
    for (int i = 0; i < r->metric_count; i++) {
        const metric *m = &r->metrics[i];
        int k = 0;
        /* Of a metric without weight there is no mean. */
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

/* Left out once time is up: a round that was begun ends with what it began for, training. */
static bool eval_turn(contest *c, contender *k, err *e)
{
    k->eval[c->rounds] = (double)NAN;
    if (host_monotonic_s() > c->deadline) {
        if (c->rounds == 0) k->result->not_evaluated = true;
        return true;
    }
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

/* As many rounds as fit, and one in any case; half of a turn's time is left for evaluation. Another
 * round is begun if the longest one so far would still fit. */
static bool run_rounds(contest *c, double seconds, err *e)
{
    /* A turn is TURN_SECONDS at most, or less where BENCH_LEAST_ROUNDS of all models would not fit
     * into the time otherwise. */
    double begin = host_monotonic_s(), longest = 0;
    c->deadline = begin + seconds;
    c->turn = fmin(TURN_SECONDS, seconds / (2 * BENCH_LEAST_ROUNDS * c->count));
    do {
        double now = host_monotonic_s();
        if (!run_round(c, e)) return false;
        longest = fmax(longest, host_monotonic_s() - now);
    } while (c->rounds < MOST_ROUNDS && host_monotonic_s() + longest < c->deadline);
    return true;
}

/* ---- figures ---- */

/* Rounds in which one of the two was not measured give no ratio, and no rate either, so that both
 * figures are of the same rounds. */
static bench_speed speed_of(const double *own, const double *baseline, int rounds)
{
    double rates[MOST_ROUNDS], ratios[MOST_ROUNDS];
    int n = 0;
    for (int i = 0; i < rounds; i++) {
        if (!isfinite(own[i]) || !isfinite(baseline[i])) continue; /* the last: no time was left */
        rates[n] = own[i];
        ratios[n++] = own[i] / baseline[i];
    }
    if (n == 0) return (bench_speed){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    bench_speed s = {.rate = stats_median(rates, n), .ratio = stats_median(ratios, n)};
    s.low = stats_quantile(ratios, n, 0.25); /* median has sorted them */
    s.high = stats_quantile(ratios, n, 0.75);
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

/* One contender per model: the variant that stands for it. Arrays of rates are reserved for the
 * most rounds there can be: nothing grows while it is measured. */
static contest contest_of(arena *a, bench_comparison *r)
{
    contest c = {.memory = a, .contenders = arena_push_zero(a, r->models, sizeof(contender))};
    for (int i = 0; i < r->count; i++) {
        if (r->variants[i].model != i) continue;
        c.contenders[c.count++] = (contender){.result = &r->variants[i],
                                              .index = i,
                                              .train = ARENA_NEW(a, double, MOST_ROUNDS),
                                              .eval = ARENA_NEW(a, double, MOST_ROUNDS)};
    }
    return c;
}

/* A quarter of the time for warming up, the rest for rounds; opening (corpora, tokenizers) is not
 * in it. */
bench_comparison *bench_compare(arena *a, experiment *x, const corpus_places *places,
                                const bench_options *o, err *e)
{
    const bench_options how = {.threads = o->threads > 0 ? o->threads : host_cores(),
                               .seconds = o->seconds > 0 ? o->seconds : 5,
                               .warm_up = o->warm_up > 0 ? o->warm_up : 3};
    bench_comparison *r = ARENA_NEW(a, bench_comparison, 1);
    int count = x->sweep->variant_count;
    *r = (bench_comparison){.threads = how.threads,
                            .warm_up = how.warm_up,
                            .seconds = how.seconds,
                            .count = count,
                            .variants = arena_push_zero(a, count, sizeof *r->variants)};
    if (!find_models(r, a, x, e)) return NULL;
    contest c = contest_of(a, r);
    bool ok = open_all(&c, x, places, &how, e) && run_rounds(&c, how.seconds * (1 - WARM_SHARE), e);
    if (ok) summarise(&c);
    if (ok) share_figures(r);
    r->rounds = c.rounds;
    close_all(&c);
    return ok ? r : NULL;
}
