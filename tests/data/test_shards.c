#include "data/shards.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/prepare.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* A file of 16-bit ids, with llm.c's header if `magic` is not 0. */
static void write_shard(const char *name, int32_t magic, int32_t version, int32_t told, int n,
                        const uint16_t *ids)
{
    unsigned char *file = calloc(1, SHARD_HEADER_BYTES + 2 * (size_t)n);
    int32_t header[3] = {magic, version, told};
    memcpy(file, header, sizeof header);
    memcpy(file + SHARD_HEADER_BYTES, ids, 2 * (size_t)n);
    size_t from = magic ? 0 : SHARD_HEADER_BYTES;
    corpora_write(name, file + from, (int64_t)(SHARD_HEADER_BYTES - from) + 2 * n);
    free(file);
}

static void expect_ids(const corpus *c, split_kind kind, int64_t doc, int n,
                       const int32_t *expected)
{
    int32_t got[16] = {0};
    err e = {0};
    const corpus_split *s = &c->splits[kind];
    EXPECT(split_document(s, doc).tokens == n, "%lld tokens",
           (long long)split_document(s, doc).tokens);
    EXPECT(split_read(s, doc, 0, n, got, &e), "%s", e.text);
    EXPECT(memcmp(got, expected, (size_t)n * sizeof *got) == 0, "ids %d %d ...", got[0], got[1]);
}

static void nanogpt_and_llmc_are_read(void)
{
    static const uint16_t A[4] = {1, 50256, 65535, 0}, B[2] = {7, 8};
    static const int32_t IDS[4] = {1, 50256, 65535, 0}, MORE[2] = {7, 8};
    write_shard("raw/train.bin", 0, 0, 0, 4, A);
    write_shard("raw/val.bin", 0, 0, 0, 2, B);
    write_shard("llmc/x_train_000001.bin", 20240520, 1, 4, 4, A);
    write_shard("llmc/x_train_000002.bin", 20240520, 1, 2, 2, B);
    write_shard("llmc/x_val_000000.bin", 20240520, 1, 2, 2, B);
    static const char *const YAML[] = {"{corpus: shards, path: raw, vocab: 65536}",
                                       "{corpus: shards, path: llmc, vocab: 65536}"};
    for (int i = 0; i < 2; i++) {
        corpus *c = corpora_need(YAML[i]);
        if (!c) return;
        expect_ids(c, SPLIT_TRAIN, 0, 4, IDS);
        if (i == 1) expect_ids(c, SPLIT_TRAIN, 1, 2, MORE);
        expect_ids(c, SPLIT_VALIDATION, 0, 2, MORE);
        EXPECT(!corpus_get(c, SPLIT_TEST) && corpus_vocab(c) == 65536, "test split or vocab");
        EXPECT(!corpus_lossless(c) && !corpus_has_words(c), "nothing is known of the text");
        char *text = corpus_decode(c, IDS, 2);
        EXPECT(strcmp(text, "1 50256") == 0, "%s", text);
        free(text);
        corpus_close(c);
    }
}

/* Ids above 65535: version 7. */
static void wide_shards(void)
{
    arena *a = arena_new(0);
    err e = {0};
    shard_meta meta = {
        .corpus = "test", .source = "none", .tokenizer = "none", .vocab = 128256, .separator = -1};
    static const int32_t IDS[5] = {128255, 0, 65536, 65535, 1};
    const char *folder = test_inside("wide");
    shard_writer *w = shard_writer_begin(folder, SHARDS_LLMC, &meta, &e);
    document d = {.name = "one"};
    for (int kind = 0; kind < SPLITS && w; kind++) {
        EXPECT(shard_writer_split(w, (split_kind)kind, &e) && shard_writer_ids(w, IDS, 3, &e) &&
                   shard_writer_ids(w, IDS + 3, 2, &e) && shard_writer_document(w, &d, &e),
               "%s", e.text);
    }
    EXPECT(w && shard_writer_finish(w, &e), "%s", e.text);
    shard_writer_free(w);
    size_t bytes;
    unsigned char *file =
        (unsigned char *)file_read(test_inside("wide/train_000000.bin"), &bytes, &e);
    static const int32_t HEADER[3] = {20240801, 7, 5};
    EXPECT(file && bytes == 1024 + 20 && memcmp(file, HEADER, 12) == 0 &&
               memcmp(file + 1024, IDS, 20) == 0,
           "%zu bytes %s", bytes, e.text);
    free(file);
    corpus *c = corpora_need("{corpus: shards, path: wide}");
    if (c) expect_ids(c, SPLIT_TEST, 0, 5, IDS);
    corpus_close(c);
    EXPECT(!shard_writer_begin(folder, SHARDS_NANOGPT, &meta, &e) && strstr(e.text, "uint16"), "%s",
           e.text);
    arena_free(a);
}

