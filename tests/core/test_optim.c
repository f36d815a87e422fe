#include "core/train/optim.h"

#include "core/base/rng.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model with every case: matrices, vectors, experts in pieces, three axes, a long vector (several
 * ranges), a parameter that is frozen, one with its own rate, one without decay. */
typedef struct fixture {
    arena *memory;
    params p;
    optim_options o;
    optim *m;
    real *values;
    grads g;
} fixture;

static void declare(params *p)
{
    static const struct {
        const char *name;
        param_role role;
        int rank;
        int64_t shape[4], pieces;
    } all[] = {{"matrix.weight", ROLE_MATRIX, 2, {7, 5}, 1},
               {"vector.bias", ROLE_BIAS, 1, {11}, 1},
               {"experts.weight", ROLE_MATRIX, 3, {4, 6, 3}, 4},
               {"experts.bias", ROLE_BIAS, 2, {4, 6}, 4},
               {"cube.weight", ROLE_MATRIX, 3, {2, 3, 4}, 1},
               {"long.weight", ROLE_MATRIX, 2, {3, 9000}, 1},
               {"frozen.weight", ROLE_MATRIX, 2, {3, 3}, 1},
               {"slow.weight", ROLE_MATRIX, 2, {3, 5}, 1},
               {"undecayed.weight", ROLE_MATRIX, 2, {3, 5}, 1},
               {"table", ROLE_EMBEDDING, 2, {9, 4}, 1}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int at = params_add(p, all[i].name, all[i].role, all[i].rank, all[i].shape,
                            (param_init){INIT_NORMAL, 0.5});
        p->list[at].pieces = all[i].pieces;
    }
    params_seal(p);
}

static const char GROUPS[] =
    "groups: [{match: \"frozen.*\", freeze: true}, {match: \"slow.weigh?\", lr: 0.25}";
static const char DECAYS[] =
    ", {match: undecayed.weight, decay: false}, {match: table, decay: true}";

/* All behind the parameters, which are declared. */
static void open_optim(fixture *f, const char *text)
{
    err e = {0};
    const node *spec = node_parse(f->memory, text, strlen(text), "x.yaml", &e);
    CHECK(spec && optim_read(&f->o, spec, f->memory, &e), "%s", e.text);
    CHECK(optim_apply_groups(&f->p, &f->o, f->memory, &e), "%s", e.text);
    f->m = optim_new(&f->o, &f->p, &e);
    CHECK(f->m, "%s", e.text);
    f->values = ARENA_NEW(f->memory, real, f->p.total);
    f->g.values = arena_push_zero(f->memory, f->p.total, sizeof(real));
    f->g.has = arena_push_zero(f->memory, f->p.pieces, sizeof(bool));
    params_start(&f->p, f->values, 1);
}

static void setup(fixture *f, const char *options)
{
    *f = (fixture){.memory = arena_new(0)};
    char text[512];
    snprintf(text, sizeof text, "{%s, %s%s]}", options, GROUPS,
             strstr(options, "weight_decay") ? DECAYS : "");
    params_init(&f->p, f->memory);
    declare(&f->p);
    open_optim(f, text);
}

static void teardown(fixture *f)
{
    optim_free(f->m);
    arena_free(f->memory);
}

/* Gradients of a step; experts take turns. dense: those that have none hold zeros, else NaN. */
static void gradients(fixture *f, int step, bool dense)
{
    for (int i = 0; i < f->p.count; i++) {
        const param *q = &f->p.list[i];
        for (int64_t k = 0; k < q->pieces; k++) {
            bool has = q->pieces == 1 || (k == step % 2);
            f->g.has[q->first_piece + k] = dense || has;
            for (int64_t j = 0; j < q->count / q->pieces; j++) {
                int64_t at = q->offset + k * (q->count / q->pieces) + j;
                rng_key key = {.seed = 2, .step = (uint32_t)step};
                real g = (real)(0.1 * rng_normal(key, (uint64_t)at));
                f->g.values[at] = has ? g : dense ? 0 : (real)NAN;
            }
        }
    }
}

/* ---- the formulas of optim.h once more, in double, one element or one piece at a time ---- */

typedef struct reference {
    double *p, *m, *v, *g; /* [total] */
    double *r, *c;         /* adafactor: first factors of a piece lie at the piece's beginning */
} reference;

