#include "results/compare/compare_load.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/options/option.h"
#include "results/compare/compare_at.h"
#include "results/compare/compare_documents.h"
#include "results/compare/compare_made.h"
#include "results/compare/compare_read.h"
#include "results/compare/compare_tune.h"
#include "results/compare/compare_view.h"

/* The order in which a comparison is made is fixed by what each step needs: runs and their figures
 * (or the chosen ones), then the cut at an equal amount, then the baseline, then which variants
 * stay. Only then metric, means and differences: they and Holm's correction are about the variants
 * that are shown. Filtering afterwards would leave p corrected for comparisons that nobody sees. */

/* Bytes first, words where a tokenizer is lossy. Equal counts stand for equal texts: hashes of the
 * data are in the protocol, and differences of it are said apart (compare_protocol.c). */
static void note_text(comparison *c)
{
    const compared_run *first = NULL;
    c->same_text = true;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored) continue;
            c->lossy = c->lossy || r->bytes < 0;
            if (!first) first = r;
            bool by_bytes = first->bytes >= 0 && r->bytes >= 0;
            bool same = by_bytes ? first->bytes == r->bytes : first->words == r->words;
            c->same_text = c->same_text && same;
        }
    }
}

/* Speeds of one column are of one kind. Either all were measured alone, on one machine, or the
 * column is of speeds beside other runs; a column of both would rank who had the machine for
 * itself. */
static void note_speed(comparison *c)
{
    int scored = 0, alone = 0;
    for (int i = 0; i < c->count; i++) {
        bool any_scored = false, any_alone = false;
        for (int k = 0; k < c->variants[i].run_count; k++) {
            any_scored = any_scored || c->variants[i].runs[k].scored;
            any_alone = any_alone || isfinite(c->variants[i].runs[k].alone);
        }
        scored += any_scored;
        alone += any_scored && any_alone;
    }
    c->alone = scored > 0 && alone == scored && compare_made_alone_alike(c);
}

/* The share of unknown tokens, the most of any run that counts. fmax leaves a NaN out: unknown only
 * if every run's is. */
static double unknown_share(const compared_variant *v)
{
    double share = (double)NAN;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i];
        if (!r->scored || r->unknown < 0 || r->tokens <= 0) continue;
        share = fmax(share, (double)r->unknown / (double)r->tokens);
    }
    return share;
}

/* Tokens that neither of two models could tell apart are the same for both, if all tokens are. */
static bool same_tokens(const compared_variant *x, const compared_variant *y)
{
    const compared_run *a = compare_scored(x), *b = compare_scored(y);
    return a && b && a->tokens == b->tokens && a->unknown == b->unknown &&
           compare_same_tokenizer(a, b);
}

/* If either of the two lacks much, a difference would be the tokenizer's; if they scored the same
 * tokens, what is lacking is lacking in both, and it is a difference of models again. */
static void note_unknown(comparison *c)
{
    const compared_variant *base = c->baseline < 0 ? NULL : &c->variants[c->baseline];
    for (int i = 0; i < c->count; i++) {
        c->variants[i].unknown = unknown_share(&c->variants[i]);
    }
    for (int i = 0; i < c->count && base; i++) {
        compared_variant *v = &c->variants[i];
        bool lacking = v->unknown > COMPARE_UNKNOWN_SHARE || base->unknown > COMPARE_UNKNOWN_SHARE;
        /* A comparison with NaN is false: what is not known to lack anything is ranked. */
        v->unranked = compare_unlike_tokens(v, base, c->metric) ||
                      (v != base && lacking && !same_tokens(v, base));
    }
}

/* The different ones of n values, in order; NaN is none. Each once: seeds mostly choose the same
 * value, and it is said once then. */
static const char *choices(arena *a, double *x, int n)
{
    text_memory text;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (isfinite(x[i])) x[kept++] = x[i];
    }
    qsort(x, (size_t)kept, sizeof *x, stats_by_value);
    FILE *f = text_begin(&text);
    for (int i = 0; i < kept; i++) {
        if (i == 0 || x[i] > x[i - 1]) fprintf(f, "%s%g", i ? ", " : "", x[i]);
    }
    return text_end_in(&text, a);
}

