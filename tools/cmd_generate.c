/* loci generate: text from a trained model.
 *
 * Texts step together in shares, one per thread, since a token's cost is reading the weights once,
 * for however many rows. Only one text cannot be divided; its products are then computed by all
 * threads (core/base/crew). Every draw has a key of its own, so neither the number of threads nor
 * the neighbours change a text. */
#include "core/base/crew.h"
#include "core/base/host.h"
#include "core/train/lanes.h"
#include "harness/supervise/progress.h"
#include "harness/train/trained_model.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate_call {
    const node *prompt;
    const char *prompts, *out, *data;
    int64_t tokens, top_k, seed;
    double temperature, top_p;
} generate_call;

static const option OPTIONS[] = {
    {"prompt", OPTION_NODE, offsetof(generate_call, prompt), .empty = true,
     .help = "text to continue; default: the beginning of a document; may be repeated"},
    CLI_TEXT(generate_call, prompts, "prompts", "a file with a text to continue in every line"),
    CLI_INT(generate_call, tokens, "tokens", "400", 1, 1e9, "how many to generate, of each text"),
    CLI_REAL(generate_call, temperature, "temperature", "0.8", 0, 100, "0: always the likeliest"),
    CLI_INT(generate_call, top_k, "top-k", "0", 0, 1e9, "only the k likeliest tokens; 0: all"),
    CLI_REAL(generate_call, top_p, "top-p", "1", 0, 1, "only the likeliest that make up p"),
    CLI_INT(generate_call, seed, "seed", "1", 0, 9e15, "of the draws: equal seeds, equal text"),
    CLI_OUT(generate_call),
    CLI_DATA(generate_call),
    {0}};

/* A text to continue, and what was drawn. */
typedef struct continued {
    const char *prompt; /* "": the beginning of a document */
    model_prompt read;
    int32_t *drawn;
    int64_t count;
} continued;

/* Texts that step together, a thread's share of all. */
typedef struct work work;
typedef struct share {
    work *all;
    continued *texts;
    int64_t rows;
    bool tells; /* how far all are */
} share;

struct work {
    const trained_model *model;
    const generate_call *options;
    share *shares;
    progress *shown; /* NULL: nobody looks */
    double began;
    int64_t of; /* tokens */
    _Atomic int64_t drawn;
    atomic_bool broken; /* a text ended early: logits were no numbers */
};

/* ---- prompts ---- */

/* Every line of the file, the last also without its end. A byte order mark and the carriage returns
 * of Windows are the file's: a model would read them as text, and few have learned what that is. */
static bool read_prompts(arena *a, const char *path, const char ***prompts, int64_t *count, err *e)
{
    size_t bytes;
    char *text = file_read_arena_named(a, path, &bytes, e);
    if (!text) return false;
    /* Lines are C strings from here on; a zero byte would cut one short without a word. */
    if (strlen(text) != bytes) return err_set(e, "%s: is no text: it holds a zero byte", path);
    int64_t lines = 0, capacity = 1;
    for (size_t i = 0; i < bytes; i++) {
        capacity += text[i] == '\n';
    }
    const char **list = ARENA_NEW(a, const char *, capacity);
    size_t mark = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (char *line = text + mark; *line;) {
        char *end = line + strcspn(line, "\n");
        /* The zero that ends the line would otherwise be taken for the file's. */
        bool last = !*end;
        *end = 0;
        if (!last && end > line && end[-1] == '\r') end[-1] = 0;
        list[lines++] = line;
        line = last ? end : end + 1;
    }
    if (lines == 0) return err_set(e, "%s: holds no line to continue", path);
    *prompts = list;
    *count = lines;
    return true;
}

