#include "core/options/option_text.h"
#include "core/options/invisible.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers here take more spellings than YAML's: digits in groups (1_000_000) and decimal
 * suffixes (2M tokens), since budgets and sizes are typed by people who would otherwise miscount
 * zeros. To YAML these are texts, which is why quoting does not matter for them (is_quoted). */

enum { MAX_NUMBER_BYTES = 64, MAX_NAME = 64 };

/* ---- numbers ---- */

/* Copies digits without the `_` between them and takes a suffix k, M, G, T off.
 * A `_` stands between two digits, nowhere else: what follows the last one is the text's end or the
 * suffix. The suffix needs a digit before it, so that "0x" or "k" alone are none, and goes with
 * decimal ones: who counts in thousands does not write 0x1k. */
static bool strip_number(char out[MAX_NUMBER_BYTES], double *scale, const char *text)
{
    static const char suffixes[] = "kMGT";
    size_t used = 0, n = strlen(text);
    *scale = 1;
    if (n == 0 || n >= MAX_NUMBER_BYTES) return false;
    const char *suffix = strchr(suffixes, text[n - 1]);
    if (suffix) {
        for (const char *p = suffixes; p <= suffix; p++)
            *scale *= 1000;
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        bool between =
            i > 0 && isdigit((unsigned char)text[i - 1]) && isdigit((unsigned char)text[i + 1]);
        if (text[i] != '_') {
            out[used++] = text[i];
        } else if (!between) {
            return false;
        }
    }
    out[used] = 0;
    bool decimal = out[0] != '0' || (out[1] != 'x' && out[1] != 'o');
    return used > 0 && (!suffix || (decimal && isdigit((unsigned char)out[used - 1])));
}

/* Has the number a digit above 0 before its exponent? */
static bool is_written_as_zero(const char *digits)
{
    size_t mantissa = strcspn(digits, "eE");
    return strcspn(digits, "123456789") >= mantissa;
}

/* One grammar for what is left: that of YAML's core schema. Infinity and NaN are no values of
 * options; nor is a number that is too small to be told from 0, which often means something of its
 * own (all, none). */
bool option_text_to_real(const char *text, double *value)
{
    char digits[MAX_NUMBER_BYTES];
    double scale, number;
    if (!strip_number(digits, &scale, text)) return false;
    node n = {.kind = NODE_SCALAR, .text = digits, .plain = true};
    if (!node_to_number(&n, &number) || !isfinite(number * scale)) return false;
    *value = number * scale;
    return number != 0 || is_written_as_zero(digits);
}

bool option_text_to_int(const char *text, int64_t *value)
{
    char digits[MAX_NUMBER_BYTES];
    double scale, number;
    if (!strip_number(digits, &scale, text)) return false;
    char *end;
    errno = 0;
    /* Seeds may have 63 bits, which a double would round. */
    long long exact = strtoll(digits, &end, 10);
    if (end > digits && *end == 0 && errno == 0 && scale == 1) {
        *value = exact;
        return true;
    }
    if (!option_text_to_real(text, &number)) return false;
    /* 1.5M is whole, 1.5 is not; below 2^62 the conversion cannot overflow. */
    if (number != floor(number) || fabs(number) >= 0x1p62) return false;
    *value = (int64_t)number;
    return true;
}

static bool is_quoted(const node *n)
{
    double number;
    node unquoted = *n;
    unquoted.plain = true;
    return !n->plain && node_to_number(&unquoted, &number);
}

bool option_node_to_int(const node *n, int64_t *value)
{
    return n->kind == NODE_SCALAR && !is_quoted(n) && option_text_to_int(n->text, value);
}

bool option_node_to_real(const node *n, double *value)
{
    return n->kind == NODE_SCALAR && !is_quoted(n) && option_text_to_real(n->text, value);
}

/* ---- suggestions ---- */

