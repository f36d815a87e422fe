/* A spec becomes a model: names, identities, refusals; what stands around the layers. */
#include "layers/registry.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include "models/model_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCKS "blocks: [{attention: {heads: 2}, ffn: {hidden: 6}}]"

/* ---- the spec ---- */

static void parameters(void)
{
    model_run *r = model_run_good("{width: 8, context: 4, embedding: {positions: learned}, blocks: "
                                  "[{repeat: 2, attention: {heads: 2}}, {ffn: {bias: false}}]}",
                                  CHECK_ROWS);
    const char *const names[] = {"embedding.weight",
                                 "embedding.start",
                                 "embedding.positions",
                                 "blocks.0.attention.norm.gain",
                                 "blocks.0.attention.norm.bias",
                                 "blocks.0.attention.qkv.weight",
                                 "blocks.0.attention.out.weight",
                                 "blocks.1.attention.norm.gain",
                                 "blocks.1.attention.norm.bias",
                                 "blocks.1.attention.qkv.weight",
                                 "blocks.1.attention.out.weight",
                                 "blocks.2.ffn.norm.gain",
                                 "blocks.2.ffn.norm.bias",
                                 "blocks.2.ffn.keys.weight",
                                 "blocks.2.ffn.values.weight",
                                 "final_norm.gain",
                                 "final_norm.bias",
                                 "head.weight"};
    const params *p = model_params_const(r->model);
    int count = (int)(sizeof names / sizeof *names);
    EXPECT(p->count == count, "%d parameters", p->count);
    for (int i = 0; i < MIN(count, p->count); i++) {
        EXPECT(strcmp(p->list[i].name, names[i]) == 0, "%d: %s", i, p->list[i].name);
    }
    model_cost cost = model_costs(r->model);
    /* Embedding 7 x 8, start 8, positions 4 x 8; three norms of 16 and the last; 2 x (24 + 8) x 8;
     * 2 x 32 x 8; head 7 x 8. */
    int64_t matrices = 2 * 256 + 512 + 56;
    EXPECT(cost.params == 56 + 8 + 32 + 64 + matrices, "%lld", (long long)cost.params);
    EXPECT(cost.matmul_params == matrices, "%lld", (long long)cost.matmul_params);
    /* 6 per matrix element, and twice 6 x context x width. */
    EXPECT(cost.bench_flops == 6.0 * (double)matrices + 2 * 6.0 * 4 * 8, "%g", cost.bench_flops);
    EXPECT(cost.train_flops == 3 * cost.forward_flops, "%g", cost.train_flops);
    /* Keys and values are kept within a block only. */
    EXPECT(cost.state_bytes == 0, "%g", cost.state_bytes);
    model_run_free(r);
}

static void starts(void)
{
    model_run *r = model_run_good("{width: 64, context: 4, init: {std: 0.5}, blocks: [{repeat: 2, "
                                  "attention: {}, ffn: {}}]}",
                                  CHECK_ROWS);
    const params *p = model_params_const(r->model);
    params_start(p, r->values, 3);
    const struct {
        const char *name;
        double std;
    } cases[] = {{"blocks.1.ffn.keys.weight", 0.5}, {"blocks.1.ffn.values.weight", 0.25}};
    for (int i = 0; i < 2; i++) {
        const param *q = &p->list[params_find(p, cases[i].name)];
        double squares = 0;
        for (int64_t k = 0; k < q->count; k++) {
            squares += pow((double)r->values[q->offset + k], 2);
        }
        /* 16,384 draws: the deviation is known to 1 / sqrt(2 x 16,384) = 0.6 %; five of these. */
        double ratio = sqrt(squares / (double)q->count) / cases[i].std;
        EXPECT(fabs(ratio - 1) < 0.03, "%s: %g of the deviation", cases[i].name, ratio);
    }
    model_run_free(r);
}

static char *identity(const char *yaml, arena *a)
{
    model_run *r = model_run_good(yaml, CHECK_ROWS);
    char *text = node_json(a, model_changed(r->model, a), true);
    model_run_free(r);
    return text;
}