static bool find_prompts(const cli_call *c, const char *const **prompts, int64_t *count, err *e)
{
    static const char *const beginning[] = {"", NULL};
    const generate_call *o = c->options;
    const char **lines = NULL;
    if (o->prompts && o->prompt) return err_set(e, "give --prompt or --prompts, not both");
    if (o->prompts && !read_prompts(c->memory, o->prompts, &lines, count, e)) return false;
    *prompts = lines ? lines : o->prompt ? cli_texts(c->memory, o->prompt) : beginning;
    if (lines) return true;
    *count = 0;
    while ((*prompts)[*count]) {
        ++*count;
    }
    return true;
}

static bool prepare(continued *x, const char *prompt, const trained_model *m, int64_t tokens,
                    arena *a, err *e)
{
    int32_t *ids = NULL;
    int64_t n = 0;
    if (*prompt && !corpus_encode(m->corpus, prompt, &ids, &n, e)) return false;
    int32_t *read = ARENA_NEW(a, int32_t, n + 1);
    /* The start token, one beyond the vocabulary. */
    read[0] = (int32_t)model_vocab(m->model); /* a document begins */
    for (int64_t i = 0; i < n; i++) {
        read[i + 1] = ids[i];
    }
    free(ids);
    *x = (continued){prompt, {read, n + 1}, ARENA_NEW(a, int32_t, tokens), 0};
    return true;
}

/* What the tokenizer does not know is shown as it was written, but not read. index: from 0. */
static void say_unknown(const trained_model *m, const continued *x, int64_t index)
{
    int64_t n = x->read.count - 1, unknown = corpus_unknown(m->corpus, x->read.tokens + 1, n);
    if (unknown == 0) return;
    fprintf(stderr,
            "loci: warning: prompt %lld: the tokenizer does not know %lld of its %lld tokens; the "
            "model reads that something stands there, not what\n",
            (long long)index + 1, (long long)unknown, (long long)n);
}

/* ---- texts ---- */

/* Rows of a share are its texts, in order. */
static bool collect_text(void *user, int64_t row, int32_t token)
{
    const share *s = user;
    work *w = s->all;
    continued *x = s->texts + row;
    x->drawn[x->count++] = token;
    int64_t drawn = ++w->drawn;
    if (s->tells && w->shown) {
        progress_tell(w->shown, "generating", drawn, w->of, host_monotonic_s() - w->began);
    }
    return true;
}

static void continue_share(void *arg, int64_t item, int thread)
{
    work *w = arg;
    const generate_call *o = w->options;
    share *s = &w->shares[item];
    s->tells = thread == 0;
    arena_auto *a = arena_new(0);
    model_prompt *prompts = ARENA_NEW(a, model_prompt, s->rows);
    for (int64_t i = 0; i < s->rows; i++) {
        prompts[i] = s->texts[i].read;
    }
    /* One seed for all texts: a draw's key is that and the token's position, so a text is what it
     * would be alone. */
    sampling how = {o->temperature, o->top_k, o->top_p, (uint64_t)o->seed};
    model_state *state = model_state_new(w->model->model, s->rows);
    /* Of the share, as the state is: threads have nothing in common but the weights. */
    tape *t = tape_new();
    if (!model_generate(state, t, w->model->values, prompts, o->tokens, &how, collect_text, s)) {
        w->broken = true;
    }
    tape_free(t);
    model_state_free(state);
}

/* All texts at once, a share for every thread, and for one text all threads; one by one where a
 * layer looks at whole calls, for then a text depends on its neighbours. */
