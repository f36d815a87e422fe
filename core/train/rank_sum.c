#include "core/train/rank_sum.h"

#include <stdlib.h>
#include <string.h>

#include "core/train/grads.h"

/* Two exchanges and additions between them. All ranks compute the same plan from the same marks, so
 * nothing but numbers has to be sent:
 *
 *   gather    every rank's marks of pieces to all: [count, pieces]
 *   plan      runs of elements that somebody has; range r of R is elements [n r / R, n (r+1) / R)
 * of them scatter   each rank sends every other one its part of that one's range add       the
 * owner adds R vectors of n / R elements, in the tree's order share     each owner sends its sums
 * to all
 *
 * A rank sends n (R-1)/R elements twice, and every rank adds as much as any other. The bits are
 * those of one process: rank r holds node (level, r) of the lanes' tree (ranks_lanes), and add_own
 * goes on from there, left plus right. Where a rank has no gradient for a piece it sends whatever
 * lies in its memory; the marks say that it is not to be read. */

/* Elements [begin, end) of the flat vectors. */
typedef struct span {
    int64_t begin, end;
} span;

struct rank_sum {
    rank_group *ranks;
    const params *params;
    int count, me;
    bool *has, *any;     /* [count, pieces]; [pieces]: of any rank */
    span *runs, *own;    /* what is sent at all; a rank's part of it */
    int run_count;       /* both [pieces + 1] */
    rank_part *out, *in; /* room for [capacity] */
    int capacity;
    real *buffer; /* what other ranks have of the own range: [count, length] */
    int64_t room;
    row_grads *rows; /* [row_tables]: where they are gathered */
    int64_t *row_counts;
};

/* Never 0 bytes: realloc may answer that with NULL. */
static void *grown(void *p, size_t count, size_t size)
{
    p = realloc(p, MAX(count, (size_t)1) * size);
    CHECK(p, "out of memory for sums over ranks (%zu x %zu bytes)", count, size);
    return p;
}

rank_sum *rank_sum_new(rank_group *r, const params *p)
{
    rank_sum *s = grown(NULL, 1, sizeof *s);
    size_t count = (size_t)ranks_count(r), pieces = (size_t)p->pieces;
    *s = (rank_sum){.ranks = r, .params = p, .count = (int)count, .me = ranks_me(r)};
    s->has = grown(NULL, count * pieces, sizeof *s->has);
    s->any = grown(NULL, pieces, sizeof *s->any);
    s->runs = grown(NULL, pieces + 1, sizeof *s->runs);
    s->own = grown(NULL, pieces + 1, sizeof *s->own);
    return s;
}

void rank_sum_free(rank_sum *s)
{
    if (!s) return;
    for (int i = 0; s->rows && i < s->params->row_tables; i++) {
        row_grads_deinit(&s->rows[i]);
    }
    free(s->rows);
    free(s->row_counts);
    free(s->has);
    free(s->any);
    free(s->runs);
    free(s->own);
    free(s->out);
    free(s->in);
    free(s->buffer);
    free(s);
}

size_t rank_sum_bytes(const rank_sum *s)
{
    return s ? (size_t)s->room * sizeof *s->buffer : 0;
}

/* ---- what goes where ---- */

/* Neighbours that some rank has, as few stretches: the gaps between parameters go along.
 * A message has a fixed cost, so gaps of padding (less than 16 elements, params.c) are worth
 * sending; they are read by nobody. A piece that all lack, an expert without tokens, splits a
 * run. */
static void find_runs(rank_sum *s)
{
    enum { GAP = 64 };
    const params *p = s->params;
    s->run_count = 0;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        int64_t size = q->count / q->pieces;
        for (int64_t k = 0; k < q->pieces; k++) {
            int64_t begin = q->offset + k * size;
            span *last = s->run_count > 0 ? &s->runs[s->run_count - 1] : NULL;
            if (!s->any[q->first_piece + k]) continue;
            if (last && begin - last->end < GAP) {
                last->end = begin + size;
            } else {
                s->runs[s->run_count++] = (span){begin, begin + size};
            }
        }
    }
}

static int64_t elements(const rank_sum *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->run_count; i++) {
        n += s->runs[i].end - s->runs[i].begin;
    }
    return n;
}

/* A rank's range of all that is sent; returns how many spans it is.
 * Boundaries fall inside of pieces and parameters: ranges are equal to one element, whatever a
 * model consists of. Element numbers times ranks stay far below 2^63. */
