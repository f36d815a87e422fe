/* What is exported arrives at the tools it is for: no infinity in JSON, no label that reads as
 * missing, a folder of its own for every run. Where Python has these tools (LOCI_PYTHON, python3),
 * they read the files themselves; else those cases are skipped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/store/collect.h"
#include "results/table/export.h"
#include "tests/support/corpora.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const char LONG[] =
    "width=100,long=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static const fake_variant VARIANTS[] = {
    {"null", 0, 0.01, 1000, 1, NULL, false},  {"NA", 0.1, 0.01, 1000, 1, NULL, false},
    {"a/b", 0.1, 0.01, 1000, 1, NULL, false}, {"a_b", 0.1, 0.01, 1000, 1, NULL, false},
    {"A_b", 0.1, 0.01, 1000, 1, NULL, false}, {"say \"x\", y", 0.1, 0.01, 1000, 1, NULL, false},
    {LONG, 0.1, 0.01, 1000, 1, NULL, false},
};
enum { COUNT = sizeof VARIANTS / sizeof *VARIANTS };

static store *collected(fake_experiment *x)
{
    *x = (fake_experiment){test_folder(), "names", COUNT, 1, 4, VARIANTS};
    fake_write(x);
    /* A word perplexity beyond any number. */
    fake_append(
        x, 1, 1, "evals.jsonl",
        "{\"eval\": \"huge\", \"step\": 500, \"split\": \"validation\", \"final\": true, "
        "\"nats\": 1e6, \"tokens\": 100000, \"bytes\": null, \"words\": 1, \"protocol\": {}, "
        "\"documents\": []}\n");
    err e = {0}, note = {0};
    store *s = collect_and_open(x->out, &note, &e);
    EXPECT(s && !note.text[0], "%s%s", e.text, note.text);
    return s;
}

/* Writes an export to a file of the case's folder. */
static void write_rows(store *s, const char *name, export_what what, export_format format)
{
    err e = {0};
    FILE *f = fopen(test_inside(name), "w");
    EXPECT(f && export_rows(f, s, "names", what, format, &e), "%s", e.text);
    if (f) fclose(f);
}

static void infinity_and_missing(void)
{
    fake_experiment x;
    store *s = collected(&x);
    if (!s) return;
    write_rows(s, "e.jsonl", EXPORT_EVALUATIONS, EXPORT_JSONL);
    write_rows(s, "r.csv", EXPORT_RUNS, EXPORT_CSV);
    store_close(s);
    char *lines = file_read(test_inside("e.jsonl"), NULL, NULL);
    EXPECT(strstr(lines, "\"word_perplexity\":null") && !strstr(lines, ":inf"), "%s", lines);
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *row = json_loads(line, 0, NULL);
        EXPECT(row, "no JSON: %s", line);
        json_decref(row);
    }
    free(lines);
    char *rows = file_read(test_inside("r.csv"), NULL, NULL);
    EXPECT(strstr(rows, "\nnames,\"\"\"null\"\"\",1,") &&
               strstr(rows, "\nnames,\"\"\"NA\"\"\",1,") &&
               strstr(rows, "names,\"say \"\"x\"\", y\",1"),
           "%s", rows);
    free(rows);
}

/* As many axes as a spec likes: rows have them all, and a table that has not the columns says so.
 */