/* By what reads numbers itself, so that what is suggested is one. */
static void suggest_case(char hint[OPTION_MEANT_BYTES], const char *text)
{
    char other[MAX_NUMBER_BYTES];
    size_t n = strlen(text);
    double value;
    if (n < 2 || n >= sizeof other) return;
    memcpy(other, text, n + 1);
    char *last = &other[n - 1];
    *last = (char)(*last == 'K' ? 'k' : toupper((unsigned char)*last));
    if (option_text_to_real(text, &value) || !option_text_to_real(other, &value)) return;
    snprintf(hint, OPTION_MEANT_BYTES, " (did you mean '%s'?)", other);
}

const char *option_node_meant(char hint[OPTION_MEANT_BYTES], const node *n)
{
    hint[0] = 0;
    if (n->kind != NODE_SCALAR) return hint;
    if (n->plain) {
        suggest_case(hint, n->text);
    } else {
        snprintf(hint, OPTION_MEANT_BYTES, " (what is in quotes is a text)");
    }
    return hint;
}

/* Edits (insert, delete, replace, swap of neighbours), letter case aside, between two short names.
 * Dynamic programming over prefixes, of which a swap needs the last two rows: D[i,j] = min(D[i-1,j]
 * + 1, D[i,j-1] + 1, D[i-1,j-1] + (x_i != y_j), D[i-2,j-2] + 1 if x_i x_{i-1} = y_{j-1} y_j). Row i
 * lies in rows[i mod 3]. */
static int distance(const char *x, const char *y)
{
    int rows[3][MAX_NAME + 1];
    int m = (int)strlen(x), n = (int)strlen(y);
    if (m > MAX_NAME || n > MAX_NAME) return 2 * MAX_NAME;
    for (int j = 0; j <= n; j++)
        rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            bool same = tolower((unsigned char)x[i - 1]) == tolower((unsigned char)y[j - 1]);
            int best = MIN(before[j] + 1, now[j - 1] + 1);
            best = MIN(best, before[j - 1] + !same);
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1]) {
                best = MIN(best, earlier[j - 2] + 1);
            }
            now[j] = best;
        }
    }
    return rows[m % 3][n];
}

const char *option_nearest(const char *name, int n, const char *const *known)
{
    const char *best = NULL;
    int best_edits = (int)strlen(name) / 3 + 1; /* more than every third letter wrong: a guess */
    for (int i = 0; i < n; i++) {
        int edits = distance(name, known[i]);
        /* As many edits as it has letters would turn anything into it. Of equally near ones the
         * first of the table is said. */
        if (edits > best_edits || edits >= (int)strlen(known[i])) continue;
        if (best && edits == best_edits) continue;
        best = known[i];
        best_edits = edits;
    }
    return best;
}

/* Three likely reasons, most certain first: a missing blank behind the colon, a character without
 * ink, a typing error. Otherwise the list of what there is. */
bool option_unknown(err *e, const node *map, int i, int n, const char *const *known)
{
    const char *key = map->keys[i];
    node place = *map->key_nodes[i];
    /* The path of the map, not of the key, which would name what does not exist. */
    place.path = map->path;
    const char *colon = strchr(key, ':');
    for (int k = 0; colon && k < n; k++) { /* {heads:4} is a map with the key "heads:4" */
        size_t bytes = strlen(known[k]);
        if ((size_t)(colon - key) != bytes || strncmp(key, known[k], bytes) != 0) continue;
        return node_err(e, &place, "unknown key '%s'; write '%s: %s', with a space", key, known[k],
                        colon + 1);
    }
    size_t at;
    const char *unseen = invisible_find(key, strlen(key), &at);
    const char *near = option_nearest(key, n, known);
    if (near && unseen) {
        return node_err(e, &place, "unknown key '%s' (did you mean '%s'? it holds %s)", key, near,
                        unseen);
    }
    if (near) return node_err(e, &place, "unknown key '%s' (did you mean '%s'?)", key, near);
    /* snprintf cuts a list that is too long; the message has its bound as well. */
    char list[512] = "";
    for (int k = 0; k < n; k++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known[k]);
    }
    return node_err(e, &place, n ? "unknown key '%s'; known: %s" : "unknown key '%s'%s", key, list);
}