/* Figures of runs whose means over seeds are the variant's. */
#define MEAN_OF(field)                                                                             \
    {                                                                                              \
        offsetof(compared_run, field), offsetof(compared_variant, field)                           \
    }
static const struct {
    size_t of_run, of_variant;
    /* A list of offsets, so that a figure more is one line, and none can be summed up and forgotten
     * in another place. */
} MEANS[] = {MEAN_OF(eval.flops),
             MEAN_OF(eval.seconds),
             MEAN_OF(eval.rate),
             MEAN_OF(eval.decay),
             MEAN_OF(routing[ROUTING_ENTROPY]),
             MEAN_OF(routing[ROUTING_DROPPED]),
             MEAN_OF(routing[ROUTING_CHANGED])};

/* x [runs]: the figure at `offset` of every run that counts, NaN of others. Runs without a result
 * do not count, in their costs neither: a run that diverged at its beginning took less time than
 * any other. */
static void gather(double *x, const compared_variant *v, size_t offset)
{
    for (int i = 0; i < v->run_count; i++) {
        const char *run = (const char *)&v->runs[i];
        x[i] = v->runs[i].scored ? *(const double *)(const void *)(run + offset) : (double)NAN;
    }
}

/* Tokens of all runs by the seconds of all: a mean of rates would count a slow run's time less. */
static double speed_of(const compared_variant *v, bool alone)
{
    double tokens = 0, seconds = 0;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i];
        double rate = alone ? r->alone : r->tokens_per_second;
        double trained = r->trained_tokens > 0 ? (double)r->trained_tokens : 1;
        if (!r->scored || !(rate > 0)) continue;
        tokens += trained;
        seconds += trained / rate;
    }
    return seconds > 0 ? tokens / seconds : (double)NAN;
}

/* What the variant costs: sizes are those of any run, of memory the most. Sizes are equal for all
 * seeds; the largest is the one that is known, as unknown ones are -1. Of memory the most counts,
 * since that is what a machine must have. */
static void sum_up_cost(compared_variant *v, arena *a, const comparison *c)
{
    double *x = ARENA_NEW(a, double, v->run_count);
    v->params = v->active_params = v->state_bytes = v->peak_bytes = -1;
    v->flops = v->eval.anon_bytes = (double)NAN;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i];
        v->params = MAX(v->params, r->params);
        v->active_params = MAX(v->active_params, r->active_params);
        v->state_bytes = MAX(v->state_bytes, r->state_bytes);
        v->peak_bytes = MAX(v->peak_bytes, r->peak_bytes);
        if (isfinite(r->flops)) v->flops = r->flops;
        if (r->scored) v->eval.anon_bytes = fmax(v->eval.anon_bytes, r->eval.anon_bytes);
    }
    for (size_t k = 0; k < sizeof MEANS / sizeof *MEANS; k++) {
        gather(x, v, MEANS[k].of_run);
        *(double *)(void *)((char *)v + MEANS[k].of_variant) =
            stats_mean(x, v->run_count, STATS_CONFIDENCE).mean;
    }
    v->tokens_per_second = speed_of(v, c->alone);
    gather(x, v, offsetof(compared_run, eval.rate));
    v->rates = choices(a, x, v->run_count);
    gather(x, v, offsetof(compared_run, eval.decay));
    v->decays = choices(a, x, v->run_count);
}

/* What the variant reaches, and its difference to the baseline, paired by seed. Pairs are made by
 * seed: runs of one seed read the same batches in the same order, so that part of the spread
 * between seeds is common to both and cancels in the difference. Seeds that are one model count
 * once: as three they would have no spread, and prove anything. */
