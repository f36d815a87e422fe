/* Inspection of what changes while a model reads: fast weights and states. */
#include "harness/evaluate/evaluate.h"
#include "harness/inspect/inspect.h"
#include "harness/inspect/inspect_page.h"
#include "harness/inspect/inspect_record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/trained_model.h"
#include "tests/support/planted.h"
#include "tests/test.h"

enum { CONTEXT = 16, STATES = 4 };

static const char TEXT[] =
    "The quick fox axed a queue. Was it quiet? A zebra mixed zest with exyl.\n\n"
    "\"Quite zany,\" said q. The zoo queried the quota of boxy, foxy, waxy equals. "
    "It was amazed, queerly, at a lazy quiz by six antiques. Quick, the quince!";

static bool look(inspection *x, inspect_task *task, const trained_model *m, int parts, int threads)
{
    static const inspect_options options = {.split = SPLIT_TRAIN,
                                            .sample_split = SPLIT_VALIDATION,
                                            .rows = 2,
                                            .top = 3,
                                            .prefixes = 10};
    *task = (inspect_task){.loaded = m, .options = &options, .parts = parts, .threads = threads};
    err e = {0};
    bool ok = inspect(x, task, &e);
    EXPECT(ok, "%s", e.text);
    return ok;
}

static double figure(const inspection *x, int part, const layer *l, const char *name, int bin)
{
    double value = inspection_figure(x, part, l, name, bin);
    EXPECT(isfinite(value), "%s[%d] is not there", name, bin);
    return value;
}

/* ---- changes ---- */

static const char *const LEARNERS[] = {
    "{width: 8, context: 16, blocks: [{attention: {heads: 2}}], head: {kind: fwl, step_init: 10, "
    "normaliser: 1}}",
    "{width: 8, context: 16, blocks: [{attention: {heads: 2}}], head: {kind: fwl, step_init: 10, "
    "normaliser: 1, carry: true}}",
    "{width: 8, context: 16, init: {std: 0.5}, blocks: [{fast_ffn: {hidden: 8, step_init: 1, "
    "normaliser: 1, loss: "
    "next_token, carry: true}}]}",
};
enum { LEARNER_COUNT = sizeof LEARNERS / sizeof *LEARNERS };

static const layer *learner_of(const trained_model *m)
{
    const layer *const *layers, *head = model_head(m->model);
    model_layers(m->model, &layers);
    return head->cls->learns ? head : layers[0];
}

/* The model's mean loss, without the document's first token. */
static double plain_nats(const trained_model *m)
{
    eval_options options = {.split = SPLIT_VALIDATION, .rows = 1, .losses = true};
    eval_task task = {.model = m->model,
                      .values = m->values,
                      .corpus = m->corpus,
                      .options = &options,
                      .threads = 1,
                      .losses_path = test_inside("losses")};
    evaluation r;
    err e = {0};
    CHECK(evaluate(&r, &task, &e), "%s", e.text);
    size_t bytes;
    char *losses = file_read(test_inside("losses"), &bytes, &e);
    CHECK(losses, "%s", e.text);
    float first;
    memcpy(&first, losses, sizeof first);
    free(losses);
    double mean = (r.nats - (double)first) / (double)(r.tokens - 1);
    evaluate_deinit(&r);
    return mean;
}

