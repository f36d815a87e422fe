#include "results/compare/compare.h"

#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
 * tokens share the same nats. */
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

const compared_run *compare_first_scored(const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const compared_run *r = compare_scored(&c->variants[i]);
        if (r) return r;
    }
    return NULL;
}

const compared_variant *compare_find(const comparison *c, const char *label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].label, label) == 0) return &c->variants[i];
    }
    return NULL;
}

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

void compare_unscore(compared_run *r, const char *reason)
{
    r->scored = false;
    r->reason = reason;
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        r->value[m] = (double)NAN;
    }
}

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

/* AUTO: what all scored runs have; bits per byte if nothing was scored yet. */
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

const char *compare_oracle(const char *label)
{
    static const char mark[] = "(oracle)";
    return text_ends(label, mark) ? mark : "";
}

bool compare_axis_named(const char *axis, const char *word, size_t length)
{
    const char *dot = strrchr(axis, '.');
    return (strlen(axis) == length && strncmp(axis, word, length) == 0) ||
           (dot && strlen(dot + 1) == length && strncmp(dot + 1, word, length) == 0);
}

bool compare_label_names(const char *label, const char *axis, const char *value)
{
    const char *dot = strrchr(axis, '.');
    char word[512];
    int n = snprintf(word, sizeof word, "%s=%s", dot ? dot + 1 : axis, value);
    /* As a word of its own: lr=1 is not in lr=10. */
    for (const char *at = label; n < (int)sizeof word && (at = strstr(at, word)); at++) {
        char before = at == label ? ' ' : at[-1], behind = at[n];
        if (before == ' ' && (behind == ' ' || behind == 0)) return true;
    }
    return false;
}

bool compare_sure(const compared_variant *v)
{
    /* Without a corrected p (NaN) the interval alone decides. */
    return stats_differs(v->difference) && !(v->p_holm >= 1 - STATS_CONFIDENCE);
}
