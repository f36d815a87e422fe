#include "results/compare/compare_verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "results/compare/compare_table.h"

/* A verdict never leaves a figure alone: it names metric, interval, n and the kind of pairing. */

typedef struct sentence {
    char *text;
    size_t used;
} sentence;

/* Cut at the buffer's end: labels have no limit, and a verdict that loses its tail is better than
 * none. */
__attribute__((format(printf, 2, 3))) static void say(sentence *s, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(s->text + s->used, COMPARE_VERDICT_BYTES - s->used, format, list);
    va_end(list);
    s->used = MIN(s->used + (size_t)MAX(n, 0), (size_t)COMPARE_VERDICT_BYTES - 1);
}

/* Every metric here is a loss: less is better. */
static const char *better_or_worse(double difference)
{
    return difference < 0 ? "better" : "worse";
}

/* What makes up a verdict: a difference as it is said, and of what. The numbers are texts already,
 * all with the column's digits, so that the sentence and the table above it show the same. */
typedef struct verdict {
    const char *label, *base, *unit;
    estimate d;
    char plain[32], with_sign[32], half[32];
} verdict;

/* Signs only where the direction is not said in words ("better by 0.039", "difference -0.001"). */
static verdict verdict_of(const comparison *c, const compared_variant *v)
{
    verdict x = {v->label,
                 c->variants[c->baseline].label,
                 compare_metric_title(c->metric),
                 v->difference,
                 "",
                 "",
                 ""};
    int digits = compare_table_decimals(c, c->metric);
    table_number(x.plain, fabs(x.d.mean), digits, false);
    table_number(x.with_sign, x.d.mean, digits, true);
    table_number(x.half, x.d.half, digits, false);
    return x;
}

/* Seeds that would decide at this spread: the error of each comparison is the first step's of
 * Holm's correction. Holm's first step divides the error by all comparisons; later steps by fewer,
 * so this many seeds are enough at the latest. */
static void say_enough(sentence *s, const comparison *c, const compared_variant *v)
{
    estimate d = v->difference;
    if (v->lost_pairs > 0) return; /* it is not their number that is in the way */
    int n = stats_enough(fabs(d.mean) / d.sd, (1 - STATS_CONFIDENCE) / MAX(c->comparisons, 1));
    /* Nothing is said where n says enough already: more seeds would not make it noise. */
    if (n > d.n) {
        say(s, " %d seeds cannot decide; at this spread about %d would (power %g).", d.n, n,
            STATS_POWER);
    } else if (n == 0) {
        say(s, " %d seeds cannot decide; at this spread more than %d would be needed.", d.n,
            STATS_MOST);
    }
}

/* Without an interval nobody can tell a difference from the seed's; so "did better", of what was
 * seen, and never "is better". */
static void say_one_seed(sentence *s, const verdict *x, int repeated)
{
    if (x->d.mean < 0 || x->d.mean > 0) {
        say(s, "'%s' did %s than '%s' by %s %s, from one ", x->label, better_or_worse(x->d.mean),
            x->base, x->plain, x->unit);
    } else {
        say(s, "'%s' did as well as '%s', from one ", x->label, x->base);
    }
    if (repeated) {
        say(s, "model of each, which all %d seeds are: no interval is claimed.", repeated + 1);
    } else {
        say(s, "seed: no interval is claimed.");
    }
}

/* A variant that breaks more often keeps the seeds that suit it: what is left of them says less
 * than its interval does. */
static void say_lost(sentence *s, const compared_variant *v)
{
    if (v->lost_pairs == 0 || v->difference.n == 0) return;
    say(s, " %d of %d seeds %s no result%s.", v->lost_pairs, v->pairs,
        v->lost_pairs == 1 ? "has" : "have",
        v->difference.mean < 0 || v->difference.mean > 0 ? ", which may be why" : "");
}

/* It has ended, without a result: only who asks for it has it again. */
static bool is_over(const compared_run *r)
{
    return compare_is_lost(r) && strcmp(r->status, "interrupted") != 0;
}

