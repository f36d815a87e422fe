/* Runs that do not compare: evaluated otherwise, of other texts, tokenizers or kernels. What is
 * shown of them, and what is said. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "results/compare/protocol.h"
#include "tests/support/compared.h"
#include "tests/test.h"

/* A final evaluation of `count` documents, the first of them called `first`, at `bits` per byte. */
static void documents(const fake_experiment *x, int variant, int seed, int count, int first,
                      double bits)
{
    char *line = NULL;
    size_t bytes;
    FILE *f = open_memstream(&line, &bytes);
    fprintf(f,
            "{\"eval\": \"d%d-%d\", \"step\": 300, \"split\": \"validation\", \"final\": true, "
            "\"nats\": %.17g, \"tokens\": 90000, \"bytes\": 90000, \"protocol\": {\"rows\": 3}, "
            "\"documents\": [",
            variant, seed, bits * log(2.0) * 90000);
    for (int i = 0; i < count; i++) {
        fprintf(f, "%s{\"index\": %d, \"nats\": %.17g, \"tokens\": 90, \"bytes\": 90}",
                i ? ", " : "", first + i, bits * log(2.0) * 90);
    }
    fputs("]}\n", f);
    fclose(f);
    fake_append(x, variant, seed, "evals.jsonl", line);
    free(line);
}

/* Who was evaluated otherwise is said: variants that agree together; seeds that do not have no
 * result. */
static void other_protocols(void)
{
    static const fake_variant variants[] = {{"short", 0, 0.001, 1000, 1, NULL, false},
                                            {"long", 0.03, 0.001, 1000, 1, NULL, false},
                                            {"wide", 0.03, 0.001, 1000, 1, NULL, false},
                                            {"deep", 0.03, 0.001, 1000, 1, NULL, false}};
    fake_experiment x = compared_of(variants, 4, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    char *text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    EXPECT(!strstr(text, "  but "), "%s", text);
    free(text);
    for (int seed = 1; seed <= 2; seed++) {
        documents(&x, 1, seed, 3, 0, 2.5);
        documents(&x, 2, seed, 3, 0, 2.5);
    }
    documents(&x, 3, 2, 3, 0, 2.5);
    c = compared_load(a, &x, &(compare_options){0});
    text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    EXPECT(strstr(text, "\n  but 'long', 'wide': rows 3; no context; no memory; no start; no "
                        "data.\n") &&
               strstr(text, "  deep, seed 2: done: was evaluated otherwise than other seeds: rows "
                            "3; no context; no memory; loci run evaluates all alike (run "),
           "%s", text);
    free(text);
    arena_free(a);
}

/* Seeds whose documents are others do not count, whichever comes first. */
static void other_documents(void)
{
    fake_experiment x = compared_fake(2, 3);
    fake_write(&x);
    for (int seed = 1; seed <= 3; seed++) {
        documents(&x, 0, seed, seed == 1 ? 1 : 300, 0, 2.5);
        documents(&x, 1, seed, seed == 1 ? 1 : 300, seed == 1 ? 7 : 0, 2.25);
    }
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){0});
    if (!c) return;
    const document_difference *d = &c->variants[1].documents;
    EXPECT(d->n == 300 && d->better == 300 && fabs(d->mean + 0.25) < 1e-9, "%d, %d, %g", d->n,
           d->better, d->mean);
    arena_free(a);
}

/* An evaluation by a tokenizer that makes `tokens` of each of three documents of 40 words. */
static void tokenized(const fake_experiment *x, int variant, int seed, int tokens, int unknown)
{
    char line[2048];
    int used = snprintf(line, sizeof line,
                        "{\"eval\": \"%s-t%d-%d\", \"step\": 300, \"split\": \"validation\", "
                        "\"final\": true, \"nats\": %d, \"tokens\": %d, \"bytes\": null, "
                        "\"words\": 120, \"unknown_tokens\": %d, \"protocol\": {\"rows\": 3}, "
                        "\"documents\": [",
                        x->name, variant, seed, 600 - 60 * variant + seed, 3 * tokens, unknown);
    for (int i = 0; i < 3; i++) {
        used += snprintf(line + used, sizeof line - (size_t)used,
                         "%s{\"index\": %d, \"nats\": %d, \"tokens\": %d, \"bytes\": null, "
                         "\"words\": 40}",
                         i ? ", " : "", i, 200 - 20 * variant, tokens);
    }
    snprintf(line + used, sizeof line - (size_t)used, "]}\n");
    fake_append(x, variant, seed, "evals.jsonl", line);
}

