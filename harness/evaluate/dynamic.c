#include "harness/evaluate/dynamic.h"

#include "core/base/crew.h"
#include "core/ops/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The options, the gradient statistics and the update, all on flat vectors; who reads text with
 * them is dynamic_learner.c.
 *
 * With g_k the gradient of minibatch k of the training split, of B minibatches, element by element:
 *
 *   s = sqrt(1/B sum_k g_k^2)              root mean square
 *   m = mean over tensors of (mean of s)   every tensor counts the same, whatever its size
 *   d = min(s / m, 1 / decay)              so that decay d <= 1: the pull never goes past p0
 *   p <- p + decay d (p0 - p) - rate g / (s + eps)
 *
 * The mean over tensors and the clipping are those of the authors' code (Krause et al. 2018,
 * arXiv:1709.07432). s is measured once, before the first token that is scored, and stays: it knows
 * nothing of the text under evaluation.
 *
 * Both terms are computed from p before the step. Applied one after the other they would be another
 * rule, whose difference grows with rate x decay. */

/* `needs` names the kinds that an option has an effect on; with another it is refused, so that
 * nobody takes a plain evaluation for one with that decay. rates and decays are nodes, read by
 * read_grid: they hold lists. */
const option DYNAMIC_OPTIONS[] = {
    {"kind", OPTION_CHOICE, offsetof(dynamic_options, kind), .initial = "none",
     .choices = "none|sgd|rms", .help = "plain evaluation, or the rule by which it learns"},
    {"rate", OPTION_REAL, offsetof(dynamic_options, rate), .initial = "1e-4", .min = 0, .max = 1e6,
     .needs = "kind=sgd|rms", .help = "step size"},
    {"decay", OPTION_REAL, offsetof(dynamic_options, decay), .initial = "0", .min = 0, .max = 1,
     .needs = "kind=sgd|rms", .help = "pull towards the trained parameters, per update"},
    {"eps", OPTION_REAL, offsetof(dynamic_options, eps), .initial = "1e-5", .min = 1e-12,
     .max = 1e3, .needs = "kind=rms", .help = "added to the root mean square gradient"},
    {"segment", OPTION_INT, offsetof(dynamic_options, segment), .initial = "0", .min = 0,
     .max = 1e7, .needs = "kind=sgd|rms", .help = "tokens between updates; 0: the context"},
    {"match", OPTION_TEXT, offsetof(dynamic_options, match), .initial = "*",
     .needs = "kind=sgd|rms",
     .help = "names of the parameters that learn; * and ? match any characters"},
    {"carry", OPTION_BOOL, offsetof(dynamic_options, carry), .initial = "false",
     .needs = "kind=sgd|rms", .help = "keep what was learned when the next document begins"},
    {"statistics", OPTION_INT, offsetof(dynamic_options, statistics), .initial = "100k", .min = 1,
     .max = 1e12, .needs = "kind=rms",
     .help = "tokens of the training split that gradients are measured on"},
    {"batch", OPTION_INT, offsetof(dynamic_options, batch), .initial = "8", .min = 1, .max = 4096,
     .needs = "kind=rms", .help = "rows of a minibatch that gradients are measured on"},
    {"rates", OPTION_NODE, offsetof(dynamic_options, rates), .needs = "kind=sgd|rms",
     .help = "list: step sizes to choose from on the validation split"},
    {"decays", OPTION_NODE, offsetof(dynamic_options, decays), .needs = "kind=sgd|rms",
     .help = "list: pulls to choose from on the validation split"},
    {"grid_tokens", OPTION_INT, offsetof(dynamic_options, grid_tokens), .initial = "0", .min = 0,
     .max = 1e15, .needs = "rates or decays",
     .help = "tokens of the validation split to choose by; 0: all"},
    {0}};

/* Reads a list of numbers of the same range as the option `like`, into values [DYNAMIC_GRID].
 * `rate` beside `rates` is refused: one of the two would have no effect, and the user would not see
 * which. `alone` is what there is without a list: a grid of one. */
static bool read_grid(double *values, int *count, const node *list, const char *like, double alone,
                      const node *n, arena *a, err *e)
{
    *count = 1;
    values[0] = alone;
    if (!list || node_is_null(list)) return true;
    if (list->kind != NODE_LIST || list->count < 1 || list->count > DYNAMIC_GRID) {
        return node_err(e, list, "must be a list of 1 to %d numbers, [1e-4, 1e-3]", DYNAMIC_GRID);
    }
    const node *one = node_get(n, like);
    if (one) return node_err(e, one, "has no effect beside `%ss`; remove one of them", like);
    for (int i = 0; i < list->count; i++) {
        /* Read as that option, for its range and its messages. */
        dynamic_options o;
        node *map = node_map(a);
        if (node_get(n, "kind")) node_set(a, map, "kind", node_get(n, "kind"));
        node_set(a, map, like, list->items[i]);
        if (!options_read(&o, DYNAMIC_OPTIONS, map, NULL, a, e)) return false;
        values[i] = strcmp(like, "rate") == 0 ? o.rate : o.decay;
    }
    *count = list->count;
    return true;
}

