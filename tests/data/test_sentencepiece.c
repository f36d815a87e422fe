#include "data/sentencepiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "data/prepare.h"
#include "data/text_cut.h"
#include "data/words.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* ModelProto{trainer_spec{}, pieces{"<unk>", 0, 2}, pieces{"_ab", -1.5}, pieces{"<0x0A>", 0, 6},
 * pieces{"c"}}, where _ is U+2581. */
static const unsigned char MODEL[] = "\x12\x02\x18\x05"
                                     "\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02"
                                     "\x0a\x0c\x0a\x05\xe2\x96\x81"
                                     "ab\x15\x00\x00\xc0\xbf"
                                     "\x0a\x0f\x0a\x06<0x0A>\x15\x00\x00\x00\x00\x18\x06"
                                     "\x0a\x03\x0a\x01"
                                     "c";

static void parses_a_model(void)
{
    arena *a = arena_new(0);
    err e = {0};
    sentencepiece *s = sentencepiece_parse(a, MODEL, sizeof MODEL - 1, "x", &e);
    EXPECT(s && s->vocab == 4, "%s", e.text);
    if (!s) return;
    EXPECT(s->pieces[0].type == PIECE_UNKNOWN && s->pieces[2].type == PIECE_BYTE, "types");
    EXPECT((double)s->pieces[1].score == -1.5 && s->pieces[1].bytes == 5, "score");
    static const int32_t IDS[] = {1, 3, 1, 2, 4, -1, 3};
    char *text = sentencepiece_decode(s, IDS, 7);
    EXPECT(strcmp(text, "abc ab\nc") == 0, "'%s'", text);
    free(text);
    arena_free(a);
}

static void refuses_what_is_none(void)
{
    arena *a = arena_new(0);
    err e = {0};
    for (size_t n = 0; n < sizeof MODEL - 1; n++) { /* cut off anywhere: refused, or fewer pieces */
        sentencepiece *s = sentencepiece_parse(a, MODEL, n, "x", &e);
        EXPECT(s ? s->vocab < 4 : strstr(e.text, "not a SentencePiece model") != NULL, "%zu: %s", n,
               e.text);
    }
    EXPECT(!sentencepiece_parse(a, (const unsigned char *)"some text, no model", 19, "x", &e),
           "text");
    arena_free(a);
}

static void encodes_as_published(void)
{
    const char *model = corpora_shared("tokenizers/pg19train_bpe_4000.model");
    if (!model || !corpora_program("spm_encode")) return;
    corpora_write("t/train/1", "hello world\n\n  foo   bar\nbaz", -1);
    corpora_write("t/validation/1", "hello world", -1);
    char yaml[FILE_PATH_BYTES + 64];
    snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
    corpus *c = corpora_need(yaml);
    if (!c) return;
    /* sentencepiece.SentencePieceProcessor(...).encode('hello world\n\n  foo   bar\nbaz') */
    static const int32_t EXPECTED[] = {43, 34, 3910, 758, 41, 3921, 116, 6, 1438, 14, 965};
    int32_t ids[11];
    document d = split_document(corpus_get(c, SPLIT_TRAIN), 0);
    EXPECT(d.tokens == 11 && d.words == 5 && d.bytes == 28, "%lld tokens, %lld words, %lld bytes",
           (long long)d.tokens, (long long)d.words, (long long)d.bytes);
    EXPECT(split_read(corpus_get(c, SPLIT_TRAIN), 0, 0, MIN(d.tokens, 11), ids, NULL) &&
               memcmp(ids, EXPECTED, sizeof ids) == 0,
           "ids");
    EXPECT(!corpus_lossless(c) && corpus_has_words(c) && corpus_vocab(c) == 4000, "what it is");
    char *text = corpus_decode(c, ids, 11);
    EXPECT(strcmp(text, "hello world    foo   bar baz") == 0, "'%s'", text);
    free(text);
    corpus_close(c);
}