/* By document, tokens divide only where they are the same; else words do. */
static void documents_of_two_tokenizers(void)
{
    fake_experiment x = compared_fake(2, 3);
    fake_write(&x);
    for (int seed = 1; seed <= 3; seed++) {
        tokenized(&x, 0, seed, 100, 0);
        tokenized(&x, 1, seed, 50, 0);
    }
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){0});
    if (!c) return;
    const document_difference *d = &c->variants[1].documents;
    EXPECT(d->unit == DOCUMENT_WORDS && d->n == 3 && fabs(d->mean + 0.5) < 1e-9, "unit %d: %g",
           (int)d->unit, d->mean);
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, "By document (nats per word"), "%s", text);
    free(text);
    for (int seed = 1; seed <= 3; seed++) {
        tokenized(&x, 1, seed, 100, 0);
    }
    c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && c->variants[1].documents.unit == DOCUMENT_TOKENS &&
               fabs(c->variants[1].documents.mean + 0.2) < 1e-9,
           "equal tokenizers");
    arena_free(a);
}

/* Of a text that is cut at a number of tokens two tokenizers have as many, and not the same ones:
 * per token nothing is better, and in no document. */
static void as_many_other_tokens(void)
{
    fake_experiment x = compared_fake(2, 3);
    fake_write(&x);
    for (int seed = 1; seed <= 3; seed++) {
        tokenized(&x, 0, seed, 100, 0);
        tokenized(&x, 1, seed, 100, 0);
        fake_tokenizer(&x, 1, seed, "words.model");
    }
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){.metric = COMPARE_PERPLEXITY});
    if (!c) return;
    EXPECT(c->variants[1].difference.n == 0, "%d pairs", c->variants[1].difference.n);
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, "is not ranked against") && strstr(text, "different tokenizers"), "%s",
           text);
    free(text);
    c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && c->variants[1].documents.unit == DOCUMENT_WORDS, "by document");
    /* Nor are those that both lack the same ones. */
    for (int seed = 1; seed <= 3; seed++) {
        tokenized(&x, 0, seed, 100, 150);
        tokenized(&x, 1, seed, 100, 150);
    }
    c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && c->metric == COMPARE_WORD_PERPLEXITY && c->variants[1].unranked,
           "half of each is unknown");
    arena_free(a);
}

/* A tokenizer is what its model holds; and one text, with its tokenizer, is one, wherever the file
 * of the model lay by the spec of a run whose record says no more. */
static void one_tokenizer(void)
{
    static const struct {
        compared_run x, y;
        bool same;
    } cases[] = {{{.tokenizer = "bytes", .corpus = "a"}, {.tokenizer = "bytes", .corpus = "b"}, 1},
                 {{.tokenizer = "one", .corpus = "a"}, {.tokenizer = "two", .corpus = "b"}, 0},
                 {{.tokenizer = "/x/m", .corpus = "a"}, {.tokenizer = "/y/m", .corpus = "a"}, 1},
                 {{.corpus = "a"}, {.corpus = "a"}, 1},
                 {{.corpus = "a"}, {.corpus = "b"}, 0},
                 {{.corpus = NULL}, {.corpus = NULL}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT(compare_same_tokenizer(&cases[i].x, &cases[i].y) == cases[i].same, "case %zu", i);
    }
}

/* A record of an earlier version, of another text, whose spec had this tokenizer. */
static void put_earlier(const fake_experiment *x, int seed, const char *tokenizer)
{
    static const char *const RECORDS[] = {"plan.json", "run.json"};
    char id[17], path[FILE_PATH_BYTES];
    err e = {0};
    fake_run_id(id, x->name, x->variant[1].label, seed);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/runs/%s/%s", x->out, id, RECORDS[i]);
        json_auto_t *run = json_read(path, &e);
        json_t *data =
            json_pack("{s:o}", "tokenizer", json_loads(tokenizer, JSON_DECODE_ANY, NULL));
        json_object_set_new(json_object_get(run, "spec"), "data", data);
        json_object_set_new(run, "corpus_hash", json_string("of another text"));
        EXPECT(run && json_write(path, run, &e), "%s", e.text);
    }
}

