/* Hash layers: tables, what a token's expert depends on, files, refusals. */
#include "core/base/file.h"
#include "layers/hash_ids.h"
#include "layers/hash_table.h"
#include "layers/kmeans.h"
#include "tests/support/gradcheck.h"
#include "tests/support/layer_apply.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 4, VOCAB = 9, ROWS = 2, TIME = 6, N = ROWS * TIME, BLOCK = 3 };

/* ---- tables ---- */

static hash_table_shape shape(int64_t experts, int64_t hashes, int64_t vocab)
{
    return (hash_table_shape){experts, hashes, vocab, {.seed = 3, .place = 7}};
}

static void random_tables(void)
{
    enum { IDS = 4000, EXPERTS = 8, HASHES = 2 };
    static int32_t table[HASHES * (IDS + 1)], again[HASHES * (IDS + 1)];
    hash_table_shape s = shape(EXPERTS, HASHES, IDS);
    hash_table_random(table, &s);
    hash_table_random(again, &s);
    EXPECT(!memcmp(table, again, sizeof table), "another table of the same seed");
    int64_t count[EXPERTS] = {0}, equal = 0;
    for (int i = 0; i <= IDS; i++) {
        count[table[i]]++;
        equal += table[i] == table[i + IDS + 1];
    }
    /* 500 each and 500 equal, standard deviation 21. */
    EXPECT(equal > 400 && equal < 600, "%lld of %d equal in two hashes", (long long)equal, IDS);
    for (int e = 0; e < EXPERTS; e++) {
        EXPECT(count[e] > 400 && count[e] < 600, "expert %d has %lld", e, (long long)count[e]);
    }
    s.key.seed++;
    hash_table_random(again, &s);
    EXPECT(memcmp(table, again, sizeof table) != 0, "the same table of another seed");
}

static void modulo_tables(void)
{
    int32_t table[2 * 21];
    hash_table_shape s = shape(3, 2, 20);
    hash_table_modulo(table, &s);
    for (int id = 0; id <= 20; id++) {
        EXPECT(table[id] == id % 3 && table[21 + id] == id / 3 % 3, "id %d: %d, %d", id, table[id],
               table[21 + id]);
    }
}

static void balanced_tables(void)
{
    enum { IDS = 60, EXPERTS = 4, HASHES = 3 };
    int64_t counts[IDS];
    int32_t table[HASHES * (IDS + 1)];
    double load[HASHES * EXPERTS];
    for (int i = 0; i < IDS; i++) {
        counts[i] = 1000 / (i + 1); /* as words are distributed */
    }
    hash_table_shape s = shape(EXPERTS, HASHES, IDS);
    hash_table_balanced(table, load, counts, &s);
    for (int m = 0; m < HASHES; m++) {
        double sum[EXPERTS] = {0}, total = 0;
        for (int i = 0; i < IDS; i++) {
            sum[table[m * (IDS + 1) + i]] += (double)counts[i];
            total += (double)counts[i];
        }
        for (int e = 0; e < EXPERTS; e++) {
            EXPECT(sum[e] == load[m * EXPERTS + e], "load %g, said %g", sum[e],
                   load[m * EXPERTS + e]);
            /* The most frequent id alone is 0.21 of all; the rest levels out. */
            EXPECT(sum[e] < 0.26 * total && sum[e] > 0.24 * total, "hash %d: expert %d has %g", m,
                   e, sum[e] / total);
        }
    }
    EXPECT(memcmp(table, table + IDS + 1, sizeof(int32_t) * IDS) != 0, "two hashes agree");
}

/* Four clouds of points: 0..14, 15..29, ... around corners of a square. */
static void fill_clouds(double *points, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        rng_key key = {.seed = 5, .row = (uint32_t)i};
        points[2 * i] = (double)(i / 15 % 2) + 0.1 * rng_normal(key, 0);
        points[2 * i + 1] = (double)(i / 30) + 0.1 * rng_normal(key, 1);
    }
}

