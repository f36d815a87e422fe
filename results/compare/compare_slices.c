#include "results/compare/compare_slices.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/store/query.h"

/* An evaluation recorded, for each bucket of each kind and each part of its text, sums of nats and
 * counts of tokens. Here they are summed over parts for the figure,
 *
 *   bits per token = sum nats / ln 2 / sum tokens,
 *
 * paired by seed for the difference, and resampled over parts for an interval that one seed can
 * have.
 *
 * Only runs whose counts agree in every bucket and part with the baseline's are paired. Counts are
 * whole numbers, so agreeing is to the bit, and it stands for the same text in the same tokens
 * under the same protocol: other context or stride moves tokens from one bucket to another. */

/* Slices as they are recorded: buckets 0, 1, 2-3, 4-7, ... and parts of the text. */
enum { BUCKETS = 64, PARTS = 64 };

/* Dense, 64 KiB for each run: buckets and parts are few.
 * Doubles hold counts up to 2^53 exactly. */
typedef struct run_slices {
    bool any;
    double tokens[BUCKETS][PARTS], nats[BUCKETS][PARTS];
} run_slices;

/* The names of the database's column `kind` and of claims' keys: a spelling that changed here would
 * find no slices in any database. */
const char *compare_slices_by_name(slice_by by)
{
    static const char *const names[SLICE_BY_COUNT] = {"none", "position", "block", "frequency",
                                                      "repetition"};
    return names[by];
}

const char *compare_slices_by_title(slice_by by)
{
    static const char *const titles[SLICE_BY_COUNT] = {
        "", "tokens before it in the document", "tokens before it in its block",
        "occurrences of the token in the training split",
        "occurrences of the token in the document before"};
    return titles[by];
}

const compared_slice *compare_slices_at(const slice_comparison *x, int variant, int slice)
{
    return &x->cells[(int64_t)variant * x->count + slice];
}

void compare_slices_name(char text[48], const slice_comparison *x, int slice)
{
    long long low = x->low[slice], high = x->high[slice];
    snprintf(text, 48, low == high ? "%lld" : "%lld-%lld", low, high);
}

/* Over seeds wherever there are two: what another text would give matters less than whether another
 * training would. */
interval compare_slices_interval(const compared_slice *x)
{
    estimate d = x->difference;
    if (d.n == 1) return x->over_text;
    return (interval){d.mean - d.half, d.mean + d.half}; /* NaN if there is none */
}

/* ---- reading ---- */

/* 0 for 0, else 1 + the whole part of log2: 1, 2-3, 4-7 ... are 1, 2, 3 ... */
static int bucket_of(int64_t low)
{
    return low <= 0 ? 0 : 64 - __builtin_clzll((unsigned long long)low);
}

static bool read_slices(run_slices *r, store *s, const char *evaluation, slice_by by, err *e)
{
    query q =
        QUERY(s, e, "SELECT low, part, tokens, nats FROM slice WHERE evaluation = ?1 AND kind = ?2",
              evaluation, compare_slices_by_name(by));
    *r = (run_slices){0};
    while (query_next(&q)) {
        int bucket = bucket_of(query_int(&q, "low", 0));
        int64_t part = query_int(&q, "part", -1);
        /* A database that others wrote may say anything; what has no place is not written out of
         * bounds. */
        if (bucket >= BUCKETS || part < 0 || part >= PARTS) continue;
        r->tokens[bucket][part] = query_real(&q, "tokens");
        r->nats[bucket][part] = query_real(&q, "nats");
        r->any = true;
    }
    return query_close(&q);
}

/* [runs] of a variant; what has no evaluation that counts has no slices. Zeros where nothing was
 * recorded: `any` tells that from counts of 0. */
static run_slices *read_variant(arena *a, store *s, const compared_variant *v, slice_by by, err *e)
{
    run_slices *list = arena_push_zero(a, MAX(v->run_count, 1), sizeof *list);
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i];
        if (r->scored && !read_slices(&list[i], s, r->evaluation, by, e)) return NULL;
    }
    return list;
}

/* ---- figures ---- */