/* What rose has fallen elsewhere; every position counts once. */
static void check_tokens(const inspection *x, const inspected_changes *c)
{
    int64_t rise = 0, next = 0, gain = 0;
    for (int64_t v = 0; v < PLANTED_VOCAB; v++) {
        rise += c->tokens[v].rise;
        next += c->tokens[v].next;
        gain += c->tokens[v].gain;
        EXPECT(memcmp(&c->tokens[v], &c->tokens[PLANTED_VOCAB + v], sizeof *c->tokens) == 0,
               "the only document is not the sum of all, token %lld", (long long)v);
    }
    int64_t positions = (int64_t)strlen(TEXT) - 1;
    EXPECT(next == positions, "%lld of %lld positions", (long long)next, (long long)positions);
    /* Sums of 256 probabilities in float: 1e-6 a position. */
    EXPECT(llabs(rise) < positions * 4295, "%lld", (long long)rise);
    double mean = (double)gain / 4294967296.0 / (double)positions;
    EXPECT(fabs(mean - figure(x, INSPECT_CHANGES, c->layer, "gain", 0)) < 1e-6, "%g", mean);
    EXPECT(c->most_count > 1 && c->most[0].gain >= c->most[1].gain, "%d", c->most_count);
    for (int i = 0; i < c->most_count; i++) {
        const change_moment *m = &c->most[i];
        EXPECT(TEXT[m->token + 1] == (char)m->next, "moment %d: token %lld", i,
               (long long)m->token);
        EXPECT(fabs(log((double)m->after / (double)m->before) - m->gain) < 1e-5, "moment %d", i);
    }
}

static void changes(void)
{
    for (int i = 0; i < LEARNER_COUNT; i++) {
        trained_model m;
        planted_open(&m, LEARNERS[i], TEXT);
        inspection one, two;
        inspect_task task, task2;
        if (!look(&one, &task, &m, 0, 1) || !look(&two, &task2, &m, INSPECT_CHANGES, 2)) return;
        EXPECT(one.parts == INSPECT_CHANGES && one.change_count == 1, "%d", one.parts);
        const layer *l = learner_of(&m);
        double nats = figure(&one, INSPECT_CHANGES, l, "nats", 0);
        double unlearned = figure(&one, INSPECT_CHANGES, l, "nats_unlearned", 0);
        EXPECT(fabs(nats - unlearned) > 1e-4, "model %d: nothing changed: %g", i, nats);
        EXPECT(figure(&one, INSPECT_CHANGES, l, "gain_by_position", 0) !=
                   figure(&one, INSPECT_CHANGES, l, "gain_by_position", 15),
               "model %d", i);
        check_tokens(&one, &one.changes[0]);
        EXPECT(one.figure_count == two.figure_count, "%d", two.figure_count);
        for (int f = 0; f < one.figure_count; f++) {
            const inspect_figure *a = &one.figures[f], *b = &two.figures[f];
            EXPECT(memcmp(&a->value, &b->value, sizeof a->value) == 0 || isnan(a->value),
                   "%s: %.17g, %.17g", a->name, a->value, b->value);
        }
        inspection_deinit(&two);
        inspection_deinit(&one);
        if (i < 2) { /* a head's own predictions: what evaluation finds, with and without steps */
            EXPECT(fabs(nats - plain_nats(&m)) < 1e-5, "model %d: %g, %g", i, nats, plain_nats(&m));
            static const char *const steps[] = {"dense0.weight", "dense0.bias", "dense1.weight",
                                                "dense1.bias",   "norm.gain",   "norm.bias"};
            for (int s = 0; s < 6; s++) {
                char name[64];
                snprintf(name, sizeof name, "head.%s_step_size", steps[s]);
                planted_fill(&m, name, 0);
            }
            EXPECT(fabs(unlearned - plain_nats(&m)) < 1e-5, "model %d: %g, %g", i, unlearned,
                   plain_nats(&m));
        }
        planted_close(&m);
    }
}

/* ---- states ---- */

/* The embedding is the identity: a token is its byte. */
static const char RECURRENT[] = "{width: 256, context: 16, norm: {kind: none}, "
                                "blocks: [{block_recurrent: {heads: "
                                "1, head_dim: 2, states: 4}}]}";
#define AT "blocks.0.block_recurrent."