/* Text to shards and back: the same ids, names, titles and sizes, in both formats. */
static void export_then_open(void)
{
    char *text = corpora_text(1, 70000);
    corpora_write("pg19/metadata.csv", "3,\"A title, quoted\",1850,http://x\n", -1);
    corpora_write("pg19/train/3.txt", text, -1);
    corpora_write("pg19/train/4.txt", text, 100);
    corpora_write("pg19/validation/5.txt", text, 2000);
    corpora_write("pg19/test/6.txt", text, 300);
    free(text);
    corpus *c = corpora_need("{corpus: pg19}");
    for (int format = 0; format < 2 && c; format++) {
        err e = {0};
        char yaml[64];
        const char *name = format ? "nano" : "llmc";
        const prepare_options how = {
            .format = (shard_format)format, .out = test_inside(name), .separator = -1};
        EXPECT(prepare_export(c, &how, &e), "%s", e.text);
        EXPECT(file_exists(test_inside(format ? "nano/val.bin" : "llmc/val_000000.bin")), "names");
        snprintf(yaml, sizeof yaml, "{corpus: shards, path: %s}", name);
        corpus *d = corpora_need(yaml);
        if (!d) break;
        EXPECT(corpus_lossless(d) && corpus_has_words(d) && corpus_vocab(d) == 256, "what it is");
        for (int kind = 0; kind < SPLITS; kind++) {
            const corpus_split *s = corpus_get(c, (split_kind)kind);
            const corpus_split *t = corpus_get(d, (split_kind)kind);
            EXPECT(split_documents(s) == split_documents(t) && split_bytes(s) == split_bytes(t) &&
                       split_words(s) == split_words(t),
                   "%s differs", split_name((split_kind)kind));
            for (int64_t i = 0; i < split_documents(s); i++) {
                document x = split_document(s, i), y = split_document(t, i);
                int32_t *a = calloc((size_t)x.tokens, 4), *b = calloc((size_t)x.tokens, 4);
                EXPECT(strcmp(x.name, y.name) == 0 && x.tokens == y.tokens && !x.title == !y.title,
                       "document %s", y.name);
                EXPECT(split_read(s, i, 0, x.tokens, a, &e) &&
                           split_read(t, i, 0, x.tokens, b, &e) &&
                           memcmp(a, b, (size_t)x.tokens * 4) == 0,
                       "ids of %s: %s", x.name, e.text);
                free(a);
                free(b);
            }
        }
        corpus_close(d);
    }
    corpus_close(c);
}

static void header_refuses(const char *what, const unsigned char *start, int64_t bytes,
                           const char *says)
{
    shard_header h;
    err e = {0};
    EXPECT(!shard_header_parse(&h, TOKEN_AUTO, start, (size_t)MIN(bytes, 12), bytes, "x.bin", &e) &&
               strstr(e.text, says),
           "%s: %s", what, e.text);
}

static void bad_headers(void)
{
    int32_t h[3] = {20240520, 1, 10};
    unsigned char start[12];
#define START (memcpy(start, h, sizeof start), start)
    header_refuses("short", START, 1024 + 18, "cut off");
    header_refuses("long", START, 1024 + 22, "cut off");
    header_refuses("header only", START, 512, "cut off");
    h[2] = -4;
    header_refuses("negative", START, 1024 - 8, "cut off");
    h[1] = 2;
    header_refuses("version", START, 1044, "version 2");
    h[0] = 20240326;
    header_refuses("model", START, 5000, "llm.c model");
    h[0] = 20240522;
    header_refuses("evaluation", START, 5000, "evaluation file");
    h[0] = 12345;
    header_refuses("odd", START, 4095, "2-byte");
#undef START
}