static void many_axes(void)
{
    fake_experiment x;
    store *s = collected(&x);
    if (!s) return;
    sqlite3 *db = NULL;
    EXPECT(
        sqlite3_open_v2(store_path(s), &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
            sqlite3_exec(db,
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                         "i < 400) INSERT INTO axis SELECT experiment, 'NA', i, 'a' || i, i FROM "
                         "n, experiment",
                         NULL, NULL, NULL) == SQLITE_OK,
        "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    write_rows(s, "axes.csv", EXPORT_METRICS, EXPORT_CSV);
    err e = {0};
    FILE *f = fopen(test_inside("axes.md"), "w");
    EXPECT(f && !export_rows(f, s, "names", EXPORT_METRICS, EXPORT_MARKDOWN, &e) &&
               strstr(e.text, "take CSV"),
           "%s", e.text);
    if (f) fclose(f);
    store_close(s);
    char *rows = file_read(test_inside("axes.csv"), NULL, NULL);
    EXPECT(rows && strstr(rows, ",axis.a1,") && strstr(rows, ",axis.a70,"), "no such column");
    free(rows);
}

/* Event files below a folder, two levels down, each alone in its folder. */
static int count_runs(const char *folder)
{
    arena *a = arena_new(0);
    const char *const *labels, *const *seeds, *const *files;
    int64_t n, m, k;
    char path[FILE_PATH_BYTES], inner[FILE_PATH_BYTES];
    int runs = 0;
    EXPECT(file_list(folder, a, &labels, &n, NULL), "%s", folder);
    for (int64_t i = 0; i < n; i++) {
        file_join(path, folder, labels[i], NULL);
        EXPECT(file_list(path, a, &seeds, &m, NULL), "%s", path);
        for (int64_t j = 0; j < m; j++) {
            file_join(inner, path, seeds[j], NULL);
            EXPECT(file_list(inner, a, &files, &k, NULL) && k == 1, "%s: %lld files", inner,
                   (long long)k);
            runs++;
        }
        for (int64_t j = i + 1; j < n; j++) {
            EXPECT(strcasecmp(labels[i], labels[j]) != 0, "%s and %s", labels[i], labels[j]);
        }
    }
    arena_free(a);
    return runs;
}

/* Labels that want the same name, an export over an older one, files that are others'. */
static void folders_of_runs(void)
{
    fake_experiment x;
    store *s = collected(&x);
    if (!s) return;
    err e = {0};
    int files;
    corpora_write("events/gone/seed-1/events.out.tfevents.1.loci", "of a run that is no more", -1);
    corpora_write("events/a_b/seed-1/events.out.tfevents.1.loci", "of another rate", -1);
    const char *folder = test_inside("events");
    for (int pass = 0; pass < 2; pass++) {
        EXPECT(export_tensorboard(folder, s, "names", &files, &e) && files == COUNT, "%d: %s",
               files, e.text);
        EXPECT(count_runs(folder) == COUNT, "%d folders", count_runs(folder));
    }
    EXPECT(!file_exists(test_inside("events/gone")), "the older one's");
    corpora_write("events/a_b/notes/events.out.tfevents.1.host", "another program's", -1);
    EXPECT(export_tensorboard(folder, s, "names", &files, &e), "%s", e.text);
    EXPECT(file_exists(test_inside("events/a_b/notes/events.out.tfevents.1.host")), "removed");
    store_close(s);
}

/* Bytes of the event file of the experiment's only run. */
static int64_t event_bytes(const fake_experiment *x)
{
    const char *const *names;
    char path[FILE_PATH_BYTES];
    int64_t count = 0, bytes = -1;
    int files;
    err e = {0}, note = {0};
    store *s = collect_and_open(x->out, &note, &e);
    EXPECT(s && export_tensorboard(test_inside("curve"), s, x->name, &files, &e), "%s", e.text);
    store_close(s);
    arena *a = arena_new(0);
    const char *folder = test_inside("curve/alone/seed-1");
    EXPECT(file_list(folder, a, &names, &count, &e) && count == 1, "%lld files", (long long)count);
    if (count == 1 && file_join(path, folder, names[0], NULL)) {
        EXPECT(file_stat(path, &bytes, NULL, &e), "%s", e.text);
    }
    arena_free(a);
    return bytes;
}

/* A curve is of one protocol: what was evaluated otherwise is none of its points. */
static void one_protocol(void)
{
    static const fake_variant alone[] = {{"alone", 0, 0.001, 1000, 1, NULL, false}};
    const fake_experiment x = {test_folder(), "curve", 1, 1, 4, alone};
    fake_write(&x);
    int64_t before = event_bytes(&x);
    fake_append(&x, 0, 1, "evals.jsonl",
                "{\"eval\": \"0\", \"step\": 40, \"split\": \"validation\", \"nats\": 1, "
                "\"tokens\": 1, \"bytes\": 1, \"protocol\": {\"dynamic\": {}}}\n");
    int64_t after = event_bytes(&x);
    EXPECT(before > 0 && before == after, "%lld and %lld bytes", (long long)before,
           (long long)after);
}

/* ---- read by the tools themselves ---- */

/* Runs a script with the case's folder as its argument; skips where `module` is not there. */
static void python(const char *module, const char *script)
{
    const char *given = getenv("LOCI_PYTHON"), *program = given ? given : "python3";
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "%s -c 'import %s' >/dev/null 2>&1", program, module);
    if (system(command) != 0) {
        test_skip("%s has no module %s", program, module);
        return;
    }
    corpora_write("read.py", script, -1);
    snprintf(command, sizeof command, "%s '%s' '%s' >'%s' 2>&1", program, test_inside("read.py"),
             test_folder(), test_inside("said"));
    int status = system(command);
    char *said = file_read(test_inside("said"), NULL, NULL);
    EXPECT(status == 0, "%s", said ? said : "");
    free(said);
}

static void write_all(void)
{
    fake_experiment x;
    store *s = collected(&x);
    if (!s) return;
    err e = {0};
    int files;
    static const struct {
        const char *name;
        export_what what;
    } FILES[] = {{"runs", EXPORT_RUNS},
                 {"metrics", EXPORT_METRICS},
                 {"evaluations", EXPORT_EVALUATIONS},
                 {"documents", EXPORT_DOCUMENTS}};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.csv", FILES[i].name);
        write_rows(s, name, FILES[i].what, EXPORT_CSV);
        snprintf(name, sizeof name, "%s.jsonl", FILES[i].name);
        write_rows(s, name, FILES[i].what, EXPORT_JSONL);
    }
    EXPECT(export_tensorboard(test_inside("events"), s, "names", &files, &e), "%s", e.text);
    store_close(s);
}

