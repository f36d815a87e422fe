/* Routing to stored entries: the soft choice is the one published, its gradient exact, random picks
 * are fair, and a router learns where to find what pays. */
#include "core/ops/ops_lookup.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, SIZE = 29, ENTRY = 6, PICKS = 4 };

/* Around the ring, fewer than there are picks, none at all. */
static const int64_t BEGIN[ROWS] = {20, 0, 5}, END[ROWS] = {48, 3, 5};

typedef struct route_case {
    real router[ROWS * ENTRY], entries[ROWS * SIZE * ENTRY];
    real cotangent[ROWS * PICKS];
} route_case;

static route_case new_case(void)
{
    route_case c;
    fill_uniform(c.router, ROWS * ENTRY, 1);
    fill_uniform(c.entries, ROWS * SIZE * ENTRY, 2);
    fill_uniform(c.cotangent, ROWS * PICKS, 3);
    return c;
}

#define SHAPE(k, times, end, start, decay)                                                         \
    {                                                                                              \
        .picks = PICKS, .slack = k, .iterations = times, .epsilon = end, .epsilon_start = start,   \
        .epsilon_decay = decay, .soft = true                                                       \
    }
static const route_shape SHAPES[] = {SHAPE(1, 20, 0.1, 4, 0.7), SHAPE(1.125, 3, 0.5, 1, 0.5),
                                     SHAPE(2, 1, 0.2, 4, 0.7), SHAPE(1, 60, 0.03, 4, 0.9),
                                     SHAPE(100, 20, 0.3, 0.01, 0.5)};
enum { SHAPES_COUNT = sizeof SHAPES / sizeof *SHAPES };

static tensor *router_leaf(tape *t, route_case *c)
{
    return tape_leaf(t, c->router, 2, (int64_t[]){ROWS, ENTRY}, true);
}

static route_picks route(tape *t, tensor *router, route_case *c, const route_shape *shape)
{
    lookup_store s = {c->entries, SIZE, ENTRY, BEGIN, END};
    return op_route(t, router, &s, shape);
}

static double score(const route_case *c, int64_t row, int64_t position)
{
    double sum = 0;
    for (int64_t i = 0; i < ENTRY; i++) {
        sum += (double)c->router[row * ENTRY + i] *
               (double)c->entries[(row * SIZE + position % SIZE) * ENTRY + i];
    }
    return sum;
}

/* The published iteration as it stands (papers: a, b, epsilon), for row 0. */
static void plain(const route_case *c, const route_shape *shape, double *weights)
{
    int64_t n = END[0] - BEGIN[0];
    double s[SIZE], b[SIZE], a = 0, epsilon = MAX(shape->epsilon_start, shape->epsilon), e = 0;
    for (int64_t j = 0; j < n; j++) {
        s[j] = score(c, 0, BEGIN[0] + j);
        b[j] = -s[j];
    }
    double k = MIN(shape->slack * PICKS, (double)n);
    for (int64_t i = 0; i < shape->iterations; i++) {
        double sum = 0;
        e = epsilon;
        for (int64_t j = 0; j < n; j++) {
            sum += exp((s[j] + b[j]) / e);
        }
        a = e * (log(k) - log(sum));
        for (int64_t j = 0; j < n; j++) {
            b[j] = -MAX(s[j] + a, 0);
        }
        epsilon = MAX(e * shape->epsilon_decay, shape->epsilon);
    }
    for (int64_t j = 0; j < n; j++) {
        weights[j] = exp((s[j] + a + b[j]) / e);
    }
}

