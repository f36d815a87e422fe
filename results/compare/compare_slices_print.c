#include "results/compare/compare_slices_print.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/json.h"
#include "results/compare/compare_notes.h"

/* What a table of slices invites is to look for the row that stands out; twenty rows with intervals
 * of 95 % have one that stands out where nothing differs. So the words below join neighbours that
 * say the same into stretches, and the last sentence says how many rows are to be expected by
 * chance. */

/* More variants than this stand below each other. Six columns with intervals fill a wide
 * terminal. */
enum { SIDE_BY_SIDE = 6, DECIMALS = 4 };

/* A variant of another text has no rows: dashes would look as if it had been measured. */
static bool compared(const comparison *c, const slice_comparison *x, int i)
{
    return i != c->baseline && x->known[i];
}

static int count_compared(const comparison *c, const slice_comparison *x)
{
    int n = 0;
    for (int i = 0; i < c->count; i++) {
        n += compared(c, x, i);
    }
    return n;
}

static const char *unit_of(const slice_comparison *x)
{
    return x->bytes ? "bits/byte" : "bits/token";
}

/* ---- tables ---- */

/* "-0.0812 +- 0.0101" over seeds; of one seed "-0.0812 (-0.0910 to -0.0703)" over documents. One
 * seed has no interval over seeds; the one over documents is written as its two ends, so that
 * nobody takes it for the other. */
static void put_difference(table *t, int column, const compared_slice *s)
{
    estimate d = s->difference;
    if (d.n != 1 || !isfinite(s->over_text.low)) {
        table_mean(t, column, d.mean, d.half, DECIMALS, true);
        return;
    }
    char mean[32], low[32], high[32];
    table_number(mean, d.mean, DECIMALS, true);
    table_number(low, s->over_text.low, DECIMALS, true);
    table_number(high, s->over_text.high, DECIMALS, true);
    table_text(t, column, "%s (%s to %s)", mean, low, high);
}

/* People read the range, programs its two ends. */
static void put_slice(table *t, int name, int tokens, const slice_comparison *x, int k)
{
    char text[48];
    compare_slices_name(text, x, k);
    table_text(t, name, "%s", text);
    table_scaled(t, tokens, (double)x->tokens[k]);
}

/* A row per slice, a column per variant. For people: what differs between columns is seen along a
 * row. Keys are empty, as programs get the long one, whose columns do not depend on how many
 * variants there are. */
static table *wide_table(arena *a, const comparison *c, const slice_comparison *x)
{
    table *t = table_new(a);
    int name = table_column(t, "", compare_slices_by_name(x->by), "", 0);
    int tokens = table_column(t, "", "tokens", "", TABLE_SPARE);
    int base = table_column(t, "", c->variants[c->baseline].label, unit_of(x), 0);
    int *column = ARENA_NEW(a, int, c->count);
    for (int i = 0; i < c->count; i++) {
        if (!compared(c, x, i)) continue;
        column[i] = table_column(t, "", c->variants[i].label, "difference", 0);
    }
    for (int k = 0; k < x->count; k++) {
        const compared_slice *s = compare_slices_at(x, c->baseline, k);
        table_row(t);
        put_slice(t, name, tokens, x, k);
        /* The baseline's own figure, so that a gain of 0.1 can be seen against 1.2 or 9. */
        table_mean(t, base, s->value.mean, s->value.half, DECIMALS, false);
        for (int i = 0; i < c->count; i++) {
            if (compared(c, x, i)) put_difference(t, column[i], compare_slices_at(x, i, k));
        }
    }
    return t;
}

/* A row per variant and slice. Columns for programs have more digits and every interval, both over
 * seeds and over documents. */
