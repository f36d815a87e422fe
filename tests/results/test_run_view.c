/* Single runs: found, shown, compared, listed, exported. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/report/run_diff.h"
#include "results/report/run_name.h"
#include "results/report/run_view.h"
#include "results/store/collect.h"
#include "results/table/export.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short", 0, 0.01, 1500000, 51234, NULL, false},
                                        {"a/long", 0.04, 0.005, 1600000, 40000, "failed", false}};

static store *results(void)
{
    const fake_experiment x = {test_folder(), "viewed", 2, 2, 20, VARIANTS};
    err e = {0};
    fake_write(&x);
    fake_append(&x, 1, 2, "log.txt", "first words\nlast words\n");
    store *s = collect_and_open(test_folder(), NULL, &e);
    EXPECT(s, "%s", e.text);
    return s;
}

/* What a function printed; the caller frees it. */
typedef bool (*printer)(FILE *out, store *s, const char *what, err *e);
static char *printed(printer print, store *s, const char *what)
{
    char *text = NULL;
    size_t bytes;
    err e = {0};
    FILE *f = open_memstream(&text, &bytes);
    EXPECT(print(f, s, what, &e), "%s", e.text);
    fclose(f);
    return text;
}

static void names(void)
{
    store *s = results();
    if (!s) return;
    char id[RUN_ID_CHARS], want[17];
    int fits;
    err e = {0};
    fake_run_id(want, "viewed", "a/long", 2);
    EXPECT(run_view_find(id, &fits, s, "viewed/a/long/2", &e) && strcmp(id, want) == 0, "%s: %s",
           id, e.text);
    EXPECT(run_view_find(id, &fits, s, want, &e) && strcmp(id, want) == 0, "%s: %s", id, e.text);
    fake_run_id(want, "viewed", "short", 1);
    EXPECT(run_view_find(id, &fits, s, "viewed", &e) && strcmp(id, want) == 0 && fits > 1, "%s: %s",
           id, e.text);
    EXPECT(run_view_find(id, &fits, s, "viewed/short", &e) && strcmp(id, want) == 0, "%s: %s", id,
           e.text);
    EXPECT(!run_view_find(id, &fits, s, "viewed/tall", &e) && strstr(e.text, "loci ls"), "%s",
           e.text);
    EXPECT(!run_view_find(id, &fits, s, "", &e), "an empty name");
    store_close(s);
}

