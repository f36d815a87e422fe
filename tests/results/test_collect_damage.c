/* The collector and run folders whose files are damaged: named, and whatever counts is whole. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"
#include "core/base/text.h"
#include "tests/support/collected.h"
#include "tests/test.h"

/* All rows but what the collector itself remembers, as one text: malloc'd. */
static char *all_rows(const char *out)
{
    char path[FILE_PATH_BYTES], sql[600];
    sqlite3 *db = NULL;
    text_memory m;
    FILE *f = text_begin(&m);
    EXPECT(file_join(path, out, "loci.db", NULL) && sqlite3_open(path, &db) == SQLITE_OK, "%s",
           out);
    sqlite3_stmt *tables = NULL, *rows = NULL;
    sqlite3_prepare_v2(db,
                       "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN "
                       "('collected') AND name NOT LIKE 'sqlite_%' ORDER BY name",
                       -1, &tables, NULL);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(tables, 0);
        snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" ORDER BY 1, 2, 3", name);
        EXPECT(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK, "%s", sql);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            fputs(name, f);
            for (int i = 0; i < sqlite3_column_count(rows); i++) {
                const char *value = (const char *)sqlite3_column_text(rows, i);
                fprintf(f, "|%.80s", value ? value : "NULL");
            }
            fputc('\n', f);
        }
        sqlite3_finalize(rows);
    }
    sqlite3_finalize(tables);
    sqlite3_close(db);
    return text_end(&m);
}

/* What was collected bit by bit is what is collected anew. */
static void expect_as_rebuilt(const char *out, const char *what)
{
    collect_report r;
    err e = {0};
    char *before = all_rows(out);
    EXPECT(collect(&r, out, true, &e), "%s", e.text);
    char *after = all_rows(out);
    size_t same = 0;
    while (before[same] && before[same] == after[same]) {
        same++;
    }
    size_t line = same;
    while (line > 0 && before[line - 1] != '\n') {
        line--;
    }
    EXPECT(strcmp(before, after) == 0, "%s: '%.200s' and made again '%.200s'", what, before + line,
           after + line);
    free(before);
    free(after);
}

/* What is damaged of a finished run is named, and the run counts as one without a result, whichever
 * file it is and whatever was collected before; put right, it counts again. */
static void damaged_files(void)
{
    static const struct {
        const char *file;
        int keep; /* bytes of it; -1: it is removed */
    } cases[] = {{"plan.json", 20},   {"run.json", 100}, {"status.json", 30},  {"status.json", -1},
                 {"run.json", 0},     {"run.json", -1},  {"evals.jsonl", 300}, {"evals.jsonl", 0},
                 {"evals.jsonl", -1}, {"speed.json", 1}, {"final.json", 1}};
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], id[17];
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    snprintf(folder, sizeof folder, "%s/runs/%s/checkpoint", x.out, id);
    err e = {0};
    EXPECT(file_make_folders(folder, &e), "%s", e.text);
    static const char *const more[][2] = {
        {"speed.json", "{\"alone_tokens_per_second\": 1}"},
        {"final.json", "{\"eval\": {}}"},
        {"checkpoint/manifest.json",
         "{\"step\": 200, \"files\": {\"model-200.safetensors\": {\"sha256\": \"00\", \"bytes\": "
         "1}}}"},
        {"notes.jsonl", "{\"at\": \"2026-01-01T00:00:00Z\", \"note\": \"odd\"}\n"}};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/runs/%s/%s", x.out, id, more[i][0]);
        EXPECT(file_write(path, more[i][1], strlen(more[i][1]), &e), "%s", e.text);
    }
    collected_now(x.out, false, 6);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes;
        collect_report r;
        snprintf(path, sizeof path, "%s/runs/%s/%s", x.out, id, cases[i].file);
        char *whole = file_read(path, &bytes, &e);
        EXPECT(whole && (cases[i].keep < 0 ? file_remove(path, &e)
                                           : file_write(path, whole, (size_t)cases[i].keep, &e)),
               "%s", e.text);
        EXPECT(collect(&r, x.out, false, &e) && r.unreadable == 1 && strstr(r.why, cases[i].file),
               "%s to %d: %d unreadable: %s", cases[i].file, cases[i].keep, r.unreadable, r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 3, "%s to %d counts",
               cases[i].file, cases[i].keep);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'done'") == 3 &&
                   fake_ask(x.out, "SELECT count(*) FROM run WHERE reason LIKE 'damaged:%'") == 1,
               "%s to %d: not named", cases[i].file, cases[i].keep);
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
        free(whole);
        collected_now(x.out, false, 1);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 4, "%s mended", cases[i].file);
    }
}

