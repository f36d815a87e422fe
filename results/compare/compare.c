#include "results/compare/compare.h"

#include <math.h>
#include <string.h>

#include "core/options/option.h"

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

/* ---- rows of the database ---- */

static const char QUERY[] =
    "SELECT p.label, p.variant, p.baseline, p.run, p.seed, coalesce(r.status, 'planned'), "
    "r.reason, s.bits_per_byte, s.word_perplexity, s.perplexity, s.tokens, s.bytes, s.words, "
    "r.tokens, " STORE_RUN_SPEED ", r.peak_anon_bytes, s.protocol, s.split, "
    "r.params, r.active_params, r.state_bytes, r.forward_flops_per_token, "
    "(SELECT count(*) FROM document d WHERE d.evaluation = s.evaluation), s.evaluation, "
    "r.alone_tokens_per_second, s.step, r.train_flops_per_token, r.train_seconds, "
    "s.flops_per_token, s.seconds / nullif(s.tokens, 0), s.anon_bytes, s.dynamic_rate, "
    "s.dynamic_decay "
    "FROM plan p LEFT JOIN run r USING (run) LEFT JOIN score s ON s.evaluation = "
    "(SELECT e.evaluation FROM evaluation e WHERE e.run = p.run AND "
    " CASE WHEN ?2 IS NULL THEN e.final ELSE e.split = ?2 END "
    /* Of several that one which was done as the final one was, then that of the most text. */
    " ORDER BY e.step DESC, e.final DESC, e.protocol IS (SELECT f.protocol FROM evaluation f WHERE "
    "  f.run = e.run AND f.final LIMIT 1) DESC, e.tokens DESC, e.evaluation LIMIT 1) "
    "WHERE p.experiment = ?1 ORDER BY p.position";

static compared_run read_run(sqlite3_stmt *q, arena *a)
{
    compared_run r = {.run = store_text(q, 3, a),
                      .seed = store_int(q, 4, 0),
                      .status = store_text(q, 5, a),
                      .reason = store_text(q, 6, a),
                      .tokens = store_int(q, 10, -1),
                      .bytes = store_int(q, 11, -1),
                      .words = store_int(q, 12, -1),
                      .trained_tokens = store_int(q, 13, -1),
                      .tokens_per_second = store_real(q, 14),
                      .peak_bytes = store_int(q, 15, -1),
                      .protocol = store_text(q, 16, a),
                      .params = store_int(q, 18, -1),
                      .active_params = store_int(q, 19, -1),
                      .state_bytes = store_int(q, 20, -1),
                      .flops = store_real(q, 21),
                      .documents = (int)store_int(q, 22, 0),
                      .evaluation = store_text(q, 23, a),
                      .alone = store_real(q, 24),
                      .step = store_int(q, 25, -1),
                      .train_flops = store_real(q, 26),
                      .train_seconds = store_real(q, 27),
                      .eval = {store_real(q, 28), store_real(q, 29), store_real(q, 30),
                               store_real(q, 31), store_real(q, 32)}};
    /* A run that is going on has no result yet, whatever it evaluated on its way. */
    r.scored = strcmp(r.status, "done") == 0 && r.protocol;
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        r.value[m] = r.scored ? store_real(q, 6 + m) : (double)NAN;
    }
    return r;
}

static compared_variant *find_variant(comparison *c, const char *label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].label, label) == 0) return &c->variants[i];
    }
    return NULL;
}

/* Adds one to a list that doubles where it is full. */
static void *grown(arena *a, void *list, int count, size_t size)
{
    if (count & (count - 1)) return list; /* not a power of two: there is room */
    void *longer = arena_push_zero(a, MAX(2 * count, 1), size);
    if (count > 0) memcpy(longer, list, (size_t)count * size);
    return longer;
}