/* No section and an empty one are kind none. A scalar here is a slip for {kind: ...}. */
bool dynamic_options_read(dynamic_options *o, const node *n, arena *a, err *e)
{
    *o = (dynamic_options){0};
    if (n && node_is_null(n)) n = NULL;
    if (n && n->kind != NODE_MAP) {
        return node_err(e, n, "is not a map; write {kind: rms, rate: 1e-4}");
    }
    return options_read(o, DYNAMIC_OPTIONS, n, NULL, a, e) &&
           read_grid(o->rate_values, &o->rate_count, o->rates, "rate", o->rate, n, a, e) &&
           read_grid(o->decay_values, &o->decay_count, o->decays, "decay", o->decay, n, a, e);
}

/* Identities are hashes of options, so what says the same has to be spelt the same: a segment that
 * is the context, and a list of one, which is no choice. */
void dynamic_options_settle(dynamic_options *o, int64_t context)
{
    option_settle(&o->segment, context, 0);
    /* A choice of one is none. */
    if (o->rate_count == 1) {
        o->rate = o->rate_values[0];
        o->rates = NULL;
    }
    if (o->decay_count == 1) {
        o->decay = o->decay_values[0];
        o->decays = NULL;
    }
}

/* ---- statistics ---- */

/* squares are double: in float the sum would lose a small square beside a large one. */
void dynamic_statistics_init(dynamic_statistics *s, const params *p)
{
    *s = (dynamic_statistics){.params = p};
    s->squares = calloc((size_t)p->total, sizeof *s->squares);
    s->rms = calloc((size_t)p->total, sizeof *s->rms);
    CHECK(s->squares && s->rms, "out of memory for %lld squares", (long long)p->total);
}

void dynamic_statistics_deinit(dynamic_statistics *s)
{
    free(s->squares);
    free(s->rms);
    *s = (dynamic_statistics){0};
}

/* Experts that no token of the minibatch went to have no gradient (has is false, and the memory
 * behind it undefined): their square is 0, and the minibatch is counted for them all the same, as
 * if it had been measured and found 0. */
void dynamic_statistics_add(dynamic_statistics *s, const grads *g)
{
    for (int i = 0; i < s->params->count; i++) {
        const param *q = &s->params->list[i];
        int64_t size = q->count / q->pieces;
        for (int64_t k = 0; k < q->pieces; k++) {
            if (!g->has[q->first_piece + k]) continue;
            const real *from = g->values + q->offset + k * size;
            double *to = s->squares + q->offset + k * size;
            for (int64_t j = 0; j < size; j++) {
                to[j] += (double)from[j] * (double)from[j];
            }
        }
    }
    s->batches++;
}

/* rms is kept for all tensors and m taken over those that learn: `match` changes the pull of what
 * it leaves in, since the mean is then over other tensors. squares go at once: they are twice the
 * size of rms. */
void dynamic_statistics_close(dynamic_statistics *s, const bool *learns)
{
    int tensors = 0;
    double mean = 0, n = (double)MAX(s->batches, 1);
    for (int i = 0; i < s->params->count; i++) {
        const param *q = &s->params->list[i];
        double sum = 0;
        for (int64_t j = q->offset; j < q->offset + q->count; j++) {
            double rms = sqrt(s->squares[j] / n);
            s->rms[j] = (real)rms;
            sum += rms;
        }
        if (learns && !learns[i]) continue;
        mean += sum / (double)q->count;
        tensors++;
    }
    s->mean = tensors ? mean / tensors : 0;
    free(s->squares);
    s->squares = NULL;
}

/* In double, from the floats that the rule will use: this is what decides whether they make sense.
 */
static double mean_of(const dynamic_statistics *s, const param *q)
{
    double sum = 0;
    for (int64_t j = q->offset; j < q->offset + q->count; j++) {
        sum += (double)s->rms[j];
    }
    return sum / (double)q->count;
}

/* What makes the rule useless is told before anything is scored. With m = 0 or not finite s / m
 * says nothing. And a warning's ground: m is a mean of means, so that one tensor with huge
 * gradients lifts it above all others, whose s / m is then next to 0, and `decay` does nothing for
 * them though the spec says so. `largest` is that tensor. */