/* Train, encode, use the cache, export, read back. */
static void trains_its_own(void)
{
    if (!corpora_program("spm_train")) return;
    char *text = corpora_text(1, 60000);
    corpora_write("x.txt", text, -1);
    free(text);
    static const char YAML[] = "{corpus: text, path: x.txt, tokenizer: {train: bpe, vocab: 310}}";
    corpus *c = corpora_need(YAML);
    if (!c) return;
    const corpus_split *s = corpus_get(c, SPLIT_TRAIN);
    EXPECT(split_bytes(s) == 54000 && split_tokens(s) < 40000 && corpus_vocab(c) == 310,
           "%lld tokens", (long long)split_tokens(s));
    char hash[80];
    snprintf(hash, sizeof hash, "%s", corpus_hash(c));
    err e = {0};
    int32_t *ids;
    int64_t n;
    EXPECT(corpus_encode(c, "the memory holds\nwhat it forgets", &ids, &n, &e), "%s", e.text);
    char *back = corpus_decode(c, ids, n);
    EXPECT(strcmp(back, "the memory holds what it forgets") == 0, "'%s'", back);
    free(back);
    free(ids);
    const prepare_options how = {.out = test_inside("out"), .separator = -1};
    EXPECT(prepare_export(c, &how, &e), "%s", e.text);
    corpus *d = corpora_need("{corpus: shards, path: out}");
    EXPECT(d && split_words(corpus_get(d, SPLIT_TEST)) == split_words(corpus_get(c, SPLIT_TEST)) &&
               !corpus_lossless(d) && corpus_has_words(d),
           "the exported shards");
    corpus_close(d);
    corpus_close(c);
    setenv("PATH", "/nowhere", 1); /* from the cache: no program is needed */
    c = corpora_need(YAML);
    test_path(NULL);
    EXPECT(c && strcmp(hash, corpus_hash(c)) == 0, "another hash");
    corpus_close(c);
}

/* One line longer than the programs take: broken at spaces, the same ids as without. */
static void long_lines(void)
{
    const char *model = corpora_shared("tokenizers/pg19train_bpe_4000.model");
    if (!model || !corpora_program("spm_encode")) return;
    char *text = corpora_text(1, 30000);
    corpora_write("t/train/lines", text, -1);
    for (char *at = text; *at; at++) {
        if (*at == '\n') *at = ' ';
    }
    corpora_write("t/train/oneline", text, -1);
    memset(text, 'a', 30000); /* and without any space: still encoded, in pieces */
    corpora_write("t/validation/1", text, -1);
    free(text);
    char yaml[FILE_PATH_BYTES + 64];
    snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
    corpus *c = corpora_need(yaml);
    if (!c) return;
    const corpus_split *s = corpus_get(c, SPLIT_TRAIN);
    document x = split_document(s, 0), y = split_document(s, 1);
    int32_t *a = calloc((size_t)x.tokens, 4), *b = calloc((size_t)y.tokens, 4);
    EXPECT(x.tokens == y.tokens && split_read(s, 0, 0, x.tokens, a, NULL) &&
               split_read(s, 1, 0, y.tokens, b, NULL) && memcmp(a, b, (size_t)x.tokens * 4) == 0,
           "%lld and %lld tokens", (long long)x.tokens, (long long)y.tokens);
    free(a);
    free(b);
    corpus_close(c);
}

/* A model trained here on the given text, with spm_train's own options; its path, or NULL where the
 * program is not there. */
static const char *trained(const char *name, const char *options)
{
    if (!corpora_program("spm_train")) return NULL;
    char command[3 * FILE_PATH_BYTES], *text = corpora_text(3, 60000);
    corpora_write("sample.txt", text, -1);
    free(text);
    snprintf(command, sizeof command,
             "spm_train --input='%s' --model_prefix='%s' --vocab_size=300 --byte_fallback=true "
             "--num_threads=1 --minloglevel=2 --hard_vocab_limit=false %s >/dev/null 2>&1",
             test_inside("sample.txt"), test_inside(name), options);
    EXPECT(system(command) == 0, "%s", command);
    static char file[64];
    snprintf(file, sizeof file, "%s.model", name);
    return test_inside(file);
}