static void add_row(comparison *c, arena *a, sqlite3_stmt *q)
{
    const char *label = store_text(q, 0, a), *split = store_text(q, 17, a);
    compared_variant *v = find_variant(c, label);
    if (!v) {
        c->variants = grown(a, c->variants, c->count, sizeof *v);
        v = &c->variants[c->count++];
        v->label = v->plan_label = label;
        v->variant = store_text(q, 1, a);
        v->is_baseline = store_int(q, 2, 0) != 0;
    }
    v->runs = grown(a, v->runs, v->run_count, sizeof *v->runs);
    compared_run *r = &v->runs[v->run_count++];
    *r = read_run(q, a);
    v->planned++;
    v->done += strcmp(r->status, "done") == 0;
    v->failed += strcmp(r->status, "failed") == 0;
    v->diverged += strcmp(r->status, "diverged") == 0;
    v->running += strcmp(r->status, "running") == 0;
    v->interrupted += strcmp(r->status, "interrupted") == 0;
    if (r->scored && !c->split[0]) c->split = split;
}

static bool read_rows(comparison *c, arena *a, store *s, const char *split, err *e)
{
    sqlite3_stmt *q = store_prepare(s, QUERY, e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, c->experiment, -1, SQLITE_STATIC);
    if (split) sqlite3_bind_text(q, 2, split, -1, SQLITE_STATIC);
    while (sqlite3_step(q) == SQLITE_ROW) {
        add_row(c, a, q);
    }
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

static bool read_head(comparison *c, arena *a, store *s, err *e)
{
    sqlite3_stmt *q =
        store_prepare(s, "SELECT description FROM experiment WHERE experiment = ?", e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, c->experiment, -1, SQLITE_STATIC);
    if (sqlite3_step(q) == SQLITE_ROW) c->description = store_text(q, 0, a);
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

/* ---- figures ---- */

void compare_set_values(compared_run *r, double nats)
{
    r->value[COMPARE_BITS_PER_BYTE] =
        r->bytes > 0 ? nats / log(2.0) / (double)r->bytes : (double)NAN;
    r->value[COMPARE_WORD_PERPLEXITY] = r->words > 0 ? exp(nats / (double)r->words) : (double)NAN;
    r->value[COMPARE_PERPLEXITY] = r->tokens > 0 ? exp(nats / (double)r->tokens) : (double)NAN;
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

static void note_text(comparison *c)
{
    const compared_run *first = NULL;
    c->same_text = true;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored) continue;
            c->lossy = c->lossy || r->bytes < 0;
            if (!first) first = r;
            bool by_bytes = first->bytes >= 0 && r->bytes >= 0;
            bool same = by_bytes ? first->bytes == r->bytes : first->words == r->words;
            c->same_text = c->same_text && same;
        }
    }
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

/* Speeds of one column are of one kind. */
static void note_speed(comparison *c)
{
    int scored = 0, alone = 0;
    for (int i = 0; i < c->count; i++) {
        bool any_scored = false, any_alone = false;
        for (int k = 0; k < c->variants[i].run_count; k++) {
            any_scored = any_scored || c->variants[i].runs[k].scored;
            any_alone = any_alone || isfinite(c->variants[i].runs[k].alone);
        }
        scored += any_scored;
        alone += any_scored && any_alone;
    }
    c->alone = scored > 0 && alone == scored;
}

static double seed_value(const compared_variant *v, int64_t seed, compare_metric m)
{
    for (int i = 0; i < v->run_count; i++) {
        if (v->runs[i].seed == seed && v->runs[i].scored) return v->runs[i].value[m];
    }
    return (double)NAN;
}

static void summarise(compared_variant *v, arena *a, const comparison *c)
{
    double *x = ARENA_NEW(a, double, v->run_count), *y = ARENA_NEW(a, double, v->run_count);
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        for (int i = 0; i < v->run_count; i++) {
            x[i] = v->runs[i].value[m];
        }
        v->value[m] = stats_mean(x, v->run_count, STATS_CONFIDENCE);
    }
    for (int i = 0; i < v->run_count; i++) {
        x[i] = v->runs[i].value[c->metric];
        y[i] = c->baseline < 0 ? (double)NAN
                               : seed_value(&c->variants[c->baseline], v->runs[i].seed, c->metric);
    }
    v->difference = stats_paired(x, y, v->run_count, STATS_CONFIDENCE);
    v->params = v->active_params = v->state_bytes = v->peak_bytes = -1;
    v->flops = (double)NAN;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i];
        x[i] = !r->scored ? (double)NAN : c->alone ? r->alone : r->tokens_per_second;
        v->params = MAX(v->params, r->params);
        v->active_params = MAX(v->active_params, r->active_params);
        v->state_bytes = MAX(v->state_bytes, r->state_bytes);
        v->peak_bytes = MAX(v->peak_bytes, r->peak_bytes);
        if (isfinite(r->flops)) v->flops = r->flops;
    }
    v->tokens_per_second = stats_mean(x, v->run_count, STATS_CONFIDENCE).mean;
}

