/* Any bytes as the claims of two experiments, one that reads text and one that is asked questions
 * and judged by looks: refused with words, or in a record they read back as the same claims, are
 * told in words and hashed.
 *
 * Mutated as trees, with the names of keys, figures, units and variants at hand. */
#include <stdio.h>
#include <string.h>

#include "core/options/option.h"
#include "harness/run/claims_record.h"
#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "results/claims/claim_figure.h"
#include "results/claims/statement_read.h"
#include "tests/fuzz/kept.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/yaml_mutator.h"

enum { MAX_BYTES = 4096, MAX_WORDS = 256, EXPERIMENTS = 2 };

/* Both have the same variants, so that what one has no figure of is claimed of it, too. */
#define VARIANTS                                                                                   \
    "  baseline: {optimizer.lr: 1e-3, memory: none}\n"                                             \
    "  grid:\n"                                                                                    \
    "    optimizer.lr: [1e-3, 2e-3, 1e-2]\n"                                                       \
    "    memory: {none: {}, routed: {\"model.blocks[0]\": {switch_ffn: {experts: 2, hidden: "      \
    "8}}}}\n"
static const char *const SPECS[EXPERIMENTS] = {
    "data: {corpus: text, path: text, span: 64}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 8}}]}\n"
    "train: {budget: {steps: 1}, batch: 2}\n"
    "sweep:\n" VARIANTS,
    "data: {corpus: probe, task: recall, length: 4, tokens: 2000, held_out: 500, distances: [16]}\n"
    "model:\n"
    "  width: 8\n"
    "  context: 16\n"
    "  blocks: [{block_recurrent: {heads: 2, states: 4}, ffn: {hidden: 8}}]\n"
    "train: {budget: {steps: 1}, batch: 2}\n"
    "sweep:\n"
    "  seeds: {until: decided, at most: 4}\n" VARIANTS};

static experiment *experiments[EXPERIMENTS];
static const char *list[MAX_WORDS];
static yaml_words words = {list, 0};

static void know(const char *word)
{
    if (word && *word && words.count < MAX_WORDS) list[words.count++] = word;
}

static void know_words(void)
{
    static const char OTHERS[] =
        "name all looks position block frequency repetition depth 512- 0-7 documents validation lr "
        "memory none routed 1e-3 inspect.keys.memories inspect.values.agreement "
        "inspect.states.read.0_moved";
    static char text[sizeof OTHERS];
    memcpy(text, OTHERS, sizeof OTHERS);
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
        know(word);
    }
    know("2 %");
    know("0.1 bits/byte");
    for (const option *o = STATEMENT_READ_KEYS; o->name; o++) {
        know(o->name);
    }
    for (const claim_figure *f = CLAIM_FIGURES; f->name; f++) {
        know(f->name);
        know(f->unit);
    }
}

/* Documents enough to judge by them. */
static void write_text(void)
{
    static const char TEXT[] = "words of a text that is read again and again\n";
    static const char *const SPLIT[] = {"train", "validation", "test"};
    char text[20 * sizeof TEXT] = "", name[40];
    while (strlen(text) + sizeof TEXT < sizeof text)
        strcat(text, TEXT);
    for (int i = 0; i < 18; i++) {
        snprintf(name, sizeof name, "text/%s/%d.txt", SPLIT[i % 3], i);
        scratch_write(name, text, strlen(text) - (size_t)i);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const ROOTS[] = {NULL};
    (void)argc, (void)argv;
    err e = {0};
    KEPT_BEGIN();
    corpus_places places = {.roots = ROOTS, .cache = strdup(scratch_path("cache"))};
    write_text();
    for (int i = 0; i < EXPERIMENTS; i++) {
        scratch_write("spec.yaml", SPECS[i], strlen(SPECS[i]));
        experiment *x = experiments[i] = experiment_load(scratch_path("spec.yaml"), NULL, &e);
        CHECK(x && experiment_resolve(x, &places, &e), "%s", e.text);
        node_set(x->memory, x->spec->root, "claims", node_list(x->memory)); /* to be replaced */
    }
    KEPT_END();
    know_words();
    scratch_quiet();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    size_t got = seed % 8 ? yaml_mutate(data, size, max, seed, false, &words) : 0;
    return got ? got : LLVMFuzzerMutate(data, size, max);
}

/* As its record has it. */
static void read_back(arena *a, const claim *c)
{
    err e = {0};
    node *one = node_list(a);
    node_append(a, one, claim_node(a, c));
    const char *json = node_json(a, one, false);
    const node *recorded = node_parse(a, json, strlen(json), "record", &e);
    const claim_list *again = recorded ? claim_read(a, recorded, NULL, &e) : NULL;
    CHECK(again, "%s\n%s", e.text, json);
    CHECK(node_equal(claim_node(a, again->claims), one->items[0]), "%s\n%s", json,
          node_json(a, claim_node(a, again->claims), false));
}

static void claim_of(experiment *x, const char *bytes, size_t size)
{
    static FILE *nowhere;
    err e = {0};
    const arena_mark mark = arena_now(x->memory);
    node *n = node_parse(x->memory, bytes, size, "fuzz.yaml", &e);
    if (n) {
        node_set(x->memory, x->spec->root, "claims", n);
        bool good = experiment_claims(x, &e);
        CHECK(good || e.text[0], "%s", "refused without a word");
        for (int i = 0; good && i < x->claims->count; i++) {
            read_back(x->memory, &x->claims->claims[i]);
        }
        if (!nowhere) nowhere = fopen("/dev/null", "w");
        if (good) experiment_claims_print(nowhere, x);
        json_auto_t *record = json_object();
        if (good) claims_record(record, scratch_path("out"), x, NULL);
    }
    x->claims = NULL;
    arena_rewind(x->memory, mark);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    for (int i = 0; i < EXPERIMENTS && bytes <= MAX_BYTES; i++) {
        claim_of(experiments[i], (const char *)data, bytes);
    }
    return 0;
}