static void pandas(void)
{
    write_all();
    python("pandas", "import sys, pandas as pd\n"
                     "d = sys.argv[1]\n"
                     "for n in ('runs', 'metrics', 'evaluations', 'documents'):\n"
                     "    c = pd.read_csv(f'{d}/{n}.csv')\n"
                     "    j = pd.read_json(f'{d}/{n}.jsonl', lines=True)\n"
                     "    assert len(c) == len(j) > 0, n\n"
                     "    assert list(c.columns) == list(j.columns), n\n"
                     "    assert c.variant.notna().all() and j.variant.notna().all(), n\n"
                     "    assert c.variant.nunique() == j.variant.nunique() == 7, n\n"
                     "r = pd.read_csv(f'{d}/runs.csv').set_index('variant')\n"
                     "assert r.loc['\"NA\"', 'word_perplexity'] == float('inf')\n"
                     "assert r.loc['a/b', 'bits_per_byte'] > 0\n");
}

static void duckdb(void)
{
    write_all();
    python("duckdb",
           "import sys, duckdb\n"
           "d = sys.argv[1]\n"
           "for n in ('runs', 'metrics', 'evaluations', 'documents'):\n"
           "    for f in (f\"read_csv('{d}/{n}.csv')\", f\"read_json('{d}/{n}.jsonl')\"):\n"
           "        k = duckdb.sql(f'SELECT count(*), count(DISTINCT variant) FROM "
           "{f}').fetchall()[0]\n"
           "        assert k[0] > 0 and k[1] == 7, (f, k)\n");
}

static void tensorboard(void)
{
    write_all();
    python("tensorboard",
           "import sys, os\n"
           "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
           "runs = 0\n"
           "for at, folders, files in os.walk(sys.argv[1] + '/events'):\n"
           "    if not files: continue\n"
           "    runs += 1\n"
           "    a = EventAccumulator(at); a.Reload()\n"
           "    tags = a.Tags()['scalars']\n"
           "    assert 'train/loss' in tags and 'validation/word_perplexity' in tags, tags\n"
           "    for t in tags:\n"
           "        steps = [e.step for e in a.Scalars(t)]\n"
           "        assert steps == sorted(set(steps)), (at, t, steps)\n"
           "assert runs == 7, runs\n");
}

const test_suite test_exporters = {"results/exporters",
                                   {{"infinity and missing", infinity_and_missing},
                                    {"many axes", many_axes},
                                    {"folders of runs", folders_of_runs},
                                    {"one_protocol", one_protocol},
                                    {"read by pandas", pandas},
                                    {"read by DuckDB", duckdb},
                                    {"read by TensorBoard", tensorboard},
                                    {0}}};
