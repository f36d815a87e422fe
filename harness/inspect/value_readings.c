#include "harness/inspect/value_readings.h"

#include <math.h>

#include "core/ops/vec.h"
#include "models/readout.h"

/* Logits of all vectors at once would be n x vocab numbers, so vectors are read a piece at a time:
 * read_pieces computes the logits of READ_ROWS vectors into one buffer and hands them to a function
 * that takes what it wants of them (the top tokens, one probability). That is the only loop over
 * vectors; what is taken differs. */

enum { READ_ROWS = 64 }; /* vectors read at a time: their logits stay in the cache */

const char *const REFINEMENT_CASES[REFINE_CASES] = {"residual", "agreement", "output",
                                                    "composition"};

/* In place, the sum in double: over a large vocabulary most terms are tiny. */
static void softmax(real *x, int64_t n)
{
    double sum = 0, most = (double)x[vec_most(x, n)];
    for (int64_t i = 0; i < n; i++) {
        double p = exp((double)x[i] - most);
        sum += p;
        x[i] = (real)p;
    }
    for (int64_t i = 0; i < n; i++) {
        x[i] = (real)((double)x[i] / sum);
    }
}

/* The most probable tokens by insertion: the list is short and rarely changes. `<=` and `>` keep
 * the earlier id in front of a later one that is equally probable. */
static void keep_top(value_reading *out, const real *p, int64_t vocab)
{
    int kept = 0;
    for (int64_t i = 0; i < vocab; i++) {
        if (kept == VALUE_TOP_TOKENS && p[i] <= out->probabilities[kept - 1]) continue;
        int at = kept < VALUE_TOP_TOKENS ? kept++ : kept - 1;
        for (; at > 0 && p[i] > out->probabilities[at - 1]; at--) {
            out->probabilities[at] = out->probabilities[at - 1];
            out->tokens[at] = out->tokens[at - 1];
        }
        out->probabilities[at] = p[i];
        out->tokens[at] = (int32_t)i;
    }
    for (; kept < VALUE_TOP_TOKENS; kept++) {
        out->tokens[kept] = -1;
        out->probabilities[kept] = 0;
    }
}

/* Calls `take` for pieces of n vectors with their logits. */
typedef void (*take_fn)(void *user, int64_t first, int64_t n, real *logits);

/* logits [READ_ROWS, vocab] are overwritten piece after piece: `take` may spoil them (softmax does)
 * and must not keep them. */
static void read_pieces(const readout *r, const real *x, int64_t n, arena *scratch, take_fn take,
                        void *user)
{
    int64_t vocab = model_vocab(r->model), width = model_width(r->model);
    arena_mark mark = arena_now(scratch);
    real *logits = ARENA_NEW(scratch, real, READ_ROWS * vocab);
    real *normed = ARENA_NEW(scratch, real, READ_ROWS * width);
    for (int64_t at = 0; at < n; at += READ_ROWS) {
        int64_t rows = MIN((int64_t)READ_ROWS, n - at);
        readout_logits(r, logits, x + at * width, rows, normed);
        take(user, at, rows, logits);
    }
    arena_rewind(scratch, mark);
}

/* ---- values ---- */

/* What take_values is told: where readings go, and the whole distributions if they are wanted. */
typedef struct value_take {
    value_reading *out;
    real *probabilities;
    int64_t vocab;
} value_take;

static void take_values(void *user, int64_t first, int64_t n, real *logits)
{
    value_take *t = user;
    for (int64_t i = 0; i < n; i++) {
        real *p = logits + i * t->vocab;
        softmax(p, t->vocab);
        keep_top(&t->out[first + i], p, t->vocab);
        for (int64_t k = 0; t->probabilities && k < t->vocab; k++) {
            t->probabilities[(first + i) * t->vocab + k] = p[k];
        }
    }
}

/* Kept per value are ten tokens, whatever the vocabulary; the whole distribution only for who asks
 * for it, a piece of values at a time. */
