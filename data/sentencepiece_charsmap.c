#include "data/sentencepiece_charsmap.h"

#include <stdlib.h>
#include <string.h>

/* A double array (Aoe 1989) as Darts-clone writes it. A node is the number b from which its
 * children are counted; its child by the byte c is the unit at b ^ c, if that unit's label is c:
 *
 *   bits 0-7, 31  the label; with bit 31 the unit is a value and nobody's child
 *   bit 8         the child is the end of a key: its value is the unit at its own b
 *   bits 9-30     offset: the child's b is its place ^ offset
 *
 * A walk looks at b ^ c for whatever byte c the text has, so all 256 units around b must be there.
 * Nodes may be shared (the writer joins equal endings), but no way leads back to where it came
 * from. */

enum {
    MAX_UNITS = 1 << 24,
    /* A key's bytes. Ways are walked here by recursion; the longest that the published tables have
     * is a few letters. */
    MAX_DEPTH = 1024,
    /* Keys that begin one another; the library has room for so many. */
    MAX_PREFIXES = 32,
    /* Of one text. The longest of Unicode's has 33 bytes. Each letter of a corpus may become one.
     */
    MAX_TEXT_BYTES = 256,
    UNSEEN = 0,
    ON_THE_WAY = 255,
};

typedef struct trie {
    const unsigned char *units, *texts;
    int64_t count, text_bytes;
    unsigned char *seen; /* [count]: by b, UNSEEN, ON_THE_WAY, or 1 + most ends of keys below */
    const char *fault;   /* the first found */
} trie;

static uint32_t read_u32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t unit_at(const trie *x, uint32_t place)
{
    return read_u32(x->units + 4 * (size_t)place);
}

static uint32_t offset_of(uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

static int fail(trie *x, const char *fault)
{
    x->fault = fault;
    return 0;
}

/* What the key that ends at node b is replaced by. */
static bool check_value(trie *x, uint32_t b)
{
    int64_t value = unit_at(x, b) & 0x7fffffff;
    if (value >= x->text_bytes) return fail(x, "a value points behind the texts");
    size_t room = (size_t)MIN(x->text_bytes - value, MAX_TEXT_BYTES + 1);
    return memchr(x->texts + value, 0, room) ||
           fail(x, "a letter is replaced by more than 256 bytes");
}

/* The most keys that end on one way below node b; anything once x->fault is set. */
static int check_node(trie *x, uint32_t b, int depth)
{
    if ((b | 255) >= x->count) return fail(x, "an offset leads out of the trie");
    if (x->seen[b] == ON_THE_WAY) return fail(x, "a way through the trie leads back to itself");
    if (x->seen[b] != UNSEEN) return x->seen[b] - 1;
    if (depth == MAX_DEPTH) return fail(x, "a key is longer than 1024 bytes");
    x->seen[b] = ON_THE_WAY;
    int most = 0;
    for (uint32_t c = 0; c < 256 && !x->fault; c++) {
        uint32_t unit = unit_at(x, b ^ c);
        if ((unit & (1u << 31 | 0xff)) != c) continue;
        uint32_t child = b ^ c ^ offset_of(unit);
        bool ends = unit >> 8 & 1;
        int below = check_node(x, child, depth + 1) + ends;
        if (x->fault || (ends && !check_value(x, child))) return 0;
        most = MAX(most, below);
    }
    if (most > MAX_PREFIXES) return fail(x, "more than 32 keys begin one another");
    x->seen[b] = (unsigned char)(1 + most);
    return most;
}

const char *sentencepiece_charsmap_fault(const unsigned char *table, int64_t bytes)
{
    if (bytes == 0) return NULL;
    int64_t trie_bytes = bytes < 4 ? -1 : (int64_t)read_u32(table);
    if (trie_bytes <= 0 || trie_bytes % 4 || trie_bytes >= bytes - 4) {
        return "its trie has another size than it says";
    }
    trie x = {.units = table + 4,
              .texts = table + 4 + trie_bytes,
              .count = trie_bytes / 4,
              .text_bytes = bytes - 4 - trie_bytes};
    if (x.count > MAX_UNITS) return "its trie has more than 64 MiB";
    if (x.texts[x.text_bytes - 1] != 0) return "its texts do not end";
    x.seen = calloc((size_t)x.count, 1);
    CHECK(x.seen, "out of memory");
    check_node(&x, offset_of(unit_at(&x, 0)), 0);
    free(x.seen);
    return x.fault;
}
