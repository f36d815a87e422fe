#include "harness/train/spec_paths.h"

#include <string.h>

#include "core/base/file.h"

/* Cutting is applied to every scalar that begins with a slash, in whatever section: which options
 * are paths is not known here. Completing goes the other way by comparison: a recorded section
 * that, cut, says what the file says is what was cut, and its paths are the ones that were. A
 * section that was edited in between does not compare equal, and stays as the file has it. */

/* A path that ends with a slash has no last part, and stays as it is. */
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

/* The folder may be the run's or its checkpoint/, hence each name here and one above. A run's plan
 * comes before an import's spec.yaml. */
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

/* Section by section, for one that was changed since should not cost the others their paths. */
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
