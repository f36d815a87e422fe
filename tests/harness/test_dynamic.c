/* Dynamic evaluation: rows that learn from copies of their own; what must not change does not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/checkpoint.h"
#include "harness/train/trained_model.h"
#include "harness/train/trainer.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* A trained model, and evaluations of it by a text of options. */
typedef struct fixture {
    workload w;
    trainer *t;
    arena *memory;
} fixture;

static bool fixture_open(fixture *f, const char *more)
{
    err e = {0};
    train_report r;
    *f = (fixture){.memory = arena_new(1 << 16)};
    if (!trial_open(&f->w, TRIAL_SPEC, more, 9)) return false;
    f->t = trainer_new(&f->w, 1, (train_length){.steps = 5}, &e);
    EXPECT(f->t, "%s", e.text);
    for (int i = 0; f->t && i < 5; i++) {
        EXPECT(trainer_step(f->t, &r, &e), "%s", e.text);
    }
    return f->t;
}

static void fixture_close(fixture *f)
{
    trainer_free(f->t);
    workload_close(&f->w);
    arena_free(f->memory);
}

static bool try_options(fixture *f, evaluation *r, const char *options, int threads,
                        const char *path, err *e)
{
    eval_options *o = ARENA_NEW(f->memory, eval_options, 1);
    *r = (evaluation){0};
    node *n = node_parse(f->memory, options, strlen(options), "eval.yaml", e);
    if (!n || !eval_options_read(o, n, f->memory, e)) return false;
    eval_task task = {.model = f->w.eval_model,
                      .values = f->t->values,
                      .corpus = f->w.corpus,
                      .options = o,
                      .threads = threads,
                      .losses_path = path};
    return evaluate(r, &task, e);
}

static evaluation run(fixture *f, const char *options, int threads, const char *path)
{
    evaluation r;
    err e = {0};
    EXPECT(try_options(f, &r, options, threads, path, &e), "%s: %s", options, e.text);
    return r;
}

static void expect_same(const char *what, const evaluation *a, const evaluation *b)
{
    EXPECT(a->count == b->count && a->tokens == b->tokens, "%s: %d and %d documents", what,
           a->count, b->count);
    for (int i = 0; i < MIN(a->count, b->count); i++) {
        EXPECT(memcmp(&a->documents[i].nats, &b->documents[i].nats, sizeof(double)) == 0,
               "%s: document %d: %.17g, %.17g", what, i, a->documents[i].nats,
               b->documents[i].nats);
    }
}

/* ---- rate 0 ---- */

static void expect_same_file(const char *what, const char *a, const char *b)
{
    size_t n, m;
    err e = {0};
    char *x = file_read(a, &n, &e), *y = file_read(b, &m, &e);
    EXPECT(x && y && n == m && memcmp(x, y, n) == 0, "%s: other losses %s", what, e.text);
    free(x);
    free(y);
}

static const char STATELESS[] =
    "model: {width: 16, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]}\n";
static const char FAST[] =
    "model: {width: 16, context: 8, blocks: [{attention: {heads: 2}}], head: {kind: fwl}}\n";
/* Parts of a text that count for nothing are read. */
static const char ANSWERS[] =
    "data: {corpus: probe, task: copy, length: 2, distances: [20, 40], tokens: 4000,\n"
    "  held_out: 600, learn: answers}\n"
    "train: {budget: {steps: 5}, batch: 4, segment: 16, eval_every: 0}\n";

