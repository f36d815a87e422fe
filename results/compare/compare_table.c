/* A comparison as a table. */
#include "results/compare/compare_table.h"

#include <math.h>
#include <string.h>

/* ---- numbers ---- */

/* Digits behind the point for a figure of this size: bits per byte to a ten-thousandth. */
static int decimals_of(compare_metric m, double size)
{
    if (m == COMPARE_BITS_PER_BYTE) return 4;
    return size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
}

/* One number of digits for a whole column. */
int compare_table_decimals(const comparison *c, compare_metric m)
{
    double most = 0;
    for (int i = 0; i < c->count; i++) {
        double mean = c->variants[i].value[m].mean;
        if (isfinite(mean)) most = fmax(most, mean);
    }
    return decimals_of(m, most);
}

static int scored_runs(const compared_variant *v)
{
    int n = 0;
    for (int i = 0; i < v->run_count; i++) {
        n += v->runs[i].scored;
    }
    return n;
}

/* ---- the table ---- */

/* Indexes of the columns. */
typedef struct compare_columns {
    int label, key, tuned, runs, mean[COMPARE_METRIC_COUNT], difference;
    int params, active, flops, speed, alone, memory, bytes, state;
    int routing[ROUTING_FIGURES];
    int eval_flops, eval_time, eval_seconds, eval_memory, eval_bytes, rate, decay;
    int variant, baseline, planned, done, failed, diverged, running, interrupted;
    int n, low[COMPARE_METRIC_COUNT], high[COMPARE_METRIC_COUNT];
    int difference_n, difference_low, difference_high, p, p_holm;
    int documents, documents_better, documents_mean, documents_low, documents_high;
} compare_columns;

static void add_metric(table *t, compare_columns *k, compare_metric m, const char *title,
                       const char *unit, bool shown)
{
    char key[64];
    const char *name = compare_metric_name(m);
    k->mean[m] = table_column(t, name, title, unit, shown ? 0 : TABLE_PROGRAMS);
    snprintf(key, sizeof key, "%s_low", name);
    k->low[m] = table_column(t, key, "", "", TABLE_PROGRAMS);
    snprintf(key, sizeof key, "%s_high", name);
    k->high[m] = table_column(t, key, "", "", TABLE_PROGRAMS);
}

static void add_difference(table *t, compare_columns *k, const char *unit)
{
    k->difference = table_column(t, "difference", "difference", unit, 0);
    k->difference_low = table_column(t, "difference_low", "", "", TABLE_PROGRAMS);
    k->difference_high = table_column(t, "difference_high", "", "", TABLE_PROGRAMS);
    k->difference_n = table_column(t, "difference_n", "", "", TABLE_PROGRAMS);
    k->p = table_column(t, "p", "", "", TABLE_PROGRAMS);
    k->p_holm = table_column(t, "p_holm", "p", "Holm", 0);
    k->documents = table_column(t, "documents", "", "", TABLE_PROGRAMS);
    k->documents_better = table_column(t, "documents_better", "", "", TABLE_PROGRAMS);
    k->documents_mean = table_column(t, "documents_difference", "", "", TABLE_PROGRAMS);
    k->documents_low = table_column(t, "documents_low", "", "", TABLE_PROGRAMS);
    k->documents_high = table_column(t, "documents_high", "", "", TABLE_PROGRAMS);
}

/* A column of dashes tells people nothing; bits per byte stand until there is any figure. */
static bool any_mean(const comparison *c, compare_metric m)
{
    for (int i = 0; i < c->count; i++) {
        if (c->variants[i].value[m].n > 0) return true;
    }
    return m == COMPARE_BITS_PER_BYTE && !compare_first_scored(c);
}

static void add_figures(table *t, compare_columns *k, const comparison *c)
{
    bool words = c->lossy || c->metric == COMPARE_WORD_PERPLEXITY;
    static const char *const units[COMPARE_METRIC_COUNT] = {
        "", "bits/byte, paired", "per word, paired", "per token, paired"};
    add_metric(t, k, COMPARE_BITS_PER_BYTE, "bits/byte", "mean \u00b1 95 %",
               any_mean(c, COMPARE_BITS_PER_BYTE));
    if (!words) add_difference(t, k, units[c->metric]);
    add_metric(t, k, COMPARE_WORD_PERPLEXITY, "word perplexity", "mean \u00b1 95 %",
               words && any_mean(c, COMPARE_WORD_PERPLEXITY));
    if (words) add_difference(t, k, units[c->metric]);
    add_metric(t, k, COMPARE_PERPLEXITY, "perplexity", "per token", true);
}

