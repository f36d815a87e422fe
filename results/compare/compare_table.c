#include "results/compare/compare_table.h"

#include <math.h>
#include <stdio.h>

/* A column is named and filled by one call: the same code runs once with `heads` to make the
 * columns, and once for each row to fill them. Two lists of columns, one for the heads and one for
 * the cells, would have to agree in an order that depends on the comparison, and a column out of
 * step is a figure under another's name. What makes this work is that which columns there are never
 * depends on the row.
 *
 * People get a mean with its interval in one cell, programs its parts in columns of their own; for
 * programs a column is there whatever its content, so that scripts need not ask. */

/* ---- numbers ---- */

/* Digits behind the point for a figure of this size: bits per byte to a ten-thousandth. Bits per
 * byte are compared to a hundredth, so two digits more than that; perplexities to three or four
 * figures. */
static int decimals_of(compare_metric m, double size)
{
    if (m == COMPARE_BITS_PER_BYTE) return 4;
    return size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
}

/* One number of digits for a whole column. By the largest: numbers under each other are compared by
 * their length first. But for those ten times as large as the least: a perplexity of 8,000, of a
 * variant whose training failed, would leave no digit of the others' differences. */
int compare_table_decimals(const comparison *c, compare_metric m)
{
    double least = (double)INFINITY, most = 0;
    for (int i = 0; i < c->count; i++) {
        double mean = c->variants[i].value[m].mean;
        if (isfinite(mean)) least = fmin(least, mean);
    }
    for (int i = 0; i < c->count; i++) {
        double mean = c->variants[i].value[m].mean;
        if (isfinite(mean) && mean < 10 * least) most = fmax(most, mean);
    }
    return decimals_of(m, most);
}

/* n of a row: the seeds behind its means. */
static int scored_runs(const compared_variant *v)
{
    int n = -v->repeats;
    for (int i = 0; i < v->run_count; i++) {
        n += v->runs[i].scored;
    }
    return n;
}

/* ---- the table ---- */

/* The table is written row by row, its heads first: each column is named and filled in one place.
 * While the heads are written, the variant is an empty one. `column` counts in rows alone; the
 * heads' order is that of their making. */
typedef struct sheet {
    table *t;
    const comparison *c;
    const compared_variant *v;
    bool heads; /* what is shown, by all variants, is asked then alone: rows are many */
    int column; /* the next one, of a row */
    int decimals[COMPARE_METRIC_COUNT];
} sheet;

enum { NAME = TABLE_LEFT | TABLE_WHOLE };
#define PROGRAMS(key) ((table_head){key, "", "", TABLE_PROGRAMS})

/* Its column; -1: nothing to fill, its head was written. Every put function calls this once per
 * column, also where there is nothing to fill in; to skip it in a row would shift all columns
 * behind it. */
static int cell(sheet *s, table_head h)
{
    if (!s->heads) return s->column++;
    table_column(s->t, h.key, h.title, h.unit, h.flags);
    return -1;
}

static void put_text(sheet *s, table_head h, const char *behind, const char *text)
{
    int column = cell(s, h);
    if (column >= 0 && text) table_text(s->t, column, "%s%s", text, behind);
}

/* For programs only: people have the counts in one cell ("1/3: 1 failed"). */
static void put_count(sheet *s, const char *key, bool is_known, int64_t n)
{
    int column = cell(s, PROGRAMS(key));
    if (column >= 0 && is_known) table_int(s->t, column, n);
}

static void put_real(sheet *s, table_head h, double x, int decimals)
{
    int column = cell(s, h);
    if (column >= 0) table_real(s->t, column, x, decimals);
}

static void put_scaled(sheet *s, table_head h, double x)
{
    int column = cell(s, h);
    if (column >= 0) table_scaled(s->t, column, x);
}

/* A mean with its interval for people, and its bounds for programs. Bounds have six digits, enough
 * to compute with; the mean itself has the digits that are shown. */
static void put_mean(sheet *s, table_head h, estimate e, compare_metric m, bool difference)
{
    char low[64], high[64];
    int column = cell(s, h);
    if (column >= 0) {
        table_mean(s->t, column, e.mean, e.half, s->decimals[m], difference);
    }
    snprintf(low, sizeof low, "%s_low", h.key);
    snprintf(high, sizeof high, "%s_high", h.key);
    put_real(s, PROGRAMS(low), e.mean - e.half, 6);
    put_real(s, PROGRAMS(high), e.mean + e.half, 6);
}

/* A column of dashes tells people nothing; bits per byte stand until there is any figure. */
static bool any_mean(const sheet *s, compare_metric m)
{
    const comparison *c = s->c;
    for (int i = 0; s->heads && i < c->count; i++) {
        if (c->variants[i].value[m].n > 0) return true;
    }
    return m == COMPARE_BITS_PER_BYTE && !compare_first_scored(c);
}

