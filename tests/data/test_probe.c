/* Probes: what is asked for was told, and so far away as said. */
#include "data/corpus.h"
#include "tests/test.h"

#include <string.h>

static corpus *open_probe(arena *a, const char *yaml, err *e)
{
    static const char *const roots[] = {NULL};
    corpus_places places = {.roots = roots};
    const node *n = node_parse(a, yaml, strlen(yaml), "probe.yaml", e);
    CHECK(n, "%s", e->text);
    return corpus_open(n, &places, e);
}

enum { MOST = 4096, ASK = 1, KEY = 2 };

static int64_t find_last(const int32_t *ids, int64_t n, int32_t id)
{
    while (--n >= 0 && ids[n] != id) {
    }
    return n;
}

/* Where in front of ASK the answer at `at` was told: copy: its place; pairs: behind its key. */
static int64_t told_at(const int32_t *ids, int64_t ask, int64_t at, bool pairs, int64_t answers)
{
    if (!pairs) return at - ask - 1;
    for (int64_t i = 0; i + 1 < ask && i < 2 * answers; i += 2) {
        if (ids[i] == ids[at - 1]) return i + 1;
    }
    return -1;
}

static void check_document(const corpus_split *s, int64_t index, bool copy, bool needle)
{
    int32_t ids[MOST];
    err e = {0};
    document d = split_document(s, index);
    CHECK(d.tokens <= MOST && split_read(s, index, 0, d.tokens, ids, &e), "%s", e.text);
    int64_t ask = find_last(ids, d.tokens, ASK);
    double sum = 0;
    for (int64_t i = 0; i < d.answers; i++) {
        int64_t at = d.tokens - 1 - i * d.stride;
        int64_t told =
            needle ? find_last(ids, ask, KEY) + 2 : told_at(ids, ask, at, !copy, d.answers);
        EXPECT(at > ask && told >= 0 && ids[told] == ids[at], "document %lld, answer %lld",
               (long long)index, (long long)i);
        if (copy || needle) EXPECT(at - told == d.distance, "%lld", (long long)(at - told));
        sum += (double)(at - told);
    }
    EXPECT(sum / (double)d.answers == (double)d.distance, "distance %g", sum / (double)d.answers);
}

static void check_task(const char *yaml, bool copy, bool needle)
{
    arena *a = arena_new(0);
    err e = {0};
    corpus *c = open_probe(a, yaml, &e);
    EXPECT(c, "%s", e.text);
    for (int kind = 0; c && kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        EXPECT(split_documents(s) > 8, "%lld documents", (long long)split_documents(s));
        for (int64_t i = 0; i < split_documents(s); i++) {
            check_document(s, i, copy, needle);
        }
    }
    if (c) corpus_close(c);
    arena_free(a);
}

static void tasks(void)
{
    check_task("{corpus: probe, task: copy, length: 5, distances: [6, 40, 1000], tokens: 9k, "
               "held_out: 9k}",
               true, false);
    check_task("{corpus: probe, task: recall, length: 4, symbols: 8, noise: 3, distances: [20, 90],"
               " tokens: 2k, held_out: 2k}",
               false, false);
    check_task("{corpus: probe, task: needle, distances: [3, 700], noise: 9, tokens: 9k, held_out: "
               "9k}",
               false, true);
}

/* Keys of the first half and values of the second are told once; a key stands again before each
 * place, and what it is followed by is its value. */
static void check_mqar_document(const corpus_split *s, int64_t index, int64_t pairs, int64_t *asked)
{
    int32_t ids[MOST], seen[256] = {0};
    err e = {0};
    document d = split_document(s, index);
    CHECK(d.tokens <= MOST && split_read(s, index, 0, d.tokens, ids, &e), "%s", e.text);
    EXPECT(d.answers == pairs && d.distance == d.tokens, "%lld answers", (long long)d.answers);
    for (int64_t i = 0; i < 2 * pairs; i++) {
        EXPECT((ids[i] < 3 + 8) == (i % 2 == 0), "token %lld is no %s", (long long)i,
               i % 2 ? "value" : "key");
        EXPECT(seen[ids[i]]++ == 0, "%d is told twice", ids[i]);
    }
    int64_t found = 0;
    for (int64_t at = 0; at < d.tokens; at++) {
        if (!document_answer(&d, at)) continue;
        found++;
        asked[(at - 2 * pairs) / 2]++;
        int64_t told = told_at(ids, 2 * pairs, at, true, pairs);
        EXPECT(at > 2 * pairs && at % 2 == 1 && told >= 0 && ids[told] == ids[at],
               "document %lld, answer at %lld", (long long)index, (long long)at);
    }
    EXPECT(found == pairs, "%lld places", (long long)found);
}