static void identities(void)
{
    arena *a = arena_new(0);
    const char *base =
        identity("{width: 8, context: 4, blocks: [{repeat: 2, attention: {heads: 2}, "
                 "ffn: {}}]}",
                 a);
    const char *const same[] = {
        "{context: 4, width: 8, blocks: [{attention: {heads: 2}, ffn: {}, repeat: 2}]}",
        ("{width: 8, context: 4, blocks: [{attention: {heads: 2}, ffn: {}}, "
         "{attention: {heads: 2}, ffn: }]}"),
        ("{width: 8, context: 4, blocks: [{repeat: 2, "
         "layers: [{attention: {heads: 2}}, {ffn: {}}]}]}"),
        ("{width: 8, context: 4, norm: {eps: 1e-5}, head: {kind: linear, bias: false}, "
         "blocks: [{repeat: 2, attention: {heads: 2, memory: none}, ffn: {activation: gelu}}]}")};
    const char *const others[] = {
        "{width: 8, context: 4, blocks: [{repeat: 2, ffn: {}, attention: {heads: 2}}]}",
        "{width: 8, context: 4, blocks: [{repeat: 3, attention: {heads: 2}, ffn: {}}]}",
        "{width: 8, context: 4, blocks: [{repeat: 2, attention: {heads: 2, memory: 4}, ffn: {}}]}",
        ("{width: 8, context: 4, norm: {eps: 1e-6}, "
         "blocks: [{repeat: 2, attention: {heads: 2}, ffn: {}}]}"),
        ("{width: 8, context: 4, head: {bias: true}, "
         "blocks: [{repeat: 2, attention: {heads: 2}, ffn: {}}]}")};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        EXPECT(strcmp(base, identity(same[i], a)) == 0, "%s: %s", same[i], identity(same[i], a));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        EXPECT(strcmp(base, identity(others[i], a)) != 0, "%s is the same", others[i]);
    }
    arena_free(a);
}

