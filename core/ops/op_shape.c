#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* Everything here is a strided copy. A tensor seen along one axis is `outer` runs of `length *
 * inner` elements, where inner is the product of the axes behind it. */

static int64_t outer_of(const tensor *x, int axis)
{
    int64_t n = 1;
    for (int i = 0; i < axis; i++) {
        n *= x->shape[i];
    }
    return n;
}

/* 1 for the last axis: a run is then `length` elements. */
static int64_t inner_of(const tensor *x, int axis)
{
    int64_t n = 1;
    for (int i = axis + 1; i < x->rank; i++) {
        n *= x->shape[i];
    }
    return n;
}

/* ---- slice ---- */

/* run: elements of a run of y, (end - begin) inner; step: of x, length inner. */
typedef struct slice_keep {
    tensor *x, *y;
    int64_t outer, run, step, offset; /* y's run n begins at x[n * step + offset] */
} slice_keep;

/* The rest of dx is untouched: zeros, or what other slices of x gave. */
static void slice_backward(tape *t, void *keep)
{
    slice_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    for (int64_t n = 0; dx && n < k->outer; n++) {
        vec_add(dx + n * k->step + k->offset, k->y->grad + n * k->run, k->run);
    }
}

static const op_class SLICE = {"slice", slice_backward};

/* A copy and not a view: tensors are dense, so that every op may run over memory in order. */
tensor *op_slice(tape *t, tensor *x, int axis, int64_t begin, int64_t end)
{
    CHECK(axis >= 0 && axis < x->rank && begin >= 0 && begin <= end && end <= x->shape[axis],
          "entries [%lld, %lld) of axis %d of %d", (long long)begin, (long long)end, axis, x->rank);
    double since = tape_clock(t);
    int64_t shape[TENSOR_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = end - begin;
    tensor *y = tape_tensor(t, x->rank, shape);
    int64_t inner = inner_of(x, axis);
    slice_keep s = {
        x, y, outer_of(x, axis), (end - begin) * inner, x->shape[axis] * inner, begin * inner};
    for (int64_t n = 0; n < s.outer; n++) {
        vec_copy(y->data + n * s.run, x->data + n * s.step + s.offset, s.run);
    }
    return tape_done(t, &SLICE, since, 1, &x, &s, sizeof(slice_keep), y);
}

tensor *op_columns(tape *t, tensor *x, int64_t begin, int64_t end)
{
    return op_slice(t, x, x->rank - 1, begin, end);
}

/* ---- concat ---- */

/* The list of parts is copied to the tape: the caller's may be on its stack. */
typedef struct concat_keep {
    int n;
    tensor *y;
    tensor **parts;
    int axis;
} concat_keep;

/* Each part takes its stretch of every run; a tensor that stands twice takes both. */
static void concat_backward(tape *t, void *keep)
{
    concat_keep *k = keep;
    int64_t outer = outer_of(k->y, k->axis), inner = inner_of(k->y, k->axis);
    /* step: of y, all parts' runs; offset: where this part's begin in it. */
    int64_t step = k->y->shape[k->axis] * inner, offset = 0;
    for (int i = 0; i < k->n; i++) {
        int64_t run = k->parts[i]->shape[k->axis] * inner;
        real *dx = tape_grad(t, k->parts[i]);
        for (int64_t n = 0; dx && n < outer; n++) {
            vec_add(dx + n * run, k->y->grad + n * step + offset, run);
        }
        offset += run;
    }
}

static const op_class CONCAT = {"concat", concat_backward};

/* Every part is compared with the first in all axes but the joined one, whose sizes add up. */
static tensor *concat_output(tape *t, int n, tensor *const *parts, int axis)
{
    CHECK(n >= 1 && axis >= 0 && axis < parts[0]->rank, "%d parts along axis %d", n, axis);
    int64_t shape[TENSOR_RANK];
    memcpy(shape, parts[0]->shape, sizeof shape);
    for (int i = 1; i < n; i++) {
        bool agrees = parts[i]->rank == parts[0]->rank;
        for (int j = 0; agrees && j < parts[0]->rank; j++) {
            agrees = j == axis || parts[i]->shape[j] == shape[j];
        }
        CHECK(agrees, "part %d of %d differs from the first outside axis %d", i, n, axis);
        shape[axis] += parts[i]->shape[axis];
    }
    return tape_tensor(t, parts[0]->rank, shape);
}

tensor *op_concat(tape *t, int n, tensor *const *parts, int axis)
{
    double since = tape_clock(t);
    tensor *y = concat_output(t, n, parts, axis);
    int64_t outer = outer_of(y, axis), inner = inner_of(y, axis);
    int64_t step = y->shape[axis] * inner, offset = 0;
    for (int i = 0; i < n; i++) {
        int64_t run = parts[i]->shape[axis] * inner;
        for (int64_t m = 0; m < outer; m++) {
            vec_copy(y->data + m * step + offset, parts[i]->data + m * run, run);
        }
        offset += run;
    }
    if (tape_wants(t, n, parts)) {
        concat_keep *k = tape_keep(t, 1, sizeof *k);
        *k = (concat_keep){n, y, tape_keep(t, n, sizeof(tensor *)), axis};
        memcpy(k->parts, parts, (size_t)n * sizeof(tensor *));
        tape_record(t, &CONCAT, k, 1, &y);
    }
    tape_charge(t, &CONCAT, since);
    return y;
}

/* ---- transpose ---- */

typedef struct transpose_keep {
    tensor *x, *y;
    int a, b; /* a < b */
} transpose_keep;

/* to += or = from with axes a < b swapped: from is [outer, m, middle, n, inner], to is
 * [outer, n, middle, m, inner].
 * Written in order, read in steps: a store that misses costs more than a load. `shape` is that of
 * `from`; swapping the same axes again is its own inverse, which makes the backward pass. */
static void transpose_copy(real *restrict to, const real *restrict from, const tensor *shape, int a,
                           int b, bool add)
{
    int64_t m = shape->shape[a], n = shape->shape[b], inner = inner_of(shape, b);
    int64_t outer = outer_of(shape, a), middle = inner_of(shape, a) / MAX(n * inner, 1);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t c = 0; c < middle; c++) {
                for (int64_t i = 0; i < m; i++) {
                    real *y = to + (((o * n + j) * middle + c) * m + i) * inner;
                    const real *x = from + (((o * m + i) * middle + c) * n + j) * inner;
                    for (int64_t e = 0; e < inner; e++) {
                        y[e] = add ? y[e] + x[e] : x[e];
                    }
                }
            }
        }
    }
}

/* y's shape, as y's gradient is what is read: its axes a and b are x's b and a. */
static void transpose_backward(tape *t, void *keep)
{
    transpose_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    if (dx) transpose_copy(dx, k->y->grad, k->y, k->a, k->b, true);
}

static const op_class TRANSPOSE = {"transpose", transpose_backward};

/* In order, whichever is named first: transpose_copy counts from the outer one. */
tensor *op_transpose(tape *t, tensor *x, int axis_a, int axis_b)
{
    int a = MIN(axis_a, axis_b), b = MAX(axis_a, axis_b);
    CHECK(a >= 0 && b < x->rank && a != b, "axes %d and %d of %d", a, b, x->rank);
    double since = tape_clock(t);
    int64_t shape[TENSOR_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[a] = x->shape[b];
    shape[b] = x->shape[a];
    tensor *y = tape_tensor(t, x->rank, shape);
    transpose_copy(y->data, x->data, x, a, b, false);
    return tape_done(t, &TRANSPOSE, since, 1, &x, &(transpose_keep){x, y, a, b},
                     sizeof(transpose_keep), y);
}

/* ---- repeat ---- */

/* All copies' gradients add up. */
static void repeat_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t n = tensor_count(k->x);
    for (int64_t i = 0; dx && i < k->y->shape[0]; i++) {
        vec_add(dx, k->y->grad + i * n, n);
    }
}

static const op_class REPEAT = {"repeat", repeat_backward};

/* Of no copies it is an empty tensor, and its gradient adds nothing. */
tensor *op_repeat(tape *t, tensor *x, int64_t times)
{
    CHECK(x->rank < TENSOR_RANK && times >= 0, "%lld repetitions of rank %d", (long long)times,
          x->rank);
    double since = tape_clock(t);
    /* [times, x's axes] */
    int64_t shape[TENSOR_RANK] = {times};
    memcpy(shape + 1, x->shape, (size_t)x->rank * sizeof *shape);
    tensor *y = tape_tensor(t, x->rank + 1, shape);
    int64_t n = tensor_count(x);
    for (int64_t i = 0; i < times; i++) {
        vec_copy(y->data + i * n, x->data, n);
    }
    return tape_done_pair(t, &REPEAT, since, x, y);
}
