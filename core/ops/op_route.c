/* s + b = min(s, threshold), so that an iteration is about one number:
 *
 *     m = min(max s, threshold);   z_j = exp((min(s_j, threshold) - m) / epsilon)
 *     threshold' = m + epsilon (log sum z - log k),   p = z / sum z
 *
 * with slopes p_j by s_j where s_j is below the threshold, and by the threshold the sum of p over
 * the others, `held`. Going backwards, one number g per row, the threshold's gradient, is handed
 * from iteration to iteration: it adds g sum_{j below} p_j entry_j to the router's gradient, and g
 * held remains. These sums are formed going forward, a tile of entries at a time: nothing of the
 * store is looked at again, which may have changed by then.
 *
 * Why the threshold is enough: with a and b of the contract, s + b = s - relu(s + a) is s where s <
 * -a and -a beyond, that is min(s, threshold). A whole iteration over n numbers b_j is so one
 * number, and the next one follows from a sum over exp. */
#include "core/ops/ops_lookup.h"

#include "core/ops/best.h"
#include "core/ops/blas.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

enum { TILE = 2048 };

typedef struct route_keep {
    tensor *router, *weights, *entries;
    route_shape shape;
    const gemm_kernel *g;
    int64_t rows, count, width;
    real *slopes; /* [rows, count]: of a pick's weight by its score; 0: all that there is is picked,
                     or the score is beyond the threshold */
    real *held;   /* [rows, iterations] */
    real *below;  /* [rows, iterations, width] */
} route_keep;

/* The thresholds of one row's iterations. */
typedef struct descent {
    const real *scores;
    int64_t n, iterations;
    double log_wanted;
    double *epsilon, *threshold, *most, *sum; /* [iterations] */
} descent;

/* ---- the store ---- */

static const real *entry_at(const lookup_store *s, int64_t row, int64_t position)
{
    return s->entries + (row * s->size + position % s->size) * s->entry_width;
}

/* The end of the positions from `from` on that lie together, at most `most`. */
static int64_t run_end(const lookup_store *s, int64_t from, int64_t end, int64_t most)
{
    return MIN(end, from + MIN(most, s->size - from % s->size));
}

/* Up to the ring's end, then from its beginning: two products at most. */
static void score_all(const gemm_kernel *g, real *scores, const real *router, const lookup_store *s,
                      int64_t row)
{
    int64_t begin = s->begin[row], end = s->end[row];
    for (int64_t from = begin, to; from < end; from = to) {
        to = run_end(s, from, end, end - from);
        blas_gemm(g, false, true, 1, to - from, s->entry_width, 1, router, s->entry_width,
                  entry_at(s, row, from), s->entry_width, 0, scores + from - begin, to - from);
    }
}

/* Gumbel's distribution by inversion: - log(- log u). */
static void add_noise(real *scores, int64_t n, const route_shape *shape, int64_t row, arena *m)
{
    if (shape->noise == 0) return;
    uint32_t *words = ARENA_NEW(m, uint32_t, n);
    rng_key key = shape->key;
    key.row += (uint32_t)row;
    rng_fill_words(words, n, key, 0);
    const real scale = (real)(shape->noise * shape->epsilon);
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        /* 23 bits and a half: exact in float, never 0 or 1 */
        real uniform = ((real)(int32_t)(words[j] >> 9) + (real)0.5) * (real)(1.0 / 8388608);
        scores[j] -= scale * vm_log(-vm_log(uniform));
    }
}

/* ---- coordinate descent ---- */

/* Float inside of a tile, double over tiles: the sum keeps its digits over millions of entries. */
static double exp_sum(const real *scores, int64_t n, real threshold, real most, real scale)
{
    double sum = 0;
    for (int64_t from = 0; from < n; from += TILE) {
        int64_t to = MIN(n, from + TILE);
        real part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t j = from; j < to; j++) {
            real x = scores[j] < threshold ? scores[j] : threshold;
            part += vm_exp((x - most) * scale);
        }
        sum += (double)part;
    }
    return sum;
}

static void descend(descent *d, const route_shape *shape)
{
    double largest = (double)vec_max(d->scores, d->n), epsilon = shape->epsilon_start;
    for (int64_t i = 0; i < d->iterations; i++) {
        double e = d->epsilon[i] = MAX(epsilon, shape->epsilon);
        epsilon = e * shape->epsilon_decay;
        if (i == 0) { /* s + b = 0 */
            d->threshold[0] = e * (log((double)d->n) - d->log_wanted);
            continue;
        }
        double before = d->threshold[i - 1], m = d->most[i] = MIN(largest, before);
        d->sum[i] = exp_sum(d->scores, d->n, (real)before, (real)m, (real)(1 / e));
        d->threshold[i] = m + e * (log(d->sum[i]) - d->log_wanted);
    }
}

/* Columns [from, to) of p below the threshold of each iteration but the first, to p [iterations -
 * 1, TILE]; adds up held.
 * The first iteration has s + b = 0 everywhere: its threshold depends on no score. */