/* Lines of evaluations that go take what was known of their losses along. */
static void gone_evaluations(void)
{
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES], id[17];
    err e = {0};
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    snprintf(path, sizeof path, "%s/runs/%s/other.f32", x.out, id);
    EXPECT(file_write(path, "0123", 4, &e), "%s", e.text);
    snprintf(path, sizeof path, "%s/runs/%s/evals.jsonl", x.out, id);
    size_t bytes;
    text_auto *before = file_read(path, &bytes, &e);
    fake_append(
        &x, 0, 1, "evals.jsonl",
        "{\"eval\": \"other\", \"step\": 200, \"split\": \"test\", \"nats\": 1, \"tokens\": 1, "
        "\"losses\": \"other.f32\"}\n");
    collected_now(x.out, false, 6);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM artefact WHERE path = 'other.f32'") == 1, "known");
    EXPECT(before && file_write(path, before, bytes, &e), "%s", e.text);
    collected_now(x.out, false, 1);
    expect_as_rebuilt(x.out, "without a line");
}

/* Of a finished run's past the lines that are whole count, and so does the run; what is missing is
 * told by each collection until it is put right. */
static void damaged_past(void)
{
    static const int keep[] = {700, -1};
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES], id[17];
    err e = {0};
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    collected_now(x.out, false, 6);
    double all = fake_ask(x.out, "SELECT count(*) FROM step");
    for (int i = 0; i < 2; i++) {
        size_t bytes;
        snprintf(path, sizeof path, "%s/runs/%s/metrics.jsonl", x.out, id);
        text_auto *whole = file_read(path, &bytes, &e);
        EXPECT(whole && (keep[i] < 0 ? file_remove(path, &e)
                                     : file_write(path, whole, (size_t)keep[i], &e)),
               "%s", e.text);
        for (int again = 0; again < 3; again++) {
            collect_report r;
            EXPECT(collect(&r, x.out, again == 2, &e) && r.unreadable == 1 &&
                       strstr(r.why, "metrics.jsonl") && strstr(r.why, "put a good copy"),
                   "%d: %d unreadable: %s", keep[i], r.unreadable, r.why);
            EXPECT(fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'done'") == 4 &&
                       fake_ask(x.out, "SELECT count(*) FROM evaluation") == 4,
                   "%d: does not count", keep[i]);
            double left = fake_ask(x.out, "SELECT count(*) FROM step");
            EXPECT(left < all && (keep[i] < 0 || left > all * 3 / 4), "%.0f of %.0f", left, all);
        }
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
        collected_now(x.out, false, 1);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == all, "not put right");
    }
}

/* A run that goes on past a line that is lost is shown as it stands, with the lines that are whole,
 * while nobody works on it and while somebody does; and the gap is told each time. */
static void gap_of_a_run_under_way(void)
{
    static const char MANIFEST[] = "{\"step\": 150, \"files\": {}}";
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES], id[17];
    err e = {0};
    size_t bytes;
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    collected_now(x.out, false, 6);
    double all = fake_ask(x.out, "SELECT count(*) FROM step");
    snprintf(path, sizeof path, "%s/runs/%s/checkpoint", x.out, id);
    EXPECT(file_make_folders(path, &e), "%s", e.text);
    snprintf(path, sizeof path, "%s/runs/%s/checkpoint/manifest.json", x.out, id);
    EXPECT(file_write(path, MANIFEST, sizeof MANIFEST - 1, &e), "%s", e.text);
    snprintf(path, sizeof path, "%s/runs/%s/status.json", x.out, id);
    json_auto_t *status = json_read(path, &e);
    json_object_set_new(status, "status", json_string("running"));
    EXPECT(json_write(path, status, &e), "%s", e.text);
    snprintf(path, sizeof path, "%s/runs/%s/metrics.jsonl", x.out, id);
    text_auto *lines = file_read(path, &bytes, &e);
    if (lines) lines[0] = '(';
    EXPECT(lines && file_write(path, lines, bytes, &e), "%s", e.text);
    for (int i = 0; i < 4; i++) {
        collect_report r;
        bool locked = i >= 2;
        snprintf(path, sizeof path, "%s/runs/%s/lock", x.out, id);
        int lock = locked ? file_lock(path, LOCK_EX, &e) : -1;
        EXPECT(collect(&r, x.out, i == 1, &e) && r.unreadable == 1 &&
                   strstr(r.why, "metrics.jsonl:1"),
               "%d: %d unreadable: %s", i, r.unreadable, r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == all - 1, "%d: lines are lost", i);
        EXPECT(fake_ask(x.out, locked ? "SELECT count(*) FROM run WHERE status = 'running' "
                                        "AND reason IS NULL AND step = 200"
                                      : "SELECT count(*) FROM run WHERE status = 'interrupted' "
                                        "AND reason LIKE 'its process%' AND step = 200") == 1,
               "%d: its state", i);
        if (locked) close(lock);
    }
}

