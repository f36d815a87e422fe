#include "core/ops/ops.h"
#include "harness/train/bad_number.h"
#include "tests/test.h"

#include <string.h>

/* z = x * big * big: with x small enough z is finite, and the gradient with respect to y = x * big,
 * which the later op makes, is big; that of x, which the earlier op makes, is infinite. Params: the
 * unused one comes first, as an embedding does. */
static void gradients_are_blamed_where_they_break(void)
{
    const real big = REAL_IS_DOUBLE ? (real)1e200 : (real)1e30;
    real values[2] = {1, 1 / big / big}, gradient[2] = {0, 0};
    param list[2] = {{.name = "embedding.weight", .offset = 0, .count = 1},
                     {.name = "late.weight", .offset = 1, .count = 1}};
    const params p = {.list = list, .count = 2, .total = 2};
    for (int is_param = 0; is_param < 2; is_param++) {
        bad_number b = {.params = &p, .values = values};
        tape *t = tape_new();
        tape_reset(t, true);
        int64_t shape[1] = {1};
        tensor *x = tape_param(t, values + 1, gradient + 1, 1, shape);
        tape_place(t, "early");
        if (!is_param) x = op_scale(t, x, 1);
        tensor *y = op_scale(t, x, big);
        tape_place(t, "late");
        tensor *z = op_scale(t, y, big);
        tape_watch(t, bad_number_watch, &b);
        tape_backward(t, tape_reshape(t, z, 0, NULL), 1);
        const char *expected =
            is_param ? "gradient of late.weight (op scale)" : "gradient in early (op scale)";
        EXPECT(strcmp(b.text, expected) == 0, "\"%s\", not \"%s\"", b.text, expected);
        tape_free(t);
    }
}

const test_suite test_bad_number = {
    "harness/bad_number",
    {{"gradients are blamed where they break", gradients_are_blamed_where_they_break}, {0}}};
