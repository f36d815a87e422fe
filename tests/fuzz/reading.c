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

static void read_comparison(store *s, const char *experiment, unsigned form)
{
    static const table_format FORMATS[] = {TABLE_TEXT, TABLE_MARKDOWN, TABLE_CSV, TABLE_JSON};
    err e = {0};
    arena *a = arena_new(1 << 16);
    const compare_options how = {.baseline = NULL};
    comparison *c = compare_load(a, s, experiment, &how, &e);
    CHECK(c || e.text[0], "%s", "refused without a word");
    if (c) compare_print(nowhere(), c, FORMATS[form % 4], form % 8 == 0);
    const claims *stated = c && form % 2 ? claims_load(a, s, experiment, &e) : NULL;
    if (stated) report_write(nowhere(), s, c, stated, NULL, 0, &e);
    arena_free(a);
}

static void read_tables(store *s, const char *experiment)
{
    err e = {0};
    arena *a = arena_new(1 << 16);
    table t = {.memory = a};
    if (status_experiments(&t, s, &e)) table_print(nowhere(), &t, TABLE_TEXT, false);
    t = (table){.memory = a};
    if (run_view_list(&t, s, experiment, NULL, "t", &e)) {
        table_print(nowhere(), &t, TABLE_MARKDOWN, false);
    }
    t = (table){.memory = a};
    if (status_runs(&t, s, experiment, &e)) {
        status_reasons(nowhere(), &t, 1, 80);
        status_fold(&t, 1);
        table_print(nowhere(), &t, TABLE_CSV, false);
    }
    arena_free(a);
}

static void read_runs(store *s, const char *experiment)
{
    err e = {0};
    char id[RUN_ID_CHARS];
    int fits;
    read_tables(s, experiment);
    if (!run_view_find(id, &fits, s, experiment, &e)) return;
    run_view_show(nowhere(), s, id, &e);
    json_decref(run_view_json(s, id, &e));
    status_totals totals;
    char sentence[256];
    if (status_total(&totals, s, experiment, &e)) status_sentence(sentence, &totals);
}

/* All of it takes milliseconds, thousands of times what an input takes to make: one of its parts
 * for each. */
void reading_part(store *s, const char *experiment, unsigned part)
{
    err e = {0};
    unsigned what = part % (2 * EXPORT_WHATS);
    if (what == EXPORT_WHATS) {
        read_runs(s, experiment);
    } else if (what > EXPORT_WHATS) {
        read_comparison(s, experiment, part / (2 * EXPORT_WHATS));
    } else {
        export_rows(nowhere(), s, experiment, (export_what)what, (export_format)(part / 64 % 4),
                    &e);
    }
}

unsigned reading_choice(const uint8_t *data, size_t bytes)
{
    unsigned sum = (unsigned)bytes;
    for (size_t i = 0; i < bytes; i++) {
        sum = sum * 31 + data[i];
    }
    return sum >> 3;
}
