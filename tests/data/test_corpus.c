#include "data/corpus.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/prepare.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* The whole split as text; caller frees. */
static char *text_of(const corpus *c, const corpus_split *s)
{
    err e = {0};
    char *all = calloc((size_t)split_bytes(s) + 1, 1);
    for (int64_t i = 0; i < split_documents(s); i++) {
        document d = split_document(s, i);
        int32_t *ids = calloc((size_t)d.tokens, sizeof *ids);
        EXPECT(split_read(s, i, 0, d.tokens, ids, &e), "%s", e.text);
        char *text = corpus_decode(c, ids, d.tokens);
        strcat(all, text);
        free(text);
        free(ids);
    }
    return all;
}

static const char ENWIK8_START[] = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.3/\" "
                                   "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

static void enwik8_is_cut_by_position(void)
{
    char *text = corpora_text(1, 40000);
    memcpy(text, ENWIK8_START, sizeof ENWIK8_START - 1);
    corpora_write("enwik8/enwik8", text, -1);
    corpus *c = corpora_need("{corpus: enwik8}");
    if (!c) return;
    static const int64_t SIZE[SPLITS] = {36000, 2000, 2000};
    int64_t at = 0;
    for (int kind = 0; kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        EXPECT(split_documents(s) == 1 && split_bytes(s) == SIZE[kind], "%s: %lld bytes",
               split_name((split_kind)kind), (long long)split_bytes(s));
        char *got = text_of(c, s);
        EXPECT(strncmp(got, text + at, (size_t)SIZE[kind]) == 0, "%s differs",
               split_name((split_kind)kind));
        at += SIZE[kind];
        free(got);
    }
    EXPECT(corpus_vocab(c) == 256 && corpus_lossless(c) && corpus_has_words(c), "what it is");
    EXPECT(isnan(corpus_entropy(c)), "entropy %g", corpus_entropy(c));
    corpus_close(c);
    free(text);
}

static void folder_is_split_by_file(void)
{
    int64_t total = 0, size[40];
    char name[32];
    for (int i = 0; i < 40; i++) {
        size[i] = 500 + 37 * i;
        total += size[i];
        char *text = corpora_text((uint64_t)i, size[i]);
        snprintf(name, sizeof name, "books/%c/%02d.txt", i % 2 ? 'a' : 'b', i);
        corpora_write(name, text, -1);
        free(text);
    }
    corpora_write("books/.hidden", "x", -1);
    corpora_write("books/empty", "", -1);
    corpus *c = corpora_need("{corpus: text, path: books, validation: 0.1, test: 0.2}");
    if (!c) return;
    static const double SHARE[SPLITS] = {0.7, 0.1, 0.2};
    int64_t documents = 0, bytes = 0;
    for (int kind = 0; kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        documents += split_documents(s);
        bytes += split_bytes(s);
        /* A split is passed over by less than one file: at most 500 + 37 * 39 bytes. */
        double off = (double)split_bytes(s) - SHARE[kind] * (double)total;
        EXPECT(fabs(off) < 2 * 1943, "%s holds %lld of %lld bytes", split_name((split_kind)kind),
               (long long)split_bytes(s), (long long)total);
    }
    EXPECT(documents == 40 && bytes == total, "%lld files, %lld bytes", (long long)documents,
           (long long)bytes);
    corpus_close(c);
}

