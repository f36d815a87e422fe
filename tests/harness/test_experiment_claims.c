/* Claims in a spec: names, errors with their places. */
#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "tests/support/claimed.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char BASE[] =
    CLAIMED_RUNS "  grid: {model.width: [8, 32, 16], optimizer.lr: [1e-3, 1e-2]}\n"
                 "claims:\n";

static experiment *resolved(const char *text, err *e)
{
    return claimed_experiment(BASE, text, e);
}

static void names(void)
{
    err e;
    experiment *x =
        resolved("  - {name: a, better: width=8 lr=0.001, than: {width: 16, lr: 1e-2}}\n"
                 "  - {name: b, falls with: width, where: {lr: 1e-3}, on: perplexity}\n",
                 &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    const claim_statement *s = x->claims->claims[0].statements;
    EXPECT(strcmp(s->variant, "width=8 lr=1e-3") == 0, "%s", s->variant);
    EXPECT(strcmp(s->other, "width=16 lr=1e-2") == 0, "%s", s->other);
    s = x->claims->claims[1].statements;
    EXPECT(s->count == 3 && strcmp(s->variants[0], "width=8 lr=1e-3") == 0 &&
               strcmp(s->variants[1], "width=16 lr=1e-3") == 0 &&
               strcmp(s->variants[2], "width=32 lr=1e-3") == 0,
           "%d values, the last is %s", s->count, s->variants[s->count - 1]);
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    experiment_claims_print(f, x);
    fclose(f);
    EXPECT(strstr(text, "claim a:\n    'width=8 lr=1e-3' is better than 'width=16 lr=1e-2'\n"),
           "%s", text);
    free(text);
    experiment_free(x);
}

static void refuses(void)
{
    static const struct {
        const char *text, *place, *says;
    } cases[] = {
        {"  - {name: a, better: {width: 9}, than: {width: 8, lr: 1e-3}}\n",
         ":8:23: ", "no variant has these values"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: width=16 lr=3}\n",
         ":8:51: ", "no variant 'width=16 lr=3' (did you mean 'width=16 lr=1e-"},
        {"  - {name: a, better: 8, than: 16}\n", ":8:23: ", "name a value of every axis"},
        {"  - {name: a, better: {widht: 8}, than: {width: 16, lr: 1e-3}}\n", ":8:24: ", "widht"},
        {"  - {name: a, rises with: width}\n", ":8:27: ", "`where: {AXIS: VALUE}`"},
        {"  - {name: a, rises with: depth}\n", ":8:27: ", "no axis 'depth'"},
        {"  - {name: a, falls with: lr, where: {widt: 8}}\n", ":8:39: ", "widt"},
        {"  - {name: a}\n", ":8:5: ", "states nothing"},
        {"  - {better: 8, than: 16}\n", ":8:5: ", "missing key 'name'"},
        {"  - {name: a b, better: 8, than: 16}\n", ":8:12: ", "letters, digits"},
        {"  - {name: a, bettr: 8, than: 16}\n", ":8:15: ", "did you mean 'better'?"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}}\n", ":8:23: ", "add `than:`"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 0.1}\n",
         ":8:78: ", "a margin has a unit"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 1 kg}\n",
         ":8:78: ", "no figure has the unit 'kg'"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: -1 %}\n",
         ":8:78: ", "is no margin"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: \"0\"}\n",
         ":8:78: ", "is no margin"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 150 %}\n",
         ":8:78: ", "no loss is lower than another one by 150 % of it"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: 0-99999999999999999999}}\n",
         ":8:92: ", "expected a range"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: 99999999999999999999-}}\n",
         ":8:92: ", "expected a range"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: \"0- 63\"}}\n",
         ":8:92: ", "expected a range"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, on: params, by: "
         "1 bits/byte}\n",
         ":8:90: ", "is no unit of params"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 8, lr: 0.001}}\n",
         ":8:5: ", "with itself"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, on: perplex}\n",
         ":8:78: ", "did you mean 'perplexity'?"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, within: 0, of: {width: 16, lr: 1e-3}}\n",
         ":8:54: ", "above it"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, at most: 2, of: {width: 16, lr: 1e-3}}\n",
         ":8:55: ", "at most of what?"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: 3-9}}\n",
         ":8:92: ", "a power of two"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, within: 1 %, than: {width: 16, lr: 1e-3}}\n",
         ":8:53: ", "one statement at a time"},
        {"  - {name: a, all: [{better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}], by: "
         "1 %}\n",
         ":8:83: ", "unknown key 'by'"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n"
         "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 32, lr: 1e-3}}\n",
         ":9:12: ", "a second claim called 'a'"},
        /* Figures that these runs will not have. */
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, split: test}\n",
         ":8:81: ", "evaluated on the validation split"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, on: recall}\n",
         ":8:78: ", "is asked nothing"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, on: dropped}\n",
         ":8:78: ", "has no dropped"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 0.1 "
         "bits/byte}\n",
         ":8:78: ", "has no bits per byte"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, on: params, "
         "unit: documents}\n",
         ":8:92: ", "not by params"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: 0}, unit: documents}\n",
         ":8:102: ", "not by bits_per_token"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, unit: "
         "document}\n",
         ":8:80: ", "documents"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{position: 128-}}\n",
         ":8:81: ", "has position 128: they end at 99"},
        {"  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, slice: "
         "{block: 8-}}\n",
         ":8:81: ", "has block 8: they end at 7"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, on: inspect.values.agrement, above: 0.5}\n",
         ":8:50: ", "finds no 'agrement' among values (did you mean 'agreement'?)"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, on: inspect.keys.agreement, above: 0.5}\n",
         ":8:50: ", "finds no 'agreement' among keys"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, on: inspect.states.read_strength, above: "
         "0.5}\n",
         ":8:50: ", "no layer of it has states"},
        {"  - {name: a, variant: {width: 8, lr: 1e-3}, on: inspect.changes.gain, above: 0}\n",
         ":8:50: ", "no layer of it learns while it reads"},
        {"  {name: a}\n", ":8:3: ", "expected a list of claims"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e;
        experiment *x = resolved(cases[i].text, &e);
        EXPECT(!x && strstr(e.text, cases[i].place) && strstr(e.text, cases[i].says),
               "%s gives %s, not %s ... %s", cases[i].text, x ? "no error" : e.text, cases[i].place,
               cases[i].says);
        experiment_free(x);
    }
}

