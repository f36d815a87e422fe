/* What every layer and head of the registry must keep, at every option: adding a layer needs no
 * test of its own for these. Cases are named property/class {options}. */
#include "core/blas.h"
#include "tests/gradcheck.h"
#include "tests/layer_apply.h"
#include "tests/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 8, BLOCK = 4, VOCAB = MODEL_RUN_VOCAB, ROWS = 2, LENGTH = 18, MAX_VARIANTS = 512 };

/* ---- what is run: every class with its defaults, each option at its ends, and combinations ----
 */

typedef struct variant {
    const layer_class *cls;
    bool head;
    char options[160];
} variant;

/* Options that act together only. */
static const char *const COMBINATIONS[][2] = {
    {"attention", "{memory: 4}"},
    {"attention", "{memory: 6, positions: xpos, kv_heads: 2, bias: true}"},
    {"attention", "{memory: 5, positions: t5, t5_buckets: 4, t5_max_distance: 6}"},
    {"attention", "{memory: 7, positions: alibi, kv_heads: 1}"},
    {"attention", "{memory: 3, positions: none, qk_norm: l2}"},
    {"attention", "{window: 3, qk_norm: rms, kv_heads: 2}"},
    {"attention", "{window: 6, positions: t5, t5_buckets: 8, t5_max_distance: 12}"},
    {"attention", "{window: 7, memory: 2, head_dim: 6}"},
    {"attention", "{window: 2, memory: 9, dropout: 0.3}"},
    {"attention", "{heads: 2, head_dim: 6, theta: 100, positions: xpos}"},
    {"ffn", "{activation: swiglu, bias: false, hidden: 5}"},
    {"ffn", "{activation: relu2, bias: false}"},
    {"lstm", "{hidden: 5, forget_bias: 0}"},
};

static variant *add(variant *list, int *count, const layer_class *cls, bool head)
{
    CHECK(*count < MAX_VARIANTS, "%d variants", *count);
    variant *v = &list[(*count)++];
    *v = (variant){.cls = cls, .head = head};
    return v;
}

static void add_number(variant *list, int *count, const layer_class *cls, bool head,
                       const option *o, double value)
{
    variant *v = add(list, count, cls, head);
    snprintf(v->options, sizeof v->options, "{%s: %.12g}", o->name, value);
}

/* The option at its ends; whole numbers that size memory stop at 64 (beyond, only parsing is
 * tested). */
static void add_option(variant *list, int *count, const layer_class *cls, bool head,
                       const option *o)
{
    switch (o->type) {
    case OPTION_INT:
        add_number(list, count, cls, head, o, o->min);
        add_number(list, count, cls, head, o, MIN(o->max, 64));
        return;
    case OPTION_REAL:
        add_number(list, count, cls, head, o, o->min);
        add_number(list, count, cls, head, o, o->max);
        return;
    case OPTION_BOOL: {
        const char *other = strcmp(o->initial, "true") == 0 ? "false" : "true";
        variant *v = add(list, count, cls, head);
        snprintf(v->options, sizeof v->options, "{%s: %s}", o->name, other);
        return;
    }
    case OPTION_CHOICE:
        for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|') {
            variant *v = add(list, count, cls, head);
            snprintf(v->options, sizeof v->options, "{%s: %.*s}", o->name, (int)strcspn(p, "|"), p);
        }
        return;
    case OPTION_TEXT:
    case OPTION_NODE:
        return;
    }
}

static int all_variants(variant *list)
{
    int count = 0;
    for (int head = 0; head < 2; head++) {
        int classes;
        const layer_class *const *table = head ? head_classes(&classes) : layer_classes(&classes);
        for (int i = 0; i < classes; i++) {
            strcpy(add(list, &count, table[i], head)->options, "{}");
            for (const option *o = table[i]->options; o->name; o++) {
                add_option(list, &count, table[i], head, o);
            }
        }
    }
    for (size_t i = 0; i < sizeof COMBINATIONS / sizeof *COMBINATIONS; i++) {
        variant *v = add(list, &count, layer_class_find(COMBINATIONS[i][0]), false);
        snprintf(v->options, sizeof v->options, "%s", COMBINATIONS[i][1]);
    }
    return count;
}

