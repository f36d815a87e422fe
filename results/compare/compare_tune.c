#include "results/compare/compare_tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_at.h"
#include "results/compare/compare_group.h"
#include "results/compare/compare_read.h"
#include "results/store/query.h"

/* Variants that agree in all axes but the tuned ones are a group. Of each group the variant with
 * the least mean on validation stands for it, and is reported on test: a comparison of every
 * variant at its best, not of all at a learning rate that suits one of them. Choosing and reporting
 * on one split would favour the variant of which more values were tried, by luck alone; so where
 * test is not complete the words say that the choice is reported on its own split.
 *
 * All are read on both splits, and the choice is carried from one to the other by position: both
 * comparisons have the same plan in the same order. */

/* Is the axis among the words that commas separate? Words are matched without copying them: a
 * length and a pointer. */
static bool is_tuned(const void *words, const char *axis)
{
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, ",");
        if (compare_axis_named(axis, w, n)) return true;
        w += n + (w[n] == ',');
    }
    return false;
}

static void append_word(char *text, size_t size, const char *word)
{
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", n ? " " : "", word);
}

/* Every word must be the name of an axis. An axis that is misspelt would tune nothing, and each
 * variant be its own group: the plain table, under a title that says it was tuned. */
static bool check_axes(store *s, arena *a, const char *experiment, const char *words, err *e)
{
    char list[512] = "";
    const char *names[64];
    int n = 0;
    query q = QUERY(s, e, "SELECT DISTINCT axis FROM axis WHERE experiment = ?1 ORDER BY axis",
                    experiment);
    while (n < 64 && query_next(&q)) {
        names[n] = query_text(&q, "axis", a);
        append_word(list, sizeof list, names[n++]);
    }
    if (!query_close(&q)) return false;
    for (const char *w = words; *w;) {
        size_t length = strcspn(w, ",");
        int hits = 0;
        for (int i = 0; i < n; i++) {
            hits += compare_axis_named(names[i], w, length);
        }
        if (hits != 1) {
            return err_set(e, "--tune %.*s: %s; %s sweeps: %s", (int)length, w,
                           hits ? "several axes end so" : "no such axis", experiment,
                           *list ? list : "nothing");
        }
        w += length + (w[length] == ',');
    }
    return *words || err_set(e, "--tune: names no axis");
}

/* Runs that failed have no value and are not counted: best_of then prefers values that more seeds
 * survived. */
static double mean_value(const compared_variant *v, compare_metric m, int *n)
{
    double sum = 0;
    *n = 0;
    for (int i = 0; i < v->run_count; i++) {
        if (!isfinite(v->runs[i].value[m])) continue;
        sum += v->runs[i].value[m];
        ++*n;
    }
    return *n ? sum / *n : (double)NAN;
}

/* The variant of the group that is best by its mean; of more seeds, if some have fewer. -1: none
 * has been scored. */
static int best_of(const comparison *by, const compare_group *list, int first, compare_metric m)
{
    int best = -1, seeds = 0;
    double least = (double)INFINITY;
    for (int i = first; i < by->count; i++) {
        int n;
        if (list[i].first != first) continue;
        double mean = mean_value(&by->variants[i], m, &n);
        if (n == 0) continue;
        /* More seeds first: a mean of one lucky run is no better than a mean of three. Ties stay
         * with the first in the plan, so that the choice is the same each time. */
        if (n > seeds || (n == seeds && mean < least)) {
            best = i;
            seeds = n;
            least = mean;
        }
    }
    return best;
}

/* Is the chosen number the least or the largest of those tried? Only where there are others on one
 * side and none on the other: a single value has no edge. */
static bool at_edge(const comparison *by, const compare_group *list, int chosen)
{
    bool below = false, above = false;
    double x = list[chosen].number;
    for (int i = 0; i < by->count; i++) {
        if (list[i].first != list[chosen].first) continue;
        below = below || list[i].number < x;
        above = above || list[i].number > x;
    }
    return isfinite(x) && (below || above) && !(below && above);
}

/* Nothing says which value is best: then none has a result. */
static void unscore_all(compared_variant *v)
{
    for (int k = 0; k < v->run_count; k++) {
        if (!v->runs[k].scored) continue;
        compare_unscore(&v->runs[k], "nothing of this variant was evaluated on validation");
    }
}

static int count_lost(const compared_variant *v)
{
    int n = 0;
    for (int k = 0; k < v->run_count; k++) {
        n += compare_is_lost(&v->runs[k]);
    }
    return n;
}

/* c keeps of each group the variant that is best by `by` (both have the same variants, in order).
 *
 * In place: a group is made when its first member is met, so what is written lies before what is
 * still to be read. */
static void keep_best(comparison *c, const comparison *by, const compare_group *list,
                      compare_metric m)
{
    int kept = 0;
    compared_variant *out = c->variants;
    for (int i = 0; i < by->count; i++) {
        if (list[i].first != i) continue;
        bool holds_baseline = false;
        int tried = 0, best = best_of(by, list, i, m), chosen = best < 0 ? i : best;
        for (int k = i; k < by->count; k++) {
            if (list[k].first != i) continue;
            holds_baseline = holds_baseline || by->variants[k].is_baseline;
            tried++;
            /* Runs that diverged at values that were not chosen are no failures of the variant, but
             * are not hidden. By where the choice was made: elsewhere they need no result. */
            if (k != chosen) c->unchosen_lost += count_lost(&by->variants[k]);
        }
        compared_variant *v = &out[kept++];
        *v = c->variants[chosen]; /* never one that was overwritten: kept <= i <= chosen */
        if (best < 0) unscore_all(v);
        /* plan_label stays that of the chosen variant: what asks the database goes by it. */
        v->label = list[i].name;
        v->tuned = best < 0 ? NULL : list[best].chosen;
        v->tried = tried;
        v->edge = best >= 0 && at_edge(by, list, best);
        v->is_baseline = holds_baseline;
    }
    c->count = kept;
}

