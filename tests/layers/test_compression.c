/* Compressed memory beyond its gradients: who learns from the reconstruction, what most_used keeps.
 */
#include "tests/support/gradcheck.h"
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { VOCAB = MODEL_RUN_VOCAB, BLOCK = 4, LENGTH = 16 };

#define MODEL(MORE)                                                                                \
    "{width: 8, context: 4, init: {std: 0.5}, blocks: [{compressed_memory: {heads: 2, memory: 4, " \
    "compressed: 16, " MORE "}}]}"

/* Training loss of a fresh row, auxiliary losses included; gradients into r->grads. */
static double loss_of(void *user)
{
    model_run *r = user;
    int32_t tokens[LENGTH], targets[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    fill_tokens(targets, LENGTH, 2);
    model_state_clear(r->state);
    model_begin(r->state, r->tape, r->values, &r->grads);
    model_call call = {.time = LENGTH,
                       .tokens = tokens,
                       .targets = targets,
                       .total_weight = LENGTH,
                       .mode = MODE_TRAIN};
    model_result result = model_forward(r->state, &call);
    double loss = (double)*result.loss->data;
    tape_backward(r->tape, result.loss, 1);
    model_end(r->state);
    return loss;
}

static bool of_compression(const param *q)
{
    return strstr(q->name, ".compress_") != NULL;
}

/* The loss is added, the compression learns from it, and nothing else does. */
static void only_compression_learns(void)
{
    model_run *plain = model_run_good(MODEL("factor: 2"), 1);
    model_run *taught = model_run_good(MODEL("factor: 2, reconstruction: 3"), 1);
    double without = loss_of(plain), with = loss_of(taught);
    EXPECT(with > without + 1e-6, "%g with reconstruction, %g without", with, without);
    const params *p = model_params_const(plain->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        const real *x = plain->grads.values + q->offset, *y = taught->grads.values + q->offset;
        double off = 0, size = 0;
        for (int64_t k = 0; k < q->count; k++) {
            off = fmax(off, fabs((double)x[k] - (double)y[k]));
            size = fmax(size, fabs((double)x[k]));
        }
        /* The rest is computed alike, but for the order in which a tape adds up. */
        double rounding = (REAL_IS_DOUBLE ? 1e-12 : 1e-4) * (size + 1e-3);
        if (strstr(q->name, ".compress_k.bias")) continue; /* shifts all scores alike */
        EXPECT(of_compression(q) ? off > 10 * rounding : off <= rounding, "%s: off by %g of %g",
               q->name, off, size);
    }
    model_run_free(plain);
    model_run_free(taught);
}

static void reconstruction_gradient(void)
{
    if (!REAL_IS_DOUBLE) {
        test_skip("differences need the double build");
        return;
    }
    model_run *r = model_run_good(MODEL("factor: 2, reconstruction: 3"), 1);
    model_run *other = model_run_good(MODEL("factor: 2, reconstruction: 3"), 1);
    loss_of(r);
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        for (int64_t k = 0; of_compression(q) && k < q->count; k += MAX(1, q->count / 7)) {
            double numeric = five_point(loss_of, other, other->values + q->offset + k, 1e-4);
            /* Truncation h^4 = 1e-16; rounding of losses of some 10 nats 1e-15 / h = 1e-11, added
             * up. */
            EXPECT(fabs((double)r->grads.values[q->offset + k] - numeric) < 1e-9,
                   "%s[%lld]: %g, not %g", q->name, (long long)k,
                   (double)r->grads.values[q->offset + k], numeric);
        }
    }
    model_run_free(other);
    model_run_free(r);
}

/* The same loss, read in calls of `time` positions. */
static double loss_in_calls(model_run *r, int64_t time)
{
    int32_t tokens[LENGTH], targets[LENGTH];
    double loss = 0;
    fill_tokens(tokens, LENGTH, 1);
    fill_tokens(targets, LENGTH, 2);
    model_state_clear(r->state);
    model_begin(r->state, r->tape, r->values, NULL);
    for (int64_t at = 0; at < LENGTH; at += time) {
        model_call call = {.time = time,
                           .tokens = tokens + at,
                           .targets = targets + at,
                           .total_weight = LENGTH,
                           .mode = MODE_TRAIN};
        loss += (double)*model_forward(r->state, &call).loss->data;
    }
    model_end(r->state);
    return loss;
}

