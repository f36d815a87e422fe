/* Every op of core/ops/ops.h as small cases: one table, run as gradient checks and as comparison of
 * float with double. Adding an op is adding its row. */
#pragma once

#include "core/ops/ops.h"
#include "tests/support/gradcheck.h"

enum { OP_CASE_INPUTS = 5 };

typedef struct op_case op_case;
struct op_case {
    const char *name;
    tensor *(*build)(tape *t, tensor *const *in, const op_case *c);
    int arg; /* the build function's own: an activation, an index of its table */
    struct {
        int rank;
        int64_t shape[TENSOR_RANK];
    } in[OP_CASE_INPUTS]; /* the first with rank 0 ends them */
    double low, high;     /* inputs are uniform in between; both 0: [-1, 1) but not near 0 */
    double float_rtol;    /* of float against double; 0: 1e-5 */
};

extern const op_case OP_CASES[];
extern const int OP_CASE_COUNT;

/* Fills inputs (names "x0", "x1", ...) with the case's data; returns how many. Free with
 * op_case_free. */
int op_case_inputs(const op_case *c, gradcheck_input *inputs);
void op_case_free(int n, gradcheck_input *inputs);

/* For gradcheck: user is the op_case. */
tensor *op_case_build(tape *t, tensor *const *inputs, void *user);