/* In the order of parts, so that equal runs have equal sums to the bit. */
static double sum(const double *x)
{
    double total = 0;
    for (int i = 0; i < PARTS; i++) {
        total += x[i];
    }
    return total;
}

/* Did both score the same tokens in every slice? Nothing else can be paired. */
static bool same_text(const run_slices *x, const run_slices *y)
{
    bool same = x->any && y->any;
    for (int i = 0; same && i < BUCKETS; i++) {
        for (int j = 0; j < PARTS; j++) {
            same = same && x->tokens[i][j] == y->tokens[i][j];
        }
    }
    return same;
}

static double bits(const run_slices *r, int bucket)
{
    return sum(r->nats[bucket]) / log(2.0) / sum(r->tokens[bucket]);
}

/* Which run of the baseline has this run's seed and text; -1: none. Both must be had: a run of the
 * same seed under another protocol is no partner. */
static int partner(const compared_variant *base, const run_slices *of_base, const compared_run *run,
                   const run_slices *own)
{
    for (int i = 0; i < base->run_count; i++) {
        const compared_run *its = &base->runs[i];
        if (its->seed == run->seed && same_text(own, &of_base[i]) &&
            compare_same_tokenizer(its, run)) {
            return i;
        }
    }
    return -1;
}

/* A variant beside the baseline. Which seeds are pairs is the same of all slices, and is asked
 * once: each answer walks along the seeds and their text. */
typedef struct beside {
    const compared_variant *v, *base;
    const run_slices *own, *of_base;
    int *partner;         /* [runs] */
    bool *again, *paired; /* [runs] one model again; of a partner, and no pair again */
} beside;

static beside pair(arena *a, const compared_variant *v, const run_slices *own,
                   const compared_variant *base, const run_slices *of_base)
{
    beside x = {.v = v,
                .base = base,
                .own = own,
                .of_base = of_base,
                .partner = ARENA_NEW(a, int, v->run_count),
                .again = ARENA_NEW(a, bool, v->run_count),
                .paired = ARENA_NEW(a, bool, v->run_count)};
    for (int i = 0; i < v->run_count; i++) {
        x.partner[i] = partner(base, of_base, &v->runs[i], &own[i]);
        x.again[i] = compare_repeats(v, NULL, i);
        x.paired[i] = x.partner[i] >= 0 && !compare_repeats(v, base, i);
    }
    return x;
}

/* Bootstrap over parts of the text of the difference, each the mean over paired seeds. Parts
 * without tokens of the bucket are left out: they cannot be drawn in the text either. The same
 * statistic as for documents, sum of differences over sum of tokens. */
static interval over_text(const beside *s, int bucket)
{
    double top[PARTS] = {0}, bottom[PARTS];
    const run_slices *paired = NULL;
    int pairs = 0, n = 0;
    for (int i = 0; i < s->v->run_count; i++) {
        if (s->partner[i] < 0) continue;
        const run_slices *its = &s->of_base[s->partner[i]];
        paired = &s->own[i];
        pairs++;
        for (int part = 0; part < PARTS; part++) {
            top[part] += (paired->nats[bucket][part] - its->nats[bucket][part]) / log(2.0);
        }
    }
    for (int part = 0; paired && part < PARTS; part++) {
        if (paired->tokens[bucket][part] <= 0) continue;
        top[n] = top[part] / pairs;
        bottom[n++] = paired->tokens[bucket][part];
    }
    return stats_bootstrap(top, bottom, n, STATS_CONFIDENCE);
}