static const struct {
    const char *json, *says;
} DAMAGED[] = {
    {"{", "corpus.json:1"},
    {"[]", "not a description"},
    {"{\"format\":\"other\"}", "not a description"},
    {"{\"format\":\"loci shards\",\"version\":2}", "later version"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":0}", "vocab"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":9,\"tokenizer\":{\"sha256\":\"none\"},"
     "\"splits\":{\"train\":{\"files\":[{\"file\":\"../x\",\"tokens\":1}],\"documents\":[]}}}",
     "no name or size"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":9,\"tokenizer\":{\"sha256\":\"none\"},"
     "\"splits\":{\"train\":{\"files\":[{\"file\":\"train.bin\",\"tokens\":3}],\"documents\":[]}}}",
     "holds 2 tokens"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":9,\"tokenizer\":{\"sha256\":\"none\"},"
     "\"splits\":{\"train\":{\"files\":[{\"file\":\"train.bin\",\"tokens\":2}],\"documents\":"
     "[{\"name\":\"x\",\"file\":0,\"begin\":1,\"tokens\":2,\"bytes\":0,\"words\":0}]}}}",
     "over the end"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":9,\"tokenizer\":{\"sha256\":\"none\"},"
     "\"splits\":{\"train\":{\"files\":[{\"file\":\"train.bin\",\"tokens\":2}],\"documents\":"
     "[{\"name\":\"x\",\"file\":1,\"begin\":0,\"tokens\":2,\"bytes\":0,\"words\":0}]}}}",
     "over the end"},
    {"{\"format\":\"loci shards\",\"version\":1,\"vocab\":9,\"tokenizer\":{\"sha256\":\"none\"},"
     "\"splits\":{}}",
     "no shards"},
};

static void damaged_sidecars(void)
{
    static const uint16_t IDS[2] = {1, 2};
    write_shard("s/train.bin", 0, 0, 0, 2, IDS);
    for (size_t i = 0; i < sizeof DAMAGED / sizeof *DAMAGED; i++) {
        err e = {0};
        corpora_write("s/corpus.json", DAMAGED[i].json, -1);
        corpus *c = corpora_open("{corpus: shards, path: s}", &e);
        EXPECT(!c && strstr(e.text, DAMAGED[i].says), "%s: %s", DAMAGED[i].json, e.text);
        corpus_close(c);
    }
}

/* A changed id is within the vocabulary: only the checksum tells. */
static void damaged_shards(void)
{
    err e = {0};
    char *text = corpora_text(1, 9000);
    corpora_write("t/train/1", text, -1);
    corpora_write("t/validation/2", text, 900);
    corpus *c = corpora_need("{corpus: text, path: t}");
    free(text);
    if (!c) return;
    const prepare_options how = {
        .format = SHARDS_NANOGPT, .out = test_inside("out"), .separator = -1};
    EXPECT(prepare_export(c, &how, &e), "%s", e.text);
    corpus_close(c);
    EXPECT(shards_verify(test_inside("out"), &e), "%s", e.text);
    FILE *f = fopen(test_inside("out/train.bin"), "r+b");
    EXPECT(f && fseek(f, 2000, SEEK_SET) == 0 && fputc('Q', f) == 'Q' && fclose(f) == 0, "damaged");
    EXPECT(!shards_verify(test_inside("out"), &e) && strstr(e.text, "train.bin: damaged"), "%s",
           e.text);
    arena *a = arena_new(0);
    static const char YAML[] = "{corpus: shards, path: out}";
    const prepare_options only = {0};
    const node *spec = node_parse(a, YAML, strlen(YAML), "test", &e);
    EXPECT(spec && !prepare_corpus(spec, corpora_places(), &only, &e) && strstr(e.text, "damaged"),
           "%s", e.text);
    arena_free(a);
}

static bool export_text(const char *path, shard_format format, int64_t separator, err *e)
{
    char yaml[128];
    snprintf(yaml, sizeof yaml, "{corpus: text, path: %s}", path);
    corpus *c = corpora_need(yaml);
    const prepare_options how = {
        .format = format, .out = test_inside("out"), .separator = separator};
    bool ok = c && prepare_export(c, &how, e);
    corpus_close(c);
    return ok;
}

static void write_layout(const char *name, bool test)
{
    static const char *const FILES[] = {"train/a", "train/b", "valid/c", "test/d"};
    static const char *const TEXTS[] = {"first text", "second", "third one", "fourth"};
    char path[128];
    for (int i = 0; i < 3 + test; i++) {
        snprintf(path, sizeof path, "%s/%s.txt", name, FILES[i]);
        corpora_write(path, TEXTS[i], -1);
    }
}

