/* What every layer and head of the registry must keep, at every option: adding a layer needs no
 * test of its own for these. Cases are named property/class {options}. */
#include "tests/support/gradcheck.h"
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VOCAB = MODEL_RUN_VOCAB, ROWS = CHECK_ROWS, BLOCK = CHECK_BLOCK, LENGTH = CHECK_LENGTH };
enum { PREFIX = CHECK_PREFIX };

typedef void (*property)(const char *what, model_run *r);

static void for_each(const char *name, property check)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!layer_variant_drawn(&list[i], name)) continue;
        if (!test_sub("%s %s", list[i].cls->name, list[i].options)) continue;
        model_run *r = layer_variant_run(&list[i], ROWS);
        if (r) check(list[i].options, r);
        model_run_free(r);
    }
}

static void gradients(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    for_each("gradients", check_gradients);
}

static void every_parameter(void)
{
    for_each("reached", check_reached);
}

/* ---- causality, cuts, state ---- */

/* Experts see groups of other sizes where another token changes, and the bits of a row of BLAS's
 * products, which double has, depend on how many rows there are. */
static bool groups_rows(const model *m)
{
    const params *p = model_params_const(m);
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].pieces > 1) return true;
    }
    return false;
}

static bool unchanged(const model_run *r, const real *before, const real *after, int64_t n)
{
    if (!REAL_IS_DOUBLE || !groups_rows(r->model))
        return memcmp(before, after, (size_t)n * sizeof(real)) == 0;
    for (int64_t i = 0; i < n; i++) {
        /* of numbers about 1; leaks are far larger */
        if (!(fabs((double)before[i] - (double)after[i]) <= 1e-12)) return false;
    }
    return true;
}

static void check_causality(const char *what, model_run *r)
{
    static real before[ROWS * LENGTH * VOCAB], after[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 7);
    read_in_cuts(r, tokens, LENGTH, before);
    for (int t = 1; t < LENGTH; t += 3) {
        int32_t changed[ROWS * LENGTH];
        memcpy(changed, tokens, sizeof changed);
        changed[t] = (changed[t] + 1) % VOCAB;
        read_in_cuts(r, changed, LENGTH, after);
        bool same = unchanged(r, before, after, t * VOCAB);
        EXPECT(same != model_oracle(r->model), "%s: a change at %d is %sseen before it", what, t,
               same ? "not " : "");
        /* The other row sees nothing of it. */
        EXPECT(unchanged(r, before + LENGTH * VOCAB, after + LENGTH * VOCAB, LENGTH * VOCAB),
               "rows mix");
    }
}

static void causality(void)
{
    for_each("causality", check_causality);
}

static void cut_invariance(void)
{
    for_each("cuts", check_cuts);
}

static void check_saving(const char *what, model_run *r)
{
    static real straight[ROWS * LENGTH * VOCAB], resumed[ROWS * LENGTH * VOCAB];
    segment s;
    segment_init(&s, r);
    model_run_read(r, s.tokens, LENGTH, PREFIX, LENGTH - PREFIX, straight);
    model_state *other = model_state_new(r->model, ROWS), *mine = r->state;
    segment_restore(&s, other);
    r->state = other;
    model_run_read(r, s.tokens, LENGTH, PREFIX, LENGTH - PREFIX, resumed);
    r->state = mine;
    model_state_free(other);
    for (int row = 0; row < ROWS; row++) {
        int64_t at = (row * LENGTH + PREFIX) * VOCAB;
        EXPECT(!memcmp(straight + at, resumed + at, sizeof(real) * (LENGTH - PREFIX) * VOCAB),
               "%s: other bits after saving", what);
    }
}

static void saving(void)
{
    for_each("saving", check_saving);
}

static void check_state_matters(const char *what, model_run *r)
{
    static real before[ROWS * LENGTH * VOCAB], after[ROWS * LENGTH * VOCAB];
    segment s;
    segment_init(&s, r);
    model_run_read(r, s.tokens, LENGTH, PREFIX, 1, before);
    for (int i = 0; i < s.views; i++) {
        int64_t n = s.view[i].shape[0] * s.view[i].shape[1] * s.view[i].shape[2];
        size_t name = strlen(s.view[i].name);
        bool store = name > 6 && strcmp(s.view[i].name + name - 6, ".store") == 0;
        if (store) continue; /* what it holds may be seen much later */
        /* All of the last row: scores that start large may leave a single entry a weight of 0. Not
         * all alike, which the last norm would take out again. */
        for (int64_t j = n - n / s.view[i].shape[0]; j < n; j++) {
            s.view[i].data[j] += j % 2 ? (real)0.5 : (real)-0.25;
        }
        segment_restore(&s, r->state);
        model_run_read(r, s.tokens, LENGTH, PREFIX, 1, after);
        int64_t at = (LENGTH + PREFIX) * VOCAB;
        EXPECT(memcmp(before + at, after + at, sizeof(real) * VOCAB) != 0, "%s: %s changes nothing",
               what, s.view[i].name);
    }
}

