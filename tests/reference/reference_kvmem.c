/* Reference cases of feed-forward layers as key-value memories: the analysis of stored activations,
 * and of activations that the model itself makes from weights and tokens. */
#include "tests/reference/reference.h"

#include "harness/inspect/value_readings.h"
#include "models/readout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct kvmem {
    reference_case *c;
    int64_t vocab, width, memories, layers, rows, time, top, prefixes;
    model *model;
    real *weights; /* the model's values */
    readout read;
    const int64_t *tokens; /* [rows, time] */
    /* What is analysed: [layers, rows, time, ...], stored or computed. */
    real *residual, *coef, *output, *stream;
    /* By layer: [memories], [vocab], [memories, top lists]. */
    int32_t *tops, *with;
    prefix_reading *readings; /* [layers, prefixes] */
} kvmem;

static kvmem kvmem_new(reference_case *c)
{
    kvmem k = {.c = c,
               .vocab = reference_size(c, "vocab"),
               .width = reference_size(c, "dim"),
               .memories = reference_size(c, "memories"),
               .layers = reference_size(c, "layers"),
               .rows = reference_size(c, "sentences"),
               .time = reference_size(c, "length"),
               .top = reference_size(c, "top_k")};
    k.prefixes = k.rows * (k.time - 1);
    k.tokens = reference_int(c, "tokens");
    int64_t cells = k.layers * k.rows * k.time;
    k.residual = ARENA_NEW(c->memory, real, cells * k.width);
    k.output = ARENA_NEW(c->memory, real, cells * k.width);
    k.stream = ARENA_NEW(c->memory, real, cells * k.width);
    k.coef = ARENA_NEW(c->memory, real, cells * k.memories);
    k.tops = ARENA_NEW(c->memory, int32_t, k.layers * k.memories);
    k.with = arena_push_zero(c->memory, k.layers * k.vocab, sizeof *k.with);
    k.readings = arena_push_zero(c->memory, k.layers * k.prefixes, sizeof *k.readings);
    return k;
}

/* ---- the model ---- */

static void put(kvmem *k, const char *ours, int64_t offset, const char *theirs)
{
    const st_tensor *t = reference_get(k->c, theirs);
    int i = params_find(model_params_const(k->model), ours);
    if (i < 0 || !t) {
        reference_fail(k->c, "no parameter %s", ours);
        return;
    }
    const param *p = &model_params_const(k->model)->list[i];
    memcpy(k->weights + p->offset + offset, reference_real(k->c, theirs),
           (size_t)t->count * sizeof(real));
}

static void put_layer(kvmem *k, int64_t l)
{
    static const char *const names[][2] = {
        {"attention.out.weight", "attn_o"},    {"attention.norm.gain", "norm1.gain"},
        {"attention.norm.bias", "norm1.bias"}, {"ffn.norm.gain", "norm2.gain"},
        {"ffn.norm.bias", "norm2.bias"},       {"ffn.keys.weight", "keys"},
        {"ffn.keys.bias", "key_bias"},         {"ffn.values.bias", "value_bias"}};
    static const char *const parts[] = {"attn_q", "attn_k", "attn_v"};
    char ours[80], theirs[80];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(ours, sizeof ours, "blocks.%lld.%s", (long long)l, names[i][0]);
        snprintf(theirs, sizeof theirs, "layers.%lld.%s", (long long)l, names[i][1]);
        put(k, ours, 0, theirs);
    }
    snprintf(ours, sizeof ours, "blocks.%lld.attention.qkv.weight", (long long)l);
    for (int i = 0; i < 3; i++) {
        snprintf(theirs, sizeof theirs, "layers.%lld.%s", (long long)l, parts[i]);
        put(k, ours, i * k->width * k->width, theirs);
    }
    /* Ours has a value per column. */
    snprintf(ours, sizeof ours, "blocks.%lld.ffn.values.weight", (long long)l);
    snprintf(theirs, sizeof theirs, "layers.%lld.values", (long long)l);
    const real *from = reference_real(k->c, theirs);
    const params *p = model_params_const(k->model);
    real *to = k->weights + p->list[params_find(p, ours)].offset;
    for (int64_t m = 0; m < k->memories; m++) {
        for (int64_t i = 0; i < k->width; i++) {
            to[i * k->memories + m] = from[m * k->width + i];
        }
    }
}