static void clusters(void)
{
    enum { IDS = 59, CLUSTERS = 4 };
    double points[2 * (IDS + 1)];
    int32_t table[IDS + 1], spread[IDS + 1];
    fill_clouds(points, IDS + 1);
    hash_table_shape s = shape(CLUSTERS, 1, IDS);
    hash_table_clustered(table, points, 2, &s);
    for (int i = 0; i <= IDS; i++) {
        EXPECT(table[i] == table[i / 15 * 15], "point %d is in %d", i, table[i]);
    }
    hash_table_dispersed(spread, points, 2, CLUSTERS, &s);
    for (int cloud = 0; cloud < 4; cloud++) {
        int count[CLUSTERS] = {0};
        for (int i = 0; i < 15; i++) {
            count[spread[15 * cloud + i]]++;
        }
        for (int e = 0; e < CLUSTERS; e++) {
            EXPECT(count[e] == 3 || count[e] == 4, "cloud %d: %d to expert %d", cloud, count[e], e);
        }
    }
}

/* More clusters than points, and points that are all alike. */
static void few_points(void)
{
    const double points[] = {1, 1, 1, 2};
    int32_t cluster[4];
    kmeans(cluster, points, 4, 1, 9, (rng_key){.seed = 1});
    EXPECT(cluster[0] == cluster[1] && cluster[1] == cluster[2] && cluster[3] != cluster[0],
           "clusters %d %d %d %d", cluster[0], cluster[1], cluster[2], cluster[3]);
}

/* ---- from files ---- */

static const char *write_table(const char *text)
{
    static char path[FILE_PATH_BYTES];
    err e;
    CHECK(file_join(path, test_folder(), "table.txt", &e) &&
              file_write(path, text, strlen(text), &e),
          "%s", e.text);
    return path;
}

static void files(void)
{
    int32_t table[2 * 4];
    err e = {0};
    hash_table_shape s = shape(5, 2, 3);
    bool ok = hash_table_read(table, write_table("0 4\n1,2\r\n3\t0\n"), &s, NULL, &e);
    EXPECT(ok, "%s", e.text);
    const int32_t expected[] = {0, 1, 3, 0, 4, 2, 0, 0};
    EXPECT(!memcmp(table, expected, sizeof table), "another table");
    ok = hash_table_read(table, write_table("0 4\n1 2\n3 0\n4 1"), &s, NULL, &e);
    EXPECT(ok && table[3] == 4 && table[7] == 1, "start token: %d %d", table[3], table[7]);
    const char *const bad[][2] = {
        {"0 4\n1 5\n3 0\n", "table.txt:2: expert 5 of token 1 is out of range 0 to 4"},
        {"0 4\n1\n3 0\n", "table.txt:2: expected 2 expert number(s) for token 1"},
        {"0 4\n1 2 3\n3 0\n", "table.txt:2: more than 2 expert number(s)"},
        {"0 4\n1 2\n", "table.txt: 2 lines; the vocabulary has 3"},
        {"0 4\n1 2\n0 0\n0 0\n0 0\n", "table.txt:5: more lines than"},
        {"0 4\n1 -2\n3 0\n", "table.txt:2: expected"},
        {"0 4\n1 99999999999999999999\n3 0\n", "table.txt:2: expert"},
        {"", "table.txt: 0 lines"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ok = hash_table_read(table, write_table(bad[i][0]), &s, NULL, &e);
        EXPECT(!ok && strstr(e.text, bad[i][1]), "case %zu: %s", i, ok ? "read" : e.text);
    }
}

/* Identities look at the table, not at its file's name. */
static void content(void)
{
    char options[FILE_PATH_BYTES + 64], *hex[3];
    static const char *const texts[] = {"0\n1\n1\n", "0 \n1,\n1", "0\n1\n0\n"};
    arena *memory = arena_new(0);
    for (int i = 0; i < 3; i++) {
        err e = {0};
        layer_dims dims = {.width = WIDTH, .vocab = 3, .block = BLOCK, .depths = 1};
        snprintf(options, sizeof options, "{experts: 2, hash: table, table: %s}",
                 write_table(texts[i]));
        layer_apply *a = layer_apply_new("hash_ffn", options, &dims, ROWS, NULL, &e);
        CHECK(a, "%s", e.text);
        hex[i] = arena_strdup(memory, a->layer.cls->content(&a->layer, memory));
        layer_apply_free(a);
    }
    EXPECT(strcmp(hex[0], hex[1]) == 0 && strcmp(hex[0], hex[2]) != 0, "%s %s %s", hex[0], hex[1],
           hex[2]);
    arena_free(memory);
}

/* ---- the layer ---- */

typedef struct seen {
    int32_t expert[4 * N];
    int64_t count;
} seen;

static void see(void *user, const layer *self, const char *name, const tensor *x)
{
    (void)self;
    seen *s = user;
    if (strcmp(name, "expert") != 0) return;
    s->count = tensor_count(x);
    for (int64_t i = 0; i < s->count; i++) {
        s->expert[i] = (int32_t)x->data[i];
    }
}

static layer_apply *open_hash(const char *options, const layer_build *inputs)
{
    err e = {0};
    layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = BLOCK, .depths = 1};
    layer_apply *a = layer_apply_new("hash_ffn", options, &dims, ROWS, inputs, &e);
    EXPECT(a, "%s: %s", options, e.text);
    return a;
}

