/* Ops by property: what must hold whatever the numbers are. */
#include "core/ops/ops.h"
#include "tests/support/gradcheck.h"
#include "tests/support/op_cases.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

/* A few roundings. */
static const double TINY = REAL_IS_DOUBLE ? 1e-13 : 1e-6;

static tensor *filled(tape *t, int64_t rows, int64_t width, uint32_t seed)
{
    tensor *x = tape_tensor(t, 2, (int64_t[]){rows, width});
    fill_uniform(x->data, rows * width, seed);
    return x;
}

static void softmax(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = op_scale(t, filled(t, 5, 37, 1), 30);
    tensor *y = op_softmax(t, x), *sums = op_sum_last(t, y);
    for (int i = 0; i < 5; i++) {
        EXPECT(fabs((double)sums->data[i] - 1) < TINY, "row %d sums to %.9g", i,
               (double)sums->data[i]);
    }
    tensor *shifted = op_softmax(t, op_shift(t, x, 100));
    /* x + 100 rounds x to 1e-5 in float. */
    expect_close("shifted", shifted->data, y->data, 5 * 37, REAL_IS_DOUBLE ? 1e-12 : 1e-4, 0);
    tensor *logs = op_activation(t, op_log_softmax(t, x), ACT_EXP);
    expect_close("exp of log", logs->data, y->data, 5 * 37, REAL_IS_DOUBLE ? 1e-12 : 1e-4, 0);
    tape_free(t);
}

static void softmax_shows_nan(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    for (int64_t at = 0; at < 20; at += 19) {
        tensor *x = filled(t, 1, 20, 1);
        x->data[at] = (real)NAN;
        EXPECT(isnan(op_softmax(t, x)->data[3]), "NaN at %lld is lost", (long long)at);
        double loss;
        int32_t target = 3;
        op_cross_entropy(t, x, &target, NULL, 1, &loss);
        EXPECT(isnan(loss), "loss %g", loss);
    }
    tape_free(t);
}

static void cross_entropy(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = op_scale(t, filled(t, 4, 11, 3), 300); /* logits near 300 */
    const int32_t targets[] = {0, 10, -1, 4};
    const real weights[] = {1, 2, 0, (real)0.5};
    double losses[4];
    tensor *y = op_cross_entropy(t, x, targets, weights, (real)0.25, losses);
    tensor *logs = op_log_softmax(t, x);
    double total = 0;
    for (int i = 0; i < 4; i++) {
        double expected = i == 2 ? 0 : -(double)logs->data[i * 11 + targets[i]];
        EXPECT(fabs(losses[i] - expected) <= 300 * TINY, "row %d: %.9g, not %.9g", i, losses[i],
               expected);
        total += 0.25 * (double)weights[i] * losses[i];
    }
    EXPECT(fabs((double)*y->data - total) < 300 * TINY, "%.9g, not %.9g", (double)*y->data, total);
    tape_free(t);
}

/* Against targets that are spread by hand; what each row tells is the plain loss. */
static void smooth_cross_entropy(void)
{
    enum { ROWS = 3, VOCAB = 5 };
    const int32_t targets[] = {0, 4, 2};
    const real weights[] = {1, 0, (real)0.5};
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = filled(t, ROWS, VOCAB, 3);
    double losses[ROWS], plain[ROWS], expected = 0;
    tensor *y = op_smooth_cross_entropy(t, x, targets, weights, (real)0.25, 0.3, losses);
    op_cross_entropy(t, x, targets, weights, (real)0.25, plain);
    const tensor *logs = op_log_softmax(t, x);
    for (int i = 0; i < ROWS; i++) {
        EXPECT(losses[i] == plain[i], "row %d: %g, not %g", i, losses[i], plain[i]);
        for (int j = 0; j < VOCAB; j++) {
            double q = 0.3 / VOCAB + (j == targets[i] ? 0.7 : 0);
            expected -= 0.25 * (double)weights[i] * q * (double)logs->data[i * VOCAB + j];
        }
    }
    EXPECT(fabs((double)*y->data - expected) < TINY, "%.9g, not %.9g", (double)*y->data, expected);
    tape_free(t);
}

