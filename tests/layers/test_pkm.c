/* Product-key memory against a search over all pairs; its gate; values that layers share. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { TIME = 5, WIDTH = 6, HALVES = 4, MEMORIES = HALVES * HALVES, HEADS = 2, TOP = 3, DIM = 4 };

/* y [WIDTH] of one position, by sorting all n^2 scores of each head. */
static void plain(layer_apply *a, const real *x, double *y)
{
    const real *query = layer_apply_param(a, "query.weight", NULL);
    const real *first = layer_apply_param(a, "keys.first", NULL);
    const real *second = layer_apply_param(a, "keys.second", NULL);
    const real *values = layer_apply_param(a, "values", NULL);
    memset(y, 0, WIDTH * sizeof *y);
    for (int h = 0; h < HEADS; h++) {
        double q[DIM] = {0}, score[MEMORIES] = {0}, sum = 0;
        int best[TOP];
        for (int i = 0; i < DIM * WIDTH; i++) {
            q[i / WIDTH] += (double)query[h * DIM * WIDTH + i] * (double)x[i % WIDTH];
        }
        for (int m = 0; m < MEMORIES; m++) {
            for (int d = 0; d < DIM / 2; d++) {
                int64_t at = (int64_t)h * HALVES * DIM / 2 + d;
                score[m] += q[d] * (double)first[at + m / HALVES * DIM / 2];
                score[m] += q[DIM / 2 + d] * (double)second[at + m % HALVES * DIM / 2];
            }
        }
        for (int k = 0; k < TOP; k++) {
            best[k] = -1;
            for (int m = 0; m < MEMORIES; m++) {
                bool taken = false;
                for (int j = 0; j < k; j++) {
                    taken |= best[j] == m;
                }
                if (!taken && (best[k] < 0 || score[m] > score[best[k]])) best[k] = m;
            }
            sum += exp(score[best[k]]);
        }
        for (int i = 0; i < TOP * WIDTH; i++) {
            int m = best[i / WIDTH];
            y[i % WIDTH] += exp(score[m]) / sum * (double)values[m * WIDTH + i % WIDTH];
        }
    }
}

/* (y * silu(x W_1^T)) W_2^T */
static void pass_gate(layer_apply *a, const real *x, double *y)
{
    const real *w1 = layer_apply_param(a, "gate.weight", NULL);
    const real *w2 = layer_apply_param(a, "out.weight", NULL);
    double through[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        double g = 0;
        for (int k = 0; k < WIDTH; k++) {
            g += (double)w1[i * WIDTH + k] * (double)x[k];
        }
        through[i] = y[i] * g / (1 + exp(-g));
    }
    for (int i = 0; i < WIDTH; i++) {
        y[i] = 0;
        for (int k = 0; k < WIDTH; k++) {
            y[i] += (double)w2[i * WIDTH + k] * through[k];
        }
    }
}

static void check_formula(const char *options, bool gate)
{
    layer_dims dims = {WIDTH, MODEL_RUN_VOCAB, 8, 0, 1, false};
    err e = {0};
    layer_apply *a = layer_apply_new("pkm", options, &dims, 1, NULL, &e);
    CHECK(a, "%s", e.text);
    real x[TIME * WIDTH], expected[TIME * WIDTH];
    fill_uniform(x, TIME * WIDTH, 1);
    fill_uniform(a->values, a->params.total, 2); /* larger than at the start: gates bend */
    layer_apply_call call = {.time = TIME, .x = x, .mode = MODE_EVAL};
    layer_apply_run(a, &call);
    for (int t = 0; t < TIME; t++) {
        double y[WIDTH];
        plain(a, x + t * WIDTH, y);
        if (gate) pass_gate(a, x + t * WIDTH, y);
        for (int i = 0; i < WIDTH; i++) {
            expected[t * WIDTH + i] = (real)y[i];
        }
    }
    /* A few dozen roundings of numbers of about 1. */
    expect_close(options, call.y->data, expected, TIME * WIDTH, REAL_IS_DOUBLE ? 1e-12 : 1e-5, 0);
    layer_apply_free(a);
}

static void formula(void)
{
    check_formula("{half_keys: 4, heads: 2, top: 3, key_dim: 4, query_norm: false}", false);
    check_formula("{half_keys: 4, heads: 2, top: 3, key_dim: 4, query_norm: false, gate: true}",
                  true);
}

/* ---- values of several layers ---- */

static int tables(const model_run *r, int64_t *elements)
{
    const params *p = model_params_const(r->model);
    int n = 0;
    *elements = p->total;
    for (int i = 0; i < p->count; i++) {
        n += strstr(p->list[i].name, "values") != NULL;
    }
    return n;
}

static model_run *two_layers(const char *first, const char *second, err *e)
{
    return model_run_format(1, e,
                            "{width: %d, context: 8, blocks: [{pkm: {half_keys: 4, top: 2, "
                            "memory_values: %s}}, {pkm: {%s, top: 2, memory_values: shared}}]}",
                            WIDTH, first, second);
}

static void shared(void)
{
    err e = {0};
    int64_t one, two;
    model_run *r = two_layers("shared", "half_keys: 4", &e);
    CHECK(r, "%s", e.text);
    EXPECT(tables(r, &one) == 1, "%d tables", tables(r, &one));
    EXPECT(params_find(model_params_const(r->model), "blocks.0.pkm.shared_values") >= 0, "name");
    const layer *const *layers;
    layer_memories m[2];
    CHECK(model_layers(r->model, &layers) == 2, "layers");
    for (int i = 0; i < 2; i++) {
        EXPECT(layers[i]->cls->memories(layers[i], &m[i]), "no memories");
    }
    EXPECT(m[0].values == m[1].values && m[0].values >= 0, "%d, %d", m[0].values, m[1].values);
    model_run_free(r);
    r = two_layers("own", "half_keys: 4", &e);
    CHECK(r, "%s", e.text);
    EXPECT(tables(r, &two) == 2 && two == one + MEMORIES * WIDTH, "%lld, %lld", (long long)one,
           (long long)two);
    model_run_free(r);
    r = two_layers("shared", "half_keys: 5", &e);
    EXPECT(!r && strstr(e.text, "blocks.0.pkm.shared_values holds 16"), "%s", e.text);
}

const test_suite test_pkm = {"layers/pkm", {{"formula", formula}, {"shared", shared}, {0}}};