static int range_of(const rank_sum *s, int rank, span *out)
{
    int64_t n = elements(s), at = 0;
    int64_t begin = n * rank / s->count, end = n * (rank + 1) / s->count;
    int spans = 0;
    for (int i = 0; i < s->run_count; i++) {
        span x = s->runs[i];
        int64_t length = x.end - x.begin;
        int64_t from = MAX(begin - at, 0), to = MIN(end - at, length);
        if (from < to) out[spans++] = (span){x.begin + from, x.begin + to};
        at += length;
    }
    return spans;
}

static int64_t range_length(const span *list, int spans)
{
    int64_t n = 0;
    for (int i = 0; i < spans; i++) {
        n += list[i].end - list[i].begin;
    }
    return n;
}

/* Room grows to what the fullest step needs, which soon comes, and stays. */
static void reserve(rank_sum *s, int64_t own)
{
    int parts = s->count * (s->run_count + 1);
    if (parts > s->capacity) {
        s->out = grown(s->out, (size_t)parts, sizeof *s->out);
        s->in = grown(s->in, (size_t)parts, sizeof *s->in);
        s->capacity = parts;
    }
    if (s->count * own > s->room) {
        s->room = s->count * own;
        s->buffer = grown(s->buffer, (size_t)s->room, sizeof *s->buffer);
    }
}

/* Adds to the list what lies at `values` + begin of each span, or one behind the other. */
static int list_parts(rank_part *list, int n, int rank, const span *spans, int count, real *values,
                      bool packed)
{
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        int64_t length = spans[i].end - spans[i].begin;
        list[n++] = (rank_part){rank, values + (packed ? at : spans[i].begin),
                                (size_t)length * sizeof(real)};
        at += length;
    }
    return n;
}

/* ---- the sums ---- */

/* The tree over ranks on the own range, level by level. Rank r's part lies in `part(r)`; the sum
 * ends in rank 0's.
 * d = 1, 2, 4 ...: node (level, j) of the tree lies at rank j d, its sibling at j d + d; one beyond
 * the last is an absent right half. The marks of left are updated after its spans, since grads_add
 * needs what they were. */
static void add_own(rank_sum *s, int spans, int64_t own, int summands)
{
    for (int d = 1; d < summands; d *= 2) {
        for (int r = 0; r + d < summands; r += 2 * d) {
            bool *left = s->has + (int64_t)r * s->params->pieces;
            const bool *right = s->has + (int64_t)(r + d) * s->params->pieces;
            real *a = s->buffer + r * own;
            const real *b = s->buffer + (r + d) * own;
            for (int i = 0; i < spans; i++) {
                int64_t length = s->own[i].end - s->own[i].begin;
                grads_add(s->params, a, left, b, right, s->own[i].begin, s->own[i].end);
                a += length;
                b += length;
            }
            grads_mark(s->params, left, right);
        }
    }
}

/* What others have of the own range comes here, what they own goes there. */
static bool scatter(rank_sum *s, grads *g, int spans, int64_t own, int summands, err *e)
{
    int outs = 0, ins = 0;
    span *theirs = grown(NULL, (size_t)s->run_count + 1, sizeof *theirs);
    for (int i = 1; i < s->count; i++) { /* in turn: nobody is asked by all at once */
        int to = (s->me + i) % s->count, from = (s->me + s->count - i) % s->count;
        if (s->me < summands) {
            int n = range_of(s, to, theirs);
            outs = list_parts(s->out, outs, to, theirs, n, g->values, false);
        }
        if (from < summands)
            ins = list_parts(s->in, ins, from, s->own, spans, s->buffer + from * own, true);
    }
    free(theirs);
    /* The own part lies at its rank's place among the others', as if it had been received. */
    real *mine = s->buffer + s->me * own;
    for (int i = 0; i < spans; i++) {
        int64_t length = s->own[i].end - s->own[i].begin;
        memcpy(mine, g->values + s->own[i].begin, (size_t)length * sizeof *mine);
        mine += length;
    }
    return ranks_exchange(s->ranks, s->out, outs, s->in, ins, e);
}

/* The sum of the own range goes to all, theirs come here. */
static bool share(rank_sum *s, grads *g, int spans, err *e)
{
    int outs = 0, ins = 0;
    /* add_own left it in rank 0's place. */
    const real *sum = s->buffer;
    for (int i = 0; i < spans; i++) {
        int64_t length = s->own[i].end - s->own[i].begin;
        memcpy(g->values + s->own[i].begin, sum, (size_t)length * sizeof *sum);
        sum += length;
    }
    span *theirs = grown(NULL, (size_t)s->run_count + 1, sizeof *theirs);
    for (int i = 1; i < s->count; i++) {
        int to = (s->me + i) % s->count, from = (s->me + s->count - i) % s->count;
        outs = list_parts(s->out, outs, to, s->own, spans, g->values, false);
        int n = range_of(s, from, theirs);
        ins = list_parts(s->in, ins, from, theirs, n, g->values, false);
    }
    free(theirs);
    return ranks_exchange(s->ranks, s->out, outs, s->in, ins, e);
}