/* Chances of the first place are those of the law: 1 draw of 8 places, powers 0.5 and 1. */
static void mqar(void)
{
    static const struct {
        const char *yaml;
        int64_t pairs;
        double first; /* share of the first place; 0: not looked at */
    } cases[] = {
        {"{corpus: probe, task: mqar, length: 8, distances: [32, 33, 200], tokens: 9k, held_out: "
         "9k}",
         8, 0},
        {"{corpus: probe, task: mqar, length: 1, power: 1, distances: [18], tokens: 60k}", 1,
         0.125},
        /* 1 / (1 + 2^-1/2 + ... + 8^-1/2) */
        {"{corpus: probe, task: mqar, length: 1, power: 0.5, distances: [18], tokens: 60k}", 1,
         0.2289},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e = {0};
        corpus *c = open_probe(a, cases[i].yaml, &e);
        CHECK(c, "%s", e.text);
        const corpus_split *s = corpus_get(c, SPLIT_TRAIN);
        int64_t asked[MOST] = {0}, n = split_documents(s);
        for (int64_t k = 0; k < n; k++) {
            check_mqar_document(s, k, cases[i].pairs, asked);
        }
        double share = (double)asked[0] / (double)n;
        /* 3,334 documents: a standard deviation of 0.007. */
        EXPECT(cases[i].first == 0 ||
                   (share > cases[i].first - 0.03 && share < cases[i].first + 0.03),
               "the first of 8 places was drawn at a rate of %g", share);
        corpus_close(c);
        arena_free(a);
    }
}

/* Held-out text may ask farther than anything that is trained. */
static void held_out(void)
{
    arena *a = arena_new(0);
    err e = {0};
    corpus *c = open_probe(a,
                           "{corpus: probe, length: 1, distances: [4, 8], held_out_distances: "
                           "[8, 70000], tokens: 100, held_out: 100}",
                           &e);
    EXPECT(c, "%s", e.text);
    for (int kind = 0; c && kind < SPLITS; kind++) {
        const corpus_split *s = corpus_get(c, (split_kind)kind);
        for (int64_t i = 0; i < split_documents(s); i++) {
            int64_t distance = split_document(s, i).distance;
            int64_t expected =
                i % 2 == 0 ? (kind == SPLIT_TRAIN ? 4 : 8) : (kind == SPLIT_TRAIN ? 8 : 70000);
            EXPECT(distance == expected, "distance %lld", (long long)distance);
        }
    }
    if (c) corpus_close(c);
    arena_free(a);
}

static void refused(void)
{
    static const char *const cases[][2] = {
        {"{corpus: probe, distances: [2]}", "distance 2: must be between 9 and"},
        {"{corpus: probe, distances: [-9223372036854775807]}", "07: must be between 9 and"},
        {"{corpus: probe, distances: far}", "expected a list of 1 to 64 distances"},
        {"{corpus: probe, task: recall, length: 17}", "as many different keys"},
        {"{corpus: probe, task: mqar, length: 9}", "as many different values"},
        {"{corpus: probe, task: mqar, length: 8, distances: [31]}",
         "distance 31: must be between 32 and"},
        {"{corpus: probe, power: 0.5}", "it needs task: mqar"},
        {"{corpus: probe, length: 40}", "distances: the default begins at 32"},
        {"{corpus: probe, held_out_distances: [x]}", "expected a distance in tokens"},
        {"{corpus: probe, symbols: 200, noise: 100}", "at most 253 together"},
        {"{corpus: probe, path: here}", "made up"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e = {0};
        corpus *c = open_probe(a, cases[i][0], &e);
        EXPECT(!c && strstr(e.text, cases[i][1]), "%s: %s", cases[i][0], e.text);
        if (c) corpus_close(c);
        arena_free(a);
    }
}

extern const test_suite test_probe;
const test_suite test_probe = {
    "data/probe",
    {{"tasks", tasks}, {"mqar", mqar}, {"held_out", held_out}, {"refused", refused}, {0}}};
