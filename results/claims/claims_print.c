#include "results/claims/claims_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

/* One table for people and programs: columns that only one of them wants are marked so, and the
 * same rows serve both, so that what a script reads is what a person saw. People get numbers
 * rounded and joined ("0.05 bits/byte (0.03 to 0.07)"), programs get each in a column of its
 * own. */

/* All that is shown of a claim of several statements is that of one, the worst. */
static const judgement *judged(const stated_claim *c)
{
    return &c->verdict->statements[c->verdict->worst];
}

static const claim_statement *stated(const stated_claim *c)
{
    return &c->claim->statements[c->verdict->worst];
}

/* Three figures that count, of the unit that is shown; whole numbers up to 100,000 in full, as %g
 * would write 1234 as 1.23e+03. */
static void put_number(char text[32], double x)
{
    snprintf(text, 32, fabs(x) >= 1e5 ? "%.3g" : fabs(x) >= 100 ? "%.0f" : "%.3g", x);
}

/* Where claims are looked at seed by seed intervals are wider: at the level of the look. */
static bool is_usual(const stated_claim *c)
{
    return fabs(c->verdict->confidence - STATS_CONFIDENCE) < 1e-9;
}

void claims_estimate(char text[128], const stated_claim *c)
{
    const judgement *j = judged(c);
    char mean[32], low[32], high[32], range[120] = "";
    put_number(mean, j->estimate * c->scale);
    put_number(low, j->low * c->scale);
    put_number(high, j->high * c->scale);
    if (!isfinite(j->estimate)) {
        snprintf(text, 128, "-");
        return;
    }
    /* Fieller's interval may have no ends: then the estimate stands alone. */
    if (isfinite(j->low)) {
        char level[32] = "";
        if (!is_usual(c)) snprintf(level, sizeof level, "%.4g %%: ", 100 * c->verdict->confidence);
        snprintf(range, sizeof range, " (%s%s to %s)", level, low, high);
    }
    snprintf(text, 128, "%s%s%s%s", mean, *c->unit ? " " : "", c->unit, range);
}

/* By the kind, in the order of statement_kind. */
void claims_edge(char text[64], const stated_claim *c)
{
    static const char *const signs[] = {"above ", "within ", "at most ", "above ", "below "};
    char edge[32];
    put_number(edge, judged(c)->edge * c->scale);
    snprintf(text, 64, "%s%s", signs[stated(c)->kind], edge);
}

/* What it is paired by, and tested over. Documents where they are the unit, else seeds. */
static int units_of(const claim_verdict *v)
{
    return v->documents ? v->documents : v->n;
}

/* Both numbers where documents are: 40 documents of one seed and of five are different things. */
static void put_units(FILE *out, const claim_verdict *v)
{
    if (v->documents) fprintf(out, "%d documents, ", v->documents);
    fprintf(out, "%d seed%s", v->n, v->n == 1 ? "" : "s");
}

/* ---- the sentence ---- */

/* "No number of seeds" is said of an estimate that lies on the edge itself or needs more than
 * STATS_MOST; from one seed nothing of the kind can be said. */
static void put_why(FILE *out, const claim_verdict *v)
{
    if (v->verdict != VERDICT_UNDECIDED) return;
    if (*v->why) fprintf(out, "; %s", v->why);
    if (v->documents && *v->why) return; /* documents are not what it lacks */
    const char *units = v->documents ? "documents" : "seeds";
    if (v->needed > units_of(v)) {
        fprintf(out, "; about %d %s in all would decide (power 0.8), if it goes on so", v->needed,
                units);
    } else if (v->n > 1 && v->needed == 0) {
        fprintf(out, "; at this estimate no number of %s would decide", units);
    }
}

/* Both marks say how far a claim can be trusted, and stand in every sentence about it: a claim made
 * after its results were seen is a description, and seeds that were added to a plan by hand were
 * added by someone who had seen the first ones. Looks, which allow for that, have seeds_then 0. */
static void put_marks(FILE *out, const stated_claim *c)
{
    if (*c->changed) {
        fprintf(out, "; AFTER THE FACT: since it was stated %s, when there were results",
                c->changed);
    } else if (c->after_the_fact) {
        fputs("; AFTER THE FACT: stated when there were results", out);
    }
    if (c->seeds_then > 0 && c->seeds_now > c->seeds_then) {
        fprintf(out, "; planned with %d seeds, %d were added later", c->seeds_then,
                c->seeds_now - c->seeds_then);
    }
}

