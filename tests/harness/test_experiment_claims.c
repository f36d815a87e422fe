/* Claims in a spec: names, errors with their places, and the record of what was claimed when. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/claims_record.h"
#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/set_aside.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char BASE[] =
    "name: claimed\n"
    "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500, length: 100}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 16}}]}\n"
    "train: {budget: {steps: 4}, batch: 2}\n"
    "sweep:\n"
    "  grid: {model.width: [8, 32, 16], optimizer.lr: [1e-3, 1e-2]}\n"
    "claims:\n";

static experiment *resolved(const char *text, err *e)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s%s", BASE, text);
    char path[512];
    snprintf(path, sizeof path, "%s/c.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fputs(whole, f) >= 0, "%s", path);
    if (f) fclose(f);
    e->text[0] = 0;
    corpus_places places = {.cache = test_folder()};
    experiment *x = experiment_load(path, NULL, e);
    if (x && experiment_resolve(x, &places, e) && experiment_claims(x, e)) return x;
    experiment_free(x);
    return NULL;
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
    err e = {{0}};
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
        err e = {{0}};
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
        err e = {{0}};
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
        err e = {{0}};
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
        err e = {{0}};
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

static json_t *record(const char *text)
{
    err e;
    char path[512];
    experiment *x = resolved(text, &e);
    EXPECT(x && run_record_experiment(test_folder(), x, &e), "%s", e.text);
    experiment_free(x);
    snprintf(path, sizeof path, "%s/experiments/claimed.json", test_folder());
    json_t *o = json_read(path, &e), *list = json_incref(json_object_get(o, "claims"));
    json_decref(o);
    return list;
}

static bool after(const json_t *list, size_t i)
{
    return json_is_true(json_object_get(json_array_get(list, i), "after_the_fact"));
}

static bool withdrawn(const json_t *list, size_t i)
{
    return json_is_true(json_object_get(json_array_get(list, i), "withdrawn"));
}

/* One run of the experiment gets an evaluation. */
static void make_results(void)
{
    err e;
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    experiment *x = resolved("  []\n", &e);
    EXPECT(x && run_folder_path(folder, test_folder(), x->runs[0].id, &e) &&
               file_make_folders(folder, &e) && file_join(path, folder, "evals.jsonl", &e),
           "%s", e.text);
    FILE *f = x ? fopen(path, "w") : NULL;
    if (f) fclose(f);
    experiment_free(x);
}

static void recorded(void)
{
    static const char one[] =
        "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n";
    static const char page[] =
        "  - {name: a, better: {lr: 0.001, width: 8}, than: {width: 16, lr: 1e-3}, page: x.md}\n";
    static const char two[] =
        "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n"
        "  - {name: b, better: {width: 8, lr: 1e-3}, than: {width: 32, lr: 1e-3}}\n";
    static const char changed[] =
        "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 1 %}\n";
    json_t *first = record(one);
    EXPECT(json_array_size(first) == 1 && !after(first, 0), "before any result");
    make_results();
    json_t *again = record(page);
    EXPECT(!after(again, 0) && json_equal(json_object_get(json_array_get(first, 0), "hash"),
                                          json_object_get(json_array_get(again, 0), "hash")),
           "the page and how names are written change nothing");
    json_t *more = record(two);
    EXPECT(json_array_size(more) == 2 && !after(more, 0) && after(more, 1), "the second is late");
    json_t *other = record(changed);
    EXPECT(json_array_size(other) == 2 && after(other, 0), "a changed claim is late");
    EXPECT(!withdrawn(other, 0) && withdrawn(other, 1), "one that is gone is withdrawn");
    json_t *back = record(one);
    EXPECT(after(back, 0), "what was changed and changed back has been seen");
    json_decref(first);
    json_decref(again);
    json_decref(more);
    json_decref(other);
    json_decref(back);
}

/* A record that is damaged is believed in nothing, and a copy is kept: when a claim was made stands
 * nowhere else. */
static void damaged_record(void)
{
    static const char one[] =
        "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n";
    char path[FILE_PATH_BYTES], aside[FILE_PATH_BYTES + 32];
    err e = {0};
    size_t bytes;
    json_t *first = record(one);
    EXPECT(!after(first, 0), "before any result");
    make_results();
    snprintf(path, sizeof path, "%.1000s/experiments/claimed.json", test_folder());
    text_auto *text = file_read(path, &bytes, &e);
    char *year = text ? strstr(text, "\"recorded_at\": \"20") : NULL;
    if (year) year[17]++;
    EXPECT(year && file_write(path, text, bytes, &e) && !json_read(path, &e), "%s", e.text);
    json_t *again = record(one);
    EXPECT(after(again, 0), "of a damaged record nothing is believed");
    snprintf(aside, sizeof aside, "%s" SET_ASIDE_COPY, path);
    size_t kept;
    text_auto *copy = file_read(aside, &kept, &e);
    EXPECT(copy && kept == bytes && memcmp(copy, text, bytes) == 0, "%s", e.text);
    /* The copy of a second damage is another. */
    EXPECT(truncate(path, 20) == 0, "%s", path);
    json_t *third = record(one);
    text_auto *still = file_read(aside, &kept, &e);
    EXPECT(still && kept == bytes && memcmp(still, text, bytes) == 0, "the first copy is lost");
    snprintf(aside, sizeof aside, "%s" SET_ASIDE_COPY "-2", path);
    EXPECT(file_exists(aside), "%s", aside);
    json_decref(first);
    json_decref(again);
    json_decref(third);
}

const test_suite test_experiment_claims = {"harness/experiment_claims",
                                           {{"names", names},
                                            {"refuses", refuses},
                                            {"words of cut documents", words_of_cut_documents},
                                            {"names_that_mean_several", names_that_mean_several},
                                            {"distances", distances},
                                            {"values_of_several_hashes", values_of_several_hashes},
                                            {"by document", by_document},
                                            {"recorded", recorded},
                                            {"damaged_record", damaged_record},
                                            {0}}};
