#include "harness/spec/sweep_axis.h"

#include <string.h>

#include "core/options/option.h"

/* The last k parts of a path: "attention.memory" for k = 2. */
static bool ends_with_part(const char *path, const char *tail)
{
    size_t n = strlen(path), m = strlen(tail);
    return m > 0 && n > m && path[n - m - 1] == '.' && strcmp(path + n - m, tail) == 0;
}

bool sweep_axis_is(const char *axis, const char *name)
{
    return strcmp(axis, name) == 0 || ends_with_part(axis, name);
}

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

bool sweep_axis_matches(const alternative *x, const node *value)
{
    if (x->value && node_equal(x->value, value)) return true;
    return value->kind == NODE_SCALAR && sweep_axis_same_text(x->text, value->text);
}
