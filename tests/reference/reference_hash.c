/* Reference cases of sparse feed-forward layers: hash, MultiHash, Switch, BASE. */
#include "tests/reference/reference.h"

#include "tests/support/layer_apply.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TOKENS = 64 };

/* What taps saw, as integers. */
typedef struct sparse_run {
    reference_case *c;
    int64_t tokens, experts;
    int64_t expert[MAX_TOKENS], served[MAX_TOKENS];
    tensor *mean; /* of the router's probabilities */
} sparse_run;

static void load(reference_case *c, layer_apply *a, const char *ours, const char *theirs)
{
    char name[64];
    int64_t count;
    snprintf(name, sizeof name, "params:%s", theirs);
    real *to = layer_apply_param(a, ours, &count);
    const st_tensor *t = reference_get(c, name);
    if (t && t->count != count) {
        reference_fail(c, "%s: %lld numbers, ours has %lld", theirs, (long long)t->count,
                       (long long)count);
        return;
    }
    memcpy(to, reference_real(c, name), (size_t)count * sizeof *to);
}

static const char *const EXPERTS[][2] = {
    {"keys.weight", "w1"}, {"keys.bias", "b1"}, {"values.weight", "w2"}, {"values.bias", "b2"}};

static void load_experts(reference_case *c, layer_apply *a)
{
    for (int i = 0; i < 4; i++) {
        load(c, a, EXPERTS[i][0], EXPERTS[i][1]);
    }
}

static void expect_grad(reference_case *c, layer_apply *a, const char *ours, const char *theirs)
{
    char name[64];
    snprintf(name, sizeof name, "grads:%s", theirs);
    reference_expect(c, arena_strdup(c->memory, name), layer_apply_grad(a, ours, NULL), "grads");
}

static void expect_experts(reference_case *c, layer_apply *a)
{
    for (int i = 0; i < 4; i++) {
        expect_grad(c, a, EXPERTS[i][0], EXPERTS[i][1]);
    }
}

static layer_apply *open_layer(reference_case *c, const char *cls, const char *options,
                               layer_dims dims, int64_t rows, const layer_build *inputs)
{
    err e;
    dims.depths = 1;
    layer_apply *a = layer_apply_new(cls, options, &dims, rows, inputs, &e);
    if (!a) reference_fail(c, "%s", e.text);
    return a;
}

/* Integers of the case as token ids. */
static int32_t *ids_of(reference_case *c, const char *name)
{
    const st_tensor *t = reference_get(c, name);
    const int64_t *from = reference_int(c, name);
    int64_t n = t ? t->count : 1;
    int32_t *ids = ARENA_NEW(c->memory, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (int32_t)from[i];
    }
    return ids;
}

/* ---- hash layers ---- */

/* The case's table in place of ours, without the start token. */
static void put_tables(reference_case *c, layer_apply *a, const char *name, int64_t hashes,
                       int64_t vocab)
{
    real *table = layer_apply_param(a, "table", NULL);
    const int64_t *given = reference_int(c, name);
    for (int64_t m = 0; m < hashes; m++) {
        for (int64_t id = 0; id < vocab; id++) {
            table[m * (vocab + 1) + id] = (real)given[m * vocab + id];
        }
    }
}

static void compare_balanced(reference_case *c, layer_apply *a, int64_t vocab, int64_t experts)
{
    int64_t *table = ARENA_NEW(c->memory, int64_t, vocab),
            *load_of = ARENA_NEW(c->memory, int64_t, experts);
    for (int64_t i = 0; i < vocab; i++) {
        table[i] = (int64_t)layer_apply_param(a, "table", NULL)[i];
    }
    for (int64_t i = 0; i < experts; i++) {
        load_of[i] = (int64_t)layer_apply_param(a, "load", NULL)[i];
    }
    reference_expect_int(c, "table", table);
    reference_expect_int(c, "load", load_of);
}

/* Runs the layer forwards and backwards over x [rows, time, width] and compares. */
static void run_hash(reference_case *c, layer_apply *a)
{
    layer_apply_call call = {.time = reference_size(c, "seq_len"),
                             .x = reference_real(c, "io:x"),
                             .tokens = ids_of(c, "tokens"),
                             .mode = MODE_TRAIN,
                             .cotangent = reference_real(c, "cotangent")};
    layer_apply_run(a, &call);
    reference_expect(c, "y", call.y->data, "outputs");
    reference_expect(c, "grads:x", call.dx, "grads");
    expect_experts(c, a);
}