/* Of more variants and seeds than fit into a sentence, each is known. */
static void many_names(void)
{
    static const char MANY[] =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT "
        "INTO plan (experiment, position, run, variant, label, seed, baseline) SELECT 'viewed', "
        "100 + i, 'r' || i, 'v' || i, 'label ' || i, i, 0 FROM n";
    store *s = results();
    sqlite3 *db = NULL;
    if (!s) return;
    store_close(s);
    EXPECT(sqlite3_open(test_inside("loci.db"), &db) == SQLITE_OK &&
               sqlite3_exec(db, MANY, NULL, NULL, NULL) == SQLITE_OK,
           "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    char id[RUN_ID_CHARS];
    int fits;
    err e = {0};
    s = store_open_reader(test_folder(), &e);
    EXPECT(s && !run_view_find(id, &fits, s, "viewed/label 1500/2", &e) &&
               strstr(e.text, "no run with seed 2; there are seeds 1500"),
           "%s", e.text);
    EXPECT(s && !run_view_find(id, &fits, s, "viewed//9999", &e) &&
               strstr(e.text, "there are seeds 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 1488"),
           "%s", e.text);
    store_close(s);
}

/* A number behind the experiment is a label: those of a sweep over widths are. */
static void parts_of_names(void)
{
    static const struct {
        const char *text, *experiment, *label;
        int64_t seed;
    } cases[] = {{"widths", "widths", "", -1},           {"widths/64", "widths", "64", -1},
                 {"widths/64/2", "widths", "64", 2},     {"widths/a/b", "widths", "a/b", -1},
                 {"widths/a/b/12", "widths", "a/b", 12}, {"widths/", "widths", "", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_name r;
        run_name_read(&r, cases[i].text);
        EXPECT(strcmp(r.experiment, cases[i].experiment) == 0 &&
                   strcmp(r.label, cases[i].label) == 0 && r.seed == cases[i].seed,
               "%s: %s, %s, %lld", cases[i].text, r.experiment, r.label, (long long)r.seed);
    }
}

static void shown(void)
{
    store *s = results();
    if (!s) return;
    char id[17];
    fake_run_id(id, "viewed", "a/long", 2);
    char *text = printed(run_view_show, s, id);
    static const char *const words[] = {"viewed/a/long", "failed: killed by signal 9",
                                        "| last words", "model.width = 128", "a processor"};
    for (int i = 0; i < 5; i++) {
        EXPECT(strstr(text, words[i]), "no '%s' in:\n%s", words[i], text);
    }
    free(text);
    fake_run_id(id, "viewed", "short", 1);
    text = printed(run_view_show, s, id);
    EXPECT(strstr(text, "bits per byte") && strstr(text, "(final)"), "%s", text);
    /* Over the whole run, whatever its last steps took. */
    EXPECT(strstr(text, " 51.2k tokens/s"), "%s", text);
    EXPECT(strstr(text, "(baseline)") && !strstr(text, "end of its log"), "%s", text);
    free(text);
    store_close(s);
}

/* A loss that has no perplexity may be a number all the same. */
static void beyond_perplexity(void)
{
    const fake_experiment x = {test_folder(), "viewed", 2, 2, 20, VARIANTS};
    fake_write(&x);
    fake_append(&x, 0, 1, "evals.jsonl",
                "{\"eval\": \"e1\", \"step\": 5, \"final\": false, \"split\": \"validation\", "
                "\"nats\": 8e13, \"tokens\": 100, \"bytes\": 200, \"words\": 20}\n");
    fake_append(&x, 0, 1, "evals.jsonl",
                "{\"eval\": \"e2\", \"step\": 6, \"final\": false, \"split\": \"validation\", "
                "\"nats\": null, \"tokens\": 100, \"bytes\": 200, \"words\": 20}\n");
    err e = {0};
    store *s = collect_and_open(test_folder(), NULL, &e);
    EXPECT(s, "%s", e.text);
    if (!s) return;
    char id[17];
    fake_run_id(id, "viewed", "short", 1);
    char *text = printed(run_view_show, s, id);
    EXPECT(strstr(text, "5   5.771e+11 bits per byte, 8.000e+11 nats per token"), "%s", text);
    EXPECT(strstr(text, "step 6   the loss is not a finite number"), "%s", text);
    free(text);
    store_close(s);
}

static bool print_diff(FILE *out, store *s, const char *what, err *e)
{
    (void)what;
    arena *a = arena_new(0);
    table *t = table_new(a);
    char x[17], y[17];
    fake_run_id(x, "viewed", "short", 1);
    fake_run_id(y, "viewed", "a/long", 2);
    bool ok = run_diff(t, s, x, y, (const char *const[]){x, y}, true, e);
    table_print(out, t, TABLE_CSV, false);
    arena_free(a);
    return ok;
}

static void differences(void)
{
    store *s = results();
    if (!s) return;
    char *text = printed(print_diff, s, NULL);
    EXPECT(strcmp(text, "option,a,b\nseed,1,2\nstatus,done,failed\n") == 0, "%s", text);
    free(text);
    store_close(s);
}

static bool print_list(FILE *out, store *s, const char *what, err *e)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    bool ok = run_view_list(t, s, NULL, what, NULL, e);
    table_print(out, t, TABLE_CSV, false);
    arena_free(a);
    return ok;
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

static void listed(void)
{
    store *s = results();
    if (!s) return;
    char *text = printed(print_list, s, NULL);
    EXPECT(lines(text) == 5, "%s", text);
    free(text);
    text = printed(print_list, s, "failed");
    EXPECT(lines(text) == 2 && strstr(text, "a/long"), "%s", text);
    free(text);
    store_close(s);
}

static bool csv_runs(FILE *out, store *s, const char *what, err *e)
{
    return export_rows(out, s, what, EXPORT_RUNS, EXPORT_CSV, e);
}
static bool jsonl_metrics(FILE *out, store *s, const char *what, err *e)
{
    return export_rows(out, s, what, EXPORT_METRICS, EXPORT_JSONL, e);
}
static bool latex_evaluations(FILE *out, store *s, const char *what, err *e)
{
    return export_rows(out, s, what, EXPORT_EVALUATIONS, EXPORT_LATEX, e);
}
static bool markdown_documents(FILE *out, store *s, const char *what, err *e)
{
    return export_rows(out, s, what, EXPORT_DOCUMENTS, EXPORT_MARKDOWN, e);
}

static void exported(void)
{
    store *s = results();
    if (!s) return;
    char *text = printed(csv_runs, s, "viewed");
    EXPECT(lines(text) == 5 && strncmp(text, "experiment,variant,seed,", 24) == 0, "%s", text);
    EXPECT(!strstr(text, "153702"), "the speed of the last steps: %s", text);
    free(text);
    text = printed(jsonl_metrics, s, "viewed");
    char *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *row = json_loadb(line, (size_t)(end - line), 0, NULL);
        EXPECT(row && json_get_text(row, "name") && json_get_int(row, "step", -1) > 0, "%.80s",
               line);
        json_decref(row);
    }
    EXPECT(lines(text) > 100, "%d lines", lines(text));
    free(text);
    text = printed(latex_evaluations, s, "viewed");
    EXPECT(strstr(text, "\\toprule") && strstr(text, "bits\\_per\\_byte"), "%s", text);
    free(text);
    text = printed(markdown_documents, s, "viewed");
    EXPECT(lines(text) == 2 + 9, "%s", text);
    free(text);
    store_close(s);
}

static uint32_t crc_of(const unsigned char *data, size_t count)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        }
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* The framing, and the checksum's known answer for "123456789": 0xe3069283 (RFC 3720, B.4 gives
 * CRC-32C; masked as TensorFlow does). */
