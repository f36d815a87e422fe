/* A comparison as people and programs read it: the table and what is to be said about it. */
#include "results/compare/compare_print.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/text.h"
#include "results/compare/compare_protocol.h"
#include "results/compare/compare_table.h"

/* Figures are never left alone: each verdict names metric, interval, n and the kind of pairing, and
 * whatever makes a figure less than it seems (tuned where it is reported, cut before its learning
 * rate fell, other text, other kernels, unknown tokens) is a sentence below the table. A program
 * gets the same sentences in JSON, so that what it prints can be as honest.
 *
 * What is said follows from the comparison alone and in a fixed order: printed twice, it is the
 * same to the byte. */

/* ---- verdicts ---- */

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
    int n = vsnprintf(s->text + s->used, COMPARE_VERDICT - s->used, format, list);
    va_end(list);
    s->used = MIN(s->used + (size_t)MAX(n, 0), (size_t)COMPARE_VERDICT - 1);
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
static void say_enough(sentence *s, const comparison *c, estimate d)
{
    enum { MOST = 1000 };
    int n = stats_enough(d, (1 - STATS_CONFIDENCE) / MAX(c->comparisons, 1), MOST);
    /* Nothing is said where n says enough already: more seeds would not make it noise. */
    if (n > d.n) {
        say(s, " %d seeds cannot decide; at this spread about %d would.", d.n, n);
    } else if (n == 0) {
        say(s, " %d seeds cannot decide; at this spread more than %d would be needed.", d.n, MOST);
    }
}

/* Without an interval nobody can tell a difference from the seed's; so "did better", of what was
 * seen, and never "is better". */
static void say_one_seed(sentence *s, const verdict *x)
{
    if (x->d.mean < 0 || x->d.mean > 0) {
        say(s, "'%s' did %s than '%s' by %s %s, from one seed: no interval is claimed.", x->label,
            better_or_worse(x->d.mean), x->base, x->plain, x->unit);
    } else {
        say(s, "'%s' did as well as '%s', from one seed: no interval is claimed.", x->label,
            x->base);
    }
}

/* Five cases, from no pair to a clear difference. Two of them are noise: the interval contains 0,
 * or it does not but the correction takes the claim back; in the second p is shown before and
 * after, as a reader who saw the interval alone would think otherwise. */