/* A folder holds the shards of the last export and no others. */
static void export_over_older(void)
{
    err e = {0};
    write_layout("with", true);
    write_layout("without", false);
    EXPECT(export_text("with", SHARDS_LLMC, -1, &e), "%s", e.text);
    EXPECT(file_exists(test_inside("out/test_000000.bin")), "a test split");
    EXPECT(export_text("without", SHARDS_LLMC, -1, &e), "%s", e.text);
    EXPECT(!file_exists(test_inside("out/test_000000.bin")), "a stale shard");
    EXPECT(export_text("with", SHARDS_NANOGPT, -1, &e), "%s", e.text);
    EXPECT(!file_exists(test_inside("out/train_000000.bin")) &&
               file_exists(test_inside("out/train.bin")),
           "shards of another format");
    corpora_write("out/somebodys.bin", "xx", 2);
    EXPECT(!export_text("with", SHARDS_NANOGPT, -1, &e) && strstr(e.text, "somebodys.bin"), "%s",
           e.text);
    /* Nor where an export did not end: what it left is known by its names. */
    char mark[FILE_PATH_BYTES];
    snprintf(mark, sizeof mark, "%s", test_inside("out/" SHARDS_UNFINISHED));
    EXPECT(file_rename(test_inside("out/corpus.json"), mark, &e), "%s", e.text);
    EXPECT(!export_text("with", SHARDS_LLMC, -1, &e) && strstr(e.text, "somebodys.bin"), "%s",
           e.text);
    EXPECT(file_exists(test_inside("out/somebodys.bin")), "somebody's file");
    EXPECT(file_remove(test_inside("out/somebodys.bin"), &e) &&
               export_text("with", SHARDS_LLMC, -1, &e) &&
               !file_exists(test_inside("out/train.bin")),
           "%s", e.text);
}

/* Written where the format's users look for it; read back it is no part of the text. */
static void separators_are_written(void)
{
    for (int format = 0; format < 2; format++) {
        err e = {0};
        write_layout("t", true);
        EXPECT(export_text("t", (shard_format)format, 256, &e), "%s", e.text);
        corpus *c = corpora_need("{corpus: shards, path: out}");
        EXPECT(c && split_documents(corpus_get(c, SPLIT_TRAIN)) == 2 && corpus_vocab(c) == 256 &&
                   split_tokens(corpus_get(c, SPLIT_TRAIN)) == 16,
               "format %d", format);
        corpus_close(c);
        EXPECT(file_remove(test_inside("out/corpus.json"), &e), "%s", e.text);
        c = corpora_need("{corpus: shards, path: out, vocab: 257, separator: 256}");
        int32_t ids[11] = {0};
        const corpus_split *s = c ? corpus_get(c, SPLIT_TRAIN) : NULL;
        EXPECT(s && split_documents(s) == 2 && split_document(s, 0).tokens == 11 &&
                   split_read(s, 0, 0, 11, ids, &e) && ids[format == SHARDS_LLMC ? 0 : 10] == 256,
               "format %d", format);
        corpus_close(c);
        EXPECT(!export_text("t", (shard_format)format, 'e', &e), "one of the text's own");
        EXPECT(file_remove_tree(test_inside("out"), &e), "%s", e.text);
    }
}

static void ids_beyond_the_vocabulary(void)
{
    static const uint16_t IDS[3] = {1, 2, 300};
    write_shard("s/train.bin", 0, 0, 0, 3, IDS);
    write_shard("s/val.bin", 0, 0, 0, 2, IDS);
    err e = {0};
    EXPECT(!corpora_open("{corpus: shards, path: s, vocab: 300}", &e) &&
               strstr(e.text, "train.bin: holds the id 300;"),
           "%s", e.text);
    EXPECT(!corpora_open("{corpus: shards, path: s, vocab: 300}", &e), "from the cache");
    corpus *c = corpora_need("{corpus: shards, path: s, vocab: 301}");
    if (!c) return;
    static const uint16_t OVER = 301; /* written into the file while it is open */
    FILE *f = fopen(test_inside("s/train.bin"), "r+b");
    EXPECT(f && fseek(f, 4, SEEK_SET) == 0 && fwrite(&OVER, 2, 1, f) == 1 && fclose(f) == 0,
           "written over");
    int32_t got[3];
    EXPECT(split_read(corpus_get(c, SPLIT_TRAIN), 0, 0, 2, got, &e), "%s", e.text);
    EXPECT(!split_read(corpus_get(c, SPLIT_TRAIN), 0, 0, 3, got, &e) && strstr(e.text, "token 301"),
           "%s", e.text);
    EXPECT(!corpus_token_counts(c, &e), "counted");
    corpus_close(c);
    EXPECT(!corpora_open("{corpus: shards, path: s, vocab: 301}", &e) && strstr(e.text, "301"),
           "a change of equal size: %s", e.text);
}

const test_suite test_shards = {"data/shards",
                                {{"nanogpt and llm.c are read", nanogpt_and_llmc_are_read},
                                 {"wide shards", wide_shards},
                                 {"export then open", export_then_open},
                                 {"export over older", export_over_older},
                                 {"separators are written", separators_are_written},
                                 {"bad headers", bad_headers},
                                 {"damaged sidecars", damaged_sidecars},
                                 {"damaged shards", damaged_shards},
                                 {"ids beyond the vocabulary", ids_beyond_the_vocabulary},
                                 {0}}};
