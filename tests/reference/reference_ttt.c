/* Reference cases of TTT-Linear and TTT-MLP: what is inside the layer `ttt`, for the vectors begin
 * at q, k, v. Run whole and cut into two calls that carry what was learned, inside a chunk and at
 * its end. */
#include "tests/reference/reference.h"

#include "core/ops/ops_recurrent.h"

#include <string.h>

enum { Q, K, V, COTANGENT, STREAMS };
static const char *const STREAM_NAMES[] = {"io:q", "io:k", "io:v", "cotangent"};
enum { GAIN, BIAS, W, B, W2, B2, FEATURES };
static const char *const FEATURE_NAMES[] = {"io:gain", "io:bias", "io:w", "io:b", "io:w2", "io:b2"};
static const char *const FEATURE_GRADS[] = {"grads:gain", "grads:bias", "grads:w",
                                            "grads:b",    "grads:w2",   "grads:b2"};
static const char *const STATES[] = {"", "", "state.w", "state.b", "state.w2", "state.b2"};

typedef struct ttt_case {
    int64_t rows, heads, time, dim, hidden; /* hidden 0: linear */
    int features;
    tape *tape;
    ttt_rule rule; /* all but q, k, v, lr, which are of a call */
    tensor *x[STREAMS], *lr;
} ttt_case;

/* [rows, heads, time, dim] as the op wants it, [rows, time, heads dim], or back. */
static void turn(real *to, const real *from, const ttt_case *s, int64_t dim, bool back)
{
    for (int64_t i = 0; i < s->rows * s->heads * s->time; i++) {
        int64_t at = i % s->time, head = i / s->time % s->heads, row = i / s->time / s->heads;
        int64_t place = ((row * s->time + at) * s->heads + head) * dim;
        memcpy(to + (back ? i * dim : place), from + (back ? place : i * dim),
               (size_t)dim * sizeof *to);
    }
}

static real *turned(reference_case *c, const real *from, const ttt_case *s, int64_t dim, bool back)
{
    real *to = ARENA_NEW(c->memory, real, s->rows * s->heads * s->time * dim);
    turn(to, from, s, dim, back);
    return to;
}

static int64_t tensor_count_of(reference_case *c, const char *name)
{
    const st_tensor *x = reference_get(c, name);
    int64_t count = 1;
    for (int i = 0; x && i < x->rank; i++) {
        count *= x->shape[i];
    }
    return count;
}

static ttt_case open_case(reference_case *c, tape *t)
{
    bool deep = reference_has(c, "io:w2");
    ttt_case s = {reference_size(c, "rows"),
                  reference_size(c, "heads"),
                  reference_size(c, "time"),
                  reference_size(c, "dim"),
                  deep ? reference_size(c, "hidden") : 0,
                  deep ? FEATURES : W2,
                  .tape = t};
    tape_reset(t, true);
    int64_t width = s.heads * s.dim, wide[] = {s.rows, s.time, width};
    for (int i = 0; i < STREAMS; i++) {
        real *x = turned(c, reference_real(c, STREAM_NAMES[i]), &s, s.dim, false);
        s.x[i] = tape_leaf(t, x, 3, wide, i != COTANGENT);
    }
    real *lr = turned(c, reference_real(c, "io:lr"), &s, 1, false);
    s.lr = tape_leaf(t, lr, 3, (int64_t[]){s.rows, s.time, s.heads}, true);
    tensor *f[FEATURES] = {NULL};
    for (int i = 0; i < s.features; i++) {
        int64_t shape[] = {tensor_count_of(c, FEATURE_NAMES[i])};
        f[i] = tape_leaf(t, reference_real(c, FEATURE_NAMES[i]), 1, shape, true);
    }
    s.rule = (ttt_rule){.pos = reference_leaf(c, t, "io:pos", true),
                        .gain = f[GAIN],
                        .bias = f[BIAS],
                        .w = f[W],
                        .b = f[B],
                        .w2 = f[W2],
                        .b2 = f[B2],
                        .heads = s.heads,
                        .hidden = s.hidden,
                        .chunk = reference_size(c, "chunk"),
                        .block = s.time,
                        .eps = (real)reference_number(c, "eps")};
    return s;
}