static double wd_of(const optim_options *o, const param *q)
{
    return o->weight_decay * q->decay_scale;
}

static void reference_element(reference *x, int64_t i, const optim_options *o, double lr, double wd,
                              int t)
{
    double g = x->g[i];
    if (o->kind == OPTIM_ADAMW) x->p[i] -= lr * wd * x->p[i];
    if (o->kind != OPTIM_ADAMW) g += wd * x->p[i];
    if (o->kind == OPTIM_SGD) {
        x->m[i] = o->momentum * x->m[i] + g;
        x->p[i] -= lr * (o->nesterov ? g + o->momentum * x->m[i] : x->m[i]);
        return;
    }
    x->m[i] = o->beta1 * x->m[i] + (1 - o->beta1) * g;
    x->v[i] = o->beta2 * x->v[i] + (1 - o->beta2) * g * g;
    double m = x->m[i] / (1 - pow(o->beta1, t)), v = x->v[i] / (1 - pow(o->beta2, t));
    x->p[i] -= lr * m / (sqrt(v) + o->eps);
}

/* begin: the piece; matrices of rows x columns in it. */
static void reference_adafactor(reference *x, int64_t begin, int64_t slabs, int64_t rows,
                                int64_t columns, const optim_options *o, double lr, double wd,
                                int t)
{
    int64_t n = slabs * rows * columns;
    double b2 = 1 - pow(t, -o->decay_power), *u = calloc((size_t)n, sizeof *u);
    double u_squares = 0, p_squares = 0;
    for (int64_t s = 0; s < slabs; s++) {
        int64_t at = begin + s * rows * columns;
        double *r = x->r + at, *c = x->c + at, sum_r = 0;
        for (int64_t i = 0; i < rows * columns; i++) {
            double q = x->g[at + i] * x->g[at + i] + o->eps1;
            if (i % columns == 0) r[i / columns] *= b2;
            if (i / columns == 0) c[i] *= b2;
            x->v[at + i] = b2 * x->v[at + i] + (1 - b2) * q;
        }
        for (int64_t i = 0; i < rows * columns; i++) {
            double q = x->g[at + i] * x->g[at + i] + o->eps1;
            r[i / columns] += (1 - b2) * q;
            c[i % columns] += (1 - b2) * q;
            sum_r += (1 - b2) * q;
        }
        sum_r = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum_r += r[i];
        }
        for (int64_t i = 0; i < rows * columns; i++) {
            double v = rows > 1 ? r[i / columns] * c[i % columns] / sum_r : x->v[at + i];
            u[s * rows * columns + i] = x->g[at + i] / sqrt(v);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        u_squares += u[i] * u[i];
        p_squares += x->p[begin + i] * x->p[begin + i];
    }
    double rho = lr, d = MAX(1, sqrt(u_squares / (double)n) / o->update_clip);
    double alpha = rho * (o->scale_parameter ? MAX(o->eps2, sqrt(p_squares / (double)n)) : 1);
    for (int64_t i = 0; i < n; i++) {
        x->p[begin + i] = x->p[begin + i] * (1 - rho * wd) - alpha * u[i] / d;
    }
    free(u);
}

static void reference_param(reference *x, const param *q, const optim_options *o, double lr, int t)
{
    double wd = wd_of(o, q);
    if (q->frozen) return;
    if (o->kind != OPTIM_ADAFACTOR) {
        for (int64_t i = 0; i < q->count; i++) {
            reference_element(x, q->offset + i, o, lr * q->lr_scale, wd, t);
        }
        return;
    }
    double rho = (o->relative_step ? MIN(lr, 1 / sqrt(t)) : lr) * q->lr_scale;
    int64_t size = q->count / q->pieces;
    bool expert_bias = strcmp(q->name, "experts.bias") == 0;
    int64_t columns = q->shape[q->rank - 1],
            rows = q->rank > 1 && !expert_bias ? q->shape[q->rank - 2] : 1;
    for (int64_t k = 0; k < q->pieces; k++) {
        reference_adafactor(x, q->offset + k * size, size / (rows * columns), rows, columns, o, rho,
                            wd, t);
    }
}

static double reference_clip(reference *x, const params *p, const optim_options *o, double *norm)
{
    double squares = 0;
    for (int i = 0; i < p->count; i++) {
        for (int64_t j = 0; j < p->list[i].count && !p->list[i].frozen; j++) {
            squares += x->g[p->list[i].offset + j] * x->g[p->list[i].offset + j];
        }
    }
    *norm = sqrt(squares);
    return o->clip > 0 ? MIN(1, o->clip / (*norm + 1e-6)) : 1;
}

