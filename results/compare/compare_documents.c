#include "results/compare/compare_documents.h"

#include <math.h>
#include <string.h>

#include "results/store/query.h"

/* What one evaluation says of its documents, in their order. */
typedef struct scored_documents {
    int count;
    int64_t *index;
    double *nats, *bytes, *tokens; /* bytes NaN: unknown */
} scored_documents;

static bool read_documents(scored_documents *d, arena *a, store *s, const compared_run *r, err *e)
{
    query q = QUERY(s, e,
                    "SELECT document, nats, bytes, tokens FROM document WHERE evaluation = ?1 "
                    "ORDER BY document",
                    r->evaluation);
    *d = (scored_documents){.index = ARENA_NEW(a, int64_t, r->documents),
                            .nats = ARENA_NEW(a, double, r->documents),
                            .bytes = ARENA_NEW(a, double, r->documents),
                            .tokens = ARENA_NEW(a, double, r->documents)};
    while (d->count < r->documents && query_next(&q)) {
        int i = d->count++;
        d->index[i] = query_int(&q, "document", 0);
        d->nats[i] = query_real(&q, "nats");
        d->bytes[i] = query_real(&q, "bytes");
        d->tokens[i] = query_real(&q, "tokens");
    }
    return query_close(&q);
}

static bool same_documents(const scored_documents *x, const scored_documents *y)
{
    return x->count == y->count &&
           memcmp(x->index, y->index, (size_t)x->count * sizeof *x->index) == 0;
}

/* Adds the differences of one seed; false if a figure is missing. */
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

static void summarise(document_difference *out, const scored_documents *d, double *sums, int seeds)
{
    double top = 0, bottom = 0;
    out->by_bytes = true;
    for (int i = 0; i < d->count; i++) {
        out->by_bytes = out->by_bytes && d->bytes[i] > 0;
    }
    const double *units = out->by_bytes ? d->bytes : d->tokens;
    out->n = d->count;
    for (int i = 0; i < d->count; i++) {
        sums[i] /= seeds * (out->by_bytes ? log(2.0) : 1);
        top += sums[i];
        bottom += units[i];
        out->better += sums[i] < 0;
    }
    out->mean = top / bottom;
    out->confidence = stats_bootstrap(sums, units, d->count, STATS_CONFIDENCE);
}

static bool compare_variant(compared_variant *v, const compared_variant *base, arena *a, store *s,
                            err *e)
{
    scored_documents first = {0};
    double *sums = NULL;
    int seeds = 0;
    for (int i = 0; i < v->run_count; i++) {
        const compared_run *r = &v->runs[i], *b = NULL;
        for (int k = 0; k < base->run_count; k++) {
            if (base->runs[k].seed == r->seed && base->runs[k].scored) b = &base->runs[k];
        }
        if (!b || !r->scored || r->documents == 0 || b->documents != r->documents) continue;
        scored_documents x, y;
        if (!read_documents(&x, a, s, r, e) || !read_documents(&y, a, s, b, e)) return false;
        if (!same_documents(&x, &y)) continue;
        if (seeds == 0) {
            first = x;
            sums = arena_push_zero(a, MAX(x.count, 1), sizeof *sums);
        }
        if (same_documents(&x, &first)) seeds += add_seed(sums, &x, &y);
    }
    if (seeds > 0) summarise(&v->documents, &first, sums, seeds);
    return true;
}

bool compare_documents(comparison *c, store *s, err *e)
{
    arena *scratch = arena_new(1 << 18);
    bool ok = true;
    for (int i = 0; ok && c->baseline >= 0 && c->same_text && i < c->count; i++) {
        arena_reset(scratch);
        if (i != c->baseline) {
            ok = compare_variant(&c->variants[i], &c->variants[c->baseline], scratch, s, e);
        }
    }
    arena_free(scratch);
    return ok;
}