/* A variant's label stands for its group. So --baseline may name any of the variants that were
 * tried, or the group itself. */
static const char *group_of(const char *label, const comparison *by, const compare_group *list)
{
    for (int i = 0; label && i < by->count; i++) {
        if (strcmp(label, by->variants[i].plan_label) == 0) return list[i].name;
    }
    return label;
}

/* The chosen variants, with their results on that split, at the amount that was chosen at. Metric
 * and choice are those of validation, whatever split is reported. */
static comparison *on_split(arena *a, store *s, const comparison *by, const compare_group *list,
                            const char *split, const compare_options *o, err *e)
{
    compare_options how = *o;
    const compare_metric metric = compare_choose_metric(by, o->metric);
    /* The least that a finished run got is found on validation, once: on another split it could be
     * another. */
    how.at_amount = by->at_amount;
    /* Which protocol is reported is decided by those that were chosen: others need not have been
     * evaluated there. */
    const char **labels = ARENA_NEW(a, const char *, by->count);
    evaluation_request r = {
        .experiment = by->experiment, .split = split, .protocol = o->protocol, .labels = labels};
    for (int i = 0; i < by->count; i++) {
        int best = list[i].first == i ? best_of(by, list, i, metric) : -1;
        if (best >= 0) labels[r.label_count++] = by->variants[best].plan_label;
    }
    comparison *c = compare_read_as(a, s, &r, e);
    if (!c || !compare_at(c, a, s, &how, e)) return NULL;
    keep_best(c, by, list, metric);
    return c;
}

static const compared_variant *same_label(const comparison *c, const char *plan_label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].plan_label, plan_label) == 0) return &c->variants[i];
    }
    return NULL;
}

/* Which of the chosen runs have a result by `by` and none in c: figures of some runs on one split
 * and of others on none would be compared. */
static void note_lacking(comparison *c, arena *a, const comparison *by)
{
    int runs = 0;
    for (int i = 0; i < c->count; i++) {
        runs += c->variants[i].run_count;
    }
    c->lacking_runs = ARENA_NEW(a, const char *, runs);
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i], *chosen = same_label(by, v->plan_label);
        for (int k = 0; v->tuned && k < v->run_count; k++) {
            /* A run without a result on validation took no part in the choice, and is not asked
             * for. */
            if (!chosen->runs[k].scored) continue;
            c->chosen++;
            if (!v->runs[k].scored) c->lacking_runs[c->lacking++] = v->runs[k].run;
        }
    }
}

/* Of values whose figures are per token of different tokenizers none is the best. */
static bool check_alike(const comparison *by, const compare_group *list, const char *words,
                        compare_metric m, err *e)
{
    for (int i = 0; i < by->count; i++) {
        const compared_variant *x = NULL; /* the first of the group that has figures */
        for (int k = i; k < by->count && list[i].first == i; k++) {
            const compared_variant *y = &by->variants[k];
            if (list[k].first != i || !compare_scored(y)) continue;
            if (!x) x = y;
            if (!compare_unlike_tokens(x, y, m)) continue;
            return err_set(
                e,
                "--tune %s: the tokens of '%s' and '%s' are of different tokenizers, and "
                "figures per token cannot be compared; tune another axis",
                words, x->label, y->label);
        }
    }
    return true;
}

comparison *compare_tune(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e)
{
    const evaluation_request all = {
        .experiment = experiment, .split = "validation", .protocol = o->protocol};
    comparison *by = compare_read_as(a, s, &all, e);
    if (!by || !check_axes(s, a, experiment, o->tune, e) || !compare_at(by, a, s, o, e))
        return NULL;
    const compare_grouping grouping = {experiment, experiment, is_tuned, o->tune};
    compare_group *list = ARENA_NEW(a, compare_group, by->count);
    for (int i = 0; i < by->count; i++) {
        if (!compare_group_read(&list[i], a, s, &grouping, by->variants[i].plan_label, e))
            return NULL;
    }
    compare_group_join(list, by->count);
    if (!check_alike(by, list, o->tune, compare_choose_metric(by, o->metric), e)) return NULL;
    comparison *c = on_split(a, s, by, list, o->split ? o->split : "test", o, e);
    if (c && !o->split) note_lacking(c, a, by);
    /* Test for some and validation for others would compare splits. What is missing is kept for the
     * words. */
    if (c && c->lacking > 0) {
        const comparison on_test = *c;
        c = on_split(a, s, by, list, "validation", o, e);
        if (!c) return NULL;
        c->chosen = on_test.chosen;
        c->lacking = on_test.lacking;
        c->lacking_runs = on_test.lacking_runs;
    }
    if (!c) return NULL;
    c->tune = arena_strdup(a, o->tune);
    c->tuned_on_reported = strcmp(c->split, "validation") == 0;
    c->tuned_baseline = group_of(o->baseline, by, list);
    return c;
}
