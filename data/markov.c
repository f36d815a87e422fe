/* A synthetic source of known entropy: a Markov chain whose next symbol depends on the last
 * `order`.
 *
 * Each context's distribution is softmax(sharpness * normal numbers); documents begin with a
 * context drawn from the stationary distribution. A model can do no better than `corpus_entropy`:
 *
 *   entropy = (H(stationary) + (length - order) * H(next | context)) / length      nats per token
 *
 * Everything is a function of `seed` alone; the run's seed has no part in it. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/base/rng.h"
#include "data/corpus_class.h"

/* What is this for: on text nobody knows how good a model could be; here the best loss is a number
 * (corpus_entropy), and a model that ends above it has not learnt what there is to learn. The
 * formula holds for documents that are read from their beginning, one by one; spans that cut them
 * make the loss larger, for what stood before is lost. */

typedef struct markov_options {
    data_options data;
    int64_t symbols, order, tokens, held_out, length, seed;
    double sharpness;
} markov_options;

enum { MAX_TABLE = 1 << 24, MAX_TOKENS = 1 << 28, STATIONARY_STEPS = 10000 };

typedef struct chain {
    /* The table has contexts * symbols numbers: at most MAX_TABLE, 128 MiB. */
    int64_t symbols, contexts; /* contexts = symbols ^ order; the last symbol is the lowest digit */
    double *next;              /* [contexts, symbols] probabilities */
    double *stationary;        /* [contexts] */
} chain;

static void draw_chain(chain *m, double sharpness, uint64_t seed)
{
    rng_key key = {.seed = seed, .place = rng_place("markov.table")};
    for (int64_t context = 0; context < m->contexts; context++) {
        double *p = m->next + context * m->symbols, sum = 0;
        for (int64_t i = 0; i < m->symbols; i++) {
            /* Numbered draws: a context's distribution does not depend on how many symbols others
             * have. */
            p[i] = exp(sharpness * rng_normal(key, (uint64_t)(context * m->symbols + i)));
            sum += p[i];
        }
        for (int64_t i = 0; i < m->symbols; i++) {
            p[i] /= sum;
        }
    }
}

/* The oldest symbol is the highest digit and falls out by the modulus. */
static int64_t next_context(const chain *m, int64_t context, int64_t symbol)
{
    return (context * m->symbols + symbol) % m->contexts;
}

/* Power iteration; every symbol can follow every context, so it converges from anywhere. */
static void find_stationary(chain *m, double *scratch)
{
    for (int64_t c = 0; c < m->contexts; c++) {
        m->stationary[c] = 1.0 / (double)m->contexts;
    }
    for (int step = 0; step < STATIONARY_STEPS; step++) {
        /* scratch becomes the stationary distribution after one more step, by sums over all that
         * lead there. */
        memset(scratch, 0, (size_t)m->contexts * sizeof *scratch);
        for (int64_t c = 0; c < m->contexts; c++) {
            for (int64_t i = 0; i < m->symbols; i++) {
                scratch[next_context(m, c, i)] += m->stationary[c] * m->next[c * m->symbols + i];
            }
        }
        double moved = 0;
        for (int64_t c = 0; c < m->contexts; c++) {
            moved += fabs(scratch[c] - m->stationary[c]);
            m->stationary[c] = scratch[c];
        }
        /* As exact as sums of so many doubles can be. */
        if (moved < 1e-13) break;
    }
}

/* p log p goes to 0 with p, log p alone does not. */
static double plogp(double p)
{
    return p > 0 ? -p * log(p) : 0;
}

/* The first `order` symbols together cost the entropy of the context that they are; each further
 * one that of its distribution, averaged over contexts by how often they occur. */
static double entropy_per_token(const chain *m, int64_t order, int64_t length)
{
    double start = 0, rate = 0;
    for (int64_t c = 0; c < m->contexts; c++) {
        start += plogp(m->stationary[c]);
        double here = 0;
        for (int64_t i = 0; i < m->symbols; i++) {
            here += plogp(m->next[c * m->symbols + i]);
        }
        rate += m->stationary[c] * here;
    }
    return (start + (double)(length - order) * rate) / (double)length;
}

/* The last one takes what rounding leaves. */
static int64_t draw(const double *p, int64_t n, double u)
{
    int64_t i = 0;
    for (; i < n - 1 && u >= p[i]; i++) {
        u -= p[i];
    }
    return i;
}

/* Writes document number `document` (over all splits) to ids [length]. */
static void draw_document(const chain *m, uint8_t *ids, int64_t order, int64_t length,
                          int64_t number, uint64_t seed)
{
    /* Each document has draws of its own: which are read, and in which order, changes none. */
    rng_key key = {.seed = seed, .row = (uint32_t)number, .place = rng_place("markov.text")};
    /* Documents begin in the stationary state, so that the formula holds from the first symbol on.
     */
    int64_t context = draw(m->stationary, m->contexts, rng_uniform(key, 0)), digits = context;
    for (int64_t t = order - 1; t >= 0; t--) {
        ids[t] = (uint8_t)(digits % m->symbols);
        digits /= m->symbols;
    }
    for (int64_t t = order; t < length; t++) {
        int64_t symbol =
            draw(m->next + context * m->symbols, m->symbols, rng_uniform(key, (uint64_t)t));
        ids[t] = (uint8_t)symbol;
        context = next_context(m, context, symbol);
    }
}

