#include "harness/spec/sweep_axis.h"

#include <string.h>

/* The last k parts of a path: "attention.memory" for k = 2. */
static bool ends_with_part(const char *path, const char *tail)
{
    size_t n = strlen(path), m = strlen(tail);
    return m > 0 && n > m && path[n - m - 1] == '.' && strcmp(path + n - m, tail) == 0;
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

bool sweep_axis_matches(const alternative *x, const node *value)
{
    if (x->value && node_equal(x->value, value)) return true;
    return value->kind == NODE_SCALAR && strcmp(x->text, value->text) == 0;
}
