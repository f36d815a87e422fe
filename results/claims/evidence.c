#include "results/claims/evidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/claims/evidence_figures.h"
#include "results/compare/compare_made.h"
#include "results/compare/compare_read.h"

/* From the database to figures by seed. For each statement its variants become `sides`; each seed
 * that is planned for all sides is one entry with a state and, if all its runs are done and have
 * the figure, a pair (a, b). A trend is made one number per seed here, its slope, so that the judge
 * sees pairs of numbers whatever the claim is about. By document a seed has a pair for each
 * document instead, in the documents' order.
 *
 * Nothing is left out silently. A seed of which one run failed or lacks the figure keeps its place,
 * with a state that forbids a verdict: the seeds that come through a divergence are not a random
 * choice, and a mean over them would praise the variant that breaks more often. A seed that is not
 * planned for some side has no pair and is not counted.
 *
 * All memory is the source's arena; it lives until the verdicts were shown. */

typedef struct gatherer {
    evidence_source *x;
    const comparison *runs;
    const claim_statement *s;
    const claim_figure *figure;
    int sides; /* variants that the statement needs, `other` last if there is one */
    const compared_variant **side;
    statement_evidence *out;
    seed_state *state;
    bool *same;                /* NULL: the figure is none that a seed changes */
    const compared_run *timed; /* the first whose time counts */
    int most;                  /* seeds */
    double *a, *b;
    scored_documents first; /* by document: those of the first run, which all have to have */
    err *e;
} gatherer;

/* Kept by split, the last place for the final evaluations: a comparison reads all runs of the
 * experiment, and most claims are about the same split. */
comparison *evidence_runs(evidence_source *x, const char *split, err *e)
{
    static const char *const splits[] = {"train", "validation", "test"};
    int k = 0;
    while (split && k < 3 && strcmp(splits[k], split) != 0)
        k++;
    comparison **c = &x->of_split[split ? k : 3];
    if (!*c) *c = compare_read(x->memory, x->db, x->experiment, split, e);
    return *c;
}

const claim_figure *evidence_figure(const comparison *c, const claim_statement *s)
{
    if (s->on) return s->on;
    return claim_figure_find(compare_metric_name(compare_choose_metric(c, COMPARE_AUTO)));
}

/* ---- one seed ---- */

/* A run that was interrupted is awaited like one that has not begun: it goes on when it is asked
 * to. */
static seed_state state_of(const compared_run *r)
{
    if (strcmp(r->status, "failed") == 0 || strcmp(r->status, "diverged") == 0) return SEED_LOST;
    if (strcmp(r->status, "done") != 0) return SEED_AWAITED;
    return r->scored ? SEED_HERE : SEED_WITHOUT;
}

/* Keeps the first thing that is wrong. */
static seed_state trouble(gatherer *g, seed_state state, const compared_variant *v,
                          const compared_run *r, const char *what)
{
    char text[400];
    snprintf(text, sizeof text, "'%.100s', seed %lld: %.200s", v->label, (long long)r->seed, what);
    if (!g->out->trouble) g->out->trouble = arena_strdup(g->x->memory, text);
    return state;
}

/* Can figures of the two be compared? Each unit needs a text of which both have the same. Bits per
 * byte of texts of different length may differ for the text alone, perplexities per token of
 * different tokenizers differ by their tokens. Where a tokenizer lacks much of the text, bytes are
 * no unit either: what it does not know it does not have to predict. */
static bool same_text(const claim_figure *f, const compared_run *x, const compared_run *y)
{
    if (f->kind == FIGURE_SLICE) return compare_same_tokenizer(x, y);
    if (f->kind != FIGURE_METRIC) return true;
    bool same_tokens =
        x->tokens == y->tokens && x->unknown == y->unknown && compare_same_tokenizer(x, y);
    double unknown = fmax((double)x->unknown / (double)MAX(x->tokens, 1),
                          (double)y->unknown / (double)MAX(y->tokens, 1));
    if (unknown > COMPARE_UNKNOWN_SHARE && !same_tokens) return false;
    return f->metric == COMPARE_BITS_PER_BYTE     ? x->bytes == y->bytes
           : f->metric == COMPARE_WORD_PERPLEXITY ? x->words == y->words
                                                  : same_tokens;
}