/* Neither a model that was kept beside the run nor its last one is a figure's: where the manifest
 * is damaged that is told, and the run is what it was, also in a database that is made anew. */
static void damaged_manifest(const fake_experiment *x, const char *model)
{
    static const char GOOD[] = "{\"step\": 3, \"files\": {\"model.safetensors\": {\"bytes\": 8}}}";
    char path[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], id[17], ask[100];
    err e = {0};
    fake_run_id(id, x->name, "short", 1);
    snprintf(folder, sizeof folder, "%s/runs/%s/%s", x->out, id, model);
    EXPECT(file_make_folders(folder, &e), "%s", e.text);
    EXPECT(file_join(path, folder, "manifest.json", &e) && file_write(path, "{\"files\": ", 10, &e),
           "%s", e.text);
    snprintf(ask, sizeof ask, "SELECT count(*) FROM artefact WHERE path LIKE '%s/%%'", model);
    for (int again = 0; again < 3; again++) {
        collect_report r;
        EXPECT(collect(&r, x->out, again == 2, &e), "%s", e.text);
        EXPECT(r.unreadable == 1 && strstr(r.why, path), "%d: %s", r.unreadable, r.why);
        EXPECT(fake_ask(x->out, "SELECT count(*) FROM run WHERE status = 'done'") == 4 &&
                   fake_ask(x->out, "SELECT count(*) FROM evaluation") == 4,
               "%s: a run is lost", model);
    }
    /* A fault that has passed leaves nothing behind. */
    EXPECT(file_write(path, GOOD, sizeof GOOD - 1, &e), "%s", e.text);
    collected_now(x->out, false, 1);
    EXPECT(fake_ask(x->out, ask) == 1, "%s", model);
}

static void damaged_manifests(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    damaged_manifest(&x, "checkpoint-best");
    damaged_manifest(&x, "checkpoint");
}

/* Nor are its figures those of the losses of single tokens. */
static void unreadable_losses(void)
{
    fake_experiment x = collected_sample(2);
    char folder[FILE_PATH_BYTES], id[17];
    err e = {0};
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    snprintf(folder, sizeof folder, "%s/runs/%s/losses.f32", x.out, id);
    EXPECT(file_remove(folder, &e) && file_make_folders(folder, &e), "%s", e.text);
    collect_report r;
    EXPECT(collect(&r, x.out, false, &e), "%s", e.text);
    EXPECT(r.unreadable == 1 && strstr(r.why, "is not a file"), "%d: %s", r.unreadable, r.why);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 4, "an evaluation is lost");
    /* A fault that has passed leaves nothing behind. */
    double losses = fake_ask(x.out, "SELECT count(*) FROM artefact WHERE kind = 'losses'");
    EXPECT(file_remove_tree(folder, &e) && file_write(folder, "1234", 4, &e), "%s", e.text);
    EXPECT(collect(&r, x.out, false, &e) && r.unreadable == 0, "%s %d", e.text, r.unreadable);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM artefact WHERE kind = 'losses'") == losses + 1,
           "of %.0f", losses);
}

/* A byte of a record is another, as a disk or a copy may leave it, and it still says a number: it
 * is not believed. */