/* Two layers of the variant (a head: on top of an attention and an ffn). NULL: the class refuses
 * these options in these dims, with a message that says where. */
static model_run *new_run(const variant *v, int64_t rows)
{
    err e = {{0}};
    model_run *r;
    if (v->head) {
        char options[160];
        snprintf(options, sizeof options, "%s", v->options + 1);
        r = model_run_format(rows, &e,
                             "{width: %d, context: %d, init: {std: 0.3}, blocks: [{attention: "
                             "{heads: 2}, ffn: {hidden: 6}}], head: {kind: %s%s%s}",
                             WIDTH, BLOCK, v->cls->name, options[0] == '}' ? "" : ", ", options);
    } else {
        r = model_run_format(rows, &e,
                             "{width: %d, context: %d, init: {std: 0.3}, blocks: [{repeat: 2, "
                             "%s: %s}]}",
                             WIDTH, BLOCK, v->cls->name, v->options);
    }
    if (!r) {
        EXPECT(strncmp(e.text, "test.yaml:1:", 12) == 0 && strstr(e.text, v->cls->name),
               "no place in: %s", e.text);
    }
    return r;
}

typedef void (*property)(const variant *v, model_run *r);

static void for_each(property check)
{
    static variant list[MAX_VARIANTS];
    int count = all_variants(list);
    for (int i = 0; i < count; i++) {
        if (!test_sub("%s %s", list[i].cls->name, list[i].options)) continue;
        model_run *r = new_run(&list[i], ROWS);
        if (r) check(&list[i], r);
        model_run_free(r);
    }
}

/* ---- a segment with everything in it: carried state, two calls, a reset between them ---- */

enum { PREFIX = 6, CALL_A = 6, CALL_B = 5 };

typedef struct segment {
    int32_t tokens[ROWS * LENGTH], targets[ROWS * LENGTH];
    real weights[ROWS * LENGTH];
    int64_t positions[ROWS];
    int views;
    state_view view[64]; /* after the prefix; data are copies in the run's memory */
} segment;

static void new_segment(segment *s, model_run *r)
{
    fill_tokens(s->tokens, ROWS * LENGTH, 3);
    fill_tokens(s->targets, ROWS * LENGTH, 4);
    s->tokens[PREFIX + CALL_A] = VOCAB; /* the start token */
    for (int i = 0; i < ROWS * LENGTH; i++) {
        s->weights[i] = (real)(i % 5 == 3 ? 0 : 0.5 + 0.25 * (i % 3));
    }
    model_state_clear(r->state);
    model_run_read(r, s->tokens, LENGTH, 0, PREFIX, NULL);
    s->views = model_state_views(r->state, s->view, 64);
    for (int i = 0; i < s->views; i++) {
        int64_t n = s->view[i].shape[0] * s->view[i].shape[1] * s->view[i].shape[2];
        real *copy = ARENA_NEW(r->memory, real, n);
        memcpy(copy, s->view[i].data, (size_t)n * sizeof(real));
        s->view[i].data = copy;
    }
    memcpy(s->positions, model_state_positions(r->state), sizeof s->positions);
}

static void restore(const segment *s, model_state *state)
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

static model_result one_call(const segment *s, model_state *state, int64_t time, int64_t at)
{
    /* The arrays are read as [rows, time] from `at` on: what they hold does not matter. */
    model_call call = {.time = time,
                       .tokens = s->tokens + at,
                       .targets = s->targets + at,
                       .weights = s->weights + at,
                       .total_weight = 7,
                       .mode = MODE_TRAIN,
                       .seed = 5};
    return model_forward(state, &call);
}