/* Nobody counts the words of a document that an evaluation cuts. */
static void words_of_cut_documents(void)
{
    char text[512], whole[1024], path[512];
    err e = {0};
    snprintf(text, sizeof text, "%s/text.txt", test_folder());
    FILE *f = fopen(text, "w");
    for (int i = 0; f && i < 400; i++) {
        fputs("a few words of text\n", f);
    }
    if (f) fclose(f);
    for (int cut = 0; cut < 2; cut++) {
        snprintf(whole, sizeof whole,
                 "data: {corpus: text, path: %s}\n"
                 "model: {width: 8, context: 8, blocks: [{ffn: {hidden: 16}}]}\n"
                 "train: {budget: {steps: 4}, batch: 2}\n"
                 "eval: {tokens: %d}\n"
                 "sweep: {grid: {model.width: [8, 16]}}\n"
                 "claims: [{name: a, better: 8, than: 16, on: word_perplexity}]\n",
                 text, cut ? 50 : 0);
        snprintf(path, sizeof path, "%s/words.yaml", test_folder());
        f = fopen(path, "w");
        if (f) fputs(whole, f);
        if (f) fclose(f);
        corpus_places places = {.cache = test_folder()};
        experiment *x = experiment_load(path, NULL, &e);
        EXPECT(x && experiment_resolve(x, &places, &e), "%s", e.text);
        bool good = x && experiment_claims(x, &e);
        EXPECT(good == !cut && (!cut || strstr(e.text, ":6:45: ")), "cut %d: %s", cut, e.text);
        experiment_free(x);
    }
}

/* Loads, resolves and reads the claims of a whole spec. */
static bool claims_of(const char *whole, err *e)
{
    char path[512];
    snprintf(path, sizeof path, "%s/whole.yaml", test_folder());
    FILE *f = fopen(path, "w");
    if (f) fputs(whole, f);
    if (f) fclose(f);
    corpus_places places = {.cache = test_folder()};
    experiment *x = experiment_load(path, NULL, e);
    EXPECT(x && experiment_resolve(x, &places, e), "%s", e->text);
    bool good = x && experiment_claims(x, e);
    experiment_free(x);
    return good;
}

/* A label to the letter is that variant, wherever else the word is a value; what may mean several
 * is refused with all of them, and so is the end of a path that two axes have. */
static void names_that_mean_several(void)
{
    static const char SPEC[] =
        "name: several\n"
        "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500, length: 100}\n"
        "model: {width: 8, context: 8, blocks: [{ffn: {hidden: 4}}, {ffn: {hidden: 4}}]}\n"
        "train: {budget: {steps: 4}, batch: 2}\n"
        "sweep:\n"
        "  - grid: {\"model.blocks[0].ffn.hidden\": [4, 8], \"model.blocks[1].ffn.hidden\": [4, "
        "8]}\n"
        "  - list: [{label: '8', model.context: 4}]\n";
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"{\"model.blocks[0].ffn.hidden\": 4, \"model.blocks[1].ffn.hidden\": 4}", ""},
        {"'8'", "with itself"},
        {"4", ":8:28: claims[0].better: means 'blocks[0].ffn.hidden=4 blocks[1].ffn.hidden=4', "
              "'blocks[0].ffn.hidden=4 blocks[1].ffn.hidden=8', "
              "'blocks[0].ffn.hidden=8 blocks[1].ffn.hidden=4'; name a value of every axis"},
        {"{hidden: 4}", "'hidden' means 'model.blocks[0].ffn.hidden' and "
                        "'model.blocks[1].ffn.hidden'; give the whole path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char whole[2048];
        err e = {0};
        snprintf(whole, sizeof whole, "%sclaims: [{name: a, better: %s, than: '8'}]\n", SPEC,
                 cases[i].name);
        bool good = claims_of(whole, &e);
        EXPECT(good == !*cases[i].says && strstr(e.text, cases[i].says), "%s: %s", cases[i].name,
               e.text);
    }
}