static bool build(kvmem *k)
{
    char yaml[512];
    err e = {0};
    snprintf(yaml, sizeof yaml,
             "{width: %lld, context: %lld, embedding: {positions: learned, tied: true}, norm: "
             "{eps: %.17g, final: false}, blocks: [{repeat: %lld, attention: {heads: %lld, "
             "positions: none}, ffn: {hidden: %lld, activation: relu}}]}",
             (long long)k->width, (long long)k->time, reference_number(k->c, "norm_eps"),
             (long long)k->layers, (long long)reference_size(k->c, "heads"),
             (long long)k->memories);
    const node *spec = node_parse(k->c->memory, yaml, strlen(yaml), "kvmem", &e);
    model_inputs inputs = {.vocab = k->vocab, .seed = 1};
    k->model = spec ? model_build(spec, &inputs, &e) : NULL;
    if (!k->model) {
        reference_fail(k->c, "%s", e.text);
        return false;
    }
    const params *p = model_params_const(k->model);
    k->weights = arena_push_zero(k->c->memory, p->total, sizeof(real));
    params_start(p, k->weights, 1);
    put(k, "embedding.weight", 0, "embed");
    put(k, "embedding.positions", 0, "pos");
    for (int64_t l = 0; l < k->layers; l++) {
        put_layer(k, l);
    }
    k->read = readout_new(k->model, k->weights, false);
    return true;
}

static void keep(kvmem *k, real *to, const layer *self, const real *x, int64_t width)
{
    int64_t n = k->rows * k->time * width;
    memcpy(to + self->dims.depth / 2 * n, x, (size_t)n * sizeof *to);
}

static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    kvmem *k = user;
    if (strcmp(self->cls->name, "ffn") != 0) return;
    if (strcmp(name, "residual") == 0) keep(k, k->residual, self, x->data, k->width);
    if (strcmp(name, "output") == 0) keep(k, k->output, self, x->data, k->width);
    if (strcmp(name, "stream") == 0) keep(k, k->stream, self, x->data, k->width);
}

static void on_fired(void *user, const layer *self, const memory_use *use)
{
    kvmem *k = user;
    CHECK(use->entries == k->rows * k->time && use->width == k->memories && !use->ids,
          "%lld uses of %lld", (long long)use->entries, (long long)use->width);
    keep(k, k->coef, self, use->coefficients, k->memories);
}

/* Fills what is analysed by running the model; its predictions are compared on the way. */
static void run_model(kvmem *k)
{
    int64_t n = k->rows * k->time;
    int32_t *tokens = ARENA_NEW(k->c->memory, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)k->tokens[i];
    }
    model_state *s = model_state_new(k->model, k->rows);
    tape *t = tape_new();
    model_begin(s, t, k->weights, NULL);
    model_call call = {.time = k->time,
                       .tokens = tokens,
                       .mode = MODE_EVAL,
                       .watch = {.tap = on_tap, .fired = on_fired, .user = k}};
    model_result r = model_forward(s, &call);
    reference_expect_tensor(k->c, "output_probs", op_softmax(t, r.logits), "outputs");
    model_end(s);
    tape_free(t);
    model_state_free(s);
    reference_expect(k->c, "residual", k->residual, "outputs");
    reference_expect(k->c, "coef", k->coef, "outputs");
    reference_expect(k->c, "ffn_output", k->output, "outputs");
    reference_expect(k->c, "layer_output", k->stream, "outputs");
}

/* Fills it from the files. Inputs and what precedes the ReLU have no taps: they are compared
 * through the ops that make them. */
