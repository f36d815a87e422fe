#include "core/options/node.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static node *parse(arena *a, const char *text, err *e)
{
    e->text[0] = 0;
    return node_parse(a, text, strlen(text), "t.yaml", e);
}

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void places_and_paths(void)
{
    arena *a = arena_new(0);
    err e;
    node *n = parse(a, "a: 1\nb:\n  - x: {y: [1, 2]}\n  - 'q'\n", &e);
    EXPECT(n, "%s", e.text);
    node *y = node_at(n, "b[0].x.y[1]");
    EXPECT(y && strcmp(y->text, "2") == 0, "%s", y ? y->text : "none");
    EXPECT(y->line == 3 && y->column == 16, "%d:%d", y->line, y->column);
    EXPECT(strcmp(y->path, "b[0].x.y[1]") == 0, "%s", y->path);
    EXPECT(!node_at(n, "b[2]") && !node_at(n, "b.x") && !node_at(n, "a.b") && !node_at(n, "b[0"),
           "%s", "wrong paths lead nowhere");
    EXPECT(node_at(n, "") == n, "%s", "the root");
    node *q = node_at(n, "b[1]");
    node_err(&e, q, "bad %d", 7);
    EXPECT(strcmp(e.text, "t.yaml:4:5: b[1]: bad 7") == 0, "%s", e.text);
    err why = {.text = "a disk", .outside = true};
    EXPECT(!node_err_of(&e, q, &why) && e.outside &&
               strcmp(e.text, "t.yaml:4:5: b[1]: a disk") == 0,
           "%s", e.text);
    arena_free(a);
}

/* Each text is refused, at that place and with these words. */
static void refuses(void)
{
    static const struct {
        const char *text, *place, *words;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "t.yaml:3:1:", "duplicate key 'a' (first in line 1)"},
        {"{x: 1, \"x\": 2}", "t.yaml:1:8:", "duplicate key 'x'"},
        {"a: &a [*a]", "t.yaml:1:8:", "a cycle"},
        {"a: &a {b: {c: *a}}", "t.yaml:1:15:", "a cycle"},
        {"a: *b", "t.yaml:1:4:", "unknown alias"},
        {"a: !!str 5", "t.yaml:1:4:", "tags"},
        {"a: !mine {b: 1}", "t.yaml:1:4:", "tags"},
        {"? [1, 2]\n: 3\n", "t.yaml:1:3:", "a key must be"},
        {"a: [1, 2", "t.yaml:", "line 1"},
        {"a:\n\t- b\n", "t.yaml:2:1:", "spaces, not tabs"},
        {"g: {a.b[0].c: 1}", "t.yaml:1:8:", "a key that has brackets stands in quotes"},
        {"a: 1\n---\nb: 2\n", "t.yaml:2:1:", "second document"},
        {"a: \"x\\0y\"", "t.yaml:1:4:", "NUL"},
        {"b: 1\n<<: 5\n", "t.yaml:2:5:", "'<<' takes a map"},
        {"<<: [[{a: 1}]]", "t.yaml:1:6:", "'<<' takes maps"},
        {"<<: {a: 1}\n<<: {b: 1}\n", "t.yaml:2:1:", "a second '<<'"},
        {"a: \xff\xfe\x41", "t.yaml:", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e;
        EXPECT(!parse(a, cases[i].text, &e), "case %zu is accepted: %s", i, cases[i].text);
        bool right = strncmp(e.text, cases[i].place, strlen(cases[i].place)) == 0 &&
                     contains(e.text, cases[i].words);
        EXPECT(right, "case %zu: %s", i, e.text);
        arena_free(a);
    }
}

static void limits(void)
{
    arena *a = arena_new(0);
    err e;
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    EXPECT(!node_parse(a, deep, 400, "t", &e) && contains(e.text, "64 deep"), "%s", e.text);
    EXPECT(node_parse(a, deep + 140, 120, "t", &e), "60 deep: %s", e.text);
    /* Nine aliases of nine aliases ... : 9^8 values from 400 bytes. */
    const char *laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                         "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                         "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    EXPECT(!parse(a, laughs, &e) && contains(e.text, "1,000,000"), "%s", e.text);
    char key[300];
    memset(key, 'k', sizeof key);
    memcpy(key + 250, ": 1", 4);
    EXPECT(!parse(a, key, &e) && contains(e.text, "200 bytes"), "%s", e.text);
    arena_free(a);
}