static void pg19_layout(void)
{
    corpora_write(
        "pg19/metadata.csv",
        "7,\"A \"\"quoted\"\", title by N. N.\",1850,http://x\r\n12,Plain,1900,http://y\n", -1);
    corpora_write("pg19/train/7.txt", "one two  three\n\nfour", -1);
    corpora_write("pg19/train/12.txt", " five\tsix\n", -1);
    corpora_write("pg19/train/notes.md", "no book", -1);
    corpora_write("pg19/validation/99.txt", "seven", -1);
    corpora_write("pg19/test/100.txt", "eight nine", -1);
    corpus *c = corpora_need("{corpus: pg19}");
    if (!c) return;
    corpus_split *train = corpus_get(c, SPLIT_TRAIN);
    EXPECT(split_documents(train) == 2 && split_words(train) == 6, "%lld documents, %lld words",
           (long long)split_documents(train), (long long)split_words(train));
    document first = split_document(train, 0), second = split_document(train, 1);
    EXPECT(strcmp(first.name, "train/12.txt") == 0 && strcmp(first.title, "Plain") == 0, "%s",
           first.name);
    EXPECT(strcmp(second.title, "A \"quoted\", title by N. N.") == 0, "%s", second.title);
    EXPECT(!split_document(corpus_get(c, SPLIT_VALIDATION), 0).title, "a title from nowhere");
    EXPECT(split_words(corpus_get(c, SPLIT_TEST)) == 2, "words of test");
    corpus_close(c);
}

/* A row of names, and as spreadsheets save it: behind a byte order mark. */
static void pg19_with_heading(void)
{
    static const char *const METADATA[] = {
        "book_id,short_book_title,publication_date,link\n7,Title,1850,http://x\n",
        "\xef\xbb\xbf"
        "_id,short_book_title,publication_date,url\r\n7,Title,1850,http://x\r\n"};
    corpora_write("pg19/train/7.txt", "one two", -1);
    corpora_write("pg19/validation/99.txt", "seven", -1);
    corpora_write("pg19/test/100.txt", "eight nine", -1);
    for (int i = 0; i < 2; i++) {
        corpora_write("pg19/metadata.csv", METADATA[i], -1);
        corpus *c = corpora_need("{corpus: pg19}");
        const char *title = c ? split_document(corpus_get(c, SPLIT_TRAIN), 0).title : NULL;
        EXPECT(title && strcmp(title, "Title") == 0, "%s", title ? title : "none");
        corpus_close(c);
    }
}

/* Databases and JSON take no other text than UTF-8: a name is kept, not lost. */
static void names_that_are_not_utf8(void)
{
    corpora_write("t/train/a.txt", "some text", -1);
    corpora_write("t/validation/caf\xe9 \xc3\xa9.txt", "some text", -1);
    corpus *c = corpora_need("{corpus: text, path: t}");
    if (!c) return;
    document d = split_document(corpus_get(c, SPLIT_VALIDATION), 0);
    EXPECT(strcmp(d.name, "validation/caf\\xe9 \xc3\xa9.txt") == 0, "%s", d.name);
    err e = {0};
    const prepare_options how = {.out = test_inside("out"), .separator = -1};
    EXPECT(prepare_export(c, &how, &e), "%s", e.text);
    corpus_close(c);
}

static void kjv_books(void)
{
    if (!corpora_program("bible")) return;
    setenv("COLUMNS", "40", 1); /* must not wrap the verses */
    corpus *c = corpora_need("{corpus: kjv}");
    unsetenv("COLUMNS");
    if (!c) return;
    static const int64_t BOOKS[SPLITS] = {53, 6, 7};
    int64_t total = 0;
    for (int kind = 0; kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        EXPECT(split_documents(s) == BOOKS[kind], "%lld books", (long long)split_documents(s));
        total += split_bytes(s);
    }
    double held = (double)split_bytes(corpus_get(c, SPLIT_VALIDATION)) / (double)total;
    double test = (double)split_bytes(corpus_get(c, SPLIT_TEST)) / (double)total;
    EXPECT(total > 4000000 && fabs(held - 0.05) < 0.005 && fabs(test - 0.05) < 0.005,
           "%lld bytes, %g validation, %g test", (long long)total, held, test);
    document genesis = split_document(corpus_get(c, SPLIT_TRAIN), 0);
    static const char BEGIN[] =
        "1:1 In the beginning God created the heaven and the earth.\n1:2 And";
    int32_t ids[sizeof BEGIN - 1];
    err e = {0};
    EXPECT(split_read(corpus_get(c, SPLIT_TRAIN), 0, 0, sizeof BEGIN - 1, ids, &e), "%s", e.text);
    char *text = corpus_decode(c, ids, sizeof BEGIN - 1);
    EXPECT(strcmp(genesis.name, "Genesis") == 0 && strcmp(text, BEGIN) == 0, "%s: %s", genesis.name,
           text);
    free(text);
    corpus_close(c);
}