static seen experts_of(layer_apply *a, const int32_t *tokens, const int64_t *lengths)
{
    static real x[N * WIDTH];
    seen s = {.count = 0};
    fill_uniform(x, N * WIDTH, 1);
    layer_apply_call call = {.time = TIME,
                             .x = x,
                             .tokens = tokens,
                             .lengths = lengths,
                             .mode = MODE_EVAL,
                             .watch = {.tap = see, .user = &s}};
    layer_apply_reset(a);
    layer_apply_run(a, &call);
    return s;
}

/* Changing the token at 2 of row 0 may change the experts from `first` to `last` and no others;
 * with 4096 experts it does. */
static void check_reach(const char *options, int first, int last)
{
    const int32_t tokens[N] = {VOCAB, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0};
    int32_t changed[N];
    memcpy(changed, tokens, sizeof changed);
    changed[2] = 7;
    layer_apply *a = open_hash(options, NULL);
    if (!a) return;
    seen before = experts_of(a, tokens, NULL), after = experts_of(a, changed, NULL);
    for (int i = 0; i < N; i++) {
        bool differs = before.expert[i] != after.expert[i];
        EXPECT(differs == (i >= first && i <= last), "%s: position %d %s", options, i,
               differs ? "depends on it" : "does not");
    }
    layer_apply_free(a);
}

static void what_is_hashed(void)
{
    check_reach("{experts: 4096, hidden: 1}", 2, 2);
    check_reach("{experts: 4096, hidden: 1, hash: modulo}", 2, 2);
    check_reach("{experts: 4096, hidden: 1, hash: previous}", 3, 3);
    check_reach("{experts: 4096, hidden: 1, hash: bigram}", 2, 3);
    check_reach("{experts: 4096, hidden: 1, hash: ngram, n: 1}", 2, 2);
    check_reach("{experts: 4096, hidden: 1, hash: ngram, n: 3}", 2, 4);
    check_reach("{experts: 4096, hidden: 1, hash: sequence}", 2, 5);
    check_reach("{experts: 4096, hidden: 1, hash: future, oracle: true}", 1, 1);
    check_reach("{experts: 4096, hidden: 1, hash: position}", -1, -1);
}

static void positions(void)
{
    const int32_t tokens[N] = {0};
    layer_apply *a = open_hash("{experts: 2, hashes: 2, hash: position}", NULL);
    seen s = experts_of(a, tokens, NULL);
    for (int i = 0; i < N; i++) {
        int at = i % TIME % BLOCK;
        EXPECT(s.expert[i] == at % 2 && s.expert[N + i] == at / 2 % 2, "position %d: %d %d", i,
               s.expert[i], s.expert[N + i]);
    }
    layer_apply_free(a);
}

/* Padding is routed nowhere; a layer's own seed makes it agree with others. */
static void padding_and_seeds(void)
{
    const int32_t tokens[N] = {VOCAB, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0};
    const int64_t lengths[ROWS] = {4, TIME};
    layer_apply *a = open_hash("{experts: 4096, hidden: 1, hashes: 1, seed: 5}", NULL);
    layer_apply *b = open_hash("{experts: 4096, hidden: 1, seed: 5}", NULL);
    layer_apply *c = open_hash("{experts: 4096, hidden: 1, seed: 6}", NULL);
    seen x = experts_of(a, tokens, lengths), y = experts_of(b, tokens, NULL),
         z = experts_of(c, tokens, NULL);
    for (int i = 0; i < N; i++) {
        bool padding = i == 4 || i == 5;
        EXPECT(padding ? x.expert[i] == -1 : x.expert[i] == y.expert[i], "position %d: %d", i,
               x.expert[i]);
    }
    EXPECT(memcmp(y.expert, z.expert, sizeof y.expert) != 0, "another seed, the same table");
    layer_apply_free(a);
    layer_apply_free(b);
    layer_apply_free(c);
}