static void aliases_are_copies(void)
{
    arena *a = arena_new(0);
    err e;
    node *n = parse(a, "base: &b {x: 1, y: [2]}\nother: *b\nthird: *b\n", &e);
    EXPECT(n, "%s", e.text);
    EXPECT(node_put(a, n, "other.y[0]", node_scalar(a, "5", true), &e), "%s", e.text);
    EXPECT(strcmp(node_at(n, "base.y[0]")->text, "2") == 0, "%s", node_at(n, "base.y[0]")->text);
    EXPECT(strcmp(node_at(n, "third.y[0]")->text, "2") == 0, "%s", "third");
    EXPECT(strcmp(node_at(n, "third.y")->path, "third.y") == 0, "%s", node_at(n, "third.y")->path);
    EXPECT(node_at(n, "third.x")->line == 1, "places stay with the anchor: %d",
           node_at(n, "third.x")->line);
    arena_free(a);
}

static void merges(void)
{
    arena *a = arena_new(0);
    err e;
    node *n = parse(a,
                    "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
                    "one: {<<: *a, y: 9}\nboth: {w: 0, <<: [*a, *b]}\n\"<<\": quoted\n",
                    &e);
    EXPECT(n, "%s", e.text);
    EXPECT(strcmp(node_json(a, node_get(n, "one"), true), "{\"x\":1,\"y\":9}") == 0, "%s",
           node_json(a, node_get(n, "one"), true));
    EXPECT(strcmp(node_json(a, node_get(n, "both"), false), "{\"w\":0,\"x\":1,\"y\":1,\"z\":2}") ==
               0,
           "%s", node_json(a, node_get(n, "both"), false));
    EXPECT(node_get(n, "<<"), "%s", "in quotes it is a key like others");
    arena_free(a);
}

/* The core schema: what is null, a boolean, a number, a text. */
static void typing(void)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"~", "null"},        {"Null", "null"},   {"", "null"},
        {"True", "true"},     {"FALSE", "false"}, {"yes", "\"yes\""},
        {"on", "\"on\""},     {"010", "10"},      {"0o17", "15"},
        {"0x1F", "31"},       {"1e-3", "0.001"},  {"1_000", "\"1_000\""},
        {"2M", "\"2M\""},     {".5", "0.5"},      {"5.", "5"},
        {"-0x1", "\"-0x1\""}, {"+12", "12"},      {".inf", "null"},
        {".NaN", "null"},     {"1e", "\"1e\""},   {".", "\".\""},
        {"tRue", "\"tRue\""}, {"1.5e+3", "1500"}, {"9007199254740993", "9007199254740993"},
    };
    arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *json = node_json(a, node_scalar(a, cases[i].text, true), true);
        EXPECT(strcmp(json, cases[i].json) == 0, "'%s' is %s", cases[i].text, json);
        const node *quoted = node_scalar(a, cases[i].text, false);
        EXPECT(node_json(a, quoted, true)[0] == '"', "'%s' in quotes is a text", cases[i].text);
    }
    EXPECT(node_equal(node_scalar(a, "1e-3", true), node_scalar(a, "0.001", true)), "%s", "equal");
    EXPECT(!node_equal(node_scalar(a, "1", true), node_scalar(a, "1", false)), "%s", "text");
    EXPECT(node_equal(node_scalar(a, "x", true), node_scalar(a, "x", false)), "%s", "same text");
    arena_free(a);
}