static void picks_and_scores(void)
{
    route_case c = new_case();
    tape *t = tape_new();
    for (int i = 0; i < SHAPES_COUNT; i++) {
        tape_reset(t, false);
        route_picks p = route(t, router_leaf(t, &c), &c, &SHAPES[i]);
        EXPECT(p.used[0] == PICKS && p.used[1] == 3 && p.used[2] == 0, "%lld, %lld, %lld picks",
               (long long)p.used[0], (long long)p.used[1], (long long)p.used[2]);
        double weights[SIZE], least = (double)INFINITY;
        bool picked[SIZE] = {false};
        plain(&c, &SHAPES[i], weights);
        for (int64_t j = 0; j < PICKS; j++) {
            int64_t at = p.positions[j] - BEGIN[0];
            picked[at] = true;
            least = MIN(least, score(&c, 0, p.positions[j]));
            /* exp of a score's rounding, 1e-7, over epsilon */
            EXPECT(fabs((double)p.weights->data[j] - weights[at]) < (REAL_IS_DOUBLE ? 1e-12 : 1e-4),
                   "shape %d: weight %g, not %g", i, (double)p.weights->data[j], weights[at]);
            const real *entry = c.entries + p.positions[j] % SIZE * ENTRY;
            EXPECT(!memcmp(p.entries->data + j * ENTRY, entry, sizeof(real) * ENTRY), "no copy");
        }
        for (int64_t j = 0; j < END[0] - BEGIN[0]; j++) {
            EXPECT(picked[j] || score(&c, 0, BEGIN[0] + j) <= least, "a larger score is left out");
        }
        EXPECT(p.positions[PICKS] == -1 && p.positions[PICKS + 1] == 0 &&
                   p.weights->data[PICKS] == 0 && p.weights->data[PICKS + 1] == 1,
               "what there is stands at the end, with weight 1");
    }
    tape_free(t);
}

/* With converged scores the weights add up to k; the published 20 iterations come close. */
static void scores_add_up(void)
{
    route_case c = new_case();
    double weights[SIZE], sum = 0;
    const route_shape shape = SHAPE(1, 2000, 0.1, 4, 0.7);
    plain(&c, &shape, weights);
    for (int64_t j = 0; j < END[0] - BEGIN[0]; j++) {
        sum += weights[j];
    }
    EXPECT(fabs(sum - PICKS) < 1e-6, "scores add up to %g", sum);
}

typedef struct gradient_case {
    route_case *c;
    const route_shape *shape;
} gradient_case;

static tensor *weights(tape *t, tensor *const *inputs, void *user)
{
    const gradient_case *g = user;
    return route(t, inputs[0], g->c, g->shape).weights;
}

static void analytic(route_case *c, tape *t, const route_shape *shape, bool overwritten,
                     real *gradient)
{
    static real kept[ROWS * SIZE * ENTRY];
    tape_reset(t, true);
    tensor *router = router_leaf(t, c);
    route_picks p = route(t, router, c, shape);
    memcpy(kept, c->entries, sizeof kept);
    if (overwritten) memset(c->entries, 0, sizeof kept);
    tape_seed(t, p.weights, c->cotangent);
    tape_run_backward(t);
    memcpy(c->entries, kept, sizeof kept);
    memcpy(gradient, router->grad, sizeof(real) * ROWS * ENTRY);
}

static void gradient(void)
{
    for (int i = 0; i < SHAPES_COUNT; i++) {
        route_case c = new_case();
        route_shape shape = SHAPES[i];
        shape.noise = i == 0 ? 1 : 0;
        gradient_case g = {&c, &shape};
        gradcheck_input router = {"router", 2, {ROWS, ENTRY}, c.router, false};
        char what[32];
        snprintf(what, sizeof what, "op_route, shape %d", i);
        expect_gradients(what, 1, &router, weights, &g, 0, 0);
    }
}

/* Straight-through weights have the soft ones' gradient. The store may be overwritten before the
 * backward pass, as by later blocks of a segment. */