static void earlier_tokenizers(void)
{
    static const struct {
        const char *tokenizer;
        int pairs;
    } cases[] = {
        {"\"bytes\"", 3}, {"\"/x/words.model\"", 0}, {"{\"train\": \"bpe\", \"vocab\": 300}", 0}};
    fake_experiment x = compared_fake(2, 3);
    arena *a = arena_new(0);
    fake_write(&x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int seed = 1; seed <= 3; seed++) {
            tokenized(&x, 0, seed, 100, 0);
            tokenized(&x, 1, seed, 100, 0);
            put_earlier(&x, seed, cases[i].tokenizer);
        }
        comparison *c = compared_load(a, &x, &(compare_options){.metric = COMPARE_PERPLEXITY});
        if (!c) return;
        EXPECT(c->variants[1].difference.n == cases[i].pairs, "%s: %d pairs", cases[i].tokenizer,
               c->variants[1].difference.n);
    }
    arena_free(a);
}

/* What a tokenizer does not know costs it nothing: no rank where it is more than 0.1 %. */
static void unknown_tokens(void)
{
    static const struct {
        int tokens[2], unknown[2];
        const char *says;
        bool ranked;
    } CASES[] = {
        {{1000, 900},
         {0, 1500},
         "not ranked against 'short': 55.56 % of the tokens of 'long'",
         false},
        {{900, 1000},
         {1500, 0},
         "not ranked against 'short': 55.56 % of the tokens of 'short'",
         false},
        {{1000, 900}, {0, 2}, "0.0741 % of the tokens of 'long'", true},
        {{1000, 1000},
         {1500, 1500},
         "50 % of the tokens of 'short', 50 % of the tokens of 'long'",
         true},
        {{1000, 900}, {0, 0}, "better", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char name[32];
        snprintf(name, sizeof name, "unknown%zu", i);
        fake_experiment x = compared_fake(2, 3);
        x.name = name;
        fake_write(&x);
        for (int seed = 1; seed <= 3; seed++) {
            for (int v = 0; v < 2; v++) {
                tokenized(&x, v, seed, CASES[i].tokens[v], CASES[i].unknown[v]);
            }
        }
        arena *a = arena_new(0);
        comparison *c = compared_load(a, &x, &(compare_options){0});
        char *text = c ? compared_print(c, TABLE_TEXT) : strdup("");
        EXPECT(strstr(text, CASES[i].says), "%s is not in %s", CASES[i].says, text);
        EXPECT(c && (c->variants[1].difference.n > 0) == CASES[i].ranked &&
                   (c->variants[1].documents.n > 0) == CASES[i].ranked,
               "%zu: ranked", i);
        free(text);
        arena_free(a);
    }
}

static void set_kernels(const fake_experiment *x, int variant, int seed, const char *kind)
{
    char id[17], path[1024];
    err e = {0};
    fake_run_id(id, x->name, x->variant[variant].label, seed);
    snprintf(path, sizeof path, "%s/runs/%s/run.json", x->out, id);
    json_t *run = json_read(path, &e);
    json_object_set_new(run, "blas_core", json_string(kind));
    EXPECT(json_write(path, run, &e), "%s", e.text);
    json_decref(run);
}

/* Runs of OpenBLAS on two kinds of processors: said, for their bits differ. */
static void other_kernels(void)
{
    fake_experiment x = compared_fake(2, 2);
    arena *a = arena_new(0);
    fake_write(&x);
    for (int i = 0; i < 4; i++) {
        set_kernels(&x, i / 2, i % 2 + 1, i < 3 ? "Haswell" : "SkylakeX");
    }
    comparison *c = compared_load(a, &x, &(compare_options){0});
    char *text = c ? compared_print(c, TABLE_TEXT) : NULL;
    EXPECT(text && strstr(text, "for Haswell and for SkylakeX"), "%s", text);
    free(text);
    arena_free(a);
}

/* A lossy tokenizer has no bits per byte: the words decide. */
static void lossy(void)
{
    static const fake_variant variants[] = {{"bytes", 0, 0.001, 1000, 1, NULL, false},
                                            {"pieces", 0.03, 0.001, 1000, 1, NULL, true}};
    fake_experiment x = compared_of(variants, 2, 3);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    EXPECT(c->lossy && c->metric == COMPARE_WORD_PERPLEXITY, "metric %d", (int)c->metric);
    EXPECT(c->same_text, "the same words");
    EXPECT(isnan(c->variants[1].value[COMPARE_BITS_PER_BYTE].mean), "bits per byte of pieces");
    EXPECT(c->variants[1].difference.mean < 0, "difference");
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, "word perplexity") && strstr(text, "lossy"), "%s", text);
    EXPECT(strstr(text, "bits/byte"), "bytes have them: %s", text);
    free(text);
    arena_free(a);
}

