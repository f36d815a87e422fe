/* Attention against its definition, over drawn shapes and masks; rotary positions by property. */
#include "core/ops/attention_bias.h"
#include "core/ops/ops.h"
#include "core/ops/softmax.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One drawn problem. q [rows, queries, 3 + heads e], k [rows, keys, kv e + 1], v [rows, keys, kv
 * e]. */
typedef struct problem {
    attention_shape s;
    int64_t rows, queries, extra;
    int64_t valid[4];
} problem;

static int64_t drawn(uint32_t *state, int64_t low, int64_t high)
{
    *state = *state * 1664525u + 1013904223u;
    return low + (int64_t)(*state >> 8) % (high - low + 1);
}

static problem draw(uint32_t seed)
{
    uint32_t state = seed * 7919 + 1;
    problem p = {.rows = drawn(&state, 1, 3)};
    attention_shape *s = &p.s;
    p.queries = drawn(&state, 1, 4) == 1 ? drawn(&state, 1, 3) : drawn(&state, 4, 150);
    p.extra = drawn(&state, 0, 2) * drawn(&state, 0, 40);
    s->kv_heads = drawn(&state, 1, 2);
    s->heads = s->kv_heads * drawn(&state, 1, 2);
    s->head_dim = drawn(&state, 1, 9);
    s->scale = (real)0.7;
    s->causal = drawn(&state, 0, 4) > 0;
    if (drawn(&state, 0, 1)) s->window = drawn(&state, 1, 80);
    if (drawn(&state, 0, 1)) {
        s->block = drawn(&state, 1, 70);
        s->phase = drawn(&state, 0, s->block - 1);
        s->memory = drawn(&state, 0, 50);
    }
    s->alibi = drawn(&state, 0, 1);
    for (int64_t r = 0; r < p.rows; r++) {
        p.valid[r] = drawn(&state, 0, p.extra);
    }
    if (drawn(&state, 0, 1)) s->valid = p.valid;
    return p;
}

static bool sees(const problem *p, int64_t row, int64_t i, int64_t j)
{
    const attention_shape *s = &p->s;
    int64_t position = p->extra + i;
    if (s->causal && j > position) return false;
    if (s->valid && j < p->extra - p->valid[row]) return false;
    if (s->window && j < position - s->window + 1) return false;
    return !s->block || j >= position - (s->phase + i) % s->block - s->memory;
}

/* Output of one query and head by the definition, in double; zero if it sees nothing. */
static void define(const problem *p, const tensor *q, const tensor *k, const tensor *v, int64_t row,
                   int64_t i, int64_t head, double *y)
{
    const attention_shape *s = &p->s;
    int64_t d = s->head_dim, keys = p->queries + p->extra, kv = head * s->kv_heads / s->heads;
    const real *query = q->data + (row * p->queries + i) * q->shape[2] + 3 + head * d;
    double total = 0;
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t j = 0; j < keys; j++) {
        if (!sees(p, row, i, j)) continue;
        const real *key = k->data + (row * keys + j) * k->shape[2] + kv * d;
        const real *value = v->data + (row * keys + j) * v->shape[2] + kv * d;
        double score = 0;
        for (int64_t e = 0; e < d; e++) {
            score += (double)s->scale * (double)query[e] * (double)key[e];
        }
        double distance = fabs((double)(p->extra + i - j));
        if (s->alibi) score -= attention_bias_slope(head, s->heads) * distance;
        total += exp(score);
        for (int64_t e = 0; e < d; e++) {
            y[e] += exp(score) * (double)value[e];
        }
    }
    for (int64_t e = 0; e < d && total > 0; e++) {
        y[e] /= total;
    }
}

static tensor *filled(tape *t, int64_t rows, int64_t time, int64_t width, uint32_t seed)
{
    tensor *x = tape_tensor(t, 3, (int64_t[]){rows, time, width});
    fill_uniform(x->data, tensor_count(x), seed);
    return x;
}

static void check_problem(const problem *p, uint32_t seed)
{
    const attention_shape *s = &p->s;
    tape *t = tape_new();
    tape_reset(t, false);
    int64_t keys = p->queries + p->extra, d = s->head_dim;
    tensor *q = filled(t, p->rows, p->queries, 3 + s->heads * d, 1);
    tensor *k = filled(t, p->rows, keys, s->kv_heads * d + 1, 2);
    tensor *v = filled(t, p->rows, keys, s->kv_heads * d, 3);
    tensor *y = op_attention(t, (attention_operand){q, 3}, (attention_operand){k, 0},
                             (attention_operand){v, 0}, s);
    tensor *expected = tape_like(t, y);
    for (int64_t n = 0; n < p->rows * p->queries * s->heads; n++) {
        double one[16];
        int64_t head = n % s->heads, i = n / s->heads % p->queries;
        define(p, q, k, v, n / s->heads / p->queries, i, head, one);
        for (int64_t e = 0; e < d; e++) {
            expected->data[n * d + e] = (real)one[e];
        }
    }
    char what[64];
    snprintf(what, sizeof what, "problem %u", seed);
    /* Averages of values below 1: a handful of roundings of 6e-8, and exp's 2e-7. */
    expect_close(what, y->data, expected->data, tensor_count(y), 0, REAL_IS_DOUBLE ? 1e-13 : 2e-6);
    tape_free(t);
}