static void blocks_count_alike(void)
{
    model_run *r = model_run_good(MODEL("factor: 2, reconstruction: 3"), 1);
    double whole = loss_of(r);
    for (int64_t time = 1; time <= LENGTH; time *= 4) {
        double loss = loss_in_calls(r, time);
        /* Some dozen roundings of a few nats. */
        EXPECT(fabs(loss - whole) <= (REAL_IS_DOUBLE ? 1e-12 : 1e-5),
               "%g in calls of %d, %g in one", loss, (int)time, whole);
    }
    model_run_free(r);
}

/* Makes the compression copy what it gets. */
static void copies(model_run *r)
{
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (!of_compression(q)) continue;
        bool matrix = q->rank == 2;
        for (int64_t k = 0; k < q->count; k++) {
            bool diagonal = matrix && k / q->shape[1] == k % q->shape[1];
            r->values[q->offset + k] = diagonal ? 1 : 0;
        }
    }
}

/* What is not compressed at all is reconstructed exactly. */
static void nothing_is_lost(void)
{
    model_run *plain = model_run_good(MODEL("factor: 1"), 1);
    model_run *taught = model_run_good(MODEL("factor: 1, reconstruction: 3"), 1);
    copies(plain);
    copies(taught);
    double without = loss_of(plain), with = loss_of(taught);
    EXPECT(fabs(with - without) <= (REAL_IS_DOUBLE ? 1e-12 : 1e-6), "%g, %g", with, without);
    model_run_free(plain);
    model_run_free(taught);
}

/* The compressed entries [length, width] after reading; returns how many. */
static int64_t entries_of(model_run *r, real *out, int64_t *width)
{
    int32_t tokens[LENGTH];
    fill_tokens(tokens, LENGTH, 1);
    model_state_clear(r->state);
    model_run_read(r, tokens, LENGTH, 0, LENGTH, NULL);
    state_view views[8];
    int n = model_state_views(r->state, views, 8);
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(views[i].name, '.');
        if (strcmp(dot, ".compressed") != 0) continue;
        *width = views[i].shape[2];
        memcpy(out, views[i].data, (size_t)(views[i].shape[1] * *width) * sizeof *out);
        return views[i].shape[1];
    }
    return 0;
}

/* A run that diverges: queries and keys that are no numbers have no order. As many as ever are
 * kept, and the loss is what says so. */
static void no_numbers_have_an_order(void)
{
    static const real VALUES[] = {(real)NAN, (real)INFINITY, (real)3e38};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        model_run *r = model_run_good(MODEL("factor: 2, compression: most_used"), 1);
        const params *p = model_params_const(r->model);
        for (int64_t k = 0; k < p->total; k += 1 + (int64_t)i) {
            r->values[k] = VALUES[i];
        }
        double loss = loss_of(r);
        EXPECT(i == 2 || !isfinite(loss), "%g of %g", loss, (double)VALUES[i]);
        model_run_free(r);
    }
}

/* most_used keeps keys as they are, half of each block's in their order. */
static void most_used_is_kept(void)
{
    enum { ENTRIES = 16, WIDTH = 64 };
    static real all[ENTRIES * WIDTH], kept[ENTRIES * WIDTH];
    int64_t width = 0, same = 0;
    model_run *everything = model_run_good(MODEL("factor: 1, compression: mean"), 1);
    model_run *half = model_run_good(MODEL("factor: 2, compression: most_used"), 1);
    int64_t n = entries_of(everything, all, &width), k = entries_of(half, kept, &same);
    EXPECT(n == 12 && k == 6 && width == same, "%lld and %lld entries", (long long)n, (long long)k);
    int64_t at = 0;
    for (int64_t i = 0; i < k; i++) {
        double tolerance = REAL_IS_DOUBLE ? 1e-12 : 1e-5; /* products of other shapes */
        bool found = false;
        while (at < n && !found) {
            double off = 0;
            for (int64_t j = 0; j < width; j++) {
                off = fmax(off, fabs((double)all[at * width + j] - (double)kept[i * width + j]));
            }
            found = off <= tolerance;
            at++;
        }
        EXPECT(found && (at - 1) / BLOCK == i / 2, "entry %lld is key %lld", (long long)i,
               (long long)at - 1);
    }
    model_run_free(everything);
    model_run_free(half);
}

extern const test_suite test_compression;
const test_suite test_compression = {"layers/compression",
                                     {{"only_compression_learns", only_compression_learns},
                                      {"reconstruction_gradient", reconstruction_gradient},
                                      {"blocks_count_alike", blocks_count_alike},
                                      {"nothing_is_lost", nothing_is_lost},
                                      {"no_numbers_have_an_order", no_numbers_have_an_order},
                                      {"most_used_is_kept", most_used_is_kept},
                                      {0}}};