static const char *const SETTINGS[] = {
    "--model_type=bpe",
    "--model_type=unigram --normalization_rule_name=identity",
    "--model_type=bpe --remove_extra_whitespaces=false --normalization_rule_name=identity",
    "--model_type=bpe --add_dummy_prefix=false",
    "--model_type=bpe --add_dummy_prefix=false --remove_extra_whitespaces=false",
    "--model_type=bpe --treat_whitespace_as_suffix=true",
};

typedef struct cut_test {
    arena *a;
    sentencepiece_encoder *x;
    text_range range;
    sentencepiece_ids whole, pieces;
    int64_t cuts;
} cut_test;

/* Encodes piece by piece. */
static bool encode_cut(cut_test *t, const char *text, err *e)
{
    text_piece p = {0};
    t->pieces.ids = calloc((size_t)t->whole.count + 1, sizeof(int32_t));
    while (text_cut_next(&p, &t->range, t->x, e)) {
        sentencepiece_ids some = {0};
        if (!sentencepiece_encoder_ids(t->x, text + p.begin, p.end - p.begin, p.before, p.behind,
                                       &some, e)) {
            return false;
        }
        int64_t room = t->whole.count - t->pieces.count;
        memcpy(t->pieces.ids + t->pieces.count, some.ids,
               (size_t)MIN(some.count, room) * sizeof(int32_t));
        t->pieces.count += some.count;
        t->cuts += p.behind != EDGE_WHOLE;
        free(some.ids);
        if (t->pieces.count > t->whole.count) return true;
    }
    return !e->text[0];
}

/* The ids of a document that is cut are those of its text encoded as one whole. */
static void expect_whole(const char *model, const char *settings, const char *text)
{
    err e = {0};
    cut_test t = {.a = arena_new(0)};
    int64_t bytes = (int64_t)strlen(text);
    corpora_write("x", text, bytes);
    t.range = (text_range){reader_new(t.a, 1, 256), 0, 0, bytes, 10000};
    reader_add(t.range.reader, test_inside("x"));
    sentencepiece *s = sentencepiece_load(t.a, model, &e);
    t.x = s ? sentencepiece_encoder_open(s, model, &e) : NULL;
    bool ok = t.x &&
              sentencepiece_encoder_ids(t.x, text, bytes, EDGE_WHOLE, EDGE_WHOLE, &t.whole, &e) &&
              encode_cut(&t, text, &e);
    EXPECT(ok, "%s", e.text);
    EXPECT(!ok || (t.cuts == 4 && t.pieces.count == t.whole.count &&
                   memcmp(t.pieces.ids, t.whole.ids, (size_t)t.whole.count * sizeof(int32_t)) == 0),
           "%s: %lld ids, %lld as one whole; %lld cuts", settings, (long long)t.pieces.count,
           (long long)t.whole.count, (long long)t.cuts);
    free(t.whole.ids);
    free(t.pieces.ids);
    sentencepiece_encoder_close(t.x);
    reader_free(t.range.reader);
    arena_free(t.a);
}

static void cuts_change_nothing(void)
{
    char *text = corpora_text(7, 60000);
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++) {
        const char *model = trained("m", SETTINGS[i]);
        if (!model) break;
        char path[FILE_PATH_BYTES];
        snprintf(path, sizeof path, "%s", model);
        expect_whole(path, SETTINGS[i], text);
    }
    free(text);
}