/* Of points at 0, 1, 2 ..., weighted; NaN below two points.
 *   slope = sum w (i - mean_i) (y - mean_y) / sum w (i - mean_i)^2
 *
 * The points stand at their number, not at the axis's value: values may be names, and those that
 * are numbers are mostly doubled from one to the next. So a margin is per step. One slope for each
 * seed, then a t test over seeds, rather than one line through all points: points of one seed share
 * its initial weights and order of text, and are not independent. */
static double slope(const double *y, const double *weight, int n)
{
    double w = 0, wx = 0, wy = 0, xx = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        w += weight[i];
        wx += weight[i] * i;
        wy += weight[i] * y[i];
    }
    for (int i = 0; i < n; i++) {
        xx += weight[i] * (i - wx / w) * (i - wx / w);
        xy += weight[i] * (i - wx / w) * (y[i] - wy / w);
    }
    return xx > 0 ? xy / xx : (double)NAN;
}

/* Of a trend along an axis: a point for each variant; the gain over `other` if there is one. A gain
 * is positive where the variant is better than `other`, whichever way its figure counts. */
static double axis_slope(const gatherer *g, const run_figures *f)
{
    const claim_statement *s = g->s;
    double *y = ARENA_NEW(g->x->memory, double, s->count);
    double *one = ARENA_NEW(g->x->memory, double, s->count);
    for (int i = 0; i < s->count; i++) {
        /* The last side is `other` if there is one; if not, the gain is not used. */
        double gain = f[i].value[0] - f[g->sides - 1].value[0];
        one[i] = 1;
        y[i] = !s->other ? f[i].value[0] : g->figure->higher ? gain : -gain;
    }
    return slope(y, one, s->count);
}

/* Along slices: weighted by their tokens, or a handful at the beginning would decide. */
static double slice_slope(const gatherer *g, const run_figures *f)
{
    double y[EVIDENCE_BUCKETS];
    for (int k = 0; k < f[0].count; k++) {
        double gain = g->s->other ? f[0].value[k] - f[1].value[k] : 0;
        y[k] = !g->s->other ? f[0].value[k] : g->figure->higher ? gain : -gain;
    }
    return slope(y, f[0].tokens, f[0].count);
}

/* What the statement is about, of one seed (or of one of its documents). */
static double first_side(const gatherer *g, const run_figures *f)
{
    if (!g->s->along) return f[0].value[0];
    return g->s->count ? axis_slope(g, f) : slice_slope(g, f);
}

static bool same_counts(const run_figures *a, const run_figures *b)
{
    bool same = a->count == b->count;
    for (int n = 0; same && n < a->count; n++) {
        same = a->tokens[n] == b->tokens[n];
    }
    return same;
}

/* Times of another machine, or of more threads, are no figures of the variant: it is said, and
 * nothing is concluded. */
static void check_machine(gatherer *g, int k, int side, const compared_run *r)
{
    char what[240];
    if (!g->timed) g->timed = r;
    if (compare_made_alike(g->timed, r)) return;
    snprintf(what, sizeof what, "had %.90s, not %.90s", r->made->machine, g->timed->made->machine);
    g->state[k] = trouble(g, SEED_WITHOUT, g->side[side], r, what);
}

/* a and b of the seed at index k, whose runs are all done. Figures are compared only if they speak
 * of the same text: equal counts of tokens in every slice, to the bit (they are whole numbers),
 * which a text of other length or another tokenizer would not give. What loci inspect found and a
 * given number have no text of their own. */
