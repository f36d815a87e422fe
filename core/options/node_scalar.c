#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/node.h"

/* What a scalar is follows from its characters, where it is used; and so does what two trees that
 * are spelt differently have in common. */

/* The core schema has three spellings of a word: true, True, TRUE, and no tRUE. YAML 1.1's yes, no,
 * on, off are texts in it, so a key `no:` and a language `no` stay what they are. */
static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

bool node_is_null(const node *n)
{
    if (!n) return true;
    if (n->kind != NODE_SCALAR || !n->plain) return false;
    return *n->text == 0 || strcmp(n->text, "~") == 0 || one_of(n->text, "null", "Null", "NULL");
}

bool node_to_bool(const node *n, bool *value)
{
    if (!n || n->kind != NODE_SCALAR || !n->plain) return false;
    *value = one_of(n->text, "true", "True", "TRUE");
    return *value || one_of(n->text, "false", "False", "FALSE");
}

static const char *skip_digits(const char *p)
{
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
 * By hand and not by strtod, which also takes "inf", "nan", hexadecimal fractions and leading
 * blanks. */
static bool is_decimal(const char *p)
{
    if (*p == '-' || *p == '+') p++;
    const char *whole = p;
    p = skip_digits(p);
    bool digits = p > whole;
    if (*p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction);
        digits = digits || p > fraction;
    }
    if (!digits) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+') p++;
        const char *exponent = p;
        p = skip_digits(p);
        if (p == exponent) return false;
    }
    return *p == 0;
}

/* 0o17 and 0x1F.
 * 15 digits are 60 bits at most: no overflow of the integer. A double rounds beyond 53. */
static bool read_prefixed(const char *text, double *value)
{
    if (text[0] != '0' || (text[1] != 'o' && text[1] != 'x')) return false;
    const char *digits = text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
    size_t n = strlen(text + 2);
    if (n == 0 || n > 15 || strspn(text + 2, digits) != n) return false;
    *value = (double)strtoll(text + 2, NULL, text[1] == 'o' ? 8 : 16);
    return true;
}

/* The point in front tells them from names: `inf` and `nan` are texts. For YAML they are numbers;
 * options take only finite ones (option_text.c). */
static bool read_special(const char *text, double *value)
{
    if (one_of(text, ".nan", ".NaN", ".NAN")) {
        *value = (double)NAN;
        return true;
    }
    const char *p = *text == '-' || *text == '+' ? text + 1 : text;
    *value = *text == '-' ? -(double)INFINITY : (double)INFINITY;
    return one_of(p, ".inf", ".Inf", ".INF");
}

bool node_to_number(const node *n, double *value)
{
    if (!n || n->kind != NODE_SCALAR || !n->plain) return false;
    if (is_decimal(n->text)) {
        *value = strtod(n->text, NULL);
        return true;
    }
    return read_prefixed(n->text, value) || read_special(n->text, value);
}

/* By what they mean, not by how they are spelt: 1e-3 and 0.001 are one learning rate, and whoever
 * spells it otherwise has the same run. A quoted "8" and a plain 8 differ, as one is a text. A NaN
 * is equal to itself here, or a tree would differ from its copy. */
static bool equal_scalars(const node *x, const node *y)
{
    bool bx, by;
    double vx, vy;
    if (node_is_null(x) || node_is_null(y)) return node_is_null(x) && node_is_null(y);
    bool x_bool = node_to_bool(x, &bx), y_bool = node_to_bool(y, &by);
    if (x_bool || y_bool) return x_bool && y_bool && bx == by;
    bool x_number = node_to_number(x, &vx), y_number = node_to_number(y, &vy);
    if (x_number != y_number) return false;
    if (!x_number) return strcmp(x->text, y->text) == 0;
    /* Whole numbers beyond 2^53 are told apart by their digits. */
    if (fabs(vx) >= 0x1p53 && fabs(vy) >= 0x1p53) return strcmp(x->text, y->text) == 0;
    return vx == vy || (isnan(vx) && isnan(vy));
}

/* Maps have as many keys, none twice, so it is enough that y has each of x's. */
bool node_equal(const node *x, const node *y)
{
    if (!x || !y) return x == y;
    if (x->kind != y->kind || x->count != y->count) return false;
    if (x->kind == NODE_SCALAR) return equal_scalars(x, y);
    for (int i = 0; i < x->count; i++) {
        const node *other = x->kind == NODE_LIST ? y->items[i] : node_get(y, x->keys[i]);
        if (!other || !node_equal(x->items[i], other)) return false;
    }
    return true;
}
