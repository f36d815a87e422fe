#include "tests/support/model_check.h"

#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VOCAB = MODEL_RUN_VOCAB, ROWS = CHECK_ROWS, LENGTH = CHECK_LENGTH, PREFIX = CHECK_PREFIX };
enum { CALL_A = 6, CALL_B = 5 };

void segment_init(segment *s, model_run *r)
{
    fill_tokens(s->tokens, ROWS * LENGTH, 3);
    fill_tokens(s->targets, ROWS * LENGTH, 4);
    s->tokens[PREFIX + CALL_A] = VOCAB; /* the start token */
    for (int i = 0; i < ROWS * LENGTH; i++) {
        s->weights[i] = (real)(i % 5 == 3 ? 0 : 0.5 + 0.25 * (i % 3));
    }
    model_state_clear(r->state);
    model_run_read(r, s->tokens, LENGTH, 0, PREFIX, NULL);
    s->views = model_state_views(r->state, s->view, CHECK_VIEWS);
    for (int i = 0; i < s->views; i++) {
        int64_t n = s->view[i].shape[0] * s->view[i].shape[1] * s->view[i].shape[2];
        real *copy = ARENA_NEW(r->memory, real, n);
        memcpy(copy, s->view[i].data, (size_t)n * sizeof(real));
        s->view[i].data = copy;
    }
    memcpy(s->positions, model_state_positions(r->state), sizeof s->positions);
}

void segment_restore(const segment *s, model_state *state)
{
    err e;
    model_state_clear(state);
    for (int i = 0; i < s->views; i++) {
        bool ok =
            model_state_restore(state, s->view[i].name, s->view[i].shape, s->view[i].data, &e);
        CHECK(ok, "%s", e.text);
    }
    memcpy(model_state_positions(state), s->positions, sizeof s->positions);
    memcpy(model_state_documents(state), s->positions, sizeof s->positions);
}

/* Which experts were chosen, as a hash: where it changes, the loss jumps. */
static void see_routing(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    uint64_t *routing = user;
    if (strcmp(name, "expert") != 0 && strcmp(name, "served") != 0) return;
    for (int64_t i = 0; i < tensor_count(x); i++) {
        *routing = (*routing ^ (uint64_t)((int64_t)x->data[i] + 2)) * 0x100000001B3u;
    }
}

static model_result one_call(const segment *s, model_state *state, int64_t time, int64_t at,
                             uint64_t *routing)
{
    /* The arrays are read as [rows, time] from `at` on: what they hold does not matter. */
    model_call call = {.time = time,
                       .tokens = s->tokens + at,
                       .targets = s->targets + at,
                       .weights = s->weights + at,
                       .total_weight = 7,
                       .mode = MODE_TRAIN,
                       .seed = 5,
                       .watch = {.tap = see_routing, .user = routing}};
    return model_forward(state, &call);
}

double segment_routed_loss(const segment *s, model_state *state, tape *t, const real *values,
                           grads *g, uint64_t *routing)
{
    *routing = 0;
    segment_restore(s, state);
    model_begin(state, t, values, g);
    tensor *a = one_call(s, state, CALL_A, PREFIX, routing).loss;
    model_state_reset_row(state, 1, 0); /* both rows stand at the beginning of a block */
    tensor *b = one_call(s, state, CALL_B, PREFIX + CALL_A, routing).loss;
    tensor *loss = op_add(t, a, b);
    double value = (double)*loss->data;
    if (g) tape_backward(t, loss, 1);
    model_end(state);
    return value;
}

double segment_loss(const segment *s, model_state *state, tape *t, const real *values, grads *g)
{
    uint64_t routing;
    return segment_routed_loss(s, state, t, values, g, &routing);
}

/* ---- gradients ---- */

typedef struct frozen {
    const segment *s;
    model_run *r;
    double loss;
    uint64_t routing; /* the experts that were chosen */
} frozen;

/* NaN where experts are chosen otherwise: gradients hold for frozen choices. */
static double frozen_loss(void *user)
{
    const frozen *f = user;
    model_run *r = f->r;
    uint64_t now;
    double loss = segment_routed_loss(f->s, r->state, r->tape, r->values, NULL, &now);
    return now == f->routing ? loss : (double)NAN;
}

static double rms(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum / (double)n);
}

/* What a difference may be off by its rounding: 18/12 of the loss's own, a few eps, over the step.
 */
static double rounding_of(const frozen *f, double step)
{
    return 1.5 * 4 * DBL_EPSILON * MAX(1, fabs(f->loss)) / step;
}

/* Expects the gradient of *x to be that of the differences, but for 1e-6 of `size` and what the
 * differences may be off. Their truncation h^4 L(5) / 30 is unknown: a kink (relu) may lie within
 * the step, or a unit vector turn fast whose origin is short. So smaller steps are tried for as
 * long as the differences do not agree among themselves. */
static void check_gradient(const char *what, const char *name, int64_t k, frozen *f, real *x,
                           double gradient, double size)
{
    static const double steps[] = {1e-4, 1e-6, 1e-7};
    double numeric = 0, before = (double)NAN;
    for (int i = 0; i < 3; i++, before = numeric) {
        double step = steps[i] * MAX(1, fabs((double)*x));
        double limit = 1e-6 * size + rounding_of(f, step);
        numeric = five_point(frozen_loss, f, x, step);
        if (fabs(gradient - numeric) <= limit) return;
        if (fabs(before - numeric) <= limit) break;
    }
    EXPECT(isnan(numeric), "%s: %s[%lld]: gradient %.12g, difference %.12g", what, name,
           (long long)k, gradient, numeric);
}

