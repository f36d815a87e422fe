#include "core/base/crew.h"

#include "core/ops/ops.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 40, HANDS = 4 };

typedef struct tally {
    atomic_int done[PARTS];
    atomic_int inside; /* of parts that called for help */
    atomic_int helped; /* of these, those that would have got some */
} tally;

static void nothing(void *arg, int part)
{
    (void)part;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void count_part(void *arg, int part)
{
    tally *t = arg;
    atomic_fetch_add(&t->done[part], 1);
    if (part % 7 != 0) return;
    if (crew_hands() > 1) atomic_fetch_add(&t->helped, 1);
    crew_run(nothing, &t->inside, 3);
}

/* Every part once, in each of many works on end and after helpers have gone to sleep. */
static void every_part_once(void)
{
    err e;
    crew *c = crew_new(HANDS, &e);
    EXPECT(c, "%s", e.text);
    EXPECT(crew_hands() == 1, "help that nobody asked for");
    crew_help(c);
    EXPECT(crew_hands() == HANDS, "%d hands", crew_hands());
    for (int round = 0; round < 2000; round++) {
        tally t = {0};
        int parts = round % (PARTS + 1), calls = (parts + 6) / 7;
        crew_run(count_part, &t, parts);
        for (int i = 0; i < PARTS; i++) {
            EXPECT(t.done[i] == (i < parts), "round %d: part %d of %d ran %d times", round, i,
                   parts, t.done[i]);
        }
        EXPECT(t.inside == 3 * calls, "round %d: %d parts inside", round, t.inside);
        /* One part alone is no sharing: what it does may be shared. */
        EXPECT(t.helped == (parts == 1), "round %d: %d parts of %d had help", round, t.helped,
               parts);
        if (round % 500 == 0) usleep(3000);
    }
    crew_help(NULL);
    crew_free(c);
    EXPECT(crew_hands() == 1, "%d hands of a crew that is gone", crew_hands());
}

/* ---- ops ---- */

enum { ROWS = 2, TIME = 160, WIDTH = 128, HIDDEN = 256, PARAMS = 4 * WIDTH * HIDDEN };

/* Rotary attention of grouped heads and a feed-forward part: y, and the gradients of x and all
 * weights, in out. All of it is large enough to be shared. */
static void block(real *out, real *x, real *w)
{
    tape *t = tape_new();
    tape_reset(t, true);
    int64_t all[] = {ROWS, TIME, WIDTH}, qkv_shape[] = {2 * WIDTH, WIDTH};
    int64_t up_shape[] = {HIDDEN, WIDTH}, down_shape[] = {WIDTH, HIDDEN};
    tensor *in = tape_leaf(t, x, 3, all, true);
    tensor *qkv_w = tape_leaf(t, w, 2, qkv_shape, true);
    tensor *up_w = tape_leaf(t, w + WIDTH * HIDDEN, 2, up_shape, true);
    tensor *down_w = tape_leaf(t, w + 2 * WIDTH * HIDDEN, 2, down_shape, true);
    tensor *qkv = op_linear(t, in, qkv_w, NULL);
    rotary_shape turn = {.heads = 6, .head_dim = 32, .first = -3, .theta = 1e4};
    qkv = op_rotary_inplace(t, qkv, &turn);
    attention_shape s = {
        .heads = 4, .kv_heads = 2, .head_dim = 32, .scale = (real)0.18, .causal = true};
    tensor *y = op_attention(t, (attention_operand){qkv, 0}, (attention_operand){qkv, WIDTH},
                             (attention_operand){qkv, WIDTH + 64}, &s);
    y = op_activation_linear(t, op_linear(t, y, up_w, NULL), ACT_GELU, down_w, NULL);
    tape_backward(t, op_sum(t, op_mul(t, y, y)), 1);
    tensor *grads[] = {in, qkv_w, up_w, down_w};
    memcpy(out, y->data, (size_t)tensor_count(y) * sizeof *out);
    out += tensor_count(y);
    for (int i = 0; i < 4; i++) {
        int64_t n = tensor_count(grads[i]);
        memcpy(out, grads[i]->grad, (size_t)n * sizeof *out);
        out += n;
    }
    tape_free(t);
}

/* Who computes a part changes no bit: with kernels of our own nor, in double, with BLAS. */
static void same_bits(void)
{
    enum { X = ROWS * TIME * WIDTH, ALL = 2 * X + 4 * WIDTH * HIDDEN };
    arena *a = arena_new(0);
    real *x = ARENA_NEW(a, real, X), *w = ARENA_NEW(a, real, PARAMS);
    real *alone = arena_push_zero(a, ALL, sizeof *alone);
    fill_uniform(x, X, 1);
    fill_uniform(w, PARAMS, 2);
    block(alone, x, w);
    for (int hands = 2; hands <= 5; hands++) {
        real *helped = arena_push_zero(a, ALL, sizeof *helped);
        err e;
        crew *c = crew_new(hands, &e);
        EXPECT(c, "%s", e.text);
        crew_help(c);
        block(helped, x, w);
        crew_help(NULL);
        crew_free(c);
        EXPECT(memcmp(alone, helped, ALL * sizeof *alone) == 0, "%d threads: other bits", hands);
    }
    arena_free(a);
}

const test_suite test_crew = {
    "core/crew", {{"every_part_once", every_part_once}, {"same_bits", same_bits}, {0}}};