static void norms(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = filled(t, 6, 40, 2);
    tensor *y = op_layernorm(t, x, NULL, NULL, 0), *square = op_mul(t, y, y);
    for (int r = 0; r < 6; r++) {
        double sum = (double)op_sum_last(t, y)->data[r];
        double squares = (double)op_sum_last(t, square)->data[r];
        EXPECT(fabs(sum) < 40 * TINY, "row %d sums to %g", r, sum);
        EXPECT(fabs(squares / 40 - 1) < TINY, "row %d: mean square %g", r, squares / 40);
    }
    tensor *again = op_layernorm(t, op_shift(t, op_scale(t, x, 8), 3), NULL, NULL, 0);
    expect_close("layernorm of 8 x + 3", again->data, y->data, 240, 20 * TINY, 0);
    tensor *r = op_rmsnorm(t, x, NULL, 0), *r8 = op_rmsnorm(t, op_scale(t, x, 8), NULL, 0);
    expect_close("rmsnorm of 8 x", r8->data, r->data, 240, TINY, 0);
    /* A row of zeros stays finite. */
    tensor *zero = tape_constant(t, NULL, 2, (int64_t[]){1, 8});
    EXPECT(op_layernorm(t, zero, NULL, NULL, (real)1e-5)->data[0] == 0, "layernorm of zeros");
    EXPECT(op_l2norm(t, zero, (real)1e-6)->data[0] == 0, "l2norm of zeros");
    tape_free(t);
}

/* A row without a direction gets no gradient from a norm, instead of eps^-1/2 or eps^-1 times as
 * much as any other; the rows beside it keep theirs. */
static void norms_of_flat_rows(void)
{
    /* (1 / eps) eps rounds to less than 1 for the last two, in double and in float. */
    static const double LEAST[] = {1e-5, 1e-6, 1e-12, 1e-5, 9e-4};
    for (int kind = 0; kind < 5; kind++) {
        tape *t = tape_new();
        tape_reset(t, true);
        real values[16] = {0}, cotangent[16], eps = (real)LEAST[kind];
        for (int i = 0; i < 16; i++) {
            if (i >= 8) values[i] = (real)(i % 3) - (real)0.5;
            cotangent[i] = (real)(1 + i % 5);
        }
        tensor *x = tape_leaf(t, values, 2, (int64_t[]){2, 8}, true);
        tensor *y = kind == 0   ? op_layernorm(t, x, NULL, NULL, eps)
                    : kind == 1 ? op_rmsnorm(t, x, NULL, eps)
                                : op_l2norm(t, x, eps);
        tape_seed(t, y, cotangent);
        tape_run_backward(t);
        double flat = 0, other = 0;
        for (int i = 0; i < 8; i++) {
            flat += fabs((double)x->grad[i]);
            other += fabs((double)x->grad[8 + i]);
        }
        EXPECT(flat == 0 && other > 0.1, "norm %d: %g into zeros, %g beside them", kind, flat,
               other);
        tape_free(t);
    }
}

static void shapes(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    tensor *x = tape_tensor(t, 4, (int64_t[]){2, 3, 4, 5});
    fill_uniform(x->data, 120, 4);
    for (int axis = 0; axis < 4; axis++) {
        int64_t n = x->shape[axis];
        tensor *parts[] = {op_slice(t, x, axis, 0, 1), op_slice(t, x, axis, 1, n)};
        tensor *joined = op_concat(t, 2, parts, axis);
        EXPECT(memcmp(joined->data, x->data, 120 * sizeof(real)) == 0, "axis %d", axis);
        for (int other = 0; other < axis; other++) {
            tensor *twice = op_transpose(t, op_transpose(t, x, axis, other), other, axis);
            EXPECT(memcmp(twice->data, x->data, 120 * sizeof(real)) == 0, "axes %d, %d", axis,
                   other);
        }
    }
    tensor *swapped = op_transpose(t, x, 1, 3);
    real got = swapped->data[((1 * 5 + 4) * 4 + 2) * 3 + 1];
    real expected = x->data[((1 * 3 + 1) * 4 + 2) * 5 + 4];
    EXPECT(got == expected, "%g, not %g", (double)got, (double)expected);
    tape_free(t);
}

/* Scatter is the transpose of gather: <gather x, y> = <x, scatter y>. */
static void gather_and_scatter(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    const int32_t ids[] = {4, 1, 1, 0};
    tensor *x = filled(t, 5, 7, 1), *y = filled(t, 4, 7, 2);
    real a = *op_sum(t, op_mul(t, op_gather(t, x, ids, 4), y))->data;
    real b = *op_sum(t, op_mul(t, x, op_scatter(t, y, ids, 5)))->data;
    EXPECT(fabs((double)(a - b)) < TINY, "%.9g and %.9g", (double)a, (double)b);
    tape_free(t);
}