static table *long_table(arena *a, const comparison *c, const slice_comparison *x)
{
    table *t = table_new(a);
    int variant = table_column(t, "variant", "variant", "", TABLE_LEFT | TABLE_WHOLE);
    int name = table_column(t, "", compare_slices_by_name(x->by), "", TABLE_PEOPLE | TABLE_KEPT);
    int low = table_column(t, "low", "", "", TABLE_PROGRAMS);
    int high = table_column(t, "high", "", "", TABLE_PROGRAMS);
    int tokens = table_column(t, "tokens", "tokens", "", TABLE_SPARE);
    int n = table_column(t, "n", "", "", TABLE_PROGRAMS);
    int value = table_column(t, "bits_per_token", unit_of(x), "mean \u00b1 95 %", 0);
    int value_low = table_column(t, "bits_per_token_low", "", "", TABLE_PROGRAMS);
    int value_high = table_column(t, "bits_per_token_high", "", "", TABLE_PROGRAMS);
    int shown = table_column(t, "", "difference", "paired", TABLE_PEOPLE | TABLE_KEPT);
    int difference = table_column(t, "difference", "", "", TABLE_PROGRAMS);
    int pairs = table_column(t, "difference_n", "", "", TABLE_PROGRAMS);
    int difference_low = table_column(t, "difference_low", "", "", TABLE_PROGRAMS);
    int difference_high = table_column(t, "difference_high", "", "", TABLE_PROGRAMS);
    int text_low = table_column(t, "documents_low", "", "", TABLE_PROGRAMS);
    int text_high = table_column(t, "documents_high", "", "", TABLE_PROGRAMS);
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; x->known[i] && k < x->count; k++) {
            const compared_slice *s = compare_slices_at(x, i, k);
            estimate v = s->value, d = s->difference;
            table_row(t);
            table_text(t, variant, "%s", c->variants[i].label);
            put_slice(t, name, tokens, x, k);
            table_int(t, low, x->low[k]);
            table_int(t, high, x->high[k]);
            table_int(t, n, v.n);
            table_mean(t, value, v.mean, v.half, DECIMALS, false);
            table_real(t, value_low, v.mean - v.half, 6);
            table_real(t, value_high, v.mean + v.half, 6);
            if (i == c->baseline) continue; /* its difference to itself says nothing */
            put_difference(t, shown, s);
            table_real(t, difference, d.mean, 6);
            table_int(t, pairs, d.n);
            table_real(t, difference_low, d.mean - d.half, 6);
            table_real(t, difference_high, d.mean + d.half, 6);
            table_real(t, text_low, s->over_text.low, 6);
            table_real(t, text_high, s->over_text.high, 6);
        }
    }
    return t;
}

/* ---- in words ---- */

typedef enum slice_verdict { IS_BETTER, IS_WORSE, IS_NOISE, IS_UNKNOWN } slice_verdict;

/* Below 0 is better: bits per token. */
static slice_verdict verdict_of(const compared_slice *s)
{
    interval i = compare_slices_interval(s);
    if (!isfinite(i.low) || !isfinite(i.high)) return IS_UNKNOWN;
    return i.high < 0 ? IS_BETTER : i.low > 0 ? IS_WORSE : IS_NOISE;
}

/* The slice from `begin` to before `end` where the difference is largest. Of equal ones the
 * first. */
static int largest(const slice_comparison *x, int variant, int begin, int end)
{
    int at = begin;
    for (int k = begin; k < end; k++) {
        double d = fabs(compare_slices_at(x, variant, k)->difference.mean);
        if (d > fabs(compare_slices_at(x, variant, at)->difference.mean)) at = k;
    }
    return at;
}

/* "better at 64 to 8191, most at 256-511 (-0.0812)" for slices that say the same. From the low end
 * of its first slice to the high end of its last; where it is largest tells a reader where to look.
 * For noise there is no such place. */
static void print_stretch(FILE *out, const slice_comparison *x, int variant, int begin, int end,
                          slice_verdict v)
{
    static const char *const words[] = {"better at", "worse at", "within noise at",
                                        "without an interval at"};
    char name[48], mean[32];
    long long low = x->low[begin], high = x->high[end - 1];
    fprintf(out, low == high ? "%s %lld" : "%s %lld to %lld", words[v], low, high);
    if (v == IS_NOISE || v == IS_UNKNOWN) return;
    int at = largest(x, variant, begin, end);
    compare_slices_name(name, x, at);
    table_number(mean, compare_slices_at(x, variant, at)->difference.mean, DECIMALS, true);
    if (end - begin > 1) {
        fprintf(out, ", most at %s (%s)", name, mean);
    } else {
        fprintf(out, " (%s)", mean);
    }
}

/* Consecutive slices with one verdict are one stretch. */
static void print_variant(FILE *out, const slice_comparison *x, int variant)
{
    for (int begin = 0, end; begin < x->count; begin = end) {
        slice_verdict v = verdict_of(compare_slices_at(x, variant, begin));
        end = begin + 1;
        while (end < x->count && verdict_of(compare_slices_at(x, variant, end)) == v) {
            end++;
        }
        if (begin > 0) fputs("; ", out);
        print_stretch(out, x, variant, begin, end, v);
    }
    fputs(".\n", out);
}

