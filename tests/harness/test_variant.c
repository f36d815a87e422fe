/* A variant's assignments, made in a copy of the spec: paths into it, whole layers by name, and
 * none that another one undoes. */
#include <stdio.h>
#include <string.h>

#include "harness/spec/sweep.h"
#include "tests/test.h"

static void applies(void)
{
    arena *a = arena_new(0);
    err e;
    const char *text = "model: {width: 4, blocks: [{attention: {heads: 2}}]}\n"
                       "sweep: {grid: {size: {s: {}, l: {model.width: 8, "
                       "\"model.blocks[0].attention.heads\": 4}}}}";
    node *root = node_parse(a, text, strlen(text), "s.yaml", &e);
    sweep *s = sweep_expand(a, node_get(root, "sweep"), "x", &e);
    EXPECT(s, "%s", e.text);
    node *own = variant_apply(a, root, &s->variants[1], &e);
    EXPECT(own, "%s", e.text);
    const char *json = node_json(a, own, true);
    EXPECT(strcmp(json, "{\"model\":{\"blocks\":[{\"attention\":{\"heads\":4}}],\"width\":8}}") ==
               0,
           "%s", json);
    EXPECT(strcmp(node_at(own, "model.width")->path, "model.width") == 0, "%s",
           node_at(own, "model.width")->path);
    EXPECT(strcmp(node_at(root, "model.width")->text, "4") == 0, "%s", "the spec itself is kept");
    arena_free(a);
}

/* Whole layers by name: where the replaced one stood, and what is said of the new one holds. */
static void replaces_layers(void)
{
    arena *a = arena_new(0);
    err e;
    const char *text =
        "model: {blocks: [{repeat: 2, attention: {heads: 2}, ffn: {hidden: 8}, tail: {}}]}\n"
        "sweep:\n"
        "  grid:\n"
        "    \"model.blocks[0].ffn\":\n"
        "      dense: {ffn: {hidden: 9}}\n"
        "      hash16: {norm: {}, hash_ffn: {experts: 16}}\n"
        "      twice: {attention: {}}\n"
        "    \"model.blocks[0].hash_ffn.hash\": [random, balanced]\n"
        "  when: {hash: {ffn: hash16}}\n";
    static const char *const want[] = {
        "[{\"repeat\":2,\"attention\":{\"heads\":2},\"ffn\":{\"hidden\":9},\"tail\":{}}]",
        "[{\"repeat\":2,\"attention\":{\"heads\":2},\"norm\":{},\"hash_ffn\":{\"experts\":16,"
        "\"hash\":\"random\"},\"tail\":{}}]",
        "[{\"repeat\":2,\"attention\":{\"heads\":2},\"norm\":{},\"hash_ffn\":{\"experts\":16,"
        "\"hash\":\"balanced\"},\"tail\":{}}]"};
    node *root = node_parse(a, text, strlen(text), "s.yaml", &e);
    sweep *s = root ? sweep_expand(a, node_get(root, "sweep"), "x", &e) : NULL;
    EXPECT(s && s->variant_count == 4, "%s", e.text);
    for (int i = 0; s && i < 3; i++) {
        node *own = variant_apply(a, root, &s->variants[i], &e);
        EXPECT(own, "%s", e.text);
        const char *json = own ? node_json(a, node_at(own, "model.blocks"), false) : "";
        EXPECT(strcmp(json, want[i]) == 0, "%s: %s", s->variants[i].label, json);
    }
    EXPECT(s && strcmp(s->variants[2].label, "ffn=hash16 hash=balanced") == 0, "%s",
           s ? s->variants[2].label : "");
    EXPECT(s && !variant_apply(a, root, &s->variants[3], &e) && strstr(e.text, "already"), "%s",
           e.text);
    node_remove(node_at(root, "model.blocks[0]"), "ffn");
    EXPECT(s && !variant_apply(a, root, &s->variants[0], &e) && strstr(e.text, "no such layer"),
           "%s", e.text);
    arena_free(a);
}

/* A value that another one of the sweep replaces would be in a label and in no run. */
static void undoes(void)
{
    static const struct {
        const char *grid, *line; /* line: that of what is undone; NULL: all is well */
    } cases[] = {
        {"\"model.blocks[0].ffn.hidden\": [9],\n \"model.blocks[0].ffn\": [{bias: true}]",
         "line 3"},
        {"\"model.blocks[0].ffn.hidden\": [9],\n m: {y: {model.blocks: [{ffn: {}}]}}", "line 3"},
        {"optimizer.\"lr\": [1],\n optimizer.lr: [2]", "line 3"},
        {"\"model.blocks[0].layers[0].ffn.hidden\": [1],\n \"model.blocks[0].ffn.hidden\": [2]",
         "line 3"},
        {"m: {y: {\"model.blocks[0].ffn.hidden\": 9, model.blocks: []}}", "line 3"},
        {"\"model.blocks[0].ffn\": {h: {norm: {}}},\n m: {y: {model.blocks: []}}", "line 3"},
        {"\"model.blocks[0].ffn\": [{bias: true}],\n \"model.blocks[0].ffn.hidden\": [9]", NULL},
        {"\"model.blocks[0].ffn\": {h: {norm: {}}},\n \"model.blocks[0].norm.eps\": [1]", NULL},
        {"\"model.blocks[0].ffn.hidden\": [9],\n m: {y: {model.blocks: [{ffn: {hidden: 9}}]}}",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e = {0};
        char text[512];
        snprintf(text, sizeof text,
                 "model: {blocks: [{ffn: {hidden: 8}}]}\nsweep: {grid: {\n %s}}\n", cases[i].grid);
        node *root = node_parse(a, text, strlen(text), "s.yaml", &e);
        sweep *s = root ? sweep_expand(a, node_get(root, "sweep"), "x", &e) : NULL;
        EXPECT(s, "%s", e.text);
        node *own = s ? variant_apply(a, root, &s->variants[0], &e) : NULL;
        EXPECT(!own == !!cases[i].line, "%s: %s", cases[i].grid, e.text);
        EXPECT(own || strstr(e.text, cases[i].line), "%s: %s", cases[i].grid, e.text);
        arena_free(a);
    }
}

const test_suite test_variant = {
    "harness/variant",
    {{"applies", applies}, {"replaces layers", replaces_layers}, {"undoes", undoes}, {0}}};