static const tensor *feature(const ttt_case *s, int i)
{
    const tensor *const list[FEATURES] = {s->rule.gain, s->rule.bias, s->rule.w,
                                          s->rule.b,    s->rule.w2,   s->rule.b2};
    return list[i];
}

/* The weights behind all: those of the start and what was learned. */
static void expect_state(reference_case *c, const ttt_case *s, const tensor *learned)
{
    int64_t at = 0, state = op_ttt_state(s->dim, s->hidden);
    for (int f = W; f < s->features; f++) {
        const tensor *start = feature(s, f);
        int64_t count = tensor_count(start) / s->heads;
        real *x = ARENA_NEW(c->memory, real, s->rows * s->heads * count);
        for (int64_t i = 0; i < s->rows * s->heads; i++) {
            for (int64_t k = 0; k < count; k++) {
                x[i * count + k] =
                    start->data[i % s->heads * count + k] + learned->data[i * state + at + k];
            }
        }
        reference_expect(c, STATES[f], x, "state");
        at += count;
    }
}

static void expect_gradients(reference_case *c, const ttt_case *s)
{
    static const char *const names[] = {"grads:q", "grads:k", "grads:v"};
    for (int i = 0; i < COTANGENT; i++) {
        reference_expect(c, names[i], turned(c, s->x[i]->grad, s, s->dim, true), "gradients");
    }
    reference_expect(c, "grads:lr", turned(c, s->lr->grad, s, 1, true), "gradients");
    reference_expect(c, "grads:pos", s->rule.pos->grad, "gradients");
    for (int i = 0; i < s->features; i++) {
        reference_expect(c, FEATURE_GRADS[i], feature(s, i)->grad, "gradients");
    }
}

/* Positions [0, cut) and the rest as two calls; cut 0: as one. */
static void check_cut(reference_case *c, int64_t cut)
{
    tape *t = tape_new();
    ttt_case s = open_case(c, t);
    tensor *part[2], *learned, *sum;
    int parts = cut > 0 ? 2 : 1;
    for (int i = 0; i < parts; i++) {
        int64_t first = i == 0 ? 0 : cut, end = i + 1 < parts ? cut : s.time;
        ttt_rule rule = s.rule;
        rule.q = op_slice(t, s.x[Q], 1, first, end);
        rule.k = op_slice(t, s.x[K], 1, first, end);
        rule.v = op_slice(t, s.x[V], 1, first, end);
        rule.lr = op_slice(t, s.lr, 1, first, end);
        rule.phase = first;
        rule.start = i == 0 ? NULL : learned;
        rule.sum = i == 0 ? NULL : sum;
        part[i] = op_ttt(t, &rule, &learned, &sum);
    }
    tensor *y = op_concat(t, parts, part, 1);
    reference_expect(c, "y", turned(c, y->data, &s, s.dim, true), "outputs");
    expect_state(c, &s, learned);
    tensor *loss = op_sum(t, op_mul(t, y, s.x[COTANGENT]));
    reference_expect(c, "loss", loss->data, "loss");
    tape_backward(t, loss, 1);
    expect_gradients(c, &s);
    tape_free(t);
}

static void check_ttt(reference_case *c)
{
    int64_t chunk = reference_size(c, "chunk");
    const int64_t cuts[] = {0, chunk, chunk + 2, 1, reference_size(c, "time") - 1};
    for (int i = 0; i < 5; i++) {
        check_cut(c, cuts[i]);
    }
}

const reference_entry REFERENCE_TTT[] = {{"ttt", NULL, check_ttt}, {NULL, NULL, NULL}};
