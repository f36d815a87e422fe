#include "core/train/lanes.h"

#include "core/base/rng.h"
#include "tests/test.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two dense parameters and one of 8 pieces, of which each lane fills some. */
static params *make_params(arena *a)
{
    params *p = ARENA_NEW(a, params, 1);
    static const int64_t dense[2] = {37, 5}, experts[2] = {8, 6}, bias[1] = {3};
    params_init(p, a);
    params_add(p, "dense", ROLE_MATRIX, 2, dense, (param_init){INIT_ZERO, 0});
    params_add(p, "experts", ROLE_MATRIX, 2, experts, (param_init){INIT_ZERO, 0});
    p->list[1].pieces = 8;
    params_add(p, "bias", ROLE_BIAS, 1, bias, (param_init){INIT_ZERO, 0});
    params_seal(p);
    return p;
}

typedef struct work {
    const params *p;
    uint32_t step;
    atomic_int wrong_thread;
    int threads;
    bool uneven; /* lanes take turns at being slow */
    lanes *told; /* of what is finished, parameter by parameter; NULL: lanes say nothing */
} work;

static bool lane_has(int64_t lane, int64_t piece)
{
    if (piece == 0) return true;
    if (piece == 9) return lane != 0;             /* the bias: not from lane 0 */
    return piece != 8 && (lane + piece) % 3 == 0; /* no lane gives the last expert anything */
}

static void fill_piece(const work *w, const param *q, int64_t k, int64_t lane, real *values)
{
    int64_t size = q->count / q->pieces;
    rng_key key = {.seed = 1, .step = w->step, .row = (uint32_t)lane, .place = (uint32_t)q->offset};
    for (int64_t i = 0; i < size; i++) {
        double x = rng_normal(key, (uint64_t)(k * size + i)); /* of very different sizes */
        values[q->offset + k * size + i] = (real)(x * exp(3 * x));
    }
}

static void fill(void *arg, int64_t lane, int thread, grads *g)
{
    work *w = arg;
    if (thread < 0 || thread >= w->threads) atomic_fetch_add(&w->wrong_thread, 1);
    /* Work, not yielding: that would wait for a slice of every neighbour of a busy machine. */
    for (volatile int i = 0; w->uneven && i < 5000 * (int)((lane * 7 + 3) % 5);) {
        i = i + 1;
    }
    for (int64_t i = 0; i < w->p->total; i++) {
        g->values[i] = (real)NAN; /* what has no gradient may hold anything */
    }
    for (int i = w->p->count - 1; i >= 0; i--) {
        const param *q = &w->p->list[i];
        for (int64_t k = 0; k < q->pieces; k++) {
            CHECK(!g->has[q->first_piece + k], "has is not cleared");
            if (!lane_has(lane, q->first_piece + k)) continue;
            g->has[q->first_piece + k] = true;
            fill_piece(w, q, k, lane, g->values);
        }
        if (w->told && (lane + i) % 4) lanes_finish(w->told, thread, i);
    }
}

/* The definition of the tree, in recursion: node of lanes [begin, begin + 2^level). */
static bool tree_sum(const work *w, real *out, const param *q, int64_t k, int64_t begin, int level,
                     int64_t count)
{
    int64_t size = q->count / q->pieces, at = q->offset + k * size;
    if (begin >= count) return false;
    if (level == 0) {
        bool has = lane_has(begin, q->first_piece + k);
        if (has) fill_piece(w, q, k, begin, out);
        return has;
    }
    real *right = calloc((size_t)w->p->total, sizeof *right);
    bool a = tree_sum(w, out, q, k, begin, level - 1, count);
    bool b = tree_sum(w, right, q, k, begin + ((int64_t)1 << (level - 1)), level - 1, count);
    for (int64_t i = 0; b && i < size; i++) {
        out[at + i] = a ? out[at + i] + right[at + i] : right[at + i];
    }
    free(right);
    return a || b;
}

static void expect_tree(const work *w, const grads *g, int64_t count, int threads)
{
    real *expected = calloc((size_t)w->p->total, sizeof *expected);
    for (int i = 0; i < w->p->count; i++) {
        const param *q = &w->p->list[i];
        int64_t size = q->count / q->pieces;
        for (int64_t k = 0; k < q->pieces; k++) {
            bool has = tree_sum(w, expected, q, k, 0, 6, count);
            EXPECT(g->has[q->first_piece + k] == has, "%lld lanes, %d threads: has[%lld]",
                   (long long)count, threads, (long long)(q->first_piece + k));
            int64_t at = q->offset + k * size;
            EXPECT(!has || memcmp(g->values + at, expected + at, (size_t)size * sizeof(real)) == 0,
                   "%lld lanes, %d threads: %s differs", (long long)count, threads, q->name);
        }
    }
    free(expected);
}

