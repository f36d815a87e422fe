/* An inspection's files in the database, all of them or as before; and its pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/inspect/inspect.h"
#include "harness/inspect/inspect_record.h"
#include "harness/train/trained_model.h"
#include "results/plot/plot.h"
#include "results/plot/plot_inspect.h"
#include "results/store/collect.h"
#include "tests/support/fake_results.h"
#include "tests/support/planted.h"
#include "tests/test.h"

/* Every kind of layer that offers something. */
static const char MODEL[] =
    "{width: 8, context: 16, init: {std: 0.3}, blocks: [{block_recurrent: {heads: 2, states: 4}, "
    "ffn: {hidden: 6, activation: relu}, hash_ffn: {experts: 2, hidden: 4}}], head: {kind: fwl, "
    "step_init: 10, normaliser: 1}}";
static const char TEXT[] =
    "The quick fox axed a queue. Was it quiet? A zebra mixed zest with exyl.\n"
    "The zoo queried the quota of boxy, foxy, waxy equals.\n";

static const fake_variant VARIANTS[] = {{"short", 0, 0, 800000, 50000, NULL, false}};

static fake_experiment fake(void)
{
    return (fake_experiment){test_folder(), "memory", 1, 1, 3, VARIANTS};
}

static void folder_of(char path[FILE_PATH_BYTES], const fake_experiment *x)
{
    char id[17];
    fake_run_id(id, x->name, "short", 1);
    snprintf(path, FILE_PATH_BYTES, "%s/runs/%s", x->out, id);
}

/* Inspects the model and writes what was found into the run's folder; returns how many figures. */
static int inspect_into(const fake_experiment *x, int parts, int64_t top)
{
    trained_model m;
    planted_open(&m, MODEL, TEXT);
    inspect_options options = {.split = SPLIT_TRAIN,
                               .sample_split = SPLIT_VALIDATION,
                               .rows = 1,
                               .top = top,
                               .prefixes = 20,
                               .perturb = 2};
    inspect_task task = {.loaded = &m, .options = &options, .parts = parts, .threads = 1};
    inspection got;
    char folder[FILE_PATH_BYTES];
    err e = {0};
    folder_of(folder, x);
    CHECK(inspect(&got, &task, &e), "%s", e.text);
    EXPECT(inspect_record(&got, folder, &e), "%s", e.text);
    int figures = got.figure_count;
    inspection_deinit(&got);
    planted_close(&m);
    return figures;
}

static collect_report collect_now(const fake_experiment *x, int fresh)
{
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, x->out, false, &e), "%s", e.text);
    EXPECT(r.runs == fresh, "%d runs read again, not %d; %s", r.runs, fresh, r.why);
    return r;
}

/* Lines of a part's file that contain `with`. */
static int lines_with(const fake_experiment *x, const char *part, const char *with)
{
    char path[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], name[64];
    err e = {0};
    folder_of(folder, x);
    snprintf(name, sizeof name, "inspect/%s.jsonl", part);
    char *text = file_join(path, folder, name, &e) ? file_read(path, NULL, &e) : NULL;
    EXPECT(text, "%s", e.text);
    int n = 0;
    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        n += strstr(line, with) != NULL;
    }
    free(text);
    return n;
}

static void collected(void)
{
    fake_experiment x = fake();
    fake_write(&x);
    int figures = inspect_into(&x, 0, 5);
    collect_now(&x, 1);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspection") == 6, "parts");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_figure") == figures, "%d figures",
           figures);
    static const struct {
        const char *part, *with, *table;
    } list[] = {{"keys", "\"examples\":", "inspect_key"},
                {"keys", "\"perturbed\":", "inspect_removal"},
                {"keys", "\"expert\":", "inspect_expert"},
                {"values", "\"top_token\":", "inspect_value"},
                {"composition", "\"match_all\":", "inspect_prefix WHERE part = 'composition'"},
                {"refinement", "\"case\":", "inspect_prefix WHERE part = 'refinement'"},
                {"changes", "\"changed\":", "inspect_change"},
                {"changes", "\"moment\":", "inspect_moment"},
                {"states", "\"exchange\":", "inspect_place"},
                {"states", "\"uses\":", "inspect_use"},
                {"states", "\"spots\":", "inspect_spot"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", list[i].table);
        int lines = lines_with(&x, list[i].part, list[i].with);
        EXPECT(lines > 0 && fake_ask(x.out, sql) == lines, "%s: %g rows of %d lines", list[i].table,
               fake_ask(x.out, sql), lines);
    }
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_trigger") > 0, "triggers");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_moment WHERE text = ''") == 0, "texts");
    collect_now(&x, 0);
}

/* A line without what its table needs is the file's fault, not the database's. */
static void a_line_lacks_something(void)
{
    fake_experiment x = fake();
    fake_write(&x);
    inspect_into(&x, 0, 5);
    fake_append(&x, 0, 1, "inspect/keys.jsonl",
                "{\"depth\":1,\"figure\":\"triggered\",\"bin\":0,\"value\":8.0}\n");
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, x.out, false, &e), "%s", e.text);
    EXPECT(r.unreadable == 1 && strstr(r.why, "keys.jsonl:") && strstr(r.why, ": lacks 'layer'"),
           "%d: %s", r.unreadable, r.why);
}