/* ---- tables from a trained model ---- */

static real trained[(VOCAB + 1) * WIDTH];

static const real *give(void *user, const char *name, int *rank, int64_t s[TENSOR_RANK])
{
    (void)user;
    bool start = strcmp(name, "embedding.start") == 0;
    if (!start && strcmp(name, "embedding.weight") != 0) return NULL;
    *rank = start ? 1 : 2;
    s[0] = start ? WIDTH : VOCAB;
    s[1] = WIDTH;
    return start ? trained + VOCAB * WIDTH : trained;
}

static const real *give_nothing(void *user, const char *name, int *rank, int64_t s[TENSOR_RANK])
{
    (void)user, (void)name, (void)rank, (void)s;
    return NULL;
}

static void from_embeddings(void)
{
    const tensor_source source = {NULL, give}, empty = {NULL, give_nothing}, planned = {NULL, NULL};
    for (int i = 0; i <= VOCAB; i++) { /* ids 0..4 here, 5.. and the start token there */
        for (int k = 0; k < WIDTH; k++) {
            trained[i * WIDTH + k] = (real)(i < 5 ? 0.01 * i : 1 + 0.01 * i);
        }
    }
    layer_build inputs = {.source = &source};
    layer_apply *a = open_hash("{experts: 2, hash: clustered}", &inputs);
    const real *table = layer_apply_param(a, "table", NULL);
    for (int i = 0; i <= VOCAB; i++) {
        EXPECT((table[i] == table[0]) == (i < 5), "id %d: cluster %g", i, (double)table[i]);
    }
    layer_apply_free(a);
    inputs.source = &planned; /* shapes only */
    a = open_hash("{experts: 2, hash: dispersed, clusters: 3}", &inputs);
    layer_apply_free(a);
    inputs.source = &empty;
    err e = {0};
    layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = BLOCK, .depths = 1};
    a = layer_apply_new("hash_ffn", "{hash: clustered}", &dims, 1, &inputs, &e);
    EXPECT(!a && strstr(e.text, "no embedding.weight of this vocabulary"), "%s", e.text);
}

static void refusals(void)
{
    const char *const cases[][2] = {
        {"{hash: future}", "options:1:1: hash: future looks at the token that is to be predicted"},
        {"{oracle: true}",
         "options:1:10: oracle: has no effect with `hash: random`; it needs hash: future"},
        {"{hash: ngram}", "hash: ngram needs n"},
        {"{n: 2}", "n: has no effect with `hash: random`; it needs hash: ngram"},
        {"{hash: table}", "hash: table needs table"},
        {"{table: x}", "table: has no effect with `hash: random`; it needs hash: table"},
        {"{hash: table, table: /nowhere/x}", "/nowhere/x"},
        {"{hash: modulo, seed: 1}",
         "options:1:22: seed: has no effect with `hash: modulo`; it needs hash: random or"},
        {"{clusters: 3}", "clusters: has no effect with `hash: random`; it needs hash: dispersed"},
        {"{hashes: 3}", "hashes 3 does not divide hidden 16"},
        {"{hashes: 3, hidden: 9}", "hashes 3 does not divide the model's width 4"},
        {"{hash: clustered}", "name one with init_from"},
        {"{hash: nxt}", "hash: "},
        {"{experts: 0}", "experts: 0 is out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = BLOCK, .depths = 1};
        layer_apply *a = layer_apply_new("hash_ffn", cases[i][0], &dims, 1, NULL, &e);
        EXPECT(!a && strstr(e.text, cases[i][1]), "%s: %s", cases[i][0], e.text);
        layer_apply_free(a);
    }
}

extern const test_suite test_hash;
const test_suite test_hash = {"layers/hash",
                              {{"random_tables", random_tables},
                               {"modulo_tables", modulo_tables},
                               {"balanced_tables", balanced_tables},
                               {"clusters", clusters},
                               {"few_points", few_points},
                               {"files", files},
                               {"content", content},
                               {"what_is_hashed", what_is_hashed},
                               {"positions", positions},
                               {"padding_and_seeds", padding_and_seeds},
                               {"from_embeddings", from_embeddings},
                               {"refusals", refusals},
                               {0}}};
