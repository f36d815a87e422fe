/* Reference cases of TTT-Linear: what is inside the layer `ttt`, for the vectors begin at q, k, v.
 * Run whole and cut into two calls that carry what was learned, inside a chunk and at its end. */
#include "tests/reference/reference.h"

#include "core/ops/ops_recurrent.h"

#include <string.h>

enum { Q, K, V, COTANGENT, STREAMS };
static const char *const STREAM_NAMES[] = {"io:q", "io:k", "io:v", "cotangent"};
enum { GAIN, BIAS, W, B, FEATURES };
static const char *const FEATURE_NAMES[] = {"io:gain", "io:bias", "io:w", "io:b"};
static const char *const FEATURE_GRADS[] = {"grads:gain", "grads:bias", "grads:w", "grads:b"};

typedef struct ttt_case {
    int64_t rows, heads, time, dim;
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

static ttt_case open_case(reference_case *c, tape *t)
{
    ttt_case s = {reference_size(c, "rows"), reference_size(c, "heads"), reference_size(c, "time"),
                  reference_size(c, "dim"), .tape = t};
    tape_reset(t, true);
    int64_t width = s.heads * s.dim, wide[] = {s.rows, s.time, width};
    for (int i = 0; i < STREAMS; i++) {
        real *x = turned(c, reference_real(c, STREAM_NAMES[i]), &s, s.dim, false);
        s.x[i] = tape_leaf(t, x, 3, wide, i != COTANGENT);
    }
    real *lr = turned(c, reference_real(c, "io:lr"), &s, 1, false);
    s.lr = tape_leaf(t, lr, 3, (int64_t[]){s.rows, s.time, s.heads}, true);
    tensor *f[FEATURES];
    for (int i = 0; i < FEATURES; i++) {
        int64_t shape[] = {width, i == W ? s.dim : 1};
        f[i] = tape_leaf(t, reference_real(c, FEATURE_NAMES[i]), 2, shape, true);
    }
    s.rule = (ttt_rule){.pos = reference_leaf(c, t, "io:pos", true),
                        .gain = f[GAIN],
                        .bias = f[BIAS],
                        .w = f[W],
                        .b = f[B],
                        .heads = s.heads,
                        .chunk = reference_size(c, "chunk"),
                        .block = s.time,
                        .eps = (real)reference_number(c, "eps")};
    return s;
}

/* W and b behind all: those of the start and what was learned. */
static void expect_state(reference_case *c, const ttt_case *s, const tensor *learned)
{
    int64_t square = s->dim * s->dim, state = square + s->dim;
    real *w = ARENA_NEW(c->memory, real, s->rows * s->heads * square);
    real *b = ARENA_NEW(c->memory, real, s->rows * s->heads * s->dim);
    for (int64_t i = 0; i < s->rows * s->heads; i++) {
        int64_t head = i % s->heads;
        for (int64_t k = 0; k < state; k++) {
            bool of_w = k < square;
            real start = of_w ? s->rule.w->data[head * square + k]
                              : s->rule.b->data[head * s->dim + k - square];
            real *to = of_w ? w + i * square + k : b + i * s->dim + k - square;
            *to = start + learned->data[i * state + k];
        }
    }
    reference_expect(c, "state.w", w, "state");
    reference_expect(c, "state.b", b, "state");
}

static void expect_gradients(reference_case *c, const ttt_case *s)
{
    static const char *const names[] = {"grads:q", "grads:k", "grads:v"};
    for (int i = 0; i < COTANGENT; i++) {
        reference_expect(c, names[i], turned(c, s->x[i]->grad, s, s->dim, true), "gradients");
    }
    reference_expect(c, "grads:lr", turned(c, s->lr->grad, s, 1, true), "gradients");
    reference_expect(c, "grads:pos", s->rule.pos->grad, "gradients");
    const tensor *const features[] = {s->rule.gain, s->rule.bias, s->rule.w, s->rule.b};
    for (int i = 0; i < FEATURES; i++) {
        reference_expect(c, FEATURE_GRADS[i], features[i]->grad, "gradients");
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
