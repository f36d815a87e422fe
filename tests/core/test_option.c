#include "core/options/option.h"
#include "tests/test.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct sample {
    int64_t heads;
    double rate;
    bool bias;
    int64_t kind;
    const char *path;
    int64_t limit;
    const node *groups;
    int64_t threads;
} sample;

static const option SAMPLE[] = {
    {"heads", OPTION_INT, offsetof(sample, heads), .min = 1, .max = 64, .help = "heads"},
    {"rate", OPTION_REAL, offsetof(sample, rate), .initial = "1e-3", .min = 0, .max = 1e300,
     .help = "rate"},
    {"bias", OPTION_BOOL, offsetof(sample, bias), .initial = "true", .help = "bias"},
    {"kind", OPTION_CHOICE, offsetof(sample, kind), .initial = "none", .choices = "none|gelu|relu",
     .help = "kind"},
    {"path", OPTION_TEXT, offsetof(sample, path), .initial = "null", .nullable = true,
     .help = "path"},
    {"limit", OPTION_INT, offsetof(sample, limit), .initial = "none", .nullable = true,
     .help = "limit"},
    {"groups", OPTION_NODE, offsetof(sample, groups), .help = "groups"},
    {"threads", OPTION_INT, offsetof(sample, threads), .initial = "1", .incidental = true,
     .help = "threads"},
    {0}};

static node *parse(arena *a, const char *text)
{
    err e;
    node *n = node_parse(a, text, strlen(text), "t.yaml", &e);
    EXPECT(n, "%s", e.text);
    return n;
}

static void numbers(void)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-5", -5},
                {"+7", 7},
                {"010", 10},
                {"1_000", 1000},
                {"1e6", 1000000},
                {"2M", 2000000},
                {"4k", 4000},
                {"1.5k", 1500},
                {"0x10", 16},
                {"0o10", 8},
                {"3G", 3000000000},
                {"2.5e3", 2500},
                {"9007199254740993", 9007199254740993},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {
        "",     "k",      "1.5", "1e-3", "x",    "1__0", "_1",  "1_",     "1 ",
        "2m",   "1e99",   "0x",  ".inf", ".nan", "-",    "1kk", "1e-400", "99999999999999999999",
        "0x1k", "0x1_0G", "0o1M"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 77;
        EXPECT(option_text_to_int(good[i].text, &v) && v == good[i].value, "%s gives %lld",
               good[i].text, (long long)v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v;
        EXPECT(!option_text_to_int(bad[i], &v), "'%s' gives %lld", bad[i], (long long)v);
    }
    double x;
    EXPECT(option_text_to_real("1e-3", &x) && x == 1e-3, "%g", x);
    EXPECT(option_text_to_real("1.5M", &x) && x == 1.5e6, "%g", x);
    EXPECT(!option_text_to_real(".inf", &x) && !option_text_to_real("1e999", &x), "%s",
           "finite only");
    EXPECT(!option_text_to_real("1e-400", &x) && option_text_to_real("0e-400", &x) && x == 0 &&
               option_text_to_real("-0.00", &x) && option_text_to_real("0x0", &x),
           "what is written as 0 alone is 0");
}

