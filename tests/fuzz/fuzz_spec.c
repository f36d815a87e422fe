/* Any bytes as a spec. Lines "#set PATH=VALUE" are --set options. What is accepted must print as
 * YAML and JSON that read back as the same tree; its sweep expands or is refused; what its variants
 * say is opened on a tiny corpus, models are built, and identities taken: or refused with words.
 *
 * Most mutations are of the tree (yaml_mutator.h), with the names of all options at hand. */
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "harness/run/doubt.h"
#include "harness/run/identity.h"
#include "harness/spec/spec.h"
#include "harness/spec/sweep.h"
#include "layers/registry.h"
#include "tests/fuzz/kept.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/yaml_mutator.h"

enum { MAX_BYTES = 4096, MAX_SETS = 4 };

static yaml_words words;
static corpus *text;
static corpus_places places;

static void name_layers(FILE *f)
{
    int count;
    const layer_class *const *all = registry_layers(&count);
    for (int i = 0; i < count; i++) {
        fprintf(f, "%s\n", all[i]->name);
        for (const option *o = all[i]->options; o && o->name; o++) {
            fprintf(f, "%s %s\n", o->name, o->choices ? o->choices : "");
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char DATA[] = "{corpus: markov, symbols: 8, tokens: 300, held_out: 200}";
    static const char BASE[] = "model: {width: 8, context: 8, blocks: [{ffn: {hidden: 8}}]}\n"
                               "train: {budget: {steps: 2}}\n";
    static const char CIRCLE[] = "extends: [base.yaml, circle.yaml]\n";
    static const char *const ROOTS[] = {NULL};
    (void)argc, (void)argv;
    char *names = NULL;
    size_t bytes;
    FILE *f = open_memstream(&names, &bytes);
    spec_help(f);
    name_layers(f);
    fclose(f);
    words = yaml_words_of(names);
    free(names);
    places = (corpus_places){.roots = ROOTS, .cache = scratch_path("cache")};
    err e = {0};
    arena *a = arena_new(1 << 16);
    KEPT_BEGIN();
    text = corpus_open(node_parse(a, DATA, strlen(DATA), "data", &e), &places, &e);
    KEPT_END();
    CHECK(text, "%s", e.text);
    arena_free(a);
    scratch_write("base.yaml", BASE, strlen(BASE)); /* for extends */
    scratch_write("circle.yaml", CIRCLE, strlen(CIRCLE));
    scratch_quiet();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    size_t got = seed % 8 ? yaml_mutate(data, size, max, seed, false, &words) : 0;
    return got ? got : LLVMFuzzerMutate(data, size, max);
}

static void round_trip(const node *n)
{
    err e = {0};
    arena *a = arena_new(1 << 16);
    const char *yaml = node_yaml(a, n), *json = node_json(a, n, true);
    const node *again = node_parse(a, yaml, strlen(yaml), "yaml", &e);
    CHECK(again && node_equal(n, again), "%s\n%s", e.text, yaml);
    /* JSON knows no infinity: only that it can be read is sure. */
    CHECK(node_parse(a, json, strlen(json), "json", &e), "%s\n%s", e.text, json);
    arena_free(a);
}

/* Sizes within reason: what is legal and large is slow, not wrong. */
static bool is_small(const node *n)
{
    enum { LARGEST = 64 };
    double value;
    if (n->kind == NODE_SCALAR) return !option_text_to_real(n->text, &value) || value <= LARGEST;
    bool small = n->count < 64;
    for (int i = 0; i < n->count && small; i++) {
        small = is_small(n->items[i]);
    }
    return small;
}

static void open_variant(const node *own)
{
    err e = {0};
    workload w;
    char id[IDENTITY_CHARS];
    if (!is_small(own)) return;
    if (!workload_open_on(&w, own, 1, text, &e)) {
        CHECK(e.text[0], "%s", "refused without a word");
        return;
    }
    arena *a = arena_new(1 << 16);
    round_trip(identity_resolved(a, &w));
    identity_variant(id, &w, "source");
    doubt_of(a, &w, 1);
    arena_free(a);
    workload_close(&w);
}

/* The lines "#set a.b=c". */
static int find_sets(const char **sets, const uint8_t *data, size_t bytes, arena *a)
{
    char *copy = arena_push(a, (int64_t)bytes + 1, 1), *at = copy;
    int n = 0;
    memcpy(copy, data, bytes);
    copy[bytes] = 0;
    while (n < MAX_SETS && (at = strstr(at, "#set ")) != NULL) {
        sets[n++] = at + 5;
        at += strcspn(at, "\n");
        if (*at) *at++ = 0;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    err e = {0};
    const char *sets[MAX_SETS + 1] = {NULL};
    if (bytes > MAX_BYTES) return 0;
    /* Files of this machine are no part of the input. */
    if (memmem(data, bytes, "extends", 7) && memchr(data, '/', bytes)) return 0;
    arena *a = arena_new(1 << 16);
    find_sets(sets, data, bytes, a);
    spec *s = spec_parse((const char *)data, bytes, scratch_path("fuzz.yaml"), sets, &e);
    if (!s) CHECK(e.text[0], "%s", "refused without a word");
    if (s) round_trip(s->root);
    /* Small sweeps only: a million variants are legal, and slow under sanitizers. */
    sweep *all =
        s && bytes < 1024 ? sweep_expand(s->memory, node_get(s->root, "sweep"), s->name, &e) : NULL;
    for (int i = 0; all && i < MIN(all->variant_count, 2); i++) {
        node *own = variant_apply(s->memory, s->root, &all->variants[i], &e);
        if (!own) continue;
        node_remove(own, "sweep");
        round_trip(own);
        open_variant(own);
    }
    spec_free(s);
    arena_free(a);
    return 0;
}
