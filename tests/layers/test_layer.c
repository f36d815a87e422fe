/* The parts of the contract that memory layers use: parameters in pieces, stores, links, auxiliary
 * losses, metrics, keys of random numbers. Shown with a layer made for it; slots of the segment
 * with the one that has some. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <string.h>

enum { WIDTH = 3, EXPERTS = 4, ROWS = 2, TIME = 2 };

typedef struct probe_options {
    int64_t expert;
} probe_options;

static const option OPTIONS[] = {{"expert", OPTION_INT, offsetof(probe_options, expert),
                                  .initial = "1", .min = 0, .max = EXPERTS - 1, .help = "used"},
                                 {0}};

typedef struct probe_plan {
    int slot, gain; /* found by name */
    rng_key key;
} probe_plan;

static void probe_build(layer_build *b, layer *self)
{
    layer_param(b, self, "experts", ROLE_MATRIX, 3, (int64_t[]){EXPERTS, WIDTH, WIDTH},
                (param_init){INIT_NORMAL, 1});
    layer_last_param(b)->pieces = EXPERTS;
    layer_last_param(b)->active = 1.0 / EXPERTS;
    layer_vector(b, self, "gain", ROLE_GAIN, WIDTH, 1);
    int64_t n = 2;
    real *table = ARENA_NEW(b->memory, real, n);
    table[0] = 5, table[1] = 6;
    layer_param(b, self, "table", ROLE_TABLE, 1, &n, (param_init){INIT_GIVEN, 0});
    layer_last_param(b)->given = table;
    layer_slot_store(b, self, "history", 8, 1);
    self->plan = arena_push_zero(b->memory, 1, sizeof(probe_plan));
}

static bool probe_link(const layer_build *b, layer *self, err *e)
{
    probe_plan *plan = self->plan;
    plan->slot = layer_find_slot(b, "probe.history");
    plan->gain = params_find(b->params, "probe.gain");
    return plan->slot >= 0 && layer_find_slot(b, "probe.nothing") == -1 ? true
                                                                        : err_set(e, "not found");
}

/* y = (x E^T) * gain; the store counts what was read. */
static tensor *probe_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const probe_options *o = self->options;
    probe_plan *plan = self->plan;
    real *history = layer_store(c, self, 0);
    for (int64_t r = 0; r < c->rows; r++) {
        for (int64_t i = 0; i < c->time; i++) {
            history[r * 8 + (c->position[r] + i) % 8] = (real)c->tokens[r * c->time + i];
        }
    }
    tensor *expert = layer_piece(c, self, 0, o->expert);
    EXPECT(expert->rank == 2 && expert == layer_piece(c, self, 0, o->expert), "rank %d",
           expert->rank);
    EXPECT(layer_tensor(c, self, 2)->data[1] == 6 && !layer_tensor(c, self, 2)->needs_grad,
           "table");
    tensor *gain = layer_leaf(c, plan->gain, 0);
    EXPECT(gain == layer_tensor(c, self, 1), "another leaf for the same parameter");
    layer_aux(c, op_scale(c->tape, op_sum(c->tape, gain), (real)c->share));
    layer_metric(c, self, "reads", 3, 4);
    layer_tap(c, self, "gain", gain);
    plan->key = layer_key(c, self, "noise");
    return op_mul_row(c->tape, op_linear(c->tape, x, expert, NULL), gain);
}

static const layer_class PROBE = {.name = "probe",
                                  .cite = "",
                                  .help = "for tests",
                                  OPTIONS_OF(probe_options, OPTIONS),
                                  .build = probe_build,
                                  .link = probe_link,
                                  .forward = probe_forward};

static void see(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    if (strcmp(name, "gain") == 0) *(int64_t *)user += tensor_count(x);
}

static layer_apply *new_probe(const char *options)
{
    err e = {0};
    layer_dims dims = {WIDTH, 9, 4, 0, 1, false};
    layer_apply *a = layer_apply_new_class(&PROBE, options, &dims, ROWS, NULL, &e);
    CHECK(a, "%s", e.text);
    return a;
}