static void event_files(void)
{
    store *s = results();
    if (!s) return;
    EXPECT(crc_of((const unsigned char *)"123456789", 9) ==
               (0xe3069283u >> 15 | 0xe3069283u << 17) + 0xa282ead8u,
           "%x", crc_of((const unsigned char *)"123456789", 9));
    err e = {0};
    char path[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    int files = 0;
    file_join(folder, test_folder(), "events", NULL);
    EXPECT(export_tensorboard(folder, s, "viewed", &files, &e) && files == 4, "%d: %s", files,
           e.text);
    store_close(s);
    arena *a = arena_new(0);
    const char *const *names_found;
    int64_t count = 0;
    file_join(path, folder, "a_long/seed-1", NULL);
    EXPECT(file_list(path, a, &names_found, &count, &e) && count == 1, "%s", e.text);
    if (count == 1 && file_join(folder, path, names_found[0], NULL)) {
        size_t bytes, at = 0;
        int records = 0;
        const unsigned char *data = (unsigned char *)file_read_arena(a, folder, &bytes, &e);
        EXPECT(data && memcmp(data + 12 + 9,
                              "\x1a\x0d"
                              "brain.Event:2",
                              15) == 0,
               "no version");
        while (data && at + 16 <= bytes) {
            uint64_t length;
            uint32_t head, tail;
            memcpy(&length, data + at, 8);
            memcpy(&head, data + at + 8, 4);
            EXPECT(head == crc_of(data + at, 8) && at + 16 + length <= bytes, "record %d", records);
            if (at + 16 + length > bytes) break;
            memcpy(&tail, data + at + 12 + length, 4);
            EXPECT(tail == crc_of(data + at + 12, length), "record %d", records);
            at += 16 + length;
            records++;
        }
        EXPECT(at == bytes && records > 20, "%d records, %zu of %zu bytes", records, at, bytes);
    }
    arena_free(a);
}

const test_suite test_run_view = {"results/run_view",
                                  {{"names", names},
                                   {"many_names", many_names},
                                   {"parts_of_names", parts_of_names},
                                   {"shown", shown},
                                   {"beyond_perplexity", beyond_perplexity},
                                   {"differences", differences},
                                   {"listed", listed},
                                   {"exported", exported},
                                   {"event_files", event_files},
                                   {0}}};
