/* Opening results: see reading.h. */
#include "tools/reading.h"

#include "experiments/spec.h"
#include "results/collect.h"

#include <string.h>

store *reading_open(const char *out, err *e)
{
    err note = {0};
    store *s = collect_and_open(out, &note, e);
    if (note.text[0]) cli_fail(EXIT_DONE, "%s", note.text);
    return s;
}

/* A spec file says its experiment's name. */
static const char *name_in_file(arena *a, const char *path, err *e)
{
    spec *x = spec_load(path, NULL, e);
    if (!x) return NULL;
    const char *name = arena_strdup(a, x->name);
    spec_free(x);
    return name;
}

const char *reading_experiment(arena *a, store *s, const char *word, err *e)
{
    const char *name = word;
    if (!word) {
        const char *const *names;
        int n = 0;
        if (!store_experiments(s, a, &names, &n, e)) return NULL;
        if (n == 0) {
            err_set(e, "there are no results yet; train something: loci run SPEC");
            return NULL;
        }
        return names[0];
    }
    if (cli_is_yaml(word) && !(name = name_in_file(a, word, e))) return NULL;
    return store_has_experiment(s, name, e) ? name : NULL;
}
