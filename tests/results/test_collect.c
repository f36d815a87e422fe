/* The collector: what is in folders is in the database, once; nothing is lost or doubled. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "results/store/collect.h"
#include "results/store/experiment.h"
#include "tests/support/collected.h"
#include "tests/test.h"

static void hash_of(char hex[SHA256_HEX], const char *out)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    snprintf(path, sizeof path, "%s/loci.db", out);
    EXPECT(file_sha256(hex, path, &e), "%s", e.text);
}

static void everything_once(void)
{
    fake_experiment x = collected_sample(3);
    fake_write(&x);
    collected_now(x.out, false, 9);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run") == 9, "runs");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM plan") == 9, "plan");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM axis") == 3, "axes");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation") == 7, "evaluations");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM document") == 21, "documents");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM artefact WHERE kind = 'losses'") == 7,
           "artefacts");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM library") == 18, "libraries");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == 7 * 20 + 2 * 8, "steps");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM metric WHERE layer <> ''") == 7 * 20 + 2 * 8,
           "layers");
    EXPECT(fake_ask(x.out, "SELECT params FROM run WHERE variant = (SELECT variant FROM plan WHERE "
                           "label = 'wide')") == 1600000,
           "params");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'diverged' AND reason LIKE "
                           "'step 400%'") == 1,
           "the reason of a failure");
    double bpb =
        fake_ask(x.out, "SELECT bits_per_byte FROM result WHERE label = 'long' AND seed = 1");
    EXPECT(fabs(bpb - fake_bits_per_byte(&x, 1, 1)) < 1e-12, "bits per byte %g", bpb);
    EXPECT(fake_ask(x.out, "SELECT n FROM seed_mean WHERE label = 'long'") == 2, "seed_mean");
    EXPECT(fake_ask(x.out, "PRAGMA user_version") == STORE_VERSION, "version");
}

/* A running run whose lock nobody holds was killed. */
static void killed_runs(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    char id[17], path[FILE_PATH_BYTES];
    fake_run_id(id, x.name, "wide", 2);
    snprintf(path, sizeof path, "%s/runs/%s/lock", x.out, id);
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    EXPECT(fd >= 0 && flock(fd, LOCK_EX) == 0, "no lock");
    collected_now(x.out, false, 6);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'running'") == 1, "running");
    close(fd);
    collected_now(x.out, false, 1);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run WHERE status = 'interrupted'") == 1, "killed");
}

static void twice_changes_nothing(void)
{
    fake_experiment x = collected_sample(3);
    char first[SHA256_HEX], second[SHA256_HEX];
    fake_write(&x);
    collected_now(x.out, false, 9);
    hash_of(first, x.out);
    collected_now(x.out, false, 0);
    hash_of(second, x.out);
    EXPECT(strcmp(first, second) == 0, "the file changed");
    double metrics = fake_ask(x.out, "SELECT sum(value) FROM metric");
    collected_now(x.out, true, 9);
    EXPECT(fake_ask(x.out, "SELECT sum(value) FROM metric") == metrics, "rebuilt otherwise");
}

/* Only the run that grew is read again; half a line waits for its end. */
static void growing_run(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    collected_now(x.out, false, 6);
    double before = fake_ask(x.out, "SELECT count(*) FROM step");
    fake_append(&x, 2, 2, "metrics.jsonl", "{\"step\":1000,\"tokens\":1,\"seconds\":1,\"lo");
    collected_now(x.out, false, 1);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == before, "half a line counted");
    fake_append(&x, 2, 2, "metrics.jsonl", "ss\":null}\n");
    collected_now(x.out, false, 1);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == before + 1, "the line is missing");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM metric WHERE step = 1000 AND value IS NULL") == 1,
           "NaN is not NULL");
}

/* A smaller experiment under the same name takes the place of the old plan. */
static void plan_replaced(void)
{
    fake_experiment x = collected_sample(3);
    fake_write(&x);
    collected_now(x.out, false, 9);
    usleep(10000);
    x.variants = 1;
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/runs", x.out);
    err e = {0};
    EXPECT(file_remove_tree(folder, &e), "%s", e.text);
    fake_write(&x);
    collect_report r;
    EXPECT(collect(&r, x.out, false, &e), "%s", e.text);
    EXPECT(r.experiments == 1, "%d experiments", r.experiments);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM plan") == 3, "plan");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM axis") == 1, "axes");
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run") == 9, "rows of folders that are gone");
}