/* The piece (expert) with the largest gradient; -1: none has any. */
static int64_t used_piece(const model_run *r, const param *q)
{
    int64_t size = q->count / q->pieces, best = -1;
    double largest = -1;
    for (int64_t k = 0; k < q->pieces; k++) {
        if (!r->grads.has[q->first_piece + k]) continue;
        double now = rms(r->grads.values + q->offset + k * size, size);
        if (now > largest) {
            largest = now;
            best = k;
        }
    }
    return best;
}

bool model_unreset(const model *m)
{
    const layer *const *layers;
    int count = model_layers(m, &layers);
    for (int i = 0; i < count; i++) {
        if (layers[i]->unreset) return true;
    }
    return model_head(m)->unreset;
}

static bool model_detached(const model *m)
{
    const layer *const *layers;
    int count = model_layers(m, &layers);
    for (int i = 0; i < count; i++) {
        if (layers[i]->detached) return true;
    }
    return model_head(m)->detached;
}

void check_gradients(const char *what, model_run *r)
{
    if (model_detached(r->model)) return;
    segment s;
    segment_init(&s, r);
    frozen f = {.s = &s, .r = r};
    f.loss = segment_routed_loss(&s, r->state, r->tape, r->values, &r->grads, &f.routing);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (q->frozen) continue;
        int64_t size = q->count / q->pieces, used = used_piece(r, q);
        if (used < 0) continue;
        const real *grad = r->grads.values + q->offset;
        double scale = rms(grad + used * size, size);
        int64_t stride = MAX(1, size / 5);
        for (int64_t k = used * size; k < (used + 1) * size; k += stride) {
            check_gradient(what, q->name, k, &f, r->values + q->offset + k, (double)grad[k], scale);
        }
    }
}

/* A state that is never reset starts once, before the segment; a memory of 64 never overflows. */
static bool goes_unused(const model_run *r, const char *what, const param *q)
{
    if (model_unreset(r->model) && q->role == ROLE_STATE) return true;
    /* A router that may pick all there is has nothing to learn. */
    bool all = !strstr(what, "picks") || strcmp(what, "{picks: 64}") == 0;
    if (all && strstr(q->name, ".routed_memory.router.")) return true;
    if (strcmp(what, "{memory: 64}") != 0) return false;
    return strstr(q->name, ".compress_") || strstr(q->name, ".lookup.");
}

void check_reached(const char *what, model_run *r)
{
    segment s;
    segment_init(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        /* The bias of a t5 bucket far away, or an expert, may go unused: look at the whole. */
        if (q->frozen || goes_unused(r, what, q)) continue;
        int64_t size = q->count / q->pieces, used = used_piece(r, q);
        EXPECT(used >= 0 && rms(r->grads.values + q->offset + used * size, size) > 0,
               "%s: no gradient for %s", what, q->name);
    }
}

/* ---- cuts ---- */

void read_in_cuts(model_run *r, const int32_t *tokens, int64_t cut, real *logits)
{
    model_state_clear(r->state);
    for (int64_t at = 0; at < LENGTH; at += cut) {
        model_run_read(r, tokens, LENGTH, at, MIN(cut, LENGTH - at), logits);
    }
}

/* Nothing is added in an order that a cut changes: rotary positions are counted from a call's first
 * key, and some layers add over chunks of a call. In float: BLAS, in double, has no such rows. */
static bool same_to_the_bit(const char *what, const model *m)
{
    static const char *const whole_rows[] = {"ffn",  "base_ffn", "hash_ffn", "switch_ffn",
                                             "lstm", "pkm",      NULL};
    bool by_offset = strstr(what, "positions: alibi") || strstr(what, "positions: t5");
    const layer *const *layers;
    int count = model_layers(m, &layers);
    for (int i = 0; i < count; i++) {
        const char *name = layers[i]->cls->name;
        bool same = by_offset && strcmp(name, "attention") == 0;
        for (int j = 0; whole_rows[j]; j++) {
            same |= strcmp(name, whole_rows[j]) == 0;
        }
        if (!same) return false;
    }
    return !REAL_IS_DOUBLE;
}

void check_cuts(const char *what, model_run *r)
{
    if (model_whole_call(r->model)) return;
    static real whole[ROWS * LENGTH * VOCAB], cut[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 8);
    tokens[0] = tokens[LENGTH] = VOCAB;
    read_in_cuts(r, tokens, LENGTH, whole);
    const int64_t cuts[] = {1, 3, CHECK_BLOCK, 7};
    for (int i = 0; i < 4; i++) {
        read_in_cuts(r, tokens, cuts[i], cut);
        /* Same sums in other orders: double 1e-9 with room for exp; float: its eps is 2^29 times
         * double's, a few hundred operations deep. */
        double tolerance = REAL_IS_DOUBLE ? 1e-9 : 5e-5;
        char by[240];
        snprintf(by, sizeof by, "%s by %lld", what, (long long)cuts[i]);
        expect_close(by, cut, whole, ROWS * LENGTH * VOCAB, tolerance, tolerance);
        if (same_to_the_bit(what, r->model)) {
            EXPECT(memcmp(cut, whole, sizeof cut) == 0, "%s: other bits", by);
        }
    }
}