static void state_matters(void)
{
    for_each("state_matters", check_state_matters);
}

/* A row that was reset gives the bits of a fresh one: it sees nothing of what it left behind. */
static void check_reset(const char *what, model_run *r)
{
    if (model_unreset(r->model)) return;
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
    expect_close(what, again + LENGTH * VOCAB, fresh + LENGTH * VOCAB, 6 * VOCAB, tolerance,
                 tolerance);
}

static void reset_rows(void)
{
    for_each("reset", check_reset);
}

/* What is forgotten on purpose, where a block begins, leaves numbers. */
static void check_forgetting(const char *what, model_run *r)
{
    static real logits[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 9);
    for (int kind = SLOT_STATE; kind <= SLOT_CACHE; kind++) {
        model_state_clear(r->state);
        model_run_read(r, tokens, LENGTH, 0, BLOCK, logits);
        model_state_forget(r->state, NULL, (slot_kind)kind);
        model_run_read(r, tokens, LENGTH, BLOCK, 2 * BLOCK, logits);
        bool finite = true;
        for (int row = 0; row < ROWS; row++) {
            for (int i = BLOCK * VOCAB; i < 3 * BLOCK * VOCAB; i++) {
                finite &= isfinite(logits[row * LENGTH * VOCAB + i]) != 0;
            }
        }
        EXPECT(finite, "%s: kind %d is forgotten, and outputs are no numbers", what, kind);
    }
}

static void forgetting(void)
{
    for_each("forgetting", check_forgetting);
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

static void check_threads(const char *what, model_run *r)
{
    segment s;
    segment_init(&s, r);
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
               "%s: other bits in another thread", what);
    }
}

static void threads_agree(void)
{
    for_each("threads", check_threads);
}

static void check_memory(const char *what, model_run *r)
{
    segment s;
    segment_init(&s, r);
    segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    int64_t maps = tape_maps(r->tape);
    for (int i = 0; i < 3; i++) {
        segment_loss(&s, r->state, r->tape, r->values, &r->grads);
    }
    EXPECT(tape_maps(r->tape) == maps, "%s maps memory in every step", what);
}

static void memory_is_kept(void)
{
    for_each("memory", check_memory);
}

/* ---- options ---- */

/* The resolved spec builds the same model again; its identity is that of the original. */
static void check_resolved(const char *what, model_run *r)
{
    err e = {0};
    node *resolved = model_resolved(r->model, r->memory);
    char *identity = node_json(r->memory, model_changed(r->model, r->memory), true);
    model_run *again = model_run_new(node_json(r->memory, resolved, true), ROWS, &e);
    EXPECT(again, "%s: %s", what, e.text);
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
    for_each("resolved", check_resolved);
}

/* ---- float against double: the float build writes its figures for the double build ---- */

enum { MAX_FIGURES = 1 << 16 };

static void logits_and_gradients(model_run *r, double *out, int64_t *n)
{
    segment s;
    real logits[ROWS * LENGTH * VOCAB];
    int32_t tokens[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 8);
    read_in_cuts(r, tokens, 7, logits);
    segment_init(&s, r);
    uint64_t routing;
    segment_routed_loss(&s, r->state, r->tape, r->values, &r->grads, &routing);
    const params *p = model_params_const(r->model);
    *n = 0;
    out[(*n)++] = (double)(routing % 1000000);
    for (int i = 0; i < ROWS * LENGTH * VOCAB; i++) {
        out[(*n)++] = (double)logits[i];
    }
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        int64_t stride = MAX(3, q->count / 512);
        for (int64_t k = 0; k < q->count && !q->frozen && q->pieces == 1; k += stride) {
            CHECK(*n < MAX_FIGURES, "more than %d figures", MAX_FIGURES);
            out[(*n)++] = (double)r->grads.values[q->offset + k];
        }
    }
}

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
    strcat(path, "/release/test");
    return access(path, X_OK) == 0;
}

static void write_all(FILE *f)
{

    static double figures[MAX_FIGURES];
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!layer_variant_drawn(&list[i], "float_and_double")) continue;
        model_run *r = layer_variant_run(&list[i], ROWS);
        int64_t n = 0;
        if (r) logits_and_gradients(r, figures, &n);
        fwrite(&n, sizeof n, 1, f);
        fwrite(figures, sizeof *figures, (size_t)n, f);
        model_run_free(r);
    }
}