/* The loss of both calls; with g also its gradients. */
static double segment_loss(const segment *s, model_state *state, tape *t, const real *values,
                           grads *g)
{
    restore(s, state);
    model_begin(state, t, values, g);
    tensor *a = one_call(s, state, CALL_A, PREFIX).loss;
    model_state_reset_row(state, 1, 0); /* both rows stand at the beginning of a block */
    tensor *b = one_call(s, state, CALL_B, PREFIX + CALL_A).loss;
    tensor *loss = op_add(t, a, b);
    double value = (double)*loss->data;
    if (g) tape_backward(t, loss, 1);
    model_end(state);
    return value;
}

/* ---- gradients ---- */

/* Five-point difference: truncation h^4 L(5) / 30 ~ 1e-17, rounding 1e-16 L / h ~ 1e-12. */
static double numeric_gradient(const segment *s, model_run *r, real *x, real h)
{
    const real at = *x;
    double d[4];
    const int steps[4] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
        *x = at + (real)steps[i] * h;
        d[i] = segment_loss(s, r->state, r->tape, r->values, NULL);
    }
    *x = at;
    return (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * (double)h);
}

static double rms(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum / (double)n);
}

static void check_gradients(const variant *v, model_run *r)
{
    (void)v;
    segment s;
    new_segment(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (q->frozen || q->pieces > 1) continue;
        const real *grad = r->grads.values + q->offset;
        /* 1e-6 relative; 1e-11 absolute for the rounding of the differences. */
        double limit = 1e-6 * rms(grad, q->count) + 1e-11;
        int64_t stride = MAX(1, q->count / 5);
        for (int64_t k = 0; k < q->count; k += stride) {
            double error = INFINITY, numeric = 0;
            /* A kink (relu) may lie within the first step, hardly within the second. */
            for (int step = 0; step < 2 && !(error <= limit); step++) {
                numeric =
                    numeric_gradient(&s, r, r->values + q->offset + k, (real)(step ? 1e-6 : 1e-4));
                error = fabs((double)grad[k] - numeric);
            }
            EXPECT(error <= limit, "%s[%lld]: gradient %.12g, difference %.12g", q->name,
                   (long long)k, (double)grad[k], numeric);
        }
    }
}

static void gradients(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    for_each(check_gradients);
}

static void check_reached(const variant *v, model_run *r)
{
    segment s;
    new_segment(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        /* The bias of a t5 bucket far away, or an expert, may go unused: look at the whole. */
        if (q->frozen || q->pieces > 1) continue;
        bool has = r->grads.has[q->first_piece];
        EXPECT(has && rms(r->grads.values + q->offset, q->count) > 0, "%s: no gradient for %s",
               v->options, q->name);
    }
}

static void every_parameter(void)
{
    for_each(check_reached);
}

/* ---- causality, cuts, state ---- */

static void read_cut(model_run *r, const int32_t *tokens, int64_t cut, real *logits)
{
    model_state_clear(r->state);
    for (int64_t at = 0; at < LENGTH; at += cut) {
        model_run_read(r, tokens, LENGTH, at, MIN(cut, LENGTH - at), logits);
    }
}

static void check_causality(const variant *v, model_run *r)
{
    static real before[ROWS * LENGTH * VOCAB], after[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 7);
    read_cut(r, tokens, LENGTH, before);
    for (int t = 1; t < LENGTH; t += 3) {
        int32_t changed[ROWS * LENGTH];
        memcpy(changed, tokens, sizeof changed);
        changed[t] = (changed[t] + 1) % VOCAB;
        read_cut(r, changed, LENGTH, after);
        bool same = memcmp(before, after, (size_t)(t * VOCAB) * sizeof(real)) == 0;
        EXPECT(same != model_oracle(r->model), "%s: a change at %d is %sseen before it", v->options,
               t, same ? "not " : "");
        /* The other row sees nothing of it. */
        EXPECT(
            !memcmp(before + LENGTH * VOCAB, after + LENGTH * VOCAB, sizeof(real) * LENGTH * VOCAB),
            "rows mix");
    }
}

static void causality(void)
{
    for_each(check_causality);
}