static void follows_the_formulas(void)
{
    static const char *const cases[] = {
        "kind: adamw, lr: 1e-2, weight_decay: 0.1, clip: 3, beta2: 0.95",
        "kind: adam, lr: 1e-2, weight_decay: 0.1, clip: 0, eps: 1e-3",
        "kind: sgd, lr: 1e-1, weight_decay: 0.1",
        "kind: sgd, lr: 1e-1, momentum: 0.5, nesterov: true",
        "kind: sgd, lr: 1e-1, momentum: 0, weight_decay: 0.1",
        "kind: adafactor, lr: 1e-2, clip: 0",
        "kind: adafactor, lr: 5e-1, weight_decay: 0.1, scale_parameter: false, update_clip: 0.5",
        "kind: adafactor, lr: 3e-2, relative_step: false, decay_power: 0.5, eps1: 1e-8"};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        if (!test_sub("%s", cases[c])) continue;
        fixture f;
        setup(&f, cases[c]);
        size_t n = (size_t)f.p.total;
        double *memory = calloc(6 * n, sizeof *memory);
        reference x = {memory,         memory + n,     memory + 2 * n,
                       memory + 3 * n, memory + 4 * n, memory + 5 * n};
        for (size_t i = 0; i < n; i++) {
            x.p[i] = (double)f.values[i];
        }
        for (int t = 1; t <= 6; t++) {
            gradients(&f, t, true);
            for (size_t i = 0; i < n; i++) {
                x.g[i] = (double)f.g.values[i];
            }
            double norm, scale = reference_clip(&x, &f.p, &f.o, &norm),
                         lr = f.o.lr * (t == 3 ? 0.5 : 1);
            gradients(&f, t, false);
            optim_report report = optim_step(f.m, f.values, &f.g, lr, NULL);
            EXPECT(!report.bad && fabs(report.norm - norm) < 1e-9 * norm, "%.12g, not %.12g",
                   report.norm, norm);
            EXPECT(fabs(report.scale - scale) < 1e-9, "%.12g, not %.12g", report.scale, scale);
            for (size_t i = 0; i < n; i++) {
                x.g[i] *= scale;
            }
            for (int i = 0; i < f.p.count; i++) {
                reference_param(&x, &f.p.list[i], &f.o, lr, t);
            }
        }
        EXPECT(optim_steps(f.m) == 6, "%lld", (long long)optim_steps(f.m));
        real *expected = ARENA_NEW(f.memory, real, f.p.total);
        for (size_t i = 0; i < n; i++) {
            expected[i] = (real)x.p[i];
        }
        for (int i = 0; i < f.p.count; i++) {
            /* Six steps of about ten roundings each, on values of size 1 with updates of up to 0.6.
             */
            const param *q = &f.p.list[i];
            expect_close(q->name, f.values + q->offset, expected + q->offset, q->count,
                         REAL_IS_DOUBLE ? 1e-13 : 2e-6, REAL_IS_DOUBLE ? 1e-14 : 2e-6);
        }
        free(memory);
        teardown(&f);
    }
}

static const char *const KINDS[] = {
    "kind: adamw, weight_decay: 0.1", "kind: adam, weight_decay: 0.1",
    "kind: adafactor, weight_decay: 0.1", "kind: sgd, weight_decay: 0.1", "kind: sgd, momentum: 0"};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

static void run_steps(fixture *f, int from, int to, bool dense, lanes *pool)
{
    for (int t = from; t < to; t++) {
        gradients(f, t, dense);
        optim_step(f->m, f->values, &f->g, 0.01, pool);
    }
}

static void expect_equal(const fixture *a, const fixture *b, const char *what)
{
    EXPECT(memcmp(a->values, b->values, (size_t)a->p.total * sizeof(real)) == 0, "%s", what);
}

static void threads_give_equal_bits(void)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        fixture one, many;
        setup(&one, KINDS[k]);
        run_steps(&one, 0, 5, false, NULL);
        for (int threads = 2; threads <= 4; threads++) {
            setup(&many, KINDS[k]);
            lanes *pool = lanes_new(1, threads, NULL, NULL);
            run_steps(&many, 0, 5, false, pool);
            expect_equal(&one, &many, KINDS[k]);
            lanes_free(pool);
            teardown(&many);
        }
        teardown(&one);
    }
}