/* States ask for the direction of the letter q's key, and all tokens look at states alike. */
static void plant_states(trained_model *m)
{
    int64_t n;
    real *embedding = planted_param(m, "embedding.weight", &n);
    memset(embedding, 0, (size_t)n * sizeof *embedding);
    for (int i = 0; i < PLANTED_VOCAB; i++) {
        embedding[i * PLANTED_VOCAB + i] = 1;
    }
    real *keys = planted_param(m, AT "qkv.weight", NULL) + 2 * PLANTED_VOCAB;
    for (int i = 0; i < PLANTED_VOCAB; i++) {
        keys[i] = i == 'q' ? 1 : -1;
        keys[PLANTED_VOCAB + i] = 0;
    }
    planted_fill(m, AT "state.norm.gain", 0);
    planted_fill(m, AT "state.ids", 1);
    real *asks = planted_param(m, AT "state.q.weight", NULL) + 2 * PLANTED_VOCAB;
    for (int i = 0; i < PLANTED_VOCAB; i++) {
        asks[i] = 1;
        asks[PLANTED_VOCAB + i] = 0;
    }
    planted_fill(m, AT "state.tokens_q.gain", 8); /* scores of +-45: all or nothing */
    planted_fill(m, AT "state.tokens_k.gain", 8);
    planted_fill(m, AT "read.0.q.weight", 0);
}

/* What a position's weight should be: of its block's q's, or of all if there are none; the start
 * token is position 0. Only whole blocks are written. */
static double expected_write(int64_t position)
{
    int64_t block = position / CONTEXT * CONTEXT, found = 0;
    for (int64_t i = block; i < block + CONTEXT; i++) {
        found += i > 0 && TEXT[i - 1] == 'q';
    }
    if (found == 0) return 1;
    return TEXT[position - 1] == 'q' ? (double)CONTEXT / (double)found : 0;
}

static void check_writes(const inspection *x, const inspected_exchange *w)
{
    double sum[PLANTED_VOCAB] = {0}, most = 0;
    int64_t count[PLANTED_VOCAB] = {0}, written = (int64_t)strlen(TEXT) / CONTEXT * CONTEXT;
    for (int64_t i = 1; i < written; i++) {
        int c = (unsigned char)TEXT[i - 1];
        sum[c] += expected_write(i);
        count[c]++;
        most = MAX(most, expected_write(i));
    }
    for (int c = 0; c < PLANTED_VOCAB; c++) {
        EXPECT(w->token_count[c] == count[c], "'%c': %lld times, not %lld", c,
               (long long)w->token_count[c], (long long)count[c]);
        double got = (double)w->token_sum[c] / 4294967296.0;
        EXPECT(fabs(got - sum[c]) < 1e-4 * (1 + sum[c]), "'%c': %g, not %g", c, got, sum[c]);
    }
    const trigger *spot = triggers_of(&w->spots, 0);
    EXPECT(TEXT[spot->token] == 'q' && fabs((double)spot->coefficient - most) < 1e-4, "%lld: %g",
           (long long)spot->token, (double)spot->coefficient);
    EXPECT(fabs(figure(x, INSPECT_STATES, w->layer, "write_effective_places", 0) - STATES) < 1e-4,
           "states that ask alike");
    EXPECT(figure(x, INSPECT_STATES, w->layer, "write_moved", 0) > 0, "nothing written");
}

static void states(void)
{
    for (int threads = 1; threads <= 2; threads++) {
        trained_model m;
        planted_open(&m, RECURRENT, TEXT);
        plant_states(&m);
        inspection x;
        inspect_task task;
        if (!look(&x, &task, &m, 0, threads)) return;
        EXPECT(x.parts == INSPECT_STATES && x.exchange_count == 2, "%d exchanges",
               x.exchange_count);
        const inspected_exchange *r = &x.exchanges[0];
        EXPECT(strcmp(r->exchange.name, "read") == 0 && r->positions == (int64_t)strlen(TEXT) - 1,
               "%s: %lld", r->exchange.name, (long long)r->positions);
        EXPECT(fabs(figure(&x, INSPECT_STATES, r->layer, "read_effective", 0) - STATES) < 1e-4,
               "they look at all states alike");
        EXPECT(figure(&x, INSPECT_STATES, r->layer, "read_strength", 0) > 0, "nothing read");
        check_writes(&x, &x.exchanges[1]);
        inspection_deinit(&x);
        planted_close(&m);
    }
}

