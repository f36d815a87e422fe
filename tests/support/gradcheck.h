/* Gradients against finite differences, for anything that is built on a tape.
 *
 * The checked scalar is L = sum(y * c) with a fixed pseudo-random cotangent c, where y is what
 * `build` returns. Each input's gradient is compared, element by element (evenly spaced samples of
 * large tensors), with the five-point central difference
 *     (L(-2h) - 8 L(-h) + 8 L(h) - L(2h)) / 12h,   h = GRADCHECK_STEP * max(1, |x|),
 * whose error in double is about 1e-12 L from rounding and h^4 L'''''/30 from truncation. */
#pragma once

#include "core/ops/tape.h"

enum { GRADCHECK_INPUTS = 64 };

typedef struct gradcheck_input {
    const char *name;
    int rank;
    int64_t shape[TENSOR_RANK];
    real *data; /* the caller's; restored after the check */
    bool fixed; /* an input without a gradient */
} gradcheck_input;

/* Builds y on t from leaves over the inputs' data; must be a pure function of them. */
typedef tensor *(*gradcheck_build)(tape *t, tensor *const *inputs, void *user);

typedef struct gradcheck_result {
    double worst;      /* max |analytic - numeric| / max(|numeric|, rms of the tensor's gradient) */
    const char *input; /* where */
    int64_t element;
    double analytic, numeric;
} gradcheck_result;

/* At most `samples` elements of each input (0: all). Checks as well that gradients are the same if
 * only one input wants one, and that they double where everything is built twice on one tape
 * (adding to gradients, not overwriting). Does nothing in a float build: run it only if
 * REAL_IS_DOUBLE. */
gradcheck_result gradcheck(int n, const gradcheck_input *inputs, gradcheck_build build, void *user,
                           int samples);

/* EXPECTs that the above is at most `tolerance` (1e-6 by default where 0); test_skip in float. */
void expect_gradients(const char *what, int n, const gradcheck_input *inputs, gradcheck_build build,
                      void *user, int samples, double tolerance);

/* That difference by itself, of any scalar: f(user) is called with *x moved, then *x put back. */
double five_point(double (*f)(void *user), void *user, real *x, double h);

/* Fills x with n pseudo-random numbers in [-1, 1) that are the same in float and double builds. */
void fill_uniform(real *x, int64_t n, uint32_t seed);
