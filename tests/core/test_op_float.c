/* Every op in this build against recorded results of the double build: what polynomials, sgemm and
 * float's order of additions may cost, and no more.
 *
 * tests/vectors/ops/double.txt has a line per tensor, "case tensor value value ...": y and the
 * gradients of the inputs, SAMPLES evenly spaced elements each. Written by
 *     LOCI_WRITE_OPS=tests/vectors/ops/double.txt build/f64/test core/op_float */
#include "tests/support/op_cases.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 16, LINE = 1024 };
static const char RECORDED[] = "tests/vectors/ops/double.txt";

/* What is done with one tensor of a case. */
typedef struct visitor {
    FILE *file;
    double rtol;
} visitor;

static int64_t sample_step(int64_t n)
{
    return MAX(1, n / SAMPLES);
}

static void write_line(const visitor *v, const char *name, const char *part, const real *x,
                       int64_t n)
{
    fprintf(v->file, "%s %s", name, part);
    int64_t step = sample_step(n);
    for (int64_t i = 0, k = 0; i < n && k < SAMPLES; i += step, k++) {
        fprintf(v->file, " %.10g", (double)x[i]);
    }
    fputc('\n', v->file);
}

static void compare_line(const visitor *v, const char *name, const char *part, const real *x,
                         int64_t n)
{
    char line[LINE], want[64];
    snprintf(want, sizeof want, "%s %s ", name, part);
    rewind(v->file);
    do {
        if (!fgets(line, sizeof line, v->file)) {
            EXPECT(false, "%s has no line \"%s\": write it again", RECORDED, want);
            return;
        }
    } while (strncmp(line, want, strlen(want)) != 0);
    real got[SAMPLES], expected[SAMPLES];
    int64_t k = 0, step = sample_step(n);
    char *next = line + strlen(want);
    for (int64_t i = 0; i < n && k < SAMPLES; i += step, k++) {
        got[k] = x[i];
        expected[k] = (real)strtod(next, &next);
    }
    expect_close(want, got, expected, k, v->rtol, 1e-7);
}

typedef void visit_fn(const visitor *v, const char *name, const char *part, const real *x,
                      int64_t n);

/* Runs a case forwards and backwards (cotangents: uniform numbers) and visits all results. */
static void run_case(op_case *c, const visitor *v, visit_fn *visit)
{
    gradcheck_input inputs[OP_CASE_INPUTS];
    int n = op_case_inputs(c, inputs);
    tape *t = tape_new();
    tape_reset(t, true);
    tensor *leaf[OP_CASE_INPUTS];
    for (int i = 0; i < n; i++) {
        leaf[i] = tape_leaf(t, inputs[i].data, inputs[i].rank, inputs[i].shape, true);
    }
    tensor *y = op_case_build(t, leaf, c);
    int64_t count = tensor_count(y);
    real *cotangent = tape_keep(t, count, sizeof(real));
    fill_uniform(cotangent, count, 99);
    visit(v, c->name, "y", y->data, count);
    tape_seed(t, y, cotangent);
    tape_run_backward(t);
    for (int i = 0; i < n; i++) {
        EXPECT(leaf[i]->has_grad, "%s: no gradient of %s", c->name, inputs[i].name);
        if (leaf[i]->has_grad) {
            visit(v, c->name, inputs[i].name, leaf[i]->grad, tensor_count(leaf[i]));
        }
    }
    tape_free(t);
    op_case_free(n, inputs);
}

static void write_all(const char *path)
{
    visitor v = {.file = fopen(path, "w")};
    EXPECT(v.file, "cannot write %s", path);
    for (int i = 0; v.file && i < OP_CASE_COUNT; i++) {
        op_case c = OP_CASES[i];
        run_case(&c, &v, write_line);
    }
    if (v.file) fclose(v.file);
}

/* In float: sums have up to 130 terms, so about sqrt(130) roundings of 6e-8 each, through a few ops
 * in a row: 1e-5 of the tensor's rms. In double: the ten digits recorded. */
static void like_double(void)
{
    const char *path = getenv("LOCI_WRITE_OPS");
    if (path && REAL_IS_DOUBLE) write_all(path);
    visitor v = {.file = fopen(RECORDED, "r")};
    EXPECT(v.file, "cannot read %s: run the tests from the repository's root", RECORDED);
    for (int i = 0; v.file && i < OP_CASE_COUNT; i++) {
        op_case c = OP_CASES[i];
        if (!test_sub("%s", c.name)) continue;
        v.rtol = REAL_IS_DOUBLE ? 1e-8 : c.float_rtol > 0 ? c.float_rtol : 1e-5;
        run_case(&c, &v, compare_line);
    }
    if (v.file) fclose(v.file);
}

const test_suite test_op_float = {"core/op_float", {{"like_double/", like_double}, {0}}};