/* No space to cut at: neither ids nor characters are lost. */
static void cuts_without_spaces(void)
{
    const char *model = trained("m", "--model_type=bpe");
    if (!model) return;
    char path[FILE_PATH_BYTES], *text = corpora_text(7, 60000);
    snprintf(path, sizeof path, "%s", model);
    for (char *at = text; *at; at++) {
        if (*at == ' ' || *at == '\n') *at = 'o';
    }
    expect_whole(path, "no spaces", text);
    for (int64_t i = 0; i + 2 < 60000; i += 3) { /* bytes that the model spells */
        memcpy(text + i, "\xe4\xb8\xad", 3);
    }
    expect_whole(path, "no spaces, characters of three bytes", text);
    free(text);
}

/* A corpus cuts its documents by the mebibyte; a model of single characters keeps this quick. */
static void long_documents(void)
{
    const char *model = trained("m", "--model_type=char --normalization_rule_name=identity "
                                     "--add_dummy_prefix=false --remove_extra_whitespaces=false");
    if (!model) return;
    char yaml[FILE_PATH_BYTES + 64], *text = corpora_text(7, 1100000);
    snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
    for (char *at = text; *at; at++) {
        if (*at == '\n') *at = ' ';
    }
    corpora_write("t/train/x", text, -1);
    corpora_write("t/validation/v", "what the model holds", -1);
    corpus *c = corpora_need(yaml);
    int64_t n = c ? split_tokens(corpus_get(c, SPLIT_TRAIN)) : 0;
    int32_t *ids = calloc((size_t)n + 1, sizeof *ids);
    EXPECT(!c || (n == (int64_t)strlen(text) &&
                  split_read(corpus_get(c, SPLIT_TRAIN), 0, 0, n, ids, NULL)),
           "%lld ids", (long long)n);
    char *back = c ? corpus_decode(c, ids, n) : NULL;
    EXPECT(!back || strcmp(back, text) == 0, "another text");
    free(back);
    free(ids);
    free(text);
    corpus_close(c);
}

/* `prompt`, continued by the last words of `whole`, reads as that; where spaces are the ends of
 * words, the last one has its own, `end`. */
static void expect_continued(const corpus *c, const char *prompt, const char *whole,
                             const char *end)
{
    int32_t *ids = NULL, *all = NULL;
    int64_t n = 0, count = 0;
    err e = {0};
    EXPECT(corpus_encode(c, prompt, &ids, &n, &e) && corpus_encode(c, whole, &all, &count, &e),
           "%s", e.text);
    EXPECT(n < count && (n == 0 || memcmp(ids, all, (size_t)n * sizeof *ids) == 0),
           "'%s' is not how '%s' begins", prompt, whole);
    char *text = corpus_continue(c, prompt, ids, n, all + n, count - n);
    EXPECT(strncmp(prompt, whole, strlen(prompt)) == 0 &&
               strncmp(text, whole + strlen(prompt), strlen(whole) - strlen(prompt)) == 0 &&
               strcmp(text + strlen(whole) - strlen(prompt), end) == 0,
           "'%s' is followed by '%s'", prompt, text);
    free(text);
    free(ids);
    free(all);
}

/* Words of a prompt and of what was drawn are as far apart as in a text. */
static void continues_a_prompt(void)
{
    static const char *const KINDS[] = {
        "--model_type=word", "--model_type=char --treat_whitespace_as_suffix=true",
        "--model_type=char --add_dummy_prefix=false --remove_extra_whitespaces=false"};
    static const char *const PROMPTS[] = {"", "the", "the ", "the memory"};
    corpora_write("t/train/x", "the memory holds", -1);
    corpora_write("t/validation/v", "the memory", -1);
    for (int i = 0; i < 3; i++) {
        const char *model = trained("m", KINDS[i]);
        if (!model) return;
        char yaml[FILE_PATH_BYTES + 64];
        snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
        corpus *c = corpora_need(yaml);
        for (size_t k = 0; c && k < sizeof PROMPTS / sizeof *PROMPTS; k++) {
            expect_continued(c, PROMPTS[k], "the memory holds", i == 1 ? " " : "");
        }
        if (i == 2) expect_continued(c, "", " begins with a space", "");
        corpus_close(c);
    }
    corpus *c = corpora_need("{corpus: markov}");
    if (c) expect_continued(c, "3 1", "3 1 4 15", "");
    corpus_close(c);
    c = corpora_need("{corpus: text, path: t}");
    if (c) expect_continued(c, "the m", "the memory", "");
    corpus_close(c);
}

