/* Files of token ids as other programs leave them: of any width, with headers or indices. */
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/text.h"
#include "data/corpus_class.h"
#include "data/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/corpora.h"
#include "tests/test.h"

/* A file of `bytes` bytes: a beginning and ids of a width. */
static void write_ids(const char *name, const void *start, size_t start_bytes, int width,
                      const int64_t *ids, int n)
{
    unsigned char *file = calloc(1, start_bytes + 8 * (size_t)n + 1);
    if (start_bytes) memcpy(file, start, start_bytes);
    for (int i = 0; i < n; i++) {
        memcpy(file + start_bytes + i * width, &ids[i], (size_t)width);
    }
    corpora_write(name, file, (int64_t)start_bytes + (int64_t)width * n);
    free(file);
}

static void write_npy(const char *name, const char *descr, const char *shape, int width,
                      const int64_t *ids, int n)
{
    char header[129];
    snprintf(header + 10, sizeof header - 10,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    size_t used = 10 + strlen(header + 10);
    memset(header + used, ' ', sizeof header - used);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* 118 bytes follow */
    header[127] = '\n';
    write_ids(name, header, 128, width, ids, n);
}

static void expect_ids(const char *yaml, split_kind kind, int64_t doc, const int64_t *ids, int n)
{
    corpus *c = corpora_need(yaml);
    int32_t got[64] = {0};
    err e = {0};
    if (!c) return;
    const corpus_split *s = corpus_get(c, kind);
    EXPECT(s && doc < split_documents(s) && split_document(s, doc).tokens == n, "%s: %lld tokens",
           yaml, s ? (long long)split_document(s, MIN(doc, split_documents(s) - 1)).tokens : -1);
    EXPECT(split_read(s, doc, 0, MIN(n, split_document(s, doc).tokens), got, &e), "%s: %s", yaml,
           e.text);
    for (int i = 0; i < n; i++) {
        EXPECT(got[i] == ids[i], "%s: id %d is %d, not %lld", yaml, i, got[i], (long long)ids[i]);
    }
    corpus_close(c);
}

static void refuses(const char *yaml, const char *says)
{
    err e = {0};
    corpus *c = corpora_open(yaml, &e);
    EXPECT(!c && strstr(e.text, says), "%s: %s", yaml, e.text);
    corpus_close(c);
}

/* ---- raw ---- */

enum { MANY = 40 };

/* Ids as a tokenizer of 128,256 gives them. */
static void make_ids(int64_t ids[MANY], int64_t vocab)
{
    for (int i = 0; i < MANY; i++) {
        ids[i] = (i + 1) * 7919 * 31 % vocab;
    }
}

static void raw_ids_of_any_width(void)
{
    static const struct {
        const char *dtype;
        int width;
        int64_t vocab;
    } TYPES[] = {{"uint8", 1, 256},     {"int8", 1, 128},      {"uint16", 2, 65536},
                 {"int16", 2, 32768},   {"uint32", 4, 128256}, {"int32", 4, 128256},
                 {"uint64", 8, 128256}, {"int64", 8, 128256}};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        int64_t ids[MANY];
        char yaml[128], train[32], val[32];
        make_ids(ids, TYPES[i].vocab);
        snprintf(train, sizeof train, "%s/train.bin", TYPES[i].dtype);
        snprintf(val, sizeof val, "%s/val.bin", TYPES[i].dtype);
        write_ids(train, NULL, 0, TYPES[i].width, ids, MANY);
        write_ids(val, NULL, 0, TYPES[i].width, ids, 3);
        snprintf(yaml, sizeof yaml, "{corpus: shards, path: %s, vocab: %lld, dtype: %s}",
                 TYPES[i].dtype, (long long)TYPES[i].vocab, TYPES[i].dtype);
        expect_ids(yaml, SPLIT_TRAIN, 0, ids, MANY);
        expect_ids(yaml, SPLIT_VALIDATION, 0, ids, 3);
    }
}

