/* libFuzzer: any bytes as a spec. What is accepted must print as YAML and JSON that read back as
 * the same tree, and its sweep must expand or be refused. */
#include "core/options/option.h"
#include "harness/spec/spec.h"
#include "harness/spec/sweep.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    err e = {0};
    /* extends would read files of this machine. */
    if (memmem(data, bytes, "extends", 7) || bytes > 4096) return 0;
    spec *s = spec_parse((const char *)data, bytes, "fuzz.yaml", NULL, &e);
    if (!s) {
        CHECK(e.text[0], "%s", "refused without a word");
        return 0;
    }
    round_trip(s->root);
    /* Small sweeps only: a million variants are legal, and slow under sanitizers. */
    sweep *all =
        bytes < 512 ? sweep_expand(s->memory, node_get(s->root, "sweep"), s->name, &e) : NULL;
    if (all) {
        node *own = variant_apply(s->memory, s->root, &all->variants[0], &e);
        if (own) round_trip(own);
    }
    spec_free(s);
    return 0;
}
