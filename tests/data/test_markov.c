#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/corpus.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* Nats per token of the validation text under counts of the training text: what a perfect learner
 * of `order` reaches, since the counts converge to the source. */
static double counted_entropy(corpus *c, int order)
{
    int64_t vocab = corpus_vocab(c), contexts = order == 2 ? vocab * vocab : vocab;
    double *count = calloc((size_t)(contexts * vocab), sizeof *count), nats = 0;
    double *total = calloc((size_t)contexts, sizeof *total), targets = 0;
    int32_t ids[1000];
    for (int kind = SPLIT_TRAIN; kind <= SPLIT_VALIDATION; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        for (int64_t d = 0; d < split_documents(s); d++) {
            EXPECT(split_read(s, d, 0, 1000, ids, NULL), "read");
            for (int t = order; t < 1000; t++) {
                int64_t context = order == 2 ? ids[t - 2] * vocab + ids[t - 1] : ids[t - 1];
                double *here = &count[context * vocab + ids[t]];
                if (kind == SPLIT_TRAIN) {
                    *here += 1;
                    total[context] += 1;
                } else {
                    nats -= log((*here + 0.01) / (total[context] + 0.01 * (double)vocab));
                    targets += 1;
                }
            }
        }
    }
    free(count);
    free(total);
    return nats / targets;
}

static void entropy_is_what_counting_finds(void)
{
    for (int order = 1; order <= 2; order++) {
        char yaml[80];
        snprintf(yaml, sizeof yaml, "{corpus: markov, order: %d, symbols: 8, tokens: 500k}", order);
        corpus *c = corpora_need(yaml);
        if (!c) return;
        double got = counted_entropy(c, order), told = corpus_entropy(c);
        /* 100,000 held-out targets with a deviation of about 0.8 nats: 0.0025; the counts' own
         * excess is (vocab - 1) * contexts / (2 * 500,000) < 0.0005; the documents' starts add
         * about 0.002. */
        EXPECT(fabs(got - told) < 0.012, "order %d: %g nats counted, %g told", order, got, told);
        EXPECT(told < log(8) - 0.2, "order %d: %g nats is nearly noise", order, told);
        corpus_close(c);
    }
}

static void known_cases(void)
{
    corpus *c =
        corpora_need("{corpus: markov, sharpness: 0, symbols: 32, tokens: 5k, held_out: 1k}");
    if (!c) return;
    EXPECT(fabs(corpus_entropy(c) - log(32)) < 1e-12, "uniform noise: %g", corpus_entropy(c));
    EXPECT(split_documents(corpus_get(c, SPLIT_TRAIN)) == 5 && corpus_vocab(c) == 32, "sizes");
    EXPECT(!corpus_lossless(c) && !corpus_has_words(c), "it has no text");
    int32_t *ids;
    int64_t n;
    err e = {0};
    EXPECT(corpus_encode(c, " 3 31 ", &ids, &n, &e) && n == 2 && ids[1] == 31, "%s", e.text);
    free(ids);
    EXPECT(!corpus_encode(c, "3 32", &ids, &n, &e) && strstr(e.text, "below 32"), "%s", e.text);
    corpus_close(c);
}

static void seed_decides(void)
{
    char hash[3][80];
    for (int i = 0; i < 3; i++) {
        char yaml[80];
        snprintf(yaml, sizeof yaml, "{corpus: markov, tokens: 3k, held_out: 1k, seed: %d}",
                 1 + i / 2);
        corpus *c = corpora_need(yaml);
        snprintf(hash[i], sizeof hash[i], "%s", c ? corpus_hash(c) : "");
        corpus_close(c);
    }
    EXPECT(strcmp(hash[0], hash[1]) == 0 && strcmp(hash[1], hash[2]) != 0, "%s %s %s", hash[0],
           hash[1], hash[2]);
}

const test_suite test_markov = {"data/markov",
                                {{"entropy is what counting finds", entropy_is_what_counting_finds},
                                 {"known cases", known_cases},
                                 {"seed decides", seed_decides},
                                 {0}}};
