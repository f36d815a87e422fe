#include "harness/train/spec_paths.h"

#include <string.h>

#include "core/base/file.h"

static void cut(node *n)
{
    const char *slash = n->kind == NODE_SCALAR && n->text[0] == '/' ? strrchr(n->text, '/') : NULL;
    if (slash && slash[1]) n->text = slash + 1;
    for (int i = 0; n->kind != NODE_SCALAR && i < n->count; i++) {
        cut(n->items[i]);
    }
}

const node *spec_paths_cut(arena *a, const node *spec)
{
    node *copy = node_copy(a, spec);
    cut(copy);
    return copy;
}

static const node *record_of(arena *a, const char *folder)
{
    static const char *const names[] = {"plan.json", "../plan.json", "spec.yaml", "../spec.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[FILE_PATH_BYTES];
        err damaged;
        if (!file_join(path, folder, names[i], NULL) || !file_exists(path)) continue;
        const node *n = node_load(a, path, &damaged);
        return i < 2 ? node_get(n, "spec") : n;
    }
    return NULL;
}

node *spec_paths_whole(arena *a, const node *spec, const char *folder)
{
    const node *record = record_of(a, folder);
    node *all = node_copy(a, spec);
    for (int i = 0; record && i < all->count; i++) {
        const node *section = node_get(record, all->keys[i]);
        if (!section || !node_equal(spec_paths_cut(a, section), all->items[i])) continue;
        all->items[i] = node_copy(a, section);
    }
    return all;
}

bool spec_paths_known(const node *spec)
{
    const node *path = node_get(node_get(spec, "data"), "path");
    return !path || path->kind != NODE_SCALAR || path->text[0] == '/';
}