/* As the verdict on the whole text says it. */
static void print_lost(FILE *out, const compared_variant *v)
{
    if (v->lost_pairs == 0) return;
    fprintf(out, "  %d of %d seeds %s no result, which may be why.\n", v->lost_pairs, v->pairs,
            v->lost_pairs == 1 ? "has" : "have");
}

typedef struct sliced {
    const comparison *c;
    const slice_comparison *x;
} sliced;

/* Words are about the baseline's text and split only, which are named. */
static void print_words(FILE *out, const void *about, bool markdown)
{
    const comparison *c = ((const sliced *)about)->c;
    const slice_comparison *x = ((const sliced *)about)->x;
    int most = 0, least = 0, n = 0;
    fputc('\n', out);
    for (int i = 0; i < c->count; i++) {
        if (i == c->baseline) continue;
        fprintf(out, "%s'%s': ", markdown ? "- " : "", c->variants[i].label);
        /* Said, or a variant would be missing without a reason. */
        if (!x->known[i]) {
            fputs("no slices of the baseline's text are recorded.\n", out);
            continue;
        }
        print_variant(out, x, i);
        print_lost(out, &c->variants[i]);
        /* Of the first slice: pairs have all slices or none. */
        int seeds = compare_slices_at(x, i, 0)->difference.n;
        most = MAX(most, seeds);
        /* Pairs can differ from variant to variant, as runs fail. */
        least = n++ == 0 ? seeds : MIN(least, seeds);
    }
    if (markdown) fputc('\n', out);
    fprintf(out, "By %s: %s (%s split). Differences to '%s' in bits per %s, below 0 is better.\n",
            compare_slices_by_name(x->by), compare_slices_by_title(x->by), c->split,
            c->variants[c->baseline].label, x->bytes ? "byte" : "token");
    compare_notes_chosen(out, c);
    if (most > 1) {
        fprintf(out, "Intervals: 95 %%, paired over %d", least);
        if (most > least) fprintf(out, " to %d", most);
        fputs(" seeds.\n", out);
    }
    if (n > 0 && least == 1 && x->parts > 1) {
        fprintf(out,
                "Of one seed: 95 %% by bootstrap over %d documents (or groups of them), which says "
                "nothing about other seeds.\n",
                x->parts);
    }
    if (n > 0) {
        fprintf(out,
                "Each interval stands for itself: where nothing differs, 1 in 20 says otherwise, "
                "here about %.1f of %d.\n",
                n * x->count / 20.0, n * x->count);
    }
}

/* What the rows are of, once, beside them. */
static json_t *slices_json(const comparison *c, const slice_comparison *x, const table *t)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:o}", "experiment", c->experiment, "by",
                     compare_slices_by_name(x->by), "baseline", c->variants[c->baseline].label,
                     "split", c->split, "confidence", STATS_CONFIDENCE, "slices", table_json(t));
}

bool compare_slices_print(FILE *out, const comparison *c, const slice_comparison *x,
                          table_format format, bool colour, err *e)
{
    if (c->baseline < 0) return err_set(e, "%s names no baseline; give --baseline", c->experiment);
    /* What is to be done differs: slices were never recorded, or cannot be interpolated. */
    if (x->count == 0 && c->at != AT_END) {
        return err_set(
            e, "%s: only final evaluations have slices, not those on the way; leave out --at",
            c->experiment);
    }
    if (x->count == 0) {
        return err_set(e,
                       "%s: its runs were evaluated without slices; loci run evaluates them anew "
                       "under another `eval:` section",
                       c->experiment);
    }
    bool wide = !table_for_programs(format) && count_compared(c, x) <= SIDE_BY_SIDE;
    arena_auto *a = arena_new(1 << 16);
    table *t = wide ? wide_table(a, c, x) : long_table(a, c, x);
    if (format == TABLE_JSON) {
        json_auto_t *o = slices_json(c, x, t);
        json_print(out, o, JSON_INDENT(1));
        fputc('\n', out);
    } else {
        table_print(out, t, format, colour);
        table_words(out, format, print_words, &(sliced){c, x});
    }
    return true;
}