static bool continue_all(const cli_call *c, const trained_model *m, continued *texts, int64_t count,
                         err *e)
{
    int64_t threads = MIN(count, (int64_t)host_cores());
    int64_t shares = model_whole_call(m->model) ? count : threads;
    const generate_call *o = c->options;
    err ignored; /* without memory for it, it is not shown */
    work w = {.model = m,
              .options = o,
              .shares = ARENA_NEW(c->memory, share, shares),
              .shown = progress_new(stderr, &ignored),
              .began = host_monotonic_s(),
              .of = count * o->tokens};
    for (int64_t i = 0; i < shares; i++) {
        int64_t first = count * i / shares;
        w.shares[i] = (share){&w, texts + first, count * (i + 1) / shares - first, false};
    }
    /* A crew of one is no crew: with several texts each thread computes its own products alone. */
    crew *helpers = crew_new(threads == 1 ? host_cores() : 1, e);
    lanes *pool = lanes_new(shares, (int)threads, NULL, e);
    if (helpers && pool) {
        crew_help(helpers);
        lanes_parallel(pool, continue_share, &w, shares);
        crew_help(NULL);
    }
    bool ok = helpers && pool;
    if (w.broken) {
        ok = err_set(e, "the model's logits are not finite numbers; its weights are damaged or too "
                        "large");
    }
    progress_free(w.shown);
    lanes_free(pool);
    crew_free(helpers);
    return ok;
}

/* Prompts and continuations to stdout, an empty line between two. */
static void write_texts(const trained_model *m, const continued *texts, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const continued *x = &texts[i];
        /* Behind the start token. */
        text_auto *text = corpus_continue(m->corpus, x->prompt, x->read.tokens + 1,
                                          x->read.count - 1, x->drawn, x->count);
        printf("%s%s%s\n", i ? "\n" : "", x->prompt, text);
    }
}

static bool continue_prompts(const cli_call *c, const trained_model *m, const char *const *prompts,
                             int64_t count, err *e)
{
    const generate_call *o = c->options;
    int64_t drawn = 0;
    continued *texts = ARENA_NEW(c->memory, continued, count);
    for (int64_t i = 0; i < count; i++) {
        if (!prepare(&texts[i], prompts[i], m, o->tokens, c->memory, e)) return false;
        say_unknown(m, &texts[i], i);
    }
    double started = host_monotonic_s();
    if (!continue_all(c, m, texts, count, e)) return false;
    double seconds = host_monotonic_s() - started;
    /* Written at the end, in the order of the prompts, whichever share was first. */
    write_texts(m, texts, count);
    for (int64_t i = 0; i < count; i++) {
        drawn += texts[i].count;
    }
    fprintf(stderr, "%lld tokens in %.2f s, %.0f tokens/s\n", (long long)drawn, seconds,
            (double)drawn / seconds);
    return true;
}

static int generate_text(const cli_call *c)
{
    const generate_call *o = c->options;
    err e = {0};
    char folder[FILE_PATH_BYTES];
    const char *const *prompts = NULL;
    int64_t count = 0;
    /* What a person mistyped is found out before a model is loaded. */
    if (!find_run(folder, c->words[0], cli_out(o->out), &e) ||
        !find_prompts(c, &prompts, &count, &e)) {
        return cli_tell(EXIT_USAGE, &e);
    }
    corpus_places places = cli_places(c->memory, o->data);
    trained_model m;
    /* Bare: the tokenizer without the text, which may be on another machine. */
    if (!trained_model_load_bare(&m, folder, NULL, &places, &e)) {
        return cli_tell(EXIT_FAILED, &e);
    }
    bool done = continue_prompts(c, &m, prompts, count, &e);
    trained_model_close(&m);
    return done ? EXIT_DONE : cli_tell(EXIT_FAILED, &e);
}

const verb VERB_GENERATE = {
    .name = "generate",
    .words = "RUN",
    .min_words = 1,
    .max_words = 1,
    .help = "Writes text with a trained model, one token at a time.\n\n"
            "RUN is a run's folder, its id or the beginning of one, or EXPERIMENT/LABEL/SEED;\n"
            "RUN@best and RUN@STEP are models that training kept. The text that it was trained on "
            "need\n"
            "not be there.\n\n"
            "Several texts step together, so that the model is read once for all of them: each\n"
            "is what it would be alone.",
    .examples = {"generate quickstart --prompt 'In the beginning'",
                 "generate quickstart/keys --tokens 1000 --temperature 0.7 --seed 2"},
    OPTIONS_OF(generate_call, OPTIONS),
    .run = generate_text,
};
