#include "results/compare/compare_notes.h"

#include <math.h>
#include <string.h>

#include "results/compare/compare_made.h"
#include "results/compare/compare_protocol.h"
#include "results/compare/compare_table.h"

/* Whatever makes a figure less than it seems (tuned where it is reported, cut before its learning
 * rate fell, other text, other kernels, unknown tokens) is a sentence. Each follows from the
 * comparison alone and stands where it applies only: a warning that is always there is not read. */

/* Markdown takes a line behind an item for more of it, and an item behind a line for more of that,
 * unless an empty line is between them. */
static void around_list(FILE *out, const char *item)
{
    if (*item == '-') fputc('\n', out);
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
            if (unit != DOCUMENT_NONE) around_list(out, item);
            fprintf(out, "By document (%s, 95 %% by bootstrap over documents):\n", UNITS[d->unit]);
            around_list(out, item);
            unit = d->unit;
        }
        table_number(mean, d->mean, 4, true);
        table_number(low, d->confidence.low, 4, true);
        table_number(high, d->confidence.high, 4, true);
        /* As for seeds: an interval that contains 0 shows nothing. */
        bool noise = d->confidence.low <= 0 && d->confidence.high >= 0;
        fprintf(out, "%s%s: %s, %s to %s, better in %d of %d%s\n", item, v->label, mean, low, high,
                d->better, d->n, noise ? ": within noise" : "");
    }
    if (unit != DOCUMENT_NONE) around_list(out, item);
}

/* ---- how variants were chosen and cut ---- */

/* As commands that can be pasted, each run by its id; what is reported until then is validation.
 * At an amount of training no command makes what is missing. */
static void print_lacking(FILE *out, const comparison *c, const char *item)
{
    enum { SHOWN = 12 };
    if (c->lacking == 0) return;
    if (c->at != AT_END) {
        fprintf(out,
                "Test is not reported: %d of %d chosen runs %s no evaluations of it around that "
                "amount.\n",
                c->lacking, c->chosen, c->lacking == 1 ? "has" : "have");
        return;
    }
    if (*item != '-') item = "    ";
    fprintf(out,
            "Test is reported once all chosen runs are evaluated on it; %d of %d %s not. What is "
            "missing%s%s:\n",
            c->lacking, c->chosen, c->lacking == 1 ? "is" : "are",
            c->protocol_asked ? ", each with the options of " : "",
            c->protocol_asked ? c->protocols->words : "");
    around_list(out, item);
    for (int i = 0; i < MIN(c->lacking, SHOWN); i++) {
        fprintf(out, "%sloci eval %s --split test\n", item, c->lacking_runs[i]);
    }
    if (c->lacking > SHOWN) fprintf(out, "%sand %d more\n", item, c->lacking - SHOWN);
    around_list(out, item);
    if (c->lacking > 1) {
        fprintf(out, "All at once: loci eval %s --tune %s --split test\n", c->experiment, c->tune);
    }
}

/* The best of many values on the split that chose them looks better than it is; the sentence says
 * so wherever test is not there yet. */
static void print_tuning(FILE *out, const comparison *c, const char *item)
{
    int tried = 0;
    bool edge = false;
    if (!c->tune) return;
    for (int i = 0; i < c->count; i++) {
        tried = MAX(tried, c->variants[i].tried);
        edge = edge || c->variants[i].edge;
    }
    fprintf(out, "Tuned: %s, for each variant the best of up to %d by its mean on validation",
            c->tune, tried);
    if (c->tuned_on_reported) {
        fputs(", and reported there, too: the figures are too good by as much as that choice found "
              "by luck.\n",
              out);
        print_lacking(out, c, item);
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

/* Learning in evaluation whose rate was chosen on the text that is reported: as of a tuned value,
 * it is said. Another split is chosen for as well, by validation. */
static void print_learned_choice(FILE *out, const comparison *c)
{
    const char *comma = "Chosen on validation: the rate and decay by which ";
    int tried = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        int most = 0;
        for (int k = 0; k < v->run_count; k++) {
            if (v->runs[k].scored) most = MAX(most, v->runs[k].tried);
        }
        if (!most) continue;
        fprintf(out, "%s'%s'", comma, v->label);
        comma = ", ";
        tried = MAX(tried, most);
    }
    if (!tried) return;
    fprintf(out,
            " learns in evaluation, the best of up to %d, and reported there, too: the figures are "
            "too good "
            "by as much as that choice found by luck. On test nothing is chosen: loci eval %s "
            "--split test, loci compare %s --split test.\n",
            tried, c->experiment, c->experiment);
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
void compare_notes_title(char text[512], const comparison *c)
{
    char amount[16];
    const char *comma = ": ";
    int n = snprintf(text, 512, "%.200s", c->experiment);
    if (c->split_asked) {
        n += snprintf(text + n, (size_t)(512 - n), "%s%.20s split", comma, c->split);
        comma = ", ";
    }
    if (c->protocol_asked) {
        n += snprintf(text + n, (size_t)(512 - n), "%sprotocol %.80s", comma, c->protocols->words);
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

/* What a seed did not change is no second training. */
static void print_repeats(FILE *out, const comparison *c)
{
    const char *comma = "Seeds are one model and count once, as their losses are the same: ";
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        if (v->repeats == 0) continue;
        int n = v->value[c->metric].n;
        fprintf(out, "%s'%s' (%d seeds, %d model%s)", comma, v->label, n + v->repeats, n,
                n == 1 ? "" : "s");
        comma = ", ";
    }
    if (*comma == ',') fputs(".\n", out);
}

static void print_tokens(FILE *out, const char *comma, const compared_variant *v)
{
    char tokens[16];
    table_si(tokens, (double)compare_scored(v)->trained_tokens);
    fprintf(out, "%s'%s' %s", comma, v->label, tokens);
}

/* At equal cost what was trained is cut alike. */
static void print_training(FILE *out, const comparison *c)
{
    bool any = false;
    const compared_variant *base = c->baseline < 0 ? NULL : &c->variants[c->baseline];
    for (int i = 0; base && c->at == AT_END && i < c->count; i++) {
        if (!compare_unlike_training(base, &c->variants[i])) continue;
        if (!any)
            print_tokens(out, "Trained on different numbers of tokens, as steps read: ", base);
        print_tokens(out, ", ", &c->variants[i]);
        any = true;
    }
    if (any) fputs(".\n", out);
}

static void print_cautions(FILE *out, const comparison *c)
{
    print_repeats(out, c);
    print_training(out, c);
    print_unknown(out, c);
    print_kernels(out, c);
    compare_made_builds(out, c);
    compare_made_machines(out, c);
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

void compare_notes_chosen(FILE *out, const comparison *c)
{
    print_learned_choice(out, c);
    compare_protocol_print_choice(out, c);
}

void compare_notes_print(FILE *out, const comparison *c, const char *item)
{
    print_tuning(out, c, item);
    print_learned_choice(out, c);
    print_budget(out, c);
    print_noise_floor(out, c);
    print_documents(out, c, item);
    compare_protocol_print(out, c);
    print_cautions(out, c);
}