/* People see what layers did with the tokens where a variant routes. */
static void add_routing(table *t, compare_columns *k, const comparison *c)
{
    static const char *const heads[ROUTING_FIGURES][3] = {
        {"load_entropy", "load", "of experts, entropy"},
        {"dropped", "dropped", "share of tokens"},
        {"routing_changed", "rerouted", "share of tokens"}};
    for (int m = 0; m < ROUTING_FIGURES; m++) {
        int shown = TABLE_PROGRAMS;
        for (int i = 0; i < c->count; i++) {
            if (isfinite(c->variants[i].routing[m])) shown = 0;
        }
        k->routing[m] = table_column(t, heads[m][0], heads[m][1], heads[m][2], shown);
    }
}

/* People see what evaluation cost where a model learned in it: else it is one forward pass. */
static void add_evaluation(table *t, compare_columns *k, const comparison *c)
{
    int shown = c->learning ? 0 : TABLE_PROGRAMS, people = TABLE_PEOPLE | shown;
    k->eval_flops = table_column(t, "eval_flops_per_token", "FLOPs/token", "evaluation", shown);
    k->eval_time = table_column(t, "", "\u00b5s/token", "evaluation", people);
    k->eval_seconds = table_column(t, "eval_seconds_per_token", "", "", TABLE_PROGRAMS);
    k->eval_memory = table_column(t, "", "memory", "evaluation MiB", people);
    k->eval_bytes = table_column(t, "eval_bytes", "", "", TABLE_PROGRAMS);
    k->rate = table_column(t, "dynamic_rate", "rate", "chosen", shown);
    k->decay = table_column(t, "dynamic_decay", "decay", "chosen", shown);
}

static void add_columns(table *t, compare_columns *k, const comparison *c)
{
    k->label = table_column(t, "", "variant", "", TABLE_LEFT | TABLE_PEOPLE);
    k->key = table_column(t, "variant", "", "", TABLE_PROGRAMS);
    if (c->tune) k->tuned = table_column(t, "tuned", "tuned", "on validation", TABLE_LEFT);
    k->runs = table_column(t, "", "runs", "", TABLE_LEFT | TABLE_PEOPLE);
    add_figures(t, k, c);
    k->params = table_column(t, "params", "params", "", 0);
    k->active = table_column(t, "active_params", "active", "", 0);
    k->flops = table_column(t, "forward_flops_per_token", "FLOPs/token", "forward", 0);
    k->speed = table_column(t, "tokens_per_second", "tokens/s",
                            c->alone ? "training, alone" : "training", 0);
    k->alone = table_column(t, "speed_alone", "", "", TABLE_PROGRAMS);
    k->memory = table_column(t, "", "memory", "peak MiB", TABLE_PEOPLE);
    k->bytes = table_column(t, "peak_bytes", "", "", TABLE_PROGRAMS);
    k->state = table_column(t, "state_bytes", "state", "bytes", 0);
    add_routing(t, k, c);
    add_evaluation(t, k, c);
    static const char *const counts[] = {"planned",  "done",    "failed",
                                         "diverged", "running", "interrupted"};
    int *const at[] = {&k->planned,  &k->done,    &k->failed,
                       &k->diverged, &k->running, &k->interrupted};
    for (int i = 0; i < 6; i++) {
        *at[i] = table_column(t, counts[i], "", "", TABLE_PROGRAMS);
    }
    k->n = table_column(t, "n", "", "", TABLE_PROGRAMS);
    k->baseline = table_column(t, "baseline", "", "", TABLE_PROGRAMS);
    k->variant = table_column(t, "variant_id", "", "", TABLE_PROGRAMS);
}

/* "3/3", "1/3: 1 failed, 1 running" */
static void runs_text(char text[160], const compared_variant *v)
{
    const struct {
        int count;
        const char *name;
    } others[] = {{v->failed, "failed"},
                  {v->diverged, "diverged"},
                  {v->running, "running"},
                  {v->interrupted, "interrupted"}};
    int n = snprintf(text, 160, "%d/%d", v->done, v->planned);
    bool first = true;
    for (int i = 0; i < 4; i++) {
        if (others[i].count == 0) continue;
        n += snprintf(text + n, (size_t)(160 - n), "%s%d %s", first ? ": " : ", ", others[i].count,
                      others[i].name);
        first = false;
    }
}

