#include "core/ops/assign.h"

#include <float.h>
#include <math.h>

/* Two ways to the same choice. The exact one costs experts^2 per token and is made for a lane: some
 * hundred tokens, some dozen experts. The auction is for more, and tells how far it may be from the
 * best.
 *
 * Both count in double: scores are floats, and sums and differences of a few hundred of them are
 * then exact enough for comparisons to mean something. */

double assign_total(const int32_t *expert, const real *scores, int64_t tokens, int64_t experts)
{
    double total = 0;
    for (int64_t i = 0; i < tokens; i++) {
        total += (double)scores[i * experts + expert[i]];
    }
    return total;
}

/* ---- exact ----
 *
 * Tokens enter one by one. A token that enters may push others from expert to expert; the cheapest
 * such chain is a shortest path over experts, where going from a to b costs
 * step[a][b] = min over tokens of a of (score at a - score at b). One more node, SPARE, stands for
 * the T mod N places that any expert may take beyond its floor; each expert may hold one of them.
 */

typedef struct exact {
    const real *scores;
    int64_t experts, base, spare_left;
    double margin;    /* a path counts as shorter by more than this only */
    int32_t *expert;  /* [tokens], -1 while outside */
    int64_t *load;    /* [experts] */
    double *step;     /* [experts, experts] */
    int32_t *mover;   /* [experts, experts]: the token that step[a][b] moves */
    double *distance; /* [experts + 1] */
    int32_t *from;    /* [experts + 1]: the node before on the path; -1: the entering token */
} exact;

/* The steps out of expert a, from the tokens 0..tokens-1 that it holds.
 * Made anew for the few experts whose tokens changed; the others' steps stay true. */
static void steps_from(exact *x, int64_t a, int64_t tokens)
{
    int64_t n = x->experts;
    double *step = x->step + a * n;
    int32_t *mover = x->mover + a * n;
    for (int64_t b = 0; b < n; b++) {
        step[b] = DBL_MAX;
    }
    for (int64_t i = 0; i < tokens; i++) {
        if (x->expert[i] != a) continue;
        const real *s = x->scores + i * n;
        double here = (double)s[a];
        for (int64_t b = 0; b < n; b++) {
            double cost = here - (double)s[b];
            if (cost < step[b]) {
                step[b] = cost;
                mover[b] = (int32_t)i;
            }
        }
    }
}

static bool relax(exact *x, int64_t to, double distance, int64_t from)
{
    if (distance >= x->distance[to] - x->margin) return false;
    x->distance[to] = distance;
    x->from[to] = (int32_t)from;
    return true;
}

/* Bellman-Ford from the entering token: costs may be negative, cycles never are.
 * Distances are what the total loses: less is better. Adding a token along a cheapest chain keeps
 * the assignment the best one for the tokens so far, so no chain can turn in a circle at a gain. */
static void shortest_paths(exact *x, int64_t token)
{
    int64_t n = x->experts, spare = n;
    for (int64_t b = 0; b < n; b++) {
        /* The token itself goes to b and gains its score. */
        x->distance[b] = -(double)x->scores[token * n + b];
        x->from[b] = -1;
    }
    x->distance[spare] = DBL_MAX;
    for (bool changed = true; changed;) {
        changed = false;
        for (int64_t a = 0; a < n; a++) {
            double d = x->distance[a];
            /* An expert at its floor may take one more by a spare place; one that has a spare place
             * may hand it over. */
            if (x->load[a] == x->base) changed |= relax(x, spare, d, a);
            if (x->load[a] == 0) continue;
            for (int64_t b = 0; b < n; b++) {
                if (b != a && x->step[a * n + b] < DBL_MAX) {
                    changed |= relax(x, b, d + x->step[a * n + b], a);
                }
            }
        }
        for (int64_t a = 0; a < n && x->distance[spare] < DBL_MAX; a++) {
            if (x->load[a] > x->base) changed |= relax(x, a, x->distance[spare], spare);
        }
    }
}

/* Where the chain may end: an expert below its floor, or SPARE while places are left.
 * Of equal ends the first: the same input has the same choice. */
static int64_t nearest_end(const exact *x)
{
    int64_t best = -1;
    for (int64_t a = 0; a < x->experts; a++) {
        if (x->load[a] < x->base && (best < 0 || x->distance[a] < x->distance[best])) best = a;
    }
    int64_t spare = x->experts;
    bool use_spare = x->spare_left > 0 && x->distance[spare] < DBL_MAX;
    if (use_spare && (best < 0 || x->distance[spare] < x->distance[best])) best = spare;
    return best;
}