static void check_hash(reference_case *c)
{
    bool random = strcmp(json_string_value(json_object_get(c->config, "table")), "random") == 0;
    int64_t vocab = reference_size(c, "vocab"), experts = reference_size(c, "experts");
    char options[160];
    snprintf(options, sizeof options, "{experts: %lld, hidden: %lld, activation: relu, hash: %s}",
             (long long)experts, (long long)reference_size(c, "hidden"),
             random ? "random" : "balanced");
    layer_dims dims = {.width = reference_size(c, "dim"), .vocab = vocab, .block = 64};
    layer_build inputs = {.token_counts = reference_int(c, "counts")};
    layer_apply *a = open_layer(c, "hash_ffn", options, dims, reference_size(c, "batch"), &inputs);
    if (!a) return;
    if (random) {
        /* Another generator drew it: any table will do. */
        put_tables(c, a, "table", 1, vocab);
        reference_drop(c, "load");
    } else {
        compare_balanced(c, a, vocab, experts);
    }
    load_experts(c, a);
    run_hash(c, a);
    layer_apply_free(a);
}

static void check_multihash(reference_case *c)
{
    int64_t vocab = reference_size(c, "vocab"), hashes = reference_size(c, "hashes");
    char options[200];
    snprintf(
        options, sizeof options,
        "{experts: %lld, hidden: %lld, activation: relu, hash: random, hashes: %lld, form: %s}",
        (long long)reference_size(c, "experts"), (long long)reference_size(c, "hidden"),
        (long long)hashes, json_string_value(json_object_get(c->config, "kind")));
    layer_dims dims = {.width = reference_size(c, "dim"), .vocab = vocab, .block = 64};
    layer_apply *a = open_layer(c, "hash_ffn", options, dims, reference_size(c, "batch"), NULL);
    if (!a) return;
    put_tables(c, a, "tables", hashes, vocab);
    load_experts(c, a);
    run_hash(c, a);
    layer_apply_free(a);
}

/* ---- Switch ---- */

static void to_int(int64_t *to, const tensor *x)
{
    CHECK(tensor_count(x) <= MAX_TOKENS, "%lld tokens", (long long)tensor_count(x));
    for (int64_t i = 0; i < tensor_count(x); i++) {
        to[i] = (int64_t)x->data[i];
    }
}

static void see_switch(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    sparse_run *r = user;
    if (strcmp(name, "expert") == 0) to_int(r->expert, x);
    if (strcmp(name, "served") == 0) to_int(r->served, x);
    if (strcmp(name, "probabilities") != 0) return;
    reference_expect(r->c, "probs", x->data, "outputs");
    real *mean = arena_push_zero(r->c->memory, r->experts, sizeof *mean);
    for (int64_t i = 0; i < r->tokens * r->experts; i++) {
        mean[i % r->experts] += x->data[i] / (real)r->tokens;
    }
    reference_expect(r->c, "P", mean, "outputs");
}

/* Experts, queues and what was dropped. */
static void compare_queues(reference_case *c, const sparse_run *r)
{
    int64_t position[MAX_TOKENS], kept[MAX_TOKENS], queue[MAX_TOKENS] = {0}, dropped = 0;
    real f[MAX_TOKENS] = {0};
    for (int64_t i = 0; i < r->tokens; i++) {
        position[i] = queue[r->expert[i]]++;
        kept[i] = r->served[i] == r->expert[i];
        dropped += !kept[i];
        f[r->expert[i]] += 1 / (real)r->tokens;
    }
    reference_expect_int(c, "expert", r->expert);
    reference_expect_int(c, "position", position);
    reference_expect_int(c, "kept", kept);
    reference_expect_int(c, "dropped", &dropped);
    reference_expect(c, "f", f, "outputs");
}