bool dynamic_statistics_check(const dynamic_statistics *s, const bool *learns, int *wild, err *e)
{
    int weak = 0, tensors = 0, largest = -1;
    double most = 0;
    *wild = -1;
    for (int i = 0; i < s->params->count; i++) {
        if (learns && !learns[i]) continue;
        double mean = mean_of(s, &s->params->list[i]);
        weak += mean < 1e-3 * s->mean;
        tensors++;
        if (mean > most) most = mean, largest = i;
    }
    /* Half of the tensors, not one: a single weak tensor (a bias that nothing moves) is no sign of
     * a wild one. */
    if (isfinite(s->mean) && s->mean > 0) {
        if (2 * weak >= tensors) *wild = largest;
        return true;
    }
    return err_set(e,
                   "eval.dynamic: the gradients on the training split are %s: `rms` has nothing to "
                   "go by",
                   s->mean > 0      ? "infinite"
                   : isnan(s->mean) ? "no numbers"
                                    : "all 0");
}

/* ---- one update ---- */

/* x / m, where x is s of an element, or 1. Nothing was measured: 0, not a division by 0; then there
 * is no pull. */
static double per_mean(const dynamic_rule *r, double x)
{
    return r->statistics->mean > 0 ? x / r->statistics->mean : 0;
}

/* 1 / decay; without decay there is no limit, and the pull is multiplied by 0 anyway. */
static double most_rate(const dynamic_rule *r)
{
    return r->decay > 0 ? 1 / r->decay : (double)INFINITY;
}

/* Of one element, to be looked at; the update computes the same in step_rms, in the type of the
 * parameters. */
double dynamic_decay_rate(const dynamic_rule *r, int64_t element)
{
    if (!r->statistics) return 1;
    return fmin(per_mean(r, (double)r->statistics->rms[element]), most_rate(r));
}

/* p <- p + decay (p0 - p) - rate g over n elements; g NULL: gradient 0. Two loops and no test
 * inside: each is one stream of multiply-adds over memory, which is all that an update costs. */
static void step_sgd(real *restrict p, const real *restrict start, const real *restrict g,
                     int64_t n, real rate, real decay)
{
    if (!g) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            p[i] += decay * (start[i] - p[i]);
        }
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        p[i] += vec_fused(decay, start[i] - p[i], -(rate * g[i]));
    }
}

/* pull [1 / m], most: see dynamic_decay_rate. */
typedef struct rms_step {
    real rate, decay, eps, pull, most;
} rms_step;

/* x = s / m, pull = 1 / m: the division by m is done once per piece, that by s + eps per element.
 */
static void step_rms(real *restrict p, const real *restrict start, const real *restrict g,
                     const real *restrict rms, int64_t n, rms_step s)
{
    if (!g) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            real x = rms[i] * s.pull;
            p[i] += s.decay * (x < s.most ? x : s.most) * (start[i] - p[i]);
        }
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real x = rms[i] * s.pull;
        p[i] += s.decay * (x < s.most ? x : s.most) * (start[i] - p[i]) -
                s.rate * g[i] / (rms[i] + s.eps);
    }
}

/* One update of all parameters, in parts, one for each thread that may help (crew.h). Elements do
 * not depend on each other, so that the number of parts changes no bit. */
typedef struct step_job {
    const dynamic_rule *rule;
    real *values;
    const grads *g;
    int parts;
} step_job;

/* Elements [at, at + n) of a piece. All that is per update (rate, decay, 1 / m, the limit) is
 * rounded to `real` here, once, and not in the loop; s and p0 lie beside the values in arrays of
 * the same layout [params.total]. */
static void step_elements(const step_job *j, int64_t at, int64_t n, bool has)
{
    const dynamic_rule *r = j->rule;
    const real *grad = has ? j->g->values + at : NULL;
    rms_step s = {.rate = (real)r->rate, .decay = (real)r->decay, .eps = (real)r->eps};
    if (r->statistics) {
        s.pull = (real)per_mean(r, 1);
        s.most = (real)most_rate(r);
        step_rms(j->values + at, r->start + at, grad, r->statistics->rms + at, n, s);
    } else {
        step_sgd(j->values + at, r->start + at, grad, n, s.rate, s.decay);
    }
}

/* Of every piece the part's share, rather than some pieces whole: tensors are of very different
 * sizes, and shares of each are even whatever those are. Padding between parameters is never
 * touched and stays 0. */
static void step_part(void *arg, int part)
{
    const step_job *j = arg;
    const dynamic_rule *r = j->rule;
    for (int i = 0; i < r->params->count; i++) {
        const param *q = &r->params->list[i];
        if (r->learns && !r->learns[i]) continue;
        int64_t size = q->count / q->pieces;
        /* Integer arithmetic makes the parts' ends meet: part k ends where part k + 1 begins, and
         * the last at size. */
        int64_t from = size * part / j->parts, to = size * (part + 1) / j->parts;
        for (int64_t k = 0; k < q->pieces; k++) {
            step_elements(j, q->offset + k * size + from, to - from, j->g->has[q->first_piece + k]);
        }
    }
}

/* Without help (crew_hands 1) it is one part, run on the calling thread. */
void dynamic_step(const dynamic_rule *r, real *values, const grads *g)
{
    step_job j = {r, values, g, crew_hands()};
    crew_run(step_part, &j, j.parts);
}
