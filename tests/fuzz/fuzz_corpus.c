/* Folders and files of text and ids, opened as corpora: the first byte says what the other bytes
 * are. Refused with words; or every id of every document can be read and lies in the vocabulary.
 *
 * Each kind has a folder of its own, whose files are written over: to make folders and remove them
 * takes longer than to open a corpus. */
#include <stdlib.h>
#include <string.h>

#include "core/options/node.h"
#include "data/prepare.h"
#include "data/sealed.h"
#include "data/shards.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

enum { MAX_BYTES = 1 << 14, KINDS = 10, CACHES = 8 /* and behind it */, MAX_NAMES = 5 };

static const uint16_t IDS[] = {1, 2, 3, 0, 4, 5, 0, 6, 7, 8, 9, 0};
/* A SentencePiece model of one piece. */
static const char MODEL[] = "\x12\x02\x18\x05\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02";
static const char TEXT[] = "words of a text that is long enough to be split into its parts\n";

static void hear(void *user, const char *line)
{
    (void)user;
    CHECK(line[0], "%s", "nothing is said");
}

static void read_all(corpus *c)
{
    for (int kind = 0; kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        for (int64_t i = 0; s && i < split_documents(s); i++) {
            err e = {0};
            document d = split_document(s, i);
            int32_t *ids = calloc((size_t)d.tokens + 1, sizeof *ids);
            CHECK(ids && split_read(s, i, 0, d.tokens, ids, &e), "%s", e.text);
            for (int64_t k = 0; k < d.tokens; k++) {
                CHECK(ids[k] >= 0 && ids[k] < corpus_vocab(c), "%d", ids[k]);
            }
            free(ids);
        }
    }
}

static bool caches;     /* this input's corpora are kept in a cache */
static unsigned choice; /* of this input */

static void open_corpus(const char *yaml)
{
    static const char *const ROOTS[] = {NULL};
    err e = {0};
    arena *a = arena_new(1 << 16);
    corpus_places places = {.roots = ROOTS, .say = hear};
    if (caches) places.cache = scratch_path("cache");
    node *spec = node_parse(a, yaml, strlen(yaml), scratch_path("data.yaml"), &e);
    CHECK(spec, "%s", e.text);
    corpus *c = corpus_open(spec, &places, &e);
    CHECK(c || e.text[0], "%s", "refused without a word");
    if (c) {
        read_all(c);
        int64_t *counts = corpus_token_counts(c, &e);
        CHECK(counts, "%s", e.text);
        free(counts);
    }
    corpus_close(c);
    arena_free(a);
}

/* One of several, with options that go with the files or do not. */
#define OPEN_ONE(...)                                                                              \
    do {                                                                                           \
        static const char *const SPECS[] = {__VA_ARGS__};                                          \
        open_corpus(SPECS[choice / 8 % (sizeof SPECS / sizeof *SPECS)]);                           \
    } while (0)

/* Files called by the lines of the input, each with some text; `in` is their folder. */
static void write_names(const char *in, const uint8_t *data, size_t bytes, const char *end)
{
    for (int i = 0; i < MAX_NAMES && bytes > 0; i++) {
        const uint8_t *line_end = memchr(data, '\n', bytes);
        size_t n = line_end ? (size_t)(line_end - data) : bytes;
        char name[300];
        snprintf(name, sizeof name, "%s/%.*s%s", in, (int)MIN(n, (size_t)100), (const char *)data,
                 end);
        size_t length = strlen(name);
        bool fine = length > strlen(in) + 1 && name[length - 1] != '/' && !strstr(name, "..") &&
                    !strstr(name, "//") && !strstr(name, "/./") &&
                    strcmp(name + length - 2, "/.") != 0 && !file_is_folder(scratch_path(name));
        for (char *at = name; fine && (at = strchr(at + 1, '/')) != NULL;) {
            *at = 0;
            fine = !file_exists(scratch_path(name)) || file_is_folder(scratch_path(name));
            *at = '/';
        }
        if (fine) scratch_write(name, TEXT, sizeof TEXT - 1);
        n += line_end != NULL;
        data += n;
        bytes -= n;
    }
}

static void write_ids(const char *in, const uint8_t *data, size_t bytes, const char *end)
{
    char name[64];
    snprintf(name, sizeof name, "%s/train%s", in, end);
    scratch_write(name, data, bytes);
    snprintf(name, sizeof name, "%s/val%s", in, end);
    scratch_write(name, data, bytes);
}

