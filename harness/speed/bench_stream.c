#include "harness/speed/bench_stream.h"

#include <string.h>
#include <time.h>

#include "core/base/host.h"
#include "harness/train/workload.h"

/* The claim is that memory does not grow with the text and time per token does not either. So the
 * text is as long as asked for (the training split, over and over), never reset, one row; the
 * tenths are compared, not points of a fit, since what would be wrong (a list that grows, a cache
 * that is searched) shows as a last tenth that is slower than the first. Values are untrained: what
 * is asked is how long reading takes. */

/* The training split as one endless text. */
typedef struct endless {
    const corpus_split *split;
    int64_t document, at;
    int32_t last; /* what the next block's first input is */
} endless;

/* Documents are joined without a start token between them: for the model it is one text. Targets
 * are the tokens shifted by one, so that each block's first input is the last target of the block
 * before; documents of no tokens are passed over. */
static bool read_block(endless *t, int32_t *tokens, int32_t *targets, int64_t n, err *e)
{
    for (int64_t have = 0; have < n;) {
        int64_t left = split_document(t->split, t->document).tokens - t->at;
        int64_t take = MIN(n - have, left);
        if (!split_read(t->split, t->document, t->at, take, targets + have, e)) return false;
        have += take;
        t->at += take;
        if (take < left) continue;
        t->document = (t->document + 1) % split_documents(t->split);
        t->at = 0;
    }
    /* Input i is target i - 1: the row predicts each token from those before it. */
    tokens[0] = t->last;
    memcpy(tokens + 1, targets, (size_t)(n - 1) * sizeof *tokens);
    t->last = targets[n - 1];
    return true;
}

/* Does not count what other processes take of the machine: the clock of this thread alone, for one
 * thread reads. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What reads it. */
typedef struct reader {
    const workload *work;
    const real *values;
    model_state *state;
    tape *tape;
    int32_t *tokens, *targets; /* [context] */
} reader;

/* `nats` is kept to show that text was read, and that the compiler left nothing out. */
static bool read_tenth(stream_point *p, const reader *r, endless *text, int64_t blocks, err *e)
{
    int64_t context = model_context(r->work->model);
    /* Both clocks begin before the text is read: reading it is part of evaluating. */
    double nats = 0, begin = host_monotonic_s(), cpu = cpu_seconds();
    for (int64_t i = 0; i < blocks; i++) {
        if (!read_block(text, r->tokens, r->targets, context, e)) return false;
        model_call call = {
            .time = context, .tokens = r->tokens, .targets = r->targets, .mode = MODE_EVAL};
        /* One call at a time on one state and one tape: the forward path of an evaluation with one
         * row. */
        model_begin(r->state, r->tape, r->values, NULL);
        nats += model_forward(r->state, &call).nats;
        model_end(r->state);
    }
    double tokens = (double)(blocks * context);
    p->us_per_token = 1e6 * (host_monotonic_s() - begin) / tokens;
    p->cpu_us_per_token = 1e6 * (cpu_seconds() - cpu) / tokens;
    p->nats = nats / tokens;
    /* Positions since the reset that never came: all that was read. */
    p->tokens = model_state_positions(r->state)[0];
    p->anon_mib = (double)host_memory_now().anon_bytes / 1048576;
    return true;
}

/* Blocks are rounded up, so that a tenth is never empty. */
bool bench_stream(stream_point points[STREAM_POINTS], const node *spec, int64_t seed,
                  int64_t tokens, const corpus_places *places, err *e)
{
    workload w;
    if (!workload_open(&w, spec, seed, places, e)) return false;
    int64_t context = model_context(w.model), tenth = context * STREAM_POINTS;
    real *values = ARENA_NEW(w.memory, real, model_params_const(w.model)->total);
    bool ok = workload_start(&w, values, e);
    reader r = {.work = &w,
                .values = values,
                .state = model_state_new(w.model, 1),
                .tape = tape_new(),
                .tokens = ARENA_NEW(w.memory, int32_t, context),
                .targets = ARENA_NEW(w.memory, int32_t, context)};
    endless text = {.split = corpus_get(w.corpus, SPLIT_TRAIN),
                    /* The start token, once: the text never begins again. */
                    .last = (int32_t)corpus_vocab(w.corpus)};
    if (ok && (!text.split || split_tokens(text.split) == 0)) {
        ok = err_set(e, "the corpus has no training text; give another");
    }
    for (int i = 0; ok && i < STREAM_POINTS; i++) {
        ok = read_tenth(&points[i], &r, &text, (tokens + tenth - 1) / tenth, e);
    }
    tape_free(r.tape);
    model_state_free(r.state);
    workload_close(&w);
    return ok;
}

/* By processor time, for what else the machine does is in the clock's. */
void bench_stream_print(FILE *out, const stream_point points[STREAM_POINTS])
{
    const stream_point *first = &points[0], *last = &points[STREAM_POINTS - 1];
    fprintf(out, "%12s  %14s  %9s  %12s  %10s\n", "tokens read", "anonymous MiB", "us/token",
            "CPU us/token", "nats/token");
    for (int i = 0; i < STREAM_POINTS; i++) {
        fprintf(out, "%12lld  %14.2f  %9.2f  %12.2f  %10.4f\n", (long long)points[i].tokens,
                points[i].anon_mib, points[i].us_per_token, points[i].cpu_us_per_token,
                points[i].nats);
    }
    fprintf(out, "last tenth to first: %.3f of the CPU time, %+.2f MiB\n",
            last->cpu_us_per_token / first->cpu_us_per_token, last->anon_mib - first->anon_mib);
}

json_t *bench_stream_json(const stream_point points[STREAM_POINTS])
{
    json_t *list = json_array();
    for (int i = 0; i < STREAM_POINTS; i++) {
        const stream_point *p = &points[i];
        json_t *o =
            json_pack("{s:I, s:o, s:o, s:o, s:o}", "tokens", (json_int_t)p->tokens, "anon_mib",
                      json_finite(p->anon_mib), "us_per_token", json_finite(p->us_per_token),
                      "cpu_us_per_token", json_finite(p->cpu_us_per_token), "nats_per_token",
                      json_finite(p->nats));
        json_array_append_new(list, o);
    }
    return list;
}