/* Programs have the column in any case, empty where no run has the figure. */
static void put_metric(sheet *s, compare_metric m, const char *title, const char *unit, bool shown)
{
    bool spare = m == COMPARE_PERPLEXITY && s->c->metric != m;
    table_head h = {compare_metric_name(m), title, unit,
                    (spare ? TABLE_SPARE : TABLE_KEPT) | (shown ? 0 : TABLE_PROGRAMS)};
    put_mean(s, h, s->v->value[m], m, false);
}

/* The baseline's difference to itself says nothing. Directly behind the metric that it is of, hence
 * put_figures calls it in one of two places. */
static void put_difference(sheet *s)
{
    static const char *const units[COMPARE_METRIC_COUNT] = {
        "", "bits/byte, paired", "per word, paired", "per token, paired"};
    const estimate none = {.mean = (double)NAN, .half = (double)NAN};
    const compared_variant *v = s->v;
    const document_difference *x = &v->documents;
    bool paired = !v->is_baseline, read = paired && x->n > 0;
    estimate d = paired ? v->difference : none;
    put_mean(s, (table_head){"difference", "difference", units[s->c->metric], TABLE_KEPT}, d,
             s->c->metric, true);
    put_count(s, "difference_n", true, d.n);
    put_count(s, "difference_lost", paired, v->lost_pairs);
    put_real(s, PROGRAMS("p"), paired ? v->p : (double)NAN, 6);
    int column = cell(s, (table_head){"p_holm", "p", "Holm", 0});
    if (column >= 0 && paired) table_probability(s->t, column, v->p_holm);
    put_count(s, "documents", paired, x->n);
    put_count(s, "documents_better", read, x->better);
    put_real(s, PROGRAMS("documents_difference"), read ? x->mean : (double)NAN, 6);
    put_real(s, PROGRAMS("documents_low"), read ? x->confidence.low : (double)NAN, 6);
    put_real(s, PROGRAMS("documents_high"), read ? x->confidence.high : (double)NAN, 6);
}

/* Each metric is a column for programs in any case; people see the one that is compared, and
 * perplexity per token, which is spare. */
static void put_figures(sheet *s)
{
    const comparison *c = s->c;
    /* Word perplexity is shown where bits per byte are not defined for all, or where it was asked
     * for. */
    bool words = c->lossy || c->metric == COMPARE_WORD_PERPLEXITY;
    put_metric(s, COMPARE_BITS_PER_BYTE, "bits/byte", "mean \u00b1 95 %",
               any_mean(s, COMPARE_BITS_PER_BYTE));
    if (!words) put_difference(s);
    put_metric(s, COMPARE_WORD_PERPLEXITY, "word perplexity", "mean \u00b1 95 %",
               words && any_mean(s, COMPARE_WORD_PERPLEXITY));
    if (words) put_difference(s);
    put_metric(s, COMPARE_PERPLEXITY, "perplexity", "per token", true);
}

/* -1 is unknown: an empty cell. */
static double known(int64_t n)
{
    return n < 0 ? (double)NAN : (double)n;
}

/* Sizes as people say them (1.2M), for programs in full; memory in MiB for people, in bytes for
 * programs. */
static void put_cost(sheet *s)
{
    const compared_variant *v = s->v;
    double peak = known(v->peak_bytes), mebibytes = peak / 1048576;
    put_scaled(s, (table_head){"params", "params", "", TABLE_SPARE}, known(v->params));
    put_scaled(s, (table_head){"active_params", "active", "", TABLE_SPARE},
               known(v->active_params));
    put_scaled(s, (table_head){"forward_flops_per_token", "FLOPs/token", "forward", TABLE_SPARE},
               v->flops);
    put_scaled(s,
               (table_head){"tokens_per_second", "tokens/s",
                            s->c->alone ? "training, alone" : "training", TABLE_SPARE},
               v->tokens_per_second);
    put_count(s, "speed_alone", true, s->c->alone);
    put_real(s, (table_head){"", "memory", "peak MiB", TABLE_PEOPLE | TABLE_SPARE}, mebibytes,
             /* One digit behind the point below 10 MiB: 9.95 is where rounding makes it "10". */
             mebibytes < 9.95);
    put_real(s, PROGRAMS("peak_bytes"), peak, 0);
    put_scaled(s, (table_head){"state_bytes", "state", "bytes", TABLE_SPARE},
               known(v->state_bytes));
}

/* People see what layers did with the tokens where a variant routes. Whether it is shown is asked
 * of all variants, not of the row's, or columns would depend on the row. */