static void check_cuts(const variant *v, model_run *r)
{
    static real whole[ROWS * LENGTH * VOCAB], cut[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 8);
    tokens[0] = tokens[LENGTH] = VOCAB;
    read_cut(r, tokens, LENGTH, whole);
    const int64_t cuts[] = {1, 3, BLOCK, 7};
    for (int i = 0; i < 4; i++) {
        read_cut(r, tokens, cuts[i], cut);
        /* Same sums in other orders: double 1e-9 with room for exp; float: its eps is 2^29 times
         * double's, a few hundred operations deep. */
        double tolerance = REAL_IS_DOUBLE ? 1e-9 : 5e-5;
        char what[200];
        snprintf(what, sizeof what, "%s by %lld", v->options, (long long)cuts[i]);
        expect_close(what, cut, whole, ROWS * LENGTH * VOCAB, tolerance, tolerance);
    }
}

static void cut_invariance(void)
{
    for_each(check_cuts);
}

static void check_saving(const variant *v, model_run *r)
{
    static real straight[ROWS * LENGTH * VOCAB], resumed[ROWS * LENGTH * VOCAB];
    segment s;
    new_segment(&s, r);
    model_run_read(r, s.tokens, LENGTH, PREFIX, LENGTH - PREFIX, straight);
    model_state *other = model_state_new(r->model, ROWS), *mine = r->state;
    restore(&s, other);
    r->state = other;
    model_run_read(r, s.tokens, LENGTH, PREFIX, LENGTH - PREFIX, resumed);
    r->state = mine;
    model_state_free(other);
    for (int row = 0; row < ROWS; row++) {
        int64_t at = (row * LENGTH + PREFIX) * VOCAB;
        EXPECT(!memcmp(straight + at, resumed + at, sizeof(real) * (LENGTH - PREFIX) * VOCAB),
               "%s: other bits after saving", v->options);
    }
}

static void saving(void)
{
    for_each(check_saving);
}

static void check_state_matters(const variant *v, model_run *r)
{
    static real before[ROWS * LENGTH * VOCAB], after[ROWS * LENGTH * VOCAB];
    segment s;
    new_segment(&s, r);
    model_run_read(r, s.tokens, LENGTH, PREFIX, 1, before);
    for (int i = 0; i < s.views; i++) {
        int64_t n = s.view[i].shape[0] * s.view[i].shape[1] * s.view[i].shape[2];
        if (strncmp(s.view[i].name, "head.", 5) != 0 && v->head) continue;
        s.view[i].data[n - 1] += (real)0.5; /* the newest entry of the last row */
        restore(&s, r->state);
        model_run_read(r, s.tokens, LENGTH, PREFIX, 1, after);
        int64_t at = (LENGTH + PREFIX) * VOCAB;
        EXPECT(memcmp(before + at, after + at, sizeof(real) * VOCAB) != 0, "%s changes nothing",
               s.view[i].name);
    }
}

static void state_matters(void)
{
    for_each(check_state_matters);
}

/* A row that was reset gives the bits of a fresh one: it sees nothing of what it left behind. */
static void check_reset(const variant *v, model_run *r)
{
    static real fresh[ROWS * LENGTH * VOCAB], again[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 9);
    model_state_clear(r->state);
    model_run_read(r, tokens, LENGTH, 0, 6, fresh);
    model_state_clear(r->state);
    model_run_read(r, tokens, LENGTH, 8, 2 * BLOCK, NULL);
    model_state_reset_row(r->state, 1, 0);
    model_run_read(r, tokens, LENGTH, 0, 6, again);
    double tolerance = REAL_IS_DOUBLE ? 1e-9 : 5e-5; /* as for cuts */
    expect_close(v->options, again + LENGTH * VOCAB, fresh + LENGTH * VOCAB, 6 * VOCAB, tolerance,
                 tolerance);
}

static void reset_rows(void)
{
    for_each(check_reset);
}

/* ---- threads and memory ---- */

typedef struct thread_job {
    const segment *s;
    model_run *r;
    grads g;
    double loss;
} thread_job;

static void *train_in_thread(void *user)
{
    thread_job *job = user;
    model_state *state = model_state_new(job->r->model, ROWS);
    tape *t = tape_new();
    job->loss = segment_loss(job->s, state, t, job->r->values, &job->g);
    tape_free(t);
    model_state_free(state);
    return NULL;
}