static void put_figures(table *t, const compare_columns *k, const comparison *c,
                        const compared_variant *v)
{
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        estimate e = v->value[m];
        table_mean(t, k->mean[m], e.mean, e.half, compare_table_decimals(c, (compare_metric)m),
                   false);
        table_real(t, k->low[m], e.mean - e.half, 6);
        table_real(t, k->high[m], e.mean + e.half, 6);
    }
    table_int(t, k->n, scored_runs(v));
    table_int(t, k->difference_n, v->is_baseline ? 0 : v->difference.n);
    if (v->is_baseline) return; /* its difference to itself says nothing */
    estimate d = v->difference;
    table_mean(t, k->difference, d.mean, d.half, compare_table_decimals(c, c->metric), true);
    table_real(t, k->difference_low, d.mean - d.half, 6);
    table_real(t, k->difference_high, d.mean + d.half, 6);
    table_real(t, k->p, v->p, 6);
    table_probability(t, k->p_holm, v->p_holm);
    const document_difference *x = &v->documents;
    table_int(t, k->documents, x->n);
    if (x->n == 0) return;
    table_int(t, k->documents_better, x->better);
    table_real(t, k->documents_mean, x->mean, 6);
    table_real(t, k->documents_low, x->confidence.low, 6);
    table_real(t, k->documents_high, x->confidence.high, 6);
}

/* -1 is unknown: an empty cell. */
static double known(int64_t n)
{
    return n < 0 ? (double)NAN : (double)n;
}

static void put_cost(table *t, const compare_columns *k, const compared_variant *v)
{
    table_scaled(t, k->params, known(v->params));
    table_scaled(t, k->active, known(v->active_params));
    table_scaled(t, k->flops, v->flops);
    table_scaled(t, k->speed, v->tokens_per_second);
    double mebibytes = known(v->peak_bytes) / 1048576;
    table_real(t, k->memory, mebibytes, mebibytes < 9.95 ? 1 : 0);
    table_real(t, k->bytes, known(v->peak_bytes), 0);
    table_scaled(t, k->state, known(v->state_bytes));
    for (int m = 0; m < ROUTING_FIGURES; m++) {
        table_real(t, k->routing[m], v->routing[m], 3);
    }
    table_scaled(t, k->eval_flops, v->eval.flops);
    table_real(t, k->eval_time, 1e6 * v->eval.seconds, 1);
    table_real(t, k->eval_seconds, v->eval.seconds, 9);
    table_real(t, k->eval_memory, v->eval.anon_bytes / 1048576, 0);
    table_real(t, k->eval_bytes, v->eval.anon_bytes, 0);
    table_text(t, k->rate, "%s", v->rates);
    table_text(t, k->decay, "%s", v->decays);
}

static void put_row(table *t, const compare_columns *k, const comparison *c,
                    const compared_variant *v)
{
    char runs[160];
    table_row(t);
    runs_text(runs, v);
    table_text(t, k->label, v->is_baseline ? "%s (baseline)" : "%s", v->label);
    table_text(t, k->key, "%s", v->label);
    if (c->tune && v->tuned) {
        table_text(t, k->tuned, v->edge ? "%s (edge)" : "%s", v->tuned);
    }
    table_text(t, k->runs, "%s", runs);
    put_figures(t, k, c, v);
    put_cost(t, k, v);
    table_int(t, k->alone, c->alone);
    const int counts[] = {v->planned, v->done, v->failed, v->diverged, v->running, v->interrupted};
    const int at[] = {k->planned, k->done, k->failed, k->diverged, k->running, k->interrupted};
    for (int i = 0; i < 6; i++) {
        table_int(t, at[i], counts[i]);
    }
    table_int(t, k->baseline, v->is_baseline);
    table_text(t, k->variant, "%s", v->variant);
}

table *compare_table(arena *a, const comparison *c)
{
    table *t = table_new(a);
    compare_columns k;
    add_columns(t, &k, c);
    for (int i = 0; i < c->count; i++) {
        put_row(t, &k, c, &c->variants[i]);
    }
    return t;
}