/* To the bit, for any number of lanes and threads, however uneven the lanes. */
static void equals_the_tree(void)
{
    arena *a = arena_new(0);
    work w = {.p = make_params(a)};
    static const int64_t counts[] = {1, 2, 3, 4, 5, 7, 8, 11, 16, 33};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int threads = 1; threads <= 5; threads++) {
            err e = {0};
            lanes *l = lanes_new(counts[c], threads, w.p, &e);
            EXPECT(l, "%s", e.text);
            if (!l) continue;
            w.threads = threads;
            for (w.step = 0; w.step < 6; w.step++) {
                w.uneven = w.step % 2 == 1;
                const grads *g = lanes_run(l, fill, &w, false);
                if (w.step % 3 == 2) expect_tree(&w, g, counts[c], threads);
            }
            lanes_free(l);
        }
    }
    EXPECT(w.wrong_thread == 0, "%d thread indexes out of range", w.wrong_thread);
    arena_free(a);
}

/* The same where parts of the sum are finished before others: whatever a lane has said, and when.
 */
static void equals_the_tree_in_parts(void)
{
    arena *a = arena_new(0);
    work w = {.p = make_params(a)};
    static const int64_t counts[] = {1, 3, 4, 7, 16};
    grads_parts parts = grads_parts_of(w.p, false, 1);
    EXPECT(parts.count == 2, "%d parts", parts.count);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int threads = 1; threads <= 4; threads++) {
            lanes *l = lanes_new(counts[c], threads, w.p, NULL);
            lanes_cut(l, &parts);
            w.threads = threads;
            w.told = l;
            for (w.step = 0; w.step < 4; w.step++) {
                w.uneven = w.step == 2;
                const grads *g = lanes_run(l, fill, &w, false);
                if (w.step % 2) expect_tree(&w, g, counts[c], threads);
            }
            lanes_free(l);
        }
    }
    EXPECT(w.wrong_thread == 0, "%d thread indexes out of range", w.wrong_thread);
    arena_free(a);
}

/* Every parameter is in one part; parts but part 0 have what they were asked to have. */
static void parts_are_of_whole_parameters(void)
{
    arena *a = arena_new(0);
    params p;
    params_init(&p, a);
    for (int i = 0; i < 40; i++) {
        char name[16];
        int64_t size = 1 + i * 37 % 101;
        snprintf(name, sizeof name, "p%d", i);
        params_add(&p, name, ROLE_BIAS, 1, &size, (param_init){INIT_ZERO, 0});
        p.list[i].frozen = i % 7 == 3;
    }
    params_seal(&p);
    for (int64_t least = 1; least < 3000; least += 97) {
        grads_parts parts = grads_parts_of(&p, false, least);
        EXPECT(parts.count >= 1 && parts.count <= GRADS_PARTS, "%d parts", parts.count);
        EXPECT(parts.first[0] == 0 && parts.first[parts.count] == p.count, "not all parameters");
        for (int k = 0; k < parts.count; k++) {
            int64_t size = 0;
            EXPECT(parts.first[k] < parts.first[k + 1], "part %d is empty", k);
            for (int i = parts.first[k]; i < parts.first[k + 1]; i++) {
                size += grads_dense(&p.list[i], false);
            }
            EXPECT(parts.count == 1 || size >= least, "part %d has %lld elements, not %lld", k,
                   (long long)size, (long long)least);
        }
    }
    arena_free(a);
}

