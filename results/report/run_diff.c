#include "results/report/run_diff.h"

#include "core/base/json.h"
#include "results/report/run_view.h"

/* Not options, but what could explain a difference between two runs of equal options. */
static const char *const MADE[] = {"seed",     "numerics", "real",  "git_revision", "git_dirty",
                                   "compiler", "flags",    "blas",  "blas_core",    "cpu",
                                   "host",     "threads",  "status"};

/* What json_differences hands to put_difference: the table and its columns. */
typedef struct diff {
    table *t;
    int option, a, b;
} diff;

/* One side has no text where only the other has the option. */
static void put_difference(void *user, const char *path, const char *a, const char *b)
{
    const diff *d = user;
    table_row(d->t);
    table_text(d->t, d->option, "%s", path);
    if (a) table_text(d->t, d->a, "%s", a);
    if (b) table_text(d->t, d->b, "%s", b);
}

/* First the spec, option by option, then how the runs were made; equal ones are left out. */
bool run_diff(table *t, store *s, const char *a, const char *b, const char *const heads[2],
              bool made, err *e)
{
    json_auto_t *x = run_view_json(s, a, e), *y = x ? run_view_json(s, b, e) : NULL;
    if (!y) return false;
    enum { TEXT = TABLE_LEFT | TABLE_WHOLE };
    diff d = {t, table_column(t, "option", "option", "", TEXT),
              table_column(t, "a", heads[0], "", TEXT), table_column(t, "b", heads[1], "", TEXT)};
    json_differences(json_object_get(x, "spec"), json_object_get(y, "spec"), "", put_difference,
                     &d);
    for (size_t i = 0; made && i < sizeof MADE / sizeof *MADE; i++) {
        json_differences(json_object_get(x, MADE[i]), json_object_get(y, MADE[i]), MADE[i],
                         put_difference, &d);
    }
    return true;
}
