#include "results/compare/compare_documents.h"

#include <math.h>
#include <string.h>

#include "results/store/query.h"

/* For each document the difference in nats, the mean over paired seeds, then
 *
 *   mean = sum over documents of difference / sum of sizes
 *
 * with a bootstrap over documents. Seeds and documents answer different questions, and both are
 * asked: a gain that comes of two books in forty is steady over seeds, and would not be seen in
 * other books.
 *
 * Differences are kept in nats until they are summed up, so that the documents' figures add to the
 * whole text's, whatever the unit. */

/* Sized by the count that the comparison was read with; (evaluation, document) is the table's key,
 * so that the rows come in order without sorting. */
bool compare_documents_read(scored_documents *d, arena *a, store *s, const compared_run *r, err *e)
{
    query q =
        QUERY(s, e,
              "SELECT document, nats, bytes, tokens, words FROM document WHERE evaluation = ?1 "
              "ORDER BY document",
              r->evaluation);
    *d = (scored_documents){.of = r,
                            .index = ARENA_NEW(a, int64_t, r->documents),
                            .nats = ARENA_NEW(a, double, r->documents)};
    for (int u = 0; u < DOCUMENT_NONE; u++) {
        d->size[u] = ARENA_NEW(a, double, r->documents);
    }
    while (d->count < r->documents && query_next(&q)) {
        int i = d->count++;
        d->index[i] = query_int(&q, "document", 0);
        d->nats[i] = query_real(&q, "nats");
        d->size[DOCUMENT_BYTES][i] = query_real(&q, "bytes");
        d->size[DOCUMENT_TOKENS][i] = query_real(&q, "tokens");
        d->size[DOCUMENT_WORDS][i] = query_real(&q, "words");
    }
    return query_close(&q);
}

/* By their places in the corpus: two evaluations of equally many, but other documents have no
 * pairs. */
static bool same_documents(const scored_documents *x, const scored_documents *y)
{
    return x->count == y->count &&
           memcmp(x->index, y->index, (size_t)x->count * sizeof *x->index) == 0;
}

/* Adds the differences of one seed; false if a figure is missing. Looked at whole before anything
 * is added: half a seed would count its documents twice as much as others. */
static bool add_seed(double *sums, const scored_documents *x, const scored_documents *y)
{
    for (int i = 0; i < x->count; i++) {
        if (!isfinite(x->nats[i] - y->nats[i])) return false;
    }
    for (int i = 0; i < x->count; i++) {
        sums[i] += x->nats[i] - y->nats[i];
    }
    return true;
}

/* Both scored the same sizes, and not all of them are 0. */
static bool same_sizes(const scored_documents *x, const scored_documents *y, document_unit unit)
{
    double sum = 0;
    if (unit == DOCUMENT_TOKENS && !compare_same_tokenizer(x->of, y->of)) return false;
    for (int i = 0; i < x->count; i++) {
        if (x->size[unit][i] != y->size[unit][i]) return false; /* NaN differs, too */
        sum += x->size[unit][i];
    }
    return sum > 0;
}

bool compare_documents_same(const scored_documents *x, const scored_documents *y,
                            document_unit unit)
{
    return same_documents(x, y) && same_sizes(x, y, unit);
}

/* Each variant's own tokens divide nothing where they differ: a tokenizer with longer tokens would
 * look worse by as much. Bytes first, as they compare whatever the tokenizer; then tokens, which
 * are equal here to the document; then words. */
static document_unit common_unit(const scored_documents *x, const scored_documents *y)
{
    for (int unit = 0; unit < DOCUMENT_NONE; unit++) {
        if (same_sizes(x, y, (document_unit)unit)) return (document_unit)unit;
    }
    return DOCUMENT_NONE;
}

/* bits per byte = nats / ln 2; tokens and words stay in nats. Below 0 the variant is better. */
static void summarise(document_difference *out, const scored_documents *d, document_unit unit,
                      double *sums, int seeds)
{
    double top = 0, bottom = 0;
    const double *sizes = d->size[unit];
    out->unit = unit;
    out->n = d->count;
    for (int i = 0; i < d->count; i++) {
        sums[i] /= seeds * (unit == DOCUMENT_BYTES ? log(2.0) : 1);
        top += sums[i];
        bottom += sizes[i];
        out->better += sums[i] < 0;
    }
    out->mean = top / bottom;
    out->confidence = stats_bootstrap(sums, sizes, d->count, STATS_CONFIDENCE);
}

static bool compare_variant(compared_variant *v, const compared_variant *base, arena *a, store *s,
                            err *e)
{
    scored_documents first = {0};
    double *sums = NULL;
    document_unit unit = DOCUMENT_NONE;
    int seeds = 0;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i], *b = compare_run(base, r->seed);
        /* Pairs only: seeds of which both runs have their documents. */
        if (!b || !b->scored || !r->scored || r->documents == 0 || b->documents != r->documents)
            continue;
        scored_documents x, y;
        if (!compare_documents_read(&x, a, s, r, e) || !compare_documents_read(&y, a, s, b, e)) {
            return false;
        }
        if (!same_documents(&x, &y)) continue;
        if (seeds == 0) {
            first = x;
            unit = common_unit(&x, &y);
            sums = arena_push_zero(a, MAX(x.count, 1), sizeof *sums);
        }
        /* Of a later seed with other documents the sums would mix texts. */
        if (same_documents(&x, &first)) seeds += add_seed(sums, &x, &y);
    }
    if (seeds > 0 && unit != DOCUMENT_NONE) summarise(&v->documents, &first, unit, sums, seeds);
    return true;
}

bool compare_documents(comparison *c, store *s, err *e)
{
    arena_auto *scratch = arena_new(1 << 18);
    bool ok = true;
    for (int i = 0; ok && c->baseline >= 0 && c->same_text && i < c->count; i++) {
        /* Documents of one variant at a time: a corpus of thousands of books times all seeds need
         * not be in memory. */
        arena_reset(scratch);
        /* What is not ranked has no difference anywhere, in documents neither. */
        if (i != c->baseline && !c->variants[i].unranked) {
            ok = compare_variant(&c->variants[i], &c->variants[c->baseline], scratch, s, e);
        }
    }
    return ok;
}