static void say_difference(sentence *s, const comparison *c, const compared_variant *v)
{
    const verdict x = verdict_of(c, v);
    if (x.d.n == 0) {
        say(s, "'%s' cannot be compared yet: no seed finished both it and '%s'.", x.label, x.base);
    } else if (x.d.n == 1) {
        say_one_seed(s, &x);
    } else if (stats_differs(x.d) && !compare_sure(v)) {
        say(s,
            "'%s' seems %s than '%s' by %s \u00b1 %s %s (95 %%, paired over %d seeds), but p = "
            "%.3g becomes %.3g by Holm's correction for %d comparisons: within noise.",
            x.label, better_or_worse(x.d.mean), x.base, x.plain, x.half, x.unit, x.d.n, v->p,
            v->p_holm, c->comparisons);
        say_enough(s, c, x.d);
    } else if (!stats_differs(x.d)) {
        say(s,
            "'%s' is within noise of '%s': difference %s \u00b1 %s %s (95 %%, paired over %d "
            "seeds; the interval contains 0).",
            x.label, x.base, x.with_sign, x.half, x.unit, x.d.n);
        say_enough(s, c, x.d);
    } else {
        say(s, "'%s' is %s than '%s' by %s \u00b1 %s %s (95 %%, paired over %d seeds).", x.label,
            better_or_worse(x.d.mean), x.base, x.plain, x.half, x.unit, x.d.n);
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

/* Empty for the baseline: there is nothing to say about it against itself. */
void compare_print_verdict(char text[COMPARE_VERDICT], const comparison *c, int variant)
{
    const compared_variant *v = &c->variants[variant];
    sentence s = {text, 0};
    text[0] = 0;
    if (c->baseline < 0 || variant == c->baseline) return;
    if (v->unranked) {
        const compared_variant *b = &c->variants[c->baseline];
        /* Which of the two the sentence is about: the baseline can be the one that lacks. */
        const compared_variant *lacking = v->unknown > COMPARE_UNKNOWN_SHARE ? v : b;
        say(&s,
            "'%s' is not ranked against '%s': %.2f %% of the tokens of '%s' are unknown to its "
            "tokenizer, so its figures leave out part of the text.",
            v->label, b->label, 100 * lacking->unknown, lacking->label);
        return;
    }
    say_difference(&s, c, v);
    say_decay(&s, c, v);
}

/* ---- between seeds, between documents ---- */

/* Beside the verdicts, which are about means: a reader who has trained one run of each wants to
 * know this. */
static void print_noise_floor(FILE *out, const comparison *c)
{
    char floor_text[32];
    if (!isfinite(c->noise_floor)) return;
    const compared_variant *base = &c->variants[c->baseline];
    table_number(floor_text, c->noise_floor, compare_table_decimals(c, c->metric), false);
    fprintf(out,
            "Noise floor: two runs of '%s' that differ in their seed alone differ by up to %s %s "
            "(95 %%, from %d seeds).\n",
            base->label, floor_text, compare_metric_title(c->metric), base->value[c->metric].n);
}

/* Seeds say whether another training would give the same; documents, whether other text would. Both
 * can disagree, and a reader should see it: better over seeds and within noise over documents means
 * that the gain comes of a few documents. */
static void print_documents(FILE *out, const comparison *c, const char *item)
{
    static const char *const UNITS[] = {"bits per byte", "nats per token", "nats per word"};
    bool any = false;
    document_unit unit = DOCUMENT_NONE;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        const document_difference *d = &v->documents;
        char mean[32], low[32], high[32];
        /* One document has no interval over documents. */
        if (d->n < 2) continue;
        /* A heading for each unit: nats per word of one variant are not bits per byte of
         * another. */
        if (d->unit != unit) {
            fprintf(out, "By document (%s, 95 %% by bootstrap over documents):\n%s", UNITS[d->unit],
                    *item == '-' ? "\n" : "");
        }
        any = true;
        unit = d->unit;
        table_number(mean, d->mean, 4, true);
        table_number(low, d->confidence.low, 4, true);
        table_number(high, d->confidence.high, 4, true);
        /* As for seeds: an interval that contains 0 shows nothing. */
        bool noise = d->confidence.low <= 0 && d->confidence.high >= 0;
        fprintf(out, "%s%s: %s, %s to %s, better in %d of %d%s\n", item, v->label, mean, low, high,
                d->better, d->n, noise ? ": within noise" : "");
    }
    if (any && *item == '-') fputc('\n', out);
}

/* ---- how variants were chosen and cut ---- */

/* As commands that can be pasted, each run by its id; what is reported until then is validation. */
static void print_lacking(FILE *out, const comparison *c)
{
    enum { SHOWN = 12 };
    if (c->lacking == 0) return;
    fprintf(out,
            "Test is reported once all chosen runs are evaluated on it; %d of %d %s not. What is "
            "missing:\n",
            c->lacking, c->chosen, c->lacking == 1 ? "is" : "are");
    for (int i = 0; i < MIN(c->lacking, SHOWN); i++) {
        fprintf(out, "    loci eval %s --split test\n", c->lacking_runs[i]);
    }
    if (c->lacking > SHOWN) fprintf(out, "    and %d more\n", c->lacking - SHOWN);
    if (c->lacking > 1) {
        fprintf(out, "All at once: loci eval %s --tune %s --split test\n", c->experiment, c->tune);
    }
}

/* The best of many values on the split that chose them looks better than it is; the sentence says
 * so wherever test is not there yet. */
static void print_tuning(FILE *out, const comparison *c)
{
    int tried = 0;
    bool edge = false;
    for (int i = 0; i < c->count; i++) {
        tried = MAX(tried, c->variants[i].tried);
        edge = edge || c->variants[i].edge;
    }
    if (!c->tune) return;
    fprintf(out, "Tuned: %s, for each variant the best of up to %d by its mean on validation",
            c->tune, tried);
    if (c->tuned_on_reported) {
        fputs(", and reported there, too: the figures are too good by as much as that choice found "
              "by luck.\n",
              out);
        print_lacking(out, c);
    } else {
        fprintf(out, "; reported on %s.\n", c->split);
    }
    if (c->unchosen_lost) {
        fprintf(out,
                "Of values that were not chosen %d run%s without a result; loci status %s lists "
                "all.\n",
                c->unchosen_lost, c->unchosen_lost == 1 ? " is" : "s are", c->experiment);
    }
    /* A best value at the end of what was tried says that the range was chosen badly for that
     * variant, and that its figure is an upper bound of its loss. */
    if (edge) fputs("'edge': at the end of the values tried; better ones may lie beyond.\n", out);
}

/* "step 200 to 245" of the variant's first scored run. One seed stands for all of a variant. */
static void print_passage(FILE *out, const compared_variant *v, const char *comma)
{
    const compared_run *r = compare_scored(v);
    if (!r) return;
    if (r->from_step == r->to_step) {
        fprintf(out, "%s%s: step %lld", comma, v->label, (long long)r->from_step);
    } else {
        fprintf(out, "%s%s: between steps %lld and %lld", comma, v->label, (long long)r->from_step,
                (long long)r->to_step);
    }
}

/* FLOPs have their own spelling; the others are said as they were asked for. */
static const char *budget_name(const comparison *c)
{
    return c->at == AT_FLOPS ? "FLOPs" : COMPARE_AT_BUDGETS[c->at];
}

static void print_budget(FILE *out, const comparison *c)
{
    char amount[16];
    if (c->at == AT_END || !isfinite(c->at_amount)) return;
    const char *name = budget_name(c);
    table_si(amount, c->at_amount);
    fprintf(out, "At equal %s: %s of training.", name, amount);
    /* Nothing was that far: compare_protocol_print says so below. */
    if (!compare_first_scored(c)) {
        fputc('\n', out);
        return;
    }
    fprintf(out,
            " Losses between two evaluations are interpolated, straight "
            "against the logarithm of %s; one within 1 %% of the amount stands for it. Evaluations "
            "used (of the first seed): ",
            name);
    const char *comma = "";
    for (int i = 0; i < c->count; i++) {
        print_passage(out, &c->variants[i], comma);
        if (compare_scored(&c->variants[i])) comma = "; ";
    }
    fputs(".\n", out);
    if (c->at == AT_SECONDS) {
        fputs("Seconds were taken as the runs went, whatever shared the machine with them.\n", out);
    }
}

/* Cut in its parts, so that the last part is never lost to a long name before it. What was chosen
 * is in the title because pictures are passed on without the words around them. */
void compare_print_title(char text[512], const comparison *c)
{
    char amount[16];
    const char *comma = ": ";
    int n = snprintf(text, 512, "%.200s", c->experiment);
    if (c->split_asked) {
        n += snprintf(text + n, (size_t)(512 - n), "%s%.20s split", comma, c->split);
        comma = ", ";
    }
    if (c->tune) {
        n += snprintf(text + n, (size_t)(512 - n), "%s%.100s tuned on validation", comma, c->tune);
        comma = ", ";
    }
    if (c->at != AT_END && isfinite(c->at_amount)) {
        table_si(amount, c->at_amount);
        n += snprintf(text + n, (size_t)(512 - n), "%sat %s %s", comma, amount, budget_name(c));
        comma = ", ";
    }
    if (c->best_of) {
        snprintf(text + n, (size_t)(512 - n), "%sbest %d of %d variants", comma, c->count,
                 c->best_of);
    }
}

/* ---- what is not in the figures ---- */

/* Which variants' figures leave out part of the text. */
static void print_unknown(FILE *out, const comparison *c)
{
    /* The opening words are the first separator: what was never printed needs no heading. */
    const char *comma = "Unknown to the tokenizer: ";
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        if (!(v->unknown > 0)) continue;
        fprintf(out, "%s%.3g %% of the tokens of '%s'", comma, 100 * v->unknown, v->label);
        comma = ", ";
    }
    if (*comma == ',') fputs(".\n", out);
}

