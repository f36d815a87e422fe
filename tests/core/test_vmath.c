/* The polynomials of core/ops/vmath.h against the C library in double. */
#include "core/ops/vmath.h"
#include "tests/test.h"

#include <math.h>

/* Worst |got - expected| / (|expected| + floor) of f over [low, high]. */
static double worst(real (*f)(real), double (*exact)(double), double low, double high, double floor)
{
    const int n = 200000;
    double most = 0;
    for (int i = 0; i <= n; i++) {
        real x = (real)(low + (high - low) * i / n);
        double y = exact((double)x), off = fabs((double)f(x) - y) / (fabs(y) + floor);
        if (!(off <= most)) most = off;
    }
    return most;
}

static real f_exp(real x)
{
    return vm_exp(x);
}
static real f_log(real x)
{
    return vm_log(x);
}
static real f_log1p(real x)
{
    return vm_log1p(x);
}
static real f_tanh(real x)
{
    return vm_tanh(x);
}
static real f_sigmoid(real x)
{
    return vm_sigmoid(x);
}
static real f_normal(real x)
{
    real density;
    return vm_normal(x, &density);
}
static real f_density(real x)
{
    real density;
    vm_normal(x, &density);
    return density;
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double exact_normal(double x)
{
    return erfc(-x * sqrt(0.5)) / 2;
}
static double exact_density(double x)
{
    return exp(-x * x / 2) / sqrt(2 * acos(-1.0));
}

/* Bounds in float: 1 unit in the last place is 1.2e-7 of the value. exp, log, log1p: 2 units. tanh
 * and sigmoid: 3 (a division on top). Phi: 8, and in its tail the rounding of x^2 / 2 is multiplied
 * by x^2 / 2 <= 40. In double the C library itself is called. */
static void close_to_exact(void)
{
    static const struct {
        const char *name;
        real (*f)(real);
        double (*exact)(double);
        double low, high, bound;
    } rows[] = {
        {"exp", f_exp, exp, -87, 88, 2.4e-7},
        {"exp", f_exp, exp, -1, 1, 2.4e-7},
        {"log", f_log, log, 1e-30, 4, 2.4e-7},
        {"log", f_log, log, 1, 1e30, 2.4e-7},
        {"log1p", f_log1p, log1p, 1e-6, 1, 2.4e-7},
        {"tanh", f_tanh, tanh, -12, 12, 3.6e-7},
        {"tanh", f_tanh, tanh, 1e-20, 1e-3, 3.6e-7},
        {"sigmoid", f_sigmoid, exact_sigmoid, -80, 20, 3.6e-7},
        {"normal", f_normal, exact_normal, -3, 8, 1e-6},
        {"normal", f_normal, exact_normal, -9, 0, 5e-6},
        {"density", f_density, exact_density, -9, 9, 5e-6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double off = worst(rows[i].f, rows[i].exact, rows[i].low, rows[i].high, 1e-37);
        EXPECT(off <= rows[i].bound, "%s on [%g, %g]: off by %.3g, allowed %.3g", rows[i].name,
               rows[i].low, rows[i].high, off, rows[i].bound);
    }
}

/* The loops below stay scalar or become vectors as the compiler likes; both must keep the limits.
 */
static void limits(void)
{
    const real inf = (real)INFINITY, nan = (real)NAN;
    EXPECT(vm_exp(inf) == inf && vm_exp(-inf) == 0, "%g, %g", (double)vm_exp(inf),
           (double)vm_exp(-inf));
    EXPECT(vm_exp(0) == 1 && vm_exp(1000) == inf && vm_exp(-1000) == 0, "%g", (double)vm_exp(0));
    EXPECT(vm_log(0) == -inf && vm_log(inf) == inf && vm_log(1) == 0, "%g", (double)vm_log(0));
    EXPECT(isnan(vm_log(-1)), "%g", (double)vm_log(-1));
    EXPECT(vm_tanh(inf) == 1 && vm_tanh(-inf) == -1 && vm_tanh(0) == 0, "%g", (double)vm_tanh(inf));
    EXPECT(vm_sigmoid(inf) == 1 && vm_sigmoid(-inf) == 0, "%g", (double)vm_sigmoid(-inf));
    EXPECT(f_normal(inf) == 1 && f_normal(-inf) < (real)1e-30, "%g", (double)f_normal(inf));
    real (*const all[])(real) = {f_exp, f_log, f_log1p, f_tanh, f_sigmoid, f_normal, f_density};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EXPECT(isnan(all[i](nan)), "function %zu of NaN is %g", i, (double)all[i](nan));
    }
}

const test_suite test_vmath = {"core/vmath",
                               {{"close_to_exact", close_to_exact}, {"limits", limits}, {0}}};
