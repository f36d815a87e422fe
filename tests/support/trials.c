#include "tests/support/trials.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json_line.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "tests/test.h"

void trial_folder(char *path, const char *name, const char *spec_text, const char *more,
                  int64_t seed)
{
    err e = {0};
    arena *a = arena_new(1 << 16);
    corpus_places places = trial_places();
    run_plan plan = {.label = "trial", .seed = seed, .id = "0123456789abcdef"};
    snprintf(plan.variant, sizeof plan.variant, "fedcba9876543210");
    plan.resolved = trial_tree(a, spec_text, more);
    EXPECT(file_join(path, test_folder(), name, &e), "%s", e.text);
    EXPECT(run_record_plan_write(path, &plan, &places, "test", 1, &e), "%s", e.text);
    arena_free(a);
}

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* -1: there is no program. */
static pid_t start_worker(const char *folder, const char *failpoint)
{
    const char *program = test_program();
    char log[FILE_PATH_BYTES];
    if (!program || !file_join(log, folder, "log.txt", NULL)) return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen(log, "a", stderr)) _exit(99);
        setenv("OMP_NUM_THREADS", "1", 1);
        if (failpoint) setenv("LOCI_FAILPOINT", failpoint, 1);
        execl(program, "loci", "worker", folder, (char *)NULL);
        _exit(99);
    }
    EXPECT(pid > 0, "%s", strerror(errno));
    return pid;
}