static void put_routing(sheet *s)
{
    static const table_head heads[ROUTING_FIGURES] = {
        {"load_entropy", "load", "of experts, entropy", 0},
        {"dropped", "dropped", "share of tokens", 0},
        {"routing_changed", "rerouted", "share of tokens", 0}};
    for (int m = 0; m < ROUTING_FIGURES; m++) {
        table_head h = heads[m];
        h.flags = TABLE_PROGRAMS | TABLE_SPARE;
        for (int i = 0; s->heads && i < s->c->count; i++) {
            if (isfinite(s->c->variants[i].routing[m])) h.flags = TABLE_SPARE;
        }
        put_real(s, h, s->v->routing[m], 3);
    }
}

/* People see what evaluation cost where a model learned in it: else it is one forward pass. Each of
 * them is one column for people and one for programs where units differ (microseconds, seconds). */
static void put_evaluation(sheet *s)
{
    int shown = TABLE_SPARE | (s->c->learning ? 0 : TABLE_PROGRAMS), people = TABLE_PEOPLE | shown;
    const compared_variant *v = s->v;
    const eval_cost *e = &v->eval;
    put_scaled(s, (table_head){"eval_flops_per_token", "FLOPs/token", "evaluation", shown},
               e->flops);
    put_real(s, (table_head){"", "\u00b5s/token", "evaluation", people}, 1e6 * e->seconds, 1);
    put_real(s, PROGRAMS("eval_seconds_per_token"), e->seconds, 9);
    put_real(s, (table_head){"", "memory", "evaluation MiB", people}, e->anon_bytes / 1048576, 0);
    put_real(s, PROGRAMS("eval_bytes"), e->anon_bytes, 0);
    put_text(s, (table_head){"dynamic_rate", "rate", "chosen", shown}, "", v->rates);
    put_text(s, (table_head){"dynamic_decay", "decay", "chosen", shown}, "", v->decays);
}

/* "3/3", "1/3: 1 failed, 1 running": those that have the figures of this row, of those that were
 * planned. Planned runs that did not begin are what is left; they have no word. */
static void runs_text(char text[160], const compared_variant *v)
{
    int scored = 0;
    for (int i = 0; i < v->run_count; i++) {
        scored += v->runs[i].scored;
    }
    const struct {
        int count;
        const char *name;
    } others[] = {{v->done - scored, "without a result"},
                  {v->failed, "failed"},
                  {v->diverged, "diverged"},
                  {v->running, "running"},
                  {v->interrupted, "interrupted"}};
    int n = snprintf(text, 160, "%d/%d", scored, v->planned);
    bool first = true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i].count == 0) continue;
        n += snprintf(text + n, (size_t)(160 - n), "%s%d %s", first ? ": " : ", ", others[i].count,
                      others[i].name);
        first = false;
    }
}

static void put_row(sheet *s)
{
    const compared_variant *v = s->v;
    char runs[160];
    runs_text(runs, v);
    put_text(s, (table_head){"", "variant", "", NAME | TABLE_PEOPLE},
             v->is_baseline ? " (baseline)" : "", v->label);
    put_text(s, PROGRAMS("variant"), "", s->c->tune ? v->label : v->plan_label);
    if (s->c->tune) {
        put_text(s, (table_head){"tuned", "tuned", "on validation", NAME | TABLE_NEXT},
                 v->edge ? " (edge)" : "", v->tuned);
    }
    put_text(s, (table_head){"", "runs", "", NAME | TABLE_PEOPLE}, "", runs);
    put_figures(s);
    put_cost(s);
    put_routing(s);
    put_evaluation(s);
    const compared_run *run = compare_scored(v);
    put_count(s, "trained_tokens", run && run->trained_tokens >= 0, run ? run->trained_tokens : -1);
    put_count(s, "planned", true, v->planned);
    put_count(s, "done", true, v->done);
    put_count(s, "failed", true, v->failed);
    put_count(s, "diverged", true, v->diverged);
    put_count(s, "running", true, v->running);
    put_count(s, "interrupted", true, v->interrupted);
    put_count(s, "n", true, scored_runs(v));
    put_count(s, "baseline", true, v->is_baseline);
    put_text(s, PROGRAMS("variant_id"), "", v->variant);
}

table *compare_table(arena *a, const comparison *c)
{
    /* While heads are written figures of the empty variant are formed and thrown away. */
    const compared_variant none = {.label = ""};
    sheet s = {.t = table_new(a), .c = c, .v = &none, .heads = true};
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        s.decimals[m] = compare_table_decimals(c, (compare_metric)m);
    }
    put_row(&s);
    s.heads = false;
    for (int i = 0; i < c->count; i++) {
        table_row(s.t);
        s.v = &c->variants[i];
        s.column = 0;
        put_row(&s);
    }
    return s.t;
}