static void identity_is_content(void)
{
    char *text = corpora_text(3, 3000);
    corpora_write("a/x.txt", text, -1);
    corpora_write("b/x.txt", text, -1);
    text[10] ^= 1;
    corpora_write("c/x.txt", text, -1);
    free(text);
    char hash[3][80];
    for (int i = 0; i < 3; i++) {
        char yaml[64];
        snprintf(yaml, sizeof yaml, "{corpus: text, path: %c/x.txt}", 'a' + i);
        corpus *c = corpora_need(yaml);
        if (!c) return;
        snprintf(hash[i], sizeof hash[i], "%s", corpus_hash(c));
        arena *a = arena_new(0);
        const char *changed = node_json(a, corpus_changed(c, a), true);
        EXPECT(strstr(changed, hash[i]) && !strstr(changed, "path"), "%s", changed);
        node *resolved = corpus_resolved(c, a);
        corpus *again = corpus_open(resolved, NULL, NULL); /* from anywhere, without data folders */
        EXPECT(again && strcmp(corpus_hash(again), hash[i]) == 0, "%s",
               node_json(a, resolved, false));
        corpus_close(again);
        arena_free(a);
        corpus_close(c);
    }
    EXPECT(strcmp(hash[0], hash[1]) == 0, "another place, another hash");
    EXPECT(strcmp(hash[0], hash[2]) != 0, "another text, the same hash");
}

static void hash_of(char hash[80], const char *yaml)
{
    corpus *c = corpora_need(yaml);
    snprintf(hash, 80, "%s", c ? corpus_hash(c) : "");
    corpus_close(c);
}

/* The cached checksum must not outlive the file's content, whatever size and time say. */
static void cache_follows_the_file(void)
{
    const char *yaml = "{corpus: text, path: x.txt, validation: 0.2, test: 0.2}";
    char first[80], later[80], same_time[80];
    struct stat s;
    corpora_write("x.txt", "one two three four five six seven eight nine ten", -1);
    hash_of(first, yaml);
    usleep(20000); /* file times have the clock tick's resolution */
    corpora_write("x.txt", "one two three four five six seven eight nine TEN", -1);
    hash_of(later, yaml);
    EXPECT(strcmp(first, later) != 0, "the hash stayed %s", later);
    EXPECT(stat(test_inside("x.txt"), &s) == 0, "x.txt");
    usleep(20000);
    corpora_write("x.txt", "one two three four five six seven eight NINE TEN", -1);
    const struct timespec times[2] = {s.st_atim, s.st_mtim};
    EXPECT(utimensat(AT_FDCWD, test_inside("x.txt"), times, 0) == 0, "x.txt");
    hash_of(same_time, yaml);
    EXPECT(strcmp(later, same_time) != 0, "the hash stayed %s", same_time);
}

/* Of the index in the cache, its text as it is or with another digit in its first count of words.
 */
static void spoil_index(bool a_digit)
{
    file_walk w = file_walk_begin(test_inside("cache"), NULL);
    while (file_walk_next(&w)) {
        if (strncmp(w.name, "index-", 6) != 0) continue;
        text_auto *text = file_read(w.path, NULL, NULL);
        char name[300], *count = text ? strchr(text, '\t') : NULL;
        EXPECT(count, "%s", w.path);
        if (count) count[1] ^= 1;
        snprintf(name, sizeof name, "cache/%s", w.name);
        corpora_write(name, a_digit && count ? text : "\n\nzz\t1\t\t9\n12", -1);
    }
    EXPECT(file_walk_end(&w), "no cache");
}

