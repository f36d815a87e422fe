/* The normalisation table of a SentencePiece model: a double array, which the library walks through
 * without a look at where its numbers lead. */
#include "data/sentencepiece_charsmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sentencepiece.h"
#include "tests/test.h"

/* ModelProto{pieces{"c"}} */
static const unsigned char MODEL[] = "\x0a\x03\x0a\x01"
                                     "c";

/* A double array in which every node has 256 units of its own, as the library would walk it. */
enum { TABLE_NODES = 1200, TABLE_BYTES = 4 + TABLE_NODES * 1024 + 512 };

typedef struct table {
    unsigned char bytes[TABLE_BYTES];
    uint32_t nodes, text_bytes;
} table;

static void put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint32_t node_at(uint32_t node)
{
    return 256 * node + 1;
}

static void put_unit(table *t, uint32_t place, uint32_t unit)
{
    put_u32(t->bytes + 4 + 4 * place, unit);
}

/* No key: every unit is a value, but the first, which leads to node 0. */
static table *table_new(uint32_t nodes, const char *texts, uint32_t text_bytes)
{
    table *t = calloc(1, sizeof *t);
    t->nodes = nodes;
    t->text_bytes = text_bytes;
    put_u32(t->bytes, 1024 * nodes);
    for (uint32_t i = 0; i < 256 * nodes; i++) {
        put_unit(t, i, 1u << 31);
    }
    put_unit(t, 0, node_at(0) << 10);
    memcpy(t->bytes + 4 + 1024 * nodes, texts, text_bytes);
    return t;
}

/* A letter leads from one node to another; `value` >= 0: and ends a key there. */
static void table_way(table *t, uint32_t from, unsigned char letter, uint32_t to, int64_t value)
{
    uint32_t place = node_at(from) ^ letter, ends = value >= 0;
    put_unit(t, place, (place ^ node_at(to)) << 10 | ends << 8 | letter);
    if (ends) put_unit(t, node_at(to), 1u << 31 | (uint32_t)value);
}

/* Nodes in a row, each behind the letter a. */
static table *table_row(uint32_t nodes, bool ends)
{
    table *t = table_new(nodes, "x", 2);
    for (uint32_t i = 1; i < nodes; i++) {
        table_way(t, i - 1, 'a', i, ends ? 0 : -1);
    }
    return t;
}

static int64_t table_bytes(const table *t)
{
    return 4 + 1024 * (int64_t)t->nodes + t->text_bytes;
}

/* What is said of the table; it goes. */
static void expect_fault(table *t, int64_t bytes, const char *said)
{
    const char *fault = sentencepiece_charsmap_fault(t->bytes, bytes < 0 ? table_bytes(t) : bytes);
    EXPECT(said ? fault && strstr(fault, said) : !fault, "%s", fault ? fault : "sound");
    free(t);
}

/* a to x, ab to yz; b to nothing, over the node that ab leads to. */
static table *sound_table(void)
{
    table *t = table_new(3, "x\0yz\0", 6);
    table_way(t, 0, 'a', 1, 0);
    table_way(t, 1, 'b', 2, 2);
    table_way(t, 0, 'b', 2, 2);
    return t;
}

/* The library follows every number in a table without a look. */
static void tables_lead_nowhere(void)
{
    expect_fault(sound_table(), -1, NULL);
    expect_fault(sound_table(), 0, NULL);
    for (int64_t bytes = 1; bytes < 5; bytes++) {
        expect_fault(sound_table(), bytes, "another size");
    }
    expect_fault(sound_table(), 4 + 3 * 1024, "another size");
    expect_fault(sound_table(), 4 + 3 * 1024 + 1, "do not end");
    for (uint32_t size = 3 * 1024 - 1; size < 3 * 1024 + 6; size += 2) {
        table *t = sound_table();
        put_u32(t->bytes, size);
        expect_fault(t, -1, "another size");
    }
    table *t = sound_table();
    put_unit(t, 0, 0xffffffffu);
    expect_fault(t, -1, "out of the trie");
    t = sound_table();
    put_u32(t->bytes, 3 * 1024 - 4); /* without the last unit of node 2 */
    expect_fault(t, -1, "out of the trie");
    t = sound_table();
    table_way(t, 1, 'c', 3, -1); /* the first node that is not there */
    expect_fault(t, -1, "out of the trie");
    t = sound_table();
    table_way(t, 1, 'b', 2, 6);
    expect_fault(t, -1, "behind the texts");
    t = sound_table();
    table_way(t, 2, 0, 1, -1);
    expect_fault(t, -1, "back to itself");
    expect_fault(table_row(33, true), -1, NULL);
    expect_fault(table_row(34, true), -1, "begin one another");
    expect_fault(table_row(1000, false), -1, NULL);
    expect_fault(table_row(1100, false), -1, "1024 bytes");
    char text[300];
    memset(text, 'x', sizeof text);
    text[256] = text[299] = 0;
    t = table_new(2, text, sizeof text);
    table_way(t, 0, 'a', 1, 0);
    expect_fault(t, -1, NULL);
    text[256] = 'x';
    t = table_new(2, text, sizeof text);
    table_way(t, 0, 'a', 1, 0);
    expect_fault(t, -1, "256 bytes");
}