/* The mask is that of the row in the whole batch: lanes do not change it. */
static void dropout(void)
{
    tape *t = tape_new();
    tape_reset(t, false);
    enum { ROWS = 4, EACH = 5003 };
    tensor *ones = op_shift(t, tape_constant(t, NULL, 2, (int64_t[]){ROWS, EACH}), 1);
    rng_key key = {.seed = 1, .step = 2, .row = 8, .place = 3};
    tensor *whole = op_dropout(t, ones, 0.25, key);
    for (int r = 0; r < ROWS; r++) {
        rng_key mine = key;
        mine.row += (uint32_t)r;
        tensor *row = op_dropout(t, op_slice(t, ones, 0, r, r + 1), 0.25, mine);
        EXPECT(memcmp(row->data, whole->data + r * EACH, EACH * sizeof(real)) == 0, "row %d", r);
    }
    /* The mean of n = 20012 values 0 or 4/3 has a standard deviation of sqrt(1/3 / n) = 0.0041. */
    double mean = (double)*op_sum(t, whole)->data / (ROWS * EACH);
    EXPECT(fabs(mean - 1) < 0.02, "mean %g", mean);
    EXPECT(op_dropout(t, ones, 0, key) == ones, "rate 0 copies");
    tape_free(t);
}

/* Runs every case forwards and backwards on one tape; memory is mapped in the first round only. */
static void one_round(tape *t)
{
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        op_case c = OP_CASES[i];
        gradcheck_input inputs[OP_CASE_INPUTS];
        tensor *leaf[OP_CASE_INPUTS];
        int n = op_case_inputs(&c, inputs);
        tape_reset(t, true);
        for (int k = 0; k < n; k++) {
            leaf[k] = tape_leaf(t, inputs[k].data, inputs[k].rank, inputs[k].shape, true);
        }
        tensor *y = op_case_build(t, leaf, &c);
        tape_seed(t, y, y->data);
        tape_run_backward(t);
        op_case_free(n, inputs);
    }
}

static void maps_no_more_memory(void)
{
    tape *t = tape_new();
    one_round(t);
    int64_t maps = tape_maps(t);
    for (int i = 0; i < 3; i++) {
        one_round(t);
    }
    EXPECT(tape_maps(t) == maps, "%lld mappings, then %lld", (long long)maps,
           (long long)tape_maps(t));
    tape_free(t);
}

/* An op that is not recorded computes the same bits. */
static void same_without_recording(void)
{
    tape *t = tape_new(), *u = tape_new();
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        op_case c = OP_CASES[i];
        gradcheck_input inputs[OP_CASE_INPUTS];
        tensor *a[OP_CASE_INPUTS], *b[OP_CASE_INPUTS];
        int n = op_case_inputs(&c, inputs);
        tape_reset(t, true);
        tape_reset(u, false);
        for (int k = 0; k < n; k++) {
            a[k] = tape_leaf(t, inputs[k].data, inputs[k].rank, inputs[k].shape, true);
            b[k] = tape_leaf(u, inputs[k].data, inputs[k].rank, inputs[k].shape, true);
        }
        tensor *y = op_case_build(t, a, &c), *z = op_case_build(u, b, &c);
        EXPECT(tensor_same_shape(y, z) &&
                   memcmp(y->data, z->data, (size_t)tensor_count(y) * sizeof(real)) == 0,
               "%s differs where it is not recorded", c.name);
        op_case_free(n, inputs);
    }
    tape_free(t);
    tape_free(u);
}

const test_suite test_op_properties = {"core/op_properties",
                                       {{"softmax", softmax},
                                        {"softmax_shows_nan", softmax_shows_nan},
                                        {"cross_entropy", cross_entropy},
                                        {"smooth_cross_entropy", smooth_cross_entropy},
                                        {"norms", norms},
                                        {"norms_of_flat_rows", norms_of_flat_rows},
                                        {"shapes", shapes},
                                        {"gather_and_scatter", gather_and_scatter},
                                        {"dropout", dropout},
                                        {"maps_no_more_memory", maps_no_more_memory},
                                        {"same_without_recording", same_without_recording},
                                        {0}}};