void claims_sentence(FILE *out, const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    char measured[128];
    claims_estimate(measured, c);
    fprintf(out, "%s: %s: ", c->claim->name, verdict_name(v->verdict));
    claim_words(out, stated(c));
    if (c->claim->count > 1) fprintf(out, " (of %d statements)", c->claim->count);
    if (isfinite(judged(c)->estimate)) fprintf(out, ": %s", measured);
    fputs("; ", out);
    put_units(out, v);
    put_why(out, v);
    if (*c->training) fprintf(out, "; %s", c->training);
    put_marks(out, c);
}

/* Each look's p beside the level that it had to reach, of this claim alone: Holm's correction would
 * lower the levels, and depends on the other claims. */
void claims_looks(FILE *out, const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    for (int i = 0; i < v->looks; i++) {
        fprintf(out, "%s%d seeds p %.2g of %.2g", i ? ", " : "looks: ", v->look[i].seeds,
                v->look[i].p, v->look[i].level);
    }
    if (v->looks == 0) return;
    fprintf(out, " (%s spending, up to %d seeds)",
            spending_title(c->claim->pocock ? SPEND_POCOCK : SPEND_OBRIEN_FLEMING),
            c->claim->at_most);
}

/* ---- the table ---- */

/* So that no claim of "better" is read without what it took; "-" where it was not measured. */
static void put_cost(char text[96], const stated_claim *c)
{
    char own[16] = "-", other[16] = "-";
    if (isfinite(c->cost.flops)) table_si(own, c->cost.flops);
    if (isfinite(c->other_cost.flops)) table_si(other, c->other_cost.flops);
    int n = snprintf(text, 96, "%s : %s", own, other);
    if (!isfinite(c->cost.train_seconds) || !isfinite(c->other_cost.train_seconds)) return;
    snprintf(text + n, 96 - (size_t)n, ", %.0f : %.0f s", c->cost.train_seconds,
             c->other_cost.train_seconds);
}

/* The indices of columns, filled by make_columns from one list of keys, titles and units, which is
 * the order of columns. Programs go by the keys: they are a public interface. */
typedef struct columns {
    int experiment, claim, says, source, verdict, statement, figure, unit, shown, estimate, low;
    int high, confidence, edge, against, n, documents, units, looks, p, holm, needed, why, cost,
        params, other_params, flops;
    int other_flops, seconds, other_seconds, protocol, training, recorded, after, changed, fact,
        page;
} columns;

