/* loci generate: text from a trained model. */
#include "core/base/host.h"
#include "harness/train/trained_model.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <stdlib.h>
#include <string.h>

typedef struct generate_call {
    const char *prompt, *out, *data;
    int64_t tokens, top_k, seed;
    double temperature, top_p;
} generate_call;

static const option OPTIONS[] = {
    CLI_TEXT(generate_call, prompt, "prompt",
             "text to continue; default: the beginning of a document"),
    CLI_INT(generate_call, tokens, "tokens", "400", 1, 1e9, "how many to generate"),
    CLI_REAL(generate_call, temperature, "temperature", "0.8", 0, 100, "0: always the likeliest"),
    CLI_INT(generate_call, top_k, "top-k", "0", 0, 1e9, "only the k likeliest tokens; 0: all"),
    CLI_REAL(generate_call, top_p, "top-p", "1", 0, 1, "only the likeliest that make up p"),
    CLI_INT(generate_call, seed, "seed", "1", 0, 9e15, "of the draws: equal seeds, equal text"),
    CLI_OUT(generate_call),
    CLI_DATA(generate_call),
    {0}};

typedef struct drawn {
    int32_t *ids;
    int64_t count;
} drawn;

static bool collect_text(void *user, int32_t token)
{
    drawn *d = user;
    d->ids[d->count++] = token;
    return true;
}

/* Prompt and continuation to stdout, the speed to stderr. */
static bool write_text(const trained_model *m, const generate_call *o, const drawn *d, err *e)
{
    char *text = corpus_decode(m->corpus, d->ids, d->count, e);
    if (!text) return false;
    printf("%s%s\n", o->prompt ? o->prompt : "", text);
    free(text);
    return true;
}

static bool continue_prompt(const cli_call *c, const trained_model *m, err *e)
{
    const generate_call *o = c->options;
    int32_t *prompt = NULL;
    int64_t n = 0;
    if (o->prompt && *o->prompt && !corpus_encode(m->corpus, o->prompt, &prompt, &n, e))
        return false;
    int32_t *tokens = ARENA_NEW(c->memory, int32_t, n + 1);
    tokens[0] = (int32_t)model_vocab(m->model); /* a document begins */
    for (int64_t i = 0; i < n; i++)
        tokens[i + 1] = prompt[i];
    free(prompt);

    drawn d = {ARENA_NEW(c->memory, int32_t, o->tokens), 0};
    sampling how = {o->temperature, o->top_k, o->top_p, (uint64_t)o->seed};
    model_state *state = model_state_new(m->model, 1);
    tape *t = tape_new();
    double started = host_monotonic_s();
    model_generate(state, t, m->values, tokens, n + 1, o->tokens, &how, collect_text, &d);
    double seconds = host_monotonic_s() - started;
    tape_free(t);
    model_state_free(state);
    if (!write_text(m, o, &d, e)) return false;
    fprintf(stderr, "%lld tokens in %.2f s, %.0f tokens/s\n", (long long)d.count, seconds,
            (double)d.count / seconds);
    return true;
}

static int generate_text(const cli_call *c)
{
    const generate_call *o = c->options;
    err e = {0};
    char folder[FILE_PATH_BYTES];
    if (!find_run(folder, c->words[0], cli_out(o->out), &e))
        return cli_fail(EXIT_USAGE, "%s", e.text);
    corpus_places places = cli_places(c->memory, o->data);
    trained_model m;
    if (!trained_model_load(&m, folder, NULL, NULL, &places, &e)) {
        return cli_fail(EXIT_FAILED, "%s", e.text);
    }
    bool done = continue_prompt(c, &m, &e);
    trained_model_close(&m);
    return done ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", e.text);
}

const verb VERB_GENERATE = {
    .name = "generate",
    .words = "RUN",
    .min_words = 1,
    .max_words = 1,
    .help = "Writes text with a trained model, one token at a time.\n\n"
            "RUN is a run's folder, its id or the beginning of one, or EXPERIMENT/LABEL/SEED;\n"
            "RUN@best and RUN@STEP are models that training kept.",
    .examples = {"generate quickstart --prompt 'In the beginning'",
                 "generate quickstart/keys --tokens 1000 --temperature 0.7 --top-k 40 --seed 2"},
    .options = OPTIONS,
    .options_bytes = sizeof(generate_call),
    .run = generate_text,
};