/* Whatever is read as a number from a tree: quotes make a text of what YAML takes for one. */
static void numbers_without_quotes(void)
{
    static const struct {
        const char *text;
        bool is;
    } cases[] = {{"3", true},    {"\"3\"", false},    {"'0x10'", false}, {"2M", true},
                 {"'2M'", true}, {"\"1_000\"", true}, {"[3]", false},    {"null", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        const node *n = parse(a, cases[i].text);
        int64_t whole;
        double number;
        EXPECT(option_node_to_int(n, &whole) == cases[i].is &&
                   option_node_to_real(n, &number) == cases[i].is,
               "%s", cases[i].text);
        arena_free(a);
    }
}

static void reads_and_defaults(void)
{
    arena *a = arena_new(0);
    err e;
    sample s;
    bool good = options_read(&s, SAMPLE, parse(a, "{heads: 4, kind: gelu, path: x/y, groups: [1]}"),
                             NULL, a, &e);
    EXPECT(good, "%s", e.text);
    EXPECT(s.heads == 4 && s.rate == 1e-3 && s.bias && s.kind == 1 && s.limit == -1, "%lld %g",
           (long long)s.heads, s.rate);
    EXPECT(strcmp(s.path, "x/y") == 0 && s.groups->count == 1, "%s", s.path);
    static const char *const more[] = {"extra", NULL};
    EXPECT(options_read(&s, SAMPLE, parse(a, "{heads: 1, extra: {a: 1}, limit: 3, path: ~}"), more,
                        a, &e),
           "%s", e.text);
    EXPECT(s.limit == 3 && !s.path && !s.groups, "%lld", (long long)s.limit);
    arena_free(a);
}

static void refuses(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{head: 4}", "t.yaml:1:2: unknown key 'head' (did you mean 'heads'?)"},
        {"{heads:4}", "t.yaml:1:2: unknown key 'heads:4'; write 'heads: 4', with a space"},
        {"{heads: 4,\n  reta: 1}", "t.yaml:2:3: unknown key 'reta' (did you mean 'rate'?)"},
        {"{heads: 4, zzzzzz: 1}",
         "t.yaml:1:12: unknown key 'zzzzzz'; known: heads, rate, bias, kind, "
         "path, limit, groups, threads"},
        {"{rate: 1}", "t.yaml:1:1: missing key 'heads' (a whole number: heads)"},
        {"{heads: 65}", "t.yaml:1:9: heads: 65 is out of range; it must be 1 to 64"},
        {"{heads: 1, rate: -1}", "t.yaml:1:18: rate: -1 is out of range; it must be at least 0"},
        {"{heads: four}", "t.yaml:1:9: heads: expected a whole number, got 'four'"},
        {"{heads: 4K}",
         "t.yaml:1:9: heads: expected a whole number, got '4K' (did you mean '4k'?)"},
        {"{heads: 4m}",
         "t.yaml:1:9: heads: expected a whole number, got '4m' (did you mean '4M'?)"},
        {"{heads: 1.5}", "t.yaml:1:9: heads: expected a whole number, got '1.5'"},
        {"{heads: \"4\"}",
         "t.yaml:1:9: heads: expected a whole number, got '4' (what is in quotes is a text)"},
        {"{heads: [1]}", "t.yaml:1:9: heads: expected a whole number, got a list"},
        {"{heads: ~}", "t.yaml:1:9: heads: expected a whole number, got null"},
        {"{heads: 1, bias: yes}",
         "t.yaml:1:18: bias: expected true or false, got 'yes' (in YAML 1.2, "
         "yes, no, on and off are texts)"},
        {"{heads: 1, bias: 1}", "t.yaml:1:18: bias: expected true or false, got '1'"},
        {"{heads: 1, kind: gulu}",
         "t.yaml:1:18: kind: 'gulu' is none of none|gelu|relu (did you mean "
         "'gelu'?)"},
        {"{heads: 1, path: {a: 1}}", "t.yaml:1:18: path: expected a text, got a map"},
        {"[1]", "t.yaml:1:1: expected a map of options, got a list"},
        {"5", "t.yaml:1:1: expected a map of options, got 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e = {0};
        sample s;
        bool read = options_read(&s, SAMPLE, parse(a, cases[i].text), NULL, a, &e);
        EXPECT(!read && strcmp(e.text, cases[i].message) == 0, "%s: '%s', expected '%s'",
               cases[i].text, e.text, cases[i].message);
        arena_free(a);
    }
}

static void resolved_and_changed(void)
{
    arena *a = arena_new(0);
    err e;
    sample s, t;
    node *n =
        parse(a, "{heads: 4, rate: 0.001, kind: relu, threads: 8, limit: 5, groups: {b: 2, a: 1}}");
    EXPECT(options_read(&s, SAMPLE, n, NULL, a, &e), "%s", e.text);
    const char *all = node_json(a, options_node(a, &s, SAMPLE), false);
    EXPECT(strcmp(all, "{\"heads\":4,\"rate\":0.001,\"bias\":true,\"kind\":\"relu\",\"path\":null,"
                       "\"limit\":5,\"groups\":{\"b\":2,\"a\":1},\"threads\":8}") == 0,
           "%s", all);
    const char *changed = node_json(a, options_changed(a, &s, SAMPLE), true);
    EXPECT(strcmp(changed, "{\"groups\":{\"a\":1,\"b\":2},\"heads\":4,\"kind\":\"relu\","
                           "\"limit\":5}") == 0,
           "%s", changed);
    /* The resolved form reads back as the same, through YAML and JSON. */
    EXPECT(options_read(&t, SAMPLE, parse(a, all), NULL, a, &e), "%s", e.text);
    EXPECT(strcmp(node_json(a, options_node(a, &t, SAMPLE), false), all) == 0, "%s", "JSON");
    const char *yaml = node_yaml(a, options_node(a, &s, SAMPLE));
    EXPECT(options_read(&t, SAMPLE, parse(a, yaml), NULL, a, &e), "%s", e.text);
    EXPECT(strcmp(node_json(a, options_node(a, &t, SAMPLE), false), all) == 0, "%s", yaml);
    arena_free(a);
}

static void nearest(void)
{
    static const char *const known[] = {"experts", "heads", "head_dim", "kv_heads", "window"};
    static const struct {
        const char *name, *near;
    } cases[] = {
        {"expert", "experts"}, {"Heads", "heads"}, {"haeds", "heads"}, {"kvheads", "kv_heads"},
        {"widnow", "window"},  {"memory", NULL},   {"x", NULL},        {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = option_nearest(cases[i].name, 5, known);
        bool right =
            near && cases[i].near ? strcmp(near, cases[i].near) == 0 : near == cases[i].near;
        EXPECT(right, "'%s' gives '%s'", cases[i].name, near ? near : "none");
    }
}

static void prints(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_print(out, SAMPLE, INT_MAX);
    fclose(out);
    EXPECT(strstr(text, "heads") && strstr(text, "required") && strstr(text, "(1 to 64)") &&
               strstr(text, "none|gelu|relu") && strstr(text, "(at least 0)"),
           "%s", text);
    free(text);
}

static void single_values(void)
{
    arena *a = arena_new(0);
    err e;
    sample s;
    EXPECT(option_read_text(&s, &SAMPLE[0], "12", a, &e) && s.heads == 12, "%s", e.text);
    EXPECT(!option_read_text(&s, &SAMPLE[0], "0", a, &e), "%s", "in range");
    EXPECT(strcmp(e.text, "heads: 0 is out of range; it must be 1 to 64") == 0, "%s", e.text);
    EXPECT(option_read_text(&s, &SAMPLE[6], "[1, {a: 2}]", a, &e) && s.groups->count == 2, "%s",
           e.text);
    arena_free(a);
}

/* ---- what needs others ---- */

typedef struct needy {
    int64_t kind, size;
    double rate, bound;
    bool fast;
    const node *list;
} needy;

static const option NEEDY[] = {
    {"kind", OPTION_CHOICE, offsetof(needy, kind), .initial = "a", .choices = "a|b|c"},
    {"size", OPTION_INT, offsetof(needy, size), .initial = "none", .max = 9, .nullable = true,
     .needs = "kind=b|c"},
    {"rate", OPTION_REAL, offsetof(needy, rate), .initial = "1", .max = 9,
     .needs = "size>2 or kind=a and fast"},
    {"bound", OPTION_REAL, offsetof(needy, bound), .initial = "1", .max = 9, .needs = "rate>bound"},
    {"fast", OPTION_BOOL, offsetof(needy, fast), .initial = "false", .needs = "list"},
    {"list", OPTION_NODE, offsetof(needy, list), .initial = NULL},
    {0}};

/* What nothing would look at is refused at its place, unless it says what the default is. */
static void needs(void)
{
    const char *const cases[][2] = {
        {"{size: 3}", "t.yaml:1:8: size: has no effect with `kind: a`; it needs kind: b or c"},
        {"{size: 3, kind: c}", ""},
        {"{size: none}", ""},
        {"{kind: b, size: 2, rate: 3}", "t.yaml:1:26: rate: has no effect with `size: 2`; it needs "
                                        "size above 2 or kind: a and fast"},
        {"{kind: b, size: 3, rate: 3}", ""},
        {"{rate: 3}", "t.yaml:1:8: rate: has no effect with `size: none`"},
        {"{rate: 3, fast: true, list: [1]}", ""},
        {"{fast: true}", "t.yaml:1:8: fast: has no effect with `list: none`; it needs list"},
        {"{bound: 0.5}", ""},
        {"{bound: 2}",
         "t.yaml:1:9: bound: has no effect with `rate: 1`; it needs rate above bound"}};
    arena *a = arena_new(4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        needy n;
        err e = {0};
        bool read = options_read(&n, NEEDY, parse(a, cases[i][0]), NULL, a, &e);
        EXPECT(read == !*cases[i][1], "%s: %s", cases[i][0], e.text);
        EXPECT(strncmp(e.text, cases[i][1], strlen(cases[i][1])) == 0, "%s: %s", cases[i][0],
               e.text);
        if (!read) continue;
        const char *all = node_json(a, options_node(a, &n, NEEDY), false);
        EXPECT(options_read(&n, NEEDY, parse(a, all), NULL, a, &e), "%s: %s", all, e.text);
    }
    arena_free(a);
}

const test_suite test_option = {"core/option",
                                {{"numbers", numbers},
                                 {"numbers without quotes", numbers_without_quotes},
                                 {"reads and defaults", reads_and_defaults},
                                 {"refuses", refuses},
                                 {"resolved and changed", resolved_and_changed},
                                 {"nearest", nearest},
                                 {"prints", prints},
                                 {"single values", single_values},
                                 {"needs", needs},
                                 {0}}};
