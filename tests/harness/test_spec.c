#include "harness/spec/spec.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static spec *parse(const char *text, const char *const *sets, err *e)
{
    e->text[0] = 0;
    return spec_parse(text, strlen(text), "dir/probe.yaml", sets, e);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    FILE *f = fopen(path, "w");
    EXPECT(f && fputs(text, f) >= 0, "%s", path);
    if (f) fclose(f);
    return path;
}

static bool is_json(const spec *s, const char *want)
{
    const char *json = node_json(s->memory, s->root, true);
    bool same = strcmp(json, want) == 0;
    EXPECT(same, "%s, expected %s", json, want);
    return same;
}

static void names(void)
{
    err e;
    spec *s = parse("description: why\nmodel: {width: 8}\nsweep:\n", NULL, &e);
    EXPECT(s, "%s", e.text);
    EXPECT(strcmp(s->name, "probe") == 0 && strcmp(s->description, "why") == 0, "%s", s->name);
    is_json(s, "{\"model\":{\"width\":8}}");
    spec_free(s);
    s = parse("name: other-1.b", NULL, &e);
    EXPECT(s && strcmp(s->name, "other-1.b") == 0, "%s", e.text);
    spec_free(s);
    EXPECT(!parse("name: a b", NULL, &e) && strstr(e.text, "dir/probe.yaml:1:7: name: 'a b'"), "%s",
           e.text);
    EXPECT(!parse("name: ../x", NULL, &e), "%s", "no folders");
}

static void extends(void)
{
    err e;
    write_file("root.yaml", "name: root\ndescription: of root\nmodel: {width: 8, context: 16}\n"
                            "train: {batch: 2, budget: {steps: 3}}\n");
    write_file("base.yaml", "extends: root.yaml\nmodel: {context: 32, blocks: [1, 2]}\n");
    write_file("more.yaml", "optimizer: {lr: 1}\nmodel: {width: 9}\n");
    const char *path =
        write_file("leaf.yaml", "extends: [base.yaml, more.yaml]\nmodel: {blocks: [3]}\n");
    spec *s = spec_load(path, NULL, &e);
    EXPECT(s, "%s", e.text);
    is_json(s, "{\"model\":{\"blocks\":[3],\"context\":32,\"width\":9},\"optimizer\":{\"lr\":1},"
               "\"train\":{\"batch\":2,\"budget\":{\"steps\":3}}}");
    EXPECT(strcmp(s->name, "leaf") == 0 && !*s->description, "not inherited: %s", s->name);
    const node *width = node_at(s->root, "model.width");
    EXPECT(strstr(width->file, "more.yaml") && width->line == 2, "%s:%d", width->file, width->line);
    EXPECT(strncmp(s->text, "extends", 7) == 0, "%s", s->text);
    spec_free(s);
}

static void extends_badly(void)
{
    err e;
    write_file("a.yaml", "extends: b.yaml\n");
    write_file("b.yaml", "model: {}\nextends: ./a.yaml\n");
    const char *path = write_file("c.yaml", "extends: a.yaml\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "b.yaml:2:10: ") &&
               strstr(e.text, "circle"),
           "%s", e.text);
    path = write_file("d.yaml", "extends: none.yaml\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "d.yaml:1:10: ") &&
               strstr(e.text, "no file"),
           "%s", e.text);
    const char *const no_files[] = {"/tmp", "/dev/zero"};
    for (int i = 0; i < 2; i++) {
        char text[64];
        snprintf(text, sizeof text, "model: {}\nextends: %s\n", no_files[i]);
        path = write_file("n.yaml", text);
        EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "n.yaml:2:10: ") &&
                   strstr(e.text, no_files[i]),
               "%s", e.text);
    }
    write_file("bad.yaml", "model: {x: 1,\n");
    path = write_file("e.yaml", "extends: bad.yaml\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "bad.yaml:2:1"), "%s", e.text);
    write_file("typo.yaml", "modell: {x: 1}\n");
    path = write_file("f.yaml", "extends: typo.yaml\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "typo.yaml:1:1: unknown key 'modell' (did "
                                                        "you mean 'model'?)"),
           "%s", e.text);
    EXPECT(!spec_load("/nonexistent/x.yaml", NULL, &e) && strstr(e.text, "/nonexistent/x.yaml"),
           "%s", e.text);
}