/* shown_at: of the intervals that people see. */
static void make_columns(columns *k, table *t, const char *shown_at)
{
    enum { LEFT = TABLE_LEFT, PEOPLE = TABLE_PEOPLE, PROGRAMS = TABLE_PROGRAMS };
    enum { KEPT = TABLE_KEPT, SPARE = TABLE_SPARE, WORDS = LEFT | PEOPLE | TABLE_WHOLE };
    const struct {
        int *index;
        const char *key, *title, *unit;
        int flags;
    } list[] = {{&k->experiment, "experiment", "experiment", "", LEFT | TABLE_WHOLE},
                {&k->claim, "claim", "claim", "", LEFT | KEPT | TABLE_WHOLE},
                {&k->says, "says", "", "", PROGRAMS},
                {&k->source, "source", "source", "", LEFT | SPARE},
                {&k->verdict, "verdict", "verdict", "", LEFT | KEPT},
                {&k->statement, "statement", "", "", PROGRAMS},
                {&k->figure, "figure", "", "", PROGRAMS},
                {&k->unit, "unit", "", "", PROGRAMS},
                {&k->shown, "shown", "estimate", shown_at, WORDS | KEPT},
                {&k->estimate, "estimate", "", "", PROGRAMS},
                {&k->low, "low", "", "", PROGRAMS},
                {&k->high, "high", "", "", PROGRAMS},
                {&k->confidence, "confidence", "", "", PROGRAMS},
                {&k->edge, "edge", "", "", PROGRAMS},
                {&k->against, "against", "has to be", "", WORDS | KEPT},
                {&k->n, "n", "", "", PROGRAMS},
                {&k->documents, "documents", "", "", PROGRAMS},
                {&k->looks, "looks", "", "", PROGRAMS},
                {&k->units, "units", "n", "paired by", WORDS | SPARE},
                {&k->p, "p", "", "", PROGRAMS},
                {&k->holm, "p_holm", "p", "Holm", 0},
                {&k->needed, "units_needed", "n", "would decide", 0},
                {&k->why, "why", "", "", PROGRAMS},
                {&k->cost, "cost", "cost", "FLOPs/token, training", WORDS | SPARE},
                {&k->params, "params", "", "", PROGRAMS},
                {&k->other_params, "other_params", "", "", PROGRAMS},
                {&k->flops, "evaluation_flops_per_token", "", "", PROGRAMS},
                {&k->other_flops, "other_evaluation_flops_per_token", "", "", PROGRAMS},
                {&k->seconds, "train_seconds", "", "", PROGRAMS},
                {&k->other_seconds, "other_train_seconds", "", "", PROGRAMS},
                {&k->protocol, "protocol", "", "", PROGRAMS},
                {&k->training, "training", "", "", PROGRAMS},
                {&k->recorded, "recorded_at", "", "", PROGRAMS},
                {&k->after, "after_the_fact", "", "", PROGRAMS},
                {&k->changed, "changed", "", "", PROGRAMS},
                {&k->fact, "fact", "stated", "", LEFT | PEOPLE},
                {&k->page, "page", "page", "", LEFT | SPARE}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        *list[i].index = table_column(t, list[i].key, list[i].title, list[i].unit, list[i].flags);
    }
}

static void put_statement(table *t, const columns *k, const stated_claim *c)
{
    text_memory m;
    claim_words(text_begin(&m), stated(c));
    text_auto *words = text_end(&m);
    table_text(t, k->statement, "%s", words);
}

static void put_figures(table *t, const columns *k, const stated_claim *c)
{
    const judgement *j = judged(c);
    char text[128], edge[64];
    claims_estimate(text, c);
    claims_edge(edge, c);
    table_text(t, k->figure, "%s", c->figure);
    table_text(t, k->unit, "%s", c->unit);
    if (isfinite(j->estimate)) table_text(t, k->shown, "%s", text);
    table_real(t, k->estimate, j->estimate * c->scale, 4);
    table_real(t, k->low, j->low * c->scale, 4);
    table_real(t, k->high, j->high * c->scale, 4);
    if (isfinite(j->low)) table_real(t, k->confidence, c->verdict->confidence, 4);
    table_real(t, k->edge, j->edge * c->scale, 4);
    table_text(t, k->against, "%s", edge);
}

/* On how many seeds, and documents where it is judged by them, at which looks. */
static void put_judged(table *t, const columns *k, const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    text_memory m;
    put_units(text_begin(&m), v);
    text_auto *units = text_end(&m);
    table_text(t, k->units, "%s", units);
    table_int(t, k->n, v->n);
    if (v->documents) table_int(t, k->documents, v->documents);
    claims_looks(text_begin(&m), c);
    text_auto *looks = text_end(&m);
    if (*looks) table_text(t, k->looks, "%s", looks);
}

static void put_costs(table *t, const columns *k, const stated_claim *c)
{
    char cost[96];
    put_cost(cost, c);
    table_text(t, k->cost, "%s", cost);
    table_real(t, k->params, c->cost.params, 0);
    table_real(t, k->other_params, c->other_cost.params, 0);
    table_real(t, k->flops, c->cost.flops, 0);
    table_real(t, k->other_flops, c->other_cost.flops, 0);
    table_real(t, k->seconds, c->cost.train_seconds, 1);
    table_real(t, k->other_seconds, c->other_cost.train_seconds, 1);
}