/* Without dtype, what is no uint16 is not taken for it. */
static void raw_ids_that_are_not_uint16(void)
{
    int64_t ids[MANY], low[MANY];
    make_ids(ids, 128256);
    make_ids(low, 50257);
    write_ids("u32/train.bin", NULL, 0, 4, ids, MANY);
    write_ids("u32/val.bin", NULL, 0, 4, ids, 3);
    refuses("{corpus: shards, path: u32, vocab: 128256}", "dtype: uint32");
    refuses("{corpus: shards, path: u32, vocab: 65536}", "every second 2-byte id");
    refuses("{corpus: shards, path: u32, vocab: 128256, dtype: uint16}", "cannot tell a vocab");
    refuses("{corpus: shards, path: u32, vocab: 100000, dtype: uint32}", "holds the id 1");
    write_ids("gpt2/train.bin", NULL, 0, 4, low, MANY);
    write_ids("gpt2/val.bin", NULL, 0, 4, low, 3);
    refuses("{corpus: shards, path: gpt2, vocab: 50257}", "every second 2-byte id");
    write_ids("i64/train.bin", NULL, 0, 8, low, MANY);
    write_ids("i64/val.bin", NULL, 0, 8, low, 3);
    refuses("{corpus: shards, path: i64, vocab: 50257}", "every second 2-byte id");
    expect_ids("{corpus: shards, path: i64, vocab: 50257, dtype: int64}", SPLIT_TRAIN, 0, low,
               MANY);
    write_ids("odd/train.bin", NULL, 0, 1, low, 3);
    refuses("{corpus: shards, path: odd, vocab: 9}", "no whole number of 2-byte ids");
    refuses("{corpus: shards, path: i64, vocab: 9, dtype: int24}", "auto|uint8");
    low[1] = -1;
    write_ids("neg/train.bin", NULL, 0, 4, low, 3);
    write_ids("neg/val.bin", NULL, 0, 4, low, 3);
    refuses("{corpus: shards, path: neg, vocab: 50257, dtype: int32}", "holds the id 4294967295");
    write_ids("neg8/train.bin", NULL, 0, 8, low, 3);
    write_ids("neg8/val.bin", NULL, 0, 8, low, 3);
    refuses("{corpus: shards, path: neg8, vocab: 50257, dtype: int64}", "or a negative one");
    char *text = corpora_text(1, 400);
    corpora_write("text/train.bin", text, 400);
    free(text);
    refuses("{corpus: shards, path: text, vocab: 50257}", "this is text, not token ids");
    corpora_write("gz/train.bin", "\x1f\x8b\x08\0\0\0\0\0", 8);
    refuses("{corpus: shards, path: gz, vocab: 50257}", "gzip");
    corpora_write("zip/train.bin", "PK\x03\x04\0\0\0\0", 8);
    refuses("{corpus: shards, path: zip, vocab: 50257}", "zip file");
    corpora_write("parquet/train.bin", "PAR1\0\0\0\0", 8);
    refuses("{corpus: shards, path: parquet, vocab: 50257}", "Parquet");
}

/* ---- NumPy ---- */

static void numpy_files(void)
{
    static const struct {
        const char *descr;
        int width;
    } TYPES[] = {{"|u1", 1}, {"<u2", 2}, {"<i2", 2}, {"<u4", 4},
                 {"<i4", 4}, {"<i8", 8}, {"<u8", 8}};
    int64_t ids[MANY];
    make_ids(ids, 100);
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        write_npy("n/train.npy", TYPES[i].descr, "(40,)", TYPES[i].width, ids, MANY);
        write_npy("n/val.npy", TYPES[i].descr, "(3,)", TYPES[i].width, ids, 3);
        expect_ids("{corpus: shards, path: n, vocab: 100}", SPLIT_TRAIN, 0, ids, MANY);
        expect_ids("{corpus: shards, path: n, vocab: 100}", SPLIT_VALIDATION, 0, ids, 3);
    }
    refuses("{corpus: shards, path: n, vocab: 100, dtype: uint16}", "are uint64, not uint16");
    write_npy("n/train.npy", "<u2", "(40,)", 2, ids, MANY);
    refuses("{corpus: shards, path: n, vocab: 100}", "keep one kind");
    write_npy("n/val.npy", "<u2", "(3,)", 2, ids, 3);
    refuses("{corpus: shards, path: n, vocab: 70000}", "cannot tell a vocabulary of 70000");
    static const struct {
        const char *descr, *shape, *says;
    } BAD[] = {{">u2", "(40,)", "of type '>u2'"},
               {"<f4", "(20,)", "of type '<f4'"},
               {"|O", "(40,)", "of type '|O'"},
               {"<u2", "(4, 10)", "shape (4, 10)"},
               {"<u2", "()", "shape ()"},
               {"<u2", "(41,)", "cut off"},
               {"<u2", "(9223372036854775807,)", "cut off"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        write_npy("n/train.npy", BAD[i].descr, BAD[i].shape, 2, ids, MANY);
        refuses("{corpus: shards, path: n, vocab: 100}", BAD[i].says);
    }
    corpora_write("n/train.npy", "\x93NUMPY\x09", -1);
    refuses("{corpus: shards, path: n, vocab: 100}", "damaged");
}

