/* A full disk, read errors and kills at every call of a run's life that writes or reads, of its
 * collecting and its merging into another folder, kills at every failpoint: what it says, and that
 * the same command afterwards ends with what an undisturbed one ends with.
 *
 * In the suite some of the calls, `make torture` tries each (LOCI_TORTURE=N: every N-th). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "results/store/store.h"
#include "tests/support/faults.h"
#include "tests/support/same_results.h"
#include "tests/test.h"

typedef struct life {
    char spec[FILE_PATH_BYTES], calm[FILE_PATH_BYTES], out[FILE_PATH_BYTES], cache[FILE_PATH_BYTES];
    const char *words[6];               /* the one command, before a fault and after it */
    void (*begin)(const struct life *); /* before each */
    fault_plan *plan;
    int tried; /* faults */
    int told;  /* those that ended the command */
} life;

/* Nothing is left of the time before. */
static void begin_again(const life *l)
{
    err e = {0};
    EXPECT(file_remove_tree(l->out, &e) && file_remove_tree(l->cache, &e), "%s", e.text);
}

static bool begin_life(life *l)
{
    err e = {0};
    *l = (life){.plan = faults_new(), .begin = begin_again};
    if (!l->plan) return false;
    file_join(l->spec, test_folder(), "faults.yaml", NULL);
    file_join(l->calm, test_folder(), "calm", NULL);
    file_join(l->out, test_folder(), "out", NULL);
    file_join(l->cache, test_folder(), "cache", NULL);
    EXPECT(file_write(l->spec, FAULTS_SPEC, strlen(FAULTS_SPEC), &e), "%s", e.text);
    const char *const words[] = {"run", l->spec, "--quiet", "--retry", "failed", NULL};
    memcpy(l->words, words, sizeof words);
    program_result r = faults_run(l->plan, l->words);
    EXPECT(r.status == EXIT_DONE, "%d: %s", r.status, r.err);
    EXPECT(rename(l->out, l->calm) == 0, "%s", strerror(errno));
    return r.status == EXIT_DONE && l->plan->loaded > 0;
}

static void end_well(const life *l, const char *what)
{
    fault_kind kind = l->plan->kind;
    l->plan->kind = FAULT_NONE;
    program_result r = faults_run(l->plan, l->words);
    l->plan->kind = kind;
    EXPECT(r.status == EXIT_DONE, "after %s: %d: %s", what, r.status, r.err);
    if (r.status == EXIT_DONE) same_results(l->calm, l->out);
}

/* For who asks for torture. */
static void tell(const life *l)
{
    if (getenv("LOCI_TORTURE")) printf("%d tried, %d ended the command\n", l->tried, l->told);
}

/* ---- calls that fail ---- */

/* A fault is a failure of the command or of a run, whatever file has it. A read that fails once may
 * have been of something that is looked at twice. Of its database SQLite has words of its own (a
 * journal that cannot be opened makes it one that is read-only, one that cannot be read a malformed
 * one). */
static bool tells_why(const char *words, const fault_plan *p)
{
    return strstr(words, strerror(p->error)) ||
           (strstr(words, "/loci.db") && strstr(words, ": cannot be ")) ||
           (p->kind == FAULT_READ && !p->stays);
}

/* One line; merge says before it what was brought in. */
static void check_words(const fault_plan *p, program_result r)
{
    const char *words = strncmp(r.err, "brought in:", 11) == 0 ? strchrnul(r.err, '\n') : r.err;
    if (*words == '\n') words++;
    const char *line = strchr(words, '\n');
    EXPECT(r.status == EXIT_FAILED || r.status == EXIT_RUNS_FAILED, "%s: %d: %s", p->failed,
           r.status, r.err);
    EXPECT(tells_why(words, p) && strstr(words, test_folder()), "%s: %d: %s", p->failed, r.status,
           r.err);
    EXPECT(line && !line[1], "%s: not one line: %s", p->failed, r.err);
}

/* A command that ends well without a word has kept the run, whatever failed beside: a folder that
 * could not be read is not one that is not there. */
static void check_kept(const life *l, program_result r)
{
    err e = {0};
    sqlite3_stmt *q = NULL;
    if (strcmp(l->words[0], "run") == 0 || strchr(r.err, '/')) return;
    store *s = store_open_reader(l->out, &e);
    int runs = 0;
    if (s) q = store_prepare(s, "SELECT count(*) FROM run WHERE status = 'done'", &e);
    if (q && sqlite3_step(q) == SQLITE_ROW) runs = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    store_close(s);
    EXPECT(runs == 1, "%s: %d runs, and nothing is said: %s%s", l->plan->failed, runs, r.err,
           e.text);
}