static void load_stored(kvmem *k)
{
    reference_case *c = k->c;
    int64_t cells = k->layers * k->rows * k->time;
    memcpy(k->residual, reference_real(c, "residual"), (size_t)(cells * k->width) * sizeof(real));
    memcpy(k->output, reference_real(c, "ffn_output"), (size_t)(cells * k->width) * sizeof(real));
    memcpy(k->stream, reference_real(c, "layer_output"), (size_t)(cells * k->width) * sizeof(real));
    memcpy(k->coef, reference_real(c, "coef"), (size_t)(cells * k->memories) * sizeof(real));
    tape *t = tape_new();
    tensor *u = reference_leaf(c, t, "ffn_input", false), *pre[8];
    for (int64_t l = 0; l < k->layers && l < 8; l++) {
        char keys[40], bias[40];
        snprintf(keys, sizeof keys, "layers.%lld.keys", (long long)l);
        snprintf(bias, sizeof bias, "layers.%lld.key_bias", (long long)l);
        pre[l] = op_linear(t, op_slice(t, u, 0, l, l + 1), reference_leaf(c, t, keys, false),
                           reference_leaf(c, t, bias, false));
    }
    tensor *all = op_concat(t, (int)k->layers, pre, 0);
    reference_expect_tensor(c, "pre", all, "outputs");
    reference_expect_tensor(c, "coef", op_activation(t, all, ACT_RELU), "outputs");
    tape_free(t);
}

/* ---- the analysis ---- */

static void check_values(kvmem *k)
{
    int64_t n = k->layers * k->memories;
    reference_case *c = k->c;
    value_reading *read = ARENA_NEW(c->memory, value_reading, n);
    real *dist = ARENA_NEW(c->memory, real, n * k->vocab), *top = ARENA_NEW(c->memory, real, n);
    real *values = ARENA_NEW(c->memory, real, k->memories * k->width);
    int64_t *ids = ARENA_NEW(c->memory, int64_t, n);
    const layer *const *layers;
    int count = model_layers(k->model, &layers);
    for (int i = 0, l = 0; i < count; i++) {
        layer_memories m;
        if (!layers[i]->cls->memories || !layers[i]->cls->memories(layers[i], &m)) continue;
        readout_memory(layers[i], &m, model_params_const(k->model), k->weights, 0, m.count, values);
        value_readings(read + l * m.count, dist + l * m.count * k->vocab, &k->read, values, m.count,
                       c->memory);
        l++;
    }
    for (int64_t i = 0; i < n; i++) {
        ids[i] = k->tops[i] = read[i].tokens[0];
        top[i] = read[i].probabilities[0];
        k->with[i / k->memories * k->vocab + ids[i]]++;
    }
    reference_expect(c, "value_dist", dist, "outputs");
    reference_expect(c, "value_top_prob", top, "outputs");
    reference_expect_int(c, "value_top", ids);
}

/* Tensors of the analysis that are lists [layers, memories(, top)]. */
typedef struct trigger_lists {
    int64_t *sentence, *position, *next, *match, *count, *rank;
    real *coef, *rate;
} trigger_lists;

static void offer_all(kvmem *k, triggers *t, int64_t l)
{
    for (int64_t s = 0; s < k->rows; s++) {
        for (int64_t j = 0; j + 1 < k->time; j++) {
            int64_t cell = (l * k->rows + s) * k->time + j;
            trigger at = {.next = (int32_t)k->tokens[s * k->time + j + 1],
                          .token = s * k->time + j,
                          .sentence = s * k->time};
            triggers_offer(t, k->coef + cell * k->memories, k->memories, 0, NULL, at);
        }
    }
}

