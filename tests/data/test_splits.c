/* Which text belongs to which split, as folders and files of people's own are named. */
#include "data/split_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/corpora.h"
#include "tests/test.h"

static const struct {
    const char *name;
    int told;
    split_kind kind;
    bool plain;
} NAMES[] = {
    {"train.txt", 1, SPLIT_TRAIN, true},
    {"Valid", 1, SPLIT_VALIDATION, true},
    {"dev.txt.raw", 1, SPLIT_VALIDATION, true},
    {"validation", 1, SPLIT_VALIDATION, true},
    {"testing", 1, SPLIT_TEST, true},
    {"train-00000-of-00010.txt", 1, SPLIT_TRAIN, true},
    {"train000007.bin", 1, SPLIT_TRAIN, true},
    {"wiki.valid.tokens", 1, SPLIT_VALIDATION, false},
    {"fineweb_val_000001.bin", 1, SPLIT_VALIDATION, false},
    {"evaluation_test.bin", 1, SPLIT_TEST, false},
    {"pretrain_val.bin", 1, SPLIT_VALIDATION, false},
    {"pretrained.bin", 0, SPLIT_TRAIN, false},
    {"evaluation.txt", 0, SPLIT_TRAIN, false},
    {"latest.txt", 0, SPLIT_TRAIN, false},
    {"train_test.bin", 2, SPLIT_TEST, false},
    {"traîne.txt", 0, SPLIT_TRAIN, false},
};

static void words_of_names(void)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        split_kind told = SPLIT_TRAIN, plain;
        int n = split_names_told(NAMES[i].name, &told);
        EXPECT(n == NAMES[i].told && (n != 1 || told == NAMES[i].kind), "%s: %d", NAMES[i].name, n);
        EXPECT(split_names_plain(NAMES[i].name, &plain) == NAMES[i].plain, "%s", NAMES[i].name);
    }
    EXPECT(split_names_siblings("wiki.train.tokens", "wiki.valid.tokens"), "siblings");
    EXPECT(!split_names_siblings("train_to_rome.txt", "dev_notes.txt"), "two books");
    EXPECT(split_names_parts("train_0.txt", "train_17.txt"), "parts");
    EXPECT(!split_names_parts("train.txt", "train.txt.raw"), "no parts");
}

/* The bytes of every split, -1: none. */
static void expect_sizes(const char *yaml, int64_t train, int64_t validation, int64_t test)
{
    const int64_t size[SPLITS] = {train, validation, test};
    corpus *c = corpora_need(yaml);
    for (int kind = 0; kind < SPLITS && c; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        EXPECT((s ? split_bytes(s) : -1) == size[kind], "%s: %s holds %lld bytes", yaml,
               split_name((split_kind)kind), s ? (long long)split_bytes(s) : -1LL);
    }
    corpus_close(c);
}

/* Writes `bytes` bytes of text of that file's own. */
static void write_text(const char *name, int64_t bytes)
{
    char *text = corpora_text((uint64_t)bytes, bytes);
    corpora_write(name, text, bytes);
    free(text);
}

static void files_named_after_splits(void)
{
    write_text("awd/train.txt", 2000);
    write_text("awd/valid.txt", 300);
    write_text("awd/test.txt", 500);
    expect_sizes("{corpus: text, path: awd}", 2000, 300, 500);
    write_text("wiki/wiki.train.tokens", 2100);
    write_text("wiki/wiki.valid.tokens", 310);
    write_text("wiki/wiki.test.tokens", 510);
    write_text("wiki/README", 700);
    expect_sizes("{corpus: text, path: wiki}", 2100, 310, 510);
    write_text("parts/train_0.txt", 900);
    write_text("parts/train_1.txt", 901);
    write_text("parts/dev_0.txt", 200);
    expect_sizes("{corpus: text, path: parts}", 1801, 200, -1);
}