/* Files that no input changes. */
static void make_others(void)
{
    scratch_write("pg/train/7.txt", TEXT, sizeof TEXT - 1);
    scratch_write("pg/validation/8.txt", TEXT, sizeof TEXT - 1);
    scratch_write("pg/test/9.txt", TEXT, sizeof TEXT - 1);
    write_ids("megatron", (const uint8_t *)TEXT, 64, ".bin");
    scratch_write("text/valid.txt", TEXT, sizeof TEXT - 1);
    write_ids("cached", (const uint8_t *)IDS, sizeof IDS, ".bin");
    write_ids("described", (const uint8_t *)IDS, sizeof IDS, ".bin");
    scratch_write("described/tokenizer.model", MODEL, sizeof MODEL - 1);
}

/* A folder that is full of an input's names goes with it. */
static void open_names(const char *in, const uint8_t *data, size_t bytes, const char *end,
                       const char *yaml)
{
    write_names(in, data, bytes, end);
    if (file_is_folder(scratch_path(in))) open_corpus(yaml);
    file_remove_tree(scratch_path(in), NULL);
}

/* The caches are files, too. Sealed, what they say is looked at. */
static void open_with_cache(const uint8_t *data, size_t bytes, const char *begins, bool sealed)
{
    static const char SPEC[] = "{corpus: shards, path: cached, vocab: 10, separator: 0}";
    char name[300];
    open_corpus(SPEC);
    file_walk w = file_walk_begin(scratch_path("cache"), NULL);
    while (file_walk_next(&w)) {
        if (strncmp(w.name, begins, strlen(begins)) != 0) continue;
        snprintf(name, sizeof name, "cache/%s", w.name);
        if (sealed) {
            sealed_write(scratch_path(name), data, bytes, NULL);
        } else {
            scratch_write(name, data, bytes);
        }
    }
    file_walk_end(&w);
    open_corpus(SPEC);
}

static void open_kind(int kind, const uint8_t *data, size_t bytes)
{
    switch (kind) {
    case 0:
        scratch_write("pg/metadata.csv", data, bytes);
        open_corpus("{corpus: pg19, path: pg}");
        break;
    case 1:
        write_ids("bin", data, bytes, ".bin");
        OPEN_ONE("{corpus: shards, path: bin, vocab: 50257, separator: 11}",
                 "{corpus: shards, path: bin, vocab: 256, dtype: uint8, tokenizer: bytes}",
                 "{corpus: shards, path: bin, vocab: 70000}",
                 "{corpus: shards, path: bin, vocab: 9, separator: 9}",
                 "{corpus: shards, path: bin, dtype: int32}");
        break;
    case 2:
        write_ids("npy", data, bytes, ".npy");
        open_corpus("{corpus: shards, path: npy, vocab: 50257}");
        break;
    case 3:
        write_ids("megatron", data, bytes, ".idx");
        open_corpus("{corpus: shards, path: megatron, vocab: 50257}");
        break;
    case 4:
        open_names("s", data, bytes, ".bin", "{corpus: shards, path: s, vocab: 32768}");
        break;
    case 5:
        open_names("t", data, bytes, "", "{corpus: text, path: t}");
        break;
    case 6:
        scratch_write("text/train.txt", data, bytes);
        OPEN_ONE("{corpus: text, path: text}", "{corpus: text, path: text/train.txt}",
                 "{corpus: text, path: text/train.txt, validation: 0.5, test: 0.6}");
        break;
    case 7:
        scratch_write("described/corpus.json", data, bytes);
        OPEN_ONE("{corpus: shards, path: described}", "{corpus: shards, path: described, vocab: 9}",
                 "{corpus: shards, path: described, dtype: int32}",
                 "{corpus: shards, path: described, tokenizer: bytes}",
                 "{corpus: shards, path: described, tokenizer: described/tokenizer.model}");
        err e = {0};
        CHECK(shards_verify(scratch_path("described"), &e) || e.text[0], "%s",
              "refused without a word");
        break;
    case 8:
        open_with_cache(data, bytes, "index-", bytes % 2);
        break;
    default:
        open_with_cache(data, bytes, bytes % 2 ? "documents-" : "counts-", bytes / 2 % 2);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_others();
    scratch_quiet();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1 || bytes > MAX_BYTES) return 0;
    int kind = data[0] % KINDS;
    /* Of the others every eighth: to write it takes as long as all else. */
    choice = reading_choice(data, bytes);
    caches = kind >= CACHES || choice % 8 == 0;
    open_kind(kind, data + 1, bytes - 1);
    /* Or the next input, whose file has the size and, within a tick of the clock, the time of this
     * one's, would be taken for it. */
    if (caches) file_remove_tree(scratch_path("cache"), NULL);
    return 0;
}