/* Experts 2 and 3 never have gradient, 0 and 1 in turns: the same bits as with zeros written out.
 */
static void missing_gradients_are_zeros(void)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        fixture sparse, dense;
        setup(&sparse, KINDS[k]);
        setup(&dense, KINDS[k]);
        run_steps(&sparse, 0, 5, false, NULL);
        run_steps(&dense, 0, 5, true, NULL);
        expect_equal(&sparse, &dense, KINDS[k]);
        teardown(&sparse);
        teardown(&dense);
    }
}

static void lazy_leaves_pieces_alone(void)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        char options[128];
        bool plain = strcmp(KINDS[k], "kind: sgd, momentum: 0") == 0; /* does so anyway */
        snprintf(options, sizeof options, "%s%s", KINDS[k], plain ? "" : ", lazy: true");
        fixture f, start;
        setup(&f, options);
        setup(&start, options);
        run_steps(&f, 0, 1, false, NULL); /* only expert 0 */
        const param *q = &f.p.list[2];
        int64_t size = q->count / q->pieces;
        const real *x = f.values + q->offset, *before = start.values + q->offset;
        EXPECT(memcmp(x, before, (size_t)size * sizeof *x) != 0, "%s: expert 0 stayed", KINDS[k]);
        EXPECT(memcmp(x + size, before + size, (size_t)(3 * size) * sizeof *x) == 0,
               "%s: others moved", KINDS[k]);
        real after[18];
        memcpy(after, x, sizeof after);
        run_steps(&f, 1, 2, false, NULL); /* only expert 1 */
        EXPECT(memcmp(x, after, sizeof after) == 0, "%s: expert 0 moved without gradient",
               KINDS[k]);
        teardown(&f);
        teardown(&start);
    }
}

/* A not finite gradient changes nothing and is named; a frozen parameter's is never looked at. */
static void not_finite(void)
{
    fixture f, untouched;
    setup(&f, "kind: adamw");
    setup(&untouched, "kind: adamw");
    const param *frozen = &f.p.list[6], *cube = &f.p.list[4];
    for (int i = 0; i < 2; i++) {
        gradients(&f, 0, true);
        f.g.values[cube->offset + 5] = (real)(i ? NAN : INFINITY);
        optim_report report = optim_step(f.m, f.values, &f.g, 0.01, NULL);
        EXPECT(report.bad && strcmp(report.bad, "cube.weight") == 0 && !isfinite(report.norm),
               "%s %g", report.bad ? report.bad : "none", report.norm);
        expect_equal(&f, &untouched, "values changed");
        EXPECT(optim_steps(f.m) == 0, "%lld", (long long)optim_steps(f.m));
    }
    gradients(&f, 0, true);
    f.g.values[frozen->offset] = (real)NAN;
    optim_report report = optim_step(f.m, f.values, &f.g, 0.01, NULL);
    EXPECT(!report.bad, "%s", report.bad ? report.bad : "");
    EXPECT(memcmp(f.values + frozen->offset, untouched.values + frozen->offset, 9 * sizeof(real)) ==
               0,
           "frozen parameter moved");
    teardown(&f);
    teardown(&untouched);
}

static void saved_and_loaded(void)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        fixture whole, first, second;
        setup(&whole, KINDS[k]);
        setup(&first, KINDS[k]);
        setup(&second, KINDS[k]);
        run_steps(&whole, 0, 6, false, NULL);
        run_steps(&first, 0, 3, false, NULL);
        memcpy(second.values, first.values, (size_t)first.p.total * sizeof(real));
        optim_view from[8], to[8];
        int n = optim_views(first.m, from, 8);
        EXPECT(n >= 2 && n == optim_views(second.m, to, 8) && optim_views(first.m, NULL, 0) == n,
               "%d", n);
        int64_t bytes = 0;
        for (int i = 0; i < n; i++) {
            size_t size = (size_t)from[i].count * (size_t)safetensors_dtype_bits(from[i].dtype) / 8;
            memcpy(to[i].data, from[i].data, size);
            if (from[i].dtype == ST_REAL) bytes += (int64_t)size;
        }
        EXPECT(bytes == optim_bytes(&first.o, &first.p), "%lld", (long long)bytes);
        err e = {0};
        EXPECT(optim_loaded(second.m, &e), "%s", e.text);
        run_steps(&second, 3, 6, false, NULL);
        expect_equal(&whole, &second, KINDS[k]);
        ((unsigned char *)to[1].data)[0] = 9;
        EXPECT(!optim_loaded(second.m, &e) && strstr(e.text, "damaged"), "%s", e.text);
        teardown(&whole);
        teardown(&first);
        teardown(&second);
    }
}