/* The ids themselves: two sets of options that make the same text are the same corpus. */
static void hash_markov(corpus *c, int64_t total)
{
    sha256_hex(c->source, c->ids, (size_t)total);
    memcpy(c->hash, c->source, sizeof c->hash);
}

static void write_documents(corpus *c, const chain *m, const markov_options *o)
{
    int64_t documents[SPLITS], all = 0, at = 0, number = 0;
    for (int kind = 0; kind < SPLITS; kind++) {
        int64_t tokens = kind == SPLIT_TRAIN ? o->tokens : o->held_out;
        /* Rounded up: all documents have the same length, which the formula of the entropy
         * takes. */
        documents[kind] = (tokens + o->length - 1) / o->length;
        all += documents[kind] * o->length;
    }
    uint8_t *ids = arena_push(c->memory, all, 1);
    for (int kind = 0; kind < SPLITS; kind++) {
        for (int64_t i = 0; i < documents[kind]; i++, number++, at += o->length) {
            entry *d = corpus_add(c, (split_kind)kind, "markov");
            d->offset = at;
            d->tokens = o->length;
            draw_document(m, ids + at, o->order, o->length, number, (uint64_t)o->seed);
        }
    }
    c->ids = ids;
    hash_markov(c, all);
}

static bool check_options(const corpus *c, const markov_options *o, err *e)
{
    if (o->data.path || o->data.tokenizer) {
        return node_err(e, c->spec, "corpus 'markov' is made up: it has no path and no tokenizer");
    }
    /* In floating point, since the whole number may not fit 64 bits. The table is written out,
     * context by context. */
    if (pow((double)o->symbols, (double)o->order + 1) > MAX_TABLE) {
        return node_err(e, c->spec,
                        "symbols %lld and order %lld make a table of more than %d numbers; "
                        "lower one",
                        (long long)o->symbols, (long long)o->order, MAX_TABLE);
    }
    if (o->length <= o->order) {
        return node_err(e, c->spec, "length %lld must be above order %lld", (long long)o->length,
                        (long long)o->order);
    }
    return true;
}

static bool open_markov(corpus *c, err *e)
{
    const markov_options *o = c->options;
    if (!check_options(c, o, e)) return false;
    chain m = {.symbols = o->symbols, .contexts = 1};
    /* Whole-number power; check_options has bounded it. */
    for (int64_t i = 0; i < o->order; i++) {
        m.contexts *= o->symbols;
    }
    arena_auto *scratch = arena_new(0);
    m.next = ARENA_NEW(scratch, double, m.contexts *m.symbols);
    m.stationary = ARENA_NEW(scratch, double, m.contexts);
    draw_chain(&m, o->sharpness, (uint64_t)o->seed);
    find_stationary(&m, ARENA_NEW(scratch, double, m.contexts));
    write_documents(c, &m, o);
    c->vocab = o->symbols;
    c->entropy = entropy_per_token(&m, o->order, o->length);
    return true;
}

static const option OPTIONS[] = {
    DATA_OPTIONS("0"),
    {"symbols", OPTION_INT, offsetof(markov_options, symbols), .initial = "16", .min = 2,
     .max = 256, .help = "size of the vocabulary"},
    {"order", OPTION_INT, offsetof(markov_options, order), .initial = "1", .min = 1, .max = 8,
     .help = "how many symbols the next one depends on"},
    {"sharpness", OPTION_REAL, offsetof(markov_options, sharpness), .initial = "1.5", .min = 0,
     .max = 20, .help = "deviation of the logits; 0: uniform noise"},
    {"tokens", OPTION_INT, offsetof(markov_options, tokens), .initial = "1M", .min = 1,
     .max = MAX_TOKENS, .help = "of training text, kept in memory; rounded up to whole documents"},
    {"held_out", OPTION_INT, offsetof(markov_options, held_out), .initial = "100k", .min = 1,
     .max = MAX_TOKENS, .help = "tokens of validation and of test text"},
    {"length", OPTION_INT, offsetof(markov_options, length), .initial = "1000", .min = 2,
     .max = 1e7, .help = "tokens per document"},
    {"seed", OPTION_INT, offsetof(markov_options, seed), .initial = "1", .min = 0, .max = 1e15,
     .help = "of the source; independent of the runs' seeds"},
    {0},
};

const corpus_class CORPUS_MARKOV = {
    .name = "markov",
    .help = "a Markov chain of known entropy, to check that models learn what can be learnt",
    .get = "",
    OPTIONS_OF(markov_options, OPTIONS),
    .open = open_markov,
};
