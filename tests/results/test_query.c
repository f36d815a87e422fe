/* A read that fails never passes for the end of the rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/compare/compare_load.h"
#include "results/plot/plot.h"
#include "results/plot/plot_inspect.h"
#include "results/report/report.h"
#include "results/store/collect.h"
#include "results/store/query.h"
#include "results/table/export.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                        {"short 3e-3", 0.039, 0.002, 842000, 40321, NULL, false},
                                        {"long 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                        {"long 3e-3", 0.02, 0.002, 842000, 40321, NULL, false}};

static fake_experiment written(void)
{
    fake_experiment x = {test_folder(), "memory", 4, 2, 5, VARIANTS};
    collect_report r;
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    EXPECT(collect(&r, x.out, false, &e), "%s", e.text);
    return x;
}

static void columns(void)
{
    fake_experiment x = written();
    err e = {0};
    arena *a = arena_new(0);
    store *s = store_open_reader(x.out, &e);
    query q = QUERY(s, &e, "SELECT ?1 AS text, 7 AS number, 0.5 AS real, NULL AS none", "a");
    EXPECT(query_next(&q), "a row");
    EXPECT(query_int(&q, "number", 0) == 7 && strcmp(query_text(&q, "text", a), "a") == 0, "order");
    EXPECT(query_real(&q, "real") == 0.5 && isnan(query_real(&q, "none")), "reals");
    EXPECT(query_int(&q, "none", -1) == -1 && !query_text(&q, "none", a), "NULL");
    EXPECT(!query_next(&q) && query_close(&q), "%s", e.text);
    query wrong = QUERY(s, &e, "SELECT nix FROM run", NULL);
    EXPECT(!query_next(&wrong) && !query_close(&wrong) && strstr(e.text, "nix"), "%s", e.text);
    store_close(s);
    arena_free(a);
}

static void change(const char *out, char *sql)
{
    char path[FILE_PATH_BYTES];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/loci.db", out);
    EXPECT(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    EXPECT(sqlite3_exec(db, "PRAGMA legacy_alter_table = 1", NULL, NULL, NULL) == SQLITE_OK &&
               sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK,
           "%s", sqlite3_errmsg(db));
    sqlite3_free(sql);
    sqlite3_close(db);
}

/* In the place of a table one that fails where the condition holds, behind rows that can be read.
 */
static void break_table(const char *out, const char *name, const char *condition)
{
    change(out, sqlite3_mprintf("ALTER TABLE %s RENAME TO whole; CREATE VIEW %s AS SELECT * FROM "
                                "whole WHERE json(CASE WHEN %s THEN '{' ELSE '1' END) = '1'",
                                name, name, condition));
}

/* Renamed back its words would be others, and the database none of loci's. */
static void mend_tables(const char *out)
{
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, out, true, &e), "%s", e.text);
}

typedef bool (*reader)(store *s, const char *out, arena *a, err *e);

static bool compares(store *s, const char *out, arena *a, err *e)
{
    (void)out;
    return compare_load(a, s, "memory", &(compare_options){0}, e) != NULL;
}

static bool tunes(store *s, const char *out, arena *a, err *e)
{
    (void)out;
    return compare_load(a, s, "memory", &(compare_options){.tune = "lr"}, e) != NULL;
}

static bool at_seconds(store *s, const char *out, arena *a, err *e)
{
    compare_options how = {.at = AT_SECONDS, .at_amount = 0.1};
    (void)out;
    return compare_load(a, s, "memory", &how, e) != NULL;
}

static bool plots(store *s, const char *out, arena *a, err *e)
{
    const comparison *c = compare_load(a, s, "memory", &(compare_options){0}, e);
    const claims *stated = c ? claims_load(a, s, "memory", e) : NULL;
    return stated && plot_experiment(ARENA_NEW(a, plot_report, 1), s, c, stated,
                                     &(plot_how){out, true, true}, e);
}

static bool reports(store *s, const char *out, arena *a, err *e)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    const comparison *c = compare_load(a, s, "memory", &(compare_options){0}, e);
    const claims *stated = c ? claims_load(a, s, "memory", e) : NULL;
    bool ok = stated && report_write(f, s, c, stated, NULL, 0, e);
    (void)out;
    fclose(f);
    free(text);
    return ok;
}

static bool events(store *s, const char *out, arena *a, err *e)
{
    char folder[FILE_PATH_BYTES];
    int files;
    (void)a;
    snprintf(folder, sizeof folder, "%s/events", out);
    return export_tensorboard(folder, s, "memory", &files, e);
}

static bool exports(store *s, const char *out, arena *a, err *e)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    (void)out;
    (void)a;
    bool ok = export_rows(f, s, "memory", EXPORT_DOCUMENTS, EXPORT_LATEX, e);
    fclose(f);
    free(text);
    return ok;
}

static void read_errors(void)
{
    static const struct {
        const char *name, *table, *condition;
        reader read;
    } list[] = {{"documents", "document", "document = 1", compares},
                {"axes of a choice", "axis", "position = 1", tunes},
                {"steps of a budget", "step", "step = 20", at_seconds},
                {"axes of a plot", "axis", "position = 1", plots},
                {"libraries", "library", "name = 'sqlite'", reports},
                {"source", "experiment", "spec_file = 'x.yaml'", reports},
                {"events", "metric", "step = 20", events},
                {"export", "document", "document = 1", exports}};
    fake_experiment x = written();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        arena *a = arena_new(0);
        err e = {0};
        store *s = store_open_reader(x.out, &e);
        bool gnuplot = list[i].read != plots || system("command -v gnuplot >/dev/null 2>&1") == 0;
        EXPECT(s && (!gnuplot || list[i].read(s, x.out, a, &e)), "%s, whole: %s", list[i].name,
               e.text);
        /* The database was whole when it was opened: one with such a view is not asked at all. */
        break_table(x.out, list[i].table, list[i].condition);
        EXPECT(s && !list[i].read(s, x.out, a, &e), "%s: read as if all were there", list[i].name);
        EXPECT(strstr(e.text, "cannot be read"), "%s: %s", list[i].name, e.text);
        store_close(s);
        arena_free(a);
        mend_tables(x.out);
    }
}

const test_suite test_query = {"results/query",
                               {{"columns", columns}, {"read_errors", read_errors}, {0}}};