/* Many short documents, several encoded at once: each has its own ids. */
static void small_documents(void)
{
    const char *model = trained("m", "--model_type=bpe");
    if (!model) return;
    char yaml[FILE_PATH_BYTES + 64];
    snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
    enum { MANY = 300 };
    char name[32], *text[MANY];
    for (int i = 0; i < MANY; i++) {
        text[i] = corpora_text((uint64_t)i, 40 + i % 50);
        snprintf(name, sizeof name, "t/train/%03d", i);
        corpora_write(name, text[i], -1);
    }
    corpora_write("t/validation/v", "what the model holds", -1);
    corpus *c = corpora_need(yaml);
    const corpus_split *s = c ? corpus_get(c, SPLIT_TRAIN) : NULL;
    EXPECT(!s || split_documents(s) == MANY, "%lld documents", (long long)split_documents(s));
    for (int i = 0; i < MANY; i++) {
        int32_t *ids = NULL, got[256];
        int64_t n = 0;
        err e = {0};
        bool ok = s && corpus_encode(c, text[i], &ids, &n, &e) && n <= 256 &&
                  split_document(s, i).tokens == n && split_read(s, i, 0, n, got, &e) &&
                  memcmp(got, ids, (size_t)n * sizeof *ids) == 0;
        EXPECT(!s || ok, "document %d: %lld ids; %s", i, (long long)n, e.text);
        free(ids);
        free(text[i]);
    }
    corpus_close(c);
}

/* Two models with the same pieces are two tokenizers where their settings change the ids. */
static void identity_is_the_whole_model(void)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t count;
        bool same;
    } OTHER[] = {
        {"dummy prefix", "\x1a\x02\x18\x00", 4, false},
        {"white space", "\x1a\x02\x20\x00", 4, false},
        {"escaping", "\x1a\x02\x28\x00", 4, false},
        {"type", "\x12\x02\x18\x02", 4, false},
        {"suffix", "\x12\x03\xc0\x01\x01", 5, false},
        {"byte fallback", "\x12\x03\x98\x02\x01", 5, false},
        {"unknown's text", "\x12\x04\xe2\x02\x01x", 6, false},
        {"the trainer's threads", "\x12\x03\x80\x01\x04", 5, true},
        {"said as by default", "\x1a\x02\x18\x01", 4, true},
    };
    arena *a = arena_new(0);
    /* MODEL without its trainer_spec: {type = 5} */
    const unsigned char *plain = MODEL + 4;
    size_t bytes = sizeof MODEL - 1 - 4;
    sentencepiece *base = sentencepiece_parse(a, plain, bytes, "x", NULL);
    for (size_t i = 0; base && i < sizeof OTHER / sizeof *OTHER; i++) {
        unsigned char all[sizeof MODEL + 16];
        memcpy(all, plain, bytes);
        memcpy(all + bytes, OTHER[i].bytes, OTHER[i].count);
        err e = {0};
        sentencepiece *s = sentencepiece_parse(a, all, bytes + OTHER[i].count, "x", &e);
        EXPECT(s && (strcmp(s->hash, base->hash) == 0) == OTHER[i].same, "%s: %s", OTHER[i].what,
               e.text);
    }
    arena_free(a);
}