/* Folders come in batches that are read ahead; one that cannot be read takes no other with it. */
static void among_many(void)
{
    static const char *const strays[] = {"0", "8888", "g"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    fake_experiment x = collected_sample(40);
    err e = {0};
    fake_write(&x);
    for (int i = 0; i < 3; i++) {
        snprintf(folder, sizeof folder, "%s/runs/%s", x.out, strays[i]);
        EXPECT(file_make_folders(folder, &e) && file_join(path, folder, "plan.json", &e) &&
                   file_write(path, "{}", 2, &e),
               "%s", e.text);
    }
    collect_report r;
    for (int again = 0; again < 2; again++) {
        EXPECT(collect(&r, x.out, again, &e), "%s", e.text);
        EXPECT(r.runs == 120 && r.runs_seen == 123, "%d of %d runs", r.runs, r.runs_seen);
        EXPECT(r.unreadable == 3 && strstr(r.why, "/runs/0/plan.json"), "%d: %s", r.unreadable,
               r.why);
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM run") == 120, "runs");
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM evaluation JOIN plan USING (run) "
                               "WHERE label = 'short'") == 40,
               "evaluations");
        EXPECT(fake_ask(x.out, "SELECT count(*) FROM collected WHERE path LIKE 'runs/0/%'") == 0,
               "a stamp of what was taken back");
    }
}

/* Rows wait to be put together: more than have room, a text that has none, a row in the place of
 * one that waits. */
static void rows_that_wait(void)
{
    enum { STEPS = 3000, LETTERS = 200000 };
    fake_experiment x = collected_sample(2);
    char line[128];
    fake_write(&x);
    for (int i = 1; i <= STEPS + 1; i++) {
        int step = 1000 + MIN(i, STEPS);
        snprintf(line, sizeof line, "{\"step\":%d,\"tokens\":%d,\"loss\":%d}\n", step, i, i);
        fake_append(&x, 2, 2, "metrics.jsonl", line);
    }
    char *letters = calloc(LETTERS + 1, 1), *eval = NULL;
    memset(letters, 'x', LETTERS);
    EXPECT(asprintf(&eval,
                    "{\"eval\":\"long\",\"split\":\"test\",\"step\":80,\"protocol\":\"%s\"}\n",
                    letters) > 0,
           "memory");
    fake_append(&x, 2, 2, "evals.jsonl", eval);
    free(letters);
    free(eval);
    collected_now(x.out, false, 6);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM step WHERE step > 1000") == STEPS, "steps");
    EXPECT(fake_ask(x.out, "SELECT sum(value) FROM metric WHERE step > 1000 AND name = 'loss'") ==
               STEPS / 2.0 * (STEPS + 1) + 1,
           "the last line of a step holds");
    EXPECT(fake_ask(x.out, "SELECT length(protocol) FROM evaluation WHERE evaluation = 'long'") ==
               LETTERS,
           "a long text");
}

static void nothing_there(void)
{
    err e = {0}, note = {0};
    char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/nowhere", test_folder());
    EXPECT(!collect_and_open(path, &note, &e), "opened nothing");
    EXPECT(strstr(e.text, "loci run"), "%s", e.text);
    EXPECT(!file_exists(path), "reading made a folder");
    store *s = collect_and_open(test_folder(), &note, &e);
    EXPECT(s, "an empty folder: %s", e.text);
    EXPECT(s && !experiment_check(s, "x", &e) && strstr(e.text, "no experiment 'x'"), "%s", e.text);
    store_close(s);
}

/* Readers do without when another process collects, and a killed collector's half is undone. */
static void one_writer(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    collected_now(x.out, false, 6);
    int ready[2], go[2];
    EXPECT(pipe(ready) == 0 && pipe(go) == 0, "no pipe");
    pid_t child = fork();
    if (child == 0) {
        bool busy;
        store *s = store_open_writer(x.out, false, 1, &busy, NULL);
        bool ok = s && store_exec(s, "DELETE FROM step", NULL);
        char c = ok ? 'y' : 'n';
        if (write(ready[1], &c, 1) == 1 && read(go[0], &c, 1) == 1) _exit(1);
        _exit(1);
    }
    char c = 0;
    err e = {0}, note = {0};
    EXPECT(read(ready[0], &c, 1) == 1 && c == 'y', "the other process has no lock");
    double rows = fake_ask(x.out, "SELECT count(*) FROM step");
    EXPECT(rows > 0, "uncommitted changes are seen");
    store *s = collect_and_open(x.out, &note, &e);
    EXPECT(s && strstr(note.text, "another process"), "%s %s", e.text, note.text);
    store_close(s);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    collected_now(x.out, false, 0);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM step") == rows,
           "a killed writer changed something");
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
}