/* A rate of 0 is plain evaluation, to the bit. */
static void rate_zero(void)
{
    char plain[FILE_PATH_BYTES], dynamic[FILE_PATH_BYTES];
    const char *const models[] = {NULL, STATELESS, FAST, ANSWERS};
    file_join(plain, test_folder(), "plain.f32", NULL);
    file_join(dynamic, test_folder(), "dynamic.f32", NULL);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        fixture f;
        if (!fixture_open(&f, models[i])) return;
        evaluation a = run(&f, "{rows: 3}", 1, plain);
        evaluation b = run(&f, "{rows: 3, dynamic: {kind: sgd, rate: 0}}", 2, dynamic);
        expect_same("sgd", &a, &b);
        expect_same_file("sgd", plain, dynamic);
        evaluate_deinit(&b);
        b = run(&f, "{rows: 3, dynamic: {kind: rms, rate: 0, decay: 0.5, statistics: 500}}", 1,
                dynamic);
        expect_same("rms", &a, &b);
        expect_same_file("rms", plain, dynamic);
        evaluate_deinit(&a);
        evaluate_deinit(&b);
        fixture_close(&f);
    }
}

/* The same at segments of 3 of 8 positions: the forward pass in calls of that length. */
static void rate_zero_in_segments(void)
{
    fixture f;
    if (!fixture_open(&f, NULL)) return;
    char options[] = "{rows: 1, tokens: 150, dynamic: {kind: sgd, rate: 0, segment: 3}}";
    evaluation r = run(&f, options, 1, NULL);
    enum { LENGTH = 150, CONTEXT = 8 };
    int32_t tokens[LENGTH + 1] = {(int32_t)model_vocab(f.w.model)};
    err e = {0};
    corpus_split *split = corpus_get(f.w.corpus, SPLIT_VALIDATION);
    EXPECT(split_read(split, 0, 0, LENGTH, tokens + 1, &e), "%s", e.text);
    model_state *s = model_state_new(f.w.model, 1);
    tape *t = tape_new();
    double nats = 0;
    for (int at = 0, n; at < LENGTH; at += n) {
        double losses[3];
        n = MIN(3, MIN(LENGTH - at, CONTEXT - at % CONTEXT));
        model_call call = {.time = n,
                           .tokens = tokens + at,
                           .targets = tokens + at + 1,
                           .mode = MODE_EVAL,
                           .losses = losses};
        model_begin(s, t, f.t->values, NULL);
        model_forward(s, &call);
        model_end(s);
        for (int i = 0; i < n; i++) {
            nats += losses[i];
        }
    }
    /* The last call of the document is padded there: other shapes, so only rounding agrees. */
    EXPECT(fabs(r.nats - nats) <= (REAL_IS_DOUBLE ? 1e-11 : 1e-3), "%.17g, %.17g", r.nats, nats);
    tape_free(t);
    model_state_free(s);
    evaluate_deinit(&r);
    fixture_close(&f);
}

/* ---- learning ---- */

/* Rows learn from copies of their own: neither how many there are nor threads, which help where one
 * row alone reads, change a bit. */
static void rows_and_threads(void)
{
    fixture f;
    if (!fixture_open(&f, NULL)) return;
    const params *p = model_params_const(f.w.model);
    real *before = ARENA_NEW(f.memory, real, p->total);
    memcpy(before, f.t->values, (size_t)p->total * sizeof *before);
    const char *const rules[] = {"kind: sgd, rate: 0.1, decay: 0.01",
                                 "kind: rms, rate: 1e-3, decay: 0.01, statistics: 500"};
    for (int i = 0; i < 2; i++) {
        char one[160], three[160];
        snprintf(one, sizeof one, "{rows: 1, dynamic: {segment: 4, %s}}", rules[i]);
        snprintf(three, sizeof three, "{rows: 3, dynamic: {segment: 4, %s}}", rules[i]);
        evaluation a = run(&f, one, 1, NULL), b = run(&f, three, 2, NULL), c;
        expect_same(rules[i], &a, &b);
        c = run(&f, one, 3, NULL);
        expect_same(rules[i], &a, &c);
        evaluate_deinit(&a);
        evaluate_deinit(&c);
        evaluate_deinit(&b);
    }
    EXPECT(memcmp(before, f.t->values, (size_t)p->total * sizeof *before) == 0,
           "the trained parameters changed");
    fixture_close(&f);
}