/* What the tokenizer lacks is counted: a run of it is one token. */
static void counts_unknown(void)
{
    if (!corpora_program("spm_train")) return;
    const char *model = trained("m", "--model_type=bpe --byte_fallback=false");
    char yaml[FILE_PATH_BYTES + 64];
    snprintf(yaml, sizeof yaml, "{corpus: text, path: t, tokenizer: '%s'}", model);
    corpora_write("t/train/x", "the \xd0\xb4\xd0\xb0 model \xd0\xb4 holds", -1);
    corpora_write("t/validation/v", "what the model holds", -1);
    corpus *c = corpora_need(yaml);
    if (!c) return;
    const corpus_split *s = corpus_get(c, SPLIT_TRAIN);
    EXPECT(split_unknown(s) == 2 && split_unknown_bytes(s) == 6, "%lld tokens, %lld bytes",
           (long long)split_unknown(s), (long long)split_unknown_bytes(s));
    EXPECT(split_unknown(corpus_get(c, SPLIT_VALIDATION)) == 0, "of validation");
    int32_t *ids = NULL;
    int64_t n = 0;
    err e = {0};
    EXPECT(corpus_encode(c, "the \xd0\xb4 model", &ids, &n, &e) && corpus_unknown(c, ids, n) == 1,
           "of a prompt: %lld of %lld %s", (long long)corpus_unknown(c, ids, n), (long long)n,
           e.text);
    free(ids);
    corpus_close(c);
}

static void failing_programs(void)
{
    if (!corpora_program("spm_train")) return;
    char *text = corpora_text(1, 3000);
    corpora_write("x.txt", text, -1);
    free(text);
    err e = {0};
    /* Fourteen words cannot give so many pieces. */
    corpus *c =
        corpora_open("{corpus: text, path: x.txt, tokenizer: {train: bpe, vocab: 5000}}", &e);
    EXPECT(!c && strstr(e.text, "test.yaml:1:40: ") && strstr(e.text, "Vocabulary size too high"),
           "%s", e.text);
    /* The second: as it looks where a program counts as started though it is not there. */
    corpora_write("late/spm_train", "#!/bin/sh\nexit 127\n", -1);
    EXPECT(chmod(test_inside("late/spm_train"), 0755) == 0, "chmod");
    for (int i = 0; i < 2; i++) {
        setenv("PATH", i ? test_inside("late") : "/nowhere", 1);
        c = corpora_open("{corpus: text, path: x.txt, tokenizer: {train: bpe, vocab: 310}}", &e);
        test_path(NULL);
        EXPECT(!c && strstr(e.text, "apt-get install sentencepiece"), "%s", e.text);
    }
}

static void words(void)
{
    static const struct {
        const char *text;
        int64_t words;
    } CASE[] = {{"", 0},
                {" ", 0},
                {"a", 1},
                {" a  b\n", 2},
                {"a\t\n\v\f\rb", 2},
                {"a\xc2\xa0"
                 "b",
                 1}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const unsigned char *text = (const unsigned char *)CASE[i].text;
        int64_t n = (int64_t)strlen(CASE[i].text);
        for (int64_t cut = 0; cut <= n; cut++) { /* counted in two pieces: the same */
            bool inside = false;
            int64_t got = words_count(text, cut, &inside);
            got += words_count(text + cut, n - cut, &inside);
            EXPECT(got == CASE[i].words, "'%s' cut at %lld: %lld words", CASE[i].text,
                   (long long)cut, (long long)got);
        }
    }
}

const test_suite test_sentencepiece = {
    "data/sentencepiece",
    {{"parses a model", parses_a_model},
     {"refuses what is none", refuses_what_is_none},
     {"encodes as published", encodes_as_published},
     {"trains its own", trains_its_own},
     {"long lines", long_lines},
     {"cuts change nothing", cuts_change_nothing},
     {"cuts without spaces", cuts_without_spaces},
     {"long documents", long_documents},
     {"continues a prompt", continues_a_prompt},
     {"small documents", small_documents},
     {"identity is the whole model", identity_is_the_whole_model},
     {"counts unknown", counts_unknown},
     {"failing programs", failing_programs},
     {"words", words},
     {0}}};
