/* Nodes as text: canonical YAML and compact JSON. Both read back through node_parse.
 *
 * Two forms for two readers. YAML is for people and for the spec that a run keeps: it must read
 * back as an equal tree, so quotes stand wherever there is a doubt. JSON with sorted keys is what
 * identities are hashed from: there one value has one spelling, and a change of any byte here gives
 * every variant another identity, so that finished sweeps would be trained again. */
#include "core/base/text.h"
#include "core/options/node.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows in an arena. */
typedef struct sink {
    arena *a;
    char *text;
    size_t used, capacity;
} sink;

/* Doubling, with a NUL always behind: what was outgrown stays in the arena, in all no more than the
 * text once again. */
static void put(sink *s, const char *text, size_t n)
{
    if (s->used + n + 1 > s->capacity) {
        size_t capacity = MAX(2 * s->capacity, s->used + n + 64);
        char *bigger = arena_push(s->a, (int64_t)capacity, 1);
        if (s->used) memcpy(bigger, s->text, s->used);
        s->text = bigger;
        s->capacity = capacity;
    }
    memcpy(s->text + s->used, text, n);
    s->used += n;
    s->text[s->used] = 0;
}

static void put_text(sink *s, const char *text)
{
    put(s, text, strlen(text));
}

static void put_spaces(sink *s, int n)
{
    for (; n > 0; n--)
        put(s, " ", 1);
}

/* ---- quoted strings ---- */

/* Decodes one UTF-8 character of `length` bytes; an invalid byte counts as Latin-1.
 * Strict: forms longer than need be (`least`), halves of pairs of UTF-16 and what is above U+10FFFF
 * are invalid, or two spellings of one character would be printed as one. */