static bool take_values(gatherer *g, int k, const compared_run *const *runs)
{
    run_figures *f = ARENA_NEW(g->x->memory, run_figures, g->sides);
    for (int i = 0; i < g->sides; i++) {
        /* `above`: both sides are the same variant, so both entries of runs are the same run, and
         * what differs is the figure that is read of it. */
        const claim_figure *what = i == 1 && g->s->above ? g->s->above : g->figure;
        if (!evidence_figures(&f[i], g->x->db, g->s, what, runs[i], g->e)) return false;
        bool same = same_text(what, runs[0], runs[i]) && f[i].count == f[0].count &&
                    (what->kind == FIGURE_INSPECT || what->kind == FIGURE_GIVEN ||
                     same_counts(&f[i], &f[0]));
        char lacks[160];
        snprintf(lacks, sizeof lacks, "has no %.80s%s", what->title,
                 what->kind == FIGURE_INSPECT ? "; loci inspect measures it" : "");
        bool there = f[i].count > 0;
        for (int n = 0; n < f[i].count; n++) {
            there = there && isfinite(f[i].value[n]);
        }
        if (!there) g->state[k] = trouble(g, SEED_WITHOUT, g->side[i], runs[i], lacks);
        if (there && !same)
            g->state[k] = trouble(g, SEED_WITHOUT, g->side[i], runs[i],
                                  "scored another text, or the same in other tokens");
        if (what->timed) check_machine(g, k, i, runs[i]);
        if (g->state[k] != SEED_HERE) return true;
    }
    g->a[k] = first_side(g, f);
    g->b[k] = g->s->along ? 0 : f[1].value[0];
    if (!isfinite(g->a[k])) {
        g->state[k] = trouble(g, SEED_WITHOUT, g->side[0], runs[0], "has one slice, no trend");
    }
    return true;
}

/* ---- one seed, document by document ---- */

/* The first run says which documents there are; what is wrong with one's, NULL: nothing. Every side
 * of every seed is held against the first, so that place n is the same document in all of them. */
static const char *check_documents(gatherer *g, const scored_documents *d)
{
    if (d->count < EVIDENCE_LEAST_DOCUMENTS) return "was scored on too few documents (5 at least)";
    for (int i = 0; i < d->count; i++) {
        if (!isfinite(evidence_of_document(d, i, g->figure->metric)))
            return "has a document without figure";
    }
    if (g->out->documents > 0) {
        bool same = compare_documents_same(d, &g->first, evidence_unit(g->figure->metric));
        return same ? NULL : "scored other documents, or the same in other tokens";
    }
    g->first = *d;
    g->out->documents = d->count;
    /* Made once the number of documents is known, for all seeds: [seeds][documents]. */
    g->out->a = g->a = ARENA_NEW(g->x->memory, double, (int64_t)g->most * d->count);
    g->out->b = g->b = ARENA_NEW(g->x->memory, double, (int64_t)g->most * d->count);
    return NULL;
}

/* a and b of all documents of the seed at index k. A seed counts with all of its documents or not
 * at all: a mean over seeds of which some lack a document would be of other seeds for each. */
static bool take_documents(gatherer *g, int k, const compared_run *const *runs)
{
    arena *a = g->x->memory;
    run_figures *f = ARENA_NEW(a, run_figures, g->sides);
    scored_documents *d = ARENA_NEW(a, scored_documents, g->sides);
    for (int i = 0; i < g->sides; i++) {
        if (!compare_documents_read(&d[i], a, g->x->db, runs[i], g->e)) return false;
        const char *wrong = check_documents(g, &d[i]);
        if (!wrong) continue;
        g->state[k] = trouble(g, SEED_WITHOUT, g->side[i], runs[i], wrong);
        return true;
    }
    for (int n = 0; n < g->out->documents; n++) {
        int at = k * g->out->documents + n;
        for (int i = 0; i < g->sides; i++) {
            f[i].value[0] = evidence_of_document(&d[i], n, g->figure->metric);
        }
        g->a[at] = first_side(g, f);
        g->b[at] = g->s->along ? 0 : f[1].value[0];
    }
    return true;
}

/* Are the models of all sides those of an earlier seed, one and the same for all sides? */
static bool repeats(const gatherer *g, int run)
{
    for (int i = 0; i < run; i++) {
        bool same = true;
        for (int k = 0; k < g->sides && same; k++) {
            const compared_run *own = compare_run(g->side[k], g->side[0]->runs[run].seed);
            const compared_run *its = compare_run(g->side[k], g->side[0]->runs[i].seed);
            same = own && its && compare_same_model(own, its);
        }
        if (same) return true;
    }
    return false;
}