static double worst_of(const double *a, const double *b, int64_t n)
{
    double worst = 0;
    for (int64_t k = 1; k < n; k++) {
        worst = MAX(worst, fabs(a[k] - b[k]));
    }
    return worst;
}

/* How far the figures move where every parameter is rounded as floats are, which is the least that
 * a float build does: the condition of the variant, in one figure. */
static double moved_by_rounding(const layer_variant *v, const double *mine, int64_t n)
{
    static double moved[MAX_FIGURES];
    double most = 0;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        model_run *r = layer_variant_run(v, ROWS);
        const params *p = model_params_const(r->model);
        real *off = ARENA_NEW(r->memory, real, p->total);
        int64_t m;
        fill_uniform(off, p->total, seed);
        for (int i = 0; i < p->count; i++) {
            const param *q = &p->list[i];
            for (int64_t k = q->offset; !q->frozen && k < q->offset + q->count; k++) {
                r->values[k] *= (real)(1 + (double)off[k] * 0x1p-24);
            }
        }
        logits_and_gradients(r, moved, &m);
        if (moved[0] == mine[0]) most = MAX(most, worst_of(mine, moved, n));
        model_run_free(r);
    }
    return most;
}

static void expect_like(const layer_variant *v, const double *mine, const double *theirs, int64_t n)
{
    /* Where training chose other experts (ties), only the logits compare. */
    if (n && mine[0] != theirs[0]) n = 1 + ROWS * LENGTH * VOCAB;
    double worst = worst_of(mine, theirs, n), squares = 0;
    for (int64_t k = 1; k < n; k++) {
        squares += mine[k] * mine[k];
    }
    /* A few hundred roundings of 6e-8 in a row, relative to the size of the figures. */
    double limit = n ? 1e-4 * sqrt(squares / (double)n) + 1e-6 : 0;
    /* Sharp scores in small heads are worse conditioned than that; results round, too. */
    if (worst > limit) limit = 8 * moved_by_rounding(v, mine, n);
    EXPECT(worst <= limit,
           "%s %s: float and double (build/release, if not older) differ by %g (allowed %g)",
           v->cls->name, v->options, worst, limit);
}

static void compare_all(FILE *f)
{

    static double mine[MAX_FIGURES], theirs[MAX_FIGURES];
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!layer_variant_drawn(&list[i], "float_and_double")) continue;
        model_run *r = layer_variant_run(&list[i], ROWS);
        int64_t n = 0, m = -1;
        if (r) logits_and_gradients(r, mine, &n);
        model_run_free(r);
        bool read = fread(&m, sizeof m, 1, f) == 1 && m == n &&
                    fread(theirs, sizeof *theirs, (size_t)n, f) == (size_t)n;
        EXPECT(read, "the float build gives %lld figures, not %lld", (long long)m, (long long)n);
        if (!read) return;
        expect_like(&list[i], mine, theirs, n);
    }
}

static void float_and_double(void)
{
    const char *to = getenv("LOCI_TEST_FIGURES");
    char program[4200], command[9000], file[4200];
    if (!REAL_IS_DOUBLE) {
        FILE *f = to ? fopen(to, "wb") : NULL;
        if (!f) {
            test_skip("the double build asks for this");
            return;
        }
        write_all(f);
        fclose(f);
        return;
    }
    if (!sibling_program(program, sizeof program)) {
        test_skip("no float build beside this one");
        return;
    }
    snprintf(file, sizeof file, "%s/figures", test_folder());
    snprintf(command, sizeof command,
             "LOCI_TEST_FIGURES='%s' '%s' layers/conformance/float_and_double >/dev/null", file,
             program);
    int status = system(command);
    FILE *f = fopen(file, "rb");
    if (!f) {
        test_skip("the float build beside this one lacks this case (status %d)", status);
        return;
    }
    compare_all(f);
    fclose(f);
}

extern const test_suite test_conformance;
const test_suite test_conformance = {"layers/conformance",
                                     {{"gradients/", gradients},
                                      {"every_parameter/", every_parameter},
                                      {"causality/", causality},
                                      {"cut_invariance/", cut_invariance},
                                      {"saving/", saving},
                                      {"state_matters/", state_matters},
                                      {"reset_rows/", reset_rows},
                                      {"forgetting/", forgetting},
                                      {"threads_agree/", threads_agree},
                                      {"memory_is_kept/", memory_is_kept},
                                      {"resolved_spec/", resolved_spec},
                                      {"float_and_double", float_and_double},
                                      {0}}};