static void folders_named_after_splits(void)
{
    static const char *const VALIDATION[] = {"validation", "valid", "val", "dev", "Val"};
    for (int i = 0; i < 5; i++) {
        char name[64], yaml[64];
        snprintf(name, sizeof name, "f%d/train/a.txt", i);
        write_text(name, 1000);
        snprintf(name, sizeof name, "f%d/%s/a.txt", i, VALIDATION[i]);
        write_text(name, 200);
        snprintf(name, sizeof name, "f%d/test/deep/a.txt", i);
        write_text(name, 100);
        snprintf(name, sizeof name, "f%d/notes_on_training.txt", i);
        write_text(name, 50);
        snprintf(yaml, sizeof yaml, "{corpus: text, path: f%d}", i);
        expect_sizes(yaml, 1000, 200, 100);
    }
    write_text("mixed/train/a.txt", 1000);
    write_text("mixed/valid.txt", 200);
    expect_sizes("{corpus: text, path: mixed}", 1000, 200, -1);
}

static void expect_documents(const char *yaml, int64_t count)
{
    corpus *c = corpora_need(yaml);
    int64_t documents = 0;
    for (int kind = 0; kind < SPLITS && c; kind++) {
        documents += split_documents(corpus_get(c, (split_kind)kind));
    }
    EXPECT(documents == count, "%s: %lld documents", yaml, (long long)documents);
    corpus_close(c);
}

/* Books whose titles hold such words are books. */
static void names_that_mean_nothing(void)
{
    write_text("books/train_to_rome.txt", 1000);
    write_text("books/the_test_of_time.txt", 1100);
    write_text("books/dev_notes.txt", 1200);
    write_text("books/test.txt", 1300);
    expect_documents("{corpus: text, path: books}", 4);
    /* Two splits are none, also where nothing else is named after one. */
    write_text("both/train.test.txt", 1400);
    write_text("both/a", 1500);
    write_text("both/b", 1600);
    expect_documents("{corpus: text, path: both}", 3);
}

static const struct {
    const char *yaml, *says;
} BAD[] = {
    {"{corpus: text, path: alone}", "nothing is named after validation; the names to give are"},
    {"{corpus: text, path: eval}", "nothing is named after validation"},
    {"{corpus: text, path: twice}", "both train.txt and train.txt.raw"},
    {"{corpus: text, path: two}", "both val and valid"},
    {"{corpus: text, path: deep}", "deep: holds text that is split already (en/train.txt, en/val"},
    {"{corpus: text, path: beside}", "train.test.txt is named after more than one split"},
    {"{corpus: text, path: empty}", "the validation split of corpus 'text' is empty"},
    {"{corpus: shards, path: many, vocab: 10}", "train_val.bin: named after more than one split"},
    {"{corpus: shards, path: none, vocab: 10}", "hold a word that tells the split: train, valid"},
};

static void contradictions(void)
{
    write_text("alone/train.txt", 1000);
    write_text("alone/b.txt", 1000);
    write_text("alone/c.txt", 1000);
    write_text("eval/train/a.txt", 1000);
    write_text("eval/eval/a.txt", 1000);
    write_text("twice/train.txt", 1000);
    write_text("twice/train.txt.raw", 1001);
    write_text("twice/valid.txt", 1002);
    write_text("two/train/a", 100);
    write_text("two/val/a", 101);
    write_text("two/valid/a", 102);
    write_text("deep/en/train.txt", 100);
    write_text("deep/en/val.txt", 101);
    write_text("deep/en/other.txt", 102);
    write_text("beside/train.test.txt", 100);
    write_text("beside/test.txt", 101);
    write_text("empty/train/a", 100);
    corpora_write("empty/val/a", "", -1);
    corpora_write("many/train_val.bin", "\1\0\2\0", 4);
    corpora_write("none/latest.bin", "\1\0\2\0", 4);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        err e = {0};
        corpus *c = corpora_open(BAD[i].yaml, &e);
        EXPECT(!c && strstr(e.text, BAD[i].says), "%s: %s", BAD[i].yaml, e.text);
        corpus_close(c);
    }
}