static bool take_seed(gatherer *g, int run)
{
    int64_t seed = g->side[0]->runs[run].seed;
    arena *a = g->x->memory;
    const compared_run **runs = ARENA_NEW(a, const compared_run *, g->sides);
    seed_state state = SEED_HERE;
    for (int i = 0; i < g->sides; i++) {
        runs[i] = compare_run(g->side[i], seed);
        /* Looked at for all sides before any trouble is noted: a failed run of a seed that makes no
         * pair is no trouble of this claim. */
        if (!runs[i]) return true; /* not planned for all: no pair */
    }
    for (int i = 0; i < g->sides; i++) {
        seed_state own = state_of(runs[i]);
        if (own == SEED_LOST || own == SEED_WITHOUT) {
            char what[240];
            snprintf(what, sizeof what, "%s: %.200s", runs[i]->status, compare_reason(runs[i]));
            own = trouble(g, own, g->side[i], runs[i], what);
        }
        /* A lost run matters more than one that is still to come. */
        if (state == SEED_HERE || own == SEED_LOST) state = own == SEED_HERE ? state : own;
    }
    int k = g->out->seeds++;
    g->state[k] = state;
    if (state != SEED_HERE) return true;
    if (g->same) g->same[k] = repeats(g, run);
    return g->s->by_document ? take_documents(g, k, runs) : take_values(g, k, runs);
}

/* ---- a statement ---- */

/* The order of sides is what take_values and axis_slope count on: the variants of a trend, or the
 * one that the claim is about, then `other`. */
static bool find_sides(gatherer *g)
{
    const claim_statement *s = g->s;
    const char *label = NULL;
    g->side = ARENA_NEW(g->x->memory, const compared_variant *, s->count + 2);
    for (int i = 0; i < s->count; i++) {
        g->side[g->sides] = compare_find(g->runs, s->variants[i]);
        if (!g->side[g->sides++]) label = s->variants[i];
    }
    if (s->variant && !(g->side[g->sides++] = compare_find(g->runs, s->variant))) {
        label = s->variant;
    }
    if (s->other && !(g->side[g->sides++] = compare_find(g->runs, s->other))) label = s->other;
    if (!label) return true;
    return err_set(g->e, "%s: a claim is about '%s', which has no runs; loci run plans them",
                   g->x->experiment, label);
}

/* Seeds come in the order of the first side's runs, which is by seed: the order in which a growing
 * sweep adds them, as looks have to count them. */
static bool gather(statement_evidence *out, evidence_source *x, const claim_statement *s, err *e)
{
    comparison *c = evidence_runs(x, s->split, e);
    if (!c) return false;
    gatherer g = {.x = x, .runs = c, .s = s, .figure = evidence_figure(c, s), .out = out, .e = e};
    if (!find_sides(&g)) return false;
    int most = g.most = g.side[0]->run_count;
    figure_kind kind = g.figure->kind;
    *out = (statement_evidence){.higher = g.figure->higher,
                                .measured = kind == FIGURE_METRIC || kind == FIGURE_SLICE};
    /* Sizes and costs are what they are, however often a model is asked. */
    if (kind != FIGURE_RUN) out->same = g.same = arena_push_zero(x->memory, most, sizeof *g.same);
    out->state = g.state = ARENA_NEW(x->memory, seed_state, most);
    out->a = g.a = ARENA_NEW(x->memory, double, most);
    out->b = g.b = ARENA_NEW(x->memory, double, most);
    for (int i = 0; i < most; i++) {
        if (!take_seed(&g, i)) return false;
    }
    return true;
}

bool evidence_read(claim_evidence *out, evidence_source *x, const claim *c, err *e)
{
    out->claim = c;
    out->statements = ARENA_NEW(x->memory, statement_evidence, c->count);
    for (int i = 0; i < c->count; i++) {
        if (!gather(&out->statements[i], x, &c->statements[i], e)) return false;
    }
    return true;
}