/* No chain is longer than it may be, and yet there are more files to read than there is time; or
 * more values in them than memory is for. */
static void extends_without_end(void)
{
    char name[16], text[200];
    err e;
    for (int i = 0; i < 12; i++) {
        int n = snprintf(text, sizeof text, "extends: [f%d.yaml", i + 1);
        for (int k = 0; k < 9; k++) {
            n += snprintf(text + n, sizeof text - (size_t)n, ", f%d.yaml", i + 1);
        }
        snprintf(text + n, sizeof text - (size_t)n, "]\n");
        snprintf(name, sizeof name, "f%d.yaml", i);
        write_file(name, text);
    }
    write_file("f12.yaml", "model: {width: 8}\n");
    const char *path = write_file("first.yaml", "extends: f0.yaml\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, ".yaml:1:") &&
               strstr(e.text, "more than 100 files"),
           "%s", e.text);
    write_file("half.yaml", "data: {a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],\n"
                            "  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a],\n"
                            "  c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b],\n"
                            "  d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c],\n"
                            "  e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d], f: [*e, *e, *e]}\n");
    path = write_file("whole.yaml", "extends: [half.yaml, half.yaml, half.yaml, half.yaml]\n");
    EXPECT(!spec_load(path, NULL, &e) && strstr(e.text, "whole.yaml:1:33") &&
               strstr(e.text, "more than 1,000,000 values"),
           "%s", e.text);
}

static void sets(void)
{
    err e;
    const char *const good[] = {"optimizer.lr=1e-3",
                                "model.blocks[0].ffn.hidden=64",
                                "sweep.seeds=[4]",
                                "data={corpus: kjv}",
                                "name=new",
                                "sweep.grid.\"train.batch\"=[1, 2]",
                                NULL};
    spec *s = parse("model: {blocks: [{ffn: {hidden: 8}}]}\noptimizer: {lr: 5}\n", good, &e);
    EXPECT(s, "%s", e.text);
    is_json(s, "{\"data\":{\"corpus\":\"kjv\"},\"model\":{\"blocks\":[{\"ffn\":{\"hidden\":64}}]},"
               "\"optimizer\":{\"lr\":0.001},"
               "\"sweep\":{\"grid\":{\"train.batch\":[1,2]},\"seeds\":[4]}}");
    EXPECT(strcmp(s->name, "new") == 0, "%s", s->name);
    err place;
    node_err(&place, node_at(s->root, "optimizer.lr"), "bad");
    EXPECT(strcmp(place.text, "--set optimizer.lr=1e-3: optimizer.lr: bad") == 0, "%s", place.text);
    spec_free(s);
    static const struct {
        const char *set, *words;
    } cases[] = {
        {"lr", "--set lr: expected PATH=VALUE"},
        {"=1", "expected PATH=VALUE"},
        {"a..b=1", "no path"},
        {"model.blocks[3].ffn=1", "out of range"},
        {"modle.width=1", "--set modle.width=1: unknown key 'modle' (did you mean 'model'?)"},
        {"model=3", "--set model=3: model: expected a map"},
        {"extends=x.yaml", "only a file can extend"},
        {"model.x=[1", "--set model.x=[1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const one[] = {cases[i].set, NULL};
        s = parse("model: {blocks: []}", one, &e);
        EXPECT(!s && strstr(e.text, cases[i].words), "%s: %s", cases[i].set, e.text);
        spec_free(s);
    }
}

static void refuses(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"optimiser: {}",
         "dir/probe.yaml:1:1: unknown key 'optimiser' (did you mean 'optimizer'?)"},
        {"model: [1]", "dir/probe.yaml:1:8: model: expected a map of options"},
        {"sweep: 3", "dir/probe.yaml:1:8: sweep: expected a map or a list of maps"},
        {"- 1", "dir/probe.yaml:1:1: a spec is a map of sections (data, model, optimizer, ...)"},
        {"", "dir/probe.yaml:1:1: a spec is a map of sections (data, model, optimizer, ...)"},
        {"name: [1]", "dir/probe.yaml:1:7: name: expected a text"},
        {"model: {}\nmodel: {}",
         "dir/probe.yaml:2:1: duplicate key 'model' (first in line 1); keep "
         "one"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e;
        spec *s = parse(cases[i].text, NULL, &e);
        EXPECT(!s && strcmp(e.text, cases[i].message) == 0, "'%s': %s", cases[i].text, e.text);
        spec_free(s);
    }
}

