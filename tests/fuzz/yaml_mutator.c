#include "tests/fuzz/yaml_mutator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What people and programs write that is hardly meant. */
static const char *const CURIOUS[] = {"0",
                                      "-1",
                                      "1",
                                      "2",
                                      "64",
                                      "1e9",
                                      "-0.0",
                                      "1e400",
                                      ".nan",
                                      ".inf",
                                      "null",
                                      "~",
                                      "true",
                                      "no",
                                      "2M",
                                      "1/0",
                                      "0x10",
                                      "1_000",
                                      "",
                                      " ",
                                      "a b",
                                      "..",
                                      "/",
                                      "*",
                                      "\n",
                                      "\t",
                                      "[]",
                                      "{}",
                                      "#",
                                      "'",
                                      "\"",
                                      "%s",
                                      "\xc3",
                                      "\xe2\x80\xae",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "18446744073709551616",
                                      "1e-320",
                                      "5%",
                                      "{variant: 1}"};
enum { CURIOUS_COUNT = sizeof CURIOUS / sizeof *CURIOUS, MAX_NODES = 4096 };

typedef struct mutation {
    arena *memory;
    unsigned seed;
    node *all[MAX_NODES];
    int count;
    const yaml_words *words;
} mutation;

static int pick(mutation *m, int n)
{
    return n > 0 ? rand_r(&m->seed) % n : 0;
}

static void collect_nodes(mutation *m, node *n)
{
    if (m->count == MAX_NODES) return;
    m->all[m->count++] = n;
    for (int i = 0; i < n->count; i++) {
        collect_nodes(m, n->items[i]);
    }
}

static const char *some_word(mutation *m)
{
    return m->words->count ? m->words->list[pick(m, m->words->count)] : "x";
}

static node *some_scalar(mutation *m)
{
    bool plain = pick(m, 4) != 0;
    const char *text = pick(m, 2) ? CURIOUS[pick(m, CURIOUS_COUNT)] : some_word(m);
    return node_scalar(m->memory, text, plain);
}

static node *some_node(mutation *m)
{
    return node_copy(m->memory, m->all[pick(m, m->count)]);
}

static void change_number(mutation *m, node *n)
{
    static const double BY[] = {0, -1, 0.5, 2, 10, 1e6};
    double value;
    char text[40];
    if (n->kind != NODE_SCALAR || !node_to_number(n, &value)) return;
    snprintf(text, sizeof text, "%.12g", value * BY[pick(m, 6)] + (double)pick(m, 3) - 1);
    n->text = arena_strdup(m->memory, text);
}

static void drop_child(mutation *m, node *n)
{
    if (n->count == 0) return;
    int i = pick(m, n->count);
    if (n->kind == NODE_MAP) {
        node_remove(n, n->keys[i]);
    } else {
        n->items[i] = n->items[--n->count];
    }
}

static void add_child(mutation *m, node *n)
{
    node *child = pick(m, 2) ? some_node(m) : some_scalar(m);
    if (n->kind == NODE_MAP) node_set(m->memory, n, some_word(m), child);
    if (n->kind == NODE_LIST) node_append(m->memory, n, child);
}

static void rename_key(mutation *m, node *n)
{
    if (n->kind != NODE_MAP || n->count == 0) return;
    int i = pick(m, n->count);
    node *moved = n->items[i];
    const char *key = n->keys[i];
    node_set(m->memory, n, some_word(m), moved);
    node_remove(n, key);
}

static void swap_children(mutation *m, node *n)
{
    if (n->count < 2) return;
    int i = pick(m, n->count), k = pick(m, n->count);
    node *x = n->items[i];
    n->items[i] = n->items[k];
    n->items[k] = x;
}

static void mutate_once(mutation *m, node *n)
{
    switch (pick(m, 8)) {
    case 0:
        change_number(m, n);
        break;
    case 1:
        drop_child(m, n);
        break;
    case 2:
    case 3:
        add_child(m, n);
        break;
    case 4:
        rename_key(m, n);
        break;
    case 5:
        swap_children(m, n);
        break;
    case 6:
        if (n != m->all[0]) *n = *some_scalar(m);
        break;
    default:
        if (n != m->all[0]) *n = *some_node(m);
    }
}

size_t yaml_mutate(uint8_t *data, size_t size, size_t max, unsigned seed, bool json,
                   const yaml_words *words)
{
    err e;
    mutation m = {.memory = arena_new(1 << 16), .seed = seed, .words = words};
    char *text = arena_push(m.memory, (int64_t)size + 1, 1);
    memcpy(text, data, size);
    text[size] = 0;
    node *root = node_parse(m.memory, text, size, "mutated", &e);
    size_t got = 0;
    if (root) {
        collect_nodes(&m, root);
        for (int times = 1 + pick(&m, 3); times > 0; times--) {
            mutate_once(&m, m.all[pick(&m, m.count)]);
        }
        const char *out = json ? node_json(m.memory, root, false) : node_yaml(m.memory, root);
        got = strlen(out) <= max ? strlen(out) : 0;
        memcpy(data, out, got);
    }
    arena_free(m.memory);
    return got;
}

yaml_words yaml_words_of(const char *text)
{
    static arena *a; /* kept */
    if (!a) a = arena_new(1 << 16);
    int capacity = (int)strlen(text) / 2 + 1;
    const char **list = ARENA_NEW(a, const char *, capacity);
    yaml_words words = {list, 0};
    while (*text) {
        size_t n = 0;
        while (isalnum((unsigned char)text[n]) || text[n] == '_') {
            n++;
        }
        bool known = n < 2 || !isalpha((unsigned char)*text);
        for (int i = 0; i < words.count && !known; i++) {
            known = strlen(list[i]) == n && strncmp(list[i], text, n) == 0;
        }
        if (!known) {
            char *word = arena_push_zero(a, (int64_t)n + 1, 1);
            memcpy(word, text, n);
            list[words.count++] = word;
        }
        text += MAX(n, (size_t)1);
    }
    return words;
}