static void check_threads(const variant *v, model_run *r)
{
    segment s;
    new_segment(&s, r);
    const params *p = model_params_const(r->model);
    double loss = segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    thread_job jobs[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        jobs[i] = (thread_job){.s = &s, .r = r};
        jobs[i].g.values = arena_push_zero(r->memory, p->total, sizeof(real));
        jobs[i].g.has = arena_push_zero(r->memory, p->pieces, sizeof(bool));
        CHECK(!pthread_create(&threads[i], NULL, train_in_thread, &jobs[i]), "no thread");
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EXPECT(jobs[i].loss == loss &&
                   !memcmp(jobs[i].g.values, r->grads.values, (size_t)p->total * sizeof(real)),
               "%s: other bits in another thread", v->options);
    }
}

static void threads_agree(void)
{
    for_each(check_threads);
}

static void check_memory(const variant *v, model_run *r)
{
    segment s;
    new_segment(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    int64_t maps = tape_maps(r->tape);
    for (int i = 0; i < 3; i++) {
        segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    }
    EXPECT(tape_maps(r->tape) == maps, "%s maps memory in every step", v->options);
}

static void memory_is_kept(void)
{
    for_each(check_memory);
}

/* ---- one layer alone ---- */

static void check_finite(const variant *v)
{
    layer_dims dims = {WIDTH, VOCAB, BLOCK, 0, 1};
    err e;
    static const int64_t counts[VOCAB] = {1, 1, 1, 1, 1, 1, 1};
    layer_build inputs = {.token_counts = counts};
    layer_apply *a = layer_apply_new(v->cls->name, v->options, &dims, ROWS, &inputs, &e);
    if (!a) return; /* refused: see new_run */
    enum { TIME = 6 };
    real x[ROWS * TIME * WIDTH], ones[ROWS * TIME * 64];
    fill_uniform(x, ROWS * TIME * WIDTH, 1);
    for (int kind = 0; kind < 3; kind++) { /* zeros, 1e4, one vector again and again */
        for (int i = 0; i < ROWS * TIME * WIDTH; i++) {
            x[i] = kind == 0 ? 0 : kind == 1 ? (real)1e4 : x[i % WIDTH];
        }
        for (int i = 0; i < ROWS * TIME * 64; i++) {
            ones[i] = 1;
        }
        layer_apply_call call = {.time = TIME, .x = x, .cotangent = ones};
        layer_apply_reset(a);
        layer_apply_run(a, &call);
        double sum = 0, slope = 0;
        for (int64_t i = 0; i < tensor_count(call.y); i++) {
            sum += fabs((double)call.y->data[i]);
        }
        for (int i = 0; i < ROWS * TIME * WIDTH; i++) {
            slope += fabs((double)call.dx[i]);
        }
        EXPECT(isfinite(sum) && isfinite(slope), "input %d: |y| %g, |dx| %g", kind, sum, slope);
        fill_uniform(x, WIDTH, 1);
    }
    layer_apply_free(a);
}

static void finite_output(void)
{
    static variant list[MAX_VARIANTS];
    int count = all_variants(list);
    for (int i = 0; i < count; i++) {
        if (!test_sub("%s %s", list[i].cls->name, list[i].options)) continue;
        check_finite(&list[i]);
    }
}

/* FLOPs declared for a full context against the products that were run: none missing, and no more
 * than what the tiles of 64 queries compute for nothing. */
static void check_flops(const layer_class *cls, const char *options)
{
    enum { LONG = 1024, WIDE = 16 };
    layer_dims dims = {WIDE, VOCAB, LONG, 0, 1};
    err e;
    static const int64_t counts[VOCAB] = {1, 1, 1, 1, 1, 1, 1};
    layer_build inputs = {.token_counts = counts};
    layer_apply *a = layer_apply_new(cls->name, options, &dims, 1, &inputs, &e);
    CHECK(a, "%s", e.text);
    real *x = ARENA_NEW(a->memory, real, LONG * WIDE);
    int32_t *tokens = ARENA_NEW(a->memory, int32_t, LONG);
    fill_uniform(x, LONG * WIDE, 2);
    fill_tokens(tokens, LONG, 2);
    layer_apply_call call = {.time = LONG, .x = x, .tokens = tokens, .targets = tokens};
    layer_apply_run(a, &call);
    double before = blas_flops();
    layer_apply_run(a, &call);
    double counted = (blas_flops() - before) / LONG, declared = cls->cost(&a->layer).forward_flops;
    EXPECT(counted >= declared * (1 - 1e-12) && counted <= declared * 1.1,
           "%s %s: %.9g FLOPs declared, %.9g counted", cls->name, options, declared, counted);
    layer_apply_free(a);
}

static void declared_flops(void)
{
    for (int head = 0; head < 2; head++) {
        int count;
        const layer_class *const *classes = head ? head_classes(&count) : layer_classes(&count);
        for (int i = 0; i < count; i++) {
            if (test_sub("%s", classes[i]->name)) check_flops(classes[i], "{}");
        }
    }
    if (!test_sub("options")) return;
    check_flops(layer_class_find("attention"), "{memory: 512}");
    check_flops(layer_class_find("attention"), "{window: 1000, kv_heads: 2}");
    check_flops(layer_class_find("ffn"), "{activation: swiglu}");
    check_flops(layer_class_find("lstm"), "{hidden: 9}");
}

/* ---- options ---- */

/* The resolved spec builds the same model again; its identity is that of the original. */
static void check_resolved(const variant *v, model_run *r)
{
    err e = {{0}};
    node *resolved = model_resolved(r->model, r->memory);
    char *identity = node_json(r->memory, model_changed(r->model, r->memory), true);
    model_run *again = model_run_new(node_json(r->memory, resolved, true), ROWS, &e);
    EXPECT(again, "%s: %s", v->options, e.text);
    if (!again) return;
    const params *p = model_params_const(r->model), *q = model_params_const(again->model);
    EXPECT(p->count == q->count && p->total == q->total, "%d and %d parameters", p->count,
           q->count);
    char *other = node_json(r->memory, model_changed(again->model, r->memory), true);
    EXPECT(strcmp(identity, other) == 0, "%s became %s", identity, other);
    model_run_free(again);
}

static void resolved_spec(void)
{
    for_each(check_resolved);
}

/* Every bound can be written, and nothing beyond it. */
static void check_bounds(const layer_class *cls)
{
    arena *a = arena_new(0);
    void *options = arena_push_zero(a, 1, MAX(cls->options_bytes, 1));
    for (const option *o = cls->options; o->name; o++) {
        EXPECT(o->help && *o->help, "%s has no help", o->name);
        if (o->type != OPTION_INT && o->type != OPTION_REAL) continue;
        const double values[] = {o->min, o->max, o->min - 1, o->max * 2 + 1};
        for (int i = 0; i < 4; i++) {
            char text[64];
            err e;
            snprintf(text, sizeof text, o->type == OPTION_INT ? "%.0f" : "%.17g", values[i]);
            bool fits = option_read_text(options, o, text, a, &e);
            EXPECT(fits == (i < 2), "%s.%s: %s %s", cls->name, o->name, text,
                   fits ? "taken" : e.text);
        }
    }
    arena_free(a);
}

static void option_bounds(void)
{
    for (int head = 0; head < 2; head++) {
        int count;
        const layer_class *const *classes = head ? head_classes(&count) : layer_classes(&count);
        for (int i = 0; i < count; i++) {
            if (test_sub("%s", classes[i]->name)) check_bounds(classes[i]);
        }
    }
}

/* ---- float against double: the double build writes its logits for the float build ---- */

static void logits_and_gradients(model_run *r, double *out, int64_t *n)
{
    segment s;
    real logits[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 8);
    read_cut(r, tokens, 7, logits);
    new_segment(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    const params *p = model_params_const(r->model);
    *n = 0;
    for (int i = 0; i < ROWS * LENGTH * VOCAB; i++) {
        out[(*n)++] = (double)logits[i];
    }
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        for (int64_t k = 0; k < q->count && !q->frozen && q->pieces == 1; k += 3) {
            out[(*n)++] = (double)r->grads.values[q->offset + k];
        }
    }
}

enum { MAX_FIGURES = 1 << 16 };

static bool sibling_program(char *path, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, bytes - 16);
    if (n < 0) return false;
    path[n] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (!slash) return false;
        *slash = 0;
    }
    strcat(path, "/f64/test");
    return access(path, X_OK) == 0;
}

