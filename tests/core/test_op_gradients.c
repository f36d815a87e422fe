/* Gradients of every op against finite differences, in the double build. */
#include "tests/support/gradcheck.h"
#include "tests/support/op_cases.h"
#include "tests/test.h"

enum { SAMPLES = 40 };

static void every_op(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("gradients are checked in the double build (make KIND=f64)");
        return;
    }
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        op_case c = OP_CASES[i];
        if (!test_sub("%s", c.name)) continue;
        gradcheck_input inputs[OP_CASE_INPUTS];
        int n = op_case_inputs(&c, inputs);
        /* 1e-6: the differences' own error is about 1e-10 (see gradcheck.h). */
        expect_gradients(c.name, n, inputs, op_case_build, &c, SAMPLES, 1e-6);
        op_case_free(n, inputs);
    }
}

const test_suite test_op_gradients = {"core/op_gradients", {{"every_op/", every_op}, {0}}};
