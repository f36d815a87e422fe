/* Sampling, and continuing texts token by token.
 *
 * Generation is not a second implementation of the layers: every token goes through model_forward
 * as a call of time 1, on the state that the call before left. What a layer does while generating
 * is what it did in training, by construction, and a new layer generates without a line for it. The
 * price is a tape of small tensors per token.
 *
 * A draw depends on (seed, index of the token among those drawn for its row), by a counter-based
 * generator: a text is the same whatever rows stand beside it. */
#include "models/model_parts.h"

#include "core/ops/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one draw ---- */

typedef struct candidate {
    double p; /* not normalised */
    int32_t id;
} candidate;

/* Equal probabilities are ordered by id: qsort is not stable, and a text must not depend on the C
 * library. */
static int by_probability(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->p != b->p) return a->p > b->p ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

/* How many of the n sorted candidates stay: the first top_k, of these the fewest that hold top_p of
 * the probability (Holtzman et al. 2019, arXiv:1904.09751, sec. 3.1).
 * The sum is compared to top_p of what top_k has left, so that the two together mean one after the
 * other. Where rounding ends the sum below that, all stay. */
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

/* The id at which the running sum of probabilities passes `uniform` of their total.
 * Where rounding ends the sum below the total the last candidate is drawn. */
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

/* Compared with a NaN nothing is greater, so the greatest logit alone does not tell of one. */
static bool are_numbers(const real *logits, int64_t vocab, int32_t best)
{
    bool none = false;
    for (int64_t i = 0; i < vocab; i++) {
        none |= isnan(logits[i]);
    }
    return !none && isfinite(logits[best]);
}

int32_t model_sample_token(const real *logits, int64_t vocab, const sampling *how, int64_t index)
{
    int32_t best = (int32_t)vec_most(logits, vocab);
    if (!are_numbers(logits, vocab, best)) return -1;
    if (how->temperature <= 0) return best;
    candidate *list = calloc((size_t)vocab, sizeof *list);
    CHECK(list, "out of memory for %lld candidates", (long long)vocab);
    for (int64_t i = 0; i < vocab; i++) {
        /* Against the greatest logit: the largest term is 1 and none overflows; those that
         * underflow to 0 have no weight to lose. */
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

/* ---- continuations ---- */

typedef struct continuation {
    model_state *state;
    tape *tape;
    const real *values;
    const model_prompt *prompts;
    int64_t rows, vocab, read; /* positions that every row has read */
    int32_t *last;             /* [rows]: drawn last */
    int64_t *drawn;            /* [rows]: tokens; -1: the row is at its end */
    const real *logits; /* [rows, vocab] behind the last position; valid until the next call */
    bool broken;        /* some were no numbers */
} continuation;

/* What a row reads at the next position: of its prompt, then what was drawn. A row at its end goes
 * on with anything, for the others' sake. */
static int32_t next_token(const continuation *c, int64_t row, int64_t position)
{
    const model_prompt *p = &c->prompts[row];
    return position < p->count ? p->tokens[position] : c->last[row];
}

static void read_tokens(continuation *c, int64_t time)
{
    /* A segment per call: the tape is reset each time, so that its memory is that of one call,
     * however long the text. */
    model_begin(c->state, c->tape, c->values, NULL);
    int32_t *tokens = tape_keep(c->tape, c->rows * time, sizeof *tokens);
    for (int64_t r = 0; r < c->rows; r++) {
        for (int64_t i = 0; i < time; i++) {
            tokens[r * time + i] = next_token(c, r, c->read + i);
        }
    }
    model_call call = {.time = time, .tokens = tokens, .mode = MODE_EVAL, .by_token = true};
    const real *all = model_forward(c->state, &call).logits->data;
    model_end(c->state);
    /* The last position's logits, rows side by side. They live on the tape until the next call
     * resets it; rows are drawn before that. */
    real *last = tape_keep(c->tape, c->rows * c->vocab, sizeof *last);
    for (int64_t r = 0; r < c->rows; r++) {
        memcpy(last + r * c->vocab, all + ((r + 1) * time - 1) * c->vocab,
               (size_t)c->vocab * sizeof *last);
    }
    c->logits = last;
    c->read += time;
}

/* Draws for the rows whose prompts are read; returns whether any row goes on. */
static bool draw_tokens(continuation *c, int64_t count, const sampling *how, emit_fn emit,
                        void *user)
{
    bool any = false;
    for (int64_t r = 0; r < c->rows; r++) {
        if (c->read >= c->prompts[r].count && c->drawn[r] >= 0) {
            c->last[r] = model_sample_token(c->logits + r * c->vocab, c->vocab, how, c->drawn[r]);
            bool drew = c->last[r] >= 0, more = drew && emit(user, r, c->last[r]);
            c->broken |= !drew;
            if (!drew) c->last[r] = 0; /* what is fed on for the others' sake is a token */
            /* One number counts the tokens and marks the end: a row at -1 is fed on and never drawn
             * for again. */
            c->drawn[r] = more && c->drawn[r] + 1 < count ? c->drawn[r] + 1 : -1;
        }
        any |= c->drawn[r] >= 0;
    }
    return any;
}

bool model_generate(model_state *s, tape *t, const real *values, const model_prompt *prompts,
                    int64_t count, const sampling *how, emit_fn emit, void *user)
{
    int64_t rows = s->rows, block = s->model->options.context, shortest = INT64_MAX;
    for (int64_t r = 0; r < rows; r++) {
        CHECK(prompts[r].count >= 1, "row %lld has no prompt", (long long)r);
        /* Rows step together, so only what all of them still have in their prompts can be read many
         * positions at a time. */
        shortest = MIN(shortest, prompts[r].count);
    }
    arena_auto *a = arena_new(0);
    /* Every token reads the same weights: packed once, in the order in which they lie. */
    int64_t pieces = s->model->params.pieces;
    s->books.kept = arena_push_zero(a, pieces, sizeof *s->books.kept);
    for (int64_t i = 0; i < pieces; i++) {
        s->books.kept[i].memory = a;
    }
    continuation c = {.state = s,
                      .tape = t,
                      .values = values,
                      .prompts = prompts,
                      .rows = rows,
                      .vocab = s->model->vocab,
                      .last = arena_push_zero(a, rows, sizeof *c.last),
                      .drawn = arena_push_zero(a, rows, sizeof *c.drawn)};
    do {
        /* What all prompts hold, up to the end of a block at a time: long prompts need no more
         * memory than a block. Then token by token: some rows draw, others still read. */
        int64_t left = block - s->position[0] % block;
        read_tokens(&c, MAX(1, MIN(shortest - c.read, left)));
    } while (draw_tokens(&c, count, how, emit, user));
    s->books.kept = NULL;
    return !c.broken;
}
