#include "results/compare/compare.h"

#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Small questions about a comparison that every table, picture and page asks. They are linear
 * searches: there are tens of variants with a few seeds each, and a map would have to be kept in
 * step with what --where, --sort and --tune do to the list. */

static const char *const NAMES[COMPARE_METRIC_COUNT] = {"auto", "bits_per_byte", "word_perplexity",
                                                        "perplexity"};
static const char *const TITLES[COMPARE_METRIC_COUNT] = {"", "bits per byte", "word perplexity",
                                                         "perplexity per token"};

const char *compare_metric_name(compare_metric m)
{
    CHECK(m >= 0 && (int)m < COMPARE_METRIC_COUNT, "metric %d", (int)m);
    return NAMES[m];
}

const char *compare_metric_title(compare_metric m)
{
    CHECK(m > 0 && (int)m < COMPARE_METRIC_COUNT, "metric %d", (int)m);
    return TITLES[m];
}

double compare_bits_per_byte(double nats, int64_t bytes)
{
    return bytes > 0 ? nats / log(2.0) / (double)bytes : (double)NAN;
}

double compare_perplexity(double nats, int64_t units)
{
    return units > 0 ? exp(nats / (double)units) : (double)NAN;
}

/* Per byte and per word models of different vocabularies compare; per token they do not, since more
 * tokens share the same nats.
 *   bits per byte = nats / ln 2 / bytes      perplexity = exp(nats / tokens or words)
 *
 * As the view `score` computes them (store/schema.c): here for nats that were interpolated and
 * stand in no row. A count of 0 or unknown has no figure. */
void compare_set_values(compared_run *r, double nats)
{
    r->value[COMPARE_BITS_PER_BYTE] = compare_bits_per_byte(nats, r->bytes);
    r->value[COMPARE_WORD_PERPLEXITY] = compare_perplexity(nats, r->words);
    r->value[COMPARE_PERPLEXITY] = compare_perplexity(nats, r->tokens);
}

const compared_run *compare_scored(const compared_variant *v)
{
    for (int k = 0; k < v->run_count; k++) {
        if (v->runs[k].scored) return &v->runs[k];
    }
    return NULL;
}

/* For what all scored runs share, such as their text; where they do not, compare_protocol.c says
 * so. */
const compared_run *compare_first_scored(const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const compared_run *r = compare_scored(&c->variants[i]);
        if (r) return r;
    }
    return NULL;
}

/* By the label as it is shown: of a tuned comparison that of the group. */
const compared_variant *compare_find(const comparison *c, const char *label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].label, label) == 0) return &c->variants[i];
    }
    return NULL;
}

/* Seeds of two variants need not be the same, nor in the same places. */
const compared_run *compare_run(const compared_variant *v, int64_t seed)
{
    for (int i = 0; i < v->run_count; i++) {
        if (v->runs[i].seed == seed) return &v->runs[i];
    }
    return NULL;
}

double compare_seed_value(const compared_variant *v, int64_t seed, compare_metric m)
{
    const compared_run *r = compare_run(v, seed);
    return r ? r->value[m] : (double)NAN;
}

static bool same_word(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

bool compare_same_tokenizer(const compared_run *x, const compared_run *y)
{
    return same_word(x->tokenizer, y->tokenizer) || same_word(x->corpus, y->corpus);
}

bool compare_unlike_tokens(const compared_variant *x, const compared_variant *y, compare_metric m)
{
    const compared_run *a = compare_scored(x), *b = compare_scored(y);
    return m == COMPARE_PERPLEXITY && a && b && !compare_same_tokenizer(a, b);
}

/* A loss of thousands of tokens is a fingerprint: two trainings never agree in all of its digits.
 * Only one that is 0 is not, as models that know every answer agree there. */
bool compare_same_model(const compared_run *x, const compared_run *y)
{
    static const double ROUNDING = 1e-6;
    double a = x->value[COMPARE_PERPLEXITY], b = y->value[COMPARE_PERPLEXITY];
    if (!x->scored || !y->scored || x->tokens != y->tokens || !(a > 1)) return false;
    bool untrained = x->trained_tokens == 0 && y->trained_tokens == 0;
    return fabs(a - b) <= (untrained ? ROUNDING * a : 0);
}

bool compare_repeats(const compared_variant *v, const compared_variant *base, int i)
{
    const compared_run *own = &v->runs[i];
    for (int k = 0; k < i; k++) {
        const compared_run *one = &v->runs[k];
        if (!compare_same_model(own, one)) continue;
        /* Looked for here, where it is seldom needed: a seed is found by walking along them. */
        const compared_run *partner = base ? compare_run(base, own->seed) : NULL;
        const compared_run *its = base ? compare_run(base, one->seed) : NULL;
        if (!base || (partner && its && compare_same_model(partner, its))) return true;
    }
    return false;
}

/* 1 %: texts that end within a span give steps of a few tokens less. Other budgets say themselves
 * what is to be alike. */
bool compare_unlike_training(const compared_variant *x, const compared_variant *y)
{
    const compared_run *a = compare_scored(x), *b = compare_scored(y);
    if (!a || !b || a->budget_steps <= 0 || a->budget_steps != b->budget_steps) return false;
    double p = (double)a->trained_tokens, q = (double)b->trained_tokens;
    return p > 0 && q > 0 && fabs(p - q) > 0.01 * fmin(p, q);
}

/* All metrics at once, or a run without a result would still be in the mean of one of them. */
void compare_unscore(compared_run *r, const char *reason)
{
    r->scored = false;
    r->reason = reason;
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        r->value[m] = (double)NAN;
    }
}