static void write_all(FILE *f)
{
    static variant list[MAX_VARIANTS];
    static double figures[MAX_FIGURES];
    int count = all_variants(list);
    for (int i = 0; i < count; i++) {
        model_run *r = new_run(&list[i], ROWS);
        int64_t n = 0;
        if (r) logits_and_gradients(r, figures, &n);
        fwrite(&n, sizeof n, 1, f);
        fwrite(figures, sizeof *figures, (size_t)n, f);
        model_run_free(r);
    }
}

static void compare_all(FILE *f)
{
    static variant list[MAX_VARIANTS];
    static double mine[MAX_FIGURES], theirs[MAX_FIGURES];
    int count = all_variants(list);
    for (int i = 0; i < count; i++) {
        model_run *r = new_run(&list[i], ROWS);
        int64_t n = 0, m = -1;
        if (r) logits_and_gradients(r, mine, &n);
        model_run_free(r);
        bool read = fread(&m, sizeof m, 1, f) == 1 && m == n &&
                    fread(theirs, sizeof *theirs, (size_t)n, f) == (size_t)n;
        EXPECT(read, "the double build gives %lld figures, not %lld", (long long)m, (long long)n);
        if (!read) return;
        double worst = 0, squares = 0;
        for (int64_t k = 0; k < n; k++) {
            worst = MAX(worst, fabs(mine[k] - theirs[k]));
            squares += theirs[k] * theirs[k];
        }
        /* A few hundred roundings of 6e-8 in a row, relative to the size of the figures. */
        double limit = n ? 1e-4 * sqrt(squares / (double)n) + 1e-6 : 0;
        EXPECT(worst <= limit, "%s %s: float and double differ by %g (allowed %g)",
               list[i].cls->name, list[i].options, worst, limit);
    }
}