static void tile_shares(const descent *d, real *p, double *held, int64_t from, int64_t to)
{
    for (int64_t i = 1; i < d->iterations; i++) {
        real *row = p + (i - 1) * TILE, sum = 0;
        const real threshold = (real)d->threshold[i - 1], most = (real)d->most[i];
        const real scale = (real)(1 / d->epsilon[i]), share = (real)(1 / d->sum[i]);
#pragma omp simd reduction(+ : sum)
        for (int64_t j = from; j < to; j++) {
            bool below = d->scores[j] < threshold;
            real z = share * vm_exp(((below ? d->scores[j] : threshold) - most) * scale);
            row[j - from] = below ? z : 0;
            sum += below ? 0 : z;
        }
        held[i] += (double)sum;
    }
}

/* What the backward pass needs of the iterations: see above.
 * below [iterations, width] = p entries: a few rows per iteration stand for the whole store in the
 * backward pass. */
static void keep_slopes(const route_keep *a, const lookup_store *s, int64_t row, const descent *d,
                        arena *m)
{
    int64_t begin = s->begin[row], width = a->width, iterations = d->iterations;
    real *below = a->below + row * iterations * width;
    real *p = ARENA_NEW(m, real, iterations * TILE);
    double *held = arena_push_zero(m, iterations, sizeof *held);
    vec_zero(below, iterations * width);
    for (int64_t from = begin, to; from < s->end[row]; from = to) {
        to = run_end(s, from, s->end[row], TILE);
        tile_shares(d, p, held, from - begin, to - begin);
        blas_gemm(a->g, false, false, iterations - 1, width, to - from, 1, p, TILE,
                  entry_at(s, row, from), width, 1, below + width, width);
    }
    for (int64_t i = 0; i < iterations; i++) {
        a->held[row * iterations + i] = (real)held[i];
    }
}

/* Weights of the picks [used] and their slopes.
 * A NaN fails both comparisons and stays one. */
static void weigh(const descent *d, const candidate *best, real *weights, real *slopes,
                  int64_t used)
{
    int64_t last = d->iterations - 1;
    double threshold = d->threshold[last], epsilon = d->epsilon[last];
    for (int64_t j = 0; j < used; j++) {
        double over = (double)best[j].score - threshold;
        weights[j] = over < 0 ? (real)exp(over / epsilon) : over >= 0 ? 1 : (real)over;
        slopes[j] = over < 0 ? (real)(exp(over / epsilon) / epsilon) : 0;
    }
}

/* ---- a row ---- */

static double *doubles(arena *m, int64_t n)
{
    return arena_push_zero(m, n, sizeof(double));
}

/* Scores all, picks the best and weighs them. */
static void choose_best(const route_keep *a, const lookup_store *s, int64_t row, int64_t *positions,
                        bool record, arena *m)
{
    const route_shape *shape = &a->shape;
    int64_t n = s->end[row] - s->begin[row], filled = 0, picks = shape->picks;
    real *scores = ARENA_NEW(m, real, n);
    candidate *best = ARENA_NEW(m, candidate, picks);
    score_all(a->g, scores, a->router->data + row * a->width, s, row);
    add_noise(scores, n, shape, row, m);
    for (int64_t j = 0; j < n; j++) {
        best_offer(best, &filled, picks, (candidate){scores[j], s->begin[row] + j});
    }
    /* As they lie in the heap: the order among picks carries no meaning. */
    for (int64_t j = 0; j < picks; j++) {
        positions[j] = best[j].position;
    }
    /* Weights grow with scores: the hard choice alone needs no descent. */
    if (!record && !shape->soft) return;
    int64_t iterations = shape->iterations;
    descent d = {scores,
                 n,
                 iterations,
                 log(MIN(shape->slack * (double)picks, (double)n)),
                 doubles(m, iterations),
                 doubles(m, iterations),
                 doubles(m, iterations),
                 doubles(m, iterations)};
    descend(&d, shape);
    real *weights = a->weights->data + row * a->count, *soft = ARENA_NEW(m, real, picks);
    weigh(&d, best, soft, a->slopes + row * a->count, picks);
    if (shape->soft) vec_copy(weights, soft, picks);
    if (record) keep_slopes(a, s, row, &d, m);
}

/* ---- what both ways of choosing share ---- */

static int64_t most_picks(const lookup_store *s, int64_t rows, int64_t picks)
{
    int64_t most = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t seen = s->end[row] - s->begin[row];
        CHECK(seen >= 0 && seen <= s->size && s->begin[row] >= 0, "positions %lld to %lld",
              (long long)s->begin[row], (long long)s->end[row]);
        most = MAX(most, MIN(seen, picks));
    }
    CHECK(most > 0, "no row sees an entry");
    return most;
}

/* Every row's picks, where they are all that it has; the others' are still to be chosen.
 * Filled up in front: in every row the last used[row] places are picks. */