/* ---- Megatron ---- */

/* Four sequences of 2, 1, 3 and 4 ids in three documents; the second has none. */
static size_t write_index(const char *name, uint8_t type, int width, int64_t last_bound)
{
    unsigned char index[256] = "MMIDIDX\0\0";
    static const int32_t LENGTH[4] = {2, 1, 3, 4};
    const uint64_t head[2] = {4, 4};
    const int64_t offset[4] = {0, 2 * width, 3 * width, 6 * width};
    const int64_t bound[4] = {0, 2, 2, last_bound};
    index[9] = 1;
    index[17] = type;
    memcpy(index + 18, head, 16);
    memcpy(index + 34, LENGTH, 16);
    memcpy(index + 50, offset, 32);
    memcpy(index + 82, bound, 32);
    corpora_write(name, index, 114);
    return 114;
}

static void megatron_data_sets(void)
{
    static const int64_t IDS[10] = {5, 70000, 7, 8, 9, 10, 128255, 12, 13, 0};
    static const struct {
        uint8_t code;
        int width;
    } TYPES[] = {{4, 4}, {5, 8}};
    for (int i = 0; i < 2; i++) {
        write_index("m/a_train_document.idx", TYPES[i].code, TYPES[i].width, 4);
        write_index("m/a_valid_document.idx", TYPES[i].code, TYPES[i].width, 4);
        write_ids("m/a_train_document.bin", NULL, 0, TYPES[i].width, IDS, 10);
        write_ids("m/a_valid_document.bin", NULL, 0, TYPES[i].width, IDS, 10);
        expect_ids("{corpus: shards, path: m, vocab: 128256}", SPLIT_TRAIN, 0, IDS, 3);
        expect_ids("{corpus: shards, path: m, vocab: 128256}", SPLIT_TRAIN, 1, IDS + 3, 7);
    }
    refuses("{corpus: shards, path: m, vocab: 128256, dtype: uint16}", "are int64, not uint16");
    refuses("{corpus: shards, path: m, vocab: 100000}", "holds the id 128255");
    write_index("m/a_train_document.idx", 8, 2, 4);
    refuses("{corpus: shards, path: m, vocab: 50257}", "tells of 20 bytes of ids");
    write_index("m/a_train_document.idx", 5, 8, 3);
    refuses("{corpus: shards, path: m, vocab: 128256}", "ends before its last sequence");
    write_index("m/a_train_document.idx", 5, 4, 4);
    refuses("{corpus: shards, path: m, vocab: 128256}", "does not begin where");
    write_index("m/a_train_document.idx", 6, 8, 4);
    refuses("{corpus: shards, path: m, vocab: 128256}", "the type 6");
    corpora_write("m/a_train_document.idx", "TNTIDX\0\0", 8);
    refuses("{corpus: shards, path: m, vocab: 128256}", "old kind");
    corpora_write("m/a_train_document.idx", "something else", -1);
    refuses("{corpus: shards, path: m, vocab: 128256}", "not an index");
}

/* ---- separators ---- */