/* Barely trained, the model learns from what it reads; most if it keeps it between documents. */
static void learning(void)
{
    fixture f;
    if (!fixture_open(&f, NULL)) return;
    evaluation plain = run(&f, "{rows: 1}", 1, NULL);
    evaluation reset = run(&f, "{rows: 1, dynamic: {kind: sgd, rate: 0.1}}", 1, NULL);
    evaluation carry = run(&f, "{rows: 1, dynamic: {kind: sgd, rate: 0.1, carry: true}}", 1, NULL);
    EXPECT(reset.nats < plain.nats && carry.nats < reset.nats, "%g, %g, %g", plain.nats, reset.nats,
           carry.nats);
    EXPECT(plain.flops_per_token * 2.9 < reset.flops_per_token, "%g and %g FLOPs",
           plain.flops_per_token, reset.flops_per_token);
    /* Only what matches learns: biases alone make another difference than everything. */
    evaluation part =
        run(&f, "{rows: 1, dynamic: {kind: sgd, rate: 0.1, match: \"*.bias\"}}", 1, NULL);
    EXPECT(fabs(part.nats - plain.nats) > 1e-3 && fabs(part.nats - reset.nats) > 1e-3, "%g, %g, %g",
           part.nats, plain.nats, reset.nats);
    evaluate_deinit(&plain);
    evaluate_deinit(&reset);
    evaluate_deinit(&carry);
    evaluate_deinit(&part);
    fixture_close(&f);
}

/* What the grid finds on validation is what is applied to test. */
static void grid(void)
{
    fixture f;
    if (!fixture_open(&f, NULL)) return;
    static const char GRID[] = "{split: test, rows: 2, dynamic: {kind: sgd, rates: [1e-6, 0.05], "
                               "decays: [0, 0.9], grid_tokens: 300}}";
    evaluation chosen = run(&f, GRID, 1, NULL);
    double least = (double)INFINITY, rate = -1, decay = -1;
    for (int i = 0; i < 4; i++) {
        char options[160];
        snprintf(options, sizeof options,
                 "{rows: 2, tokens: 300, dynamic: {kind: sgd, rate: %g, decay: %g}}",
                 i / 2 ? 0.05 : 1e-6, i % 2 ? 0.9 : 0.0);
        evaluation r = run(&f, options, 1, NULL);
        if (r.nats < least) {
            least = r.nats;
            rate = r.rate;
            decay = r.decay;
        }
        evaluate_deinit(&r);
    }
    EXPECT(chosen.rate == rate && chosen.decay == decay, "%g, %g instead of %g, %g", chosen.rate,
           chosen.decay, rate, decay);
    char options[160];
    snprintf(options, sizeof options,
             "{split: test, rows: 2, dynamic: {kind: sgd, rate: %g, decay: %g}}", rate, decay);
    evaluation applied = run(&f, options, 1, NULL);
    expect_same("applied", &chosen, &applied);
    evaluate_deinit(&chosen);
    evaluate_deinit(&applied);
    fixture_close(&f);
}

static void refusals(void)
{
    static const char *const cases[][2] = {
        {"{dynamic: rms}", "is not a map"},
        {"{dynamic: {kind: adam}}", "kind"},
        {"{dynamic: {rate: 1}}", "no effect with `kind: none`"},
        {"{dynamic: {kind: sgd, eps: 1}}", "no effect with `kind: sgd`"},
        {"{dynamic: {kind: sgd, rates: []}}", "a list of 1 to"},
        {"{dynamic: {kind: sgd, rates: [1, -1]}}", "rate"},
        {"{dynamic: {kind: sgd, rate: 1, rates: [1, 2]}}", "beside `rates`"},
        {"{dynamic: {kind: sgd, match: nothing}}", "matches no parameter"},
        {"{dynamic: {kind: sgd, segment: 12}}", "multiple"}};
    fixture f;
    if (!fixture_open(&f, NULL)) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        evaluation r;
        err e = {0};
        EXPECT(!try_options(&f, &r, cases[i][0], 1, NULL, &e), "%s is accepted", cases[i][0]);
        EXPECT(strstr(e.text, cases[i][1]), "%s: %s", cases[i][0], e.text);
    }
    fixture_close(&f);
}