static void fail_calls_of(life *l, fault_kind kind, int error, bool stays)
{
    fault_plan *p = l->plan;
    p->kind = kind;
    p->error = error;
    p->stays = stays;
    for (p->at = 1;; p->at += faults_stride()) {
        l->begin(l);
        program_result r = faults_run(p, l->words);
        if (!p->failed[0]) {
            EXPECT(r.status == EXIT_DONE, "nothing failed: %d: %s", r.status, r.err);
            break;
        }
        l->tried++;
        l->told += r.status != EXIT_DONE;
        if (kind == FAULT_KILL) {
            /* Done: killed with the last word written. */
            bool killed = r.status == EXIT_INTERRUPTED || r.status == 128 + SIGKILL;
            EXPECT(killed || r.status == EXIT_DONE, "%s: %d: %s", p->failed, r.status, r.err);
        } else if (r.status != EXIT_DONE) {
            check_words(p, r);
        } else {
            check_kept(l, r);
        }
        char what[sizeof p->failed];
        memcpy(what, p->failed, sizeof what);
        end_well(l, what);
    }
    p->kind = FAULT_NONE;
}

static void fail_calls(fault_kind kind, int error, bool stays)
{
    life l;
    if (!begin_life(&l)) return;
    fail_calls_of(&l, kind, error, stays);
    tell(&l);
}

static void disk_full(void)
{
    fail_calls(FAULT_WRITE, ENOSPC, true);
}

static void write_fails_once(void)
{
    fail_calls(FAULT_WRITE, EIO, false);
}

static void read_fails_once(void)
{
    fail_calls(FAULT_READ, EIO, false);
}

static void reads_fail(void)
{
    fail_calls(FAULT_READ, EIO, true);
}

/* ---- collecting, merging ---- */

/* Every kind of fault at the calls of a command that comes after the run. */
static void fail_each_way(life *l)
{
    fail_calls_of(l, FAULT_WRITE, ENOSPC, true);
    fail_calls_of(l, FAULT_WRITE, EIO, false);
    fail_calls_of(l, FAULT_READ, EIO, false);
    fail_calls_of(l, FAULT_READ, EIO, true);
    fail_calls_of(l, FAULT_KILL, 0, false);
    tell(l);
}

/* The run's folder as it was, and no database. */
static void uncollected(const life *l)
{
    char command[4096];
    begin_again(l);
    snprintf(command, sizeof command, "cp -a '%.1000s' '%.1000s' && rm -f '%.1000s'/loci.db*",
             l->calm, l->out, l->out);
    EXPECT(system(command) == 0, "%s", command);
}

static void collecting(void)
{
    life l;
    if (!begin_life(&l)) return;
    l.begin = uncollected;
    l.words[0] = "collect";
    l.words[1] = NULL;
    fail_each_way(&l);
}

static void merging(void)
{
    life l;
    if (!begin_life(&l)) return;
    l.words[0] = "merge";
    l.words[1] = l.calm;
    l.words[2] = NULL;
    fail_each_way(&l);
}

/* ---- kills ---- */

/* A worker, or the supervisor: whose turn it is to write. */
static void killed_while_writing(void)
{
    fail_calls(FAULT_KILL, 0, false);
}

/* All that a run of one process passes: grep file_failpoint. */
static const char *const FAILPOINTS[] = {"checkpoint_begin",
                                         "checkpoint_file",
                                         "checkpoint_manifest",
                                         "keep",
                                         "evaluated",
                                         "eval_line",
                                         "step",
                                         "safetensors"};

/* Whether it was killed there. */
static bool kill_at(const life *l, const char *name, int n)
{
    char point[64];
    begin_again(l);
    snprintf(point, sizeof point, "%s:%d", name, n);
    setenv("LOCI_FAILPOINT", point, 1);
    program_result r = faults_run(l->plan, l->words);
    unsetenv("LOCI_FAILPOINT");
    EXPECT(r.status == EXIT_INTERRUPTED || (n > 1 && r.status == EXIT_DONE), "%s: %d: %s", point,
           r.status, r.err);
    end_well(l, point);
    return r.status == EXIT_INTERRUPTED;
}

static void killed_at_failpoints(void)
{
    life l;
    if (!begin_life(&l)) return;
    for (size_t i = 0; i < sizeof FAILPOINTS / sizeof *FAILPOINTS; i++) {
        for (int n = 1; kill_at(&l, FAILPOINTS[i], n); n += faults_stride()) {
            l.tried++;
            l.told++;
        }
    }
    tell(&l);
}

/* ---- limits, and the clock ---- */