/* Damage to the cache costs time only. */
static void cache_is_damaged(void)
{
    const char *yaml = "{corpus: text, path: x.txt, validation: 0.2, test: 0.2}";
    corpora_write("x.txt", "one two three four five six seven eight nine ten", -1);
    for (int i = 0; i < 3; i++) {
        corpus *c = corpora_need(yaml);
        EXPECT(c && split_words(corpus_get(c, SPLIT_TRAIN)) == 6, "words, %d", i);
        corpus_close(c);
        spoil_index(i == 1);
    }
}

static void token_counts(void)
{
    corpora_write("x.txt", "aabbbc aabbbc aabbbc aabbbc", -1);
    corpus *c = corpora_need("{corpus: text, path: x.txt, validation: 0.25, test: 0.25}");
    if (!c) return;
    for (int pass = 0; pass < 2; pass++) { /* counted, then from the cache */
        err e = {0};
        int64_t *counts = corpus_token_counts(c, &e);
        EXPECT(counts && counts['a'] == 4 && counts['b'] == 6 && counts['c'] == 2 &&
                   counts[' '] == 1 && counts['d'] == 0,
               "%s", e.text);
        free(counts);
    }
    int32_t *ids;
    int64_t n;
    EXPECT(corpus_encode(c, "a\nz", &ids, &n, NULL) && n == 3 && ids[1] == '\n', "%lld",
           (long long)n);
    free(ids);
    corpus_close(c);
}

static const struct {
    const char *yaml, *says;
} BAD[] = {
    {"{path: x}", "test.yaml:1:1: `corpus` is missing"},
    {"{corpus: enwik}", "test.yaml:1:10: corpus: unknown corpus 'enwik' (did you mean 'enwik8'?)"},
    {"{corpus: [kjv]}", "unknown corpus '(not a name)'"},
    {"{corpus: enwik8}", "get it with data/fetch.sh enwik8"},
    {"{corpus: text}", "needs `path`"},
    {"{corpus: text, path: nowhere}", "test.yaml:1:22: path: 'nowhere' is not there"},
    {"{corpus: text, path: tiny.txt, spam: 1}", "unknown key 'spam' (did you mean 'span'?)"},
    {"{corpus: text, path: tiny.txt, span: -1}", "span"},
    {"{corpus: text, path: tiny.txt}", "too few to be split"},
    {"{corpus: text, path: tiny.txt, validation: 0.6, test: 0.5}", "below 1"},
    {"{corpus: text, path: two}", "at least 3 files"},
    {"{corpus: text, path: three, tokenizer: no.model}", "'no.model' is neither"},
    {"{corpus: text, path: three, tokenizer: tiny.txt}", "not a SentencePiece model"},
    {"{corpus: text, path: three, tokenizer: [a]}", "a list is no tokenizer"},
    {"{corpus: text, path: three, tokenizer: {train: bpe}}", "vocab"},
    {"{corpus: text, path: three, tokenizer: {train: word, vocab: 400}}", "unigram|bpe"},
    {"{corpus: text, path: onlytrain}", "nothing is named after validation"},
    {"{corpus: pg19, path: two}", "the folder is missing"},
    {"{corpus: pg19, path: badmeta}", "metadata.csv:2: not a row"},
    {"{corpus: enwik8, path: two}", "holds no file 'enwik8'"},
    {"{corpus: kjv, path: two}", "01 Genesis.txt"},
    {"{corpus: shards, path: two}", "`vocab` is needed"},
    {"{corpus: markov, symbols: 200, order: 5}", "lower one"},
    {"{corpus: markov, path: x}", "no path"},
};