static void put_row(table *t, const columns *k, const char *experiment, const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    table_row(t);
    table_text(t, k->experiment, "%s", experiment);
    table_text(t, k->claim, "%s", c->claim->name);
    table_text(t, k->says, "%s", c->claim->says);
    if (*c->claim->source) table_text(t, k->source, "%s", c->claim->source);
    table_text(t, k->verdict, "%s", verdict_name(v->verdict));
    put_statement(t, k, c);
    put_figures(t, k, c);
    put_judged(t, k, c);
    /* One seed has no p, nor has a claim whose runs are not all there; the 1 that stands in for it
     * in the family is not shown. */
    if (v->n > 1 && !(*v->why && v->p >= 1)) {
        table_real(t, k->p, v->p, 3);
        table_probability(t, k->holm, v->p_holm);
    }
    bool more = v->verdict == VERDICT_UNDECIDED && v->needed > units_of(v);
    if (more) table_int(t, k->needed, v->needed);
    if (*v->why) table_text(t, k->why, "%s", v->why);
    put_costs(t, k, c);
    table_text(t, k->protocol, "%s", c->protocol);
    table_text(t, k->recorded, "%s", c->recorded_at);
    table_int(t, k->after, c->after_the_fact);
    if (*c->training) table_text(t, k->training, "%s", c->training);
    if (*c->changed) table_text(t, k->changed, "%s", c->changed);
    table_text(t, k->fact, "%s", c->after_the_fact ? "after the fact" : "before");
    if (*c->claim->page) table_text(t, k->page, "%s", c->claim->page);
}

/* Experiments below each other, each claim with its experiment's name. */
table *claims_table(arena *a, const claims *const *list, int count)
{
    table *t = table_new(a);
    columns k;
    bool usual = true;
    for (int i = 0; i < count; i++) {
        for (int c = 0; c < list[i]->count; c++) {
            usual = usual && is_usual(&list[i]->list[c]);
        }
    }
    make_columns(&k, t, usual ? "95 % interval" : "interval, 95 % or as said");
    for (int i = 0; i < count; i++) {
        for (int c = 0; c < list[i]->count; c++) {
            put_row(t, &k, list[i]->experiment, &list[i]->list[c]);
        }
    }
    return t;
}

/* ---- for people ---- */

/* Behind the table, claim by claim: what was stated, how it was judged, under which protocol. */
static void put_words(FILE *out, const claims *x, bool markdown)
{
    for (int i = 0; i < x->count; i++) {
        const stated_claim *c = &x->list[i];
        fputs("- ", out);
        claims_sentence(out, c);
        fputs(".\n", out);
        if (c->verdict->looks > 0) {
            fputs("  ", out);
            claims_looks(out, c);
            fputc('\n', out);
        }
        /* Mostly all claims have one protocol; it is said once. */
        if (i > 0 && strcmp(c->protocol, x->list[i - 1].protocol) == 0) continue;
        if (*c->protocol) fprintf(out, "  protocol: %s\n", c->protocol);
    }
    if (x->flat.n > 0) {
        fputs("- ", out);
        flatness_words(out, &x->flat);
        fputs(".\n", out);
    }
    if (*x->made) fprintf(out, "- %s", x->made);
    if (x->withdrawn) {
        /* Or it would be more of the last item. */
        if (markdown && (x->count > 0 || x->flat.n > 0)) fputc('\n', out);
        fprintf(out, "Withdrawn from %s when there were results: %s.\n", x->experiment,
                x->withdrawn_names);
        /* And the next experiment's items would be more of it. */
        if (markdown) fputc('\n', out);
    }
}

typedef struct shown_claims {
    const claims *const *list;
    int count;
} shown_claims;

static void print_words(FILE *out, const void *about, bool markdown)
{
    const shown_claims *x = about;
    bool any = false;
    fputc('\n', out);
    for (int i = 0; i < x->count; i++) {
        put_words(out, x->list[i], markdown);
        any |= x->list[i]->count > 0;
    }
    /* Of claims that were all withdrawn there is no figure to explain. */
    if (!any) return;
    fputs("\nA claim holds, or fails, where p is below 0.05 after Holm's correction for all claims "
          "of its experiment; intervals are not corrected. Paired by seed, or by document where n "
          "has documents: then it is one about these models on other text. Cost: FLOPs per token "
          "of evaluation and seconds of training of the two sides.\n",
          out);
}

void claims_print(FILE *out, arena *a, const claims *const *list, int count, table_format format,
                  bool colour)
{
    table_print(out, claims_table(a, list, count), format, colour);
    table_words(out, format, print_words, &(shown_claims){list, count});
}
