#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { VOCAB = MODEL_RUN_VOCAB, PROMPT = 6, COUNT = 20 };

typedef struct output {
    int32_t ids[COUNT];
    int count, limit;
} output;

static bool take(void *user, int64_t row, int32_t token)
{
    (void)row;
    output *o = user;
    o->ids[o->count++] = token;
    return o->count < o->limit;
}

#define MODEL(BLOCKS)      "{width: 8, context: 4, init: {std: 0.5}, blocks: [" BLOCKS "]}"
#define RECURRENT(OPTIONS) MODEL("{block_recurrent: {heads: 2, states: 3, " OPTIONS "}, ffn: {}}")
static const char MIXED[] = MODEL("{attention: {heads: 2, memory: 6}, ffn: {}, lstm: {}}");

static output generate(model_run *r, const int32_t *prompt, const sampling *how, int limit)
{
    output o = {.limit = limit};
    model_state_clear(r->state);
    model_generate(r->state, r->tape, r->values, &(model_prompt){prompt, PROMPT}, COUNT, how, take,
                   &o);
    return o;
}

static int32_t argmax(const real *x)
{
    int32_t best = 0;
    for (int32_t i = 1; i < VOCAB; i++) {
        if (x[i] > x[best]) best = i;
    }
    return best;
}

/* Token by token through blocks and memory: the most probable tokens of one full pass. */
static void check_greedy(const char *yaml)
{
    model_run *r = model_run_good(yaml, 1);
    int32_t text[PROMPT + COUNT];
    fill_tokens(text, PROMPT, 2);
    text[0] = VOCAB;
    output o = generate(r, text, &(sampling){.temperature = 0, .top_p = 1}, COUNT);
    EXPECT(o.count == COUNT, "%d tokens", o.count);
    memcpy(text + PROMPT, o.ids, sizeof o.ids);
    real logits[(PROMPT + COUNT) * VOCAB];
    model_state_clear(r->state);
    model_run_read(r, text, PROMPT + COUNT, 0, PROMPT + COUNT, logits);
    for (int i = 0; i < COUNT; i++) {
        int32_t expected = argmax(logits + (PROMPT + i - 1) * VOCAB);
        EXPECT(o.ids[i] == expected, "%s: token %d is %d, not %d", yaml, i, o.ids[i], expected);
    }
    model_run_free(r);
}

static void greedy(void)
{
    static const char *const models[] = {
        MIXED,
        MODEL("{attention: {heads: 2, positions: rotary}, ffn: {}}"),
        MODEL("{attention: {heads: 2, positions: rotary, memory: 9, kv_heads: 1}, ffn: {}}"),
        MODEL("{attention: {heads: 2, positions: rotary, window: 5, qk_norm: rms}}"),
        MODEL("{attention: {heads: 2, positions: xpos, memory: 5}}"),
        RECURRENT("gate: fixed, configuration: skip"),
        RECURRENT("gate: fixed, configuration: single"),
        RECURRENT("gate: fixed, configuration: dual"),
        RECURRENT("gate: lstm, configuration: skip"),
        RECURRENT("gate: lstm, configuration: single"),
        RECURRENT("gate: lstm, configuration: dual"),
        RECURRENT("gate_form: port, write_keys: memory, compressed: 3, factor: 2"),
        MODEL("{compressed_memory: {heads: 2, memory: 2, compressed: 5, factor: 2}, ffn: {}}"),
        MODEL("{compressed_memory: {heads: 2, compressed: 4, factor: 2, compression: most_used}}"),
        MODEL("{memorizing: {heads: 2, memory: 2, length: 9, top: 3}, ffn: {}}"),
        MODEL("{routed_memory: {heads: 2, memory: 2, length: 12, picks: 3}, ffn: {}}")};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        check_greedy(models[i]);
    }
}