/* Where all have ended waiting for more is in vain. */
static void say_no_pair(sentence *s, const comparison *c, const compared_variant *v,
                        const verdict *x)
{
    int coming = 0;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *own = &v->runs[i];
        const compared_run *partner = compare_run(&c->variants[c->baseline], own->seed);
        coming += partner && !is_over(own) && !is_over(partner);
    }
    say(s, "'%s' cannot be compared%s: no seed has a result of both it and '%s'%s.", x->label,
        coming ? " yet" : "", x->base,
        coming     ? ""
        : v->pairs ? ", and none comes by itself (why: below)"
                   : ", and none is planned for both");
}

/* Five cases, from no pair to a clear difference. Two of them are noise: the interval contains 0,
 * or it does not but the correction takes the claim back; in the second p is shown before and
 * after, as a reader who saw the interval alone would think otherwise. A clear one only seems so
 * where seeds were lost. */
static void say_difference(sentence *s, const comparison *c, const compared_variant *v)
{
    const verdict x = verdict_of(c, v);
    if (x.d.n == 0) {
        say_no_pair(s, c, v, &x);
    } else if (x.d.n == 1) {
        say_one_seed(s, &x, v->repeated_pairs);
    } else if (stats_differs(x.d) && !compare_clear(v)) {
        say(s,
            "'%s' seems %s than '%s' by %s \u00b1 %s %s (95 %%, paired over %d seeds), but p = "
            "%.3g becomes %.3g by Holm's correction for %d comparisons: within noise.",
            x.label, better_or_worse(x.d.mean), x.base, x.plain, x.half, x.unit, x.d.n, v->p,
            v->p_holm, c->comparisons);
        say_enough(s, c, v);
    } else if (!stats_differs(x.d)) {
        say(s,
            "'%s' is within noise of '%s': difference %s \u00b1 %s %s (95 %%, paired over %d "
            "seeds; the interval contains 0).",
            x.label, x.base, x.with_sign, x.half, x.unit, x.d.n);
        say_enough(s, c, v);
    } else {
        say(s, "'%s' %s %s than '%s' by %s \u00b1 %s %s (95 %%, paired over %d seeds).", x.label,
            v->lost_pairs ? "seems" : "is", better_or_worse(x.d.mean), x.base, x.plain, x.half,
            x.unit, x.d.n);
    }
}

/* At equal cost a run of a falling learning rate that was cut in its middle does worse than one
 * that ended there. Held against 99 % of its steps, as the last evaluation on the way may lie a
 * little before the end. */
static void say_decay(sentence *s, const comparison *c, const compared_variant *v)
{
    const compared_variant *both[] = {v, &c->variants[c->baseline]};
    /* The opening is said once, before the first of the two that was cut. */
    const char *joint = " Not at the end of its learning rate's fall, where it would do better: ";
    if (c->at == AT_END || v->difference.n == 0) return;
    for (int i = 0; i < 2; i++) {
        const compared_run *r = compare_scored(both[i]);
        if (!r || !r->falling || (double)r->from_step >= 0.99 * (double)r->last_step) continue;
        say(s, "%s'%s' (step %lld of %lld)", joint, both[i]->label, (long long)r->from_step,
            (long long)r->last_step);
        joint = ", ";
    }
    if (*joint == ',') say(s, ".");
}

static void say_unranked(sentence *s, const comparison *c, const compared_variant *v)
{
    const compared_variant *b = &c->variants[c->baseline];
    if (compare_unlike_tokens(v, b, c->metric)) {
        say(s,
            "'%s' is not ranked against '%s': their tokens are of different tokenizers, and "
            "figures per token cannot be compared.",
            v->label, b->label);
        return;
    }
    /* Which of the two the sentence is about: the baseline can be the one that lacks. */
    const compared_variant *lacking = v->unknown > COMPARE_UNKNOWN_SHARE ? v : b;
    say(s,
        "'%s' is not ranked against '%s': %.2f %% of the tokens of '%s' are unknown to its "
        "tokenizer, so its figures leave out part of the text.",
        v->label, b->label, 100 * lacking->unknown, lacking->label);
}

/* Empty for the baseline: there is nothing to say about it against itself. */
void compare_verdict(char text[COMPARE_VERDICT_BYTES], const comparison *c, int variant)
{
    const compared_variant *v = &c->variants[variant];
    sentence s = {text, 0};
    text[0] = 0;
    if (c->baseline < 0 || variant == c->baseline) return;
    if (v->unranked) {
        say_unranked(&s, c, v);
        return;
    }
    say_difference(&s, c, v);
    say_lost(&s, v);
    say_decay(&s, c, v);
}