static void puts_values(void)
{
    arena *a = arena_new(0);
    err e;
    node *n = parse(a, "m: {blocks: [{f: 1}]}\ns: 3\n", &e);
    EXPECT(node_put(a, n, "m.blocks[1].g.h", node_scalar(a, "5", true), &e), "%s", e.text);
    EXPECT(node_put(a, n, "new.\"a.b\"[0]", node_scalar(a, "6", true), &e), "%s", e.text);
    const char *want =
        "{\"m\":{\"blocks\":[{\"f\":1},{\"g\":{\"h\":5}}]},\"new\":{\"a.b\":[6]},\"s\":3}";
    EXPECT(strcmp(node_json(a, n, true), want) == 0, "%s", node_json(a, n, true));
    const node *six = node_at(n, "new.\"a.b\"[0]");
    EXPECT(six && strcmp(six->path, "new.\"a.b\"[0]") == 0, "%s", six ? six->path : "none");
    static const struct {
        const char *path, *words;
    } cases[] = {{"m.blocks[5]", "out of range"},
                 {"m.blocks[5].x", "out of range"},
                 {"m.blocks.x", "is a list"},
                 {"s.x", "not a map"},
                 {"m[0]", "not a list"},
                 {"", "no path"},
                 {"m..x", "no path"},
                 {".m", "no path"},
                 {"m.blocks[x]", "no path"},
                 {"m.blocks[0", "no path"},
                 {"m.\"x", "no path"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool put = node_put(a, n, cases[i].path, node_scalar(a, "1", true), &e);
        EXPECT(!put && contains(e.text, cases[i].words), "%s: %s", cases[i].path, e.text);
    }
    /* A word of the command line may be long enough for a tree that recursion cannot walk. */
    enum { LONG = 100000 };
    char *path = malloc(LONG);
    for (int i = 0; i < LONG; i++) {
        path[i] = "a."[i % 2];
    }
    path[LONG - 1] = 0;
    EXPECT(!node_put(a, n, path, node_scalar(a, "6", true), &e) && contains(e.text, "64 deep"),
           "%s", e.text);
    free(path);
    arena_free(a);
}

/* a.a.a: so many keys. */
static const char *deep_path(arena *a, int keys)
{
    char *path = arena_push(a, 2 * keys, 1);
    for (int i = 0; i < 2 * keys; i++) {
        path[i] = "a."[i % 2];
    }
    path[2 * keys - 1] = 0;
    return path;
}

/* Whatever it is put together from, a tree is one that the parser would read. */
static void trees_have_one_depth(void)
{
    static const struct {
        int keys, lists; /* of the path; around the value */
        bool fits;
    } cases[] = {{63, 0, true},   {64, 0, false}, {40, 23, true},
                 {40, 24, false}, {1, 62, true},  {1, 63, false}};
    arena *a = arena_new(0);
    err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        node *root = node_map(a), *value = node_scalar(a, "1", true);
        for (int k = 0; k < cases[i].lists; k++) {
            node *list = node_list(a);
            node_append(a, list, value);
            value = list;
        }
        bool put = node_put(a, root, deep_path(a, cases[i].keys), value, &e);
        EXPECT(put == cases[i].fits && (put || contains(e.text, "64 deep")), "case %zu", i);
        node *again = put ? parse(a, node_yaml(a, root), &e) : NULL;
        EXPECT(!put || (again && node_equal(root, again)), "case %zu: %s", i, e.text);
    }
    /* The root, lists, and the three that the alias stands for. */
    char text[400];
    for (int lists = 60; lists < 62; lists++) {
        int n = sprintf(text, "{a: &x [[1]], b: ");
        memset(text + n, '[', (size_t)lists);
        n += lists;
        n += sprintf(text + n, "*x");
        memset(text + n, ']', (size_t)lists);
        sprintf(text + n + lists, "}");
        EXPECT(!parse(a, text, &e) == (lists > 60), "%d: %s", lists, e.text);
    }
    arena_free(a);
}

static void prints_what_it_reads(void)
{
    static const char *const texts[] = {
        "a: [1, two, 'three', ~, true, 'true', \"1\", '']\n",
        "a: {}\nb: []\nc: [[], {}, [[1], {x: [2]}]]\n",
        "t: \"line\\nbreak \\t \\\\ \\\" \\x7f \\u2028 \\ufeff \xc3\xa9 \xf0\x9f\x98\x80\"\n",
        "\"odd: key\": 1\n'': 2\n\"# no comment\": 3\n'<<': 4\n'1': 5\n",
        "d: --- \ne: -1\nf: '- x'\ng: ...\nh: '.5'\ni: 'a #b'\nj: 'a: b'\nk: ' x '\n",
        "- - 1\n  - - 2\n- a: 1\n  b:\n    - c\n",
        "just text",
        "~",
        "x: 2M\ny: 1_000\nz: a  b\n",
    };
    arena *a = arena_new(0);
    err e;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        node *n = parse(a, texts[i], &e);
        EXPECT(n, "case %zu: %s", i, e.text);
        if (!n) continue;
        const char *yaml = node_yaml(a, n), *json = node_json(a, n, false);
        node *from_yaml = parse(a, yaml, &e);
        EXPECT(from_yaml && node_equal(n, from_yaml), "case %zu: %s\n%s", i, yaml, e.text);
        node *from_json = parse(a, json, &e);
        EXPECT(from_json && node_equal(n, from_json), "case %zu: %s\n%s", i, json, e.text);
        if (from_yaml) EXPECT(strcmp(yaml, node_yaml(a, from_yaml)) == 0, "case %zu: %s", i, yaml);
    }
    node *n = parse(a, "b: 1\na: {d: 2, c: 3}\n", &e);
    EXPECT(strcmp(node_json(a, n, true), "{\"a\":{\"c\":3,\"d\":2},\"b\":1}") == 0, "%s",
           node_json(a, n, true));
    EXPECT(strcmp(node_yaml(a, n), "b: 1\na:\n  d: 2\n  c: 3\n") == 0, "%s", node_yaml(a, n));
    arena_free(a);
}

const test_suite test_node = {"core/node",
                              {{"places and paths", places_and_paths},
                               {"refuses", refuses},
                               {"limits", limits},
                               {"aliases are copies", aliases_are_copies},
                               {"merges", merges},
                               {"typing", typing},
                               {"puts values", puts_values},
                               {"trees_have_one_depth", trees_have_one_depth},
                               {"prints what it reads", prints_what_it_reads},
                               {0}}};