/* Whether s / m says anything is looked at: decay would be passed over without a word. */
static void statistics_are_checked(void)
{
    const struct {
        double one, others;
        int wild;
        const char *error;
    } cases[] = {{1, 2, -1, ""},
                 {100, 1, -1, ""},
                 {1e6, 1, 1, ""},
                 {(double)NAN, 1, -1, "no numbers"},
                 {(double)INFINITY, 1, -1, "infinite"},
                 {0, 0, -1, "all 0"}};
    arena *a = arena_new(0);
    params p;
    const int64_t size = 3;
    params_init(&p, a);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        params_add(&p, name, ROLE_BIAS, 1, &size, (param_init){INIT_ZERO, 0});
    }
    params_seal(&p);
    grads g = {.values = arena_push_zero(a, p.total, sizeof(real)),
               .has = arena_push_zero(a, p.pieces, sizeof(bool))};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        dynamic_statistics s;
        err e = {0};
        int wild = -1;
        dynamic_statistics_init(&s, &p);
        for (int i = 0; i < 3; i++) {
            g.has[i] = true;
            for (int64_t k = 0; k < size; k++) {
                g.values[p.list[i].offset + k] = (real)(i == 1 ? cases[c].one : cases[c].others);
            }
        }
        dynamic_statistics_add(&s, &g);
        dynamic_statistics_close(&s, NULL);
        bool good = dynamic_statistics_check(&s, NULL, &wild, &e);
        EXPECT(good == !*cases[c].error && strstr(e.text, cases[c].error), "%g: %s", cases[c].one,
               e.text);
        EXPECT(wild == cases[c].wild, "%g: tensor %d", cases[c].one, wild);
        dynamic_statistics_deinit(&s);
    }
    arena_free(a);
}

/* Whoever opens the model: what training left alone learns nowhere. */
static void frozen(void)
{
    static const char more[] = "optimizer: {groups: [{match: 'blocks.*', freeze: true}]}\n"
                               "eval: {context: 32}\n";
    fixture f;
    err e = {0};
    char folder[FILE_PATH_BYTES];
    trained_model m;
    if (!fixture_open(&f, more)) return;
    EXPECT(file_join(folder, test_folder(), "checkpoint", &e) &&
               checkpoint_save(folder, f.t, "0123456789abcdef", &e) &&
               trained_model_load(&m, folder, NULL, NULL, &(corpus_places){0}, &e),
           "%s", e.text);
    const params *all[] = {model_params_const(f.w.model), model_params_const(f.w.eval_model),
                           e.text[0] ? NULL : model_params_const(m.model)};
    for (int k = 0; k < 3 && all[k]; k++) {
        for (int i = 0; i < all[k]->count; i++) {
            const param *p = &all[k]->list[i];
            EXPECT(p->frozen == (strncmp(p->name, "blocks.", 7) == 0), "model %d: %s", k, p->name);
        }
    }
    if (!e.text[0]) trained_model_close(&m);
    fixture_close(&f);
}

extern const test_suite test_dynamic;
const test_suite test_dynamic = {"harness/dynamic",
                                 {{"rate_zero", rate_zero},
                                  {"rate_zero_in_segments", rate_zero_in_segments},
                                  {"rows_and_threads", rows_and_threads},
                                  {"learning", learning},
                                  {"grid", grid},
                                  {"refusals", refusals},
                                  {"frozen", frozen},
                                  {"statistics_are_checked", statistics_are_checked},
                                  {0}}};