static void bad_input(void)
{
    corpora_write("tiny.txt", "abc", -1);
    corpora_write("two/1", "some text", -1);
    corpora_write("two/2", "some text", -1);
    corpora_write("three/1", "some text", -1);
    corpora_write("three/2", "some text", -1);
    corpora_write("three/3", "some text", -1);
    corpora_write("onlytrain/train/1", "some text", -1);
    corpora_write("badmeta/train/1.txt", "some text", -1);
    corpora_write("badmeta/metadata.csv", "1,a,b,c\nx,y\n", -1);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        err e = {0};
        corpus *c = corpora_open(BAD[i].yaml, &e);
        EXPECT(!c && strstr(e.text, BAD[i].says), "%s: %s", BAD[i].yaml, e.text);
        corpus_close(c);
    }
}

/* A file that shrinks under a run is an error, not a crash. */
static void truncated_while_open(void)
{
    char *text = corpora_text(5, 9000);
    corpora_write("x.txt", text, -1);
    free(text);
    corpus *c = corpora_need("{corpus: text, path: x.txt}");
    if (!c) return;
    EXPECT(truncate(test_inside("x.txt"), 1000) == 0, "truncate");
    int32_t ids[500];
    err e = {0};
    EXPECT(split_read(corpus_get(c, SPLIT_TRAIN), 0, 400, 500, ids, &e), "%s", e.text);
    EXPECT(!split_read(corpus_get(c, SPLIT_TRAIN), 0, 800, 500, ids, &e) &&
               strstr(e.text, "ends at byte 1000"),
           "%s", e.text);
    corpus_close(c);
}

static void listing(void)
{
    corpora_write("text8/text8", "abc", -1);
    arena *a = arena_new(0);
    const corpus_info *list;
    int count = prepare_list(&list, corpora_places(), a), seen = 0;
    for (int i = 0; i < count; i++) {
        bool text8 = strcmp(list[i].name, "text8") == 0;
        seen += text8;
        EXPECT(!text8 || (list[i].found && strstr(list[i].found, "text8/text8")),
               "text8 not found");
        EXPECT(*list[i].help && list[i].options->name, "%s", list[i].name);
        EXPECT(strcmp(list[i].name, "enwik8") != 0 || !list[i].found, "enwik8 from nowhere");
    }
    EXPECT(count >= 7 && seen == 1, "%d corpora", count);
    arena_free(a);
}

static void shared_corpora(void)
{
    const char *folder = corpora_shared("pg19-mini");
    if (!folder) return;
    char yaml[FILE_PATH_BYTES + 64];
    snprintf(yaml, sizeof yaml, "{corpus: pg19, path: '%s'}", folder);
    corpus *c = corpora_need(yaml);
    if (!c) return;
    /* From the README beside the data. */
    static const int64_t WORDS[SPLITS] = {4064502, 656998, 591107};
    static const int64_t BYTES[SPLITS] = {22883855, 3724213, 3277617};
    for (int kind = 0; kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        EXPECT(split_words(s) == WORDS[kind] && split_bytes(s) == BYTES[kind],
               "%lld words, %lld bytes", (long long)split_words(s), (long long)split_bytes(s));
    }
    corpus_close(c);
}

const test_suite test_corpus = {"data/corpus",
                                {{"enwik8 is cut by position", enwik8_is_cut_by_position},
                                 {"folder is split by file", folder_is_split_by_file},
                                 {"pg19 layout", pg19_layout},
                                 {"pg19 with a heading", pg19_with_heading},
                                 {"names that are not UTF-8", names_that_are_not_utf8},
                                 {"kjv books", kjv_books},
                                 {"identity is content", identity_is_content},
                                 {"cache follows the file", cache_follows_the_file},
                                 {"cache is damaged", cache_is_damaged},
                                 {"token counts", token_counts},
                                 {"bad input", bad_input},
                                 {"truncated while open", truncated_while_open},
                                 {"listing", listing},
                                 {"shared corpora", shared_corpora},
                                 {0}}};