static void pieces(void)
{
    layer_apply *a = new_probe("{expert: 2}");
    real x[ROWS * TIME * WIDTH], dy[ROWS * TIME * WIDTH];
    const int32_t tokens[ROWS * TIME] = {3, 4, 7, 8};
    fill_uniform(x, ROWS * TIME * WIDTH, 1);
    fill_uniform(dy, ROWS * TIME * WIDTH, 2);
    int64_t seen = 0;
    layer_apply_call call = {.time = TIME,
                             .x = x,
                             .tokens = tokens,
                             .cotangent = dy,
                             .watch = {.tap = see, .user = &seen}};
    layer_apply_run(a, &call);
    const bool has[] = {false, false, true, false, true, false};
    EXPECT(a->params.pieces == 6 && !memcmp(a->grads.has, has, sizeof has), "has %d%d%d%d %d %d",
           a->grads.has[0], a->grads.has[1], a->grads.has[2], a->grads.has[3], a->grads.has[4],
           a->grads.has[5]);
    const real *grad = layer_apply_grad(a, "experts", NULL);
    for (int i = 0; i < EXPERTS * WIDTH * WIDTH; i++) {
        bool used = i / (WIDTH * WIDTH) == 2;
        EXPECT((grad[i] != 0) == used, "gradient %g at %d", (double)grad[i], i);
    }
    EXPECT(seen == WIDTH, "%lld elements tapped", (long long)seen);
    /* share: the call's weight while the total is unknown; the gain starts at 1. */
    EXPECT(call.aux == WIDTH * ROWS * TIME, "aux %g", call.aux);
    EXPECT(a->books.metric_count == 1 && a->books.metrics[0].weight == 4, "%d metrics",
           a->books.metric_count);
    EXPECT(a->slots[0][1] == 4 && a->slots[0][8] == 7, "store %g, %g", (double)a->slots[0][1],
           (double)a->slots[0][8]);
    layer_apply_free(a);
}

/* dy reaches x and the one expert that was used, by the formula. */
static void piece_gradients(void)
{
    layer_apply *a = new_probe("{expert: 1}");
    real x[ROWS * TIME * WIDTH], dy[ROWS * TIME * WIDTH], dx[WIDTH];
    fill_uniform(x, ROWS * TIME * WIDTH, 3);
    fill_uniform(dy, ROWS * TIME * WIDTH, 4);
    layer_apply_call call = {.time = TIME, .x = x, .cotangent = dy};
    layer_apply_run(a, &call);
    const real *expert = layer_apply_param(a, "experts", NULL) + WIDTH * WIDTH;
    for (int in = 0; in < WIDTH; in++) {
        dx[in] = 0;
        for (int out = 0; out < WIDTH; out++) {
            dx[in] += dy[out] * expert[out * WIDTH + in];
        }
    }
    expect_close("dx", call.dx, dx, WIDTH, 1e-6, 1e-6); /* three products of one rounding each */
    layer_apply_free(a);
}

static void random_keys(void)
{
    layer_apply *a = new_probe(NULL);
    real x[ROWS * TIME * WIDTH] = {0};
    const probe_plan *plan = a->layer.plan;
    layer_apply_call call = {.time = TIME, .x = x};
    layer_apply_run(a, &call);
    rng_key first = plan->key;
    a->ctx.call = 1;
    layer_apply_run(a, &call);
    EXPECT(first.place != plan->key.place, "two calls of a segment share random numbers");
    a->ctx.call = 0;
    layer_apply_run(a, &call);
    EXPECT(first.place == plan->key.place, "the same call draws others");
    layer_apply_free(a);
}

/* Nothing of them is carried behind a recorded segment, nor what older checkpoints hold of them. */
static void segment_slots(void)
{
    static const char name[] = "blocks.0.routed_memory.live";
    const int64_t shape[] = {CHECK_ROWS, 1, 8};
    const real saved[CHECK_ROWS * 8] = {1};
    err e = {0};
    model_run *r = model_run_new("{width: 8, context: 4, blocks: [{routed_memory: {heads: 2, "
                                 "kv_heads: 1, memory: 2, picks: 2, length: 8}}]}",
                                 CHECK_ROWS, &e);
    CHECK(r, "%s", e.text);
    segment s;
    segment_init(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    EXPECT(model_state_restore(r->state, name, shape, saved, &e), "%s", e.text);
    state_view views[CHECK_VIEWS];
    for (int i = model_state_views(r->state, views, CHECK_VIEWS) - 1; i >= 0; i--) {
        EXPECT(strcmp(views[i].name, name) != 0, "%s is carried on", name);
    }
    model_run_free(r);
}

extern const test_suite test_layer;
const test_suite test_layer = {"layers/layer",
                               {{"pieces", pieces},
                                {"piece_gradients", piece_gradients},
                                {"random_keys", random_keys},
                                {"segment_slots", segment_slots},
                                {0}}};
