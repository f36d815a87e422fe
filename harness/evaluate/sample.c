#include "harness/evaluate/sample.h"

#include <stdlib.h>
#include <string.h>

/* The drawing itself is model_generate's, one row, one token at a time through the forward path
 * that evaluation uses. The generator's seed is the run's: who evaluates again gets the same text,
 * and texts of variants of one seed are drawn with the same random numbers. */

const option SAMPLE_OPTIONS[] = {
    {"prompt", OPTION_TEXT, offsetof(sample_options, prompt), .initial = "",
     .help = "text to continue; empty: the beginning of a document"},
    {"tokens", OPTION_INT, offsetof(sample_options, tokens), .initial = "200", .min = 1,
     .max = 10000, .help = "how many to draw"},
    {0}};

/* What `loci generate` draws with unless it is told otherwise. */
static const double TEMPERATURE = 0.8;

bool sample_options_read(sample_options *o, const node *n, arena *a, err *e)
{
    *o = (sample_options){0};
    if (!n || node_is_null(n)) return true;
    if (n->kind != NODE_MAP) {
        return node_err(e, n, "is not a map; write {prompt: In the beginning, tokens: 200}");
    }
    if (!options_read(o, SAMPLE_OPTIONS, n, NULL, a, e)) return false;
    o->at = n;
    return true;
}

/* A document's beginning (the start token, id vocab), then the prompt; the caller frees. A prompt
 * without the start token would be read as the middle of a document whose beginning never was. */
static int32_t *read_prompt(int64_t *count, const sample_options *o, const corpus *c, int64_t vocab,
                            err *e)
{
    int32_t *ids = NULL;
    int64_t n = 0;
    if (*o->prompt && !corpus_encode(c, o->prompt, &ids, &n, e)) return NULL;
    int32_t *read = malloc((size_t)(n + 1) * sizeof *read);
    CHECK(read, "no memory for a prompt");
    read[0] = (int32_t)vocab;
    if (n > 0) memcpy(read + 1, ids, (size_t)n * sizeof *read);
    free(ids);
    *count = n + 1;
    return read;
}

/* Encodes the prompt to see whether the tokenizer can, before hours of training end with that
 * message. The start token's id does not matter for it. */
bool sample_check(const sample_options *o, const corpus *c, err *e)
{
    if (!o->at) return true;
    if (strcmp(corpus_tokenizer(c), "none") == 0) {
        return node_err(e, o->at, "the corpus has no text: its tokens stand for none");
    }
    err why = {0};
    int64_t count;
    int32_t *read = read_prompt(&count, o, c, 0, &why);
    free(read);
    return read || node_err(e, o->at, "prompt: %s", why.text);
}

typedef struct drawing {
    int32_t *ids;
    int64_t count;
    const volatile sig_atomic_t *stop;
} drawing;

/* Told each token as it is drawn; false ends it, so that a stop is heard within a token's time. */
static bool take(void *user, int64_t row, int32_t token)
{
    (void)row;
    drawing *d = user;
    d->ids[d->count++] = token;
    return !(d->stop && *d->stop);
}

/* A state of one row and a tape of its own, gone again afterwards: the evaluation's states stand at
 * the end of its documents. */
json_t *sample_draw(const sample_options *o, const model *m, const real *values, const corpus *c,
                    uint64_t seed, const volatile sig_atomic_t *stop, err *e)
{
    int64_t count;
    int32_t *read = read_prompt(&count, o, c, model_vocab(m), e);
    if (!read) return NULL;
    arena_auto *a = arena_new(0);
    drawing d = {ARENA_NEW(a, int32_t, o->tokens), 0, stop};
    const model_prompt prompt = {read, count};
    const sampling how = {TEMPERATURE, 0, 1, seed};
    model_state *state = model_state_new(m, 1);
    tape *t = tape_new();
    /* Of weights that give no numbers there is less text, and the evaluation's loss tells of it. */
    model_generate(state, t, values, &prompt, o->tokens, &how, take, &d);
    tape_free(t);
    model_state_free(state);
    /* Behind the start token. */
    text_auto *text = corpus_continue(c, o->prompt, read + 1, count - 1, d.ids, d.count);
    free(read);
    if (stop && *stop) return NULL;
    /* Tokens may be parts of letters. The record keeps the text for looking at, not the tokens. */
    return json_pack("{s:o, s:I, s:I, s:o}", "prompt", json_words(o->prompt), "tokens",
                     (json_int_t)o->tokens, "seed", (json_int_t)seed, "text", json_words(text));
}

/* The prompt is compared as the record spells it. */
bool sample_is(const json_t *record, const sample_options *o)
{
    if (!o->at) return true; /* one more than was asked for does no harm */
    json_auto_t *prompt = json_words(o->prompt);
    return json_equal(json_object_get(record, "prompt"), prompt) &&
           json_get_int(record, "tokens", -1) == o->tokens;
}