static void list_triggers(kvmem *k, trigger_lists *l, int64_t at, bool per_sentence)
{
    triggers t;
    const real *dist = reference_real(k->c, "value_dist");
    triggers_init(&t, k->memories, k->top, per_sentence, k->c->memory);
    offer_all(k, &t, at);
    triggers_finish(&t);
    int64_t keys = 0, matches = 0;
    for (int64_t m = 0; m < k->memories; m++) {
        int64_t i = at * k->memories + m;
        const trigger *list = triggers_of(&t, m);
        memory_agreement a = value_readings_agreement(list, t.sizes[m], k->tops[i]);
        l->match[i] = a.match;
        l->count[i] = a.matches;
        l->rank[i] =
            a.triggered ? value_readings_rank(dist + i * k->vocab, k->vocab, list[0].next) : -1;
        keys += a.triggered;
        matches += a.match;
        for (int64_t n = 0; n < k->top; n++) {
            bool there = n < t.sizes[m];
            l->sentence[i * k->top + n] = there ? list[n].sentence / k->time : -1;
            l->position[i * k->top + n] = there ? list[n].token % k->time : -1;
            l->next[i * k->top + n] = there ? list[n].next : -1;
            l->coef[i * k->top + n] = there ? list[n].coefficient : 0;
        }
    }
    l->rate[at] = (real)matches / (real)keys;
}

static void check_triggers(kvmem *k, bool per_sentence)
{
    arena *a = k->c->memory;
    int64_t n = k->layers * k->memories;
    trigger_lists l = {.sentence = ARENA_NEW(a, int64_t, n * k->top),
                       .position = ARENA_NEW(a, int64_t, n * k->top),
                       .next = ARENA_NEW(a, int64_t, n * k->top),
                       .match = ARENA_NEW(a, int64_t, n),
                       .count = ARENA_NEW(a, int64_t, n),
                       .rank = ARENA_NEW(a, int64_t, n),
                       .coef = ARENA_NEW(a, real, n * k->top),
                       .rate = ARENA_NEW(a, real, k->layers)};
    for (int64_t i = 0; i < k->layers; i++) {
        list_triggers(k, &l, i, per_sentence);
    }
    const char *rule = per_sentence ? "per_sentence" : "all_prefixes";
    const struct {
        const char *format;
        const int64_t *ints;
        const real *reals;
    } list[] = {{"trigger.%s.sentence", l.sentence, NULL},
                {"trigger.%s.position", l.position, NULL},
                {"trigger.%s.next_token", l.next, NULL},
                {"trigger.%s.coef", NULL, l.coef},
                {"agreement.%s.match", l.match, NULL},
                {"agreement.%s.count_in_topk", l.count, NULL},
                {"agreement.%s.rank_of_next_token", l.rank, NULL},
                {"agreement.%s.rate", NULL, l.rate}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const char *point = strstr(list[i].format, "%s");
        char name[80];
        snprintf(name, sizeof name, "%.*s%s%s", (int)(point - list[i].format), list[i].format, rule,
                 point + 2);
        if (list[i].ints) reference_expect_int(k->c, name, list[i].ints);
        if (list[i].reals) reference_expect(k->c, name, list[i].reals, "outputs");
    }
}

/* The prefixes' rows of x [layer, rows, time, width], without the last position of each. */
static const real *prefix_rows(const kvmem *k, const real *x, int64_t l, int64_t width)
{
    real *y = ARENA_NEW(k->c->memory, real, k->prefixes * width);
    for (int64_t i = 0; i < k->prefixes; i++) {
        int64_t row = i / (k->time - 1), at = i % (k->time - 1);
        memcpy(y + i * width, x + ((l * k->rows + row) * k->time + at) * width,
               (size_t)width * sizeof *y);
    }
    return y;
}

static void read_layer(kvmem *k, int64_t l)
{
    arena *a = k->c->memory;
    prefix_reading *out = k->readings + l * k->prefixes;
    const real *coef = prefix_rows(k, k->coef, l, k->memories);
    int32_t *active = ARENA_NEW(a, int32_t, k->memories);
    value_readings_tops(out, &k->read, prefix_rows(k, k->residual, l, k->width),
                        prefix_rows(k, k->output, l, k->width),
                        prefix_rows(k, k->stream, l, k->width), k->prefixes, a);
    for (int64_t i = 0; i < k->prefixes; i++) {
        int64_t n = 0;
        for (int64_t m = 0; m < k->memories; m++) {
            if (coef[i * k->memories + m] > 0) active[n++] = (int32_t)m;
        }
        value_readings_match(&out[i], active, n, k->tops + l * k->memories, k->with + l * k->vocab);
    }
}

