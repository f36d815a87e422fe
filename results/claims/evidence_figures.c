#include "results/claims/evidence_figures.h"

#include <math.h>
#include <string.h>

#include "results/store/query.h"

/* Each figure where the database has it: a column of the run, sums over slices or questions, what
 * an inspection wrote. A figure that is lacking is an empty list or NaN, not an error: what that
 * means for a claim is for whoever pairs the runs. */

/* Slices are recorded by part of the text; a claim is about the whole, so parts are summed. The
 * primary key of `slice` begins with evaluation, kind and low: it gives the rows, their groups and
 * their order. Slices that lie in the range in part only cannot occur, since ranges are bounds of
 * slices (statement_parts.c). */
static bool read_slices(run_figures *f, store *db, const claim_statement *s, const compared_run *r,
                        err *e)
{
    double nats[EVIDENCE_BUCKETS] = {0};
    query q = QUERY(db, e,
                    "SELECT low, high, sum(tokens) AS tokens, sum(nats) AS nats FROM slice WHERE "
                    "evaluation = ?1 AND kind = ?2 GROUP BY low ORDER BY low",
                    r->evaluation, compare_slices_by_name(s->by));
    while (query_next(&q)) {
        int64_t low = query_int(&q, "low", 0), high = query_int(&q, "high", 0);
        if (low < s->low || high > s->high || f->count == EVIDENCE_BUCKETS) continue;
        int k = s->along ? f->count : 0; /* without a trend all are one */
        f->count = k + 1;
        f->tokens[k] += query_real(&q, "tokens");
        nats[k] += query_real(&q, "nats");
    }
    for (int k = 0; k < f->count; k++) {
        /* A mean over the tokens of all the slices, not of the slices' means: tokens count alike.
         * Without any token it is NaN, and the seed lacks the figure. */
        f->value[k] = nats[k] / log(2.0) / f->tokens[k];
    }
    return query_close(&q);
}

/* In points: 100 times the share of right answers, over the questions of one distance or of all. An
 * evaluation that asked none gives one row of NULL, so NaN, which is a figure that is lacking. */
static bool read_recall(run_figures *f, store *db, const claim_statement *s, const compared_run *r,
                        err *e)
{
    query q = QUERY(db, e,
                    "SELECT 100.0 * sum(correct) / sum(answers) AS points, sum(answers) AS n FROM "
                    "recall WHERE evaluation = ?1 AND (?2 < 0 OR distance = ?2)",
                    r->evaluation, NULL);
    query_number(&q, 2, s->distance);
    while (query_next(&q)) {
        f->value[f->count] = query_real(&q, "points");
        f->tokens[f->count++] = query_real(&q, "n");
    }
    return query_close(&q);
}

/* A number for each depth, or the mean over them. A figure that has bins (a distribution) has none
 * that is the figure; only its bin 0 is read. */
static bool read_inspected(run_figures *f, store *db, const claim_statement *s,
                           const claim_figure *what, const compared_run *r, err *e)
{
    double sum = 0;
    int n = 0;
    query q = QUERY(db, e,
                    "SELECT value FROM inspect_figure WHERE run = ?1 AND part = ?2 AND figure = ?3 "
                    "AND bin = 0 ORDER BY depth",
                    r->run, what->part, what->found);
    while (query_next(&q) && n < EVIDENCE_BUCKETS) {
        f->value[n] = query_real(&q, "value");
        f->tokens[n] = 1;
        sum += f->value[n++];
    }
    f->count = s->along ? n : MIN(n, 1);
    if (!s->along && n > 0) f->value[0] = sum / n;
    return query_close(&q);
}

/* All of f is set, also the entries that no figure uses: take_values compares whole arrays. */
bool evidence_figures(run_figures *f, store *db, const claim_statement *s, const claim_figure *what,
                      const compared_run *r, err *e)
{
    memset(f, 0, sizeof *f);
    switch (what->kind) {
    case FIGURE_SLICE:
        return read_slices(f, db, s, r, e);
    case FIGURE_RECALL:
        return read_recall(f, db, s, r, e);
    case FIGURE_METRIC:
        f->value[f->count++] = r->value[what->metric];
        return true;
    case FIGURE_INSPECT:
        return read_inspected(f, db, s, what, r, e);
    case FIGURE_GIVEN:
        f->value[f->count++] = what->given;
        return true;
    case FIGURE_RUN:
    default:
        f->value[f->count++] = claim_figure_of_run(what, r);
        return true;
    }
}

/* ---- of a document ---- */

/* What a metric divides by, and so what two runs must have alike in every document. */
document_unit evidence_unit(compare_metric m)
{
    return m == COMPARE_BITS_PER_BYTE     ? DOCUMENT_BYTES
           : m == COMPARE_WORD_PERPLEXITY ? DOCUMENT_WORDS
                                          : DOCUMENT_TOKENS;
}

/* The figure of a document by itself.
 *   nats / bytes / ln 2, or exp(nats / words), exp(nats / tokens)
 *
 * NaN where the document has no such size, which check_documents (evidence.c) refuses. */
double evidence_of_document(const scored_documents *d, int i, compare_metric m)
{
    double mean = d->nats[i] / d->size[evidence_unit(m)][i];
    return m == COMPARE_BITS_PER_BYTE ? mean / log(2.0) : exp(mean);
}