static int exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int trial_worker(const char *folder, const char *failpoint, int kill_after_ms, int signal_number)
{
    int status;
    pid_t pid = start_worker(folder, failpoint);
    if (pid > 0 && kill_after_ms >= 0) {
        sleep_ms(kill_after_ms);
        kill(pid, signal_number);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? exit_status(status) : -1;
}

static int64_t bytes_of(const char *path)
{
    int64_t bytes;
    return file_exists(path) && file_stat(path, &bytes, NULL, NULL) ? bytes : 0;
}

/* What a worker has to have done before a signal is sent. */
typedef struct moment {
    char metrics[FILE_PATH_BYTES]; /* "": look at the status */
    int64_t bytes;                 /* of metrics, before */
    double share;
} moment;

static bool has_come(const moment *m, const char *folder)
{
    run_status s;
    if (m->metrics[0]) return bytes_of(m->metrics) > m->bytes;
    return run_status_read(&s, folder, NULL) && s.state == RUN_RUNNING && s.eval_share > m->share;
}

static int signal_at(const moment *m, const char *folder, int signal_number)
{
    int status;
    pid_t pid = start_worker(folder, NULL), ended = 0;
    for (bool sent = false; pid > 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0;) {
        if (!sent && has_come(m, folder)) sent = kill(pid, signal_number) == 0;
        sleep_ms(m->metrics[0] ? 1 : 20);
    }
    return pid > 0 && ended == pid ? exit_status(status) : -1;
}

int trial_worker_at_work(const char *folder, int signal_number)
{
    moment m = {.bytes = 0};
    if (!file_join(m.metrics, folder, "metrics.jsonl", NULL)) return -1;
    m.bytes = bytes_of(m.metrics);
    return signal_at(&m, folder, signal_number);
}

int trial_worker_evaluating(const char *folder, double share, int signal_number)
{
    return signal_at(&(moment){.share = share}, folder, signal_number);
}

bool trial_supervise(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e)
{
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    EXPECT(freopen("/dev/null", "w", stderr), "/dev/null");
    bool ok = supervisor_run(r, x, o, e);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    return ok;
}

/* ---- comparing ---- */

/* Removes what is time or depends on it, as a line's checksum does. */
static void drop_times(json_t *o)
{
    static const char *const keys[] = {
        "seconds", "tokens_per_second", "anon_bytes", "statistics_seconds", "grid_seconds", "crc"};
    for (int i = 0; o && i < 6; i++) {
        json_object_del(o, keys[i]);
    }
    if (o) drop_times(json_object_get(o, "dynamic"));
}

static void same_lines(const char *what, const char *a, const char *b, const char *name)
{
    char path_a[FILE_PATH_BYTES], path_b[FILE_PATH_BYTES];
    file_join(path_a, a, name, NULL);
    file_join(path_b, b, name, NULL);
    FILE *f = fopen(path_a, "r"), *g = fopen(path_b, "r");
    EXPECT(f && g, "%s: %s of %s and %s", what, name, a, b);
    int lines = 0;
    static char line_a[1 << 16], line_b[1 << 16];
    while (f && g) {
        char *has_a = fgets(line_a, sizeof line_a, f), *has_b = fgets(line_b, sizeof line_b, g);
        EXPECT(!has_a == !has_b, "%s: %s ends after %d lines in one of them", what, name, lines);
        if (!has_a || !has_b) break;
        json_t *x = json_line_load(line_a, strlen(line_a), JSON_REJECT_DUPLICATES, NULL);
        json_t *y = json_line_load(line_b, strlen(line_b), JSON_REJECT_DUPLICATES, NULL);
        drop_times(x);
        drop_times(y);
        EXPECT(x && y && json_equal(x, y), "%s: %s, line %d:\n%s%s", what, name, lines + 1, line_a,
               line_b);
        json_decref(x);
        json_decref(y);
        lines++;
    }
    EXPECT(lines > 1, "%s: %d lines in %s", what, lines, name);
    if (f) fclose(f);
    if (g) fclose(g);
}

static void same_file(const char *what, const char *a, const char *b, const char *name)
{
    size_t bytes_a, bytes_b;
    char path_a[FILE_PATH_BYTES], path_b[FILE_PATH_BYTES];
    file_join(path_a, a, name, NULL);
    file_join(path_b, b, name, NULL);
    char *x = file_read(path_a, &bytes_a, NULL), *y = file_read(path_b, &bytes_b, NULL);
    bool same = x && y && bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0;
    EXPECT(same, "%s: %s differs", what, name);
    free(x);
    free(y);
}

/* Every file of folder a (below `sub`) that begins with `prefix` must be in b, equal. */
static int same_files(const char *what, const char *a, const char *b, const char *sub,
                      const char *prefix)
{
    char folder_a[FILE_PATH_BYTES], folder_b[FILE_PATH_BYTES];
    file_join(folder_a, a, sub, NULL);
    file_join(folder_b, b, sub, NULL);
    arena *m = arena_new(1 << 14);
    const char *const *names;
    int64_t count;
    int compared = 0;
    if (!file_list(folder_a, m, &names, &count, NULL)) count = 0;
    for (int64_t i = 0; i < count; i++) {
        if (strncmp(names[i], prefix, strlen(prefix)) != 0) continue;
        same_file(what, folder_a, folder_b, names[i]);
        compared++;
    }
    arena_free(m);
    return compared;
}

/* All arrays of the training file but the times among its counters. */
static void same_training(const char *what, const char *a, const char *b, const char *name)
{
    char path_a[FILE_PATH_BYTES], path_b[FILE_PATH_BYTES];
    snprintf(path_a, sizeof path_a, "%s/checkpoint/%s", a, name);
    snprintf(path_b, sizeof path_b, "%s/checkpoint/%s", b, name);
    err e = {0};
    safetensors *x = safetensors_open(path_a, &e), *y = safetensors_open(path_b, &e);
    EXPECT(x && y && safetensors_count(x) == safetensors_count(y), "%s: %s: %s", what, name,
           e.text);
    for (int i = 0; x && y && i < safetensors_count(x); i++) {
        const st_tensor *s = safetensors_at(x, i), *t = safetensors_find(y, s->name);
        if (strcmp(s->name, "progress.sums") == 0) continue;
        EXPECT(t && t->bytes == s->bytes && memcmp(t->data, s->data, s->bytes) == 0,
               "%s: %s of %s differs", what, s->name, name);
    }
    if (x) safetensors_close(x);
    if (y) safetensors_close(y);
}

void trial_same(const char *what, const char *a, const char *b)
{
    same_lines(what, a, b, "metrics.jsonl");
    same_lines(what, a, b, "evals.jsonl");
    EXPECT(same_files(what, a, b, "checkpoint", "model-") == 1, "%s: no model in %s", what, a);
    EXPECT(same_files(what, a, b, ".", "losses-") == 1, "%s: no losses in %s", what, a);
    same_training(what, a, b, "train-10.safetensors");
}

run_status trial_status(const char *folder)
{
    run_status s = {0};
    err e = {0};
    EXPECT(run_status_read(&s, folder, &e), "%s", e.text);
    return s;
}
