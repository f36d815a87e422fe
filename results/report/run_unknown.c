#include "results/report/run_unknown.h"

#include <string.h>

#include "core/base/text.h"
#include "core/options/option_text.h"
#include "results/report/run_name.h"
#include "results/store/experiment.h"
#include "results/store/query.h"

enum { SEEDS = 12 /* that are told */ };

static bool is_among(const char *name, const char *const *names, int count)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0) {
        i++;
    }
    return i < count;
}

/* The experiment is there, and has such a variant, or has not. */
static bool unknown_within(store *s, const run_name *w, const char *name, const char *const *labels,
                           int count, arena *a, err *e)
{
    if (*w->label && !is_among(w->label, labels, count)) {
        const char *near = option_nearest(w->label, count, labels);
        return err_set(e, "%s: %s has no variant '%s'%s%s%s; loci ls %s lists its runs", name,
                       w->experiment, w->label, near ? " (did you mean '" : "", near ? near : "",
                       near ? "'?)" : "", w->experiment);
    }
    const char *const *seeds;
    int n;
    query q = QUERY(s, e,
                    "SELECT CAST(seed AS TEXT) AS name, count(*) OVER () AS n FROM plan WHERE "
                    "experiment = ?1 AND (?2 = '' OR label = ?2) GROUP BY seed ORDER BY seed",
                    w->experiment, w->label);
    if (!query_names(&seeds, &n, &q, a)) return false;
    text_memory m;
    FILE *list = text_begin(&m);
    for (int i = 0; i < MIN(n, SEEDS); i++) {
        fprintf(list, "%s%s", i ? ", " : "", seeds[i]);
    }
    if (n > SEEDS) fprintf(list, " and %d more", n - SEEDS);
    const char *all = text_end_in(&m, a);
    return err_set(e, "%s: no run with seed %lld; there are seeds %s", name, (long long)w->seed,
                   all);
}

bool run_unknown(store *s, const char *name, err *e)
{
    run_name w;
    run_name_read(&w, name);
    arena_auto *a = arena_new(0);
    const char *const *names;
    int count;
    query q = QUERY(s, e,
                    "SELECT label AS name, count(*) OVER () AS n FROM plan WHERE experiment = ?1 "
                    "GROUP BY label ORDER BY min(position)",
                    w.experiment);
    if (!query_names(&names, &count, &q, a)) return false;
    if (count > 0) return unknown_within(s, &w, name, names, count, a, e);
    /* A variant's name alone; else an experiment's, misspelt. */
    q = QUERY(s, e,
              "SELECT experiment || '/' || label AS name, 1 AS n FROM plan WHERE label = ?1 "
              "ORDER BY experiment DESC LIMIT 1",
              name);
    if (!query_names(&names, &count, &q, a)) return false;
    const char *meant = count > 0 ? names[0] : NULL, *rest = "";
    if (!meant && !experiment_names(s, a, &names, &count, e)) return false;
    if (!meant) {
        meant = option_nearest(w.experiment, count, names);
        rest = name + strcspn(name, "/");
    }
    return err_set(
        e, "%s: no such run%s%s%s%s; give its id or EXPERIMENT/LABEL/SEED (loci ls lists them)",
        name, meant ? " (did you mean " : "", meant ? meant : "", meant ? rest : "",
        meant ? "?)" : "");
}