/* The tokens of the split under the vocabulary, from names in a folder of shards. */
static void names_of_shards(void)
{
    static const char IDS[10] = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0};
    corpora_write("s/train.bin", IDS, 10);
    corpora_write("s/val.bin", IDS, 2);
    corpora_write("s/pretrain_val.bin", IDS, 4);
    corpora_write("s/evaluation_test.bin", IDS, 6);
    corpora_write("s/optimizer.bin", IDS, 8);
    corpora_write("g/train/shard_0.bin", IDS, 10);
    corpora_write("g/train/shard_1.bin", IDS, 10);
    corpora_write("g/val/shard_0.bin", IDS, 4);
    static const struct {
        const char *yaml;
        int64_t tokens[SPLITS];
    } CASES[] = {{"{corpus: shards, path: s, vocab: 6}", {5, 3, 3}},
                 {"{corpus: shards, path: g, vocab: 6}", {10, 2, -1}}};
    for (int i = 0; i < 2; i++) {
        corpus *c = corpora_need(CASES[i].yaml);
        for (int kind = 0; kind < SPLITS && c; kind++) {
            const corpus_split *s = corpus_get(c, (split_kind)kind);
            EXPECT((s ? split_tokens(s) : -1) == CASES[i].tokens[kind], "%s: %s", CASES[i].yaml,
                   split_name((split_kind)kind));
        }
        corpus_close(c);
    }
}

static void hear(void *user, const char *line)
{
    snprintf(user, 1024, "%s", line);
}

/* What is heard last while the corpus is opened. */
static void expect_heard(const char *yaml, const char *words)
{
    char heard[1024] = "";
    err e = {0};
    arena *a = arena_new(1 << 16);
    corpus_places places = *corpora_places();
    places.say = hear;
    places.user = heard;
    node *spec = node_parse(a, yaml, strlen(yaml), "test.yaml", &e);
    corpus *c = spec ? corpus_open(spec, &places, &e) : NULL;
    EXPECT(c, "%s", e.text);
    EXPECT(words ? strstr(heard, words) != NULL : !*heard, "'%s'", heard);
    corpus_close(c);
    arena_free(a);
}

/* The same text on both sides is said, however it came there. */
static void equal_texts(void)
{
    char *text = corpora_text(1, 2000);
    corpora_write("t/train/a.txt", text, 1000);
    corpora_write("t/train/b.txt", text + 1000, -1);
    corpora_write("t/validation/c.txt", text + 500, 1000);
    expect_heard("{corpus: text, path: t}", NULL);
    corpora_write("t/test/copy.txt", text + 1000, -1);
    expect_heard("{corpus: text, path: t}",
                 "1 of 1 documents of test (100.0 % of it) have the same text as documents of "
                 "train: test/copy.txt is train/b.txt");
    corpora_write("u/train/1", "\n", -1); /* blank ones are equal by chance */
    corpora_write("u/train/2", text, -1);
    corpora_write("u/validation/1", "\n", -1);
    corpora_write("u/validation/2", text, 1000);
    expect_heard("{corpus: text, path: u}", NULL);
    corpora_write("v/train/a.txt", text, 1000); /* a linked folder */
    corpora_write("elsewhere/a.txt", text, 1000);
    EXPECT(symlink("../elsewhere", test_inside("v/validation")) == 0, "symlink");
    expect_sizes("{corpus: text, path: v}", 1000, 1000, -1);
    expect_heard("{corpus: text, path: v}",
                 "1 of 1 documents of validation (100.0 % of it) have the same text as documents "
                 "of train: validation/a.txt is train/a.txt");
    free(text);
}

const test_suite test_splits = {"data/splits",
                                {{"words of names", words_of_names},
                                 {"files named after splits", files_named_after_splits},
                                 {"folders named after splits", folders_named_after_splits},
                                 {"names that mean nothing", names_that_mean_nothing},
                                 {"contradictions", contradictions},
                                 {"names of shards", names_of_shards},
                                 {"equal texts", equal_texts},
                                 {0}}};