/* All comparisons are one family of tests. */
static void correct_comparisons(comparison *c, arena *a)
{
    double *p = ARENA_NEW(a, double, c->count), *adjusted = ARENA_NEW(a, double, c->count);
    for (int i = 0; i < c->count; i++) {
        p[i] = i == c->baseline ? (double)NAN : stats_p(c->variants[i].difference);
        c->comparisons += isfinite(p[i]);
    }
    stats_holm(adjusted, p, c->count);
    for (int i = 0; i < c->count; i++) {
        c->variants[i].p = p[i];
        c->variants[i].p_holm = adjusted[i];
    }
    c->noise_floor = (double)NAN;
    if (c->baseline < 0) return;
    estimate base = c->variants[c->baseline].value[c->metric];
    if (base.n < 2) return;
    c->noise_floor = stats_t_quantile(0.5 + STATS_CONFIDENCE / 2, base.n - 1) * base.sd * sqrt(2.0);
}

static bool choose_baseline(comparison *c, arena *a, const char *label, err *e)
{
    const char **labels = ARENA_NEW(a, const char *, c->count);
    c->baseline = -1;
    for (int i = 0; i < c->count; i++) {
        compared_variant *v = &c->variants[i];
        labels[i] = v->label;
        if (label) v->is_baseline = strcmp(v->label, label) == 0;
        if (v->is_baseline) c->baseline = i;
    }
    if (!label || c->baseline >= 0) return true;
    const char *near = option_nearest(label, c->count, labels);
    if (near) {
        return err_set(e, "%s has no variant '%s' (did you mean '%s'?)", c->experiment, label,
                       near);
    }
    return err_set(e, "%s has no variant '%s'; loci compare %s lists them", c->experiment, label,
                   c->experiment);
}

comparison *compare_read(arena *a, store *s, const char *experiment, const char *split, err *e)
{
    comparison *c = arena_push_zero(a, 1, sizeof *c);
    c->experiment = arena_strdup(a, experiment);
    c->description = c->split = "";
    if (!store_has_experiment(s, experiment, e) || !read_head(c, a, s, e) ||
        !read_rows(c, a, s, split, e)) {
        return NULL;
    }
    c->split_asked = split != NULL;
    if (split && !c->split[0]) c->split = arena_strdup(a, split);
    return c;
}

comparison *compare_load(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e)
{
    comparison *c = o->tune ? compare_tune(a, s, experiment, o, e)
                            : compare_read(a, s, experiment, o->split, e);
    if (!c || (!o->tune && !compare_at(c, a, s, o, e)) ||
        !choose_baseline(c, a, o->tune ? c->tuned_baseline : o->baseline, e)) {
        return NULL;
    }
    c->metric = compare_choose_metric(c, o->metric);
    note_text(c);
    note_speed(c);
    for (int i = 0; i < c->count; i++) {
        summarise(&c->variants[i], a, c);
    }
    correct_comparisons(c, a);
    compare_cost(c, a);
    return compare_routing(c, a, s, e) && compare_documents(c, s, e) ? c : NULL;
}