/* Every section and every key that the reader knows is explained. */
/* What resolved specs, and so what verbs print of them, call a layer, names it in any spec. */
static void paths_into_blocks(void)
{
    static const char keys[] = "model: {blocks: [{repeat: 2, attention: {heads: 2}, ffn: {hidden: "
                               "8}}]}",
                      list[] = "model: {blocks: [{layers: [{attention: {heads: 2}}, {ffn: {hidden: "
                               "8}}, {attention: {heads: 2}}]}]}";
    static const struct {
        const char *text, *set, *path, *words; /* path: where the value 4 then is */
    } cases[] = {
        {keys, "model.blocks[0].layers[1].ffn.hidden=4", "model.blocks[0].ffn.hidden", NULL},
        {keys, "model.blocks[0].layers[0].attention.heads=4", "model.blocks[0].attention.heads",
         NULL},
        {keys, "model.blocks[0].layers[0].ffn.hidden=4", NULL,
         "layer 0 of model.blocks[0] is 'attention', not 'ffn'"},
        {keys, "model.blocks[0].layers[2].ffn.hidden=4", NULL, "has 2 layers; index 2 is out of"},
        {list, "model.blocks[0].ffn.hidden=4", "model.blocks[0].layers[1].ffn.hidden", NULL},
        {list, "model.blocks[0].layers[2].attention.heads=4",
         "model.blocks[0].layers[2].attention.heads", NULL},
        {list, "model.blocks[0].attention.heads=4", NULL,
         "several layers 'attention'; name one by its number, such as "
         "model.blocks[0].layers[2].attention.heads"},
        {list, "model.blocks[0].lstm.hidden=4", NULL, "has no layer 'lstm'"},
        {list, "model.blocks[0].repeat=4", "model.blocks[0].repeat", NULL},
        {keys, "model.blocks.0.ffn.hidden=4", NULL, "its entries are model.blocks[0]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        const char *const one[] = {cases[i].set, NULL};
        spec *s = parse(cases[i].text, one, &e);
        const node *at = s && cases[i].path ? node_at(s->root, cases[i].path) : NULL;
        EXPECT(cases[i].path ? at && strcmp(at->text, "4") == 0
                             : !s && strstr(e.text, cases[i].words),
               "%s: %s", cases[i].set, e.text);
        spec_free(s);
    }
}

static void help(void)
{
    static const char *const words[] = {"extends", "\nmodel:",     "optimizer:", "schedule:",
                                        "train:",  "eval:",        "sweep:",     "corpus: kjv",
                                        "exclude", "weight_decay", "budget",     "blocks"};
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    spec_help(out);
    fclose(out);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        EXPECT(strstr(text, words[i]), "'%s' is missing", words[i]);
    }
    free(text);
}

const test_suite test_spec = {"harness/spec",
                              {{"names", names},
                               {"extends", extends},
                               {"extends badly", extends_badly},
                               {"extends without end", extends_without_end},
                               {"sets", sets},
                               {"paths_into_blocks", paths_into_blocks},
                               {"refuses", refuses},
                               {"help", help},
                               {0}}};