static void like_the_definition(void)
{
    for (uint32_t seed = 0; seed < 60; seed++) {
        problem p = draw(seed);
        if (p.s.valid) p.s.valid = p.valid;
        check_problem(&p, seed);
    }
}

/* A row that sees nothing beside one that sees all, as of stored keys: y is 0, and no gradient
 * comes from it. */
static void sees_nothing_of(int64_t queries, int64_t keys, int64_t kv_heads)
{
    enum { ROWS = 2, HEADS = 2, DIM = 8 };
    int64_t values = kv_heads * DIM, width = 2 * values;
    problem p = {.rows = ROWS, .queries = queries, .extra = keys - queries};
    p.s = (attention_shape){.heads = HEADS, .kv_heads = kv_heads, .head_dim = DIM, .scale = 1};
    p.valid[0] = -queries;
    p.valid[1] = p.extra;
    p.s.valid = p.valid;
    check_problem(&p, (uint32_t)keys);
    tape *t = tape_new();
    tape_reset(t, true);
    tensor *q = filled(t, ROWS, queries, HEADS * DIM, 1), *x = filled(t, ROWS, keys, width, 2);
    q->needs_grad = x->needs_grad = true;
    tensor *y = op_attention(t, (attention_operand){q, 0}, (attention_operand){x, 0},
                             (attention_operand){x, values}, &p.s);
    tape_seed(t, y, y->data);
    tape_run_backward(t);
    for (int64_t k = 0; k < keys * width; k++) {
        EXPECT(!(fabs((double)x->grad[k]) > 0), "%lld queries of %lld keys: a gradient of %g",
               (long long)queries, (long long)keys, (double)x->grad[k]);
    }
    tape_free(t);
}

/* Of one query and of many, with keys of its own for each head or not, whether or not the keys end
 * with a part of what is packed: heads, queries and keys that go together are other products. */
static void sees_nothing(void)
{
    static const int64_t queries[] = {1, 2, 20}, sizes[] = {20, 31, 32, 64, 70, 96};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            sees_nothing_of(queries[i], sizes[j], 1);
            sees_nothing_of(queries[i], sizes[j], 2);
        }
    }
}

/* Scores of 1e4 and rows that see nothing give finite numbers. */
static void stays_finite(void)
{
    tape *t = tape_new();
    tape_reset(t, true);
    tensor *x = filled(t, 1, 70, 12, 5);
    x->needs_grad = true;
    for (int64_t i = 0; i < tensor_count(x); i++) {
        x->data[i] *= 100;
    }
    attention_shape s = {.heads = 1, .kv_heads = 1, .head_dim = 4, .scale = 1, .causal = true};
    tensor *y = op_attention(t, (attention_operand){x, 0}, (attention_operand){x, 4},
                             (attention_operand){x, 8}, &s);
    tape_seed(t, y, y->data);
    tape_run_backward(t);
    for (int64_t i = 0; i < tensor_count(x); i++) {
        EXPECT(isfinite(x->grad[i]), "gradient %lld is %g", (long long)i, (double)x->grad[i]);
    }
    tape_free(t);
}

/* A NaN in one value reaches every query that sees it, and no other. */
static void shows_nan(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = filled(t, 1, 10, 12, 5);
    x->data[6 * 12 + 9] = (real)NAN;
    attention_shape s = {.heads = 1, .kv_heads = 1, .head_dim = 4, .scale = 1, .causal = true};
    tensor *y = op_attention(t, (attention_operand){x, 0}, (attention_operand){x, 4},
                             (attention_operand){x, 8}, &s);
    EXPECT(isnan(y->data[9 * 4 + 1]), "%g", (double)y->data[9 * 4 + 1]);
    x->data[6 * 12 + 9] = 0;
    x->data[6 * 12 + 5] = (real)NAN; /* a key */
    y = op_attention(t, (attention_operand){x, 0}, (attention_operand){x, 4},
                     (attention_operand){x, 8}, &s);
    EXPECT(isnan(y->data[9 * 4 + 1]), "%g", (double)y->data[9 * 4 + 1]);
    tape_free(t);
}

static void t5_buckets(void)
{
    /* buckets 32, max distance 128: 16 exact ones, then floor(16 + 16 log(n/16) / log 8). */
    static const int64_t expected[][2] = {{0, 0},   {15, 15}, {16, 16},  {18, 16},  {19, 17},
                                          {32, 21}, {64, 26}, {127, 31}, {128, 31}, {5000, 31}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int64_t got = attention_bias_t5_bucket(expected[i][0], 32, 128);
        EXPECT(got == expected[i][1], "distance %lld: bucket %lld", (long long)expected[i][0],
               (long long)got);
    }
}