/* ---- a table by rows ---- */

enum { ENTRIES = 700, WIDTH = 3 };

static void setup_table(fixture *f, const char *options, bool by_rows)
{
    *f = (fixture){.memory = arena_new(0)};
    params_init(&f->p, f->memory);
    params_add(&f->p, "table", ROLE_EMBEDDING, 2, (int64_t[]){ENTRIES, WIDTH},
               (param_init){INIT_NORMAL, 0.5});
    f->p.list[0].by_rows = by_rows;
    f->p.list[0].pieces = by_rows ? 1 : ENTRIES;
    params_seal(&f->p);
    open_optim(f, options);
    EXPECT(f->p.row_tables == by_rows, "%s: %d tables", options, f->p.row_tables);
}

/* Gradients of a step for both, some rows several times. */
static void draw_rows(row_grads *rows, grads *pieces, int step)
{
    rows->count = 0;
    memset(pieces->has, 0, ENTRIES);
    memset(pieces->values, 0, ENTRIES * WIDTH * sizeof(real));
    for (uint32_t i = 0; i < 900; i++) {
        rng_key key = {.seed = 4, .step = (uint32_t)step, .row = i};
        int32_t row = (int32_t)rng_below(key, 0, ENTRIES);
        real g[WIDTH];
        for (int c = 0; c < WIDTH; c++) {
            g[c] = (real)rng_normal(key, (uint64_t)(1 + c));
            pieces->values[row * WIDTH + c] += g[c];
        }
        pieces->has[row] = true;
        row_grads_push(rows, &row, g, 1);
    }
}

/* By rows, and in as many pieces as there are rows: what has no gradient is left alone in both, so
 * that they are one rule, to the bit. */
static void rows_are_lazy_pieces(void)
{
    static const char *const kinds[] = {"{kind: adamw, lazy: true, clip: 0}",
                                        "{kind: adam, lazy: true, clip: 0}",
                                        "{kind: sgd, momentum: 0, clip: 0}"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        fixture by_rows, pieces;
        row_grads rows = {.width = WIDTH};
        setup_table(&by_rows, kinds[k], true);
        setup_table(&pieces, kinds[k], false);
        by_rows.g.rows = &rows;
        for (int step = 0; step < 6; step++) {
            draw_rows(&rows, &pieces.g, step);
            optim_report a = optim_step(by_rows.m, by_rows.values, &by_rows.g, 0.1, NULL);
            optim_report b = optim_step(pieces.m, pieces.values, &pieces.g, 0.1, NULL);
            EXPECT(fabs(a.norm - b.norm) <= 1e-6 * b.norm, "%s: norms %g and %g", kinds[k], a.norm,
                   b.norm);
        }
        EXPECT(memcmp(by_rows.values, pieces.values, ENTRIES * WIDTH * sizeof(real)) == 0,
               "%s: by rows is another rule", kinds[k]);
        row_grads_push(&rows, (int32_t[]){ENTRIES - 1}, (real[]){1, (real)NAN, 1}, 1);
        optim_report bad = optim_step(by_rows.m, by_rows.values, &by_rows.g, 0.1, NULL);
        EXPECT(bad.bad && strcmp(bad.bad, "table") == 0, "%s: a NaN passes", kinds[k]);
        row_grads_deinit(&rows);
        teardown(&by_rows);
        teardown(&pieces);
    }
}

const test_suite test_optim = {"core/optim",
                               {{"follows_the_formulas/", follows_the_formulas},
                                {"threads_give_equal_bits", threads_give_equal_bits},
                                {"missing_gradients_are_zeros", missing_gradients_are_zeros},
                                {"lazy_leaves_pieces_alone", lazy_leaves_pieces_alone},
                                {"rows_are_lazy_pieces", rows_are_lazy_pieces},
                                {"not_finite", not_finite},
                                {"saved_and_loaded", saved_and_loaded},
                                {0}}};