/* A probe that never asks at a distance tells nothing of it. */
static void distances(void)
{
    for (int i = 0; i < 2; i++) {
        char whole[1024];
        err e = {0};
        snprintf(whole, sizeof whole,
                 "data: {corpus: probe, task: needle, distances: [4], held_out_distances: [8, 16], "
                 "tokens: 2000, held_out: 400}\n"
                 "model: {width: 8, context: 8, blocks: [{ffn: {hidden: 16}}]}\n"
                 "train: {budget: {steps: 4}, batch: 2}\n"
                 "sweep: {grid: {model.width: [8, 16]}}\n"
                 "claims: [{name: a, better: 8, than: 16, distance: %d}]\n",
                 i ? 4096 : 16);
        bool good = claims_of(whole, &e);
        EXPECT(good == (i == 0), "%d: %s", i, e.text);
        EXPECT(good || (strstr(e.text, ":5:51: ") && strstr(e.text, "(the nearest: 16)")), "%s",
               e.text);
    }
}

/* Memories of several hashes fire, but only those of slices have values that can be read. */
static void values_of_several_hashes(void)
{
    static const struct {
        const char *form, *figure;
        bool good;
    } cases[] = {{"segments", "keys.triggered", true},
                 {"segments", "composition.active", true},
                 {"segments", "composition.zero_agreement", false},
                 {"segments", "values.agreement", false},
                 {"slices", "values.agreement", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char whole[1024];
        err e = {0};
        snprintf(whole, sizeof whole,
                 "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500}\n"
                 "model: {width: 8, context: 8, blocks: [{hash_ffn: {experts: 4, hidden: 16, "
                 "hashes: 2, form: %s}}]}\n"
                 "train: {budget: {steps: 4}, batch: 2}\n"
                 "sweep: {grid: {train.batch: [2, 4]}}\n"
                 "claims: [{name: a, variant: {batch: 2}, on: inspect.%s, above: 0.5}]\n",
                 cases[i].form, cases[i].figure);
        bool good = claims_of(whole, &e);
        EXPECT(good == cases[i].good && (good || strstr(e.text, "values of their own")),
               "%s, %s: "
               "%s",
               cases[i].form, cases[i].figure, e.text);
    }
}

/* Documents are counted before training, and seeds are not added for them. */
static void by_document(void)
{
    static const struct {
        const char *seeds, *says;
        int held_out, scored;
    } cases[] = {{"2", NULL, 500, 0},
                 {"2", "is evaluated on has 4, and it takes 5", 400, 0},
                 {"2", "is evaluated on has 3, and it takes 5", 500, 201},
                 {"{until: decided, at least: 2, at most: 4}", "no further seed decides", 500, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char whole[1024];
        err e = {0};
        snprintf(whole, sizeof whole,
                 "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: %d, length: "
                 "100}\n"
                 "model: {width: 8, context: 8, blocks: [{ffn: {hidden: 16}}]}\n"
                 "train: {budget: {steps: 4}, batch: 2}\n"
                 "eval: {tokens: %d}\n"
                 "sweep: {seeds: %s, grid: {model.width: [8, 16]}}\n"
                 "claims: [{name: a, better: 8, than: 16, unit: documents}]\n",
                 cases[i].held_out, cases[i].scored, cases[i].seeds);
        bool good = claims_of(whole, &e);
        EXPECT(good == !cases[i].says &&
                   (good || (strstr(e.text, ":6:47: ") && strstr(e.text, cases[i].says))),
               "%s: %s", cases[i].seeds, e.text);
    }
}

/* ---- the record ---- */

const test_suite test_experiment_claims = {"harness/experiment_claims",
                                           {{"names", names},
                                            {"refuses", refuses},
                                            {"words of cut documents", words_of_cut_documents},
                                            {"names_that_mean_several", names_that_mean_several},
                                            {"distances", distances},
                                            {"values_of_several_hashes", values_of_several_hashes},
                                            {"by document", by_document},
                                            {0}}};