/* MODEL and a message field behind it that holds the table, under the given key. */
static sentencepiece *parse_with_table(arena *a, const char *key, size_t key_bytes, const table *t,
                                       err *e)
{
    size_t bytes = (size_t)table_bytes(t), used = sizeof MODEL - 1;
    unsigned char *all = ARENA_NEW(a, unsigned char, table_bytes(t) + 64);
    memcpy(all, MODEL, used);
    memcpy(all + used, key, key_bytes);
    used += key_bytes;
    for (int field = 0; field < 2; field++) { /* lengths of four bytes: the message, the table */
        size_t length = field ? bytes : bytes + 5;
        for (int i = 0; i < 4; i++) {
            all[used++] = (unsigned char)((length >> (7 * i) & 0x7f) | (i < 3 ? 0x80u : 0u));
        }
        if (field == 0) all[used++] = 0x12;
    }
    memcpy(all + used, t->bytes, bytes);
    return sentencepiece_parse(a, all, used + bytes, "x.model", e);
}

/* Both tables that a model may have, and neither can be hidden from this reading of it: of a key
 * the library takes 32 bits. */
static void tables_are_looked_at(void)
{
    static const struct {
        const char *key;
        size_t bytes;
        const char *said;
    } CASES[] = {{"\x1a", 1, "normalizer_spec"},
                 {"\x2a", 1, "denormalizer_spec"},
                 {"\x9a\x80\x80\x80\x10", 5, "not a SentencePiece model"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        arena *a = arena_new(0);
        err e = {0};
        table *t = sound_table();
        bool sound = parse_with_table(a, CASES[i].key, CASES[i].bytes, t, &e) != NULL;
        EXPECT(sound == (i < 2), "%zu: %s", i, e.text);
        put_unit(t, 0, 0xffffffffu);
        sentencepiece *s = parse_with_table(a, CASES[i].key, CASES[i].bytes, t, &e);
        EXPECT(!s && strstr(e.text, "x.model: ") && strstr(e.text, CASES[i].said), "%zu: %s", i,
               e.text);
        free(t);
        arena_free(a);
    }
}

/* A table is part of the tokenizer's identity, by what it is for and what it holds. */
static void tables_are_identity(void)
{
    arena *a = arena_new(0);
    table *t = sound_table();
    static const char *const KEYS[] = {"\x1a", "\x2a"};
    char hashes[3][SHA256_HEX];
    sentencepiece *s = sentencepiece_parse(a, MODEL, sizeof MODEL - 1, "x", NULL);
    snprintf(hashes[2], SHA256_HEX, "%s", s ? s->hash : "");
    for (int i = 0; i < 2; i++) {
        s = parse_with_table(a, KEYS[i], 1, t, NULL);
        snprintf(hashes[i], SHA256_HEX, "%s", s ? s->hash : "");
    }
    t->bytes[table_bytes(t) - 2] = 'x';
    s = parse_with_table(a, KEYS[0], 1, t, NULL);
    EXPECT(s && strcmp(hashes[0], hashes[1]) != 0 && strcmp(hashes[0], hashes[2]) != 0 &&
               strcmp(hashes[1], hashes[2]) != 0 && strcmp(hashes[0], s->hash) != 0,
           "hashes %.8s %.8s %.8s", hashes[0], hashes[1], hashes[2]);
    free(t);
    arena_free(a);
}

const test_suite test_sentencepiece_charsmap = {"data/sentencepiece_charsmap",
                                                {{"tables lead nowhere", tables_lead_nowhere},
                                                 {"tables are looked at", tables_are_looked_at},
                                                 {"tables are identity", tables_are_identity},
                                                 {0}}};