static tensor *rotated(tape *t, const tensor *x, int64_t first, int xpos)
{
    tensor *copy = tape_constant(t, x->data, x->rank, x->shape);
    rotary_shape s = {
        .heads = 1, .head_dim = x->shape[2], .first = first, .theta = 1e4, .xpos = xpos};
    return op_rotary_inplace(t, copy, &s);
}

/* Products of a rotated query and key depend on their distance only, xpos included. */
static void rotary_is_relative(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *q = filled(t, 1, 1, 16, 1), *k = filled(t, 1, 1, 16, 2);
    for (int xpos = 0; xpos < 2; xpos++) {
        double products[2] = {0, 0};
        for (int n = 0; n < 2; n++) {
            tensor *a = rotated(t, q, 40 + 1000 * n, xpos), *b = rotated(t, k, 9 + 1000 * n, -xpos);
            for (int64_t c = 0; c < 16; c++) {
                products[n] += (double)a->data[c] * (double)b->data[c];
            }
        }
        /* Angles are computed in double; float rounds cosines, sines and products. */
        double off = fabs(products[0] - products[1]);
        EXPECT(off < (REAL_IS_DOUBLE ? 1e-11 : 4e-6), "xpos %d: %.9g and %.9g", xpos, products[0],
               products[1]);
    }
    tape_free(t);
}

/* Position i of a long call is rotated like position 0 of a call that begins there. */
static void rotary_cut(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = filled(t, 1, 200, 16, 1);
    tensor *whole = rotated(t, x, -30, 1);
    for (int64_t i = 0; i < 200; i++) {
        tensor one = *x;
        one.shape[1] = 1;
        one.data = x->data + i * 16;
        tensor *y = rotated(t, &one, i - 30, 1);
        expect_close("position", whole->data + i * 16, y->data, 16, REAL_IS_DOUBLE ? 1e-12 : 2e-7,
                     0);
    }
    tape_free(t);
}

/* The authors' values (Press et al.'s get_slopes): of 12 heads those of 8, then the odd ones of 16.
 */
static void alibi_slopes(void)
{
    static const double of12[] = {-1, -2, -3, -4, -5, -6, -7, -8, -0.5, -1.5, -2.5, -3.5};
    static const double of3[] = {-4, -8, -2}, of4[] = {-2, -4, -6, -8};
    for (int64_t h = 0; h < 12; h++) {
        EXPECT(fabs(log2(attention_bias_slope(h, 12)) - of12[h]) < 1e-12, "head %lld of 12: 2^%g",
               (long long)h, log2(attention_bias_slope(h, 12)));
        if (h < 4) EXPECT(fabs(log2(attention_bias_slope(h, 4)) - of4[h]) < 1e-12, "of 4");
        if (h < 3) EXPECT(fabs(log2(attention_bias_slope(h, 3)) - of3[h]) < 1e-12, "of 3");
    }
}

/* Eight sums in the header's order, whatever vectors the processor has and however long the row. */
static void rows_are_summed_in_order(void)
{
    enum { MOST = 150 };
    for (int64_t n = 1; n <= MOST; n++) {
        real x[MOST], y[MOST], row[MOST], other[MOST], sum[8] = {0}, dot[8] = {0};
        fill_uniform(x, n, (uint32_t)n);
        fill_uniform(y, n, (uint32_t)n + 1000);
        memcpy(row, x, sizeof row);
        memcpy(other, x, sizeof other);
        real most = softmax_most(x, n), largest = x[0], all = 0, products = 0;
        for (int64_t i = 0; i < n; i++) {
            real e = x[i];
            softmax_exp(&e, 1, most);
            int64_t k = i < n / 8 * 8 ? i % 8 : 0;
            sum[k] += e;
            dot[k] += e * y[i];
            largest = x[i] > largest ? x[i] : largest;
        }
        for (int k = 0; k < 8; k++) {
            all += sum[k], products += dot[k];
        }
        EXPECT(most >= largest && most <= largest, "%lld: largest %g", (long long)n, (double)most);
        real got = softmax_exp_sum(row, n, most), times = softmax_exp_dot(other, y, n, most);
        EXPECT(memcmp(row, other, (size_t)n * sizeof *row) == 0, "%lld: exponentials",
               (long long)n);
        EXPECT(memcmp(&got, &all, sizeof got) == 0, "%lld: sum %.9g, not %.9g", (long long)n,
               (double)got, (double)all);
        /* Compilers choose which of the products are rounded before they are added. */
        EXPECT(fabs((double)(times - products)) < (REAL_IS_DOUBLE ? 1e-13 : 2e-5),
               "%lld: product %.9g, not %.9g", (long long)n, (double)times, (double)products);
    }
}

const test_suite test_op_attention = {"core/op_attention",
                                      {{"like_the_definition", like_the_definition},
                                       {"sees_nothing", sees_nothing},
                                       {"stays_finite", stays_finite},
                                       {"shows_nan", shows_nan},
                                       {"rows_are_summed_in_order", rows_are_summed_in_order},
                                       {"t5_buckets", t5_buckets},
                                       {"rotary_is_relative", rotary_is_relative},
                                       {"rotary_cut", rotary_cut},
                                       {"alibi_slopes", alibi_slopes},
                                       {0}}};