static void fill_cell(compared_slice *cell, arena *a, const beside *s, int bucket)
{
    const int n = s->v->run_count;
    double *x = ARENA_NEW(a, double, n), *y = ARENA_NEW(a, double, n);
    double *one = ARENA_NEW(a, double, n);
    /* Least and most are of the runs that have the slice, pairs or not: what a plot's band
     * shows. */
    cell->least = (double)INFINITY;
    cell->most = -(double)INFINITY;
    for (int i = 0; i < n; i++) {
        /* A bucket without tokens gives 0 / 0, NaN, and is left out. */
        x[i] = s->own[i].any ? bits(&s->own[i], bucket) : (double)NAN;
        y[i] = s->paired[i] ? bits(&s->of_base[s->partner[i]], bucket) : (double)NAN;
        one[i] = s->again[i] ? (double)NAN : x[i];
        if (!isfinite(x[i])) continue;
        cell->least = fmin(cell->least, x[i]);
        cell->most = fmax(cell->most, x[i]);
    }
    cell->value = stats_mean(one, n, STATS_CONFIDENCE);
    cell->difference = stats_paired(x, y, n, STATS_CONFIDENCE);
    cell->over_text = (interval){(double)NAN, (double)NAN};
    if (s->v != s->base) cell->over_text = over_text(s, bucket);
}

/* The slices of the text that the baseline's first run with slices scored. The first run decides
 * which rows there are, since only its text is compared. */
static int find_slices(slice_comparison *x, arena *a, const run_slices *first)
{
    int bucket_at[BUCKETS];
    for (int b = 0; b < BUCKETS; b++) {
        if (sum(first->tokens[b]) > 0) bucket_at[x->count++] = b;
    }
    x->low = ARENA_NEW(a, int64_t, MAX(x->count, 1));
    x->high = ARENA_NEW(a, int64_t, MAX(x->count, 1));
    x->tokens = ARENA_NEW(a, int64_t, MAX(x->count, 1));
    for (int i = 0; i < x->count; i++) {
        int b = bucket_at[i];
        x->low[i] = b ? (int64_t)1 << (b - 1) : 0;
        x->high[i] = b ? 2 * x->low[i] - 1 : 0;
        x->tokens[i] = (int64_t)sum(first->tokens[b]);
        for (int part = 0; part < PARTS; part++) {
            if (first->tokens[b][part] > 0) x->parts = MAX(x->parts, part + 1);
        }
    }
    return x->count;
}

/* Everything is taken relative to the text of one run of the baseline: without it there are neither
 * rows nor pairs, and the comparison stays empty, which is no error. */
static bool fill(slice_comparison *x, arena *a, arena *scratch, const comparison *c, store *s,
                 err *e)
{
    const compared_variant *base = &c->variants[c->baseline];
    const run_slices *of_base = read_variant(scratch, s, base, x->by, e), *first = NULL;
    if (!of_base) return false;
    /* Downwards, so that what is left is the first. */
    for (int i = base->run_count - 1; i >= 0; i--) {
        if (of_base[i].any) first = &of_base[i];
    }
    if (!first || find_slices(x, a, first) == 0) return true;
    x->cells = arena_push_zero(a, (int64_t)x->variants * x->count, sizeof *x->cells);
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        /* The slices of one variant beside the baseline's, whatever the number of variants. */
        arena_mark mark = arena_now(scratch);
        const run_slices *own = i == c->baseline ? of_base : read_variant(scratch, s, v, x->by, e);
        if (!own) return false;
        for (int k = 0; k < v->run_count; k++) {
            x->known[i] = x->known[i] || same_text(&own[k], first);
        }
        if (x->known[i]) {
            const beside pairs = pair(scratch, v, own, base, of_base);
            compared_slice *cells = &x->cells[(int64_t)i * x->count];
            for (int k = 0; k < x->count; k++)
                fill_cell(&cells[k], scratch, &pairs, bucket_of(x->low[k]));
        }
        arena_rewind(scratch, mark);
    }
    return true;
}

/* Scratch holds all runs' sums and goes when the cells are filled; these live in the caller's
 * arena. */
slice_comparison *compare_slices(arena *a, const comparison *c, store *s, slice_by by, err *e)
{
    slice_comparison *x = arena_push_zero(a, 1, sizeof *x);
    x->by = by;
    x->bytes = compare_by_bytes(c);
    x->variants = c->count;
    x->known = arena_push_zero(a, MAX(c->count, 1), sizeof *x->known);
    if (c->baseline < 0) return x;
    arena_auto *scratch = arena_new(1 << 20);
    bool ok = fill(x, a, scratch, c, s, e);
    return ok ? x : NULL;
}