static void sum_up(compared_variant *v, arena *a, const comparison *c)
{
    double *x = ARENA_NEW(a, double, v->run_count), *y = ARENA_NEW(a, double, v->run_count);
    bool *again = ARENA_NEW(a, bool, v->run_count);
    for (int i = 0; i < v->run_count; i++) {
        again[i] = compare_repeats(v, NULL, i);
        v->repeats += again[i];
    }
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        for (int i = 0; i < v->run_count; i++) {
            x[i] = again[i] ? (double)NAN : v->runs[i].value[m];
        }
        v->value[m] = stats_mean(x, v->run_count, STATS_CONFIDENCE);
    }
    const compared_variant *base = c->baseline < 0 ? NULL : &c->variants[c->baseline];
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *partner = base ? compare_run(base, v->runs[i].seed) : NULL;
        bool repeats = base && compare_repeats(v, base, i), lost = compare_is_lost(&v->runs[i]);
        v->lost += lost;
        v->pairs += partner != NULL;
        v->lost_pairs += partner && (lost || compare_is_lost(partner));
        v->repeated_pairs += repeats;
        x[i] = v->runs[i].value[c->metric];
        /* NaN, so that stats_paired leaves the pair out and n says how many there were. */
        y[i] = !base || v->unranked || repeats
                   ? (double)NAN
                   : compare_seed_value(base, v->runs[i].seed, c->metric);
    }
    v->difference = stats_paired(x, y, v->run_count, STATS_CONFIDENCE);
}

/* All comparisons are one family of tests. Holm's correction over all variants but the baseline,
 * whose p against itself is none.
 *
 * The noise floor is the baseline's own: two runs x, y of one variant differ by a mean of 0 with
 * variance 2 s^2, so |x - y| <= t(0.975, n - 1) s sqrt(2) in 95 of 100 cases. Whoever compares
 * single runs should know it. */
static void correct_comparisons(comparison *c, arena *a)
{
    double *p = ARENA_NEW(a, double, c->count), *adjusted = ARENA_NEW(a, double, c->count);
    for (int i = 0; i < c->count; i++) {
        p[i] = i == c->baseline ? (double)NAN : stats_p(c->variants[i].difference);
        c->comparisons += isfinite(p[i]);
    }
    stats_holm(adjusted, p, c->count);
    for (int i = 0; i < c->count; i++) {
        c->variants[i].p = p[i];
        c->variants[i].p_holm = adjusted[i];
    }
    c->noise_floor = (double)NAN;
    if (c->baseline < 0) return;
    estimate base = c->variants[c->baseline].value[c->metric];
    /* From one seed nothing is known of how seeds differ. */
    if (base.n < 2) return;
    c->noise_floor = stats_t_quantile(0.5 + STATS_CONFIDENCE / 2, base.n - 1) * base.sd * sqrt(2.0);
}

/* A label from the command line wins over the plan's, and unmarks it. It is compared with the label
 * as the spec has it; of a tuned comparison a label stands for its group. */
static bool choose_baseline(comparison *c, arena *a, const char *label, err *e)
{
    const char **labels = ARENA_NEW(a, const char *, c->count);
    c->baseline = -1;
    for (int i = 0; i < c->count; i++) {
        compared_variant *v = &c->variants[i];
        labels[i] = v->label;
        const char *full = c->tune ? v->label : v->plan_label;
        if (label) v->is_baseline = strcmp(full, label) == 0;
        if (v->is_baseline) c->baseline = i;
    }
    if (!label || c->baseline >= 0) return true;
    const char *near = option_nearest(label, c->count, labels);
    if (near) {
        return err_set(e, "%s has no variant '%s' (did you mean '%s'?)", c->experiment, label,
                       near);
    }
    return err_set(e, "%s has no variant '%s'; loci compare %s lists them", c->experiment, label,
                   c->experiment);
}

/* What is tuned was already cut at the amount, on validation and on the reported split alike. */
comparison *compare_load(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e)
{
    const evaluation_request all = {
        .experiment = experiment, .split = o->split, .protocol = o->protocol};
    comparison *c = o->tune ? compare_tune(a, s, experiment, o, e) : compare_read_as(a, s, &all, e);
    if (!c || (!o->tune && !compare_at(c, a, s, o, e)) ||
        !choose_baseline(c, a, o->tune ? c->tuned_baseline : o->baseline, e)) {
        return NULL;
    }
    if (o->where && !compare_view_where(c, a, s, o->where, e)) return NULL;
    c->metric = compare_choose_metric(c, o->metric);
    note_text(c);
    note_speed(c);
    note_unknown(c);
    for (int i = 0; i < c->count; i++) {
        sum_up(&c->variants[i], a, c);
        sum_up_cost(&c->variants[i], a, c);
        /* `rates` is "" unless an evaluation chose one, which only dynamic evaluation does. */
        c->learning = c->learning || c->variants[i].rates[0];
    }
    correct_comparisons(c, a);
    return compare_documents(c, s, e) ? c : NULL;
}