/* A figure that no variant has is no column for people; programs find all. */
static void nobody_has_bits(void)
{
    static const fake_variant variants[] = {{"unigram", 0, 0.001, 1000, 1, NULL, true},
                                            {"pairs", 0.03, 0.001, 1000, 1, NULL, true}};
    fake_experiment x = compared_of(variants, 2, 3);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    for (int f = TABLE_TEXT; f <= TABLE_MARKDOWN; f++) {
        char *text = compared_print(c, (table_format)f);
        EXPECT(strstr(text, "word perplexity") && !strstr(text, "bits/byte"), "%s", text);
        free(text);
    }
    char *text = compared_print(c, TABLE_CSV);
    EXPECT(strstr(text, ",bits_per_byte,"), "%s", text);
    free(text);
    arena_free(a);
}

/* What tells two ways of learning apart, in words; what a stranger wrote there, as it is. */
static void learning_in_words(void)
{
    static const char plain[] = "{\"rows\": 4}";
    static const struct {
        const char *protocol, *words;
    } cases[] = {
        {"{\"rows\": 4, \"dynamic\": {\"kind\": \"sgd\", \"rates\": [0.0001], \"decays\": [0.0], "
         "\"segment\": 32, \"match\": \"*\", \"carry\": false}}",
         "learning by sgd every 32 tokens, rate 0.0001"},
        {"{\"rows\": 4, \"dynamic\": {\"kind\": \"rms\", \"rates\": [0.001, 0.01], \"decays\": "
         "[0.02], \"segment\": 8, \"match\": \"blocks.*\", \"carry\": true, \"grid_tokens\": 500, "
         "\"eps\": 1e-05, \"batch\": 8}}",
         "learning by rms every 8 tokens, the best of rates 0.001, 0.01, decay 0.02, chosen on 500 "
         "tokens, parameters blocks.*, kept across documents, eps 1e-5, batch 8"},
        {"{\"rows\": 4, \"dynamic\": [1, {}]}", "dynamic [1,{}]"},
        {"{\"rows\": 6}", "rows 6"},
        {"{}", "no rows"}};
    json_t *first = json_loads(plain, 0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *own = json_loads(cases[i].protocol, 0, NULL);
        text_memory m;
        protocol_print_difference(text_begin(&m), own, first);
        text_auto *text = text_end(&m);
        EXPECT(strcmp(text, cases[i].words) == 0, "%s", text);
        json_decref(own);
    }
    json_decref(first);
}

const test_suite test_compare_unlike = {
    "results/compare_unlike",
    {{"other_documents", other_documents},
     {"documents_of_two_tokenizers", documents_of_two_tokenizers},
     {"as_many_other_tokens", as_many_other_tokens},
     {"one_tokenizer", one_tokenizer},
     {"earlier_tokenizers", earlier_tokenizers},
     {"unknown_tokens", unknown_tokens},
     {"other_protocols", other_protocols},
     {"learning_in_words", learning_in_words},
     {"other_kernels", other_kernels},
     {"lossy", lossy},
     {"nobody_has_bits", nobody_has_bits},
     {0}}};