/* A part that is looked at again takes the place of what was found before; others stay. */
static void replaced(void)
{
    fake_experiment x = fake();
    fake_write(&x);
    inspect_into(&x, 0, 5);
    collect_now(&x, 1);
    double samples = fake_ask(x.out, "SELECT count(*) FROM inspect_prefix");
    EXPECT(fake_ask(x.out, "SELECT max(place) FROM inspect_trigger") == 4, "five triggers");
    inspect_into(&x, INSPECT_KEYS, 2);
    collect_now(&x, 1);
    EXPECT(fake_ask(x.out, "SELECT max(place) FROM inspect_trigger") == 1, "two triggers");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_prefix") == samples, "another part");
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    folder_of(folder, &x);
    EXPECT(file_join(path, folder, "inspect/keys.jsonl", &e) && unlink(path) == 0, "%s", path);
    collect_now(&x, 1);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_trigger") == 0, "of a file that is gone");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspection") == 5, "parts");
}

/* A file that cannot be read leaves the tables as they were, and is named. */
static void unreadable(void)
{
    fake_experiment x = fake();
    fake_write(&x);
    inspect_into(&x, INSPECT_KEYS, 5);
    collect_now(&x, 1);
    double keys = fake_ask(x.out, "SELECT count(*) FROM inspect_key");
    fake_append(&x, 0, 1, "inspect/keys.jsonl", "{\"unheard\": 1}\n");
    collect_report r = collect_now(&x, 0);
    EXPECT(r.unreadable == 1 && strstr(r.why, "keys.jsonl"), "%s", r.why);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM inspect_key") == keys && keys > 0, "%g keys",
           keys);
}

static bool is_there(const plot_report *r, const char *name, const char *format)
{
    char path[FILE_PATH_BYTES], file[64];
    err e = {0};
    snprintf(file, sizeof file, "%s.%s", name, format);
    return file_join(path, r->folder, file, &e) && file_exists(path);
}

/* In the place of gnuplot, which takes half a second a picture: a program that draws nothing. */
static void no_drawing(void)
{
    char file[FILE_PATH_BYTES];
    err e = {0};
    snprintf(file, sizeof file, "%s/gnuplot", test_folder());
    EXPECT(file_write(file, "#!/bin/sh\n", 10, &e) && chmod(file, 0755) == 0, "%s", e.text);
    test_path(test_folder());
}

static void scripts(void)
{
    fake_experiment x = fake();
    fake_write(&x);
    plot_report r;
    err e = {0};
    collect_now(&x, 1);
    store *s = store_open_reader(x.out, &e);
    arena *a = arena_new(0);
    EXPECT(s && !plot_inspect_find(s, NULL, a, &e) && strstr(e.text, "nothing was"), "%s", e.text);
    store_close(s);
    inspect_into(&x, 0, 5);
    collect_now(&x, 1);
    s = store_open_reader(x.out, &e);
    EXPECT(s && !plot_inspect_find(s, "zz", a, &e) && strstr(e.text, "no such run"), "%s", e.text);
    const char *run = plot_inspect_find(s, NULL, a, &e);
    no_drawing();
    EXPECT(run && plot_inspect(&r, s, run, &(plot_how){x.out, false, true}, &e), "%s", e.text);
    static const char *const names[] = {
        "agreement", "rank",          "active",        "zero-agreement", "refinement",
        "cases",     "patterns",      "removal",       "reads",          "reads-blocks",
        "writes",    "writes-blocks", "gain-position", "gain-distance",  NULL};
    for (int i = 0; names[i]; i++) {
        EXPECT(is_there(&r, names[i], "gp"), "no %s", names[i]);
        char path[FILE_PATH_BYTES], file[64];
        snprintf(file, sizeof file, "%s.gp", names[i]);
        char *script = file_join(path, r.folder, file, &e) ? file_read(path, NULL, &e) : NULL;
        char *title = script;
        if (title && (title = strstr(script, "set title '"))) title[strcspn(title, "\n")] = 0;
        EXPECT(title && strstr(title, "?'"), "%s asks nothing: %s", names[i], title);
        free(script);
    }
    arena_free(a);
    store_close(s);
}

static void pictures(void)
{
    if (system("command -v gnuplot >/dev/null 2>&1") != 0) {
        test_skip("no gnuplot");
        return;
    }
    fake_experiment x = fake();
    fake_write(&x);
    inspect_into(&x, INSPECT_CHANGES, 5);
    collect_now(&x, 1);
    err e = {0};
    plot_report r;
    store *s = store_open_reader(x.out, &e);
    arena *a = arena_new(0);
    const char *run = s ? plot_inspect_find(s, NULL, a, &e) : NULL;
    EXPECT(run && plot_inspect(&r, s, run, &(plot_how){x.out, true, true}, &e), "%s", e.text);
    EXPECT(is_there(&r, "gain-position", "svg") && is_there(&r, "gain-distance", "svg"), "%d files",
           r.count);
    EXPECT(!is_there(&r, "agreement", "gp"), "of a part that was not looked at");
    arena_free(a);
    store_close(s);
}

const test_suite test_inspection = {"results/inspection",
                                    {{"collected", collected},
                                     {"a_line_lacks_something", a_line_lacks_something},
                                     {"replaced", replaced},
                                     {"unreadable", unreadable},
                                     {"scripts", scripts},
                                     {"pictures", pictures},
                                     {0}}};