void value_readings(value_reading *out, real *probabilities, const readout *r, const real *values,
                    int64_t n, arena *scratch)
{
    value_take t = {out, probabilities, model_vocab(r->model)};
    read_pieces(r, values, n, scratch, take_values, &t);
}

/* Counting is enough for a rank: no sort of the vocabulary. */
int64_t value_readings_rank(const real *x, int64_t vocab, int32_t token)
{
    int64_t rank = 0;
    for (int64_t i = 0; i < vocab; i++) {
        rank += x[i] > x[token];
    }
    return rank;
}

/* The first trigger decides the agreement, as in the paper; all of them are counted besides. */
memory_agreement value_readings_agreement(const trigger *list, int64_t n, int32_t top)
{
    memory_agreement a = {.triggered = n > 0, .match = n > 0 && list[0].next == top, .rank = -1};
    for (int64_t i = 0; i < n; i++) {
        a.matches += list[i].next == top;
    }
    return a;
}

/* ---- prefixes ---- */

/* Three readings of n vectors each fill three fields of the same structs, which one offset tells
 * apart. */
typedef struct tops_take {
    prefix_reading *out;
    size_t field; /* of prefix_reading */
    int64_t vocab;
} tops_take;

static void take_tops(void *user, int64_t first, int64_t n, real *logits)
{
    tops_take *t = user;
    for (int64_t i = 0; i < n; i++) {
        /* vec_most gives the first of several largest: ties go to the smaller id. */
        char *reading = (char *)&t->out[first + i];
        *(int32_t *)(void *)(reading + t->field) =
            (int32_t)vec_most(logits + i * t->vocab, t->vocab);
    }
}

void value_readings_tops(prefix_reading *out, const readout *r, const real *residual,
                         const real *output, const real *stream, int64_t n, arena *scratch)
{
    tops_take t = {out, offsetof(prefix_reading, top_residual), model_vocab(r->model)};
    read_pieces(r, residual, n, scratch, take_tops, &t);
    t.field = offsetof(prefix_reading, top_output);
    read_pieces(r, output, n, scratch, take_tops, &t);
    t.field = offsetof(prefix_reading, top_stream);
    read_pieces(r, stream, n, scratch, take_tops, &t);
}

/* match_output_all needs no walk over the memories: `with` counted the values by token beforehand.
 * The published code compares with the stream's top token where the paper's text says the output's
 * (top(y), sec. 5.1); both are counted. */
void value_readings_match(prefix_reading *out, const int32_t *active, int64_t n,
                          const int32_t *tops, const int32_t *with)
{
    out->active = (int32_t)n;
    out->match_output_all = with[out->top_output];
    out->match_output_active = out->match_stream_active = 0;
    for (int64_t i = 0; i < n; i++) {
        out->match_output_active += tops[active[i]] == out->top_output;
        out->match_stream_active += tops[active[i]] == out->top_stream;
    }
}

typedef struct final_take {
    prefix_reading *out;
    const int32_t *final;
    int64_t vocab;
} final_take;

static void take_final(void *user, int64_t first, int64_t n, real *logits)
{
    final_take *t = user;
    for (int64_t i = 0; i < n; i++) {
        real *p = logits + i * t->vocab;
        softmax(p, t->vocab);
        t->out[first + i].final_probability = p[t->final[first + i]];
    }
}

/* The same walk as for the tops: here one probability is wanted of each distribution, that of the
 * token which the model says in the end. */
void value_readings_final(prefix_reading *out, const readout *r, const real *residual,
                          const int32_t *final, int64_t n, arena *scratch)
{
    final_take t = {out, final, model_vocab(r->model)};
    read_pieces(r, residual, n, scratch, take_final, &t);
}

/* The order of the questions is the paper's (sec. 5.2): agreement is where the stream names what
 * both name, composition where it names what neither does. */
refinement_case value_readings_refinement(const prefix_reading *p)
{
    bool residual = p->top_stream == p->top_residual, output = p->top_stream == p->top_output;
    if (residual) return output ? REFINE_AGREEMENT : REFINE_RESIDUAL;
    return output ? REFINE_OUTPUT : REFINE_COMPOSITION;
}