/* OpenBLAS rounds otherwise on other kinds of processors. The first pair that differs is enough to
 * warn; whoever needs all asks the database. */
static void print_kernels(FILE *out, const comparison *c)
{
    const char *first = NULL;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored || !r->blas_core) continue;
            if (!first) first = r->blas_core;
            if (strcmp(first, r->blas_core) == 0) continue;
            fprintf(out,
                    "OpenBLAS multiplied with kernels for %s and for %s, which round differently: "
                    "runs of one seed began alike and were not trained alike.\n",
                    first, r->blas_core);
            return;
        }
    }
}

/* Each only where it applies: a warning that is always there is not read. */
static void print_cautions(FILE *out, const comparison *c)
{
    print_unknown(out, c);
    print_kernels(out, c);
    if (c->lossy) {
        fputs("Bits per byte are not defined: a lossy tokenizer drops part of the text, or the "
              "tokens have no text.\n",
              out);
    }
    if (!c->same_text) {
        fputs("The runs were not scored on the same text: their difference is not only the "
              "model's.\n",
              out);
    }
    if (c->metric == COMPARE_PERPLEXITY) {
        fputs("Perplexities per token compare only across equal tokenizers.\n", out);
    }
    /* One comparison has nothing to correct. */
    if (c->comparisons > 1) {
        fprintf(out, "p is corrected for %d comparisons by Holm's method, intervals are not.\n",
                c->comparisons);
    }
}