static void changed_records(void)
{
    static const char *const files[] = {"plan.json", "run.json", "status.json"};
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES], id[17];
    err e = {0};
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    collected_now(x.out, false, 6);
    for (int i = 0; i < 4; i++) {
        size_t bytes;
        collect_report r;
        if (i < 3) snprintf(path, sizeof path, "%s/runs/%s/%s", x.out, id, files[i]);
        if (i == 3) snprintf(path, sizeof path, "%s/experiments/%s.json", x.out, x.name);
        json_auto_t *record = json_read(path, &e);
        EXPECT(record && json_write(path, record, &e), "%s", e.text); /* with its checksum */
        collected_now(x.out, false, i < 3);
        text_auto *whole = file_read(path, &bytes, &e);
        text_auto *changed = file_read(path, &bytes, &e);
        char *digit = changed ? strstr(changed, "1") : NULL;
        if (digit) *digit = '2';
        EXPECT(digit && file_write(path, changed, bytes, &e), "%s", e.text);
        EXPECT(collect(&r, x.out, false, &e) && r.unreadable == 1 &&
                   strstr(r.why, "changed since it was written") && strstr(r.why, path),
               "%s: %d unreadable: %s", path, r.unreadable, r.why);
        double done = fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'done'");
        EXPECT(done == (i < 3 ? 3 : 4), "%s: %.0f", path, done);
        EXPECT(whole && file_write(path, whole, bytes, &e), "%s", e.text);
        collected_now(x.out, false, i < 3);
    }
}

/* A step that no run comes to is no line of this program's, in a curve or an evaluation: what would
 * count from it overflows. */
static void impossible_steps(void)
{
    static const char *const STEPS[] = {"-9223372036854775808", "-1", "9007199254740993"};
    static const char *const FILES[] = {"metrics.jsonl", "evals.jsonl"};
    fake_experiment x = collected_sample(2);
    char id[17], path[FILE_PATH_BYTES], line[256];
    err e = {0};
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    for (int i = 0; i < 6; i++) {
        size_t bytes;
        collect_report r;
        snprintf(path, sizeof path, "%s/runs/%s/%s", x.out, id, FILES[i % 2]);
        text_auto *whole = file_read(path, &bytes, &e);
        int n = snprintf(line, sizeof line,
                         "{\"step\": %s, \"tokens\": 1, \"seconds\": 1, \"loss\": 1, "
                         "\"eval\": \"x\", \"split\": \"test\"}\n",
                         STEPS[i / 2]);
        text_auto *more = malloc(bytes + (size_t)n + 1);
        memcpy(more, whole, bytes);
        memcpy(more + bytes, line, (size_t)n + 1);
        EXPECT(file_write(path, more, bytes + (size_t)n, &e), "%s", e.text);
        EXPECT(collect(&r, x.out, true, &e) && strstr(r.why, "step") && strstr(r.why, FILES[i % 2]),
               "%s of %s: %d unreadable: %s", STEPS[i / 2], FILES[i % 2], r.unreadable, r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM step WHERE step < 0 OR step > 1e15") == 0 &&
                   fake_ask(x.out, "SELECT count(*) FROM evaluation WHERE step < 0") == 0,
               "%s counts", STEPS[i / 2]);
        EXPECT(file_write(path, whole, bytes, &e), "%s", e.text);
    }
}

/* An unreadable folder is named; the rest goes on. */
static void unreadable_run(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    collected_now(x.out, false, 6);
    fake_append(&x, 0, 1, "metrics.jsonl", "garbage\n");
    fake_append(&x, 1, 2, "metrics.jsonl", "{\"step\":1000}\n");
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, x.out, false, &e), "%s", e.text);
    EXPECT(r.runs == 2 && r.unreadable == 1, "%d runs, %d unreadable", r.runs, r.unreadable);
    EXPECT(strstr(r.why, "metrics.jsonl:21: is cut off, changed or no JSON"), "%s", r.why);
    EXPECT(fake_ask(x.out,
                    "SELECT count(*) FROM step s JOIN plan p USING (run) WHERE label = 'short' "
                    "AND p.seed = 1") == 20,
           "its whole lines do not count");
}

static void copy_folder(const char *from, const char *to)
{
    err e = {0};
    char target[FILE_PATH_BYTES];
    EXPECT(file_make_folders(to, &e), "%s", e.text);
    file_walk w = file_walk_begin(from, &e);
    while (file_walk_next(&w)) {
        EXPECT(file_join(target, to, w.name, &e) && file_copy(w.path, target, &e), "%s", e.text);
    }
    EXPECT(file_walk_end(&w), "%s", e.text);
}