/* Moves the tokens along the path and mends the steps of the experts that it touched. */
static void augment(exact *x, int64_t token, int64_t end)
{
    int64_t n = x->experts, spare = n;
    int64_t node = end;
    if (end == spare) {
        x->spare_left--;
        node = x->from[spare];
    }
    /* Only the end gains a token; on the way each expert gives one and takes one, and a path
     * through SPARE hands a place over: its giver loses a token, its taker gains one. */
    x->load[node]++;
    int32_t moved = (int32_t)token;
    for (int64_t before = x->from[node]; before >= 0; before = x->from[node]) {
        if (before == spare) {
            x->load[node]--; /* gave its spare place */
            node = x->from[spare];
            x->load[node]++;
            continue;
        }
        moved = x->mover[before * n + node];
        x->expert[moved] = (int32_t)node;
        node = before;
    }
    x->expert[token] = (int32_t)node;
}

/* Cycles cost nothing or more, but rounding may make zero a little less: by at most a few units in
 * the last place per edge. Without a margin such a cycle would be walked for ever. */
static double margin_of(const real *scores, int64_t tokens, int64_t experts)
{
    double largest = 0;
    for (int64_t i = 0; i < tokens * experts; i++) {
        largest = MAX(largest, fabs((double)scores[i]));
    }
    return largest * 8 * DBL_EPSILON * (double)(experts + 8);
}

void assign_exact(int32_t *expert, const real *scores, int64_t tokens, int64_t experts,
                  arena *scratch)
{
    arena_mark mark = arena_now(scratch);
    int64_t n = experts;
    exact x = {.scores = scores,
               .experts = n,
               .base = tokens / n,
               .spare_left = tokens % n,
               .margin = margin_of(scores, tokens, n),
               .expert = expert,
               .load = arena_push_zero(scratch, n, sizeof(int64_t)),
               .step = ARENA_NEW(scratch, double, n *n),
               .mover = ARENA_NEW(scratch, int32_t, n * n),
               .distance = ARENA_NEW(scratch, double, n + 1),
               .from = ARENA_NEW(scratch, int32_t, n + 1)};
    for (int64_t i = 0; i < tokens; i++) {
        expert[i] = -1;
    }
    for (int64_t i = 0; i < n * n; i++) {
        x.step[i] = DBL_MAX;
    }
    for (int64_t token = 0; token < tokens; token++) {
        shortest_paths(&x, token);
        int64_t end = nearest_end(&x);
        /* There are as many places as tokens, and every expert can be reached directly. */
        CHECK(end >= 0, "no place for token %lld", (long long)token);
        augment(&x, token, end);
        /* Experts on the path changed their tokens. */
        for (int64_t node = end; node >= 0; node = x.from[node]) {
            if (node < n) steps_from(&x, node, token + 1);
        }
    }
    arena_rewind(scratch, mark);
}

/* ---- auction ----
 *
 * Tokens bid for experts; an expert keeps its highest bids, and its price is its lowest kept bid
 * once it is full. A bid raises the price by at least epsilon, so in the end every token is within
 * epsilon of its best offer, and the prices prove it. */

typedef struct bid {
    double price;
    int32_t token;
} bid;

typedef struct market {
    const real *scores;
    int64_t tokens, experts;
    int64_t *capacity, *load;
    double *price;
    bid **kept; /* per expert a binary heap, lowest bid first */
} market;