static void check_switch(reference_case *c)
{
    char options[200], capacity[32] = "none";
    const json_t *factor = json_object_get(c->config, "capacity_factor");
    if (json_is_number(factor)) {
        snprintf(capacity, sizeof capacity, "%g", json_number_value(factor));
    }
    sparse_run r = {.c = c,
                    .tokens = reference_size(c, "batch") * reference_size(c, "seq_len"),
                    .experts = reference_size(c, "experts")};
    snprintf(
        options, sizeof options,
        "{experts: %lld, hidden: %lld, activation: relu, capacity: %s, balance: %g, jitter: 0}",
        (long long)r.experts, (long long)reference_size(c, "hidden"), capacity,
        reference_number(c, "alpha"));
    layer_dims dims = {.width = reference_size(c, "dim"), .vocab = 1, .block = 64};
    layer_apply *a = open_layer(c, "switch_ffn", options, dims, reference_size(c, "batch"), NULL);
    if (!a) return;
    load_experts(c, a);
    load(c, a, "router.weight", "router");
    layer_apply_call call = {.time = reference_size(c, "seq_len"),
                             .x = reference_real(c, "io:x"),
                             .total_weight = (double)r.tokens,
                             .mode = MODE_TRAIN,
                             .cotangent = reference_real(c, "cotangent"),
                             .watch = {.tap = see_switch, .user = &r}};
    layer_apply_run(a, &call);
    real aux = (real)call.aux;
    reference_expect(c, "y", call.y->data, "outputs");
    reference_expect(c, "aux", &aux, "outputs");
    reference_expect(c, "grads:x", call.dx, "grads");
    expect_experts(c, a);
    expect_grad(c, a, "router.weight", "router");
    compare_queues(c, &r);
    layer_apply_free(a);
}

/* ---- BASE ---- */

static void see_base(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    sparse_run *r = user;
    if (strcmp(name, "expert") == 0) to_int(r->expert, x);
    if (strcmp(name, "scores") == 0) reference_expect(r->c, "scores", x->data, "outputs");
}

/* Their y contains the residual, ours leaves it to the stack. */
static void add(real *to, const real *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

static void compare_output(reference_case *c, const char *name, const layer_apply_call *call,
                           int64_t n)
{
    real *y = ARENA_NEW(c->memory, real, n);
    memcpy(y, call->y->data, (size_t)n * sizeof *y);
    add(y, call->x, n);
    reference_expect(c, name, y, "outputs");
}

static void compare_assignment(reference_case *c, const sparse_run *r)
{
    const real *scores = reference_real(c, "scores");
    real total = 0;
    for (int64_t i = 0; i < r->tokens; i++) {
        total += scores[i * r->experts + r->expert[i]];
    }
    reference_expect_int(c, "assignment", r->expert);
    reference_expect(c, "total_score", &total, "outputs");
}

static void compare_greedy(reference_case *c, const sparse_run *r)
{
    int64_t count[MAX_TOKENS] = {0};
    for (int64_t i = 0; i < r->tokens; i++) {
        count[r->expert[i]]++;
    }
    reference_expect_int(c, "greedy_expert", r->expert);
    reference_expect_int(c, "greedy_count", count);
}

static void check_base(reference_case *c)
{
    char options[160];
    sparse_run r = {
        .c = c, .tokens = reference_size(c, "tokens"), .experts = reference_size(c, "experts")};
    snprintf(options, sizeof options, "{experts: %lld, hidden: %lld, activation: relu}",
             (long long)r.experts, (long long)reference_size(c, "hidden"));
    layer_dims dims = {.width = reference_size(c, "dim"), .vocab = 1, .block = 64};
    layer_apply *a = open_layer(c, "base_ffn", options, dims, 1, NULL);
    if (!a) return;
    load_experts(c, a);
    load(c, a, "centroids", "centroids");
    int64_t n = r.tokens * dims.width;
    real *cotangent = reference_real(c, "cotangent");
    layer_apply_call call = {.time = r.tokens,
                             .x = reference_real(c, "io:x"),
                             .mode = MODE_TRAIN,
                             .cotangent = cotangent,
                             .watch = {.tap = see_base, .user = &r}};
    layer_apply_run(a, &call);
    compare_output(c, "y", &call, n);
    compare_assignment(c, &r);
    real *dx = ARENA_NEW(c->memory, real, n);
    memcpy(dx, call.dx, (size_t)n * sizeof *dx);
    add(dx, cotangent, n);
    reference_expect(c, "grads:x", dx, "grads");
    expect_experts(c, a);
    expect_grad(c, a, "centroids", "centroids");
    call.mode = MODE_EVAL;
    call.cotangent = NULL;
    layer_apply_run(a, &call);
    compare_output(c, "y_greedy", &call, n);
    compare_greedy(c, &r);
    layer_apply_free(a);
}

const reference_entry REFERENCE_HASH[] = {{"hash", "c1-hash-random", check_hash},
                                          {"hash", "c1-hash-balanced", check_hash},
                                          {"hash", "c2-switch-capacity", check_switch},
                                          {"hash", "c2-switch-unlimited", check_switch},
                                          {"hash", "c3-base", check_base},
                                          {"hash", "c4-multihash-segments", check_multihash},
                                          {"hash", "c4-multihash-slices", check_multihash},
                                          {NULL, NULL, NULL}};