static void straight_through(void)
{
    route_case c = new_case();
    tape *t = tape_new();
    for (int i = 0; i < SHAPES_COUNT; i++) {
        real soft[ROWS * ENTRY], other[ROWS * ENTRY];
        route_shape shape = SHAPES[i];
        analytic(&c, t, &shape, false, soft);
        analytic(&c, t, &shape, true, other);
        EXPECT(!memcmp(soft, other, sizeof soft), "shape %d reads the store again", i);
        shape.soft = false;
        analytic(&c, t, &shape, false, other);
        EXPECT(!memcmp(soft, other, sizeof soft), "shape %d: another gradient", i);
    }
    tape_free(t);
}

/* Every position equally often, none twice; the same again for the same key. */
static void random_picks(void)
{
    enum { DRAWS = 4000, N = 10 };
    static real entries[SIZE * 2];
    int64_t begin = 3, end = 3 + N, seen[N] = {0};
    lookup_store s = {entries, SIZE, 2, &begin, &end};
    tape *t = tape_new();
    for (uint64_t i = 0; i < DRAWS; i++) {
        tape_reset(t, false);
        rng_key key = {.seed = i, .place = 1};
        route_picks p = op_route_random(t, &s, 1, PICKS, key);
        route_picks q = op_route_random(t, &s, 1, PICKS, key);
        EXPECT(p.used[0] == PICKS && !memcmp(p.positions, q.positions, PICKS * sizeof(int64_t)),
               "draw %d is not repeated", (int)i);
        for (int j = 0; j < PICKS; j++) {
            bool in =
                p.positions[j] >= (j ? p.positions[j - 1] + 1 : begin) && p.positions[j] < end;
            EXPECT(in, "position %lld", (long long)p.positions[j]);
            if (in) seen[p.positions[j] - begin]++;
        }
    }
    for (int j = 0; j < N; j++) {
        /* Binomial, p = 0.4: mean 1600, deviation 31. */
        EXPECT(llabs(seen[j] - DRAWS * PICKS / N) < 5 * 31, "%d: %lld times", j,
               (long long)seen[j]);
    }
    tape_free(t);
}

/* Entries that pay stand among others: straight-through scores lead the router to them. */
static void router_learns(void)
{
    enum { N = 200, PAYING = 4, STEPS = 300 };
    static real entries[N * ENTRY];
    real router[ENTRY], slopes[PICKS];
    fill_uniform(entries, N * ENTRY, 5);
    fill_uniform(router, ENTRY, 6);
    for (int j = 0; j < PAYING; j++) {
        entries[(17 + 50 * j) * ENTRY + 2] = 3; /* what tells them apart */
    }
    int64_t begin = 0, end = N, found = 0;
    lookup_store s = {entries, N, ENTRY, &begin, &end};
    route_shape shape = SHAPE(1, 20, 0.3, 4, 0.7);
    shape.soft = false;
    tape *t = tape_new();
    for (int i = 0; i < STEPS; i++) {
        tape_reset(t, true);
        tensor *u = tape_leaf(t, router, 2, (int64_t[]){1, ENTRY}, true);
        route_picks p = op_route(t, u, &s, &shape);
        found = 0;
        for (int j = 0; j < PICKS; j++) {
            bool pays = p.positions[j] % 50 == 17;
            slopes[j] = pays ? -1 : 1; /* of the loss by the weight */
            found += pays;
            EXPECT(p.weights->data[j] == 1, "a straight weight of %g", (double)p.weights->data[j]);
        }
        tape_seed(t, p.weights, slopes);
        tape_run_backward(t);
        for (int k = 0; k < ENTRY; k++) {
            router[k] -= (real)0.02 * u->grad[k];
        }
    }
    EXPECT(found == PAYING, "finds %lld of %d", (long long)found, PAYING);
    tape_free(t);
}

extern const test_suite test_op_route;
const test_suite test_op_route = {"core/op_route",
                                  {{"picks_and_scores", picks_and_scores},
                                   {"scores_add_up", scores_add_up},
                                   {"gradient", gradient},
                                   {"straight_through", straight_through},
                                   {"random_picks", random_picks},
                                   {"router_learns", router_learns},
                                   {0}}};