/* Planned and running runs are not lost; they have had no chance yet. */
bool compare_is_lost(const compared_run *r)
{
    return strcmp(r->status, "failed") == 0 || strcmp(r->status, "diverged") == 0 ||
           strcmp(r->status, "interrupted") == 0 || (strcmp(r->status, "done") == 0 && !r->scored);
}

const char *compare_reason(const compared_run *r)
{
    if (r->reason) return r->reason;
    return strcmp(r->status, "done") == 0 ? "has no evaluation here" : "no reason given";
}

/* AUTO: what all scored runs have; bits per byte if nothing was scored yet. One metric for all: a
 * difference is of two figures of one kind, and a table that mixed bits per byte of some with
 * perplexities of others would rank tokenizers. */
compare_metric compare_choose_metric(const comparison *c, compare_metric wanted)
{
    if (wanted != COMPARE_AUTO) return wanted;
    for (int m = COMPARE_BITS_PER_BYTE; m < COMPARE_METRIC_COUNT; m++) {
        bool all = true;
        for (int i = 0; i < c->count; i++) {
            for (int k = 0; k < c->variants[i].run_count; k++) {
                const compared_run *r = &c->variants[i].runs[k];
                all = all && (!r->scored || isfinite(r->value[m]));
            }
        }
        if (all) return (compare_metric)m;
    }
    return COMPARE_PERPLEXITY;
}

/* `any`: of nothing it cannot be said that all of it was bytes. */
bool compare_by_bytes(const comparison *c)
{
    bool any = false;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored) continue;
            any = true;
            if (r->bytes != r->tokens) return false;
        }
    }
    return any;
}

/* A model that sees what it predicts wins every table; its mark must survive tuning, which makes
 * names anew. */
const char *compare_oracle(const char *label)
{
    static const char mark[] = "(oracle)";
    return text_ends(label, mark) ? mark : "";
}

/* So that --tune lr means optimizer.lr. Which axis is meant where several end so is the caller's to
 * refuse. */
bool compare_axis_named(const char *axis, const char *word, size_t length)
{
    const char *dot = strrchr(axis, '.');
    return (strlen(axis) == length && strncmp(axis, word, length) == 0) ||
           (dot && strlen(dot + 1) == length && strncmp(dot + 1, word, length) == 0);
}

/* The sweep writes labels (harness/spec); here they are only recognised. */
bool compare_label_names(const char *label, const char *axis, const char *value)
{
    const char *dot = strrchr(axis, '.');
    char word[512];
    int n = snprintf(word, sizeof word, "%s=%s", dot ? dot + 1 : axis, value);
    /* As a word of its own: lr=1 is not in lr=10. */
    for (const char *at = label; n < (int)sizeof word && (at = strstr(at, word)); at++) {
        bool begins = at == label || at[-1] == ' ';
        char behind = at[n];
        if (begins && (behind == ' ' || behind == 0)) return true;
    }
    return false;
}

bool compare_clear(const compared_variant *v)
{
    /* Without a corrected p (NaN) the interval alone decides. Both, as intervals are not corrected:
     * of twenty variants of equal models one interval lies beyond 0. */
    return stats_differs(v->difference) && !(v->p_holm >= 1 - STATS_CONFIDENCE);
}

bool compare_sure(const compared_variant *v)
{
    return compare_clear(v) && v->lost_pairs == 0;
}