static void repeatable(void)
{
    model_run *r = model_run_good(MIXED, 1);
    int32_t prompt[PROMPT];
    fill_tokens(prompt, PROMPT, 3);
    sampling how = {.temperature = 1.5, .top_k = 5, .top_p = 0.95, .seed = 4};
    output a = generate(r, prompt, &how, COUNT), b = generate(r, prompt, &how, COUNT);
    EXPECT(memcmp(&a, &b, sizeof a) == 0, "the same seed gives another text");
    how.seed = 5;
    b = generate(r, prompt, &how, COUNT);
    EXPECT(memcmp(a.ids, b.ids, sizeof a.ids) != 0, "another seed gives the same text");
    b = generate(r, prompt, &how, 3);
    EXPECT(b.count == 3, "%d tokens after the receiver wanted no more", b.count);
    model_run_free(r);
}

enum { ROWS = 3, LONGEST = 11 };

static bool take_row(void *user, int64_t row, int32_t token)
{
    return take((output *)user + row, 0, token);
}

/* Prompts of several lengths, one row stopped early: each is what it would be alone. The double
 * build's products differ in the last bits with their rows, which moves no draw here. */
static void rows_do_not_matter(const char *yaml)
{
    static const int lengths[ROWS] = {4, LONGEST, 1}, limits[ROWS] = {COUNT, 12, COUNT};
    model_run *one = model_run_good(yaml, 1), *all = model_run_good(yaml, ROWS);
    sampling how = {.temperature = 0.7, .top_p = 0.95, .seed = 6};
    int32_t tokens[ROWS][LONGEST];
    model_prompt prompts[ROWS];
    output together[ROWS] = {{.limit = COUNT}};
    for (int r = 0; r < ROWS; r++) {
        fill_tokens(tokens[r], lengths[r], 20 + (uint32_t)r);
        tokens[r][0] = VOCAB;
        prompts[r] = (model_prompt){tokens[r], lengths[r]};
        together[r].limit = limits[r];
    }
    model_generate(all->state, all->tape, all->values, prompts, COUNT, &how, take_row, together);
    for (int r = 0; r < ROWS; r++) {
        output alone = {.limit = limits[r]};
        model_state_clear(one->state);
        model_generate(one->state, one->tape, one->values, &prompts[r], COUNT, &how, take, &alone);
        EXPECT(!memcmp(&alone, &together[r], sizeof alone), "%s: row %d is another text", yaml, r);
    }
    model_run_free(one);
    model_run_free(all);
}

static void together(void)
{
    rows_do_not_matter(MIXED);
    rows_do_not_matter(MODEL("{attention: {heads: 2, positions: rotary}, ffn: {}}"));
    rows_do_not_matter(MODEL("{attention: {heads: 2, window: 3, positions: alibi}}"));
    rows_do_not_matter(MODEL("{attention: {heads: 2, memory: 9, qk_norm: rms, kv_heads: 1}}"));
    rows_do_not_matter(RECURRENT("gate: lstm, configuration: dual, compressed: 3, factor: 2"));
    rows_do_not_matter(MODEL("{memorizing: {heads: 2, memory: 2, length: 9, top: 3}, ffn: {}}"));
}

/* What each token's probability should be under the rule. */
static void expected_shares(double *p, const real *logits, const sampling *how)
{
    double sum = 0;
    for (int i = 0; i < VOCAB; i++) {
        p[i] = exp((double)logits[i] / how->temperature);
        sum += p[i];
    }
    double above = 0, total = 0;
    int order[VOCAB] = {3, 0, 5, 1, 2, 4, 6}; /* by falling logit, ties by id */
    for (int k = 0; k < VOCAB; k++) {
        bool cut = (how->top_k > 0 && k >= how->top_k) || above >= how->top_p * sum;
        above += p[order[k]];
        if (cut) p[order[k]] = 0;
        total += p[order[k]];
    }
    for (int i = 0; i < VOCAB; i++) {
        p[i] /= total;
    }
}

