/* Attention to the few best of stored keys: the formula, and its gradient. */
#include "core/ops/ops_lookup.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { ROWS = 2, TIME = 3, HEADS = 4, KV = 2, DIM = 3, SIZE = 11, TOP = 4 };
enum { WIDTH = HEADS * DIM, ENTRY = 2 * KV * DIM };

typedef struct lookup_case {
    real q[ROWS * TIME * WIDTH], entries[ROWS * SIZE * ENTRY];
    int64_t begin[ROWS], end[ROWS];
} lookup_case;

static lookup_case new_case(void)
{
    lookup_case c = {.begin = {7, 0}, .end = {17, 2}}; /* around the ring; fewer than TOP */
    fill_uniform(c.q, ROWS * TIME * WIDTH, 1);
    fill_uniform(c.entries, ROWS * SIZE * ENTRY, 2);
    return c;
}

static tensor *build(tape *t, tensor *const *inputs, void *user)
{
    lookup_case *c = user;
    lookup_store s = {c->entries, SIZE, ENTRY, c->begin, c->end};
    return op_lookup(t, inputs[0], &s, HEADS, KV, TOP, (real)0.7);
}

/* By sorting all scores of one query. */
static void plain(const lookup_case *c, int64_t row, int64_t i, int64_t head, double *y)
{
    int64_t kv = head * KV / HEADS, n = c->end[row] - c->begin[row];
    double score[SIZE], sum = 0;
    bool in[SIZE] = {false};
    for (int64_t j = 0; j < n; j++) {
        int64_t at = (row * SIZE + (c->begin[row] + j) % SIZE) * ENTRY + kv * DIM;
        score[j] = 0;
        for (int64_t d = 0; d < DIM; d++) {
            score[j] += 0.7 * (double)c->q[(row * TIME + i) * WIDTH + head * DIM + d] *
                        (double)c->entries[at + d];
        }
    }
    memset(y, 0, DIM * sizeof *y);
    for (int64_t k = 0; k < MIN(n, TOP); k++) {
        int64_t best = -1;
        for (int64_t j = 0; j < n; j++) {
            if (!in[j] && (best < 0 || score[j] > score[best])) best = j;
        }
        in[best] = true;
        sum += exp(score[best]);
        int64_t at = (row * SIZE + (c->begin[row] + best) % SIZE) * ENTRY + (KV + kv) * DIM;
        for (int64_t d = 0; d < DIM; d++) {
            y[d] += exp(score[best]) * (double)c->entries[at + d];
        }
    }
    for (int64_t d = 0; d < DIM; d++) {
        y[d] /= sum;
    }
}

static void formula(void)
{
    lookup_case c = new_case();
    tape *t = tape_new();
    tensor *q = tape_leaf(t, c.q, 3, (int64_t[]){ROWS, TIME, WIDTH}, false);
    const tensor *y = build(t, &q, &c);
    for (int64_t n = 0; n < ROWS * TIME * HEADS; n++) {
        double expected[DIM];
        int64_t row = n / (TIME * HEADS), i = n / HEADS % TIME, head = n % HEADS;
        plain(&c, row, i, head, expected);
        for (int64_t d = 0; d < DIM; d++) {
            double got = (double)y->data[(row * TIME + i) * WIDTH + head * DIM + d];
            /* A few roundings of numbers below 1. */
            EXPECT(fabs(got - expected[d]) < (REAL_IS_DOUBLE ? 1e-12 : 1e-5), "%g, not %g", got,
                   expected[d]);
        }
    }
    tape_free(t);
}

static void gradient(void)
{
    lookup_case c = new_case();
    gradcheck_input q = {"q", 3, {ROWS, TIME, WIDTH}, c.q, false};
    expect_gradients("op_lookup", 1, &q, build, &c, 0, 0);
}

extern const test_suite test_op_lookup;
const test_suite test_op_lookup = {"core/op_lookup",
                                   {{"formula", formula}, {"gradient", gradient}, {0}}};