static void float_and_double(void)
{
    const char *to = getenv("LOCI_TEST_FIGURES");
    char program[4200], command[9000], file[4200];
    if (REAL_IS_DOUBLE) {
        FILE *f = to ? fopen(to, "wb") : NULL;
        if (!f) {
            test_skip("the float build asks for this");
            return;
        }
        write_all(f);
        fclose(f);
        return;
    }
    if (!sibling_program(program, sizeof program)) {
        test_skip("no double build beside this one");
        return;
    }
    snprintf(file, sizeof file, "%s/figures", test_folder());
    snprintf(command, sizeof command,
             "LOCI_TEST_FIGURES='%s' '%s' layers/conformance/float_and_double >/dev/null", file,
             program);
    int status = system(command);
    FILE *f = fopen(file, "rb");
    EXPECT(status == 0 && f, "%s failed", command);
    if (!f) return;
    compare_all(f);
    fclose(f);
}

extern const test_suite test_conformance;
const test_suite test_conformance = {"layers/conformance",
                                     {{"gradients", gradients},
                                      {"every_parameter", every_parameter},
                                      {"causality", causality},
                                      {"cut_invariance", cut_invariance},
                                      {"saving", saving},
                                      {"state_matters", state_matters},
                                      {"reset_rows", reset_rows},
                                      {"threads_agree", threads_agree},
                                      {"memory_is_kept", memory_is_kept},
                                      {"finite_output", finite_output},
                                      {"declared_flops", declared_flops},
                                      {"resolved_spec", resolved_spec},
                                      {"option_bounds", option_bounds},
                                      {"float_and_double", float_and_double},
                                      {0}}};