static void expect_field(kvmem *k, const char *name, size_t field)
{
    int64_t n = k->layers * k->prefixes, *got = ARENA_NEW(k->c->memory, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        const char *reading = (const char *)&k->readings[i];
        got[i] = *(const int32_t *)(const void *)(reading + field);
    }
    reference_expect_int(k->c, name, got);
}

static void check_composition(kvmem *k)
{
    arena *a = k->c->memory;
    real *active = arena_push_zero(a, k->layers, sizeof(real));
    real *no_active = arena_push_zero(a, k->layers, sizeof(real));
    real *no_all = arena_push_zero(a, k->layers, sizeof(real)), n = (real)k->prefixes;
    for (int64_t l = 0; l < k->layers; l++) {
        read_layer(k, l);
        for (int64_t i = 0; i < k->prefixes; i++) {
            const prefix_reading *p = &k->readings[l * k->prefixes + i];
            active[l] += (real)p->active / (real)k->memories / n;
            no_active[l] += (p->match_output_active == 0) / n;
            no_all[l] += (p->match_output_all == 0) / n;
        }
    }
    expect_field(k, "top_ffn", offsetof(prefix_reading, top_output));
    expect_field(k, "top_residual", offsetof(prefix_reading, top_residual));
    expect_field(k, "top_layer", offsetof(prefix_reading, top_stream));
    expect_field(k, "active", offsetof(prefix_reading, active));
    expect_field(k, "match_ffn_active", offsetof(prefix_reading, match_output_active));
    expect_field(k, "match_ffn_all", offsetof(prefix_reading, match_output_all));
    expect_field(k, "match_layer_active", offsetof(prefix_reading, match_stream_active));
    reference_expect(k->c, "composition.active_fraction", active, "outputs");
    reference_expect(k->c, "composition.no_match_active_rate", no_active, "outputs");
    reference_expect(k->c, "composition.no_match_all_rate", no_all, "outputs");
}

static void check_refinement(kvmem *k)
{
    arena *a = k->c->memory;
    int64_t n = k->layers * k->prefixes, *category = ARENA_NEW(a, int64_t, n);
    real *is_final = arena_push_zero(a, k->layers, sizeof(real)), *prob = ARENA_NEW(a, real, n);
    real *rate = arena_push_zero(a, k->layers * REFINE_CASES, sizeof(real));
    real one = 1 / (real)k->prefixes;
    int32_t *final = ARENA_NEW(a, int32_t, k->prefixes);
    for (int64_t i = 0; i < k->prefixes; i++) {
        final[i] = k->readings[(k->layers - 1) * k->prefixes + i].top_stream;
    }
    for (int64_t l = 0; l < k->layers; l++) {
        prefix_reading *p = k->readings + l * k->prefixes;
        value_readings_final(p, &k->read, prefix_rows(k, k->residual, l, k->width), final,
                             k->prefixes, a);
        for (int64_t i = 0; i < k->prefixes; i++) {
            category[l * k->prefixes + i] = value_readings_refinement(&p[i]);
            prob[l * k->prefixes + i] = p[i].final_probability;
            rate[l * REFINE_CASES + (int64_t)value_readings_refinement(&p[i])] += one;
            is_final[l] += (p[i].top_residual == final[i]) * one;
        }
    }
    reference_expect_int(k->c, "refinement.category", category);
    reference_expect(k->c, "refinement.residual_prob_of_final", prob, "outputs");
    reference_expect(k->c, "refinement.category_rate", rate, "outputs");
    reference_expect(k->c, "refinement.residual_is_final_rate", is_final, "outputs");
}

static void check(reference_case *c)
{
    kvmem k = kvmem_new(c);
    if (!build(&k)) return;
    check_values(&k);
    for (int from_model = 0; from_model < 2; from_model++) {
        if (from_model) {
            run_model(&k);
        } else {
            load_stored(&k);
        }
        check_triggers(&k, true);
        check_triggers(&k, false);
        check_composition(&k);
        check_refinement(&k);
    }
    model_free(k.model);
}

const reference_entry REFERENCE_KVMEM[] = {{"kvmem", NULL, check}, {0}};