/* ---- what is said and written ---- */

static void refuses(void)
{
    static const struct {
        int part;
        const char *says;
    } list[] = {{INSPECT_KEYS, "memory"}, {INSPECT_CHANGES, "learn"}, {INSPECT_STATES, "states"}};
    trained_model m;
    planted_open(&m, "{width: 8, context: 8, blocks: [{lstm: {}}]}", TEXT);
    for (int i = 0; i < 3; i++) {
        inspect_options options = {.rows = 1};
        inspect_task task = {.loaded = &m, .options = &options, .parts = list[i].part};
        inspection x;
        err e = {0};
        EXPECT(!inspect(&x, &task, &e) && strstr(e.text, list[i].says), "%s", e.text);
    }
    planted_close(&m);
}

/* Stopped in the middle of its pass: said so, nothing of it counts. */
static volatile sig_atomic_t stop;

static void stops(void)
{
    static const char *const models[] = {
        "{width: 8, context: 16, blocks: [{attention: {heads: 2}}], head: {kind: fwl}}", RECURRENT};
    for (int i = 0; i < 2; i++) {
        trained_model m;
        planted_open(&m, models[i], TEXT);
        stop = 1;
        inspect_options options = {.split = SPLIT_TRAIN, .rows = 1, .top = 1};
        inspect_task task = {.loaded = &m, .options = &options, .threads = 1, .stop = &stop};
        inspection x;
        err e = {0};
        bool ok = inspect(&x, &task, &e);
        EXPECT(ok && x.stopped && x.figure_count == 0, "%s", e.text);
        if (ok) inspection_deinit(&x);
        planted_close(&m);
    }
}

static void writes(void)
{
    static const char *const both =
        "{width: 8, context: 16, blocks: [{block_recurrent: {heads: 2, states: 4}}], head: {kind: "
        "fwl, step_init: 10, normaliser: 1}}";
    trained_model m;
    planted_open(&m, both, TEXT);
    inspection x;
    inspect_task task;
    err e = {0};
    if (!look(&x, &task, &m, 0, 1)) return;
    bool ok =
        inspect_record(&x, test_folder(), &e) && inspect_page(&x, test_folder(), "readers", &e);
    EXPECT(ok, "%s", e.text);
    static const char *const files[][2] = {{"inspect/changes.jsonl", "\"direction\":\"risen\""},
                                           {"inspect/changes.jsonl", "\"direction\":\"fallen\""},
                                           {"inspect/changes.jsonl", "\"moment\":0"},
                                           {"inspect/states.jsonl", "\"exchange\":\"read\""},
                                           {"inspect/states.jsonl", "\"uses\":\"write\""},
                                           {"inspect/states.jsonl", "\"spots\":\"read\""},
                                           {"inspect/index.html", "what its fast weights changed"},
                                           {"inspect/index.html", "read, states of blocks.0"}};
    for (size_t i = 0; ok && i < sizeof files / sizeof *files; i++) {
        char *text = file_read(test_inside(files[i][0]), NULL, &e);
        EXPECT(text && strstr(text, files[i][1]), "%s has no %s", files[i][0], files[i][1]);
        free(text);
    }
    EXPECT(!file_exists(test_inside("inspect/keys.jsonl")), "a part that nothing offers");
    inspection_deinit(&x);
    planted_close(&m);
}

const test_suite test_inspect_reading = {"harness/inspect_reading",
                                         {{"changes", changes},
                                          {"states", states},
                                          {"refuses", refuses},
                                          {"stops", stops},
                                          {"writes", writes},
                                          {0}}};