/* Failed and diverged runs, each with its reason: never left out. With the run's id, which `loci
 * show` takes. */
static void print_failures(FILE *out, const comparison *c, const char *item)
{
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!compare_is_lost(r)) continue;
            fprintf(out, "%s%s, seed %lld: %s: %s (run %s)\n", item, c->variants[i].label,
                    (long long)r->seed, r->status, compare_reason(r), r->run);
        }
    }
}

static bool any_failure(const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            if (compare_is_lost(&c->variants[i].runs[k])) return true;
        }
    }
    return false;
}

void compare_print_notes(FILE *out, const comparison *c, const char *item)
{
    print_tuning(out, c);
    print_budget(out, c);
    print_noise_floor(out, c);
    print_documents(out, c, item);
    compare_protocol_print(out, c);
    print_cautions(out, c);
}

/* Verdicts first, as they are what was asked; then what they rest on; failures last and with their
 * reasons. */
static void print_words(FILE *out, const comparison *c, bool markdown)
{
    char text[COMPARE_VERDICT];
    const char *item = markdown ? "- " : "  ";
    fputc('\n', out);
    for (int i = 0; i < c->count; i++) {
        compare_print_verdict(text, c, i);
        if (text[0]) fprintf(out, "%s%s\n", markdown ? item : "", text);
    }
    if (c->baseline < 0) fputs("The experiment names no baseline among its variants.\n", out);
    if (markdown) fputc('\n', out);
    compare_print_notes(out, c, item);
    if (!any_failure(c)) return;
    fputs("\nRuns without a result:\n", out);
    if (markdown) fputc('\n', out);
    print_failures(out, c, item);
}

/* Through memory: what Markdown would take for markup (a label with '*' or '_') is escaped in the
 * whole. */
static void print_markdown(FILE *out, const comparison *c)
{
    text_memory m;
    print_words(text_begin(&m), c, true);
    text_auto *words = text_end(&m);
    table_print_markdown(out, words);
}

/* ---- JSON ---- */

