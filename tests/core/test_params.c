#include "core/train/params.h"

#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t SHAPE[4] = {6, 4, 3, 1};

static void layout(void)
{
    arena *a = arena_new(0);
    params p;
    params_init(&p, a);
    for (int i = 0; i < 100; i++) { /* more than the first list holds */
        char name[32];
        snprintf(name, sizeof name, "p%d", i);
        int at = params_add(&p, name, ROLE_MATRIX, i % 4, SHAPE, (param_init){INIT_NORMAL, 1});
        EXPECT(at == i, "index %d", at);
    }
    p.list[1].pieces = 6;
    p.list[3].pieces = 3;
    params_seal(&p);
    int64_t end = 0, pieces = 0;
    for (int i = 0; i < p.count; i++) {
        const param *q = &p.list[i];
        EXPECT(q->offset % 16 == 0 && q->offset >= end, "%s at %lld", q->name,
               (long long)q->offset);
        EXPECT(q->first_piece == pieces, "%s: %lld", q->name, (long long)q->first_piece);
        end = q->offset + q->count;
        pieces += q->pieces;
    }
    EXPECT(p.total >= end && p.pieces == 107, "%lld %lld", (long long)p.total, (long long)p.pieces);
    EXPECT(params_elements(&p) == 25 * (1 + 6 + 24 + 72), "%lld", (long long)params_elements(&p));
    EXPECT(params_find(&p, "p77") == 77 && params_find(&p, "p100") == -1, "by name");
    p.list[3].active = 1. / 3;
    EXPECT(params_active(&p) == 25 * 103 - 48, "%lld", (long long)params_active(&p));
    arena_free(a);
}

/* Values depend on the seed and the name, not on what else there is; gaps are 0. */
static void start_depends_on_seed_and_name(void)
{
    arena *a = arena_new(0);
    params p, q;
    params_init(&p, a);
    params_init(&q, a);
    params_add(&p, "first", ROLE_MATRIX, 2, SHAPE, (param_init){INIT_NORMAL, 0.5});
    params_add(&p, "second", ROLE_MATRIX, 2, SHAPE, (param_init){INIT_NORMAL, 0.5});
    params_add(&q, "second", ROLE_MATRIX, 2, SHAPE, (param_init){INIT_NORMAL, 0.5});
    real x[64], y[64], z[64];
    memset(x, 1, sizeof x);
    params_start(&p, x, 1);
    params_start(&q, y, 1);
    params_start(&q, z, 2);
    EXPECT(memcmp(x + 32, y, 24 * sizeof *x) == 0, "%g %g", (double)x[32], (double)y[0]);
    EXPECT(memcmp(x, x + 32, 24 * sizeof *x) != 0, "two names, one stream");
    EXPECT(memcmp(y, z, 24 * sizeof *x) != 0, "two seeds, one stream");
    for (int i = 24; i < 32; i++) {
        EXPECT(x[i] <= 0 && x[i] >= 0, "gap %d holds %g", i, (double)x[i]);
    }
    arena_free(a);
}

static void kinds(void)
{
    arena *a = arena_new(0);
    params p;
    params_init(&p, a);
    const int64_t shape[1] = {3001};
    params_add(&p, "constant", ROLE_GAIN, 1, shape, (param_init){INIT_CONSTANT, 3});
    params_add(&p, "uniform", ROLE_MATRIX, 1, shape, (param_init){INIT_UNIFORM, 2});
    params_add(&p, "normal", ROLE_MATRIX, 1, shape, (param_init){INIT_NORMAL, 0.1});
    real *x = ARENA_NEW(a, real, p.total);
    params_start(&p, x, 4);
    double squares[3] = {0}, largest = 0;
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3001; i++) {
            double v = (double)x[p.list[k].offset + i];
            squares[k] += v * v / 3001;
            if (k == 1) largest = MAX(largest, fabs(v));
        }
    }
    /* Mean squares: 9; a^2/3 = 4/3, deviation a^2 sqrt(4/45/n) = 0.022; a^2 = 0.01, a^2 sqrt(2/n).
     */
    EXPECT(fabs(squares[0] - 9) < 1e-5, "%g", squares[0]);
    EXPECT(fabs(squares[1] - 4. / 3) < 5 * 0.022 && largest <= 2, "%g %g", squares[1], largest);
    EXPECT(fabs(squares[2] - 0.01) < 5 * 0.00026, "%g", squares[2]);
    arena_free(a);
}

/* The shorter side's vectors are orthonormal times a, in each matrix of a leading axis. The
 * products are of rounded values: n = 24 terms of size a^2/n, each off by one rounding. */
static void orthogonal(void)
{
    static const int64_t shapes[3][3] = {{2, 5, 24}, {2, 24, 5}, {1, 16, 16}};
    const double tolerance = REAL_IS_DOUBLE ? 1e-14 : 5e-6;
    for (int s = 0; s < 3; s++) {
        arena *a = arena_new(0);
        params p;
        params_init(&p, a);
        params_add(&p, "q", ROLE_MATRIX, 3, shapes[s], (param_init){INIT_ORTHOGONAL, 2});
        real *x = ARENA_NEW(a, real, p.total);
        params_start(&p, x, 4);
        int64_t rows = shapes[s][1], columns = shapes[s][2];
        int64_t vectors = MIN(rows, columns), length = MAX(rows, columns);
        int64_t along = rows <= columns ? 1 : columns, across = rows <= columns ? columns : 1;
        for (int64_t k = 0; k < shapes[s][0] * vectors * vectors; k++) {
            int64_t i = k / vectors % vectors, j = k % vectors;
            const real *m = x + k / (vectors * vectors) * rows * columns;
            double dot = 0;
            for (int64_t l = 0; l < length; l++) {
                dot += (double)m[i * across + l * along] * (double)m[j * across + l * along];
            }
            EXPECT(fabs(dot - (i == j ? 4 : 0)) < tolerance, "%lld %lld: %.9g", (long long)i,
                   (long long)j, dot);
        }
        EXPECT(shapes[s][0] == 1 || memcmp(x, x + rows * columns, 8) != 0, "equal matrices");
        arena_free(a);
    }
}

const test_suite test_params = {"core/params",
                                {{"layout", layout},
                                 {"start_depends_on_seed_and_name", start_depends_on_seed_and_name},
                                 {"kinds", kinds},
                                 {"orthogonal", orthogonal},
                                 {0}}};