static void refusals(void)
{
    const char *const cases[][2] = {
        {"{context: 4, " BLOCKS "}", "test.yaml:1:1: missing key 'width'"},
        {"{width: 8, context: 4}", "missing key 'blocks'"},
        {"{width: 8, context: 4, blocks: []}", "test.yaml:1:32: blocks: no blocks"},
        {"{width: 8, context: 4, blocks: {ffn: {}}}", "blocks: expected a list"},
        {"{width: 8, context: 4, blocks: [{}]}", "blocks[0]: no layers"},
        {"{width: 8, context: 4, blocks: [ffn]}", "blocks[0]: expected a block"},
        {"{width: 8, context: 4, blocks: [{atention: {}}]}", "did you mean 'attention'"},
        {"{width: 8, context: 4, blocks: [{ffn: {}, repeat: 0}]}", "blocks[0].repeat: 0 is out"},
        {"{width: 8, context: 4, blocks: [{ffn: {hiden: 3}}]}", "did you mean 'hidden'"},
        {"{width: 8, context: 4, blocks: [{ffn: {}, layers: [{ffn: {}}]}]}", "one of the forms"},
        {"{width: 8, context: 4, blocks: [{layers: [{ffn: {}, lstm: {}}]}]}",
         "blocks[0].layers[0]: expected one layer"},
        {"{width: 8, context: 4, blocks: [{layers: [{fnn: {}}]}]}", "did you mean 'ffn'"},
        {"{width: 8, context: 4, head: {kind: liner}, " BLOCKS "}", "did you mean 'linear'"},
        {"{width: 8, context: 4, head: {kind: {a: 1}}, " BLOCKS "}", "the name of a head"},
        {"{width: 8, context: 4, head: {biass: true}, " BLOCKS "}", "did you mean 'bias'"},
        {"{width: 8, context: 4, norm: {place: middle}, " BLOCKS "}", "norm.place"},
        {"{width: 8, context: 4, embeding: {}, " BLOCKS "}", "did you mean 'embedding'"},
        {"{width: 8, context: 4, blocks: [{repeat: 4096, ffn: {}, attention: {}, layers: null}, "
         "{repeat: 4096, layers: [{ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, "
         "{ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }, {ffn: }]}]}",
         "more than 65536 layers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        model_run *r = model_run_new(cases[i][0], 1, &e);
        bool placed = strncmp(e.text, "test.yaml:1:", 12) == 0;
        EXPECT(!r && placed && strstr(e.text, cases[i][1]), "%s: '%s'", cases[i][0], e.text);
        model_run_free(r);
    }
}

/* ---- what stands around the layers ---- */

static const char *const SURROUNDINGS[] = {
    "embedding: {positions: learned}",
    "embedding: {tied: true}, head: {bias: true}",
    "embedding: {scale: 3, dropout: 0.2}, residual: {scale: 0.5}",
    "residual: {dropout: 0.3}",
    "norm: {kind: rmsnorm}",
    "norm: {kind: none}",
    "norm: {place: post}",
    "norm: {place: post, kind: rmsnorm, final: false}",
    "init: {scheme: fan_in}, norm: {eps: 0.1}",
    "init: {scheme: flat}, residual: {scale: -2}",
};

static void for_surroundings(void (*check)(const char *what, model_run *r))
{
    for (size_t i = 0; i < sizeof SURROUNDINGS / sizeof *SURROUNDINGS; i++) {
        if (!test_sub("{%s}", SURROUNDINGS[i])) continue;
        err e = {0};
        model_run *r =
            model_run_format(CHECK_ROWS, &e,
                             "{width: 8, context: %d, %s, blocks: [{attention: {heads: 2, "
                             "memory: 5}, ffn: {hidden: 6}, lstm: {}}]}",
                             CHECK_BLOCK, SURROUNDINGS[i]);
        EXPECT(r, "%s", e.text);
        if (r) check(SURROUNDINGS[i], r);
        model_run_free(r);
    }
}

static void gradients(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    for_surroundings(check_gradients);
}

static void every_parameter(void)
{
    for_surroundings(check_reached);
}

static void cuts(void)
{
    for_surroundings(check_cuts);
}

/* A stack that runs block by block gives what one that runs through gives. */
static void blockwise(void)
{
    model_run *r =
        model_run_good("{width: 8, context: 4, blocks: [{attention: {heads: 2, memory: 5}, ffn: "
                       "{}, lstm: {}}]}",
                       CHECK_ROWS);
    segment s;
    segment_init(&s, r);
    const params *p = model_params_const(r->model);
    double through = segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    real *expected = ARENA_NEW(r->memory, real, p->total);
    memcpy(expected, r->grads.values, (size_t)p->total * sizeof *expected);
    r->model->blockwise = true;
    double by_block = segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    /* Sums over positions in another order. */
    double tolerance = REAL_IS_DOUBLE ? 1e-10 : 1e-5;
    EXPECT(fabs(through - by_block) < tolerance, "%.15g and %.15g", through, by_block);
    expect_close("gradients", r->grads.values, expected, p->total, tolerance * 10, tolerance);
    model_run_free(r);
}

/* ---- losses, auxiliary losses, metrics, taps ---- */

static layer_class wrapped;

/* The layer's own output, with an auxiliary loss of mean 1 over the call's tokens. */
static tensor *with_aux(layer_ctx *c, const layer *self, tensor *x)
{
    const real one = 1;
    tensor *loss = tape_constant(c->tape, &one, 0, NULL);
    layer_aux(c, op_scale(c->tape, loss, (real)c->share));
    layer_metric(c, self, "load", 2, 3);
    return registry_layer("ffn")->forward(c, self, x);
}

static void count_taps(void *user, const layer *self, const char *name, const tensor *x)
{
    char *seen = user;
    (void)x;
    if (strlen(seen) < 300) sprintf(seen + strlen(seen), " %s:%s", self->name, name);
}

static void losses(void)
{
    model_run *r = model_run_good("{width: 8, context: 4, blocks: [{ffn: {}}]}", CHECK_ROWS);
    wrapped = *r->model->units[0].layer.cls;
    wrapped.forward = with_aux;
    r->model->units[0].layer.cls = &wrapped;
    int32_t tokens[8], targets[8];
    fill_tokens(tokens, 8, 1);
    fill_tokens(targets, 8, 2);
    targets[3] = -1; /* its weight is 0: never looked at */
    const real weights[8] = {1, 2, 1, 0, 1, 1, 0.5, 1};
    double each[8], nats = 0;
    char taps[400] = "";
    model_begin(r->state, r->tape, r->values, NULL);
    model_call call = {.time = 4,
                       .tokens = tokens,
                       .targets = targets,
                       .weights = weights,
                       .total_weight = 30,
                       .losses = each,
                       .watch = {.tap = count_taps, .user = taps},
                       .keep_logits = true};
    model_result result = model_forward(r->state, &call);
    model_end(r->state);
    for (int i = 0; i < 8; i++) {
        nats += weights[i] != 0 ? (double)weights[i] * each[i] : 0;
    }
    EXPECT(result.weight == 7.5 && fabs(result.nats - nats) < 1e-12, "%g, %g", result.weight,
           result.nats);
    double loss = (double)*result.loss->data;
    EXPECT(fabs(loss - (nats + 7.5) / 30) < 1e-6, "loss %g for %g nats", loss, nats);
    EXPECT(result.metric_count == 1 && !strcmp(result.metrics[0].layer, "blocks.0.ffn"),
           "%d metrics", result.metric_count);
    EXPECT(!strcmp(taps, " blocks.0.ffn:residual blocks.0.ffn:output blocks.0.ffn:stream "
                         "head:input head:logits"),
           "taps:%s", taps);
    EXPECT(result.logits && result.logits->shape[2] == MODEL_RUN_VOCAB, "no logits");
    model_run_free(r);
}

static void tied(void)
{
    model_run *r =
        model_run_good("{width: 8, context: 4, embedding: {tied: true}, " BLOCKS "}", CHECK_ROWS);
    EXPECT(params_find(model_params_const(r->model), "head.weight") < 0, "a matrix of its own");
    const param *p = &model_params_const(r->model)->list[0];
    EXPECT(p->matmul && p->active == 1, "%s is not counted as the head's matrix", p->name);
    model_run_free(r);
}

static void frozen(void)
{
    model_run *r = model_run_good("{width: 8, context: 4, " BLOCKS "}", CHECK_ROWS);
    param *p = &model_params(r->model)->list[0];
    p->frozen = true;
    segment s;
    segment_init(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    EXPECT(!r->grads.has[0] && r->grads.has[1], "%s has %d", p->name, r->grads.has[0]);
    model_run_free(r);
}

static void wrong_state(void)
{
    model_run *r = model_run_good("{width: 8, context: 4, " BLOCKS "}", CHECK_ROWS);
    err e = {0};
    const int64_t shapes[][3] = {{CHECK_ROWS, 4, 16}, {CHECK_ROWS, 3, 8}, {1, 3, 16}};
    real data[CHECK_ROWS * 4 * 16] = {0};
    for (int i = 0; i < 3; i++) {
        bool ok = model_state_restore(r->state, "blocks.0.attention.kv", shapes[i], data, &e);
        EXPECT(!ok && strstr(e.text, "[2, up to 3, 16]"), "%s", e.text);
    }
    EXPECT(!model_state_restore(r->state, "blocks.9.kv", shapes[0], data, &e), "restored");
    model_run_free(r);
}

/* Logits of two segments of two calls each, every one of TIME positions. */
static void read_twice(model_run *r, bool record, real *logits)
{
    enum { ROWS = 2, TIME = 5, CALLS = 4 };
    int32_t text[ROWS * TIME * CALLS];
    fill_tokens(text, ROWS * TIME * CALLS, 3);
    for (int i = 0; i < CALLS; i++) {
        if (i % 2 == 0) model_begin(r->state, r->tape, r->values, record ? &r->grads : NULL);
        const int32_t *tokens = text + i * ROWS * TIME;
        model_call call = {.time = TIME,
                           .tokens = tokens,
                           .targets = tokens,
                           .mode = MODE_EVAL,
                           .keep_logits = true};
        model_result result = model_forward(r->state, &call);
        memcpy(logits + i * ROWS * TIME * MODEL_RUN_VOCAB, result.logits->data,
               sizeof(real) * ROWS * TIME * MODEL_RUN_VOCAB);
        if (i % 2) model_end(r->state);
    }
}

/* What is not recorded has each layer in the memory of the layer before: with the same output, and
 * room for one layer. */
static void layers_in_turn(void)
{
    static const char *const blocks[] = {
        "attention: {heads: 2, positions: rotary, memory: 3}, ffn: {}",
        "block_recurrent: {heads: 2, states: 3}, ffn: {}",
        "block_recurrent: {heads: 2, states: 3, reads: [0]}, ffn: {}", /* feedback */
        "compressed_memory: {heads: 2, memory: 2, compressed: 5, factor: 2}, hash_ffn: {}",
        "memorizing: {heads: 2, length: 8, top: 2}, lstm: {}, ttt: {heads: 2}",
        "routed_memory: {heads: 2, length: 8, picks: 2}, switch_ffn: {experts: 2}",
        "gated_delta: {heads: 2}, engram: {rows: 20}, fast_ffn: {}"};
    enum { COUNT = 2 * 5 * 4 * MODEL_RUN_VOCAB };
    real recorded[COUNT], passed[COUNT];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        size_t bytes[2] = {0};
        for (int deep = 0; deep < 2; deep++) {
            err e = {0};
            model_run *r =
                model_run_format(2, &e, "{width: 8, context: 4, blocks: [{repeat: %d, %s}]}",
                                 deep ? 9 : 1, blocks[i]);
            CHECK(r, "%s: %s", blocks[i], e.text);
            read_twice(r, false, passed);
            bytes[deep] = tape_bytes(r->tape);
            model_state_clear(r->state);
            read_twice(r, true, recorded);
            expect_close(blocks[i], passed, recorded, COUNT, REAL_IS_DOUBLE ? 1e-12 : 1e-5, 0);
            model_run_free(r);
        }
        /* Of others parameters' leaves, or what a segment keeps, are more than a layer's memory. */
        EXPECT(i > 0 || bytes[1] < 2 * bytes[0], "%s: %zu bytes, of 9 layers %zu", blocks[i],
               bytes[0], bytes[1]);
    }
}

extern const test_suite test_model;
const test_suite test_model = {"models/model",
                               {{"parameters", parameters},
                                {"starts", starts},
                                {"identities", identities},
                                {"refusals", refusals},
                                {"gradients/", gradients},
                                {"every_parameter/", every_parameter},
                                {"cuts/", cuts},
                                {"blockwise", blockwise},
                                {"losses", losses},
                                {"tied", tied},
                                {"frozen", frozen},
                                {"wrong_state", wrong_state},
                                {"layers_in_turn", layers_in_turn},
                                {0}}};
