#include "core/options/option_text.h"
#include "core/options/invisible.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBER_BYTES = 64, MAX_NAME = 64 };

/* ---- numbers ---- */

/* Copies digits without the `_` between them and takes a suffix k, M, G, T off. */
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
    return used > 0 && (!suffix || isdigit((unsigned char)out[used - 1]));
}

bool option_text_to_real(const char *text, double *value)
{
    char digits[MAX_NUMBER_BYTES];
    double scale, number;
    if (!strip_number(digits, &scale, text)) return false;
    node n = {.kind = NODE_SCALAR, .text = digits, .plain = true};
    if (!node_to_number(&n, &number) || !isfinite(number * scale)) return false;
    *value = number * scale;
    return true;
}

bool option_text_to_int(const char *text, int64_t *value)
{
    char digits[MAX_NUMBER_BYTES];
    double scale, number;
    if (!strip_number(digits, &scale, text)) return false;
    char *end;
    errno = 0;
    long long exact = strtoll(digits, &end, 10);
    if (end > digits && *end == 0 && errno == 0 && scale == 1) {
        *value = exact;
        return true;
    }
    if (!option_text_to_real(text, &number)) return false;
    if (number != floor(number) || fabs(number) >= 0x1p62) return false;
    *value = (int64_t)number;
    return true;
}

/* ---- suggestions ---- */

/* Edits (insert, delete, replace, swap of neighbours), letter case aside, between two short names.
 */
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
        if (edits > best_edits || edits >= (int)strlen(known[i])) continue;
        if (best && edits == best_edits) continue;
        best = known[i];
        best_edits = edits;
    }
    return best;
}

bool option_unknown(err *e, const node *map, int i, int n, const char *const *known)
{
    const char *key = map->keys[i];
    node place = *map->key_nodes[i];
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
    char list[512] = "";
    for (int k = 0; k < n; k++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known[k]);
    }
    return node_err(e, &place, n ? "unknown key '%s'; known: %s" : "unknown key '%s'%s", key, list);
}