static route_picks new_picks(tape *t, const lookup_store *s, int64_t rows, int64_t picks)
{
    int64_t count = most_picks(s, rows, picks), *used = tape_keep(t, rows, sizeof *used);
    int64_t *positions = tape_keep(t, rows * count, sizeof *positions);
    tensor *weights = tape_constant(t, NULL, 2, (int64_t[]){rows, count});
    for (int64_t row = 0; row < rows; row++) {
        used[row] = MIN(s->end[row] - s->begin[row], picks);
        for (int64_t i = 0; i < count; i++) {
            int64_t rank = i - (count - used[row]);
            positions[row * count + i] = rank >= 0 ? s->begin[row] + rank : -1;
            if (rank >= 0) weights->data[row * count + i] = 1;
        }
    }
    return (route_picks){.weights = weights, .positions = positions, .used = used};
}

static bool chooses(const lookup_store *s, int64_t row, int64_t picks)
{
    return s->end[row] - s->begin[row] > picks;
}

static tensor *copy_entries(tape *t, const lookup_store *s, const route_picks *p)
{
    int64_t rows = p->weights->shape[0], count = p->weights->shape[1], width = s->entry_width;
    tensor *y = tape_tensor(t, 3, (int64_t[]){rows, count, width});
    for (int64_t i = 0; i < rows * count; i++) {
        real *entry = y->data + i * width;
        if (p->positions[i] < 0) {
            vec_zero(entry, width);
        } else {
            vec_copy(entry, entry_at(s, i / count, p->positions[i]), width);
        }
    }
    return y;
}

/* ---- the ops ---- */

/* A weight exp((s - threshold) / epsilon) has slope `slopes` by s and the negative of it by the
 * threshold: ds goes to the entry, - ds into g. */
static void route_backward(tape *t, void *keep)
{
    route_keep *a = keep;
    real *drouter = tape_grad(t, a->router);
    int64_t iterations = a->shape.iterations, width = a->width;
    for (int64_t row = 0; drouter && row < a->rows; row++) {
        real *du = drouter + row * width, g = 0;
        for (int64_t i = row * a->count; i < (row + 1) * a->count; i++) {
            real ds = a->slopes[i] * a->weights->grad[i];
            vec_axpy(du, ds, a->entries->data + i * width, width);
            g -= ds;
        }
        for (int64_t i = iterations - 1; i > 0; i--) {
            int64_t at = row * iterations + i;
            vec_axpy(du, g, a->below + at * width, width);
            g *= a->held[at];
        }
    }
}

static const op_class ROUTE = {"route", route_backward};

route_picks op_route(tape *t, tensor *router, const lookup_store *store, const route_shape *shape)
{
    double since = tape_clock(t);
    int64_t rows = router->shape[0], picks = shape->picks, width = store->entry_width;
    CHECK(router->rank == 2 && router->shape[1] == width && picks > 0 && shape->iterations > 0,
          "router [%lld, %lld] of entries of %lld, %lld picks", (long long)rows,
          (long long)router->shape[1], (long long)width, (long long)picks);
    route_picks p = new_picks(t, store, rows, picks);
    int64_t count = p.weights->shape[1], *positions = p.positions;
    bool record = tape_wants(t, 1, &router);
    route_keep *a = tape_keep(t, 1, sizeof *a);
    *a = (route_keep){.router = router,
                      .weights = p.weights,
                      .shape = *shape,
                      .g = tape_exact(t),
                      .rows = rows,
                      .count = count,
                      .width = width,
                      .slopes = tape_constant(t, NULL, 2, p.weights->shape)->data};
    if (record) {
        int64_t kept = rows * shape->iterations;
        a->held = tape_constant(t, NULL, 1, &kept)->data;
        kept *= width;
        a->below = tape_constant(t, NULL, 1, &kept)->data;
    }
    arena *m = tape_scratch(t);
    for (int64_t row = 0; row < rows; row++) {
        if (!chooses(store, row, picks)) continue;
        arena_mark mark = arena_now(m);
        choose_best(a, store, row, positions + row * count, record, m);
        arena_rewind(m, mark);
    }
    p.entries = a->entries = copy_entries(t, store, &p);
    if (record) tape_record(t, &ROUTE, a, 1, &p.weights);
    tape_charge(t, &ROUTE, since);
    return p;
}

/* Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S.
 * Entry p is taken with probability (still wanted) / (still left), which makes every set equally
 * likely; the number drawn for p depends on p and `end` alone. */
static void choose_random(int64_t *positions, int64_t picks, int64_t begin, int64_t end,
                          rng_key key)
{
    int64_t chosen = 0;
    key.step = (uint32_t)end;
    for (int64_t p = begin; p < end && chosen < picks; p++) {
        double left = (double)(end - p) * rng_uniform(key, (uint64_t)p);
        if (left < (double)(picks - chosen)) positions[chosen++] = p;
    }
}

route_picks op_route_random(tape *t, const lookup_store *store, int64_t rows, int64_t picks,
                            rng_key key)
{
    route_picks p = new_picks(t, store, rows, picks);
    int64_t count = p.weights->shape[1], *positions = p.positions;
    for (int64_t row = 0; row < rows; row++) {
        if (!chooses(store, row, picks)) continue;
        choose_random(positions + row * count, picks, store->begin[row], store->end[row], key);
    }
    p.entries = copy_entries(t, store, &p);
    return p;
}