static void few_files(void)
{
    life l;
    if (!begin_life(&l)) return;
    fault_plan *p = l.plan;
    int status = -1;
    for (p->files = 8; status != EXIT_DONE && p->files < 200; p->files++) {
        begin_again(&l);
        program_result r = faults_run(p, l.words);
        status = r.status;
        l.tried++;
        l.told += status != EXIT_DONE;
        bool why = strstr(r.err, strerror(EMFILE)) && strstr(r.err, "ulimit -n");
        bool failed = status == EXIT_FAILED || status == EXIT_RUNS_FAILED || status == EXIT_USAGE;
        EXPECT(status == EXIT_DONE || (failed && why), "%d files: %d: %s", (int)p->files, status,
               r.err);
        int64_t files = p->files;
        p->files = 0;
        end_well(&l, "few files");
        p->files = files;
    }
    EXPECT(l.told > 0 && status == EXIT_DONE, "%d with few files", l.told);
    tell(&l);
}

/* An allocation that fails ends the process with a word about memory, or does no harm. */
static void no_memory(void)
{
    life l;
    if (!begin_life(&l)) return;
    fault_plan *p = l.plan;
    p->kind = FAULT_MEMORY;
    p->at = 0;
    begin_again(&l);
    faults_run(p, l.words);
    int64_t all = p->seen, tries = faults_stride() > 1 ? 15 : 1000;
    for (int64_t i = 0; i < tries && all > 0; i++) {
        begin_again(&l);
        p->at = 1 + (all * i + i * i % tries) / tries; /* not all at one place of a loop */
        program_result r = faults_run(p, l.words);
        l.tried += p->failed[0] != 0;
        l.told += r.status != EXIT_DONE;
        EXPECT(r.status < 128, "allocation %d of %d: %d: %s", (int)p->at, (int)all, r.status,
               r.err);
        EXPECT(r.status == EXIT_DONE || strstr(r.err, "memory"), "allocation %d of %d: %d: %s",
               (int)p->at, (int)all, r.status, r.err);
        end_well(&l, "an allocation that failed");
    }
    tell(&l);
}

/* Forth and back by a day at every look. */
static void clock_jumps(void)
{
    life l;
    if (!begin_life(&l)) return;
    l.plan->clock_jump_s = 86400;
    begin_again(&l);
    end_well(&l, "jumps of the clock");
    EXPECT(l.plan->looks > 0, "nobody looked at the clock");
    program_result r = FAULTY(l.plan, "status", "faults");
    EXPECT(r.status == EXIT_DONE && strstr(r.out, "1 of 1 runs done"), "%d: %s%s", r.status, r.out,
           r.err);
}

/* A lock file and a status that name a process that lives: another one, with the number of one that
 * was killed. */
static void number_of_another_process(void)
{
    life l;
    err e = {0};
    char path[FILE_PATH_BYTES], host[256] = "", text[1024];
    const char *const *ids;
    int64_t count;
    if (!begin_life(&l)) return;
    setenv("LOCI_FAILPOINT", "step:2", 1);
    begin_again(&l);
    program_result r = faults_run(l.plan, l.words);
    unsetenv("LOCI_FAILPOINT");
    EXPECT(r.status == EXIT_INTERRUPTED, "%d: %s", r.status, r.err);
    arena *a = arena_new(1 << 12);
    file_join(path, l.out, "runs", NULL);
    EXPECT(file_list(path, a, &ids, &count, &e) && count == 1, "%s", e.text);
    gethostname(host, sizeof host - 1);
    snprintf(text, sizeof text, "%s %ld - 000000000007\n", host, (long)getpid());
    snprintf(path, sizeof path, "%.1000s/runs/%.16s/lock", l.out, ids[0]);
    EXPECT(file_write(path, text, strlen(text), &e), "%s", e.text);
    snprintf(text, sizeof text,
             "{\"status\": \"running\", \"pid\": %ld, \"step\": 2, \"steps\": 3}\n",
             (long)getpid());
    snprintf(path, sizeof path, "%.1000s/runs/%.16s/status.json", l.out, ids[0]);
    EXPECT(file_write(path, text, strlen(text), &e), "%s", e.text);
    arena_free(a);
    end_well(&l, "a number that another process has");
}

const test_suite test_faults = {"harness/faults",
                                {{"disk_full", disk_full},
                                 {"write_fails_once", write_fails_once},
                                 {"read_fails_once", read_fails_once},
                                 {"reads_fail", reads_fail},
                                 {"collecting", collecting},
                                 {"merging", merging},
                                 {"killed_while_writing", killed_while_writing},
                                 {"killed_at_failpoints", killed_at_failpoints},
                                 {"few_files", few_files},
                                 {"no_memory", no_memory},
                                 {"clock_jumps", clock_jumps},
                                 {"number_of_another_process", number_of_another_process},
                                 {0}}};
