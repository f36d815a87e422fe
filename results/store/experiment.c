#include "results/store/experiment.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/options/option.h"
#include "results/store/query.h"

/* No '/', so that a name cannot lead out of a folder; no '-' or '.' first, which would be an option
 * of a command or a hidden file. A name in a database comes from a record, which anybody may have
 * written. */
bool experiment_name_is_good(const char *name, err *e)
{
    bool good = isalnum((unsigned char)name[0]) && strlen(name) <= 100;
    for (const char *p = name; *p; p++) {
        good = good && (isalnum((unsigned char)*p) || strchr("._-", *p));
    }
    return good || err_set(e,
                           "'%.100s': a name is made of letters, digits, '.', '_' and '-' (at most "
                           "100), a letter or digit first",
                           name);
}

/* Puts the value there, or compares it to the one that is. */
static bool agrees(json_t *known, const char *key, const char *value)
{
    const char *before = json_get_text(known, key);
    if (!before) json_object_set_new(known, key, json_string(value));
    return !before || strcmp(before, value) == 0;
}

/* A label's variant under the label, a seed's run under "LABEL\nSEED". */
bool experiment_runs_agree(json_t *known, const json_t *runs, err *e)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run)
    {
        const char *label = json_get_text(run, "label"), *id = json_get_text(run, "run");
        const char *variant = json_get_text(run, "variant");
        int64_t seed = json_get_int(run, "seed", 0);
        text_memory m;
        if (!label || !id || !variant) continue; /* told where it is read */
        fprintf(text_begin(&m), "%s\n%lld", label, (long long)seed);
        text_auto *key = text_end(&m);
        if (agrees(known, label, variant) && agrees(known, key, id)) continue;
        return err_set(e,
                       "'%.100s', seed %lld (run %.50s), is of another spec than what is called "
                       "so already",
                       label, (long long)seed, id);
    }
    return true;
}

bool experiment_names(store *s, arena *a, const char *const **names, int *count, err *e)
{
    query q = QUERY(s, e,
                    "SELECT experiment AS name, count(*) OVER () AS n FROM experiment "
                    "ORDER BY created_at DESC, experiment",
                    NULL);
    return query_names(names, count, &q, a);
}

/* Three cases, since what helps differs: nothing was run, a slip of the pen, or another folder of
 * results. */
static void set_unknown(const store *s, const char *name, const char *const *known, int count,
                        err *e)
{
    enum { LISTED = 8 };
    /* LISTED names of 64 letters and the words behind them fit. */
    char list[600] = "";
    size_t n = 0;
    for (int i = 0; i < MIN(count, LISTED); i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%.64s", i ? ", " : "", known[i]);
    }
    if (count > LISTED) snprintf(list + n, sizeof list - n, " and %d more", count - LISTED);
    const char *near = option_nearest(name, count, known);
    if (count == 0) {
        err_set(e, "no experiment '%.100s' in %s, which has none; loci run makes one", name,
                store_path(s));
    } else if (near) {
        err_set(e, "no experiment '%.100s' (did you mean '%s'?); there are: %s", name, near, list);
    } else {
        err_set(e, "no experiment '%.100s'; there are: %s", name, list);
    }
}

/* All names are read to find one: they are few, and the nearest of them is wanted where it is
 * missing. */
bool experiment_check(store *s, const char *name, err *e)
{
    if (!experiment_name_is_good(name, e)) return false;
    arena_auto *a = arena_new(1 << 16);
    const char *const *names;
    int count;
    bool ok = experiment_names(s, a, &names, &count, e), found = false;
    for (int i = 0; ok && i < count; i++) {
        found = found || strcmp(names[i], name) == 0;
    }
    if (ok && !found) set_unknown(s, name, names, count, e);
    return ok && found;
}