static uint32_t decode(const char *text, size_t *length)
{
    const unsigned char *p = (const unsigned char *)text;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 0;
    uint32_t code = n < 2 ? p[0] : p[0] & (0x7Fu >> n);
    *length = 1;
    if (n < 2) return code;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) return p[0];
        code = code << 6 | (p[i] & 0x3Fu);
    }
    if (code < least[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return p[0];
    *length = n;
    return code;
}

/* Characters that may stand in YAML and JSON as they are. U+2028 and U+2029 are line breaks there.
 * C1 controls (below U+A0) and marks that editors hide (U+FEFF) are escaped, so that who looks at
 * the file sees that they are there. */
static bool printable(uint32_t c, size_t length)
{
    if (c < 0x80) return c >= 0x20 && c != 0x7F && c != '"' && c != '\\';
    if (length == 1) return false;
    return c >= 0xA0 && c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

/* The double-quoted style that YAML and JSON share: what is escaped here means the same to both, so
 * one function serves two formats. Bytes that are no UTF-8 are written as the characters of Latin-1
 * with the same numbers: the output is valid, though the bytes are lost. */
static void put_quoted(sink *s, const char *text)
{
    put_text(s, "\"");
    size_t n;
    for (const char *p = text; *p; p += n) {
        uint32_t c = decode(p, &n);
        char escape[16];
        if (printable(c, n)) {
            put(s, p, n);
        } else if (c == '"' || c == '\\') {
            put(s, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n' || c == '\t' || c == '\r') {
            put(s, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r", 2);
        } else {
            /* All that gets here fits four digits: characters above U+FFFF are printable. */
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
            put_text(s, escape);
        }
    }
    put_text(s, "\"");
}

/* ---- YAML ---- */

static bool plain_character(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_./+-", c));
}

/* A narrow class of texts that stay themselves without quotes, wherever they stand.
 * Letters, digits, `_./+-` and single blanks inside. YAML's own rule for what may be plain takes
 * pages and depends on where a scalar stands; this class is inside of it everywhere: no ": ", no "
 * #", no indicator at the front, no "- " that would begin a list. A sign or a point may come first
 * if a letter or digit follows (-1, .5, -.inf). */
static bool safe_plain(const char *text)
{
    if (!isalnum((unsigned char)text[0]) && text[0] != '_') {
        bool sign = text[0] == '-' || text[0] == '+' || text[0] == '.';
        if (!sign || !(isalnum((unsigned char)text[1]) || text[1] == '.')) return false;
        if (text[1] == '.' && !isalnum((unsigned char)text[2])) return false;
    }
    for (const char *p = text; *p; p++) {
        bool gap = *p == ' ' && plain_character(p[1]) && p[1] != '-';
        if (!plain_character(*p) && !gap) return false;
    }
    return true;
}

/* All spellings of null become one. Numbers and booleans keep theirs: a resolved spec shows 1e-3 as
 * it was written. */
static void put_scalar(sink *s, const node *n)
{
    bool flag;
    double number;
    if (node_is_null(n)) {
        put_text(s, "null");
        return;
    }
    /* A text that would be something else without its quotes ("true", "1e3", "~") keeps them. */
    node as_plain = *n;
    as_plain.plain = true;
    bool typed = node_is_null(&as_plain) || node_to_bool(&as_plain, &flag) ||
                 node_to_number(&as_plain, &number);
    if (safe_plain(n->text) && (n->plain || !typed)) {
        put_text(s, n->text);
    } else {
        put_quoted(s, n->text);
    }
}

/* Writes n where the line stands at column `indent`; ends with a newline.
 * An entry of a list stands behind its dash, a nested map or list of a map on lines of its own, two
 * columns further in. Empty ones have only the flow form. */
static void put_yaml(sink *s, const node *n, int indent)
{
    if (n->kind == NODE_SCALAR || n->count == 0) {
        if (n->kind == NODE_SCALAR) {
            put_scalar(s, n);
        } else {
            put_text(s, n->kind == NODE_MAP ? "{}" : "[]");
        }
        put_text(s, "\n");
        return;
    }
    for (int i = 0; i < n->count; i++) {
        if (i > 0) put_spaces(s, indent);
        const node *item = n->items[i];
        if (n->kind == NODE_LIST) {
            put_text(s, "- ");
            put_yaml(s, item, indent + 2);
            continue;
        }
        if (safe_plain(n->keys[i])) {
            put_text(s, n->keys[i]);
        } else {
            put_quoted(s, n->keys[i]);
        }
        put_text(s, ":");
        /* The first line of a nested value gets its indentation here, the others from put_yaml
         * itself. */
        bool nested = item->kind != NODE_SCALAR && item->count > 0;
        put_text(s, nested ? "\n" : " ");
        if (nested) put_spaces(s, indent + 2);
        put_yaml(s, item, indent + 2);
    }
}

char *node_yaml(arena *a, const node *n)
{
    sink s = {.a = a};
    put_yaml(&s, n, 0);
    return s.text;
}

/* ---- JSON ---- */

/* The shortest digits that read back as the same number.
 * Whole numbers without exponent or point up to 2^53, where doubles are still exact: 1e6 and
 * 1000000 are the same value and become the same text. JSON has no infinities. */
static void put_number(sink *s, double value)
{
    char text[TEXT_NUMBER_BYTES];
    if (!isfinite(value)) {
        put_text(s, "null");
        return;
    }
    if (value == floor(value) && fabs(value) < 0x1p53) {
        snprintf(text, sizeof text, "%lld", (long long)value);
        put_text(s, text);
        return;
    }
    put_text(s, text_number(text, value, 1));
}

/* No leading zero, which JSON forbids, and no sign. */
static bool whole_digits(const char *text)
{
    return strspn(text, "0123456789") == strlen(text) && text[0] != '0';
}

/* The order matters: a plain `null` is neither a text nor a number, a plain `true` no text. What is
 * quoted passes the first three tests and is written as a text. */
static void put_json_scalar(sink *s, const node *n)
{
    bool flag;
    double number;
    if (node_is_null(n)) {
        put_text(s, "null");
    } else if (node_to_bool(n, &flag)) {
        put_text(s, flag ? "true" : "false");
    } else if (!node_to_number(n, &number)) {
        put_quoted(s, n->text);
    } else if (fabs(number) >= 0x1p53 && whole_digits(n->text)) {
        put_text(s, n->text); /* a double would lose its last digits */
    } else {
        put_number(s, number);
    }
}

static int by_name(const void *x, const void *y)
{
    return strcmp(**(const char *const *const *)x, **(const char *const *const *)y);
}

static void put_json(sink *s, const node *n, bool sorted);

/* Sorted by bytes, not by the locale: the same on every machine. The map itself is not
 * reordered. */
static void put_json_map(sink *s, const node *n, bool sorted)
{
    /* order[i] points into keys: the index of a key is its distance from the first. */
    const char **const keys = n->keys;
    const char ***order = ARENA_NEW(s->a, const char **, n->count);
    for (int i = 0; i < n->count; i++)
        order[i] = &keys[i];
    if (sorted && n->count > 1) qsort(order, (size_t)n->count, sizeof *order, by_name);
    put_text(s, "{");
    for (int i = 0; i < n->count; i++) {
        if (i > 0) put_text(s, ",");
        put_quoted(s, *order[i]);
        put_text(s, ":");
        put_json(s, n->items[order[i] - keys], sorted);
    }
    put_text(s, "}");
}

static void put_json(sink *s, const node *n, bool sorted)
{
    if (n->kind == NODE_SCALAR) {
        put_json_scalar(s, n);
    } else if (n->kind == NODE_MAP) {
        put_json_map(s, n, sorted);
    } else {
        put_text(s, "[");
        for (int i = 0; i < n->count; i++) {
            if (i > 0) put_text(s, ",");
            put_json(s, n->items[i], sorted);
        }
        put_text(s, "]");
    }
}

char *node_json(arena *a, const node *n, bool sorted)
{
    sink s = {.a = a};
    put_json(&s, n, sorted);
    return s.text;
}
