#include "models/model.h"

#include <math.h>
#include <stdlib.h>

/* ---- one draw ---- */

typedef struct candidate {
    double p; /* not normalised */
    int32_t id;
} candidate;

static int by_probability(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->p != b->p) return a->p > b->p ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static int32_t most_probable(const real *logits, int64_t vocab)
{
    int32_t best = 0;
    for (int64_t i = 1; i < vocab; i++) {
        if (logits[i] > logits[best]) best = (int32_t)i;
    }
    return best;
}

/* How many of the n sorted candidates stay: the first top_k, of these the fewest that hold top_p of
 * the probability (Holtzman et al. 2019, arXiv:1904.09751, sec. 3.1). */
static int64_t kept(const candidate *sorted, int64_t n, const sampling *how)
{
    if (how->top_k > 0) n = MIN(n, how->top_k);
    double total = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        total += sorted[i].p;
    }
    for (int64_t i = 0; i < n; i++) {
        sum += sorted[i].p;
        if (sum >= how->top_p * total) return i + 1;
    }
    return n;
}

/* The id at which the running sum of probabilities passes `uniform` of their total. */
static int32_t draw(const candidate *list, int64_t n, double uniform)
{
    double total = 0, sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i++) {
        total += list[i].p;
    }
    for (int64_t i = 0; i < n && sum <= uniform * total; i++) {
        sum += list[i].p;
        last = i;
    }
    return list[last].id;
}

int32_t model_sample_token(const real *logits, int64_t vocab, const sampling *how, int64_t index)
{
    int32_t best = most_probable(logits, vocab);
    if (how->temperature <= 0) return best;
    candidate *list = calloc((size_t)vocab, sizeof *list);
    CHECK(list, "out of memory for %lld candidates", (long long)vocab);
    for (int64_t i = 0; i < vocab; i++) {
        double p = exp(((double)logits[i] - (double)logits[best]) / how->temperature);
        list[i] = (candidate){p, (int32_t)i};
    }
    int64_t n = vocab;
    if (how->top_k > 0 || how->top_p < 1) {
        qsort(list, (size_t)vocab, sizeof *list, by_probability);
        n = kept(list, vocab, how);
    }
    rng_key key = {.seed = how->seed, .place = rng_place("sample")};
    int32_t id = draw(list, n, rng_uniform(key, (uint64_t)index));
    free(list);
    return id;
}

/* ---- a continuation ---- */

/* Runs the model over n tokens; returns the last position's logits, valid until the next call. */
static const real *read_tokens(model_state *s, tape *t, const real *values, int64_t vocab,
                               const int32_t *tokens, int64_t n)
{
    model_begin(s, t, values, NULL);
    model_call call = {.time = n, .tokens = tokens, .mode = MODE_EVAL};
    model_result result = model_forward(s, &call);
    model_end(s);
    return result.logits->data + (n - 1) * vocab;
}

void model_generate(model_state *s, tape *t, const real *values, const int32_t *tokens, int64_t n,
                    int64_t count, const sampling *how, emit_fn emit, void *user)
{
    CHECK(model_state_rows(s) == 1 && n >= 1, "%lld rows, %lld tokens",
          (long long)model_state_rows(s), (long long)n);
    const model *m = model_of_state(s);
    int64_t vocab = model_vocab(m), block = model_context(m);
    const real *logits = NULL;
    /* Up to the end of a block at a time: a long prompt needs no more memory than a block. */
    for (int64_t begin = 0, time; begin < n; begin += time) {
        time = MIN(n - begin, block - model_state_positions(s)[0] % block);
        logits = read_tokens(s, t, values, vocab, tokens + begin, time);
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t token = model_sample_token(logits, vocab, how, i);
        if (!emit(user, token)) return;
        if (i + 1 < count) logits = read_tokens(s, t, values, vocab, &token, 1);
    }
}