/* ---- gradients by rows ---- */

/* Rows and values of one table, all ranks' behind each other.
 * Rank order is lane order, and row_sums adds equal rows in the order in which they stand: the sum
 * of a row is the one that a single process has. Every rank gets all rows; a step touches few. */
static bool gather_rows(rank_sum *s, row_grads *g, int table, err *e)
{
    row_grads *all = &s->rows[table];
    int64_t total = 0, tables = s->params->row_tables;
    int outs = 0, ins = 0;
    for (int i = 0; i < s->count; i++) {
        total += s->row_counts[i * tables + table];
    }
    all->width = g->width;
    row_grads_reserve(all, total);
    all->count = 0;
    for (int i = 0; i < s->count; i++) {
        size_t n = (size_t)s->row_counts[i * tables + table], width = (size_t)g->width;
        int32_t *rows = all->rows + all->count;
        real *values = all->values + all->count * g->width;
        all->count += (int64_t)n;
        if (n > 0 && i == s->me) {
            memcpy(rows, g->rows, n * sizeof *rows);
            memcpy(values, g->values, n * width * sizeof *values);
        } else if (n > 0) {
            s->in[ins++] = (rank_part){i, rows, n * sizeof *rows};
            s->in[ins++] = (rank_part){i, values, n * width * sizeof *values};
        }
        if (g->count > 0 && i != s->me) {
            s->out[outs++] = (rank_part){i, g->rows, (size_t)g->count * sizeof *rows};
            s->out[outs++] = (rank_part){i, g->values, (size_t)g->count * width * sizeof *values};
        }
    }
    if (!ranks_exchange(s->ranks, s->out, outs, s->in, ins, e)) return false;
    /* The gathered rows become the gradient's, and its old memory the next step's room: nothing is
     * copied, nothing freed. */
    row_grads swap = *g;
    *g = *all;
    *all = swap;
    return true;
}

/* First how many rows each rank has of each table, [ranks, tables], so that all know what comes. */
static bool add_rows(rank_sum *s, grads *g, err *e)
{
    int64_t tables = s->params->row_tables;
    if (!g->rows || tables == 0) return true;
    if (!s->rows) {
        s->rows = grown(NULL, (size_t)tables, sizeof *s->rows);
        memset(s->rows, 0, (size_t)tables * sizeof *s->rows);
        s->row_counts = grown(NULL, (size_t)((s->count + 1) * tables), sizeof *s->row_counts);
    }
    /* Behind all the ranks' counts, which ranks_gather writes. */
    int64_t *mine = s->row_counts + s->count * tables;
    for (int64_t i = 0; i < tables; i++) {
        mine[i] = g->rows[i].count;
    }
    if (!ranks_gather(s->ranks, mine, (size_t)tables * sizeof *mine, s->row_counts, e))
        return false;
    if (s->capacity < 2 * s->count) {
        s->capacity = 2 * s->count;
        s->out = grown(s->out, (size_t)s->capacity, sizeof *s->out);
        s->in = grown(s->in, (size_t)s->capacity, sizeof *s->in);
    }
    for (int i = 0; i < tables; i++) {
        if (!gather_rows(s, &g->rows[i], i, e)) return false;
    }
    return true;
}

bool rank_sum_add(rank_sum *s, grads *g, int summands, err *e)
{
    size_t pieces = (size_t)s->params->pieces;
    if (!ranks_gather(s->ranks, g->has, pieces * sizeof *g->has, s->has, e)) return false;
    memset(s->any, 0, pieces * sizeof *s->any);
    for (int i = 0; i < s->count; i++) {
        grads_mark(s->params, s->any, s->has + (size_t)i * pieces);
    }
    find_runs(s);
    int spans = range_of(s, s->me, s->own);
    int64_t own = range_length(s->own, spans);
    reserve(s, own);
    if (!scatter(s, g, spans, own, summands, e)) return false;
    add_own(s, spans, own, summands);
    /* Before `share`, which fills in what the marks promise; if that fails, the group is broken and
     * nobody reads the sum (ranks_whole). */
    memcpy(g->has, s->any, pieces * sizeof *g->has);
    return share(s, g, spans, e) && add_rows(s, g, e);
}