/* Who may not write asks nevertheless: as of another user, whether a database is there or not, and
 * sees what is newer than it. Root may write everywhere: it asks as nobody. */
static void ask_as_nobody(const char *out, double expected)
{
    pid_t child = fork();
    if (child == 0) {
        err e = {0}, note = {0};
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
        store *s = collect_and_open(out, &note, &e);
        sqlite3_stmt *q = s ? store_prepare(s, "SELECT count(*) FROM run", &e) : NULL;
        bool ok = q && sqlite3_step(q) == SQLITE_ROW && sqlite3_column_double(q, 0) == expected;
        if (!ok || note.text[0]) fprintf(stderr, "%s; %s\n", e.text, note.text);
        _exit(ok && !note.text[0] ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    /* In a namespace that has one user, as an unprivileged container. */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        test_skip("root cannot become nobody here");
        return;
    }
    EXPECT(status == 0, "status %d", status);
}

static void read_only(void)
{
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES];
    err e = {0};
    fake_write(&x);
    EXPECT(chmod(x.out, 0555) == 0, "%s", x.out);
    ask_as_nobody(x.out, 6);
    EXPECT(file_join(path, x.out, "loci.db", &e) && !file_exists(path), "a reader made %s", path);
    EXPECT(chmod(x.out, 0755) == 0, "%s", x.out);
    collected_now(x.out, false, 6);
    x.seeds = 3;
    fake_write(&x);
    EXPECT(chmod(x.out, 0555) == 0, "%s", x.out);
    ask_as_nobody(x.out, 9);
    EXPECT(chmod(x.out, 0755) == 0, "%s", x.out);
    collected_now(x.out, false, 9);
}

/* In a folder that a group shares the group may write what the umask allows. */
static void shared_folder(void)
{
    fake_experiment x = collected_sample(1);
    char path[FILE_PATH_BYTES];
    struct stat s;
    fake_write(&x);
    mode_t before = umask(002);
    collected_now(x.out, false, 3);
    snprintf(path, sizeof path, "%s/loci.db", x.out);
    EXPECT(stat(path, &s) == 0 && (s.st_mode & 0777) == 0664, "mode %o", s.st_mode & 0777);
    collected_now(x.out, true, 3);
    EXPECT(stat(path, &s) == 0 && (s.st_mode & 0777) == 0664, "rebuilt: mode %o", s.st_mode & 0777);
    umask(before);
}

static void other_versions(void)
{
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    collected_now(x.out, false, 6);
    char path[FILE_PATH_BYTES];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/loci.db", x.out);
    EXPECT(sqlite3_open(path, &db) == SQLITE_OK &&
               sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK,
           "cannot change the version");
    sqlite3_close(db);
    err e = {0};
    EXPECT(!store_open_reader(x.out, &e) && strstr(e.text, "newer loci"), "%s", e.text);
    EXPECT(file_write(path, "this is no database, but long enough to be read as one .....", 60, &e),
           "%s", e.text);
    EXPECT(!store_open_reader(x.out, &e) && strstr(e.text, "--rebuild"), "%s", e.text);
    collected_now(x.out, true, 6);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run") == 6, "not rebuilt");
    /* Its pages overwritten behind the head, a collection says the same. */
    static const char noise[4096];
    FILE *f = fopen(path, "r+b");
    EXPECT(f && fseek(f, 100, SEEK_SET) == 0 && fwrite(noise, sizeof noise, 1, f) == 1, "%s", path);
    if (f) fclose(f);
    collect_report r;
    e = (err){0};
    EXPECT(!collect(&r, x.out, false, &e) && strstr(e.text, "--rebuild"), "%s", e.text);
    collected_now(x.out, true, 6);
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM run") == 6, "not rebuilt");
}

const test_suite test_collect = {"results/collect",
                                 {{"everything_once", everything_once},
                                  {"killed_runs", killed_runs},
                                  {"twice_changes_nothing", twice_changes_nothing},
                                  {"growing_run", growing_run},
                                  {"plan_replaced", plan_replaced},
                                  {"among_many", among_many},
                                  {"rows_that_wait", rows_that_wait},
                                  {"nothing_there", nothing_there},
                                  {"one_writer", one_writer},
                                  {"read_only", read_only},
                                  {"shared_folder", shared_folder},
                                  {"other_versions", other_versions},
                                  {0}}};