/* Written, with the ids of its first two runs. */
static fake_experiment two_runs(char id[17], char other[17])
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    fake_run_id(id, x.name, "short", 1);
    fake_run_id(other, x.name, "short", 2);
    return x;
}

/* A copy of a run's folder beside it, or in another run's place, is named, and takes nothing away
 * from the run that it was. */
static void copied_run(void)
{
    char id[17], other[17], from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    fake_experiment x = two_runs(id, other);
    snprintf(from, sizeof from, "%s/runs/%s", x.out, id);
    for (int kind = 0; kind < 2; kind++) {
        snprintf(to, sizeof to, "%s/runs/%s%s", x.out, kind ? other : id, kind ? "" : ".bak");
        EXPECT(file_remove_tree(to, &e), "%s", e.text);
        copy_folder(from, to);
        for (int again = 0; again < 3; again++) {
            collect_report r;
            EXPECT(collect(&r, x.out, again != 1, &e), "%s", e.text);
            EXPECT(r.unreadable == 1 && strstr(r.why, to) && strstr(r.why, id), "%d: %s",
                   r.unreadable, r.why);
            EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 4 - kind &&
                       fake_ask(x.out, "SELECT count(*) FROM run") == 6 - kind,
                   "copy %d counts", kind);
            EXPECT(fake_ask(x.out, "SELECT count(*) FROM result WHERE label = 'short' AND seed = 1 "
                                   "AND bits_per_byte IS NOT NULL") == 1,
                   "copy %d took its result", kind);
        }
        EXPECT(file_remove_tree(to, &e), "%s", e.text);
    }
}

/* A line that says it is another run's evaluation, whatever folder it stands in. */
static void evaluation_of_another(void)
{
    char id[17], other[17], from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    fake_experiment x = two_runs(id, other);
    bool first = strcmp(id, other) < 0; /* is read first, and keeps it */
    snprintf(from, sizeof from, "%s/runs/%s/evals.jsonl", x.out, first ? id : other);
    snprintf(to, sizeof to, "%s/runs/%s/evals.jsonl", x.out, first ? other : id);
    EXPECT(file_copy(from, to, &e), "%s", e.text);
    for (int again = 0; again < 2; again++) {
        collect_report r;
        EXPECT(collect(&r, x.out, again, &e), "%s", e.text);
        EXPECT(r.unreadable == 1 && strstr(r.why, to) && strstr(r.why, first ? id : other),
               "%d: %s", r.unreadable, r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 3, "it counts");
    }
}

/* A record that was copied under another name takes nothing away from the experiment, whichever of
 * the two is read last. */
static void copied_record(void)
{
    static const char *const names[] = {"memory-old", "memory.old", "a"};
    fake_experiment x = collected_sample(1);
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    err e = {0};
    snprintf(from, sizeof from, "%s/experiments/memory.json", x.out);
    for (int i = 0; i < 3; i++) {
        fake_write(&x);
        snprintf(to, sizeof to, "%s/experiments/%s.json", x.out, names[i]);
        EXPECT(file_copy(from, to, &e), "%s", e.text);
        fake_experiment later = collected_sample(2);
        fake_write(&later);
        collect_report r;
        EXPECT(collect(&r, x.out, true, &e), "%s", e.text);
        EXPECT(r.unreadable == 1 && strstr(r.why, to) && strstr(r.why, "'memory'"), "%s: %d: %s",
               names[i], r.unreadable, r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM plan") == 6, "%s: the copy's plan", names[i]);
        EXPECT(file_remove(to, &e), "%s", e.text);
    }
}

const test_suite test_collect_damage = {"results/collect_damage",
                                        {{"damaged_files", damaged_files},
                                         {"gone_evaluations", gone_evaluations},
                                         {"damaged_past", damaged_past},
                                         {"changed_records", changed_records},
                                         {"impossible steps", impossible_steps},
                                         {"gap_of_a_run_under_way", gap_of_a_run_under_way},
                                         {"damaged_manifests", damaged_manifests},
                                         {"unreadable_losses", unreadable_losses},
                                         {"unreadable_run", unreadable_run},
                                         {"copied_run", copied_run},
                                         {"evaluation_of_another", evaluation_of_another},
                                         {"copied_record", copied_record},
                                         {0}}};