static void heap_sift_down(bid *heap, int64_t n, int64_t at)
{
    for (;;) {
        int64_t least = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++) {
            if (heap[child].price < heap[least].price) least = child;
        }
        if (least == at) return;
        bid swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void heap_sift_up(bid *heap, int64_t at)
{
    while (at > 0 && heap[at].price < heap[(at - 1) / 2].price) {
        bid swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

/* Accepts a bid; returns the token that it drives out, or -1. */
static int32_t market_accept(market *m, int64_t expert, bid b)
{
    bid *heap = m->kept[expert];
    int32_t out = -1;
    if (m->load[expert] == m->capacity[expert]) {
        out = heap[0].token;
        heap[0] = b;
        heap_sift_down(heap, m->load[expert], 0);
    } else {
        heap[m->load[expert]++] = b;
        heap_sift_up(heap, m->load[expert] - 1);
    }
    if (m->load[expert] == m->capacity[expert]) m->price[expert] = heap[0].price;
    return out;
}

/* The token's best expert at the present prices and what it may offer.
 * It may offer up to where its second best would be as good, and epsilon more: without epsilon two
 * tokens could bid the same for ever. */
static int64_t market_best(const market *m, int32_t token, double epsilon, double *offer)
{
    const real *s = m->scores + token * m->experts;
    int64_t best = -1;
    double first = -DBL_MAX, second = -DBL_MAX;
    for (int64_t e = 0; e < m->experts; e++) {
        if (m->capacity[e] == 0) continue;
        double value = (double)s[e] - m->price[e];
        if (value > first) {
            second = first;
            first = value;
            best = e;
        } else if (value > second) {
            second = value;
        }
    }
    *offer = m->price[best] + (second > -DBL_MAX ? first - second : 0) + epsilon;
    return best;
}

/* The spare places go to the experts that most tokens like best.
 * Fixed before the auction. It is a guess, and what it costs shows in the bound that is
 * returned. */
static void market_open(market *m, arena *scratch)
{
    int64_t n = m->experts;
    int64_t *liked = arena_push_zero(scratch, n, sizeof(int64_t));
    for (int64_t i = 0; i < m->tokens; i++) {
        int64_t best = 0;
        for (int64_t e = 1; e < n; e++) {
            if (m->scores[i * n + e] > m->scores[i * n + best]) best = e;
        }
        liked[best]++;
    }
    for (int64_t e = 0; e < n; e++) {
        m->capacity[e] = m->tokens / n;
    }
    for (int64_t spare = m->tokens % n; spare > 0; spare--) {
        int64_t best = -1;
        for (int64_t e = 0; e < n; e++) {
            bool free = m->capacity[e] == m->tokens / n;
            if (free && (best < 0 || liked[e] > liked[best])) best = e;
        }
        m->capacity[best]++;
    }
    for (int64_t e = 0; e < n; e++) {
        m->kept[e] = ARENA_NEW(scratch, bid, m->capacity[e]);
    }
}

/* No assignment can exceed: sum over tokens of the best (score - price), plus the prices of the
 * places taken, the spare ones at the highest prices.
 * Weak duality: any prices give an upper bound. Each token pays its expert's price and gains no
 * more than its best difference; all places together are paid once. */
static double market_bound(const market *m, arena *scratch)
{
    double bound = 0;
    for (int64_t i = 0; i < m->tokens; i++) {
        double best = -DBL_MAX;
        for (int64_t e = 0; e < m->experts; e++) {
            best = MAX(best, (double)m->scores[i * m->experts + e] - m->price[e]);
        }
        bound += best;
    }
    bool *taken = arena_push_zero(scratch, m->experts, sizeof(bool));
    const int64_t each = m->tokens / m->experts;
    for (int64_t e = 0; e < m->experts; e++) {
        bound += m->price[e] * (double)each;
    }
    for (int64_t spare = m->tokens % m->experts; spare > 0; spare--) {
        int64_t best = -1;
        for (int64_t e = 0; e < m->experts; e++) {
            if (!taken[e] && (best < 0 || m->price[e] > m->price[best])) best = e;
        }
        taken[best] = true;
        bound += m->price[best];
    }
    return bound;
}

/* The step of the bids. Equal scores have no range, and beside large ones a small step is lost to
 * rounding: some step there must be, or prices stand still. */
static double bid_step(const real *scores, int64_t n, double precision)
{
    double low = DBL_MAX, high = -DBL_MAX;
    for (int64_t i = 0; i < n; i++) {
        low = MIN(low, (double)scores[i]);
        high = MAX(high, (double)scores[i]);
    }
    double rounding = MAX(fabs(low), fabs(high)) * 8 * DBL_EPSILON;
    return MAX((high - low) * precision, MAX(rounding, 1e-12));
}

/* A bid that drives another out raises the kept ones' sum by epsilon or more, and none is above
 * twice the range: at a precision of 1e-4 they end before this. A finer one could bid for days. */
enum { BIDS_PER_TOKEN = 40000, COARSER = 8 };

double assign_auction(int32_t *expert, const real *scores, int64_t tokens, int64_t experts,
                      double precision, arena *scratch)
{
    arena_mark mark = arena_now(scratch);
    market m = {.scores = scores,
                .tokens = tokens,
                .experts = experts,
                .capacity = ARENA_NEW(scratch, int64_t, experts),
                .load = arena_push_zero(scratch, experts, sizeof(int64_t)),
                .price = arena_push_zero(scratch, experts, sizeof(double)),
                .kept = ARENA_NEW(scratch, bid *, experts)};
    market_open(&m, scratch);
    double epsilon = bid_step(scores, tokens * experts, precision);
    int32_t *waiting = ARENA_NEW(scratch, int32_t, tokens);
    int64_t count = tokens;
    for (int64_t i = 0; i < tokens; i++) {
        /* A stack with token 0 on top; a token that is driven out bids next. */
        waiting[i] = (int32_t)(tokens - 1 - i);
    }
    for (int64_t bids = 1; count > 0; bids++) {
        if (bids % (BIDS_PER_TOKEN * tokens) == 0) epsilon *= COARSER;
        int32_t token = waiting[--count];
        double offer;
        int64_t best = market_best(&m, token, epsilon, &offer);
        int32_t out = market_accept(&m, best, (bid){offer, token});
        expert[token] = (int32_t)best;
        if (out >= 0) waiting[count++] = out;
    }
    double gap = market_bound(&m, scratch) - assign_total(expert, scores, tokens, experts);
    arena_rewind(scratch, mark);
    return MAX(gap, 0);
}