/* NaN is null: JSON has no word for it. */
static json_t *run_json(const compared_run *r)
{
    json_t *o = json_pack("{s:s, s:I, s:s, s:s?}", "run", r->run, "seed", (json_int_t)r->seed,
                          "status", r->status, "reason", r->reason);
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        json_object_set_new(o, compare_metric_name((compare_metric)m), json_finite(r->value[m]));
    }
    json_object_set_new(o, "tokens_per_second", json_finite(r->tokens_per_second));
    json_object_set_new(o, "unknown_tokens",
                        r->unknown < 0 ? json_null() : json_integer(r->unknown));
    return o;
}

/* Adds to the table's rows what people read below it. Rows of the table are in the order of the
 * variants, one each: their places are the same. */
static void put_variants(json_t *variants, const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        char text[COMPARE_VERDICT];
        json_t *v = json_array_get(variants, (size_t)i), *runs = json_array();
        compare_print_verdict(text, c, i);
        json_object_set_new(v, "verdict", text[0] ? json_string(text) : json_null());
        for (int k = 0; k < c->variants[i].run_count; k++) {
            json_array_append_new(runs, run_json(&c->variants[i].runs[k]));
        }
        json_object_set_new(v, "runs", runs);
    }
}

/* The protocol is the first scored run's; what differs from it is in each run's own in the
 * database. */
static json_t *comparison_json(const comparison *c, const table *t)
{
    const compared_run *r = compare_first_scored(c);
    json_t *variants = table_json(t);
    json_t *o = json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:f, s:o?}", "experiment", c->experiment, "description",
        c->description, "baseline", c->baseline < 0 ? NULL : c->variants[c->baseline].label,
        "split", c->split, "metric", compare_metric_name(c->metric), "confidence", STATS_CONFIDENCE,
        "protocol", r ? json_loads(r->protocol, 0, NULL) : NULL);
    if (c->tune) {
        json_object_set_new(o, "tune", json_string(c->tune));
        json_object_set_new(o, "tuned_on", json_string("validation"));
    }
    if (c->at != AT_END) {
        json_object_set_new(o, "at", json_string(COMPARE_AT_BUDGETS[c->at]));
        json_object_set_new(o, "at_amount", json_finite(c->at_amount));
    }
    json_object_set_new(o, "comparisons", json_integer(c->comparisons));
    json_object_set_new(o, "noise_floor", json_finite(c->noise_floor));
    json_object_set_new(o, "same_text", json_boolean(c->same_text));
    put_variants(variants, c);
    json_object_set_new(o, "variants", variants);
    return o;
}

/* Lines behind the first are indented: a description comes from a record, maybe a stranger's, and
 * none of its lines is to pass for one of the comparison. */
static void print_description(FILE *out, const char *text)
{
    size_t bytes = strlen(text);
    while (bytes > 0 && text[bytes - 1] == '\n') {
        bytes--;
    }
    for (size_t i = 0; i < bytes; i++) {
        fputc(text[i], out);
        if (text[i] == '\n') fputs("  ", out);
    }
    if (bytes > 0) fputs("\n\n", out);
}

/* For CSV nothing but rows: any sentence would be a row to its reader. */
bool compare_print(FILE *out, const comparison *c, table_format format, bool colour, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    table *t = compare_table(a, c);
    /* Two names of one format. */
    if (format == TABLE_MD) format = TABLE_MARKDOWN;
    if (format == TABLE_JSON) {
        json_auto_t *o = comparison_json(c, t);
        json_print(out, o, JSON_INDENT(1));
        fputc('\n', out);
    } else {
        terminal_prose prose;
        FILE *words = terminal_prose_begin(&prose, out);
        if (format == TABLE_TEXT) print_description(words, c->description);
        terminal_prose_end(&prose);
        table_print(out, t, format, colour);
        words = terminal_prose_begin(&prose, out);
        if (format == TABLE_TEXT) print_words(words, c, false);
        terminal_prose_end(&prose);
        if (format == TABLE_MARKDOWN) print_markdown(out, c);
    }
    return !ferror(out) || err_set(e, "the comparison cannot be written");
}