static void shares(void)
{
    const real logits[VOCAB] = {1, 0, -1, 2, -2, (real)0.5, -3};
    const sampling cases[] = {{.temperature = 1, .top_p = 1},
                              {.temperature = 0.5, .top_p = 1},
                              {.temperature = 1, .top_k = 3, .top_p = 1},
                              {.temperature = 1, .top_p = 0.8},
                              {.temperature = 2, .top_k = 1, .top_p = 1}};
    enum { DRAWS = 20000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double expected[VOCAB], got[VOCAB] = {0};
        expected_shares(expected, logits, &cases[i]);
        for (int n = 0; n < DRAWS; n++) {
            got[model_sample_token(logits, VOCAB, &cases[i], n)] += 1.0 / DRAWS;
        }
        for (int k = 0; k < VOCAB; k++) {
            /* Five standard deviations of a share, and the rounding of a sum of shares. */
            double allowed = 5 * sqrt(expected[k] * (1 - expected[k]) / DRAWS) + 1e-9;
            EXPECT(fabs(got[k] - expected[k]) <= allowed, "case %zu, token %d: %g, expected %g", i,
                   k, got[k], expected[k]);
        }
    }
}

static void ties(void)
{
    const real flat[VOCAB] = {0};
    EXPECT(model_sample_token(flat, VOCAB, &(sampling){.top_p = 1}, 0) == 0, "not the smallest id");
    sampling one = {.temperature = 1, .top_k = 1, .top_p = 1};
    EXPECT(model_sample_token(flat, VOCAB, &one, 9) == 0, "not the smallest id");
}

/* A model whose weights are damaged draws nothing, rather than token 0 for ever. */
static void no_numbers(void)
{
    const real bad[] = {(real)NAN, (real)INFINITY};
    for (int i = 0; i < 4; i++) {
        real logits[VOCAB] = {0};
        sampling how = {.temperature = i / 2, .top_p = 1};
        logits[VOCAB - 1] = bad[i % 2];
        EXPECT(model_sample_token(logits, VOCAB, &how, 0) == -1, "case %d", i);
        logits[VOCAB - 1] = -(real)INFINITY; /* a token that never comes */
        EXPECT(model_sample_token(logits, VOCAB, &how, 0) >= 0, "case %d", i);
    }
}

/* Where a call ends a block, positions follow from the cut into calls, which the shortest prompt
 * decides: such models are told to continue texts one by one, whatever their layers are. */
static void ended_blocks(void)
{
    static const char *const blocks[] = {"attention: {heads: 2}", "lstm: {}", "engram: {rows: 5}"};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        for (int flush = 0; flush < 2; flush++) {
            err e = {0};
            model_run *r =
                model_run_format(1, &e, "{width: 8, context: 4, partial: %s, blocks: [{%s}]}",
                                 flush ? "flush" : "keep", blocks[i]);
            CHECK(r, "%s", e.text);
            EXPECT(model_whole_call(r->model) == flush, "%s, flush %d", blocks[i], flush);
            model_run_free(r);
        }
    }
}

/* Prompts of several lengths are read in calls that end where the shortest does. */
static void oracles(void)
{
    err e = {0};
    model_run *r = model_run_format(1, &e,
                                    "{width: 8, context: 4, blocks: [{hash_ffn: {experts: 2, hash: "
                                    "future, oracle: true}}]}");
    CHECK(r, "%s", e.text);
    EXPECT(model_whole_call(r->model), "its texts depend on their neighbours");
    model_run_free(r);
}

extern const test_suite test_generate;
const test_suite test_generate = {"models/generate",
                                  {{"greedy", greedy},
                                   {"repeatable", repeatable},
                                   {"together", together},
                                   {"ended_blocks", ended_blocks},
                                   {"oracles", oracles},
                                   {"no_numbers", no_numbers},
                                   {"shares", shares},
                                   {"ties", ties},
                                   {0}}};
