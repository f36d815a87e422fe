#include "tests/fuzz/reading.h"

#include <stdio.h>

#include "results/compare/compare_load.h"
#include "results/compare/compare_print.h"
#include "results/report/report.h"
#include "results/report/run_view.h"
#include "results/report/status.h"
#include "results/table/export.h"

static FILE *nowhere(void)
{
    static FILE *f;
    if (!f) f = fopen("/dev/null", "w");
    CHECK(f, "no /dev/null");
    return f;
}

static void read_comparison(store *s, const char *experiment)
{
    static const table_format FORMATS[] = {TABLE_TEXT, TABLE_MARKDOWN, TABLE_CSV, TABLE_JSON};
    err e = {""};
    arena *a = arena_new(1 << 16);
    const compare_options how = {.baseline = NULL};
    comparison *c = compare_load(a, s, experiment, &how, &e);
    CHECK(c || e.text[0], "%s", "refused without a word");
    for (int i = 0; c && i < 4; i++) {
        compare_print(nowhere(), c, FORMATS[i], i == 0, &e);
    }
    const claims *stated = c ? claims_load(a, s, experiment, &e) : NULL;
    if (stated) report_write(nowhere(), s, c, stated, NULL, 0, &e);
    arena_free(a);
}

static void read_runs(store *s, const char *experiment)
{
    err e = {""};
    char id[RUN_ID_CHARS];
    int fits;
    if (!run_view_find(id, &fits, s, experiment, &e)) return;
    run_view_show(nowhere(), s, id, &e);
    json_decref(run_view_json(s, id, &e));
    status_totals totals;
    char sentence[256];
    if (status_total(&totals, s, experiment, &e)) status_sentence(sentence, &totals);
}

void reading_all(store *s, const char *experiment)
{
    err e = {""};
    read_comparison(s, experiment);
    read_runs(s, experiment);
    for (int what = 0; what < EXPORT_WHATS; what++) {
        export_rows(nowhere(), s, experiment, (export_what)what, (export_format)(what % 4), &e);
    }
}
