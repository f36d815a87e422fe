#include "harness/spec/sweep_axis.h"

#include <string.h>

#include "core/options/option.h"

/* How axes and values are meant when they are spoken of: an axis by its whole name or the end of
 * its path, a value as it is written or as the number that it is (2e-3 and 0.002). In `exclude`,
 * `when`, `baseline` and claims the same words mean the same. */

/* The last k parts of a path: "attention.memory" for k = 2. */
static bool ends_with_part(const char *path, const char *tail)
{
    size_t n = strlen(path), m = strlen(tail);
    return m > 0 && n > m && path[n - m - 1] == '.' && strcmp(path + n - m, tail) == 0;
}

/* A whole name or the end of a path, with no regard to others: of two variants' own axes, not of a
 * sweep's. */
bool sweep_axis_is(const char *axis, const char *name)
{
    return strcmp(axis, name) == 0 || ends_with_part(axis, name);
}

/* A whole name wins over ends of paths; an end that several paths have means none of them. */
int sweep_axis_find(const sweep_source *s, const char *name)
{
    int found = -1, matches = 0;
    for (int i = 0; i < s->axis_count; i++) {
        if (strcmp(s->axes[i].name, name) == 0) return i;
        if (s->axes[i].is_path && ends_with_part(s->axes[i].name, name)) {
            found = i;
            matches++;
        }
    }
    return matches == 1 ? found : -1;
}

/* The next word of a label: up to a space or '='. */
static size_t word_bytes(const char *text)
{
    return strcspn(text, " =");
}

/* The two words are parts of longer texts, hence the copies; what is longer than LONGEST is no
 * number. */
static bool same_number(const char *x, size_t nx, const char *y, size_t ny)
{
    enum { LONGEST = 40 };
    char a[LONGEST], b[LONGEST];
    double va, vb;
    if (nx >= sizeof a || ny >= sizeof b) return false;
    memcpy(a, x, nx);
    memcpy(b, y, ny);
    a[nx] = b[ny] = 0;
    return option_text_to_real(a, &va) && option_text_to_real(b, &vb) && va == vb;
}

/* Word by word, where '=' and spaces are the only separators and must be the same: "lr=0.002
 * memory=long" and "lr=2e-3 memory=long" are one label. */
bool sweep_axis_same_text(const char *x, const char *y)
{
    for (;;) {
        size_t nx = word_bytes(x), ny = word_bytes(y);
        bool equal = nx == ny && strncmp(x, y, nx) == 0;
        if (!equal && !same_number(x, nx, y, ny)) return false;
        x += nx;
        y += ny;
        if (*x != *y) return false;
        if (!*x) return true;
        x++;
        y++;
    }
}

/* By value where the alternative has one (a list, a map), else by what it is called. */
bool sweep_axis_matches(const alternative *x, const node *value)
{
    if (x->value && node_equal(x->value, value)) return true;
    return value->kind == NODE_SCALAR && sweep_axis_same_text(x->text, value->text);
}