/* Everything of the caches, each file as one that programs without seals wrote, cut to half its
 * bytes, or with one byte changed. */
enum { UNSEALED, CUT, CHANGED, DAMAGES };

static void damage_caches(int how)
{
    int files = 0;
    file_walk w = file_walk_begin(test_inside("cache"), NULL);
    while (file_walk_next(&w)) {
        size_t bytes;
        text_auto *text = file_read(w.path, &bytes, NULL);
        EXPECT(text && bytes > SHA256_HEX, "%s", w.path);
        if (!text) continue;
        char name[300];
        snprintf(name, sizeof name, "cache/%s", w.name);
        if (how == CHANGED) text[0] ^= 1; /* an end that is possible, too */
        corpora_write(name, text,
                      (int64_t)(how == UNSEALED ? bytes - SHA256_HEX
                                : how == CUT    ? bytes / 2
                                                : bytes));
        files++;
    }
    EXPECT(file_walk_end(&w) && files > 0, "no cache");
}

/* Costs time only. */
static void caches_are_damaged(void)
{
    static const int64_t IDS[8] = {1, 2, 0, 3, 0, 0, 4, 5};
    static const char NANO[] = "{corpus: shards, path: nano, vocab: 6, separator: 0}";
    write_ids("nano/train.bin", NULL, 0, 2, IDS, 8);
    write_ids("nano/val.bin", NULL, 0, 2, IDS, 3);
    for (int how = -1; how < DAMAGES; how++) {
        err e = {0};
        if (how >= 0) damage_caches(how);
        corpus *c = corpora_need(NANO);
        if (!c) return;
        EXPECT(split_documents(corpus_get(c, SPLIT_TRAIN)) == 4, "%d", how);
        expect_ids(NANO, SPLIT_TRAIN, 0, IDS, 3);
        int64_t *counts = corpus_token_counts(c, &e);
        EXPECT(counts && counts[0] == 3 && counts[1] == 1, "%d: %s", how, e.text);
        free(counts);
        corpus_close(c);
    }
}

static void separators_between_documents(void)
{
    static const int64_t ENDS[8] = {1, 2, 0, 3, 0, 0, 4, 5}, BEGINS[6] = {0, 1, 2, 0, 3, 4};
    write_ids("nano/train.bin", NULL, 0, 2, ENDS, 8);
    write_ids("nano/val.bin", NULL, 0, 2, ENDS, 3);
    static const char NANO[] = "{corpus: shards, path: nano, vocab: 6, separator: 0}";
    for (int pass = 0; pass < 2; pass++) { /* found, then from the cache */
        expect_ids(NANO, SPLIT_TRAIN, 0, ENDS, 3);
        expect_ids(NANO, SPLIT_TRAIN, 1, ENDS + 3, 2);
        expect_ids(NANO, SPLIT_TRAIN, 2, ENDS + 5, 1);
        expect_ids(NANO, SPLIT_TRAIN, 3, ENDS + 6, 2);
    }
    write_ids("llmc/x_train_1.bin", NULL, 0, 2, BEGINS + 1, 5); /* cut within a document */
    write_ids("llmc/x_val_0.bin", NULL, 0, 2, BEGINS, 6);
    static const char LLMC[] = "{corpus: shards, path: llmc, vocab: 6, separator: 0}";
    expect_ids(LLMC, SPLIT_TRAIN, 0, BEGINS + 1, 2);
    expect_ids(LLMC, SPLIT_TRAIN, 1, BEGINS + 3, 3);
    expect_ids(LLMC, SPLIT_VALIDATION, 0, BEGINS, 3);
    refuses("{corpus: shards, path: llmc, vocab: 6, separator: 6}", "separator 6 is no id");
}

const test_suite test_token_files = {
    "data/token_files",
    {{"raw ids of any width", raw_ids_of_any_width},
     {"raw ids that are not uint16", raw_ids_that_are_not_uint16},
     {"NumPy files", numpy_files},
     {"Megatron data sets", megatron_data_sets},
     {"separators between documents", separators_between_documents},
     {"caches are damaged", caches_are_damaged},
     {0}}};