/* result = (first + second) + third, whatever has gradient in which. */
static void accumulates_in_order(void)
{
    arena *a = arena_new(0);
    work w = {.p = make_params(a)};
    const params *p = w.p;
    enum { LANES = 2 };
    real *sum = ARENA_NEW(a, real, p->total);
    for (int threads = 1; threads <= 3; threads++) {
        bool has[16] = {false};
        lanes *single = lanes_new(LANES, 1, p, NULL), *l = lanes_new(LANES, threads, p, NULL);
        const grads *g = NULL;
        w.threads = threads;
        for (w.step = 0; w.step < 3; w.step++) {
            const grads *one = lanes_run(single, fill, &w, false);
            for (int i = 0; i < p->count; i++) {
                const param *q = &p->list[i];
                int64_t size = q->count / q->pieces;
                for (int64_t j = 0; j < q->count; j++) {
                    int64_t at = q->offset + j, piece = q->first_piece + j / size;
                    if (one->has[piece])
                        sum[at] = has[piece] ? sum[at] + one->values[at] : one->values[at];
                }
            }
            for (int64_t k = 0; k < p->pieces; k++) {
                has[k] |= one->has[k];
            }
            g = lanes_run(l, fill, &w, w.step > 0);
        }
        for (int i = 0; i < p->count; i++) {
            const param *q = &p->list[i];
            int64_t size = q->count / q->pieces;
            for (int64_t j = 0; j < q->count; j++) {
                int64_t piece = q->first_piece + j / size;
                EXPECT(g->has[piece] == has[piece], "piece %lld", (long long)piece);
                EXPECT(!has[piece] ||
                           memcmp(&g->values[q->offset + j], &sum[q->offset + j], sizeof *sum) == 0,
                       "%d threads, %s[%lld]: %.9g, not %.9g", threads, q->name, (long long)j,
                       (double)g->values[q->offset + j], (double)sum[q->offset + j]);
            }
        }
        lanes_free(single);
        lanes_free(l);
    }
    arena_free(a);
}

static void memory_is_logarithmic(void)
{
    arena *a = arena_new(0);
    params p;
    static const int64_t big[1] = {40960 /* whole pages */};
    params_init(&p, a);
    params_add(&p, "big", ROLE_MATRIX, 1, big, (param_init){INIT_ZERO, 0});
    params_seal(&p);
    work w = {.p = &p, .uneven = true};
    for (w.threads = 1; w.threads <= 4; w.threads++) {
        enum { LANES = 32 };
        lanes *l = lanes_new(LANES, w.threads, &p, NULL);
        lanes_run(l, fill, &w, false);
        lanes_run(l, fill, &w, true);
        double vectors = w.threads * (ceil(log2((double)LANES / w.threads)) + 1) + 1;
        double used = (double)lanes_bytes(l) / (double)((size_t)p.total * sizeof(real));
        EXPECT(used <= vectors, "%d threads touched %.1f vectors, not %g", w.threads, used,
               vectors);
        lanes_free(l);
    }
    arena_free(a);
}

static void count_item(void *arg, int64_t item, int thread)
{
    atomic_int *counts = arg;
    (void)thread;
    atomic_fetch_add(&counts[item], 1);
}

static void parallel_does_each_item_once(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        lanes *l = lanes_new(1, threads, NULL, NULL);
        EXPECT(lanes_threads(l) == threads, "%d", lanes_threads(l));
        for (int round = 0; round < 50; round++) {
            atomic_int counts[40] = {0};
            lanes_parallel(round % 10 ? l : NULL, count_item, counts, round % 41);
            for (int i = 0; i < 40; i++) {
                EXPECT(counts[i] == (i < round % 41), "item %d: %d times", i, counts[i]);
            }
        }
        lanes_free(l);
    }
    EXPECT(lanes_threads(NULL) == 1, "the caller's thread");
}

static void count_lane(void *arg, int64_t lane, int thread, grads *g)
{
    CHECK(!g, "gradients without parameters");
    count_item(arg, lane, thread);
}

static void lanes_without_gradients(void)
{
    lanes *l = lanes_new(9, 3, NULL, NULL);
    atomic_int counts[9] = {0};
    EXPECT(!lanes_run(l, count_lane, counts, false), "a sum of nothing");
    for (int i = 0; i < 9; i++) {
        EXPECT(counts[i] == 1, "lane %d: %d times", i, counts[i]);
    }
    lanes_free(l);
}

const test_suite test_lanes = {"core/lanes",
                               {{"equals_the_tree", equals_the_tree},
                                {"equals_the_tree_in_parts", equals_the_tree_in_parts},
                                {"parts_are_of_whole_parameters", parts_are_of_whole_parameters},
                                {"accumulates_in_order", accumulates_in_order},
                                {"memory_is_logarithmic", memory_is_logarithmic},
                                {"parallel_does_each_item_once", parallel_does_each_item_once},
                                {"lanes_without_gradients", lanes_without_gradients},
                                {0}}};
